/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Tests of measuring the dirty rate of a bare QEMU's guest, and of reading how much of its memory
 * is in use.
 */
#include "backend-bench.h"
#include "base/error.h"
#include "daemon/resident.h"

typedef struct {
    guint answers;
    gint error; /* code; -1 = none */
    MigdDirtyRate rate;
} Answer;

static void
on_rate(const MigdDirtyRate *measured, const GError *error, gpointer user_data)
{
    Answer *answer = user_data;

    g_assert_true((measured == NULL) == (error != NULL));
    answer->answers++;
    answer->error = error != NULL ? error->code : -1;
    if (measured != NULL)
        answer->rate = *measured;
}

static const MigdMeasureOptions quick = {
    .period_ms = 20, .mode = "page-sampling", .sample_pages = 9999999};
static const MigdMeasureOptions bitmap = {.period_ms = 20, .mode = "dirty-bitmap"};

static void
test_measure(void)
{
    g_autoptr(Bench) bench = bench_new();
    g_autoptr(FakeQemu) qemu = NULL;
    MigdDomain *domain = bench_one_vm(bench, &qemu);
    Answer answer = {0}, second = {0};

    fake_qemu_reply(qemu, "calc-dirty-rate", "{}");
    fake_qemu_reply(qemu, "query-dirty-rate", "{\"status\":\"measuring\"}");
    domain->backend->ops->measure(domain, &quick, on_rate, &answer);
    domain->backend->ops->measure(domain, &quick, on_rate, &second);
    g_assert_cmpuint(answer.answers + second.answers, ==, 0);
    spin_until(fake_qemu_heard(qemu, "query-dirty-rate") >= 1);
    g_assert_cmpint(second.error, ==, MIGD_ERROR_MIGRATION_IN_PROGRESS);
    g_assert_cmpuint(answer.answers, ==, 0);
    fake_qemu_reply(qemu, "query-dirty-rate", "{\"status\":\"measured\",\"dirty-rate\":40}");
    spin_until(answer.answers == 1);
    g_assert_cmpint(answer.error, ==, -1);
    g_assert_cmpuint(answer.rate.rate_bps, ==, 40 << 20);
    g_assert_cmpuint(answer.rate.period_us, ==, 20000);
    g_assert_cmpuint(bench_info(domain)->dirty_rate_bps, ==, 40 << 20);
    g_assert_cmpuint(fake_qemu_heard(qemu, "\"calc-time-unit\":\"millisecond\""), ==, 1);
    g_assert_cmpuint(fake_qemu_heard(qemu, "\"sample-pages\":16384"), ==, 1);
    g_assert_cmpuint(fake_qemu_heard(qemu, "\"mode\""), ==, 0);
    g_assert_cmpuint(second.answers, ==, 1);
}

/* The other modes kill a QEMU without KVM. */
static void
test_modes(void)
{
    g_autoptr(Bench) bench = bench_new();
    g_autoptr(FakeQemu) qemu = NULL;
    MigdDomain *domain = bench_one_vm(bench, &qemu);
    MigdMeasureOptions bad = {.period_ms = 20, .mode = "guess"}, long_one = quick;
    Answer answer = {0};

    fake_qemu_reply(qemu, "calc-dirty-rate", "{}");
    fake_qemu_reply(qemu, "query-dirty-rate", "{\"status\":\"measured\",\"dirty-rate\":7}");
    fake_qemu_reply(qemu, "query-kvm", "{\"enabled\":false,\"present\":true}");
    domain->backend->ops->measure(domain, &bitmap, on_rate, &answer);
    spin_until(answer.answers == 1);
    g_assert_cmpint(answer.error, ==, MIGD_ERROR_NOT_SUPPORTED);
    g_assert_cmpuint(fake_qemu_heard(qemu, "calc-dirty-rate"), ==, 0);
    fake_qemu_reply(qemu, "query-kvm", "{\"enabled\":true,\"present\":true}");
    domain->backend->ops->measure(domain, &bitmap, on_rate, &answer);
    spin_until(answer.answers == 2);
    g_assert_cmpint(answer.error, ==, -1);
    g_assert_cmpuint(fake_qemu_heard(qemu, "\"mode\":\"dirty-bitmap\""), ==, 1);
    domain->backend->ops->measure(domain, &bad, on_rate, &answer);
    g_assert_cmpuint(answer.answers, ==, 2);
    spin_until(answer.answers == 3);
    g_assert_cmpint(answer.error, ==, MIGD_ERROR_INVALID_ARGUMENT);
    long_one.period_ms = 61000;
    domain->backend->ops->measure(domain, &long_one, on_rate, &answer);
    spin_until(answer.answers == 4);
    g_assert_cmpint(answer.error, ==, MIGD_ERROR_INVALID_ARGUMENT);
}

static void
test_bad_replies(void)
{
    static const char *const bad[] = {"{}", "{\"status\":7}",
                                      "{\"status\":\"measured\",\"dirty-rate\":-1}",
                                      "{\"status\":\"measured\",\"dirty-rate\":99999999999}"};
    g_autoptr(Bench) bench = bench_new();
    g_autoptr(FakeQemu) qemu = NULL;
    MigdDomain *domain = bench_one_vm(bench, &qemu);
    Answer answer = {0};

    fake_qemu_reply(qemu, "calc-dirty-rate", "{}");
    for (guint i = 0; i < G_N_ELEMENTS(bad); i++) {
        fake_qemu_reply(qemu, "query-dirty-rate", bad[i]);
        domain->backend->ops->measure(domain, &quick, on_rate, &answer);
        spin_until(answer.answers == i + 1);
        g_assert_cmpint(answer.error, !=, -1);
    }
    fake_qemu_reply(qemu, "calc-dirty-rate", NULL);
    domain->backend->ops->measure(domain, &quick, on_rate, &answer);
    spin_until(answer.answers == G_N_ELEMENTS(bad) + 1);
    g_assert_cmpint(answer.error, !=, -1);
}

/* Whenever QEMU goes, there is one answer. */
static void
test_lost(void)
{
    for (guint moment = 0; moment < 3; moment++) {
        g_autoptr(Bench) bench = bench_new();
        g_autoptr(FakeQemu) qemu = NULL;
        MigdDomain *domain = bench_one_vm(bench, &qemu);
        Answer answer = {0};

        fake_qemu_reply(qemu, "calc-dirty-rate", moment == 0 ? FAKE_SILENCE : "{}");
        fake_qemu_reply(qemu, "query-dirty-rate",
                        moment == 1 ? FAKE_SILENCE : "{\"status\":\"measuring\"}");
        domain->backend->ops->measure(domain, &quick, on_rate, &answer);
        spin_until(fake_qemu_heard(qemu, "calc-dirty-rate") == 1);
        if (moment > 0)
            spin_until(fake_qemu_heard(qemu, "query-dirty-rate") >= 1);
        fake_qemu_die(qemu);
        spin_until(answer.answers == 1);
        g_assert_cmpint(answer.error, ==, MIGD_ERROR_BACKEND_LOST);
        spin_ms(100);
        g_assert_cmpuint(answer.answers, ==, 1);
    }
}

/* ---- memory in use ---- */

#define MIB ((guint64)1048576)

static const char smaps[] =
    "55d0000-55e0000 r-xp 00000000 fe:00 1  /usr/bin/qemu\nSize: 409600 kB\nRss: 409600 kB\n"
    "55f0000-5600000 rw-p 00000000 00:00 0  [heap]\nSize: 204800 kB\nRss: 204800 kB\n"
    "7f00000-7f10000 rw-p 00000000 00:00 0 \nSize: 1048576 kB\nKernelPageSize: 4 kB\n"
    "Rss: 524288 kB\nPss: 1 kB\n"
    "7f20000-7f30000 rw-p 00000000 00:00 0 \nSize: 8192 kB\nRss: 8192 kB\n"
    "7f40000-7f50000 ---p 00000000 00:00 0 \nSize: 1000000 kB\nRss: 1000000 kB\n"
    "7f60000-7f70000 rwxp 00000000 00:00 0 \nSize: 99999999 kB\nRss: 700000 kB\n";

static void
test_resident(void)
{
    g_assert_cmpuint(migd_resident_from_smaps(smaps, 1024 * MIB), ==, 512 * MIB);
    g_assert_cmpuint(migd_resident_from_smaps("", 1024 * MIB), ==, 0);
    g_assert_cmpuint(migd_resident_from_smaps("nonsense\nRss: 7\n", 1024 * MIB), ==, 0);
    g_assert_cmpuint(migd_resident_from_status(
                         "Name:\tq\nRssAnon:\t 2048 kB\nRssFile:\t 9 kB\nRssShmem:\t 1024 kB\n"
                         "HugetlbPages:\t 1024 kB\n",
                         64 * MIB),
                     ==, 4 * MIB);
    g_assert_cmpuint(migd_resident_from_status("RssAnon: 99999999999999999999999 kB\n", 64 * MIB),
                     ==, 64 * MIB);
    g_assert_cmpuint(migd_resident_from_status("", 64 * MIB), ==, 0);
    g_assert_cmpuint(migd_resident_read(0, 64 * MIB), ==, 0);
    g_assert_cmpuint(migd_resident_read(G_MAXINT, 64 * MIB), ==, 0);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/qmp-measure/measure", test_measure);
    g_test_add_func("/qmp-measure/modes", test_modes);
    g_test_add_func("/qmp-measure/bad-replies", test_bad_replies);
    g_test_add_func("/qmp-measure/lost", test_lost);
    g_test_add_func("/qmp-measure/resident", test_resident);
    return g_test_run();
}

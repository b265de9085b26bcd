/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Tests of what the daemon asks of a bare QEMU: the commands that go out, the values that come
 * back, and that each request is answered exactly once, whatever happens.
 */
#include "backend-bench.h"

#include <glib/gstdio.h>

static void
test_query(void)
{
    g_autoptr(Bench) bench = bench_new();
    g_autoptr(FakeQemu) qemu = NULL;
    MigdDomain *domain = bench_one_vm(bench, &qemu);

    fake_qemu_reply(qemu, "query-migrate",
                    "{\"status\":\"failed\",\"error-desc\":\"no\\nroute\",\"ram\":{\"total\":9}}");
    domain->backend->ops->query(domain, bench_on_sample, bench);
    spin_until(bench->answers == 1);
    g_assert_cmpint(bench->sample.status, ==, MIGD_STATUS_FAILED);
    g_assert_true(migd_sample_has(&bench->sample, MIGD_HAS_TOTAL | MIGD_HAS_DOWNTIME_LIMIT |
                                                      MIGD_HAS_MAX_BANDWIDTH));
    g_assert_cmpuint(bench->sample.downtime_limit_us, ==, 300000);
    g_assert_cmpint(bench->sample.time_us, ==, 0);
    g_assert_cmpstr(bench_info(domain)->migration_error, ==, "no\\x0aroute");
    domain->backend->ops->read_knobs(domain, bench_on_knobs, bench);
    spin_until(bench->answers == 2);
    g_assert_cmpuint(bench->knobs.max_bandwidth_bps, ==, 134217728);
    g_assert_false(bench->knobs.auto_converge);
}

static void
test_migrate(void)
{
    MigdStartOptions options = {.destination = "unix:/b", .allow_throttle = TRUE};
    g_autoptr(Bench) bench = bench_new();
    g_autoptr(FakeQemu) qemu = NULL;
    MigdDomain *domain = bench_one_vm(bench, &qemu);

    fake_qemu_reply(qemu, "migrate", "{}");
    domain->backend->ops->migrate(domain, &options, bench_on_done, bench);
    g_assert_cmpuint(bench->answers, ==, 0);
    spin_until(bench->answers == 1);
    g_assert_cmpuint(bench->errors, ==, 0);
    g_assert_cmpuint(fake_qemu_heard(qemu, "\"migrate\""), ==, 1);
    g_assert_cmpuint(fake_qemu_heard(qemu, "\"max-cpu-throttle\":1"), ==, 1);
    g_assert_cmpuint(fake_qemu_heard(qemu, "downtime-limit"), ==, 0); /* not asked for */
}

/* A step that fails is the last one. */
static void
test_migrate_fails(void)
{
    MigdStartOptions options = {.destination = "unix:/b", .allow_throttle = TRUE};
    MigdStartOptions bad = {.destination = "exec:cat"};
    g_autoptr(Bench) bench = bench_new();
    g_autoptr(FakeQemu) qemu = NULL;
    MigdDomain *domain = bench_one_vm(bench, &qemu);

    fake_qemu_reply(qemu, "migrate-set-parameters", NULL);
    domain->backend->ops->migrate(domain, &options, bench_on_done, bench);
    spin_until(bench->answers == 1);
    g_assert_cmpstr(bench->error, ==, "migrate-set-parameters: unknown");
    domain->backend->ops->migrate(domain, &bad, bench_on_done, bench);
    g_assert_cmpuint(bench->answers, ==, 1);
    spin_until(bench->answers == 2);
    g_assert_cmpuint(bench->errors, ==, 2);
    g_assert_cmpuint(fake_qemu_heard(qemu, "\"migrate\""), ==, 0);
}

static void
test_act(void)
{
    MigdDecision limit = {.action = MIGD_ACTION_SET_DOWNTIME, .argument = 123456};
    MigdDecision wait = {.action = MIGD_ACTION_WAIT};
    g_autoptr(Bench) bench = bench_new();
    g_autoptr(FakeQemu) qemu = NULL;
    MigdDomain *domain = bench_one_vm(bench, &qemu);

    domain->backend->ops->act(domain, &limit, 0, bench_on_done, bench);
    spin_until(bench->answers == 1);
    g_assert_cmpuint(fake_qemu_heard(qemu, "{\"downtime-limit\":123}"), ==, 1);
    /* Known at once, before QEMU is asked again. */
    fake_qemu_reply(qemu, "query-migrate-parameters", FAKE_SILENCE);
    domain->backend->ops->query(domain, bench_on_sample, bench);
    spin_until(bench->answers == 2);
    g_assert_cmpuint(bench->sample.downtime_limit_us, ==, 123000);
    domain->backend->ops->act(domain, &wait, 0, bench_on_done, bench);
    spin_until(bench->answers == 3);
    g_assert_cmpuint(bench->errors, ==, 1);
}

static void
test_write_knobs(void)
{
    MigdKnobs knobs = {.has = MIGD_KNOB_BANDWIDTH | MIGD_KNOB_AUTO_CONVERGE,
                       .max_bandwidth_bps = 5000};
    g_autoptr(Bench) bench = bench_new();
    g_autoptr(FakeQemu) qemu = NULL;
    MigdDomain *domain = bench_one_vm(bench, &qemu);

    domain->backend->ops->write_knobs(domain, &knobs, knobs.has, bench_on_done, bench);
    spin_until(bench->answers == 1);
    g_assert_cmpuint(bench->errors, ==, 0);
    g_assert_cmpuint(fake_qemu_heard(qemu, "{\"max-bandwidth\":5000}"), ==, 1);
    g_assert_cmpuint(fake_qemu_heard(qemu, "\"auto-converge\",\"state\":false"), ==, 1);
    domain->backend->ops->write_knobs(domain, &knobs, 0, bench_on_done, bench);
    g_assert_cmpuint(bench->answers, ==, 1);
    spin_until(bench->answers == 2);
    g_assert_cmpuint(bench->errors, ==, 0);
}

static void
ask_all(MigdDomain *domain, Bench *bench)
{
    MigdStartOptions options = {.destination = "unix:/b"};
    MigdDecision abort = {.action = MIGD_ACTION_ABORT};
    MigdKnobs knobs = {.has = MIGD_KNOB_DOWNTIME, .downtime_limit_us = 1000};

    domain->backend->ops->query(domain, bench_on_sample, bench);
    domain->backend->ops->read_knobs(domain, bench_on_knobs, bench);
    domain->backend->ops->migrate(domain, &options, bench_on_done, bench);
    domain->backend->ops->act(domain, &abort, 0, bench_on_done, bench);
    domain->backend->ops->write_knobs(domain, &knobs, 0, bench_on_done, bench);
    domain->backend->ops->write_knobs(domain, &knobs, knobs.has, bench_on_done, bench);
}

/* Whatever ends a domain, its requests are answered before it is gone, and once. */
static void
test_lost(void)
{
    for (guint how = 0; how < 4; how++) {
        g_autoptr(Bench) bench = bench_new();
        FakeQemu *qemu = NULL;
        MigdDomain *domain = bench_one_vm(bench, &qemu);

        qemu->deaf = TRUE;
        ask_all(domain, bench);
        if (how == 0)
            fake_qemu_die(qemu);
        else if (how == 1)
            (void)g_unlink(qemu->path);
        else if (how == 2)
            bench_stop(bench);
        else
            fake_qemu_hang_up(qemu); /* the domain stays */
        spin_until(how == 3 ? bench->answers == 6 : bench->domains->len == 0);
        g_assert_cmpuint(bench->answers, ==, 6);
        g_assert_cmpuint(bench->errors - bench->lost, ==, 0);
        g_assert_cmpuint(bench->lost, >=, 5); /* there is nothing to write in one of them */
        spin_ms(30);
        g_assert_cmpuint(bench->answers, ==, 6);
        fake_qemu_free(qemu);
    }
}

static void
test_timed_out(void)
{
    g_autoptr(Bench) bench = bench_new();
    g_autoptr(FakeQemu) qemu = NULL;
    MigdDomain *domain = bench_one_vm(bench, &qemu);

    fake_qemu_reply(qemu, "query-migrate", FAKE_SILENCE);
    fake_qemu_reply(qemu, "query-migrate-parameters", FAKE_SILENCE);
    domain->backend->ops->query(domain, bench_on_sample, bench);
    (void)bench_wait_for(bench, "vm", MIGD_DOMAIN_UNRESPONSIVE);
    g_assert_cmpuint(bench->answers, ==, 1);
    g_assert_cmpuint(bench->lost, ==, 0);
    g_assert_cmpuint(bench->errors, ==, 1);
    fake_qemu_say(qemu, "{\"event\":\"RTC_CHANGE\"}\n");
    (void)bench_wait_for(bench, "vm", MIGD_DOMAIN_RUNNING);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/backend-qmp/request/query", test_query);
    g_test_add_func("/backend-qmp/request/migrate", test_migrate);
    g_test_add_func("/backend-qmp/request/migrate-fails", test_migrate_fails);
    g_test_add_func("/backend-qmp/request/act", test_act);
    g_test_add_func("/backend-qmp/request/write-knobs", test_write_knobs);
    g_test_add_func("/backend-qmp/request/lost", test_lost);
    g_test_add_func("/backend-qmp/request/timed-out", test_timed_out);
    return g_test_run();
}

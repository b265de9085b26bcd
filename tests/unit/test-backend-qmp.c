/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Tests of the QMP backend through its port, on scripted peers in a directory of their own: domains
 * that come, go, lie about who they are, hang and die; migrations that others started.
 */
#include "backend-bench.h"
#include "base/text.h"

#include <glib/gstdio.h>
#include <string.h>

/* ---- who is there ---- */

static void
test_found(void)
{
    g_autoptr(Bench) bench = bench_new();
    g_autoptr(FakeQemu) qemu = NULL;
    MigdDomain *domain = bench_one_vm(bench, &qemu);

    g_assert_cmpstr(bench_info(domain)->uuid, ==, UUID_A);
    g_assert_cmpuint(bench_info(domain)->memory_bytes, ==, 67108864);
    g_assert_null(bench_info(domain)->problem);
    g_assert_cmphex(bench_info(domain)->supports, ==,
                    MIGD_KNOB_DOWNTIME | MIGD_KNOB_BANDWIDTH | (guint32)MIGD_KNOBS_THROTTLE |
                        MIGD_KNOB_AUTO_CONVERGE | MIGD_KNOB_POSTCOPY | MIGD_KNOB_EVENTS);
    g_assert_cmpuint(fake_qemu_heard(qemu, "\"capability\":\"events\",\"state\":true"), ==, 1);
}

static void
test_other_files(void)
{
    g_autoptr(Bench) bench = bench_new();
    g_autofree char *file = g_build_filename(bench->directory, "file.qmp", NULL);
    g_autofree char *hidden = g_build_filename(bench->directory, ".hidden.qmp", NULL);
    g_autofree char *other = g_build_filename(bench->directory, "other.sock", NULL);
    g_autoptr(FakeQemu) b = fake_qemu_new(hidden);
    g_autoptr(FakeQemu) c = fake_qemu_new(other);
    g_autoptr(FakeQemu) qemu = NULL;

    g_assert_true(g_file_set_contents(file, "", 0, NULL));
    (void)bench_one_vm(bench, &qemu);
    spin_ms(50);
    g_assert_cmpuint(bench->domains->len, ==, 1);
    g_assert_cmpuint(b->connections + c->connections, ==, 0);
}

static void
test_come_and_go(void)
{
    g_autoptr(Bench) bench = bench_new();
    g_autoptr(FakeQemu) first = NULL;
    FakeQemu *second;

    (void)bench_one_vm(bench, &first);
    second = bench_peer(bench, "two");
    (void)bench_wait_for(bench, "two", MIGD_DOMAIN_RUNNING);
    fake_qemu_free(second);
    spin_until(bench_find(bench, "two") == NULL);
    second = bench_peer(bench, "two");
    (void)bench_wait_for(bench, "two", MIGD_DOMAIN_RUNNING);
    fake_qemu_free(second);
    spin_until(bench_find(bench, "two") == NULL);
    g_assert_cmpstr(bench->log->str, ==, "+vm +two -two +two -two ");
}

/* kill -9 leaves the file behind: gone from sight at once, back when somebody listens again. */
static void
test_killed(void)
{
    g_autoptr(Bench) bench = bench_new();
    g_autoptr(FakeQemu) qemu = NULL, again = NULL;

    (void)bench_one_vm(bench, &qemu);
    fake_qemu_die(qemu);
    spin_until(bench->domains->len == 0);
    again = bench_peer(bench, "vm"); /* a new socket under the same name */
    fake_qemu_reply(again, "query-status", "{\"status\":\"inmigrate\",\"running\":false}");
    (void)bench_wait_for(bench, "vm", MIGD_DOMAIN_INCOMING);
    g_assert_cmpstr(bench->log->str, ==, "+vm -vm +vm ");
    g_clear_pointer(&qemu->path, g_free); /* its file is the other's now */
    qemu->path = g_strdup("");
}

/* The directory is not there, then is, then vanishes with what is in it, then is there again. */
static void
test_late_directory(void)
{
    g_autoptr(Bench) bench = bench_new();
    g_autofree char *parent = g_build_filename(bench->directory, "late", NULL);
    g_autofree char *directory = g_build_filename(parent, "qmp", NULL);
    g_autofree char *path = g_build_filename(directory, "vm.qmp", NULL);

    bench_start(bench, directory);
    spin_ms(20);
    for (guint i = 0; i < 2; i++) {
        FakeQemu *qemu;

        g_assert_cmpint(g_mkdir_with_parents(directory, 0700), ==, 0);
        qemu = fake_qemu_new(path);
        (void)bench_wait_for(bench, "vm", MIGD_DOMAIN_RUNNING);
        fake_qemu_free(qemu);
        g_assert_cmpint(g_rmdir(directory), ==, 0);
        g_assert_cmpint(g_rmdir(parent), ==, 0);
        spin_until(bench->domains->len == 0);
        spin_ms(20);
    }
    g_assert_cmpstr(bench->log->str, ==, "+vm -vm +vm -vm ");
}

/* ---- who it is ---- */

static void
test_uuids(void)
{
    static const char *const replies[] = {
        UUID_REPLY("00000000-0000-0000-0000-000000000000"),
        UUID_REPLY("no-uuid"),
        UUID_REPLY("../../../etc/passwd"),
        "{\"UUID\":7}",
        "{}",
        NULL,
    };

    for (guint i = 0; i < G_N_ELEMENTS(replies); i++) {
        g_autoptr(Bench) bench = bench_new();
        g_autofree char *path = g_build_filename(bench->directory, "vm.qmp", NULL);
        g_autofree char *from_path = migd_uuid_from_name(path);
        g_autoptr(FakeQemu) qemu = bench_peer(bench, "vm");

        fake_qemu_reply(qemu, "query-uuid", replies[i]);
        bench_start(bench, bench->directory);
        (void)bench_wait_for(bench, "vm", MIGD_DOMAIN_RUNNING);
        g_assert_cmpstr(bench_info(bench_find(bench, "vm"))->uuid, ==, from_path);
    }
}

static void
test_uuid_taken(void)
{
    g_autoptr(Bench) bench = bench_new();
    g_autofree char *path_b = g_build_filename(bench->directory, "b.qmp", NULL);
    g_autofree char *from_path = migd_uuid_from_name(path_b);
    g_autofree char *claim = g_strdup_printf("{\"UUID\":\"%s\"}", from_path);
    g_autoptr(FakeQemu) a = bench_peer(bench, "a"), b = NULL, c = NULL;

    fake_qemu_reply(a, "query-uuid", claim); /* what b is going to be known by */
    bench_start(bench, bench->directory);
    (void)bench_wait_for(bench, "a", MIGD_DOMAIN_RUNNING);
    b = bench_peer(bench, "b");
    (void)bench_wait_for(bench, "b", MIGD_DOMAIN_RUNNING);
    c = bench_peer(bench, "c");
    fake_qemu_reply(c, "query-uuid", claim);
    (void)bench_wait_for(bench, "c", MIGD_DOMAIN_RUNNING);
    g_assert_cmpstr(bench_info(bench_find(bench, "a"))->uuid, ==, from_path);
    g_assert_cmpstr(bench_info(bench_find(bench, "b"))->uuid, !=, from_path);
    g_assert_cmpstr(bench_info(bench_find(bench, "c"))->uuid, !=, from_path);
    g_assert_cmpstr(bench_info(bench_find(bench, "c"))->uuid, !=,
                    bench_info(bench_find(bench, "b"))->uuid);
}

static void
test_uuid_changes(void)
{
    g_autoptr(Bench) bench = bench_new();
    g_autoptr(FakeQemu) qemu = NULL;

    (void)bench_one_vm(bench, &qemu);
    fake_qemu_reply(qemu, "query-uuid", UUID_REPLY("99999999-2222-3333-4444-555555555555"));
    fake_qemu_hang_up(qemu);
    spin_until(strcmp(bench->log->str, "+vm -vm +vm ") == 0);
    g_assert_true(g_str_has_prefix(bench_info(bench_find(bench, "vm"))->uuid, "99999999"));
}

/* ---- peers that misbehave are marked, the rest go on ---- */

static void
test_silent(void)
{
    g_autoptr(Bench) bench = bench_new();
    g_autoptr(FakeQemu) silent = bench_peer(bench, "silent"), qemu = NULL;
    MigdDomain *domain;

    silent->greeting = NULL;
    (void)bench_one_vm(bench, &qemu);
    domain = bench_wait_for(bench, "silent", MIGD_DOMAIN_UNRESPONSIVE);
    g_assert_nonnull(strstr(bench_info(domain)->problem, "greeting"));
    g_assert_cmpuint(bench->faults[MIGD_QMP_FAULT_TIMED_OUT], ==, 1);
    fake_qemu_reply(silent, "query-uuid", UUID_REPLY("77777777-2222-3333-4444-555555555555"));
    fake_qemu_say(silent, FAKE_GREETING);
    domain = bench_wait_for(bench, "silent", MIGD_DOMAIN_RUNNING);
    g_assert_true(g_str_has_prefix(bench_info(domain)->uuid, "77777777"));
    g_assert_cmpint(bench_info(bench_find(bench, "vm"))->state, ==, MIGD_DOMAIN_RUNNING);
}

static void
test_faulty(void)
{
    g_autoptr(Bench) bench = bench_new();
    g_autoptr(FakeQemu) rude = bench_peer(bench, "rude"), qemu = NULL;
    MigdDomain *domain;

    rude->greeting = "NO CARRIER \x1b[2J\n";
    domain = bench_one_vm(bench, &qemu);
    g_assert_nonnull(bench_info(bench_wait_for(bench, "rude", MIGD_DOMAIN_FAULTY))->problem);
    g_assert_cmpuint(bench->faults[MIGD_QMP_FAULT_MALFORMED], >=, 1);
    domain->backend->ops->query(domain, bench_on_sample, bench);
    spin_until(bench->answers == 1);
    g_assert_cmpuint(bench->errors, ==, 0);
}

static const struct {
    const char *command, *value;
} odd_probes[] = {
    {"query-status", "[]"},
    {"query-migrate-capabilities", "{}"},
    {"query-migrate-parameters", "{\"downtime-limit\":-3}"},
    {"query-migrate", "{\"status\":\"active\",\"ram\":{\"remaining\":-1}}"},
    {"query-memory-size-summary", "{\"base-memory\":1e5}"},
};

/* Nonsense in a reply: marked with the member's name, and well again once it talks sense. */
static void
test_odd(void)
{
    for (guint i = 0; i < G_N_ELEMENTS(odd_probes); i++) {
        g_autoptr(Bench) bench = bench_new();
        g_autoptr(FakeQemu) qemu = bench_peer(bench, "vm");
        MigdDomain *domain;

        fake_qemu_reply(qemu, odd_probes[i].command, odd_probes[i].value);
        bench_start(bench, bench->directory);
        domain = bench_wait_for(bench, "vm", MIGD_DOMAIN_FAULTY);
        g_assert_nonnull(bench_info(domain)->problem);
        fake_qemu_reply(qemu, "query-migrate", "{}");
        fake_qemu_reply(qemu, "query-migrate-parameters", "{}");
        domain->backend->ops->query(domain, bench_on_sample, bench);
        spin_until(bench->answers == 1);
        g_assert_cmpuint(bench->errors, ==, 0);
        if (i > 0) /* only query-status tells that it runs */
            g_assert_cmpint(bench_info(domain)->state, ==, MIGD_DOMAIN_RUNNING);
    }
}

static void
test_odd_event(void)
{
    g_autoptr(Bench) bench = bench_new();
    g_autoptr(FakeQemu) qemu = NULL;

    (void)bench_one_vm(bench, &qemu);
    fake_qemu_say(qemu, "{\"event\":\"MIGRATION_PASS\",\"data\":{\"pass\":-1}}\n");
    (void)bench_wait_for(bench, "vm", MIGD_DOMAIN_FAULTY);
    g_assert_cmpstr(bench->log->str, ==, "+vm ");
    g_assert_cmpuint(bench->faults[MIGD_QMP_FAULT_IMPLAUSIBLE], ==, 1);
}

static guint
all_faults(const Bench *bench)
{
    guint n = 0;

    for (guint i = 0; i < MIGD_N_QMP_FAULTS; i++)
        n += bench->faults[i];
    return n;
}

/* Each is counted once, and what belongs to the life of a QEMU is not: questions that it does not
 * know when it is first met, and a connection that ends while nobody waits for anything. */
static void
test_counted_faults(void)
{
    g_autoptr(Bench) bench = bench_new();
    g_autoptr(FakeQemu) qemu = NULL;
    MigdDomain *domain = bench_one_vm(bench, &qemu);
    g_autofree char *other = NULL;
    guint n;

    g_assert_cmpuint(all_faults(bench), ==, 0);
    fake_qemu_reply(qemu, "query-migrate", NULL);
    domain->backend->ops->query(domain, bench_on_sample, bench);
    spin_until(bench->errors == 1);
    g_assert_cmpuint(bench->faults[MIGD_QMP_FAULT_NO_COMMAND], ==, 1);
    fake_qemu_reply(qemu, "query-migrate", FAKE_SILENCE);
    n = fake_qemu_heard(qemu, "query-migrate-parameters");
    domain->backend->ops->query(domain, bench_on_sample, bench);
    spin_until(fake_qemu_heard(qemu, "query-migrate-parameters") == n + 1);
    other = g_strdup_printf(
        "{\"error\":{\"class\":\"Kaputt\",\"desc\":\"x\"},\"id\":%" G_GUINT64_FORMAT "}\n",
        qemu->last_id - 1); /* the parameters are asked for after it */
    fake_qemu_say(qemu, other);
    spin_until(bench->errors == 2);
    g_assert_cmpuint(bench->faults[MIGD_QMP_FAULT_OTHER_CLASS], ==, 1);
    domain->backend->ops->query(domain, bench_on_sample, bench);
    spin_until(fake_qemu_heard(qemu, "query-migrate-parameters") == n + 2);
    fake_qemu_hang_up(qemu);
    spin_until(bench->errors == 3);
    g_assert_cmpuint(bench->faults[MIGD_QMP_FAULT_LOST], ==, 1);
    fake_qemu_reply(qemu, "query-migrate", "{}");
    spin_until(qemu->connections == 2);
    domain = bench_wait_for(bench, "vm", MIGD_DOMAIN_RUNNING);
    n = bench->answers;
    domain->backend->ops->read_knobs(domain, bench_on_knobs, bench);
    spin_until(bench->answers == n + 1); /* and so is all that was asked before */
    fake_qemu_hang_up(qemu);
    spin_until(qemu->connections == 3);
    (void)bench_wait_for(bench, "vm", MIGD_DOMAIN_RUNNING);
    g_assert_cmpuint(all_faults(bench), ==, 3);
}

/* ---- state and events ---- */

static void
test_events(void)
{
    g_autoptr(Bench) bench = bench_new();
    g_autoptr(FakeQemu) qemu = NULL;

    (void)bench_one_vm(bench, &qemu);
    fake_qemu_say(qemu, "{\"event\":\"MIGRATION\",\"data\":{\"status\":\"setup\"}}\n"
                        "{\"event\":\"MIGRATION_PASS\",\"data\":{\"pass\":1}}\n"
                        "{\"event\":\"MIGRATION\",\"data\":{\"status\":\"active\"}}\n"
                        "{\"event\":\"STOP\"}\n");
    (void)bench_wait_for(bench, "vm", MIGD_DOMAIN_PAUSED);
    fake_qemu_reply(qemu, "query-status", "{\"status\":\"postmigrate\",\"running\":false}");
    fake_qemu_say(qemu, "{\"event\":\"MIGRATION\",\"data\":{\"status\":\"completed\"}}\n");
    (void)bench_wait_for(bench, "vm", MIGD_DOMAIN_SHUTOFF);
    g_assert_cmpstr(bench->log->str, ==, "+vm setup pass1 precopy completed ");
}

/* Somebody else's migration runs already when we come. */
static void
test_running_already(void)
{
    g_autoptr(Bench) bench = bench_new();
    g_autoptr(FakeQemu) qemu = bench_peer(bench, "vm");
    MigdDomain *domain;

    fake_qemu_reply(qemu, "query-migrate", "{\"status\":\"active\",\"ram\":{\"total\":5}}");
    bench_start(bench, bench->directory);
    domain = bench_wait_for(bench, "vm", MIGD_DOMAIN_RUNNING);
    g_assert_cmpstr(bench->log->str, ==, "+vm precopy ");
    g_assert_cmpuint(fake_qemu_heard(qemu, "migrate-set-capabilities"), ==, 0);
    /* Once it is over, the next one is to be announced. */
    fake_qemu_reply(qemu, "query-migrate", "{\"status\":\"cancelled\"}");
    domain->backend->ops->query(domain, bench_on_sample, bench);
    spin_until(fake_qemu_heard(qemu, "migrate-set-capabilities") == 1);
}

/* One that begins between our question and our wish to be told. */
static void
test_begins_meanwhile(void)
{
    g_autoptr(Bench) bench = bench_new();
    g_autoptr(FakeQemu) qemu = bench_peer(bench, "vm");

    fake_qemu_reply(qemu, "migrate-set-capabilities", FAKE_SILENCE);
    bench_start(bench, bench->directory);
    spin_until(fake_qemu_heard(qemu, "migrate-set-capabilities") == 1);
    fake_qemu_reply(qemu, "query-migrate", "{\"status\":\"setup\"}");
    {
        g_autofree char *refusal = g_strdup_printf(
            "{\"error\":{\"class\":\"GenericError\",\"desc\":\"There's a migration process in "
            "progress\"},\"id\":%" G_GUINT64_FORMAT "}\n",
            qemu->last_id);
        fake_qemu_say(qemu, refusal);
    }
    spin_until(strcmp(bench->log->str, "+vm setup ") == 0);
}

/* The destination's own events are not those of a migration that we could steer. */
static void
test_incoming(void)
{
    g_autoptr(Bench) bench = bench_new();
    g_autoptr(FakeQemu) qemu = bench_peer(bench, "vm");

    fake_qemu_reply(qemu, "query-status", "{\"status\":\"inmigrate\",\"running\":false}");
    bench_start(bench, bench->directory);
    (void)bench_wait_for(bench, "vm", MIGD_DOMAIN_INCOMING);
    fake_qemu_reply(qemu, "query-status", "{\"status\":\"running\",\"running\":true}");
    fake_qemu_say(qemu, "{\"event\":\"MIGRATION\",\"data\":{\"status\":\"active\"}}\n"
                        "{\"event\":\"RESUME\"}\n"
                        "{\"event\":\"MIGRATION\",\"data\":{\"status\":\"completed\"}}\n");
    (void)bench_wait_for(bench, "vm", MIGD_DOMAIN_RUNNING);
    spin_until(fake_qemu_heard(qemu, "query-status") == 2);
    g_assert_cmpstr(bench->log->str, ==, "+vm ");
    /* From now on it can be a source. */
    fake_qemu_say(qemu, "{\"event\":\"MIGRATION\",\"data\":{\"status\":\"setup\"}}\n");
    spin_until(strcmp(bench->log->str, "+vm setup ") == 0);
}

/* Found in the middle of post-copy: it runs, but the figures are the source's to tell. */
static void
test_incoming_postcopy(void)
{
    g_autoptr(Bench) bench = bench_new();
    g_autoptr(FakeQemu) qemu = bench_peer(bench, "vm");

    fake_qemu_reply(qemu, "query-migrate", "{\"status\":\"postcopy-active\"}");
    bench_start(bench, bench->directory);
    (void)bench_wait_for(bench, "vm", MIGD_DOMAIN_RUNNING);
    spin_ms(20);
    g_assert_cmpstr(bench->log->str, ==, "+vm ");
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/backend-qmp/found", test_found);
    g_test_add_func("/backend-qmp/other-files", test_other_files);
    g_test_add_func("/backend-qmp/come-and-go", test_come_and_go);
    g_test_add_func("/backend-qmp/killed", test_killed);
    g_test_add_func("/backend-qmp/late-directory", test_late_directory);
    g_test_add_func("/backend-qmp/uuids", test_uuids);
    g_test_add_func("/backend-qmp/uuid/taken", test_uuid_taken);
    g_test_add_func("/backend-qmp/uuid/changes", test_uuid_changes);
    g_test_add_func("/backend-qmp/silent", test_silent);
    g_test_add_func("/backend-qmp/faulty", test_faulty);
    g_test_add_func("/backend-qmp/odd", test_odd);
    g_test_add_func("/backend-qmp/odd/event", test_odd_event);
    g_test_add_func("/backend-qmp/counted-faults", test_counted_faults);
    g_test_add_func("/backend-qmp/events", test_events);
    g_test_add_func("/backend-qmp/running-already", test_running_already);
    g_test_add_func("/backend-qmp/begins-meanwhile", test_begins_meanwhile);
    g_test_add_func("/backend-qmp/incoming", test_incoming);
    g_test_add_func("/backend-qmp/incoming/postcopy", test_incoming_postcopy);
    return g_test_run();
}

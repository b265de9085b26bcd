/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Tests of what the libvirt backend lets through: monitor commands, messages of the hook,
 * destinations.
 */
#include <fcntl.h>
#include <glib/gstdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "daemon/options.h"
#include "daemon/virt-hook.h"
#include "daemon/virt-monitor.h"

#define UUID "73662a5b-61c7-4b63-af15-d23d57da97da"

/* ---- monitor --------------------------------------------------------------------------------- */

static void
assert_encodes(const char *name, const char *arguments, const char *text)
{
    const MigdQmpCommand command = {
        .name = name,
        .arguments =
            arguments != NULL ? migd_json_parse(arguments, strlen(arguments), NULL) : NULL};
    g_autoptr(GError) error = NULL;
    g_autofree char *encoded = migd_virt_monitor_encode(&command, &error);

    g_test_message("%s %s", name, arguments);
    g_assert_cmpstr(encoded, ==, text);
    if (text == NULL)
        g_assert_error(error, MIGD_ERROR, MIGD_ERROR_NOT_SUPPORTED);
    migd_json_unref(command.arguments);
}

static void
test_allow_list(void)
{
    assert_encodes("query-migrate-parameters", NULL, "{\"execute\":\"query-migrate-parameters\"}");
    assert_encodes("query-migrate-capabilities", NULL,
                   "{\"execute\":\"query-migrate-capabilities\"}");
    assert_encodes(
        "migrate-set-parameters", "{\"cpu-throttle-initial\":80}",
        "{\"execute\":\"migrate-set-parameters\",\"arguments\":{\"cpu-throttle-initial\":"
        "80}}");
    assert_encodes("migrate-set-parameters",
                   "{\"max-cpu-throttle\":1,\"throttle-trigger-threshold\":1,\"cpu-throttle-"
                   "increment\":1,\"cpu-throttle-tailslow\":false}",
                   "{\"execute\":\"migrate-set-parameters\",\"arguments\":{\"max-cpu-throttle\":1,"
                   "\"throttle-trigger-threshold\":1,\"cpu-throttle-increment\":1,\"cpu-throttle-"
                   "tailslow\":false}}");
    assert_encodes("migrate-set-parameters", NULL, NULL);
    assert_encodes("migrate-set-parameters", "{\"downtime-limit\":300}", NULL);
    assert_encodes("migrate-set-parameters", "{\"max-bandwidth\":1}", NULL);
    assert_encodes("migrate-set-parameters", "{\"cpu-throttle-initial\":80,\"tls-creds\":\"x\"}",
                   NULL);
    assert_encodes("query-migrate-parameters", "{\"x\":1}", NULL);
    assert_encodes("migrate-set-capabilities", "{\"capabilities\":[]}", NULL);
    assert_encodes("migrate-set-capabilities",
                   "{\"capabilities\":[{\"capability\":\"auto-converge\",\"state\":true}]}", NULL);
    assert_encodes("migrate-set-capabilities",
                   "{\"capabilities\":[{\"capability\":\"x-write-protect-all\",\"state\":true},"
                   "{\"capability\":\"postcopy-ram\",\"state\":true}]}",
                   NULL);
    assert_encodes("migrate-set-capabilities",
                   "{\"capabilities\":[{\"capability\":\"x-write-protect-all\",\"state\":true}]}",
                   "{\"execute\":\"migrate-set-capabilities\",\"arguments\":{\"capabilities\":"
                   "[{\"capability\":\"x-write-protect-all\",\"state\":true}]}}");
    assert_encodes("query-vcpu-dirty-limit", NULL, "{\"execute\":\"query-vcpu-dirty-limit\"}");
    assert_encodes("query-vcpu-dirty-limit", "{\"x\":1}", NULL);
    assert_encodes("cancel-vcpu-dirty-limit", NULL, "{\"execute\":\"cancel-vcpu-dirty-limit\"}");
    assert_encodes("cancel-vcpu-dirty-limit", "{\"cpu-index\":0}", NULL);
    assert_encodes("set-vcpu-dirty-limit", "{\"dirty-rate\":7}",
                   "{\"execute\":\"set-vcpu-dirty-limit\",\"arguments\":{\"dirty-rate\":7}}");
    assert_encodes("set-vcpu-dirty-limit", NULL, NULL);
    assert_encodes("set-vcpu-dirty-limit", "{\"cpu-index\":-1,\"dirty-rate\":0}", NULL);
    assert_encodes("calc-dirty-rate", "{\"calc-time\":1,\"mode\":\"dirty-bitmap\"}", NULL);
    assert_encodes("migrate_cancel", NULL, NULL);
    assert_encodes("migrate-start-postcopy", NULL, NULL);
    assert_encodes("migrate-continue", NULL, NULL);
    assert_encodes("stop", NULL, NULL);
    assert_encodes("human-monitor-command", "{\"command-line\":\"quit\"}", NULL);
}

/* What a decision becomes passes the list. */
static void
test_decisions_pass(void)
{
    static const MigdAction actions[] = {MIGD_ACTION_ARM, MIGD_ACTION_THROTTLE,
                                         MIGD_ACTION_RELEASE};

    for (gsize i = 0; i < G_N_ELEMENTS(actions); i++) {
        const MigdDecision decision = {.action = actions[i], .argument = 80, .trigger_pct = 50};
        g_autoptr(GError) error = NULL;
        g_autoptr(MigdQmpCommand) command =
            migd_qmp_command_for_decision(&decision, 0, MIGD_KNOBS_THROTTLE, NULL, &error);
        g_autofree char *text = migd_virt_monitor_encode(command, &error);

        g_assert_no_error(error);
        g_assert_nonnull(strstr(text, "max-cpu-throttle"));
    }
}

static void
test_replies(void)
{
    static const char parameters[] =
        "{\"return\":{\"cpu-throttle-initial\":20,\"max-cpu-throttle\":99,\"downtime-limit\":300,"
        "\"max-bandwidth\":41943040},\"id\":\"libvirt-42\"}";
    static const char capabilities[] =
        "{\"return\":[{\"capability\":\"auto-converge\",\"state\":true},{\"capability\":\"postcopy-"
        "ram\",\"state\":false}]}";
    static const char *const bad[] = {
        "",
        "{",
        "[]",
        "{\"return\":1}",
        "{\"result\":{}}",
        "{\"error\":{\"class\":\"GenericError\",\"desc\":\"no such thing\"}}",
        "{\"return\":{\"max-cpu-throttle\":-5}}",
        "{\"return\":{\"downtime-limit\":\"x\"}}",
    };
    MigdKnobs knobs = {0};
    g_autoptr(GError) error = NULL;

    g_assert_true(migd_virt_monitor_knobs(parameters, capabilities, &knobs, &error));
    g_assert_no_error(error);
    g_assert_cmpuint(knobs.downtime_limit_us, ==, 300000);
    g_assert_cmpuint(knobs.max_bandwidth_bps, ==, 41943040);
    g_assert_cmpuint(knobs.throttle_max_pct, ==, 99);
    g_assert_true(knobs.auto_converge);
    g_assert_true((knobs.has & MIGD_KNOB_POSTCOPY) != 0 && !knobs.postcopy);
    for (gsize i = 0; i < G_N_ELEMENTS(bad); i++) {
        g_autoptr(GError) failure = NULL;

        g_test_message("%s", bad[i]);
        g_assert_false(migd_virt_monitor_knobs(bad[i], NULL, &knobs, &failure));
        g_assert_nonnull(failure);
    }
    knobs = (MigdKnobs){0};
    g_assert_true(migd_virt_monitor_limits("{\"return\":[]}", &knobs, NULL));
    g_assert_cmpuint(knobs.has, ==, MIGD_KNOB_VCPU_LIMIT);
    g_assert_cmpuint(knobs.vcpu_limit_bps, ==, 0);
    g_assert_true(migd_virt_monitor_limits(
        "{\"return\":[{\"cpu-index\":0,\"limit-rate\":7,\"current-rate\":0}]}", &knobs, NULL));
    g_assert_cmpuint(knobs.vcpu_limit_bps, ==, 7 * 1048576);
    g_assert_false(migd_virt_monitor_limits(bad[5], &knobs, NULL));
    g_assert_false(migd_virt_monitor_check(bad[5], NULL));
    g_assert_true(migd_virt_monitor_check("{\"return\":{}}", NULL));
}

static void
test_monitor_faults(void)
{
    static const struct {
        const char *reply;
        MigdQmpFault fault;
    } rows[] = {
        {"", MIGD_QMP_FAULT_MALFORMED},
        {"{\"return\":", MIGD_QMP_FAULT_MALFORMED},
        {"{\"error\":{\"class\":\"GenericError\",\"desc\":\"x\"}}", MIGD_QMP_FAULT_GENERIC},
        {"{\"error\":{\"class\":\"CommandNotFound\"}}", MIGD_QMP_FAULT_NO_COMMAND},
        {"{\"error\":{}}", MIGD_QMP_FAULT_OTHER_CLASS},
    };
    MigdQmpFault fault;

    for (guint i = 0; i < G_N_ELEMENTS(rows); i++) {
        g_assert_true(migd_virt_monitor_fault(rows[i].reply, &fault));
        g_assert_cmpint(fault, ==, rows[i].fault);
    }
    g_assert_false(migd_virt_monitor_fault("{\"return\":{}}", &fault));
}

/* ---- hook ------------------------------------------------------------------------------------ */

static void
test_messages(void)
{
    static const struct {
        const char *line, *name; /* NULL = refused */
    } rows[] = {
        {"1 migrate begin " UUID " vm", "vm"},
        {"1 migrate begin " UUID " a guest's name", "a guest's name"},
        {"2 migrate begin " UUID " vm", NULL},
        {"1 started begin " UUID " vm", NULL},
        {"1 migrate end " UUID " vm", NULL},
        {"1 migrate begin " UUID " ", NULL},
        {"1 migrate begin " UUID, NULL},
        {"1 migrate begin not-a-uuid vm", NULL},
        {"1 migrate begin ../../../../etc/passwd-and-so-on-and-so vm", NULL},
        {"1 migrate begin " UUID " \033[1m", NULL},
        {"1 migrate begin " UUID " \xff", NULL},
        {"1  migrate begin " UUID " vm", NULL},
        {"", NULL},
        {"    ", NULL},
    };

    for (gsize i = 0; i < G_N_ELEMENTS(rows); i++) {
        g_autofree char *line = g_strdup(rows[i].line);
        const char *uuid = NULL, *name = NULL;
        gboolean good = migd_virt_hook_parse(line, &uuid, &name);

        g_test_message("row %zu", i);
        g_assert_cmpint(good, ==, rows[i].name != NULL);
        g_assert_cmpstr(name, ==, rows[i].name);
        g_assert_cmpstr(uuid, ==, good ? UUID : NULL);
    }
}

static void
count(const char *uuid, const char *name, gpointer user_data)
{
    g_assert_cmpstr(uuid, ==, UUID);
    g_assert_cmpstr(name, ==, "vm");
    ++*(guint *)user_data;
}

static void
run_loop(void)
{
    for (guint i = 0; i < 20; i++) {
        g_main_context_iteration(NULL, FALSE);
        g_usleep(500);
    }
}

static void
write_all(int fd, const char *text)
{
    g_assert_cmpint(write(fd, text, strlen(text)), ==, (gssize)strlen(text));
}

static void
test_fifo(void)
{
    static const char message[] = "1 migrate begin " UUID " vm\n";
    g_autofree char *directory = g_dir_make_tmp("migd-hook-XXXXXX", NULL);
    g_autofree char *path = g_build_filename(directory, "run", "hook", NULL);
    g_autofree char *parent = g_path_get_dirname(path);
    g_autofree char *garbage = g_strnfill(3000, 'x');
    g_autoptr(GError) error = NULL;
    guint heard = 0;
    MigdVirtHook *hook = migd_virt_hook_new(path, count, &heard, &error);
    struct stat st;
    int fd;

    g_assert_no_error(error);
    g_assert_cmpint(stat(path, &st), ==, 0);
    g_assert_true(S_ISFIFO(st.st_mode));
    g_assert_cmpint(st.st_mode & 0777, ==, 0600);
    fd = open(path, O_WRONLY | O_NONBLOCK | O_CLOEXEC);
    g_assert_cmpint(fd, >=, 0);
    write_all(fd, message);
    run_loop();
    g_assert_cmpuint(heard, ==, 1);
    write_all(fd, garbage); /* is no line, and is forgotten */
    run_loop();
    write_all(fd, "\n");
    write_all(fd, message);
    write_all(fd, message);
    run_loop();
    g_assert_cmpuint(heard, ==, 3);
    (void)close(fd);
    run_loop(); /* its last writer has gone: no matter */
    migd_virt_hook_free(hook);
    g_assert_cmpint(open(path, O_WRONLY | O_NONBLOCK | O_CLOEXEC), ==, -1); /* nobody reads */

    hook = migd_virt_hook_new(path, count, &heard, &error); /* the next daemon finds it there */
    g_assert_no_error(error);
    migd_virt_hook_free(hook);
    g_assert_cmpint(g_unlink(path), ==, 0);
    g_assert_true(g_file_set_contents(path, "a file", -1, NULL));
    hook = migd_virt_hook_new(path, count, &heard, &error);
    g_assert_no_error(error);
    migd_virt_hook_free(hook);
    (void)g_unlink(path);
    (void)g_rmdir(parent);
    (void)g_rmdir(directory);
}

/* ---- destinations ---------------------------------------------------------------------------- */

static void
test_destinations(void)
{
    static const char *const good[] = {
        "qemu+tls://host/system",
        "qemu+tcp://[fd00::1]:16509/system",
        "qemu+ssh://root@host/system",
        "qemu+unix:///system?socket=/run/x/libvirt-sock",
        "qemu+ssh://host/system?mode=direct&socket=/x",
    };
    static const char *const bad[] = {
        "",
        "tcp:host:1",
        "unix:/x",
        "qemu:///system",
        "qemu+tcp:host",
        "xen+tcp://host/",
        "qemu+ext://host/system?command=/bin/sh",
        "qemu+ssh://host/system?command=/bin/sh",
        "qemu+ssh://host/system?socket=/x&netcat=evil",
        "qemu+ssh://-oProxyCommand=x/system",
        "qemu+ssh://root@-oProxyCommand=x/system",
        "qemu+tcp://host/system#x",

        "qemu+tcp://ho\nst/system",
        "qemu+tcp://\xff/system",
        "test+tcp://host/default",
        "qemu+://host/system",
        "qemu+vxlan://host/system",
    };

    for (gsize i = 0; i < G_N_ELEMENTS(good); i++) {
        g_autoptr(GError) error = NULL;

        g_test_message("%s", good[i]);
        g_assert_true(migd_virt_destination_check(good[i], NULL, &error));
        g_assert_no_error(error);
    }
    for (gsize i = 0; i < G_N_ELEMENTS(bad); i++) {
        g_autoptr(GError) error = NULL;

        g_test_message("%zu", i);
        g_assert_false(migd_virt_destination_check(bad[i], NULL, &error));
        g_assert_error(error, MIGD_ERROR, MIGD_ERROR_INVALID_ARGUMENT);
    }
}

static void
test_migrate_uris(void)
{
    static const char host[] = "qemu+tls://host/system";
    static const char *const good[] = {"tcp://host", "tcp://192.0.2.7:49152", "tcp://[fd00::1]:1",
                                       "unix:///run/migration.sock"};
    static const char *const bad[] = {"",          "tcp://",       "tcp:host",   "rdma://host",
                                      "exec:cat",  "tcp://host/x", "tcp://h;id", "unix://x",
                                      "file:///x", "unix:///a\nb"};

    for (gsize i = 0; i < G_N_ELEMENTS(good); i++)
        g_assert_true(migd_virt_destination_check(host, good[i], NULL));
    for (gsize i = 0; i < G_N_ELEMENTS(bad); i++) {
        g_test_message("%s", bad[i]);
        g_assert_false(migd_virt_destination_check(host, bad[i], NULL));
    }
    g_assert_false(migd_destination_check("tcp:host:1", "tcp://host", NULL));
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/virt/monitor/allow-list", test_allow_list);
    g_test_add_func("/virt/monitor/decisions", test_decisions_pass);
    g_test_add_func("/virt/monitor/replies", test_replies);
    g_test_add_func("/virt/monitor/faults", test_monitor_faults);
    g_test_add_func("/virt/hook/messages", test_messages);
    g_test_add_func("/virt/hook/fifo", test_fifo);
    g_test_add_func("/virt/destinations", test_destinations);
    g_test_add_func("/virt/destinations/streams", test_migrate_uris);
    return g_test_run();
}

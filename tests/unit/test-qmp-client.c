/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Tests of the QMP client against a scripted peer: the good life, and every way in which a peer can
 * be silent, late, rude, dead or too talkative. What must hold in all of them: each command is
 * answered exactly once, memory stays bounded, and a second peer does not notice.
 */
#include "base/error.h"
#include "fake-qemu.h"
#include "qmp/client.h"

#include <malloc.h>
#include <string.h>

/* Short times, so that the tests are quick; the relations between them are those of production. */
static const MigdQmpLimits quick = {
    .timeout_ms = 150,
    .backoff_min_ms = 5,
    .backoff_max_ms = 80,
    .quarantine_ms = 60,
    .healthy_ms = 500,
    .messages_per_s = 1000,
    .bytes_per_s = 4 << 20,
};

typedef struct {
    char *directory;
    FakeQemu *qemu;
    MigdQmpClient *client;
    MigdQmpState state;
    char *problem;
    guint states;    /* told so far */
    GString *events; /* names */
    guint answers, errors, timeouts;
    char *reply; /* the last one */
    gboolean free_on_answer, free_on_event;
} Bench;

static void
on_state(MigdQmpState state, const char *problem, gpointer user_data)
{
    Bench *bench = user_data;

    bench->state = state;
    bench->states++;
    g_free(bench->problem);
    bench->problem = g_strdup(problem);
}

static void
on_event(const MigdQmpMessage *event, gpointer user_data)
{
    Bench *bench = user_data;

    g_string_append_printf(bench->events, "%s ", event->name);
    if (bench->free_on_event)
        g_clear_pointer(&bench->client, migd_qmp_client_free);
}

static const MigdQmpListener listener = {.state = on_state, .event = on_event};

static void
on_answer(const MigdJson *reply, const GError *error, gpointer user_data)
{
    Bench *bench = user_data;

    bench->answers++;
    bench->errors += error != NULL;
    bench->timeouts += g_error_matches(error, MIGD_ERROR, MIGD_ERROR_TIMED_OUT);
    g_free(bench->reply);
    bench->reply = error != NULL   ? g_strdup(error->message)
                   : reply != NULL ? migd_json_to_string(reply, MIGD_JSON_SHORT)
                                   : NULL;
    if (bench->free_on_answer)
        g_clear_pointer(&bench->client, migd_qmp_client_free);
}

static void
bench_free(Bench *bench)
{
    migd_qmp_client_free(bench->client);
    fake_qemu_free(bench->qemu);
    g_string_free(bench->events, TRUE);
    g_free(bench->problem);
    g_free(bench->reply);
    remove_directory(bench->directory);
    g_free(bench);
}

G_DEFINE_AUTOPTR_CLEANUP_FUNC(Bench, bench_free)

/* A peer and a client that has not connected yet. */
static Bench *
bench_new(void)
{
    Bench *bench = g_new0(Bench, 1);
    g_autofree char *path = NULL;

    bench->directory = make_directory();
    bench->events = g_string_new(NULL);
    path = g_build_filename(bench->directory, "vm.qmp", NULL);
    bench->qemu = fake_qemu_new(path);
    bench->client = migd_qmp_client_new(path, &quick, &listener, bench);
    return bench;
}

static Bench *
bench_ready(void)
{
    Bench *bench = bench_new();

    spin_until(bench->state == MIGD_QMP_READY);
    return bench;
}

static void
call(Bench *bench, const char *command)
{
    migd_qmp_client_call(bench->client, command, NULL, on_answer, bench);
}

static void
test_talk(void)
{
    g_autoptr(Bench) bench = bench_ready();

    g_assert_null(bench->problem);
    call(bench, "query-uuid");
    g_assert_cmpuint(bench->answers, ==, 0); /* never before the call returns */
    spin_until(bench->answers == 1);
    g_assert_cmpstr(bench->reply, ==, "{\"UUID\":\"00000000-0000-0000-0000-000000000000\"}");
    call(bench, "no-such-command");
    spin_until(bench->answers == 2);
    g_assert_cmpstr(bench->reply, ==, "no-such-command: unknown");
    fake_qemu_say(bench->qemu, "{\"event\":\"STOP\"}\r\n{\"event\":\"RESUME\"}\r\n");
    spin_until(bench->events->len > 11);
    g_assert_cmpstr(bench->events->str, ==, "STOP RESUME ");
    g_assert_cmpuint(bench->qemu->connections, ==, 1);
}

/* Each of many commands gets its own answer, also when replies come in another order. */
static void
test_out_of_order(void)
{
    g_autoptr(Bench) bench = bench_ready();
    g_autofree char *swapped = NULL;
    guint64 last;

    fake_qemu_reply(bench->qemu, "query-migrate", FAKE_SILENCE);
    call(bench, "query-migrate");
    call(bench, "query-migrate");
    spin_until(fake_qemu_heard(bench->qemu, "query-migrate") == 2);
    last = bench->qemu->last_id;
    swapped = g_strdup_printf("{\"return\":{\"n\":2},\"id\":%" G_GUINT64_FORMAT "}\n", last);
    fake_qemu_say(bench->qemu, swapped);
    spin_until(bench->answers == 1);
    g_assert_cmpstr(bench->reply, ==, "{\"n\":2}");
    g_free(swapped);
    swapped = g_strdup_printf("{\"return\":{\"n\":1},\"id\":%" G_GUINT64_FORMAT "}\n", last - 1);
    fake_qemu_say(bench->qemu, swapped);
    spin_until(bench->answers == 2);
    g_assert_cmpstr(bench->reply, ==, "{\"n\":1}");
    fake_qemu_say(bench->qemu, swapped); /* once more: nobody waits for it */
    spin_ms(30);
    g_assert_cmpuint(bench->answers, ==, 2);
    g_assert_cmpint(bench->state, ==, MIGD_QMP_READY);
}

static void
test_unknown_ids(void)
{
    g_autoptr(Bench) bench = bench_ready();

    fake_qemu_say(bench->qemu, "{\"return\":{},\"id\":424242}\n{\"return\":{}}\n"
                               "{\"return\":{},\"id\":\"x\"}\n{\"return\":{},\"id\":-1}\n"
                               "{\"error\":{\"class\":\"X\",\"desc\":\"y\"},\"id\":[1]}\n");
    call(bench, "query-status");
    spin_until(bench->answers == 1);
    g_assert_cmpuint(bench->errors, ==, 0);
    g_assert_cmpint(bench->state, ==, MIGD_QMP_READY);
}

/* No greeting: reported once, connection kept, and taken up when it comes free after all. */
static void
test_silent_greeting(void)
{
    g_autoptr(Bench) bench = bench_new();

    bench->qemu->greeting = NULL;
    spin_until(bench->state == MIGD_QMP_SILENT);
    g_assert_nonnull(strstr(bench->problem, "greeting"));
    spin_ms(2 * quick.timeout_ms + 50);
    g_assert_cmpuint(bench->states, ==, 1);
    g_assert_cmpuint(bench->qemu->connections, ==, 1);
    fake_qemu_say(bench->qemu, FAKE_GREETING);
    spin_until(bench->state == MIGD_QMP_READY);
    g_assert_null(bench->problem);
}

static void
test_silent_negotiation(void)
{
    g_autoptr(Bench) bench = bench_new();
    g_autofree char *late = NULL;

    fake_qemu_reply(bench->qemu, "qmp_capabilities", FAKE_SILENCE);
    spin_until(bench->state == MIGD_QMP_SILENT);
    g_assert_nonnull(strstr(bench->problem, "qmp_capabilities"));
    late = g_strdup_printf("{\"return\":{},\"id\":%" G_GUINT64_FORMAT "}\n", bench->qemu->last_id);
    fake_qemu_say(bench->qemu, late);
    spin_until(bench->state == MIGD_QMP_READY);
}

/* A command that is never answered: timed out; the late reply is dropped but shows that it lives.
 */
static void
test_silent_command(void)
{
    g_autoptr(Bench) bench = bench_ready();
    g_autofree char *late = NULL;

    fake_qemu_reply(bench->qemu, "query-migrate", FAKE_SILENCE);
    call(bench, "query-migrate");
    spin_until(bench->state == MIGD_QMP_SILENT);
    g_assert_cmpuint(bench->answers, ==, 1);
    g_assert_cmpuint(bench->timeouts, ==, 1);
    g_assert_nonnull(strstr(bench->problem, "query-migrate"));
    late = g_strdup_printf("{\"return\":{},\"id\":%" G_GUINT64_FORMAT "}\n", bench->qemu->last_id);
    fake_qemu_say(bench->qemu, late);
    spin_until(bench->state == MIGD_QMP_READY);
    g_assert_cmpuint(bench->answers, ==, 1);
    g_assert_cmpuint(bench->qemu->connections, ==, 1);
}

/* Dies in the middle of a reply: the command is answered, and the client comes back. */
static void
test_dies(void)
{
    g_autoptr(Bench) bench = bench_ready();

    fake_qemu_reply(bench->qemu, "query-migrate", FAKE_SILENCE);
    call(bench, "query-migrate");
    call(bench, "query-migrate");
    spin_until(fake_qemu_heard(bench->qemu, "query-migrate") == 2);
    fake_qemu_say(bench->qemu, "{\"return\":{\"status\":\"act");
    fake_qemu_hang_up(bench->qemu);
    spin_until(bench->answers == 2);
    g_assert_cmpuint(bench->errors, ==, 2);
    g_assert_cmpuint(bench->timeouts, ==, 0);
    g_assert_cmpint(bench->state, ==, MIGD_QMP_CONNECTING);
    spin_until(bench->state == MIGD_QMP_READY);
    g_assert_cmpuint(bench->qemu->connections, ==, 2);
}

static void
test_refused(void)
{
    g_autoptr(Bench) bench = bench_ready();
    g_autofree char *path = g_strdup(bench->qemu->path);

    fake_qemu_die(bench->qemu);
    spin_until(bench->state == MIGD_QMP_REFUSED);
    call(bench, "query-migrate"); /* answered although nobody is there */
    g_assert_cmpuint(bench->answers, ==, 0);
    spin_until(bench->answers == 1);
    g_assert_cmpuint(bench->errors, ==, 1);
    fake_qemu_free(bench->qemu);
    bench->qemu = fake_qemu_new(path);
    spin_until(bench->state == MIGD_QMP_READY);
}

static const char *const rude[] = {
    "garbage\n",
    "{\"return\":{},\"return\":{}}\n",
    "{\"event\":\"A\",\"data\":NaN}\n",
    "{\"QMP\":{}}\n",
    "\n\n{]\n",
};

/* Whatever breaks the protocol: closed, marked, quarantined, tried again. */
static void
test_rude(void)
{
    for (guint i = 0; i < G_N_ELEMENTS(rude); i++) {
        g_autoptr(Bench) bench = bench_ready();
        gint64 begin;

        fake_qemu_reply(bench->qemu, "query-migrate", FAKE_SILENCE);
        call(bench, "query-migrate");
        fake_qemu_say(bench->qemu, rude[i]);
        begin = g_get_monotonic_time();
        spin_until(bench->state == MIGD_QMP_FAULTY);
        g_assert_nonnull(bench->problem);
        g_assert_cmpuint(bench->answers, ==, 1);
        g_assert_cmpuint(bench->errors, ==, 1);
        spin_until(bench->state == MIGD_QMP_READY);
        g_assert_cmpint(g_get_monotonic_time() - begin, >=, (gint64)quick.quarantine_ms * 1000);
    }
}

static void
test_rude_greeting(void)
{
    static const char *const greetings[] = {"hello\n", "{\"return\":{}}\n",
                                            "{\"event\":\"STOP\"}\n"};

    for (guint i = 0; i < G_N_ELEMENTS(greetings); i++) {
        g_autoptr(Bench) bench = bench_new();

        bench->qemu->greeting = greetings[i];
        spin_until(bench->state == MIGD_QMP_FAULTY);
        spin_until(bench->qemu->connections >= 3);
        g_assert_cmpint(bench->state, ==, MIGD_QMP_FAULTY);
    }
}

static void
test_capabilities_refused(void)
{
    g_autoptr(Bench) bench = bench_new();

    fake_qemu_reply(bench->qemu, "qmp_capabilities", NULL);
    spin_until(bench->state == MIGD_QMP_FAULTY);
    g_assert_cmpstr(bench->problem, ==, "unknown");
}

/* Bytes without end and without a newline cost a megabyte and the connection, nothing else. */
static void
test_endless_line(void)
{
    g_autoptr(Bench) bench = bench_ready();
    g_autofree char *chunk = g_strnfill(65536, 'x');
    gsize before = mallinfo2().uordblks;

    while (bench->state == MIGD_QMP_READY) {
        fake_qemu_say(bench->qemu, chunk);
        (void)g_main_context_iteration(NULL, FALSE);
        g_assert_cmpuint(mallinfo2().uordblks, <, before + 4 * MIGD_QMP_MAX_LINE);
        if (bench->qemu->fd < 0)
            break;
    }
    spin_until(bench->state == MIGD_QMP_FAULTY);
    g_assert_nonnull(strstr(bench->problem, "too long"));
}

/* Events without end: quarantined; meanwhile the peer beside it is served. */
static void
test_flood(void)
{
    g_autoptr(Bench) loud = bench_ready();
    g_autoptr(Bench) quiet = bench_ready();
    GString *burst = g_string_new(NULL);
    g_autofree char *text = NULL;
    guint asked = 0;

    for (guint i = 0; i < 200; i++)
        g_string_append(burst, "{\"event\":\"RTC_CHANGE\",\"data\":{\"offset\":7}}\r\n");
    text = g_string_free(burst, FALSE);
    while (loud->state == MIGD_QMP_READY && loud->qemu->fd >= 0) {
        fake_qemu_say(loud->qemu, text);
        if (quiet->answers == asked) {
            call(quiet, "query-migrate");
            asked++;
        }
        (void)g_main_context_iteration(NULL, FALSE);
    }
    spin_until(loud->state == MIGD_QMP_FAULTY);
    g_assert_nonnull(strstr(loud->problem, "a second"));
    spin_until(quiet->answers == asked);
    g_assert_cmpuint(asked, >, 3);
    g_assert_cmpuint(quiet->errors, ==, 0);
    g_assert_cmpint(quiet->state, ==, MIGD_QMP_READY);
}

/* A peer that does not read: commands pile up to a limit, each is answered, memory is bounded. */
static void
test_deaf(void)
{
    g_autoptr(Bench) bench = bench_ready();
    g_autofree char *long_text = g_strnfill(8000, 'x');
    gsize before = mallinfo2().uordblks;

    bench->qemu->deaf = TRUE;
    for (guint i = 0; i < 500; i++) {
        MigdJson *arguments = migd_json_object_new();

        migd_json_add_string(arguments, "text", long_text);
        migd_qmp_client_call(bench->client, "anything", arguments, on_answer, bench);
    }
    g_assert_cmpuint(mallinfo2().uordblks, <, before + (1 << 20));
    spin_until(bench->answers == 500);
    g_assert_cmpuint(bench->errors, ==, 500);
    g_assert_cmpuint(bench->timeouts, >, 0);
    g_assert_cmpuint(bench->timeouts, <, 100);
}

/* Once idle, the main loop has nothing to wake up for. */
static void
test_idle_has_no_timer(void)
{
    g_autoptr(Bench) bench = bench_ready();
    gint timeout = 0, priority = 0;
    GPollFD fds[16];

    call(bench, "query-migrate");
    spin_until(bench->answers == 1);
    spin_ms(50);
    g_assert_true(g_main_context_acquire(g_main_context_default()));
    (void)g_main_context_prepare(g_main_context_default(), &priority);
    (void)g_main_context_query(g_main_context_default(), priority, &timeout, fds,
                               G_N_ELEMENTS(fds));
    g_main_context_release(g_main_context_default());
    g_assert_cmpint(timeout, ==, -1);
}

/* The back-off grows while connections do not last, up to its limit. */
static void
test_backoff(void)
{
    g_autoptr(Bench) bench = bench_new();
    gint64 begin;
    guint connections;

    for (guint i = 0; i < 8; i++) {
        guint n = i + 1;

        spin_until(bench->qemu->connections >= n);
        spin_until(bench->state == MIGD_QMP_READY);
        fake_qemu_hang_up(bench->qemu);
        spin_until(bench->state == MIGD_QMP_CONNECTING);
    }
    begin = g_get_monotonic_time();
    connections = bench->qemu->connections;
    spin_until(bench->qemu->connections > connections);
    g_assert_cmpint(g_get_monotonic_time() - begin, >=, 60000);
    g_assert_cmpint(g_get_monotonic_time() - begin, <, 1000000);
}

static void
test_free_with_commands(void)
{
    g_autoptr(Bench) bench = bench_ready();

    fake_qemu_reply(bench->qemu, "query-migrate", FAKE_SILENCE);
    for (guint i = 0; i < 40; i++) /* more than may be in flight */
        call(bench, "query-migrate");
    g_clear_pointer(&bench->client, migd_qmp_client_free);
    g_assert_cmpuint(bench->answers, ==, 40);
    g_assert_cmpuint(bench->errors, ==, 40);
    spin_ms(30);
    g_assert_cmpuint(bench->answers, ==, 40);
}

static void
test_free_in_callbacks(void)
{
    g_autoptr(Bench) answer = bench_ready();
    g_autoptr(Bench) event = bench_ready();

    answer->free_on_answer = TRUE;
    call(answer, "query-migrate");
    call(answer, "query-status");
    event->free_on_event = TRUE;
    fake_qemu_say(event->qemu, "{\"event\":\"STOP\"}\n{\"event\":\"RESUME\"}\n");
    spin_until(answer->client == NULL && event->client == NULL);
    g_assert_cmpuint(answer->answers, ==, 2);
    g_assert_cmpstr(event->events->str, ==, "STOP ");
}

static void
test_path_too_long(void)
{
    g_autofree char *path = g_strnfill(300, 'x');
    g_autoptr(Bench) bench = bench_ready();
    g_autoptr(MigdQmpClient) client = migd_qmp_client_new(path, &quick, &listener, bench);

    bench->state = MIGD_QMP_CONNECTING;
    spin_until(bench->state == MIGD_QMP_SILENT);
    g_assert_nonnull(strstr(bench->problem, "too long"));
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/qmp/client/talk", test_talk);
    g_test_add_func("/qmp/client/out-of-order", test_out_of_order);
    g_test_add_func("/qmp/client/unknown-ids", test_unknown_ids);
    g_test_add_func("/qmp/client/silent/greeting", test_silent_greeting);
    g_test_add_func("/qmp/client/silent/negotiation", test_silent_negotiation);
    g_test_add_func("/qmp/client/silent/command", test_silent_command);
    g_test_add_func("/qmp/client/dies", test_dies);
    g_test_add_func("/qmp/client/refused", test_refused);
    g_test_add_func("/qmp/client/rude", test_rude);
    g_test_add_func("/qmp/client/rude/greeting", test_rude_greeting);
    g_test_add_func("/qmp/client/rude/capabilities", test_capabilities_refused);
    g_test_add_func("/qmp/client/endless-line", test_endless_line);
    g_test_add_func("/qmp/client/flood", test_flood);
    g_test_add_func("/qmp/client/deaf", test_deaf);
    g_test_add_func("/qmp/client/idle-has-no-timer", test_idle_has_no_timer);
    g_test_add_func("/qmp/client/backoff", test_backoff);
    g_test_add_func("/qmp/client/free/with-commands", test_free_with_commands);
    g_test_add_func("/qmp/client/free/in-callbacks", test_free_in_callbacks);
    g_test_add_func("/qmp/client/path-too-long", test_path_too_long);
    return g_test_run();
}

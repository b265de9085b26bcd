/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Tests of what QEMU says about migrations and of what it is told: golden replies of a real QEMU
 * 7.2 and the values they must become; every number made negative, fractional and too large;
 * decisions and the commands they must become. Pure.
 */
#include "base/error.h"
#include "qmp/command.h"
#include "qmp/migration.h"

#include <string.h>

static MigdJson *
parse(const char *text)
{
    g_autoptr(GError) error = NULL;
    MigdJson *json = migd_json_parse(text, strlen(text), &error);

    g_assert_no_error(error);
    return json;
}

/* ---- query-migrate ---- */

#define ACTIVE                                                                                          \
    "{\"expected-downtime\": 1614, \"cpu-throttle-percentage\": 30, \"status\": \"active\", "           \
    "\"setup-time\": 1, \"total-time\": 5002, \"ram\": {\"total\": 134553600, "                         \
    "\"postcopy-requests\": 3, \"dirty-sync-count\": 4, \"multifd-bytes\": 0, "                         \
    "\"pages-per-second\": 5069, \"downtime-bytes\": 0, \"page-size\": 4096, \"remaining\": 29401088, " \
    "\"postcopy-bytes\": 0, \"mbps\": 166.43691089108913, \"transferred\": 105058795, "                 \
    "\"dirty-sync-missed-zero-copy\": 0, \"precopy-bytes\": 105058795, \"duplicate\": 24624, "          \
    "\"dirty-pages-rate\": 5113, \"skipped\": 0, \"normal-bytes\": 104632320, \"normal\": 25545}}"
#define COMPLETED                                                                                              \
    "{\"status\": \"completed\", \"setup-time\": 1, \"downtime\": 4, \"total-time\": 207, \"ram\": {"          \
    "\"total\": 67641344, \"postcopy-requests\": 0, \"dirty-sync-count\": 4, \"page-size\": 4096, "            \
    "\"remaining\": 0, \"mbps\": 28, \"transferred\": 630603, \"downtime-bytes\": 421, \"duplicate\": 16700, " \
    "\"dirty-pages-rate\": 0, \"normal-bytes\": 479232, \"normal\": 117}}"

#define HAS_RAM                                                                                    \
    (MIGD_HAS_PASS | MIGD_HAS_REMAINING | MIGD_HAS_TRANSFERRED | MIGD_HAS_TOTAL |                  \
     MIGD_HAS_DIRTY_RATE | MIGD_HAS_BANDWIDTH | MIGD_HAS_POSTCOPY_REQUESTS | MIGD_HAS_NORMAL |     \
     MIGD_HAS_DUPLICATE | MIGD_HAS_PAGE_SIZE)

static const struct {
    const char *text;
    MigdSample sample;
} golden[] = {
    {"{}", {.status = MIGD_STATUS_NONE}},
    {"{\"status\": \"setup\"}", {.status = MIGD_STATUS_SETUP}},
    {"{\"status\": \"brand-new\"}", {.status = MIGD_STATUS_UNKNOWN}},
    {"{\"status\": \"active\", \"socket-address\": [{\"path\": \"/mig.sock\", \"type\": \"unix\"}]}",
     {.status = MIGD_STATUS_PRECOPY}},
    {ACTIVE,
     {.status = MIGD_STATUS_PRECOPY,
      .has = HAS_RAM | MIGD_HAS_THROTTLE | MIGD_HAS_ELAPSED | MIGD_HAS_SETUP_TIME |
             MIGD_HAS_EXPECTED_DOWNTIME | MIGD_HAS_DOWNTIME_BYTES,
      .pass = 4,
      .remaining_bytes = 29401088,
      .transferred_bytes = 105058795,
      .total_bytes = 134553600,
      .dirty_rate_bps = 5113 * 4096,
      .bandwidth_bps = 20804613, /* 166.43691089108913 Mbit/s */
      .elapsed_us = 5002000,
      .setup_us = 1000,
      .expected_downtime_us = 1614000,
      .postcopy_requests = 3,
      .normal_bytes = 104632320,
      .duplicate_pages = 24624,
      .page_size_bytes = 4096,
      .throttle_pct = 30}},
    {COMPLETED,
     {.status = MIGD_STATUS_COMPLETED,
      .has = HAS_RAM | MIGD_HAS_ELAPSED | MIGD_HAS_SETUP_TIME | MIGD_HAS_DOWNTIME |
             MIGD_HAS_DOWNTIME_BYTES,
      .pass = 4,
      .downtime_bytes = 421,
      .transferred_bytes = 630603,
      .total_bytes = 67641344,
      .bandwidth_bps = 3500000, /* "28": a whole double comes without its point */
      .elapsed_us = 207000,
      .setup_us = 1000,
      .downtime_us = 4000,
      .normal_bytes = 479232,
      .duplicate_pages = 16700,
      .page_size_bytes = 4096}},
    /* Without the page size a rate in pages means nothing. */
    {"{\"status\":\"active\",\"ram\":{\"dirty-pages-rate\":5,\"remaining\":7}}",
     {.status = MIGD_STATUS_PRECOPY, .has = MIGD_HAS_REMAINING, .remaining_bytes = 7}},
    /* More left than there is: hot-plug between two readings. */
    {"{\"status\":\"active\",\"ram\":{\"total\":5,\"remaining\":7}}",
     {.status = MIGD_STATUS_PRECOPY,
      .has = MIGD_HAS_REMAINING | MIGD_HAS_TOTAL,
      .remaining_bytes = 5,
      .total_bytes = 5}},
};

static void
test_golden(void)
{
    for (guint i = 0; i < G_N_ELEMENTS(golden); i++) {
        g_autoptr(MigdJson) reply = parse(golden[i].text);
        const MigdSample *want = &golden[i].sample;
        g_autoptr(GError) error = NULL;
        MigdSample sample;

        g_assert_true(migd_qmp_decode_migrate(reply, &sample, &error));
        g_assert_no_error(error);
        g_assert_cmpint(sample.status, ==, want->status);
        g_assert_cmphex(sample.has, ==, want->has);
        for (guint f = 0; f < migd_n_sample_fields; f++)
            g_assert_cmpuint(migd_sample_get(&sample, &migd_sample_fields[f]), ==,
                             migd_sample_get(want, &migd_sample_fields[f]));
    }
}

static const struct {
    const char *word;
    MigdStatus status;
} words[] = {
    {"none", MIGD_STATUS_NONE},
    {"setup", MIGD_STATUS_SETUP},
    {"wait-unplug", MIGD_STATUS_SETUP},
    {"active", MIGD_STATUS_PRECOPY},
    {"pre-switchover", MIGD_STATUS_SWITCHOVER},
    {"device", MIGD_STATUS_SWITCHOVER},
    {"postcopy-device", MIGD_STATUS_SWITCHOVER},
    {"postcopy-active", MIGD_STATUS_POSTCOPY},
    {"postcopy-paused", MIGD_STATUS_POSTCOPY_PAUSED},
    {"postcopy-recover", MIGD_STATUS_POSTCOPY_PAUSED},
    {"postcopy-recover-setup", MIGD_STATUS_POSTCOPY_PAUSED},
    {"cancelling", MIGD_STATUS_CANCELLING},
    {"cancelled", MIGD_STATUS_CANCELLED},
    {"completed", MIGD_STATUS_COMPLETED},
    {"failed", MIGD_STATUS_FAILED},
    {"colo", MIGD_STATUS_UNKNOWN},
    {"", MIGD_STATUS_UNKNOWN},
    {"Active", MIGD_STATUS_UNKNOWN},
};

static void
test_status_words(void)
{
    for (guint i = 0; i < G_N_ELEMENTS(words); i++)
        g_assert_cmpint(migd_qmp_status(words[i].word), ==, words[i].status);
}

static const char *const numbers[] = {
    "ram.page-size",
    "ram.dirty-sync-count",
    "ram.remaining",
    "ram.transferred",
    "ram.total",
    "ram.dirty-pages-rate",
    "ram.normal-bytes",
    "ram.duplicate",
    "ram.mbps",
    "ram.postcopy-requests",
    "total-time",
    "setup-time",
    "expected-downtime",
    "downtime",
    "cpu-throttle-percentage",
};

/* Each number in turn is nonsense: the reply is refused and the error names the number. */
static void
test_nonsense_numbers(void)
{
    static const char *const nonsense[] = {
        "-1", "18446744073709551615", "1e300", "\"5\"", "null", "true", "{}", "[]"};

    for (guint i = 0; i < G_N_ELEMENTS(numbers) * G_N_ELEMENTS(nonsense); i++) {
        const char *path = numbers[i % G_N_ELEMENTS(numbers)];
        const char *value = nonsense[i / G_N_ELEMENTS(numbers)];
        gboolean in_ram = g_str_has_prefix(path, "ram.");
        g_autofree char *text =
            g_strdup_printf(in_ram ? "{\"status\":\"active\",\"ram\":{\"%s\":%s}}"
                                   : "{\"status\":\"active\",\"%s\":%s}",
                            in_ram ? path + 4 : path, value);
        g_autoptr(MigdJson) reply = parse(text);
        g_autoptr(GError) error = NULL;
        MigdSample sample = {.pass = 77};

        g_assert_false(migd_qmp_decode_migrate(reply, &sample, &error));
        g_assert_nonnull(error);
        g_assert_true(g_str_has_prefix(error->message, path));
        g_assert_cmpuint(sample.pass, ==, 77); /* untouched */
    }
}

static void
test_nonsense_shapes(void)
{
    static const char *const shapes[] = {"[]", "{\"status\":5}", "{\"ram\":[]}",
                                         "{\"status\":\"active\",\"ram\":7}"};
    MigdSample sample;

    for (guint i = 0; i < G_N_ELEMENTS(shapes); i++) {
        g_autoptr(MigdJson) reply = parse(shapes[i]);

        g_assert_false(migd_qmp_decode_migrate(reply, &sample, NULL));
    }
    g_assert_false(migd_qmp_decode_migrate(NULL, &sample, NULL));
}

static void
test_failure(void)
{
    g_autoptr(MigdJson) failed = parse("{\"status\":\"failed\",\"error-desc\":\"no\\u001b way\"}");
    g_autoptr(MigdJson) odd = parse("{\"status\":\"failed\",\"error-desc\":7}");
    g_autofree char *text = migd_qmp_decode_failure(failed);

    g_assert_cmpstr(text, ==, "no\\x1b way");
    g_assert_null(migd_qmp_decode_failure(odd));
}

/* ---- other replies ---- */

#define PARAMETERS                                                                                      \
    "{\"cpu-throttle-tailslow\": true, \"xbzrle-cache-size\": 67108864, \"cpu-throttle-initial\": 20, " \
    "\"downtime-limit\": 300, \"tls-authz\": \"\", \"multifd-compression\": \"none\", "                 \
    "\"max-cpu-throttle\": 99, \"throttle-trigger-threshold\": 50, \"max-bandwidth\": 134217728, "      \
    "\"cpu-throttle-increment\": 10}"

static void
test_parameters(void)
{
    g_autoptr(MigdJson) reply = parse(PARAMETERS);
    g_autoptr(MigdJson) old = parse("{\"max-bandwidth\":9223372036853727232}");
    MigdKnobs knobs = {0}, few = {0};

    g_assert_true(migd_qmp_decode_parameters(reply, &knobs, NULL));
    g_assert_cmphex(knobs.has, ==,
                    MIGD_KNOB_DOWNTIME | MIGD_KNOB_BANDWIDTH | (guint32)MIGD_KNOBS_THROTTLE);
    g_assert_cmpuint(knobs.downtime_limit_us, ==, 300000);
    g_assert_cmpuint(knobs.max_bandwidth_bps, ==, 134217728);
    g_assert_cmpuint(knobs.throttle_initial_pct, ==, 20);
    g_assert_cmpuint(knobs.throttle_increment_pct, ==, 10);
    g_assert_cmpuint(knobs.throttle_max_pct, ==, 99);
    g_assert_cmpuint(knobs.throttle_trigger_pct, ==, 50);
    g_assert_true(knobs.throttle_tailslow);
    g_assert_true(migd_qmp_decode_parameters(old, &few, NULL));
    g_assert_cmphex(few.has, ==, MIGD_KNOB_BANDWIDTH);
    g_assert_cmpuint(few.max_bandwidth_bps, ==, 0); /* no limit */
}

static void
test_parameters_nonsense(void)
{
    static const char *const texts[] = {
        "[]",
        "{\"downtime-limit\":-1}",
        "{\"downtime-limit\":99999999999999}",
        "{\"max-cpu-throttle\":101}",
        "{\"cpu-throttle-initial\":0.5}",
        "{\"cpu-throttle-tailslow\":1}",
        "{\"max-bandwidth\":\"x\"}",
    };

    for (guint i = 0; i < G_N_ELEMENTS(texts); i++) {
        g_autoptr(MigdJson) reply = parse(texts[i]);
        g_autoptr(GError) error = NULL;
        MigdKnobs knobs = {.has = MIGD_KNOB_DOWNTIME, .downtime_limit_us = 1};

        g_assert_false(migd_qmp_decode_parameters(reply, &knobs, &error));
        g_assert_nonnull(error);
        g_assert_cmpuint(knobs.downtime_limit_us, ==, 1);
    }
}

static void
test_capabilities(void)
{
    static const char *const bad[] = {"{}", "[1]", "[{\"capability\":\"events\"}]",
                                      "[{\"capability\":5,\"state\":true}]",
                                      "[{\"capability\":\"events\",\"state\":1}]"};
    g_autoptr(MigdJson) reply =
        parse("[{\"state\":false,\"capability\":\"xbzrle\"},{\"state\":true,\"capability\":"
              "\"auto-converge\"},{\"state\":false,\"capability\":\"events\"}]");
    MigdKnobs knobs = {.has = MIGD_KNOB_DOWNTIME};

    g_assert_true(migd_qmp_decode_capabilities(reply, &knobs, NULL));
    g_assert_cmphex(knobs.has, ==, MIGD_KNOB_DOWNTIME | MIGD_KNOB_AUTO_CONVERGE | MIGD_KNOB_EVENTS);
    g_assert_true(knobs.auto_converge);
    g_assert_false(knobs.events);
    for (guint i = 0; i < G_N_ELEMENTS(bad); i++) {
        g_autoptr(MigdJson) json = parse(bad[i]);

        g_assert_false(migd_qmp_decode_capabilities(json, &knobs, NULL));
    }
}

static void
test_run(void)
{
    static const struct {
        const char *text;
        MigdQmpRun run;
    } rows[] = {
        {"{\"status\":\"running\",\"running\":true}", MIGD_QMP_RUN_RUNNING},
        {"{\"status\":\"prelaunch\",\"singlestep\":false,\"running\":false}", MIGD_QMP_RUN_PAUSED},
        {"{\"status\":\"brand-new\",\"running\":true}", MIGD_QMP_RUN_RUNNING},
        {"{\"status\":\"inmigrate\",\"running\":false}", MIGD_QMP_RUN_INCOMING},
        {"{\"status\":\"postmigrate\",\"running\":false}", MIGD_QMP_RUN_GONE},
        {"{\"status\":\"shutdown\",\"running\":false}", MIGD_QMP_RUN_GONE},
    };
    MigdQmpRun run;

    for (guint i = 0; i < G_N_ELEMENTS(rows); i++) {
        g_autoptr(MigdJson) reply = parse(rows[i].text);

        g_assert_true(migd_qmp_decode_run(reply, &run, NULL));
        g_assert_cmpint(run, ==, rows[i].run);
    }
    g_assert_false(migd_qmp_decode_run(NULL, &run, NULL));
}

static void
test_memory(void)
{
    g_autoptr(MigdJson) both = parse("{\"base-memory\":100,\"plugged-memory\":20}");
    g_autoptr(MigdJson) base = parse("{\"base-memory\":100}");
    g_autoptr(MigdJson) bad = parse("{\"base-memory\":-100}");
    guint64 bytes = 0;

    g_assert_true(migd_qmp_decode_memory(both, &bytes, NULL));
    g_assert_cmpuint(bytes, ==, 120);
    g_assert_true(migd_qmp_decode_memory(base, &bytes, NULL));
    g_assert_cmpuint(bytes, ==, 100);
    g_assert_false(migd_qmp_decode_memory(bad, &bytes, NULL));
}

static void
test_events(void)
{
    static const struct {
        const char *name, *data;
        MigdQmpEventKind kind;
        guint64 value; /* status or pass */
    } rows[] = {
        {"MIGRATION", "{\"status\":\"active\"}", MIGD_QMP_EVENT_MIGRATION, MIGD_STATUS_PRECOPY},
        {"MIGRATION", "{\"status\":\"new\"}", MIGD_QMP_EVENT_MIGRATION, MIGD_STATUS_UNKNOWN},
        {"MIGRATION_PASS", "{\"pass\":3}", MIGD_QMP_EVENT_PASS, 3},
        {"STOP", NULL, MIGD_QMP_EVENT_STOP, 0},
        {"RESUME", NULL, MIGD_QMP_EVENT_RESUME, 0},
        {"SHUTDOWN", "{\"guest\":false}", MIGD_QMP_EVENT_SHUTDOWN, 0},
        {"RTC_CHANGE", "{\"offset\":-7}", MIGD_QMP_EVENT_OTHER, 0},
    };

    for (guint i = 0; i < G_N_ELEMENTS(rows); i++) {
        g_autoptr(MigdJson) data = rows[i].data != NULL ? parse(rows[i].data) : NULL;
        MigdQmpMessage message = {.name = (char *)rows[i].name, .data = data};
        MigdQmpEvent event;

        g_assert_true(migd_qmp_decode_event(&message, &event, NULL));
        g_assert_cmpint(event.kind, ==, rows[i].kind);
        g_assert_cmpuint(event.pass + event.status, ==, rows[i].value);
    }
}

static void
test_events_nonsense(void)
{
    static const char *const rows[][2] = {
        {"MIGRATION", NULL},
        {"MIGRATION", "{}"},
        {"MIGRATION", "{\"status\":1}"},
        {"MIGRATION_PASS", "{\"pass\":-1}"},
        {"MIGRATION_PASS", "{\"pass\":18446744073709551615}"},
        {"MIGRATION_PASS", "[]"},
    };

    for (guint i = 0; i < G_N_ELEMENTS(rows); i++) {
        g_autoptr(MigdJson) data = rows[i][1] != NULL ? parse(rows[i][1]) : NULL;
        MigdQmpMessage message = {.name = (char *)rows[i][0], .data = data};
        g_autoptr(GError) error = NULL;
        MigdQmpEvent event;

        g_assert_false(migd_qmp_decode_event(&message, &event, &error));
        g_assert_nonnull(error);
    }
}

/* ---- commands ---- */

#define EVERY_KNOB                                                                                 \
    (MIGD_KNOB_DOWNTIME | MIGD_KNOB_BANDWIDTH | (guint32)MIGD_KNOBS_THROTTLE |                     \
     MIGD_KNOB_AUTO_CONVERGE | MIGD_KNOB_POSTCOPY | MIGD_KNOB_EVENTS)

static char *
describe(const MigdQmpCommand *command)
{
    g_autofree char *arguments = command->arguments != NULL
                                     ? migd_json_to_string(command->arguments, MIGD_JSON_SHORT)
                                     : NULL;

    return g_strdup_printf("%s %s", command->name, arguments != NULL ? arguments : "-");
}

#define THROTTLE(initial, increment, max, trigger)                                                 \
    "migrate-set-parameters {\"cpu-throttle-initial\":" #initial                                   \
    ",\"cpu-throttle-increment\":" #increment ",\"max-cpu-throttle\":" #max                        \
    ",\"throttle-trigger-threshold\":" #trigger "}"

static const struct {
    MigdAction action;
    guint64 argument;
    guint32 trigger, now;
    const char *command;
} decisions[] = {
    {MIGD_ACTION_SET_DOWNTIME, 300000, 0, 0, "migrate-set-parameters {\"downtime-limit\":300}"},
    {MIGD_ACTION_SET_DOWNTIME, 300999, 0, 0, "migrate-set-parameters {\"downtime-limit\":300}"},
    {MIGD_ACTION_SET_DOWNTIME, 999, 0, 0, "migrate-set-parameters {\"downtime-limit\":1}"},
    {MIGD_ACTION_SET_DOWNTIME, 0, 0, 0, "migrate-set-parameters {\"downtime-limit\":1}"},
    {MIGD_ACTION_SET_DOWNTIME, G_MAXUINT64, 0, 0,
     "migrate-set-parameters {\"downtime-limit\":2000000}"},
    {MIGD_ACTION_PAUSE, 0, 0, 0, "migrate-set-parameters {\"downtime-limit\":2000000}"},
    {MIGD_ACTION_SET_BANDWIDTH, 41943040, 0, 0,
     "migrate-set-parameters {\"max-bandwidth\":41943040}"},
    {MIGD_ACTION_SET_BANDWIDTH, 0, 0, 0,
     "migrate-set-parameters {\"max-bandwidth\":9223372036853727232}"},
    {MIGD_ACTION_THROTTLE, 80, 1, 0, THROTTLE(80, 80, 80, 1)},
    {MIGD_ACTION_THROTTLE, 80, 50, 60, THROTTLE(80, 20, 80, 50)},
    {MIGD_ACTION_THROTTLE, 40, 1, 60, THROTTLE(40, 1, 40, 1)}, /* lower: MIN(now + 1, 40) */
    {MIGD_ACTION_THROTTLE, 100, 1, 0, THROTTLE(99, 99, 99, 1)},
    {MIGD_ACTION_THROTTLE, 0, 0, 0, THROTTLE(1, 1, 1, 1)},
    {MIGD_ACTION_THROTTLE, G_MAXUINT64, 4000, 98, THROTTLE(99, 1, 99, 100)},
    {MIGD_ACTION_ARM, 70, 100, 0, THROTTLE(70, 70, 70, 100)},
    {MIGD_ACTION_RELEASE, 0, 100, 80, THROTTLE(1, 1, 1, 100)},
    {MIGD_ACTION_RELEASE, 55, 1, 80, THROTTLE(1, 1, 1, 1)},
    {MIGD_ACTION_POSTCOPY, 0, 0, 0, "migrate-start-postcopy -"},
    {MIGD_ACTION_ABORT, 0, 0, 0, "migrate_cancel -"},
};

static void
test_decisions(void)
{
    for (guint i = 0; i < G_N_ELEMENTS(decisions); i++) {
        MigdDecision decision = {.action = decisions[i].action,
                                 .argument = decisions[i].argument,
                                 .trigger_pct = decisions[i].trigger};
        g_autoptr(GError) error = NULL;
        g_autoptr(MigdQmpCommand) command =
            migd_qmp_command_for_decision(&decision, decisions[i].now, EVERY_KNOB, NULL, &error);
        g_autofree char *text = NULL;

        g_assert_no_error(error);
        text = describe(command);
        g_assert_cmpstr(text, ==, decisions[i].command);
    }
}

/* Every action that there is: either a command or a reason, and the command reads back as JSON. */
static void
test_decisions_complete(void)
{
    for (guint action = 0; action < MIGD_N_ACTIONS; action++) {
        MigdDecision decision = {.action = (MigdAction)action, .argument = 50, .trigger_pct = 50};
        g_autoptr(GError) error = NULL;
        g_autoptr(MigdQmpCommand) command =
            migd_qmp_command_for_decision(&decision, 0, EVERY_KNOB, NULL, &error);

        g_assert_true((command == NULL) == (action == MIGD_ACTION_WAIT));
        g_assert_true((command == NULL) == (error != NULL));
    }
}

/* A QEMU that lacks a knob is never sent its name. */
static void
test_decisions_unsupported(void)
{
    MigdDecision throttle = {.action = MIGD_ACTION_THROTTLE, .argument = 50, .trigger_pct = 1};
    MigdDecision downtime = {.action = MIGD_ACTION_SET_DOWNTIME, .argument = 5000};
    g_autoptr(GError) error = NULL;
    MigdKnobs turned;
    g_autoptr(MigdQmpCommand) command = migd_qmp_command_for_decision(
        &throttle, 0, EVERY_KNOB & ~(guint32)MIGD_KNOB_THROTTLE_TRIGGER, &turned, NULL);
    g_autofree char *text = describe(command);

    g_assert_null(strstr(text, "trigger"));
    g_assert_cmphex(turned.has & MIGD_KNOB_THROTTLE_TRIGGER, ==, 0);
    g_assert_cmpuint(turned.throttle_max_pct, ==, 50);
    g_assert_null(migd_qmp_command_for_decision(
        &throttle, 0, EVERY_KNOB & ~(guint32)MIGD_KNOB_THROTTLE_MAX, NULL, NULL));
    g_assert_null(migd_qmp_command_for_decision(&downtime, 0, 0, NULL, &error));
    g_assert_error(error, MIGD_ERROR, MIGD_ERROR_NOT_SUPPORTED);
}

static void
check_commands(GPtrArray *commands, const char *const *want)
{
    g_assert_nonnull(commands);
    g_assert_cmpuint(commands->len, ==, g_strv_length((char **)want));
    for (guint i = 0; i < commands->len; i++) {
        g_autofree char *text = describe(g_ptr_array_index(commands, i));

        g_assert_cmpstr(text, ==, want[i]);
    }
}

static void
test_start(void)
{
    static const char *const all[] = {
        "migrate-set-capabilities {\"capabilities\":[{\"capability\":\"auto-converge\",\"state\":"
        "true},{\"capability\":\"postcopy-ram\",\"state\":true},{\"capability\":\"events\","
        "\"state\":true}]}",
        "migrate-set-parameters {\"downtime-limit\":300,\"max-bandwidth\":1000,"
        "\"cpu-throttle-initial\":1,\"cpu-throttle-increment\":1,\"max-cpu-throttle\":1,"
        "\"throttle-trigger-threshold\":1,\"cpu-throttle-tailslow\":false}",
        "migrate {\"uri\":\"unix:/run/b.sock\"}",
        NULL,
    };
    static const char *const little[] = {
        "migrate-set-capabilities {\"capabilities\":[{\"capability\":\"auto-converge\",\"state\":"
        "false},{\"capability\":\"events\",\"state\":true}]}",
        "migrate {\"uri\":\"tcp:[::1]:4444\"}",
        NULL,
    };
    MigdQmpStart start = {.uri = "unix:/run/b.sock",
                          .postcopy = TRUE,
                          .throttle = TRUE,
                          .downtime_limit_us = 300000,
                          .max_bandwidth_bps = 1000,
                          .supports = EVERY_KNOB};
    MigdQmpStart bare = {.uri = "tcp:[::1]:4444",
                         .supports = EVERY_KNOB & ~(guint32)MIGD_KNOB_POSTCOPY};
    g_autoptr(GPtrArray) full = migd_qmp_commands_for_start(&start, NULL);
    g_autoptr(GPtrArray) few = migd_qmp_commands_for_start(&bare, NULL);

    check_commands(full, all);
    check_commands(few, little);
}

static void
test_start_refused(void)
{
    static const char *const uris[] = {
        "",         "exec:cat",   "fd:5",          "file:/x", "rdma:h:1", "unix:relative",
        "unix:",    "tcp:host",   "unix:/a,tight", "/x",      "UNIX:/x",  "tcp:h:1,to=9",
        "unix:/\n", "unix:/\xff",
    };

    for (guint i = 0; i < G_N_ELEMENTS(uris); i++) {
        MigdQmpStart start = {.uri = uris[i], .supports = EVERY_KNOB};
        g_autoptr(GError) error = NULL;

        g_assert_null(migd_qmp_commands_for_start(&start, &error));
        g_assert_error(error, MIGD_ERROR, MIGD_ERROR_INVALID_ARGUMENT);
    }
}

/* What was read can be put back: the same values, in QEMU's units. */
static void
test_knobs_back(void)
{
    static const char *const want[] = {
        "migrate-set-parameters {\"downtime-limit\":300,\"max-bandwidth\":134217728,"
        "\"cpu-throttle-initial\":20,\"cpu-throttle-increment\":10,\"max-cpu-throttle\":99,"
        "\"throttle-trigger-threshold\":50,\"cpu-throttle-tailslow\":true}",
        NULL,
    };
    static const char *const one[] = {"migrate-set-parameters {\"max-cpu-throttle\":99}", NULL};
    static const char *const none[] = {NULL};
    g_autoptr(MigdJson) reply = parse(PARAMETERS);
    g_autoptr(GPtrArray) all = NULL, some = NULL, nothing = NULL;
    MigdKnobs knobs = {0};

    g_assert_true(migd_qmp_decode_parameters(reply, &knobs, NULL));
    all = migd_qmp_commands_for_knobs(&knobs, EVERY_KNOB);
    some = migd_qmp_commands_for_knobs(&knobs, MIGD_KNOB_THROTTLE_MAX | MIGD_KNOB_POSTCOPY);
    nothing = migd_qmp_commands_for_knobs(&knobs, 0);
    check_commands(all, want);
    check_commands(some, one);
    check_commands(nothing, none);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/qmp/migrate/golden", test_golden);
    g_test_add_func("/qmp/migrate/status-words", test_status_words);
    g_test_add_func("/qmp/migrate/nonsense-numbers", test_nonsense_numbers);
    g_test_add_func("/qmp/migrate/nonsense-shapes", test_nonsense_shapes);
    g_test_add_func("/qmp/migrate/failure", test_failure);
    g_test_add_func("/qmp/parameters", test_parameters);
    g_test_add_func("/qmp/parameters/nonsense", test_parameters_nonsense);
    g_test_add_func("/qmp/capabilities", test_capabilities);
    g_test_add_func("/qmp/run", test_run);
    g_test_add_func("/qmp/memory", test_memory);
    g_test_add_func("/qmp/events", test_events);
    g_test_add_func("/qmp/events/nonsense", test_events_nonsense);
    g_test_add_func("/qmp/command/decisions", test_decisions);
    g_test_add_func("/qmp/command/decisions/complete", test_decisions_complete);
    g_test_add_func("/qmp/command/decisions/unsupported", test_decisions_unsupported);
    g_test_add_func("/qmp/command/start", test_start);
    g_test_add_func("/qmp/command/start/refused", test_start_refused);
    g_test_add_func("/qmp/command/knobs-back", test_knobs_back);
    return g_test_run();
}

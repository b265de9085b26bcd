/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Decoding by tables: one row a member, with its unit and its range. The ranges only keep nonsense
 * out and products inside 64 bits; they are far above what any machine reports.
 */
#include "qmp/migration.h"

#include "base/checked.h"
#include "base/error.h"
#include "qmp/reply.h"

#include <string.h>

#define MAX_BYTES (G_GUINT64_CONSTANT(1) << 60)
#define MAX_PAGES (G_GUINT64_CONSTANT(1) << 48)
#define MAX_MS G_GUINT64_CONSTANT(1000000000000) /* three decades */
#define MAX_COUNT (G_GUINT64_CONSTANT(1) << 60)
#define MAX_PAGE_SIZE (G_GUINT64_CONSTANT(1) << 30)
#define MAX_MBPS 1e12

typedef enum {
    AS_IS,
    MS,    /* -> µs */
    PAGES, /* -> bytes, if the page size is known */
} Unit;

static const struct {
    const char *path;
    MigdField field;
    Unit unit;
    guint64 min, max;
} members[] = {
    /* The page size first: rows below need it. */
    {"ram.page-size", MIGD_HAS_PAGE_SIZE, AS_IS, 512, MAX_PAGE_SIZE},
    {"ram.dirty-sync-count", MIGD_HAS_PASS, AS_IS, 0, MAX_COUNT},
    {"ram.remaining", MIGD_HAS_REMAINING, AS_IS, 0, MAX_BYTES},
    {"ram.transferred", MIGD_HAS_TRANSFERRED, AS_IS, 0, MAX_BYTES},
    {"ram.total", MIGD_HAS_TOTAL, AS_IS, 0, MAX_BYTES},
    {"ram.dirty-pages-rate", MIGD_HAS_DIRTY_RATE, PAGES, 0, MAX_PAGES},
    {"ram.postcopy-requests", MIGD_HAS_POSTCOPY_REQUESTS, AS_IS, 0, MAX_COUNT},
    {"ram.downtime-bytes", MIGD_HAS_DOWNTIME_BYTES, AS_IS, 0, MAX_BYTES},
    {"ram.normal-bytes", MIGD_HAS_NORMAL, AS_IS, 0, MAX_BYTES},
    {"ram.duplicate", MIGD_HAS_DUPLICATE, AS_IS, 0, MAX_COUNT},
    {"cpu-throttle-percentage", MIGD_HAS_THROTTLE, AS_IS, 0, 99},
    {"total-time", MIGD_HAS_ELAPSED, MS, 0, MAX_MS},
    {"setup-time", MIGD_HAS_SETUP_TIME, MS, 0, MAX_MS},
    {"expected-downtime", MIGD_HAS_EXPECTED_DOWNTIME, MS, 0, MAX_MS},
    {"downtime", MIGD_HAS_DOWNTIME, MS, 0, MAX_MS},
};

static const struct {
    const char *word;
    MigdStatus status;
} statuses[] = {
    {"none", MIGD_STATUS_NONE},
    {"setup", MIGD_STATUS_SETUP},
    {"wait-unplug", MIGD_STATUS_SETUP},
    {"active", MIGD_STATUS_PRECOPY},
    {"pre-switchover", MIGD_STATUS_SWITCHOVER},
    {"device", MIGD_STATUS_SWITCHOVER},
    {"postcopy-device", MIGD_STATUS_SWITCHOVER}, /* the guest does not yet run over there */
    {"postcopy-active", MIGD_STATUS_POSTCOPY},
    {"postcopy-paused", MIGD_STATUS_POSTCOPY_PAUSED},
    {"postcopy-recover-setup", MIGD_STATUS_POSTCOPY_PAUSED},
    {"postcopy-recover", MIGD_STATUS_POSTCOPY_PAUSED},
    {"cancelling", MIGD_STATUS_CANCELLING},
    {"cancelled", MIGD_STATUS_CANCELLED},
    {"completed", MIGD_STATUS_COMPLETED},
    {"failed", MIGD_STATUS_FAILED},
};

MigdStatus
migd_qmp_status(const char *word)
{
    for (guint i = 0; i < G_N_ELEMENTS(statuses); i++)
        if (strcmp(word, statuses[i].word) == 0)
            return statuses[i].status;
    return MIGD_STATUS_UNKNOWN;
}

static const MigdSampleField *
sample_field(MigdField field)
{
    for (guint i = 0; i < migd_n_sample_fields; i++)
        if (migd_sample_fields[i].field == field)
            return &migd_sample_fields[i];
    g_assert_not_reached();
}

static void
store(MigdSample *sample, MigdField field, Unit unit, guint64 value)
{
    if (unit == PAGES && !migd_sample_has(sample, MIGD_HAS_PAGE_SIZE))
        return;
    if (unit == PAGES)
        value = migd_sat_mul(value, sample->page_size_bytes);
    if (unit == MS)
        value *= 1000;
    migd_sample_set(sample, sample_field(field), value);
}

gboolean
migd_qmp_decode_migrate(const MigdJson *reply, MigdSample *ret_sample, GError **error)
{
    MigdSample sample = {.status = MIGD_STATUS_NONE};
    const char *word = NULL;
    double mbps = 0;
    MigdJsonResult result;

    if (!migd_qmp_need_object(reply, "query-migrate", error))
        return FALSE;
    result = migd_json_get_string(reply, "status", &word, error);
    if (result == MIGD_JSON_BAD)
        return FALSE;
    if (result == MIGD_JSON_OK)
        sample.status = migd_qmp_status(word);
    for (guint i = 0; i < G_N_ELEMENTS(members); i++) {
        guint64 value = 0;

        result = migd_json_get_u64(reply, members[i].path, members[i].min, members[i].max, &value,
                                   error);
        if (result == MIGD_JSON_BAD)
            return FALSE;
        if (result == MIGD_JSON_OK)
            store(&sample, members[i].field, members[i].unit, value);
    }
    result = migd_json_get_double(reply, "ram.mbps", 0, MAX_MBPS, &mbps, error);
    if (result == MIGD_JSON_BAD)
        return FALSE;
    if (result == MIGD_JSON_OK)
        store(&sample, MIGD_HAS_BANDWIDTH, AS_IS, migd_from_double(mbps * 1e6 / 8));
    if (migd_sample_has(&sample, MIGD_HAS_TOTAL | MIGD_HAS_REMAINING))
        sample.remaining_bytes = MIN(sample.remaining_bytes, sample.total_bytes);
    *ret_sample = sample;
    return TRUE;
}

char *
migd_qmp_decode_failure(const MigdJson *reply)
{
    char *text = NULL;

    (void)migd_json_get_text(reply, "error-desc", &text, NULL);
    return text;
}

/* QEMU's unit and range of a parameter; the range is what may stand in QEMU, not what we would
 * set. */
static gboolean
decode_parameter(const MigdJson *reply, const MigdKnobField *field, MigdKnobs *knobs,
                 GError **error)
{
    guint64 max = field->type == MIGD_KNOB_U64_US    ? MAX_MS
                  : field->type == MIGD_KNOB_U64_BPS ? G_MAXUINT64
                                                     : 100;
    guint64 value = 0;
    gboolean flag = FALSE;
    MigdJsonResult result;

    if (field->is_command)
        return TRUE;
    if (field->type == MIGD_KNOB_BOOL) {
        result = migd_json_get_bool(reply, field->qmp_name, &flag, error);
        value = flag;
    } else {
        result = migd_json_get_u64(reply, field->qmp_name, 0, max, &value, error);
    }
    if (result != MIGD_JSON_OK)
        return result == MIGD_JSON_ABSENT;
    if (field->type == MIGD_KNOB_U64_US)
        value *= 1000;
    if (field->type == MIGD_KNOB_U64_BPS && value >= MIGD_QMP_NO_BANDWIDTH_LIMIT)
        value = 0;
    migd_knob_set(knobs, field, value);
    return TRUE;
}

gboolean
migd_qmp_decode_parameters(const MigdJson *reply, MigdKnobs *knobs, GError **error)
{
    MigdKnobs decoded = *knobs;

    if (!migd_qmp_need_object(reply, "query-migrate-parameters", error))
        return FALSE;
    for (guint i = 0; i < migd_n_knob_fields; i++)
        if (!migd_knob_fields[i].is_capability &&
            !decode_parameter(reply, &migd_knob_fields[i], &decoded, error))
            return FALSE;
    *knobs = decoded;
    return TRUE;
}

gboolean
migd_qmp_decode_capabilities(const MigdJson *reply, MigdKnobs *knobs, GError **error)
{
    MigdKnobs decoded = *knobs;

    if (!migd_json_is_array(reply)) {
        g_set_error(error, MIGD_ERROR, MIGD_ERROR_FAILED, "query-migrate-capabilities: no array");
        return FALSE;
    }
    for (gsize i = 0; i < migd_json_array_length(reply); i++) {
        const MigdJson *row = migd_json_array_get(reply, i);
        const char *name = NULL;
        gboolean state = FALSE;

        if (!migd_qmp_need(migd_json_get_string(row, "capability", &name, error), "capability",
                           error) ||
            !migd_qmp_need(migd_json_get_bool(row, "state", &state, error), "state", error))
            return FALSE;
        for (guint k = 0; k < migd_n_knob_fields; k++)
            if (migd_knob_fields[k].is_capability &&
                strcmp(migd_knob_fields[k].qmp_name, name) == 0)
                migd_knob_set(&decoded, &migd_knob_fields[k], state ? 1 : 0);
    }
    *knobs = decoded;
    return TRUE;
}

gboolean
migd_qmp_decode_memory(const MigdJson *reply, guint64 *ret_bytes, GError **error)
{
    guint64 base = 0, plugged = 0;

    if (!migd_qmp_need_object(reply, "query-memory-size-summary", error) ||
        !migd_qmp_need(migd_json_get_u64(reply, "base-memory", 0, MAX_BYTES, &base, error),
                       "base-memory", error) ||
        migd_json_get_u64(reply, "plugged-memory", 0, MAX_BYTES, &plugged, error) == MIGD_JSON_BAD)
        return FALSE;
    *ret_bytes = base + plugged;
    return TRUE;
}

gboolean
migd_qmp_decode_run(const MigdJson *reply, MigdQmpRun *ret_run, GError **error)
{
    static const struct {
        const char *word;
        MigdQmpRun run;
    } words[] = {
        {"inmigrate", MIGD_QMP_RUN_INCOMING},
        {"postmigrate", MIGD_QMP_RUN_GONE},
        {"shutdown", MIGD_QMP_RUN_GONE},
    };
    const char *word = NULL;
    gboolean running = FALSE;

    if (!migd_qmp_need_object(reply, "query-status", error) ||
        !migd_qmp_need(migd_json_get_string(reply, "status", &word, error), "status", error) ||
        !migd_qmp_need(migd_json_get_bool(reply, "running", &running, error), "running", error))
        return FALSE;
    *ret_run = running ? MIGD_QMP_RUN_RUNNING : MIGD_QMP_RUN_PAUSED;
    for (guint i = 0; i < G_N_ELEMENTS(words); i++)
        if (strcmp(word, words[i].word) == 0)
            *ret_run = words[i].run;
    return TRUE;
}

static gboolean
decode_status_event(const MigdJson *data, MigdQmpEvent *ret, GError **error)
{
    const char *word = NULL;

    if (!migd_qmp_need(migd_json_get_string(data, "status", &word, error), "MIGRATION: status",
                       error))
        return FALSE;
    *ret = (MigdQmpEvent){.kind = MIGD_QMP_EVENT_MIGRATION, .status = migd_qmp_status(word)};
    return TRUE;
}

static gboolean
decode_pass_event(const MigdJson *data, MigdQmpEvent *ret, GError **error)
{
    guint64 pass = 0;

    if (!migd_qmp_need(migd_json_get_u64(data, "pass", 0, MAX_COUNT, &pass, error),
                       "MIGRATION_PASS: pass", error))
        return FALSE;
    *ret = (MigdQmpEvent){.kind = MIGD_QMP_EVENT_PASS, .pass = pass};
    return TRUE;
}

gboolean
migd_qmp_decode_event(const MigdQmpMessage *message, MigdQmpEvent *ret_event, GError **error)
{
    static const struct {
        const char *name;
        MigdQmpEventKind kind;
        gboolean (*decode)(const MigdJson *data, MigdQmpEvent *ret, GError **error);
    } events[] = {
        {"MIGRATION", MIGD_QMP_EVENT_MIGRATION, decode_status_event},
        {"MIGRATION_PASS", MIGD_QMP_EVENT_PASS, decode_pass_event},
        {"STOP", MIGD_QMP_EVENT_STOP, NULL},
        {"RESUME", MIGD_QMP_EVENT_RESUME, NULL},
        {"SHUTDOWN", MIGD_QMP_EVENT_SHUTDOWN, NULL},
    };

    for (guint i = 0; i < G_N_ELEMENTS(events); i++) {
        if (strcmp(message->name, events[i].name) != 0)
            continue;
        if (events[i].decode != NULL)
            return events[i].decode(message->data, ret_event, error);
        *ret_event = (MigdQmpEvent){.kind = events[i].kind};
        return TRUE;
    }
    *ret_event = (MigdQmpEvent){.kind = MIGD_QMP_EVENT_OTHER};
    return TRUE;
}

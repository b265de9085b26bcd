/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * One line to one value: strict types and ranges, every word known, errors name the key. Unknown
 * keys are left alone, because a newer writer may add some. Knows nothing of files.
 */
#include "trace/fields.h"

#include <string.h>

#include "base/error.h"
#include "json/json.h"

static gboolean
bad(GError **error, const char *key, const char *what)
{
    g_set_error(error, MIGD_ERROR, MIGD_ERROR_INVALID_ARGUMENT, "%s: %s", key, what);
    return FALSE;
}

/* A key that has to be there. */
static gboolean
need(MigdJsonResult result, const char *key, GError **error)
{
    if (result == MIGD_JSON_ABSENT)
        return bad(error, key, "is missing");
    return result == MIGD_JSON_OK;
}

/* A key that an older writer may not have known: absent leaves *ret alone. */
static gboolean
get_u64(const MigdJson *object, const char *key, guint64 *ret, MigdJsonResult *ret_result,
        GError **error)
{
    const char *word;

    if (migd_json_get_string(object, key, &word, NULL) == MIGD_JSON_OK &&
        strcmp(word, MIGD_TRACE_NEVER) == 0) {
        *ret = MIGD_NEVER;
        *ret_result = MIGD_JSON_OK;
        return TRUE;
    }
    *ret_result = migd_json_get_u64(object, key, 0, G_MAXUINT64, ret, error);
    return *ret_result != MIGD_JSON_BAD;
}

static gboolean
need_u64(const MigdJson *object, const char *key, guint64 *ret, GError **error)
{
    MigdJsonResult result;

    return get_u64(object, key, ret, &result, error) && need(result, key, error);
}

static gboolean
need_text(const MigdJson *object, const char *key, char **ret, GError **error)
{
    const char *text;

    if (!need(migd_json_get_string(object, key, &text, error), key, error))
        return FALSE;
    g_free(*ret);
    *ret = g_strdup(text);
    return TRUE;
}

static gboolean
get_range(const MigdJson *object, const char *key, MigdRange *ret, GError **error)
{
    guint64 *const values[MIGD_TRACE_N_PARTS] = {&ret->low, &ret->mid, &ret->high};

    for (guint i = 0; i < MIGD_TRACE_N_PARTS; i++) {
        g_autofree char *part = g_strconcat(key, "_", migd_trace_range_parts[i], NULL);
        MigdJsonResult result;

        if (!get_u64(object, part, values[i], &result, error))
            return FALSE;
    }
    return TRUE;
}

static gboolean
read_field(const MigdJson *object, void *base, const MigdTraceField *field, GError **error)
{
    void *p = (char *)base + field->offset;
    const char *key = field->key;
    MigdJsonResult result;

    switch (field->type) {
    case MIGD_TRACE_TEXT:
        return need_text(object, key, p, error);
    case MIGD_TRACE_TEXT_NULL:
        return !migd_json_has(object, key) || need_text(object, key, p, error);
    case MIGD_TRACE_U64:
        return need_u64(object, key, p, error);
    case MIGD_TRACE_U64_ZERO:
        return get_u64(object, key, p, &result, error);
    case MIGD_TRACE_U32:
        return need(migd_json_get_u32(object, key, 0, G_MAXUINT32, p, error), key, error);
    case MIGD_TRACE_RANGE:
        return get_range(object, key, p, error);
    }
    return FALSE;
}

static gboolean
read_fields(const MigdJson *object, void *base, const MigdTraceField *fields, GError **error)
{
    for (const MigdTraceField *field = fields; field->key != NULL; field++)
        if (!read_field(object, base, field, error))
            return FALSE;
    return TRUE;
}

/* ---- nested values ------------------------------------------------------------------------- */

static gboolean
read_profile(const MigdJson *line, MigdProfile *ret, GError **error)
{
    const MigdJson *object;
    const char *name;
    MigdProfile profile;

    migd_profile_init(&profile);
    if (!need(migd_json_get_object(line, "profile", &object, error), "profile", error) ||
        !need(migd_json_get_string(object, "name", &name, error), "profile.name", error))
        return FALSE;
    if (g_strlcpy(profile.name, name, sizeof profile.name) >= sizeof profile.name)
        return bad(error, "profile.name", "is too long");
    for (const char *const *key = migd_profile_keys(); *key != NULL; key++) {
        const char *value;
        MigdJsonResult result = migd_json_get_string(object, *key, &value, error);

        if (result == MIGD_JSON_BAD ||
            (result == MIGD_JSON_OK && !migd_profile_set(&profile, *key, value, error))) {
            g_prefix_error(error, "profile: ");
            return FALSE;
        }
    }
    *ret = profile;
    return TRUE;
}

static gboolean
read_abilities(const MigdJson *line, MigdAbilities *ret, GError **error)
{
    const MigdJson *object, *can;
    MigdAbilities abilities = {0};

    if (!need(migd_json_get_object(line, "abilities", &object, error), "abilities", error) ||
        !need(migd_json_get_array(object, "can", &can, error), "abilities.can", error) ||
        !need(migd_json_get_bool(object, "throttle_cocked", &abilities.throttle_cocked, error),
              "abilities.throttle_cocked", error))
        return FALSE;
    for (gsize i = 0; i < migd_json_array_length(can); i++) {
        const char *word = migd_json_array_get_string(can, i);
        MigdAction action;

        if (word == NULL || !migd_action_from_string(word, &action))
            return bad(error, "abilities.can", "holds something that is no action");
        abilities.can |= 1u << action;
    }
    *ret = abilities;
    return TRUE;
}

static gboolean
read_knobs(const MigdJson *line, const char *key, MigdKnobs *ret, GError **error)
{
    const MigdJson *object;
    MigdKnobs knobs = {0};

    if (!need(migd_json_get_object(line, key, &object, error), key, error))
        return FALSE;
    for (guint i = 0; i < migd_n_knob_fields; i++) {
        const MigdKnobField *field = &migd_knob_fields[i];
        guint64 value = 0;
        gboolean flag = FALSE;
        MigdJsonResult result = MIGD_JSON_ABSENT;

        if (field->type == MIGD_KNOB_BOOL) {
            result = migd_json_get_bool(object, field->qmp_name, &flag, error);
            value = flag ? 1 : 0;
        } else if (!get_u64(object, field->qmp_name, &value, &result, error)) {
            return FALSE;
        }
        if (result == MIGD_JSON_BAD)
            return FALSE;
        if (field->type == MIGD_KNOB_U32 && value > G_MAXUINT32)
            return bad(error, field->qmp_name, "is out of range");
        if (result == MIGD_JSON_OK)
            migd_knob_set(&knobs, field, value);
    }
    *ret = knobs;
    return TRUE;
}

static gboolean
read_knob_mask(const MigdJson *line, const char *key, guint32 *ret, GError **error)
{
    const MigdJson *names;
    guint32 mask = 0;

    if (!need(migd_json_get_array(line, key, &names, error), key, error))
        return FALSE;
    for (gsize i = 0; i < migd_json_array_length(names); i++) {
        const char *name = migd_json_array_get_string(names, i);
        guint row = 0;

        while (row < migd_n_knob_fields && g_strcmp0(name, migd_knob_fields[row].qmp_name) != 0)
            row++;
        if (row == migd_n_knob_fields)
            return bad(error, key, "holds something that is no knob");
        mask |= migd_knob_fields[row].knob;
    }
    *ret = mask;
    return TRUE;
}

/* ---- lines --------------------------------------------------------------------------------- */

static gboolean
read_start(const MigdJson *line, MigdTrace *trace, MigdTraceEntry *entry, GError **error)
{
    g_auto(MigdTraceStart) start = {.time_us = entry->time_us};

    if (trace->started)
        return bad(error, "kind", "a trace has one start");
    if (!read_fields(line, &start, migd_trace_start_fields, error) ||
        !read_profile(line, &start.profile, error) ||
        !read_abilities(line, &start.abilities, error) ||
        !read_knobs(line, "saved", &start.saved, error) ||
        !read_knob_mask(line, "touched", &start.touched, error))
        return FALSE;
    trace->start = start;
    start = (MigdTraceStart){0};
    trace->started = TRUE;
    return TRUE;
}

static gboolean
read_sample(const MigdJson *line, MigdTrace *trace, MigdTraceEntry *entry, GError **error)
{
    MigdSample *sample = &entry->sample;
    const char *status;
    gboolean sync = FALSE;

    sample->time_us = entry->time_us;
    if (!need(migd_json_get_string(line, "status", &status, error), "status", error) ||
        migd_json_get_bool(line, "sync", &sync, error) == MIGD_JSON_BAD)
        return FALSE;
    sample->status = migd_status_from_string(status);
    if (sync)
        sample->has |= MIGD_HAS_SYNC;
    for (guint i = 0; i < migd_n_sample_fields; i++) {
        const MigdSampleField *field = &migd_sample_fields[i];
        guint64 value = 0;
        MigdJsonResult result;

        if (!get_u64(line, field->name, &value, &result, error))
            return FALSE;
        if (field->is_u32 && value > G_MAXUINT32)
            return bad(error, field->name, "is out of range");
        if (result == MIGD_JSON_OK)
            migd_sample_set(sample, field, value);
    }
    return TRUE;
}

static gboolean
read_action(const MigdJson *line, MigdTrace *trace, MigdTraceEntry *entry, GError **error)
{
    const char *action;

    if (!need(migd_json_get_string(line, "action", &action, error), "action", error))
        return FALSE;
    if (!migd_action_from_string(action, &entry->decision.action))
        return bad(error, "action", "is none of ours");
    return read_fields(line, &entry->decision, migd_trace_action_fields, error);
}

static gboolean
read_decision(const MigdJson *line, MigdTrace *trace, MigdTraceEntry *entry, GError **error)
{
    MigdDecision *decision = &entry->decision;
    const char *reason, *verdict;

    decision->time_us = entry->time_us;
    if (!read_action(line, trace, entry, error) ||
        !need(migd_json_get_string(line, "reason", &reason, error), "reason", error) ||
        !need(migd_json_get_string(line, "verdict", &verdict, error), "verdict", error) ||
        !need(migd_json_get_i64(line, "hold_until_us", G_MININT64, G_MAXINT64,
                                &decision->hold_until_us, error),
              "hold_until_us", error))
        return FALSE;
    if (!migd_reason_from_string(reason, &decision->reason))
        return bad(error, "reason", "is none of ours");
    if (!migd_verdict_from_string(verdict, &decision->verdict))
        return bad(error, "verdict", "is none of ours");
    for (guint i = 0; i < migd_n_decision_fields; i++) {
        MigdTraceField field = migd_trace_decision_field(i);

        if (!read_field(line, decision, &field, error))
            return FALSE;
    }
    return TRUE;
}

static gboolean
read_outcome(const MigdJson *line, MigdTrace *trace, MigdTraceEntry *entry, GError **error)
{
    gboolean ok;

    if (migd_json_has(line, "abilities")) {
        entry->kind = MIGD_TRACE_ABILITIES;
        return read_abilities(line, &entry->abilities, error) &&
               need_text(line, "why", &entry->problem, error);
    }
    if (migd_json_has(line, "profile")) {
        entry->kind = MIGD_TRACE_PROFILE;
        return read_profile(line, &entry->profile, error) &&
               need_text(line, "why", &entry->problem, error);
    }
    if (!need(migd_json_get_bool(line, "ok", &ok, error), "ok", error))
        return FALSE;
    return ok || need_text(line, "problem", &entry->problem, error);
}

static gboolean
read_in_force(const MigdJson *line, MigdTrace *trace, MigdTraceEntry *entry, GError **error)
{
    return read_knobs(line, "knobs", &entry->knobs, error);
}

static gboolean
read_finish(const MigdJson *line, MigdTrace *trace, MigdTraceEntry *entry, GError **error)
{
    g_auto(MigdTraceFinish) finish = {.time_us = entry->time_us};

    if (!read_fields(line, &finish, migd_trace_finish_fields, error))
        return FALSE;
    /* A daemon that died between this line and its own clean-up finishes once more: the last
     * counts. */
    migd_trace_finish_clear(&trace->finish);
    trace->finish = finish;
    finish = (MigdTraceFinish){0};
    trace->finished = TRUE;
    return TRUE;
}

static const struct {
    const char *word;
    MigdTraceKind kind;
    gboolean (*read)(const MigdJson *line, MigdTrace *trace, MigdTraceEntry *entry, GError **error);
} kinds[] = {
    {"start", MIGD_TRACE_START, read_start},          {"sample", MIGD_TRACE_SAMPLE, read_sample},
    {"decision", MIGD_TRACE_DECISION, read_decision}, {"action", MIGD_TRACE_ACTION, read_action},
    {"outcome", MIGD_TRACE_OUTCOME, read_outcome},    {"finish", MIGD_TRACE_FINISH, read_finish},
    {"knobs", MIGD_TRACE_KNOBS, read_in_force},
};

gboolean
migd_trace_add_line(MigdTrace *trace, const char *text, gsize length, GError **error)
{
    g_autoptr(MigdJson) line = migd_json_parse(text, length, error);
    MigdTraceEntry entry = {.line = trace->lines};
    guint64 version = 0;
    const char *word;
    guint row = 0;

    if (line == NULL ||
        !need(migd_json_get_u64(line, "v", 0, G_MAXUINT64, &version, error), "v", error))
        return FALSE;
    if (version != MIGD_TRACE_VERSION)
        return bad(error, "v", "is not a version that this program reads");
    if (!need(migd_json_get_string(line, "kind", &word, error), "kind", error) ||
        !need(migd_json_get_i64(line, "t_us", G_MININT64, G_MAXINT64, &entry.time_us, error),
              "t_us", error))
        return FALSE;
    while (row < G_N_ELEMENTS(kinds) && strcmp(word, kinds[row].word) != 0)
        row++;
    if (row == G_N_ELEMENTS(kinds))
        return TRUE;
    entry.kind = kinds[row].kind;
    if (!trace->started && entry.kind != MIGD_TRACE_START)
        return bad(error, "kind", "a trace begins with its start");
    if (!kinds[row].read(line, trace, &entry, error)) {
        g_free(entry.problem);
        return FALSE;
    }
    if (entry.kind != MIGD_TRACE_START && entry.kind != MIGD_TRACE_FINISH)
        g_array_append_val(trace->entries, entry);
    return TRUE;
}

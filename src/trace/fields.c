/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The tables behind the lines, what owns memory, and the comparison of two decisions. No I/O here.
 */
#include "trace/fields.h"

#include <string.h>

#define START(field, type)                                                                         \
    {                                                                                              \
#field, G_STRUCT_OFFSET(MigdTraceStart, field), type                                       \
    }
#define FINISH(field, type)                                                                        \
    {                                                                                              \
#field, G_STRUCT_OFFSET(MigdTraceFinish, field), type                                      \
    }
#define DECISION(field, type)                                                                      \
    {                                                                                              \
#field, G_STRUCT_OFFSET(MigdDecision, field), type                                         \
    }

const MigdTraceField migd_trace_start_fields[] = {
    START(realtime_us, MIGD_TRACE_U64),
    START(boot_id, MIGD_TRACE_TEXT_NULL),
    START(id, MIGD_TRACE_TEXT),
    START(domain_uuid, MIGD_TRACE_TEXT),
    START(domain_name, MIGD_TRACE_TEXT),
    START(origin, MIGD_TRACE_TEXT),
    START(direction, MIGD_TRACE_TEXT),
    START(destination, MIGD_TRACE_TEXT),
    START(mode, MIGD_TRACE_TEXT),
    START(write_protect, MIGD_TRACE_TEXT_NULL),
    {"memory_bytes", G_STRUCT_OFFSET(MigdTraceStart, memory_bytes), MIGD_TRACE_U64_ZERO},
    {"fixed_us", G_STRUCT_OFFSET(MigdTraceStart, costs.fixed_us), MIGD_TRACE_U64_ZERO},
    {"hidden_bytes", G_STRUCT_OFFSET(MigdTraceStart, costs.hidden_bytes), MIGD_TRACE_U64_ZERO},
    {NULL, 0, MIGD_TRACE_U64},
};

const MigdTraceField migd_trace_finish_fields[] = {
    FINISH(result, MIGD_TRACE_TEXT),
    FINISH(error, MIGD_TRACE_TEXT),
    FINISH(total_us, MIGD_TRACE_U64),
    FINISH(downtime_us, MIGD_TRACE_U64),
    FINISH(transferred_bytes, MIGD_TRACE_U64),
    FINISH(total_bytes, MIGD_TRACE_U64),
    FINISH(passes, MIGD_TRACE_U64),
    FINISH(throttle_us, MIGD_TRACE_U64),
    FINISH(decisions, MIGD_TRACE_U32),
    FINISH(predicted_total_us, MIGD_TRACE_RANGE),
    FINISH(predicted_downtime_us, MIGD_TRACE_RANGE),
    FINISH(predicted_transferred_bytes, MIGD_TRACE_RANGE),
    {NULL, 0, MIGD_TRACE_U64},
};

const MigdTraceField migd_trace_action_fields[] = {
    DECISION(argument, MIGD_TRACE_U64),
    DECISION(trigger_pct, MIGD_TRACE_U32),
    {NULL, 0, MIGD_TRACE_U64},
};

const char *const migd_trace_range_parts[MIGD_TRACE_N_PARTS] = {"low", "mid", "high"};

MigdTraceField
migd_trace_decision_field(guint index)
{
    const MigdDecisionField *field = &migd_decision_fields[index];
    static const MigdTraceType types[] = {
        [MIGD_NUM_U64] = MIGD_TRACE_U64,
        [MIGD_NUM_U32] = MIGD_TRACE_U32,
        [MIGD_NUM_RANGE] = MIGD_TRACE_RANGE,
    };

    return (MigdTraceField){field->name, field->offset, types[field->type]};
}

static gboolean
number_differs(const MigdDecision *a, const MigdDecision *b, const MigdTraceField *field)
{
    gsize size = field->type == MIGD_TRACE_RANGE ? sizeof(MigdRange)
                 : field->type == MIGD_TRACE_U32 ? sizeof(guint32)
                                                 : sizeof(guint64);

    /* None of the three has padding. */
    return memcmp((const char *)a + field->offset, (const char *)b + field->offset, size) != 0;
}

const char *
migd_trace_decision_diff(const MigdDecision *a, const MigdDecision *b)
{
    if (a->time_us != b->time_us)
        return "t_us";
    if (a->action != b->action)
        return "action";
    for (const MigdTraceField *field = migd_trace_action_fields; field->key != NULL; field++)
        if (number_differs(a, b, field))
            return field->key;
    if (a->reason != b->reason)
        return "reason";
    if (a->verdict != b->verdict)
        return "verdict";
    if (a->hold_until_us != b->hold_until_us)
        return "hold_until_us";
    for (guint i = 0; i < migd_n_decision_fields; i++) {
        MigdTraceField field = migd_trace_decision_field(i);
        if (number_differs(a, b, &field))
            return field.key;
    }
    return NULL;
}

gboolean
migd_trace_carries_out(const MigdDecision *action, const MigdDecision *decision)
{
    return action->action == decision->action && action->argument == decision->argument &&
           action->trigger_pct == decision->trigger_pct;
}

static void
clear_texts(void *base, const MigdTraceField *fields)
{
    for (const MigdTraceField *field = fields; field->key != NULL; field++)
        if (field->type == MIGD_TRACE_TEXT || field->type == MIGD_TRACE_TEXT_NULL)
            g_clear_pointer((char **)((char *)base + field->offset), g_free);
}

void
migd_trace_start_clear(MigdTraceStart *start)
{
    clear_texts(start, migd_trace_start_fields);
}

void
migd_trace_finish_clear(MigdTraceFinish *finish)
{
    clear_texts(finish, migd_trace_finish_fields);
}

static void
entry_clear(gpointer data)
{
    MigdTraceEntry *entry = data;

    g_clear_pointer(&entry->problem, g_free);
}

MigdTrace *
migd_trace_new(void)
{
    MigdTrace *trace = g_new0(MigdTrace, 1);

    trace->entries = g_array_new(FALSE, TRUE, sizeof(MigdTraceEntry));
    g_array_set_clear_func(trace->entries, entry_clear);
    return trace;
}

void
migd_trace_free(MigdTrace *trace)
{
    if (trace == NULL)
        return;
    migd_trace_start_clear(&trace->start);
    migd_trace_finish_clear(&trace->finish);
    g_array_unref(trace->entries);
    g_free(trace);
}

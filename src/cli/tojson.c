/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Walks the tables of the policy, so that a new number appears here by itself.
 */
#include "cli/tojson.h"

static void
add_number(MigdJson *object, const MigdDecision *decision, const MigdDecisionField *field)
{
    const void *p = (const char *)decision + field->offset;

    if (field->type == MIGD_NUM_RANGE) {
        const MigdRange *range = p;
        g_autofree char *low = g_strconcat(field->name, "_low", NULL);
        g_autofree char *mid = g_strconcat(field->name, "_mid", NULL);
        g_autofree char *high = g_strconcat(field->name, "_high", NULL);

        migd_json_add_u64(object, low, range->low);
        migd_json_add_u64(object, mid, range->mid);
        migd_json_add_u64(object, high, range->high);
        return;
    }
    migd_json_add_u64(object, field->name,
                      field->type == MIGD_NUM_U32 ? *(const guint32 *)p : *(const guint64 *)p);
}

MigdJson *
migd_decision_to_json(const MigdDecision *decision, gint64 begin_us)
{
    MigdJson *object = migd_json_object_new();
    g_autofree char *text = migd_decision_explain(decision);

    migd_json_add_i64(object, "t_us", decision->time_us - begin_us);
    migd_json_add_string(object, "action", migd_action_to_string(decision->action));
    migd_json_add_u64(object, "argument", decision->argument);
    migd_json_add_u64(object, "trigger_pct", decision->trigger_pct);
    migd_json_add_string(object, "reason", migd_reason_to_string(decision->reason));
    migd_json_add_string(object, "verdict", migd_verdict_to_string(decision->verdict));
    migd_json_add_string(object, "text", text);
    for (guint i = 0; i < migd_n_decision_fields; i++)
        add_number(object, decision, &migd_decision_fields[i]);
    return object;
}

static MigdJson *
mark_to_json(const MigdPictureMark *mark, gint64 begin_us)
{
    static const char *const states[] = {
        [MIGD_MARK_SAID] = "said",
        [MIGD_MARK_PENDING] = "pending",
        [MIGD_MARK_DONE] = "done",
        [MIGD_MARK_REFUSED] = "refused",
    };
    MigdJson *object = migd_decision_to_json(&mark->decision, begin_us);

    migd_json_add_string(object, "outcome", states[mark->state]);
    if (mark->state == MIGD_MARK_DONE || mark->state == MIGD_MARK_REFUSED)
        migd_json_add_i64(object, "outcome_t_us", mark->done_us);
    if (mark->problem != NULL)
        migd_json_add_string(object, "problem", mark->problem);
    return object;
}

static MigdJson *
pass_to_json(const MigdPicturePass *pass)
{
    MigdJson *object = migd_json_object_new();

    migd_json_add_u64(object, "Pass", pass->number);
    migd_json_add_i64(object, "begin_us", pass->begin_us);
    migd_json_add_i64(object, "end_us", pass->end_us);
    migd_json_add_u64(object, "RemainingBytes", pass->left_bytes);
    migd_json_add_u64(object, "DirtyRate", pass->dirty_bps);
    migd_json_add_u64(object, "Bandwidth", pass->link_bps);
    migd_json_add_u64(object, "Throttle", pass->throttle_pct);
    return object;
}

static void
add_finish(MigdJson *object, const MigdTrace *trace)
{
    const MigdTraceFinish *finish = &trace->finish;

    if (!trace->finished)
        return;
    migd_json_add_string(object, "error", finish->error);
    migd_json_add_u64(object, "total_us", finish->total_us);
    migd_json_add_u64(object, "downtime_us", finish->downtime_us);
    migd_json_add_u64(object, "transferred_bytes", finish->transferred_bytes);
    migd_json_add_u64(object, "total_bytes", finish->total_bytes);
    migd_json_add_u64(object, "passes", finish->passes);
    migd_json_add_u64(object, "throttle_us", finish->throttle_us);
    migd_json_add_u64(object, "decisions", finish->decisions);
}

MigdJson *
migd_picture_to_json(const MigdPicture *picture)
{
    const MigdTraceStart *start = &picture->trace->start;
    MigdJson *object = migd_json_object_new();
    MigdJson *passes = migd_json_array_new(), *decisions = migd_json_array_new();

    migd_json_add_string(object, "Id", start->id);
    migd_json_add_string(object, "DomainName", start->domain_name);
    migd_json_add_string(object, "Direction", start->direction);
    migd_json_add_string(object, "Origin", start->origin);
    migd_json_add_string(object, "Destination", start->destination);
    migd_json_add_string(object, "Profile", start->profile.name);
    migd_json_add_string(object, "Mode", start->mode);
    migd_json_add_u64(object, "StartTime", start->realtime_us);
    migd_json_add_string(object, "Result",
                         picture->trace->finished ? picture->trace->finish.result : "");
    add_finish(object, picture->trace);
    for (guint i = 0; i < picture->passes->len; i++)
        migd_json_append(passes, pass_to_json(&g_array_index(picture->passes, MigdPicturePass, i)));
    for (guint i = 0; i < picture->marks->len; i++)
        migd_json_append(decisions, mark_to_json(&g_array_index(picture->marks, MigdPictureMark, i),
                                                 start->time_us));
    migd_json_add(object, "Passes", passes);
    migd_json_add(object, "Decisions", decisions);
    return object;
}

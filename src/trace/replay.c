/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A trace folded through today's policy, in the order in which the daemon folded it. Reads nothing
 * but the trace it is given: the same trace gives the same decisions on any machine at any time.
 */
#include "trace/trace.h"

#include "trace/fields.h"

typedef struct {
    const MigdTrace *trace;
    const MigdProfile *profile; /* NULL = as recorded */
    MigdTrack *track;           /* borrowed */
    MigdReplayFunc callback;
    gpointer user_data;
    gboolean has_last;
    MigdDecision last;            /* of today's policy */
    const MigdDecision *recorded; /* newest decision line so far */
    const MigdDecision *action;   /* whose outcome is still to come; NULL = none */
    gint64 action_us;
    guint differences;
} Replay;

/* The policy's decision line between sample `index` and the sample after it. */
static const MigdDecision *
recorded_at(const MigdTrace *trace, guint index)
{
    for (guint i = index + 1; i < trace->entries->len; i++) {
        const MigdTraceEntry *entry = &g_array_index(trace->entries, MigdTraceEntry, i);

        if (entry->kind == MIGD_TRACE_SAMPLE)
            return NULL;
        if (entry->kind == MIGD_TRACE_DECISION && entry->decision.reason != MIGD_REASON_REQUESTED)
            return &entry->decision;
    }
    return NULL;
}

static void
compare(Replay *replay, const MigdDecision *decision, const MigdDecision *recorded)
{
    if (decision == NULL && recorded == NULL)
        return;
    if (decision == NULL || recorded == NULL ||
        migd_trace_decision_diff(decision, recorded) != NULL)
        replay->differences++;
    if (replay->callback != NULL)
        replay->callback(decision, recorded, replay->user_data);
}

static void
fold_sample(Replay *replay, const MigdTraceEntry *entry, guint index)
{
    MigdDecision decision;
    gboolean is_new;

    migd_track_add(replay->track, &entry->sample);
    decision = migd_decide(replay->track);
    is_new = !replay->has_last || !migd_decision_same(&decision, &replay->last);
    if (is_new) {
        replay->last = decision;
        replay->has_last = TRUE;
    }
    compare(replay, is_new ? &decision : NULL, recorded_at(replay->trace, index));
}

static void
settle_action(Replay *replay, gint64 time_us, gboolean ok)
{
    if (replay->action != NULL)
        migd_track_note_action(replay->track, replay->action, time_us, ok);
    replay->action = NULL;
}

/* No outcome: the writer died in between, and the command may have been carried out. */
static void
settle_unanswered(Replay *replay)
{
    settle_action(replay, replay->action_us, /* ok= */ TRUE);
}

/* An action line names action, argument and trigger; the whole decision is the decision line before
 * it. */
static void
begin_action(Replay *replay, const MigdTraceEntry *entry)
{
    gboolean whole =
        replay->recorded != NULL && migd_trace_carries_out(&entry->decision, replay->recorded);

    settle_unanswered(replay);
    replay->action = whole ? replay->recorded : &entry->decision;
    replay->action_us = entry->time_us;
}

static void
fold_entry(Replay *replay, const MigdTraceEntry *entry, guint index)
{
    switch (entry->kind) {
    case MIGD_TRACE_SAMPLE:
        fold_sample(replay, entry, index);
        break;
    case MIGD_TRACE_DECISION:
        replay->recorded = &entry->decision;
        break;
    case MIGD_TRACE_ACTION:
        begin_action(replay, entry);
        break;
    case MIGD_TRACE_OUTCOME:
        settle_action(replay, entry->time_us, entry->problem == NULL);
        break;
    case MIGD_TRACE_ABILITIES:
        migd_track_set_abilities(replay->track, &entry->abilities);
        break;
    case MIGD_TRACE_PROFILE:
        if (replay->profile == NULL)
            migd_track_set_profile(replay->track, &entry->profile);
        break;
    case MIGD_TRACE_START:
    case MIGD_TRACE_KNOBS:
    case MIGD_TRACE_FINISH:
        break;
    }
}

guint
migd_trace_replay(const MigdTrace *trace, const MigdProfile *profile, MigdReplayFunc callback,
                  gpointer user_data, MigdTrack **ret_track)
{
    g_autoptr(MigdTrack) track =
        migd_track_new(profile != NULL ? profile : &trace->start.profile, &trace->start.abilities);
    migd_track_set_costs(track, &trace->start.costs);
    Replay replay = {.trace = trace,
                     .profile = profile,
                     .track = track,
                     .callback = callback,
                     .user_data = user_data};

    for (guint i = 0; i < trace->entries->len; i++)
        fold_entry(&replay, &g_array_index(trace->entries, MigdTraceEntry, i), i);
    settle_unanswered(&replay);
    if (ret_track != NULL)
        *ret_track = g_steal_pointer(&track);
    return replay.differences;
}

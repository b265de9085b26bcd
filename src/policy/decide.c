/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What to do now: a table of rules in the order in which they speak, from "nothing can be done"
 * over the limits of the profile to the cheapest sufficient action. Reads a track and nothing else;
 * docs/policy.md explains each rule.
 */
#include "policy/plan.h"

#include <math.h>

#include "base/checked.h"

/* A deadline that the operator left to us: ten copies of the memory, at least two minutes. */
#define AUTO_DEADLINE_COPIES 10
#define AUTO_DEADLINE_MIN_US (120 * (guint64)G_USEC_PER_SEC)

/* An action that has shown nothing after this many passes will not. */
#define PATIENCE_SYNCS 4

/* What was taken back again and again is made ready again after at most this many passes. */
#define MOST_PATIENCE 16

/* Irreversible steps are given this long to show. */
#define FINAL_PATIENCE_US (10 * G_USEC_PER_SEC)

/* Time between two observations within a pass, at most. */
#define LOOK_S 0.5

/* Passes of evidence before a migration is called hopeless, and the part of the deadline that must
 * have gone. */
#define HOPELESS_PASSES 5
#define HOPELESS_DEADLINE_PART (1 / 3.0)

/* A guest that has made no progress for this many passes does not converge, whatever the forecast.
 */
#define STALLED_PASSES 8
#define STALLED_S 2
#define STALLED 0.95

/* Passes under a throttle without progress before it is given up. */
#define USELESS_PASSES 2

/* What counts as progress: this part of what was left before. */
#define PROGRESS 0.8

/* A guest is getting there when less than this part is left of what was, so many passes ago: more
 * where guest or link are unsteady. */
#define FALLING 0.6
#define FALLING_PASSES 2

/* Passes of milliseconds prove nothing before they fill this time: QEMU itself judges once a
 * second. */
#define SHOW_S 1

typedef gboolean (*Rule)(const MigdView *view, MigdDecision *decision);

/* At least `n` of the newest passes, as many as it takes to fill `seconds`: none of them left less
 * than `part` of what the first of them left. */
static gboolean
without_progress(const MigdTrack *track, guint n, double seconds, double part)
{
    guint known = MIN(track->phase_passes, track->n_passes);
    double least = HUGE_VAL, time_s = 0;

    for (guint i = 1; i <= known; i++) {
        const MigdPass *pass = &track->passes[track->n_passes - i];

        if (i >= n && time_s >= seconds)
            return least >= part * (double)pass->remaining_bytes;
        least = MIN(least, (double)pass->remaining_bytes);
        time_s += (double)pass->duration_us / G_USEC_PER_SEC;
    }
    return FALSE;
}

/* An unsteady guest needs more passes until the same is known of it. */
static guint
enough(const MigdTrack *track, guint passes)
{
    return (guint)(passes * MAX(track->unsteady / MIGD_STEADY, 1) + 0.5);
}

static gboolean
say(MigdDecision *decision, MigdAction action, guint64 argument, MigdReason reason)
{
    decision->action = action;
    decision->argument = argument;
    decision->reason = reason;
    return TRUE;
}

/* Waits; a throttle that stands ready must not engage meanwhile. */
static gboolean
stay_unthrottled(const MigdView *view, MigdDecision *decision, MigdReason reason)
{
    if (!migd_view_armed(view))
        return say(decision, MIGD_ACTION_WAIT, 0, reason);
    decision->trigger_pct = 100;
    return say(decision, MIGD_ACTION_RELEASE, 1, reason);
}

/* Nothing can be done before the first byte and after the last pass. */
static gboolean
rule_not_steerable(const MigdView *view, MigdDecision *decision)
{
    switch (view->track->last.status) {
    case MIGD_STATUS_PRECOPY:
    case MIGD_STATUS_UNKNOWN:
        return FALSE;
    case MIGD_STATUS_NONE:
    case MIGD_STATUS_SETUP:
        return say(decision, MIGD_ACTION_WAIT, 0, MIGD_REASON_FIRST_PASS);
    default:
        return say(decision, MIGD_ACTION_WAIT, 0, MIGD_REASON_SWITCHING_OVER);
    }
}

/* Somebody's limit over the profile's cap is lowered before it does harm, also in the first pass.
 */
static gboolean
rule_over_cap(const MigdView *view, MigdDecision *decision)
{
    const MigdTrack *track = view->track;
    guint64 cap_bps = track->profile.max_bandwidth_bps;

    if (view->forced)
        return FALSE;
    guint64 most_us = migd_from_double(MAX(view->cap_s * 1000, 1)) * 1000;
    double over_s = ((double)track->last.downtime_limit_us - (double)most_us / MIGD_LIMIT_PART) /
                    G_USEC_PER_SEC; /* not for the little that is QEMU's */
    if (migd_sample_has(&track->last, MIGD_HAS_DOWNTIME_LIMIT) && over_s > MIGD_LIMIT_SLACK_S &&
        migd_view_may(view, MIGD_ACTION_SET_DOWNTIME))
        return say(decision, MIGD_ACTION_SET_DOWNTIME, most_us, MIGD_REASON_DOWNTIME_OVER_CAP);
    if (cap_bps != 0 && migd_sample_has(&track->last, MIGD_HAS_MAX_BANDWIDTH) &&
        (track->last.max_bandwidth_bps == 0 || track->last.max_bandwidth_bps > cap_bps) &&
        migd_view_may(view, MIGD_ACTION_SET_BANDWIDTH))
        return say(decision, MIGD_ACTION_SET_BANDWIDTH, cap_bps, MIGD_REASON_BANDWIDTH_OVER_CAP);
    return FALSE;
}

/* The step that OnDeadline= names, or the nearest one that is possible; FALSE when it is to go on.
 */
static gboolean
last_resort(const MigdView *view, MigdDecision *decision)
{
    MigdOnDeadline wish = view->track->profile.on_deadline;

    if (wish == MIGD_DEADLINE_POSTCOPY && migd_view_may(view, MIGD_ACTION_POSTCOPY))
        return say(decision, MIGD_ACTION_POSTCOPY, 0, MIGD_REASON_DEADLINE_POSTCOPY);
    if ((wish == MIGD_DEADLINE_POSTCOPY || wish == MIGD_DEADLINE_PAUSE) &&
        migd_view_may(view, MIGD_ACTION_PAUSE))
        return say(decision, MIGD_ACTION_PAUSE, 0, MIGD_REASON_DEADLINE_PAUSE);
    if (wish != MIGD_DEADLINE_CONTINUE && migd_view_may(view, MIGD_ACTION_ABORT))
        return say(decision, MIGD_ACTION_ABORT, 0, MIGD_REASON_DEADLINE_ABORT);
    return FALSE;
}

/* What the link carries at least, as far as can be seen. */
static double
slowest_bps(const MigdTrack *track)
{
    return track->link.window_bps > 0 ? MIN(track->link.bps, track->link.window_bps)
                                      : track->link.bps;
}

/* The deadline is kept by ending in time: what the last resort itself takes is taken off. */
static gboolean
rule_deadline(const MigdView *view, MigdDecision *decision)
{
    MigdOnDeadline wish = view->track->profile.on_deadline;
    double spare_s = view->to_deadline_s;

    if (view->forced || isinf(spare_s))
        return FALSE;
    if ((wish == MIGD_DEADLINE_POSTCOPY || wish == MIGD_DEADLINE_PAUSE) &&
        view->state.bandwidth_bps > 0)
        spare_s -=
            (double)MAX(view->track->last.remaining_bytes, view->track->sync.remaining_bytes) /
                slowest_bps(view->track) +
            LOOK_S;
    return spare_s <= 0 && last_resort(view, decision);
}

static gboolean
pending(const MigdView *view)
{
    const MigdTrack *track = view->track;

    if (!track->acted)
        return FALSE;
    switch (track->action.action) {
    case MIGD_ACTION_POSTCOPY:
    case MIGD_ACTION_PAUSE:
    case MIGD_ACTION_ABORT:
        return track->last.time_us - track->action_us < FINAL_PATIENCE_US;
    case MIGD_ACTION_THROTTLE:
        /* One whole pass under the new level must be seen before it is judged. */
        return track->syncs_since_reached < 1 && track->syncs_since_action < PATIENCE_SYNCS;
    case MIGD_ACTION_ARM:
        /* Engaged at a sync: look at one pass under it. Not engaged: judge anew at each sync. */
        return track->last.throttle_pct == track->action.argument ? track->syncs_since_reached < 1
                                                                  : track->syncs_since_action < 1;
    case MIGD_ACTION_RELEASE:
        /* Told to keep out before it engaged: there is no effect to wait for. */
        return track->last.throttle_pct > 1 && track->syncs_since_action < PATIENCE_SYNCS;
    default:
        return track->syncs_since_action < 1;
    }
}

static gboolean
rule_pending(const MigdView *view, MigdDecision *decision)
{
    return pending(view) && say(decision, MIGD_ACTION_WAIT, 0, MIGD_REASON_ACTION_PENDING);
}

/* The part of the deadline is gone in which a way may still turn up. */
static gboolean
late_enough(const MigdView *view)
{
    const MigdTrack *track = view->track;
    double gone_s = (double)(track->sync.time_us - track->start_us) / G_USEC_PER_SEC;

    return track->profile.on_deadline == MIGD_DEADLINE_ABORT && !isinf(view->to_deadline_s) &&
           migd_view_may(view, MIGD_ACTION_ABORT) &&
           gone_s >= HOPELESS_DEADLINE_PART * (gone_s + view->to_deadline_s);
}

/* What a pause costs whatever is left to send, seconds, as far as earlier migrations have taught,
 * when what nobody sees is sent at `bps`. */
static double
learned_pause_s(const MigdTrack *track, double bps)
{
    double fixed_s = (double)track->costs.fixed_us / G_USEC_PER_SEC;

    return bps > 0 ? fixed_s + (double)track->costs.hidden_bytes / bps : fixed_s;
}

/* What a pause costs at least is over the cap already: whatever the guest is made to pay is in
 * vain, and a guest that converges would break the limit. An inference from slow syncs is no such
 * proof.
 */
static gboolean
rule_costs_over_cap(const MigdView *view, MigdDecision *decision)
{
    const MigdTrack *track = view->track;
    gboolean proven = learned_pause_s(track, track->link.most_bps) * G_USEC_PER_SEC >=
                      (double)track->profile.max_downtime_us;

    if (view->forced || (!proven && view->cap_s > 0))
        return FALSE;
    if ((proven || late_enough(view)) && track->profile.on_deadline == MIGD_DEADLINE_ABORT &&
        migd_view_may(view, MIGD_ACTION_ABORT))
        return say(decision, MIGD_ACTION_ABORT, 0, MIGD_REASON_COSTS_OVER_CAP);
    if (view->state.throttle >= 0.05 && migd_view_may(view, MIGD_ACTION_RELEASE)) {
        decision->trigger_pct = 1;
        return say(decision, MIGD_ACTION_RELEASE, 1, MIGD_REASON_COSTS_OVER_CAP);
    }
    return say(decision, MIGD_ACTION_WAIT, 0, MIGD_REASON_COSTS_OVER_CAP);
}

static gboolean
rule_first_pass(const MigdView *view, MigdDecision *decision)
{
    if (!view->track->synced)
        return say(decision, MIGD_ACTION_WAIT, 0, MIGD_REASON_FIRST_PASS);
    if (view->track->model.n == 0 || view->state.bandwidth_bps <= 0)
        return say(decision, MIGD_ACTION_WAIT, 0, MIGD_REASON_WAIT_FOR_EVIDENCE);
    return FALSE;
}

/* A slow link makes any guest look as if it did not converge: nothing that costs the guest is done
 * for it. */
static gboolean
rule_network_dip(const MigdView *view, MigdDecision *decision)
{
    if (decision->verdict != MIGD_VERDICT_NETWORK_BOUND)
        return FALSE;
    decision->bandwidth_bps = migd_from_double(view->track->link.window_bps); /* of the moment */
    return say(decision, MIGD_ACTION_WAIT, 0, MIGD_REASON_NETWORK_DIP);
}

/* A converging guest is left alone; what was prepared against a plateau is taken back. */
static gboolean
rule_converging(const MigdView *view, MigdDecision *decision)
{
    if (decision->verdict != MIGD_VERDICT_CONVERGING)
        return FALSE;
    if (migd_view_armed(view)) {
        decision->trigger_pct = 100;
        return say(decision, MIGD_ACTION_RELEASE, 1, MIGD_REASON_THROTTLE_NOT_NEEDED);
    }
    return say(decision, MIGD_ACTION_WAIT, 0, MIGD_REASON_CONVERGING);
}

static gboolean
rule_downtime(const MigdView *view, MigdDecision *decision)
{
    /* A guest that may converge by itself is given another pass before its pause is made longer. */
    gboolean known = view->wait.ends <= 0.5 || view->track->phase_passes >= 2;
    guint64 limit_us = known ? migd_plan_downtime(view, decision) : 0;

    return limit_us != 0 && say(decision, MIGD_ACTION_SET_DOWNTIME, limit_us,
                                view->wait.ends >= MIGD_SURE ? MIGD_REASON_DOWNTIME_CHEAPER
                                                             : MIGD_REASON_DOWNTIME_SUFFICES);
}

static gboolean
rule_bandwidth(const MigdView *view, MigdDecision *decision)
{
    guint64 bps = migd_plan_bandwidth(view, decision);

    return bps != 0 &&
           say(decision, MIGD_ACTION_SET_BANDWIDTH, bps, MIGD_REASON_BANDWIDTH_SUFFICES);
}

/* The newest pass has left hardly less, but so few passes ago there was so much more that it may be
 * long by chance. */
static gboolean
rule_falling(const MigdView *view, MigdDecision *decision)
{
    const MigdTrack *track = view->track;
    double unsteady = hypot(track->unsteady, track->link.off) / MIGD_STEADY;
    guint ago = (guint)(FALLING_PASSES * unsteady + 0.5);

    if (view->state.throttle > 0.01 || ago >= track->n_passes)
        return FALSE;
    const MigdPass *newest = &track->passes[track->n_passes - 1];
    double left = (double)newest->remaining_bytes;
    if (left < PROGRESS * (double)newest[-1].remaining_bytes ||
        left >= FALLING * (double)(newest - ago)->remaining_bytes)
        return FALSE;
    return stay_unthrottled(view, decision, MIGD_REASON_FALLING);
}

static MigdReason
throttle_reason(const MigdView *view, const MigdDecision *decision)
{
    if (decision->action == MIGD_ACTION_ARM)
        return MIGD_REASON_ARMED_THROTTLE;
    if (view->state.throttle > 0.01)
        return MIGD_REASON_THROTTLE_TOO_WEAK;
    return decision->verdict == MIGD_VERDICT_DIVERGING ? MIGD_REASON_DIVERGING_THROTTLE
                                                       : MIGD_REASON_PLATEAU_THROTTLE;
}

static gboolean
is_armed_so(const MigdView *view, const MigdDecision *decision)
{
    const MigdTrack *track = view->track;

    return migd_view_armed(view) && track->throttle_set && track->level_pct == decision->argument &&
           track->trigger_pct == decision->trigger_pct;
}

/* A guest at the edge of converging looks now so, now so: the more often a throttle made ready was
 * taken back, the longer it is looked at before the next is. */
static gboolean
is_too_soon(const MigdTrack *track)
{
    guint passes = MIN(track->n_disarmed * track->n_disarmed, MOST_PATIENCE);

    return track->action.action == MIGD_ACTION_RELEASE && track->n_disarmed > 1 &&
           track->syncs_since_action < passes;
}

static gboolean
rule_throttle_or_postcopy(const MigdView *view, MigdDecision *decision)
{
    switch (migd_plan_cheapest(view, decision)) {
    case MIGD_ACTION_POSTCOPY:
        return say(decision, MIGD_ACTION_POSTCOPY, 0, MIGD_REASON_POSTCOPY_CHEAPEST);
    case MIGD_ACTION_WAIT:
        return decision->reason == MIGD_REASON_THROTTLE_LATER &&
               stay_unthrottled(view, decision, MIGD_REASON_THROTTLE_LATER);
    case MIGD_ACTION_RELEASE:
        return say(decision, MIGD_ACTION_RELEASE, 1, MIGD_REASON_THROTTLE_NOT_NEEDED);
    case MIGD_ACTION_SET_DOWNTIME:
        return say(decision, MIGD_ACTION_SET_DOWNTIME, decision->argument,
                   MIGD_REASON_DOWNTIME_FIRST);
    default: /* ARM or THROTTLE, with argument and trigger */
        if (is_armed_so(view, decision) ||
            (decision->action == MIGD_ACTION_ARM && is_too_soon(view->track))) {
            decision->trigger_pct = 0;
            return say(decision, MIGD_ACTION_WAIT, 0, MIGD_REASON_WAIT_FOR_EVIDENCE);
        }
        decision->reason = throttle_reason(view, decision);
        return TRUE;
    }
}

/* Guest seconds that the throttle in force has taken so far. */
static double
taken_s(const MigdTrack *track)
{
    double taken = 0;

    for (guint i = track->n_passes; i > 0 && track->passes[i - 1].throttle_pct >= 5; i--)
        taken += (double)track->passes[i - 1].duration_us * track->passes[i - 1].throttle_pct;
    return taken / 100 / G_USEC_PER_SEC;
}

static gboolean
rule_useless_throttle(const MigdView *view, MigdDecision *decision)
{
    gboolean dear = taken_s(view->track) >= MIGD_TRIAL_S;
    guint passes = dear ? 1 : enough(view->track, USELESS_PASSES);

    if (view->state.throttle < 0.05 || view->track->syncs_since_reached < passes ||
        !migd_view_may(view, MIGD_ACTION_RELEASE) || view->ends > MIGD_HOPE ||
        (!dear && !without_progress(view->track, passes, SHOW_S, PROGRESS)))
        return FALSE;
    decision->trigger_pct = 1;
    return say(decision, MIGD_ACTION_RELEASE, 1, MIGD_REASON_THROTTLE_USELESS);
}

/* Nothing allowed ends it, and that has been so for long: an abort that is right is better early
 * than late. */
static gboolean
rule_hopeless(const MigdView *view, MigdDecision *decision)
{
    if (view->ends > 1 - MIGD_SURE || !late_enough(view) ||
        !without_progress(view->track, enough(view->track, HOPELESS_PASSES), SHOW_S, PROGRESS))
        return FALSE;
    return say(decision, MIGD_ACTION_ABORT, 0, MIGD_REASON_HOPELESS_ABORT);
}

static gboolean
rule_watch(const MigdView *view, MigdDecision *decision)
{
    gboolean hope = view->wait.ends > 0.1 || migd_view_armed(view);

    return stay_unthrottled(view, decision,
                            hope ? MIGD_REASON_WAIT_FOR_EVIDENCE : MIGD_REASON_NOTHING_ALLOWED);
}

static const Rule rules[] = {
    rule_not_steerable,    rule_over_cap,   rule_costs_over_cap, rule_deadline,
    rule_pending,          rule_first_pass, rule_network_dip,    rule_downtime,
    rule_converging,       rule_bandwidth,  rule_falling,        rule_throttle_or_postcopy,
    rule_useless_throttle, rule_hopeless,   rule_watch,
};

static MigdVerdict
judge(const MigdView *view)
{
    const MigdTrack *track = view->track;

    if (migd_link_dips(&track->link))
        return MIGD_VERDICT_NETWORK_BOUND;
    if (track->model.n == 0)
        return MIGD_VERDICT_UNKNOWN;
    if (view->ends >= MIGD_SURE)
        return MIGD_VERDICT_CONVERGING;
    if (view->ends > 0.5)
        return MIGD_VERDICT_UNKNOWN;
    return view->within.grows ? MIGD_VERDICT_DIVERGING : MIGD_VERDICT_PLATEAU;
}

static double
seconds_to_deadline(const MigdTrack *track)
{
    guint64 deadline_us = track->profile.deadline_us;

    if (deadline_us == MIGD_DEADLINE_NONE)
        return HUGE_VAL;
    if (deadline_us == MIGD_DEADLINE_AUTO) {
        double bps = MAX(track->link.most_bps, track->link.usual_bps);

        if (bps <= 0)
            return HUGE_VAL;
        deadline_us = MAX(
            migd_from_double(AUTO_DEADLINE_COPIES * 1e6 * (double)track->last.total_bytes / bps),
            AUTO_DEADLINE_MIN_US);
    }
    return ((double)deadline_us - (double)(track->last.time_us - track->start_us)) / G_USEC_PER_SEC;
}

/* What the profile's pause leaves after what it costs whatever is left to send. It may fall into a
 * bad moment of the link.
 */
static double
room(const MigdTrack *track)
{
    return (double)track->profile.max_downtime_us / G_USEC_PER_SEC -
           learned_pause_s(track, migd_link_least_bps(&track->link));
}

/* The downtime limit that keeps the whole pause within the profile's: what else the pause costs is
 * taken off. */
static double
limit_within_cap(const MigdTrack *track, double room_s)
{
    double most_s = (double)track->profile.max_downtime_us / G_USEC_PER_SEC;

    return MIN(room_s, most_s - track->link.sync_s) * MIGD_LIMIT_PART;
}

static MigdView
look(const MigdTrack *track)
{
    MigdView view = {
        .track = track,
        .room_s = room(track),
        .cap_s = limit_within_cap(track, room(track)),
        .to_deadline_s = seconds_to_deadline(track),
        .forced = track->acted && (track->action.action == MIGD_ACTION_PAUSE ||
                                   track->action.action == MIGD_ACTION_POSTCOPY),
    };
    const MigdSample *sync = &track->sync;
    double left_s =
        view.to_deadline_s + (double)(track->last.time_us - sync->time_us) / G_USEC_PER_SEC;

    if (!track->synced || track->model.n == 0)
        return view;
    view.state = (MigdState){
        .remaining_bytes = (double)sync->remaining_bytes,
        .bandwidth_bps = track->link.bps,
        .limit_s = (double)(migd_sample_has(sync, MIGD_HAS_DOWNTIME_LIMIT)
                                ? sync->downtime_limit_us
                                : track->profile.max_downtime_us) /
                   G_USEC_PER_SEC,
        .throttle = sync->throttle_pct / 100.0,
        .horizon_s = CLAMP(left_s, 1, MIGD_HORIZON_S),
        .high_syncs = track->high_syncs,
        .since_eval_s = (double)(sync->time_us - track->judged_us) / G_USEC_PER_SEC,
        .sync_s = track->link.sync_s,
        .fixed_s = (double)track->costs.fixed_us / G_USEC_PER_SEC,
    };
    MigdPlan wait = migd_plan_wait(&view.state);
    migd_price(&track->model, &view.state, &wait, &view.wait, &view.waiting);
    view.within = view.wait;
    wait.limit_s = view.cap_s;
    if (view.cap_s > view.state.limit_s && migd_view_may(&view, MIGD_ACTION_SET_DOWNTIME))
        migd_price(&track->model, &view.state, &wait, &view.within, NULL);
    view.ends = without_progress(track, enough(track, STALLED_PASSES), STALLED_S, STALLED)
                    ? 0
                    : view.within.ends;
    return view;
}

static void
fill_numbers(const MigdView *view, MigdDecision *decision)
{
    const MigdTrack *track = view->track;
    const MigdHypothesis *best = migd_model_best(&track->model);
    const MigdPass *pass = track->n_passes > 0 ? &track->passes[track->n_passes - 1] : NULL;

    decision->time_us = track->last.time_us;
    decision->pass = track->last.pass;
    decision->remaining_bytes =
        track->synced ? track->sync.remaining_bytes : track->last.remaining_bytes;
    decision->bandwidth_bps = migd_from_double(track->link.bps);
    decision->downtime_limit_us = track->last.downtime_limit_us;
    decision->downtime_cap_us = track->profile.max_downtime_us;
    decision->throttle_pct = track->last.throttle_pct;
    if (pass != NULL && pass->duration_us > 0)
        decision->dirty_rate_bps = migd_from_double((double)pass->dirty_bytes * G_USEC_PER_SEC /
                                                    (double)pass->duration_us);
    if (best != NULL) {
        decision->lambda_bps = migd_from_double(best->lambda_bps);
        decision->working_set_bytes =
            isinf(best->working_set_bytes) ? 0 : migd_from_double(best->working_set_bytes);
    }
    decision->wait_time_us = view->waiting.time_us;
    migd_decision_take(decision, &view->wait, &view->waiting);
    decision->verdict = judge(view);
}

MigdDecision
migd_decide(const MigdTrack *track)
{
    MigdView view = look(track);
    MigdDecision decision = {0};

    fill_numbers(&view, &decision);
    for (guint i = 0; i < G_N_ELEMENTS(rules); i++)
        if (rules[i](&view, &decision))
            break;
    return decision;
}

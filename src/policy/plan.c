/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Candidate plans, each played forward under every hypothesis. The price of a plan is J of DESIGN
 * section 8: seconds plus ten times the guest work lost, so a hard throttle for a short time beats
 * a mild one for long.
 */
#include "policy/plan.h"

#include "base/checked.h"

/* Levels tried, and the profile's own maximum. */
static const guint8 levels[] = {10, 20, 30, 40, 50, 60, 70, 75, 80, 85, 90, 95, 99};

/* An armed level engages when a pass dirties more than this part of what it sent: at a plateau the
 * two are equal, and a guest at this ratio would need ten times its first pass. */
#define NO_PROGRESS_PCT 90

/* A plan must promise this much more than waiting before a guest is made to pay for it. */
#define WORTH 0.9

/* A throttle that leaves this part of what the guest would dirty without it does not help. */
#define USELESS 0.85

/* Post-copy cannot be taken back, and a lost link kills the guest: it must be this much cheaper
 * than a throttle. */
#define POSTCOPY_REGRET 2.0

/* Guest work lost for each second of pulling what is left (DESIGN section 8). */
#define POSTCOPY_LOSS 0.5

/* Added to the smallest limit that suffices: a floor is not known any better, and creeping costs a
 * pass each time. */
#define DOWNTIME_MARGIN 0.2

/* Passes seen before an irreversible step is taken on evidence. */
#define POSTCOPY_PASSES 2

gboolean
migd_view_may(const MigdView *view, MigdAction action)
{
    const MigdTrack *track = view->track;

    return migd_profile_allows(&track->profile, action) &&
           (track->abilities.can & ~track->refused & (1u << action)) != 0;
}

gboolean
migd_view_armed(const MigdView *view)
{
    const MigdTrack *track = view->track;
    gboolean armed = track->throttle_set ? track->level_pct > 1 && track->last.throttle_pct <= 1
                                         : track->abilities.throttle_cocked;

    return armed && migd_view_may(view, MIGD_ACTION_RELEASE);
}

void
migd_decision_take_forecast(MigdDecision *decision, const MigdForecast *forecast)
{
    decision->time_us_left = forecast->time_us;
    decision->pause_us = forecast->pause_us;
    decision->send_bytes = forecast->send_bytes;
    decision->lost_us = migd_from_double(forecast->lost_s * 1e6);
    decision->confidence_pct = (guint32)(forecast->ends * 100 + 0.5);
}

static MigdForecast
try_plan(const MigdView *view, const MigdPlan *plan)
{
    MigdForecast forecast;

    migd_forecast(&view->track->model, &view->state, plan, &forecast);
    return forecast;
}

guint64
migd_plan_downtime(const MigdView *view, MigdDecision *decision)
{
    double cap_s = (double)view->track->profile.max_downtime_us / G_USEC_PER_SEC;
    double low_s = view->state.limit_s, high_s = cap_s;
    MigdPlan plan = migd_plan_wait(&view->state);

    if (low_s >= cap_s || !migd_view_may(view, MIGD_ACTION_SET_DOWNTIME))
        return 0;
    plan.limit_s = cap_s;
    MigdForecast forecast = try_plan(view, &plan);
    if (forecast.ends < MIGD_SURE)
        return 0;
    /* To within 5 ms: QEMU takes whole ms, and a guest's floor is not known any better. */
    while (high_s - low_s > 0.005) {
        plan.limit_s = (low_s + high_s) / 2;
        MigdForecast closer = try_plan(view, &plan);

        if (closer.ends >= MIGD_SURE) {
            high_s = plan.limit_s;
            forecast = closer;
        } else {
            low_s = plan.limit_s;
        }
    }
    migd_decision_take_forecast(decision, &forecast);
    return migd_from_double(MIN(high_s * (1 + DOWNTIME_MARGIN), cap_s) * 1000 + 0.999) * 1000;
}

guint64
migd_plan_bandwidth(const MigdView *view, MigdDecision *decision)
{
    guint64 cap_bps = view->track->profile.max_bandwidth_bps;
    guint64 limit_bps = view->track->last.max_bandwidth_bps;
    MigdPlan plan = migd_plan_wait(&view->state);

    /* Only where the limit is what binds: the stream runs within 10 % of it. */
    if (cap_bps == 0 || limit_bps == 0 || limit_bps >= cap_bps ||
        view->state.bandwidth_bps < 0.9 * (double)limit_bps ||
        !migd_view_may(view, MIGD_ACTION_SET_BANDWIDTH))
        return 0;
    plan.bandwidth_bps = (double)cap_bps;
    MigdForecast forecast = try_plan(view, &plan);
    if (forecast.ends < MIGD_SURE)
        return 0;
    migd_decision_take_forecast(decision, &forecast);
    return cap_bps;
}

typedef struct {
    MigdPlan plan;
    MigdForecast forecast;
    guint32 level_pct;
} Candidate;

/* The cheapest throttle level above the one in force; level 0 when none may be set. */
static Candidate
cheapest_throttle(const MigdView *view)
{
    guint32 most = MIN(view->track->profile.max_throttle_pct, 99);
    guint32 least = MAX(view->track->last.throttle_pct, view->track->useless_pct);
    Candidate best = {0};

    if (!migd_view_may(view, MIGD_ACTION_THROTTLE))
        return best;
    for (guint i = 0; i <= G_N_ELEMENTS(levels); i++) {
        guint32 level = i < G_N_ELEMENTS(levels) ? levels[i] : most;
        Candidate candidate = {.plan = migd_plan_wait(&view->state), .level_pct = level};

        if (level > most || level <= MAX(least, 1))
            continue;
        candidate.plan.throttle = level / 100.0;
        /* Where waiting may still end it, the level is armed: QEMU itself tells at the next sync,
         * by whether the guest dirtied more than was sent, which of the two it is. */
        candidate.plan.trigger = (view->wait.ends > 1 - MIGD_SURE ? NO_PROGRESS_PCT : 1) / 100.0;
        candidate.forecast = try_plan(view, &candidate.plan);
        if (best.level_pct == 0 || candidate.forecast.cost < best.forecast.cost)
            best = candidate;
    }
    return best;
}

static gboolean
postcopy_is_best(const MigdView *view, double other_cost, MigdForecast *ret_forecast)
{
    double pull_s = view->state.remaining_bytes / view->state.bandwidth_bps;
    double cost = pull_s + 10 * POSTCOPY_LOSS * pull_s;
    guint64 time_us = migd_from_double(pull_s * 1e6);
    guint64 bytes = migd_from_double(view->state.remaining_bytes);

    if (!migd_view_may(view, MIGD_ACTION_POSTCOPY) || view->wait.ends > 1 - MIGD_SURE ||
        view->track->phase_passes < POSTCOPY_PASSES || cost * POSTCOPY_REGRET > other_cost)
        return FALSE;
    *ret_forecast = (MigdForecast){
        .ends = 1,
        .time_us = {time_us, time_us, time_us},
        .send_bytes = {bytes, bytes, bytes},
        .lost_s = POSTCOPY_LOSS * pull_s,
        .cost = cost,
    };
    return TRUE;
}

MigdAction
migd_plan_cheapest(const MigdView *view, MigdDecision *decision)
{
    Candidate throttle = cheapest_throttle(view);
    gboolean worth = throttle.level_pct != 0 && throttle.forecast.ends > view->wait.ends &&
                     throttle.forecast.cost < WORTH * view->wait.cost;
    double cost = worth ? throttle.forecast.cost : view->wait.cost;
    MigdForecast postcopy;

    if (postcopy_is_best(view, cost, &postcopy)) {
        migd_decision_take_forecast(decision, &postcopy);
        return MIGD_ACTION_POSTCOPY;
    }
    if (!worth)
        return MIGD_ACTION_WAIT;
    guint32 trigger_pct = view->wait.ends > 1 - MIGD_SURE ? NO_PROGRESS_PCT : 1;
    migd_decision_take_forecast(decision, &throttle.forecast);
    decision->trigger_pct = trigger_pct;
    decision->action = decision->trigger_pct > 1 ? MIGD_ACTION_ARM : MIGD_ACTION_THROTTLE;
    decision->argument = throttle.level_pct;
    return decision->action;
}

gboolean
migd_throttle_is_useless(const MigdView *view)
{
    const MigdModel *model = &view->track->model;
    double seconds = view->state.remaining_bytes / view->state.bandwidth_bps;
    double with = 0, without = 0;

    for (guint i = 0; i < model->n; i++) {
        const MigdHypothesis *hypothesis = &model->hypotheses[i];

        with += hypothesis->weight *
                migd_hypothesis_dirty(hypothesis, seconds, view->state.throttle, 0);
        without += hypothesis->weight * migd_hypothesis_dirty(hypothesis, seconds, 0, 0);
    }
    return with > USELESS * without;
}

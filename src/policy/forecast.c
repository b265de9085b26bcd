/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Playing passes forward. A pass sends what is left down to (bandwidth x downtime-limit), then
 * syncs: what is left is the unsent rest plus what the guest dirtied meanwhile; once that fits, the
 * guest is paused and the rest is sent.
 */
#include "policy/forecast.h"

#include <math.h>

#include "base/checked.h"

/* A plan that needs more passes than this is as good as endless: the figures would be fiction. */
#define MAX_PASSES 60

/* QEMU looks whether the rest fits only between bursts of up to 50 to 100 ms of sending, so when a
 * pass ends, this much more than necessary has been sent. Without it no pass that dirties anything
 * would ever be the last. */
#define BURST_S 0.05

/* A guest that will not get there is followed for this many passes more. */
#define FLOOR_PASSES 3

/* QEMU judges the dirty rate at most once a second. */
#define JUDGE_S 1.0

/* A migration that does not bring the guest over costs this many seconds on top (the time-limit of
 * DESIGN section 8): a plan that may work is worth trying against one that will not. */
#define FAILED_S 4000

typedef struct {
    gboolean ends, grows;
    double time_s, pause_s, bytes, lost_s;
} Run;

typedef struct {
    double throttle;
    double since_eval_s;
    guint high_syncs;
} Throttle;

/* QEMU's auto-converge at a sync: the second "high" sync engages the level. TRUE: just now. */
static gboolean
judge(Throttle *state, const MigdPlan *plan, double sent, double dirty)
{
    if (state->since_eval_s < JUDGE_S)
        return FALSE;
    state->since_eval_s = 0;
    if (state->throttle == plan->throttle || dirty <= sent * plan->trigger)
        return FALSE;
    if (++state->high_syncs < 2)
        return FALSE;
    state->high_syncs = 0;
    state->throttle = plan->throttle;
    return TRUE;
}

/* TRUE when no number of passes gets `left` down to what fits: the dirty curve is concave, so if a
 * pass from there does not end lower, there is a fixed point above it. */
static gboolean
has_floor(const MigdDirtyCurve *curve, const MigdState *state, const MigdPlan *plan, double fits,
          double unsent)
{
    double seconds = (fits - unsent) / plan->bandwidth_bps + state->sync_s;

    return unsent + migd_dirty_curve_at(curve, seconds) >= fits;
}

static Run
play(const MigdHypothesis *hypothesis, const MigdState *state, const MigdPlan *plan)
{
    Throttle throttle = {state->throttle, state->since_eval_s, state->high_syncs};
    double fits = plan->bandwidth_bps * plan->limit_s;
    double unsent = plan->bandwidth_bps * MAX(plan->limit_s - BURST_S, 0);
    double left = state->remaining_bytes;
    double s_per_byte = 1 / plan->bandwidth_bps;
    MigdDirtyCurve curve = migd_hypothesis_curve(hypothesis, throttle.throttle, unsent);
    gboolean settled = FALSE;
    guint last = MAX_PASSES;
    Run run = {0};

    for (guint pass = 0; pass < last && left > fits; pass++) {
        double sent = MAX(left - unsent, 0);
        double seconds = sent * s_per_byte + state->sync_s;
        double dirty = migd_dirty_curve_at(&curve, seconds);
        double before = left;

        run.time_s += seconds;
        run.lost_s += seconds * throttle.throttle;
        run.bytes += sent;
        if (run.time_s > state->horizon_s)
            break;
        left = unsent + dirty;
        throttle.since_eval_s += seconds;
        if (judge(&throttle, plan, sent, dirty))
            curve = migd_hypothesis_curve(hypothesis, throttle.throttle, unsent);
        run.grows = left > before * 1.02;
        /* The level stays as it is from here on: a guest with a floor need not be played to it. */
        if (!settled && (throttle.throttle == plan->throttle || plan->trigger >= 1)) {
            settled = TRUE;
            if (has_floor(&curve, state, plan, fits, unsent))
                last = MIN(last, pass + 1 + FLOOR_PASSES);
        }
    }
    run.ends = left <= fits && run.time_s <= state->horizon_s;
    run.pause_s = left / plan->bandwidth_bps + MAX(state->fixed_s, state->sync_s);
    if (run.ends) {
        run.time_s += run.pause_s;
        run.bytes += left;
        run.lost_s += run.pause_s;
    }
    return run;
}

/* Weighted quantile of `values` (in the order of the model's hypotheses); INFINITY counts as
 * "never". */
static guint64
quantile(const MigdModel *model, const double *values, const guint8 *order, double q)
{
    double sum = 0;

    for (guint i = 0; i < model->n; i++) {
        sum += model->hypotheses[order[i]].weight;
        if (sum >= q || i + 1 == model->n) {
            double value = values[order[i]];
            return isinf(value) ? MIGD_NEVER : migd_from_double(value);
        }
    }
    return MIGD_NEVER;
}

static MigdRange
spread(const MigdModel *model, const double *values)
{
    guint8 order[MIGD_MAX_HYPOTHESES];

    for (guint i = 0; i < model->n; i++) {
        guint j = i;

        for (; j > 0 && values[order[j - 1]] > values[i]; j--)
            order[j] = order[j - 1];
        order[j] = (guint8)i;
    }
    return (MigdRange){
        .low = quantile(model, values, order, 0.1),
        .mid = quantile(model, values, order, 0.5),
        .high = quantile(model, values, order, 0.9),
    };
}

MigdPlan
migd_plan_wait(const MigdState *state)
{
    return (MigdPlan){
        .limit_s = state->limit_s,
        .bandwidth_bps = state->bandwidth_bps,
        .throttle = state->throttle,
        .trigger = 1,
    };
}

void
migd_price(const MigdModel *model, const MigdState *state, const MigdPlan *plan,
           MigdPrice *ret_price, MigdForecast *ret_forecast)
{
    double times[MIGD_MAX_HYPOTHESES], pauses[MIGD_MAX_HYPOTHESES], bytes[MIGD_MAX_HYPOTHESES];
    MigdPrice price = {.plan = *plan};

    for (guint i = 0; i < model->n; i++) {
        const MigdHypothesis *hypothesis = &model->hypotheses[i];
        Run run = play(hypothesis, state, plan);
        double time_s = run.ends ? run.time_s : state->horizon_s + FAILED_S;

        times[i] = run.ends ? run.time_s * 1e6 : INFINITY;
        bytes[i] = run.ends ? run.bytes : INFINITY;
        pauses[i] = run.pause_s * 1e6;
        price.ends += run.ends ? hypothesis->weight : 0;
        price.lost_s += hypothesis->weight * run.lost_s;
        price.costs[i] = time_s + MIGD_LOST_WEIGHT * run.lost_s;
        price.cost += hypothesis->weight * price.costs[i];
        price.ending |= run.ends ? (guint64)1 << i : 0;
        if (hypothesis == migd_model_best(model))
            price.grows = run.grows;
    }
    *ret_price = price;
    if (ret_forecast == NULL)
        return;
    *ret_forecast = (MigdForecast){0};
    if (model->n == 0)
        return;
    ret_forecast->time_us = spread(model, times);
    ret_forecast->pause_us = spread(model, pauses);
    ret_forecast->send_bytes = spread(model, bytes);
}

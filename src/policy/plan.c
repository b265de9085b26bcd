/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Candidate plans, each played forward under every hypothesis. The price of a plan is J of DESIGN
 * section 8: seconds plus ten times the guest work lost, so a hard throttle for a short time beats
 * a mild one for long.
 */
#include "policy/plan.h"

#include <math.h>
#include <string.h>

#include "base/checked.h"

/* Levels tried first, as parts of the most that is allowed; then half a step to either side of the
 * best. */
#define LEVEL_STEPS 8

/* An armed level engages when a pass dirties more than this part of what it sent: at a plateau the
 * two are nearly equal, and a guest at the last of them would need ten times its first pass. */
static const guint8 triggers[] = {90, 80, 70, 60};

/* A plan must promise this much more than waiting before a guest is made to pay for it, when
 * waiting may well end it; and before a throttle is moved. */
#define WORTH 0.9

/* Of what one could know of a guest, a pass tells this part. */
#define LEARNT 0.5

/* Passes that a throttle is given to show what it does. */
#define LOOKS 2

/* The throttle waits for another pass when that makes it so much cheaper. */
#define LATER 0.97

/* A longer pause is given when it makes the rest this much cheaper. */
#define SOONER 0.95

/* Post-copy cannot be taken back, and a lost link kills the guest: it must be this much cheaper
 * than a throttle. */
#define POSTCOPY_REGRET 1.25

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
migd_decision_take(MigdDecision *decision, const MigdPrice *price, const MigdForecast *forecast)
{
    decision->time_us_left = forecast->time_us;
    decision->pause_us = forecast->pause_us;
    decision->send_bytes = forecast->send_bytes;
    decision->lost_us = migd_from_double(price->lost_s * 1e6);
    decision->confidence_pct = (guint32)(price->ends * 100 + 0.5);
}

static MigdPrice
try_plan(const MigdView *view, const MigdPlan *plan)
{
    MigdPrice price;

    migd_price(&view->track->model, &view->state, plan, &price, NULL);
    return price;
}

/* What comes of the plan of `price`, which was chosen. */
static void
foretell(const MigdView *view, const MigdPrice *price, MigdDecision *decision)
{
    MigdForecast forecast;
    MigdPrice again;

    migd_price(&view->track->model, &view->state, &price->plan, &again, &forecast);
    migd_decision_take(decision, &again, &forecast);
}

/* The smallest limit that ends it surely, to within 5 ms: QEMU takes whole ms, and a guest's floor
 * is not known any better. */
static double
smallest_limit(const MigdView *view, double low_s, double high_s, MigdPrice *price)
{
    MigdPlan plan = migd_plan_wait(&view->state);

    while (high_s - low_s > 0.005) {
        plan.limit_s = (low_s + high_s) / 2;
        MigdPrice closer = try_plan(view, &plan);

        if (closer.ends >= MIGD_SURE) {
            high_s = plan.limit_s;
            *price = closer;
        } else {
            low_s = plan.limit_s;
        }
    }
    return high_s;
}

guint64
migd_plan_downtime(const MigdView *view, MigdDecision *decision)
{
    double limit_s = view->state.limit_s, best_s = 0;
    MigdPlan plan = migd_plan_wait(&view->state);
    MigdPrice best = view->wait;

    if (limit_s + MIGD_LIMIT_SLACK_S >= view->cap_s || view->ends < MIGD_SURE ||
        !migd_view_may(view, MIGD_ACTION_SET_DOWNTIME))
        return 0;
    if (view->wait.ends < MIGD_SURE) {
        best = view->within;
        best_s = smallest_limit(view, limit_s, view->cap_s, &best) * (1 + DOWNTIME_MARGIN);
    }
    /* A longer pause than that where it ends so much sooner that the guest is better off. */
    for (double part = 1; part > 0.2; part /= 2) {
        plan.limit_s = part * view->cap_s;
        if (plan.limit_s < MAX(best_s, limit_s * (1 + DOWNTIME_MARGIN)))
            break;
        MigdPrice longer = part == 1 ? view->within : try_plan(view, &plan);
        if (longer.ends >= MIGD_SURE && longer.cost < SOONER * best.cost) {
            best = longer;
            best_s = plan.limit_s;
        }
    }
    if (best_s == 0)
        return 0;
    foretell(view, &best, decision);
    return migd_from_double(MIN(best_s, view->cap_s) * 1000) * 1000;
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
    MigdPrice price = try_plan(view, &plan);
    if (price.ends < MIGD_SURE)
        return 0;
    foretell(view, &price, decision);
    return cap_bps;
}

static double
postcopy_cost(double pull_s)
{
    return pull_s * (1 + MIGD_LOST_WEIGHT * POSTCOPY_LOSS);
}

/* Post-copy pauses the guest too, for all that is not memory. */
static gboolean
may_postcopy(const MigdView *view)
{
    return view->room_s > 0 && migd_view_may(view, MIGD_ACTION_POSTCOPY);
}

static guint32
most_pct(const MigdView *view)
{
    return MIN(view->track->profile.max_throttle_pct, 99);
}

static MigdPrice
try_throttle(const MigdView *view, guint32 level_pct, guint32 trigger_pct)
{
    MigdPlan plan = migd_plan_wait(&view->state);

    plan.limit_s = MAX(view->cap_s, view->state.limit_s);
    plan.throttle = level_pct / 100.0;
    plan.trigger = trigger_pct / 100.0;
    return try_plan(view, &plan);
}

typedef struct {
    MigdPrice price;
    gboolean forced;   /* worth a try whatever it costs */
    double cost;       /* J, when what turns out not to end is followed by what does */
    guint32 level_pct; /* 0: none may be set */
    guint32 trigger_pct;
} Candidate;

typedef struct {
    Candidate tried[LEVEL_STEPS + 2]; /* the strongest first, where it may be set */
    guint n, cheapest;
    guint64 ending;                   /* bit by hypothesis: some level ends it, or post-copy does */
    double best[MIGD_MAX_HYPOTHESES]; /* by hypothesis, J of the level that is right for it */
} Search;

static void
try_level(const MigdView *view, Search *search, guint32 level_pct)
{
    Candidate *candidate = &search->tried[search->n];

    if (level_pct > most_pct(view) || level_pct <= MAX(view->track->useless_pct, 1) ||
        level_pct == view->track->last.throttle_pct)
        return;
    *candidate = (Candidate){
        .price = try_throttle(view, level_pct, 1), .level_pct = level_pct, .trigger_pct = 1};
    for (guint h = 0; h < view->track->model.n; h++)
        search->best[h] = MIN(search->best[h], candidate->price.costs[h]);
    search->ending |= candidate->price.ending;
    if (candidate->price.cost < search->tried[search->cheapest].price.cost)
        search->cheapest = search->n;
    search->n++;
}

/* Post-copy from the next sync on is a way out, too. */
static void
allow_for_postcopy(const MigdView *view, Search *search)
{
    const MigdModel *model = &view->track->model;
    double pass_s = view->state.remaining_bytes / view->state.bandwidth_bps;

    for (guint h = 0; h < model->n; h++) {
        const MigdHypothesis *hypothesis = &model->hypotheses[h];
        MigdDirtyCurve curve = migd_hypothesis_curve(hypothesis, view->state.throttle, 0);
        double left = migd_dirty_curve_at(&curve, pass_s);

        search->best[h] =
            MIN(search->best[h], POSTCOPY_REGRET * postcopy_cost(left / view->state.bandwidth_bps));
        search->ending |= (guint64)1 << h;
    }
}

static void
try_levels(const MigdView *view, Search *search)
{
    guint32 step = most_pct(view) / LEVEL_STEPS;

    for (guint h = 0; h < MIGD_MAX_HYPOTHESES; h++)
        search->best[h] = HUGE_VAL;
    if (may_postcopy(view))
        allow_for_postcopy(view, search);
    if (!migd_view_may(view, MIGD_ACTION_THROTTLE))
        return;
    try_level(view, search, most_pct(view));
    for (guint32 i = 1; i < LEVEL_STEPS; i++)
        try_level(view, search, i * step);
    if (search->n == 0)
        return;
    guint32 best_pct = search->tried[search->cheapest].level_pct;
    try_level(view, search, best_pct - step / 2);
    try_level(view, search, best_pct + step / 2);
}

/* What the next sync will make of hypothesis `h`: a pass tells half of what there is to know, so
 * half-way between the level that is right for it and the one that is right on the whole. */
static double
next_cost(const Search *search, guint h)
{
    if (search->n == 0)
        return search->best[h];
    return LEARNT * search->best[h] + (1 - LEARNT) * search->tried[search->cheapest].price.costs[h];
}

/* Under which hypotheses nothing at all ends it: these are no reason for or against any plan. */
static gboolean
is_lost(const MigdView *view, const Search *search, guint h)
{
    return (view->within.ending >> h & 1) == 0 && (search->ending >> h & 1) == 0;
}

/* J of a plan under which a pass takes its toll before it is seen to fail and mended: `toll` guest
 * seconds in all. Nothing is planned to the bitter end, because every sync is a chance to choose
 * anew. */
static double
mended_cost(const MigdView *view, const MigdPrice *price, const Search *search, double toll)
{
    const MigdModel *model = &view->track->model;
    double cost = 0;

    for (guint i = 0; i < model->n; i++) {
        gboolean ends = (price->ending >> i & 1) != 0;

        if (is_lost(view, search, i))
            continue;
        cost += model->hypotheses[i].weight *
                (ends ? price->costs[i] : MIN(price->costs[i], next_cost(search, i) + toll));
    }
    return cost;
}

/* When no level ends it by forecast, only the strongest is worth a try, and only once: it tells
 * what the model does not know. */
static Candidate
strongest(const MigdView *view, const Search *search)
{
    Candidate candidate = search->tried[0];

    double pass_s = view->state.remaining_bytes / view->state.bandwidth_bps;

    candidate.forced = candidate.level_pct == most_pct(view) &&
                       LOOKS * pass_s * candidate.level_pct / 100 < MIGD_TRIAL_S;
    return candidate;
}

/* `level_pct` so that QEMU itself engages it, at the trigger that tells the guests that end by
 * themselves best from those that do not. */
static Candidate
armed(const MigdView *view, const Search *search, guint32 level_pct)
{
    double pass_s = view->state.remaining_bytes / view->state.bandwidth_bps;
    Candidate best = {0};

    for (guint i = 0; i < G_N_ELEMENTS(triggers); i++) {
        Candidate candidate = {
            .price = try_throttle(view, level_pct, triggers[i]),
            .level_pct = level_pct,
            .trigger_pct = triggers[i],
        };

        candidate.cost = mended_cost(view, &candidate.price, search, pass_s);
        if (best.level_pct == 0 || candidate.cost < best.cost)
            best = candidate;
    }
    return best;
}

/* The cheapest throttle level; level 0 when none may be set. Where waiting may still end it, the
 * level is armed: QEMU itself tells at the next sync, by whether the guest dirtied more than was
 * sent, which of the two it is. */
static Candidate
cheapest_throttle(const MigdView *view, Search *search)
{
    double pass_s = view->state.remaining_bytes / view->state.bandwidth_bps;
    Candidate best = {0};

    for (guint i = 0; i < search->n; i++) {
        Candidate *tried = &search->tried[i];
        double toll = LOOKS * pass_s * (1 + MIGD_LOST_WEIGHT * tried->level_pct / 100.0);

        tried->cost = mended_cost(view, &tried->price, search, toll);
        if (best.level_pct == 0 || tried->cost < best.cost)
            best = *tried;
    }
    if (best.level_pct != 0 && best.price.ends <= MIGD_HOPE)
        return strongest(view, search);
    if (best.level_pct == 0 || view->ends <= MIGD_HOPE || view->track->last.throttle_pct > 1)
        return best;
    return armed(view, search, best.level_pct);
}

static gboolean
postcopy_is_best(const MigdView *view, double other_cost, MigdDecision *decision)
{
    double pull_s = view->state.remaining_bytes / view->state.bandwidth_bps;
    guint64 time_us = migd_from_double(pull_s * 1e6);
    guint64 bytes = migd_from_double(view->state.remaining_bytes);

    if (!may_postcopy(view) || view->ends > MIGD_HOPE || view->track->n_passes < POSTCOPY_PASSES ||
        postcopy_cost(pull_s) * POSTCOPY_REGRET > other_cost)
        return FALSE;
    decision->time_us_left = (MigdRange){time_us, time_us, time_us};
    decision->send_bytes = (MigdRange){bytes, bytes, bytes};
    decision->pause_us = (MigdRange){0, 0, 0};
    decision->lost_us = migd_from_double(POSTCOPY_LOSS * pull_s * 1e6);
    decision->confidence_pct = 100;
    return TRUE;
}

/* A throttle in force is taken back when the rest is cheaper without. */
static gboolean
release_is_best(const MigdView *view, double other_cost, MigdDecision *decision)
{
    if (view->track->last.throttle_pct <= 5 || !migd_view_may(view, MIGD_ACTION_RELEASE))
        return FALSE;
    MigdPrice price = try_throttle(view, 1, 1);
    if (price.ends < MIGD_SURE || price.cost >= WORTH * other_cost)
        return FALSE;
    foretell(view, &price, decision);
    decision->trigger_pct = 1;
    return TRUE;
}

static MigdAction
take_throttle(const MigdView *view, const Candidate *throttle, MigdDecision *decision)
{
    foretell(view, &throttle->price, decision);
    /* A pause up to the cap costs less than any throttle, and the level is reckoned with it. */
    if (throttle->trigger_pct == 1 && view->state.limit_s + MIGD_LIMIT_SLACK_S < view->cap_s &&
        migd_view_may(view, MIGD_ACTION_SET_DOWNTIME)) {
        decision->argument = migd_from_double(view->cap_s * 1000) * 1000;
        return MIGD_ACTION_SET_DOWNTIME;
    }
    decision->trigger_pct = throttle->trigger_pct;
    decision->action = throttle->trigger_pct > 1 ? MIGD_ACTION_ARM : MIGD_ACTION_THROTTLE;
    decision->argument = throttle->level_pct;
    return decision->action;
}

/* J of one more pass as it is and the throttle then: what a throttle takes goes with what is left,
 * and a pass that leaves less costs no guest time. */
static double
later_cost(const MigdView *view, const MigdPrice *throttle)
{
    const MigdModel *model = &view->track->model;
    const MigdState *state = &view->state;
    double unsent = MIN(state->bandwidth_bps * state->limit_s, state->remaining_bytes);
    double pass_s = (state->remaining_bytes - unsent) / state->bandwidth_bps + state->sync_s;
    double cost = 0;

    for (guint i = 0; i < model->n; i++) {
        const MigdHypothesis *hypothesis = &model->hypotheses[i];
        MigdDirtyCurve curve = migd_hypothesis_curve(hypothesis, state->throttle, unsent);
        double left = unsent + migd_dirty_curve_at(&curve, pass_s);
        double part = (throttle->ending >> i & 1) != 0 ? left / state->remaining_bytes : 1;

        cost += hypothesis->weight * (pass_s + part * throttle->costs[i]);
    }
    return cost;
}

static MigdAction
weigh(const MigdView *view, MigdDecision *decision)
{
    Search search = {.n = 0};
    try_levels(view, &search);
    Candidate throttle = cheapest_throttle(view, &search);
    double pass_s = view->state.remaining_bytes / view->state.bandwidth_bps;
    /* Where nothing ends by itself, another pass tells nothing that would make up for it. */
    double wait_cost = view->ends <= MIGD_HOPE ? view->within.cost
                                               : mended_cost(view, &view->within, &search, pass_s);
    double margin = view->track->last.throttle_pct > 1 ? WORTH : 1;
    gboolean worth =
        throttle.forced || (throttle.price.ends > MIGD_HOPE && throttle.cost < margin * wait_cost);
    double cost = worth && !throttle.forced ? throttle.cost : wait_cost;

    if (worth && !throttle.forced && view->track->last.throttle_pct <= 1 &&
        throttle.trigger_pct == 1 &&
        later_cost(view, &throttle.price) < LATER * throttle.price.cost) {
        decision->reason = MIGD_REASON_THROTTLE_LATER;
        worth = FALSE;
    }

    if (postcopy_is_best(view, cost, decision))
        return MIGD_ACTION_POSTCOPY;
    if (release_is_best(view, cost, decision))
        return MIGD_ACTION_RELEASE;
    return worth ? take_throttle(view, &throttle, decision) : MIGD_ACTION_WAIT;
}

/* Everything that weigh() reads, the model by the sync that it was fitted at. */
static void
keys_of(const MigdView *view, double keys[MIGD_WEIGHED_KEYS])
{
    const MigdTrack *track = view->track;
    const MigdState *state = &view->state;
    const double all[MIGD_WEIGHED_KEYS] = {
        state->remaining_bytes, state->bandwidth_bps,
        state->limit_s,         state->fixed_s,
        state->throttle,        state->horizon_s,
        state->high_syncs,      state->since_eval_s,
        state->sync_s,          view->cap_s,
        view->room_s > 0,       view->ends,
        (double)track->pass,    track->last.throttle_pct,
        track->useless_pct,     track->abilities.can & ~track->refused,
        track->profile.allow,   track->profile.max_throttle_pct,
    };

    memcpy(keys, all, sizeof all);
}

MigdAction
migd_plan_cheapest(const MigdView *view, MigdDecision *decision)
{
    MigdWeighed *weighed = view->track->weighed;
    const MigdDecision *found = &weighed->found;
    double keys[MIGD_WEIGHED_KEYS];

    keys_of(view, keys);
    if (!weighed->valid || memcmp(keys, weighed->keys, sizeof keys) != 0) {
        decision->action = weigh(view, decision);
        *weighed = (MigdWeighed){.found = *decision, .valid = TRUE};
        memcpy(weighed->keys, keys, sizeof keys);
    }
    decision->action = found->action;
    decision->reason = found->reason;
    decision->time_us_left = found->time_us_left;
    decision->pause_us = found->pause_us;
    decision->send_bytes = found->send_bytes;
    decision->lost_us = found->lost_us;
    decision->confidence_pct = found->confidence_pct;
    decision->trigger_pct = found->trigger_pct;
    decision->argument = found->argument;
    return found->action;
}

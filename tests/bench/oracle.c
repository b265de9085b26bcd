/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The search: plain families of plans on a grid, then the best of them refined one parameter at a
 * time. Deterministic. No proof of optimality; tests hold it against every engine.
 */
#include "bench/oracle.h"

#include <math.h>
#include <string.h>

#include "base/checked.h"

#define TOLERANCE_S 0.5     /* of a deadline: an engine looks this often */
#define KEEP 6              /* plans of each family that are refined */
#define GRID_TIMES 40       /* moments to begin at */
#define REFINE_TRIES 1500   /* for each plan that is refined, */
#define REFINE_PATIENCE 400 /* as long as one of so many is better, */
#define REFINE_S 60000      /* and up to this much virtual time */
#define AUTO_COPIES 10      /* docs/policy.md: the deadline "auto" */
#define AUTO_LEAST_S 120.0

/* ---- limits -------------------------------------------------------------------------------- */

double
migd_scenario_deadline_s(const MigdScenario *scenario, const MigdProfile *profile)
{
    const double *values = scenario->initial;
    double bps = values[MIGD_SCN_BANDWIDTH];
    double stream = values[MIGD_SCN_STREAM_LIMIT], cap = values[MIGD_SCN_MAX_BANDWIDTH];

    if (profile->deadline_us == MIGD_DEADLINE_NONE)
        return HUGE_VAL;
    if (profile->deadline_us != MIGD_DEADLINE_AUTO)
        return (double)profile->deadline_us / G_USEC_PER_SEC;
    bps = stream > 0 ? MIN(bps, stream) : bps;
    bps = cap > 0 ? MIN(bps, cap) : bps;
    return MAX(AUTO_COPIES * values[MIGD_SCN_MEMORY] / MAX(bps, 1), AUTO_LEAST_S);
}

guint
migd_run_broke(const MigdRun *run, const MigdScenario *scenario, const MigdProfile *profile)
{
    double cap_s = (double)profile->max_downtime_us / G_USEC_PER_SEC;
    guint broke = 0;

    if ((run->result == MIGD_RUN_POSTCOPY && !migd_profile_allows(profile, MIGD_ACTION_POSTCOPY)) ||
        (run->result == MIGD_RUN_ABORTED && !migd_profile_allows(profile, MIGD_ACTION_ABORT)))
        broke |= MIGD_BROKE_ALLOW;
    if (migd_run_arrived(run) && run->downtime_s > cap_s + 1e-4 &&
        !(run->result == MIGD_RUN_PAUSED && migd_profile_allows(profile, MIGD_ACTION_PAUSE)))
        broke |= MIGD_BROKE_PAUSE;
    if (run->most_throttle_pct > MAX(profile->max_throttle_pct, 1))
        broke |= MIGD_BROKE_THROTTLE;
    if (profile->on_deadline != MIGD_DEADLINE_CONTINUE &&
        run->total_s > migd_scenario_deadline_s(scenario, profile) + TOLERANCE_S)
        broke |= MIGD_BROKE_DEADLINE;
    return broke;
}

/* ---- candidates ---------------------------------------------------------------------------- */

typedef struct {
    MigdFixedPlan plan;
    double cost;
} Candidate;

typedef struct {
    const MigdScenario *scenario;
    const MigdProfile *profile;
    guint64 cap_us;
    Candidate best; /* of all */
    GArray *family; /* of Candidate: the best of the present family, cheapest first */
    GArray *syncs;  /* of the plan tried last */
    GArray *times;  /* gint64 µs, moments of the grid */
    guint tried;
    double played_s;         /* virtual time in all */
    gboolean pause_over_cap; /* last resort: a pause over the cap counts */
    guint64 random;
} Search;

static double
price(Search *search, const MigdFixedPlan *plan, double bound)
{
    g_autoptr(MigdRun) run =
        migd_fixed_plan_run(plan, search->scenario, search->profile, bound, search->syncs);
    double cap_s = (double)search->cap_us / G_USEC_PER_SEC;

    search->tried++;
    search->played_s += run->total_s;
    if (migd_run_broke(run, search->scenario, search->profile) != 0 ||
        (!search->pause_over_cap && run->result == MIGD_RUN_PAUSED && run->downtime_s > cap_s) ||
        (run->result == MIGD_RUN_ABORTED && run->cost_s > bound))
        return HUGE_VAL;
    return run->cost_s;
}

static void
keep_best(Search *search, const MigdFixedPlan *plan, double cost)
{
    Candidate candidate = {*plan, cost};

    if (cost < search->best.cost)
        search->best = candidate;
    guint at = 0;
    while (at < search->family->len && g_array_index(search->family, Candidate, at).cost <= cost)
        at++;
    if (at < KEEP)
        g_array_insert_val(search->family, at, candidate);
    if (search->family->len > KEEP)
        g_array_set_size(search->family, KEEP);
}

/* Tries `plan` and keeps it if it is among the best of its family. */
static void
consider(Search *search, const MigdFixedPlan *plan)
{
    double bound = search->family->len < KEEP
                       ? 2 * search->best.cost
                       : g_array_index(search->family, Candidate, KEEP - 1).cost;
    double cost = price(search, plan, bound);

    if (!isinf(cost))
        keep_best(search, plan, cost);
}

/* ---- families ------------------------------------------------------------------------------ */

static const double limit_parts[] = {1, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1, 0.05, 0.01};

static guint64
part_of_cap(const Search *search, double part)
{
    return MAX((guint64)((double)search->cap_us * part), 1000);
}

static void
add_family_wait(Search *search)
{
    for (guint i = 0; i < G_N_ELEMENTS(limit_parts); i++) {
        MigdFixedPlan plan = migd_fixed_plan(part_of_cap(search, limit_parts[i]));

        consider(search, &plan);
    }
}

static void
add_family_throttle(Search *search)
{
    guint32 most = MIN(search->profile->max_throttle_pct, 99);

    if (!migd_profile_allows(search->profile, MIGD_ACTION_THROTTLE))
        return;
    for (guint i = 0; i < search->times->len; i++) {
        for (guint32 level = 5; level < most + 5; level += 5) {
            for (guint k = 0; k < G_N_ELEMENTS(limit_parts); k += 3) {
                MigdFixedPlan plan = migd_fixed_plan(part_of_cap(search, limit_parts[k]));
                gint64 at_us = g_array_index(search->times, gint64, i);

                plan.n_steps = at_us > 0 ? 2 : 1;
                plan.steps[plan.n_steps - 1] = plan.steps[0];
                plan.steps[plan.n_steps - 1].at_us = at_us;
                plan.steps[plan.n_steps - 1].level_pct = MIN(level, most);
                consider(search, &plan);
            }
        }
    }
}

static void
add_family_postcopy(Search *search)
{
    if (!migd_profile_allows(search->profile, MIGD_ACTION_POSTCOPY))
        return;
    for (guint i = 0; i < search->times->len; i++) {
        MigdFixedPlan plan = migd_fixed_plan(search->cap_us);

        plan.postcopy_us = g_array_index(search->times, gint64, i);
        consider(search, &plan);
    }
    for (guint i = 0; i < search->times->len; i += 2) {
        MigdFixedPlan plan = migd_fixed_plan(search->cap_us);

        plan.steps[0].level_pct = MAX(MIN(search->profile->max_throttle_pct, 99), 1);
        plan.postcopy_us = g_array_index(search->times, gint64, i);
        consider(search, &plan);
    }
}

static void
add_family_end(Search *search)
{
    MigdFixedPlan plan = migd_fixed_plan(search->cap_us);

    plan.abort_us = 0;
    if (migd_profile_allows(search->profile, MIGD_ACTION_ABORT))
        consider(search, &plan);
    plan.abort_us = MIGD_PLAN_NOT;
    for (guint i = 0; i < search->times->len; i++) {
        plan.pause_us = g_array_index(search->times, gint64, i);
        if (migd_profile_allows(search->profile, MIGD_ACTION_PAUSE))
            consider(search, &plan);
    }
}

/* ---- refinement ---------------------------------------------------------------------------- */

static guint
draw(Search *search, guint n)
{
    search->random ^= search->random >> 12;
    search->random ^= search->random << 25;
    search->random ^= search->random >> 27;
    return (guint)((search->random * 2685821657736338717ull) >> 33) % MAX(n, 1);
}

/* A moment to act at: a sync near `at_us` (of the newest run), or some multiple of a look away. */
static gint64
move_time(Search *search, gint64 at_us)
{
    static const gint64 hops[] = {1, 2, 5, 20, 100};
    const GArray *syncs = search->syncs;
    guint near = 0;

    if (syncs->len == 0 || draw(search, 4) == 0) {
        gint64 hop = hops[draw(search, G_N_ELEMENTS(hops))] * G_USEC_PER_SEC / 2;
        gint64 moved_us = draw(search, 2) == 0 ? at_us + hop : at_us - hop;

        return MAX(moved_us, 0);
    }
    while (near + 1 < syncs->len && g_array_index(syncs, gint64, near) < at_us)
        near++;
    guint reach = draw(search, 3) == 0 ? syncs->len : 4;
    guint low = near > reach ? near - reach : 0, high = MIN(near + reach, syncs->len - 1);

    return g_array_index(syncs, gint64, low + draw(search, high - low + 1));
}

static guint64
move_limit(Search *search, guint64 limit_us)
{
    static const double factors[] = {0.5, 0.8, 0.95, 0.99, 1.01, 1.05, 1.25, 2};
    guint factor = draw(search, G_N_ELEMENTS(factors));
    guint part = draw(search, G_N_ELEMENTS(limit_parts));

    switch (draw(search, 4)) {
    case 0:
        return search->cap_us;
    case 1:
        return part_of_cap(search, limit_parts[part]);
    default:
        return CLAMP((guint64)((double)limit_us * factors[factor]), 1000, search->cap_us);
    }
}

static guint32
move_level(Search *search, guint32 level_pct)
{
    static const int hops[] = {-20, -5, -2, -1, 1, 2, 5, 20};
    int most = (int)MIN(MAX(search->profile->max_throttle_pct, 1), 99);
    int hop = hops[draw(search, G_N_ELEMENTS(hops))];

    if (!migd_profile_allows(search->profile, MIGD_ACTION_THROTTLE))
        return 1;
    switch (draw(search, 4)) {
    case 0:
        return 1;
    case 1:
        return (guint32)most;
    default:
        return (guint32)CLAMP((int)level_pct + hop, 1, most);
    }
}

static int
by_time(gconstpointer a, gconstpointer b)
{
    gint64 x = ((const MigdPlanStep *)a)->at_us, y = ((const MigdPlanStep *)b)->at_us;

    return (x > y) - (x < y);
}

static void
change_step(Search *search, MigdFixedPlan *plan)
{
    guint i = draw(search, plan->n_steps);
    MigdPlanStep *step = &plan->steps[i];

    switch (draw(search, 6)) {
    case 0:
        if (plan->n_steps < MIGD_PLAN_STEPS) {
            memmove(step + 1, step, (plan->n_steps++ - i) * sizeof *step);
            step[1].at_us = move_time(search, step->at_us);
            step[1].level_pct = move_level(search, step->level_pct);
        }
        break;
    case 1:
        if (i > 0)
            memmove(step, step + 1, (--plan->n_steps - i) * sizeof *step);
        break;
    case 2:
        if (i > 0)
            step->at_us = move_time(search, step->at_us);
        break;
    case 3:
        step->limit_us = move_limit(search, step->limit_us);
        break;
    case 4:
        step->level_pct = move_level(search, step->level_pct);
        break;
    default:
        step->trigger_pct = step->trigger_pct == 1 ? 100 : 1;
        break;
    }
    qsort(plan->steps + 1, plan->n_steps - 1, sizeof *plan->steps, by_time);
}

/* Of the end: post-copy is put in, taken out or moved; a pause is moved. */
static void
change_end(Search *search, MigdFixedPlan *plan)
{
    if (plan->pause_us != MIGD_PLAN_NOT) {
        plan->pause_us = move_time(search, plan->pause_us);
    } else if (plan->postcopy_us != MIGD_PLAN_NOT) {
        plan->postcopy_us =
            draw(search, 5) == 0 ? MIGD_PLAN_NOT : move_time(search, plan->postcopy_us);
    } else if (migd_profile_allows(search->profile, MIGD_ACTION_POSTCOPY) &&
               search->syncs->len > 0) {
        plan->postcopy_us = g_array_index(search->syncs, gint64, draw(search, search->syncs->len));
    }
}

static void
refine(Search *search, Candidate start)
{
    Candidate now = start;
    g_autoptr(GArray) syncs = g_array_new(FALSE, FALSE, sizeof(gint64));

    (void)price(search, &now.plan, HUGE_VAL);
    double until_s = search->played_s + REFINE_S;
    guint patience = REFINE_PATIENCE;

    for (guint i = 0; i < REFINE_TRIES && patience-- > 0 && search->played_s < until_s; i++) {
        MigdFixedPlan plan = now.plan;
        GArray *before = search->syncs;

        for (guint changes = 1 + draw(search, 3); changes > 0; changes--) {
            if (draw(search, 5) == 0)
                change_end(search, &plan);
            else
                change_step(search, &plan);
        }
        search->syncs = syncs;
        double cost = price(search, &plan, now.cost);
        search->syncs = before;
        if (cost >= now.cost)
            continue;
        now = (Candidate){plan, cost};
        patience = REFINE_PATIENCE;
        g_array_set_size(search->syncs, 0);
        g_array_append_vals(search->syncs, syncs->data, syncs->len);
    }
    if (now.cost < search->best.cost)
        search->best = now;
}

static void
refine_family(Search *search)
{
    g_autoptr(GArray) family = search->family;

    search->family = g_array_new(FALSE, FALSE, sizeof(Candidate));
    for (guint i = 0; i < family->len; i++)
        refine(search, g_array_index(family, Candidate, i));
}

/* ---- the whole ----------------------------------------------------------------------------- */

/* The syncs of a run that waits: all of the first, then ever fewer. */
static void
find_times(Search *search)
{
    MigdFixedPlan plan = migd_fixed_plan(search->cap_us);
    gint64 zero = 0;

    g_array_append_val(search->times, zero);
    (void)price(search, &plan, HUGE_VAL);
    for (double i = 0; i < search->syncs->len && search->times->len < GRID_TIMES;
         i += MAX(1, i * 0.1))
        g_array_append_val(search->times, g_array_index(search->syncs, gint64, (guint)i));
}

static void
search_all(Search *search, const GPtrArray *seeds)
{
    /* An abort at once comes first: no plan that costs more is played to its end. */
    void (*const families[])(Search *) = {add_family_end, add_family_wait, add_family_throttle,
                                          add_family_postcopy};

    for (guint i = 0; i < G_N_ELEMENTS(families); i++) {
        families[i](search);
        refine_family(search);
    }
    for (guint i = 0; seeds != NULL && i < seeds->len; i++) {
        MigdFixedPlan plan = migd_fixed_plan_of(seeds->pdata[i], search->cap_us);

        consider(search, &plan);
    }
    refine_family(search);
}

/* A search leaves things behind that change nothing: out with them, so that people can read the
 * plan. */
static void
simplify(Search *search)
{
    MigdFixedPlan *best = &search->best.plan;

    for (guint i = best->n_steps; i-- > 0;) {
        MigdFixedPlan shorter = *best, plainer = *best;

        plainer.steps[i].level_pct = i > 0 ? best->steps[i - 1].level_pct : 1;
        plainer.steps[i].trigger_pct = i > 0 ? best->steps[i - 1].trigger_pct : 1;
        if (price(search, &plainer, search->best.cost) <= search->best.cost)
            *best = plainer;
        memmove(&shorter.steps[i], &shorter.steps[i + 1],
                (shorter.n_steps - i - 1) * sizeof *shorter.steps);
        shorter.n_steps--;
        if (i > 0 && price(search, &shorter, search->best.cost) <= search->best.cost)
            *best = shorter;
    }
    MigdFixedPlan without = *best;
    without.postcopy_us = MIGD_PLAN_NOT;
    if (price(search, &without, search->best.cost) <= search->best.cost)
        *best = without;
}

MigdOracle
migd_oracle(const MigdScenario *scenario, const MigdProfile *profile, const GPtrArray *seeds)
{
    g_autoptr(GArray) times = g_array_new(FALSE, FALSE, sizeof(gint64));
    g_autoptr(GArray) syncs = g_array_new(FALSE, FALSE, sizeof(gint64));
    Search search = {
        .scenario = scenario,
        .profile = profile,
        .cap_us = profile->max_downtime_us,
        .best = {migd_fixed_plan(profile->max_downtime_us), HUGE_VAL},
        .family = g_array_new(FALSE, FALSE, sizeof(Candidate)),
        .syncs = syncs,
        .times = times,
        .random = 88172645463325252ull,
    };
    MigdOracle oracle = {0};

    find_times(&search);
    search_all(&search, seeds);
    if (isinf(search.best.cost)) {
        search.pause_over_cap = TRUE;
        search_all(&search, seeds);
    }
    simplify(&search);
    g_array_unref(search.family);
    oracle.plan = search.best.plan;
    oracle.run = migd_fixed_plan_run(&oracle.plan, scenario, profile, HUGE_VAL, NULL);
    oracle.tried = search.tried;
    return oracle;
}

void
migd_oracle_clear(MigdOracle *oracle)
{
    g_clear_pointer(&oracle->run, migd_run_free);
}

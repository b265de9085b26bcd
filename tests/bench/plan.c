/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Carrying out a fixed plan. The engine port hands no argument to start(), so the plan that is
 * about to run stands in a variable of this thread.
 */
#include "bench/plan.h"

#include "base/checked.h"

/* As often as the daemon looks within a pass. */
#define LOOK_US (G_USEC_PER_SEC / 2)

#define LOST_WEIGHT 10 /* of J */

typedef struct {
    const MigdFixedPlan *plan;
    double bound;
    GArray *syncs;
} Running;

static _Thread_local Running about_to_run;

typedef struct {
    Running running;
    guint64 limit_us;
    guint32 level_pct, trigger_pct;
    guint64 cap_bps; /* bandwidth limit to set once; 0 = leave it */
    gint64 last_us;
    double lost_us;
} State;

MigdFixedPlan
migd_fixed_plan(guint64 limit_us)
{
    return (MigdFixedPlan){
        .steps = {{.limit_us = limit_us, .level_pct = 1, .trigger_pct = 1}},
        .n_steps = 1,
        .postcopy_us = MIGD_PLAN_NOT,
        .pause_us = MIGD_PLAN_NOT,
        .abort_us = MIGD_PLAN_NOT,
    };
}

/* A copy of the newest step from `at_us` on; the newest itself where there is no room or it begins
 * then. */
static MigdPlanStep *
next_step(MigdFixedPlan *plan, gint64 at_us)
{
    MigdPlanStep *last = &plan->steps[plan->n_steps - 1];

    if (last->at_us == at_us || plan->n_steps == MIGD_PLAN_STEPS)
        return last;
    plan->steps[plan->n_steps] = *last;
    plan->steps[plan->n_steps].at_us = at_us;
    return &plan->steps[plan->n_steps++];
}

MigdFixedPlan
migd_fixed_plan_of(const MigdRun *run, guint64 limit_us)
{
    MigdFixedPlan plan = migd_fixed_plan(limit_us);

    for (guint i = 0; i < run->decisions->len; i++) {
        const MigdDecision *decision = &g_array_index(run->decisions, MigdDecision, i);
        gint64 at_us = decision->time_us;

        switch (decision->action) {
        case MIGD_ACTION_SET_DOWNTIME:
            next_step(&plan, at_us)->limit_us = MIN(decision->argument, limit_us);
            break;
        case MIGD_ACTION_ARM:
        case MIGD_ACTION_THROTTLE:
        case MIGD_ACTION_RELEASE:
            next_step(&plan, at_us)->level_pct = MAX((guint32)decision->argument, 1);
            plan.steps[plan.n_steps - 1].trigger_pct = MAX(decision->trigger_pct, 1);
            break;
        case MIGD_ACTION_POSTCOPY:
            plan.postcopy_us = at_us;
            break;
        case MIGD_ACTION_PAUSE:
            plan.pause_us = at_us;
            break;
        case MIGD_ACTION_ABORT:
            plan.abort_us = at_us;
            break;
        default:
            break;
        }
    }
    return plan;
}

static gpointer
start(const MigdEngineGuest *guest, MigdKnobs *knobs)
{
    State *state = g_new0(State, 1);
    const MigdPlanStep *step = &about_to_run.plan->steps[0];

    state->running = about_to_run;
    state->limit_us = step->limit_us;
    state->level_pct = step->level_pct;
    state->trigger_pct = step->trigger_pct;
    if (guest->profile.max_bandwidth_bps != knobs->max_bandwidth_bps &&
        migd_profile_allows(&guest->profile, MIGD_ACTION_SET_BANDWIDTH))
        state->cap_bps = guest->profile.max_bandwidth_bps;
    knobs->auto_converge = TRUE;
    knobs->postcopy = guest->postcopy && migd_profile_allows(&guest->profile, MIGD_ACTION_POSTCOPY);
    knobs->downtime_limit_us = step->limit_us;
    knobs->throttle_initial_pct = knobs->throttle_max_pct = step->level_pct;
    knobs->throttle_increment_pct = step->level_pct;
    knobs->throttle_trigger_pct = step->trigger_pct;
    return state;
}

static MigdDecision
say(const MigdSample *sample, MigdAction action, guint64 argument)
{
    return (MigdDecision){
        .action = action,
        .argument = argument,
        .reason = action == MIGD_ACTION_WAIT ? MIGD_REASON_FIRST_PASS : MIGD_REASON_REQUESTED,
        .time_us = sample->time_us,
        .pass = sample->pass,
    };
}

/* The cost that is certain by now reaches the bound: no use in going on. */
static gboolean
too_dear(State *state, const MigdSample *sample)
{
    state->lost_us += (double)(sample->time_us - state->last_us) * sample->throttle_pct / 100.0;
    state->last_us = sample->time_us;
    return ((double)sample->time_us + LOST_WEIGHT * state->lost_us) / G_USEC_PER_SEC >
           state->running.bound;
}

static MigdDecision
follow_step(State *state, const MigdSample *sample)
{
    const MigdFixedPlan *plan = state->running.plan;
    const MigdPlanStep *step = &plan->steps[0];

    for (guint i = 1; i < plan->n_steps && plan->steps[i].at_us <= sample->time_us; i++)
        step = &plan->steps[i];
    if (step->limit_us != state->limit_us) {
        state->limit_us = step->limit_us;
        return say(sample, MIGD_ACTION_SET_DOWNTIME, step->limit_us);
    }
    if (step->level_pct != state->level_pct || step->trigger_pct != state->trigger_pct) {
        gboolean release = step->level_pct <= 1;
        MigdDecision decision =
            say(sample, release ? MIGD_ACTION_RELEASE : MIGD_ACTION_THROTTLE, step->level_pct);

        state->level_pct = step->level_pct;
        state->trigger_pct = decision.trigger_pct = step->trigger_pct;
        return decision;
    }
    return say(sample, MIGD_ACTION_WAIT, 0);
}

static MigdDecision
look(gpointer data, const MigdSample *sample)
{
    State *state = data;
    const MigdFixedPlan *plan = state->running.plan;
    GArray *syncs = state->running.syncs;

    if ((sample->has & MIGD_HAS_SYNC) != 0 && syncs != NULL &&
        (syncs->len == 0 || g_array_index(syncs, gint64, syncs->len - 1) != sample->time_us))
        g_array_append_val(syncs, sample->time_us);
    if (sample->status != MIGD_STATUS_PRECOPY && sample->status != MIGD_STATUS_SETUP)
        return say(sample, MIGD_ACTION_WAIT, 0);
    if (plan->abort_us <= sample->time_us || too_dear(state, sample))
        return say(sample, MIGD_ACTION_ABORT, 0);
    if (sample->status == MIGD_STATUS_PRECOPY && plan->postcopy_us <= sample->time_us)
        return say(sample, MIGD_ACTION_POSTCOPY, 0);
    if (plan->pause_us <= sample->time_us)
        return say(sample, MIGD_ACTION_PAUSE, 0);
    if (state->cap_bps != 0) {
        guint64 cap_bps = state->cap_bps;

        state->cap_bps = 0;
        return say(sample, MIGD_ACTION_SET_BANDWIDTH, cap_bps);
    }
    return follow_step(state, sample);
}

static const MigdEngine engine = {
    .name = "oracle",
    .about = "a plan made with the whole scenario known",
    .poll_us = LOOK_US,
    .at_syncs = TRUE,
    .start = start,
    .look = look,
    .free = g_free,
};

MigdRun *
migd_fixed_plan_run(const MigdFixedPlan *plan, const MigdScenario *scenario,
                    const MigdProfile *profile, double bound, GArray *syncs)
{
    if (syncs != NULL)
        g_array_set_size(syncs, 0);
    about_to_run = (Running){plan, bound, syncs};
    return migd_run(scenario, &engine, profile);
}

char *
migd_fixed_plan_describe(const MigdFixedPlan *plan)
{
    GString *out = g_string_new(NULL);
    const struct {
        gint64 at_us;
        const char *what;
    } ends[] = {
        {plan->postcopy_us, "post-copy"}, {plan->pause_us, "pause"}, {plan->abort_us, "abort"}};

    for (guint i = 0; i < plan->n_steps; i++) {
        const MigdPlanStep *step = &plan->steps[i];

        g_string_append_printf(out, "%sfrom %.1f s limit %.0f ms", i > 0 ? ", " : "",
                               (double)step->at_us / 1e6, (double)step->limit_us / 1e3);
        if (step->level_pct > 1)
            g_string_append_printf(out, " throttle %u %%", step->level_pct);
    }
    for (guint i = 0; i < G_N_ELEMENTS(ends); i++)
        if (ends[i].at_us != MIGD_PLAN_NOT)
            g_string_append_printf(out, ", %s at %.1f s", ends[i].what,
                                   (double)ends[i].at_us / 1e6);
    return g_string_free(out, FALSE);
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The loop between a simulated migration and an engine: run to the next sync or poll, let the
 * engine look, carry out what it says.
 */
#include "sim/run.h"

#include "base/checked.h"
#include "sim/sim.h"

/* Weight of a second of guest work lost against a second of migration. */
#define LOST_WEIGHT 10

/* Guest work lost for each second of pulling pages in post-copy. */
#define PULL_LOSS 0.5

const char *
migd_run_result_to_string(MigdRunResult result)
{
    static const char *const words[] = {"completed", "postcopy", "paused", "aborted", "running"};

    return words[result];
}

gboolean
migd_run_arrived(const MigdRun *run)
{
    return run->result <= MIGD_RUN_PAUSED;
}

double
migd_run_cost(double total_s, double lost_s, gboolean arrived, double time_limit_s)
{
    return total_s + LOST_WEIGHT * lost_s + (arrived ? 0 : time_limit_s);
}

MigdRun *
migd_run_new(void)
{
    MigdRun *run = g_new0(MigdRun, 1);

    run->decisions = g_array_new(FALSE, FALSE, sizeof(MigdDecision));
    return run;
}

void
migd_run_note_decision(MigdRun *run, const MigdDecision *decision)
{
    const MigdDecision *last =
        run->decisions->len > 0
            ? &g_array_index(run->decisions, MigdDecision, run->decisions->len - 1)
            : NULL;

    if (last == NULL || !migd_decision_same(last, decision))
        g_array_append_val(run->decisions, *decision);
}

void
migd_run_note_action(MigdRun *run, MigdAction action)
{
    if (action == MIGD_ACTION_POSTCOPY)
        run->result = MIGD_RUN_POSTCOPY;
    if (action == MIGD_ACTION_PAUSE)
        run->result = MIGD_RUN_PAUSED;
}

/* TRUE when the decision was one to act on and the hypervisor took it. */
static gboolean
look_once(MigdRun *run, const MigdEngine *engine, gpointer state, MigdSim *sim,
          const MigdSample *sample)
{
    MigdDecision decision = engine->look(state, sample);

    migd_run_note_decision(run, &decision);
    if (decision.action == MIGD_ACTION_WAIT)
        return FALSE;
    gboolean ok = migd_sim_act(sim, &decision);
    if (ok)
        migd_run_note_action(run, decision.action);
    if (engine->note != NULL)
        engine->note(state, &decision, sample->time_us, ok);
    return ok;
}

void
migd_run_finish(MigdRun *run, const MigdSample *sample, double time_limit_s)
{
    if (sample->status == MIGD_STATUS_CANCELLED)
        run->result = MIGD_RUN_ABORTED;
    else if (sample->status != MIGD_STATUS_COMPLETED)
        run->result = MIGD_RUN_RUNNING;
    run->total_s = (double)sample->time_us / G_USEC_PER_SEC;
    run->downtime_s = (double)sample->downtime_us / G_USEC_PER_SEC;
    run->sent_bytes = sample->transferred_bytes;
    run->ram_bytes = sample->total_bytes;
    run->passes = sample->pass;
    run->lost_s = run->throttle_s + run->downtime_s + PULL_LOSS * run->pull_s;
    run->cost_s = migd_run_cost(run->total_s, run->lost_s, migd_run_arrived(run), time_limit_s);
}

static void
drive(MigdRun *run, const MigdEngine *engine, gpointer state, MigdSim *sim, double time_limit_s)
{
    gint64 limit_us = (gint64)(time_limit_s * G_USEC_PER_SEC), next_look_us = 0;
    MigdSample sample = {0};

    do {
        guint64 used_us;
        gint64 until_us = MIN(next_look_us, limit_us);
        MigdSimEvent event =
            migd_sim_run(sim, (guint64)MAX(until_us - sample.time_us, 1), &used_us);
        MigdSample now;

        migd_sim_sample(sim, &now);
        if (sample.status == MIGD_STATUS_POSTCOPY)
            run->pull_s += (double)(now.time_us - sample.time_us) / G_USEC_PER_SEC;
        sample = now;
        run->most_throttle_pct = MAX(run->most_throttle_pct, sample.throttle_pct);
        if (event == MIGD_SIM_PASS)
            sample.has |= MIGD_HAS_SYNC;
        gboolean due = sample.time_us >= next_look_us;
        if (!due && !(event == MIGD_SIM_PASS && engine->at_syncs))
            continue;
        if (due)
            next_look_us += engine->poll_us;
        for (guint i = 0; i < MIGD_RUN_MAX_ACTIONS && look_once(run, engine, state, sim, &sample);
             i++)
            migd_sim_sample(sim, &sample);
    } while (!migd_status_is_end(sample.status) && sample.time_us < limit_us);
}

MigdEngineGuest
migd_run_guest(const MigdScenario *scenario, const MigdProfile *profile)
{
    return (MigdEngineGuest){
        .profile = *profile,
        .memory_bytes = (guint64)scenario->initial[MIGD_SCN_MEMORY],
        .link_bps = scenario->told_bps,
        .postcopy = scenario->initial[MIGD_SCN_POSTCOPY] != 0,
        .costs = scenario->told_costs,
    };
}

MigdRun *
migd_run(const MigdScenario *scenario, const MigdEngine *engine, const MigdProfile *profile)
{
    g_autoptr(MigdSim) sim = migd_sim_new(scenario);
    MigdRun *run = migd_run_new();
    MigdEngineGuest guest = migd_run_guest(scenario, profile);
    MigdKnobs knobs;
    MigdSample end;

    migd_sim_get_knobs(sim, &knobs);
    knobs.max_bandwidth_bps = (guint64)scenario->initial[MIGD_SCN_MAX_BANDWIDTH];
    if (scenario->downtime_limit_us != 0)
        knobs.downtime_limit_us = scenario->downtime_limit_us;
    gpointer state = engine->start(&guest, &knobs);
    migd_sim_set_knobs(sim, &knobs, ~0u);
    migd_sim_start(sim);
    drive(run, engine, state, sim, scenario->time_limit_s);
    engine->free(state);
    migd_sim_sample(sim, &end);
    run->throttle_s = (double)migd_sim_throttle_us(sim) / G_USEC_PER_SEC;
    migd_run_finish(run, &end, scenario->time_limit_s);
    return run;
}

void
migd_run_free(MigdRun *run)
{
    if (run == NULL)
        return;
    g_array_unref(run->decisions);
    g_free(run);
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What others see of a simulated migration and do to it. How time passes in it is step.c's.
 */
#include "sim/sim.h"

#include <math.h>
#include <string.h>

#include "base/checked.h"
#include "sim/sim-internal.h"

#define PAGE_BYTES 4096
#define MAX_BANDWIDTH 134217728 /* QEMU's default max-bandwidth, bytes/s */
#define FORCED_LIMIT_US (2000 * (guint64)G_USEC_PER_SEC)

double
migd_sim_random_factor(MigdSim *sim)
{
    double sum = 0;

    /* Twelve uniform draws (xorshift64*) make a normal one, near enough; the same on every machine.
     */
    for (guint i = 0; i < 12; i++) {
        sim->random ^= sim->random >> 12;
        sim->random ^= sim->random << 25;
        sim->random ^= sim->random >> 27;
        sum += (double)((sim->random * 2685821657736338717ull) >> 11) / 9007199254740992.0;
    }
    return MAX(1 + sim->scenario->noise * (sum - 6), 0.05);
}

MigdSim *
migd_sim_new(const MigdScenario *scenario)
{
    MigdSim *sim = g_new0(MigdSim, 1);

    sim->scenario = scenario;
    memcpy(sim->values, scenario->initial, sizeof sim->values);
    sim->knobs = (MigdKnobs){
        .has = ~0u,
        .downtime_limit_us = 300 * 1000,
        .max_bandwidth_bps = MAX_BANDWIDTH,
        .throttle_initial_pct = 20,
        .throttle_increment_pct = 10,
        .throttle_max_pct = 99,
        .throttle_trigger_pct = 50,
        .events = TRUE,
    };
    return sim;
}

void
migd_sim_free(MigdSim *sim)
{
    g_free(sim);
}

void
migd_sim_get_knobs(const MigdSim *sim, MigdKnobs *ret_knobs)
{
    *ret_knobs = sim->knobs;
}

static gboolean
runs(const MigdSim *sim)
{
    return sim->status != MIGD_STATUS_NONE && !migd_status_is_end(sim->status);
}

void
migd_sim_set_knobs(MigdSim *sim, const MigdKnobs *knobs, guint32 mask)
{
    for (guint i = 0; i < migd_n_knob_fields; i++) {
        const MigdKnobField *field = &migd_knob_fields[i];

        if ((mask & knobs->has & field->knob) != 0 && !(field->is_capability && runs(sim)))
            migd_knob_set(&sim->knobs, field, migd_knob_get(knobs, field));
    }
}

void
migd_sim_start(MigdSim *sim)
{
    const MigdScenario *scenario = sim->scenario;
    MigdKnobs knobs = sim->knobs;

    *sim = (MigdSim){.scenario = scenario, .knobs = knobs, .status = MIGD_STATUS_SETUP};
    memcpy(sim->values, scenario->initial, sizeof sim->values);
    sim->random = 88172645463325252ull + scenario->seed;
    sim->left_bytes = sim->set_bytes =
        sim->values[MIGD_SCN_MEMORY] * (1 - sim->values[MIGD_SCN_ZERO]);
    sim->rate_noise = migd_sim_random_factor(sim);
    sim->link_noise = migd_sim_random_factor(sim);
}

void
migd_sim_sample(const MigdSim *sim, MigdSample *ret_sample)
{
    gboolean postcopy = sim->status == MIGD_STATUS_POSTCOPY;

    *ret_sample = (MigdSample){
        .time_us = (gint64)(sim->now_s * G_USEC_PER_SEC + 0.5),
        .has = MIGD_HAS_PASS | MIGD_HAS_REMAINING | MIGD_HAS_TRANSFERRED | MIGD_HAS_TOTAL |
               MIGD_HAS_BANDWIDTH | MIGD_HAS_THROTTLE | MIGD_HAS_ELAPSED | MIGD_HAS_DOWNTIME_LIMIT |
               MIGD_HAS_MAX_BANDWIDTH | MIGD_HAS_PAGE_SIZE,
        .status = sim->status,
        .pass = sim->pass,
        .remaining_bytes = migd_from_double(migd_sim_counted_bytes(sim, sim->left_bytes)),
        .transferred_bytes = migd_from_double(sim->sent_bytes),
        .total_bytes = migd_from_double(sim->values[MIGD_SCN_MEMORY]),
        .bandwidth_bps =
            migd_from_double(postcopy ? migd_sim_link_bps(sim) : migd_sim_stream_bps(sim)),
        .throttle_pct = sim->throttle_pct,
        .elapsed_us = migd_from_double(sim->now_s * G_USEC_PER_SEC),
        .downtime_limit_us = sim->knobs.downtime_limit_us,
        .max_bandwidth_bps = sim->knobs.max_bandwidth_bps,
        .page_size_bytes = PAGE_BYTES,
    };
    if (sim->status == MIGD_STATUS_COMPLETED) {
        ret_sample->downtime_us = migd_from_double(sim->pause_s * G_USEC_PER_SEC);
        ret_sample->has |= MIGD_HAS_DOWNTIME;
    }
}

static void
set_throttle(MigdSim *sim, guint32 level_pct, guint32 trigger_pct)
{
    sim->knobs.throttle_initial_pct = sim->knobs.throttle_max_pct = level_pct;
    sim->knobs.throttle_increment_pct =
        level_pct > sim->throttle_pct ? level_pct - sim->throttle_pct : 1;
    sim->knobs.throttle_trigger_pct = trigger_pct;
}

gboolean
migd_sim_act(MigdSim *sim, const MigdDecision *decision)
{
    if (!runs(sim))
        return FALSE;
    switch (decision->action) {
    case MIGD_ACTION_SET_DOWNTIME:
        sim->knobs.downtime_limit_us = decision->argument;
        return TRUE;
    case MIGD_ACTION_SET_BANDWIDTH:
        sim->knobs.max_bandwidth_bps = decision->argument;
        return TRUE;
    case MIGD_ACTION_ARM:
    case MIGD_ACTION_THROTTLE:
    case MIGD_ACTION_RELEASE:
        set_throttle(sim, CLAMP((guint32)decision->argument, 1, 99),
                     CLAMP(decision->trigger_pct, 1, 100));
        return sim->knobs.auto_converge;
    case MIGD_ACTION_POSTCOPY:
        if (!sim->knobs.postcopy || sim->values[MIGD_SCN_POSTCOPY] == 0 ||
            sim->status != MIGD_STATUS_PRECOPY)
            return FALSE;
        migd_sim_merge_dirty(sim);
        sim->status = MIGD_STATUS_POSTCOPY;
        sim->throttle_pct = 0;
        sim->pause_s = migd_sim_least_pause_s(sim);
        return TRUE;
    case MIGD_ACTION_PAUSE:
        sim->knobs.downtime_limit_us = FORCED_LIMIT_US;
        return TRUE;
    case MIGD_ACTION_ABORT:
        sim->status = MIGD_STATUS_CANCELLED;
        return TRUE;
    default:
        return FALSE;
    }
}

guint64
migd_sim_throttle_us(const MigdSim *sim)
{
    return migd_from_double(sim->throttle_s * G_USEC_PER_SEC);
}

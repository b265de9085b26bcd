/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Stepping a simulated migration. Time runs in segments within which rates are constant, so every
 * segment has a closed form: the guest's D follows dD/dt = lambda (1-p)^x (1 - D/W), the link sends
 * at a constant rate.
 */
#include "sim/sim.h"

#include <math.h>
#include <string.h>

#include "base/checked.h"

#define PAGE_BYTES 4096
#define MAX_BANDWIDTH 134217728 /* QEMU's default max-bandwidth, bytes/s */
#define JUDGE_S 1.0             /* QEMU judges the dirty rate at most once a second */
#define FORCED_LIMIT_US (2000 * (guint64)G_USEC_PER_SEC)
#define BURST_S 0.05    /* QEMU looks whether the rest fits only between bursts of sending */
#define MIN_STEP_S 1e-7 /* below this a segment is over: rounding must not stall the clock */

struct MigdSim {
    const MigdScenario *scenario;
    MigdKnobs knobs;
    MigdStatus status;
    double values[MIGD_SCN_N_KEYS]; /* as scheduled up to now */
    guint next_change;
    guint64 random;
    double rate_noise, link_noise; /* factors of the present pass */

    double now_s;
    double left_bytes;  /* unsent */
    double dirty_bytes; /* D: distinct, since the last sync */
    double sent_bytes, pass_sent_bytes;
    gboolean syncing; /* a dirty sync is under way; nothing is sent meanwhile */
    gboolean
        at_sync; /* it has just ended: what is left is looked at before anything else is sent */
    double syncing_s;
    double stopping_s; /* of the pause under way */
    double pause_s, throttle_s;
    guint64 pass;
    guint32 throttle_pct;
    guint high_syncs;
    double judged_s, judged_sent, judged_dirty;
};

static double
random_factor(MigdSim *sim)
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
    sim->left_bytes = sim->values[MIGD_SCN_MEMORY] * (1 - sim->values[MIGD_SCN_ZERO]);
    sim->rate_noise = random_factor(sim);
    sim->link_noise = random_factor(sim);
}

static double
link_bps(const MigdSim *sim)
{
    double bps = sim->values[MIGD_SCN_BANDWIDTH] * sim->link_noise;
    double limit = sim->values[MIGD_SCN_STREAM_LIMIT];

    return MAX(limit > 0 ? MIN(bps, limit) : bps, 1);
}

static double
stream_bps(const MigdSim *sim)
{
    double limit = (double)sim->knobs.max_bandwidth_bps;

    return limit > 0 ? MIN(link_bps(sim), limit) : link_bps(sim);
}

/* What QEMU takes to fit into the pause: the capped rate, though the stop phase itself is not
 * capped. */
static double
fits_bytes(const MigdSim *sim)
{
    return stream_bps(sim) * (double)sim->knobs.downtime_limit_us / G_USEC_PER_SEC;
}

static void
dirty_for(MigdSim *sim, double seconds)
{
    double slow = pow(1 - sim->throttle_pct / 100.0, sim->values[MIGD_SCN_RESPONSE]);
    double rate = sim->values[MIGD_SCN_DIRTY_RATE] * sim->rate_noise * slow;
    double w = MIN(sim->values[MIGD_SCN_WORKING_SET], sim->values[MIGD_SCN_MEMORY]);

    sim->throttle_s += seconds * sim->throttle_pct / 100.0;
    if (w > sim->dirty_bytes)
        sim->dirty_bytes = w - (w - sim->dirty_bytes) * exp(-rate * seconds / w);
}

/* QEMU's auto-converge: the second sync with more dirtied than `trigger` of what was sent takes the
 * next step. */
static void
judge(MigdSim *sim, double dirty)
{
    const MigdKnobs *knobs = &sim->knobs;

    sim->judged_sent += sim->pass_sent_bytes;
    sim->judged_dirty += dirty;
    if (sim->now_s - sim->judged_s <= JUDGE_S)
        return;
    gboolean high = sim->judged_dirty > sim->judged_sent * knobs->throttle_trigger_pct / 100;
    sim->judged_s = sim->now_s;
    sim->judged_sent = sim->judged_dirty = 0;
    if (!knobs->auto_converge || !high || ++sim->high_syncs < 2)
        return;
    sim->high_syncs = 0;
    sim->throttle_pct =
        sim->throttle_pct == 0
            ? knobs->throttle_initial_pct
            : MIN(sim->throttle_pct + knobs->throttle_increment_pct, knobs->throttle_max_pct);
}

/* The dirty log is read: what is unsent and what was dirtied become one set. */
static void
sync_log(MigdSim *sim)
{
    double memory = sim->values[MIGD_SCN_MEMORY];
    double w = sim->pass <= 1
                   ? memory
                   : MAX(MIN(sim->values[MIGD_SCN_WORKING_SET], memory), sim->left_bytes);
    double overlap = w > 0 ? sim->dirty_bytes * MIN(sim->left_bytes / w, 1) : 0;
    double dirty = sim->dirty_bytes - overlap;

    sim->left_bytes = MIN(sim->left_bytes + dirty, memory);
    sim->dirty_bytes = 0;
    judge(sim, dirty);
    sim->pass++;
    sim->pass_sent_bytes = 0;
    sim->rate_noise = random_factor(sim);
    sim->link_noise = random_factor(sim);
}

static void
stop_guest(MigdSim *sim)
{
    sim->status = MIGD_STATUS_SWITCHOVER;
    sim->pause_s = (sim->left_bytes + sim->values[MIGD_SCN_HIDDEN]) / link_bps(sim) +
                   sim->values[MIGD_SCN_FIXED_DOWNTIME] +
                   sim->values[MIGD_SCN_SYNC] * sim->values[MIGD_SCN_MEMORY] / 1073741824;
    sim->stopping_s = sim->pause_s;
}

static void
apply_changes(MigdSim *sim)
{
    const GArray *changes = sim->scenario->changes;

    while (sim->next_change < changes->len) {
        const MigdScenarioChange *change =
            &g_array_index(changes, MigdScenarioChange, sim->next_change);

        if (change->at_s > sim->now_s + MIN_STEP_S)
            return;
        sim->values[change->key] = change->value;
        if (change->key == MIGD_SCN_MAX_BANDWIDTH)
            sim->knobs.max_bandwidth_bps = migd_from_double(change->value);
        sim->next_change++;
    }
}

/* Until the present activity ends by itself. */
static double
segment_s(const MigdSim *sim)
{
    if (sim->status == MIGD_STATUS_SWITCHOVER)
        return sim->stopping_s;
    if (sim->status == MIGD_STATUS_POSTCOPY)
        return sim->left_bytes / link_bps(sim);
    if (sim->syncing)
        return sim->syncing_s;
    return MAX(sim->left_bytes - MAX(fits_bytes(sim) - BURST_S * stream_bps(sim), 0), 0) /
           stream_bps(sim);
}

static void
pass_time(MigdSim *sim, double seconds)
{
    double sent = 0;

    sim->now_s += seconds;
    if (sim->status == MIGD_STATUS_SWITCHOVER) {
        sim->stopping_s -= seconds;
        return;
    }
    if (sim->status == MIGD_STATUS_POSTCOPY) {
        sent = MIN(link_bps(sim) * seconds, sim->left_bytes);
    } else {
        dirty_for(sim, seconds);
        if (sim->syncing)
            sim->syncing_s = MAX(sim->syncing_s - seconds, 0);
        else
            sent = MIN(stream_bps(sim) * seconds, sim->left_bytes);
    }
    sim->left_bytes -= sent;
    sim->sent_bytes += sent;
    sim->pass_sent_bytes += sent;
}

static MigdSimEvent
end_of_segment(MigdSim *sim)
{
    if (sim->status == MIGD_STATUS_SWITCHOVER || sim->status == MIGD_STATUS_POSTCOPY) {
        sim->sent_bytes += sim->left_bytes;
        sim->left_bytes = 0;
        sim->status = MIGD_STATUS_COMPLETED;
        return MIGD_SIM_STATUS;
    }
    double sync_s = sim->values[MIGD_SCN_SYNC] * sim->values[MIGD_SCN_MEMORY] / 1073741824;

    if (!sim->syncing && sync_s > 0) {
        sim->syncing = TRUE;
        sim->syncing_s = sync_s;
        return MIGD_SIM_NOTHING;
    }
    sim->syncing = FALSE;
    sim->at_sync = TRUE;
    sync_log(sim);
    return MIGD_SIM_PASS;
}

static MigdSimEvent
begin_run(MigdSim *sim)
{
    sim->status = MIGD_STATUS_PRECOPY;
    sim->pass = 1;
    return MIGD_SIM_STATUS;
}

MigdSimEvent
migd_sim_run(MigdSim *sim, guint64 max_us, guint64 *ret_us)
{
    double start_s = sim->now_s, end_s = start_s + (double)max_us / G_USEC_PER_SEC;
    MigdSimEvent event = MIGD_SIM_NOTHING;

    *ret_us = 0;
    if (!runs(sim))
        return MIGD_SIM_NOTHING;
    if (sim->status == MIGD_STATUS_SETUP)
        return begin_run(sim);
    while (event == MIGD_SIM_NOTHING && sim->now_s < end_s - MIN_STEP_S) {
        apply_changes(sim);
        if (sim->at_sync && sim->status == MIGD_STATUS_PRECOPY &&
            sim->left_bytes <= fits_bytes(sim)) {
            stop_guest(sim);
            event = MIGD_SIM_STATUS;
            break;
        }
        sim->at_sync = FALSE;
        double until_s = end_s - sim->now_s;
        const GArray *changes = sim->scenario->changes;
        if (sim->next_change < changes->len)
            until_s =
                MIN(until_s,
                    g_array_index(changes, MigdScenarioChange, sim->next_change).at_s - sim->now_s);
        double whole_s = segment_s(sim);
        pass_time(sim, MAX(MIN(whole_s, until_s), MIN_STEP_S));
        if (whole_s <= until_s)
            event = end_of_segment(sim);
    }
    *ret_us = migd_from_double((sim->now_s - start_s) * G_USEC_PER_SEC + 0.5);
    return event;
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
        .remaining_bytes = migd_from_double(sim->left_bytes),
        .transferred_bytes = migd_from_double(sim->sent_bytes),
        .total_bytes = migd_from_double(sim->values[MIGD_SCN_MEMORY]),
        .bandwidth_bps = migd_from_double(postcopy ? link_bps(sim) : stream_bps(sim)),
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
        sim->status = MIGD_STATUS_POSTCOPY;
        sim->throttle_pct = 0;
        sim->pause_s = sim->values[MIGD_SCN_FIXED_DOWNTIME];
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

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Stepping a simulated migration. Time runs in segments within which rates are constant, so every
 * segment has a closed form: the guest's D follows dD/dt = lambda (1-p)^x (1 - D/W), or, when it
 * sweeps, lambda (1-p)^x up to W; the link sends at a constant rate.
 *
 * QEMU looks whether the rest fits only between bursts (docs/policy.md, "The forecast"). Where its
 * own limit binds, a burst is a tenth of a second's worth, sent as fast as the link goes, and the
 * look follows at the end of that tenth; where the link binds, a burst goes on for a bit more than
 * 50 ms, in steps of 64 pages. When nothing is left to send it looks at once, and what it has not
 * sent of a tenth's worth by then may still go out in that tenth.
 */
#include <math.h>

#include "base/checked.h"
#include "sim/sim-internal.h"

#define JUDGE_S 1.0               /* QEMU judges the dirty rate at most once a second */
#define WINDOW_S 0.1              /* of its rate limit */
#define BURST_S 0.051             /* MAX_WAIT: "more than 50 ms" in whole ms */
#define BURST_STEP_BYTES 262144.0 /* it looks at the clock every 64 pages */
#define MIN_STEP_S 1e-7 /* below this a segment is over: rounding must not stall the clock */
#define ROUNDING 1e-6   /* relative, of bytes */

typedef struct {
    double seconds, bytes;
} Burst;

double
migd_sim_link_bps(const MigdSim *sim)
{
    double bps = sim->values[MIGD_SCN_BANDWIDTH] * sim->link_noise;
    double limit = sim->values[MIGD_SCN_STREAM_LIMIT];

    return MAX(limit > 0 ? MIN(bps, limit) : bps, 1);
}

double
migd_sim_stream_bps(const MigdSim *sim)
{
    double limit = (double)sim->knobs.max_bandwidth_bps;

    return limit > 0 ? MIN(migd_sim_link_bps(sim), limit) : migd_sim_link_bps(sim);
}

double
migd_sim_least_pause_s(const MigdSim *sim)
{
    return sim->values[MIGD_SCN_HIDDEN] / migd_sim_link_bps(sim) +
           sim->values[MIGD_SCN_FIXED_DOWNTIME] +
           sim->values[MIGD_SCN_SYNC] * sim->values[MIGD_SCN_MEMORY] / 1073741824;
}

double
migd_sim_counted_bytes(const MigdSim *sim, double to_send)
{
    double zero = sim->values[MIGD_SCN_ZERO];

    if (sim->pass > 1)
        return to_send;
    if (sim->values[MIGD_SCN_ZERO_LAST] != 0)
        return to_send + sim->values[MIGD_SCN_MEMORY] * zero;
    return zero < 1 ? to_send / (1 - zero) : 0;
}

/* The other way round. */
static double
to_send_bytes(const MigdSim *sim, double counted)
{
    double zero = sim->values[MIGD_SCN_ZERO];

    if (sim->pass > 1)
        return counted;
    if (sim->values[MIGD_SCN_ZERO_LAST] != 0)
        return MAX(counted - sim->values[MIGD_SCN_MEMORY] * zero, 0);
    return counted * (1 - zero);
}

static gboolean
is_limited(const MigdSim *sim)
{
    return migd_sim_stream_bps(sim) < migd_sim_link_bps(sim);
}

/* How far it sends between two looks. */
static Burst
burst(const MigdSim *sim)
{
    double stream = migd_sim_stream_bps(sim), step_s = BURST_STEP_BYTES / stream;

    if (is_limited(sim))
        return (Burst){WINDOW_S, stream * WINDOW_S};
    double seconds = ceil(BURST_S / step_s) * step_s;
    return (Burst){seconds, stream * seconds};
}

/* The next one, unless the last goes on: they follow each other without a gap. */
static void
begin_burst(MigdSim *sim)
{
    double seconds = burst(sim).seconds;

    if (sim->check_s > sim->now_s + MIN_STEP_S)
        return;
    sim->check_s += ceil((sim->now_s - sim->check_s) / seconds + ROUNDING) * seconds;
    sim->budget_bytes = migd_sim_stream_bps(sim) * (sim->check_s - sim->now_s);
}

/* What QEMU takes to fit into the pause: the capped rate, though the stop phase itself is not
 * capped. */
static double
fits_bytes(const MigdSim *sim)
{
    return to_send_bytes(sim, migd_sim_stream_bps(sim) * (double)sim->knobs.downtime_limit_us /
                                  G_USEC_PER_SEC);
}

static void
dirty_for(MigdSim *sim, double seconds)
{
    double slow = sim->throttle_pct > 0
                      ? pow(1 - sim->throttle_pct / 100.0, sim->values[MIGD_SCN_RESPONSE])
                      : 1;
    double rate = sim->values[MIGD_SCN_DIRTY_RATE] * sim->rate_noise * slow;
    double w = MIN(sim->values[MIGD_SCN_WORKING_SET], sim->values[MIGD_SCN_MEMORY]);

    sim->throttle_s += seconds * sim->throttle_pct / 100.0;
    if (w <= sim->dirty_bytes)
        return;
    if (sim->values[MIGD_SCN_SWEEP] != 0)
        sim->dirty_bytes = MIN(sim->dirty_bytes + rate * seconds, w);
    else
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

/* What is unsent and was dirtied again: in the first pass it lies anywhere in the memory, later in
 * the set that the guest writes to. */
static double
overlap_bytes(const MigdSim *sim)
{
    double written = sim->values[MIGD_SCN_MEMORY] * (1 - sim->values[MIGD_SCN_ZERO]);
    double w = MAX(MIN(sim->values[MIGD_SCN_WORKING_SET], written), sim->left_bytes);

    if (sim->pass <= 1)
        return written > 0 ? sim->dirty_bytes * MIN(sim->left_bytes / written, 1) : 0;
    if (sim->values[MIGD_SCN_SWEEP] == 0)
        return w > 0 ? sim->dirty_bytes * sim->left_bytes / w : 0;
    /* In order, and the unsent is among what it wrote last. */
    double again = MAX(sim->dirty_bytes - MAX(w - sim->set_bytes, 0), 0);
    return sim->set_bytes > 0 ? again * MIN(sim->left_bytes / sim->set_bytes, 1) : 0;
}

double
migd_sim_merge_dirty(MigdSim *sim)
{
    double dirty = sim->dirty_bytes - overlap_bytes(sim);

    sim->left_bytes = sim->set_bytes = MIN(sim->left_bytes + dirty, sim->values[MIGD_SCN_MEMORY]);
    sim->dirty_bytes = 0;
    sim->pass++;
    return dirty;
}

static void
sync_log(MigdSim *sim)
{
    judge(sim, migd_sim_merge_dirty(sim));
    sim->pass_sent_bytes = 0;
    sim->rate_noise = migd_sim_random_factor(sim);
    sim->link_noise = migd_sim_random_factor(sim);
    if (!is_limited(sim))
        sim->check_s = sim->now_s;
    begin_burst(sim);
    sim->draining = sim->left_bytes < sim->budget_bytes;
}

/* The last sync comes once the guest stands. */
static void
stop_guest(MigdSim *sim)
{
    migd_sim_merge_dirty(sim);
    sim->status = MIGD_STATUS_SWITCHOVER;
    sim->pause_s = sim->left_bytes / migd_sim_link_bps(sim) + migd_sim_least_pause_s(sim);
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

/* Bytes/s until the next look. */
static double
sending_bps(const MigdSim *sim)
{
    double stream = migd_sim_stream_bps(sim), left_s = sim->check_s - sim->now_s;

    return is_limited(sim) && left_s > MIN_STEP_S ? MIN(sim->budget_bytes / left_s, stream)
                                                  : stream;
}

/* Until the look that finds that the rest fits, or that it is no more than a burst: that is then
 * sent without another look. */
static double
sending_s(MigdSim *sim)
{
    Burst each = burst(sim);
    double enough = MAX(fits_bytes(sim), each.bytes);

    begin_burst(sim);
    sim->check_s = MIN(sim->check_s, sim->now_s + each.seconds); /* it may be another one by now */
    double first_s = sim->check_s - sim->now_s, bps = sending_bps(sim);
    double left = sim->left_bytes - bps * first_s;
    if (left < enough || bps < migd_sim_stream_bps(sim) * (1 - ROUNDING))
        return first_s;
    return first_s + (floor((left - enough) / each.bytes) + 1) * each.seconds;
}

/* Until the present activity ends by itself. */
static double
segment_s(MigdSim *sim)
{
    if (sim->status == MIGD_STATUS_SWITCHOVER)
        return sim->stopping_s;
    if (sim->status == MIGD_STATUS_POSTCOPY || sim->draining)
        return sim->left_bytes / migd_sim_link_bps(sim);
    return sim->syncing ? sim->syncing_s : sending_s(sim);
}

static void
pass_time(MigdSim *sim, double seconds)
{
    double bps = sending_bps(sim), sent = 0;

    sim->now_s += seconds;
    if (sim->status == MIGD_STATUS_SWITCHOVER) {
        sim->stopping_s -= seconds;
        return;
    }
    if (sim->status == MIGD_STATUS_POSTCOPY || sim->draining)
        bps = migd_sim_link_bps(sim);
    if (sim->status != MIGD_STATUS_POSTCOPY)
        dirty_for(sim, seconds);
    if (sim->syncing)
        sim->syncing_s = MAX(sim->syncing_s - seconds, 0);
    else
        sent = MIN(bps * seconds, sim->left_bytes);
    sim->left_bytes -= sent;
    sim->budget_bytes = MAX(sim->budget_bytes - sent, 0);
    sim->sent_bytes += sent;
    sim->pass_sent_bytes += sent;
}

/* The sender looks: TRUE when it is time for a sync. */
static gboolean
check(MigdSim *sim)
{
    double each = burst(sim).bytes;

    if (sim->draining || sim->left_bytes < fits_bytes(sim) + ROUNDING * each) {
        sim->draining = FALSE;
        return TRUE;
    }
    begin_burst(sim);
    sim->draining = sim->left_bytes < sim->budget_bytes * (1 + ROUNDING);
    return FALSE;
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
    if (!sim->syncing && !check(sim))
        return MIGD_SIM_NOTHING;
    /* Nothing is less than a limit of nothing, so there is no sync; but nothing is left, so QEMU
     * takes the migration for done, and finds out in the pause what is dirty. */
    if (!sim->syncing && sim->knobs.downtime_limit_us == 0) {
        stop_guest(sim);
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
    sim->check_s = sim->now_s;
    begin_burst(sim);
    return MIGD_SIM_STATUS;
}

MigdSimEvent
migd_sim_run(MigdSim *sim, guint64 max_us, guint64 *ret_us)
{
    double start_s = sim->now_s, end_s = start_s + (double)max_us / G_USEC_PER_SEC;
    MigdSimEvent event = MIGD_SIM_NOTHING;

    *ret_us = 0;
    if (sim->status == MIGD_STATUS_NONE || migd_status_is_end(sim->status))
        return MIGD_SIM_NOTHING;
    if (sim->status == MIGD_STATUS_SETUP)
        return begin_run(sim);
    while (event == MIGD_SIM_NOTHING && sim->now_s < end_s - MIN_STEP_S) {
        apply_changes(sim);
        if (sim->at_sync && sim->status == MIGD_STATUS_PRECOPY &&
            (sim->left_bytes <= 0 || sim->left_bytes < fits_bytes(sim))) {
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

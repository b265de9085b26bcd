/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Folding observations and actions into passes. Only what is seen right after a sync says how much
 * the guest dirties; between syncs `remaining` is a sawtooth and serves for nothing but the
 * bandwidth. No decision is taken here.
 */
#include "policy/track-internal.h"

#include <string.h>

#include "base/checked.h"

/* A migration of ours starts with a pause of this part of one copy of the memory, but not with less
 * than the second part of what it may take, or than QEMU's own bookkeeping takes. */
#define START_PART 0.01
#define START_LEAST (1 / 30.0)
#define START_MIN_US 5000

/* QEMU judges the dirty rate at syncs at least this far apart. */
#define JUDGE_US G_USEC_PER_SEC

/* QEMU's default throttle-trigger-threshold, in force unless we have set another. */
#define QEMU_TRIGGER_PCT 50

/* QEMU sends a tenth of a second's worth at once, where its own limit binds. */
#define EARLY_S 0.1

/* Times beyond this are nobody's clock; kept out so that differences cannot overflow. */
#define MAX_TIME_US (G_MAXINT64 / 4)

/* A pass weighs this much less than the one after it. */
#define FADE 0.6

/* A throttle whose release leaves this much more to send had helped. */
#define HELPED 1.3

/* A throttle that was given up this often is not tried again. */
#define MAX_USELESS 2

/* A passing phase shows in one pass; a point of fewer bytes than this is the noise of an idle
 * guest. */
#define NOISE_BYTES (256 * 1024.0)

MigdTrack *
migd_track_new(const MigdProfile *profile, const MigdAbilities *abilities)
{
    MigdTrack *track = g_new0(MigdTrack, 1);

    track->profile = *profile;
    track->abilities = *abilities;
    track->weighed = g_new0(MigdWeighed, 1);
    track->trigger_pct = abilities->throttle_cocked ? 1 : QEMU_TRIGGER_PCT;
    return track;
}

void
migd_track_free(MigdTrack *track)
{
    if (track != NULL)
        g_free(track->weighed);
    g_free(track);
}

guint64
migd_start_limit_us(const MigdProfile *profile, const MigdCosts *costs, guint64 memory_bytes,
                    guint64 link_bps)
{
    double hidden_us = link_bps > 0 ? 2e6 * (double)costs->hidden_bytes / (double)link_bps : 0;
    double cap_us = ((double)migd_sat_sub(profile->max_downtime_us, costs->fixed_us) - hidden_us) *
                    MIGD_LIMIT_PART;
    double least_us =
        MIN(MAX(cap_us * START_LEAST, START_MIN_US), (double)profile->max_downtime_us);

    if (link_bps == 0 || memory_bytes == 0)
        return migd_from_double(MAX(cap_us, least_us));
    double copy_us = (double)memory_bytes * G_USEC_PER_SEC / (double)link_bps;
    return migd_from_double(CLAMP(copy_us * START_PART, least_us, MAX(cap_us, least_us)));
}

void
migd_track_set_costs(MigdTrack *track, const MigdCosts *costs)
{
    track->costs = *costs;
}

void
migd_track_set_abilities(MigdTrack *track, const MigdAbilities *abilities)
{
    track->abilities = *abilities;
}

void
migd_track_set_profile(MigdTrack *track, const MigdProfile *profile)
{
    track->profile = *profile;
}

/* The newest observation, with what it lacks taken from the one before: an observer may see the
 * knobs less often than the counters. */
static void
merge(MigdSample *last, const MigdSample *sample)
{
    MigdSample merged = *sample;

    for (guint i = 0; i < migd_n_sample_fields; i++) {
        const MigdSampleField *field = &migd_sample_fields[i];

        if (!migd_sample_has(sample, field->field) && migd_sample_has(last, field->field))
            migd_sample_set(&merged, field, migd_sample_get(last, field));
    }
    *last = merged;
}

/* The median surprise: a change of phase is one large surprise among small ones, noise makes them
 * all middling. */
static double
unsteadiness(const MigdTrack *track)
{
    double sorted[MIGD_MISSES];
    guint n = MIN(track->n_misses, MIGD_MISSES);

    if (n < 3)
        return MIGD_STEADY;
    for (guint i = 0; i < n; i++) {
        guint j = i;

        for (; j > 0 && sorted[j - 1] > track->misses[i]; j--)
            sorted[j] = sorted[j - 1];
        sorted[j] = track->misses[i];
    }
    return MAX(MIGD_STEADY, sorted[n / 2]);
}

static MigdPoint
point_of(const MigdPass *pass)
{
    return (MigdPoint){
        .seconds = (double)pass->duration_us / G_USEC_PER_SEC,
        .dirty_bytes = MAX((double)pass->dirty_bytes, 4096),
        .unsent_bytes = (double)pass->unsent_bytes,
        .throttle = pass->throttle_pct / 100.0,
        .weight = 1,
    };
}

/* The first pass under another throttle tells how the guest responds, not how unsteady it is. */
static gboolean
is_other_level(const MigdPoint *a, const MigdPoint *b)
{
    return fabs(a->throttle - b->throttle) >= 0.05;
}

/* Of the `newest` passes those that were seen whole, oldest first; returns how many. */
static guint
points_of(const MigdTrack *track, guint newest, MigdPoint *ret)
{
    guint n = 0;

    for (guint i = track->n_passes - MIN(newest, track->n_passes); i < track->n_passes; i++)
        if (track->passes[i].usable && track->passes[i].duration_us > 0)
            ret[n++] = point_of(&track->passes[i]);
    return n;
}

guint
migd_track_points(const MigdTrack *track, MigdPoint *ret)
{
    return points_of(track, MIGD_MAX_PASSES, ret);
}

static void
refit(MigdTrack *track)
{
    double total_bytes = (double)track->sync.total_bytes;
    MigdPoint points[MIGD_MAX_PASSES];
    guint n = points_of(track, track->phase_passes, points);
    double weight = 1;

    for (guint i = n; i > 0; i--, weight *= FADE)
        points[i - 1].weight = weight;
    if (n > 0 && track->model.n > 0 && !(n >= 2 && is_other_level(&points[n - 1], &points[n - 2])))
        track->misses[track->n_misses++ % MIGD_MISSES] =
            migd_model_miss(&track->model, &points[n - 1]);

    track->unsteady = unsteadiness(track);
    migd_model_fit(&track->model, points, n, total_bytes, track->unsteady);
    if (n >= 2 && points[n - 1].dirty_bytes > NOISE_BYTES &&
        migd_model_contradicts(&track->model, points, n, track->unsteady)) {
        track->phase_passes = 1;
        track->n_disarmed = 0;
        if (track->n_useless < MAX_USELESS)
            track->useless_pct = 0;
        migd_model_fit(&track->model, &points[n - 1], 1, total_bytes, track->unsteady);
    }
}

/* A throttle was given up as useless, and without it more is left: so it was not. */
static void
reconsider(MigdTrack *track, const MigdPass *pass)
{
    if (track->useless_pct != 0 && track->n_useless < MAX_USELESS && pass->throttle_pct <= 1 &&
        (double)pass->remaining_bytes > HELPED * (double)track->useless_bytes)
        track->useless_pct = 0;
}

/* Follows QEMU's own count towards its next throttle step. */
static void
judge(MigdTrack *track, const MigdPass *pass, gint64 time_us)
{
    track->judged_sent_bytes = migd_sat_add(track->judged_sent_bytes, pass->sent_bytes);
    track->judged_dirty_bytes = migd_sat_add(track->judged_dirty_bytes, pass->dirty_bytes);
    if (time_us - track->judged_us <= JUDGE_US)
        return;
    if ((double)track->judged_dirty_bytes * 100 >
        (double)track->judged_sent_bytes * track->trigger_pct)
        track->high_syncs = (track->high_syncs + 1) % 2;
    track->judged_us = time_us;
    track->judged_sent_bytes = track->judged_dirty_bytes = 0;
}

static void
end_pass(MigdTrack *track, const MigdSample *sample)
{
    guint64 sent = migd_sat_sub(sample->transferred_bytes, track->pass_start_transferred);
    /* What was unsent when the sync came is still there after it; the rest is new. */
    guint64 unsent = migd_sat_sub(track->pass_start_remaining, sent);
    guint64 fits =
        migd_from_double(track->link.bps * (double)track->last.downtime_limit_us / G_USEC_PER_SEC);
    /* What was sent beyond what the pass began with is of the next one already: we look a moment
     * after the sync. In the first pass pages that cost nothing count, too. */
    guint64 early = migd_sat_sub(sent, track->pass_start_remaining);
    if (track->n_passes == 0 || (double)early > track->link.bps * EARLY_S)
        early = 0;
    MigdPass pass = {
        .duration_us = sample->time_us - track->pass_start_us,
        .sent_bytes = sent,
        .unsent_bytes = MIN(unsent, fits),
        .dirty_bytes =
            migd_sat_add(migd_sat_sub(sample->remaining_bytes, MIN(unsent, fits)), early),
        .remaining_bytes = sample->remaining_bytes,
        .throttle_pct = track->last.throttle_pct,
        .usable = track->pass_open && sample->time_us > track->pass_start_us,
    };

    if (track->n_passes == MIGD_MAX_PASSES) {
        memmove(track->passes, track->passes + 1, sizeof track->passes - sizeof track->passes[0]);
        track->n_passes--;
    }
    track->passes[track->n_passes++] = pass;
    track->phase_passes++;
    track->synced = TRUE;
    judge(track, &pass, sample->time_us);
    reconsider(track, &pass);
}

static void
begin_pass(MigdTrack *track, const MigdSample *sample)
{
    track->pass_open = TRUE;
    track->pass_start_us = sample->time_us;
    track->pass_start_transferred = sample->transferred_bytes;
    track->pass_start_remaining = sample->remaining_bytes;
    migd_link_begin_pass(&track->link, sample->time_us, sample->transferred_bytes);
    if (!track->synced)
        track->judged_us = sample->time_us;
}

/* A sync has been done since the last observation. */
static void
add_sync(MigdTrack *track, const MigdSample *sample)
{
    gboolean first = sample->pass <= 1;

    /* A skipped number means that a sync was missed: what lies between cannot be split. */
    if (sample->pass > track->pass + 1)
        track->pass_open = FALSE;
    if (!first) {
        if (track->pass_open)
            migd_link_end_pass(&track->link, sample->time_us, sample->transferred_bytes,
                               track->n_passes == 0);
        end_pass(track, sample);
        track->sync = *sample;
        refit(track);
        if (track->acted) {
            track->syncs_since_action++;
            if (track->last.throttle_pct == track->action.argument)
                track->syncs_since_reached++;
        }
    }
    begin_pass(track, sample);
    track->pass = sample->pass;
}

void
migd_track_add(MigdTrack *track, const MigdSample *sample)
{
    const guint32 needed = MIGD_HAS_PASS | MIGD_HAS_REMAINING | MIGD_HAS_TRANSFERRED;
    MigdSample now = track->last;

    merge(&now, sample);
    now.time_us = CLAMP(now.time_us, 0, MAX_TIME_US);
    if (!track->begun) {
        track->begun = TRUE;
        track->start_us = now.time_us - (gint64)MIN(now.elapsed_us, (guint64)MAX_TIME_US);
    }
    if (now.status == MIGD_STATUS_PRECOPY && migd_sample_has(sample, needed)) {
        migd_link_read(&track->link, now.time_us, now.transferred_bytes, now.pass <= 1);
        if (sample->pass > track->pass)
            add_sync(track, &now);
        else if (migd_sample_has(sample, MIGD_HAS_SYNC) && sample->pass == track->sync.pass)
            track->sync.has |= MIGD_HAS_SYNC;
    }
    track->last = now;
    if (track->synced) {
        /* Knobs are turned between syncs too, and a forecast has to start from those in force. */
        track->sync.downtime_limit_us = now.downtime_limit_us;
        track->sync.max_bandwidth_bps = now.max_bandwidth_bps;
    }
}

void
migd_track_note_action(MigdTrack *track, const MigdDecision *decision, gint64 time_us, gboolean ok)
{
    if (decision->action == MIGD_ACTION_WAIT)
        return;
    if (!ok) {
        /* An armed throttle is a throttle: refused is refused. */
        track->refused |=
            1u << (decision->action == MIGD_ACTION_ARM ? MIGD_ACTION_THROTTLE : decision->action);
        return;
    }
    /* In force at once, and arithmetic: there is nothing to look at, and what there was goes on. */
    if (decision->action == MIGD_ACTION_SET_DOWNTIME)
        return;
    track->acted = TRUE;
    track->action = *decision;
    track->action_us = CLAMP(time_us, 0, MAX_TIME_US);
    track->syncs_since_action = track->syncs_since_reached = 0;
    if (decision->reason == MIGD_REASON_THROTTLE_USELESS) {
        track->useless_pct = MAX(track->useless_pct, track->last.throttle_pct);
        track->useless_bytes = track->sync.remaining_bytes;
        track->n_useless++;
    }
    if (decision->action == MIGD_ACTION_RELEASE && track->last.throttle_pct <= 1)
        track->n_disarmed++;
    if (decision->action == MIGD_ACTION_ARM || decision->action == MIGD_ACTION_THROTTLE ||
        decision->action == MIGD_ACTION_RELEASE) {
        track->trigger_pct = decision->trigger_pct;
        track->throttle_set = TRUE;
        track->level_pct = (guint32)MIN(decision->argument, 99);
    }
}

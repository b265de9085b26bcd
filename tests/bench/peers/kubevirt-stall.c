/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * KubeVirt 1.9's stall detector (alpha feature MigrationStallDetection), without and with leave to
 * disrupt the workload. It keeps what was left after each sync: a migration is stalled, for ever,
 * once a pass is no better than the best one of more than 40 seconds ago; it then waits for a low
 * point and ends the attempt there in the way that is allowed. Left out: VFIO devices, and the
 * metrics and the observing mode that its proposal speaks of.
 */
#include "peers/peer.h"

#define POLL_US MIGD_PEER_MS(400)
#define WINDOW_US MIGD_PEER_SECONDS(40)
#define PATIENCE_US MIGD_PEER_SECONDS(40) /* for a low point; halved each time it runs out */
#define SWITCHOVER_US MIGD_PEER_SECONDS(60)
#define MARGIN 0.04 /* of what is left */
#define SMOOTHING 0.4
#define FIRST_MS 300
#define MOST_MS 900
#define TOLERANCE 1.5 /* of an estimated pause over MOST_MS */

typedef struct {
    gint64 time_us;
    guint64 left_bytes;
} Sync;

typedef struct {
    gboolean disrupt, postcopy;
    gint64 timeout_us;
    gint64 poll_us; /* the next one */
    double smooth_bps;
    GArray *syncs;     /* of Sync: those inside the window, oldest first */
    guint64 old_min;   /* the least that was left before the window; G_MAXUINT64 = nothing there */
    gint64 stalled_us; /* 0 = not stalled */
    gint64 patience_us, relax_us; /* what is granted now, and when it runs out */
    guint64 best_bytes;           /* the low point that is waited for */
    GArray *lows;                 /* of guint64: what was left after each sync since the stall */
    gint64 give_up_us;            /* the switchover has been asked for and must be done by then */
    gboolean done;                /* nothing more to say */
} Stall;

static Stall *
stall_new(const MigdEngineGuest *guest, MigdKnobs *knobs)
{
    Stall *stall = g_new0(Stall, 1);

    stall->timeout_us = migd_peer_kubevirt_timeout_us(guest->memory_bytes);
    stall->syncs = g_array_new(FALSE, FALSE, sizeof(Sync));
    stall->lows = g_array_new(FALSE, FALSE, sizeof(guint64));
    stall->old_min = G_MAXUINT64;
    knobs->downtime_limit_us = MIGD_PEER_MS(FIRST_MS);
    return stall;
}

static gpointer
start(const MigdEngineGuest *guest, MigdKnobs *knobs)
{
    return stall_new(guest, knobs);
}

static gpointer
start_disrupting(const MigdEngineGuest *guest, MigdKnobs *knobs)
{
    Stall *stall = stall_new(guest, knobs);

    stall->disrupt = TRUE;
    stall->postcopy = knobs->postcopy = guest->postcopy;
    return stall;
}

static void
stall_free(gpointer state)
{
    Stall *stall = state;

    g_array_unref(stall->syncs);
    g_array_unref(stall->lows);
    g_free(stall);
}

/* What is outside the window by now counts only through its least. */
static void
fold(Stall *stall, gint64 now_us)
{
    while (stall->syncs->len > 0) {
        const Sync *oldest = &g_array_index(stall->syncs, Sync, 0);

        if (now_us - oldest->time_us <= WINDOW_US)
            return;
        stall->old_min = MIN(stall->old_min, oldest->left_bytes);
        g_array_remove_index(stall->syncs, 0);
    }
}

/* The least left so far, in the window or before it. */
static guint64
least(const Stall *stall)
{
    guint64 bytes = stall->old_min;

    for (guint i = 0; i < stall->syncs->len; i++)
        bytes = MIN(bytes, g_array_index(stall->syncs, Sync, i).left_bytes);
    return bytes;
}

/* The next worse low point since the stall, for when the best one does not come back. */
static void
relax(Stall *stall, gint64 now_us)
{
    guint64 next = G_MAXUINT64;

    if (now_us < stall->relax_us)
        return;
    for (guint i = 0; i < stall->lows->len; i++) {
        guint64 bytes = g_array_index(stall->lows, guint64, i);

        if (bytes > stall->best_bytes)
            next = MIN(next, bytes);
    }
    if (next != G_MAXUINT64)
        stall->best_bytes = next;
    stall->patience_us /= 2;
    stall->relax_us = now_us + stall->patience_us;
}

/* Takes in what was left after a sync. TRUE at a low point of a stalled migration. */
static gboolean
at_low_point(Stall *stall, guint64 left_bytes, gint64 now_us)
{
    Sync sync = {now_us, left_bytes};

    fold(stall, now_us);
    g_array_append_val(stall->syncs, sync);
    if (stall->stalled_us == 0 && stall->old_min != G_MAXUINT64 &&
        (double)left_bytes >= (double)stall->old_min * (1 - MARGIN)) {
        stall->stalled_us = now_us;
        stall->patience_us = PATIENCE_US;
        stall->relax_us = now_us + PATIENCE_US;
        stall->best_bytes = G_MAXUINT64;
    }
    if (stall->stalled_us == 0)
        return FALSE;
    g_array_append_val(stall->lows, left_bytes);
    if (stall->patience_us == PATIENCE_US)
        stall->best_bytes = least(stall);
    relax(stall, now_us);
    return (double)left_bytes <= (double)stall->best_bytes * (1 + MARGIN);
}

/* The end that is allowed, where `left_bytes` take `seconds` at the smoothed bandwidth. */
static MigdDecision
end_it(Stall *stall, const MigdSample *sample, double seconds, gboolean late)
{
    gint64 now_us = migd_peer_elapsed_us(sample);
    double room_s = (double)(2 * stall->timeout_us - now_us) / G_USEC_PER_SEC;

    /* More than twice the time it may take: the network must have dropped, which may pass. */
    if (seconds > room_s && !late)
        return migd_peer_wait(sample);
    stall->done = TRUE;
    if (stall->disrupt && seconds <= room_s)
        return migd_peer_act(sample, stall->postcopy ? MIGD_ACTION_POSTCOPY : MIGD_ACTION_PAUSE, 0);
    if (late || seconds > TOLERANCE * MOST_MS / 1000)
        return migd_peer_act(sample, MIGD_ACTION_ABORT, 0);
    stall->done = FALSE;
    stall->give_up_us = now_us + SWITCHOVER_US;
    return migd_peer_act(sample, MIGD_ACTION_SET_DOWNTIME, MIGD_PEER_MS(MOST_MS));
}

static MigdDecision
look(gpointer state, const MigdSample *sample)
{
    Stall *stall = state;
    gint64 now_us = migd_peer_elapsed_us(sample);

    if (stall->done || !migd_peer_precopy(sample))
        return migd_peer_wait(sample);
    if (sample->time_us >= stall->poll_us) {
        double bps = (double)sample->bandwidth_bps;

        stall->smooth_bps =
            stall->smooth_bps > 0 ? SMOOTHING * bps + (1 - SMOOTHING) * stall->smooth_bps : bps;
        stall->poll_us = sample->time_us + POLL_US;
    }
    if (stall->give_up_us > 0) {
        stall->done = now_us > stall->give_up_us;
        return stall->done ? migd_peer_act(sample, MIGD_ACTION_ABORT, 0) : migd_peer_wait(sample);
    }
    double seconds =
        stall->smooth_bps > 0 ? (double)sample->remaining_bytes / stall->smooth_bps : G_MAXDOUBLE;
    if (now_us > stall->timeout_us)
        return end_it(stall, sample, seconds, TRUE);
    if (migd_sample_has(sample, MIGD_HAS_SYNC) &&
        at_low_point(stall, sample->remaining_bytes, now_us))
        return end_it(stall, sample, seconds, FALSE);
    return migd_peer_wait(sample);
}

const MigdEngine migd_peer_kubevirt_stall = {
    .name = "kubevirt-stall",
    .about = "KubeVirt's stall detector (alpha)",
    .poll_us = POLL_US,
    .at_syncs = TRUE,
    .start = start,
    .look = look,
    .free = stall_free,
};

const MigdEngine migd_peer_kubevirt_stall_post_copy = {
    .name = "kubevirt-stall-post-copy",
    .about = "KubeVirt's stall detector, workload disruption and post-copy allowed (alpha)",
    .poll_us = POLL_US,
    .at_syncs = TRUE,
    .start = start_disrupting,
    .look = look,
    .free = stall_free,
};

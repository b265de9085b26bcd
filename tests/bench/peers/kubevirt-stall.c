/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * KubeVirt 1.9's stall detector (alpha feature MigrationStallDetection), without and with leave to
 * disrupt the workload. It keeps what was left after each sync: a migration is stalled, for ever,
 * once a pass is no better than the best one of more than 40 seconds ago; it then waits for a low
 * point and ends the attempt there in the way that is allowed. Left out: VFIO devices, and the
 * metrics and the observing mode that its proposal speaks of.
 */
#include "peers/peer.h"

#define POLL_US MIGD_PEER_MS(100) /* finer than its own, which counts from the last event */
#define REST_US (gint64) MIGD_PEER_MS(400)
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
    gint64 looked_us; /* its last look */
    double smooth_bps;
    guint64 left_bytes; /* after the last sync */
    GArray *syncs;      /* of Sync: those inside the window, oldest first */
    guint64 old_min;    /* the least that was left before the window; G_MAXUINT64 = nothing there */
    gboolean stalled;
    guint64 best_bytes;           /* the low point that is waited for */
    GArray *lows;                 /* of guint64: what was left after each sync since the stall */
    gint64 patience_us, relax_us; /* what is granted now, and when it runs out */
    gint64 give_up_us; /* the switchover has been asked for and must be done by then; 0 = not yet */
    gboolean done;     /* nothing more to say */
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

        if (now_us - oldest->time_us < WINDOW_US)
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

/* When the low point does not come back in time, the lowest since the stall takes its place: once
 * each, so the mark rises. */
static void
relax(Stall *stall, guint64 left_bytes, gint64 now_us)
{
    guint lowest = 0;

    g_array_append_val(stall->lows, left_bytes);
    if (now_us < stall->relax_us)
        return;
    for (guint i = 1; i < stall->lows->len; i++)
        if (g_array_index(stall->lows, guint64, i) < g_array_index(stall->lows, guint64, lowest))
            lowest = i;
    stall->best_bytes = g_array_index(stall->lows, guint64, lowest);
    g_array_remove_index_fast(stall->lows, lowest);
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
    if (stall->stalled) {
        relax(stall, left_bytes, now_us);
    } else if (stall->old_min != G_MAXUINT64 &&
               (double)left_bytes >= (double)stall->old_min * (1 - MARGIN)) {
        stall->stalled = TRUE;
        stall->best_bytes = least(stall);
        stall->patience_us = PATIENCE_US;
        stall->relax_us = now_us + PATIENCE_US;
    }
    return stall->stalled && (double)left_bytes <= (double)stall->best_bytes * (1 + MARGIN);
}

/* The end that is allowed, at a low point or because it is `late`. */
static MigdDecision
end_it(Stall *stall, const MigdSample *sample, gboolean late)
{
    gint64 now_us = migd_peer_elapsed_us(sample);
    double seconds = (double)stall->left_bytes / stall->smooth_bps;
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

/* An event tells it of a sync; when none has come for a while it looks at the bandwidth. */
static MigdDecision
look(gpointer state, const MigdSample *sample)
{
    Stall *stall = state;
    gboolean sync = migd_sample_has(sample, MIGD_HAS_SYNC);
    gint64 now_us = migd_peer_elapsed_us(sample);
    double bps = (double)sample->bandwidth_bps;

    if (stall->done || !migd_peer_precopy(sample) || (!sync && now_us - stall->looked_us < REST_US))
        return migd_peer_wait(sample);
    stall->looked_us = now_us;
    if (!sync)
        stall->smooth_bps =
            stall->smooth_bps > 0 ? SMOOTHING * bps + (1 - SMOOTHING) * stall->smooth_bps : bps;
    else
        stall->left_bytes = sample->remaining_bytes;
    if (stall->smooth_bps <= 0)
        return migd_peer_wait(sample);
    if (stall->give_up_us > 0) {
        stall->done = now_us >= stall->give_up_us + G_USEC_PER_SEC; /* it counts whole seconds */
        return stall->done ? migd_peer_act(sample, MIGD_ACTION_ABORT, 0) : migd_peer_wait(sample);
    }
    gboolean low = sync && at_low_point(stall, sample->remaining_bytes, now_us);
    gboolean late = now_us >= stall->timeout_us + G_USEC_PER_SEC;
    return low || late ? end_it(stall, sample, late) : migd_peer_wait(sample);
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

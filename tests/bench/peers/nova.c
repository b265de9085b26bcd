/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * OpenStack Nova, libvirt driver, as of August 2026, with its defaults. The pause limit climbs in
 * ten steps whose distance grows with the guest's memory, and a timeout that grows with it too ends
 * the attempt; nothing else is looked at. Left out: copied disks, a person who forces completion,
 * and what is off by default (post-copy, auto-converge, several connections).
 */
#include "peers/peer.h"

#define POLL_US (G_USEC_PER_SEC / 2)
#define STEPS 10
#define DOWNTIME_MS 500
#define STEP_DELAY_S 75 /* per GiB */
#define TIMEOUT_S 800   /* per GiB */
#define LEAST_GIB 2.0   /* a smaller guest counts as this */

typedef struct {
    gint64 delay_us;   /* between two steps */
    gint64 timeout_us; /* since the start */
    guint64 downtime_us;
} Nova;

static gpointer
start(const MigdEngineGuest *guest, MigdKnobs *knobs)
{
    double gib = MAX((double)guest->memory_bytes / (1 << 30), LEAST_GIB);
    Nova *nova = g_new0(Nova, 1);

    nova->delay_us = MIGD_PEER_SECONDS((gint64)(STEP_DELAY_S * gib));
    nova->timeout_us = MIGD_PEER_SECONDS((gint64)(TIMEOUT_S * gib));
    return nova;
}

static MigdDecision
look(gpointer state, const MigdSample *sample)
{
    Nova *nova = state;
    gint64 elapsed_us = migd_peer_elapsed_us(sample);

    if (!migd_peer_precopy(sample) || elapsed_us <= 0)
        return migd_peer_wait(sample);
    if (elapsed_us > nova->timeout_us)
        return migd_peer_act(sample, MIGD_ACTION_ABORT, 0);

    /* Step i holds from i delays on, the very instant excluded. */
    gint64 step = MIN((elapsed_us - 1) / nova->delay_us, STEPS);
    guint64 first_ms = DOWNTIME_MS / STEPS;
    guint64 downtime_us = MIGD_PEER_MS(first_ms + (DOWNTIME_MS - first_ms) / STEPS * (guint64)step);
    if (downtime_us == nova->downtime_us)
        return migd_peer_wait(sample);
    nova->downtime_us = downtime_us; /* one try: it ignores that the hypervisor may refuse */
    return migd_peer_act(sample, MIGD_ACTION_SET_DOWNTIME, downtime_us);
}

const MigdEngine migd_peer_nova = {
    .name = "nova",
    .about = "OpenStack Nova with its defaults",
    .poll_us = POLL_US,
    .start = start,
    .look = look,
    .free = g_free,
};

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Incus as of August 2026 (LXD does the same): auto-converge from the first pass that dirties a
 * fifth of what it sends, beginning with half of the guest's CPU time, and then nothing but waiting
 * for the end. Left out: the pause before the switchover, in which it flushes its devices.
 */
#include "peers/peer.h"

#define POLL_US G_USEC_PER_SEC
#define INITIAL_PCT 50
#define TRIGGER_PCT 20

static gpointer
start(const MigdEngineGuest *guest, MigdKnobs *knobs)
{
    knobs->auto_converge = TRUE;
    knobs->throttle_initial_pct = INITIAL_PCT;
    knobs->throttle_trigger_pct = TRIGGER_PCT;
    return NULL;
}

static MigdDecision
look(gpointer state, const MigdSample *sample)
{
    return migd_peer_wait(sample);
}

const MigdEngine migd_peer_incus = {
    .name = "incus",
    .about = "Incus: a hard throttle and no policy",
    .poll_us = POLL_US,
    .start = start,
    .look = look,
    .free = migd_peer_no_state,
};

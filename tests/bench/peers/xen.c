/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Xen's toolstack as of August 2026 (its simple policy): the guest is stopped when fewer than 50
 * pages are dirty after a pass, or after five passes however much is left. The hypervisor's own
 * rule is switched off, so that this one alone decides. Left out: a caller's own policy.
 */
#include "peers/peer.h"

#define POLL_US MIGD_PEER_SECONDS(10) /* it looks at the end of a pass; nothing happens between */
#define MOST_PASSES 5
#define FEW_PAGES 50

static gpointer
start(const MigdEngineGuest *guest, MigdKnobs *knobs)
{
    knobs->downtime_limit_us = MIGD_PEER_NO_STOP_US;
    return g_new0(gboolean, 1);
}

static MigdDecision
look(gpointer state, const MigdSample *sample)
{
    gboolean *stopped = state;

    if (*stopped || !migd_peer_precopy(sample) || !migd_sample_has(sample, MIGD_HAS_SYNC))
        return migd_peer_wait(sample);
    /* QEMU numbers the pass that begins; so this many have been sent. */
    gboolean late = sample->pass > MOST_PASSES;
    gboolean few = migd_sample_has(sample, MIGD_HAS_PAGE_SIZE) &&
                   sample->remaining_bytes < FEW_PAGES * sample->page_size_bytes;
    *stopped = few || late;
    if (few)
        return migd_peer_act(sample, MIGD_ACTION_SET_DOWNTIME, MIGD_PEER_STOP_NOW_US);
    return late ? migd_peer_act(sample, MIGD_ACTION_PAUSE, 0) : migd_peer_wait(sample);
}

const MigdEngine migd_peer_xen = {
    .name = "xen",
    .about = "Xen: five passes, then the guest is stopped",
    .poll_us = POLL_US,
    .at_syncs = TRUE,
    .start = start,
    .look = look,
    .free = g_free,
};

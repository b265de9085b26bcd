/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Cloud Hypervisor as of August 2026, pre-copy with its defaults: after each pass what is dirty is
 * divided by the bandwidth of that pass; the guest is stopped when that is within 300 ms, and after
 * an hour the migration is cancelled. The hypervisor's own rule is switched off, so that this one
 * alone decides. Left out: the strategy that forces the end instead, and its post-copy mode, which
 * is chosen before the start.
 */
#include "peers/peer.h"

#define POLL_US MIGD_PEER_SECONDS(10) /* it looks at the end of a pass; nothing happens between */
#define DOWNTIME_US MIGD_PEER_MS(300)
#define TIMEOUT_US MIGD_PEER_SECONDS(3600)

typedef struct {
    gint64 pass_us;      /* when the present pass began */
    guint64 sent_before; /* bytes transferred then */
    gboolean stopped;
} CloudHypervisor;

static gpointer
start(const MigdEngineGuest *guest, MigdKnobs *knobs)
{
    knobs->downtime_limit_us = MIGD_PEER_NO_STOP_US;
    return g_new0(CloudHypervisor, 1);
}

static MigdDecision
look(gpointer state, const MigdSample *sample)
{
    CloudHypervisor *ch = state;

    if (ch->stopped || !migd_peer_precopy(sample) || !migd_sample_has(sample, MIGD_HAS_SYNC))
        return migd_peer_wait(sample);
    gint64 elapsed_us = migd_peer_elapsed_us(sample);
    double seconds = (double)(elapsed_us - ch->pass_us) / G_USEC_PER_SEC;
    double sent = (double)(sample->transferred_bytes - ch->sent_before);
    double pause_us =
        sent > 0 ? (double)sample->remaining_bytes * seconds / sent * G_USEC_PER_SEC : G_MAXDOUBLE;

    ch->pass_us = elapsed_us;
    ch->sent_before = sample->transferred_bytes;
    ch->stopped = sample->remaining_bytes == 0 || pause_us <= DOWNTIME_US;
    if (ch->stopped)
        return migd_peer_act(sample, MIGD_ACTION_SET_DOWNTIME, MIGD_PEER_STOP_NOW_US);
    if (elapsed_us >= TIMEOUT_US)
        return migd_peer_act(sample, MIGD_ACTION_ABORT, 0);
    return migd_peer_wait(sample);
}

const MigdEngine migd_peer_cloud_hypervisor = {
    .name = "cloud-hypervisor",
    .about = "Cloud Hypervisor's pre-copy with its defaults",
    .poll_us = POLL_US,
    .at_syncs = TRUE,
    .start = start,
    .look = look,
    .free = g_free,
};

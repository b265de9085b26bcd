/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The table of engines, and what the peers have in common.
 */
#include "peers/peers.h"

#include <string.h>

#include "peers/peer.h"

const MigdEngine *const migd_engines[] = {
    &migd_engine_migrationd,
    &migd_engine_qemu,
    &migd_engine_qemu_auto_converge,
    &migd_peer_nova,
    &migd_peer_ovirt_minimal_downtime,
    &migd_peer_ovirt_suspend,
    &migd_peer_ovirt_post_copy,
    &migd_peer_ovirt_very_large,
    &migd_peer_kubevirt,
    &migd_peer_kubevirt_tuning,
    &migd_peer_kubevirt_stall,
    &migd_peer_kubevirt_stall_post_copy,
    &migd_peer_proxmox,
    &migd_peer_cloud_hypervisor,
    &migd_peer_incus,
    &migd_peer_xen,
    &migd_peer_virsh_timeout_suspend,
    &migd_peer_virsh_timeout_postcopy,
    NULL,
};

const MigdEngine *
migd_engine_find(const char *name)
{
    for (guint i = 0; migd_engines[i] != NULL; i++)
        if (strcmp(migd_engines[i]->name, name) == 0)
            return migd_engines[i];
    return NULL;
}

MigdDecision
migd_peer_wait(const MigdSample *sample)
{
    return (MigdDecision){.time_us = sample->time_us};
}

MigdDecision
migd_peer_act(const MigdSample *sample, MigdAction action, guint64 argument)
{
    return (MigdDecision){
        .action = action,
        .argument = argument,
        .reason = MIGD_REASON_REQUESTED,
        .time_us = sample->time_us,
        .pass = sample->pass,
        .remaining_bytes = sample->remaining_bytes,
        .bandwidth_bps = sample->bandwidth_bps,
        .downtime_limit_us = sample->downtime_limit_us,
        .throttle_pct = sample->throttle_pct,
    };
}

gboolean
migd_peer_precopy(const MigdSample *sample)
{
    return sample->status == MIGD_STATUS_PRECOPY;
}

gint64
migd_peer_elapsed_us(const MigdSample *sample)
{
    return migd_sample_has(sample, MIGD_HAS_ELAPSED) ? (gint64)sample->elapsed_us : 0;
}

void
migd_peer_cap_bandwidth(MigdKnobs *knobs, guint64 bps)
{
    if (knobs->max_bandwidth_bps == 0 || knobs->max_bandwidth_bps > bps)
        knobs->max_bandwidth_bps = bps;
}

void
migd_peer_no_state(gpointer state)
{
}

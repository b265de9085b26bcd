/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the peers share, for their own files only: how they say what they do. Peers are pure like
 * any engine: no clock and no I/O; the time is the sample's.
 */
#pragma once

#include "sim/engine.h"

/* The longest pause that QEMU takes, µs: with it in force the guest is stopped at once. */
#define MIGD_PEER_STOP_NOW_US (2000 * (guint64)G_USEC_PER_SEC)

/* The shortest, µs: QEMU's own rule is as good as switched off. Not 0: with that it stops the guest
 * as soon as everything has been sent once, and looks at what is dirty only then. */
#define MIGD_PEER_NO_STOP_US 1000

#define MIGD_PEER_MS(ms) ((guint64)(ms)*1000)
#define MIGD_PEER_SECONDS(s) ((gint64)(s)*G_USEC_PER_SEC)

extern const MigdEngine migd_peer_nova;
extern const MigdEngine migd_peer_ovirt_minimal_downtime;
extern const MigdEngine migd_peer_ovirt_suspend;
extern const MigdEngine migd_peer_ovirt_post_copy;
extern const MigdEngine migd_peer_ovirt_very_large;
extern const MigdEngine migd_peer_kubevirt;
extern const MigdEngine migd_peer_kubevirt_tuning;
extern const MigdEngine migd_peer_kubevirt_stall;
extern const MigdEngine migd_peer_kubevirt_stall_post_copy;
extern const MigdEngine migd_peer_proxmox;
extern const MigdEngine migd_peer_cloud_hypervisor;
extern const MigdEngine migd_peer_incus;
extern const MigdEngine migd_peer_xen;
extern const MigdEngine migd_peer_virsh_timeout_suspend;
extern const MigdEngine migd_peer_virsh_timeout_postcopy;

/* Nothing to do at this sample. */
MigdDecision migd_peer_wait(const MigdSample *sample);

/* `action` with `argument` (unit by action) because the peer's own rule says so. */
MigdDecision migd_peer_act(const MigdSample *sample, MigdAction action, guint64 argument);

/* Passes are running: the only time in which a peer has something to say. */
gboolean migd_peer_precopy(const MigdSample *sample);

/* µs since the start of the migration; 0 while the hypervisor does not tell. */
gint64 migd_peer_elapsed_us(const MigdSample *sample);

/* Lowers the bandwidth limit (bytes/s) to `bps` unless it is lower already. */
void migd_peer_cap_bandwidth(MigdKnobs *knobs, guint64 bps);

/* KubeVirt's acceptable completion time, µs: 150 s for each begun 10^9 bytes of memory. */
gint64 migd_peer_kubevirt_timeout_us(guint64 memory_bytes);

/* For a peer that holds nothing between looks. */
void migd_peer_no_state(gpointer state);

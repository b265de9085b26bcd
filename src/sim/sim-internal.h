/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The state of a simulated migration, for sim.c (what others see of it) and step.c (how time passes
 * in it) only.
 */
#pragma once

#include "sim/sim.h"

struct MigdSim {
    const MigdScenario *scenario;
    MigdKnobs knobs;
    MigdStatus status;
    double values[MIGD_SCN_N_KEYS]; /* as scheduled up to now */
    guint next_change;
    guint64 random;
    double rate_noise, link_noise; /* factors of the present pass */

    double now_s;
    double left_bytes;  /* unsent; in the first pass without the pages that were never written */
    double set_bytes;   /* what the present pass began with */
    double dirty_bytes; /* D: distinct, since the last sync */
    double sent_bytes, pass_sent_bytes;
    double check_s;      /* when the sender next looks whether the rest fits */
    double budget_bytes; /* where its own limit binds: what it may send until then */
    gboolean draining;   /* it sends the little that is left without looking in between */
    gboolean syncing;    /* a dirty sync is under way; nothing is sent meanwhile */
    gboolean at_sync;    /* it has just ended: what is left is looked at before anything is sent */
    double syncing_s;
    double stopping_s; /* of the pause under way */
    double pause_s, throttle_s;
    guint64 pass;
    guint32 throttle_pct;
    guint high_syncs;
    double judged_s, judged_sent, judged_dirty;
};

/* A factor around 1 with the scenario's noise. */
double migd_sim_random_factor(MigdSim *sim);

/* What the link carries, bytes/s, and what the stream gets of it under the limit in force. */
double migd_sim_link_bps(const MigdSim *sim);
double migd_sim_stream_bps(const MigdSim *sim);

/* What the guest stands still for when nothing is left to send: the last sync, the device state and
 * what nobody sees, the start at the destination. Post-copy has this pause, too. */
double migd_sim_least_pause_s(const MigdSim *sim);

/* What QEMU counts as left when so much has to be sent: in the first pass also pages that were
 * never written, which cost next to nothing. */
double migd_sim_counted_bytes(const MigdSim *sim, double to_send);

/* The dirty log is read: what is unsent and what was dirtied become one set, and the next pass
 * begins. Returns the bytes that were not unsent anyway. */
double migd_sim_merge_dirty(MigdSim *sim);

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * An engine: something that looks at a migration now and then and says what to do. The production
 * policy is one, the peers of tests/bench/peers are others, and whoever drives one (the simulation,
 * a bench on real QEMUs) neither knows nor cares which. An engine is pure: it sees samples and
 * nothing else.
 */
#pragma once

#include "policy/decision.h"
#include "policy/knobs.h"
#include "policy/profile.h"
#include "policy/sample.h"
#include "policy/track.h"

/* What an engine may know before the start. */
typedef struct {
    MigdProfile profile;  /* the operator's limits; peers that know none ignore it */
    guint64 memory_bytes; /* of the guest */
    guint64 link_bps;     /* nominal, bytes/s; 0 = not known */
    gboolean postcopy;    /* guest and initiator allow post-copy */
    MigdCosts costs;      /* of a pause, as earlier migrations of this guest have taught */
} MigdEngineGuest;

typedef struct {
    const char *name;  /* as of --engine */
    const char *about; /* one line for people */
    gint64 poll_us;    /* it looks this often */
    gboolean at_syncs; /* and at every dirty sync (an event tells it) */

    /* A new state for one migration; `*knobs` holds what would be in force and becomes what shall
     * be. The limit is unlimited bandwidth and 300 ms unless the scenario says else. */
    gpointer (*start)(const MigdEngineGuest *guest, MigdKnobs *knobs);
    /* What to do at this sample; asked again after an action that was carried out, until it waits.
     */
    MigdDecision (*look)(gpointer state, const MigdSample *sample);
    /* The decision was carried out, or refused. May be NULL. */
    void (*note)(gpointer state, const MigdDecision *decision, gint64 time_us, gboolean ok);
    void (*free)(gpointer state);
} MigdEngine;

/* The production policy, started the way the daemon starts its own migrations. */
extern const MigdEngine migd_engine_migrationd;

/* Nothing but QEMU: no policy at all; and the same with auto-converge at QEMU's defaults. */
extern const MigdEngine migd_engine_qemu;
extern const MigdEngine migd_engine_qemu_auto_converge;

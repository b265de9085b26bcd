/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A migration of a described guest in virtual time, by QEMU's own rules: a pass ends when what is
 * unsent fits into (bandwidth x downtime-limit); then the dirty log is synced, auto-converge may
 * engage a throttle, and the guest is stopped if the rest fits. No clock: the caller says how far
 * to go. The same calls give the same run, bit for bit.
 */
#pragma once

#include <glib.h>

#include "policy/decision.h"
#include "policy/knobs.h"
#include "policy/sample.h"
#include "sim/scenario.h"

typedef struct MigdSim MigdSim;

typedef enum {
    MIGD_SIM_NOTHING, /* the given time has passed */
    MIGD_SIM_PASS,    /* a dirty sync has just been done; migd_sim_sample() shows it */
    MIGD_SIM_STATUS,  /* the status has changed; MigdSample.status tells */
} MigdSimEvent;

/* `scenario` must outlive the simulation. Status is NONE until migd_sim_start(). */
MigdSim *migd_sim_new(const MigdScenario *scenario);
void migd_sim_free(MigdSim *sim);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(MigdSim, migd_sim_free)

/* Knobs as QEMU names them (defaults as QEMU's); capabilities are ignored once it runs. */
void migd_sim_get_knobs(const MigdSim *sim, MigdKnobs *ret_knobs);
void migd_sim_set_knobs(MigdSim *sim, const MigdKnobs *knobs, guint32 mask);

/* Starts (again). The next migd_sim_run() begins with status SETUP, then PRECOPY. */
void migd_sim_start(MigdSim *sim);

/* Runs until something happens or `max_us` have passed; `*ret_us` = virtual time used. */
MigdSimEvent migd_sim_run(MigdSim *sim, guint64 max_us, guint64 *ret_us);

/* What query-migrate would show now; time_us = virtual time since migd_sim_start(). */
void migd_sim_sample(const MigdSim *sim, MigdSample *ret_sample);

/* Carries out a decision the way the QMP backend would. FALSE: not possible now (e.g. post-copy not
 * enabled). */
gboolean migd_sim_act(MigdSim *sim, const MigdDecision *decision);

/* Integral of the throttle so far, µs of guest time taken away (the pause not included). */
guint64 migd_sim_throttle_us(const MigdSim *sim);

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The engines that need no algorithm of their own: the production policy behind the port, and QEMU
 * left to itself.
 */
#include "sim/engine.h"

/* The daemon looks at a pass every half second. */
#define LOOK_US (G_USEC_PER_SEC / 2)

#define ALL_ACTIONS ((1u << MIGD_N_ACTIONS) - 1)

static gpointer
start_migrationd(const MigdEngineGuest *guest, MigdKnobs *knobs)
{
    MigdAbilities abilities = {
        .can = guest->postcopy ? ALL_ACTIONS : ALL_ACTIONS & ~(1u << MIGD_ACTION_POSTCOPY),
        .throttle_cocked = TRUE,
    };

    /* Our own starts are cocked: a level that is decided at a sync engages at the next one. */
    knobs->auto_converge = TRUE;
    knobs->postcopy = guest->postcopy && migd_profile_allows(&guest->profile, MIGD_ACTION_POSTCOPY);
    knobs->throttle_initial_pct = knobs->throttle_increment_pct = 1;
    knobs->throttle_max_pct = knobs->throttle_trigger_pct = 1;
    /* As the daemon does it, who lowers what is in force and raises nothing at the start. */
    knobs->downtime_limit_us =
        MIN(knobs->downtime_limit_us, migd_start_limit_us(&guest->profile, &guest->costs,
                                                          guest->memory_bytes, guest->link_bps));
    MigdTrack *track = migd_track_new(&guest->profile, &abilities);
    migd_track_set_costs(track, &guest->costs);
    return track;
}

static MigdDecision
look_migrationd(gpointer state, const MigdSample *sample)
{
    migd_track_add(state, sample);
    return migd_decide(state);
}

static void
note_migrationd(gpointer state, const MigdDecision *decision, gint64 time_us, gboolean ok)
{
    migd_track_note_action(state, decision, time_us, ok);
}

static void
free_migrationd(gpointer state)
{
    migd_track_free(state);
}

const MigdEngine migd_engine_migrationd = {
    .name = "migrationd",
    .about = "the policy of this daemon",
    .poll_us = LOOK_US,
    .at_syncs = TRUE,
    .start = start_migrationd,
    .look = look_migrationd,
    .note = note_migrationd,
    .free = free_migrationd,
};

static gpointer
start_qemu(const MigdEngineGuest *guest, MigdKnobs *knobs)
{
    return NULL;
}

static gpointer
start_auto_converge(const MigdEngineGuest *guest, MigdKnobs *knobs)
{
    knobs->auto_converge = TRUE;
    return NULL;
}

static MigdDecision
look_qemu(gpointer state, const MigdSample *sample)
{
    return (MigdDecision){.time_us = sample->time_us};
}

static void
free_qemu(gpointer state)
{
}

const MigdEngine migd_engine_qemu = {
    .name = "qemu",
    .about = "QEMU with its defaults and no policy",
    .poll_us = 10 * G_USEC_PER_SEC,
    .start = start_qemu,
    .look = look_qemu,
    .free = free_qemu,
};

const MigdEngine migd_engine_qemu_auto_converge = {
    .name = "qemu-auto-converge",
    .about = "QEMU's auto-converge with its defaults",
    .poll_us = 10 * G_USEC_PER_SEC,
    .start = start_auto_converge,
    .look = look_qemu,
    .free = free_qemu,
};

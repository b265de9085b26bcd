/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The inside of a track, shared by track.c (which folds) and decide.c (which only reads). Nobody
 * else includes this.
 */
#pragma once

#include "policy/link.h"
#include "policy/model.h"
#include "policy/track.h"

#define MIGD_MAX_PASSES MIGD_MAX_POINTS /* kept, newest last */

/* Surprises from which a guest's unsteadiness is taken. */
#define MIGD_MISSES 7

typedef struct {
    gint64 duration_us;
    guint64 sent_bytes;
    guint64 unsent_bytes;    /* when it ended */
    guint64 dirty_bytes;     /* newly dirtied in between, on top of the unsent */
    guint64 remaining_bytes; /* right after the sync that ended it */
    guint32 throttle_pct;
    gboolean usable; /* its begin and end were both seen */
} MigdPass;

/* Of the pause that there is room for, what is asked for: QEMU takes its speed over the last tenth
 * of a second for that of the pause, and real pauses were up to 2 % over the limit on a quiet host.
 */
#define MIGD_LIMIT_PART 0.97

/* Which plan is the cheapest is asked at every look, and most looks are within a pass and tell
 * nothing new: the last answer, and what it depends on. */
#define MIGD_WEIGHED_KEYS 18
typedef struct {
    double keys[MIGD_WEIGHED_KEYS];
    MigdDecision found;
    gboolean valid;
} MigdWeighed;

struct MigdTrack {
    MigdProfile profile;
    MigdAbilities abilities;
    MigdCosts costs;

    MigdSample last; /* newest observation, fields that it lacked carried over */
    MigdSample sync; /* newest observation right after a sync in pre-copy */
    gboolean begun;  /* `last` is valid */
    gboolean synced; /* `sync` is valid: a pass has ended */
    gint64 start_us; /* of the migration, clock of the samples */

    MigdPass passes[MIGD_MAX_PASSES];
    guint n_passes;
    guint
        phase_passes; /* of the newest passes, how many belong to the present phase of the guest */
    MigdModel model;
    double unsteady;            /* see MIGD_STEADY */
    double misses[MIGD_MISSES]; /* of the newest passes, by how much each surprised; a ring */
    guint n_misses;             /* noted so far */
    MigdLink link;

    guint64 pass;       /* number of the present pass; 0 before the first */
    gboolean pass_open; /* the present pass was seen from its beginning */
    gint64 pass_start_us;
    guint64 pass_start_transferred, pass_start_remaining;

    /* What QEMU's auto-converge has counted: it judges at most once a second and engages at the
     * second high sync. */
    guint high_syncs;
    guint32 trigger_pct;
    gint64 judged_us;
    guint64 judged_sent_bytes, judged_dirty_bytes; /* since then */

    MigdDecision action; /* the newest one carried out */
    gboolean acted;
    gint64 action_us;
    guint syncs_since_action;  /* passes that ended after it */
    guint syncs_since_reached; /* of these, under the throttle it asked for */
    guint32 level_pct;         /* throttle asked for last */
    gboolean throttle_set;     /* a throttle level was decided (or released) since the start */
    guint n_disarmed;          /* times in this phase that a throttle made ready was taken back */
    guint32 useless_pct;   /* throttle that was given up because it did not help: not tried again */
    guint n_useless;       /* times that this was done */
    guint64 useless_bytes; /* what was left when it was given up */
    guint32 refused;       /* actions (bits) that the hypervisor has refused */
    MigdWeighed *weighed;  /* plan.c's: a memory, no state */
};

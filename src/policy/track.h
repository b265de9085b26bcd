/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The memory of one migration: folds samples and actions, in order, into passes, bandwidth and
 * pending effects. The same samples and actions always fold into the same track, so a restarted
 * daemon rebuilds it from the trace.
 */
#pragma once

#include <glib.h>

#include "policy/decision.h"
#include "policy/knobs.h"
#include "policy/model.h"
#include "policy/profile.h"
#include "policy/sample.h"

typedef struct MigdTrack MigdTrack;

/* `profile` and `abilities` are copied. Free with migd_track_free(). */
MigdTrack *migd_track_new(const MigdProfile *profile, const MigdAbilities *abilities);
void migd_track_free(MigdTrack *track);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(MigdTrack, migd_track_free)

/* What a pause costs beside what is left to send, as finished migrations of this guest or on this
 * host have taught. */
typedef struct {
    guint64 fixed_us;     /* device state, last sync, start at the destination */
    guint64 hidden_bytes; /* sent in the pause although `remaining` does not show them */
} MigdCosts;

/* The downtime limit (µs) for a migration of ours to start with: what the profile leaves after
 * `costs`, but less for a guest that is small for its link (bytes, bytes/s; 0 = not known), whose
 * pause would be a good part of the whole. A limit is no target: such a guest gets below it at the
 * price of a pass of milliseconds, or is given the rest as soon as it is seen not to. */
guint64 migd_start_limit_us(const MigdProfile *profile, const MigdCosts *costs,
                            guint64 memory_bytes, guint64 link_bps);

/* From now on the pause is reckoned with `costs`; until then, with none. */
void migd_track_set_costs(MigdTrack *track, const MigdCosts *costs);

/* What can be done has changed: a capability was read late, or somebody else took a knob. */
void migd_track_set_abilities(MigdTrack *track, const MigdAbilities *abilities);

/* Limits changed under way (SetLimits, SetProfile). */
void migd_track_set_profile(MigdTrack *track, const MigdProfile *profile);

/* One more observation. Samples out of order (time going back, counters going back) are taken as
 * far as they make sense and never crash. */
void migd_track_add(MigdTrack *track, const MigdSample *sample);

/* `decision` was carried out at `time_us` (clock of the samples); `ok` = the hypervisor accepted
 * it. In mode observe nothing is noted. */
void
migd_track_note_action(MigdTrack *track, const MigdDecision *decision, gint64 time_us, gboolean ok);

/* What to do now, from all that was folded so far. Pure: asking twice gives the same answer. */
MigdDecision migd_decide(const MigdTrack *track);

/* The newest passes that were seen whole, oldest first, each of weight 1: at most MIGD_MAX_POINTS
 * into `ret`. Returns how many. */
guint migd_track_points(const MigdTrack *track, MigdPoint *ret);

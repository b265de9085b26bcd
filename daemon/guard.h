/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Whose knob is it: what was in force before, what migrationd has set, and what somebody else has
 * turned since. Pure. A knob that somebody else turned is theirs: no further action on it, and it
 * is not put back at the end.
 */
#pragma once

#include <glib.h>

#include "policy/decision.h"
#include "policy/knobs.h"
#include "policy/sample.h"

typedef struct {
    MigdKnobs saved;   /* before migrationd touched anything */
    MigdKnobs seen;    /* as last set by migrationd or seen */
    guint32 touched;   /* MIGD_KNOB_… that migrationd has set */
    guint32 unsettled; /* of these: set since the last look, to a value that only the hypervisor
                          knows yet */
    guint32 foreign;   /* turned by somebody else */
} MigdGuard;

/* `saved` = the knobs in force now. */
void migd_guard_init(MigdGuard *guard, const MigdKnobs *saved);

/* The knobs in `mask` have been set by migrationd. */
void migd_guard_touch(MigdGuard *guard, guint32 mask);

/* The knobs that `action` sets, by the knobs last seen. */
guint32 migd_guard_knobs_of(const MigdGuard *guard, MigdAction action);

/* `decision` was carried out. */
void migd_guard_acted(MigdGuard *guard, const MigdDecision *decision);

/* Compares with the knobs in force `now`. Returns the knobs that somebody else has turned since the
 * last look. */
guint32 migd_guard_look(MigdGuard *guard, const MigdKnobs *now);

/* The same for the two knobs that samples show, as far as this one does. */
guint32 migd_guard_look_at_sample(MigdGuard *guard, const MigdSample *sample);

/* After migd_guard_look(): what is to be put back to `saved`. */
guint32 migd_guard_to_restore(const MigdGuard *guard);

/* What can be done, given what the hypervisor `supports` (MIGD_KNOB_…) and the knobs last seen. */
MigdAbilities
migd_guard_abilities(const MigdGuard *guard, guint32 supports, gboolean throttle_cocked);

/* Why the actions in `wanted` (bits by MigdAction) that are not in `can` cannot be done, as whole
 * sentences that each begin with a space; "" = nothing to say. Caller frees. */
char *migd_guard_explain_missing(const MigdGuard *guard, guint32 can, guint32 wanted);

/* "downtime-limit from 300 ms to 500 ms, …" for the knobs in `mask` of which `old` and `now`
 * differ. Caller frees. */
char *migd_guard_describe(guint32 mask, const MigdKnobs *old, const MigdKnobs *now);

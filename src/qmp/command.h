/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What we want of QEMU, as commands: decisions, the start of a migration, knobs put back. Pure.
 * Names only those capabilities and parameters that QEMU has shown, never by its version.
 */
#pragma once

#include "json/json.h"
#include "policy/decision.h"
#include "policy/knobs.h"

typedef struct {
    const char *name; /* static */
    MigdJson *arguments;
} MigdQmpCommand;

void migd_qmp_command_free(MigdQmpCommand *command);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(MigdQmpCommand, migd_qmp_command_free)

/* The longest pause that QEMU takes as a downtime limit. */
#define MIGD_QMP_MAX_DOWNTIME_MS 2000000u

/* The command that carries `decision` out. `throttle_now_pct` = level in force; `supports` =
 * MIGD_KNOB_…. NOT_SUPPORTED where QEMU lacks the knob, INVALID_ARGUMENT for WAIT. `turned` (may be
 * NULL): the knobs that it sets, with their new values.
 *
 * THROTTLE: at a sync that counts as high QEMU sets `initial` if there is no throttle yet, else
 * MIN(now + increment, max). So all three are set such that the very next step lands on the wanted
 * level, up or down.
 * PAUSE: a `stop` would leave the guest stopped at the destination too, for nobody there knows that
 * it should run; so a pause is had by the longest downtime limit, which makes the next switchover
 * check succeed. */
MigdQmpCommand *
migd_qmp_command_for_decision(const MigdDecision *decision, guint32 throttle_now_pct,
                              guint32 supports, MigdKnobs *turned, GError **error);

typedef struct {
    const char *uri; /* "unix:/path" or "tcp:host:port" */
    gboolean postcopy, throttle;
    guint64 downtime_limit_us; /* 0 = as it is */
    guint64 max_bandwidth_bps; /* 0 = as it is */
    guint32 supports;
} MigdQmpStart;

/* The commands that start a migration, to be sent one after the other, each only if the one before
 * succeeded: capabilities, parameters, migrate. With `throttle` auto-converge is on, but cocked and
 * harmless: level 1 %, and a trigger that counts the first sync, so that a level set after that
 * sync engages at the very next one (QEMU counts two high syncs before it begins). Returns an array
 * of MigdQmpCommand. */
GPtrArray *migd_qmp_commands_for_start(const MigdQmpStart *start, GError **error);

/* The commands that set the knobs in `mask` to their values in `knobs`; maybe none. */
GPtrArray *migd_qmp_commands_for_knobs(const MigdKnobs *knobs, guint32 mask);

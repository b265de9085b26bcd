/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A plan that is fixed before the start, as an engine: the parameters of the oracle's search. It
 * turns the same knobs as everybody, by the same rules (a throttle engages at a judged sync), but
 * looks at nothing except the time.
 */
#pragma once

#include "sim/run.h"

#define MIGD_PLAN_STEPS 8

/* What is in force from the first look at or after `at_us` on. */
typedef struct {
    gint64 at_us;
    guint64 limit_us;    /* downtime-limit */
    guint32 level_pct;   /* of the throttle; 1 = none */
    guint32 trigger_pct; /* see MigdDecision */
} MigdPlanStep;

#define MIGD_PLAN_NOT G_MAXINT64

typedef struct {
    MigdPlanStep steps[MIGD_PLAN_STEPS];    /* by time; the first at 0 */
    guint n_steps;                          /* 1 at least */
    gint64 postcopy_us, pause_us, abort_us; /* MIGD_PLAN_NOT = never */
} MigdFixedPlan;

/* One step from the start on, and nothing else. */
MigdFixedPlan migd_fixed_plan(guint64 limit_us);

/* The plan that does what was decided in `run`, as far as a plan can say it. */
MigdFixedPlan migd_fixed_plan_of(const MigdRun *run, guint64 limit_us);

/* Runs `plan`; gives up (aborted) as soon as its cost is sure to reach `bound`. `syncs`, if not
 * NULL, receives the time of each dirty sync (gint64, µs). */
MigdRun *migd_fixed_plan_run(const MigdFixedPlan *plan, const MigdScenario *scenario,
                             const MigdProfile *profile, double bound, GArray *syncs);

/* One line for people. Caller frees. */
char *migd_fixed_plan_describe(const MigdFixedPlan *plan);

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The cheapest plan within a profile's limits for a scenario that is known as a whole, by search:
 * what an engine is measured against.
 */
#pragma once

#include "bench/plan.h"

/* What a run did that its profile forbids; bits. */
typedef enum {
    MIGD_BROKE_PAUSE = 1 << 0,    /* MaxDowntime, without Pause being allowed and taken */
    MIGD_BROKE_DEADLINE = 1 << 1, /* it went on past the deadline */
    MIGD_BROKE_THROTTLE = 1 << 2, /* MaxThrottle */
    MIGD_BROKE_ALLOW = 1 << 3,    /* an action that is not allowed decided its end */
} MigdBroke;

/* MIGD_BROKE_… bits of `run`. A deadline counts as kept up to half a second late: nobody looks more
 * often. */
guint migd_run_broke(const MigdRun *run, const MigdScenario *scenario, const MigdProfile *profile);

/* The deadline in seconds, HUGE_VAL = none; "auto" by the link's nominal rate. */
double migd_scenario_deadline_s(const MigdScenario *scenario, const MigdProfile *profile);

typedef struct {
    MigdFixedPlan plan;
    MigdRun *run;
    guint tried; /* plans */
} MigdOracle;

/* `seeds` (of MigdRun, may be NULL): runs whose decisions the search starts from as well. */
MigdOracle
migd_oracle(const MigdScenario *scenario, const MigdProfile *profile, const GPtrArray *seeds);
void migd_oracle_clear(MigdOracle *oracle);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(MigdOracle, migd_oracle_clear)

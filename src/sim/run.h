/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * One scenario under one engine, from the start to the end, and what it cost.
 */
#pragma once

#include "sim/engine.h"
#include "sim/scenario.h"

typedef enum {
    MIGD_RUN_COMPLETED,
    MIGD_RUN_POSTCOPY, /* completed by post-copy */
    MIGD_RUN_PAUSED,   /* completed because the engine stopped the guest for it */
    MIGD_RUN_ABORTED,
    MIGD_RUN_RUNNING, /* still, at the scenario's time limit */
} MigdRunResult;

typedef struct {
    MigdRunResult result;
    double total_s;
    double downtime_s; /* 0 unless the guest arrived */
    double throttle_s; /* integral of the throttle: guest seconds taken away */
    double pull_s;     /* time in post-copy */
    double lost_s;     /* guest work lost: throttle + downtime + half of the pulling */
    double cost_s;     /* J of DESIGN section 8 */
    guint64 sent_bytes, ram_bytes;
    guint64 passes;
    guint32 most_throttle_pct;
    GArray *decisions; /* of MigdDecision: each that differs from the one before it */
} MigdRun;

/* Runs `engine` over `scenario` under the limits of `profile`. Pure: the same input gives the same
 * run, bit for bit. Free with migd_run_free(). */
MigdRun *
migd_run(const MigdScenario *scenario, const MigdEngine *engine, const MigdProfile *profile);
void migd_run_free(MigdRun *run);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(MigdRun, migd_run_free)

/* "completed", "postcopy", "paused", "aborted", "running". Static string. */
const char *migd_run_result_to_string(MigdRunResult result);

/* The guest runs at the destination. */
gboolean migd_run_arrived(const MigdRun *run);

/* J: `total_s` + 10 x `lost_s`, and `time_limit_s` on top when the guest did not arrive. Source:
 * docs/scenarios.md, "What a run costs". */
double migd_run_cost(double total_s, double lost_s, gboolean arrived, double time_limit_s);

/* ---- for whoever drives an engine over something else than the simulation ---- */

/* An engine that never tires of acting is cut off until its next look. */
#define MIGD_RUN_MAX_ACTIONS 8

/* What an engine is told before the start. */
MigdEngineGuest migd_run_guest(const MigdScenario *scenario, const MigdProfile *profile);

/* An empty account of a run. `throttle_s`, `pull_s` and `most_throttle_pct` are the caller's to
 * keep, the rest is noted by the calls that follow: each decision, each action that was carried
 * out, and at the end the last sample, whose time counts from the start. */
MigdRun *migd_run_new(void);
void migd_run_note_decision(MigdRun *run, const MigdDecision *decision);
void migd_run_note_action(MigdRun *run, MigdAction action);
void migd_run_finish(MigdRun *run, const MigdSample *sample, double time_limit_s);

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What would become of a migration under a plan: passes are played forward by QEMU's rule for every
 * hypothesis of the model, and the results are weighed into ranges.
 */
#pragma once

#include <glib.h>

#include "policy/decision.h"
#include "policy/model.h"

/* Weight of a second of guest work lost against a second of migration (DESIGN section 8). */
#define MIGD_LOST_WEIGHT 10

/* Where the migration stands: right after a sync. */
typedef struct {
    double remaining_bytes;
    double bandwidth_bps;
    double limit_s;      /* downtime-limit in force */
    double fixed_s;      /* part of the pause that no bandwidth shortens (device state, start of the
                            destination) */
    double throttle;     /* 0..0.99, in force */
    double horizon_s;    /* time until the deadline: a plan that takes longer does not end */
    guint high_syncs;    /* syncs that QEMU has counted towards its next throttle step: 0 or 1 */
    double since_eval_s; /* since the sync that QEMU last judged: it judges at most once a second */
    double sync_s;       /* a dirty sync takes this long */
} MigdState;

/* What is done now. */
typedef struct {
    double limit_s;
    double bandwidth_bps;
    double throttle; /* level to engage; equal to the state's = leave it */
    double trigger;  /* engage only when a pass dirties more than this fraction of what it sent */
} MigdPlan;

typedef struct {
    MigdPlan plan;
    double ends;   /* weight of the hypotheses under which it ends before the horizon, 0..1 */
    double lost_s; /* expected guest work lost: integral of the throttle + pause */
    double cost; /* expected J: seconds + 10 x lost seconds (DESIGN section 8); a plan that does not
                    end costs the whole horizon, with the throttle it holds */
    guint64 ending;                    /* bit by hypothesis: it ends under this one */
    double costs[MIGD_MAX_HYPOTHESES]; /* J under each hypothesis */
    gboolean
        grows; /* in the heaviest hypothesis what is left after a sync grows from pass to pass */
} MigdPrice;

/* What is told of a plan. */
typedef struct {
    MigdRange time_us, pause_us, send_bytes;
} MigdForecast;

/* The plan that changes nothing. */
MigdPlan migd_plan_wait(const MigdState *state);

/* What plans are compared by, and what is told of one (`ret_forecast`; NULL = nobody asks; all 0
 * where nothing is known). */
void migd_price(const MigdModel *model, const MigdState *state, const MigdPlan *plan,
                MigdPrice *ret_price, MigdForecast *ret_forecast);

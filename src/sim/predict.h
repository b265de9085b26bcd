/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What a migration would come to, before it starts: the production policy is played by the
 * simulation over many drawn guests and links, each as likely as what is known makes it, and the
 * outcomes are weighed into ranges. So it says what the policy would do, not what a formula says.
 */
#pragma once

#include "policy/model.h"
#include "sim/run.h"

/* A number that is known to some degree: log-normal around `mid`. */
typedef struct {
    double mid;    /* 0 = not known */
    double spread; /* relative standard deviation */
} MigdGuess;

typedef struct {
    MigdProfile profile;
    gboolean postcopy;      /* it would be switched on at the start */
    guint64 memory_bytes;   /* of the guest */
    MigdGuess filled_bytes; /* of these what has ever been written; the rest costs nothing */
    MigdModel dirty;        /* n = 0: not known */
    double dirty_spread;    /* how well a curve measured at rest holds in a migration */
    MigdGuess stream_bps;   /* what a pass is sent with */
    MigdGuess link_bps;     /* what the rest is sent with while the guest is paused: limits do not
                               hold then; not known = as the stream */
    guint64 max_bandwidth_bps; /* limit in force; 0 = none */
    guint64 downtime_limit_us; /* in force at the start; 0 = QEMU's 300 ms */
    MigdGuess setup_s;         /* before the first byte */
    MigdGuess fixed_s;         /* of the pause, whatever is left to send */
    MigdCosts costs;           /* of a pause, as the policy will be told */
} MigdPredictInput;

typedef struct {
    guint32 share_pct; /* of the runs in which the policy does it */
    guint64 argument;  /* the median of its last arguments in a run; unit by action */
} MigdPredictedAction;

/* Ranges are the 5th, 50th and 95th percentile of the runs. MIGD_NEVER: in so many of them the
 * guest does not get there. */
typedef struct {
    gboolean known; /* else nothing below counts: curve, stream or memory are not known */
    guint runs;
    MigdVerdict verdict; /* of the guest left alone: converging, plateau, diverging, unknown */
    guint32 arrives_pct; /* of the runs that bring the guest over */
    guint32 alone_pct;   /* of the runs that do without taking anything from the guest */
    guint32 results_pct[MIGD_RUN_RUNNING + 1];
    MigdRange total_us; /* setup and pause included */
    MigdRange pause_us;
    MigdRange sent_bytes;   /* also of runs that do not get there */
    MigdRange lost_us;      /* guest work: throttle, pause, half of the pulling in post-copy */
    MigdRange throttle_pct; /* the hardest level */
    MigdPredictedAction actions[MIGD_N_ACTIONS];
} MigdPrediction;

/* Pure: the same input gives the same prediction, bit for bit. Takes some ten milliseconds: not for
 * a thread that steers. */
void migd_predict(const MigdPredictInput *input, MigdPrediction *ret);

/* One measured point of a dirty curve. */
typedef struct {
    double seconds;
    double dirty_bytes; /* distinct, within so many seconds */
    double error_bytes; /* standard deviation of the measurement */
} MigdCurvePoint;

/* The curves W (1 - exp(-lambda t / W)), of guests that write here and there, and min(lambda t, W),
 * of those that write in order, that explain measured points, weighted by how well, on a finer grid
 * than migd_model_fit() needs for passes. No points, or a memory of 0: n = 0. */
void migd_predict_fit(MigdModel *ret, const MigdCurvePoint *points, guint n, double memory_bytes);

/* Distinct bytes that the guest dirties within `seconds`, weighed over the curves of `model`. */
double migd_predict_dirty(const MigdModel *model, double seconds);

/* What passes of a guest that was not throttled dirtied, and what `model` foretells of the same
 * times, in bytes; the quotient is by how much faster it dirties. Only of passes in which the
 * foretold curve is far from saturated: near it the rate cannot be seen. Both 0: there are none. */
void migd_predict_compare(const MigdModel *model, const MigdPoint *passes, guint n,
                          double *ret_seen, double *ret_foretold);

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The guest under dirty logging: D(t), the distinct bytes dirtied within t of a sync, as
 * W (1 - exp(-lambda (1-p)^x t / W)): it starts at rate lambda, saturates at the writable working
 * set W, and a throttle p slows it with exponent x. A few passes cannot tell these apart, so a fit
 * is a set of weighted hypotheses, and whoever asks gets a range. The curve is the "unique pages
 * dirtied in t" of Nathan et al. (SoCC 2015).
 */
#pragma once

#include <glib.h>

/* One finished pass. */
typedef struct {
    double seconds;      /* between the two syncs */
    double dirty_bytes;  /* distinct bytes newly dirtied in between, on top of the unsent ones */
    double unsent_bytes; /* still unsent when the pass ended; some of them were dirtied again, which
                            nobody sees */
    double throttle;     /* 0..0.99, in force */
    double weight;       /* 0..1; older or less certain passes weigh less */
} MigdPoint;

typedef struct {
    double lambda_bps;
    double working_set_bytes; /* HUGE_VAL: no saturation in sight */
    double response;          /* x; 0 = the throttle has no effect */
    double weight;            /* all sum to 1 */
} MigdHypothesis;

#define MIGD_MAX_HYPOTHESES 48

typedef struct {
    MigdHypothesis hypotheses[MIGD_MAX_HYPOTHESES];
    guint n; /* 0: nothing is known */
} MigdModel;

/* How unsteady a guest is: the log-ratio by which a pass usually differs from what the passes
 * before it foretold. A curve reproduces even a steady guest no better than this. */
#define MIGD_STEADY 0.08

/* Fits `n` points (newest last) of a guest that is so `unsteady`. `total_bytes` bounds W. */
void migd_model_fit(MigdModel *ret_model, const MigdPoint *points, guint n, double total_bytes,
                    double unsteady);

/* By how much `point` differs from what `model` foretells, as log-ratio; 0 when nothing is known.
 */
double migd_model_miss(const MigdModel *model, const MigdPoint *point);

/* The rate right after a sync, bytes/s, under throttle `throttle` (0..0.99). */
double migd_hypothesis_rate(const MigdHypothesis *hypothesis, double throttle);

/* Bytes that a sync finds newly dirty, on top of `unsent_bytes`, `seconds` after the last one, at
 * that rate. */
double migd_hypothesis_dirty(const MigdHypothesis *hypothesis, double rate_bps, double seconds,
                             double unsent_bytes);

/* The heaviest hypothesis; NULL when nothing is known. */
const MigdHypothesis *migd_model_best(const MigdModel *model);

/* TRUE when no single curve explains the two newest of `points` (of which `model` is the fit): in
 * between, the guest has entered another phase. */
gboolean
migd_model_contradicts(const MigdModel *model, const MigdPoint *points, guint n, double unsteady);

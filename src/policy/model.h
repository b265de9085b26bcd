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
#include <math.h>

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
    gboolean sweep;           /* D(t) is min(lambda t, W): of predictions only */
} MigdHypothesis;

#define MIGD_MAX_HYPOTHESES 48
#define MIGD_MAX_POINTS 24

typedef struct {
    MigdHypothesis hypotheses[MIGD_MAX_HYPOTHESES];
    guint n; /* 0: nothing is known */
} MigdModel;

/* How unsteady a guest is: the log-ratio by which a pass usually differs from what the passes
 * before it foretold. A curve reproduces even a steady guest no better than this. */
#define MIGD_STEADY 0.08

/* Fits `n` points (newest last, at most MIGD_MAX_POINTS) of a guest that is so `unsteady`.
 * `total_bytes` bounds W. */
void migd_model_fit(MigdModel *ret_model, const MigdPoint *points, guint n, double total_bytes,
                    double unsteady);

/* By how much `point` differs from what `model` foretells, as log-ratio; 0 when nothing is known.
 */
double migd_model_miss(const MigdModel *model, const MigdPoint *point);

/* The curve of a hypothesis at one throttle, with so much left unsent by each pass; what does not
 * change from pass to pass is worked out, as plans ask thousands of times. */
typedef struct {
    double rate_bps;
    double fill_per_s;  /* part of what is clean that is dirtied in a second; 0 = no saturation */
    double reach_bytes; /* the most that a sync can find newly dirty */
} MigdDirtyCurve;

MigdDirtyCurve
migd_hypothesis_curve(const MigdHypothesis *hypothesis, double throttle, double unsent_bytes);

/* Bytes that a sync finds newly dirty, on top of the unsent ones, `seconds` after the last one. */
static inline double
migd_dirty_curve_at(const MigdDirtyCurve *curve, double seconds)
{
    double fill = curve->fill_per_s * seconds;

    /* Where exp() would lose digits the curve is straight. */
    return fill < 1e-6 ? curve->rate_bps * seconds : curve->reach_bytes * (1 - exp(-fill));
}

/* The heaviest hypothesis; NULL when nothing is known. */
const MigdHypothesis *migd_model_best(const MigdModel *model);

/* TRUE when no single curve explains the two newest of `points` (of which `model` is the fit): in
 * between, the guest has entered another phase. */
gboolean
migd_model_contradicts(const MigdModel *model, const MigdPoint *points, guint n, double unsteady);

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Fitting the dirty curve. For each assumed working set and throttle response the rate lambda
 * follows from the points by a weighted mean; the misfit, as log-ratio of predicted to seen bytes,
 * gives the weight. No iteration, no random start: the same points give the same model.
 */
#include "policy/model.h"

#include <math.h>

/* A curve through two points of one phase misses neither by more than this factor, when the guest
 * is steady; else by more than this many times what is usual for it. */
#define PHASE_RATIO 1.35
#define PHASE_TIMES 4

/* What explains the points this much worse than the best is dropped: it would only cost time. */
#define NEGLIGIBLE 0.02
#define KEPT 7

/* Working sets tried. Below saturation: multiples of the largest pass seen, with the rate that
 * fits. At saturation the rate cannot be seen at all (every higher one gives the same bytes), so it
 * is assumed: a multiple of the highest rate seen, as far up as a guest may be beyond the knee of
 * its curve. */
static const struct {
    double spread; /* of the working set over the largest pass */
    double depth;  /* of the rate over the highest seen; 0 = fitted */
    double prior;
} curves[] = {{1.02, 0, 1},     {1.1, 0, 1},   {1.3, 0, 1},    {1.8, 0, 1},   {4, 0, 1},
              {HUGE_VAL, 0, 1}, {1.001, 8, 1}, {1.001, 20, 1}, {1.001, 60, 1}};

/* Throttle responses tried: 1 = as QEMU intends; guests that only write now and then respond less.
 * The prior keeps to 1 until throttled passes say otherwise. */
static const struct {
    double x, prior;
} responses[] = {{1, 0.75}, {0.7, 0.1}, {0.45, 0.07}, {0.25, 0.05}, {0, 0.03}};

static double
slowdown(double throttle, double response)
{
    if (throttle <= 0)
        return 1;
    return response == 1 ? 1 - throttle : pow(1 - throttle, response);
}

/* The part of what is dirtied that was not unsent anyway, when the unsent bytes lie in the working
 * set. */
static double
fresh_part(double unsent_bytes, double w)
{
    return isinf(w) ? 1 : MAX(1 - unsent_bytes / w, 0.01);
}

static MigdDirtyCurve
curve_at_rate(double w, double rate_bps, double unsent_bytes)
{
    double fresh = fresh_part(unsent_bytes, w);

    if (isinf(w))
        return (MigdDirtyCurve){.rate_bps = rate_bps};
    return (MigdDirtyCurve){rate_bps * fresh, rate_bps / w, w * fresh};
}

MigdDirtyCurve
migd_hypothesis_curve(const MigdHypothesis *hypothesis, double throttle, double unsent_bytes)
{
    return curve_at_rate(hypothesis->working_set_bytes,
                         hypothesis->lambda_bps * slowdown(throttle, hypothesis->response),
                         unsent_bytes);
}

/* The rate that puts the curve through `point`, of which the throttle left `slow`, and in
 * `*ret_sensitivity` how much the point says about it: near saturation (sensitivity 0) every rate
 * fits. */
static double
rate_through(const MigdPoint *point, double w, double slow, double *ret_sensitivity)
{
    double effective = point->seconds * slow;

    *ret_sensitivity = 1;
    if (isinf(w))
        return point->dirty_bytes / effective;

    double fill = MIN(point->dirty_bytes / fresh_part(point->unsent_bytes, w) / w, 0.99);
    double u = -log1p(-fill);
    if (fill > 1e-9)
        *ret_sensitivity = u * (1 - fill) / fill;
    return u * w / effective;
}

static double
fit_rate(double w, const MigdPoint *points, const double *slow, guint n)
{
    double log_sum = 0, weight_sum = 0;

    for (guint i = 0; i < n; i++) {
        double sensitivity;
        double rate = rate_through(&points[i], w, slow[i], &sensitivity);
        double weight = points[i].weight * sensitivity * sensitivity;

        log_sum += weight * log(rate);
        weight_sum += weight;
    }
    return weight_sum > 0 ? exp(log_sum / weight_sum) : 0;
}

static double
highest_rate(const MigdPoint *points, const double *slow, guint n)
{
    double highest = 0;

    for (guint i = 0; i < n; i++)
        highest = MAX(highest, points[i].dirty_bytes / (points[i].seconds * slow[i]));
    return highest;
}

static double
miss(const MigdHypothesis *hypothesis, const MigdPoint *point, double slow)
{
    MigdDirtyCurve curve = curve_at_rate(hypothesis->working_set_bytes,
                                         hypothesis->lambda_bps * slow, point->unsent_bytes);
    double expected = migd_dirty_curve_at(&curve, point->seconds);

    return fabs(log(MAX(expected, 1) / point->dirty_bytes));
}

static double
likelihood(const MigdHypothesis *hypothesis, const MigdPoint *points, const double *slow, guint n,
           double unsteady)
{
    double misfit = 0;

    for (guint i = 0; i < n; i++) {
        double error = miss(hypothesis, &points[i], slow[i]) / unsteady;

        misfit += points[i].weight * error * error;
    }
    return exp(-0.5 * MIN(misfit, 1000));
}

/* Puts the heaviest first, drops what does not matter, and makes the weights sum to 1. */
static void
normalize(MigdModel *model)
{
    double sum = 0;
    guint kept = 0;

    for (guint i = 1; i < model->n; i++) {
        MigdHypothesis moved = model->hypotheses[i];
        guint j = i;

        for (; j > 0 && model->hypotheses[j - 1].weight < moved.weight; j--)
            model->hypotheses[j] = model->hypotheses[j - 1];
        model->hypotheses[j] = moved;
    }
    while (kept < MIN(model->n, KEPT) && model->hypotheses[kept].weight > 0 &&
           model->hypotheses[kept].weight >= NEGLIGIBLE * model->hypotheses[0].weight)
        sum += model->hypotheses[kept++].weight;
    model->n = kept;
    for (guint i = 0; i < kept; i++)
        model->hypotheses[i].weight /= sum;
}

void
migd_model_fit(MigdModel *ret_model, const MigdPoint *points, guint n, double total_bytes,
               double unsteady)
{
    double slow[G_N_ELEMENTS(responses)][MIGD_MAX_POINTS]; /* what the throttle leaves */
    double largest = 0;
    gboolean throttled = FALSE;

    ret_model->n = 0;
    n = MIN(n, MIGD_MAX_POINTS);
    for (guint i = 0; i < n; i++) {
        for (guint r = 0; r < G_N_ELEMENTS(responses); r++)
            slow[r][i] = slowdown(points[i].throttle, responses[r].x);
        largest = MAX(largest, points[i].dirty_bytes + points[i].unsent_bytes);
        throttled = throttled || points[i].throttle >= 0.05;
    }
    if (n == 0 || largest <= 0)
        return;

    /* Without a throttled pass nothing can be learnt of the response: take it at its word. */
    guint n_responses = throttled ? G_N_ELEMENTS(responses) : 1;
    for (guint c = 0; c < G_N_ELEMENTS(curves); c++) {
        double w = curves[c].spread * largest;

        for (guint r = 0; r < n_responses; r++) {
            MigdHypothesis *hypothesis = &ret_model->hypotheses[ret_model->n++];

            hypothesis->working_set_bytes =
                isinf(w) ? w : MAX(MIN(w, total_bytes), largest * 1.001);
            hypothesis->response = responses[r].x;
            hypothesis->lambda_bps =
                curves[c].depth > 0 ? curves[c].depth * highest_rate(points, slow[r], n)
                                    : fit_rate(hypothesis->working_set_bytes, points, slow[r], n);
            hypothesis->weight = curves[c].prior * responses[r].prior *
                                 likelihood(hypothesis, points, slow[r], n, unsteady);
        }
    }
    normalize(ret_model);
}

const MigdHypothesis *
migd_model_best(const MigdModel *model)
{
    return model->n > 0 ? &model->hypotheses[0] : NULL;
}

double
migd_model_miss(const MigdModel *model, const MigdPoint *point)
{
    const MigdHypothesis *best = migd_model_best(model);

    return best != NULL ? miss(best, point, slowdown(point->throttle, best->response)) : 0;
}

gboolean
migd_model_contradicts(const MigdModel *model, const MigdPoint *points, guint n, double unsteady)
{
    if (n < 2)
        return FALSE;
    return migd_model_best(model) == NULL ||
           MAX(migd_model_miss(model, &points[n - 1]), migd_model_miss(model, &points[n - 2])) >
               MAX(log(PHASE_RATIO), PHASE_TIMES * unsteady);
}

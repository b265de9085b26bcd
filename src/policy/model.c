/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Fitting the dirty curve. For each assumed working set and throttle response the rate lambda
 * follows from the points by a weighted mean; the misfit, as log-ratio of predicted to seen bytes,
 * gives the weight. No iteration, no random start: the same points give the same model.
 */
#include "policy/model.h"

#include <math.h>

/* A pass is reproduced to about 12 % by this curve on real guests (sequential writers bend later
 * than it does). */
#define SIGMA 0.12

/* Two points further apart than this factor under the same conditions are two phases. */
#define PHASE_RATIO 1.6

/* Working sets tried, as multiples of the largest pass seen. The first is "fully saturated": 1.02
 * puts the knee at lambda = 4 x the rate seen, and the last two are "hardly" and "not saturated".
 */
static const double spreads[] = {1.02, 1.1, 1.3, 1.8, 4, HUGE_VAL};

/* Throttle responses tried: 1 = as QEMU intends; guests that only write now and then respond less.
 * The prior keeps to 1 until throttled passes say otherwise. */
static const struct {
    double x, prior;
} responses[] = {{1, 0.75}, {0.7, 0.12}, {0.4, 0.06}, {0.15, 0.04}, {0, 0.03}};

static double
slowdown(double throttle, double response)
{
    return throttle > 0 ? pow(1 - throttle, response) : 1;
}

/* The part of what is dirtied that was not unsent anyway, when the unsent bytes lie in the working
 * set. */
static double
fresh_part(double unsent_bytes, double w)
{
    return isinf(w) ? 1 : MAX(1 - unsent_bytes / w, 0.01);
}

double
migd_hypothesis_dirty(const MigdHypothesis *hypothesis, double seconds, double throttle,
                      double unsent_bytes)
{
    double linear = hypothesis->lambda_bps * slowdown(throttle, hypothesis->response) * seconds;
    double w = hypothesis->working_set_bytes;

    if (isinf(w) || linear <= 0)
        return MAX(linear, 0);
    return -w * expm1(-linear / w) * fresh_part(unsent_bytes, w);
}

/* The rate that puts the curve through `point`, and in `*ret_sensitivity` how much the point says
 * about it: near saturation (sensitivity 0) every rate fits. */
static double
rate_through(const MigdPoint *point, double w, double response, double *ret_sensitivity)
{
    double effective = point->seconds * slowdown(point->throttle, response);

    *ret_sensitivity = 1;
    if (isinf(w))
        return point->dirty_bytes / effective;

    double fill = MIN(point->dirty_bytes / fresh_part(point->unsent_bytes, w) / w, 0.99);
    double u = -log1p(-fill);
    if (fill > 1e-9)
        *ret_sensitivity = u * (1 - fill) / fill;
    return u * w / effective;
}

static void
fit_one(MigdHypothesis *hypothesis, const MigdPoint *points, guint n)
{
    double log_sum = 0, weight_sum = 0, misfit = 0;

    for (guint i = 0; i < n; i++) {
        double sensitivity;
        double rate = rate_through(&points[i], hypothesis->working_set_bytes, hypothesis->response,
                                   &sensitivity);
        double weight = points[i].weight * sensitivity * sensitivity;

        log_sum += weight * log(rate);
        weight_sum += weight;
    }
    hypothesis->lambda_bps = weight_sum > 0 ? exp(log_sum / weight_sum) : 0;
    for (guint i = 0; i < n; i++) {
        double seen = points[i].dirty_bytes;
        double expected = migd_hypothesis_dirty(hypothesis, points[i].seconds, points[i].throttle,
                                                points[i].unsent_bytes);
        double error = log(expected / seen) / SIGMA;

        misfit += points[i].weight * error * error;
    }
    hypothesis->weight *= exp(-0.5 * MIN(misfit, 200));
}

void
migd_model_fit(MigdModel *ret_model, const MigdPoint *points, guint n, double total_bytes)
{
    double largest = 0, sum = 0;
    gboolean throttled = FALSE;

    ret_model->n = 0;
    for (guint i = 0; i < n; i++) {
        largest = MAX(largest, points[i].dirty_bytes + points[i].unsent_bytes);
        throttled = throttled || points[i].throttle >= 0.05;
    }
    if (n == 0 || largest <= 0)
        return;

    /* Without a throttled pass nothing can be learnt of the response: take it at its word. */
    guint n_responses = throttled ? G_N_ELEMENTS(responses) : 1;
    for (guint s = 0; s < G_N_ELEMENTS(spreads); s++) {
        double w = isinf(spreads[s]) ? HUGE_VAL
                                     : MAX(MIN(spreads[s] * largest, total_bytes), largest * 1.02);

        for (guint r = 0; r < n_responses; r++) {
            MigdHypothesis *hypothesis = &ret_model->hypotheses[ret_model->n++];

            *hypothesis = (MigdHypothesis){
                .working_set_bytes = w,
                .response = responses[r].x,
                .weight = responses[r].prior,
            };
            fit_one(hypothesis, points, n);
            sum += hypothesis->weight;
        }
    }
    for (guint i = 0; i < ret_model->n; i++)
        ret_model->hypotheses[i].weight /= sum;
}

const MigdHypothesis *
migd_model_best(const MigdModel *model)
{
    const MigdHypothesis *best = NULL;

    for (guint i = 0; i < model->n; i++)
        if (best == NULL || model->hypotheses[i].weight > best->weight)
            best = &model->hypotheses[i];
    return best;
}

gboolean
migd_model_contradicts(const MigdModel *model, const MigdPoint *point)
{
    for (guint i = 0; i < model->n; i++) {
        const MigdHypothesis *hypothesis = &model->hypotheses[i];
        double expected =
            migd_hypothesis_dirty(hypothesis, point->seconds, point->throttle, point->unsent_bytes);

        if (hypothesis->weight >= 0.02 && expected > 0 &&
            point->dirty_bytes < expected * PHASE_RATIO &&
            expected < point->dirty_bytes * PHASE_RATIO)
            return FALSE;
    }
    return model->n > 0;
}

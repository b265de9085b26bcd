/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Tests of the prediction: curves are found again from their points, and the ranges hold what the
 * simulation then does to the true guest.
 */
#include "sim/predict.h"

#include <math.h>
#include <string.h>

#define MB 1e6

typedef struct {
    double lambda, w, memory, filled, stream, fixed_s;
} Truth;

static double
curve(const Truth *truth, double seconds)
{
    return truth->w * (1 - exp(-truth->lambda * seconds / truth->w));
}

/* Measured at 1, 2 and 4 s, to whole MiB/s, as hypervisors do. */
static guint
measure(const Truth *truth, MigdCurvePoint *points)
{
    static const double periods[] = {1, 2, 4};

    for (guint i = 0; i < G_N_ELEMENTS(periods); i++) {
        double rate = floor(curve(truth, periods[i]) / periods[i] / 1048576) + 0.5;
        points[i] =
            (MigdCurvePoint){periods[i], rate * 1048576 * periods[i], 0.5 * 1048576 * periods[i]};
    }
    return G_N_ELEMENTS(periods);
}

static MigdPredictInput
input_of(const Truth *truth)
{
    MigdPredictInput input = {
        .memory_bytes = (guint64)truth->memory,
        .filled_bytes = {truth->filled, 0.02},
        .dirty_spread = 0.05,
        .stream_bps = {truth->stream, 0.02},
        .setup_s = {0.005, 0.2},
        .fixed_s = {truth->fixed_s, 0.2},
        .costs = {.fixed_us = (guint64)(truth->fixed_s * 1e6)},
    };
    MigdCurvePoint points[3];
    guint n = measure(truth, points);

    migd_profile_init(&input.profile);
    migd_predict_fit(&input.dirty, points, n, truth->memory);
    return input;
}

/* The true guest under the true link. */
static MigdRun *
run_of(const Truth *truth, const MigdProfile *profile)
{
    g_autofree char *text =
        g_strdup_printf("[guest]\nmemory=%.0f\nzero=%.6f\ndirty-rate=%.0f\nworking-set=%.0f\n"
                        "[link]\nbandwidth=%.0f\n[costs]\nfixed-downtime=%.0fus\n",
                        truth->memory, 1 - truth->filled / truth->memory, truth->lambda, truth->w,
                        truth->stream, truth->fixed_s * 1e6);
    g_autoptr(GError) error = NULL;
    g_autoptr(MigdScenario) scenario = migd_scenario_parse(text, strlen(text), &error);

    g_assert_no_error(error);
    scenario->told_bps = 0; /* as the daemon, which before the start knows of a limit only */
    return migd_run(scenario, &migd_engine_migrationd, profile);
}

static void
assert_within(double value, const MigdRange *range, double slack)
{
    g_assert_cmpfloat(value, >=, (double)range->low * (1 - slack));
    g_assert_cmpfloat(value, <=, (double)range->high * (1 + slack));
}

static const Truth converging = {20 * MB, 60 * MB, 256 * MB, 160 * MB, 60 * MB, 0.01};
static const Truth plateau = {150 * MB, 60 * MB, 256 * MB, 160 * MB, 40 * MB, 0.01};

static void
test_converging(void)
{
    MigdPredictInput input = input_of(&converging);
    g_autoptr(MigdRun) run = run_of(&converging, &input.profile);
    MigdPrediction prediction;

    migd_predict(&input, &prediction);
    g_assert_true(prediction.known);
    g_assert_cmpint(prediction.verdict, ==, MIGD_VERDICT_CONVERGING);
    g_assert_cmpuint(prediction.arrives_pct, ==, 100);
    g_assert_cmpuint(prediction.results_pct[MIGD_RUN_COMPLETED], ==, 100);
    assert_within(run->total_s * 1e6, &prediction.total_us, 0.01);
    assert_within(run->downtime_s * 1e6, &prediction.pause_us, 0.05);
    assert_within((double)run->sent_bytes, &prediction.sent_bytes, 0.01);
    g_assert_cmpfloat(fabs((double)prediction.total_us.mid / 1e6 / run->total_s - 1), <, 0.05);
    g_assert_cmpuint(prediction.actions[MIGD_ACTION_THROTTLE].share_pct, ==, 0);
    g_assert_cmpuint(prediction.throttle_pct.high, ==, 0);
}

/* Only a throttle brings this one over, and the prediction says so and what it takes. */
static void
test_plateau(void)
{
    MigdPredictInput input = input_of(&plateau);
    g_autoptr(MigdRun) run = run_of(&plateau, &input.profile);
    MigdPrediction prediction;

    g_assert_cmpuint(run->most_throttle_pct, >, 1);
    migd_predict(&input, &prediction);
    g_assert_cmpuint(prediction.arrives_pct, >=, 95);
    g_assert_cmpuint(prediction.alone_pct, <, 10);
    g_assert_true(prediction.verdict == MIGD_VERDICT_PLATEAU ||
                  prediction.verdict == MIGD_VERDICT_DIVERGING);
    g_assert_cmpuint(prediction.actions[MIGD_ACTION_THROTTLE].share_pct +
                         prediction.actions[MIGD_ACTION_ARM].share_pct,
                     >=, 90);
    assert_within(run->total_s * 1e6, &prediction.total_us, 0.02);
    assert_within(run->downtime_s * 1e6, &prediction.pause_us, 0.1);
    assert_within(run->lost_s * 1e6, &prediction.lost_us, 0.1);
    assert_within(run->most_throttle_pct, &prediction.throttle_pct, 0);
}

/* What the profile forbids is not predicted, and without it the guest does not get there. */
static void
test_profile(void)
{
    MigdPredictInput input = input_of(&plateau);
    MigdPrediction prediction;
    g_autoptr(GError) error = NULL;

    g_assert_true(migd_profile_set(&input.profile, "Allow", "abort", &error));
    g_assert_true(migd_profile_set(&input.profile, "Deadline", "30s", &error));
    g_assert_no_error(error);
    migd_predict(&input, &prediction);
    g_assert_true(prediction.known);
    g_assert_cmpuint(prediction.arrives_pct, ==, 0);
    g_assert_cmpuint(prediction.results_pct[MIGD_RUN_ABORTED], ==, 100);
    g_assert_cmpuint(prediction.total_us.low, ==, MIGD_NEVER);
    g_assert_cmpuint(prediction.pause_us.mid, ==, MIGD_NEVER);
    g_assert_cmpuint(prediction.actions[MIGD_ACTION_ABORT].share_pct, ==, 100);
    g_assert_cmpuint(prediction.actions[MIGD_ACTION_THROTTLE].share_pct, ==, 0);
}

static void
test_uncertain(void)
{
    MigdPredictInput sharp = input_of(&converging), dull = sharp;
    MigdPrediction a, b;

    dull.stream_bps.spread = 0.3;
    migd_predict(&sharp, &a);
    migd_predict(&dull, &b);
    g_assert_cmpuint(b.total_us.low, <, a.total_us.low);
    g_assert_cmpuint(b.total_us.high, >, a.total_us.high);
    /* While the guest stands still a limit of the stream does not hold. */
    sharp.link_bps = (MigdGuess){10 * sharp.stream_bps.mid, 0.02};
    sharp.max_bandwidth_bps = (guint64)sharp.stream_bps.mid;
    migd_predict(&sharp, &b);
    g_assert_cmpuint(b.pause_us.mid * 2, <, a.pause_us.mid);
}

static void
test_unknown(void)
{
    MigdPredictInput input = input_of(&converging), lacking = input;
    MigdPrediction prediction;

    lacking.stream_bps.mid = 0;
    migd_predict(&lacking, &prediction);
    g_assert_false(prediction.known);
    g_assert_cmpint(prediction.verdict, ==, MIGD_VERDICT_UNKNOWN);
    lacking = input;
    lacking.dirty.n = 0;
    migd_predict(&lacking, &prediction);
    g_assert_false(prediction.known);
    lacking = input;
    lacking.memory_bytes = 0;
    migd_predict(&lacking, &prediction);
    g_assert_false(prediction.known);
}

static void
test_same_each_time(void)
{
    MigdPredictInput input = input_of(&plateau);
    MigdPrediction a, b;

    migd_predict(&input, &a);
    migd_predict(&input, &b);
    g_assert_cmpmem(&a, sizeof a, &b, sizeof b);
}

static void
test_downtime_limit(void)
{
    MigdPredictInput input = input_of(&converging);
    MigdPrediction prediction;

    input.downtime_limit_us = 50 * 1000;
    migd_predict(&input, &prediction);
    /* The limit holds for what is sent; the fixed part and a burst come on top. */
    g_assert_cmpuint(prediction.pause_us.mid, <, 110 * 1000);
}

/* ---- the curve ---- */

static void
test_fit(void)
{
    static const Truth truths[] = {{20 * MB, 60 * MB, 256 * MB, 0, 0, 0},
                                   {5 * MB, 200 * MB, 256 * MB, 0, 0, 0},
                                   {60 * MB, 50 * MB, 256 * MB, 0, 0, 0},
                                   {500 * MB, 2000 * MB, 4000 * MB, 0, 0, 0},
                                   {900 * MB, 100 * MB, 4000 * MB, 0, 0, 0}};

    for (guint i = 0; i < G_N_ELEMENTS(truths); i++) {
        const Truth *truth = &truths[i];
        MigdCurvePoint points[3];
        guint n = measure(truth, points);
        MigdModel model;

        migd_predict_fit(&model, points, n, truth->memory);
        for (double t = 1; t <= 8; t *= 2)
            g_assert_cmpfloat(fabs(migd_predict_dirty(&model, t) - curve(truth, t)), <,
                              0.12 * curve(truth, t) + 0.5 * 1048576 * t);
    }
}

/* One point alone leaves open whether the guest saturates: both must be among the hypotheses. */
static void
test_fit_one_point(void)
{
    MigdCurvePoint point = {1, 40 * MB, 1 * MB};
    double least = INFINITY, most = 0;
    MigdModel model;

    migd_predict_fit(&model, &point, 1, 1000 * MB);
    for (guint i = 0; i < model.n; i++) {
        MigdDirtyCurve curve = migd_hypothesis_curve(&model.hypotheses[i], 0, 0);
        double later = migd_dirty_curve_at(&curve, 4);

        least = MIN(least, later);
        most = MAX(most, later);
    }
    g_assert_cmpfloat(least, <, 50 * MB);
    g_assert_cmpfloat(most, >, 120 * MB);
}

static void
test_fit_idle(void)
{
    MigdCurvePoint points[] = {{1, 0, 0.5 * MB}, {4, 0, 2 * MB}};
    MigdModel model;

    migd_predict_fit(&model, points, 2, 1000 * MB);
    g_assert_cmpuint(model.n, >, 0);
    g_assert_cmpfloat(migd_predict_dirty(&model, 4), <, 3 * MB);
    migd_predict_fit(&model, points, 0, 1000 * MB);
    g_assert_cmpuint(model.n, ==, 0);
    migd_predict_fit(&model, points, 2, 0);
    g_assert_cmpuint(model.n, ==, 0);
}

/* A set that was written over within the shortest time measured says nothing of its rate: the least
 * that does it is the likeliest. */
static void
test_fit_saturated(void)
{
    static const MigdCurvePoint points[] = {{1, 24 * MB, MB}, {2, 25 * MB, MB}, {4, 24 * MB, MB}};
    double slow = 0, fast = 0;
    MigdModel model;

    migd_predict_fit(&model, points, G_N_ELEMENTS(points), 200 * MB);
    for (guint i = 0; i < model.n; i++) {
        const MigdHypothesis *h = &model.hypotheses[i];

        *(h->lambda_bps < 3 * h->working_set_bytes ? &slow : &fast) += h->weight;
    }
    g_assert_cmpfloat(slow, >, 3 * fast);
    g_assert_cmpfloat(fast, >, 0.02); /* but not out of the question */
}

/* Only passes that tell rates apart are compared. */
static void
test_compare(void)
{
    MigdModel model = {.n = 1, .hypotheses = {{10 * MB, 50 * MB, 1, 1, FALSE}}};
    const MigdPoint passes[] = {
        {.seconds = 60, .dirty_bytes = 50 * MB},                       /* saturated */
        {.seconds = 1, .dirty_bytes = 4 * MB, .throttle = 0.5},        /* slowed */
        {.seconds = 1, .dirty_bytes = 9 * MB, .unsent_bytes = 5 * MB}, /* part of it not seen */
        {.seconds = 1, .dirty_bytes = 13.6 * MB},
        {.seconds = 0.5, .dirty_bytes = 7.1 * MB, .unsent_bytes = 0.1 * MB},
    };
    double seen, foretold;

    migd_predict_compare(&model, passes, 3, &seen, &foretold);
    g_assert_cmpfloat(seen + foretold, ==, 0);
    migd_predict_compare(&model, passes, G_N_ELEMENTS(passes), &seen, &foretold);
    g_assert_cmpfloat(fabs(seen - 20.7 * MB), <, 1);
    g_assert_cmpfloat(fabs(seen / foretold - 1.5), <, 0.02);
    migd_predict_compare(&model, passes, 0, &seen, &foretold);
    g_assert_cmpfloat(seen + foretold, ==, 0);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/predict/converging", test_converging);
    g_test_add_func("/predict/plateau", test_plateau);
    g_test_add_func("/predict/profile", test_profile);
    g_test_add_func("/predict/uncertain", test_uncertain);
    g_test_add_func("/predict/unknown", test_unknown);
    g_test_add_func("/predict/same-each-time", test_same_each_time);
    g_test_add_func("/predict/downtime-limit", test_downtime_limit);
    g_test_add_func("/predict/fit", test_fit);
    g_test_add_func("/predict/fit-one-point", test_fit_one_point);
    g_test_add_func("/predict/fit-idle", test_fit_idle);
    g_test_add_func("/predict/fit-saturated", test_fit_saturated);
    g_test_add_func("/predict/compare", test_compare);
    return g_test_run();
}

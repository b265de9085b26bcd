/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Drawing, playing, weighing. The draws are not random: hypotheses by strata, everything else by
 * low-discrepancy sequences, so that few runs fill the space evenly and the result is the same each
 * time.
 */
#include "sim/predict.h"

#include <math.h>
#include <stddef.h>

#include "base/checked.h"

#define RUNS 63

/* A guest that has not arrived by then is not predicted to. */
#define HORIZON_S 3600.0

/* As in the policy: a deadline of "auto". */
#define AUTO_COPIES 10
#define AUTO_MIN_S 120.0

/* Runs go on so long after the deadline, for what happens at it. */
#define AFTER_S 30.0

/* From one pass to the next a guest and a link vary by so much (relative). */
#define NOISE 0.02

/* How likely it is that pages that were never written come last: QEMU sends video memory and the
 * like after the rest, and guests fill their memory from one end, but not all of them do. */
#define ZERO_LAST 0.67

/* QEMU takes its speed over the last tenth of a second for that of the pause: real pauses differ by
 * so much (relative) from what that would be. */
#define PAUSE_SPREAD 0.06

/* Shares of runs from which one is sure, as the policy is. */
#define SURE_PCT 90

typedef struct {
    double total_us, pause_us, sent_bytes, lost_us, throttle_pct;
} Outcome;

typedef struct {
    Outcome outcomes[RUNS];
    guint n;
    guint results[MIGD_RUN_RUNNING + 1];
    guint arrived, alone, grows;
    guint acted[MIGD_N_ACTIONS];
    double arguments[MIGD_N_ACTIONS][RUNS];
} Tally;

/* The `index`th number of the van der Corput sequence in `base`, 0..1 without the ends. */
static double
corput(guint index, guint base)
{
    double sum = 0, part = 1;

    for (guint i = index + 1; i > 0; i /= base) {
        part /= base;
        sum += part * (i % base);
    }
    return CLAMP(sum, 1e-3, 1 - 1e-3);
}

/* A normal variate from a uniform one, by the logistic curve: within 2 % of sigma between the 5th
 * and the 95th percentile. */
static double
normal(double u)
{
    return log(u / (1 - u)) / 1.702;
}

static double
draw(const MigdGuess *guess, guint index, guint base)
{
    return guess->mid * exp(guess->spread * normal(corput(index, base)));
}

/* The hypothesis at part `u` of the weight. */
static const MigdHypothesis *
pick(const MigdModel *model, double u)
{
    double sum = 0;

    for (guint i = 0; i < model->n; i++) {
        sum += model->hypotheses[i].weight;
        if (sum >= u)
            return &model->hypotheses[i];
    }
    return &model->hypotheses[model->n - 1];
}

static double
time_limit(const MigdPredictInput *input, double stream_bps)
{
    guint64 deadline_us = input->profile.deadline_us;
    double limit_s = (double)deadline_us / G_USEC_PER_SEC;

    if (deadline_us == MIGD_DEADLINE_NONE)
        return HORIZON_S;
    if (deadline_us == MIGD_DEADLINE_AUTO)
        limit_s = MAX(AUTO_COPIES * (double)input->memory_bytes / stream_bps, AUTO_MIN_S);
    return MIN(limit_s + AFTER_S, HORIZON_S);
}

/* The guest and the link of run `index`. */
static void
describe(const MigdPredictInput *input, guint index, MigdScenario *scenario)
{
    const MigdHypothesis *hypothesis = pick(&input->dirty, (index + 0.5) / RUNS);
    MigdGuess faster = {1, input->dirty_spread};
    double memory = (double)input->memory_bytes;
    double stream = draw(&input->stream_bps, index, 2);
    double link = input->link_bps.mid > 0 ? draw(&input->link_bps, index, 7) : stream;
    double filled = input->filled_bytes.mid > 0 ? draw(&input->filled_bytes, index, 3) : memory;
    double w = MIN(hypothesis->working_set_bytes, memory);
    double *values = scenario->initial;

    scenario->seed = index + 1;
    scenario->noise = NOISE;
    scenario->downtime_limit_us = input->downtime_limit_us;
    scenario->told_bps = input->max_bandwidth_bps; /* all that the daemon goes by when it starts */
    scenario->told_costs = input->costs;
    scenario->time_limit_s = time_limit(input, stream);
    values[MIGD_SCN_MEMORY] = memory;
    values[MIGD_SCN_ZERO] = 1 - CLAMP(filled, MIN(w, memory) * 0.5, memory) / memory;
    values[MIGD_SCN_ZERO_LAST] = corput(index, 17) < ZERO_LAST;
    values[MIGD_SCN_DIRTY_RATE] = hypothesis->lambda_bps * draw(&faster, index, 5);
    values[MIGD_SCN_WORKING_SET] = w;
    values[MIGD_SCN_RESPONSE] = hypothesis->response;
    values[MIGD_SCN_SWEEP] = hypothesis->sweep;
    values[MIGD_SCN_POSTCOPY] = input->postcopy;
    /* A limit binds the passes alone. */
    values[MIGD_SCN_BANDWIDTH] = MAX(link, stream);
    values[MIGD_SCN_MAX_BANDWIDTH] = link > stream ? stream : (double)input->max_bandwidth_bps;
    values[MIGD_SCN_FIXED_DOWNTIME] = draw(&input->fixed_s, index, 11);
}

static void
count_actions(Tally *tally, const MigdRun *run)
{
    gboolean seen[MIGD_N_ACTIONS] = {FALSE};

    for (guint i = run->decisions->len; i > 0; i--) {
        const MigdDecision *decision = &g_array_index(run->decisions, MigdDecision, i - 1);

        if (decision->action == MIGD_ACTION_WAIT || seen[decision->action])
            continue;
        seen[decision->action] = TRUE;
        tally->arguments[decision->action][tally->acted[decision->action]++] =
            (double)decision->argument;
    }
}

static void
play(const MigdPredictInput *input, guint index, Tally *tally)
{
    MigdScenario scenario = {.name = (char *)"prediction"}; /* borrowed: never freed */
    g_autoptr(GArray) changes = g_array_new(FALSE, FALSE, sizeof(MigdScenarioChange));
    g_autoptr(MigdRun) run = NULL;
    Outcome *outcome = &tally->outcomes[tally->n++];
    MigdGuess longer = {1, PAUSE_SPREAD};
    double setup_s = draw(&input->setup_s, index, 13);

    scenario.changes = changes;
    describe(input, index, &scenario);
    run = migd_run(&scenario, &migd_engine_migrationd, &input->profile);
    gboolean arrived = migd_run_arrived(run);
    *outcome = (Outcome){
        .total_us = arrived ? (run->total_s + setup_s) * 1e6 : INFINITY,
        .pause_us = arrived ? run->downtime_s * draw(&longer, index, 19) * 1e6 : INFINITY,
        .sent_bytes = (double)run->sent_bytes,
        .lost_us = run->lost_s * 1e6,
        .throttle_pct = run->most_throttle_pct > 1 ? run->most_throttle_pct : 0,
    };
    tally->results[run->result]++;
    tally->arrived += arrived;
    /* The 1 % that our own start may engage is nothing that anybody notices. */
    tally->alone += run->result == MIGD_RUN_COMPLETED && outcome->throttle_pct == 0;
    tally->grows +=
        scenario.initial[MIGD_SCN_DIRTY_RATE] > scenario.initial[MIGD_SCN_BANDWIDTH] * 2;
    count_actions(tally, run);
}

static int
compare(gconstpointer a, gconstpointer b, gpointer user_data)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

static guint64
quantile(const double *sorted, guint n, double q)
{
    double value = sorted[(guint)(q * (n - 1) + 0.5)];

    return isinf(value) ? MIGD_NEVER : migd_from_double(value + 0.5);
}

static MigdRange
range_of(const Tally *tally, gsize offset)
{
    double values[RUNS];

    for (guint i = 0; i < tally->n; i++)
        values[i] = *(const double *)((const char *)&tally->outcomes[i] + offset);
    g_qsort_with_data(values, (gint)tally->n, sizeof values[0], compare, NULL);
    return (MigdRange){quantile(values, tally->n, 0.05), quantile(values, tally->n, 0.5),
                       quantile(values, tally->n, 0.95)};
}

static guint32
share(guint part, guint n)
{
    return (guint32)((part * 200 + n) / (2 * n));
}

static MigdVerdict
judge(const MigdPrediction *prediction, const Tally *tally)
{
    if (prediction->alone_pct >= SURE_PCT)
        return MIGD_VERDICT_CONVERGING;
    if (prediction->alone_pct > 50)
        return MIGD_VERDICT_UNKNOWN;
    return share(tally->grows, tally->n) > 50 ? MIGD_VERDICT_DIVERGING : MIGD_VERDICT_PLATEAU;
}

static void
weigh(Tally *tally, MigdPrediction *ret)
{
    ret->known = TRUE;
    ret->runs = tally->n;
    ret->arrives_pct = share(tally->arrived, tally->n);
    ret->alone_pct = share(tally->alone, tally->n);
    for (guint i = 0; i < G_N_ELEMENTS(ret->results_pct); i++)
        ret->results_pct[i] = share(tally->results[i], tally->n);
    ret->total_us = range_of(tally, offsetof(Outcome, total_us));
    ret->pause_us = range_of(tally, offsetof(Outcome, pause_us));
    ret->sent_bytes = range_of(tally, offsetof(Outcome, sent_bytes));
    ret->lost_us = range_of(tally, offsetof(Outcome, lost_us));
    ret->throttle_pct = range_of(tally, offsetof(Outcome, throttle_pct));
    for (guint i = 0; i < MIGD_N_ACTIONS; i++) {
        double *arguments = tally->arguments[i];

        if (tally->acted[i] == 0)
            continue;
        g_qsort_with_data(arguments, (gint)tally->acted[i], sizeof *arguments, compare, NULL);
        ret->actions[i] = (MigdPredictedAction){share(tally->acted[i], tally->n),
                                                quantile(arguments, tally->acted[i], 0.5)};
    }
    ret->verdict = judge(ret, tally);
}

void
migd_predict(const MigdPredictInput *input, MigdPrediction *ret)
{
    g_autofree Tally *tally = g_new0(Tally, 1);

    *ret = (MigdPrediction){.verdict = MIGD_VERDICT_UNKNOWN};
    if (input->dirty.n == 0 || input->stream_bps.mid <= 0 || input->memory_bytes == 0)
        return;
    for (guint i = 0; i < RUNS; i++)
        play(input, i, tally);
    weigh(tally, ret);
}

/* ---- the curve ------------------------------------------------------------------------------ */

/* Working sets tried, as multiples of the most that was seen. */
static const double spreads[] = {1.0, 1.02, 1.05, 1.1, 1.17, 1.26, 1.4, 1.6, 2, 2.8, 4.5, 10, 50};

/* A rate tried, and for how many others it stands: the logarithm of their span. */
typedef struct {
    double factor, width;
} Rate;

/* At saturation the rate cannot be seen: these multiples of the least that it can be. */
static const Rate depths[] = {{1, 0.5}, {2, 0.7}, {4, 0.8}, {10, 0.5}};

/* Rates tried around the one that fits best, relative. */
static const Rate around[] = {{0.9, 0.07}, {0.97, 0.05}, {1, 0.03}, {1.03, 0.05}, {1.1, 0.07}};

#define CURVE_SIGMA 0.04 /* what no such curve gets right of a real guest */
#define LEAST_WEIGHT 0.01

/* Passes that are compared: with a throttle of no more than this, with no more left unsent than
 * this part of what was dirtied, and with no more dirtied than this part of the set. */
#define SLOWS 0.02
#define UNSENT 0.1
#define SATURATED 0.5

static double
curve_at(const MigdHypothesis *h, double seconds)
{
    double w = h->working_set_bytes;

    return h->sweep ? MIN(h->lambda_bps * seconds, w) : -w * expm1(-h->lambda_bps * seconds / w);
}

static double
misfit(const MigdHypothesis *h, const MigdCurvePoint *points, guint n)
{
    double sum = 0;

    for (guint i = 0; i < n; i++) {
        double expected = curve_at(h, points[i].seconds);
        double sigma = hypot(points[i].error_bytes, CURVE_SIGMA * MAX(expected, 1));
        double error = (expected - points[i].dirty_bytes) / MAX(sigma, 1);

        sum += error * error;
    }
    return sum;
}

/* `h` with the rate of least misfit for its set: the misfit has one valley over log lambda, and a
 * golden section finds it; the low end of it where it is flat. */
static MigdHypothesis
with_best_rate(MigdHypothesis h, const MigdCurvePoint *points, guint n, double highest)
{
    const double golden = 0.6180339887498949;
    double low = log(highest / 8), high = log(highest * 8);

    for (guint i = 0; i < 40; i++) {
        double a = high - golden * (high - low), b = low + golden * (high - low);
        MigdHypothesis left = h, right = h;

        left.lambda_bps = exp(a);
        right.lambda_bps = exp(b);
        if (misfit(&left, points, n) <= misfit(&right, points, n))
            high = b;
        else
            low = a;
    }
    h.lambda_bps = exp((low + high) / 2);
    return h;
}

static void
add_hypothesis(MigdModel *model, const MigdHypothesis *h)
{
    MigdHypothesis *lightest = &model->hypotheses[0];

    if (model->n < MIGD_MAX_HYPOTHESES) {
        lightest = &model->hypotheses[model->n++];
    } else {
        for (guint i = 1; i < model->n; i++)
            if (model->hypotheses[i].weight < lightest->weight)
                lightest = &model->hypotheses[i];
        if (lightest->weight >= h->weight)
            return;
    }
    *lightest = *h;
}

/* A guest that writes its set over within the shortest time measured is the rarer the more often it
 * does: twice the rate is a quarter as likely. */
static double
prior(const MigdHypothesis *h, double seconds)
{
    double part = MIN(h->working_set_bytes / (h->lambda_bps * seconds), 1);

    return part * part;
}

/* The rates that go with a set, in one of the two shapes. */
static void
add_shape(MigdModel *model, double w, gboolean sweep, const MigdCurvePoint *points, guint n,
          double highest)
{
    MigdHypothesis best =
        with_best_rate((MigdHypothesis){.working_set_bytes = w, .response = 1, .sweep = sweep},
                       points, n, highest);
    gboolean flat = curve_at(&best, points[0].seconds) > 0.95 * w;
    const Rate *rates = flat ? depths : around;
    guint n_rates = flat ? G_N_ELEMENTS(depths) : G_N_ELEMENTS(around);

    for (guint f = 0; f < n_rates; f++) {
        MigdHypothesis h = best;

        h.lambda_bps *= rates[f].factor;
        h.weight = exp(-0.5 * MIN(misfit(&h, points, n), 1000)) * prior(&h, points[0].seconds) *
                       rates[f].width +
                   1e-200;
        add_hypothesis(model, &h);
    }
}

static void
normalize(MigdModel *model)
{
    double most = 0, sum = 0;
    guint kept = 0;

    for (guint i = 0; i < model->n; i++)
        most = MAX(most, model->hypotheses[i].weight);
    for (guint i = 0; i < model->n; i++) {
        if (model->hypotheses[i].weight < LEAST_WEIGHT * most)
            continue;
        model->hypotheses[kept] = model->hypotheses[i];
        sum += model->hypotheses[kept++].weight;
    }
    model->n = kept;
    for (guint i = 0; i < kept; i++)
        model->hypotheses[i].weight /= sum;
}

void
migd_predict_fit(MigdModel *ret, const MigdCurvePoint *points, guint n, double memory_bytes)
{
    double largest = 1, highest = 1;

    ret->n = 0;
    if (n == 0 || memory_bytes <= 0)
        return;
    for (guint i = 0; i < n; i++) {
        /* Nothing seen is less than what could have been seen. */
        double dirty = MAX(points[i].dirty_bytes, points[i].error_bytes / 2);

        largest = MAX(largest, dirty);
        highest = MAX(highest, dirty / points[i].seconds);
    }
    for (guint s = 0; s < G_N_ELEMENTS(spreads); s++) {
        double w = MIN(spreads[s] * largest, MAX(memory_bytes, largest));

        add_shape(ret, w, FALSE, points, n, highest);
        add_shape(ret, w, TRUE, points, n, highest);
    }
    normalize(ret);
}

double
migd_predict_dirty(const MigdModel *model, double seconds)
{
    double sum = 0;

    for (guint i = 0; i < model->n; i++)
        sum += model->hypotheses[i].weight * curve_at(&model->hypotheses[i], seconds);
    return sum;
}

void
migd_predict_compare(const MigdModel *model, const MigdPoint *passes, guint n, double *ret_seen,
                     double *ret_foretold)
{
    double most = migd_predict_dirty(model, HUGE_VAL);

    *ret_seen = *ret_foretold = 0;
    for (guint i = 0; i < n; i++) {
        double foretold = migd_predict_dirty(model, passes[i].seconds);

        if (passes[i].throttle > SLOWS || passes[i].unsent_bytes > UNSENT * foretold ||
            foretold > SATURATED * most)
            continue;
        *ret_seen += passes[i].dirty_bytes;
        *ret_foretold += foretold;
    }
}

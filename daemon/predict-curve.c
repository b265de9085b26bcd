/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Measuring a dirty curve: one period after the other, since the hypervisor does one at a time. The
 * domain may go, or begin to migrate, between any two.
 */
#include "daemon/predict.h"

#include <math.h>
#include <string.h>

#include "base/error.h"

/* Pages looked at all in all: a share of dirty pages is then known to about 1 %. */
#define SAMPLES 8192
#define MIN_PER_GIB 512
#define MAX_PER_GIB 16384

#define MIB 1048576.0
#define GIB 1073741824.0

/* Of the longest period. */
static const guint parts[MIGD_PREDICT_POINTS] = {8, 4, 2, 1};

typedef struct {
    MigdCurve *curve;
    MigdPredictDomainFunc find;
    gpointer find_data;
    MigdCurveFunc callback;
    gpointer user_data;
    guint next; /* of `parts` */
    guint64 memory_bytes;
    MigdCurve fresh;
} Series;

void
migd_curve_free(MigdCurve *curve)
{
    if (curve == NULL)
        return;
    g_free(curve->uuid);
    g_free(curve->mode);
    g_free(curve);
}

static void
end(Series *series, const GError *error)
{
    g_autofree Series *own = series;
    MigdCurve *curve = series->curve;

    curve->busy = FALSE;
    if (error == NULL) {
        memcpy(curve->points, series->fresh.points, sizeof curve->points);
        curve->n = series->fresh.n;
        curve->resident_bytes = series->fresh.resident_bytes;
        curve->taken_us = g_get_monotonic_time();
    }
    series->callback(curve, error, series->user_data);
}

static void step(Series *series);

/* The standard deviation of what was measured: the rate is cut to whole MiB/s, and where pages are
 * sampled, a share of them is known as well as their number allows. */
static double
error_of(const MigdDirtyRate *rate, double memory, double dirty_bytes)
{
    double cut = MIB * (double)rate->period_us / G_USEC_PER_SEC / sqrt(12);
    double pages = rate->sample_pages * memory / GIB;

    if (pages < 1)
        return cut;
    double share = CLAMP(dirty_bytes / memory, 1 / pages, 1);
    return hypot(cut, memory * sqrt(share * (1 - share) / pages));
}

static void
measured(const MigdDirtyRate *rate, const GError *error, gpointer user_data)
{
    Series *series = user_data;
    MigdCurve *fresh = &series->fresh;
    double seconds, dirty;

    if (error != NULL) {
        end(series, error);
        return;
    }
    seconds = (double)rate->period_us / G_USEC_PER_SEC;
    fresh->resident_bytes = rate->resident_bytes;
    dirty = ((double)rate->rate_bps + MIB / 2) * seconds; /* it is cut to whole MiB/s */
    fresh->points[fresh->n++] =
        (MigdCurvePoint){seconds, dirty, error_of(rate, (double)series->memory_bytes, dirty)};
    step(series);
}

static guint
samples_per_gib(guint64 memory_bytes)
{
    double gib = MAX((double)memory_bytes / GIB, 1.0 / 64);

    return (guint)CLAMP(SAMPLES / gib, MIN_PER_GIB, MAX_PER_GIB);
}

static gboolean
has_period(const MigdCurve *curve, double seconds)
{
    for (guint i = 0; i < curve->n; i++)
        if (curve->points[i].seconds >= 0.99 * seconds &&
            curve->points[i].seconds <= 1.01 * seconds)
            return TRUE;
    return FALSE;
}

/* The next period; one that came out longer than asked for may have served for it already. */
static void
step(Series *series)
{
    MigdMeasureOptions options = {.mode = series->curve->mode};
    g_autoptr(GError) error = NULL;
    gboolean busy = FALSE;
    MigdDomain *domain;

    while (series->next < G_N_ELEMENTS(parts)) {
        options.period_ms = series->curve->seconds * 1000 / parts[series->next++];
        if (series->fresh.n == 0 ||
            (options.period_ms / 1000.0 > series->fresh.points[series->fresh.n - 1].seconds &&
             !has_period(&series->fresh, options.period_ms / 1000.0)))
            break;
        options.period_ms = 0;
    }
    if (options.period_ms == 0) {
        end(series, NULL);
        return;
    }
    domain = series->find(series->curve->uuid, &busy, series->find_data);
    if (domain == NULL)
        error = g_error_new_literal(MIGD_ERROR, MIGD_ERROR_BACKEND_LOST, "the domain has gone");
    else if (busy)
        error = g_error_new_literal(MIGD_ERROR, MIGD_ERROR_MIGRATION_IN_PROGRESS,
                                    "a migration has begun: it is not measured any more");
    if (error != NULL) {
        end(series, error);
        return;
    }
    series->memory_bytes = domain->backend->ops->info(domain)->memory_bytes;
    options.sample_pages = samples_per_gib(series->memory_bytes);
    domain->backend->ops->measure(domain, &options, measured, series);
}

void
migd_curve_measure(MigdCurve *curve, guint32 seconds, const char *mode, MigdPredictDomainFunc find,
                   gpointer find_data, MigdCurveFunc callback, gpointer user_data)
{
    Series *series = g_new0(Series, 1);

    *series = (Series){.curve = curve,
                       .find = find,
                       .find_data = find_data,
                       .callback = callback,
                       .user_data = user_data};
    curve->busy = TRUE;
    curve->seconds = seconds;
    g_free(curve->mode);
    curve->mode = g_strdup(mode);
    step(series);
}

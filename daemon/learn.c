/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Medians and their spread: one migration on a bad day must not spoil the next predictions. Newer
 * ones count more by being the only ones that are looked at: the newest WINDOW.
 */
#include "daemon/learn.h"

#include <math.h>
#include <string.h>

#include "base/checked.h"

#define WINDOW 24
#define LEAST_SPREAD 0.02

/* Of migrations between other hosts. */
#define ELSEWHERE 2.0

/* The limit binds when the stream comes this close to it. */
#define BINDS 0.9

/* Dirtied in passes, for comparing how fast. */
#define LEAST_BYTES (1 << 20)

/* Fewer bytes sent in a pause, and pairs of pauses whose bytes differ by less, say nothing of the
 * speed: what a pause costs in any case hides it. */
#define APART_BYTES 2e6

/* Memory in use of which less than this was not sent was sent as a whole: logarithms are taken. */
#define LEAST_EMPTY 4096.0

typedef gboolean (*ValueFunc)(const MigdPast *past, double *ret);

typedef struct {
    double values[WINDOW];
    guint n;
    guint64 newest_us;
} Values;

static int
compare(gconstpointer a, gconstpointer b, gpointer user_data)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

/* Sorts. */
static double
median(double *values, guint n)
{
    g_qsort_with_data(values, (gint)n, sizeof *values, compare, NULL);
    return n % 2 == 1 ? values[n / 2] : (values[n / 2 - 1] + values[n / 2]) / 2;
}

static void
keep(Values *values, double value, guint64 end_us)
{
    if (values->n == WINDOW || !(value > 0))
        return;
    values->values[values->n++] = value;
    values->newest_us = MAX(values->newest_us, end_us);
}

/* The median, and by the median of the relative deviations how far single ones lie from it. Few
 * values leave `few` as spread. */
static MigdLesson
lesson_of(Values *values, double few)
{
    MigdLesson lesson = {.n = values->n, .newest_us = values->newest_us};
    double away[WINDOW];

    if (values->n == 0)
        return lesson;
    lesson.guess.mid = median(values->values, values->n);
    for (guint i = 0; i < values->n; i++)
        away[i] = fabs(log(values->values[i] / lesson.guess.mid));
    /* 1.48: from the median deviation to sigma; the share of doubt shrinks with the evidence. */
    lesson.guess.spread =
        MAX(hypot(1.48 * median(away, values->n), few / sqrt(values->n)), LEAST_SPREAD);
    return lesson;
}

typedef enum { DOMAIN, PEER, ANYWHERE } Scope;

static gboolean
in_scope(const MigdPast *past, Scope scope, const char *domain_uuid, const char *peer)
{
    if (strcmp(past->result, "succeeded") != 0)
        return FALSE;
    switch (scope) {
    case DOMAIN:
        return strcmp(past->domain_uuid, domain_uuid) == 0;
    case PEER:
        return strcmp(past->peer, peer) == 0;
    case ANYWHERE:
        break;
    }
    return TRUE;
}

/* Newest first. */
static Values
collect(const GPtrArray *past, Scope scope, const char *domain_uuid, const char *peer,
        ValueFunc value_of)
{
    Values values = {0};

    for (guint i = past->len; i > 0; i--) {
        const MigdPast *one = past->pdata[i - 1];
        double value;

        if (in_scope(one, scope, domain_uuid, peer) && value_of(one, &value))
            keep(&values, value, one->end_realtime_us);
    }
    return values;
}

/* From the hosts that it is about, else from any. */
static MigdLesson
learn_of_peer(const GPtrArray *past, const char *peer, ValueFunc value_of, double few)
{
    Values values = collect(past, PEER, "", peer, value_of);
    MigdLesson lesson = lesson_of(&values, few);

    if (lesson.n > 0)
        return lesson;
    values = collect(past, ANYWHERE, "", "", value_of);
    lesson = lesson_of(&values, few);
    lesson.guess.spread *= ELSEWHERE;
    return lesson;
}

static MigdLesson
learn_of_domain(const GPtrArray *past, const char *domain_uuid, ValueFunc value_of, double few)
{
    Values values = collect(past, DOMAIN, domain_uuid, "", value_of);

    return lesson_of(&values, few);
}

/* ---- values --------------------------------------------------------------------------------- */

static gboolean
setup_of(const MigdPast *past, double *ret)
{
    *ret = (double)past->setup_us / G_USEC_PER_SEC;
    return past->setup_us > 0;
}

/* Of fewer bytes the one is as chance has it. */
static gboolean
faster_of(const MigdPast *past, double *ret)
{
    gboolean enough = past->measured_bytes >= LEAST_BYTES && past->live_bytes > 0;

    *ret = enough ? CLAMP((double)past->live_bytes / (double)past->measured_bytes, 0.33, 3) : 0;
    return enough;
}

static gboolean
filled_of(const MigdPast *past, double *ret)
{
    *ret = past->resident_bytes > 0
               ? MIN((double)past->first_pass_bytes / (double)past->resident_bytes, 1.1)
               : 0;
    return past->resident_bytes > 0 && past->first_pass_bytes > 0;
}

static gboolean
empty_of(const MigdPast *past, double *ret)
{
    *ret = MAX((double)migd_sat_sub(past->resident_bytes, past->first_pass_bytes), LEAST_EMPTY);
    return past->resident_bytes > 0 && past->first_pass_bytes > 0;
}

static gboolean
first_pass_of(const MigdPast *past, double *ret)
{
    *ret = (double)past->first_pass_bytes;
    return past->first_pass_bytes > 0;
}

static gboolean
lambda_of(const MigdPast *past, double *ret)
{
    *ret = (double)past->lambda_bps;
    return past->lambda_bps > 0 && past->working_set_bytes > 0;
}

static gboolean
working_set_of(const MigdPast *past, double *ret)
{
    *ret = (double)past->working_set_bytes;
    return past->lambda_bps > 0 && past->working_set_bytes > 0;
}

/* ---- link and pause ------------------------------------------------------------------------- */

/* What the passes were sent with, over all of them or, where what was sent in the pause is not
 * known, as measured in the newest. bytes/s; 0 = not known. */
static double
stream_of(const MigdPast *past)
{
    double us = (double)past->total_us - (double)past->setup_us - (double)past->downtime_us;
    double bytes = (double)past->transferred_bytes - (double)past->downtime_bytes;

    if (us > 0 && bytes > 0 && past->downtime_bytes > 0)
        return bytes * G_USEC_PER_SEC / us;
    return (double)past->bandwidth_bps;
}

static gboolean
is_limited(const MigdPast *past)
{
    return past->max_bandwidth_bps > 0 && stream_of(past) > BINDS * (double)past->max_bandwidth_bps;
}

static gboolean
free_link_of(const MigdPast *past, double *ret)
{
    *ret = stream_of(past);
    return *ret > 0 && !is_limited(past);
}

/* Where a limit bound the passes, only pauses tell the speed of the link, for limits do not hold
 * in them: the slope of the pause over the bytes sent in it, as the median of all pairs (Theil,
 * 1950; Sen, 1968). 0 = not to be told. */
static double
seconds_per_byte(const GPtrArray *past, const char *peer)
{
    const MigdPast *used[WINDOW];
    g_autofree double *slopes = g_new(double, WINDOW *WINDOW);
    guint n = 0, n_slopes = 0;

    for (guint i = past->len; i > 0 && n < WINDOW; i--) {
        const MigdPast *one = past->pdata[i - 1];

        if (in_scope(one, PEER, "", peer) && is_limited(one) && one->downtime_bytes > 0)
            used[n++] = one;
    }
    for (guint i = 0; i < n; i++)
        for (guint j = 0; j < i; j++) {
            double bytes = (double)used[i]->downtime_bytes - (double)used[j]->downtime_bytes;
            double us = (double)used[i]->downtime_us - (double)used[j]->downtime_us;

            if (fabs(bytes) >= APART_BYTES)
                slopes[n_slopes++] = us / bytes / G_USEC_PER_SEC;
        }
    return n_slopes >= 3 ? MAX(median(slopes, n_slopes), 0) : 0;
}

/* The least speed that a limited migration shows: its bytes cannot have taken longer than all of
 * its pause. Of few bytes that is next to nothing. */
static gboolean
pause_speed_of(const MigdPast *past, double *ret)
{
    *ret = past->downtime_us > 0
               ? (double)past->downtime_bytes * G_USEC_PER_SEC / (double)past->downtime_us
               : 0;
    return is_limited(past) && (double)past->downtime_bytes >= APART_BYTES &&
           *ret > (double)past->max_bandwidth_bps;
}

static void
learn_link(const GPtrArray *past, const char *peer, MigdLessons *ret)
{
    Values values = collect(past, PEER, "", peer, free_link_of);
    double slope = seconds_per_byte(past, peer);

    ret->link_bps = lesson_of(&values, 0.05);
    if (ret->link_bps.n > 0)
        return;
    values = collect(past, PEER, "", peer, pause_speed_of);
    ret->link_bps = lesson_of(&values, 0.3);
    if (ret->link_bps.n > 0 && slope > 0)
        ret->link_bps.guess = (MigdGuess){MAX(1 / slope, ret->link_bps.guess.mid), 0.2};
}

/* What the bytes do not explain. */
static void
learn_fixed(const GPtrArray *past, const char *peer, MigdLessons *ret)
{
    double link = ret->link_bps.guess.mid;
    Values values = {0};

    for (guint i = past->len; i > 0; i--) {
        const MigdPast *one = past->pdata[i - 1];
        double above = MIGD_ABOVE_LIMIT * (double)one->max_bandwidth_bps;
        double speed = !is_limited(one) ? stream_of(one) : link > 0 ? link : above;
        double pause_s = (double)one->downtime_us / G_USEC_PER_SEC;

        if (!in_scope(one, PEER, "", peer) || speed <= 0 || pause_s <= 0 ||
            one->downtime_bytes == 0)
            continue;
        /* How much faster than its limit a link is may not be known; where little was sent, it is
         * all one. */
        if (is_limited(one) && link <= 0 && (double)one->downtime_bytes / speed > pause_s / 2)
            continue;
        /* A millisecond is what pauses are told in. */
        keep(&values, MAX(pause_s - (double)one->downtime_bytes / speed, 0.001),
             one->end_realtime_us);
    }
    ret->fixed_s = lesson_of(&values, 0.3);
}

static gboolean
is_known(const char *write_protect)
{
    return write_protect != NULL && *write_protect != '\0' && strcmp(write_protect, "unknown") != 0;
}

/* Of `past`, borrowed: what was tracked alike, as far as that is known. */
static GPtrArray *
tracked_alike(const GPtrArray *past, const char *write_protect)
{
    GPtrArray *alike = g_ptr_array_new();

    for (guint i = 0; i < past->len; i++) {
        const MigdPast *one = past->pdata[i];

        if (!is_known(write_protect) || !is_known(one->write_protect) ||
            strcmp(one->write_protect, write_protect) == 0)
            g_ptr_array_add(alike, past->pdata[i]);
    }
    return alike;
}

void
migd_learn(const GPtrArray *past, const char *domain_uuid, const char *peer,
           const char *write_protect, MigdLessons *ret)
{
    g_autoptr(GPtrArray) alike = tracked_alike(past, write_protect);

    *ret = (MigdLessons){
        .setup_s = learn_of_peer(alike, peer, setup_of, 0.5),
        .filled = learn_of_peer(past, peer, filled_of, 0.05),
        .empty = learn_of_peer(past, peer, empty_of, 0.5),
        .faster = learn_of_domain(alike, domain_uuid, faster_of, 0.1),
        .first_pass_bytes = learn_of_domain(past, domain_uuid, first_pass_of, 0.1),
        .lambda_bps = learn_of_domain(past, domain_uuid, lambda_of, 0.3),
        .working_set_bytes = learn_of_domain(past, domain_uuid, working_set_of, 0.2),
    };
    if (ret->faster.n == 0)
        ret->faster = learn_of_peer(alike, peer, faster_of, 0.1);
    learn_link(past, peer, ret);
    learn_fixed(past, peer, ret);
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What passes tell of the link, from readings as QEMU gives them.
 */
#include "policy/link.h"

#include <glib.h>

#define BPS 256e6
#define SYNC_S 0.046

typedef struct {
    MigdLink link;
    double now_s, bytes;
    gboolean first;
} Stream;

/* A pass that sends for `seconds` at `bps`, read every half second, and then syncs. */
static void
pass(Stream *stream, double seconds, double bps, double sync_s)
{
    double end_s = stream->now_s + seconds, base_s = stream->now_s, base = stream->bytes;

    migd_link_begin_pass(&stream->link, (gint64)(stream->now_s * G_USEC_PER_SEC),
                         (guint64)stream->bytes);
    for (double t = base_s + 0.5; t < end_s; t += 0.5)
        migd_link_read(&stream->link, (gint64)(t * G_USEC_PER_SEC),
                       (guint64)(base + (t - base_s) * bps), stream->first);
    stream->now_s = end_s + sync_s;
    stream->bytes = base + seconds * bps;
    migd_link_read(&stream->link, (gint64)(stream->now_s * G_USEC_PER_SEC), (guint64)stream->bytes,
                   stream->first);
    migd_link_end_pass(&stream->link, (gint64)(stream->now_s * G_USEC_PER_SEC),
                       (guint64)stream->bytes, stream->first);
    stream->first = FALSE;
}

static Stream
begin(void)
{
    Stream stream = {.now_s = 1, .first = TRUE};

    migd_link_read(&stream.link, G_USEC_PER_SEC, 0, TRUE);
    return stream;
}

/* Ever shorter passes, as a guest that converges has them. */
static void
converge(Stream *stream, double sync_s)
{
    for (double seconds = 40; seconds > 0.04; seconds /= 2)
        pass(stream, seconds, BPS, sync_s);
    for (guint i = 0; i < 20; i++)
        pass(stream, 0.05, BPS, sync_s);
}

static void
near(double value, double expected, double part)
{
    g_assert_cmpfloat(value, >=, expected * (1 - part));
    g_assert_cmpfloat(value, <=, expected * (1 + part));
}

/* A sync that is as long as what is sent between two of them is not taken for a slow link. */
static void
test_short_sync(void)
{
    Stream stream = begin();

    converge(&stream, SYNC_S);
    near(stream.link.sync_s, SYNC_S, 0.1);
    near(stream.link.bps, BPS, 0.05);
    near(stream.link.usual_bps, BPS, 0.05);
    near(stream.link.window_bps, BPS, 0.15);
    g_assert_false(migd_link_dips(&stream.link));
}

static void
test_no_sync(void)
{
    Stream stream = begin();

    converge(&stream, 0);
    g_assert_cmpfloat(stream.link.sync_s, <, 0.001);
    near(stream.link.bps, BPS, 0.02);
}

/* Estimates that do not agree are an unsteady link's. */
static void
test_unsteady(void)
{
    static const double factors[] = {1, 0.8, 1.2, 0.9, 1.1, 0.7, 1.25, 0.95};
    Stream stream = begin();

    pass(&stream, 40, BPS, 0);
    for (guint i = 0; i < 4 * G_N_ELEMENTS(factors); i++)
        pass(&stream, 1.7, BPS * factors[i % G_N_ELEMENTS(factors)], 0);
    g_assert_cmpfloat(stream.link.sync_s, <, 0.2);
    near(stream.link.bps, BPS, 0.3);
}

/* One pass of milliseconds is no proof of another link, a second of it is. */
static void
test_another_link(void)
{
    Stream stream = begin();

    pass(&stream, 40, BPS, 0);
    pass(&stream, 0.03, BPS / 4, 0);
    g_assert_cmpfloat(stream.link.bps, >, BPS * 0.9);
    pass(&stream, 2, BPS / 4, 0);
    near(stream.link.bps, BPS / 4, 0.1);
}

/* On an unsteady link one bad pass is a bad moment, and a second is another link. */
static void
test_bad_moment(void)
{
    Stream stream = begin();

    pass(&stream, 10, BPS, 0);
    for (guint i = 0; i < 4; i++) {
        pass(&stream, 1, BPS * 1.25, 0);
        pass(&stream, 1, BPS * 0.75, 0);
    }
    double before_bps = stream.link.bps;
    pass(&stream, 1, BPS / 4, 0);
    near(stream.link.bps, before_bps, 0.4);
    pass(&stream, 1, BPS / 4, 0);
    near(stream.link.bps, BPS / 4, 0.05);
}

/* Half of the usual until the link is known to be steady. */
static void
test_least(void)
{
    Stream stream = begin();

    pass(&stream, 10, BPS, 0);
    near(migd_link_least_bps(&stream.link), BPS / 2, 0.01);
    for (guint i = 0; i < 6; i++)
        pass(&stream, 1, BPS, 0);
    near(migd_link_least_bps(&stream.link), BPS, 0.02);
    for (guint i = 0; i < 3; i++) {
        pass(&stream, 1, BPS * 1.15, 0);
        pass(&stream, 1, BPS * 0.85, 0);
    }
    g_assert_cmpfloat(migd_link_least_bps(&stream.link), <, BPS * 0.75);
    g_assert_cmpfloat(migd_link_least_bps(&stream.link), >, BPS * 0.4);

    /* A while of steadiness does not make it forget. */
    for (guint i = 0; i < 10; i++)
        pass(&stream, 1, BPS, 0);
    g_assert_cmpfloat(migd_link_least_bps(&stream.link), <, BPS * 0.85);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/link/short-sync", test_short_sync);
    g_test_add_func("/link/no-sync", test_no_sync);
    g_test_add_func("/link/unsteady", test_unsteady);
    g_test_add_func("/link/another-link", test_another_link);
    g_test_add_func("/link/bad-moment", test_bad_moment);
    g_test_add_func("/link/least", test_least);
    return g_test_run();
}

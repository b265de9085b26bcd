/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Tables of round numbers; amounts are round in powers of 1024, times in 1, 2, 5 and minutes.
 */
#include "cli/axis.h"

#include <math.h>

/* Over this many times the detail, a linear axis would give it less than two dots. */
#define DETAIL_LOST 24.0

static double
round_up(double max)
{
    static const double tops[] = {1,   1.5, 2,   3,   4,   5,   6,   8,   10,  12,
                                  16,  20,  24,  32,  40,  48,  64,  80,  96,  112,
                                  128, 160, 192, 256, 320, 384, 512, 768, 1024};
    double unit = 1;

    if (!(max > 1))
        return 1;
    while (max > unit * 1024)
        unit *= 1024;
    for (guint i = 0; i < G_N_ELEMENTS(tops); i++)
        if (max <= unit * tops[i])
            return unit * tops[i];
    return max;
}

MigdAxis
migd_axis_linear(double max)
{
    return (MigdAxis){.top = round_up(max)};
}

MigdAxis
migd_axis_fitting(double max, double detail)
{
    MigdAxis axis = migd_axis_linear(max);

    if (detail > 0 && axis.top / detail > DETAIL_LOST)
        axis.floor = round_up(detail / 8);
    return axis;
}

double
migd_axis_height(const MigdAxis *axis, double value)
{
    if (axis->floor <= 0)
        return value / axis->top;
    return value <= axis->floor ? 0 : log(value / axis->floor) / log(axis->top / axis->floor);
}

double
migd_axis_value(const MigdAxis *axis, double height)
{
    if (axis->floor <= 0)
        return height * axis->top;
    return axis->floor * pow(axis->top / axis->floor, height);
}

char *
migd_axis_label(double bytes, const char *suffix)
{
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
    guint i = 0;

    if (!(bytes > 0))
        return g_strdup("0");
    while (bytes >= 1000 && i + 1 < G_N_ELEMENTS(units)) {
        bytes /= 1024;
        i++;
    }
    return g_strdup_printf(bytes >= 100 ? "%.0f %s%s" : "%.3g %s%s", bytes, units[i], suffix);
}

gint64
migd_axis_time_step(gint64 span_us, guint ticks)
{
    static const gint64 steps_ms[] = {
        1,      2,       5,       10,      20,      50,       100,      200,     500,
        1000,   2000,    5000,    10000,   20000,   30000,    60000,    120000,  300000,
        600000, 1200000, 1800000, 3600000, 7200000, 14400000, 28800000, 86400000};

    for (guint i = 0; i < G_N_ELEMENTS(steps_ms); i++)
        if (span_us / (steps_ms[i] * 1000) <= ticks)
            return steps_ms[i] * 1000;
    return MAX(span_us, 1);
}

char *
migd_axis_time_label(gint64 t_us, gint64 step_us)
{
    if (t_us == 0)
        return g_strdup("0");
    if (step_us < 1000 * 1000 && t_us < 1000 * 1000)
        return g_strdup_printf("%" G_GINT64_FORMAT " ms", t_us / 1000);
    if (step_us < 60 * (gint64)G_USEC_PER_SEC)
        return g_strdup_printf("%.6g s", (double)t_us / 1e6);
    if (step_us < 3600 * (gint64)G_USEC_PER_SEC)
        return g_strdup_printf("%" G_GINT64_FORMAT " min", t_us / (60 * (gint64)G_USEC_PER_SEC));
    return g_strdup_printf("%.3g h", (double)t_us / 3600e6);
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Scales of a plot: round tops, the height of a value, labels, and where the ticks of time go.
 * Pure.
 */
#pragma once

#include <glib.h>

typedef struct {
    double top;   /* value at height 1 */
    double floor; /* value at height 0; 0 = linear, else logarithmic */
} MigdAxis;

/* A linear axis whose round top is at least `max`. */
MigdAxis migd_axis_linear(double max);

/* As above, but logarithmic when `detail` (a value that has to be readable) would drown. */
MigdAxis migd_axis_fitting(double max, double detail);

/* Height of `value`, 0..1 and beyond; and back. */
double migd_axis_height(const MigdAxis *axis, double value);
double migd_axis_value(const MigdAxis *axis, double height);

/* "64 MiB", "1.5 GiB", "0"; `suffix` as in "/s". Caller frees. */
char *migd_axis_label(double bytes, const char *suffix);

/* The round distance of ticks, µs, so that `span_us` has at most `ticks` of them. */
gint64 migd_axis_time_step(gint64 span_us, guint ticks);

/* "0", "1.5 s", "400 ms", "2 min". Caller frees. */
char *migd_axis_time_label(gint64 t_us, gint64 step_us);

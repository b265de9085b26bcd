/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The rows under the plots of a chart: time, passes, throttle, decisions; and what they share with
 * the plots. Private to the chart.
 */
#pragma once

#include "cli/chart.h"

#define MIGD_CHART_LABEL_WIDTH 10 /* columns left of the axis */

typedef struct {
    const MigdPicture *picture;
    const MigdStyle *style;
    guint width;    /* columns of the plots */
    double span_us; /* that they show */
} MigdChart;

/* The time at a column, µs. */
double migd_chart_time(const MigdChart *chart, double column);

/* What stands left of a row: `text` to the right, then the piece of the axis. */
void
migd_chart_append_label(GString *out, const MigdChart *chart, const char *text, const char *axis);

/* Each appends its row or rows; the throttle only if there was one. */
void migd_chart_append_time_lane(GString *out, const MigdChart *chart);
void migd_chart_append_pass_lane(GString *out, const MigdChart *chart);
void migd_chart_append_throttle_lane(GString *out, const MigdChart *chart);
void migd_chart_append_decision_lane(GString *out, const MigdChart *chart);

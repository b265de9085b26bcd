/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The picture of a migration in characters: what is left to send against what fits into the pause,
 * what the guest dirties against what the link carries, passes, throttle and decisions on one axis
 * of time, and the decisions in words below. Pure: a picture and a style in, text out.
 */
#pragma once

#include <glib.h>

#include "cli/paint.h"
#include "cli/picture.h"

typedef struct {
    guint plot_rows;    /* of each of the two plots */
    guint legend_lines; /* at most, newest decisions first to be kept; 0 = no limit */
} MigdChartSize;

/* A size that fills a terminal of `rows` lines, for views that redraw. */
MigdChartSize migd_chart_size_for(guint rows);

/* For output that scrolls: eight rows a plot, every decision. */
#define MIGD_CHART_SIZE_FULL ((MigdChartSize){.plot_rows = 8})

/* Appends the whole chart, lines ended by newlines and no wider than style->columns. */
void migd_chart_draw(GString *out, const MigdPicture *picture, const MigdStyle *style,
                     MigdChartSize size);

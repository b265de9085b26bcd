/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Puts the plots and the lanes (lanes.c) under each other on one axis of time. Every series is
 * asked of the picture at the times of the columns; nothing is drawn that was not seen.
 */
#include "cli/chart.h"

#include <math.h>

#include "base/checked.h"
#include "cli/axis.h"
#include "cli/canvas.h"
#include "cli/lanes.h"
#include "cli/story.h"

#define MIN_COLUMNS 40
#define MIN_WINDOW_US 200e3 /* a rate over less says more about buffers than about the link */

/* ---- series -------------------------------------------------------------------------------- */

/* The most that was left within each dot column, so that a short peak shows. */
static double *
left_series(const MigdChart *chart, const MigdAxis *axis)
{
    const GArray *points = chart->picture->points;
    guint n = chart->width * MIGD_CANVAS_DOTS;
    double *heights = g_new(double, n);
    guint next = 0;

    for (guint x = 0; x < n; x++) {
        double from = migd_chart_time(chart, (double)x / MIGD_CANVAS_DOTS);
        double to = migd_chart_time(chart, (double)(x + 1) / MIGD_CANVAS_DOTS);
        double end = MIN(to, (double)chart->picture->end_us);
        double most = MAX(migd_picture_left_at(chart->picture, from),
                          migd_picture_left_at(chart->picture, end));

        for (; next < points->len; next++) {
            const MigdPicturePoint *point = &g_array_index(points, MigdPicturePoint, next);
            if ((double)point->t_us >= to)
                break;
            most = MAX(most, (double)point->left_bytes);
        }
        heights[x] = from > (double)chart->picture->end_us ? NAN : migd_axis_height(axis, most);
    }
    return heights;
}

static double
fit_at(const MigdChart *chart, double t_us)
{
    const MigdPicturePoint *point = migd_picture_at(chart->picture, t_us);
    const MigdPicturePass *pass = migd_picture_pass_at(chart->picture, t_us);
    guint64 link_bps = pass != NULL ? pass->link_bps : chart->picture->link_bps;

    if (point == NULL || point->pause_us == 0 || link_bps == 0)
        return NAN;
    return (double)link_bps * (double)point->pause_us / 1e6;
}

static double *
fit_series(const MigdChart *chart, const MigdAxis *axis)
{
    double *heights = g_new(double, chart->width);

    for (guint x = 0; x < chart->width; x++)
        heights[x] = migd_axis_height(axis, fit_at(chart, migd_chart_time(chart, x + 0.5)));
    return heights;
}

static double *
dirty_series(const MigdChart *chart, const MigdAxis *axis)
{
    guint n = chart->width * MIGD_CANVAS_DOTS;
    double *heights = g_new(double, n);

    for (guint x = 0; x < n; x++) {
        double t_us = migd_chart_time(chart, (x + 0.5) / MIGD_CANVAS_DOTS);
        const MigdPicturePass *pass = migd_picture_pass_at(chart->picture, t_us);

        heights[x] = pass != NULL && pass->number > 1
                         ? migd_axis_height(axis, (double)pass->dirty_bps)
                         : NAN;
    }
    return heights;
}

/* Bytes/s on the wire around a column; NAN where nothing was seen. */
static double
link_at(const MigdChart *chart, guint column)
{
    const MigdPicture *picture = chart->picture;
    double middle = migd_chart_time(chart, column + 0.5);
    double half = MAX(chart->span_us / chart->width, MIN_WINDOW_US) / 2;
    double first = picture->points->len > 0
                       ? (double)g_array_index(picture->points, MigdPicturePoint, 0).t_us
                       : 0;
    double from = MAX(middle - half, first);
    double to = MIN(middle + half, (double)picture->end_us);

    if (to - from < half / 2)
        return NAN;
    return (migd_picture_sent_at(picture, to) - migd_picture_sent_at(picture, from)) / (to - from) *
           1e6;
}

/* ---- pieces -------------------------------------------------------------------------------- */

static void
append_plot(GString *out, const MigdChart *chart, const MigdCanvas *canvas, guint rows,
            const MigdAxis *axis, const char *suffix)
{
    for (guint row = 0; row < rows; row++) {
        gboolean labelled = row == 0 || (rows >= 5 && row == rows / 2);
        double height = 1.0 - (double)row / rows;
        g_autofree char *label =
            labelled ? migd_axis_label(migd_axis_value(axis, height), suffix) : g_strdup("");

        migd_chart_append_label(out, chart, label,
                                chart->style->ascii ? labelled ? " +" : " |"
                                : labelled          ? " ┤"
                                                    : " │");
        migd_canvas_append_row(canvas, row, out);
        g_string_append_c(out, '\n');
    }
}

/* "TITLE   ⣿ area   ─ line", the samples of ink as drawn; keys that do not fit are left out. */
static void
append_key(GString *out, const MigdChart *chart, const char *title, const char *const keys[][2],
           const MigdInk *inks, guint n_keys)
{
    guint used = migd_width(title);

    migd_paint(out, chart->style, MIGD_INK_BOLD, title);
    for (guint i = 0; i < n_keys; i++) {
        guint width = migd_width(keys[i][0]) + migd_width(keys[i][1]) + 4;

        if (keys[i][1][0] == '\0' || used + width > chart->style->columns)
            continue;
        g_string_append(out, "   ");
        migd_paint(out, chart->style, inks[i], keys[i][0]);
        g_string_append_printf(out, " %s", keys[i][1]);
        used += width;
    }
    g_string_append_c(out, '\n');
}

static void
append_left_plot(GString *out, const MigdChart *chart, guint rows)
{
    const MigdPicture *picture = chart->picture;
    static const MigdInk inks[] = {MIGD_INK_LEFT, MIGD_INK_FIT};
    g_autoptr(MigdCanvas) canvas = migd_canvas_new(chart->style, chart->width, rows);
    guint64 fit_bytes = migd_picture_fit_bytes(picture);
    g_autofree char *fit = migd_style_bytes(chart->style, fit_bytes);
    g_autofree char *fit_key =
        fit_bytes > 0 ? g_strdup_printf("fits into the pause: %s", fit) : g_strdup("");
    double most = 1;

    for (guint i = 0; i < picture->points->len; i++)
        most = MAX(most, (double)g_array_index(picture->points, MigdPicturePoint, i).left_bytes);
    MigdAxis axis = migd_axis_fitting(most, (double)fit_bytes);
    g_autofree double *left = left_series(chart, &axis);
    g_autofree double *fits = fit_series(chart, &axis);
    migd_canvas_area(canvas, left, MIGD_INK_LEFT);
    migd_canvas_line(canvas, fits, MIGD_LINE_DASHED, MIGD_INK_FIT);

    const char *const keys[][2] = {
        {chart->style->ascii ? "#" : "⣿",
         axis.floor > 0 ? "bytes left (logarithmic)" : "bytes left"},
        {chart->style->ascii ? ".." : "╌╌", fit_key},
    };
    append_key(out, chart, "left to send", keys, inks, G_N_ELEMENTS(keys));
    append_plot(out, chart, canvas, rows, &axis, "");
}

static void
append_rate_plot(GString *out, const MigdChart *chart, guint rows)
{
    const MigdPicture *picture = chart->picture;
    static const MigdInk inks[] = {MIGD_INK_DIRTY, MIGD_INK_LINK};
    g_autoptr(MigdCanvas) canvas = migd_canvas_new(chart->style, chart->width, rows);
    g_autofree double *link = g_new(double, chart->width);
    double most = 1 << 20;

    for (guint x = 0; x < chart->width; x++) {
        link[x] = link_at(chart, x);
        if (picture->passes->len == 0 && !isnan(link[x]))
            most = MAX(most, link[x]);
    }
    /* Not what was sent while the guest stood still: no limit holds there, and the rest would
     * drown. */
    for (guint i = 0; i < picture->passes->len; i++) {
        const MigdPicturePass *pass = &g_array_index(picture->passes, MigdPicturePass, i);
        most = MAX(most, (double)pass->link_bps);
        most = pass->number > 1 ? MAX(most, (double)pass->dirty_bps) : most;
    }
    MigdAxis axis = migd_axis_linear(most);
    g_autofree double *dirty = dirty_series(chart, &axis);
    for (guint x = 0; x < chart->width; x++)
        link[x] = migd_axis_height(&axis, link[x]);
    migd_canvas_area(canvas, dirty, MIGD_INK_DIRTY);
    migd_canvas_line(canvas, link, MIGD_LINE_SOLID, MIGD_INK_LINK);

    const char *const keys[][2] = {
        {chart->style->ascii ? "#" : "⣿", "the guest dirties"},
        {chart->style->ascii ? "--" : "──", "the link carries"},
    };
    append_key(out, chart, "rates", keys, inks, G_N_ELEMENTS(keys));
    append_plot(out, chart, canvas, rows, &axis, "/s");
}

/* ---- the whole ----------------------------------------------------------------------------- */

static void
append_line(GString *out, const MigdStyle *style, MigdInk ink, const char *text)
{
    g_auto(GStrv) lines = migd_wrap(text, style->columns);

    for (guint i = 0; lines[i] != NULL; i++) {
        migd_paint(out, style, ink, lines[i]);
        g_string_append_c(out, '\n');
    }
}

static void
append_head(GString *out, const MigdPicture *picture, const MigdStyle *style)
{
    MigdInk ink;
    g_autofree char *title = migd_story_title(picture, style);
    g_autofree char *state = migd_story_state(picture, style, &ink);
    g_autofree char *facts = migd_story_facts(picture, style);
    g_autofree char *forecast = migd_story_forecast(picture, style);

    append_line(out, style, MIGD_INK_BOLD, title);
    append_line(out, style, ink, state);
    append_line(out, style, MIGD_INK_PLAIN, facts);
    if (forecast != NULL)
        append_line(out, style, MIGD_INK_PLAIN, forecast);
    g_string_append_c(out, '\n');
}

MigdChartSize
migd_chart_size_for(guint rows)
{
    /* Head 5, keys 2, axis 2, lanes 3, and an empty line. */
    const guint fixed = 13;
    guint free = migd_sat_sub(rows, fixed);
    guint list = MAX(2, free / 4);
    guint plot_rows = free > list ? CLAMP((free - list) / 2, 3, 12) : 3;

    return (MigdChartSize){
        .plot_rows = plot_rows,
        .legend_lines = free > 2 * plot_rows + 2 ? free - 2 * plot_rows : 2,
    };
}

void
migd_chart_draw(GString *out, const MigdPicture *picture, const MigdStyle *style,
                MigdChartSize size)
{
    guint columns = MAX(style->columns, MIN_COLUMNS);
    MigdChart chart = {
        .picture = picture,
        .style = style,
        .width = columns - MIGD_CHART_LABEL_WIDTH - 2,
        .span_us = MAX((double)picture->end_us, 1),
    };

    append_head(out, picture, style);
    if (picture->points->len > 0) {
        append_left_plot(out, &chart, size.plot_rows);
        append_rate_plot(out, &chart, size.plot_rows);
        migd_chart_append_time_lane(out, &chart);
        migd_chart_append_pass_lane(out, &chart);
        migd_chart_append_throttle_lane(out, &chart);
        migd_chart_append_decision_lane(out, &chart);
        g_string_append_c(out, '\n');
    }
    migd_story_append(out, picture, style, /* effects= */ FALSE, size.legend_lines);
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * One character a column, on the axis of time that the plots have. Labels that do not fit are left
 * out.
 */
#include "cli/lanes.h"

#include "cli/axis.h"

double
migd_chart_time(const MigdChart *chart, double column)
{
    return column / chart->width * chart->span_us;
}

void
migd_chart_append_label(GString *out, const MigdChart *chart, const char *text, const char *axis)
{
    guint width = migd_width(text);

    for (guint i = width; i < MIGD_CHART_LABEL_WIDTH; i++)
        g_string_append_c(out, ' ');
    migd_paint(out, chart->style, MIGD_INK_DIM, text);
    migd_paint(out, chart->style, MIGD_INK_DIM, axis);
}

/* A line of `width` cells to write into; each is one character. */
typedef struct {
    gunichar *cells;
    guint width;
} Lane;

static void
lane_write(Lane *lane, guint column, const char *text)
{
    for (; *text != '\0' && column < lane->width; column++, text = g_utf8_next_char(text))
        lane->cells[column] = g_utf8_get_char(text);
}

/* TRUE when `width` cells from `column` on, and the one before them, are free. */
static gboolean
lane_free(const Lane *lane, guint column, guint width, gunichar blank)
{
    if (column + width > lane->width || (column > 0 && lane->cells[column - 1] != blank &&
                                         g_unichar_isalnum(lane->cells[column - 1])))
        return FALSE;
    for (guint i = 0; i < width; i++)
        if (lane->cells[column + i] != blank)
            return FALSE;
    return TRUE;
}

static void
lane_init(Lane *lane, const MigdChart *chart, gunichar fill)
{
    lane->width = chart->width;
    lane->cells = g_new(gunichar, chart->width);
    for (guint i = 0; i < chart->width; i++)
        lane->cells[i] = fill;
}

static void
lane_append(GString *out, const MigdChart *chart, const Lane *lane, const char *label,
            const char *axis, MigdInk ink)
{
    g_autofree char *text = g_ucs4_to_utf8(lane->cells, lane->width, NULL, NULL, NULL);

    migd_chart_append_label(out, chart, label, axis);
    g_strchomp(text);
    migd_paint(out, chart->style, ink, text);
    g_string_append_c(out, '\n');
    g_free(lane->cells);
}

static guint
column_of(const MigdChart *chart, gint64 t_us)
{
    double column = (double)t_us / chart->span_us * chart->width;

    return (guint)CLAMP(column, 0, chart->width - 1.0);
}

void
migd_chart_append_time_lane(GString *out, const MigdChart *chart)
{
    gboolean ascii = chart->style->ascii;
    gint64 step = migd_axis_time_step((gint64)chart->span_us, MAX(chart->width / 11, 2));
    Lane ticks, labels;

    lane_init(&ticks, chart, ascii ? '-' : 0x2500);
    lane_init(&labels, chart, ' ');
    for (gint64 t_us = 0; t_us <= (gint64)chart->span_us; t_us += step) {
        guint column = column_of(chart, t_us);
        g_autofree char *label = migd_axis_time_label(t_us, step);

        ticks.cells[column] = ascii ? '+' : 0x252c;
        if (lane_free(&labels, column, migd_width(label), ' '))
            lane_write(&labels, column, label);
    }
    lane_append(out, chart, &ticks, "0", ascii ? " +" : " └", MIGD_INK_DIM);
    lane_append(out, chart, &labels, "time", "  ", MIGD_INK_DIM);
}

/* A bar where a sync was, and the number of the pass after it, as far as there is room. */
void
migd_chart_append_pass_lane(GString *out, const MigdChart *chart)
{
    const GArray *passes = chart->picture->passes;
    gunichar bar = chart->style->ascii ? '|' : 0x2502;
    Lane lane;

    lane_init(&lane, chart, ' ');
    for (guint i = 0; i <= passes->len && passes->len > 0; i++) {
        const MigdPicturePass *pass =
            &g_array_index(passes, MigdPicturePass, MIN(i, passes->len - 1));
        gint64 sync_us = i < passes->len ? pass->begin_us : pass->end_us;
        guint64 number = i < passes->len ? pass->number : pass->number + 1;
        g_autofree char *label = g_strdup_printf("%" G_GUINT64_FORMAT, number);
        guint column = column_of(chart, sync_us);

        if (column > 0 && lane.cells[column - 1] != ' ')
            continue;
        lane.cells[column] = bar;
        gint64 until_us = i < passes->len ? pass->end_us : chart->picture->end_us;
        if (column + migd_width(label) < column_of(chart, until_us))
            lane_write(&lane, column + 1, label);
    }
    lane_append(out, chart, &lane, "pass", "  ", MIGD_INK_PLAIN);
}

/* Eighths of a block, or tenths as digits, by the throttle in force; nothing at all if there never
 * was one. */
void
migd_chart_append_throttle_lane(GString *out, const MigdChart *chart)
{
    guint32 most = 0;
    Lane lane;

    lane_init(&lane, chart, ' ');
    for (guint x = 0; x < chart->width; x++) {
        double t_us = migd_chart_time(chart, x + 0.5);
        const MigdPicturePoint *point = migd_picture_at(chart->picture, t_us);
        guint32 pct = point != NULL && t_us <= (double)chart->picture->end_us
                          ? MIN(point->throttle_pct, 99)
                          : 0;

        most = MAX(most, pct);
        if (pct > 0)
            lane.cells[x] = chart->style->ascii ? '0' + pct / 10 : 0x2581 + pct * 8 / 100;
    }
    if (most == 0) {
        g_free(lane.cells);
        return;
    }
    lane_append(out, chart, &lane, "throttle", "  ", MIGD_INK_THROTTLE);
}

void
migd_chart_append_decision_lane(GString *out, const MigdChart *chart)
{
    const GArray *marks = chart->picture->marks;
    Lane lane;

    lane_init(&lane, chart, ' ');
    for (guint i = 0; i < marks->len; i++) {
        const MigdPictureMark *mark = &g_array_index(marks, MigdPictureMark, i);
        g_autofree char *number = g_strdup_printf("%u", i + 1);
        guint column = column_of(chart, mark->t_us);

        /* Neighbours push each other to the right; what falls off the end is in the list below. */
        while (column < chart->width && !lane_free(&lane, column, migd_width(number), ' '))
            column++;
        if (column < chart->width)
            lane_write(&lane, column, number);
    }
    lane_append(out, chart, &lane, "decision", "  ", MIGD_INK_MARK);
}

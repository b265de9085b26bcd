/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A rectangle of character cells to plot on: filled areas in braille dots (2 x 4 a cell) or ASCII
 * shades, and lines in box-drawing characters over them. Heights are fractions of the
 * rectangle, 0 at the bottom, 1 at the top; NAN draws nothing there. Pure.
 */
#pragma once

#include <glib.h>

#include "cli/paint.h"

typedef struct MigdCanvas MigdCanvas;

/* `style` must outlive the canvas. */
MigdCanvas *migd_canvas_new(const MigdStyle *style, guint columns, guint rows);
void migd_canvas_free(MigdCanvas *canvas);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(MigdCanvas, migd_canvas_free)

#define MIGD_CANVAS_DOTS 2 /* dot columns in a cell */

/* `heights`: one for each dot column, MIGD_CANVAS_DOTS x columns of them. */
void migd_canvas_area(MigdCanvas *canvas, const double *heights, MigdInk ink);

typedef enum {
    MIGD_LINE_SOLID,  /* over what is there */
    MIGD_LINE_DASHED, /* lets what is there shine through */
} MigdLine;

/* `heights`: one for each column. */
void migd_canvas_line(MigdCanvas *canvas, const double *heights, MigdLine line, MigdInk ink);

/* Appends row `row` (0 = top), at most `columns` wide, without blanks at its end. */
void migd_canvas_append_row(const MigdCanvas *canvas, guint row, GString *out);

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Cells hold either dots or a glyph. Nothing here knows what is plotted.
 */
#include "cli/canvas.h"

#include <math.h>

#define DOT_ROWS 4 /* in a cell */

typedef struct {
    gunichar glyph; /* 0 = `dots` */
    guint8 dots;    /* as in U+2800 */
    guint8 ink;
} Cell;

struct MigdCanvas {
    const MigdStyle *style;
    guint columns, rows;
    Cell *cells;
};

MigdCanvas *
migd_canvas_new(const MigdStyle *style, guint columns, guint rows)
{
    MigdCanvas *canvas = g_new0(MigdCanvas, 1);

    canvas->style = style;
    canvas->columns = columns;
    canvas->rows = rows;
    canvas->cells = g_new0(Cell, (gsize)columns * rows);
    return canvas;
}

void
migd_canvas_free(MigdCanvas *canvas)
{
    if (canvas == NULL)
        return;
    g_free(canvas->cells);
    g_free(canvas);
}

static Cell *
cell_at(const MigdCanvas *canvas, guint column, guint row)
{
    return &canvas->cells[(gsize)row * canvas->columns + column];
}

void
migd_canvas_area(MigdCanvas *canvas, const double *heights, MigdInk ink)
{
    static const guint8 dot[MIGD_CANVAS_DOTS][DOT_ROWS] = {{0x40, 0x04, 0x02, 0x01},
                                                           {0x80, 0x20, 0x10, 0x08}};
    guint dot_rows = canvas->rows * DOT_ROWS;

    for (guint x = 0; x < canvas->columns * MIGD_CANVAS_DOTS; x++) {
        double height = CLAMP(heights[x], 0.0, 1.0);
        /* Anything above nothing shows. */
        guint level = isnan(heights[x]) || height <= 0 ? 0 : (guint)ceil(height * dot_rows);

        for (guint y = 0; y < level; y++) {
            Cell *cell = cell_at(canvas, x / MIGD_CANVAS_DOTS, canvas->rows - 1 - y / DOT_ROWS);
            cell->glyph = 0;
            cell->dots |= dot[x % MIGD_CANVAS_DOTS][y % DOT_ROWS];
            cell->ink = (guint8)ink;
        }
    }
}

/* The pieces that a line is made of. */
typedef enum { FLAT, UP_FROM, UP_TO, DOWN_FROM, DOWN_TO, RISER } Piece;

static void
put(MigdCanvas *canvas, guint column, guint row, Piece piece, MigdLine line, MigdInk ink)
{
    static const gunichar glyphs[2][2][RISER + 1] = {
        {{0x2500, 0x256f, 0x256d, 0x256e, 0x2570, 0x2502},  /* ─ ╯ ╭ ╮ ╰ │ */
         {0x254c, 0x254c, 0x254c, 0x254c, 0x254c, 0x254e}}, /* ╌ … ╎ */
        {{'-', '+', '+', '+', '+', '|'}, {'.', '.', '.', '.', '.', '.'}},
    };
    Cell *cell = cell_at(canvas, column, row);

    /* Every third cell: what lies under the line can still be seen. */
    if (line == MIGD_LINE_DASHED && (cell->glyph != 0 || cell->dots != 0) && column % 3 != 0)
        return;
    cell->glyph = glyphs[canvas->style->ascii ? 1 : 0][line][piece];
    cell->dots = 0;
    cell->ink = (guint8)ink;
}

static guint
row_of(const MigdCanvas *canvas, double height)
{
    double from_top = (1.0 - CLAMP(height, 0.0, 1.0)) * canvas->rows;

    return MIN((guint)from_top, canvas->rows - 1);
}

void
migd_canvas_line(MigdCanvas *canvas, const double *heights, MigdLine line, MigdInk ink)
{
    for (guint x = 0; x < canvas->columns; x++) {
        if (isnan(heights[x]))
            continue;
        guint row = row_of(canvas, heights[x]);
        guint before = x > 0 && !isnan(heights[x - 1]) ? row_of(canvas, heights[x - 1]) : row;

        if (row == before) {
            put(canvas, x, row, FLAT, line, ink);
            continue;
        }
        put(canvas, x, before, row < before ? UP_FROM : DOWN_FROM, line, ink);
        put(canvas, x, row, row < before ? UP_TO : DOWN_TO, line, ink);
        for (guint y = MIN(row, before) + 1; y < MAX(row, before); y++)
            put(canvas, x, y, RISER, line, ink);
    }
}

static gunichar
cell_char(const Cell *cell, gboolean ascii)
{
    if (cell->glyph != 0)
        return cell->glyph;
    if (cell->dots == 0)
        return ' ';
    if (!ascii)
        return 0x2800u + cell->dots;
    guint n = (guint)__builtin_popcount(cell->dots);
    return n <= 2 ? '.' : n <= 5 ? ':' : '#';
}

void
migd_canvas_append_row(const MigdCanvas *canvas, guint row, GString *out)
{
    guint8 ink = MIGD_INK_PLAIN;
    guint used = canvas->columns;

    while (used > 0 && cell_char(cell_at(canvas, used - 1, row), canvas->style->ascii) == ' ')
        used--;
    for (guint x = 0; x < used; x++) {
        const Cell *cell = cell_at(canvas, x, row);
        gunichar c = cell_char(cell, canvas->style->ascii);
        guint8 wanted = c == ' ' ? ink : cell->ink;

        if (wanted != ink) {
            g_string_append(out, migd_ink_end(canvas->style, (MigdInk)ink));
            g_string_append(out, migd_ink_begin(canvas->style, (MigdInk)wanted));
            ink = wanted;
        }
        g_string_append_unichar(out, c);
    }
    g_string_append(out, migd_ink_end(canvas->style, (MigdInk)ink));
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Cells in a flat list; the widths are found when it is printed.
 */
#include "cli/table.h"

#define GAP 2        /* columns between columns */
#define MIN_SHRUNK 8 /* a clipped column keeps at least this many */

typedef struct {
    char *text;
    MigdInk ink;
} Cell;

struct MigdTable {
    const MigdColumn *columns;
    guint n_columns;
    GArray *cells; /* of Cell */
};

static void
cell_clear(gpointer data)
{
    g_free(((Cell *)data)->text);
}

MigdTable *
migd_table_new(const MigdColumn *columns)
{
    MigdTable *table = g_new0(MigdTable, 1);

    table->columns = columns;
    while (columns[table->n_columns].title != NULL)
        table->n_columns++;
    table->cells = g_array_new(FALSE, FALSE, sizeof(Cell));
    g_array_set_clear_func(table->cells, cell_clear);
    return table;
}

void
migd_table_free(MigdTable *table)
{
    if (table == NULL)
        return;
    g_array_unref(table->cells);
    g_free(table);
}

void
migd_table_take(MigdTable *table, char *text, MigdInk ink)
{
    Cell cell = {text, ink};

    g_array_append_val(table->cells, cell);
}

/* Takes from the widest column that may shrink, one by one, until all fit. */
static void
shrink(const MigdTable *table, guint *widths, guint limit)
{
    for (;;) {
        guint total = GAP * (table->n_columns - 1);
        guint *widest = NULL;

        for (guint i = 0; i < table->n_columns; i++) {
            total += widths[i];
            if (table->columns[i].shrink && widths[i] > MIN_SHRUNK &&
                (widest == NULL || widths[i] > *widest))
                widest = &widths[i];
        }
        if (total <= limit || widest == NULL)
            return;
        *widest -= 1;
    }
}

static guint *
find_widths(const MigdTable *table, guint limit, gboolean legend)
{
    guint *widths = g_new0(guint, table->n_columns);

    for (guint i = 0; legend && i < table->n_columns; i++)
        widths[i] = migd_width(table->columns[i].title);
    for (guint i = 0; i < table->cells->len; i++) {
        guint *width = &widths[i % table->n_columns];
        *width = MAX(*width, migd_width(g_array_index(table->cells, Cell, i).text));
    }
    if (limit > 0)
        shrink(table, widths, limit);
    return widths;
}

static void
append_cell(GString *out, const MigdTable *table, const MigdStyle *style, guint column,
            const char *text, guint width, MigdInk ink)
{
    gboolean last = column + 1 == table->n_columns;
    g_autoptr(GString) clipped = g_string_new(NULL);

    for (guint i = migd_width(text); table->columns[column].right && i < width; i++)
        g_string_append_c(out, ' ');
    migd_append_clipped(clipped, style, text, width, /* pad= */ FALSE);
    migd_paint(out, style, ink, clipped->str);
    for (guint i = migd_width(clipped->str); !last && !table->columns[column].right && i < width;
         i++)
        g_string_append_c(out, ' ');
    g_string_append(out, last ? "\n" : "  ");
}

void
migd_table_append(const MigdTable *table, const MigdStyle *style, guint width, gboolean legend,
                  GString *out)
{
    g_autofree guint *widths = find_widths(table, width, legend);

    for (guint i = 0; legend && i < table->n_columns; i++)
        append_cell(out, table, style, i, table->columns[i].title, widths[i], MIGD_INK_BOLD);
    for (guint i = 0; i < table->cells->len; i++) {
        const Cell *cell = &g_array_index(table->cells, Cell, i);
        guint column = i % table->n_columns;

        append_cell(out, table, style, column, cell->text, widths[column], cell->ink);
    }
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Tables for people: aligned on display width, and narrowed to the terminal where there is one.
 * Pure.
 */
#pragma once

#include <glib.h>

#include "cli/paint.h"

typedef struct MigdTable MigdTable;

typedef struct {
    const char *title;
    gboolean right;  /* numbers */
    gboolean shrink; /* may be clipped when the table is too wide */
} MigdColumn;

/* `columns` ends with a NULL title and must outlive the table. */
MigdTable *migd_table_new(const MigdColumn *columns);
void migd_table_free(MigdTable *table);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(MigdTable, migd_table_free)

/* The next cell, row by row; takes `text` (safe for the terminal). */
void migd_table_take(MigdTable *table, char *text, MigdInk ink);

/* `width` 0 = as wide as it takes. */
void migd_table_append(const MigdTable *table, const MigdStyle *style, guint width, gboolean legend,
                       GString *out);

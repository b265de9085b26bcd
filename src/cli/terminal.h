/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The terminal: what it is like, and taking it over for a view that redraws itself. Whatever is
 * taken is given back, also when the program ends early.
 */
#pragma once

#include "cli/cli.h"

/* Fills tty, rows and style (columns, colour) of `cli` from stdout and the environment: NO_COLOR,
 * TERM, COLUMNS, LINES and the locale's character set count. */
void migd_terminal_look(MigdCli *cli);

/* Alternate screen, no cursor, keys at once. FALSE: stdin is no terminal. */
gboolean migd_terminal_take(void);
void migd_terminal_give_back(void);

/* Replaces what is on the screen by `text`, at most `rows` lines of it. */
void migd_terminal_draw(const char *text, guint rows);

/* Writes the line `row` (from 1), such as the last one. */
void migd_terminal_draw_line(const char *text, guint row);

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * How text gets onto the screen: inks, widths, clipping, wrapping. Pure: strings in, strings out;
 * what the terminal is like stands in a MigdStyle.
 */
#pragma once

#include <glib.h>

typedef enum {
    MIGD_INK_PLAIN,
    MIGD_INK_BOLD,
    MIGD_INK_DIM,
    MIGD_INK_LEFT,     /* bytes left */
    MIGD_INK_FIT,      /* what fits into the pause */
    MIGD_INK_DIRTY,    /* what the guest dirties */
    MIGD_INK_LINK,     /* what the link carries */
    MIGD_INK_THROTTLE, /* what is taken from the guest */
    MIGD_INK_MARK,     /* decisions */
    MIGD_INK_GOOD,
    MIGD_INK_BAD,
    MIGD_N_INKS,
} MigdInk;

typedef struct {
    guint columns; /* of the terminal; at least 40 is assumed */
    gboolean ascii;
    gboolean colour;
    gboolean bytes; /* plain integers instead of KiB, MiB, … */
} MigdStyle;

/* Appends `text` in `ink`; plain text where the style has no colour. */
void migd_paint(GString *out, const MigdStyle *style, MigdInk ink, const char *text);
void migd_paintf(GString *out, const MigdStyle *style, MigdInk ink, const char *format, ...)
    G_GNUC_PRINTF(4, 5);

/* The escape sequences around an ink; "" where the style has no colour. Static strings. */
const char *migd_ink_begin(const MigdStyle *style, MigdInk ink);
const char *migd_ink_end(const MigdStyle *style, MigdInk ink);

/* Columns that `text` (valid UTF-8 without escapes) takes. */
guint migd_width(const char *text);

/* Appends `text`, clipped to `width` columns with an ellipsis and, if `pad`, filled up to them. */
void migd_append_clipped(GString *out, const MigdStyle *style, const char *text, guint width,
                         gboolean pad);

/* `text` broken at spaces into lines of at most `width` columns. Caller frees with g_strfreev(). */
char **migd_wrap(const char *text, guint width);

/* Any foreign text made safe for this style: printable, and in ASCII where asked. Unlike
 * migd_text_clean() it does not clip. Caller frees. */
char *migd_style_text(const MigdStyle *style, const char *text);

/* Amounts in the style's units. Caller frees. */
char *migd_style_bytes(const MigdStyle *style, guint64 bytes);
char *migd_style_rate(const MigdStyle *style, guint64 bps);

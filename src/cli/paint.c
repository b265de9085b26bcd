/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Inks are the sixteen colours that every terminal has, so that the user's palette decides how they
 * look. Widths follow Unicode as GLib knows it.
 */
#include "cli/paint.h"

#include <string.h>

#include "base/text.h"
#include "base/units.h"

static const char *const sgr[MIGD_N_INKS] = {
    [MIGD_INK_PLAIN] = "",          [MIGD_INK_BOLD] = "\033[1m",      [MIGD_INK_DIM] = "\033[2m",
    [MIGD_INK_LEFT] = "\033[34m",   [MIGD_INK_FIT] = "\033[32m",      [MIGD_INK_DIRTY] = "\033[33m",
    [MIGD_INK_LINK] = "\033[1;36m", [MIGD_INK_THROTTLE] = "\033[35m", [MIGD_INK_MARK] = "\033[1m",
    [MIGD_INK_GOOD] = "\033[1;32m", [MIGD_INK_BAD] = "\033[1;31m",
};

const char *
migd_ink_begin(const MigdStyle *style, MigdInk ink)
{
    return style->colour ? sgr[ink] : "";
}

const char *
migd_ink_end(const MigdStyle *style, MigdInk ink)
{
    return style->colour && ink != MIGD_INK_PLAIN ? "\033[0m" : "";
}

void
migd_paint(GString *out, const MigdStyle *style, MigdInk ink, const char *text)
{
    if (text[0] == '\0')
        return;
    g_string_append(out, migd_ink_begin(style, ink));
    g_string_append(out, text);
    g_string_append(out, migd_ink_end(style, ink));
}

void
migd_paintf(GString *out, const MigdStyle *style, MigdInk ink, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    g_autofree char *text = g_strdup_vprintf(format, args);
    va_end(args);
    migd_paint(out, style, ink, text);
}

static guint
char_width(gunichar c)
{
    if (g_unichar_iszerowidth(c))
        return 0;
    return g_unichar_iswide(c) ? 2 : 1;
}

guint
migd_width(const char *text)
{
    guint width = 0;

    for (const char *p = text; *p != '\0'; p = g_utf8_next_char(p))
        width += char_width(g_utf8_get_char(p));
    return width;
}

void
migd_append_clipped(GString *out, const MigdStyle *style, const char *text, guint width,
                    gboolean pad)
{
    const char *ellipsis = style->ascii ? "~" : "…";
    guint used = 0;
    gboolean clip = migd_width(text) > width;

    if (width == 0)
        return;
    for (const char *p = text; *p != '\0'; p = g_utf8_next_char(p)) {
        gunichar c = g_utf8_get_char(p);

        if (used + char_width(c) > width - (clip ? 1 : 0))
            break;
        g_string_append_unichar(out, c);
        used += char_width(c);
    }
    if (clip) {
        g_string_append(out, ellipsis);
        used++;
    }
    for (; pad && used < width; used++)
        g_string_append_c(out, ' ');
}

/* The longest piece of `text` that fits: up to a space where there is one. */
static gsize
piece_length(const char *text, guint width)
{
    const char *space = NULL;
    const char *p = text;
    guint used = 0;

    for (; *p != '\0'; p = g_utf8_next_char(p)) {
        if (*p == ' ')
            space = p;
        used += char_width(g_utf8_get_char(p));
        if (used > width)
            break;
    }
    if (*p == '\0' || *p == ' ')
        return (gsize)(p - text);
    if (space != NULL && space > text)
        return (gsize)(space - text);
    return p > text ? (gsize)(p - text) : strlen(text);
}

char **
migd_wrap(const char *text, guint width)
{
    GPtrArray *lines = g_ptr_array_new();

    while (*text == ' ')
        text++;
    while (*text != '\0') {
        gsize length = piece_length(text, width);

        g_ptr_array_add(lines, g_strchomp(g_strndup(text, length)));
        text += length;
        while (*text == ' ')
            text++;
    }
    if (lines->len == 0)
        g_ptr_array_add(lines, g_strdup(""));
    g_ptr_array_add(lines, NULL);
    return (char **)g_ptr_array_free(lines, FALSE);
}

static void
append_ascii(GString *out, gunichar c)
{
    static const struct {
        gunichar c;
        const char *ascii;
    } table[] = {
        {0x2026, "..."}, {0xb5, "u"},    {0x3bc, "u"},   {0xb7, "-"},   {0xd7, "x"},
        {0x2192, "->"},  {0x2264, "<="}, {0x2265, ">="}, {0x2013, "-"}, {0x3bb, "lambda"},
    };

    for (guint i = 0; i < G_N_ELEMENTS(table); i++) {
        if (table[i].c == c) {
            g_string_append(out, table[i].ascii);
            return;
        }
    }
    g_string_append_c(out, c < 0x80 ? (char)c : '?');
}

char *
migd_style_text(const MigdStyle *style, const char *text)
{
    /* Small enough that migd_text_clean() never clips, whatever it escapes. */
    const gsize chunk = MIGD_TEXT_MAX / 4;
    g_autofree char *valid = g_utf8_make_valid(text != NULL ? text : "", -1);
    g_autoptr(GString) clean = g_string_new(NULL);
    GString *out;

    for (const char *p = valid; *p != '\0';) {
        const char *end = p;
        while (*end != '\0' && (gsize)(g_utf8_next_char(end) - p) <= chunk)
            end = g_utf8_next_char(end);
        g_autofree char *piece = g_strndup(p, (gsize)(end - p));
        g_autofree char *safe = migd_text_clean(piece);
        g_string_append(clean, safe);
        p = end;
    }
    if (!style->ascii)
        return g_strdup(clean->str);
    out = g_string_new(NULL);
    for (const char *p = clean->str; *p != '\0'; p = g_utf8_next_char(p))
        append_ascii(out, g_utf8_get_char(p));
    return g_string_free(out, FALSE);
}

char *
migd_style_bytes(const MigdStyle *style, guint64 bytes)
{
    return style->bytes ? g_strdup_printf("%" G_GUINT64_FORMAT, bytes) : migd_format_bytes(bytes);
}

char *
migd_style_rate(const MigdStyle *style, guint64 bps)
{
    return style->bytes ? g_strdup_printf("%" G_GUINT64_FORMAT, bps) : migd_format_rate(bps);
}

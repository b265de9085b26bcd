/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A strict RFC 8259 recogniser. json-c takes single quotes, NaN, raw control characters and numbers
 * out of range even in its strict mode, and pays up to 264 bytes of heap a byte; so nothing reaches
 * it that has not passed here. Builds no values and recurses at most MIGD_JSON_MAX_DEPTH deep.
 */
#include "json/scan.h"

#include "base/error.h"
#include "json/json.h"

#include <errno.h>
#include <math.h>
#include <string.h>

#define NUMBER_MAX 64 /* characters; %.17g needs 24 */

typedef struct {
    const char *at, *start, *end;
    guint depth;
    guint nodes;
    gsize members;
    GError **error;
} Scan;

static gboolean scan_value(Scan *s);

static gboolean
fail(Scan *s, const char *what)
{
    g_set_error(s->error, MIGD_ERROR, MIGD_ERROR_INVALID_ARGUMENT, "JSON: %s at byte %zu", what,
                (gsize)(s->at - s->start));
    return FALSE;
}

/* The character at hand; NUL at the end (a NUL inside the text is no UTF-8 for us and never gets
 * here). */
static char
peek(const Scan *s)
{
    return s->at < s->end ? *s->at : '\0';
}

static gboolean
take(Scan *s, char c)
{
    if (peek(s) != c)
        return FALSE;
    s->at++;
    return TRUE;
}

static void
skip_space(Scan *s)
{
    while (s->at < s->end && strchr(" \t\r\n", *s->at) != NULL)
        s->at++;
}

static gboolean
count_node(Scan *s)
{
    return ++s->nodes <= MIGD_JSON_MAX_NODES || fail(s, "too many values");
}

/* After the backslash. */
static gboolean
scan_escape(Scan *s)
{
    guint code = 0;

    if (peek(s) != '\0' && strchr("\"\\/bfnrt", peek(s)) != NULL) {
        s->at++;
        return TRUE;
    }
    if (!take(s, 'u'))
        return fail(s, "bad escape");
    for (guint i = 0; i < 4; i++, s->at++) {
        if (!g_ascii_isxdigit(peek(s)))
            return fail(s, "bad \\u escape");
        code = code * 16 + (guint)g_ascii_xdigit_value(*s->at);
    }
    return code != 0 || fail(s, "NUL in a string");
}

static gboolean
scan_string(Scan *s)
{
    if (!take(s, '"'))
        return fail(s, "string expected");
    while (s->at < s->end) {
        if (take(s, '"'))
            return TRUE;
        if (take(s, '\\')) {
            if (!scan_escape(s))
                return FALSE;
        } else if ((guint8)*s->at < 0x20) {
            return fail(s, "control character in a string");
        } else {
            s->at++;
        }
    }
    return fail(s, "unfinished string");
}

static gboolean
scan_digits(Scan *s)
{
    const char *first = s->at;

    while (g_ascii_isdigit(peek(s)))
        s->at++;
    return s->at > first || fail(s, "digit expected");
}

/* The grammar is right; does the value fit? json-c would saturate without a word. */
static gboolean
check_range(Scan *s, const char *first, gboolean whole)
{
    char copy[NUMBER_MAX + 1] = "";
    gsize length = (gsize)(s->at - first);

    if (length > NUMBER_MAX)
        return fail(s, "number too long");
    memcpy(copy, first, length);
    errno = 0;
    if (!whole)
        return isfinite(g_ascii_strtod(copy, NULL)) || fail(s, "number out of range");
    if (copy[0] == '-')
        (void)g_ascii_strtoll(copy, NULL, 10);
    else
        (void)g_ascii_strtoull(copy, NULL, 10);
    return errno == 0 || fail(s, "number out of range");
}

static gboolean
scan_number(Scan *s)
{
    const char *first = s->at;
    gboolean whole = TRUE;

    (void)take(s, '-');
    if (!take(s, '0') && !scan_digits(s))
        return FALSE;
    if (take(s, '.')) {
        whole = FALSE;
        if (!scan_digits(s))
            return FALSE;
    }
    if (take(s, 'e') || take(s, 'E')) {
        whole = FALSE;
        (void)(take(s, '+') || take(s, '-'));
        if (!scan_digits(s))
            return FALSE;
    }
    return check_range(s, first, whole);
}

static gboolean
scan_word(Scan *s)
{
    static const char *const words[] = {"true", "false", "null"};

    for (guint i = 0; i < G_N_ELEMENTS(words); i++) {
        gsize length = strlen(words[i]);
        if ((gsize)(s->end - s->at) >= length && memcmp(s->at, words[i], length) == 0) {
            s->at += length;
            return TRUE;
        }
    }
    return fail(s, "value expected");
}

static gboolean
scan_key(Scan *s)
{
    skip_space(s);
    if (!scan_string(s))
        return FALSE;
    skip_space(s);
    s->members++;
    return take(s, ':') || fail(s, "':' expected");
}

/* From after the opening bracket to after the closing one. */
static gboolean
scan_members(Scan *s, gboolean is_object)
{
    char close = is_object ? '}' : ']';

    skip_space(s);
    if (take(s, close))
        return TRUE;
    for (;;) {
        if (is_object && !scan_key(s))
            return FALSE;
        if (!scan_value(s))
            return FALSE;
        skip_space(s);
        if (take(s, close))
            return TRUE;
        if (!take(s, ','))
            return fail(s, "',' or closing bracket expected");
        if (!count_node(s))
            return FALSE;
    }
}

static gboolean
scan_container(Scan *s)
{
    gboolean is_object = *s->at == '{';

    if (s->depth >= MIGD_JSON_MAX_DEPTH)
        return fail(s, "nested too deep");
    if (!count_node(s))
        return FALSE;
    s->at++;
    s->depth++;
    if (!scan_members(s, is_object))
        return FALSE;
    s->depth--;
    return TRUE;
}

static gboolean
scan_value(Scan *s)
{
    skip_space(s);
    switch (peek(s)) {
    case '{':
    case '[':
        return scan_container(s);
    case '"':
        return scan_string(s);
    default:
        return peek(s) == '-' || g_ascii_isdigit(peek(s)) ? scan_number(s) : scan_word(s);
    }
}

gboolean
migd_json_scan(const char *text, gsize length, gsize *ret_members, GError **error)
{
    Scan s = {.at = text, .start = text, .end = text + length, .error = error};

    if (length > MIGD_JSON_MAX_BYTES)
        return fail(&s, "document too long");
    if (!g_utf8_validate_len(text, length, &s.at))
        return fail(&s, "no UTF-8");
    s.at = text;
    skip_space(&s);
    if (peek(&s) != '{' && peek(&s) != '[')
        return fail(&s, "object or array expected");
    if (!scan_container(&s))
        return FALSE;
    skip_space(&s);
    if (s.at != s.end)
        return fail(&s, "text after the document");
    *ret_members = s.members;
    return TRUE;
}

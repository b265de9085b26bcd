/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A scanner for tags that knows where each one begins and ends, which parsers do not tell. It is
 * given what libvirt has formatted, but takes anything: comments, CDATA, attributes with ">".
 */
#include "virt/xml.h"

#include <string.h>

#include "base/error.h"

#define LEVELS 4

static const char *const path[LEVELS] = {"domain", "features", "kvm", "dirty-ring"};

typedef enum {
    TAG_OPEN,
    TAG_CLOSE,
    TAG_EMPTY,
} TagKind;

typedef struct {
    TagKind kind;
    const char *begin, *end; /* from its '<' to after its '>' */
    const char *name;
    gsize length; /* of the name */
} Tag;

/* An element of the path: where it begins and ends, and its content. */
typedef struct {
    const char *begin, *inside, *after_inside, *end; /* NULL = not there; empty: inside == NULL */
} Element;

/* Past `what`, or NULL. */
static const char *
skip(const char *text, const char *what)
{
    const char *found = strstr(text, what);

    return found != NULL ? found + strlen(what) : NULL;
}

/* The end of a tag: a '>' inside quotes is none. */
static const char *
find_end(const char *text)
{
    char quote = '\0';

    for (; *text != '\0'; text++) {
        if (quote != '\0')
            quote = *text == quote ? '\0' : quote;
        else if (*text == '"' || *text == '\'')
            quote = *text;
        else if (*text == '>')
            return text + 1;
    }
    return NULL;
}

/* The next tag at or after `text`. FALSE at the end, or where it is no XML. */
static gboolean
next_tag(const char *text, Tag *ret)
{
    while (text != NULL && (text = strchr(text, '<')) != NULL) {
        if (g_str_has_prefix(text, "<!--")) {
            text = skip(text, "-->");
        } else if (g_str_has_prefix(text, "<![CDATA[")) {
            text = skip(text, "]]>");
        } else if (text[1] == '?' || text[1] == '!') {
            text = skip(text, ">");
        } else {
            const char *end = find_end(text);

            if (end == NULL)
                return FALSE;
            *ret = (Tag){.kind = text[1] == '/'   ? TAG_CLOSE
                                 : end[-2] == '/' ? TAG_EMPTY
                                                  : TAG_OPEN,
                         .begin = text,
                         .end = end,
                         .name = text + (text[1] == '/' ? 2 : 1)};
            ret->length = strcspn(ret->name, " \t\r\n/>");
            return TRUE;
        }
    }
    return FALSE;
}

static gboolean
is_named(const Tag *tag, const char *name)
{
    return tag->length == strlen(name) && strncmp(tag->name, name, tag->length) == 0;
}

/* The first of each element of the path. FALSE unless the document is a domain, from its first tag
 * to its last. */
static gboolean
find_elements(const char *xml, Element elements[LEVELS])
{
    guint depth = 0, matched = 0; /* elements open; of these, along the path */
    Tag tag = {.end = xml};

    memset(elements, 0, LEVELS * sizeof elements[0]);
    while (next_tag(tag.end, &tag)) {
        if (tag.kind == TAG_CLOSE) {
            if (depth == 0)
                return FALSE;
            depth--;
            if (depth < matched) {
                elements[depth].after_inside = tag.begin;
                elements[depth].end = tag.end;
                matched = depth;
            }
            if (depth == 0)
                return elements[0].end != NULL;
            continue;
        }
        if (depth == matched && depth < LEVELS && elements[depth].begin == NULL &&
            is_named(&tag, path[depth])) {
            elements[depth].begin = tag.begin;
            if (tag.kind == TAG_EMPTY)
                elements[depth].end = tag.end;
            else
                elements[depth].inside = tag.end, matched++;
        }
        depth += tag.kind == TAG_OPEN;
        if (depth == 0) /* the whole document is one empty tag */
            return elements[0].end != NULL;
    }
    return FALSE;
}

/* The value of an attribute of the tag at `begin`; NULL = none. Caller frees. */
static char *
attribute(const char *begin, const char *name)
{
    const char *end = find_end(begin);

    for (const char *p = strpbrk(begin, " \t\r\n"); p != NULL && p < end;
         p = strpbrk(p, " \t\r\n")) {
        const char *value, *close;

        p += strspn(p, " \t\r\n");
        value = p + strcspn(p, "='\">");
        if (*value != '=' || (value[1] != '"' && value[1] != '\''))
            continue;
        close = strchr(value + 2, value[1]);
        if (close == NULL || close >= end)
            return NULL;
        if (strlen(name) == (gsize)(value - p) && strncmp(p, name, strlen(name)) == 0)
            return g_strndup(value + 2, (gsize)(close - value - 2));
        p = close;
    }
    return NULL;
}

guint32
migd_virt_xml_ring(const char *xml)
{
    Element elements[LEVELS];
    g_autofree char *state = NULL, *size = NULL;
    guint64 entries = 0;

    if (!find_elements(xml, elements) || elements[3].begin == NULL)
        return 0;
    state = attribute(elements[3].begin, "state");
    size = attribute(elements[3].begin, "size");
    if (g_strcmp0(state, "on") != 0 || size == NULL ||
        !g_ascii_string_to_unsigned(size, 10, 1, G_MAXUINT32, &entries, NULL))
        return 0;
    return (guint32)entries;
}

/* ---- editing -----------------------------------------------------------------------------------
 */

/* `xml` with what lies from `begin` to `end` replaced. */
static char *
splice(const char *xml, const char *begin, const char *end, const char *text)
{
    GString *out = g_string_new_len(xml, begin - xml);

    g_string_append(out, text);
    g_string_append(out, end);
    return g_string_free(out, FALSE);
}

/* An element with the line that it has for itself. */
static void
take_line(const char *xml, const char **begin, const char *end)
{
    const char *p = *begin;

    while (p > xml && (p[-1] == ' ' || p[-1] == '\t'))
        p--;
    if (p > xml && p[-1] == '\n' && (*end == '\n' || *end == '\r' || *end == '\0'))
        *begin = p - 1;
}

static gboolean
is_blank(const Element *element)
{
    for (const char *p = element->inside; p != NULL && p < element->after_inside; p++)
        if (!g_ascii_isspace(*p))
            return FALSE;
    return TRUE;
}

/* The element at `level` is there and goes; so do its parents, if they held nothing else. */
static char *
remove_from(const char *xml, Element *elements, guint level)
{
    const char *begin = elements[level].begin;
    g_autofree char *text = NULL;

    take_line(xml, &begin, elements[level].end);
    text = splice(xml, begin, elements[level].end, "");
    if (level > 1 && find_elements(text, elements) && is_blank(&elements[level - 1]))
        return remove_from(text, elements, level - 1);
    return g_steal_pointer(&text);
}

/* The text of the path from `level` down, each element on a line. */
static void
append_path(GString *out, guint level, guint32 entries)
{
    for (guint i = level; i < LEVELS; i++) {
        g_string_append_printf(out, "\n%*s", (int)(2 * i), "");
        if (i + 1 == LEVELS)
            g_string_append_printf(out, "<dirty-ring state='on' size='%u'/>", entries);
        else
            g_string_append_printf(out, "<%s>", path[i]);
    }
    for (guint i = LEVELS - 1; i > level; i--)
        g_string_append_printf(out, "\n%*s</%s>", (int)(2 * (i - 1)), "", path[i - 1]);
}

/* Into the deepest element of the path that is there, before its end. */
static char *
insert(const char *xml, const Element *elements, guint32 entries)
{
    guint level = 3;
    const Element *parent;
    const char *at;
    g_autoptr(GString) text = g_string_new(NULL);

    while (elements[level - 1].begin == NULL)
        level--;
    parent = &elements[level - 1];
    if (parent->inside == NULL) { /* <features/> */
        g_string_append_printf(text, "<%s>", path[level - 1]);
        append_path(text, level, entries);
        g_string_append_printf(text, "\n%*s</%s>", (int)(2 * (level - 1)), "", path[level - 1]);
        return splice(xml, parent->begin, parent->end, text->str);
    }
    append_path(text, level, entries);
    at = parent->after_inside;
    while (at > parent->inside && g_ascii_isspace(at[-1]))
        at--;
    if (at == parent->after_inside) /* nothing between the last child and the end */
        g_string_append_printf(text, "\n%*s", (int)(2 * (level - 1)), "");
    return splice(xml, at, at, text->str);
}

char *
migd_virt_xml_set_ring(const char *xml, guint32 entries, GError **error)
{
    Element elements[LEVELS];
    g_autofree char *ring = NULL;

    if (!find_elements(xml, elements) || elements[0].inside == NULL) {
        g_set_error(error, MIGD_ERROR, MIGD_ERROR_INVALID_ARGUMENT, "not the XML of a domain");
        return NULL;
    }
    if (entries == 0)
        return elements[3].begin != NULL ? remove_from(xml, elements, 3) : g_strdup(xml);
    if (elements[3].begin == NULL)
        return insert(xml, elements, entries);
    ring = g_strdup_printf("<dirty-ring state='on' size='%u'/>", entries);
    return splice(xml, elements[3].begin, elements[3].end, ring);
}

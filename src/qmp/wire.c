/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The codec: lines out of a stream, messages out of lines. The limit on a line holds before its
 * newline has come, so a peer that never ends a line costs a megabyte and its connection.
 */
#include "qmp/wire.h"

#include "base/error.h"
#include "base/text.h"

#include <string.h>

void
migd_qmp_message_clear(MigdQmpMessage *message)
{
    g_clear_pointer(&message->json, migd_json_unref);
    g_clear_pointer(&message->name, g_free);
    g_clear_pointer(&message->text, g_free);
    message->data = NULL;
}

void
migd_qmp_wire_init(MigdQmpWire *wire)
{
    *wire = (MigdQmpWire){.bytes = g_byte_array_new()};
}

void
migd_qmp_wire_clear(MigdQmpWire *wire)
{
    g_clear_pointer(&wire->bytes, g_byte_array_unref);
    wire->start = wire->scanned = 0;
}

void
migd_qmp_wire_feed(MigdQmpWire *wire, const void *bytes, gsize length)
{
    if (wire->start > 0) {
        g_byte_array_remove_range(wire->bytes, 0, (guint)wire->start);
        wire->scanned -= wire->start;
        wire->start = 0;
    }
    g_byte_array_append(wire->bytes, bytes, (guint)length);
}

static gboolean
broken(GError **error, const char *what)
{
    g_set_error(error, MIGD_ERROR, MIGD_ERROR_FAILED, "QMP: %s", what);
    return FALSE;
}

/* Event names are words; nothing else may reach a table, a log or a bus name. */
static gboolean
is_name(const char *name)
{
    gsize length = strlen(name);

    if (length == 0 || length > MIGD_QMP_MAX_NAME)
        return FALSE;
    for (const char *p = name; *p != '\0'; p++)
        if (!g_ascii_isalnum(*p) && strchr("_-.", *p) == NULL)
            return FALSE;
    return TRUE;
}

/* A member that must be there. */
static gboolean
need(MigdJsonResult result, GError **error)
{
    return result == MIGD_JSON_ABSENT ? broken(error, "message without its members")
                                      : result == MIGD_JSON_OK;
}

/* An id of another type or range is not ours: the message stays without one and is dropped later.
 */
static void
read_id(MigdQmpMessage *m)
{
    m->has_id = migd_json_get_u64(m->json, "id", 0, G_MAXUINT64, &m->id, NULL) == MIGD_JSON_OK;
}

static gboolean
read_greeting(MigdQmpMessage *m, GError **error)
{
    m->kind = MIGD_QMP_GREETING;
    return need(migd_json_get_object(m->json, "QMP", &m->data, error), error);
}

static gboolean
read_return(MigdQmpMessage *m, GError **error)
{
    m->kind = MIGD_QMP_RETURN;
    read_id(m);
    if (migd_json_get_object(m->json, "return", &m->data, NULL) != MIGD_JSON_OK)
        (void)migd_json_get_array(m->json, "return", &m->data, NULL);
    return TRUE;
}

static gboolean
read_error(MigdQmpMessage *m, GError **error)
{
    m->kind = MIGD_QMP_ERROR;
    read_id(m);
    return need(migd_json_get_text(m->json, "error.class", &m->name, error), error) &&
           need(migd_json_get_text(m->json, "error.desc", &m->text, error), error);
}

static gboolean
read_event(MigdQmpMessage *m, GError **error)
{
    const char *name = NULL;

    m->kind = MIGD_QMP_EVENT;
    if (!need(migd_json_get_string(m->json, "event", &name, error), error))
        return FALSE;
    if (!is_name(name))
        return broken(error, "bad name of an event");
    m->name = g_strdup(name);
    return migd_json_get_object(m->json, "data", &m->data, error) != MIGD_JSON_BAD;
}

static const struct {
    const char *key;
    gboolean (*read)(MigdQmpMessage *m, GError **error);
} kinds[] = {
    {"QMP", read_greeting},
    {"return", read_return},
    {"error", read_error},
    {"event", read_event},
};

static gboolean
read_message(const char *line, gsize length, MigdQmpMessage *ret, GError **error)
{
    g_auto(MigdQmpMessage) m = {0};
    gint kind = -1;

    m.json = migd_json_parse(line, length, error);
    if (m.json == NULL)
        return FALSE;
    for (guint i = 0; i < G_N_ELEMENTS(kinds); i++) {
        if (!migd_json_has(m.json, kinds[i].key))
            continue;
        if (kind >= 0)
            return broken(error, "message of two kinds");
        kind = (gint)i;
    }
    if (kind < 0)
        return broken(error, "message of no known kind");
    if (!kinds[kind].read(&m, error))
        return FALSE;
    *ret = m;
    m = (MigdQmpMessage){0};
    return TRUE;
}

static gboolean
is_blank(const char *line, gsize length)
{
    for (gsize i = 0; i < length; i++)
        if (!g_ascii_isspace(line[i]))
            return FALSE;
    return TRUE;
}

MigdQmpNext
migd_qmp_wire_next(MigdQmpWire *wire, MigdQmpMessage *ret_message, GError **error)
{
    while (wire->bytes->len > 0) {
        const char *base = (const char *)wire->bytes->data;
        gsize length = wire->bytes->len - wire->scanned;
        const char *newline = length > 0 ? memchr(base + wire->scanned, '\n', length) : NULL;
        gsize end = newline != NULL ? (gsize)(newline - base) : wire->bytes->len;
        const char *line = base + wire->start;

        length = end - wire->start;
        if (length > MIGD_QMP_MAX_LINE) {
            (void)broken(error, "line too long");
            return MIGD_QMP_NEXT_BROKEN;
        }
        wire->scanned = end;
        if (newline == NULL)
            return MIGD_QMP_NEXT_NONE;
        wire->start = wire->scanned = end + 1;
        if (is_blank(line, length))
            continue;
        return read_message(line, length, ret_message, error) ? MIGD_QMP_NEXT_MESSAGE
                                                              : MIGD_QMP_NEXT_BROKEN;
    }
    return MIGD_QMP_NEXT_NONE;
}

char *
migd_qmp_encode(const char *command, const MigdJson *arguments, guint64 id)
{
    g_autoptr(MigdJson) message = migd_json_object_new();
    g_autofree char *text = NULL;

    migd_json_add_string(message, "execute", command);
    if (arguments != NULL)
        migd_json_add(message, "arguments", migd_json_ref((MigdJson *)arguments));
    migd_json_add_u64(message, "id", id);
    text = migd_json_to_string(message, MIGD_JSON_SHORT);
    return g_strconcat(text, "\n", NULL);
}

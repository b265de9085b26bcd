/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * QMP on the wire, as a pure codec: bytes in, in whatever pieces they come, messages out; commands
 * to bytes. The peer is hostile: a guest that breaks out writes its own QMP. No socket, no clock;
 * what a message means is for others.
 */
#pragma once

#include "json/json.h"

#define MIGD_QMP_MAX_LINE MIGD_JSON_MAX_BYTES /* also while its end has not come yet */
#define MIGD_QMP_MAX_NAME 64                  /* bytes of an event's or a command's name */

typedef enum {
    MIGD_QMP_GREETING,
    MIGD_QMP_RETURN,
    MIGD_QMP_ERROR,
    MIGD_QMP_EVENT,
} MigdQmpKind;

typedef struct {
    MigdQmpKind kind;
    MigdJson *json; /* the whole message; owns what `data` points to */
    const MigdJson
        *data; /* RETURN: the value, EVENT: "data"; NULL if there is none or it is no container */
    gboolean has_id; /* RETURN, ERROR: it carried an id of the kind that we send */
    guint64 id;
    char *name; /* EVENT: its name; ERROR: its class */
    char *text; /* ERROR: its description, made printable */
} MigdQmpMessage;

void migd_qmp_message_clear(MigdQmpMessage *message);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(MigdQmpMessage, migd_qmp_message_clear)

/* The bytes of one connection that are not yet messages. Never more than a line and what was fed at
 * once. */
typedef struct {
    GByteArray *bytes;
    gsize start;   /* of the first line not taken yet */
    gsize scanned; /* up to here no newline was found */
} MigdQmpWire;

void migd_qmp_wire_init(MigdQmpWire *wire);
void migd_qmp_wire_clear(MigdQmpWire *wire);

void migd_qmp_wire_feed(MigdQmpWire *wire, const void *bytes, gsize length);

typedef enum {
    MIGD_QMP_NEXT_NONE,    /* feed more */
    MIGD_QMP_NEXT_MESSAGE, /* *ret_message is filled; clear it */
    MIGD_QMP_NEXT_BROKEN,  /* error set: this is not QMP, close the connection */
} MigdQmpNext;

/* Takes the next message out. Ask until NONE before the next feed. Empty lines are skipped. */
MigdQmpNext migd_qmp_wire_next(MigdQmpWire *wire, MigdQmpMessage *ret_message, GError **error);

/* One command as a line with its newline. `arguments` may be NULL and stays the caller's. Caller
 * frees. */
char *migd_qmp_encode(const char *command, const MigdJson *arguments, guint64 id);

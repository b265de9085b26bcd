/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Any bytes from a QMP peer, cut in pieces: the messages must not depend on where the cuts are, and
 * the buffer must stay bounded. The first two bytes give the size of the pieces.
 */
#include "fuzz.h"

#include "qmp/migration.h"
#include "qmp/wire.h"

#include <string.h>

#define MAX_PIECE 4096

static void
check_message(const MigdQmpMessage *message)
{
    g_autoptr(GError) error = NULL;
    MigdQmpEvent event;

    g_assert(message->json != NULL);
    g_assert(message->kind != MIGD_QMP_GREETING || message->data != NULL);
    g_assert(message->kind != MIGD_QMP_ERROR || message->text != NULL);
    if (message->kind != MIGD_QMP_EVENT)
        return;
    g_assert(message->name[0] != '\0' && strlen(message->name) <= MIGD_QMP_MAX_NAME);
    g_assert(migd_qmp_decode_event(message, &event, &error) == (error == NULL));
}

/* The messages and the way it ended, as text. */
static char *
decode(const uint8_t *data, size_t size, size_t piece)
{
    GString *out = g_string_new(NULL);
    MigdQmpNext next = MIGD_QMP_NEXT_NONE;
    MigdQmpWire wire;

    migd_qmp_wire_init(&wire);
    for (size_t at = 0; at < size && next != MIGD_QMP_NEXT_BROKEN; at += piece) {
        migd_qmp_wire_feed(&wire, data + at, MIN(piece, size - at));
        g_assert(wire.bytes->len <= MIGD_QMP_MAX_LINE + 1 + piece);
        for (;;) {
            g_auto(MigdQmpMessage) message = {0};
            g_autofree char *text = NULL;

            next = migd_qmp_wire_next(&wire, &message, NULL);
            if (next != MIGD_QMP_NEXT_MESSAGE)
                break;
            check_message(&message);
            text = migd_json_to_string(message.json, MIGD_JSON_SHORT);
            g_string_append_printf(out, "%d %s\n", (int)message.kind, text);
        }
    }
    g_string_append(out, next == MIGD_QMP_NEXT_BROKEN ? "broken" : "more");
    migd_qmp_wire_clear(&wire);
    return g_string_free(out, FALSE);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    g_autofree char *whole = NULL;
    g_autofree char *pieces = NULL;

    if (size < 3)
        return 0;
    whole = decode(data + 2, size - 2, size);
    pieces = decode(data + 2, size - 2, 1 + (data[0] + 256u * data[1]) % MAX_PIECE);
    g_assert_cmpstr(whole, ==, pieces);
    return 0;
}

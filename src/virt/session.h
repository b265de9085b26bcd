/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * One connection for events, from its opening to its end. Made in a thread, used on the main loop.
 * Private to src/virt.
 */
#pragma once

#include "virt/connection.h"

#define MIGD_VIRT_N_EVENTS 4

typedef struct {
    MigdVirtConnection *owner; /* NULL: nobody listens (any more); main loop only */
    virConnectPtr events;
    GPtrArray *names; /* of MigdVirtName: the domains at the start */
    gboolean has_monitor_events;
    int ids[MIGD_VIRT_N_EVENTS]; /* of the registrations; negative = none */
    int monitor_id;
} MigdVirtSession;

/* Blocks. Registers for everything, then lists the domains. NULL with `error` set. */
MigdVirtSession *migd_virt_session_open(const char *uri, GError **error);

/* Events hold references. Dropping does not block. */
MigdVirtSession *migd_virt_session_ref(MigdVirtSession *session);
void migd_virt_session_unref(MigdVirtSession *session);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(MigdVirtSession, migd_virt_session_unref)

/* Ends it: no further event; closed in a thread. */
void migd_virt_session_drop(MigdVirtSession *session);

/* connection.c: what a session tells. Main loop. */
void migd_virt_connection_event(MigdVirtConnection *connection, const MigdVirtEvent *event);
void migd_virt_connection_closed(MigdVirtConnection *connection, int reason);

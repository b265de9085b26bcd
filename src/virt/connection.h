/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The way to one libvirt daemon: opened in a thread, kept alive, opened again with a growing pause
 * when it breaks, and what it announces, decoded. Asks nothing about a single domain: see pool.h.
 *
 * The connection here is for events alone. Calls have theirs in the pool, and one that lasts as
 * long as a migration has its own (migrate.h).
 */
#pragma once

#include "virt/pool.h"

typedef struct MigdVirtConnection MigdVirtConnection;

typedef struct {
    char uuid[VIR_UUID_STRING_BUFLEN];
    char *name; /* as libvirt spells it */
} MigdVirtName;

typedef enum {
    MIGD_VIRT_LIFECYCLE, /* `event`, `detail`: VIR_DOMAIN_EVENT_… */
    MIGD_VIRT_ITERATION, /* `event`: number of the pass */
    MIGD_VIRT_JOB_COMPLETED,
    MIGD_VIRT_MONITOR, /* `text`: the name, `details`: JSON or NULL */
    MIGD_VIRT_METADATA,
} MigdVirtEventKind;

/* Everything is borrowed until the listener returns. */
typedef struct {
    MigdVirtEventKind kind;
    char uuid[VIR_UUID_STRING_BUFLEN];
    const char *name;
    int event, detail;
    const char *text, *details;
    virTypedParameterPtr params;
    int n_params;
} MigdVirtEvent;

typedef struct {
    /* Connected: `names` (of MigdVirtName) are all domains there are. Events may have been missed
     * before. */
    void (*up)(GPtrArray *names, gpointer user_data);
    /* Not connected (any more). Calls end with BackendLost. */
    void (*down)(const char *why, gpointer user_data);
    void (*event)(const MigdVirtEvent *event, gpointer user_data);
} MigdVirtListener;

/* Begins to connect to `uri`; calls the listener from the main loop only. */
MigdVirtConnection *
migd_virt_connection_new(const char *uri, const MigdVirtListener *listener, gpointer user_data);
void migd_virt_connection_free(MigdVirtConnection *connection);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(MigdVirtConnection, migd_virt_connection_free)

MigdVirtPool *migd_virt_connection_pool(MigdVirtConnection *connection);
const char *migd_virt_connection_uri(const MigdVirtConnection *connection);
gboolean migd_virt_connection_is_up(const MigdVirtConnection *connection);

/* The monitor's events are announced; else ITERATION is all there is. */
gboolean migd_virt_connection_has_monitor_events(const MigdVirtConnection *connection);

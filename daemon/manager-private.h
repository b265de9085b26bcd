/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the two files of the manager share: manager.c (registry, configuration) and manager-events.c
 * (the backend's side: domains coming and going, migrations found and taken up). Nobody else
 * includes this.
 */
#pragma once

#include "daemon/journal.h"
#include "daemon/manager.h"
#include "daemon/traces.h"

struct MigdManager {
    const MigdConfigSource *source;
    MigdConfig *config;
    gboolean observe;
    GPtrArray *backends; /* of MigdBackend */
    MigdNotify *notify;
    char *trace_directory;
    MigdPredictor *predictor;
    const MigdManagerListener *listener;
    gpointer user_data;
    MigdHolds *holds;
    gboolean stopping;

    GHashTable *domains;    /* k: uuid (the value's) -> v: MigdManagedDomain */
    GHashTable *watches;    /* k: id (the value's) -> v: MigdWatch, running and finished */
    GQueue *finished;       /* of MigdWatch (borrowed), oldest first */
    GQueue *expiry_sources; /* of source ids, in the order of `finished` */

    GQueue batches; /* of MigdBatch: something of them waits */
    guint batch_source;

    GPtrArray *left_open; /* of MigdOpenTrace: by an earlier daemon, domain not seen yet */
    guint give_up_source; /* ... and not waited for any longer */
};

void migd_managed_domain_free(gpointer domain);
gboolean migd_manager_is_migrating(const MigdManagedDomain *domain);
void migd_manager_tell_counts(MigdManager *manager);

/* Whether it could begin now: its state, and leases. */
gboolean
migd_manager_may_begin(const MigdManager *manager, const MigdManagedDomain *domain, GError **error);
/* Checks `request` and announces its (borrowed) watch, which is not started. NULL: refused. */
MigdWatch *migd_manager_prepare(MigdManager *manager, MigdManagedDomain *domain,
                                const MigdMigrateRequest *request, gboolean queued, GError **error);

/* Registers and announces; returns the (borrowed) watch. `domain` may be NULL: its hypervisor is
 * gone. */
MigdWatch *migd_manager_add_watch(MigdManager *manager, MigdManagedDomain *domain,
                                  MigdDomain *hypervisor, const MigdWatchSetup *setup);

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * All domains and migrations of the host: feeds backend events to watches, starts, finds and takes
 * up migrations, keeps finished ones for a while, holds the configuration. Knows nothing of D-Bus:
 * the bus listens to it.
 */
#pragma once

#include "daemon/backend.h"
#include "daemon/config.h"
#include "daemon/hold.h"
#include "daemon/notify.h"
#include "daemon/predict.h"
#include "daemon/watch.h"

typedef struct MigdManager MigdManager;

/* Finished migrations stay visible for so long, and at most so many of them. */
#define MIGD_KEEP_FINISHED_S 300
#define MIGD_KEEP_FINISHED_MAX 64

/* A domain as the manager knows it; owned by the manager. */
typedef struct {
    MigdManager *manager;
    MigdDomain *domain;
    char *uuid;
    char *name;         /* clean */
    MigdWatch *watch;   /* its running or newest migration; NULL = none */
    gboolean incoming;  /* it waits, or waited, for a migration that has not ended yet */
    gboolean taking_up; /* asked about records that an earlier daemon left open */
} MigdManagedDomain;

typedef struct {
    void (*domain_added)(MigdManagedDomain *domain, gpointer user_data);
    void (*domain_changed)(MigdManagedDomain *domain, gpointer user_data);
    void (*domain_removed)(MigdManagedDomain *domain, gpointer user_data);
    void (*migration_new)(MigdWatch *watch, gpointer user_data);
    void (*migration_removed)(MigdWatch *watch, gpointer user_data);
    MigdWatchListener watch;
    void (*config_changed)(gpointer user_data);
    void (*backend_changed)(gpointer user_data);
    void (*qmp_fault)(MigdQmpFault fault, gpointer user_data);
} MigdManagerListener;

/* Takes `config` and `backends` (of MigdBackend, with their free function); borrows the rest.
 * `source` serves reloads. */
MigdManager *migd_manager_new(const MigdConfigSource *source, MigdConfig *config,
                              GPtrArray *backends, const char *state_directory, MigdNotify *notify);
/* Stops watching; running migrations go on and are taken up by the next daemon. */
void migd_manager_free(MigdManager *manager);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(MigdManager, migd_manager_free)

void migd_manager_set_listener(MigdManager *manager, const MigdManagerListener *listener,
                               gpointer user_data);

/* Reads what an earlier daemon left and begins to look for domains. */
gboolean migd_manager_start(MigdManager *manager, GError **error);

const MigdConfig *migd_manager_config(const MigdManager *manager);
gboolean migd_manager_observes(const MigdManager *manager);
/* The same for one domain: also while somebody holds it. */
gboolean migd_manager_observes_domain(const MigdManager *manager, const char *domain_uuid);
/* The leases on all domains. */
MigdHolds *migd_manager_holds(const MigdManager *manager);
MigdPredictor *migd_manager_predictor(const MigdManager *manager);
/* NULL-terminated; free the container with g_free(), not the strings. */
const char **migd_manager_backend_names(const MigdManager *manager);
/* a{ss}, floating: of each backend that cannot be used now, why. */
GVariant *migd_manager_backend_problems(const MigdManager *manager);

/* The profile of a domain that a call does not name one for. `*ret_source` (optional): "metadata"
 * (the domain brought it along), "match" or "default". */
const MigdProfile *
migd_manager_choose_profile(const MigdManager *manager, const MigdManagedDomain *domain,
                            const char **ret_source);

/* By name or UUID. NoSuchDomain; InvalidArgument for a name that two domains share. */
MigdManagedDomain *migd_manager_find_domain(MigdManager *manager, const char *name, GError **error);
MigdWatch *migd_manager_find_migration(MigdManager *manager, const char *id, GError **error);

/* New arrays of borrowed MigdManagedDomain and MigdWatch, domains by name, migrations by start. */
GPtrArray *migd_manager_domains(MigdManager *manager);
GPtrArray *migd_manager_migrations(MigdManager *manager);

typedef struct {
    const char *destination;
    const char *migrate_uri; /* NULL = none */
    const char *id;          /* a UUID that no migration has */
    const MigdProfile *profile;
    gboolean allow_postcopy;
    guint32 connections; /* 0 = as many as it needs */
} MigdMigrateRequest;

/* Begins a migration. FALSE: refused, `done` is not called. Else it is on its way, and `done` tells
 * (now or later) whether the hypervisor took it. */
gboolean migd_manager_migrate(MigdManager *manager, MigdManagedDomain *domain,
                              const MigdMigrateRequest *request, MigdDoneFunc done,
                              gpointer user_data, GError **error);

/* Keeps everything as it is when anything in the new configuration is wrong. */
gboolean migd_manager_reload(MigdManager *manager, GError **error);
/* Until the next change or reload. */
void migd_manager_set_observe(MigdManager *manager, gboolean observe);

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * One thread a migration. It touches its own copy of the request and nothing else.
 */
#include "virt/migrate.h"

#include <libvirt/virterror.h>

#include "virt/connection.h"
#include "virt/stats.h"
#include "virt/version.h"

#define MIB 1048576u

struct MigdVirtMigration {
    char *uri, *uuid, *destination;
    unsigned int flags;
    MigdVirtParams params;
    guint connections;
    gboolean insist;
    GError *error;
    MigdVirtOutcome outcome;
    MigdVirtMigrated callback; /* NULL once forgotten; main loop only, as what follows */
    gpointer user_data;
};

static void
migration_free(MigdVirtMigration *migration)
{
    g_free(migration->uri);
    g_free(migration->uuid);
    g_free(migration->destination);
    migd_virt_params_clear(&migration->params);
    g_clear_error(&migration->error);
    g_free(migration);
}

static gboolean
ended(gpointer user_data)
{
    MigdVirtMigration *migration = user_data;

    if (migration->callback != NULL)
        migration->callback(&migration->outcome, migration->error, migration->user_data);
    migration_free(migration);
    return G_SOURCE_REMOVE;
}

/* FALSE: it was to be several and cannot be. Otherwise as many as can be. */
static gboolean
add_connections(MigdVirtMigration *migration, virConnectPtr connection)
{
    gboolean postcopy = (migration->flags & VIR_MIGRATE_POSTCOPY) != 0;
    MigdVirtFeature needed = postcopy ? MIGD_VIRT_PARALLEL_POSTCOPY : MIGD_VIRT_PARALLEL;
    g_autoptr(GError) error = NULL;
    int max = migration->params.n;

    migration->outcome.connections = 1;
    if (migration->connections <= 1)
        return TRUE;
    if (!migd_virt_has_feature(connection, needed, &error)) {
        if (migration->insist)
            migration->error = g_steal_pointer(&error);
        return migration->error == NULL;
    }
    migration->outcome.connections = migration->connections;
    migration->flags |= VIR_MIGRATE_PARALLEL;
    (void)virTypedParamsAddInt(&migration->params.list, &migration->params.n, &max,
                               VIR_MIGRATE_PARAM_PARALLEL_CONNECTIONS, (int)migration->connections);
    return TRUE;
}

static void
run(MigdVirtMigration *migration)
{
    g_autoptr(virConnect) connection = migd_virt_open(migration->uri, &migration->error);
    g_autoptr(virDomain) domain = NULL;

    if (connection == NULL)
        return;
    domain = virDomainLookupByUUIDString(connection, migration->uuid);
    if (domain == NULL) {
        migd_virt_set_error(&migration->error, "looking up the domain");
        return;
    }
    if (!add_connections(migration, connection))
        return;
    if (virDomainMigrateToURI3(domain, migration->destination, migration->params.list,
                               (unsigned int)migration->params.n, migration->flags) < 0) {
        migration->outcome.aborted = virGetLastErrorCode() == VIR_ERR_OPERATION_ABORTED;
        migd_virt_set_error(&migration->error, "migrating");
    }
}

static gpointer
in_thread(gpointer data)
{
    run(data);
    g_idle_add_full(G_PRIORITY_DEFAULT, ended, data, NULL);
    return NULL;
}

static void
add_params(MigdVirtParams *params, const MigdVirtMigrate *what)
{
    int max = 0;

    if (what->migrate_uri != NULL)
        (void)virTypedParamsAddString(&params->list, &params->n, &max, VIR_MIGRATE_PARAM_URI,
                                      what->migrate_uri);
    if (what->bandwidth_bps != 0)
        (void)virTypedParamsAddULLong(
            &params->list, &params->n, &max, VIR_MIGRATE_PARAM_BANDWIDTH,
            CLAMP(what->bandwidth_bps / MIB, 1, MIGD_VIRT_NO_SPEED_LIMIT));
    if (!what->auto_converge)
        return;
    /* Through libvirt, which puts them back at the end. */
    (void)virTypedParamsAddInt(&params->list, &params->n, &max,
                               VIR_MIGRATE_PARAM_AUTO_CONVERGE_INITIAL, 1);
    (void)virTypedParamsAddInt(&params->list, &params->n, &max,
                               VIR_MIGRATE_PARAM_AUTO_CONVERGE_INCREMENT, 1);
}

MigdVirtMigration *
migd_virt_migration_start(const MigdVirtMigrate *what, MigdVirtMigrated callback,
                          gpointer user_data)
{
    MigdVirtMigration *migration = g_new0(MigdVirtMigration, 1);

    migration->uri = g_strdup(what->uri);
    migration->uuid = g_strdup(what->uuid);
    migration->destination = g_strdup(what->destination);
    migration->flags = VIR_MIGRATE_LIVE | VIR_MIGRATE_PEER2PEER;
    if (what->auto_converge)
        migration->flags |= VIR_MIGRATE_AUTO_CONVERGE;
    if (what->postcopy)
        migration->flags |= VIR_MIGRATE_POSTCOPY;
    migration->connections = what->connections;
    migration->insist = what->insist;
    add_params(&migration->params, what);
    migration->callback = callback;
    migration->user_data = user_data;
    g_thread_unref(g_thread_new("migrate", in_thread, migration));
    return migration;
}

void
migd_virt_migration_forget(MigdVirtMigration *migration)
{
    if (migration != NULL)
        migration->callback = NULL;
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What backends report, turned into domains and watches: migrations that somebody else starts are
 * followed, and those that an earlier daemon watched are taken up from their traces.
 */
#include "daemon/manager-private.h"

#include <string.h>

#include "base/error.h"
#include "base/text.h"

/* A domain of an open record that has not shown up by then is gone. */
#define GIVE_UP_S 10

static const MigdDomainInfo *
info_of(const MigdManagedDomain *domain)
{
    return domain->domain->backend->ops->info(domain->domain);
}

static gboolean
is_running(MigdStatus status)
{
    return status != MIGD_STATUS_NONE && !migd_status_is_end(status);
}

/* ---- somebody else's migrations -------------------------------------------------------------- */

static void
follow(MigdManager *manager, MigdManagedDomain *domain)
{
    const MigdProfile *profile = migd_manager_choose_profile(manager, domain, NULL);
    g_autofree char *id = g_uuid_string_random();
    MigdWatchSetup setup = {.id = id,
                            .domain_uuid = domain->uuid,
                            .domain_name = domain->name,
                            .origin = "external",
                            .destination = "",
                            .profile = profile,
                            .costs = migd_predictor_costs(manager->predictor, domain->uuid, ""),
                            .observe = migd_manager_observes_domain(manager, domain->uuid),
                            .trace_path = migd_traces_path(manager->trace_directory, id)};

    MigdWatch *watch = migd_manager_add_watch(manager, domain, domain->domain, &setup);
    migd_watch_follow(watch);
    migd_predictor_expect(manager->predictor, watch, /* postcopy= */ FALSE);
}

/* One that arrives here, of a hypervisor that tells them apart. */
static void
receive(MigdManager *manager, MigdManagedDomain *domain, MigdStatus status)
{
    g_autofree char *id = g_uuid_string_random();
    MigdWatchSetup setup = {.id = id,
                            .domain_uuid = domain->uuid,
                            .domain_name = domain->name,
                            .origin = "external",
                            .destination = "",
                            .incoming = TRUE,
                            .profile = migd_manager_choose_profile(manager, domain, NULL),
                            .observe = manager->observe,
                            .trace_path = g_strdup("")};

    domain->incoming = !migd_status_is_end(status);
    if (!migd_manager_is_migrating(domain) && is_running(status))
        migd_watch_receive(migd_manager_add_watch(manager, domain, domain->domain, &setup));
    else
        g_free(setup.trace_path);
    if (domain->watch != NULL && migd_watch_info(domain->watch)->incoming)
        migd_watch_received(domain->watch, status, info_of(domain)->migration_error);
}

/* An incoming migration tells its status in the same words. Whatever a domain says while it waits
 * for its guest, up to and including the end, is about the way in; syncs and a setup elsewhere are
 * about a way out. */
static gboolean
is_about_way_in(MigdManagedDomain *domain, MigdEventKind kind, MigdStatus status)
{
    if (info_of(domain)->state == MIGD_DOMAIN_INCOMING)
        return TRUE;
    if (!domain->incoming)
        return FALSE;
    if (kind == MIGD_EVENT_STATUS && status != MIGD_STATUS_SETUP && !migd_status_is_end(status))
        return TRUE;
    domain->incoming = FALSE;
    return kind == MIGD_EVENT_STATUS && migd_status_is_end(status);
}

static void
on_event(MigdDomain *hypervisor, MigdEventKind kind, guint64 argument, gpointer user_data)
{
    MigdManager *manager = user_data;
    MigdManagedDomain *domain = hypervisor->owner;
    MigdStatus status = (MigdStatus)argument;

    if (manager->stopping || domain == NULL)
        return;
    if (kind == MIGD_EVENT_INCOMING) {
        receive(manager, domain, status);
        return;
    }
    if (is_about_way_in(domain, kind, status))
        return;
    if (domain->watch != NULL && migd_watch_is_queued(domain->watch)) {
        if (kind == MIGD_EVENT_STATUS && !is_running(status))
            return; /* of one before it */
        migd_watch_give_up(domain->watch, MIGD_RESULT_CANCELED,
                           "somebody else began to migrate it before its turn came");
    }
    if (migd_manager_is_migrating(domain)) {
        migd_watch_event(domain->watch, kind, argument);
        return;
    }
    if (domain->taking_up || /* its answer says more */
        (kind == MIGD_EVENT_STATUS && !is_running(status)))
        return;
    follow(manager, domain);
    migd_watch_event(domain->watch, kind, argument);
}

/* ---- an earlier daemon's migrations ---------------------------------------------------------- */

/* The newest open record of the domain, taken out of the list; NULL = none. */
static MigdOpenTrace *
take_open(MigdManager *manager, const char *domain_uuid)
{
    for (guint i = manager->left_open->len; i > 0; i--) {
        MigdOpenTrace *open_trace = manager->left_open->pdata[i - 1];
        if (strcmp(open_trace->trace->start.domain_uuid, domain_uuid) == 0)
            return g_ptr_array_steal_index(manager->left_open, i - 1);
    }
    return NULL;
}

static gboolean
has_open(const MigdManager *manager, const char *domain_uuid)
{
    for (guint i = 0; i < manager->left_open->len; i++) {
        const MigdOpenTrace *open_trace = manager->left_open->pdata[i];
        if (strcmp(open_trace->trace->start.domain_uuid, domain_uuid) == 0)
            return TRUE;
    }
    return FALSE;
}

/* `domain` NULL: its hypervisor is gone. `sample`: what it says now, NULL = nothing that could be
 * about this one. */
static void
take_up(MigdManager *manager, MigdManagedDomain *domain, MigdOpenTrace *open_trace,
        const MigdSample *sample)
{
    const MigdTraceStart *start = &open_trace->trace->start;
    gboolean runs = sample != NULL && is_running(sample->status);
    MigdWatchSetup setup = {.id = start->id,
                            .domain_uuid = start->domain_uuid,
                            .domain_name = start->domain_name,
                            .origin = start->origin,
                            .destination = start->destination,
                            .profile = &start->profile,
                            .observe = manager->observe,
                            .trace_path = g_strdup(open_trace->path)};
    MigdWatch *watch;

    if (g_hash_table_contains(manager->watches, start->id)) {
        g_free(setup.trace_path);
        return;
    }
    watch = migd_manager_add_watch(manager, domain, domain != NULL ? domain->domain : NULL, &setup);
    if (runs && migd_watch_is_same(open_trace->trace, sample))
        migd_watch_resume(watch, open_trace->trace);
    else
        migd_watch_close(watch, open_trace->trace, sample, /* restore= */ domain != NULL && !runs);
}

typedef struct {
    MigdManager *manager;
    char *domain_uuid;
} Asked;

static void
got_state(const MigdSample *sample, const GError *error, gpointer user_data)
{
    g_autofree Asked *asked = user_data;
    g_autofree char *uuid = asked->domain_uuid;
    MigdManager *manager = asked->manager;
    MigdManagedDomain *domain =
        manager->stopping ? NULL : g_hash_table_lookup(manager->domains, uuid);

    if (domain == NULL)
        return;
    domain->taking_up = FALSE;
    if (sample == NULL) /* asked again when it changes, or given up */
        return;
    /* What the hypervisor says is about the newest; an older one is only closed. */
    g_autoptr(MigdOpenTrace) newest = take_open(manager, uuid);
    if (newest != NULL)
        take_up(manager, domain, newest, sample);
    while (has_open(manager, uuid)) {
        g_autoptr(MigdOpenTrace) older = take_open(manager, uuid);
        take_up(manager, NULL, older, NULL);
    }
    if (is_running(sample->status) && !migd_manager_is_migrating(domain) && !domain->incoming)
        follow(manager, domain);
}

static void
ask_for_open(MigdManager *manager, MigdManagedDomain *domain)
{
    MigdDomainState state = info_of(domain)->state;
    Asked *asked;

    if (domain->taking_up || !has_open(manager, domain->uuid) ||
        (state != MIGD_DOMAIN_RUNNING && state != MIGD_DOMAIN_PAUSED &&
         state != MIGD_DOMAIN_SHUTOFF))
        return;
    domain->taking_up = TRUE;
    asked = g_new(Asked, 1);
    *asked = (Asked){manager, g_strdup(domain->uuid)};
    domain->domain->backend->ops->query(domain->domain, got_state, asked);
}

static void
close_gone(MigdManager *manager, guint index)
{
    g_autoptr(MigdOpenTrace) open_trace = g_ptr_array_steal_index(manager->left_open, index);

    take_up(manager, NULL, open_trace, NULL);
}

static gboolean
give_up(gpointer user_data)
{
    MigdManager *manager = user_data;

    manager->give_up_source = 0;
    while (manager->left_open->len > 0)
        close_gone(manager, 0);
    return G_SOURCE_REMOVE;
}

static void
read_left_open(MigdManager *manager)
{
    g_autofree char *boot_id = migd_watch_boot_id();

    g_ptr_array_unref(manager->left_open);
    manager->left_open = migd_traces_unfinished(manager->trace_directory);
    for (guint i = manager->left_open->len; i > 0; i--) {
        const MigdOpenTrace *open_trace = manager->left_open->pdata[i - 1];
        /* Its hypervisor died with the boot. */
        if (boot_id == NULL || g_strcmp0(open_trace->trace->start.boot_id, boot_id) != 0)
            close_gone(manager, i - 1);
    }
    if (manager->left_open->len > 0)
        manager->give_up_source = g_timeout_add_seconds(GIVE_UP_S, give_up, manager);
}

/* ---- domains --------------------------------------------------------------------------------- */

void
migd_managed_domain_free(gpointer data)
{
    MigdManagedDomain *domain = data;

    migd_watch_unref(domain->watch);
    g_free(domain->uuid);
    g_free(domain->name);
    g_free(domain);
}

static void
on_added(MigdDomain *hypervisor, gpointer user_data)
{
    MigdManager *manager = user_data;
    const MigdDomainInfo *info = hypervisor->backend->ops->info(hypervisor);
    MigdManagedDomain *domain;

    if (manager->stopping || g_hash_table_contains(manager->domains, info->uuid))
        return;
    domain = g_new0(MigdManagedDomain, 1);
    domain->manager = manager;
    domain->domain = hypervisor;
    domain->uuid = g_strdup(info->uuid);
    domain->name = migd_text_clean(info->name);
    domain->incoming = info->state == MIGD_DOMAIN_INCOMING;
    hypervisor->owner = domain;
    g_hash_table_insert(manager->domains, domain->uuid, domain);
    manager->listener->domain_added(domain, manager->user_data);
    migd_manager_tell_counts(manager);
    ask_for_open(manager, domain);
}

static void
on_removed(MigdDomain *hypervisor, gpointer user_data)
{
    MigdManager *manager = user_data;
    MigdManagedDomain *domain = hypervisor->owner;

    hypervisor->owner = NULL;
    if (manager->stopping || domain == NULL)
        return;
    if (domain->watch != NULL)
        migd_watch_domain_lost(domain->watch);
    manager->listener->domain_removed(domain, manager->user_data);
    g_hash_table_remove(manager->domains, domain->uuid);
    migd_manager_tell_counts(manager);
}

static void
on_changed(MigdDomain *hypervisor, gpointer user_data)
{
    MigdManager *manager = user_data;
    MigdManagedDomain *domain = hypervisor->owner;
    const MigdDomainInfo *info = hypervisor->backend->ops->info(hypervisor);

    if (manager->stopping)
        return;
    /* The UUID is known for good only once the hypervisor has answered. */
    if (domain != NULL && strcmp(domain->uuid, info->uuid) != 0 &&
        !migd_manager_is_migrating(domain)) {
        on_removed(hypervisor, manager);
        domain = NULL;
    }
    if (domain == NULL) {
        on_added(hypervisor, manager);
        return;
    }
    g_free(domain->name);
    domain->name = migd_text_clean(info->name);
    domain->incoming |= info->state == MIGD_DOMAIN_INCOMING;
    if (domain->watch != NULL)
        migd_watch_domain_changed(domain->watch, info);
    manager->listener->domain_changed(domain, manager->user_data);
    ask_for_open(manager, domain);
}

static void
on_backend_changed(MigdBackend *backend, gpointer user_data)
{
    MigdManager *manager = user_data;

    if (!manager->stopping)
        manager->listener->backend_changed(manager->user_data);
}

static void
on_qmp_fault(MigdQmpFault fault, gpointer user_data)
{
    MigdManager *manager = user_data;

    if (!manager->stopping)
        manager->listener->qmp_fault(fault, manager->user_data);
}

gboolean
migd_manager_start(MigdManager *manager, GError **error)
{
    static const MigdBackendListener listener = {on_added, on_changed,         on_removed,
                                                 on_event, on_backend_changed, on_qmp_fault};

    read_left_open(manager);
    for (guint i = 0; i < manager->backends->len; i++) {
        MigdBackend *backend = manager->backends->pdata[i];
        if (!backend->ops->start(backend, &listener, manager, error))
            return FALSE;
    }
    return TRUE;
}

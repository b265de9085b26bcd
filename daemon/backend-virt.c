/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The backend for libvirt: the set of domains, kept true to what libvirt says whenever a connection
 * is made, and by its events in between.
 */
#include "daemon/virt-domain.h"

#include <string.h>

#include "base/text.h"
#include "daemon/journal.h"
#include "daemon/options.h"
#include "daemon/virt-hook.h"

static GPtrArray *
all_domains(MigdVirtHost *host)
{
    GPtrArray *domains = g_ptr_array_new();
    GHashTableIter iter;
    gpointer domain;

    g_hash_table_iter_init(&iter, host->domains);
    while (g_hash_table_iter_next(&iter, NULL, &domain))
        g_ptr_array_add(domains, domain);
    return domains;
}

static gboolean
is_listed(GPtrArray *names, const char *uuid)
{
    for (guint i = 0; i < names->len; i++)
        if (strcmp(((MigdVirtName *)names->pdata[i])->uuid, uuid) == 0)
            return TRUE;
    return FALSE;
}

/* It went while nobody looked: how its migration ended, if there was one, cannot be known. */
static void
missed(MigdVirtDomain *domain)
{
    if (migd_virt_domain_migrates(domain) && domain->call == NULL) {
        domain->lost = TRUE;
        domain->last.status = domain->phase = MIGD_STATUS_NONE;
        migd_virt_domain_changed(domain); /* whoever watches it asks, and is told so */
    }
    if (domain->incoming)
        migd_virt_domain_incoming(domain, MIGD_STATUS_FAILED, "it went while libvirt was away");
    migd_virt_domain_leave(domain);
}

static void
tell_backend(MigdVirtHost *host)
{
    if (host->listener->backend_changed != NULL)
        host->listener->backend_changed(&host->base, host->user_data);
}

static void
on_up(GPtrArray *names, gpointer user_data)
{
    MigdVirtHost *host = user_data;
    g_autoptr(GPtrArray) known = all_domains(host);

    g_clear_pointer(&host->down, g_free);
    migd_log(MIGD_LOG_INFO, NULL, "connected to libvirt, %u domains", names->len);
    tell_backend(host);
    for (guint i = 0; i < known->len; i++) {
        MigdVirtDomain *domain = known->pdata[i];

        if (!is_listed(names, domain->uuid))
            missed(domain);
    }
    for (guint i = 0; i < names->len; i++) {
        const MigdVirtName *name = names->pdata[i];
        MigdVirtDomain *domain = g_hash_table_lookup(host->domains, name->uuid);

        if (domain == NULL)
            domain = migd_virt_domain_new(host, name->uuid, name->name);
        migd_virt_domain_stay(domain);
        migd_virt_domain_refresh(domain);
    }
}

/* Said once per outage. */
static void
on_down(const char *why, gpointer user_data)
{
    MigdVirtHost *host = user_data;
    g_autoptr(GPtrArray) known = all_domains(host);
    gboolean was_up = host->down == NULL;
    g_autofree char *clean = migd_text_clean(why);

    if (!was_up && strcmp(host->down, clean) == 0)
        return;
    g_free(host->down);
    host->down = g_steal_pointer(&clean);
    migd_log(MIGD_LOG_WARNING, NULL, "no libvirt: %s", host->down);
    tell_backend(host);
    for (guint i = 0; was_up && i < known->len; i++)
        migd_virt_domain_changed(known->pdata[i]);
}

static void
on_event(const MigdVirtEvent *event, gpointer user_data)
{
    migd_virt_host_event(user_data, event);
}

static void
on_hook(const char *uuid, const char *name, gpointer user_data)
{
    migd_virt_host_expect(user_data, uuid, name);
}

static gboolean
backend_start(MigdBackend *backend, const MigdBackendListener *listener, gpointer user_data,
              GError **error)
{
    static const MigdVirtListener virt_listener = {on_up, on_down, on_event};
    MigdVirtHost *host = (MigdVirtHost *)backend;
    g_autoptr(GError) problem = NULL;

    host->listener = listener;
    host->user_data = user_data;
    if (host->hook_path != NULL)
        host->hook = migd_virt_hook_new(host->hook_path, on_hook, host, &problem);
    if (problem != NULL) /* it only makes incoming migrations visible sooner */
        migd_log(MIGD_LOG_NOTICE, NULL, "libvirt's hook is not heard: %s", problem->message);
    host->connection = migd_virt_connection_new(host->uri, &virt_listener, host);
    return TRUE;
}

static const MigdDomainInfo *
backend_info(MigdDomain *domain)
{
    return &((MigdVirtDomain *)domain)->info;
}

static const char *
backend_problem(const MigdBackend *backend)
{
    return ((const MigdVirtHost *)backend)->down;
}

static void
backend_free(MigdBackend *backend)
{
    MigdVirtHost *host = (MigdVirtHost *)backend;

    migd_virt_hook_free(host->hook);
    g_hash_table_unref(host->domains);
    g_hash_table_unref(host->carried);
    migd_virt_connection_free(host->connection);
    g_free(host->uri);
    g_free(host->hook_path);
    g_free(host->down);
    g_free(host);
}

static const MigdBackendOps virt_ops = {
    .name = "libvirt",
    .max_connections = MIGD_MAX_CONNECTIONS,
    .free = backend_free,
    .start = backend_start,
    .info = backend_info,
    .problem = backend_problem,
    .check_destination = migd_virt_destination_check,
    .query = migd_virt_query,
    .read_knobs = migd_virt_read_knobs,
    .write_knobs = migd_virt_write_knobs,
    .migrate = migd_virt_start,
    .act = migd_virt_act,
    .set_profile = migd_virt_set_profile,
    .measure = migd_virt_measure,
    .set_write_protect = migd_virt_set_write_protect,
};

MigdBackend *
migd_backend_virt_new(const MigdVirtOptions *options)
{
    MigdVirtHost *host = g_new0(MigdVirtHost, 1);

    host->base.ops = &virt_ops;
    host->uri = g_strdup(options->uri);
    host->hook_path = g_strdup(options->hook_fifo);
    host->call_timeout_ms = options->call_timeout_ms;
    host->allow_monitor = options->allow_monitor;
    host->down = g_strdup("not connected yet");
    host->domains = g_hash_table_new_full(g_str_hash, g_str_equal, NULL, migd_virt_domain_free);
    host->carried = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
    return &host->base;
}

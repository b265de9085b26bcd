/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Registration and decoding of libvirt's events. The callbacks run on the main loop (libvirt-glib's
 * glue), except that a connection may break in any thread that uses it.
 */
#include "virt/session.h"

#include <libvirt/libvirt-qemu.h>
#include <string.h>

/* Seconds between signs of life, and how many may be missing. */
#define KEEPALIVE_S 5
#define KEEPALIVE_COUNT 3

#define MONITOR_EVENTS "^MIGRATION(_PASS)?$"

static void
name_free(gpointer data)
{
    MigdVirtName *name = data;

    g_free(name->name);
    g_free(name);
}

static void
session_clear(gpointer data)
{
    MigdVirtSession *session = data;

    migd_virt_release_connection(session->events);
    g_clear_pointer(&session->names, g_ptr_array_unref);
}

MigdVirtSession *
migd_virt_session_ref(MigdVirtSession *session)
{
    return g_atomic_rc_box_acquire(session);
}

void
migd_virt_session_unref(MigdVirtSession *session)
{
    if (session != NULL)
        g_atomic_rc_box_release_full(session, session_clear);
}

static void
unref_later(void *opaque)
{
    migd_virt_session_unref(opaque);
}

/* ---- events ---------------------------------------------------------------------------------- */

static void
tell(MigdVirtSession *session, virDomainPtr domain, MigdVirtEvent event)
{
    if (session->owner == NULL || virDomainGetUUIDString(domain, event.uuid) < 0)
        return;
    event.name = virDomainGetName(domain);
    migd_virt_connection_event(session->owner, &event);
}

static int
on_lifecycle(virConnectPtr connection, virDomainPtr domain, int event, int detail, void *opaque)
{
    tell(opaque, domain,
         (MigdVirtEvent){.kind = MIGD_VIRT_LIFECYCLE, .event = event, .detail = detail});
    return 0;
}

static void
on_iteration(virConnectPtr connection, virDomainPtr domain, int iteration, void *opaque)
{
    tell(opaque, domain, (MigdVirtEvent){.kind = MIGD_VIRT_ITERATION, .event = iteration});
}

static void
on_job_completed(virConnectPtr connection, virDomainPtr domain, virTypedParameterPtr params,
                 int n_params, void *opaque)
{
    tell(opaque, domain,
         (MigdVirtEvent){.kind = MIGD_VIRT_JOB_COMPLETED, .params = params, .n_params = n_params});
}

static void
on_metadata(virConnectPtr connection, virDomainPtr domain, int type, const char *uri, void *opaque)
{
    tell(opaque, domain, (MigdVirtEvent){.kind = MIGD_VIRT_METADATA});
}

static void
on_monitor(virConnectPtr connection, virDomainPtr domain, const char *name, long long seconds,
           unsigned int micros, const char *details, void *opaque)
{
    tell(opaque, domain,
         (MigdVirtEvent){.kind = MIGD_VIRT_MONITOR, .text = name, .details = details});
}

typedef struct {
    MigdVirtSession *session; /* counted */
    int reason;
} Closed;

static gboolean
tell_closed(gpointer user_data)
{
    g_autofree Closed *closed = user_data;
    g_autoptr(MigdVirtSession) session = closed->session;

    if (session->owner != NULL)
        migd_virt_connection_closed(session->owner, closed->reason);
    return G_SOURCE_REMOVE;
}

static void
on_closed(virConnectPtr connection, int reason, void *opaque)
{
    Closed *closed = g_new(Closed, 1);

    *closed = (Closed){migd_virt_session_ref(opaque), reason};
    g_idle_add_full(G_PRIORITY_DEFAULT, tell_closed, closed, NULL);
}

/* ---- opening, in a thread -------------------------------------------------------------------- */

virConnectPtr
migd_virt_open(const char *uri, GError **error)
{
    virConnectPtr connection = virConnectOpen(uri);

    if (connection == NULL) {
        migd_virt_set_error(error, uri);
        return NULL;
    }
    /* Drivers without a daemon behind them have nothing to keep alive. */
    (void)virConnectSetKeepAlive(connection, KEEPALIVE_S, KEEPALIVE_COUNT);
    return connection;
}

static const struct {
    int id;
    virConnectDomainEventGenericCallback callback;
    gboolean needed;
} events[MIGD_VIRT_N_EVENTS] = {
    {VIR_DOMAIN_EVENT_ID_LIFECYCLE, VIR_DOMAIN_EVENT_CALLBACK(on_lifecycle), TRUE},
    {VIR_DOMAIN_EVENT_ID_MIGRATION_ITERATION, VIR_DOMAIN_EVENT_CALLBACK(on_iteration), FALSE},
    {VIR_DOMAIN_EVENT_ID_JOB_COMPLETED, VIR_DOMAIN_EVENT_CALLBACK(on_job_completed), FALSE},
    {VIR_DOMAIN_EVENT_ID_METADATA_CHANGE, VIR_DOMAIN_EVENT_CALLBACK(on_metadata), FALSE},
};

static gboolean
register_events(MigdVirtSession *session, GError **error)
{
    virConnectPtr connection = session->events;

    for (guint i = 0; i < G_N_ELEMENTS(events); i++) {
        session->ids[i] =
            virConnectDomainEventRegisterAny(connection, NULL, events[i].id, events[i].callback,
                                             migd_virt_session_ref(session), unref_later);
        if (session->ids[i] < 0)
            migd_virt_session_unref(session);
        if (session->ids[i] < 0 && events[i].needed) {
            migd_virt_set_error(error, "registering for events");
            return FALSE;
        }
    }
    session->monitor_id = virConnectDomainQemuMonitorEventRegister(
        connection, NULL, MONITOR_EVENTS, on_monitor, migd_virt_session_ref(session), unref_later,
        VIR_CONNECT_DOMAIN_QEMU_MONITOR_EVENT_REGISTER_REGEX);
    session->has_monitor_events = session->monitor_id >= 0;
    if (!session->has_monitor_events)
        migd_virt_session_unref(session);
    if (virConnectRegisterCloseCallback(connection, on_closed, migd_virt_session_ref(session),
                                        unref_later) < 0)
        migd_virt_session_unref(session);
    return TRUE;
}

static gboolean
list_domains(MigdVirtSession *session, GError **error)
{
    virDomainPtr *domains = NULL;
    int n = virConnectListAllDomains(session->events, &domains, 0);

    if (n < 0) {
        migd_virt_set_error(error, "listing the domains");
        return FALSE;
    }
    session->names = g_ptr_array_new_with_free_func(name_free);
    for (int i = 0; i < n; i++) {
        MigdVirtName *name = g_new0(MigdVirtName, 1);

        if (virDomainGetUUIDString(domains[i], name->uuid) == 0) {
            name->name = g_strdup(virDomainGetName(domains[i]));
            g_ptr_array_add(session->names, name);
        } else {
            g_free(name);
        }
        virDomainFree(domains[i]);
    }
    free(domains);
    return TRUE;
}

MigdVirtSession *
migd_virt_session_open(const char *uri, GError **error)
{
    g_autoptr(MigdVirtSession) session = g_atomic_rc_box_new0(MigdVirtSession);

    for (guint i = 0; i < G_N_ELEMENTS(session->ids); i++)
        session->ids[i] = -1;
    session->monitor_id = -1;
    session->events = migd_virt_open(uri, error);
    if (session->events == NULL)
        return NULL;
    if (!register_events(session, error) || !list_domains(session, error)) {
        migd_virt_session_drop(session);
        return NULL;
    }
    return g_steal_pointer(&session);
}

/* ---- the end --------------------------------------------------------------------------------- */

typedef struct {
    virConnectPtr connection;
    int ids[MIGD_VIRT_N_EVENTS];
    int monitor_id;
} Teardown;

/* Each registration holds a reference of the connection. */
static gpointer
tear_down(gpointer data)
{
    g_autofree Teardown *teardown = data;

    for (guint i = 0; i < G_N_ELEMENTS(teardown->ids); i++)
        if (teardown->ids[i] >= 0)
            (void)virConnectDomainEventDeregisterAny(teardown->connection, teardown->ids[i]);
    if (teardown->monitor_id >= 0)
        (void)virConnectDomainQemuMonitorEventDeregister(teardown->connection,
                                                         teardown->monitor_id);
    (void)virConnectUnregisterCloseCallback(teardown->connection, on_closed);
    virConnectClose(teardown->connection);
    return NULL;
}

void
migd_virt_session_drop(MigdVirtSession *session)
{
    Teardown *teardown = g_new(Teardown, 1);

    session->owner = NULL;
    *teardown = (Teardown){.connection = g_steal_pointer(&session->events),
                           .monitor_id = session->monitor_id};
    memcpy(teardown->ids, session->ids, sizeof teardown->ids);
    g_thread_unref(g_thread_new("virt-close", tear_down, teardown));
}

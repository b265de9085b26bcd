/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Connecting and staying connected. At most one attempt is under way: one that hangs (libvirt is
 * stopped) goes on by itself when libvirt does. No timer while connected.
 */
#include "virt/connection.h"

#include <gio/gio.h>

#include "base/error.h"
#include "virt/session.h"

/* Between attempts; doubles each time. */
#define RETRY_MS 500
#define RETRY_MAX_MS 30000

struct MigdVirtConnection {
    char *uri;
    const MigdVirtListener *listener;
    gpointer user_data;
    MigdVirtPool *pool;
    MigdVirtSession *session; /* NULL = not connected */
    GCancellable *gone;       /* cancelled when this is freed: attempts under way find nobody */
    guint retry_ms, retry_source;
};

static void attempt(MigdVirtConnection *connection);

static void
lose(MigdVirtConnection *connection, const char *why)
{
    g_autoptr(MigdVirtSession) session = g_steal_pointer(&connection->session);

    migd_virt_pool_set_up(connection->pool, FALSE);
    if (session != NULL)
        migd_virt_session_drop(session);
    connection->listener->down(why, connection->user_data);
}

/* ---- opening --------------------------------------------------------------------------------- */

static gboolean
retry(gpointer user_data)
{
    MigdVirtConnection *connection = user_data;

    connection->retry_source = 0;
    attempt(connection);
    return G_SOURCE_REMOVE;
}

static void
retry_later(MigdVirtConnection *connection)
{
    connection->retry_source = g_timeout_add(connection->retry_ms, retry, connection);
    connection->retry_ms = MIN(connection->retry_ms * 2, RETRY_MAX_MS);
}

static void
open_in_thread(GTask *task, gpointer source, gpointer task_data, GCancellable *cancellable)
{
    GError *error = NULL;
    MigdVirtSession *session = migd_virt_session_open(task_data, &error);

    if (session != NULL)
        g_task_return_pointer(task, session, (GDestroyNotify)migd_virt_session_drop);
    else
        g_task_return_error(task, error);
}

static void
opened(GObject *source, GAsyncResult *result, gpointer user_data)
{
    MigdVirtConnection *connection = user_data;
    GCancellable *gone = g_task_get_cancellable(G_TASK(result));
    g_autoptr(GError) error = NULL;
    MigdVirtSession *session = g_task_propagate_pointer(G_TASK(result), &error);

    if (g_cancellable_is_cancelled(gone)) { /* `connection` is freed */
        if (session != NULL)
            migd_virt_session_drop(session);
        migd_virt_session_unref(session);
        return;
    }
    if (session == NULL) {
        retry_later(connection);
        connection->listener->down(error->message, connection->user_data);
        return;
    }
    connection->session = session;
    session->owner = connection;
    connection->retry_ms = RETRY_MS;
    migd_virt_pool_set_up(connection->pool, TRUE);
    connection->listener->up(session->names, connection->user_data);
    g_clear_pointer(&session->names, g_ptr_array_unref);
}

static void
attempt(MigdVirtConnection *connection)
{
    g_autoptr(GTask) task = g_task_new(NULL, connection->gone, opened, connection);

    g_task_set_check_cancellable(task, FALSE);
    g_task_set_task_data(task, g_strdup(connection->uri), g_free);
    g_task_run_in_thread(task, open_in_thread);
}

/* ---- what the session tells ------------------------------------------------------------------ */

void
migd_virt_connection_event(MigdVirtConnection *connection, const MigdVirtEvent *event)
{
    connection->listener->event(event, connection->user_data);
}

void
migd_virt_connection_closed(MigdVirtConnection *connection, int reason)
{
    static const char *const reasons[] = {
        [VIR_CONNECT_CLOSE_REASON_ERROR] = "the connection to libvirt broke",
        [VIR_CONNECT_CLOSE_REASON_EOF] = "libvirt closed the connection",
        [VIR_CONNECT_CLOSE_REASON_KEEPALIVE] = "libvirt gives no sign of life",
        [VIR_CONNECT_CLOSE_REASON_CLIENT] = "the connection to libvirt was closed",
    };

    if (connection->session == NULL)
        return;
    lose(connection, (guint)reason < G_N_ELEMENTS(reasons) ? reasons[reason] : reasons[0]);
    retry_later(connection);
}

/* ---- life ------------------------------------------------------------------------------------ */

MigdVirtConnection *
migd_virt_connection_new(const char *uri, const MigdVirtListener *listener, gpointer user_data)
{
    MigdVirtConnection *connection = g_new0(MigdVirtConnection, 1);

    migd_virt_init();
    connection->uri = g_strdup(uri);
    connection->listener = listener;
    connection->user_data = user_data;
    connection->pool = migd_virt_pool_new(uri);
    connection->gone = g_cancellable_new();
    connection->retry_ms = RETRY_MS;
    attempt(connection);
    return connection;
}

void
migd_virt_connection_free(MigdVirtConnection *connection)
{
    if (connection == NULL)
        return;
    g_cancellable_cancel(connection->gone);
    g_object_unref(connection->gone);
    g_clear_handle_id(&connection->retry_source, g_source_remove);
    if (connection->session != NULL)
        migd_virt_session_drop(connection->session);
    migd_virt_session_unref(connection->session);
    migd_virt_pool_free(connection->pool);
    g_free(connection->uri);
    g_free(connection);
}

MigdVirtPool *
migd_virt_connection_pool(MigdVirtConnection *connection)
{
    return connection->pool;
}

const char *
migd_virt_connection_uri(const MigdVirtConnection *connection)
{
    return connection->uri;
}

gboolean
migd_virt_connection_is_up(const MigdVirtConnection *connection)
{
    return connection->session != NULL;
}

gboolean
migd_virt_connection_has_monitor_events(const MigdVirtConnection *connection)
{
    return connection->session != NULL && connection->session->has_monitor_events;
}

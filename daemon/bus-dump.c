/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * GetManagedObjects shows everything there is, and GDBus answers it at once: on the main loop a few
 * of them would keep a migration waiting. So GDBus is given a loop of its own for it, in a thread
 * that touches nothing but the properties, which GDBus keeps under a lock. Objects are exported and
 * called on the main loop as before.
 */
#include "daemon/bus-private.h"

#include <sys/resource.h>
#include <unistd.h>

struct MigdBusDump {
    GDBusObjectManagerServer *server;
    GMainLoop *loop;
    GThread *thread;
};

static gpointer
serve(gpointer data)
{
    GMainLoop *loop = data;

    /* Not above other programs, wherever the daemon itself is. */
    (void)setpriority(PRIO_PROCESS, (id_t)gettid(), 0);
    g_main_loop_run(loop);
    return NULL;
}

MigdBusDump *
migd_bus_dump_new(GDBusObjectManagerServer *server, GDBusConnection *connection)
{
    MigdBusDump *dump = g_new0(MigdBusDump, 1);
    g_autoptr(GMainContext) context = g_main_context_new();

    dump->server = g_object_ref(server);
    dump->loop = g_main_loop_new(context, FALSE);
    /* What is registered meanwhile is served by the loop of this context. */
    g_main_context_push_thread_default(context);
    g_dbus_object_manager_server_set_connection(server, connection);
    g_main_context_pop_thread_default(context);
    dump->thread =
        g_thread_new("objects", serve, dump->loop); /* from now on the context is its own */
    return dump;
}

static gboolean
quit(gpointer user_data)
{
    g_main_loop_quit(user_data);
    return G_SOURCE_REMOVE;
}

void
migd_bus_dump_free(MigdBusDump *dump)
{
    g_autoptr(GSource) last = g_idle_source_new();

    if (dump == NULL)
        return;
    g_dbus_object_manager_server_set_connection(dump->server, NULL);
    /* From within, so that a loop that has not begun yet ends as well. */
    g_source_set_callback(last, quit, dump->loop, NULL);
    g_source_attach(last, g_main_loop_get_context(dump->loop));
    g_thread_join(dump->thread);
    g_main_loop_unref(dump->loop);
    g_object_unref(dump->server);
    g_free(dump);
}

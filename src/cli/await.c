/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What ends waiting early. How waiting ends as it should is the callback's business.
 */
#include "cli/await.h"

#include <glib-unix.h>

#include "base/names.h"

static void
leave(MigdAwait *await, MigdExit exit, const char *why)
{
    await->exit = exit;
    await->left(why, await->user_data);
    g_main_loop_quit(await->loop);
}

static void
on_daemon_gone(GDBusConnection *connection, const char *name, gpointer user_data)
{
    MigdAwait *await = user_data;

    /* Before the call this is no news: the call itself will say so. */
    if (await->called)
        leave(await, MIGD_EXIT_NO_DAEMON, "migrationd has left the bus");
}

static gboolean
on_timeout(gpointer user_data)
{
    MigdAwait *await = user_data;

    await->timer = 0;
    leave(await, MIGD_EXIT_TIMED_OUT, "not finished within the time given");
    return G_SOURCE_REMOVE;
}

static gboolean
on_interrupt(gpointer user_data)
{
    leave(user_data, MIGD_EXIT_INTERRUPTED, "detached");
    return G_SOURCE_CONTINUE;
}

void
migd_await_begin(MigdAwait *await, MigdCli *cli, const char *signal, const char *path,
                 GDBusSignalCallback callback, MigdLeftFunc left, gpointer user_data)
{
    *await = (MigdAwait){.loop = g_main_loop_new(NULL, FALSE),
                         .connection = g_object_ref(cli->connection),
                         .left = left,
                         .user_data = user_data};
    await->subscription = g_dbus_connection_signal_subscribe(
        cli->connection, MIGD_BUS_NAME, MIGD_IFACE_MIGRATION, signal, path, NULL,
        G_DBUS_SIGNAL_FLAGS_NONE, callback, user_data, NULL);
    await->vanish_watch = migd_cli_watch_daemon(cli, on_daemon_gone, await);
    await->interrupt = g_unix_signal_add(SIGINT, on_interrupt, await);
    if (cli->timeout_us > 0)
        await->timer =
            g_timeout_add((guint)MIN(cli->timeout_us / 1000 + 1, G_MAXUINT), on_timeout, await);
}

void
migd_await_run(MigdAwait *await)
{
    await->called = TRUE;
    g_main_loop_run(await->loop);
}

void
migd_await_clear(MigdAwait *await)
{
    if (await->loop == NULL)
        return;
    g_dbus_connection_signal_unsubscribe(await->connection, await->subscription);
    g_clear_handle_id(&await->vanish_watch, g_bus_unwatch_name);
    g_clear_handle_id(&await->timer, g_source_remove);
    g_clear_handle_id(&await->interrupt, g_source_remove);
    g_clear_object(&await->connection);
    g_clear_pointer(&await->loop, g_main_loop_unref);
}

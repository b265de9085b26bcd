/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The verb monitor: every signal of the daemon, a line each, until it is interrupted. Names of
 * arguments come from the interface itself.
 */
#include "cli/verbs.h"

#include <glib-unix.h>
#include <string.h>

#include "base/names.h"
#include "dbus/migd-dbus-generated.h"

typedef struct {
    MigdCli *cli;
    GMainLoop *loop;
    MigdExit exit;
} Monitor;

#define MAX_STANDARD_ARGUMENTS 3

/* The signals that every object manager has. */
static const struct {
    const char *signal;
    const char *arguments[MAX_STANDARD_ARGUMENTS];
} standard_signals[] = {
    {"PropertiesChanged", {"interface", "changed", "invalidated"}},
    {"InterfacesAdded", {"object", "interfaces", "-"}},
    {"InterfacesRemoved", {"object", "interfaces", "-"}},
};

/* What the interface calls the arguments of its signal; NULL for signals that it does not have. */
static const GDBusSignalInfo *
signal_info(const char *interface, const char *name)
{
    GDBusInterfaceInfo *const infos[] = {
        migd_dbus_manager_interface_info(),
        migd_dbus_domain_interface_info(),
        migd_dbus_migration_interface_info(),
    };

    for (guint i = 0; i < G_N_ELEMENTS(infos); i++)
        if (g_str_equal(infos[i]->name, interface))
            return g_dbus_interface_info_lookup_signal(infos[i], name);
    return NULL;
}

static char *
argument_name(const char *interface, const char *name, gsize index)
{
    const GDBusSignalInfo *info = signal_info(interface, name);

    for (guint i = 0; i < G_N_ELEMENTS(standard_signals); i++)
        if (g_str_equal(name, standard_signals[i].signal) && index < MAX_STANDARD_ARGUMENTS)
            return g_strdup(standard_signals[i].arguments[index]);
    for (gsize i = 0; info != NULL && info->args != NULL && info->args[i] != NULL; i++)
        if (i == index)
            return g_strdup(info->args[i]->name);
    return g_strdup_printf("arg%" G_GSIZE_FORMAT, index);
}

static void
print_json(const MigdCli *cli, const char *path, const char *interface, const char *name,
           GVariant *parameters)
{
    g_autoptr(MigdJson) object = migd_json_object_new();
    MigdJson *arguments = migd_json_object_new();

    for (gsize i = 0; i < g_variant_n_children(parameters); i++) {
        g_autofree char *key = argument_name(interface, name, i);
        g_autoptr(GVariant) value = g_variant_get_child_value(parameters, i);
        migd_json_add_variant(arguments, key, value);
    }
    migd_json_add_u64(object, "Time", (guint64)g_get_real_time());
    migd_json_add_string(object, "Object", path);
    migd_json_add_string(object, "Interface", interface);
    migd_json_add_string(object, "Signal", name);
    migd_json_add(object, "Arguments", arguments);
    migd_cli_print_json(cli, object);
}

static void
print_text(const MigdCli *cli, const char *path, const char *name, GVariant *parameters)
{
    g_autoptr(GDateTime) now = g_date_time_new_now_local();
    g_autofree char *time = g_date_time_format(now, "%T.%f");
    g_autofree char *raw = g_variant_print(parameters, /* type_annotate= */ FALSE);
    g_autofree char *text = migd_style_text(&cli->style, raw);
    g_autofree char *object = migd_style_text(&cli->style, g_str_has_prefix(path, MIGD_BUS_ROOT "/")
                                                               ? path + strlen(MIGD_BUS_ROOT "/")
                                                               : path);
    g_autoptr(GString) line = g_string_new(NULL);

    migd_paintf(line, &cli->style, MIGD_INK_DIM, "%.12s", time);
    g_string_append_printf(line, " %s ", object);
    migd_paint(line, &cli->style, MIGD_INK_BOLD, name);
    g_string_append_printf(line, " %s\n", text);
    migd_cli_print(line->str);
}

static void
on_signal(GDBusConnection *connection, const char *sender, const char *path, const char *interface,
          const char *name, GVariant *parameters, gpointer user_data)
{
    const Monitor *monitor = user_data;

    if (monitor->cli->output != MIGD_OUTPUT_TEXT)
        print_json(monitor->cli, path, interface, name, parameters);
    else
        print_text(monitor->cli, path, name, parameters);
}

static void
on_daemon_gone(GDBusConnection *connection, const char *name, gpointer user_data)
{
    const Monitor *monitor = user_data;

    if (monitor->cli->output == MIGD_OUTPUT_TEXT)
        migd_cli_print("-- migrationd has left the bus; waiting for it to come back --\n");
}

/* The bus itself has gone. */
static void
on_closed(GDBusConnection *connection, gboolean vanished, GError *error, gpointer user_data)
{
    Monitor *monitor = user_data;

    monitor->exit = MIGD_EXIT_NO_DAEMON;
    g_main_loop_quit(monitor->loop);
}

static gboolean
on_interrupt(gpointer user_data)
{
    g_main_loop_quit(((Monitor *)user_data)->loop);
    return G_SOURCE_CONTINUE;
}

MigdExit
migd_verb_monitor(MigdCli *cli, char **arguments, GError **error)
{
    g_autoptr(GMainLoop) loop = g_main_loop_new(NULL, FALSE);
    Monitor monitor = {.cli = cli, .loop = loop};
    g_autoptr(GVariant) mode = NULL;
    guint subscription, vanish_watch, interrupt, terminate;
    gulong closed;

    if (!migd_cli_connect(cli, error))
        return MIGD_EXIT_FAILED;
    subscription =
        g_dbus_connection_signal_subscribe(cli->connection, MIGD_BUS_NAME, NULL, NULL, NULL, NULL,
                                           G_DBUS_SIGNAL_FLAGS_NONE, on_signal, &monitor, NULL);
    /* Is it there, and may we listen? */
    mode = migd_cli_manager_property(cli, "Mode", error);
    if (mode != NULL) {
        vanish_watch = migd_cli_watch_daemon(cli, on_daemon_gone, &monitor);
        closed = g_signal_connect(cli->connection, "closed", G_CALLBACK(on_closed), &monitor);
        interrupt = g_unix_signal_add(SIGINT, on_interrupt, &monitor);
        terminate = g_unix_signal_add(SIGTERM, on_interrupt, &monitor);
        g_main_loop_run(loop);
        g_source_remove(interrupt);
        g_source_remove(terminate);
        g_signal_handler_disconnect(cli->connection, closed);
        g_bus_unwatch_name(vanish_watch);
    }
    g_dbus_connection_signal_unsubscribe(cli->connection, subscription);
    return mode != NULL ? monitor.exit : MIGD_EXIT_FAILED;
}

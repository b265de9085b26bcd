/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Talking to the daemon: the bus, calls that wait for their answer, and finding what the user
 * named.
 */
#include "cli/cli.h"

#include <gio/gunixfdlist.h>

#include "base/error.h"
#include "base/names.h"

/* Long enough for a person to type a password into a polkit agent. */
#define CALL_TIMEOUT_MS (120 * 1000)

void
migd_cli_clear(MigdCli *cli)
{
    g_free(cli->bus);
    g_free(cli->profile);
    g_free(cli->engines);
    g_strfreev(cli->options);
    g_free(cli->id);
    g_free(cli->migrate_uri);
    g_free(cli->mode);
    g_free(cli->what);
    g_free(cli->who);
    g_free(cli->why);
    g_clear_object(&cli->connection);
}

static GDBusConnection *
open_bus(const char *bus, GError **error)
{
    if (g_strcmp0(bus, "system") == 0)
        return g_bus_get_sync(G_BUS_TYPE_SYSTEM, NULL, error);
    if (g_strcmp0(bus, "session") == 0)
        return g_bus_get_sync(G_BUS_TYPE_SESSION, NULL, error);
    return g_dbus_connection_new_for_address_sync(
        bus,
        G_DBUS_CONNECTION_FLAGS_AUTHENTICATION_CLIENT |
            G_DBUS_CONNECTION_FLAGS_MESSAGE_BUS_CONNECTION,
        NULL, NULL, error);
}

gboolean
migd_cli_connect(MigdCli *cli, GError **error)
{
    if (cli->connection != NULL)
        return TRUE;
    cli->connection = open_bus(cli->bus, error);
    if (cli->connection == NULL)
        return FALSE;
    g_dbus_connection_set_exit_on_close(cli->connection, FALSE);
    return TRUE;
}

GVariant *
migd_cli_call(MigdCli *cli, const char *path, const char *interface, const char *method,
              GVariant *parameters, const char *reply_type, GError **error)
{
    g_autoptr(GVariant) owned = parameters != NULL ? g_variant_ref_sink(parameters) : NULL;
    g_autoptr(GVariantType) type = g_variant_type_new(reply_type);

    if (!migd_cli_connect(cli, error))
        return NULL;
    return g_dbus_connection_call_sync(
        cli->connection, MIGD_BUS_NAME, path, interface, method, owned, type,
        G_DBUS_CALL_FLAGS_ALLOW_INTERACTIVE_AUTHORIZATION, CALL_TIMEOUT_MS, NULL, error);
}

static GVariant *
list(MigdCli *cli, const char *method, GError **error)
{
    g_autoptr(GVariant) reply = migd_cli_call(cli, MIGD_BUS_ROOT, MIGD_IFACE_MANAGER, method,
                                              g_variant_new("(a{sv})", NULL), "(aa{sv})", error);

    return reply != NULL ? g_variant_get_child_value(reply, 0) : NULL;
}

GVariant *
migd_cli_list_domains(MigdCli *cli, GError **error)
{
    return list(cli, "ListDomains", error);
}

GVariant *
migd_cli_list_migrations(MigdCli *cli, GError **error)
{
    return list(cli, "ListMigrations", error);
}

/* The VM of that name or UUID; NULL with an error if there is none, or more than one. */
static GVariant *
find_domain(GVariant *domains, const char *what, const char *shown, GError **error)
{
    g_autoptr(GVariant) found = migd_dict_find(domains, "Uuid", what);

    if (found != NULL)
        return g_steal_pointer(&found);
    for (gsize i = 0; i < g_variant_n_children(domains); i++) {
        g_autoptr(GVariant) domain = migd_dict_at(domains, i);

        if (!g_str_equal(migd_dict_string(domain, "Name"), what))
            continue;
        if (found != NULL) {
            g_set_error(error, MIGD_ERROR, MIGD_ERROR_INVALID_ARGUMENT,
                        "more than one VM is called \"%s\": name it by its UUID", shown);
            return NULL;
        }
        found = g_steal_pointer(&domain);
    }
    if (found == NULL)
        g_set_error(error, MIGD_ERROR, MIGD_ERROR_NO_SUCH_DOMAIN,
                    "no VM or migration is called \"%s\"", shown);
    return g_steal_pointer(&found);
}

GVariant *
migd_cli_find_domain(MigdCli *cli, const char *what, GError **error)
{
    g_autofree char *shown = migd_style_text(&cli->style, what);
    g_autoptr(GVariant) domains = migd_cli_list_domains(cli, error);

    return domains != NULL ? find_domain(domains, what, shown, error) : NULL;
}

GVariant *
migd_cli_find_migration(MigdCli *cli, const char *what, GError **error)
{
    g_autofree char *shown = migd_style_text(&cli->style, what);
    g_autoptr(GVariant) migrations = migd_cli_list_migrations(cli, error);
    g_autoptr(GVariant) domains = NULL, domain = NULL, migration = NULL;

    if (migrations == NULL)
        return NULL;
    migration = migd_dict_find(migrations, "Id", what);
    if (migration != NULL)
        return g_steal_pointer(&migration);
    domains = migd_cli_list_domains(cli, error);
    if (domains == NULL)
        return NULL;
    domain = find_domain(domains, what, shown, error);
    if (domain == NULL)
        return NULL;
    migration = migd_dict_find(migrations, "Object", migd_dict_string(domain, "Migration"));
    if (migration == NULL)
        g_set_error(error, MIGD_ERROR, MIGD_ERROR_NO_SUCH_MIGRATION,
                    "\"%s\" has no migration, running or recent", shown);
    return g_steal_pointer(&migration);
}

GVariant *
migd_cli_manager_property(MigdCli *cli, const char *name, GError **error)
{
    g_autoptr(GVariant) reply =
        migd_cli_call(cli, MIGD_BUS_ROOT, "org.freedesktop.DBus.Properties", "Get",
                      g_variant_new("(ss)", MIGD_IFACE_MANAGER, name), "(v)", error);
    GVariant *value = NULL;

    if (reply != NULL)
        g_variant_get(reply, "(v)", &value);
    return value;
}

int
migd_cli_open_trace(MigdCli *cli, const char *path, GError **error)
{
    g_autoptr(GUnixFDList) fds = NULL;
    g_autoptr(GVariant) reply = NULL;
    gint32 handle;

    if (!migd_cli_connect(cli, error))
        return -1;
    reply = g_dbus_connection_call_with_unix_fd_list_sync(
        cli->connection, MIGD_BUS_NAME, path, MIGD_IFACE_MIGRATION, "OpenTrace", NULL,
        G_VARIANT_TYPE("(h)"), G_DBUS_CALL_FLAGS_ALLOW_INTERACTIVE_AUTHORIZATION, CALL_TIMEOUT_MS,
        NULL, &fds, NULL, error);
    if (reply == NULL)
        return -1;
    g_variant_get(reply, "(h)", &handle);
    if (fds == NULL) {
        g_set_error(error, MIGD_ERROR, MIGD_ERROR_FAILED, "the daemon sent no trace");
        return -1;
    }
    return g_unix_fd_list_get(fds, handle, error);
}

guint
migd_cli_watch_daemon(MigdCli *cli, GBusNameVanishedCallback gone, gpointer user_data)
{
    return g_bus_watch_name_on_connection(
        cli->connection, MIGD_BUS_NAME, G_BUS_NAME_WATCHER_FLAGS_NONE, NULL, gone, user_data, NULL);
}

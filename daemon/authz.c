/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The table, and the identity of senders as the bus vouches for it. Never looks at what a call is
 * about.
 */
#include "daemon/authz.h"

#include <string.h>
#include <unistd.h>

#include "base/names.h"

static const struct {
    const char *interface, *member, *action;
} table[] = {
    {MIGD_IFACE_MANAGER, "ListDomains", MIGD_ACTION_ID_INSPECT},
    {MIGD_IFACE_MANAGER, "ListMigrations", MIGD_ACTION_ID_INSPECT},
    {MIGD_IFACE_MANAGER, "GetDomain", MIGD_ACTION_ID_INSPECT},
    {MIGD_IFACE_MANAGER, "GetMigration", MIGD_ACTION_ID_INSPECT},
    {MIGD_IFACE_MANAGER, "Migrate", MIGD_ACTION_ID_MIGRATE},
    {MIGD_IFACE_MANAGER, "Reload", MIGD_ACTION_ID_CONFIGURE},
    {MIGD_IFACE_MANAGER, "SetMode", MIGD_ACTION_ID_CONFIGURE},
    {MIGD_IFACE_DOMAIN, "SetProfile", MIGD_ACTION_ID_CONFIGURE},
    {MIGD_IFACE_DOMAIN, "MeasureDirtyRate", MIGD_ACTION_ID_STEER},
    {MIGD_IFACE_DOMAIN, "EnableFastWriteProtect", MIGD_ACTION_ID_CONFIGURE},
    {MIGD_IFACE_MIGRATION, "Cancel", MIGD_ACTION_ID_STEER},
    {MIGD_IFACE_MIGRATION, "SwitchToPostcopy", MIGD_ACTION_ID_STEER},
    {MIGD_IFACE_MIGRATION, "SetLimits", MIGD_ACTION_ID_STEER},
    {MIGD_IFACE_MIGRATION, "GetStats", MIGD_ACTION_ID_INSPECT},
    {MIGD_IFACE_MIGRATION, "OpenTrace", MIGD_ACTION_ID_INSPECT},
};

typedef struct {
    MigdAuthz *authz;
    char *name;
    guint32 uid;
    guint watch; /* for its leaving the bus */
} Sender;

struct MigdAuthz {
    GDBusConnection *connection;
    GCancellable *cancellable;
    GHashTable *senders; /* k: unique name (owned by the value) -> v: Sender */
};

typedef struct {
    MigdAuthz *authz; /* dead once the call is cancelled */
    GDBusMethodInvocation *invocation;
    MigdAuthzFunc callback;
    gpointer user_data;
} Check;

const char *
migd_authz_action(const char *interface, const char *member)
{
    for (guint i = 0; i < G_N_ELEMENTS(table); i++)
        if (g_strcmp0(table[i].interface, interface) == 0 &&
            g_strcmp0(table[i].member, member) == 0)
            return table[i].action;
    return NULL;
}

gboolean
migd_authz_row(guint index, const char **ret_interface, const char **ret_member)
{
    if (index >= G_N_ELEMENTS(table))
        return FALSE;
    *ret_interface = table[index].interface;
    *ret_member = table[index].member;
    return TRUE;
}

gboolean
migd_authz_allows(const char *action, guint32 uid, guint32 own_uid)
{
    if (action == NULL)
        return FALSE;
    return uid == 0 || uid == own_uid || strcmp(action, MIGD_ACTION_ID_INSPECT) == 0;
}

static void
sender_free(gpointer data)
{
    Sender *sender = data;

    g_clear_handle_id(&sender->watch, g_bus_unwatch_name);
    g_free(sender->name);
    g_free(sender);
}

MigdAuthz *
migd_authz_new(GDBusConnection *connection)
{
    MigdAuthz *authz = g_new0(MigdAuthz, 1);

    authz->connection = g_object_ref(connection);
    authz->cancellable = g_cancellable_new();
    authz->senders = g_hash_table_new_full(g_str_hash, g_str_equal, NULL, sender_free);
    return authz;
}

void
migd_authz_free(MigdAuthz *authz)
{
    if (authz == NULL)
        return;
    g_cancellable_cancel(authz->cancellable);
    g_object_unref(authz->cancellable);
    g_hash_table_unref(authz->senders);
    g_object_unref(authz->connection);
    g_free(authz);
}

static void
sender_vanished(GDBusConnection *connection, const char *name, gpointer user_data)
{
    Sender *sender = user_data;

    g_hash_table_remove(sender->authz->senders, sender->name);
}

static void
remember(MigdAuthz *authz, const char *name, guint32 uid)
{
    Sender *sender;

    if (g_hash_table_contains(authz->senders, name))
        return;
    sender = g_new0(Sender, 1);
    sender->authz = authz;
    sender->name = g_strdup(name);
    sender->uid = uid;
    g_hash_table_insert(authz->senders, sender->name, sender);
    sender->watch =
        g_bus_watch_name_on_connection(authz->connection, name, G_BUS_NAME_WATCHER_FLAGS_NONE, NULL,
                                       sender_vanished, sender, NULL);
}

static void
answer(GDBusMethodInvocation *invocation, const guint32 *uid, MigdAuthzFunc callback,
       gpointer user_data)
{
    const char *interface = g_dbus_method_invocation_get_interface_name(invocation);
    const char *member = g_dbus_method_invocation_get_method_name(invocation);
    const char *action = migd_authz_action(interface, member);
    g_autoptr(GError) error = NULL;

    if (uid == NULL)
        error = g_error_new(G_DBUS_ERROR, G_DBUS_ERROR_ACCESS_DENIED, "the caller has no identity");
    else if (!migd_authz_allows(action, *uid, (guint32)geteuid()))
        error = g_error_new(G_DBUS_ERROR, G_DBUS_ERROR_ACCESS_DENIED, "%s.%s needs %s", interface,
                            member, action != NULL ? action : "an action that nobody has");
    callback(invocation, error, user_data);
}

static void
got_uid(GObject *source, GAsyncResult *result, gpointer user_data)
{
    g_autofree Check *check = user_data;
    g_autoptr(GError) error = NULL;
    g_autoptr(GVariant) reply =
        g_dbus_connection_call_finish(G_DBUS_CONNECTION(source), result, &error);
    guint32 uid = G_MAXUINT32;

    if (g_error_matches(error, G_IO_ERROR, G_IO_ERROR_CANCELLED)) {
        g_dbus_method_invocation_return_error(check->invocation, G_DBUS_ERROR,
                                              G_DBUS_ERROR_ACCESS_DENIED, "the daemon is stopping");
        return;
    }
    if (reply != NULL) {
        g_variant_get(reply, "(u)", &uid);
        remember(check->authz, g_dbus_method_invocation_get_sender(check->invocation), uid);
    }
    answer(check->invocation, reply != NULL ? &uid : NULL, check->callback, check->user_data);
}

void
migd_authz_check(MigdAuthz *authz, GDBusMethodInvocation *invocation, MigdAuthzFunc callback,
                 gpointer user_data)
{
    const char *name = g_dbus_method_invocation_get_sender(invocation);
    Sender *sender = name != NULL ? g_hash_table_lookup(authz->senders, name) : NULL;
    Check *check;

    if (name == NULL || sender != NULL) { /* no bus, no identity; or somebody we know */
        answer(invocation, sender != NULL ? &sender->uid : NULL, callback, user_data);
        return;
    }
    check = g_new0(Check, 1);
    *check = (Check){authz, invocation, callback, user_data};
    g_dbus_connection_call(
        authz->connection, "org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus",
        "GetConnectionUnixUser", g_variant_new("(s)", name), G_VARIANT_TYPE("(u)"),
        G_DBUS_CALL_FLAGS_NONE, /* timeout_msec= */ 5000, authz->cancellable, got_uid, check);
}

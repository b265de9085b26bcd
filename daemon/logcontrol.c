/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The one object of the daemon whose properties can be written, because its interface is somebody
 * else's: so it is made by hand, and each Set goes through the table of authz.c.
 */
#include "daemon/logcontrol.h"

#include <string.h>

#include "base/names.h"
#include "base/text.h"
#include "daemon/journal.h"

struct MigdLogControl {
    GDBusConnection *connection;
    MigdAuthz *authz;
    guint object;
};

static const char introspection[] =
    "<node><interface name='" MIGD_IFACE_LOG_CONTROL "'>"
    "<property name='LogLevel' type='s' access='readwrite'>"
    "<annotation name='org.freedesktop.DBus.Property.EmitsChangedSignal' value='false'/>"
    "</property>"
    "<property name='LogTarget' type='s' access='readwrite'>"
    "<annotation name='org.freedesktop.DBus.Property.EmitsChangedSignal' value='false'/>"
    "</property>"
    "<property name='SyslogIdentifier' type='s' access='read'>"
    "<annotation name='org.freedesktop.DBus.Property.EmitsChangedSignal' value='const'/>"
    "</property></interface></node>";

/* syslog's words; there is nothing more severe than an error here. Of two that mean the same the
 * first is shown. */
static const struct {
    const char *word;
    MigdLogLevel level;
} levels[] = {
    {"err", MIGD_LOG_ERROR},     {"crit", MIGD_LOG_ERROR},  {"alert", MIGD_LOG_ERROR},
    {"emerg", MIGD_LOG_ERROR},   {"error", MIGD_LOG_ERROR}, {"warning", MIGD_LOG_WARNING},
    {"notice", MIGD_LOG_NOTICE}, {"info", MIGD_LOG_INFO},   {"debug", MIGD_LOG_DEBUG},
};

static const char *const targets[] = {
    [MIGD_LOG_TARGET_AUTO] = "auto",
    [MIGD_LOG_TARGET_JOURNAL] = "journal",
    [MIGD_LOG_TARGET_CONSOLE] = "console",
    [MIGD_LOG_TARGET_NULL] = "null",
};

static const char *
get_level(void)
{
    for (guint i = 0; i < G_N_ELEMENTS(levels); i++)
        if (levels[i].level == migd_journal_get_level())
            return levels[i].word;
    return "info";
}

static const char *
get_target(void)
{
    return targets[migd_journal_get_target()];
}

static const char *
get_identifier(void)
{
    return "migrationd";
}

static gboolean
set_level(const char *word)
{
    for (guint i = 0; i < G_N_ELEMENTS(levels); i++) {
        if (strcmp(word, levels[i].word) == 0) {
            migd_journal_set_level(levels[i].level);
            return TRUE;
        }
    }
    return FALSE;
}

static gboolean
set_target(const char *word)
{
    for (guint i = 0; i < G_N_ELEMENTS(targets); i++) {
        if (strcmp(word, targets[i]) == 0) {
            migd_journal_set_target((MigdLogTarget)i);
            return TRUE;
        }
    }
    return FALSE;
}

static const struct {
    const char *name;
    const char *(*get)(void);
    gboolean (*set)(const char *word);
    const char *allowed;
} properties[] = {
    {"LogLevel", get_level, set_level, "emerg, alert, crit, err, warning, notice, info, debug"},
    {"LogTarget", get_target, set_target, "auto, journal, console, null"},
    {"SyslogIdentifier", get_identifier, NULL, NULL},
};

/* GDBus lets no name in that the interface does not have. */
static guint
find_property(const char *name)
{
    guint i = 0;

    while (i + 1 < G_N_ELEMENTS(properties) && strcmp(properties[i].name, name) != 0)
        i++;
    return i;
}

static void
get_all(GDBusMethodInvocation *invocation)
{
    GVariantBuilder dict;

    g_variant_builder_init(&dict, G_VARIANT_TYPE_VARDICT);
    for (guint i = 0; i < G_N_ELEMENTS(properties); i++)
        g_variant_builder_add(&dict, "{sv}", properties[i].name,
                              g_variant_new_string(properties[i].get()));
    g_dbus_method_invocation_return_value(invocation, g_variant_new("(a{sv})", &dict));
}

static void
set_allowed(GDBusMethodInvocation *invocation, gpointer user_data)
{
    GVariant *parameters = g_dbus_method_invocation_get_parameters(invocation);
    g_autoptr(GVariant) value = NULL;
    const char *name;

    g_variant_get(parameters, "(&s&sv)", NULL, &name, &value);
    guint row = find_property(name);
    const char *word = g_variant_get_string(value, NULL);
    if (properties[row].set(word)) {
        migd_log(MIGD_LOG_NOTICE, &(MigdLogFields){.message_id = MIGD_MESSAGE_CONFIG},
                 "%s is now %s", name, word);
        g_dbus_method_invocation_return_value(invocation, NULL);
        return;
    }
    g_autofree char *clean = migd_text_clean(word);
    g_dbus_method_invocation_return_error(invocation, G_DBUS_ERROR, G_DBUS_ERROR_INVALID_ARGS,
                                          "%s: \"%s\" is not one of: %s", name, clean,
                                          properties[row].allowed);
}

static void
called(GDBusConnection *connection, const char *sender, const char *path, const char *interface,
       const char *member, GVariant *parameters, GDBusMethodInvocation *invocation,
       gpointer user_data)
{
    MigdLogControl *control = user_data;
    const char *name;

    if (strcmp(member, "GetAll") == 0) {
        get_all(invocation);
        return;
    }
    g_variant_get_child(parameters, 1, "&s", &name);
    if (strcmp(member, "Set") == 0)
        migd_authz_check(control->authz, invocation, MIGD_IFACE_LOG_CONTROL, name, NULL,
                         set_allowed, NULL);
    else
        g_dbus_method_invocation_return_value(
            invocation,
            g_variant_new("(v)", g_variant_new_string(properties[find_property(name)].get())));
}

MigdLogControl *
migd_log_control_new(GDBusConnection *connection, MigdAuthz *authz, GError **error)
{
    /* Without functions for properties GDBus hands these calls over as they are: only so can a Set
     * wait for an answer. */
    static const GDBusInterfaceVTable vtable = {.method_call = called};
    g_autoptr(GDBusNodeInfo) node = g_dbus_node_info_new_for_xml(introspection, NULL);
    g_autoptr(MigdLogControl) control = g_new0(MigdLogControl, 1);

    control->connection = g_object_ref(connection);
    control->authz = authz;
    control->object = g_dbus_connection_register_object(
        connection, MIGD_LOG_CONTROL_PATH, node->interfaces[0], &vtable, control, NULL, error);
    return control->object != 0 ? g_steal_pointer(&control) : NULL;
}

void
migd_log_control_free(MigdLogControl *control)
{
    if (control == NULL)
        return;
    if (control->object != 0)
        g_dbus_connection_unregister_object(control->connection, control->object);
    g_object_unref(control->connection);
    g_free(control);
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * polkit's D-Bus interface, as far as a service needs it: no library, no thread, nothing that
 * blocks. Decides nothing: what an answer means is authz.c's business.
 */
#include "daemon/polkit.h"

#include <string.h>

#define POLKIT_NAME "org.freedesktop.PolicyKit1"
#define POLKIT_PATH "/org/freedesktop/PolicyKit1/Authority"
#define POLKIT_IFACE "org.freedesktop.PolicyKit1.Authority"

/* Without a person in the loop: rules are JavaScript and may be slow, but not that slow. */
#define ANSWER_TIMEOUT_MS 10000

#define CHECK_FLAG_ALLOW_INTERACTION 1u

typedef struct {
    MigdPolkitFunc done;
    gpointer user_data;
} Question;

static gboolean
is_absent(const GError *error)
{
    static const char *const names[] = {
        "org.freedesktop.DBus.Error.ServiceUnknown",
        "org.freedesktop.DBus.Error.NameHasNoOwner",
        "org.freedesktop.DBus.Error.Spawn.ServiceNotFound",
        NULL,
    };
    g_autofree char *name = g_dbus_error_get_remote_error(error);

    return name != NULL && g_strv_contains(names, name);
}

static void
answered(GObject *source, GAsyncResult *result, gpointer user_data)
{
    g_autofree Question *question = user_data;
    g_autoptr(GError) error = NULL;
    g_autoptr(GVariant) reply =
        g_dbus_connection_call_finish(G_DBUS_CONNECTION(source), result, &error);
    gboolean authorized = FALSE, challenge = FALSE;

    if (g_error_matches(error, G_IO_ERROR, G_IO_ERROR_CANCELLED))
        return;
    if (reply == NULL) {
        MigdPolkitAnswer answer = is_absent(error) ? MIGD_POLKIT_ABSENT : MIGD_POLKIT_BROKEN;

        g_dbus_error_strip_remote_error(error);
        question->done(answer, error->message, question->user_data);
        return;
    }
    g_variant_get(reply, "((bb@a{ss}))", &authorized, &challenge, NULL);
    question->done(authorized  ? MIGD_POLKIT_YES
                   : challenge ? MIGD_POLKIT_CHALLENGE
                               : MIGD_POLKIT_NO,
                   NULL, question->user_data);
}

void
migd_polkit_check(GDBusConnection *connection, const char *name, const char *action,
                  GVariant *details, gboolean interactive, const char *cancel_id,
                  GCancellable *cancellable, MigdPolkitFunc done, gpointer user_data)
{
    g_autoptr(GVariant) shown =
        details != NULL ? g_variant_ref(details)
                        : g_variant_ref_sink(g_variant_new_array(G_VARIANT_TYPE("{ss}"), NULL, 0));
    GVariantBuilder subject;
    Question *question = g_new0(Question, 1);

    *question = (Question){done, user_data};
    g_variant_builder_init(&subject, G_VARIANT_TYPE_VARDICT);
    g_variant_builder_add(&subject, "{sv}", "name", g_variant_new_string(name));
    g_dbus_connection_call(
        connection, POLKIT_NAME, POLKIT_PATH, POLKIT_IFACE, "CheckAuthorization",
        g_variant_new("((sa{sv})s@a{ss}us)", "system-bus-name", &subject, action, shown,
                      interactive ? CHECK_FLAG_ALLOW_INTERACTION : 0u, cancel_id),
        G_VARIANT_TYPE("((bba{ss}))"), G_DBUS_CALL_FLAGS_NONE,
        interactive ? G_MAXINT : ANSWER_TIMEOUT_MS, cancellable, answered, question);
}

void
migd_polkit_cancel(GDBusConnection *connection, const char *cancel_id)
{
    g_dbus_connection_call(connection, POLKIT_NAME, POLKIT_PATH, POLKIT_IFACE,
                           "CancelCheckAuthorization", g_variant_new("(s)", cancel_id), NULL,
                           G_DBUS_CALL_FLAGS_NO_AUTO_START, ANSWER_TIMEOUT_MS, NULL, NULL, NULL);
}

guint
migd_polkit_watch(GDBusConnection *connection, GDBusSignalCallback changed, gpointer user_data)
{
    return g_dbus_connection_signal_subscribe(connection, POLKIT_NAME, POLKIT_IFACE, "Changed",
                                              POLKIT_PATH, NULL, G_DBUS_SIGNAL_FLAGS_NONE, changed,
                                              user_data, NULL);
}

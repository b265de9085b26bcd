/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The table, the identity of senders as the bus vouches for it, and what follows from both. Never
 * looks at what a call is about.
 */
#include "daemon/authz.h"

#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "base/names.h"
#include "daemon/polkit.h"

static const struct {
    const char *interface, *member, *action;
} table[] = {
    {MIGD_IFACE_MANAGER, "ListDomains", MIGD_ACTION_ID_INSPECT},
    {MIGD_IFACE_MANAGER, "ListMigrations", MIGD_ACTION_ID_INSPECT},
    {MIGD_IFACE_MANAGER, "GetDomain", MIGD_ACTION_ID_INSPECT},
    {MIGD_IFACE_MANAGER, "GetMigration", MIGD_ACTION_ID_INSPECT},
    {MIGD_IFACE_MANAGER, "Migrate", MIGD_ACTION_ID_MIGRATE},
    {MIGD_IFACE_MANAGER, "Evacuate", MIGD_ACTION_ID_MIGRATE}, /* and once more for each domain */
    {MIGD_IFACE_MANAGER, "Predict", MIGD_ACTION_ID_STEER},    /* it measures */
    {MIGD_IFACE_MANAGER, "ListHistory", MIGD_ACTION_ID_INSPECT},
    {MIGD_IFACE_MANAGER, "GetCounters", MIGD_ACTION_ID_INSPECT},
    {MIGD_IFACE_MANAGER, "Hold", MIGD_ACTION_ID_STEER},
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
    /* Properties that can be set. */
    {MIGD_IFACE_LOG_CONTROL, "LogLevel", MIGD_ACTION_ID_CONFIGURE},
    {MIGD_IFACE_LOG_CONTROL, "LogTarget", MIGD_ACTION_ID_CONFIGURE},
};

typedef struct {
    char *name;
    guint32 uid;
    gboolean may_inspect; /* polkit said so */
} Sender;

struct MigdAuthz {
    GDBusConnection *connection;
    MigdQuota *quota;
    gboolean ask_polkit;
    guint polkit_watch;
    GCancellable *cancellable;
    GHashTable *senders;   /* k: unique name (owned by the value) -> v: Sender */
    GHashTable *strangers; /* k: unique name -> v: Stranger: the bus is asked who it is */
    GHashTable *asked;     /* of Check: polkit has not answered yet */
    guint64 next_id;
};

/* A call that waits for an answer. `authz` is dead once the question is cancelled. */
typedef struct {
    MigdAuthz *authz;
    GDBusMethodInvocation *invocation;
    const char *action;
    GVariant *details;
    char *id;                       /* of the question to polkit */
    const char *interface, *member; /* static strings, or the invocation's */
    MigdAuthzFunc allowed;
    MigdAuthzAnswerFunc answered; /* instead of `allowed` and an answer to the call */
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

static gboolean
is_privileged(guint32 uid, guint32 own_uid)
{
    return uid == 0 || uid == own_uid;
}

gboolean
migd_authz_allows(const char *action, guint32 uid, guint32 own_uid)
{
    if (action == NULL)
        return FALSE;
    return is_privileged(uid, own_uid) || strcmp(action, MIGD_ACTION_ID_INSPECT) == 0;
}

/* ---- answers --------------------------------------------------------------------------------- */

static void
check_free(Check *check)
{
    g_clear_pointer(&check->details, g_variant_unref);
    g_free(check->id);
    g_free(check);
}

static void
allow(Check *check)
{
    if (check->answered != NULL)
        check->answered(NULL, check->user_data);
    else
        check->allowed(check->invocation, check->user_data);
    check_free(check);
}

static void
deny(Check *check, const char *name, const char *why)
{
    g_autofree char *text =
        g_strdup_printf("%s.%s needs %s%s%s", check->interface, check->member,
                        check->action != NULL ? check->action : "an action that nobody has",
                        why != NULL ? ": " : "", why != NULL ? why : "");

    if (check->answered != NULL) {
        g_autoptr(GError) error = g_error_new_literal(MIGD_ERROR, MIGD_ERROR_ACCESS_DENIED, text);
        check->answered(error, check->user_data);
    } else {
        g_dbus_method_invocation_return_dbus_error(check->invocation, name, text);
    }
    check_free(check);
}

static void
deny_access(Check *check, const char *why)
{
    deny(check, "org.freedesktop.DBus.Error.AccessDenied", why);
}

/* ---- senders --------------------------------------------------------------------------------- */

static void
sender_free(gpointer data)
{
    Sender *sender = data;

    g_free(sender->name);
    g_free(sender);
}

/* Its dialogs are closed; the calls themselves end when polkit has answered that it did so. */
static void
sender_left(const char *name, gpointer user_data)
{
    MigdAuthz *authz = user_data;
    GHashTableIter iter;
    gpointer key;

    g_hash_table_iter_init(&iter, authz->asked);
    while (g_hash_table_iter_next(&iter, &key, NULL)) {
        const Check *check = key;

        if (g_strcmp0(g_dbus_method_invocation_get_sender(check->invocation), name) == 0)
            migd_polkit_cancel(authz->connection, check->id);
    }
    g_hash_table_remove(authz->senders, name);
}

/* NULL: it has left. */
static Sender *
remember(MigdAuthz *authz, const char *name, guint32 uid)
{
    Sender *sender;

    if (!migd_quota_know(authz->quota, name, uid, is_privileged(uid, (guint32)geteuid())))
        return NULL;
    sender = g_new0(Sender, 1);
    sender->name = g_strdup(name);
    sender->uid = uid;
    g_hash_table_insert(authz->senders, sender->name, sender);
    return sender;
}

static void
polkit_changed(GDBusConnection *connection, const char *name, const char *path,
               const char *interface, const char *member, GVariant *parameters, gpointer user_data)
{
    MigdAuthz *authz = user_data;
    GHashTableIter iter;
    gpointer sender;

    g_hash_table_iter_init(&iter, authz->senders);
    while (g_hash_table_iter_next(&iter, NULL, &sender))
        ((Sender *)sender)->may_inspect = FALSE;
}

/* ---- the decision ---------------------------------------------------------------------------- */

static void
polkit_answered(MigdPolkitAnswer answer, const char *problem, gpointer user_data)
{
    Check *check = user_data;
    MigdAuthz *authz = check->authz;
    gboolean look = strcmp(check->action, MIGD_ACTION_ID_INSPECT) == 0;
    Sender *sender =
        g_hash_table_lookup(authz->senders, g_dbus_method_invocation_get_sender(check->invocation));

    g_hash_table_remove(authz->asked, check);
    if (sender == NULL) {
        deny_access(check, "the caller has left");
    } else if (answer == MIGD_POLKIT_YES) {
        sender->may_inspect = sender->may_inspect || look;
        allow(check);
    } else if (answer == MIGD_POLKIT_ABSENT) {
        if (migd_authz_allows(check->action, sender->uid, (guint32)geteuid()))
            allow(check);
        else
            deny_access(check, "without polkit only root has it");
    } else if (answer == MIGD_POLKIT_CHALLENGE) {
        deny(check, "org.freedesktop.DBus.Error.InteractiveAuthorizationRequired",
             "somebody would have to authenticate for it");
    } else {
        deny_access(check, answer == MIGD_POLKIT_BROKEN ? problem : "polkit says no");
    }
}

static void
ask_polkit(Check *check)
{
    MigdAuthz *authz = check->authz;
    GDBusMessage *message = g_dbus_method_invocation_get_message(check->invocation);
    gboolean interactive = (g_dbus_message_get_flags(message) &
                            G_DBUS_MESSAGE_FLAGS_ALLOW_INTERACTIVE_AUTHORIZATION) != 0;

    check->id = g_strdup_printf("%" G_GUINT64_FORMAT, authz->next_id++);
    g_hash_table_add(authz->asked, check);
    migd_polkit_check(authz->connection, g_dbus_method_invocation_get_sender(check->invocation),
                      check->action, check->details, interactive, check->id, authz->cancellable,
                      polkit_answered, check);
}

static void
decide(Check *check, const Sender *sender)
{
    const MigdAuthz *authz = check->authz;
    guint32 own = (guint32)geteuid();

    if (check->action == NULL)
        deny_access(check, NULL);
    else if (is_privileged(sender->uid, own))
        allow(check);
    else if (!authz->ask_polkit && migd_authz_allows(check->action, sender->uid, own))
        allow(check);
    else if (!authz->ask_polkit)
        deny_access(check, "on this bus only root and the daemon's own user have it");
    else if (sender->may_inspect && strcmp(check->action, MIGD_ACTION_ID_INSPECT) == 0)
        allow(check);
    else
        ask_polkit(check);
}

typedef struct {
    MigdAuthz *authz; /* dead once the question is cancelled */
    char *name;
    GPtrArray *checks; /* of Check */
} Stranger;

static void
stranger_free(Stranger *stranger)
{
    g_ptr_array_unref(stranger->checks);
    g_free(stranger->name);
    g_free(stranger);
}

static void
deny_all(const Stranger *stranger, const char *why)
{
    for (guint i = 0; i < stranger->checks->len; i++)
        deny_access(stranger->checks->pdata[i], why);
}

static void
got_uid(GObject *source, GAsyncResult *result, gpointer user_data)
{
    Stranger *stranger = user_data;
    g_autoptr(GError) error = NULL;
    g_autoptr(GVariant) reply =
        g_dbus_connection_call_finish(G_DBUS_CONNECTION(source), result, &error);
    const Sender *sender = NULL;
    guint32 uid = G_MAXUINT32;

    if (!g_error_matches(error, G_IO_ERROR, G_IO_ERROR_CANCELLED))
        g_hash_table_remove(stranger->authz->strangers, stranger->name);
    if (reply != NULL) {
        g_variant_get(reply, "(u)", &uid);
        sender = remember(stranger->authz, stranger->name, uid);
    }
    if (g_error_matches(error, G_IO_ERROR, G_IO_ERROR_CANCELLED))
        deny_all(stranger, "the daemon is stopping");
    else if (reply == NULL)
        deny_all(stranger, "the caller has no identity");
    else if (sender == NULL)
        deny_all(stranger, "the caller has left");
    for (guint i = 0; sender != NULL && i < stranger->checks->len; i++)
        decide(stranger->checks->pdata[i], sender);
    stranger_free(stranger);
}

/* The bus is asked once, however many calls wait for the answer. */
static void
identify(MigdAuthz *authz, const char *name, Check *check)
{
    Stranger *stranger = g_hash_table_lookup(authz->strangers, name);

    if (stranger == NULL) {
        stranger = g_new0(Stranger, 1);
        *stranger = (Stranger){.authz = authz, .name = g_strdup(name), .checks = g_ptr_array_new()};
        g_hash_table_insert(authz->strangers, stranger->name, stranger);
        g_dbus_connection_call(authz->connection, "org.freedesktop.DBus", "/org/freedesktop/DBus",
                               "org.freedesktop.DBus", "GetConnectionUnixUser",
                               g_variant_new("(s)", name), G_VARIANT_TYPE("(u)"),
                               G_DBUS_CALL_FLAGS_NONE, /* timeout_msec= */ 5000, authz->cancellable,
                               got_uid, stranger);
    }
    g_ptr_array_add(stranger->checks, check);
}

static void
ask(MigdAuthz *authz, const Check *question, GVariant *details)
{
    const char *name = g_dbus_method_invocation_get_sender(question->invocation);
    Sender *sender = name != NULL ? g_hash_table_lookup(authz->senders, name) : NULL;
    Check *check = g_memdup2(question, sizeof *question);

    check->authz = authz;
    check->action = migd_authz_action(check->interface, check->member);
    check->details = details != NULL ? g_variant_ref_sink(details) : NULL;
    if (name == NULL)
        deny_access(check, "the caller has no identity");
    else if (sender != NULL)
        decide(check, sender);
    else
        identify(authz, name, check);
}

void
migd_authz_check(MigdAuthz *authz, GDBusMethodInvocation *invocation, const char *interface,
                 const char *member, GVariant *details, MigdAuthzFunc allowed, gpointer user_data)
{
    const Check check = {.invocation = invocation,
                         .interface = interface,
                         .member = member,
                         .allowed = allowed,
                         .user_data = user_data};

    ask(authz, &check, details);
}

void
migd_authz_ask(MigdAuthz *authz, GDBusMethodInvocation *invocation, const char *interface,
               const char *member, GVariant *details, MigdAuthzAnswerFunc answered,
               gpointer user_data)
{
    const Check check = {.invocation = invocation,
                         .interface = interface,
                         .member = member,
                         .answered = answered,
                         .user_data = user_data};

    ask(authz, &check, details);
}

/* ---- life ------------------------------------------------------------------------------------ */

MigdAuthz *
migd_authz_new(GDBusConnection *connection, MigdQuota *quota, gboolean ask_polkit)
{
    MigdAuthz *authz = g_new0(MigdAuthz, 1);

    authz->connection = g_object_ref(connection);
    authz->quota = quota;
    authz->ask_polkit = ask_polkit;
    authz->cancellable = g_cancellable_new();
    authz->senders = g_hash_table_new_full(g_str_hash, g_str_equal, NULL, sender_free);
    authz->strangers = g_hash_table_new(g_str_hash, g_str_equal);
    authz->asked = g_hash_table_new(NULL, NULL);
    migd_quota_on_left(quota, sender_left, authz);
    if (ask_polkit)
        authz->polkit_watch = migd_polkit_watch(connection, polkit_changed, authz);
    return authz;
}

void
migd_authz_free(MigdAuthz *authz)
{
    GHashTableIter iter;
    gpointer check;

    if (authz == NULL)
        return;
    migd_quota_on_left(authz->quota, NULL, NULL);
    g_cancellable_cancel(authz->cancellable);
    g_hash_table_iter_init(&iter, authz->asked);
    while (g_hash_table_iter_next(&iter, &check, NULL)) {
        migd_polkit_cancel(authz->connection, ((Check *)check)->id);
        deny_access(check, "the daemon is stopping");
    }
    if (authz->polkit_watch != 0)
        g_dbus_connection_signal_unsubscribe(authz->connection, authz->polkit_watch);
    g_object_unref(authz->cancellable);
    g_hash_table_unref(authz->asked);
    g_hash_table_unref(authz->strangers);
    g_hash_table_unref(authz->senders);
    g_object_unref(authz->connection);
    g_free(authz);
}

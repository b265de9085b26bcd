/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A filter of the bus connection counts calls when they come in and when their answers go out, and
 * sees who leaves the bus. It runs in GDBus' own thread, so everything here is behind one lock, and
 * nothing else is touched.
 */
#include "daemon/quota.h"

/* Whoever leaves the bus, and nothing else: one rule for all, where a rule for each client would
 * cost the bus more than the client's calls. */
#define LEAVING                                                                                    \
    "type='signal',sender='org.freedesktop.DBus',interface='org.freedesktop.DBus',"                \
    "member='NameOwnerChanged',arg2=''"

typedef struct {
    char *name;
    gboolean known, privileged, left;
    guint32 uid;
    guint calls;
} Client;

/* One call that is not answered yet. */
typedef struct {
    Client *client;
    guint32 serial;
    gboolean dump;
    gboolean silent; /* the caller does not want the answer */
} Call;

/* Shared with the filter, which GDBus may still run while the owner goes. */
typedef struct {
    GMutex lock;
    GHashTable *clients; /* k: name (the value's) -> v: Client */
    GHashTable *users;   /* k: uid -> v: number of calls, of clients that are known */
    GHashTable *calls;   /* of Call, by client's name and serial */
    guint dumps;
    guint strangers; /* calls of clients that are not known */
    MigdQuotaLeftFunc tell_left;
    gpointer left_data;
    GPtrArray *left; /* names to be told */
    GSource *left_source;
} State;

struct MigdQuota {
    GDBusConnection *connection;
    guint filter;
    State *state;
};

static guint
call_hash(gconstpointer key)
{
    const Call *call = key;
    return g_direct_hash(call->client) ^ call->serial;
}

static gboolean
call_equal(gconstpointer a, gconstpointer b)
{
    const Call *x = a, *y = b;
    return x->client == y->client && x->serial == y->serial;
}

static void
client_free(gpointer data)
{
    Client *client = data;

    g_free(client->name);
    g_free(client);
}

static void
state_free(gpointer data)
{
    State *state = data;

    g_hash_table_unref(state->calls);
    g_hash_table_unref(state->clients);
    g_hash_table_unref(state->users);
    g_ptr_array_unref(state->left);
    g_mutex_clear(&state->lock);
    g_free(state);
}

/* ---- with the lock held ---------------------------------------------------------------------- */

static guint
user_calls(const State *state, guint32 uid)
{
    return GPOINTER_TO_UINT(g_hash_table_lookup(state->users, GUINT_TO_POINTER(uid)));
}

static void
add_user_calls(State *state, const Client *client, gint change)
{
    guint calls = user_calls(state, client->uid) + (guint)change;

    if (!client->known)
        return;
    if (calls > 0)
        g_hash_table_insert(state->users, GUINT_TO_POINTER(client->uid), GUINT_TO_POINTER(calls));
    else
        g_hash_table_remove(state->users, GUINT_TO_POINTER(client->uid));
}

static Client *
find_client(State *state, const char *name)
{
    Client *client = g_hash_table_lookup(state->clients, name);

    if (client == NULL) {
        client = g_new0(Client, 1);
        client->name = g_strdup(name);
        g_hash_table_insert(state->clients, client->name, client);
    }
    return client;
}

/* What is not known and has nothing under way is nobody. */
static void
drop_client(State *state, Client *client)
{
    if (client->calls == 0 && (client->left || !client->known))
        g_hash_table_remove(state->clients, client->name);
}

/* NULL, or which limit a further call of `client` would break. Caller frees. */
static char *
broken_limit(const State *state, const Client *client, gboolean dump)
{
    guint limit = client->privileged ? MIGD_LIMIT_CALLS_PRIVILEGED
                  : client->known    ? MIGD_LIMIT_CALLS
                                     : MIGD_LIMIT_CALLS_UNKNOWN;

    if (client->calls >= limit)
        return g_strdup_printf("this connection has %u calls that are not answered yet, "
                               "which is the limit: wait for the answers",
                               client->calls);
    if (client->privileged)
        return NULL;
    if (!client->known && state->strangers >= MIGD_LIMIT_CALLS_STRANGERS)
        return g_strdup_printf("%u calls of new connections are not answered yet, "
                               "which is the limit: try again",
                               state->strangers);
    if (client->known && user_calls(state, client->uid) >= MIGD_LIMIT_CALLS_USER)
        return g_strdup_printf("user %u has %u calls that are not answered yet, "
                               "which is the limit: wait for the answers",
                               client->uid, user_calls(state, client->uid));
    if (dump && state->dumps >= MIGD_LIMIT_DUMPS)
        return g_strdup_printf("%u clients are reading all objects, which is the limit: try again",
                               state->dumps);
    return NULL;
}

static void
call_begins(State *state, Client *client, guint32 serial, gboolean dump, gboolean silent)
{
    Call *call = g_new0(Call, 1);

    *call = (Call){client, serial, dump && !client->privileged, silent};
    if (!g_hash_table_add(state->calls, call))
        return; /* a serial used twice: bus daemons do not let that pass */
    client->calls++;
    state->dumps += call->dump ? 1 : 0;
    state->strangers += client->known ? 0 : 1;
    add_user_calls(state, client, 1);
}

/* TRUE when nobody wants the answer. */
static gboolean
call_ends(State *state, const char *name, guint32 serial)
{
    Client *client = name != NULL ? g_hash_table_lookup(state->clients, name) : NULL;
    const Call key = {.client = client, .serial = serial};
    Call *call = client != NULL ? g_hash_table_lookup(state->calls, &key) : NULL;
    gboolean silent = call != NULL && (call->silent || client->left);

    if (call == NULL)
        return FALSE;
    client->calls--;
    state->dumps -= call->dump ? 1 : 0;
    state->strangers -= client->known ? 0 : 1;
    add_user_calls(state, client, -1);
    g_hash_table_remove(state->calls, call);
    drop_client(state, client);
    return silent;
}

/* ---- who leaves ------------------------------------------------------------------------------ */

static gboolean
tell_left(gpointer user_data)
{
    State *state = user_data;
    g_autoptr(GPtrArray) names = NULL;

    g_mutex_lock(&state->lock);
    names = g_steal_pointer(&state->left);
    state->left = g_ptr_array_new_with_free_func(g_free);
    g_clear_pointer(&state->left_source, g_source_unref);
    g_mutex_unlock(&state->lock);
    for (guint i = 0; i < names->len; i++)
        state->tell_left(names->pdata[i], state->left_data);
    return G_SOURCE_REMOVE;
}

/* With the lock held. */
static void
leaves(State *state, Client *client)
{
    client->left = TRUE;
    if (client->known && state->tell_left != NULL) {
        g_ptr_array_add(state->left, g_strdup(client->name));
        if (state->left_source == NULL) {
            state->left_source = g_idle_source_new();
            g_source_set_priority(state->left_source, G_PRIORITY_DEFAULT);
            g_source_set_callback(state->left_source, tell_left, state, NULL);
            g_source_attach(state->left_source, NULL);
        }
    }
    drop_client(state, client);
}

static void
name_changed(State *state, GDBusMessage *message)
{
    GVariant *body = g_dbus_message_get_body(message);
    const char *name, *owner;
    Client *client;

    if (g_strcmp0(g_dbus_message_get_sender(message), "org.freedesktop.DBus") != 0 ||
        g_strcmp0(g_dbus_message_get_member(message), "NameOwnerChanged") != 0 || body == NULL ||
        !g_variant_is_of_type(body, G_VARIANT_TYPE("(sss)")))
        return;
    g_variant_get(body, "(&s&s&s)", &name, NULL, &owner);
    g_mutex_lock(&state->lock);
    client = owner[0] == '\0' ? g_hash_table_lookup(state->clients, name) : NULL;
    if (client != NULL)
        leaves(state, client);
    g_mutex_unlock(&state->lock);
}

/* ---- the filter ------------------------------------------------------------------------------ */

static void
refuse(GDBusConnection *connection, GDBusMessage *message, const char *why)
{
    g_autoptr(GDBusMessage) answer = NULL;

    if (g_dbus_message_get_flags(message) & G_DBUS_MESSAGE_FLAGS_NO_REPLY_EXPECTED)
        return;
    answer = g_dbus_message_new_method_error_literal(
        message, "org.freedesktop.DBus.Error.LimitsExceeded", why);
    (void)g_dbus_connection_send_message(connection, answer, G_DBUS_SEND_MESSAGE_FLAGS_NONE, NULL,
                                         NULL);
}

/* GDBus sends no answer that is not wanted, and then nobody would know that the call is over: so
 * the flag is taken off, and the answer stopped on its way out. */
static GDBusMessage *
want_answer(GDBusMessage *message)
{
    GDBusMessage *copy = g_dbus_message_copy(message, NULL);
    GDBusMessageFlags flags = g_dbus_message_get_flags(message);

    g_object_unref(message);
    if (copy != NULL)
        g_dbus_message_set_flags(copy, flags & ~G_DBUS_MESSAGE_FLAGS_NO_REPLY_EXPECTED);
    return copy;
}

static GDBusMessage *
come_in(State *state, GDBusConnection *connection, GDBusMessage *message)
{
    const char *name = g_dbus_message_get_sender(message);
    gboolean silent =
        (g_dbus_message_get_flags(message) & G_DBUS_MESSAGE_FLAGS_NO_REPLY_EXPECTED) != 0;
    gboolean dump = g_strcmp0(g_dbus_message_get_member(message), "GetManagedObjects") == 0;
    g_autofree char *why = NULL;

    if (name == NULL) {
        g_object_unref(message);
        return NULL;
    }
    g_mutex_lock(&state->lock);
    Client *client = find_client(state, name);
    why = broken_limit(state, client, dump);
    if (why == NULL)
        call_begins(state, client, g_dbus_message_get_serial(message), dump, silent);
    drop_client(state, client);
    g_mutex_unlock(&state->lock);
    if (why == NULL)
        return silent ? want_answer(message) : message;
    refuse(connection, message, why);
    g_object_unref(message);
    return NULL;
}

static GDBusMessage *
go_out(State *state, GDBusMessage *message)
{
    gboolean silent;

    g_mutex_lock(&state->lock);
    silent = call_ends(state, g_dbus_message_get_destination(message),
                       g_dbus_message_get_reply_serial(message));
    g_mutex_unlock(&state->lock);
    if (!silent)
        return message;
    g_object_unref(message);
    return NULL;
}

static GDBusMessage *
count(GDBusConnection *connection, GDBusMessage *message, gboolean incoming, gpointer user_data)
{
    GDBusMessageType type = g_dbus_message_get_message_type(message);

    if (incoming && type == G_DBUS_MESSAGE_TYPE_METHOD_CALL)
        return come_in(user_data, connection, message);
    if (incoming && type == G_DBUS_MESSAGE_TYPE_SIGNAL)
        name_changed(user_data, message);
    if (!incoming &&
        (type == G_DBUS_MESSAGE_TYPE_METHOD_RETURN || type == G_DBUS_MESSAGE_TYPE_ERROR))
        return go_out(user_data, message);
    return message;
}

/* ---- life ------------------------------------------------------------------------------------ */

MigdQuota *
migd_quota_new(GDBusConnection *connection)
{
    MigdQuota *quota = g_new0(MigdQuota, 1);
    State *state = g_new0(State, 1);

    g_mutex_init(&state->lock);
    state->clients = g_hash_table_new_full(g_str_hash, g_str_equal, NULL, client_free);
    state->users = g_hash_table_new(NULL, NULL);
    state->calls = g_hash_table_new_full(call_hash, call_equal, g_free, NULL);
    state->left = g_ptr_array_new_with_free_func(g_free);
    quota->connection = g_object_ref(connection);
    quota->state = state;
    quota->filter = g_dbus_connection_add_filter(connection, count, state, state_free);
    g_dbus_connection_call(connection, "org.freedesktop.DBus", "/org/freedesktop/DBus",
                           "org.freedesktop.DBus", "AddMatch", g_variant_new("(s)", LEAVING), NULL,
                           G_DBUS_CALL_FLAGS_NONE, /* timeout_msec= */ -1, NULL, NULL, NULL);
    return quota;
}

void
migd_quota_on_left(MigdQuota *quota, MigdQuotaLeftFunc left, gpointer user_data)
{
    State *state = quota->state;

    g_mutex_lock(&state->lock);
    state->tell_left = left;
    state->left_data = user_data;
    if (left == NULL && state->left_source != NULL) {
        g_source_destroy(state->left_source);
        g_clear_pointer(&state->left_source, g_source_unref);
    }
    g_mutex_unlock(&state->lock);
}

void
migd_quota_free(MigdQuota *quota)
{
    if (quota == NULL)
        return;
    migd_quota_on_left(quota, NULL, NULL);
    g_dbus_connection_remove_filter(quota->connection, quota->filter);
    g_object_unref(quota->connection);
    g_free(quota);
}

gboolean
migd_quota_know(MigdQuota *quota, const char *name, guint32 uid, gboolean privileged)
{
    State *state = quota->state;
    gboolean here;

    g_mutex_lock(&state->lock);
    Client *client = find_client(state, name);
    here = !client->left;
    if (here && !client->known) {
        client->known = TRUE;
        client->privileged = privileged;
        client->uid = uid;
        state->strangers -= client->calls;
        add_user_calls(state, client, (gint)client->calls);
    }
    drop_client(state, client);
    g_mutex_unlock(&state->lock);
    return here;
}

gboolean
migd_quota_has_left(MigdQuota *quota, const char *name)
{
    State *state = quota->state;
    const Client *client;
    gboolean left;

    g_mutex_lock(&state->lock);
    client = g_hash_table_lookup(state->clients, name);
    left = client != NULL && client->left;
    g_mutex_unlock(&state->lock);
    return left;
}

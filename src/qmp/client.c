/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The client. One chunk is read and a bounded number of messages handled a turn, so that a peer
 * that talks without end cannot keep the others waiting; everything that grows (line, commands in
 * flight, bytes not yet written) has a limit. Sockets come before all else on the main loop, since
 * a migration waits for nobody; what a peer may say in a second is limited. Callbacks may free the
 * client: whoever calls one holds a reference and looks at `freed` afterwards.
 */
#include "qmp/client.h"

#include "base/error.h"
#include "base/text.h"
#include "qmp/budget.h"
#include "qmp/pending.h"
#include "qmp/socket.h"

#include <errno.h>
#include <glib-unix.h>
#include <string.h>
#include <unistd.h>

#define CHUNK_BYTES 65536       /* read at once */
#define TURN_MESSAGES 64        /* handled before others get their turn */
#define MAX_IN_FLIGHT 32        /* commands */
#define MAX_UNWRITTEN (1 << 18) /* bytes, for a peer that does not read */

const MigdQmpLimits migd_qmp_limits_default = {
    .timeout_ms = 5000,
    .backoff_min_ms = 50,
    .backoff_max_ms = 30000,
    .quarantine_ms = 1000,
    .healthy_ms = 10000,
    /* A guest of a few megabytes with a downtime limit of next to nothing makes QEMU announce
     * hundreds of passes a second, each of which is asked about: that is still honest. */
    .messages_per_s = 2000,
    .bytes_per_s = 4 << 20,
};

typedef enum {
    STAGE_DOWN, /* no connection; `timer` = next attempt */
    STAGE_GREETING,
    STAGE_NEGOTIATING,
    STAGE_OPEN,
} Stage;

struct MigdQmpClient {
    guint refs;
    gboolean freed;
    char *path;
    MigdQmpLimits limits;
    const MigdQmpListener *listener;
    gpointer user_data;

    Stage stage;
    MigdQmpState state; /* as last told */
    int fd;
    guint in_watch, out_watch;
    guint more;  /* idle source: messages are left from the last chunk */
    guint timer; /* DOWN: next attempt; before OPEN: greeting overdue; OPEN: deadline of the oldest
                    command */
    guint backoff_ms;
    gint64 opened_us;

    MigdQmpWire wire;
    GByteArray *unwritten;
    guint64 next_id, handshake_id;
    GQueue in_flight; /* of MigdQmpPending, oldest (= nearest deadline) first */
    GQueue unsent;    /* of MigdQmpPending that could not be sent; answered by `unsent_source` */
    guint unsent_source;

    MigdQmpBudget budget;
};

static MigdQmpClient *
client_ref(MigdQmpClient *client)
{
    client->refs++;
    return client;
}

static void
client_unref(MigdQmpClient *client)
{
    if (--client->refs > 0)
        return;
    migd_qmp_wire_clear(&client->wire);
    g_byte_array_unref(client->unwritten);
    g_free(client->path);
    g_free(client);
}

typedef MigdQmpClient ClientHold;
G_DEFINE_AUTOPTR_CLEANUP_FUNC(ClientHold, client_unref)

static void
tell_state(MigdQmpClient *client, MigdQmpState state, const char *problem)
{
    if (client->freed || (client->state == state && problem == NULL))
        return;
    client->state = state;
    client->listener->state(state, problem, client->user_data);
}

static void
tell_fault(const MigdQmpClient *client, MigdQmpFault fault)
{
    if (!client->freed && client->listener->fault != NULL)
        client->listener->fault(fault, client->user_data);
}

/* ---- timer ---- */

static gboolean on_timer(gpointer user_data);

static void
set_timer(MigdQmpClient *client, guint ms)
{
    g_clear_handle_id(&client->timer, g_source_remove);
    client->timer = g_timeout_add(ms, on_timer, client);
}

/* The oldest command sets the alarm; without one there is none. */
static void
arm_deadline(MigdQmpClient *client)
{
    const MigdQmpPending *oldest = g_queue_peek_head(&client->in_flight);
    gint64 left_us;

    g_clear_handle_id(&client->timer, g_source_remove);
    if (oldest == NULL)
        return;
    left_us = MAX(oldest->deadline_us - g_get_monotonic_time(), 0);
    set_timer(client, (guint)((left_us + 999) / 1000));
}

/* ---- answers ---- */

static gboolean
on_unsent(gpointer user_data)
{
    g_autoptr(ClientHold) client = client_ref(user_data);

    client->unsent_source = 0;
    migd_qmp_pending_answer_all(
        &client->unsent, client->stage == STAGE_OPEN ? "the peer does not read" : "not connected");
    return G_SOURCE_REMOVE;
}

/* ---- loss ---- */

static void
close_connection(MigdQmpClient *client)
{
    g_clear_handle_id(&client->timer, g_source_remove);
    g_clear_handle_id(&client->in_watch, g_source_remove);
    g_clear_handle_id(&client->out_watch, g_source_remove);
    g_clear_handle_id(&client->more, g_source_remove);
    if (client->fd >= 0)
        close(client->fd);
    client->fd = -1;
    migd_qmp_wire_clear(&client->wire);
    migd_qmp_wire_init(&client->wire);
    g_byte_array_set_size(client->unwritten, 0);
    client->stage = STAGE_DOWN;
}

/* Ends the connection, tells why, and plans the next attempt. */
static void
drop(MigdQmpClient *client, MigdQmpState state, const char *problem)
{
    g_autoptr(ClientHold) hold = client_ref(client);
    g_autofree char *clean = problem != NULL ? migd_text_clean(problem) : NULL;
    gint64 lasted_us = client->stage == STAGE_OPEN ? g_get_monotonic_time() - client->opened_us : 0;
    guint wait_ms;

    if (lasted_us >= (gint64)client->limits.healthy_ms * 1000)
        client->backoff_ms = client->limits.backoff_min_ms;
    wait_ms = client->backoff_ms;
    if (state == MIGD_QMP_FAULTY)
        wait_ms = MAX(wait_ms, client->limits.quarantine_ms);
    client->backoff_ms = MIN(wait_ms * 2, client->limits.backoff_max_ms);
    close_connection(client);
    set_timer(client, wait_ms);
    migd_qmp_pending_answer_all(&client->in_flight, clean != NULL ? clean : "connection lost");
    tell_state(client, state, clean);
}

static void
drop_faulty(MigdQmpClient *client, MigdQmpFault fault, const char *problem)
{
    tell_fault(client, fault);
    drop(client, MIGD_QMP_FAULTY, problem);
}

/* ---- writing ---- */

static gboolean on_writable(gint fd, GIOCondition condition, gpointer user_data);

/* A write error is left to the reader, which meets the end of the connection, or to the deadline.
 */
static void
write_some(MigdQmpClient *client)
{
    gssize n = migd_qmp_socket_send(client->fd, client->unwritten->data, client->unwritten->len);

    if (n < 0)
        g_byte_array_set_size(client->unwritten, 0);
    else if (n > 0)
        g_byte_array_remove_range(client->unwritten, 0, (guint)n);
    if (client->unwritten->len == 0)
        g_clear_handle_id(&client->out_watch, g_source_remove);
    else if (client->out_watch == 0)
        client->out_watch =
            g_unix_fd_add_full(G_PRIORITY_HIGH, client->fd, G_IO_OUT, on_writable, client, NULL);
}

static gboolean
on_writable(gint fd, GIOCondition condition, gpointer user_data)
{
    MigdQmpClient *client = user_data;

    write_some(client);
    return client->out_watch != 0 ? G_SOURCE_CONTINUE : G_SOURCE_REMOVE;
}

/* FALSE when the peer has let too much pile up. */
static gboolean
send_command(MigdQmpClient *client, const char *command, const MigdJson *arguments, guint64 id)
{
    g_autofree char *line = migd_qmp_encode(command, arguments, id);
    gsize length = strlen(line);

    if (client->unwritten->len + length > MAX_UNWRITTEN)
        return FALSE;
    g_byte_array_append(client->unwritten, (const guint8 *)line, (guint)length);
    if (client->out_watch == 0)
        write_some(client);
    return TRUE;
}

void
migd_qmp_client_call(MigdQmpClient *client, const char *command, MigdJson *arguments,
                     MigdQmpReplyFunc callback, gpointer user_data)
{
    g_autoptr(MigdJson) taken = arguments;
    MigdQmpPending values = {
        .id = client->next_id++,
        .deadline_us = g_get_monotonic_time() + (gint64)client->limits.timeout_ms * 1000,
        .command = (char *)command,
        .callback = callback,
        .user_data = user_data,
    };

    if (client->stage == STAGE_OPEN && client->in_flight.length < MAX_IN_FLIGHT &&
        send_command(client, command, taken, values.id)) {
        migd_qmp_pending_push(&client->in_flight, &values);
        if (client->in_flight.length == 1)
            arm_deadline(client);
        return;
    }
    migd_qmp_pending_push(&client->unsent, &values);
    if (client->unsent_source == 0 && !client->freed)
        client->unsent_source = g_idle_add_full(G_PRIORITY_DEFAULT, on_unsent, client, NULL);
}

/* ---- messages ---- */

static void
open_up(MigdQmpClient *client)
{
    client->stage = STAGE_OPEN;
    client->opened_us = g_get_monotonic_time();
    g_clear_handle_id(&client->timer, g_source_remove);
    tell_state(client, MIGD_QMP_READY, NULL);
}

/* Replies without an id, late or never asked for are dropped, as QMP's specification advises. */
static void
take_reply(MigdQmpClient *client, const MigdQmpMessage *message)
{
    MigdQmpPending *pending =
        message->has_id ? migd_qmp_pending_take(&client->in_flight, message->id) : NULL;

    if (pending == NULL)
        return;
    arm_deadline(client);
    if (message->kind == MIGD_QMP_RETURN) {
        migd_qmp_pending_answer(pending, message->data);
        return;
    }
    tell_fault(client, migd_qmp_fault_of_class(message->name));
    migd_qmp_pending_answer_error(pending, MIGD_ERROR_FAILED, message->text);
}

static void
negotiate(MigdQmpClient *client)
{
    client->stage = STAGE_NEGOTIATING;
    client->handshake_id = client->next_id++;
    (void)send_command(client, "qmp_capabilities", NULL, client->handshake_id);
}

static void
take_message(MigdQmpClient *client, const MigdQmpMessage *message)
{
    gboolean is_reply = message->kind == MIGD_QMP_RETURN || message->kind == MIGD_QMP_ERROR;

    if (client->stage == STAGE_GREETING) {
        if (message->kind == MIGD_QMP_GREETING)
            negotiate(client);
        else
            drop_faulty(client, MIGD_QMP_FAULT_MALFORMED, "QMP: no greeting");
    } else if (message->kind == MIGD_QMP_GREETING) {
        drop_faulty(client, MIGD_QMP_FAULT_MALFORMED, "QMP: second greeting");
    } else if (client->stage == STAGE_NEGOTIATING) {
        if (!is_reply || !message->has_id || message->id != client->handshake_id)
            return;
        if (message->kind == MIGD_QMP_RETURN)
            open_up(client);
        else
            drop_faulty(client, migd_qmp_fault_of_class(message->name), message->text);
    } else if (is_reply) {
        take_reply(client, message);
    } else {
        client->listener->event(message, client->user_data);
    }
}

/* ---- reading ---- */

static gboolean
spend(MigdQmpClient *client, guint messages, gsize bytes)
{
    return migd_qmp_budget_spend(&client->budget, messages, bytes, g_get_monotonic_time());
}

static gboolean on_more(gpointer user_data);

/* Handles a turn's worth of what is buffered; asks for another turn if that was not all. */
static void
handle_some(MigdQmpClient *client)
{
    for (guint n = 0; n < TURN_MESSAGES; n++) {
        g_auto(MigdQmpMessage) message = {0};
        g_autoptr(GError) error = NULL;
        MigdQmpNext next = migd_qmp_wire_next(&client->wire, &message, &error);

        if (next == MIGD_QMP_NEXT_NONE)
            return;
        if (next == MIGD_QMP_NEXT_BROKEN) {
            drop_faulty(client, MIGD_QMP_FAULT_MALFORMED, error->message);
            return;
        }
        if (!spend(client, 1, 0)) {
            drop_faulty(client, MIGD_QMP_FAULT_FLOOD, "QMP: too many messages a second");
            return;
        }
        if (client->stage == STAGE_OPEN)
            tell_state(client, MIGD_QMP_READY, NULL); /* it was SILENT, maybe */
        if (!client->freed)
            take_message(client, &message);
        if (client->freed || client->stage == STAGE_DOWN)
            return;
    }
    client->more = g_idle_add_full(G_PRIORITY_HIGH, on_more, client, NULL);
}

static gboolean
on_more(gpointer user_data)
{
    g_autoptr(ClientHold) client = client_ref(user_data);

    client->more = 0;
    handle_some(client);
    return G_SOURCE_REMOVE;
}

/* While messages wait for their turn nothing more is read: the rest stays in the socket, where it
 * is bounded. */
static gboolean
on_readable(gint fd, GIOCondition condition, gpointer user_data)
{
    g_autoptr(ClientHold) client = client_ref(user_data);
    guint8 chunk[CHUNK_BYTES];
    gssize n;

    if (client->more != 0)
        return G_SOURCE_CONTINUE;
    n = migd_qmp_socket_receive(fd, chunk, sizeof chunk);
    if (n == 0)
        return G_SOURCE_CONTINUE;
    if (n < 0) {
        if (client->stage != STAGE_OPEN || client->in_flight.length > 0)
            tell_fault(client, MIGD_QMP_FAULT_LOST); /* else: a QEMU that ends */
        drop(client, MIGD_QMP_CONNECTING, NULL);
        return G_SOURCE_REMOVE;
    }
    if (!spend(client, 0, (gsize)n)) {
        drop_faulty(client, MIGD_QMP_FAULT_FLOOD, "QMP: too many bytes a second");
        return G_SOURCE_REMOVE;
    }
    migd_qmp_wire_feed(&client->wire, chunk, (gsize)n);
    handle_some(client);
    return client->in_watch != 0 ? G_SOURCE_CONTINUE : G_SOURCE_REMOVE;
}

/* ---- connecting ---- */

static void
try_connect(MigdQmpClient *client)
{
    g_autoptr(GError) error = NULL;
    gboolean refused = FALSE;

    client->fd = migd_qmp_socket_connect(client->path, &refused, &error);
    if (client->fd < 0) {
        drop(client, refused ? MIGD_QMP_REFUSED : MIGD_QMP_SILENT, error->message);
        return;
    }
    client->stage = STAGE_GREETING;
    client->in_watch = g_unix_fd_add_full(G_PRIORITY_HIGH, client->fd,
                                          G_IO_IN | G_IO_HUP | G_IO_ERR, on_readable, client, NULL);
    migd_qmp_budget_init(&client->budget, client->limits.messages_per_s, client->limits.bytes_per_s,
                         g_get_monotonic_time());
    set_timer(client, client->limits.timeout_ms);
}

static void
expire(MigdQmpClient *client)
{
    g_autofree char *problem = NULL;
    gint64 now = g_get_monotonic_time();

    MigdQmpPending *expired;

    while ((expired = migd_qmp_pending_take_expired(&client->in_flight, now)) != NULL) {
        if (problem == NULL)
            problem = g_strdup_printf("no reply to %s in %u ms", expired->command,
                                      client->limits.timeout_ms);
        tell_fault(client, MIGD_QMP_FAULT_TIMED_OUT);
        migd_qmp_pending_answer_error(expired, MIGD_ERROR_TIMED_OUT, "no reply in time");
        if (client->freed || client->stage != STAGE_OPEN)
            return;
    }
    arm_deadline(client);
    if (problem != NULL)
        tell_state(client, MIGD_QMP_SILENT, problem);
}

static gboolean
on_timer(gpointer user_data)
{
    g_autoptr(ClientHold) client = client_ref(user_data);

    client->timer = 0;
    if (client->stage == STAGE_DOWN) {
        try_connect(client);
    } else if (client->stage == STAGE_OPEN) {
        expire(client);
    } else {
        g_autofree char *problem =
            g_strdup_printf(client->stage == STAGE_GREETING
                                ? "no greeting in %u ms: it may be serving another client"
                                : "no reply to qmp_capabilities in %u ms",
                            client->limits.timeout_ms);
        tell_fault(client, MIGD_QMP_FAULT_TIMED_OUT);
        tell_state(client, MIGD_QMP_SILENT, problem);
    }
    return G_SOURCE_REMOVE;
}

MigdQmpClient *
migd_qmp_client_new(const char *path, const MigdQmpLimits *limits, const MigdQmpListener *listener,
                    gpointer user_data)
{
    MigdQmpClient *client = g_new0(MigdQmpClient, 1);

    client->refs = 1;
    client->path = g_strdup(path);
    client->limits = *limits;
    client->listener = listener;
    client->user_data = user_data;
    client->fd = -1;
    client->state = MIGD_QMP_CONNECTING;
    client->backoff_ms = limits->backoff_min_ms;
    client->unwritten = g_byte_array_new();
    client->next_id = 1;
    g_queue_init(&client->in_flight);
    g_queue_init(&client->unsent);
    migd_qmp_wire_init(&client->wire);
    set_timer(client, 0);
    return client;
}

void
migd_qmp_client_free(MigdQmpClient *client)
{
    if (client == NULL || client->freed)
        return;
    client->freed = TRUE;
    close_connection(client);
    g_clear_handle_id(&client->unsent_source, g_source_remove);
    migd_qmp_pending_answer_all(&client->in_flight, "the connection is given up");
    while (!g_queue_is_empty(&client->unsent)) /* callbacks may have asked once more */
        migd_qmp_pending_answer_all(&client->unsent, "the connection is given up");
    client_unref(client);
}

gint
migd_qmp_client_peer(const MigdQmpClient *client)
{
    return migd_qmp_socket_peer(client->fd);
}

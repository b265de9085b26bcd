/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Requests. One holds two references' worth of life: the daemon's callback, answered once, and the
 * QMP commands under way, each of which comes back exactly once from the client.
 */
#include "daemon/qmp-request.h"

#include "base/error.h"
#include "qmp/limit.h"

typedef struct {
    MigdQmpPeer *peer;        /* NULL once answered */
    MigdSampleFunc on_sample; /* one of these three is set */
    MigdKnobsFunc on_knobs;
    MigdDoneFunc on_done;
    gpointer user_data;
    guint under_way;     /* commands without a reply */
    GPtrArray *commands; /* of MigdQmpCommand, sent one by one */
    guint next;
    GError *refused; /* why nothing was sent */
    gboolean reread; /* the knobs are to be read anew after each command */
    MigdKnobs knobs; /* read so far, or (act) turned */
} Request;

static void
request_free(Request *request)
{
    g_clear_pointer(&request->commands, g_ptr_array_unref);
    g_clear_error(&request->refused);
    g_free(request);
}

static Request *
request_new(MigdDomain *domain, gpointer user_data)
{
    Request *request = g_new0(Request, 1);

    request->peer = ((MigdQmpDomain *)domain)->peer;
    request->user_data = user_data;
    request->peer->requests = g_list_prepend(request->peer->requests, request);
    return request;
}

/* The callback may do anything, so the request is off the list by then. */
static void
answer(Request *request, const MigdSample *sample, const GError *error)
{
    MigdQmpPeer *peer = g_steal_pointer(&request->peer);

    if (peer == NULL)
        return;
    peer->requests = g_list_remove(peer->requests, request);
    if (request->on_sample != NULL)
        request->on_sample(error == NULL ? sample : NULL, error, request->user_data);
    else if (request->on_knobs != NULL)
        request->on_knobs(error == NULL ? &request->knobs : NULL, error, request->user_data);
    else
        request->on_done(error, request->user_data);
}

void
migd_qmp_requests_cancel(MigdQmpPeer *peer)
{
    while (peer->requests != NULL) {
        g_autoptr(GError) error =
            g_error_new(MIGD_ERROR, MIGD_ERROR_BACKEND_LOST, "%s is gone", peer->name);

        answer(peer->requests->data, NULL, error); /* its commands free it when they come back */
    }
}

static void
call(Request *request, const char *command, MigdJson *arguments, MigdQmpReplyFunc callback)
{
    request->under_way++;
    migd_qmp_client_call(request->peer->client, command, arguments, callback, request);
}

/* A command came back. TRUE when the request is still waiting for an answer and its peer is there
 * to be looked at; else it may be gone after this. */
static gboolean
came_back(Request *request, const GError *failure)
{
    request->under_way--;
    if (failure != NULL)
        answer(request, NULL, failure);
    if (request->peer != NULL)
        return TRUE;
    if (request->under_way == 0)
        request_free(request);
    return FALSE;
}

static void
answer_and_free(Request *request, const MigdSample *sample, const GError *error)
{
    answer(request, sample, error);
    if (request->under_way == 0)
        request_free(request);
}

/* ---- query ---- */

static void
on_migrate_info(const MigdJson *reply, const GError *failure, gpointer user_data)
{
    Request *request = user_data;
    MigdQmpPeer *peer = request->peer;
    g_autoptr(GError) error = NULL;
    MigdSample sample;

    if (!came_back(request, failure))
        return;
    if (migd_qmp_decode_migrate(reply, &sample, &error)) {
        /* Those of the last reading or setting: at most one sample old. */
        migd_knobs_add_to_sample(&peer->knobs, &sample);
        migd_qmp_peer_note_failure(peer, reply);
        migd_qmp_peer_want_events(peer, sample.status);
    }
    migd_qmp_peer_mark(peer, error);
    answer_and_free(request, &sample, error);
}

/* The parameters are asked for after the sample, so that it need not wait for them. */
void
migd_qmp_request_query(MigdDomain *domain, MigdSampleFunc callback, gpointer user_data)
{
    Request *request = request_new(domain, user_data);

    request->on_sample = callback;
    call(request, "query-migrate", NULL, on_migrate_info);
    migd_qmp_peer_refresh_knobs(request->peer);
}

/* ---- knobs ---- */

static void
on_limits(const MigdJson *reply, const GError *failure, gpointer user_data)
{
    Request *request = user_data;
    g_autoptr(GError) error = NULL;

    if (!came_back(request, failure))
        return;
    if (migd_qmp_decode_limits(reply, &request->knobs, &error))
        request->peer->knobs = request->knobs;
    else
        migd_qmp_peer_mark(request->peer, error);
    answer_and_free(request, NULL, error);
}

static void
on_capabilities(const MigdJson *reply, const GError *failure, gpointer user_data)
{
    Request *request = user_data;
    g_autoptr(GError) error = NULL;

    if (!came_back(request, failure))
        return;
    if (!migd_qmp_decode_capabilities(reply, &request->knobs, &error)) {
        migd_qmp_peer_mark(request->peer, error);
    } else if (request->peer->inspection.facts.ring == MIGD_SEEN_YES) {
        call(request, "query-vcpu-dirty-limit", NULL, on_limits);
        return;
    } else {
        request->peer->knobs = request->knobs;
    }
    answer_and_free(request, NULL, error);
}

static void
on_parameters(const MigdJson *reply, const GError *failure, gpointer user_data)
{
    Request *request = user_data;
    g_autoptr(GError) error = NULL;

    if (!came_back(request, failure))
        return;
    if (migd_qmp_decode_parameters(reply, &request->knobs, &error)) {
        call(request, "query-migrate-capabilities", NULL, on_capabilities);
        return;
    }
    migd_qmp_peer_mark(request->peer, error);
    answer_and_free(request, NULL, error);
}

void
migd_qmp_request_read_knobs(MigdDomain *domain, MigdKnobsFunc callback, gpointer user_data)
{
    Request *request = request_new(domain, user_data);

    request->on_knobs = callback;
    call(request, "query-migrate-parameters", NULL, on_parameters);
}

/* ---- commands in a row ---- */

static void send_next(Request *request);

static gboolean
on_later(gpointer user_data)
{
    Request *request = user_data;

    request->under_way--;
    answer_and_free(request, NULL, request->refused);
    return G_SOURCE_REMOVE;
}

/* Nothing is sent: still answered at the next turn, since no caller expects it before we return. */
static void
answer_later(Request *request)
{
    request->under_way++;
    g_idle_add_full(G_PRIORITY_DEFAULT, on_later, request, NULL);
}

static void
on_sent(const MigdJson *reply, const GError *failure, gpointer user_data)
{
    Request *request = user_data;

    if (!came_back(request, failure))
        return;
    /* Before the next command, so that no event of it meets values that are out of date. */
    if (request->reread)
        migd_qmp_peer_refresh_knobs(request->peer);
    send_next(request);
}

/* The next command; after the last one the answer. */
static void
send_next(Request *request)
{
    const MigdQmpCommand *command;

    if (request->next == request->commands->len) {
        answer_and_free(request, NULL, NULL);
        return;
    }
    command = g_ptr_array_index(request->commands, request->next++);
    call(request, command->name,
         command->arguments != NULL ? migd_json_ref(command->arguments) : NULL, on_sent);
}

static void
send_row(Request *request, GPtrArray *commands)
{
    request->commands = commands;
    if (commands->len > 0) {
        send_next(request);
        return;
    }
    answer_later(request);
}

void
migd_qmp_request_write_knobs(MigdDomain *domain, const MigdKnobs *knobs, guint32 mask,
                             MigdDoneFunc callback, gpointer user_data)
{
    Request *request = request_new(domain, user_data);

    request->on_done = callback;
    request->reread = TRUE;
    send_row(request, migd_qmp_commands_for_knobs(knobs, mask & request->peer->knobs.has));
}

void
migd_qmp_request_migrate(MigdDomain *domain, const MigdStartOptions *options, MigdDoneFunc callback,
                         gpointer user_data)
{
    Request *request = request_new(domain, user_data);
    MigdQmpStart start = {
        .uri = options->destination,
        .postcopy = options->allow_postcopy,
        .throttle = options->allow_throttle,
        .downtime_limit_us = options->downtime_limit_us,
        .max_bandwidth_bps = options->max_bandwidth_bps,
        .supports = request->peer->knobs.has,
    };
    GPtrArray *commands = migd_qmp_commands_for_start(&start, &request->refused);

    request->on_done = callback;
    request->reread = TRUE;
    if (commands == NULL) {
        answer_later(request);
        return;
    }
    if (request->peer->run != MIGD_DOMAIN_INCOMING)
        request->peer->incoming = FALSE; /* what happens from now on is outgoing */
    send_row(request, commands);
}

/* ---- decisions ---- */

static void
on_acted(const MigdJson *reply, const GError *failure, gpointer user_data)
{
    Request *request = user_data;

    if (!came_back(request, failure))
        return;
    migd_knobs_take(&request->peer->knobs, &request->knobs);
    answer_and_free(request, NULL, NULL);
}

/* NULL without `refused`: nothing has to be sent. */
static MigdQmpCommand *
limit(Request *request, const MigdDecision *decision)
{
    MigdKnobs *turned = &request->knobs;

    turned->has = MIGD_KNOB_VCPU_LIMIT;
    if (decision->action == MIGD_ACTION_ARM ||
        !migd_qmp_limit_for_decision(decision, request->peer->inspection.n_vcpus,
                                     &turned->vcpu_limit_bps, &request->refused))
        return NULL;
    return migd_qmp_command_for_limit(turned->vcpu_limit_bps);
}

void
migd_qmp_request_act(MigdDomain *domain, const MigdDecision *decision, guint32 throttle_now_pct,
                     MigdDoneFunc callback, gpointer user_data)
{
    Request *request = request_new(domain, user_data);
    gboolean throttles = decision->action == MIGD_ACTION_ARM ||
                         decision->action == MIGD_ACTION_THROTTLE ||
                         decision->action == MIGD_ACTION_RELEASE;
    g_autoptr(MigdQmpCommand) command =
        throttles && migd_knobs_limit_vcpus(&request->peer->knobs)
            ? limit(request, decision)
            : migd_qmp_command_for_decision(decision, throttle_now_pct, request->peer->knobs.has,
                                            &request->knobs, &request->refused);

    request->on_done = callback;
    if (command == NULL) {
        answer_later(request);
        return;
    }
    call(request, command->name, g_steal_pointer(&command->arguments), on_acted);
}

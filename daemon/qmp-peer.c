/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The life of a peer: connection states and QMP events in, a visible domain with its state out.
 * Takes no decision. A callback of the client may be the last sign of a connection, so each first
 * looks at `closing`.
 */
#include "daemon/qmp-peer.h"

#include "base/error.h"
#include "base/names.h"
#include "base/text.h"
#include "daemon/qmp-measure.h"
#include "daemon/qmp-request.h"
#include "qmp/limit.h"

#include <string.h>

/* ---- the domain that the daemon sees ---- */

static void
domain_free(MigdQmpDomain *domain)
{
    g_free(domain->uuid);
    g_free(domain->name);
    g_free(domain->problem);
    g_free(domain->migration_error);
    g_free(domain);
}

static void
hide(MigdQmpPeer *peer)
{
    MigdQmpDomain *domain = g_steal_pointer(&peer->domain);

    if (domain == NULL)
        return;
    migd_qmp_requests_cancel(peer);
    migd_qmp_measure_cancel(peer);
    g_hash_table_remove(peer->shared->by_uuid, domain->uuid);
    peer->shared->listener->domain_removed(&domain->base, peer->shared->user_data);
    domain_free(domain);
}

static gboolean
is_free(const MigdQmpPeer *peer, const char *uuid)
{
    const MigdQmpDomain *holder = g_hash_table_lookup(peer->shared->by_uuid, uuid);

    return holder == NULL || holder->peer == peer;
}

/* QEMU's own UUID, else the path's; another if a peer has laid claim to that. */
static char *
choose_uuid(const MigdQmpPeer *peer)
{
    g_autoptr(GString) name = g_string_new(peer->path);
    char *uuid = g_strdup(peer->uuid);

    while (uuid == NULL || !is_free(peer, uuid)) {
        g_free(uuid);
        uuid = migd_uuid_from_name(name->str);
        g_string_append_c(name, '\n'); /* no path of a socket that is looked at ends in one */
    }
    return uuid;
}

static void
fill_info(MigdQmpPeer *peer)
{
    MigdQmpDomain *domain = peer->domain;
    const char *problem = peer->link == MIGD_DOMAIN_RUNNING ? peer->odd : peer->link_problem;

    g_free(domain->problem);
    domain->problem = g_strdup(problem);
    g_free(domain->migration_error);
    domain->migration_error = g_strdup(peer->failure);
    domain->info = (MigdDomainInfo){
        .uuid = domain->uuid,
        .name = domain->name,
        .problem = domain->problem,
        .migration_error = domain->migration_error,
        .memory_bytes = peer->memory_bytes,
        .dirty_rate_bps = peer->dirty_rate_bps,
        .dirty_rate_method = peer->dirty_rate_method,
        .supports = peer->knobs.has,
        .write_protect = peer->inspection.found,
        .state = peer->link != MIGD_DOMAIN_RUNNING ? peer->link
                 : peer->odd != NULL               ? MIGD_DOMAIN_FAULTY
                                                   : peer->run,
    };
}

void
migd_qmp_peer_changed(MigdQmpPeer *peer)
{
    if (peer->domain == NULL)
        return;
    fill_info(peer);
    peer->shared->listener->domain_changed(&peer->domain->base, peer->shared->user_data);
}

/* Makes the domain visible under the identity that is known now. */
static void
show(MigdQmpPeer *peer)
{
    g_autofree char *uuid = choose_uuid(peer);
    MigdQmpDomain *domain;

    if (peer->domain != NULL && strcmp(peer->domain->uuid, uuid) == 0) {
        migd_qmp_peer_changed(peer);
        return;
    }
    hide(peer);
    domain = g_new0(MigdQmpDomain, 1);
    domain->base.backend = peer->shared->backend;
    domain->peer = peer;
    domain->uuid = g_steal_pointer(&uuid);
    domain->name = g_utf8_make_valid(peer->name, -1);
    g_hash_table_insert(peer->shared->by_uuid, domain->uuid, domain);
    peer->domain = domain;
    fill_info(peer);
    peer->shared->listener->domain_added(&domain->base, peer->shared->user_data);
}

void
migd_qmp_peer_mark(MigdQmpPeer *peer, const GError *error)
{
    if (error == NULL && peer->odd == NULL)
        return;
    if (error != NULL)
        migd_backend_tell_fault(peer->shared->listener, MIGD_QMP_FAULT_IMPLAUSIBLE,
                                peer->shared->user_data);
    g_free(peer->odd);
    peer->odd = error != NULL ? migd_text_clean(error->message) : NULL;
    migd_qmp_peer_changed(peer);
}

void
migd_qmp_peer_note_failure(MigdQmpPeer *peer, const MigdJson *reply)
{
    g_autofree char *failure = migd_qmp_decode_failure(reply);

    if (g_strcmp0(failure, peer->failure) == 0)
        return;
    g_free(peer->failure);
    peer->failure = g_steal_pointer(&failure);
    migd_qmp_peer_changed(peer);
}

void
migd_qmp_peer_note_dirty_rate(MigdQmpPeer *peer, guint64 rate_bps, const char *method)
{
    peer->dirty_rate_bps = rate_bps;
    peer->dirty_rate_method = method;
    migd_qmp_peer_changed(peer);
}

static void
announce(MigdQmpPeer *peer, MigdEventKind kind, guint64 argument)
{
    if (peer->domain != NULL && !peer->incoming)
        peer->shared->listener->event(&peer->domain->base, kind, argument, peer->shared->user_data);
}

/* ---- questions of our own ---- */

static void
set_run(MigdQmpPeer *peer, MigdDomainState run)
{
    if (peer->run == run)
        return;
    peer->run = run;
    migd_qmp_peer_changed(peer);
}

static gboolean
decode_run(MigdQmpPeer *peer, const MigdJson *reply, MigdDomainState *ret_run, GError **error)
{
    static const MigdDomainState states[] = {
        [MIGD_QMP_RUN_RUNNING] = MIGD_DOMAIN_RUNNING,
        [MIGD_QMP_RUN_PAUSED] = MIGD_DOMAIN_PAUSED,
        [MIGD_QMP_RUN_INCOMING] = MIGD_DOMAIN_INCOMING,
        [MIGD_QMP_RUN_GONE] = MIGD_DOMAIN_SHUTOFF,
    };
    MigdQmpRun run;

    if (!migd_qmp_decode_run(reply, &run, error))
        return FALSE;
    if (run == MIGD_QMP_RUN_INCOMING)
        peer->incoming = TRUE;
    *ret_run = states[run];
    return TRUE;
}

static void
on_run(const MigdJson *reply, const GError *failure, gpointer user_data)
{
    MigdQmpPeer *peer = user_data;
    g_autoptr(GError) error = NULL;
    MigdDomainState run;

    if (peer->closing || failure != NULL)
        return;
    if (decode_run(peer, reply, &run, &error))
        set_run(peer, run);
    else
        migd_qmp_peer_mark(peer, error);
}

static void
on_knobs(const MigdJson *reply, const GError *failure, gpointer user_data)
{
    MigdQmpPeer *peer = user_data;
    g_autoptr(GError) error = NULL;

    if (peer->closing || failure != NULL)
        return;
    if (!migd_qmp_decode_parameters(reply, &peer->knobs, &error))
        migd_qmp_peer_mark(peer, error);
}

void
migd_qmp_peer_refresh_knobs(MigdQmpPeer *peer)
{
    migd_qmp_client_call(peer->client, "query-migrate-parameters", NULL, on_knobs, peer);
}

/* A migration that began while nobody looked. */
static void
on_late_status(const MigdJson *reply, const GError *failure, gpointer user_data)
{
    MigdQmpPeer *peer = user_data;
    g_autoptr(GError) error = NULL;
    MigdSample sample;

    if (peer->closing || failure != NULL)
        return;
    if (!migd_qmp_decode_migrate(reply, &sample, &error))
        migd_qmp_peer_mark(peer, error);
    else if (sample.status != MIGD_STATUS_NONE && !migd_status_is_end(sample.status))
        announce(peer, MIGD_EVENT_STATUS, sample.status);
    else if (migd_status_is_end(sample.status))
        peer->incoming = FALSE;
}

/* Refused = a migration has begun between the question and this. */
static void
on_events_set(const MigdJson *reply, const GError *failure, gpointer user_data)
{
    MigdQmpPeer *peer = user_data;

    peer->asked_for_events = FALSE;
    if (peer->closing)
        return;
    if (failure == NULL)
        peer->knobs.events = TRUE;
    else if (g_error_matches(failure, MIGD_ERROR, MIGD_ERROR_FAILED))
        migd_qmp_client_call(peer->client, "query-migrate", NULL, on_late_status, peer);
}

void
migd_qmp_peer_want_events(MigdQmpPeer *peer, MigdStatus status)
{
    gboolean idle = status == MIGD_STATUS_NONE || migd_status_is_end(status);
    MigdKnobs knobs = {.has = MIGD_KNOB_EVENTS, .events = TRUE};
    g_autoptr(GPtrArray) commands = NULL;
    MigdQmpCommand *command;

    if (!idle || peer->knobs.events || (peer->knobs.has & MIGD_KNOB_EVENTS) == 0 ||
        peer->asked_for_events)
        return;
    peer->asked_for_events = TRUE;
    commands = migd_qmp_commands_for_knobs(&knobs, MIGD_KNOB_EVENTS);
    command = g_ptr_array_index(commands, 0);
    migd_qmp_client_call(peer->client, command->name, migd_json_ref(command->arguments),
                         on_events_set, peer);
}

/* ---- probe: what is behind a fresh connection ---- */

static gboolean
probe_uuid(MigdQmpPeer *peer, const MigdJson *reply, GError **error)
{
    const char *word = NULL;
    g_autofree char *uuid = NULL;

    g_clear_pointer(&peer->uuid, g_free);
    if (migd_json_get_string(reply, "UUID", &word, NULL) != MIGD_JSON_OK)
        return TRUE; /* it has the path's, then */
    uuid = g_ascii_strdown(word, -1);
    if (migd_text_is_uuid(uuid) && strcmp(uuid, "00000000-0000-0000-0000-000000000000") != 0)
        peer->uuid = g_steal_pointer(&uuid);
    return TRUE;
}

static gboolean
probe_run(MigdQmpPeer *peer, const MigdJson *reply, GError **error)
{
    peer->incoming = FALSE;
    return decode_run(peer, reply, &peer->run, error);
}

static gboolean
probe_capabilities(MigdQmpPeer *peer, const MigdJson *reply, GError **error)
{
    peer->knobs = (MigdKnobs){0};
    return migd_qmp_decode_capabilities(reply, &peer->knobs, error);
}

static gboolean
probe_parameters(MigdQmpPeer *peer, const MigdJson *reply, GError **error)
{
    return migd_qmp_decode_parameters(reply, &peer->knobs, error);
}

static gboolean
probe_memory(MigdQmpPeer *peer, const MigdJson *reply, GError **error)
{
    return migd_qmp_decode_memory(reply, &peer->memory_bytes, error);
}

static gboolean
probe_migration(MigdQmpPeer *peer, const MigdJson *reply, GError **error)
{
    return migd_qmp_decode_migrate(reply, &peer->last, error);
}

/* The question for a ring should fail; one that succeeds says nothing. */
static gboolean
probe_ring(MigdQmpPeer *peer, const MigdJson *reply, GError **error)
{
    return TRUE;
}

/* The migration comes last: what happens after its reply is told by events. */
static const struct {
    const char *command;
    gboolean (*take)(MigdQmpPeer *peer, const MigdJson *reply, GError **error);
    MigdQmpCommand *(*make)(void); /* NULL: the command has no arguments */
    void (*refused)(MigdQmpPeer *peer, const GError *failure);
} probes[] = {
    {"query-uuid", probe_uuid},
    {"query-status", probe_run},
    {"query-migrate-capabilities", probe_capabilities},
    {"query-migrate-parameters", probe_parameters},
    {"query-memory-size-summary", probe_memory},
    {"query-version", migd_qmp_inspect_version},
    {"query-kvm", migd_qmp_inspect_kvm},
    {"query-cpus-fast", migd_qmp_inspect_vcpus},
    {"set-vcpu-dirty-limit", probe_ring, migd_qmp_ring_question, migd_qmp_inspect_ring},
    {"query-vcpu-dirty-limit", migd_qmp_inspect_limits},
    {"query-migrate", probe_migration},
};

static void
settle(MigdQmpPeer *peer)
{
    MigdStatus status = peer->last.status;
    gboolean active = status != MIGD_STATUS_NONE && !migd_status_is_end(status);

    /* The source tells its figures from the first pass on, the destination never does; and a guest
     * in post-copy runs there already. */
    if (active && status != MIGD_STATUS_SETUP && !migd_sample_has(&peer->last, MIGD_HAS_TOTAL))
        peer->incoming = TRUE;
    peer->probed = TRUE;
    migd_qmp_inspect_end(peer);
    peer->link = MIGD_DOMAIN_RUNNING;
    g_clear_pointer(&peer->link_problem, g_free);
    show(peer);
    migd_qmp_peer_want_events(peer, status);
    if (active)
        announce(peer, MIGD_EVENT_STATUS, status);
}

/* Replies come in the order of the questions. A command that this QEMU lacks leaves its part
 * unknown; a connection that is lost or silent leaves the whole for the next time. */
static void
on_probe(const MigdJson *reply, const GError *failure, gpointer user_data)
{
    MigdQmpPeer *peer = user_data;
    guint index = G_N_ELEMENTS(probes) - peer->probe_left;
    g_autoptr(GError) error = NULL;

    peer->probe_left--;
    if (peer->closing)
        return;
    if (failure != NULL && probes[index].refused != NULL)
        probes[index].refused(peer, failure);
    if (failure != NULL)
        peer->probe_lost |= !g_error_matches(failure, MIGD_ERROR, MIGD_ERROR_FAILED);
    else if (!probes[index].take(peer, reply, &error))
        migd_qmp_peer_mark(peer, error);
    if (peer->probe_left == 0 && !peer->probe_lost)
        settle(peer);
}

static void
probe(MigdQmpPeer *peer)
{
    g_clear_pointer(&peer->odd, g_free);
    peer->last = (MigdSample){0};
    peer->probe_lost = FALSE;
    peer->probe_left = G_N_ELEMENTS(probes);
    migd_qmp_inspect_begin(peer);
    for (guint i = 0; i < G_N_ELEMENTS(probes); i++) {
        g_autoptr(MigdQmpCommand) command = probes[i].make != NULL ? probes[i].make() : NULL;
        MigdJson *arguments = command != NULL ? g_steal_pointer(&command->arguments) : NULL;

        migd_qmp_client_call(peer->client, probes[i].command, arguments, on_probe, peer);
    }
}

/* ---- what the client tells ---- */

static void
set_link(MigdQmpPeer *peer, MigdDomainState link, const char *problem)
{
    peer->link = link;
    g_free(peer->link_problem);
    peer->link_problem = g_strdup(problem);
}

static void
on_ready(MigdQmpPeer *peer)
{
    if (!peer->probed && peer->probe_left == 0) {
        probe(peer);
    } else if (peer->probed && peer->link != MIGD_DOMAIN_RUNNING) {
        set_link(peer, MIGD_DOMAIN_RUNNING, NULL);
        migd_qmp_peer_changed(peer);
    }
}

static void
on_state(MigdQmpState state, const char *problem, gpointer user_data)
{
    MigdQmpPeer *peer = user_data;

    if (peer->closing)
        return;
    if (state != MIGD_QMP_READY && state != MIGD_QMP_SILENT)
        peer->probed = FALSE; /* the next connection may lead to another QEMU */
    switch (state) {
    case MIGD_QMP_READY:
        on_ready(peer);
        break;
    case MIGD_QMP_CONNECTING:
        set_link(peer, MIGD_DOMAIN_CONNECTING, NULL);
        migd_qmp_peer_changed(peer);
        break;
    case MIGD_QMP_REFUSED:
        set_link(peer, MIGD_DOMAIN_CONNECTING, NULL);
        g_clear_pointer(&peer->uuid, g_free);
        hide(peer);
        break;
    case MIGD_QMP_SILENT:
    case MIGD_QMP_FAULTY:
        set_link(peer, state == MIGD_QMP_SILENT ? MIGD_DOMAIN_UNRESPONSIVE : MIGD_DOMAIN_FAULTY,
                 problem);
        show(peer);
        break;
    }
}

static void
on_migration_event(MigdQmpPeer *peer, MigdStatus status)
{
    announce(peer, MIGD_EVENT_STATUS, status);
    if (!migd_status_is_end(status))
        return;
    peer->incoming = FALSE;
    migd_qmp_client_call(peer->client, "query-status", NULL, on_run, peer);
}

/* Where QEMU does not announce the end of an incoming migration, this is the sign to ask. */
static void
on_resume_event(MigdQmpPeer *peer)
{
    set_run(peer, MIGD_DOMAIN_RUNNING);
    if (peer->incoming && !peer->knobs.events)
        migd_qmp_client_call(peer->client, "query-migrate", NULL, on_late_status, peer);
}

static void
on_event(const MigdQmpMessage *message, gpointer user_data)
{
    MigdQmpPeer *peer = user_data;
    g_autoptr(GError) error = NULL;
    MigdQmpEvent event;

    if (peer->closing)
        return;
    if (!migd_qmp_decode_event(message, &event, &error)) {
        migd_qmp_peer_mark(peer, error);
        return;
    }
    switch (event.kind) {
    case MIGD_QMP_EVENT_MIGRATION:
        on_migration_event(peer, event.status);
        break;
    case MIGD_QMP_EVENT_PASS:
        announce(peer, MIGD_EVENT_PASS, event.pass);
        break;
    case MIGD_QMP_EVENT_STOP:
        set_run(peer, MIGD_DOMAIN_PAUSED);
        break;
    case MIGD_QMP_EVENT_RESUME:
        on_resume_event(peer);
        break;
    case MIGD_QMP_EVENT_SHUTDOWN:
        set_run(peer, MIGD_DOMAIN_SHUTOFF);
        break;
    case MIGD_QMP_EVENT_OTHER:
        break;
    }
}

/* What a QEMU lacks is found out by asking it when it is first met: that is no error. */
static void
on_fault(MigdQmpFault fault, gpointer user_data)
{
    const MigdQmpPeer *peer = user_data;

    if (!peer->closing && (peer->probe_left == 0 || !migd_qmp_fault_is_answer(fault)))
        migd_backend_tell_fault(peer->shared->listener, fault, peer->shared->user_data);
}

static const MigdQmpListener client_listener = {
    .state = on_state, .event = on_event, .fault = on_fault};

MigdQmpPeer *
migd_qmp_peer_new(MigdQmpShared *shared, const char *path)
{
    MigdQmpPeer *peer = g_new0(MigdQmpPeer, 1);
    g_autofree char *file = g_path_get_basename(path);

    peer->shared = shared;
    peer->path = g_strdup(path);
    peer->name = g_strndup(file, strlen(file) - strlen(MIGD_QMP_SUFFIX));
    peer->link = MIGD_DOMAIN_CONNECTING;
    peer->run = MIGD_DOMAIN_PAUSED;
    peer->client = migd_qmp_client_new(path, &shared->limits, &client_listener, peer);
    return peer;
}

void
migd_qmp_peer_free(MigdQmpPeer *peer)
{
    if (peer == NULL)
        return;
    peer->closing = TRUE;
    hide(peer);
    migd_qmp_client_free(peer->client);
    migd_qmp_inspect_clear(peer);
    g_free(peer->path);
    g_free(peer->name);
    g_free(peer->link_problem);
    g_free(peer->odd);
    g_free(peer->failure);
    g_free(peer->uuid);
    g_free(peer);
}

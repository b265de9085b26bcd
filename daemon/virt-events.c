/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What libvirt announces, turned into phases of migrations and states of domains.
 *
 * When a migration out of here has ended: aborted or failed - the hypervisor says so, and libvirt
 * nothing; or, if it is ours, the call that started it returns and says more. Done - the hypervisor
 * says so, but libvirt may still give up: it counts once libvirt tells the totals or stops the
 * domain as migrated.
 */
#include "daemon/virt-domain.h"

#include <string.h>

#include "base/text.h"
#include "qmp/migration.h"
#include "virt/stats.h"

/* The totals come right before or after the domain stops. */
#define TOTALS_MS 500
/* From libvirt's hook to the domain. */
#define HOOK_S 30
/* Asking what the hypervisor sends: after so many milliseconds, doubled each time. */
#define PROBE_MS 50
#define PROBES 6

static void
announce(MigdVirtDomain *domain, MigdEventKind kind, guint64 argument)
{
    domain->host->listener->event(&domain->base, kind, argument, domain->host->user_data);
}

/* ---- the way out ----------------------------------------------------------------------------- */

static void
begin(MigdVirtDomain *domain)
{
    domain->last = (MigdSample){0};
    domain->has_totals = FALSE;
    domain->lost = FALSE;
    domain->handed_over = FALSE;
    domain->capabilities = FALSE;
    domain->postcopy_refused = FALSE;
    domain->narrow = FALSE;
    g_clear_pointer(&domain->failure, g_free);
}

void
migd_virt_domain_phase(MigdVirtDomain *domain, MigdStatus phase)
{
    if (!migd_virt_domain_migrates(domain))
        begin(domain);
    domain->phase = phase;
    announce(domain, MIGD_EVENT_STATUS, phase);
}

void
migd_virt_domain_finish(MigdVirtDomain *domain, MigdStatus end, const char *problem)
{
    if (!migd_virt_domain_migrates(domain))
        return;
    g_clear_handle_id(&domain->end_source, g_source_remove);
    domain->phase = domain->last.status = end;
    domain->handed_over = FALSE;
    domain->capabilities = FALSE;
    g_free(domain->failure);
    domain->failure = problem != NULL ? migd_text_clean(problem) : NULL;
    announce(domain, MIGD_EVENT_STATUS, end);
    migd_virt_answer_waiting(domain);
}

static gboolean
totals_late(gpointer user_data)
{
    MigdVirtDomain *domain = user_data;
    gboolean leaving = domain->leaving;

    domain->end_source = 0;
    migd_virt_domain_finish(domain, MIGD_STATUS_COMPLETED, NULL);
    if (leaving)
        migd_virt_domain_leave(domain);
    return G_SOURCE_REMOVE;
}

void
migd_virt_domain_succeed(MigdVirtDomain *domain)
{
    if (!migd_virt_domain_migrates(domain))
        return;
    if (domain->has_totals)
        migd_virt_domain_finish(domain, MIGD_STATUS_COMPLETED, NULL);
    else if (domain->end_source == 0)
        domain->end_source = g_timeout_add(TOTALS_MS, totals_late, domain);
}

static void
on_totals(MigdVirtDomain *domain, const MigdVirtEvent *event)
{
    MigdSample sample;
    gboolean leaving = domain->leaving;

    migd_virt_decode_job(VIR_DOMAIN_JOB_COMPLETED, event->params, event->n_params, &sample);
    if (sample.status != MIGD_STATUS_COMPLETED || !migd_virt_domain_migrates(domain))
        return; /* of a job that is no migration out */
    domain->last = sample;
    domain->has_totals = TRUE;
    migd_virt_domain_finish(domain, MIGD_STATUS_COMPLETED, NULL);
    if (leaving)
        migd_virt_domain_leave(domain);
}

/* ---- is it a migration at all? -----------------------------------------------------------------
 */

static gboolean
job_work(virDomainPtr domain, gpointer data, GError **error)
{
    return migd_virt_job(domain, data, error);
}

static void probed(gpointer data, const GError *error, gpointer user_data);

static void
ask_what(MigdVirtDomain *domain)
{
    domain->probing = TRUE;
    migd_virt_lane_call(domain->lane, job_work, g_new0(MigdVirtJob, 1), g_free,
                        domain->host->call_timeout_ms, probed, domain);
}

static gboolean
ask_again(gpointer user_data)
{
    MigdVirtDomain *domain = user_data;

    domain->probe_source = 0;
    if (!domain->probing && !migd_virt_domain_migrates(domain))
        ask_what(domain);
    return G_SOURCE_REMOVE;
}

/* libvirt may know of its job a moment later than the hypervisor sends its first event, and the
 * next event may be a whole pass away. */
static void
ask_later(MigdVirtDomain *domain)
{
    if (domain->probe_source == 0 && domain->n_probes < PROBES)
        domain->probe_source = g_timeout_add(PROBE_MS << domain->n_probes++, ask_again, domain);
}

static void
probed(gpointer data, const GError *error, gpointer user_data)
{
    MigdVirtDomain *domain = user_data;
    const MigdVirtJob *job = data;
    gboolean is_migration = error == NULL && job->sample.status != MIGD_STATUS_NONE &&
                            !migd_status_is_end(job->sample.status);

    domain->probing = FALSE;
    if (migd_status_is_end(domain->probe_status) || migd_virt_domain_migrates(domain))
        return;
    if (!is_migration) {
        ask_later(domain);
        return;
    }
    migd_virt_domain_phase(domain, MAX(domain->probe_status, job->sample.status));
    domain->last = job->sample;
    if (domain->probe_pass > 0)
        announce(domain, MIGD_EVENT_PASS, domain->probe_pass);
}

/* Saving, dumping and snapshots are migrations to the hypervisor: libvirt knows the difference. */
static void
probe(MigdVirtDomain *domain, MigdStatus status, guint64 pass)
{
    domain->probe_status = status;
    domain->probe_pass = pass;
    domain->n_probes = 0;
    if (!domain->probing && !migd_status_is_end(status))
        ask_what(domain);
}

/* The hypervisor's word. */
static void
on_status(MigdVirtDomain *domain, MigdStatus status)
{
    if (domain->incoming) {
        if (!migd_status_is_end(status)) /* ended by libvirt's word alone */
            migd_virt_domain_incoming(domain, status, NULL);
        return;
    }
    if (!migd_virt_domain_migrates(domain)) {
        probe(domain, status, domain->probing ? domain->probe_pass : 0);
        return;
    }
    if (status == MIGD_STATUS_COMPLETED) {
        domain->handed_over = TRUE;
        status =
            domain->phase == MIGD_STATUS_POSTCOPY ? MIGD_STATUS_POSTCOPY : MIGD_STATUS_SWITCHOVER;
    }
    if (migd_status_is_end(status) && domain->call != NULL)
        status = MIGD_STATUS_CANCELLING; /* the call says how, and why */
    if (migd_status_is_end(status))
        migd_virt_domain_finish(domain, status, NULL);
    else
        migd_virt_domain_phase(domain, status);
    if (domain->call != NULL && status != MIGD_STATUS_CANCELLING)
        migd_virt_answer_start(domain, NULL);
}

static void
on_pass(MigdVirtDomain *domain, guint64 pass)
{
    if (domain->incoming)
        return;
    if (!migd_virt_domain_migrates(domain)) {
        probe(domain, MIGD_STATUS_PRECOPY, pass);
        return;
    }
    migd_virt_answer_start(domain, NULL);
    announce(domain, MIGD_EVENT_PASS, pass);
}

static void
on_monitor(MigdVirtDomain *domain, const MigdVirtEvent *event)
{
    g_autoptr(MigdJson) data = event->details != NULL
                                   ? migd_json_parse(event->details, strlen(event->details), NULL)
                                   : NULL;
    const MigdQmpMessage message = {
        .kind = MIGD_QMP_EVENT, .data = data, .name = (char *)event->text};
    MigdQmpEvent decoded;

    if (data == NULL || !migd_qmp_decode_event(&message, &decoded, NULL))
        return; /* an event is a hint: the next one, or the poll, makes up for it */
    if (decoded.kind == MIGD_QMP_EVENT_MIGRATION)
        on_status(domain, decoded.status);
    else if (decoded.kind == MIGD_QMP_EVENT_PASS)
        on_pass(domain, decoded.pass);
}

/* ---- the way in ------------------------------------------------------------------------------ */

void
migd_virt_domain_incoming(MigdVirtDomain *domain, MigdStatus status, const char *problem)
{
    gboolean end = migd_status_is_end(status);

    if (end && !domain->incoming)
        return;
    domain->incoming = !end;
    domain->described = TRUE;
    if (!end)
        domain->run = MIGD_DOMAIN_INCOMING;
    g_free(domain->failure);
    domain->failure = problem != NULL ? migd_text_clean(problem) : NULL;
    migd_virt_domain_changed(domain);
    announce(domain, MIGD_EVENT_INCOMING, status);
}

static gboolean
hook_late(gpointer user_data)
{
    MigdVirtDomain *domain = user_data;

    domain->hook_source = 0;
    migd_virt_domain_incoming(domain, MIGD_STATUS_FAILED, "libvirt did not let it begin");
    migd_virt_domain_leave(domain);
    return G_SOURCE_REMOVE;
}

void
migd_virt_host_expect(MigdVirtHost *host, const char *uuid, const char *name)
{
    MigdVirtDomain *domain = g_hash_table_lookup(host->domains, uuid);

    if (domain != NULL && (domain->incoming || domain->run != MIGD_DOMAIN_SHUTOFF ||
                           !domain->described || domain->leaving))
        return; /* libvirt will say more */
    if (domain == NULL)
        domain = migd_virt_domain_new(host, uuid, name);
    if (domain->hook_source == 0)
        domain->hook_source = g_timeout_add_seconds(HOOK_S, hook_late, domain);
    migd_virt_domain_incoming(domain, MIGD_STATUS_SETUP, NULL);
}

/* ---- lifecycle ------------------------------------------------------------------------------- */

static void
set_run(MigdVirtDomain *domain, MigdDomainState run)
{
    domain->run = run;
    if (domain->described)
        migd_virt_domain_changed(domain);
}

static void
on_started(MigdVirtDomain *domain, int detail)
{
    migd_virt_domain_stay(domain);
    g_clear_handle_id(&domain->hook_source, g_source_remove);
    domain->tainted = FALSE; /* another process */
    if (detail == VIR_DOMAIN_EVENT_STARTED_MIGRATED)
        migd_virt_domain_incoming(domain, MIGD_STATUS_PRECOPY, NULL);
    else
        migd_virt_domain_refresh(domain);
}

static void
on_resumed(MigdVirtDomain *domain, int detail)
{
    if (domain->incoming && detail == VIR_DOMAIN_EVENT_RESUMED_POSTCOPY) {
        migd_virt_domain_incoming(domain, MIGD_STATUS_POSTCOPY, NULL);
        return;
    }
    if (domain->incoming) {
        domain->run = MIGD_DOMAIN_RUNNING;
        migd_virt_domain_incoming(domain, MIGD_STATUS_COMPLETED, NULL);
        migd_virt_domain_refresh(domain);
        return;
    }
    set_run(domain, MIGD_DOMAIN_RUNNING);
    if (domain->handed_over && domain->call == NULL)
        migd_virt_domain_finish(domain, MIGD_STATUS_FAILED,
                                "the destination did not take the guest over");
}

static void
on_suspended(MigdVirtDomain *domain, int detail)
{
    if (domain->incoming && detail == VIR_DOMAIN_EVENT_SUSPENDED_PAUSED) {
        domain->run = MIGD_DOMAIN_PAUSED; /* as it was at its source */
        migd_virt_domain_incoming(domain, MIGD_STATUS_COMPLETED, NULL);
        migd_virt_domain_refresh(domain);
        return;
    }
    if (domain->incoming)
        return;
    set_run(domain, MIGD_DOMAIN_PAUSED);
    if (detail == VIR_DOMAIN_EVENT_SUSPENDED_POSTCOPY_FAILED && migd_virt_domain_migrates(domain))
        migd_virt_domain_phase(domain, MIGD_STATUS_POSTCOPY_PAUSED);
}

static void
on_stopped(MigdVirtDomain *domain, int detail)
{
    if (domain->incoming)
        migd_virt_domain_incoming(domain, MIGD_STATUS_FAILED, "the migration did not arrive");
    else if (detail == VIR_DOMAIN_EVENT_STOPPED_MIGRATED)
        migd_virt_domain_succeed(domain);
    else if (domain->call == NULL)
        migd_virt_domain_finish(domain, MIGD_STATUS_FAILED, "its hypervisor process ended");
    domain->tainted = FALSE;
    set_run(domain, MIGD_DOMAIN_SHUTOFF);
    if (!domain->described)
        migd_virt_domain_refresh(domain); /* leaves if it is transient */
    else if (!domain->persistent)
        migd_virt_domain_leave(domain);
}

static void
on_defined(MigdVirtDomain *domain, int detail)
{
    domain->persistent = TRUE;
    migd_virt_domain_refresh(domain);
}

static void
on_undefined(MigdVirtDomain *domain, int detail)
{
    domain->persistent = FALSE;
    if (domain->run == MIGD_DOMAIN_SHUTOFF)
        migd_virt_domain_leave(domain);
}

static void
on_pm_suspended(MigdVirtDomain *domain, int detail)
{
    set_run(domain, MIGD_DOMAIN_PAUSED);
}

static void
on_lifecycle(MigdVirtDomain *domain, int event, int detail)
{
    static void (*const handlers[])(MigdVirtDomain * domain, int detail) = {
        [VIR_DOMAIN_EVENT_DEFINED] = on_defined,
        [VIR_DOMAIN_EVENT_UNDEFINED] = on_undefined,
        [VIR_DOMAIN_EVENT_STARTED] = on_started,
        [VIR_DOMAIN_EVENT_SUSPENDED] = on_suspended,
        [VIR_DOMAIN_EVENT_RESUMED] = on_resumed,
        [VIR_DOMAIN_EVENT_STOPPED] = on_stopped,
        [VIR_DOMAIN_EVENT_PMSUSPENDED] = on_pm_suspended,
    };

    if ((guint)event < G_N_ELEMENTS(handlers) && handlers[event] != NULL)
        handlers[event](domain, detail);
}

void
migd_virt_host_event(MigdVirtHost *host, const MigdVirtEvent *event)
{
    MigdVirtDomain *domain = g_hash_table_lookup(host->domains, event->uuid);
    gboolean fresh = domain == NULL;

    if (fresh && event->kind != MIGD_VIRT_LIFECYCLE)
        return;
    if (fresh &&
        (event->event == VIR_DOMAIN_EVENT_STOPPED || event->event == VIR_DOMAIN_EVENT_UNDEFINED))
        return;
    if (fresh)
        domain = migd_virt_domain_new(host, event->uuid, event->name);
    switch (event->kind) {
    case MIGD_VIRT_LIFECYCLE:
        on_lifecycle(domain, event->event, event->detail);
        break;
    case MIGD_VIRT_ITERATION:
        if (!migd_virt_connection_has_monitor_events(host->connection))
            on_pass(domain, (guint64)MAX(event->event, 0));
        break;
    case MIGD_VIRT_JOB_COMPLETED:
        on_totals(domain, event);
        break;
    case MIGD_VIRT_MONITOR:
        on_monitor(domain, event);
        break;
    case MIGD_VIRT_METADATA:
        if (!domain->incoming)
            migd_virt_domain_refresh(domain);
        break;
    }
}

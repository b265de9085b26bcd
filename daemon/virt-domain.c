/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * One domain's life: announced, described, taken up, removed. The daemon's view (`info`) is made
 * anew from what is known whenever something changes.
 */
#include "daemon/virt-domain.h"

#include <string.h>

#include "base/error.h"
#include "base/text.h"
#include "daemon/journal.h"

#define LOOK_AGAIN_MS 100 /* doubled each time */
#define LOOK_AGAIN_MAX_MS 10000

/* ---- what the daemon sees -------------------------------------------------------------------- */

static MigdDomainState
state_of(const MigdVirtDomain *domain, const char **ret_problem)
{
    *ret_problem = NULL;
    /* Not "connecting": QEMU is well without libvirt, and so may a migration be. */
    if (domain->host->down != NULL && domain->described) {
        *ret_problem = domain->host->down;
        return MIGD_DOMAIN_UNRESPONSIVE;
    }
    if (migd_virt_lane_is_stuck(domain->lane)) {
        *ret_problem = "its hypervisor does not answer";
        return MIGD_DOMAIN_UNRESPONSIVE;
    }
    return domain->described ? domain->run : MIGD_DOMAIN_CONNECTING;
}

static void
fill_info(MigdVirtDomain *domain)
{
    const char *problem;
    MigdDomainState state = state_of(domain, &problem);

    g_free(domain->problem);
    domain->problem = g_strdup(problem);
    domain->info = (MigdDomainInfo){
        .uuid = domain->uuid,
        .name = domain->name,
        .problem = domain->problem,
        .migration_error = domain->failure,
        .state = state,
        .memory_bytes = domain->memory_bytes,
        .dirty_rate_bps = domain->dirty_rate_bps,
        .dirty_rate_method = domain->dirty_rate_method,
        .profile = domain->profile,
        .tainted = domain->tainted,
        .supports = domain->knobs.has,
        .write_protect = domain->write_protect,
    };
}

void
migd_virt_domain_changed(MigdVirtDomain *domain)
{
    fill_info(domain);
    domain->host->listener->domain_changed(&domain->base, domain->host->user_data);
}

static void
on_stuck(gboolean is, gpointer user_data)
{
    migd_virt_domain_changed(user_data);
}

void
migd_virt_domain_taint(MigdVirtDomain *domain, const char *command)
{
    g_autofree char *name = migd_text_clean(domain->name);
    const MigdLogFields fields = {.domain_uuid = domain->uuid, .domain_name = name};

    migd_log(domain->tainted ? MIGD_LOG_DEBUG : MIGD_LOG_NOTICE, &fields,
             "monitor command past libvirt, which taints the domain: %s", command);
    if (domain->tainted)
        return;
    domain->tainted = TRUE;
    migd_virt_domain_changed(domain);
}

/* ---- what libvirt says ----------------------------------------------------------------------- */

static MigdDomainState
run_of(const MigdVirtFacts *facts)
{
    switch (facts->state) {
    case VIR_DOMAIN_RUNNING:
    case VIR_DOMAIN_BLOCKED:
        return MIGD_DOMAIN_RUNNING;
    case VIR_DOMAIN_PAUSED:
    case VIR_DOMAIN_PMSUSPENDED:
        return MIGD_DOMAIN_PAUSED;
    default:
        return MIGD_DOMAIN_SHUTOFF;
    }
}

/* What runs now, or ran before we lost sight of it. */
static void
settle(MigdVirtDomain *domain, const MigdVirtFacts *facts, const MigdVirtJob *job)
{
    gboolean migrates = job != NULL && job->sample.status != MIGD_STATUS_NONE &&
                        !migd_status_is_end(job->sample.status);
    MigdStatus phase = migrates ? job->sample.status : MIGD_STATUS_NONE;

    if (facts->state == VIR_DOMAIN_PAUSED && facts->reason == VIR_DOMAIN_PAUSED_POSTCOPY)
        phase = MIGD_STATUS_POSTCOPY;
    if (facts->state == VIR_DOMAIN_PAUSED && facts->reason == VIR_DOMAIN_PAUSED_POSTCOPY_FAILED)
        phase = MIGD_STATUS_POSTCOPY_PAUSED;
    if (migrates) {
        domain->last = job->sample;
        if (!migd_virt_domain_migrates(domain) || phase > domain->phase)
            migd_virt_domain_phase(domain, phase);
    } else if (migd_virt_domain_migrates(domain) && domain->call == NULL) {
        if (facts->state == VIR_DOMAIN_SHUTOFF && facts->reason == VIR_DOMAIN_SHUTOFF_MIGRATED)
            migd_virt_domain_finish(domain, MIGD_STATUS_COMPLETED, NULL);
        else if (facts->active && job != NULL)
            migd_virt_domain_finish(domain, MIGD_STATUS_CANCELLED,
                                    "it was cancelled while libvirt was away");
        else if (!facts->active)
            migd_virt_domain_finish(domain, MIGD_STATUS_FAILED, "its hypervisor process ended");
    }
    if (job != NULL && job->incoming && !domain->incoming)
        migd_virt_domain_incoming(domain, MIGD_STATUS_PRECOPY, NULL);
}

typedef struct {
    MigdVirtFacts facts;
    MigdVirtJob job;
    gboolean has_job;
} Look;

static void
look_free(gpointer data)
{
    Look *look = data;

    migd_virt_facts_clear(&look->facts);
    g_free(look);
}

static gboolean
describe_work(virDomainPtr domain, gpointer data, GError **error)
{
    return migd_virt_describe(domain, &((Look *)data)->facts, error);
}

static gboolean
look_work(virDomainPtr domain, gpointer data, GError **error)
{
    Look *look = data;

    if (!migd_virt_describe(domain, &look->facts, error))
        return FALSE;
    look->has_job = look->facts.active && migd_virt_job(domain, &look->job, NULL);
    return TRUE;
}

static void
take_facts(MigdVirtDomain *domain, MigdVirtFacts *facts)
{
    g_free(domain->name);
    domain->name = g_strdup(facts->name);
    g_free(domain->profile);
    domain->profile = g_steal_pointer(&facts->profile);
    domain->memory_bytes = facts->memory_bytes;
    domain->persistent = facts->persistent;
    domain->kvm = facts->kvm;
    domain->tainted = facts->active && (facts->tainted || domain->tainted);
    domain->run = run_of(facts);
    if (domain->incoming && facts->active)
        domain->run = MIGD_DOMAIN_INCOMING;
    domain->described = TRUE;
}

static gboolean
look_again(gpointer user_data)
{
    MigdVirtDomain *domain = user_data;

    domain->look_source = 0;
    migd_virt_domain_refresh(domain);
    return G_SOURCE_REMOVE;
}

/* A domain that is just starting may not be ready to be described, and no event says when it is. */
static void
look_failed(MigdVirtDomain *domain, const GError *error)
{
    g_autofree char *name = migd_text_clean(domain->name);
    const MigdLogFields fields = {.domain_uuid = domain->uuid, .domain_name = name};

    if (g_error_matches(error, MIGD_ERROR, MIGD_ERROR_NO_SUCH_DOMAIN)) {
        migd_virt_domain_leave(domain);
        return;
    }
    migd_virt_domain_changed(domain);
    if (domain->host->down != NULL || domain->look_source != 0)
        return; /* the next connection asks again */
    migd_log(MIGD_LOG_DEBUG, &fields, "not described yet: %s", error->message);
    domain->look_again_ms = CLAMP(domain->look_again_ms * 2, LOOK_AGAIN_MS, LOOK_AGAIN_MAX_MS);
    domain->look_source = g_timeout_add(domain->look_again_ms, look_again, domain);
}

static void
looked(gpointer data, const GError *error, gpointer user_data)
{
    MigdVirtDomain *domain = user_data;
    Look *look = data;

    if (error != NULL) {
        look_failed(domain, error);
        return;
    }
    g_clear_handle_id(&domain->look_source, g_source_remove);
    domain->look_again_ms = 0;
    take_facts(domain, &look->facts);
    if (look->has_job && look->job.incoming)
        domain->run = MIGD_DOMAIN_INCOMING;
    migd_virt_domain_changed(domain);
    migd_virt_domain_inspect(domain);
    settle(domain, &look->facts, look->has_job ? &look->job : NULL);
}

/* First without the hypervisor, so that one that hangs is at least named. */
static void
described(gpointer data, const GError *error, gpointer user_data)
{
    MigdVirtDomain *domain = user_data;
    Look *look = data;

    if (error != NULL) {
        looked(data, error, user_data);
        return;
    }
    if (!look->facts.active) {
        look->has_job = FALSE;
        looked(data, NULL, user_data);
        return;
    }
    g_free(domain->name);
    domain->name = g_strdup(look->facts.name);
    domain->memory_bytes = look->facts.memory_bytes;
    migd_virt_lane_call(domain->lane, look_work, g_new0(Look, 1), look_free,
                        domain->host->call_timeout_ms, looked, domain);
}

void
migd_virt_domain_refresh(MigdVirtDomain *domain)
{
    migd_virt_lane_call(domain->lane, describe_work, g_new0(Look, 1), look_free,
                        domain->host->call_timeout_ms, described, domain);
}

/* ---- life ------------------------------------------------------------------------------------ */

MigdVirtDomain *
migd_virt_domain_new(MigdVirtHost *host, const char *uuid, const char *name)
{
    MigdVirtDomain *domain = g_new0(MigdVirtDomain, 1);

    domain->base.backend = &host->base;
    domain->host = host;
    domain->uuid = g_strdup(uuid);
    domain->name = g_strdup(name);
    domain->lane =
        migd_virt_lane_new(migd_virt_connection_pool(host->connection), uuid, on_stuck, domain);
    fill_info(domain);
    g_hash_table_insert(host->domains, domain->uuid, domain);
    host->listener->domain_added(&domain->base, host->user_data);
    return domain;
}

void
migd_virt_domain_free(gpointer data)
{
    MigdVirtDomain *domain = data;
    g_autoptr(GError) gone =
        g_error_new_literal(MIGD_ERROR, MIGD_ERROR_BACKEND_LOST, "the domain is gone");

    g_clear_handle_id(&domain->look_source, g_source_remove);
    g_clear_handle_id(&domain->probe_source, g_source_remove);
    g_clear_handle_id(&domain->end_source, g_source_remove);
    g_clear_handle_id(&domain->leave_source, g_source_remove);
    g_clear_handle_id(&domain->hook_source, g_source_remove);
    g_clear_pointer(&domain->call, migd_virt_migration_forget);
    g_free(domain->stream.destination);
    migd_virt_answer_start(domain, gone);
    migd_virt_measure_stop(domain, gone);
    migd_virt_lane_free(domain->lane); /* answers what is under way */
    migd_virt_lane_free(domain->side);
    migd_virt_answer_waiting(domain);
    g_free(domain->uuid);
    g_free(domain->name);
    g_free(domain->problem);
    g_free(domain->failure);
    g_free(domain->profile);
    g_free(domain);
}

static gboolean
leave_now(gpointer user_data)
{
    MigdVirtDomain *domain = user_data;
    MigdVirtHost *host = domain->host;

    domain->leave_source = 0;
    if (domain->n_requests > 0 || domain->end_source != 0 || domain->call != NULL)
        return G_SOURCE_REMOVE; /* whoever ends the last one comes back here */
    host->listener->domain_removed(&domain->base, host->user_data);
    g_hash_table_remove(host->domains, domain->uuid);
    return G_SOURCE_REMOVE;
}

/* At low priority, so that answers which are ready go first, and what they lead to. */
static void
leave_soon(MigdVirtDomain *domain)
{
    if (domain->leaving && domain->leave_source == 0)
        domain->leave_source = g_idle_add(leave_now, domain);
}

void
migd_virt_domain_leave(MigdVirtDomain *domain)
{
    domain->leaving = TRUE;
    leave_soon(domain);
}

void
migd_virt_domain_stay(MigdVirtDomain *domain)
{
    domain->leaving = FALSE;
    g_clear_handle_id(&domain->leave_source, g_source_remove);
}

void
migd_virt_domain_answered(MigdVirtDomain *domain)
{
    domain->n_requests--;
    leave_soon(domain);
}

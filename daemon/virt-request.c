/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the daemon asks about a domain, as trips to a thread. Each is answered once, never before
 * the asking function returns; a domain leaves only when all are.
 */
#include "daemon/virt-request.h"

#include <string.h>

#include "base/error.h"
#include "daemon/virt-monitor.h"
#include "virt/control.h"
#include "virt/ring.h"
#include "virt/stats.h"

/* A job that has gone from libvirt's statistics is about to be explained by an event. */
#define GRACE_MS 500

MigdVirtRequest *
migd_virt_request_new(MigdDomain *domain, gpointer user_data)
{
    MigdVirtRequest *request = g_new0(MigdVirtRequest, 1);

    request->domain = (MigdVirtDomain *)domain;
    request->user_data = user_data;
    request->domain->n_requests++;
    return request;
}

void
migd_virt_request_answer(MigdVirtRequest *request, const MigdSample *sample, const MigdKnobs *knobs,
                         const GError *error)
{
    MigdVirtDomain *domain = request->domain;

    /* Counted off first: the callback may ask for more, and the domain outlives it all the same. */
    if (request->on_sample != NULL)
        request->on_sample(error == NULL ? sample : NULL, error, request->user_data);
    else if (request->on_knobs != NULL)
        request->on_knobs(error == NULL ? knobs : NULL, error, request->user_data);
    else
        request->on_done(error, request->user_data);
    migd_virt_domain_answered(domain);
    g_clear_error(&request->error);
    g_free(request);
}

/* ---- answered without a trip -------------------------------------------------------------------
 */

static gboolean
answer_now(gpointer user_data)
{
    MigdVirtRequest *request = user_data;

    request->source = 0;
    request->domain->later = g_list_remove(request->domain->later, request);
    migd_virt_request_answer(request, &request->domain->last, NULL, request->error);
    return G_SOURCE_REMOVE;
}

void
migd_virt_request_answer_in(MigdVirtRequest *request, guint ms)
{
    request->domain->later = g_list_append(request->domain->later, request);
    request->source = ms > 0 ? g_timeout_add(ms, answer_now, request)
                             : g_idle_add_full(G_PRIORITY_DEFAULT, answer_now, request, NULL);
}

void
migd_virt_answer_waiting(MigdVirtDomain *domain)
{
    while (domain->later != NULL) {
        MigdVirtRequest *request = domain->later->data;

        g_clear_handle_id(&request->source, g_source_remove);
        (void)answer_now(request);
    }
}

void
migd_virt_answer_later(MigdVirtDomain *domain, MigdDoneFunc callback, gpointer user_data,
                       GError *error)
{
    MigdVirtRequest *request = migd_virt_request_new(&domain->base, user_data);

    request->on_done = callback;
    request->error = error;
    migd_virt_request_answer_in(request, 0);
}

/* ---- query -------------------------------------------------------------------------------------
 */

static gboolean
job_work(virDomainPtr domain, gpointer data, GError **error)
{
    return migd_virt_job(domain, data, error);
}

static void
got_job(gpointer data, const GError *error, gpointer user_data)
{
    MigdVirtRequest *request = user_data;
    MigdVirtDomain *domain = request->domain;
    const MigdVirtJob *job = data;
    gboolean over = migd_status_is_end(domain->phase);

    if (over) { /* told meanwhile: that is the newest there is */
        migd_virt_request_answer(request, &domain->last, NULL, NULL);
        return;
    }
    if (error != NULL) {
        migd_virt_request_answer(request, NULL, NULL, error);
        return;
    }
    if (job->sample.status == MIGD_STATUS_NONE && migd_virt_domain_migrates(domain)) {
        /* Answered with the end, or, if nobody tells it, with what it looks like: nothing. */
        domain->last.status = MIGD_STATUS_NONE;
        migd_virt_request_answer_in(request, GRACE_MS);
        return;
    }
    if (migd_virt_domain_migrates(domain)) {
        domain->last = job->sample;
        if (migd_status_is_end(job->sample.status) || job->sample.status < domain->phase)
            domain->last.status = domain->phase; /* the events know more */
        /* Those of the last reading or setting: at most one sample old. */
        migd_knobs_add_to_sample(&domain->knobs, &domain->last);
        migd_virt_stream_sample(domain, &job->sample);
        migd_virt_make_room(domain, &job->sample);
        migd_virt_request_answer(request, &domain->last, NULL, NULL);
        return;
    }
    migd_virt_request_answer(request, &job->sample, NULL, NULL);
}

void
migd_virt_query(MigdDomain *base, MigdSampleFunc callback, gpointer user_data)
{
    MigdVirtRequest *request = migd_virt_request_new(base, user_data);
    MigdVirtDomain *domain = request->domain;

    request->on_sample = callback;
    if (migd_status_is_end(domain->phase) || domain->lost)
        migd_virt_request_answer_in(request, 0);
    else
        migd_virt_lane_call(domain->lane, job_work, g_new0(MigdVirtJob, 1), g_free,
                            domain->host->call_timeout_ms, got_job, request);
}

/* ---- reading knobs -----------------------------------------------------------------------------
 */

typedef struct {
    gboolean own_values;             /* libvirt's of downtime and speed, not the hypervisor's */
    char *parameters, *capabilities; /* commands, NULL = not asked for; then the replies */
    char *limits;                    /* the same; without a ring there are none */
    gboolean ring_known;             /* there is one, for certain */
    guint n_vcpus;
    MigdKnobs knobs;
} Reading;

static void
reading_free(gpointer data)
{
    Reading *reading = data;

    g_free(reading->parameters);
    g_free(reading->capabilities);
    g_free(reading->limits);
    g_free(reading);
}

static gboolean
exchange(virDomainPtr domain, char **text, GError **error)
{
    g_autofree char *command = g_steal_pointer(text);

    return command == NULL || migd_virt_monitor(domain, command, text, error);
}

static gboolean
count_vcpus(virDomainPtr domain, guint *ret, GError **error)
{
    virDomainInfo info;

    if (virDomainGetInfo(domain, &info) < 0) {
        migd_virt_set_error(error, "vCPUs");
        return FALSE;
    }
    *ret = info.nrVirtCpu;
    return TRUE;
}

/* Of a domain that nobody has looked at yet, its definition tells whether to ask. */
static gboolean
read_limits(virDomainPtr domain, Reading *reading, GError **error)
{
    guint32 now = 0, next = 0;

    if (reading->limits != NULL && !reading->ring_known) {
        migd_virt_read_rings(domain, &now, &next);
        if (now == 0)
            g_clear_pointer(&reading->limits, g_free);
    }
    return reading->limits == NULL || (exchange(domain, &reading->limits, error) &&
                                       count_vcpus(domain, &reading->n_vcpus, error));
}

static gboolean
reading_work(virDomainPtr domain, gpointer data, GError **error)
{
    Reading *reading = data;
    MigdKnobs *knobs = &reading->knobs;

    if (reading->own_values && (!migd_virt_get_downtime(domain, &knobs->downtime_limit_us, error) ||
                                !migd_virt_get_bandwidth(domain, &knobs->max_bandwidth_bps, error)))
        return FALSE;
    return exchange(domain, &reading->parameters, error) &&
           exchange(domain, &reading->capabilities, error) && read_limits(domain, reading, error);
}

/* What the monitor did not tell. */
static void
assume_capabilities(const MigdVirtDomain *domain, MigdKnobs *knobs)
{
    knobs->has |= MIGD_KNOB_POSTCOPY;
    knobs->postcopy = migd_virt_domain_migrates(domain) && !domain->postcopy_refused;
    if (domain->call != NULL)
        knobs->postcopy &= domain->own_postcopy;
}

static gboolean
take_reading(MigdVirtDomain *domain, const Reading *reading, MigdKnobs *ret, GError **error)
{
    *ret = reading->capabilities == NULL ? domain->knobs : (MigdKnobs){0};
    if (reading->parameters != NULL &&
        !migd_virt_monitor_knobs(reading->parameters, reading->capabilities, ret, error))
        return FALSE;
    ret->has &= ~(guint32)MIGD_KNOB_VCPU_LIMIT;
    /* A QEMU before 7.1 does not know the question: then there is no such knob. */
    if (reading->limits != NULL && migd_virt_monitor_limits(reading->limits, ret, NULL))
        domain->n_vcpus = reading->n_vcpus;
    if (reading->own_values) {
        ret->downtime_limit_us = reading->knobs.downtime_limit_us;
        ret->max_bandwidth_bps = reading->knobs.max_bandwidth_bps;
        ret->has |= MIGD_KNOB_DOWNTIME | MIGD_KNOB_BANDWIDTH;
    }
    if (reading->parameters == NULL)
        assume_capabilities(domain, ret);
    ret->has &= ~(guint32)MIGD_KNOB_EVENTS; /* libvirt's own business */
    domain->capabilities |= reading->capabilities != NULL && migd_virt_domain_migrates(domain);
    return TRUE;
}

/* The answer about limits is left out: that QEMU does not know of any is no error. */
static void
note_faults(const MigdVirtDomain *domain, const Reading *reading, const GError *error)
{
    const char *const replies[] = {reading->parameters, reading->capabilities};
    gboolean noted = error == NULL;
    MigdQmpFault fault;

    for (guint i = 0; i < G_N_ELEMENTS(replies); i++) {
        if (replies[i] == NULL || !migd_virt_monitor_fault(replies[i], &fault))
            continue;
        migd_backend_tell_fault(domain->host->listener, fault, domain->host->user_data);
        noted = TRUE;
    }
    if (!noted)
        migd_backend_tell_fault(domain->host->listener, MIGD_QMP_FAULT_IMPLAUSIBLE,
                                domain->host->user_data);
}

static void
got_reading(gpointer data, const GError *failure, gpointer user_data)
{
    MigdVirtRequest *request = user_data;
    MigdVirtDomain *domain = request->domain;
    g_autoptr(GError) error = failure != NULL ? g_error_copy(failure) : NULL;
    const Reading *reading = data;
    MigdKnobs knobs = {0};

    if (error == NULL && take_reading(domain, reading, &knobs, &error))
        domain->knobs = knobs;
    if (failure == NULL)
        note_faults(domain, reading, error);
    migd_virt_request_answer(request, NULL, &knobs, error);
}

/* While no migration runs, libvirt's values are those that the next one will get. While one does,
 * the hypervisor's are what counts: its initiator may have set a speed for it alone. */
void
migd_virt_read_knobs(MigdDomain *base, MigdKnobsFunc callback, gpointer user_data)
{
    MigdVirtRequest *request = migd_virt_request_new(base, user_data);
    MigdVirtDomain *domain = request->domain;
    gboolean monitor = domain->host->allow_monitor;
    Reading *reading = g_new0(Reading, 1);

    request->on_knobs = callback;
    reading->own_values = !monitor || !migd_virt_domain_migrates(domain);
    if (monitor)
        reading->parameters = migd_virt_monitor_query("query-migrate-parameters");
    if (monitor && !domain->capabilities)
        reading->capabilities = migd_virt_monitor_query("query-migrate-capabilities");
    reading->ring_known = domain->write_protect.active == MIGD_MECHANISM_RING;
    if (monitor && (reading->ring_known || domain->write_protect.active == MIGD_MECHANISM_UNKNOWN))
        reading->limits = migd_virt_monitor_query("query-vcpu-dirty-limit");
    if (monitor)
        migd_virt_domain_taint(domain, reading->parameters);
    migd_virt_lane_call(domain->lane, reading_work, reading, reading_free,
                        domain->host->call_timeout_ms, got_reading, request);
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the daemon asks of a domain, as trips to a thread. Each is answered once, never before the
 * asking function returns; a domain leaves only when all are.
 */
#include "daemon/virt-domain.h"

#include <string.h>

#include "base/error.h"
#include "daemon/virt-monitor.h"
#include "virt/control.h"
#include "virt/metadata.h"
#include "virt/stats.h"

/* A job that has gone from libvirt's statistics is about to be explained by an event. */
#define GRACE_MS 500

typedef struct {
    MigdVirtDomain *domain;
    MigdSampleFunc on_sample; /* one of these is set */
    MigdKnobsFunc on_knobs;
    MigdDoneFunc on_done;
    gpointer user_data;
    MigdKnobs turned;  /* done: what it sets, with the values */
    gboolean postcopy; /* done: it was the switch */
    GError *error;     /* later: the answer */
    guint source;      /* later */
} Request;

static Request *
request_new(MigdDomain *domain, gpointer user_data)
{
    Request *request = g_new0(Request, 1);

    request->domain = (MigdVirtDomain *)domain;
    request->user_data = user_data;
    request->domain->n_requests++;
    return request;
}

static void
answer(Request *request, const MigdSample *sample, const MigdKnobs *knobs, const GError *error)
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
    Request *request = user_data;

    request->source = 0;
    request->domain->later = g_list_remove(request->domain->later, request);
    answer(request, &request->domain->last, NULL, request->error);
    return G_SOURCE_REMOVE;
}

static void
answer_in(Request *request, guint ms)
{
    request->domain->later = g_list_append(request->domain->later, request);
    request->source = ms > 0 ? g_timeout_add(ms, answer_now, request)
                             : g_idle_add_full(G_PRIORITY_DEFAULT, answer_now, request, NULL);
}

void
migd_virt_answer_waiting(MigdVirtDomain *domain)
{
    while (domain->later != NULL) {
        Request *request = domain->later->data;

        g_clear_handle_id(&request->source, g_source_remove);
        (void)answer_now(request);
    }
}

void
migd_virt_answer_later(MigdVirtDomain *domain, MigdDoneFunc callback, gpointer user_data,
                       GError *error)
{
    Request *request = request_new(&domain->base, user_data);

    request->on_done = callback;
    request->error = error;
    answer_in(request, 0);
}

/* ---- query -------------------------------------------------------------------------------------
 */

static gboolean
job_work(virDomainPtr domain, gpointer data, GError **error)
{
    return migd_virt_job(domain, data, error);
}

/* The knobs are those of the last reading or setting: at most one sample old. */
static void
add_knobs(MigdSample *sample, const MigdKnobs *knobs)
{
    if ((knobs->has & MIGD_KNOB_DOWNTIME) != 0) {
        sample->downtime_limit_us = knobs->downtime_limit_us;
        sample->has |= MIGD_HAS_DOWNTIME_LIMIT;
    }
    if ((knobs->has & MIGD_KNOB_BANDWIDTH) != 0) {
        sample->max_bandwidth_bps = knobs->max_bandwidth_bps;
        sample->has |= MIGD_HAS_MAX_BANDWIDTH;
    }
}

static void
got_job(gpointer data, const GError *error, gpointer user_data)
{
    Request *request = user_data;
    MigdVirtDomain *domain = request->domain;
    const MigdVirtJob *job = data;
    gboolean over = migd_status_is_end(domain->phase);

    if (over) { /* told meanwhile: that is the newest there is */
        answer(request, &domain->last, NULL, NULL);
        return;
    }
    if (error != NULL) {
        answer(request, NULL, NULL, error);
        return;
    }
    if (job->sample.status == MIGD_STATUS_NONE && migd_virt_domain_migrates(domain)) {
        /* Answered with the end, or, if nobody tells it, with what it looks like: nothing. */
        domain->last.status = MIGD_STATUS_NONE;
        answer_in(request, GRACE_MS);
        return;
    }
    if (migd_virt_domain_migrates(domain)) {
        domain->last = job->sample;
        if (migd_status_is_end(job->sample.status) || job->sample.status < domain->phase)
            domain->last.status = domain->phase; /* the events know more */
        add_knobs(&domain->last, &domain->knobs);
        migd_virt_stream_sample(domain, &job->sample);
        answer(request, &domain->last, NULL, NULL);
        return;
    }
    answer(request, &job->sample, NULL, NULL);
}

void
migd_virt_query(MigdDomain *base, MigdSampleFunc callback, gpointer user_data)
{
    Request *request = request_new(base, user_data);
    MigdVirtDomain *domain = request->domain;

    request->on_sample = callback;
    if (migd_status_is_end(domain->phase) || domain->lost)
        answer_in(request, 0);
    else
        migd_virt_lane_call(domain->lane, job_work, g_new0(MigdVirtJob, 1), g_free,
                            domain->host->call_timeout_ms, got_job, request);
}

/* ---- reading knobs -----------------------------------------------------------------------------
 */

typedef struct {
    gboolean own_values;             /* libvirt's of downtime and speed, not the hypervisor's */
    char *parameters, *capabilities; /* commands, NULL = not asked for; then the replies */
    MigdKnobs knobs;
} Reading;

static void
reading_free(gpointer data)
{
    Reading *reading = data;

    g_free(reading->parameters);
    g_free(reading->capabilities);
    g_free(reading);
}

static gboolean
exchange(virDomainPtr domain, char **text, GError **error)
{
    g_autofree char *command = g_steal_pointer(text);

    return command == NULL || migd_virt_monitor(domain, command, text, error);
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
           exchange(domain, &reading->capabilities, error);
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
    static const guint32 own = MIGD_KNOB_DOWNTIME | MIGD_KNOB_BANDWIDTH;

    *ret = reading->capabilities == NULL ? domain->knobs : (MigdKnobs){0};
    if (reading->parameters != NULL &&
        !migd_virt_monitor_knobs(reading->parameters, reading->capabilities, ret, error))
        return FALSE;
    if (reading->own_values) {
        ret->downtime_limit_us = reading->knobs.downtime_limit_us;
        ret->max_bandwidth_bps = reading->knobs.max_bandwidth_bps;
        ret->has |= own;
    }
    if (reading->parameters == NULL)
        assume_capabilities(domain, ret);
    ret->has &= ~(guint32)MIGD_KNOB_EVENTS; /* libvirt's own business */
    domain->capabilities |= reading->capabilities != NULL && migd_virt_domain_migrates(domain);
    return TRUE;
}

static void
got_reading(gpointer data, const GError *failure, gpointer user_data)
{
    Request *request = user_data;
    MigdVirtDomain *domain = request->domain;
    g_autoptr(GError) error = failure != NULL ? g_error_copy(failure) : NULL;
    const Reading *reading = data;
    MigdKnobs knobs = {0};

    if (error == NULL && take_reading(domain, reading, &knobs, &error))
        domain->knobs = knobs;
    answer(request, NULL, &knobs, error);
}

/* While no migration runs, libvirt's values are those that the next one will get. While one does,
 * the hypervisor's are what counts: its initiator may have set a speed for it alone. */
void
migd_virt_read_knobs(MigdDomain *base, MigdKnobsFunc callback, gpointer user_data)
{
    Request *request = request_new(base, user_data);
    MigdVirtDomain *domain = request->domain;
    gboolean monitor = domain->host->allow_monitor;
    Reading *reading = g_new0(Reading, 1);

    request->on_knobs = callback;
    reading->own_values = !monitor || !migd_virt_domain_migrates(domain);
    if (monitor)
        reading->parameters = migd_virt_monitor_query("query-migrate-parameters");
    if (monitor && !domain->capabilities)
        reading->capabilities = migd_virt_monitor_query("query-migrate-capabilities");
    if (monitor)
        migd_virt_domain_taint(domain, reading->parameters);
    migd_virt_lane_call(domain->lane, reading_work, reading, reading_free,
                        domain->host->call_timeout_ms, got_reading, request);
}

/* ---- steps
 * --------------------------------------------------------------------------------------- */

MigdVirtSteps *
migd_virt_steps_new(void)
{
    return g_new0(MigdVirtSteps, 1);
}

void
migd_virt_steps_free(gpointer data)
{
    MigdVirtSteps *steps = data;

    g_free(steps->command);
    g_free(steps->reply);
    g_free(steps);
}

gboolean
migd_virt_steps_work(virDomainPtr domain, gpointer data, GError **error)
{
    MigdVirtSteps *steps = data;

    return (!steps->abort || migd_virt_abort(domain, error)) &&
           (!steps->postcopy || migd_virt_start_postcopy(domain, error)) &&
           (!steps->suspend || migd_virt_suspend(domain, error)) &&
           (!steps->read_speed || migd_virt_get_bandwidth(domain, &steps->speed_bps, error)) &&
           (!steps->set_downtime || migd_virt_set_downtime(domain, steps->downtime_us, error)) &&
           (!steps->set_bandwidth ||
            migd_virt_set_bandwidth(domain, steps->bandwidth_bps, error)) &&
           (steps->command == NULL ||
            (migd_virt_monitor(domain, steps->command, &steps->reply, error) &&
             migd_virt_monitor_check(steps->reply, error)));
}

static void
keep_turned(MigdVirtDomain *domain, const MigdKnobs *turned)
{
    for (guint i = 0; i < migd_n_knob_fields; i++)
        if ((turned->has & migd_knob_fields[i].knob) != 0)
            migd_knob_set(&domain->knobs, &migd_knob_fields[i],
                          migd_knob_get(turned, &migd_knob_fields[i]));
}

static void
stepped(gpointer data, const GError *error, gpointer user_data)
{
    Request *request = user_data;
    MigdVirtDomain *domain = request->domain;
    const MigdVirtSteps *steps = data;

    if (error == NULL) {
        keep_turned(domain, &request->turned);
        if (steps->read_speed && !domain->has_speed_before) {
            domain->has_speed_before = TRUE;
            domain->speed_before_bps = steps->speed_bps;
        }
    } else if (request->postcopy && !g_error_matches(error, MIGD_ERROR, MIGD_ERROR_TIMED_OUT)) {
        domain->postcopy_refused = TRUE; /* its initiator did not allow it: the next look says so */
    }
    answer(request, NULL, NULL, error);
}

static void
step(Request *request, MigdVirtSteps *steps)
{
    MigdVirtDomain *domain = request->domain;

    if (steps->command != NULL)
        migd_virt_domain_taint(domain, steps->command);
    migd_virt_lane_call(domain->lane, migd_virt_steps_work, steps, migd_virt_steps_free,
                        domain->host->call_timeout_ms, stepped, request);
}

/* libvirt itself puts back cpu-throttle-initial and -increment, to values that only it knows (its
 * initiator may have given others), and the capabilities. */
void
migd_virt_write_knobs(MigdDomain *base, const MigdKnobs *knobs, guint32 mask, MigdDoneFunc callback,
                      gpointer user_data)
{
    static const guint32 ours =
        MIGD_KNOB_THROTTLE_MAX | MIGD_KNOB_THROTTLE_TRIGGER | MIGD_KNOB_THROTTLE_TAILSLOW;
    Request *request = request_new(base, user_data);
    MigdVirtDomain *domain = request->domain;
    g_autoptr(GPtrArray) commands =
        migd_qmp_commands_for_knobs(knobs, mask & ours & domain->knobs.has);
    MigdVirtSteps *steps = migd_virt_steps_new();

    request->on_done = callback;
    request->turned = *knobs;
    request->turned.has &= mask & (ours | MIGD_KNOB_DOWNTIME | MIGD_KNOB_BANDWIDTH);
    steps->set_downtime = (mask & MIGD_KNOB_DOWNTIME) != 0;
    steps->downtime_us = knobs->downtime_limit_us;
    steps->set_bandwidth = (mask & MIGD_KNOB_BANDWIDTH) != 0;
    steps->bandwidth_bps =
        domain->has_speed_before ? domain->speed_before_bps : knobs->max_bandwidth_bps;
    if (commands->len > 0 && domain->host->allow_monitor)
        steps->command = migd_virt_monitor_encode(commands->pdata[0], NULL);
    step(request, steps);
}

/* ---- decisions
 * ----------------------------------------------------------------------------------- */

/* QEMU refuses a highest throttle below the initial one. At the end libvirt puts the initial one
 * back, with everything else in one command: all of that would stay behind. So the highest one
 * stays above QEMU's default, except to take back a throttle that is in force. */
#define QEMU_THROTTLE_INITIAL_PCT 20

static gboolean
throttle(const MigdVirtDomain *domain, const MigdDecision *decision, guint32 now_pct,
         MigdVirtSteps *steps, MigdKnobs *turned, GError **error)
{
    g_autoptr(MigdQmpCommand) command = NULL;

    if (!domain->host->allow_monitor) {
        g_set_error(error, MIGD_ERROR, MIGD_ERROR_NOT_SUPPORTED,
                    "a throttle needs AllowMonitorCommands=yes");
        return FALSE;
    }
    command = migd_qmp_command_for_decision(decision, now_pct, domain->knobs.has, turned, error);
    if (command != NULL && now_pct == 0 && turned->throttle_max_pct < QEMU_THROTTLE_INITIAL_PCT) {
        g_autoptr(GPtrArray) wider = NULL;

        turned->throttle_max_pct = QEMU_THROTTLE_INITIAL_PCT;
        wider = migd_qmp_commands_for_knobs(turned, turned->has);
        steps->command = migd_virt_monitor_encode(wider->pdata[0], error);
    } else if (command != NULL)
        steps->command = migd_virt_monitor_encode(command, error);
    return steps->command != NULL;
}

/* FALSE with `error` set: nothing is to be done. */
static gboolean
plan(const MigdVirtDomain *domain, const MigdDecision *decision, guint32 throttle_now_pct,
     MigdVirtSteps *steps, MigdKnobs *turned, GError **error)
{
    switch (decision->action) {
    case MIGD_ACTION_SET_DOWNTIME:
        steps->set_downtime = TRUE;
        steps->downtime_us = decision->argument;
        turned->has = MIGD_KNOB_DOWNTIME;
        turned->downtime_limit_us = MAX(decision->argument / 1000, 1) * 1000;
        return TRUE;
    case MIGD_ACTION_SET_BANDWIDTH:
        steps->read_speed = !domain->has_speed_before;
        steps->set_bandwidth = TRUE;
        steps->bandwidth_bps = decision->argument;
        turned->has = MIGD_KNOB_BANDWIDTH;
        turned->max_bandwidth_bps = decision->argument;
        return TRUE;
    case MIGD_ACTION_ARM:
    case MIGD_ACTION_THROTTLE:
    case MIGD_ACTION_RELEASE:
        return throttle(domain, decision, throttle_now_pct, steps, turned, error);
    case MIGD_ACTION_POSTCOPY:
        return steps->postcopy = TRUE;
    case MIGD_ACTION_PAUSE:
        return steps->suspend = TRUE;
    case MIGD_ACTION_ABORT:
        return steps->abort = TRUE;
    default:
        g_set_error(error, MIGD_ERROR, MIGD_ERROR_INVALID_ARGUMENT, "nothing to carry out");
        return FALSE;
    }
}

void
migd_virt_act(MigdDomain *base, const MigdDecision *decision, guint32 throttle_now_pct,
              MigdDoneFunc callback, gpointer user_data)
{
    Request *request = request_new(base, user_data);
    MigdVirtSteps *steps = migd_virt_steps_new();

    request->on_done = callback;
    request->postcopy = decision->action == MIGD_ACTION_POSTCOPY;
    if (plan(request->domain, decision, throttle_now_pct, steps, &request->turned,
             &request->error)) {
        step(request, steps);
        return;
    }
    migd_virt_steps_free(steps);
    answer_in(request, 0);
}

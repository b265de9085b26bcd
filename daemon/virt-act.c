/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Turning knobs and carrying out decisions: by libvirt's own calls, and for the throttle by the few
 * monitor commands of virt-monitor.c. Decides nothing.
 */
#include "daemon/virt-request.h"

#include "base/error.h"
#include "daemon/virt-monitor.h"
#include "qmp/limit.h"
#include "virt/control.h"

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
    g_free(steps->limit);
    g_free(steps->reply);
    g_free(steps);
}

/* While its job lasts, libvirt's speed is what was set for this migration; then it is its own
 * again, and in the hypervisor, too, if that let it. */
static gboolean
restore_speed(virDomainPtr domain, GError **error)
{
    MigdVirtJob job;
    guint64 own_bps;

    return migd_virt_job(domain, &job, error) &&
           (job.sample.status != MIGD_STATUS_NONE || job.incoming ||
            (migd_virt_get_bandwidth(domain, &own_bps, error) &&
             migd_virt_set_bandwidth(domain, own_bps, error)));
}

static gboolean
command(virDomainPtr domain, const char *text, MigdVirtSteps *steps, GError **error)
{
    g_clear_pointer(&steps->reply, g_free);
    return text == NULL || (migd_virt_monitor(domain, text, &steps->reply, error) &&
                            migd_virt_monitor_check(steps->reply, error));
}

gboolean
migd_virt_steps_work(virDomainPtr domain, gpointer data, GError **error)
{
    MigdVirtSteps *steps = data;

    return (!steps->abort || migd_virt_abort(domain, error)) &&
           (!steps->postcopy || migd_virt_start_postcopy(domain, error)) &&
           (!steps->suspend || migd_virt_suspend(domain, error)) &&
           (!steps->set_downtime || migd_virt_set_downtime(domain, steps->downtime_us, error)) &&
           (!steps->set_bandwidth ||
            migd_virt_set_bandwidth(domain, steps->bandwidth_bps, error)) &&
           command(domain, steps->command, steps, error) &&
           command(domain, steps->limit, steps, error) &&
           (!steps->restore_speed || restore_speed(domain, error));
}

void
migd_virt_steps_note(const MigdVirtDomain *domain, const MigdVirtSteps *steps)
{
    MigdQmpFault fault;

    if (steps != NULL && steps->reply != NULL && migd_virt_monitor_fault(steps->reply, &fault))
        migd_backend_tell_fault(domain->host->listener, fault, domain->host->user_data);
}

/* It is on its way down to a level at which libvirt could not put everything back. */
static gboolean
is_narrow(const MigdKnobs *turned)
{
    return turned->throttle_max_pct < MIGD_THROTTLE_INITIAL_PCT &&
           (turned->has & MIGD_KNOB_THROTTLE_INCREMENT) != 0 && turned->throttle_increment_pct == 1;
}

static void
stepped(gpointer data, const GError *error, gpointer user_data)
{
    MigdVirtRequest *request = user_data;
    MigdVirtDomain *domain = request->domain;

    migd_virt_steps_note(domain, data);
    if (error == NULL) {
        migd_knobs_take(&domain->knobs, &request->turned);
        if ((request->turned.has & MIGD_KNOB_THROTTLE_MAX) != 0)
            domain->narrow = is_narrow(&request->turned);
    } else if (request->postcopy && !g_error_matches(error, MIGD_ERROR, MIGD_ERROR_TIMED_OUT)) {
        domain->postcopy_refused = TRUE; /* its initiator did not allow it: the next look says so */
    }
    migd_virt_request_answer(request, NULL, NULL, error);
}

static void
step(MigdVirtRequest *request, MigdVirtSteps *steps)
{
    MigdVirtDomain *domain = request->domain;

    if (steps->command != NULL)
        migd_virt_domain_taint(domain, steps->command);
    if (steps->limit != NULL)
        migd_virt_domain_taint(domain, steps->limit);
    migd_virt_lane_call(domain->lane, migd_virt_steps_work, steps, migd_virt_steps_free,
                        domain->host->call_timeout_ms, stepped, request);
}

/* libvirt itself puts back cpu-throttle-initial and -increment, to values that only it knows (its
 * initiator may have given others), and the capabilities. It does that in one command, which QEMU
 * refuses while the highest throttle is below the initial one that it would put back: then all of
 * it has stayed, or will, and is for us to put back as it was when we came. */
static guint32
ours_to_write(const MigdVirtDomain *domain)
{
    guint32 ours = MIGD_KNOB_THROTTLE_MAX | MIGD_KNOB_THROTTLE_TRIGGER |
                   MIGD_KNOB_THROTTLE_TAILSLOW | MIGD_KNOB_VCPU_LIMIT;

    if ((domain->knobs.has & MIGD_KNOB_THROTTLE_MAX) != 0 &&
        domain->knobs.throttle_max_pct < MIGD_THROTTLE_INITIAL_PCT)
        ours |= MIGD_KNOB_THROTTLE_INITIAL | MIGD_KNOB_THROTTLE_INCREMENT;
    return domain->host->allow_monitor ? ours & domain->knobs.has : 0;
}

static char *
limit_text(guint64 bps, GError **error)
{
    g_autoptr(MigdQmpCommand) limit = migd_qmp_command_for_limit(bps);

    return migd_virt_monitor_encode(limit, error);
}

void
migd_virt_write_knobs(MigdDomain *base, const MigdKnobs *knobs, guint32 mask, MigdDoneFunc callback,
                      gpointer user_data)
{
    MigdVirtRequest *request = migd_virt_request_new(base, user_data);
    MigdVirtDomain *domain = request->domain;
    guint32 ours = ours_to_write(domain);
    gboolean repair = (ours & mask & MIGD_KNOB_THROTTLE_INITIAL) != 0;
    g_autoptr(GPtrArray) commands =
        migd_qmp_commands_for_knobs(knobs, mask & ours & ~(guint32)MIGD_KNOB_VCPU_LIMIT);
    MigdVirtSteps *steps = migd_virt_steps_new();

    if ((mask & ours & MIGD_KNOB_VCPU_LIMIT) != 0)
        steps->limit = limit_text(knobs->vcpu_limit_bps, NULL);
    request->on_done = callback;
    request->turned = *knobs;
    request->turned.has &= mask & (ours | MIGD_KNOB_DOWNTIME | MIGD_KNOB_BANDWIDTH);
    steps->set_downtime = (mask & MIGD_KNOB_DOWNTIME) != 0;
    steps->downtime_us = knobs->downtime_limit_us;
    steps->restore_speed = repair || (mask & MIGD_KNOB_BANDWIDTH) != 0;
    if (commands->len > 0)
        steps->command = migd_virt_monitor_encode(commands->pdata[0], NULL);
    step(request, steps);
}

void
migd_virt_switch_all(MigdVirtDomain *domain, gboolean on, MigdDoneFunc callback, gpointer user_data)
{
    MigdVirtRequest *request = migd_virt_request_new(&domain->base, user_data);
    g_autoptr(GPtrArray) commands = NULL;
    MigdVirtSteps *steps = migd_virt_steps_new();

    request->on_done = callback;
    request->turned = (MigdKnobs){.has = MIGD_KNOB_WRITE_PROTECT_ALL, .write_protect_all = on};
    commands = migd_qmp_commands_for_knobs(&request->turned, MIGD_KNOB_WRITE_PROTECT_ALL);
    steps->command = migd_virt_monitor_encode(commands->pdata[0], NULL);
    step(request, steps);
}

/* ---- decisions
 * ----------------------------------------------------------------------------------- */

/* See ours_to_write(): so that libvirt can put everything back by itself, also when we are dead,
 * the highest throttle stays above QEMU's own initial one. Only a throttle that is in force and
 * has to come down (or up, but not that far) needs a lower one, which holds until it is there. */
static void
leave_room(MigdKnobs *turned, guint32 now_pct)
{
    if (turned->throttle_max_pct >= MIGD_THROTTLE_INITIAL_PCT ||
        (now_pct != 0 && now_pct != turned->throttle_max_pct))
        return;
    turned->throttle_max_pct = MIGD_THROTTLE_INITIAL_PCT;
    turned->throttle_increment_pct = 1; /* the initial one is what engages */
}

static gboolean
limit(const MigdVirtDomain *domain, const MigdDecision *decision, MigdVirtSteps *steps,
      MigdKnobs *turned, GError **error)
{
    if (decision->action == MIGD_ACTION_ARM) /* a limit works at once: nothing is prepared */
        return TRUE;
    turned->has = MIGD_KNOB_VCPU_LIMIT;
    if (!migd_qmp_limit_for_decision(decision, domain->n_vcpus, &turned->vcpu_limit_bps, error))
        return FALSE;
    steps->limit = limit_text(turned->vcpu_limit_bps, error);
    return steps->limit != NULL;
}

static gboolean
throttle(const MigdVirtDomain *domain, const MigdDecision *decision, guint32 now_pct,
         MigdVirtSteps *steps, MigdKnobs *turned, GError **error)
{
    g_autoptr(MigdQmpCommand) command = NULL;
    g_autoptr(GPtrArray) roomy = NULL;

    if (!domain->host->allow_monitor) {
        g_set_error(error, MIGD_ERROR, MIGD_ERROR_NOT_SUPPORTED,
                    "a throttle needs AllowMonitorCommands=yes");
        return FALSE;
    }
    if (migd_knobs_limit_vcpus(&domain->knobs))
        return limit(domain, decision, steps, turned, error);
    command = migd_qmp_command_for_decision(decision, now_pct, domain->knobs.has, turned, error);
    if (command == NULL)
        return FALSE;
    leave_room(turned, now_pct);
    roomy = migd_qmp_commands_for_knobs(turned, turned->has);
    steps->command = migd_virt_monitor_encode(roomy->pdata[0], error);
    return steps->command != NULL;
}

static void
ignore(const GError *error, gpointer user_data)
{
}

/* The throttle has come down to where it was to be, and does not move any more. */
void
migd_virt_make_room(MigdVirtDomain *domain, const MigdSample *sample)
{
    const MigdKnobs *now = &domain->knobs;
    MigdVirtRequest *request;
    MigdVirtSteps *steps;
    g_autoptr(GPtrArray) commands = NULL;

    if (now->throttle_max_pct >= MIGD_THROTTLE_INITIAL_PCT)
        domain->narrow = FALSE; /* somebody else has turned it */
    if (!domain->narrow || !migd_sample_has(sample, MIGD_HAS_THROTTLE) ||
        sample->throttle_pct > now->throttle_max_pct)
        return;
    domain->narrow = FALSE;
    request = migd_virt_request_new(&domain->base, NULL);
    request->on_done = ignore;
    request->turned =
        (MigdKnobs){.has = MIGD_KNOB_THROTTLE_MAX, .throttle_max_pct = MIGD_THROTTLE_INITIAL_PCT};
    commands = migd_qmp_commands_for_knobs(&request->turned, MIGD_KNOB_THROTTLE_MAX);
    steps = migd_virt_steps_new();
    steps->command = migd_virt_monitor_encode(commands->pdata[0], NULL);
    step(request, steps);
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
    MigdVirtRequest *request = migd_virt_request_new(base, user_data);
    MigdVirtSteps *steps = migd_virt_steps_new();

    request->on_done = callback;
    request->postcopy = decision->action == MIGD_ACTION_POSTCOPY;
    if (plan(request->domain, decision, throttle_now_pct, steps, &request->turned,
             &request->error)) {
        step(request, steps);
        return;
    }
    migd_virt_steps_free(steps);
    migd_virt_request_answer_in(request, 0);
}

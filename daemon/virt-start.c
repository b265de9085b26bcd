/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Migrations of our own: what has to be set before, the call that lasts, and its end. The start is
 * answered at the hypervisor's first sign of it, or with the error that kept it from beginning.
 */
#include "daemon/virt-domain.h"

#include "base/error.h"
#include "daemon/virt-monitor.h"

typedef struct {
    MigdVirtDomain *domain;
    char *destination, *migrate_uri;
    MigdStartOptions options;
} Start;

static void
start_free(Start *start)
{
    g_free(start->destination);
    g_free(start->migrate_uri);
    g_free(start);
}

void
migd_virt_answer_start(MigdVirtDomain *domain, const GError *error)
{
    MigdDoneFunc done = g_steal_pointer(&domain->started);

    if (done == NULL)
        return;
    done(error, domain->started_data);
    migd_virt_domain_answered(domain);
}

/* The call is over. */
static void
migrated(const MigdVirtOutcome *outcome, const GError *error, gpointer user_data)
{
    MigdVirtDomain *domain = user_data;
    gboolean leaving = domain->leaving;

    domain->call = NULL;
    migd_virt_stream_end(domain, outcome->connections);
    migd_virt_answer_start(domain, error);
    if (error == NULL)
        migd_virt_domain_succeed(domain);
    else if (!g_error_matches(error, MIGD_ERROR, MIGD_ERROR_BACKEND_LOST))
        migd_virt_domain_finish(
            domain, outcome->aborted ? MIGD_STATUS_CANCELLED : MIGD_STATUS_FAILED, error->message);
    else if (domain->host->down == NULL)
        migd_virt_domain_refresh(domain); /* else when libvirt is back: it may go on meanwhile */
    if (leaving)
        migd_virt_domain_leave(domain);
}

static void
launch(Start *start)
{
    MigdVirtDomain *domain = start->domain;
    const MigdVirtMigrate what = {
        .uri = domain->host->uri,
        .uuid = domain->uuid,
        .destination = start->destination,
        .migrate_uri = start->migrate_uri,
        .bandwidth_bps = start->options.max_bandwidth_bps,
        .postcopy = start->options.allow_postcopy,
        .auto_converge = start->options.allow_throttle,
        .connections = migd_virt_stream_begin(domain, &start->options),
        .insist = start->options.connections != 0,
    };

    domain->own_postcopy = what.postcopy;
    domain->call = migd_virt_migration_start(&what, migrated, domain);
    migd_virt_domain_phase(domain, MIGD_STATUS_SETUP);
}

static void
prepared(gpointer data, const GError *error, gpointer user_data)
{
    Start *start = user_data;

    migd_virt_steps_note(start->domain, data);
    if (error != NULL)
        migd_virt_answer_start(start->domain, error);
    else
        launch(start);
    start_free(start);
}

/* So that a level decided after the first sync engages at the very next one: QEMU counts two syncs
 * as high before it begins. The level itself libvirt sets, and puts back; it must fit under the
 * ceiling that is set here. */
static char *
cock(const MigdVirtDomain *domain)
{
    MigdKnobs knobs = {.has = MIGD_KNOB_THROTTLE_MAX | MIGD_KNOB_THROTTLE_TRIGGER,
                       .throttle_max_pct = CLAMP(domain->knobs.throttle_initial_pct, 1, 99),
                       .throttle_trigger_pct = 1};
    g_autoptr(GPtrArray) commands =
        migd_qmp_commands_for_knobs(&knobs, knobs.has & domain->knobs.has);

    return commands->len > 0 ? migd_virt_monitor_encode(commands->pdata[0], NULL) : NULL;
}

void
migd_virt_start(MigdDomain *base, const MigdStartOptions *options, MigdDoneFunc callback,
                gpointer user_data)
{
    MigdVirtDomain *domain = (MigdVirtDomain *)base;
    MigdVirtSteps *steps = migd_virt_steps_new();
    Start *start = g_new0(Start, 1);

    start->domain = domain;
    start->destination = g_strdup(options->destination);
    start->migrate_uri = g_strdup(options->migrate_uri);
    start->options = *options;
    domain->n_requests++;
    domain->started = callback;
    domain->started_data = user_data;
    steps->set_downtime = options->downtime_limit_us != 0;
    steps->downtime_us = options->downtime_limit_us;
    if (options->allow_throttle)
        steps->command = cock(domain);
    if (steps->command != NULL)
        migd_virt_domain_taint(domain, steps->command);
    migd_virt_lane_call(domain->lane, migd_virt_steps_work, steps, migd_virt_steps_free,
                        domain->host->call_timeout_ms, prepared, start);
}

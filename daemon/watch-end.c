/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The way out of a watch: the last sample, the knobs put back, the report. Each step waits for the
 * answer to the one before, and a hypervisor that does not answer any more only shortens it.
 */
#include "daemon/watch-private.h"

#include <string.h>

#include "base/error.h"
#include "base/units.h"

/* The hypervisor announces the end a moment before it has added up the totals. */
#define TOTALS_RETRY_MS 20
#define TOTALS_TRIES 10

static const struct {
    MigdResult result;
    const char *problem; /* NULL = none */
} results[] = {
    [MIGD_STATUS_COMPLETED] = {MIGD_RESULT_SUCCEEDED, NULL},
    [MIGD_STATUS_FAILED] = {MIGD_RESULT_FAILED, "the hypervisor reported a failure"},
    [MIGD_STATUS_CANCELLED] = {MIGD_RESULT_CANCELED, NULL},
    [MIGD_STATUS_UNKNOWN] = {MIGD_RESULT_UNKNOWN, "it ended while nobody watched"},
};

static const char *const state_words[] = {
    [MIGD_WATCH_QUEUED] = "queued",
    [MIGD_WATCH_PREPARING] = "preparing",
    [MIGD_WATCH_PRECOPY] = "precopy",
    [MIGD_WATCH_SWITCHOVER] = "switchover",
    [MIGD_WATCH_POSTCOPY] = "postcopy",
    [MIGD_WATCH_FINISHED] = "finished",
    [MIGD_WATCH_POSTCOPY_PAUSED] = "postcopy-paused",
};

static const char *const result_words[] = {
    [MIGD_RESULT_NONE] = "",           [MIGD_RESULT_SUCCEEDED] = "succeeded",
    [MIGD_RESULT_FAILED] = "failed",   [MIGD_RESULT_CANCELED] = "canceled",
    [MIGD_RESULT_UNKNOWN] = "unknown",
};

const char *
migd_watch_state_to_string(MigdWatchState state)
{
    return state_words[state];
}

const char *
migd_result_to_string(MigdResult result)
{
    return result_words[result];
}

static void
refuse_waiting_request(MigdWatch *watch)
{
    g_autoptr(GError) error =
        g_error_new_literal(MIGD_ERROR, MIGD_ERROR_NOT_SUPPORTED, "the migration has ended");

    if (watch->has_request)
        migd_watch_answer_request(watch, error);
}

static void
set_text(char **field, const char *text)
{
    g_free(*field);
    *field = g_strdup(text != NULL ? text : "");
}

void
migd_watch_finish(MigdWatch *watch, MigdResult result, const char *problem)
{
    g_autoptr(MigdWatch) self = migd_watch_ref(watch); /* the listener may let go of it */
    MigdWatchInfo *info = &watch->info;
    MigdTraceFinish *report = &info->report;
    gboolean succeeded = result == MIGD_RESULT_SUCCEEDED;
    g_autofree char *downtime = NULL, *total = NULL;

    if (migd_watch_is_finished(watch) || watch->listener == NULL)
        return;
    migd_watch_stop_timers(watch);
    watch->ending = TRUE;
    refuse_waiting_request(watch);
    info->state = MIGD_WATCH_FINISHED;
    info->result = result;
    info->progress = 1.0;
    info->progress_valid = TRUE;
    set_text(&info->error, problem);
    set_text(&report->error, problem);
    set_text(&report->result, migd_result_to_string(result));
    report->time_us = migd_watch_clock();
    if (report->total_us == 0)
        report->total_us = (guint64)MAX(report->time_us - watch->start_us, 0);
    migd_watch_record_finish(watch);
    total = migd_format_duration(report->total_us);
    downtime = migd_format_duration(report->downtime_us);
    migd_watch_log(watch, succeeded ? MIGD_LOG_NOTICE : MIGD_LOG_WARNING,
                   succeeded ? MIGD_MESSAGE_FINISHED : MIGD_MESSAGE_FAILED,
                   "migration %s after %s, pause %s%s%s", migd_result_to_string(result), total,
                   downtime, info->error[0] != '\0' ? ": " : "", info->error);
    migd_watch_changed(watch);
    watch->listener->finished(watch, watch->user_data);
    migd_watch_answer_failed_start(watch);
}

/* ---- putting back --------------------------------------------------------------------------- */

static void
report_end(MigdWatch *watch)
{
    gboolean aborted = watch->action.action == MIGD_ACTION_ABORT && !watch->action_refused;
    /* A hypervisor that is told to cancel closes the stream, and may stumble over that first. */
    MigdStatus status = aborted && watch->end_status == MIGD_STATUS_FAILED ? MIGD_STATUS_CANCELLED
                                                                           : watch->end_status;
    gboolean known = status < G_N_ELEMENTS(results) && results[status].result != MIGD_RESULT_NONE;
    MigdResult result = known ? results[status].result : MIGD_RESULT_UNKNOWN;
    const char *problem =
        known ? results[status].problem : "the hypervisor does not say how it ended";
    const MigdDomainInfo *domain =
        watch->domain != NULL ? migd_watch_ops(watch)->info(watch->domain) : NULL;
    g_autofree char *ours = aborted ? migd_decision_explain(&watch->action) : NULL;

    if (status == MIGD_STATUS_FAILED && domain != NULL && domain->migration_error != NULL)
        problem = domain->migration_error;
    if (watch->problem != NULL)
        problem = watch->problem;
    else if (status == MIGD_STATUS_CANCELLED)
        problem = ours != NULL ? ours : "cancelled by somebody else";
    migd_watch_finish(watch, result, problem);
}

static void
restored(const GError *error, gpointer user_data)
{
    g_autoptr(MigdWatch) watch = user_data;

    if (watch->listener == NULL)
        return;
    if (error != NULL)
        migd_watch_log(watch, MIGD_LOG_WARNING, NULL, "not all knobs could be put back: %s",
                       error->message);
    report_end(watch);
}

static void
got_knobs_to_restore(const MigdKnobs *knobs, const GError *error, gpointer user_data)
{
    g_autoptr(MigdWatch) watch = user_data;
    guint32 mask = 0;

    if (watch->listener == NULL)
        return;
    if (knobs != NULL) {
        (void)migd_guard_look(&watch->guard, knobs);
        mask = migd_guard_to_restore(&watch->guard);
    }
    if (mask == 0 || watch->domain == NULL)
        report_end(watch);
    else
        migd_watch_ops(watch)->write_knobs(watch->domain, &watch->guard.saved, mask, restored,
                                           migd_watch_ref(watch));
}

void
migd_watch_end_final(MigdWatch *watch)
{
    if (watch->listener == NULL)
        return;
    watch->end_waits = watch->look_pending && watch->domain != NULL;
    if (watch->end_waits)
        return;
    if (watch->domain == NULL || watch->guard.touched == 0)
        report_end(watch);
    else
        migd_watch_ops(watch)->read_knobs(watch->domain, got_knobs_to_restore,
                                          migd_watch_ref(watch));
}

/* ---- the last word -------------------------------------------------------------------------- */

static gboolean
has_totals(const MigdSample *sample)
{
    return sample->status != MIGD_STATUS_COMPLETED ||
           (migd_sample_has(sample, MIGD_HAS_DOWNTIME | MIGD_HAS_ELAPSED) &&
            sample->elapsed_us > 0);
}

static gboolean
ask_again(gpointer user_data)
{
    MigdWatch *watch = user_data;

    watch->end_source = 0;
    migd_watch_end_query(watch);
    return G_SOURCE_REMOVE;
}

static void
got_last_sample(const MigdSample *sample, const GError *error, gpointer user_data)
{
    g_autoptr(MigdWatch) watch = user_data;

    watch->query_pending = FALSE;
    if (watch->listener == NULL || migd_watch_is_finished(watch))
        return;
    if (sample != NULL && !has_totals(sample) && ++watch->end_tries < TOTALS_TRIES) {
        watch->end_source = g_timeout_add(TOTALS_RETRY_MS, ask_again, watch);
        return;
    }
    if (sample != NULL && sample->status == watch->end_status) {
        MigdSample stamped = *sample;
        stamped.has &= ~(guint32)MIGD_HAS_SYNC;
        stamped.time_us = migd_watch_clock();
        migd_watch_add_limit(watch, &stamped);
        migd_watch_fold(watch, &stamped, /* may_act= */ FALSE);
    }
    migd_watch_end_final(watch);
}

void
migd_watch_end_query(MigdWatch *watch)
{
    if (watch->query_pending || watch->end_source != 0 || migd_watch_is_finished(watch))
        return;
    if (watch->domain == NULL || watch->track == NULL) {
        migd_watch_end_final(watch);
        return;
    }
    watch->query_pending = TRUE;
    migd_watch_ops(watch)->query(watch->domain, got_last_sample, migd_watch_ref(watch));
}

void
migd_watch_end(MigdWatch *watch, MigdStatus status)
{
    if (watch->ending)
        return;
    watch->ending = TRUE;
    watch->end_status = status;
    g_clear_handle_id(&watch->poll_source, g_source_remove);
    migd_watch_end_query(watch); /* or, with a query under way, after it */
}

void
migd_watch_domain_lost(MigdWatch *watch)
{
    gboolean may_have_arrived = watch->info.state == MIGD_WATCH_SWITCHOVER;

    g_clear_handle_id(&watch->lost_source, g_source_remove);
    watch->domain = NULL;
    if (migd_watch_is_finished(watch) || watch->listener == NULL)
        return;
    if (watch->ending && watch->end_status != MIGD_STATUS_NONE)
        report_end(watch);
    else if (may_have_arrived)
        migd_watch_finish(watch, MIGD_RESULT_UNKNOWN,
                          "the hypervisor process went away during the switchover");
    else
        migd_watch_finish(watch, MIGD_RESULT_FAILED, "the hypervisor process went away");
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the watch leaves behind: trace lines, log entries and the numbers of the report. A disk that
 * refuses the trace is complained about once; the migration is worth more than its record.
 */
#include "daemon/watch-private.h"

#include <string.h>

#include "base/checked.h"

void
migd_watch_log(const MigdWatch *watch, MigdLogLevel level, const char *message_id,
               const char *format, ...)
{
    MigdLogFields fields = {.message_id = message_id,
                            .migration_id = watch->info.id,
                            .domain_uuid = watch->info.domain_uuid,
                            .domain_name = watch->info.domain_name,
                            .action = migd_action_to_string(watch->recorded.action),
                            .reason = migd_reason_to_string(watch->recorded.reason)};
    g_autofree char *text = NULL;
    va_list args;

    va_start(args, format);
    text = g_strdup_vprintf(format, args);
    va_end(args);
    if (!watch->info.has_decision)
        fields.action = fields.reason = NULL;
    migd_log(level, &fields, "%s", text);
}

static void
written(MigdWatch *watch, gboolean ok, const GError *error)
{
    if (ok || watch->trace_broken)
        return;
    watch->trace_broken = TRUE;
    migd_watch_log(watch, MIGD_LOG_WARNING, NULL,
                   "the trace is incomplete: %s; the migration is watched all the same",
                   error->message);
}

char *
migd_watch_boot_id(void)
{
    const char *given = g_getenv("MIGRATIOND_BOOT_ID");
    char *id = NULL;

    /* In the unit's sandbox /proc/sys is out of sight, so systemd tells (%b): without dashes. */
    if (given != NULL && strlen(given) == 32)
        return g_strdup_printf("%.8s-%.4s-%.4s-%.4s-%.12s", given, given + 8, given + 12,
                               given + 16, given + 20);
    if (!g_file_get_contents("/proc/sys/kernel/random/boot_id", &id, NULL, NULL))
        return NULL;
    return g_strstrip(id);
}

void
migd_watch_record_start(MigdWatch *watch)
{
    const MigdWatchInfo *info = &watch->info;
    g_autofree char *boot_id = migd_watch_boot_id();
    g_autoptr(GError) error = NULL;
    /* Borrows every string: not to be cleared. */
    MigdTraceStart start = {.time_us = migd_watch_clock(),
                            .realtime_us = info->start_realtime_us,
                            .boot_id = boot_id,
                            .id = info->id,
                            .domain_uuid = info->domain_uuid,
                            .domain_name = info->domain_name,
                            .origin = info->origin,
                            .direction = (char *)"outgoing",
                            .destination = info->destination,
                            .mode = (char *)(info->observe ? "observe" : "enforce"),
                            .write_protect = (char *)info->write_protect,
                            .profile = info->profile,
                            .abilities = watch->abilities,
                            .memory_bytes = info->memory_bytes,
                            .costs = info->costs,
                            .saved = watch->guard.saved,
                            .touched = watch->guard.touched};

    watch->recorded_knobs = watch->guard.saved;
    watch->trace = migd_trace_writer_open(info->trace_path, /* append= */ FALSE, &error);
    if (watch->trace == NULL || !migd_trace_write_start(watch->trace, &start, &error))
        written(watch, FALSE, error);
}

void
migd_watch_record_sample(MigdWatch *watch, const MigdSample *sample)
{
    g_autoptr(GError) error = NULL;

    if (watch->trace != NULL)
        written(watch, migd_trace_write_sample(watch->trace, sample, &error), error);
}

void
migd_watch_record_decision(MigdWatch *watch, const MigdDecision *decision)
{
    g_autoptr(GError) error = NULL;

    if (watch->trace != NULL)
        written(watch, migd_trace_write_decision(watch->trace, decision, &error), error);
}

void
migd_watch_record_action(MigdWatch *watch, const MigdDecision *decision, gint64 now_us)
{
    g_autoptr(GError) error = NULL;

    if (watch->trace != NULL)
        written(watch, migd_trace_write_action(watch->trace, decision, now_us, &error), error);
}

void
migd_watch_record_outcome(MigdWatch *watch, gint64 now_us, const GError *problem)
{
    g_autoptr(GError) error = NULL;
    const char *text = problem != NULL ? problem->message : NULL;

    if (watch->trace != NULL)
        written(watch, migd_trace_write_outcome(watch->trace, now_us, text, &error), error);
    if (problem != NULL)
        migd_watch_log(watch, MIGD_LOG_WARNING, MIGD_MESSAGE_ACTION, "%s was refused: %s",
                       migd_action_to_string(watch->action.action), text);
    else
        migd_watch_log(watch, MIGD_LOG_DEBUG, MIGD_MESSAGE_ACTION, "%s is done",
                       migd_action_to_string(watch->action.action));
}

void
migd_watch_record_abilities(MigdWatch *watch, const char *why)
{
    g_autoptr(GError) error = NULL;

    if (watch->trace != NULL)
        written(watch,
                migd_trace_write_abilities(watch->trace, migd_watch_clock(), &watch->abilities, why,
                                           &error),
                error);
}

void
migd_watch_record_knobs(MigdWatch *watch)
{
    g_autoptr(GError) error = NULL;

    if (watch->trace == NULL || migd_knobs_diff(&watch->recorded_knobs, &watch->guard.seen) == 0)
        return;
    watch->recorded_knobs = watch->guard.seen;
    written(watch,
            migd_trace_write_knobs(watch->trace, migd_watch_clock(), &watch->guard.seen, &error),
            error);
}

void
migd_watch_record_finish(MigdWatch *watch)
{
    g_autoptr(GError) error = NULL;

    if (watch->trace != NULL)
        written(watch, migd_trace_write_finish(watch->trace, &watch->info.report, &error), error);
    g_clear_pointer(&watch->trace, migd_trace_writer_free);
}

/* QEMU measures for a second before it limits. */
#define LIMIT_SETTLES_US (3 * G_USEC_PER_SEC / 2)

void
migd_watch_note_limit(MigdWatch *watch, const MigdDecision *decision, gint64 now_us)
{
    if (!migd_knobs_limit_vcpus(&watch->guard.seen))
        return;
    if (decision->action == MIGD_ACTION_THROTTLE)
        watch->limit_next_pct = (guint32)MIN(decision->argument, 99);
    else if (decision->action == MIGD_ACTION_RELEASE)
        watch->limit_next_pct = 0;
    else
        return;
    watch->limit_from_us = now_us + LIMIT_SETTLES_US;
}

void
migd_watch_add_limit(MigdWatch *watch, MigdSample *sample)
{
    if (!migd_knobs_limit_vcpus(&watch->guard.seen))
        return;
    if (sample->time_us >= watch->limit_from_us)
        watch->limit_pct = watch->limit_next_pct;
    sample->throttle_pct = watch->limit_pct;
    sample->has |= MIGD_HAS_THROTTLE;
}

void
migd_watch_account(MigdWatchInfo *info, const MigdSample *sample)
{
    MigdTraceFinish *report = &info->report;
    const MigdSample *last = &info->sample;
    gint64 since_us = info->has_sample ? MAX(sample->time_us - last->time_us, 0) : 0;

    /* The level last seen held until now. */
    if (info->has_sample && migd_sample_has(last, MIGD_HAS_THROTTLE))
        report->throttle_us += (guint64)since_us * MIN(last->throttle_pct, 100) / 100;
    if (migd_sample_has(sample, MIGD_HAS_ELAPSED))
        report->total_us = sample->elapsed_us;
    if (migd_sample_has(sample, MIGD_HAS_DOWNTIME))
        report->downtime_us = sample->downtime_us;
    if (migd_sample_has(sample, MIGD_HAS_TRANSFERRED))
        report->transferred_bytes = sample->transferred_bytes;
    if (migd_sample_has(sample, MIGD_HAS_TOTAL))
        report->total_bytes = sample->total_bytes;
    if (migd_sample_has(sample, MIGD_HAS_PASS))
        report->passes = sample->pass;
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the files of the watch share: watch.c (the loop), watch-begin.c (start, follow, resume),
 * watch-end.c (restore, report) and watch-record.c (trace and journal). Nobody else includes this.
 */
#pragma once

#include "daemon/guard.h"
#include "daemon/journal.h"
#include "daemon/watch.h"

struct MigdWatch {
    MigdWatchInfo info;
    const MigdWatchListener *listener; /* NULL once detached */
    gpointer user_data;
    MigdDomain *domain; /* NULL once gone */

    /* memory */
    MigdDecision recorded; /* the newest in the trace; info.decision has fresher numbers */
    MigdTrack *track; /* NULL until the knobs in force are known: before that, nothing is folded */
    MigdGuard guard;
    gboolean guard_ready;
    MigdKnobs recorded_knobs; /* as in the trace */
    MigdAbilities abilities;
    gboolean throttle_cocked;
    /* A throttle by limits of vCPUs, which the hypervisor does not show as a level: the one in
     * force, and the next one with the time from which on it counts. */
    guint32 limit_pct, limit_next_pct;
    gint64 limit_from_us;
    MigdTraceWriter *trace; /* NULL: the disk refused it */
    gboolean trace_broken;  /* said so once */
    gint64 unanswered_us;   /* resumed: the time of an action without outcome; 0 = none */
    gint64 start_us;        /* CLOCK_MONOTONIC */

    /* what is under way; at most one of each */
    gboolean starting;          /* the migrate command is not answered yet */
    gboolean starting_postcopy; /* asked for with it */
    gboolean query_pending;
    gint64
        query_sync_us; /* when the sync was announced that the pending query is about; 0 = none */
    guint64 query_sync_pass;
    gboolean query_clean; /* no action was under way since it was sent: it shows settled knobs */
    gint64 sync_us;       /* a sync announced since, not asked about yet; 0 = none */
    guint64 sync_pass;
    gboolean syncs_announced; /* this hypervisor does announce them */
    gboolean action_pending;
    gboolean action_refused;
    MigdDecision action;
    gboolean look_pending, look_wanted, look_stale; /* at the knobs */
    gboolean look_first; /* nothing is turned before they are read: an earlier daemon turned them */
    guint64 last_pass;   /* sync count last told to the listener */

    /* a request of somebody, waiting or, with action_pending, under way */
    gboolean has_request, request_sent;
    MigdAction request;
    MigdDoneFunc request_done;
    gpointer request_data;
    MigdDoneFunc start_done;
    gpointer start_data;
    GError *start_error; /* told when it is over: whoever hears of it may start anew */

    /* the end */
    gboolean ending;
    MigdStatus end_status;
    char *problem;      /* why it could not be started; NULL = it could */
    gboolean end_waits; /* for the look under way */
    guint end_tries;
    guint poll_source, lost_source, end_source;
};

#define MIGD_WATCH_POLL_MS                                                                         \
    500 /* between passes: bandwidth, dips and the deadline need no finer look */

gint64 migd_watch_clock(void);
static inline const MigdBackendOps *
migd_watch_ops(const MigdWatch *watch)
{
    return watch->domain->backend->ops;
}

/* watch.c */
void migd_watch_go(MigdWatch *watch); /* look, ask and poll from now on */
void migd_watch_query(MigdWatch *watch);
void migd_watch_fold(MigdWatch *watch, const MigdSample *sample, gboolean may_act);
void migd_watch_changed(MigdWatch *watch);
void migd_watch_update_state(MigdWatch *watch, MigdStatus status);
void migd_watch_stop_timers(MigdWatch *watch);
/* `decision` was carried out at `now_us`: what level its limits stand for. */
void migd_watch_note_limit(MigdWatch *watch, const MigdDecision *decision, gint64 now_us);
/* Adds the level of limits to a sample of now. */
void migd_watch_add_limit(MigdWatch *watch, MigdSample *sample);
/* A start that failed, if nobody was told yet. */
void migd_watch_answer_failed_start(MigdWatch *watch);
void migd_watch_answer_request(MigdWatch *watch, const GError *error);
void migd_watch_run_request(MigdWatch *watch);

/* watch-end.c */
void migd_watch_end(MigdWatch *watch, MigdStatus status);
void migd_watch_end_final(MigdWatch *watch); /* after the last sample */
void migd_watch_end_query(MigdWatch *watch);
void migd_watch_finish(MigdWatch *watch, MigdResult result, const char *problem);

/* watch-record.c */
void migd_watch_record_start(MigdWatch *watch);
void migd_watch_record_sample(MigdWatch *watch, const MigdSample *sample);
void migd_watch_record_decision(MigdWatch *watch, const MigdDecision *decision);
void migd_watch_record_action(MigdWatch *watch, const MigdDecision *decision, gint64 now_us);
void migd_watch_record_outcome(MigdWatch *watch, gint64 now_us, const GError *error);
void migd_watch_record_abilities(MigdWatch *watch, const char *why);
/* The knobs in force, if they are not those recorded last. */
void migd_watch_record_knobs(MigdWatch *watch);
void migd_watch_record_finish(MigdWatch *watch);
void migd_watch_log(const MigdWatch *watch, MigdLogLevel level, const char *message_id,
                    const char *format, ...) G_GNUC_PRINTF(4, 5);
/* Adds `sample` to the integral of the throttle and to the counters of the report. */
void migd_watch_account(MigdWatchInfo *info, const MigdSample *sample);

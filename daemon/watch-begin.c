/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The three ways into a watch: a migration that migrationd starts, one that somebody else has
 * started, and one that an earlier daemon watched. Each reads the knobs in force before anything
 * else, so that they can be put back.
 */
#include "daemon/watch-private.h"

#include <string.h>

#include "base/checked.h"
#include "base/error.h"
#include "base/text.h"

/* The clock of a migration, by its own count and by ours, may differ by so much. */
#define SAME_START_US (3 * G_USEC_PER_SEC)

static void
begin_track(MigdWatch *watch)
{
    const MigdDomainInfo *domain = migd_watch_ops(watch)->info(watch->domain);

    watch->info.write_protect = migd_mechanism_to_string(domain->write_protect.active);
    watch->abilities =
        migd_guard_abilities(&watch->guard, watch->guard.seen.has, watch->throttle_cocked);
    migd_watch_record_start(watch);
    watch->track = migd_track_new(&watch->info.profile, &watch->abilities);
    migd_track_set_costs(watch->track, &watch->info.costs);
}

/* ---- started by migrationd ------------------------------------------------------------------ */

static void
answer_start(MigdWatch *watch, const GError *error)
{
    MigdDoneFunc done = watch->start_done;

    watch->start_done = NULL;
    if (done != NULL)
        done(error, watch->start_data);
}

void
migd_watch_answer_failed_start(MigdWatch *watch)
{
    if (watch->start_error != NULL)
        answer_start(watch, watch->start_error);
}

static void
got_started(const GError *error, gpointer user_data)
{
    g_autoptr(MigdWatch) watch = user_data;
    gboolean over = watch->listener == NULL || migd_watch_is_finished(watch);

    watch->starting = FALSE;
    if (over || error == NULL)
        answer_start(watch, error);
    if (over)
        return;
    if (error != NULL) {
        watch->start_error = g_error_copy(error);
        watch->problem = migd_text_clean(error->message);
        if (!watch->ending) { /* else its failure was announced before the command was answered */
            watch->ending = TRUE;
            watch->end_status = MIGD_STATUS_FAILED;
            migd_watch_end_final(watch);
        }
        return;
    }
    watch->look_wanted = TRUE; /* did the capabilities take? */
    migd_watch_go(watch);
}

/* The downtime limit (µs) that we start with, in whole ms as hypervisors take it: what the policy
 * begins with, or, where it may not raise it later, all that the profile allows. */
static guint64
start_limit(const MigdWatch *watch)
{
    const MigdWatchInfo *info = &watch->info;
    /* Before the start only a limit says what the link will carry. */
    guint64 link_bps = watch->guard.saved.max_bandwidth_bps;
    guint64 us = info->profile.max_downtime_us;

    if (migd_profile_allows(&info->profile, MIGD_ACTION_SET_DOWNTIME))
        us = migd_start_limit_us(&info->profile, &info->costs, info->memory_bytes, link_bps);
    return MAX(us / 1000, 1) * 1000;
}

/* The throttle of choice where there is a dirty ring: limits of the vCPUs' dirty rate. */
static gboolean
has_limits(const MigdKnobs *saved)
{
    return (saved->has & MIGD_KNOB_VCPU_LIMIT) != 0 && saved->vcpu_limit_bps == 0;
}

/* What is set at the start: as little as the profile needs. `ret_touched` = the knobs that this
 * sets. */
static MigdStartOptions
choose_options(const MigdWatch *watch, gboolean allow_postcopy, guint32 *ret_touched)
{
    const MigdProfile *profile = &watch->info.profile;
    const MigdKnobs *saved = &watch->guard.saved;
    MigdStartOptions options = {.destination = watch->info.destination,
                                .migrate_uri = watch->info.migrate_uri,
                                .connections = watch->info.connections};

    *ret_touched = 0;
    if (watch->info.observe)
        return options;
    if (has_limits(saved)) { /* auto-converge is switched off: it would throttle on its own */
        *ret_touched |= saved->auto_converge ? MIGD_KNOB_AUTO_CONVERGE : 0u;
    } else if ((saved->has & MIGD_KNOB_AUTO_CONVERGE) != 0 &&
               migd_profile_allows(profile, MIGD_ACTION_THROTTLE)) {
        options.allow_throttle = TRUE;
        *ret_touched |= MIGD_KNOB_AUTO_CONVERGE | MIGD_KNOBS_THROTTLE;
    }
    if ((saved->has & MIGD_KNOB_POSTCOPY) != 0 && (allow_postcopy || saved->postcopy)) {
        options.allow_postcopy = TRUE;
        *ret_touched |= MIGD_KNOB_POSTCOPY;
    }
    if ((saved->has & MIGD_KNOB_DOWNTIME) != 0 && saved->downtime_limit_us > start_limit(watch)) {
        options.downtime_limit_us = start_limit(watch);
        *ret_touched |= MIGD_KNOB_DOWNTIME;
    }
    if ((saved->has & MIGD_KNOB_BANDWIDTH) != 0 && profile->max_bandwidth_bps != 0 &&
        (saved->max_bandwidth_bps == 0 || saved->max_bandwidth_bps > profile->max_bandwidth_bps)) {
        options.max_bandwidth_bps = profile->max_bandwidth_bps;
        *ret_touched |= MIGD_KNOB_BANDWIDTH;
    }
    return options;
}

static void
got_knobs_to_start(const MigdKnobs *knobs, const GError *error, gpointer user_data)
{
    g_autoptr(MigdWatch) watch = user_data;
    MigdStartOptions options;
    guint32 touched;

    if (watch->listener == NULL || migd_watch_is_finished(watch) || knobs == NULL) {
        g_autoptr(GError) stopped =
            g_error_new(MIGD_ERROR, MIGD_ERROR_BACKEND_LOST, "the migration was not started: %s",
                        error != NULL ? error->message : "migrationd or the hypervisor went away");
        got_started(stopped, migd_watch_ref(watch));
        return;
    }
    migd_guard_init(&watch->guard, knobs);
    watch->guard_ready = TRUE;
    options = choose_options(watch, watch->starting_postcopy, &touched);
    migd_guard_touch(&watch->guard, touched);
    /* As they will be: the first look at the running migration tells whether they are. */
    if (has_limits(knobs) && !watch->info.observe)
        watch->guard.seen.auto_converge = FALSE;
    watch->guard.seen.auto_converge |= options.allow_throttle;
    watch->guard.seen.postcopy |= options.allow_postcopy;
    watch->throttle_cocked = options.allow_throttle;
    begin_track(watch);
    migd_watch_ops(watch)->migrate(watch->domain, &options, got_started, migd_watch_ref(watch));
}

void
migd_watch_start(MigdWatch *watch, gboolean allow_postcopy, MigdDoneFunc done, gpointer user_data)
{
    watch->start_us = migd_watch_clock();
    watch->info.start_realtime_us = migd_watch_realtime(watch->start_us);
    watch->info.state = MIGD_WATCH_PREPARING;
    watch->starting = TRUE;
    watch->starting_postcopy = allow_postcopy;
    watch->start_done = done;
    watch->start_data = user_data;
    migd_watch_log(watch, MIGD_LOG_NOTICE, MIGD_MESSAGE_STARTED, "migration to %s, profile %s%s",
                   watch->info.destination, watch->info.profile.name,
                   watch->info.observe ? ", observed only" : "");
    migd_watch_ops(watch)->read_knobs(watch->domain, got_knobs_to_start, migd_watch_ref(watch));
    migd_watch_changed(watch);
}

gboolean
migd_watch_is_queued(const MigdWatch *watch)
{
    return watch->info.state == MIGD_WATCH_QUEUED;
}

void
migd_watch_give_up(MigdWatch *watch, MigdResult result, const char *problem)
{
    watch->ending = TRUE;
    migd_watch_finish(watch, result, problem);
}

/* ---- started by somebody else ---------------------------------------------------------------- */

static void
got_knobs_to_follow(const MigdKnobs *knobs, const GError *error, gpointer user_data)
{
    g_autoptr(MigdWatch) watch = user_data;

    if (watch->listener == NULL || migd_watch_is_finished(watch))
        return;
    if (knobs != NULL) {
        migd_guard_init(&watch->guard, knobs);
        watch->guard_ready = TRUE;
    } else {
        migd_watch_log(watch, MIGD_LOG_WARNING, NULL, "the knobs in force are not known: %s",
                       error->message);
        watch->look_wanted = TRUE;
    }
    begin_track(watch);
    migd_watch_go(watch);
}

void
migd_watch_follow(MigdWatch *watch)
{
    migd_watch_log(watch, MIGD_LOG_NOTICE, MIGD_MESSAGE_STARTED,
                   "somebody else's migration, profile %s%s", watch->info.profile.name,
                   watch->info.observe ? ", observed only" : "");
    migd_watch_ops(watch)->read_knobs(watch->domain, got_knobs_to_follow, migd_watch_ref(watch));
}

/* ---- arriving here --------------------------------------------------------------------------- */

void
migd_watch_receive(MigdWatch *watch)
{
    migd_watch_log(watch, MIGD_LOG_NOTICE, MIGD_MESSAGE_STARTED, "a migration arrives");
}

void
migd_watch_received(MigdWatch *watch, MigdStatus status, const char *problem)
{
    MigdResult result = status == MIGD_STATUS_COMPLETED ? MIGD_RESULT_SUCCEEDED
                        : status == MIGD_STATUS_FAILED  ? MIGD_RESULT_FAILED
                                                        : MIGD_RESULT_CANCELED;

    if (migd_watch_is_finished(watch) || watch->listener == NULL)
        return;
    if (!migd_status_is_end(status)) {
        migd_watch_update_state(watch, status);
        migd_watch_changed(watch);
        return;
    }
    watch->ending = TRUE;
    migd_watch_finish(watch, result, problem);
}

/* ---- taken up from a trace ------------------------------------------------------------------- */

static void
replay_entry(MigdWatch *watch, const MigdTraceEntry *entry, const MigdDecision **action)
{
    MigdWatchInfo *info = &watch->info;

    switch (entry->kind) {
    case MIGD_TRACE_SAMPLE:
        migd_watch_account(info, &entry->sample);
        info->sample = entry->sample;
        info->has_sample = TRUE;
        break;
    case MIGD_TRACE_DECISION:
        info->report.decisions++;
        if (entry->decision.reason == MIGD_REASON_REQUESTED)
            break; /* somebody's word, not the policy's: the next of its own is not compared with it
                    */
        watch->recorded = info->decision = entry->decision;
        info->has_decision = TRUE;
        break;
    case MIGD_TRACE_ACTION:
        *action = &entry->decision;
        watch->unanswered_us = entry->time_us;
        migd_watch_note_limit(watch, *action, entry->time_us);
        migd_guard_acted(&watch->guard, *action); /* without an outcome it counts as done */
        break;
    case MIGD_TRACE_OUTCOME:
        if (*action != NULL && entry->problem != NULL)
            migd_guard_touch(&watch->guard, migd_guard_knobs_of(&watch->guard, (*action)->action));
        *action = NULL;
        watch->unanswered_us = 0;
        break;
    case MIGD_TRACE_ABILITIES:
        watch->abilities = entry->abilities;
        break;
    case MIGD_TRACE_PROFILE:
        info->profile = entry->profile;
        break;
    case MIGD_TRACE_KNOBS:
        watch->recorded_knobs = watch->guard.seen = entry->knobs;
        watch->guard.unsettled = 0;
        break;
    case MIGD_TRACE_START:
    case MIGD_TRACE_FINISH:
        break;
    }
}

/* Knobs that an earlier daemon saw in somebody else's hands: it stopped using them. */
static guint32
foreign_knobs(const MigdWatch *watch)
{
    guint32 lost = migd_guard_abilities(&watch->guard, watch->guard.saved.has, FALSE).can &
                   ~watch->abilities.can;
    guint32 knobs = 0;

    for (guint action = 0; action < MIGD_N_ACTIONS; action++)
        if (lost & (1u << action))
            knobs |= migd_guard_knobs_of(&watch->guard, (MigdAction)action);
    return knobs;
}

static void
restore_memory(MigdWatch *watch, const MigdTrace *trace)
{
    const MigdTraceStart *start = &trace->start;
    MigdWatchInfo *info = &watch->info;
    const MigdDecision *action = NULL;
    MigdMechanism mechanism = MIGD_MECHANISM_UNKNOWN;

    if (start->write_protect != NULL)
        (void)migd_mechanism_from_string(start->write_protect, &mechanism);
    info->write_protect = migd_mechanism_to_string(mechanism);
    watch->start_us = start->time_us;
    info->start_realtime_us = start->realtime_us;
    info->profile = start->profile;
    info->costs = start->costs;
    info->memory_bytes = start->memory_bytes;
    watch->abilities = start->abilities;
    watch->throttle_cocked = start->abilities.throttle_cocked;
    migd_guard_init(&watch->guard, &start->saved);
    watch->recorded_knobs = start->saved;
    watch->guard_ready = start->saved.has != 0;
    migd_guard_touch(&watch->guard, start->touched);
    if ((start->touched & MIGD_KNOB_DOWNTIME) != 0) {
        watch->guard.seen.downtime_limit_us = start_limit(watch);
        watch->guard.unsettled &= ~(guint32)MIGD_KNOB_DOWNTIME;
    }
    if ((start->touched & MIGD_KNOB_BANDWIDTH) != 0) {
        watch->guard.seen.max_bandwidth_bps = start->profile.max_bandwidth_bps;
        watch->guard.unsettled &= ~(guint32)MIGD_KNOB_BANDWIDTH;
    }
    watch->guard.seen.auto_converge =
        has_limits(&start->saved)
            ? start->saved.auto_converge && strcmp(start->origin, "migrationd") != 0
            : (start->abilities.can & (1u << MIGD_ACTION_THROTTLE)) != 0;
    watch->guard.seen.postcopy = (start->abilities.can & (1u << MIGD_ACTION_POSTCOPY)) != 0;
    for (guint i = 0; i < trace->entries->len; i++)
        replay_entry(watch, &g_array_index(trace->entries, MigdTraceEntry, i), &action);
    watch->guard.foreign = foreign_knobs(watch);
    watch->last_pass = info->sample.pass;
    if (info->has_decision) {
        g_free(info->decision_text);
        info->decision_text = migd_decision_explain(&info->decision);
    }
    (void)migd_trace_replay(trace, NULL, NULL, NULL, &watch->track);
}

static void
reopen_trace(MigdWatch *watch)
{
    g_autoptr(GError) error = NULL;

    watch->trace = migd_trace_writer_open(watch->info.trace_path, /* append= */ TRUE, &error);
    if (watch->trace == NULL)
        migd_watch_log(watch, MIGD_LOG_WARNING, NULL, "the trace cannot be continued: %s",
                       error->message);
    else if (watch->unanswered_us != 0) /* written down as what it was taken for: done */
        (void)migd_trace_write_outcome(watch->trace, watch->unanswered_us, NULL, NULL);
}

void
migd_watch_resume(MigdWatch *watch, const MigdTrace *trace)
{
    restore_memory(watch, trace);
    reopen_trace(watch);
    watch->info.state = MIGD_WATCH_PRECOPY;
    watch->look_first = TRUE;
    migd_watch_log(watch, MIGD_LOG_NOTICE, MIGD_MESSAGE_ADOPTED,
                   "taken up where an earlier migrationd left it; newest decision: %s",
                   watch->info.has_decision ? watch->info.decision_text : "none");
    migd_watch_go(watch);
}

void
migd_watch_close(MigdWatch *watch, const MigdTrace *trace, const MigdSample *end, gboolean restore)
{
    const MigdSample *last = &watch->info.sample;
    gboolean is_ours;

    restore_memory(watch, trace);
    reopen_trace(watch);
    /* A result counts only if it can be this migration's: it ran at least as long as was seen. */
    is_ours =
        end != NULL && migd_status_is_end(end->status) &&
        (!migd_sample_has(last, MIGD_HAS_ELAPSED) || !migd_sample_has(end, MIGD_HAS_ELAPSED) ||
         migd_sat_add(end->elapsed_us, SAME_START_US) >= last->elapsed_us);
    watch->ending = TRUE;
    watch->end_status = is_ours ? end->status : MIGD_STATUS_UNKNOWN;
    if (is_ours) {
        MigdSample stamped = *end;
        stamped.time_us = migd_watch_clock();
        migd_watch_fold(watch, &stamped, /* may_act= */ FALSE);
    }
    if (!restore)
        watch->domain = NULL;
    migd_watch_end_final(watch);
}

gboolean
migd_watch_is_same(const MigdTrace *trace, const MigdSample *sample)
{
    gint64 recorded = trace->start.time_us, now;

    if (!migd_sample_has(sample, MIGD_HAS_ELAPSED))
        return FALSE;
    for (guint i = 0; i < trace->entries->len; i++) {
        const MigdTraceEntry *entry = &g_array_index(trace->entries, MigdTraceEntry, i);
        if (entry->kind == MIGD_TRACE_SAMPLE && migd_sample_has(&entry->sample, MIGD_HAS_ELAPSED))
            recorded =
                entry->sample.time_us - (gint64)MIN(entry->sample.elapsed_us, G_MAXINT64 / 2);
    }
    now = migd_watch_clock() - (gint64)MIN(sample->elapsed_us, G_MAXINT64 / 2);
    return ABS(now - recorded) <= SAME_START_US;
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The loop of one migration: event or timer -> sample -> fold -> decide -> act. From the
 * announcement of a sync to the command on the socket nothing waits: the trace is appended without
 * a flush to disk, and listeners hear of it afterwards. Never more than one query, one action and
 * one look at the knobs in flight.
 */
#include "daemon/watch-private.h"

#include <string.h>

#include "base/error.h"
#include "base/text.h"

gint64
migd_watch_clock(void)
{
    return g_get_monotonic_time();
}

/* ---- life --------------------------------------------------------------------------------- */

MigdWatch *
migd_watch_new(MigdDomain *domain, const MigdWatchSetup *setup, const MigdWatchListener *listener,
               gpointer user_data)
{
    MigdWatch *watch = g_rc_box_new0(MigdWatch);
    MigdWatchInfo *info = &watch->info;

    watch->domain = domain;
    watch->listener = listener;
    watch->user_data = user_data;
    watch->start_us = migd_watch_clock();
    info->id = g_strdup(setup->id);
    info->domain_uuid = g_strdup(setup->domain_uuid);
    info->domain_name = migd_text_clean(setup->domain_name);
    info->origin = g_strdup(setup->origin);
    info->destination = g_strdup(setup->destination);
    info->migrate_uri = g_strdup(setup->migrate_uri);
    info->connections = setup->connections;
    info->incoming = setup->incoming;
    info->state = setup->queued ? MIGD_WATCH_QUEUED : MIGD_WATCH_PREPARING;
    info->start_realtime_us = (guint64)g_get_real_time();
    info->profile = *setup->profile;
    info->costs = setup->costs;
    if (domain != NULL)
        info->memory_bytes = domain->backend->ops->info(domain)->memory_bytes;
    info->observe = setup->observe;
    info->write_protect = migd_mechanism_to_string(MIGD_MECHANISM_UNKNOWN);
    info->trace_path = setup->trace_path;
    info->error = g_strdup("");
    info->decision_text = g_strdup("");
    info->report.result = g_strdup("");
    info->report.error = g_strdup("");
    return watch;
}

static void
watch_clear(gpointer data)
{
    MigdWatch *watch = data;
    MigdWatchInfo *info = &watch->info;

    migd_watch_stop_timers(watch);
    migd_track_free(watch->track);
    migd_trace_writer_free(watch->trace);
    g_free(info->id);
    g_free(info->domain_uuid);
    g_free(info->domain_name);
    g_free(info->origin);
    g_free(info->destination);
    g_free(info->migrate_uri);
    g_free(info->error);
    g_free(info->decision_text);
    g_free(info->trace_path);
    g_free(watch->problem);
    g_clear_error(&watch->start_error);
    migd_trace_finish_clear(&info->report);
}

MigdWatch *
migd_watch_ref(MigdWatch *watch)
{
    return g_rc_box_acquire(watch);
}

void
migd_watch_unref(MigdWatch *watch)
{
    if (watch != NULL)
        g_rc_box_release_full(watch, watch_clear);
}

void
migd_watch_detach(MigdWatch *watch)
{
    watch->listener = NULL;
    migd_watch_stop_timers(watch);
    migd_watch_answer_failed_start(watch);
}

void
migd_watch_stop_timers(MigdWatch *watch)
{
    g_clear_handle_id(&watch->poll_source, g_source_remove);
    g_clear_handle_id(&watch->lost_source, g_source_remove);
    g_clear_handle_id(&watch->end_source, g_source_remove);
}

const MigdWatchInfo *
migd_watch_info(const MigdWatch *watch)
{
    return &watch->info;
}

guint
migd_watch_points(const MigdWatch *watch, MigdPoint *ret)
{
    return watch->track != NULL ? migd_track_points(watch->track, ret) : 0;
}

gboolean
migd_watch_is_finished(const MigdWatch *watch)
{
    return watch->info.state == MIGD_WATCH_FINISHED;
}

/* Still to be asked and steered; FALSE also once the daemon is stopping. */
static gboolean
is_live(const MigdWatch *watch)
{
    return watch->listener != NULL && watch->domain != NULL && watch->track != NULL &&
           !watch->ending;
}

void
migd_watch_changed(MigdWatch *watch)
{
    if (watch->listener != NULL)
        watch->listener->changed(watch, watch->user_data);
}

/* ---- knobs -------------------------------------------------------------------------------- */

static void
foreign_change(MigdWatch *watch, guint32 knobs, const MigdKnobs *before)
{
    g_autofree char *what = migd_guard_describe(knobs, before, &watch->guard.seen);
    g_autofree char *text =
        g_strdup_printf("Somebody else changed %s; migrationd leaves it to them.", what);
    MigdDecision decision = watch->info.decision;

    decision.action = MIGD_ACTION_WAIT;
    decision.argument = 0;
    decision.reason = MIGD_REASON_FOREIGN_CHANGE;
    decision.time_us = migd_watch_clock();
    watch->abilities =
        migd_guard_abilities(&watch->guard, watch->guard.saved.has, watch->throttle_cocked);
    migd_track_set_abilities(watch->track, &watch->abilities);
    migd_watch_record_abilities(watch, text);
    migd_watch_log(watch, MIGD_LOG_NOTICE, MIGD_MESSAGE_FOREIGN_CHANGE, "%s", text);
    g_free(watch->info.decision_text);
    watch->info.decision_text = g_steal_pointer(&text);
    watch->listener->decided(watch, &decision, watch->info.decision_text, /* enforced= */ FALSE,
                             watch->user_data);
    migd_watch_changed(watch);
}

/* Before anything is decided with it: a knob in other hands is not to be turned back. */
static void
look_at_sample(MigdWatch *watch, const MigdSample *sample)
{
    MigdKnobs before = watch->guard.seen;
    guint32 fresh = 0;

    if (watch->guard_ready && watch->query_clean && !watch->action_pending)
        fresh = migd_guard_look_at_sample(&watch->guard, sample);
    if (fresh != 0)
        foreign_change(watch, fresh, &before);
}

static void look(MigdWatch *watch);

static void
got_knobs(const MigdKnobs *knobs, const GError *error, gpointer user_data)
{
    g_autoptr(MigdWatch) watch = user_data;
    gboolean stale = watch->look_stale;
    MigdKnobs before = watch->guard.seen;
    MigdAbilities abilities;
    guint32 fresh;

    watch->look_pending = watch->look_stale = FALSE;
    if (watch->end_waits) {
        migd_watch_end_final(watch);
        return;
    }
    if (!is_live(watch))
        return;
    if (knobs == NULL) {
        watch->look_wanted = watch->look_first;
        return;
    }
    watch->look_first = FALSE;
    if (stale) {
        look(watch);
        return;
    }
    if (!watch->guard_ready) {
        migd_guard_init(&watch->guard, knobs);
        watch->guard_ready = TRUE;
        before = *knobs;
    }
    fresh = migd_guard_look(&watch->guard, knobs);
    migd_watch_record_knobs(watch);
    if (fresh != 0) {
        foreign_change(watch, fresh, &before);
        return;
    }
    abilities = migd_guard_abilities(&watch->guard, knobs->has, watch->throttle_cocked);
    if (abilities.can == watch->abilities.can &&
        abilities.throttle_cocked == watch->abilities.throttle_cocked)
        return;
    watch->abilities = abilities;
    migd_track_set_abilities(watch->track, &abilities);
    migd_watch_record_abilities(watch, "as the hypervisor shows them");
}

/* Compares the knobs with what was last set or seen. Not while an action is under way: it would see
 * half of it. */
static void
look(MigdWatch *watch)
{
    if (!is_live(watch) || watch->action_pending || watch->look_pending)
        return;
    watch->look_wanted = FALSE;
    watch->look_pending = TRUE;
    migd_watch_ops(watch)->read_knobs(watch->domain, got_knobs, migd_watch_ref(watch));
}

/* ---- acting ------------------------------------------------------------------------------- */

void
migd_watch_answer_request(MigdWatch *watch, const GError *error)
{
    MigdDoneFunc done = watch->request_done;

    watch->has_request = watch->request_sent = FALSE;
    watch->request_done = NULL;
    if (done != NULL)
        done(error, watch->request_data);
}

static void
got_outcome(const GError *error, gpointer user_data)
{
    g_autoptr(MigdWatch) watch = user_data;
    gint64 now = migd_watch_clock();

    watch->action_pending = FALSE;
    watch->action_refused = error != NULL;
    /* Stopped meanwhile: an action without outcome counts as done for whoever takes it up. */
    if (watch->listener != NULL && !migd_watch_is_finished(watch)) {
        migd_watch_record_outcome(watch, now, error);
        migd_track_note_action(watch->track, &watch->action, now, error == NULL);
        if (error == NULL)
            migd_watch_note_limit(watch, &watch->action, now);
        if (error == NULL)
            migd_guard_acted(&watch->guard, &watch->action);
        else /* whether it was done is not known */
            migd_guard_touch(&watch->guard,
                             migd_guard_knobs_of(&watch->guard, watch->action.action));
    }
    if (watch->request_sent)
        migd_watch_answer_request(watch, error);
    if (!is_live(watch))
        return;
    migd_watch_run_request(watch);
    if (watch->look_wanted)
        look(watch);
}

static void
act(MigdWatch *watch, const MigdDecision *decision)
{
    guint32 throttle = watch->info.has_sample ? watch->info.sample.throttle_pct : 0;

    watch->action_pending = TRUE;
    watch->action_refused = FALSE;
    watch->query_clean = FALSE;
    watch->look_stale = watch->look_pending;
    watch->action = *decision;
    migd_watch_record_action(watch, decision, migd_watch_clock());
    migd_watch_ops(watch)->act(watch->domain, &watch->action, throttle, got_outcome,
                               migd_watch_ref(watch));
}

/* The sentence, and, where nothing helps, why what the profile allows cannot be done here. */
static char *
explain(const MigdWatch *watch, const MigdDecision *decision)
{
    g_autofree char *text = migd_decision_explain(decision);
    g_autofree char *missing = NULL;
    guint32 allowed = 0;

    if (decision->reason != MIGD_REASON_NOTHING_ALLOWED &&
        decision->reason != MIGD_REASON_HOPELESS_ABORT)
        return g_steal_pointer(&text);
    for (guint action = 0; action < MIGD_N_ACTIONS; action++)
        if (migd_profile_allows(&watch->info.profile, (MigdAction)action))
            allowed |= 1u << action;
    missing = migd_guard_explain_missing(&watch->guard, watch->abilities.can, allowed);
    return g_strconcat(text, missing, NULL);
}

/* Says what was decided, on all channels. After the command: nothing here is worth a late one. */
static void
tell_decision(MigdWatch *watch, const MigdDecision *decision, gboolean enforced)
{
    MigdWatchInfo *info = &watch->info;

    g_free(info->decision_text);
    info->decision_text = explain(watch, decision);
    migd_watch_log(watch, MIGD_LOG_INFO, MIGD_MESSAGE_DECISION, "%s%s", info->decision_text,
                   enforced || decision->action == MIGD_ACTION_WAIT ? "" : " (observed only)");
    if (watch->listener != NULL)
        watch->listener->decided(watch, decision, info->decision_text, enforced, watch->user_data);
}

void
migd_watch_run_request(MigdWatch *watch)
{
    MigdDecision decision = watch->info.decision;

    if (!watch->has_request || watch->request_sent || watch->action_pending || watch->starting ||
        !is_live(watch))
        return;
    decision.action = watch->request;
    decision.argument = 0;
    decision.trigger_pct = 0;
    decision.hold_until_us = 0;
    decision.reason = MIGD_REASON_REQUESTED;
    decision.time_us = migd_watch_clock();
    watch->request_sent = TRUE;
    migd_watch_record_decision(watch, &decision);
    act(watch, &decision);
    tell_decision(watch, &decision, /* enforced= */ TRUE);
}

static void
refuse_request(MigdDoneFunc done, gpointer user_data, MigdError code, const char *why)
{
    g_autoptr(GError) error = g_error_new_literal(MIGD_ERROR, (gint)code, why);

    if (done != NULL)
        done(error, user_data);
}

static void
request_of_queued(MigdWatch *watch, MigdAction action, MigdDoneFunc done, gpointer user_data)
{
    if (action != MIGD_ACTION_ABORT) {
        refuse_request(done, user_data, MIGD_ERROR_NOT_SUPPORTED, "it waits for its turn");
        return;
    }
    migd_watch_give_up(watch, MIGD_RESULT_CANCELED, "cancelled before its turn came");
    if (done != NULL)
        done(NULL, user_data);
}

void
migd_watch_request(MigdWatch *watch, MigdAction action, MigdDoneFunc done, gpointer user_data)
{
    if (watch->ending || migd_watch_is_finished(watch) || watch->listener == NULL)
        refuse_request(done, user_data, MIGD_ERROR_NOT_SUPPORTED, "the migration has ended");
    else if (watch->info.incoming)
        refuse_request(done, user_data, MIGD_ERROR_NOT_SUPPORTED,
                       "an incoming migration is steered at its source");
    else if (migd_watch_is_queued(watch))
        request_of_queued(watch, action, done, user_data);
    else if (watch->has_request)
        refuse_request(done, user_data, MIGD_ERROR_MIGRATION_IN_PROGRESS,
                       "another request is under way");
    else {
        watch->has_request = TRUE;
        watch->request = action;
        watch->request_done = done;
        watch->request_data = user_data;
        migd_watch_run_request(watch);
    }
}

/* ---- observing ---------------------------------------------------------------------------- */

static void
update_progress(MigdWatchInfo *info)
{
    const MigdRange *left = &info->decision.time_us_left;
    double elapsed = (double)info->sample.elapsed_us, progress;

    info->progress_valid = migd_sample_has(&info->sample, MIGD_HAS_ELAPSED) && left->mid > 0 &&
                           left->mid != MIGD_NEVER;
    if (!info->progress_valid)
        return;
    progress = elapsed / (elapsed + (double)left->mid);
    info->progress = CLAMP(progress, info->progress, 0.99);
}

void
migd_watch_update_state(MigdWatch *watch, MigdStatus status)
{
    static const MigdWatchState states[] = {
        [MIGD_STATUS_SETUP] = MIGD_WATCH_PREPARING,
        [MIGD_STATUS_PRECOPY] = MIGD_WATCH_PRECOPY,
        [MIGD_STATUS_SWITCHOVER] = MIGD_WATCH_SWITCHOVER,
        [MIGD_STATUS_POSTCOPY] = MIGD_WATCH_POSTCOPY,
        [MIGD_STATUS_POSTCOPY_PAUSED] = MIGD_WATCH_POSTCOPY_PAUSED,
    };

    if (status < MIGD_STATUS_SETUP || status > MIGD_STATUS_POSTCOPY_PAUSED || watch->ending)
        return;
    watch->info.state = states[status];
}

/* A pass ends with a sync. Where syncs are announced only a sample taken at one counts; elsewhere
 * the counter tells. */
static void
tell_pass(MigdWatch *watch, const MigdSample *sample)
{
    gboolean at_sync = migd_sample_has(sample, MIGD_HAS_SYNC);

    if (!migd_sample_has(sample, MIGD_HAS_PASS) || sample->pass <= watch->last_pass ||
        (watch->syncs_announced && !at_sync && !watch->ending))
        return;
    watch->last_pass = sample->pass;
    watch->look_wanted = TRUE;
    if (sample->pass == 2)
        watch->info.first_pass_bytes = sample->transferred_bytes;
    /* The first sync begins pass 1; the second ends it. */
    if (sample->pass >= 2 && watch->listener != NULL)
        watch->listener->passed(watch, sample->pass - 1, watch->user_data);
}

void
migd_watch_fold(MigdWatch *watch, const MigdSample *sample, gboolean may_act)
{
    MigdWatchInfo *info = &watch->info;
    gboolean is_new;
    MigdDecision decision;

    if (!info->has_sample && migd_sample_has(sample, MIGD_HAS_ELAPSED)) {
        watch->start_us = sample->time_us - (gint64)MIN(sample->elapsed_us, G_MAXINT64 / 2);
        info->start_realtime_us = migd_watch_realtime(watch->start_us);
    }
    migd_watch_account(info, sample);
    info->sample = *sample;
    info->has_sample = TRUE;
    migd_track_add(watch->track, sample);
    migd_watch_record_sample(watch, sample);
    decision = migd_decide(watch->track);
    is_new = !info->has_decision || !migd_decision_same(&decision, &watch->recorded);
    if (is_new) {
        watch->recorded = decision;
        info->has_decision = TRUE;
        info->report.decisions++;
        migd_watch_record_decision(watch, &decision);
    }
    /* One that had to wait for another action is done as it was recorded. */
    if (may_act && !info->observe && !watch->look_first && decision.action != MIGD_ACTION_WAIT &&
        !watch->action_pending && !watch->has_request)
        act(watch, &watch->recorded);
    info->decision = decision; /* numbers and forecast are as new as the sample */
    if (sample->status == MIGD_STATUS_PRECOPY && sample->remaining_bytes > 0)
        info->running = decision;
    update_progress(info);
    migd_watch_update_state(watch, sample->status);
    tell_pass(watch, sample);
    if (is_new)
        tell_decision(watch, &decision, !info->observe);
    migd_watch_changed(watch);
}

/* Gives the sample its time: of the sync if it shows the pass that was announced, else now. */
static MigdSample
stamp(const MigdWatch *watch, const MigdSample *sample)
{
    MigdSample stamped = *sample;

    stamped.has &= ~(guint32)MIGD_HAS_SYNC;
    stamped.time_us = migd_watch_clock();
    if (watch->query_sync_us != 0 && migd_sample_has(sample, MIGD_HAS_PASS) &&
        sample->pass == watch->query_sync_pass) {
        stamped.has |= MIGD_HAS_SYNC;
        stamped.time_us = watch->query_sync_us;
    }
    return stamped;
}

static void
take_sample(MigdWatch *watch, const MigdSample *sample)
{
    MigdSample stamped = stamp(watch, sample);
    gboolean over =
        migd_status_is_end(sample->status) ||
        (sample->status == MIGD_STATUS_NONE && watch->info.state != MIGD_WATCH_PREPARING);

    if ((sample->status == MIGD_STATUS_NONE && !over) || /* not begun yet */
        sample->status == MIGD_STATUS_CANCELLING)        /* nothing left to decide */
        return;
    migd_watch_add_limit(watch, &stamped);
    look_at_sample(watch, &stamped);
    migd_watch_fold(watch, &stamped, /* may_act= */ !over);
    if (over)
        migd_watch_end(watch, sample->status);
    else if (watch->look_wanted)
        look(watch);
}

static void
got_sample(const MigdSample *sample, const GError *error, gpointer user_data)
{
    g_autoptr(MigdWatch) watch = user_data;

    watch->query_pending = FALSE;
    if (watch->ending && watch->listener != NULL) {
        migd_watch_end_query(watch); /* the last word is asked for separately */
        return;
    }
    if (!is_live(watch))
        return;
    /* A sync announced meanwhile: this reply may show half of it, and the next is on its way. */
    if (sample != NULL && (watch->sync_us == 0 || migd_status_is_end(sample->status)))
        take_sample(watch, sample);
    else if (error != NULL)
        migd_watch_log(watch, MIGD_LOG_DEBUG, NULL, "no sample: %s", error->message);
    if (watch->sync_us != 0)
        migd_watch_query(watch);
}

void
migd_watch_query(MigdWatch *watch)
{
    if (!is_live(watch) || watch->query_pending)
        return;
    watch->query_pending = TRUE;
    watch->query_sync_us = watch->sync_us;
    watch->query_sync_pass = watch->sync_pass;
    watch->sync_us = 0;
    watch->query_clean = !watch->action_pending;
    migd_watch_ops(watch)->query(watch->domain, got_sample, migd_watch_ref(watch));
}

static gboolean
poll_now(gpointer user_data)
{
    migd_watch_query(user_data);
    return G_SOURCE_CONTINUE;
}

void
migd_watch_go(MigdWatch *watch)
{
    if (!is_live(watch))
        return;
    if (watch->poll_source == 0)
        watch->poll_source = g_timeout_add(MIGD_WATCH_POLL_MS, poll_now, watch);
    if (watch->look_first)
        look(watch);
    migd_watch_query(watch);
    migd_watch_run_request(watch);
}

void
migd_watch_event(MigdWatch *watch, MigdEventKind kind, guint64 argument)
{
    if (watch->ending || migd_watch_is_finished(watch))
        return;
    if (kind == MIGD_EVENT_PASS) {
        watch->sync_us = migd_watch_clock();
        watch->sync_pass = argument;
        watch->syncs_announced = TRUE;
        migd_watch_query(watch);
        return;
    }
    if (migd_status_is_end((MigdStatus)argument)) {
        migd_watch_end(watch, (MigdStatus)argument);
        return;
    }
    migd_watch_update_state(watch, (MigdStatus)argument);
    migd_watch_query(watch);
    migd_watch_changed(watch);
}

/* ---- changes from outside ----------------------------------------------------------------- */

static gboolean
stay_lost(gpointer user_data)
{
    MigdWatch *watch = user_data;

    const MigdDomainInfo *info = migd_watch_ops(watch)->info(watch->domain);

    watch->lost_source = 0;
    if (info->state == MIGD_DOMAIN_FAULTY && !watch->ending)
        migd_watch_finish(watch, MIGD_RESULT_UNKNOWN, info->problem);
    else
        migd_watch_domain_lost(watch);
    return G_SOURCE_REMOVE;
}

/* How long a hypervisor may be away from its socket, or talk nonsense, before it counts as gone. */
#define LOST_AFTER_MS 5000

void
migd_watch_domain_changed(MigdWatch *watch, const MigdDomainInfo *info)
{
    gboolean lost = info->state == MIGD_DOMAIN_CONNECTING || info->state == MIGD_DOMAIN_FAULTY;

    if (migd_watch_is_finished(watch) || watch->listener == NULL)
        return;
    if (lost && watch->lost_source == 0)
        watch->lost_source = g_timeout_add(LOST_AFTER_MS, stay_lost, watch);
    else if (!lost)
        g_clear_handle_id(&watch->lost_source, g_source_remove);
    if (!lost)
        migd_watch_query(watch);
}

guint64
migd_watch_realtime(gint64 time_us)
{
    return (guint64)MAX(g_get_real_time() - migd_watch_clock() + time_us, 0);
}

gboolean
migd_watch_can(const MigdWatch *watch, MigdAction action)
{
    return (watch->abilities.can & (1u << action)) != 0;
}

void
migd_watch_set_observe(MigdWatch *watch, gboolean observe)
{
    watch->info.observe = observe;
}

void
migd_watch_set_profile(MigdWatch *watch, const MigdProfile *profile)
{
    watch->info.profile = *profile;
    if (watch->track == NULL || watch->ending)
        return;
    migd_track_set_profile(watch->track, profile);
    if (watch->trace != NULL)
        (void)migd_trace_write_profile(watch->trace, migd_watch_clock(), profile, "SetLimits",
                                       NULL);
    migd_watch_query(watch); /* decided on with the sample that this brings */
    migd_watch_changed(watch);
}

void
migd_watch_set_prediction(MigdWatch *watch, const MigdRange *total_us, const MigdRange *downtime_us,
                          const MigdRange *bytes)
{
    MigdTraceFinish *report = &watch->info.report;

    if (migd_watch_is_finished(watch))
        return;
    report->predicted_total_us = *total_us;
    report->predicted_downtime_us = *downtime_us;
    report->predicted_transferred_bytes = *bytes;
}

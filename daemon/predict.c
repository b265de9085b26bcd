/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * One question from its beginning to its answer: measure (or take a fresh measurement), read the
 * knobs in force, gather, play in a thread. Questions about the same guest share its measurement;
 * they are played one after the other, so that however many there are they leave a processor to the
 * migrations.
 */
#include "daemon/predict-private.h"

#include <gio/gio.h>
#include <math.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/checked.h"
#include "base/error.h"
#include "base/text.h"

/* A prediction made no longer before a start is the one that its report shows. */
#define FRESH_US (600 * (gint64)G_USEC_PER_SEC)

#define MAX_JOBS 32
#define NICE 19 /* of playing */
/* After a prediction for a report, which nobody waits for, as many times as long there is none: the
 * kernel may share processors out to services, and then the migrations are in the same share. */
#define REST 4

typedef struct {
    MigdRange total_us, pause_us, bytes;
    gint64 made_us; /* monotonic; 0 = never */
    char *peer, *profile;
} Last;

/* What is remembered of a guest. */
typedef struct {
    MigdCurve *curve;
    Last last;
} Guest;

struct MigdPredictor {
    MigdPredictDomainFunc find;
    MigdPredictMeasuredFunc measured;
    gpointer find_data;
    MigdHistory *history;
    GHashTable *guests; /* k: uuid (the curve's) -> v: Guest */
    GList *jobs;        /* of Job */
    GQueue *ready;      /* of Job: to be played, oldest first */
    gboolean playing;
    gint64 rest_until_us; /* monotonic: for reports */
    guint rest_source;
    guint last_id;
    guint refs; /* by what is under way, beside the owner's */
    gboolean freed;
};

typedef struct {
    MigdPredictor *predictor; /* counted */
    guint id;
    char *uuid;
    char *mode;
    guint32 seconds, max_age_s;
    gboolean waits;   /* for the measurement */
    gint64 played_us; /* monotonic, when it began */
    MigdFacts facts;
    MigdPredictFunc callback; /* NULL: cancelled, or for a report */
    gpointer user_data;
    MigdWatch *watch; /* counted; whose report it is for; NULL = none */
    GError *problem;
} Job;

/* ---- life ----------------------------------------------------------------------------------- */

static void
guest_free(gpointer data)
{
    Guest *guest = data;

    migd_curve_free(guest->curve);
    g_free(guest->last.peer);
    g_free(guest->last.profile);
    g_free(guest);
}

MigdPredictor *
migd_predictor_new(const char *state_directory, MigdPredictDomainFunc find,
                   MigdPredictMeasuredFunc measured, gpointer user_data)
{
    MigdPredictor *predictor = g_new0(MigdPredictor, 1);

    predictor->find = find;
    predictor->measured = measured;
    predictor->find_data = user_data;
    predictor->history = migd_history_open(state_directory);
    predictor->guests = g_hash_table_new_full(g_str_hash, g_str_equal, NULL, guest_free);
    predictor->ready = g_queue_new();
    predictor->refs = 1;
    return predictor;
}

static void play_next(MigdPredictor *predictor);

static void
predictor_unref(MigdPredictor *predictor)
{
    if (--predictor->refs > 0)
        return;
    g_hash_table_unref(predictor->guests);
    g_queue_free(predictor->ready);
    g_free(predictor);
}

static void
job_free(Job *job)
{
    job->predictor->jobs = g_list_remove(job->predictor->jobs, job);
    predictor_unref(job->predictor);
    g_clear_error(&job->problem);
    migd_watch_unref(job->watch);
    g_free(job->facts.peer);
    g_free(job->uuid);
    g_free(job->mode);
    g_free(job);
}

static void
job_answer(Job *job, const MigdForetold *foretold, const GError *error)
{
    MigdPredictFunc callback = job->callback;

    job->callback = NULL;
    if (callback != NULL && !job->predictor->freed)
        callback(foretold, error, job->user_data);
    job_free(job);
}

void
migd_predictor_free(MigdPredictor *predictor)
{
    if (predictor == NULL)
        return;
    predictor->freed = TRUE;
    for (GList *l = predictor->jobs; l != NULL; l = l->next)
        ((Job *)l->data)->callback = NULL;
    g_clear_pointer(&predictor->history, migd_history_free);
    g_clear_handle_id(&predictor->rest_source, g_source_remove);
    play_next(predictor); /* nothing is wanted any more */
    predictor_unref(predictor);
}

const MigdHistory *
migd_predictor_history(const MigdPredictor *predictor)
{
    return predictor->history;
}

static Guest *
guest_of(MigdPredictor *predictor, const char *uuid)
{
    Guest *guest = g_hash_table_lookup(predictor->guests, uuid);

    if (guest != NULL)
        return guest;
    guest = g_new0(Guest, 1);
    guest->curve = g_new0(MigdCurve, 1);
    guest->curve->uuid = g_strdup(uuid);
    g_hash_table_insert(predictor->guests, guest->curve->uuid, guest);
    return guest;
}

/* ---- playing -------------------------------------------------------------------------------- */

/* A thread of its own, since it must not compete with the main loop: Linux gives each thread a nice
 * value, and a low priority is for ever without privileges. */
static gpointer
play_in_thread(gpointer data)
{
    g_autoptr(GTask) task = data;
    MigdForetold *foretold = g_task_get_task_data(task);

    (void)setpriority(PRIO_PROCESS, (id_t)gettid(), NICE);
    migd_predict(&foretold->input, &foretold->prediction);
    g_task_return_boolean(task, TRUE);
    return NULL;
}

static void
keep_last(Job *job, const MigdForetold *foretold)
{
    Last *last = &guest_of(job->predictor, job->uuid)->last;

    g_free(last->peer);
    g_free(last->profile);
    *last = (Last){.total_us = foretold->prediction.total_us,
                   .pause_us = foretold->prediction.pause_us,
                   .bytes = foretold->prediction.sent_bytes,
                   .made_us = foretold->prediction.known ? g_get_monotonic_time() : 0,
                   .peer = g_strdup(job->facts.peer),
                   .profile = g_strdup(job->facts.profile.name)};
}

static void
rest(Job *job)
{
    gint64 now_us = g_get_monotonic_time();

    if (job->watch != NULL)
        job->predictor->rest_until_us = now_us + REST * (now_us - job->played_us);
}

static void
played(GObject *source, GAsyncResult *result, gpointer user_data)
{
    Job *job = user_data;
    MigdPredictor *predictor = job->predictor;
    MigdForetold *foretold = g_task_get_task_data(G_TASK(result));

    predictor->refs++; /* the job's may be the last */
    rest(job);
    foretold->peer = job->facts.peer;
    if (foretold->prediction.known && job->watch != NULL)
        migd_watch_set_prediction(job->watch, &foretold->prediction.total_us,
                                  &foretold->prediction.pause_us, &foretold->prediction.sent_bytes);
    else if (job->watch == NULL && !predictor->freed)
        keep_last(job, foretold);
    job_answer(job, foretold, NULL);
    predictor->playing = FALSE;
    play_next(predictor);
    predictor_unref(predictor);
}

/* FALSE: nobody would read the answer any more. */
static gboolean
is_wanted(const Job *job)
{
    return !job->predictor->freed &&
           (job->watch != NULL ? !migd_watch_is_finished(job->watch) : job->callback != NULL);
}

static void
play(Job *job)
{
    const GPtrArray *past = migd_history_list(job->predictor->history);
    MigdForetold *foretold = g_new0(MigdForetold, 1);
    GTask *task = g_task_new(NULL, NULL, played, job);

    migd_learn(past, job->uuid, job->facts.peer,
               migd_mechanism_to_string(job->facts.write_protect.active), &job->facts.lessons);
    migd_facts_gather(&job->facts, foretold);
    g_task_set_task_data(task, foretold, g_free);
    job->played_us = g_get_monotonic_time();
    job->predictor->playing = TRUE;
    g_thread_unref(g_thread_new("predict", play_in_thread, task)); /* takes it */
}

/* The oldest whose turn it is; NULL = none. What is not wanted is dropped. */
static Job *
take_next(MigdPredictor *predictor)
{
    gboolean rests = g_get_monotonic_time() < predictor->rest_until_us;

    for (GList *l = predictor->ready->head, *next; l != NULL; l = next) {
        Job *job = l->data;
        gboolean wanted = is_wanted(job);

        next = l->next;
        if (wanted && rests && job->watch != NULL)
            continue;
        g_queue_delete_link(predictor->ready, l);
        if (wanted)
            return job;
        job_free(job);
    }
    return NULL;
}

static gboolean
rested(gpointer user_data)
{
    MigdPredictor *predictor = user_data;

    predictor->rest_source = 0;
    play_next(predictor);
    return G_SOURCE_REMOVE;
}

static void
play_next(MigdPredictor *predictor)
{
    gint64 left_us = predictor->rest_until_us - g_get_monotonic_time();
    Job *job = NULL;

    predictor->refs++; /* a job's may be the last */
    if (!predictor->playing)
        job = take_next(predictor);
    if (job != NULL)
        play(job);
    else if (predictor->ready->length > 0 && !predictor->playing && predictor->rest_source == 0)
        predictor->rest_source =
            g_timeout_add((guint)CLAMP(left_us / 1000 + 1, 1, G_MAXINT), rested, predictor);
    predictor_unref(predictor);
}

/* ---- gathering ------------------------------------------------------------------------------ */

static void
fail(Job *job, MigdError code, const char *why)
{
    g_autoptr(GError) error = g_error_new_literal(MIGD_ERROR, (gint)code, why);

    job_answer(job, NULL, error);
}

/* NULL: it cannot be asked any more; the job has been answered, and is gone. */
static MigdDomain *
domain_of(Job *job)
{
    gboolean busy = FALSE;
    MigdDomain *domain = job->predictor->freed
                             ? NULL
                             : job->predictor->find(job->uuid, &busy, job->predictor->find_data);

    if (domain == NULL) {
        fail(job, MIGD_ERROR_BACKEND_LOST, "the domain has gone");
        return NULL;
    }
    if (busy && job->watch == NULL) {
        fail(job, MIGD_ERROR_MIGRATION_IN_PROGRESS,
             "the domain is being migrated: its migration has the forecast");
        return NULL;
    }
    return domain;
}

static void
got_knobs(const MigdKnobs *knobs, const GError *error, gpointer user_data)
{
    Job *job = user_data;

    if (error != NULL) {
        job_answer(job, NULL, error);
        return;
    }
    job->facts.knobs = *knobs;
    g_queue_push_tail(job->predictor->ready, job);
    play_next(job->predictor);
}

static void
read_knobs(Job *job)
{
    const MigdCurve *curve = guest_of(job->predictor, job->uuid)->curve;
    MigdDomain *domain = domain_of(job);
    const MigdDomainInfo *info;

    if (domain == NULL)
        return;
    info = domain->backend->ops->info(domain);
    job->facts.memory_bytes = info->memory_bytes;
    job->facts.write_protect = info->write_protect;
    job->facts.paused = info->state == MIGD_DOMAIN_PAUSED;
    job->facts.curve = *curve;
    if (curve->taken_us == 0 ||
        g_get_monotonic_time() - curve->taken_us > job->max_age_s * (gint64)G_USEC_PER_SEC)
        job->facts.curve.n = 0;
    job->facts.curve_age_us = (guint64)MAX(g_get_monotonic_time() - curve->taken_us, 0);
    domain->backend->ops->read_knobs(domain, got_knobs, job);
}

/* Fits what was measured, and tells those that look at the domain. */
static void
note_working_set(MigdPredictor *predictor, MigdCurve *curve)
{
    gboolean busy;
    MigdDomain *domain = predictor->find(curve->uuid, &busy, predictor->find_data);
    const MigdHypothesis *best;
    MigdModel model;

    if (domain == NULL)
        return;
    migd_predict_fit(&model, curve->points, curve->n,
                     (double)domain->backend->ops->info(domain)->memory_bytes);
    best = migd_model_best(&model);
    curve->set_bytes = best != NULL ? migd_from_double(best->working_set_bytes) : 0;
    predictor->measured(curve->uuid, predictor->find_data);
}

guint64
migd_predictor_working_set(const MigdPredictor *predictor, const char *uuid)
{
    const Guest *guest = g_hash_table_lookup(predictor->guests, uuid);

    return guest != NULL ? guest->curve->set_bytes : 0;
}

/* The guest was measured for whoever waits for it. */
static void
got_curve(MigdCurve *curve, const GError *error, gpointer user_data)
{
    MigdPredictor *predictor = user_data;
    g_autoptr(GPtrArray) waiting = g_ptr_array_new();

    if (error == NULL)
        note_working_set(predictor, curve);
    for (GList *l = predictor->jobs; l != NULL; l = l->next) {
        Job *job = l->data;
        if (job->waits && strcmp(job->uuid, curve->uuid) == 0)
            g_ptr_array_add(waiting, job);
    }
    for (guint i = 0; i < waiting->len; i++) {
        Job *job = waiting->pdata[i];

        job->waits = FALSE;
        if (error != NULL)
            job_answer(job, NULL, error);
        else if (job->callback == NULL)
            job_free(job); /* cancelled meanwhile */
        else
            read_knobs(job);
    }
    predictor_unref(predictor);
}

static void
measure(Job *job, MigdDomain *domain)
{
    MigdPredictor *predictor = job->predictor;
    MigdCurve *curve = guest_of(predictor, job->uuid)->curve;

    if (curve->busy && (curve->seconds != job->seconds || strcmp(curve->mode, job->mode) != 0)) {
        fail(job, MIGD_ERROR_MIGRATION_IN_PROGRESS,
             "another measurement of the domain is under way");
        return;
    }
    job->waits = TRUE;
    if (curve->busy)
        return;
    predictor->refs++;
    migd_curve_measure(curve, job->seconds, job->mode, predictor->find, predictor->find_data,
                       got_curve, predictor);
}

static gboolean
begin(gpointer user_data)
{
    Job *job = user_data;
    MigdDomain *domain;
    const MigdCurve *curve;
    MigdDomainState state;
    gboolean fresh;

    if (job->callback == NULL || job->problem != NULL) {
        job_answer(job, NULL, job->problem);
        return G_SOURCE_REMOVE;
    }
    domain = domain_of(job);
    if (domain == NULL)
        return G_SOURCE_REMOVE;
    state = domain->backend->ops->info(domain)->state;
    curve = guest_of(job->predictor, job->uuid)->curve;
    fresh = curve->taken_us != 0 && strcmp(curve->mode, job->mode) == 0 && !curve->busy &&
            g_get_monotonic_time() - curve->taken_us <= job->max_age_s * (gint64)G_USEC_PER_SEC;
    if (state != MIGD_DOMAIN_RUNNING && state != MIGD_DOMAIN_PAUSED)
        fail(job, MIGD_ERROR_NOT_SUPPORTED, "the guest does not run here");
    else if (state == MIGD_DOMAIN_RUNNING && !fresh && domain->backend->ops->measure != NULL)
        measure(job, domain);
    else
        read_knobs(job);
    return G_SOURCE_REMOVE;
}

static Job *
job_new(MigdPredictor *predictor, const char *uuid, const MigdPredictRequest *request)
{
    Job *job = g_new0(Job, 1);

    job->predictor = predictor;
    predictor->refs++;
    job->id = ++predictor->last_id;
    job->uuid = g_strdup(uuid);
    job->mode = g_strdup(request->mode);
    job->seconds = request->seconds;
    job->max_age_s = request->max_age_s;
    job->facts.profile = *request->profile;
    job->facts.bandwidth_bps = request->bandwidth_bps;
    job->facts.postcopy = request->postcopy;
    job->facts.peer = migd_history_peer(request->destination);
    if (g_list_length(predictor->jobs) >= MAX_JOBS)
        job->problem = g_error_new_literal(MIGD_ERROR, MIGD_ERROR_FAILED,
                                           "too many predictions are under way");
    predictor->jobs = g_list_prepend(predictor->jobs, job);
    return job;
}

guint
migd_predictor_ask(MigdPredictor *predictor, const char *uuid, const MigdPredictRequest *request,
                   MigdPredictFunc callback, gpointer user_data)
{
    Job *job = job_new(predictor, uuid, request);

    job->callback = callback;
    job->user_data = user_data;
    g_idle_add_full(G_PRIORITY_DEFAULT, begin, job, NULL);
    return job->id;
}

void
migd_predictor_cancel(MigdPredictor *predictor, guint id)
{
    for (GList *l = predictor->jobs; l != NULL; l = l->next) {
        Job *job = l->data;
        if (job->id == id)
            job->callback = NULL;
    }
}

MigdCosts
migd_predictor_costs(const MigdPredictor *predictor, const char *uuid, const char *destination)
{
    g_autofree char *peer = migd_history_peer(destination);
    MigdLessons lessons;

    migd_learn(migd_history_list(predictor->history), uuid, peer, NULL, &lessons);
    return (MigdCosts){.fixed_us = migd_from_double(lessons.fixed_s.guess.mid * G_USEC_PER_SEC)};
}

/* ---- the report ----------------------------------------------------------------------------- */

void
migd_predictor_expect(MigdPredictor *predictor, MigdWatch *watch, gboolean postcopy)
{
    const MigdWatchInfo *info = migd_watch_info(watch);
    g_autofree char *peer = migd_history_peer(info->destination);
    const Last *last = &guest_of(predictor, info->domain_uuid)->last;
    MigdPredictRequest request = {.destination = info->destination,
                                  .profile = &info->profile,
                                  .mode = "page-sampling",
                                  .max_age_s = FRESH_US / G_USEC_PER_SEC,
                                  .postcopy = postcopy};

    if (last->made_us != 0 && g_get_monotonic_time() - last->made_us <= FRESH_US &&
        (strcmp(last->peer, peer) == 0 || last->peer[0] == '\0') &&
        strcmp(last->profile, info->profile.name) == 0) {
        migd_watch_set_prediction(watch, &last->total_us, &last->pause_us, &last->bytes);
        return;
    }
    Job *job = job_new(predictor, info->domain_uuid, &request);
    job->watch = migd_watch_ref(watch);
    if (job->problem != NULL)
        job_free(job);
    else
        read_knobs(job);
}

/* How the guest dirtied in the migration, and how by the curve that was measured before it. */
static void
compare_curves(const MigdCurve *curve, const MigdWatch *watch, MigdPast *past)
{
    MigdPoint passes[MIGD_MAX_POINTS];
    guint n = migd_watch_points(watch, passes);
    double seen, foretold;
    MigdModel model;

    migd_predict_fit(&model, curve->points, curve->n, (double)past->total_bytes);
    migd_predict_compare(&model, passes, n, &seen, &foretold);
    past->live_bytes = migd_from_double(seen);
    past->measured_bytes = migd_from_double(foretold);
    past->resident_bytes = curve->resident_bytes;
}

void
migd_predictor_learn(MigdPredictor *predictor, const MigdWatch *watch)
{
    const MigdWatchInfo *info = migd_watch_info(watch);
    const MigdTraceFinish *report = &info->report;
    const MigdSample *sample = &info->sample;
    const MigdDecision *decision = &info->running;
    MigdCurve *curve = guest_of(predictor, info->domain_uuid)->curve;
    gboolean fresh =
        curve->taken_us != 0 && g_get_monotonic_time() - curve->taken_us <=
                                    FRESH_US + (gint64)MIN(report->total_us, G_MAXINT64 / 2);
    MigdPast *past;

    if (info->incoming || !info->has_sample)
        return;
    past = g_new0(MigdPast, 1);
    *past = (MigdPast){
        .id = g_strdup(info->id),
        .domain_uuid = g_strdup(info->domain_uuid),
        .domain_name = g_strdup(info->domain_name),
        .peer = migd_history_peer(info->destination),
        .profile = g_strdup(info->profile.name),
        .result = g_strdup(report->result),
        .write_protect = g_strdup(info->write_protect),
        .end_realtime_us = (guint64)g_get_real_time(),
        .total_us = report->total_us,
        .setup_us = migd_sample_has(sample, MIGD_HAS_SETUP_TIME) ? sample->setup_us : 0,
        .downtime_us = report->downtime_us,
        .transferred_bytes = report->transferred_bytes,
        .total_bytes = report->total_bytes,
        .downtime_bytes = sample->downtime_bytes,
        .first_pass_bytes = info->first_pass_bytes,
        .bandwidth_bps = decision->bandwidth_bps,
        .max_bandwidth_bps = sample->max_bandwidth_bps,
        .throttle_us = report->throttle_us,
        .passes = report->passes,
        .lambda_bps = decision->lambda_bps,
        .working_set_bytes = decision->working_set_bytes,
        .predicted_total_us = report->predicted_total_us,
        .predicted_pause_us = report->predicted_downtime_us,
        .predicted_bytes = report->predicted_transferred_bytes,
    };
    if (fresh && curve->n > 0)
        compare_curves(curve, watch, past);
    curve->taken_us = 0; /* the guest is elsewhere now, or is another one after this */
    guest_of(predictor, info->domain_uuid)->last.made_us = 0;
    migd_history_add(predictor->history, past);
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Each job has a connection to itself while it runs. libvirt serves only five requests of a
 * connection at once; and before libvirt 10.0 a client's thread that shares a connection may miss
 * its wake-up, and then waits for the call of another thread that hangs.
 *
 * Jobs go through four hands: queued in a lane, running in a thread, back on the main loop, freed.
 * Threads see nothing but their job and the domain handle of its lane, which only one job has at a
 * time; so there is no lock here. A job that is overdue or whose lane is gone has been answered
 * already, and is only freed when it comes back.
 */
#include "virt/pool.h"

#include <libvirt/virterror.h>

#include "base/error.h"

#define THREADS 16
#define KEEP_IDLE 4 /* connections */
#define QUEUE_MAX 32

/* One domain on one connection; NULL until the first call. */
typedef struct {
    char uuid[VIR_UUID_STRING_BUFLEN];
    virDomainPtr domain;
} Handle;

typedef struct {
    MigdVirtLane *lane; /* NULL: answered, and nobody waits */
    Handle *handle;     /* counted */
    char *uri;
    virConnectPtr connection; /* this job's alone; NULL = to be opened */
    guint generation;         /* of `connection` */
    MigdVirtWork work;
    gpointer data;
    GDestroyNotify data_free;
    GError *error;
    gboolean answered;
    guint deadline_source, idle_source;
    MigdVirtDone done;
    gpointer user_data;
} Job;

struct MigdVirtLane {
    MigdVirtPool *pool;
    Handle *handle;
    GQueue queue; /* of Job, not sent yet */
    Job *running;
    GList *refused; /* of Job, to be answered at the next turn */
    gboolean is_stuck;
    void (*stuck)(gboolean is, gpointer user_data);
    gpointer user_data;
};

struct MigdVirtPool {
    GThreadPool *threads;
    char *uri;
    gboolean is_up;
    guint generation; /* of the connections: those from before the last outage are not used again */
    GQueue idle;      /* of virConnectPtr, the last used first */
    GList *lanes;
};

static void
handle_clear(gpointer data)
{
    Handle *handle = data;

    migd_virt_release_domain(handle->domain);
}

static void
job_free(Job *job)
{
    g_clear_handle_id(&job->deadline_source, g_source_remove);
    g_clear_handle_id(&job->idle_source, g_source_remove);
    if (job->data != NULL && job->data_free != NULL)
        job->data_free(job->data);
    g_clear_error(&job->error);
    g_atomic_rc_box_release_full(job->handle, handle_clear);
    migd_virt_release_connection(job->connection);
    g_free(job->uri);
    g_free(job);
}

static void
answer(Job *job, gpointer data, const GError *error)
{
    if (job->answered)
        return;
    job->answered = TRUE;
    g_clear_handle_id(&job->deadline_source, g_source_remove);
    job->done(error == NULL ? data : NULL, error, job->user_data);
}

/* ---- in the thread --------------------------------------------------------------------------- */

static gboolean came_back(gpointer user_data);

static gboolean
find_domain(Job *job)
{
    Handle *handle = job->handle;

    if (handle->domain != NULL && virDomainGetConnect(handle->domain) == job->connection)
        return TRUE;
    g_clear_pointer(&handle->domain, virDomainFree);
    handle->domain = virDomainLookupByUUIDString(job->connection, handle->uuid);
    if (handle->domain == NULL)
        migd_virt_set_error(&job->error, "looking up the domain");
    return handle->domain != NULL;
}

static void
work(gpointer data, gpointer user_data)
{
    Job *job = data;

    virResetLastError();
    if (job->connection == NULL)
        job->connection = migd_virt_open(job->uri, &job->error);
    if (job->connection != NULL && find_domain(job))
        (void)job->work(job->handle->domain, job->data, &job->error);
    g_idle_add_full(G_PRIORITY_DEFAULT, came_back, job, NULL);
}

/* ---- on the main loop ------------------------------------------------------------------------ */

static gboolean
expired(gpointer user_data)
{
    Job *job = user_data;
    MigdVirtLane *lane = job->lane;
    gboolean running = lane->running == job;
    g_autoptr(GError) error =
        g_error_new_literal(MIGD_ERROR, MIGD_ERROR_TIMED_OUT, "libvirt does not answer in time");

    job->deadline_source = 0;
    if (running) {
        lane->is_stuck = TRUE;
        if (lane->stuck != NULL)
            lane->stuck(TRUE, lane->user_data);
    } else {
        g_queue_remove(&lane->queue, job);
    }
    answer(job, NULL, error);
    if (!running)
        job_free(job);
    return G_SOURCE_REMOVE;
}

static gboolean
refuse_now(gpointer user_data)
{
    Job *job = user_data;
    g_autoptr(GError) error = g_steal_pointer(&job->error);

    job->idle_source = 0;
    job->lane->refused = g_list_remove(job->lane->refused, job);
    answer(job, NULL, error);
    job_free(job);
    return G_SOURCE_REMOVE;
}

static void
refuse(MigdVirtLane *lane, Job *job, MigdError code, const char *why)
{
    g_clear_handle_id(&job->deadline_source, g_source_remove);
    job->error = g_error_new_literal(MIGD_ERROR, (gint)code, why);
    lane->refused = g_list_prepend(lane->refused, job);
    job->idle_source = g_idle_add_full(G_PRIORITY_DEFAULT, refuse_now, job, NULL);
}

static void
run_next(MigdVirtLane *lane)
{
    MigdVirtPool *pool = lane->pool;
    Job *job;

    if (lane->running != NULL || (job = g_queue_pop_head(&lane->queue)) == NULL)
        return;
    if (!pool->is_up) {
        refuse(lane, job, MIGD_ERROR_BACKEND_LOST, "there is no connection to libvirt");
        run_next(lane);
        return;
    }
    job->uri = g_strdup(pool->uri);
    job->connection = g_queue_pop_head(&pool->idle);
    job->generation = pool->generation;
    lane->running = job;
    (void)g_thread_pool_push(pool->threads, job, NULL);
}

static void
keep_connection(MigdVirtPool *pool, Job *job)
{
    if (job->connection != NULL && job->generation == pool->generation &&
        pool->idle.length < KEEP_IDLE && virConnectIsAlive(job->connection) > 0)
        g_queue_push_head(&pool->idle, g_steal_pointer(&job->connection));
}

static gboolean
came_back(gpointer user_data)
{
    Job *job = user_data;
    MigdVirtLane *lane = job->lane;

    if (lane != NULL) {
        gboolean was_stuck = lane->is_stuck;

        lane->running = NULL;
        lane->is_stuck = FALSE;
        keep_connection(lane->pool, job);
        run_next(lane);
        if (was_stuck && lane->stuck != NULL)
            lane->stuck(FALSE, lane->user_data);
        answer(job, job->data, job->error); /* the last: it may free the lane */
    }
    job_free(job);
    return G_SOURCE_REMOVE;
}

void
migd_virt_lane_call(MigdVirtLane *lane, MigdVirtWork work_func, gpointer data,
                    GDestroyNotify data_free, guint timeout_ms, MigdVirtDone done,
                    gpointer user_data)
{
    Job *job = g_new0(Job, 1);

    job->lane = lane;
    job->handle = g_atomic_rc_box_acquire(lane->handle);
    job->work = work_func;
    job->data = data;
    job->data_free = data_free;
    job->done = done;
    job->user_data = user_data;
    if (lane->queue.length >= QUEUE_MAX) {
        refuse(lane, job, MIGD_ERROR_TIMED_OUT, "too many calls wait for libvirt");
        return;
    }
    job->deadline_source = g_timeout_add(timeout_ms, expired, job);
    g_queue_push_tail(&lane->queue, job);
    run_next(lane);
}

gboolean
migd_virt_lane_is_stuck(const MigdVirtLane *lane)
{
    return lane->is_stuck;
}

gboolean
migd_virt_lane_is_idle(const MigdVirtLane *lane)
{
    return lane->running == NULL && lane->queue.length == 0 && lane->refused == NULL;
}

MigdVirtLane *
migd_virt_lane_new(MigdVirtPool *pool, const char *uuid, void (*stuck)(gboolean, gpointer),
                   gpointer user_data)
{
    MigdVirtLane *lane = g_new0(MigdVirtLane, 1);

    lane->pool = pool;
    lane->handle = g_atomic_rc_box_new0(Handle);
    g_strlcpy(lane->handle->uuid, uuid, sizeof lane->handle->uuid);
    g_queue_init(&lane->queue);
    lane->stuck = stuck;
    lane->user_data = user_data;
    pool->lanes = g_list_prepend(pool->lanes, lane);
    return lane;
}

void
migd_virt_lane_free(MigdVirtLane *lane)
{
    g_autoptr(GError) error =
        g_error_new_literal(MIGD_ERROR, MIGD_ERROR_BACKEND_LOST, "the domain is gone");
    Job *job;

    if (lane == NULL)
        return;
    lane->stuck = NULL;
    while (lane->refused != NULL || lane->queue.length > 0) {
        if (lane->refused != NULL) {
            job = lane->refused->data;
            lane->refused = g_list_delete_link(lane->refused, lane->refused);
        } else {
            job = g_queue_pop_head(&lane->queue);
        }
        answer(job, NULL, error);
        job_free(job);
    }
    job = g_steal_pointer(&lane->running);
    if (job != NULL) {
        answer(job, NULL, error);
        job->lane = NULL; /* freed when it comes back */
    }
    lane->pool->lanes = g_list_remove(lane->pool->lanes, lane);
    g_atomic_rc_box_release_full(lane->handle, handle_clear);
    g_free(lane);
}

void
migd_virt_pool_set_up(MigdVirtPool *pool, gboolean is_up)
{
    pool->is_up = is_up;
    pool->generation++;
    while (pool->idle.length > 0)
        migd_virt_release_connection(g_queue_pop_head(&pool->idle));
}

MigdVirtPool *
migd_virt_pool_new(const char *uri)
{
    MigdVirtPool *pool = g_new0(MigdVirtPool, 1);

    pool->threads = g_thread_pool_new(work, NULL, THREADS, /* exclusive= */ FALSE, NULL);
    pool->uri = g_strdup(uri);
    g_queue_init(&pool->idle);
    return pool;
}

void
migd_virt_pool_free(MigdVirtPool *pool)
{
    if (pool == NULL)
        return;
    while (pool->lanes != NULL)
        migd_virt_lane_free(pool->lanes->data);
    migd_virt_pool_set_up(pool, FALSE);
    g_thread_pool_free(pool->threads, /* immediate= */ FALSE, /* wait= */ FALSE);
    g_free(pool->uri);
    g_free(pool);
}

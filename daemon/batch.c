/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The batches of a manager. What was right when a migration was put into the queue is looked at
 * again when its turn comes: leases, the state of the guest.
 */
#include "daemon/batch.h"

#include "daemon/manager-private.h"

typedef struct {
    MigdWatch *watch;
    gboolean allow_postcopy;
} Place;

struct MigdBatch {
    MigdManager *manager;
    guint at_once;
    GArray *places; /* of Place, in order */
};

static void
place_clear(gpointer data)
{
    migd_watch_unref(((Place *)data)->watch);
}

MigdBatch *
migd_batch_new(MigdManager *manager, guint at_once)
{
    MigdBatch *batch = g_new(MigdBatch, 1);

    *batch = (MigdBatch){.manager = manager,
                         .at_once = CLAMP(at_once, 1, MIGD_BATCH_MAX),
                         .places = g_array_new(FALSE, FALSE, sizeof(Place))};
    g_array_set_clear_func(batch->places, place_clear);
    return batch;
}

static void
batch_free(MigdBatch *batch)
{
    g_array_unref(batch->places);
    g_free(batch);
}

gboolean
migd_batch_add(MigdBatch *batch, MigdManagedDomain *domain, const MigdMigrateRequest *request,
               GError **error)
{
    MigdWatch *watch =
        migd_manager_prepare(batch->manager, domain, request, /* queued= */ TRUE, error);
    Place place = {watch, request->allow_postcopy};

    if (watch == NULL)
        return FALSE;
    (void)migd_watch_ref(watch);
    g_array_append_val(batch->places, place);
    return TRUE;
}

static void
start(MigdManager *manager, const Place *place)
{
    const MigdWatchInfo *info = migd_watch_info(place->watch);
    const MigdManagedDomain *domain = g_hash_table_lookup(manager->domains, info->domain_uuid);
    g_autoptr(GError) error = NULL;

    if (domain == NULL || !migd_manager_may_begin(manager, domain, &error)) {
        migd_watch_give_up(place->watch, MIGD_RESULT_FAILED,
                           error != NULL ? error->message : "the domain is gone");
        return;
    }
    migd_watch_start(place->watch, place->allow_postcopy, NULL, NULL);
    migd_predictor_expect(manager->predictor, place->watch, place->allow_postcopy);
}

/* TRUE when nothing of it waits any more. */
static gboolean
advance(const MigdBatch *batch)
{
    guint running = 0, waiting = 0;

    for (guint i = 0; i < batch->places->len; i++) {
        const MigdWatch *watch = g_array_index(batch->places, Place, i).watch;

        running += !migd_watch_is_finished(watch) && !migd_watch_is_queued(watch);
    }
    for (guint i = 0; i < batch->places->len; i++) {
        const Place *place = &g_array_index(batch->places, Place, i);

        if (!migd_watch_is_queued(place->watch))
            continue;
        if (running < batch->at_once) {
            start(batch->manager, place);
            running += !migd_watch_is_finished(place->watch);
        } else {
            waiting++;
        }
    }
    return waiting == 0;
}

static gboolean
advance_all(gpointer user_data)
{
    MigdManager *manager = user_data;

    manager->batch_source = 0;
    for (GList *l = manager->batches.head, *next; l != NULL; l = next) {
        next = l->next;
        if (!advance(l->data))
            continue;
        batch_free(l->data);
        g_queue_delete_link(&manager->batches, l);
    }
    return G_SOURCE_REMOVE;
}

void
migd_batches_advance(MigdManager *manager)
{
    if (manager->batch_source == 0 && !g_queue_is_empty(&manager->batches))
        manager->batch_source = g_idle_add_full(G_PRIORITY_DEFAULT, advance_all, manager, NULL);
}

void
migd_batch_run(MigdBatch *batch)
{
    g_queue_push_tail(&batch->manager->batches, batch);
    migd_batches_advance(batch->manager);
}

/* They have no trace, so the next daemon knows nothing of them. */
static void
log_forgotten(const MigdBatch *batch)
{
    for (guint i = 0; i < batch->places->len; i++) {
        const MigdWatch *watch = g_array_index(batch->places, Place, i).watch;
        const MigdWatchInfo *info = migd_watch_info(watch);

        if (migd_watch_is_queued(watch))
            migd_log(MIGD_LOG_WARNING,
                     &(MigdLogFields){.migration_id = info->id,
                                      .domain_uuid = info->domain_uuid,
                                      .domain_name = info->domain_name},
                     "its migration to %s waited for its turn, and is forgotten as migrationd ends",
                     info->destination);
    }
}

void
migd_batches_free(MigdManager *manager)
{
    g_clear_handle_id(&manager->batch_source, g_source_remove);
    while (!g_queue_is_empty(&manager->batches)) {
        MigdBatch *batch = g_queue_pop_head(&manager->batches);

        log_forgotten(batch);
        batch_free(batch);
    }
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The queue of unanswered commands. Callbacks may do anything, also free the client, so nothing is
 * touched after one.
 */
#include "qmp/pending.h"

static void
pending_free(MigdQmpPending *pending)
{
    g_free(pending->command);
    g_free(pending);
}

G_DEFINE_AUTOPTR_CLEANUP_FUNC(MigdQmpPending, pending_free)

void
migd_qmp_pending_push(GQueue *queue, const MigdQmpPending *values)
{
    MigdQmpPending *pending = g_memdup2(values, sizeof *values);

    pending->command = g_strdup(values->command);
    g_queue_push_tail(queue, pending);
}

MigdQmpPending *
migd_qmp_pending_take(GQueue *queue, guint64 id)
{
    for (GList *l = queue->head; l != NULL; l = l->next) {
        MigdQmpPending *pending = l->data;

        if (pending->id == id) {
            g_queue_delete_link(queue, l);
            return pending;
        }
    }
    return NULL;
}

MigdQmpPending *
migd_qmp_pending_take_expired(GQueue *queue, gint64 now_us)
{
    const MigdQmpPending *oldest = g_queue_peek_head(queue);

    return oldest != NULL && oldest->deadline_us <= now_us ? g_queue_pop_head(queue) : NULL;
}

void
migd_qmp_pending_answer(MigdQmpPending *taken, const MigdJson *reply)
{
    g_autoptr(MigdQmpPending) pending = taken;

    pending->callback(reply, NULL, pending->user_data);
}

void
migd_qmp_pending_answer_error(MigdQmpPending *taken, MigdError code, const char *what)
{
    g_autoptr(MigdQmpPending) pending = taken;
    g_autoptr(GError) error = g_error_new(MIGD_ERROR, (gint)code, "%s: %s", pending->command, what);

    pending->callback(NULL, error, pending->user_data);
}

void
migd_qmp_pending_answer_all(GQueue *queue, const char *what)
{
    GQueue taken = *queue;

    g_queue_init(queue);
    while (!g_queue_is_empty(&taken))
        migd_qmp_pending_answer_error(g_queue_pop_head(&taken), MIGD_ERROR_BACKEND_LOST, what);
}

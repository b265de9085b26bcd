/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Commands that wait for their answer, oldest first. All have the same time to live, so the oldest
 * is also the next to expire. Whoever takes one out answers it: exactly once. Private to src/qmp.
 */
#pragma once

#include "base/error.h"
#include "qmp/client.h"

typedef struct {
    guint64 id;
    gint64 deadline_us; /* monotonic */
    char *command;
    MigdQmpReplyFunc callback;
    gpointer user_data;
} MigdQmpPending;

/* Appends a copy. */
void migd_qmp_pending_push(GQueue *queue, const MigdQmpPending *values);

/* Out of `queue`, by id or as the oldest whose deadline has passed; NULL if there is none. To be
 * answered. */
MigdQmpPending *migd_qmp_pending_take(GQueue *queue, guint64 id);
MigdQmpPending *migd_qmp_pending_take_expired(GQueue *queue, gint64 now_us);

/* Calls back with the reply, or with an error "<command>: <what>"; frees `taken`. */
void migd_qmp_pending_answer(MigdQmpPending *taken, const MigdJson *reply);
void migd_qmp_pending_answer_error(MigdQmpPending *taken, MigdError code, const char *what);

/* BACKEND_LOST for all that are in `queue` now; what callbacks add waits for its own turn. */
void migd_qmp_pending_answer_all(GQueue *queue, const char *what);

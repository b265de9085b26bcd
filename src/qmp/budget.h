/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * How much one peer may say: two leaky buckets, for messages and for bytes. Pure: the caller brings
 * the time.
 */
#pragma once

#include <glib.h>

#define MIGD_QMP_BURST_SECONDS 4 /* an idle peer may send this many seconds' worth at once */

typedef struct {
    guint messages_per_s, bytes_per_s;
    double messages_left, bytes_left;
    gint64 filled_us; /* when the buckets were last topped up; monotonic */
} MigdQmpBudget;

/* Full buckets. */
void
migd_qmp_budget_init(MigdQmpBudget *budget, guint messages_per_s, guint bytes_per_s, gint64 now_us);

/* FALSE when the peer has said too much. */
gboolean migd_qmp_budget_spend(MigdQmpBudget *budget, guint messages, gsize bytes, gint64 now_us);

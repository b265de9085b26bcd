/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Leaky buckets. They fill with time up to a burst, so that an honest peer that was quiet may
 * answer at length.
 */
#include "qmp/budget.h"

void
migd_qmp_budget_init(MigdQmpBudget *budget, guint messages_per_s, guint bytes_per_s, gint64 now_us)
{
    *budget = (MigdQmpBudget){
        .messages_per_s = messages_per_s,
        .bytes_per_s = bytes_per_s,
        .messages_left = (double)MIGD_QMP_BURST_SECONDS * messages_per_s,
        .bytes_left = (double)MIGD_QMP_BURST_SECONDS * bytes_per_s,
        .filled_us = now_us,
    };
}

static gboolean
spend(double *left, guint per_s, double seconds, double amount)
{
    double filled = *left + seconds * per_s;

    *left = MIN(filled, (double)MIGD_QMP_BURST_SECONDS * per_s) - amount;
    return *left >= 0;
}

gboolean
migd_qmp_budget_spend(MigdQmpBudget *budget, guint messages, gsize bytes, gint64 now_us)
{
    double seconds = (double)MAX(now_us - budget->filled_us, 0) / G_USEC_PER_SEC;
    gboolean ok = spend(&budget->messages_left, budget->messages_per_s, seconds, messages);

    budget->filled_us = MAX(now_us, budget->filled_us);
    return spend(&budget->bytes_left, budget->bytes_per_s, seconds, (double)bytes) && ok;
}

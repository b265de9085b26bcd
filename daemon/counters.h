/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What has happened since the daemon started, as numbers that only grow: for programs that draw
 * curves. Bounded by the words of actions, reasons, results, mechanisms and errors, never by the
 * number of guests.
 */
#pragma once

#include <glib.h>

typedef struct MigdCounters MigdCounters;

MigdCounters *migd_counters_new(void);
void migd_counters_free(MigdCounters *counters);

void migd_counters_decision(MigdCounters *counters, const char *action, const char *reason);
void migd_counters_qmp_fault(MigdCounters *counters, const char *kind);
/* Shows the count of `kind` also while it is 0: an alarm on growth would miss the very first one.
 */
void migd_counters_expect_qmp_fault(MigdCounters *counters, const char *kind);
/* `mechanism`: that tracked the guest's writes. `total_us`, `downtime_us`: of a migration that
 * succeeded; they are not counted for others. */
void migd_counters_finished(MigdCounters *counters, const char *direction, const char *result,
                            const char *mechanism, guint64 total_us, guint64 downtime_us);

/* a(sa{ss}t), floating: name, labels, value. Of "duration" and "downtime" (µs) there are
 * NAME_bucket with the label "le" (µs, or +Inf; cumulative), NAME_sum and NAME_count. */
GVariant *migd_counters_value(const MigdCounters *counters);

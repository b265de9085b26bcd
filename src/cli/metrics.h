/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the daemon knows as text for Prometheus.
 */
#pragma once

#include <glib.h>

typedef enum {
    MIGD_METRICS_OPEN, /* OpenMetrics: a counter is described without the "_total" of its samples */
    MIGD_METRICS_FILE, /* what textfile collectors read: described by the name of its samples */
} MigdMetricsForm;

typedef struct {
    GVariant *manager;              /* a{sv}: its properties */
    GVariant *domains, *migrations; /* aa{sv}: as ListDomains and ListMigrations answer */
    GVariant *counters;             /* as GetCounters does */
} MigdMetricsInput;

/* Series of migrations that have ended are not in it. Caller frees. */
char *migd_metrics_text(MigdMetricsForm form, const MigdMetricsInput *input);

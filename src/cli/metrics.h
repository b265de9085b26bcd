/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the daemon knows as OpenMetrics text.
 */
#pragma once

#include <glib.h>

/* `domains`, `migrations`: as ListDomains and ListMigrations answer; `counters`: as GetCounters
 * does. Series of migrations that have ended are not in it. Caller frees. */
char *
migd_metrics_text(GVariant *domains, GVariant *migrations, GVariant *counters, const char *version);

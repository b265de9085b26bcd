/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Described migrations for whoever runs them: the verb simulate and the benchmark of the policy.
 */
#pragma once

#include "json/json.h"
#include "sim/run.h"

/* NULL: the error names file, group and key. Named after the file where it names itself not. */
MigdScenario *migd_scenario_read(const char *path, GError **error);

/* One run as docs/scenarios.md, "What a run costs", has it. Caller unrefs. */
MigdJson *migd_run_to_json(const MigdScenario *scenario, const char *engine, const MigdRun *run,
                           gboolean with_decisions);

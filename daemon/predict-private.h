/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the files of the predictor share. Nobody else includes this.
 */
#pragma once

#include "daemon/predict.h"

/* All that a prediction rests on, as values. */
typedef struct {
    guint64 memory_bytes;
    MigdWriteProtect write_protect;
    gboolean paused, postcopy;
    MigdProfile profile;
    guint64 bandwidth_bps; /* as the caller says; 0 = he does not */
    MigdKnobs knobs;       /* in force */
    MigdLessons lessons;
    MigdCurve curve; /* n = 0: not measured; its strings are not looked at */
    guint64 curve_age_us;
    char *peer;
} MigdFacts;

/* `ret->peer` is borrowed from `facts`. Its prediction is not made yet. */
void migd_facts_gather(const MigdFacts *facts, MigdForetold *ret);

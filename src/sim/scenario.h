/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A described guest on a described link: the text format of *.scenario files (docs/scenarios.md,
 * "The format"). Any guest or link key can be scheduled, KEY@TIME=VALUE. Pure: text in, values out.
 */
#pragma once

#include <glib.h>

#include "policy/track.h"

typedef enum {
    MIGD_SCN_MEMORY,         /* bytes */
    MIGD_SCN_ZERO,           /* fraction of never-written pages, 0..1 */
    MIGD_SCN_ZERO_LAST,      /* 0 or 1: they are the last to be sent; else everywhere */
    MIGD_SCN_DIRTY_RATE,     /* bytes/s right after a sync (lambda) */
    MIGD_SCN_WORKING_SET,    /* bytes (W) */
    MIGD_SCN_RESPONSE,       /* exponent x: rate under throttle p is lambda (1-p)^x */
    MIGD_SCN_SWEEP,          /* 0 or 1: the set is written in order, page after page */
    MIGD_SCN_POSTCOPY,       /* 0 or 1 */
    MIGD_SCN_BANDWIDTH,      /* bytes/s */
    MIGD_SCN_STREAM_LIMIT,   /* bytes/s that the sender's CPU can produce; 0 = none */
    MIGD_SCN_MAX_BANDWIDTH,  /* bytes/s that somebody limits the migration to; 0 = none */
    MIGD_SCN_FIXED_DOWNTIME, /* seconds */
    MIGD_SCN_SYNC,           /* seconds per GiB of memory */
    MIGD_SCN_HIDDEN,         /* bytes that `remaining` does not show */
    MIGD_SCN_N_KEYS,
} MigdScenarioKey;

typedef struct {
    double at_s;
    MigdScenarioKey key;
    double value;
} MigdScenarioChange;

typedef struct {
    char *name;
    double time_limit_s;
    guint32 seed;
    double noise; /* relative sigma of bandwidth and dirty rate, drawn anew each pass */
    guint64 downtime_limit_us; /* in force at the start, set by no file; 0 = QEMU's 300 ms */
    guint64 told_bps;     /* what an engine is told of the link before the start; 0 = nothing */
    MigdCosts told_costs; /* and of a pause, as earlier migrations of the guest have taught */
    double initial[MIGD_SCN_N_KEYS];
    GArray *changes; /* of MigdScenarioChange, by time */
} MigdScenario;

/* Errors name group and key. `text` need not be NUL-terminated. */
MigdScenario *migd_scenario_parse(const char *text, gsize length, GError **error);
void migd_scenario_free(MigdScenario *scenario);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(MigdScenario, migd_scenario_free)

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The keys of the start, finish and decision lines that no table of the policy names, each written
 * and read through the same row. Private to src/trace.
 */
#pragma once

#include <glib.h>

#include "trace/trace.h"

typedef enum {
    MIGD_TRACE_TEXT,      /* char *, never NULL */
    MIGD_TRACE_TEXT_NULL, /* char *, NULL is left out */
    MIGD_TRACE_U64,       /* MIGD_NEVER is "never" */
    MIGD_TRACE_U64_ZERO,  /* 0 is left out, as older writers do */
    MIGD_TRACE_U32,
    MIGD_TRACE_RANGE, /* MigdRange: three keys, KEY_low, KEY_mid, KEY_high */
} MigdTraceType;

typedef struct {
    const char *key; /* NULL ends a table */
    gsize offset;
    MigdTraceType type;
} MigdTraceField;

#define MIGD_TRACE_NEVER "never"

extern const MigdTraceField migd_trace_start_fields[];  /* in MigdTraceStart */
extern const MigdTraceField migd_trace_finish_fields[]; /* in MigdTraceFinish */
extern const MigdTraceField migd_trace_action_fields[]; /* in MigdDecision, on action lines too */

/* Row `index` of the policy's table of a decision's numbers as a row of ours, in MigdDecision. */
MigdTraceField migd_trace_decision_field(guint index);

/* The names of the three keys of a range. */
#define MIGD_TRACE_N_PARTS 3
extern const char *const migd_trace_range_parts[MIGD_TRACE_N_PARTS];

/* Adds one line (without its newline), number `trace->lines` of its file. Lines of an unknown kind
 * are skipped. FALSE: the error names the key; the trace is as before. */
gboolean migd_trace_add_line(MigdTrace *trace, const char *text, gsize length, GError **error);

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The directory of traces: which migrations an earlier daemon left unfinished, and which records
 * are too many. Opens whole files only where a record is not closed.
 */
#pragma once

#include <glib.h>

#include "trace/trace.h"

/* A record that is not closed. */
typedef struct {
    char *path;
    MigdTrace *trace;
} MigdOpenTrace;

void migd_open_trace_free(MigdOpenTrace *open_trace);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(MigdOpenTrace, migd_open_trace_free)

/* DIRECTORY/ID.jsonl. Caller frees. */
char *migd_traces_path(const char *directory, const char *id);

/* All records in `directory` (created if it is missing) that are not closed, in the order of their
 * start; those that cannot be read are logged and left alone. Never NULL; an array of
 * MigdOpenTrace. */
GPtrArray *migd_traces_unfinished(const char *directory);

/* Deletes the oldest records beyond `keep`, but none whose id is a key of `in_use`. */
void migd_traces_prune(const char *directory, guint keep, GHashTable *in_use);

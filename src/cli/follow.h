/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The trace of a migration as it grows, wherever it is: at the daemon, through a descriptor, or in
 * a file. One data path for watch and explain.
 */
#pragma once

#include "cli/cli.h"
#include "trace/trace.h"

typedef struct {
    char *name; /* for messages */
    char *path; /* object on the bus; NULL for a file */
    int fd;
    MigdTrace *trace;
} MigdFollow;

/* Opens what the user named: a file, if it is one or looks like one ('/' in it), else the trace of
 * a migration. What it holds so far has been read. `what` NULL: the running migration, else the
 * newest. */
gboolean migd_follow_open(MigdCli *cli, const char *what, MigdFollow *ret_follow, GError **error);
void migd_follow_clear(MigdFollow *follow);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(MigdFollow, migd_follow_clear)

/* Reads what has been added. */
gboolean migd_follow_more(MigdFollow *follow, GError **error);

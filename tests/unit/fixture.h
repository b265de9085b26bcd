/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A recorded migration to test readers with: a small guest in virtual time, watched and steered by
 * the policy as the daemon does it, written to a trace. Deterministic.
 */
#pragma once

#include <glib.h>

#include "trace/trace.h"

typedef struct {
    guint64 memory_bytes;
    guint64 link_bps;
    guint64 dirty_bps;   /* right after a sync */
    guint64 working_set; /* bytes */
    gint64 poll_us;      /* between observations inside a pass */
    guint32 can;         /* MigdAbilities */
    gint64 limit_us;     /* the run is cut off here */
    guint refuse_every;  /* every n-th action is refused; 0 = none */
} FixtureGuest;

/* 64 MiB rewritten at 80 MiB/s over 40 MiB/s: does not end by itself. */
extern const FixtureGuest fixture_plateau;

/* Runs `guest` and writes its trace to `path`, which must not exist. */
void fixture_write(const FixtureGuest *guest, const char *path);

/* A path in a fresh directory; remove both with fixture_remove(). Caller frees. */
char *fixture_path(const char *name);
void fixture_remove(const char *path);

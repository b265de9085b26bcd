/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * How many connections a migration needs, from what connections to its destination were measured to
 * carry. Values only: whoever starts migrations keeps a MigdCarried for each destination and shows
 * it what was seen.
 *
 * One connection is the rule: it costs least, and before QEMU 10.1 more of them exclude post-copy.
 * One thread sends it, so on a fast link its CPU is the limit, and on a long one the window. Where
 * that was measured, and where the guest writes too fast for it, there are as many as it takes.
 */
#pragma once

#include <glib.h>

#define MIGD_MAX_CONNECTIONS 16 /* that a caller may ask for */

typedef struct {
    guint64 one_bps;  /* bytes/s that one connection carried, no speed limit in its way; 0 = not
                         measured */
    guint64 many_bps; /* the same of several; 0 = not measured */
} MigdCarried;

/* A migration over `connections` has carried `bps` in its best half second or more, under a speed
 * limit of `limit_bps` (0 = none). */
void migd_carried_add(MigdCarried *carried, guint32 connections, guint64 bps, guint64 limit_bps);

/* 1 to 8. `dirty_rate_bps`: distinct bytes/s that the guest writes (0 = not measured);
 * `limit_bps`: bytes/s that the migration may take (0 = what the link carries). */
guint32
migd_connections_needed(const MigdCarried *carried, guint64 dirty_rate_bps, guint64 limit_bps);

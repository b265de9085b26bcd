/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The rule behind parallel connections. Knows no hypervisor.
 */
#include "policy/streams.h"

#include "base/checked.h"

#define MOST 8 /* of our own accord: each costs a thread at both ends */

/* A limit that is used up to this much, in percent, is what bound the migration. */
#define BOUND_PCT 80
/* More connections that carry less than this, in percent of one, share what fills the link. */
#define GAIN_PCT 125

static gboolean
is_gain(guint64 bps, guint64 one_bps)
{
    return bps / GAIN_PCT >= one_bps / 100;
}

void
migd_carried_add(MigdCarried *carried, guint32 connections, guint64 bps, guint64 limit_bps)
{
    gboolean bound = limit_bps != 0 && bps / BOUND_PCT >= limit_bps / 100;

    if (bps == 0)
        return;
    /* What ran into its limit could have carried more: that only corrects what is too low. */
    if (connections <= 1) {
        if (!bound || (carried->one_bps != 0 && bps > carried->one_bps))
            carried->one_bps = bps;
    } else if (!bound || bps > carried->many_bps) {
        carried->many_bps = bound && !is_gain(bps, carried->one_bps) ? carried->many_bps : bps;
    }
}

guint32
migd_connections_needed(const MigdCarried *carried, guint64 dirty_rate_bps, guint64 limit_bps)
{
    guint64 one = carried->one_bps;
    /* Twice what the guest writes: then each pass finds half of what the last one did. */
    guint64 wanted = dirty_rate_bps != 0 ? migd_sat_mul(dirty_rate_bps, 2) : limit_bps;

    if (limit_bps != 0)
        wanted = MIN(wanted, limit_bps);
    if (one == 0 || !is_gain(wanted, one) ||
        (carried->many_bps != 0 && !is_gain(carried->many_bps, one)))
        return 1;
    return (guint32)MIN((wanted - 1) / one + 1, MOST);
}

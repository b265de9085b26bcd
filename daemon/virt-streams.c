/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What migrations of our own carried to each destination, and so how many connections the next one
 * there gets. Kept as long as the daemon runs: after a restart the first migration, over one
 * connection, measures it again.
 */
#include "daemon/virt-domain.h"

#include "base/checked.h"
#include "base/text.h"
#include "base/units.h"
#include "daemon/journal.h"

/* Shorter ones show the buffers of the sockets. */
#define WINDOW_US (G_USEC_PER_SEC / 2)
#define MAX_DESTINATIONS 256

static const MigdCarried *
carried_to(const MigdVirtHost *host, const char *destination)
{
    static const MigdCarried nothing;
    const MigdCarried *carried = g_hash_table_lookup(host->carried, destination);

    return carried != NULL ? carried : &nothing;
}

static guint64
dirty_rate(const MigdVirtDomain *domain)
{
    /* A guest that was seen to write nothing is not one that nobody has looked at. */
    return domain->measured ? MAX(domain->dirty_rate_bps, 1) : domain->seen_dirty_bps;
}

static void
say(const MigdVirtDomain *domain, const MigdCarried *carried, guint connections)
{
    g_autofree char *name = migd_text_clean(domain->name);
    g_autofree char *one = migd_format_rate(carried->one_bps);
    g_autofree char *dirty = migd_format_rate(dirty_rate(domain));
    const MigdLogFields fields = {.domain_uuid = domain->uuid, .domain_name = name};

    if (dirty_rate(domain) != 0)
        migd_log(MIGD_LOG_NOTICE, &fields,
                 "%u connections: one carried %s there, and the guest dirties %s", connections, one,
                 dirty);
    else
        migd_log(MIGD_LOG_NOTICE, &fields,
                 "%u connections: one carried %s there, which is below the limit", connections,
                 one);
}

guint
migd_virt_stream_begin(MigdVirtDomain *domain, const MigdStartOptions *options)
{
    MigdVirtStream *stream = &domain->stream;
    guint64 limit = options->max_bandwidth_bps != 0 ? options->max_bandwidth_bps
                                                    : domain->knobs.max_bandwidth_bps;
    const MigdCarried *carried = carried_to(domain->host, options->destination);
    guint connections;

    g_free(stream->destination);
    *stream = (MigdVirtStream){.destination = g_strdup(options->destination), .limit_bps = limit};
    if (options->connections != 0)
        return options->connections;
    connections = migd_connections_needed(carried, dirty_rate(domain), limit);
    /* Post-copy, where it was asked for, is the safer way to the end. */
    if (connections > 1 && !options->allow_postcopy)
        say(domain, carried, connections);
    return connections;
}

void
migd_virt_stream_sample(MigdVirtDomain *domain, const MigdSample *sample)
{
    MigdVirtStream *stream = &domain->stream;
    guint64 us, bps;

    if (migd_sample_has(sample, MIGD_HAS_DIRTY_RATE) && sample->dirty_rate_bps != 0 &&
        sample->throttle_pct == 0)
        domain->seen_dirty_bps = sample->dirty_rate_bps;
    if (domain->call == NULL || sample->status != MIGD_STATUS_PRECOPY ||
        !migd_sample_has(sample, MIGD_HAS_ELAPSED | MIGD_HAS_TRANSFERRED))
        return;
    us = migd_sat_sub(sample->elapsed_us, stream->from_us);
    if (stream->from_us != 0 && us < WINDOW_US)
        return;
    bps = migd_sat_mul(migd_sat_sub(sample->transferred_bytes, stream->from_bytes), 1000) /
          MAX(us / 1000, 1);
    if (stream->from_us != 0 && bps > stream->best_bps) {
        stream->best_bps = bps;
        stream->best_limit_bps =
            domain->host->allow_monitor ? domain->knobs.max_bandwidth_bps : stream->limit_bps;
    }
    stream->from_us = sample->elapsed_us;
    stream->from_bytes = sample->transferred_bytes;
}

void
migd_virt_stream_end(MigdVirtDomain *domain, guint connections)
{
    MigdVirtStream *stream = &domain->stream;
    GHashTable *table = domain->host->carried;
    MigdCarried *carried = g_hash_table_lookup(table, stream->destination);

    if (connections == 0 || stream->best_bps == 0)
        return;
    if (carried == NULL) {
        if (g_hash_table_size(table) >= MAX_DESTINATIONS) /* somebody makes them up */
            g_hash_table_remove_all(table);
        carried = g_new0(MigdCarried, 1);
        g_hash_table_insert(table, g_strdup(stream->destination), carried);
    }
    migd_carried_add(carried, connections, stream->best_bps, stream->best_limit_bps);
}

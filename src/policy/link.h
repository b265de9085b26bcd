/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The link, as a migration shows it: how fast it carries, how fast it once carried, and how long a
 * dirty sync holds it up. Bytes and time only; what the guest dirties is the model's business.
 */
#pragma once

#include <glib.h>

typedef struct {
    double seconds;
    gboolean noticeable; /* against its pass */
} MigdSync;

typedef struct {
    double bps;        /* to be expected of the next passes; 0 = not known */
    double usual_bps;  /* what it has carried on the whole, dips apart */
    double most_bps;   /* that it has carried over a pass */
    double window_bps; /* over the newest second or so; 0 = not known */
    double sync_s;     /* a dirty sync takes this long, and nothing is sent meanwhile */

    gint64 start_us;     /* of the first reading */
    gint64 low_since_us; /* the windows are far below the usual since then; 0 = they are not */
    gint64 dip_since_us; /* so long that it counts as a dip; 0 = it does not */
    gint64 window_start_us;
    guint64 window_start_bytes;
    guint window_syncs; /* since then */
    gint64 pass_start_us;
    guint64 pass_start_bytes;
    double pass_bps;       /* best rate since the present pass began */
    double windows_bps[3]; /* newest ones, in a ring */
    guint n_windows;       /* read so far */
    double weight;         /* of what `bps` averages */
    double usual_weight;   /* of what `usual_bps` averages */
    MigdSync syncs[3];     /* newest estimates of `sync_s` */
    guint n_syncs;         /* made so far */
    double off;            /* how far the passes were off what was expected, relative: sigma */
    guint n_off;           /* passes so far */
    gboolean was_far;      /* the last pass was so far off that it may be another link */
} MigdLink;

/* A reading in pre-copy: `bytes` on the wire at `time_us`. */
void migd_link_read(MigdLink *link, gint64 time_us, guint64 bytes, gboolean first_pass);

/* A pass begins at this reading; `seen` = at its very beginning. */
void migd_link_begin_pass(MigdLink *link, gint64 time_us, guint64 bytes);

/* A pass that was seen whole has ended at this reading. */
void migd_link_end_pass(MigdLink *link, gint64 time_us, guint64 bytes, gboolean first_pass);

/* The link carries far less than usual, and not for long enough to call that usual: it may come
 * back.
 */
gboolean migd_link_dips(const MigdLink *link);

/* What it carries at least at any one moment, the pause for instance. */
double migd_link_least_bps(const MigdLink *link);

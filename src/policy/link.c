/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Measuring the link. A pass is sending and then a sync, so bytes over time is less than the link
 * carries; how much less tells how long the sync took, once the rate was also seen within a pass.
 */
#include "policy/link.h"

#include <math.h>

#include "base/checked.h"

/* A measurement of bandwidth over less than this says more about buffers than about the link. */
#define WINDOW_US (G_USEC_PER_SEC / 2)

/* Over a pass this long the link may have changed: its newest part counts. */
#define LONG_PASS_US (4 * G_USEC_PER_SEC)

/* A pass weighs this much less than the one after it. */
#define FADE 0.6

/* A rate this many times off the average is another link, not a bad moment of this one: when it is
 * this many sigma off, too, or when the next pass says the same. */
#define OTHER_LINK 1.6
#define OTHER_SIGMA 3

/* A sync shorter than this part of its pass cannot be told from unsteady sending. */
#define NOTICEABLE 0.1

/* Estimates that differ by no more than this factor are of the same thing. */
#define AGREE 1.25

/* A rate may be off by this many sigma, of which all passes tell and the newest tell more. Not by
 * more than half, which is also what is taken until this many passes are known. */
#define FARTHEST 2.5
#define OFF_FADE 0.98
#define OFF_PASSES 6
#define MOST_OFF 0.5

/* The usual changes more slowly. */
#define USUAL_FADE 0.85

/* The link is in a dip below this part of the usual for this long; a dip longer than both of the
 * latter, the second in parts of the time before it, is the usual from now on. */
#define DIP 0.6
#define DIP_US (2 * G_USEC_PER_SEC)
#define PATIENCE_US (30 * G_USEC_PER_SEC)
#define PATIENCE_PART 0.75

static double
rate(guint64 from, guint64 to, gint64 elapsed_us)
{
    return (double)migd_sat_sub(to, from) * G_USEC_PER_SEC / (double)elapsed_us;
}

/* Tells a dip from a bad moment, and a dip from a link that has become another one. */
static void
watch_for_dip(MigdLink *link, gint64 time_us)
{
    if (link->usual_bps <= 0 || link->window_bps >= DIP * link->usual_bps) {
        link->low_since_us = link->dip_since_us = 0;
        return;
    }
    if (link->low_since_us == 0)
        link->low_since_us = time_us;
    if (time_us - link->low_since_us < DIP_US)
        return;
    double before_us = (double)(link->low_since_us - link->start_us);
    if ((double)(time_us - link->low_since_us) >
        MAX((double)PATIENCE_US, PATIENCE_PART * before_us)) {
        link->usual_bps = link->bps = link->window_bps;
        link->low_since_us = link->dip_since_us = 0;
    } else {
        link->dip_since_us = link->low_since_us;
    }
}

void
migd_link_read(MigdLink *link, gint64 time_us, guint64 bytes, gboolean first_pass)
{
    gint64 elapsed_us = time_us - link->window_start_us;
    gint64 in_pass_us = time_us - link->pass_start_us;

    if (link->start_us == 0)
        link->start_us = time_us;
    if (link->pass_start_us != 0 && in_pass_us >= WINDOW_US)
        link->pass_bps = MAX(link->pass_bps, rate(link->pass_start_bytes, bytes, in_pass_us));
    if (link->window_start_us != 0 && elapsed_us < WINDOW_US && elapsed_us >= 0 &&
        bytes >= link->window_start_bytes)
        return;
    if (link->window_start_us != 0 && elapsed_us > 0) {
        /* Nothing is sent while a sync lasts. */
        double syncs_us = link->window_syncs * link->sync_s * G_USEC_PER_SEC;
        double sending_us = MAX((double)elapsed_us - syncs_us, (double)elapsed_us / 10);
        double bps = rate(link->window_start_bytes, bytes, (gint64)sending_us);

        link->window_bps = link->window_bps > 0 ? (link->window_bps + bps) / 2 : bps;
        link->windows_bps[link->n_windows++ % G_N_ELEMENTS(link->windows_bps)] = bps;
        if (first_pass)
            link->usual_bps = MAX(link->usual_bps, link->window_bps);
        watch_for_dip(link, time_us);
    }
    link->window_start_us = time_us;
    link->window_start_bytes = bytes;
    link->window_syncs = 0;
}

gboolean
migd_link_dips(const MigdLink *link)
{
    return link->dip_since_us != 0;
}

void
migd_link_begin_pass(MigdLink *link, gint64 time_us, guint64 bytes)
{
    link->pass_start_us = time_us;
    link->pass_start_bytes = bytes;
    link->pass_bps = 0;
    link->window_syncs++;
}

/* The shortest of the newest estimates: an unsteady link makes each too long, never too short. One
 * that is small against its pass may be no more than that, unless they agree. */
static void
note_sync(MigdLink *link, double sync_s, double pass_s)
{
    guint n = G_N_ELEMENTS(link->syncs);
    double least = HUGE_VAL, least_noticeable = HUGE_VAL, most = 0;

    link->syncs[link->n_syncs++ % n] = (MigdSync){MAX(sync_s, 0), sync_s > NOTICEABLE * pass_s};
    if (link->n_syncs < 2)
        return;
    for (guint i = 0; i < MIN(link->n_syncs, n); i++) {
        const MigdSync *sync = &link->syncs[i];

        least = MIN(least, sync->seconds);
        most = MAX(most, sync->seconds);
        least_noticeable = MIN(least_noticeable, sync->noticeable ? sync->seconds : 0);
    }
    link->sync_s = link->n_syncs >= n && most <= AGREE * least ? least : least_noticeable;
}

/* What the link carries now, by the best of the newest windows: the sync at the end of a pass makes
 * one or two of them look idle. */
static double
late_rate(const MigdLink *link)
{
    double best = 0;

    for (guint i = 0; i < G_N_ELEMENTS(link->windows_bps); i++)
        best = MAX(best, link->windows_bps[i]);
    return best;
}

/* Weighs each pass the same at first, then the newest more. */
static void
note_off(MigdLink *link, double off)
{
    double part = 1 / (1 + MIN(link->n_off, OFF_FADE / (1 - OFF_FADE)));

    link->off = sqrt((1 - part) * link->off * link->off + part * off * off);
    link->n_off++;
}

void
migd_link_end_pass(MigdLink *link, gint64 time_us, guint64 bytes, gboolean first_pass)
{
    gint64 duration_us = time_us - link->pass_start_us;
    guint64 sent = migd_sat_sub(bytes, link->pass_start_bytes);

    if (duration_us <= 0 || sent == 0)
        return;
    double seconds = (double)duration_us / G_USEC_PER_SEC;
    /* A pass too short to see its rate: what the link carried so far is the best guess at it. */
    double sending_bps = link->pass_bps > 0 ? link->pass_bps : link->bps;
    if (sending_bps > 0 && !first_pass)
        note_sync(link, seconds - (double)sent / sending_bps, seconds);
    double bps = (double)sent / MAX(seconds - link->sync_s, seconds / 20);
    if (duration_us > LONG_PASS_US && link->sync_s <= 0 && late_rate(link) > 0)
        bps = late_rate(link);
    /* In pass 1 QEMU spends part of its time on zero pages, which cost no bytes: the best window is
     * the link. */
    if (first_pass)
        bps = MAX(bps, link->usual_bps);

    double off = link->bps > 0 ? bps / link->bps - 1 : 0;
    gboolean far = fabs(log1p(off)) > log(OTHER_LINK);
    gboolean other = far && (link->was_far || fabs(off) > OTHER_SIGMA * link->off);
    link->was_far = far;
    if (!first_pass && link->bps > 0)
        note_off(link, off);

    /* A dip is waited out, and what it carried says nothing of what comes after it. */
    if (migd_link_dips(link) && !first_pass)
        return;
    double weight = MIN((double)duration_us / WINDOW_US, 1);
    double kept = pow(FADE, weight) * link->weight;

    /* A short pass is no proof of another link, a whole window is. */
    if (other && weight >= 1)
        kept = 0;
    link->bps = (kept * link->bps + weight * bps) / (kept + weight);
    link->weight = kept + weight;
    if (first_pass)
        link->usual_bps = bps;
    kept = pow(USUAL_FADE, weight) * link->usual_weight;
    link->usual_bps = (kept * link->usual_bps + weight * bps) / (kept + weight);
    link->usual_weight = kept + weight;
    link->most_bps = MAX(link->most_bps, link->usual_bps);
}

double
migd_link_least_bps(const MigdLink *link)
{
    double bps = link->window_bps > 0 ? MIN(link->window_bps, link->usual_bps) : link->usual_bps;
    double off = link->n_off < OFF_PASSES ? MOST_OFF : MIN(FARTHEST * link->off, MOST_OFF);

    return bps * (1 - off);
}

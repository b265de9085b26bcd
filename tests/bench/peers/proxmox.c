/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Proxmox VE, qemu-server 9.2, with its defaults: auto-converge, a pause limit of 0.1 s, and a
 * counter of looks at which more was left than at the look before; when it passes five, the limit
 * is doubled, up to QEMU's own maximum. It never gives up. Left out: xbzrle, dirty bitmaps of
 * backups, disks, and giving up because the monitor does not answer.
 */
#include "peers/peer.h"

#define SLOW_POLL_US G_USEC_PER_SEC
#define FAST_POLL_US (G_USEC_PER_SEC / 10)
#define FIRST_MS 100
#define MAX_BPS (16 * (guint64)1073741824)
#define PATIENCE 5 /* rises that are taken without a doubling */

typedef struct {
    guint64 downtime_us;
    guint64 polls;
    guint64 transferred_bytes, remaining_bytes; /* at the last look */
    guint rises;
    gint64 next_us; /* the next look */
    gboolean fast;  /* looks every 100 ms, for the rest of the migration */
} Proxmox;

static gpointer
start(const MigdEngineGuest *guest, MigdKnobs *knobs)
{
    Proxmox *proxmox = g_new0(Proxmox, 1);

    proxmox->downtime_us = MIGD_PEER_MS(FIRST_MS);
    knobs->downtime_limit_us = proxmox->downtime_us;
    knobs->auto_converge = TRUE;
    migd_peer_cap_bandwidth(knobs, MAX_BPS);
    return proxmox;
}

/* TRUE when the counter has run over. Between two syncs what is left falls, so it is the syncs that
 * count, the healthy ones too. */
static gboolean
count(Proxmox *proxmox, const MigdSample *sample)
{
    guint64 left_bytes = sample->remaining_bytes;
    guint64 mean_bytes = proxmox->transferred_bytes / ++proxmox->polls; /* sent per look, so far */

    if (sample->transferred_bytes == proxmox->transferred_bytes)
        return FALSE;
    if (left_bytes < mean_bytes)
        proxmox->fast = TRUE;
    if ((proxmox->remaining_bytes > 0 && left_bytes > proxmox->remaining_bytes) || left_bytes == 0)
        proxmox->rises++;
    proxmox->remaining_bytes = left_bytes;
    proxmox->transferred_bytes = sample->transferred_bytes;
    if (proxmox->rises <= PATIENCE)
        return FALSE;
    proxmox->rises = 0;
    return TRUE;
}

static MigdDecision
look(gpointer state, const MigdSample *sample)
{
    Proxmox *proxmox = state;
    gint64 now_us = migd_peer_elapsed_us(sample);

    if (!migd_peer_precopy(sample) || now_us < MAX(proxmox->next_us, SLOW_POLL_US))
        return migd_peer_wait(sample);
    gboolean too_many = count(proxmox, sample);
    proxmox->next_us = now_us + (proxmox->fast ? FAST_POLL_US : SLOW_POLL_US);
    if (!too_many || proxmox->downtime_us >= MIGD_PEER_STOP_NOW_US)
        return migd_peer_wait(sample);
    proxmox->downtime_us = MIN(2 * proxmox->downtime_us, MIGD_PEER_STOP_NOW_US);
    return migd_peer_act(sample, MIGD_ACTION_SET_DOWNTIME, proxmox->downtime_us);
}

const MigdEngine migd_peer_proxmox = {
    .name = "proxmox",
    .about = "Proxmox VE with its defaults",
    .poll_us = FAST_POLL_US,
    .start = start,
    .look = look,
    .free = g_free,
};

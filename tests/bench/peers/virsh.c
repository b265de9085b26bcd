/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * `virsh migrate --timeout` of libvirt 9: one timer, then the guest is suspended or post-copy
 * begins. virsh has no default for the timer, so this one stands for a reasonable person: the time
 * that three copies of the memory take on the link, a minute at least. (A shorter one would cut off
 * guests that converge, a much longer one would wait for those that do not.) Left out:
 * --postcopy-after-precopy.
 */
#include "peers/peer.h"

#define POLL_US (G_USEC_PER_SEC / 2)
#define COPIES 3
#define LEAST_S 60
#define FALLBACK_S 300 /* when the link's speed is not known */

typedef struct {
    MigdAction action;
    gint64 timeout_us;
    gboolean done;
} Virsh;

static gpointer
start(MigdAction action, const MigdEngineGuest *guest)
{
    Virsh *virsh = g_new0(Virsh, 1);
    gint64 timeout_s = FALLBACK_S;

    if (guest->link_bps > 0)
        timeout_s = MAX((gint64)(COPIES * ((double)guest->memory_bytes / (double)guest->link_bps)),
                        LEAST_S);
    virsh->action = action;
    virsh->timeout_us = MIGD_PEER_SECONDS(timeout_s);
    return virsh;
}

static MigdDecision
look(gpointer state, const MigdSample *sample)
{
    Virsh *virsh = state;

    if (virsh->done || !migd_peer_precopy(sample) ||
        migd_peer_elapsed_us(sample) < virsh->timeout_us)
        return migd_peer_wait(sample);
    virsh->done = TRUE; /* the timer fires once; refused or not, virsh then only waits */
    return migd_peer_act(sample, virsh->action, 0);
}

static gpointer
start_suspend(const MigdEngineGuest *guest, MigdKnobs *knobs)
{
    return start(MIGD_ACTION_PAUSE, guest);
}

/* Where post-copy is not possible, libvirt refuses it at the timer and the passes go on. */
static gpointer
start_postcopy(const MigdEngineGuest *guest, MigdKnobs *knobs)
{
    knobs->postcopy = guest->postcopy;
    return start(MIGD_ACTION_POSTCOPY, guest);
}

const MigdEngine migd_peer_virsh_timeout_suspend = {
    .name = "virsh-timeout-suspend",
    .about = "virsh migrate --timeout --timeout-suspend",
    .poll_us = POLL_US,
    .start = start_suspend,
    .look = look,
    .free = g_free,
};

const MigdEngine migd_peer_virsh_timeout_postcopy = {
    .name = "virsh-timeout-postcopy",
    .about = "virsh migrate --postcopy --timeout --timeout-postcopy",
    .poll_us = POLL_US,
    .start = start_postcopy,
    .look = look,
    .free = g_free,
};

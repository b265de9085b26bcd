/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The four built-in migration policies of oVirt (engine and VDSM as of August 2026, cluster level
 * 4.8). A policy is a list of actions, each with a number of passes after which it is due; every 10
 * seconds at most one of them is taken off the list. What is left, dirty rate and bandwidth are not
 * looked at. Auto-converge is on in all of them, and the bandwidth is the link's share of one
 * migration. Left out: parallel connections, xbzrle, zero-copy and the guest agent's hooks.
 */
#include "peers/peer.h"

#define POLL_US MIGD_PEER_SECONDS(10)
#define FALLBACK_BPS (52 * (guint64)1048576) /* when the link's speed is not known */
#define ALWAYS -1                            /* due at the next pass that begins */

typedef struct {
    gint64 limit; /* due when more passes than this have begun since the first look */
    MigdAction action;
    guint64 downtime_ms;
} Item;

typedef struct {
    guint64 init_ms;
    guint migrations_per_host;
    gboolean postcopy;
    Item items[8]; /* up to the first WAIT */
} Policy;

#define RAISE(limit, ms)                                                                           \
    {                                                                                              \
        limit, MIGD_ACTION_SET_DOWNTIME, ms                                                        \
    }
#define GIVE_UP                                                                                    \
    {                                                                                              \
        ALWAYS, MIGD_ACTION_ABORT, 0                                                               \
    }

static const Policy minimal_downtime = {
    .init_ms = 100,
    .migrations_per_host = 2,
    .items = {RAISE(1, 150), RAISE(2, 200), RAISE(3, 300), RAISE(4, 400), RAISE(6, 500), GIVE_UP},
};

static const Policy suspend = {
    .init_ms = 100,
    .migrations_per_host = 1,
    .items = {RAISE(1, 150), RAISE(2, 200), RAISE(3, 300), RAISE(4, 400), RAISE(6, 500),
              RAISE(ALWAYS, 5000), GIVE_UP},
};

static const Policy post_copy = {
    .init_ms = 100,
    .migrations_per_host = 2,
    .postcopy = TRUE,
    .items = {RAISE(1, 150), RAISE(2, 200), {ALWAYS, MIGD_ACTION_POSTCOPY, 0}, GIVE_UP},
};

static const Policy very_large = {
    .init_ms = 300,
    .migrations_per_host = 1,
    .items = {RAISE(1, 400), RAISE(2, 500), RAISE(3, 700), RAISE(4, 1000), RAISE(6, 1500),
              RAISE(ALWAYS, 5000), GIVE_UP},
};

typedef struct {
    const Policy *policy;
    gboolean waited;               /* the first interval */
    guint64 first_pass, last_pass; /* 0 before the first look */
    guint next;
} Ovirt;

static gpointer
start(const Policy *policy, const MigdEngineGuest *guest, MigdKnobs *knobs)
{
    Ovirt *ovirt = g_new0(Ovirt, 1);

    ovirt->policy = policy;
    knobs->auto_converge = TRUE;
    knobs->postcopy = guest->postcopy && policy->postcopy;
    knobs->downtime_limit_us = MIGD_PEER_MS(policy->init_ms);
    migd_peer_cap_bandwidth(
        knobs, guest->link_bps > 0 ? guest->link_bps / policy->migrations_per_host : FALLBACK_BPS);
    return ovirt;
}

static MigdDecision
look(gpointer state, const MigdSample *sample)
{
    Ovirt *ovirt = state;

    gboolean begins = !ovirt->waited; /* it sleeps before it first looks */
    ovirt->waited = TRUE;
    if (begins || !migd_peer_precopy(sample))
        return migd_peer_wait(sample);
    if (ovirt->first_pass == 0)
        ovirt->first_pass = ovirt->last_pass = sample->pass;
    if (sample->pass <= ovirt->last_pass)
        return migd_peer_wait(sample);
    ovirt->last_pass = sample->pass;

    /* Where post-copy is not possible the switch fails, and the item after it comes next. */
    const Item *item = &ovirt->policy->items[ovirt->next];
    if (item->action == MIGD_ACTION_WAIT ||
        item->limit >= (gint64)(sample->pass - ovirt->first_pass))
        return migd_peer_wait(sample);
    ovirt->next++;
    return migd_peer_act(sample, item->action, MIGD_PEER_MS(item->downtime_ms));
}

static gpointer
start_minimal_downtime(const MigdEngineGuest *guest, MigdKnobs *knobs)
{
    return start(&minimal_downtime, guest, knobs);
}

static gpointer
start_suspend(const MigdEngineGuest *guest, MigdKnobs *knobs)
{
    return start(&suspend, guest, knobs);
}

static gpointer
start_post_copy(const MigdEngineGuest *guest, MigdKnobs *knobs)
{
    return start(&post_copy, guest, knobs);
}

static gpointer
start_very_large(const MigdEngineGuest *guest, MigdKnobs *knobs)
{
    return start(&very_large, guest, knobs);
}

const MigdEngine migd_peer_ovirt_minimal_downtime = {
    .name = "ovirt-minimal-downtime",
    .about = "oVirt's policy \"Minimal downtime\"",
    .poll_us = POLL_US,
    .start = start_minimal_downtime,
    .look = look,
    .free = g_free,
};

const MigdEngine migd_peer_ovirt_suspend = {
    .name = "ovirt-suspend",
    .about = "oVirt's policy \"Suspend workload if needed\"",
    .poll_us = POLL_US,
    .start = start_suspend,
    .look = look,
    .free = g_free,
};

const MigdEngine migd_peer_ovirt_post_copy = {
    .name = "ovirt-post-copy",
    .about = "oVirt's policy \"Post-copy migration\"",
    .poll_us = POLL_US,
    .start = start_post_copy,
    .look = look,
    .free = g_free,
};

const MigdEngine migd_peer_ovirt_very_large = {
    .name = "ovirt-very-large",
    .about = "oVirt's policy \"Very large VMs\"",
    .poll_us = POLL_US,
    .start = start_very_large,
    .look = look,
    .free = g_free,
};

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * KubeVirt 1.9 with its defaults, and the same with the alpha feature MigrationDowntimeTuning. Two
 * timers end the attempt: one for the whole, by the size of the memory, and one for the time since
 * `remaining` last fell, which between two syncs it always does. The tuning raises the pause limit
 * on a schedule that begins with the third pass. Left out: disks, multifd, and what is off by
 * default (leave to disrupt the workload, post-copy, auto-converge).
 */
#include "peers/peer.h"

#define POLL_US MIGD_PEER_MS(400)
#define TIMEOUT_S 150 /* per GB */
#define GB G_GUINT64_CONSTANT(1000000000)
#define PROGRESS_US MIGD_PEER_SECONDS(150)

#define TUNING_FIRST_MS 150
#define TUNING_LAST_MS 900
#define TUNING_STEP_MS ((TUNING_LAST_MS - TUNING_FIRST_MS) / 7)
#define TUNING_REST_US MIGD_PEER_SECONDS(10) /* between two steps */
#define TUNING_PASS 3                        /* no step before it */

typedef struct {
    gint64 timeout_us;
    guint64 remaining_bytes; /* at the last look */
    gint64 progress_us;      /* when it last fell */
    guint64 tuned_ms;        /* the pause limit of the tuning; 0 = none */
    gint64 tuned_us;         /* when it was set */
} KubeVirt;

gint64
migd_peer_kubevirt_timeout_us(guint64 memory_bytes)
{
    return MIGD_PEER_SECONDS(TIMEOUT_S * (gint64)((memory_bytes + GB - 1) / GB));
}

static gpointer
start(const MigdEngineGuest *guest, MigdKnobs *knobs)
{
    KubeVirt *kubevirt = g_new0(KubeVirt, 1);

    kubevirt->timeout_us = migd_peer_kubevirt_timeout_us(guest->memory_bytes);
    kubevirt->remaining_bytes = G_MAXUINT64;
    return kubevirt;
}

static gpointer
start_tuning(const MigdEngineGuest *guest, MigdKnobs *knobs)
{
    KubeVirt *kubevirt = start(guest, knobs);

    kubevirt->tuned_ms = TUNING_FIRST_MS;
    knobs->downtime_limit_us = MIGD_PEER_MS(TUNING_FIRST_MS);
    return kubevirt;
}

static MigdDecision
tune(KubeVirt *kubevirt, const MigdSample *sample, gint64 now_us)
{
    if (kubevirt->tuned_ms == 0 || kubevirt->tuned_ms >= TUNING_LAST_MS ||
        sample->pass < TUNING_PASS || now_us - kubevirt->tuned_us < TUNING_REST_US)
        return migd_peer_wait(sample);
    kubevirt->tuned_ms = MIN(kubevirt->tuned_ms + TUNING_STEP_MS, TUNING_LAST_MS);
    kubevirt->tuned_us = now_us;
    return migd_peer_act(sample, MIGD_ACTION_SET_DOWNTIME, MIGD_PEER_MS(kubevirt->tuned_ms));
}

static MigdDecision
look(gpointer state, const MigdSample *sample)
{
    KubeVirt *kubevirt = state;
    gint64 now_us = migd_peer_elapsed_us(sample);

    if (!migd_peer_precopy(sample))
        return migd_peer_wait(sample);
    if (sample->remaining_bytes < kubevirt->remaining_bytes)
        kubevirt->progress_us = now_us;
    kubevirt->remaining_bytes = sample->remaining_bytes;
    /* It counts whole seconds and wants more than the limit. */
    if (now_us - kubevirt->progress_us >= PROGRESS_US + G_USEC_PER_SEC ||
        now_us >= kubevirt->timeout_us + G_USEC_PER_SEC)
        return migd_peer_act(sample, MIGD_ACTION_ABORT, 0);
    return tune(kubevirt, sample, now_us);
}

const MigdEngine migd_peer_kubevirt = {
    .name = "kubevirt",
    .about = "KubeVirt with its defaults",
    .poll_us = POLL_US,
    .start = start,
    .look = look,
    .free = g_free,
};

const MigdEngine migd_peer_kubevirt_tuning = {
    .name = "kubevirt-tuning",
    .about = "KubeVirt with downtime tuning (alpha)",
    .poll_us = POLL_US,
    .start = start_tuning,
    .look = look,
    .free = g_free,
};

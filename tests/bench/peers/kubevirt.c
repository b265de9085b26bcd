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
#define TUNING_STEPS 7
#define TUNING_STEP_US MIGD_PEER_SECONDS(10)
#define TUNING_PASS 3

typedef struct {
    gint64 timeout_us;
    guint64 remaining_bytes; /* at the last look */
    gint64 progress_us;      /* when it last fell */
    gboolean tuning;
    gint64 tuning_us; /* when the ramp began; 0 = not yet */
    guint64 downtime_us;
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

    kubevirt->tuning = TRUE;
    kubevirt->downtime_us = knobs->downtime_limit_us = MIGD_PEER_MS(TUNING_FIRST_MS);
    return kubevirt;
}

/* The limit that the ramp has reached at `now_us` since the start. */
static guint64
tuned_us(KubeVirt *kubevirt, guint64 pass, gint64 now_us)
{
    if (kubevirt->tuning_us == 0 && pass >= TUNING_PASS)
        kubevirt->tuning_us = now_us;
    if (kubevirt->tuning_us == 0)
        return kubevirt->downtime_us;
    guint64 step = (guint64)(1 + (now_us - kubevirt->tuning_us) / TUNING_STEP_US);
    return MIGD_PEER_MS(TUNING_FIRST_MS + (TUNING_LAST_MS - TUNING_FIRST_MS) *
                                              MIN(step, TUNING_STEPS) / TUNING_STEPS);
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
    if (now_us - kubevirt->progress_us > PROGRESS_US || now_us > kubevirt->timeout_us)
        return migd_peer_act(sample, MIGD_ACTION_ABORT, 0);

    guint64 downtime_us = kubevirt->tuning ? tuned_us(kubevirt, sample->pass, now_us) : 0;
    if (downtime_us == kubevirt->downtime_us)
        return migd_peer_wait(sample);
    kubevirt->downtime_us = downtime_us;
    return migd_peer_act(sample, MIGD_ACTION_SET_DOWNTIME, downtime_us);
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

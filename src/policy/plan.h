/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The search for the smallest sufficient action: which limit, bandwidth or throttle would end the
 * migration, and at what price. Internal to the policy: decide.c asks.
 */
#pragma once

#include "policy/forecast.h"
#include "policy/track-internal.h"

/* Below this weight of hypotheses under which it ends, a plan is no plan. */
#define MIGD_HOPE 0.1

/* Weight of hypotheses from which a forecast counts as certain. */
#define MIGD_SURE 0.9

/* Downtime limits this close are the same: QEMU takes whole ms. */
#define MIGD_LIMIT_SLACK_S 0.002

/* Guest seconds that a throttle may take for nothing but hope. */
#define MIGD_TRIAL_S 60

/* Nobody plans further than this, seconds. */
#define MIGD_HORIZON_S 3600

/* A track as the rules see it. */
typedef struct {
    const MigdTrack *track;
    MigdState state; /* at the newest sync; all 0 before the first */
    MigdForecast waiting;
    MigdPrice wait;   /* of doing nothing; all 0 before the first sync */
    MigdPrice within; /* of doing nothing but raising the pause to its cap */
    double ends;   /* `within.ends`, or 0 when there was no progress for so long that it cannot be
                      true */
    double cap_s;  /* downtime-limit that keeps the pause within the profile's; may be <= 0 */
    double room_s; /* of the profile's pause, after what it costs whatever is left to send; may be
                      <= 0 */
    double to_deadline_s; /* HUGE_VAL: none */
    gboolean forced;      /* an irreversible step was taken: no second thoughts */
} MigdView;

/* Allowed by the profile, possible, and not refused before. */
gboolean migd_view_may(const MigdView *view, MigdAction action);

/* A throttle stands ready to engage at a sync without being asked again: armed by us, or left so by
 * our own start. */
gboolean migd_view_armed(const MigdView *view);

/* Copies the figures into `decision`. */
void
migd_decision_take(MigdDecision *decision, const MigdPrice *price, const MigdForecast *forecast);

/* The downtime limit (µs) up to the cap that is worth more than the one in force: the smallest that
 * ends it by itself, or a longer one where that ends so much sooner that the guest is better off.
 * 0: none, or not allowed. */
guint64 migd_plan_downtime(const MigdView *view, MigdDecision *decision);

/* The bandwidth limit (bytes/s) within the profile's that ends it by itself; 0: none, or not
 * allowed. */
guint64 migd_plan_bandwidth(const MigdView *view, MigdDecision *decision);

/* The cheapest of throttle levels and post-copy: SET_DOWNTIME (to the cap, which costs less than
 * any throttle and comes first), ARM or THROTTLE with argument and trigger in `decision` (perhaps
 * those in force already), RELEASE, POSTCOPY, or WAIT when none of them is worth more than waiting.
 * The forecast goes into it too. */
MigdAction migd_plan_cheapest(const MigdView *view, MigdDecision *decision);

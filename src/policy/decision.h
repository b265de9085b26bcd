/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the policy says: an action with its argument, the reason, and the numbers that justify it.
 * One value feeds the actuator, the journal, the trace, the D-Bus signal and `explain`. The words
 * and sentences live in reason.c.
 */
#pragma once

#include <glib.h>

typedef enum {
    MIGD_ACTION_WAIT,
    MIGD_ACTION_SET_DOWNTIME,  /* argument: µs */
    MIGD_ACTION_SET_BANDWIDTH, /* argument: bytes/s, 0 = no limit */
    MIGD_ACTION_ARM, /* argument: percent: a throttle that engages only if a pass shows no progress
                      */
    MIGD_ACTION_THROTTLE, /* argument: percent, 1..99: a throttle that engages at the next sync */
    MIGD_ACTION_RELEASE,  /* the throttle goes back to (nearly) nothing */
    MIGD_ACTION_POSTCOPY,
    MIGD_ACTION_PAUSE, /* stop the guest so that the rest can be sent */
    MIGD_ACTION_ABORT,
    MIGD_N_ACTIONS,
} MigdAction;

typedef enum {
    MIGD_VERDICT_UNKNOWN,
    MIGD_VERDICT_CONVERGING,
    MIGD_VERDICT_PLATEAU,
    MIGD_VERDICT_DIVERGING,
    MIGD_VERDICT_NETWORK_BOUND,
    MIGD_N_VERDICTS,
} MigdVerdict;

/* Why. Reasons may be added: readers show an unknown one as it is spelled. */
typedef enum {
    MIGD_REASON_FIRST_PASS,        /* nothing is known before the first pass ends */
    MIGD_REASON_CONVERGING,        /* left alone: it ends inside the limits by itself */
    MIGD_REASON_WAIT_FOR_EVIDENCE, /* the forecasts disagree; one more pass tells */
    MIGD_REASON_THROTTLE_LATER,    /* a throttle costs less after another pass, which leaves less */
    MIGD_REASON_FALLING,           /* passes come long and short, and on the whole leave less */
    MIGD_REASON_ACTION_PENDING,    /* the last action has not shown its effect yet */
    MIGD_REASON_DOWNTIME_OVER_CAP, /* somebody's limit is over the profile's cap: lowered */
    MIGD_REASON_DOWNTIME_SUFFICES, /* a longer pause within the cap ends it */
    MIGD_REASON_DOWNTIME_CHEAPER,  /* a longer pause within the cap ends it so much sooner */
    MIGD_REASON_DOWNTIME_FIRST,    /* the pause goes to its cap before a throttle is set */
    MIGD_REASON_BANDWIDTH_SUFFICES, /* a higher bandwidth limit within the cap ends it */
    MIGD_REASON_BANDWIDTH_OVER_CAP, /* the limit in force is over the profile's MaxBandwidth:
                                       lowered */
    MIGD_REASON_PLATEAU_THROTTLE,   /* the dirty curve has a floor above the pause: throttle to get
                                       under it */
    MIGD_REASON_DIVERGING_THROTTLE, /* the guest dirties faster than the link carries */
    MIGD_REASON_ARMED_THROTTLE, /* set up so that it engages only if the next pass shows no progress
                                 */
    MIGD_REASON_THROTTLE_TOO_WEAK,   /* the level in force does not end it: more is needed */
    MIGD_REASON_THROTTLE_USELESS,    /* the throttle does not reduce the dirty rate: released */
    MIGD_REASON_THROTTLE_NOT_NEEDED, /* converges without it: released or disarmed */
    MIGD_REASON_POSTCOPY_CHEAPEST,
    MIGD_REASON_NETWORK_DIP,     /* the link is far below what it was: wait for it */
    MIGD_REASON_NOTHING_ALLOWED, /* no allowed action ends it; watched until the deadline */
    MIGD_REASON_DEADLINE_POSTCOPY,
    MIGD_REASON_DEADLINE_PAUSE,
    MIGD_REASON_DEADLINE_ABORT,
    MIGD_REASON_HOPELESS_ABORT, /* no allowed action can end it, and the evidence is strong */
    MIGD_REASON_COSTS_OVER_CAP, /* a pause costs more than the cap whatever is left to send */
    MIGD_REASON_SWITCHING_OVER, /* past the point where the policy has a say */
    MIGD_REASON_REQUESTED,      /* a person or an orchestrator asked for it */
    MIGD_REASON_FOREIGN_CHANGE, /* somebody else turned this knob: left to them */
    MIGD_N_REASONS,
} MigdReason;

/* A forecast figure: 10th, 50th and 90th percentile over the hypotheses. MIGD_NEVER = does not
 * happen. */
typedef struct {
    guint64 low, mid, high;
} MigdRange;

#define MIGD_NEVER G_MAXUINT64

typedef struct {
    MigdAction action;
    guint64 argument;    /* unit by action, see MigdAction */
    guint32 trigger_pct; /* ARM, THROTTLE, RELEASE: acts at a sync whose pass dirtied more than this
                            % of what it sent */
    MigdReason reason;
    MigdVerdict verdict;
    gint64 time_us;       /* of the sample that led to it */
    gint64 hold_until_us; /* no further action before this (clock of the samples); 0 = free */
    /* the numbers that justify it; 0 where not known */
    guint64 pass;
    guint64 remaining_bytes;   /* right after the last sync */
    guint64 bandwidth_bps;     /* measured */
    guint64 dirty_rate_bps;    /* over the last pass, as distinct bytes per second */
    guint64 lambda_bps;        /* fitted: rate right after a sync, without throttle */
    guint64 working_set_bytes; /* fitted: floor of the dirty curve */
    guint64 downtime_limit_us; /* in force when decided */
    guint64 downtime_cap_us;   /* the profile's MaxDowntime */
    guint32 throttle_pct;      /* in force when decided */
    guint32 confidence_pct; /* weight of the hypotheses under which the chosen plan ends inside the
                               limits */
    MigdRange wait_time_us; /* time left if nothing is done */
    MigdRange time_us_left; /* time left with the chosen action */
    MigdRange pause_us;     /* pause with the chosen action */
    MigdRange send_bytes;   /* still to be sent with the chosen action */
    guint64 lost_us;        /* guest work lost by the chosen action, mid */
} MigdDecision;

const char *migd_action_to_string(MigdAction action); /* "wait", "set-downtime", "throttle", … */
const char *migd_verdict_to_string(MigdVerdict verdict); /* "converging", … */
const char *migd_reason_to_string(MigdReason reason);    /* "plateau-throttle", … */

/* The inverse of the above. Return FALSE, leaving *ret alone, for a word that is none of ours. */
gboolean migd_action_from_string(const char *word, MigdAction *ret);
gboolean migd_verdict_from_string(const char *word, MigdVerdict *ret);
gboolean migd_reason_from_string(const char *word, MigdReason *ret);

/* One or two sentences in plain English, with numbers and units, that say what was decided and why.
 * Caller frees. */
char *migd_decision_explain(const MigdDecision *decision);

/* Same action, argument and reason: nothing new to say. The verdict and the numbers move on all the
 * time. */
gboolean migd_decision_same(const MigdDecision *a, const MigdDecision *b);

/* Rows of the number table, so that trace, bus and CLI write every number under one name. */
typedef struct {
    const char
        *name; /* "remaining_bytes", "wait_time_us" (three keys: _low, _mid, _high for a range) */
    gsize offset;
    enum { MIGD_NUM_U64, MIGD_NUM_U32, MIGD_NUM_RANGE } type;
} MigdDecisionField;

extern const MigdDecisionField migd_decision_fields[];
extern const guint migd_n_decision_fields;

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The words of decisions and the sentences that explain them: the only place where they are
 * spelled. A sentence is made from the decision alone, so it reads the same in the journal, on the
 * bus, and from a trace years later.
 */
#include "policy/decision.h"

#include <string.h>

#include "base/units.h"

static const char *const action_words[MIGD_N_ACTIONS] = {
    [MIGD_ACTION_WAIT] = "wait",
    [MIGD_ACTION_SET_DOWNTIME] = "set-downtime",
    [MIGD_ACTION_SET_BANDWIDTH] = "set-bandwidth",
    [MIGD_ACTION_ARM] = "arm-throttle",
    [MIGD_ACTION_THROTTLE] = "throttle",
    [MIGD_ACTION_RELEASE] = "release-throttle",
    [MIGD_ACTION_POSTCOPY] = "post-copy",
    [MIGD_ACTION_PAUSE] = "pause",
    [MIGD_ACTION_ABORT] = "abort",
};

static const char *const verdict_words[MIGD_N_VERDICTS] = {
    [MIGD_VERDICT_UNKNOWN] = "unknown",
    [MIGD_VERDICT_CONVERGING] = "converging",
    [MIGD_VERDICT_PLATEAU] = "plateau",
    [MIGD_VERDICT_DIVERGING] = "diverging",
    [MIGD_VERDICT_NETWORK_BOUND] = "network-bound",
};

/* The sentence is a template: {left} {bandwidth} {dirty} {floor} {limit} {cap} {now} {arg} {wait}
 * {time} {pause} {trigger} {lost} stand for the decision's numbers. */
static const struct {
    const char *word;
    const char *sentence;
} reasons[MIGD_N_REASONS] = {
    [MIGD_REASON_FIRST_PASS] =
        {"first-pass",
         "Waiting for the end of the first pass: before it nothing is known about this guest."},
    [MIGD_REASON_CONVERGING] =
        {"converging",
         "Left alone: {left} are left and the link carries {bandwidth} against {dirty} dirtied, so it "
         "ends by itself in about {wait}, with a pause of about {pause} (limit {limit})."},
    [MIGD_REASON_WAIT_FOR_EVIDENCE] =
        {"wait-for-evidence",
         "Waiting one more pass: {left} are left, and whether it converges cannot be told yet "
         "({dirty} dirtied against {bandwidth} sent)."},
    [MIGD_REASON_THROTTLE_LATER] =
        {"throttle-later",
         "Waiting one more pass: {left} are left, and the next leaves less ({dirty} dirtied against "
         "{bandwidth} sent), so that a throttle then costs less than one now."},
    [MIGD_REASON_FALLING] =
        {"falling",
         "Waiting one more pass: {left} are left, hardly less than a pass ago ({dirty} dirtied "
         "against {bandwidth} sent), but far less than a few passes ago: it may be chance."},
    [MIGD_REASON_ACTION_PENDING] =
        {"action-pending",
         "Waiting for the effect of the last action: one whole pass under it has to be seen."},
    [MIGD_REASON_DOWNTIME_OVER_CAP] =
        {"downtime-over-cap",
         "The pause limit in force ({limit}) is over what the profile allows: lowered to {arg}."},
    [MIGD_REASON_DOWNTIME_SUFFICES] =
        {"downtime-suffices",
         "A pause limit of {arg} instead of {limit} is enough and within the cap of {cap}: it "
         "ends in about {time} with a pause of about {pause}."},
    [MIGD_REASON_DOWNTIME_CHEAPER] =
        {"downtime-cheaper",
         "It converges, but with a pause limit of {arg} instead of {limit} (cap {cap}) it ends in about "
         "{time} instead of {wait}, which is worth more to the guest than the shorter pause."},
    [MIGD_REASON_DOWNTIME_FIRST] =
        {"downtime-first",
         "It does not end by itself, and a longer pause costs the guest less than a throttle: the limit "
         "goes from {limit} to {arg} first."},
    [MIGD_REASON_BANDWIDTH_SUFFICES] =
        {"bandwidth-suffices",
         "The bandwidth limit holds it back: with {arg} it ends in about {time}."},
    [MIGD_REASON_BANDWIDTH_OVER_CAP] =
        {"bandwidth-over-cap",
         "The bandwidth limit in force is over what the profile allows: lowered to {arg}."},
    [MIGD_REASON_PLATEAU_THROTTLE] =
        {"plateau-throttle",
         "The guest keeps dirtying {left} a pass ({dirty} against {bandwidth} sent), more than fits "
         "into a pause of {limit}: it would not end by itself. Throttled to {arg} it ends in about "
         "{time}, for about {lost} of guest time."},
    [MIGD_REASON_DIVERGING_THROTTLE] =
        {"diverging-throttle",
         "The guest dirties {dirty}, faster than the link carries ({bandwidth}), and what is left "
         "grows. Throttled to {arg} it ends in about {time}, for about {lost} of guest time."},
    [MIGD_REASON_ARMED_THROTTLE] =
        {"armed-throttle",
         "{left} are left, and one pass cannot tell a guest that converges from one that has reached "
         "its floor. A throttle of {arg} is made ready; it engages only if the next pass dirties more "
         "than {trigger} of what it sends."},
    [MIGD_REASON_THROTTLE_TOO_WEAK] =
        {"throttle-too-weak",
         "At a throttle of {now} the guest still dirties {dirty} against {bandwidth} sent: {arg} is "
         "needed, and ends it in about {time}."},
    [MIGD_REASON_THROTTLE_USELESS] =
        {"throttle-useless",
         "The throttle of {now} does not reduce what the guest dirties ({dirty}): released."},
    [MIGD_REASON_THROTTLE_NOT_NEEDED] =
        {"throttle-not-needed",
         "The guest converges by itself (about {wait} left, pause about {pause}): QEMU's own "
         "throttle is told to keep out."},
    [MIGD_REASON_POSTCOPY_CHEAPEST] =
        {"postcopy-cheapest",
         "It would not end by itself ({left} a pass, {dirty} dirtied against {bandwidth} sent). "
         "Post-copy pulls the rest in about {time} and costs the guest less than any throttle "
         "allowed."},
    [MIGD_REASON_NETWORK_DIP] =
        {"network-dip",
         "The link carries only {bandwidth}, far less than before: waiting for it, at no cost to the "
         "guest."},
    [MIGD_REASON_NOTHING_ALLOWED] =
        {"nothing-allowed",
         "It does not converge ({left} a pass, {dirty} dirtied against {bandwidth} sent), and no "
         "action that is allowed and possible would end it within a pause of {cap}. Watching."},
    [MIGD_REASON_DEADLINE_POSTCOPY] =
        {"deadline-postcopy",
         "The deadline is here with {left} left: switching to post-copy, as the profile says."},
    [MIGD_REASON_DEADLINE_PAUSE] =
        {"deadline-pause",
         "The deadline is here with {left} left: the guest is paused until the rest is sent, as the "
         "profile says."},
    [MIGD_REASON_DEADLINE_ABORT] =
        {"deadline-abort",
         "The deadline is here with {left} left: aborted, as the profile says; the guest runs on at "
         "the source."},
    [MIGD_REASON_HOPELESS_ABORT] =
        {"hopeless-abort",
         "It does not converge ({left} a pass, {dirty} dirtied against {bandwidth} sent), no allowed "
         "action would end it, and this has not changed for many passes: aborted early; the guest "
         "runs on at the source."},
    [MIGD_REASON_COSTS_OVER_CAP] =
        {"costs-over-cap",
         "Device state, the last sync and the start at the destination alone take longer than the "
         "pause of {cap} that the profile allows: no action can mend that."},
    [MIGD_REASON_SWITCHING_OVER] = {"switching-over",
                                    "Past the last pass: nothing is left to decide."},
    [MIGD_REASON_REQUESTED] = {"requested", "Asked for by a person or an orchestrator."},
    [MIGD_REASON_FOREIGN_CHANGE] =
        {"foreign-change",
         "Somebody else has changed a knob of this migration: it is left to them."},
};

#define LOOKUP(table, word, ret)                                                                   \
    for (guint i = 0; i < G_N_ELEMENTS(table); i++)                                                \
        if (g_strcmp0(word, (table)[i]) == 0) {                                                    \
            *(ret) = i;                                                                            \
            return TRUE;                                                                           \
        }                                                                                          \
    return FALSE

const char *
migd_action_to_string(MigdAction action)
{
    return action < MIGD_N_ACTIONS ? action_words[action] : "unknown";
}

gboolean
migd_action_from_string(const char *word, MigdAction *ret)
{
    LOOKUP(action_words, word, ret);
}

const char *
migd_verdict_to_string(MigdVerdict verdict)
{
    return verdict_words[verdict < MIGD_N_VERDICTS ? verdict : MIGD_VERDICT_UNKNOWN];
}

gboolean
migd_verdict_from_string(const char *word, MigdVerdict *ret)
{
    LOOKUP(verdict_words, word, ret);
}

const char *
migd_reason_to_string(MigdReason reason)
{
    return reason < MIGD_N_REASONS ? reasons[reason].word : "unknown";
}

gboolean
migd_reason_from_string(const char *word, MigdReason *ret)
{
    for (guint i = 0; i < G_N_ELEMENTS(reasons); i++) {
        if (g_strcmp0(word, reasons[i].word) == 0) {
            *ret = i;
            return TRUE;
        }
    }
    return FALSE;
}

static char *
format_percent(guint64 pct)
{
    return g_strdup_printf("%" G_GUINT64_FORMAT " %%", pct);
}

static char *
format_argument(const MigdDecision *decision)
{
    switch (decision->action) {
    case MIGD_ACTION_SET_DOWNTIME:
        return migd_format_duration(decision->argument);
    case MIGD_ACTION_SET_BANDWIDTH:
        return migd_format_rate(decision->argument);
    default:
        return format_percent(decision->argument);
    }
}

static char *
format_number(const MigdDecision *decision, const char *name)
{
    const struct {
        const char *name;
        guint64 value;
        char *(*format)(guint64 value);
    } numbers[] = {
        {"left", decision->remaining_bytes, migd_format_bytes},
        {"bandwidth", decision->bandwidth_bps, migd_format_rate},
        {"dirty", decision->dirty_rate_bps, migd_format_rate},
        {"floor", decision->working_set_bytes, migd_format_bytes},
        {"limit", decision->downtime_limit_us, migd_format_duration},
        {"cap", decision->downtime_cap_us, migd_format_duration},
        {"now", decision->throttle_pct, format_percent},
        {"trigger", decision->trigger_pct, format_percent},
        {"wait", decision->wait_time_us.mid, migd_format_duration},
        {"time", decision->time_us_left.mid, migd_format_duration},
        {"pause", decision->pause_us.mid, migd_format_duration},
        {"lost", decision->lost_us, migd_format_duration},
    };

    if (strcmp(name, "arg") == 0)
        return format_argument(decision);
    for (guint i = 0; i < G_N_ELEMENTS(numbers); i++)
        if (strcmp(name, numbers[i].name) == 0)
            return numbers[i].format(numbers[i].value);
    g_assert_not_reached(); /* a template above names a number that does not exist: the unit test
                               walks them all */
}

char *
migd_decision_explain(const MigdDecision *decision)
{
    const char *p = decision->reason < MIGD_N_REASONS ? reasons[decision->reason].sentence : "";
    GString *out = g_string_new(NULL);

    while (*p != '\0') {
        const char *end = *p == '{' ? strchr(p, '}') : NULL;

        if (end == NULL) {
            g_string_append_c(out, *p++);
            continue;
        }
        g_autofree char *name = g_strndup(p + 1, (gsize)(end - p - 1));
        g_autofree char *text = format_number(decision, name);
        g_string_append(out, text);
        p = end + 1;
    }
    return g_string_free(out, FALSE);
}

gboolean
migd_decision_same(const MigdDecision *a, const MigdDecision *b)
{
    return a->action == b->action && a->argument == b->argument &&
           a->trigger_pct == b->trigger_pct && a->reason == b->reason;
}

#define ROW(field, type)                                                                           \
    {                                                                                              \
#field, G_STRUCT_OFFSET(MigdDecision, field), type                                         \
    }

const MigdDecisionField migd_decision_fields[] = {
    ROW(pass, MIGD_NUM_U64),
    ROW(remaining_bytes, MIGD_NUM_U64),
    ROW(bandwidth_bps, MIGD_NUM_U64),
    ROW(dirty_rate_bps, MIGD_NUM_U64),
    ROW(lambda_bps, MIGD_NUM_U64),
    ROW(working_set_bytes, MIGD_NUM_U64),
    ROW(downtime_limit_us, MIGD_NUM_U64),
    ROW(downtime_cap_us, MIGD_NUM_U64),
    ROW(throttle_pct, MIGD_NUM_U32),
    ROW(confidence_pct, MIGD_NUM_U32),
    ROW(wait_time_us, MIGD_NUM_RANGE),
    ROW(time_us_left, MIGD_NUM_RANGE),
    ROW(pause_us, MIGD_NUM_RANGE),
    ROW(send_bytes, MIGD_NUM_RANGE),
    ROW(lost_us, MIGD_NUM_U64),
};

const guint migd_n_decision_fields = G_N_ELEMENTS(migd_decision_fields);

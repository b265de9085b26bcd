/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Bookkeeping of knobs by mask. Sends nothing: the watch reads and writes them.
 */
#include "daemon/guard.h"

#include "base/units.h"

#define MIB 1048576u
#define KNOBS_PARAMETERS                                                                           \
    (MIGD_KNOB_DOWNTIME | MIGD_KNOB_BANDWIDTH | MIGD_KNOBS_THROTTLE | MIGD_KNOB_VCPU_LIMIT)

static const guint32 knobs_of_action[MIGD_N_ACTIONS] = {
    [MIGD_ACTION_SET_DOWNTIME] = MIGD_KNOB_DOWNTIME,
    [MIGD_ACTION_SET_BANDWIDTH] = MIGD_KNOB_BANDWIDTH,
    [MIGD_ACTION_ARM] = MIGD_KNOBS_THROTTLE,
    [MIGD_ACTION_THROTTLE] = MIGD_KNOBS_THROTTLE,
    [MIGD_ACTION_RELEASE] = MIGD_KNOBS_THROTTLE,
    /* Some hypervisors pause by a downtime limit that any rest fits into. */
    [MIGD_ACTION_PAUSE] = MIGD_KNOB_DOWNTIME,
    /* Post-copy has a bandwidth limit of its own, but the pre-copy one may be lifted for it. */
    [MIGD_ACTION_POSTCOPY] = 0,
};

void
migd_guard_init(MigdGuard *guard, const MigdKnobs *saved)
{
    *guard = (MigdGuard){.saved = *saved, .seen = *saved};
}

void
migd_guard_touch(MigdGuard *guard, guint32 mask)
{
    mask &= guard->saved.has;
    guard->touched |= mask;
    guard->unsettled |= mask;
}

guint32
migd_guard_knobs_of(const MigdGuard *guard, MigdAction action)
{
    guint32 knobs = action < MIGD_N_ACTIONS ? knobs_of_action[action] : 0;

    if ((knobs & MIGD_KNOBS_THROTTLE) != 0 && migd_knobs_limit_vcpus(&guard->seen))
        return MIGD_KNOB_VCPU_LIMIT;
    return knobs;
}

void
migd_guard_acted(MigdGuard *guard, const MigdDecision *decision)
{
    migd_guard_touch(guard, migd_guard_knobs_of(guard, decision->action));
    /* These two are set to the very value, so a change right after is seen, too. */
    if (decision->action == MIGD_ACTION_SET_DOWNTIME) {
        guard->seen.downtime_limit_us = decision->argument;
        guard->unsettled &= ~(guint32)MIGD_KNOB_DOWNTIME;
    }
    if (decision->action == MIGD_ACTION_SET_BANDWIDTH) {
        guard->seen.max_bandwidth_bps = decision->argument;
        guard->unsettled &= ~(guint32)MIGD_KNOB_BANDWIDTH;
    }
}

/* The hypervisor keeps the downtime limit in milliseconds. */
static gboolean
is_rounding(const MigdKnobs *a, const MigdKnobs *b)
{
    return a->downtime_limit_us / 1000 == b->downtime_limit_us / 1000 ||
           (a->downtime_limit_us + 999) / 1000 == b->downtime_limit_us / 1000;
}

/* libvirt keeps the speed in MiB/s. */
static gboolean
is_same_speed(const MigdKnobs *a, const MigdKnobs *b)
{
    return a->max_bandwidth_bps != 0 && a->max_bandwidth_bps / MIB == b->max_bandwidth_bps / MIB;
}

/* libvirt's backend makes room above a low throttle, so that libvirt can put back its own. */
static gboolean
is_room(const MigdKnobs *a, const MigdKnobs *b)
{
    return a->throttle_max_pct < MIGD_THROTTLE_INITIAL_PCT &&
           b->throttle_max_pct == MIGD_THROTTLE_INITIAL_PCT &&
           a->throttle_initial_pct == b->throttle_initial_pct;
}

static guint32
take_look(MigdGuard *guard, const MigdKnobs *now)
{
    guint32 changed = migd_knobs_diff(&guard->seen, now) & ~guard->unsettled;

    if ((changed & MIGD_KNOB_DOWNTIME) != 0 && is_rounding(&guard->seen, now))
        changed &= ~(guint32)MIGD_KNOB_DOWNTIME;
    if ((changed & MIGD_KNOB_BANDWIDTH) != 0 && is_same_speed(&guard->seen, now))
        changed &= ~(guint32)MIGD_KNOB_BANDWIDTH;
    if ((changed & MIGD_KNOB_THROTTLE_MAX) != 0 && is_room(&guard->seen, now))
        changed &= ~(guint32)MIGD_KNOB_THROTTLE_MAX;
    guard->seen = *now;
    changed &= KNOBS_PARAMETERS; /* capabilities do not change under way */
    guint32 fresh = changed & ~guard->foreign;
    guard->foreign |= changed;
    return fresh;
}

guint32
migd_guard_look(MigdGuard *guard, const MigdKnobs *now)
{
    guint32 fresh = take_look(guard, now);

    guard->unsettled = 0;
    return fresh;
}

guint32
migd_guard_look_at_sample(MigdGuard *guard, const MigdSample *sample)
{
    guint32 visible = guard->saved.has & ~guard->unsettled;
    MigdKnobs now = guard->seen;

    if (migd_sample_has(sample, MIGD_HAS_DOWNTIME_LIMIT) && (visible & MIGD_KNOB_DOWNTIME) != 0)
        now.downtime_limit_us = sample->downtime_limit_us;
    if (migd_sample_has(sample, MIGD_HAS_MAX_BANDWIDTH) && (visible & MIGD_KNOB_BANDWIDTH) != 0)
        now.max_bandwidth_bps = sample->max_bandwidth_bps;
    return take_look(guard, &now);
}

guint32
migd_guard_to_restore(const MigdGuard *guard)
{
    return guard->touched & ~guard->foreign & migd_knobs_diff(&guard->saved, &guard->seen);
}

static gboolean
is_free(const MigdGuard *guard, guint32 supports, guint32 needed)
{
    return (supports & needed) == needed && (guard->foreign & needed) == 0;
}

MigdAbilities
migd_guard_abilities(const MigdGuard *guard, guint32 supports, gboolean throttle_cocked)
{
    static const guint32 steering =
        MIGD_KNOB_THROTTLE_INITIAL | MIGD_KNOB_THROTTLE_INCREMENT | MIGD_KNOB_THROTTLE_MAX;
    MigdAbilities abilities = {.can = 1u << MIGD_ACTION_ABORT};

    if (is_free(guard, supports, MIGD_KNOB_DOWNTIME))
        abilities.can |= 1u << MIGD_ACTION_SET_DOWNTIME | 1u << MIGD_ACTION_PAUSE;
    if (is_free(guard, supports, MIGD_KNOB_BANDWIDTH))
        abilities.can |= 1u << MIGD_ACTION_SET_BANDWIDTH;
    /* Somebody's own limits are theirs: then there is no throttle. They work at once. */
    if (migd_knobs_limit_vcpus(&guard->seen) && guard->saved.vcpu_limit_bps == 0 &&
        is_free(guard, supports, MIGD_KNOB_VCPU_LIMIT)) {
        abilities.can |=
            1u << MIGD_ACTION_ARM | 1u << MIGD_ACTION_THROTTLE | 1u << MIGD_ACTION_RELEASE;
        abilities.throttle_cocked = TRUE;
    }
    if (guard->seen.auto_converge && is_free(guard, supports, steering) &&
        (guard->foreign & MIGD_KNOBS_THROTTLE) == 0) {
        abilities.can |=
            1u << MIGD_ACTION_ARM | 1u << MIGD_ACTION_THROTTLE | 1u << MIGD_ACTION_RELEASE;
        abilities.throttle_cocked = throttle_cocked;
    }
    if (guard->seen.postcopy)
        abilities.can |= 1u << MIGD_ACTION_POSTCOPY;
    return abilities;
}

static const char *
why_no_throttle(const MigdGuard *guard)
{
    if ((guard->foreign & (MIGD_KNOBS_THROTTLE | MIGD_KNOB_VCPU_LIMIT)) != 0)
        return " A throttle is not possible: somebody else has turned its knobs.";
    if (guard->saved.vcpu_limit_bps != 0)
        return " A throttle is not possible: somebody else has set limits for the guest's vCPUs.";
    if ((guard->saved.has & MIGD_KNOB_THROTTLE_INITIAL) == 0)
        return " A throttle is not possible: its knobs are out of reach (under libvirt they need "
               "AllowMonitorCommands=yes).";
    return " A throttle is not possible: auto-converge was not enabled when the migration began.";
}

char *
migd_guard_explain_missing(const MigdGuard *guard, guint32 can, guint32 wanted)
{
    guint32 missing = wanted & ~can;
    gboolean throttle = (missing & (1u << MIGD_ACTION_THROTTLE)) != 0;
    gboolean postcopy = (missing & (1u << MIGD_ACTION_POSTCOPY)) != 0;

    return g_strconcat(
        throttle ? why_no_throttle(guard) : "",
        postcopy
            ? " Switching to post-copy is not possible: it was not enabled when the migration began."
            : "",
        NULL);
}

static char *
format_value(const MigdKnobField *field, guint64 value)
{
    switch (field->type) {
    case MIGD_KNOB_U64_US:
        return migd_format_duration(value);
    case MIGD_KNOB_U64_BPS:
        return value == 0 ? g_strdup("no limit") : migd_format_rate(value);
    case MIGD_KNOB_U32:
        return g_strdup_printf("%" G_GUINT64_FORMAT " %%", value);
    case MIGD_KNOB_BOOL:
        return g_strdup(value != 0 ? "on" : "off");
    }
    return g_strdup("");
}

char *
migd_guard_describe(guint32 mask, const MigdKnobs *old, const MigdKnobs *now)
{
    GString *text = g_string_new(NULL);

    for (guint i = 0; i < migd_n_knob_fields; i++) {
        const MigdKnobField *field = &migd_knob_fields[i];
        guint64 before = migd_knob_get(old, field), after = migd_knob_get(now, field);

        if ((mask & field->knob) == 0 || before == after)
            continue;
        g_autofree char *from = format_value(field, before);
        g_autofree char *to = format_value(field, after);
        g_string_append_printf(text, "%s%s from %s to %s", text->len > 0 ? ", " : "",
                               field->qmp_name, from, to);
    }
    return g_string_free(text, FALSE);
}

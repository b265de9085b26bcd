/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Tests of whose knob is whose: own changes, somebody else's, what is put back, what can still be
 * done.
 */
#include "daemon/guard.h"

#include <string.h>

#define ALL                                                                                        \
    (MIGD_KNOB_DOWNTIME | MIGD_KNOB_BANDWIDTH | MIGD_KNOBS_THROTTLE | MIGD_KNOB_AUTO_CONVERGE |    \
     MIGD_KNOB_POSTCOPY)

static const MigdKnobs usual = {
    .has = ALL,
    .downtime_limit_us = 300000,
    .max_bandwidth_bps = 134217728,
    .throttle_initial_pct = 20,
    .throttle_increment_pct = 10,
    .throttle_max_pct = 99,
    .throttle_trigger_pct = 50,
};

static MigdDecision
decide(MigdAction action, guint64 argument)
{
    return (MigdDecision){.action = action, .argument = argument};
}

static gboolean
can(const MigdGuard *guard, MigdAction action)
{
    return (migd_guard_abilities(guard, ALL, FALSE).can & (1u << action)) != 0;
}

static void
test_quiet(void)
{
    MigdGuard guard;

    migd_guard_init(&guard, &usual);
    g_assert_cmpuint(migd_guard_look(&guard, &usual), ==, 0);
    g_assert_cmpuint(migd_guard_to_restore(&guard), ==, 0);
    g_assert_cmpuint(guard.foreign, ==, 0);
}

static void
test_own_downtime(void)
{
    MigdDecision decision = decide(MIGD_ACTION_SET_DOWNTIME, 450300);
    MigdKnobs now = usual;
    MigdGuard guard;

    migd_guard_init(&guard, &usual);
    migd_guard_acted(&guard, &decision);
    now.downtime_limit_us = 451000; /* QEMU keeps milliseconds */
    g_assert_cmpuint(migd_guard_look(&guard, &now), ==, 0);
    g_assert_cmpuint(migd_guard_to_restore(&guard), ==, MIGD_KNOB_DOWNTIME);
    now.downtime_limit_us = 900000;
    g_assert_cmpuint(migd_guard_look(&guard, &now), ==, MIGD_KNOB_DOWNTIME);
    g_assert_cmpuint(migd_guard_look(&guard, &now), ==, 0); /* told once */
    g_assert_cmpuint(migd_guard_to_restore(&guard), ==, 0); /* theirs now */
    g_assert_false(can(&guard, MIGD_ACTION_SET_DOWNTIME));
    g_assert_false(can(&guard, MIGD_ACTION_PAUSE));
    g_assert_true(can(&guard, MIGD_ACTION_SET_BANDWIDTH));
}

/* Changed between our command and the first look at it: still seen. */
static void
test_foreign_right_after_own(void)
{
    MigdDecision decision = decide(MIGD_ACTION_SET_DOWNTIME, 450000);
    MigdKnobs now = usual;
    MigdGuard guard;

    migd_guard_init(&guard, &usual);
    migd_guard_acted(&guard, &decision);
    now.downtime_limit_us = 100000;
    g_assert_cmpuint(migd_guard_look(&guard, &now), ==, MIGD_KNOB_DOWNTIME);
}

/* The backend chooses the single values of a throttle: the first look after it takes them over. */
static void
test_throttle(void)
{
    MigdDecision decision = decide(MIGD_ACTION_THROTTLE, 80);
    MigdKnobs now = usual;
    MigdGuard guard;

    now.auto_converge = TRUE;
    migd_guard_init(&guard, &now);
    g_assert_true(can(&guard, MIGD_ACTION_THROTTLE));
    g_assert_true(can(&guard, MIGD_ACTION_ARM));
    migd_guard_acted(&guard, &decision);
    now.throttle_initial_pct = now.throttle_max_pct = 80;
    g_assert_cmpuint(migd_guard_look(&guard, &now), ==, 0);
    g_assert_cmpuint(migd_guard_to_restore(&guard), ==,
                     MIGD_KNOB_THROTTLE_INITIAL | MIGD_KNOB_THROTTLE_MAX);
    now.throttle_max_pct = 90;
    g_assert_cmpuint(migd_guard_look(&guard, &now), ==, MIGD_KNOB_THROTTLE_MAX);
    g_assert_false(can(&guard, MIGD_ACTION_THROTTLE));
    g_assert_false(can(&guard, MIGD_ACTION_RELEASE));
    g_assert_cmpuint(migd_guard_to_restore(&guard), ==, MIGD_KNOB_THROTTLE_INITIAL);
}

/* What was never touched is theirs as well once they turn it, and no knob of ours to put back. */
static void
test_untouched(void)
{
    MigdKnobs now = usual;
    MigdGuard guard;

    migd_guard_init(&guard, &usual);
    now.max_bandwidth_bps = 0;
    g_assert_cmpuint(migd_guard_look(&guard, &now), ==, MIGD_KNOB_BANDWIDTH);
    g_assert_false(can(&guard, MIGD_ACTION_SET_BANDWIDTH));
    g_assert_cmpuint(migd_guard_to_restore(&guard), ==, 0);
}

static void
test_start(void)
{
    MigdKnobs now = usual;
    MigdGuard guard;

    migd_guard_init(&guard, &usual);
    migd_guard_touch(&guard, MIGD_KNOB_AUTO_CONVERGE | MIGD_KNOBS_THROTTLE);
    now.auto_converge = TRUE;
    now.throttle_initial_pct = 1;
    g_assert_cmpuint(migd_guard_look(&guard, &now), ==, 0);
    g_assert_cmpuint(migd_guard_to_restore(&guard), ==,
                     MIGD_KNOB_AUTO_CONVERGE | MIGD_KNOB_THROTTLE_INITIAL);
    g_assert_true(migd_guard_abilities(&guard, ALL, TRUE).throttle_cocked);
}

static void
test_abilities_need_support(void)
{
    MigdKnobs now = usual;
    MigdGuard guard;

    now.auto_converge = now.postcopy = TRUE;
    migd_guard_init(&guard, &now);
    g_assert_cmpuint(migd_guard_abilities(&guard, 0, TRUE).can, ==,
                     1u << MIGD_ACTION_ABORT | 1u << MIGD_ACTION_POSTCOPY);
    g_assert_false(migd_guard_abilities(&guard, 0, TRUE).throttle_cocked);
    guard.seen.auto_converge = guard.seen.postcopy = FALSE;
    g_assert_false(can(&guard, MIGD_ACTION_THROTTLE));
    g_assert_false(can(&guard, MIGD_ACTION_POSTCOPY));
}

static void
test_describe(void)
{
    MigdKnobs now = usual;

    now.downtime_limit_us = 500000;
    now.max_bandwidth_bps = 0;
    now.throttle_max_pct = 50;
    g_autofree char *text = migd_guard_describe(
        MIGD_KNOB_DOWNTIME | MIGD_KNOB_BANDWIDTH | MIGD_KNOB_THROTTLE_INITIAL, &usual, &now);
    g_assert_cmpstr(
        text, ==,
        "downtime-limit from 300 ms to 500 ms, max-bandwidth from 128.0 MiB/s to no limit");
}

/* libvirt rounds to whole MiB/s: that is nobody's hand; a step of a MiB/s is. */
static void
test_speed_rounding(void)
{
    MigdDecision decision = decide(MIGD_ACTION_SET_BANDWIDTH, 50000000);
    MigdKnobs now = usual;
    MigdGuard guard;

    migd_guard_init(&guard, &usual);
    migd_guard_acted(&guard, &decision);
    now.max_bandwidth_bps = 47u << 20;
    g_assert_cmpuint(migd_guard_look(&guard, &now), ==, 0);
    g_assert_cmpuint(migd_guard_to_restore(&guard), ==, MIGD_KNOB_BANDWIDTH);
    now.max_bandwidth_bps = 48u << 20;
    g_assert_cmpuint(migd_guard_look(&guard, &now), ==, MIGD_KNOB_BANDWIDTH);
    now.max_bandwidth_bps = 0; /* no limit is not a limit of nearly nothing */
    guard.foreign = 0;
    g_assert_cmpuint(migd_guard_look(&guard, &now), ==, MIGD_KNOB_BANDWIDTH);
}

/* Room above a throttle that has come down is made by our own backend. */
static void
test_room(void)
{
    MigdDecision decision = decide(MIGD_ACTION_RELEASE, 1);
    MigdKnobs now = usual;
    MigdGuard guard;

    migd_guard_init(&guard, &usual);
    migd_guard_acted(&guard, &decision);
    now.throttle_initial_pct = now.throttle_max_pct = now.throttle_increment_pct = 1;
    g_assert_cmpuint(migd_guard_look(&guard, &now), ==, 0);
    now.throttle_max_pct = 20;
    g_assert_cmpuint(migd_guard_look(&guard, &now), ==, 0);
    g_assert_cmpuint(migd_guard_to_restore(&guard) & MIGD_KNOB_THROTTLE_MAX, !=, 0);
    now.throttle_max_pct = 21;
    g_assert_cmpuint(migd_guard_look(&guard, &now), ==, MIGD_KNOB_THROTTLE_MAX);
}

static void
assert_missing(const MigdGuard *guard, guint32 can_do, const char *text)
{
    static const guint32 wanted = 1u << MIGD_ACTION_THROTTLE | 1u << MIGD_ACTION_POSTCOPY;
    g_autofree char *missing = migd_guard_explain_missing(guard, can_do, wanted);

    g_assert_cmpstr(missing, ==, text);
}

static void
test_missing(void)
{
    static const char postcopy[] =
        " Switching to post-copy is not possible: it was not enabled when the migration began.";
    MigdKnobs bare = {.has = MIGD_KNOB_DOWNTIME | MIGD_KNOB_BANDWIDTH};
    MigdGuard guard;

    migd_guard_init(&guard, &usual);
    assert_missing(&guard, G_MAXUINT32, "");
    assert_missing(&guard, 1u << MIGD_ACTION_THROTTLE, postcopy);
    assert_missing(&guard, 1u << MIGD_ACTION_POSTCOPY,
                   " A throttle is not possible: auto-converge was not enabled when the migration "
                   "began.");
    guard.foreign = MIGD_KNOB_THROTTLE_MAX;
    assert_missing(&guard, 1u << MIGD_ACTION_POSTCOPY,
                   " A throttle is not possible: somebody else has turned its knobs.");
    migd_guard_init(&guard, &bare);
    assert_missing(&guard, 1u << MIGD_ACTION_POSTCOPY,
                   " A throttle is not possible: its knobs are out of reach (under libvirt they "
                   "need AllowMonitorCommands=yes).");
}

/* With a dirty ring a throttle is a limit of the vCPUs, and that alone. */
static void
test_limits(void)
{
    MigdDecision decision = decide(MIGD_ACTION_THROTTLE, 80);
    MigdKnobs ringed = usual, now;
    MigdGuard guard;

    ringed.has |= MIGD_KNOB_VCPU_LIMIT;
    migd_guard_init(&guard, &ringed);
    g_assert_true(can(&guard, MIGD_ACTION_THROTTLE) == FALSE); /* ALL has no limits */
    g_assert_true(
        (migd_guard_abilities(&guard, ringed.has, FALSE).can & 1u << MIGD_ACTION_THROTTLE) != 0);
    g_assert_true(migd_guard_abilities(&guard, ringed.has, FALSE).throttle_cocked);
    g_assert_cmphex(migd_guard_knobs_of(&guard, MIGD_ACTION_THROTTLE), ==, MIGD_KNOB_VCPU_LIMIT);
    migd_guard_acted(&guard, &decision);
    g_assert_cmphex(guard.touched, ==, MIGD_KNOB_VCPU_LIMIT);
    now = ringed;
    now.vcpu_limit_bps = 20 * 1048576; /* only the hypervisor knows which */
    g_assert_cmphex(migd_guard_look(&guard, &now), ==, 0);
    g_assert_cmphex(migd_guard_to_restore(&guard), ==, MIGD_KNOB_VCPU_LIMIT);
    now.vcpu_limit_bps = 0;
    g_assert_cmphex(migd_guard_look(&guard, &now), ==, MIGD_KNOB_VCPU_LIMIT); /* somebody else */
    g_assert_cmphex(migd_guard_to_restore(&guard), ==, 0);
    g_assert_false(migd_guard_abilities(&guard, ringed.has, FALSE).can &
                   1u << MIGD_ACTION_THROTTLE);
}

/* Somebody's own limits stay; and auto-converge, where it is on, is what is steered. */
static void
test_limits_of_others(void)
{
    MigdKnobs limited = usual, converging = usual;
    g_autofree char *why = NULL;
    MigdGuard guard;

    limited.has |= MIGD_KNOB_VCPU_LIMIT;
    limited.vcpu_limit_bps = 1048576;
    migd_guard_init(&guard, &limited);
    g_assert_false(migd_guard_abilities(&guard, limited.has, FALSE).can &
                   1u << MIGD_ACTION_THROTTLE);
    why = migd_guard_explain_missing(&guard, 0, 1u << MIGD_ACTION_THROTTLE);
    g_assert_nonnull(strstr(why, "limits"));
    converging.has |= MIGD_KNOB_VCPU_LIMIT;
    converging.auto_converge = TRUE;
    migd_guard_init(&guard, &converging);
    g_assert_true((migd_guard_abilities(&guard, converging.has, FALSE).can &
                   1u << MIGD_ACTION_THROTTLE) != 0);
    g_assert_cmphex(migd_guard_knobs_of(&guard, MIGD_ACTION_THROTTLE), ==, MIGD_KNOBS_THROTTLE);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/guard/quiet", test_quiet);
    g_test_add_func("/guard/own-downtime", test_own_downtime);
    g_test_add_func("/guard/foreign-right-after-own", test_foreign_right_after_own);
    g_test_add_func("/guard/throttle", test_throttle);
    g_test_add_func("/guard/untouched", test_untouched);
    g_test_add_func("/guard/start", test_start);
    g_test_add_func("/guard/abilities-need-support", test_abilities_need_support);
    g_test_add_func("/guard/describe", test_describe);
    g_test_add_func("/guard/speed-rounding", test_speed_rounding);
    g_test_add_func("/guard/room", test_room);
    g_test_add_func("/guard/missing", test_missing);
    g_test_add_func("/guard/limits", test_limits);
    g_test_add_func("/guard/limits-of-others", test_limits_of_others);
    return g_test_run();
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Each peer against the numbers of the engine that it stands for: when it acts, on what, and with
 * which argument. The samples are made by hand, so that nothing but the peer's own rule decides.
 */
#include <math.h>
#include <string.h>

#include "peers/peers.h"

#define GIB ((guint64)1 << 30)
#define LINK_BPS G_GUINT64_CONSTANT(1100000000)
#define MS(ms) ((guint64)(ms)*1000)
#define HOUR 3600.0

/* One migration under one engine; `sample` is what the next look shows. */
typedef struct {
    const MigdEngine *engine;
    gpointer state;
    MigdKnobs knobs;
    MigdSample sample;
} Seat;

static Seat *
seat_new(const char *name, guint64 memory_gib, guint64 link_bps, gboolean postcopy)
{
    Seat *seat = g_new0(Seat, 1);
    MigdEngineGuest guest = {
        .memory_bytes = memory_gib * GIB, .link_bps = link_bps, .postcopy = postcopy};

    migd_profile_init(&guest.profile);
    seat->engine = migd_engine_find(name);
    g_assert_nonnull(seat->engine);
    seat->knobs = (MigdKnobs){.has = ~0u,
                              .downtime_limit_us = MS(300),
                              .throttle_initial_pct = 20,
                              .throttle_increment_pct = 10,
                              .throttle_max_pct = 99,
                              .throttle_trigger_pct = 50};
    seat->state = seat->engine->start(&guest, &seat->knobs);
    seat->sample = (MigdSample){.has = MIGD_HAS_PASS | MIGD_HAS_REMAINING | MIGD_HAS_TRANSFERRED |
                                       MIGD_HAS_BANDWIDTH | MIGD_HAS_ELAPSED | MIGD_HAS_PAGE_SIZE,
                                .status = MIGD_STATUS_PRECOPY,
                                .pass = 1,
                                .remaining_bytes = memory_gib * GIB,
                                .bandwidth_bps = LINK_BPS,
                                .page_size_bytes = 4096};
    return seat;
}

static void
seat_free(Seat *seat)
{
    seat->engine->free(seat->state);
    g_free(seat);
}
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Seat, seat_free)

static MigdDecision
look(Seat *seat, double at_s)
{
    seat->sample.time_us = (gint64)round(at_s * G_USEC_PER_SEC);
    seat->sample.elapsed_us = (guint64)seat->sample.time_us;
    MigdDecision decision = seat->engine->look(seat->state, &seat->sample);
    seat->sample.has &= ~(guint32)MIGD_HAS_SYNC;
    return decision;
}

/* A look right after a sync that begins `pass` and left `bytes`. */
static MigdDecision
look_at_sync(Seat *seat, double at_s, guint64 pass, double bytes)
{
    seat->sample.has |= MIGD_HAS_SYNC;
    seat->sample.pass = pass;
    seat->sample.remaining_bytes = (guint64)bytes;
    return look(seat, at_s);
}

#define assert_action(decision, what, arg)                                                         \
    G_STMT_START                                                                                   \
    {                                                                                              \
        MigdDecision d_ = (decision);                                                              \
        g_assert_cmpstr(migd_action_to_string(d_.action), ==, migd_action_to_string(what));        \
        g_assert_cmpuint(d_.argument, ==, arg);                                                    \
    }                                                                                              \
    G_STMT_END
#define assert_waits(decision) assert_action(decision, MIGD_ACTION_WAIT, 0)
#define assert_limit(decision, ms) assert_action(decision, MIGD_ACTION_SET_DOWNTIME, MS(ms))

static void
test_table(void)
{
    static const char *const names[] = {
        "migrationd",
        "qemu",
        "qemu-auto-converge",
        "nova",
        "ovirt-minimal-downtime",
        "ovirt-suspend",
        "ovirt-post-copy",
        "ovirt-very-large",
        "kubevirt",
        "kubevirt-tuning",
        "kubevirt-stall",
        "kubevirt-stall-post-copy",
        "proxmox",
        "cloud-hypervisor",
        "incus",
        "xen",
        "virsh-timeout-suspend",
        "virsh-timeout-postcopy",
    };

    for (guint i = 0; i < G_N_ELEMENTS(names); i++) {
        g_assert_cmpstr(migd_engines[i]->name, ==, names[i]);
        g_assert_true(migd_engine_find(names[i]) == migd_engines[i]);
        g_assert_cmpint(migd_engines[i]->poll_us, >, 0);
        g_assert_cmpuint(strlen(migd_engines[i]->about), >, 0);
    }
    g_assert_null(migd_engines[G_N_ELEMENTS(names)]);
    g_assert_null(migd_engine_find("nobody"));
    g_assert_null(migd_engine_find(""));
}

/* Outside the passes nobody has anything to say, whatever the numbers are. */
static void
test_quiet(void)
{
    static const MigdStatus others[] = {MIGD_STATUS_SETUP, MIGD_STATUS_SWITCHOVER,
                                        MIGD_STATUS_POSTCOPY, MIGD_STATUS_COMPLETED};

    for (guint i = 1; migd_engines[i] != NULL; i++)
        for (guint s = 0; s < G_N_ELEMENTS(others); s++) {
            g_autoptr(Seat) seat = seat_new(migd_engines[i]->name, 64, LINK_BPS, TRUE);

            seat->sample.status = others[s];
            for (guint64 pass = 2; pass < 40; pass++)
                assert_waits(look_at_sync(seat, 10000.0 * (double)pass, pass, 1e9));
        }
}

/* When the limit of step 10 came and when it gave up, hours. */
static void
nova_hours(guint64 gib, double *ret_last_step, double *ret_timeout)
{
    g_autoptr(Seat) seat = seat_new("nova", gib, LINK_BPS, TRUE);
    guint64 last = 0;

    g_assert_false(seat->knobs.postcopy);
    g_assert_false(seat->knobs.auto_converge);
    for (double t = 0;; t += 0.5) {
        MigdDecision decision = look(seat, t);

        if (decision.action == MIGD_ACTION_WAIT)
            continue;
        if (decision.action == MIGD_ACTION_ABORT) {
            *ret_timeout = t / HOUR;
            return;
        }
        g_assert_cmpint(decision.action, ==, MIGD_ACTION_SET_DOWNTIME);
        g_assert_cmpuint(decision.argument, ==, last == 0 ? MS(50) : last + MS(45));
        last = decision.argument;
        if (last == MS(500))
            *ret_last_step = t / HOUR;
    }
}

/* 75 s and 800 s for each GiB. */
static void
test_nova_hours(void)
{
    static const struct {
        guint64 gib;
        double last_step, timeout; /* hours */
    } rows[] = {{16, 3.33, 3.56},
                {64, 13.3, 14.2},
                {256, 53.3, 56.9},
                {2, 0.4167, 0.4444},
                {1, 0.4167, 0.4444}};

    for (guint i = 0; i < G_N_ELEMENTS(rows); i++) {
        double last_step = 0, timeout = 0;

        nova_hours(rows[i].gib, &last_step, &timeout);
        g_assert_cmpfloat_with_epsilon(last_step, rows[i].last_step, 0.01 * last_step);
        g_assert_cmpfloat_with_epsilon(timeout, rows[i].timeout, 0.01 * timeout);
    }
}

static void
test_nova_steps(void)
{
    g_autoptr(Seat) seat = seat_new("nova", 16, LINK_BPS, FALSE);

    assert_waits(look(seat, 0));
    assert_limit(look(seat, 0.5), 50);
    assert_waits(look(seat, 1));
    assert_waits(look(seat, 1200)); /* a step every 20 minutes: after them, not at them */
    assert_limit(look(seat, 1200.5), 95);
    assert_limit(look(seat, 12000.5), 500);
    seat->sample.remaining_bytes = 1; /* nothing that it sees changes its mind */
    assert_waits(look(seat, 12800));
    assert_action(look(seat, 12800.5), MIGD_ACTION_ABORT, 0);
}

typedef struct {
    guint64 passes; /* since its first look */
    MigdAction action;
    guint64 downtime_ms;
} OvirtStep;

static const OvirtStep minimal_steps[] = {{2, MIGD_ACTION_SET_DOWNTIME, 150},
                                          {3, MIGD_ACTION_SET_DOWNTIME, 200},
                                          {4, MIGD_ACTION_SET_DOWNTIME, 300},
                                          {5, MIGD_ACTION_SET_DOWNTIME, 400},
                                          {7, MIGD_ACTION_SET_DOWNTIME, 500},
                                          {8, MIGD_ACTION_ABORT, 0},
                                          {0, MIGD_ACTION_WAIT, 0}};
static const OvirtStep suspend_steps[] = {
    {2, MIGD_ACTION_SET_DOWNTIME, 150}, {3, MIGD_ACTION_SET_DOWNTIME, 200},
    {4, MIGD_ACTION_SET_DOWNTIME, 300}, {5, MIGD_ACTION_SET_DOWNTIME, 400},
    {7, MIGD_ACTION_SET_DOWNTIME, 500}, {8, MIGD_ACTION_SET_DOWNTIME, 5000},
    {9, MIGD_ACTION_ABORT, 0},          {0, MIGD_ACTION_WAIT, 0}};
static const OvirtStep post_copy_steps[] = {
    {2, MIGD_ACTION_SET_DOWNTIME, 150},
    {3, MIGD_ACTION_SET_DOWNTIME, 200},
    {4, MIGD_ACTION_POSTCOPY, 0},
    {5, MIGD_ACTION_ABORT, 0}, /* if the switch has failed */
    {0, MIGD_ACTION_WAIT, 0}};
static const OvirtStep very_large_steps[] = {
    {2, MIGD_ACTION_SET_DOWNTIME, 400},  {3, MIGD_ACTION_SET_DOWNTIME, 500},
    {4, MIGD_ACTION_SET_DOWNTIME, 700},  {5, MIGD_ACTION_SET_DOWNTIME, 1000},
    {7, MIGD_ACTION_SET_DOWNTIME, 1500}, {8, MIGD_ACTION_SET_DOWNTIME, 5000},
    {9, MIGD_ACTION_ABORT, 0},           {0, MIGD_ACTION_WAIT, 0}};

static const struct {
    const char *name;
    guint64 init_ms, migrations;
    const OvirtStep *steps;
} ovirt_policies[] = {
    {"ovirt-minimal-downtime", 100, 2, minimal_steps},
    {"ovirt-suspend", 100, 1, suspend_steps},
    {"ovirt-post-copy", 100, 2, post_copy_steps},
    {"ovirt-very-large", 300, 1, very_large_steps},
};

/* One pass more at each look: the list as it is written. Its first look is at 10 s, and what has
 * passed by then does not count. */
static void
test_ovirt_lists(void)
{
    for (guint i = 0; i < G_N_ELEMENTS(ovirt_policies); i++) {
        g_autoptr(Seat) seat = seat_new(ovirt_policies[i].name, 64, LINK_BPS, TRUE);
        const OvirtStep *step = ovirt_policies[i].steps;

        g_assert_true(seat->knobs.auto_converge);
        g_assert_cmpuint(seat->knobs.downtime_limit_us, ==, MS(ovirt_policies[i].init_ms));
        g_assert_cmpuint(seat->knobs.max_bandwidth_bps, ==,
                         LINK_BPS / ovirt_policies[i].migrations);
        g_assert_cmpint(seat->knobs.postcopy, ==, i == 2);
        assert_waits(look(seat, 0));
        for (guint64 n = 0; n < 12; n++) {
            double at_s = 10 + 10 * (double)n;

            seat->sample.pass = 3 + n;
            if (n == step->passes && step->action != MIGD_ACTION_WAIT) {
                assert_action(look(seat, at_s), step->action, MS(step->downtime_ms));
                step++;
            }
            assert_waits(look(seat, at_s)); /* one action a look */
        }
        g_assert_cmpint(step->action, ==, MIGD_ACTION_WAIT);
    }
}

/* However many passes there were, one item is taken a look; and without a new pass none. */
static void
test_ovirt_pace(void)
{
    g_autoptr(Seat) seat = seat_new("ovirt-minimal-downtime", 64, LINK_BPS, FALSE);

    assert_waits(look(seat, 0));
    assert_waits(look(seat, 10));
    seat->sample.pass = 100;
    assert_limit(look(seat, 20), 150);
    assert_waits(look(seat, 30)); /* the pass is the same */
    seat->sample.pass = 101;
    assert_limit(look(seat, 40), 200);
    seat->sample.pass = 102;
    assert_limit(look(seat, 50), 300);
}

static void
test_ovirt_bandwidth(void)
{
    g_autoptr(Seat) unknown = seat_new("ovirt-suspend", 64, 0, FALSE);
    MigdEngineGuest guest = {.memory_bytes = GIB, .link_bps = LINK_BPS};
    MigdKnobs knobs = {.max_bandwidth_bps = 1000};
    const MigdEngine *engine = migd_engine_find("ovirt-suspend");

    g_assert_cmpuint(unknown->knobs.max_bandwidth_bps, ==, 52 * 1048576);
    engine->free(engine->start(&guest, &knobs));
    g_assert_cmpuint(knobs.max_bandwidth_bps, ==, 1000);
}

/* 150 s for each GB of 10^9 bytes, rounded up: 64 GiB count as 69. */
static void
test_kubevirt_timeout(void)
{
    g_autoptr(Seat) seat = seat_new("kubevirt", 64, LINK_BPS, TRUE);

    g_assert_false(seat->knobs.postcopy);
    g_assert_cmpuint(seat->knobs.downtime_limit_us, ==, MS(300));
    for (double t = 0; t < 69 * 150; t += 100) {
        seat->sample.remaining_bytes--; /* a byte is progress */
        assert_waits(look(seat, t));
    }
    seat->sample.remaining_bytes--;
    assert_waits(look(seat, 69 * 150 + 0.8)); /* more than T whole seconds */
    seat->sample.remaining_bytes--;
    assert_action(look(seat, 69 * 150 + 1.2), MIGD_ACTION_ABORT, 0);
}

/* What is left must fall from one look to the next once in 150 s; how low it was before is
 * forgotten, so a sawtooth that gets nowhere is progress. */
static void
test_kubevirt_progress(void)
{
    g_autoptr(Seat) saw = seat_new("kubevirt", 64, LINK_BPS, FALSE);
    g_autoptr(Seat) stuck = seat_new("kubevirt", 64, LINK_BPS, FALSE);

    for (guint i = 0; i < 100; i++) {
        saw->sample.remaining_bytes = i % 2 == 0 ? 3 * GIB : 2 * GIB;
        assert_waits(look(saw, 70 * i));
    }
    assert_waits(look(stuck, 0.4));
    stuck->sample.remaining_bytes++;
    assert_waits(look(stuck, 151.2));
    assert_action(look(stuck, 151.6), MIGD_ACTION_ABORT, 0);
}

/* 150 ms; from the third pass on a seventh of the way to 900 ms each 10 s, in whole ms. */
static void
test_kubevirt_tuning(void)
{
    static const guint64 ramp_ms[] = {257, 364, 471, 578, 685, 792, 899, 900};
    g_autoptr(Seat) seat = seat_new("kubevirt-tuning", 64, LINK_BPS, FALSE);

    g_assert_cmpuint(seat->knobs.downtime_limit_us, ==, MS(150));
    seat->sample.pass = 2;
    assert_waits(look(seat, 62.8));
    seat->sample.pass = 3;
    for (guint i = 0; i < G_N_ELEMENTS(ramp_ms); i++) {
        double at_s = 63.2 + 10 * i;

        assert_limit(look(seat, at_s), ramp_ms[i]);
        seat->sample.remaining_bytes--;
        assert_waits(look(seat, at_s + 9.6));
    }
    assert_waits(look(seat, 200));
}

/* A stall seat that has seen the bandwidth for a minute. */
static Seat *
stall_new(const char *name, gboolean postcopy)
{
    Seat *seat = seat_new(name, 64, LINK_BPS, postcopy);

    g_assert_cmpuint(seat->knobs.downtime_limit_us, ==, MS(300));
    for (guint i = 1; i <= 125; i++)
        assert_waits(look(seat, 0.5 * i));
    return seat;
}

/* Syncs every 5 s from 62.5 s, all with `bytes` left: says nothing up to 97.5 s. */
static MigdDecision
level_syncs(Seat *seat, double bytes)
{
    for (guint i = 0; i < 8; i++)
        assert_waits(look_at_sync(seat, 62.5 + 5 * i, 2 + i, bytes));
    return look_at_sync(seat, 102.5, 10, bytes); /* the first is 40 s old */
}

/* 5 s of link are too much; 1.35 s, half over what is allowed, are not. */
static void
test_stall_ends(void)
{
    g_autoptr(Seat) high = stall_new("kubevirt-stall", TRUE);
    g_autoptr(Seat) border = stall_new("kubevirt-stall", TRUE);
    g_autoptr(Seat) over = stall_new("kubevirt-stall", TRUE);
    g_autoptr(Seat) postcopy = stall_new("kubevirt-stall-post-copy", TRUE);
    g_autoptr(Seat) forced = stall_new("kubevirt-stall-post-copy", FALSE);

    g_assert_false(high->knobs.postcopy);
    g_assert_true(postcopy->knobs.postcopy);
    g_assert_false(forced->knobs.postcopy);
    assert_action(level_syncs(high, 5.0 * LINK_BPS), MIGD_ACTION_ABORT, 0);
    assert_action(level_syncs(over, 1.36 * LINK_BPS), MIGD_ACTION_ABORT, 0);
    assert_action(level_syncs(postcopy, 5.0 * LINK_BPS), MIGD_ACTION_POSTCOPY, 0);
    assert_action(level_syncs(forced, 5.0 * LINK_BPS), MIGD_ACTION_PAUSE, 0);
    assert_limit(level_syncs(border, 1.34 * LINK_BPS), 900);
    assert_waits(
        look_at_sync(border, 107.5, 11, 1.34 * LINK_BPS)); /* a minute for the switchover */
    assert_waits(look(border, 163.4));
    assert_action(look(border, 163.9), MIGD_ACTION_ABORT, 0);
}

/* 4 % better than 40 s ago is progress, less is not. */
static void
test_stall_margin(void)
{
    g_autoptr(Seat) better = stall_new("kubevirt-stall", FALSE);
    g_autoptr(Seat) worse = stall_new("kubevirt-stall", FALSE);

    for (guint i = 0; i < 20; i++)
        assert_waits(look_at_sync(better, 62.5 + 40 * i, 2 + i, pow(0.955, i) * 5.0 * LINK_BPS));
    assert_waits(look_at_sync(worse, 62.5, 2, 5.0 * LINK_BPS));
    assert_action(look_at_sync(worse, 102.5, 3, 0.965 * 5.0 * LINK_BPS), MIGD_ACTION_ABORT, 0);
}

/* Stalled at a high point it waits for a low one; when none comes for 40 s, then 20 s, the lowest
 * since the stall will do. */
static void
test_stall_low_point(void)
{
    g_autoptr(Seat) seat = stall_new("kubevirt-stall", FALSE);

    assert_waits(look_at_sync(seat, 62.5, 2, 0.5 * LINK_BPS));
    assert_waits(look_at_sync(seat, 80, 3, 0.7 * LINK_BPS));
    assert_waits(look_at_sync(seat, 105, 4, 0.9 * LINK_BPS)); /* stalled; waits for 0.5 */
    assert_waits(look_at_sync(seat, 110, 5, 0.7 * LINK_BPS));
    assert_waits(look_at_sync(seat, 120, 6, 0.53 * LINK_BPS)); /* over 0.5 by more than 4 % */
    assert_waits(look_at_sync(seat, 146, 7, 0.8 * LINK_BPS));  /* now for 0.53 */
    assert_waits(look_at_sync(seat, 148, 8, 0.6 * LINK_BPS));
    assert_limit(look_at_sync(seat, 150, 9, 0.55 * LINK_BPS), 900);

    g_autoptr(Seat) patient = stall_new("kubevirt-stall", FALSE);
    assert_waits(look_at_sync(patient, 62.5, 2, 0.5 * LINK_BPS));
    assert_waits(look_at_sync(patient, 105, 4, 0.9 * LINK_BPS));
    assert_waits(look_at_sync(patient, 110, 5, 0.7 * LINK_BPS));
    assert_waits(look_at_sync(patient, 146, 6, 0.9 * LINK_BPS)); /* for 0.7, for 20 s */
    assert_waits(look_at_sync(patient, 160, 7, 0.8 * LINK_BPS));
    assert_limit(look_at_sync(patient, 167, 8, 0.8 * LINK_BPS), 900); /* for 0.8 */
}

/* The estimate is what is left over a bandwidth whose last reading counts 0.4. */
static void
test_stall_bandwidth(void)
{
    g_autoptr(Seat) seat = stall_new("kubevirt-stall", FALSE);

    for (guint i = 0; i < 8; i++)
        assert_waits(look_at_sync(seat, 62.5 + 5 * i, 2 + i, 1.1 * LINK_BPS));
    seat->sample.bandwidth_bps = LINK_BPS / 2; /* 0.8 of the link: 1.375 s instead of 1.1 s */
    assert_waits(look(seat, 98));
    assert_action(look_at_sync(seat, 102.5, 10, 1.1 * LINK_BPS), MIGD_ACTION_ABORT, 0);

    /* So slow that twice its time is not enough: the network must have dropped. It waits, up to its
     * time. */
    g_autoptr(Seat) dip = seat_new("kubevirt-stall-post-copy", 1, LINK_BPS, TRUE);
    dip->sample.bandwidth_bps = 1000000;
    for (guint i = 1; i < 10; i++)
        assert_waits(look(dip, i));
    for (guint i = 1; i < 30; i++)
        assert_waits(look_at_sync(dip, 10 * i, i, 1e9));
    assert_waits(look(dip, 300.9)); /* 2 GB by its way of counting */
    assert_action(look(dip, 301.4), MIGD_ACTION_ABORT, 0);

    /* The same with a link that carries the rest in twice the time. */
    g_autoptr(Seat) late = seat_new("kubevirt-stall-post-copy", 1, LINK_BPS, TRUE);
    late->sample.bandwidth_bps = 4000000;
    assert_waits(look(late, 1));
    assert_waits(look_at_sync(late, 10, 2, 1e9)); /* 250 s of it */
    assert_action(look(late, 301.4), MIGD_ACTION_POSTCOPY, 0);
}

/* It looks a second after the last look, and ten times as often once less is left than it sends
 * between two looks, on the average. */
static void
test_proxmox_polls(void)
{
    g_autoptr(Seat) seat = seat_new("proxmox", 4, LINK_BPS, FALSE);

    g_assert_true(seat->knobs.auto_converge);
    g_assert_cmpuint(seat->knobs.downtime_limit_us, ==, MS(100));
    g_assert_cmpuint(seat->knobs.max_bandwidth_bps, ==, 16 * GIB);
    /* At every look that counts more is left than before: six of them double the limit. */
    for (guint tenth = 0; tenth < 70; tenth++) {
        seat->sample.transferred_bytes += 1000;
        seat->sample.remaining_bytes += 1000;
        assert_waits(look(seat, 0.1 * tenth));
    }
    assert_limit(look(seat, 7), 200);
    seat->sample.transferred_bytes += 1000;
    seat->sample.remaining_bytes = 10; /* less than it has sent a look: from now on every 100 ms */
    assert_waits(look(seat, 8));
    for (guint tenth = 1; tenth < 6; tenth++) {
        seat->sample.transferred_bytes += 1000;
        seat->sample.remaining_bytes += 10;
        assert_waits(look(seat, 8 + 0.1 * tenth));
    }
    seat->sample.transferred_bytes += 1000;
    seat->sample.remaining_bytes += 10;
    assert_limit(look(seat, 8.6), 400);
}

/* Fifteen doublings from 0.1 s to QEMU's maximum of 2000 s, and nothing after. A look at which
 * nothing was sent does not count, one at which what is left falls neither. */
static void
test_proxmox_doubles(void)
{
    g_autoptr(Seat) seat = seat_new("proxmox", 4, LINK_BPS, FALSE);
    guint64 limit_ms = 100, doublings = 0;

    for (guint i = 1; i < 400; i++) {
        gboolean rises = i % 2 == 0;

        seat->sample.transferred_bytes++;
        seat->sample.remaining_bytes = rises ? 2 * GIB : GIB;
        MigdDecision decision = look(seat, 2 * i);
        seat->sample.remaining_bytes += GIB;
        assert_waits(look(seat, 2 * i + 1));
        if (decision.action == MIGD_ACTION_WAIT)
            continue;
        g_assert_cmpuint(i % 12, ==, 0); /* six rises */
        limit_ms = MIN(2 * limit_ms, 2000000);
        assert_limit(decision, limit_ms);
        doublings++;
    }
    g_assert_cmpuint(doublings, ==, 15);
    g_assert_cmpuint(limit_ms, ==, 2000000);

    /* Nothing left counts as a rise. */
    g_autoptr(Seat) empty = seat_new("proxmox", 4, LINK_BPS, FALSE);
    empty->sample.remaining_bytes = 0;
    for (guint i = 1; i < 6; i++) {
        empty->sample.transferred_bytes++;
        assert_waits(look(empty, i));
    }
    empty->sample.transferred_bytes++;
    assert_limit(look(empty, 6), 200);
}

/* What is left over the bandwidth of the last pass, not of the link and not of the first pass. */
static void
test_cloud_hypervisor(void)
{
    g_autoptr(Seat) seat = seat_new("cloud-hypervisor", 64, LINK_BPS, TRUE);

    g_assert_cmpuint(seat->knobs.downtime_limit_us, ==, MS(1));
    seat->sample.transferred_bytes = 100000;
    assert_waits(look_at_sync(seat, 10, 2, 3001)); /* 10 kB/s: 300.1 ms */
    seat->sample.remaining_bytes = 1;
    assert_waits(look(seat, 11)); /* not the end of a pass */
    seat->sample.transferred_bytes = 101000;
    assert_waits(look_at_sync(seat, 12, 3, 200)); /* 500 B/s: 400 ms */
    seat->sample.transferred_bytes = 102000;
    assert_limit(look_at_sync(seat, 13, 4, 300), 2000000); /* 1 kB/s: 300 ms; now */
    assert_waits(look_at_sync(seat, 14, 5, 300));

    g_autoptr(Seat) idle = seat_new("cloud-hypervisor", 64, LINK_BPS, TRUE);
    assert_limit(look_at_sync(idle, 10, 2, 0), 2000000); /* nothing sent and nothing left */

    g_autoptr(Seat) late = seat_new("cloud-hypervisor", 64, LINK_BPS, TRUE);
    late->sample.transferred_bytes = 1000;
    assert_waits(look_at_sync(late, 3599.9, 2, 1000));
    late->sample.transferred_bytes = 2000;
    assert_action(look_at_sync(late, 3600, 3, 1e6), MIGD_ACTION_ABORT, 0);
}

static void
test_xen(void)
{
    g_autoptr(Seat) busy = seat_new("xen", 64, LINK_BPS, TRUE);
    g_autoptr(Seat) quiet = seat_new("xen", 64, LINK_BPS, TRUE);

    g_assert_cmpuint(busy->knobs.downtime_limit_us, ==, MS(1));
    for (guint64 sent = 1; sent < 5; sent++) /* passes sent */
        assert_waits(look_at_sync(busy, 10.0 * (double)sent, sent + 1, 50 * 4096));
    assert_waits(look(busy, 45));
    assert_action(look_at_sync(busy, 50, 6, 1e12), MIGD_ACTION_PAUSE, 0);
    assert_waits(look_at_sync(busy, 60, 7, 1e12));
    assert_limit(look_at_sync(quiet, 10, 2, 50 * 4096 - 1), 2000000);
}

static void
test_incus(void)
{
    g_autoptr(Seat) seat = seat_new("incus", 64, LINK_BPS, TRUE);

    g_assert_true(seat->knobs.auto_converge);
    g_assert_cmpuint(seat->knobs.throttle_initial_pct, ==, 50);
    g_assert_cmpuint(seat->knobs.throttle_trigger_pct, ==, 20);
    g_assert_cmpuint(seat->knobs.throttle_max_pct, ==, 99);
    g_assert_cmpuint(seat->knobs.downtime_limit_us, ==, MS(300));
    for (guint64 pass = 2; pass < 100; pass++)
        assert_waits(look_at_sync(seat, 100.0 * (double)pass, pass, 1e10));
}

/* Three copies of 64 GiB over the link take 187 s; a minute at least; 5 minutes if it cannot tell.
 */
static void
test_virsh(void)
{
    static const struct {
        guint64 gib, link_bps;
        double timeout_s;
    } rows[] = {{64, LINK_BPS, 187}, {1, LINK_BPS, 60}, {64, 0, 300}};

    for (guint i = 0; i < G_N_ELEMENTS(rows); i++) {
        g_autoptr(Seat) suspend =
            seat_new("virsh-timeout-suspend", rows[i].gib, rows[i].link_bps, TRUE);
        g_autoptr(Seat) postcopy =
            seat_new("virsh-timeout-postcopy", rows[i].gib, rows[i].link_bps, TRUE);

        g_assert_false(suspend->knobs.postcopy);
        g_assert_true(postcopy->knobs.postcopy);
        assert_waits(look(suspend, rows[i].timeout_s - 0.1));
        assert_waits(look(postcopy, rows[i].timeout_s - 0.1));
        assert_action(look(suspend, rows[i].timeout_s), MIGD_ACTION_PAUSE, 0);
        assert_action(look(postcopy, rows[i].timeout_s), MIGD_ACTION_POSTCOPY, 0);
        assert_waits(look(suspend, 10000)); /* the timer fires once */
        assert_waits(look(postcopy, 10000));
    }
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/peers/table", test_table);
    g_test_add_func("/peers/quiet", test_quiet);
    g_test_add_func("/peers/nova/hours", test_nova_hours);
    g_test_add_func("/peers/nova/steps", test_nova_steps);
    g_test_add_func("/peers/ovirt/lists", test_ovirt_lists);
    g_test_add_func("/peers/ovirt/pace", test_ovirt_pace);
    g_test_add_func("/peers/ovirt/bandwidth", test_ovirt_bandwidth);
    g_test_add_func("/peers/kubevirt/timeout", test_kubevirt_timeout);
    g_test_add_func("/peers/kubevirt/progress", test_kubevirt_progress);
    g_test_add_func("/peers/kubevirt/tuning", test_kubevirt_tuning);
    g_test_add_func("/peers/kubevirt/stall/ends", test_stall_ends);
    g_test_add_func("/peers/kubevirt/stall/margin", test_stall_margin);
    g_test_add_func("/peers/kubevirt/stall/low-point", test_stall_low_point);
    g_test_add_func("/peers/kubevirt/stall/bandwidth", test_stall_bandwidth);
    g_test_add_func("/peers/proxmox/polls", test_proxmox_polls);
    g_test_add_func("/peers/proxmox/doubles", test_proxmox_doubles);
    g_test_add_func("/peers/cloud-hypervisor", test_cloud_hypervisor);
    g_test_add_func("/peers/xen", test_xen);
    g_test_add_func("/peers/incus", test_incus);
    g_test_add_func("/peers/virsh", test_virsh);
    return g_test_run();
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * QEMU's rules in the simulation: when the sender looks, what a sync does, when a throttle engages.
 * Times and bytes that can be reckoned by hand, and runs of real QEMUs (7.2, KVM) that it must
 * reproduce.
 */
#include <math.h>
#include <string.h>

#include "sim/run.h"
#include "sim/sim.h"

#define MAX_SYNCS 64

typedef struct {
    guint n;
    double at_s[MAX_SYNCS], left[MAX_SYNCS];
    guint32 throttle[MAX_SYNCS];
    MigdSample end;
} Syncs;

static MigdScenario *
parse(const char *text)
{
    g_autoptr(GError) error = NULL;
    MigdScenario *scenario = migd_scenario_parse(text, strlen(text), &error);

    g_assert_no_error(error);
    return scenario;
}

/* Runs for `seconds` or to the end; `knobs` (may be NULL) are set before. */
static Syncs
run_syncs(const char *text, const MigdKnobs *knobs, guint32 mask, double seconds)
{
    g_autoptr(MigdScenario) scenario = parse(text);
    g_autoptr(MigdSim) sim = migd_sim_new(scenario);
    MigdKnobs unlimited = {.has = MIGD_KNOB_BANDWIDTH};
    Syncs syncs = {0};

    migd_sim_set_knobs(sim, &unlimited, MIGD_KNOB_BANDWIDTH);
    if (knobs != NULL)
        migd_sim_set_knobs(sim, knobs, mask);
    migd_sim_start(sim);
    do {
        guint64 used_us;
        MigdSimEvent event = migd_sim_run(sim, 330 * 1000, &used_us);

        migd_sim_sample(sim, &syncs.end);
        if (event == MIGD_SIM_PASS && syncs.n < MAX_SYNCS) {
            syncs.at_s[syncs.n] = (double)syncs.end.time_us / G_USEC_PER_SEC;
            syncs.left[syncs.n] = (double)syncs.end.remaining_bytes;
            syncs.throttle[syncs.n++] = syncs.end.throttle_pct;
        }
    } while (!migd_status_is_end(syncs.end.status) &&
             (double)syncs.end.time_us / G_USEC_PER_SEC < seconds);
    return syncs;
}

static void
assert_near(double got, double wanted, double most)
{
    if (fabs(got - wanted) > most)
        g_error("got %f, wanted %f within %f", got, wanted, most);
}

#define BUSY "[guest]\nmemory=100MB\ndirty-rate=100MB/s\nworking-set=60MB\n"

/* QEMU's limit binds: it looks every tenth of a second, though it was asked in between. */
static void
test_looks_capped(void)
{
    MigdKnobs knobs = {.has = MIGD_KNOB_BANDWIDTH, .max_bandwidth_bps = 40000000};
    Syncs syncs = run_syncs(BUSY "[link]\nbandwidth=1GB/s\n", &knobs, MIGD_KNOB_BANDWIDTH, 10);

    g_assert_cmpuint(syncs.n, >=, 5);
    for (guint i = 0; i < syncs.n; i++)
        assert_near(syncs.at_s[i] * 10, round(syncs.at_s[i] * 10), 1e-4);
    /* 12 MB fit: the first look with less than that left is the 23rd. */
    assert_near(syncs.at_s[0], 2.3, 1e-4);
}

/* The link binds: it looks after 51 ms or more, in steps of 64 pages: 9 of them at 40 MiB/s. */
static void
test_looks_at_link(void)
{
    Syncs syncs = run_syncs(BUSY "[link]\nbandwidth=40MiB/s\n", NULL, 0, 10);
    double from_s = 0;

    g_assert_cmpuint(syncs.n, >=, 5);
    for (guint i = 0; i < syncs.n; from_s = syncs.at_s[i++]) {
        double looks = (syncs.at_s[i] - from_s) / 0.05625;

        assert_near(looks, round(looks), 1e-3);
    }
}

/* What fits into the pause is less than what is sent between two looks: nothing is left unsent, and
 * only what was dirtied meanwhile remains. */
static void
test_drained(void)
{
    MigdKnobs knobs = {.has = MIGD_KNOB_DOWNTIME, .downtime_limit_us = 10000};
    Syncs syncs = run_syncs("[guest]\nmemory=97MB\ndirty-rate=1MB/s\nworking-set=50MB\n"
                            "[link]\nbandwidth=100MB/s\n",
                            &knobs, MIGD_KNOB_DOWNTIME, 10);

    g_assert_cmpuint(syncs.n, ==, 1);
    assert_near(syncs.at_s[0], 0.97, 1e-3);
    assert_near(syncs.left[0], 0.96e6, 1e4);
    g_assert_cmpint(syncs.end.status, ==, MIGD_STATUS_COMPLETED);
    assert_near((double)syncs.end.downtime_us, 9.6e3, 100);
}

/* With a limit of 0 QEMU stops the guest once everything was sent, before it looks at what is
 * dirty: seen on a real pair as a pause of 1.3 s. */
static void
test_no_limit_at_all(void)
{
    MigdKnobs knobs = {.has = MIGD_KNOB_DOWNTIME, .downtime_limit_us = 0};
    Syncs syncs = run_syncs("[guest]\nmemory=100MB\ndirty-rate=500MB/s\nworking-set=50MB\n"
                            "[link]\nbandwidth=50MB/s\n",
                            &knobs, MIGD_KNOB_DOWNTIME, 10);

    g_assert_cmpuint(syncs.n, ==, 0);
    g_assert_cmpint(syncs.end.status, ==, MIGD_STATUS_COMPLETED);
    g_assert_cmpuint(syncs.end.pass, ==, 2);
    assert_near((double)syncs.end.downtime_us, 1e6, 1e3);
}

/* Pages that were never written are counted as left until the first pass has been over them, and
 * cost nothing. */
static void
test_never_written(void)
{
    g_autoptr(MigdScenario) scenario =
        parse("[guest]\nmemory=1GB\nzero=0.75\n[link]\nbandwidth=100MB/s\n");
    g_autoptr(MigdSim) sim = migd_sim_new(scenario);
    MigdSample sample;
    guint64 used_us;

    migd_sim_start(sim);
    migd_sim_run(sim, 1, &used_us);
    migd_sim_sample(sim, &sample);
    g_assert_cmpuint(sample.remaining_bytes, ==, 1000000000);
    migd_sim_run(sim, G_USEC_PER_SEC, &used_us);
    migd_sim_sample(sim, &sample);
    assert_near((double)sample.remaining_bytes, 6e8, 1e4);
    while (!migd_status_is_end(sample.status)) {
        migd_sim_run(sim, 10 * G_USEC_PER_SEC, &used_us);
        migd_sim_sample(sim, &sample);
    }
    assert_near((double)sample.transferred_bytes, 2.5e8, 1e4);
    /* The sync at the end of the pass, and the one with the guest stopped. */
    g_assert_cmpuint(sample.pass, ==, 3);
}

/* Where they come last, all that was written has been sent by the first sync: what it finds is what
 * was dirtied. Seen on a real pair as a pause of 116 ms where 300 were allowed. */
static void
test_never_written_last(void)
{
    Syncs syncs = run_syncs("[guest]\nmemory=137MiB\nzero=0.177\nzero-last=yes\n"
                            "dirty-rate=6MB/s\nworking-set=21MiB\n[link]\nbandwidth=65MiB/s\n",
                            NULL, 0, 10);

    g_assert_cmpuint(syncs.n, ==, 1);
    assert_near(syncs.at_s[0], 1.73, 0.01);
    assert_near(syncs.left[0], 8.3e6, 1e5);
    g_assert_cmpint(syncs.end.status, ==, MIGD_STATUS_COMPLETED);
    assert_near((double)syncs.end.downtime_us, 116e3, 7e3);
}

/* Where QEMU's limit binds, the sync comes as soon as nothing is left to send, and what was not
 * used of a tenth's worth goes out in that tenth. */
static void
test_rest_of_a_tenth(void)
{
    MigdKnobs knobs = {.has = MIGD_KNOB_BANDWIDTH | MIGD_KNOB_DOWNTIME,
                       .max_bandwidth_bps = 40000000,
                       .downtime_limit_us = 10000};
    Syncs syncs = run_syncs("[guest]\nmemory=97MB\ndirty-rate=1MB/s\nworking-set=50MB\n"
                            "[link]\nbandwidth=1GB/s\n",
                            &knobs, knobs.has, 10);

    g_assert_cmpuint(syncs.n, ==, 2);
    assert_near(syncs.at_s[0], 2.401, 1e-3); /* a quarter of the 25th */
    assert_near(syncs.left[0], 2.34e6, 1e4);
    assert_near(syncs.at_s[1], 2.4034, 1e-3);
    g_assert_cmpint(syncs.end.status, ==, MIGD_STATUS_COMPLETED);
}

/* A guest that writes in order does not come back to what is unsent before it has been through the
 * rest of its set; one that writes anywhere does. */
static void
test_sweep(void)
{
    static const char *const text = "[guest]\nmemory=200MB\ndirty-rate=50MB/s\n"
                                    "working-set=150MB\nsweep=yes\n[link]\nbandwidth=100MB/s\n";
    MigdKnobs knobs = {.has = MIGD_KNOB_DOWNTIME, .downtime_limit_us = 100000};
    Syncs syncs = run_syncs(text, &knobs, knobs.has, 10);

    g_assert_cmpuint(syncs.n, >=, 3);
    for (guint i = 1; i < syncs.n; i++) {
        double took_s = syncs.at_s[i] - syncs.at_s[i - 1];
        double unsent = syncs.left[i - 1] - 100e6 * took_s;

        assert_near(syncs.left[i], unsent + 50e6 * took_s, 1e4);
    }
}

/* Auto-converge counts two high syncs, at least a second apart, for each step. */
static void
test_throttle_steps(void)
{
    MigdKnobs knobs = {.has = MIGD_KNOB_AUTO_CONVERGE, .auto_converge = TRUE};
    Syncs syncs = run_syncs("[guest]\nmemory=400MB\ndirty-rate=900MB/s\nworking-set=300MB\n"
                            "[link]\nbandwidth=100MB/s\n",
                            &knobs, MIGD_KNOB_AUTO_CONVERGE, 25);
    guint32 level = 0;

    g_assert_cmpuint(syncs.n, >=, 5);
    for (guint i = 0; i < syncs.n && i < 6; i++) {
        if (i % 2 == 1)
            level = level == 0 ? 20 : level + 10;
        g_assert_cmpuint(syncs.throttle[i], ==, level);
    }
}

/* Post-copy begins with a sync: what was dirtied in the pass has to be pulled, too. */
static void
test_postcopy_syncs(void)
{
    g_autoptr(MigdScenario) scenario =
        parse("[guest]\nmemory=1GB\ndirty-rate=200MB/s\nworking-set=500MB\npostcopy=yes\n"
              "[link]\nbandwidth=100MB/s\n");
    g_autoptr(MigdSim) sim = migd_sim_new(scenario);
    MigdKnobs knobs = {.has = MIGD_KNOB_POSTCOPY | MIGD_KNOB_BANDWIDTH, .postcopy = TRUE};
    MigdDecision go = {.action = MIGD_ACTION_POSTCOPY};
    MigdSample before, after;
    guint64 used_us;

    migd_sim_set_knobs(sim, &knobs, knobs.has);
    migd_sim_start(sim);
    migd_sim_run(sim, 1, &used_us);
    migd_sim_run(sim, 5 * G_USEC_PER_SEC, &used_us);
    migd_sim_sample(sim, &before);
    g_assert_true(migd_sim_act(sim, &go));
    migd_sim_sample(sim, &after);
    g_assert_cmpint(after.status, ==, MIGD_STATUS_POSTCOPY);
    /* 432 MB are dirty after 5 s; half of the memory was unsent, so half of them are new. */
    assert_near((double)(after.remaining_bytes - before.remaining_bytes), 216e6, 1e6);
}

/* As measured: a guest of tests/guest (pattern=random) on a pair of QEMU 7.2 under KVM, its rate as
 * it counted itself. */
static void
test_recorded(void)
{
    static const struct {
        const char *what, *text;
        const MigdEngine *engine;
        double total_s, pause_s;
        guint passes;
    } runs[] = {
        {"20 MB/s over 64 of 136 MiB, the link binds",
         "[guest]\nmemory=136MiB\nzero=0.06\ndirty-rate=19.4MB/s\nworking-set=64MiB\n"
         "[link]\nbandwidth=40MiB/s\n[costs]\nfixed-downtime=4ms\n",
         &migd_engine_qemu, 4.684, 0.272, 8},
        {"the same, QEMU's limit binds",
         "[guest]\nmemory=136MiB\nzero=0.06\ndirty-rate=19.8MB/s\nworking-set=64MiB\n"
         "[link]\nbandwidth=1GB/s\nmax-bandwidth=40MiB/s\n[costs]\nfixed-downtime=4ms\n",
         &migd_engine_qemu, 4.436, 0.019, 7},
        {"90 MB/s over 64 MiB, auto-converge, the link binds",
         "[guest]\nmemory=74MiB\nzero=0.137\ndirty-rate=84.5MB/s\nworking-set=64MiB\n"
         "[link]\nbandwidth=40MiB/s\n[costs]\nfixed-downtime=4ms\n",
         &migd_engine_qemu_auto_converge, 11.430, 0.277, 27},
        {"the same, QEMU's limit binds",
         "[guest]\nmemory=74MiB\nzero=0.137\ndirty-rate=86MB/s\nworking-set=64MiB\n"
         "[link]\nbandwidth=1GB/s\nmax-bandwidth=40MiB/s\n[costs]\nfixed-downtime=4ms\n",
         &migd_engine_qemu_auto_converge, 12.153, 0.011, 27},
    };
    MigdProfile profile;

    migd_profile_init(&profile);
    for (guint i = 0; i < G_N_ELEMENTS(runs); i++) {
        g_autoptr(MigdScenario) scenario = parse(runs[i].text);
        g_autoptr(MigdRun) run = migd_run(scenario, runs[i].engine, &profile);

        g_test_message("%s: %.3f s for %.3f, pause %.3f for %.3f, %" G_GUINT64_FORMAT
                       " passes for %u",
                       runs[i].what, run->total_s, runs[i].total_s, run->downtime_s,
                       runs[i].pause_s, run->passes, runs[i].passes);
        g_assert_cmpint(run->result, ==, MIGD_RUN_COMPLETED);
        assert_near(run->total_s, runs[i].total_s, 0.1 * runs[i].total_s);
        assert_near(run->downtime_s, runs[i].pause_s, MAX(0.1 * runs[i].pause_s, 0.015));
        assert_near((double)run->passes, runs[i].passes, MAX(0.1 * runs[i].passes, 1));
    }
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/sim/looks/capped", test_looks_capped);
    g_test_add_func("/sim/looks/link", test_looks_at_link);
    g_test_add_func("/sim/looks/drained", test_drained);
    g_test_add_func("/sim/looks/no-limit", test_no_limit_at_all);
    g_test_add_func("/sim/never-written", test_never_written);
    g_test_add_func("/sim/never-written/last", test_never_written_last);
    g_test_add_func("/sim/looks/rest-of-a-tenth", test_rest_of_a_tenth);
    g_test_add_func("/sim/sweep", test_sweep);
    g_test_add_func("/sim/throttle", test_throttle_steps);
    g_test_add_func("/sim/postcopy", test_postcopy_syncs);
    g_test_add_func("/sim/recorded", test_recorded);
    return g_test_run();
}

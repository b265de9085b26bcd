/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The loop between a simulated migration and an engine: what a run costs, by figures that can be
 * checked by hand, and when an engine is asked and heard.
 */
#include <string.h>

#include "sim/run.h"

/* 10 s of link. */
#define IDLE "[scenario]\ntime-limit=100s\n[guest]\nmemory=1GB\n[link]\nbandwidth=100MB/s\n"
/* Never ends by itself: a second of link, written ten times as fast. */
#define BUSY                                                                                       \
    "[scenario]\ntime-limit=100s\n[guest]\nmemory=1GB\ndirty-rate=1GB/s\nworking-set=100MB\n"      \
    "postcopy=yes\n[link]\nbandwidth=100MB/s\n"

/* ---- an engine that does one thing at one time ----------------------------------------------- */

typedef struct {
    MigdDecision action;
    gint64 at_us;
    gboolean again; /* as often as it is asked */
    gboolean postcopy, auto_converge;
    guint asked, syncs, acted, refused;
    gint64 times_us[16]; /* of the first calls */
} Script;

static Script script;

static gpointer
start_script(const MigdEngineGuest *guest, MigdKnobs *knobs)
{
    knobs->postcopy = script.postcopy;
    knobs->auto_converge = script.auto_converge;
    knobs->throttle_trigger_pct = 1;
    return NULL;
}

static MigdDecision
look_script(gpointer state, const MigdSample *sample)
{
    MigdDecision decision = script.action;

    if (script.asked < G_N_ELEMENTS(script.times_us))
        script.times_us[script.asked] = sample->time_us;
    script.asked++;
    script.syncs += (sample->has & MIGD_HAS_SYNC) != 0;
    decision.time_us = sample->time_us;
    if (sample->time_us < script.at_us || (script.acted > 0 && !script.again))
        return (MigdDecision){.time_us = sample->time_us};
    script.acted++;
    return decision;
}

static void
note_script(gpointer state, const MigdDecision *decision, gint64 time_us, gboolean ok)
{
    script.refused += !ok;
}

static void
free_script(gpointer state)
{
}

static MigdRun *
run_script(const char *text, Script what, gboolean at_syncs)
{
    MigdEngine engine = {
        .name = "script",
        .poll_us = G_USEC_PER_SEC,
        .at_syncs = at_syncs,
        .start = start_script,
        .look = look_script,
        .note = note_script,
        .free = free_script,
    };
    g_autoptr(GError) error = NULL;
    g_autoptr(MigdScenario) scenario = migd_scenario_parse(text, strlen(text), &error);
    MigdProfile profile;

    g_assert_no_error(error);
    migd_profile_init(&profile);
    script = what;
    return migd_run(scenario, &engine, &profile);
}

static MigdRun *
run_action(const char *text, MigdAction action, guint64 argument, gint64 at_s)
{
    Script what = {
        .action = {.action = action, .argument = argument, .trigger_pct = 1},
        .at_us = at_s * G_USEC_PER_SEC,
        .postcopy = TRUE,
        .auto_converge = action == MIGD_ACTION_THROTTLE,
    };

    return run_script(text, what, FALSE);
}

/* ---- costs --------------------------------------------------------------------------------- */

static void
test_idle(void)
{
    g_autoptr(MigdRun) run =
        run_action(IDLE "[costs]\nfixed-downtime=50ms\n", MIGD_ACTION_WAIT, 0, 0);

    /* 1 GB at 100 MB/s is 10 s, whatever part of it is sent in the pause; 50 ms come on top. */
    g_assert_cmpint(run->result, ==, MIGD_RUN_COMPLETED);
    g_assert_true(migd_run_arrived(run));
    g_assert_cmpfloat_with_epsilon(run->total_s, 10.05, 1e-3);
    g_assert_cmpuint(run->sent_bytes, ==, 1000000000);
    g_assert_cmpuint(run->ram_bytes, ==, 1000000000);
    g_assert_cmpfloat(run->downtime_s, >=, 0.05);
    g_assert_cmpfloat(run->downtime_s, <=, 0.35 + 1e-6);
    g_assert_cmpfloat(run->throttle_s, ==, 0);
    g_assert_cmpfloat(run->lost_s, ==, run->downtime_s);
    g_assert_cmpfloat_with_epsilon(run->cost_s, run->total_s + 10 * run->downtime_s, 1e-9);
}

static void
test_running(void)
{
    g_autoptr(MigdRun) run = run_action(BUSY, MIGD_ACTION_WAIT, 0, 0);

    g_assert_cmpint(run->result, ==, MIGD_RUN_RUNNING);
    g_assert_false(migd_run_arrived(run));
    g_assert_cmpfloat_with_epsilon(run->total_s, 100, 1e-3);
    g_assert_cmpfloat(run->downtime_s, ==, 0);
    g_assert_cmpfloat_with_epsilon(run->cost_s, 200, 1e-3); /* the time, and the limit on top */
}

static void
test_aborted(void)
{
    g_autoptr(MigdRun) run = run_action(BUSY, MIGD_ACTION_ABORT, 0, 5);

    g_assert_cmpint(run->result, ==, MIGD_RUN_ABORTED);
    g_assert_cmpfloat_with_epsilon(run->total_s, 5, 1e-3);
    g_assert_cmpfloat_with_epsilon(run->cost_s, 105, 1e-3);
}

static void
test_postcopy(void)
{
    /* At 4 s, 400 MB are sent; of the 1 GB the guest has dirtied its set again, which lies anywhere
     * in the memory: 600 MB + 40 % of 100 MB are pulled, half a guest second for each second. */
    g_autoptr(MigdRun) run = run_action(BUSY, MIGD_ACTION_POSTCOPY, 0, 4);

    g_assert_cmpint(run->result, ==, MIGD_RUN_POSTCOPY);
    g_assert_cmpfloat_with_epsilon(run->pull_s, 6.4, 1e-3);
    g_assert_cmpfloat_with_epsilon(run->total_s, 10.4, 1e-3);
    g_assert_cmpfloat_with_epsilon(run->lost_s, 3.2, 1e-3);
    g_assert_cmpfloat_with_epsilon(run->cost_s, 10.4 + 32, 1e-2);
    g_assert_cmpfloat(run->downtime_s, ==, 0);
}

static void
test_paused(void)
{
    g_autoptr(MigdRun) run = run_action(BUSY, MIGD_ACTION_PAUSE, 0, 20);

    /* The guest stops at the next sync, with about a second of link to go. */
    g_assert_cmpint(run->result, ==, MIGD_RUN_PAUSED);
    g_assert_true(migd_run_arrived(run));
    g_assert_cmpfloat(run->downtime_s, >, 0.9);
    g_assert_cmpfloat(run->downtime_s, <=, 1.0 + 1e-6);
    g_assert_cmpfloat(run->total_s, <, 22);
}

static void
test_throttled(void)
{
    g_autoptr(MigdRun) run = run_action(BUSY, MIGD_ACTION_THROTTLE, 50, 0);

    /* QEMU engages it at the second sync; a set written ten times as fast does not care about
     * half of it. */
    g_assert_cmpint(run->result, ==, MIGD_RUN_RUNNING);
    g_assert_cmpuint(run->most_throttle_pct, ==, 50);
    g_assert_cmpfloat(run->throttle_s, >, 0.5 * (100 - 13));
    g_assert_cmpfloat(run->throttle_s, <, 0.5 * (100 - 10));
    g_assert_cmpfloat_with_epsilon(run->cost_s, 200 + 10 * run->throttle_s, 1e-2);
}

/* ---- who is asked, and heard --------------------------------------------------------------- */

static void
test_polls(void)
{
    g_autoptr(MigdRun) run = run_script(BUSY, (Script){0}, FALSE);

    g_assert_cmpuint(script.asked, >=, 100);
    g_assert_cmpuint(script.asked, <=, 101);
    for (guint i = 0; i < G_N_ELEMENTS(script.times_us); i++)
        g_assert_cmpint(ABS(script.times_us[i] - (gint64)i * G_USEC_PER_SEC), <=, 1);
}

static void
test_syncs(void)
{
    g_autoptr(MigdRun) run = run_script(BUSY, (Script){0}, TRUE);

    /* Every sync is shown, at its time, on top of the polls. */
    g_assert_cmpuint(script.syncs, ==, run->passes - 1);
    g_assert_cmpuint(script.asked, >, 150);
}

static void
test_tireless(void)
{
    Script what = {.action = {.action = MIGD_ACTION_SET_DOWNTIME, .argument = 1000}, .again = TRUE};
    g_autoptr(MigdRun) run = run_script(IDLE, what, FALSE);

    /* Eight actions at a time, not for ever; said twice, a decision is noted once. */
    g_assert_cmpint(run->result, ==, MIGD_RUN_COMPLETED);
    g_assert_cmpuint(script.acted % 8, ==, 0);
    g_assert_cmpuint(run->decisions->len, ==, 1);
}

static void
test_refused(void)
{
    Script what = {.action = {.action = MIGD_ACTION_POSTCOPY}, .postcopy = FALSE};
    g_autoptr(MigdRun) run = run_script(IDLE, what, FALSE);

    g_assert_cmpuint(script.refused, ==, 1);
    g_assert_cmpint(run->result, ==, MIGD_RUN_COMPLETED);
}

/* ---- bit for bit --------------------------------------------------------------------------- */

static void
test_same(void)
{
    static const char noisy[] = "[scenario]\nnoise=0.2\nseed=%u\n[guest]\nmemory=8GiB\n"
                                "dirty-rate=3GB/s\nworking-set=900MB\n";
    MigdRun *runs[3];
    MigdProfile profile;

    migd_profile_init(&profile);
    for (guint i = 0; i < G_N_ELEMENTS(runs); i++) {
        g_autofree char *seed = g_strdup_printf("%u", i < 2 ? 5u : 6u);
        g_auto(GStrv) parts = g_strsplit(noisy, "%u", 2);
        g_autofree char *text = g_strjoinv(seed, parts);
        g_autoptr(MigdScenario) scenario = migd_scenario_parse(text, strlen(text), NULL);

        runs[i] = migd_run(scenario, &migd_engine_migrationd, &profile);
    }
    g_assert_cmpfloat(runs[0]->cost_s, ==, runs[1]->cost_s);
    g_assert_cmpuint(runs[0]->sent_bytes, ==, runs[1]->sent_bytes);
    g_assert_cmpmem(runs[0]->decisions->data, runs[0]->decisions->len * sizeof(MigdDecision),
                    runs[1]->decisions->data, runs[1]->decisions->len * sizeof(MigdDecision));
    g_assert_cmpfloat(runs[0]->cost_s, !=, runs[2]->cost_s);
    for (guint i = 0; i < G_N_ELEMENTS(runs); i++)
        migd_run_free(runs[i]);
}

static void
test_words(void)
{
    static const char *const words[] = {"completed", "postcopy", "paused", "aborted", "running"};

    for (guint i = 0; i < G_N_ELEMENTS(words); i++)
        g_assert_cmpstr(migd_run_result_to_string((MigdRunResult)i), ==, words[i]);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/run/cost/idle", test_idle);
    g_test_add_func("/run/cost/running", test_running);
    g_test_add_func("/run/cost/aborted", test_aborted);
    g_test_add_func("/run/cost/postcopy", test_postcopy);
    g_test_add_func("/run/cost/paused", test_paused);
    g_test_add_func("/run/cost/throttled", test_throttled);
    g_test_add_func("/run/engine/polls", test_polls);
    g_test_add_func("/run/engine/syncs", test_syncs);
    g_test_add_func("/run/engine/tireless", test_tireless);
    g_test_add_func("/run/engine/refused", test_refused);
    g_test_add_func("/run/same", test_same);
    g_test_add_func("/run/words", test_words);
    return g_test_run();
}

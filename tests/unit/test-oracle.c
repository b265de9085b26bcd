/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The oracle against what can be known: plans that are right by hand, the limits of a profile, and
 * every engine on scenarios of every kind. It is asked without hints, so that it has to find by
 * itself what the engines do.
 */
#include <string.h>

#include "bench/oracle.h"
#include "peers/peers.h"

/* The cheapest plan is not quite found where it hangs on the exact place of a sync. */
#define SLACK 1.005

static MigdScenario *
parse(const char *text)
{
    g_autoptr(GError) error = NULL;
    MigdScenario *scenario = migd_scenario_parse(text, strlen(text), &error);

    g_assert_no_error(error);
    return scenario;
}

static MigdScenario *
read_library(const char *name)
{
    g_autofree char *file = g_strconcat(name, ".scenario", NULL);
    g_autofree char *path =
        g_build_filename(g_test_get_dir(G_TEST_DIST), "..", "scenarios", file, NULL);
    g_autofree char *text = NULL;

    g_assert_true(g_file_get_contents(path, &text, NULL, NULL));
    return parse(text);
}

static MigdProfile
profile_with(const char *key, const char *value)
{
    MigdProfile profile;

    migd_profile_init(&profile);
    if (key != NULL)
        g_assert_true(migd_profile_set(&profile, key, value, NULL));
    return profile;
}

/* ---- by hand ------------------------------------------------------------------------------- */

#define SMALL "[scenario]\ntime-limit=500s\n[link]\nbandwidth=100MB/s\n[guest]\nmemory=1GB\n"

static void
test_idle(void)
{
    g_autoptr(MigdScenario) scenario = parse(SMALL);
    MigdProfile profile = profile_with(NULL, NULL);
    g_auto(MigdOracle) oracle = migd_oracle(scenario, &profile, NULL);

    /* Nothing left to send in the pause: 10 s and next to nothing lost. */
    g_assert_cmpint(oracle.run->result, ==, MIGD_RUN_COMPLETED);
    g_assert_cmpfloat(oracle.run->cost_s, >=, 10);
    g_assert_cmpfloat(oracle.run->cost_s, <, 10.1);
    g_assert_cmpuint(oracle.run->most_throttle_pct, ==, 0);
}

static void
test_hopeless(void)
{
    g_autoptr(MigdScenario) scenario =
        parse(SMALL "dirty-rate=1GB/s\nworking-set=500MB\nthrottle-response=0\n");
    MigdProfile profile = profile_with(NULL, NULL);
    g_auto(MigdOracle) oracle = migd_oracle(scenario, &profile, NULL);

    g_assert_cmpint(oracle.run->result, ==, MIGD_RUN_ABORTED);
    g_assert_cmpfloat_with_epsilon(oracle.run->cost_s, 500, 1e-3);
}

static void
test_may_not_abort(void)
{
    g_autoptr(MigdScenario) scenario =
        parse(SMALL "dirty-rate=1GB/s\nworking-set=500MB\nthrottle-response=0\n");
    MigdProfile profile = profile_with("Allow", "downtime;throttle;pause");
    g_auto(MigdOracle) oracle = migd_oracle(scenario, &profile, NULL);

    /* The pause is over the cap, and nothing else is left. */
    g_assert_cmpint(oracle.run->result, ==, MIGD_RUN_PAUSED);
    g_assert_cmpfloat(oracle.run->downtime_s, >, 0.3);
}

static void
test_postcopy(void)
{
    g_autoptr(MigdScenario) scenario =
        parse(SMALL "dirty-rate=1GB/s\nworking-set=100MB\nthrottle-response=0\npostcopy=yes\n");
    MigdProfile profile = profile_with(NULL, NULL);
    g_auto(MigdOracle) oracle = migd_oracle(scenario, &profile, NULL);

    /* Right at the end of the first pass: a second of pulling, 6 in all. */
    g_assert_cmpint(oracle.run->result, ==, MIGD_RUN_POSTCOPY);
    g_assert_cmpfloat(oracle.run->cost_s, >, 15);
    g_assert_cmpfloat(oracle.run->cost_s, <, 17);
}

static void
test_limits(void)
{
    g_autoptr(MigdScenario) scenario = parse(SMALL "dirty-rate=80MB/s\nworking-set=400MB\n"
                                                   "[costs]\nfixed-downtime=150ms\nhidden=5MB\n");
    static const struct {
        const char *key, *value;
    } rows[] = {{NULL, NULL},
                {"MaxThrottle", "20%"},
                {"MaxDowntime", "220ms"},
                {"Deadline", "30s"},
                {"Allow", "downtime;throttle;pause"}};

    for (guint i = 0; i < G_N_ELEMENTS(rows); i++) {
        MigdProfile profile = profile_with(rows[i].key, rows[i].value);
        g_auto(MigdOracle) oracle = migd_oracle(scenario, &profile, NULL);
        g_autofree char *plan = migd_fixed_plan_describe(&oracle.plan);

        g_test_message("%s=%s: %s, J %.2f", rows[i].key, rows[i].value, plan, oracle.run->cost_s);
        g_assert_cmpuint(migd_run_broke(oracle.run, scenario, &profile), ==, 0);
    }
}

/* ---- what counts as broken ----------------------------------------------------------------- */

static void
test_broke(void)
{
    g_autoptr(MigdScenario) scenario = parse(SMALL);
    MigdProfile profile = profile_with(NULL, NULL), pausing = profile_with("Allow", "pause");
    MigdRun good = {.result = MIGD_RUN_COMPLETED, .total_s = 11, .downtime_s = 0.3};
    MigdRun late = good, slow = good, hard = good, stopped = good, aborted = good;

    late.total_s = 121; /* auto: two minutes at least */
    slow.downtime_s = 0.31;
    hard.most_throttle_pct = 81;
    stopped.result = MIGD_RUN_PAUSED;
    stopped.downtime_s = 2;
    aborted.result = MIGD_RUN_ABORTED;
    g_assert_cmpuint(migd_run_broke(&good, scenario, &profile), ==, 0);
    g_assert_cmpuint(migd_run_broke(&late, scenario, &profile), ==, MIGD_BROKE_DEADLINE);
    g_assert_cmpuint(migd_run_broke(&slow, scenario, &profile), ==, MIGD_BROKE_PAUSE);
    g_assert_cmpuint(migd_run_broke(&hard, scenario, &profile), ==, MIGD_BROKE_THROTTLE);
    g_assert_cmpuint(migd_run_broke(&stopped, scenario, &profile), ==, MIGD_BROKE_PAUSE);
    g_assert_cmpuint(migd_run_broke(&stopped, scenario, &pausing), ==, 0);
    g_assert_cmpuint(migd_run_broke(&aborted, scenario, &profile), ==, 0);
    g_assert_cmpuint(migd_run_broke(&aborted, scenario, &pausing), ==, MIGD_BROKE_ALLOW);
}

/* ---- against every engine ------------------------------------------------------------------ */

static void
check_scenario(const char *name, const MigdProfile *profile)
{
    g_autoptr(MigdScenario) scenario = read_library(name);
    g_auto(MigdOracle) oracle = migd_oracle(scenario, profile, NULL);
    g_autofree char *plan = migd_fixed_plan_describe(&oracle.plan);

    g_test_message("%s, %s: J %.2f after %u plans: %s", name, profile->name, oracle.run->cost_s,
                   oracle.tried, plan);
    g_assert_cmpuint(migd_run_broke(oracle.run, scenario, profile), ==, 0);
    for (guint i = 0; migd_engines[i] != NULL; i++) {
        g_autoptr(MigdRun) run = migd_run(scenario, migd_engines[i], profile);

        if (migd_run_broke(run, scenario, profile) != 0 ||
            oracle.run->cost_s <= run->cost_s * SLACK)
            continue;
        g_test_message("%s does it with %.2f", migd_engines[i]->name, run->cost_s);
        g_test_fail();
    }
}

static void
test_engines(void)
{
    static const char *const all[] = {
        "a-converging", "b-plateau",        "c-postcopy",     "d-quiets-down", "e-swinging",
        "everything",   "bursts-of-a-pass", "fixed-near-cap", "hidden-device", "tiny-busy",
        "two-sets",     "weak-response",    "zero-pages",     "bandwidth-cap", "link-halves",
    };
    const char *chosen = g_getenv("MIGD_SCENARIO"); /* another one, by hand */
    MigdProfile profile = profile_with(NULL, NULL);

    for (guint i = 0; chosen == NULL && i < G_N_ELEMENTS(all); i++)
        check_scenario(all[i], &profile);
    if (chosen != NULL)
        check_scenario(chosen, &profile);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/oracle/idle", test_idle);
    g_test_add_func("/oracle/hopeless", test_hopeless);
    g_test_add_func("/oracle/may-not-abort", test_may_not_abort);
    g_test_add_func("/oracle/postcopy", test_postcopy);
    g_test_add_func("/oracle/limits", test_limits);
    g_test_add_func("/oracle/broke", test_broke);
    g_test_add_func("/oracle/engines", test_engines);
    return g_test_run();
}

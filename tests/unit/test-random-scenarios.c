/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Properties of the policy over thousands of random scenarios and every shipped profile, with noise
 * and without: the operator's limits hold, and nothing is asked for that may not be done. The seed
 * is printed and can be set (MIGD_SEED, and MIGD_SCENARIOS for their number); a scenario that
 * breaks a property is printed as a file that migrationctl simulate takes.
 */
#include <math.h>
#include <string.h>

#include "sim/run.h"

#define DEFAULT_SEED 20240717
#ifdef __SANITIZE_ADDRESS__
#define DEFAULT_SCENARIOS 1000 /* several times slower */
#else
#define DEFAULT_SCENARIOS 10000
#endif
#define MAX_REPORTS 10

/* The policy looks twice a second: a deadline is met as far as anybody can meet it when the run has
 * ended, or its last resort has begun, at the first look after it. */
#define LOOK_S 0.5

/* Docs/policy.md: "auto" is ten copies of the memory, two minutes at least. */
#define AUTO_COPIES 10
#define AUTO_LEAST_S 120.0

/* ---- random scenarios ---------------------------------------------------------------------- */

static double
between(GRand *rand, double low, double high)
{
    return exp(g_rand_double_range(rand, log(low), log(high)));
}

static gboolean
chance(GRand *rand, double part)
{
    return g_rand_double(rand) < part;
}

/* A schedule of up to six changes of `key`, each to a value around `usual`. */
static void
append_schedule(GString *text, GRand *rand, const char *key, double usual, double spread,
                double span_s)
{
    gint n = g_rand_int_range(rand, 1, 7);

    for (gint i = 0; i < n; i++)
        g_string_append_printf(text, "%s@%.3fs=%.0f\n", key,
                               g_rand_double_range(rand, 0, 3 * span_s),
                               MAX(usual * between(rand, 1 / spread, spread), 1));
}

/* `costs`: with a part of the pause that cannot be seen, but has been learned. */
static char *
random_scenario(GRand *rand, double noise, gboolean costs)
{
    GString *text = g_string_new(NULL);
    double copy_s = between(rand, 0.2, chance(rand, 0.05) ? 400 : 90);
    double bandwidth = between(rand, 10e6, 12.5e9);
    double memory = bandwidth * copy_s;
    double rate = bandwidth * between(rand, 0.02, 30);
    double set = MIN(memory * between(rand, 0.001, 1.5), memory);

    g_string_append_printf(text, "[scenario]\nname=random\nseed=%u\nnoise=%g\ntime-limit=%.0fs\n",
                           g_rand_int(rand) & 0xffff, noise, 5000.0);
    g_string_append_printf(text,
                           "[guest]\nmemory=%.0f\nzero=%.2f\ndirty-rate=%.0f\nworking-set=%.0f\n"
                           "throttle-response=%.2f\npostcopy=%s\n",
                           memory, chance(rand, 0.3) ? g_rand_double(rand) : 0, rate, set,
                           chance(rand, 0.5) ? 1 : g_rand_double_range(rand, 0, 1.2),
                           chance(rand, 0.5) ? "yes" : "no");
    if (chance(rand, 0.4))
        append_schedule(text, rand, "dirty-rate", rate, 20, copy_s);
    if (chance(rand, 0.4))
        append_schedule(text, rand, "working-set", set, 10, copy_s);
    g_string_append_printf(text, "[link]\nbandwidth=%.0f\n", bandwidth);
    if (chance(rand, 0.15))
        g_string_append_printf(text, "stream-limit=%.0f\n", bandwidth * between(rand, 0.2, 1.5));
    if (chance(rand, 0.15))
        g_string_append_printf(text, "max-bandwidth=%.0f\n", bandwidth * between(rand, 0.2, 1.5));
    gboolean changes = chance(rand, 0.3);
    if (changes)
        append_schedule(text, rand, "bandwidth", bandwidth, 8, copy_s);
    /* Bytes that nobody sees take as long as the link of that moment makes them take: against a
     * link that falls after the last look no limit can be held, so these meet a steady one. */
    if (costs)
        g_string_append_printf(text, "[costs]\nfixed-downtime=%dms\nhidden=%.0f\n",
                               g_rand_int_range(rand, 0, 60),
                               changes || noise > 0 ? 0 : bandwidth * 0.03 * g_rand_double(rand));
    return g_string_free(text, FALSE);
}

/* ---- the policy under watch ---------------------------------------------------------------- */

typedef struct {
    const MigdScenario *scenario;
    const MigdProfile *profile;
    GString *broken; /* what was broken, in words; empty = nothing */
    guint32 refused; /* actions, bits */
    gboolean resort; /* the last resort was taken */
    double resort_s;
} Watch;

static Watch watch;
static guint n_broken, results[MIGD_RUN_RUNNING + 1];

static void
broken(double at_s, const char *what, double value)
{
    g_string_append_printf(watch.broken, "at %.3f s: %s: %g. ", at_s, what, value);
}

static gboolean
allowed(const MigdDecision *decision)
{
    const MigdProfile *profile = watch.profile;

    switch (decision->action) {
    case MIGD_ACTION_RELEASE:
        return migd_profile_allows(profile, MIGD_ACTION_RELEASE);
    case MIGD_ACTION_ARM:
    case MIGD_ACTION_THROTTLE:
        return migd_profile_allows(profile, MIGD_ACTION_THROTTLE) &&
               decision->argument <= profile->max_throttle_pct;
    case MIGD_ACTION_SET_DOWNTIME:
        return migd_profile_allows(profile, decision->action) &&
               decision->argument <= profile->max_downtime_us;
    case MIGD_ACTION_SET_BANDWIDTH:
        return migd_profile_allows(profile, decision->action) &&
               decision->argument <= profile->max_bandwidth_bps;
    case MIGD_ACTION_POSTCOPY:
        return migd_profile_allows(profile, decision->action) &&
               watch.scenario->initial[MIGD_SCN_POSTCOPY] != 0;
    default:
        return migd_profile_allows(profile, decision->action);
    }
}

static MigdDecision
watched_look(gpointer state, const MigdSample *sample)
{
    MigdDecision decision = migd_engine_migrationd.look(state, sample);
    double at_s = (double)sample->time_us / G_USEC_PER_SEC;

    if (decision.action == MIGD_ACTION_WAIT)
        return decision;
    if (sample->status != MIGD_STATUS_PRECOPY && sample->status != MIGD_STATUS_SETUP)
        broken(at_s, "an action when nothing can be done", decision.action);
    if (!allowed(&decision))
        broken(at_s, "an action that is not allowed", decision.action);
    if ((watch.refused & 1u << decision.action) != 0)
        broken(at_s, "an action that was refused before", decision.action);
    if (decision.action == MIGD_ACTION_POSTCOPY || decision.action == MIGD_ACTION_PAUSE) {
        watch.resort = TRUE;
        watch.resort_s = at_s;
    }
    return decision;
}

static void
watched_note(gpointer state, const MigdDecision *decision, gint64 time_us, gboolean ok)
{
    if (!ok)
        watch.refused |= 1u << decision->action;
    migd_engine_migrationd.note(state, decision, time_us, ok);
}

/* ---- properties ---------------------------------------------------------------------------- */

/* The latest that "auto" can be: by the slowest that the link ever was. */
static double
deadline_s(const MigdScenario *scenario, const MigdProfile *profile)
{
    const double *values = scenario->initial;
    double slowest = values[MIGD_SCN_BANDWIDTH];

    if (profile->deadline_us == MIGD_DEADLINE_NONE)
        return HUGE_VAL;
    if (profile->deadline_us != MIGD_DEADLINE_AUTO)
        return (double)profile->deadline_us / G_USEC_PER_SEC;
    for (guint i = 0; i < scenario->changes->len; i++) {
        const MigdScenarioChange *change = &g_array_index(scenario->changes, MigdScenarioChange, i);

        if (change->key == MIGD_SCN_BANDWIDTH)
            slowest = MIN(slowest, change->value);
    }
    if (values[MIGD_SCN_STREAM_LIMIT] > 0)
        slowest = MIN(slowest, values[MIGD_SCN_STREAM_LIMIT]);
    if (values[MIGD_SCN_MAX_BANDWIDTH] > 0)
        slowest = MIN(slowest, values[MIGD_SCN_MAX_BANDWIDTH]);
    slowest *= 1 - 2.5 * scenario->noise;
    return MAX(AUTO_COPIES * values[MIGD_SCN_MEMORY] / slowest, AUTO_LEAST_S);
}

static void
check_run(const MigdRun *run)
{
    const MigdProfile *profile = watch.profile;
    double cap_s = (double)profile->max_downtime_us / G_USEC_PER_SEC;
    double until_s = deadline_s(watch.scenario, profile) + LOOK_S;
    double over_s = watch.resort ? watch.resort_s : run->total_s;

    /* A pause that was asked for by that name may be longer: that is what it is for. */
    if (migd_run_arrived(run) && run->result != MIGD_RUN_PAUSED && run->downtime_s > cap_s + 1e-4)
        broken(run->total_s, "a pause over the cap, seconds", run->downtime_s);
    if (run->most_throttle_pct > MAX(profile->max_throttle_pct, 1))
        broken(run->total_s, "a throttle over the cap, percent", run->most_throttle_pct);
    if (profile->on_deadline != MIGD_DEADLINE_CONTINUE && over_s > until_s)
        broken(run->total_s, "past the deadline, seconds", until_s - LOOK_S);
}

static void
set_keys(MigdProfile *profile, const char *path)
{
    g_autoptr(GKeyFile) file = g_key_file_new();
    g_autoptr(GError) error = NULL;

    migd_profile_init(profile);
    g_key_file_load_from_file(file, path, G_KEY_FILE_NONE, &error);
    g_assert_no_error(error);
    g_auto(GStrv) keys = g_key_file_get_keys(file, "Profile", NULL, &error);
    for (guint i = 0; keys[i] != NULL; i++) {
        g_autofree char *value = g_key_file_get_string(file, "Profile", keys[i], NULL);

        if (strcmp(keys[i], "Description") != 0)
            g_assert_true(migd_profile_set(profile, keys[i], value, &error));
    }
}

#define N_PROFILES 4
#define PROFILES_EACH 2 /* that each scenario is run under, in turn */

static const char *const names[N_PROFILES] = {"default", "low-downtime", "gentle", "must-finish"};

static void
read_profiles(MigdProfile *profiles)
{
    for (guint i = 0; i < N_PROFILES; i++) {
        g_autofree char *file = g_strconcat(names[i], ".conf", NULL);
        g_autofree char *path = g_build_filename(g_test_get_dir(G_TEST_DIST), "..", "..", "conf",
                                                 "profiles.d", file, NULL);

        set_keys(&profiles[i], path);
        g_strlcpy(profiles[i].name, names[i], sizeof profiles[i].name);
    }
}

/* Half of the runs have a deadline of their own, as SetLimits would give them. */
static void
set_deadline(MigdProfile *profile, GRand *rand, const MigdScenario *scenario)
{
    double copy_s = scenario->initial[MIGD_SCN_MEMORY] / scenario->initial[MIGD_SCN_BANDWIDTH];

    if (chance(rand, 0.5))
        profile->deadline_us = (guint64)(MAX(copy_s * between(rand, 0.3, 20), 1) * G_USEC_PER_SEC);
}

static void
report(const char *text, guint number, const MigdProfile *profile)
{
    g_autofree char *deadline = migd_profile_get(profile, "Deadline");
    g_autofree char *whole =
        g_strdup_printf("# scenario %u, profile %s, Deadline=%s\n# %s%s\n", number, profile->name,
                        deadline, watch.broken->str, text);
    const char *path = g_getenv("MIGD_VIOLATIONS");

    g_test_message("%s", whole);
    if (path == NULL)
        return;
    g_autofree char *before = NULL;
    (void)g_file_get_contents(path, &before, NULL, NULL);
    g_autofree char *all = g_strconcat(before != NULL ? before : "", whole, "\n", NULL);
    g_assert_true(g_file_set_contents(path, all, -1, NULL));
}

static guint64
setting(const char *variable, guint64 fallback)
{
    const char *text = g_getenv(variable);

    return text != NULL ? g_ascii_strtoull(text, NULL, 10) : fallback;
}

static void
run_one(const char *text, const MigdScenario *scenario, const MigdProfile *profile, guint number)
{
    MigdEngine engine = migd_engine_migrationd;
    g_autoptr(GString) words = g_string_new(NULL);

    engine.look = watched_look;
    engine.note = watched_note;
    watch = (Watch){.scenario = scenario, .profile = profile, .broken = words};
    g_autoptr(MigdRun) run = migd_run(scenario, &engine, profile);
    check_run(run);
    results[run->result]++;
    if (words->len > 0 && n_broken++ < MAX_REPORTS)
        report(text, number, profile);
}

static void
run_all(guint n, gboolean costs)
{
    guint32 seed = (guint32)setting("MIGD_SEED", DEFAULT_SEED);
    g_autoptr(GRand) rand = g_rand_new_with_seed(seed);
    MigdProfile profiles[N_PROFILES];

    g_test_message("seed %u, %u scenarios, each under %u profiles", seed, n, PROFILES_EACH);
    read_profiles(profiles);
    n_broken = 0;
    memset(results, 0, sizeof results);
    for (guint i = 0; i < n; i++) {
        g_autoptr(GError) error = NULL;
        g_autofree char *text = random_scenario(rand, i / N_PROFILES % 2 == 0 ? 0 : 0.2, costs);
        g_autoptr(MigdScenario) scenario = migd_scenario_parse(text, strlen(text), &error);

        g_assert_no_error(error);
        for (guint k = 0; k < PROFILES_EACH; k++) {
            MigdProfile profile = profiles[(i + k) % N_PROFILES];

            set_deadline(&profile, rand, scenario);
            run_one(text, scenario, &profile, i);
        }
    }
    for (guint i = 0; i < G_N_ELEMENTS(results); i++)
        g_test_message("%s: %u", migd_run_result_to_string((MigdRunResult)i), results[i]);
    if (n_broken > 0)
        g_test_message("%u runs broke a limit", n_broken);
    g_assert_cmpuint(n_broken, ==, 0);
}

static void
test_limits(void)
{
    run_all((guint)setting("MIGD_SCENARIOS", DEFAULT_SCENARIOS), /* costs= */ FALSE);
}

static void
test_costs(void)
{
    run_all((guint)setting("MIGD_SCENARIOS", DEFAULT_SCENARIOS) / 10, /* costs= */ TRUE);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/random-scenarios/limits", test_limits);
    g_test_add_func("/random-scenarios/costs", test_costs);
    return g_test_run();
}

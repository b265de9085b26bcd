/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Engines and the oracle over scenarios, as JSON lines for tests/harness/bench_policy.py, which
 * makes tables and pictures of them. With --speed it measures how long the policy thinks.
 */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "bench/oracle.h"
#include "cli/profile.h"
#include "cli/simulate.h"
#include "peers/peers.h"

static char *profile_name, *engine_list;
static double noise = -1;
static int seeds = 1;
static gboolean speed, no_oracle;
static char **files;

static const GOptionEntry entries[] = {
    {"profile", 0, 0, G_OPTION_ARG_STRING, &profile_name, "Name or file", "P"},
    {"engine", 0, 0, G_OPTION_ARG_STRING, &engine_list, "Only these", "NAME,..."},
    {"noise", 0, 0, G_OPTION_ARG_DOUBLE, &noise, "Instead of each scenario's own", "SIGMA"},
    {"seeds", 0, 0, G_OPTION_ARG_INT, &seeds, "Runs of each, with seeds of their own", "N"},
    {"no-oracle", 0, 0, G_OPTION_ARG_NONE, &no_oracle, "Leave out the search", NULL},
    {"speed", 0, 0, G_OPTION_ARG_NONE, &speed, "Measure the policy's own time", NULL},
    {G_OPTION_REMAINING, 0, 0, G_OPTION_ARG_FILENAME_ARRAY, &files, NULL, NULL},
    G_OPTION_ENTRY_NULL,
};

static MigdJson *
broke_to_json(guint broke)
{
    static const char *const words[] = {"pause", "deadline", "throttle", "allow"};
    MigdJson *array = migd_json_array_new();

    for (guint i = 0; i < G_N_ELEMENTS(words); i++)
        if ((broke & 1u << i) != 0)
            migd_json_append_string(array, words[i]);
    return array;
}

static void
print(const MigdScenario *scenario, const char *engine, const MigdRun *run,
      const MigdProfile *profile, const char *plan, double took_s)
{
    g_autoptr(MigdJson) object = migd_run_to_json(scenario, engine, run, /* decisions= */ FALSE);

    migd_json_add_u64(object, "seed", scenario->seed);
    migd_json_add_double(object, "time_limit_s", scenario->time_limit_s);
    migd_json_add_string(object, "profile", profile->name);
    migd_json_add(object, "broke", broke_to_json(migd_run_broke(run, scenario, profile)));
    if (plan != NULL)
        migd_json_add_string(object, "plan", plan);
    migd_json_add_double(object, "took_s", took_s);
    g_autofree char *text = migd_json_to_string(object, MIGD_JSON_SHORT);
    puts(text);
}

static double
now_s(void)
{
    return (double)g_get_monotonic_time() / G_USEC_PER_SEC;
}

static gboolean
wanted(const char *name)
{
    g_auto(GStrv) names = g_strsplit(engine_list != NULL ? engine_list : "", ",", -1);

    return engine_list == NULL || g_strv_contains((const char *const *)names, name);
}

static void
bench(const MigdScenario *scenario, const MigdProfile *profile)
{
    g_autoptr(GPtrArray) runs = g_ptr_array_new_with_free_func((GDestroyNotify)migd_run_free);

    for (guint i = 0; migd_engines[i] != NULL; i++) {
        if (!wanted(migd_engines[i]->name))
            continue;
        double begin_s = now_s();
        MigdRun *run = migd_run(scenario, migd_engines[i], profile);

        print(scenario, migd_engines[i]->name, run, profile, NULL, now_s() - begin_s);
        g_ptr_array_add(runs, run);
    }
    if (no_oracle)
        return;
    double begin_s = now_s();
    g_auto(MigdOracle) oracle = migd_oracle(scenario, profile, runs);
    g_autofree char *plan = migd_fixed_plan_describe(&oracle.plan);

    print(scenario, "oracle", oracle.run, profile, plan, now_s() - begin_s);
}

/* ---- speed --------------------------------------------------------------------------------- */

static GArray *decide_ns, *fold_ns; /* of gint64 */

/* Of this thread alone: what else runs on the machine does not think for the policy. */
static gint64
clock_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return t.tv_sec * G_GINT64_CONSTANT(1000000000) + t.tv_nsec;
}

static MigdDecision
timed_look(gpointer state, const MigdSample *sample)
{
    gint64 begin_ns = clock_ns();
    migd_track_add(state, sample);
    gint64 folded_ns = clock_ns();
    MigdDecision decision = migd_decide(state);
    gint64 took_ns = clock_ns() - folded_ns;

    folded_ns -= begin_ns;
    g_array_append_val(fold_ns, folded_ns);
    g_array_append_val(decide_ns, took_ns);
    return decision;
}

static int
by_size(gconstpointer a, gconstpointer b)
{
    gint64 x = *(const gint64 *)a, y = *(const gint64 *)b;

    return (x > y) - (x < y);
}

static double
percentile_us(const GArray *sorted_ns, double part)
{
    guint at = (guint)((double)(sorted_ns->len - 1) * part);

    return (double)g_array_index(sorted_ns, gint64, at) / 1000;
}

/* Each fold and each decision over the whole library, and an hour of a migration that never ends.
 */
static void
measure(const GPtrArray *scenarios, const MigdProfile *profile)
{
    static const char hour[] = "[scenario]\ntime-limit=3600s\n[guest]\nmemory=64GiB\n"
                               "dirty-rate=3.3GB/s\nworking-set=5.5GB\n";
    g_autoptr(MigdScenario) endless = migd_scenario_parse(hour, strlen(hour), NULL);
    MigdEngine engine = migd_engine_migrationd;
    MigdProfile helpless = *profile;
    g_autoptr(MigdJson) object = migd_json_object_new();

    decide_ns = g_array_new(FALSE, FALSE, sizeof(gint64));
    fold_ns = g_array_new(FALSE, FALSE, sizeof(gint64));
    engine.look = timed_look;
    for (guint i = 0; i < scenarios->len; i++)
        migd_run_free(migd_run(scenarios->pdata[i], &engine, profile));
    helpless.allow = 0;
    helpless.deadline_us = MIGD_DEADLINE_NONE;
    gint64 begin_ns = clock_ns();
    migd_run_free(migd_run(endless, &migd_engine_migrationd, &helpless));
    double hour_ms = (double)(clock_ns() - begin_ns) / 1e6;

    g_array_sort(decide_ns, by_size);
    g_array_sort(fold_ns, by_size);
    migd_json_add_u64(object, "looks", decide_ns->len);
    migd_json_add_double(object, "p50_us", percentile_us(decide_ns, 0.5));
    migd_json_add_double(object, "p99_us", percentile_us(decide_ns, 0.99));
    migd_json_add_double(object, "worst_us", percentile_us(decide_ns, 1));
    migd_json_add_double(object, "fold_p99_us", percentile_us(fold_ns, 0.99));
    migd_json_add_double(object, "hour_ms", hour_ms);
    g_autofree char *text = migd_json_to_string(object, MIGD_JSON_SHORT);
    puts(text);
    g_array_unref(decide_ns);
    g_array_unref(fold_ns);
}

/* ---- main ---------------------------------------------------------------------------------- */

static GPtrArray *
read_scenarios(GError **error)
{
    g_autoptr(GPtrArray) scenarios =
        g_ptr_array_new_with_free_func((GDestroyNotify)migd_scenario_free);

    for (char **file = files; file != NULL && *file != NULL; file++) {
        MigdScenario *scenario = migd_scenario_read(*file, error);

        if (scenario == NULL)
            return NULL;
        if (noise >= 0)
            scenario->noise = noise;
        g_ptr_array_add(scenarios, scenario);
    }
    return g_steal_pointer(&scenarios);
}

static void
bench_all(const GPtrArray *scenarios, const MigdProfile *profile)
{
    for (guint i = 0; i < scenarios->len; i++) {
        MigdScenario *scenario = scenarios->pdata[i];
        guint32 first = scenario->seed;
        guint n = scenario->noise > 0 ? (guint)MAX(seeds, 1) : 1; /* without noise all are alike */

        for (guint k = 0; k < n; k++) {
            scenario->seed = first + 1000 * k;
            bench(scenario, profile);
        }
    }
}

int
main(int argc, char **argv)
{
    g_autoptr(GOptionContext) context = g_option_context_new("FILE...");
    g_autoptr(GError) error = NULL;
    MigdProfile profile;

    g_option_context_add_main_entries(context, entries, NULL);
    g_autoptr(GPtrArray) scenarios =
        g_option_context_parse(context, &argc, &argv, &error) ? read_scenarios(&error) : NULL;
    if (scenarios == NULL ||
        !migd_profile_read(profile_name != NULL ? profile_name : "default", &profile, &error)) {
        fprintf(stderr, "bench-policy: %s\n", error->message);
        return 2;
    }
    if (speed)
        measure(scenarios, &profile);
    else
        bench_all(scenarios, &profile);
    g_strfreev(files);
    g_free(profile_name);
    g_free(engine_list);
    return 0;
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Reading scenarios: every key, schedules, what is refused and with which words, and that the
 * library is sound.
 */
#include <string.h>

#include "sim/scenario.h"

static MigdScenario *
parse(const char *text, GError **error)
{
    return migd_scenario_parse(text, strlen(text), error);
}

static void
test_keys(void)
{
    static const char text[] = "[scenario]\nname=all of it\ntime-limit=1h\nseed=7\nnoise=0.2\n"
                               "[guest]\nmemory=64GiB\nzero=0.25\ndirty-rate=1.6GB/s\n"
                               "working-set=700MB\nthrottle-response=0.5\npostcopy=yes\n"
                               "[link]\nbandwidth=10Gbit/s\nstream-limit=400MB/s\n"
                               "max-bandwidth=200MiB/s\n"
                               "[costs]\nfixed-downtime=40ms\nsync=2ms/GiB\nhidden=150MB\n";
    static const double values[MIGD_SCN_N_KEYS] = {
        [MIGD_SCN_MEMORY] = 68719476736.0,
        [MIGD_SCN_ZERO] = 0.25,
        [MIGD_SCN_DIRTY_RATE] = 1.6e9,
        [MIGD_SCN_WORKING_SET] = 700e6,
        [MIGD_SCN_RESPONSE] = 0.5,
        [MIGD_SCN_POSTCOPY] = 1,
        [MIGD_SCN_BANDWIDTH] = 1.25e9,
        [MIGD_SCN_STREAM_LIMIT] = 400e6,
        [MIGD_SCN_MAX_BANDWIDTH] = 209715200,
        [MIGD_SCN_FIXED_DOWNTIME] = 0.04,
        [MIGD_SCN_SYNC] = 0.002,
        [MIGD_SCN_HIDDEN] = 150e6,
    };
    g_autoptr(GError) error = NULL;
    g_autoptr(MigdScenario) scenario = parse(text, &error);

    g_assert_no_error(error);
    g_assert_cmpstr(scenario->name, ==, "all of it");
    g_assert_cmpfloat(scenario->time_limit_s, ==, 3600);
    g_assert_cmpuint(scenario->seed, ==, 7);
    g_assert_cmpfloat(scenario->noise, ==, 0.2);
    for (guint i = 0; i < MIGD_SCN_N_KEYS; i++)
        g_assert_cmpfloat_with_epsilon(scenario->initial[i], values[i], 1e-9);
    g_assert_cmpuint(scenario->changes->len, ==, 0);
}

static void
test_defaults(void)
{
    g_autoptr(MigdScenario) nothing = parse("", NULL);
    g_autoptr(MigdScenario) rate = parse("[guest]\nmemory=2GiB\ndirty-rate=1GB/s\n"
                                         "[link]\nstream-limit=none\n",
                                         NULL);

    g_assert_cmpfloat(nothing->initial[MIGD_SCN_DIRTY_RATE], ==, 0);
    g_assert_cmpfloat(nothing->initial[MIGD_SCN_RESPONSE], ==, 1);
    g_assert_cmpfloat(nothing->initial[MIGD_SCN_BANDWIDTH], ==, 1.1e9);
    g_assert_cmpfloat(nothing->time_limit_s, ==, 4000);
    g_assert_cmpfloat(nothing->noise, ==, 0);
    /* A rate without a set dirties everything. */
    g_assert_cmpfloat(rate->initial[MIGD_SCN_WORKING_SET], ==, 2147483648.0);
    g_assert_cmpfloat(rate->initial[MIGD_SCN_STREAM_LIMIT], ==, 0);
}

static void
test_schedule(void)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(MigdScenario) scenario =
        parse("[guest]\nworking-set@2min=1GB\nworking-set=5GB\npostcopy@1s=yes\n"
              "[link]\nbandwidth@500ms=1MB/s\nbandwidth=2MB/s\n[costs]\nhidden@3s=7\n",
              &error);
    static const MigdScenarioChange expected[] = {{0.5, MIGD_SCN_BANDWIDTH, 1e6},
                                                  {1, MIGD_SCN_POSTCOPY, 1},
                                                  {3, MIGD_SCN_HIDDEN, 7},
                                                  {120, MIGD_SCN_WORKING_SET, 1e9}};

    g_assert_no_error(error);
    g_assert_cmpfloat(scenario->initial[MIGD_SCN_BANDWIDTH], ==, 2e6);
    g_assert_cmpfloat(scenario->initial[MIGD_SCN_WORKING_SET], ==, 5e9);
    g_assert_cmpuint(scenario->changes->len, ==, G_N_ELEMENTS(expected));
    for (guint i = 0; i < G_N_ELEMENTS(expected); i++) {
        const MigdScenarioChange *change = &g_array_index(scenario->changes, MigdScenarioChange, i);

        g_assert_cmpfloat(change->at_s, ==, expected[i].at_s);
        g_assert_cmpuint(change->key, ==, expected[i].key);
        g_assert_cmpfloat(change->value, ==, expected[i].value);
    }
}

static void
test_refused(void)
{
    static const struct {
        const char *text, *words; /* all of these, with spaces, in the message */
    } rows[] = {
        {"[guest]\nmemroy=1GiB\n", "[guest] memroy=: unknown"},
        {"[gest]\nmemory=1GiB\n", "[gest] memory=: unknown"},
        {"[scenario]\nnosie=0.2\n", "[scenario] nosie=: unknown"},
        {"[link]\nmemory=1GiB\n", "[link] memory=: unknown"},
        {"[guest]\nmemory=lots\n", "[guest] memory=: lots"},
        {"[guest]\nmemory=1GB/s\n", "[guest] memory=:"},
        {"[guest]\nmemory=-1\n", "[guest] memory=:"},
        {"[guest]\nmemory=0\n", "[guest] memory=: more"},
        {"[guest]\nzero=1.5\n", "[guest] zero=: 1.5"},
        {"[guest]\nthrottle-response=nan\n", "[guest] throttle-response=: nan"},
        {"[guest]\npostcopy=maybe\n", "[guest] postcopy=: maybe"},
        {"[guest]\ndirty-rate=5 apples\n", "[guest] dirty-rate=: apples"},
        {"[guest]\ndirty-rate@soon=5MB/s\n", "[guest] dirty-rate@soon=: soon"},
        {"[guest]\ndirty-rate@5=5MB/s\n", "[guest] dirty-rate@5=:"},
        {"[link]\nbandwidth=0\n", "[link] bandwidth=: more"},
        {"[link]\nbandwidth=\n", "[link] bandwidth=:"},
        {"[costs]\nfixed-downtime=40\n", "[costs] fixed-downtime=: unit"},
        {"[costs]\nsync=2ms/MiB\n", "[costs] sync=:"},
        {"[scenario]\nseed=4294967296\n", "[scenario] seed=:"},
        {"[scenario]\nnoise=2\n", "[scenario] noise=: 2"},
        {"[scenario]\ntime-limit=0\n", "[scenario] time-limit=: more"},
        {"memory=1GiB\n", "group"},
        {"[guest\n", "[guest"},
    };

    for (guint i = 0; i < G_N_ELEMENTS(rows); i++) {
        g_autoptr(GError) error = NULL;
        g_auto(GStrv) words = g_strsplit(rows[i].words, " ", -1);

        g_assert_null(parse(rows[i].text, &error));
        g_assert_nonnull(error);
        g_test_message("%s", error->message);
        for (guint k = 0; words[k] != NULL; k++)
            g_assert_nonnull(strstr(error->message, words[k]));
    }
}

static void
test_library(void)
{
    g_autofree char *path = g_build_filename(g_test_get_dir(G_TEST_DIST), "..", "scenarios", NULL);
    g_autoptr(GError) error = NULL;
    g_autoptr(GDir) directory = g_dir_open(path, 0, &error);
    const char *name;
    guint n = 0;

    g_assert_no_error(error);
    while ((name = g_dir_read_name(directory)) != NULL) {
        g_autofree char *file = g_build_filename(path, name, NULL);
        g_autofree char *text = NULL;

        g_test_message("%s", name);
        g_assert_true(g_str_has_suffix(name, ".scenario"));
        g_assert_true(g_file_get_contents(file, &text, NULL, &error));
        g_assert_cmpuint(strcspn(text, "\n"), >, 20);
        g_assert_true(g_str_has_prefix(text, "# ")); /* what it is, and what is good */
        g_autoptr(MigdScenario) scenario = parse(text, &error);
        g_assert_no_error(error);
        g_autofree char *expected = g_strconcat(scenario->name, ".scenario", NULL);
        g_assert_cmpstr(name, ==, expected);
        n++;
    }
    g_assert_cmpuint(n, >=, 31); /* the six, the five, and twenty */
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/scenario/keys", test_keys);
    g_test_add_func("/scenario/defaults", test_defaults);
    g_test_add_func("/scenario/schedule", test_schedule);
    g_test_add_func("/scenario/refused", test_refused);
    g_test_add_func("/scenario/library", test_library);
    return g_test_run();
}

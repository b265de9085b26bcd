/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The verb simulate as a user meets it: what it prints, as text and as JSON, and what it says when
 * a file, a key, an engine or a profile is wrong.
 */
#include <glib/gstdio.h>
#include <string.h>

#include "base/error.h"
#include "cli/simulate.h"
#include "cli/verbs.h"
#include "peers/peers.h"

static char *
library(const char *name)
{
    return g_build_filename(g_test_get_dir(G_TEST_DIST), "..", "scenarios", name, NULL);
}

/* Runs `line` (%s: the library) as main() would, without a terminal. */
static MigdExit
run(const char *line, GError **error)
{
    g_auto(MigdCli) cli = {.style = {.columns = 80, .ascii = TRUE}};
    g_autofree char *directory =
        g_build_filename(g_test_get_dir(G_TEST_DIST), "..", "scenarios", NULL);
    g_auto(GStrv) parts = g_strsplit(line, "%s", -1);
    g_autofree char *whole = g_strjoinv(directory, parts);
    g_auto(GStrv) words = g_strsplit(whole, " ", -1);
    g_auto(GStrv) arguments = NULL;
    g_autofree char *text = NULL;
    const MigdVerb *verb = NULL;

    if (!migd_parse_arguments(words, &cli, &verb, &arguments, &text, error))
        return MIGD_EXIT_USAGE;
    cli.style.columns = 80;
    return verb->run(&cli, arguments, error);
}

/* What `line` prints; it must succeed. In a subprocess, because it prints to stdout. */
static void
check_output(const char *name, const char *line, const char *const *patterns)
{
    if (g_test_subprocess()) {
        g_autoptr(GError) error = NULL;

        g_assert_cmpint(run(line, &error), ==, MIGD_EXIT_DONE);
        g_assert_no_error(error);
        return;
    }
    g_test_trap_subprocess(name, 0, 0);
    g_test_trap_assert_passed();
    for (guint i = 0; patterns[i] != NULL; i++)
        g_test_trap_assert_stdout(patterns[i]);
}

static void
test_story(void)
{
    static const char *const patterns[] = {"*b-plateau under migrationd*", "* s *first pass*",
                                           "*completed after*, pause *", "*guest work lost*cost*",
                                           NULL};

    check_output("/cli/simulate/story", "migrationctl simulate %s/b-plateau.scenario", patterns);
}

static void
test_table(void)
{
    static const char *const patterns[] = {"*SCENARIO*ENGINE*RESULT*TIME*PAUSE*COST*",
                                           "*a-converging*qemu *completed*",
                                           "*c-high-plateau*nova *running*4000.0 s*8000.0*", NULL};

    check_output("/cli/simulate/table",
                 "migrationctl simulate %s/a-converging.scenario %s/c-high-plateau.scenario "
                 "--engine=qemu,nova",
                 patterns);
}

static void
test_json(void)
{
    static const char *const patterns[] = {
        "*[{\"name\":\"c-high-plateau\",\"engine\":\"qemu\",\"result\":\"running\","
        "\"total_ms\":4000000,\"downtime_ms\":0,\"sent_bytes\":*,\"ram_bytes\":68719476736,"
        "\"throttle_seconds\":0.0,\"guest_lost_seconds\":0.0,*\"decisions\":[{*}]}]\n*",
        NULL};

    check_output("/cli/simulate/json",
                 "migrationctl simulate %s/c-high-plateau.scenario --engine qemu --json", patterns);
}

/* The keys that others read, and values that agree with the run. */
static void
test_object(void)
{
    static const char *const keys[] = {
        "name",       "engine",    "result",           "total_ms",           "downtime_ms",
        "sent_bytes", "ram_bytes", "throttle_seconds", "guest_lost_seconds", "decisions"};
    g_autofree char *path = library("c-high-plateau.scenario");
    g_autoptr(GError) error = NULL;
    g_autoptr(MigdScenario) scenario = migd_scenario_read(path, &error);
    MigdProfile profile;
    guint64 ms;

    g_assert_no_error(error);
    migd_profile_init(&profile);
    g_autoptr(MigdRun) made = migd_run(scenario, &migd_engine_migrationd, &profile);
    g_autoptr(MigdJson) object = migd_run_to_json(scenario, "migrationd", made, TRUE);
    for (guint i = 0; i < G_N_ELEMENTS(keys); i++)
        g_assert_true(migd_json_has(object, keys[i]));
    g_assert_cmpint(migd_json_get_u64(object, "total_ms", 0, G_MAXUINT64, &ms, NULL), ==,
                    MIGD_JSON_OK);
    g_assert_cmpfloat_with_epsilon((double)ms / 1000, made->total_s, 0.001);
    g_assert_cmpint(migd_json_get_u64(object, "downtime_ms", 0, G_MAXUINT64, &ms, NULL), ==,
                    MIGD_JSON_OK);
    g_assert_cmpfloat_with_epsilon((double)ms / 1000, made->downtime_s, 0.001);
    const MigdJson *decisions = NULL;
    g_assert_cmpint(migd_json_get_array(object, "decisions", &decisions, NULL), ==, MIGD_JSON_OK);
    g_assert_cmpuint(migd_json_array_length(decisions), ==, made->decisions->len);
}

static void
test_every_engine(void)
{
    g_autofree char *path = library("tiny-busy.scenario");
    g_autoptr(MigdScenario) scenario = migd_scenario_read(path, NULL);
    MigdProfile profile;

    migd_profile_init(&profile);
    for (guint i = 0; migd_engines[i] != NULL; i++) {
        g_autoptr(MigdRun) made = migd_run(scenario, migd_engines[i], &profile);
        g_autoptr(MigdJson) object = migd_run_to_json(scenario, migd_engines[i]->name, made, TRUE);
        g_autofree char *text = migd_json_to_string(object, MIGD_JSON_SHORT);

        g_assert_nonnull(strstr(text, migd_run_result_to_string(made->result)));
    }
}

static void
test_wrong(void)
{
    g_autoptr(GError) made = NULL;
    g_autofree char *directory = g_dir_make_tmp("migd-XXXXXX", &made);
    g_autofree char *file = g_build_filename(directory, "bad.scenario", NULL);
    g_autofree char *bad = g_strdup_printf("migrationctl simulate %s", file);
    const struct {
        const char *line, *words; /* all in the message */
        MigdExit exit;
    } rows[] = {
        {bad, "bad.scenario [guest] memroy=", MIGD_EXIT_FAILED},
        {"migrationctl simulate /nonexistent.scenario", "/nonexistent.scenario", MIGD_EXIT_FAILED},
        {"migrationctl simulate", "usage: FILE", MIGD_EXIT_USAGE},
        {"migrationctl simulate %s/b-plateau.scenario --engine=vdsm", "vdsm nova all",
         MIGD_EXIT_USAGE},
        {"migrationctl simulate %s/b-plateau.scenario --profile=none-such", "none-such",
         MIGD_EXIT_USAGE},
        {"migrationctl list --engine=qemu", "list --engine", MIGD_EXIT_USAGE},
    };

    g_assert_true(g_file_set_contents(file, "[guest]\nmemroy=1GiB\n", -1, NULL));
    for (guint i = 0; i < G_N_ELEMENTS(rows); i++) {
        g_autoptr(GError) error = NULL;
        g_auto(GStrv) words = g_strsplit(rows[i].words, " ", -1);

        g_assert_cmpint(run(rows[i].line, &error), !=, MIGD_EXIT_DONE);
        g_assert_nonnull(error);
        g_test_message("%s", error->message);
        g_assert_cmpint(migd_exit_for_error(error), ==, rows[i].exit);
        for (guint k = 0; words[k] != NULL; k++)
            g_assert_nonnull(strstr(error->message, words[k]));
    }
    g_assert_cmpint(g_unlink(file), ==, 0);
    g_assert_cmpint(g_rmdir(directory), ==, 0);
}

/* A scenario without a name is called like its file. */
static void
test_name(void)
{
    g_autoptr(GError) made = NULL;
    g_autofree char *directory = g_dir_make_tmp("migd-XXXXXX", &made);
    g_autofree char *file = g_build_filename(directory, "mine.scenario", NULL);

    g_assert_true(g_file_set_contents(file, "[guest]\nmemory=1GiB\n", -1, NULL));
    g_autoptr(MigdScenario) scenario = migd_scenario_read(file, NULL);
    g_assert_cmpstr(scenario->name, ==, "mine");
    g_assert_cmpint(g_unlink(file), ==, 0);
    g_assert_cmpint(g_rmdir(directory), ==, 0);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    (void)migd_error_quark();
    g_test_add_func("/cli/simulate/story", test_story);
    g_test_add_func("/cli/simulate/table", test_table);
    g_test_add_func("/cli/simulate/json", test_json);
    g_test_add_func("/cli/simulate/object", test_object);
    g_test_add_func("/cli/simulate/every-engine", test_every_engine);
    g_test_add_func("/cli/simulate/wrong", test_wrong);
    g_test_add_func("/cli/simulate/name", test_name);
    return g_test_run();
}

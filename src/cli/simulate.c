/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The verb simulate: described migrations under one engine or several, in virtual time, offline.
 * Reads files; the simulation itself does not.
 */
#include "cli/simulate.h"

#include <math.h>
#include <string.h>

#include "base/checked.h"
#include "base/error.h"
#include "base/units.h"
#include "cli/profile.h"
#include "cli/story.h"
#include "cli/table.h"
#include "cli/tojson.h"
#include "cli/verbs.h"
#include "peers/peers.h"

/* ---- scenarios ----------------------------------------------------------------------------- */

MigdScenario *
migd_scenario_read(const char *path, GError **error)
{
    g_autofree char *text = NULL;
    g_autofree char *base = g_path_get_basename(path);
    gsize length;

    if (!g_file_get_contents(path, &text, &length, error))
        return NULL;
    MigdScenario *scenario = migd_scenario_parse(text, length, error);
    if (scenario == NULL) {
        g_prefix_error(error, "%s: ", path);
        return NULL;
    }
    if (strcmp(scenario->name, "unnamed") == 0) {
        g_free(scenario->name);
        if (g_str_has_suffix(base, ".scenario"))
            base[strlen(base) - strlen(".scenario")] = '\0';
        scenario->name = g_steal_pointer(&base);
    }
    return scenario;
}

static GPtrArray *
read_all(char **paths, GError **error)
{
    g_autoptr(GPtrArray) scenarios =
        g_ptr_array_new_with_free_func((GDestroyNotify)migd_scenario_free);

    for (guint i = 0; paths[i] != NULL; i++) {
        g_autoptr(GError) bad = NULL;
        MigdScenario *scenario = migd_scenario_read(paths[i], &bad);

        if (scenario == NULL) {
            /* A bad file is no wrong usage. */
            g_set_error_literal(error, MIGD_ERROR, MIGD_ERROR_FAILED, bad->message);
            return NULL;
        }
        g_ptr_array_add(scenarios, scenario);
    }
    return g_steal_pointer(&scenarios);
}

/* ---- engines ------------------------------------------------------------------------------- */

static const MigdEngine *
find_engine(const char *name, GError **error)
{
    const MigdEngine *engine = migd_engine_find(name);
    g_autoptr(GString) known = g_string_new(NULL);

    for (guint i = 0; engine == NULL && migd_engines[i] != NULL; i++)
        g_string_append_printf(known, "%s, ", migd_engines[i]->name);
    if (engine == NULL)
        g_set_error(error, MIGD_ERROR, MIGD_ERROR_INVALID_ARGUMENT,
                    "unknown engine \"%s\"; there are %sall", name, known->str);
    return engine;
}

/* The engines of a list with commas; NULL = production, "all" = every one. */
static GPtrArray *
find_engines(const char *list, GError **error)
{
    g_autoptr(GPtrArray) found = g_ptr_array_new();
    g_auto(GStrv) names = g_strsplit(list != NULL ? list : migd_engine_migrationd.name, ",", -1);

    for (guint i = 0; names[i] != NULL; i++) {
        if (strcmp(names[i], "all") == 0) {
            for (guint k = 0; migd_engines[k] != NULL; k++)
                g_ptr_array_add(found, (gpointer)migd_engines[k]);
            continue;
        }
        const MigdEngine *engine = find_engine(names[i], error);
        if (engine == NULL)
            return NULL;
        g_ptr_array_add(found, (gpointer)engine);
    }
    return g_steal_pointer(&found);
}

/* ---- output -------------------------------------------------------------------------------- */

static guint64
to_ms(double seconds)
{
    return migd_from_double(seconds * 1000 + 0.5);
}

MigdJson *
migd_run_to_json(const MigdScenario *scenario, const char *engine, const MigdRun *run,
                 gboolean with_decisions)
{
    MigdJson *object = migd_json_object_new();
    g_autoptr(MigdJson) decisions = migd_json_array_new();

    migd_json_add_string(object, "name", scenario->name);
    migd_json_add_string(object, "engine", engine);
    migd_json_add_string(object, "result", migd_run_result_to_string(run->result));
    migd_json_add_u64(object, "total_ms", to_ms(run->total_s));
    migd_json_add_u64(object, "downtime_ms", to_ms(run->downtime_s));
    migd_json_add_u64(object, "sent_bytes", run->sent_bytes);
    migd_json_add_u64(object, "ram_bytes", run->ram_bytes);
    migd_json_add_double(object, "throttle_seconds", run->throttle_s);
    migd_json_add_double(object, "guest_lost_seconds", run->lost_s);
    migd_json_add_double(object, "cost", run->cost_s);
    migd_json_add_u64(object, "passes", run->passes);
    migd_json_add_u64(object, "max_throttle", run->most_throttle_pct);
    for (guint i = 0; with_decisions && i < run->decisions->len; i++)
        migd_json_append(decisions,
                         migd_decision_to_json(&g_array_index(run->decisions, MigdDecision, i), 0));
    if (with_decisions)
        migd_json_add(object, "decisions", g_steal_pointer(&decisions));
    return object;
}

static MigdInk
result_ink(const MigdRun *run)
{
    return migd_run_arrived(run) ? MIGD_INK_GOOD : MIGD_INK_BAD;
}

static char *
duration(double seconds)
{
    return migd_format_duration(migd_from_double(seconds * 1e6));
}

/* One run in words: the decisions with their sentences, and what it came to. */
static void
append_story(GString *out, const MigdCli *cli, const MigdScenario *scenario, const char *engine,
             const MigdRun *run)
{
    g_autofree char *name = migd_style_text(&cli->style, scenario->name);
    g_autofree char *total = duration(run->total_s);
    g_autofree char *pause = duration(run->downtime_s);
    g_autofree char *lost = duration(run->lost_s);
    g_autofree char *sent = migd_style_bytes(&cli->style, run->sent_bytes);

    if (cli->legend) {
        migd_paint(out, &cli->style, MIGD_INK_BOLD, name);
        g_string_append_printf(out, " under %s\n\n", engine);
    }
    for (guint i = 0; i < run->decisions->len; i++)
        migd_story_append_decision(out, &g_array_index(run->decisions, MigdDecision, i), 0, ' ',
                                   &cli->style);
    g_string_append_c(out, '\n');
    migd_paint(out, &cli->style, result_ink(run), migd_run_result_to_string(run->result));
    g_string_append_printf(out,
                           " after %s, pause %s; %" G_GUINT64_FORMAT " passes, %s sent (%.2f x the "
                           "memory);\nguest work lost %s, throttled by up to %u %%; cost %.1f.\n",
                           total, pause, run->passes, sent,
                           (double)run->sent_bytes / (double)MAX(run->ram_bytes, 1), lost,
                           run->most_throttle_pct, run->cost_s);
}

static const MigdColumn columns[] = {
    {"SCENARIO", FALSE, TRUE}, {"ENGINE", FALSE, FALSE},  {"RESULT", FALSE, FALSE},
    {"TIME", TRUE, FALSE},     {"PAUSE", TRUE, FALSE},    {"SENT/RAM", TRUE, FALSE},
    {"LOST", TRUE, FALSE},     {"THROTTLE", TRUE, FALSE}, {"COST", TRUE, FALSE},
    {NULL, FALSE, FALSE},
};

static void
take_run(const MigdCli *cli, MigdTable *table, const MigdScenario *scenario, const char *engine,
         const MigdRun *run)
{
    migd_table_take(table, migd_style_text(&cli->style, scenario->name), MIGD_INK_BOLD);
    migd_table_take(table, g_strdup(engine), MIGD_INK_PLAIN);
    migd_table_take(table, g_strdup(migd_run_result_to_string(run->result)), result_ink(run));
    migd_table_take(table, g_strdup_printf("%.1f s", run->total_s), MIGD_INK_PLAIN);
    migd_table_take(table, g_strdup_printf("%.0f ms", run->downtime_s * 1000), MIGD_INK_PLAIN);
    migd_table_take(
        table, g_strdup_printf("%.2f", (double)run->sent_bytes / (double)MAX(run->ram_bytes, 1)),
        MIGD_INK_PLAIN);
    migd_table_take(table, g_strdup_printf("%.2f s", run->lost_s), MIGD_INK_PLAIN);
    migd_table_take(table, g_strdup_printf("%u %%", run->most_throttle_pct), MIGD_INK_PLAIN);
    migd_table_take(table, g_strdup_printf("%.1f", run->cost_s), MIGD_INK_PLAIN);
}

MigdExit
migd_verb_simulate(MigdCli *cli, char **arguments, GError **error)
{
    g_autoptr(GPtrArray) chosen = find_engines(cli->engines, error);
    g_autoptr(GPtrArray) scenarios = chosen != NULL ? read_all(arguments, error) : NULL;
    g_autoptr(MigdTable) table = migd_table_new(columns);
    g_autoptr(MigdJson) array = migd_json_array_new();
    g_autoptr(GString) out = g_string_new(NULL);
    MigdProfile profile;

    if (scenarios == NULL ||
        !migd_profile_read(cli->profile != NULL ? cli->profile : "default", &profile, error))
        return MIGD_EXIT_FAILED;
    for (guint i = 0; i < scenarios->len * chosen->len; i++) {
        const MigdScenario *scenario = scenarios->pdata[i / chosen->len];
        const MigdEngine *engine = chosen->pdata[i % chosen->len];
        g_autoptr(MigdRun) run = migd_run(scenario, engine, &profile);

        if (cli->output != MIGD_OUTPUT_TEXT)
            migd_json_append(array, migd_run_to_json(scenario, engine->name, run, TRUE));
        else if (scenarios->len * chosen->len == 1)
            append_story(out, cli, scenario, engine->name, run);
        else
            take_run(cli, table, scenario, engine->name, run);
    }
    if (cli->output != MIGD_OUTPUT_TEXT) {
        migd_cli_print_json(cli, array);
        return MIGD_EXIT_DONE;
    }
    if (out->len == 0)
        migd_table_append(table, &cli->style, cli->tty ? cli->style.columns : 0, cli->legend, out);
    migd_cli_print(out->str);
    return MIGD_EXIT_DONE;
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The verb replay: what today's policy would decide over a recorded migration, offline. With
 * --check it is a test: the decisions must be those of the trace, bit for bit.
 */
#include "cli/chart.h"
#include "cli/profile.h"
#include "cli/story.h"
#include "cli/tojson.h"
#include "cli/verbs.h"

#include "base/error.h"

/* ---- the comparison ------------------------------------------------------------------------ */

typedef struct {
    const MigdCli *cli;
    const MigdTrace *trace;
    GString *text;       /* decisions for people */
    MigdJson *decisions; /* or for programs */
    guint n_decisions;
    char *first; /* the first difference in words; NULL = none */
} Report;

static char *
describe(const MigdDecision *decision, gint64 begin_us)
{
    if (decision == NULL)
        return g_strdup("nothing new");
    g_autoptr(MigdJson) json = migd_decision_to_json(decision, begin_us);
    return migd_json_to_string(json, MIGD_JSON_SHORT);
}

static void
note_difference(Report *report, const MigdDecision *decision, const MigdDecision *recorded)
{
    const MigdDecision *either = decision != NULL ? decision : recorded;
    const char *key = decision != NULL && recorded != NULL
                          ? migd_trace_decision_diff(decision, recorded)
                          : "whether there is a decision";
    gint64 begin_us = report->trace->start.time_us;

    if (key == NULL || report->first != NULL)
        return;
    g_autofree char *was = describe(recorded, begin_us);
    g_autofree char *is = describe(decision, begin_us);
    report->first =
        g_strdup_printf("first difference at %.6f s in %s:\n  recorded: %s\n  replayed: %s\n",
                        (double)(either->time_us - begin_us) / 1e6, key, was, is);
}

static void
on_decision(const MigdDecision *decision, const MigdDecision *recorded, gpointer user_data)
{
    Report *report = user_data;
    gboolean same = decision != NULL && recorded != NULL &&
                    migd_trace_decision_diff(decision, recorded) == NULL;

    note_difference(report, decision, recorded);
    if (decision == NULL)
        return;
    report->n_decisions++;
    if (report->cli->output == MIGD_OUTPUT_TEXT) {
        migd_story_append_decision(report->text, decision, report->trace->start.time_us,
                                   same ? ' ' : '!', &report->cli->style);
        return;
    }
    MigdJson *object = migd_decision_to_json(decision, report->trace->start.time_us);
    migd_json_add_bool(object, "as_recorded", same);
    migd_json_append(report->decisions, object);
}

/* ---- output -------------------------------------------------------------------------------- */

static void
print_text(const MigdCli *cli, const Report *report, guint differences)
{
    g_autoptr(GString) out = g_string_new(NULL);

    if (cli->chart) {
        g_autoptr(MigdPicture) picture = migd_picture_new(report->trace);
        migd_chart_draw(out, picture, &cli->style, MIGD_CHART_SIZE_FULL);
        g_string_append_c(out, '\n');
    }
    if (!cli->check)
        g_string_append(out, report->text->str);
    if (cli->legend)
        g_string_append_printf(out, "%s%u decision%s, %u difference%s to the trace.\n",
                               out->len > 0 ? "\n" : "", report->n_decisions,
                               report->n_decisions == 1 ? "" : "s", differences,
                               differences == 1 ? "" : "s");
    if (cli->check && report->first != NULL)
        g_string_append(out, report->first);
    migd_cli_print(out->str);
}

static void
print_json(const MigdCli *cli, const Report *report, guint differences)
{
    g_autoptr(MigdJson) object = migd_json_object_new();

    migd_json_add_string(object, "Id", report->trace->start.id);
    migd_json_add_string(object, "DomainName", report->trace->start.domain_name);
    migd_json_add_u64(object, "differences", differences);
    if (report->first != NULL)
        migd_json_add_string(object, "first_difference", report->first);
    migd_json_add(object, "Decisions", migd_json_ref(report->decisions));
    migd_cli_print_json(cli, object);
}

MigdExit
migd_verb_replay(MigdCli *cli, char **arguments, GError **error)
{
    g_autoptr(GError) bad = NULL;
    g_autoptr(MigdTrace) trace = migd_trace_read(arguments[0], &bad);
    g_autoptr(GString) text = g_string_new(NULL);
    g_autoptr(MigdJson) decisions = migd_json_array_new();
    g_autofree char *first = NULL;
    Report report = {.cli = cli, .trace = trace, .text = text, .decisions = decisions};
    MigdProfile profile;
    guint differences;

    if (trace == NULL) {
        /* A bad trace is no wrong usage. */
        g_set_error_literal(error, MIGD_ERROR, MIGD_ERROR_FAILED, bad->message);
        return MIGD_EXIT_FAILED;
    }
    if (cli->profile != NULL && !migd_profile_read(cli->profile, &profile, error))
        return MIGD_EXIT_FAILED;
    differences = migd_trace_replay(trace, cli->profile != NULL ? &profile : NULL, on_decision,
                                    &report, NULL);
    first = report.first;
    if (cli->output == MIGD_OUTPUT_TEXT)
        print_text(cli, &report, differences);
    else
        print_json(cli, &report, differences);
    return cli->check && differences > 0 ? MIGD_EXIT_FAILED : MIGD_EXIT_DONE;
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Tests of the picture of a migration: what is measured from a trace, the chart against golden
 * files in golden/, and the story. MIGD_UPDATE_GOLDEN=1 writes the golden files anew; look at the
 * difference before committing it. The sentences of the policy are not part of them.
 */
#include "fixture.h"

#include "cli/chart.h"
#include "cli/story.h"
#include "cli/tojson.h"

#include <string.h>

static MigdTrace *
read_data(const char *name)
{
    g_autofree char *path = g_test_build_filename(G_TEST_DIST, "data", name, NULL);
    g_autoptr(GError) error = NULL;
    MigdTrace *trace = migd_trace_read(path, &error);

    g_assert_no_error(error);
    return trace;
}

/* As it was after the first `entries` entries. */
static void
cut(MigdTrace *trace, guint entries)
{
    g_assert_cmpuint(entries, <, trace->entries->len);
    g_array_set_size(trace->entries, entries);
    trace->finished = FALSE;
}

/* ---- golden files -------------------------------------------------------------------------- */

/* Up to the list of decisions, which has no empty line in it. */
static char *
without_story(const char *text)
{
    const char *end = g_strrstr(text, "\n\n");

    g_assert_nonnull(end);
    return g_strndup(text, (gsize)(end - text) + 1);
}

static void
assert_fits(const char *text, guint columns)
{
    g_auto(GStrv) lines = g_strsplit(text, "\n", -1);

    for (guint i = 0; lines[i] != NULL; i++) {
        g_assert_true(g_utf8_validate(lines[i], -1, NULL));
        g_assert_cmpuint(migd_width(lines[i]), <=, columns);
    }
}

typedef struct {
    const char *name, *data;
    guint entries; /* 0 = all */
    guint rows;    /* 0 = the full size */
    MigdStyle style;
} Golden;

static const Golden goldens[] = {
    {"plateau-80", "plateau.jsonl", 0, 0, {.columns = 80}},
    {"plateau-120", "plateau.jsonl", 0, 0, {.columns = 120}},
    {"plateau-40", "plateau.jsonl", 0, 0, {.columns = 40}},
    {"plateau-ascii", "plateau.jsonl", 0, 0, {.columns = 80, .ascii = TRUE}},
    {"plateau-colour", "plateau.jsonl", 0, 0, {.columns = 80, .colour = TRUE}},
    {"plateau-bytes", "plateau.jsonl", 0, 0, {.columns = 80, .bytes = TRUE}},
    {"running-24-rows", "plateau.jsonl", 16, 24, {.columns = 80}},
    {"begun", "plateau.jsonl", 3, 0, {.columns = 80}},
    {"large-logarithmic", "large.jsonl", 0, 0, {.columns = 80}},
};

static void
test_golden(gconstpointer data)
{
    const Golden *golden = data;
    g_autoptr(MigdTrace) trace = read_data(golden->data);
    g_autofree char *file = g_strconcat(golden->name, ".txt", NULL);
    g_autofree char *path = g_test_build_filename(G_TEST_DIST, "golden", file, NULL);
    g_autoptr(GString) out = g_string_new(NULL);
    g_autoptr(MigdPicture) picture = NULL;
    g_autofree char *expected = NULL;
    g_autoptr(GError) error = NULL;

    if (golden->entries > 0)
        cut(trace, golden->entries);
    picture = migd_picture_new(trace);
    migd_chart_draw(out, picture, &golden->style,
                    golden->rows > 0 ? migd_chart_size_for(golden->rows) : MIGD_CHART_SIZE_FULL);
    if (!golden->style.colour)
        assert_fits(out->str, golden->style.columns);
    g_autofree char *drawn = without_story(out->str);
    if (g_getenv("MIGD_UPDATE_GOLDEN") != NULL)
        g_assert_true(g_file_set_contents(path, drawn, -1, &error));
    g_assert_true(g_file_get_contents(path, &expected, NULL, &error));
    g_assert_cmpstr(drawn, ==, expected);
}

static void
test_ascii_is_ascii(void)
{
    g_autoptr(MigdTrace) trace = read_data("plateau.jsonl");
    g_autoptr(MigdPicture) picture = migd_picture_new(trace);
    const MigdStyle style = {.columns = 80, .ascii = TRUE};
    g_autoptr(GString) out = g_string_new(NULL);

    migd_chart_draw(out, picture, &style, MIGD_CHART_SIZE_FULL);
    migd_story_append(out, picture, &style, /* effects= */ TRUE, 0);
    g_assert_true(g_str_is_ascii(out->str));
    g_assert_null(strchr(out->str, '\033'));
}

/* Whatever the terminal, nothing runs out of it and nothing crashes. */
static void
test_every_width(void)
{
    g_autoptr(MigdTrace) trace = read_data("plateau.jsonl");
    g_autoptr(MigdPicture) picture = migd_picture_new(trace);

    for (guint columns = 40; columns < 300; columns += 7) {
        for (guint rows = 1; rows < 90; rows += 11) {
            const MigdStyle style = {.columns = columns, .ascii = rows % 2 == 0};
            g_autoptr(GString) out = g_string_new(NULL);

            migd_chart_draw(out, picture, &style, migd_chart_size_for(rows));
            assert_fits(out->str, columns);
        }
    }
}

/* On a screen of 24 lines or more the whole view fits. */
static void
test_fits_screen(void)
{
    g_autoptr(MigdTrace) trace = read_data("plateau.jsonl");

    cut(trace, 20);
    g_autoptr(MigdPicture) picture = migd_picture_new(trace);
    for (guint rows = 24; rows < 100; rows++) {
        const MigdStyle style = {.columns = 100};
        g_autoptr(GString) out = g_string_new(NULL);

        migd_chart_draw(out, picture, &style, migd_chart_size_for(rows));
        g_auto(GStrv) lines = g_strsplit(out->str, "\n", -1);
        g_assert_cmpuint(g_strv_length(lines) - 1, <=, rows);
    }
}

/* ---- the picture --------------------------------------------------------------------------- */

static void
test_picture(void)
{
    g_autofree char *path = fixture_path("trace.jsonl");
    g_autoptr(GError) error = NULL;
    g_autoptr(MigdTrace) trace = NULL;
    g_autoptr(MigdPicture) picture = NULL;

    fixture_write(&fixture_plateau, path);
    trace = migd_trace_read(path, &error);
    g_assert_no_error(error);
    picture = migd_picture_new(trace);

    g_assert_cmpuint(picture->total_bytes, ==, fixture_plateau.memory_bytes);
    g_assert_cmpuint(picture->marks->len, ==, trace->finish.decisions);
    g_assert_cmpuint(picture->passes->len, ==, trace->finish.passes - 1);
    for (guint i = 0; i < picture->passes->len; i++) {
        const MigdPicturePass *pass = &g_array_index(picture->passes, MigdPicturePass, i);
        double seconds = (double)(pass->end_us - pass->begin_us) / 1e6;

        g_assert_cmpuint(pass->number, ==, i + 1);
        g_assert_cmpfloat_with_epsilon((double)pass->dirty_bps * seconds, (double)pass->left_bytes,
                                       20000);
        g_assert_cmpfloat_with_epsilon((double)pass->link_bps, (double)fixture_plateau.link_bps,
                                       20000);
    }
    /* Half way through the first pass, half of the memory is left. */
    double half_us = (double)fixture_plateau.memory_bytes / (double)fixture_plateau.link_bps * 5e5;
    g_assert_cmpfloat_with_epsilon(migd_picture_left_at(picture, half_us),
                                   (double)fixture_plateau.memory_bytes / 2, 20000);
    g_assert_cmpfloat(migd_picture_left_at(picture, (double)picture->end_us), ==, 0);
    g_assert_cmpfloat(migd_picture_left_at(picture, -1), ==, 0);
    g_assert_null(migd_picture_at(picture, -1));
    g_assert_null(migd_picture_pass_at(picture, 1e15));
    fixture_remove(path);
}

/* A pass that ended before all was sent: what was left unsent is not newly dirtied. */
static void
test_early_sync(void)
{
    g_autoptr(MigdTrace) trace = read_data("plateau.jsonl");
    g_autoptr(MigdPicture) picture = migd_picture_new(trace);
    const MigdPicturePass *last =
        &g_array_index(picture->passes, MigdPicturePass, picture->passes->len - 1);
    double seconds = (double)(last->end_us - last->begin_us) / 1e6;

    g_assert_cmpfloat((double)last->dirty_bps * seconds, <, (double)last->left_bytes / 2);
}

/* A sync that nobody saw (the daemon was restarted): no pass is made up of two. */
static void
test_missed_sync(void)
{
    g_autoptr(MigdTrace) trace = read_data("plateau.jsonl");
    g_autoptr(MigdPicture) whole = migd_picture_new(trace);

    for (guint i = 0; i < trace->entries->len; i++) {
        MigdTraceEntry *entry = &g_array_index(trace->entries, MigdTraceEntry, i);
        if (entry->kind == MIGD_TRACE_SAMPLE && migd_sample_has(&entry->sample, MIGD_HAS_SYNC) &&
            entry->sample.pass == 3)
            entry->sample.has &= ~(guint32)MIGD_HAS_SYNC;
    }
    g_autoptr(MigdPicture) picture = migd_picture_new(trace);
    g_assert_cmpuint(picture->passes->len, ==, whole->passes->len - 2);
    for (guint i = 0; i < picture->passes->len; i++) {
        guint64 number = g_array_index(picture->passes, MigdPicturePass, i).number;
        g_assert_true(number != 2 && number != 3);
    }
}

/* ---- the story ----------------------------------------------------------------------------- */

static guint
count_of(const char *text, const char *what)
{
    guint n = 0;

    for (const char *p = strstr(text, what); p != NULL; p = strstr(p + 1, what))
        n++;
    return n;
}

static void
test_story_effects(void)
{
    g_autofree char *path = fixture_path("trace.jsonl");
    g_autoptr(GError) error = NULL;
    g_autoptr(MigdTrace) trace = NULL;
    FixtureGuest guest = fixture_plateau;
    const MigdStyle style = {.columns = 2000};
    g_autoptr(GString) out = g_string_new(NULL);
    guint done = 0, refused = 0;

    guest.refuse_every = 2;
    fixture_write(&guest, path);
    trace = migd_trace_read(path, &error);
    g_assert_no_error(error);
    for (guint i = 0; i < trace->entries->len; i++) {
        const MigdTraceEntry *entry = &g_array_index(trace->entries, MigdTraceEntry, i);
        done += entry->kind == MIGD_TRACE_OUTCOME && entry->problem == NULL;
        refused += entry->kind == MIGD_TRACE_OUTCOME && entry->problem != NULL;
    }
    g_assert_cmpuint(done, >, 0);
    g_autoptr(MigdPicture) picture = migd_picture_new(trace);
    migd_story_append(out, picture, &style, /* effects= */ TRUE, 0);
    g_assert_cmpuint(count_of(out->str, "Done after 700 us."), ==, done);
    g_assert_cmpuint(count_of(out->str, "The hypervisor refused: not now."), ==, refused);
    fixture_remove(path);
}

static void
test_story_observe(void)
{
    g_autoptr(MigdTrace) trace = read_data("plateau.jsonl");
    g_autofree char *facts = NULL;
    const MigdStyle style = {.columns = 80};
    guint told = 0;

    g_free(trace->start.mode);
    trace->start.mode = g_strdup("observe");
    for (guint i = trace->entries->len; i > 0; i--) {
        MigdTraceKind kind = g_array_index(trace->entries, MigdTraceEntry, i - 1).kind;
        if (kind == MIGD_TRACE_ACTION || kind == MIGD_TRACE_OUTCOME)
            g_array_remove_index(trace->entries, i - 1);
    }
    g_autoptr(MigdPicture) picture = migd_picture_new(trace);
    for (guint i = 0; i < picture->marks->len; i++) {
        const MigdPictureMark *mark = &g_array_index(picture->marks, MigdPictureMark, i);
        g_autofree char *effect = migd_story_effect(picture, i, &style);

        g_assert_cmpint(mark->state, ==, MIGD_MARK_SAID);
        g_assert_true((effect != NULL) == (mark->decision.action != MIGD_ACTION_WAIT));
        told += effect != NULL;
    }
    g_assert_cmpuint(told, >, 0);
    facts = migd_story_facts(picture, &style);
    g_assert_nonnull(strstr(facts, "only observed"));
}

static void
test_story_hostile_names(void)
{
    g_autoptr(MigdTrace) trace = read_data("plateau.jsonl");
    const MigdStyle style = {.columns = 80};
    g_autoptr(GString) out = g_string_new(NULL);

    g_free(trace->start.domain_name);
    trace->start.domain_name = g_strdup("evil\033[2J\nname");
    g_free(trace->finish.error);
    trace->finish.error = g_strdup("\033]0;title\a");
    g_free(trace->finish.result);
    trace->finish.result = g_strdup("failed");
    g_autoptr(MigdPicture) picture = migd_picture_new(trace);
    migd_chart_draw(out, picture, &style, MIGD_CHART_SIZE_FULL);
    g_assert_null(strchr(out->str, '\033'));
    g_assert_null(strchr(out->str, '\a'));
    g_assert_nonnull(strstr(out->str, "evil\\x1b[2J\\x0aname"));
}

static void
test_story_lines(void)
{
    g_autoptr(MigdTrace) trace = read_data("plateau.jsonl");
    g_autoptr(MigdPicture) picture = migd_picture_new(trace);
    const MigdStyle style = {.columns = 80};

    for (guint max = 2; max < 12; max++) {
        g_autoptr(GString) out = g_string_new(NULL);

        migd_story_append(out, picture, &style, /* effects= */ FALSE, max);
        g_assert_cmpuint(count_of(out->str, "\n"), ==, max);
        g_assert_true(g_str_has_prefix(out->str, "…\n"));
    }
}

/* ---- JSON ---------------------------------------------------------------------------------- */

static void
test_json(void)
{
    g_autoptr(MigdTrace) trace = read_data("plateau.jsonl");
    g_autoptr(MigdPicture) picture = migd_picture_new(trace);
    g_autoptr(MigdJson) built = migd_picture_to_json(picture);
    g_autofree char *text = migd_json_to_string(built, MIGD_JSON_SHORT);
    g_autoptr(GError) error = NULL;
    g_autoptr(MigdJson) json = migd_json_parse(text, strlen(text), &error);
    const MigdJson *decisions, *passes;
    const char *result;
    guint64 value;

    g_assert_no_error(error);
    g_assert_cmpint(migd_json_get_string(json, "Result", &result, &error), ==, MIGD_JSON_OK);
    g_assert_cmpstr(result, ==, "succeeded");
    g_assert_cmpint(migd_json_get_u64(json, "total_us", 0, G_MAXUINT64, &value, &error), ==,
                    MIGD_JSON_OK);
    g_assert_cmpuint(value, ==, trace->finish.total_us);
    g_assert_cmpint(migd_json_get_array(json, "Decisions", &decisions, &error), ==, MIGD_JSON_OK);
    g_assert_cmpuint(migd_json_array_length(decisions), ==, picture->marks->len);
    g_assert_cmpint(migd_json_get_array(json, "Passes", &passes, &error), ==, MIGD_JSON_OK);
    g_assert_cmpuint(migd_json_array_length(passes), ==, picture->passes->len);
    for (guint i = 0; i < picture->marks->len; i++) {
        const MigdPictureMark *mark = &g_array_index(picture->marks, MigdPictureMark, i);
        const MigdJson *decision = migd_json_array_get(decisions, i);

        g_assert_cmpint(
            migd_json_get_u64(decision, "time_us_left_mid", 0, G_MAXUINT64, &value, &error), ==,
            MIGD_JSON_OK);
        g_assert_cmpuint(value, ==, mark->decision.time_us_left.mid);
    }
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    for (guint i = 0; i < G_N_ELEMENTS(goldens); i++) {
        g_autofree char *name = g_strconcat("/cli/chart/golden/", goldens[i].name, NULL);
        g_test_add_data_func(name, &goldens[i], test_golden);
    }
    g_test_add_func("/cli/chart/ascii", test_ascii_is_ascii);
    g_test_add_func("/cli/chart/every-width", test_every_width);
    g_test_add_func("/cli/chart/fits-screen", test_fits_screen);
    g_test_add_func("/cli/picture/measures", test_picture);
    g_test_add_func("/cli/picture/early-sync", test_early_sync);
    g_test_add_func("/cli/picture/missed-sync", test_missed_sync);
    g_test_add_func("/cli/story/effects", test_story_effects);
    g_test_add_func("/cli/story/observe", test_story_observe);
    g_test_add_func("/cli/story/hostile-names", test_story_hostile_names);
    g_test_add_func("/cli/story/lines", test_story_lines);
    g_test_add_func("/cli/json", test_json);
    return g_test_run();
}

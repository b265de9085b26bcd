/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Tests of what is under the pictures and tables: widths, clipping, wrapping, axes, tables, canvas,
 * and dictionaries of the bus as JSON.
 */
#include "cli/axis.h"
#include "cli/canvas.h"
#include "cli/cli.h"
#include "cli/table.h"

#include <math.h>
#include <string.h>

static const MigdStyle plain = {.columns = 80};
static const MigdStyle ascii = {.columns = 80, .ascii = TRUE};

/* ---- text ---------------------------------------------------------------------------------- */

static void
test_width(void)
{
    g_assert_cmpuint(migd_width(""), ==, 0);
    g_assert_cmpuint(migd_width("abc"), ==, 3);
    g_assert_cmpuint(migd_width("ümlaut"), ==, 6);
    g_assert_cmpuint(migd_width("猫"), ==, 2);
    g_assert_cmpuint(migd_width("e\xcc\x81"), ==, 1); /* e and a combining accent */
}

static void
test_clip(void)
{
    static const struct {
        const char *text;
        guint width;
        const char *clipped, *in_ascii;
    } rows[] = {
        {"abcdef", 6, "abcdef", "abcdef"},
        {"abcdef", 5, "abcd…", "abcd~"},
        {"abcdef", 1, "…", "~"},
        {"abcdef", 0, "", ""},
        {"猫猫猫", 5, "猫猫…", "猫猫~"},
        {"猫猫猫", 4, "猫…", "猫~"},
        {"", 3, "", ""},
    };

    for (guint i = 0; i < G_N_ELEMENTS(rows); i++) {
        g_autoptr(GString) one = g_string_new(NULL);
        g_autoptr(GString) two = g_string_new(NULL);
        g_autoptr(GString) padded = g_string_new(NULL);

        migd_append_clipped(one, &plain, rows[i].text, rows[i].width, FALSE);
        g_assert_cmpstr(one->str, ==, rows[i].clipped);
        migd_append_clipped(two, &ascii, rows[i].text, rows[i].width, FALSE);
        g_assert_cmpstr(two->str, ==, rows[i].in_ascii);
        migd_append_clipped(padded, &plain, rows[i].text, rows[i].width, TRUE);
        g_assert_cmpuint(migd_width(padded->str), ==, rows[i].width);
    }
}

static void
test_wrap(void)
{
    static const struct {
        const char *text;
        guint width;
        const char *joined;
    } rows[] = {
        {"", 10, ""},
        {"one", 10, "one"},
        {"one two three", 7, "one two|three"},
        {"one two three", 8, "one two|three"},
        {"one two three", 3, "one|two|thr|ee"},
        {"  spaces   everywhere  ", 10, "spaces|everywhere"},
        {"猫猫 猫猫", 4, "猫猫|猫猫"},
        {"unbreakable", 4, "unbr|eaka|ble"},
    };

    for (guint i = 0; i < G_N_ELEMENTS(rows); i++) {
        g_auto(GStrv) lines = migd_wrap(rows[i].text, rows[i].width);
        g_autofree char *joined = g_strjoinv("|", lines);

        g_assert_cmpstr(joined, ==, rows[i].joined);
    }
}

static void
test_style_text(void)
{
    g_autofree char *hostile = migd_style_text(&plain, "a\033[31mb\nc\xff");
    g_autofree char *simple = migd_style_text(&ascii, "5 µs … → x");
    g_autofree char *none = migd_style_text(&plain, NULL);
    g_autoptr(GString) big = g_string_new(NULL);

    g_assert_null(strchr(hostile, '\033'));
    g_assert_null(strchr(hostile, '\n'));
    g_assert_true(g_utf8_validate(hostile, -1, NULL));
    g_assert_cmpstr(simple, ==, "5 us ... -> x");
    g_assert_cmpstr(none, ==, "");
    for (guint i = 0; i < 1000; i++)
        g_string_append(big, "long é ");
    g_autofree char *whole = migd_style_text(&plain, big->str);
    g_assert_cmpstr(whole, ==, big->str);
}

static void
test_paint(void)
{
    const MigdStyle colour = {.columns = 80, .colour = TRUE};

    for (MigdInk ink = MIGD_INK_PLAIN; ink < MIGD_N_INKS; ink++) {
        g_autoptr(GString) out = g_string_new(NULL);
        g_autoptr(GString) bare = g_string_new(NULL);

        migd_paintf(out, &colour, ink, "%d", 42);
        migd_paintf(bare, &plain, ink, "%d", 42);
        g_assert_nonnull(strstr(out->str, "42"));
        g_assert_true(ink == MIGD_INK_PLAIN || g_str_has_suffix(out->str, "\033[0m"));
        g_assert_cmpstr(bare->str, ==, "42");
    }
}

/* ---- axes ---------------------------------------------------------------------------------- */

static void
test_axis(void)
{
    static const double tops[][2] = {{0, 1},
                                     {1, 1},
                                     {5, 5},
                                     {7, 8},
                                     {1000, 1024},
                                     {1025, 1536},
                                     {99.0e6, 96 << 20},
                                     {1.1e9, 1.5 * (1 << 30)}};
    MigdAxis linear, logarithmic;

    for (guint i = 0; i < G_N_ELEMENTS(tops); i++)
        g_assert_cmpfloat(migd_axis_linear(tops[i][0]).top, ==, tops[i][1]);
    linear = migd_axis_fitting(64 << 20, 12 << 20);
    g_assert_cmpfloat(linear.floor, ==, 0);
    g_assert_cmpfloat(migd_axis_height(&linear, linear.top / 4), ==, 0.25);
    logarithmic = migd_axis_fitting(64.0 * (1 << 30), 12 << 20);
    g_assert_cmpfloat(logarithmic.floor, >, 0);
    g_assert_cmpfloat(migd_axis_height(&logarithmic, logarithmic.top), ==, 1);
    g_assert_cmpfloat(migd_axis_height(&logarithmic, 0), ==, 0);
    for (double height = 0.1; height < 1; height += 0.1)
        g_assert_cmpfloat_with_epsilon(
            migd_axis_height(&logarithmic, migd_axis_value(&logarithmic, height)), height, 1e-9);
}

static void
test_axis_labels(void)
{
    static const struct {
        double bytes;
        const char *label;
    } rows[] = {
        {0, "0"},
        {1, "1 B"},
        {999, "999 B"},
        {1000, "0.977 KiB"},
        {64 << 20, "64 MiB"},
        {1.5 * (1 << 30), "1.5 GiB"},
        {768.0 * (1 << 20), "768 MiB"},
    };

    for (guint i = 0; i < G_N_ELEMENTS(rows); i++) {
        g_autofree char *label = migd_axis_label(rows[i].bytes, "");
        g_assert_cmpstr(label, ==, rows[i].label);
    }
}

static void
test_time_steps(void)
{
    static const gint64 spans_s[] = {1, 5, 9, 61, 300, 3599, 86400, 864000};

    for (guint i = 0; i < G_N_ELEMENTS(spans_s); i++) {
        gint64 span = spans_s[i] * (gint64)G_USEC_PER_SEC;
        gint64 step = migd_axis_time_step(span, 6);

        g_assert_cmpint(span / step, <=, 6);
        g_assert_cmpint(span / step, >=, 1);
    }
    g_assert_cmpint(migd_axis_time_step(0, 6), >, 0);
    g_autofree char *ms = migd_axis_time_label(200000, 200000);
    g_autofree char *s = migd_axis_time_label(1200000, 200000);
    g_autofree char *min = migd_axis_time_label(120000000, 60000000);
    g_autofree char *zero = migd_axis_time_label(0, 60000000);
    g_assert_cmpstr(ms, ==, "200 ms");
    g_assert_cmpstr(s, ==, "1.2 s");
    g_assert_cmpstr(min, ==, "2 min");
    g_assert_cmpstr(zero, ==, "0");
}

/* ---- tables -------------------------------------------------------------------------------- */

static MigdTable *
make_table(void)
{
    static const MigdColumn columns[] = {
        {"VM", FALSE, TRUE}, {"LEFT", TRUE, FALSE}, {"ID", FALSE, TRUE}, {NULL, FALSE, FALSE}};
    MigdTable *table = migd_table_new(columns);
    static const char *const cells[] = {"猫",  "12.0 MiB",        "short", "a-very-long-name",
                                        "1 B", "0123456789abcdef"};

    for (guint i = 0; i < G_N_ELEMENTS(cells); i++)
        migd_table_take(table, g_strdup(cells[i]), MIGD_INK_PLAIN);
    return table;
}

static void
test_table(void)
{
    g_autoptr(MigdTable) table = make_table();
    g_autoptr(GString) full = g_string_new(NULL);
    g_autoptr(GString) narrow = g_string_new(NULL);

    migd_table_append(table, &plain, 0, TRUE, full);
    g_assert_cmpstr(full->str, ==,
                    "VM                    LEFT  ID\n"
                    "猫                12.0 MiB  short\n"
                    "a-very-long-name       1 B  0123456789abcdef\n");
    migd_table_append(table, &plain, 34, FALSE, narrow);
    g_assert_cmpstr(narrow->str, ==,
                    "猫           12.0 MiB  short\n"
                    "a-very-lon…       1 B  0123456789…\n");
}

/* ---- canvas -------------------------------------------------------------------------------- */

static char *
canvas_text(const MigdCanvas *canvas, guint rows)
{
    GString *out = g_string_new(NULL);

    for (guint i = 0; i < rows; i++) {
        migd_canvas_append_row(canvas, i, out);
        g_string_append_c(out, '|');
    }
    return g_string_free(out, FALSE);
}

static void
test_canvas(void)
{
    const double ramp[] = {0, 0.125, 0.25, 0.5, NAN, 1, 7, -1};
    const double line[] = {0.1, 0.1, 0.9, NAN};
    g_autoptr(MigdCanvas) dots = migd_canvas_new(&plain, 4, 2);
    g_autoptr(MigdCanvas) shades = migd_canvas_new(&ascii, 4, 2);
    g_autoptr(MigdCanvas) lines = migd_canvas_new(&plain, 4, 3);

    migd_canvas_area(dots, ramp, MIGD_INK_LEFT);
    migd_canvas_area(shades, ramp, MIGD_INK_LEFT);
    migd_canvas_line(lines, line, MIGD_LINE_SOLID, MIGD_INK_LINK);
    g_autofree char *one = canvas_text(dots, 2);
    g_autofree char *two = canvas_text(shades, 2);
    g_autofree char *three = canvas_text(lines, 3);
    g_assert_cmpstr(one, ==, "  ⢸⡇|⢀⣼⢸⡇|");
    g_assert_cmpstr(two, ==, "  ::|.#::|");
    g_assert_cmpstr(three, ==, "  ╭|  │|──╯|");
}

/* ---- dictionaries -------------------------------------------------------------------------- */

static void
test_variant(void)
{
    static const char *const text =
        "{'Name': <'a\"b'>, 'Bytes': <uint64 18446744073709551615>, 'Pass': <uint32 7>,"
        " 'Offset': <int64 -9223372036854775808>, 'Yes': <true>, 'Path': <objectpath '/a'>,"
        " 'Eta': <(uint64 1, uint64 2, uint64 18446744073709551615)>, 'Names': <['x', 'y']>,"
        " 'Inner': <{'A': <uint32 1>}>, 'Deep': <<<'v'>>>, 'Progress': <0.5>, 'Nothing': <@as []>}";
    g_autoptr(GVariant) dict =
        g_variant_ref_sink(g_variant_new_parsed(text)); /* its type comes from the text */
    g_autoptr(MigdJson) json = migd_json_from_dict(dict);
    g_autofree char *printed = migd_json_to_string(json, MIGD_JSON_SHORT);

    g_assert_cmpstr(printed, ==,
                    "{\"Name\":\"a\\\"b\",\"Bytes\":18446744073709551615,\"Pass\":7,"
                    "\"Offset\":-9223372036854775808,\"Yes\":true,\"Path\":\"/a\","
                    "\"Eta\":[1,2,18446744073709551615],\"Names\":[\"x\",\"y\"],"
                    "\"Inner\":{\"A\":1},\"Deep\":\"v\",\"Progress\":0.5,\"Nothing\":[]}");
    g_assert_cmpstr(migd_dict_string(dict, "Name"), ==, "a\"b");
    g_assert_cmpstr(migd_dict_string(dict, "Path"), ==, "/a");
    g_assert_cmpstr(migd_dict_string(dict, "Bytes"), ==, "");
    g_assert_cmpuint(migd_dict_number(dict, "Pass"), ==, 7);
    g_assert_cmpuint(migd_dict_number(dict, "Bytes"), ==, G_MAXUINT64);
    g_assert_cmpuint(migd_dict_number(dict, "Name"), ==, 0);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/cli/text/width", test_width);
    g_test_add_func("/cli/text/clip", test_clip);
    g_test_add_func("/cli/text/wrap", test_wrap);
    g_test_add_func("/cli/text/style", test_style_text);
    g_test_add_func("/cli/text/paint", test_paint);
    g_test_add_func("/cli/axis/scales", test_axis);
    g_test_add_func("/cli/axis/labels", test_axis_labels);
    g_test_add_func("/cli/axis/time", test_time_steps);
    g_test_add_func("/cli/table", test_table);
    g_test_add_func("/cli/canvas", test_canvas);
    g_test_add_func("/cli/variant", test_variant);
    return g_test_run();
}

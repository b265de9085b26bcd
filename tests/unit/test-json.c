/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Tests of src/json: what the guard lets through and what it refuses, getters that never coerce,
 * what is written reads back. Tables of text and outcome; touches nothing outside the process.
 */
#include "json/json.h"

#include <math.h>
#include <string.h>

static MigdJson *
parse(const char *text, GError **error)
{
    return migd_json_parse(text, strlen(text), error);
}

static const char *const good[] = {
    "{}",
    "[]",
    " {\r\n} \t",
    "{\"a\":-0,\"b\":0.5e+3,\"c\":[true,false,null],\"d\":\"\\u00e9\\n\\/\"}",
    "{\"max\":18446744073709551615,\"min\":-9223372036854775808}",
    "{\"a\":{\"a\":1},\"b\":[{\"a\":2},{\"a\":3}]}", /* the same key in different objects */
    "[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]",              /* 16 deep */
    "{\"\\ud83d\\ude00\":1}",
};

static void
test_good(void)
{
    for (guint i = 0; i < G_N_ELEMENTS(good); i++) {
        g_autoptr(GError) error = NULL;
        g_autoptr(MigdJson) json = parse(good[i], &error);

        g_assert_no_error(error);
        g_assert_nonnull(json);
    }
}

static const struct {
    const char *text, *error;
} refused[] = {
    {"", "object or array expected"},
    {"1", "object or array expected"},
    {"\"a\"", "object or array expected"},
    {"{", "string expected"},
    {"{\"a\"}", "':' expected"},
    {"{\"a\":}", "value expected"},
    {"{\"a\":1", "closing bracket"},
    {"{\"a\":1,}", "string expected"},
    {"[1,]", "value expected"},
    {"[1 2]", "closing bracket"},
    {"[1]]", "text after the document"},
    {"{} {}", "text after the document"},
    {"{\"a\":1]", "closing bracket"},
    {"{'a':1}", "string expected"},
    {"[NaN]", "value expected"},
    {"[-Infinity]", "digit expected"},
    {"[Infinity]", "value expected"},
    {"[True]", "value expected"},
    {"[nul]", "value expected"},
    {"[01]", "closing bracket"},
    {"[+1]", "value expected"},
    {"[1.]", "digit expected"},
    {"[.5]", "value expected"},
    {"[1e]", "digit expected"},
    {"[0x10]", "closing bracket"},
    {"[1e999]", "out of range"},
    {"[18446744073709551616]", "out of range"},
    {"[-9223372036854775809]", "out of range"},
    {"[11111111111111111111111111111111111111111111111111111111111111111]", "too long"},
    {"[\"a\nb\"]", "control character"},
    {"[\"a\\x\"]", "bad escape"},
    {"[\"\\u12g4\"]", "bad \\u escape"},
    {"[\"\\u0000\"]", "NUL"},
    {"[\"abc", "unfinished string"},
    {"[\"abc\\", "bad escape"},
    {"[\"\xff\"]", "no UTF-8"},
    {"[\"\xed\xa0\x80\"]", "no UTF-8"}, /* a surrogate in UTF-8 */
    {"/* c */ {}", "object or array expected"},
    {"[1] // c", "text after the document"},
    {"{\"a\":1,\"a\":2}", "repeated"},
    {"{\"a\":1,\"\\u0061\":2}", "repeated"},
    {"[{\"x\":{\"b\":[],\"b\":[]}}]", "repeated"},
    {"[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]", "nested too deep"},
};

static void
test_refused(void)
{
    for (guint i = 0; i < G_N_ELEMENTS(refused); i++) {
        g_autoptr(GError) error = NULL;
        g_autoptr(MigdJson) json = parse(refused[i].text, &error);

        g_assert_null(json);
        g_assert_nonnull(error);
        if (strstr(error->message, refused[i].error) == NULL)
            g_error("%s: got \"%s\", not \"%s\"", refused[i].text, error->message,
                    refused[i].error);
    }
}

static void
test_nul_byte(void)
{
    g_autoptr(GError) error = NULL;

    g_assert_null(migd_json_parse("{}\0{}", 5, &error));
    g_assert_nonnull(error);
}

/* Every document cut anywhere is refused, and reading stops at the length given. */
static void
test_truncated(void)
{
    const char *text = "{\"a\":[1,-2.5e3,true,null,\"\\u00e9x\"],\"b\":{\"c\":\"d\"}}";

    for (gsize length = 0; length < strlen(text); length++) {
        g_autofree char *copy = g_memdup2(text, length);

        g_assert_null(migd_json_parse(copy != NULL ? copy : "", length, NULL));
    }
}

/* `n` times `piece` between brackets. */
static char *
array_of(const char *piece, guint n)
{
    GString *s = g_string_new("[");

    for (guint i = 0; i < n; i++)
        g_string_append_printf(s, "%s%s", i > 0 ? "," : "", piece);
    return g_string_free(g_string_append_c(s, ']'), FALSE);
}

static void
test_limits(void)
{
    g_autofree char *most = array_of("0", MIGD_JSON_MAX_NODES);
    g_autofree char *many = array_of("0", MIGD_JSON_MAX_NODES + 1);
    g_autofree char *many_objects = array_of("{}", MIGD_JSON_MAX_NODES / 2 + 1);
    g_autofree char *deep = g_strnfill(512 * 1024, '[');
    g_autofree char *blank = g_strnfill(MIGD_JSON_MAX_BYTES + 1, ' ');
    g_autofree char *commas_in_string = g_strdup_printf("[\"%s\"]", deep);
    g_autoptr(MigdJson) a = parse(most, NULL);
    g_autoptr(MigdJson) b = parse(commas_in_string, NULL);

    g_assert_cmpuint(migd_json_array_length(a), ==, MIGD_JSON_MAX_NODES);
    g_assert_nonnull(b); /* brackets inside a string count for nothing */
    g_assert_null(parse(many, NULL));
    g_assert_null(parse(many_objects, NULL));
    g_assert_null(parse(deep, NULL));
    memcpy(blank, "{}", 2);
    g_assert_null(parse(blank, NULL));
    blank[MIGD_JSON_MAX_BYTES] = '\0';
    migd_json_unref(parse(blank, NULL));
}

#define DOC                                                                                        \
    "{\"n\":7,\"neg\":-1,\"big\":18446744073709551615,\"half\":0.5,\"whole\":2.0,\"t\":true,"      \
    "\"s\":\"12abc\",\"nul\":null,\"o\":{\"p\":{\"q\":3}},\"l\":[\"x\",1],\"esc\":\"a\\u001b[m\"}"

static void
test_u64(void)
{
    static const struct {
        const char *path;
        MigdJsonResult result;
        guint64 value;
    } rows[] = {
        {"n", MIGD_JSON_OK, 7},           {"big", MIGD_JSON_OK, G_MAXUINT64},
        {"o.p.q", MIGD_JSON_OK, 3},       {"nope", MIGD_JSON_ABSENT, 99},
        {"o.nope", MIGD_JSON_ABSENT, 99}, {"o.nope.x", MIGD_JSON_ABSENT, 99},
        {"neg", MIGD_JSON_BAD, 99},       {"half", MIGD_JSON_BAD, 99},
        {"whole", MIGD_JSON_BAD, 99},     {"t", MIGD_JSON_BAD, 99},
        {"s", MIGD_JSON_BAD, 99},         {"nul", MIGD_JSON_BAD, 99},
        {"o", MIGD_JSON_BAD, 99},         {"l", MIGD_JSON_BAD, 99},
        {"n.x", MIGD_JSON_BAD, 99},
    };
    g_autoptr(MigdJson) doc = parse(DOC, NULL);

    for (guint i = 0; i < G_N_ELEMENTS(rows); i++) {
        g_autoptr(GError) error = NULL;
        guint64 value = 99;

        g_assert_cmpint(migd_json_get_u64(doc, rows[i].path, 0, G_MAXUINT64, &value, &error), ==,
                        rows[i].result);
        g_assert_cmpuint(value, ==, rows[i].value);
        g_assert_true((error != NULL) == (rows[i].result == MIGD_JSON_BAD));
        if (error != NULL)
            g_assert_true(g_str_has_prefix(error->message, rows[i].path));
    }
}

static void
test_ranges(void)
{
    g_autoptr(MigdJson) doc = parse(DOC, NULL);
    guint64 u64 = 0;
    guint32 u32 = 0;
    gint64 i64 = 0;
    double d = 0;

    g_assert_cmpint(migd_json_get_u64(doc, "n", 7, 7, &u64, NULL), ==, MIGD_JSON_OK);
    g_assert_cmpint(migd_json_get_u64(doc, "n", 8, 9, &u64, NULL), ==, MIGD_JSON_BAD);
    g_assert_cmpint(migd_json_get_u64(doc, "n", 1, 6, &u64, NULL), ==, MIGD_JSON_BAD);
    g_assert_cmpint(migd_json_get_u32(doc, "n", 0, 99, &u32, NULL), ==, MIGD_JSON_OK);
    g_assert_cmpuint(u32, ==, 7);
    g_assert_cmpint(migd_json_get_u32(doc, "big", 0, G_MAXUINT32, &u32, NULL), ==, MIGD_JSON_BAD);
    g_assert_cmpint(migd_json_get_i64(doc, "neg", G_MININT64, G_MAXINT64, &i64, NULL), ==,
                    MIGD_JSON_OK);
    g_assert_cmpint(i64, ==, -1);
    g_assert_cmpint(migd_json_get_i64(doc, "big", G_MININT64, G_MAXINT64, &i64, NULL), ==,
                    MIGD_JSON_BAD);
    g_assert_cmpint(migd_json_get_double(doc, "half", 0, 1, &d, NULL), ==, MIGD_JSON_OK);
    g_assert_cmpfloat(d, ==, 0.5);
    g_assert_cmpint(migd_json_get_double(doc, "n", 0, 9, &d, NULL), ==, MIGD_JSON_OK);
    g_assert_cmpfloat(d, ==, 7);
    g_assert_cmpint(migd_json_get_double(doc, "neg", 0, 9, &d, NULL), ==, MIGD_JSON_BAD);
    g_assert_cmpint(migd_json_get_double(doc, "s", 0, 99, &d, NULL), ==, MIGD_JSON_BAD);
}

static void
test_other_types(void)
{
    g_autoptr(MigdJson) doc = parse(DOC, NULL);
    g_autofree char *text = NULL;
    g_autofree const char **keys = migd_json_keys(doc);
    const MigdJson *part = NULL;
    const char *string = NULL;
    gboolean flag = FALSE;

    g_assert_cmpint(migd_json_get_bool(doc, "t", &flag, NULL), ==, MIGD_JSON_OK);
    g_assert_true(flag);
    g_assert_cmpint(migd_json_get_bool(doc, "n", &flag, NULL), ==, MIGD_JSON_BAD);
    g_assert_cmpint(migd_json_get_string(doc, "s", &string, NULL), ==, MIGD_JSON_OK);
    g_assert_cmpstr(string, ==, "12abc");
    g_assert_cmpint(migd_json_get_string(doc, "n", &string, NULL), ==, MIGD_JSON_BAD);
    g_assert_cmpint(migd_json_get_text(doc, "esc", &text, NULL), ==, MIGD_JSON_OK);
    g_assert_cmpstr(text, ==, "a\\x1b[m");
    g_assert_cmpint(migd_json_get_object(doc, "o.p", &part, NULL), ==, MIGD_JSON_OK);
    g_assert_true(migd_json_has(part, "q"));
    g_assert_cmpint(migd_json_get_object(doc, "l", &part, NULL), ==, MIGD_JSON_BAD);
    g_assert_cmpint(migd_json_get_array(doc, "l", &part, NULL), ==, MIGD_JSON_OK);
    g_assert_cmpstr(migd_json_array_get_string(part, 0), ==, "x");
    g_assert_null(migd_json_array_get_string(part, 1));
    g_assert_null(migd_json_array_get(part, 2));
    g_assert_cmpuint(g_strv_length((char **)keys), ==, 11);
    g_assert_cmpstr(keys[10], ==, "esc");
}

static void
test_long_string(void)
{
    g_autofree char *body = g_strnfill(MIGD_JSON_MAX_STRING + 1, 'x');
    g_autofree char *text = g_strdup_printf("{\"s\":\"%s\"}", body);
    g_autoptr(MigdJson) doc = parse(text, NULL);
    const char *string = NULL;

    g_assert_cmpint(migd_json_get_string(doc, "s", &string, NULL), ==, MIGD_JSON_BAD);
    g_assert_null(string);
}

static MigdJson *
example(void)
{
    MigdJson *o = migd_json_object_new();
    MigdJson *list = migd_json_array_new();

    migd_json_add_u64(o, "u", G_MAXUINT64);
    migd_json_add_i64(o, "i", G_MININT64);
    migd_json_add_double(o, "d", 0.1);
    migd_json_add_double(o, "nan", NAN);
    migd_json_add_bool(o, "b", TRUE);
    migd_json_add_string(o, "s", "a/\"\x1b\xff");
    migd_json_add_string(o, "none", NULL);
    migd_json_append_string(list, "x");
    migd_json_append_u64(list, 1);
    migd_json_add(o, "l", list);
    return o;
}

static void
test_write(void)
{
    g_autoptr(MigdJson) doc = example();
    g_autofree char *text = migd_json_to_string(doc, MIGD_JSON_SHORT);
    g_autofree char *pretty = migd_json_to_string(doc, MIGD_JSON_PRETTY);
    g_autoptr(MigdJson) again = parse(text, NULL);
    g_autoptr(MigdJson) again_pretty = parse(pretty, NULL);
    double d = 0;

    g_assert_cmpstr(text, ==,
                    "{\"u\":18446744073709551615,\"i\":-9223372036854775808,"
                    "\"d\":0.10000000000000001,\"nan\":null,\"b\":true,"
                    "\"s\":\"a/\\\"\\u001b\xef\xbf\xbd\",\"none\":null,\"l\":[\"x\",1]}");
    g_assert_nonnull(again);
    g_assert_nonnull(again_pretty);
    g_assert_nonnull(strchr(pretty, '\n'));
    g_assert_cmpint(migd_json_get_double(again, "d", 0, 1, &d, NULL), ==, MIGD_JSON_OK);
    g_assert_cmpfloat(d, ==, 0.1);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/json/parse/good", test_good);
    g_test_add_func("/json/parse/refused", test_refused);
    g_test_add_func("/json/parse/nul-byte", test_nul_byte);
    g_test_add_func("/json/parse/truncated", test_truncated);
    g_test_add_func("/json/parse/limits", test_limits);
    g_test_add_func("/json/get/u64", test_u64);
    g_test_add_func("/json/get/ranges", test_ranges);
    g_test_add_func("/json/get/other-types", test_other_types);
    g_test_add_func("/json/get/long-string", test_long_string);
    g_test_add_func("/json/write", test_write);
    return g_test_run();
}

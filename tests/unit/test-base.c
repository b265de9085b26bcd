/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Tests of src/base: quantities, foreign text, identities, errors and saturating arithmetic. Tables
 * of input and expected value; touches nothing outside the process.
 */
#include "base/checked.h"
#include "base/error.h"
#include "base/names.h"
#include "base/text.h"
#include "base/units.h"

#include <math.h>
#include <string.h>

typedef gboolean (*ParseFunc)(const char *text, guint64 *ret, GError **error);

typedef struct {
    const char *text;
    guint64 value; /* µs, bytes or bytes/s */
} Quantity;

static const Quantity good_durations[] = {
    {"0", 0},           {"40us", 40},        {"300ms", 300000},
    {"1.5s", 1500000},  {"2min", 120000000}, {"1h", 3600000000u},
    {"10 s", 10000000}, {"0.4us", 0},
};

static const Quantity good_sizes[] = {
    {"0", 0},
    {"4096", 4096},
    {"1B", 1},
    {"700MB", 700000000},
    {"64MiB", 67108864},
    {"1.5GiB", 1610612736},
    {"2TiB", 2199023255552u},
    {"1kB", 1000},
    {"1KiB", 1024},
};

static const Quantity good_rates[] = {
    {"1000", 1000},           {"40MiB/s", 41943040}, {"1.1GB/s", 1100000000},
    {"10Gbit/s", 1250000000}, {"8kbit/s", 1000},     {"0", 0},
};

/* Refused by every parser: not quantities at all. */
static const char *const never_quantities[] = {
    "",    " ",    "-1s",   "+1s",      "-0",  "ms",  "1.2.3s", "0x10",   "inf",  "nan",
    "1e9", "1,5s", "1s1ms", "5 apples", " 1s", "1s ", ".5s",    "1MiB/S", "1mib",
};

static void
check_parser(ParseFunc parse, const Quantity *rows, gsize n_rows)
{
    for (gsize i = 0; i < n_rows; i++) {
        g_autoptr(GError) error = NULL;
        guint64 value = 42;
        g_test_message("\"%s\"", rows[i].text);
        g_assert_true(parse(rows[i].text, &value, &error));
        g_assert_no_error(error);
        g_assert_cmpuint(value, ==, rows[i].value);
    }
}

static void
check_refused(ParseFunc parse, const char *text)
{
    g_autoptr(GError) error = NULL;
    guint64 value = 42;

    g_test_message("\"%s\"", text);
    g_assert_false(parse(text, &value, &error));
    g_assert_error(error, MIGD_ERROR, MIGD_ERROR_INVALID_ARGUMENT);
    g_assert_nonnull(strstr(error->message, text));
    g_assert_false(g_str_has_suffix(error->message, "."));
    g_assert_cmpuint(value, ==, 42); /* untouched on failure */
}

static void
test_parse_good(void)
{
    check_parser(migd_parse_duration, good_durations, G_N_ELEMENTS(good_durations));
    check_parser(migd_parse_bytes, good_sizes, G_N_ELEMENTS(good_sizes));
    check_parser(migd_parse_rate, good_rates, G_N_ELEMENTS(good_rates));
}

static void
test_parse_bad(void)
{
    static const ParseFunc parsers[] = {migd_parse_duration, migd_parse_bytes, migd_parse_rate};

    for (gsize i = 0; i < G_N_ELEMENTS(never_quantities); i++)
        for (gsize p = 0; p < G_N_ELEMENTS(parsers); p++)
            check_refused(parsers[p], never_quantities[i]);
    check_refused(migd_parse_duration, "300"); /* say the unit */
    check_refused(migd_parse_duration, "1MiB");
    check_refused(migd_parse_bytes, "1ms");
    check_refused(migd_parse_bytes, "1MiB/s");
    check_refused(migd_parse_rate, "1MiB");
    check_refused(migd_parse_duration, "99999999999999h");
    check_refused(migd_parse_bytes, "18446744073709551616TiB");
}

static void
test_parse_percent(void)
{
    static const struct {
        const char *text;
        guint32 value;
    } good[] = {{"0", 0}, {"80%", 80}, {"80", 80}, {"100%", 100}, {"20 %", 20}};
    static const char *const bad[] = {"101", "100.6%", "-1", "", "x", "80%%", "80 percent", "1e1"};

    for (gsize i = 0; i < G_N_ELEMENTS(good); i++) {
        guint32 value = 42;
        g_assert_true(migd_parse_percent(good[i].text, &value, NULL));
        g_assert_cmpuint(value, ==, good[i].value);
    }
    for (gsize i = 0; i < G_N_ELEMENTS(bad); i++) {
        g_autoptr(GError) error = NULL;
        guint32 value = 42;
        g_test_message("\"%s\"", bad[i]);
        g_assert_false(migd_parse_percent(bad[i], &value, &error));
        g_assert_error(error, MIGD_ERROR, MIGD_ERROR_INVALID_ARGUMENT);
        g_assert_cmpuint(value, ==, 42);
    }
}

typedef char *(*FormatFunc)(guint64 value);

static void
test_format(void)
{
    static const struct {
        FormatFunc format;
        guint64 value;
        const char *text;
    } rows[] = {
        {migd_format_duration, 0, "0 us"},
        {migd_format_duration, 999, "999 us"},
        {migd_format_duration, 312400, "312 ms"},
        {migd_format_duration, 999499, "999 ms"},
        {migd_format_duration, 4200000, "4.2 s"},
        {migd_format_duration, 725000000, "12 min 5 s"},
        {migd_format_duration, 7260000000u, "2 h 1 min"},
        {migd_format_duration, G_MAXUINT64, "never"},
        {migd_format_bytes, 0, "0 B"},
        {migd_format_bytes, 1023, "1023 B"},
        {migd_format_bytes, 67108864, "64.0 MiB"},
        {migd_format_bytes, G_MAXUINT64, "16384.0 PiB"},
        {migd_format_rate, 43935334, "41.9 MiB/s"},
        {migd_format_rate, 5, "5 B/s"},
    };

    for (gsize i = 0; i < G_N_ELEMENTS(rows); i++) {
        g_autofree char *text = rows[i].format(rows[i].value);
        g_assert_cmpstr(text, ==, rows[i].text);
    }
}

/* What is printed for people is read back, to the rounding shown: the two unit tables agree. */
static void
test_format_round_trip(void)
{
    for (guint64 bytes = 1; bytes < (G_GUINT64_CONSTANT(1) << 50); bytes = bytes * 3 + 1) {
        g_autofree char *text = migd_format_bytes(bytes);
        guint64 back = 0;
        g_test_message("%s", text);
        g_assert_true(migd_parse_bytes(text, &back, NULL));
        g_assert_cmpfloat(fabs((double)back - (double)bytes), <=,
                          0.05 * 1024 / 1000 * (double)bytes);
    }
}

static void
test_text_clean(void)
{
    static const struct {
        const char *in;
        const char *out;
    } rows[] = {
        {NULL, ""},
        {"", ""},
        {"web-01", "web-01"},
        {"Zürich", "Zürich"},
        {"a\nb", "a\\x0ab"},
        {"\033[31mred", "\\x1b[31mred"},
        {"bad\xff\xfe", "bad\\xff\\xfe"},
        {"half\xc3", "half\\xc3"},
        {"\x7f", "\\x7f"},
        {"\xc2\x9b", "\\xc2\\x9b"}, /* C1 control: CSI in one character */
    };

    for (gsize i = 0; i < G_N_ELEMENTS(rows); i++) {
        g_autofree char *out = migd_text_clean(rows[i].in);
        g_assert_cmpstr(out, ==, rows[i].out);
    }
}

/* Every byte value, long: the result is valid, printable and bounded. */
static void
test_text_clean_hostile(void)
{
    for (guint byte = 1; byte < 256; byte++) {
        char in[4 * MIGD_TEXT_MAX + 1];
        memset(in, (int)byte, sizeof in - 1);
        in[sizeof in - 1] = '\0';

        g_autofree char *out = migd_text_clean(in);
        g_assert_true(g_utf8_validate(out, -1, NULL));
        g_assert_true(g_str_has_suffix(out, "…"));
        /* Escaping makes four bytes of one; the one that crosses the limit is the last. */
        g_assert_cmpuint(strlen(out), <=, MIGD_TEXT_MAX + 4 + strlen("…"));
        for (const char *p = out; *p != '\0'; p = g_utf8_next_char(p))
            g_assert_true(g_unichar_isprint(g_utf8_get_char(p)));
    }
}

static void
test_text_is_uuid(void)
{
    static const struct {
        const char *id;
        gboolean is;
    } rows[] = {
        {"6f0b6a53-6f57-4e0f-9d5c-8f2b2d1c7a31", TRUE},
        {"00000000-0000-0000-0000-000000000000", TRUE},
        {"6F0B6A53-6F57-4E0F-9D5C-8F2B2D1C7A31", FALSE},
        {"6f0b6a53-6f57-4e0f-9d5c-8f2b2d1c7a3", FALSE},
        {"6f0b6a53-6f57-4e0f-9d5c-8f2b2d1c7a311", FALSE},
        {"6f0b6a536f57-4e0f-9d5c-8f2b2d1c7a31--", FALSE},
        {"6f0b6a53_6f57_4e0f_9d5c_8f2b2d1c7a31", FALSE},
        {"6g0b6a53-6f57-4e0f-9d5c-8f2b2d1c7a31", FALSE},
        {"../../../../../../../../../etc/passwd", FALSE},
        {"", FALSE},
        {NULL, FALSE},
    };

    for (gsize i = 0; i < G_N_ELEMENTS(rows); i++) {
        g_test_message("%s", rows[i].id != NULL ? rows[i].id : "(null)");
        g_assert_cmpint(migd_text_is_uuid(rows[i].id), ==, rows[i].is);
    }
}

static void
test_object_path(void)
{
    g_autofree char *path =
        migd_object_path(MIGD_BUS_DOMAIN_PREFIX, "6f0b6a53-6f57-4e0f-9d5c-8f2b2d1c7a31");

    g_assert_cmpstr(path, ==, "/org/migrationd1/domain/6f0b6a53_6f57_4e0f_9d5c_8f2b2d1c7a31");
}

/* The expected value comes from Python:
 * uuid.uuid5(uuid.UUID("6f0b6a53-6f57-4e0f-9d5c-8f2b2d1c7a31"), name). */
static void
test_uuid_from_name(void)
{
    g_autofree char *first = migd_uuid_from_name("/run/migrationd/qmp/web.qmp");
    g_autofree char *again = migd_uuid_from_name("/run/migrationd/qmp/web.qmp");
    g_autofree char *other = migd_uuid_from_name("/run/migrationd/qmp/db.qmp");
    g_autofree char *empty = migd_uuid_from_name("");

    g_assert_cmpstr(first, ==, "1b147dc5-f9fd-5f42-ad6c-59c3abf860c5");
    g_assert_cmpstr(empty, ==, "bd42cc5a-91be-5606-be51-f8bde1db5412");
    g_assert_cmpstr(first, ==, again);
    g_assert_cmpstr(first, !=, other);
    g_assert_true(migd_text_is_uuid(first));
    g_assert_true(g_uuid_string_is_valid(first));
}

static void
test_errors(void)
{
    g_autoptr(GHashTable) seen = g_hash_table_new(g_str_hash, g_str_equal);

    for (guint code = 0; code < MIGD_N_ERRORS; code++) {
        const char *name = migd_error_dbus_name((MigdError)code);
        gboolean ours = g_str_has_prefix(name, MIGD_BUS_ERROR);
        g_assert_true(ours || code == MIGD_ERROR_ACCESS_DENIED);
        g_assert_true(g_hash_table_add(seen, (gpointer)name));
    }
    g_assert_cmpstr(migd_error_dbus_name(MIGD_ERROR_NO_SUCH_DOMAIN), ==,
                    "org.migrationd1.Error.NoSuchDomain");
    g_assert_cmpstr(migd_error_dbus_name(MIGD_N_ERRORS), ==, "org.migrationd1.Error.Failed");
    g_assert_cmpstr(g_quark_to_string(MIGD_ERROR), ==, "migd-error-quark");
}

static void
test_checked(void)
{
    g_assert_cmpuint(migd_sat_add(2, 3), ==, 5);
    g_assert_cmpuint(migd_sat_add(G_MAXUINT64, 1), ==, G_MAXUINT64);
    g_assert_cmpuint(migd_sat_sub(5, 3), ==, 2);
    g_assert_cmpuint(migd_sat_sub(3, 5), ==, 0);
    g_assert_cmpuint(migd_sat_mul(G_GUINT64_CONSTANT(1) << 32, 4), ==, G_GUINT64_CONSTANT(1) << 34);
    g_assert_cmpuint(migd_sat_mul(G_GUINT64_CONSTANT(1) << 32, G_GUINT64_CONSTANT(1) << 32), ==,
                     G_MAXUINT64);
    g_assert_cmpuint(migd_from_double(-1), ==, 0);
    g_assert_cmpuint(migd_from_double(NAN), ==, 0);
    g_assert_cmpuint(migd_from_double(1.9), ==, 1);
    g_assert_cmpuint(migd_from_double(INFINITY), ==, G_MAXUINT64);
    g_assert_cmpuint(migd_from_double(1.8446744073709552e19), ==, G_MAXUINT64);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/base/units/parse", test_parse_good);
    g_test_add_func("/base/units/refuse", test_parse_bad);
    g_test_add_func("/base/units/percent", test_parse_percent);
    g_test_add_func("/base/units/format", test_format);
    g_test_add_func("/base/units/round-trip", test_format_round_trip);
    g_test_add_func("/base/text/clean", test_text_clean);
    g_test_add_func("/base/text/hostile", test_text_clean_hostile);
    g_test_add_func("/base/text/uuid", test_text_is_uuid);
    g_test_add_func("/base/text/path", test_object_path);
    g_test_add_func("/base/text/uuid-from-name", test_uuid_from_name);
    g_test_add_func("/base/errors", test_errors);
    g_test_add_func("/base/checked", test_checked);
    return g_test_run();
}

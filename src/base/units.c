/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Parsing and printing of quantities by unit tables. Locale-independent on purpose: configuration
 * must mean the same everywhere.
 */
#include "base/units.h"

#include "base/checked.h"
#include "base/error.h"

#include <string.h>

typedef struct {
    const char *name;
    double scale; /* in base units */
} Unit;

static const Unit durations[] = {
    {"us", 1}, {"ms", 1e3}, {"s", 1e6}, {"min", 60e6}, {"h", 3600e6}, {NULL, 0},
};

static const Unit sizes[] = {
    {"", 1},
    {"B", 1},
    {"kB", 1e3},
    {"KB", 1e3},
    {"MB", 1e6},
    {"GB", 1e9},
    {"TB", 1e12},
    {"KiB", 1024},
    {"MiB", 1048576},
    {"GiB", 1073741824},
    {"TiB", 1099511627776.0},
    {NULL, 0},
};

static const Unit rates[] = {
    {"", 1},         {"B/s", 1},         {"kB/s", 1e3},
    {"KB/s", 1e3},   {"MB/s", 1e6},      {"GB/s", 1e9},
    {"KiB/s", 1024}, {"MiB/s", 1048576}, {"GiB/s", 1073741824},
    {"kbit/s", 125}, {"Mbit/s", 125e3},  {"Gbit/s", 125e6},
    {NULL, 0},
};

static gboolean
parse_quantity(const char *text, const Unit *units, const char *example, guint64 *ret,
               GError **error)
{
    char *end = NULL;

    /* strtod alone would take "0x10", "inf", "nan", "1e9" and signs: none is how people write a
     * quantity. */
    gsize digits = strspn(text, "0123456789.");
    double value = g_ascii_isdigit(text[0]) ? g_ascii_strtod(text, &end) : 0;
    if (end != text + digits || digits == 0) {
        g_set_error(error, MIGD_ERROR, MIGD_ERROR_INVALID_ARGUMENT,
                    "\"%s\" is not a quantity such as \"%s\"", text, example);
        return FALSE;
    }
    while (*end == ' ')
        end++;
    gboolean zero = value == 0 && *end == '\0';
    for (const Unit *unit = units; unit->name != NULL; unit++) {
        if (!zero && g_strcmp0(end, unit->name) != 0)
            continue;
        double scaled = value * unit->scale;
        if (scaled >= 9.2e18)
            break;
        *ret = migd_from_double(scaled + 0.5);
        return TRUE;
    }
    g_set_error(error, MIGD_ERROR, MIGD_ERROR_INVALID_ARGUMENT,
                "\"%s\" has an unknown unit or is out of range (write it like \"%s\")", text,
                example);
    return FALSE;
}

gboolean
migd_parse_duration(const char *text, guint64 *ret_us, GError **error)
{
    return parse_quantity(text, durations, "300ms", ret_us, error);
}

gboolean
migd_parse_bytes(const char *text, guint64 *ret_bytes, GError **error)
{
    return parse_quantity(text, sizes, "64MiB", ret_bytes, error);
}

gboolean
migd_parse_rate(const char *text, guint64 *ret_bps, GError **error)
{
    return parse_quantity(text, rates, "40MiB/s", ret_bps, error);
}

gboolean
migd_parse_percent(const char *text, guint32 *ret_pct, GError **error)
{
    static const Unit percents[] = {{"%", 1}, {"", 1}, {NULL, 0}};
    guint64 value;

    if (!parse_quantity(text, percents, "80%", &value, error))
        return FALSE;
    if (value > 100) {
        g_set_error(error, MIGD_ERROR, MIGD_ERROR_INVALID_ARGUMENT, "\"%s\" is over 100%%", text);
        return FALSE;
    }
    *ret_pct = (guint32)value;
    return TRUE;
}

char *
migd_format_duration(guint64 us)
{
    guint64 seconds = us / G_USEC_PER_SEC;

    if (us == G_MAXUINT64)
        return g_strdup("never");
    if (us < 1000)
        return g_strdup_printf("%" G_GUINT64_FORMAT " us", us);
    if (us < G_USEC_PER_SEC)
        return g_strdup_printf("%" G_GUINT64_FORMAT " ms", (us + 500) / 1000);
    if (seconds < 120)
        return g_strdup_printf("%.1f s", (double)us / 1e6);
    if (seconds < 7200)
        return g_strdup_printf("%" G_GUINT64_FORMAT " min %" G_GUINT64_FORMAT " s", seconds / 60,
                               seconds % 60);
    return g_strdup_printf("%" G_GUINT64_FORMAT " h %" G_GUINT64_FORMAT " min", seconds / 3600,
                           seconds / 60 % 60);
}

static char *
format_binary(guint64 value, const char *suffix)
{
    static const char *const prefixes[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB"};
    double scaled = (double)value;
    guint i = 0;

    while (scaled >= 1024 && i + 1 < G_N_ELEMENTS(prefixes)) {
        scaled /= 1024;
        i++;
    }
    return g_strdup_printf(i == 0 ? "%.0f %s%s" : "%.1f %s%s", scaled, prefixes[i], suffix);
}

char *
migd_format_bytes(guint64 bytes)
{
    return format_binary(bytes, "");
}

char *
migd_format_rate(guint64 bps)
{
    return format_binary(bps, "/s");
}

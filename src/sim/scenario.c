/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Reading a scenario. A table says which key stands in which group and how its value is written; an
 * unknown group or key is an error, because a misspelt key would silently change what is simulated.
 */
#include "sim/scenario.h"

#include <string.h>

#include "base/checked.h"
#include "base/error.h"
#include "base/units.h"

typedef enum { BYTES, RATE, FRACTION, NUMBER, BOOLEAN, DURATION, PER_GIB } Kind;

static const struct {
    const char *group, *name;
    Kind kind;
    double fallback;
} keys[MIGD_SCN_N_KEYS] = {
    [MIGD_SCN_MEMORY] = {"guest", "memory", BYTES, 1073741824.0},
    [MIGD_SCN_ZERO] = {"guest", "zero", FRACTION, 0},
    [MIGD_SCN_ZERO_LAST] = {"guest", "zero-last", BOOLEAN, 0},
    [MIGD_SCN_DIRTY_RATE] = {"guest", "dirty-rate", RATE, 0},
    [MIGD_SCN_WORKING_SET] = {"guest", "working-set", BYTES, 0},
    [MIGD_SCN_RESPONSE] = {"guest", "throttle-response", NUMBER, 1},
    [MIGD_SCN_SWEEP] = {"guest", "sweep", BOOLEAN, 0},
    [MIGD_SCN_POSTCOPY] = {"guest", "postcopy", BOOLEAN, 0},
    [MIGD_SCN_BANDWIDTH] = {"link", "bandwidth", RATE, 1.1e9},
    [MIGD_SCN_STREAM_LIMIT] = {"link", "stream-limit", RATE, 0},
    [MIGD_SCN_MAX_BANDWIDTH] = {"link", "max-bandwidth", RATE, 0},
    [MIGD_SCN_FIXED_DOWNTIME] = {"costs", "fixed-downtime", DURATION, 0},
    [MIGD_SCN_SYNC] = {"costs", "sync", PER_GIB, 0},
    [MIGD_SCN_HIDDEN] = {"costs", "hidden", BYTES, 0},
};

static gboolean
parse_number(const char *text, double most, double *ret, GError **error)
{
    char *end = NULL;
    double value = g_ascii_isdigit(text[0]) ? g_ascii_strtod(text, &end) : -1;

    if (value < 0 || value > most || *end != '\0') {
        g_set_error(error, MIGD_ERROR, MIGD_ERROR_INVALID_ARGUMENT,
                    "\"%s\" is not a number from 0 to %g", text, most);
        return FALSE;
    }
    *ret = value;
    return TRUE;
}

static gboolean
parse_value(const char *text, Kind kind, double *ret, GError **error)
{
    g_autofree char *head = NULL;
    guint64 value = 0;
    gboolean ok = FALSE;

    switch (kind) {
    case FRACTION:
        return parse_number(text, 1, ret, error);
    case NUMBER:
        return parse_number(text, 10, ret, error);
    case BYTES:
        ok = migd_parse_bytes(text, &value, error);
        break;
    case RATE:
        ok = strcmp(text, "none") == 0 || migd_parse_rate(text, &value, error);
        break;
    case BOOLEAN:
        value = strcmp(text, "yes") == 0;
        ok = value != 0 || strcmp(text, "no") == 0;
        if (!ok)
            g_set_error(error, MIGD_ERROR, MIGD_ERROR_INVALID_ARGUMENT,
                        "\"%s\" is neither yes nor no", text);
        break;
    case DURATION:
    case PER_GIB:
        head = g_strdup(text);
        if (kind == PER_GIB && g_str_has_suffix(head, "/GiB"))
            head[strlen(head) - strlen("/GiB")] = '\0';
        ok = migd_parse_duration(head, &value, error);
        *ret = (double)value / G_USEC_PER_SEC;
        return ok;
    }
    *ret = (double)value;
    return ok;
}

static gboolean
parse_time(const char *text, double *ret_s, GError **error)
{
    guint64 us;

    if (!migd_parse_duration(text, &us, error))
        return FALSE;
    *ret_s = (double)us / G_USEC_PER_SEC;
    return TRUE;
}

static gboolean
set_key(MigdScenario *scenario, const char *group, const char *key, const char *value,
        GError **error)
{
    const char *at = strchr(key, '@');
    g_autofree char *name = at != NULL ? g_strndup(key, (gsize)(at - key)) : g_strdup(key);

    for (guint i = 0; i < G_N_ELEMENTS(keys); i++) {
        MigdScenarioChange change = {.key = i};

        if (strcmp(group, keys[i].group) != 0 || strcmp(name, keys[i].name) != 0)
            continue;
        if (!parse_value(value, keys[i].kind, &change.value, error))
            return FALSE;
        if (at == NULL)
            scenario->initial[i] = change.value;
        else if (!parse_time(at + 1, &change.at_s, error))
            return FALSE;
        else
            g_array_append_val(scenario->changes, change);
        return TRUE;
    }
    g_set_error(error, MIGD_ERROR, MIGD_ERROR_INVALID_ARGUMENT, "unknown key");
    return FALSE;
}

static gboolean
set_scenario_key(MigdScenario *scenario, const char *key, const char *value, GError **error)
{
    double number;

    if (strcmp(key, "name") == 0) {
        g_free(scenario->name);
        scenario->name = g_strdup(value);
        return TRUE;
    }
    if (strcmp(key, "time-limit") == 0)
        return parse_time(value, &scenario->time_limit_s, error);
    if (strcmp(key, "noise") == 0)
        return parse_number(value, 1, &scenario->noise, error);
    if (strcmp(key, "seed") == 0) {
        if (!parse_number(value, G_MAXUINT32, &number, error))
            return FALSE;
        scenario->seed = (guint32)number;
        return TRUE;
    }
    g_set_error(error, MIGD_ERROR, MIGD_ERROR_INVALID_ARGUMENT, "unknown key");
    return FALSE;
}

static gint
by_time(gconstpointer a, gconstpointer b)
{
    double x = ((const MigdScenarioChange *)a)->at_s, y = ((const MigdScenarioChange *)b)->at_s;

    return (x > y) - (x < y);
}

static gboolean
read_group(MigdScenario *scenario, GKeyFile *file, const char *group, GError **error)
{
    g_auto(GStrv) names = g_key_file_get_keys(file, group, NULL, error);

    for (guint i = 0; names != NULL && names[i] != NULL; i++) {
        g_autofree char *value = g_key_file_get_string(file, group, names[i], error);
        gboolean ok = value != NULL && (strcmp(group, "scenario") == 0
                                            ? set_scenario_key(scenario, names[i], value, error)
                                            : set_key(scenario, group, names[i], value, error));

        if (!ok) {
            g_prefix_error(error, "[%s] %s=: ", group, names[i]);
            return FALSE;
        }
    }
    return names != NULL;
}

/* What is well written but describes no migration. */
static gboolean
check_whole(const MigdScenario *scenario, GError **error)
{
    const struct {
        const char *what;
        double value;
    } rows[] = {{"[scenario] time-limit=", scenario->time_limit_s},
                {"[guest] memory=", scenario->initial[MIGD_SCN_MEMORY]},
                {"[link] bandwidth=", scenario->initial[MIGD_SCN_BANDWIDTH]}};

    for (guint i = 0; i < G_N_ELEMENTS(rows); i++) {
        if (rows[i].value > 0)
            continue;
        g_set_error(error, MIGD_ERROR, MIGD_ERROR_INVALID_ARGUMENT, "%s: must be more than 0",
                    rows[i].what);
        return FALSE;
    }
    return TRUE;
}

/* The link is the nominal one, and the guest has migrated before: what cannot be seen has been
 * learned. */
static void
tell(MigdScenario *scenario)
{
    const double *values = scenario->initial;
    double fixed_s = values[MIGD_SCN_FIXED_DOWNTIME] +
                     values[MIGD_SCN_SYNC] * values[MIGD_SCN_MEMORY] / 1073741824;

    scenario->told_bps = migd_from_double(values[MIGD_SCN_BANDWIDTH]);
    scenario->told_costs = (MigdCosts){.fixed_us = migd_from_double(fixed_s * G_USEC_PER_SEC),
                                       .hidden_bytes = migd_from_double(values[MIGD_SCN_HIDDEN])};
}

MigdScenario *
migd_scenario_parse(const char *text, gsize length, GError **error)
{
    g_autoptr(GKeyFile) file = g_key_file_new();
    g_autoptr(MigdScenario) scenario = g_new0(MigdScenario, 1);
    g_auto(GStrv) groups = NULL;

    scenario->name = g_strdup("unnamed");
    scenario->time_limit_s = 4000;
    scenario->seed = 1;
    scenario->changes = g_array_new(FALSE, FALSE, sizeof(MigdScenarioChange));
    for (guint i = 0; i < G_N_ELEMENTS(keys); i++)
        scenario->initial[i] = keys[i].fallback;

    if (!g_key_file_load_from_data(file, text, length, G_KEY_FILE_NONE, error))
        return NULL;
    groups = g_key_file_get_groups(file, NULL);
    for (guint i = 0; groups[i] != NULL; i++)
        if (!read_group(scenario, file, groups[i], error))
            return NULL;
    if (!check_whole(scenario, error))
        return NULL;
    /* A rate without a working set dirties the whole memory. */
    if (scenario->initial[MIGD_SCN_WORKING_SET] == 0)
        scenario->initial[MIGD_SCN_WORKING_SET] = scenario->initial[MIGD_SCN_MEMORY];
    tell(scenario);
    g_array_sort(scenario->changes, by_time);
    return g_steal_pointer(&scenario);
}

void
migd_scenario_free(MigdScenario *scenario)
{
    if (scenario == NULL)
        return;
    g_free(scenario->name);
    if (scenario->changes != NULL)
        g_array_unref(scenario->changes);
    g_free(scenario);
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The keys of a profile: one table row each, with how to read and how to write it. Does not know
 * where they come from.
 */
#include "policy/profile.h"

#include <string.h>

#include "base/error.h"
#include "base/units.h"

typedef struct {
    const char *key;
    gboolean (*set)(MigdProfile *profile, const char *value, GError **error);
    char *(*get)(const MigdProfile *profile);
} Key;

static gboolean
refuse(GError **error, const char *value, const char *allowed)
{
    g_set_error(error, MIGD_ERROR, MIGD_ERROR_INVALID_ARGUMENT, "\"%s\" is not one of: %s", value,
                allowed);
    return FALSE;
}

static gboolean
set_max_downtime(MigdProfile *profile, const char *value, GError **error)
{
    guint64 us;

    if (!migd_parse_duration(value, &us, error))
        return FALSE;
    /* QEMU takes 1 ms to 2000 s. */
    if (us < 1000 || us > 2000 * (guint64)G_USEC_PER_SEC)
        return refuse(error, value, "1ms to 2000s");
    profile->max_downtime_us = us;
    return TRUE;
}

static char *
print_us(guint64 us)
{
    if (us % 1000 != 0)
        return g_strdup_printf("%" G_GUINT64_FORMAT "us", us);
    if (us % G_USEC_PER_SEC != 0)
        return g_strdup_printf("%" G_GUINT64_FORMAT "ms", us / 1000);
    return g_strdup_printf("%" G_GUINT64_FORMAT "s", us / G_USEC_PER_SEC);
}

static char *
get_max_downtime(const MigdProfile *profile)
{
    return print_us(profile->max_downtime_us);
}

static gboolean
set_deadline(MigdProfile *profile, const char *value, GError **error)
{
    guint64 us;

    if (strcmp(value, "auto") == 0) {
        profile->deadline_us = MIGD_DEADLINE_AUTO;
        return TRUE;
    }
    if (strcmp(value, "none") == 0) {
        profile->deadline_us = MIGD_DEADLINE_NONE;
        return TRUE;
    }
    if (!migd_parse_duration(value, &us, error))
        return FALSE;
    if (us < G_USEC_PER_SEC)
        return refuse(error, value, "auto, none, 1s or longer");
    profile->deadline_us = us;
    return TRUE;
}

static char *
get_deadline(const MigdProfile *profile)
{
    if (profile->deadline_us == MIGD_DEADLINE_AUTO)
        return g_strdup("auto");
    if (profile->deadline_us == MIGD_DEADLINE_NONE)
        return g_strdup("none");
    return print_us(profile->deadline_us);
}

static const char *const on_deadline_words[] = {
    [MIGD_DEADLINE_ABORT] = "abort",
    [MIGD_DEADLINE_POSTCOPY] = "post-copy",
    [MIGD_DEADLINE_PAUSE] = "pause",
    [MIGD_DEADLINE_CONTINUE] = "continue",
};

static gboolean
set_on_deadline(MigdProfile *profile, const char *value, GError **error)
{
    for (guint i = 0; i < G_N_ELEMENTS(on_deadline_words); i++) {
        if (strcmp(value, on_deadline_words[i]) == 0) {
            profile->on_deadline = (MigdOnDeadline)i;
            return TRUE;
        }
    }
    return refuse(error, value, "abort, post-copy, pause, continue");
}

static char *
get_on_deadline(const MigdProfile *profile)
{
    return g_strdup(on_deadline_words[profile->on_deadline]);
}

/* The words of Allow=, in the order of regret. */
static const struct {
    const char *word;
    MigdAction action;
} allow_words[] = {
    {"downtime", MIGD_ACTION_SET_DOWNTIME}, {"bandwidth", MIGD_ACTION_SET_BANDWIDTH},
    {"throttle", MIGD_ACTION_THROTTLE},     {"post-copy", MIGD_ACTION_POSTCOPY},
    {"pause", MIGD_ACTION_PAUSE},           {"abort", MIGD_ACTION_ABORT},
};

static gboolean
set_allow(MigdProfile *profile, const char *value, GError **error)
{
    g_auto(GStrv) words = g_strsplit_set(value, "; ", -1);
    guint32 allow = 0;

    for (guint i = 0; words[i] != NULL; i++) {
        guint row = 0;

        if (words[i][0] == '\0' || strcmp(words[i], "none") == 0)
            continue;
        while (row < G_N_ELEMENTS(allow_words) && strcmp(words[i], allow_words[row].word) != 0)
            row++;
        if (row == G_N_ELEMENTS(allow_words))
            return refuse(error, words[i],
                          "downtime, bandwidth, throttle, post-copy, pause, abort, none");
        allow |= 1u << allow_words[row].action;
    }
    profile->allow = allow;
    return TRUE;
}

static char *
get_allow(const MigdProfile *profile)
{
    GString *out = g_string_new(NULL);

    for (guint i = 0; i < G_N_ELEMENTS(allow_words); i++)
        if (profile->allow & (1u << allow_words[i].action))
            g_string_append_printf(out, "%s%s", out->len > 0 ? ";" : "", allow_words[i].word);
    if (out->len == 0)
        g_string_assign(out, "none");
    return g_string_free(out, FALSE);
}

static gboolean
set_max_throttle(MigdProfile *profile, const char *value, GError **error)
{
    guint32 pct;

    if (!migd_parse_percent(value, &pct, error))
        return FALSE;
    if (pct > 99)
        return refuse(error, value, "0% to 99%");
    profile->max_throttle_pct = pct;
    return TRUE;
}

static char *
get_max_throttle(const MigdProfile *profile)
{
    return g_strdup_printf("%u%%", profile->max_throttle_pct);
}

static gboolean
set_max_bandwidth(MigdProfile *profile, const char *value, GError **error)
{
    if (strcmp(value, "none") == 0) {
        profile->max_bandwidth_bps = 0;
        return TRUE;
    }
    return migd_parse_rate(value, &profile->max_bandwidth_bps, error);
}

static char *
get_max_bandwidth(const MigdProfile *profile)
{
    if (profile->max_bandwidth_bps == 0)
        return g_strdup("none");
    return g_strdup_printf("%" G_GUINT64_FORMAT "B/s", profile->max_bandwidth_bps);
}

static gboolean
set_write_protect(MigdProfile *profile, const char *value, GError **error)
{
    static const char *const words[] = {"auto",
                                        "none",
                                        "legacy",
                                        "manual-protect",
                                        "dirty-ring",
                                        "manual-protect+initially-set",
                                        "write-protect-all",
                                        NULL};

    if (!g_strv_contains(words, value))
        return refuse(
            error, value,
            "auto, none, legacy, manual-protect, manual-protect+initially-set, dirty-ring, "
            "write-protect-all");
    g_strlcpy(profile->write_protect, value, sizeof profile->write_protect);
    return TRUE;
}

static char *
get_write_protect(const MigdProfile *profile)
{
    return g_strdup(profile->write_protect);
}

static gboolean
set_priority(MigdProfile *profile, const char *value, GError **error)
{
    gint64 number;

    if (!g_ascii_string_to_signed(value, 10, -100, 100, &number, NULL))
        return refuse(error, value, "-100 to 100");
    profile->priority = (gint32)number;
    return TRUE;
}

static char *
get_priority(const MigdProfile *profile)
{
    return g_strdup_printf("%d", profile->priority);
}

static const Key keys[] = {
    {"MaxDowntime", set_max_downtime, get_max_downtime},
    {"Deadline", set_deadline, get_deadline},
    {"OnDeadline", set_on_deadline, get_on_deadline},
    {"Allow", set_allow, get_allow},
    {"MaxThrottle", set_max_throttle, get_max_throttle},
    {"MaxBandwidth", set_max_bandwidth, get_max_bandwidth},
    {"WriteProtect", set_write_protect, get_write_protect},
    {"Priority", set_priority, get_priority},
};

static const Key *
find_key(const char *name)
{
    for (guint i = 0; i < G_N_ELEMENTS(keys); i++)
        if (strcmp(name, keys[i].key) == 0)
            return &keys[i];
    return NULL;
}

void
migd_profile_init(MigdProfile *ret_profile)
{
    *ret_profile = (MigdProfile){
        .name = "default",
        .max_downtime_us = 300 * 1000,
        .deadline_us = MIGD_DEADLINE_AUTO,
        .on_deadline = MIGD_DEADLINE_ABORT,
        .allow = 1u << MIGD_ACTION_SET_DOWNTIME | 1u << MIGD_ACTION_SET_BANDWIDTH |
                 1u << MIGD_ACTION_THROTTLE | 1u << MIGD_ACTION_POSTCOPY | 1u << MIGD_ACTION_ABORT,
        .max_throttle_pct = 80,
        .write_protect = "auto",
    };
}

gboolean
migd_profile_set(MigdProfile *profile, const char *key, const char *value, GError **error)
{
    const Key *row = find_key(key);

    if (row == NULL) {
        g_autofree char *known = g_strjoinv(", ", (char **)migd_profile_keys());

        g_set_error(error, MIGD_ERROR, MIGD_ERROR_INVALID_ARGUMENT, "unknown key %s (known: %s)",
                    key, known);
        return FALSE;
    }
    if (!row->set(profile, value, error)) {
        g_prefix_error(error, "%s=: ", key);
        return FALSE;
    }
    return TRUE;
}

char *
migd_profile_get(const MigdProfile *profile, const char *key)
{
    const Key *row = find_key(key);

    return row != NULL ? row->get(profile) : NULL;
}

const char *const *
migd_profile_keys(void)
{
    static const char *names[G_N_ELEMENTS(keys) + 1];

    for (guint i = 0; i < G_N_ELEMENTS(keys); i++)
        names[i] = keys[i].key;
    return names;
}

gboolean
migd_profile_allows(const MigdProfile *profile, MigdAction action)
{
    if (action == MIGD_ACTION_WAIT || action == MIGD_ACTION_RELEASE)
        return TRUE;
    if (action == MIGD_ACTION_ARM)
        action = MIGD_ACTION_THROTTLE;
    return (profile->allow & (1u << action)) != 0;
}

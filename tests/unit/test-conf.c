/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Tests of the shipped profiles in conf/profiles.d: every key is one that the policy takes,
 * default.conf shows every key with the built-in value, and the limits of each profile are those
 * that the documentation promises. Reads the files of the source tree.
 */
#include "policy/profile.h"

#include <string.h>

static void
read_profile(const char *name, MigdProfile *ret_profile, GKeyFile *keys)
{
    g_autofree char *file = g_strconcat(name, ".conf", NULL);
    g_autofree char *path =
        g_test_build_filename(G_TEST_DIST, "..", "..", "conf", "profiles.d", file, NULL);
    g_autoptr(GError) error = NULL;

    g_key_file_load_from_file(keys, path, G_KEY_FILE_NONE, &error);
    g_assert_no_error(error);
    g_auto(GStrv) groups = g_key_file_get_groups(keys, NULL);
    g_assert_cmpuint(g_strv_length(groups), ==, 1);

    migd_profile_init(ret_profile);
    g_auto(GStrv) names = g_key_file_get_keys(keys, "Profile", NULL, &error);
    g_assert_no_error(error);
    for (guint i = 0; names[i] != NULL; i++) {
        g_autofree char *value = g_key_file_get_value(keys, "Profile", names[i], NULL);
        if (strcmp(names[i], "Description") == 0)
            continue;
        migd_profile_set(ret_profile, names[i], value, &error);
        g_assert_no_error(error);
    }
}

/* default.conf is the reference of the keys: each of them is there, with the value that holds where
 * it is left out. */
static void
test_default_is_builtin(void)
{
    g_autoptr(GKeyFile) keys = g_key_file_new();
    MigdProfile shipped, builtin;

    migd_profile_init(&builtin);
    read_profile("default", &shipped, keys);
    for (const char *const *key = migd_profile_keys(); *key != NULL; key++) {
        g_autofree char *ours = migd_profile_get(&shipped, *key);
        g_autofree char *theirs = migd_profile_get(&builtin, *key);
        g_autofree char *text = g_key_file_get_value(keys, "Profile", *key, NULL);
        g_test_message("%s", *key);
        g_assert_cmpstr(ours, ==, theirs);
        g_assert_cmpstr(text, ==, theirs); /* spelled as the program spells it */
    }
}

static void
test_promises(void)
{
    static const struct {
        const char *name;
        guint64 max_downtime_us;
        guint64 deadline_us;
        guint32 max_throttle_pct;
        MigdOnDeadline on_deadline;
        gboolean postcopy, pause, abort;
    } rows[] = {
        {"default", 300000, MIGD_DEADLINE_AUTO, 80, MIGD_DEADLINE_ABORT, TRUE, FALSE, TRUE},
        {"low-downtime", 100000, MIGD_DEADLINE_AUTO, 80, MIGD_DEADLINE_ABORT, TRUE, FALSE, TRUE},
        {"gentle", 300000, MIGD_DEADLINE_AUTO, 20, MIGD_DEADLINE_ABORT, FALSE, FALSE, TRUE},
        {"must-finish", 1000000, 600000000, 99, MIGD_DEADLINE_POSTCOPY, TRUE, TRUE, FALSE},
    };

    for (guint i = 0; i < G_N_ELEMENTS(rows); i++) {
        g_autoptr(GKeyFile) keys = g_key_file_new();
        MigdProfile profile;

        g_test_message("%s", rows[i].name);
        read_profile(rows[i].name, &profile, keys);
        g_assert_true(g_key_file_has_key(keys, "Profile", "Description", NULL));
        g_assert_cmpuint(profile.max_downtime_us, ==, rows[i].max_downtime_us);
        g_assert_cmpuint(profile.deadline_us, ==, rows[i].deadline_us);
        g_assert_cmpuint(profile.max_throttle_pct, ==, rows[i].max_throttle_pct);
        g_assert_cmpint(profile.on_deadline, ==, rows[i].on_deadline);
        g_assert_true(migd_profile_allows(&profile, MIGD_ACTION_SET_DOWNTIME));
        g_assert_true(migd_profile_allows(&profile, MIGD_ACTION_THROTTLE));
        g_assert_cmpint(migd_profile_allows(&profile, MIGD_ACTION_POSTCOPY), ==, rows[i].postcopy);
        g_assert_cmpint(migd_profile_allows(&profile, MIGD_ACTION_PAUSE), ==, rows[i].pause);
        g_assert_cmpint(migd_profile_allows(&profile, MIGD_ACTION_ABORT), ==, rows[i].abort);
    }
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/conf/default-is-builtin", test_default_is_builtin);
    g_test_add_func("/conf/promises", test_promises);
    return g_test_run();
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A profile for the verbs that work offline: found by name where the daemon finds it, or read from
 * a file.
 */
#include "cli/profile.h"

#include <string.h>

#include "base/error.h"
#include "base/names.h"

static char *
profile_path(const char *name)
{
    static const char *const directories[] = {MIGD_PROFILE_DIR_ADMIN, MIGD_PROFILE_DIR_VENDOR};
    g_autofree char *file = g_strconcat(name, ".conf", NULL);

    if (strchr(name, '/') != NULL || g_file_test(name, G_FILE_TEST_IS_REGULAR))
        return g_strdup(name);
    for (guint i = 0; i < G_N_ELEMENTS(directories); i++) {
        g_autofree char *path = g_build_filename(directories[i], file, NULL);
        if (g_file_test(path, G_FILE_TEST_IS_REGULAR))
            return g_steal_pointer(&path);
    }
    return NULL;
}

static gboolean
read_keys(GKeyFile *file, const char *path, MigdProfile *profile, GError **error)
{
    g_auto(GStrv) keys = g_key_file_get_keys(file, "Profile", NULL, error);

    for (guint i = 0; keys != NULL && keys[i] != NULL; i++) {
        g_autofree char *value = g_key_file_get_string(file, "Profile", keys[i], NULL);

        if (g_str_equal(keys[i], "Description"))
            continue;
        if (!migd_profile_set(profile, keys[i], value != NULL ? value : "", error)) {
            g_prefix_error(error, "%s: ", path);
            return FALSE;
        }
    }
    return keys != NULL;
}

gboolean
migd_profile_read(const char *name, MigdProfile *ret_profile, GError **error)
{
    g_autofree char *path = profile_path(name);
    g_autoptr(GKeyFile) file = g_key_file_new();
    MigdProfile profile;

    migd_profile_init(&profile);
    if (path == NULL && g_str_equal(name, profile.name)) {
        *ret_profile = profile;
        return TRUE;
    }
    if (path == NULL) {
        g_set_error(error, MIGD_ERROR, MIGD_ERROR_INVALID_ARGUMENT,
                    "no profile \"%s\" in " MIGD_PROFILE_DIR_ADMIN " or " MIGD_PROFILE_DIR_VENDOR,
                    name);
        return FALSE;
    }
    if (!g_key_file_load_from_file(file, path, G_KEY_FILE_NONE, error)) {
        g_prefix_error(error, "%s: ", path);
        return FALSE;
    }
    g_autofree char *base = g_path_get_basename(path);
    if (g_str_has_suffix(base, ".conf"))
        base[strlen(base) - strlen(".conf")] = '\0';
    g_strlcpy(profile.name, base, sizeof profile.name);
    if (!read_keys(file, path, &profile, error))
        return FALSE;
    *ret_profile = profile;
    return TRUE;
}

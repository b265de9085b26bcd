/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Profile files to profiles. What a key means is the policy's business (policy/profile.h); this
 * adds only Description and [Match].
 */
#include "daemon/profiles.h"

#include <string.h>

#include "base/error.h"
#include "base/text.h"
#include "daemon/keyfile.h"

#define SECTION "Profile"
#define SECTION_MATCH "Match"
#define SUFFIX ".conf"

typedef struct {
    MigdProfile profile;
    guint directory;  /* by its place in the list: later ones go first */
    GPtrArray *names; /* of GPatternSpec */
    char **uuids;     /* canonical; NULL = none */
} Entry;

struct MigdProfiles {
    GPtrArray *entries; /* of Entry, in the order of matching */
};

static void
entry_free(gpointer data)
{
    Entry *entry = data;

    g_ptr_array_unref(entry->names);
    g_strfreev(entry->uuids);
    g_free(entry);
}

static Entry *
entry_new(guint directory)
{
    Entry *entry = g_new0(Entry, 1);

    migd_profile_init(&entry->profile);
    entry->directory = directory;
    entry->names = g_ptr_array_new_with_free_func((GDestroyNotify)g_pattern_spec_free);
    return entry;
}

static gboolean
read_profile_key(Entry *entry, const MigdKeyFile *file, const char *key, GError **error)
{
    g_autofree char *value = migd_key_file_get(file, SECTION, key);
    g_autoptr(GError) cause = NULL;

    if (value == NULL)
        return migd_key_file_refuse(file, SECTION, key, "not valid text", error);
    if (strcmp(key, "Description") == 0)
        return TRUE; /* for people who read the file */
    if (!migd_profile_set(&entry->profile, key, value, &cause))
        return migd_key_file_refuse(file, SECTION, key, cause->message, error);
    return TRUE;
}

static gboolean
read_match_key(Entry *entry, const MigdKeyFile *file, const char *key, GError **error)
{
    g_auto(GStrv) words = g_key_file_get_string_list(file->keys, SECTION_MATCH, key, NULL, NULL);

    if (words == NULL)
        return migd_key_file_refuse(file, SECTION_MATCH, key, "not a list of words", error);
    if (strcmp(key, "Name") == 0) {
        for (guint i = 0; words[i] != NULL; i++)
            g_ptr_array_add(entry->names, g_pattern_spec_new(g_strstrip(words[i])));
        return TRUE;
    }
    if (strcmp(key, "Uuid") != 0)
        return migd_key_file_refuse(file, SECTION_MATCH, key, "unknown key; known: Name, Uuid",
                                    error);
    for (guint i = 0; words[i] != NULL; i++) {
        g_autofree char *lower = g_ascii_strdown(g_strstrip(words[i]), -1);
        if (!migd_text_is_uuid(lower))
            return migd_key_file_refuse(file, SECTION_MATCH, key, "not a list of UUIDs", error);
        g_free(words[i]);
        words[i] = g_steal_pointer(&lower);
    }
    g_strfreev(entry->uuids);
    entry->uuids = g_steal_pointer(&words);
    return TRUE;
}

static const struct {
    const char *section;
    gboolean (*read_key)(Entry *entry, const MigdKeyFile *file, const char *key, GError **error);
} sections[] = {{SECTION, read_profile_key}, {SECTION_MATCH, read_match_key}};

static gboolean
read_section(Entry *entry, const MigdKeyFile *file, const char *section, GError **error)
{
    g_auto(GStrv) keys = g_key_file_get_keys(file->keys, section, NULL, NULL);
    guint row = 0;

    while (row < G_N_ELEMENTS(sections) && strcmp(section, sections[row].section) != 0)
        row++;
    if (row == G_N_ELEMENTS(sections))
        return migd_key_file_refuse(file, section, NULL,
                                    "unknown section; known: [Profile], [Match]", error);
    for (guint i = 0; keys != NULL && keys[i] != NULL; i++)
        if (!sections[row].read_key(entry, file, keys[i], error))
            return FALSE;
    return TRUE;
}

/* The file's base name is the profile's name: it goes onto the bus, into traces and on command
 * lines. */
static gboolean
set_name(Entry *entry, const char *path, GError **error)
{
    g_autofree char *name = g_path_get_basename(path);

    name[strlen(name) - strlen(SUFFIX)] = '\0';
    if (name[0] == '\0' || strlen(name) >= MIGD_PROFILE_NAME_MAX ||
        name[strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-")] !=
            '\0') {
        g_set_error(error, MIGD_ERROR, MIGD_ERROR_INVALID_ARGUMENT,
                    "%s: the name of a profile has 1 to %d letters, digits, '.', '_' and '-'", path,
                    MIGD_PROFILE_NAME_MAX - 1);
        return FALSE;
    }
    g_strlcpy(entry->profile.name, name, sizeof entry->profile.name);
    return TRUE;
}

static Entry *
find_entry(const MigdProfiles *profiles, const char *name)
{
    for (guint i = 0; i < profiles->entries->len; i++) {
        Entry *entry = profiles->entries->pdata[i];
        if (strcmp(entry->profile.name, name) == 0)
            return entry;
    }
    return NULL;
}

static gboolean
read_file(MigdProfiles *profiles, const char *path, guint directory, GError **error)
{
    g_autoptr(MigdKeyFile) file = migd_key_file_read(path, error);
    Entry *entry = file != NULL ? entry_new(directory) : NULL;
    g_auto(GStrv) groups = file != NULL ? g_key_file_get_groups(file->keys, NULL) : NULL;
    Entry *replaced;

    if (entry == NULL)
        return FALSE;
    if (!set_name(entry, path, error)) {
        entry_free(entry);
        return FALSE;
    }
    replaced = find_entry(profiles, entry->profile.name);
    if (replaced != NULL)
        g_ptr_array_remove(profiles->entries, replaced);
    g_ptr_array_add(profiles->entries, entry);
    for (guint i = 0; groups[i] != NULL; i++)
        if (!read_section(entry, file, groups[i], error))
            return FALSE;
    return TRUE;
}

static gint
compare_entries(gconstpointer a, gconstpointer b)
{
    const Entry *x = *(const Entry *const *)a, *y = *(const Entry *const *)b;

    if (x->directory != y->directory)
        return x->directory > y->directory ? -1 : 1;
    return strcmp(x->profile.name, y->profile.name);
}

MigdProfiles *
migd_profiles_read(const char *const *directories, gboolean must_exist, GError **error)
{
    g_autoptr(MigdProfiles) profiles = g_new0(MigdProfiles, 1);

    profiles->entries = g_ptr_array_new_with_free_func(entry_free);
    for (guint d = 0; directories[d] != NULL; d++) {
        g_autoptr(GPtrArray) paths = migd_list_files(directories[d], SUFFIX, must_exist, error);

        if (paths == NULL)
            return NULL;
        for (guint i = 0; i < paths->len; i++)
            if (!read_file(profiles, paths->pdata[i], d, error))
                return NULL;
    }
    if (find_entry(profiles, "default") == NULL)
        g_ptr_array_add(profiles->entries, entry_new(0));
    g_ptr_array_sort(profiles->entries, compare_entries);
    return g_steal_pointer(&profiles);
}

void
migd_profiles_free(MigdProfiles *profiles)
{
    if (profiles == NULL)
        return;
    g_ptr_array_unref(profiles->entries);
    g_free(profiles);
}

const MigdProfile *
migd_profiles_find(const MigdProfiles *profiles, const char *name)
{
    const Entry *entry = find_entry(profiles, name);
    return entry != NULL ? &entry->profile : NULL;
}

static gboolean
claims_name(const Entry *entry, const char *name)
{
    for (guint i = 0; i < entry->names->len; i++)
        if (g_pattern_spec_match_string(entry->names->pdata[i], name))
            return TRUE;
    return FALSE;
}

const MigdProfile *
migd_profiles_match(const MigdProfiles *profiles, const char *domain_uuid, const char *domain_name)
{
    const Entry *by_name = NULL;

    for (guint i = 0; i < profiles->entries->len; i++) {
        const Entry *entry = profiles->entries->pdata[i];

        if (entry->uuids != NULL && g_strv_contains((const char *const *)entry->uuids, domain_uuid))
            return &entry->profile;
        if (by_name == NULL && claims_name(entry, domain_name))
            by_name = entry;
    }
    return by_name != NULL ? &by_name->profile : NULL;
}

static gint
compare_strings(gconstpointer a, gconstpointer b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

char **
migd_profiles_names(const MigdProfiles *profiles)
{
    GPtrArray *names = g_ptr_array_new();

    for (guint i = 0; i < profiles->entries->len; i++) {
        const Entry *entry = profiles->entries->pdata[i];
        g_ptr_array_add(names, g_strdup(entry->profile.name));
    }
    g_ptr_array_sort(names, compare_strings);
    g_ptr_array_add(names, NULL);
    return (char **)g_ptr_array_free(names, FALSE);
}

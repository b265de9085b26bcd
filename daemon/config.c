/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * migrationd.conf by table: one row a key, with its parser and its place. Nothing here acts on what
 * it read.
 */
#include "daemon/config.h"

#include <string.h>

#include "base/error.h"
#include "base/names.h"
#include "base/units.h"
#include "daemon/keyfile.h"

typedef gboolean (*ParseFunc)(const char *text, void *field, GError **error);

gboolean
migd_mode_from_string(const char *word, gboolean *ret_observe, GError **error)
{
    gboolean observe = strcmp(word, "observe") == 0;

    if (!observe && strcmp(word, "enforce") != 0) {
        g_set_error(error, MIGD_ERROR, MIGD_ERROR_INVALID_ARGUMENT,
                    "\"%s\" is not one of: enforce, observe", word);
        return FALSE;
    }
    *ret_observe = observe;
    return TRUE;
}

const char *
migd_mode_to_string(gboolean observe)
{
    return observe ? "observe" : "enforce";
}

static gboolean
parse_mode(const char *text, void *field, GError **error)
{
    return migd_mode_from_string(text, field, error);
}

static gboolean
parse_text(const char *text, void *field, GError **error)
{
    g_free(*(char **)field);
    *(char **)field = g_strdup(text);
    return TRUE;
}

static gboolean
parse_directory(const char *text, void *field, GError **error)
{
    if (!g_path_is_absolute(text)) {
        g_set_error(error, MIGD_ERROR, MIGD_ERROR_INVALID_ARGUMENT,
                    "\"%s\" is not an absolute path", text);
        return FALSE;
    }
    return parse_text(text, field, error);
}

static gboolean
parse_timeout(const char *text, void *field, GError **error)
{
    guint64 us;

    if (!migd_parse_duration(text, &us, error))
        return FALSE;
    if (us < 100 * 1000 || us > 600 * (guint64)G_USEC_PER_SEC) {
        g_set_error(error, MIGD_ERROR, MIGD_ERROR_INVALID_ARGUMENT,
                    "\"%s\" is not one of: 100ms to 10min", text);
        return FALSE;
    }
    *(guint *)field = (guint)(us / 1000);
    return TRUE;
}

static gboolean
parse_uri(const char *text, void *field, GError **error)
{
    if (strcmp(text, "none") != 0 && strstr(text, "://") == NULL) {
        g_set_error(error, MIGD_ERROR, MIGD_ERROR_INVALID_ARGUMENT,
                    "\"%s\" is not one of: none, a URI like qemu:///system", text);
        return FALSE;
    }
    return parse_text(text, field, error);
}

static gboolean
parse_yes(const char *text, void *field, GError **error)
{
    gboolean yes = strcmp(text, "yes") == 0;

    if (!yes && strcmp(text, "no") != 0) {
        g_set_error(error, MIGD_ERROR, MIGD_ERROR_INVALID_ARGUMENT, "\"%s\" is not one of: yes, no",
                    text);
        return FALSE;
    }
    *(gboolean *)field = yes;
    return TRUE;
}

static gboolean
parse_level(const char *text, void *field, GError **error)
{
    if (migd_log_level_from_string(text, field))
        return TRUE;
    g_set_error(error, MIGD_ERROR, MIGD_ERROR_INVALID_ARGUMENT,
                "\"%s\" is not one of: error, warning, notice, info, debug", text);
    return FALSE;
}

static gboolean
parse_count(const char *text, void *field, GError **error)
{
    guint64 count;

    if (!g_ascii_string_to_unsigned(text, 10, 0, 1000000, &count, NULL)) {
        g_set_error(error, MIGD_ERROR, MIGD_ERROR_INVALID_ARGUMENT,
                    "\"%s\" is not one of: 0 to 1000000", text);
        return FALSE;
    }
    *(guint *)field = (guint)count;
    return TRUE;
}

static const struct {
    const char *section, *key;
    ParseFunc parse;
    gsize offset;
} rows[] = {
    {"Daemon", "Mode", parse_mode, offsetof(MigdConfig, observe)},
    {"Daemon", "DefaultProfile", parse_text, offsetof(MigdConfig, default_profile)},
    {"Qmp", "Directory", parse_directory, offsetof(MigdConfig, qmp_directory)},
    {"Qmp", "CommandTimeout", parse_timeout, offsetof(MigdConfig, command_timeout_ms)},
    {"Libvirt", "Uri", parse_uri, offsetof(MigdConfig, libvirt_uri)},
    {"Libvirt", "AllowMonitorCommands", parse_yes, offsetof(MigdConfig, allow_monitor)},
    {"Libvirt", "CallTimeout", parse_timeout, offsetof(MigdConfig, call_timeout_ms)},
    {"Log", "Level", parse_level, offsetof(MigdConfig, log_level)},
    {"Trace", "Keep", parse_count, offsetof(MigdConfig, trace_keep)},
};

/* What is known in `section`, or all sections if it is not known itself. Caller frees. */
static char *
list_known(const char *section)
{
    GString *keys = g_string_new("unknown key; known: ");
    GString *sections = g_string_new("unknown section; known: ");
    gsize empty = keys->len;

    for (guint i = 0; i < G_N_ELEMENTS(rows); i++) {
        if (i == 0 || strcmp(rows[i].section, rows[i - 1].section) != 0)
            g_string_append_printf(sections, "%s[%s]", i > 0 ? ", " : "", rows[i].section);
        if (strcmp(rows[i].section, section) == 0)
            g_string_append_printf(keys, "%s%s", keys->len > empty ? ", " : "", rows[i].key);
    }
    gboolean known = keys->len > empty;
    g_autofree char *unused = g_string_free(known ? sections : keys, FALSE);
    return g_string_free(known ? keys : sections, FALSE);
}

static gboolean
read_key(MigdConfig *config, const MigdKeyFile *file, const char *section, const char *key,
         GError **error)
{
    g_autofree char *value = migd_key_file_get(file, section, key);
    g_autoptr(GError) cause = NULL;

    if (value == NULL)
        return migd_key_file_refuse(file, section, key, "not valid text", error);
    for (guint i = 0; i < G_N_ELEMENTS(rows); i++) {
        if (strcmp(rows[i].section, section) != 0 || strcmp(rows[i].key, key) != 0)
            continue;
        if (!rows[i].parse(value, (char *)config + rows[i].offset, &cause))
            return migd_key_file_refuse(file, section, key, cause->message, error);
        return TRUE;
    }
    g_autofree char *known = list_known(section);
    return migd_key_file_refuse(file, section, key, known, error);
}

static gboolean
is_known_section(const char *section)
{
    for (guint i = 0; i < G_N_ELEMENTS(rows); i++)
        if (strcmp(rows[i].section, section) == 0)
            return TRUE;
    return FALSE;
}

static gboolean
read_file(MigdConfig *config, const char *path, GError **error)
{
    g_autoptr(MigdKeyFile) file = migd_key_file_read(path, error);
    g_auto(GStrv) sections = file != NULL ? g_key_file_get_groups(file->keys, NULL) : NULL;

    if (file == NULL)
        return FALSE;
    for (guint s = 0; sections[s] != NULL; s++) {
        g_auto(GStrv) keys = g_key_file_get_keys(file->keys, sections[s], NULL, NULL);

        if (!is_known_section(sections[s])) {
            g_autofree char *known = list_known(sections[s]);
            return migd_key_file_refuse(file, sections[s], NULL, known, error);
        }
        for (guint k = 0; keys != NULL && keys[k] != NULL; k++)
            if (!read_key(config, file, sections[s], keys[k], error))
                return FALSE;
    }
    return TRUE;
}

static gboolean
read_files(MigdConfig *config, const char *main_file, gboolean must_exist, GError **error)
{
    g_autofree char *directory = g_strconcat(main_file, ".d", NULL);
    g_autoptr(GPtrArray) paths =
        migd_list_files(directory, ".conf", /* must_exist= */ FALSE, error);

    if (paths == NULL)
        return FALSE;
    if ((must_exist || g_file_test(main_file, G_FILE_TEST_EXISTS)) &&
        !read_file(config, main_file, error))
        return FALSE;
    for (guint i = 0; i < paths->len; i++)
        if (!read_file(config, paths->pdata[i], error))
            return FALSE;
    return TRUE;
}

static gboolean
apply_command_line(MigdConfig *config, const MigdConfigSource *source, GError **error)
{
    g_autoptr(GError) cause = NULL;

    if (source->mode != NULL && !migd_mode_from_string(source->mode, &config->observe, &cause)) {
        g_set_error(error, MIGD_ERROR, MIGD_ERROR_INVALID_ARGUMENT, "--mode: %s", cause->message);
        return FALSE;
    }
    if (source->qmp_directory != NULL)
        parse_text(source->qmp_directory, &config->qmp_directory, NULL);
    if (source->libvirt_uri != NULL &&
        !parse_uri(source->libvirt_uri, &config->libvirt_uri, &cause)) {
        g_set_error(error, MIGD_ERROR, MIGD_ERROR_INVALID_ARGUMENT, "--libvirt-uri: %s",
                    cause->message);
        return FALSE;
    }
    return TRUE;
}

MigdConfig *
migd_config_read(const MigdConfigSource *source, GError **error)
{
    static const char *const profile_dirs[] = {MIGD_PROFILE_DIR_VENDOR, MIGD_PROFILE_DIR_ADMIN,
                                               NULL};
    g_autoptr(MigdConfig) config = g_new0(MigdConfig, 1);
    const char *main_file = source->file != NULL ? source->file : MIGD_CONF_FILE;

    config->default_profile = g_strdup("default");
    config->qmp_directory = g_build_filename(source->runtime_directory, "qmp", NULL);
    config->command_timeout_ms = 5000;
    config->libvirt_uri = g_strdup("qemu:///system");
    config->call_timeout_ms = 5000;
    config->log_level = MIGD_LOG_INFO;
    config->trace_keep = 200;
    if (!read_files(config, main_file, /* must_exist= */ source->file != NULL, error) ||
        !apply_command_line(config, source, error))
        return NULL;
    if (source->profile_dirs != NULL)
        config->profiles = migd_profiles_read((const char *const *)source->profile_dirs,
                                              /* must_exist= */ TRUE, error);
    else
        config->profiles = migd_profiles_read(profile_dirs, /* must_exist= */ FALSE, error);
    if (config->profiles == NULL)
        return NULL;
    if (migd_profiles_find(config->profiles, config->default_profile) == NULL) {
        g_auto(GStrv) names = migd_profiles_names(config->profiles);
        g_autofree char *known = g_strjoinv(", ", names);
        g_set_error(error, MIGD_ERROR, MIGD_ERROR_INVALID_ARGUMENT,
                    "%s: [Daemon] DefaultProfile: \"%s\" is not one of: %s", main_file,
                    config->default_profile, known);
        return NULL;
    }
    return g_steal_pointer(&config);
}

void
migd_config_free(MigdConfig *config)
{
    if (config == NULL)
        return;
    g_free(config->default_profile);
    g_free(config->qmp_directory);
    g_free(config->libvirt_uri);
    migd_profiles_free(config->profiles);
    g_free(config);
}

const MigdProfile *
migd_config_choose(const MigdConfig *config, const char *domain_uuid, const char *domain_name,
                   const char **ret_source)
{
    const MigdProfile *profile = migd_profiles_match(config->profiles, domain_uuid, domain_name);

    if (ret_source != NULL)
        *ret_source = profile != NULL ? "match" : "default";
    return profile != NULL ? profile
                           : migd_profiles_find(config->profiles, config->default_profile);
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Tests of the daemon's configuration: files in order, what is refused and how the message reads,
 * profiles and their choice. Works in a temporary directory.
 */
#include <glib/gstdio.h>
#include <string.h>

#include "base/error.h"
#include "daemon/config.h"

typedef struct {
    char *directory;
    char *file;
    char *dirs[3];
    MigdConfigSource source;
} Fixture;

static void
put(const Fixture *f, const char *name, const char *text)
{
    g_autofree char *path = g_build_filename(f->directory, name, NULL);
    g_autofree char *parent = g_path_get_dirname(path);

    g_assert_cmpint(g_mkdir_with_parents(parent, 0700), ==, 0);
    g_assert_true(g_file_set_contents(path, text, -1, NULL));
}

static void
set_up(Fixture *f, gconstpointer data)
{
    f->directory = g_dir_make_tmp("migd-config-XXXXXX", NULL);
    f->file = g_build_filename(f->directory, "migrationd.conf", NULL);
    f->dirs[0] = g_build_filename(f->directory, "vendor", NULL);
    f->dirs[1] = g_build_filename(f->directory, "admin", NULL);
    f->source =
        (MigdConfigSource){.file = f->file, .profile_dirs = f->dirs, .runtime_directory = "/run/x"};
    put(f, "migrationd.conf", "");
    put(f, "vendor/default.conf", "[Profile]\nDescription=The usual\nMaxDowntime=300ms\n");
    put(f, "vendor/gentle.conf", "[Profile]\nMaxThrottle=20%\n[Match]\nName=web-*\n");
    put(f, "admin/README", "not a profile");
}

static void
tear_down(Fixture *f, gconstpointer data)
{
    g_autofree char *command = g_strdup_printf("rm -r '%s'", f->directory);

    g_assert_true(g_spawn_command_line_sync(command, NULL, NULL, NULL, NULL));
    g_free(f->directory);
    g_free(f->file);
    g_free(f->dirs[0]);
    g_free(f->dirs[1]);
}

static void
test_defaults(Fixture *f, gconstpointer data)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(MigdConfig) config = migd_config_read(&f->source, &error);

    g_assert_no_error(error);
    g_assert_false(config->observe);
    g_assert_cmpstr(config->default_profile, ==, "default");
    g_assert_cmpstr(config->qmp_directory, ==, "/run/x/qmp");
    g_assert_cmpuint(config->command_timeout_ms, ==, 5000);
    g_assert_cmpint(config->log_level, ==, MIGD_LOG_INFO);
    g_assert_cmpuint(config->trace_keep, ==, 200);
}

/* The last value of a key wins: main file, then the others by name, then the command line. */
static void
test_order(Fixture *f, gconstpointer data)
{
    g_autoptr(GError) error = NULL;

    put(f, "migrationd.conf",
        "[Daemon]\nMode=enforce\nDefaultProfile=gentle\n[Qmp]\nDirectory=/a\nCommandTimeout=2s\n"
        "[Log]\nLevel=debug\n[Trace]\nKeep=7\n");
    put(f, "migrationd.conf.d/20-b.conf", "[Daemon]\nMode=observe\n[Trace]\nKeep=9\n");
    put(f, "migrationd.conf.d/10-a.conf", "[Trace]\nKeep=8\n[Qmp]\nCommandTimeout=700ms\n");
    put(f, "migrationd.conf.d/30-c.conf.off", "nonsense");
    g_autoptr(MigdConfig) config = migd_config_read(&f->source, &error);
    g_assert_no_error(error);
    g_assert_true(config->observe);
    g_assert_cmpstr(config->default_profile, ==, "gentle");
    g_assert_cmpstr(config->qmp_directory, ==, "/a");
    g_assert_cmpuint(config->command_timeout_ms, ==, 700);
    g_assert_cmpint(config->log_level, ==, MIGD_LOG_DEBUG);
    g_assert_cmpuint(config->trace_keep, ==, 9);

    f->source.mode = "enforce";
    f->source.qmp_directory = "/b";
    g_autoptr(MigdConfig) overridden = migd_config_read(&f->source, &error);
    g_assert_no_error(error);
    g_assert_false(overridden->observe);
    g_assert_cmpstr(overridden->qmp_directory, ==, "/b");
}

/* Which file, which text, and what the message must say besides the file's name. */
static const struct {
    const char *file, *text, *says;
} refused[] = {
    {"migrationd.conf", "[Daemon]\n\nMode=off\n",
     ":3: [Daemon] Mode: \"off\" is not one of: enforce, observe"},
    {"migrationd.conf", "# x\n[Daemon]\nMoode=enforce\n",
     ":3: [Daemon] Moode: unknown key; known: Mode, DefaultProfile"},
    {"migrationd.conf", "[Demon]\nMode=enforce\n",
     ":1: [Demon]: unknown section; known: [Daemon], [Qmp], [Libvirt], [Log], [Trace]"},
    {"migrationd.conf", "[Daemon]\nMode=enforce\nrubbish\n", ":3: "},
    {"migrationd.conf", "Mode=enforce\n", ":1: "},
    {"migrationd.conf", "[Qmp]\nCommandTimeout=5\n", ":2: [Qmp] CommandTimeout: "},
    {"migrationd.conf", "[Qmp]\nCommandTimeout=1ms\n", "100ms to 10min"},
    {"migrationd.conf", "[Qmp]\nDirectory=qmp\n", "not an absolute path"},
    {"migrationd.conf", "[Libvirt]\nUri=system\n", "none, a URI like qemu:///system"},
    {"migrationd.conf", "[Libvirt]\nAllowMonitorCommands=true\n", "is not one of: yes, no"},
    {"migrationd.conf", "[Libvirt]\nCallTimeout=1h\n", "100ms to 10min"},
    {"migrationd.conf", "[Log]\nLevel=loud\n", "error, warning, notice, info, debug"},
    {"migrationd.conf", "[Trace]\nKeep=-1\n", "0 to 1000000"},
    {"migrationd.conf", "[Daemon]\nDefaultProfile=\xff\n",
     ":2: [Daemon] DefaultProfile: not valid text"},
    {"migrationd.conf", "[Daemon]\nDefaultProfile=none-such\n",
     "\"none-such\" is not one of: default, gentle"},
    {"migrationd.conf.d/x.conf", "[Log]\nLevel=info\nLevel=loud\n", ":3: [Log] Level: "},
    {"vendor/default.conf", "[Profile]\nMaxDowntime=long\n", ":2: [Profile] MaxDowntime: "},
    {"vendor/default.conf", "[Profile]\nMaxDownTime=1s\n", ":2: [Profile] MaxDownTime: "},
    {"admin/odd.conf", "[Profil]\n", ":1: [Profil]: unknown section; known: [Profile], [Match]"},
    {"admin/odd.conf", "[Match]\nTitle=x\n", ":2: [Match] Title: unknown key; known: Name, Uuid"},
    {"admin/odd.conf", "[Match]\nUuid=42\n", ":2: [Match] Uuid: not a list of UUIDs"},
    {"admin/odd name.conf", "[Profile]\n", "the name of a profile has"},
};

static void
test_refused(Fixture *f, gconstpointer data)
{
    for (gsize i = 0; i < G_N_ELEMENTS(refused); i++) {
        g_autofree char *path = g_build_filename(f->directory, refused[i].file, NULL);
        g_autofree char *before = NULL;
        g_autoptr(GError) error = NULL;

        g_test_message("row %zu: %s", i, refused[i].file);
        (void)g_file_get_contents(path, &before, NULL, NULL);
        put(f, refused[i].file, refused[i].text);
        g_assert_null(migd_config_read(&f->source, &error));
        g_assert_error(error, MIGD_ERROR, MIGD_ERROR_INVALID_ARGUMENT);
        g_test_message("%s", error->message);
        g_assert_nonnull(strstr(error->message, path));
        g_assert_nonnull(strstr(error->message, refused[i].says));
        if (before != NULL)
            put(f, refused[i].file, before);
        else
            g_assert_cmpint(g_unlink(path), ==, 0);
    }
    g_autoptr(MigdConfig) config = migd_config_read(&f->source, NULL);
    g_assert_nonnull(config); /* each row was refused for its own sake */
}

static void
test_missing(Fixture *f, gconstpointer data)
{
    g_autoptr(GError) error = NULL;

    g_assert_cmpint(g_unlink(f->file), ==,
                    0); /* named on the command line, so it has to be there */
    g_assert_null(migd_config_read(&f->source, &error));
    g_assert_nonnull(strstr(error->message, f->file));
    g_clear_error(&error);

    put(f, "migrationd.conf", "");
    g_free(f->dirs[1]);
    f->dirs[1] = g_strdup("/nonexistent/profiles.d");
    g_assert_null(migd_config_read(&f->source, &error));
    g_assert_nonnull(strstr(error->message, "/nonexistent/profiles.d"));
}

static void
test_bad_mode_option(Fixture *f, gconstpointer data)
{
    g_autoptr(GError) error = NULL;

    f->source.mode = "maybe";
    g_assert_null(migd_config_read(&f->source, &error));
    g_assert_cmpstr(error->message, ==, "--mode: \"maybe\" is not one of: enforce, observe");
}

/* Without any file there is still a profile to work with. */
static void
test_built_in(Fixture *f, gconstpointer data)
{
    const char *const none[] = {"/nonexistent", NULL};
    g_autoptr(MigdProfiles) profiles = migd_profiles_read(none, /* must_exist= */ FALSE, NULL);
    MigdProfile built_in;

    migd_profile_init(&built_in);
    g_assert_nonnull(profiles);
    g_assert_cmpuint(migd_profiles_find(profiles, "default")->max_downtime_us, ==,
                     built_in.max_downtime_us);
    g_assert_null(migd_profiles_find(profiles, "gentle"));
}

#define UUID_DB "6f0b6a53-6f57-4e0f-9d5c-8f2b2d1c7a31"
#define UUID_OTHER "00000000-1111-2222-3333-444444444444"

static void
check_choice(const MigdConfig *config, const char *uuid, const char *name, const char *profile,
             const char *source)
{
    const char *why = NULL;

    g_test_message("%s %s", uuid, name);
    g_assert_cmpstr(migd_config_choose(config, uuid, name, &why)->name, ==, profile);
    g_assert_cmpstr(why, ==, source);
}

/* A UUID before a name, the admin's before the vendor's, then by file name. */
static void
test_choice(Fixture *f, gconstpointer data)
{
    g_autoptr(GError) error = NULL;

    put(f, "vendor/aaa.conf", "[Match]\nName=*\n");
    put(f, "admin/zzz.conf", "[Match]\nName=web-?; db-*\n");
    put(f, "admin/yyy.conf", "[Match]\nName=db-1\n");
    put(f, "vendor/by-id.conf", "[Match]\nUuid=" UUID_DB ";6F0B6A53-6F57-4E0F-9D5C-8F2B2D1C7A32\n");
    g_autoptr(MigdConfig) config = migd_config_read(&f->source, &error);
    g_assert_no_error(error);
    check_choice(config, UUID_OTHER, "web-1", "zzz", "match");
    check_choice(config, UUID_OTHER, "web-11", "aaa", "match");
    check_choice(config, UUID_OTHER, "db-1", "yyy", "match");
    check_choice(config, UUID_OTHER, "db-2", "zzz", "match");
    check_choice(config, UUID_DB, "db-1", "by-id", "match");
    check_choice(config, "6f0b6a53-6f57-4e0f-9d5c-8f2b2d1c7a32", "x", "by-id", "match");

    /* The admin's file of the same name takes the vendor's place, [Match] included. */
    put(f, "admin/aaa.conf", "[Profile]\nMaxDowntime=50ms\n");
    g_autoptr(MigdConfig) replaced = migd_config_read(&f->source, &error);
    g_assert_no_error(error);
    check_choice(replaced, UUID_OTHER, "mail", "default", "default");
    g_assert_cmpuint(migd_profiles_find(replaced->profiles, "aaa")->max_downtime_us, ==, 50000);
}

static void
test_names(Fixture *f, gconstpointer data)
{
    g_autoptr(MigdConfig) config = migd_config_read(&f->source, NULL);
    g_auto(GStrv) names = migd_profiles_names(config->profiles);
    const char *const expected[] = {"default", "gentle", NULL};

    g_assert_true(g_strv_equal((const char *const *)names, expected));
}

/* The files that are shipped are accepted as they are. */
static void
test_shipped(void)
{
    g_autofree char *file =
        g_test_build_filename(G_TEST_DIST, "..", "..", "conf", "migrationd.conf", NULL);
    g_autofree char *dir =
        g_test_build_filename(G_TEST_DIST, "..", "..", "conf", "profiles.d", NULL);
    char *dirs[] = {dir, NULL};
    MigdConfigSource source = {
        .file = file, .profile_dirs = dirs, .runtime_directory = "/run/migrationd"};
    g_autoptr(GError) error = NULL;
    g_autoptr(MigdConfig) config = migd_config_read(&source, &error);

    g_assert_no_error(error);
    g_assert_nonnull(migd_profiles_find(config->profiles, "must-finish"));
}

#define ADD(path, function) g_test_add(path, Fixture, NULL, set_up, function, tear_down)

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    ADD("/config/defaults", test_defaults);
    ADD("/config/order", test_order);
    ADD("/config/refused", test_refused);
    ADD("/config/missing", test_missing);
    ADD("/config/bad-mode-option", test_bad_mode_option);
    ADD("/config/built-in", test_built_in);
    ADD("/config/choice", test_choice);
    ADD("/config/names", test_names);
    g_test_add_func("/config/shipped", test_shipped);
    return g_test_run();
}

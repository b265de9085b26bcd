/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The program: options, signals, the bus, the loop. Everything else is in the library that tests
 * link as well.
 */
#include <gio/gio.h>
#include <glib-unix.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/names.h"
#include "daemon/bus.h"
#include "daemon/config.h"
#include "daemon/journal.h"
#include "daemon/manager.h"
#include "daemon/notify.h"

#define EXIT_CONFIG 78 /* EX_CONFIG of sysexits.h: systemd does not restart on it if told so */

typedef struct {
    char *bus, *state_dir, *fake_dir;
    char *file, *mode, *qmp_dir, *libvirt_uri;
    char **backends;
    char **profile_dirs;
    gboolean version;
} Options;

typedef struct {
    GMainLoop *loop;
    MigdManager *manager;
    MigdNotify *notify;
    int status;
} Daemon;

static gboolean
parse_options(Options *options, int *argc, char ***argv, GError **error)
{
    const GOptionEntry entries[] = {
        {"bus", 0, 0, G_OPTION_ARG_STRING, &options->bus, "Message bus (default: system)",
         "system|session|ADDRESS"},
        {"backend", 0, 0, G_OPTION_ARG_STRING_ARRAY, &options->backends,
         "Where the domains come from; may be given more than once (default: qmp and libvirt)",
         "qmp|libvirt|fake"},
        {"libvirt-uri", 0, 0, G_OPTION_ARG_STRING, &options->libvirt_uri,
         "Instead of what is configured", "URI|none"},
        {"qmp-dir", 0, 0, G_OPTION_ARG_FILENAME, &options->qmp_dir, "Directory of *.qmp sockets",
         "DIR"},
        {"fake-dir", 0, 0, G_OPTION_ARG_FILENAME, &options->fake_dir,
         "Directory of *.scenario files for --backend=fake", "DIR"},
        {"state-dir", 0, 0, G_OPTION_ARG_FILENAME, &options->state_dir, "Where the traces go",
         "DIR"},
        {"config", 0, 0, G_OPTION_ARG_FILENAME, &options->file, "Instead of " MIGD_CONF_FILE,
         "FILE"},
        {"profile-dir", 0, 0, G_OPTION_ARG_FILENAME_ARRAY, &options->profile_dirs,
         "Directory of profiles; may be given more than once, later ones win", "DIR"},
        {"mode", 0, 0, G_OPTION_ARG_STRING, &options->mode, "Instead of what is configured",
         "enforce|observe"},
        {"version", 0, 0, G_OPTION_ARG_NONE, &options->version, "Print the version and exit", NULL},
        G_OPTION_ENTRY_NULL,
    };
    g_autoptr(GOptionContext) context = g_option_context_new(NULL);

    g_option_context_set_summary(context,
                                 "Lets live migrations end inside the limits of their operator.");
    g_option_context_add_main_entries(context, entries, NULL);
    if (!g_option_context_parse(context, argc, argv, error))
        return FALSE;
    if (*argc > 1) {
        g_set_error(error, MIGD_ERROR, MIGD_ERROR_INVALID_ARGUMENT, "unknown argument \"%s\"",
                    (*argv)[1]);
        return FALSE;
    }
    return TRUE;
}

static void
options_clear(Options *options)
{
    g_free(options->bus);
    g_free(options->state_dir);
    g_strfreev(options->backends);
    g_free(options->libvirt_uri);
    g_free(options->fake_dir);
    g_free(options->file);
    g_free(options->mode);
    g_free(options->qmp_dir);
    g_strfreev(options->profile_dirs);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Options, options_clear)

/* ---- signals --------------------------------------------------------------------------------- */

static gboolean
on_stop(gpointer user_data)
{
    Daemon *daemon = user_data;

    g_main_loop_quit(daemon->loop);
    return G_SOURCE_CONTINUE;
}

static gboolean
on_reload(gpointer user_data)
{
    Daemon *daemon = user_data;

    (void)migd_manager_reload(daemon->manager, NULL); /* says itself what was wrong */
    return G_SOURCE_CONTINUE;
}

static void
stop_with(Daemon *daemon, const char *why)
{
    migd_log(MIGD_LOG_ERROR, NULL, "%s", why);
    daemon->status = EXIT_FAILURE;
    g_main_loop_quit(daemon->loop);
}

static void
on_bus_closed(GDBusConnection *connection, gboolean vanished, GError *error, gpointer user_data)
{
    stop_with(user_data, "the message bus went away");
}

static void
on_name_acquired(GDBusConnection *connection, const char *name, gpointer user_data)
{
    Daemon *daemon = user_data;

    migd_notify_ready(daemon->notify);
}

static void
on_name_lost(GDBusConnection *connection, const char *name, gpointer user_data)
{
    stop_with(user_data, "the name " MIGD_BUS_NAME " is not to be had on this bus");
}

/* ---- parts ----------------------------------------------------------------------------------- */

static GDBusConnection *
connect_bus(const char *which, GError **error)
{
    static const struct {
        const char *word;
        GBusType type;
    } buses[] = {{"system", G_BUS_TYPE_SYSTEM}, {"session", G_BUS_TYPE_SESSION}};
    g_autofree char *address = NULL;

    for (guint i = 0; i < G_N_ELEMENTS(buses); i++) {
        if (strcmp(which, buses[i].word) != 0)
            continue;
        address = g_dbus_address_get_for_bus_sync(buses[i].type, NULL, error);
        if (address == NULL)
            return NULL;
    }
    return g_dbus_connection_new_for_address_sync(
        address != NULL ? address : which,
        G_DBUS_CONNECTION_FLAGS_AUTHENTICATION_CLIENT |
            G_DBUS_CONNECTION_FLAGS_MESSAGE_BUS_CONNECTION,
        NULL, NULL, error);
}

static MigdBackend *
make_virt(const MigdConfig *config, const char *runtime_directory, GError **error)
{
    g_autofree char *hook_fifo = g_build_filename(runtime_directory, MIGD_HOOK_FIFO, NULL);
    const MigdVirtOptions options = {.uri = config->libvirt_uri,
                                     .call_timeout_ms = config->call_timeout_ms,
                                     .allow_monitor = config->allow_monitor,
                                     .hook_fifo = hook_fifo};

    return migd_backend_load_virt(&options, error);
}

/* NULL with `error` set: no such backend. */
static MigdBackend *
make_backend(const char *name, const Options *options, const MigdConfig *config,
             const char *runtime_directory, GError **error)
{
    if (strcmp(name, "qmp") == 0)
        return migd_backend_qmp_new(config->qmp_directory, config->command_timeout_ms);
    if (strcmp(name, "libvirt") == 0 && strcmp(config->libvirt_uri, "none") != 0)
        return make_virt(config, runtime_directory, error);
    if (strcmp(name, "fake") == 0 && options->fake_dir != NULL)
        return migd_backend_fake_new(options->fake_dir);
    g_set_error(
        error, MIGD_ERROR, MIGD_ERROR_INVALID_ARGUMENT,
        "--backend: \"%s\" is not one of: qmp, libvirt (unless its Uri is none), fake (with "
        "--fake-dir)",
        name);
    return NULL;
}

static GPtrArray *
make_backends(const Options *options, const MigdConfig *config, const char *runtime_directory,
              GError **error)
{
    char *defaults[] = {(char *)"qmp", (char *)"libvirt", NULL};
    char **names = options->backends != NULL ? options->backends : defaults;
    g_autoptr(GPtrArray) backends =
        g_ptr_array_new_with_free_func((GDestroyNotify)migd_backend_free);

    if (options->backends == NULL && strcmp(config->libvirt_uri, "none") == 0)
        defaults[1] = NULL;
    for (; *names != NULL; names++) {
        g_autoptr(GError) problem = NULL;
        MigdBackend *backend = make_backend(*names, options, config, runtime_directory, &problem);

        if (backend != NULL) {
            g_ptr_array_add(backends, backend);
        } else if (options->backends == NULL) {
            /* Not asked for by name: a host without libvirt is a host, too. */
            migd_log(MIGD_LOG_NOTICE, NULL, "going on without: %s", problem->message);
        } else {
            g_propagate_error(error, g_steal_pointer(&problem));
            return NULL;
        }
    }
    return g_steal_pointer(&backends);
}

static int
fail(int status, MigdNotify *notify, const GError *error)
{
    migd_log(MIGD_LOG_ERROR,
             status == EXIT_CONFIG ? &(MigdLogFields){.message_id = MIGD_MESSAGE_CONFIG} : NULL,
             "%s", error->message);
    migd_notify_problem(notify, error->message);
    return status;
}

/* Without waiting for the answer, as g_bus_unown_name() would: a bus that has stopped reading does
 * not hold up the end. */
static void
release_name(GDBusConnection *connection)
{
    g_dbus_connection_call(connection, "org.freedesktop.DBus", "/org/freedesktop/DBus",
                           "org.freedesktop.DBus", "ReleaseName",
                           g_variant_new("(s)", MIGD_BUS_NAME), NULL, G_DBUS_CALL_FLAGS_NONE, -1,
                           NULL, NULL, NULL);
}

static int
run(GDBusConnection *connection, MigdManager *manager, MigdNotify *notify, gboolean ask_polkit)
{
    g_autoptr(GMainLoop) loop = g_main_loop_new(NULL, FALSE);
    Daemon daemon = {.loop = loop, .manager = manager, .notify = notify, .status = EXIT_SUCCESS};
    g_autoptr(GError) error = NULL;
    g_autoptr(MigdBus) bus = migd_bus_new(connection, manager, ask_polkit, &error);

    if (bus == NULL || !migd_manager_start(manager, &error))
        return fail(EXIT_FAILURE, notify, error);
    g_signal_connect(connection, "closed", G_CALLBACK(on_bus_closed), &daemon);
    g_bus_own_name_on_connection(connection, MIGD_BUS_NAME, G_BUS_NAME_OWNER_FLAGS_DO_NOT_QUEUE,
                                 on_name_acquired, on_name_lost, &daemon, NULL);
    g_unix_signal_add(SIGTERM, on_stop, &daemon);
    g_unix_signal_add(SIGINT, on_stop, &daemon);
    g_unix_signal_add(SIGHUP, on_reload, &daemon);
    g_main_loop_run(loop);
    migd_notify_stopping(notify);
    g_signal_handlers_disconnect_by_data(connection, &daemon);
    release_name(connection);
    return daemon.status;
}

int
main(int argc, char **argv)
{
    g_auto(Options) options = {0};
    g_autoptr(MigdNotify) notify = migd_notify_new();
    g_autoptr(GError) error = NULL;
    const char *runtime = g_getenv("RUNTIME_DIRECTORY"), *state = g_getenv("STATE_DIRECTORY");

    if (!parse_options(&options, &argc, &argv, &error)) {
        fprintf(stderr, "migrationd: %s\n", error->message);
        return EXIT_CONFIG;
    }
    if (options.version) {
        puts("migrationd " MIGD_VERSION);
        return EXIT_SUCCESS;
    }
    const MigdConfigSource source = {.file = options.file,
                                     .profile_dirs = options.profile_dirs,
                                     .mode = options.mode,
                                     .qmp_directory = options.qmp_dir,
                                     .libvirt_uri = options.libvirt_uri,
                                     .runtime_directory =
                                         runtime != NULL ? runtime : MIGD_RUNTIME_DIR};
    MigdConfig *config = migd_config_read(&source, &error);
    GPtrArray *backends =
        config != NULL ? make_backends(&options, config, source.runtime_directory, &error) : NULL;
    if (backends == NULL) {
        migd_config_free(config);
        return fail(EXIT_CONFIG, notify, error);
    }
    migd_journal_set_level(config->log_level);
    if (options.state_dir != NULL)
        state = options.state_dir;
    g_autoptr(MigdManager) manager =
        migd_manager_new(&source, config, backends, state != NULL ? state : MIGD_STATE_DIR, notify);
    const char *which = options.bus != NULL ? options.bus : "system";
    g_autoptr(GDBusConnection) connection = connect_bus(which, &error);
    if (connection == NULL)
        return fail(EXIT_FAILURE, notify, error);
    g_dbus_connection_set_exit_on_close(connection, FALSE);
    /* polkit lives on the system bus; a bus of somebody's own has root and its owner. */
    return run(connection, manager, notify, strcmp(which, "system") == 0);
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * migrationctl hold: a lease on a VM for as long as a command runs, or until we are interrupted.
 * The lease is taken again when the daemon was started anew meanwhile; it ends with us, however we
 * end.
 */
#include "cli/verbs.h"

#include <gio/gunixfdlist.h>
#include <glib-unix.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/error.h"
#include "base/names.h"

#define CALL_TIMEOUT_MS (120 * 1000) /* a person may have to type a password */

typedef struct {
    MigdCli *cli;
    GMainLoop *loop;
    char *uuid;
    const char *what, *who, *why;
    int lease; /* -1 = none */
    guint lease_source;
    GSubprocess *command; /* NULL = none: until interrupted */
    gboolean taking;      /* a call is under way */
    GCancellable *cancellable;
} Holding;

static void
holding_clear(Holding *holding)
{
    g_cancellable_cancel(holding->cancellable);
    g_object_unref(holding->cancellable);
    g_clear_handle_id(&holding->lease_source, g_source_remove);
    if (holding->lease >= 0)
        close(holding->lease);
    g_clear_object(&holding->command);
    g_main_loop_unref(holding->loop);
    g_free(holding->uuid);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Holding, holding_clear)

/* To people only: what goes to stdout is the command's. */
static void
warn(const Holding *holding, const char *text)
{
    fprintf(stderr, "migrationctl: %s\n", text);
}

/* ---- the lease ----------------------------------------------------------------------------- */

static gboolean
lease_lost(gint fd, GIOCondition condition, gpointer user_data)
{
    Holding *holding = user_data;

    holding->lease_source = 0;
    close(holding->lease);
    holding->lease = -1;
    warn(holding,
         "the lease is lost, since migrationd has ended; it is taken again when it is back");
    return G_SOURCE_REMOVE;
}

static gboolean
keep(Holding *holding, GVariant *reply, GUnixFDList *fds, GError **error)
{
    gint32 handle;

    g_variant_get(reply, "(h)", &handle);
    if (fds == NULL) {
        g_set_error(error, MIGD_ERROR, MIGD_ERROR_FAILED, "the daemon sent no lease");
        return FALSE;
    }
    holding->lease =
        g_unix_fd_list_get(fds, handle, error); /* closed on exec: the command has none */
    if (holding->lease < 0)
        return FALSE;
    holding->lease_source = g_unix_fd_add(holding->lease, G_IO_ERR | G_IO_HUP, lease_lost, holding);
    return TRUE;
}

static GVariant *
request(const Holding *holding)
{
    return g_variant_new("(ssss)", holding->uuid, holding->what, holding->who, holding->why);
}

static gboolean
take(Holding *holding, GError **error)
{
    g_autoptr(GUnixFDList) fds = NULL;
    g_autoptr(GVariant) reply = g_dbus_connection_call_with_unix_fd_list_sync(
        holding->cli->connection, MIGD_BUS_NAME, MIGD_BUS_ROOT, MIGD_IFACE_MANAGER, "Hold",
        request(holding), G_VARIANT_TYPE("(h)"), G_DBUS_CALL_FLAGS_ALLOW_INTERACTIVE_AUTHORIZATION,
        CALL_TIMEOUT_MS, NULL, &fds, NULL, error);

    return reply != NULL && keep(holding, reply, fds, error);
}

static void
taken_again(GObject *source, GAsyncResult *result, gpointer user_data)
{
    g_autoptr(GUnixFDList) fds = NULL;
    g_autoptr(GError) error = NULL;
    g_autoptr(GVariant) reply = g_dbus_connection_call_with_unix_fd_list_finish(
        G_DBUS_CONNECTION(source), &fds, result, &error);
    Holding *holding = user_data;

    if (g_error_matches(error, G_IO_ERROR, G_IO_ERROR_CANCELLED))
        return;
    holding->taking = FALSE;
    if (reply != NULL && keep(holding, reply, fds, &error)) {
        warn(holding, "the lease is taken again");
    } else {
        g_autofree char *why = migd_error_text(holding->cli, error);
        g_autofree char *text = g_strdup_printf("the lease cannot be taken again: %s", why);
        warn(holding, text);
    }
}

static void
daemon_here(GDBusConnection *connection, const char *name, const char *owner, gpointer user_data)
{
    Holding *holding = user_data;

    if (holding->lease >= 0 || holding->taking)
        return;
    holding->taking = TRUE;
    g_dbus_connection_call_with_unix_fd_list(
        connection, MIGD_BUS_NAME, MIGD_BUS_ROOT, MIGD_IFACE_MANAGER, "Hold", request(holding),
        G_VARIANT_TYPE("(h)"), G_DBUS_CALL_FLAGS_ALLOW_INTERACTIVE_AUTHORIZATION, CALL_TIMEOUT_MS,
        NULL, holding->cancellable, taken_again, holding);
}

/* ---- the end ------------------------------------------------------------------------------- */

static void
command_ended(GObject *source, GAsyncResult *result, gpointer user_data)
{
    Holding *holding = user_data;

    (void)g_subprocess_wait_finish(G_SUBPROCESS(source), result, NULL);
    g_main_loop_quit(holding->loop);
}

static gboolean
stop(Holding *holding, int number)
{
    if (holding->command == NULL)
        g_main_loop_quit(holding->loop);
    else if (number != SIGINT) /* the terminal sends that one to the command as well */
        g_subprocess_send_signal(holding->command, number);
    return G_SOURCE_CONTINUE;
}

static gboolean
on_int(gpointer user_data)
{
    return stop(user_data, SIGINT);
}

static gboolean
on_term(gpointer user_data)
{
    return stop(user_data, SIGTERM);
}

static gboolean
on_hup(gpointer user_data)
{
    return stop(user_data, SIGHUP);
}

static gboolean
start_command(Holding *holding, char **command, GError **error)
{
    holding->command =
        g_subprocess_newv((const char *const *)command, G_SUBPROCESS_FLAGS_STDIN_INHERIT, error);
    if (holding->command == NULL)
        return FALSE;
    g_subprocess_wait_async(holding->command, NULL, command_ended, holding);
    return TRUE;
}

static void
say_held(const Holding *holding, const char *name)
{
    MigdCli *cli = holding->cli;

    if (cli->output != MIGD_OUTPUT_TEXT) {
        g_autoptr(MigdJson) object = migd_json_object_new();
        migd_json_add_string(object, "Uuid", holding->uuid);
        migd_json_add_string(object, "What", holding->what);
        migd_cli_print_json(cli, object);
    } else if (cli->legend) {
        g_autofree char *shown = migd_style_text(&cli->style, name);
        g_autofree char *line =
            g_strdup_printf("%s: held (%s) until interrupted\n", shown, holding->what);
        migd_cli_print(line);
    }
}

/* As shells have it. */
static MigdExit
status_of(GSubprocess *command)
{
    if (command == NULL)
        return MIGD_EXIT_DONE;
    return (MigdExit)(g_subprocess_get_if_exited(command)
                          ? g_subprocess_get_exit_status(command)
                          : 128 + g_subprocess_get_term_sig(command));
}

MigdExit
migd_verb_hold(MigdCli *cli, char **arguments, GError **error)
{
    char **command = arguments[1] != NULL ? arguments + 1 : NULL;
    g_autoptr(GVariant) domain = migd_cli_find_domain(cli, arguments[0], error);
    g_autofree char *line = command != NULL ? g_strjoinv(" ", command) : g_strdup("migrationctl");
    guint daemon;

    if (domain == NULL)
        return MIGD_EXIT_FAILED;
    g_auto(Holding) holding = {.cli = cli,
                               .loop = g_main_loop_new(NULL, FALSE),
                               .uuid = g_strdup(migd_dict_string(domain, "Uuid")),
                               .what = cli->what != NULL ? cli->what : "migrate",
                               .who = cli->who != NULL ? cli->who : line,
                               .why = cli->why != NULL ? cli->why : "no reason given",
                               .lease = -1,
                               .cancellable = g_cancellable_new()};
    if (!take(&holding, error))
        return MIGD_EXIT_FAILED;
    const struct {
        int number;
        GSourceFunc handler;
    } signals[] = {{SIGINT, on_int}, {SIGTERM, on_term}, {SIGHUP, on_hup}};
    for (guint i = 0; i < G_N_ELEMENTS(signals); i++)
        g_unix_signal_add(signals[i].number, signals[i].handler, &holding);
    if (command == NULL)
        say_held(&holding, migd_dict_string(domain, "Name"));
    else if (!start_command(&holding, command, error))
        return MIGD_EXIT_FAILED;
    daemon = g_bus_watch_name_on_connection(cli->connection, MIGD_BUS_NAME,
                                            G_BUS_NAME_WATCHER_FLAGS_NONE, daemon_here, NULL,
                                            &holding, NULL);
    g_main_loop_run(holding.loop);
    g_bus_unwatch_name(daemon);
    return status_of(holding.command);
}

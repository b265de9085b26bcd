/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The verb watch: the chart, redrawn as the trace grows. The trace is a file that outlives the
 * daemon, so the view goes on while the daemon restarts. Without a terminal: a line a pass and a
 * line a decision.
 */
#include "cli/chart.h"
#include "cli/follow.h"
#include "cli/story.h"
#include "cli/terminal.h"
#include "cli/tojson.h"
#include "cli/verbs.h"

#include <glib-unix.h>
#include <stdio.h>
#include <unistd.h>

#include "base/names.h"

#define REFRESH_MS 500 /* signals come sooner; this is for what changes within a pass */

typedef struct {
    MigdCli *cli;
    MigdFollow *follow;
    GMainLoop *loop;
    GArray *sources; /* of guint */
    guint subscription, vanish_watch;
    gboolean live; /* the terminal is taken */
    gboolean gone; /* the daemon has left the bus */
    guint told_passes, told_marks;
    MigdExit exit;
    GError *error;
} Watch;

static void
watch_clear(Watch *watch)
{
    migd_terminal_give_back();
    for (guint i = 0; watch->sources != NULL && i < watch->sources->len; i++)
        g_source_remove(g_array_index(watch->sources, guint, i));
    g_clear_pointer(&watch->sources, g_array_unref);
    if (watch->subscription != 0)
        g_dbus_connection_signal_unsubscribe(watch->cli->connection, watch->subscription);
    g_clear_handle_id(&watch->vanish_watch, g_bus_unwatch_name);
    g_clear_pointer(&watch->loop, g_main_loop_unref);
    g_clear_error(&watch->error);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Watch, watch_clear)

/* ---- what is shown ------------------------------------------------------------------------- */

static void
print_chart(const MigdCli *cli, const MigdPicture *picture)
{
    g_autoptr(GString) out = g_string_new(NULL);

    if (cli->output != MIGD_OUTPUT_TEXT) {
        g_autoptr(MigdJson) object = migd_picture_to_json(picture);
        migd_cli_print_json(cli, object);
        return;
    }
    migd_chart_draw(out, picture, &cli->style, MIGD_CHART_SIZE_FULL);
    migd_cli_print(out->str);
}

static guint
count_lines(const char *text)
{
    guint n = 0;

    for (; *text != '\0'; text++)
        n += *text == '\n';
    return n;
}

/* The whole view; where long names make it too high, the list and then the plots give way. */
static void
draw(Watch *watch, const MigdPicture *picture)
{
    MigdCli *cli = watch->cli;
    guint rows = MAX(cli->rows, 2) - 1; /* the last line is ours */
    MigdChartSize size = migd_chart_size_for(rows);
    g_autoptr(GString) out = g_string_new(NULL);

    for (;;) {
        g_string_truncate(out, 0);
        migd_chart_draw(out, picture, &cli->style, size);
        if (count_lines(out->str) <= rows || (size.legend_lines <= 2 && size.plot_rows <= 3))
            break;
        if (size.legend_lines > 2)
            size.legend_lines--;
        else
            size.plot_rows--;
    }
    for (guint i = count_lines(out->str); i < rows; i++)
        g_string_append_c(out, '\n');
    migd_terminal_draw(out->str, rows);
    g_string_truncate(out, 0);
    migd_paint(out, &cli->style, watch->gone ? MIGD_INK_BAD : MIGD_INK_DIM,
               watch->gone ? "migrationd has left the bus; the migration goes on   q: leave"
                           : "q: leave (the migration goes on)");
    migd_terminal_draw_line(out->str, cli->rows);
}

static void
tell_pass(const Watch *watch, const MigdPicturePass *pass)
{
    const MigdCli *cli = watch->cli;
    g_autofree char *left = migd_style_bytes(&cli->style, pass->left_bytes);
    g_autofree char *dirty = migd_style_rate(&cli->style, pass->dirty_bps);
    g_autofree char *link = migd_style_rate(&cli->style, pass->link_bps);
    g_autofree char *line = g_strdup_printf(
        "%8.2f s  pass %" G_GUINT64_FORMAT " done, %s left, %s dirtied, %s sent, throttle %u %%\n",
        (double)pass->end_us / 1e6, pass->number, left, dirty, link, pass->throttle_pct);

    migd_cli_print(line);
}

static void
tell_mark(const Watch *watch, const MigdPictureMark *mark)
{
    g_autofree char *raw = migd_decision_explain(&mark->decision);
    g_autofree char *text = migd_style_text(&watch->cli->style, raw);
    g_autofree char *line = g_strdup_printf("%8.2f s  %s\n", (double)mark->t_us / 1e6, text);

    migd_cli_print(line);
}

/* Passes and decisions that have not been told yet, in order of time. */
static void
tell(Watch *watch, const MigdPicture *picture)
{
    const GArray *passes = picture->passes, *marks = picture->marks;

    while (watch->told_passes < passes->len || watch->told_marks < marks->len) {
        const MigdPicturePass *pass =
            watch->told_passes < passes->len
                ? &g_array_index(passes, MigdPicturePass, watch->told_passes)
                : NULL;
        const MigdPictureMark *mark =
            watch->told_marks < marks->len
                ? &g_array_index(marks, MigdPictureMark, watch->told_marks)
                : NULL;

        if (pass != NULL && (mark == NULL || pass->end_us <= mark->t_us)) {
            tell_pass(watch, pass);
            watch->told_passes++;
        } else {
            tell_mark(watch, mark);
            watch->told_marks++;
        }
    }
}

/* ---- what happens -------------------------------------------------------------------------- */

static void
refresh(Watch *watch)
{
    g_autoptr(MigdPicture) picture = NULL;

    if (!migd_follow_more(watch->follow, watch->error == NULL ? &watch->error : NULL)) {
        watch->exit = MIGD_EXIT_FAILED;
        g_main_loop_quit(watch->loop);
        return;
    }
    picture = migd_picture_new(watch->follow->trace);
    if (watch->live)
        draw(watch, picture);
    else if (watch->cli->output == MIGD_OUTPUT_TEXT)
        tell(watch, picture);
    if (watch->follow->trace->finished)
        g_main_loop_quit(watch->loop);
}

static void
on_signal(GDBusConnection *connection, const char *sender, const char *path, const char *interface,
          const char *name, GVariant *parameters, gpointer user_data)
{
    refresh(user_data);
}

static gboolean
on_timer(gpointer user_data)
{
    refresh(user_data);
    return G_SOURCE_CONTINUE;
}

static void
on_daemon_back(GDBusConnection *connection, const char *name, const char *owner, gpointer user_data)
{
    ((Watch *)user_data)->gone = FALSE;
}

static void
on_daemon_gone(GDBusConnection *connection, const char *name, gpointer user_data)
{
    Watch *watch = user_data;

    watch->gone = TRUE;
    if (watch->live)
        return;
    /* Nobody is there to press a key. */
    fprintf(stderr, "migrationctl: migrationd has left the bus; the migration goes on\n");
    watch->exit = MIGD_EXIT_NO_DAEMON;
    g_main_loop_quit(watch->loop);
}

static gboolean
on_resize(gpointer user_data)
{
    Watch *watch = user_data;

    migd_terminal_look(watch->cli);
    refresh(watch);
    return G_SOURCE_CONTINUE;
}

static gboolean
on_quit(gpointer user_data)
{
    g_main_loop_quit(((Watch *)user_data)->loop);
    return G_SOURCE_CONTINUE;
}

static gboolean
on_key(gint fd, GIOCondition condition, gpointer user_data)
{
    char key = 'q';

    if (read(fd, &key, 1) <= 0 || key == 'q' || key == 'Q')
        g_main_loop_quit(((Watch *)user_data)->loop);
    return G_SOURCE_CONTINUE;
}

static void
keep_source(Watch *watch, guint id)
{
    g_array_append_val(watch->sources, id);
}

static void
watch_begin(Watch *watch)
{
    MigdCli *cli = watch->cli;

    watch->loop = g_main_loop_new(NULL, FALSE);
    watch->sources = g_array_new(FALSE, FALSE, sizeof(guint));
    watch->live = cli->tty && !cli->batch && cli->output == MIGD_OUTPUT_TEXT &&
                  isatty(STDIN_FILENO) && migd_terminal_take();
    keep_source(watch, g_timeout_add(REFRESH_MS, on_timer, watch));
    keep_source(watch, g_unix_signal_add(SIGINT, on_quit, watch));
    keep_source(watch, g_unix_signal_add(SIGTERM, on_quit, watch));
    keep_source(watch, g_unix_signal_add(SIGHUP, on_quit, watch));
    if (watch->live) {
        keep_source(watch, g_unix_signal_add(SIGWINCH, on_resize, watch));
        keep_source(watch, g_unix_fd_add(STDIN_FILENO, G_IO_IN | G_IO_HUP, on_key, watch));
    }
    if (watch->follow->path == NULL)
        return;
    watch->subscription = g_dbus_connection_signal_subscribe(
        cli->connection, MIGD_BUS_NAME, MIGD_IFACE_MIGRATION, NULL, watch->follow->path, NULL,
        G_DBUS_SIGNAL_FLAGS_NONE, on_signal, watch, NULL);
    watch->vanish_watch = g_bus_watch_name_on_connection(
        cli->connection, MIGD_BUS_NAME, G_BUS_NAME_WATCHER_FLAGS_NONE, on_daemon_back,
        on_daemon_gone, watch, NULL);
}

MigdExit
migd_verb_watch(MigdCli *cli, char **arguments, GError **error)
{
    g_auto(MigdFollow) follow = {.fd = -1};
    g_auto(Watch) watch = {.cli = cli, .follow = &follow};
    g_autoptr(MigdPicture) picture = NULL;

    if (!migd_follow_open(cli, arguments[0], &follow, error))
        return MIGD_EXIT_FAILED;
    if (!cli->once && !follow.trace->finished) {
        watch_begin(&watch);
        refresh(&watch);
        if (!follow.trace->finished && watch.error == NULL)
            g_main_loop_run(watch.loop);
        migd_terminal_give_back();
    }
    if (watch.error != NULL) {
        g_propagate_error(error, g_steal_pointer(&watch.error));
        return watch.exit;
    }
    /* What stays on the screen: the whole picture, unless it was left early in plain lines. */
    if (cli->once || follow.trace->finished || watch.live) {
        picture = migd_picture_new(follow.trace);
        print_chart(cli, picture);
    }
    return watch.exit;
}

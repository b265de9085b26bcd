/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * ANSI sequences and termios; no terminal library, since one screen of text is all that is drawn.
 */
#include "cli/terminal.h"

#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

/* There is one terminal, and atexit() has no argument. */
static struct termios saved;
static gboolean taken;

static guint
from_environment(const char *name, guint otherwise)
{
    guint64 value;

    if (g_ascii_string_to_unsigned(g_getenv(name) != NULL ? g_getenv(name) : "", 10, 1, 10000,
                                   &value, NULL))
        return (guint)value;
    return otherwise;
}

void
migd_terminal_look(MigdCli *cli)
{
    const char *term = g_getenv("TERM");
    gboolean dumb = term == NULL || g_str_equal(term, "dumb");
    const char *no_colour = g_getenv("NO_COLOR");
    struct winsize size = {0};

    cli->tty = isatty(STDOUT_FILENO) && !dumb;
    if (isatty(STDOUT_FILENO))
        (void)ioctl(STDOUT_FILENO, TIOCGWINSZ, &size);
    cli->style.columns = size.ws_col > 0 ? size.ws_col : from_environment("COLUMNS", 80);
    cli->rows = size.ws_row > 0 ? size.ws_row : from_environment("LINES", 24);
    cli->style.colour = cli->tty && (no_colour == NULL || no_colour[0] == '\0');
    if (!g_get_charset(NULL) && isatty(STDOUT_FILENO))
        cli->style.ascii = TRUE;
}

static void
write_all(const char *text, gsize length)
{
    while (length > 0) {
        ssize_t n = write(STDOUT_FILENO, text, length);

        if (n <= 0)
            return; /* the terminal has gone; the main loop hears of it by SIGHUP */
        text += n;
        length -= (gsize)n;
    }
}

gboolean
migd_terminal_take(void)
{
    static gboolean registered;
    struct termios raw;

    if (tcgetattr(STDIN_FILENO, &saved) < 0)
        return FALSE;
    raw = saved;
    raw.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
    raw.c_cc[VMIN] = 1;
    raw.c_cc[VTIME] = 0;
    raw.c_cc[VSUSP] = _POSIX_VDISABLE; /* stopped, it would leave the terminal taken */
    if (!registered)
        atexit(migd_terminal_give_back);
    registered = TRUE;
    if (tcsetattr(STDIN_FILENO, TCSAFLUSH, &raw) < 0)
        return FALSE;
    taken = TRUE;
    write_all("\033[?1049h\033[?25l", 14);
    return TRUE;
}

void
migd_terminal_give_back(void)
{
    if (!taken)
        return;
    taken = FALSE;
    write_all("\033[?25h\033[?1049l", 14);
    (void)tcsetattr(STDIN_FILENO, TCSAFLUSH, &saved);
}

void
migd_terminal_draw(const char *text, guint rows)
{
    g_auto(GStrv) lines = g_strsplit(text, "\n", -1);
    g_autoptr(GString) out = g_string_new("\033[H");

    for (guint i = 0; lines[i] != NULL && i < rows; i++)
        g_string_append_printf(out, "%s%s\033[K", i > 0 ? "\r\n" : "", lines[i]);
    g_string_append(out, "\033[J");
    write_all(out->str, out->len);
}

void
migd_terminal_draw_line(const char *text, guint row)
{
    g_autofree char *out = g_strdup_printf("\033[%u;1H%s\033[K", row, text);

    write_all(out, strlen(out));
}

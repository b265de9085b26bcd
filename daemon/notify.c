/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * sd_notify(3) with a memory of what was said last. The watchdog is fed from the main loop, so a
 * loop that hangs starves it.
 */
#include "daemon/notify.h"

#include <string.h>

#include <systemd/sd-daemon.h>

struct MigdNotify {
    char *counts;
    char *problem;
    char *sent; /* the last STATUS= */
    guint watchdog_source;
};

MigdNotify *
migd_notify_new(void)
{
    MigdNotify *notify = g_new0(MigdNotify, 1);

    notify->counts = g_strdup("0 migrations, 0 domains");
    return notify;
}

void
migd_notify_free(MigdNotify *notify)
{
    if (notify == NULL)
        return;
    g_clear_handle_id(&notify->watchdog_source, g_source_remove);
    g_free(notify->counts);
    g_free(notify->problem);
    g_free(notify->sent);
    g_free(notify);
}

static gboolean
feed_watchdog(gpointer user_data)
{
    (void)sd_notify(0, "WATCHDOG=1");
    return G_SOURCE_CONTINUE;
}

static void
send_status(MigdNotify *notify)
{
    g_autofree char *status = notify->problem != NULL
                                  ? g_strconcat(notify->problem, "; ", notify->counts, NULL)
                                  : g_strdup(notify->counts);

    if (g_strcmp0(status, notify->sent) == 0)
        return;
    (void)sd_notifyf(0, "STATUS=%s", status);
    g_free(notify->sent);
    notify->sent = g_steal_pointer(&status);
}

void
migd_notify_ready(MigdNotify *notify)
{
    guint64 interval_us = 0;

    send_status(notify);
    (void)sd_notify(0, "READY=1");
    if (notify->watchdog_source != 0 || sd_watchdog_enabled(0, &interval_us) <= 0)
        return;
    /* Right in the middle of the interval, as sd_watchdog_enabled(3) asks for. */
    notify->watchdog_source =
        g_timeout_add((guint)MAX(interval_us / 2000, 1), feed_watchdog, notify);
    feed_watchdog(notify);
}

void
migd_notify_reloading(MigdNotify *notify)
{
    (void)sd_notify(0, "RELOADING=1");
}

void
migd_notify_stopping(MigdNotify *notify)
{
    (void)sd_notify(0, "STOPPING=1");
}

void
migd_notify_counts(MigdNotify *notify, guint migrations, guint domains)
{
    g_free(notify->counts);
    notify->counts = g_strdup_printf("%u migration%s, %u domain%s", migrations,
                                     migrations == 1 ? "" : "s", domains, domains == 1 ? "" : "s");
    send_status(notify);
}

void
migd_notify_problem(MigdNotify *notify, const char *problem)
{
    g_autofree char *line = g_strdup(problem);

    if (line != NULL)
        g_strdelimit(line, "\n", ' '); /* one assignment a line */
    g_free(notify->problem);
    notify->problem = g_steal_pointer(&line);
    send_status(notify);
}

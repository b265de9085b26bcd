/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What systemd is told: ready, status, reloading, stopping, still alive. Everything is a no-op
 * where nobody listens
 * ($NOTIFY_SOCKET unset), and no timer runs unless a watchdog was asked for.
 */
#pragma once

#include <glib.h>

typedef struct MigdNotify MigdNotify;

MigdNotify *migd_notify_new(void);
void migd_notify_free(MigdNotify *notify);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(MigdNotify, migd_notify_free)

/* READY=1, and the watchdog starts. Also ends a reload. */
void migd_notify_ready(MigdNotify *notify);
void migd_notify_reloading(MigdNotify *notify);
void migd_notify_stopping(MigdNotify *notify);

/* The usual line ("2 migrations, 14 domains"); sent only when it changes. */
void migd_notify_counts(MigdNotify *notify, guint migrations, guint domains);

/* Shown in front of the counts until it is cleared with NULL: a configuration that was refused. */
void migd_notify_problem(MigdNotify *notify, const char *problem);

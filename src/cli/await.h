/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Waiting for migrations to end, and what ends that early: the time that was given, an interrupt,
 * a daemon that leaves. Signals are handled only by the main loop, which runs after the call.
 */
#pragma once

#include "cli/cli.h"

/* Waiting ends early, because of `why`. */
typedef void (*MigdLeftFunc)(const char *why, gpointer user_data);

typedef struct {
    GMainLoop *loop; /* of whoever waits; NULL = not begun */
    GDBusConnection *connection;
    guint subscription, vanish_watch, timer, interrupt;
    gboolean called; /* the daemon has taken the call; before, that it leaves is no news */
    MigdLeftFunc left;
    gpointer user_data;
    MigdExit exit; /* why it ended */
} MigdAwait;

/* Listens to `signal` (NULL = all) of the migration at `path` (NULL = all): before the call, so
 * that none is missed. */
void migd_await_begin(MigdAwait *await, MigdCli *cli, const char *signal, const char *path,
                      GDBusSignalCallback callback, MigdLeftFunc left, gpointer user_data);

/* Returns when the loop was quit. */
void migd_await_run(MigdAwait *await);

void migd_await_clear(MigdAwait *await);

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Questions to polkit, asked over D-Bus and answered later. The subject is always the caller's
 * unique name on the bus, never a process: process numbers are used again.
 */
#pragma once

#include <gio/gio.h>

typedef enum {
    MIGD_POLKIT_YES,
    MIGD_POLKIT_NO,
    MIGD_POLKIT_CHALLENGE, /* no, but somebody could authenticate */
    MIGD_POLKIT_ABSENT,    /* there is no polkit on this bus */
    MIGD_POLKIT_BROKEN,    /* it did not answer, or not as it should: counts as no */
} MigdPolkitAnswer;

/* `problem` says why the answer is BROKEN, else NULL. */
typedef void (*MigdPolkitFunc)(MigdPolkitAnswer answer, const char *problem, gpointer user_data);

/* Asks whether the client `name` may do `action`. `details` (a{ss}, may be NULL) are shown to the
 * rules. `interactive`: polkit may ask somebody for a password, which takes any time. `cancel_id`
 * names the question for migd_polkit_cancel(). `done` is always called, once, unless `cancellable`
 * is cancelled: then never. */
void migd_polkit_check(GDBusConnection *connection, const char *name, const char *action,
                       GVariant *details, gboolean interactive, const char *cancel_id,
                       GCancellable *cancellable, MigdPolkitFunc done, gpointer user_data);

/* The caller is gone: a dialog that is open is closed. The answer to the question still comes. */
void migd_polkit_cancel(GDBusConnection *connection, const char *cancel_id);

/* Calls `changed` whenever polkit's rules or actions have changed. For
 * g_dbus_connection_signal_unsubscribe(). */
guint
migd_polkit_watch(GDBusConnection *connection, GDBusSignalCallback changed, gpointer user_data);

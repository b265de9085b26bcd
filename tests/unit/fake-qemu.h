/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A QMP peer in the test's own process and main loop: answers by a table, or says whatever bytes
 * the test gives it, or nothing. Serves one client at a time, as QEMU does.
 */
#pragma once

#include <glib.h>

#define FAKE_GREETING                                                                              \
    "{\"QMP\":{\"version\":{\"qemu\":{\"micro\":0,\"minor\":0,\"major\":9}},\"capabilities\":[\"oob\"]}}\r\n"
#define FAKE_SILENCE "" /* as a reply: none */

typedef struct {
    char *path;
    const char *greeting; /* NULL = none */
    GHashTable *replies;  /* command -> the "return" value as text; none = CommandNotFound */
    GPtrArray *heard;     /* char *: lines, oldest first */
    guint connections;    /* taken so far */
    guint64 last_id;      /* of the last command */
    gboolean deaf;        /* reads nothing */
    int listener, fd;     /* -1 = none */
    guint listener_watch, watch;
    GString *partial;
} FakeQemu;

/* Listens on `path`, negotiates, and knows the replies of an idle QEMU. */
FakeQemu *fake_qemu_new(const char *path);

/* Closes and removes the socket's file. */
void fake_qemu_free(FakeQemu *qemu);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(FakeQemu, fake_qemu_free)

/* From now on `command` is answered so; NULL = it is not known. */
void fake_qemu_reply(FakeQemu *qemu, const char *command, const char *value);

/* Raw bytes to the client. */
void fake_qemu_say(FakeQemu *qemu, const char *bytes);

/* Ends the connection; the listener stays. */
void fake_qemu_hang_up(FakeQemu *qemu);

/* As after kill -9: no connection, no listener, but the file is there. */
void fake_qemu_die(FakeQemu *qemu);

/* How often a line that contains `text` was heard. */
guint fake_qemu_heard(const FakeQemu *qemu, const char *text);

/* Turns the main loop until `condition` holds; fails the test after ten seconds. */
#define spin_until(condition)                                                                      \
    do {                                                                                           \
        gint64 spin_end_ = g_get_monotonic_time() + 10 * G_USEC_PER_SEC;                           \
        while (!(condition)) {                                                                     \
            g_assert_cmpint(g_get_monotonic_time(), <, spin_end_);                                 \
            if (!g_main_context_iteration(NULL, FALSE))                                            \
                g_usleep(100);                                                                     \
        }                                                                                          \
    } while (0)

/* Turns the main loop for so long. */
void spin_ms(guint ms);

/* A fresh directory; removed with what is in it. Free with remove_directory(). */
char *make_directory(void);
void remove_directory(char *directory);

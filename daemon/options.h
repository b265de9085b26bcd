/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What callers hand in, made sure of: destinations and a{sv} options. Pure; everything unknown is
 * refused.
 */
#pragma once

#include <glib.h>

#include "policy/profile.h"

/* TRUE for "unix:/ABSOLUTE/PATH" and "tcp:HOST:PORT" (an IPv6 HOST in brackets); everything else is
 * InvalidArgument, naming the scheme: exec: would run commands, fd: and file: and rdma: are not
 * ours to open. A bare QEMU takes no `migrate_uri`. */
gboolean migd_destination_check(const char *destination, const char *migrate_uri, GError **error);

/* The same for libvirt: TRUE for "qemu+TRANSPORT://…" with a transport and parameters that run no
 * command (the libvirt that reads it is root). `migrate_uri` (may be NULL): "tcp://HOST[:PORT]" or
 * "unix:///PATH". */
gboolean
migd_virt_destination_check(const char *destination, const char *migrate_uri, GError **error);

/* One option that a method knows; `type` is a D-Bus signature, `target` a gboolean *, a guint32 *,
 * a guint64 * or a const char ** (borrowed from the dictionary). */
typedef struct {
    const char *name;
    const char *type; /* "b", "s", "t", "u" */
    gpointer target;
} MigdOption;

/* Stores what `dictionary` (a{sv}) holds. Refused with InvalidArgument: a key without a row, a
 * value of another type. With `profile` set, keys of a profile (type s) are set in it instead. */
gboolean migd_options_read(GVariant *dictionary, const MigdOption *rows, guint n_rows,
                           MigdProfile *profile, GError **error);

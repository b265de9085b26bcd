/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Foreign strings made safe: names of guests and messages of QEMU reach terminals, logs and object
 * paths.
 */
#pragma once

#include <glib.h>

#define MIGD_TEXT_MAX 256 /* bytes; longer foreign strings are clipped */

/* `text` (any bytes, NULL = "") as printable UTF-8: control characters as \xNN, clipped to
 * MIGD_TEXT_MAX with "…". Caller frees. */
char *migd_text_clean(const char *text);

/* TRUE when `id` is a UUID in the canonical lower-case form. */
gboolean migd_text_is_uuid(const char *id);

/* Object path of a domain or a migration: `prefix` + `id` with '_' for '-'. `id` must be a UUID.
 * Caller frees. */
char *migd_object_path(const char *prefix, const char *id);

/* A name-based (SHA-1, RFC 4122 version 5) UUID of `name` in migrationd's own name space. Caller
 * frees. */
char *migd_uuid_from_name(const char *name);

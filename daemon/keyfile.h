/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Key files with errors that an admin can act on: GKeyFile reads them, and this finds the line
 * again for the message.
 */
#pragma once

#include <glib.h>

typedef struct {
    char *path;
    char *text; /* as read, to find lines in */
    GKeyFile *keys;
} MigdKeyFile;

/* Reads `path`, at most 1 MiB. NULL: not readable or not a key file; the error names file and line.
 */
MigdKeyFile *migd_key_file_read(const char *path, GError **error);
void migd_key_file_free(MigdKeyFile *file);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(MigdKeyFile, migd_key_file_free)

/* The value of `key` in `section` as text; NULL if it is not there or no valid text. Caller frees.
 */
char *migd_key_file_get(const MigdKeyFile *file, const char *section, const char *key);

/* Sets `error` to "FILE:LINE: [SECTION] KEY: what"; `key` NULL points at the section itself.
 * Returns FALSE. */
gboolean migd_key_file_refuse(const MigdKeyFile *file, const char *section, const char *key,
                              const char *what, GError **error);

/* The paths DIRECTORY/NAME SUFFIX in the order of their names. A directory that does not exist is
 * an error only if `must_exist`. Caller frees with g_ptr_array_unref(); NULL on error. */
GPtrArray *
migd_list_files(const char *directory, const char *suffix, gboolean must_exist, GError **error);

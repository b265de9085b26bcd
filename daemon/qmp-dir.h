/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The sockets in a directory, as they come and go: names only, no connection. Watches by inotify,
 * so an idle directory costs nothing; the directory may appear late, vanish and come back.
 */
#pragma once

#include <glib.h>

typedef struct MigdQmpDir MigdQmpDir;

/* `name` is the file's name within the directory. A socket that is replaced vanishes and appears.
 */
typedef void (*MigdQmpDirFunc)(const char *name, gboolean present, gpointer user_data);

/* Every socket `*.qmp` that does not begin with a dot. Calls back for those that are there before
 * it returns. A directory below the daemon's own runtime directory is made if it is missing. */
MigdQmpDir *migd_qmp_dir_new(const char *directory, MigdQmpDirFunc callback, gpointer user_data,
                             GError **error);

/* No callback comes any more; what was present is not announced as gone. */
void migd_qmp_dir_free(MigdQmpDir *dir);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(MigdQmpDir, migd_qmp_dir_free)

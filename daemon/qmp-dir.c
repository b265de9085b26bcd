/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The directory watch. GFileMonitor would cost a thread and, for a directory that is missing, a
 * timer; one inotify descriptor costs neither. While the directory is missing its nearest existing
 * ancestor is watched instead. Events only say that something changed: what is there is read anew.
 */
#include "daemon/qmp-dir.h"

#include "base/error.h"
#include "base/names.h"

#include <errno.h>
#include <glib-unix.h>
#include <glib/gstdio.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#define WATCH_MASK                                                                                 \
    (IN_CREATE | IN_MOVED_TO | IN_DELETE | IN_MOVED_FROM | IN_DELETE_SELF | IN_MOVE_SELF |         \
     IN_ONLYDIR)
#define MAX_ATTEMPTS 64 /* at a target that changes while we look */

/* Which socket it is, so that one that was replaced under the same name is noticed. */
typedef struct {
    dev_t device;
    ino_t inode;
    struct timespec made; /* a socket's contents never change, so this is when it was bound */
} Identity;

struct MigdQmpDir {
    char *directory; /* absolute */
    MigdQmpDirFunc callback;
    gpointer user_data;
    int fd;
    guint source;
    int watch;         /* inotify's number; -1 = none */
    gboolean in_place; /* the directory itself is watched, not an ancestor */
    GHashTable *known; /* char * -> Identity *: the sockets that are announced */
};

static gboolean
identify(const MigdQmpDir *dir, const char *name, Identity *ret)
{
    g_autofree char *path = g_build_filename(dir->directory, name, NULL);
    struct stat st;

    if (name[0] == '.' || !g_str_has_suffix(name, MIGD_QMP_SUFFIX))
        return FALSE;
    if (stat(path, &st) != 0 || !S_ISSOCK(st.st_mode))
        return FALSE;
    *ret = (Identity){.device = st.st_dev, .inode = st.st_ino, .made = st.st_mtim};
    return TRUE;
}

static gboolean
is_same(const Identity *a, const Identity *b)
{
    return b != NULL && a->device == b->device && a->inode == b->inode &&
           a->made.tv_sec == b->made.tv_sec && a->made.tv_nsec == b->made.tv_nsec;
}

/* The sockets in the directory now; none when it cannot be read. */
static GHashTable *
list_sockets(const MigdQmpDir *dir)
{
    GHashTable *found = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
    g_autoptr(GDir) handle = dir->in_place ? g_dir_open(dir->directory, 0, NULL) : NULL;
    const char *name;
    Identity identity;

    while (handle != NULL && (name = g_dir_read_name(handle)) != NULL)
        if (identify(dir, name, &identity))
            g_hash_table_insert(found, g_strdup(name), g_memdup2(&identity, sizeof identity));
    return found;
}

/* Announces the difference to the last time. */
static void
scan(MigdQmpDir *dir)
{
    g_autoptr(GHashTable) before = g_steal_pointer(&dir->known);
    GHashTableIter iter;
    gpointer name, identity;

    dir->known = list_sockets(dir);
    g_hash_table_iter_init(&iter, before);
    while (g_hash_table_iter_next(&iter, &name, &identity))
        if (!is_same(identity, g_hash_table_lookup(dir->known, name)))
            dir->callback(name, FALSE, dir->user_data);
    g_hash_table_iter_init(&iter, dir->known);
    while (g_hash_table_iter_next(&iter, &name, &identity))
        if (!is_same(identity, g_hash_table_lookup(before, name)))
            dir->callback(name, TRUE, dir->user_data);
}

/* Watches the directory, or the nearest ancestor that is there. */
static void
rewatch(MigdQmpDir *dir)
{
    g_autofree char *path = g_strdup(dir->directory);
    g_autofree char *missing = NULL; /* the child of `path` that was not there a moment ago */

    if (dir->watch >= 0)
        (void)inotify_rm_watch(dir->fd, dir->watch);
    dir->watch = -1;
    for (guint i = 0; i < MAX_ATTEMPTS; i++) {
        dir->watch = inotify_add_watch(dir->fd, path, WATCH_MASK);
        if (dir->watch >= 0 && (missing == NULL || access(missing, F_OK) != 0))
            break;
        g_free(missing);
        if (dir->watch >= 0) { /* it appeared before the ancestor was watched */
            missing = NULL;
            (void)inotify_rm_watch(dir->fd, dir->watch);
            g_free(path);
            path = g_strdup(dir->directory);
        } else {
            missing = path;
            path = g_path_get_dirname(missing);
        }
    }
    dir->in_place = strcmp(path, dir->directory) == 0;
}

/* TRUE = the watch has to move. */
static gboolean
moves_watch(const MigdQmpDir *dir, const struct inotify_event *event)
{
    if ((event->mask & IN_Q_OVERFLOW) != 0)
        return TRUE;
    if (event->wd != dir->watch)
        return FALSE;
    return !dir->in_place || (event->mask & (IN_DELETE_SELF | IN_MOVE_SELF | IN_IGNORED)) != 0;
}

static gboolean
on_inotify(gint fd, GIOCondition condition, gpointer user_data)
{
    MigdQmpDir *dir = user_data;
    char buffer[16384] __attribute__((aligned(__alignof__(struct inotify_event))));
    gssize n = read(fd, buffer, sizeof buffer);
    gboolean move = FALSE;

    for (gssize at = 0; at < n;) {
        const struct inotify_event *event = (const struct inotify_event *)(buffer + at);

        move = moves_watch(dir, event) || move;
        at += (gssize)(sizeof *event + event->len);
    }
    if (move)
        rewatch(dir);
    scan(dir);
    return G_SOURCE_CONTINUE;
}

MigdQmpDir *
migd_qmp_dir_new(const char *directory, MigdQmpDirFunc callback, gpointer user_data, GError **error)
{
    g_autoptr(MigdQmpDir) dir = g_new0(MigdQmpDir, 1);

    dir->directory = g_canonicalize_filename(directory, "/");
    dir->callback = callback;
    dir->user_data = user_data;
    dir->watch = -1;
    dir->known = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
    if (g_str_has_prefix(dir->directory, MIGD_RUNTIME_DIR "/"))
        (void)g_mkdir_with_parents(dir->directory, 0750);
    dir->fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    if (dir->fd < 0) {
        g_set_error(error, MIGD_ERROR, MIGD_ERROR_FAILED, "cannot watch %s: %s", dir->directory,
                    g_strerror(errno));
        return NULL;
    }
    dir->source = g_unix_fd_add(dir->fd, G_IO_IN, on_inotify, dir);
    rewatch(dir);
    scan(dir);
    return g_steal_pointer(&dir);
}

void
migd_qmp_dir_free(MigdQmpDir *dir)
{
    if (dir == NULL)
        return;
    g_clear_handle_id(&dir->source, g_source_remove);
    if (dir->fd >= 0)
        close(dir->fd);
    g_hash_table_unref(dir->known);
    g_free(dir->directory);
    g_free(dir);
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The reading end. Opened for reading and writing, so that it does not come to an end between two
 * messages. Each message is one write of at most PIPE_BUF bytes, and so arrives whole.
 */
#include "daemon/virt-hook.h"

#include <errno.h>
#include <fcntl.h>
#include <glib-unix.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/text.h"

#define LINE_MAX_BYTES 512
#define READ_MAX_BYTES 4096

struct MigdVirtHook {
    int fd;
    guint source;
    GString *rest; /* of a line */
    MigdVirtHookFunc incoming;
    gpointer user_data;
};

static gboolean
is_name(const char *name)
{
    g_autofree char *clean = migd_text_clean(name);

    return name[0] != '\0' && strcmp(name, clean) == 0;
}

gboolean
migd_virt_hook_parse(char *line, const char **ret_uuid, const char **ret_name)
{
    char *words[5] = {NULL};
    char *rest = line;

    for (guint i = 0; i < G_N_ELEMENTS(words) && rest != NULL; i++) {
        words[i] = rest;
        rest = i + 1 < G_N_ELEMENTS(words) ? strchr(rest, ' ') : NULL;
        if (rest != NULL)
            *rest++ = '\0';
    }
    if (words[4] == NULL || strcmp(words[0], "1") != 0 || strcmp(words[1], "migrate") != 0 ||
        strcmp(words[2], "begin") != 0 || !migd_text_is_uuid(words[3]) || !is_name(words[4]))
        return FALSE;
    *ret_uuid = words[3];
    *ret_name = words[4];
    return TRUE;
}

static gboolean
on_readable(gint fd, GIOCondition condition, gpointer user_data)
{
    MigdVirtHook *hook = user_data;
    char buffer[READ_MAX_BYTES];
    gssize n = read(fd, buffer, sizeof buffer);
    char *end;

    if (n <= 0)
        return G_SOURCE_CONTINUE;
    g_string_append_len(hook->rest, buffer, n);
    while ((end = memchr(hook->rest->str, '\n', hook->rest->len)) != NULL) {
        gsize length = (gsize)(end - hook->rest->str);
        g_autofree char *line = g_strndup(hook->rest->str, MIN(length, LINE_MAX_BYTES));
        const char *uuid, *name;

        g_string_erase(hook->rest, 0, (gssize)length + 1);
        if (length <= LINE_MAX_BYTES && migd_virt_hook_parse(line, &uuid, &name))
            hook->incoming(uuid, name, hook->user_data);
    }
    if (hook->rest->len > LINE_MAX_BYTES) /* no message of the hook's */
        g_string_truncate(hook->rest, 0);
    return G_SOURCE_CONTINUE;
}

static int
open_fifo(const char *path, GError **error)
{
    struct stat st;
    int fd;

    if (lstat(path, &st) == 0 && !S_ISFIFO(st.st_mode))
        (void)unlink(path);
    if (mkfifo(path, 0600) != 0 && errno != EEXIST) {
        g_set_error(error, MIGD_ERROR, MIGD_ERROR_FAILED, "%s: %s", path, g_strerror(errno));
        return -1;
    }
    fd = open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC | O_NOFOLLOW);
    if (fd >= 0 && fstat(fd, &st) == 0 && S_ISFIFO(st.st_mode) && st.st_uid == geteuid())
        return fd;
    g_set_error(error, MIGD_ERROR, MIGD_ERROR_FAILED, "%s: %s", path,
                fd < 0 ? g_strerror(errno) : "somebody else's");
    if (fd >= 0)
        (void)close(fd);
    return -1;
}

MigdVirtHook *
migd_virt_hook_new(const char *path, MigdVirtHookFunc incoming, gpointer user_data, GError **error)
{
    g_autofree char *directory = g_path_get_dirname(path);
    MigdVirtHook *hook;
    int fd;

    (void)g_mkdir_with_parents(directory, 0755);
    fd = open_fifo(path, error);
    if (fd < 0)
        return NULL;
    hook = g_new0(MigdVirtHook, 1);
    hook->fd = fd;
    hook->rest = g_string_new(NULL);
    hook->incoming = incoming;
    hook->user_data = user_data;
    hook->source = g_unix_fd_add(fd, G_IO_IN, on_readable, hook);
    return hook;
}

void
migd_virt_hook_free(MigdVirtHook *hook)
{
    if (hook == NULL)
        return;
    g_source_remove(hook->source);
    (void)close(hook->fd);
    g_string_free(hook->rest, TRUE);
    g_free(hook);
}

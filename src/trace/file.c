/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * From a file to lines: bounded, whole lines only, as often as the caller asks, so that one reader
 * serves finished traces and growing ones. What a line means is read.c's affair.
 */
#include "trace/fields.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"

#define MAX_LINE (64 * 1024)
#define MAX_FILE (64 * 1024 * 1024)

static gboolean
fail(const char *name, const char *what, GError **error)
{
    g_set_error(error, MIGD_ERROR, MIGD_ERROR_FAILED, "cannot read %s: %s", name, what);
    return FALSE;
}

/* The whole lines at the front of `buffer`. FALSE: stopped at a bad one, which counts as read. */
static gboolean
add_lines(MigdTrace *trace, const char *name, const char *buffer, gsize length, GError **error)
{
    const char *line = buffer;
    const char *newline;

    while ((newline = memchr(line, '\n', length - (gsize)(line - buffer))) != NULL) {
        gsize size = (gsize)(newline - line);

        trace->lines++;
        trace->offset += size + 1;
        if (!migd_trace_add_line(trace, line, size, error)) {
            g_prefix_error(error, "%s:%u: ", name, trace->lines);
            return FALSE;
        }
        line = newline + 1;
    }
    return TRUE;
}

gboolean
migd_trace_read_more(MigdTrace *trace, int fd, const char *name, GError **error)
{
    g_autofree char *buffer = g_malloc(MAX_LINE);

    for (;;) {
        guint64 before = trace->offset;
        ssize_t n = pread(fd, buffer, MAX_LINE, (off_t)trace->offset);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return fail(name, g_strerror(errno), error);
        if (trace->offset + (guint64)n > MAX_FILE)
            return fail(name, "it is larger than 64 MiB", error);
        if (!add_lines(trace, name, buffer, (gsize)n, error))
            return FALSE;
        if (n < MAX_LINE)
            return TRUE; /* what is left is the cut or unfinished tail */
        if (trace->offset == before) {
            g_set_error(error, MIGD_ERROR, MIGD_ERROR_INVALID_ARGUMENT,
                        "%s:%u: the line is longer than 64 KiB", name, trace->lines + 1);
            return FALSE;
        }
    }
}

MigdTrace *
migd_trace_read(const char *path, GError **error)
{
    g_autoptr(MigdTrace) trace = migd_trace_new();
    int fd = open(path, O_RDONLY | O_CLOEXEC);

    if (fd < 0) {
        fail(path, g_strerror(errno), error);
        return NULL;
    }
    gboolean ok = migd_trace_read_more(trace, fd, path, error);
    close(fd);
    if (!ok)
        return NULL;
    if (!trace->started) {
        fail(path, "it holds no start of a migration", error);
        return NULL;
    }
    return g_steal_pointer(&trace);
}

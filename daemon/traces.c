/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Walks the directory of traces. A record is closed when its last line is of kind "finish", and
 * looking at the tail is enough to see that: hundreds of old records cost a restart nothing.
 */
#include "daemon/traces.h"

#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/names.h"
#include "base/text.h"
#include "daemon/journal.h"
#include "daemon/keyfile.h"

#define TAIL_BYTES 4096 /* a finish line is shorter */

void
migd_open_trace_free(MigdOpenTrace *open_trace)
{
    if (open_trace == NULL)
        return;
    g_free(open_trace->path);
    migd_trace_free(open_trace->trace);
    g_free(open_trace);
}

char *
migd_traces_path(const char *directory, const char *id)
{
    g_autofree char *name = g_strconcat(id, MIGD_TRACE_SUFFIX, NULL);

    return g_build_filename(directory, name, NULL);
}

/* TRUE: the last whole line closes the record. Guests' names are escaped in JSON, so they cannot
 * spell this. */
static gboolean
is_closed(const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    char tail[TAIL_BYTES + 1];
    off_t size;
    ssize_t n;

    if (fd < 0)
        return FALSE;
    size = lseek(fd, 0, SEEK_END);
    n = pread(fd, tail, TAIL_BYTES, MAX(size - TAIL_BYTES, 0));
    close(fd);
    if (n <= 0 || tail[n - 1] != '\n')
        return FALSE;
    tail[n - 1] = '\0';
    char *line = strrchr(tail, '\n');
    return strstr(line != NULL ? line : tail, "\"kind\":\"finish\"") != NULL;
}

static gint
compare_starts(gconstpointer a, gconstpointer b)
{
    const MigdOpenTrace *x = *(MigdOpenTrace *const *)a, *y = *(MigdOpenTrace *const *)b;

    return (x->trace->start.realtime_us > y->trace->start.realtime_us) -
           (x->trace->start.realtime_us < y->trace->start.realtime_us);
}

GPtrArray *
migd_traces_unfinished(const char *directory)
{
    GPtrArray *found = g_ptr_array_new_with_free_func((GDestroyNotify)migd_open_trace_free);
    g_autoptr(GError) error = NULL;
    g_autoptr(GPtrArray) paths = NULL;

    if (g_mkdir_with_parents(directory, 0750) < 0)
        migd_log(MIGD_LOG_WARNING, NULL, "cannot create %s: %s; migrations leave no traces",
                 directory, g_strerror(errno));
    paths = migd_list_files(directory, MIGD_TRACE_SUFFIX, /* must_exist= */ FALSE, &error);
    if (paths == NULL)
        migd_log(MIGD_LOG_WARNING, NULL, "%s", error->message);
    for (guint i = 0; paths != NULL && i < paths->len; i++) {
        g_autoptr(MigdOpenTrace) entry = g_new0(MigdOpenTrace, 1);
        g_autoptr(GError) cause = NULL;

        entry->path = g_strdup(paths->pdata[i]);
        if (is_closed(entry->path))
            continue;
        entry->trace = migd_trace_read(entry->path, &cause);
        if (entry->trace == NULL)
            migd_log(MIGD_LOG_WARNING, NULL, "%s", cause->message);
        else if (!entry->trace->finished)
            g_ptr_array_add(found, g_steal_pointer(&entry));
    }
    g_ptr_array_sort(found, compare_starts);
    return found;
}

typedef struct {
    const char *path;
    gint64 changed_s; /* CLOCK_REALTIME */
} Record;

static gint
compare_age(gconstpointer a, gconstpointer b)
{
    const Record *x = a, *y = b;

    return (x->changed_s > y->changed_s) - (x->changed_s < y->changed_s);
}

static gboolean
is_in_use(const char *path, GHashTable *in_use)
{
    g_autofree char *id = g_path_get_basename(path);

    id[strlen(id) - strlen(MIGD_TRACE_SUFFIX)] = '\0';
    return g_hash_table_contains(in_use, id);
}

void
migd_traces_prune(const char *directory, guint keep, GHashTable *in_use)
{
    g_autoptr(GPtrArray) paths =
        migd_list_files(directory, MIGD_TRACE_SUFFIX, /* must_exist= */ FALSE, NULL);
    g_autoptr(GArray) records = g_array_new(FALSE, FALSE, sizeof(Record));

    for (guint i = 0; paths != NULL && i < paths->len; i++) {
        Record record = {.path = paths->pdata[i]};
        struct stat st;

        if (is_in_use(record.path, in_use) || lstat(record.path, &st) < 0)
            continue;
        record.changed_s = st.st_mtime;
        g_array_append_val(records, record);
    }
    g_array_sort(records, compare_age);
    for (guint i = 0; i + keep < records->len; i++) {
        const Record *record = &g_array_index(records, Record, i);
        if (g_unlink(record->path) < 0)
            migd_log(MIGD_LOG_WARNING, NULL, "cannot delete %s: %s", record->path,
                     g_strerror(errno));
    }
}

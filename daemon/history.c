/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * One JSON object a line, one line a migration. The file is input: somebody may have edited it, a
 * disk may have damaged it, another version may have written it.
 */
#include "daemon/history.h"

#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/text.h"
#include "daemon/journal.h"
#include "json/json.h"

#define MAX_FILE (1 << 20) /* bytes: 256 lines of less than 4 KiB */
#define MAX_LINE 4096

typedef struct Job Job;

struct MigdHistory {
    char *path;
    GPtrArray *list; /* of MigdPast, oldest first */
    Job *job;        /* the writing under way; NULL = none */
    gboolean again;  /* something was added since it began */
};

#define ROW(field, type)                                                                           \
    {                                                                                              \
#field, G_STRUCT_OFFSET(MigdPast, field), type                                             \
    }

const MigdPastField migd_past_fields[] = {
    ROW(id, MIGD_PAST_TEXT),
    ROW(domain_uuid, MIGD_PAST_TEXT),
    ROW(domain_name, MIGD_PAST_TEXT),
    ROW(peer, MIGD_PAST_TEXT),
    ROW(profile, MIGD_PAST_TEXT),
    ROW(result, MIGD_PAST_TEXT),
    ROW(write_protect, MIGD_PAST_TEXT),
    ROW(end_realtime_us, MIGD_PAST_U64),
    ROW(total_us, MIGD_PAST_U64),
    ROW(setup_us, MIGD_PAST_U64),
    ROW(downtime_us, MIGD_PAST_U64),
    ROW(transferred_bytes, MIGD_PAST_U64),
    ROW(total_bytes, MIGD_PAST_U64),
    ROW(downtime_bytes, MIGD_PAST_U64),
    ROW(first_pass_bytes, MIGD_PAST_U64),
    ROW(bandwidth_bps, MIGD_PAST_U64),
    ROW(max_bandwidth_bps, MIGD_PAST_U64),
    ROW(throttle_us, MIGD_PAST_U64),
    ROW(passes, MIGD_PAST_U64),
    ROW(lambda_bps, MIGD_PAST_U64),
    ROW(working_set_bytes, MIGD_PAST_U64),
    ROW(live_bytes, MIGD_PAST_U64),
    ROW(measured_bytes, MIGD_PAST_U64),
    ROW(resident_bytes, MIGD_PAST_U64),
    ROW(predicted_total_us, MIGD_PAST_RANGE),
    ROW(predicted_pause_us, MIGD_PAST_RANGE),
    ROW(predicted_bytes, MIGD_PAST_RANGE),
};

const guint migd_n_past_fields = G_N_ELEMENTS(migd_past_fields);

void
migd_past_free(MigdPast *past)
{
    if (past == NULL)
        return;
    for (guint i = 0; i < migd_n_past_fields; i++)
        if (migd_past_fields[i].type == MIGD_PAST_TEXT)
            g_free(*(char **)((char *)past + migd_past_fields[i].offset));
    g_free(past);
}

char *
migd_history_peer(const char *destination)
{
    const char *rest = strstr(destination, "://");
    g_autofree char *host = NULL;

    if (destination[0] == '\0')
        return g_strdup("");
    if (rest != NULL) {
        rest += strlen("://");
        const char *end = rest + strcspn(rest, "/?");
        const char *at = memchr(rest, '@', (gsize)(end - rest));

        rest = at != NULL ? at + 1 : rest;
        host = g_strndup(rest, (gsize)(end - rest));
    } else {
        const char *colon = strchr(destination, ':');

        host = colon != NULL && g_str_has_prefix(destination, "tcp:") ? g_strdup(colon + 1)
                                                                      : g_strdup("");
    }
    /* The port, but not a part of an IPv6 address. */
    char *last = strrchr(host, ':');
    if (last != NULL && (strchr(host, ']') == NULL || strchr(host, ']') < last) &&
        (host[0] == '[' || strchr(host, ':') == last))
        *last = '\0';
    return host[0] != '\0' ? migd_text_clean(host) : g_strdup("local");
}

/* ---- reading -------------------------------------------------------------------------------- */

static gboolean
read_range(const MigdJson *line, const MigdPastField *row, MigdRange *range, GError **error)
{
    static const char *const parts[] = {"low", "mid", "high"};
    guint64 *numbers[] = {&range->low, &range->mid, &range->high};

    for (guint i = 0; i < G_N_ELEMENTS(parts); i++) {
        g_autofree char *key = g_strdup_printf("%s_%s", row->name, parts[i]);
        if (migd_json_get_u64(line, key, 0, G_MAXUINT64, numbers[i], error) == MIGD_JSON_BAD)
            return FALSE;
    }
    return TRUE;
}

static gboolean
read_row(const MigdJson *line, const MigdPastField *row, MigdPast *past, GError **error)
{
    gpointer field = (char *)past + row->offset;
    MigdJsonResult result;

    if (row->type == MIGD_PAST_RANGE)
        return read_range(line, row, field, error);
    if (row->type == MIGD_PAST_U64)
        return migd_json_get_u64(line, row->name, 0, G_MAXUINT64, field, error) != MIGD_JSON_BAD;
    result = migd_json_get_text(line, row->name, (char **)field, error);
    if (result == MIGD_JSON_ABSENT)
        *(char **)field = g_strdup("");
    return result != MIGD_JSON_BAD;
}

static MigdPast *
read_line(const char *text, GError **error)
{
    g_autoptr(MigdJson) line =
        strlen(text) <= MAX_LINE ? migd_json_parse(text, strlen(text), error) : NULL;
    g_autoptr(MigdPast) past = g_new0(MigdPast, 1);

    if (line == NULL) {
        if (error != NULL && *error == NULL)
            g_set_error(error, MIGD_ERROR, MIGD_ERROR_INVALID_ARGUMENT, "longer than %d bytes",
                        MAX_LINE);
        return NULL;
    }
    for (guint i = 0; i < migd_n_past_fields; i++)
        if (!read_row(line, &migd_past_fields[i], past, error))
            return NULL;
    if (!migd_text_is_uuid(past->domain_uuid)) {
        g_set_error(error, MIGD_ERROR, MIGD_ERROR_INVALID_ARGUMENT, "domain_uuid: not a UUID");
        return NULL;
    }
    return g_steal_pointer(&past);
}

/* The text of the file; NULL with an error, or without one where there is no file. */
static char *
read_text(const char *path, GError **error)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    g_autofree char *text = NULL;
    struct stat st;
    gssize n;

    if (fd < 0) {
        if (errno != ENOENT)
            g_set_error(error, MIGD_ERROR, MIGD_ERROR_FAILED, "cannot be opened: %s",
                        g_strerror(errno));
        return NULL;
    }
    if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || st.st_size > MAX_FILE) {
        close(fd);
        g_set_error(error, MIGD_ERROR, MIGD_ERROR_FAILED, "no file of at most 1 MiB");
        return NULL;
    }
    text = g_malloc0((gsize)st.st_size + 1);
    n = read(fd, text, (gsize)st.st_size);
    close(fd);
    if (n != st.st_size || memchr(text, '\0', (gsize)n) != NULL) {
        g_set_error(error, MIGD_ERROR, MIGD_ERROR_FAILED, "cannot be read as text");
        return NULL;
    }
    return g_steal_pointer(&text);
}

static void
set_aside(const char *path, const char *why)
{
    g_autofree char *aside = g_strconcat(path, ".bad", NULL);
    gboolean moved = g_rename(path, aside) == 0;

    migd_log(MIGD_LOG_WARNING, NULL, "%s: %s; %s%s", path, why,
             moved ? "it is kept as " : "it could not be moved aside, either", moved ? aside : "");
}

static void
load(MigdHistory *history)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *text = read_text(history->path, &error);
    g_auto(GStrv) lines = text != NULL ? g_strsplit(text, "\n", -1) : NULL;
    g_autofree char *complaint = error != NULL ? g_strdup(error->message) : NULL;

    for (guint i = 0; lines != NULL && lines[i] != NULL; i++) {
        g_autoptr(GError) cause = NULL;
        MigdPast *past = lines[i][0] != '\0' ? read_line(lines[i], &cause) : NULL;

        if (past != NULL)
            g_ptr_array_add(history->list, past);
        else if (cause != NULL && complaint == NULL)
            complaint = g_strdup_printf("line %u: %s", i + 1, cause->message);
    }
    if (history->list->len > MIGD_HISTORY_MAX)
        g_ptr_array_remove_range(history->list, 0, history->list->len - MIGD_HISTORY_MAX);
    if (complaint != NULL)
        set_aside(history->path, complaint);
}

MigdHistory *
migd_history_open(const char *directory)
{
    MigdHistory *history = g_new0(MigdHistory, 1);

    history->path = g_build_filename(directory, MIGD_HISTORY_FILE, NULL);
    history->list = g_ptr_array_new_with_free_func((GDestroyNotify)migd_past_free);
    load(history);
    return history;
}

/* ---- writing -------------------------------------------------------------------------------- */

static void
add_range(MigdJson *line, const char *name, const MigdRange *range)
{
    g_autofree char *low = g_strconcat(name, "_low", NULL);
    g_autofree char *mid = g_strconcat(name, "_mid", NULL);
    g_autofree char *high = g_strconcat(name, "_high", NULL);

    if (range->high == 0)
        return;
    migd_json_add_u64(line, low, range->low);
    migd_json_add_u64(line, mid, range->mid);
    migd_json_add_u64(line, high, range->high);
}

static char *
line_of(const MigdPast *past)
{
    g_autoptr(MigdJson) line = migd_json_object_new();

    for (guint i = 0; i < migd_n_past_fields; i++) {
        const MigdPastField *row = &migd_past_fields[i];
        gconstpointer field = (const char *)past + row->offset;

        if (row->type == MIGD_PAST_RANGE)
            add_range(line, row->name, field);
        else if (row->type == MIGD_PAST_U64 && *(const guint64 *)field != 0)
            migd_json_add_u64(line, row->name, *(const guint64 *)field);
        else if (row->type == MIGD_PAST_TEXT)
            migd_json_add_string(line, row->name, *(char *const *)field);
    }
    return migd_json_to_string(line, MIGD_JSON_SHORT);
}

static char *
text_of(const MigdHistory *history)
{
    GString *text = g_string_new(NULL);

    for (guint i = 0; i < history->list->len; i++) {
        g_autofree char *line = line_of(history->list->pdata[i]);
        g_string_append_printf(text, "%s\n", line);
    }
    return g_string_free(text, FALSE);
}

static gboolean
write_whole(int fd, const char *text)
{
    for (gsize left = strlen(text); left > 0;) {
        gssize n = write(fd, text, left);

        if (n < 0 && errno != EINTR)
            return FALSE;
        text += MAX(n, 0);
        left -= (gsize)MAX(n, 0);
    }
    return fsync(fd) == 0;
}

/* The name is only safe once the directory is. */
static void
sync_directory(const char *path)
{
    g_autofree char *directory = g_path_get_dirname(path);
    int fd = open(directory, O_RDONLY | O_CLOEXEC | O_DIRECTORY);

    if (fd < 0)
        return;
    (void)fsync(fd);
    close(fd);
}

static void
save(const char *path, const char *text)
{
    g_autofree char *temporary = g_strconcat(path, ".new", NULL);
    int fd = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0640);
    gboolean ok = fd >= 0 && write_whole(fd, text);
    int code = errno;

    if (fd >= 0)
        close(fd);
    if (ok && g_rename(temporary, path) == 0) {
        sync_directory(path);
        return;
    }
    migd_log(MIGD_LOG_WARNING, NULL, "cannot write %s: %s", path, g_strerror(ok ? errno : code));
    (void)g_unlink(temporary);
}

/* One writing: its thread, and its end on the main loop. */
struct Job {
    MigdHistory *history; /* NULL once that is gone */
    char *path, *text;
    GThread *thread;
};

static void begin_save(MigdHistory *history);

static gboolean
saved(gpointer user_data)
{
    Job *job = user_data;
    MigdHistory *history = job->history;

    if (history != NULL) {
        g_thread_join(job->thread);
        history->job = NULL;
        if (history->again)
            begin_save(history);
    }
    g_free(job->path);
    g_free(job->text);
    g_free(job);
    return G_SOURCE_REMOVE;
}

static gpointer
save_in_thread(gpointer data)
{
    Job *job = data;

    save(job->path, job->text);
    g_idle_add(saved, job);
    return NULL;
}

static void
begin_save(MigdHistory *history)
{
    history->again = history->job != NULL;
    if (history->again)
        return;
    history->job = g_new(Job, 1);
    *history->job = (Job){history, g_strdup(history->path), text_of(history), NULL};
    history->job->thread = g_thread_new("history", save_in_thread, history->job);
}

void
migd_history_add(MigdHistory *history, MigdPast *past)
{
    g_ptr_array_add(history->list, past);
    if (history->list->len > MIGD_HISTORY_MAX)
        g_ptr_array_remove_index(history->list, 0);
    begin_save(history);
}

void
migd_history_free(MigdHistory *history)
{
    if (history == NULL)
        return;
    if (history->job != NULL) {
        g_thread_join(history->job->thread);
        history->job->history = NULL; /* freed by its own end */
    }
    if (history->again) {
        g_autofree char *text = text_of(history);
        save(history->path, text);
    }
    g_ptr_array_unref(history->list);
    g_free(history->path);
    g_free(history);
}

const GPtrArray *
migd_history_list(const MigdHistory *history)
{
    return history->list;
}

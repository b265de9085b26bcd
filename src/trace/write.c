/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Values to lines, and lines to the file. A line that the disk did not take whole is taken back, so
 * that a later line never continues it. Decides nothing about when or what to record.
 */
#include "trace/trace.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "json/json.h"
#include "trace/fields.h"

struct MigdTraceWriter {
    char *path;
    int fd;
    off_t length; /* bytes of whole lines */
    gboolean cut; /* a part of a line stands behind `length` */
};

static gboolean
fail(const MigdTraceWriter *writer, int code, const char *what, GError **error)
{
    g_set_error(error, MIGD_ERROR, MIGD_ERROR_FAILED, "cannot %s %s: %s", what, writer->path,
                g_strerror(code));
    return FALSE;
}

/* The writer before us may have died in the middle of its last line. */
static gboolean
find_end(MigdTraceWriter *writer, GError **error)
{
    off_t end = lseek(writer->fd, 0, SEEK_END);
    char buffer[4096];

    writer->cut = TRUE;
    for (off_t from = end; from > 0; end = from) {
        from = end > (off_t)sizeof buffer ? end - (off_t)sizeof buffer : 0;
        ssize_t n = pread(writer->fd, buffer, (gsize)(end - from), from);
        const char *newline = n > 0 ? memrchr(buffer, '\n', (gsize)n) : NULL;

        if (n != end - from)
            return fail(writer, n < 0 ? errno : EIO, "read", error);
        if (newline != NULL) {
            writer->length = from + (newline - buffer) + 1;
            return TRUE;
        }
    }
    writer->length = 0;
    return TRUE;
}

static gboolean
drop_cut_line(MigdTraceWriter *writer, GError **error)
{
    if (writer->cut && ftruncate(writer->fd, writer->length) < 0)
        return fail(writer, errno, "repair", error);
    writer->cut = FALSE;
    return TRUE;
}

MigdTraceWriter *
migd_trace_writer_open(const char *path, gboolean append, GError **error)
{
    g_autoptr(MigdTraceWriter) writer = g_new0(MigdTraceWriter, 1);
    int flags = O_RDWR | O_APPEND | O_CLOEXEC | O_NOFOLLOW | (append ? 0 : O_CREAT | O_EXCL);

    writer->path = g_strdup(path);
    writer->fd = open(path, flags, 0640);
    if (writer->fd < 0) {
        fail(writer, errno, append ? "open" : "create", error);
        return NULL;
    }
    if (append && (!find_end(writer, error) || !drop_cut_line(writer, error)))
        return NULL;
    return g_steal_pointer(&writer);
}

void
migd_trace_writer_free(MigdTraceWriter *writer)
{
    if (writer == NULL)
        return;
    if (writer->fd >= 0)
        close(writer->fd);
    g_free(writer->path);
    g_free(writer);
}

static gboolean
write_line(MigdTraceWriter *writer, const MigdJson *line, GError **error)
{
    g_autofree char *json = migd_json_to_string(line, MIGD_JSON_SHORT);
    g_autofree char *text = g_strconcat(json, "\n", NULL);
    gsize length = strlen(text);
    ssize_t n;

    if (!drop_cut_line(writer, error))
        return FALSE;
    do
        n = write(writer->fd, text, length);
    while (n < 0 && errno == EINTR);
    if (n == (ssize_t)length) {
        writer->length += n;
        return TRUE;
    }
    int code = n < 0 ? errno : ENOSPC;
    writer->cut = n > 0;
    (void)drop_cut_line(writer, NULL); /* if not now, then before the next line */
    return fail(writer, code, "write", error);
}

/* ---- values -------------------------------------------------------------------------------- */

static MigdJson *
line_new(const char *kind, gint64 time_us)
{
    MigdJson *line = migd_json_object_new();

    migd_json_add_u64(line, "v", MIGD_TRACE_VERSION);
    migd_json_add_i64(line, "t_us", time_us);
    migd_json_add_string(line, "kind", kind);
    return line;
}

static void
add_u64(MigdJson *object, const char *key, guint64 value)
{
    if (value == MIGD_NEVER)
        migd_json_add_string(object, key, MIGD_TRACE_NEVER);
    else
        migd_json_add_u64(object, key, value);
}

static void
add_range(MigdJson *object, const char *key, const MigdRange *range)
{
    const guint64 values[MIGD_TRACE_N_PARTS] = {range->low, range->mid, range->high};

    for (guint i = 0; i < MIGD_TRACE_N_PARTS; i++) {
        g_autofree char *part = g_strconcat(key, "_", migd_trace_range_parts[i], NULL);
        add_u64(object, part, values[i]);
    }
}

static void
add_field(MigdJson *object, const void *base, const MigdTraceField *field)
{
    const void *p = (const char *)base + field->offset;

    switch (field->type) {
    case MIGD_TRACE_TEXT: {
        const char *text = *(char *const *)p;
        migd_json_add_string(object, field->key, text != NULL ? text : "");
        break;
    }
    case MIGD_TRACE_TEXT_NULL:
        if (*(char *const *)p != NULL)
            migd_json_add_string(object, field->key, *(char *const *)p);
        break;
    case MIGD_TRACE_U64_ZERO:
        if (*(const guint64 *)p != 0)
            add_u64(object, field->key, *(const guint64 *)p);
        break;
    case MIGD_TRACE_U64:
        add_u64(object, field->key, *(const guint64 *)p);
        break;
    case MIGD_TRACE_U32:
        migd_json_add_u64(object, field->key, *(const guint32 *)p);
        break;
    case MIGD_TRACE_RANGE:
        add_range(object, field->key, p);
        break;
    }
}

static void
add_fields(MigdJson *object, const void *base, const MigdTraceField *fields)
{
    for (const MigdTraceField *field = fields; field->key != NULL; field++)
        add_field(object, base, field);
}

static MigdJson *
profile_to_json(const MigdProfile *profile)
{
    MigdJson *object = migd_json_object_new();

    migd_json_add_string(object, "name", profile->name);
    for (const char *const *key = migd_profile_keys(); *key != NULL; key++) {
        g_autofree char *value = migd_profile_get(profile, *key);
        migd_json_add_string(object, *key, value);
    }
    return object;
}

static MigdJson *
abilities_to_json(const MigdAbilities *abilities)
{
    MigdJson *object = migd_json_object_new();
    MigdJson *can = migd_json_array_new();

    for (guint i = 0; i < MIGD_N_ACTIONS; i++)
        if (abilities->can & (1u << i))
            migd_json_append_string(can, migd_action_to_string((MigdAction)i));
    migd_json_add(object, "can", can);
    migd_json_add_bool(object, "throttle_cocked", abilities->throttle_cocked);
    return object;
}

/* Only the knobs that the hypervisor has: the keys are the mask. */
static MigdJson *
knobs_to_json(const MigdKnobs *knobs)
{
    MigdJson *object = migd_json_object_new();

    for (guint i = 0; i < migd_n_knob_fields; i++) {
        const MigdKnobField *field = &migd_knob_fields[i];
        guint64 value = migd_knob_get(knobs, field);

        if ((knobs->has & field->knob) == 0)
            continue;
        if (field->type == MIGD_KNOB_BOOL)
            migd_json_add_bool(object, field->qmp_name, value != 0);
        else
            add_u64(object, field->qmp_name, value);
    }
    return object;
}

static MigdJson *
knob_mask_to_json(guint32 mask)
{
    MigdJson *names = migd_json_array_new();

    for (guint i = 0; i < migd_n_knob_fields; i++)
        if (mask & migd_knob_fields[i].knob)
            migd_json_append_string(names, migd_knob_fields[i].qmp_name);
    return names;
}

/* ---- lines --------------------------------------------------------------------------------- */

gboolean
migd_trace_write_start(MigdTraceWriter *writer, const MigdTraceStart *start, GError **error)
{
    g_autoptr(MigdJson) line = line_new("start", start->time_us);

    add_fields(line, start, migd_trace_start_fields);
    migd_json_add(line, "profile", profile_to_json(&start->profile));
    migd_json_add(line, "abilities", abilities_to_json(&start->abilities));
    migd_json_add(line, "saved", knobs_to_json(&start->saved));
    migd_json_add(line, "touched", knob_mask_to_json(start->touched));
    return write_line(writer, line, error);
}

gboolean
migd_trace_write_sample(MigdTraceWriter *writer, const MigdSample *sample, GError **error)
{
    g_autoptr(MigdJson) line = line_new("sample", sample->time_us);

    migd_json_add_string(line, "status", migd_status_to_string(sample->status));
    if (migd_sample_has(sample, MIGD_HAS_SYNC))
        migd_json_add_bool(line, "sync", TRUE);
    for (guint i = 0; i < migd_n_sample_fields; i++) {
        const MigdSampleField *field = &migd_sample_fields[i];
        if (migd_sample_has(sample, field->field))
            add_u64(line, field->name, migd_sample_get(sample, field));
    }
    return write_line(writer, line, error);
}

gboolean
migd_trace_write_decision(MigdTraceWriter *writer, const MigdDecision *decision, GError **error)
{
    g_autoptr(MigdJson) line = line_new("decision", decision->time_us);

    migd_json_add_string(line, "action", migd_action_to_string(decision->action));
    add_fields(line, decision, migd_trace_action_fields);
    migd_json_add_string(line, "reason", migd_reason_to_string(decision->reason));
    migd_json_add_string(line, "verdict", migd_verdict_to_string(decision->verdict));
    migd_json_add_i64(line, "hold_until_us", decision->hold_until_us);
    for (guint i = 0; i < migd_n_decision_fields; i++) {
        MigdTraceField field = migd_trace_decision_field(i);
        add_field(line, decision, &field);
    }
    return write_line(writer, line, error);
}

gboolean
migd_trace_write_action(MigdTraceWriter *writer, const MigdDecision *decision, gint64 time_us,
                        GError **error)
{
    g_autoptr(MigdJson) line = line_new("action", time_us);

    migd_json_add_string(line, "action", migd_action_to_string(decision->action));
    add_fields(line, decision, migd_trace_action_fields);
    return write_line(writer, line, error);
}

gboolean
migd_trace_write_outcome(MigdTraceWriter *writer, gint64 time_us, const char *problem,
                         GError **error)
{
    g_autoptr(MigdJson) line = line_new("outcome", time_us);

    migd_json_add_bool(line, "ok", problem == NULL);
    if (problem != NULL)
        migd_json_add_string(line, "problem", problem);
    return write_line(writer, line, error);
}

gboolean
migd_trace_write_abilities(MigdTraceWriter *writer, gint64 time_us, const MigdAbilities *abilities,
                           const char *why, GError **error)
{
    g_autoptr(MigdJson) line = line_new("outcome", time_us);

    migd_json_add(line, "abilities", abilities_to_json(abilities));
    migd_json_add_string(line, "why", why);
    return write_line(writer, line, error);
}

gboolean
migd_trace_write_knobs(MigdTraceWriter *writer, gint64 time_us, const MigdKnobs *knobs,
                       GError **error)
{
    g_autoptr(MigdJson) line = line_new("knobs", time_us);

    migd_json_add(line, "knobs", knobs_to_json(knobs));
    return write_line(writer, line, error);
}

gboolean
migd_trace_write_profile(MigdTraceWriter *writer, gint64 time_us, const MigdProfile *profile,
                         const char *why, GError **error)
{
    g_autoptr(MigdJson) line = line_new("outcome", time_us);

    migd_json_add(line, "profile", profile_to_json(profile));
    migd_json_add_string(line, "why", why);
    return write_line(writer, line, error);
}

gboolean
migd_trace_write_finish(MigdTraceWriter *writer, const MigdTraceFinish *finish, GError **error)
{
    g_autoptr(MigdJson) line = line_new("finish", finish->time_us);

    add_fields(line, finish, migd_trace_finish_fields);
    return write_line(writer, line, error);
}

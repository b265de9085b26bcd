/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Folding a trace's entries into points, passes and marks. Measures; judges nothing.
 */
#include "cli/picture.h"

#include "base/checked.h"

/* While it is folded. */
typedef struct {
    MigdPicture *picture;
    gint64 begin_us;       /* of the trace, clock of the samples */
    MigdPicturePoint last; /* newest point */
    guint64 pass_number;   /* the one that began at pass_begin_us; 0 = none */
    gint64 pass_begin_us;
    guint64 pass_sent_bytes;
    gint64 open_mark; /* whose outcome is to come; -1 = none */
} Fold;

static guint64
get(const MigdSample *sample, guint32 field, guint64 value, guint64 otherwise)
{
    return migd_sample_has(sample, field) ? value : otherwise;
}

static guint64
per_second(guint64 bytes, gint64 us)
{
    return us > 0 ? migd_from_double((double)bytes / (double)us * 1e6) : 0;
}

static void
begin_pass(Fold *fold, guint64 number, const MigdPicturePoint *point)
{
    fold->pass_number = number;
    fold->pass_begin_us = point->t_us;
    fold->pass_sent_bytes = point->sent_bytes;
}

/* A sync ends the pass before it and begins the next. A pass of which the begin was not seen is
 * left out. */
static void
fold_sync(Fold *fold, const MigdSample *sample, const MigdPicturePoint *point, guint64 unsent_bytes)
{
    MigdPicture *picture = fold->picture;
    gint64 duration_us = point->t_us - fold->pass_begin_us;
    /* The first sync begins pass 1. */
    guint64 syncs = get(sample, MIGD_HAS_PASS, sample->pass, fold->pass_number + 1);

    if (fold->pass_number > 0 && syncs == fold->pass_number + 1 && duration_us > 0) {
        guint64 sent = migd_sat_sub(point->sent_bytes, fold->pass_sent_bytes);
        guint64 dirtied = migd_sat_sub(point->left_bytes, unsent_bytes);
        MigdPicturePass pass = {
            .number = fold->pass_number,
            .begin_us = fold->pass_begin_us,
            .end_us = point->t_us,
            .left_bytes = point->left_bytes,
            .dirty_bps = per_second(dirtied, duration_us),
            .link_bps = per_second(sent, duration_us),
            .throttle_pct = fold->last.throttle_pct,
        };
        g_array_append_val(picture->passes, pass);
        if (pass.link_bps > 0)
            picture->link_bps = pass.link_bps;
    }
    begin_pass(fold, syncs, point);
}

/* Pages of zeros are not on the wire, but all of them were visited in pass 1. */
static guint64
unsent_at_sync(const MigdSample *sample, const MigdPicturePoint *last, const MigdPicturePoint *now)
{
    if (migd_sample_has(sample, MIGD_HAS_PASS) && sample->pass == 2)
        return 0;
    return migd_sat_sub(last->left_bytes, migd_sat_sub(now->sent_bytes, last->sent_bytes));
}

static void
fold_sample(Fold *fold, const MigdSample *sample)
{
    MigdPicture *picture = fold->picture;
    const MigdPicturePoint *last = &fold->last;
    gboolean first = picture->points->len == 0;
    MigdPicturePoint point = {
        .t_us = MAX(sample->time_us - fold->begin_us, last->t_us),
        .left_bytes = get(sample, MIGD_HAS_REMAINING, sample->remaining_bytes, last->left_bytes),
        .sent_bytes =
            get(sample, MIGD_HAS_TRANSFERRED, sample->transferred_bytes, last->sent_bytes),
        .pause_us = get(sample, MIGD_HAS_DOWNTIME_LIMIT, sample->downtime_limit_us, last->pause_us),
        .throttle_pct = (guint32)get(sample, MIGD_HAS_THROTTLE, sample->throttle_pct, 0),
        .status = sample->status,
    };

    picture->status = sample->status;
    picture->pass = get(sample, MIGD_HAS_PASS, sample->pass, picture->pass);
    picture->total_bytes = get(sample, MIGD_HAS_TOTAL, sample->total_bytes, picture->total_bytes);
    if (sample->status == MIGD_STATUS_COMPLETED)
        point.left_bytes = 0;
    if (migd_sample_has(sample, MIGD_HAS_SYNC)) {
        /* How low it was before the sync nobody saw; what was sent since then tells. */
        MigdPicturePoint low = point;
        low.left_bytes = unsent_at_sync(sample, last, &point);
        low.throttle_pct = last->throttle_pct;
        if (!first)
            g_array_append_val(picture->points, low);
        fold_sync(fold, sample, &point, low.left_bytes);
    } else if (first && picture->pass <= 1) {
        begin_pass(fold, 1, &point);
    }
    /* Before the first pass there is nothing to draw. */
    if (!first || migd_sample_has(sample, MIGD_HAS_REMAINING))
        g_array_append_val(picture->points, point);
    fold->last = point;
}

static void
fold_decision(Fold *fold, const MigdDecision *decision)
{
    MigdPictureMark mark = {
        .t_us = decision->time_us - fold->begin_us,
        .decision = *decision,
    };

    g_array_append_val(fold->picture->marks, mark);
}

static void
fold_action(Fold *fold, const MigdDecision *action)
{
    GArray *marks = fold->picture->marks;

    for (guint i = marks->len; i > 0; i--) {
        MigdPictureMark *mark = &g_array_index(marks, MigdPictureMark, i - 1);

        if (migd_trace_carries_out(action, &mark->decision)) {
            mark->state = MIGD_MARK_PENDING;
            fold->open_mark = i - 1;
            return;
        }
    }
}

static void
fold_outcome(Fold *fold, const MigdTraceEntry *entry)
{
    MigdPictureMark *mark;

    if (fold->open_mark < 0)
        return;
    mark = &g_array_index(fold->picture->marks, MigdPictureMark, fold->open_mark);
    mark->state = entry->problem == NULL ? MIGD_MARK_DONE : MIGD_MARK_REFUSED;
    mark->done_us = entry->time_us - fold->begin_us;
    mark->problem = g_strdup(entry->problem);
    fold->open_mark = -1;
}

static void
fold_entry(Fold *fold, const MigdTraceEntry *entry)
{
    switch (entry->kind) {
    case MIGD_TRACE_SAMPLE:
        fold_sample(fold, &entry->sample);
        break;
    case MIGD_TRACE_DECISION:
        fold_decision(fold, &entry->decision);
        break;
    case MIGD_TRACE_ACTION:
        fold_action(fold, &entry->decision);
        break;
    case MIGD_TRACE_OUTCOME:
        fold_outcome(fold, entry);
        break;
    default:
        break;
    }
    fold->picture->end_us = MAX(fold->picture->end_us, entry->time_us - fold->begin_us);
}

static void
mark_clear(gpointer data)
{
    MigdPictureMark *mark = data;

    g_clear_pointer(&mark->problem, g_free);
}

MigdPicture *
migd_picture_new(const MigdTrace *trace)
{
    MigdPicture *picture = g_new0(MigdPicture, 1);
    Fold fold = {.picture = picture, .begin_us = trace->start.time_us, .open_mark = -1};

    picture->trace = trace;
    picture->points = g_array_new(FALSE, FALSE, sizeof(MigdPicturePoint));
    picture->passes = g_array_new(FALSE, FALSE, sizeof(MigdPicturePass));
    picture->marks = g_array_new(FALSE, FALSE, sizeof(MigdPictureMark));
    g_array_set_clear_func(picture->marks, mark_clear);
    for (guint i = 0; i < trace->entries->len; i++)
        fold_entry(&fold, &g_array_index(trace->entries, MigdTraceEntry, i));
    if (trace->finished)
        picture->end_us = MAX(picture->end_us, trace->finish.time_us - fold.begin_us);
    return picture;
}

void
migd_picture_free(MigdPicture *picture)
{
    if (picture == NULL)
        return;
    g_array_unref(picture->points);
    g_array_unref(picture->passes);
    g_array_unref(picture->marks);
    g_free(picture);
}

/* ---- looking at a time --------------------------------------------------------------------- */

/* Index of the last point at or before `t_us`, or -1. */
static gint64
find_point(const MigdPicture *picture, double t_us)
{
    guint low = 0, high = picture->points->len;

    while (low < high) {
        guint middle = (low + high) / 2;

        if ((double)g_array_index(picture->points, MigdPicturePoint, middle).t_us <= t_us)
            low = middle + 1;
        else
            high = middle;
    }
    return (gint64)low - 1;
}

static double
interpolate(const MigdPicture *picture, double t_us, gsize offset)
{
    gint64 i = find_point(picture, t_us);
    const MigdPicturePoint *a, *b;

    if (i < 0)
        return 0;
    a = &g_array_index(picture->points, MigdPicturePoint, i);
    double from = (double)G_STRUCT_MEMBER(guint64, a, offset);
    if (i + 1 >= picture->points->len)
        return from;
    b = &g_array_index(picture->points, MigdPicturePoint, i + 1);
    double to = (double)G_STRUCT_MEMBER(guint64, b, offset);
    return from + (to - from) * (t_us - (double)a->t_us) / (double)(b->t_us - a->t_us);
}

double
migd_picture_left_at(const MigdPicture *picture, double t_us)
{
    return interpolate(picture, t_us, G_STRUCT_OFFSET(MigdPicturePoint, left_bytes));
}

double
migd_picture_sent_at(const MigdPicture *picture, double t_us)
{
    return interpolate(picture, t_us, G_STRUCT_OFFSET(MigdPicturePoint, sent_bytes));
}

const MigdPicturePoint *
migd_picture_at(const MigdPicture *picture, double t_us)
{
    gint64 i = find_point(picture, t_us);

    return i < 0 ? NULL : &g_array_index(picture->points, MigdPicturePoint, i);
}

const MigdPicturePass *
migd_picture_pass_at(const MigdPicture *picture, double t_us)
{
    for (guint i = 0; i < picture->passes->len; i++) {
        const MigdPicturePass *pass = &g_array_index(picture->passes, MigdPicturePass, i);

        if ((double)pass->begin_us <= t_us && t_us < (double)pass->end_us)
            return pass;
    }
    return NULL;
}

guint64
migd_picture_fit_bytes(const MigdPicture *picture)
{
    const MigdPicturePoint *point = migd_picture_at(picture, (double)picture->end_us);

    if (point == NULL || point->pause_us == 0)
        return 0;
    return migd_from_double((double)picture->link_bps * (double)point->pause_us / 1e6);
}

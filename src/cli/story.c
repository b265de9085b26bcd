/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Sentences around the policy's sentences. Every number comes from the picture.
 */
#include "cli/story.h"

#include "base/checked.h"
#include "base/units.h"

#define INDENT 15        /* columns: number, time and gaps before a decision's text */
#define DECISION_LEAD 12 /* the same where there is no number */

char *
migd_story_title(const MigdPicture *picture, const MigdStyle *style)
{
    const MigdTraceStart *start = &picture->trace->start;
    g_autofree char *name = migd_style_text(style, start->domain_name);
    g_autofree char *destination = migd_style_text(style, start->destination);

    if (g_strcmp0(start->direction, "incoming") == 0)
        return g_strdup_printf("%s (incoming)", name);
    if (destination[0] == '\0')
        return g_strdup_printf("%s (started elsewhere)", name);
    return g_strdup_printf("%s to %s", name, destination);
}

static char *
finished_state(const MigdPicture *picture, const MigdStyle *style, MigdInk *ret_ink)
{
    const MigdTraceFinish *finish = &picture->trace->finish;
    gboolean succeeded = g_strcmp0(finish->result, "succeeded") == 0;
    g_autofree char *result = migd_style_text(style, finish->result);
    g_autofree char *total = migd_format_duration(finish->total_us);
    g_autofree char *pause = migd_format_duration(finish->downtime_us);
    g_autofree char *cap = migd_format_duration(picture->trace->start.profile.max_downtime_us);
    g_autofree char *why = migd_style_text(style, finish->error);

    *ret_ink = succeeded ? MIGD_INK_GOOD : MIGD_INK_BAD;
    if (!succeeded)
        return g_strdup_printf("%s after %s%s%s", result, total, why[0] != '\0' ? ": " : "", why);
    if (finish->downtime_us == 0)
        return g_strdup_printf("%s in %s", result, total);
    return g_strdup_printf("%s in %s, pause %s of %s allowed", result, total, pause, cap);
}

char *
migd_story_state(const MigdPicture *picture, const MigdStyle *style, MigdInk *ret_ink)
{
    const GArray *marks = picture->marks;
    g_autofree char *since = migd_format_duration((guint64)MAX(picture->end_us, 0));
    const char *verdict = NULL;

    if (picture->trace->finished)
        return finished_state(picture, style, ret_ink);
    *ret_ink = MIGD_INK_BOLD;
    if (marks->len > 0) {
        MigdVerdict last = g_array_index(marks, MigdPictureMark, marks->len - 1).decision.verdict;
        verdict = last != MIGD_VERDICT_UNKNOWN ? migd_verdict_to_string(last) : NULL;
    }
    return g_strdup_printf("%s for %s%s%s", migd_status_to_string(picture->status), since,
                           verdict != NULL ? ", " : "", verdict != NULL ? verdict : "");
}

static void
append_throttle(GString *out, const MigdPicture *picture, const MigdStyle *style)
{
    guint32 max = 0;

    for (guint i = 0; i < picture->points->len; i++)
        max = MAX(max, g_array_index(picture->points, MigdPicturePoint, i).throttle_pct);
    if (max == 0) {
        g_string_append(out, ", never throttled");
        return;
    }
    g_string_append_printf(out, ", throttled up to %u %%", max);
    if (picture->trace->finished) {
        g_autofree char *lost = migd_format_duration(picture->trace->finish.throttle_us);
        g_string_append_printf(out, " (%s of the guest's time)", lost);
    }
}

char *
migd_story_facts(const MigdPicture *picture, const MigdStyle *style)
{
    const MigdTrace *trace = picture->trace;
    double sent = migd_picture_sent_at(picture, (double)picture->end_us);
    guint64 sent_bytes = trace->finished ? trace->finish.transferred_bytes : migd_from_double(sent);
    guint64 passes = trace->finished ? trace->finish.passes : picture->pass;
    g_autofree char *sent_text = migd_style_bytes(style, sent_bytes);
    g_autofree char *profile = migd_style_text(style, trace->start.profile.name);
    GString *out = g_string_new(NULL);

    g_string_append_printf(out, "%" G_GUINT64_FORMAT " pass%s, %s sent", passes,
                           passes == 1 ? "" : "es", sent_text);
    if (picture->total_bytes > 0)
        g_string_append_printf(out, " (%.1f x memory)",
                               (double)sent_bytes / (double)picture->total_bytes);
    append_throttle(out, picture, style);
    g_string_append_printf(out, ", profile %s", profile);
    if (g_strcmp0(trace->start.mode, "observe") == 0)
        g_string_append(out, ", only observed");
    return g_string_free(out, FALSE);
}

static char *
range_text(const MigdRange *range, const MigdStyle *style)
{
    g_autofree char *low = migd_format_duration(range->low);
    g_autofree char *mid = migd_format_duration(range->mid);
    g_autofree char *high = migd_format_duration(range->high);

    if (range->low == range->high)
        return g_strdup(mid);
    return g_strdup_printf("%s (%s to %s)", mid, low, high);
}

char *
migd_story_forecast(const MigdPicture *picture, const MigdStyle *style)
{
    const MigdDecision *decision;

    if (picture->trace->finished || picture->marks->len == 0)
        return NULL;
    decision = &g_array_index(picture->marks, MigdPictureMark, picture->marks->len - 1).decision;
    if (decision->time_us_left.high == 0)
        return NULL;
    if (decision->time_us_left.mid == MIGD_NEVER)
        return g_strdup("forecast: does not end as things stand");
    g_autofree char *left = range_text(&decision->time_us_left, style);
    g_autofree char *pause = range_text(&decision->pause_us, style);
    g_autofree char *wait = range_text(&decision->wait_time_us, style);
    if (decision->action == MIGD_ACTION_WAIT)
        return g_strdup_printf("forecast: %s left, pause %s", left, pause);
    return g_strdup_printf("forecast: %s left, pause %s; if nothing were done: %s", left, pause,
                           wait);
}

/* ---- what came of a decision --------------------------------------------------------------- */

/* The last pass that ended by `t_us`; NULL = none. */
static const MigdPicturePass *
pass_before(const MigdPicture *picture, gint64 t_us)
{
    const MigdPicturePass *found = NULL;

    for (guint i = 0; i < picture->passes->len; i++) {
        const MigdPicturePass *pass = &g_array_index(picture->passes, MigdPicturePass, i);
        if (pass->end_us <= t_us)
            found = pass;
    }
    return found;
}

static gint64
next_action_us(const MigdPicture *picture, guint index)
{
    for (guint i = index + 1; i < picture->marks->len; i++) {
        const MigdPictureMark *mark = &g_array_index(picture->marks, MigdPictureMark, i);
        if (mark->state != MIGD_MARK_SAID)
            return mark->t_us;
    }
    return G_MAXINT64;
}

/* Before (as the policy saw it) and after, as far as passes ended before the next action. */
static void
append_change(GString *out, const MigdPicture *picture, guint index, const MigdStyle *style)
{
    const MigdPictureMark *mark = &g_array_index(picture->marks, MigdPictureMark, index);
    const MigdDecision *before = &mark->decision;
    const MigdPicturePass *after = pass_before(picture, next_action_us(picture, index));

    if (after == NULL || after->end_us <= mark->t_us) {
        if (g_strcmp0(picture->trace->finish.result, "succeeded") == 0)
            g_string_append(out, " No further pass was needed.");
        return;
    }
    g_autofree char *left_0 = migd_style_bytes(style, before->remaining_bytes);
    g_autofree char *left_1 = migd_style_bytes(style, after->left_bytes);
    g_autofree char *rate_0 = migd_style_rate(style, before->dirty_rate_bps);
    g_autofree char *rate_1 = migd_style_rate(style, after->dirty_bps);
    g_string_append_printf(out,
                           " By the end of pass %" G_GUINT64_FORMAT
                           " the guest dirtied %s (before: %s) and %s were left (before: %s).",
                           after->number, rate_1, rate_0, left_1, left_0);
}

char *
migd_story_effect(const MigdPicture *picture, guint index, const MigdStyle *style)
{
    const MigdPictureMark *mark = &g_array_index(picture->marks, MigdPictureMark, index);
    GString *out;

    if (mark->state == MIGD_MARK_SAID) {
        gboolean observe = g_strcmp0(picture->trace->start.mode, "observe") == 0;
        return observe && mark->decision.action != MIGD_ACTION_WAIT
                   ? g_strdup("Not done: mode observe.")
                   : NULL;
    }
    if (mark->state == MIGD_MARK_PENDING)
        return g_strdup("The hypervisor has not answered yet.");
    if (mark->state == MIGD_MARK_REFUSED) {
        g_autofree char *problem = migd_style_text(style, mark->problem);
        return g_strdup_printf("The hypervisor refused: %s.", problem);
    }
    g_autofree char *took = migd_format_duration((guint64)MAX(mark->done_us - mark->t_us, 0));
    out = g_string_new(NULL);
    g_string_append_printf(out, "Done after %s.", took);
    append_change(out, picture, index, style);
    return g_string_free(out, FALSE);
}

/* ---- the list ------------------------------------------------------------------------------ */

static void
append_wrapped(GPtrArray *lines, const MigdStyle *style, const char *lead, MigdInk lead_ink,
               const char *text, MigdInk ink)
{
    g_auto(GStrv) pieces = migd_wrap(text, MAX(style->columns, INDENT + 20) - INDENT);

    for (guint i = 0; pieces[i] != NULL; i++) {
        GString *line = g_string_new(NULL);
        g_autoptr(GString) front = g_string_new(NULL);

        migd_append_clipped(front, style, i == 0 ? lead : "", INDENT, /* pad= */ TRUE);
        migd_paint(line, style, lead_ink, front->str);
        migd_paint(line, style, ink, pieces[i]);
        g_ptr_array_add(lines, g_string_free(line, FALSE));
    }
}

/* Finer than durations elsewhere: decisions may follow each other within one pass. */
static char *
time_text(gint64 t_us)
{
    if (t_us < 100 * (gint64)G_USEC_PER_SEC)
        return g_strdup_printf("%.2f s", (double)MAX(t_us, 0) / 1e6);
    return migd_format_duration((guint64)t_us);
}

static void
append_mark(GPtrArray *lines, const MigdPicture *picture, guint index, const MigdStyle *style,
            gboolean effects)
{
    const MigdPictureMark *mark = &g_array_index(picture->marks, MigdPictureMark, index);
    g_autofree char *raw = migd_decision_explain(&mark->decision);
    g_autofree char *text = migd_style_text(style, raw);
    g_autofree char *at = time_text(mark->t_us);
    g_autofree char *lead = g_strdup_printf("%2u  %9s", index + 1, at);
    g_autofree char *effect = migd_story_effect(picture, index, style);
    MigdInk ink = mark->state == MIGD_MARK_REFUSED ? MIGD_INK_BAD : MIGD_INK_PLAIN;

    append_wrapped(lines, style, lead, MIGD_INK_MARK, text,
                   mark->state == MIGD_MARK_SAID ? MIGD_INK_PLAIN : MIGD_INK_BOLD);
    if (effects ? effect != NULL : mark->state == MIGD_MARK_REFUSED)
        append_wrapped(lines, style, "", MIGD_INK_PLAIN, effect, ink);
}

void
migd_story_append(GString *out, const MigdPicture *picture, const MigdStyle *style,
                  gboolean effects, guint max_lines)
{
    g_autoptr(GPtrArray) lines = g_ptr_array_new_with_free_func(g_free);
    guint first = 0;

    for (guint i = 0; i < picture->marks->len; i++)
        append_mark(lines, picture, i, style, effects);
    if (max_lines > 0 && lines->len > max_lines) {
        first = lines->len - max_lines + 1;
        migd_paint(out, style, MIGD_INK_DIM, style->ascii ? "...\n" : "…\n");
    }
    for (guint i = first; i < lines->len; i++)
        g_string_append_printf(out, "%s\n", (const char *)lines->pdata[i]);
}

void
migd_story_append_decision(GString *out, const MigdDecision *decision, gint64 begin_us, char mark,
                           const MigdStyle *style)
{
    g_autofree char *raw = migd_decision_explain(decision);
    g_autofree char *text = migd_style_text(style, raw);
    g_auto(GStrv) lines = migd_wrap(text, MAX(style->columns, 40) - DECISION_LEAD - 1);

    for (guint i = 0; lines[i] != NULL; i++) {
        if (i == 0)
            g_string_append_printf(out, "%8.2f s %c", (double)(decision->time_us - begin_us) / 1e6,
                                   mark);
        else
            g_string_append_printf(out, "%*s", DECISION_LEAD, "");
        g_string_append_printf(out, " %s\n", lines[i]);
    }
}

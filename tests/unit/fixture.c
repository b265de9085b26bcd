/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The guest dirties W (1 - exp(-rate t / W)) bytes within t of a sync; a throttle scales the rate.
 * QEMU's rules as far as a reader of traces can tell them apart.
 */
#include "fixture.h"

#include <glib/gstdio.h>
#include <math.h>

#define BEGIN_US (1000 * (gint64)G_USEC_PER_SEC)

const FixtureGuest fixture_plateau = {
    .memory_bytes = 128 << 20,
    .link_bps = 40 << 20,
    .dirty_bps = 80 << 20,
    .working_set = 64 << 20,
    .poll_us = 200 * 1000,
    .can = 1u << MIGD_ACTION_SET_DOWNTIME | 1u << MIGD_ACTION_ARM | 1u << MIGD_ACTION_THROTTLE |
           1u << MIGD_ACTION_RELEASE | 1u << MIGD_ACTION_ABORT,
    .limit_us = 60 * (gint64)G_USEC_PER_SEC,
};

typedef struct {
    const FixtureGuest *guest;
    MigdTraceWriter *writer;
    MigdTrack *track;
    MigdDecision last;
    guint decisions, actions;
    gint64 now_us;
    guint64 syncs, left, sent, pause_us;
    double throttle_s;
    guint32 throttle_pct, armed_pct;
} Run;

static void
act(Run *run, const MigdDecision *decision)
{
    const FixtureGuest *guest = run->guest;
    gboolean refuse = guest->refuse_every > 0 && ++run->actions % guest->refuse_every == 0;
    gint64 asked_us = BEGIN_US + run->now_us, answered_us = asked_us + 700;
    g_autoptr(GError) error = NULL;

    migd_trace_write_action(run->writer, decision, asked_us, &error);
    g_assert_no_error(error);
    migd_trace_write_outcome(run->writer, answered_us, refuse ? "not now" : NULL, &error);
    g_assert_no_error(error);
    migd_track_note_action(run->track, decision, answered_us, !refuse);
    if (refuse)
        return;
    if (decision->action == MIGD_ACTION_SET_DOWNTIME)
        run->pause_us = decision->argument;
    if (decision->action == MIGD_ACTION_ARM || decision->action == MIGD_ACTION_THROTTLE)
        run->armed_pct = (guint32)decision->argument;
    if (decision->action == MIGD_ACTION_RELEASE)
        run->armed_pct = run->throttle_pct = 0;
}

static void
observe(Run *run, MigdStatus status, gboolean sync)
{
    g_autoptr(GError) error = NULL;
    MigdSample sample = {
        .time_us = BEGIN_US + run->now_us,
        .has = MIGD_HAS_PASS | MIGD_HAS_REMAINING | MIGD_HAS_TRANSFERRED | MIGD_HAS_TOTAL |
               MIGD_HAS_THROTTLE | MIGD_HAS_DOWNTIME_LIMIT | (sync ? MIGD_HAS_SYNC : 0),
        .status = status,
        .pass = run->syncs,
        .remaining_bytes = run->left,
        .transferred_bytes = run->sent,
        .total_bytes = run->guest->memory_bytes,
        .throttle_pct = run->throttle_pct,
        .downtime_limit_us = run->pause_us,
    };
    MigdDecision decision;

    migd_trace_write_sample(run->writer, &sample, &error);
    g_assert_no_error(error);
    migd_track_add(run->track, &sample);
    decision = migd_decide(run->track);
    if (run->decisions > 0 && migd_decision_same(&decision, &run->last))
        return;
    run->decisions++;
    run->last = decision;
    migd_trace_write_decision(run->writer, &decision, &error);
    g_assert_no_error(error);
    if (decision.action != MIGD_ACTION_WAIT)
        act(run, &decision);
}

/* One pass: sends what is left, in polls; then the sync. FALSE when the rest fits into the pause.
 */
static gboolean
pass(Run *run)
{
    const FixtureGuest *guest = run->guest;
    double pass_s = (double)run->left / (double)guest->link_bps;
    gint64 end_us = run->now_us + (gint64)(pass_s * 1e6);
    double rate = (double)guest->dirty_bps * (1 - run->throttle_pct / 100.0);
    double set = (double)guest->working_set;

    while (run->now_us + guest->poll_us < end_us) {
        guint64 step = guest->link_bps * (guint64)guest->poll_us / G_USEC_PER_SEC;

        run->now_us += guest->poll_us;
        run->left -= MIN(step, run->left);
        run->sent += step;
        observe(run, MIGD_STATUS_PRECOPY, FALSE);
    }
    run->throttle_s += pass_s * run->throttle_pct / 100.0;
    run->sent += run->left;
    run->now_us = end_us;
    run->left = (guint64)(set * (1 - exp(-rate * pass_s / set)));
    run->syncs++;
    run->throttle_pct = run->armed_pct;
    observe(run, MIGD_STATUS_PRECOPY, TRUE);
    return (double)run->left / (double)guest->link_bps * 1e6 > (double)run->pause_us;
}

static void
write_start(Run *run)
{
    MigdTraceStart start = {
        .time_us = BEGIN_US,
        .realtime_us = 1700000000000000u,
        .boot_id = (char *)"0f0e0d0c-0b0a-0908-0706-050403020100",
        .id = (char *)"6ba7b810-9dad-11d1-80b4-00c04fd430c8",
        .domain_uuid = (char *)"6ba7b811-9dad-11d1-80b4-00c04fd430c8",
        .domain_name = (char *)"web-1",
        .origin = (char *)"migrationd",
        .direction = (char *)"outgoing",
        .destination = (char *)"unix:/run/web-1.sock",
        .mode = (char *)"enforce",
        .abilities = {.can = run->guest->can, .throttle_cocked = TRUE},
    };
    g_autoptr(GError) error = NULL;

    migd_profile_init(&start.profile);
    migd_trace_write_start(run->writer, &start, &error);
    g_assert_no_error(error);
    run->track = migd_track_new(&start.profile, &start.abilities);
}

static void
write_finish(Run *run, gboolean fits)
{
    guint64 pause_us = run->left * G_USEC_PER_SEC / run->guest->link_bps + 20000;
    MigdTraceFinish finish = {
        .time_us = BEGIN_US + run->now_us,
        .result = (char *)(fits ? "succeeded" : "canceled"),
        .error = (char *)(fits ? "" : "cut off"),
        .total_us = (guint64)run->now_us,
        .downtime_us = fits ? pause_us : 0,
        .transferred_bytes = run->sent,
        .total_bytes = run->guest->memory_bytes,
        .passes = run->syncs,
        .throttle_us = (guint64)(run->throttle_s * 1e6),
        .decisions = run->decisions,
    };
    g_autoptr(GError) error = NULL;

    migd_trace_write_finish(run->writer, &finish, &error);
    g_assert_no_error(error);
}

void
fixture_write(const FixtureGuest *guest, const char *path)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(MigdTraceWriter) writer = migd_trace_writer_open(path, FALSE, &error);
    Run run = {.guest = guest, .writer = writer, .syncs = 1, .pause_us = 300 * 1000};
    gboolean more = TRUE;

    g_assert_no_error(error);
    run.left = guest->memory_bytes;
    write_start(&run);
    observe(&run, MIGD_STATUS_PRECOPY, TRUE);
    while (more && run.now_us < guest->limit_us)
        more = pass(&run);
    if (!more) {
        run.now_us += (gint64)(run.left * G_USEC_PER_SEC / guest->link_bps);
        run.sent += run.left;
        observe(&run, MIGD_STATUS_COMPLETED, FALSE);
    }
    write_finish(&run, !more);
    migd_track_free(run.track);
}

char *
fixture_path(const char *name)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *directory = g_dir_make_tmp("migd-test-XXXXXX", &error);

    g_assert_no_error(error);
    return g_build_filename(directory, name, NULL);
}

void
fixture_remove(const char *path)
{
    g_autofree char *directory = g_path_get_dirname(path);

    g_unlink(path);
    g_assert_cmpint(g_rmdir(directory), ==, 0);
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Tests of one watch against a hypervisor that answers only when the test says so: what is in
 * flight at once, what is recorded before what, whose knobs are put back, and how each end is
 * reported.
 */
#include <glib/gstdio.h>
#include <string.h>

#include "base/error.h"
#include "daemon/journal.h"
#include "daemon/watch.h"

#define ALL                                                                                        \
    (MIGD_KNOB_DOWNTIME | MIGD_KNOB_BANDWIDTH | MIGD_KNOBS_THROTTLE | MIGD_KNOB_AUTO_CONVERGE |    \
     MIGD_KNOB_POSTCOPY)
#define ID "6f0b6a53-6f57-4e0f-9d5c-8f2b2d1c7a31"
#define UUID "00000000-1111-2222-3333-444444444444"

/* What is waiting for an answer; NULL function = nothing. */
typedef struct {
    MigdSampleFunc sample;
    MigdKnobsFunc knobs;
    MigdDoneFunc started, acted, written;
    gpointer sample_data, knobs_data, started_data, acted_data, written_data;
    guint queries, acts, writes; /* so far */
    MigdStartOptions options;
    MigdDecision action;
    guint32 write_mask;
    MigdKnobs write_knobs;
} Asked;

typedef struct {
    MigdBackend backend; /* first: the operations find the rest by it */
    MigdDomain domain;
    MigdDomainInfo info;
    Asked asked;
    MigdKnobs knobs;
    MigdSample sample;
    MigdProfile profile;
    char *directory, *path;
    MigdWatch *watch;
    guint passed, decided, finished;
    guint64 last_pass;
    MigdDecision told;
    gboolean told_enforced;
    gboolean done_called;
    GError *done_error;
} Fixture;

/* ---- the hypervisor -------------------------------------------------------------------------- */

static Fixture *
of(MigdDomain *domain)
{
    return (Fixture *)domain->backend;
}

static const MigdDomainInfo *
hv_info(MigdDomain *domain)
{
    return &of(domain)->info;
}

static void
hv_query(MigdDomain *domain, MigdSampleFunc callback, gpointer data)
{
    Asked *asked = &of(domain)->asked;

    g_assert_null(asked->sample); /* never two at once */
    asked->sample = callback;
    asked->sample_data = data;
    asked->queries++;
}

static void
hv_read_knobs(MigdDomain *domain, MigdKnobsFunc callback, gpointer data)
{
    Asked *asked = &of(domain)->asked;

    g_assert_null(asked->knobs);
    asked->knobs = callback;
    asked->knobs_data = data;
}

static void
hv_write_knobs(MigdDomain *domain, const MigdKnobs *knobs, guint32 mask, MigdDoneFunc callback,
               gpointer data)
{
    Asked *asked = &of(domain)->asked;

    g_assert_null(asked->written);
    asked->written = callback;
    asked->written_data = data;
    asked->write_mask = mask;
    asked->write_knobs = *knobs;
    asked->writes++;
}

static void
hv_migrate(MigdDomain *domain, const MigdStartOptions *options, MigdDoneFunc callback,
           gpointer data)
{
    Asked *asked = &of(domain)->asked;

    g_assert_null(asked->started);
    asked->started = callback;
    asked->started_data = data;
    asked->options = *options;
}

/* The record says what is about to be done before it is done. */
static void
hv_act(MigdDomain *domain, const MigdDecision *decision, guint32 throttle, MigdDoneFunc callback,
       gpointer data)
{
    Fixture *f = of(domain);
    g_autoptr(MigdTrace) trace = migd_trace_read(f->path, NULL);
    const MigdTraceEntry *last;

    g_assert_nonnull(trace);
    last = &g_array_index(trace->entries, MigdTraceEntry, trace->entries->len - 1);
    g_assert_cmpint(last->kind, ==, MIGD_TRACE_ACTION);
    g_assert_cmpint(last->decision.action, ==, decision->action);
    g_assert_null(f->asked.acted);
    f->asked.acted = callback;
    f->asked.acted_data = data;
    f->asked.action = *decision;
    f->asked.acts++;
}

static const MigdBackendOps ops = {
    .name = "scripted",
    .info = hv_info,
    .query = hv_query,
    .read_knobs = hv_read_knobs,
    .write_knobs = hv_write_knobs,
    .migrate = hv_migrate,
    .act = hv_act,
};

static GError *
refusal(void)
{
    return g_error_new_literal(MIGD_ERROR, MIGD_ERROR_FAILED, "no such luck");
}

static void
answer_sample(Fixture *f)
{
    MigdSampleFunc callback = g_steal_pointer(&f->asked.sample);

    g_assert_nonnull(callback);
    callback(&f->sample, NULL, f->asked.sample_data);
}

static void
answer_knobs(Fixture *f)
{
    MigdKnobsFunc callback = g_steal_pointer(&f->asked.knobs);

    g_assert_nonnull(callback);
    callback(&f->knobs, NULL, f->asked.knobs_data);
}

static void
answer_done(MigdDoneFunc *slot, gpointer data, gboolean ok)
{
    MigdDoneFunc callback = g_steal_pointer(slot);
    g_autoptr(GError) error = ok ? NULL : refusal();

    g_assert_nonnull(callback);
    callback(error, data);
}

/* ---- the listener ---------------------------------------------------------------------------- */

static void
on_changed(MigdWatch *watch, gpointer data)
{
}

static void
on_passed(MigdWatch *watch, guint64 pass, gpointer data)
{
    Fixture *f = data;

    f->passed++;
    f->last_pass = pass;
}

static void
on_decided(MigdWatch *watch, const MigdDecision *decision, const char *text, gboolean enforced,
           gpointer data)
{
    Fixture *f = data;

    g_assert_cmpuint(strlen(text), >, 10);
    f->decided++;
    f->told = *decision;
    f->told_enforced = enforced;
}

static void
on_finished(MigdWatch *watch, gpointer data)
{
    Fixture *f = data;

    f->finished++;
    g_assert_true(migd_watch_is_finished(watch));
}

static const MigdWatchListener listener = {on_changed, on_passed, on_decided, on_finished};

static void
on_done(const GError *error, gpointer data)
{
    Fixture *f = data;

    g_assert_false(f->done_called);
    f->done_called = TRUE;
    f->done_error = error != NULL ? g_error_copy(error) : NULL;
}

/* ---- set-up ---------------------------------------------------------------------------------- */

static void
set_up(Fixture *f, gconstpointer data)
{
    f->backend.ops = &ops;
    f->domain.backend = &f->backend;
    f->info =
        (MigdDomainInfo){.uuid = UUID, .name = "vm", .state = MIGD_DOMAIN_RUNNING, .supports = ALL};
    f->knobs = (MigdKnobs){.has = ALL,
                           .downtime_limit_us = 300000,
                           .max_bandwidth_bps = 40000000,
                           .throttle_initial_pct = 20,
                           .throttle_increment_pct = 10,
                           .throttle_max_pct = 99,
                           .throttle_trigger_pct = 50};
    f->sample = (MigdSample){.has = MIGD_HAS_PASS | MIGD_HAS_REMAINING | MIGD_HAS_TRANSFERRED |
                                    MIGD_HAS_TOTAL | MIGD_HAS_ELAPSED | MIGD_HAS_DOWNTIME_LIMIT |
                                    MIGD_HAS_MAX_BANDWIDTH | MIGD_HAS_THROTTLE,
                             .status = MIGD_STATUS_PRECOPY,
                             .pass = 1,
                             .remaining_bytes = 64000000,
                             .total_bytes = 64000000,
                             .elapsed_us = 10000,
                             .downtime_limit_us = 300000,
                             .max_bandwidth_bps = 40000000};
    migd_profile_init(&f->profile);
    f->directory = g_dir_make_tmp("migd-watch-XXXXXX", NULL);
    f->path = g_build_filename(f->directory, ID ".jsonl", NULL);
}

static void
make_watch(Fixture *f, const char *origin, gboolean observe)
{
    MigdWatchSetup setup = {.id = ID,
                            .domain_uuid = UUID,
                            .domain_name = "vm",
                            .origin = origin,
                            .destination = "unix:/x",
                            .profile = &f->profile,
                            .observe = observe,
                            .trace_path = g_strdup(f->path)};

    f->watch = migd_watch_new(&f->domain, &setup, &listener, f);
}

/* A daemon that stops: what is in flight is answered with errors and changes nothing any more. */
static void
drop_watch(Fixture *f)
{
    Asked asked = f->asked;
    g_autoptr(GError) error = refusal();

    f->asked = (Asked){.queries = asked.queries, .acts = asked.acts, .writes = asked.writes};
    migd_watch_detach(f->watch);
    if (asked.sample != NULL)
        asked.sample(NULL, error, asked.sample_data);
    if (asked.knobs != NULL)
        asked.knobs(NULL, error, asked.knobs_data);
    if (asked.started != NULL)
        asked.started(error, asked.started_data);
    if (asked.acted != NULL)
        asked.acted(error, asked.acted_data);
    if (asked.written != NULL)
        asked.written(error, asked.written_data);
    g_clear_pointer(&f->watch, migd_watch_unref);
}

static void
tear_down(Fixture *f, gconstpointer data)
{
    if (f->watch != NULL)
        drop_watch(f);
    g_clear_error(&f->done_error);
    g_unlink(f->path);
    g_rmdir(f->directory);
    g_free(f->path);
    g_free(f->directory);
}

/* A running migration of somebody else, watched, with nothing in flight. */
static void
follow(Fixture *f, gboolean observe)
{
    make_watch(f, "external", observe);
    migd_watch_follow(f->watch);
    answer_knobs(f);
    answer_sample(f);
    if (f->asked.knobs != NULL)
        answer_knobs(f);
}

static const MigdWatchInfo *
info(const Fixture *f)
{
    return migd_watch_info(f->watch);
}

static guint
count(const Fixture *f, MigdTraceKind kind)
{
    g_autoptr(MigdTrace) trace = migd_trace_read(f->path, NULL);
    guint n = 0;

    g_assert_nonnull(trace);
    for (guint i = 0; i < trace->entries->len; i++)
        n += g_array_index(trace->entries, MigdTraceEntry, i).kind == kind;
    return n;
}

/* ---- starting -------------------------------------------------------------------------------- */

static void
test_start(Fixture *f, gconstpointer data)
{
    make_watch(f, "migrationd", FALSE);
    migd_watch_start(f->watch, FALSE, on_done, f);
    g_assert_cmpuint(f->asked.queries, ==, 0);
    answer_knobs(f);
    g_assert_cmpstr(f->asked.options.destination, ==, "unix:/x");
    g_assert_true(f->asked.options.allow_throttle);
    g_assert_false(f->asked.options.allow_postcopy); /* the destination may not have it */
    g_assert_cmpuint(f->asked.options.downtime_limit_us, ==, 291000); /* 97 % of the cap */
    g_assert_cmpuint(f->asked.options.max_bandwidth_bps, ==, 0);
    g_assert_false(f->done_called);
    answer_done(&f->asked.started, f->asked.started_data, TRUE);
    g_assert_true(f->done_called);
    g_assert_no_error(f->done_error);
    g_assert_cmpuint(f->asked.queries, ==, 1);

    g_autoptr(MigdTrace) trace = migd_trace_read(f->path, NULL);
    g_assert_cmpuint(trace->start.saved.throttle_initial_pct, ==, 20);
    g_assert_cmpuint(trace->start.touched, ==,
                     MIGD_KNOB_AUTO_CONVERGE | MIGD_KNOB_DOWNTIME | MIGD_KNOBS_THROTTLE);
    g_assert_true(trace->start.abilities.throttle_cocked);
}

static void
test_start_within_limits(Fixture *f, gconstpointer data)
{
    f->profile.max_downtime_us = 100000;
    f->profile.max_bandwidth_bps = 10000000;
    make_watch(f, "migrationd", FALSE);
    migd_watch_start(f->watch, TRUE, on_done, f);
    answer_knobs(f);
    g_assert_true(f->asked.options.allow_postcopy);
    g_assert_cmpuint(f->asked.options.downtime_limit_us, ==, 97000);
    g_assert_cmpuint(f->asked.options.max_bandwidth_bps, ==, 10000000);
}

static void
test_start_observed(Fixture *f, gconstpointer data)
{
    f->profile.max_downtime_us = 100000;
    make_watch(f, "migrationd", TRUE);
    migd_watch_start(f->watch, TRUE, on_done, f);
    answer_knobs(f);
    g_assert_false(f->asked.options.allow_throttle);
    g_assert_false(f->asked.options.allow_postcopy);
    g_assert_cmpuint(f->asked.options.downtime_limit_us, ==, 0);
}

/* Refused: what was set for it is put back, and it is reported as failed; who asked hears of it
 * when all that is done, and may ask anew. */
static void
test_start_refused(Fixture *f, gconstpointer data)
{
    make_watch(f, "migrationd", FALSE);
    migd_watch_start(f->watch, FALSE, on_done, f);
    answer_knobs(f);
    f->knobs.auto_converge = TRUE;
    answer_done(&f->asked.started, f->asked.started_data, FALSE);
    g_assert_null(f->done_error);
    g_assert_cmpuint(f->finished, ==, 0);
    answer_knobs(f);
    g_assert_cmpuint(f->asked.write_mask, ==, MIGD_KNOB_AUTO_CONVERGE);
    answer_done(&f->asked.written, f->asked.written_data, TRUE);
    g_assert_cmpuint(f->finished, ==, 1);
    g_assert_error(f->done_error, MIGD_ERROR, MIGD_ERROR_FAILED);
    g_assert_cmpint(info(f)->result, ==, MIGD_RESULT_FAILED);
    g_assert_cmpstr(info(f)->error, ==, "no such luck");
}

/* ---- observing ------------------------------------------------------------------------------- */

static void
test_sync(Fixture *f, gconstpointer data)
{
    gint64 before, after;
    guint queries;

    follow(f, TRUE);
    queries = f->asked.queries;
    before = g_get_monotonic_time();
    migd_watch_event(f->watch, MIGD_EVENT_PASS, 2);
    after = g_get_monotonic_time();
    g_assert_cmpuint(f->asked.queries, ==, queries + 1); /* at once */
    f->sample.pass = 2;
    g_usleep(5000);
    answer_sample(f);
    g_assert_true(migd_sample_has(&info(f)->sample, MIGD_HAS_SYNC));
    g_assert_cmpint(info(f)->sample.time_us, >=,
                    before); /* of the announcement, not of the reply */
    g_assert_cmpint(info(f)->sample.time_us, <=, after);
    g_assert_cmpuint(f->passed, ==, 1);
    g_assert_cmpuint(f->last_pass, ==, 1); /* the second sync ends pass 1 */
}

/* The reply already shows a later pass: it is no picture of the announced sync. */
static void
test_sync_too_late(Fixture *f, gconstpointer data)
{
    follow(f, TRUE);
    migd_watch_event(f->watch, MIGD_EVENT_PASS, 2);
    f->sample.pass = 3;
    answer_sample(f);
    g_assert_false(migd_sample_has(&info(f)->sample, MIGD_HAS_SYNC));
    g_assert_cmpuint(f->passed, ==, 0);
}

/* A sync announced while a query is out: that reply is not looked at, the next is asked for at
 * once. */
static void
test_sync_during_query(Fixture *f, gconstpointer data)
{
    guint queries, samples;

    follow(f, TRUE);
    migd_watch_event(f->watch, MIGD_EVENT_PASS, 2);
    queries = f->asked.queries;
    samples = count(f, MIGD_TRACE_SAMPLE);
    migd_watch_event(f->watch, MIGD_EVENT_PASS, 3);
    g_assert_cmpuint(f->asked.queries, ==, queries);
    f->sample.pass = 2;
    answer_sample(f);
    g_assert_cmpuint(f->asked.queries, ==, queries + 1);
    g_assert_cmpuint(count(f, MIGD_TRACE_SAMPLE), ==, samples);
    f->sample.pass = 3;
    answer_sample(f);
    g_assert_true(migd_sample_has(&info(f)->sample, MIGD_HAS_SYNC));
    g_assert_cmpuint(info(f)->sample.pass, ==, 3);
}

/* Without announcements the counter of syncs has to do. */
static void
test_no_announcements(Fixture *f, gconstpointer data)
{
    follow(f, TRUE);
    f->sample.pass = 2;
    while (f->asked.sample == NULL) /* the poll */
        g_main_context_iteration(NULL, TRUE);
    answer_sample(f);
    g_assert_cmpuint(f->passed, ==, 1);
}

/* ---- acting ---------------------------------------------------------------------------------- */

/* Somebody's limit of 300 ms is over the cap of 100 ms: the policy lowers it at the first sample.
 */
static void
over_cap(Fixture *f, gboolean observe)
{
    f->profile.max_downtime_us = 100000;
    follow(f, observe);
}

static void
test_one_action_at_a_time(Fixture *f, gconstpointer data)
{
    over_cap(f, FALSE);
    g_assert_cmpuint(f->asked.acts, ==, 1);
    g_assert_cmpint(f->asked.action.action, ==, MIGD_ACTION_SET_DOWNTIME);
    g_assert_cmpuint(f->asked.action.argument, ==, 97000);
    g_assert_true(f->told_enforced);
    migd_watch_event(f->watch, MIGD_EVENT_PASS, 2);
    f->sample.pass = 2;
    answer_sample(f);
    g_assert_cmpuint(f->asked.acts, ==, 1); /* the first is still out */
    g_assert_null(f->asked.knobs);          /* and knobs half turned are not looked at */
    f->knobs.downtime_limit_us = 97000;
    answer_done(&f->asked.acted, f->asked.acted_data, TRUE);
    answer_knobs(f);
    g_assert_cmpint(f->told.reason, !=, MIGD_REASON_FOREIGN_CHANGE);
    g_assert_cmpuint(count(f, MIGD_TRACE_OUTCOME), ==, 1);
}

static void
test_observe_touches_nothing(Fixture *f, gconstpointer data)
{
    over_cap(f, TRUE);
    g_assert_cmpuint(f->asked.acts, ==, 0);
    g_assert_cmpint(f->told.action, ==, MIGD_ACTION_SET_DOWNTIME);
    g_assert_false(f->told_enforced);
    migd_watch_set_observe(f->watch, FALSE); /* from the next decision on */
    migd_watch_event(f->watch, MIGD_EVENT_PASS, 2);
    f->sample.pass = 2;
    answer_sample(f);
    g_assert_cmpuint(f->asked.acts, ==, 1);
}

/* Somebody turns the knob during our look at it: the look is repeated, since an action went out
 * meanwhile. */
static void
test_stale_look(Fixture *f, gconstpointer data)
{
    MigdKnobs old;

    follow(f, FALSE);
    migd_watch_event(f->watch, MIGD_EVENT_PASS, 2);
    f->sample.pass = 2;
    answer_sample(f);
    g_assert_nonnull(f->asked.knobs); /* a look is out */
    old = f->knobs;
    f->profile.max_downtime_us = 100000;
    migd_watch_set_profile(f->watch, &f->profile);
    answer_sample(f);
    g_assert_cmpuint(f->asked.acts, ==, 1);
    answer_done(&f->asked.acted, f->asked.acted_data, TRUE);
    f->knobs = old; /* as they were when the look was sent */
    answer_knobs(f);
    g_assert_cmpint(f->told.reason, !=, MIGD_REASON_FOREIGN_CHANGE);
    f->knobs.downtime_limit_us = 97000;
    answer_knobs(f); /* the second look */
    g_assert_cmpint(f->told.reason, !=, MIGD_REASON_FOREIGN_CHANGE);
}

static void
test_foreign_change(Fixture *f, gconstpointer data)
{
    follow(f, FALSE);
    g_assert_true(migd_watch_can(f->watch, MIGD_ACTION_SET_DOWNTIME));
    migd_watch_event(f->watch, MIGD_EVENT_PASS, 2);
    f->sample.pass = 2;
    answer_sample(f);
    f->knobs.downtime_limit_us = 2000000;
    answer_knobs(f);
    g_assert_cmpint(f->told.reason, ==, MIGD_REASON_FOREIGN_CHANGE);
    g_assert_nonnull(strstr(info(f)->decision_text, "downtime-limit from 300 ms to 2.0 s"));
    g_assert_false(migd_watch_can(f->watch, MIGD_ACTION_SET_DOWNTIME));
    g_assert_true(migd_watch_can(f->watch, MIGD_ACTION_SET_BANDWIDTH));
    g_assert_cmpuint(count(f, MIGD_TRACE_ABILITIES), ==, 1);

    /* Over the cap now, but it is theirs. */
    f->sample.downtime_limit_us = 2000000;
    f->sample.pass = 3;
    migd_watch_event(f->watch, MIGD_EVENT_PASS, 3);
    answer_sample(f);
    g_assert_cmpuint(f->asked.acts, ==, 0);
}

static void
test_request_waits_its_turn(Fixture *f, gconstpointer data)
{
    over_cap(f, FALSE);
    migd_watch_request(f->watch, MIGD_ACTION_ABORT, on_done, f);
    g_assert_cmpuint(f->asked.acts, ==, 1);
    answer_done(&f->asked.acted, f->asked.acted_data, TRUE);
    g_assert_cmpuint(f->asked.acts, ==, 2);
    g_assert_cmpint(f->asked.action.action, ==, MIGD_ACTION_ABORT);
    g_assert_false(f->done_called);
    answer_done(&f->asked.acted, f->asked.acted_data, TRUE);
    g_assert_true(f->done_called);
    g_assert_no_error(f->done_error);
}

static void
test_request_after_the_end(Fixture *f, gconstpointer data)
{
    follow(f, FALSE);
    migd_watch_domain_lost(f->watch);
    migd_watch_request(f->watch, MIGD_ACTION_ABORT, on_done, f);
    g_assert_error(f->done_error, MIGD_ERROR, MIGD_ERROR_NOT_SUPPORTED);
}

/* ---- the end --------------------------------------------------------------------------------- */

static void
complete(Fixture *f)
{
    f->sample.status = MIGD_STATUS_COMPLETED;
    f->sample.has |= MIGD_HAS_DOWNTIME;
    f->sample.downtime_us = 120000;
    f->sample.elapsed_us = 5000000;
}

static void
test_success(Fixture *f, gconstpointer data)
{
    over_cap(f, FALSE);
    f->knobs.downtime_limit_us = 97000;
    answer_done(&f->asked.acted, f->asked.acted_data, TRUE);
    if (f->asked.knobs != NULL)
        answer_knobs(f);
    migd_watch_event(f->watch, MIGD_EVENT_STATUS, MIGD_STATUS_COMPLETED);
    f->sample.status = MIGD_STATUS_COMPLETED; /* announced before it has added up */
    f->sample.elapsed_us = 0;
    answer_sample(f);
    complete(f);
    while (f->asked.sample == NULL)
        g_main_context_iteration(NULL, TRUE);
    answer_sample(f);
    answer_knobs(f);
    g_assert_cmpuint(f->asked.write_mask, ==, MIGD_KNOB_DOWNTIME);
    g_assert_cmpuint(f->asked.write_knobs.downtime_limit_us, ==, 300000);
    g_assert_cmpuint(f->finished, ==, 0);
    answer_done(&f->asked.written, f->asked.written_data, TRUE);
    g_assert_cmpuint(f->finished, ==, 1);
    g_assert_cmpint(info(f)->result, ==, MIGD_RESULT_SUCCEEDED);
    g_assert_cmpstr(info(f)->error, ==, "");
    g_assert_cmpuint(info(f)->report.downtime_us, ==, 120000);
    g_assert_cmpuint(info(f)->report.total_us, ==, 5000000);

    g_autoptr(MigdTrace) trace = migd_trace_read(f->path, NULL);
    g_assert_true(trace->finished);
    g_assert_cmpstr(trace->finish.result, ==, "succeeded");
    g_assert_cmpuint(migd_trace_replay(trace, NULL, NULL, NULL, NULL), ==, 0);
}

/* What somebody else has turned since is not put back. */
static void
test_restore_leaves_foreign(Fixture *f, gconstpointer data)
{
    over_cap(f, FALSE);
    answer_done(&f->asked.acted, f->asked.acted_data, TRUE);
    f->knobs.downtime_limit_us = 700000;
    complete(f);
    migd_watch_event(f->watch, MIGD_EVENT_STATUS, MIGD_STATUS_COMPLETED);
    answer_sample(f);
    answer_knobs(f); /* the look under way */
    answer_knobs(f); /* and the last one */
    g_assert_cmpuint(f->asked.writes, ==, 0);
    g_assert_cmpint(info(f)->result, ==, MIGD_RESULT_SUCCEEDED);
}

static void
test_failure(Fixture *f, gconstpointer data)
{
    follow(f, FALSE);
    f->sample.status = MIGD_STATUS_FAILED;
    f->info.migration_error = "connection reset";
    migd_watch_event(f->watch, MIGD_EVENT_STATUS, MIGD_STATUS_FAILED);
    answer_sample(f);
    g_assert_cmpint(info(f)->result, ==, MIGD_RESULT_FAILED);
    g_assert_cmpstr(info(f)->error, ==, "connection reset");
    g_assert_cmpuint(f->asked.writes, ==, 0); /* nothing was touched */
}

/* Noticed by the poll, without an event. */
static void
test_canceled_by_somebody(Fixture *f, gconstpointer data)
{
    follow(f, FALSE);
    f->sample.status = MIGD_STATUS_CANCELLED;
    while (f->asked.sample == NULL)
        g_main_context_iteration(NULL, TRUE);
    answer_sample(f);
    answer_sample(f); /* the last word is asked for once more */
    g_assert_cmpint(info(f)->result, ==, MIGD_RESULT_CANCELED);
    g_assert_cmpstr(info(f)->error, ==, "cancelled by somebody else");
}

static void
test_lost(Fixture *f, gconstpointer data)
{
    static const struct {
        MigdStatus status;
        MigdResult result;
    } rows[] = {{MIGD_STATUS_PRECOPY, MIGD_RESULT_FAILED},
                {MIGD_STATUS_SWITCHOVER, MIGD_RESULT_UNKNOWN},
                {MIGD_STATUS_POSTCOPY, MIGD_RESULT_FAILED},
                {MIGD_STATUS_COMPLETED, MIGD_RESULT_SUCCEEDED}};

    for (gsize i = 0; i < G_N_ELEMENTS(rows); i++) {
        g_test_message("%s", migd_status_to_string(rows[i].status));
        follow(f, FALSE);
        migd_watch_event(f->watch, MIGD_EVENT_STATUS, rows[i].status);
        migd_watch_domain_lost(f->watch);
        g_assert_cmpint(info(f)->result, ==, rows[i].result);
        g_assert_cmpuint(f->finished, ==, i + 1);
        drop_watch(f);
        g_assert_cmpint(g_unlink(f->path), ==, 0);
    }
}

/* A daemon that stops leaves the record open and the knobs alone. */
static void
test_detach(Fixture *f, gconstpointer data)
{
    over_cap(f, FALSE);
    drop_watch(f);
    g_assert_cmpuint(f->finished, ==, 0);

    g_autoptr(MigdTrace) trace = migd_trace_read(f->path, NULL);
    g_assert_false(trace->finished);
    g_assert_cmpuint(count(f, MIGD_TRACE_ACTION), ==, 1);
    g_assert_cmpuint(count(f, MIGD_TRACE_OUTCOME), ==, 0); /* so that it counts as done */
}

/* ---- after a restart ------------------------------------------------------------------------- */

static void
test_resume(Fixture *f, gconstpointer data)
{
    g_autoptr(MigdTrace) trace = NULL;

    over_cap(f, FALSE);
    drop_watch(f);
    trace = migd_trace_read(f->path, NULL);
    f->sample.elapsed_us = 20000;
    g_assert_true(migd_watch_is_same(trace, &f->sample));
    f->sample.elapsed_us = 60 * G_USEC_PER_SEC;
    g_assert_false(migd_watch_is_same(trace, &f->sample));

    make_watch(f, trace->start.origin, FALSE);
    migd_watch_resume(f->watch, trace);
    f->sample.elapsed_us = 30000;
    f->sample.downtime_limit_us = 97000; /* the command had come through */
    answer_sample(f);
    g_assert_cmpuint(f->asked.acts, ==, 1); /* that of the earlier daemon */
    g_assert_cmpuint(info(f)->report.decisions, >=, 1);

    /* It knows what to put back. */
    f->knobs.downtime_limit_us = 97000;
    complete(f);
    migd_watch_event(f->watch, MIGD_EVENT_STATUS, MIGD_STATUS_COMPLETED);
    if (f->asked.knobs != NULL)
        answer_knobs(f);
    answer_sample(f);
    answer_knobs(f);
    g_assert_cmpuint(f->asked.write_mask, ==, MIGD_KNOB_DOWNTIME);
}

/* The record tells what was in force: what somebody turned while no daemon ran is theirs. */
static void
test_resume_foreign(Fixture *f, gconstpointer data)
{
    g_autoptr(MigdTrace) trace = NULL;

    over_cap(f, FALSE);
    answer_done(&f->asked.acted, f->asked.acted_data, TRUE);
    f->knobs.downtime_limit_us = f->sample.downtime_limit_us = 97000;
    migd_watch_event(f->watch, MIGD_EVENT_PASS, 2);
    f->sample.pass = 2;
    answer_sample(f);
    answer_knobs(f);
    g_assert_cmpuint(count(f, MIGD_TRACE_KNOBS), ==, 1);
    drop_watch(f);
    trace = migd_trace_read(f->path, NULL);

    make_watch(f, trace->start.origin, FALSE);
    migd_watch_resume(f->watch, trace);
    f->sample.elapsed_us = 30000;
    answer_sample(f);
    f->knobs.throttle_max_pct = 50;
    answer_knobs(f);
    g_assert_cmpint(f->told.reason, ==, MIGD_REASON_FOREIGN_CHANGE);
    g_assert_nonnull(strstr(info(f)->decision_text, "max-cpu-throttle from 99 % to 50 %"));
    g_assert_false(migd_watch_can(f->watch, MIGD_ACTION_THROTTLE));
    g_assert_true(migd_watch_can(f->watch, MIGD_ACTION_SET_DOWNTIME));
    g_assert_cmpuint(count(f, MIGD_TRACE_KNOBS), ==, 2);
}

/* Nothing is turned before the knobs in force are known, however long that takes. */
static void
test_resume_reads_first(Fixture *f, gconstpointer data)
{
    g_autoptr(MigdTrace) trace = NULL;
    g_autoptr(GError) error = refusal();
    MigdKnobsFunc callback;

    over_cap(f, /* observe= */ TRUE);
    drop_watch(f);
    trace = migd_trace_read(f->path, NULL);
    make_watch(f, trace->start.origin, FALSE);
    migd_watch_resume(f->watch, trace);
    callback = g_steal_pointer(&f->asked.knobs);
    g_assert_nonnull(callback);
    callback(NULL, error, f->asked.knobs_data);
    f->sample.elapsed_us = 30000;
    answer_sample(f);
    g_assert_cmpuint(f->asked.acts, ==, 0);
    answer_knobs(f); /* asked for again */
    migd_watch_event(f->watch, MIGD_EVENT_PASS, 2);
    f->sample.pass = 2;
    answer_sample(f);
    g_assert_cmpuint(f->asked.acts, ==, 1);
    g_assert_cmpint(f->asked.action.action, ==, MIGD_ACTION_SET_DOWNTIME);
}

static void
test_close(Fixture *f, gconstpointer data)
{
    g_autoptr(MigdTrace) trace = NULL;

    over_cap(f, FALSE);
    drop_watch(f);
    trace = migd_trace_read(f->path, NULL);
    complete(f);
    f->knobs.downtime_limit_us = 97000;
    make_watch(f, trace->start.origin, FALSE);
    migd_watch_close(f->watch, trace, &f->sample, /* restore= */ TRUE);
    answer_knobs(f);
    g_assert_cmpuint(f->asked.write_mask, ==, MIGD_KNOB_DOWNTIME);
    answer_done(&f->asked.written, f->asked.written_data, TRUE);
    g_assert_cmpint(info(f)->result, ==, MIGD_RESULT_SUCCEEDED);
    g_assert_cmpuint(info(f)->report.downtime_us, ==, 120000);
}

/* Its hypervisor is gone: closed as unknown, nothing is asked of anybody. */
static void
test_close_gone(Fixture *f, gconstpointer data)
{
    g_autoptr(MigdTrace) trace = NULL;

    over_cap(f, FALSE);
    drop_watch(f);
    trace = migd_trace_read(f->path, NULL);
    make_watch(f, trace->start.origin, FALSE);
    migd_watch_close(f->watch, trace, NULL, /* restore= */ FALSE);
    g_assert_cmpint(info(f)->result, ==, MIGD_RESULT_UNKNOWN);
    g_assert_null(f->asked.knobs);

    g_autoptr(MigdTrace) closed = migd_trace_read(f->path, NULL);
    g_assert_true(closed->finished);
    g_assert_cmpstr(closed->finish.result, ==, "unknown");
}

#define ADD(path, function) g_test_add("/watch/" path, Fixture, NULL, set_up, function, tear_down)

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    migd_journal_set_level(MIGD_LOG_ERROR);
    ADD("start", test_start);
    ADD("start/within-limits", test_start_within_limits);
    ADD("start/observed", test_start_observed);
    ADD("start/refused", test_start_refused);
    ADD("sync", test_sync);
    ADD("sync/too-late", test_sync_too_late);
    ADD("sync/during-query", test_sync_during_query);
    ADD("sync/no-announcements", test_no_announcements);
    ADD("act/one-at-a-time", test_one_action_at_a_time);
    ADD("act/observe", test_observe_touches_nothing);
    ADD("act/request", test_request_waits_its_turn);
    ADD("act/request-after-the-end", test_request_after_the_end);
    ADD("knobs/stale-look", test_stale_look);
    ADD("knobs/foreign-change", test_foreign_change);
    ADD("knobs/foreign-is-left", test_restore_leaves_foreign);
    ADD("end/success", test_success);
    ADD("end/failure", test_failure);
    ADD("end/canceled", test_canceled_by_somebody);
    ADD("end/lost", test_lost);
    ADD("restart/detach", test_detach);
    ADD("restart/resume", test_resume);
    ADD("restart/resume-foreign", test_resume_foreign);
    ADD("restart/resume-reads-first", test_resume_reads_first);
    ADD("restart/close", test_close);
    ADD("restart/close-gone", test_close_gone);
    return g_test_run();
}

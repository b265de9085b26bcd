/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Domains made of *.scenario files, so that the whole daemon can be driven without a hypervisor:
 * src/sim runs their migrations in real time and obeys the knobs. Files may come and go while it
 * runs. Somebody else's hand is played by NAME.do next to NAME.scenario, one command a line,
 * deleted once it is carried out: migrate | fail | state WORD | KNOB INTEGER (µs, bytes/s, percent
 * or 0/1, named as QEMU does) Answers come from the main loop, never from within a call, as with a
 * real hypervisor.
 */
#include "daemon/backend.h"

#include "daemon/options.h"

#include <gio/gio.h>
#include <glib/gstdio.h>
#include <math.h>
#include <string.h>

#include "base/checked.h"
#include "base/error.h"
#include "base/text.h"
#include "daemon/journal.h"
#include "daemon/keyfile.h"
#include "sim/sim.h"

#define SUFFIX ".scenario"
#define SUFFIX_DO ".do"
#define TICK_MS 5 /* of real time; the simulation is stepped by as much */
#define KNOBS_HAS                                                                                  \
    (MIGD_KNOB_DOWNTIME | MIGD_KNOB_BANDWIDTH | MIGD_KNOBS_THROTTLE | MIGD_KNOB_AUTO_CONVERGE |    \
     MIGD_KNOB_POSTCOPY | MIGD_KNOB_EVENTS)

typedef struct {
    MigdBackend base;
    char *directory;
    GFileMonitor *monitor;
    GHashTable *domains; /* k: path of the scenario (the value's) -> v: Fake */
    const MigdBackendListener *listener;
    gpointer user_data;
} FakeBackend;

/* An answer that is due; exactly one of the functions is set. */
typedef struct {
    MigdSampleFunc sample;
    MigdKnobsFunc knobs;
    MigdDoneFunc done;
    MigdRateFunc rate;
    guint period_ms; /* of `rate` */
    gpointer user_data;
    GError *error;
} Reply;

typedef struct {
    MigdDomain base;
    char *path;
    char *uuid;
    MigdScenario *scenario;
    MigdSim *sim;
    MigdDomainInfo info;
    gboolean failed;  /* by somebody's command; the simulation knows no failure */
    gboolean ran;     /* a migration has been started at least once */
    guint64 carry_us; /* virtual time not used up yet */
    guint tick_source;
    GQueue *replies; /* of Reply */
    guint reply_source;
    Reply measuring;
    guint measure_source; /* 0 = no measurement is under way */
} Fake;

static FakeBackend *
backend_of(const Fake *fake)
{
    return (FakeBackend *)fake->base.backend;
}

/* ---- answers --------------------------------------------------------------------------------- */

static void
get_sample(const Fake *fake, MigdSample *ret)
{
    if (!fake->ran) {
        *ret = (MigdSample){.status = MIGD_STATUS_NONE};
        return;
    }
    migd_sim_sample(fake->sim, ret);
    ret->time_us = 0;
    if (fake->failed)
        ret->status = MIGD_STATUS_FAILED;
}

static void
get_knobs(const Fake *fake, MigdKnobs *ret)
{
    migd_sim_get_knobs(fake->sim, ret);
    ret->has &= KNOBS_HAS;
}

/* The guest's curve, as the scenario begins. */
static void
send_rate(Fake *fake, const Reply *reply, const GError *error)
{
    FakeBackend *backend = backend_of(fake);
    const double *values = fake->scenario->initial;
    double seconds = reply->period_ms / 1000.0, w = MAX(values[MIGD_SCN_WORKING_SET], 1);
    double lambda = values[MIGD_SCN_DIRTY_RATE];
    double dirty =
        values[MIGD_SCN_SWEEP] != 0 ? MIN(lambda * seconds, w) : -w * expm1(-lambda * seconds / w);
    MigdDirtyRate measured = {
        .rate_bps = migd_from_double(dirty / seconds),
        .period_us = reply->period_ms * (guint64)1000,
        .resident_bytes = migd_from_double(values[MIGD_SCN_MEMORY] * (1 - values[MIGD_SCN_ZERO])),
    };

    if (error == NULL) {
        fake->info.dirty_rate_bps = measured.rate_bps;
        fake->info.dirty_rate_method = "page-sampling";
        backend->listener->domain_changed(&fake->base, backend->user_data);
    }
    reply->rate(error == NULL ? &measured : NULL, error, reply->user_data);
}

static void
send_reply(Fake *fake, Reply *reply)
{
    g_autofree Reply *own = reply;
    g_autoptr(GError) error = reply->error;
    MigdSample sample;
    MigdKnobs knobs;

    get_sample(fake, &sample);
    get_knobs(fake, &knobs);
    if (reply->sample != NULL)
        reply->sample(error == NULL ? &sample : NULL, error, reply->user_data);
    else if (reply->knobs != NULL)
        reply->knobs(error == NULL ? &knobs : NULL, error, reply->user_data);
    else if (reply->done != NULL)
        reply->done(error, reply->user_data);
    else
        send_rate(fake, reply, error);
}

static gboolean
send_replies(gpointer user_data)
{
    Fake *fake = user_data;

    fake->reply_source = 0;
    for (guint n = fake->replies->length; n > 0;
         n--) /* those that they lead to wait for the next turn */
        send_reply(fake, g_queue_pop_head(fake->replies));
    return G_SOURCE_REMOVE;
}

/* Takes `error`. */
static void
answer(MigdDomain *domain, Reply reply)
{
    Fake *fake = (Fake *)domain;

    g_queue_push_tail(fake->replies, g_memdup2(&reply, sizeof reply));
    if (fake->reply_source == 0)
        fake->reply_source = g_idle_add_full(G_PRIORITY_DEFAULT, send_replies, fake, NULL);
}

static GError *
refuse(const char *why)
{
    return g_error_new_literal(MIGD_ERROR, MIGD_ERROR_NOT_SUPPORTED, why);
}

/* ---- time ------------------------------------------------------------------------------------ */

static MigdStatus
status_of(const Fake *fake)
{
    MigdSample sample;

    get_sample(fake, &sample);
    return sample.status;
}

static void
set_state(Fake *fake, MigdDomainState state)
{
    FakeBackend *backend = backend_of(fake);

    if (fake->info.state == state)
        return;
    fake->info.state = state;
    fake->info.problem = state == MIGD_DOMAIN_UNRESPONSIVE ? "made so" : NULL;
    backend->listener->domain_changed(&fake->base, backend->user_data);
}

static void
tell_status(Fake *fake)
{
    FakeBackend *backend = backend_of(fake);
    MigdStatus status = status_of(fake);

    if (migd_status_is_end(status))
        g_clear_handle_id(&fake->tick_source, g_source_remove);
    backend->listener->event(&fake->base, MIGD_EVENT_STATUS, status, backend->user_data);
    if (status == MIGD_STATUS_COMPLETED)
        set_state(fake, MIGD_DOMAIN_SHUTOFF);
}

/* One event a tick at most: its listeners are answered before time goes on. */
static gboolean
tick(gpointer user_data)
{
    Fake *fake = user_data;
    FakeBackend *backend = backend_of(fake);
    MigdSimEvent event;
    MigdSample sample;
    guint64 used_us;

    fake->carry_us += TICK_MS * 1000;
    event = migd_sim_run(fake->sim, fake->carry_us, &used_us);
    fake->carry_us -= MIN(used_us, fake->carry_us);
    if (event == MIGD_SIM_PASS) {
        get_sample(fake, &sample);
        backend->listener->event(&fake->base, MIGD_EVENT_PASS, sample.pass, backend->user_data);
    } else if (event == MIGD_SIM_STATUS) {
        tell_status(fake); /* may have removed this very source */
    }
    return G_SOURCE_CONTINUE;
}

static void
start_migration(Fake *fake)
{
    migd_sim_start(fake->sim);
    fake->ran = TRUE;
    fake->failed = FALSE;
    fake->carry_us = 0;
    fake->info.migration_error = NULL;
    if (fake->tick_source == 0)
        fake->tick_source = g_timeout_add(TICK_MS, tick, fake);
    tell_status(fake);
}

static void
fail_migration(Fake *fake)
{
    if (!fake->ran || migd_status_is_end(status_of(fake)))
        return;
    fake->failed = TRUE;
    fake->info.migration_error = "made to fail";
    tell_status(fake);
}

/* ---- the port -------------------------------------------------------------------------------- */

static const MigdDomainInfo *
fake_info(MigdDomain *domain)
{
    return &((Fake *)domain)->info;
}

static void
fake_query(MigdDomain *domain, MigdSampleFunc callback, gpointer user_data)
{
    answer(domain, (Reply){.sample = callback, .user_data = user_data});
}

static void
fake_read_knobs(MigdDomain *domain, MigdKnobsFunc callback, gpointer user_data)
{
    answer(domain, (Reply){.knobs = callback, .user_data = user_data});
}

static void
fake_write_knobs(MigdDomain *domain, const MigdKnobs *knobs, guint32 mask, MigdDoneFunc callback,
                 gpointer user_data)
{
    migd_sim_set_knobs(((Fake *)domain)->sim, knobs, mask);
    answer(domain, (Reply){.done = callback, .user_data = user_data});
}

static void
fake_migrate(MigdDomain *domain, const MigdStartOptions *options, MigdDoneFunc callback,
             gpointer user_data)
{
    Fake *fake = (Fake *)domain;
    MigdKnobs knobs;
    guint32 mask = MIGD_KNOB_DOWNTIME | MIGD_KNOB_BANDWIDTH | MIGD_KNOB_AUTO_CONVERGE |
                   MIGD_KNOB_POSTCOPY | MIGD_KNOBS_THROTTLE;

    if (fake->ran && !migd_status_is_end(status_of(fake))) {
        answer(domain, (Reply){.done = callback,
                               .user_data = user_data,
                               .error = refuse("there is a migration under way")});
        return;
    }
    if (strstr(options->destination, "/nowhere") !=
        NULL) { /* a destination that nobody listens at */
        answer(domain, (Reply){.done = callback,
                               .user_data = user_data,
                               .error = refuse("connection refused")});
        return;
    }
    get_knobs(fake, &knobs);
    knobs.auto_converge |= options->allow_throttle;
    knobs.postcopy |= options->allow_postcopy;
    if (options->allow_throttle) {
        knobs.throttle_initial_pct = knobs.throttle_max_pct = 1;
        knobs.throttle_increment_pct = knobs.throttle_trigger_pct = 1;
    }
    if (options->downtime_limit_us != 0)
        knobs.downtime_limit_us = options->downtime_limit_us;
    if (options->max_bandwidth_bps != 0)
        knobs.max_bandwidth_bps = options->max_bandwidth_bps;
    migd_sim_set_knobs(fake->sim, &knobs, mask);
    start_migration(fake);
    answer(domain, (Reply){.done = callback, .user_data = user_data});
}

static void
fake_act(MigdDomain *domain, const MigdDecision *decision, guint32 throttle_now_pct,
         MigdDoneFunc callback, gpointer user_data)
{
    Fake *fake = (Fake *)domain;
    MigdStatus before = status_of(fake);
    gboolean ok = migd_sim_act(fake->sim, decision);

    answer(domain, (Reply){.done = callback,
                           .user_data = user_data,
                           .error = ok ? NULL : refuse("not possible now")});
    if (status_of(fake) != before)
        tell_status(fake);
}

static gboolean
measured(gpointer user_data)
{
    Fake *fake = user_data;

    fake->measure_source = 0;
    answer(&fake->base, fake->measuring);
    return G_SOURCE_REMOVE;
}

static void
fake_measure(MigdDomain *domain, const MigdMeasureOptions *options, MigdRateFunc callback,
             gpointer user_data)
{
    Fake *fake = (Fake *)domain;
    Reply reply = {.rate = callback, .period_ms = options->period_ms, .user_data = user_data};

    if (fake->measure_source != 0)
        reply.error = refuse("another measurement is under way");
    else if (strcmp(options->mode, "page-sampling") != 0)
        reply.error = refuse("nothing but page-sampling");
    else if (options->period_ms < 1 || options->period_ms > MIGD_MEASURE_MAX_MS)
        reply.error = g_error_new_literal(MIGD_ERROR, MIGD_ERROR_INVALID_ARGUMENT,
                                          "option \"seconds\": 1 to 60");
    if (reply.error != NULL) {
        answer(domain, reply);
        return;
    }
    fake->measuring = reply;
    fake->measure_source = g_timeout_add(options->period_ms, measured, fake);
}

/* ---- somebody else --------------------------------------------------------------------------- */

static void
set_knob(Fake *fake, const char *name, const char *value)
{
    MigdKnobs knobs = {0};

    for (guint i = 0; i < migd_n_knob_fields; i++) {
        if (strcmp(migd_knob_fields[i].qmp_name, name) != 0)
            continue;
        migd_knob_set(&knobs, &migd_knob_fields[i], g_ascii_strtoull(value, NULL, 10));
        migd_sim_set_knobs(fake->sim, &knobs, migd_knob_fields[i].knob);
        return;
    }
    migd_log(MIGD_LOG_WARNING, NULL, "fake: no such command: %s", name);
}

static void
set_state_by_name(Fake *fake, const char *word)
{
    for (guint state = 0; state <= MIGD_DOMAIN_FAULTY; state++)
        if (strcmp(migd_domain_state_to_string((MigdDomainState)state), word) == 0)
            set_state(fake, (MigdDomainState)state);
}

static void
run_commands(Fake *fake, const char *path)
{
    g_autofree char *text = NULL;
    g_auto(GStrv) lines = NULL;

    if (!g_file_get_contents(path, &text, NULL, NULL))
        return;
    (void)g_unlink(path);
    lines = g_strsplit(text, "\n", -1);
    for (guint i = 0; lines[i] != NULL; i++) {
        g_auto(GStrv) words = g_strsplit(g_strstrip(lines[i]), " ", 2);

        if (words[0] == NULL)
            continue;
        if (strcmp(words[0], "migrate") == 0)
            start_migration(fake);
        else if (strcmp(words[0], "fail") == 0)
            fail_migration(fake);
        else if (strcmp(words[0], "state") == 0 && words[1] != NULL)
            set_state_by_name(fake, words[1]);
        else if (words[1] != NULL)
            set_knob(fake, words[0], words[1]);
    }
}

/* ---- files ----------------------------------------------------------------------------------- */

static void
fake_free(gpointer data)
{
    Fake *fake = data;

    g_clear_handle_id(&fake->tick_source, g_source_remove);
    g_clear_handle_id(&fake->reply_source, g_source_remove);
    if (fake->measure_source != 0) {
        g_source_remove(fake->measure_source);
        g_queue_push_tail(fake->replies, g_memdup2(&fake->measuring, sizeof fake->measuring));
    }
    while (fake->replies->length > 0) {
        Reply *reply = g_queue_pop_head(fake->replies);
        if (reply->error == NULL)
            reply->error = g_error_new_literal(MIGD_ERROR, MIGD_ERROR_BACKEND_LOST, "it is gone");
        send_reply(fake, reply);
    }
    g_queue_free(fake->replies);
    migd_sim_free(fake->sim);
    migd_scenario_free(fake->scenario);
    g_free(fake->path);
    g_free(fake->uuid);
    g_free(fake);
}

static void
add_file(FakeBackend *backend, const char *path)
{
    g_autofree char *text = NULL;
    g_autoptr(GError) error = NULL;
    MigdScenario *scenario = NULL;
    gsize length;
    Fake *fake;

    if (g_hash_table_contains(backend->domains, path))
        return;
    if (g_file_get_contents(path, &text, &length, &error))
        scenario = migd_scenario_parse(text, length, &error);
    if (scenario == NULL) {
        migd_log(MIGD_LOG_WARNING, NULL, "%s: %s", path, error->message);
        return;
    }
    fake = g_new0(Fake, 1);
    fake->base.backend = &backend->base;
    fake->path = g_strdup(path);
    fake->uuid = migd_uuid_from_name(path);
    fake->scenario = scenario;
    fake->sim = migd_sim_new(scenario);
    fake->replies = g_queue_new();
    fake->info = (MigdDomainInfo){
        .uuid = fake->uuid,
        .name = scenario->name,
        .state = MIGD_DOMAIN_RUNNING,
        .memory_bytes = (guint64)scenario->initial[MIGD_SCN_MEMORY],
        .supports = KNOBS_HAS,
    };
    g_hash_table_insert(backend->domains, fake->path, fake);
    backend->listener->domain_added(&fake->base, backend->user_data);
}

static void
remove_file(FakeBackend *backend, const char *path)
{
    Fake *fake = g_hash_table_lookup(backend->domains, path);

    if (fake == NULL)
        return;
    backend->listener->domain_removed(&fake->base, backend->user_data);
    g_hash_table_remove(backend->domains, path);
}

static void
on_file(GFileMonitor *monitor, GFile *file, GFile *other, GFileMonitorEvent event,
        gpointer user_data)
{
    FakeBackend *backend = user_data;
    g_autofree char *path = g_file_get_path(file);
    g_autofree char *scenario = NULL;
    Fake *fake;

    if (g_str_has_suffix(path, SUFFIX) && event == G_FILE_MONITOR_EVENT_DELETED)
        remove_file(backend, path);
    if (event != G_FILE_MONITOR_EVENT_MOVED_IN && event != G_FILE_MONITOR_EVENT_RENAMED &&
        event != G_FILE_MONITOR_EVENT_CHANGES_DONE_HINT)
        return;
    if (event == G_FILE_MONITOR_EVENT_RENAMED) {
        g_free(path);
        path = g_file_get_path(other);
    }
    if (g_str_has_suffix(path, SUFFIX))
        add_file(backend, path);
    if (!g_str_has_suffix(path, SUFFIX_DO))
        return;
    path[strlen(path) - strlen(SUFFIX_DO)] = '\0';
    scenario = g_strconcat(path, SUFFIX, NULL);
    path[strlen(path)] = SUFFIX_DO[0];
    fake = g_hash_table_lookup(backend->domains, scenario);
    if (fake != NULL)
        run_commands(fake, path);
}

static gboolean
fake_start(MigdBackend *base, const MigdBackendListener *listener, gpointer user_data,
           GError **error)
{
    FakeBackend *backend = (FakeBackend *)base;
    g_autoptr(GFile) directory = g_file_new_for_path(backend->directory);
    g_autoptr(GPtrArray) paths =
        migd_list_files(backend->directory, SUFFIX, /* must_exist= */ TRUE, error);

    backend->listener = listener;
    backend->user_data = user_data;
    if (paths == NULL)
        return FALSE;
    backend->monitor = g_file_monitor_directory(directory, G_FILE_MONITOR_WATCH_MOVES, NULL, error);
    if (backend->monitor == NULL)
        return FALSE;
    g_signal_connect(backend->monitor, "changed", G_CALLBACK(on_file), backend);
    for (guint i = 0; i < paths->len; i++)
        add_file(backend, paths->pdata[i]);
    return TRUE;
}

static void
fake_backend_free(MigdBackend *base)
{
    FakeBackend *backend = (FakeBackend *)base;

    g_clear_object(&backend->monitor);
    g_hash_table_unref(backend->domains);
    g_free(backend->directory);
    g_free(backend);
}

MigdBackend *
migd_backend_fake_new(const char *directory)
{
    static const MigdBackendOps ops = {
        .name = "fake",
        .free = fake_backend_free,
        .start = fake_start,
        .info = fake_info,
        .check_destination = migd_destination_check,
        .query = fake_query,
        .read_knobs = fake_read_knobs,
        .write_knobs = fake_write_knobs,
        .migrate = fake_migrate,
        .act = fake_act,
        .measure = fake_measure,
    };
    FakeBackend *backend = g_new0(FakeBackend, 1);

    backend->base.ops = &ops;
    backend->directory = g_strdup(directory);
    backend->domains = g_hash_table_new_full(g_str_hash, g_str_equal, NULL, fake_free);
    return &backend->base;
}

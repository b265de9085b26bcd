/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * One engine on one real QEMU: does for a peer what the daemon does for the policy, through the
 * daemon's own backend port, and prints the account of the run in the words of `migrationctl
 * simulate`. It sets nothing up and checks no memory: tests/harness/bench_order.py does.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "cli/profile.h"
#include "cli/simulate.h"
#include "daemon/backend.h"
#include "peers/peers.h"

/* At least this often QEMU is asked, engine or not, to keep account of throttle and status. */
#define WATCH_US (G_USEC_PER_SEC / 4)

/* QEMU says completed a moment before it knows the figures. */
#define SETTLE_US 10000

#define COMMAND_TIMEOUT_MS 5000
#define CONNECT_TIMEOUT_S 10
#define CANCEL_TIMEOUT_S 5

/* A reading that is wanted. */
typedef struct {
    gboolean wanted, sync, look;
    gint64 time_us; /* of the sync; else of the asking */
} Ask;

typedef struct {
    GMainLoop *loop;
    MigdDomain *domain;
    const char *name, *uri;
    const MigdScenario *scenario;
    const MigdProfile *profile;
    const MigdEngine *engine;
    gpointer state; /* of the engine; NULL before the start (and where it holds none) */
    MigdKnobs knobs;
    MigdRun *run;
    gint64 start_us, look_us; /* CLOCK_MONOTONIC: of the start, and of the next look */
    gboolean begun, over;
    Ask now, next; /* the reading under way, and the one after it */
    MigdSample last;
    MigdDecision decision; /* being carried out */
    guint actions;         /* at this look */
    guint timer;
    guint guard; /* ends it when the domain never shows up */
    GError *error;
} Live;

static gboolean list;
static char *qmp_dir, *domain_name, *uri, *engine_name, *profile_name;
static char **files;

static const GOptionEntry entries[] = {
    {"qmp", 0, 0, G_OPTION_ARG_FILENAME, &qmp_dir, "Where the source's socket is", "DIRECTORY"},
    {"domain", 0, 0, G_OPTION_ARG_STRING, &domain_name, "The source: its socket's name", "NAME"},
    {"destination", 0, 0, G_OPTION_ARG_STRING, &uri, "Where the guest goes", "URI"},
    {"engine", 0, 0, G_OPTION_ARG_STRING, &engine_name, "Who steers", "NAME"},
    {"profile", 0, 0, G_OPTION_ARG_STRING, &profile_name, "Name or file (default)", "P"},
    {"list", 0, 0, G_OPTION_ARG_NONE, &list, "Only name the engines", NULL},
    {G_OPTION_REMAINING, 0, 0, G_OPTION_ARG_FILENAME_ARRAY, &files, NULL, "SCENARIO"},
    G_OPTION_ENTRY_NULL,
};

static void ask(Live *live, Ask wish);

static void
stop(Live *live, const GError *error)
{
    if (error != NULL && live->error == NULL)
        live->error = g_error_copy(error);
    g_main_loop_quit(live->loop);
}

/* ---- the clock ------------------------------------------------------------------------------- */

static gboolean
on_time(gpointer user_data)
{
    Live *live = user_data;
    gint64 now_us = g_get_monotonic_time();
    gboolean look = now_us >= live->look_us;

    live->timer = 0;
    if (look)
        live->look_us += live->engine->poll_us;
    ask(live, (Ask){.look = look, .time_us = now_us});
    return G_SOURCE_REMOVE;
}

static void
set_timer(Live *live, gint64 most_us)
{
    gint64 wait_us = CLAMP(live->look_us - g_get_monotonic_time(), 0, most_us);

    g_clear_handle_id(&live->timer, g_source_remove);
    live->timer = g_timeout_add((guint)((wait_us + 999) / 1000), on_time, live);
}

/* ---- the end --------------------------------------------------------------------------------- */

static void
finish(Live *live, const MigdSample *sample)
{
    live->over = TRUE;
    migd_run_finish(live->run, sample, live->scenario->time_limit_s);
}

static gboolean
on_never_cancelled(gpointer user_data)
{
    stop(user_data, NULL);
    return G_SOURCE_REMOVE;
}

static void
on_cancelled(const GError *error, gpointer user_data)
{
    stop(user_data, NULL);
}

/* The time is up: what it cost is known, the rest is tidying up. */
static void
give_up(Live *live, const MigdSample *sample)
{
    MigdDecision abort = {.action = MIGD_ACTION_ABORT};

    finish(live, sample);
    g_timeout_add_seconds(CANCEL_TIMEOUT_S, on_never_cancelled, live);
    live->domain->backend->ops->act(live->domain, &abort, 0, on_cancelled, live);
}

/* ---- readings -------------------------------------------------------------------------------- */

static void
keep_account(Live *live, const MigdSample *sample)
{
    double seconds = (double)MAX(sample->time_us - live->last.time_us, 0) / G_USEC_PER_SEC;

    if (live->last.status == MIGD_STATUS_POSTCOPY)
        live->run->pull_s += seconds;
    else
        live->run->throttle_s += seconds * live->last.throttle_pct / 100;
    live->run->most_throttle_pct = MAX(live->run->most_throttle_pct, sample->throttle_pct);
    live->last = *sample;
}

static void
done_looking(Live *live)
{
    live->now = (Ask){0};
    live->actions = 0;
    if (live->next.wanted) {
        Ask wish = live->next;

        live->next = (Ask){0};
        ask(live, wish);
        return;
    }
    set_timer(live, WATCH_US);
}

static void
on_acted(const GError *error, gpointer user_data)
{
    Live *live = user_data;

    if (error == NULL)
        migd_run_note_action(live->run, live->decision.action);
    if (live->engine->note != NULL)
        live->engine->note(live->state, &live->decision, live->last.time_us, error == NULL);
    if (error != NULL || ++live->actions == MIGD_RUN_MAX_ACTIONS) {
        done_looking(live);
        return;
    }
    live->now.wanted = FALSE;
    ask(live, (Ask){.look = TRUE, .time_us = g_get_monotonic_time()});
}

static void
look(Live *live)
{
    live->decision = live->engine->look(live->state, &live->last);
    migd_run_note_decision(live->run, &live->decision);
    if (live->decision.action == MIGD_ACTION_WAIT)
        done_looking(live);
    else
        live->domain->backend->ops->act(live->domain, &live->decision, live->last.throttle_pct,
                                        on_acted, live);
}

static void
on_sample(const MigdSample *seen, const GError *error, gpointer user_data)
{
    Live *live = user_data;

    if (live->over)
        return;
    if (error != NULL) {
        stop(live, error);
        return;
    }
    MigdSample sample = *seen;
    sample.time_us = live->now.time_us - live->start_us;
    if (live->now.sync)
        sample.has |= MIGD_HAS_SYNC;
    gboolean settled = migd_sample_has(&sample, MIGD_HAS_DOWNTIME) && sample.elapsed_us > 0;
    if (sample.status == MIGD_STATUS_COMPLETED && !settled) {
        live->now = (Ask){0};
        set_timer(live, SETTLE_US);
        return;
    }
    if (sample.status == MIGD_STATUS_COMPLETED)
        sample.time_us = (gint64)sample.elapsed_us;
    keep_account(live, &sample);
    if (migd_status_is_end(sample.status)) {
        finish(live, &sample);
        stop(live, NULL);
    } else if ((double)sample.time_us / G_USEC_PER_SEC >= live->scenario->time_limit_s) {
        give_up(live, &sample);
    } else if (live->now.look) {
        look(live);
    } else {
        done_looking(live);
    }
}

static void
ask(Live *live, Ask wish)
{
    wish.wanted = TRUE;
    if (live->now.wanted) { /* the newest sync, and a look if any wants one */
        wish.look = wish.look || live->next.look;
        if (!wish.sync && live->next.sync) {
            wish.sync = TRUE;
            wish.time_us = live->next.time_us;
        }
        live->next = wish;
        return;
    }
    live->now = wish;
    live->domain->backend->ops->query(live->domain, on_sample, live);
}

/* ---- the start ------------------------------------------------------------------------------- */

static void
on_cocked(const GError *error, gpointer user_data)
{
    Live *live = user_data;

    if (error != NULL) {
        stop(live, error);
        return;
    }
    ask(live, (Ask){.look = TRUE, .time_us = g_get_monotonic_time()});
    live->look_us += live->engine->poll_us;
}

/* The port starts migrations the daemon's way, with a throttle of its own; the engine's replaces it
 * long before QEMU first judges, which is after a second. */
static void
on_started(const GError *error, gpointer user_data)
{
    Live *live = user_data;

    if (error != NULL) {
        stop(live, error);
        return;
    }
    live->domain->backend->ops->write_knobs(live->domain, &live->knobs, MIGD_KNOBS_THROTTLE,
                                            on_cocked, live);
}

static void
on_written(const GError *error, gpointer user_data)
{
    Live *live = user_data;
    MigdStartOptions options = {
        .destination = live->uri,
        .allow_postcopy = live->knobs.postcopy,
        .allow_throttle = live->knobs.auto_converge,
    };

    if (error != NULL) {
        stop(live, error);
        return;
    }
    live->start_us = live->look_us = g_get_monotonic_time();
    live->domain->backend->ops->migrate(live->domain, &options, on_started, live);
}

static void
on_knobs(const MigdKnobs *knobs, const GError *error, gpointer user_data)
{
    Live *live = user_data;
    MigdEngineGuest guest = migd_run_guest(live->scenario, live->profile);

    if (error != NULL) {
        stop(live, error);
        return;
    }
    live->knobs = *knobs;
    live->knobs.max_bandwidth_bps = (guint64)live->scenario->initial[MIGD_SCN_MAX_BANDWIDTH];
    live->state = live->engine->start(&guest, &live->knobs);
    live->domain->backend->ops->write_knobs(
        live->domain, &live->knobs, MIGD_KNOB_DOWNTIME | MIGD_KNOB_BANDWIDTH, on_written, live);
}

static void
on_domain(MigdDomain *domain, gpointer user_data)
{
    Live *live = user_data;
    const MigdDomainInfo *info = domain->backend->ops->info(domain);

    if (live->begun || strcmp(info->name, live->name) != 0 || info->state != MIGD_DOMAIN_RUNNING)
        return;
    live->begun = TRUE;
    live->domain = domain;
    domain->backend->ops->read_knobs(domain, on_knobs, live);
}

static void
on_removed(MigdDomain *domain, gpointer user_data)
{
    Live *live = user_data;
    g_autoptr(GError) error =
        g_error_new(MIGD_ERROR, MIGD_ERROR_BACKEND_LOST, "%s is gone", live->name);

    if (domain == live->domain)
        stop(live, error);
}

static void
on_event(MigdDomain *domain, MigdEventKind kind, guint64 argument, gpointer user_data)
{
    Live *live = user_data;
    gboolean pass = kind == MIGD_EVENT_PASS;

    if (domain != live->domain || live->start_us == 0 || live->over)
        return;
    ask(live, (Ask){.sync = pass,
                    .look = pass && live->engine->at_syncs,
                    .time_us = g_get_monotonic_time()});
}

static gboolean
on_no_domain(gpointer user_data)
{
    Live *live = user_data;
    g_autoptr(GError) error = g_error_new(MIGD_ERROR, MIGD_ERROR_TIMED_OUT,
                                          "no running domain \"%s\" in %s", live->name, qmp_dir);

    live->guard = 0;
    if (!live->begun)
        stop(live, error);
    return G_SOURCE_REMOVE;
}

static gboolean
drive(Live *live, GError **error)
{
    static const MigdBackendListener listener = {.domain_added = on_domain,
                                                 .domain_changed = on_domain,
                                                 .domain_removed = on_removed,
                                                 .event = on_event};
    MigdBackend *backend = migd_backend_qmp_new(qmp_dir, COMMAND_TIMEOUT_MS);

    live->loop = g_main_loop_new(NULL, FALSE);
    live->guard = g_timeout_add_seconds(CONNECT_TIMEOUT_S, on_no_domain, live);
    if (backend->ops->start(backend, &listener, live, error))
        g_main_loop_run(live->loop);
    g_clear_handle_id(&live->guard, g_source_remove);
    live->domain = NULL;
    live->over = TRUE;
    migd_backend_free(backend);
    g_main_loop_unref(live->loop);
    if (live->error != NULL)
        g_propagate_error(error, g_steal_pointer(&live->error));
    return *error == NULL;
}

static gboolean
read_options(int argc, char **argv, GError **error)
{
    g_autoptr(GOptionContext) context = g_option_context_new("- one engine on one real QEMU");

    g_option_context_add_main_entries(context, entries, NULL);
    if (!g_option_context_parse(context, &argc, &argv, error))
        return FALSE;
    if (list)
        return TRUE;
    if (qmp_dir == NULL || domain_name == NULL || uri == NULL || engine_name == NULL ||
        files == NULL || files[1] != NULL) {
        g_set_error(error, MIGD_ERROR, MIGD_ERROR_INVALID_ARGUMENT,
                    "--qmp, --domain, --destination, --engine and one scenario are needed");
        return FALSE;
    }
    return TRUE;
}

static gboolean
run(GError **error)
{
    g_autoptr(MigdRun) account = migd_run_new();
    MigdProfile profile;

    if (!migd_profile_read(profile_name != NULL ? profile_name : "default", &profile, error))
        return FALSE;
    g_autoptr(MigdScenario) scenario = migd_scenario_read(files[0], error);
    if (scenario == NULL)
        return FALSE;
    Live live = {
        .name = domain_name,
        .uri = uri,
        .scenario = scenario,
        .profile = &profile,
        .engine = migd_engine_find(engine_name),
        .run = account,
    };
    if (live.engine == NULL) {
        g_set_error(error, MIGD_ERROR, MIGD_ERROR_INVALID_ARGUMENT, "unknown engine \"%s\"",
                    engine_name);
        return FALSE;
    }
    gboolean ok = drive(&live, error);
    if (live.state != NULL)
        live.engine->free(live.state);
    if (!ok)
        return FALSE;
    g_autoptr(MigdJson) object =
        migd_run_to_json(scenario, engine_name, account, /* with_decisions= */ TRUE);
    g_autofree char *text = migd_json_to_string(object, MIGD_JSON_SHORT);
    puts(text);
    return TRUE;
}

int
main(int argc, char **argv)
{
    g_autoptr(GError) error = NULL;

    gboolean ok = read_options(argc, argv, &error);

    for (guint i = 0; ok && list && migd_engines[i] != NULL; i++)
        puts(migd_engines[i]->name);
    if (ok && (list || run(&error)))
        return EXIT_SUCCESS;
    fprintf(stderr, "%s: %s\n", argv[0], error->message);
    return EXIT_FAILURE;
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The registry of the daemon. Decides nothing about a migration: that is the watch's and the
 * policy's.
 */
#include "daemon/manager-private.h"

#include <string.h>

#include "base/error.h"
#include "base/text.h"
#include "daemon/batch.h"

/* ---- what others ask ------------------------------------------------------------------------- */

const MigdConfig *
migd_manager_config(const MigdManager *manager)
{
    return manager->config;
}

gboolean
migd_manager_observes(const MigdManager *manager)
{
    return manager->observe;
}

gboolean
migd_manager_observes_domain(const MigdManager *manager, const char *domain_uuid)
{
    return manager->observe ||
           migd_holds_find(manager->holds, domain_uuid, MIGD_HOLD_STEER) != NULL;
}

MigdHolds *
migd_manager_holds(const MigdManager *manager)
{
    return manager->holds;
}

MigdPredictor *
migd_manager_predictor(const MigdManager *manager)
{
    return manager->predictor;
}

const char **
migd_manager_backend_names(const MigdManager *manager)
{
    const char **names = g_new0(const char *, manager->backends->len + 1);

    for (guint i = 0; i < manager->backends->len; i++)
        names[i] = ((MigdBackend *)manager->backends->pdata[i])->ops->name;
    return names;
}

GVariant *
migd_manager_backend_problems(const MigdManager *manager)
{
    GVariantBuilder problems;

    g_variant_builder_init(&problems, G_VARIANT_TYPE("a{ss}"));
    for (guint i = 0; i < manager->backends->len; i++) {
        const MigdBackend *backend = manager->backends->pdata[i];
        const char *why = backend->ops->problem != NULL ? backend->ops->problem(backend) : NULL;

        if (why != NULL)
            g_variant_builder_add(&problems, "{ss}", backend->ops->name, why);
    }
    return g_variant_builder_end(&problems);
}

const MigdProfile *
migd_manager_choose_profile(const MigdManager *manager, const MigdManagedDomain *domain,
                            const char **ret_source)
{
    const MigdDomainInfo *info = domain->domain->backend->ops->info(domain->domain);
    const MigdProfile *profile =
        info->profile != NULL ? migd_profiles_find(manager->config->profiles, info->profile) : NULL;

    if (profile == NULL) /* one of another host's profiles is none here */
        return migd_config_choose(manager->config, domain->uuid, domain->name, ret_source);
    if (ret_source != NULL)
        *ret_source = "metadata";
    return profile;
}

static gint
compare_domains(gconstpointer a, gconstpointer b)
{
    const MigdManagedDomain *x = *(MigdManagedDomain *const *)a,
                            *y = *(MigdManagedDomain *const *)b;
    gint order = strcmp(x->name, y->name);

    return order != 0 ? order : strcmp(x->uuid, y->uuid);
}

static gint
compare_watches(gconstpointer a, gconstpointer b)
{
    const MigdWatchInfo *x = migd_watch_info(*(MigdWatch *const *)a),
                        *y = migd_watch_info(*(MigdWatch *const *)b);

    if (x->start_realtime_us != y->start_realtime_us)
        return x->start_realtime_us < y->start_realtime_us ? -1 : 1;
    return strcmp(x->id, y->id);
}

static GPtrArray *
values_of(GHashTable *table, GCompareFunc compare)
{
    GPtrArray *values = g_ptr_array_new();
    GHashTableIter iter;
    gpointer value;

    g_hash_table_iter_init(&iter, table);
    while (g_hash_table_iter_next(&iter, NULL, &value))
        g_ptr_array_add(values, value);
    g_ptr_array_sort(values, compare);
    return values;
}

GPtrArray *
migd_manager_domains(MigdManager *manager)
{
    return values_of(manager->domains, compare_domains);
}

GPtrArray *
migd_manager_migrations(MigdManager *manager)
{
    return values_of(manager->watches, compare_watches);
}

MigdManagedDomain *
migd_manager_find_domain(MigdManager *manager, const char *name, GError **error)
{
    MigdManagedDomain *found = g_hash_table_lookup(manager->domains, name);
    GHashTableIter iter;
    gpointer value;

    if (found != NULL)
        return found;
    g_hash_table_iter_init(&iter, manager->domains);
    while (g_hash_table_iter_next(&iter, NULL, &value)) {
        MigdManagedDomain *domain = value;

        if (strcmp(domain->name, name) != 0)
            continue;
        if (found != NULL) {
            g_set_error(error, MIGD_ERROR, MIGD_ERROR_INVALID_ARGUMENT,
                        "more than one domain is named \"%s\": use the UUID", domain->name);
            return NULL;
        }
        found = domain;
    }
    if (found == NULL) {
        g_autofree char *clean = migd_text_clean(name);
        g_set_error(error, MIGD_ERROR, MIGD_ERROR_NO_SUCH_DOMAIN,
                    "no domain has the name or UUID \"%s\"", clean);
    }
    return found;
}

MigdWatch *
migd_manager_find_migration(MigdManager *manager, const char *id, GError **error)
{
    MigdWatch *watch = g_hash_table_lookup(manager->watches, id);

    if (watch == NULL) {
        g_autofree char *clean = migd_text_clean(id);
        g_set_error(error, MIGD_ERROR, MIGD_ERROR_NO_SUCH_MIGRATION,
                    "no migration has the id \"%s\"", clean);
    }
    return watch;
}

/* ---- life of a migration --------------------------------------------------------------------- */

static guint
count_running(const MigdManager *manager)
{
    return g_hash_table_size(manager->watches) - manager->finished->length;
}

void
migd_manager_tell_counts(MigdManager *manager)
{
    migd_notify_counts(manager->notify, count_running(manager),
                       g_hash_table_size(manager->domains));
}

static void
prune(MigdManager *manager)
{
    migd_traces_prune(manager->trace_directory, manager->config->trace_keep, manager->watches);
}

/* Takes the oldest finished migration off the bus. */
static void
drop_oldest(MigdManager *manager)
{
    MigdWatch *watch = g_queue_pop_head(manager->finished);
    const MigdWatchInfo *info = migd_watch_info(watch);
    MigdManagedDomain *domain = g_hash_table_lookup(manager->domains, info->domain_uuid);

    if (domain != NULL && domain->watch == watch) {
        g_clear_pointer(&domain->watch, migd_watch_unref);
        manager->listener->domain_changed(domain, manager->user_data);
    }
    manager->listener->migration_removed(watch, manager->user_data);
    g_hash_table_remove(manager->watches, info->id);
}

static gboolean
finished_expired(gpointer user_data)
{
    MigdManager *manager = user_data;

    /* One timer each, all of the same length: the oldest is the one that is due. */
    g_queue_pop_head(manager->expiry_sources);
    drop_oldest(manager);
    prune(manager);
    return G_SOURCE_REMOVE;
}

static void
on_finished(MigdWatch *watch, gpointer user_data)
{
    MigdManager *manager = user_data;
    guint source = g_timeout_add_seconds(MIGD_KEEP_FINISHED_S, finished_expired, manager);

    migd_predictor_learn(manager->predictor, watch);
    manager->listener->watch.finished(watch, manager->user_data);
    g_queue_push_tail(manager->finished, watch);
    g_queue_push_tail(manager->expiry_sources, GUINT_TO_POINTER(source));
    if (manager->finished->length > MIGD_KEEP_FINISHED_MAX) {
        g_source_remove(GPOINTER_TO_UINT(g_queue_pop_head(manager->expiry_sources)));
        drop_oldest(manager);
    }
    prune(manager);
    migd_manager_tell_counts(manager);
    migd_batches_advance(manager);
}

static void
on_changed(MigdWatch *watch, gpointer user_data)
{
    MigdManager *manager = user_data;
    manager->listener->watch.changed(watch, manager->user_data);
}

static void
on_passed(MigdWatch *watch, guint64 pass, gpointer user_data)
{
    MigdManager *manager = user_data;
    manager->listener->watch.passed(watch, pass, manager->user_data);
}

static void
on_decided(MigdWatch *watch, const MigdDecision *decision, const char *text, gboolean enforced,
           gpointer user_data)
{
    MigdManager *manager = user_data;
    manager->listener->watch.decided(watch, decision, text, enforced, manager->user_data);
}

static const MigdWatchListener watch_listener = {on_changed, on_passed, on_decided, on_finished};

MigdWatch *
migd_manager_add_watch(MigdManager *manager, MigdManagedDomain *domain, MigdDomain *hypervisor,
                       const MigdWatchSetup *setup)
{
    MigdWatch *watch = migd_watch_new(hypervisor, setup, &watch_listener, manager);

    g_hash_table_insert(manager->watches, migd_watch_info(watch)->id, watch);
    if (domain != NULL) {
        migd_watch_unref(domain->watch);
        domain->watch = migd_watch_ref(watch);
    }
    manager->listener->migration_new(watch, manager->user_data);
    if (domain != NULL)
        manager->listener->domain_changed(domain, manager->user_data);
    migd_manager_tell_counts(manager);
    return watch;
}

/* ---- starting one ---------------------------------------------------------------------------- */

static gboolean
check_state(const MigdManagedDomain *domain, GError **error)
{
    static const struct {
        MigdError code;
        const char *why; /* NULL = may be migrated */
    } rows[] = {
        [MIGD_DOMAIN_CONNECTING] = {MIGD_ERROR_BACKEND_LOST, "its hypervisor does not answer yet"},
        [MIGD_DOMAIN_RUNNING] = {0, NULL},
        [MIGD_DOMAIN_PAUSED] = {0, NULL},
        [MIGD_DOMAIN_INCOMING] = {MIGD_ERROR_NOT_SUPPORTED, "it waits for a migration itself"},
        [MIGD_DOMAIN_SHUTOFF] = {MIGD_ERROR_NOT_SUPPORTED, "its guest does not run here"},
        [MIGD_DOMAIN_UNRESPONSIVE] = {MIGD_ERROR_BACKEND_LOST, "its hypervisor does not answer"},
        [MIGD_DOMAIN_FAULTY] = {MIGD_ERROR_BACKEND_LOST, "its hypervisor broke the protocol"},
    };
    const MigdDomainInfo *info = domain->domain->backend->ops->info(domain->domain);
    MigdDomainState state = info->state;

    if (rows[state].why == NULL)
        return TRUE;
    g_set_error(error, MIGD_ERROR, (gint)rows[state].code, "%s cannot be migrated: %s%s%s",
                domain->name, rows[state].why, info->problem != NULL ? ": " : "",
                info->problem != NULL ? info->problem : "");
    return FALSE;
}

static gboolean
check_id(MigdManager *manager, const char *id, GError **error)
{
    g_autofree char *path = NULL;

    if (!migd_text_is_uuid(id)) {
        g_set_error(error, MIGD_ERROR, MIGD_ERROR_INVALID_ARGUMENT,
                    "option \"id\": not a UUID in lower case");
        return FALSE;
    }
    path = migd_traces_path(manager->trace_directory, id);
    if (g_hash_table_contains(manager->watches, id) || g_file_test(path, G_FILE_TEST_EXISTS)) {
        g_set_error(error, MIGD_ERROR, MIGD_ERROR_INVALID_ARGUMENT,
                    "option \"id\": a migration has it already");
        return FALSE;
    }
    return TRUE;
}

static gboolean
check_holds(const MigdManager *manager, const MigdManagedDomain *domain, GError **error)
{
    const MigdHold *hold = migd_holds_find(manager->holds, domain->uuid, MIGD_HOLD_MIGRATE);

    if (hold != NULL)
        g_set_error(error, MIGD_ERROR, MIGD_ERROR_HELD, "%s is held by %s: %s", domain->name,
                    hold->who, hold->why);
    return hold == NULL;
}

gboolean
migd_manager_is_migrating(const MigdManagedDomain *domain)
{
    return domain->watch != NULL && !migd_watch_is_finished(domain->watch);
}

gboolean
migd_manager_may_begin(const MigdManager *manager, const MigdManagedDomain *domain, GError **error)
{
    return check_state(domain, error) && check_holds(manager, domain, error);
}

MigdWatch *
migd_manager_prepare(MigdManager *manager, MigdManagedDomain *domain,
                     const MigdMigrateRequest *request, gboolean queued, GError **error)
{
    MigdWatchSetup setup = {
        .id = request->id,
        .domain_uuid = domain->uuid,
        .domain_name = domain->name,
        .origin = "migrationd",
        .destination = request->destination,
        .migrate_uri = request->migrate_uri,
        .connections = request->connections,
        .queued = queued,
        .profile = request->profile,
        .costs = migd_predictor_costs(manager->predictor, domain->uuid, request->destination),
        .observe = migd_manager_observes_domain(manager, domain->uuid)};

    if (!check_id(manager, setup.id, error))
        return NULL;
    if (migd_manager_is_migrating(domain) || domain->taking_up) {
        g_set_error(error, MIGD_ERROR, MIGD_ERROR_MIGRATION_IN_PROGRESS, "%s is being migrated",
                    domain->name);
        return NULL;
    }
    if (!migd_manager_may_begin(manager, domain, error))
        return NULL;
    setup.trace_path = migd_traces_path(manager->trace_directory, setup.id);
    return migd_manager_add_watch(manager, domain, domain->domain, &setup);
}

gboolean
migd_manager_migrate(MigdManager *manager, MigdManagedDomain *domain,
                     const MigdMigrateRequest *request, MigdDoneFunc done, gpointer user_data,
                     GError **error)
{
    MigdWatch *watch = migd_manager_prepare(manager, domain, request, /* queued= */ FALSE, error);

    if (watch == NULL)
        return FALSE;
    migd_watch_start(watch, request->allow_postcopy, done, user_data);
    migd_predictor_expect(manager->predictor, watch, request->allow_postcopy);
    return TRUE;
}

/* ---- configuration --------------------------------------------------------------------------- */

void
migd_manager_set_observe(MigdManager *manager, gboolean observe)
{
    GHashTableIter iter;
    gpointer watch;

    if (observe == manager->observe)
        return;
    manager->observe = observe;
    migd_log(MIGD_LOG_NOTICE, &(MigdLogFields){.message_id = MIGD_MESSAGE_CONFIG}, "mode is now %s",
             migd_mode_to_string(observe));
    g_hash_table_iter_init(&iter, manager->watches);
    while (g_hash_table_iter_next(&iter, NULL, &watch))
        if (!migd_watch_is_finished(watch))
            migd_watch_set_observe(
                watch, migd_manager_observes_domain(manager, migd_watch_info(watch)->domain_uuid));
    manager->listener->config_changed(manager->user_data);
}

/* A lease on a domain has begun or ended. */
static void
holds_changed(const char *domain_uuid, gpointer user_data)
{
    MigdManager *manager = user_data;
    MigdManagedDomain *domain = g_hash_table_lookup(manager->domains, domain_uuid);

    if (domain == NULL)
        return;
    if (migd_manager_is_migrating(domain))
        migd_watch_set_observe(domain->watch, migd_manager_observes_domain(manager, domain_uuid));
    manager->listener->domain_changed(domain, manager->user_data);
}

static void
take_config(MigdManager *manager, MigdConfig *config)
{
    const MigdConfig *old = manager->config;
    gboolean same_backends = strcmp(config->qmp_directory, old->qmp_directory) == 0 &&
                             config->command_timeout_ms == old->command_timeout_ms &&
                             strcmp(config->libvirt_uri, old->libvirt_uri) == 0 &&
                             config->allow_monitor == old->allow_monitor &&
                             config->call_timeout_ms == old->call_timeout_ms;

    migd_config_free(manager->config);
    manager->config = config;
    migd_journal_set_level(config->log_level);
    migd_log(MIGD_LOG_NOTICE, &(MigdLogFields){.message_id = MIGD_MESSAGE_CONFIG},
             "configuration read again%s",
             same_backends ? ""
                           : "; what changed in [Qmp] and [Libvirt] takes effect after a restart");
    migd_manager_set_observe(manager, config->observe);
    prune(manager);
    manager->listener->config_changed(manager->user_data);
}

gboolean
migd_manager_reload(MigdManager *manager, GError **error)
{
    g_autoptr(GError) cause = NULL;
    MigdConfig *config;

    migd_notify_reloading(manager->notify);
    config = migd_config_read(manager->source, &cause);
    if (config != NULL) {
        take_config(manager, config);
        migd_notify_problem(manager->notify, NULL);
    } else {
        g_autofree char *problem = g_strconcat("configuration refused: ", cause->message, NULL);
        migd_log(MIGD_LOG_ERROR, &(MigdLogFields){.message_id = MIGD_MESSAGE_CONFIG},
                 "%s; the old one stays in force", problem);
        migd_notify_problem(manager->notify, problem);
        g_propagate_error(error, g_steal_pointer(&cause));
    }
    migd_notify_ready(manager->notify);
    return config != NULL;
}

/* ---- life ------------------------------------------------------------------------------------ */

static MigdDomain *
find_for_prediction(const char *uuid, gboolean *ret_busy, gpointer user_data)
{
    MigdManager *manager = user_data;
    MigdManagedDomain *domain =
        manager->stopping ? NULL : g_hash_table_lookup(manager->domains, uuid);

    if (domain == NULL)
        return NULL;
    *ret_busy = (migd_manager_is_migrating(domain) && !migd_watch_is_queued(domain->watch)) ||
                domain->taking_up;
    return domain->domain;
}

static void
measured_for_prediction(const char *uuid, gpointer user_data)
{
    const MigdManager *manager = user_data;
    MigdManagedDomain *domain = g_hash_table_lookup(manager->domains, uuid);

    if (domain != NULL)
        manager->listener->domain_changed(domain, manager->user_data);
}

MigdManager *
migd_manager_new(const MigdConfigSource *source, MigdConfig *config, GPtrArray *backends,
                 const char *state_directory, MigdNotify *notify)
{
    MigdManager *manager = g_new0(MigdManager, 1);

    manager->source = source;
    manager->config = config;
    manager->observe = config->observe;
    manager->backends = backends;
    manager->notify = notify;
    manager->trace_directory = g_build_filename(state_directory, "traces", NULL);
    manager->predictor =
        migd_predictor_new(state_directory, find_for_prediction, measured_for_prediction, manager);
    manager->domains =
        g_hash_table_new_full(g_str_hash, g_str_equal, NULL, migd_managed_domain_free);
    manager->watches =
        g_hash_table_new_full(g_str_hash, g_str_equal, NULL, (GDestroyNotify)migd_watch_unref);
    manager->finished = g_queue_new();
    manager->expiry_sources = g_queue_new();
    manager->left_open = g_ptr_array_new();
    g_queue_init(&manager->batches);
    manager->holds = migd_holds_new(holds_changed, manager);
    return manager;
}

void
migd_manager_set_listener(MigdManager *manager, const MigdManagerListener *listener,
                          gpointer user_data)
{
    manager->listener = listener;
    manager->user_data = user_data;
}

void
migd_manager_free(MigdManager *manager)
{
    GHashTableIter iter;
    gpointer watch;

    if (manager == NULL)
        return;
    manager->stopping = TRUE;
    g_hash_table_iter_init(&iter, manager->watches);
    while (g_hash_table_iter_next(&iter, NULL, &watch))
        migd_watch_detach(watch);
    migd_batches_free(manager);
    migd_predictor_free(manager->predictor);
    g_ptr_array_unref(manager->backends); /* answers what is under way, with errors */
    g_clear_handle_id(&manager->give_up_source, g_source_remove);
    for (GList *l = manager->expiry_sources->head; l != NULL; l = l->next)
        g_source_remove(GPOINTER_TO_UINT(l->data));
    g_queue_free(manager->expiry_sources);
    g_queue_free(manager->finished);
    g_hash_table_unref(manager->domains);
    g_hash_table_unref(manager->watches);
    g_ptr_array_unref(manager->left_open);
    migd_holds_free(manager->holds);
    migd_config_free(manager->config);
    g_free(manager->trace_directory);
    g_free(manager);
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * One function a method, by table. Each runs behind the gate and looks its object up by the path of
 * the call; wrong arguments end here as InvalidArgument.
 */
#include "daemon/bus-evacuate.h"
#include "daemon/bus-predict.h"
#include "daemon/bus-private.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include <gio/gunixfdlist.h>

#include "base/error.h"
#include "base/names.h"
#include "base/text.h"
#include "daemon/options.h"

static void
refuse(GDBusMethodInvocation *invocation, GError *error)
{
    g_dbus_method_invocation_take_error(invocation, error);
}

/* TRUE when `dictionary` is empty: these methods have no options yet. */
static gboolean
take_no_options(GDBusMethodInvocation *invocation, GVariant *dictionary)
{
    GError *error = NULL;

    if (migd_options_read(dictionary, NULL, 0, NULL, &error))
        return TRUE;
    refuse(invocation, error);
    return FALSE;
}

/* The migration of the path that was called; NULL, and the call is answered, if it has left
 * meanwhile. */
static MigdWatch *
called_migration(MigdBus *bus, GDBusMethodInvocation *invocation)
{
    const char *path = g_dbus_method_invocation_get_object_path(invocation);
    g_autofree char *id = g_str_has_prefix(path, MIGD_BUS_MIGRATION_PREFIX)
                              ? g_strdup(path + strlen(MIGD_BUS_MIGRATION_PREFIX))
                              : g_strdup("");
    GError *error = NULL;
    MigdWatch *watch =
        migd_manager_find_migration(bus->manager, g_strdelimit(id, "_", '-'), &error);

    if (watch == NULL)
        refuse(invocation, error);
    return watch;
}

/* ---- Manager --------------------------------------------------------------------------------- */

static void
add_object(GVariantBuilder *list, const char *path, GVariant *values)
{
    g_autoptr(GVariant) own = g_variant_ref_sink(values);
    g_auto(GVariantDict) dict;

    g_variant_dict_init(&dict, own);
    g_variant_dict_insert_value(&dict, "Object", g_variant_new_object_path(path));
    g_variant_builder_add_value(list, g_variant_dict_end(&dict));
}

static void
list_domains(MigdBus *bus, GDBusMethodInvocation *invocation, GVariant *parameters)
{
    g_autoptr(GVariant) options = g_variant_get_child_value(parameters, 0);
    g_autoptr(GPtrArray) domains = NULL;
    GVariantBuilder list;

    if (!take_no_options(invocation, options))
        return;
    domains = migd_manager_domains(bus->manager);
    g_variant_builder_init(&list, G_VARIANT_TYPE("aa{sv}"));
    for (guint i = 0; i < domains->len; i++) {
        const MigdManagedDomain *domain = domains->pdata[i];
        g_autofree char *path = migd_bus_domain_path(domain->uuid);
        add_object(&list, path, migd_bus_domain_values(domain));
    }
    g_dbus_method_invocation_return_value(invocation, g_variant_new("(aa{sv})", &list));
}

static void
list_migrations(MigdBus *bus, GDBusMethodInvocation *invocation, GVariant *parameters)
{
    g_autoptr(GVariant) options = g_variant_get_child_value(parameters, 0);
    g_autoptr(GPtrArray) watches = migd_manager_migrations(bus->manager);
    const char *domain_name = NULL;
    gboolean active = FALSE;
    const MigdOption rows[] = {{"domain", "s", &domain_name}, {"active", "b", &active}};
    const MigdManagedDomain *domain = NULL;
    GVariantBuilder list;
    GError *error = NULL;

    if (migd_options_read(options, rows, G_N_ELEMENTS(rows), NULL, &error) && domain_name != NULL)
        domain = migd_manager_find_domain(bus->manager, domain_name, &error);
    if (error != NULL) {
        refuse(invocation, error);
        return;
    }
    g_variant_builder_init(&list, G_VARIANT_TYPE("aa{sv}"));
    for (guint i = 0; i < watches->len; i++) {
        const MigdWatch *watch = watches->pdata[i];
        g_autofree char *path = migd_bus_migration_path(watch);

        if ((domain == NULL || strcmp(domain->uuid, migd_watch_info(watch)->domain_uuid) == 0) &&
            (!active || !migd_watch_is_finished(watch)))
            add_object(&list, path, migd_bus_migration_values(watch));
    }
    g_dbus_method_invocation_return_value(invocation, g_variant_new("(aa{sv})", &list));
}

static void
get_domain(MigdBus *bus, GDBusMethodInvocation *invocation, GVariant *parameters)
{
    const MigdManagedDomain *domain;
    g_autofree char *path = NULL;
    const char *name;
    GError *error = NULL;

    g_variant_get(parameters, "(&s)", &name);
    domain = migd_manager_find_domain(bus->manager, name, &error);
    if (domain == NULL) {
        refuse(invocation, error);
        return;
    }
    path = migd_bus_domain_path(domain->uuid);
    g_dbus_method_invocation_return_value(invocation, g_variant_new("(o)", path));
}

static void
get_migration(MigdBus *bus, GDBusMethodInvocation *invocation, GVariant *parameters)
{
    g_autofree char *path = NULL;
    const MigdWatch *watch;
    const char *id;
    GError *error = NULL;

    g_variant_get(parameters, "(&s)", &id);
    watch = migd_manager_find_migration(bus->manager, id, &error);
    if (watch == NULL) {
        refuse(invocation, error);
        return;
    }
    path = migd_bus_migration_path(watch);
    g_dbus_method_invocation_return_value(invocation, g_variant_new("(o)", path));
}

gboolean
migd_bus_find_profile(MigdBus *bus, const MigdManagedDomain *domain, const char *name,
                      MigdProfile *ret, GError **error)
{
    const MigdConfig *config = migd_manager_config(bus->manager);
    const MigdProfile *profile = name != NULL
                                     ? migd_profiles_find(config->profiles, name)
                                     : migd_manager_choose_profile(bus->manager, domain, NULL);

    if (profile == NULL) {
        g_auto(GStrv) names = migd_profiles_names(config->profiles);
        g_autofree char *known = g_strjoinv(", ", names);
        g_set_error(error, MIGD_ERROR, MIGD_ERROR_INVALID_ARGUMENT,
                    "option \"profile\": none of the profiles: %s", known);
        return FALSE;
    }
    *ret = *profile;
    return TRUE;
}

static void
get_counters(MigdBus *bus, GDBusMethodInvocation *invocation, GVariant *parameters)
{
    g_dbus_method_invocation_return_value(
        invocation, g_variant_new("(@a(sa{ss}t))", migd_counters_value(bus->counters)));
}

/* The answer is our caller's end of a pipe: the lease lasts as long as it is open. */
static void
hold(MigdBus *bus, GDBusMethodInvocation *invocation, GVariant *parameters)
{
    g_autoptr(GUnixFDList) list = NULL;
    const MigdManagedDomain *domain;
    const char *name, *words, *who, *why;
    GError *error = NULL;
    guint what;
    int fd = -1;

    g_variant_get(parameters, "(&s&s&s&s)", &name, &words, &who, &why);
    domain = migd_manager_find_domain(bus->manager, name, &error);
    if (domain != NULL && migd_hold_what_from_string(words, &what, &error))
        fd = migd_holds_add(migd_manager_holds(bus->manager), domain->uuid, what, who, why,
                            g_dbus_method_invocation_get_sender(invocation), &error);
    if (fd < 0) {
        refuse(invocation, error);
        return;
    }
    list = g_unix_fd_list_new_from_array(&fd, 1); /* takes it */
    g_dbus_method_invocation_return_value_with_unix_fd_list(invocation, g_variant_new("(h)", 0),
                                                            list);
}

static void
reload(MigdBus *bus, GDBusMethodInvocation *invocation, GVariant *parameters)
{
    GError *error = NULL;

    if (migd_manager_reload(bus->manager, &error))
        g_dbus_method_invocation_return_value(invocation, NULL);
    else
        refuse(invocation, error);
}

static void
set_mode(MigdBus *bus, GDBusMethodInvocation *invocation, GVariant *parameters)
{
    GError *error = NULL;
    gboolean observe;
    const char *mode;

    g_variant_get(parameters, "(&s)", &mode);
    if (!migd_mode_from_string(mode, &observe, &error)) {
        refuse(invocation, error);
        return;
    }
    migd_manager_set_observe(bus->manager, observe);
    g_dbus_method_invocation_return_value(invocation, NULL);
}

/* ---- Domain ---------------------------------------------------------------------------------- */

MigdManagedDomain *
migd_bus_called_domain(MigdBus *bus, GDBusMethodInvocation *invocation)
{
    const char *path = g_dbus_method_invocation_get_object_path(invocation);
    g_autofree char *uuid = g_str_has_prefix(path, MIGD_BUS_DOMAIN_PREFIX)
                                ? g_strdup(path + strlen(MIGD_BUS_DOMAIN_PREFIX))
                                : g_strdup("");
    GError *error = NULL;
    MigdManagedDomain *domain =
        migd_manager_find_domain(bus->manager, g_strdelimit(uuid, "_", '-'), &error);

    if (domain == NULL)
        refuse(invocation, error);
    return domain;
}

static void
done(const GError *error, gpointer user_data)
{
    GDBusMethodInvocation *invocation = user_data;

    if (error != NULL)
        g_dbus_method_invocation_return_gerror(invocation, error);
    else
        g_dbus_method_invocation_return_value(invocation, NULL);
}

/* These two need the hypervisor's own job, which a migration holds for itself. */
static gboolean
is_idle(const MigdManagedDomain *domain, gboolean supported, GError **error)
{
    gboolean migrating = domain->watch != NULL && !migd_watch_is_finished(domain->watch);

    if (!supported)
        g_set_error(error, MIGD_ERROR, MIGD_ERROR_NOT_SUPPORTED,
                    "not for domains of the backend %s", domain->domain->backend->ops->name);
    else if (migrating)
        g_set_error(error, MIGD_ERROR, MIGD_ERROR_MIGRATION_IN_PROGRESS, "%s is being migrated",
                    domain->name);
    return supported && !migrating;
}

static void
set_profile(MigdBus *bus, GDBusMethodInvocation *invocation, GVariant *parameters)
{
    g_autoptr(GVariant) options = g_variant_get_child_value(parameters, 1);
    MigdManagedDomain *domain = migd_bus_called_domain(bus, invocation);
    const MigdBackendOps *ops = domain != NULL ? domain->domain->backend->ops : NULL;
    gboolean persistent = FALSE;
    const MigdOption rows[] = {{"persistent", "b", &persistent}};
    const char *name;
    GError *error = NULL;
    MigdProfile profile;

    if (domain == NULL)
        return;
    g_variant_get_child(parameters, 0, "&s", &name);
    if (!migd_options_read(options, rows, G_N_ELEMENTS(rows), NULL, &error) ||
        (name[0] != '\0' && !migd_bus_find_profile(bus, domain, name, &profile, &error)) ||
        !is_idle(domain, ops->set_profile != NULL, &error))
        refuse(invocation, error);
    else
        ops->set_profile(domain->domain, name[0] != '\0' ? name : NULL, persistent, done,
                         invocation);
}

static void
measured(const MigdDirtyRate *rate, const GError *error, gpointer user_data)
{
    GDBusMethodInvocation *invocation = user_data;
    GVariantBuilder dict;

    if (error != NULL) {
        g_dbus_method_invocation_return_gerror(invocation, error);
        return;
    }
    g_variant_builder_init(&dict, G_VARIANT_TYPE_VARDICT);
    g_variant_builder_add(&dict, "{sv}", "DirtyRate", g_variant_new_uint64(rate->rate_bps));
    g_dbus_method_invocation_return_value(invocation, g_variant_new("(a{sv})", &dict));
}

static void
measure_dirty_rate(MigdBus *bus, GDBusMethodInvocation *invocation, GVariant *parameters)
{
    g_autoptr(GVariant) options = g_variant_get_child_value(parameters, 0);
    MigdManagedDomain *domain = migd_bus_called_domain(bus, invocation);
    const MigdBackendOps *ops = domain != NULL ? domain->domain->backend->ops : NULL;
    MigdMeasureOptions what = {.mode = "page-sampling"};
    guint32 seconds = 1;
    const MigdOption rows[] = {{"seconds", "u", &seconds}, {"mode", "s", &what.mode}};
    GError *error = NULL;

    if (domain == NULL)
        return;
    if (!migd_options_read(options, rows, G_N_ELEMENTS(rows), NULL, &error) ||
        !is_idle(domain, ops->measure != NULL, &error)) {
        refuse(invocation, error);
        return;
    }
    what.period_ms = MIN(seconds, MIGD_MEASURE_MAX_MS) * 1000; /* refused there if too long */
    ops->measure(domain->domain, &what, measured, invocation);
}

/* ---- Migration ------------------------------------------------------------------------------- */

static void
cancel(MigdBus *bus, GDBusMethodInvocation *invocation, GVariant *parameters)
{
    g_autoptr(GVariant) options = g_variant_get_child_value(parameters, 0);
    MigdWatch *watch = called_migration(bus, invocation);

    if (watch == NULL || !take_no_options(invocation, options))
        return;
    if (migd_watch_info(watch)->state == MIGD_WATCH_POSTCOPY ||
        migd_watch_info(watch)->state == MIGD_WATCH_POSTCOPY_PAUSED)
        g_dbus_method_invocation_return_error(
            invocation, MIGD_ERROR, MIGD_ERROR_NOT_SUPPORTED,
            "in post-copy the guest runs at the destination: only there it can go on");
    else
        migd_watch_request(watch, MIGD_ACTION_ABORT, done, invocation);
}

static void
switch_to_postcopy(MigdBus *bus, GDBusMethodInvocation *invocation, GVariant *parameters)
{
    g_autoptr(GVariant) options = g_variant_get_child_value(parameters, 0);
    MigdWatch *watch = called_migration(bus, invocation);

    if (watch == NULL || !take_no_options(invocation, options))
        return;
    if (migd_watch_is_queued(watch))
        g_dbus_method_invocation_return_error(invocation, MIGD_ERROR, MIGD_ERROR_NOT_SUPPORTED,
                                              "it waits for its turn");
    else if (!migd_watch_can(watch, MIGD_ACTION_POSTCOPY))
        g_dbus_method_invocation_return_error(invocation, MIGD_ERROR, MIGD_ERROR_NOT_SUPPORTED,
                                              "post-copy was not enabled when the migration began");
    else if (!migd_profile_allows(&migd_watch_info(watch)->profile, MIGD_ACTION_POSTCOPY))
        g_dbus_method_invocation_return_error(
            invocation, MIGD_ERROR, MIGD_ERROR_NOT_ALLOWED_BY_PROFILE,
            "profile %s does not allow post-copy", migd_watch_info(watch)->profile.name);
    else
        migd_watch_request(watch, MIGD_ACTION_POSTCOPY, done, invocation);
}

static void
set_limits(MigdBus *bus, GDBusMethodInvocation *invocation, GVariant *parameters)
{
    g_autoptr(GVariant) limits = g_variant_get_child_value(parameters, 0);
    MigdWatch *watch = called_migration(bus, invocation);
    GError *error = NULL;
    MigdProfile profile;

    if (watch == NULL)
        return;
    profile = migd_watch_info(watch)->profile;
    if (migd_watch_is_finished(watch))
        error = g_error_new(MIGD_ERROR, MIGD_ERROR_NOT_SUPPORTED, "the migration has ended");
    if (error != NULL || !migd_options_read(limits, NULL, 0, &profile, &error)) {
        refuse(invocation, error);
        return;
    }
    migd_watch_set_profile(watch, &profile);
    g_dbus_method_invocation_return_value(invocation, NULL);
}

static void
get_stats(MigdBus *bus, GDBusMethodInvocation *invocation, GVariant *parameters)
{
    const MigdWatch *watch = called_migration(bus, invocation);

    if (watch != NULL)
        g_dbus_method_invocation_return_value(invocation,
                                              g_variant_new("(@a{sv})", migd_bus_stats(watch)));
}

static void
open_trace(MigdBus *bus, GDBusMethodInvocation *invocation, GVariant *parameters)
{
    const MigdWatch *watch = called_migration(bus, invocation);
    g_autoptr(GUnixFDList) list = NULL;
    int fd;

    if (watch == NULL)
        return;
    if (migd_watch_info(watch)->incoming) {
        g_dbus_method_invocation_return_error(
            invocation, MIGD_ERROR, MIGD_ERROR_NOT_SUPPORTED,
            "an incoming migration has no trace here: its source keeps it");
        return;
    }
    if (migd_watch_is_queued(watch)) {
        g_dbus_method_invocation_return_error(
            invocation, MIGD_ERROR, MIGD_ERROR_NOT_SUPPORTED,
            "it waits for its turn: there is no trace before it begins");
        return;
    }
    fd = open(migd_watch_info(watch)->trace_path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0) {
        g_dbus_method_invocation_return_error(invocation, MIGD_ERROR, MIGD_ERROR_FAILED,
                                              "there is no trace: %s", g_strerror(errno));
        return;
    }
    list = g_unix_fd_list_new_from_array(&fd, 1); /* takes it */
    g_dbus_method_invocation_return_value_with_unix_fd_list(invocation, g_variant_new("(h)", 0),
                                                            list);
}

/* ---- the table ------------------------------------------------------------------------------- */

static const struct {
    const char *interface, *member;
    MigdBusHandler handler;
} table[] = {
    {MIGD_IFACE_MANAGER, "ListDomains", list_domains},
    {MIGD_IFACE_MANAGER, "ListMigrations", list_migrations},
    {MIGD_IFACE_MANAGER, "GetDomain", get_domain},
    {MIGD_IFACE_MANAGER, "GetMigration", get_migration},
    {MIGD_IFACE_MANAGER, "Migrate", migd_bus_migrate},
    {MIGD_IFACE_MANAGER, "Evacuate", migd_bus_evacuate},
    {MIGD_IFACE_MANAGER, "Predict", migd_bus_predict},
    {MIGD_IFACE_MANAGER, "ListHistory", migd_bus_list_history},
    {MIGD_IFACE_MANAGER, "GetCounters", get_counters},
    {MIGD_IFACE_MANAGER, "Hold", hold},
    {MIGD_IFACE_MANAGER, "Reload", reload},
    {MIGD_IFACE_MANAGER, "SetMode", set_mode},
    {MIGD_IFACE_DOMAIN, "SetProfile", set_profile},
    {MIGD_IFACE_DOMAIN, "MeasureDirtyRate", measure_dirty_rate},
    {MIGD_IFACE_DOMAIN, "EnableFastWriteProtect", migd_bus_enable_write_protect},
    {MIGD_IFACE_MIGRATION, "Cancel", cancel},
    {MIGD_IFACE_MIGRATION, "SwitchToPostcopy", switch_to_postcopy},
    {MIGD_IFACE_MIGRATION, "SetLimits", set_limits},
    {MIGD_IFACE_MIGRATION, "GetStats", get_stats},
    {MIGD_IFACE_MIGRATION, "OpenTrace", open_trace},
};

MigdBusHandler
migd_bus_find_handler(const char *interface, const char *member)
{
    for (guint i = 0; i < G_N_ELEMENTS(table); i++)
        if (g_strcmp0(table[i].interface, interface) == 0 &&
            g_strcmp0(table[i].member, member) == 0)
            return table[i].handler;
    return NULL;
}

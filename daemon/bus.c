/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Objects on the bus: what they show, and when it is sent. What they are asked goes through
 * bus-gate.c.
 */
#include "daemon/bus-private.h"

#include <string.h>

#include "base/error.h"
#include "base/names.h"
#include "daemon/writeprotect.h"
#include "dbus/errors.h"

#define BATCH_MS 1000 /* properties of an object are sent at most once in this time */
#define FLUSH_MS 1000 /* for the last answers */

typedef struct {
    char *path;
    GDBusInterfaceSkeleton *skeleton;
    GVariant *values;   /* the newest, not sent yet; NULL = all is sent */
    guint batch_source; /* sent something less than BATCH_MS ago */
} BusObject;

/* ---- properties ------------------------------------------------------------------------------ */

/* "DomainName" -> "domain-name", as gdbus-codegen names GObject properties. Caller frees. */
static char *
property_name(const char *name)
{
    GString *out = g_string_new(NULL);

    for (const char *p = name; *p != '\0'; p++) {
        if (g_ascii_isupper(*p) && p != name)
            g_string_append_c(out, '-');
        g_string_append_c(out, g_ascii_tolower(*p));
    }
    return g_string_free(out, FALSE);
}

static void
set_values(GDBusInterfaceSkeleton *skeleton, GVariant *values)
{
    GVariantIter iter;
    const char *name;
    GVariant *child;

    g_variant_iter_init(&iter, values);
    while (g_variant_iter_next(&iter, "{&sv}", &name, &child)) {
        g_autoptr(GVariant) value = child;
        g_autofree char *property = property_name(name);
        g_auto(GValue) gvalue = G_VALUE_INIT;

        g_dbus_gvariant_to_gvalue(value, &gvalue);
        g_object_set_property(G_OBJECT(skeleton), property, &gvalue);
    }
}

static void
send_values(BusObject *object)
{
    g_autoptr(GVariant) values = g_steal_pointer(&object->values);

    if (values != NULL)
        set_values(object->skeleton, values);
}

static gboolean
batch_over(gpointer user_data)
{
    BusObject *object = user_data;

    if (object->values != NULL) {
        send_values(object);
        return G_SOURCE_CONTINUE;
    }
    object->batch_source = 0; /* quiet again: no timer */
    return G_SOURCE_REMOVE;
}

static void
update(MigdBus *bus, const char *path, GVariant *values)
{
    BusObject *object = g_hash_table_lookup(bus->objects, path);
    g_autoptr(GVariant) own = g_variant_ref_sink(values);

    if (object == NULL)
        return;
    g_clear_pointer(&object->values, g_variant_unref);
    object->values = g_steal_pointer(&own);
    if (object->batch_source != 0)
        return;
    send_values(object);
    object->batch_source = g_timeout_add(BATCH_MS, batch_over, object);
}

/* ---- objects --------------------------------------------------------------------------------- */

static void
object_free(gpointer data)
{
    BusObject *object = data;

    g_clear_handle_id(&object->batch_source, g_source_remove);
    g_clear_pointer(&object->values, g_variant_unref);
    g_object_unref(object->skeleton);
    g_free(object->path);
    g_free(object);
}

/* Takes `skeleton`. Its first properties travel with the announcement of the object. */
static void export(MigdBus *bus, const char *path, gpointer skeleton, GType interface,
                   GVariant *values)
{
    g_autoptr(MigdDBusObjectSkeleton) exported = migd_dbus_object_skeleton_new(path);
    g_autoptr(GVariant) own = g_variant_ref_sink(values);
    BusObject *object = g_new0(BusObject, 1);

    object->path = g_strdup(path);
    object->skeleton = skeleton;
    migd_bus_guard(bus, skeleton, interface);
    set_values(skeleton, own);
    g_dbus_object_skeleton_add_interface(G_DBUS_OBJECT_SKELETON(exported), skeleton);
    g_hash_table_replace(bus->objects, object->path, object);
    g_dbus_object_manager_server_export(bus->server, G_DBUS_OBJECT_SKELETON(exported));
}

static void
unexport(MigdBus *bus, const char *path)
{
    BusObject *object = g_hash_table_lookup(bus->objects, path);

    if (object == NULL)
        return;
    send_values(object);
    g_dbus_interface_skeleton_flush(object->skeleton);
    g_dbus_object_manager_server_unexport(bus->server, path);
    g_hash_table_remove(bus->objects, path);
}

/* ---- what the manager tells ------------------------------------------------------------------ */

static void
on_domain_added(MigdManagedDomain *domain, gpointer user_data)
{
    MigdBus *bus = user_data;
    g_autofree char *path = migd_bus_domain_path(domain->uuid);

    export(bus, path, migd_dbus_domain_skeleton_new(), MIGD_DBUS_TYPE_DOMAIN,
           migd_bus_domain_values(domain));
}

static void
on_domain_changed(MigdManagedDomain *domain, gpointer user_data)
{
    g_autofree char *path = migd_bus_domain_path(domain->uuid);

    update(user_data, path, migd_bus_domain_values(domain));
}

static void
on_domain_removed(MigdManagedDomain *domain, gpointer user_data)
{
    g_autofree char *path = migd_bus_domain_path(domain->uuid);

    unexport(user_data, path);
}

static void
on_migration_new(MigdWatch *watch, gpointer user_data)
{
    MigdBus *bus = user_data;
    const MigdWatchInfo *info = migd_watch_info(watch);
    g_autofree char *path = migd_bus_migration_path(watch);
    g_autofree char *domain = migd_bus_domain_path(info->domain_uuid);

    export(bus, path, migd_dbus_migration_skeleton_new(), MIGD_DBUS_TYPE_MIGRATION,
           migd_bus_migration_values(watch));
    migd_dbus_manager_emit_migration_new(bus->root, info->id, path, domain);
}

static void
on_migration_removed(MigdWatch *watch, gpointer user_data)
{
    MigdBus *bus = user_data;
    const MigdWatchInfo *info = migd_watch_info(watch);
    g_autofree char *path = migd_bus_migration_path(watch);
    g_autofree char *domain = migd_bus_domain_path(info->domain_uuid);

    unexport(bus, path);
    migd_dbus_manager_emit_migration_removed(bus->root, info->id, path, domain,
                                             migd_result_to_string(info->result),
                                             migd_bus_report(watch));
}

static void
on_changed(MigdWatch *watch, gpointer user_data)
{
    g_autofree char *path = migd_bus_migration_path(watch);

    update(user_data, path, migd_bus_migration_values(watch));
}

static MigdDBusMigration *
find_migration(MigdBus *bus, const MigdWatch *watch)
{
    g_autofree char *path = migd_bus_migration_path(watch);
    BusObject *object = g_hash_table_lookup(bus->objects, path);

    return object != NULL ? MIGD_DBUS_MIGRATION(object->skeleton) : NULL;
}

static void
on_passed(MigdWatch *watch, guint64 pass, gpointer user_data)
{
    MigdDBusMigration *migration = find_migration(user_data, watch);

    if (migration != NULL)
        migd_dbus_migration_emit_pass_completed(migration, (guint)MIN(pass, G_MAXUINT),
                                                migd_bus_pass_details(watch));
}

static void
on_decided(MigdWatch *watch, const MigdDecision *decision, const char *text, gboolean enforced,
           gpointer user_data)
{
    MigdBus *bus = user_data;
    MigdDBusMigration *migration = find_migration(bus, watch);

    migd_counters_decision(bus->counters, migd_action_to_string(decision->action),
                           migd_reason_to_string(decision->reason));
    if (migration != NULL)
        migd_dbus_migration_emit_decided(migration, migd_watch_realtime(decision->time_us),
                                         migd_action_to_string(decision->action),
                                         migd_reason_to_string(decision->reason),
                                         migd_bus_decision_details(decision, text, enforced));
}

/* Who waits for Finished may read the properties right after it: they go first. */
static void
on_finished(MigdWatch *watch, gpointer user_data)
{
    MigdBus *bus = user_data;
    g_autofree char *path = migd_bus_migration_path(watch);
    BusObject *object = g_hash_table_lookup(bus->objects, path);
    const MigdWatchInfo *info = migd_watch_info(watch);

    migd_counters_finished(bus->counters, info->incoming ? "incoming" : "outgoing",
                           migd_result_to_string(info->result), info->write_protect,
                           info->report.total_us, info->report.downtime_us);
    if (object == NULL)
        return;
    g_clear_pointer(&object->values, g_variant_unref);
    object->values = g_variant_ref_sink(migd_bus_migration_values(watch));
    send_values(object);
    g_dbus_interface_skeleton_flush(object->skeleton);
    migd_dbus_migration_emit_finished(MIGD_DBUS_MIGRATION(object->skeleton),
                                      migd_result_to_string(migd_watch_info(watch)->result),
                                      migd_bus_report(watch));
}

static void
on_config_changed(gpointer user_data)
{
    MigdBus *bus = user_data;
    g_auto(GStrv) profiles = migd_profiles_names(migd_manager_config(bus->manager)->profiles);
    g_autoptr(GPtrArray) domains = migd_manager_domains(bus->manager);

    migd_dbus_manager_set_mode(bus->root, migd_mode_to_string(migd_manager_observes(bus->manager)));
    migd_dbus_manager_set_profiles(bus->root, (const char *const *)profiles);
    migd_write_protect_probe();
    migd_dbus_manager_set_host_write_protect(bus->root, migd_bus_host_write_protect());
    for (guint i = 0; i < domains->len; i++)
        on_domain_changed(domains->pdata[i], bus);
}

static void
on_backend_changed(gpointer user_data)
{
    MigdBus *bus = user_data;

    migd_dbus_manager_set_backend_problems(bus->root, migd_manager_backend_problems(bus->manager));
}

static void
on_qmp_fault(MigdQmpFault fault, gpointer user_data)
{
    MigdBus *bus = user_data;

    migd_counters_qmp_fault(bus->counters, migd_qmp_fault_to_string(fault));
}

/* ---- life ------------------------------------------------------------------------------------ */

MigdBus *
migd_bus_new(GDBusConnection *connection, MigdManager *manager, gboolean ask_polkit, GError **error)
{
    static const MigdManagerListener listener = {
        .domain_added = on_domain_added,
        .domain_changed = on_domain_changed,
        .domain_removed = on_domain_removed,
        .migration_new = on_migration_new,
        .migration_removed = on_migration_removed,
        .watch = {on_changed, on_passed, on_decided, on_finished},
        .config_changed = on_config_changed,
        .backend_changed = on_backend_changed,
        .qmp_fault = on_qmp_fault,
    };
    g_autoptr(MigdBus) bus = g_new0(MigdBus, 1);
    g_autofree const char **backends = migd_manager_backend_names(manager);

    migd_dbus_register_errors();
    bus->connection = g_object_ref(connection);
    bus->manager = manager;
    bus->counters = migd_counters_new();
    for (guint fault = 0; fault < MIGD_N_QMP_FAULTS; fault++)
        migd_counters_expect_qmp_fault(bus->counters, migd_qmp_fault_to_string(fault));
    migd_bus_gate_open(bus, ask_polkit);
    bus->objects = g_hash_table_new_full(g_str_hash, g_str_equal, NULL, object_free);
    bus->server = g_dbus_object_manager_server_new(MIGD_BUS_ROOT);
    bus->root = migd_dbus_manager_skeleton_new();
    migd_dbus_manager_set_version(bus->root, MIGD_VERSION);
    migd_dbus_manager_set_backends(bus->root, backends);
    migd_bus_guard(bus, bus->root, MIGD_DBUS_TYPE_MANAGER);
    if (!g_dbus_interface_skeleton_export(G_DBUS_INTERFACE_SKELETON(bus->root), connection,
                                          MIGD_BUS_ROOT, error))
        return NULL;
    bus->log_control = migd_log_control_new(connection, bus->authz, error);
    if (bus->log_control == NULL)
        return NULL;
    bus->dump = migd_bus_dump_new(bus->server, connection);
    migd_manager_set_listener(manager, &listener, bus);
    on_config_changed(bus);
    on_backend_changed(bus);
    return g_steal_pointer(&bus);
}

static void
flushed(GObject *source, GAsyncResult *result, gpointer loop)
{
    (void)g_dbus_connection_flush_finish(G_DBUS_CONNECTION(source), result, NULL);
    g_main_loop_quit(loop);
}

static gboolean
not_flushed(gpointer loop)
{
    g_main_loop_quit(loop);
    return G_SOURCE_REMOVE;
}

/*
 * GDBus writes in a thread of its own, and what it has not written by then ends with the process:
 * the answers of a stopping daemon. A bus that does not read holds up nobody's end for long.
 */
static void
flush(GDBusConnection *connection)
{
    g_autoptr(GMainContext) context = g_main_context_new();
    g_autoptr(GMainLoop) loop = g_main_loop_new(context, FALSE);
    g_autoptr(GSource) late = g_timeout_source_new(FLUSH_MS);

    g_source_set_callback(late, not_flushed, loop, NULL);
    g_source_attach(late, context);
    g_main_context_push_thread_default(context);
    g_dbus_connection_flush(connection, NULL, flushed, loop);
    g_main_loop_run(loop);
    g_main_context_pop_thread_default(context);
    g_source_destroy(late); /* and nobody iterates the context again */
}

void
migd_bus_free(MigdBus *bus)
{
    if (bus == NULL)
        return;
    g_dbus_interface_skeleton_unexport(G_DBUS_INTERFACE_SKELETON(bus->root));
    migd_bus_dump_free(bus->dump);
    migd_log_control_free(bus->log_control);
    migd_bus_gate_close(bus);
    migd_counters_free(bus->counters);
    g_hash_table_unref(bus->objects);
    g_object_unref(bus->server);
    g_object_unref(bus->root);
    flush(bus->connection);
    g_object_unref(bus->connection);
    g_free(bus);
}

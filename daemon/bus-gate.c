/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The gate in front of the methods. All methods of all interfaces end in one closure: the call is
 * queued, authz.c is asked, and only then a handler is found by table. Knows nothing of what the
 * methods do.
 */
#include "daemon/bus-private.h"

#include <string.h>

#include "base/error.h"
#include "base/names.h"
#include "base/text.h"

/* Calls are served when nothing else is ready, and for so long at a time: an event of a hypervisor
 * waits no longer than that and one call. */
#define SLICE_US 2000

static void
allowed(GDBusMethodInvocation *invocation, gpointer user_data)
{
    const char *interface = g_dbus_method_invocation_get_interface_name(invocation);
    const char *member = g_dbus_method_invocation_get_method_name(invocation);
    MigdBusHandler handler = migd_bus_find_handler(interface, member);

    if (handler == NULL)
        g_dbus_method_invocation_return_error(invocation, MIGD_ERROR, MIGD_ERROR_NOT_SUPPORTED,
                                              "%s.%s is not supported", interface, member);
    else
        handler(user_data, invocation, g_dbus_method_invocation_get_parameters(invocation));
}

/* ---- what a call is about, for polkit's rules ------------------------------------------------ */

static void
add_detail(GVariantBuilder *details, const char *name, const char *value)
{
    g_autofree char *clean = migd_text_clean(value);

    g_variant_builder_add(details, "{ss}", name, clean);
}

static void
add_domain(const MigdBus *bus, GVariantBuilder *details, const char *name)
{
    const MigdManagedDomain *domain = migd_manager_find_domain(bus->manager, name, NULL);

    add_detail(details, "domain", domain != NULL ? domain->name : name);
    if (domain != NULL)
        add_detail(details, "domain-uuid", domain->uuid);
}

/* The arguments that are words, under their own names. */
static void
add_arguments(const MigdBus *bus, GVariantBuilder *details, GDBusMethodInvocation *invocation)
{
    const GDBusMethodInfo *info = g_dbus_method_invocation_get_method_info(invocation);
    GVariant *parameters = g_dbus_method_invocation_get_parameters(invocation);

    for (guint i = 0; info != NULL && info->in_args != NULL && info->in_args[i] != NULL; i++) {
        const char *text;

        if (strcmp(info->in_args[i]->signature, "s") != 0)
            continue;
        g_variant_get_child(parameters, i, "&s", &text);
        if (strcmp(info->in_args[i]->name, "domain") == 0)
            add_domain(bus, details, text);
        else
            add_detail(details, info->in_args[i]->name, text);
    }
}

/* The domain whose object, or whose migration's object, was called. */
static void
add_object(const MigdBus *bus, GVariantBuilder *details, const char *path)
{
    gboolean is_domain = g_str_has_prefix(path, MIGD_BUS_DOMAIN_PREFIX);
    gboolean is_migration = g_str_has_prefix(path, MIGD_BUS_MIGRATION_PREFIX);
    g_autofree char *id = g_strdelimit(g_strdup(strrchr(path, '/') + 1), "_", '-');
    const MigdWatch *watch =
        is_migration ? migd_manager_find_migration(bus->manager, id, NULL) : NULL;

    if (is_domain)
        add_domain(bus, details, id);
    if (watch == NULL)
        return;
    add_detail(details, "migration", id);
    add_domain(bus, details, migd_watch_info(watch)->domain_uuid);
}

static GVariant *
details_of(const MigdBus *bus, GDBusMethodInvocation *invocation)
{
    GVariantBuilder details;

    g_variant_builder_init(&details, G_VARIANT_TYPE("a{ss}"));
    add_object(bus, &details, g_dbus_method_invocation_get_object_path(invocation));
    add_arguments(bus, &details, invocation);
    return g_variant_builder_end(&details);
}

void
migd_bus_ask(MigdBus *bus, GDBusMethodInvocation *invocation, const MigdManagedDomain *domain,
             const char *destination, MigdAuthzAnswerFunc answered, gpointer user_data)
{
    GVariantBuilder details;

    g_variant_builder_init(&details, G_VARIANT_TYPE("a{ss}"));
    add_domain(bus, &details, domain->uuid);
    add_detail(&details, "destination", destination);
    migd_authz_ask(bus->authz, invocation, MIGD_IFACE_MANAGER, "Migrate",
                   g_variant_builder_end(&details), answered, user_data);
}

/* ---- the queue ------------------------------------------------------------------------------- */

static void
serve(MigdBus *bus, GDBusMethodInvocation *invocation)
{
    const char *sender = g_dbus_method_invocation_get_sender(invocation);

    if (sender != NULL && migd_quota_has_left(bus->quota, sender)) {
        g_dbus_method_invocation_return_error(invocation, MIGD_ERROR, MIGD_ERROR_FAILED,
                                              "the caller has left");
        return;
    }
    migd_authz_check(bus->authz, invocation,
                     g_dbus_method_invocation_get_interface_name(invocation),
                     g_dbus_method_invocation_get_method_name(invocation),
                     details_of(bus, invocation), allowed, bus);
}

static gboolean
serve_some(gpointer user_data)
{
    MigdBus *bus = user_data;
    gint64 end_us = g_get_monotonic_time() + SLICE_US;

    while (bus->calls->length > 0) {
        serve(bus, g_queue_pop_head(bus->calls));
        if (g_get_monotonic_time() >= end_us)
            break;
    }
    if (bus->calls->length > 0)
        return G_SOURCE_CONTINUE;
    bus->calls_source = 0;
    return G_SOURCE_REMOVE;
}

/* Marshaller of every handle-… signal: instance, invocation, arguments. The arguments are taken
 * from the invocation. */
static void
method_called(GClosure *closure, GValue *ret, guint n_values, const GValue *values, gpointer hint,
              gpointer marshal_data)
{
    MigdBus *bus = closure->data;

    g_value_set_boolean(ret, TRUE);
    /* Held by GDBus until it is answered; quota.c bounds how many there are. */
    g_queue_push_tail(bus->calls, g_value_get_object(&values[1]));
    if (bus->calls_source == 0)
        bus->calls_source = g_idle_add_full(G_PRIORITY_DEFAULT_IDLE, serve_some, bus, NULL);
}

void
migd_bus_guard(MigdBus *bus, gpointer skeleton, GType interface)
{
    g_autofree guint *ids = NULL;
    guint n = 0;

    ids = g_signal_list_ids(interface, &n);
    for (guint i = 0; i < n; i++) {
        if (!g_str_has_prefix(g_signal_name(ids[i]), "handle-"))
            continue;
        GClosure *closure = g_closure_new_simple(sizeof(GClosure), bus);
        g_closure_set_marshal(closure, method_called);
        g_signal_connect_closure_by_id(skeleton, ids[i], 0, closure, /* after= */ FALSE);
    }
}

void
migd_bus_gate_open(MigdBus *bus, gboolean ask_polkit)
{
    bus->quota = migd_quota_new(bus->connection);
    bus->authz = migd_authz_new(bus->connection, bus->quota, ask_polkit);
    bus->calls = g_queue_new();
}

void
migd_bus_gate_close(MigdBus *bus)
{
    GDBusMethodInvocation *invocation;

    bus->stopping = TRUE;
    g_clear_handle_id(&bus->calls_source, g_source_remove);
    while ((invocation = g_queue_pop_head(bus->calls)) != NULL)
        g_dbus_method_invocation_return_error(invocation, MIGD_ERROR, MIGD_ERROR_FAILED,
                                              "the daemon is stopping");
    g_queue_free(bus->calls);
    migd_authz_free(bus->authz);
    migd_quota_free(bus->quota);
}

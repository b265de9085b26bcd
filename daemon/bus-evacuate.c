/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Migrate and Evacuate: their options, and what becomes of each domain. Evacuate asks for the
 * permission of every single domain, as if Migrate had been called for it, and one that is refused
 * stops no other: the answer says of each what has become of it.
 */
#include "daemon/bus-evacuate.h"

#include "base/error.h"
#include "base/names.h"
#include "base/text.h"
#include "daemon/batch.h"
#include "daemon/options.h"

static void
refuse(GDBusMethodInvocation *invocation, GError *error)
{
    g_dbus_method_invocation_take_error(invocation, error);
}

/* ---- options --------------------------------------------------------------------------------- */

/* As a caller gave them; strings are the dictionary's. */
typedef struct {
    const char *id, *profile, *migrate_uri;
    gboolean postcopy;
    guint32 connections, at_once;
} Wish;

/* Keys of a profile are set in `profile`. `many`: for Evacuate. */
static gboolean
read_wish(GVariant *options, gboolean many, Wish *wish, MigdProfile *profile, GError **error)
{
    const MigdOption rows[] = {
        {"profile", "s", &wish->profile},
        {"migrate-uri", "s", &wish->migrate_uri},
        {"postcopy", "b", &wish->postcopy},
        {"parallel-connections", "u", &wish->connections},
        many ? (MigdOption){"at-once", "u", &wish->at_once} : (MigdOption){"id", "s", &wish->id},
    };

    return migd_options_read(options, rows, G_N_ELEMENTS(rows), profile, error);
}

static gboolean
check_connections(const MigdManagedDomain *domain, guint32 connections, GError **error)
{
    const MigdBackendOps *ops = domain->domain->backend->ops;

    if (connections <= MAX(ops->max_connections, 1))
        return TRUE;
    if (ops->max_connections == 0)
        g_set_error(error, MIGD_ERROR, MIGD_ERROR_NOT_SUPPORTED,
                    "option \"parallel-connections\": not for domains of the backend %s",
                    ops->name);
    else
        g_set_error(error, MIGD_ERROR, MIGD_ERROR_INVALID_ARGUMENT,
                    "option \"parallel-connections\": at most %u", ops->max_connections);
    return FALSE;
}

/* What `options` mean for `domain`: `request` (its destination is set) and the profile of it. */
static gboolean
read_request(MigdBus *bus, const MigdManagedDomain *domain, GVariant *options, gboolean many,
             MigdMigrateRequest *request, MigdProfile *profile, GError **error)
{
    Wish wish = {.id = request->id};
    MigdProfile scratch;

    /* Twice: which profile the single keys go on top of is an option, too. */
    migd_profile_init(&scratch);
    if (!read_wish(options, many, &wish, &scratch, error))
        return FALSE;
    request->id = wish.id;
    request->migrate_uri = wish.migrate_uri;
    request->allow_postcopy = wish.postcopy;
    request->connections = wish.connections;
    request->profile = profile;
    return domain->domain->backend->ops->check_destination(request->destination,
                                                           request->migrate_uri, error) &&
           check_connections(domain, request->connections, error) &&
           migd_bus_find_profile(bus, domain, wish.profile, profile, error) &&
           read_wish(options, many, &wish, profile, error);
}

/* ---- Migrate --------------------------------------------------------------------------------- */

/* Answered once the hypervisor has taken the command, or refused it. */
typedef struct {
    GDBusMethodInvocation *invocation;
    char *path; /* of the migration */
} Starting;

static void
started(const GError *error, gpointer user_data)
{
    g_autofree Starting *starting = user_data;
    g_autofree char *path = starting->path;

    if (error != NULL)
        g_dbus_method_invocation_return_gerror(starting->invocation, error);
    else
        g_dbus_method_invocation_return_value(starting->invocation, g_variant_new("(o)", path));
}

void
migd_bus_migrate(MigdBus *bus, GDBusMethodInvocation *invocation, GVariant *parameters)
{
    g_autoptr(GVariant) options = g_variant_get_child_value(parameters, 2);
    g_autofree char *fresh = g_uuid_string_random();
    MigdMigrateRequest request = {.id = fresh};
    MigdManagedDomain *domain;
    MigdProfile profile;
    const char *name;
    GError *error = NULL;

    g_variant_get_child(parameters, 0, "&s", &name);
    g_variant_get_child(parameters, 1, "&s", &request.destination);
    domain = migd_manager_find_domain(bus->manager, name, &error);
    if (domain == NULL ||
        !read_request(bus, domain, options, /* many= */ FALSE, &request, &profile, &error)) {
        refuse(invocation, error);
        return;
    }
    Starting *starting = g_new0(Starting, 1);
    starting->invocation = invocation;
    starting->path = migd_object_path(MIGD_BUS_MIGRATION_PREFIX, request.id);
    if (!migd_manager_migrate(bus->manager, domain, &request, started, starting, &error)) {
        g_free(starting->path);
        g_free(starting);
        refuse(invocation, error);
    }
}

/* ---- Evacuate -------------------------------------------------------------------------------- */

/* A call that asks for its domains. */
typedef struct {
    MigdBus *bus;
    GDBusMethodInvocation *invocation;
    GPtrArray *guests; /* of Guest, by name */
    guint unanswered;  /* of them, and one for the call itself while it asks */
} Evacuation;

typedef struct {
    Evacuation *evacuation;
    char *uuid, *name;
    GError *error; /* it stays here: why */
} Guest;

static void
guest_free(gpointer data)
{
    Guest *guest = data;

    g_free(guest->uuid);
    g_free(guest->name);
    g_clear_error(&guest->error);
    g_free(guest);
}

/* Puts the guest into the queue; NULL with its error set if it stays. Caller frees the path. */
static char *
queue(Guest *guest, MigdBatch *batch, const char *destination, GVariant *options)
{
    MigdBus *bus = guest->evacuation->bus;
    g_autofree char *id = g_uuid_string_random();
    MigdMigrateRequest request = {.destination = destination, .id = id};
    MigdManagedDomain *domain;
    MigdProfile profile;

    if (guest->error != NULL)
        return NULL;
    domain = migd_manager_find_domain(bus->manager, guest->uuid, &guest->error);
    if (domain == NULL ||
        !read_request(bus, domain, options, /* many= */ TRUE, &request, &profile, &guest->error))
        return NULL;
    if (!migd_batch_add(batch, domain, &request, &guest->error))
        return NULL;
    return migd_object_path(MIGD_BUS_MIGRATION_PREFIX, id);
}

static void
add_refusal(GVariantBuilder *refused, const Guest *guest)
{
    g_autofree char *path = migd_bus_domain_path(guest->uuid);
    g_autofree char *name = g_dbus_error_encode_gerror(guest->error);
    g_autofree char *text = migd_text_clean(guest->error->message);

    g_variant_builder_add(refused, "(oss)", path, name, text);
    migd_log(MIGD_LOG_NOTICE,
             &(MigdLogFields){.domain_uuid = guest->uuid, .domain_name = guest->name},
             "stays here at an evacuation: %s", text);
}

/* Every guest has its permission, or has not. */
static void
finish(Evacuation *evacuation)
{
    GVariant *parameters = g_dbus_method_invocation_get_parameters(evacuation->invocation);
    g_autoptr(GVariant) options = g_variant_get_child_value(parameters, 1);
    GVariantBuilder migrations, refused;
    MigdProfile scratch;
    Wish wish = {.at_once = 1};
    const char *destination;

    migd_profile_init(&scratch);
    (void)read_wish(options, /* many= */ TRUE, &wish, &scratch, NULL); /* was right before */
    MigdBatch *batch = migd_batch_new(evacuation->bus->manager, wish.at_once);
    g_variant_get_child(parameters, 0, "&s", &destination);
    g_variant_builder_init(&migrations, G_VARIANT_TYPE("ao"));
    g_variant_builder_init(&refused, G_VARIANT_TYPE("a(oss)"));
    for (guint i = 0; i < evacuation->guests->len; i++) {
        Guest *guest = evacuation->guests->pdata[i];
        g_autofree char *path = queue(guest, batch, destination, options);

        if (path != NULL)
            g_variant_builder_add(&migrations, "o", path);
        else
            add_refusal(&refused, guest);
    }
    migd_batch_run(batch);
    g_dbus_method_invocation_return_value(evacuation->invocation,
                                          g_variant_new("(aoa(oss))", &migrations, &refused));
}

static void
answered_one(Evacuation *evacuation)
{
    if (--evacuation->unanswered > 0)
        return;
    if (evacuation->bus->stopping)
        g_dbus_method_invocation_return_error(evacuation->invocation, MIGD_ERROR, MIGD_ERROR_FAILED,
                                              "the daemon is stopping");
    else
        finish(evacuation);
    g_ptr_array_unref(evacuation->guests);
    g_free(evacuation);
}

static void
permitted(const GError *error, gpointer user_data)
{
    Guest *guest = user_data;

    if (error != NULL)
        guest->error = g_error_copy(error);
    answered_one(guest->evacuation);
}

/* Of this host; one that is shut off, or has left, is no guest. */
static gboolean
is_guest(const MigdManagedDomain *domain)
{
    return domain->domain->backend->ops->info(domain->domain)->state != MIGD_DOMAIN_SHUTOFF;
}

static gboolean
check_wish(MigdBus *bus, GVariant *options, GError **error)
{
    Wish wish = {.at_once = 1};
    MigdProfile scratch;

    migd_profile_init(&scratch);
    if (!read_wish(options, /* many= */ TRUE, &wish, &scratch, error) ||
        (wish.profile != NULL && !migd_bus_find_profile(bus, NULL, wish.profile, &scratch, error)))
        return FALSE;
    if (wish.at_once >= 1 && wish.at_once <= MIGD_BATCH_MAX)
        return TRUE;
    g_set_error(error, MIGD_ERROR, MIGD_ERROR_INVALID_ARGUMENT, "option \"at-once\": 1 to %d",
                MIGD_BATCH_MAX);
    return FALSE;
}

void
migd_bus_evacuate(MigdBus *bus, GDBusMethodInvocation *invocation, GVariant *parameters)
{
    g_autoptr(GVariant) options = g_variant_get_child_value(parameters, 1);
    g_autoptr(GPtrArray) domains = migd_manager_domains(bus->manager);
    const char *destination;
    Evacuation *evacuation;
    GError *error = NULL;

    if (!check_wish(bus, options, &error)) {
        refuse(invocation, error);
        return;
    }
    g_variant_get_child(parameters, 0, "&s", &destination);
    evacuation = g_new0(Evacuation, 1);
    *evacuation = (Evacuation){.bus = bus,
                               .invocation = invocation,
                               .guests = g_ptr_array_new_with_free_func(guest_free),
                               .unanswered = 1};
    for (guint i = 0; i < domains->len; i++) {
        const MigdManagedDomain *domain = domains->pdata[i];
        Guest *guest;

        if (!is_guest(domain))
            continue;
        guest = g_new0(Guest, 1);
        *guest = (Guest){.evacuation = evacuation,
                         .uuid = g_strdup(domain->uuid),
                         .name = g_strdup(domain->name)};
        g_ptr_array_add(evacuation->guests, guest);
        evacuation->unanswered++;
        migd_bus_ask(bus, invocation, domain, destination, permitted, guest);
    }
    answered_one(evacuation);
}

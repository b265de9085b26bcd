/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Fast write protect on the bus: what the host offers, what a domain uses and should use, and
 * turning it on. Decides by src/writeprotect; the backend carries it out.
 */
#include "daemon/bus-private.h"

#include "base/error.h"
#include "daemon/options.h"
#include "daemon/writeprotect.h"
#include "writeprotect/choose.h"

#define DEFAULT_ENTRIES 4096
#define MIN_ENTRIES 1024
#define MAX_ENTRIES 65536

static const char *const effect_words[] = {
    [MIGD_EFFECT_NONE] = "now",
    [MIGD_EFFECT_NOW] = "now",
    [MIGD_EFFECT_NEXT_BOOT] = "next-boot",
};

static void
add(GVariantBuilder *dict, const char *name, GVariant *value)
{
    g_variant_builder_add(dict, "{sv}", name, value);
}

static void
add_mechanism(GVariantBuilder *dict, const char *name, MigdMechanism mechanism)
{
    add(dict, name, g_variant_new_string(migd_mechanism_to_string(mechanism)));
}

GVariant *
migd_bus_host_write_protect(void)
{
    const MigdHostKvm *host = migd_write_protect_host();
    GVariantBuilder dict;

    g_variant_builder_init(&dict, G_VARIANT_TYPE_VARDICT);
    add(&dict, "Known", g_variant_new_boolean(host->known));
    add(&dict, "Problem", g_variant_new_string(host->problem != NULL ? host->problem : ""));
    add(&dict, "ManualProtect", g_variant_new_boolean((host->manual_bits & 1) != 0));
    add(&dict, "InitiallySet", g_variant_new_boolean((host->manual_bits & 2) != 0));
    add(&dict, "DirtyRingEntries", g_variant_new_uint32(host->ring_entries));
    add(&dict, "DirtyRingBitmap", g_variant_new_boolean(host->ring_bitmap));
    add(&dict, "WriteProtectAll", g_variant_new_boolean(host->all));
    add(&dict, "EagerPageSplit",
        g_variant_new_string(migd_switch_to_string(host->eager_page_split)));
    add(&dict, "TdpMmu", g_variant_new_string(migd_switch_to_string(host->tdp_mmu)));
    add(&dict, "Pml", g_variant_new_string(migd_switch_to_string(host->pml)));
    return g_variant_builder_end(&dict);
}

static void
add_advice(GVariantBuilder *dict, const MigdWriteProtect *found, const MigdProfile *profile,
           guint64 memory_bytes)
{
    g_auto(MigdChoice) choice = {0};
    g_autoptr(GError) error = NULL;
    g_autofree char *text = NULL;

    if (migd_write_protect_choose(found, profile, NULL, memory_bytes, &choice, &error))
        text = g_strdup_printf("%s; %s", choice.reason, choice.price);
    add_mechanism(dict, "WriteProtectBest", choice.mechanism);
    add(dict, "WriteProtectReason", g_variant_new_string(text != NULL ? text : error->message));
}

void
migd_bus_add_write_protect(GVariantBuilder *dict, const MigdDomainInfo *info,
                           const MigdProfile *profile)
{
    const MigdWriteProtect *found = &info->write_protect;
    g_autofree const char **evidence = migd_evidence_names(found->evidence);
    g_autofree const char **available = migd_mechanism_names(found->available);

    add_mechanism(dict, "WriteProtect", found->active);
    add(dict, "WriteProtectEvidence", g_variant_new_strv(evidence, -1));
    add_mechanism(dict, "WriteProtectNextBoot", found->next_boot);
    add(dict, "WriteProtectAvailable", g_variant_new_strv(available, -1));
    add(dict, "DirtyRingEntries", g_variant_new_uint32(found->ring_entries));
    add_advice(dict, found, profile, info->memory_bytes);
}

/* ---- EnableFastWriteProtect --------------------------------------------------------------------
 */

typedef struct {
    GDBusMethodInvocation *invocation;
    const char *mechanism, *effect;
} Enabling;

static void
answer(GDBusMethodInvocation *invocation, const char *mechanism, const char *effect)
{
    g_dbus_method_invocation_return_value(invocation, g_variant_new("(ss)", mechanism, effect));
}

static void
enabled(const GError *error, gpointer user_data)
{
    g_autofree Enabling *enabling = user_data;

    if (error != NULL)
        g_dbus_method_invocation_return_gerror(enabling->invocation, error);
    else
        answer(enabling->invocation, enabling->mechanism, enabling->effect);
}

static gboolean
check_entries(guint32 entries, GError **error)
{
    if (entries >= MIN_ENTRIES && entries <= MAX_ENTRIES && (entries & (entries - 1)) == 0)
        return TRUE;
    g_set_error(error, MIGD_ERROR, MIGD_ERROR_INVALID_ARGUMENT,
                "option \"entries\": %u is no power of two from %u to %u", entries, MIN_ENTRIES,
                MAX_ENTRIES);
    return FALSE;
}

static gboolean
choose(const MigdManagedDomain *domain, const char *wanted, MigdChoice *ret, GError **error)
{
    const MigdDomainInfo *info = domain->domain->backend->ops->info(domain->domain);
    const MigdProfile *profile = migd_manager_choose_profile(domain->manager, domain, NULL);

    if (domain->watch != NULL && !migd_watch_is_finished(domain->watch)) {
        g_set_error(error, MIGD_ERROR, MIGD_ERROR_MIGRATION_IN_PROGRESS, "%s is being migrated",
                    domain->name);
        return FALSE;
    }
    return migd_write_protect_choose(&info->write_protect, profile, wanted, info->memory_bytes, ret,
                                     error);
}

void
migd_bus_enable_write_protect(MigdBus *bus, GDBusMethodInvocation *invocation, GVariant *parameters)
{
    g_autoptr(GVariant) options = g_variant_get_child_value(parameters, 0);
    MigdManagedDomain *domain = migd_bus_called_domain(bus, invocation);
    const char *wanted = NULL;
    guint32 entries = 0;
    const MigdOption rows[] = {{"mechanism", "s", &wanted}, {"entries", "u", &entries}};
    g_auto(MigdChoice) choice = {0};
    GError *error = NULL;

    if (domain == NULL)
        return;
    const MigdBackendOps *ops = domain->domain->backend->ops;
    if (!migd_options_read(options, rows, G_N_ELEMENTS(rows), NULL, &error) ||
        (entries != 0 && !check_entries(entries, &error)) ||
        !choose(domain, wanted, &choice, &error)) {
        g_dbus_method_invocation_take_error(invocation, error);
        return;
    }
    const char *name = migd_mechanism_to_string(choice.mechanism);
    if (choice.effect == MIGD_EFFECT_NONE) {
        answer(invocation, name, effect_words[choice.effect]);
        return;
    }
    const MigdWriteProtectChange change = {choice.mechanism,
                                           entries != 0 ? entries : DEFAULT_ENTRIES};
    Enabling *enabling = g_new(Enabling, 1);
    *enabling = (Enabling){invocation, name, effect_words[choice.effect]};
    ops->set_write_protect(domain->domain, &change, enabled, enabling);
}

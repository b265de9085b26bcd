/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Several calls a description: none of them needs the monitor, so a hung hypervisor does not hold
 * them up.
 */
#include "virt/describe.h"

#include <libvirt/virterror.h>
#include <stdlib.h>
#include <string.h>

#include "virt/metadata.h"
#include "virt/stats.h"
#include "virt/version.h"

#define MONITOR_TAINT "custom monitor" /* in libvirt's message about it */

void
migd_virt_facts_clear(MigdVirtFacts *facts)
{
    g_free(facts->name);
    g_free(facts->profile);
    *facts = (MigdVirtFacts){0};
}

static void
on_start(GMarkupParseContext *context, const char *element, const char **names, const char **values,
         gpointer user_data, GError **error)
{
    gboolean *kvm = user_data;

    for (guint i = 0; names[i] != NULL; i++)
        if (strcmp(names[i], "type") == 0)
            *kvm = strcmp(element, "domain") == 0 && strcmp(values[i], "kvm") == 0;
    /* The first element says it: the rest is not read. */
    g_set_error_literal(error, G_MARKUP_ERROR, G_MARKUP_ERROR_INVALID_CONTENT, "enough");
}

gboolean
migd_virt_xml_is_kvm(const char *xml)
{
    static const GMarkupParser parser = {.start_element = on_start};
    gboolean kvm = FALSE;
    g_autoptr(GMarkupParseContext) context =
        g_markup_parse_context_new(&parser, G_MARKUP_DEFAULT_FLAGS, &kvm, NULL);

    (void)g_markup_parse_context_parse(context, xml, (gssize)strlen(xml), NULL);
    return kvm;
}

static gboolean
is_kvm(virDomainPtr domain)
{
    char *xml = virDomainGetXMLDesc(domain, 0);
    gboolean kvm = xml != NULL && migd_virt_xml_is_kvm(xml);

    free(xml);
    return kvm;
}

static gboolean
is_tainted(virDomainPtr domain)
{
    gboolean tainted = FALSE;
    char **messages = NULL;
    int n = -1;

    if (migd_virt_has_feature(virDomainGetConnect(domain), MIGD_VIRT_DOMAIN_MESSAGES, NULL))
        n = virDomainGetMessages(domain, &messages, VIR_DOMAIN_MESSAGE_TAINTING);
    for (int i = 0; i < n; i++) {
        tainted |= strstr(messages[i], MONITOR_TAINT) != NULL;
        free(messages[i]);
    }
    if (n >= 0)
        free(messages);
    return tainted;
}

gboolean
migd_virt_describe(virDomainPtr domain, MigdVirtFacts *ret, GError **error)
{
    virDomainInfo info;

    if (virDomainGetState(domain, &ret->state, &ret->reason, 0) < 0 ||
        virDomainGetInfo(domain, &info) < 0) {
        migd_virt_set_error(error, "describing the domain");
        return FALSE;
    }
    ret->name = g_strdup(virDomainGetName(domain));
    ret->memory_bytes = MIN((guint64)info.maxMem, G_GUINT64_CONSTANT(1) << 50) * 1024;
    ret->active = virDomainIsActive(domain) > 0;
    ret->persistent = virDomainIsPersistent(domain) > 0;
    ret->kvm = is_kvm(domain);
    ret->tainted = ret->active && is_tainted(domain);
    /* Without metadata in reach it counts as having none. */
    (void)migd_virt_metadata_read(domain, &ret->profile, NULL);
    return TRUE;
}

gboolean
migd_virt_job(virDomainPtr domain, MigdVirtJob *ret, GError **error)
{
    g_auto(MigdVirtParams) params = {0};
    int type = VIR_DOMAIN_JOB_NONE;

    *ret = (MigdVirtJob){0};
    if (virDomainGetJobStats(domain, &type, &params.list, &params.n, 0) >= 0) {
        migd_virt_decode_job(type, params.list, params.n, &ret->sample);
        return TRUE;
    }
    /* That is how libvirt answers at the destination (VIR_ERR_OPERATION_INVALID, as for a domain
     * that is shut off, which is not asked). */
    if (virGetLastErrorCode() == VIR_ERR_OPERATION_INVALID && virDomainIsActive(domain) > 0) {
        ret->incoming = TRUE;
        return TRUE;
    }
    migd_virt_set_error(error, "reading the statistics of the migration");
    return FALSE;
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * GMarkup reads elements and attributes and nothing else: no entities of one's own, no external
 * ones, so there is nothing to expand.
 */
#include "virt/metadata.h"

#include <libvirt/virterror.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"

#define XML_MAX 4096 /* bytes of an element that is 100 long */

gboolean
migd_virt_is_profile_name(const char *name)
{
    gsize length = strlen(name);

    if (length == 0 || length > MIGD_VIRT_PROFILE_MAX || name[0] == '.')
        return FALSE;
    for (const char *p = name; *p != '\0'; p++)
        if (!g_ascii_isalnum(*p) && strchr("-_.", *p) == NULL)
            return FALSE;
    return TRUE;
}

typedef struct {
    guint depth;
    char *profile;
} Parsed;

static void
on_start(GMarkupParseContext *context, const char *element, const char **names, const char **values,
         gpointer user_data, GError **error)
{
    Parsed *parsed = user_data;
    const char *colon = strchr(element, ':');

    if (parsed->depth++ > 0 || strcmp(colon != NULL ? colon + 1 : element, "policy") != 0)
        return;
    for (guint i = 0; names[i] != NULL; i++)
        if (strcmp(names[i], "profile") == 0 && parsed->profile == NULL)
            parsed->profile = g_strdup(values[i]);
}

char *
migd_virt_metadata_parse(const char *xml)
{
    static const GMarkupParser parser = {.start_element = on_start};
    Parsed parsed = {0};
    g_autoptr(GMarkupParseContext) context =
        g_markup_parse_context_new(&parser, G_MARKUP_DEFAULT_FLAGS, &parsed, NULL);
    gsize length = strnlen(xml, XML_MAX + 1);
    gboolean good = length <= XML_MAX &&
                    g_markup_parse_context_parse(context, xml, (gssize)length, NULL) &&
                    g_markup_parse_context_end_parse(context, NULL) && parsed.profile != NULL &&
                    migd_virt_is_profile_name(parsed.profile);

    if (!good)
        g_clear_pointer(&parsed.profile, g_free);
    return parsed.profile;
}

char *
migd_virt_metadata_format(const char *profile)
{
    return g_markup_printf_escaped("<policy profile=\"%s\"/>", profile);
}

gboolean
migd_virt_metadata_read(virDomainPtr domain, char **ret_profile, GError **error)
{
    char *xml = virDomainGetMetadata(domain, VIR_DOMAIN_METADATA_ELEMENT, MIGD_VIRT_METADATA_URI,
                                     VIR_DOMAIN_AFFECT_CURRENT);

    if (xml == NULL && virGetLastErrorCode() != VIR_ERR_NO_DOMAIN_METADATA) {
        migd_virt_set_error(error, "reading the metadata");
        return FALSE;
    }
    *ret_profile = xml != NULL ? migd_virt_metadata_parse(xml) : NULL;
    free(xml);
    return TRUE;
}

gboolean
migd_virt_metadata_write(virDomainPtr domain, const char *profile, gboolean persistent,
                         GError **error)
{
    g_autofree char *xml = profile != NULL ? migd_virt_metadata_format(profile) : NULL;
    int active = virDomainIsActive(domain);
    unsigned int flags = 0;

    if (persistent && virDomainIsPersistent(domain) == 0) {
        g_set_error_literal(error, MIGD_ERROR, MIGD_ERROR_NOT_SUPPORTED,
                            "a transient domain has no next start to keep a profile for: give it "
                            "one that is not persistent");
        return FALSE;
    }
    if (active > 0)
        flags |= VIR_DOMAIN_AFFECT_LIVE;
    if (persistent)
        flags |= VIR_DOMAIN_AFFECT_CONFIG;
    if (active < 0 || virDomainSetMetadata(domain, VIR_DOMAIN_METADATA_ELEMENT, xml,
                                           xml != NULL ? MIGD_VIRT_METADATA_KEY : NULL,
                                           MIGD_VIRT_METADATA_URI, flags) < 0) {
        migd_virt_set_error(error, "writing the metadata");
        return FALSE;
    }
    return TRUE;
}

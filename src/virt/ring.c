/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Read, edit, define, and read again: only what libvirt has kept counts.
 */
#include "virt/ring.h"

#include <stdlib.h>

#include "base/error.h"
#include "virt/xml.h"

#define NEXT                                                                                       \
    (VIR_DOMAIN_XML_INACTIVE | VIR_DOMAIN_XML_SECURE) /* with passwords, or they are lost */

static guint32
read_ring(virDomainPtr domain, unsigned int flags)
{
    char *xml = virDomainGetXMLDesc(domain, flags);
    guint32 entries = xml != NULL ? migd_virt_xml_ring(xml) : 0;

    free(xml);
    return entries;
}

void
migd_virt_read_rings(virDomainPtr domain, guint32 *ret_now, guint32 *ret_next)
{
    *ret_now = virDomainIsActive(domain) > 0 ? read_ring(domain, 0) : 0;
    *ret_next = virDomainIsPersistent(domain) > 0 ? read_ring(domain, VIR_DOMAIN_XML_INACTIVE) : 0;
}

static gboolean
define(virDomainPtr domain, const char *xml, GError **error)
{
    virDomainPtr defined = virDomainDefineXML(virDomainGetConnect(domain), xml);

    if (defined == NULL) {
        migd_virt_set_error(error, "defining the domain");
        return FALSE;
    }
    virDomainFree(defined);
    return TRUE;
}

gboolean
migd_virt_set_ring(virDomainPtr domain, guint32 entries, GError **error)
{
    g_autofree char *edited = NULL;
    char *xml;

    if (virDomainIsPersistent(domain) <= 0) {
        g_set_error(error, MIGD_ERROR, MIGD_ERROR_NOT_SUPPORTED,
                    "the domain has no persistent definition that a ring could be written into");
        return FALSE;
    }
    xml = virDomainGetXMLDesc(domain, NEXT);
    if (xml == NULL) {
        migd_virt_set_error(error, "reading the domain's definition");
        return FALSE;
    }
    if (migd_virt_xml_ring(xml) != entries)
        edited = migd_virt_xml_set_ring(xml, entries, error);
    gboolean same = migd_virt_xml_ring(xml) == entries;
    free(xml);
    if (same || edited == NULL)
        return same;
    if (!define(domain, edited, error))
        return FALSE;
    if (read_ring(domain, VIR_DOMAIN_XML_INACTIVE) == entries)
        return TRUE;
    g_set_error(error, MIGD_ERROR, MIGD_ERROR_NOT_SUPPORTED,
                "this libvirt does not keep a dirty ring in a definition (8.0 does)");
    return FALSE;
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The one element of a domain's XML that migrationd changes: the dirty ring of its vCPUs. Edited in
 * place, byte for byte, so that nothing else of somebody's definition changes. Pure.
 */
#pragma once

#include <glib.h>

/* The size in /domain/features/kvm/dirty-ring where its state is on; 0 = none, or no domain. */
guint32 migd_virt_xml_ring(const char *xml);

/* `xml` with that element (entries > 0), or without it (0); parents that it needs are added, and
 * taken away when they hold nothing else. InvalidArgument when it is not the XML of a domain.
 * Caller frees. */
char *migd_virt_xml_set_ring(const char *xml, guint32 entries, GError **error);

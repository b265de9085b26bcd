/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The dirty ring in a domain's persistent definition: what it will start with the next time. The
 * running domain is not touched, for its hypervisor cannot change it. They block: for threads.
 */
#pragma once

#include "virt/handle.h"

/* Entries that the running domain's XML asks for, and those of the persistent one; 0 = none. */
void migd_virt_read_rings(virDomainPtr domain, guint32 *ret_now, guint32 *ret_next);

/* Defines the domain with such a ring, or with 0 without one; of the definition nothing else
 * changes. NotSupported for a domain without a persistent definition, and where libvirt (before
 * 8.0) does not keep the element. */
gboolean migd_virt_set_ring(virDomainPtr domain, guint32 entries, GError **error);

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What can be done to a running migration, whoever started it, and the values in force: one
 * function a call of libvirt, in our units. They block: for threads (pool.h).
 */
#pragma once

#include "virt/handle.h"

/* µs; whole milliseconds at the hypervisor, at least one. An idle domain keeps it for its next
 * migration. */
gboolean migd_virt_set_downtime(virDomainPtr domain, guint64 us, GError **error);
gboolean migd_virt_get_downtime(virDomainPtr domain, guint64 *ret_us, GError **error);

/* Bytes/s; whole MiB/s at libvirt, at least one; 0 = no limit. Kept for the next migration, too.
 * The value read is libvirt's own, which a limit that the initiator gave to its migration does not
 * change. */
gboolean migd_virt_set_bandwidth(virDomainPtr domain, guint64 bps, GError **error);
gboolean migd_virt_get_bandwidth(virDomainPtr domain, guint64 *ret_bps, GError **error);

/* Refused by libvirt unless the initiator asked for VIR_MIGRATE_POSTCOPY. */
gboolean migd_virt_start_postcopy(virDomainPtr domain, GError **error);

/* Stops the guest; libvirt lets it run again at the destination, or here after an abort. */
gboolean migd_virt_suspend(virDomainPtr domain, GError **error);

gboolean migd_virt_abort(virDomainPtr domain, GError **error);

/* Hands `command` (JSON) to the hypervisor's monitor: libvirt marks the domain as tainted for good.
 * The caller answers for what the command is. Caller frees `*ret_reply`. */
gboolean
migd_virt_monitor(virDomainPtr domain, const char *command, char **ret_reply, GError **error);

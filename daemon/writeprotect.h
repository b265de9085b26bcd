/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What this host's KVM offers, asked once and kept: for the backends and for the bus.
 */
#pragma once

#include "writeprotect/host.h"

/* Probes at the first call. Main loop only; the value lives as long as the daemon. */
const MigdHostKvm *migd_write_protect_host(void);

/* What is to be said when a hypervisor that was asked for write-protect-all has answered with
 * `error`: its refusal is NotSupported, and anything else stays what it is. Caller frees. */
GError *migd_write_protect_refusal(const GError *error);

/* Probes anew (a reload: modules may have been loaded, parameters changed). */
void migd_write_protect_probe(void);

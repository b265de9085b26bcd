/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The few monitor commands that go past libvirt, as text. Pure. What is not on the list is not
 * sent, whoever built it: libvirt keeps its own idea of its guests' state, and a command that
 * changes that behind its back may crash it.
 */
#pragma once

#include "policy/knobs.h"
#include "qmp/command.h"
#include "qmp/fault.h"

/* "query-migrate-parameters", "query-migrate-capabilities", "query-vcpu-dirty-limit". Caller frees.
 */
char *migd_virt_monitor_query(const char *name);

/* The text of `command`. NULL with NotSupported unless it is one of the above,
 * migrate-set-parameters with parameters of the throttle only, a limit for all vCPUs or the end of
 * all limits, or migrate-set-capabilities with x-write-protect-all alone. Caller frees. */
char *migd_virt_monitor_encode(const MigdQmpCommand *command, GError **error);

/* The "return" of a reply; an error of QEMU is one here. Caller unrefs. */
MigdJson *migd_virt_monitor_reply(const char *reply, GError **error);

/* TRUE, `*ret` set, when a reply is an error, or none at all. */
gboolean migd_virt_monitor_fault(const char *reply, MigdQmpFault *ret);

/* The reply of a command without a result. */
gboolean migd_virt_monitor_check(const char *reply, GError **error);

/* Sets in `knobs` what the replies show; `capabilities` may be NULL. */
gboolean migd_virt_monitor_knobs(const char *parameters, const char *capabilities, MigdKnobs *knobs,
                                 GError **error);

/* Sets the knob of the vCPUs' limits as the reply of query-vcpu-dirty-limit shows it. */
gboolean migd_virt_monitor_limits(const char *limits, MigdKnobs *knobs, GError **error);

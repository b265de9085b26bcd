/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * QEMU's limit of the rate at which vCPUs may dirty memory: the throttle of guests with a dirty
 * ring. Unlike auto-converge it works at once, also on a migration that somebody else has started,
 * and costs a vCPU that only reads nothing. Pure.
 */
#pragma once

#include "qmp/command.h"

typedef enum {
    MIGD_QMP_RING_UNKNOWN,
    MIGD_QMP_RING_NO,
    MIGD_QMP_RING_YES,
} MigdQmpRing;

/* A question in the form of a command that cannot succeed: a limit (of nothing, that is, its
 * removal) for a vCPU that no machine has. A QEMU with a ring complains about the vCPU, one without
 * about the ring. */
MigdQmpCommand *migd_qmp_ring_question(void);

/* The answer: the error of that command. UNKNOWN where QEMU (before 7.1) does not know it. */
MigdQmpRing migd_qmp_ring_answer(const GError *error);

/* The reply of query-vcpu-dirty-limit: sets the knob to the highest limit in force, 0 = none. */
gboolean migd_qmp_decode_limits(const MigdJson *reply, MigdKnobs *knobs, GError **error);

/* Sets the limit of each vCPU (whole MiB/s, at least one), or with 0 takes all limits away. */
MigdQmpCommand *migd_qmp_command_for_limit(guint64 bps);

/* What THROTTLE, RELEASE and ARM mean in limits, as the knob to set: the decision's own rate
 * without throttle (lambda, else what was measured) less the percentage, shared out to `n_vcpus`.
 * Who shares evenly throttles hard where few vCPUs write: the migration ends sooner, and those that
 * only read lose nothing. ARM sets no limit: one works at once, so nothing has to be prepared.
 * NotSupported where no rate is known. */
gboolean migd_qmp_limit_for_decision(const MigdDecision *decision, guint n_vcpus, guint64 *ret_bps,
                                     GError **error);

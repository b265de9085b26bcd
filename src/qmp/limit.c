/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Limits to commands and back. QEMU counts in MB/s and means MiB/s.
 */
#include "qmp/limit.h"

#include <string.h>

#include "base/error.h"

#define MIB 1048576u
#define MAX_MIB 1000000000u /* more than any guest writes: garbage beyond it */
#define NO_VCPU -1

MigdQmpCommand *
migd_qmp_ring_question(void)
{
    MigdQmpCommand *command = g_new0(MigdQmpCommand, 1);

    command->name = "set-vcpu-dirty-limit";
    command->arguments = migd_json_object_new();
    migd_json_add_i64(command->arguments, "cpu-index", NO_VCPU);
    migd_json_add_u64(command->arguments, "dirty-rate", 0);
    return command;
}

MigdQmpRing
migd_qmp_ring_answer(const GError *error)
{
    if (!g_error_matches(error, MIGD_ERROR, MIGD_ERROR_FAILED))
        return MIGD_QMP_RING_UNKNOWN;
    if (strstr(error->message, "dirty-ring-size") != NULL)
        return MIGD_QMP_RING_NO;
    if (strstr(error->message, "cpu index") != NULL)
        return MIGD_QMP_RING_YES;
    return MIGD_QMP_RING_UNKNOWN;
}

gboolean
migd_qmp_decode_limits(const MigdJson *reply, MigdKnobs *knobs, GError **error)
{
    guint64 highest = 0;

    if (!migd_json_is_array(reply)) {
        g_set_error(error, MIGD_ERROR, MIGD_ERROR_FAILED, "query-vcpu-dirty-limit: no array");
        return FALSE;
    }
    for (gsize i = 0; i < migd_json_array_length(reply); i++) {
        const MigdJson *row = migd_json_array_get(reply, i);
        guint64 mib = 0;
        MigdJsonResult result = migd_json_get_u64(row, "limit-rate", 0, MAX_MIB, &mib, error);

        if (result == MIGD_JSON_BAD)
            return FALSE;
        if (result == MIGD_JSON_ABSENT) {
            g_set_error(error, MIGD_ERROR, MIGD_ERROR_FAILED, "limit-rate: missing");
            return FALSE;
        }
        highest = MAX(highest, mib);
    }
    knobs->vcpu_limit_bps = highest * MIB;
    knobs->has |= MIGD_KNOB_VCPU_LIMIT;
    return TRUE;
}

MigdQmpCommand *
migd_qmp_command_for_limit(guint64 bps)
{
    MigdQmpCommand *command = g_new0(MigdQmpCommand, 1);

    if (bps == 0) {
        command->name = "cancel-vcpu-dirty-limit";
        return command;
    }
    command->name = "set-vcpu-dirty-limit";
    command->arguments = migd_json_object_new();
    migd_json_add_u64(command->arguments, "dirty-rate", CLAMP(bps / MIB, 1, MAX_MIB));
    return command;
}

gboolean
migd_qmp_limit_for_decision(const MigdDecision *decision, guint n_vcpus, guint64 *ret_bps,
                            GError **error)
{
    guint64 rate = decision->lambda_bps != 0 ? decision->lambda_bps : decision->dirty_rate_bps;
    guint64 left_pct = 100 - CLAMP(decision->argument, 1, 99);

    *ret_bps = 0;
    if (decision->action != MIGD_ACTION_THROTTLE)
        return TRUE;
    if (rate == 0) {
        g_set_error(error, MIGD_ERROR, MIGD_ERROR_NOT_SUPPORTED,
                    "no dirty rate is known that a limit could be made of");
        return FALSE;
    }
    *ret_bps = MAX(rate / 100 * left_pct / MAX(n_vcpus, 1) / MIB, 1) * MIB;
    return TRUE;
}

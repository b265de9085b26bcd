/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The words. A class that is not known is one of the others: QEMU adds none any more, and a hostile
 * peer may send what it likes.
 */
#include "qmp/fault.h"

static const char *const fault_words[] = {
    [MIGD_QMP_FAULT_GENERIC] = "generic-error",   [MIGD_QMP_FAULT_NO_COMMAND] = "command-not-found",
    [MIGD_QMP_FAULT_OTHER_CLASS] = "other-error", [MIGD_QMP_FAULT_MALFORMED] = "malformed",
    [MIGD_QMP_FAULT_IMPLAUSIBLE] = "implausible", [MIGD_QMP_FAULT_FLOOD] = "flood",
    [MIGD_QMP_FAULT_TIMED_OUT] = "timed-out",     [MIGD_QMP_FAULT_LOST] = "connection-lost",
};
G_STATIC_ASSERT(G_N_ELEMENTS(fault_words) == MIGD_N_QMP_FAULTS);

const char *
migd_qmp_fault_to_string(MigdQmpFault fault)
{
    return fault_words[fault];
}

MigdQmpFault
migd_qmp_fault_of_class(const char *class)
{
    if (g_strcmp0(class, "GenericError") == 0)
        return MIGD_QMP_FAULT_GENERIC;
    if (g_strcmp0(class, "CommandNotFound") == 0)
        return MIGD_QMP_FAULT_NO_COMMAND;
    return MIGD_QMP_FAULT_OTHER_CLASS;
}

gboolean
migd_qmp_fault_is_answer(MigdQmpFault fault)
{
    return fault <= MIGD_QMP_FAULT_OTHER_CLASS;
}

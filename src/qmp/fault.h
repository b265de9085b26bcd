/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The ways in which a QMP peer can go wrong, as few words: for counters, whose labels must be
 * bounded whatever a peer says. Pure.
 */
#pragma once

#include <glib.h>

typedef enum {
    MIGD_QMP_FAULT_GENERIC,     /* an answer of the class GenericError */
    MIGD_QMP_FAULT_NO_COMMAND,  /* ... of CommandNotFound */
    MIGD_QMP_FAULT_OTHER_CLASS, /* ... of any other */
    MIGD_QMP_FAULT_MALFORMED,   /* what came is no QMP */
    MIGD_QMP_FAULT_IMPLAUSIBLE, /* it is, but its contents cannot be */
    MIGD_QMP_FAULT_FLOOD,       /* more than the budget allows */
    MIGD_QMP_FAULT_TIMED_OUT,   /* a greeting or an answer is overdue */
    MIGD_QMP_FAULT_LOST,        /* the connection ended while an answer was due */
    MIGD_N_QMP_FAULTS,
} MigdQmpFault;

/* Static string, e.g. "generic-error". */
const char *migd_qmp_fault_to_string(MigdQmpFault fault);

/* Of an answer that is an error, by its class; NULL = it has none. */
MigdQmpFault migd_qmp_fault_of_class(const char *class);

/* It is an answer, and the QEMU behind it is well. */
gboolean migd_qmp_fault_is_answer(MigdQmpFault fault);

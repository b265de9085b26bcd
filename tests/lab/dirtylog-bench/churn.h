/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Is what a mode reports right while everything else changes: slots come and go, their logs too,
 * several threads read the log, the host takes pages away, and the kernel has too few page tables.
 */
#pragma once

#include "modes.h"

typedef struct {
    unsigned slots; /* made and removed */
    /* Of a slot that was written while nothing else happened: pages written and not reported,
     * reported and not written. */
    uint64_t written, missing, extra;
    unsigned forks;  /* each makes the kernel take all pages of the guest away and give them back */
    unsigned reads;  /* of the log while the guest ran */
    uint64_t copied; /* pages that these reported */
    uint64_t stale;  /* pages whose copy was not the newest in the end */
} Churn;

/* The log of vm->slot must be on. `passes` of the guest over its memory; `mark` = the highest one
 * in use. */
void churn_run(Vm *vm, const Mode *mode, unsigned passes, uint32_t mark, Churn *ret);

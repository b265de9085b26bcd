/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Is what a mode reports right: rounds in which the guest stands still when the log is read, where
 * the report must be exact; and a migration's way of reading, while the guest writes on.
 */
#pragma once

#include "modes.h"

typedef struct {
    unsigned rounds;
    uint64_t written; /* pages that the guest wrote, by their marks, over all rounds */
    uint64_t missing; /* of these, not reported */
    uint64_t extra;   /* reported, not written */
    unsigned reads;   /* of the log while the guest ran */
    uint64_t copied;  /* pages that these reported */
    uint64_t stale;   /* pages whose copy was not the newest in the end */
} Rounds;

/* Forgets each so many-th page of every report, to see that the rounds find that out; 0 = none. */
extern unsigned rounds_lose;

/* Gives each vCPU a piece of its share of the memory, or now and then nothing. */
void rounds_choose(Vm *vm, uint32_t mark, uint32_t *state);

/* `mark` = the highest one in use; returned higher. `bitmap` has a bit for each page. */
uint32_t
rounds_run(Vm *vm, const Mode *mode, unsigned n, uint32_t mark, uint64_t *bitmap, Rounds *ret);

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The ways to learn what a guest has written, as rows of a table: one more mechanism is one more
 * row.
 */
#pragma once

#include "vm.h"

typedef struct {
    const char *name;
    /* Before there are vCPUs. False: this host does not have it. */
    bool (*prepare)(Vm *vm);
    /* Sets the bits of the pages that were written since they were last reported and cleared; all
     * other bits are 0 on entry. */
    void (*get)(Vm *vm, uint64_t *bitmap);
    /* From now on the pages in `bitmap` are reported again when they are written. NULL: get() has
     * done that. */
    void (*clear)(Vm *vm, const uint64_t *bitmap);
    bool all_at_first; /* the first report names every page */
} Mode;

extern const Mode modes[];
extern const unsigned n_modes;

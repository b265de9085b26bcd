/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The ways to learn what a guest has written, as rows of a table: one more mechanism is one more
 * row.
 */
#pragma once

#include "vm.h"

/* Of what is done about the log of slots. */
typedef enum { BEFORE_START, AFTER_START, AFTER_END } Moment;

typedef struct {
    const char *name;
    /* Before there are vCPUs. False: this host does not have it. */
    bool (*prepare)(Vm *vm);
    /* Around the start and the end of the log of slots; NULL: nothing more to be done. */
    void (*around)(Vm *vm, Moment moment);
    /* Sets the bits of the pages that were written since they were last reported and cleared; all
     * other bits are 0 on entry. */
    void (*get)(Vm *vm, const Slot *slot, uint64_t *bitmap);
    /* From now on the pages in `bitmap` are reported again when they are written. NULL: get() has
     * done that. */
    void (*clear)(Vm *vm, const Slot *slot, const uint64_t *bitmap);
    bool all_at_first; /* the first report names every page */
    bool one_reader;   /* of one slot */
} Mode;

extern const Mode modes[];
extern const unsigned n_modes;

/* Starts or ends the log of a slot as this mode wants it. */
void mode_log(Vm *vm, const Mode *mode, const Slot *slot, bool on);

/* get() and clear() at one go; `bitmap` need not be empty. */
void mode_read(Vm *vm, const Mode *mode, const Slot *slot, uint64_t *bitmap);

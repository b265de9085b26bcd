/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The guest's marks are the truth: a page that carries the mark of this round was written in it.
 */
#include "rounds.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PASSES 6 /* of the guest over its share while the log is read */
#define PAUSE_US 500

unsigned rounds_lose;

static uint32_t
next_random(uint32_t *state)
{
    *state = *state * 1664525 + 1013904223;
    return *state >> 8;
}

/* A piece of the share of vCPU `i`: here a run, there every few pages, now and then nothing. */
static Segment
choose_segment(const Vm *vm, uint32_t i, uint32_t mark, uint32_t *state)
{
    uint32_t share = vm->slot.pages / vm->n_vcpus;
    uint32_t stride = 1 + next_random(state) % 5;
    uint32_t skip = next_random(state) % share;
    uint32_t most = (share - skip + stride - 1) / stride;

    return (Segment){.first = i * share + skip,
                     .stride = stride,
                     .count = next_random(state) % 8 == 0 ? 0 : 1 + next_random(state) % most,
                     .mark = mark};
}

void
rounds_choose(Vm *vm, uint32_t mark, uint32_t *state)
{
    for (uint32_t i = 0; i < vm->n_vcpus; i++)
        vm->vcpus[i].segment = choose_segment(vm, i, mark, state);
}

static bool
has_bit(const uint64_t *bitmap, uint32_t page)
{
    return (bitmap[page / 64] >> page % 64 & 1) != 0;
}

static void
lose(const Vm *vm, uint64_t *bitmap)
{
    unsigned n = 0;

    for (uint32_t page = 0; rounds_lose > 0 && page < vm->slot.pages; page++)
        if (has_bit(bitmap, page) && ++n % rounds_lose == 0)
            bitmap[page / 64] &= ~(1ull << page % 64);
}

static void
read_log(Vm *vm, const Mode *mode, uint64_t *bitmap)
{
    memset(bitmap, 0, vm->slot.pages / 8);
    mode->get(vm, &vm->slot, bitmap);
    lose(vm, bitmap);
    if (mode->clear != NULL)
        mode->clear(vm, &vm->slot, bitmap);
}

static void
exact_round(Vm *vm, const Mode *mode, uint32_t mark, uint32_t *state, uint64_t *bitmap, Rounds *ret)
{
    rounds_choose(vm, mark, state);
    vm_begin(vm);
    vm_end(vm);
    read_log(vm, mode, bitmap);
    for (uint32_t page = 0; page < vm->slot.pages; page++) {
        bool written = vm_mark(&vm->slot, page) == mark, reported = has_bit(bitmap, page);

        ret->written += written;
        ret->missing += written && !reported;
        ret->extra += reported && !written;
    }
    ret->rounds++;
}

static void
copy_reported(const Vm *vm, const uint64_t *bitmap, uint32_t *copy, Rounds *ret)
{
    for (uint32_t page = 0; page < vm->slot.pages; page++) {
        if (!has_bit(bitmap, page))
            continue;
        copy[page] = vm_mark(&vm->slot, page);
        ret->copied++;
    }
}

/* As a migration does it: read the log, then copy what it names; the guest never waits for that. In
 * the end it stops, and what the last report names is copied. */
static uint32_t
read_while_it_runs(Vm *vm, const Mode *mode, uint32_t mark, uint32_t *state, uint64_t *bitmap,
                   Rounds *ret)
{
    uint32_t *copy = malloc(vm->slot.pages * sizeof *copy);

    if (copy == NULL)
        die("no memory");
    for (uint32_t page = 0; page < vm->slot.pages; page++)
        copy[page] = vm_mark(&vm->slot, page);
    for (unsigned pass = 0; pass < PASSES; pass++) {
        mark++;
        rounds_choose(vm, mark, state);
        vm_begin(vm);
        do {
            usleep(PAUSE_US);
            read_log(vm, mode, bitmap);
            copy_reported(vm, bitmap, copy, ret);
            ret->reads++;
        } while (!vm_is_done(vm));
        vm_end(vm);
    }
    read_log(vm, mode, bitmap);
    copy_reported(vm, bitmap, copy, ret);
    for (uint32_t page = 0; page < vm->slot.pages; page++)
        ret->stale += copy[page] != vm_mark(&vm->slot, page);
    free(copy);
    return mark;
}

uint32_t
rounds_run(Vm *vm, const Mode *mode, unsigned n, uint32_t mark, uint64_t *bitmap, Rounds *ret)
{
    uint32_t state = 1;

    memset(ret, 0, sizeof *ret);
    if (n == 0)
        return mark;
    read_log(vm, mode, bitmap); /* what was before does not count */
    for (unsigned i = 0; i < n; i++)
        exact_round(vm, mode, ++mark, &state, bitmap, ret);
    return read_while_it_runs(vm, mode, mark, &state, bitmap, ret);
}

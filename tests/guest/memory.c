/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Writing and checking pages. Straight-line code: under emulation the number of instructions a page
 * decides how fast the guest can be, so the words to compare with are in registers.
 */
#include "memory.h"

#define PAGE_WORDS 1024
#define BATCHES_PER_MIB (256 / MEMORY_BATCH)
#define TABLE_AT 0x200000
#define PAGES_AT MEMORY_AT

typedef struct {
    uint32_t generation;
    uint32_t address;
    uint32_t rest[PAGE_WORDS - 2];
} Page;

typedef Page Batch[MEMORY_BATCH];

Memory memory;

static uint32_t *const table = (uint32_t *)TABLE_AT; /* of each batch */
static Batch *const batches = (Batch *)PAGES_AT;

static MemoryPattern pattern;
static uint32_t n_batches, n_all; /* of the working set, of everything */
static uint32_t next_dirty, seed = 1;
static uint32_t next_sweep, sum, fresh_sum, sum_is_void;

static __attribute__((noinline)) void
found_wrong(uint32_t b, uint32_t n)
{
    Page *page = &batches[b][n];

    memory.wrong++;
    memory.last_bad = (uint32_t)page;
    sum_is_void = true; /* it is counted already */
    page->generation = table[b];
    page->address = (uint32_t)page;
}

bool
memory_start(uint32_t ws_mib, uint32_t touch_mib, uint32_t mib_available, MemoryPattern wanted)
{
    if (PAGES_AT / 0x100000 + ws_mib + touch_mib > mib_available)
        return false;
    pattern = wanted;
    n_batches = ws_mib * BATCHES_PER_MIB;
    n_all = n_batches + touch_mib * BATCHES_PER_MIB;
    memory.pages = n_batches * MEMORY_BATCH;
    memory.all = n_all * MEMORY_BATCH;
    for (uint32_t b = 0; b < n_all; b++) {
        uint32_t generation = (uint32_t)batches[b];
        table[b] = generation;
        fresh_sum += generation;
#pragma GCC unroll 16
        for (uint32_t n = 0; n < MEMORY_BATCH; n++) {
            batches[b][n].generation = generation;
            batches[b][n].address = (uint32_t)&batches[b][n];
        }
    }
    return true;
}

static uint32_t
choose_batch(void)
{
    uint32_t b = next_dirty;

    if (pattern != MEMORY_IN_ORDER) {
        seed = seed * 1664525 + 1013904223;
        b = (uint32_t)((uint64_t)seed * n_batches >> 32);
        return pattern == MEMORY_SPREAD ? muldiv(b, n_all, n_batches) : b;
    }
    next_dirty = b + 1 == n_batches ? 0 : b + 1;
    return b;
}

void
memory_dirty(void)
{
    uint32_t b = choose_batch();
    uint32_t expected = table[b], next = expected + 1;
    Page *page = batches[b];

#pragma GCC unroll 16
    for (uint32_t n = 0; n < MEMORY_BATCH; n++) {
        if (__builtin_expect(page[n].generation != expected, 0))
            found_wrong(b, n);
        page[n].generation = next;
    }
    table[b] = next;
    memory.done += MEMORY_BATCH;
    if (b < next_sweep) /* the sweep has passed it */
        sum++;
}

void
memory_sweep(void)
{
    uint32_t b = next_sweep;
    uint32_t expected = table[b];
    Page *page = batches[b];

#pragma GCC unroll 16
    for (uint32_t n = 0; n < MEMORY_BATCH; n++)
        if (__builtin_expect(page[n].generation != expected, 0) ||
            __builtin_expect(page[n].address != (uint32_t)&page[n], 0))
            found_wrong(b, n);
    sum += expected;
    memory.swept += MEMORY_BATCH;
    next_sweep = b + 1;
    if (next_sweep < n_all)
        return;
    if ((sum - fresh_sum) * MEMORY_BATCH != memory.done && !sum_is_void)
        memory.lost++;
    memory.sweeps++;
    next_sweep = sum = sum_is_void = 0;
}

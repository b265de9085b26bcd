/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Writing and checking pages. Straight-line code in batches: under emulation the number of
 * instructions per page decides how fast the guest can be.
 */
#include "memory.h"

#define PAGE_WORDS 1024
#define PAGES_PER_MIB 256
#define TABLE_AT 0x200000 /* 2 MiB: room for 6 GiB under test */
#define PAGES_AT 0x800000

typedef volatile uint32_t Page[PAGE_WORDS];

Memory memory;

static uint32_t *const table = (uint32_t *)TABLE_AT;
static Page *const pages = (Page *)PAGES_AT;

static bool random_order;
static uint32_t next_dirty, seed = 1;
static uint32_t next_sweep, sum, fresh_sum, sum_is_void;

static __attribute__((noinline)) void
found_wrong(uint32_t i)
{
    memory.wrong++;
    memory.last_bad = (uint32_t)pages[i];
    sum_is_void = true; /* it is counted already */
    pages[i][0] = table[i];
}

static inline void
check_and_write(uint32_t i)
{
    uint32_t word = table[i];

    if (__builtin_expect(pages[i][0] != word, 0))
        found_wrong(i);
    word++;
    table[i] = word;
    pages[i][0] = word;
}

bool
memory_start(uint32_t ws_mib, uint32_t touch_mib, uint32_t mib_available, bool random)
{
    if (PAGES_AT / 0x100000 + ws_mib + touch_mib > mib_available)
        return false;
    random_order = random;
    memory.pages = ws_mib * PAGES_PER_MIB;
    memory.all = memory.pages + touch_mib * PAGES_PER_MIB;
#pragma GCC unroll 16
    for (uint32_t i = 0; i < memory.all; i++) {
        uint32_t word = (uint32_t)pages[i];
        table[i] = pages[i][0] = word;
        fresh_sum += word;
    }
    return true;
}

void
memory_dirty(void)
{
    uint32_t first = next_dirty;

    memory.done += MEMORY_BATCH;
    if (random_order) {
        for (uint32_t n = 0; n < MEMORY_BATCH; n++) {
            seed = seed * 1664525 + 1013904223;
            uint32_t i = (uint32_t)((uint64_t)seed * memory.pages >> 32);
            check_and_write(i);
            sum += i < next_sweep; /* the sweep has passed it */
        }
        return;
    }
#pragma GCC unroll 16
    for (uint32_t n = 0; n < MEMORY_BATCH; n++)
        check_and_write(first + n);
    if (first < next_sweep)
        sum += MEMORY_BATCH;
    next_dirty = first + MEMORY_BATCH == memory.pages ? 0 : first + MEMORY_BATCH;
}

void
memory_sweep(void)
{
    uint32_t first = next_sweep;

#pragma GCC unroll 16
    for (uint32_t n = 0; n < MEMORY_BATCH; n++) {
        uint32_t word = table[first + n];
        if (__builtin_expect(pages[first + n][0] != word, 0))
            found_wrong(first + n);
        sum += word;
    }
    memory.swept += MEMORY_BATCH;
    next_sweep = first + MEMORY_BATCH;
    if (next_sweep < memory.all)
        return;
    if (sum - fresh_sum != memory.done && !sum_is_void)
        memory.lost++;
    memory.sweeps++;
    next_sweep = sum = sum_is_void = 0;
}

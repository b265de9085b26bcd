/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The pages under test, in batches of neighbours that are dirtied together. Each page shows its
 * generation (the number of times it was written, plus the address of its batch) and its own
 * address; the generation that it should show is kept in a table elsewhere. A page, or a piece of
 * the table, that arrives stale or in the wrong place disagrees. A stale table over equally stale
 * pages agrees with itself, so each sweep also adds the generations up and compares the sum with
 * the number of writes done.
 *
 * One word is written a page: an emulated CPU could not write whole pages at the rates wanted.
 */
#pragma once

#include "cpu.h"

#define MEMORY_AT 0x800000 /* of the first page */
#define MEMORY_BATCH 16    /* pages; a divisor of those in a MiB */

typedef struct {
    uint32_t pages;    /* in the working set; further ones are only checked */
    uint32_t all;      /* pages under test */
    uint32_t done;     /* page writes since the start */
    uint32_t swept;    /* page checks by sweeps since the start; each write follows a check too */
    uint32_t wrong;    /* pages found wrong since the start; each is repaired, so it counts once */
    uint32_t last_bad; /* address of the last of them */
    uint32_t sweeps;   /* checks of everything, begun and ended */
    uint32_t lost;     /* sweeps whose generations did not add up to `done` */
} Memory;

extern Memory memory;

/* In which order the pages of the working set are dirtied, and where they are: the first of all, or
 * evenly spread over them. */
typedef enum { MEMORY_IN_ORDER, MEMORY_RANDOM, MEMORY_SPREAD } MemoryPattern;

/* Lays out and writes every page once. FALSE if `mib_available` is too small. */
bool
memory_start(uint32_t ws_mib, uint32_t touch_mib, uint32_t mib_available, MemoryPattern pattern);

/* Checks and writes the next batch of the working set. */
void memory_dirty(void);

/* Checks the next batch of all. */
void memory_sweep(void);

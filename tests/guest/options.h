/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The guest's command line: KEY=VALUE words.
 *   ws=MIB              working set, dirtied again and again (64)
 *   touch=MIB           further memory, written once at boot, then only checked (0)
 *   rate=MB             dirty rate in 10^6 bytes/s of distinct page writes (100)
 *   pattern=seq|random|spread  order in which pages are dirtied (seq); spread: at random, and the
 *       working set lies evenly over all memory, not at its beginning
 *   reader=1            a second vCPU reads the working set all the time (0)
 *   exits=1             leaves to the hypervisor every few stores (0): see breathe() in cpu.h
 *   phases=S:MB,S:MB,…  rates by time: S seconds at MB each; the last one lasts for ever. Overrides
 * rate
 */
#pragma once

#include "cpu.h"
#include "memory.h"

#define MAX_PHASES 16

typedef struct {
    uint32_t seconds;
    uint32_t rate;
} Phase;

typedef struct {
    uint32_t ws_mib;
    uint32_t touch_mib;
    MemoryPattern pattern;
    Phase phases[MAX_PHASES];
    uint32_t n_phases;
    uint32_t reader;
    uint32_t exits;
} Options;

/* Returns the offending word, or NULL. The loader puts the file's name first: words without '=' are
 * skipped. */
const char *options_parse(Options *options, const char *command_line);

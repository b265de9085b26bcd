/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Time from the TSC, calibrated once against the PIT, in ticks that fit in 32 bits. The TSC may
 * jump when a migration ends: a step backwards or of more than CLOCK_JUMP_MS counts as no time at
 * all.
 */
#pragma once

#include "cpu.h"

#define CLOCK_JUMP_MS 3000 /* a vCPU throttled to 99 % sleeps 990 ms at a time */

/* Takes ~50 ms. */
void clock_start(void);

/* Ticks in a millisecond: a 64th of the TSC's. */
uint32_t clock_khz(void);

/* Ticks since the last call. */
uint32_t clock_step(void);

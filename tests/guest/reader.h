/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A second vCPU that only reads: to see that what slows a writer leaves it alone.
 */
#pragma once

#include "cpu.h"

/* Pages read so far; it wraps. Written by the reader, seldom. */
extern volatile uint32_t reader_done;

/* Starts it on the pages under test. Needs a machine with two vCPUs, and clock_start() before. */
void reader_start(void);

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The clock. Polls; never takes an interrupt. Where instructions are emulated each costs about 2
 * µs, hence 32 bits.
 */
#include "clock.h"

#define PIT_CHANNEL2 0x42
#define PIT_COMMAND 0x43
#define PIT_GATE 0x61
#define PIT_COUNT 59659 /* of 1193182 Hz */
#define PIT_MS 50
#define TSC_SHIFT 6 /* 2.5 GHz: a tick is 26 ns, and they wrap after 110 s */

static uint32_t khz, jump, last;

static inline uint32_t
now(void)
{
    uint32_t low, high;

    __asm__ volatile("rdtsc" : "=a"(low), "=d"(high));
    return low >> TSC_SHIFT | high << (32 - TSC_SHIFT);
}

uint32_t
clock_khz(void)
{
    return khz;
}

void
clock_start(void)
{
    uint8_t gate = (inb(PIT_GATE) & ~0x02) | 0x01; /* speaker off, counter running */
    uint32_t start;

    outb(PIT_GATE, gate & ~0x01);
    outb(PIT_COMMAND, 0xb0); /* channel 2, both bytes, mode 0: the output rises at the end */
    outb(PIT_CHANNEL2, PIT_COUNT & 0xff);
    outb(PIT_CHANNEL2, PIT_COUNT >> 8);
    start = now();
    outb(PIT_GATE, gate);
    while (!(inb(PIT_GATE) & 0x20))
        ;
    last = now();
    khz = (last - start) / PIT_MS;
    jump = khz * CLOCK_JUMP_MS;
}

uint32_t
clock_step(void)
{
    uint32_t t = now();
    uint32_t step = t - last;

    last = t;
    return step > jump ? 0 : step;
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Start by INIT and SIPI, as every x86 processor after the first is started, and then a loop. Takes
 * no part in the checks.
 */
#include "reader.h"

#include "clock.h"
#include "memory.h"

#define APIC_COMMAND ((volatile uint32_t *)0xfee00300)
#define APIC_TARGET ((volatile uint32_t *)0xfee00310)
#define READER_ID (1u << 24)
#define INIT 0x4500
#define SIPI 0x4600
#define CODE_AT 0x8000 /* of its first instructions: below 1 MiB, on a page */
#define INIT_MS 10
#define COUNT_PAGES 256 /* the counter's page becomes dirty as seldom as that */

extern const uint8_t reader_code[], reader_code_end[]; /* start.S */

volatile uint32_t reader_done;

void reader_main(void);

void
reader_main(void)
{
    for (uint32_t page = 0;; page += COUNT_PAGES) {
        if (page + COUNT_PAGES > memory.pages)
            page = 0;
        for (uint32_t n = 0; n < COUNT_PAGES; n++)
            (void)*(volatile uint32_t *)(MEMORY_AT + (page + n) * 4096);
        reader_done += COUNT_PAGES;
        breathe();
    }
}

static void
wait_ms(uint32_t ms)
{
    uint32_t left = clock_khz() * ms;

    while (left > 0) {
        uint32_t step = clock_step();
        left -= step < left ? step : left;
    }
}

void
reader_start(void)
{
    uint8_t *target = (uint8_t *)CODE_AT;

    for (const uint8_t *source = reader_code; source < reader_code_end; source++)
        *target++ = *source;
    *APIC_TARGET = READER_ID;
    *APIC_COMMAND = INIT;
    wait_ms(INIT_MS);
    *APIC_TARGET = READER_ID;
    *APIC_COMMAND = SIPI | CODE_AT >> 12;
}

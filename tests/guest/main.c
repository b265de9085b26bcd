/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The test guest: dirties a working set at an exact rate in phases, checks every page before it
 * overwrites it, sweeps over all pages in between, and tells about it on the debug console: "ready
 * …" once, then a '.' each TICK_MS and a line "r up=… …" each REPORT_TICKS of them. It never
 * catches up: time in which it did not run is work lost, as for a guest that computes, so a
 * throttled vCPU dirties less and a pause shows in the figures.
 */
#include "clock.h"
#include "console.h"
#include "memory.h"
#include "options.h"
#include "reader.h"

#define TICK_MS 10
#define REPORT_TICKS 10
#define SLACK_MS 1        /* credit for time that passed unseen; more would be catching up */
#define TICK_SLACK_MS 5   /* the same after a tick, whose cost is our own doing */
#define SWEEPS_PER_TICK 2 /* batches that are checked however busy we are */
#define MULTIBOOT_MAGIC 0x2badb002
#define MULTIBOOT_HAS 0x5 /* memory sizes, command line */
#define PAGE_BYTES 4096

typedef struct {
    uint32_t flags, mem_lower, mem_upper; /* sizes in KiB */
    uint32_t boot_device;
    const char *command_line;
} MultibootInfo;

typedef struct {
    uint32_t phase;   /* index */
    uint32_t until;   /* ms: end of the phase */
    uint32_t rate;    /* MB/s */
    uint32_t price;   /* clock ticks that a batch of pages may take */
    uint32_t up;      /* ms */
    uint32_t nominal; /* kB that the phases asked for so far */
} Pace;

bool cpu_breathes;
static Options options;
static Pace pace;

static void
enter_phase(uint32_t index)
{
    const Phase *phase = &options.phases[index];

    pace.phase = index;
    pace.until += phase->seconds * 1000;
    pace.rate = phase->rate;
    if (pace.rate)
        pace.price = muldiv(clock_khz(), PAGE_BYTES * MEMORY_BATCH, pace.rate * 1000);
}

static void
report(void)
{
    put_text("r");
    put_field("up", pace.up);
    put_field("rate", pace.rate);
    put_field("nominal", pace.nominal);
    put_field("done", memory.done);
    put_field("swept", memory.swept);
    put_field("sweeps", memory.sweeps);
    put_field("wrong", memory.wrong);
    put_field("lost", memory.lost);
    if (options.reader)
        put_field("read", reader_done);
    if (memory.wrong) {
        put_text(" bad=");
        put_hex(memory.last_bad);
    }
    put_line();
}

static void
tick(void)
{
    static uint32_t ticks;

    pace.up += TICK_MS;
    pace.nominal += pace.rate * TICK_MS; /* MB/s x ms = kB */
    if (pace.up >= pace.until && pace.phase + 1 < options.n_phases)
        enter_phase(pace.phase + 1);
    for (uint32_t n = 0; n < SWEEPS_PER_TICK; n++) {
        memory_sweep();
        breathe();
    }
    if (++ticks < REPORT_TICKS) {
        put_beat();
        return;
    }
    ticks = 0;
    report();
}

static void
run(void)
{
    const uint32_t tick_length = clock_khz() * TICK_MS;
    uint32_t slack = clock_khz() * SLACK_MS, since_tick = 0, credit = 0;

    for (;;) {
        uint32_t step = clock_step();

        breathe();
        since_tick += step;
        credit += step < slack ? step : slack;
        slack = clock_khz() * SLACK_MS;
        while (since_tick >= tick_length) {
            since_tick -= tick_length;
            tick();
            slack = clock_khz() * TICK_SLACK_MS;
        }
        if (!pace.rate || credit < pace.price) {
            memory_sweep();
            credit = pace.rate ? credit : 0;
            continue;
        }
        memory_dirty();
        credit -= pace.price;
        if (credit > pace.price + slack) /* cannot keep up */
            credit = pace.price + slack;
    }
}

static void
fail(const char *what, const char *where)
{
    put_text("error: ");
    put_text(what);
    put_text(where);
    put_line();
}

void guest_main(uint32_t magic, const MultibootInfo *info);

void
guest_main(uint32_t magic, const MultibootInfo *info)
{
    const char *bad;

    if (magic != MULTIBOOT_MAGIC || (info->flags & MULTIBOOT_HAS) != MULTIBOOT_HAS) {
        fail("no multiboot information", "");
        return;
    }
    bad = options_parse(&options, info->command_line);
    if (bad) {
        fail("bad option: ", bad);
        return;
    }
    cpu_breathes = options.exits;
    clock_start();
    if (!memory_start(options.ws_mib, options.touch_mib, info->mem_upper / 1024 + 1,
                      options.pattern)) {
        fail("too little memory for ws and touch", "");
        return;
    }
    if (options.reader)
        reader_start();
    enter_phase(0);
    put_text("ready");
    put_field("khz", clock_khz());
    put_field("pages", memory.pages);
    put_field("all", memory.all);
    put_line();
    clock_step();
    run();
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * dirtylog-bench: how long it takes to start the dirty log of a KVM guest, to read it, to clear it,
 * and how long the guest then takes to write everything, for each way that KVM has; and whether
 * what is reported is what the guest wrote. One line of JSON for each mode, size and backing.
 */
#include "churn.h"
#include "rounds.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CYCLES_MAX 32
#define SOME 64 /* every so many pages are "some" */

typedef struct {
    const char *sizes, *modes, *backings;
    unsigned vcpus, cycles, rounds, churn;
    bool paging;
} Options;

/* All in µs. */
typedef struct {
    double start, first_get, first_clear, first_write, get, clear, some_get, some_clear, none_get,
        stop;
} Times;

#define N_TIMES (sizeof(Times) / sizeof(double))

static const char *const time_names[N_TIMES] = {
    "start", "first_get", "first_clear", "first_write", "get",
    "clear", "some_get",  "some_clear",  "none_get",    "stop"};

static void
usage(void)
{
    fputs("usage: dirtylog-bench [--sizes=MIB,…] [--modes=NAME,…] [--backings=4k,2m] [--vcpus=N]\n"
          "                      [--cycles=N] [--rounds=N] [--lose=N] [--churn=N] [--paging]\n"
          "Times are the medians of N cycles. Sizes must be multiples of 2 MiB.\n"
          "--lose forgets each Nth page of a report: the rounds must find that.\n"
          "--churn measures nothing: the guest writes N times while slots, readers and the host's\n"
          "pages come and go. Not for rings.\n"
          "--paging: the guest has page tables of its own.\n",
          stderr);
    exit(2);
}

static bool
is_listed(const char *list, const char *word)
{
    size_t length = strlen(word);

    for (const char *p = list; p != NULL; p = strchr(p, ',')) {
        p += *p == ',';
        if (strncmp(p, word, length) == 0 && (p[length] == ',' || p[length] == '\0'))
            return true;
    }
    return list == NULL;
}

/* ---- measuring ---------------------------------------------------------------------------------
 */

/* `some`: one page of each SOME. */
static void
write_some(Vm *vm, uint32_t mark)
{
    memset(&vm->vcpus[0].segment, 0, sizeof vm->vcpus[0].segment);
    for (uint32_t i = 0; i < vm->n_vcpus; i++)
        vm->vcpus[i].segment = (Segment){.count = 0};
    vm->vcpus[0].segment =
        (Segment){.first = 0, .stride = SOME, .count = vm->slot.pages / SOME, .mark = mark};
    vm_begin(vm);
    vm_end(vm);
}

static void
read_log(Vm *vm, const Mode *mode, uint64_t *bitmap, double *get_us, double *clear_us)
{
    double begin, middle;

    memset(bitmap, 0, vm->slot.pages / 8);
    begin = now_us();
    mode->get(vm, &vm->slot, bitmap);
    middle = now_us();
    if (mode->clear != NULL)
        mode->clear(vm, &vm->slot, bitmap);
    *get_us = middle - begin;
    *clear_us = now_us() - middle;
}

static double
timed_write(Vm *vm, uint32_t mark)
{
    double begin = now_us();

    vm_write_all(vm, mark);
    return now_us() - begin;
}

static double
timed_log(Vm *vm, const Mode *mode, bool on)
{
    double begin = now_us();

    mode_log(vm, mode, &vm->slot, on);
    return now_us() - begin;
}

/* From the start of the log to its end. Every page is mapped and writable at the beginning. */
static uint32_t
cycle(Vm *vm, const Mode *mode, uint32_t mark, uint64_t *bitmap, Times *ret)
{
    double unused;

    ret->start = timed_log(vm, mode, true);
    read_log(vm, mode, bitmap, &ret->first_get, &ret->first_clear);
    ret->first_write = timed_write(vm, ++mark);
    read_log(vm, mode, bitmap, &ret->get, &ret->clear);
    write_some(vm, ++mark);
    read_log(vm, mode, bitmap, &ret->some_get, &ret->some_clear);
    read_log(vm, mode, bitmap, &ret->none_get, &unused);
    ret->stop = timed_log(vm, mode, false);
    vm_write_all(vm, ++mark);
    return mark;
}

static int
compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

static void
print_times(const Times *times, unsigned n)
{
    for (unsigned t = 0; t < N_TIMES; t++) {
        double values[CYCLES_MAX];

        for (unsigned i = 0; i < n; i++)
            values[i] = ((const double *)&times[i])[t];
        qsort(values, n, sizeof values[0], compare);
        printf(",\"%s_us\":%.1f", time_names[t], values[n / 2]);
    }
}

/* ---- one line ----------------------------------------------------------------------------------
 */

static void
print_churn(const Options *options, Vm *vm, const Mode *mode, uint32_t mark)
{
    Churn churn;

    mode_log(vm, mode, &vm->slot, true);
    churn_run(vm, mode, options->churn, mark, &churn);
    mode_log(vm, mode, &vm->slot, false);
    printf(
        ",\"churn\":%u,\"slots\":%u,\"forks\":%u,\"written\":%llu,\"missing\":%llu,\"extra\":%llu,"
        "\"reads\":%u,\"copied\":%llu,\"stale\":%llu}\n",
        options->churn, churn.slots, churn.forks, (unsigned long long)churn.written,
        (unsigned long long)churn.missing, (unsigned long long)churn.extra, churn.reads,
        (unsigned long long)churn.copied, (unsigned long long)churn.stale);
}

static void
print_cycles(const Options *options, Vm *vm, const Mode *mode, uint32_t mark)
{
    uint64_t *bitmap = calloc(vm->slot.pages / 64 + 1, sizeof *bitmap);
    Times times[CYCLES_MAX];
    Rounds rounds;

    if (bitmap == NULL)
        die("no memory");
    for (unsigned i = 0; i < options->cycles; i++)
        mark = cycle(vm, mode, mark, bitmap, &times[i]);
    mode_log(vm, mode, &vm->slot, true);
    (void)rounds_run(vm, mode, options->rounds, mark, bitmap, &rounds);
    mode_log(vm, mode, &vm->slot, false);
    printf(",\"cycles\":%u", options->cycles);
    print_times(times, options->cycles);
    printf(",\"rounds\":%u,\"written\":%llu,\"missing\":%llu,\"extra\":%llu,\"reads\":%u,"
           "\"copied\":%llu,\"stale\":%llu}\n",
           rounds.rounds, (unsigned long long)rounds.written, (unsigned long long)rounds.missing,
           (unsigned long long)rounds.extra, rounds.reads, (unsigned long long)rounds.copied,
           (unsigned long long)rounds.stale);
    free(bitmap);
}

static void
measure(const Options *options, const Mode *mode, uint32_t mib, bool huge)
{
    Vm vm;
    uint32_t mark = 1;
    double plain;

    vm_create(&vm, mib, huge, options->paging);
    printf("{\"mode\":\"%s\",\"mib\":%u,\"backing\":\"%s\",", mode->name, mib, huge ? "2m" : "4k");
    if (!mode->prepare(&vm) || (options->churn > 0 && mode->one_reader)) {
        printf("\"available\":false}\n");
        vm_destroy(&vm);
        return;
    }
    vm_add_vcpus(&vm, options->vcpus);
    vm_write_all(&vm, mark++); /* KVM maps what the guest touches */
    plain = timed_write(&vm, mark);
    printf("\"available\":true,\"vcpus\":%u,\"huge_bytes\":%llu,\"plain_write_us\":%.1f",
           options->vcpus, (unsigned long long)vm_huge_bytes(&vm), plain);
    (options->churn > 0 ? print_churn : print_cycles)(options, &vm, mode, mark);
    fflush(stdout);
    vm_destroy(&vm);
}

/* ---- options -----------------------------------------------------------------------------------
 */

static unsigned
number(const char *text, unsigned least, unsigned most)
{
    char *end;
    unsigned long value = strtoul(text, &end, 10);

    if (end == text || *end != '\0' || value < least || value > most)
        usage();
    return (unsigned)value;
}

static Options
parse(int argc, char **argv)
{
    static const struct option known[] = {
        {"sizes", required_argument, 0, 's'},    {"modes", required_argument, 0, 'm'},
        {"backings", required_argument, 0, 'b'}, {"vcpus", required_argument, 0, 'v'},
        {"cycles", required_argument, 0, 'c'},   {"rounds", required_argument, 0, 'r'},
        {"lose", required_argument, 0, 'l'},     {"churn", required_argument, 0, 'h'},
        {"paging", no_argument, 0, 'p'},         {0, 0, 0, 0},
    };
    Options options = {"64,128,256", NULL, NULL, 2, 3, 8, 0, false};
    int letter;

    while ((letter = getopt_long(argc, argv, "", known, NULL)) != -1) {
        switch (letter) {
        case 's':
            options.sizes = optarg;
            break;
        case 'm':
            options.modes = optarg;
            break;
        case 'b':
            options.backings = optarg;
            break;
        case 'v':
            options.vcpus = number(optarg, 1, VCPUS_MAX);
            break;
        case 'c':
            options.cycles = number(optarg, 1, CYCLES_MAX);
            break;
        case 'r':
            options.rounds = number(optarg, 0, 100000);
            break;
        case 'h':
            options.churn = number(optarg, 1, 100000);
            break;
        case 'p':
            options.paging = true;
            break;
        case 'l':
            rounds_lose = number(optarg, 1, 1000000);
            break;
        default:
            usage();
        }
    }
    if (optind < argc)
        usage();
    return options;
}

static void
measure_sizes(const Options *options, const Mode *mode, bool huge)
{
    for (const char *p = options->sizes; *p != '\0';) {
        char *end;
        unsigned long mib = strtoul(p, &end, 10);

        if (end == p || mib < 2 || mib > 2048 || mib % 2 != 0 || (*end != ',' && *end != '\0'))
            usage();
        measure(options, mode, (uint32_t)mib, huge);
        p = *end == ',' ? end + 1 : end;
    }
}

int
main(int argc, char **argv)
{
    Options options = parse(argc, argv);
    bool any = false;

    for (unsigned i = 0; i < n_modes; i++) {
        if (!is_listed(options.modes, modes[i].name))
            continue;
        any = true;
        if (is_listed(options.backings, "4k"))
            measure_sizes(&options, &modes[i], false);
        if (is_listed(options.backings, "2m"))
            measure_sizes(&options, &modes[i], true);
    }
    if (!any)
        usage();
    return 0;
}

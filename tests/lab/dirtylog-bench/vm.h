/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A virtual machine that can do one thing: its vCPUs write a mark into pages, which pages and which
 * mark as they are told. Made on the KVM interface itself, so that each ioctl can be timed. It ends
 * the program when something fails that is not to be measured.
 */
#pragma once

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <linux/kvm.h>

#define PAGE 4096u
#define VCPUS_MAX 64

/* What a vCPU does at one go: `count` pages from `first` on, `stride` apart, get `mark` in their
 * first word. Pages count from the beginning of the measured memory and wrap nowhere. */
typedef struct {
    uint32_t first, stride, count, mark;
} Segment;

typedef struct Vm Vm;

/* Memory of the guest, as we see it. */
typedef struct {
    uint32_t id;
    uint64_t guest;
    uint8_t *memory;
    uint32_t pages;
} Slot;

typedef struct {
    Vm *vm;
    int fd;
    struct kvm_run *run;
    struct kvm_dirty_gfn *ring; /* NULL = none */
    uint32_t fetched;           /* entries taken from the ring so far */
    pthread_t thread;
    Segment segment;
} Vcpu;

struct Vm {
    int kvm, fd;
    Slot slot; /* the measured one */
    bool paging;
    Slot tables; /* if paging */
    uint32_t n_vcpus;
    Vcpu vcpus[VCPUS_MAX];
    uint32_t ring_entries; /* of each vCPU; 0 = no rings */
    uint64_t *ringed;      /* bitmap of what was taken from the rings and not yet handed out */
    pthread_mutex_t ring_lock;
    pthread_barrier_t begin, end;
    bool leaving;
    bool running; /* between vm_begin() and vm_end() */
};

/* Prints and exits with status 1. */
void die(const char *format, ...) __attribute__((noreturn, format(printf, 1, 2)));

/* ioctl() that may not fail; and the clock, in µs. */
int must_ioctl(int fd, unsigned long request, void *argument, const char *what);
double now_us(void);

/* `paging`: the guest has page tables of its own, with 4 KiB pages.
 * Without vCPUs yet: capabilities that must come first can be enabled. */
void vm_create(Vm *vm, uint32_t mib, bool huge, bool paging);
void vm_add_vcpus(Vm *vm, uint32_t n);
void vm_destroy(Vm *vm);

/* Bytes of the measured memory that stand in huge pages. */
uint64_t vm_huge_bytes(const Vm *vm);

/* Makes a slot, or takes it away again. Its memory is new, and written once by us so that no later
 * fault finds it missing. `guest` must be a multiple of 2 MiB. Segments reach it from
 * vm_first_page(slot) on. */
void
vm_add_slot(Vm *vm, Slot *slot, uint32_t id, uint64_t guest, uint32_t pages, bool huge, bool log);
void vm_remove_slot(Vm *vm, Slot *slot);
uint32_t vm_first_page(const Slot *slot);

/* Logs what is written to a slot, or not any more. */
void vm_log(Vm *vm, const Slot *slot, bool on);

/* Each vCPU does its segment (vm->vcpus[i].segment), all at once. */
void vm_begin(Vm *vm);
bool vm_is_done(Vm *vm); /* all have ended; does not wait */
void vm_end(Vm *vm);     /* waits */

/* Each vCPU writes its share of all pages. */
void vm_write_all(Vm *vm, uint32_t mark);

/* The mark in a page. */
uint32_t vm_mark(const Slot *slot, uint32_t page);

/* Takes what is in the rings; the entries can be used again only after vm_reset_rings(). */
void vm_take_rings(Vm *vm);
int vm_reset_rings(Vm *vm); /* returns the number of entries */

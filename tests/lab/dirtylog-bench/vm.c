/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The machine: flat 32-bit protected mode, with paging only if asked for, no devices, no
 * interrupts. The program is six instructions: some hosts of KVM emulate each of them.
 */
#include "vm.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define CODE_AT 0x1000u
#define MEMORY_AT 0x40000000u /* of the measured memory in the guest */
#define HUGE_PAGE (2u << 20)
#define SLOT_CODE 0
#define SLOT_MEMORY 1
#define SLOT_TABLES 3
#define TABLES_AT 0x10000000u /* the directory, then a table for each 4 MiB of 4 GiB */
#define ENTRIES 1024u         /* of a directory or a table of 32-bit paging */
#define ENTRY_FLAGS 0x67u     /* present, writable, user, accessed, dirty */
#define STUCK                                                                                      \
    100000         /* exits in a row without an entry: another thread's reset may be under way     \
                    */
#define RING_AT 64 /* pages into the vCPU's descriptor: KVM_DIRTY_LOG_PAGE_OFFSET on x86 */

/* again: mov [esi], eax; add esi, edi; dec ecx; jnz again; hlt; jmp again */
static const uint8_t code[] = {0x89, 0x06, 0x01, 0xfe, 0x49, 0x75, 0xf9, 0xf4, 0xeb, 0xf6};

static atomic_uint n_done;

void
die(const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    fputs("dirtylog-bench: ", stderr);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    va_end(arguments);
    exit(1);
}

int
must_ioctl(int fd, unsigned long request, void *argument, const char *what)
{
    int result = ioctl(fd, request, argument);

    if (result < 0)
        die("%s: %s", what, strerror(errno));
    return result;
}

double
now_us(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

/* ---- memory ------------------------------------------------------------------------------------
 */

static void
set_slot(const Vm *vm, uint32_t slot, uint32_t flags, uint64_t guest, uint64_t size, void *host)
{
    struct kvm_userspace_memory_region region = {.slot = slot,
                                                 .flags = flags,
                                                 .guest_phys_addr = guest,
                                                 .memory_size = size,
                                                 .userspace_addr = (uintptr_t)host};

    must_ioctl(vm->fd, KVM_SET_USER_MEMORY_REGION, &region, "KVM_SET_USER_MEMORY_REGION");
}

/* Anonymous memory, on a boundary that huge pages need. */
static uint8_t *
map_memory(size_t bytes, bool huge)
{
    uint8_t *all = mmap(NULL, bytes + HUGE_PAGE, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    uint8_t *memory;

    if (all == MAP_FAILED)
        die("no %zu bytes of memory: %s", bytes, strerror(errno));
    memory = (uint8_t *)(((uintptr_t)all + HUGE_PAGE - 1) & ~(uintptr_t)(HUGE_PAGE - 1));
    if (memory > all)
        munmap(all, (size_t)(memory - all));
    munmap(memory + bytes, HUGE_PAGE - (size_t)(memory - all));
    madvise(memory, bytes, huge ? MADV_HUGEPAGE : MADV_NOHUGEPAGE);
    for (size_t at = 0; at < bytes; at += PAGE)
        memory[at] = 0; /* so that no later fault finds it missing */
    return memory;
}

uint64_t
vm_huge_bytes(const Vm *vm)
{
    FILE *file = fopen("/proc/self/smaps", "r");
    uint64_t begin = 0, kib = 0, sum = 0;
    bool ours = false;
    char line[512];

    while (file != NULL && fgets(line, sizeof line, file) != NULL) {
        unsigned long long first, last;

        if (sscanf(line, "%llx-%llx ", &first, &last) == 2) {
            begin = first;
            ours = begin >= (uintptr_t)vm->slot.memory &&
                   begin < (uintptr_t)vm->slot.memory + (uint64_t)vm->slot.pages * PAGE;
        } else if (ours && sscanf(line, "AnonHugePages: %llu kB", &first) == 1) {
            kib = first;
            sum += kib * 1024;
        }
    }
    if (file != NULL)
        fclose(file);
    return sum;
}

void
vm_log(Vm *vm, const Slot *slot, bool on)
{
    set_slot(vm, slot->id, on ? KVM_MEM_LOG_DIRTY_PAGES : 0, slot->guest,
             (uint64_t)slot->pages * PAGE, slot->memory);
}

void
vm_add_slot(Vm *vm, Slot *slot, uint32_t id, uint64_t guest, uint32_t pages, bool huge, bool log)
{
    *slot = (Slot){.id = id, .guest = guest, .pages = pages};
    slot->memory = map_memory((size_t)pages * PAGE, huge);
    vm_log(vm, slot, log);
}

void
vm_remove_slot(Vm *vm, Slot *slot)
{
    set_slot(vm, slot->id, 0, slot->guest, 0, slot->memory);
    munmap(slot->memory, (size_t)slot->pages * PAGE);
    *slot = (Slot){0};
}

uint32_t
vm_first_page(const Slot *slot)
{
    return (uint32_t)(slot->guest - MEMORY_AT) / PAGE;
}

uint32_t
vm_mark(const Slot *slot, uint32_t page)
{
    return *(const volatile uint32_t *)(slot->memory + (size_t)page * PAGE);
}

/* Page tables that map each address to itself. */
static void
add_tables(Vm *vm)
{
    uint32_t *entry;

    vm_add_slot(vm, &vm->tables, SLOT_TABLES, TABLES_AT, 1 + ENTRIES, false, false);
    entry = (uint32_t *)(void *)vm->tables.memory;
    for (uint32_t i = 0; i < ENTRIES; i++)
        *entry++ = (TABLES_AT + (1 + i) * PAGE) | ENTRY_FLAGS;
    for (uint32_t i = 0; i < ENTRIES * ENTRIES; i++)
        *entry++ = i * PAGE | ENTRY_FLAGS;
}

/* ---- vCPUs -------------------------------------------------------------------------------------
 */

static void
enter_protected_mode(const Vcpu *vcpu)
{
    const struct kvm_segment flat = {.limit = 0xffffffff, .present = 1, .s = 1, .g = 1, .db = 1};
    struct kvm_sregs sregs;

    must_ioctl(vcpu->fd, KVM_GET_SREGS, &sregs, "KVM_GET_SREGS");
    sregs.cs = sregs.ds = sregs.es = sregs.ss = sregs.fs = sregs.gs = flat;
    sregs.cs.selector = 0x08;
    sregs.cs.type = 11; /* code, readable, accessed */
    sregs.ds.selector = sregs.es.selector = sregs.ss.selector = 0x10;
    sregs.fs.selector = sregs.gs.selector = 0x10;
    sregs.ds.type = sregs.es.type = sregs.ss.type = sregs.fs.type = sregs.gs.type = 3;
    sregs.cr0 |= 1;
    if (vcpu->vm->paging) {
        sregs.cr3 = TABLES_AT;
        sregs.cr0 |= 1u << 31;
    }
    must_ioctl(vcpu->fd, KVM_SET_SREGS, &sregs, "KVM_SET_SREGS");
}

static void
run_segment(Vcpu *vcpu)
{
    const Segment *segment = &vcpu->segment;
    struct kvm_regs regs = {.rip = CODE_AT,
                            .rflags = 2,
                            .rax = segment->mark,
                            .rcx = segment->count,
                            .rsi = MEMORY_AT + (uint64_t)segment->first * PAGE,
                            .rdi = (uint64_t)segment->stride * PAGE};
    unsigned n_stuck = 0;

    if (segment->count == 0)
        return;
    must_ioctl(vcpu->fd, KVM_SET_REGS, &regs, "KVM_SET_REGS");
    for (;;) {
        if (ioctl(vcpu->fd, KVM_RUN, 0) < 0 && errno != EINTR && errno != EAGAIN)
            die("KVM_RUN: %s", strerror(errno));
        switch (vcpu->run->exit_reason) {
        case KVM_EXIT_HLT:
            return;
        case KVM_EXIT_DIRTY_RING_FULL:
            vm_take_rings(vcpu->vm);
            n_stuck = vm_reset_rings(vcpu->vm) > 0 ? 0 : n_stuck + 1;
            if (n_stuck > STUCK)
                die("an empty ring stays full: this KVM has let it overflow");
            break;
        case KVM_EXIT_INTR:
            break;
        default:
            die("the guest left for reason %u", vcpu->run->exit_reason);
        }
    }
}

static void *
vcpu_main(void *data)
{
    Vcpu *vcpu = data;
    Vm *vm = vcpu->vm;

    for (;;) {
        pthread_barrier_wait(&vm->begin);
        if (vm->leaving)
            return NULL;
        run_segment(vcpu);
        atomic_fetch_add(&n_done, 1);
        pthread_barrier_wait(&vm->end);
    }
}

static void
map_ring(Vcpu *vcpu)
{
    size_t bytes = vcpu->vm->ring_entries * sizeof(struct kvm_dirty_gfn);

    vcpu->ring =
        mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, vcpu->fd, RING_AT * (off_t)PAGE);
    if (vcpu->ring == MAP_FAILED)
        die("the ring of a vCPU: %s", strerror(errno));
}

void
vm_add_vcpus(Vm *vm, uint32_t n)
{
    int run_bytes = must_ioctl(vm->kvm, KVM_GET_VCPU_MMAP_SIZE, NULL, "KVM_GET_VCPU_MMAP_SIZE");

    vm->n_vcpus = n;
    pthread_barrier_init(&vm->begin, NULL, n + 1);
    pthread_barrier_init(&vm->end, NULL, n + 1);
    for (uint32_t i = 0; i < n; i++) {
        Vcpu *vcpu = &vm->vcpus[i];

        vcpu->vm = vm;
        vcpu->fd = must_ioctl(vm->fd, KVM_CREATE_VCPU, (void *)(uintptr_t)i, "KVM_CREATE_VCPU");
        vcpu->run = mmap(NULL, (size_t)run_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, vcpu->fd, 0);
        if (vcpu->run == MAP_FAILED)
            die("the state of a vCPU: %s", strerror(errno));
        if (vm->ring_entries > 0)
            map_ring(vcpu);
        enter_protected_mode(vcpu);
        if (pthread_create(&vcpu->thread, NULL, vcpu_main, vcpu) != 0)
            die("no thread for a vCPU");
    }
}

/* ---- the machine -------------------------------------------------------------------------------
 */

void
vm_create(Vm *vm, uint32_t mib, bool huge, bool paging)
{
    const uint32_t pages = mib * (1048576 / PAGE);
    uint8_t *page;

    memset(vm, 0, sizeof *vm);
    vm->kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);
    if (vm->kvm < 0)
        die("/dev/kvm: %s", strerror(errno));
    vm->fd = must_ioctl(vm->kvm, KVM_CREATE_VM, NULL, "KVM_CREATE_VM");
    (void)ioctl(vm->fd, KVM_SET_TSS_ADDR, 0xfffbd000ul); /* Intel wants it, others do not know it */
    vm->ringed = calloc(pages / 64 + 1, sizeof *vm->ringed);
    pthread_mutex_init(&vm->ring_lock, NULL);
    page = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (page == MAP_FAILED || vm->ringed == NULL)
        die("no memory");
    memcpy(page, code, sizeof code);
    set_slot(vm, SLOT_CODE, 0, CODE_AT, PAGE, page);
    vm_add_slot(vm, &vm->slot, SLOT_MEMORY, MEMORY_AT, pages, huge, false);
    vm->paging = paging;
    if (paging)
        add_tables(vm);
}

void
vm_destroy(Vm *vm)
{
    vm->leaving = true;
    if (vm->n_vcpus > 0)
        pthread_barrier_wait(&vm->begin);
    for (uint32_t i = 0; i < vm->n_vcpus; i++) {
        Vcpu *vcpu = &vm->vcpus[i];

        pthread_join(vcpu->thread, NULL);
        munmap(vcpu->run,
               (size_t)must_ioctl(vm->kvm, KVM_GET_VCPU_MMAP_SIZE, NULL, "KVM_GET_VCPU_MMAP_SIZE"));
        if (vcpu->ring != NULL)
            munmap(vcpu->ring, vm->ring_entries * sizeof(struct kvm_dirty_gfn));
        close(vcpu->fd);
    }
    close(vm->fd);
    close(vm->kvm);
    munmap(vm->slot.memory, (size_t)vm->slot.pages * PAGE);
    if (vm->paging)
        munmap(vm->tables.memory, (size_t)vm->tables.pages * PAGE);
    free(vm->ringed);
}

void
vm_begin(Vm *vm)
{
    atomic_store(&n_done, 0);
    vm->running = true;
    pthread_barrier_wait(&vm->begin);
}

bool
vm_is_done(Vm *vm)
{
    return atomic_load(&n_done) == vm->n_vcpus;
}

void
vm_end(Vm *vm)
{
    pthread_barrier_wait(&vm->end);
    vm->running = false;
}

void
vm_write_all(Vm *vm, uint32_t mark)
{
    uint32_t share = vm->slot.pages / vm->n_vcpus;

    for (uint32_t i = 0; i < vm->n_vcpus; i++)
        vm->vcpus[i].segment = (Segment){
            .first = i * share,
            .stride = 1,
            .count = i + 1 < vm->n_vcpus ? share : vm->slot.pages - i * share,
            .mark = mark,
        };
    vm_begin(vm);
    vm_end(vm);
}

/* ---- rings -------------------------------------------------------------------------------------
 */

static void
take_ring(Vm *vm, Vcpu *vcpu)
{
    for (;;) {
        struct kvm_dirty_gfn *entry = &vcpu->ring[vcpu->fetched % vm->ring_entries];

        if ((__atomic_load_n(&entry->flags, __ATOMIC_ACQUIRE) & KVM_DIRTY_GFN_F_DIRTY) == 0)
            return;
        if ((entry->slot & 0xffff) == SLOT_MEMORY) {
            if (entry->offset >= vm->slot.pages)
                die("a ring names a page that there is not");
            vm->ringed[entry->offset / 64] |= 1ull << entry->offset % 64;
        }
        __atomic_store_n(&entry->flags, KVM_DIRTY_GFN_F_RESET, __ATOMIC_RELEASE);
        vcpu->fetched++;
    }
}

void
vm_take_rings(Vm *vm)
{
    pthread_mutex_lock(&vm->ring_lock);
    for (uint32_t i = 0; i < vm->n_vcpus; i++)
        take_ring(vm, &vm->vcpus[i]);
    pthread_mutex_unlock(&vm->ring_lock);
}

int
vm_reset_rings(Vm *vm)
{
    return must_ioctl(vm->fd, KVM_RESET_DIRTY_RINGS, NULL, "KVM_RESET_DIRTY_RINGS");
}

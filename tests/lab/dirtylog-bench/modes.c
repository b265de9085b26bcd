/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What each mode does, call by call, as a hypervisor would.
 */
#include "modes.h"

#include <sys/ioctl.h>
#include <string.h>

#define SLOT_MEMORY 1
#define RING_ENTRIES 4096u /* as QEMU's documentation advises */
#define CAP_RING 192
#define CAP_RING_ACQ_REL 223

static bool
has(const Vm *vm, unsigned capability, unsigned bits)
{
    int value = ioctl(vm->kvm, KVM_CHECK_EXTENSION, capability);

    return value > 0 && ((unsigned)value & bits) == bits;
}

static void
enable(const Vm *vm, uint32_t capability, uint64_t argument)
{
    struct kvm_enable_cap cap = {.cap = capability, .args = {argument}};

    must_ioctl(vm->fd, KVM_ENABLE_CAP, &cap, "KVM_ENABLE_CAP");
}

static bool
prepare_legacy(Vm *vm)
{
    return true;
}

static bool
prepare_manual(Vm *vm)
{
    if (!has(vm, KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2, KVM_DIRTY_LOG_MANUAL_PROTECT_ENABLE))
        return false;
    enable(vm, KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2, KVM_DIRTY_LOG_MANUAL_PROTECT_ENABLE);
    return true;
}

static bool
prepare_initially_set(Vm *vm)
{
    const unsigned both = KVM_DIRTY_LOG_MANUAL_PROTECT_ENABLE | KVM_DIRTY_LOG_INITIALLY_SET;

    if (!has(vm, KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2, both))
        return false;
    enable(vm, KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2, both);
    return true;
}

static bool
prepare_ring(Vm *vm)
{
    unsigned capability = has(vm, CAP_RING, 0) ? CAP_RING : CAP_RING_ACQ_REL;

    if (!has(vm, capability, 0))
        return false;
    vm->ring_entries = RING_ENTRIES;
    enable(vm, capability, RING_ENTRIES * sizeof(struct kvm_dirty_gfn));
    return true;
}

static void
get_log(Vm *vm, uint64_t *bitmap)
{
    struct kvm_dirty_log log = {.slot = SLOT_MEMORY, .dirty_bitmap = bitmap};

    must_ioctl(vm->fd, KVM_GET_DIRTY_LOG, &log, "KVM_GET_DIRTY_LOG");
}

static void
clear_log(Vm *vm, const uint64_t *bitmap)
{
    struct kvm_clear_dirty_log log = {
        .slot = SLOT_MEMORY, .num_pages = vm->pages, .dirty_bitmap = (void *)(uintptr_t)bitmap};

    must_ioctl(vm->fd, KVM_CLEAR_DIRTY_LOG, &log, "KVM_CLEAR_DIRTY_LOG");
}

static void
get_rings(Vm *vm, uint64_t *bitmap)
{
    vm_take_rings(vm);
    pthread_mutex_lock(&vm->ring_lock);
    memcpy(bitmap, vm->ringed, vm->pages / 8);
    memset(vm->ringed, 0, vm->pages / 8);
    pthread_mutex_unlock(&vm->ring_lock);
}

static void
clear_rings(Vm *vm, const uint64_t *bitmap)
{
    (void)vm_reset_rings(vm);
}

const Mode modes[] = {
    {"legacy", prepare_legacy, get_log, 0, false},
    {"manual-protect", prepare_manual, get_log, clear_log, false},
    {"manual-protect+initially-set", prepare_initially_set, get_log, clear_log, true},
    {"dirty-ring", prepare_ring, get_rings, clear_rings, false},
};

const unsigned n_modes = sizeof modes / sizeof modes[0];

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What each mode does, call by call, as a hypervisor would.
 */
#include "modes.h"

#include "writeprotect/kvm-write-protect-all.h"

#include <sys/ioctl.h>
#include <string.h>

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

static bool
prepare_all(Vm *vm)
{
    return has(vm, KVM_CAP_X86_WRITE_PROTECT_ALL_MEM, 1) &&
           has(vm, KVM_CAP_X86_DIRTY_LOG_WITHOUT_WRITE_PROTECT, 1);
}

static void
write_protect_all(Vm *vm, unsigned flags)
{
    struct kvm_write_protect_all request = {.flags = flags};

    must_ioctl(vm->fd, KVM_WRITE_PROTECT_ALL, &request, "KVM_WRITE_PROTECT_ALL");
}

static void
around_all(Vm *vm, Moment moment)
{
    static const unsigned flags[] = {
        [BEFORE_START] = KVM_WRITE_PROTECT_ALL_ENABLE,
        [AFTER_START] = KVM_WRITE_PROTECT_ALL_PROTECT,
        [AFTER_END] = KVM_WRITE_PROTECT_ALL_DISABLE,
    };

    write_protect_all(vm, flags[moment]);
}

static void
get_log_with(Vm *vm, const Slot *slot, uint64_t *bitmap, uint32_t flags)
{
    struct kvm_dirty_log log = {.slot = slot->id, .padding1 = flags, .dirty_bitmap = bitmap};

    must_ioctl(vm->fd, KVM_GET_DIRTY_LOG, &log, "KVM_GET_DIRTY_LOG");
}

static void
get_log(Vm *vm, const Slot *slot, uint64_t *bitmap)
{
    get_log_with(vm, slot, bitmap, 0);
}

static void
get_all(Vm *vm, const Slot *slot, uint64_t *bitmap)
{
    get_log_with(vm, slot, bitmap, KVM_DIRTY_LOG_WITHOUT_WRITE_PROTECT);
    write_protect_all(vm, KVM_WRITE_PROTECT_ALL_PROTECT);
}

static void
clear_log(Vm *vm, const Slot *slot, const uint64_t *bitmap)
{
    struct kvm_clear_dirty_log log = {
        .slot = slot->id, .num_pages = slot->pages, .dirty_bitmap = (void *)(uintptr_t)bitmap};

    must_ioctl(vm->fd, KVM_CLEAR_DIRTY_LOG, &log, "KVM_CLEAR_DIRTY_LOG");
}

static void
get_rings(Vm *vm, const Slot *slot, uint64_t *bitmap)
{
    vm_take_rings(vm);
    pthread_mutex_lock(&vm->ring_lock);
    memcpy(bitmap, vm->ringed, slot->pages / 8);
    memset(vm->ringed, 0, slot->pages / 8);
    pthread_mutex_unlock(&vm->ring_lock);
}

static void
clear_rings(Vm *vm, const Slot *slot, const uint64_t *bitmap)
{
    (void)vm_reset_rings(vm);
}

const Mode modes[] = {
    {"legacy", prepare_legacy, NULL, get_log, NULL, false, false},
    {"manual-protect", prepare_manual, NULL, get_log, clear_log, false, false},
    {"manual-protect+initially-set", prepare_initially_set, NULL, get_log, clear_log, true, false},
    {"dirty-ring", prepare_ring, NULL, get_rings, clear_rings, false, true},
    {"write-protect-all", prepare_all, around_all, get_all, NULL, false, false},
};

const unsigned n_modes = sizeof modes / sizeof modes[0];

void
mode_log(Vm *vm, const Mode *mode, const Slot *slot, bool on)
{
    if (on && mode->around != NULL)
        mode->around(vm, BEFORE_START);
    vm_log(vm, slot, on);
    if (mode->around != NULL)
        mode->around(vm, on ? AFTER_START : AFTER_END);
}

void
mode_read(Vm *vm, const Mode *mode, const Slot *slot, uint64_t *bitmap)
{
    memset(bitmap, 0, slot->pages / 8);
    mode->get(vm, slot, bitmap);
    if (mode->clear != NULL)
        mode->clear(vm, slot, bitmap);
}

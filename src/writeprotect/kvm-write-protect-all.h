/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The interface of write-protect-all, as patches/linux adds it to KVM: numbers, and what they mean.
 * The daemon's probe, the QEMU patches and the tests all use this file; the kernel's own copy is in
 * the first patches of the series, and a test compares them. Upstream knows none of this, so
 * nothing here may be sent to a kernel that has not said that it has it.
 *
 * The numbers lie far from upstream's, which grow one by one (capabilities: 0 to below 300; ioctls:
 * 0x00-0x0a, 0x40-0xd5, 0xe0-0xe3). The original patches' own numbers, 144, 145 and 0x49, have
 * other meanings upstream by now.
 *
 * Where: x86 guests whose memory is not mapped by the TDP MMU: shadow paging, and EPT and NPT with
 * kvm.tdp_mmu=0. There KVM_CHECK_EXTENSION answers 1 to both capabilities, on /dev/kvm and on a VM;
 * anywhere else 0, and the ioctl fails with ENOTTY (no such kernel) or EOPNOTSUPP (the VM uses the
 * TDP MMU, or has a dirty ring).
 *
 * How to start the log with it:
 * - KVM_WRITE_PROTECT_ALL with ENABLE: from here on the start of the log of a slot protects nothing
 * - KVM_MEM_LOG_DIRTY_PAGES for each slot, as ever
 * - KVM_WRITE_PROTECT_ALL with PROTECT; writes before it are not logged, all memory counts as dirty
 *
 * At each sync:
 * - KVM_GET_DIRTY_LOG with KVM_DIRTY_LOG_WITHOUT_WRITE_PROTECT for each slot: fetches and clears
 * - then, once, KVM_WRITE_PROTECT_ALL with PROTECT
 * - only then are the pages read that the report has named
 *
 * The other way round loses writes: a page that is written between protecting and fetching stays
 * writable with its bit gone. In this order it is named again in the next round, at worst once too
 * often.
 *
 * At the end: the log of each slot off, then KVM_WRITE_PROTECT_ALL with DISABLE.
 *
 * PROTECT costs the same for any amount of memory: a number is raised and each vCPU leaves the
 * guest once. When the ioctl returns, no vCPU can write a page that has not been logged again.
 * Memory in all slots is protected, also where nothing is logged: such a page becomes writable
 * again at the first write.
 *
 * With KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2 (QEMU turns it on with each VM) nothing changes in the
 * above: the flag makes KVM_GET_DIRTY_LOG clear the bitmap all the same, KVM_CLEAR_DIRTY_LOG is not
 * needed, and with KVM_DIRTY_LOG_INITIALLY_SET the first report names every page. Calls without the
 * flag, and KVM_CLEAR_DIRTY_LOG, work as without write-protect-all at any time.
 */
#pragma once

#include <linux/ioctl.h>
#include <linux/kvm.h>
#include <linux/types.h>

/* KVM_CHECK_EXTENSION: 1 = there. Ask for both, on x86 only. */
#define KVM_CAP_X86_WRITE_PROTECT_ALL_MEM 0x57504101           /* the ioctl */
#define KVM_CAP_X86_DIRTY_LOG_WITHOUT_WRITE_PROTECT 0x57504102 /* the flag */

/* In kvm_dirty_log.flags, which headers of other kernels call padding1. Honoured only between
 * ENABLE and DISABLE: a kernel ignores the field otherwise, for programs have always been free to
 * leave anything in it. In between, any other bit in it is EINVAL. */
#define KVM_DIRTY_LOG_WITHOUT_WRITE_PROTECT (1u << 0)

/* `flags`: at least one of these; ENABLE and DISABLE exclude each other. What they ask for is done
 * in this order: ENABLE, PROTECT, DISABLE. PROTECT needs a VM that is enabled, else EINVAL. ENABLE
 * and DISABLE may be repeated. */
#define KVM_WRITE_PROTECT_ALL_ENABLE (1u << 0)
#define KVM_WRITE_PROTECT_ALL_PROTECT (1u << 1)
#define KVM_WRITE_PROTECT_ALL_DISABLE (1u << 2)

struct kvm_write_protect_all {
    __u32 flags;
    __u32 pad;         /* 0, else EINVAL */
    __u64 generation;  /* out: how often this VM has been protected */
    __u64 reserved[2]; /* 0, else EINVAL */
};

/* On a VM. To see that it works: ENABLE | PROTECT on an empty VM of one's own returns 0 with
 * `generation` = 1. */
#define KVM_WRITE_PROTECT_ALL _IOWR(KVMIO, 0xf8, struct kvm_write_protect_all)

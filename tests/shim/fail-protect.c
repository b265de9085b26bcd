/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A KVM that says that it has write-protect-all, lets it be enabled, and then fails to protect: at
 * the call whose number (from 1) MIGD_FAIL_AT is, and ever after. For a QEMU that this is preloaded
 * into; all else is passed on. Not for migrations that succeed: nothing is ever protected.
 */
#include "ioctl.h"

#include <stdlib.h>

#include "writeprotect/kvm-write-protect-all.h"

static int
pretend(const struct kvm_write_protect_all *request)
{
    static int calls;
    const char *fail_at = getenv("MIGD_FAIL_AT");

    if ((request->flags & KVM_WRITE_PROTECT_ALL_PROTECT) == 0 || fail_at == NULL ||
        ++calls < atoi(fail_at))
        return 0;
    errno = EIO;
    return -1;
}

static bool
answer(unsigned long request, unsigned long argument, int *ret)
{
    *ret = 1;
    if (request == KVM_CHECK_EXTENSION)
        return argument == KVM_CAP_X86_WRITE_PROTECT_ALL_MEM ||
               argument == KVM_CAP_X86_DIRTY_LOG_WITHOUT_WRITE_PROTECT;
    if ((unsigned)request != KVM_WRITE_PROTECT_ALL) /* QEMU keeps such numbers in an int */
        return false;
    *ret = pretend((const struct kvm_write_protect_all *)argument);
    return true;
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A KVM that says that it has write-protect-all, lets it be enabled, and then fails to protect: at
 * the call whose number (from 1) MIGD_FAIL_AT is, and ever after. For a QEMU that this is preloaded
 * into; all else is passed on. Not for migrations that succeed: nothing is ever protected.
 */
#include "writeprotect/kvm-write-protect-all.h"

#include <dlfcn.h>
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>

int ioctl(int fd, unsigned long request, ...);

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

int
ioctl(int fd, unsigned long request, ...)
{
    static int (*next)(int, unsigned long, unsigned long);
    unsigned long argument;
    va_list arguments;

    va_start(arguments, request);
    argument = va_arg(arguments, unsigned long);
    va_end(arguments);
    if (next == 0)
        next = (int (*)(int, unsigned long, unsigned long))dlsym(RTLD_NEXT, "ioctl");
    if (request == KVM_CHECK_EXTENSION && (argument == KVM_CAP_X86_WRITE_PROTECT_ALL_MEM ||
                                           argument == KVM_CAP_X86_DIRTY_LOG_WITHOUT_WRITE_PROTECT))
        return 1;
    if ((unsigned)request == KVM_WRITE_PROTECT_ALL) /* QEMU keeps such numbers in an int */
        return pretend((const struct kvm_write_protect_all *)argument);
    return next(fd, request, argument);
}

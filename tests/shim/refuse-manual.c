/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Makes the host's KVM look as if it had no manual dirty log protection, to a QEMU that this is
 * preloaded into: then QEMU uses the dirty log as it was before. All else is passed on.
 */
#include <dlfcn.h>
#include <linux/kvm.h>
#include <stdarg.h>

#define CAP_MANUAL_PROTECT 168

int ioctl(int fd, unsigned long request, ...);

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
    if (request == KVM_CHECK_EXTENSION && argument == CAP_MANUAL_PROTECT)
        return 0;
    return next(fd, request, argument);
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * An ioctl() that is preloaded into a real program, and passes on what its file does not answer
 * itself. Included once by each shim, which defines answer().
 */
#pragma once

#include <dlfcn.h>
#include <errno.h>
#include <linux/kvm.h>
#include <stdarg.h>
#include <stdbool.h>

/* TRUE: answered, with what ioctl() shall return in `ret`, and errno. */
static bool answer(unsigned long request, unsigned long argument, int *ret);

int ioctl(int fd, unsigned long request, ...);

int
ioctl(int fd, unsigned long request, ...)
{
    static int (*next)(int, unsigned long, unsigned long);
    unsigned long argument;
    va_list arguments;
    int ret;

    va_start(arguments, request);
    argument = va_arg(arguments, unsigned long);
    va_end(arguments);
    if (answer(request, argument, &ret))
        return ret;
    if (next == 0)
        next = (int (*)(int, unsigned long, unsigned long))dlsym(RTLD_NEXT, "ioctl");
    return next(fd, request, argument);
}

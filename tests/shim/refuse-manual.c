/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Makes the host's KVM look as if it had no manual dirty log protection, to a QEMU that this is
 * preloaded into: then QEMU uses the dirty log as it was before. All else is passed on.
 */
#include "ioctl.h"

#define CAP_MANUAL_PROTECT 168

static bool
answer(unsigned long request, unsigned long argument, int *ret)
{
    *ret = 0;
    return request == KVM_CHECK_EXTENSION && argument == CAP_MANUAL_PROTECT;
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Makes the host's KVM look as if it had no dirty rings, to a QEMU that this is preloaded into. All
 * else is passed on.
 */
#include "ioctl.h"

#define CAP_RING 192
#define CAP_RING_ACQ_REL 223

static bool
answer(unsigned long request, unsigned long argument, int *ret)
{
    *ret = 0;
    return request == KVM_CHECK_EXTENSION && (argument == CAP_RING || argument == CAP_RING_ACQ_REL);
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the libvirt at the other end has, which may be older than the one we are linked with, and
 * older still than the one we were built with. Each call, flag or parameter that is younger than
 * libvirt 4.0 has a row here and is asked about before it is used: then the answer is a sentence,
 * and not the error of a daemon that does not know the call. (What is younger than the libvirt that
 * meson.build asks for needs LIBVIR_CHECK_VERSION as well; nothing is.)
 */
#pragma once

#include "virt/handle.h"

typedef enum {
    MIGD_VIRT_DOMAIN_MESSAGES,
    MIGD_VIRT_DIRTY_RATE,
    MIGD_VIRT_DIRTY_RATE_MODES, /* other than page-sampling */
    MIGD_VIRT_PARALLEL,
    MIGD_VIRT_PARALLEL_POSTCOPY, /* both at once */
} MigdVirtFeature;

/* `libvirt`, `hypervisor`: versions as libvirt gives them (major * 1,000,000 + minor * 1,000 +
 * release). FALSE with NotSupported: the error says what is missing and what is there. Pure. */
gboolean migd_virt_feature_in(MigdVirtFeature feature, unsigned long libvirt,
                              unsigned long hypervisor, GError **error);

/* Asks. Blocks: for threads. */
gboolean migd_virt_has_feature(virConnectPtr connection, MigdVirtFeature feature, GError **error);

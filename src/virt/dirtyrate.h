/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * How fast a guest writes, measured by the hypervisor while no migration runs. They block: for
 * threads; the first for up to half a minute if a migration has begun meanwhile.
 */
#pragma once

#include "virt/handle.h"

typedef enum {
    MIGD_VIRT_DIRTY_SAMPLING, /* hashes some pages twice: cheap, an estimate */
    MIGD_VIRT_DIRTY_BITMAP,   /* write-protects all memory: KVM only */
    MIGD_VIRT_DIRTY_RING,     /* the same, for guests with a dirty ring */
} MigdVirtDirtyMode;

const char *migd_virt_dirty_mode_to_string(MigdVirtDirtyMode mode);
/* FALSE, *ret alone, for a word that is none of ours. */
gboolean migd_virt_dirty_mode_from_string(const char *word, MigdVirtDirtyMode *ret);

gboolean migd_virt_dirty_rate_start(virDomainPtr domain, guint seconds, MigdVirtDirtyMode mode,
                                    GError **error);

typedef struct {
    gboolean measured; /* else it is still at it */
    guint64 rate_bps;
    guint64 resident_bytes; /* of the hypervisor process, its own few megabytes included; 0 = not
                               known */
} MigdVirtDirtyRate;

gboolean migd_virt_dirty_rate_read(virDomainPtr domain, MigdVirtDirtyRate *ret, GError **error);
/* The rate alone, from the record of virDomainListGetStats(). Pure. */
void migd_virt_dirty_rate_decode(virTypedParameterPtr params, int n, MigdVirtDirtyRate *ret);

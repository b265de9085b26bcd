/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * calc-dirty-rate: how much an idle domain's guest dirties in a given time. Pure.
 */
#pragma once

#include "qmp/command.h"

typedef struct {
    const char *mode;   /* "page-sampling", "dirty-bitmap", "dirty-ring" */
    guint period_ms;    /* 1 to 60000; what is no whole second only QEMU >= 8.2 can do */
    guint sample_pages; /* of each GiB, page-sampling only; 0 = QEMU's 512 */
} MigdQmpDirtyRateWish;

/* The command that begins to measure. INVALID_ARGUMENT for what QEMU could not take. */
MigdQmpCommand *migd_qmp_command_for_dirty_rate(const MigdQmpDirtyRateWish *wish, GError **error);

typedef struct {
    gboolean measured; /* else it is still at it, or nothing was ever measured */
    guint64 rate_bps;
} MigdQmpDirtyRate;

/* The reply of query-dirty-rate. */
gboolean migd_qmp_decode_dirty_rate(const MigdJson *reply, MigdQmpDirtyRate *ret, GError **error);

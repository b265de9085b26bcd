/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The dirty rate of a bare QEMU's guest. One measurement at a time; answered exactly once. Private
 * to the QMP backend.
 */
#pragma once

#include "daemon/qmp-peer.h"

/* The operation of MigdBackendOps. */
void migd_qmp_measure(MigdDomain *domain, const MigdMeasureOptions *options, MigdRateFunc callback,
                      gpointer user_data);

/* The domain is about to go: what is under way is answered with BACKEND_LOST. */
void migd_qmp_measure_cancel(MigdQmpPeer *peer);

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What a QEMU says about itself and its machine, as far as it tells how writes of the guest are
 * tracked. Pure.
 */
#pragma once

#include "json/json.h"

/* The reply of query-version: major * 100 + minor. */
gboolean migd_qmp_decode_version(const MigdJson *reply, guint *ret_version, GError **error);

/* The reply of query-kvm: whether KVM runs the guest. */
gboolean migd_qmp_decode_kvm(const MigdJson *reply, gboolean *ret_kvm, GError **error);

/* The reply of query-cpus-fast: how many vCPUs there are. */
gboolean migd_qmp_decode_vcpus(const MigdJson *reply, guint *ret_n, GError **error);

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Typed getters with a name for what is missing.
 */
#include "qmp/machine.h"

#include "base/error.h"
#include "qmp/reply.h"

#define VERSION_MAX 1000
#define VCPUS_MAX 65536

gboolean
migd_qmp_decode_version(const MigdJson *reply, guint *ret_version, GError **error)
{
    guint32 major = 0, minor = 0;

    if (!migd_qmp_need_object(reply, "query-version", error) ||
        !migd_qmp_need(migd_json_get_u32(reply, "qemu.major", 0, VERSION_MAX, &major, error),
                       "query-version: qemu.major", error) ||
        !migd_qmp_need(migd_json_get_u32(reply, "qemu.minor", 0, 99, &minor, error),
                       "query-version: qemu.minor", error))
        return FALSE;
    *ret_version = major * 100 + minor;
    return TRUE;
}

gboolean
migd_qmp_decode_kvm(const MigdJson *reply, gboolean *ret_kvm, GError **error)
{
    return migd_qmp_need_object(reply, "query-kvm", error) &&
           migd_qmp_need(migd_json_get_bool(reply, "enabled", ret_kvm, error), "query-kvm: enabled",
                         error);
}

gboolean
migd_qmp_decode_vcpus(const MigdJson *reply, guint *ret_n, GError **error)
{
    gsize n = migd_json_is_array(reply) ? migd_json_array_length(reply) : 0;

    if (n == 0 || n > VCPUS_MAX) {
        g_set_error(error, MIGD_ERROR, MIGD_ERROR_FAILED, "query-cpus-fast: not a list of vCPUs");
        return FALSE;
    }
    *ret_n = (guint)n;
    return TRUE;
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The table of what came when. It only tells: what is done without is for the callers.
 */
#include "virt/version.h"

#include "base/error.h"

#define VERSION(major, minor) ((major)*1000000ul + (minor)*1000ul)

static const struct {
    const char *what;
    unsigned long libvirt, hypervisor; /* 0 = any */
} features[] = {
    [MIGD_VIRT_DOMAIN_MESSAGES] = {"reading what taints a domain", VERSION(7, 1), 0},
    [MIGD_VIRT_DIRTY_RATE] = {"measuring the dirty rate", VERSION(7, 2), 0},
    [MIGD_VIRT_DIRTY_RATE_MODES] = {"measuring the dirty rate by bitmap or ring", VERSION(8, 1), 0},
    [MIGD_VIRT_PARALLEL] = {"a migration over parallel connections", VERSION(5, 2), 0},
    [MIGD_VIRT_PARALLEL_POSTCOPY] = {"post-copy together with parallel connections", VERSION(5, 2),
                                     VERSION(10, 1)},
};

static gboolean
is_new_enough(const char *what, const char *of, unsigned long needed, unsigned long there,
              GError **error)
{
    if (there >= needed)
        return TRUE;
    g_set_error(error, MIGD_ERROR, MIGD_ERROR_NOT_SUPPORTED, "%s needs %s %lu.%lu, here is %lu.%lu",
                what, of, needed / 1000000, needed / 1000 % 1000, there / 1000000,
                there / 1000 % 1000);
    return FALSE;
}

gboolean
migd_virt_feature_in(MigdVirtFeature feature, unsigned long libvirt, unsigned long hypervisor,
                     GError **error)
{
    return is_new_enough(features[feature].what, "libvirt", features[feature].libvirt, libvirt,
                         error) &&
           is_new_enough(features[feature].what, "QEMU", features[feature].hypervisor, hypervisor,
                         error);
}

gboolean
migd_virt_has_feature(virConnectPtr connection, MigdVirtFeature feature, GError **error)
{
    unsigned long libvirt = 0, hypervisor = 0;

    /* The hypervisor's only where it counts: libvirt may have to start one to find it out. */
    if (virConnectGetLibVersion(connection, &libvirt) < 0 ||
        (features[feature].hypervisor != 0 && virConnectGetVersion(connection, &hypervisor) < 0)) {
        migd_virt_set_error(error, "asking for the version");
        return FALSE;
    }
    return migd_virt_feature_in(feature, libvirt, hypervisor, error);
}

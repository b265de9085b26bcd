/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Start and reading. Whether a mode is safe for this guest is the caller's to know: QEMU before 9.1
 * dies of the modes other than sampling without KVM.
 */
#include "virt/dirtyrate.h"

#include <string.h>

#include "base/checked.h"
#include "virt/version.h"

#define MIB 1048576u

static const struct {
    const char *word;
    unsigned int flag;
} modes[] = {
    [MIGD_VIRT_DIRTY_SAMPLING] = {"page-sampling", VIR_DOMAIN_DIRTYRATE_MODE_PAGE_SAMPLING},
    [MIGD_VIRT_DIRTY_BITMAP] = {"dirty-bitmap", VIR_DOMAIN_DIRTYRATE_MODE_DIRTY_BITMAP},
    [MIGD_VIRT_DIRTY_RING] = {"dirty-ring", VIR_DOMAIN_DIRTYRATE_MODE_DIRTY_RING},
};

const char *
migd_virt_dirty_mode_to_string(MigdVirtDirtyMode mode)
{
    return modes[mode].word;
}

gboolean
migd_virt_dirty_mode_from_string(const char *word, MigdVirtDirtyMode *ret)
{
    for (guint i = 0; i < G_N_ELEMENTS(modes); i++) {
        if (strcmp(word, modes[i].word) != 0)
            continue;
        *ret = (MigdVirtDirtyMode)i;
        return TRUE;
    }
    return FALSE;
}

gboolean
migd_virt_dirty_rate_start(virDomainPtr domain, guint seconds, MigdVirtDirtyMode mode,
                           GError **error)
{
    MigdVirtFeature needed =
        mode == MIGD_VIRT_DIRTY_SAMPLING ? MIGD_VIRT_DIRTY_RATE : MIGD_VIRT_DIRTY_RATE_MODES;

    if (!migd_virt_has_feature(virDomainGetConnect(domain), needed, error))
        return FALSE;
    if (virDomainStartDirtyRateCalc(domain, (int)seconds, modes[mode].flag) < 0) {
        migd_virt_set_error(error, "measuring the dirty rate");
        return FALSE;
    }
    return TRUE;
}

void
migd_virt_dirty_rate_decode(virTypedParameterPtr params, int n, MigdVirtDirtyRate *ret)
{
    int status = VIR_DOMAIN_DIRTYRATE_UNSTARTED;
    long long rate = -1;

    *ret = (MigdVirtDirtyRate){0};
    (void)virTypedParamsGetInt(params, n, "dirtyrate.calc_status", &status);
    (void)virTypedParamsGetLLong(params, n, "dirtyrate.megabytes_per_second", &rate);
    ret->measured = status == VIR_DOMAIN_DIRTYRATE_MEASURED && rate >= 0;
    if (ret->measured)
        ret->rate_bps = migd_sat_mul((guint64)rate, MIB);
}

/* What the host has given the guest of its memory so far; the rest was never touched. */
static guint64
resident_bytes(virDomainPtr domain)
{
    virDomainMemoryStatStruct stats[VIR_DOMAIN_MEMORY_STAT_NR];
    int n = virDomainMemoryStats(domain, stats, VIR_DOMAIN_MEMORY_STAT_NR, 0);

    for (int i = 0; i < n; i++)
        if (stats[i].tag == VIR_DOMAIN_MEMORY_STAT_RSS)
            return migd_sat_mul(stats[i].val, 1024);
    return 0;
}

gboolean
migd_virt_dirty_rate_read(virDomainPtr domain, MigdVirtDirtyRate *ret, GError **error)
{
    virDomainPtr domains[] = {domain, NULL};
    virDomainStatsRecordPtr *records = NULL;
    int n = virDomainListGetStats(domains, VIR_DOMAIN_STATS_DIRTYRATE, &records, 0);

    if (n < 0) {
        migd_virt_set_error(error, "reading the dirty rate");
        return FALSE;
    }
    *ret = (MigdVirtDirtyRate){0};
    if (n > 0)
        migd_virt_dirty_rate_decode(records[0]->params, records[0]->nparams, ret);
    virDomainStatsRecordListFree(records);
    ret->resident_bytes = resident_bytes(domain);
    return TRUE;
}

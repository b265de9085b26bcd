/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Thin: units and errors. Takes no decision, and knows no command of the monitor.
 */
#include "virt/control.h"

#include <libvirt/libvirt-qemu.h>
#include <stdlib.h>

#include "virt/stats.h"

#define MIB 1048576u

static gboolean
check(int result, const char *what, GError **error)
{
    if (result < 0)
        migd_virt_set_error(error, what);
    return result >= 0;
}

gboolean
migd_virt_set_downtime(virDomainPtr domain, guint64 us, GError **error)
{
    return check(virDomainMigrateSetMaxDowntime(domain, MAX(us / 1000, 1), 0),
                 "setting the longest pause", error);
}

gboolean
migd_virt_get_downtime(virDomainPtr domain, guint64 *ret_us, GError **error)
{
    unsigned long long ms = 0;

    if (!check(virDomainMigrateGetMaxDowntime(domain, &ms, 0), "reading the longest pause", error))
        return FALSE;
    *ret_us = MIN(ms, G_MAXUINT64 / 1000) * 1000;
    return TRUE;
}

gboolean
migd_virt_set_bandwidth(virDomainPtr domain, guint64 bps, GError **error)
{
    guint64 mib =
        bps == 0 ? MIGD_VIRT_NO_SPEED_LIMIT : CLAMP(bps / MIB, 1, MIGD_VIRT_NO_SPEED_LIMIT);

    return check(virDomainMigrateSetMaxSpeed(domain, (unsigned long)mib, 0), "setting the speed",
                 error);
}

gboolean
migd_virt_get_bandwidth(virDomainPtr domain, guint64 *ret_bps, GError **error)
{
    unsigned long mib = 0;

    if (!check(virDomainMigrateGetMaxSpeed(domain, &mib, 0), "reading the speed", error))
        return FALSE;
    *ret_bps = mib >= MIGD_VIRT_NO_SPEED_LIMIT ? 0 : (guint64)mib * MIB;
    return TRUE;
}

gboolean
migd_virt_start_postcopy(virDomainPtr domain, GError **error)
{
    return check(virDomainMigrateStartPostCopy(domain, 0), "starting post-copy", error);
}

gboolean
migd_virt_suspend(virDomainPtr domain, GError **error)
{
    return check(virDomainSuspend(domain), "stopping the guest", error);
}

gboolean
migd_virt_abort(virDomainPtr domain, GError **error)
{
    return check(virDomainAbortJob(domain), "aborting the migration", error);
}

gboolean
migd_virt_monitor(virDomainPtr domain, const char *command, char **ret_reply, GError **error)
{
    char *reply = NULL;

    if (!check(virDomainQemuMonitorCommand(domain, command, &reply, 0), "monitor command", error))
        return FALSE;
    *ret_reply = g_strdup(reply);
    free(reply);
    return TRUE;
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Looks from a thread, conclusions on the main loop, the ring into the definition. Never touches
 * the running hypervisor.
 */
#include "daemon/virt-writeprotect.h"

#include <string.h>

#include "base/error.h"
#include "daemon/virt-domain.h"
#include "daemon/writeprotect.h"
#include "virt/ring.h"

/* What a thread finds out. */
typedef struct {
    char *directory; /* of libvirt's files with process numbers; NULL = not on this machine */
    guint32 ring_now, ring_next;
    guint version;
    gboolean has_process;
    MigdProcessFacts process;
} Inspection;

/* ---- the process -------------------------------------------------------------------------------
 */

/* "qemu:///system", "qemu+unix:///session?socket=/run/…/libvirt-sock" */
char *
migd_virt_pid_directory(const char *uri)
{
    const char *rest = strstr(uri, "://");
    const char *socket = strstr(uri, "socket=");

    if (rest == NULL || rest[3] != '/' || !g_str_has_prefix(uri, "qemu"))
        return NULL;
    if (socket != NULL) {
        g_autofree char *file = g_strndup(socket + 7, strcspn(socket + 7, "&"));
        g_autofree char *directory = g_path_get_dirname(file);
        return g_build_filename(directory, "qemu", NULL);
    }
    if (g_str_has_prefix(rest + 3, "/session"))
        return g_build_filename(g_get_user_runtime_dir(), "libvirt", "qemu", "run", NULL);
    return g_strdup("/run/libvirt/qemu");
}

static void
look_at_process(virDomainPtr domain, Inspection *inspection)
{
    g_autofree char *file =
        g_strdup_printf("%s/%s.pid", inspection->directory, virDomainGetName(domain));
    g_autofree char *text = NULL;
    g_autoptr(MigdProcess) process = NULL;
    char uuid[VIR_UUID_STRING_BUFLEN];
    guint64 pid;

    if (!g_file_get_contents(file, &text, NULL, NULL) ||
        !g_ascii_string_to_unsigned(g_strstrip(text), 10, 1, G_MAXINT, &pid, NULL) ||
        virDomainGetUUIDString(domain, uuid) < 0)
        return;
    process = migd_process_open("/proc", (gint)pid, NULL);
    inspection->has_process = process != NULL && migd_process_has_uuid(process, uuid, NULL) &&
                              migd_process_look(process, &inspection->process, NULL);
}

/* In a thread. What cannot be found out stays zero. */
static void
inspect(virDomainPtr domain, Inspection *inspection)
{
    unsigned long version = 0;

    migd_virt_read_rings(domain, &inspection->ring_now, &inspection->ring_next);
    if (virConnectGetVersion(virDomainGetConnect(domain), &version) == 0)
        inspection->version = (guint)(version / 1000000 * 100 + version / 1000 % 1000);
    if (inspection->directory != NULL && virDomainIsActive(domain) > 0)
        look_at_process(domain, inspection);
}

/* ---- the conclusion ----------------------------------------------------------------------------
 */

/* An idle guest's monitor is not asked, for that taints it: where the host has it and the monitor
 * may be used, it is worth a try. */
static gboolean
has_all(const MigdVirtDomain *domain)
{
    return domain->host->allow_monitor && ((domain->knobs.has & MIGD_KNOB_WRITE_PROTECT_ALL) != 0 ||
                                           migd_write_protect_host()->all);
}

static void
conclude(MigdVirtDomain *domain, const Inspection *inspection)
{
    const MigdWriteProtectFacts facts = {
        .running = domain->run != MIGD_DOMAIN_SHUTOFF,
        .kvm = domain->kvm ? MIGD_SEEN_YES : MIGD_SEEN_NO,
        .host = migd_write_protect_host(),
        .process = inspection->has_process ? &inspection->process : NULL,
        .version = inspection->version,
        .can_define = domain->persistent,
        .has_all = has_all(domain),
        .all_on = (domain->knobs.has & MIGD_KNOB_WRITE_PROTECT_ALL) != 0 &&
                  domain->knobs.write_protect_all,
        .xml_entries = inspection->ring_now,
        .next_entries = inspection->ring_next,
    };

    migd_write_protect_detect(&facts, &domain->write_protect);
    migd_virt_domain_changed(domain);
}

static Inspection *
inspection_new(const MigdVirtDomain *domain)
{
    Inspection *inspection = g_new0(Inspection, 1);

    inspection->directory = migd_virt_pid_directory(domain->host->uri);
    return inspection;
}

static void
inspection_free(gpointer data)
{
    Inspection *inspection = data;

    g_free(inspection->directory);
    g_free(inspection);
}

static gboolean
inspect_work(virDomainPtr domain, gpointer data, GError **error)
{
    inspect(domain, data);
    return TRUE;
}

static void
inspected(gpointer data, const GError *error, gpointer user_data)
{
    if (error == NULL) /* else what was known stays */
        conclude(user_data, data);
}

void
migd_virt_domain_inspect(MigdVirtDomain *domain)
{
    migd_virt_lane_call(migd_virt_domain_side(domain), inspect_work, inspection_new(domain),
                        inspection_free, MIGD_VIRT_SIDE_TIMEOUT_MS, inspected, domain);
}

/* ---- turning on --------------------------------------------------------------------------------
 */

typedef struct {
    gboolean only_look; /* what there was to do is done */
    guint32 entries;
    Inspection *inspection;
} Change;

typedef struct {
    MigdVirtDomain *domain;
    MigdDoneFunc callback;
    gpointer user_data;
} Setting;

static void
change_free(gpointer data)
{
    Change *change = data;

    inspection_free(change->inspection);
    g_free(change);
}

static gboolean
change_work(virDomainPtr domain, gpointer data, GError **error)
{
    Change *change = data;

    if (!change->only_look && !migd_virt_set_ring(domain, change->entries, error))
        return FALSE;
    inspect(domain, change->inspection);
    return TRUE;
}

static void
changed(gpointer data, const GError *error, gpointer user_data)
{
    g_autofree Setting *setting = user_data;
    MigdVirtDomain *domain = setting->domain;

    if (error == NULL)
        conclude(domain, ((Change *)data)->inspection);
    setting->callback(error, setting->user_data);
    migd_virt_domain_answered(domain);
}

static void
work(Setting *setting, gboolean only_look, guint32 entries)
{
    MigdVirtDomain *domain = setting->domain;
    Change *change = g_new0(Change, 1);

    change->only_look = only_look;
    change->entries = entries;
    change->inspection = inspection_new(domain);
    domain->n_requests++;
    migd_virt_lane_call(migd_virt_domain_side(domain), change_work, change, change_free,
                        MIGD_VIRT_SIDE_TIMEOUT_MS, changed, setting);
}

/* The capability has been set, or refused. */
static void
switched(const GError *error, gpointer user_data)
{
    Setting *setting = user_data;
    g_autoptr(GError) refusal = NULL;

    if (error == NULL) {
        work(setting, TRUE, 0);
        return;
    }
    refusal = migd_write_protect_refusal(error);
    setting->callback(refusal, setting->user_data);
    g_free(setting);
}

void
migd_virt_set_write_protect(MigdDomain *base, const MigdWriteProtectChange *what,
                            MigdDoneFunc callback, gpointer user_data)
{
    MigdVirtDomain *domain = (MigdVirtDomain *)base;
    gboolean all = what->mechanism == MIGD_MECHANISM_ALL;
    Setting *setting = g_new(Setting, 1);

    *setting = (Setting){domain, callback, user_data};
    if (all || domain->write_protect.active == MIGD_MECHANISM_ALL)
        migd_virt_switch_all(domain, all, switched, setting);
    else
        work(setting, FALSE, what->mechanism == MIGD_MECHANISM_RING ? what->ring_entries : 0);
}

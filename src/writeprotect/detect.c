/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Rules, strongest evidence first. Each says what it saw and which mechanism follows, or passes.
 */
#include "writeprotect/detect.h"

/* Since these QEMU uses what the host has, by itself; before 6.1 it knows no ring. */
#define QEMU_MANUAL 401
#define QEMU_INITIAL 501
#define QEMU_RING 601

#define BIT(mechanism) (1u << (mechanism))

const char **
migd_evidence_names(guint32 evidence)
{
    static const char *const words[] = {"accelerator",     "ring-mapping",    "no-ring-mapping",
                                        "ring-thread",     "qmp-dirty-limit", "qmp-capability",
                                        "command-line",    "domain-xml",      "ring-refused",
                                        "host-capability", "qemu-version",    "inferred"};
    const char **names = g_new0(const char *, G_N_ELEMENTS(words) + 1);
    guint n = 0;

    for (guint i = 0; i < G_N_ELEMENTS(words); i++)
        if (evidence & (1u << i))
            names[n++] = words[i];
    return names;
}

static gboolean
version_is_at_least(const MigdWriteProtectFacts *facts, guint version)
{
    return facts->version == 0 || facts->version >= version;
}

/* A process without vCPUs mapped is not the guest's: something stands between it and us. */
static const MigdProcessFacts *
process_of_guest(const MigdWriteProtectFacts *facts)
{
    const MigdProcessFacts *process = facts->process;

    if (process == NULL || (process->maps && process->n_vcpus == 0 && facts->kvm != MIGD_SEEN_NO))
        return NULL;
    return process;
}

/* ---- which mechanism a bitmap means ------------------------------------------------------------
 */

/* What QEMU uses on this host when it has no ring. It cannot be seen from outside. */
static MigdMechanism
bitmap_mechanism(const MigdWriteProtectFacts *facts, guint32 *evidence)
{
    if (facts->host == NULL || !facts->host->known)
        return MIGD_MECHANISM_UNKNOWN;
    *evidence |= MIGD_EVIDENCE_HOST | MIGD_EVIDENCE_INFERRED;
    if (facts->version != 0)
        *evidence |= MIGD_EVIDENCE_VERSION;
    if (facts->host->manual_bits == 3 && version_is_at_least(facts, QEMU_INITIAL))
        return MIGD_MECHANISM_MANUAL_INITIAL;
    if ((facts->host->manual_bits & 1) != 0 && version_is_at_least(facts, QEMU_MANUAL))
        return MIGD_MECHANISM_MANUAL;
    return MIGD_MECHANISM_LEGACY;
}

/* ---- is there a ring ---------------------------------------------------------------------------
 */

static MigdSeen
see_ring(const MigdWriteProtectFacts *facts, MigdWriteProtect *ret)
{
    const MigdProcessFacts *process = process_of_guest(facts);
    MigdSeen seen = MIGD_SEEN_UNKNOWN;

    if (process != NULL && process->maps) {
        seen = process->ring_entries > 0 ? MIGD_SEEN_YES : MIGD_SEEN_NO;
        ret->ring_entries = process->ring_entries;
        ret->evidence |=
            process->ring_entries > 0 ? MIGD_EVIDENCE_RING_MAPPING : MIGD_EVIDENCE_NO_RING_MAPPING;
    }
    if (facts->ring != MIGD_SEEN_UNKNOWN && (seen == MIGD_SEEN_UNKNOWN || seen == facts->ring)) {
        seen = facts->ring;
        ret->evidence |= MIGD_EVIDENCE_MONITOR;
    }
    if (process != NULL && process->reaper && seen != MIGD_SEEN_NO) {
        seen = MIGD_SEEN_YES;
        ret->evidence |= MIGD_EVIDENCE_RING_THREAD;
    }
    return seen;
}

/* Nothing but what was asked for is known: then it counts, if the host could do it. */
static gboolean
infer_ring(const MigdWriteProtectFacts *facts, guint32 asked, MigdWriteProtect *ret)
{
    if (asked == 0 || facts->host == NULL || !facts->host->known ||
        facts->host->ring_entries < asked)
        return FALSE;
    ret->evidence |= MIGD_EVIDENCE_HOST | MIGD_EVIDENCE_INFERRED;
    ret->ring_entries = asked;
    return TRUE;
}

static MigdMechanism
kvm_mechanism(const MigdWriteProtectFacts *facts, MigdWriteProtect *ret)
{
    const MigdProcessFacts *process = process_of_guest(facts);
    guint32 by_command = process != NULL ? process->asked_entries : 0;
    guint32 asked = MAX(by_command, facts->xml_entries);
    MigdSeen seen = see_ring(facts, ret);

    if (by_command != 0)
        ret->evidence |= MIGD_EVIDENCE_COMMAND_LINE;
    if (facts->xml_entries != 0)
        ret->evidence |= MIGD_EVIDENCE_DOMAIN_XML;
    if (seen == MIGD_SEEN_YES || (seen == MIGD_SEEN_UNKNOWN && infer_ring(facts, asked, ret))) {
        if (ret->ring_entries == 0)
            ret->ring_entries = asked;
        return MIGD_MECHANISM_RING;
    }
    if (asked != 0)
        ret->evidence |= MIGD_EVIDENCE_REFUSED;
    if (facts->all_on) {
        ret->evidence |= MIGD_EVIDENCE_CAPABILITY;
        return MIGD_MECHANISM_ALL;
    }
    return bitmap_mechanism(facts, &ret->evidence);
}

/* ---- what else there is ------------------------------------------------------------------------
 */

static gboolean
host_has_ring(const MigdWriteProtectFacts *facts)
{
    return facts->host != NULL && facts->host->known && facts->host->ring_entries >= 1024 &&
           version_is_at_least(facts, QEMU_RING);
}

static void
find_available(const MigdWriteProtectFacts *facts, MigdWriteProtect *ret)
{
    guint32 unused = 0;
    gboolean all;
    MigdMechanism bitmap = bitmap_mechanism(facts, &unused);

    if (bitmap != MIGD_MECHANISM_UNKNOWN)
        ret->available |= BIT(bitmap);
    if (host_has_ring(facts))
        ret->available |= BIT(MIGD_MECHANISM_RING);
    /* QEMU shows the capability on any kernel. */
    ret->lacks_kernel = facts->has_all && facts->host != NULL && facts->host->known &&
                        !facts->host->all && !facts->all_on;
    all = facts->has_all && !ret->lacks_kernel && ret->active != MIGD_MECHANISM_RING;
    if (all)
        ret->available |= BIT(MIGD_MECHANISM_ALL);
    if (ret->active != MIGD_MECHANISM_UNKNOWN)
        ret->available |= BIT(ret->active);
    if (facts->running && all)
        ret->settable_now |=
            BIT(MIGD_MECHANISM_ALL) | (bitmap != MIGD_MECHANISM_UNKNOWN ? BIT(bitmap) : 0);
    if (!facts->can_define)
        return;
    if (host_has_ring(facts))
        ret->settable_next |= BIT(MIGD_MECHANISM_RING);
    if (bitmap != MIGD_MECHANISM_UNKNOWN)
        ret->settable_next |= BIT(bitmap);
    if (facts->next_entries != 0 && host_has_ring(facts))
        ret->next_boot = MIGD_MECHANISM_RING;
    else
        ret->next_boot = bitmap;
}

void
migd_write_protect_detect(const MigdWriteProtectFacts *facts, MigdWriteProtect *ret)
{
    *ret = (MigdWriteProtect){0};
    if (facts->kvm != MIGD_SEEN_UNKNOWN)
        ret->evidence |= MIGD_EVIDENCE_ACCELERATOR;
    if (facts->kvm == MIGD_SEEN_NO) {
        ret->active = MIGD_MECHANISM_NONE;
        ret->available = BIT(MIGD_MECHANISM_NONE);
        ret->next_boot = facts->can_define ? MIGD_MECHANISM_NONE : MIGD_MECHANISM_UNKNOWN;
        return;
    }
    if (facts->kvm == MIGD_SEEN_UNKNOWN) /* nobody has said anything yet */
        return;
    if (facts->running)
        ret->active = kvm_mechanism(facts, ret);
    find_available(facts, ret);
}

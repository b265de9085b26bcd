/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What there is to know about a domain without asking its hypervisor. They block: for threads.
 */
#pragma once

#include "policy/sample.h"
#include "virt/handle.h"

typedef struct {
    char *name;        /* as libvirt spells it */
    int state, reason; /* VIR_DOMAIN_…, VIR_DOMAIN_PAUSED_… */
    gboolean active, persistent;
    gboolean kvm;     /* else emulated (TCG) */
    gboolean tainted; /* somebody has used the monitor by hand */
    guint64 memory_bytes;
    char *profile; /* of its metadata; NULL = none */
} MigdVirtFacts;

void migd_virt_facts_clear(MigdVirtFacts *facts);

gboolean migd_virt_describe(virDomainPtr domain, MigdVirtFacts *ret, GError **error);

/* TRUE when the domain XML says that KVM runs it. Pure. */
gboolean migd_virt_xml_is_kvm(const char *xml);

typedef struct {
    MigdSample sample; /* see migd_virt_decode_job() */
    gboolean incoming; /* the domain is on its way in: its source has the statistics */
} MigdVirtJob;

/* Asks the hypervisor: waits as long as that hangs. */
gboolean migd_virt_job(virDomainPtr domain, MigdVirtJob *ret, GError **error);

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * From what was seen of a guest to the mechanism that is active for it, with the evidence. Pure.
 * What was asked for (a command line, a domain's XML) never counts as active where the process or
 * its monitor can tell: QEMU falls back to a bitmap when the host refuses a ring.
 */
#pragma once

#include "writeprotect/host.h"
#include "writeprotect/mechanism.h"
#include "writeprotect/process.h"

typedef enum {
    MIGD_SEEN_UNKNOWN,
    MIGD_SEEN_NO,
    MIGD_SEEN_YES,
} MigdSeen;

/* One bit an item; the words are those of the bus. */
typedef enum {
    MIGD_EVIDENCE_ACCELERATOR = 1 << 0,     /* "accelerator": QEMU or libvirt says (no) KVM */
    MIGD_EVIDENCE_RING_MAPPING = 1 << 1,    /* "ring-mapping": its vCPUs have rings mapped */
    MIGD_EVIDENCE_NO_RING_MAPPING = 1 << 2, /* "no-ring-mapping": they have none */
    MIGD_EVIDENCE_RING_THREAD = 1 << 3,     /* "ring-thread": QEMU's thread that empties rings */
    MIGD_EVIDENCE_MONITOR = 1 << 4,         /* "qmp-dirty-limit": whether QEMU can limit vCPUs */
    MIGD_EVIDENCE_CAPABILITY = 1 << 5,      /* "qmp-capability": x-write-protect-all is on */
    MIGD_EVIDENCE_COMMAND_LINE = 1 << 6,    /* "command-line": asked for there */
    MIGD_EVIDENCE_DOMAIN_XML = 1 << 7,      /* "domain-xml": asked for there */
    MIGD_EVIDENCE_REFUSED = 1 << 8,         /* "ring-refused": asked for, and not in use */
    MIGD_EVIDENCE_HOST = 1 << 9,            /* "host-capability": what this host's KVM offers */
    MIGD_EVIDENCE_VERSION = 1 << 10,        /* "qemu-version": what that QEMU makes of it */
    MIGD_EVIDENCE_INFERRED = 1 << 11,       /* "inferred": follows from the rest, not seen itself */
} MigdEvidence;

/* What was seen. Zero = nothing. */
typedef struct {
    gboolean running;                /* there is a hypervisor process */
    MigdSeen kvm;                    /* by the hypervisor's own word */
    MigdSeen ring;                   /* by its monitor: only a QEMU with a ring limits vCPUs */
    const MigdHostKvm *host;         /* NULL = not probed */
    const MigdProcessFacts *process; /* NULL = not looked at */
    guint version;                   /* of QEMU: major * 100 + minor; 0 = not known */
    gboolean has_all, all_on;        /* migration capability x-write-protect-all */
    gboolean can_define;             /* what it starts with next time can be changed (libvirt) */
    guint32 xml_entries;             /* ring that the running domain's XML asks for; 0 = none */
    guint32 next_entries;            /* can_define: ring that its persistent XML asks for */
} MigdWriteProtectFacts;

typedef struct {
    MigdMechanism active;
    MigdMechanism next_boot; /* UNKNOWN unless can_define */
    guint32 evidence;        /* MIGD_EVIDENCE_… */
    guint32 ring_entries;    /* of each vCPU, where that is known and a ring is active */
    guint32 available;       /* 1 << MIGD_MECHANISM_…: what host and hypervisor have */
    guint32 settable_now;    /* of these: what can be turned on at run time */
    guint32 settable_next;   /* ... for the next cold start */
    gboolean lacks_kernel;   /* the hypervisor has x-write-protect-all, and the host has not */
} MigdWriteProtect;

void migd_write_protect_detect(const MigdWriteProtectFacts *facts, MigdWriteProtect *ret);

/* The words of the bits, NULL-terminated. Free the container with g_free(), not the strings. */
const char **migd_evidence_names(guint32 evidence);

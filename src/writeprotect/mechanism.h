/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The ways in which a hypervisor can learn which pages a guest writes, by the names that they have
 * on the bus, and what each costs. Knows no host and no guest.
 */
#pragma once

#include <glib.h>

typedef enum {
    MIGD_MECHANISM_UNKNOWN,
    MIGD_MECHANISM_NONE,   /* not KVM: QEMU tracks writes by itself (TCG) */
    MIGD_MECHANISM_LEGACY, /* each sync write-protects all memory that was written */
    MIGD_MECHANISM_MANUAL, /* KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2: protected in chunks, later */
    MIGD_MECHANISM_MANUAL_INITIAL, /* the same, and nothing is protected at the start */
    MIGD_MECHANISM_RING,           /* KVM_CAP_DIRTY_LOG_RING: a ring of page numbers per vCPU */
    MIGD_MECHANISM_ALL, /* all memory at once by a generation number; patched KVM and QEMU */
    MIGD_N_MECHANISMS,
} MigdMechanism;

/* "unknown", "none", "legacy", "manual-protect", "manual-protect+initially-set", "dirty-ring",
 * "write-protect-all". Static string. */
const char *migd_mechanism_to_string(MigdMechanism mechanism);

/* FALSE, leaving *ret alone, for a word that is none of these; "unknown" cannot be asked for. */
gboolean migd_mechanism_from_string(const char *word, MigdMechanism *ret);

/* The names of the mechanisms in `mask` (1 << MIGD_MECHANISM_…), NULL-terminated. Free the
 * container with g_free(), not the strings. */
const char **migd_mechanism_names(guint32 mask);

/* How long starting the dirty log holds a guest of `memory_bytes` up, in µs, by published figures
 * (mechanism.c names them); 0 where there is none. An order of magnitude, not a promise. */
guint64 migd_mechanism_start_us(MigdMechanism mechanism, guint64 memory_bytes);

/* What it costs, as a sentence for people with the figure above. Caller frees. */
char *migd_mechanism_price(MigdMechanism mechanism, guint64 memory_bytes);

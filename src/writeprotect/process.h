/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What /proc shows of a running QEMU: whether its vCPUs have dirty rings, and what was asked for.
 *
 * The process is pinned by a descriptor of its folder in /proc: that stays the folder of this one
 * process for ever, and reads through it fail once it is dead, whoever has its number by then. Who
 * has the number from elsewhere (a socket's peer, a file) must make sure that the process was alive
 * after the pinning: an answer on that socket is a proof.
 */
#pragma once

#include <glib.h>

typedef struct MigdProcess MigdProcess;

typedef struct {
    gboolean maps;         /* its memory map could be read: what follows is known for sure */
    guint n_vcpus;         /* vCPUs that it has mapped; 0: it runs no KVM guest */
    guint32 ring_entries;  /* per vCPU, by the size of the mappings; 0 = no dirty ring */
    gboolean threads;      /* its threads could be listed */
    gboolean reaper;       /* one of them is named as QEMU names the one that empties the rings */
    guint32 asked_entries; /* dirty-ring-size= of its command line; 0 = not asked for */
} MigdProcessFacts;

/* `proc` = where procfs is mounted ("/proc"). NULL with `error`: there is no such process. */
MigdProcess *migd_process_open(const char *proc, gint pid, GError **error);
void migd_process_free(MigdProcess *process);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(MigdProcess, migd_process_free)

/* TRUE when its command line has `uuid` as the value of -uuid: how libvirt starts the QEMU of a
 * domain. FALSE with `error` if not, or if that cannot be read. */
gboolean migd_process_has_uuid(const MigdProcess *process, const char *uuid, GError **error);

/* Looks at it. FALSE with `error` when it has died meanwhile: nothing that was read counts then. */
gboolean migd_process_look(const MigdProcess *process, MigdProcessFacts *ret_facts, GError **error);

/* ---- pure, for tests ------------------------------------------------------------------------- */

/* Fills n_vcpus and ring_entries from the text of a maps file. */
void migd_process_read_maps(const char *text, MigdProcessFacts *facts);

/* Fills asked_entries from a command line, words separated by NUL. */
void migd_process_read_command_line(const char *words, gsize length, MigdProcessFacts *facts);

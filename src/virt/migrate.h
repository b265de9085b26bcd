/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Starting a migration: the one call of libvirt that lasts as long as what it does. It gets a
 * thread and a connection of its own, so that neither the pool nor a connection that others use is
 * held. Peer to peer: the migration goes on when this process dies.
 */
#pragma once

#include "virt/handle.h"

typedef struct {
    const char *uri;         /* of our libvirt */
    const char *uuid;        /* of the domain */
    const char *destination; /* "qemu+…://…", as the source's libvirt reaches it */
    const char *migrate_uri; /* for the stream; NULL = libvirt chooses */
    guint64 bandwidth_bps;   /* 0 = what is in force */
    gboolean postcopy;       /* makes the switch possible */
    gboolean auto_converge;  /* with a throttle that does nothing yet (1 %) */
    guint connections;       /* at once, for the stream */
    gboolean insist;         /* on `connections`; else one where more are not possible */
} MigdVirtMigrate;

/* How it went. */
typedef struct {
    gboolean aborted;  /* somebody aborted the job */
    guint connections; /* that it was given; 0 = it did not get so far */
} MigdVirtOutcome;

/* On the main loop, once, at the end. */
typedef void (*MigdVirtMigrated)(const MigdVirtOutcome *outcome, const GError *error,
                                 gpointer user_data);

typedef struct MigdVirtMigration MigdVirtMigration;

MigdVirtMigration *migd_virt_migration_start(const MigdVirtMigrate *what, MigdVirtMigrated callback,
                                             gpointer user_data);

/* `callback` is not called any more; the migration goes on. */
void migd_virt_migration_forget(MigdVirtMigration *migration);

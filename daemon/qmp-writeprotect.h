/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * How the writes of a bare QEMU's guest are tracked: asked of its monitor, seen in its process,
 * turned on. Private to the QMP backend.
 *
 * The process is pinned before the first question is sent and looked at after the last answer:
 * whoever answered was alive then, so the process that is looked at is the one behind the socket,
 * whatever has become of its number. The look may wait for the memory map of a busy QEMU, so it is
 * made in a thread.
 */
#pragma once

#include "daemon/backend.h"
#include "json/json.h"
#include "writeprotect/detect.h"

typedef struct MigdQmpPeer MigdQmpPeer;
typedef struct MigdQmpLook MigdQmpLook;

typedef struct {
    MigdWriteProtectFacts facts;
    MigdProcessFacts process; /* what facts.process points to */
    MigdQmpLook *look;        /* pinned, maybe under way; NULL = none */
    guint n_vcpus;            /* 0 = not known */
    MigdWriteProtect found;
} MigdQmpInspection;

/* A connection is fresh: forgets what was known and pins the process. */
void migd_qmp_inspect_begin(MigdQmpPeer *peer);
/* Every question is answered: concludes, and again once the process has been looked at. */
void migd_qmp_inspect_end(MigdQmpPeer *peer);
void migd_qmp_inspect_clear(MigdQmpPeer *peer);

/* Answers to the probe's questions. */
gboolean migd_qmp_inspect_version(MigdQmpPeer *peer, const MigdJson *reply, GError **error);
gboolean migd_qmp_inspect_kvm(MigdQmpPeer *peer, const MigdJson *reply, GError **error);
gboolean migd_qmp_inspect_vcpus(MigdQmpPeer *peer, const MigdJson *reply, GError **error);
gboolean migd_qmp_inspect_limits(MigdQmpPeer *peer, const MigdJson *reply, GError **error);
/* The question for a ring is answered by a failure. */
void migd_qmp_inspect_ring(MigdQmpPeer *peer, const GError *failure);

/* Of MigdBackendOps. */
void migd_qmp_set_write_protect(MigdDomain *domain, const MigdWriteProtectChange *change,
                                MigdDoneFunc callback, gpointer user_data);

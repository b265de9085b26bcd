/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What QEMU says about migrations, as the policy's values: pages/s, Mbit/s and ms become bytes/s
 * and µs here and nowhere else. Pure. Every member is optional, since QEMU's schema says so; what
 * is there is checked for type and plausible range, and errors name it.
 */
#pragma once

#include "json/json.h"
#include "policy/knobs.h"
#include "policy/sample.h"
#include "qmp/wire.h"

/* At or above this QEMU's max-bandwidth means no limit (2^63 - 1 bytes/s in whole MiB/s, which is
 * also what libvirt sets for it). */
#define MIGD_QMP_NO_BANDWIDTH_LIMIT (8796093022207u * 1048576u)

/* The MigdStatus for QEMU's word; UNKNOWN for one that this version does not know. */
MigdStatus migd_qmp_status(const char *word);

/* The reply of query-migrate. time_us stays 0, MIGD_HAS_SYNC unset; no status at all = NONE. A
 * `remaining` above `total` (hot-plug between two reads) is taken as `total`. */
gboolean migd_qmp_decode_migrate(const MigdJson *reply, MigdSample *ret_sample, GError **error);

/* Why the migration failed, from the same reply: clean text, or NULL. Caller frees. */
char *migd_qmp_decode_failure(const MigdJson *reply);

/* The replies of query-migrate-parameters and query-migrate-capabilities: sets what they show in
 * `knobs` and leaves the rest alone. On error `knobs` is as it was. */
gboolean migd_qmp_decode_parameters(const MigdJson *reply, MigdKnobs *knobs, GError **error);
gboolean migd_qmp_decode_capabilities(const MigdJson *reply, MigdKnobs *knobs, GError **error);

/* The reply of query-memory-size-summary. */
gboolean migd_qmp_decode_memory(const MigdJson *reply, guint64 *ret_bytes, GError **error);

typedef enum {
    MIGD_QMP_RUN_RUNNING,
    MIGD_QMP_RUN_PAUSED, /* also every state in which the guest stands still for now */
    MIGD_QMP_RUN_INCOMING,
    MIGD_QMP_RUN_GONE, /* it lives elsewhere, or was shut down */
} MigdQmpRun;

/* The reply of query-status. */
gboolean migd_qmp_decode_run(const MigdJson *reply, MigdQmpRun *ret_run, GError **error);

typedef enum {
    MIGD_QMP_EVENT_OTHER, /* none that matters here */
    MIGD_QMP_EVENT_MIGRATION,
    MIGD_QMP_EVENT_PASS,
    MIGD_QMP_EVENT_STOP,
    MIGD_QMP_EVENT_RESUME,
    MIGD_QMP_EVENT_SHUTDOWN,
} MigdQmpEventKind;

typedef struct {
    MigdQmpEventKind kind;
    MigdStatus status; /* MIGRATION */
    guint64 pass;      /* PASS */
} MigdQmpEvent;

gboolean
migd_qmp_decode_event(const MigdQmpMessage *message, MigdQmpEvent *ret_event, GError **error);

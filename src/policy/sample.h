/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * One observation of one migration, in bytes and microseconds. A value: whoever observes (QMP,
 * libvirt, the simulator, a trace) fills it, and nobody changes it afterwards. What the observer
 * did not see is absent: test `has` before a field. Adapters convert units here, so nothing above
 * ever meets pages/s or Mbit/s.
 */
#pragma once

#include <glib.h>

typedef enum {
    MIGD_STATUS_NONE,            /* no migration has run */
    MIGD_STATUS_SETUP,           /* before the first pass */
    MIGD_STATUS_PRECOPY,         /* passes; the guest runs at the source */
    MIGD_STATUS_SWITCHOVER,      /* the guest is paused, the rest is on its way */
    MIGD_STATUS_POSTCOPY,        /* the guest runs at the destination and pulls what is left */
    MIGD_STATUS_POSTCOPY_PAUSED, /* post-copy lost its link; both halves are needed */
    MIGD_STATUS_CANCELLING,
    MIGD_STATUS_COMPLETED,
    MIGD_STATUS_FAILED,
    MIGD_STATUS_CANCELLED,
    MIGD_STATUS_UNKNOWN, /* a word that this version does not know: treat as running */
} MigdStatus;

typedef enum {
    MIGD_HAS_SYNC = 1 << 0, /* taken right after a dirty sync (a pass has just ended) */
    MIGD_HAS_PASS = 1 << 1,
    MIGD_HAS_REMAINING = 1 << 2,
    MIGD_HAS_TRANSFERRED = 1 << 3,
    MIGD_HAS_TOTAL = 1 << 4,
    MIGD_HAS_DIRTY_RATE = 1 << 5,
    MIGD_HAS_BANDWIDTH = 1 << 6,
    MIGD_HAS_THROTTLE = 1 << 7,
    MIGD_HAS_ELAPSED = 1 << 8,
    MIGD_HAS_SETUP_TIME = 1 << 9,
    MIGD_HAS_EXPECTED_DOWNTIME = 1 << 10,
    MIGD_HAS_DOWNTIME = 1 << 11,
    MIGD_HAS_DOWNTIME_LIMIT = 1 << 12,
    MIGD_HAS_MAX_BANDWIDTH = 1 << 13,
    MIGD_HAS_POSTCOPY_REQUESTS = 1 << 14,
    MIGD_HAS_NORMAL = 1 << 15,
    MIGD_HAS_DUPLICATE = 1 << 16,
    MIGD_HAS_PAGE_SIZE = 1 << 17,
    MIGD_HAS_DOWNTIME_BYTES = 1 << 18,
} MigdField;

typedef struct {
    gint64 time_us; /* CLOCK_MONOTONIC of the observer; at a sync: when the sync was announced */
    guint32 has;    /* MIGD_HAS_… of the fields below; `status` is always there */
    MigdStatus status;
    guint64 pass;            /* dirty syncs so far (QEMU's dirty-sync-count) */
    guint64 remaining_bytes; /* right after a sync: what the guest dirtied plus what was not sent */
    guint64 transferred_bytes; /* on the wire since the start */
    guint64 total_bytes;       /* memory of the guest incl. ROM and video memory */
    guint64 dirty_rate_bps; /* bytes/s over the last sync period, by the hypervisor's own count */
    guint64 bandwidth_bps;  /* bytes/s in the last ~100 ms: noisy, for display */
    guint64 elapsed_us;     /* since the start of the migration */
    guint64 setup_us;       /* spent before the first pass */
    guint64 expected_downtime_us; /* the hypervisor's guess; worthless in pass 1 */
    guint64 downtime_us;          /* measured, only at the end */
    guint64 downtime_limit_us;    /* knob in force */
    guint64 max_bandwidth_bps;    /* knob in force, bytes/s; 0 = no limit */
    guint64 postcopy_requests;    /* pages that the destination had to ask for */
    guint64 normal_bytes;         /* sent as whole pages */
    guint64 duplicate_pages;      /* sent as "all zero" */
    guint64 page_size_bytes;
    guint64 downtime_bytes; /* sent while the guest was paused */
    guint32 throttle_pct;   /* vCPU throttle in force, 0..99 */
} MigdSample;

/* TRUE when `sample` carries every field in `fields` (MIGD_HAS_… or-ed). */
static inline gboolean
migd_sample_has(const MigdSample *sample, guint32 fields)
{
    return (sample->has & fields) == fields;
}

/* The word for `status` on the bus, in traces and on the screen. Static string. */
const char *migd_status_to_string(MigdStatus status);

/* The status that `word` spells; MIGD_STATUS_UNKNOWN when it is none of ours. */
MigdStatus migd_status_from_string(const char *word);

/* TRUE once nothing more can happen: completed, failed or cancelled. */
gboolean migd_status_is_end(MigdStatus status);

/* Rows of the field table: how a trace, the bus and libvirt call each field and where it is stored.
 */
typedef struct {
    MigdField field;
    const char *name; /* key in traces, e.g. "remaining_bytes" */
    const char
        *libvirt_name; /* libvirt's typed parameter, e.g. "memory_remaining"; NULL if it has none */
    gsize offset;      /* of the field in MigdSample */
    gboolean is_u32;   /* else guint64 */
} MigdSampleField;

extern const MigdSampleField migd_sample_fields[];
extern const guint migd_n_sample_fields;

guint64 migd_sample_get(const MigdSample *sample, const MigdSampleField *field);
void migd_sample_set(MigdSample *sample, const MigdSampleField *field, guint64 value);

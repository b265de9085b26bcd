/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Words and the field table of an observation. Says nothing about what the numbers mean for a
 * decision.
 */
#include "policy/sample.h"

static const char *const status_words[] = {
    [MIGD_STATUS_NONE] = "none",
    [MIGD_STATUS_SETUP] = "setup",
    [MIGD_STATUS_PRECOPY] = "precopy",
    [MIGD_STATUS_SWITCHOVER] = "switchover",
    [MIGD_STATUS_POSTCOPY] = "postcopy",
    [MIGD_STATUS_POSTCOPY_PAUSED] = "postcopy-paused",
    [MIGD_STATUS_CANCELLING] = "cancelling",
    [MIGD_STATUS_COMPLETED] = "completed",
    [MIGD_STATUS_FAILED] = "failed",
    [MIGD_STATUS_CANCELLED] = "cancelled",
    [MIGD_STATUS_UNKNOWN] = "unknown",
};

const char *
migd_status_to_string(MigdStatus status)
{
    return status_words[status <= MIGD_STATUS_UNKNOWN ? status : MIGD_STATUS_UNKNOWN];
}

MigdStatus
migd_status_from_string(const char *word)
{
    for (guint i = 0; i < G_N_ELEMENTS(status_words); i++)
        if (g_strcmp0(word, status_words[i]) == 0)
            return (MigdStatus)i;
    return MIGD_STATUS_UNKNOWN;
}

gboolean
migd_status_is_end(MigdStatus status)
{
    return status == MIGD_STATUS_COMPLETED || status == MIGD_STATUS_FAILED ||
           status == MIGD_STATUS_CANCELLED;
}

#define ROW(flag, field, libvirt)                                                                  \
    {                                                                                              \
        flag, #field, libvirt, G_STRUCT_OFFSET(MigdSample, field),                                 \
            sizeof(((MigdSample *)0)->field) == sizeof(guint32)                                    \
    }

const MigdSampleField migd_sample_fields[] = {
    ROW(MIGD_HAS_PASS, pass, "memory_iteration"),
    ROW(MIGD_HAS_REMAINING, remaining_bytes, "memory_remaining"),
    ROW(MIGD_HAS_TRANSFERRED, transferred_bytes, "memory_processed"),
    ROW(MIGD_HAS_TOTAL, total_bytes, "memory_total"),
    ROW(MIGD_HAS_DIRTY_RATE, dirty_rate_bps, "memory_dirty_rate"),
    ROW(MIGD_HAS_BANDWIDTH, bandwidth_bps, "memory_bps"),
    ROW(MIGD_HAS_ELAPSED, elapsed_us, "time_elapsed"),
    ROW(MIGD_HAS_SETUP_TIME, setup_us, "setup_time"),
    ROW(MIGD_HAS_EXPECTED_DOWNTIME, expected_downtime_us, "downtime"),
    ROW(MIGD_HAS_DOWNTIME, downtime_us, "downtime_net"),
    ROW(MIGD_HAS_DOWNTIME_LIMIT, downtime_limit_us, NULL),
    ROW(MIGD_HAS_MAX_BANDWIDTH, max_bandwidth_bps, NULL),
    ROW(MIGD_HAS_POSTCOPY_REQUESTS, postcopy_requests, "memory_postcopy_requests"),
    ROW(MIGD_HAS_NORMAL, normal_bytes, "memory_normal_bytes"),
    ROW(MIGD_HAS_DUPLICATE, duplicate_pages, "memory_constant"),
    ROW(MIGD_HAS_PAGE_SIZE, page_size_bytes, "memory_page_size"),
    ROW(MIGD_HAS_DOWNTIME_BYTES, downtime_bytes, NULL),
    ROW(MIGD_HAS_THROTTLE, throttle_pct, "auto_converge_throttle"),
};

const guint migd_n_sample_fields = G_N_ELEMENTS(migd_sample_fields);

guint64
migd_sample_get(const MigdSample *sample, const MigdSampleField *field)
{
    const void *p = (const char *)sample + field->offset;

    return field->is_u32 ? *(const guint32 *)p : *(const guint64 *)p;
}

void
migd_sample_set(MigdSample *sample, const MigdSampleField *field, guint64 value)
{
    void *p = (char *)sample + field->offset;

    if (field->is_u32)
        *(guint32 *)p = (guint32)MIN(value, G_MAXUINT32);
    else
        *(guint64 *)p = value;
    sample->has |= field->field;
}

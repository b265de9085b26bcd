/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The table of knobs. Names are QEMU's, since that is what an administrator would look up.
 */
#include "policy/knobs.h"

#define ROW(flag, name, field, type, capability)                                                   \
    {                                                                                              \
        flag, name, G_STRUCT_OFFSET(MigdKnobs, field), type, capability, FALSE                     \
    }

const MigdKnobField migd_knob_fields[] = {
    ROW(MIGD_KNOB_DOWNTIME, "downtime-limit", downtime_limit_us, MIGD_KNOB_U64_US, FALSE),
    ROW(MIGD_KNOB_BANDWIDTH, "max-bandwidth", max_bandwidth_bps, MIGD_KNOB_U64_BPS, FALSE),
    ROW(MIGD_KNOB_THROTTLE_INITIAL, "cpu-throttle-initial", throttle_initial_pct, MIGD_KNOB_U32,
        FALSE),
    ROW(MIGD_KNOB_THROTTLE_INCREMENT, "cpu-throttle-increment", throttle_increment_pct,
        MIGD_KNOB_U32, FALSE),
    ROW(MIGD_KNOB_THROTTLE_MAX, "max-cpu-throttle", throttle_max_pct, MIGD_KNOB_U32, FALSE),
    ROW(MIGD_KNOB_THROTTLE_TRIGGER, "throttle-trigger-threshold", throttle_trigger_pct,
        MIGD_KNOB_U32, FALSE),
    ROW(MIGD_KNOB_THROTTLE_TAILSLOW, "cpu-throttle-tailslow", throttle_tailslow, MIGD_KNOB_BOOL,
        FALSE),
    {MIGD_KNOB_VCPU_LIMIT, "set-vcpu-dirty-limit", G_STRUCT_OFFSET(MigdKnobs, vcpu_limit_bps),
     MIGD_KNOB_U64_BPS, FALSE, TRUE},
    ROW(MIGD_KNOB_WRITE_PROTECT_ALL, "x-write-protect-all", write_protect_all, MIGD_KNOB_BOOL,
        TRUE),
    ROW(MIGD_KNOB_AUTO_CONVERGE, "auto-converge", auto_converge, MIGD_KNOB_BOOL, TRUE),
    ROW(MIGD_KNOB_POSTCOPY, "postcopy-ram", postcopy, MIGD_KNOB_BOOL, TRUE),
    ROW(MIGD_KNOB_EVENTS, "events", events, MIGD_KNOB_BOOL, TRUE),
};

const guint migd_n_knob_fields = G_N_ELEMENTS(migd_knob_fields);

static gboolean
is_u64(const MigdKnobField *field)
{
    return field->type == MIGD_KNOB_U64_US || field->type == MIGD_KNOB_U64_BPS;
}

guint64
migd_knob_get(const MigdKnobs *knobs, const MigdKnobField *field)
{
    const void *p = (const char *)knobs + field->offset;

    /* gboolean and guint32 have the same size; a boolean is 0 or 1. */
    return is_u64(field) ? *(const guint64 *)p : *(const guint32 *)p;
}

void
migd_knob_set(MigdKnobs *knobs, const MigdKnobField *field, guint64 value)
{
    void *p = (char *)knobs + field->offset;

    if (is_u64(field))
        *(guint64 *)p = value;
    else
        *(guint32 *)p = (guint32)MIN(value, G_MAXUINT32);
    knobs->has |= field->knob;
}

void
migd_knobs_take(MigdKnobs *knobs, const MigdKnobs *turned)
{
    for (guint i = 0; i < migd_n_knob_fields; i++)
        if ((turned->has & migd_knob_fields[i].knob) != 0)
            migd_knob_set(knobs, &migd_knob_fields[i], migd_knob_get(turned, &migd_knob_fields[i]));
}

void
migd_knobs_add_to_sample(const MigdKnobs *knobs, MigdSample *sample)
{
    if ((knobs->has & MIGD_KNOB_DOWNTIME) != 0) {
        sample->downtime_limit_us = knobs->downtime_limit_us;
        sample->has |= MIGD_HAS_DOWNTIME_LIMIT;
    }
    if ((knobs->has & MIGD_KNOB_BANDWIDTH) != 0) {
        sample->max_bandwidth_bps = knobs->max_bandwidth_bps;
        sample->has |= MIGD_HAS_MAX_BANDWIDTH;
    }
}

guint32
migd_knobs_diff(const MigdKnobs *a, const MigdKnobs *b)
{
    guint32 differ = 0;

    for (guint i = 0; i < migd_n_knob_fields; i++) {
        const MigdKnobField *field = &migd_knob_fields[i];

        if ((a->has & b->has & field->knob) != 0 &&
            migd_knob_get(a, field) != migd_knob_get(b, field))
            differ |= field->knob;
    }
    return differ;
}

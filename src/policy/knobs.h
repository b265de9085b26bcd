/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The knobs of a migration and what can still be turned on this one: capabilities freeze at the
 * start, parameters do not. Values only; adapters read and write them.
 */
#pragma once

#include <glib.h>

#include "policy/sample.h"

/* QEMU's cpu-throttle-initial as it starts. It refuses a max-cpu-throttle below it. */
#define MIGD_THROTTLE_INITIAL_PCT 20

typedef enum {
    MIGD_KNOB_DOWNTIME = 1 << 0,           /* downtime-limit */
    MIGD_KNOB_BANDWIDTH = 1 << 1,          /* max-bandwidth */
    MIGD_KNOB_THROTTLE_INITIAL = 1 << 2,   /* cpu-throttle-initial */
    MIGD_KNOB_THROTTLE_INCREMENT = 1 << 3, /* cpu-throttle-increment */
    MIGD_KNOB_THROTTLE_MAX = 1 << 4,       /* max-cpu-throttle */
    MIGD_KNOB_THROTTLE_TRIGGER = 1 << 5,   /* throttle-trigger-threshold */
    MIGD_KNOB_THROTTLE_TAILSLOW = 1 << 6,  /* cpu-throttle-tailslow */
    MIGD_KNOB_VCPU_LIMIT = 1 << 11,        /* set-vcpu-dirty-limit, for every vCPU */
    MIGD_KNOB_WRITE_PROTECT_ALL = 1 << 12, /* capability x-write-protect-all */
    MIGD_KNOB_AUTO_CONVERGE = 1 << 7,      /* capability auto-converge */
    MIGD_KNOB_POSTCOPY = 1 << 8,           /* capability postcopy-ram */
    MIGD_KNOB_EVENTS = 1 << 9,             /* capability events */
} MigdKnob;

#define MIGD_KNOBS_THROTTLE                                                                        \
    (MIGD_KNOB_THROTTLE_INITIAL | MIGD_KNOB_THROTTLE_INCREMENT | MIGD_KNOB_THROTTLE_MAX |          \
     MIGD_KNOB_THROTTLE_TRIGGER | MIGD_KNOB_THROTTLE_TAILSLOW)

typedef struct {
    guint32 has; /* MIGD_KNOB_… that the hypervisor has (of the values below) */
    guint64 downtime_limit_us;
    guint64 max_bandwidth_bps; /* 0 = no limit */
    guint64 vcpu_limit_bps;    /* of each vCPU; 0 = none */
    gboolean write_protect_all;
    guint32 throttle_initial_pct;
    guint32 throttle_increment_pct;
    guint32 throttle_max_pct;
    guint32 throttle_trigger_pct;
    gboolean throttle_tailslow;
    gboolean auto_converge, postcopy, events;
} MigdKnobs;

/* What can be done to this migration now, whatever the profile allows: one bit (1 << MIGD_ACTION_…)
 * each. */
typedef struct {
    guint32 can;              /* bits by MigdAction */
    gboolean throttle_cocked; /* the hypervisor engages a new throttle level at the next sync, not
                                 the one after */
} MigdAbilities;

/* Rows for whoever reads or writes knobs by name. */
typedef struct {
    MigdKnob knob;
    const char *qmp_name; /* also the key in traces */
    gsize offset;         /* in MigdKnobs */
    enum { MIGD_KNOB_U64_US, MIGD_KNOB_U64_BPS, MIGD_KNOB_U32, MIGD_KNOB_BOOL } type;
    gboolean is_capability;
    gboolean is_command; /* neither parameter nor capability: set by a command of that name */
} MigdKnobField;

extern const MigdKnobField migd_knob_fields[];
extern const guint migd_n_knob_fields;

guint64 migd_knob_get(const MigdKnobs *knobs, const MigdKnobField *field);
void migd_knob_set(MigdKnobs *knobs, const MigdKnobField *field, guint64 value);

/* TRUE when a throttle of this migration is a limit of the vCPUs' dirty rate: the guest has a dirty
 * ring, and auto-converge, which would throttle on its own, is off. */
static inline gboolean
migd_knobs_limit_vcpus(const MigdKnobs *knobs)
{
    return (knobs->has & MIGD_KNOB_VCPU_LIMIT) != 0 && !knobs->auto_converge;
}

/* Takes over the knobs that `turned` has. */
void migd_knobs_take(MigdKnobs *knobs, const MigdKnobs *turned);

/* The two that are part of a sample, as far as they are known. */
void migd_knobs_add_to_sample(const MigdKnobs *knobs, MigdSample *sample);

/* The knobs (MIGD_KNOB_…) that both have and whose values differ. */
guint32 migd_knobs_diff(const MigdKnobs *a, const MigdKnobs *b);

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Finished migrations, kept in one file of the state directory: bounded, written anew as a whole
 * (a temporary file, synced and renamed), so that a crash leaves the old one or the new one. Draws
 * no conclusions: learn.h does.
 */
#pragma once

#include <glib.h>

#include "policy/decision.h"

#define MIGD_HISTORY_MAX 256 /* migrations; the oldest go first */
#define MIGD_HISTORY_FILE "history.jsonl"

/* A number that was not known is 0. Strings are clean and never NULL. */
typedef struct {
    char *id, *domain_uuid, *domain_name;
    char *peer;          /* the other host, as migd_history_peer() names it; "" = not known */
    char *profile;       /* its name */
    char *result;        /* as in the report */
    char *write_protect; /* how its writes were tracked; "" = not known */
    guint64 end_realtime_us;
    guint64 total_us, setup_us, downtime_us;
    guint64 transferred_bytes, total_bytes;
    guint64 downtime_bytes;    /* sent during the pause */
    guint64 first_pass_bytes;  /* sent when pass 1 ended */
    guint64 bandwidth_bps;     /* of the passes */
    guint64 max_bandwidth_bps; /* limit in force; 0 = none */
    guint64 throttle_us, passes;
    guint64 lambda_bps, working_set_bytes; /* as fitted on the way */
    guint64 live_bytes;                    /* dirtied in passes: see migd_predict_compare() */
    guint64 measured_bytes;                /* in the same time by the curve measured before */
    guint64 resident_bytes;                /* measured before the start */
    MigdRange predicted_total_us, predicted_pause_us, predicted_bytes; /* high 0 = none */
} MigdPast;

void migd_past_free(MigdPast *past);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(MigdPast, migd_past_free)

typedef struct MigdHistory MigdHistory;

/* Reads DIRECTORY/history.jsonl. What cannot be used is logged, kept aside as history.jsonl.bad,
 * and left out; never fails. */
MigdHistory *migd_history_open(const char *directory);

/* Writes what is not written yet, and waits for it. */
void migd_history_free(MigdHistory *history);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(MigdHistory, migd_history_free)

/* Takes `past`. Written in a thread. */
void migd_history_add(MigdHistory *history, MigdPast *past);

/* Of MigdPast, oldest first; borrowed, valid until the next call of migd_history_add(). */
const GPtrArray *migd_history_list(const MigdHistory *history);

/* The other host of a migration to `destination`: its name without scheme, user and port; "local"
 * for this one; "" = not known. Caller frees. */
char *migd_history_peer(const char *destination);

/* Rows of the numbers and strings of a MigdPast, for whoever shows them. */
typedef struct {
    const char *name;
    gsize offset;
    enum { MIGD_PAST_TEXT, MIGD_PAST_U64, MIGD_PAST_RANGE } type;
} MigdPastField;

extern const MigdPastField migd_past_fields[];
extern const guint migd_n_past_fields;

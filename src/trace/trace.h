/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The record of one migration as JSON lines: what was seen, decided, done and what came of it. A
 * trace is complete: folded again in order it gives the same track and the same decisions, bit for
 * bit (replay), and it holds what a restarted daemon needs to take the migration up where it was
 * left (identity, knobs to put back, actions done). Lines are appended whole with one write(2), so
 * a crash can only lose or cut the last one; readers skip a cut tail.
 */
#pragma once

#include <glib.h>

#include "policy/decision.h"
#include "policy/knobs.h"
#include "policy/profile.h"
#include "policy/sample.h"
#include "policy/track.h"

#define MIGD_TRACE_VERSION 1

/* kind "start" */
typedef struct {
    gint64 time_us;      /* CLOCK_MONOTONIC; samples of this trace use the same clock */
    guint64 realtime_us; /* since the epoch */
    char *boot_id;       /* times and adoption are valid within one boot only; NULL = not known */
    char *id;            /* of the migration, a UUID */
    char *domain_uuid;
    char *domain_name;
    char *origin;        /* "migrationd", "external" */
    char *direction;     /* "outgoing", "incoming" */
    char *destination;   /* "" when not known */
    char *mode;          /* "enforce", "observe" */
    char *write_protect; /* how the guest's writes were tracked; NULL = not known */
    MigdProfile profile; /* written key by key, so a trace does not depend on files */
    MigdAbilities abilities;
    guint64 memory_bytes; /* of the guest; 0 = not known */
    MigdCosts costs;      /* of a pause, as known at the start; 0 = not known */
    MigdKnobs saved;      /* in force before migrationd touched anything; put back at the end */
    guint32 touched;      /* MIGD_KNOB_… that migrationd has set at the start */
} MigdTraceStart;

void migd_trace_start_clear(MigdTraceStart *start);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(MigdTraceStart, migd_trace_start_clear)

/* kind "finish": the same numbers as the D-Bus report */
typedef struct {
    gint64 time_us;
    char *result; /* "succeeded", "failed", "canceled", "unknown" */
    char *error;  /* "" = none */
    guint64 total_us, downtime_us, transferred_bytes, total_bytes, passes;
    guint64 throttle_us; /* integral of the throttle: guest time taken away */
    guint32 decisions;
    /* as of before the start; high 0 = nothing was predicted */
    MigdRange predicted_total_us, predicted_downtime_us, predicted_transferred_bytes;
} MigdTraceFinish;

void migd_trace_finish_clear(MigdTraceFinish *finish);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(MigdTraceFinish, migd_trace_finish_clear)

/* ---- writing ------------------------------------------------------------------------------- */

typedef struct MigdTraceWriter MigdTraceWriter;

/* Creates (append = FALSE, fails if it exists) or continues (append = TRUE) `path`, mode 0640,
 * O_NOFOLLOW. */
MigdTraceWriter *migd_trace_writer_open(const char *path, gboolean append, GError **error);
void migd_trace_writer_free(MigdTraceWriter *writer);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(MigdTraceWriter, migd_trace_writer_free)

/* Each appends one line. FALSE: the disk refused; the line is missing or cut, the writer stays
 * usable. */
gboolean
migd_trace_write_start(MigdTraceWriter *writer, const MigdTraceStart *start, GError **error);
gboolean migd_trace_write_sample(MigdTraceWriter *writer, const MigdSample *sample, GError **error);
gboolean
migd_trace_write_decision(MigdTraceWriter *writer, const MigdDecision *decision, GError **error);
/* Written before the command is sent: after a crash an action without outcome counts as done. */
gboolean migd_trace_write_action(MigdTraceWriter *writer, const MigdDecision *decision,
                                 gint64 time_us, GError **error);
/* What came of the last action: `problem` NULL = accepted. */
gboolean migd_trace_write_outcome(MigdTraceWriter *writer, gint64 time_us, const char *problem,
                                  GError **error);
/* kind "outcome" too, with what changed under way. */
gboolean
migd_trace_write_abilities(MigdTraceWriter *writer, gint64 time_us, const MigdAbilities *abilities,
                           const char *why, GError **error);
/* The knobs in force, after they were set or settled. */
gboolean migd_trace_write_knobs(MigdTraceWriter *writer, gint64 time_us, const MigdKnobs *knobs,
                                GError **error);
gboolean migd_trace_write_profile(MigdTraceWriter *writer, gint64 time_us,
                                  const MigdProfile *profile, const char *why, GError **error);
gboolean
migd_trace_write_finish(MigdTraceWriter *writer, const MigdTraceFinish *finish, GError **error);

/* ---- reading ------------------------------------------------------------------------------- */

typedef enum {
    MIGD_TRACE_START,
    MIGD_TRACE_SAMPLE,
    MIGD_TRACE_DECISION,
    MIGD_TRACE_ACTION,
    MIGD_TRACE_OUTCOME,
    MIGD_TRACE_ABILITIES, /* an outcome line that carries abilities */
    MIGD_TRACE_PROFILE,   /* an outcome line that carries a profile */
    MIGD_TRACE_KNOBS,
    MIGD_TRACE_FINISH,
} MigdTraceKind;

typedef struct {
    MigdTraceKind kind;
    gint64 time_us;
    guint line;              /* in the file, from 1 */
    MigdSample sample;       /* SAMPLE */
    MigdDecision decision;   /* DECISION, ACTION (action, argument and trigger only) */
    MigdAbilities abilities; /* ABILITIES */
    MigdProfile profile;     /* PROFILE */
    MigdKnobs knobs;         /* KNOBS */
    char *problem;           /* OUTCOME: NULL = accepted; ABILITIES, PROFILE: why */
} MigdTraceEntry;

typedef struct {
    gboolean started; /* the start line has been read; always so after migd_trace_read() */
    MigdTraceStart start;
    GArray *entries; /* of MigdTraceEntry, in order, without start and finish */
    gboolean finished;
    MigdTraceFinish finish; /* if finished */
    guint64 offset;         /* read so far, bytes: whole lines only */
    guint lines;            /* read so far */
} MigdTrace;

/* Reads a whole trace. Errors name file, line and key; a cut last line is skipped; lines of an
 * unknown kind are skipped, and so are unknown keys (newer writers); a line over 64 KiB or a file
 * over 64 MiB is refused. */
MigdTrace *migd_trace_read(const char *path, GError **error);

/* An empty trace, to be filled by migd_trace_read_more(). */
MigdTrace *migd_trace_new(void);

/* Reads from `fd` (at any position: pread) the lines that were added since the last call; an
 * unfinished last line is left for the next. `name` stands in errors for the file. On FALSE the
 * lines before the bad one are in. */
gboolean migd_trace_read_more(MigdTrace *trace, int fd, const char *name, GError **error);
void migd_trace_free(MigdTrace *trace);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(MigdTrace, migd_trace_free)

/* The key of the first number or word in which two decisions differ, in the order of the decision
 * line ("t_us", "action", …); NULL when they are the same, bit for bit. Static string. */
const char *migd_trace_decision_diff(const MigdDecision *a, const MigdDecision *b);

/* TRUE when `action`, read from an action line (action, argument and trigger), carries `decision`
 * out. */
gboolean migd_trace_carries_out(const MigdDecision *action, const MigdDecision *decision);

/* Called for each decision of today's policy over the trace that differs from the one before (as
 * the daemon records them); `recorded` = the decision line of the trace at the same place (after
 * the same sample), or NULL. Also called with `decision` NULL where the trace has a decision and
 * today's policy says nothing new. */
typedef void (*MigdReplayFunc)(const MigdDecision *decision, const MigdDecision *recorded,
                               gpointer user_data);

/* Folds the trace's samples, actions, outcomes and changes through the policy. `profile` overrides
 * the recorded ones (NULL = as recorded). Returns the number of differences between recorded and
 * replayed decisions (0 = the same, bit for bit; decisions with MIGD_REASON_REQUESTED are not the
 * policy's and are passed over); `callback` and `ret_track` are optional; `ret_track` receives the
 * track as it stands at the end, to go on with. */
guint migd_trace_replay(const MigdTrace *trace, const MigdProfile *profile, MigdReplayFunc callback,
                        gpointer user_data, MigdTrack **ret_track);

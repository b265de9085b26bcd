/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * One migration, watched from its start to its end: observe, fold, decide, act, record, and put
 * back what was set. It knows nothing of the bus and of other migrations. The only part of the
 * daemon that reads the clock.
 */
#pragma once

#include "daemon/backend.h"
#include "policy/profile.h"
#include "policy/track.h"
#include "trace/trace.h"

typedef struct MigdWatch MigdWatch;

typedef enum {
    MIGD_WATCH_QUEUED, /* waits for its turn */
    MIGD_WATCH_PREPARING,
    MIGD_WATCH_PRECOPY,
    MIGD_WATCH_SWITCHOVER,
    MIGD_WATCH_POSTCOPY,
    MIGD_WATCH_POSTCOPY_PAUSED,
    MIGD_WATCH_FINISHED,
} MigdWatchState;

typedef enum {
    MIGD_RESULT_NONE, /* still running */
    MIGD_RESULT_SUCCEEDED,
    MIGD_RESULT_FAILED,
    MIGD_RESULT_CANCELED,
    MIGD_RESULT_UNKNOWN,
} MigdResult;

const char *migd_watch_state_to_string(MigdWatchState state);
const char *migd_result_to_string(MigdResult result); /* "" for NONE */

/* All that there is to know about a migration; owned by the watch and changed by it alone. */
typedef struct {
    char *id;
    char *domain_uuid;
    char *domain_name;   /* clean */
    char *origin;        /* "migrationd", "external" */
    char *destination;   /* "" when somebody else started it */
    char *migrate_uri;   /* NULL = none */
    guint32 connections; /* asked for; 0 = as many as it needs */
    gboolean incoming;   /* it arrives here: only its state and its end are known */
    guint64 start_realtime_us;
    MigdProfile profile;
    MigdCosts costs;           /* of a pause, as learned before the start */
    const char *write_protect; /* how the guest's writes are tracked; static string */
    guint64 memory_bytes;      /* of the guest, when the watch began; 0 = not known */
    gboolean observe;
    MigdWatchState state;
    MigdResult result;
    char *error; /* "" = none */
    gboolean has_sample;
    MigdSample sample; /* the newest */
    gboolean has_decision;
    MigdDecision decision; /* the newest, as recorded */
    MigdDecision running; /* the newest while the guest ran here: its numbers are those of passes */
    char *decision_text;  /* the newest sentence */
    double progress;      /* 0..1, never falls */
    gboolean progress_valid;
    MigdTraceFinish report;   /* grows; complete once finished */
    guint64 first_pass_bytes; /* sent when pass 1 ended; 0 = not seen */
    char *trace_path;
} MigdWatchInfo;

/* Called on the main loop, for a command that was decided on after it has been sent. */
typedef struct {
    void (*changed)(MigdWatch *watch, gpointer user_data);
    /* Pass number `pass` (from 1) has ended. */
    void (*passed)(MigdWatch *watch, guint64 pass, gpointer user_data);
    void (*decided)(MigdWatch *watch, const MigdDecision *decision, const char *text,
                    gboolean enforced, gpointer user_data);
    /* The last call: everything is put back, recorded and closed. */
    void (*finished)(MigdWatch *watch, gpointer user_data);
} MigdWatchListener;

typedef struct {
    const char *id, *domain_uuid, *domain_name, *origin, *destination;
    const char *migrate_uri; /* NULL = none */
    guint32 connections;     /* 0 = as many as it needs */
    gboolean incoming;       /* no trace then */
    gboolean queued;         /* migd_watch_start() comes later */
    const MigdProfile *profile;
    MigdCosts costs;  /* of a pause, as known; 0 = not known */
    gboolean observe; /* decide, but touch nothing */
    char *trace_path; /* taken */
} MigdWatchSetup;

/* `domain` may be NULL for a migration that has ended (migd_watch_close()). A watch is counted:
 * requests in flight hold it. */
MigdWatch *migd_watch_new(MigdDomain *domain, const MigdWatchSetup *setup,
                          const MigdWatchListener *listener, gpointer user_data);
MigdWatch *migd_watch_ref(MigdWatch *watch);
void migd_watch_unref(MigdWatch *watch);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(MigdWatch, migd_watch_unref)

const MigdWatchInfo *migd_watch_info(const MigdWatch *watch);
gboolean migd_watch_is_finished(const MigdWatch *watch);

/* The newest passes, as migd_track_points() tells them. */
guint migd_watch_points(const MigdWatch *watch, MigdPoint *ret);

/* Whether `action` is possible at all on this migration, whatever the profile says. */
gboolean migd_watch_can(const MigdWatch *watch, MigdAction action);
/* A time of decisions and samples (CLOCK_MONOTONIC) as µs since the epoch. */
guint64 migd_watch_realtime(gint64 time_us);
/* Of this boot, as in traces; NULL = not known. Caller frees. */
char *migd_watch_boot_id(void);

/* Starts the migration to the destination of the setup. `done` is called once the hypervisor took
 * the command or refused it; then the watch finishes with the result "failed". `allow_postcopy`:
 * enable it at the hypervisor. */
void
migd_watch_start(MigdWatch *watch, gboolean allow_postcopy, MigdDoneFunc done, gpointer user_data);

gboolean migd_watch_is_queued(const MigdWatch *watch);
/* Finishes one that is queued. */
void migd_watch_give_up(MigdWatch *watch, MigdResult result, const char *problem);

/* Watches a migration that somebody else has started. */
void migd_watch_follow(MigdWatch *watch);

/* Watches one that arrives here: nothing is asked, decided or recorded. */
void migd_watch_receive(MigdWatch *watch);
/* What is heard of it; `problem` (may be NULL) says why it failed. */
void migd_watch_received(MigdWatch *watch, MigdStatus status, const char *problem);

/* Takes up a migration that an earlier daemon watched and that still runs; `trace` is its record so
 * far. */
void migd_watch_resume(MigdWatch *watch, const MigdTrace *trace);

/* The same for one that has ended since: puts back what was set, where it still is as set, and
 * closes the record. `end` = what the hypervisor says now (NULL: it is gone); `restore` = no other
 * migration uses the knobs by now. */
void
migd_watch_close(MigdWatch *watch, const MigdTrace *trace, const MigdSample *end, gboolean restore);

/* TRUE when the running migration that `sample`, observed now, shows is the one of `trace`. */
gboolean migd_watch_is_same(const MigdTrace *trace, const MigdSample *sample);

void migd_watch_event(MigdWatch *watch, MigdEventKind kind, guint64 argument);
void migd_watch_domain_changed(MigdWatch *watch, const MigdDomainInfo *info);
/* The hypervisor process is gone: `domain` must not be used any more. */
void migd_watch_domain_lost(MigdWatch *watch);

/* From the next decision on. */
void migd_watch_set_observe(MigdWatch *watch, gboolean observe);

/* Somebody asks for ABORT or POSTCOPY: done as soon as no other action is in flight, also in mode
 * observe. */
void migd_watch_request(MigdWatch *watch, MigdAction action, MigdDoneFunc done, gpointer user_data);

/* What was predicted before the start, for the report. */
void migd_watch_set_prediction(MigdWatch *watch, const MigdRange *total_us,
                               const MigdRange *downtime_us, const MigdRange *bytes);

/* New limits, from now on. */
void migd_watch_set_profile(MigdWatch *watch, const MigdProfile *profile);

/* The daemon stops: no further call of the listener; the migration goes on, and the next daemon
 * takes it up. */
void migd_watch_detach(MigdWatch *watch);

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A domain of libvirt as the daemon sees it, and the libvirt that it is on. Private to the libvirt
 * backend: backend-virt.c (the set), virt-domain.c (one domain's life), virt-events.c (what libvirt
 * announces), virt-request.c (what the daemon asks), virt-start.c (migrations of our own).
 *
 * libvirt has no word for the state of a migration: `phase` is put together from the events of the
 * hypervisor, libvirt's own, and the statistics. It is the end of a migration only when libvirt is
 * through with it, not when the hypervisor is.
 */
#pragma once

#include "daemon/backend.h"
#include "daemon/virt-writeprotect.h"
#include "virt/connection.h"
#include "virt/describe.h"
#include "virt/migrate.h"

#include "policy/streams.h"

typedef struct MigdVirtHook MigdVirtHook;

typedef struct {
    MigdBackend base;
    const MigdBackendListener *listener;
    gpointer user_data;
    char *uri, *hook_path;
    guint call_timeout_ms;
    gboolean allow_monitor;
    MigdVirtConnection *connection;
    char *down; /* why there is no connection; NULL = there is one */
    MigdVirtHook *hook;
    GHashTable *domains; /* k: uuid (the value's) -> v: MigdVirtDomain */
    GHashTable *carried; /* k: destination -> v: MigdCarried; see virt-streams.c */
} MigdVirtHost;

/* How fast a migration of our own was at its best. */
typedef struct {
    char *destination;
    guint64 limit_bps;                /* that it was started with; 0 = none */
    guint64 from_us, from_bytes;      /* of the window that is open; 0 = none */
    guint64 best_bps, best_limit_bps; /* limit: in force at that time */
} MigdVirtStream;

struct MigdVirtDomain {
    MigdDomain base; /* what the daemon holds */
    MigdVirtHost *host;
    MigdDomainInfo info;
    char *uuid, *name, *problem, *failure, *profile;
    MigdVirtLane *lane;
    MigdVirtLane *side; /* for calls that wait while a migration runs; NULL until needed */
    gboolean described, persistent, kvm, tainted;
    guint look_source; /* looks once more, as the last look failed */
    guint look_again_ms;
    MigdWriteProtect write_protect;
    MigdDomainState run; /* as libvirt says; `info.state` knows more */
    guint64 memory_bytes;
    guint64 dirty_rate_bps; /* as last measured on request */
    const char *dirty_rate_method;
    gboolean measured;      /* it was */
    guint64 seen_dirty_bps; /* as its last migration, which did not end well, showed it */

    /* the migration out of here, running or the last one */
    MigdStatus phase;   /* NONE = never one */
    gboolean probing;   /* the hypervisor began to send something: asked libvirt what it is */
    guint probe_source; /* asks once more */
    guint n_probes;     /* in vain, since it began */
    MigdStatus probe_status;
    guint64 probe_pass;    /* 0 = none announced meanwhile */
    gboolean lost;         /* it went unseen: how its migration ended cannot be known */
    gboolean handed_over;  /* the hypervisor is through, libvirt not yet */
    MigdSample last;       /* newest sample of it; at the end the final one */
    gboolean has_totals;   /* libvirt has told the totals of its end */
    MigdKnobs knobs;       /* as last read or set */
    guint n_vcpus;         /* as last read; 0 = not yet */
    gboolean capabilities; /* read since it began: they do not change any more */
    gboolean postcopy_refused;
    gboolean narrow;  /* we keep max-cpu-throttle low until the throttle has come down */
    guint end_source; /* waits for the totals */

    /* one that we started */
    MigdVirtMigration *call;
    gboolean own_postcopy;
    MigdVirtStream stream; /* of the call */
    MigdDoneFunc started;  /* NULL = answered */
    gpointer started_data;

    gboolean incoming; /* one comes in */
    guint hook_source; /* announced by the hook: gone if libvirt does not show it in time */

    gpointer measuring; /* see virt-measure.c; NULL = no measurement is under way */
    guint n_requests;   /* of the daemon, not answered */
    GList *later;       /* requests of virt-request.c that are answered at the next turn, or after a
                           moment */
    gboolean leaving;
    guint leave_source;
};

static inline gboolean
migd_virt_domain_migrates(const MigdVirtDomain *domain)
{
    return domain->phase != MIGD_STATUS_NONE && !migd_status_is_end(domain->phase);
}

/* ---- virt-domain.c --------------------------------------------------------------------------- */

/* Announces it. */
MigdVirtDomain *migd_virt_domain_new(MigdVirtHost *host, const char *uuid, const char *name);
/* Without a word; migd_virt_domain_leave() announces it. */
void migd_virt_domain_free(gpointer domain);
void migd_virt_domain_changed(MigdVirtDomain *domain);
/* Asks libvirt for everything about it, and takes up what runs. */
void migd_virt_domain_refresh(MigdVirtDomain *domain);
/* It is gone: removed once what was asked about it is answered. */
void migd_virt_domain_leave(MigdVirtDomain *domain);
/* After all, not. */
void migd_virt_domain_stay(MigdVirtDomain *domain);
/* A request was answered. */
void migd_virt_domain_answered(MigdVirtDomain *domain);
/* TRUE the first time that its monitor is used: libvirt has tainted it. */
void migd_virt_domain_taint(MigdVirtDomain *domain, const char *command);

/* ---- virt-events.c --------------------------------------------------------------------------- */

void migd_virt_host_event(MigdVirtHost *host, const MigdVirtEvent *event);
/* The migration out of here is in `phase` now. */
void migd_virt_domain_phase(MigdVirtDomain *domain, MigdStatus phase);
/* ... has ended; `problem` (may be NULL) says why. */
void migd_virt_domain_finish(MigdVirtDomain *domain, MigdStatus end, const char *problem);
/* ... has succeeded, but the totals may still be on their way. */
void migd_virt_domain_succeed(MigdVirtDomain *domain);
/* A migration comes in: `status`. */
void migd_virt_domain_incoming(MigdVirtDomain *domain, MigdStatus status, const char *problem);
/* libvirt's hook said that one will. */
void migd_virt_host_expect(MigdVirtHost *host, const char *uuid, const char *name);

/* ---- virt-measure.c ---------------------------------------------------------------------------
 */

/* For calls that may wait long: they hold up only each other. */
MigdVirtLane *migd_virt_domain_side(MigdVirtDomain *domain);
#define MIGD_VIRT_SIDE_TIMEOUT_MS 35000 /* libvirt gives up after 30 s */

/* ---- virt-request.c, virt-start.c, virt-measure.c: the port ------------------------------------
 */

void migd_virt_query(MigdDomain *domain, MigdSampleFunc callback, gpointer user_data);
void migd_virt_read_knobs(MigdDomain *domain, MigdKnobsFunc callback, gpointer user_data);
void migd_virt_write_knobs(MigdDomain *domain, const MigdKnobs *knobs, guint32 mask,
                           MigdDoneFunc callback, gpointer user_data);
void migd_virt_act(MigdDomain *domain, const MigdDecision *decision, guint32 throttle_now_pct,
                   MigdDoneFunc callback, gpointer user_data);
void migd_virt_start(MigdDomain *domain, const MigdStartOptions *options, MigdDoneFunc callback,
                     gpointer user_data);
void migd_virt_set_profile(MigdDomain *domain, const char *profile, gboolean persistent,
                           MigdDoneFunc callback, gpointer user_data);
void migd_virt_measure(MigdDomain *domain, const MigdMeasureOptions *options, MigdRateFunc callback,
                       gpointer user_data);

/* A measurement that waits for its time to pass is answered with `error`. */
void migd_virt_measure_stop(MigdVirtDomain *domain, const GError *error);

/* Answers the start with `error` (NULL = it has begun), if it waits for that. */
void migd_virt_answer_start(MigdVirtDomain *domain, const GError *error);

/* ---- virt-streams.c: connections ---------------------------------------------------------------
 */

/* How many the migration that `options` describe shall have, and begins to measure it. */
guint migd_virt_stream_begin(MigdVirtDomain *domain, const MigdStartOptions *options);
/* A sample of the migration out of here, whoever started it. */
void migd_virt_stream_sample(MigdVirtDomain *domain, const MigdSample *sample);
/* It is over and had so many (0 = not known): what it carried is kept for the next one. */
void migd_virt_stream_end(MigdVirtDomain *domain, guint connections);

/* ---- virt-request.c, for the others ------------------------------------------------------------
 */

/* Those that wait for a moment are answered now. */
void migd_virt_answer_waiting(MigdVirtDomain *domain);
void migd_virt_answer_later(MigdVirtDomain *domain, MigdDoneFunc callback, gpointer user_data,
                            GError *error);

/* What one trip to a thread does, in this order; each part only if asked for. */
typedef struct {
    gboolean abort, postcopy, suspend;
    gboolean set_downtime, set_bandwidth, restore_speed;
    guint64 downtime_us, bandwidth_bps;
    char *command; /* JSON for the monitor */
    char *limit;   /* the same: one that concerns the vCPUs' limits */
    char *reply;
} MigdVirtSteps;

MigdVirtSteps *migd_virt_steps_new(void);
void migd_virt_steps_free(gpointer steps);
gboolean migd_virt_steps_work(virDomainPtr domain, gpointer steps, GError **error);
/* They came back (NULL: they did not): counts what the monitor answered, if that was an error. */
void migd_virt_steps_note(const MigdVirtDomain *domain, const MigdVirtSteps *steps);

/* virt-act.c: QEMU's capability x-write-protect-all. Only where its monitor may be used. */
void migd_virt_switch_all(MigdVirtDomain *domain, gboolean on, MigdDoneFunc callback,
                          gpointer user_data);

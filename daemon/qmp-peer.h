/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * One QMP socket and the QEMU behind it: connects, finds out who it is, keeps its state, and shows
 * it to the daemon as a domain. Private to the QMP backend.
 *
 * Who is what: a peer lives as long as its socket file. Its domain exists while somebody listens
 * there: it appears once the identity is settled (query-uuid answered, or the peer turned out
 * silent or faulty, which must be visible too), and goes when connections are refused (QEMU is dead
 * and has left its file behind) or the file goes. The UUID is QEMU's; where that is unknown, all
 * zeros or taken by another domain, one made of the socket's path. If it turns out to be another
 * one later (a silent peer that wakes up, a new QEMU on the same path), the domain is removed and
 * added anew.
 */
#pragma once

#include "daemon/backend.h"
#include "daemon/qmp-writeprotect.h"
#include "qmp/client.h"
#include "qmp/migration.h"

typedef struct {
    MigdDomain base; /* what the daemon holds */
    MigdQmpPeer *peer;
    MigdDomainInfo info;
    char *uuid, *name, *problem, *migration_error; /* what `info` points to */
} MigdQmpDomain;

/* What all peers of a backend share. */
typedef struct {
    MigdBackend *backend;
    const MigdBackendListener *listener;
    gpointer user_data;
    MigdQmpLimits limits;
    GHashTable *by_uuid; /* char * -> MigdQmpDomain * (borrowed): the domains that are visible */
} MigdQmpShared;

struct MigdQmpPeer {
    MigdQmpShared *shared;
    char *path, *name;
    MigdQmpClient *client;
    MigdQmpDomain *domain; /* NULL = not visible */
    gboolean closing;      /* its file is gone: answers are not looked at any more */

    MigdDomainState link; /* RUNNING = fine; else CONNECTING, UNRESPONSIVE, FAULTY, over `run` */
    char *link_problem;
    char *odd; /* it said something implausible: FAULTY until it says something good again */

    gboolean probed;  /* what follows is known of this connection */
    guint probe_left; /* replies to come */
    gboolean probe_lost;
    char *uuid; /* as QEMU says; NULL = none of its own */
    MigdDomainState run;
    gboolean incoming; /* migrations of it arrive here: none of ours to watch */
    guint64 memory_bytes;
    char *failure;   /* of the last migration, if it failed */
    MigdKnobs knobs; /* as last read or set */
    MigdSample last; /* of the probe */
    MigdQmpInspection inspection;
    gboolean asked_for_events;
    guint64 dirty_rate_bps;        /* as last measured; 0 = never */
    const char *dirty_rate_method; /* how; static string, NULL = never */
    gpointer measuring;            /* see qmp-measure.c; NULL = no measurement is under way */

    GList *requests; /* of the daemon, unanswered; see qmp-request.h */
};

/* `path` is absolute. */
MigdQmpPeer *migd_qmp_peer_new(MigdQmpShared *shared, const char *path);

/* Answers what is outstanding, removes the domain, closes. */
void migd_qmp_peer_free(MigdQmpPeer *peer);

/* What its domain shows has changed. */
void migd_qmp_peer_changed(MigdQmpPeer *peer);

/* Something implausible came (`error`), or, with NULL, something good. */
void migd_qmp_peer_mark(MigdQmpPeer *peer, const GError *error);

/* Keeps what the reply of query-migrate says about a failure. */
void migd_qmp_peer_note_failure(MigdQmpPeer *peer, const MigdJson *reply);

/* Keeps a dirty rate that was measured. `method` is a static string. */
void migd_qmp_peer_note_dirty_rate(MigdQmpPeer *peer, guint64 rate_bps, const char *method);

/* Asks for the parameters in force, to keep `knobs` true. */
void migd_qmp_peer_refresh_knobs(MigdQmpPeer *peer);

/* Switches the capability `events` on if no migration runs by `status`, so that one which somebody
 * else starts is announced. */
void migd_qmp_peer_want_events(MigdQmpPeer *peer, MigdStatus status);

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A QMP client on a unix socket, asynchronous on the default main context: greeting, capabilities
 * negotiation, ids, a deadline for each command, reconnecting, and a budget for peers that talk too
 * much. Knows no command but qmp_capabilities. An idle connection costs one watched descriptor: no
 * timer runs unless a command is in flight or a connection is being (re)tried.
 */
#pragma once

#include "qmp/fault.h"
#include "qmp/wire.h"

typedef struct MigdQmpClient MigdQmpClient;

typedef enum {
    MIGD_QMP_CONNECTING, /* between the loss of a connection and the next success */
    MIGD_QMP_READY,
    MIGD_QMP_SILENT,  /* connected, but the greeting or a reply is overdue; kept, since QEMU serves
                       * one client at a  time and may come free. READY again when something comes */
    MIGD_QMP_FAULTY,  /* broke the protocol or its budget: closed, tried again after a pause */
    MIGD_QMP_REFUSED, /* nobody listens: a stale or a very fresh socket; tried again with back-off
                       */
} MigdQmpState;

typedef struct {
    /* `problem`: why SILENT, FAULTY or REFUSED, clean text; NULL otherwise. */
    void (*state)(MigdQmpState state, const char *problem, gpointer user_data);
    void (*event)(const MigdQmpMessage *event, gpointer user_data);
    /* Something went wrong: for counting, before anybody hears of it otherwise. May be NULL. */
    void (*fault)(MigdQmpFault fault, gpointer user_data);
} MigdQmpListener;

typedef struct {
    guint timeout_ms;     /* for the greeting with negotiation, and for each command */
    guint backoff_min_ms; /* first pause before trying again; doubles */
    guint backoff_max_ms;
    guint quarantine_ms;  /* least pause after a fault */
    guint healthy_ms;     /* a connection that lasted this long starts the back-off afresh */
    guint messages_per_s; /* what a peer may send, averaged; four seconds' worth at once */
    guint bytes_per_s;
} MigdQmpLimits;

extern const MigdQmpLimits migd_qmp_limits_default;

/* `reply` = the "return" value if it is an object or an array, else NULL; borrowed. With `error`
 * set (BACKEND_LOST, TIMED_OUT, or FAILED with QEMU's words) there is none. */
typedef void (*MigdQmpReplyFunc)(const MigdJson *reply, const GError *error, gpointer user_data);

/* Connects to `path` from the next turn of the main loop on, for ever. `limits` is copied. */
MigdQmpClient *migd_qmp_client_new(const char *path, const MigdQmpLimits *limits,
                                   const MigdQmpListener *listener, gpointer user_data);

/* Answers what is in flight with BACKEND_LOST, then forgets the peer; no callback comes after it
 * returns. May be called from any of the client's own callbacks. */
void migd_qmp_client_free(MigdQmpClient *client);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(MigdQmpClient, migd_qmp_client_free)

/* Who listens at the other end of the connection, by the kernel's word; 0 = not known, or not of
 * this PID namespace. The number is the process's only as long as it lives: an answer that comes
 * after it was looked up there says that it did. */
gint migd_qmp_client_peer(const MigdQmpClient *client);

/* Sends a command. Takes the reference of `arguments` (may be NULL). `callback` comes exactly once,
 * never before this returns. */
void migd_qmp_client_call(MigdQmpClient *client, const char *command, MigdJson *arguments,
                          MigdQmpReplyFunc callback, gpointer user_data);

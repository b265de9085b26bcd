/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the daemon asks of a domain, as QMP commands. Each request is answered exactly once: with
 * its result, or with BACKEND_LOST before its domain is removed. Private to the QMP backend.
 */
#pragma once

#include "daemon/qmp-peer.h"
#include "qmp/command.h"

/* The operations of MigdBackendOps. */
void migd_qmp_request_query(MigdDomain *domain, MigdSampleFunc callback, gpointer user_data);
void migd_qmp_request_read_knobs(MigdDomain *domain, MigdKnobsFunc callback, gpointer user_data);
void migd_qmp_request_write_knobs(MigdDomain *domain, const MigdKnobs *knobs, guint32 mask,
                                  MigdDoneFunc callback, gpointer user_data);
void migd_qmp_request_migrate(MigdDomain *domain, const MigdStartOptions *options,
                              MigdDoneFunc callback, gpointer user_data);
void migd_qmp_request_act(MigdDomain *domain, const MigdDecision *decision,
                          guint32 throttle_now_pct, MigdDoneFunc callback, gpointer user_data);

/* Answers all that are outstanding; replies that come later are dropped. */
void migd_qmp_requests_cancel(MigdQmpPeer *peer);

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Blocking calls of libvirt, off the main loop: a bounded number of threads, and lanes. A lane is
 * one domain: its calls run one after the other, and each has a deadline, after which it is
 * answered as timed out although the thread may still be in it. A hung hypervisor thus costs one
 * thread and its connection, never more: until its call comes back nothing else of that lane is
 * sent.
 *
 * All functions but the work itself run on the main loop.
 */
#pragma once

#include "virt/handle.h"

typedef struct MigdVirtPool MigdVirtPool;
typedef struct MigdVirtLane MigdVirtLane;

/* In a thread. May keep what it found in `data`. */
typedef gboolean (*MigdVirtWork)(virDomainPtr domain, gpointer data, GError **error);

/* Blocks: for threads. Opened, kept alive; NULL with `error` set. */
virConnectPtr migd_virt_open(const char *uri, GError **error);

/* On the main loop, exactly once. `data` is NULL if the call is late or was never sent; else it
 * dies when this returns. */
typedef void (*MigdVirtDone)(gpointer data, const GError *error, gpointer user_data);

/* Opens connections to `uri` as it needs them. */
MigdVirtPool *migd_virt_pool_new(const char *uri);

/* Calls that are under way are answered before it returns. Does not wait for threads. */
void migd_virt_pool_free(MigdVirtPool *pool);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(MigdVirtPool, migd_virt_pool_free)

/* Down, as at first: calls are refused with BackendLost. */
void migd_virt_pool_set_up(MigdVirtPool *pool, gboolean is_up);

/* `stuck` (may be NULL) tells that a call is overdue, and later that it came back. */
MigdVirtLane *
migd_virt_lane_new(MigdVirtPool *pool, const char *uuid,
                   void (*stuck)(gboolean is, gpointer user_data), gpointer user_data);

/* Answers what is outstanding with BackendLost. */
void migd_virt_lane_free(MigdVirtLane *lane);

gboolean migd_virt_lane_is_stuck(const MigdVirtLane *lane);

/* TRUE when nothing is queued or under way. */
gboolean migd_virt_lane_is_idle(const MigdVirtLane *lane);

/* Takes `data`; `data_free` runs in any thread. `done` is never called before this returns. */
void
migd_virt_lane_call(MigdVirtLane *lane, MigdVirtWork work, gpointer data, GDestroyNotify data_free,
                    guint timeout_ms, MigdVirtDone done, gpointer user_data);

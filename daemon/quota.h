/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * How much of the daemon one client may have at a time. Calls over the limit are refused with
 * org.freedesktop.DBus.Error.LimitsExceeded before they reach the main loop, so that a flood of
 * calls costs neither memory nor the time of the migrations.
 */
#pragma once

#include <gio/gio.h>

/* Calls that are not answered yet. */
#define MIGD_LIMIT_CALLS_UNKNOWN 8      /* of a connection whose user is not known yet */
#define MIGD_LIMIT_CALLS_STRANGERS 256  /* of all such connections together */
#define MIGD_LIMIT_CALLS 32             /* of a connection */
#define MIGD_LIMIT_CALLS_USER 128       /* of all connections of a user */
#define MIGD_LIMIT_CALLS_PRIVILEGED 512 /* of a connection of root or of the daemon's own user */
#define MIGD_LIMIT_DUMPS 16             /* GetManagedObjects, of all but the privileged together */

/* Leases of Manager.Hold. */
#define MIGD_LIMIT_HOLDS 16
#define MIGD_LIMIT_HOLDS_ALL 256

typedef struct MigdQuota MigdQuota;

/* Counts from now on what comes in over `connection`. */
MigdQuota *migd_quota_new(GDBusConnection *connection);
void migd_quota_free(MigdQuota *quota);

/* The user behind the connection `name`. FALSE: it has left the bus, and is not remembered. */
gboolean migd_quota_know(MigdQuota *quota, const char *name, guint32 uid, gboolean privileged);

/* The connection `name` was known, and has left the bus. Called on the main loop. */
typedef void (*MigdQuotaLeftFunc)(const char *name, gpointer user_data);
void migd_quota_on_left(MigdQuota *quota, MigdQuotaLeftFunc left, gpointer user_data);

/* TRUE: the connection `name` has left the bus. Only of those that have calls under way. */
gboolean migd_quota_has_left(MigdQuota *quota, const char *name);

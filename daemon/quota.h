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

/* The user behind the connection `name`. */
void migd_quota_know(MigdQuota *quota, const char *name, guint32 uid, gboolean privileged);
/* It has left the bus. */
void migd_quota_forget(MigdQuota *quota, const char *name);

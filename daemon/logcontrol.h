/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * org.freedesktop.LogControl1, as systemd specifies it: `systemctl service-log-level migrationd
 * debug` without a restart. What is set lasts until the next reload or restart.
 */
#pragma once

#include "daemon/authz.h"

typedef struct MigdLogControl MigdLogControl;

/* NULL with `error` set: the object cannot be put on the bus. Borrows `authz`. */
MigdLogControl *migd_log_control_new(GDBusConnection *connection, MigdAuthz *authz, GError **error);
void migd_log_control_free(MigdLogControl *control);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(MigdLogControl, migd_log_control_free)

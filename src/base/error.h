/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The one error domain. Codes are those of the bus (org.migrationd1.Error.*); GDBus translates both
 * ways once migd_error_quark() has run. Messages name what and where, and end without a full stop.
 */
#pragma once

#include <glib.h>

#define MIGD_ERROR (migd_error_quark())

typedef enum {
    MIGD_ERROR_FAILED,
    MIGD_ERROR_NO_SUCH_DOMAIN,
    MIGD_ERROR_NO_SUCH_MIGRATION,
    MIGD_ERROR_MIGRATION_IN_PROGRESS,
    MIGD_ERROR_NOT_SUPPORTED,
    MIGD_ERROR_NOT_ALLOWED_BY_PROFILE,
    MIGD_ERROR_BACKEND_LOST,
    MIGD_ERROR_INVALID_ARGUMENT,
    MIGD_ERROR_TIMED_OUT,
    MIGD_ERROR_HELD,          /* by a lease of Manager.Hold */
    MIGD_ERROR_ACCESS_DENIED, /* on the bus: org.freedesktop.DBus.Error.AccessDenied */
    MIGD_N_ERRORS,
} MigdError;

GQuark migd_error_quark(void);

/* The D-Bus name of `code`, e.g. "org.migrationd1.Error.NoSuchDomain". Static string. */
const char *migd_error_dbus_name(MigdError code);

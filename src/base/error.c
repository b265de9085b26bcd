/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The error domain and its names on the bus. Knows nothing of GIO: src/dbus registers the names
 * with it.
 */
#include "base/error.h"

#include "base/names.h"

static const char *const names[MIGD_N_ERRORS] = {
    [MIGD_ERROR_FAILED] = MIGD_BUS_ERROR "Failed",
    [MIGD_ERROR_NO_SUCH_DOMAIN] = MIGD_BUS_ERROR "NoSuchDomain",
    [MIGD_ERROR_NO_SUCH_MIGRATION] = MIGD_BUS_ERROR "NoSuchMigration",
    [MIGD_ERROR_MIGRATION_IN_PROGRESS] = MIGD_BUS_ERROR "MigrationInProgress",
    [MIGD_ERROR_NOT_SUPPORTED] = MIGD_BUS_ERROR "NotSupported",
    [MIGD_ERROR_NOT_ALLOWED_BY_PROFILE] = MIGD_BUS_ERROR "NotAllowedByProfile",
    [MIGD_ERROR_BACKEND_LOST] = MIGD_BUS_ERROR "BackendLost",
    [MIGD_ERROR_INVALID_ARGUMENT] = MIGD_BUS_ERROR "InvalidArgument",
    [MIGD_ERROR_TIMED_OUT] = MIGD_BUS_ERROR "TimedOut",
    [MIGD_ERROR_HELD] = MIGD_BUS_ERROR "Held",
    [MIGD_ERROR_ACCESS_DENIED] = "org.freedesktop.DBus.Error.AccessDenied",
};

GQuark
migd_error_quark(void)
{
    return g_quark_from_static_string("migd-error-quark");
}

const char *
migd_error_dbus_name(MigdError code)
{
    return names[code < MIGD_N_ERRORS ? code : MIGD_ERROR_FAILED];
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Hands the names of base/error.c to GDBus. No name is spelled here.
 */
#include "dbus/errors.h"

#include <gio/gio.h>

#include "base/error.h"

void
migd_dbus_register_errors(void)
{
    for (guint code = 0; code < MIGD_N_ERRORS; code++)
        if (code != MIGD_ERROR_ACCESS_DENIED)
            g_dbus_error_register_error(MIGD_ERROR, (gint)code,
                                        migd_error_dbus_name((MigdError)code));
}

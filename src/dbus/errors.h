/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The error domain on the bus. Once registered, GDBus turns MIGD_ERROR into org.migrationd1.Error.*
 * and back.
 */
#pragma once

/* Registers every code with GDBus, but for MIGD_ERROR_ACCESS_DENIED: its name is the bus's own, so
 * that on the bus it is G_DBUS_ERROR_ACCESS_DENIED in both directions. Daemon and clients call it
 * before the first call; twice does no harm. */
void migd_dbus_register_errors(void);

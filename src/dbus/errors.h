/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The error domain on the bus. Once registered, GDBus turns MIGD_ERROR into org.migrationd1.Error.*
 * and back.
 */
#pragma once

/* Registers every code with GDBus. Daemon and clients call it before the first call; twice does no
 * harm. */
void migd_dbus_register_errors(void);

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The daemon on D-Bus: one object for the manager, each domain and each migration. Every method
 * goes through the table of authz.c; properties are sent at most once a second per object. Decides
 * nothing.
 */
#pragma once

#include <gio/gio.h>

#include "daemon/manager.h"

typedef struct MigdBus MigdBus;

/* Exports everything that `manager` has and listens to it from now on. `ask_polkit`: whether there
 * may be a polkit on this bus (see authz.h). */
MigdBus *migd_bus_new(GDBusConnection *connection, MigdManager *manager, gboolean ask_polkit,
                      GError **error);
void migd_bus_free(MigdBus *bus);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(MigdBus, migd_bus_free)

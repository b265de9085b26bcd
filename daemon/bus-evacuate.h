/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The two methods that start migrations, for the table of methods.
 */
#pragma once

#include "daemon/bus-private.h"

void migd_bus_migrate(MigdBus *bus, GDBusMethodInvocation *invocation, GVariant *parameters);
void migd_bus_evacuate(MigdBus *bus, GDBusMethodInvocation *invocation, GVariant *parameters);

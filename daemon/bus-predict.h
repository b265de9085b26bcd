/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The handlers of Predict and ListHistory.
 */
#pragma once

#include "daemon/bus-private.h"
#include "daemon/predict.h"

void migd_bus_predict(MigdBus *bus, GDBusMethodInvocation *invocation, GVariant *parameters);
void migd_bus_list_history(MigdBus *bus, GDBusMethodInvocation *invocation, GVariant *parameters);

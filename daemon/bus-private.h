/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the files of the bus share: bus.c (objects, signals), bus-gate.c (who may call),
 * bus-methods.c (one function a method) and bus-values.c (what is shown, as variants). Nobody else
 * includes this.
 */
#pragma once

#include "daemon/authz.h"
#include "daemon/bus.h"
#include "daemon/counters.h"
#include "daemon/logcontrol.h"

#include "dbus/migd-dbus-generated.h"

typedef struct MigdBusDump MigdBusDump;

struct MigdBus {
    GDBusConnection *connection;
    MigdManager *manager;
    MigdQuota *quota;
    MigdAuthz *authz;
    MigdLogControl *log_control;
    MigdCounters *counters;
    GQueue *calls; /* of GDBusMethodInvocation: not served yet */
    guint calls_source;
    gboolean stopping; /* nothing is begun any more */
    GDBusObjectManagerServer *server;
    MigdBusDump *dump;
    MigdDBusManager *root;
    GHashTable *objects; /* k: object path (the value's) -> v: BusObject */
};

/* Puts the gate in front of the methods of `skeleton`. */
void migd_bus_guard(MigdBus *bus, gpointer skeleton, GType interface);
void migd_bus_gate_open(MigdBus *bus, gboolean ask_polkit);
void migd_bus_gate_close(MigdBus *bus);

/* Puts `server` on the bus, and answers its GetManagedObjects aside from the main loop. */
MigdBusDump *migd_bus_dump_new(GDBusObjectManagerServer *server, GDBusConnection *connection);
void migd_bus_dump_free(MigdBusDump *dump);

/* Answers `invocation` (taken), at once or later. Objects are looked up by its path now, not before
 * the gate. */
typedef void (*MigdBusHandler)(MigdBus *bus, GDBusMethodInvocation *invocation,
                               GVariant *parameters);

/* NULL: no such method. */
MigdBusHandler migd_bus_find_handler(const char *interface, const char *member);

/* Asks whether the caller may migrate `domain` to `destination`, as if it had called Migrate. */
void migd_bus_ask(MigdBus *bus, GDBusMethodInvocation *invocation, const MigdManagedDomain *domain,
                  const char *destination, MigdAuthzAnswerFunc answered, gpointer user_data);

/* The profile `name`, or, NULL, the one that the domain would get. */
gboolean migd_bus_find_profile(MigdBus *bus, const MigdManagedDomain *domain, const char *name,
                               MigdProfile *ret, GError **error);

/* a{sv}, floating: the properties of an object by their names on the bus. */
GVariant *migd_bus_domain_values(const MigdManagedDomain *domain);
GVariant *migd_bus_migration_values(const MigdWatch *watch);

/* a{sv}, floating: details of the signals. */
GVariant *migd_bus_pass_details(const MigdWatch *watch);
GVariant *
migd_bus_decision_details(const MigdDecision *decision, const char *text, gboolean enforced);
GVariant *migd_bus_report(const MigdWatch *watch);
GVariant *migd_bus_stats(const MigdWatch *watch);

/* The domain of the path that was called; NULL, and the call is answered, if it has left
 * meanwhile. */
MigdManagedDomain *migd_bus_called_domain(MigdBus *bus, GDBusMethodInvocation *invocation);

/* ---- bus-writeprotect.c ---------------------------------------------------------------------- */

/* a{sv}, floating. */
GVariant *migd_bus_host_write_protect(void);
void migd_bus_add_write_protect(GVariantBuilder *dict, const MigdDomainInfo *info,
                                const MigdProfile *profile);
void migd_bus_enable_write_protect(MigdBus *bus, GDBusMethodInvocation *invocation,
                                   GVariant *parameters);

char *migd_bus_domain_path(const char *uuid);
char *migd_bus_migration_path(const MigdWatch *watch);

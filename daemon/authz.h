/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Who may call what. One table names the action of every method; what has no row is denied. Until
 * polkit is asked: root and the daemon's own user may do everything, everybody else may look. No
 * identity, no permission.
 */
#pragma once

#include <gio/gio.h>

#define MIGD_ACTION_ID_INSPECT "org.migrationd1.inspect"
#define MIGD_ACTION_ID_MIGRATE "org.migrationd1.migrate"
#define MIGD_ACTION_ID_STEER "org.migrationd1.steer"
#define MIGD_ACTION_ID_CONFIGURE "org.migrationd1.configure"

/* The action that covers a method; NULL = none: denied. Static string. */
const char *migd_authz_action(const char *interface, const char *member);

/* Row by row, for tests. FALSE past the end. */
gboolean migd_authz_row(guint index, const char **ret_interface, const char **ret_member);

/* The rule itself. */
gboolean migd_authz_allows(const char *action, guint32 uid, guint32 own_uid);

typedef struct MigdAuthz MigdAuthz;

MigdAuthz *migd_authz_new(GDBusConnection *connection);
void migd_authz_free(MigdAuthz *authz);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(MigdAuthz, migd_authz_free)

/* `error` NULL = allowed. */
typedef void (*MigdAuthzFunc)(GDBusMethodInvocation *invocation, const GError *error,
                              gpointer user_data);

/* Asks who the sender is and answers by `callback`, at once or later: whatever the call is about
 * must be looked up (again) in the callback. Not called any more once `authz` is freed. */
void migd_authz_check(MigdAuthz *authz, GDBusMethodInvocation *invocation, MigdAuthzFunc callback,
                      gpointer user_data);

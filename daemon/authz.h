/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Who may call what. One table names the polkit action of every method; what has no row is denied.
 * Root and the daemon's own user may do everything. Everybody else is a question to polkit; where
 * there is no polkit they may look and change nothing. No identity, no permission.
 */
#pragma once

#include <gio/gio.h>

#include "daemon/quota.h"

#define MIGD_ACTION_ID_INSPECT "org.migrationd1.inspect"
#define MIGD_ACTION_ID_MIGRATE "org.migrationd1.migrate"
#define MIGD_ACTION_ID_STEER "org.migrationd1.steer"
#define MIGD_ACTION_ID_CONFIGURE "org.migrationd1.configure"

/* The action that covers a method, or the setting of a property; NULL = none: denied. Static
 * string. */
const char *migd_authz_action(const char *interface, const char *member);

/* Row by row, for tests. FALSE past the end. */
gboolean migd_authz_row(guint index, const char **ret_interface, const char **ret_member);

/* The rule where there is no polkit. */
gboolean migd_authz_allows(const char *action, guint32 uid, guint32 own_uid);

typedef struct MigdAuthz MigdAuthz;

/* `quota` (borrowed) learns who is who. */
MigdAuthz *migd_authz_new(GDBusConnection *connection, MigdQuota *quota, gboolean ask_polkit);
void migd_authz_free(MigdAuthz *authz);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(MigdAuthz, migd_authz_free)

typedef void (*MigdAuthzFunc)(GDBusMethodInvocation *invocation, gpointer user_data);

/* `error` (AccessDenied) is NULL when it is allowed. */
typedef void (*MigdAuthzAnswerFunc)(const GError *error, gpointer user_data);

/* Asks for the sender of `invocation`, a call that has passed migd_authz_check(), whether it could
 * call something else as well. `answered` is called exactly once, at once or later, also when
 * `authz` is freed. `details` as below. */
void migd_authz_ask(MigdAuthz *authz, GDBusMethodInvocation *invocation, const char *interface,
                    const char *member, GVariant *details, MigdAuthzAnswerFunc answered,
                    gpointer user_data);

/* Calls `allowed`, at once or later, when the sender may do what it calls; else the call is
 * answered with an error. Whatever the call is about must be looked up (again) in `allowed`, which
 * is not called any more once `authz` is freed. `details` (a{ss}, may be NULL, taken if floating)
 * are for polkit's rules. */
void
migd_authz_check(MigdAuthz *authz, GDBusMethodInvocation *invocation, const char *interface,
                 const char *member, GVariant *details, MigdAuthzFunc allowed, gpointer user_data);

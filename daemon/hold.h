/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Leases on domains: whoever holds one keeps the daemon from starting a migration of it, or from
 * steering one. A lease is a pipe; it ends when its holder closes the descriptor or dies, so none
 * is ever left over.
 */
#pragma once

#include <glib.h>

typedef enum {
    MIGD_HOLD_MIGRATE = 1 << 0, /* Migrate is refused */
    MIGD_HOLD_STEER = 1 << 1,   /* decisions are made and shown, not carried out */
} MigdHoldWhat;

typedef struct {
    char *domain_uuid;
    guint what;      /* MigdHoldWhat */
    char *who, *why; /* clean */
    char *sender;    /* unique name on the bus */
} MigdHold;

typedef struct MigdHolds MigdHolds;

/* `changed` is called after a lease has begun or ended. */
typedef void (*MigdHoldsFunc)(const char *domain_uuid, gpointer user_data);

MigdHolds *migd_holds_new(MigdHoldsFunc changed, gpointer user_data);
void migd_holds_free(MigdHolds *holds);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(MigdHolds, migd_holds_free)

/* "migrate", "steer", or both with a colon between. InvalidArgument for anything else. */
gboolean migd_hold_what_from_string(const char *words, guint *ret_what, GError **error);
/* Caller frees. */
char *migd_hold_what_to_string(guint what);

/* The descriptor that the lease lives as long as; the caller closes it. -1 with
 * G_DBUS_ERROR_LIMITS_EXCEEDED: `sender`, or all together, have too many. */
int migd_holds_add(MigdHolds *holds, const char *domain_uuid, guint what, const char *who,
                   const char *why, const char *sender, GError **error);

/* The oldest lease that covers `what` of the domain; NULL = none. */
const MigdHold *migd_holds_find(const MigdHolds *holds, const char *domain_uuid, MigdHoldWhat what);

/* New array of borrowed MigdHold, oldest first. */
GPtrArray *migd_holds_of(const MigdHolds *holds, const char *domain_uuid);

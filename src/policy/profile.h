/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the operator wants: limits and permissions, not knobs. Filled key by key from whatever holds
 * it (a file, a trace, call options); this layer only knows the keys and what their values mean.
 */
#pragma once

#include <glib.h>

#include "policy/decision.h"

typedef enum {
    MIGD_DEADLINE_ABORT,
    MIGD_DEADLINE_POSTCOPY, /* falls back to pause if allowed, else abort, where post-copy is not
                               possible */
    MIGD_DEADLINE_PAUSE,
    MIGD_DEADLINE_CONTINUE,
} MigdOnDeadline;

#define MIGD_DEADLINE_AUTO                                                                         \
    0 /* max(2 min, 10 x one copy of the memory at the measured bandwidth)                         \
       */
#define MIGD_DEADLINE_NONE G_MAXUINT64 /* no deadline */
#define MIGD_PROFILE_NAME_MAX 64       /* bytes incl. NUL */

typedef struct {
    char name[MIGD_PROFILE_NAME_MAX];
    guint64 max_downtime_us;
    guint64 deadline_us; /* since the start; MIGD_DEADLINE_AUTO, MIGD_DEADLINE_NONE */
    MigdOnDeadline on_deadline;
    guint32 allow; /* bit (1 << MIGD_ACTION_…) per action that Allow= names */
    guint32 max_throttle_pct;
    guint64 max_bandwidth_bps; /* 0 = none stated: the limit in force is left alone */
    gint32 priority;           /* of this migration against others on the same link; higher first */
    char write_protect[32];    /* "auto" or a mechanism's name */
} MigdProfile;

/* `*ret_profile` becomes the built-in default profile, named "default". */
void migd_profile_init(MigdProfile *ret_profile);

/* Sets one key ("MaxDowntime", …) from its text. FALSE: unknown key or bad value; the profile is
 * unchanged. */
gboolean migd_profile_set(MigdProfile *profile, const char *key, const char *value, GError **error);

/* The text that migd_profile_set() would take back for `key`. NULL if unknown. Caller frees. */
char *migd_profile_get(const MigdProfile *profile, const char *key);

/* All keys, NULL-terminated, static. */
const char *const *migd_profile_keys(void);

/* Whoever allows a throttle allows arming one; waiting and releasing need no leave. */
gboolean migd_profile_allows(const MigdProfile *profile, MigdAction action);

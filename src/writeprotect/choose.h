/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Which mechanism a guest should have, by its profile, and whether and when it can be had. Pure.
 *
 * A faster protect is no gift alone: it lets the guest write more while it is migrated. So where
 * nothing may be done against that (a throttle, post-copy, a pause), write-protect-all is not
 * turned on by itself.
 */
#pragma once

#include "policy/profile.h"
#include "writeprotect/detect.h"

typedef enum {
    MIGD_EFFECT_NONE,      /* it is as wished already */
    MIGD_EFFECT_NOW,       /* can be turned on at run time */
    MIGD_EFFECT_NEXT_BOOT, /* ... for the next cold start */
} MigdEffect;

typedef struct {
    MigdMechanism mechanism;
    MigdEffect effect;
    char *reason; /* a sentence without a full stop */
    char *price;  /* the same */
} MigdChoice;

void migd_choice_clear(MigdChoice *choice);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(MigdChoice, migd_choice_clear)

/* `wanted` = the name of a mechanism; NULL or "auto" = the best one under `profile`, which may be
 * the one that is active. NotSupported with the reason where it cannot be had. */
gboolean migd_write_protect_choose(const MigdWriteProtect *found, const MigdProfile *profile,
                                   const char *wanted, guint64 memory_bytes, MigdChoice *ret,
                                   GError **error);

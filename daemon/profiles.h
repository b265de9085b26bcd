/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The profiles of this host: read from directories of NAME.conf, and chosen by name, by a profile's
 * [Match] or as the default. A set is read whole or not at all and never changes afterwards.
 */
#pragma once

#include <glib.h>

#include "policy/profile.h"

typedef struct MigdProfiles MigdProfiles;

/* Reads `directories` (NULL-terminated) in order; a profile of a later directory replaces one of
 * the same name. Those of a set without any file: the built-in "default". Errors name file, line,
 * key and what is allowed. */
MigdProfiles *
migd_profiles_read(const char *const *directories, gboolean must_exist, GError **error);
void migd_profiles_free(MigdProfiles *profiles);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(MigdProfiles, migd_profiles_free)

/* NULL: no profile of that name. */
const MigdProfile *migd_profiles_find(const MigdProfiles *profiles, const char *name);

/* The profile whose [Match] claims the domain; NULL = none. A UUID wins over a name. Among equals:
 * the later directory (the admin's), then the file that comes first by name. */
const MigdProfile *
migd_profiles_match(const MigdProfiles *profiles, const char *domain_uuid, const char *domain_name);

/* Names, sorted, NULL-terminated. Caller frees with g_strfreev(). */
char **migd_profiles_names(const MigdProfiles *profiles);

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A profile for the verbs that work offline.
 */
#pragma once

#include "policy/profile.h"

/* `name`: a file, or a profile of /etc or /usr/share, or the built-in "default". FALSE: none such,
 * or the error names file and key. */
gboolean migd_profile_read(const char *name, MigdProfile *ret_profile, GError **error);

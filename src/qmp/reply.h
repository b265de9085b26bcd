/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What every decoder of a reply asks first: is it an object, and is the member there. Internal to
 * the decoders; errors name the command or the member.
 */
#pragma once

#include "json/json.h"

/* TRUE when a member that must be there was read; else `error` is set (by the reader, or here). */
gboolean migd_qmp_need(MigdJsonResult result, const char *what, GError **error);

/* TRUE when the reply to `command` is an object. */
gboolean migd_qmp_need_object(const MigdJson *reply, const char *command, GError **error);

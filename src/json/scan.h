/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The guard in front of json-c: checks a document's grammar and size without building anything.
 * Private to src/json.
 */
#pragma once

#include <glib.h>

/* TRUE when `text` is one strict JSON object or array inside the limits of json.h; `ret_members` =
 * key-value pairs in the whole document (fewer in the parsed tree = some key was repeated). No
 * allocation but for the error. */
gboolean migd_json_scan(const char *text, gsize length, gsize *ret_members, GError **error);

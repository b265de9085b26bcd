/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Documents out. What is written here always reads back: no NaN, no broken UTF-8, counters above
 * INT64_MAX unsigned.
 */
#include "json/json.h"

#include <json-c/json.h>
#include <math.h>

MigdJson *
migd_json_object_new(void)
{
    return json_object_new_object();
}

MigdJson *
migd_json_array_new(void)
{
    return json_object_new_array();
}

void
migd_json_add(MigdJson *object, const char *key, MigdJson *value)
{
    if (json_object_object_add(object, key, value) != 0)
        g_error("out of memory");
}

void
migd_json_append(MigdJson *array, MigdJson *value)
{
    if (json_object_array_add(array, value) != 0)
        g_error("out of memory");
}

static MigdJson *
new_string(const char *value)
{
    g_autofree char *valid = value != NULL ? g_utf8_make_valid(value, -1) : NULL;

    return valid != NULL ? json_object_new_string(valid) : NULL;
}

void
migd_json_add_string(MigdJson *object, const char *key, const char *value)
{
    migd_json_add(object, key, new_string(value));
}

void
migd_json_add_u64(MigdJson *object, const char *key, guint64 value)
{
    migd_json_add(object, key, json_object_new_uint64(value));
}

void
migd_json_add_i64(MigdJson *object, const char *key, gint64 value)
{
    migd_json_add(object, key, json_object_new_int64(value));
}

void
migd_json_add_double(MigdJson *object, const char *key, double value)
{
    migd_json_add(object, key, isfinite(value) ? json_object_new_double(value) : NULL);
}

void
migd_json_add_bool(MigdJson *object, const char *key, gboolean value)
{
    migd_json_add(object, key, json_object_new_boolean(value));
}

void
migd_json_append_string(MigdJson *array, const char *value)
{
    migd_json_append(array, new_string(value));
}

void
migd_json_append_u64(MigdJson *array, guint64 value)
{
    migd_json_append(array, json_object_new_uint64(value));
}

char *
migd_json_to_string(const MigdJson *json, MigdJsonStyle style)
{
    int flags = JSON_C_TO_STRING_NOSLASHESCAPE;

    flags |= style == MIGD_JSON_PRETTY ? JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_SPACED
                                       : JSON_C_TO_STRING_PLAIN;
    return g_strdup(json_object_to_json_string_ext((MigdJson *)json, flags));
}

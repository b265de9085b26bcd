/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Documents in: guard, json-c, then getters that look at the type before the value. json-c's own
 * getters turn -1 into 0, 2^64 into UINT64_MAX and "12abc" into 12; none of them is called before
 * its type is known.
 */
#include "json/json.h"

#include "base/error.h"
#include "base/text.h"
#include "json/scan.h"

#include <json-c/json.h>
#include <string.h>

G_DEFINE_AUTOPTR_CLEANUP_FUNC(json_tokener, json_tokener_free)

/* Key-value pairs in the whole tree. At most MIGD_JSON_MAX_DEPTH deep. */
static gsize
count_members(const MigdJson *json)
{
    gsize n = 0;

    if (json_object_is_type(json, json_type_object)) {
        struct json_object_iterator it = json_object_iter_begin((MigdJson *)json);
        struct json_object_iterator end = json_object_iter_end(json);

        for (; !json_object_iter_equal(&it, &end); json_object_iter_next(&it))
            n += 1 + count_members(json_object_iter_peek_value(&it));
    } else if (json_object_is_type(json, json_type_array)) {
        for (gsize i = 0; i < json_object_array_length(json); i++)
            n += count_members(json_object_array_get_idx(json, i));
    }
    return n;
}

MigdJson *
migd_json_parse(const char *text, gsize length, GError **error)
{
    g_autoptr(json_tokener) tokener = NULL;
    g_autoptr(MigdJson) json = NULL;
    gsize members = 0;

    if (!migd_json_scan(text, length, &members, error))
        return NULL;
    /* In strict mode json-c takes white space after the document for garbage. */
    while (strchr(" \t\r\n", text[length - 1]) != NULL)
        length--;
    tokener = json_tokener_new_ex(MIGD_JSON_MAX_DEPTH + 1);
    if (tokener == NULL)
        g_error("out of memory");
    json_tokener_set_flags(tokener, JSON_TOKENER_STRICT | JSON_TOKENER_VALIDATE_UTF8);
    json = json_tokener_parse_ex(tokener, text, (int)length);
    if (json == NULL) {
        g_set_error(error, MIGD_ERROR, MIGD_ERROR_INVALID_ARGUMENT, "JSON: %s",
                    json_tokener_error_desc(json_tokener_get_error(tokener)));
        return NULL;
    }
    if (count_members(json) != members) {
        g_set_error(error, MIGD_ERROR, MIGD_ERROR_INVALID_ARGUMENT, "JSON: a key is repeated");
        return NULL;
    }
    return g_steal_pointer(&json);
}

MigdJson *
migd_json_ref(MigdJson *json)
{
    return json_object_get(json);
}

void
migd_json_unref(MigdJson *json)
{
    (void)json_object_put(json);
}

G_GNUC_PRINTF(3, 4)
static MigdJsonResult
bad(const char *path, GError **error, const char *format, ...)
{
    g_autofree char *what = NULL;
    va_list args;

    va_start(args, format);
    what = g_strdup_vprintf(format, args);
    va_end(args);
    g_set_error(error, MIGD_ERROR, MIGD_ERROR_INVALID_ARGUMENT, "%s: %s", path, what);
    return MIGD_JSON_BAD;
}

/* Follows `path`; *ret is NULL for JSON's null. */
static MigdJsonResult
lookup(const MigdJson *json, const char *path, MigdJson **ret, GError **error)
{
    const char *rest = path;

    for (;;) {
        const char *dot = strchrnul(rest, '.');
        g_autofree char *key = g_strndup(rest, (gsize)(dot - rest));
        MigdJson *next = NULL;

        if (!json_object_is_type(json, json_type_object))
            return bad(path, error, "not inside an object");
        if (!json_object_object_get_ex(json, key, &next))
            return MIGD_JSON_ABSENT;
        if (*dot == '\0') {
            *ret = next;
            return MIGD_JSON_OK;
        }
        json = next;
        rest = dot + 1;
    }
}

static MigdJsonResult
lookup_typed(const MigdJson *json, const char *path, enum json_type type, MigdJson **ret,
             GError **error)
{
    MigdJson *found = NULL;
    MigdJsonResult result = lookup(json, path, &found, error);

    if (result != MIGD_JSON_OK)
        return result;
    if (!json_object_is_type(found, type))
        return bad(path, error, "%s expected, not %s", json_type_to_name(type),
                   json_type_to_name(json_object_get_type(found)));
    *ret = found;
    return MIGD_JSON_OK;
}

/* json-c keeps an integer above INT64_MAX as unsigned, anything else as signed: only those read as
 * INT64_MAX there can be larger (the guard has refused what is larger than 64 bits). */
MigdJsonResult
migd_json_get_u64(const MigdJson *object, const char *path, guint64 min, guint64 max, guint64 *ret,
                  GError **error)
{
    MigdJson *found = NULL;
    MigdJsonResult result = lookup_typed(object, path, json_type_int, &found, error);
    guint64 value;

    if (result != MIGD_JSON_OK)
        return result;
    if (json_object_get_int64(found) < 0)
        return bad(path, error, "%" G_GINT64_FORMAT " is negative", json_object_get_int64(found));
    value = json_object_get_uint64(found);
    if (value < min || value > max)
        return bad(path, error,
                   "%" G_GUINT64_FORMAT " is not in %" G_GUINT64_FORMAT "..%" G_GUINT64_FORMAT,
                   value, min, max);
    *ret = value;
    return MIGD_JSON_OK;
}

MigdJsonResult
migd_json_get_u32(const MigdJson *object, const char *path, guint32 min, guint32 max, guint32 *ret,
                  GError **error)
{
    guint64 value = 0;
    MigdJsonResult result = migd_json_get_u64(object, path, min, max, &value, error);

    if (result == MIGD_JSON_OK)
        *ret = (guint32)value;
    return result;
}

MigdJsonResult
migd_json_get_i64(const MigdJson *object, const char *path, gint64 min, gint64 max, gint64 *ret,
                  GError **error)
{
    MigdJson *found = NULL;
    MigdJsonResult result = lookup_typed(object, path, json_type_int, &found, error);
    gint64 value;

    if (result != MIGD_JSON_OK)
        return result;
    value = json_object_get_int64(found);
    if (value == G_MAXINT64 && json_object_get_uint64(found) > G_MAXINT64)
        return bad(path, error, "%" G_GUINT64_FORMAT " is too large",
                   json_object_get_uint64(found));
    if (value < min || value > max)
        return bad(path, error,
                   "%" G_GINT64_FORMAT " is not in %" G_GINT64_FORMAT "..%" G_GINT64_FORMAT, value,
                   min, max);
    *ret = value;
    return MIGD_JSON_OK;
}

MigdJsonResult
migd_json_get_double(const MigdJson *object, const char *path, double min, double max, double *ret,
                     GError **error)
{
    MigdJson *found = NULL;
    MigdJsonResult result = lookup(object, path, &found, error);
    double value;

    if (result != MIGD_JSON_OK)
        return result;
    if (!json_object_is_type(found, json_type_double) && !json_object_is_type(found, json_type_int))
        return bad(path, error, "number expected, not %s",
                   json_type_to_name(json_object_get_type(found)));
    value = json_object_get_double(found);
    if (!(value >= min && value <= max))
        return bad(path, error, "%g is not in %g..%g", value, min, max);
    *ret = value;
    return MIGD_JSON_OK;
}

MigdJsonResult
migd_json_get_bool(const MigdJson *object, const char *path, gboolean *ret, GError **error)
{
    MigdJson *found = NULL;
    MigdJsonResult result = lookup_typed(object, path, json_type_boolean, &found, error);

    if (result == MIGD_JSON_OK)
        *ret = json_object_get_boolean(found) ? TRUE : FALSE;
    return result;
}

MigdJsonResult
migd_json_get_string(const MigdJson *object, const char *path, const char **ret, GError **error)
{
    MigdJson *found = NULL;
    MigdJsonResult result = lookup_typed(object, path, json_type_string, &found, error);

    if (result != MIGD_JSON_OK)
        return result;
    if (json_object_get_string_len(found) > MIGD_JSON_MAX_STRING)
        return bad(path, error, "string of %d bytes", json_object_get_string_len(found));
    *ret = json_object_get_string(found);
    return MIGD_JSON_OK;
}

MigdJsonResult
migd_json_get_text(const MigdJson *object, const char *path, char **ret, GError **error)
{
    const char *raw = NULL;
    MigdJsonResult result = migd_json_get_string(object, path, &raw, error);

    if (result == MIGD_JSON_OK)
        *ret = migd_text_clean(raw);
    return result;
}

MigdJsonResult
migd_json_get_object(const MigdJson *object, const char *path, const MigdJson **ret, GError **error)
{
    MigdJson *found = NULL;
    MigdJsonResult result = lookup_typed(object, path, json_type_object, &found, error);

    if (result == MIGD_JSON_OK)
        *ret = found;
    return result;
}

MigdJsonResult
migd_json_get_array(const MigdJson *object, const char *path, const MigdJson **ret, GError **error)
{
    MigdJson *found = NULL;
    MigdJsonResult result = lookup_typed(object, path, json_type_array, &found, error);

    if (result == MIGD_JSON_OK)
        *ret = found;
    return result;
}

gboolean
migd_json_is_object(const MigdJson *json)
{
    return json_object_is_type(json, json_type_object) != 0;
}

gboolean
migd_json_is_array(const MigdJson *json)
{
    return json_object_is_type(json, json_type_array) != 0;
}

gboolean
migd_json_has(const MigdJson *object, const char *key)
{
    return migd_json_is_object(object) && json_object_object_get_ex(object, key, NULL);
}

const char **
migd_json_keys(const MigdJson *object)
{
    GPtrArray *keys = g_ptr_array_new();

    if (migd_json_is_object(object)) {
        struct json_object_iterator it = json_object_iter_begin((MigdJson *)object);
        struct json_object_iterator end = json_object_iter_end(object);

        for (; !json_object_iter_equal(&it, &end); json_object_iter_next(&it))
            g_ptr_array_add(keys, (gpointer)json_object_iter_peek_name(&it));
    }
    g_ptr_array_add(keys, NULL);
    return (const char **)g_ptr_array_free(keys, FALSE);
}

gsize
migd_json_array_length(const MigdJson *array)
{
    return migd_json_is_array(array) ? json_object_array_length(array) : 0;
}

const MigdJson *
migd_json_array_get(const MigdJson *array, gsize index)
{
    return index < migd_json_array_length(array) ? json_object_array_get_idx(array, index) : NULL;
}

const char *
migd_json_array_get_string(const MigdJson *array, gsize index)
{
    const MigdJson *element = migd_json_array_get(array, index);

    if (!json_object_is_type(element, json_type_string))
        return NULL;
    return json_object_get_string((MigdJson *)element);
}

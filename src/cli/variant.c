/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Dictionaries of the bus: looking things up, and turning them into JSON. Total: what is not there
 * is empty.
 */
#include "cli/cli.h"

GVariant *
migd_dict_at(GVariant *dicts, gsize index)
{
    return g_variant_get_child_value(dicts, index);
}

GVariant *
migd_dict_find(GVariant *dicts, const char *key, const char *value)
{
    for (gsize i = 0; i < g_variant_n_children(dicts); i++) {
        g_autoptr(GVariant) dict = g_variant_get_child_value(dicts, i);

        if (g_str_equal(migd_dict_string(dict, key), value))
            return g_steal_pointer(&dict);
    }
    return NULL;
}

const char *
migd_dict_string(GVariant *dict, const char *key)
{
    const char *text;

    if (g_variant_lookup(dict, key, "&s", &text) || g_variant_lookup(dict, key, "&o", &text))
        return text;
    return "";
}

guint64
migd_dict_number(GVariant *dict, const char *key)
{
    guint64 number;
    guint32 small;

    if (g_variant_lookup(dict, key, "t", &number))
        return number;
    return g_variant_lookup(dict, key, "u", &small) ? small : 0;
}

static guint64
unsigned_of(GVariant *value)
{
    switch (g_variant_classify(value)) {
    case G_VARIANT_CLASS_BYTE:
        return g_variant_get_byte(value);
    case G_VARIANT_CLASS_UINT16:
        return g_variant_get_uint16(value);
    case G_VARIANT_CLASS_UINT32:
        return g_variant_get_uint32(value);
    default:
        return g_variant_get_uint64(value);
    }
}

static gint64
signed_of(GVariant *value)
{
    switch (g_variant_classify(value)) {
    case G_VARIANT_CLASS_INT16:
        return g_variant_get_int16(value);
    case G_VARIANT_CLASS_INT32:
        return g_variant_get_int32(value);
    case G_VARIANT_CLASS_HANDLE:
        return g_variant_get_handle(value);
    default:
        return g_variant_get_int64(value);
    }
}

static MigdJson *array_from(GVariant *value);

static MigdJson *
container_from(GVariant *value)
{
    /* Any dictionary by strings, such as a{sa{sv}}. */
    if (g_variant_is_of_type(value, G_VARIANT_TYPE("a{s*}")))
        return migd_json_from_dict(value);
    return array_from(value);
}

static void
append_variant(MigdJson *array, GVariant *value)
{
    switch (g_variant_classify(value)) {
    case G_VARIANT_CLASS_STRING:
    case G_VARIANT_CLASS_OBJECT_PATH:
    case G_VARIANT_CLASS_SIGNATURE:
        migd_json_append_string(array, g_variant_get_string(value, NULL));
        break;
    case G_VARIANT_CLASS_BYTE:
    case G_VARIANT_CLASS_UINT16:
    case G_VARIANT_CLASS_UINT32:
    case G_VARIANT_CLASS_UINT64:
        migd_json_append_u64(array, unsigned_of(value));
        break;
    case G_VARIANT_CLASS_VARIANT: {
        g_autoptr(GVariant) inner = g_variant_get_variant(value);
        append_variant(array, inner);
        break;
    }
    case G_VARIANT_CLASS_ARRAY:
    case G_VARIANT_CLASS_TUPLE:
        migd_json_append(array, container_from(value));
        break;
    default: {
        /* No member of the interface has these inside an array. */
        g_autofree char *text = g_variant_print(value, FALSE);
        migd_json_append_string(array, text);
    }
    }
}

static MigdJson *
array_from(GVariant *value)
{
    MigdJson *array = migd_json_array_new();

    for (gsize i = 0; i < g_variant_n_children(value); i++) {
        g_autoptr(GVariant) child = g_variant_get_child_value(value, i);
        append_variant(array, child);
    }
    return array;
}

void
migd_json_add_variant(MigdJson *object, const char *key, GVariant *value)
{
    switch (g_variant_classify(value)) {
    case G_VARIANT_CLASS_BOOLEAN:
        migd_json_add_bool(object, key, g_variant_get_boolean(value));
        break;
    case G_VARIANT_CLASS_BYTE:
    case G_VARIANT_CLASS_UINT16:
    case G_VARIANT_CLASS_UINT32:
    case G_VARIANT_CLASS_UINT64:
        migd_json_add_u64(object, key, unsigned_of(value));
        break;
    case G_VARIANT_CLASS_INT16:
    case G_VARIANT_CLASS_INT32:
    case G_VARIANT_CLASS_INT64:
    case G_VARIANT_CLASS_HANDLE:
        migd_json_add_i64(object, key, signed_of(value));
        break;
    case G_VARIANT_CLASS_DOUBLE:
        migd_json_add_double(object, key, g_variant_get_double(value));
        break;
    case G_VARIANT_CLASS_STRING:
    case G_VARIANT_CLASS_OBJECT_PATH:
    case G_VARIANT_CLASS_SIGNATURE:
        migd_json_add_string(object, key, g_variant_get_string(value, NULL));
        break;
    case G_VARIANT_CLASS_VARIANT: {
        g_autoptr(GVariant) inner = g_variant_get_variant(value);
        migd_json_add_variant(object, key, inner);
        break;
    }
    default:
        migd_json_add(object, key, container_from(value));
    }
}

void
migd_json_add_dict(MigdJson *object, GVariant *dict)
{
    for (gsize i = 0; i < g_variant_n_children(dict); i++) {
        g_autoptr(GVariant) entry = g_variant_get_child_value(dict, i);
        g_autoptr(GVariant) key = g_variant_get_child_value(entry, 0);
        g_autoptr(GVariant) value = g_variant_get_child_value(entry, 1);

        migd_json_add_variant(object, g_variant_get_string(key, NULL), value);
    }
}

MigdJson *
migd_json_from_dict(GVariant *dict)
{
    MigdJson *object = migd_json_object_new();

    migd_json_add_dict(object, dict);
    return object;
}

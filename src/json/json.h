/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * JSON for everybody: the only door to json-c. Whatever comes in is hostile (a guest that breaks
 * out writes its own QMP), so the text passes a strict guard before json-c sees it, and getters
 * check type and range and never coerce. Knows nothing of what a document means.
 */
#pragma once

#include <glib.h>

/* One value, reference counted; what a getter hands out is borrowed from the document it was read
 * from. */
typedef struct json_object MigdJson;

#define MIGD_JSON_MAX_BYTES (1024 * 1024) /* of a document */
#define MIGD_JSON_MAX_DEPTH 16
#define MIGD_JSON_MAX_NODES                                                                        \
    4096 /* '{' + '[' + ',': json-c needs up to 264 bytes of heap for a byte of "{}" */
#define MIGD_JSON_MAX_STRING 16384 /* bytes that migd_json_get_string() hands out */

/* A document: one object or array, strict RFC 8259 in UTF-8. Beyond the limits above these are
 * refused: repeated keys, NaN and Infinity, integers outside int64/uint64, doubles that overflow,
 * "\u0000". The error says what and at which byte. Caller unrefs. */
MigdJson *migd_json_parse(const char *text, gsize length, GError **error);

MigdJson *migd_json_ref(MigdJson *json);
void migd_json_unref(MigdJson *json);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(MigdJson, migd_json_unref)

/* ---- reading ---- */

typedef enum {
    MIGD_JSON_ABSENT, /* no such key; *ret untouched, no error */
    MIGD_JSON_OK,
    MIGD_JSON_BAD, /* wrong type or out of range; *ret untouched, error names the path */
} MigdJsonResult;

/* `path` is one key, or keys joined by '.' that lead through objects: "ram.remaining". null is BAD.
 */
MigdJsonResult migd_json_get_u64(const MigdJson *object, const char *path, guint64 min, guint64 max,
                                 guint64 *ret, GError **error);
MigdJsonResult migd_json_get_u32(const MigdJson *object, const char *path, guint32 min, guint32 max,
                                 guint32 *ret, GError **error);
MigdJsonResult migd_json_get_i64(const MigdJson *object, const char *path, gint64 min, gint64 max,
                                 gint64 *ret, GError **error);
/* Takes an integer too: QEMU writes a whole double without its point. */
MigdJsonResult migd_json_get_double(const MigdJson *object, const char *path, double min,
                                    double max, double *ret, GError **error);
MigdJsonResult
migd_json_get_bool(const MigdJson *object, const char *path, gboolean *ret, GError **error);

/* The string as it is: valid UTF-8 without NUL, at most MIGD_JSON_MAX_STRING bytes, but maybe with
 * control characters. Borrowed. */
MigdJsonResult
migd_json_get_string(const MigdJson *object, const char *path, const char **ret, GError **error);

/* The string made printable and clipped (migd_text_clean()). Caller frees. */
MigdJsonResult
migd_json_get_text(const MigdJson *object, const char *path, char **ret, GError **error);

/* Borrowed. */
MigdJsonResult migd_json_get_object(const MigdJson *object, const char *path, const MigdJson **ret,
                                    GError **error);
MigdJsonResult
migd_json_get_array(const MigdJson *object, const char *path, const MigdJson **ret, GError **error);

gboolean migd_json_is_object(const MigdJson *json);
gboolean migd_json_is_array(const MigdJson *json);
gboolean migd_json_has(const MigdJson *object, const char *key);

/* The keys of an object in document order, NULL-terminated. Free the container with g_free(), not
 * the strings. */
const char **migd_json_keys(const MigdJson *object);

/* 0 for what is no array. An element is borrowed; NULL beyond the end and for null. */
gsize migd_json_array_length(const MigdJson *array);
const MigdJson *migd_json_array_get(const MigdJson *array, gsize index);

/* The string that an array's element is; NULL when it is something else. Borrowed. */
const char *migd_json_array_get_string(const MigdJson *array, gsize index);

/* ---- writing ---- */

/* Keys are written in the order in which they were added; a key added again replaces the first. */
MigdJson *migd_json_object_new(void);
MigdJson *migd_json_array_new(void);

/* Take the reference of `value`. */
void migd_json_add(MigdJson *object, const char *key, MigdJson *value);
void migd_json_append(MigdJson *array, MigdJson *value);

/* Bytes that are no UTF-8 are replaced; NULL is written as null. */
void migd_json_add_string(MigdJson *object, const char *key, const char *value);
void migd_json_add_u64(MigdJson *object, const char *key, guint64 value);
void migd_json_add_i64(MigdJson *object, const char *key, gint64 value);
/* Seventeen digits, so that it reads back bit for bit; what is not finite is written as null. */
void migd_json_add_double(MigdJson *object, const char *key, double value);
void migd_json_add_bool(MigdJson *object, const char *key, gboolean value);
void migd_json_append_string(MigdJson *array, const char *value);
void migd_json_append_u64(MigdJson *array, guint64 value);

typedef enum {
    MIGD_JSON_SHORT,  /* one line, no spaces */
    MIGD_JSON_PRETTY, /* indented by two */
} MigdJsonStyle;

/* Without a newline at the end. Caller frees. */
char *migd_json_to_string(const MigdJson *json, MigdJsonStyle style);

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Any bytes as a JSON document. What is taken must be written and read back to the same text, and
 * each getter must either refuse a member or hand out a value of its kind.
 */
#include "fuzz.h"

#include "json/json.h"

#include <math.h>
#include <string.h>

static void
try_getters(const MigdJson *object, const char *key)
{
    guint64 u64 = 7;
    gint64 i64 = 0;
    double d = 0;
    gboolean flag = FALSE;
    const char *string = NULL;
    char *text = NULL;
    const MigdJson *part = NULL;
    guint kinds = 0;

    if (migd_json_get_u64(object, key, 1, 9, &u64, NULL) != MIGD_JSON_OK)
        g_assert(u64 == 7);
    g_assert(u64 >= 1 && u64 <= 9);
    if (migd_json_get_double(object, key, -1e300, 1e300, &d, NULL) == MIGD_JSON_OK)
        g_assert(isfinite(d));
    kinds += migd_json_get_i64(object, key, G_MININT64, G_MAXINT64, &i64, NULL) == MIGD_JSON_OK;
    kinds += migd_json_get_bool(object, key, &flag, NULL) == MIGD_JSON_OK;
    kinds += migd_json_get_object(object, key, &part, NULL) == MIGD_JSON_OK;
    kinds += migd_json_get_array(object, key, &part, NULL) == MIGD_JSON_OK;
    if (migd_json_get_string(object, key, &string, NULL) == MIGD_JSON_OK) {
        kinds++;
        g_assert(g_utf8_validate(string, -1, NULL));
        g_assert(migd_json_get_text(object, key, &text, NULL) == MIGD_JSON_OK);
        g_free(text);
    }
    g_assert(kinds <= 1); /* a value is of one kind only */
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(MigdJson) json = migd_json_parse((const char *)data, size, &error);
    g_autoptr(MigdJson) again = NULL;
    g_autofree char *text = NULL;
    g_autofree char *text_again = NULL;
    g_autofree const char **keys = NULL;

    g_assert((json == NULL) == (error != NULL));
    if (json == NULL)
        return 0;
    keys = migd_json_keys(json);
    for (guint i = 0; keys[i] != NULL; i++)
        try_getters(json, keys[i]);
    text = migd_json_to_string(json, MIGD_JSON_SHORT);
    if (strlen(text) > MIGD_JSON_MAX_BYTES) /* "\u0001" is longer than it was */
        return 0;
    again = migd_json_parse(text, strlen(text), &error);
    g_assert_no_error(error);
    text_again = migd_json_to_string(again, MIGD_JSON_SHORT);
    g_assert_cmpstr(text, ==, text_again);
    return 0;
}

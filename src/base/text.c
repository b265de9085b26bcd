/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Foreign strings made safe, and identities made of them.
 */
#include "base/text.h"

#include <string.h>

char *
migd_text_clean(const char *text)
{
    GString *out = g_string_new(NULL);

    for (const char *p = text != NULL ? text : ""; *p != '\0';) {
        gunichar c = g_utf8_get_char_validated(p, -1);
        gboolean valid = c != (gunichar)-1 && c != (gunichar)-2;
        gsize length = valid ? (gsize)(g_utf8_next_char(p) - p) : 1;

        if (out->len + length > MIGD_TEXT_MAX) {
            g_string_append(out, "…");
            break;
        }
        if (valid && g_unichar_isprint(c))
            g_string_append_len(out, p, (gssize)length);
        else
            for (gsize i = 0; i < length; i++)
                g_string_append_printf(out, "\\x%02x", (guint8)p[i]);
        p += length;
    }
    return g_string_free(out, FALSE);
}

gboolean
migd_text_is_uuid(const char *id)
{
    if (id == NULL || strlen(id) != 36)
        return FALSE;
    for (guint i = 0; i < 36; i++) {
        gboolean dash = i == 8 || i == 13 || i == 18 || i == 23;
        if (dash ? id[i] != '-' : !g_ascii_isxdigit(id[i]) || g_ascii_isupper(id[i]))
            return FALSE;
    }
    return TRUE;
}

char *
migd_object_path(const char *prefix, const char *id)
{
    char *path = g_strconcat(prefix, id, NULL);

    g_strdelimit(path + strlen(prefix), "-", '_');
    return path;
}

char *
migd_uuid_from_name(const char *name)
{
    /* Name space: a random UUID, fixed for ever: 6f0b6a53-6f57-4e0f-9d5c-8f2b2d1c7a31. */
    static const guint8 space[16] = {0x6f, 0x0b, 0x6a, 0x53, 0x6f, 0x57, 0x4e, 0x0f,
                                     0x9d, 0x5c, 0x8f, 0x2b, 0x2d, 0x1c, 0x7a, 0x31};
    g_autoptr(GChecksum) sum = g_checksum_new(G_CHECKSUM_SHA1);
    guint8 u[20];
    gsize size = sizeof u;

    g_checksum_update(sum, space, sizeof space);
    g_checksum_update(sum, (const guint8 *)name, (gssize)strlen(name));
    g_checksum_get_digest(sum, u, &size);
    u[6] = (guint8)((u[6] & 0x0f) | 0x50);
    u[8] = (guint8)((u[8] & 0x3f) | 0x80);
    return g_strdup_printf("%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x",
                           u[0], u[1], u[2], u[3], u[4], u[5], u[6], u[7], u[8], u[9], u[10], u[11],
                           u[12], u[13], u[14], u[15]);
}

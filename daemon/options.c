/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Strict readers of call arguments. Looks nothing up and opens nothing.
 */
#include "daemon/options.h"

#include <string.h>
#include <sys/un.h>

#include "base/error.h"
#include "base/text.h"

#define HOST_MAX 255 /* bytes of a DNS name */
#define URI_MAX 512
#define URI_HOST_BYTES "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-:[]%"

static gboolean
refuse(GError **error, const char *destination, const char *why)
{
    g_autofree char *clean = migd_text_clean(destination);

    g_set_error(error, MIGD_ERROR, MIGD_ERROR_INVALID_ARGUMENT, "destination \"%s\": %s", clean,
                why);
    return FALSE;
}

static gboolean
is_plain(const char *text)
{
    for (const char *p = text; *p != '\0'; p++)
        if (g_ascii_iscntrl(*p))
            return FALSE;
    return g_utf8_validate(text, -1, NULL);
}

static gboolean
check_unix(const char *destination, const char *path, GError **error)
{
    if (path[0] != '/')
        return refuse(error, destination, "the path of a unix: destination is absolute");
    if (strlen(path) >= sizeof((struct sockaddr_un *)NULL)->sun_path)
        return refuse(error, destination, "the path is too long for a socket");
    if (strchr(path, ',') != NULL) /* QEMU would take what follows for options */
        return refuse(error, destination, "the path contains a comma");
    return TRUE;
}

static gboolean
is_host(const char *host, gsize length)
{
    gboolean bracketed = length > 2 && host[0] == '[' && host[length - 1] == ']';
    const char *allowed = bracketed ? ":.%-" : ".-";

    if (length == 0 || length > HOST_MAX)
        return FALSE;
    for (gsize i = bracketed ? 1 : 0; i < length - (bracketed ? 1 : 0); i++)
        if (!g_ascii_isalnum(host[i]) && strchr(allowed, host[i]) == NULL)
            return FALSE;
    return TRUE;
}

static gboolean
check_tcp(const char *destination, const char *address, GError **error)
{
    const char *colon = strrchr(address, ':');
    guint64 port;

    if (colon == NULL || !is_host(address, (gsize)(colon - address)))
        return refuse(error, destination, "expected tcp:HOST:PORT, an IPv6 HOST in brackets");
    if (!g_ascii_string_to_unsigned(colon + 1, 10, 1, 65535, &port, NULL))
        return refuse(error, destination, "the port is 1 to 65535");
    return TRUE;
}

static const struct {
    const char *scheme;
    gboolean (*check)(const char *destination, const char *rest, GError **error);
} schemes[] = {{"unix:", check_unix}, {"tcp:", check_tcp}};

gboolean
migd_destination_check(const char *destination, const char *migrate_uri, GError **error)
{
    const char *colon = strchr(destination, ':');

    if (migrate_uri != NULL) {
        g_set_error_literal(error, MIGD_ERROR, MIGD_ERROR_INVALID_ARGUMENT,
                            "option \"migrate-uri\": only for domains of libvirt");
        return FALSE;
    }
    if (!is_plain(destination))
        return refuse(error, destination, "control characters are not allowed");
    for (guint i = 0; i < G_N_ELEMENTS(schemes); i++)
        if (g_str_has_prefix(destination, schemes[i].scheme))
            return schemes[i].check(destination, destination + strlen(schemes[i].scheme), error);
    if (colon == NULL)
        return refuse(error, destination, "expected unix:PATH or tcp:HOST:PORT");
    g_autofree char *scheme = g_strndup(destination, (gsize)(colon - destination + 1));
    g_autofree char *clean = migd_text_clean(scheme);
    g_autofree char *why =
        g_strdup_printf("the scheme %s is not supported; unix: and tcp: are", clean);
    return refuse(error, destination, why);
}

/* ---- destinations of libvirt ------------------------------------------------------------------
 */

/* Not here: ext runs a command of the caller's choice. */
static const char *const transports[] = {"tls", "tcp", "ssh", "libssh", "libssh2", "unix", NULL};

/* Not here: command, netcat, proxy, keyfile and the like, which name what is to be run or read. */
static const char *const uri_parameters[] = {"socket", "mode", NULL};

static gboolean
check_parameters(const char *destination, const char *query, GError **error)
{
    g_auto(GStrv) pairs = g_strsplit(query, "&", -1);

    for (char **pair = pairs; *pair != NULL; pair++) {
        g_autofree char *key = g_strndup(*pair, strcspn(*pair, "="));
        if (!g_strv_contains(uri_parameters, key))
            return refuse(error, destination, "of the parameters only socket and mode are allowed");
    }
    return TRUE;
}

static gboolean
check_migrate_uri(const char *uri, GError **error)
{
    const char *rest = uri + strcspn(uri, "/");

    if (is_plain(uri) && strlen(uri) <= URI_MAX &&
        ((g_str_has_prefix(uri, "tcp://") && strlen(rest) > 2 &&
          strspn(rest + 2, URI_HOST_BYTES) == strlen(rest + 2)) ||
         g_str_has_prefix(uri, "unix:///")))
        return TRUE;
    g_set_error_literal(error, MIGD_ERROR, MIGD_ERROR_INVALID_ARGUMENT,
                        "option \"migrate-uri\": expected tcp://HOST[:PORT] or unix:///PATH");
    return FALSE;
}

gboolean
migd_virt_destination_check(const char *destination, const char *migrate_uri, GError **error)
{
    const char *plus = strchr(destination, '+'), *rest = strstr(destination, "://");
    const char *query = strchr(destination, '?');

    if (!is_plain(destination) || strlen(destination) > URI_MAX)
        return refuse(error, destination, "too long, or control characters in it");
    if (!g_str_has_prefix(destination, "qemu+") || rest == NULL || plus > rest)
        return refuse(error, destination, "expected qemu+TRANSPORT://…");
    g_autofree char *transport = g_strndup(plus + 1, (gsize)(rest - plus - 1));
    if (!g_strv_contains(transports, transport))
        return refuse(error, destination,
                      "the transport is tls, tcp, ssh, libssh, libssh2 or unix");
    if (strchr(destination, '#') != NULL || rest[3] == '-' || strstr(rest, "@-") != NULL)
        return refuse(error, destination, "not a plain address");
    return (query == NULL || check_parameters(destination, query + 1, error)) &&
           (migrate_uri == NULL || check_migrate_uri(migrate_uri, error));
}

/* ---- options -----------------------------------------------------------------------------------
 */

static gboolean
refuse_option(GError **error, const char *key, const char *why)
{
    g_autofree char *clean = migd_text_clean(key);

    g_set_error(error, MIGD_ERROR, MIGD_ERROR_INVALID_ARGUMENT, "option \"%s\": %s", clean, why);
    return FALSE;
}

static gboolean
set_profile_key(MigdProfile *profile, const char *key, GVariant *value, GError **error)
{
    g_autoptr(GError) cause = NULL;

    if (!g_strv_contains(migd_profile_keys(), key))
        return refuse_option(error, key, "unknown");
    if (!g_variant_is_of_type(value, G_VARIANT_TYPE_STRING))
        return refuse_option(error, key, "expected a string (s), spelled as in a profile file");
    if (!migd_profile_set(profile, key, g_variant_get_string(value, NULL), &cause))
        return refuse_option(error, key, cause->message);
    return TRUE;
}

static gboolean
set_option(const MigdOption *row, GVariant *value, GError **error)
{
    if (!g_variant_is_of_type(value, G_VARIANT_TYPE(row->type))) {
        g_autofree char *why = g_strdup_printf("expected type %s", row->type);
        return refuse_option(error, row->name, why);
    }
    if (row->type[0] == 'b')
        *(gboolean *)row->target = g_variant_get_boolean(value);
    else if (row->type[0] == 'u')
        *(guint32 *)row->target = g_variant_get_uint32(value);
    else if (row->type[0] == 't')
        *(guint64 *)row->target = g_variant_get_uint64(value);
    else
        *(const char **)row->target = g_variant_get_string(value, NULL);
    return TRUE;
}

gboolean
migd_options_read(GVariant *dictionary, const MigdOption *rows, guint n_rows, MigdProfile *profile,
                  GError **error)
{
    GVariantIter iter;
    const char *key;
    GVariant *child;

    g_variant_iter_init(&iter, dictionary);
    while (g_variant_iter_next(&iter, "{&sv}", &key, &child)) {
        g_autoptr(GVariant) value = child; /* the strings in it live as long as the dictionary */
        guint row = 0;

        while (row < n_rows && strcmp(rows[row].name, key) != 0)
            row++;
        if (row < n_rows ? !set_option(&rows[row], value, error)
                         : (profile == NULL ? !refuse_option(error, key, "unknown")
                                            : !set_profile_key(profile, key, value, error)))
            return FALSE;
    }
    return TRUE;
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Tests of what stands between a caller and the daemon: destinations, options, and the table of
 * permissions, which is compared with the interface definition method by method.
 */
#include <string.h>

#include "base/error.h"
#include "base/names.h"
#include "daemon/authz.h"
#include "daemon/bus-private.h"
#include "daemon/options.h"

static void
test_destinations(void)
{
    static const char *const good[] = {
        "unix:/run/x.sock",    "unix:/",          "tcp:host:4444",        "tcp:host.example.com:1",
        "tcp:192.0.2.7:65535", "tcp:[::1]:49152", "tcp:[fe80::1%eth0]:1",
    };
    static const struct {
        const char *text, *says;
    } bad[] = {
        {"", "expected unix:PATH or tcp:HOST:PORT"},
        {"host", "expected unix:PATH or tcp:HOST:PORT"},
        {"exec:cat", "scheme exec: is not supported"},
        {"fd:5", "scheme fd: is not supported"},
        {"file:/x", "scheme file: is not supported"},
        {"rdma:host:1", "scheme rdma: is not supported"},
        {"vsock:3:4", "scheme vsock: is not supported"},
        {"UNIX:/x", "scheme UNIX: is not supported"},
        {"qemu+tcp://host/system", "scheme qemu+tcp: is not supported"},
        {" tcp:host:1", "is not supported"},
        {"unix:run/x", "absolute"},
        {"unix:", "absolute"},
        {"unix:/a,server=on", "comma"},
        {"unix:/a\nb", "control characters"},
        {"unix:/a\033[1m", "control characters"},
        {"unix:/\xff", "control characters"},
        {"tcp:host", "tcp:HOST:PORT"},
        {"tcp::1", "tcp:HOST:PORT"},
        {"tcp:host:0", "port"},
        {"tcp:host:65536", "port"},
        {"tcp:host:+1", "port"},
        {"tcp:host:1,ipv6=on", "port"},
        {"tcp:ho st:1", "tcp:HOST:PORT"},
        {"tcp:::1:1", "tcp:HOST:PORT"},
        {"tcp:[]:1", "tcp:HOST:PORT"},
        {"tcp:[::1:1", "tcp:HOST:PORT"},
    };

    for (gsize i = 0; i < G_N_ELEMENTS(good); i++) {
        g_autoptr(GError) error = NULL;
        g_test_message("%s", good[i]);
        g_assert_true(migd_destination_check(good[i], NULL, &error));
        g_assert_no_error(error);
    }
    for (gsize i = 0; i < G_N_ELEMENTS(bad); i++) {
        g_autoptr(GError) error = NULL;
        g_test_message("%zu", i);
        g_assert_false(migd_destination_check(bad[i].text, NULL, &error));
        g_assert_error(error, MIGD_ERROR, MIGD_ERROR_INVALID_ARGUMENT);
        g_assert_nonnull(strstr(error->message, bad[i].says));
    }
}

static void
test_destination_lengths(void)
{
    g_autofree char *path = g_strnfill(107, 'a');
    g_autofree char *host = g_strnfill(256, 'a');
    g_autofree char *tcp = g_strdup_printf("tcp:%s:1", host);

    path[0] = '/';
    g_autofree char *fits = g_strconcat("unix:", path, NULL);
    g_autofree char *too_long = g_strconcat("unix:", path, "a", NULL);
    g_assert_true(migd_destination_check(fits, NULL, NULL));
    g_assert_false(migd_destination_check(too_long, NULL, NULL));
    g_assert_false(migd_destination_check(tcp, NULL, NULL));
}

/* Reads `text` (a{sv}) with two options and the keys of a profile. The error's message, NULL =
 * accepted. */
static char *
read_options(const char *text, const char **ret_name, gboolean *ret_flag, MigdProfile *profile)
{
    g_autoptr(GVariant) dict = g_variant_parse(G_VARIANT_TYPE_VARDICT, text, NULL, NULL, NULL);
    const MigdOption rows[] = {{"name", "s", ret_name}, {"flag", "b", ret_flag}};
    g_autoptr(GError) error = NULL;

    g_assert_nonnull(dict);
    if (migd_options_read(dict, rows, G_N_ELEMENTS(rows), profile, &error))
        return NULL;
    g_assert_error(error, MIGD_ERROR, MIGD_ERROR_INVALID_ARGUMENT);
    return g_strdup(error->message);
}

static void
test_options(void)
{
    static const struct {
        const char *dict, *says;
    } bad[] = {
        {"{'nmae': <'x'>}", "option \"nmae\": unknown"},
        {"{'name': <true>}", "option \"name\": expected type s"},
        {"{'flag': <'yes'>}", "option \"flag\": expected type b"},
        {"{'MaxDowntime': <200>}", "expected a string"},
        {"{'MaxDowntime': <'200'>}", "option \"MaxDowntime\": "},
        {"{'maxdowntime': <'200ms'>}", "unknown"},
        {"{'\\u001b[1m': <'200ms'>}", "\\x1b"},
    };
    const char *name = NULL;
    gboolean flag = FALSE;
    MigdProfile profile;

    migd_profile_init(&profile);
    g_assert_null(
        read_options("{'flag': <true>, 'MaxDowntime': <'123ms'>}", &name, &flag, &profile));
    g_assert_true(flag);
    g_assert_cmpuint(profile.max_downtime_us, ==, 123000);
    for (gsize i = 0; i < G_N_ELEMENTS(bad); i++) {
        g_autofree char *message = read_options(bad[i].dict, &name, &flag, &profile);
        g_test_message("%s", bad[i].dict);
        g_assert_nonnull(message);
        g_assert_nonnull(strstr(message, bad[i].says));
    }
    /* Without a profile its keys are as unknown as any other. */
    g_autofree char *message = read_options("{'MaxDowntime': <'1s'>}", &name, &flag, NULL);
    g_assert_nonnull(strstr(message, "unknown"));
}

/* ---- permissions ----------------------------------------------------------------------------- */

static const GDBusInterfaceInfo *
find_interface(const char *name)
{
    GDBusInterfaceInfo *all[] = {migd_dbus_manager_interface_info(),
                                 migd_dbus_domain_interface_info(),
                                 migd_dbus_migration_interface_info()};

    for (gsize i = 0; i < G_N_ELEMENTS(all); i++)
        if (strcmp(all[i]->name, name) == 0)
            return all[i];
    return NULL;
}

/* Every method has a row and a handler; a forgotten one would be denied, and this says which. */
static void
test_every_method_has_a_row(void)
{
    static const char *const interfaces[] = {MIGD_IFACE_MANAGER, MIGD_IFACE_DOMAIN,
                                             MIGD_IFACE_MIGRATION};
    guint methods = 0;

    for (gsize i = 0; i < G_N_ELEMENTS(interfaces); i++) {
        const GDBusInterfaceInfo *info = find_interface(interfaces[i]);
        g_assert_nonnull(info);
        for (guint m = 0; info->methods != NULL && info->methods[m] != NULL; m++) {
            g_test_message("%s.%s", info->name, info->methods[m]->name);
            g_assert_nonnull(migd_authz_action(info->name, info->methods[m]->name));
            g_assert_nonnull(migd_bus_find_handler(info->name, info->methods[m]->name));
            methods++;
        }
        /* GDBus does not ask before it sets a property: so there is none to set. */
        for (guint p = 0; info->properties != NULL && info->properties[p] != NULL; p++)
            g_assert_cmpint(info->properties[p]->flags, ==, G_DBUS_PROPERTY_INFO_FLAGS_READABLE);
    }
    g_assert_cmpuint(methods, >, 10);
}

static void
test_every_row_has_a_method(void)
{
    const char *interface, *member;

    for (guint i = 0; migd_authz_row(i, &interface, &member); i++) {
        const GDBusInterfaceInfo *info = find_interface(interface);
        if (g_str_equal(interface, MIGD_IFACE_LOG_CONTROL))
            continue; /* properties that can be set: see tests/dbus/permissions.py */
        g_test_message("%s.%s", interface, member);
        g_assert_nonnull(info);
        g_assert_nonnull(g_dbus_interface_info_lookup_method((GDBusInterfaceInfo *)info, member));
    }
}

static void
test_denied_by_default(void)
{
    g_assert_null(migd_authz_action(MIGD_IFACE_MANAGER, "NoSuchMethod"));
    g_assert_null(migd_authz_action("org.freedesktop.DBus.Properties", "Set"));
    g_assert_null(migd_authz_action(MIGD_IFACE_DOMAIN, "Migrate"));
    g_assert_null(migd_authz_action(NULL, NULL));
    g_assert_false(migd_authz_allows(NULL, 0, 0));
}

static void
test_rule(void)
{
    static const struct {
        const char *action;
        guint32 uid, own;
        gboolean allowed;
    } rows[] = {
        {MIGD_ACTION_ID_INSPECT, 65534, 990, TRUE},    {MIGD_ACTION_ID_MIGRATE, 65534, 990, FALSE},
        {MIGD_ACTION_ID_STEER, 1000, 990, FALSE},      {MIGD_ACTION_ID_CONFIGURE, 1000, 990, FALSE},
        {MIGD_ACTION_ID_CONFIGURE, 0, 990, TRUE},      {MIGD_ACTION_ID_MIGRATE, 990, 990, TRUE},
        {MIGD_ACTION_ID_STEER, G_MAXUINT32, 0, FALSE}, {MIGD_ACTION_ID_STEER, 1000, 0, FALSE},
    };

    for (gsize i = 0; i < G_N_ELEMENTS(rows); i++)
        g_assert_cmpint(migd_authz_allows(rows[i].action, rows[i].uid, rows[i].own), ==,
                        rows[i].allowed);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/calls/destinations", test_destinations);
    g_test_add_func("/calls/destination-lengths", test_destination_lengths);
    g_test_add_func("/calls/options", test_options);
    g_test_add_func("/authz/every-method-has-a-row", test_every_method_has_a_row);
    g_test_add_func("/authz/every-row-has-a-method", test_every_row_has_a_method);
    g_test_add_func("/authz/denied-by-default", test_denied_by_default);
    g_test_add_func("/authz/rule", test_rule);
    return g_test_run();
}

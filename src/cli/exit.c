/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * From an error, wherever it comes from, to an exit code and a sentence. Tables only.
 */
#include "cli/cli.h"

#include "base/error.h"

static const MigdExit own_exits[MIGD_N_ERRORS] = {
    [MIGD_ERROR_FAILED] = MIGD_EXIT_FAILED,
    [MIGD_ERROR_NO_SUCH_DOMAIN] = MIGD_EXIT_NO_SUCH,
    [MIGD_ERROR_NO_SUCH_MIGRATION] = MIGD_EXIT_NO_SUCH,
    [MIGD_ERROR_MIGRATION_IN_PROGRESS] = MIGD_EXIT_FAILED,
    [MIGD_ERROR_NOT_SUPPORTED] = MIGD_EXIT_FAILED,
    [MIGD_ERROR_NOT_ALLOWED_BY_PROFILE] = MIGD_EXIT_DENIED,
    [MIGD_ERROR_BACKEND_LOST] = MIGD_EXIT_FAILED,
    [MIGD_ERROR_INVALID_ARGUMENT] = MIGD_EXIT_USAGE,
    [MIGD_ERROR_TIMED_OUT] = MIGD_EXIT_TIMED_OUT,
    [MIGD_ERROR_HELD] = MIGD_EXIT_DENIED,
    [MIGD_ERROR_ACCESS_DENIED] = MIGD_EXIT_DENIED,
};

#define BUS_ERROR "org.freedesktop.DBus.Error."

/* Of the bus itself, by name: the same table serves errors that GDBus knows and those it does not.
 */
static const struct {
    const char *name;
    MigdExit exit;
} bus_exits[] = {
    {BUS_ERROR "ServiceUnknown", MIGD_EXIT_NO_DAEMON},
    {BUS_ERROR "NameHasNoOwner", MIGD_EXIT_NO_DAEMON},
    {BUS_ERROR "NoServer", MIGD_EXIT_NO_DAEMON},
    {BUS_ERROR "Disconnected", MIGD_EXIT_NO_DAEMON},
    {BUS_ERROR "FileNotFound", MIGD_EXIT_NO_DAEMON},
    {BUS_ERROR "Spawn.ExecFailed", MIGD_EXIT_NO_DAEMON},
    {BUS_ERROR "Spawn.ChildExited", MIGD_EXIT_NO_DAEMON},
    {BUS_ERROR "Spawn.ServiceNotFound", MIGD_EXIT_NO_DAEMON},
    {"org.freedesktop.systemd1.NoSuchUnit", MIGD_EXIT_NO_DAEMON}, /* it is not enabled */
    {BUS_ERROR "AccessDenied", MIGD_EXIT_DENIED},
    {BUS_ERROR "AuthFailed", MIGD_EXIT_DENIED},
    {BUS_ERROR "InteractiveAuthorizationRequired", MIGD_EXIT_DENIED},
    {BUS_ERROR "NoReply", MIGD_EXIT_TIMED_OUT},
    {BUS_ERROR "Timeout", MIGD_EXIT_TIMED_OUT},
    {BUS_ERROR "TimedOut", MIGD_EXIT_TIMED_OUT},
    {BUS_ERROR "UnknownObject", MIGD_EXIT_NO_SUCH},
    {BUS_ERROR "InvalidArgs", MIGD_EXIT_USAGE},
};

static const struct {
    GIOErrorEnum code;
    MigdExit exit;
} io_exits[] = {
    {G_IO_ERROR_CONNECTION_REFUSED, MIGD_EXIT_NO_DAEMON},
    {G_IO_ERROR_NOT_FOUND, MIGD_EXIT_NO_DAEMON},
    {G_IO_ERROR_CLOSED, MIGD_EXIT_NO_DAEMON},
    {G_IO_ERROR_BROKEN_PIPE, MIGD_EXIT_NO_DAEMON}, /* = CONNECTION_CLOSED */
    {G_IO_ERROR_HOST_UNREACHABLE, MIGD_EXIT_NO_DAEMON},
    {G_IO_ERROR_TIMED_OUT, MIGD_EXIT_TIMED_OUT},
    {G_IO_ERROR_PERMISSION_DENIED, MIGD_EXIT_DENIED},
};

static MigdExit
exit_for_name(const char *name)
{
    for (guint i = 0; i < G_N_ELEMENTS(bus_exits); i++)
        if (g_str_equal(name, bus_exits[i].name))
            return bus_exits[i].exit;
    for (guint i = 0; i < MIGD_N_ERRORS; i++)
        if (g_str_equal(name, migd_error_dbus_name((MigdError)i)))
            return own_exits[i];
    return MIGD_EXIT_FAILED;
}

MigdExit
migd_exit_for_error(const GError *error)
{
    g_autofree char *name = NULL;

    if (error->domain == MIGD_ERROR)
        return (guint)error->code < MIGD_N_ERRORS ? own_exits[error->code] : MIGD_EXIT_FAILED;
    if (error->domain == G_OPTION_ERROR)
        return MIGD_EXIT_USAGE;
    if (error->domain == G_SPAWN_ERROR)
        return error->code == G_SPAWN_ERROR_NOENT ? MIGD_EXIT_NO_COMMAND : MIGD_EXIT_NOT_RUN;
    /* Also tells names for errors that GDBus made up by itself. */
    if (error->domain == G_DBUS_ERROR || g_dbus_error_is_remote_error(error)) {
        name = g_dbus_error_get_remote_error(error);
        if (name == NULL)
            name = g_dbus_error_encode_gerror(error);
        return exit_for_name(name);
    }
    for (guint i = 0; error->domain == G_IO_ERROR && i < G_N_ELEMENTS(io_exits); i++)
        if (error->code == (gint)io_exits[i].code)
            return io_exits[i].exit;
    return MIGD_EXIT_FAILED;
}

char *
migd_error_text(const MigdCli *cli, const GError *error)
{
    g_autoptr(GError) copy = g_error_copy(error);

    if (migd_exit_for_error(error) == MIGD_EXIT_NO_DAEMON && cli->connection != NULL)
        return g_strdup("migrationd is not running (not on this bus)");
    g_dbus_error_strip_remote_error(copy);
    if (migd_exit_for_error(error) == MIGD_EXIT_NO_DAEMON) {
        g_autofree char *why = migd_style_text(&cli->style, copy->message);
        return g_strdup_printf("cannot reach the bus: %s", why);
    }
    return migd_style_text(&cli->style, copy->message);
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The verbs that tell the daemon to do something and are done with it: cancel, postcopy,
 * set-limits, reload, mode.
 */
#include "cli/verbs.h"

#include <string.h>

#include "base/error.h"
#include "base/names.h"

/* Says it in the form of the output: `text` for people, the object for programs. */
static MigdExit
say(const MigdCli *cli, const char *id, const char *text)
{
    if (cli->output != MIGD_OUTPUT_TEXT) {
        g_autoptr(MigdJson) object = migd_json_object_new();
        if (id != NULL)
            migd_json_add_string(object, "Id", id);
        migd_cli_print_json(cli, object);
        return MIGD_EXIT_DONE;
    }
    migd_cli_print(text);
    return MIGD_EXIT_DONE;
}

/* Calls `method` of the migration that `what` means. `format`: text with the VM's name. */
static MigdExit
steer(MigdCli *cli, const char *what, const char *method, GVariant *options, const char *done,
      GError **error)
{
    g_autoptr(GVariant) owned = g_variant_ref_sink(options);
    g_autoptr(GVariant) migration = migd_cli_find_migration(cli, what, error);
    g_autoptr(GVariant) reply = NULL;

    if (migration == NULL)
        return MIGD_EXIT_FAILED;
    reply = migd_cli_call(cli, migd_dict_string(migration, "Object"), MIGD_IFACE_MIGRATION, method,
                          owned, "()", error);
    if (reply == NULL)
        return MIGD_EXIT_FAILED;
    g_autofree char *name = migd_style_text(&cli->style, migd_dict_string(migration, "DomainName"));
    g_autofree char *text = g_strdup_printf("%s: %s\n", name, done);
    return say(cli, migd_dict_string(migration, "Id"), text);
}

MigdExit
migd_verb_cancel(MigdCli *cli, char **arguments, GError **error)
{
    return steer(cli, arguments[0], "Cancel", g_variant_new("(a{sv})", NULL),
                 "canceled; the guest runs on here", error);
}

MigdExit
migd_verb_postcopy(MigdCli *cli, char **arguments, GError **error)
{
    return steer(cli, arguments[0], "SwitchToPostcopy", g_variant_new("(a{sv})", NULL),
                 "switched to post-copy", error);
}

MigdExit
migd_verb_set_limits(MigdCli *cli, char **arguments, GError **error)
{
    g_auto(GVariantBuilder) limits = G_VARIANT_BUILDER_INIT(G_VARIANT_TYPE_VARDICT);

    for (char **limit = arguments + 1; *limit != NULL; limit++) {
        const char *equals = strchr(*limit, '=');

        if (equals == NULL || equals == *limit) {
            g_set_error(error, MIGD_ERROR, MIGD_ERROR_INVALID_ARGUMENT,
                        "\"%s\" is not of the form KEY=VALUE", *limit);
            return MIGD_EXIT_USAGE;
        }
        g_autofree char *key = g_strndup(*limit, (gsize)(equals - *limit));
        g_variant_builder_add(&limits, "{sv}", key, g_variant_new_string(equals + 1));
    }
    return steer(cli, arguments[0], "SetLimits", g_variant_new("(a{sv})", &limits),
                 "limits changed", error);
}

MigdExit
migd_verb_reload(MigdCli *cli, char **arguments, GError **error)
{
    g_autoptr(GVariant) reply =
        migd_cli_call(cli, MIGD_BUS_ROOT, MIGD_IFACE_MANAGER, "Reload", NULL, "()", error);

    return reply != NULL ? say(cli, NULL, "") : MIGD_EXIT_FAILED;
}

static MigdExit
show_mode(MigdCli *cli, GError **error)
{
    g_autoptr(GVariant) mode = migd_cli_manager_property(cli, "Mode", error);

    if (mode == NULL)
        return MIGD_EXIT_FAILED;
    if (cli->output != MIGD_OUTPUT_TEXT) {
        g_autoptr(MigdJson) object = migd_json_object_new();
        migd_json_add_variant(object, "Mode", mode);
        migd_cli_print_json(cli, object);
        return MIGD_EXIT_DONE;
    }
    g_autofree char *word = migd_style_text(&cli->style, g_variant_get_string(mode, NULL));
    g_autofree char *line = g_strconcat(word, "\n", NULL);
    migd_cli_print(line);
    return MIGD_EXIT_DONE;
}

MigdExit
migd_verb_mode(MigdCli *cli, char **arguments, GError **error)
{
    g_autoptr(GVariant) reply = NULL;

    if (arguments[0] == NULL)
        return show_mode(cli, error);
    reply = migd_cli_call(cli, MIGD_BUS_ROOT, MIGD_IFACE_MANAGER, "SetMode",
                          g_variant_new("(s)", arguments[0]), "()", error);
    return reply != NULL ? show_mode(cli, error) : MIGD_EXIT_FAILED;
}

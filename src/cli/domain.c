/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The verbs about a VM that does not migrate: set-profile and dirty-rate.
 */
#include "cli/verbs.h"

#include "base/names.h"
#include "base/units.h"

/* NULL with an error set. */
static GVariant *
call(MigdCli *cli, const char *what, const char *method, GVariant *parameters,
     const char *reply_type, char **ret_name, GError **error)
{
    g_autoptr(GVariant) owned = g_variant_ref_sink(parameters);
    g_autoptr(GVariant) domain = migd_cli_find_domain(cli, what, error);

    if (domain == NULL)
        return NULL;
    *ret_name = migd_style_text(&cli->style, migd_dict_string(domain, "Name"));
    return migd_cli_call(cli, migd_dict_string(domain, "Object"), MIGD_IFACE_DOMAIN, method, owned,
                         reply_type, error);
}

MigdExit
migd_verb_set_profile(MigdCli *cli, char **arguments, GError **error)
{
    const char *profile = arguments[1] != NULL ? arguments[1] : "";
    g_auto(GVariantBuilder) options = G_VARIANT_BUILDER_INIT(G_VARIANT_TYPE_VARDICT);
    g_autoptr(GVariant) reply = NULL;
    g_autofree char *name = NULL;

    if (cli->persistent)
        g_variant_builder_add(&options, "{sv}", "persistent", g_variant_new_boolean(TRUE));
    reply = call(cli, arguments[0], "SetProfile", g_variant_new("(sa{sv})", profile, &options),
                 "()", &name, error);
    if (reply == NULL)
        return MIGD_EXIT_FAILED;
    if (cli->output != MIGD_OUTPUT_TEXT) {
        g_autoptr(MigdJson) object = migd_json_object_new();
        migd_json_add_string(object, "Profile", profile);
        migd_cli_print_json(cli, object);
        return MIGD_EXIT_DONE;
    }
    g_autofree char *shown = migd_style_text(&cli->style, profile);
    g_autofree char *line =
        profile[0] != '\0' ? g_strdup_printf("%s: profile %s, which goes with it\n", name, shown)
                           : g_strdup_printf("%s: no profile of its own\n", name);
    migd_cli_print(line);
    return MIGD_EXIT_DONE;
}

MigdExit
migd_verb_dirty_rate(MigdCli *cli, char **arguments, GError **error)
{
    g_auto(GVariantBuilder) options = G_VARIANT_BUILDER_INIT(G_VARIANT_TYPE_VARDICT);
    g_autoptr(GVariant) reply = NULL, values = NULL;
    g_autofree char *name = NULL;

    if (cli->seconds != 0)
        g_variant_builder_add(&options, "{sv}", "seconds", g_variant_new_uint32(cli->seconds));
    if (cli->mode != NULL)
        g_variant_builder_add(&options, "{sv}", "mode", g_variant_new_string(cli->mode));
    reply = call(cli, arguments[0], "MeasureDirtyRate", g_variant_new("(a{sv})", &options),
                 "(a{sv})", &name, error);
    if (reply == NULL)
        return MIGD_EXIT_FAILED;
    values = g_variant_get_child_value(reply, 0);
    if (cli->output != MIGD_OUTPUT_TEXT) {
        g_autoptr(MigdJson) object = migd_json_from_dict(values);
        migd_cli_print_json(cli, object);
        return MIGD_EXIT_DONE;
    }
    g_autofree char *rate = migd_style_bytes(&cli->style, migd_dict_number(values, "DirtyRate"));
    g_autofree char *line = g_strdup_printf("%s: dirties %s/s\n", name, rate);
    migd_cli_print(line);
    return MIGD_EXIT_DONE;
}

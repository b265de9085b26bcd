/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The verb history: finished migrations, with what was predicted of them beside what came.
 */
#include "base/names.h"
#include "base/units.h"
#include "cli/table.h"
#include "cli/verbs.h"
#include "policy/decision.h"

static const MigdColumn columns[] = {
    {"VM", FALSE, TRUE},      {"TO", FALSE, TRUE},        {"ENDED", FALSE, FALSE},
    {"RESULT", FALSE, FALSE}, {"TIME", TRUE, FALSE},      {"PREDICTED", TRUE, FALSE},
    {"PAUSE", TRUE, FALSE},   {"PREDICTED", TRUE, FALSE}, {"SENT", TRUE, FALSE},
    {NULL, FALSE, FALSE},
};

static void
take_text(MigdTable *table, const MigdCli *cli, GVariant *past, const char *key)
{
    migd_table_take(table, migd_style_text(&cli->style, migd_dict_string(past, key)),
                    MIGD_INK_PLAIN);
}

static void
take_time(MigdTable *table, GVariant *past, const char *key, const char *predicted)
{
    guint64 actual = migd_dict_number(past, key), low, mid, high;
    gboolean known = g_variant_lookup(past, predicted, "(ttt)", &low, &mid, &high);
    gboolean within = known && actual >= low && actual <= high;

    migd_table_take(table, migd_format_duration(actual), MIGD_INK_PLAIN);
    migd_table_take(table, known ? migd_format_duration(mid) : g_strdup("-"),
                    !known   ? MIGD_INK_DIM
                    : within ? MIGD_INK_GOOD
                             : MIGD_INK_BAD);
}

static void
take_row(MigdTable *table, const MigdCli *cli, GVariant *past)
{
    guint64 end_us = migd_dict_number(past, "end_realtime_us");
    g_autoptr(GDateTime) when = g_date_time_new_from_unix_local((gint64)(end_us / G_USEC_PER_SEC));

    take_text(table, cli, past, "domain_name");
    take_text(table, cli, past, "peer");
    migd_table_take(table, when != NULL ? g_date_time_format(when, "%F %T") : g_strdup(""),
                    MIGD_INK_DIM);
    take_text(table, cli, past, "result");
    take_time(table, past, "total_us", "predicted_total_us");
    take_time(table, past, "downtime_us", "predicted_pause_us");
    migd_table_take(table,
                    migd_style_bytes(&cli->style, migd_dict_number(past, "transferred_bytes")),
                    MIGD_INK_PLAIN);
}

static GVariant *
call_options(const char *domain)
{
    g_auto(GVariantBuilder) options = G_VARIANT_BUILDER_INIT(G_VARIANT_TYPE_VARDICT);

    if (domain != NULL)
        g_variant_builder_add(&options, "{sv}", "domain", g_variant_new_string(domain));
    return g_variant_builder_end(&options);
}

MigdExit
migd_verb_history(MigdCli *cli, char **arguments, GError **error)
{
    g_autoptr(MigdTable) table = migd_table_new(columns);
    g_autoptr(GString) out = g_string_new(NULL);
    g_autoptr(GVariant) list = NULL;
    g_autoptr(GVariant) reply =
        migd_cli_call(cli, MIGD_BUS_ROOT, MIGD_IFACE_MANAGER, "ListHistory",
                      g_variant_new("(@a{sv})", call_options(arguments[0])), "(aa{sv})", error);

    if (reply == NULL)
        return MIGD_EXIT_FAILED;
    list = g_variant_get_child_value(reply, 0);
    if (cli->output != MIGD_OUTPUT_TEXT) {
        g_autoptr(MigdJson) array = migd_json_array_new();
        for (gsize i = 0; i < g_variant_n_children(list); i++) {
            g_autoptr(GVariant) past = migd_dict_at(list, i);
            migd_json_append(array, migd_json_from_dict(past));
        }
        migd_cli_print_json(cli, array);
        return MIGD_EXIT_DONE;
    }
    for (gsize i = 0; i < g_variant_n_children(list); i++) {
        g_autoptr(GVariant) past = migd_dict_at(list, i);
        take_row(table, cli, past);
    }
    migd_table_append(table, &cli->style, cli->tty ? cli->style.columns : 0, cli->legend, out);
    migd_cli_print(out->str);
    return MIGD_EXIT_DONE;
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The verbs about how writes of guests are tracked: capabilities (of the host and its guests) and
 * write-protect (of one guest: what, why, and turning the best one on).
 */
#include "cli/table.h"
#include "cli/verbs.h"

#include "base/error.h"
#include "base/names.h"

static void
append_row(GString *out, const char *title, const char *text)
{
    g_string_append_printf(out, "%20s: %s\n", title, text);
}

static const char *
yes_no(GVariant *dict, const char *key)
{
    gboolean value = FALSE;

    (void)g_variant_lookup(dict, key, "b", &value);
    return value ? "yes" : "no";
}

/* The strings under `key`, joined; "-" = none. Caller frees. */
static char *
words(const MigdCli *cli, GVariant *dict, const char *key)
{
    g_autofree const char **list = NULL;
    g_autoptr(GVariant) value = g_variant_lookup_value(dict, key, G_VARIANT_TYPE_STRING_ARRAY);
    g_autofree char *joined = NULL;

    if (value == NULL || g_variant_n_children(value) == 0)
        return g_strdup("-");
    list = g_variant_get_strv(value, NULL);
    joined = g_strjoinv(", ", (char **)list);
    return migd_style_text(&cli->style, joined);
}

/* ---- capabilities ------------------------------------------------------------------------------
 */

static void
append_host(const MigdCli *cli, GVariant *host, GString *out)
{
    static const struct {
        const char *title, *key;
    } flags[] = {{"Manual protect", "ManualProtect"},
                 {"Initially set", "InitiallySet"},
                 {"Write-protect-all", "WriteProtectAll"}},
      switches[] = {{"Eager page split", "EagerPageSplit"}, {"TDP MMU", "TdpMmu"}, {"PML", "Pml"}};
    gboolean known = FALSE;

    (void)g_variant_lookup(host, "Known", "b", &known);
    if (!known) {
        g_autofree char *problem = migd_style_text(&cli->style, migd_dict_string(host, "Problem"));
        append_row(out, "KVM", problem);
    }
    for (guint i = 0; known && i < G_N_ELEMENTS(flags); i++)
        append_row(out, flags[i].title, yes_no(host, flags[i].key));
    if (known) {
        guint64 entries = migd_dict_number(host, "DirtyRingEntries");
        g_autofree char *ring =
            entries > 0 ? g_strdup_printf("up to %" G_GUINT64_FORMAT " entries a vCPU", entries)
                        : g_strdup("no");
        append_row(out, "Dirty ring", ring);
    }
    for (guint i = 0; i < G_N_ELEMENTS(switches); i++) {
        g_autofree char *text =
            migd_style_text(&cli->style, migd_dict_string(host, switches[i].key));
        append_row(out, switches[i].title, text);
    }
}

static void
append_guests(const MigdCli *cli, GVariant *domains, GString *out)
{
    static const MigdColumn columns[] = {
        {"VM", FALSE, TRUE},    {"NOW", FALSE, FALSE},     {"NEXT BOOT", FALSE, FALSE},
        {"BEST", FALSE, FALSE}, {"EVIDENCE", FALSE, TRUE}, {NULL, FALSE, FALSE},
    };
    static const char *const keys[] = {"Name", "WriteProtect", "WriteProtectNextBoot",
                                       "WriteProtectBest"};
    g_autoptr(MigdTable) table = migd_table_new(columns);

    for (gsize i = 0; i < g_variant_n_children(domains); i++) {
        g_autoptr(GVariant) domain = migd_dict_at(domains, i);

        for (guint k = 0; k < G_N_ELEMENTS(keys); k++)
            migd_table_take(table, migd_style_text(&cli->style, migd_dict_string(domain, keys[k])),
                            k == 0 ? MIGD_INK_BOLD : MIGD_INK_PLAIN);
        migd_table_take(table, words(cli, domain, "WriteProtectEvidence"), MIGD_INK_DIM);
    }
    if (g_variant_n_children(domains) == 0)
        return;
    g_string_append_c(out, '\n');
    migd_table_append(table, &cli->style, cli->tty ? cli->style.columns : 0, cli->legend, out);
}

static MigdJson *
guests_to_json(GVariant *domains)
{
    static const char *const keys[] = {"Name",
                                       "Uuid",
                                       "WriteProtect",
                                       "WriteProtectEvidence",
                                       "WriteProtectNextBoot",
                                       "WriteProtectAvailable",
                                       "WriteProtectBest",
                                       "WriteProtectReason",
                                       "DirtyRingEntries"};
    MigdJson *array = migd_json_array_new();

    for (gsize i = 0; i < g_variant_n_children(domains); i++) {
        g_autoptr(GVariant) domain = migd_dict_at(domains, i);
        MigdJson *row = migd_json_object_new();

        for (guint k = 0; k < G_N_ELEMENTS(keys); k++) {
            g_autoptr(GVariant) value = g_variant_lookup_value(domain, keys[k], NULL);
            if (value != NULL)
                migd_json_add_variant(row, keys[k], value);
        }
        migd_json_append(array, row);
    }
    return array;
}

MigdExit
migd_verb_capabilities(MigdCli *cli, char **arguments, GError **error)
{
    g_autoptr(GVariant) host = migd_cli_manager_property(cli, "HostWriteProtect", error);
    g_autoptr(GVariant) domains = host != NULL ? migd_cli_list_domains(cli, error) : NULL;
    g_autoptr(GString) out = g_string_new(NULL);

    if (domains == NULL)
        return MIGD_EXIT_FAILED;
    if (cli->output != MIGD_OUTPUT_TEXT) {
        g_autoptr(MigdJson) object = migd_json_object_new();
        migd_json_add_variant(object, "Host", host);
        migd_json_add(object, "Domains", guests_to_json(domains));
        migd_cli_print_json(cli, object);
        return MIGD_EXIT_DONE;
    }
    append_host(cli, host, out);
    append_guests(cli, domains, out);
    migd_cli_print(out->str);
    return MIGD_EXIT_DONE;
}

/* ---- write-protect -----------------------------------------------------------------------------
 */

static void
append_wrapped(const MigdCli *cli, GString *out, const char *title, const char *text)
{
    const guint indent = 22;
    g_auto(GStrv) lines = migd_wrap(text, MAX(cli->style.columns, 60) - indent);

    g_string_append_printf(out, "%20s: ", title);
    for (guint i = 0; lines[i] != NULL; i++)
        g_string_append_printf(out, "%*s%s\n", i > 0 ? (int)indent : 0, "", lines[i]);
}

static MigdExit
show(const MigdCli *cli, GVariant *domain)
{
    static const struct {
        const char *title, *key;
        gboolean is_list;
    } rows[] = {
        {"In use", "WriteProtect", FALSE},
        {"Known by", "WriteProtectEvidence", TRUE},
        {"After a cold start", "WriteProtectNextBoot", FALSE},
        {"To be had", "WriteProtectAvailable", TRUE},
        {"Best", "WriteProtectBest", FALSE},
        {"Because", "WriteProtectReason", FALSE},
    };
    g_autoptr(GString) out = g_string_new(NULL);
    guint64 entries = migd_dict_number(domain, "DirtyRingEntries");

    for (guint i = 0; i < G_N_ELEMENTS(rows); i++) {
        g_autofree char *text =
            rows[i].is_list ? words(cli, domain, rows[i].key)
                            : migd_style_text(&cli->style, migd_dict_string(domain, rows[i].key));

        append_wrapped(cli, out, rows[i].title, text);
        if (i == 0 && entries > 0)
            g_string_append_printf(out, "%20s: %" G_GUINT64_FORMAT " entries a vCPU\n", "Ring",
                                   entries);
    }
    migd_cli_print(out->str);
    return MIGD_EXIT_DONE;
}

static MigdExit
enable(MigdCli *cli, GVariant *domain, const char *mechanism, GError **error)
{
    g_auto(GVariantBuilder) options = G_VARIANT_BUILDER_INIT(G_VARIANT_TYPE_VARDICT);
    g_autoptr(GVariant) reply = NULL;
    const char *chosen, *effective;

    if (mechanism != NULL)
        g_variant_builder_add(&options, "{sv}", "mechanism", g_variant_new_string(mechanism));
    if (cli->entries != 0)
        g_variant_builder_add(&options, "{sv}", "entries", g_variant_new_uint32(cli->entries));
    reply =
        migd_cli_call(cli, migd_dict_string(domain, "Object"), MIGD_IFACE_DOMAIN,
                      "EnableFastWriteProtect", g_variant_new("(a{sv})", &options), "(ss)", error);
    if (reply == NULL)
        return MIGD_EXIT_FAILED;
    g_variant_get(reply, "(&s&s)", &chosen, &effective);
    if (cli->output != MIGD_OUTPUT_TEXT) {
        g_autoptr(MigdJson) object = migd_json_object_new();
        migd_json_add_string(object, "Mechanism", chosen);
        migd_json_add_string(object, "Effective", effective);
        migd_cli_print_json(cli, object);
        return MIGD_EXIT_DONE;
    }
    g_autofree char *name = migd_style_text(&cli->style, migd_dict_string(domain, "Name"));
    g_autofree char *what = migd_style_text(&cli->style, chosen);
    g_autofree char *text =
        g_strdup_printf("%s: %s, %s\n", name, what,
                        g_str_equal(effective, "next-boot")
                            ? "from its next cold start on (a reboot of the guest is not enough)"
                            : "in use now");
    migd_cli_print(text);
    return MIGD_EXIT_DONE;
}

MigdExit
migd_verb_write_protect(MigdCli *cli, char **arguments, GError **error)
{
    g_autoptr(GVariant) domain = migd_cli_find_domain(cli, arguments[0], error);

    if (domain == NULL)
        return MIGD_EXIT_FAILED;
    if (arguments[1] != NULL && !cli->enable) {
        g_set_error(error, MIGD_ERROR, MIGD_ERROR_INVALID_ARGUMENT,
                    "a mechanism is turned on with --enable");
        return MIGD_EXIT_USAGE;
    }
    if (cli->enable)
        return enable(cli, domain, arguments[1], error);
    if (cli->output == MIGD_OUTPUT_TEXT)
        return show(cli, domain);
    g_autoptr(MigdJson) object = migd_json_from_dict(domain);
    migd_cli_print_json(cli, object);
    return MIGD_EXIT_DONE;
}

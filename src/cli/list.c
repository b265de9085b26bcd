/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The verbs that only look: list, status, profiles.
 */
#include "cli/table.h"
#include "cli/verbs.h"

#include <string.h>

#include "base/units.h"

static guint
table_width(const MigdCli *cli)
{
    return cli->tty ? cli->style.columns : 0;
}

static char *
cell(const MigdCli *cli, GVariant *dict, const char *key)
{
    return migd_style_text(&cli->style, migd_dict_string(dict, key));
}

static char *
number_cell(GVariant *dict, const char *key, const char *unit)
{
    return g_strdup_printf("%" G_GUINT64_FORMAT "%s", migd_dict_number(dict, key), unit);
}

static MigdInk
state_ink(const char *state, const char *result)
{
    static const struct {
        const char *word;
        MigdInk ink;
    } inks[] = {
        {"succeeded", MIGD_INK_GOOD},      {"failed", MIGD_INK_BAD},
        {"canceled", MIGD_INK_BAD},        {"unknown", MIGD_INK_BAD},
        {"faulty", MIGD_INK_BAD},          {"unresponsive", MIGD_INK_BAD},
        {"shutoff", MIGD_INK_DIM},         {"precopy", MIGD_INK_BOLD},
        {"switchover", MIGD_INK_BOLD},     {"postcopy", MIGD_INK_BOLD},
        {"postcopy-paused", MIGD_INK_BAD},
    };

    for (guint i = 0; i < G_N_ELEMENTS(inks); i++)
        if (g_str_equal(inks[i].word, result[0] != '\0' ? result : state))
            return inks[i].ink;
    return MIGD_INK_PLAIN;
}

/* "succeeded" once it is over, else "precopy". */
static const char *
migration_word(GVariant *migration)
{
    const char *result = migd_dict_string(migration, "Result");

    return result[0] != '\0' ? result : migd_dict_string(migration, "State");
}

/* "precopy, 62 %": as far as it is known. */
static char *
migration_cell(const MigdCli *cli, GVariant *migration)
{
    gboolean valid = FALSE;
    double progress = 0;

    if (migration == NULL)
        return g_strdup("-");
    g_autofree char *word = migd_style_text(&cli->style, migration_word(migration));
    (void)g_variant_lookup(migration, "ProgressValid", "b", &valid);
    (void)g_variant_lookup(migration, "Progress", "d", &progress);
    if (!valid || migd_dict_string(migration, "Result")[0] != '\0')
        return g_steal_pointer(&word);
    return g_strdup_printf("%s, %.0f %%", word, CLAMP(progress, 0, 0.99) * 100);
}

static void
append_total(const MigdCli *cli, GString *out, gsize n, const char *what)
{
    if (cli->legend)
        g_string_append_printf(out, "%s%" G_GSIZE_FORMAT " %s%s.\n", n > 0 ? "\n" : "", n, what,
                               n == 1 ? "" : "s");
}

static void
print_json_list(const MigdCli *cli, GVariant *dicts)
{
    g_autoptr(MigdJson) array = migd_json_array_new();

    for (gsize i = 0; i < g_variant_n_children(dicts); i++) {
        g_autoptr(GVariant) dict = migd_dict_at(dicts, i);
        migd_json_append(array, migd_json_from_dict(dict));
    }
    migd_cli_print_json(cli, array);
}

/* ---- list ---------------------------------------------------------------------------------- */

static void
take_domain(const MigdCli *cli, MigdTable *table, GVariant *domain, GVariant *migrations)
{
    g_autoptr(GVariant) migration =
        migd_dict_find(migrations, "Object", migd_dict_string(domain, "Migration"));
    guint64 memory = migd_dict_number(domain, "MemoryBytes");

    migd_table_take(table, cell(cli, domain, "Name"), MIGD_INK_BOLD);
    migd_table_take(table, cell(cli, domain, "State"),
                    state_ink(migd_dict_string(domain, "State"), ""));
    migd_table_take(table, memory > 0 ? migd_style_bytes(&cli->style, memory) : g_strdup("-"),
                    MIGD_INK_PLAIN);
    migd_table_take(table, cell(cli, domain, "Profile"), MIGD_INK_PLAIN);
    migd_table_take(table, migration_cell(cli, migration),
                    migration != NULL ? state_ink(migration_word(migration), "") : MIGD_INK_DIM);
    migd_table_take(table, cell(cli, domain, "Uuid"), MIGD_INK_PLAIN);
}

static void
append_problems(const MigdCli *cli, GVariant *domains, GString *out)
{
    for (gsize i = 0; i < g_variant_n_children(domains); i++) {
        g_autoptr(GVariant) domain = migd_dict_at(domains, i);
        g_autofree char *problem = cell(cli, domain, "Problem");
        g_autofree char *name = cell(cli, domain, "Name");

        if (problem[0] != '\0')
            g_string_append_printf(out, "%s: %s\n", name, problem);
    }
}

MigdExit
migd_verb_list(MigdCli *cli, char **arguments, GError **error)
{
    static const MigdColumn columns[] = {
        {"VM", FALSE, TRUE},      {"STATE", FALSE, FALSE},     {"MEMORY", TRUE, FALSE},
        {"PROFILE", FALSE, TRUE}, {"MIGRATION", FALSE, FALSE}, {"UUID", FALSE, TRUE},
        {NULL, FALSE, FALSE},
    };
    g_autoptr(GVariant) domains = migd_cli_list_domains(cli, error);
    g_autoptr(GVariant) migrations = domains != NULL ? migd_cli_list_migrations(cli, error) : NULL;
    g_autoptr(MigdTable) table = migd_table_new(columns);
    g_autoptr(GString) out = g_string_new(NULL);

    if (migrations == NULL)
        return MIGD_EXIT_FAILED;
    if (cli->output != MIGD_OUTPUT_TEXT) {
        print_json_list(cli, domains);
        return MIGD_EXIT_DONE;
    }
    for (gsize i = 0; i < g_variant_n_children(domains); i++) {
        g_autoptr(GVariant) domain = migd_dict_at(domains, i);
        take_domain(cli, table, domain, migrations);
    }
    if (g_variant_n_children(domains) > 0)
        migd_table_append(table, &cli->style, table_width(cli), cli->legend, out);
    append_problems(cli, domains, out);
    append_total(cli, out, g_variant_n_children(domains), "VM");
    migd_cli_print(out->str);
    return MIGD_EXIT_DONE;
}

/* ---- status -------------------------------------------------------------------------------- */

/* The middle of Eta (low, mid, high). */
static char *
eta_text(GVariant *migration, gboolean whole)
{
    guint64 low, mid, high;

    if (!g_variant_lookup(migration, "Eta", "(ttt)", &low, &mid, &high) || high == 0 ||
        migd_dict_string(migration, "Result")[0] != '\0')
        return g_strdup(whole ? "" : "-");
    g_autofree char *middle = migd_format_duration(mid);
    g_autofree char *first = migd_format_duration(low);
    g_autofree char *last = migd_format_duration(high);
    if (!whole || low == high)
        return g_steal_pointer(&middle);
    return g_strdup_printf("%s (%s to %s)", middle, first, last);
}

static void
take_migration(const MigdCli *cli, MigdTable *table, GVariant *migration)
{
    const MigdStyle *style = &cli->style;

    migd_table_take(table, cell(cli, migration, "DomainName"), MIGD_INK_BOLD);
    migd_table_take(table, migration_cell(cli, migration),
                    state_ink(migration_word(migration), ""));
    migd_table_take(table, cell(cli, migration, "Verdict"), MIGD_INK_PLAIN);
    migd_table_take(table, number_cell(migration, "Pass", ""), MIGD_INK_PLAIN);
    migd_table_take(table, migd_style_bytes(style, migd_dict_number(migration, "RemainingBytes")),
                    MIGD_INK_PLAIN);
    migd_table_take(table, migd_style_rate(style, migd_dict_number(migration, "DirtyRate")),
                    MIGD_INK_PLAIN);
    migd_table_take(table, migd_style_rate(style, migd_dict_number(migration, "Bandwidth")),
                    MIGD_INK_PLAIN);
    migd_table_take(table, number_cell(migration, "Throttle", " %"), MIGD_INK_PLAIN);
    migd_table_take(table, eta_text(migration, /* whole= */ FALSE), MIGD_INK_PLAIN);
    migd_table_take(table, cell(cli, migration, "Id"), MIGD_INK_PLAIN);
}

static MigdExit
status_of_all(MigdCli *cli, GError **error)
{
    static const MigdColumn columns[] = {
        {"VM", FALSE, TRUE},   {"STATE", FALSE, FALSE}, {"VERDICT", FALSE, FALSE},
        {"PASS", TRUE, FALSE}, {"LEFT", TRUE, FALSE},   {"DIRTIED", TRUE, FALSE},
        {"SENT", TRUE, FALSE}, {"SLOWED", TRUE, FALSE}, {"ETA", TRUE, FALSE},
        {"ID", FALSE, TRUE},   {NULL, FALSE, FALSE},
    };
    g_autoptr(GVariant) migrations = migd_cli_list_migrations(cli, error);
    g_autoptr(MigdTable) table = migd_table_new(columns);
    g_autoptr(GString) out = g_string_new(NULL);

    if (migrations == NULL)
        return MIGD_EXIT_FAILED;
    if (cli->output != MIGD_OUTPUT_TEXT) {
        print_json_list(cli, migrations);
        return MIGD_EXIT_DONE;
    }
    for (gsize i = 0; i < g_variant_n_children(migrations); i++) {
        g_autoptr(GVariant) migration = migd_dict_at(migrations, i);
        take_migration(cli, table, migration);
    }
    if (g_variant_n_children(migrations) > 0)
        migd_table_append(table, &cli->style, table_width(cli), cli->legend, out);
    append_total(cli, out, g_variant_n_children(migrations), "migration");
    migd_cli_print(out->str);
    return MIGD_EXIT_DONE;
}

/* How a property is shown in the long form. */
typedef enum { WORD, BYTES, RATE, PERCENT, COUNT, DURATION, WHEN, ETA } Form;

static char *
property_text(const MigdCli *cli, GVariant *migration, const char *key, Form form)
{
    guint64 number = migd_dict_number(migration, key);

    switch (form) {
    case WORD:
        return cell(cli, migration, key);
    case BYTES:
        return migd_style_bytes(&cli->style, number);
    case RATE:
        return migd_style_rate(&cli->style, number);
    case PERCENT:
        return number_cell(migration, key, " %");
    case COUNT:
        return number_cell(migration, key, "");
    case DURATION:
        return number > 0 ? migd_format_duration(number) : g_strdup("");
    case WHEN: {
        g_autoptr(GDateTime) when =
            g_date_time_new_from_unix_local((gint64)(number / G_USEC_PER_SEC));
        return when != NULL ? g_date_time_format(when, "%F %T %Z") : g_strdup("");
    }
    case ETA:
        return eta_text(migration, /* whole= */ TRUE);
    }
    return g_strdup("");
}

static void
append_details(const MigdCli *cli, GVariant *migration, GString *out)
{
    static const struct {
        const char *title, *key;
        Form form;
    } rows[] = {
        {"Migration", "Id", WORD},
        {"Destination", "Destination", WORD},
        {"Direction", "Direction", WORD},
        {"Started by", "Origin", WORD},
        {"Started", "StartTime", WHEN},
        {"Profile", "Profile", WORD},
        {"Verdict", "Verdict", WORD},
        {"Pass", "Pass", COUNT},
        {"Left", "RemainingBytes", BYTES},
        {"Sent", "TransferredBytes", BYTES},
        {"Memory", "TotalBytes", BYTES},
        {"Link carries", "Bandwidth", RATE},
        {"Guest dirties", "DirtyRate", RATE},
        {"Throttle", "Throttle", PERCENT},
        {"Pause limit", "DowntimeLimit", DURATION},
        {"Pause forecast", "ExpectedDowntime", DURATION},
        {"Time left", "Eta", ETA},
        {"Error", "Error", WORD},
        {"Last decision", "LastDecision", WORD},
    };
    const guint indent = 18;

    for (guint i = 0; i < G_N_ELEMENTS(rows); i++) {
        g_autofree char *text = property_text(cli, migration, rows[i].key, rows[i].form);
        g_auto(GStrv) lines = migd_wrap(text, MAX(cli->style.columns, 60) - indent);

        if (text[0] == '\0')
            continue;
        g_string_append_printf(out, "%16s: ", rows[i].title);
        for (guint j = 0; lines[j] != NULL; j++)
            g_string_append_printf(out, "%*s%s\n", j > 0 ? (int)indent : 0, "", lines[j]);
    }
}

MigdExit
migd_verb_status(MigdCli *cli, char **arguments, GError **error)
{
    g_autoptr(GVariant) migration = NULL;
    g_autoptr(GString) out = g_string_new(NULL);

    if (arguments[0] == NULL)
        return status_of_all(cli, error);
    migration = migd_cli_find_migration(cli, arguments[0], error);
    if (migration == NULL)
        return MIGD_EXIT_FAILED;
    if (cli->output != MIGD_OUTPUT_TEXT) {
        g_autoptr(MigdJson) object = migd_json_from_dict(migration);
        migd_cli_print_json(cli, object);
        return MIGD_EXIT_DONE;
    }
    g_autofree char *name = cell(cli, migration, "DomainName");
    g_autofree char *state = migration_cell(cli, migration);
    migd_paint(out, &cli->style, MIGD_INK_BOLD, name);
    g_string_append(out, ": ");
    migd_paint(out, &cli->style, state_ink(migration_word(migration), ""), state);
    g_string_append_c(out, '\n');
    append_details(cli, migration, out);
    migd_cli_print(out->str);
    return MIGD_EXIT_DONE;
}

/* ---- profiles ------------------------------------------------------------------------------ */

MigdExit
migd_verb_profiles(MigdCli *cli, char **arguments, GError **error)
{
    g_autoptr(GVariant) profiles = migd_cli_manager_property(cli, "Profiles", error);
    g_autoptr(GString) out = g_string_new(NULL);

    if (profiles == NULL)
        return MIGD_EXIT_FAILED;
    if (cli->output != MIGD_OUTPUT_TEXT) {
        g_autoptr(MigdJson) object = migd_json_object_new();
        migd_json_add_variant(object, "Profiles", profiles);
        migd_cli_print_json(cli, object);
        return MIGD_EXIT_DONE;
    }
    for (gsize i = 0; i < g_variant_n_children(profiles); i++) {
        g_autoptr(GVariant) profile = g_variant_get_child_value(profiles, i);
        g_autofree char *name = migd_style_text(&cli->style, g_variant_get_string(profile, NULL));
        g_string_append_printf(out, "%s\n", name);
    }
    append_total(cli, out, g_variant_n_children(profiles), "profile");
    migd_cli_print(out->str);
    return MIGD_EXIT_DONE;
}

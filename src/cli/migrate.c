/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Starting a migration and, with --wait, following it to its end: under an identity of our own
 * choice, so that no signal is missed however fast it ends.
 */
#include "cli/migrate.h"
#include "cli/verbs.h"

#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/names.h"
#include "base/text.h"
#include "base/units.h"
#include "cli/await.h"

typedef struct {
    MigdCli *cli;
    const char *id;
    char *name; /* of the VM, safe to print */
    char *path;
    MigdAwait await;
    gboolean progress; /* a line without its end stands on the terminal */
    char *result;      /* NULL until it has finished */
    GVariant *report;
} Wait;

static void
wait_clear(Wait *wait)
{
    migd_await_clear(&wait->await);
    g_clear_pointer(&wait->report, g_variant_unref);
    g_free(wait->name);
    g_free(wait->path);
    g_free(wait->result);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Wait, wait_clear)

/* ---- saying how it goes -------------------------------------------------------------------- */

static void
end_progress(Wait *wait)
{
    if (wait->progress)
        migd_cli_print("\n");
    wait->progress = FALSE;
}

/* In place on a terminal, else a line of its own. Says nothing where JSON is wanted. */
static void
show_progress(Wait *wait, const char *text)
{
    g_autoptr(GString) line = g_string_new(NULL);

    if (wait->cli->output != MIGD_OUTPUT_TEXT)
        return;
    if (!wait->cli->tty) {
        g_string_append_printf(line, "%s\n", text);
        migd_cli_print(line->str);
        return;
    }
    g_string_append(line, "\r");
    migd_append_clipped(line, &wait->cli->style, text, wait->cli->style.columns - 1,
                        /* pad= */ FALSE);
    g_string_append(line, "\033[K");
    migd_cli_print(line->str);
    wait->progress = TRUE;
}

static void
say_aside(Wait *wait, const char *text)
{
    end_progress(wait);
    fprintf(stderr, "migrationctl: %s\n", text);
}

static void
on_pass(Wait *wait, GVariant *parameters)
{
    const MigdStyle *style = &wait->cli->style;
    g_autoptr(GVariant) details = NULL;
    guint32 pass;

    g_variant_get(parameters, "(u@a{sv})", &pass, &details);
    g_autofree char *left = migd_style_bytes(style, migd_dict_number(details, "RemainingBytes"));
    g_autofree char *dirty = migd_style_rate(style, migd_dict_number(details, "DirtyRate"));
    g_autofree char *link = migd_style_rate(style, migd_dict_number(details, "Bandwidth"));
    g_autofree char *text = g_strdup_printf(
        "%s: pass %u done, %s left, %s dirtied, %s sent, throttle %u %%", wait->name, pass, left,
        dirty, link, (guint)migd_dict_number(details, "Throttle"));
    show_progress(wait, text);
}

static void
on_decided(Wait *wait, GVariant *parameters)
{
    g_autoptr(GVariant) details = NULL;

    if (wait->cli->output != MIGD_OUTPUT_TEXT)
        return;
    g_variant_get(parameters, "(t&s&s@a{sv})", NULL, NULL, NULL, &details);
    g_autofree char *text = migd_style_text(&wait->cli->style, migd_dict_string(details, "Text"));
    g_autofree char *line = g_strdup_printf("%s: %s\n", wait->name, text);
    end_progress(wait);
    migd_cli_print(line);
}

static void
on_finished(Wait *wait, GVariant *parameters)
{
    const char *result;

    if (wait->result != NULL)
        return;
    g_variant_get(parameters, "(&s@a{sv})", &result, &wait->report);
    wait->result = g_strdup(result);
    g_main_loop_quit(wait->await.loop);
}

static void
on_signal(GDBusConnection *connection, const char *sender, const char *path, const char *interface,
          const char *name, GVariant *parameters, gpointer user_data)
{
    static const struct {
        const char *name, *type;
        void (*handle)(Wait *wait, GVariant *parameters);
    } handlers[] = {
        {"PassCompleted", "(ua{sv})", on_pass},
        {"Decided", "(tssa{sv})", on_decided},
        {"Finished", "(sa{sv})", on_finished},
    };

    for (guint i = 0; i < G_N_ELEMENTS(handlers); i++)
        if (g_str_equal(name, handlers[i].name) &&
            g_variant_is_of_type(parameters, G_VARIANT_TYPE(handlers[i].type)))
            handlers[i].handle(user_data, parameters);
}

static void
on_left(const char *why, gpointer user_data)
{
    Wait *wait = user_data;
    g_autofree char *text = g_strdup_printf(
        "%s; the migration goes on (see it with: migrationctl watch %s)", why, wait->id);

    say_aside(wait, text);
}

/* ---- the verb ------------------------------------------------------------------------------ */

GVariant *
migd_migrate_options(const MigdCli *cli, const char *id)
{
    g_auto(GVariantBuilder) options = G_VARIANT_BUILDER_INIT(G_VARIANT_TYPE_VARDICT);
    const struct {
        const char *name, *value;
    } words[] = {{"id", id}, {"profile", cli->profile}, {"migrate-uri", cli->migrate_uri}};
    const struct {
        const char *name;
        guint32 value;
    } numbers[] = {{"parallel-connections", cli->parallel}, {"at-once", cli->at_once}};

    for (guint i = 0; i < G_N_ELEMENTS(words); i++)
        if (words[i].value != NULL)
            g_variant_builder_add(&options, "{sv}", words[i].name,
                                  g_variant_new_string(words[i].value));
    for (guint i = 0; i < G_N_ELEMENTS(numbers); i++)
        if (numbers[i].value != 0)
            g_variant_builder_add(&options, "{sv}", numbers[i].name,
                                  g_variant_new_uint32(numbers[i].value));
    if (cli->postcopy)
        g_variant_builder_add(&options, "{sv}", "postcopy", g_variant_new_boolean(TRUE));
    for (char **option = cli->options; option != NULL && *option != NULL; option++) {
        const char *equals = strchr(*option, '=');
        g_autofree char *key = g_strndup(*option, (gsize)(equals - *option));
        g_variant_builder_add(&options, "{sv}", key, g_variant_new_string(equals + 1));
    }
    return g_variant_builder_end(&options);
}

MigdExit
migd_migrate_print_result(const MigdCli *cli, const char *id, const char *name, const char *word,
                          GVariant *report)
{
    const MigdStyle *style = &cli->style;
    MigdExit exit = g_str_equal(word, "succeeded") ? MIGD_EXIT_DONE : MIGD_EXIT_FAILED;

    if (cli->output != MIGD_OUTPUT_TEXT) {
        g_autoptr(MigdJson) object = migd_json_object_new();
        migd_json_add_string(object, "Id", id);
        migd_json_add_string(object, "Result", word);
        migd_json_add_dict(object, report);
        migd_cli_print_json(cli, object);
        return exit;
    }
    g_autofree char *result = migd_style_text(style, word);
    g_autofree char *total = migd_format_duration(migd_dict_number(report, "total_us"));
    g_autofree char *pause = migd_format_duration(migd_dict_number(report, "downtime_us"));
    g_autofree char *sent = migd_style_bytes(style, migd_dict_number(report, "transferred_bytes"));
    g_autofree char *lost = migd_format_duration(migd_dict_number(report, "throttle_us"));
    g_autofree char *why = migd_style_text(style, migd_dict_string(report, "error"));
    g_autoptr(GString) out = g_string_new(NULL);

    g_string_append_printf(out, "%s: ", name);
    migd_paint(out, style, exit == MIGD_EXIT_DONE ? MIGD_INK_GOOD : MIGD_INK_BAD, result);
    if (exit == MIGD_EXIT_DONE)
        g_string_append_printf(out, " in %s, pause %s", total, pause);
    else
        g_string_append_printf(out, " after %s", total);
    g_string_append_printf(out,
                           ", %s sent in %" G_GUINT64_FORMAT
                           " passes, %s of the guest's time taken by the throttle%s%s\n",
                           sent, migd_dict_number(report, "passes"), lost,
                           why[0] != '\0' ? ": " : "", why);
    migd_cli_print(out->str);
    return exit;
}

static MigdExit
print_started(const Wait *wait, const char *destination)
{
    if (wait->cli->output != MIGD_OUTPUT_TEXT) {
        g_autoptr(MigdJson) object = migd_json_object_new();
        migd_json_add_string(object, "Id", wait->id);
        migd_json_add_string(object, "Object", wait->path);
        migd_cli_print_json(wait->cli, object);
        return MIGD_EXIT_DONE;
    }
    g_autofree char *to = migd_style_text(&wait->cli->style, destination);
    g_autofree char *line = g_strdup_printf("%s: migrating to %s\n%s\n", wait->name, to, wait->id);
    migd_cli_print(line);
    return MIGD_EXIT_DONE;
}

MigdExit
migd_verb_migrate(MigdCli *cli, char **arguments, GError **error)
{
    g_autofree char *id = cli->id != NULL ? g_strdup(cli->id) : g_uuid_string_random();
    g_auto(Wait) wait = {.cli = cli, .id = id};
    g_autoptr(GVariant) reply = NULL;

    wait.name = migd_style_text(&cli->style, arguments[0]);
    wait.path = migd_object_path(MIGD_BUS_MIGRATION_PREFIX, id);
    if (!migd_cli_connect(cli, error))
        return MIGD_EXIT_FAILED;
    if (cli->wait)
        migd_await_begin(&wait.await, cli, /* signal= */ NULL, wait.path, on_signal, on_left,
                         &wait);
    reply = migd_cli_call(
        cli, MIGD_BUS_ROOT, MIGD_IFACE_MANAGER, "Migrate",
        g_variant_new("(ss@a{sv})", arguments[0], arguments[1], migd_migrate_options(cli, id)),
        "(o)", error);
    if (reply == NULL)
        return MIGD_EXIT_FAILED;
    if (!cli->wait)
        return print_started(&wait, arguments[1]);
    if (wait.result == NULL)
        migd_await_run(&wait.await);
    end_progress(&wait);
    return wait.result != NULL
               ? migd_migrate_print_result(cli, id, wait.name, wait.result, wait.report)
               : wait.await.exit;
}

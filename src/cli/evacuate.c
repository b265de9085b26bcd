/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Moving all guests away, and with --wait, following each to its end.
 */
#include "cli/verbs.h"

#include <stdio.h>
#include <string.h>

#include "base/names.h"
#include "cli/await.h"
#include "cli/migrate.h"

typedef struct {
    MigdCli *cli;
    GHashTable *waiting; /* k: path of a migration -> v: name, safe to print */
    gboolean failed;     /* one at least */
    MigdAwait await;
} Leaving;

static void
leaving_clear(Leaving *leaving)
{
    migd_await_clear(&leaving->await);
    g_clear_pointer(&leaving->waiting, g_hash_table_unref);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Leaving, leaving_clear)

/* ---- what the daemon answered ---------------------------------------------------------------- */

/* The id in the path of a migration. Caller frees. */
static char *
id_of(const char *path)
{
    const char *slash = strrchr(path, '/');

    return g_strdelimit(g_strdup(slash != NULL ? slash + 1 : path), "_", '-');
}

/* What people call the object, as `key` of its dictionary says. Caller frees. */
static char *
name_of(GVariant *dicts, const char *path, const char *key)
{
    g_autoptr(GVariant) dict = migd_dict_find(dicts, "Object", path);

    return dict != NULL ? g_strdup(migd_dict_string(dict, key)) : id_of(path);
}

/* Keeps the names of those that are under way. */
static void
take_migrations(Leaving *leaving, GVariant *reply, GVariant *migrations, MigdJson *list,
                GString *text)
{
    g_autoptr(GVariant) paths = g_variant_get_child_value(reply, 0);

    for (gsize i = 0; i < g_variant_n_children(paths); i++) {
        const char *path;
        g_variant_get_child(paths, i, "&o", &path);
        g_autofree char *id = id_of(path);
        g_autofree char *name = name_of(migrations, path, "DomainName");
        char *shown = migd_style_text(&leaving->cli->style, name);
        MigdJson *object = migd_json_object_new();

        migd_json_add_string(object, "DomainName", name);
        migd_json_add_string(object, "Id", id);
        migd_json_add_string(object, "Object", path);
        migd_json_append(list, object);
        g_string_append_printf(text, "%s: in the queue, %s\n", shown, id);
        g_hash_table_insert(leaving->waiting, g_strdup(path), shown);
    }
}

static void
take_refused(Leaving *leaving, GVariant *reply, GVariant *domains, MigdJson *list)
{
    g_autoptr(GVariant) rows = g_variant_get_child_value(reply, 1);

    for (gsize i = 0; i < g_variant_n_children(rows); i++) {
        const char *path, *error, *why;
        g_variant_get_child(rows, i, "(&o&s&s)", &path, &error, &why);
        g_autofree char *name = name_of(domains, path, "Name");
        g_autofree char *shown = migd_style_text(&leaving->cli->style, name);
        g_autofree char *text = migd_style_text(&leaving->cli->style, why);
        MigdJson *object = migd_json_object_new();

        migd_json_add_string(object, "Name", name);
        migd_json_add_string(object, "Object", path);
        migd_json_add_string(object, "Error", error);
        migd_json_add_string(object, "Text", why);
        migd_json_append(list, object);
        fprintf(stderr, "migrationctl: %s stays here: %s\n", shown, text);
        leaving->failed = TRUE;
    }
}

static gboolean
print_answer(Leaving *leaving, GVariant *reply, GError **error)
{
    g_autoptr(GVariant) domains = migd_cli_list_domains(leaving->cli, error);
    g_autoptr(GVariant) migrations =
        domains != NULL ? migd_cli_list_migrations(leaving->cli, error) : NULL;
    g_autoptr(MigdJson) object = migd_json_object_new();
    MigdJson *begun = migd_json_array_new(), *refused = migd_json_array_new();
    g_autoptr(GString) text = g_string_new(NULL);

    migd_json_add(object, "Migrations", begun);
    migd_json_add(object, "Refused", refused);
    if (migrations == NULL)
        return FALSE;
    take_migrations(leaving, reply, migrations, begun, text);
    take_refused(leaving, reply, domains, refused);
    if (leaving->cli->output != MIGD_OUTPUT_TEXT)
        migd_cli_print_json(leaving->cli, object);
    else
        migd_cli_print(text->str);
    return TRUE;
}

/* ---- the ends -------------------------------------------------------------------------------- */

static void
on_finished(GDBusConnection *connection, const char *sender, const char *path,
            const char *interface, const char *name, GVariant *parameters, gpointer user_data)
{
    Leaving *leaving = user_data;
    const char *guest = g_hash_table_lookup(leaving->waiting, path), *result;
    g_autofree char *id = id_of(path);
    g_autoptr(GVariant) report = NULL;

    if (guest == NULL || !g_variant_is_of_type(parameters, G_VARIANT_TYPE("(sa{sv})")))
        return;
    g_variant_get(parameters, "(&s@a{sv})", &result, &report);
    if (migd_migrate_print_result(leaving->cli, id, guest, result, report) != MIGD_EXIT_DONE)
        leaving->failed = TRUE;
    g_hash_table_remove(leaving->waiting, path);
    if (g_hash_table_size(leaving->waiting) == 0)
        g_main_loop_quit(leaving->await.loop);
}

static void
on_left(const char *why, gpointer user_data)
{
    const Leaving *leaving = user_data;

    fprintf(stderr,
            "migrationctl: %s; %u not finished, see them with: migrationctl status (what is in the "
            "queue of a daemon that leaves does not begin)\n",
            why, g_hash_table_size(leaving->waiting));
}

/* ---- the verb -------------------------------------------------------------------------------- */

MigdExit
migd_verb_evacuate(MigdCli *cli, char **arguments, GError **error)
{
    g_auto(Leaving) leaving = {
        .cli = cli, .waiting = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free)};
    g_autoptr(GVariant) reply = NULL;

    if (!migd_cli_connect(cli, error))
        return MIGD_EXIT_FAILED;
    if (cli->wait)
        migd_await_begin(&leaving.await, cli, "Finished", /* path= */ NULL, on_finished, on_left,
                         &leaving);
    reply = migd_cli_call(
        cli, MIGD_BUS_ROOT, MIGD_IFACE_MANAGER, "Evacuate",
        g_variant_new("(s@a{sv})", arguments[0], migd_migrate_options(cli, /* id= */ NULL)),
        "(aoa(oss))", error);
    if (reply == NULL || !print_answer(&leaving, reply, error))
        return MIGD_EXIT_FAILED;
    if (cli->wait && g_hash_table_size(leaving.waiting) > 0)
        migd_await_run(&leaving.await);
    if (leaving.await.exit != MIGD_EXIT_DONE)
        return leaving.await.exit;
    return leaving.failed ? MIGD_EXIT_FAILED : MIGD_EXIT_DONE;
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Choosing the trace and reading on. A bad trace is a failure of the trace, not of the command
 * line.
 */
#include "cli/follow.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"

/* The migration that `watch` without a name means: the newest that runs, else the newest. */
static GVariant *
newest(MigdCli *cli, GError **error)
{
    g_autoptr(GVariant) migrations = migd_cli_list_migrations(cli, error);
    g_autoptr(GVariant) best = NULL;
    guint64 best_rank = 0;

    if (migrations == NULL)
        return NULL;
    for (gsize i = 0; i < g_variant_n_children(migrations); i++) {
        g_autoptr(GVariant) migration = migd_dict_at(migrations, i);
        guint64 running = migd_dict_string(migration, "Result")[0] == '\0' ? 1 : 0;
        guint64 rank = running << 62 | migd_dict_number(migration, "StartTime") >> 2;

        if (best != NULL && rank < best_rank)
            continue;
        best_rank = rank;
        g_clear_pointer(&best, g_variant_unref);
        best = g_steal_pointer(&migration);
    }
    if (best == NULL)
        g_set_error(error, MIGD_ERROR, MIGD_ERROR_NO_SUCH_MIGRATION,
                    "there is no migration, running or recent");
    return g_steal_pointer(&best);
}

static gboolean
open_file(const char *what, MigdFollow *follow, GError **error)
{
    follow->name = g_strdup(what);
    follow->fd = open(what, O_RDONLY | O_CLOEXEC);
    if (follow->fd < 0) {
        g_set_error(error, MIGD_ERROR, MIGD_ERROR_FAILED, "cannot read %s: %s", what,
                    g_strerror(errno));
        return FALSE;
    }
    return TRUE;
}

static gboolean
open_migration(MigdCli *cli, const char *what, MigdFollow *follow, GError **error)
{
    g_autoptr(GVariant) migration =
        what != NULL ? migd_cli_find_migration(cli, what, error) : newest(cli, error);

    if (migration == NULL)
        return FALSE;
    follow->name = g_strdup_printf("the trace of %s", migd_dict_string(migration, "Id"));
    follow->path = g_strdup(migd_dict_string(migration, "Object"));
    follow->fd = migd_cli_open_trace(cli, follow->path, error);
    return follow->fd >= 0;
}

gboolean
migd_follow_open(MigdCli *cli, const char *what, MigdFollow *ret_follow, GError **error)
{
    g_auto(MigdFollow) follow = {.fd = -1};
    gboolean is_file =
        what != NULL && (strchr(what, '/') != NULL || g_file_test(what, G_FILE_TEST_IS_REGULAR));

    follow.trace = migd_trace_new();
    if (!(is_file ? open_file(what, &follow, error) : open_migration(cli, what, &follow, error)) ||
        !migd_follow_more(&follow, error))
        return FALSE;
    if (!follow.trace->started) {
        g_set_error(error, MIGD_ERROR, MIGD_ERROR_FAILED, "%s holds no start of a migration",
                    follow.name);
        return FALSE;
    }
    *ret_follow = follow;
    follow = (MigdFollow){.fd = -1};
    return TRUE;
}

void
migd_follow_clear(MigdFollow *follow)
{
    g_free(follow->name);
    g_free(follow->path);
    migd_trace_free(follow->trace);
    if (follow->fd >= 0)
        close(follow->fd);
}

gboolean
migd_follow_more(MigdFollow *follow, GError **error)
{
    g_autoptr(GError) bad = NULL;

    if (migd_trace_read_more(follow->trace, follow->fd, follow->name, &bad))
        return TRUE;
    g_set_error_literal(error, MIGD_ERROR, MIGD_ERROR_FAILED, bad->message);
    return FALSE;
}

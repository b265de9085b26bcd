/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * migrationctl hooks: libvirt's hook put into place, looked at, taken away. Works on files and
 * needs no daemon. The hook itself is conf/libvirt-hook, built into the program.
 */
#include "cli/verbs.h"

#include <errno.h>
#include <glib/gstdio.h>
#include <string.h>

#include "base/error.h"
#include "cli/migd-cli-resources.h"

#define HOOK_DIR "/etc/libvirt/hooks/qemu.d"
#define HOOK_PATH HOOK_DIR "/50-migrationd"
#define HOOK_RESOURCE "/org/migrationd1/libvirt-hook"

typedef enum {
    HOOK_ABSENT,
    HOOK_INSTALLED,
    HOOK_OUTDATED, /* ours, of another version */
    HOOK_FOREIGN,
} HookState;

static const struct {
    const char *word, *text;
} states[] = {
    [HOOK_ABSENT] = {"not-installed", HOOK_PATH " is not installed\n"},
    [HOOK_INSTALLED] = {"installed", HOOK_PATH " is installed\n"},
    [HOOK_OUTDATED] = {"outdated", HOOK_PATH " is installed, but of another version\n"},
    [HOOK_FOREIGN] = {"foreign", HOOK_PATH " is somebody else's file\n"},
};

static GBytes *
hook_text(void)
{
    return g_resources_lookup_data(HOOK_RESOURCE, G_RESOURCE_LOOKUP_FLAGS_NONE, NULL);
}

static HookState
look(void)
{
    g_autoptr(GBytes) ours = hook_text();
    g_autofree char *text = NULL;
    gsize length = 0;

    if (!g_file_get_contents(HOOK_PATH, &text, &length, NULL))
        return g_file_test(HOOK_PATH, G_FILE_TEST_EXISTS) ? HOOK_FOREIGN : HOOK_ABSENT;
    if (length == g_bytes_get_size(ours) && memcmp(text, g_bytes_get_data(ours, NULL), length) == 0)
        return g_access(HOOK_PATH, X_OK) == 0 ? HOOK_INSTALLED : HOOK_OUTDATED;
    return strstr(text, "hook of migrationd") != NULL ? HOOK_OUTDATED : HOOK_FOREIGN;
}

static MigdExit
show(const MigdCli *cli)
{
    HookState state = look();

    if (cli->output != MIGD_OUTPUT_TEXT) {
        g_autoptr(MigdJson) object = migd_json_object_new();
        migd_json_add_string(object, "Path", HOOK_PATH);
        migd_json_add_string(object, "State", states[state].word);
        migd_cli_print_json(cli, object);
    } else {
        migd_cli_print(states[state].text);
    }
    return MIGD_EXIT_DONE;
}

static gboolean
fail(GError **error, const char *what)
{
    int number = errno;

    g_set_error(error, G_FILE_ERROR, (gint)g_file_error_from_errno(number), "%s: %s: %s", HOOK_PATH,
                what, g_strerror(number));
    return FALSE;
}

static gboolean
refuse_foreign(HookState state, GError **error)
{
    if (state == HOOK_FOREIGN)
        g_set_error(error, MIGD_ERROR, MIGD_ERROR_FAILED, "%s is somebody else's file", HOOK_PATH);
    return state == HOOK_FOREIGN;
}

static gboolean
install(GError **error)
{
    g_autoptr(GBytes) ours = hook_text();

    if (refuse_foreign(look(), error))
        return FALSE;
    if (g_mkdir_with_parents(HOOK_DIR, 0755) != 0)
        return fail(error, "cannot make its directory");
    /* libvirt may be calling it right now: replaced as a whole, and executable from the start. */
    return g_file_set_contents_full(HOOK_PATH, g_bytes_get_data(ours, NULL),
                                    (gssize)g_bytes_get_size(ours), G_FILE_SET_CONTENTS_CONSISTENT,
                                    0755, error);
}

static gboolean
remove_hook(GError **error)
{
    HookState state = look();

    if (refuse_foreign(state, error))
        return FALSE;
    if (state != HOOK_ABSENT && g_unlink(HOOK_PATH) != 0)
        return fail(error, "cannot remove it");
    return TRUE;
}

MigdExit
migd_verb_hooks(MigdCli *cli, char **arguments, GError **error)
{
    const char *what = arguments[0];

    migd_cli_register_resource();
    if (strcmp(what, "install") == 0) {
        if (!install(error))
            return MIGD_EXIT_FAILED;
        if (cli->output == MIGD_OUTPUT_TEXT && cli->legend)
            migd_cli_print("libvirt looks for hooks only when it starts: restart it once.\n");
    } else if (strcmp(what, "remove") == 0) {
        if (!remove_hook(error))
            return MIGD_EXIT_FAILED;
    } else if (strcmp(what, "status") != 0) {
        g_set_error(error, MIGD_ERROR, MIGD_ERROR_INVALID_ARGUMENT,
                    "usage: migrationctl hooks install|status|remove");
        return MIGD_EXIT_USAGE;
    }
    return show(cli);
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The verb explain: the whole story of a migration in sentences, or as JSON with every number.
 */
#include "cli/follow.h"
#include "cli/story.h"
#include "cli/tojson.h"
#include "cli/verbs.h"

static void
print_story(const MigdCli *cli, const MigdPicture *picture)
{
    const MigdStyle *style = &cli->style;
    g_autoptr(GString) out = g_string_new(NULL);
    MigdInk ink;
    g_autofree char *title = migd_story_title(picture, style);
    g_autofree char *state = migd_story_state(picture, style, &ink);
    g_autofree char *facts = migd_story_facts(picture, style);
    g_auto(GStrv) lines = migd_wrap(facts, style->columns);

    migd_paint(out, style, MIGD_INK_BOLD, title);
    g_string_append(out, ": ");
    migd_paint(out, style, ink, state);
    g_string_append_c(out, '\n');
    for (guint i = 0; lines[i] != NULL; i++)
        g_string_append_printf(out, "%s\n", lines[i]);
    g_string_append_c(out, '\n');
    migd_story_append(out, picture, style, /* effects= */ TRUE, /* max_lines= */ 0);
    migd_cli_print(out->str);
}

MigdExit
migd_verb_explain(MigdCli *cli, char **arguments, GError **error)
{
    g_auto(MigdFollow) follow = {.fd = -1};
    g_autoptr(MigdPicture) picture = NULL;

    if (!migd_follow_open(cli, arguments[0], &follow, error))
        return MIGD_EXIT_FAILED;
    picture = migd_picture_new(follow.trace);
    if (cli->output == MIGD_OUTPUT_TEXT) {
        print_story(cli, picture);
        return MIGD_EXIT_DONE;
    }
    g_autoptr(MigdJson) object = migd_picture_to_json(picture);
    migd_cli_print_json(cli, object);
    return MIGD_EXIT_DONE;
}

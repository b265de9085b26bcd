/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * migrationctl: parses the command line, runs one verb, and ends with a code that scripts can rely
 * on. Everything else is in the verbs.
 */
#include <locale.h>
#include <stdio.h>

#include "base/error.h"
#include "cli/terminal.h"
#include "cli/verbs.h"

static MigdExit
run(MigdCli *cli, char **argv, GError **error)
{
    const MigdVerb *verb = NULL;
    g_auto(GStrv) arguments = NULL;
    g_autofree char *text = NULL;

    if (!migd_parse_arguments(argv, cli, &verb, &arguments, &text, error))
        return MIGD_EXIT_USAGE;
    if (verb == NULL) {
        migd_cli_print(text);
        return MIGD_EXIT_DONE;
    }
    migd_terminal_look(cli);
    return verb->run(cli, arguments, error);
}

int
main(int argc, char **argv)
{
    g_auto(MigdCli) cli = {0};
    g_autoptr(GError) error = NULL;
    g_autofree char *text = NULL;
    MigdExit code;

    setlocale(LC_CTYPE, ""); /* for the character set; numbers stay as they are */
    (void)migd_error_quark();
    code = run(&cli, argv, &error);
    if (error == NULL)
        return (int)code;
    text = migd_error_text(&cli, error);
    fprintf(stderr, "migrationctl: %s\n", text);
    return (int)migd_exit_for_error(error);
}

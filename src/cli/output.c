/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * To stdout, at once: whoever reads a pipe wants each line when it is there.
 */
#include "cli/cli.h"

#include <stdio.h>

void
migd_cli_print(const char *text)
{
    fputs(text, stdout);
    fflush(stdout);
}

void
migd_cli_print_json(const MigdCli *cli, const MigdJson *json)
{
    g_autofree char *text = migd_json_to_string(
        json, cli->output == MIGD_OUTPUT_PRETTY ? MIGD_JSON_PRETTY : MIGD_JSON_SHORT);
    g_autofree char *line = g_strconcat(text, "\n", NULL);

    migd_cli_print(line);
}

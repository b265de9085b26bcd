/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The command line: one row a verb, one row an option, and the help made from them.
 */
#pragma once

#include "cli/cli.h"

typedef struct {
    const char *name;
    const char *arguments; /* as shown in the help */
    const char *help;      /* fits on a line */
    guint min, max;        /* number of arguments */
    guint takes;           /* MIGD_TAKES_… */
    MigdVerbFunc run;
} MigdVerb;

/* NULL: no such verb; the error suggests the nearest. Verbs may not be abbreviated. */
const MigdVerb *migd_verb_find(const char *name, GError **error);

/* Checks the number of arguments and that only options were given that the verb takes; `given` =
 * MIGD_TAKES_…. */
gboolean migd_verb_check(const MigdVerb *verb, guint n_arguments, guint given, GError **error);

/* The help of everything, or of one verb. At most 80 columns. Caller frees. */
char *migd_verbs_help(void);
char *migd_verb_help(const MigdVerb *verb);

/* Fills `cli` from a command line (NULL-terminated, program name first). `ret_verb` is NULL when
 * only help or the version was asked for; then `ret_text` says what to print. `ret_arguments` is
 * NULL-terminated; caller frees with g_strfreev(). */
gboolean migd_parse_arguments(char **argv, MigdCli *cli, const MigdVerb **ret_verb,
                              char ***ret_arguments, char **ret_text, GError **error);

/* ---- the verbs ----------------------------------------------------------------------------- */

MigdExit migd_verb_list(MigdCli *cli, char **arguments, GError **error);
MigdExit migd_verb_status(MigdCli *cli, char **arguments, GError **error);
MigdExit migd_verb_migrate(MigdCli *cli, char **arguments, GError **error);
MigdExit migd_verb_evacuate(MigdCli *cli, char **arguments, GError **error);
MigdExit migd_verb_predict(MigdCli *cli, char **arguments, GError **error);
MigdExit migd_verb_history(MigdCli *cli, char **arguments, GError **error);
MigdExit migd_verb_cancel(MigdCli *cli, char **arguments, GError **error);
MigdExit migd_verb_postcopy(MigdCli *cli, char **arguments, GError **error);
MigdExit migd_verb_set_limits(MigdCli *cli, char **arguments, GError **error);
MigdExit migd_verb_set_profile(MigdCli *cli, char **arguments, GError **error);
MigdExit migd_verb_dirty_rate(MigdCli *cli, char **arguments, GError **error);
MigdExit migd_verb_watch(MigdCli *cli, char **arguments, GError **error);
MigdExit migd_verb_explain(MigdCli *cli, char **arguments, GError **error);
MigdExit migd_verb_replay(MigdCli *cli, char **arguments, GError **error);
MigdExit migd_verb_simulate(MigdCli *cli, char **arguments, GError **error);
MigdExit migd_verb_profiles(MigdCli *cli, char **arguments, GError **error);
MigdExit migd_verb_reload(MigdCli *cli, char **arguments, GError **error);
MigdExit migd_verb_mode(MigdCli *cli, char **arguments, GError **error);
MigdExit migd_verb_monitor(MigdCli *cli, char **arguments, GError **error);
MigdExit migd_verb_capabilities(MigdCli *cli, char **arguments, GError **error);
MigdExit migd_verb_write_protect(MigdCli *cli, char **arguments, GError **error);
MigdExit migd_verb_hold(MigdCli *cli, char **arguments, GError **error);
MigdExit migd_verb_metrics(MigdCli *cli, char **arguments, GError **error);
MigdExit migd_verb_hooks(MigdCli *cli, char **arguments, GError **error);

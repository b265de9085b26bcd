/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the verbs migrate and evacuate have in common.
 */
#pragma once

#include "cli/cli.h"

/* a{sv}, floating: the options of Migrate or Evacuate as the command line gave them; `id` may be
 * NULL. */
GVariant *migd_migrate_options(const MigdCli *cli, const char *id);

/* Prints what became of the migration `id` of `name` (safe to print), by the signal Finished. DONE
 * or FAILED. */
MigdExit migd_migrate_print_result(const MigdCli *cli, const char *id, const char *name,
                                   const char *result, GVariant *report);

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Migrations that wait for their turn: all the guests of a host share its link, and each pass of
 * one that has it to itself is shorter. What waits is in the state "queued" and lives as long as
 * the daemon. Decides nothing about a migration that has begun.
 */
#pragma once

#include "daemon/manager.h"

typedef struct MigdBatch MigdBatch;

#define MIGD_BATCH_MAX 16 /* at once */

/* At most `at_once` of its migrations run at a time. */
MigdBatch *migd_batch_new(MigdManager *manager, guint at_once);

/* Puts one at the end, visible as "queued" from now on. FALSE: refused, as
 * migd_manager_migrate() would. */
gboolean migd_batch_add(MigdBatch *batch, MigdManagedDomain *domain,
                        const MigdMigrateRequest *request, GError **error);

/* Begins; takes the batch. */
void migd_batch_run(MigdBatch *batch);

/* A migration has ended: whose turn is it? Looked at in the next turn of the main loop. */
void migd_batches_advance(MigdManager *manager);

/* For the manager. */
void migd_batches_free(MigdManager *manager);

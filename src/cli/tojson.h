/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Decisions and pictures as JSON: properties under their names on the bus, numbers under their
 * names in traces, all of them exact. Pure.
 */
#pragma once

#include "cli/picture.h"
#include "json/json.h"

/* action, argument, reason, verdict, text and every number; t_us since `begin_us`. Caller unrefs.
 */
MigdJson *migd_decision_to_json(const MigdDecision *decision, gint64 begin_us);

/* Id, DomainName, …, Result, Passes[], Decisions[] (with what came of each). Caller unrefs. */
MigdJson *migd_picture_to_json(const MigdPicture *picture);

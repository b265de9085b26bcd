/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A migration in words: how it stands, why each decision was taken, and what came of it. The
 * reasons themselves are spelled by the policy; here they get their time and their consequence.
 * Pure.
 */
#pragma once

#include <glib.h>

#include "cli/paint.h"
#include "cli/picture.h"

/* "web-1 to unix:/run/x": text of the style. Caller frees. */
char *migd_story_title(const MigdPicture *picture, const MigdStyle *style);

/* How it ended, or how it stands: "succeeded in 6.2 s, pause 212 ms of 300 ms allowed". Caller
 * frees; `ret_ink` says whether that is good. */
char *migd_story_state(const MigdPicture *picture, const MigdStyle *style, MigdInk *ret_ink);

/* "7 passes, 218.0 MiB sent, …". Caller frees. */
char *migd_story_facts(const MigdPicture *picture, const MigdStyle *style);

/* While it runs: "2.1 s left (1.8 s to 3.0 s), pause 180 ms"; NULL when nothing is forecast or it
 * is over. Caller frees. */
char *migd_story_forecast(const MigdPicture *picture, const MigdStyle *style);

/* What was done about decision `index`, and what it changed: "Done after 3 ms. …"; NULL when
 * nothing was to be done. Caller frees. */
char *migd_story_effect(const MigdPicture *picture, guint index, const MigdStyle *style);

/* Appends the numbered decisions, wrapped; with `effects` also what came of each. `max_lines` keeps
 * the newest (0 = all). */
void migd_story_append(GString *out, const MigdPicture *picture, const MigdStyle *style,
                       gboolean effects, guint max_lines);

/* Appends one decision at its time since `begin_us`, wrapped; `mark` stands before the text. */
void migd_story_append_decision(GString *out, const MigdDecision *decision, gint64 begin_us,
                                char mark, const MigdStyle *style);

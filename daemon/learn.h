/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What finished migrations teach about the next one to the same host or of the same guest. Pure:
 * past in, guesses out.
 */
#pragma once

#include "daemon/history.h"
#include "sim/predict.h"

/* Without a word on the link: limits are set far below what it carries. */
#define MIGD_ABOVE_LIMIT 8

/* A guess with its evidence. */
typedef struct {
    MigdGuess guess;   /* mid 0: nothing was learned */
    guint n;           /* migrations that it comes from */
    guint64 newest_us; /* realtime of the newest of them */
} MigdLesson;

typedef struct {
    MigdLesson link_bps;         /* between the two hosts, where no limit binds */
    MigdLesson fixed_s;          /* of the pause, whatever is left to send */
    MigdLesson setup_s;          /* before the first byte */
    MigdLesson filled;           /* of memory in use, the part that pass 1 has to send */
    MigdLesson empty;            /* of memory in use, the bytes that pass 1 has not to send */
    MigdLesson faster;           /* dirty curve in a migration over the one measured at rest */
    MigdLesson first_pass_bytes; /* of this guest */
    MigdLesson lambda_bps, working_set_bytes; /* of this guest, as last fitted */
} MigdLessons;

/* Learns from `past` (of MigdPast, oldest first) for the guest `domain_uuid` and the host `peer`
 * ("" = any). What the pair of hosts has never shown is taken from the other pairs, with more
 * spread. What depends on how the guest's writes are tracked (setup, which starts the log, and how
 * much faster it dirties than at rest) is learned from migrations with the same `write_protect`, or
 * with one that nobody knows. */
void migd_learn(const GPtrArray *past, const char *domain_uuid, const char *peer,
                const char *write_protect, MigdLessons *ret);

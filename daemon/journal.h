/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The daemon's log: structured entries when stderr is the journal, else lines on stderr. One entry
 * a fact; fields let `journalctl MIGRATION_ID=…` tell the story of one migration. Text from guests
 * must be cleaned by the caller.
 */
#pragma once

#include <glib.h>

/* Values of syslog. */
typedef enum {
    MIGD_LOG_ERROR = 3,
    MIGD_LOG_WARNING = 4,
    MIGD_LOG_NOTICE = 5,
    MIGD_LOG_INFO = 6,
    MIGD_LOG_DEBUG = 7,
} MigdLogLevel;

/* MESSAGE_ID of the entries that programs look for; they never change. */
#define MIGD_MESSAGE_STARTED "a854d0cf006a48c5a2bc438212e78491"
#define MIGD_MESSAGE_DECISION "a8fd2c1ebba94058a0e8d4753ae985a7"
#define MIGD_MESSAGE_ACTION "d61e3ebc646941078e2ca7369011c2f5"
#define MIGD_MESSAGE_FOREIGN_CHANGE "d5c79241696f4994aa6d1e21a67593de"
#define MIGD_MESSAGE_FINISHED "30681bae29bd48fd9a761dee90866afc"
#define MIGD_MESSAGE_FAILED "9570fb98d825411ba4f7c4f7f72a8336"
#define MIGD_MESSAGE_ADOPTED "921e6a3bbcdb4b40a808f0c5a4ffadd8"
#define MIGD_MESSAGE_CONFIG "efa2b5f6a1f64e799b441bdb03c6e809"

/* What an entry is about; each may be NULL. */
typedef struct {
    const char *message_id;
    const char *migration_id;
    const char *domain_uuid;
    const char *domain_name; /* clean */
    const char *action;      /* word of a MigdAction */
    const char *reason;      /* word of a MigdReason */
} MigdLogFields;

/* Entries less severe than `level` are dropped from now on. */
void migd_journal_set_level(MigdLogLevel level);
MigdLogLevel migd_journal_get_level(void);

typedef enum {
    MIGD_LOG_TARGET_AUTO, /* the journal if stderr is it, else stderr */
    MIGD_LOG_TARGET_JOURNAL,
    MIGD_LOG_TARGET_CONSOLE, /* stderr */
    MIGD_LOG_TARGET_NULL,
} MigdLogTarget;

void migd_journal_set_target(MigdLogTarget target);
MigdLogTarget migd_journal_get_target(void);

/* "error", "warning", "notice", "info", "debug". FALSE, *ret alone, for any other word. */
gboolean migd_log_level_from_string(const char *word, MigdLogLevel *ret);
const char *migd_log_level_to_string(MigdLogLevel level);

/* `fields` may be NULL. */
void migd_log(MigdLogLevel level, const MigdLogFields *fields, const char *format, ...)
    G_GNUC_PRINTF(3, 4);

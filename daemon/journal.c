/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * One way out for log entries. Level and target are the process's, so they are the static variables
 * of the daemon.
 */
#include "daemon/journal.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include <systemd/sd-daemon.h>
#include <systemd/sd-journal.h>

static MigdLogLevel max_level = MIGD_LOG_INFO;
static MigdLogTarget target = MIGD_LOG_TARGET_AUTO;

static const struct {
    const char *word;
    MigdLogLevel level;
} levels[] = {
    {"error", MIGD_LOG_ERROR}, {"warning", MIGD_LOG_WARNING}, {"notice", MIGD_LOG_NOTICE},
    {"info", MIGD_LOG_INFO},   {"debug", MIGD_LOG_DEBUG},
};

void
migd_journal_set_level(MigdLogLevel level)
{
    max_level = level;
}

MigdLogLevel
migd_journal_get_level(void)
{
    return max_level;
}

void
migd_journal_set_target(MigdLogTarget new_target)
{
    target = new_target;
}

MigdLogTarget
migd_journal_get_target(void)
{
    return target;
}

gboolean
migd_log_level_from_string(const char *word, MigdLogLevel *ret)
{
    for (guint i = 0; i < G_N_ELEMENTS(levels); i++) {
        if (strcmp(word, levels[i].word) == 0) {
            *ret = levels[i].level;
            return TRUE;
        }
    }
    return FALSE;
}

const char *
migd_log_level_to_string(MigdLogLevel level)
{
    for (guint i = 0; i < G_N_ELEMENTS(levels); i++)
        if (level == levels[i].level)
            return levels[i].word;
    return "error";
}

/* systemd names device and inode of the stream in JOURNAL_STREAM: a child with a redirected stderr
 * is not fooled. */
static gboolean
stderr_is_journal(void)
{
    const char *stream = g_getenv("JOURNAL_STREAM");
    struct stat st;

    if (stream == NULL || fstat(STDERR_FILENO, &st) < 0)
        return FALSE;
    g_autofree char *own =
        g_strdup_printf("%lu:%lu", (unsigned long)st.st_dev, (unsigned long)st.st_ino);
    return strcmp(stream, own) == 0;
}

static void
add_field(GPtrArray *fields, const char *key, const char *value)
{
    if (value != NULL)
        g_ptr_array_add(fields, g_strconcat(key, "=", value, NULL));
}

static void
send_to_journal(MigdLogLevel level, const MigdLogFields *fields, const char *text)
{
    g_autoptr(GPtrArray) lines = g_ptr_array_new_with_free_func(g_free);
    struct iovec iov[8];

    add_field(lines, "MESSAGE", text);
    g_ptr_array_add(lines, g_strdup_printf("PRIORITY=%d", (int)level));
    if (fields != NULL) {
        add_field(lines, "MESSAGE_ID", fields->message_id);
        add_field(lines, "MIGRATION_ID", fields->migration_id);
        add_field(lines, "DOMAIN_UUID", fields->domain_uuid);
        add_field(lines, "DOMAIN_NAME", fields->domain_name);
        add_field(lines, "ACTION", fields->action);
        add_field(lines, "REASON", fields->reason);
    }
    for (guint i = 0; i < lines->len; i++) {
        iov[i].iov_base = lines->pdata[i];
        iov[i].iov_len = strlen(lines->pdata[i]);
    }
    (void)sd_journal_sendv(iov, (int)lines->len);
}

void
migd_log(MigdLogLevel level, const MigdLogFields *fields, const char *format, ...)
{
    g_autofree char *text = NULL;
    va_list args;

    if (level > max_level || target == MIGD_LOG_TARGET_NULL)
        return;
    va_start(args, format);
    text = g_strdup_vprintf(format, args);
    va_end(args);
    if (target == MIGD_LOG_TARGET_JOURNAL ||
        (target == MIGD_LOG_TARGET_AUTO && stderr_is_journal()))
        send_to_journal(level, fields, text);
    else if (fields != NULL && fields->domain_name != NULL)
        fprintf(stderr, "<%d>%s: %s\n", (int)level, fields->domain_name, text);
    else
        fprintf(stderr, "<%d>%s\n", (int)level, text);
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the verbs of migrationctl share: options, output, the connection, and how an end becomes an
 * exit code. A verb returns its exit code; with an error set, main() prints it and maps it.
 */
#pragma once

#include <gio/gio.h>

#include "cli/paint.h"
#include "json/json.h"

typedef enum {
    MIGD_EXIT_DONE = 0,
    MIGD_EXIT_FAILED = 1,
    MIGD_EXIT_USAGE = 2,
    MIGD_EXIT_NO_SUCH = 3, /* VM or migration */
    MIGD_EXIT_DENIED = 4,
    MIGD_EXIT_NO_DAEMON = 5,
    MIGD_EXIT_TIMED_OUT = 6,
    MIGD_EXIT_NOT_RUN = 126,     /* a command that we should have run, as shells have it */
    MIGD_EXIT_NO_COMMAND = 127,  /* there is none of that name */
    MIGD_EXIT_INTERRUPTED = 130, /* by SIGINT, as shells have it */
} MigdExit;

typedef enum {
    MIGD_OUTPUT_TEXT,
    MIGD_OUTPUT_SHORT,  /* JSON, a line */
    MIGD_OUTPUT_PRETTY, /* JSON, indented */
} MigdOutput;

/* Options that only some verbs take; bits for MigdVerb.takes. */
typedef enum {
    MIGD_TAKES_PROFILE = 1 << 0,
    MIGD_TAKES_OPTION = 1 << 1,
    MIGD_TAKES_ID = 1 << 2,
    MIGD_TAKES_WAIT = 1 << 3,
    MIGD_TAKES_TIMEOUT = 1 << 4,
    MIGD_TAKES_BATCH = 1 << 5,
    MIGD_TAKES_ONCE = 1 << 6,
    MIGD_TAKES_CHECK = 1 << 7,
    MIGD_TAKES_CHART = 1 << 8,
    MIGD_TAKES_ENGINE = 1 << 9,
    MIGD_TAKES_POSTCOPY = 1 << 10,
    MIGD_TAKES_PARALLEL = 1 << 11,
    MIGD_TAKES_MIGRATE_URI = 1 << 12,
    MIGD_TAKES_PERSISTENT = 1 << 13,
    MIGD_TAKES_SECONDS = 1 << 14,
    MIGD_TAKES_MODE = 1 << 15,
    MIGD_TAKES_ENABLE = 1 << 16,
    MIGD_TAKES_ENTRIES = 1 << 17,
    MIGD_TAKES_BANDWIDTH = 1 << 18,
    MIGD_TAKES_MAX_AGE = 1 << 19,
    MIGD_TAKES_WHAT = 1 << 20,
    MIGD_TAKES_WHO = 1 << 21,
    MIGD_TAKES_WHY = 1 << 22,
    MIGD_TAKES_AT_ONCE = 1 << 23,
} MigdTakes;

typedef struct {
    MigdStyle style; /* of stdout */
    guint rows;      /* of the terminal */
    gboolean tty;    /* stdout is one that can be drawn on */
    gboolean legend;
    MigdOutput output;
    char *bus; /* "system", "session" or an address */

    char *profile;
    char *engines;  /* names, with commas */
    char **options; /* KEY=VALUE */
    char *id;
    gboolean wait;
    guint64 timeout_us; /* 0 = none */
    gboolean batch, once, check, chart;
    gboolean postcopy, persistent;
    guint parallel; /* connections; 0 = not given */
    guint at_once;  /* migrations; 0 = not given */
    char *migrate_uri;
    guint seconds; /* 0 = not given */
    char *mode;    /* of measuring */
    gboolean enable;
    guint32 entries;       /* 0 = not given */
    guint64 bandwidth_bps; /* 0 = not given */
    gboolean has_max_age;
    guint64 max_age_us;
    char *what, *who, *why; /* of a lease; NULL = not given */

    GDBusConnection *connection; /* see migd_cli_connect() */
} MigdCli;

void migd_cli_clear(MigdCli *cli);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(MigdCli, migd_cli_clear)

/* `arguments`: what follows the verb, NULL-terminated, already counted. */
typedef MigdExit (*MigdVerbFunc)(MigdCli *cli, char **arguments, GError **error);

/* ---- errors -------------------------------------------------------------------------------- */

/* The exit code for any error of GLib, GDBus, the daemon or ours. */
MigdExit migd_exit_for_error(const GError *error);

/* What to print for it: without GDBus' prefix, and in plain words where there is no daemon. Caller
 * frees. */
char *migd_error_text(const MigdCli *cli, const GError *error);

/* ---- output -------------------------------------------------------------------------------- */

/* Prints and flushes. */
void migd_cli_print(const char *text);

/* Prints `json` in the style of the output, with a newline. */
void migd_cli_print_json(const MigdCli *cli, const MigdJson *json);

/* ---- the bus ------------------------------------------------------------------------------- */

gboolean migd_cli_connect(MigdCli *cli, GError **error);

/* Calls `interface.method` at `path` of the daemon and waits; connects first if need be. NULL on
 * error. */
GVariant *migd_cli_call(MigdCli *cli, const char *path, const char *interface, const char *method,
                        GVariant *parameters, const char *reply_type, GError **error);

/* The dictionaries of ListDomains and ListMigrations, aa{sv}. */
GVariant *migd_cli_list_domains(MigdCli *cli, GError **error);
GVariant *migd_cli_list_migrations(MigdCli *cli, GError **error);

/* The migration that a VM's name, its UUID or a migration's id means, a{sv}: of a VM its running or
 * newest one. */
GVariant *migd_cli_find_migration(MigdCli *cli, const char *what, GError **error);

/* The VM of that name or UUID, a{sv}. */
GVariant *migd_cli_find_domain(MigdCli *cli, const char *what, GError **error);

/* A property of the manager. */
GVariant *migd_cli_manager_property(MigdCli *cli, const char *name, GError **error);

/* A readable descriptor of the migration's trace, or -1. */
int migd_cli_open_trace(MigdCli *cli, const char *path, GError **error);

/* Calls `gone` when the daemon leaves the bus. Returns an id for g_bus_unwatch_name(). */
guint migd_cli_watch_daemon(MigdCli *cli, GBusNameVanishedCallback gone, gpointer user_data);

/* ---- dictionaries -------------------------------------------------------------------------- */

/* The entry `index` of an aa{sv}. Caller unrefs. */
GVariant *migd_dict_at(GVariant *dicts, gsize index);

/* The first whose string or object path under `key` is `value`; NULL = none. Caller unrefs. */
GVariant *migd_dict_find(GVariant *dicts, const char *key, const char *value);

/* The string (or object path) under `key`, "" if there is none. Borrowed from `dict`. */
const char *migd_dict_string(GVariant *dict, const char *key);

/* The number under `key` (t, u), 0 if there is none. */
guint64 migd_dict_number(GVariant *dict, const char *key);

/* Adds any value under `key`: t and u as exact integers, a{sv} as object, arrays and tuples as
 * arrays. */
void migd_json_add_variant(MigdJson *object, const char *key, GVariant *value);

/* The a{sv} as an object. Caller unrefs. */
MigdJson *migd_json_from_dict(GVariant *dict);

/* Adds each entry of an a{sv}, or of another dictionary by strings, to `object`. */
void migd_json_add_dict(MigdJson *object, GVariant *dict);

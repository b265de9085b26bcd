/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Tests of the command line: what is understood, what is refused and with which words, the help,
 * and which exit code an error becomes.
 */
#include "base/error.h"
#include "cli/verbs.h"

#include <string.h>

typedef struct {
    MigdCli cli;
    const MigdVerb *verb;
    char **arguments;
    char *text;
} Parsed;

static void
parsed_clear(Parsed *parsed)
{
    migd_cli_clear(&parsed->cli);
    g_strfreev(parsed->arguments);
    g_free(parsed->text);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Parsed, parsed_clear)

/* `line` is split at spaces. */
static gboolean
parse(const char *line, Parsed *parsed, GError **error)
{
    g_autofree char *whole = g_strconcat("migrationctl ", line, NULL);
    g_auto(GStrv) words = g_strsplit(g_strchomp(whole), " ", -1);

    return migd_parse_arguments(words, &parsed->cli, &parsed->verb, &parsed->arguments,
                                &parsed->text, error);
}

/* ---- understood ---------------------------------------------------------------------------- */

static void
test_understood(void)
{
    static const struct {
        const char *line, *verb;
        guint n_arguments;
    } rows[] = {
        {"", "list", 0},
        {"--no-legend", "list", 0},
        {"list", "list", 0},
        {"status", "status", 0},
        {"status web-1", "status", 1},
        {"migrate web-1 unix:/x --wait --timeout=90s", "migrate", 2},
        {"--json=short migrate --profile gentle web-1 tcp:h:1", "migrate", 2},
        {"set-limits web-1 MaxDowntime=1s Deadline=none", "set-limits", 3},
        {"set-profile web-1 gentle --persistent", "set-profile", 2},
        {"set-profile web-1", "set-profile", 1},
        {"dirty-rate web-1 --seconds=5 --mode dirty-bitmap", "dirty-rate", 1},
        {"watch --once", "watch", 0},
        {"replay t.jsonl --check --chart", "replay", 1},
        {"simulate a.scenario b.scenario --engine=nova,qemu --json", "simulate", 2},
        {"--json simulate a.scenario", "simulate", 1},
        {"mode observe", "mode", 1},
        {"status -- -odd", "status", 1},
    };

    for (guint i = 0; i < G_N_ELEMENTS(rows); i++) {
        g_auto(Parsed) parsed = {0};
        g_autoptr(GError) error = NULL;

        g_test_message("%s", rows[i].line);
        g_assert_true(parse(rows[i].line, &parsed, &error));
        g_assert_no_error(error);
        g_assert_cmpstr(parsed.verb->name, ==, rows[i].verb);
        g_assert_cmpuint(g_strv_length(parsed.arguments), ==, rows[i].n_arguments);
    }
}

static void
test_values(void)
{
    g_auto(Parsed) parsed = {0};
    g_autoptr(GError) error = NULL;

    g_assert_true(parse("--bus=unix:path=/x --json pretty --ascii --bytes --no-legend migrate vm "
                        "unix:/y --profile=p --option A=1 --option B=2=3 "
                        "--id=6ba7b810-9dad-11d1-80b4-00c04fd430c8 --wait --timeout 2min "
                        "--parallel=4 --migrate-uri tcp://h --postcopy",
                        &parsed, &error));
    g_assert_no_error(error);
    g_assert_cmpstr(parsed.cli.bus, ==, "unix:path=/x");
    g_assert_cmpint(parsed.cli.output, ==, MIGD_OUTPUT_PRETTY);
    g_assert_true(parsed.cli.style.ascii);
    g_assert_true(parsed.cli.style.bytes);
    g_assert_false(parsed.cli.legend);
    g_assert_cmpstr(parsed.cli.profile, ==, "p");
    g_assert_cmpstr(parsed.cli.options[0], ==, "A=1");
    g_assert_cmpstr(parsed.cli.options[1], ==, "B=2=3");
    g_assert_null(parsed.cli.options[2]);
    g_assert_cmpstr(parsed.cli.id, ==, "6ba7b810-9dad-11d1-80b4-00c04fd430c8");
    g_assert_true(parsed.cli.wait);
    g_assert_cmpuint(parsed.cli.timeout_us, ==, 120 * (guint64)G_USEC_PER_SEC);

    g_assert_cmpuint(parsed.cli.parallel, ==, 4);
    g_assert_cmpstr(parsed.cli.migrate_uri, ==, "tcp://h");
    g_assert_true(parsed.cli.postcopy);

    g_auto(Parsed) measure = {0};
    g_assert_true(parse("dirty-rate vm --seconds 60 --mode=dirty-ring", &measure, &error));
    g_assert_cmpuint(measure.cli.seconds, ==, 60);
    g_assert_cmpstr(measure.cli.mode, ==, "dirty-ring");

    g_auto(Parsed) bare = {0};
    g_assert_true(parse("", &bare, &error));
    g_assert_cmpstr(bare.cli.bus, ==, "system");
    g_assert_cmpint(bare.cli.output, ==, MIGD_OUTPUT_TEXT);
    g_assert_true(bare.cli.legend);
    g_assert_cmpuint(bare.cli.parallel + bare.cli.seconds, ==, 0);
}

/* ---- refused ------------------------------------------------------------------------------- */

static void
test_refused(void)
{
    static const struct {
        const char *line, *says;
    } rows[] = {
        {"lits", "did you mean \"list\"?"},
        {"stat", "did you mean \"status\"?"},
        {"migarte", "did you mean \"migrate\"?"},
        {"post-copy", "did you mean \"postcopy\"?"},
        {"xyzzy", "see migrationctl --help"},
        {"migrate vm", "usage: migrationctl migrate VM DEST"},
        {"migrate vm a b", "usage: "},
        {"list vm", "usage: "},
        {"set-limits id", "usage: "},
        {"list --wait", "list does not take --wait"},
        {"status --profile=x", "status does not take --profile"},
        {"watch --check", "watch does not take --check"},
        {"--json=xml list", "--json="},
        {"--unknown", "--unknown"},
        {"migrate vm d --id=XYZ", "--id="},
        {"migrate vm d --timeout=5s", "--wait"},
        {"migrate vm d --wait --timeout=5", "--timeout="},
        {"migrate vm d --wait --timeout=0", "--timeout="},
        {"migrate vm d --option MaxDowntime", "KEY=VALUE"},
        {"migrate vm d --option =3", "KEY=VALUE"},
        {"migrate vm d --parallel=0", "--parallel="},
        {"migrate vm d --parallel=-1", "--parallel="},
        {"migrate vm d --parallel=many", "--parallel"},
        {"migrate vm d --persistent", "migrate does not take --persistent"},
        {"cancel vm --postcopy", "cancel does not take --postcopy"},
        {"set-profile", "usage: migrationctl set-profile VM [NAME]"},
        {"set-profile vm --profile=gentle", "set-profile does not take --profile"},
        {"dirty-rate vm --seconds=0", "--seconds="},
        {"dirty-rate vm --seconds=61", "--seconds="},
    };

    for (guint i = 0; i < G_N_ELEMENTS(rows); i++) {
        g_auto(Parsed) parsed = {0};
        g_autoptr(GError) error = NULL;

        g_test_message("%s", rows[i].line);
        g_assert_false(parse(rows[i].line, &parsed, &error));
        g_assert_nonnull(error);
        g_assert_nonnull(strstr(error->message, rows[i].says));
        g_assert_cmpint(migd_exit_for_error(error), ==, MIGD_EXIT_USAGE);
    }
}

/* ---- help ---------------------------------------------------------------------------------- */

static void
assert_help_fits(const char *text)
{
    g_auto(GStrv) lines = g_strsplit(text, "\n", -1);

    g_assert_true(g_str_is_ascii(text));
    for (guint i = 0; lines[i] != NULL; i++) {
        g_test_message("%s", lines[i]);
        g_assert_cmpuint(strlen(lines[i]), <=, 80);
    }
}

static void
test_help(void)
{
    static const char *const verbs[] = {"list",     "status",      "migrate",    "cancel",
                                        "postcopy", "set-limits",  "watch",      "explain",
                                        "replay",   "profiles",    "reload",     "mode",
                                        "monitor",  "set-profile", "dirty-rate", "hooks"};
    g_auto(Parsed) all = {0};
    g_auto(Parsed) version = {0};

    g_assert_true(parse("--help", &all, NULL));
    g_assert_null(all.verb);
    assert_help_fits(all.text);
    for (guint i = 0; i < G_N_ELEMENTS(verbs); i++) {
        g_autofree char *line = g_strconcat(verbs[i], " -h", NULL);
        g_autofree char *entry = g_strconcat("\n  ", verbs[i], " ", NULL);
        g_auto(Parsed) one = {0};

        g_assert_nonnull(strstr(all.text, entry));
        g_assert_true(parse(line, &one, NULL));
        g_assert_null(one.verb);
        assert_help_fits(one.text);
        g_assert_nonnull(strstr(one.text, verbs[i]));
    }
    g_assert_true(parse("--version", &version, NULL));
    g_assert_cmpstr(version.text, ==, "migrationctl " MIGD_VERSION "\n");
}

/* ---- exit codes ---------------------------------------------------------------------------- */

static void
check_exit(GQuark domain, gint code, MigdExit expected)
{
    g_autoptr(GError) error = g_error_new(domain, code, "x");

    g_test_message("%s %d", g_quark_to_string(domain), code);
    g_assert_cmpint(migd_exit_for_error(error), ==, expected);
}

static void
test_exit_codes(void)
{
    static const struct {
        const char *name;
        MigdExit exit;
    } remote[] = {
        {"org.migrationd1.Error.NoSuchDomain", MIGD_EXIT_NO_SUCH},
        {"org.migrationd1.Error.NoSuchMigration", MIGD_EXIT_NO_SUCH},
        {"org.migrationd1.Error.InvalidArgument", MIGD_EXIT_USAGE},
        {"org.migrationd1.Error.TimedOut", MIGD_EXIT_TIMED_OUT},
        {"org.migrationd1.Error.Failed", MIGD_EXIT_FAILED},
        {"org.migrationd1.Error.MigrationInProgress", MIGD_EXIT_FAILED},
        {"org.migrationd1.Error.NotAllowedByProfile", MIGD_EXIT_DENIED},
        {"org.migrationd1.Error.OfTheFuture", MIGD_EXIT_FAILED},
        {"org.freedesktop.DBus.Error.AccessDenied", MIGD_EXIT_DENIED},
        {"org.freedesktop.DBus.Error.ServiceUnknown", MIGD_EXIT_NO_DAEMON},
        {"org.freedesktop.DBus.Error.NameHasNoOwner", MIGD_EXIT_NO_DAEMON},
        {"org.freedesktop.DBus.Error.NoReply", MIGD_EXIT_TIMED_OUT},
        {"org.freedesktop.DBus.Error.UnknownObject", MIGD_EXIT_NO_SUCH},
    };

    for (guint i = 0; i < G_N_ELEMENTS(remote); i++) {
        g_autoptr(GError) error = g_dbus_error_new_for_dbus_error(remote[i].name, "words");
        g_autofree char *text = migd_error_text(&(MigdCli){.style.columns = 80}, error);

        g_test_message("%s", remote[i].name);
        g_assert_cmpint(migd_exit_for_error(error), ==, remote[i].exit);
        g_assert_nonnull(strstr(text, "words"));
        g_assert_null(strstr(text, "GDBus.Error"));
    }
    check_exit(MIGD_ERROR, MIGD_ERROR_NO_SUCH_DOMAIN, MIGD_EXIT_NO_SUCH);
    check_exit(MIGD_ERROR, MIGD_ERROR_ACCESS_DENIED, MIGD_EXIT_DENIED);
    check_exit(MIGD_ERROR, MIGD_ERROR_TIMED_OUT, MIGD_EXIT_TIMED_OUT);
    check_exit(G_DBUS_ERROR, G_DBUS_ERROR_SERVICE_UNKNOWN, MIGD_EXIT_NO_DAEMON);
    check_exit(G_DBUS_ERROR, G_DBUS_ERROR_ACCESS_DENIED, MIGD_EXIT_DENIED);
    check_exit(G_DBUS_ERROR, G_DBUS_ERROR_NO_REPLY, MIGD_EXIT_TIMED_OUT);
    check_exit(G_IO_ERROR, G_IO_ERROR_CONNECTION_REFUSED, MIGD_EXIT_NO_DAEMON);
    check_exit(G_IO_ERROR, G_IO_ERROR_NOT_FOUND, MIGD_EXIT_NO_DAEMON);
    check_exit(G_IO_ERROR, G_IO_ERROR_CLOSED, MIGD_EXIT_NO_DAEMON);
    check_exit(G_IO_ERROR, G_IO_ERROR_TIMED_OUT, MIGD_EXIT_TIMED_OUT);
    check_exit(G_IO_ERROR, G_IO_ERROR_FAILED, MIGD_EXIT_FAILED);
    check_exit(G_OPTION_ERROR, G_OPTION_ERROR_UNKNOWN_OPTION, MIGD_EXIT_USAGE);
    check_exit(G_FILE_ERROR, G_FILE_ERROR_NOENT, MIGD_EXIT_FAILED);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/cli/verbs/understood", test_understood);
    g_test_add_func("/cli/verbs/values", test_values);
    g_test_add_func("/cli/verbs/refused", test_refused);
    g_test_add_func("/cli/verbs/help", test_help);
    g_test_add_func("/cli/exit-codes", test_exit_codes);
    return g_test_run();
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * From argv to a MigdCli. Options may stand before and after the verb.
 */
#include "cli/verbs.h"

#include <string.h>

#include "base/error.h"
#include "base/text.h"
#include "base/units.h"

#define NOT_GIVEN G_MININT

/* As GOption fills it. */
typedef struct {
    char *bus, *json, *migrate_uri, *mode, *profile, *engines, *id, *timeout;
    char **options, **words;
    gboolean no_legend, ascii, bytes, help, version, wait, batch, once, check, chart;
    gboolean postcopy, persistent, enable;
    int parallel, seconds, entries, at_once;
    char *bandwidth, *max_age, *what, *who, *why;
} Raw;

static void
raw_clear(Raw *raw)
{
    g_free(raw->bus);
    g_free(raw->json);
    g_free(raw->migrate_uri);
    g_free(raw->mode);
    g_free(raw->profile);
    g_free(raw->engines);
    g_free(raw->id);
    g_free(raw->timeout);
    g_free(raw->bandwidth);
    g_free(raw->max_age);
    g_free(raw->what);
    g_free(raw->who);
    g_free(raw->why);
    g_strfreev(raw->options);
    g_strfreev(raw->words);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Raw, raw_clear)

/* "--json" alone means the short form: the only option whose value may be left out. */
static char **
with_json_form(char **argv)
{
    char **list = g_strdupv(argv);

    for (guint i = 0; list[i] != NULL && strcmp(list[i], "--") != 0; i++) {
        const char *next = list[i + 1] != NULL ? list[i + 1] : "";

        if (strcmp(list[i], "--json") == 0 && strcmp(next, "short") != 0 &&
            strcmp(next, "pretty") != 0 && strcmp(next, "off") != 0) {
            g_free(list[i]);
            list[i] = g_strdup("--json=short");
        }
    }
    return list;
}

static gboolean
parse_raw(char **argv, Raw *raw, GError **error)
{
    const GOptionEntry entries[] = {
        {"bus", 0, 0, G_OPTION_ARG_STRING, &raw->bus, NULL, NULL},
        {"json", 0, 0, G_OPTION_ARG_STRING, &raw->json, NULL, NULL},
        {"no-legend", 0, 0, G_OPTION_ARG_NONE, &raw->no_legend, NULL, NULL},
        {"ascii", 0, 0, G_OPTION_ARG_NONE, &raw->ascii, NULL, NULL},
        {"bytes", 0, 0, G_OPTION_ARG_NONE, &raw->bytes, NULL, NULL},
        {"help", 'h', 0, G_OPTION_ARG_NONE, &raw->help, NULL, NULL},
        {"version", 0, 0, G_OPTION_ARG_NONE, &raw->version, NULL, NULL},
        {"profile", 0, 0, G_OPTION_ARG_STRING, &raw->profile, NULL, NULL},
        {"engine", 0, 0, G_OPTION_ARG_STRING, &raw->engines, NULL, NULL},
        {"option", 0, 0, G_OPTION_ARG_STRING_ARRAY, &raw->options, NULL, NULL},
        {"id", 0, 0, G_OPTION_ARG_STRING, &raw->id, NULL, NULL},
        {"wait", 0, 0, G_OPTION_ARG_NONE, &raw->wait, NULL, NULL},
        {"timeout", 0, 0, G_OPTION_ARG_STRING, &raw->timeout, NULL, NULL},
        {"batch", 0, 0, G_OPTION_ARG_NONE, &raw->batch, NULL, NULL},
        {"once", 0, 0, G_OPTION_ARG_NONE, &raw->once, NULL, NULL},
        {"check", 0, 0, G_OPTION_ARG_NONE, &raw->check, NULL, NULL},
        {"chart", 0, 0, G_OPTION_ARG_NONE, &raw->chart, NULL, NULL},
        {"postcopy", 0, 0, G_OPTION_ARG_NONE, &raw->postcopy, NULL, NULL},
        {"parallel", 0, 0, G_OPTION_ARG_INT, &raw->parallel, NULL, NULL},
        {"at-once", 0, 0, G_OPTION_ARG_INT, &raw->at_once, NULL, NULL},
        {"migrate-uri", 0, 0, G_OPTION_ARG_STRING, &raw->migrate_uri, NULL, NULL},
        {"persistent", 0, 0, G_OPTION_ARG_NONE, &raw->persistent, NULL, NULL},
        {"seconds", 0, 0, G_OPTION_ARG_INT, &raw->seconds, NULL, NULL},
        {"mode", 0, 0, G_OPTION_ARG_STRING, &raw->mode, NULL, NULL},
        {"enable", 0, 0, G_OPTION_ARG_NONE, &raw->enable, NULL, NULL},
        {"entries", 0, 0, G_OPTION_ARG_INT, &raw->entries, NULL, NULL},
        {"bandwidth", 0, 0, G_OPTION_ARG_STRING, &raw->bandwidth, NULL, NULL},
        {"max-age", 0, 0, G_OPTION_ARG_STRING, &raw->max_age, NULL, NULL},
        {"what", 0, 0, G_OPTION_ARG_STRING, &raw->what, NULL, NULL},
        {"who", 0, 0, G_OPTION_ARG_STRING, &raw->who, NULL, NULL},
        {"why", 0, 0, G_OPTION_ARG_STRING, &raw->why, NULL, NULL},
        {G_OPTION_REMAINING, 0, 0, G_OPTION_ARG_STRING_ARRAY, &raw->words, NULL, NULL},
        G_OPTION_ENTRY_NULL,
    };
    g_autoptr(GOptionContext) context = g_option_context_new(NULL);
    char **list = with_json_form(argv); /* the parser takes out and frees what it knows */
    gboolean ok;

    g_option_context_set_help_enabled(context, FALSE);
    g_option_context_add_main_entries(context, entries, NULL);
    ok = g_option_context_parse_strv(context, &list, error);
    g_strfreev(list);
    return ok;
}

static guint
given(const Raw *raw)
{
    return (raw->profile != NULL ? MIGD_TAKES_PROFILE : 0u) |
           (raw->engines != NULL ? MIGD_TAKES_ENGINE : 0u) |
           (raw->options != NULL ? MIGD_TAKES_OPTION : 0u) |
           (raw->id != NULL ? MIGD_TAKES_ID : 0u) | (raw->wait ? MIGD_TAKES_WAIT : 0u) |
           (raw->timeout != NULL ? MIGD_TAKES_TIMEOUT : 0u) | (raw->batch ? MIGD_TAKES_BATCH : 0u) |
           (raw->once ? MIGD_TAKES_ONCE : 0u) | (raw->check ? MIGD_TAKES_CHECK : 0u) |
           (raw->chart ? MIGD_TAKES_CHART : 0u) | (raw->postcopy ? MIGD_TAKES_POSTCOPY : 0u) |
           (raw->parallel != NOT_GIVEN ? MIGD_TAKES_PARALLEL : 0u) |
           (raw->at_once != NOT_GIVEN ? MIGD_TAKES_AT_ONCE : 0u) |
           (raw->migrate_uri != NULL ? MIGD_TAKES_MIGRATE_URI : 0u) |
           (raw->persistent ? MIGD_TAKES_PERSISTENT : 0u) |
           (raw->seconds != NOT_GIVEN ? MIGD_TAKES_SECONDS : 0u) |
           (raw->mode != NULL ? MIGD_TAKES_MODE : 0u) | (raw->enable ? MIGD_TAKES_ENABLE : 0u) |
           (raw->entries != NOT_GIVEN ? MIGD_TAKES_ENTRIES : 0u) |
           (raw->bandwidth != NULL ? MIGD_TAKES_BANDWIDTH : 0u) |
           (raw->max_age != NULL ? MIGD_TAKES_MAX_AGE : 0u) |
           (raw->what != NULL ? MIGD_TAKES_WHAT : 0u) | (raw->who != NULL ? MIGD_TAKES_WHO : 0u) |
           (raw->why != NULL ? MIGD_TAKES_WHY : 0u);
}

static gboolean
refuse(GError **error, const char *what)
{
    g_set_error_literal(error, MIGD_ERROR, MIGD_ERROR_INVALID_ARGUMENT, what);
    return FALSE;
}

static gboolean
parse_amounts(const Raw *raw, MigdCli *cli, GError **error)
{
    if (raw->bandwidth != NULL && !migd_parse_rate(raw->bandwidth, &cli->bandwidth_bps, error)) {
        g_prefix_error(error, "--bandwidth=: ");
        return FALSE;
    }
    if (raw->max_age != NULL && !migd_parse_duration(raw->max_age, &cli->max_age_us, error)) {
        g_prefix_error(error, "--max-age=: ");
        return FALSE;
    }
    return TRUE;
}

static gboolean
parse_values(const Raw *raw, MigdCli *cli, GError **error)
{
    static const char *const forms[] = {
        [MIGD_OUTPUT_TEXT] = "off",
        [MIGD_OUTPUT_SHORT] = "short",
        [MIGD_OUTPUT_PRETTY] = "pretty",
    };

    cli->output = MIGD_OUTPUT_TEXT;
    if (raw->json != NULL) {
        guint form = 0;
        while (form < G_N_ELEMENTS(forms) && !g_str_equal(raw->json, forms[form]))
            form++;
        if (form == G_N_ELEMENTS(forms))
            return refuse(error, "--json= takes short, pretty or off");
        cli->output = (MigdOutput)form;
    }
    if (raw->id != NULL && !migd_text_is_uuid(raw->id))
        return refuse(error, "--id= takes a UUID in lower case");
    if (raw->timeout != NULL) {
        if (!migd_parse_duration(raw->timeout, &cli->timeout_us, error)) {
            g_prefix_error(error, "--timeout=: ");
            return FALSE;
        }
        if (cli->timeout_us == 0)
            return refuse(error, "--timeout= takes more than nothing");
        if (!raw->wait)
            return refuse(error, "--timeout goes with --wait");
    }
    if (raw->parallel != NOT_GIVEN && raw->parallel < 1)
        return refuse(error, "--parallel= takes a number of connections from 1");
    if (raw->at_once != NOT_GIVEN && (raw->at_once < 1 || raw->at_once > 16))
        return refuse(error, "--at-once= takes 1 to 16");
    if (raw->seconds != NOT_GIVEN && (raw->seconds < 1 || raw->seconds > 60))
        return refuse(error, "--seconds= takes 1 to 60");
    if (raw->entries != NOT_GIVEN && (raw->entries < 1 || !raw->enable))
        return refuse(error, "--entries= takes a number, and goes with --enable");
    for (char **option = raw->options; option != NULL && *option != NULL; option++)
        if (strchr(*option, '=') == NULL || **option == '=')
            return refuse(error, "--option= takes KEY=VALUE");
    return parse_amounts(raw, cli, error);
}

static void
keep(Raw *raw, MigdCli *cli)
{
    cli->bus = raw->bus != NULL ? g_steal_pointer(&raw->bus) : g_strdup("system");
    cli->profile = g_steal_pointer(&raw->profile);
    cli->engines = g_steal_pointer(&raw->engines);
    cli->options = g_steal_pointer(&raw->options);
    cli->id = g_steal_pointer(&raw->id);
    cli->legend = !raw->no_legend;
    cli->style.ascii = raw->ascii;
    cli->style.bytes = raw->bytes;
    cli->wait = raw->wait;
    cli->batch = raw->batch;
    cli->once = raw->once;
    cli->check = raw->check;
    cli->chart = raw->chart;
    cli->postcopy = raw->postcopy;
    cli->parallel = raw->parallel != NOT_GIVEN ? (guint)raw->parallel : 0;
    cli->at_once = raw->at_once != NOT_GIVEN ? (guint)raw->at_once : 0;
    cli->migrate_uri = g_steal_pointer(&raw->migrate_uri);
    cli->persistent = raw->persistent;
    cli->seconds = raw->seconds != NOT_GIVEN ? (guint)raw->seconds : 0;
    cli->mode = g_steal_pointer(&raw->mode);
    cli->enable = raw->enable;
    cli->what = g_steal_pointer(&raw->what);
    cli->who = g_steal_pointer(&raw->who);
    cli->why = g_steal_pointer(&raw->why);
    cli->entries = raw->entries != NOT_GIVEN ? (guint32)raw->entries : 0;
    cli->has_max_age = raw->max_age != NULL;
}

gboolean
migd_parse_arguments(char **argv, MigdCli *cli, const MigdVerb **ret_verb, char ***ret_arguments,
                     char **ret_text, GError **error)
{
    g_auto(Raw) raw = {
        .parallel = NOT_GIVEN, .seconds = NOT_GIVEN, .entries = NOT_GIVEN, .at_once = NOT_GIVEN};
    const MigdVerb *verb;
    char **arguments;

    *ret_verb = NULL;
    if (!parse_raw(argv, &raw, error))
        return FALSE;
    if (raw.version) {
        *ret_text = g_strdup("migrationctl " MIGD_VERSION "\n");
        return TRUE;
    }
    if (raw.help && raw.words == NULL) {
        *ret_text = migd_verbs_help();
        return TRUE;
    }
    verb = migd_verb_find(raw.words != NULL ? raw.words[0] : "list", error);
    if (verb == NULL)
        return FALSE;
    if (raw.help) {
        *ret_text = migd_verb_help(verb);
        return TRUE;
    }
    arguments = raw.words != NULL ? raw.words + 1 : NULL;
    if (!migd_verb_check(verb, arguments != NULL ? g_strv_length(arguments) : 0, given(&raw),
                         error) ||
        !parse_values(&raw, cli, error))
        return FALSE;
    *ret_arguments = arguments != NULL ? g_strdupv(arguments) : g_new0(char *, 1);
    keep(&raw, cli);
    *ret_verb = verb;
    return TRUE;
}

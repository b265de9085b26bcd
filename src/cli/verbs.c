/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The table of verbs, and what can be said about a command line without running it.
 */
#include "cli/verbs.h"

#include <string.h>

#include "base/error.h"

#define ANY G_MAXUINT

static const MigdVerb verbs[] = {
    {"list", "", "Guests of this host and their migrations (the default)", 0, 0, 0, migd_verb_list},
    {"status", "[VM|ID]", "All migrations, or one in detail", 0, 1, 0, migd_verb_status},
    {"migrate", "VM DEST", "Start a migration to unix:PATH, tcp:HOST:PORT, qemu+...", 2, 2,
     MIGD_TAKES_PROFILE | MIGD_TAKES_OPTION | MIGD_TAKES_ID | MIGD_TAKES_WAIT | MIGD_TAKES_TIMEOUT |
         MIGD_TAKES_POSTCOPY | MIGD_TAKES_PARALLEL | MIGD_TAKES_MIGRATE_URI,
     migd_verb_migrate},
    {"evacuate", "DEST", "Migrate all guests of this host, one after another", 1, 1,
     MIGD_TAKES_PROFILE | MIGD_TAKES_OPTION | MIGD_TAKES_WAIT | MIGD_TAKES_TIMEOUT |
         MIGD_TAKES_POSTCOPY | MIGD_TAKES_PARALLEL | MIGD_TAKES_MIGRATE_URI | MIGD_TAKES_AT_ONCE,
     migd_verb_evacuate},
    {"predict", "VM [DEST]", "What a migration would come to, before it starts", 1, 2,
     MIGD_TAKES_PROFILE | MIGD_TAKES_OPTION | MIGD_TAKES_POSTCOPY | MIGD_TAKES_SECONDS |
         MIGD_TAKES_MODE | MIGD_TAKES_BANDWIDTH | MIGD_TAKES_MAX_AGE,
     migd_verb_predict},
    {"history", "[VM]", "Finished migrations, what was predicted and what came", 0, 1, 0,
     migd_verb_history},
    {"cancel", "VM|ID", "End a migration; the guest stays here", 1, 1, 0, migd_verb_cancel},
    {"postcopy", "VM|ID", "Switch to post-copy now", 1, 1, 0, migd_verb_postcopy},
    {"set-limits", "VM|ID KEY=VALUE...", "Change limits of a running migration", 2, ANY, 0,
     migd_verb_set_limits},
    {"set-profile", "VM [NAME]", "Give a VM a profile that goes with it; no NAME: none", 1, 2,
     MIGD_TAKES_PERSISTENT, migd_verb_set_profile},
    {"dirty-rate", "VM", "Measure how fast a VM writes to its memory", 1, 1,
     MIGD_TAKES_SECONDS | MIGD_TAKES_MODE, migd_verb_dirty_rate},
    {"watch", "[VM|ID]", "See a migration live", 0, 1, MIGD_TAKES_BATCH | MIGD_TAKES_ONCE,
     migd_verb_watch},
    {"explain", "VM|ID|TRACE", "Why each decision was taken, and what came of it", 1, 1, 0,
     migd_verb_explain},
    {"replay", "TRACE", "Run today's policy over a recorded migration", 1, 1,
     MIGD_TAKES_PROFILE | MIGD_TAKES_CHECK | MIGD_TAKES_CHART, migd_verb_replay},
    {"simulate", "FILE...", "Play described migrations, and say what each would cost", 1, ANY,
     MIGD_TAKES_PROFILE | MIGD_TAKES_ENGINE, migd_verb_simulate},
    {"hold", "VM [-- COMMAND...]", "Keep a VM here while COMMAND runs, or until Ctrl-C", 1, ANY,
     MIGD_TAKES_WHAT | MIGD_TAKES_WHO | MIGD_TAKES_WHY, migd_verb_hold},
    {"capabilities", "", "How writes of guests can be tracked here, and are", 0, 0, 0,
     migd_verb_capabilities},
    {"write-protect", "VM [MECHANISM]", "The same for one guest; --enable turns on the best", 1, 2,
     MIGD_TAKES_ENABLE | MIGD_TAKES_ENTRIES, migd_verb_write_protect},
    {"profiles", "", "Names of the profiles", 0, 0, 0, migd_verb_profiles},
    {"reload", "", "Make the daemon read its configuration again", 0, 0, 0, migd_verb_reload},
    {"mode", "[enforce|observe]", "Show or set whether decisions are carried out", 0, 1, 0,
     migd_verb_mode},
    {"monitor", "", "Print what the daemon announces, as it comes", 0, 0, 0, migd_verb_monitor},
    {"metrics", "[FILE]", "Numbers for Prometheus, as text or into a file", 0, 1, 0,
     migd_verb_metrics},
    {"hooks", "install|status|remove", "libvirt's hook, which shows what arrives here", 1, 1, 0,
     migd_verb_hooks},
};

/* Options of single verbs, in the order of the help. */
static const struct {
    MigdTakes takes;
    const char *option, *help;
} options[] = {
    {MIGD_TAKES_PROFILE, "--profile=NAME", "Limits and permissions to use; offline also a file"},
    {MIGD_TAKES_ENGINE, "--engine=NAME,...",
     "What steers: migrationd (the default), others, or all"},
    {MIGD_TAKES_OPTION, "--option=KEY=VALUE",
     "One key of a profile, e.g. MaxDowntime=200ms; repeat"},
    {MIGD_TAKES_ID, "--id=UUID", "The identity of the new migration"},
    {MIGD_TAKES_WAIT, "--wait", "Wait for the end; exit 0 only if it succeeded"},
    {MIGD_TAKES_TIMEOUT, "--timeout=TIME", "With --wait: wait no longer, e.g. 90s or 10min"},
    {MIGD_TAKES_POSTCOPY, "--postcopy", "Make post-copy possible; the destination must allow it"},
    {MIGD_TAKES_PARALLEL, "--parallel=N", "libvirt: connections, instead of as many as needed"},
    {MIGD_TAKES_MIGRATE_URI, "--migrate-uri=URI", "libvirt: where the stream goes"},
    {MIGD_TAKES_AT_ONCE, "--at-once=N", "So many at a time, 1 (the default) to 16"},
    {MIGD_TAKES_PERSISTENT, "--persistent", "For the next start of the VM as well"},
    {MIGD_TAKES_SECONDS, "--seconds=N", "How long to measure, 1 to 60"},
    {MIGD_TAKES_MODE, "--mode=MODE", "page-sampling, or on KVM dirty-bitmap, dirty-ring"},
    {MIGD_TAKES_BATCH, "--batch", "Plain lines instead of a picture that changes"},
    {MIGD_TAKES_ONCE, "--once", "Print the picture as it is now, and exit"},
    {MIGD_TAKES_CHECK, "--check", "Exit 1 unless the decisions are the same, bit for bit"},
    {MIGD_TAKES_ENABLE, "--enable", "Turn MECHANISM on, or the best by the profile"},
    {MIGD_TAKES_BANDWIDTH, "--bandwidth=RATE", "What the link carries, e.g. 10Gbit/s"},
    {MIGD_TAKES_MAX_AGE, "--max-age=TIME", "An earlier measurement this old will do (30s)"},
    {MIGD_TAKES_ENTRIES, "--entries=N", "Of each vCPU's dirty ring, 1024 to 65536"},
    {MIGD_TAKES_CHART, "--chart", "Show the picture too"},
    {MIGD_TAKES_WHAT, "--what=WHAT", "migrate (the default), steer, or migrate:steer"},
    {MIGD_TAKES_WHO, "--who=NAME", "Who holds it, for people to read; else COMMAND"},
    {MIGD_TAKES_WHY, "--why=TEXT", "For what reason, for people to read"},
};

/* ---- finding ------------------------------------------------------------------------------- */

/* Levenshtein distance; words here are short. */
static guint
distance(const char *a, const char *b)
{
    gsize length = strlen(b);
    g_autofree guint *row = g_new(guint, length + 1);

    for (gsize j = 0; j <= length; j++)
        row[j] = (guint)j;
    for (gsize i = 0; a[i] != '\0'; i++) {
        guint diagonal = row[0];

        row[0] = (guint)i + 1;
        for (gsize j = 0; j < length; j++) {
            guint replaced = diagonal + (a[i] == b[j] ? 0 : 1);

            diagonal = row[j + 1];
            row[j + 1] = MIN(MIN(row[j], row[j + 1]) + 1, replaced);
        }
    }
    return row[length];
}

static const MigdVerb *
nearest(const char *name)
{
    const MigdVerb *found = NULL;
    guint best = 4; /* farther than this is no typing error */

    for (guint i = 0; i < G_N_ELEMENTS(verbs) && strlen(name) < 32; i++) {
        guint d = g_str_has_prefix(verbs[i].name, name) ? 1 : distance(name, verbs[i].name);

        if (d < best && d < strlen(verbs[i].name)) {
            best = d;
            found = &verbs[i];
        }
    }
    return found;
}

const MigdVerb *
migd_verb_find(const char *name, GError **error)
{
    const MigdVerb *guess;

    for (guint i = 0; i < G_N_ELEMENTS(verbs); i++)
        if (strcmp(name, verbs[i].name) == 0)
            return &verbs[i];
    guess = nearest(name);
    if (guess != NULL)
        g_set_error(error, MIGD_ERROR, MIGD_ERROR_INVALID_ARGUMENT,
                    "unknown verb \"%s\"; did you mean \"%s\"?", name, guess->name);
    else
        g_set_error(error, MIGD_ERROR, MIGD_ERROR_INVALID_ARGUMENT,
                    "unknown verb \"%s\"; see migrationctl --help", name);
    return NULL;
}

gboolean
migd_verb_check(const MigdVerb *verb, guint n_arguments, guint given, GError **error)
{
    if (n_arguments < verb->min || n_arguments > verb->max) {
        g_set_error(error, MIGD_ERROR, MIGD_ERROR_INVALID_ARGUMENT, "usage: migrationctl %s %s",
                    verb->name, verb->arguments);
        return FALSE;
    }
    for (guint i = 0; i < G_N_ELEMENTS(options); i++) {
        if (given & ~verb->takes & options[i].takes) {
            g_autofree char *option = g_strndup(options[i].option, strcspn(options[i].option, "="));
            g_set_error(error, MIGD_ERROR, MIGD_ERROR_INVALID_ARGUMENT, "%s does not take %s",
                        verb->name, option);
            return FALSE;
        }
    }
    return TRUE;
}

/* ---- help ---------------------------------------------------------------------------------- */

static void
append_options(GString *out, guint takes)
{
    for (guint i = 0; i < G_N_ELEMENTS(options); i++)
        if (takes & options[i].takes)
            g_string_append_printf(out, "  %-21s %s\n", options[i].option, options[i].help);
}

char *
migd_verbs_help(void)
{
    GString *out = g_string_new("migrationctl [OPTIONS...] VERB [ARGUMENTS...]\n\n"
                                "See and steer the live migrations of this host.\n\nVerbs:\n");

    for (guint i = 0; i < G_N_ELEMENTS(verbs); i++) {
        g_autofree char *usage = g_strdup_printf("%s %s", verbs[i].name, verbs[i].arguments);
        if (strlen(usage) > 21)
            g_string_append_printf(out, "  %s\n  %-21s %s\n", usage, "", verbs[i].help);
        else
            g_string_append_printf(out, "  %-21s %s\n", usage, verbs[i].help);
    }
    g_string_append(
        out, "\nOptions of migrate, replay, simulate and watch (migrationctl VERB --help):\n");
    append_options(out, G_MAXUINT);
    g_string_append(out,
                    "\nOptions of every verb:\n"
                    "  --bus=BUS             system (the default), session, or an address\n"
                    "  --json=FORM           short (a line), pretty or off\n"
                    "  --no-legend           No titles and totals around tables\n"
                    "  --ascii               Nothing but ASCII, pictures too\n"
                    "  --bytes               Amounts as plain numbers of bytes\n"
                    "  -h, --help            This text, or that of a verb\n"
                    "  --version             The version\n"
                    "\nExit status: 0 done, 1 failed, 2 wrong usage, 3 no such VM or migration,\n"
                    "4 denied, 5 no daemon, 6 timed out.\n");
    return g_string_free(out, FALSE);
}

char *
migd_verb_help(const MigdVerb *verb)
{
    GString *out = g_string_new(NULL);

    g_string_append_printf(out, "migrationctl %s%s%s%s\n\n%s.\n", verb->name,
                           verb->takes != 0 ? " [OPTIONS...]" : "",
                           verb->arguments[0] != '\0' ? " " : "", verb->arguments, verb->help);
    if (verb->takes != 0)
        g_string_append(out, "\nOptions:\n");
    append_options(out, verb->takes);
    g_string_append(out, "\nSee migrationctl --help for the options of every verb.\n");
    return g_string_free(out, FALSE);
}

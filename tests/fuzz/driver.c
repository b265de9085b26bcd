/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Runs a fuzz target without libFuzzer: first the corpus as it is, then mutations of it. Each
 * mutation is a function of the seed, its number and the corpus alone, so a number that crashed
 * crashes again (--only). Not coverage-guided: it guards against regressions; hunting is
 * libFuzzer's.
 */
#include "fuzz.h"

#include <glib.h>
#include <glib/gstdio.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define INPUT_BYTES (256 * 1024) /* bytes */
#define MAX_CHANGES 6            /* in one mutation */

static gint runs = 20000, seconds = 15, only = -1;
static gint64 seed = 1;
static char *save;

static const GOptionEntry options[] = {
    {"runs", 0, 0, G_OPTION_ARG_INT, &runs, "Mutations to run", "N"},
    {"seconds", 0, 0, G_OPTION_ARG_INT, &seconds, "Stop after so long", "N"},
    {"seed", 0, 0, G_OPTION_ARG_INT64, &seed, "Another set of mutations", "N"},
    {"only", 0, 0, G_OPTION_ARG_INT, &only, "Run just this mutation", "N"},
    {"save", 0, 0, G_OPTION_ARG_FILENAME, &save, "Write the input of --only to a file", "FILE"},
    G_OPTION_ENTRY_NULL,
};

/* What formats trip over. */
static const char *const tokens[] = {
    "{",
    "}",
    "[",
    "]",
    ",",
    ":",
    "\"",
    "\\",
    "\\u0000",
    "\\ud800",
    "null",
    "true",
    "NaN",
    "-1",
    "1e999",
    "-",
    "0.5",
    "\n",
    "\r\n",
    "\xff",
    "\xc3",
    "\"id\":1",
    "\"return\":{}",
    "18446744073709551615",
    "18446744073709551616",
    "9223372036854775807",
    "99999999999999999999",
    "\"event\":\"MIGRATION_PASS\"",
    "\"status\":\"active\"",
    "\"status\":\"completed\"",
    "\"v\":1",
};

static gint current = -1; /* mutation under way; -1 = the corpus */

/* Only what is safe in a signal handler. */
static void
on_crash(int number)
{
    char text[64];
    gsize n = 0;
    gint value = current;

    for (const char *p = "driver: crashed in mutation "; *p != '\0'; p++)
        text[n++] = *p;
    if (value < 0)
        text[n++] = '-';
    for (gint unit = 1000000000, begun = 0; unit > 0; unit /= 10) {
        gint digit = ABS(value) / unit % 10;

        begun |= digit != 0 || unit == 1;
        if (begun)
            text[n++] = (char)('0' + digit);
    }
    text[n++] = '\n';
    if (write(STDERR_FILENO, text, n) < 0)
        _exit(1);
    (void)signal(number, SIG_DFL);
    (void)raise(number);
}

/* splitmix64: a good generator out of any counter. */
static guint64
next_random(guint64 *state)
{
    guint64 z = (*state += G_GUINT64_CONSTANT(0x9e3779b97f4a7c15));

    z = (z ^ (z >> 30)) * G_GUINT64_CONSTANT(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * G_GUINT64_CONSTANT(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

static gsize
below(guint64 *state, gsize limit)
{
    return limit > 0 ? (gsize)(next_random(state) % limit) : 0;
}

static void
insert(GString *s, gsize at, const char *bytes, gsize length)
{
    if (s->len + length <= INPUT_BYTES)
        g_string_insert_len(s, (gssize)at, bytes, (gssize)length);
}

static void
change(GString *s, const GPtrArray *corpus, guint64 *state)
{
    gsize at = below(state, s->len + 1);
    gsize length = below(state, MIN(s->len - at, 64) + 1);

    switch (below(state, 7)) {
    case 0:
        if (at < s->len)
            s->str[at] = (char)(s->str[at] ^ (1 << below(state, 8)));
        break;
    case 1:
        if (at < s->len)
            s->str[at] = (char)below(state, 256);
        break;
    case 2: {
        const char *token = tokens[below(state, G_N_ELEMENTS(tokens))];

        insert(s, at, token, strlen(token));
        break;
    }
    case 3:
        g_string_erase(s, (gssize)at, (gssize)length);
        break;
    case 4: { /* repeat a piece */
        g_autofree char *piece = g_memdup2(s->str + at, length + 1);

        for (gsize n = 1 + below(state, 8); n > 0; n--)
            insert(s, at, piece, length);
        break;
    }
    case 5: { /* a piece of another one */
        GBytes *other = g_ptr_array_index(corpus, below(state, corpus->len));
        gsize size;
        const char *bytes = g_bytes_get_data(other, &size);
        gsize from = below(state, size + 1);

        insert(s, at, bytes + from, below(state, size - from + 1));
        break;
    }
    default:
        g_string_truncate(s, at);
    }
}

static GString *
mutate(const GPtrArray *corpus, gint number)
{
    guint64 state = (guint64)seed * G_GUINT64_CONSTANT(0x2545f4914f6cdd1d) + (guint64)number;
    GBytes *base = g_ptr_array_index(corpus, below(&state, corpus->len));
    gsize size;
    const char *bytes = g_bytes_get_data(base, &size);
    GString *s = g_string_new_len(bytes, (gssize)MIN(size, INPUT_BYTES));

    for (gsize n = 1 + below(&state, MAX_CHANGES); n > 0; n--)
        change(s, corpus, &state);
    return s;
}

static void
run(const void *bytes, gsize size)
{
    /* A block of its own size, so that a sanitizer sees each byte read too far. */
    g_autofree guint8 *copy = size > 0 ? g_memdup2(bytes, size) : g_malloc(1);

    (void)LLVMFuzzerTestOneInput(copy, size);
}

static gint
by_name(gconstpointer a, gconstpointer b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Every file in `directory`, by name, so that the order is the same everywhere. */
static void
load(GPtrArray *corpus, const char *directory)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(GDir) handle = g_dir_open(directory, 0, &error);
    g_autoptr(GPtrArray) names = g_ptr_array_new_with_free_func(g_free);
    const char *name;

    if (handle == NULL)
        g_error("%s", error->message);
    while ((name = g_dir_read_name(handle)) != NULL)
        g_ptr_array_add(names, g_build_filename(directory, name, NULL));
    g_ptr_array_sort(names, by_name);
    for (guint i = 0; i < names->len; i++) {
        char *text;
        gsize size;

        if (!g_file_get_contents(g_ptr_array_index(names, i), &text, &size, &error))
            g_error("%s", error->message);
        g_ptr_array_add(corpus, g_bytes_new_take(text, size));
    }
}

static gint
run_mutations(const GPtrArray *corpus)
{
    gint64 end = g_get_monotonic_time() + seconds * G_USEC_PER_SEC;
    gint first = only >= 0 ? only : 0, last = only >= 0 ? only + 1 : runs;

    for (current = first; current < last; current++) {
        g_autoptr(GString) input = mutate(corpus, current);

        if (save != NULL && only >= 0)
            (void)g_file_set_contents(save, input->str, (gssize)input->len, NULL);
        run(input->str, input->len);
        if (g_get_monotonic_time() > end)
            return current + 1 - first;
    }
    return last - first;
}

int
main(int argc, char **argv)
{
    g_autoptr(GOptionContext) context = g_option_context_new("CORPUS-DIRECTORY…");
    g_autoptr(GPtrArray) corpus = g_ptr_array_new_with_free_func((GDestroyNotify)g_bytes_unref);
    g_autoptr(GError) error = NULL;
    gint done;

    g_option_context_add_main_entries(context, options, NULL);
    if (!g_option_context_parse(context, &argc, &argv, &error))
        g_error("%s", error->message);
    for (gint i = 1; i < argc; i++)
        load(corpus, argv[i]);
    if (corpus->len == 0)
        g_error("no corpus");
    printf("seed %" G_GINT64_FORMAT ", %u files\n", seed, corpus->len);
    (void)fflush(stdout);
    (void)signal(SIGABRT, on_crash);
    (void)signal(SIGTRAP, on_crash);
#ifndef __SANITIZE_ADDRESS__ /* which has a better handler, and then aborts */
    (void)signal(SIGSEGV, on_crash);
#endif
    for (guint i = 0; i < corpus->len; i++) {
        gsize size;
        const void *bytes = g_bytes_get_data(g_ptr_array_index(corpus, i), &size);

        run(bytes, size);
    }
    done = run_mutations(corpus);
    printf("%d mutations%s\n", done, done < runs && only < 0 ? " (time is up)" : "");
    return 0;
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The verb predict: what a migration would come to, what the policy would do, and what both rest
 * on.
 */
#include "cli/verbs.h"

#include <string.h>

#include "base/error.h"
#include "base/names.h"
#include "base/units.h"
#include "policy/decision.h"

#define INDENT 18

static GVariant *
call_options(const MigdCli *cli, const char *destination)
{
    g_auto(GVariantBuilder) options = G_VARIANT_BUILDER_INIT(G_VARIANT_TYPE_VARDICT);

    if (destination != NULL)
        g_variant_builder_add(&options, "{sv}", "destination", g_variant_new_string(destination));
    if (cli->profile != NULL)
        g_variant_builder_add(&options, "{sv}", "profile", g_variant_new_string(cli->profile));
    if (cli->postcopy)
        g_variant_builder_add(&options, "{sv}", "postcopy", g_variant_new_boolean(TRUE));
    if (cli->bandwidth_bps != 0)
        g_variant_builder_add(&options, "{sv}", "bandwidth",
                              g_variant_new_uint64(cli->bandwidth_bps));
    if (cli->seconds != 0)
        g_variant_builder_add(&options, "{sv}", "seconds", g_variant_new_uint32(cli->seconds));
    if (cli->mode != NULL)
        g_variant_builder_add(&options, "{sv}", "mode", g_variant_new_string(cli->mode));
    if (cli->has_max_age)
        g_variant_builder_add(
            &options, "{sv}", "max-age",
            g_variant_new_uint32((guint32)MIN(cli->max_age_us / G_USEC_PER_SEC, G_MAXUINT32)));
    for (char **option = cli->options; option != NULL && *option != NULL; option++) {
        const char *equals = strchr(*option, '=');
        g_autofree char *key = g_strndup(*option, (gsize)(equals - *option));
        g_variant_builder_add(&options, "{sv}", key, g_variant_new_string(equals + 1));
    }
    return g_variant_builder_end(&options);
}

/* ---- ranges --------------------------------------------------------------------------------- */

typedef enum { DURATION, BYTES, PERCENT } Form;

static char *
amount(const MigdStyle *style, Form form, guint64 number)
{
    if (number == MIGD_NEVER)
        return g_strdup("never");
    switch (form) {
    case DURATION:
        return migd_format_duration(number);
    case BYTES:
        return migd_style_bytes(style, number);
    case PERCENT:
        return g_strdup_printf("%" G_GUINT64_FORMAT " %%", number);
    }
    return g_strdup("");
}

static void
append_row(GString *out, const char *title, const char *text)
{
    g_string_append_printf(out, "%*s: %s\n", INDENT - 2, title, text);
}

static void
append_range(GString *out, const MigdStyle *style, const char *title, Form form, GVariant *answer,
             const char *key)
{
    guint64 low, mid, high;

    if (!g_variant_lookup(answer, key, "(ttt)", &low, &mid, &high))
        return;
    g_autofree char *likely = amount(style, form, mid);
    g_autofree char *least = amount(style, form, low);
    g_autofree char *most = amount(style, form, high);
    g_autofree char *text =
        low == high ? g_strdup(likely) : g_strdup_printf("%s (%s to %s)", likely, least, most);
    append_row(out, title, text);
}

/* ---- actions -------------------------------------------------------------------------------- */

static char *
action_text(const MigdStyle *style, GVariant *action)
{
    const char *word = migd_dict_string(action, "action");
    guint64 argument = migd_dict_number(action, "argument");
    guint share = (guint)migd_dict_number(action, "share_pct");
    g_autofree char *clean = migd_style_text(style, word);
    g_autofree char *what = NULL;

    if (g_str_equal(word, "set-downtime"))
        what = migd_format_duration(argument);
    else if (g_str_equal(word, "set-bandwidth"))
        what = migd_style_rate(style, argument);
    else if (g_str_equal(word, "throttle") || g_str_equal(word, "arm-throttle"))
        what = g_strdup_printf("%" G_GUINT64_FORMAT " %%", argument);
    return g_strdup_printf("%s%s%s (in %u %%)", clean, what != NULL ? " " : "",
                           what != NULL ? what : "", share);
}

static void
append_actions(GString *out, const MigdStyle *style, GVariant *answer)
{
    g_autoptr(GVariant) actions =
        g_variant_lookup_value(answer, "actions", G_VARIANT_TYPE("aa{sv}"));

    if (actions == NULL || g_variant_n_children(actions) == 0) {
        append_row(out, "The policy would", "do nothing");
        return;
    }
    for (gsize i = 0; i < g_variant_n_children(actions); i++) {
        g_autoptr(GVariant) action = migd_dict_at(actions, i);
        g_autofree char *text = action_text(style, action);
        append_row(out, i == 0 ? "The policy would" : "", text);
    }
}

/* ---- inputs --------------------------------------------------------------------------------- */

static void
append_source(GString *out, const MigdStyle *style, GVariant *input)
{
    g_autofree char *source = migd_style_text(style, migd_dict_string(input, "source"));
    guint64 age_us = migd_dict_number(input, "age_us");
    guint n = (guint)migd_dict_number(input, "n");
    g_autofree char *age = migd_format_duration(age_us);

    g_string_append(out, source);
    if (g_str_equal(source, "learned"))
        g_string_append_printf(out, " from %u migration%s, the newest %s ago", n, n == 1 ? "" : "s",
                               age);
    else if (age_us > 0)
        g_string_append_printf(out, " %s ago", age);
}

static void
append_input(GString *out, const MigdStyle *style, GVariant *inputs, const char *key,
             const char *title)
{
    static const char *const durations[] = {"fixed-downtime", "setup", NULL};
    g_autoptr(GVariant) input = g_variant_lookup_value(inputs, key, G_VARIANT_TYPE_VARDICT);
    guint64 value;

    if (input == NULL)
        return;
    value = migd_dict_number(input, "value");
    g_autofree char *shown = g_strv_contains(durations, key) ? migd_format_duration(value)
                             : g_str_equal(key, "filled")    ? migd_style_bytes(style, value)
                                                             : migd_style_rate(style, value);
    g_autoptr(GString) text = g_string_new(value > 0 ? shown : "");

    if (value > 0)
        g_string_append(text, ", ");
    append_source(text, style, input);
    append_row(out, title, text->str);
}

static void
append_curve(GString *out, const MigdStyle *style, GVariant *inputs)
{
    g_autoptr(GVariant) curve =
        g_variant_lookup_value(inputs, "dirty-curve", G_VARIANT_TYPE_VARDICT);
    g_autoptr(GVariant) points =
        curve != NULL ? g_variant_lookup_value(curve, "points", G_VARIANT_TYPE("a(tt)")) : NULL;
    g_autoptr(GString) text = g_string_new(NULL);

    for (gsize i = 0; points != NULL && i < g_variant_n_children(points); i++) {
        guint64 us, bytes;

        g_variant_get_child(points, i, "(tt)", &us, &bytes);
        g_autofree char *period = migd_format_duration(us);
        g_autofree char *dirty = migd_style_bytes(style, bytes);
        g_string_append_printf(text, "%s in %s, ", dirty, period);
    }
    if (curve != NULL)
        append_source(text, style, curve);
    append_row(out, "Guest dirties", text->str);
}

/* How the guest's writes would be tracked, at what price, and what else there is. */
static void
append_write_protect(GString *out, const MigdStyle *style, GVariant *inputs)
{
    g_autoptr(GVariant) input =
        g_variant_lookup_value(inputs, "write-protect", G_VARIANT_TYPE_VARDICT);
    g_autoptr(GVariant) others =
        input != NULL ? g_variant_lookup_value(input, "others", G_VARIANT_TYPE("a{ss}")) : NULL;

    if (input == NULL)
        return;
    g_autofree char *mechanism = migd_style_text(style, migd_dict_string(input, "mechanism"));
    g_autofree char *price = migd_style_text(style, migd_dict_string(input, "price"));
    g_autofree char *text = g_strdup_printf("%s: %s", mechanism, price);
    append_row(out, "Dirty log", text);
    for (gsize i = 0; others != NULL && i < g_variant_n_children(others); i++) {
        const char *name, *cost;

        g_variant_get_child(others, i, "{&s&s}", &name, &cost);
        g_autofree char *other = migd_style_text(style, name);
        g_autofree char *its = migd_style_text(style, cost);
        g_autofree char *line = g_strdup_printf("%s: %s", other, its);
        append_row(out, "or", line);
    }
}

static void
append_inputs(GString *out, const MigdStyle *style, GVariant *answer)
{
    static const struct {
        const char *key, *title;
    } rows[] = {{"bandwidth", "Passes go at"},
                {"link", "The pause at"},
                {"filled", "Memory in use"},
                {"fixed-downtime", "Fixed pause"},
                {"setup", "Setup"}};
    g_autoptr(GVariant) inputs = g_variant_lookup_value(answer, "inputs", G_VARIANT_TYPE_VARDICT);

    if (inputs == NULL)
        return;
    append_curve(out, style, inputs);
    for (guint i = 0; i < G_N_ELEMENTS(rows); i++)
        append_input(out, style, inputs, rows[i].key, rows[i].title);
    append_write_protect(out, style, inputs);
}

/* ---- the verb ------------------------------------------------------------------------------- */

static void
append_verdict(GString *out, const MigdStyle *style, GVariant *answer)
{
    guint arrives = (guint)migd_dict_number(answer, "arrives_pct");
    guint alone = (guint)migd_dict_number(answer, "alone_pct");
    g_autofree char *verdict = migd_style_text(style, migd_dict_string(answer, "verdict"));

    migd_paint(out, style, arrives >= 90 ? MIGD_INK_GOOD : MIGD_INK_BAD, verdict);
    g_string_append_printf(
        out,
        ": it gets there in %u %% of the ways it may go, in %u %% without taking anything "
        "from the guest\n",
        arrives, alone);
}

static void
print_answer(const MigdCli *cli, const char *vm, GVariant *answer)
{
    const MigdStyle *style = &cli->style;
    g_autofree char *name = migd_style_text(style, vm);
    g_autoptr(GString) out = g_string_new(NULL);
    gboolean known = FALSE;

    migd_paint(out, style, MIGD_INK_BOLD, name);
    g_string_append(out, ": ");
    if (g_variant_lookup(answer, "known", "b", &known) && known) {
        append_verdict(out, style, answer);
        append_range(out, style, "Total time", DURATION, answer, "total_us");
        append_range(out, style, "Pause", DURATION, answer, "downtime_us");
        append_range(out, style, "To be sent", BYTES, answer, "transferred_bytes");
        append_range(out, style, "Throttle", PERCENT, answer, "throttle_pct");
        append_range(out, style, "Work lost", DURATION, answer, "lost_us");
        append_actions(out, style, answer);
    } else {
        g_autofree char *missing = migd_style_text(style, migd_dict_string(answer, "missing"));
        g_string_append_printf(out, "unknown; not known: %s\n", missing);
    }
    append_inputs(out, style, answer);
    migd_cli_print(out->str);
}

MigdExit
migd_verb_predict(MigdCli *cli, char **arguments, GError **error)
{
    g_autoptr(GVariant) answer = NULL;
    g_autoptr(GVariant) reply =
        migd_cli_call(cli, MIGD_BUS_ROOT, MIGD_IFACE_MANAGER, "Predict",
                      g_variant_new("(s@a{sv})", arguments[0], call_options(cli, arguments[1])),
                      "(a{sv})", error);

    if (reply == NULL)
        return MIGD_EXIT_FAILED;
    answer = g_variant_get_child_value(reply, 0);
    if (cli->output != MIGD_OUTPUT_TEXT) {
        g_autoptr(MigdJson) object = migd_json_from_dict(answer);
        migd_cli_print_json(cli, object);
    } else {
        print_answer(cli, arguments[0], answer);
    }
    return MIGD_EXIT_DONE;
}

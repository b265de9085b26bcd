/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The verb metrics. The text is OpenMetrics, or, in a file, what the textfile collector of
 * Prometheus' node exporter reads. They differ in one thing only: no time stamps, and no types that
 * only one of them knows.
 */
#include "cli/metrics.h"
#include "cli/verbs.h"

#include <string.h>

#include "base/names.h"

/* As it stands on the bus -> as a base unit. */
typedef enum { PLAIN, MICROSECONDS, PERCENT } Unit;

static char *
number(guint64 value, Unit unit)
{
    static const double divisors[] = {[PLAIN] = 1, [MICROSECONDS] = 1e6, [PERCENT] = 100};
    char text[G_ASCII_DTOSTR_BUF_SIZE];

    if (unit == PLAIN)
        return g_strdup_printf("%" G_GUINT64_FORMAT, value);
    return g_strdup(g_ascii_formatd(text, sizeof text, "%.15g", (double)value / divisors[unit]));
}

static void
begin(GString *out, const char *name, const char *type, const char *unit, const char *help)
{
    g_string_append_printf(out, "# TYPE migrationd_%s %s\n", name, type);
    if (unit != NULL)
        g_string_append_printf(out, "# UNIT migrationd_%s %s\n", name, unit);
    g_string_append_printf(out, "# HELP migrationd_%s %s\n", name, help);
}

static void
append_label(GString *out, const char *name, const char *value)
{
    g_string_append_printf(out, "%s%s=\"", out->str[out->len - 1] == '{' ? "" : ",", name);
    for (const char *p = value; *p != '\0'; p++) {
        if (*p == '\\' || *p == '"' || *p == '\n')
            g_string_append_c(out, '\\');
        g_string_append_c(out, *p == '\n' ? 'n' : *p);
    }
    g_string_append_c(out, '"');
}

/* `labels`: pairs of name and value, NULL at the end. */
static void
append_sample(GString *out, const char *name, const char *const *labels, const char *value)
{
    g_string_append_printf(out, "migrationd_%s", name);
    if (labels[0] != NULL) {
        g_string_append_c(out, '{');
        for (guint i = 0; labels[i] != NULL; i += 2)
            append_label(out, labels[i], labels[i + 1]);
        g_string_append_c(out, '}');
    }
    g_string_append_printf(out, " %s\n", value);
}

/* ---- one number for each domain or running migration ----------------------------------------- */

typedef struct {
    const char *name, *unit, *help;
    const char *key;
    Unit scale;
    gboolean only_if_known;        /* 0 = not known */
    const char *label, *label_key; /* one more; NULL = none */
} Gauge;

static const Gauge domain_gauges[] = {
    {"domain_memory_bytes", "bytes", "Memory of the domain.", "MemoryBytes", PLAIN, TRUE},
    {"domain_dirty_rate_bytes_per_second", "bytes_per_second",
     "How fast the domain writes to its memory, as last measured.", "DirtyRate", PLAIN, TRUE,
     "method", "DirtyRateMethod"},
    {"domain_working_set_bytes", "bytes",
     "Memory that the domain keeps writing to, as last measured.", "WorkingSet", PLAIN, TRUE},
};

static const Gauge migration_gauges[] = {
    {"migration_memory_total_bytes", "bytes", "Memory to be migrated.", "TotalBytes", PLAIN, FALSE},
    {"migration_memory_processed_bytes", "bytes", "Bytes sent so far, repeated pages included.",
     "TransferredBytes", PLAIN, FALSE},
    {"migration_memory_remaining_bytes", "bytes", "Bytes left, a sawtooth between two passes.",
     "RemainingBytes", PLAIN, FALSE},
    {"migration_dirty_rate_bytes_per_second", "bytes_per_second",
     "Distinct bytes dirtied over the last pass.", "DirtyRate", PLAIN, FALSE},
    {"migration_transfer_rate_bytes_per_second", "bytes_per_second", "What the link carries.",
     "Bandwidth", PLAIN, FALSE},
    {"migration_iteration", NULL, "The pass under way.", "Pass", PLAIN, FALSE},
    {"migration_throttle_ratio", "ratio", "Share of vCPU time taken away.", "Throttle", PERCENT,
     FALSE},
    {"migration_downtime_limit_seconds", "seconds", "The longest pause allowed.", "DowntimeLimit",
     MICROSECONDS, FALSE},
    {"migration_expected_downtime_seconds", "seconds", "Forecast of the pause.", "ExpectedDowntime",
     MICROSECONDS, TRUE},
    {"migration_start_timestamp_seconds", "seconds", "When it began.", "StartTime", MICROSECONDS,
     FALSE},
};

/* The UUID at the end of an object path. Caller frees. */
static char *
uuid_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    return g_strdelimit(g_strdup(slash != NULL ? slash + 1 : path), "_", '-');
}

/* One that waits for its turn has nothing to show yet. */
static gboolean
is_running(GVariant *migration)
{
    return migd_dict_string(migration, "Result")[0] == '\0' &&
           !g_str_equal(migd_dict_string(migration, "State"), "queued");
}

static void
append_gauge(GString *out, const Gauge *gauge, GVariant *dicts, gboolean of_migrations)
{
    begin(out, gauge->name, "gauge", gauge->unit, gauge->help);
    for (gsize i = 0; i < g_variant_n_children(dicts); i++) {
        g_autoptr(GVariant) dict = migd_dict_at(dicts, i);
        g_autofree char *uuid = of_migrations ? uuid_of(migd_dict_string(dict, "Domain"))
                                              : g_strdup(migd_dict_string(dict, "Uuid"));
        guint64 value = migd_dict_number(dict, gauge->key);
        g_autofree char *text = number(value, gauge->scale);

        if ((of_migrations && !is_running(dict)) || (gauge->only_if_known && value == 0))
            continue;
        append_sample(out, gauge->name,
                      (const char *const[]){
                          "domain", uuid, gauge->label,
                          gauge->label != NULL ? migd_dict_string(dict, gauge->label_key) : NULL,
                          NULL},
                      text);
    }
}

/* Of this host, and only where libvirt is one of its backends. */
static void
append_up(GString *out, GVariant *manager)
{
    g_autoptr(GVariant) problems =
        g_variant_lookup_value(manager, "BackendProblems", G_VARIANT_TYPE("a{ss}"));
    g_autofree const char **backends = NULL;
    gboolean up = problems == NULL || !g_variant_lookup(problems, "libvirt", "&s", NULL);

    begin(out, "libvirt_up", "gauge", NULL, "Whether libvirt is connected.");
    if (g_variant_lookup(manager, "Backends", "^a&s", &backends) &&
        g_strv_contains(backends, "libvirt"))
        append_sample(out, "libvirt_up", (const char *const[]){NULL}, up ? "1" : "0");
}

static void
append_infos(GString *out, GVariant *domains)
{
    begin(out, "domain_info", "gauge", NULL, "What the domain is; always 1.");
    for (gsize i = 0; i < g_variant_n_children(domains); i++) {
        g_autoptr(GVariant) d = migd_dict_at(domains, i);
        append_sample(out, "domain_info",
                      (const char *const[]){"domain", migd_dict_string(d, "Uuid"), "name",
                                            migd_dict_string(d, "Name"), "backend",
                                            migd_dict_string(d, "Backend"), "state",
                                            migd_dict_string(d, "State"), "profile",
                                            migd_dict_string(d, "Profile"), NULL},
                      "1");
    }
    begin(out, "dirty_log_mechanism_info", "gauge", NULL,
          "How what the domain writes is tracked; always 1.");
    for (gsize i = 0; i < g_variant_n_children(domains); i++) {
        g_autoptr(GVariant) d = migd_dict_at(domains, i);
        const char *mechanism = migd_dict_string(d, "WriteProtect");

        if (mechanism[0] != '\0')
            append_sample(out, "dirty_log_mechanism_info",
                          (const char *const[]){"domain", migd_dict_string(d, "Uuid"), "mechanism",
                                                mechanism, NULL},
                          "1");
    }
}

/* ---- counts of running migrations ------------------------------------------------------------ */

static void
append_active(GString *out, GVariant *migrations)
{
    static const char *const states[] = {"queued",     "preparing", "precopy",
                                         "switchover", "postcopy",  "postcopy-paused"};
    static const char *const directions[] = {"outgoing", "incoming"};

    begin(out, "migrations_active", "gauge", NULL, "Migrations that run now.");
    for (guint d = 0; d < G_N_ELEMENTS(directions); d++) {
        for (guint s = 0; s < G_N_ELEMENTS(states); s++) {
            guint64 n = 0;

            for (gsize i = 0; i < g_variant_n_children(migrations); i++) {
                g_autoptr(GVariant) m = migd_dict_at(migrations, i);
                n += g_str_equal(migd_dict_string(m, "Direction"), directions[d]) &&
                     g_str_equal(migd_dict_string(m, "State"), states[s]);
            }
            g_autofree char *text = number(n, PLAIN);
            append_sample(
                out, "migrations_active",
                (const char *const[]){"direction", directions[d], "state", states[s], NULL}, text);
        }
    }
}

/* ---- what has happened since the daemon started ---------------------------------------------- */

static const struct {
    const char *counter; /* its name on the bus, or the beginning of it */
    const char *family, *type, *unit, *help;
    Unit scale;
} families[] = {
    {"migrations", "migrations", "counter", NULL, "Migrations that have ended.", PLAIN},
    {"decisions", "decisions", "counter", NULL, "Decisions of the policy.", PLAIN},
    {"qmp-errors", "qmp_errors", "counter", NULL, "What went wrong on monitors of hypervisors.",
     PLAIN},
    {"duration", "migration_duration_seconds", "histogram", "seconds",
     "How long migrations took that succeeded.", MICROSECONDS},
    {"downtime", "migration_downtime_seconds", "histogram", "seconds",
     "How long guests paused in migrations that succeeded.", MICROSECONDS},
};

/* `le` is in µs on the bus. */
static char *
label_value(const char *name, const char *value)
{
    if (!g_str_equal(name, "le") || g_str_equal(value, "+Inf"))
        return g_strdup(value);
    return number(g_ascii_strtoull(value, NULL, 10), MICROSECONDS);
}

static void
append_counter(GString *out, guint family, const char *suffix, GVariant *labels, guint64 value)
{
    gboolean plain = families[family].scale == PLAIN;
    g_autoptr(GPtrArray) words = g_ptr_array_new_with_free_func(g_free);
    g_autofree char *name = g_strconcat(families[family].family, plain ? "_total" : suffix, NULL);
    g_autofree char *text =
        number(value, g_str_equal(suffix, "_sum") ? families[family].scale : PLAIN);

    for (gsize i = 0; i < g_variant_n_children(labels); i++) {
        const char *label, *word;
        g_variant_get_child(labels, i, "{&s&s}", &label, &word);
        g_ptr_array_add(words, g_strdup(label));
        g_ptr_array_add(words, label_value(label, word));
    }
    g_ptr_array_add(words, NULL);
    append_sample(out, name, (const char *const *)words->pdata, text);
}

static void
append_counters(GString *out, MigdMetricsForm form, GVariant *counters)
{
    for (guint f = 0; f < G_N_ELEMENTS(families); f++) {
        gboolean total = form == MIGD_METRICS_FILE && families[f].scale == PLAIN;
        g_autofree char *family = g_strconcat(families[f].family, total ? "_total" : "", NULL);

        begin(out, family, families[f].type, families[f].unit, families[f].help);
        for (gsize i = 0; i < g_variant_n_children(counters); i++) {
            g_autoptr(GVariant) labels = NULL;
            const char *name;
            guint64 value;

            g_variant_get_child(counters, i, "(&s@a{ss}t)", &name, &labels, &value);
            const char *rest = g_str_has_prefix(name, families[f].counter)
                                   ? name + strlen(families[f].counter)
                                   : NULL;
            if (rest != NULL && (rest[0] == '\0' || rest[0] == '_'))
                append_counter(out, f, rest, labels, value);
        }
    }
}

char *
migd_metrics_text(MigdMetricsForm form, const MigdMetricsInput *input)
{
    GString *out = g_string_new(NULL);

    begin(out, "build_info", "gauge", NULL, "The daemon's version; always 1.");
    append_sample(
        out, "build_info",
        (const char *const[]){"version", migd_dict_string(input->manager, "Version"), NULL}, "1");
    append_up(out, input->manager);
    append_infos(out, input->domains);
    for (guint i = 0; i < G_N_ELEMENTS(domain_gauges); i++)
        append_gauge(out, &domain_gauges[i], input->domains, /* of_migrations= */ FALSE);
    append_active(out, input->migrations);
    for (guint i = 0; i < G_N_ELEMENTS(migration_gauges); i++)
        append_gauge(out, &migration_gauges[i], input->migrations, /* of_migrations= */ TRUE);
    append_counters(out, form, input->counters);
    g_string_append(out, "# EOF\n");
    return g_string_free(out, FALSE);
}

MigdExit
migd_verb_metrics(MigdCli *cli, char **arguments, GError **error)
{
    g_autoptr(GVariant) domains = migd_cli_list_domains(cli, error);
    g_autoptr(GVariant) migrations = domains != NULL ? migd_cli_list_migrations(cli, error) : NULL;
    g_autoptr(GVariant) properties =
        migrations != NULL
            ? migd_cli_call(cli, MIGD_BUS_ROOT, "org.freedesktop.DBus.Properties", "GetAll",
                            g_variant_new("(s)", MIGD_IFACE_MANAGER), "(a{sv})", error)
            : NULL;
    g_autoptr(GVariant) reply = properties != NULL
                                    ? migd_cli_call(cli, MIGD_BUS_ROOT, MIGD_IFACE_MANAGER,
                                                    "GetCounters", NULL, "(a(sa{ss}t))", error)
                                    : NULL;

    if (reply == NULL)
        return MIGD_EXIT_FAILED;
    g_autoptr(GVariant) counters = g_variant_get_child_value(reply, 0);
    g_autoptr(GVariant) manager = g_variant_get_child_value(properties, 0);
    const MigdMetricsInput input = {manager, domains, migrations, counters};
    g_autofree char *text =
        migd_metrics_text(arguments[0] != NULL ? MIGD_METRICS_FILE : MIGD_METRICS_OPEN, &input);
    if (arguments[0] == NULL) {
        migd_cli_print(text);
        return MIGD_EXIT_DONE;
    }
    /* Whoever reads it sees the old one or the new one, never a part: written aside and renamed. */
    return g_file_set_contents_full(arguments[0], text, -1, G_FILE_SET_CONTENTS_CONSISTENT, 0644,
                                    error)
               ? MIGD_EXIT_DONE
               : MIGD_EXIT_FAILED;
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A table of counts by labels, and two histograms. Knows nothing of where the numbers go.
 */
#include "daemon/counters.h"

#include <string.h>

#define N_BOUNDS 7

typedef struct {
    const char *name;
    guint64 bounds_us[N_BOUNDS];
    guint64 counts[N_BOUNDS + 1]; /* not cumulative; the last: over all bounds */
    guint64 sum_us, count;
} Histogram;

enum { DURATION, DOWNTIME, N_HISTOGRAMS };

struct MigdCounters {
    GHashTable *counts; /* k: "NAME\nLABEL\nVALUE\nLABEL\nVALUE" -> v: guint64 */
    Histogram histograms[N_HISTOGRAMS];
};

#define MS G_GUINT64_CONSTANT(1000)
#define S G_GUINT64_CONSTANT(1000000)

MigdCounters *
migd_counters_new(void)
{
    MigdCounters *counters = g_new0(MigdCounters, 1);

    counters->counts = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
    counters->histograms[DURATION] =
        (Histogram){"duration", {1 * S, 5 * S, 15 * S, 60 * S, 300 * S, 900 * S, 3600 * S}};
    counters->histograms[DOWNTIME] =
        (Histogram){"downtime", {10 * MS, 50 * MS, 100 * MS, 300 * MS, 1 * S, 3 * S, 10 * S}};
    return counters;
}

void
migd_counters_free(MigdCounters *counters)
{
    if (counters == NULL)
        return;
    g_hash_table_unref(counters->counts);
    g_free(counters);
}

/* Takes `key`. */
static void
count(MigdCounters *counters, char *key, guint64 more)
{
    guint64 *value = g_hash_table_lookup(counters->counts, key);

    if (value != NULL) {
        g_free(key);
    } else {
        value = g_new0(guint64, 1);
        g_hash_table_insert(counters->counts, key, value);
    }
    *value += more;
}

static void
observe(Histogram *histogram, guint64 us)
{
    guint i = 0;

    while (i < N_BOUNDS && us > histogram->bounds_us[i])
        i++;
    histogram->counts[i]++;
    histogram->sum_us += us;
    histogram->count++;
}

void
migd_counters_decision(MigdCounters *counters, const char *action, const char *reason)
{
    count(counters, g_strdup_printf("decisions\naction\n%s\nreason\n%s", action, reason), 1);
}

void
migd_counters_qmp_fault(MigdCounters *counters, const char *kind)
{
    count(counters, g_strdup_printf("qmp-errors\nkind\n%s", kind), 1);
}

void
migd_counters_expect_qmp_fault(MigdCounters *counters, const char *kind)
{
    count(counters, g_strdup_printf("qmp-errors\nkind\n%s", kind), 0);
}

void
migd_counters_finished(MigdCounters *counters, const char *direction, const char *result,
                       const char *mechanism, guint64 total_us, guint64 downtime_us)
{
    count(counters,
          g_strdup_printf("migrations\ndirection\n%s\nresult\n%s\nmechanism\n%s", direction, result,
                          mechanism),
          1);
    if (strcmp(result, "succeeded") != 0)
        return;
    observe(&counters->histograms[DURATION], total_us);
    observe(&counters->histograms[DOWNTIME], downtime_us);
}

static void
add(GVariantBuilder *list, const char *name, const char *suffix, const char *label,
    const char *word, guint64 value)
{
    g_autofree char *whole = g_strconcat(name, suffix, NULL);
    GVariantBuilder labels;

    g_variant_builder_init(&labels, G_VARIANT_TYPE("a{ss}"));
    if (label != NULL)
        g_variant_builder_add(&labels, "{ss}", label, word);
    g_variant_builder_add(list, "(sa{ss}t)", whole, &labels, value);
}

static void
add_histogram(GVariantBuilder *list, const Histogram *histogram)
{
    guint64 below = 0;

    for (guint i = 0; i <= N_BOUNDS; i++) {
        g_autofree char *bound =
            i < N_BOUNDS ? g_strdup_printf("%" G_GUINT64_FORMAT, histogram->bounds_us[i])
                         : g_strdup("+Inf");

        below += histogram->counts[i];
        add(list, histogram->name, "_bucket", "le", bound, below);
    }
    add(list, histogram->name, "_sum", NULL, NULL, histogram->sum_us);
    add(list, histogram->name, "_count", NULL, NULL, histogram->count);
}

GVariant *
migd_counters_value(const MigdCounters *counters)
{
    g_autoptr(GList) keys = g_hash_table_get_keys(counters->counts);
    GVariantBuilder list;

    g_variant_builder_init(&list, G_VARIANT_TYPE("a(sa{ss}t)"));
    keys = g_list_sort(keys, (GCompareFunc)(void (*)(void))strcmp);
    for (GList *l = keys; l != NULL; l = l->next) {
        g_auto(GStrv) words = g_strsplit(l->data, "\n", -1);
        GVariantBuilder labels;

        g_variant_builder_init(&labels, G_VARIANT_TYPE("a{ss}"));
        for (guint i = 1; words[i] != NULL; i += 2)
            g_variant_builder_add(&labels, "{ss}", words[i], words[i + 1]);
        g_variant_builder_add(&list, "(sa{ss}t)", words[0], &labels,
                              *(guint64 *)g_hash_table_lookup(counters->counts, l->data));
    }
    for (guint i = 0; i < N_HISTOGRAMS; i++)
        add_histogram(&list, &counters->histograms[i]);
    return g_variant_builder_end(&list);
}

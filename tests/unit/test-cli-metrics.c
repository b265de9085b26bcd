/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The text of migrationctl metrics, in both forms, against golden files: names and units are what
 * people's dashboards hang on. MIGD_UPDATE_GOLDEN=1 writes the files anew; look at the difference.
 */
#include "cli/metrics.h"

#include <string.h>

/* A guest at rest, one that is migrated, and one that was; what is not known is 0 or empty. */
static const char domains[] =
    "[{'Uuid': <'11111111-1111-1111-1111-111111111111'>, 'Name': <'we\"b\\\\1'>,"
    "  'Backend': <'libvirt'>, 'State': <'running'>, 'Profile': <'default'>,"
    "  'WriteProtect': <'manual-protect+initially-set'>, 'MemoryBytes': <uint64 4294967296>,"
    "  'DirtyRate': <uint64 0>},"
    " {'Uuid': <'22222222-2222-2222-2222-222222222222'>, 'Name': <'db'>, 'Backend': <'qmp'>,"
    "  'State': <'running'>, 'Profile': <'gentle'>, 'WriteProtect': <''>,"
    "  'MemoryBytes': <uint64 0>, 'DirtyRate': <uint64 52428800>,"
    "  'DirtyRateMethod': <'dirty-ring'>, 'WorkingSet': <uint64 268435456>}]";

static const char migrations[] =
    "[{'Domain': <objectpath '/org/migrationd1/domain/22222222_2222_2222_2222_222222222222'>,"
    "  'Direction': <'outgoing'>, 'State': <'precopy'>, 'Result': <''>,"
    "  'TotalBytes': <uint64 1073741824>, 'TransferredBytes': <uint64 536870912>,"
    "  'RemainingBytes': <uint64 268435456>, 'DirtyRate': <uint64 104857600>,"
    "  'Bandwidth': <uint64 1100000000>, 'Pass': <uint64 3>, 'Throttle': <uint32 35>,"
    "  'DowntimeLimit': <uint64 300000>, 'ExpectedDowntime': <uint64 0>,"
    "  'StartTime': <uint64 1700000123456789>},"
    " {'Domain': <objectpath '/org/migrationd1/domain/33333333_3333_3333_3333_333333333333'>,"
    "  'Direction': <'outgoing'>, 'State': <'finished'>, 'Result': <'succeeded'>,"
    "  'TotalBytes': <uint64 1073741824>, 'TransferredBytes': <uint64 1073741824>},"
    " {'Domain': <objectpath '/org/migrationd1/domain/44444444_4444_4444_4444_444444444444'>,"
    "  'Direction': <'outgoing'>, 'State': <'queued'>, 'Result': <''>,"
    "  'StartTime': <uint64 1700000123456789>}]";

static const char counters[] =
    "[('decisions', {'action': 'throttle', 'reason': 'plateau'}, uint64 2),"
    " ('migrations', {'direction': 'outgoing', 'result': 'succeeded', 'mechanism': 'manual-protect'}, "
    "  1),"
    " ('qmp-errors', {'kind': 'flood'}, 0), ('qmp-errors', {'kind': 'timed-out'}, 7),"
    " ('duration_bucket', {'le': '1000000'}, 0), ('duration_bucket', {'le': '+Inf'}, 1),"
    " ('duration_sum', {}, 12345678), ('duration_count', {}, 1),"
    " ('downtime_bucket', {'le': '10000'}, 0), ('downtime_bucket', {'le': '+Inf'}, 1),"
    " ('downtime_sum', {}, 42000), ('downtime_count', {}, 1)]";

static const char manager[] = "{'Version': <'1.2.3'>, 'Backends': <['qmp', 'libvirt']>,"
                              " 'BackendProblems': <{'libvirt': 'not connected yet'}>}";

static GVariant *
parse(const char *type, const char *text)
{
    g_autoptr(GError) error = NULL;
    GVariant *value = g_variant_parse(G_VARIANT_TYPE(type), text, NULL, NULL, &error);

    g_assert_no_error(error);
    return value;
}

static char *
text_with(MigdMetricsForm form, const char *properties)
{
    g_autoptr(GVariant) p = parse("a{sv}", properties);
    g_autoptr(GVariant) d = parse("aa{sv}", domains);
    g_autoptr(GVariant) m = parse("aa{sv}", migrations);
    g_autoptr(GVariant) c = parse("a(sa{ss}t)", counters);

    return migd_metrics_text(form, &(MigdMetricsInput){p, d, m, c});
}

static char *
text_of(MigdMetricsForm form)
{
    return text_with(form, manager);
}

static void
assert_golden(MigdMetricsForm form, const char *file)
{
    g_autofree char *path = g_test_build_filename(G_TEST_DIST, "golden", file, NULL);
    g_autofree char *text = text_of(form);
    g_autofree char *expected = NULL;
    g_autoptr(GError) error = NULL;

    if (g_getenv("MIGD_UPDATE_GOLDEN") != NULL)
        g_assert_true(g_file_set_contents(path, text, -1, &error));
    g_assert_true(g_file_get_contents(path, &expected, NULL, &error));
    g_assert_cmpstr(text, ==, expected);
}

static void
test_open(void)
{
    assert_golden(MIGD_METRICS_OPEN, "metrics.txt");
}

static void
test_file(void)
{
    assert_golden(MIGD_METRICS_FILE, "metrics-file.txt");
}

static void
test_only_running_ones(void)
{
    g_autofree char *text = text_of(MIGD_METRICS_OPEN);

    g_assert_nonnull(strstr(text, "22222222-2222-2222-2222-222222222222"));
    g_assert_null(strstr(text, "33333333-3333-3333-3333-333333333333"));
    g_assert_null(strstr(text, "44444444-4444-4444-4444-444444444444"));
    g_assert_nonnull(strstr(text, "state=\"queued\"} 1\n"));
}

/* Without the libvirt backend nothing is said about it: an alarm on 0 would never end. */
static void
test_libvirt(void)
{
    static const struct {
        const char *manager, *says;
    } rows[] = {
        {"{'Backends': <['qmp', 'libvirt']>, 'BackendProblems': <@a{ss} {}>}", "_up 1\n"},
        {"{'Backends': <['qmp', 'libvirt']>}", "_up 1\n"},
        {"{'Backends': <['libvirt']>, 'BackendProblems': <{'libvirt': 'x'}>}", "_up 0\n"},
        {"{'Backends': <['qmp']>, 'BackendProblems': <@a{ss} {}>}", NULL},
    };

    for (guint i = 0; i < G_N_ELEMENTS(rows); i++) {
        g_autofree char *text = text_with(MIGD_METRICS_OPEN, rows[i].manager);
        const char *found = strstr(text, "\nmigrationd_libvirt_up ");

        g_assert_true((found != NULL) == (rows[i].says != NULL));
        if (found != NULL)
            g_assert_true(g_str_has_prefix(found + strlen("\nmigrationd_libvirt"), rows[i].says));
    }
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/cli/metrics/open", test_open);
    g_test_add_func("/cli/metrics/file", test_file);
    g_test_add_func("/cli/metrics/libvirt", test_libvirt);
    g_test_add_func("/cli/metrics/running", test_only_running_ones);
    return g_test_run();
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Tests of src/virt without a hypervisor: what is pure, and the pool and the connection against
 * libvirt's own test driver, which has domains and events but no migration.
 */
#include <string.h>

#include "base/error.h"
#include "virt/connection.h"
#include "virt/describe.h"
#include "virt/dirtyrate.h"
#include "virt/metadata.h"
#include "virt/stats.h"
#include "virt/version.h"

#define URI "test:///default"
#define UUID "6695eb01-f6a4-8304-79aa-97f2502e193f" /* of the test driver's domain */
#define WAIT_US (10 * G_USEC_PER_SEC)

/* ---- statistics ------------------------------------------------------------------------------ */

static void
add_u64(MigdVirtParams *params, const char *name, guint64 value)
{
    int max = params->n;

    g_assert_cmpint(virTypedParamsAddULLong(&params->list, &params->n, &max, name, value), ==, 0);
}

static void
add_int(MigdVirtParams *params, const char *name, int value)
{
    int max = params->n;

    g_assert_cmpint(virTypedParamsAddInt(&params->list, &params->n, &max, name, value), ==, 0);
}

/* As libvirt 9.0 shows a migration in its third pass. */
static void
add_running(MigdVirtParams *params)
{
    add_int(params, VIR_DOMAIN_JOB_OPERATION, VIR_DOMAIN_JOB_OPERATION_MIGRATION_OUT);
    add_u64(params, VIR_DOMAIN_JOB_TIME_ELAPSED, 5186);
    add_u64(params, VIR_DOMAIN_JOB_DOWNTIME, 300);
    add_u64(params, VIR_DOMAIN_JOB_SETUP_TIME, 4);
    add_u64(params, VIR_DOMAIN_JOB_MEMORY_TOTAL, 134553600);
    add_u64(params, VIR_DOMAIN_JOB_MEMORY_PROCESSED, 103809024);
    add_u64(params, VIR_DOMAIN_JOB_MEMORY_REMAINING, 29253632);
    add_u64(params, VIR_DOMAIN_JOB_MEMORY_BPS, 41943040);
    add_u64(params, VIR_DOMAIN_JOB_MEMORY_CONSTANT, 9000);
    add_u64(params, VIR_DOMAIN_JOB_MEMORY_NORMAL_BYTES, 103000000);
    add_u64(params, VIR_DOMAIN_JOB_MEMORY_DIRTY_RATE, 10000);
    add_u64(params, VIR_DOMAIN_JOB_MEMORY_ITERATION, 3);
    add_u64(params, VIR_DOMAIN_JOB_MEMORY_PAGE_SIZE, 4096);
    add_u64(params, VIR_DOMAIN_JOB_MEMORY_POSTCOPY_REQS, 0);
    add_int(params, VIR_DOMAIN_JOB_AUTO_CONVERGE_THROTTLE, 80);
}

static void
test_running(void)
{
    g_auto(MigdVirtParams) params = {0};
    MigdSample sample;

    add_running(&params);
    migd_virt_decode_job(VIR_DOMAIN_JOB_UNBOUNDED, params.list, params.n, &sample);
    g_assert_cmpint(sample.status, ==, MIGD_STATUS_PRECOPY);
    g_assert_cmpuint(sample.elapsed_us, ==, 5186000);
    g_assert_cmpuint(sample.expected_downtime_us, ==, 300000);
    g_assert_false(migd_sample_has(&sample, MIGD_HAS_DOWNTIME));
    g_assert_cmpuint(sample.setup_us, ==, 4000);
    g_assert_cmpuint(sample.total_bytes, ==, 134553600);
    g_assert_cmpuint(sample.transferred_bytes, ==, 103809024);
    g_assert_cmpuint(sample.remaining_bytes, ==, 29253632);
    g_assert_cmpuint(sample.bandwidth_bps, ==, 41943040);
    g_assert_cmpuint(sample.dirty_rate_bps, ==, 40960000);
    g_assert_cmpuint(sample.pass, ==, 3);
    g_assert_cmpuint(sample.throttle_pct, ==, 80);
    g_assert_cmpuint(sample.duplicate_pages, ==, 9000);
    g_assert_cmpuint(sample.time_us, ==, 0);
    g_assert_false(migd_sample_has(&sample, MIGD_HAS_SYNC));
}

static void
test_phases(void)
{
    static const struct {
        int type;
        MigdStatus status;
    } rows[] = {
        {VIR_DOMAIN_JOB_NONE, MIGD_STATUS_NONE},
        {VIR_DOMAIN_JOB_BOUNDED, MIGD_STATUS_PRECOPY},
        {VIR_DOMAIN_JOB_UNBOUNDED, MIGD_STATUS_PRECOPY},
        {VIR_DOMAIN_JOB_COMPLETED, MIGD_STATUS_COMPLETED},
        {VIR_DOMAIN_JOB_FAILED, MIGD_STATUS_FAILED},
        {VIR_DOMAIN_JOB_CANCELLED, MIGD_STATUS_CANCELLED},
        {99, MIGD_STATUS_NONE},
    };
    g_auto(MigdVirtParams) params = {0}, none = {0}, early = {0};
    MigdSample sample;

    add_running(&params);
    for (gsize i = 0; i < G_N_ELEMENTS(rows); i++) {
        migd_virt_decode_job(rows[i].type, params.list, params.n, &sample);
        g_assert_cmpint(sample.status, ==, rows[i].status);
    }
    /* Before the first byte. */
    migd_virt_decode_job(VIR_DOMAIN_JOB_UNBOUNDED, none.list, none.n, &sample);
    g_assert_cmpint(sample.status, ==, MIGD_STATUS_SETUP);
    g_assert_cmpuint(sample.has, ==, 0);
    add_u64(&early, VIR_DOMAIN_JOB_MEMORY_TOTAL, 0);
    migd_virt_decode_job(VIR_DOMAIN_JOB_UNBOUNDED, early.list, early.n, &sample);
    g_assert_cmpint(sample.status, ==, MIGD_STATUS_SETUP);
}

static void
test_totals(void)
{
    g_auto(MigdVirtParams) params = {0};
    MigdSample sample;

    add_running(&params);
    migd_virt_decode_job(VIR_DOMAIN_JOB_COMPLETED, params.list, params.n, &sample);
    g_assert_cmpuint(sample.downtime_us, ==, 300000);
    g_assert_true(migd_sample_has(&sample, MIGD_HAS_DOWNTIME | MIGD_HAS_ELAPSED));
    g_assert_false(migd_sample_has(&sample, MIGD_HAS_EXPECTED_DOWNTIME));
    g_assert_false(migd_sample_has(&sample, MIGD_HAS_REMAINING));
}

static void
test_other_jobs(void)
{
    static const int others[] = {VIR_DOMAIN_JOB_OPERATION_SAVE, VIR_DOMAIN_JOB_OPERATION_DUMP,
                                 VIR_DOMAIN_JOB_OPERATION_SNAPSHOT,
                                 VIR_DOMAIN_JOB_OPERATION_MIGRATION_IN, 99};

    for (gsize i = 0; i < G_N_ELEMENTS(others); i++) {
        g_auto(MigdVirtParams) params = {0};
        MigdSample sample;

        add_int(&params, VIR_DOMAIN_JOB_OPERATION, others[i]);
        add_u64(&params, VIR_DOMAIN_JOB_MEMORY_TOTAL, 1 << 20);
        migd_virt_decode_job(VIR_DOMAIN_JOB_UNBOUNDED, params.list, params.n, &sample);
        g_assert_cmpint(sample.status, ==, MIGD_STATUS_NONE);
        g_assert_cmpuint(sample.has, ==, 0);
    }
}

/* Each is left out, and the rest counts. */
static void
test_nonsense(void)
{
    g_auto(MigdVirtParams) params = {0};
    MigdSample sample;
    int max = 0;

    add_u64(&params, VIR_DOMAIN_JOB_MEMORY_TOTAL, 1000);
    add_u64(&params, VIR_DOMAIN_JOB_MEMORY_REMAINING, 5000); /* more than there is */
    add_u64(&params, VIR_DOMAIN_JOB_MEMORY_PROCESSED, G_MAXUINT64);
    add_u64(&params, VIR_DOMAIN_JOB_TIME_ELAPSED, G_MAXUINT64);
    add_u64(&params, VIR_DOMAIN_JOB_MEMORY_DIRTY_RATE, 7); /* pages of a size that is not known */
    add_int(&params, VIR_DOMAIN_JOB_AUTO_CONVERGE_THROTTLE, -1);
    max = params.n;
    virTypedParamsAddString(&params.list, &params.n, &max, VIR_DOMAIN_JOB_MEMORY_ITERATION, "3");
    max = params.n;
    virTypedParamsAddDouble(&params.list, &params.n, &max, VIR_DOMAIN_JOB_MEMORY_BPS, 1e300);
    migd_virt_decode_job(VIR_DOMAIN_JOB_UNBOUNDED, params.list, params.n, &sample);
    g_assert_cmpint(sample.status, ==, MIGD_STATUS_PRECOPY);
    g_assert_cmpuint(sample.has, ==, MIGD_HAS_TOTAL | MIGD_HAS_REMAINING);
    g_assert_cmpuint(sample.remaining_bytes, ==, 1000);
}

static void
test_dirty_rate(void)
{
    g_auto(MigdVirtParams) params = {0}, busy = {0};
    MigdVirtDirtyRate rate = {0};
    int max = 0;

    add_int(&params, "dirtyrate.calc_status", VIR_DOMAIN_DIRTYRATE_MEASURED);
    max = params.n;
    virTypedParamsAddLLong(&params.list, &params.n, &max, "dirtyrate.megabytes_per_second", 99);
    migd_virt_dirty_rate_decode(params.list, params.n, &rate);
    g_assert_true(rate.measured);
    g_assert_cmpuint(rate.rate_bps, ==, 99u << 20);
    add_int(&busy, "dirtyrate.calc_status", VIR_DOMAIN_DIRTYRATE_MEASURING);
    migd_virt_dirty_rate_decode(busy.list, busy.n, &rate);
    g_assert_false(rate.measured);
    migd_virt_dirty_rate_decode(NULL, 0, &rate);
    g_assert_false(rate.measured);
}

/* ---- XML ------------------------------------------------------------------------------------- */

static void
test_metadata(void)
{
    static const struct {
        const char *xml, *profile;
    } rows[] = {
        {"<migrationd:policy xmlns:migrationd=\"urn:migrationd:policy:1\" profile=\"gentle\"/>",
         "gentle"},
        {"<policy profile=\"must-finish_2.0\"/>", "must-finish_2.0"},
        {"<policy profile='gentle'><policy profile='other'/></policy>", "gentle"},
        {"<policy/>", NULL},
        {"<policy profile=\"\"/>", NULL},
        {"<policy profile=\"../../etc/shadow\"/>", NULL},
        {"<policy profile=\".hidden\"/>", NULL},
        {"<policy profile=\"a b\"/>", NULL},
        {"<policy profile=\"a&#10;b\"/>", NULL},
        {"<policy profile=\"&bad;\"/>", NULL},
        {"<other profile=\"gentle\"/>", NULL},
        {"<other><policy profile=\"gentle\"/></other>", NULL},
        {"<policy profile=\"gentle\"", NULL},
        {"<policy profile=\"gentle\">", NULL},
        {"<!DOCTYPE x [<!ENTITY a \"gentle\">]><policy profile=\"&a;\"/>", NULL},
        {"gentle", NULL},
        {"", NULL},
    };
    g_autofree char *spaces = g_strnfill(5000, ' ');
    g_autofree char *large = g_strconcat("<policy profile=\"gentle\"", spaces, "/>", NULL);
    g_autofree char *name = g_strnfill(65, 'a');

    for (gsize i = 0; i < G_N_ELEMENTS(rows); i++) {
        g_autofree char *profile = migd_virt_metadata_parse(rows[i].xml);

        g_test_message("%s", rows[i].xml);
        g_assert_cmpstr(profile, ==, rows[i].profile);
    }
    g_assert_null(migd_virt_metadata_parse(large));
    g_assert_false(migd_virt_is_profile_name(name));
    g_assert_true(migd_virt_is_profile_name(name + 1));
}

static void
test_metadata_there_and_back(void)
{
    g_autofree char *xml = migd_virt_metadata_format("low-downtime");
    g_autofree char *profile = migd_virt_metadata_parse(xml);

    g_assert_cmpstr(profile, ==, "low-downtime");
}

static void
test_kvm(void)
{
    g_assert_true(migd_virt_xml_is_kvm("<domain type='kvm' id='1'>\n<name>a</name>"));
    g_assert_false(migd_virt_xml_is_kvm("<domain type='qemu'><x type='kvm'/></domain>"));
    g_assert_false(migd_virt_xml_is_kvm("<other type='kvm'/>"));
    g_assert_false(migd_virt_xml_is_kvm(""));
}

/* ---- the pool -------------------------------------------------------------------------------- */

/* What one call does in its thread, and what came of it. */
typedef struct {
    GMutex gate; /* locked by the test: the call waits for it */
    gboolean hangs;
    const char *fails;
    char name[32]; /* of the domain */
} Call;

typedef struct {
    guint calls, done, late, stuck, unstuck;
    char order[16];
    GError *error;
} Seen;

static void
call_free(gpointer data)
{
    Call *call = data;

    g_free(call);
}

static gboolean
call_work(virDomainPtr domain, gpointer data, GError **error)
{
    Call *call = data;

    if (call->hangs) {
        g_mutex_lock(&call->gate);
        g_mutex_unlock(&call->gate);
    }
    if (call->fails != NULL)
        g_set_error_literal(error, MIGD_ERROR, MIGD_ERROR_FAILED, call->fails);
    g_strlcpy(call->name, virDomainGetName(domain), sizeof call->name);
    return call->fails == NULL;
}

static void
call_done(gpointer data, const GError *error, gpointer user_data)
{
    Seen *seen = user_data;

    seen->calls++;
    if (error == NULL) {
        g_assert_cmpstr(((Call *)data)->name, ==, "test");
        seen->done++;
    } else {
        g_assert_null(data);
        seen->late += g_error_matches(error, MIGD_ERROR, MIGD_ERROR_TIMED_OUT);
        g_clear_error(&seen->error);
        seen->error = g_error_copy(error);
    }
}

static void
on_stuck(gboolean is, gpointer user_data)
{
    Seen *seen = user_data;

    seen->stuck += is;
    seen->unstuck += !is;
}

static void
run_until(const guint *counter, guint value)
{
    gint64 end = g_get_monotonic_time() + WAIT_US;

    while (*counter < value) {
        g_assert_cmpint(g_get_monotonic_time(), <, end);
        g_main_context_iteration(NULL, FALSE);
        g_usleep(500);
    }
}

static Call *
call_new(gboolean hangs, const char *fails)
{
    Call *call = g_new0(Call, 1);

    g_mutex_init(&call->gate);
    call->hangs = hangs;
    call->fails = fails;
    if (hangs)
        g_mutex_lock(&call->gate);
    return call;
}

static void
test_pool(void)
{
    g_autoptr(MigdVirtPool) pool = migd_virt_pool_new(URI);
    MigdVirtLane *lane = migd_virt_lane_new(pool, UUID, on_stuck, NULL);
    MigdVirtLane *nobody =
        migd_virt_lane_new(pool, "00000000-0000-0000-0000-000000000000", NULL, NULL);
    Seen seen = {0};

    migd_virt_lane_call(lane, call_work, call_new(FALSE, NULL), call_free, 5000, call_done, &seen);
    g_assert_cmpuint(seen.calls, ==, 0); /* never at once */
    run_until(&seen.calls, 1);
    g_assert_error(seen.error, MIGD_ERROR, MIGD_ERROR_BACKEND_LOST); /* not up */

    migd_virt_pool_set_up(pool, TRUE);
    migd_virt_lane_call(lane, call_work, call_new(FALSE, NULL), call_free, 5000, call_done, &seen);
    run_until(&seen.calls, 2);
    g_assert_cmpuint(seen.done, ==, 1);
    migd_virt_lane_call(lane, call_work, call_new(FALSE, "no"), call_free, 5000, call_done, &seen);
    run_until(&seen.calls, 3);
    g_assert_cmpstr(seen.error->message, ==, "no");
    migd_virt_lane_call(nobody, call_work, call_new(FALSE, NULL), call_free, 5000, call_done,
                        &seen);
    run_until(&seen.calls, 4);
    g_assert_error(seen.error, MIGD_ERROR, MIGD_ERROR_NO_SUCH_DOMAIN);
    g_assert_true(migd_virt_lane_is_idle(lane));
    g_clear_error(&seen.error);
}

/* One that hangs is answered in time and holds up nobody but its own lane. */
static void
test_pool_hang(void)
{
    g_autoptr(MigdVirtPool) pool = migd_virt_pool_new(URI);
    Seen hung = {0}, fine = {0};
    MigdVirtLane *stuck = migd_virt_lane_new(pool, UUID, on_stuck, &hung);
    MigdVirtLane *other = migd_virt_lane_new(pool, UUID, on_stuck, &fine);
    Call *call = call_new(TRUE, NULL);
    GMutex *gate = &call->gate;

    migd_virt_pool_set_up(pool, TRUE);
    migd_virt_lane_call(stuck, call_work, call, call_free, 50, call_done, &hung);
    migd_virt_lane_call(stuck, call_work, call_new(FALSE, NULL), call_free, 80, call_done, &hung);
    for (guint i = 0; i < 20; i++)
        migd_virt_lane_call(other, call_work, call_new(FALSE, NULL), call_free, 5000, call_done,
                            &fine);
    run_until(&fine.done, 20);
    run_until(&hung.late, 2);
    g_assert_cmpuint(hung.stuck, ==, 1);
    g_assert_true(migd_virt_lane_is_stuck(stuck));
    g_assert_cmpuint(fine.stuck, ==, 0);

    migd_virt_lane_call(stuck, call_work, call_new(FALSE, NULL), call_free, 5000, call_done, &hung);
    g_mutex_unlock(gate);
    run_until(&hung.unstuck, 1);
    run_until(&hung.done, 1); /* what waited behind it; its own late result is dropped */
    g_assert_cmpuint(hung.calls, ==, 3);
    g_clear_error(&hung.error);
}

static void
test_pool_limits(void)
{
    g_autoptr(MigdVirtPool) pool = migd_virt_pool_new(URI);
    MigdVirtLane *lane = migd_virt_lane_new(pool, UUID, NULL, NULL);
    Call *call = call_new(TRUE, NULL);
    GMutex *gate = &call->gate;
    Seen seen = {0};

    migd_virt_pool_set_up(pool, TRUE);
    migd_virt_lane_call(lane, call_work, call, call_free, 10000, call_done, &seen);
    for (guint i = 0; i < 40; i++)
        migd_virt_lane_call(lane, call_work, call_new(FALSE, NULL), call_free, 10000, call_done,
                            &seen);
    run_until(&seen.late, 8); /* 32 may wait */
    g_assert_cmpuint(seen.calls, ==, 8);
    migd_virt_lane_free(lane); /* answers the rest before it returns */
    g_assert_cmpuint(seen.calls, ==, 41);
    g_assert_error(seen.error, MIGD_ERROR, MIGD_ERROR_BACKEND_LOST);
    g_clear_error(&seen.error);
    g_mutex_unlock(gate);
    for (guint i = 0; i < 20; i++) { /* its return finds nobody */
        g_main_context_iteration(NULL, FALSE);
        g_usleep(1000);
    }
    g_assert_cmpuint(seen.calls, ==, 41);
}

/* ---- the connection -------------------------------------------------------------------------- */

typedef struct {
    guint ups, downs, suspended, resumed;
    guint n_names;
    char *uuid, *why;
} Heard;

static void
on_up(GPtrArray *names, gpointer user_data)
{
    Heard *heard = user_data;

    heard->ups++;
    heard->n_names = names->len;
    g_free(heard->uuid);
    heard->uuid = names->len > 0 ? g_strdup(((MigdVirtName *)names->pdata[0])->uuid) : NULL;
}

static void
on_down(const char *why, gpointer user_data)
{
    Heard *heard = user_data;

    heard->downs++;
    g_free(heard->why);
    heard->why = g_strdup(why);
}

static void
on_event(const MigdVirtEvent *event, gpointer user_data)
{
    Heard *heard = user_data;

    if (event->kind != MIGD_VIRT_LIFECYCLE)
        return;
    g_assert_cmpstr(event->uuid, ==, UUID);
    g_assert_cmpstr(event->name, ==, "test");
    heard->suspended += event->event == VIR_DOMAIN_EVENT_SUSPENDED;
    heard->resumed += event->event == VIR_DOMAIN_EVENT_RESUMED;
}

static const MigdVirtListener listener = {on_up, on_down, on_event};

static gboolean
suspend_work(virDomainPtr domain, gpointer data, GError **error)
{
    return virDomainSuspend(domain) == 0 && virDomainResume(domain) == 0;
}

static void
answered(gpointer data, const GError *error, gpointer user_data)
{
    guint *n = user_data;

    g_assert_no_error(error);
    (*n)++;
}

static void
test_connection(void)
{
    Heard heard = {0};
    MigdVirtConnection *connection = migd_virt_connection_new(URI, &listener, &heard);
    MigdVirtLane *lane;
    guint n_answered = 0;

    g_assert_false(migd_virt_connection_is_up(connection));
    run_until(&heard.ups, 1);
    g_assert_true(migd_virt_connection_is_up(connection));
    g_assert_false(migd_virt_connection_has_monitor_events(connection));
    g_assert_cmpuint(heard.n_names, ==, 1);
    g_assert_cmpstr(heard.uuid, ==, UUID);
    lane = migd_virt_lane_new(migd_virt_connection_pool(connection), UUID, NULL, NULL);
    migd_virt_lane_call(lane, suspend_work, NULL, NULL, 5000, answered, &n_answered);
    run_until(&heard.suspended, 1);
    run_until(&heard.resumed, 1);
    run_until(&n_answered, 1); /* the events may come before the answer */
    migd_virt_connection_free(connection);
    g_free(heard.uuid);
    g_free(heard.why);
}

static void
test_no_libvirt(void)
{
    Heard heard = {0};
    MigdVirtConnection *connection =
        migd_virt_connection_new("qemu+unix:///system?socket=/nonexistent", &listener, &heard);
    gint64 start = g_get_monotonic_time();

    run_until(&heard.downs, 3); /* at once, after 0.5 s, after another 1 s */
    g_assert_cmpint(g_get_monotonic_time() - start, >=, 1400 * 1000);
    g_assert_cmpuint(heard.ups, ==, 0);
    g_assert_nonnull(heard.why);
    migd_virt_connection_free(connection);
    g_free(heard.why);
}

/* Freed while the attempt is under way: nothing is heard any more. */
static void
test_freed_early(void)
{
    Heard heard = {0};

    migd_virt_connection_free(migd_virt_connection_new(URI, &listener, &heard));
    for (guint i = 0; i < 100; i++) {
        g_main_context_iteration(NULL, FALSE);
        g_usleep(1000);
    }
    g_assert_cmpuint(heard.ups + heard.downs, ==, 0);
}

/* ---- descriptions ---------------------------------------------------------------------------- */

static void
test_describe(void)
{
    g_autoptr(virConnect) connection = virConnectOpen(URI);
    g_autoptr(virDomain) domain = virDomainLookupByUUIDString(connection, UUID);
    g_autoptr(GError) error = NULL;
    MigdVirtFacts facts = {0};

    g_assert_true(migd_virt_describe(domain, &facts, &error));
    g_assert_no_error(error);
    g_assert_cmpstr(facts.name, ==, "test");
    g_assert_true(facts.active && facts.persistent);
    g_assert_false(facts.kvm);
    g_assert_cmpuint(facts.memory_bytes, ==, G_GUINT64_CONSTANT(8) << 30);
    g_assert_null(facts.profile);
    migd_virt_facts_clear(&facts);

    g_assert_true(migd_virt_metadata_write(domain, "gentle", TRUE, &error));
    g_assert_true(migd_virt_describe(domain, &facts, &error));
    g_assert_cmpstr(facts.profile, ==, "gentle");
    migd_virt_facts_clear(&facts);
    g_assert_true(migd_virt_metadata_write(domain, NULL, TRUE, &error));
    g_assert_true(migd_virt_describe(domain, &facts, &error));
    g_assert_null(facts.profile);
    migd_virt_facts_clear(&facts);
}

/* ---- versions -------------------------------------------------------------------------------- */

static void
test_versions(void)
{
    static const struct {
        MigdVirtFeature feature;
        unsigned long libvirt, hypervisor;
        const char *problem; /* NULL = it is there */
    } rows[] = {
        {MIGD_VIRT_PARALLEL, 9000000, 7002022, NULL},
        {MIGD_VIRT_PARALLEL, 5002000, 0, NULL},
        {MIGD_VIRT_PARALLEL, 5001999, 7002022, "needs libvirt 5.2, here is 5.1"},
        {MIGD_VIRT_PARALLEL_POSTCOPY, 9000000, 7002022, "needs QEMU 10.1, here is 7.2"},
        {MIGD_VIRT_PARALLEL_POSTCOPY, 11000000, 10001000, NULL},
        {MIGD_VIRT_DIRTY_RATE, 7001000, 0, "measuring the dirty rate needs libvirt 7.2"},
        {MIGD_VIRT_DIRTY_RATE_MODES, 8000000, 0, "bitmap or ring needs libvirt 8.1, here is 8.0"},
        {MIGD_VIRT_DOMAIN_MESSAGES, 0, 0, "needs libvirt 7.1, here is 0.0"},
    };

    for (guint i = 0; i < G_N_ELEMENTS(rows); i++) {
        g_autoptr(GError) error = NULL;
        gboolean there =
            migd_virt_feature_in(rows[i].feature, rows[i].libvirt, rows[i].hypervisor, &error);

        g_test_message("row %u", i);
        g_assert_cmpint(there, ==, rows[i].problem == NULL);
        if (there)
            continue;
        g_assert_error(error, MIGD_ERROR, MIGD_ERROR_NOT_SUPPORTED);
        g_assert_nonnull(strstr(error->message, rows[i].problem));
    }
}

/* The test driver is as new as the libvirt that it is in, and its hypervisor says 2. */
static void
test_version_is_asked_for(void)
{
    g_autoptr(virConnect) connection = virConnectOpen(URI);
    g_autoptr(GError) error = NULL;

    g_assert_true(migd_virt_has_feature(connection, MIGD_VIRT_PARALLEL, &error));
    g_assert_no_error(error);
    g_assert_false(migd_virt_has_feature(connection, MIGD_VIRT_PARALLEL_POSTCOPY, &error));
    g_assert_error(error, MIGD_ERROR, MIGD_ERROR_NOT_SUPPORTED);
    g_assert_nonnull(strstr(error->message, "needs QEMU 10.1"));
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    migd_virt_init();
    g_test_add_func("/virt/stats/running", test_running);
    g_test_add_func("/virt/stats/phases", test_phases);
    g_test_add_func("/virt/stats/totals", test_totals);
    g_test_add_func("/virt/stats/other-jobs", test_other_jobs);
    g_test_add_func("/virt/stats/nonsense", test_nonsense);
    g_test_add_func("/virt/dirty-rate", test_dirty_rate);
    g_test_add_func("/virt/metadata", test_metadata);
    g_test_add_func("/virt/metadata/there-and-back", test_metadata_there_and_back);
    g_test_add_func("/virt/kvm", test_kvm);
    g_test_add_func("/virt/pool", test_pool);
    g_test_add_func("/virt/pool/hang", test_pool_hang);
    g_test_add_func("/virt/pool/limits", test_pool_limits);
    g_test_add_func("/virt/connection", test_connection);
    g_test_add_func("/virt/connection/no-libvirt", test_no_libvirt);
    g_test_add_func("/virt/connection/freed-early", test_freed_early);
    g_test_add_func("/virt/describe", test_describe);
    g_test_add_func("/virt/versions", test_versions);
    g_test_add_func("/virt/versions/asked-for", test_version_is_asked_for);
    return g_test_run();
}

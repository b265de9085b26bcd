/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The one place where domains and migrations become properties, lists and signal details: the same
 * names and values everywhere.
 */
#include "daemon/bus-private.h"

#include <string.h>

#include "base/names.h"
#include "base/text.h"

typedef GVariantBuilder Dict;

static void
add(Dict *dict, const char *name, GVariant *value)
{
    g_variant_builder_add(dict, "{sv}", name, value);
}

static void
add_string(Dict *dict, const char *name, const char *value)
{
    add(dict, name, g_variant_new_string(value != NULL ? value : ""));
}

static void
add_u64(Dict *dict, const char *name, guint64 value)
{
    add(dict, name, g_variant_new_uint64(value));
}

char *
migd_bus_domain_path(const char *uuid)
{
    return migd_object_path(MIGD_BUS_DOMAIN_PREFIX, uuid);
}

char *
migd_bus_migration_path(const MigdWatch *watch)
{
    return migd_object_path(MIGD_BUS_MIGRATION_PREFIX, migd_watch_info(watch)->id);
}

static GVariant *
holds_value(const MigdManagedDomain *domain)
{
    g_autoptr(GPtrArray) holds = migd_holds_of(migd_manager_holds(domain->manager), domain->uuid);
    GVariantBuilder list;

    g_variant_builder_init(&list, G_VARIANT_TYPE("a(sss)"));
    for (guint i = 0; i < holds->len; i++) {
        const MigdHold *hold = holds->pdata[i];
        g_autofree char *what = migd_hold_what_to_string(hold->what);
        g_variant_builder_add(&list, "(sss)", what, hold->who, hold->why);
    }
    return g_variant_builder_end(&list);
}

GVariant *
migd_bus_domain_values(const MigdManagedDomain *domain)
{
    const MigdBackendOps *ops = domain->domain->backend->ops;
    const MigdDomainInfo *info = ops->info(domain->domain);
    g_autofree char *migration =
        domain->watch != NULL ? migd_bus_migration_path(domain->watch) : g_strdup("/");
    const char *source;
    const MigdProfile *profile = migd_manager_choose_profile(domain->manager, domain, &source);
    Dict dict;

    g_variant_builder_init(&dict, G_VARIANT_TYPE_VARDICT);
    add_string(&dict, "Uuid", domain->uuid);
    add_string(&dict, "Name", domain->name);
    add_string(&dict, "State", migd_domain_state_to_string(info->state));
    add_string(&dict, "Problem", info->problem);
    add_string(&dict, "Backend", ops->name);
    add_u64(&dict, "MemoryBytes", info->memory_bytes);
    add_string(&dict, "Profile", profile->name);
    add_string(&dict, "ProfileSource", source);
    add_u64(&dict, "DirtyRate", info->dirty_rate_bps);
    add_string(&dict, "DirtyRateMethod", info->dirty_rate_method);
    add_u64(&dict, "WorkingSet",
            migd_predictor_working_set(migd_manager_predictor(domain->manager), domain->uuid));
    migd_bus_add_write_protect(&dict, info, profile);
    add(&dict, "Tainted", g_variant_new_boolean(info->tainted));
    add(&dict, "Migration", g_variant_new_object_path(migration));
    add(&dict, "Holds", holds_value(domain));
    return g_variant_builder_end(&dict);
}

static void
add_identity(Dict *dict, const MigdWatchInfo *info)
{
    g_autofree char *domain = migd_bus_domain_path(info->domain_uuid);

    add_string(dict, "Id", info->id);
    add(dict, "Domain", g_variant_new_object_path(domain));
    add_string(dict, "DomainName", info->domain_name);
    add_string(dict, "Direction", info->incoming ? "incoming" : "outgoing");
    add_string(dict, "Origin", info->origin);
    add_string(dict, "Destination", info->destination);
    add_u64(dict, "StartTime", info->start_realtime_us);
    add_string(dict, "Profile", info->profile.name);
}

static void
add_forecast(Dict *dict, const MigdWatchInfo *info)
{
    gboolean over = info->state == MIGD_WATCH_FINISHED;
    MigdRange left = over ? (MigdRange){0, 0, 0} : info->decision.time_us_left;

    add_string(dict, "Verdict", migd_verdict_to_string(info->decision.verdict));
    add(dict, "Eta", g_variant_new("(ttt)", left.low, left.mid, left.high));
    add_u64(dict, "ExpectedDowntime",
            over || info->decision.pause_us.mid == MIGD_NEVER ? 0 : info->decision.pause_us.mid);
    add(dict, "Progress", g_variant_new_double(info->progress));
    add(dict, "ProgressValid", g_variant_new_boolean(info->progress_valid));
    add_string(dict, "LastDecision", info->decision_text);
}

/* Absent fields of a sample are 0 in it. */
GVariant *
migd_bus_migration_values(const MigdWatch *watch)
{
    const MigdWatchInfo *info = migd_watch_info(watch);
    const MigdSample *sample = &info->sample;
    Dict dict;

    g_variant_builder_init(&dict, G_VARIANT_TYPE_VARDICT);
    add_identity(&dict, info);
    add_string(&dict, "State", migd_watch_state_to_string(info->state));
    add(&dict, "Pass", g_variant_new_uint32((guint32)MIN(sample->pass, G_MAXUINT32)));
    add_u64(&dict, "RemainingBytes", sample->remaining_bytes);
    add_u64(&dict, "TransferredBytes", sample->transferred_bytes);
    add_u64(&dict, "TotalBytes", sample->total_bytes);
    add_u64(&dict, "Bandwidth",
            info->decision.bandwidth_bps != 0 ? info->decision.bandwidth_bps
                                              : sample->bandwidth_bps);
    add_u64(&dict, "DirtyRate", info->decision.dirty_rate_bps);
    add(&dict, "Throttle", g_variant_new_uint32(sample->throttle_pct));
    add_u64(&dict, "DowntimeLimit", sample->downtime_limit_us);
    add_forecast(&dict, info);
    add_string(&dict, "Result", migd_result_to_string(info->result));
    add_string(&dict, "Error", info->error);
    return g_variant_builder_end(&dict);
}

GVariant *
migd_bus_pass_details(const MigdWatch *watch)
{
    const MigdWatchInfo *info = migd_watch_info(watch);
    Dict dict;

    g_variant_builder_init(&dict, G_VARIANT_TYPE_VARDICT);
    add_u64(&dict, "RemainingBytes", info->sample.remaining_bytes);
    add_u64(&dict, "DirtyRate", info->decision.dirty_rate_bps);
    add_u64(&dict, "Bandwidth", info->decision.bandwidth_bps);
    add(&dict, "Throttle", g_variant_new_uint32(info->sample.throttle_pct));
    return g_variant_builder_end(&dict);
}

static void
add_range(Dict *dict, const char *name, const MigdRange *range)
{
    g_autofree char *low = g_strconcat(name, "_low", NULL);
    g_autofree char *mid = g_strconcat(name, "_mid", NULL);
    g_autofree char *high = g_strconcat(name, "_high", NULL);

    add_u64(dict, low, range->low);
    add_u64(dict, mid, range->mid);
    add_u64(dict, high, range->high);
}

GVariant *
migd_bus_decision_details(const MigdDecision *decision, const char *text, gboolean enforced)
{
    Dict dict;

    g_variant_builder_init(&dict, G_VARIANT_TYPE_VARDICT);
    add_string(&dict, "Text", text);
    add_u64(&dict, "Argument", decision->argument);
    add(&dict, "Enforced", g_variant_new_boolean(enforced));
    add_string(&dict, "Verdict", migd_verdict_to_string(decision->verdict));
    for (guint i = 0; i < migd_n_decision_fields; i++) {
        const MigdDecisionField *field = &migd_decision_fields[i];
        const void *p = (const char *)decision + field->offset;

        if (field->type == MIGD_NUM_RANGE)
            add_range(&dict, field->name, p);
        else if (field->type == MIGD_NUM_U32)
            add(&dict, field->name, g_variant_new_uint32(*(const guint32 *)p));
        else
            add_u64(&dict, field->name, *(const guint64 *)p);
    }
    return g_variant_builder_end(&dict);
}

/* As far as anything was predicted. */
static void
add_predicted(Dict *dict, const MigdTraceFinish *report)
{
    const struct {
        const char *name;
        const MigdRange *range;
    } rows[] = {{"predicted_total_us", &report->predicted_total_us},
                {"predicted_downtime_us", &report->predicted_downtime_us},
                {"predicted_transferred_bytes", &report->predicted_transferred_bytes}};
    gboolean known = report->predicted_total_us.high != 0;

    add_string(dict, "prediction", known ? "known" : "unknown");
    for (guint i = 0; known && i < G_N_ELEMENTS(rows); i++)
        add(dict, rows[i].name,
            g_variant_new("(ttt)", rows[i].range->low, rows[i].range->mid, rows[i].range->high));
}

/* How the guest's writes were tracked, and what it did as far as that shows: the setup contains the
 * start of the log, and the rate is what the guest dirtied in spite of it. */
static void
add_tracking(Dict *dict, const MigdWatchInfo *info)
{
    add_string(dict, "write_protect", info->write_protect);
    if (migd_sample_has(&info->sample, MIGD_HAS_SETUP_TIME))
        add_u64(dict, "setup_us", info->sample.setup_us);
    if (info->running.lambda_bps > 0)
        add_u64(dict, "dirty_rate_bps", info->running.lambda_bps);
}

GVariant *
migd_bus_report(const MigdWatch *watch)
{
    const MigdTraceFinish *report = &migd_watch_info(watch)->report;
    Dict dict;

    g_variant_builder_init(&dict, G_VARIANT_TYPE_VARDICT);
    add_u64(&dict, "total_us", report->total_us);
    add_u64(&dict, "downtime_us", report->downtime_us);
    add_u64(&dict, "transferred_bytes", report->transferred_bytes);
    add_u64(&dict, "total_bytes", report->total_bytes);
    add_u64(&dict, "passes", report->passes);
    add_u64(&dict, "throttle_us", report->throttle_us);
    add(&dict, "decisions", g_variant_new_uint32(report->decisions));
    add_tracking(&dict, migd_watch_info(watch));
    add_string(&dict, "error", report->error);
    add_predicted(&dict, report);
    return g_variant_builder_end(&dict);
}

GVariant *
migd_bus_stats(const MigdWatch *watch)
{
    const MigdSample *sample = &migd_watch_info(watch)->sample;
    Dict dict;

    g_variant_builder_init(&dict, G_VARIANT_TYPE_VARDICT);
    for (guint i = 0; i < migd_n_sample_fields; i++) {
        const MigdSampleField *field = &migd_sample_fields[i];
        guint64 value;

        if (field->libvirt_name == NULL || !migd_sample_has(sample, field->field))
            continue;
        value = migd_sample_get(sample, field);
        add(&dict, field->libvirt_name,
            field->is_u32 ? g_variant_new_uint32((guint32)value) : g_variant_new_uint64(value));
    }
    return g_variant_builder_end(&dict);
}

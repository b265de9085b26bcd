/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What only an idle domain lets one do: measure its dirty rate, write its metadata. libvirt makes
 * such calls wait for half a minute when a migration has begun meanwhile, so they have a lane of
 * their own, and the steering of that migration does not wait behind them.
 */
#include "daemon/virt-domain.h"

#include "base/error.h"
#include "virt/dirtyrate.h"
#include "virt/metadata.h"

#define AGAIN_MS 200
#define LATE_MS 5000 /* a measurement may end so much after its time */

MigdVirtLane *
migd_virt_domain_side(MigdVirtDomain *domain)
{
    if (domain->side == NULL)
        domain->side = migd_virt_lane_new(migd_virt_connection_pool(domain->host->connection),
                                          domain->uuid, NULL, NULL);
    return domain->side;
}

/* ---- profile
 * ------------------------------------------------------------------------------------- */

typedef struct {
    char *profile;
    gboolean persistent;
} Metadata;

typedef struct {
    MigdVirtDomain *domain;
    MigdDoneFunc callback;
    gpointer user_data;
} Setting;

static void
metadata_free(gpointer data)
{
    Metadata *metadata = data;

    g_free(metadata->profile);
    g_free(metadata);
}

static gboolean
metadata_work(virDomainPtr domain, gpointer data, GError **error)
{
    const Metadata *metadata = data;

    return migd_virt_metadata_write(domain, metadata->profile, metadata->persistent, error);
}

static void
metadata_written(gpointer data, const GError *error, gpointer user_data)
{
    g_autofree Setting *setting = user_data;
    MigdVirtDomain *domain = setting->domain;

    if (error == NULL) {
        g_free(domain->profile);
        domain->profile = g_strdup(((Metadata *)data)->profile);
        migd_virt_domain_changed(domain);
    }
    setting->callback(error, setting->user_data);
    migd_virt_domain_answered(domain);
}

void
migd_virt_set_profile(MigdDomain *base, const char *profile, gboolean persistent,
                      MigdDoneFunc callback, gpointer user_data)
{
    MigdVirtDomain *domain = (MigdVirtDomain *)base;
    Setting *setting;
    Metadata *metadata;

    if (profile != NULL && !migd_virt_is_profile_name(profile)) {
        migd_virt_answer_later(
            domain, callback, user_data,
            g_error_new(MIGD_ERROR, MIGD_ERROR_INVALID_ARGUMENT,
                        "a profile that travels is named by letters, digits, '-', '_' and '.'"));
        return;
    }
    metadata = g_new0(Metadata, 1);
    metadata->profile = g_strdup(profile);
    metadata->persistent = persistent;
    setting = g_new(Setting, 1);
    *setting = (Setting){domain, callback, user_data};
    domain->n_requests++;
    migd_virt_lane_call(migd_virt_domain_side(domain), metadata_work, metadata, metadata_free,
                        MIGD_VIRT_SIDE_TIMEOUT_MS, metadata_written, setting);
}

/* ---- dirty rate
 * ---------------------------------------------------------------------------------- */

typedef struct {
    guint seconds;
    MigdVirtDirtyMode mode;
} Measure;

typedef struct {
    MigdVirtDomain *domain; /* NULL once it has gone */
    MigdRateFunc callback;
    gpointer user_data;
    guint seconds; /* libvirt takes no less */
    MigdVirtDirtyMode mode;
    guint left; /* times to ask */
    guint source;
} Measuring;

static void
measure_end(Measuring *measuring, const MigdVirtDirtyRate *rate, const GError *error)
{
    MigdVirtDomain *domain = measuring->domain;

    MigdDirtyRate measured = {
        .period_us = measuring->seconds * (guint64)G_USEC_PER_SEC,
        .sample_pages = measuring->mode == MIGD_VIRT_DIRTY_SAMPLING ? MIGD_QEMU_SAMPLE_PAGES : 0,
    };

    domain->measuring = NULL;
    if (error == NULL) {
        measured.rate_bps = domain->dirty_rate_bps = rate->rate_bps;
        domain->dirty_rate_method = migd_virt_dirty_mode_to_string(measuring->mode);
        domain->measured = TRUE;
        measured.resident_bytes = rate->resident_bytes;
        migd_virt_domain_changed(domain);
    }
    measuring->callback(error == NULL ? &measured : NULL, error, measuring->user_data);
    g_free(measuring);
    migd_virt_domain_answered(domain);
}

static gboolean
start_work(virDomainPtr domain, gpointer data, GError **error)
{
    const Measure *what = data;

    return migd_virt_dirty_rate_start(domain, what->seconds, what->mode, error);
}

static gboolean
read_work(virDomainPtr domain, gpointer data, GError **error)
{
    return migd_virt_dirty_rate_read(domain, data, error);
}

static gboolean read_now(gpointer user_data);

static void
got_rate(gpointer data, const GError *error, gpointer user_data)
{
    Measuring *measuring = user_data;
    const MigdVirtDirtyRate *rate = data;
    g_autoptr(GError) late = NULL;

    if (error != NULL || rate->measured) {
        measure_end(measuring, rate, error);
    } else if (measuring->left-- > 0) {
        measuring->source = g_timeout_add(AGAIN_MS, read_now, measuring);
    } else {
        late = g_error_new(MIGD_ERROR, MIGD_ERROR_TIMED_OUT, "the measurement did not end in time");
        measure_end(measuring, NULL, late);
    }
}

static gboolean
read_now(gpointer user_data)
{
    Measuring *measuring = user_data;

    measuring->source = 0;
    migd_virt_lane_call(migd_virt_domain_side(measuring->domain), read_work,
                        g_new0(MigdVirtDirtyRate, 1), g_free,
                        measuring->domain->host->call_timeout_ms, got_rate, measuring);
    return G_SOURCE_REMOVE;
}

static void
measure_started(gpointer data, const GError *error, gpointer user_data)
{
    Measuring *measuring = user_data;

    if (error != NULL)
        measure_end(measuring, NULL, error);
    else
        measuring->source = g_timeout_add(((Measure *)data)->seconds * 1000, read_now, measuring);
}

void
migd_virt_measure_stop(MigdVirtDomain *domain, const GError *error)
{
    Measuring *measuring = domain->measuring;

    if (measuring == NULL || measuring->source == 0)
        return; /* a call under way is answered with its lane */
    g_clear_handle_id(&measuring->source, g_source_remove);
    measure_end(measuring, NULL, error);
}

/* NULL = fine. */
static GError *
check(const MigdVirtDomain *domain, const MigdMeasureOptions *options, MigdVirtDirtyMode *ret_mode)
{
    if (!migd_virt_dirty_mode_from_string(options->mode, ret_mode))
        return g_error_new(MIGD_ERROR, MIGD_ERROR_INVALID_ARGUMENT,
                           "option \"mode\": expected page-sampling, dirty-bitmap or dirty-ring");
    if (options->period_ms < 1 || options->period_ms > MIGD_MEASURE_MAX_MS)
        return g_error_new(MIGD_ERROR, MIGD_ERROR_INVALID_ARGUMENT, "option \"seconds\": 1 to %d",
                           MIGD_MEASURE_MAX_MS / 1000);
    if (*ret_mode != MIGD_VIRT_DIRTY_SAMPLING && !domain->kvm)
        return g_error_new(MIGD_ERROR, MIGD_ERROR_NOT_SUPPORTED,
                           "%s is for guests of KVM: without it QEMU before 9.1 dies of it",
                           options->mode);
    if (domain->measuring != NULL)
        return g_error_new(MIGD_ERROR, MIGD_ERROR_MIGRATION_IN_PROGRESS,
                           "another measurement is under way");
    if (migd_virt_domain_migrates(domain) || domain->incoming)
        return g_error_new(MIGD_ERROR, MIGD_ERROR_MIGRATION_IN_PROGRESS,
                           "never during a migration");
    return NULL;
}

static void
refused(const GError *error, gpointer user_data)
{
    g_autofree Measuring *measuring = user_data;

    measuring->callback(NULL, error, measuring->user_data);
}

void
migd_virt_measure(MigdDomain *base, const MigdMeasureOptions *options, MigdRateFunc callback,
                  gpointer user_data)
{
    MigdVirtDomain *domain = (MigdVirtDomain *)base;
    Measuring *measuring = g_new0(Measuring, 1);
    MigdVirtDirtyMode mode = MIGD_VIRT_DIRTY_SAMPLING;
    GError *error = check(domain, options, &mode);
    Measure *what;

    *measuring = (Measuring){.domain = domain,
                             .callback = callback,
                             .user_data = user_data,
                             .seconds = (options->period_ms + 999) / 1000};
    if (error != NULL) {
        migd_virt_answer_later(domain, refused, measuring, error);
        return;
    }
    measuring->mode = mode;
    measuring->left = LATE_MS / AGAIN_MS;
    domain->measuring = measuring;
    domain->n_requests++;
    what = g_new(Measure, 1);
    *what = (Measure){measuring->seconds, mode};
    migd_virt_lane_call(migd_virt_domain_side(domain), start_work, what, g_free,
                        MIGD_VIRT_SIDE_TIMEOUT_MS, measure_started, measuring);
}

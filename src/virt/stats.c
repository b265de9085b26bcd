/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Decoding by table: one row a parameter, with its unit and its range. The ranges only keep
 * nonsense out and products inside 64 bits.
 */
#include "virt/stats.h"

#include "base/checked.h"

#include <string.h>

#define MAX_BYTES (G_GUINT64_CONSTANT(1) << 60)
#define MAX_PAGES (G_GUINT64_CONSTANT(1) << 48)
#define MAX_MS G_GUINT64_CONSTANT(1000000000000) /* three decades */

typedef enum {
    AS_IS,
    MS,    /* -> µs */
    PAGES, /* -> bytes, if the page size is known */
} Unit;

typedef struct {
    const char *name;
    MigdField field;
    Unit unit;
    guint64 max;
} Row;

static const Row rows[] = {
    /* The page size first: rows below need it. */
    {VIR_DOMAIN_JOB_MEMORY_PAGE_SIZE, MIGD_HAS_PAGE_SIZE, AS_IS, 1 << 30},
    {VIR_DOMAIN_JOB_MEMORY_ITERATION, MIGD_HAS_PASS, AS_IS, MAX_BYTES},
    {VIR_DOMAIN_JOB_MEMORY_REMAINING, MIGD_HAS_REMAINING, AS_IS, MAX_BYTES},
    {VIR_DOMAIN_JOB_MEMORY_PROCESSED, MIGD_HAS_TRANSFERRED, AS_IS, MAX_BYTES},
    {VIR_DOMAIN_JOB_MEMORY_TOTAL, MIGD_HAS_TOTAL, AS_IS, MAX_BYTES},
    {VIR_DOMAIN_JOB_MEMORY_DIRTY_RATE, MIGD_HAS_DIRTY_RATE, PAGES, MAX_PAGES},
    {VIR_DOMAIN_JOB_MEMORY_BPS, MIGD_HAS_BANDWIDTH, AS_IS, MAX_BYTES},
    {VIR_DOMAIN_JOB_MEMORY_POSTCOPY_REQS, MIGD_HAS_POSTCOPY_REQUESTS, AS_IS, MAX_BYTES},
    {VIR_DOMAIN_JOB_MEMORY_NORMAL_BYTES, MIGD_HAS_NORMAL, AS_IS, MAX_BYTES},
    {VIR_DOMAIN_JOB_MEMORY_CONSTANT, MIGD_HAS_DUPLICATE, AS_IS, MAX_BYTES},
    {VIR_DOMAIN_JOB_AUTO_CONVERGE_THROTTLE, MIGD_HAS_THROTTLE, AS_IS, 99},
    {VIR_DOMAIN_JOB_TIME_ELAPSED, MIGD_HAS_ELAPSED, MS, MAX_MS},
    {VIR_DOMAIN_JOB_SETUP_TIME, MIGD_HAS_SETUP_TIME, MS, MAX_MS},
};

static gboolean
get_number(virTypedParameterPtr params, int n, const char *name, guint64 *ret)
{
    const virTypedParameter *param = virTypedParamsGet(params, n, name);

    if (param == NULL)
        return FALSE;
    switch (param->type) {
    case VIR_TYPED_PARAM_ULLONG:
        *ret = param->value.ul;
        return TRUE;
    case VIR_TYPED_PARAM_UINT:
        *ret = param->value.ui;
        return TRUE;
    case VIR_TYPED_PARAM_INT:
        *ret = (guint64)MAX(param->value.i, 0);
        return param->value.i >= 0;
    case VIR_TYPED_PARAM_LLONG:
        *ret = (guint64)MAX(param->value.l, 0);
        return param->value.l >= 0;
    default:
        return FALSE;
    }
}

static void
store(MigdSample *sample, const Row *row, guint64 value)
{
    if (value > row->max || (row->unit == PAGES && !migd_sample_has(sample, MIGD_HAS_PAGE_SIZE)))
        return;
    if (row->unit == PAGES)
        value = migd_sat_mul(value, sample->page_size_bytes);
    if (row->unit == MS)
        value *= 1000;
    for (guint i = 0; i < migd_n_sample_fields; i++)
        if (migd_sample_fields[i].field == row->field)
            migd_sample_set(sample, &migd_sample_fields[i], value);
}

static MigdStatus
status_of(int type, const MigdSample *sample)
{
    switch (type) {
    case VIR_DOMAIN_JOB_BOUNDED:
    case VIR_DOMAIN_JOB_UNBOUNDED:
        return migd_sample_has(sample, MIGD_HAS_TOTAL) && sample->total_bytes > 0
                   ? MIGD_STATUS_PRECOPY
                   : MIGD_STATUS_SETUP;
    case VIR_DOMAIN_JOB_COMPLETED:
        return MIGD_STATUS_COMPLETED;
    case VIR_DOMAIN_JOB_FAILED:
        return MIGD_STATUS_FAILED;
    case VIR_DOMAIN_JOB_CANCELLED:
        return MIGD_STATUS_CANCELLED;
    default:
        return MIGD_STATUS_NONE;
    }
}

/* A snapshot, a save or a dump is a job as well. Before libvirt 3.3 only migrations had
 * statistics. */
static gboolean
is_migration_out(virTypedParameterPtr params, int n)
{
    guint64 operation = VIR_DOMAIN_JOB_OPERATION_MIGRATION_OUT;

    (void)get_number(params, n, VIR_DOMAIN_JOB_OPERATION, &operation);
    return operation == VIR_DOMAIN_JOB_OPERATION_MIGRATION_OUT;
}

void
migd_virt_decode_job(int type, virTypedParameterPtr params, int n_params, MigdSample *ret)
{
    /* While it runs, libvirt calls the hypervisor's guess "downtime"; at the end the real one. */
    MigdField downtime =
        type == VIR_DOMAIN_JOB_COMPLETED ? MIGD_HAS_DOWNTIME : MIGD_HAS_EXPECTED_DOWNTIME;
    const Row downtime_row = {VIR_DOMAIN_JOB_DOWNTIME, downtime, MS, MAX_MS};
    guint64 value = 0;

    *ret = (MigdSample){.status = MIGD_STATUS_NONE};
    if (type == VIR_DOMAIN_JOB_NONE || !is_migration_out(params, n_params))
        return;
    for (guint i = 0; i < G_N_ELEMENTS(rows); i++)
        if (get_number(params, n_params, rows[i].name, &value))
            store(ret, &rows[i], value);
    if (get_number(params, n_params, downtime_row.name, &value))
        store(ret, &downtime_row, value);
    if (migd_sample_has(ret, MIGD_HAS_TOTAL | MIGD_HAS_REMAINING))
        ret->remaining_bytes = MIN(ret->remaining_bytes, ret->total_bytes);
    ret->status = status_of(type, ret);
    if (ret->status == MIGD_STATUS_COMPLETED) /* the event carries what was left at the last look */
        ret->has &= ~(guint32)MIGD_HAS_REMAINING;
}

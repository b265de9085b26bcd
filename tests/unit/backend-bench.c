/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The bench: what the daemon's side of the backend port would do, reduced to taking notes.
 */
#include "backend-bench.h"

#include "base/error.h"

#include <string.h>

#define TIMEOUT_MS 200

const MigdDomainInfo *
bench_info(MigdDomain *domain)
{
    return domain->backend->ops->info(domain);
}

static void
on_added(MigdDomain *domain, gpointer user_data)
{
    Bench *bench = user_data;

    g_ptr_array_add(bench->domains, domain);
    g_string_append_printf(bench->log, "+%s ", bench_info(domain)->name);
}

static void
on_changed(MigdDomain *domain, gpointer user_data)
{
    Bench *bench = user_data;

    g_assert_true(g_ptr_array_find(bench->domains, domain, NULL));
}

static void
on_removed(MigdDomain *domain, gpointer user_data)
{
    Bench *bench = user_data;

    g_assert_true(g_ptr_array_remove(bench->domains, domain));
    g_string_append_printf(bench->log, "-%s ", bench_info(domain)->name);
}

static void
on_event(MigdDomain *domain, MigdEventKind kind, guint64 argument, gpointer user_data)
{
    Bench *bench = user_data;

    if (kind == MIGD_EVENT_PASS)
        g_string_append_printf(bench->log, "pass%" G_GUINT64_FORMAT " ", argument);
    else
        g_string_append_printf(bench->log, "%s ", migd_status_to_string((MigdStatus)argument));
}

static void
on_qmp_fault(MigdQmpFault fault, gpointer user_data)
{
    Bench *bench = user_data;

    bench->faults[fault]++;
}

static const MigdBackendListener listener = {.domain_added = on_added,
                                             .domain_changed = on_changed,
                                             .domain_removed = on_removed,
                                             .event = on_event,
                                             .qmp_fault = on_qmp_fault};

static void
note(Bench *bench, const GError *error)
{
    bench->answers++;
    bench->errors += error != NULL;
    bench->lost += g_error_matches(error, MIGD_ERROR, MIGD_ERROR_BACKEND_LOST);
    g_free(bench->error);
    bench->error = error != NULL ? g_strdup(error->message) : NULL;
}

void
bench_on_sample(const MigdSample *sample, const GError *error, gpointer user_data)
{
    Bench *bench = user_data;

    g_assert_true((sample == NULL) == (error != NULL));
    if (sample != NULL)
        bench->sample = *sample;
    note(bench, error);
}

void
bench_on_knobs(const MigdKnobs *knobs, const GError *error, gpointer user_data)
{
    Bench *bench = user_data;

    g_assert_true((knobs == NULL) == (error != NULL));
    if (knobs != NULL)
        bench->knobs = *knobs;
    note(bench, error);
}

void
bench_on_done(const GError *error, gpointer user_data)
{
    note(user_data, error);
}

Bench *
bench_new(void)
{
    Bench *bench = g_new0(Bench, 1);

    bench->directory = make_directory();
    bench->domains = g_ptr_array_new();
    bench->log = g_string_new(NULL);
    return bench;
}

void
bench_start(Bench *bench, const char *directory)
{
    g_autoptr(GError) error = NULL;

    bench->backend = migd_backend_qmp_new(directory, TIMEOUT_MS);
    g_assert_true(bench->backend->ops->start(bench->backend, &listener, bench, &error));
    g_assert_no_error(error);
}

void
bench_stop(Bench *bench)
{
    MigdBackend *backend = g_steal_pointer(&bench->backend);

    if (backend != NULL)
        backend->ops->free(backend);
}

void
bench_free(Bench *bench)
{
    bench_stop(bench);
    g_assert_cmpuint(bench->domains->len, ==, 0); /* each was announced as gone */
    g_ptr_array_unref(bench->domains);
    g_string_free(bench->log, TRUE);
    g_free(bench->error);
    remove_directory(bench->directory);
    g_free(bench);
}

FakeQemu *
bench_peer(const Bench *bench, const char *name)
{
    g_autofree char *path = g_strdup_printf("%s/%s.qmp", bench->directory, name);

    return fake_qemu_new(path);
}

MigdDomain *
bench_find(const Bench *bench, const char *name)
{
    for (guint i = 0; i < bench->domains->len; i++) {
        MigdDomain *domain = g_ptr_array_index(bench->domains, i);

        if (strcmp(bench_info(domain)->name, name) == 0)
            return domain;
    }
    return NULL;
}

MigdDomain *
bench_wait_for(const Bench *bench, const char *name, MigdDomainState state)
{
    MigdDomain *domain = NULL;

    spin_until((domain = bench_find(bench, name)) != NULL && bench_info(domain)->state == state);
    return domain;
}

/* A started backend with one idle QEMU, "vm". */
MigdDomain *
bench_one_vm(Bench *bench, FakeQemu **ret_qemu)
{
    *ret_qemu = bench_peer(bench, "vm");
    fake_qemu_reply(*ret_qemu, "query-uuid", UUID_REPLY(UUID_A));
    bench_start(bench, bench->directory);
    (void)bench_wait_for(bench, "vm", MIGD_DOMAIN_RUNNING);
    spin_until(fake_qemu_heard(*ret_qemu, "migrate-set-capabilities") == 1);
    return bench_find(bench, "vm");
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A bench for the QMP backend: scripted peers in a directory, a listener that keeps a log,
 * callbacks that count. Used by the tests of the backend.
 */
#pragma once

#include "daemon/backend.h"
#include "fake-qemu.h"

#define UUID_A "11111111-2222-3333-4444-555555555555"
#define UUID_REPLY(uuid) "{\"UUID\":\"" uuid "\"}"

typedef struct {
    char *directory;
    MigdBackend *backend;
    GPtrArray *domains; /* of MigdDomain *, visible now */
    GString *log;       /* what the listener was told, one word each */
    guint answers, errors, lost;
    guint faults[MIGD_N_QMP_FAULTS];
    MigdSample sample;
    MigdKnobs knobs;
    char *error;
} Bench;

Bench *bench_new(void);

/* Starts the backend on `directory`. */
void bench_start(Bench *bench, const char *directory);

/* Frees the backend. */
void bench_stop(Bench *bench);

/* Stops first; fails if a domain was not announced as gone. */
void bench_free(Bench *bench);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Bench, bench_free)

const MigdDomainInfo *bench_info(MigdDomain *domain);

/* A new peer NAME.qmp in the bench's directory. */
FakeQemu *bench_peer(const Bench *bench, const char *name);

/* The visible domain of that name, or NULL; the same once it is in `state`. */
MigdDomain *bench_find(const Bench *bench, const char *name);
MigdDomain *bench_wait_for(const Bench *bench, const char *name, MigdDomainState state);

/* Starts the backend with one idle QEMU, "vm". */
MigdDomain *bench_one_vm(Bench *bench, FakeQemu **ret_qemu);

/* Callbacks for requests; user_data is the bench. */
void bench_on_sample(const MigdSample *sample, const GError *error, gpointer user_data);
void bench_on_knobs(const MigdKnobs *knobs, const GError *error, gpointer user_data);
void bench_on_done(const GError *error, gpointer user_data);

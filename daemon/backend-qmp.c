/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The backend for bare QEMUs: every QMP socket in a directory is a peer (qmp-peer.c), what the
 * daemon asks of one is a request (qmp-request.c). This file only keeps the set.
 */
#include "daemon/backend.h"

#include "daemon/options.h"
#include "daemon/qmp-dir.h"
#include "daemon/qmp-measure.h"
#include "daemon/qmp-peer.h"
#include "daemon/qmp-request.h"

typedef struct {
    MigdBackend base;
    char *directory; /* absolute */
    MigdQmpShared shared;
    MigdQmpDir *dir;
    GHashTable *peers; /* char * (file name) -> MigdQmpPeer * */
} BackendQmp;

static void
on_socket(const char *name, gboolean present, gpointer user_data)
{
    BackendQmp *self = user_data;

    if (present) {
        g_autofree char *path = g_build_filename(self->directory, name, NULL);

        g_hash_table_insert(self->peers, g_strdup(name), migd_qmp_peer_new(&self->shared, path));
    } else {
        g_hash_table_remove(self->peers, name);
    }
}

static void
backend_free(MigdBackend *backend)
{
    BackendQmp *self = (BackendQmp *)backend;

    g_clear_pointer(&self->dir, migd_qmp_dir_free);
    g_hash_table_unref(self->peers);
    g_hash_table_unref(self->shared.by_uuid);
    g_free(self->directory);
    g_free(self);
}

static gboolean
backend_start(MigdBackend *backend, const MigdBackendListener *listener, gpointer user_data,
              GError **error)
{
    BackendQmp *self = (BackendQmp *)backend;

    self->shared.listener = listener;
    self->shared.user_data = user_data;
    self->dir = migd_qmp_dir_new(self->directory, on_socket, self, error);
    return self->dir != NULL;
}

static const MigdDomainInfo *
backend_info(MigdDomain *domain)
{
    return &((MigdQmpDomain *)domain)->info;
}

static const MigdBackendOps qmp_ops = {
    .name = "qmp",
    .free = backend_free,
    .start = backend_start,
    .info = backend_info,
    .check_destination = migd_destination_check,
    .query = migd_qmp_request_query,
    .read_knobs = migd_qmp_request_read_knobs,
    .write_knobs = migd_qmp_request_write_knobs,
    .migrate = migd_qmp_request_migrate,
    .act = migd_qmp_request_act,
    .set_write_protect = migd_qmp_set_write_protect,
    .measure = migd_qmp_measure,
};

MigdBackend *
migd_backend_qmp_new(const char *directory, guint command_timeout_ms)
{
    BackendQmp *self = g_new0(BackendQmp, 1);

    self->base.ops = &qmp_ops;
    self->directory = g_canonicalize_filename(directory, "/");
    self->shared.backend = &self->base;
    self->shared.limits = migd_qmp_limits_default;
    self->shared.limits.timeout_ms = command_timeout_ms;
    self->shared.by_uuid = g_hash_table_new(g_str_hash, g_str_equal);
    self->peers =
        g_hash_table_new_full(g_str_hash, g_str_equal, g_free, (GDestroyNotify)migd_qmp_peer_free);
    return &self->base;
}

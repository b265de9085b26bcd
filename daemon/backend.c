/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The words of the backend port. The port itself is a table of functions: see backend.h.
 */
#include "daemon/backend.h"

static const char *const state_words[] = {
    [MIGD_DOMAIN_CONNECTING] = "connecting", [MIGD_DOMAIN_RUNNING] = "running",
    [MIGD_DOMAIN_PAUSED] = "paused",         [MIGD_DOMAIN_INCOMING] = "incoming",
    [MIGD_DOMAIN_SHUTOFF] = "shutoff",       [MIGD_DOMAIN_UNRESPONSIVE] = "unresponsive",
    [MIGD_DOMAIN_FAULTY] = "faulty",
};

const char *
migd_domain_state_to_string(MigdDomainState state)
{
    return (guint)state < G_N_ELEMENTS(state_words) ? state_words[state] : "unknown";
}

void
migd_backend_tell_fault(const MigdBackendListener *listener, MigdQmpFault fault, gpointer user_data)
{
    if (listener->qmp_fault != NULL)
        listener->qmp_fault(fault, user_data);
}

void
migd_backend_free(MigdBackend *backend)
{
    if (backend != NULL)
        backend->ops->free(backend);
}

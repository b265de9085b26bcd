/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The one place where libvirt's error codes become ours.
 */
#include "virt/handle.h"

#include <libvirt-glib/libvirt-glib-event.h>
#include <libvirt/virterror.h>

#include "base/error.h"
#include "base/text.h"

#define RELEASE_THREADS 4

typedef struct {
    virDomainPtr domain;
    virConnectPtr connection;
} MigdVirtRelease;

static const struct {
    int libvirt;
    MigdError code;
} codes[] = {
    {VIR_ERR_NO_DOMAIN, MIGD_ERROR_NO_SUCH_DOMAIN},
    {VIR_ERR_NO_SUPPORT, MIGD_ERROR_NOT_SUPPORTED},
    {VIR_ERR_OPERATION_UNSUPPORTED, MIGD_ERROR_NOT_SUPPORTED},
    {VIR_ERR_ARGUMENT_UNSUPPORTED, MIGD_ERROR_NOT_SUPPORTED},
    {VIR_ERR_CONFIG_UNSUPPORTED, MIGD_ERROR_NOT_SUPPORTED},
    {VIR_ERR_OPERATION_TIMEOUT, MIGD_ERROR_TIMED_OUT},
    {VIR_ERR_NO_CONNECT, MIGD_ERROR_BACKEND_LOST},
    {VIR_ERR_INVALID_CONN, MIGD_ERROR_BACKEND_LOST},
    {VIR_ERR_RPC, MIGD_ERROR_BACKEND_LOST},
    {VIR_ERR_AUTH_FAILED, MIGD_ERROR_ACCESS_DENIED},
    {VIR_ERR_ACCESS_DENIED, MIGD_ERROR_ACCESS_DENIED},
    {VIR_ERR_OPERATION_DENIED, MIGD_ERROR_ACCESS_DENIED},
};

static void
keep_silent(void *user_data, virErrorPtr error)
{
    /* every error is also returned to the caller */
}

void
migd_virt_init(void)
{
    static gsize once;

    if (g_once_init_enter(&once)) {
        (void)virInitialize(); /* else errors of a thread have no place */
        virSetErrorFunc(NULL, keep_silent);
        gvir_event_register();
        g_once_init_leave(&once, 1);
    }
}

/* ---- releasing ------------------------------------------------------------------------------- */

static void
release_one(gpointer data, gpointer user_data)
{
    g_autofree MigdVirtRelease *release = data;

    if (release->domain != NULL)
        virDomainFree(release->domain);
    if (release->connection != NULL)
        virConnectClose(release->connection);
}

static void
release_later(virDomainPtr domain, virConnectPtr connection)
{
    static GThreadPool *threads;
    MigdVirtRelease *release;

    if (domain == NULL && connection == NULL)
        return;
    if (g_once_init_enter(&threads))
        g_once_init_leave(&threads, g_thread_pool_new(release_one, NULL, RELEASE_THREADS,
                                                      /* exclusive= */ FALSE, NULL));
    release = g_new(MigdVirtRelease, 1);
    *release = (MigdVirtRelease){domain, connection};
    (void)g_thread_pool_push(threads, release, NULL);
}

void
migd_virt_release_domain(virDomainPtr domain)
{
    release_later(domain, NULL);
}

void
migd_virt_release_connection(virConnectPtr connection)
{
    release_later(NULL, connection);
}

/* ---- values ---------------------------------------------------------------------------------- */

void
migd_virt_params_clear(MigdVirtParams *params)
{
    virTypedParamsFree(params->list, params->n);
    *params = (MigdVirtParams){0};
}

void
migd_virt_set_error(GError **error, const char *what)
{
    virErrorPtr last = virGetLastError();
    MigdError code = MIGD_ERROR_FAILED;
    g_autofree char *text = migd_text_clean(
        last != NULL && last->message != NULL ? last->message : "libvirt gives no reason");

    for (guint i = 0; last != NULL && i < G_N_ELEMENTS(codes); i++)
        if (last->code == codes[i].libvirt)
            code = codes[i].code;
    /* A connection that breaks under a call is an internal or system error of the RPC layer. */
    if (last != NULL && last->domain == VIR_FROM_RPC && code == MIGD_ERROR_FAILED)
        code = MIGD_ERROR_BACKEND_LOST;
    g_set_error(error, MIGD_ERROR, (gint)code, "%s: %s", what, text);
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * libvirt's objects made at home in GLib: released by scope, and errors of libvirt as ours. Text
 * from libvirt may come from guests and other hosts, so it is cleaned here.
 */
#pragma once

#include <glib.h>
#include <libvirt/libvirt.h>

G_DEFINE_AUTOPTR_CLEANUP_FUNC(virDomain, virDomainFree)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(virConnect, virConnectClose)

typedef struct {
    virTypedParameterPtr list;
    int n;
} MigdVirtParams;

void migd_virt_params_clear(MigdVirtParams *params);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(MigdVirtParams, migd_virt_params_clear)

/* Once in a process, before anything else: libvirt's events go to the default main context, its
 * errors no longer to stderr. */
void migd_virt_init(void);

/* Drop a reference; any may be the last one of a connection, and closing that waits for libvirt. So
 * it is done in a thread. NULL is fine. */
void migd_virt_release_domain(virDomainPtr domain);
void migd_virt_release_connection(virConnectPtr connection);

/* `error` from what libvirt said last in this thread; `what` was being tried. */
void migd_virt_set_error(GError **error, const char *what);

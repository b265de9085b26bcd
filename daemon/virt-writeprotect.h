/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * How the writes of a libvirt domain's guest are tracked. Private to the libvirt backend.
 *
 * libvirt does not tell the process of a domain: its number is in a file of libvirt's. The process
 * is pinned first and must then have the domain's UUID on its command line, so a file that was left
 * behind and a number that was used again do not deceive.
 */
#pragma once

#include "daemon/backend.h"
#include "virt/handle.h"
#include "writeprotect/detect.h"

typedef struct MigdVirtDomain MigdVirtDomain;

/* Where a libvirt at `uri` keeps its files with process numbers; NULL = it is another machine's.
 * Pure but for the user's runtime directory. Caller frees. */
char *migd_virt_pid_directory(const char *uri);

/* Finds out, and keeps the conclusion in `domain`. Nobody waits for it: libvirt may have to run a
 * QEMU of its own before it can tell the version. */
void migd_virt_domain_inspect(MigdVirtDomain *domain);

/* Of MigdBackendOps. */
void migd_virt_set_write_protect(MigdDomain *domain, const MigdWriteProtectChange *change,
                                 MigdDoneFunc callback, gpointer user_data);

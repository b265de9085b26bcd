/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Where libvirt's hook leaves its messages: a FIFO that only root and the daemon's user can write
 * to. The hook never waits, so what does not fit is lost, and nothing here may rely on a message.
 */
#pragma once

#include <glib.h>

/* A migration to here is about to begin. `uuid` is canonical; `name` is valid UTF-8 without control
 * characters. */
typedef void (*MigdVirtHookFunc)(const char *uuid, const char *name, gpointer user_data);

typedef struct MigdVirtHook MigdVirtHook;

/* NULL with `error` set: no FIFO can be made there. */
MigdVirtHook *
migd_virt_hook_new(const char *path, MigdVirtHookFunc incoming, gpointer user_data, GError **error);
void migd_virt_hook_free(MigdVirtHook *hook);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(MigdVirtHook, migd_virt_hook_free)

/* One line, without its newline: "1 OPERATION SUB-OPERATION UUID NAME". TRUE when it announces a
 * migration; the pointers lead into `line`, which is changed. Pure. */
gboolean migd_virt_hook_parse(char *line, const char **ret_uuid, const char **ret_name);

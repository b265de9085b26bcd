/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * How much of a guest's memory its host holds pages for: what was never touched costs a migration
 * next to nothing. Read from /proc, where the daemon may; else not known.
 */
#pragma once

#include <glib.h>

/* Bytes of guest memory (of `memory_bytes`) that process `pid` holds; 0 = not known. */
guint64 migd_resident_read(gint pid, guint64 memory_bytes);

/* The same from the text of /proc/PID/smaps or, where that is too costly, /proc/PID/status. Pure.
 */
guint64 migd_resident_from_smaps(const char *text, guint64 memory_bytes);
guint64 migd_resident_from_status(const char *text, guint64 memory_bytes);

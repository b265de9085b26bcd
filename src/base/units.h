/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Quantities as people write them, to and from the integers that the code uses: µs, bytes, bytes/s,
 * percent. Parsing is strict: the whole string, a known unit, no sign, no overflow.
 */
#pragma once

#include <glib.h>

/* "300ms", "1.5s", "2min", "1h", "40us" -> µs; a bare number is refused (say the unit); "0" is
 * fine. */
gboolean migd_parse_duration(const char *text, guint64 *ret_us, GError **error);

/* "64MiB", "1.5GiB", "700MB", "4096" (bytes) -> bytes. */
gboolean migd_parse_bytes(const char *text, guint64 *ret_bytes, GError **error);

/* "40MiB/s", "1.1GB/s", "10Gbit/s" -> bytes/s. A bare number is bytes/s. */
gboolean migd_parse_rate(const char *text, guint64 *ret_bps, GError **error);

/* "80%" or "80" -> 80; 0..100. */
gboolean migd_parse_percent(const char *text, guint32 *ret_pct, GError **error);

/* For people: "4.2 s", "312 ms", "12 min 5 s"; MIGD_NEVER (G_MAXUINT64) is "never". Caller frees.
 */
char *migd_format_duration(guint64 us);

/* "64.0 MiB"; "41.9 MiB/s". Caller frees. */
char *migd_format_bytes(guint64 bytes);
char *migd_format_rate(guint64 bps);

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Two files of /proc. smaps tells the guest's memory from the rest of its process, but the kernel
 * walks all page tables for it with a lock held that the guest may need: only for small guests, of
 * which the rest of the process is a notable part. status has ready counters.
 */
#include "daemon/resident.h"

#include <string.h>

#include "base/checked.h"

#define SMALL_BYTES (4 * (guint64)1073741824)

/* A mapping of less than this part of the memory is no part of it worth counting. */
#define PART 8

/* The number after `key` at the beginning of a line of `text`, which is in kB; 0 = none. */
static guint64
bytes_after(const char *text, const char *key)
{
    gsize length = strlen(key);

    for (const char *line = text; line != NULL && *line != '\0';) {
        if (strncmp(line, key, length) == 0)
            return migd_sat_mul(g_ascii_strtoull(line + length, NULL, 10), 1024);
        line = strchr(line, '\n');
        line = line != NULL ? line + 1 : NULL;
    }
    return 0;
}

/* "55d0-55f0 rw-p …": the head of a mapping; its lines begin with a capital letter. */
static gboolean
is_head(const char *line)
{
    return g_ascii_isxdigit(line[0]) && !g_ascii_isupper(line[0]);
}

/* The guest's memory is written, is no code, and is not QEMU's own heap. */
static gboolean
may_be_memory(const char *head)
{
    const char *end = strchrnul(head, '\n');
    g_autofree char *line = g_strndup(head, (gsize)(end - head));

    return strstr(line, " rw-") != NULL && strchr(line, '[') == NULL;
}

guint64
migd_resident_from_smaps(const char *text, guint64 memory_bytes)
{
    g_auto(GStrv) lines = g_strsplit(text, "\n", -1);
    guint64 size = 0, sum = 0;
    gboolean counts = FALSE;

    for (guint i = 0; lines[i] != NULL; i++) {
        if (is_head(lines[i])) {
            counts = may_be_memory(lines[i]);
            size = 0;
        } else if (g_str_has_prefix(lines[i], "Size:")) {
            size = bytes_after(lines[i], "Size:");
        } else if (counts && g_str_has_prefix(lines[i], "Rss:") && size >= memory_bytes / PART &&
                   size <= memory_bytes) {
            sum = migd_sat_add(sum, bytes_after(lines[i], "Rss:"));
        }
    }
    return MIN(sum, memory_bytes);
}

guint64
migd_resident_from_status(const char *text, guint64 memory_bytes)
{
    guint64 sum = migd_sat_add(bytes_after(text, "RssAnon:"), bytes_after(text, "RssShmem:"));

    return MIN(migd_sat_add(sum, bytes_after(text, "HugetlbPages:")), memory_bytes);
}

guint64
migd_resident_read(gint pid, guint64 memory_bytes)
{
    gboolean small = memory_bytes <= SMALL_BYTES;
    g_autofree char *smaps = g_strdup_printf("/proc/%d/smaps", pid);
    g_autofree char *status = g_strdup_printf("/proc/%d/status", pid);
    g_autofree char *text = NULL;
    guint64 found = 0;

    if (pid <= 0 || memory_bytes == 0)
        return 0;
    if (small && g_file_get_contents(smaps, &text, NULL, NULL))
        found = migd_resident_from_smaps(text, memory_bytes);
    if (found == 0) {
        g_clear_pointer(&text, g_free);
        if (g_file_get_contents(status, &text, NULL, NULL))
            found = migd_resident_from_status(text, memory_bytes);
    }
    return found;
}

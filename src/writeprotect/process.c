/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Reading and parsing of procfs. What a process writes about itself (its command line, the names of
 * its threads) is its own word and never enough for an action; its memory map is the kernel's.
 */
#include "writeprotect/process.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"

#define READ_MAX (4u << 20) /* a QEMU with many devices has some thousand lines of 100 bytes */
#define RING_OFFSET                                                                                \
    0x40000u /* of the ring in a vCPU's descriptor: KVM_DIRTY_LOG_PAGE_OFFSET pages */
#define RING_ENTRY_BYTES 16
#define RING_ENTRIES_MAX 65536u
#define VCPU_FILE "anon_inode:kvm-vcpu"
#define REAPER "kvm-reaper"
#define RING_OPTION "dirty-ring-size="

struct MigdProcess {
    int directory;
    gint pid;
};

static gboolean
fail(const MigdProcess *process, const char *what, int code, GError **error)
{
    g_set_error(error, MIGD_ERROR, MIGD_ERROR_FAILED, "process %d: %s%s%s", process->pid, what,
                code != 0 ? ": " : "", code != 0 ? g_strerror(code) : "");
    return FALSE;
}

MigdProcess *
migd_process_open(const char *proc, gint pid, GError **error)
{
    g_autofree char *path = g_strdup_printf("%s/%d", proc, pid);
    g_autoptr(MigdProcess) process = g_new0(MigdProcess, 1);

    process->pid = pid;
    process->directory = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    if (process->directory < 0) {
        fail(process, "not there", errno, error);
        return NULL;
    }
    return g_steal_pointer(&process);
}

void
migd_process_free(MigdProcess *process)
{
    if (process == NULL)
        return;
    if (process->directory >= 0)
        close(process->directory);
    g_free(process);
}

/* The whole file `name` of its folder; NULL with errno set. `ret_length` may be NULL. */
static char *
read_file(int directory, const char *name, gsize *ret_length)
{
    g_autoptr(GString) text = g_string_new(NULL);
    char buffer[16384];
    ssize_t n;
    int fd = openat(directory, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);

    if (fd < 0)
        return NULL;
    while ((n = read(fd, buffer, sizeof buffer)) > 0 && text->len < READ_MAX)
        g_string_append_len(text, buffer, n);
    int code = errno;
    close(fd);
    errno = code;
    if (n < 0)
        return NULL;
    if (ret_length != NULL)
        *ret_length = text->len;
    return g_string_free(g_steal_pointer(&text), FALSE);
}

/* ---- what it says ------------------------------------------------------------------------------
 */

void
migd_process_read_maps(const char *text, MigdProcessFacts *facts)
{
    for (const char *line = text; line != NULL && *line != '\0';) {
        const char *end = strchr(line, '\n');
        gsize length = end != NULL ? (gsize)(end - line) : strlen(line);
        guint64 first, last, offset;
        g_autofree char *copy = g_strndup(line, length);

        line = end != NULL ? end + 1 : NULL;
        if (strstr(copy, VCPU_FILE) == NULL ||
            sscanf(copy,
                   "%" G_GINT64_MODIFIER "x-%" G_GINT64_MODIFIER "x %*4s %" G_GINT64_MODIFIER "x",
                   &first, &last, &offset) != 3 ||
            last <= first)
            continue;
        if (offset == 0)
            facts->n_vcpus++;
        else if (offset == RING_OFFSET && (last - first) / RING_ENTRY_BYTES <= RING_ENTRIES_MAX)
            facts->ring_entries = (guint32)((last - first) / RING_ENTRY_BYTES);
    }
}

/* QEMU's options are words like "kvm,dirty-ring-size=4096"; a guest's name may look like one, so
 * only the word after -accel or -machine counts. */
static guint32
asked_entries(const char *word)
{
    const char *option = strstr(word, RING_OPTION);
    guint64 value;

    if (option == NULL || (option != word && option[-1] != ','))
        return 0;
    value = g_ascii_strtoull(option + strlen(RING_OPTION), NULL, 10);
    return value <= RING_ENTRIES_MAX ? (guint32)value : 0;
}

void
migd_process_read_command_line(const char *words, gsize length, MigdProcessFacts *facts)
{
    gboolean is_accelerator = FALSE;

    for (const char *word = words; word < words + length; word += strlen(word) + 1) {
        if (is_accelerator && asked_entries(word) != 0)
            facts->asked_entries = asked_entries(word);
        is_accelerator = strcmp(word, "-accel") == 0 || strcmp(word, "--accel") == 0;
    }
}

gboolean
migd_process_has_uuid(const MigdProcess *process, const char *uuid, GError **error)
{
    gsize length = 0;
    g_autofree char *words = read_file(process->directory, "cmdline", &length);
    gboolean is_value = FALSE;

    if (words == NULL)
        return fail(process, "its command line is not readable", errno, error);
    for (const char *word = words; word < words + length; word += strlen(word) + 1) {
        if (is_value && g_ascii_strcasecmp(word, uuid) == 0)
            return TRUE;
        is_value = strcmp(word, "-uuid") == 0;
    }
    return fail(process, "not the hypervisor of this domain", 0, error);
}

static void
read_threads(const MigdProcess *process, MigdProcessFacts *facts)
{
    int fd = openat(process->directory, "task", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *directory = fd >= 0 ? fdopendir(fd) : NULL;
    struct dirent *entry;

    if (directory == NULL) {
        if (fd >= 0)
            close(fd);
        return;
    }
    facts->threads = TRUE;
    while ((entry = readdir(directory)) != NULL) {
        g_autofree char *name = g_strdup_printf("%s/comm", entry->d_name);
        g_autofree char *comm =
            entry->d_name[0] != '.' ? read_file(dirfd(directory), name, NULL) : NULL;

        facts->reaper |= comm != NULL && strcmp(g_strchomp(comm), REAPER) == 0;
    }
    closedir(directory);
}

/* The state letter stands after the name, which is in parentheses and may hold anything. */
static gboolean
is_alive(const MigdProcess *process)
{
    g_autofree char *stat = read_file(process->directory, "stat", NULL);
    const char *end = stat != NULL ? strrchr(stat, ')') : NULL;

    return end != NULL && end[1] == ' ' && strchr("ZXx", end[2]) == NULL;
}

gboolean
migd_process_look(const MigdProcess *process, MigdProcessFacts *ret_facts, GError **error)
{
    MigdProcessFacts facts = {0};
    gsize length = 0;
    g_autofree char *maps = read_file(process->directory, "maps", NULL);
    g_autofree char *words = read_file(process->directory, "cmdline", &length);

    if (maps != NULL) {
        facts.maps = TRUE;
        migd_process_read_maps(maps, &facts);
    }
    if (words != NULL)
        migd_process_read_command_line(words, length, &facts);
    read_threads(process, &facts);
    /* One that dies shows empty files, which must not pass for a guest without rings. */
    if (!is_alive(process))
        return fail(process, "it died while it was looked at", 0, error);
    *ret_facts = facts;
    return TRUE;
}

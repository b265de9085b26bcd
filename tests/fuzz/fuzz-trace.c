/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Any bytes as a trace: what can be read can be replayed, twice with the same outcome.
 */
#include "fuzz.h"

#include "trace/trace.h"

#include <sys/mman.h>
#include <unistd.h>

static void
check_decision(const MigdDecision *decision, const MigdDecision *recorded, gpointer user_data)
{
    guint *decisions = user_data;

    g_assert(decision != NULL || recorded != NULL);
    g_assert(decision == NULL ||
             (decision->action < MIGD_N_ACTIONS && decision->reason < MIGD_N_REASONS));
    (*decisions)++;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    int fd = memfd_create("trace", MFD_CLOEXEC);
    g_autofree char *path = g_strdup_printf("/proc/self/fd/%d", fd);
    g_autoptr(GError) error = NULL;
    g_autoptr(MigdTrace) trace = NULL;
    guint decisions = 0, decisions_again = 0, differences;

    g_assert(fd >= 0);
    g_assert(write(fd, data, size) == (ssize_t)size);
    trace = migd_trace_read(path, &error);
    close(fd);
    g_assert((trace == NULL) == (error != NULL));
    if (trace == NULL)
        return 0;
    differences = migd_trace_replay(trace, NULL, check_decision, &decisions, NULL);
    g_assert(migd_trace_replay(trace, NULL, check_decision, &decisions_again, NULL) == differences);
    g_assert(decisions == decisions_again);
    return 0;
}

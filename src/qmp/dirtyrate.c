/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Encoding and decoding. Whether a mode is safe for this guest is the caller's to know.
 */
#include "qmp/dirtyrate.h"

#include <string.h>

#include "base/error.h"

#define MIB 1048576
#define MAX_MS 60000
#define MAX_MIBPS (1 << 30)

/* QEMU takes so many pages of each GiB. */
#define MIN_SAMPLE 128
#define MAX_SAMPLE 16384

static const char *const modes[] = {"page-sampling", "dirty-bitmap", "dirty-ring", NULL};

MigdQmpCommand *
migd_qmp_command_for_dirty_rate(const MigdQmpDirtyRateWish *wish, GError **error)
{
    gboolean sampling = g_strcmp0(wish->mode, modes[0]) == 0;
    gboolean seconds = wish->period_ms % 1000 == 0;
    MigdQmpCommand *command;

    if (wish->mode == NULL || !g_strv_contains(modes, wish->mode)) {
        g_set_error(error, MIGD_ERROR, MIGD_ERROR_INVALID_ARGUMENT,
                    "option \"mode\": expected page-sampling, dirty-bitmap or dirty-ring");
        return NULL;
    }
    if (wish->period_ms < 1 || wish->period_ms > MAX_MS) {
        g_set_error(error, MIGD_ERROR, MIGD_ERROR_INVALID_ARGUMENT, "option \"seconds\": 1 to %d",
                    MAX_MS / 1000);
        return NULL;
    }
    command = g_new0(MigdQmpCommand, 1);
    command->name = "calc-dirty-rate";
    command->arguments = migd_json_object_new();
    migd_json_add_u64(command->arguments, "calc-time",
                      seconds ? wish->period_ms / 1000 : wish->period_ms);
    if (!seconds)
        migd_json_add_string(command->arguments, "calc-time-unit", "millisecond");
    if (sampling && wish->sample_pages != 0)
        migd_json_add_u64(command->arguments, "sample-pages",
                          CLAMP(wish->sample_pages, MIN_SAMPLE, MAX_SAMPLE));
    if (!sampling)
        migd_json_add_string(command->arguments, "mode", wish->mode);
    return command;
}

gboolean
migd_qmp_decode_dirty_rate(const MigdJson *reply, MigdQmpDirtyRate *ret, GError **error)
{
    const char *status = NULL;
    guint64 rate = 0;
    MigdJsonResult result;

    *ret = (MigdQmpDirtyRate){0};
    if (!migd_json_is_object(reply) ||
        migd_json_get_string(reply, "status", &status, NULL) != MIGD_JSON_OK) {
        g_set_error(error, MIGD_ERROR, MIGD_ERROR_FAILED, "query-dirty-rate: no status");
        return FALSE;
    }
    result = migd_json_get_u64(reply, "dirty-rate", 0, MAX_MIBPS, &rate, error);
    if (result == MIGD_JSON_BAD)
        return FALSE;
    ret->measured = strcmp(status, "measured") == 0 && result == MIGD_JSON_OK;
    ret->rate_bps = rate * MIB;
    return TRUE;
}

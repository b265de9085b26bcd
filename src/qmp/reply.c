/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The first questions about a reply, answered in one place so that their errors read the same.
 */
#include "qmp/reply.h"

#include "base/error.h"

gboolean
migd_qmp_need(MigdJsonResult result, const char *what, GError **error)
{
    if (result == MIGD_JSON_ABSENT)
        g_set_error(error, MIGD_ERROR, MIGD_ERROR_FAILED, "%s: missing", what);
    return result == MIGD_JSON_OK;
}

gboolean
migd_qmp_need_object(const MigdJson *reply, const char *command, GError **error)
{
    if (!migd_json_is_object(reply))
        g_set_error(error, MIGD_ERROR, MIGD_ERROR_FAILED, "%s: no object", command);
    return migd_json_is_object(reply);
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The one copy of the answer, probed when it is first wanted. Decides nothing.
 */
#include "daemon/writeprotect.h"

#include "base/error.h"

static MigdHostKvm host;
static gboolean probed;

void
migd_write_protect_probe(void)
{
    migd_host_kvm_probe(migd_kvm_port(), &host);
    probed = TRUE;
}

const MigdHostKvm *
migd_write_protect_host(void)
{
    if (!probed)
        migd_write_protect_probe();
    return &host;
}

GError *
migd_write_protect_refusal(const GError *error)
{
    if (!g_error_matches(error, MIGD_ERROR, MIGD_ERROR_FAILED))
        return g_error_copy(error);
    return g_error_new(MIGD_ERROR, MIGD_ERROR_NOT_SUPPORTED,
                       "write-protect-all is not possible: %s", error->message);
}

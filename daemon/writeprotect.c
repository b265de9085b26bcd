/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The one copy of the answer, probed when it is first wanted. Decides nothing.
 */
#include "daemon/writeprotect.h"

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

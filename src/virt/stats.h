/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * libvirt's job statistics as the policy's values: pages/s and ms become bytes/s and µs here and
 * nowhere else. Pure. Each parameter may be missing or of a kind that this version does not know;
 * what is out of range is left out.
 */
#pragma once

#include <glib.h>
#include <libvirt/libvirt.h>

#include "policy/sample.h"

/* libvirt's "no limit", MiB/s. */
#define MIGD_VIRT_NO_SPEED_LIMIT 8796093022207u

/* The statistics of a job of `type` (VIR_DOMAIN_JOB_…), from virDomainGetJobStats() or the event of
 * its end. `ret->status` is NONE when no migration out runs, SETUP before the first byte, PRECOPY
 * then: libvirt does not tell more; the events of the hypervisor do. time_us and the knobs stay 0.
 */
void migd_virt_decode_job(int type, virTypedParameterPtr params, int n_params, MigdSample *ret);

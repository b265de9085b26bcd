/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The profile that a domain carries in its libvirt metadata, and so takes along to other hosts:
 *   <migrationd:policy xmlns:migrationd="urn:migrationd:policy:1" profile="NAME"/>
 * Written by whoever may define domains, here or elsewhere: hostile input.
 */
#pragma once

#include "virt/handle.h"

#define MIGD_VIRT_METADATA_URI "urn:migrationd:policy:1"
#define MIGD_VIRT_METADATA_KEY "migrationd"
#define MIGD_VIRT_PROFILE_MAX 64 /* bytes of a profile's name */

/* The name in the element as libvirt hands it out (with or without the prefix); NULL: there is
 * none, or it is not well-formed or no name. Pure. Caller frees. */
char *migd_virt_metadata_parse(const char *xml);

/* The element for `profile`, without the name space: libvirt adds it. Pure. Caller frees. */
char *migd_virt_metadata_format(const char *profile);

/* Letters, digits, '-', '_' and '.', not too long: what a profile may be called in metadata. */
gboolean migd_virt_is_profile_name(const char *name);

/* Blocks. `*ret_profile` is NULL when the domain carries none. Caller frees. */
gboolean migd_virt_metadata_read(virDomainPtr domain, char **ret_profile, GError **error);

/* Blocks, up to half a minute while a migration runs. For the running domain and, with
 * `persistent`, for its next start as well (NotSupported for a transient one). NULL takes it away.
 */
gboolean migd_virt_metadata_write(virDomainPtr domain, const char *profile, gboolean persistent,
                                  GError **error);

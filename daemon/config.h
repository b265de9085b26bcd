/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The configuration as a value: read whole or not at all, never changed afterwards. Files are read
 * in order, the last value of a key wins, and what this does not know it refuses.
 */
#pragma once

#include <glib.h>

#include "daemon/journal.h"
#include "daemon/profiles.h"

/* Where to read, and what the command line overrides. Strings are borrowed for the life of the
 * process. */
typedef struct {
    const char
        *file; /* NULL = MIGD_CONF_FILE, which may be missing; FILE.d/NAME.conf come after it */
    char **profile_dirs;       /* NULL = those of the vendor and the admin, which may be missing */
    const char *mode;          /* NULL = as in the files */
    const char *qmp_directory; /* NULL = as in the files */
    const char *libvirt_uri;   /* NULL = as in the files */
    const char *runtime_directory;
} MigdConfigSource;

typedef struct {
    gboolean observe; /* [Daemon] Mode=observe */
    char *default_profile;
    char *qmp_directory;
    guint command_timeout_ms;
    char *libvirt_uri; /* "none" = no libvirt */
    gboolean allow_monitor;
    guint call_timeout_ms; /* of libvirt */
    MigdLogLevel log_level;
    guint trace_keep;
    MigdProfiles *profiles;
} MigdConfig;

/* NULL: something is wrong; the error says file, line, key and what is allowed. */
MigdConfig *migd_config_read(const MigdConfigSource *source, GError **error);
void migd_config_free(MigdConfig *config);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(MigdConfig, migd_config_free)

/* The profile of a domain that a call does not name one for. `*ret_source` (optional): "match" or
 * "default". */
const MigdProfile *migd_config_choose(const MigdConfig *config, const char *domain_uuid,
                                      const char *domain_name, const char **ret_source);

/* "enforce", "observe". FALSE, with InvalidArgument, for any other word. */
gboolean migd_mode_from_string(const char *word, gboolean *ret_observe, GError **error);
const char *migd_mode_to_string(gboolean observe);

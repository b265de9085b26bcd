/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Every name that others rely on, in one place: bus, objects, files. They never change.
 */
#pragma once

#define MIGD_BUS_NAME "org.migrationd1"
#define MIGD_BUS_ROOT "/org/migrationd1"
#define MIGD_BUS_DOMAIN_PREFIX MIGD_BUS_ROOT "/domain/"
#define MIGD_BUS_MIGRATION_PREFIX MIGD_BUS_ROOT "/migration/"
#define MIGD_BUS_ERROR "org.migrationd1.Error."

#define MIGD_IFACE_MANAGER "org.migrationd1.Manager"
#define MIGD_IFACE_DOMAIN "org.migrationd1.Domain"
#define MIGD_IFACE_MIGRATION "org.migrationd1.Migration"
#define MIGD_IFACE_LOG_CONTROL "org.freedesktop.LogControl1"
#define MIGD_LOG_CONTROL_PATH "/org/freedesktop/LogControl1"

#define MIGD_CONF_FILE "/etc/migrationd/migrationd.conf"
#define MIGD_CONF_DIR "/etc/migrationd/migrationd.conf.d"
#define MIGD_PROFILE_DIR_VENDOR "/usr/share/migrationd/profiles.d"
#define MIGD_PROFILE_DIR_ADMIN "/etc/migrationd/profiles.d"
#define MIGD_STATE_DIR "/var/lib/migrationd"
#define MIGD_RUNTIME_DIR "/run/migrationd"
#define MIGD_HOOK_FIFO "hook" /* in the runtime directory */
#define MIGD_QMP_SUFFIX ".qmp"
#define MIGD_TRACE_SUFFIX ".jsonl"

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The allow-list and the envelopes. The replies are the guest's side of the monitor: as hostile as
 * those of a bare QEMU, and read by the same guarded code.
 */
#include "daemon/virt-monitor.h"

#include <string.h>

#include "base/error.h"
#include "qmp/limit.h"
#include "qmp/migration.h"

/* Those that have no arguments here. */
static const char *const plain[] = {"query-migrate-parameters", "query-migrate-capabilities",
                                    "query-vcpu-dirty-limit", "cancel-vcpu-dirty-limit", NULL};

static gboolean
is_throttle(const char *parameter)
{
    for (guint i = 0; i < migd_n_knob_fields; i++)
        if ((migd_knob_fields[i].knob & MIGD_KNOBS_THROTTLE) != 0 &&
            strcmp(migd_knob_fields[i].qmp_name, parameter) == 0)
            return TRUE;
    return FALSE;
}

static gboolean
is_limit(const char *argument)
{
    return strcmp(argument, "dirty-rate") == 0;
}

static gboolean
all_keys(const MigdJson *arguments, gboolean (*allowed)(const char *key))
{
    g_autofree const char **keys = migd_json_keys(arguments);

    for (const char **key = keys; *key != NULL; key++)
        if (!allowed(*key))
            return FALSE;
    return TRUE;
}

/* One capability, which libvirt does not know, so it neither sets nor clears it. */
static gboolean
is_write_protect_all(const MigdJson *arguments)
{
    const MigdJson *list = NULL;
    g_autofree char *name = NULL;

    return migd_json_get_array(arguments, "capabilities", &list, NULL) == MIGD_JSON_OK &&
           migd_json_array_length(list) == 1 &&
           migd_json_get_text(migd_json_array_get(list, 0), "capability", &name, NULL) ==
               MIGD_JSON_OK &&
           strcmp(name, "x-write-protect-all") == 0;
}

static gboolean
is_allowed(const MigdQmpCommand *command)
{
    if (g_strv_contains(plain, command->name))
        return command->arguments == NULL;
    if (command->arguments == NULL)
        return FALSE;
    if (strcmp(command->name, "migrate-set-parameters") == 0)
        return all_keys(command->arguments, is_throttle);
    if (strcmp(command->name, "set-vcpu-dirty-limit") == 0)
        return all_keys(command->arguments, is_limit);
    return strcmp(command->name, "migrate-set-capabilities") == 0 &&
           is_write_protect_all(command->arguments);
}

char *
migd_virt_monitor_encode(const MigdQmpCommand *command, GError **error)
{
    g_autoptr(MigdJson) envelope = NULL;

    if (!is_allowed(command)) {
        g_set_error(error, MIGD_ERROR, MIGD_ERROR_NOT_SUPPORTED,
                    "%s is no monitor command that is used under libvirt", command->name);
        return NULL;
    }
    envelope = migd_json_object_new();
    migd_json_add_string(envelope, "execute", command->name);
    if (command->arguments != NULL)
        migd_json_add(envelope, "arguments", migd_json_ref(command->arguments));
    return migd_json_to_string(envelope, MIGD_JSON_SHORT);
}

char *
migd_virt_monitor_query(const char *name)
{
    const MigdQmpCommand command = {.name = name};

    return migd_virt_monitor_encode(&command, NULL);
}

/* The document, or NULL; what libvirt hands through is {"return": …} or {"error": …}. */
static MigdJson *
parse(const char *reply, GError **error)
{
    g_autoptr(MigdJson) json = migd_json_parse(reply, strlen(reply), error);
    g_autofree char *why = NULL;

    if (json == NULL)
        return NULL;
    if (migd_json_get_text(json, "error.desc", &why, NULL) == MIGD_JSON_OK) {
        g_set_error(error, MIGD_ERROR, MIGD_ERROR_FAILED, "QEMU: %s", why);
        return NULL;
    }
    return g_steal_pointer(&json);
}

MigdJson *
migd_virt_monitor_reply(const char *reply, GError **error)
{
    g_autoptr(MigdJson) json = parse(reply, error);
    const MigdJson *value = NULL;

    if (json == NULL)
        return NULL;
    if (migd_json_get_object(json, "return", &value, NULL) != MIGD_JSON_OK &&
        migd_json_get_array(json, "return", &value, error) != MIGD_JSON_OK) {
        if (error != NULL && *error == NULL)
            g_set_error(error, MIGD_ERROR, MIGD_ERROR_FAILED, "QEMU: a reply without a result");
        return NULL;
    }
    return migd_json_ref((MigdJson *)value);
}

gboolean
migd_virt_monitor_fault(const char *reply, MigdQmpFault *ret)
{
    g_autoptr(MigdJson) json = migd_json_parse(reply, strlen(reply), NULL);
    const MigdJson *problem = NULL;
    const char *class = NULL;

    *ret = MIGD_QMP_FAULT_MALFORMED;
    if (json == NULL)
        return TRUE;
    if (migd_json_get_object(json, "error", &problem, NULL) != MIGD_JSON_OK)
        return FALSE;
    (void)migd_json_get_string(problem, "class", &class, NULL);
    *ret = migd_qmp_fault_of_class(class);
    return TRUE;
}

gboolean
migd_virt_monitor_check(const char *reply, GError **error)
{
    g_autoptr(MigdJson) json = parse(reply, error);

    return json != NULL;
}

gboolean
migd_virt_monitor_knobs(const char *parameters, const char *capabilities, MigdKnobs *knobs,
                        GError **error)
{
    g_autoptr(MigdJson) values = migd_virt_monitor_reply(parameters, error);
    g_autoptr(MigdJson) flags = values != NULL && capabilities != NULL
                                    ? migd_virt_monitor_reply(capabilities, error)
                                    : NULL;

    if (values == NULL || (capabilities != NULL && flags == NULL))
        return FALSE;
    return migd_qmp_decode_parameters(values, knobs, error) &&
           (flags == NULL || migd_qmp_decode_capabilities(flags, knobs, error));
}

gboolean
migd_virt_monitor_limits(const char *limits, MigdKnobs *knobs, GError **error)
{
    g_autoptr(MigdJson) rows = migd_virt_monitor_reply(limits, error);

    return rows != NULL && migd_qmp_decode_limits(rows, knobs, error);
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Encoding. Everything that sets a knob goes through MigdKnobs and its table, so names and units
 * stand in one place.
 */
#include "qmp/command.h"

#include "base/error.h"
#include "qmp/limit.h"
#include "qmp/migration.h"

#include <string.h>

#define URI_MAX 512

void
migd_qmp_command_free(MigdQmpCommand *command)
{
    if (command == NULL)
        return;
    g_clear_pointer(&command->arguments, migd_json_unref);
    g_free(command);
}

static MigdQmpCommand *
command_new(const char *name, MigdJson *arguments)
{
    MigdQmpCommand *command = g_new0(MigdQmpCommand, 1);

    command->name = name;
    command->arguments = arguments;
    return command;
}

static GPtrArray *
commands_new(void)
{
    return g_ptr_array_new_with_free_func((GDestroyNotify)migd_qmp_command_free);
}

/* In QEMU's unit. Times round down, so that a limit is never exceeded. */
static guint64
qemu_value(const MigdKnobField *field, guint64 value)
{
    switch (field->type) {
    case MIGD_KNOB_U64_US:
        return MIN(value / 1000, MIGD_QMP_MAX_DOWNTIME_MS);
    case MIGD_KNOB_U64_BPS:
        return value == 0 ? MIGD_QMP_NO_BANDWIDTH_LIMIT : MIN(value, MIGD_QMP_NO_BANDWIDTH_LIMIT);
    default:
        return value;
    }
}

/* NULL when `mask` names no parameter. */
static MigdQmpCommand *
set_parameters(const MigdKnobs *knobs, guint32 mask)
{
    g_autoptr(MigdJson) arguments = migd_json_object_new();
    gboolean any = FALSE;

    for (guint i = 0; i < migd_n_knob_fields; i++) {
        const MigdKnobField *field = &migd_knob_fields[i];
        guint64 value = migd_knob_get(knobs, field);

        if (field->is_capability || field->is_command || (mask & field->knob) == 0)
            continue;
        if (field->type == MIGD_KNOB_BOOL)
            migd_json_add_bool(arguments, field->qmp_name, value != 0);
        else
            migd_json_add_u64(arguments, field->qmp_name, qemu_value(field, value));
        any = TRUE;
    }
    return any ? command_new("migrate-set-parameters", g_steal_pointer(&arguments)) : NULL;
}

static MigdQmpCommand *
set_capabilities(const MigdKnobs *knobs, guint32 mask)
{
    g_autoptr(MigdJson) arguments = migd_json_object_new();
    MigdJson *list = migd_json_array_new();

    for (guint i = 0; i < migd_n_knob_fields; i++) {
        const MigdKnobField *field = &migd_knob_fields[i];
        MigdJson *row;

        if (!field->is_capability || (mask & field->knob) == 0)
            continue;
        row = migd_json_object_new();
        migd_json_add_string(row, "capability", field->qmp_name);
        migd_json_add_bool(row, "state", migd_knob_get(knobs, field) != 0);
        migd_json_append(list, row);
    }
    migd_json_add(arguments, "capabilities", list);
    if (migd_json_array_length(list) == 0)
        return NULL;
    return command_new("migrate-set-capabilities", g_steal_pointer(&arguments));
}

GPtrArray *
migd_qmp_commands_for_knobs(const MigdKnobs *knobs, guint32 mask)
{
    GPtrArray *commands = commands_new();
    MigdQmpCommand *capabilities = set_capabilities(knobs, mask & knobs->has);
    MigdQmpCommand *parameters = set_parameters(knobs, mask & knobs->has);

    if (capabilities != NULL)
        g_ptr_array_add(commands, capabilities);
    if (parameters != NULL)
        g_ptr_array_add(commands, parameters);
    if ((mask & knobs->has & MIGD_KNOB_VCPU_LIMIT) != 0)
        g_ptr_array_add(commands, migd_qmp_command_for_limit(knobs->vcpu_limit_bps));
    return commands;
}

/* ---- decisions ---- */

/* One knob change, checked against what QEMU has. What is in `wish` but not in `must` is left out
 * where QEMU lacks it. */
static MigdQmpCommand *
turn(const MigdKnobs *wish, guint32 must, guint32 supports, MigdKnobs *turned, GError **error)
{
    if ((supports & must) != must) {
        g_set_error(error, MIGD_ERROR, MIGD_ERROR_NOT_SUPPORTED,
                    "this QEMU lacks a parameter that is needed");
        return NULL;
    }
    if (turned != NULL) {
        *turned = *wish;
        turned->has &= supports;
    }
    return set_parameters(wish, wish->has & supports);
}

static MigdQmpCommand *
turn_throttle(guint32 level, guint32 now, guint32 trigger, guint32 supports, MigdKnobs *turned,
              GError **error)
{
    guint32 pct = CLAMP(level, 1, 99);
    MigdKnobs wish = {
        .has = MIGD_KNOBS_THROTTLE & ~(guint32)MIGD_KNOB_THROTTLE_TAILSLOW,
        .throttle_initial_pct = pct,
        .throttle_increment_pct = pct > now ? pct - now : 1,
        .throttle_max_pct = pct,
        .throttle_trigger_pct = CLAMP(trigger, 1, 100),
    };

    return turn(&wish, wish.has & ~(guint32)MIGD_KNOB_THROTTLE_TRIGGER, supports, turned, error);
}

static MigdQmpCommand *
turn_downtime(guint64 us, guint32 supports, MigdKnobs *turned, GError **error)
{
    /* As QEMU will report it back: in whole milliseconds; none at all no migration could meet. */
    guint64 ms = CLAMP(us / 1000, 1, MIGD_QMP_MAX_DOWNTIME_MS);
    MigdKnobs wish = {.has = MIGD_KNOB_DOWNTIME, .downtime_limit_us = ms * 1000};

    return turn(&wish, wish.has, supports, turned, error);
}

static MigdQmpCommand *
turn_bandwidth(guint64 bps, guint32 supports, MigdKnobs *turned, GError **error)
{
    MigdKnobs wish = {.has = MIGD_KNOB_BANDWIDTH,
                      .max_bandwidth_bps = bps >= MIGD_QMP_NO_BANDWIDTH_LIMIT ? 0 : bps};

    return turn(&wish, wish.has, supports, turned, error);
}

MigdQmpCommand *
migd_qmp_command_for_decision(const MigdDecision *decision, guint32 throttle_now_pct,
                              guint32 supports, MigdKnobs *turned, GError **error)
{
    if (turned != NULL)
        *turned = (MigdKnobs){0};
    switch (decision->action) {
    case MIGD_ACTION_SET_DOWNTIME:
        return turn_downtime(decision->argument, supports, turned, error);
    case MIGD_ACTION_PAUSE:
        return turn_downtime(G_MAXUINT64, supports, turned, error);
    case MIGD_ACTION_SET_BANDWIDTH:
        return turn_bandwidth(decision->argument, supports, turned, error);
    case MIGD_ACTION_ARM:
    case MIGD_ACTION_THROTTLE:
        return turn_throttle((guint32)MIN(decision->argument, 99), throttle_now_pct,
                             decision->trigger_pct, supports, turned, error);
    case MIGD_ACTION_RELEASE:
        return turn_throttle(1, throttle_now_pct, decision->trigger_pct, supports, turned, error);
    case MIGD_ACTION_POSTCOPY:
        return command_new("migrate-start-postcopy", NULL);
    case MIGD_ACTION_ABORT:
        return command_new("migrate_cancel", NULL);
    default:
        g_set_error(error, MIGD_ERROR, MIGD_ERROR_INVALID_ARGUMENT, "nothing to carry out");
        return NULL;
    }
}

/* ---- start ---- */

/* QEMU takes options after a comma in either kind of address, and its own working directory for
 * relative paths: neither is what a destination means. */
static gboolean
check_uri(const char *uri, GError **error)
{
    gboolean is_unix = g_str_has_prefix(uri, "unix:/");
    gboolean is_tcp = g_str_has_prefix(uri, "tcp:") && strchr(uri + 4, ':') != NULL;
    gboolean plain = g_utf8_validate(uri, -1, NULL) && strlen(uri) <= URI_MAX;

    for (const char *p = uri; *p != '\0'; p++)
        plain = plain && !g_ascii_iscntrl(*p) && *p != ',';
    if (plain && (is_unix || is_tcp))
        return TRUE;
    g_set_error(error, MIGD_ERROR, MIGD_ERROR_INVALID_ARGUMENT,
                "a destination is unix:/PATH or tcp:HOST:PORT");
    return FALSE;
}

GPtrArray *
migd_qmp_commands_for_start(const MigdQmpStart *start, GError **error)
{
    guint32 has = MIGD_KNOB_AUTO_CONVERGE | MIGD_KNOB_POSTCOPY | MIGD_KNOB_EVENTS;
    MigdKnobs knobs = {
        .auto_converge = start->throttle,
        .postcopy = start->postcopy,
        .events = TRUE,
        .downtime_limit_us = MAX(start->downtime_limit_us, 1000),
        .max_bandwidth_bps = start->max_bandwidth_bps,
        .throttle_initial_pct = 1,
        .throttle_increment_pct = 1,
        .throttle_max_pct = 1,
        .throttle_trigger_pct = 1,
        .throttle_tailslow = FALSE,
    };
    GPtrArray *commands;
    MigdJson *arguments;

    if (!check_uri(start->uri, error))
        return NULL;
    if (start->throttle)
        has |= MIGD_KNOBS_THROTTLE;
    if (start->downtime_limit_us != 0)
        has |= MIGD_KNOB_DOWNTIME;
    if (start->max_bandwidth_bps != 0)
        has |= MIGD_KNOB_BANDWIDTH;
    knobs.has = has & start->supports;
    commands = migd_qmp_commands_for_knobs(&knobs, knobs.has);
    arguments = migd_json_object_new();
    migd_json_add_string(arguments, "uri", start->uri);
    g_ptr_array_add(commands, command_new("migrate", arguments));
    return commands;
}

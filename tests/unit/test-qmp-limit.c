/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Tests of limits of vCPUs and of what a QEMU says about itself: questions, answers, garbage.
 */
#include "qmp/limit.h"
#include "qmp/machine.h"

#include <string.h>

#include "base/error.h"

#define MIB (1024ull * 1024)

static MigdJson *
json(const char *text)
{
    g_autoptr(GError) error = NULL;
    MigdJson *parsed = migd_json_parse(text, strlen(text), &error);

    g_assert_no_error(error);
    return parsed;
}

static char *
spell(const MigdQmpCommand *command)
{
    g_autofree char *arguments = command->arguments != NULL
                                     ? migd_json_to_string(command->arguments, MIGD_JSON_SHORT)
                                     : g_strdup("-");

    return g_strdup_printf("%s %s", command->name, arguments);
}

/* It must not be able to succeed, nor to set anything if it did. */
static void
test_question(void)
{
    g_autoptr(MigdQmpCommand) command = migd_qmp_ring_question();
    g_autofree char *text = spell(command);

    g_assert_cmpstr(text, ==, "set-vcpu-dirty-limit {\"cpu-index\":-1,\"dirty-rate\":0}");
}

static void
test_answer(void)
{
    static const struct {
        int code;
        const char *message;
        MigdQmpRing ring;
    } rows[] = {
        {MIGD_ERROR_FAILED,
         "dirty page limit feature requires KVM with accelerator property 'dirty-ring-size' set'",
         MIGD_QMP_RING_NO},
        {MIGD_ERROR_FAILED, "incorrect cpu index specified", MIGD_QMP_RING_YES},
        {MIGD_ERROR_FAILED, "The command set-vcpu-dirty-limit has not been found",
         MIGD_QMP_RING_UNKNOWN},
        {MIGD_ERROR_FAILED, "", MIGD_QMP_RING_UNKNOWN},
        {MIGD_ERROR_BACKEND_LOST, "incorrect cpu index specified", MIGD_QMP_RING_UNKNOWN},
        {MIGD_ERROR_TIMED_OUT, "dirty-ring-size", MIGD_QMP_RING_UNKNOWN},
    };

    for (guint i = 0; i < G_N_ELEMENTS(rows); i++) {
        g_autoptr(GError) error = g_error_new_literal(MIGD_ERROR, rows[i].code, rows[i].message);

        g_assert_cmpint(migd_qmp_ring_answer(error), ==, rows[i].ring);
    }
    g_assert_cmpint(migd_qmp_ring_answer(NULL), ==, MIGD_QMP_RING_UNKNOWN);
}

static void
test_limits(void)
{
    static const char *const bad[] = {"{}",
                                      "[1]",
                                      "[{}]",
                                      "[{\"limit-rate\":-1}]",
                                      "[{\"limit-rate\":\"7\"}]",
                                      "[{\"limit-rate\":18446744073709551615}]"};
    g_autoptr(MigdJson) none = json("[]");
    g_autoptr(MigdJson) some = json("[{\"cpu-index\":0,\"limit-rate\":7,\"current-rate\":90},"
                                    "{\"cpu-index\":1,\"limit-rate\":9,\"current-rate\":0}]");
    MigdKnobs knobs = {0};

    g_assert_true(migd_qmp_decode_limits(none, &knobs, NULL));
    g_assert_cmphex(knobs.has, ==, MIGD_KNOB_VCPU_LIMIT);
    g_assert_cmpuint(knobs.vcpu_limit_bps, ==, 0);
    g_assert_true(migd_qmp_decode_limits(some, &knobs, NULL));
    g_assert_cmpuint(knobs.vcpu_limit_bps, ==, 9 * MIB);
    g_assert_false(migd_qmp_decode_limits(NULL, &knobs, NULL));
    for (guint i = 0; i < G_N_ELEMENTS(bad); i++) {
        g_autoptr(MigdJson) reply = json(bad[i]);
        g_autoptr(GError) error = NULL;

        g_assert_false(migd_qmp_decode_limits(reply, &knobs, &error));
        g_assert_nonnull(error);
        g_assert_cmpuint(knobs.vcpu_limit_bps, ==, 9 * MIB); /* as it was */
    }
}

static void
test_commands(void)
{
    static const struct {
        guint64 bps;
        const char *text;
    } rows[] = {
        {0, "cancel-vcpu-dirty-limit -"},
        {1, "set-vcpu-dirty-limit {\"dirty-rate\":1}"}, /* 0 would be no limit */
        {20 * MIB, "set-vcpu-dirty-limit {\"dirty-rate\":20}"},
        {20 * MIB + 5, "set-vcpu-dirty-limit {\"dirty-rate\":20}"},
    };
    MigdKnobs saved = {.has = MIGD_KNOB_VCPU_LIMIT | MIGD_KNOB_DOWNTIME,
                       .downtime_limit_us = 300000};
    g_autoptr(GPtrArray) commands =
        migd_qmp_commands_for_knobs(&saved, MIGD_KNOB_VCPU_LIMIT | MIGD_KNOB_DOWNTIME);

    for (guint i = 0; i < G_N_ELEMENTS(rows); i++) {
        g_autoptr(MigdQmpCommand) command = migd_qmp_command_for_limit(rows[i].bps);
        g_autofree char *text = spell(command);

        g_assert_cmpstr(text, ==, rows[i].text);
    }
    /* Put back with the others, but never as a parameter of that name. */
    g_assert_cmpuint(commands->len, ==, 2);
    g_autofree char *first = spell(commands->pdata[0]);
    g_autofree char *second = spell(commands->pdata[1]);
    g_assert_cmpstr(first, ==, "migrate-set-parameters {\"downtime-limit\":300}");
    g_assert_cmpstr(second, ==, "cancel-vcpu-dirty-limit -");
}

static void
test_decisions(void)
{
    static const struct {
        MigdAction action;
        guint64 argument, lambda_mib, measured_mib;
        guint n_vcpus;
        guint64 limit_mib;
    } rows[] = {
        {MIGD_ACTION_THROTTLE, 80, 100, 50, 1, 20},
        {MIGD_ACTION_THROTTLE, 80, 0, 50, 1, 10}, /* what was measured, where nothing is fitted */
        {MIGD_ACTION_THROTTLE, 80, 1000, 0, 4, 50},
        {MIGD_ACTION_THROTTLE, 99, 100, 0, 16, 1}, /* never none at all */
        {MIGD_ACTION_THROTTLE, 50, 100, 0, 0, 50}, /* vCPUs not known */
        {MIGD_ACTION_ARM, 80, 100, 0, 1, 0},
        {MIGD_ACTION_RELEASE, 1, 100, 0, 1, 0},
    };
    const MigdDecision blind = {.action = MIGD_ACTION_THROTTLE, .argument = 80};
    g_autoptr(GError) error = NULL;
    guint64 bps = 77;

    for (guint i = 0; i < G_N_ELEMENTS(rows); i++) {
        const MigdDecision decision = {.action = rows[i].action,
                                       .argument = rows[i].argument,
                                       .lambda_bps = rows[i].lambda_mib * MIB,
                                       .dirty_rate_bps = rows[i].measured_mib * MIB};

        g_assert_true(migd_qmp_limit_for_decision(&decision, rows[i].n_vcpus, &bps, NULL));
        g_assert_cmpuint((bps + MIB / 2) / MIB, >=, MAX(rows[i].limit_mib, 1) - 1);
        g_assert_cmpuint(bps / MIB, <=, rows[i].limit_mib);
        g_assert_true((bps == 0) == (rows[i].limit_mib == 0));
    }
    g_assert_false(migd_qmp_limit_for_decision(&blind, 1, &bps, &error));
    g_assert_error(error, MIGD_ERROR, MIGD_ERROR_NOT_SUPPORTED);
}

static void
test_machine(void)
{
    g_autoptr(MigdJson) version =
        json("{\"qemu\":{\"micro\":22,\"minor\":2,\"major\":7},\"package\":\"x\"}");
    g_autoptr(MigdJson) huge = json("{\"qemu\":{\"minor\":100,\"major\":7}}");
    g_autoptr(MigdJson) kvm = json("{\"enabled\":true,\"present\":true}");
    g_autoptr(MigdJson) list = json("[{},{},{}]");
    g_autoptr(MigdJson) empty = json("[]");
    gboolean enabled = FALSE;
    guint number = 0;

    g_assert_true(migd_qmp_decode_version(version, &number, NULL));
    g_assert_cmpuint(number, ==, 702);
    g_assert_false(migd_qmp_decode_version(huge, &number, NULL));
    g_assert_false(migd_qmp_decode_version(list, &number, NULL));
    g_assert_false(migd_qmp_decode_version(NULL, &number, NULL));
    g_assert_true(migd_qmp_decode_kvm(kvm, &enabled, NULL));
    g_assert_true(enabled);
    g_assert_false(migd_qmp_decode_kvm(version, &enabled, NULL));
    g_assert_false(migd_qmp_decode_kvm(empty, &enabled, NULL));
    g_assert_true(migd_qmp_decode_vcpus(list, &number, NULL));
    g_assert_cmpuint(number, ==, 3);
    g_assert_false(migd_qmp_decode_vcpus(empty, &number, NULL));
    g_assert_false(migd_qmp_decode_vcpus(kvm, &number, NULL));
    g_assert_cmpuint(number, ==, 3);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/limit/question", test_question);
    g_test_add_func("/limit/answer", test_answer);
    g_test_add_func("/limit/limits", test_limits);
    g_test_add_func("/limit/commands", test_commands);
    g_test_add_func("/limit/decisions", test_decisions);
    g_test_add_func("/machine/answers", test_machine);
    return g_test_run();
}

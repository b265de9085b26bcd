/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Tests of the QMP codec: real bytes of QEMU 7.2 cut at every place, hostile bytes refused, memory
 * bounded; and of the budget. Pure: no socket, no clock.
 */
#include "qmp/budget.h"
#include "qmp/wire.h"

#include <string.h>

#define STREAM                                                                                           \
    "{\"QMP\": {\"version\": {\"qemu\": {\"micro\": 22, \"minor\": 2, \"major\": 7}, \"package\": "      \
    "\"Debian 1:7.2+dfsg-7\"}, \"capabilities\": [\"oob\"]}}\r\n"                                        \
    "{\"return\": {}, \"id\": 1}\r\n"                                                                    \
    "\r\n"                                                                                               \
    "{\"timestamp\": {\"seconds\": 1795383994, \"microseconds\": 991596}, \"event\": "                   \
    "\"MIGRATION_PASS\", \"data\": {\"pass\": 1}}\r\n"                                                   \
    "{\"timestamp\": {\"seconds\": 1795383995, \"microseconds\": 192014}, \"event\": "                   \
    "\"STOP\"}\r\n"                                                                                      \
    "{\"id\": 18446744073709551615, \"error\": {\"class\": \"GenericError\", \"desc\": \"no\\nway\"}}\n" \
    "{\"error\": {\"class\": \"GenericError\", \"desc\": \"JSON parse error\"}}\r\n"                     \
    "{\"return\": [1], \"id\": \"mine\"}\r\n"

/* One line of text a message, so that all can be compared at once. */
static void
describe(GString *out, const MigdQmpMessage *m)
{
    static const char *const kinds[] = {"greeting", "return", "error", "event"};
    g_autofree char *data = m->data != NULL ? migd_json_to_string(m->data, MIGD_JSON_SHORT) : NULL;

    g_string_append_printf(out, "%s id=%" G_GINT64_FORMAT " %s %s %s\n", kinds[m->kind],
                           m->has_id ? (gint64)m->id : -2, m->name != NULL ? m->name : "-",
                           m->text != NULL ? m->text : "-", data != NULL ? data : "-");
}

static const char expected[] =
    "greeting id=-2 - - {\"version\":{\"qemu\":{\"micro\":22,\"minor\":2,\"major\":7},\"package\":"
    "\"Debian 1:7.2+dfsg-7\"},\"capabilities\":[\"oob\"]}\n"
    "return id=1 - - {}\n"
    "event id=-2 MIGRATION_PASS - {\"pass\":1}\n"
    "event id=-2 STOP - -\n"
    "error id=-1 GenericError no\\x0away -\n"
    "error id=-2 GenericError JSON parse error -\n"
    "return id=-2 - - [1]\n";

static MigdQmpNext
drain(MigdQmpWire *wire, GString *out)
{
    for (;;) {
        g_auto(MigdQmpMessage) message = {0};
        g_autoptr(GError) error = NULL;
        MigdQmpNext next = migd_qmp_wire_next(wire, &message, &error);

        g_assert_true((error != NULL) == (next == MIGD_QMP_NEXT_BROKEN));
        if (next != MIGD_QMP_NEXT_MESSAGE)
            return next;
        describe(out, &message);
    }
}

static void
test_every_split(void)
{
    gsize length = strlen(STREAM);

    for (gsize chunk = 1; chunk <= length; chunk++) {
        g_autoptr(GString) out = g_string_new(NULL);
        MigdQmpWire wire;

        migd_qmp_wire_init(&wire);
        for (gsize at = 0; at < length; at += chunk) {
            migd_qmp_wire_feed(&wire, STREAM + at, MIN(chunk, length - at));
            g_assert_cmpint(drain(&wire, out), ==, MIGD_QMP_NEXT_NONE);
        }
        g_assert_cmpstr(out->str, ==, expected);
        migd_qmp_wire_clear(&wire);
    }
}

static const char *const hostile[] = {
    "x\n",
    "{}\n",
    "[]\n",
    "{\"event\":1}\n",
    "{\"event\":\"\"}\n",
    "{\"event\":\"A B\"}\n",
    "{\"event\":\"A\\u001b[2J\"}\n",
    "{\"event\":\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\"}\n",
    "{\"event\":\"A\",\"data\":1}\n",
    "{\"event\":\"A\",\"return\":{}}\n",
    "{\"QMP\":1}\n",
    "{\"error\":\"text\",\"id\":1}\n",
    "{\"error\":{\"class\":\"X\"},\"id\":1}\n",
    "{\"error\":{\"class\":1,\"desc\":\"x\"},\"id\":1}\n",
    "{\"return\":{},\"return\":{}}\n",
    "{\"return\":NaN,\"id\":1}\n",
    "{\"return\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{"
    "\"a\":{\"a\":{\"a\":{}}}}}}}}}}}}}}}}}}\n",
    "{\"return\":{}} {\"return\":{}}\n",
    "{\"return\":{\n",
    "\xff\xff\n",
};

static void
test_hostile(void)
{
    for (guint i = 0; i < G_N_ELEMENTS(hostile); i++) {
        g_autoptr(GString) out = g_string_new(NULL);
        MigdQmpWire wire;

        migd_qmp_wire_init(&wire);
        migd_qmp_wire_feed(&wire, hostile[i], strlen(hostile[i]));
        if (drain(&wire, out) != MIGD_QMP_NEXT_BROKEN)
            g_error("taken: %s", hostile[i]);
        g_assert_cmpstr(out->str, ==, "");
        migd_qmp_wire_clear(&wire);
    }
}

static void
test_nul_byte(void)
{
    g_autoptr(GString) out = g_string_new(NULL);
    MigdQmpWire wire;

    migd_qmp_wire_init(&wire);
    migd_qmp_wire_feed(&wire, "{\"return\":{}}\0\n", 15);
    g_assert_cmpint(drain(&wire, out), ==, MIGD_QMP_NEXT_BROKEN);
    migd_qmp_wire_clear(&wire);
}

/* A line that never ends is refused once it is too long, and not before all of it is stored. */
static void
test_endless_line(void)
{
    g_autofree char *chunk = g_strnfill(4096, 'x');
    g_autoptr(GString) out = g_string_new(NULL);
    MigdQmpWire wire;
    gsize fed = 0;

    migd_qmp_wire_init(&wire);
    do {
        migd_qmp_wire_feed(&wire, chunk, 4096);
        fed += 4096;
        g_assert_cmpuint(fed, <=, MIGD_QMP_MAX_LINE + 4096);
    } while (drain(&wire, out) == MIGD_QMP_NEXT_NONE);
    g_assert_cmpuint(fed, >, MIGD_QMP_MAX_LINE);
    g_assert_cmpuint(wire.bytes->len, <=, MIGD_QMP_MAX_LINE + 4096);
    migd_qmp_wire_clear(&wire);
}

/* What was taken out does not stay: a long life costs no more memory than a short one. */
static void
test_bounded(void)
{
    g_autoptr(GString) out = g_string_new(NULL);
    MigdQmpWire wire;

    migd_qmp_wire_init(&wire);
    for (guint i = 0; i < 2000; i++) {
        migd_qmp_wire_feed(&wire, STREAM, strlen(STREAM));
        g_assert_cmpint(drain(&wire, out), ==, MIGD_QMP_NEXT_NONE);
        g_assert_cmpuint(wire.bytes->len, <=, 2 * strlen(STREAM));
        g_string_truncate(out, 0);
    }
    migd_qmp_wire_clear(&wire);
}

static void
test_encode(void)
{
    g_autoptr(MigdJson) arguments = migd_json_object_new();
    g_autofree char *plain = migd_qmp_encode("query-migrate", NULL, 7);
    g_autofree char *full = NULL;

    migd_json_add_string(arguments, "uri", "unix:/a\n\"");
    full = migd_qmp_encode("migrate", arguments, G_MAXUINT64);
    g_assert_cmpstr(plain, ==, "{\"execute\":\"query-migrate\",\"id\":7}\n");
    g_assert_cmpstr(full, ==,
                    "{\"execute\":\"migrate\",\"arguments\":{\"uri\":\"unix:/a\\n\\\"\"},"
                    "\"id\":18446744073709551615}\n");
}

static void
test_budget(void)
{
    MigdQmpBudget budget;
    guint taken = 0;

    migd_qmp_budget_init(&budget, 10, 1000, 0);
    while (migd_qmp_budget_spend(&budget, 1, 0, 0))
        taken++;
    g_assert_cmpuint(taken, ==, 10 * MIGD_QMP_BURST_SECONDS);
    g_assert_true(migd_qmp_budget_spend(&budget, 1, 0, G_USEC_PER_SEC));
    migd_qmp_budget_init(&budget, 10, 1000, 0);
    g_assert_true(migd_qmp_budget_spend(&budget, 0, 4000, 0));
    g_assert_false(migd_qmp_budget_spend(&budget, 0, 1, 0));
    /* A clock that goes back gives nothing away and takes nothing. */
    g_assert_false(migd_qmp_budget_spend(&budget, 0, 1, -5 * G_USEC_PER_SEC));
    g_assert_true(migd_qmp_budget_spend(&budget, 0, 900, G_USEC_PER_SEC));
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/qmp/wire/every-split", test_every_split);
    g_test_add_func("/qmp/wire/hostile", test_hostile);
    g_test_add_func("/qmp/wire/nul-byte", test_nul_byte);
    g_test_add_func("/qmp/wire/endless-line", test_endless_line);
    g_test_add_func("/qmp/wire/bounded", test_bounded);
    g_test_add_func("/qmp/wire/encode", test_encode);
    g_test_add_func("/qmp/budget", test_budget);
    return g_test_run();
}

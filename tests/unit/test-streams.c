/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Tests of how many connections a migration gets.
 */
#include "policy/streams.h"

#define MB 1000000u
#define GB 1000000000u

static void
test_needed(void)
{
    static const struct {
        const char *what;
        MigdCarried carried;
        guint64 dirty_rate_bps, limit_bps;
        guint32 connections;
    } rows[] = {
        {"nothing was measured", {0, 0}, 5ull * GB, 10ull * GB, 1},
        {"only several were", {0, 3ull * GB}, 5ull * GB, 10ull * GB, 1},
        {"nobody needs more", {GB, 0}, 0, 0, 1},
        {"the guest is slow", {GB, 0}, 400 * MB, 0, 1},
        {"it is slow, whatever the limit", {GB, 0}, 400 * MB, 10ull * GB, 1},
        {"it is hardly too fast", {GB, 0}, 600 * MB, 0, 1},
        {"it is too fast", {GB, 0}, 700 * MB, 0, 2},
        {"it is much too fast", {GB, 0}, 1600 * MB, 0, 4},
        {"a whole number of times", {GB, 0}, 2ull * GB, 0, 4},
        {"no more than the limit", {GB, 0}, 1600 * MB, 2ull * GB, 2},
        {"the limit is below one", {GB, 0}, 1600 * MB, 900 * MB, 1},
        {"the operator gave more than one carries", {GB, 0}, 0, 3ull * GB, 3},
        {"the operator gave a little more", {GB, 0}, 0, 1200 * MB, 1},
        {"one fills the link", {GB, 1200 * MB}, 1600 * MB, 0, 1},
        {"one does not fill it", {GB, 1300 * MB}, 1600 * MB, 0, 4},
        {"never more than eight", {GB, 0}, 100ull * GB, 0, 8},
        {"liars", {1, 0}, G_MAXUINT64, 0, 8},
        {"greater liars", {G_MAXUINT64, G_MAXUINT64}, G_MAXUINT64, G_MAXUINT64, 1},
    };

    for (guint i = 0; i < G_N_ELEMENTS(rows); i++) {
        g_test_message("%s", rows[i].what);
        g_assert_cmpuint(
            migd_connections_needed(&rows[i].carried, rows[i].dirty_rate_bps, rows[i].limit_bps),
            ==, rows[i].connections);
    }
}

static void
test_measured(void)
{
    static const struct {
        const char *what;
        MigdCarried before;
        guint32 connections;
        guint64 bps, limit_bps;
        MigdCarried after;
    } rows[] = {
        {"one, without a limit", {0, 0}, 1, GB, 0, {GB, 0}},
        {"one, far from its limit", {0, 0}, 1, GB, 2ull * GB, {GB, 0}},
        {"one, at its limit: it could do more", {0, 0}, 1, GB, 1100 * MB, {0, 0}},
        {"one, at its limit, but more than was known",
         {GB, 0},
         1,
         2ull * GB,
         2ull * GB,
         {2ull * GB, 0}},
        {"one, at a low limit", {GB, 0}, 1, 50 * MB, 50 * MB, {GB, 0}},
        {"one, slower than it was", {GB, 0}, 1, 500 * MB, 0, {500 * MB, 0}},
        {"several", {GB, 0}, 3, 2ull * GB, 0, {GB, 2ull * GB}},
        {"several that bring nothing", {GB, 0}, 3, GB, 0, {GB, GB}},
        {"several at a low limit: no word about the link", {GB, 0}, 3, GB, GB, {GB, 0}},
        {"several at a limit above one", {GB, 0}, 3, 2ull * GB, 2ull * GB, {GB, 2ull * GB}},
        {"nothing seen", {GB, 0}, 1, 0, 0, {GB, 0}},
    };

    for (guint i = 0; i < G_N_ELEMENTS(rows); i++) {
        MigdCarried carried = rows[i].before;

        g_test_message("%s", rows[i].what);
        migd_carried_add(&carried, rows[i].connections, rows[i].bps, rows[i].limit_bps);
        g_assert_cmpuint(carried.one_bps, ==, rows[i].after.one_bps);
        g_assert_cmpuint(carried.many_bps, ==, rows[i].after.many_bps);
    }
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/streams/needed", test_needed);
    g_test_add_func("/streams/measured", test_measured);
    return g_test_run();
}

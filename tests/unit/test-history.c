/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Tests of what is kept of finished migrations, whatever became of the file, and of what they
 * teach.
 */
#include "daemon/history.h"
#include "daemon/learn.h"

#include <glib/gstdio.h>
#include <math.h>
#include <string.h>
#include <unistd.h>

#define UUID_A "11111111-2222-3333-4444-555555555555"
#define UUID_B "aaaaaaaa-2222-3333-4444-555555555555"

typedef struct {
    char *directory, *path, *bad, *fresh;
} Place;

static void
place_init(Place *place)
{
    place->directory = g_dir_make_tmp("migd-history-XXXXXX", NULL);
    place->path = g_build_filename(place->directory, MIGD_HISTORY_FILE, NULL);
    place->bad = g_strconcat(place->path, ".bad", NULL);
    place->fresh = g_strconcat(place->path, ".new", NULL);
}

static void
place_clear(Place *place)
{
    (void)g_unlink(place->path);
    (void)g_unlink(place->bad);
    (void)g_unlink(place->fresh);
    g_assert_cmpint(g_rmdir(place->directory), ==, 0); /* nothing else was left in it */
    g_free(place->directory);
    g_free(place->path);
    g_free(place->bad);
    g_free(place->fresh);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Place, place_clear)

static MigdPast *
past_new(const char *uuid, const char *peer)
{
    MigdPast *past = g_new0(MigdPast, 1);

    past->id = g_uuid_string_random();
    past->domain_uuid = g_strdup(uuid);
    past->domain_name = g_strdup("vm \"one\"\n");
    past->peer = g_strdup(peer);
    past->profile = g_strdup("default");
    past->result = g_strdup("succeeded");
    past->write_protect = g_strdup("");
    past->end_realtime_us = 1000;
    return past;
}

static const MigdPast *
nth(const MigdHistory *history, guint index)
{
    return migd_history_list(history)->pdata[index];
}

static void
test_kept(void)
{
    g_auto(Place) place = {0};
    MigdPast *past = past_new(UUID_A, "b.example");
    g_autoptr(MigdHistory) history = NULL;

    place_init(&place);
    history = migd_history_open(place.directory);
    g_assert_cmpuint(migd_history_list(history)->len, ==, 0);
    past->total_us = G_MAXUINT64 - 1;
    past->predicted_total_us = (MigdRange){1, 2, MIGD_NEVER};
    migd_history_add(history, past);
    migd_history_add(history, past_new(UUID_B, "c.example"));
    g_clear_pointer(&history, migd_history_free); /* waits for the disk */
    g_assert_false(g_file_test(place.fresh, G_FILE_TEST_EXISTS));
    history = migd_history_open(place.directory);
    g_assert_cmpuint(migd_history_list(history)->len, ==, 2);
    g_assert_cmpstr(nth(history, 0)->domain_uuid, ==, UUID_A);
    g_assert_cmpstr(nth(history, 0)->peer, ==, "b.example");
    g_assert_cmpuint(nth(history, 0)->total_us, ==, G_MAXUINT64 - 1);
    g_assert_cmpuint(nth(history, 0)->predicted_total_us.high, ==, MIGD_NEVER);
    g_assert_cmpuint(nth(history, 1)->predicted_total_us.high, ==, 0);
    g_assert_false(g_file_test(place.bad, G_FILE_TEST_EXISTS));
}

static void
test_bounded(void)
{
    g_auto(Place) place = {0};
    g_autoptr(MigdHistory) history = NULL;

    place_init(&place);
    history = migd_history_open(place.directory);
    for (guint i = 0; i < MIGD_HISTORY_MAX + 10; i++) {
        MigdPast *past = past_new(UUID_A, "b");
        past->total_us = i + 1;
        migd_history_add(history, past);
    }
    g_assert_cmpuint(migd_history_list(history)->len, ==, MIGD_HISTORY_MAX);
    g_clear_pointer(&history, migd_history_free);
    history = migd_history_open(place.directory);
    g_assert_cmpuint(migd_history_list(history)->len, ==, MIGD_HISTORY_MAX);
    g_assert_cmpuint(nth(history, 0)->total_us, ==, 11);
}

/* What is good in a damaged file is used, and the file is kept aside. */
static void
test_damaged(void)
{
    static const char good[] = "{\"domain_uuid\":\"" UUID_A "\",\"result\":\"succeeded\"}\n";
    g_autofree char *long_line = g_strnfill(5000, ' ');
    const struct {
        const char *name;
        char *text;
        guint good;
    } rows[] = {
        {"cut", g_strconcat(good, "{\"domain_uuid\":\"", NULL), 1},
        {"garbage", g_strconcat("\x7f\x01garbage\n", good, NULL), 1},
        {"type",
         g_strconcat(good, "{\"domain_uuid\":\"" UUID_A "\",\"total_us\":\"7\"}\n", good, NULL), 2},
        {"negative", g_strconcat("{\"domain_uuid\":\"" UUID_A "\",\"total_us\":-1}\n", NULL), 0},
        {"uuid", g_strconcat("{\"domain_uuid\":\"../../etc\"}\n", NULL), 0},
        {"long", g_strconcat(good, "{", long_line, "}\n", NULL), 1},
    };

    for (guint i = 0; i < G_N_ELEMENTS(rows); i++) {
        g_auto(Place) place = {0};
        g_autoptr(MigdHistory) history = NULL;

        g_test_message("%s", rows[i].name);
        place_init(&place);
        g_assert_true(g_file_set_contents(place.path, rows[i].text, -1, NULL));
        history = migd_history_open(place.directory);
        g_assert_cmpuint(migd_history_list(history)->len, ==, rows[i].good);
        g_assert_true(g_file_test(place.bad, G_FILE_TEST_EXISTS));
        g_assert_false(g_file_test(place.path, G_FILE_TEST_EXISTS));
        migd_history_add(history, past_new(UUID_A, "b"));
        g_clear_pointer(&history, migd_history_free);
        history = migd_history_open(place.directory);
        g_assert_cmpuint(migd_history_list(history)->len, ==, rows[i].good + 1);
        g_free(rows[i].text);
    }
}

/* No file of ours: nothing is read through a link, and a directory in its place stays there. */
static void
test_hostile_file(void)
{
    g_auto(Place) place = {0};
    g_autofree char *elsewhere = NULL;
    MigdHistory *history;

    place_init(&place);
    elsewhere = g_build_filename(place.directory, "elsewhere", NULL);
    g_assert_true(g_file_set_contents(elsewhere, "{\"domain_uuid\":\"" UUID_A "\"}\n", -1, NULL));
    g_assert_cmpint(symlink(elsewhere, place.path), ==, 0);
    history = migd_history_open(place.directory);
    g_assert_cmpuint(migd_history_list(history)->len, ==, 0);
    migd_history_add(history, past_new(UUID_A, "b"));
    migd_history_free(history);
    g_assert_false(g_file_test(place.path, G_FILE_TEST_IS_SYMLINK));
    (void)g_unlink(elsewhere);
}

static void
test_peer(void)
{
    static const struct {
        const char *destination, *peer;
    } rows[] = {
        {"", ""},
        {"unix:/run/x.sock", "local"},
        {"tcp:b.example:4444", "b.example"},
        {"tcp:[fe80::1]:4444", "[fe80::1]"},
        {"qemu+tls://b.example/system", "b.example"},
        {"qemu+ssh://root@b.example:22/system?socket=/x", "b.example"},
        {"qemu+tcp://[::1]/system", "[::1]"},
        {"qemu+unix:///system?socket=/x", "local"},
    };

    for (guint i = 0; i < G_N_ELEMENTS(rows); i++) {
        g_autofree char *peer = migd_history_peer(rows[i].destination);
        g_assert_cmpstr(peer, ==, rows[i].peer);
    }
}

/* ---- lessons ---- */

typedef GPtrArray Pasts;

static MigdPast *
add(Pasts *list, const char *uuid, const char *peer)
{
    MigdPast *past = past_new(uuid, peer);

    past->end_realtime_us = 1000 + list->len;
    g_ptr_array_add(list, past);
    return past;
}

static Pasts *
pasts_new(void)
{
    return g_ptr_array_new_with_free_func((GDestroyNotify)migd_past_free);
}

static void
test_learn_nothing(void)
{
    g_autoptr(GPtrArray) list = pasts_new();
    MigdLessons lessons;

    migd_learn(list, UUID_A, "b", NULL, &lessons);
    g_assert_cmpuint(lessons.link_bps.n, ==, 0);
    g_assert_cmpuint(lessons.fixed_s.n, ==, 0);
    g_assert_cmpfloat(lessons.link_bps.guess.mid, ==, 0);
}

/* The link as its passes showed it, and what of the pauses it does not explain. */
static void
test_learn_link(void)
{
    g_autoptr(GPtrArray) list = pasts_new();
    MigdLessons lessons;

    for (guint i = 0; i < 9; i++) {
        MigdPast *past = add(list, UUID_A, "b");
        past->bandwidth_bps = i == 3 ? 5000000 : 100000000 + i * 100000; /* one bad day */
        past->downtime_bytes = 1000000 * i;
        past->downtime_us = 30000 + past->downtime_bytes * 1000000 / past->bandwidth_bps;
        past->setup_us = 4000;
    }
    add(list, UUID_A, "c")->bandwidth_bps = 1;
    MigdPast *failed = add(list, UUID_A, "b");
    failed->bandwidth_bps = 1;
    g_free(failed->result);
    failed->result = g_strdup("failed");
    migd_learn(list, UUID_A, "b", NULL, &lessons);
    g_assert_cmpuint(lessons.link_bps.n, ==, 9);
    g_assert_cmpfloat(fabs(lessons.link_bps.guess.mid / 100.4e6 - 1), <, 0.01);
    g_assert_cmpfloat(lessons.link_bps.guess.spread, <, 0.05);
    g_assert_cmpfloat(fabs(lessons.fixed_s.guess.mid - 0.030), <, 0.001);
    g_assert_cmpfloat(fabs(lessons.setup_s.guess.mid - 0.004), <, 0.0001);
    g_assert_cmpuint(lessons.link_bps.newest_us, ==, 1008);
}

/* One of which a limit bound all passes. */
static void
add_limited(GPtrArray *list, guint64 downtime_bytes, guint64 downtime_us)
{
    MigdPast *past = add(list, UUID_A, "b");

    past->max_bandwidth_bps = 50000000;
    past->bandwidth_bps = 49800000;
    past->downtime_bytes = downtime_bytes;
    past->downtime_us = downtime_us;
}

/* A limit bound all passes: the pauses, which it does not bind, tell the link. */
static void
test_learn_link_behind_limit(void)
{
    g_autoptr(GPtrArray) list = pasts_new();
    MigdLessons lessons;

    for (guint i = 1; i < 8; i++)
        add_limited(list, i * 3000000, 12000 + i * 3000000 / 800); /* 800 MB/s */
    migd_learn(list, UUID_A, "b", NULL, &lessons);
    g_assert_cmpfloat(fabs(lessons.link_bps.guess.mid / 800e6 - 1), <, 0.05);
    g_assert_cmpfloat(fabs(lessons.fixed_s.guess.mid - 0.012), <, 0.001);
}

/* Pauses of few bytes tell what a pause costs, and nothing of the link. */
static void
test_learn_short_pauses(void)
{
    g_autoptr(GPtrArray) list = pasts_new();
    MigdLessons lessons;

    for (guint i = 1; i < 8; i++) /* at 100 MB/s it seems, which is the least that it was */
        add_limited(list, 300000 + i * 10000, 3000);
    migd_learn(list, UUID_A, "b", NULL, &lessons);
    g_assert_cmpuint(lessons.link_bps.n, ==, 0);
    g_assert_cmpuint(lessons.fixed_s.n, ==, 7);
    g_assert_cmpfloat(fabs(lessons.fixed_s.guess.mid - 0.0022), <, 0.0002);
}

/* What is held and never sent: the same for every guest here, whatever its size. */
static void
test_learn_empty(void)
{
    g_autoptr(GPtrArray) list = pasts_new();
    MigdLessons lessons;

    for (guint64 i = 1; i <= 6; i++) {
        MigdPast *past = add(list, UUID_A, "b");

        past->resident_bytes = i * 40 << 20;
        past->first_pass_bytes = past->resident_bytes - (5 << 20);
    }
    migd_learn(list, UUID_B, "b", NULL, &lessons);
    g_assert_cmpfloat(lessons.empty.guess.mid, ==, 5 << 20);
    g_assert_cmpuint(lessons.empty.n, ==, 6);
    double doubt = lessons.empty.guess.spread * lessons.empty.guess.mid / (40 << 20);
    g_assert_cmpfloat(doubt, <, lessons.filled.guess.spread);
}

/* A guest's own past counts before that of others. */
static void
test_learn_guest(void)
{
    g_autoptr(GPtrArray) list = pasts_new();
    MigdLessons lessons;

    for (guint i = 0; i < 3; i++) {
        MigdPast *own = add(list, UUID_A, "b"), *other = add(list, UUID_B, "b");
        own->live_bytes = 150 << 20;
        own->measured_bytes = other->measured_bytes = 100 << 20;
        other->live_bytes = 50 << 20;
        own->lambda_bps = 7000000;
        own->working_set_bytes = 9000000;
        own->resident_bytes = 1000;
        own->first_pass_bytes = 900;
    }
    migd_learn(list, UUID_A, "b", NULL, &lessons);
    g_assert_cmpfloat(fabs(lessons.faster.guess.mid - 1.5), <, 0.001);
    g_assert_cmpfloat(lessons.lambda_bps.guess.mid, ==, 7000000);
    g_assert_cmpfloat(fabs(lessons.filled.guess.mid - 0.9), <, 0.001);
    migd_learn(list, "cccccccc-2222-3333-4444-555555555555", "b", NULL, &lessons);
    g_assert_cmpuint(lessons.lambda_bps.n, ==, 0);
    g_assert_cmpuint(lessons.faster.n, ==, 6); /* of the pair of hosts */
}

/* What depends on how writes are tracked is learned from what was tracked alike. */
static void
test_learn_mechanism(void)
{
    g_autoptr(GPtrArray) list = pasts_new();
    MigdLessons lessons;

    for (guint i = 0; i < 6; i++) {
        gboolean fast = i % 2 == 1;
        MigdPast *past = add(list, UUID_A, "b");
        g_free(past->write_protect);
        past->write_protect = g_strdup(fast ? "write-protect-all" : "legacy");
        past->setup_us = fast ? 6000 : 156000;
        past->measured_bytes = 100 << 20;
        past->live_bytes = (fast ? 149 : 100) << 20;
        past->bandwidth_bps = 1000;
    }
    migd_learn(list, UUID_A, "b", "write-protect-all", &lessons);
    g_assert_cmpuint(lessons.setup_s.n, ==, 3);
    g_assert_cmpfloat(fabs(lessons.setup_s.guess.mid - 0.006), <, 0.0001);
    g_assert_cmpfloat(fabs(lessons.faster.guess.mid - 1.49), <, 0.001);
    g_assert_cmpuint(lessons.link_bps.n, ==, 6); /* the link is the same for all */
    migd_learn(list, UUID_A, "b", "dirty-ring", &lessons);
    g_assert_cmpuint(lessons.setup_s.n + lessons.faster.n, ==, 0);
    migd_learn(list, UUID_A, "b", "unknown", &lessons);
    g_assert_cmpuint(lessons.setup_s.n, ==, 6);
    g_free(add(list, UUID_A, "b")->write_protect);
    ((MigdPast *)list->pdata[6])->write_protect = g_strdup(""); /* of an older version */
    ((MigdPast *)list->pdata[6])->setup_us = 8000;
    migd_learn(list, UUID_A, "b", "write-protect-all", &lessons);
    g_assert_cmpuint(lessons.setup_s.n, ==, 4);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/history/kept", test_kept);
    g_test_add_func("/history/bounded", test_bounded);
    g_test_add_func("/history/damaged", test_damaged);
    g_test_add_func("/history/hostile-file", test_hostile_file);
    g_test_add_func("/history/peer", test_peer);
    g_test_add_func("/learn/nothing", test_learn_nothing);
    g_test_add_func("/learn/link", test_learn_link);
    g_test_add_func("/learn/link-behind-limit", test_learn_link_behind_limit);
    g_test_add_func("/learn/short-pauses", test_learn_short_pauses);
    g_test_add_func("/learn/empty", test_learn_empty);
    g_test_add_func("/learn/guest", test_learn_guest);
    g_test_add_func("/learn/mechanism", test_learn_mechanism);
    return g_test_run();
}

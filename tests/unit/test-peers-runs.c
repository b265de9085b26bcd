/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The engines over six guests whose outcome is known from a comparison with a simpler model. There
 * the guest dirtied min(rate x time, W); here the curve bends towards W, so a guest that converges
 * does so earlier, a throttle bites sooner, and the seconds differ. The outcomes and who is faster
 * than whom must not.
 */
#include <math.h>
#include <string.h>

#include "peers/peers.h"
#include "sim/run.h"

#define LINK_BPS 1.1e9
#define LIMIT_S 4000
#define N_GUESTS 6
#define DIP_S 150 /* the middle of the dip of F */

/* Of 64 GiB each, over 1.1 GB/s. The writer of B, C, D and E is four times as fast as the link, so
 * that its floor is nearly all of W, as with the straight curve. */
static const struct {
    const char *name;
    const char *guest; /* keys of [guest] */
    gboolean dip;      /* the link is at 5 % from 120 s to 180 s */
    gboolean swings;   /* W from 0.6 s to 3 s of link and back, every 20 s */
} guests[N_GUESTS] = {
    {"A", "dirty-rate=880MB/s\nworking-set=32GiB\n", FALSE, FALSE},
    {"B", "dirty-rate=4.4GB/s\nworking-set=561MB\n", FALSE, FALSE},
    {"C", "dirty-rate=4.4GB/s\nworking-set=5.61GB\n", FALSE, FALSE},
    {"D", "dirty-rate=4.4GB/s\nworking-set=5.61GB\ndirty-rate@240s=20MB/s\n", FALSE, FALSE},
    {"E", "dirty-rate=4.4GB/s\nworking-set=660MB\n", FALSE, TRUE},
    {"F", "dirty-rate=770MB/s\nworking-set=32GiB\n", TRUE, FALSE},
};

typedef struct {
    MigdRunResult result;
    double seconds; /* to the end; where post-copy was chosen, to the switch */
} Outcome;

#define DONE(s)                                                                                    \
    {                                                                                              \
        MIGD_RUN_COMPLETED, s                                                                      \
    }
#define SWITCHED(s)                                                                                \
    {                                                                                              \
        MIGD_RUN_POSTCOPY, s                                                                       \
    }
#define ABORTED(s)                                                                                 \
    {                                                                                              \
        MIGD_RUN_ABORTED, s                                                                        \
    }
#define RUNS                                                                                       \
    {                                                                                              \
        MIGD_RUN_RUNNING, LIMIT_S                                                                  \
    }

/* The comparison gave every engine the whole link; two of oVirt's policies take half of it, so they
 * get a link of twice the speed. */
static const struct {
    const char *engine;
    double link_factor;
    Outcome outcomes[N_GUESTS];
} rows[] = {
    {"qemu", 1, {DONE(217), RUNS, RUNS, DONE(246), RUNS, DONE(290)}},
    {"nova", 1, {DONE(218), RUNS, RUNS, DONE(246), RUNS, DONE(292)}},
    {"ovirt-minimal-downtime",
     2,
     {DONE(156), DONE(76), ABORTED(120), ABORTED(120), DONE(83), DONE(245)}},
    {"ovirt-suspend", 1, {DONE(156), DONE(76), DONE(120), DONE(120), DONE(83), DONE(245)}},
    {"ovirt-post-copy",
     2,
     {SWITCHED(140), DONE(76), SWITCHED(90), SWITCHED(90), DONE(83), SWITCHED(190)}},
    {"proxmox", 1, {DONE(156), DONE(70), DONE(126), DONE(126), DONE(78), DONE(245)}},
    {"kubevirt", 1, {DONE(217), RUNS, RUNS, DONE(246), RUNS, DONE(290)}},
    {"kubevirt-tuning", 1, {DONE(214), DONE(93), RUNS, DONE(245), DONE(114), DONE(288)}},
    {"kubevirt-stall",
     1,
     {DONE(217), DONE(102), ABORTED(105), ABORTED(105), DONE(115), ABORTED(240)}},
    {"kubevirt-stall-post-copy",
     1,
     {DONE(217), SWITCHED(102), SWITCHED(105), SWITCHED(105), SWITCHED(115), SWITCHED(240)}},
};

static MigdScenario *
scenario_new(guint index, double link_factor)
{
    g_autoptr(GString) text = g_string_new("[scenario]\n");
    g_autoptr(GError) error = NULL;
    double link_bps = LINK_BPS * link_factor;

    g_string_append_printf(text, "time-limit=%ds\n[guest]\nmemory=64GiB\npostcopy=yes\n%s", LIMIT_S,
                           guests[index].guest);
    for (guint at_s = 1; guests[index].swings && at_s < LIMIT_S; at_s++)
        g_string_append_printf(text, "working-set@%us=%.0f\n", at_s,
                               LINK_BPS * (1.8 - 1.2 * cos(2 * G_PI * at_s / 20)));
    g_string_append_printf(text, "[link]\nbandwidth=%.0f\n", link_bps);
    if (guests[index].dip)
        g_string_append_printf(text, "bandwidth@120s=%.0f\nbandwidth@180s=%.0f\n", 0.05 * link_bps,
                               link_bps);
    MigdScenario *scenario = migd_scenario_parse(text->str, text->len, &error);
    g_assert_no_error(error);
    return scenario;
}

static MigdRun *
run(const char *engine, guint index, double link_factor)
{
    g_autoptr(MigdScenario) scenario = scenario_new(index, link_factor);
    MigdProfile profile;

    migd_profile_init(&profile);
    MigdRun *run = migd_run(scenario, migd_engine_find(engine), &profile);
    g_test_message("%s %-24s %-9s %6.1f s, pause %.3f s, pulled %.1f s, sent %.1fx, throttle %u %%",
                   guests[index].name, engine, migd_run_result_to_string(run->result), run->total_s,
                   run->downtime_s, run->pull_s, (double)run->sent_bytes / (double)run->ram_bytes,
                   run->most_throttle_pct);
    return run;
}

static void
test_outcomes(void)
{
    double seconds[G_N_ELEMENTS(rows)][N_GUESTS];

    for (guint e = 0; e < G_N_ELEMENTS(rows); e++)
        for (guint g = 0; g < N_GUESTS; g++) {
            g_autoptr(MigdRun) result = run(rows[e].engine, g, rows[e].link_factor);

            g_assert_cmpstr(migd_run_result_to_string(result->result), ==,
                            migd_run_result_to_string(rows[e].outcomes[g].result));
            seconds[e][g] = result->total_s - result->pull_s;
        }

    /* Who was clearly faster than whom still is, in every pair. F sets the two curves apart: with
     * the straight one nobody was done before its dip, with this one all that throttle or allow a
     * longer pause are; so only those that both met it, or both did not, are compared. */
    for (guint g = 0; g < N_GUESTS; g++)
        for (guint a = 0; a < G_N_ELEMENTS(rows); a++)
            for (guint b = 0; b < G_N_ELEMENTS(rows); b++) {
                if (rows[a].outcomes[g].seconds >= 0.9 * rows[b].outcomes[g].seconds)
                    continue;
                if (guests[g].dip && (seconds[a][g] > DIP_S) != (seconds[b][g] > DIP_S))
                    continue;
                g_test_message("%s: %s (%.1f s) before %s (%.1f s)", guests[g].name, rows[a].engine,
                               seconds[a][g], rows[b].engine, seconds[b][g]);
                g_assert_cmpfloat(seconds[a][g], <, seconds[b][g]);
            }
}

/* The pass that had just begun when the engine stopped the guest. */
static guint64
paused_in_pass(const MigdRun *run)
{
    for (guint i = 0; i < run->decisions->len; i++) {
        const MigdDecision *decision = &g_array_index(run->decisions, MigdDecision, i);

        if (decision->action == MIGD_ACTION_PAUSE)
            return decision->pass;
    }
    return 0;
}

/* The peers that the comparison did not have, by what their rule must come to. */
static void
test_others(void)
{
    for (guint g = 0; g < N_GUESTS; g++) {
        g_autoptr(MigdRun) xen = run("xen", g, 1);
        g_autoptr(MigdRun) incus = run("incus", g, 1);
        g_autoptr(MigdRun) ch = run("cloud-hypervisor", g, 1);
        g_autoptr(MigdRun) suspend = run("virsh-timeout-suspend", g, 1);
        g_autoptr(MigdRun) postcopy = run("virsh-timeout-postcopy", g, 1);
        gboolean floor = g == 1 || g == 2 || g == 4; /* never under 300 ms by itself */

        g_assert_cmpint(xen->result, ==, MIGD_RUN_PAUSED);
        g_assert_cmpuint(paused_in_pass(xen), ==, 6); /* five were sent */
        g_assert_cmpint(incus->result, ==, MIGD_RUN_COMPLETED);
        g_assert_cmpuint(incus->most_throttle_pct, >=, 50);
        g_assert_cmpint(ch->result, ==, floor ? MIGD_RUN_ABORTED : MIGD_RUN_COMPLETED);
        if (floor)
            g_assert_cmpfloat_with_epsilon(ch->total_s, 3600, 10);
        else
            g_assert_cmpfloat(ch->downtime_s, <=, 0.3001);
        /* A converges before the timer; the others are cut off by it, D before it quiets down. */
        g_assert_cmpint(suspend->result, ==, g == 0 ? MIGD_RUN_COMPLETED : MIGD_RUN_PAUSED);
        g_assert_cmpint(postcopy->result, ==, g == 0 ? MIGD_RUN_COMPLETED : MIGD_RUN_POSTCOPY);
        if (g > 0)
            g_assert_cmpfloat_with_epsilon(postcopy->total_s - postcopy->pull_s, 187, 0.6);
    }
}

/* A link that two may use carries half for each: where the comparison had oVirt's default finish,
 * its own share of this link makes it give up. */
static void
test_share_of_the_link(void)
{
    g_autoptr(MigdRun) whole = run("ovirt-minimal-downtime", 0, 2);
    g_autoptr(MigdRun) half = run("ovirt-minimal-downtime", 0, 1);

    g_assert_cmpint(whole->result, ==, MIGD_RUN_COMPLETED);
    g_assert_cmpint(half->result, ==, MIGD_RUN_ABORTED);
}

/* Without leave for post-copy no engine ends in it. */
static void
test_no_postcopy(void)
{
    for (guint i = 0; migd_engines[i] != NULL; i++)
        for (guint g = 0; g < N_GUESTS; g++) {
            g_autoptr(MigdScenario) scenario = scenario_new(g, 1);
            MigdProfile profile;

            migd_profile_init(&profile);
            scenario->initial[MIGD_SCN_POSTCOPY] = 0;
            g_autoptr(MigdRun) result = migd_run(scenario, migd_engines[i], &profile);
            g_assert_cmpint(result->result, !=, MIGD_RUN_POSTCOPY);
            g_assert_cmpfloat(result->pull_s, ==, 0);
        }
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/peers/runs/outcomes", test_outcomes);
    g_test_add_func("/peers/runs/others", test_others);
    g_test_add_func("/peers/runs/share-of-the-link", test_share_of_the_link);
    g_test_add_func("/peers/runs/no-postcopy", test_no_postcopy);
    return g_test_run();
}

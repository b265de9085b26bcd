/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The policy driven through whole simulated migrations: what it decides, what that costs, and what
 * it must never do.
 */
#include <math.h>
#include <string.h>

#include "policy/track.h"
#include "sim/sim.h"

typedef struct {
    MigdStatus status;
    double total_s, pause_s, throttle_s;
    double sent_bytes;
    guint actions, throttles, downtimes;
    guint32 max_throttle;
    MigdDecision decisions[64];
    guint n_decisions;
} Result;

#define ALL (1u << MIGD_N_ACTIONS) - 1

static void
record(Result *result, const MigdDecision *decision)
{
    MigdDecision *last =
        result->n_decisions > 0 ? &result->decisions[result->n_decisions - 1] : NULL;

    if ((last == NULL || !migd_decision_same(last, decision)) &&
        result->n_decisions < G_N_ELEMENTS(result->decisions)) {
        g_autofree char *text = migd_decision_explain(decision);
        result->decisions[result->n_decisions++] = *decision;
        g_test_message("%8.3f pass %2" G_GUINT64_FORMAT " %-16s %3" G_GUINT64_FORMAT
                       " %-20s %-12s conf %u%% %s",
                       (double)decision->time_us / 1e6, decision->pass,
                       migd_action_to_string(decision->action), decision->argument,
                       migd_reason_to_string(decision->reason),
                       migd_verdict_to_string(decision->verdict), decision->confidence_pct, text);
    }
}

static void
act(MigdSim *sim, MigdTrack *track, const MigdDecision *decision, gint64 time_us, Result *result)
{
    if (decision->action == MIGD_ACTION_WAIT)
        return;
    migd_track_note_action(track, decision, time_us, migd_sim_act(sim, decision));
    result->actions++;
    result->throttles +=
        decision->action == MIGD_ACTION_THROTTLE || decision->action == MIGD_ACTION_ARM;
    result->downtimes += decision->action == MIGD_ACTION_SET_DOWNTIME;
}

static Result
run(const char *text, const MigdProfile *profile, guint32 can)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(MigdScenario) scenario = migd_scenario_parse(text, strlen(text), &error);
    MigdAbilities abilities = {.can = can, .throttle_cocked = TRUE};
    g_autoptr(MigdTrack) track = migd_track_new(profile, &abilities);
    g_assert_no_error(error);
    g_autoptr(MigdSim) sim = migd_sim_new(scenario);
    MigdKnobs start = {
        .has = MIGD_KNOB_AUTO_CONVERGE | MIGD_KNOBS_THROTTLE | MIGD_KNOB_BANDWIDTH |
               MIGD_KNOB_POSTCOPY,
        .auto_converge = TRUE,
        .postcopy = TRUE,
        .throttle_initial_pct = 1,
        .throttle_increment_pct = 1,
        .throttle_max_pct = 1,
        .throttle_trigger_pct = 1,
    };
    Result result = {0};
    MigdSample sample;

    migd_sim_set_knobs(sim, &start, start.has);
    migd_sim_start(sim);
    do {
        guint64 used_us;
        MigdSimEvent event = migd_sim_run(sim, 500 * 1000, &used_us);

        migd_sim_sample(sim, &sample);
        if (event == MIGD_SIM_PASS)
            sample.has |= MIGD_HAS_SYNC;
        result.max_throttle = MAX(result.max_throttle, sample.throttle_pct);
        migd_track_add(track, &sample);
        MigdDecision decision = migd_decide(track);
        MigdDecision again = migd_decide(track);
        g_assert_cmpmem(&decision, sizeof decision, &again, sizeof again);
        record(&result, &decision);
        act(sim, track, &decision, sample.time_us, &result);
    } while (!migd_status_is_end(sample.status) &&
             (double)sample.time_us / 1e6 < scenario->time_limit_s);
    result.status = sample.status;
    result.total_s = (double)sample.time_us / 1e6;
    result.pause_s = (double)sample.downtime_us / 1e6;
    result.throttle_s = (double)migd_sim_throttle_us(sim) / 1e6;
    result.sent_bytes = (double)sample.transferred_bytes;
    g_test_message("status %s total %.2f s pause %.3f s throttle %.2f s (max %u %%) sent %.0f MB",
                   migd_status_to_string(result.status), result.total_s, result.pause_s,
                   result.throttle_s, result.max_throttle, result.sent_bytes / 1e6);
    return result;
}

#define PLAIN                                                                                      \
    ((1u << MIGD_ACTION_SET_DOWNTIME) | (1u << MIGD_ACTION_SET_BANDWIDTH) |                        \
     (1u << MIGD_ACTION_ARM) | (1u << MIGD_ACTION_THROTTLE) | (1u << MIGD_ACTION_RELEASE) |        \
     (1u << MIGD_ACTION_PAUSE) | (1u << MIGD_ACTION_ABORT))

static void
test_plateau(void)
{
    static const char *const rates[] = {"50MB/s", "70MB/s", "90MB/s", "200MB/s"};
    MigdProfile profile;

    migd_profile_init(&profile);
    for (guint i = 0; i < G_N_ELEMENTS(rates); i++) {
        g_autofree char *text =
            g_strdup_printf("[guest]\nmemory=68MiB\ndirty-rate=%s\nworking-set=64MiB\n"
                            "[link]\nbandwidth=40MiB/s\n",
                            rates[i]);
        Result result = run(text, &profile, PLAIN);

        g_assert_cmpint(result.status, ==, MIGD_STATUS_COMPLETED);
        g_assert_cmpfloat(result.total_s, <=, 8);
        g_assert_cmpfloat(result.pause_s, <=, 0.3);
    }
}

static void
test_converging(void)
{
    MigdProfile profile;
    static const char *const texts[] = {
        "[guest]\nmemory=256MiB\ndirty-rate=20MB/s\nworking-set=128MiB\n[link]\nbandwidth=40MiB/s\n",
        /* case A of the peers' table */
        "[guest]\nmemory=64GiB\ndirty-rate=880MB/s\nworking-set=32GiB\n[link]\nbandwidth=1.1GB/s\n",
        "[guest]\nmemory=64GiB\ndirty-rate=400MB/s\nworking-set=20GiB\n[link]\nbandwidth=1.1GB/s\n",
        "[guest]\nmemory=8GiB\ndirty-rate=1GB/s\nworking-set=200MB\n[link]\nbandwidth=1.1GB/s\n",
    };

    migd_profile_init(&profile);
    for (guint i = 0; i < G_N_ELEMENTS(texts); i++) {
        g_autofree char *capped = g_strdup(texts[i]);
        Result result = run(capped, &profile, PLAIN);

        g_assert_cmpint(result.status, ==, MIGD_STATUS_COMPLETED);
        g_assert_cmpuint(result.max_throttle, ==, 0);
        g_assert_cmpuint(result.downtimes, ==, 0);
        g_assert_cmpfloat(result.pause_s, <=, 0.3);
    }
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/policy/plateau", test_plateau);
    g_test_add_func("/policy/converging", test_converging);
    return g_test_run();
}

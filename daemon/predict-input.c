/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What is known, as the input of a prediction, with where each number comes from. Asks nobody.
 */
#include "daemon/predict-private.h"

#include <math.h>
#include <string.h>

#include "base/checked.h"

/* Where nothing was measured or learned: what common guests and hosts take, with much doubt. */
#define FIXED_S 0.015
#define FIXED_SPREAD 1.0
#define SETUP_S 0.010
#define SETUP_SPREAD 0.7
#define FILLED 0.7
#define FILLED_SPREAD 0.3

/* What was learned of the pause's fixed part may be a few milliseconds, and those are at the mercy
 * of two hosts' schedulers. */
#define FIXED_LEAST_SPREAD 0.8

#define OPTION_SPREAD 0.05 /* of a bandwidth that the caller states: a nominal one */
#define LIMIT_SPREAD 0.02  /* QEMU keeps to its limit so well */
#define RESIDENT_SPREAD 0.02
#define AT_REST_SPREAD 0.05 /* a curve measured at rest against one in a migration */

#define ABOVE_LIMIT_SPREAD 1.0 /* of MIGD_ABOVE_LIMIT */

static guint64
age(guint64 then_us)
{
    guint64 now_us = (guint64)g_get_real_time();

    return now_us > then_us ? now_us - then_us : 0;
}

static MigdProvenance
learned(const MigdLesson *lesson)
{
    return (MigdProvenance){"learned", age(lesson->newest_us), lesson->n};
}

static void
take_lesson(const MigdLesson *lesson, double fallback, double spread, MigdGuess *ret,
            MigdProvenance *provenance)
{
    *ret = lesson->n > 0 ? lesson->guess : (MigdGuess){fallback, spread};
    *provenance = lesson->n > 0 ? learned(lesson) : (MigdProvenance){"assumed", 0, 0};
}

/* The limit that will be in force: the daemon's start lowers what is over the profile's. */
static guint64
limit_of(const MigdKnobs *knobs, const MigdProfile *profile)
{
    guint64 in_force = (knobs->has & MIGD_KNOB_BANDWIDTH) != 0 ? knobs->max_bandwidth_bps : 0;
    guint64 wish = profile->max_bandwidth_bps;

    if (in_force == 0 || wish == 0)
        return MAX(in_force, wish);
    return MIN(in_force, wish);
}

static void
take_bandwidth(const MigdFacts *facts, MigdForetold *ret)
{
    MigdPredictInput *input = &ret->input;
    guint64 limit = limit_of(&facts->knobs, &input->profile);
    const MigdLesson *link = &facts->lessons.link_bps;

    input->max_bandwidth_bps = limit;
    if (facts->bandwidth_bps > 0) {
        input->link_bps = (MigdGuess){(double)facts->bandwidth_bps, OPTION_SPREAD};
        ret->bandwidth = (MigdProvenance){"option", 0, 1};
    } else if (link->n > 0) {
        input->link_bps = link->guess;
        ret->bandwidth = learned(link);
    } else if (limit > 0) {
        input->link_bps = (MigdGuess){MIGD_ABOVE_LIMIT * (double)limit, ABOVE_LIMIT_SPREAD};
        ret->bandwidth = (MigdProvenance){"limit", 0, 1};
    } else {
        ret->bandwidth = (MigdProvenance){"unknown", 0, 0};
        return;
    }
    input->stream_bps = input->link_bps;
    if (limit > 0 && (double)limit < input->link_bps.mid)
        input->stream_bps = (MigdGuess){(double)limit, LIMIT_SPREAD};
    else
        input->link_bps.mid = 0; /* one and the same */
}

/* What pass 1 need not send of the memory in use is a part of it, or the same for every guest
 * (firmware, video memory): whichever the past tells more exactly. */
static MigdGuess
of_resident(double resident, const MigdLessons *lessons)
{
    const MigdLesson *part = &lessons->filled, *empty = &lessons->empty;
    MigdGuess guess = {resident, RESIDENT_SPREAD};
    double doubt = empty->guess.mid * empty->guess.spread / resident;

    if (empty->n > 0 && empty->guess.mid < resident / 2 && doubt < part->guess.spread) {
        guess.mid -= empty->guess.mid;
        guess.spread = MAX(doubt, RESIDENT_SPREAD);
    } else if (part->n > 0) {
        guess.mid *= part->guess.mid;
        guess.spread = MAX(part->guess.spread, RESIDENT_SPREAD);
    }
    return guess;
}

static void
take_filled(const MigdFacts *facts, MigdForetold *ret)
{
    MigdGuess *filled = &ret->input.filled_bytes;
    const MigdLesson *before = &facts->lessons.first_pass_bytes;

    if (facts->curve.resident_bytes > 0) {
        *filled = of_resident((double)facts->curve.resident_bytes, &facts->lessons);
        ret->filled = (MigdProvenance){"measured", facts->curve_age_us, 1};
    } else if (before->n > 0) {
        *filled = before->guess;
        ret->filled = learned(before);
    } else {
        *filled = (MigdGuess){FILLED * (double)facts->memory_bytes, FILLED_SPREAD};
        ret->filled = (MigdProvenance){"assumed", 0, 0};
    }
}

static void
take_curve(const MigdFacts *facts, MigdForetold *ret)
{
    MigdPredictInput *input = &ret->input;
    const MigdLessons *lessons = &facts->lessons;
    double memory = (double)facts->memory_bytes;

    input->dirty_spread = AT_REST_SPREAD;
    if (facts->paused) {
        MigdCurvePoint nothing = {1, 0, 1};
        migd_predict_fit(&input->dirty, &nothing, 1, memory);
        ret->curve = (MigdProvenance){"measured", 0, 0};
    } else if (facts->curve.n > 0) {
        migd_predict_fit(&input->dirty, facts->curve.points, facts->curve.n, memory);
        memcpy(ret->points, facts->curve.points, sizeof ret->points);
        ret->n_points = facts->curve.n;
        ret->curve = (MigdProvenance){"measured", facts->curve_age_us, facts->curve.n};
        if (lessons->faster.n >= 2) {
            for (guint i = 0; i < input->dirty.n; i++)
                input->dirty.hypotheses[i].lambda_bps *= lessons->faster.guess.mid;
            input->dirty_spread = MAX(lessons->faster.guess.spread, AT_REST_SPREAD);
        }
    } else if (lessons->lambda_bps.n > 0) {
        input->dirty.n = 1;
        input->dirty.hypotheses[0] = (MigdHypothesis){
            lessons->lambda_bps.guess.mid, MIN(lessons->working_set_bytes.guess.mid, memory), 1, 1};
        input->dirty_spread = lessons->lambda_bps.guess.spread;
        ret->curve = learned(&lessons->lambda_bps);
    } else {
        ret->curve = (MigdProvenance){"unknown", 0, 0};
    }
}

/* What was learned contains the start of the log; what is assumed does not. */
static void
take_setup(const MigdFacts *facts, MigdForetold *ret)
{
    ret->write_protect = facts->write_protect;
    ret->log_start_us = migd_mechanism_start_us(facts->write_protect.active, facts->memory_bytes);
    take_lesson(&facts->lessons.setup_s, SETUP_S + (double)ret->log_start_us / G_USEC_PER_SEC,
                SETUP_SPREAD, &ret->input.setup_s, &ret->setup);
}

static const char *
missing(const MigdForetold *foretold)
{
    gboolean no_link = foretold->input.stream_bps.mid <= 0;
    gboolean no_curve = foretold->input.dirty.n == 0;

    if (foretold->input.memory_bytes == 0)
        return "how much memory the guest has";
    if (no_link && no_curve)
        return "the bandwidth of the link (option bandwidth, a limit, or a finished migration) and "
               "what the guest dirties";
    if (no_link)
        return "the bandwidth of the link (option bandwidth, a limit, or a finished migration)";
    return no_curve ? "what the guest dirties" : NULL;
}

void
migd_facts_gather(const MigdFacts *facts, MigdForetold *ret)
{
    MigdPredictInput *input = &ret->input;
    const MigdProfile *profile = &facts->profile;
    const MigdLessons *lessons = &facts->lessons;

    *ret = (MigdForetold){.resident_bytes = facts->curve.resident_bytes, .peer = facts->peer};
    input->profile = *profile;
    input->postcopy = facts->postcopy;
    input->memory_bytes = facts->memory_bytes;
    if ((facts->knobs.has & MIGD_KNOB_DOWNTIME) != 0)
        input->downtime_limit_us = MIN(facts->knobs.downtime_limit_us, profile->max_downtime_us);
    take_bandwidth(facts, ret);
    take_filled(facts, ret);
    take_curve(facts, ret);
    take_lesson(&lessons->fixed_s, FIXED_S, FIXED_SPREAD, &input->fixed_s, &ret->fixed);
    input->costs.fixed_us = migd_from_double(lessons->fixed_s.guess.mid * G_USEC_PER_SEC);
    input->fixed_s.spread = MAX(input->fixed_s.spread, FIXED_LEAST_SPREAD);
    take_setup(facts, ret);
    ret->missing = missing(ret);
}

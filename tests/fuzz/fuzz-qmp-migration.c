/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The way of a figure from the socket to a decision and back: each line is a reply of a hostile
 * QEMU, decoded, folded into a track, decided upon and made a command. The first byte gives the
 * time between replies and which commands fail.
 */
#include "fuzz.h"

#include "policy/track.h"
#include "qmp/command.h"
#include "qmp/migration.h"

#include <string.h>

#define MAX_LINES 64

typedef struct {
    MigdTrack *track;
    MigdKnobs knobs;
    gint64 now_us, step_us;
    guint64 pass;
    guint samples;
} Run;

/* Within what a decoder promises, whatever the reply said. */
static void
check_sample(const MigdSample *sample)
{
    g_assert(sample->status <= MIGD_STATUS_UNKNOWN);
    g_assert(sample->throttle_pct <= 99);
    g_assert(sample->time_us == 0);
    if (migd_sample_has(sample, MIGD_HAS_REMAINING | MIGD_HAS_TOTAL))
        g_assert(sample->remaining_bytes <= sample->total_bytes);
}

static void
decide(Run *run, const MigdSample *sample)
{
    MigdDecision decision = migd_decide(run->track);
    MigdDecision again = migd_decide(run->track);
    g_autofree char *sentence = migd_decision_explain(&decision);
    g_autoptr(GError) error = NULL;
    g_autoptr(MigdQmpCommand) command = NULL;

    g_assert(migd_decision_same(&decision, &again));
    g_assert(decision.action < MIGD_N_ACTIONS && decision.reason < MIGD_N_REASONS &&
             decision.verdict < MIGD_N_VERDICTS);
    g_assert(sentence != NULL && g_utf8_validate(sentence, -1, NULL));
    command = migd_qmp_command_for_decision(&decision, sample->throttle_pct, run->knobs.has, NULL,
                                            &error);
    g_assert((command == NULL) == (error != NULL));
    if (command == NULL)
        return;
    if (command->arguments != NULL) {
        g_autofree char *line = migd_qmp_encode(command->name, command->arguments, 1);
        g_autoptr(MigdJson) back = migd_json_parse(line, strlen(line), NULL);

        g_assert(back != NULL);
    }
    migd_track_note_action(run->track, &decision, run->now_us, run->samples % 3 != 0);
}

static void
take_line(Run *run, const char *line, gsize length)
{
    g_autoptr(MigdJson) reply = migd_json_parse(line, length, NULL);
    g_autoptr(GError) error = NULL;
    MigdSample sample;

    if (reply == NULL)
        return;
    if (migd_json_is_array(reply)) {
        (void)migd_qmp_decode_capabilities(reply, &run->knobs, NULL);
        return;
    }
    if (migd_json_has(reply, "downtime-limit")) {
        (void)migd_qmp_decode_parameters(reply, &run->knobs, NULL);
        return;
    }
    g_assert(migd_qmp_decode_migrate(reply, &sample, &error) == (error == NULL));
    if (error != NULL)
        return;
    check_sample(&sample);
    run->now_us += run->step_us;
    run->samples++;
    sample.time_us = run->now_us;
    if (sample.pass != run->pass)
        sample.has |= MIGD_HAS_SYNC;
    run->pass = sample.pass;
    sample.downtime_limit_us = run->knobs.downtime_limit_us;
    sample.has |= run->knobs.has != 0 ? (guint32)MIGD_HAS_DOWNTIME_LIMIT : 0;
    migd_track_add(run->track, &sample);
    decide(run, &sample);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *at = (const char *)data + 1, *end = (const char *)data + size;
    MigdAbilities abilities = {.can = (1u << MIGD_N_ACTIONS) - 1, .throttle_cocked = TRUE};
    MigdProfile profile;
    Run run = {0};

    if (size < 2)
        return 0;
    migd_profile_init(&profile);
    run.track = migd_track_new(&profile, &abilities);
    run.step_us = (gint64)data[0] * 20000; /* 0 to 5 s */
    for (guint n = 0; at < end && n < MAX_LINES; n++) {
        const char *newline = memchr(at, '\n', (gsize)(end - at));
        const char *stop = newline != NULL ? newline : end;

        take_line(&run, at, (gsize)(stop - at));
        at = stop + 1;
    }
    migd_track_free(run.track);
    return 0;
}

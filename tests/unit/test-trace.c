/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Tests of src/trace: every field there and back bit for bit, files that were cut or are wrong, and
 * the replay of recorded runs.
 */
#include "fixture.h"

#include "base/error.h"
#include "trace/trace.h"

#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- values with every field set ----------------------------------------------------------- */

/* Different for each row, and at the ends of the range for some. */
static guint64
value_of(guint row, guint round)
{
    const guint64 ends[] = {
        0, 1, (guint64)1 << 53, ((guint64)1 << 53) + 1, G_MAXINT64, G_MAXUINT64 - 1, G_MAXUINT64};

    return round == 0 ? 1000003 * (guint64)(row + 1) : ends[(row + round) % G_N_ELEMENTS(ends)];
}

static MigdSample
make_sample(guint round)
{
    MigdSample sample = {.time_us = 1000 + round, .status = (MigdStatus)(round % 11)};

    if (round % 2 == 0)
        sample.has |= MIGD_HAS_SYNC;
    for (guint i = 0; i < migd_n_sample_fields; i++) {
        const MigdSampleField *field = &migd_sample_fields[i];
        guint64 value = value_of(i, round);
        if ((i + round) % 5 != 4)
            migd_sample_set(&sample, field, field->is_u32 ? value % 100 : value);
    }
    return sample;
}

static MigdDecision
make_decision(guint round)
{
    MigdDecision decision = {
        .action = (MigdAction)(round % MIGD_N_ACTIONS),
        .argument = value_of(3, round),
        .trigger_pct = round,
        .reason = (MigdReason)(round % MIGD_N_REASONS),
        .verdict = (MigdVerdict)(round % MIGD_N_VERDICTS),
        .time_us = round == 1   ? G_MININT64
                   : round == 2 ? G_MAXINT64
                                : (gint64)round,
        .hold_until_us = round == 3 ? G_MAXINT64 : -(gint64)round,
    };

    for (guint i = 0; i < migd_n_decision_fields; i++) {
        char *p = (char *)&decision + migd_decision_fields[i].offset;
        guint64 value = value_of(i, round);

        switch (migd_decision_fields[i].type) {
        case MIGD_NUM_U64:
            *(guint64 *)p = value;
            break;
        case MIGD_NUM_U32:
            *(guint32 *)p = (guint32)value;
            break;
        case MIGD_NUM_RANGE:
            *(MigdRange *)p = (MigdRange){value, value / 2, MIGD_NEVER};
            break;
        }
    }
    return decision;
}

static void
assert_same_profile(const MigdProfile *a, const MigdProfile *b)
{
    g_assert_cmpstr(a->name, ==, b->name);
    for (const char *const *key = migd_profile_keys(); *key != NULL; key++) {
        g_autofree char *x = migd_profile_get(a, *key);
        g_autofree char *y = migd_profile_get(b, *key);
        g_assert_cmpstr(x, ==, y);
    }
    g_assert_cmpuint(a->max_downtime_us, ==, b->max_downtime_us);
    g_assert_cmpuint(a->deadline_us, ==, b->deadline_us);
    g_assert_cmpuint(a->max_bandwidth_bps, ==, b->max_bandwidth_bps);
}

static void
fill_start(MigdTraceStart *start)
{
    start->time_us = 77;
    start->realtime_us = G_MAXUINT64 - 5;
    start->id = g_strdup("6ba7b810-9dad-11d1-80b4-00c04fd430c8");
    start->domain_uuid = g_strdup("6ba7b811-9dad-11d1-80b4-00c04fd430c8");
    start->domain_name = g_strdup("quote\" backslash\\ tab\t newline\n ümlaut 猫");
    start->origin = g_strdup("external");
    start->direction = g_strdup("outgoing");
    start->destination = g_strdup("");
    start->mode = g_strdup("observe");
    migd_profile_init(&start->profile);
    g_strlcpy(start->profile.name, "must-finish", sizeof start->profile.name);
    start->profile.max_downtime_us = 1234567;
    start->profile.deadline_us = MIGD_DEADLINE_NONE;
    start->profile.max_bandwidth_bps = ((guint64)1 << 53) + 2;
    start->profile.priority = -7;
    start->abilities.can = 1u << MIGD_ACTION_THROTTLE | 1u << MIGD_ACTION_ABORT;
    start->abilities.throttle_cocked = TRUE;
    for (guint i = 0; i < migd_n_knob_fields; i++)
        if (i != 2)
            migd_knob_set(&start->saved, &migd_knob_fields[i],
                          migd_knob_fields[i].type == MIGD_KNOB_BOOL ? i % 2 : value_of(i, 1));
    start->touched = MIGD_KNOB_DOWNTIME | MIGD_KNOB_EVENTS;
}

static void
assert_same_start(const MigdTraceStart *a, const MigdTraceStart *b)
{
    g_assert_cmpint(a->time_us, ==, b->time_us);
    g_assert_cmpuint(a->realtime_us, ==, b->realtime_us);
    g_assert_cmpstr(a->boot_id, ==, b->boot_id);
    g_assert_cmpstr(a->id, ==, b->id);
    g_assert_cmpstr(a->domain_uuid, ==, b->domain_uuid);
    g_assert_cmpstr(a->domain_name, ==, b->domain_name);
    g_assert_cmpstr(a->origin, ==, b->origin);
    g_assert_cmpstr(a->direction, ==, b->direction);
    g_assert_cmpstr(a->destination, ==, b->destination);
    g_assert_cmpstr(a->mode, ==, b->mode);
    assert_same_profile(&a->profile, &b->profile);
    g_assert_cmpuint(a->abilities.can, ==, b->abilities.can);
    g_assert_cmpint(a->abilities.throttle_cocked, ==, b->abilities.throttle_cocked);
    g_assert_cmpuint(a->saved.has, ==, b->saved.has);
    g_assert_cmpuint(migd_knobs_diff(&a->saved, &b->saved), ==, 0);
    g_assert_cmpuint(a->touched, ==, b->touched);
}

static void
assert_same_sample(const MigdSample *a, const MigdSample *b)
{
    g_assert_cmpint(a->time_us, ==, b->time_us);
    g_assert_cmpuint(a->has, ==, b->has);
    g_assert_cmpint(a->status, ==, b->status);
    for (guint i = 0; i < migd_n_sample_fields; i++)
        g_assert_cmpuint(migd_sample_get(a, &migd_sample_fields[i]), ==,
                         migd_sample_get(b, &migd_sample_fields[i]));
}

static void
assert_same_decision(const MigdDecision *a, const MigdDecision *b)
{
    g_assert_cmpstr(migd_trace_decision_diff(a, b), ==, NULL);
}

/* ---- there and back ------------------------------------------------------------------------ */

static const MigdTraceEntry *
entry_at(const MigdTrace *trace, guint index, MigdTraceKind kind)
{
    const MigdTraceEntry *entry;

    g_assert_cmpuint(index, <, trace->entries->len);
    entry = &g_array_index(trace->entries, MigdTraceEntry, index);
    g_assert_cmpint(entry->kind, ==, kind);
    g_assert_cmpuint(entry->line, ==, index + 2);
    return entry;
}

#define ROUNDS 40

static void
test_round_trip_numbers(void)
{
    g_autofree char *path = fixture_path("trace.jsonl");
    g_autoptr(GError) error = NULL;
    g_auto(MigdTraceStart) start = {0};
    g_autoptr(MigdTrace) trace = NULL;

    fill_start(&start);
    {
        g_autoptr(MigdTraceWriter) writer = migd_trace_writer_open(path, FALSE, &error);
        g_assert_no_error(error);
        g_assert_true(migd_trace_write_start(writer, &start, &error));
        for (guint i = 0; i < ROUNDS; i++) {
            MigdSample sample = make_sample(i);
            MigdDecision decision = make_decision(i);
            g_assert_true(migd_trace_write_sample(writer, &sample, &error));
            g_assert_true(migd_trace_write_decision(writer, &decision, &error));
        }
    }
    trace = migd_trace_read(path, &error);
    g_assert_no_error(error);
    g_assert_true(trace->started);
    g_assert_false(trace->finished);
    assert_same_start(&trace->start, &start);
    g_assert_cmpuint(trace->entries->len, ==, 2 * ROUNDS);
    for (guint i = 0; i < ROUNDS; i++) {
        MigdSample sample = make_sample(i);
        MigdDecision decision = make_decision(i);
        assert_same_sample(&entry_at(trace, 2 * i, MIGD_TRACE_SAMPLE)->sample, &sample);
        assert_same_decision(&entry_at(trace, 2 * i + 1, MIGD_TRACE_DECISION)->decision, &decision);
    }
    fixture_remove(path);
}

static void
test_round_trip_events(void)
{
    g_autofree char *path = fixture_path("trace.jsonl");
    g_autoptr(GError) error = NULL;
    g_auto(MigdTraceStart) start = {0};
    g_autoptr(MigdTrace) trace = NULL;
    MigdDecision decision = make_decision(5);
    MigdAbilities abilities = {.can = 1u << MIGD_ACTION_PAUSE, .throttle_cocked = FALSE};
    MigdTraceFinish finish = {99, (char *)"failed", (char *)"no \"route\"", 1, 2, 3, 4, 5, 6, 7};

    fill_start(&start);
    start.boot_id = g_strdup("b");
    {
        g_autoptr(MigdTraceWriter) writer = migd_trace_writer_open(path, FALSE, &error);
        g_assert_true(migd_trace_write_start(writer, &start, &error));
        g_assert_true(migd_trace_write_action(writer, &decision, -5, &error));
        g_assert_true(migd_trace_write_outcome(writer, 6, NULL, &error));
        g_assert_true(migd_trace_write_outcome(writer, 7, "refused\n", &error));
    }
    {
        /* A second writer goes on. */
        g_autoptr(MigdTraceWriter) writer = migd_trace_writer_open(path, TRUE, &error);
        g_assert_true(migd_trace_write_abilities(writer, 8, &abilities, "late", &error));
        g_assert_true(migd_trace_write_profile(writer, 9, &start.profile, "SetLimits", &error));
        g_assert_true(migd_trace_write_knobs(writer, 10, &start.saved, &error));
        g_assert_true(migd_trace_write_finish(writer, &finish, &error));
    }
    g_assert_no_error(error);
    trace = migd_trace_read(path, &error);
    g_assert_no_error(error);
    assert_same_start(&trace->start, &start);
    g_assert_true(
        migd_trace_carries_out(&entry_at(trace, 0, MIGD_TRACE_ACTION)->decision, &decision));
    g_assert_cmpint(entry_at(trace, 0, MIGD_TRACE_ACTION)->time_us, ==, -5);
    g_assert_cmpstr(entry_at(trace, 1, MIGD_TRACE_OUTCOME)->problem, ==, NULL);
    g_assert_cmpstr(entry_at(trace, 2, MIGD_TRACE_OUTCOME)->problem, ==, "refused\n");
    g_assert_cmpuint(entry_at(trace, 3, MIGD_TRACE_ABILITIES)->abilities.can, ==, abilities.can);
    g_assert_cmpstr(entry_at(trace, 3, MIGD_TRACE_ABILITIES)->problem, ==, "late");
    assert_same_profile(&entry_at(trace, 4, MIGD_TRACE_PROFILE)->profile, &start.profile);
    g_assert_cmpuint(entry_at(trace, 5, MIGD_TRACE_KNOBS)->knobs.has, ==, start.saved.has);
    g_assert_cmpuint(migd_knobs_diff(&entry_at(trace, 5, MIGD_TRACE_KNOBS)->knobs, &start.saved),
                     ==, 0);
    g_assert_true(trace->finished);
    g_assert_cmpstr(trace->finish.error, ==, "no \"route\"");
    g_assert_cmpuint(trace->finish.throttle_us, ==, 6);
    g_assert_cmpuint(trace->finish.decisions, ==, 7);
    fixture_remove(path);
}

static void
test_writer_open(void)
{
    g_autofree char *path = fixture_path("trace.jsonl");
    g_autofree char *link = g_strconcat(path, ".link", NULL);
    g_autoptr(GError) error = NULL;
    g_autoptr(MigdTraceWriter) first = migd_trace_writer_open(path, FALSE, &error);

    g_assert_no_error(error);
    g_assert_null(migd_trace_writer_open(path, FALSE, &error));
    g_assert_error(error, MIGD_ERROR, MIGD_ERROR_FAILED);
    g_clear_error(&error);
    g_assert_cmpint(symlink(path, link), ==, 0);
    g_assert_null(migd_trace_writer_open(link, TRUE, &error));
    g_assert_error(error, MIGD_ERROR, MIGD_ERROR_FAILED);
    unlink(link);
    fixture_remove(path);
}

/* ---- cut and growing files ----------------------------------------------------------------- */

static void
append_text(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);

    g_assert_cmpint(fd, >=, 0);
    g_assert_cmpint(write(fd, text, strlen(text)), ==, (gssize)strlen(text));
    close(fd);
}

static void
test_cut_tail(void)
{
    g_autofree char *path = fixture_path("trace.jsonl");
    g_autoptr(GError) error = NULL;
    g_autoptr(MigdTrace) cut = NULL, repaired = NULL;
    MigdSample sample = make_sample(1);
    guint entries;

    fixture_write(&fixture_plateau, path);
    append_text(path, "{\"v\":1,\"t_us\":5,\"kind\":\"samp");
    cut = migd_trace_read(path, &error);
    g_assert_no_error(error);
    entries = cut->entries->len;
    {
        g_autoptr(MigdTraceWriter) writer = migd_trace_writer_open(path, TRUE, &error);
        g_assert_no_error(error);
        g_assert_true(migd_trace_write_sample(writer, &sample, &error));
    }
    repaired = migd_trace_read(path, &error);
    g_assert_no_error(error);
    g_assert_cmpuint(repaired->entries->len, ==, entries + 1);
    assert_same_sample(&g_array_index(repaired->entries, MigdTraceEntry, entries).sample, &sample);
    fixture_remove(path);
}

/* Whatever the pieces in which a file grows, the reader sees the same. */
static void
test_growing(void)
{
    g_autofree char *whole = fixture_path("whole.jsonl");
    g_autofree char *part = fixture_path("part.jsonl");
    g_autofree char *text = NULL;
    g_autoptr(GError) error = NULL;
    g_autoptr(MigdTrace) expected = NULL;
    g_autoptr(MigdTrace) trace = migd_trace_new();
    gsize length;

    fixture_write(&fixture_plateau, whole);
    expected = migd_trace_read(whole, &error);
    g_assert_true(g_file_get_contents(whole, &text, &length, &error));
    append_text(part, "");
    int fd = open(part, O_RDONLY | O_CLOEXEC);
    for (gsize at = 0, step = 1; at < length; at += step, step = step * 7 % 4093 + 1) {
        g_autofree char *piece = g_strndup(text + at, MIN(step, length - at));
        append_text(part, piece);
        g_assert_true(migd_trace_read_more(trace, fd, "part", &error));
        g_assert_cmpuint(trace->offset, <=, at + step);
    }
    close(fd);
    g_assert_cmpuint(trace->offset, ==, length);
    g_assert_cmpuint(trace->lines, ==, expected->lines);
    g_assert_cmpuint(trace->entries->len, ==, expected->entries->len);
    g_assert_true(trace->finished);
    fixture_remove(whole);
    fixture_remove(part);
}

/* A limit on the size of files cuts a line as a full disk would. */
static void
test_disk_full(void)
{
    g_autofree char *path = fixture_path("trace.jsonl");
    g_autoptr(GError) error = NULL;
    g_autoptr(MigdTraceWriter) writer = migd_trace_writer_open(path, FALSE, &error);
    g_autoptr(MigdTrace) trace = NULL;
    g_auto(MigdTraceStart) start = {0};
    MigdSample sample = make_sample(0);
    struct rlimit before, tight;
    struct stat whole, cut;

    fill_start(&start);
    g_assert_true(migd_trace_write_start(writer, &start, &error));
    g_assert_cmpint(stat(path, &whole), ==, 0);
    g_assert_cmpint(getrlimit(RLIMIT_FSIZE, &before), ==, 0);
    tight = before;
    tight.rlim_cur = (rlim_t)whole.st_size + 20;
    signal(SIGXFSZ, SIG_IGN);
    g_assert_cmpint(setrlimit(RLIMIT_FSIZE, &tight), ==, 0);
    g_assert_false(migd_trace_write_sample(writer, &sample, &error));
    g_assert_cmpint(setrlimit(RLIMIT_FSIZE, &before), ==, 0);
    g_assert_error(error, MIGD_ERROR, MIGD_ERROR_FAILED);
    g_assert_nonnull(strstr(error->message, path));
    g_clear_error(&error);
    g_assert_cmpint(stat(path, &cut), ==, 0);
    g_assert_cmpint(cut.st_size, ==, whole.st_size);

    g_assert_true(migd_trace_write_sample(writer, &sample, &error));
    trace = migd_trace_read(path, &error);
    g_assert_no_error(error);
    assert_same_sample(&entry_at(trace, 0, MIGD_TRACE_SAMPLE)->sample, &sample);
    fixture_remove(path);
}

/* ---- what is refused ----------------------------------------------------------------------- */

#define LINE(kind, rest) "{\"v\":1,\"t_us\":1,\"kind\":\"" kind "\"" rest "}\n"
#define ACTION_REST(number) ",\"action\":\"wait\",\"argument\":" number ",\"trigger_pct\":1"

/* The second line of a file, and what the error has to say. */
static const struct {
    const char *line, *says;
} bad_lines[] = {
    {"nonsense\n", ":2: "},
    {"\n", ":2: "},
    {"[]\n", ":2: "},
    {"{\"t_us\":1,\"kind\":\"sample\"}\n", ":2: v: is missing"},
    {"{\"v\":2,\"t_us\":1,\"kind\":\"sample\"}\n", ":2: v: "},
    {"{\"v\":1,\"kind\":\"sample\"}\n", ":2: t_us: is missing"},
    {"{\"v\":1,\"t_us\":\"1\",\"kind\":\"sample\"}\n", "t_us"},
    {"{\"v\":1,\"t_us\":1}\n", ":2: kind: is missing"},
    {LINE("sample", ""), ":2: status: is missing"},
    {LINE("sample", ",\"status\":\"precopy\",\"pass\":-1"), "pass"},
    {LINE("sample", ",\"status\":\"precopy\",\"pass\":1.5"), "pass"},
    {LINE("sample", ",\"status\":\"precopy\",\"pass\":\"1\""), "pass"},
    {LINE("sample", ",\"status\":\"precopy\",\"pass\":null"), "pass"},
    {LINE("sample", ",\"status\":\"precopy\",\"pass\":18446744073709551616"), ":2: "},
    {LINE("sample", ",\"status\":\"precopy\",\"throttle_pct\":4294967296"), "throttle_pct"},
    {LINE("sample", ",\"status\":\"precopy\",\"sync\":1"), "sync"},
    {LINE("sample", ",\"status\":\"precopy\",\"pass\":1,\"pass\":1"), ":2: "},
    {LINE("action", ",\"action\":\"dance\",\"argument\":0,\"trigger_pct\":0"), "action: "},
    {LINE("action", ACTION_REST("\"soon\"")), "argument"},
    {LINE("decision", ACTION_REST("1")), "reason: is missing"},
    {LINE("decision",
          ACTION_REST("1") ",\"reason\":\"why\",\"verdict\":\"plateau\",\"hold_until_us\":0"),
     "reason: "},
    {LINE("decision",
          ACTION_REST("1") ",\"reason\":\"converging\",\"verdict\":\"so so\",\"hold_until_us\":0"),
     "verdict: "},
    {LINE("outcome", ""), "ok: is missing"},
    {LINE("outcome", ",\"ok\":false"), "problem: is missing"},
    {LINE("outcome", ",\"abilities\":{\"can\":[\"fly\"],\"throttle_cocked\":true},\"why\":\"\""),
     "abilities.can"},
    {LINE("outcome", ",\"profile\":{\"name\":\"x\",\"MaxDowntime\":\"soon\"},\"why\":\"\""),
     "MaxDowntime"},
    {LINE("finish", ",\"result\":\"failed\""), "error: is missing"},
    {LINE("start", ""), "a trace has one start"},
};

static char *
first_line_of_fixture(void)
{
    g_autofree char *path = fixture_path("whole.jsonl");
    g_autofree char *text = NULL;

    fixture_write(&fixture_plateau, path);
    g_assert_true(g_file_get_contents(path, &text, NULL, NULL));
    fixture_remove(path);
    return g_strndup(text, strcspn(text, "\n") + 1);
}

static void
test_bad_lines(void)
{
    g_autofree char *start = first_line_of_fixture();

    for (guint i = 0; i < G_N_ELEMENTS(bad_lines); i++) {
        g_autofree char *path = fixture_path("bad.jsonl");
        g_autoptr(GError) error = NULL;

        g_test_message("%s", bad_lines[i].line);
        append_text(path, start);
        append_text(path, bad_lines[i].line);
        g_assert_null(migd_trace_read(path, &error));
        g_assert_nonnull(error);
        g_test_message("-> %s", error->message);
        g_assert_true(g_str_has_prefix(error->message, path));
        g_assert_nonnull(strstr(error->message, ":2: "));
        g_assert_nonnull(strstr(error->message, bad_lines[i].says));
        fixture_remove(path);
    }
}

static void
test_newer_writer(void)
{
    g_autofree char *start = first_line_of_fixture();
    g_autofree char *path = fixture_path("newer.jsonl");
    g_autoptr(GError) error = NULL;
    g_autoptr(MigdTrace) trace = NULL;

    append_text(path, start);
    append_text(path, LINE("weather", ",\"sun\":true"));
    append_text(path, LINE("sample", ",\"status\":\"dreaming\",\"pass\":3,\"mood\":[1]"));
    trace = migd_trace_read(path, &error);
    g_assert_no_error(error);
    g_assert_cmpuint(trace->entries->len, ==, 1);
    const MigdTraceEntry *entry = &g_array_index(trace->entries, MigdTraceEntry, 0);
    g_assert_cmpuint(entry->line, ==, 3);
    g_assert_cmpint(entry->sample.status, ==, MIGD_STATUS_UNKNOWN);
    g_assert_cmpuint(entry->sample.pass, ==, 3);
    fixture_remove(path);
}

static void
test_bad_files(void)
{
    g_autofree char *path = fixture_path("bad.jsonl");
    g_autofree char *start = first_line_of_fixture();
    g_autofree char *filler = g_strnfill(70 * 1024, 'x');
    g_autoptr(GError) error = NULL;

    g_assert_null(migd_trace_read(path, &error));
    g_assert_error(error, MIGD_ERROR, MIGD_ERROR_FAILED);
    g_clear_error(&error);
    append_text(path, "");
    g_assert_null(migd_trace_read(path, &error));
    g_assert_nonnull(strstr(error->message, "no start"));
    g_clear_error(&error);
    append_text(path, LINE("sample", ",\"status\":\"precopy\""));
    g_assert_null(migd_trace_read(path, &error));
    g_assert_nonnull(strstr(error->message, ":1: kind: "));
    g_clear_error(&error);
    g_assert_cmpint(truncate(path, 0), ==, 0);
    append_text(path, start);
    append_text(path, filler);
    g_assert_null(migd_trace_read(path, &error));
    g_assert_nonnull(strstr(error->message, ":2: the line is longer"));
    g_clear_error(&error);
    g_assert_cmpint(truncate(path, 65 * 1024 * 1024), ==, 0);
    g_assert_null(migd_trace_read(path, &error));
    fixture_remove(path);
}

/* ---- replay -------------------------------------------------------------------------------- */

typedef struct {
    guint called, without_decision, without_record, differing;
} Seen;

static void
count(const MigdDecision *decision, const MigdDecision *recorded, gpointer user_data)
{
    Seen *seen = user_data;

    seen->called++;
    seen->without_decision += decision == NULL;
    seen->without_record += recorded == NULL;
    seen->differing += decision != NULL && recorded != NULL &&
                       migd_trace_decision_diff(decision, recorded) != NULL;
}

static void
check_replay(FixtureGuest guest)
{
    g_autofree char *path = fixture_path("trace.jsonl");
    g_autoptr(GError) error = NULL;
    g_autoptr(MigdTrace) trace = NULL;
    g_autoptr(MigdTrack) track = NULL;
    Seen seen = {0};

    fixture_write(&guest, path);
    trace = migd_trace_read(path, &error);
    g_assert_no_error(error);
    g_assert_cmpuint(migd_trace_replay(trace, NULL, count, &seen, &track), ==, 0);
    g_assert_cmpuint(seen.called, ==, trace->finish.decisions);
    g_assert_cmpuint(seen.called, >=, 2);
    g_assert_cmpuint(seen.without_decision + seen.without_record + seen.differing, ==, 0);
    g_assert_nonnull(track);
    fixture_remove(path);
}

static void
test_replay_same(void)
{
    FixtureGuest refused = fixture_plateau, calm = fixture_plateau;
    FixtureGuest wild = fixture_plateau;

    refused.refuse_every = 2;
    calm.dirty_bps = 10 << 20;
    calm.poll_us = 33 * 1000;
    wild.dirty_bps = 400 << 20;
    wild.working_set = wild.memory_bytes;
    check_replay(fixture_plateau);
    check_replay(refused);
    check_replay(calm);
    check_replay(wild);
}

static void
test_replay_differs(void)
{
    g_autofree char *path = fixture_path("trace.jsonl");
    g_autoptr(GError) error = NULL;
    g_autoptr(MigdTrace) trace = NULL;
    MigdProfile profile;
    guint changed = 0;
    Seen seen = {0};

    fixture_write(&fixture_plateau, path);
    trace = migd_trace_read(path, &error);
    g_assert_no_error(error);
    for (guint i = 0; i < trace->entries->len; i++) {
        MigdTraceEntry *entry = &g_array_index(trace->entries, MigdTraceEntry, i);
        if (entry->kind == MIGD_TRACE_DECISION && changed++ == 1)
            entry->decision.pause_us.high ^= 1;
    }
    g_assert_cmpuint(migd_trace_replay(trace, NULL, count, &seen, NULL), ==, 1);
    g_assert_cmpuint(seen.differing, ==, 1);

    /* Under another profile the same guest is treated differently. */
    migd_profile_init(&profile);
    g_assert_true(migd_profile_set(&profile, "Allow", "none", NULL));
    g_assert_cmpuint(migd_trace_replay(trace, &profile, NULL, NULL, NULL), >=, 1);
    fixture_remove(path);
}

/* What the track that is left after the first `entries` entries makes of the sample after them. */
static MigdDecision
decision_after(const MigdTrace *whole, guint entries, const MigdSample *sample)
{
    MigdTrace part = *whole;
    g_autoptr(MigdTrack) track = NULL;

    part.entries = g_array_sized_new(FALSE, FALSE, sizeof(MigdTraceEntry), entries);
    g_array_append_vals(part.entries, whole->entries->data, entries);
    (void)migd_trace_replay(&part, NULL, NULL, NULL, &track);
    g_array_unref(part.entries);
    migd_track_add(track, sample);
    return migd_decide(track);
}

/* A writer that died between the command and its outcome: the command counts as carried out. */
static void
test_replay_unanswered(void)
{
    g_autofree char *path = fixture_path("trace.jsonl");
    g_autoptr(GError) error = NULL;
    g_autoptr(MigdTrace) trace = NULL;
    guint checked = 0;

    fixture_write(&fixture_plateau, path);
    trace = migd_trace_read(path, &error);
    g_assert_no_error(error);
    for (guint i = 0; i + 2 < trace->entries->len; i++) {
        const MigdTraceEntry *entry = &g_array_index(trace->entries, MigdTraceEntry, i);
        const MigdSample *next = &entry[2].sample;

        if (entry->kind != MIGD_TRACE_ACTION)
            continue;
        g_assert_cmpint(entry[1].kind, ==, MIGD_TRACE_OUTCOME);
        g_assert_cmpint(entry[2].kind, ==, MIGD_TRACE_SAMPLE);
        MigdDecision untold = decision_after(trace, i, next);
        MigdDecision unanswered = decision_after(trace, i + 1, next);
        MigdDecision answered = decision_after(trace, i + 2, next);
        g_assert_true(migd_decision_same(&unanswered, &answered));
        g_assert_false(migd_decision_same(&untold, &answered));
        checked++;
    }
    g_assert_cmpuint(checked, >, 0);
    fixture_remove(path);
}

static void
test_decision_diff(void)
{
    for (guint i = 0; i < migd_n_decision_fields; i++) {
        const MigdDecisionField *field = &migd_decision_fields[i];
        MigdDecision a = make_decision(4), b = make_decision(4);

        ((char *)&b)[field->offset] ^= 1;
        g_assert_cmpstr(migd_trace_decision_diff(&a, &b), ==, field->name);
    }
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/trace/round-trip/numbers", test_round_trip_numbers);
    g_test_add_func("/trace/round-trip/events", test_round_trip_events);
    g_test_add_func("/trace/writer/open", test_writer_open);
    g_test_add_func("/trace/writer/disk-full", test_disk_full);
    g_test_add_func("/trace/cut-tail", test_cut_tail);
    g_test_add_func("/trace/growing", test_growing);
    g_test_add_func("/trace/bad/lines", test_bad_lines);
    g_test_add_func("/trace/bad/files", test_bad_files);
    g_test_add_func("/trace/newer-writer", test_newer_writer);
    g_test_add_func("/trace/replay/same", test_replay_same);
    g_test_add_func("/trace/replay/differs", test_replay_differs);
    g_test_add_func("/trace/replay/unanswered", test_replay_unanswered);
    g_test_add_func("/trace/decision-diff", test_decision_diff);
    return g_test_run();
}

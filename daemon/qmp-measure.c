/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * calc-dirty-rate, the time it takes, and query-dirty-rate until it has the result. Every command
 * comes back exactly once, so a measurement lives until both its answer is given and nothing of it
 * is under way.
 */
#include "daemon/qmp-measure.h"

#include <string.h>

#include "base/error.h"
#include "daemon/resident.h"
#include "qmp/dirtyrate.h"
#include "qmp/machine.h"

#define AGAIN_MS 50
#define LATE_MS 5000 /* it may end so much after its time */

typedef struct {
    MigdQmpPeer *peer; /* NULL once answered */
    MigdRateFunc callback;
    gpointer user_data;
    MigdQmpDirtyRateWish wish;
    guint left; /* times to ask */
    guint source;
    gboolean under_way; /* a command has not come back */
} Measuring;

static void
answer(Measuring *measuring, const MigdDirtyRate *measured, const GError *error)
{
    MigdQmpPeer *peer = g_steal_pointer(&measuring->peer);

    if (peer == NULL)
        return;
    g_clear_handle_id(&measuring->source, g_source_remove);
    peer->measuring = NULL;
    measuring->callback(measured, error, measuring->user_data);
}

static void
answer_and_free(Measuring *measuring, const MigdDirtyRate *measured, const GError *error)
{
    answer(measuring, measured, error);
    if (!measuring->under_way)
        g_free(measuring);
}

static void
call(Measuring *measuring, const char *command, MigdJson *arguments, MigdQmpReplyFunc callback)
{
    measuring->under_way = TRUE;
    migd_qmp_client_call(measuring->peer->client, command, arguments, callback, measuring);
}

/* A command came back. TRUE when an answer is still wanted and there was no failure. */
static gboolean
came_back(Measuring *measuring, const GError *failure)
{
    measuring->under_way = FALSE;
    if (measuring->peer != NULL && failure == NULL)
        return TRUE;
    answer_and_free(measuring, NULL, failure);
    return FALSE;
}

static gboolean ask(gpointer user_data);

static void
on_rate(const MigdJson *reply, const GError *failure, gpointer user_data)
{
    Measuring *measuring = user_data;
    g_autoptr(GError) error = NULL;
    MigdQmpDirtyRate rate;

    if (!came_back(measuring, failure))
        return;
    if (!migd_qmp_decode_dirty_rate(reply, &rate, &error)) {
        migd_qmp_peer_mark(measuring->peer, error);
        answer_and_free(measuring, NULL, error);
    } else if (rate.measured) {
        MigdQmpPeer *peer = measuring->peer;
        MigdDirtyRate measured = {
            .rate_bps = rate.rate_bps,
            .period_us = measuring->wish.period_ms * (guint64)1000,
            .sample_pages = strcmp(measuring->wish.mode, "page-sampling") != 0 ? 0
                            : measuring->wish.sample_pages != 0 ? measuring->wish.sample_pages
                                                                : MIGD_QEMU_SAMPLE_PAGES,
            .resident_bytes =
                migd_resident_read(migd_qmp_client_peer(peer->client), peer->memory_bytes),
        };
        migd_qmp_peer_note_dirty_rate(peer, rate.rate_bps, measuring->wish.mode);
        answer_and_free(measuring, &measured, NULL);
    } else if (measuring->left-- > 0) {
        measuring->source = g_timeout_add(AGAIN_MS, ask, measuring);
    } else {
        error =
            g_error_new(MIGD_ERROR, MIGD_ERROR_TIMED_OUT, "the measurement did not end in time");
        answer_and_free(measuring, NULL, error);
    }
}

static gboolean
ask(gpointer user_data)
{
    Measuring *measuring = user_data;

    measuring->source = 0;
    call(measuring, "query-dirty-rate", NULL, on_rate);
    return G_SOURCE_REMOVE;
}

static void begin(Measuring *measuring);

static void
on_begun(const MigdJson *reply, const GError *failure, gpointer user_data)
{
    Measuring *measuring = user_data;
    gboolean fine = measuring->wish.period_ms % 1000 != 0;

    /* A QEMU that knows no other unit than seconds names the word that it does not know. */
    if (failure != NULL && measuring->peer != NULL && fine &&
        strstr(failure->message, "calc-time-unit") != NULL) {
        measuring->under_way = FALSE;
        measuring->wish.period_ms = (measuring->wish.period_ms / 1000 + 1) * 1000;
        begin(measuring);
        return;
    }
    if (came_back(measuring, failure))
        measuring->source = g_timeout_add(measuring->wish.period_ms, ask, measuring);
}

static void
begin(Measuring *measuring)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(MigdQmpCommand) command = migd_qmp_command_for_dirty_rate(&measuring->wish, &error);

    if (command == NULL)
        answer_and_free(measuring, NULL, error);
    else
        call(measuring, command->name, g_steal_pointer(&command->arguments), on_begun);
}

static void
on_kvm(const MigdJson *reply, const GError *failure, gpointer user_data)
{
    Measuring *measuring = user_data;
    g_autoptr(GError) error = NULL;
    gboolean enabled = FALSE;

    if (!came_back(measuring, failure))
        return;
    if (migd_qmp_decode_kvm(reply, &enabled, &error) && !enabled)
        error = g_error_new(MIGD_ERROR, MIGD_ERROR_NOT_SUPPORTED,
                            "%s is for guests of KVM: without it QEMU before 9.1 dies of it",
                            measuring->wish.mode);
    if (error != NULL)
        answer_and_free(measuring, NULL, error);
    else
        begin(measuring);
}

/* What cannot be begun is still answered at the next turn: no caller expects it before we return.
 */
typedef struct {
    MigdRateFunc callback;
    gpointer user_data;
    GError *error;
} Refusal;

static gboolean
refuse(gpointer user_data)
{
    g_autofree Refusal *refusal = user_data;
    g_autoptr(GError) error = refusal->error;

    refusal->callback(NULL, error, refusal->user_data);
    return G_SOURCE_REMOVE;
}

/* NULL = fine. */
static GError *
check(const MigdQmpPeer *peer, const MigdQmpDirtyRateWish *wish)
{
    GError *error = NULL;
    g_autoptr(MigdQmpCommand) command = migd_qmp_command_for_dirty_rate(wish, &error);

    if (command == NULL)
        return error;
    if (peer->measuring != NULL)
        return g_error_new_literal(MIGD_ERROR, MIGD_ERROR_MIGRATION_IN_PROGRESS,
                                   "another measurement is under way");
    if (peer->incoming || peer->run == MIGD_DOMAIN_INCOMING)
        return g_error_new_literal(MIGD_ERROR, MIGD_ERROR_MIGRATION_IN_PROGRESS,
                                   "never during a migration");
    return NULL;
}

static const char *
own_word(const char *mode)
{
    static const char *const words[] = {"page-sampling", "dirty-bitmap", "dirty-ring"};

    for (guint i = 0; i < G_N_ELEMENTS(words); i++)
        if (g_strcmp0(mode, words[i]) == 0)
            return words[i];
    return NULL; /* refused by the encoder */
}

void
migd_qmp_measure(MigdDomain *domain, const MigdMeasureOptions *options, MigdRateFunc callback,
                 gpointer user_data)
{
    MigdQmpPeer *peer = ((MigdQmpDomain *)domain)->peer;
    MigdQmpDirtyRateWish wish = {own_word(options->mode), options->period_ms,
                                 options->sample_pages};
    GError *error = check(peer, &wish);
    Measuring *measuring;

    if (error != NULL) {
        Refusal *refusal = g_new(Refusal, 1);
        *refusal = (Refusal){callback, user_data, error};
        g_idle_add_full(G_PRIORITY_DEFAULT, refuse, refusal, NULL);
        return;
    }
    measuring = g_new0(Measuring, 1);
    *measuring = (Measuring){.peer = peer,
                             .callback = callback,
                             .user_data = user_data,
                             .wish = wish,
                             .left = LATE_MS / AGAIN_MS};
    peer->measuring = measuring;
    /* The other modes write-protect all memory, and kill a QEMU without KVM. */
    if (strcmp(wish.mode, "page-sampling") == 0)
        begin(measuring);
    else
        call(measuring, "query-kvm", NULL, on_kvm);
}

void
migd_qmp_measure_cancel(MigdQmpPeer *peer)
{
    Measuring *measuring = peer->measuring;
    g_autoptr(GError) error = NULL;

    if (measuring == NULL)
        return;
    error = g_error_new(MIGD_ERROR, MIGD_ERROR_BACKEND_LOST, "%s is gone", peer->name);
    answer_and_free(measuring, NULL, error);
}

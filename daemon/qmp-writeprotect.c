/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Answers to facts, facts to a conclusion. What a proxy in front of QEMU shows of itself is told
 * apart by its lack of vCPUs (writeprotect/detect.c).
 */
#include "daemon/qmp-writeprotect.h"

#include <gio/gio.h>

#include "base/error.h"
#include "daemon/qmp-peer.h"
#include "daemon/qmp-request.h"
#include "daemon/writeprotect.h"
#include "qmp/limit.h"
#include "qmp/machine.h"

/* Shared by the main loop and a thread, which reads `process` and fills `facts`. */
struct MigdQmpLook {
    MigdQmpPeer *peer; /* NULL: nobody wants to know any more; main loop only */
    MigdProcess *process;
    MigdProcessFacts facts;
    gboolean good;
};

static void
look_clear(gpointer data)
{
    migd_process_free(((MigdQmpLook *)data)->process);
}

static void
look_unref(gpointer look)
{
    g_atomic_rc_box_release_full(look, look_clear);
}

void
migd_qmp_inspect_clear(MigdQmpPeer *peer)
{
    MigdQmpInspection *inspection = &peer->inspection;

    if (inspection->look != NULL)
        inspection->look->peer = NULL;
    g_clear_pointer(&inspection->look, look_unref);
    *inspection = (MigdQmpInspection){0};
}

void
migd_qmp_inspect_begin(MigdQmpPeer *peer)
{
    gint pid = migd_qmp_client_peer(peer->client);
    MigdProcess *process = pid > 0 ? migd_process_open("/proc", pid, NULL) : NULL;

    migd_qmp_inspect_clear(peer);
    if (process == NULL) /* of another PID namespace, or hidden from us */
        return;
    peer->inspection.look = g_atomic_rc_box_new0(MigdQmpLook);
    peer->inspection.look->peer = peer;
    peer->inspection.look->process = process;
}

/* ---- answers -----------------------------------------------------------------------------------
 */

gboolean
migd_qmp_inspect_version(MigdQmpPeer *peer, const MigdJson *reply, GError **error)
{
    return migd_qmp_decode_version(reply, &peer->inspection.facts.version, error);
}

gboolean
migd_qmp_inspect_kvm(MigdQmpPeer *peer, const MigdJson *reply, GError **error)
{
    gboolean kvm = FALSE;

    if (!migd_qmp_decode_kvm(reply, &kvm, error))
        return FALSE;
    peer->inspection.facts.kvm = kvm ? MIGD_SEEN_YES : MIGD_SEEN_NO;
    return TRUE;
}

gboolean
migd_qmp_inspect_vcpus(MigdQmpPeer *peer, const MigdJson *reply, GError **error)
{
    return migd_qmp_decode_vcpus(reply, &peer->inspection.n_vcpus, error);
}

gboolean
migd_qmp_inspect_limits(MigdQmpPeer *peer, const MigdJson *reply, GError **error)
{
    return peer->inspection.facts.ring != MIGD_SEEN_YES ||
           migd_qmp_decode_limits(reply, &peer->knobs, error);
}

void
migd_qmp_inspect_ring(MigdQmpPeer *peer, const GError *failure)
{
    static const MigdSeen seen[] = {
        [MIGD_QMP_RING_UNKNOWN] = MIGD_SEEN_UNKNOWN,
        [MIGD_QMP_RING_NO] = MIGD_SEEN_NO,
        [MIGD_QMP_RING_YES] = MIGD_SEEN_YES,
    };

    peer->inspection.facts.ring = seen[migd_qmp_ring_answer(failure)];
}

/* ---- the conclusion ----------------------------------------------------------------------------
 */

static void
conclude(MigdQmpPeer *peer)
{
    MigdQmpInspection *inspection = &peer->inspection;
    MigdWriteProtectFacts *facts = &inspection->facts;

    facts->running = TRUE;
    facts->host = migd_write_protect_host();
    facts->has_all = (peer->knobs.has & MIGD_KNOB_WRITE_PROTECT_ALL) != 0;
    facts->all_on = facts->has_all && peer->knobs.write_protect_all;
    migd_write_protect_detect(facts, &inspection->found);
}

static void
look_work(GTask *task, gpointer source, gpointer data, GCancellable *cancellable)
{
    MigdQmpLook *look = data;

    look->good = migd_process_look(look->process, &look->facts, NULL);
    g_task_return_boolean(task, TRUE);
}

static void
looked(GObject *source, GAsyncResult *result, gpointer user_data)
{
    const MigdQmpLook *look = g_task_get_task_data(G_TASK(result));
    MigdQmpPeer *peer = look->peer;

    if (peer == NULL || !look->good)
        return;
    peer->inspection.process = look->facts;
    peer->inspection.facts.process = &peer->inspection.process;
    conclude(peer);
    migd_qmp_peer_changed(peer);
}

void
migd_qmp_inspect_end(MigdQmpPeer *peer)
{
    g_autoptr(GTask) task = NULL;

    conclude(peer);
    if (peer->inspection.look == NULL)
        return;
    task = g_task_new(NULL, NULL, looked, NULL);
    g_task_set_task_data(task, g_atomic_rc_box_acquire(peer->inspection.look), look_unref);
    g_task_run_in_thread(task, look_work);
}

/* ---- turning on --------------------------------------------------------------------------------
 */

typedef struct {
    MigdQmpPeer *peer; /* dead when the answer is an error */
    gboolean all;
    MigdDoneFunc callback;
    gpointer user_data;
} Setting;

static void
set(const GError *error, gpointer user_data)
{
    g_autofree Setting *setting = user_data;

    g_autoptr(GError) refusal = error != NULL ? migd_write_protect_refusal(error) : NULL;

    if (error == NULL) {
        setting->peer->knobs.write_protect_all = setting->all;
        conclude(setting->peer);
        migd_qmp_peer_changed(setting->peer);
    }
    setting->callback(refusal, setting->user_data);
}

void
migd_qmp_set_write_protect(MigdDomain *domain, const MigdWriteProtectChange *change,
                           MigdDoneFunc callback, gpointer user_data)
{
    MigdKnobs knobs = {.has = MIGD_KNOB_WRITE_PROTECT_ALL,
                       .write_protect_all = change->mechanism == MIGD_MECHANISM_ALL};
    Setting *setting = g_new(Setting, 1);

    *setting =
        (Setting){((MigdQmpDomain *)domain)->peer, knobs.write_protect_all, callback, user_data};
    migd_qmp_request_write_knobs(domain, &knobs, MIGD_KNOB_WRITE_PROTECT_ALL, set, setting);
}

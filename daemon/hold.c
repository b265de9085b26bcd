/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The list of leases, each watched at its pipe. What a lease means is manager.c's business; that a
 * domain exists is the caller's.
 */
#include "daemon/hold.h"

#include <fcntl.h>
#include <gio/gio.h>
#include <glib-unix.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "base/text.h"
#include "daemon/quota.h"

typedef struct {
    MigdHold hold;
    MigdHolds *holds;
    int fd; /* our end */
    guint source;
} Lease;

struct MigdHolds {
    GPtrArray *leases; /* of Lease, oldest first */
    MigdHoldsFunc changed;
    gpointer user_data;
};

static const struct {
    const char *word;
    MigdHoldWhat what;
} words[] = {{"migrate", MIGD_HOLD_MIGRATE}, {"steer", MIGD_HOLD_STEER}};

gboolean
migd_hold_what_from_string(const char *text, guint *ret_what, GError **error)
{
    g_auto(GStrv) list = g_strsplit(text, ":", 4);
    guint what = 0;

    for (guint i = 0; list[i] != NULL; i++) {
        guint row = 0;

        while (row < G_N_ELEMENTS(words) && strcmp(list[i], words[row].word) != 0)
            row++;
        if (row == G_N_ELEMENTS(words)) {
            what = 0;
            break;
        }
        what |= (guint)words[row].what;
    }
    if (what == 0) {
        g_autofree char *clean = migd_text_clean(text);
        g_set_error(error, MIGD_ERROR, MIGD_ERROR_INVALID_ARGUMENT,
                    "\"%s\" is not one of: migrate, steer, migrate:steer", clean);
        return FALSE;
    }
    *ret_what = what;
    return TRUE;
}

char *
migd_hold_what_to_string(guint what)
{
    GString *out = g_string_new(NULL);

    for (guint i = 0; i < G_N_ELEMENTS(words); i++)
        if (what & (guint)words[i].what)
            g_string_append_printf(out, "%s%s", out->len > 0 ? ":" : "", words[i].word);
    return g_string_free(out, FALSE);
}

static void
lease_free(gpointer data)
{
    Lease *lease = data;

    g_clear_handle_id(&lease->source, g_source_remove);
    close(lease->fd);
    g_free(lease->hold.domain_uuid);
    g_free(lease->hold.who);
    g_free(lease->hold.why);
    g_free(lease->hold.sender);
    g_free(lease);
}

/* Closed at the other end; nothing is ever read, so that one that writes only fills its own pipe.
 */
static gboolean
let_go(gint fd, GIOCondition condition, gpointer user_data)
{
    Lease *lease = user_data;
    MigdHolds *holds = lease->holds;
    g_autofree char *uuid = g_strdup(lease->hold.domain_uuid);

    lease->source = 0;
    g_ptr_array_remove(holds->leases, lease);
    holds->changed(uuid, holds->user_data);
    return G_SOURCE_REMOVE;
}

static gboolean
may_add(const MigdHolds *holds, const char *sender, GError **error)
{
    guint own = 0;

    for (guint i = 0; i < holds->leases->len; i++)
        own += g_str_equal(((Lease *)holds->leases->pdata[i])->hold.sender, sender);
    if (own < MIGD_LIMIT_HOLDS && holds->leases->len < MIGD_LIMIT_HOLDS_ALL)
        return TRUE;
    g_set_error(error, G_DBUS_ERROR, G_DBUS_ERROR_LIMITS_EXCEEDED,
                "%u leases are held by this connection and %u in all; the limits are %d and %d",
                own, holds->leases->len, MIGD_LIMIT_HOLDS, MIGD_LIMIT_HOLDS_ALL);
    return FALSE;
}

int
migd_holds_add(MigdHolds *holds, const char *domain_uuid, guint what, const char *who,
               const char *why, const char *sender, GError **error)
{
    Lease *lease;
    int fds[2];

    if (!may_add(holds, sender, error) || !g_unix_open_pipe(fds, FD_CLOEXEC, error))
        return -1;
    lease = g_new0(Lease, 1);
    lease->holds = holds;
    lease->fd = fds[0];
    lease->hold = (MigdHold){.domain_uuid = g_strdup(domain_uuid),
                             .what = what,
                             .who = migd_text_clean(who),
                             .why = migd_text_clean(why),
                             .sender = g_strdup(sender)};
    lease->source = g_unix_fd_add(lease->fd, G_IO_HUP | G_IO_ERR, let_go, lease);
    g_ptr_array_add(holds->leases, lease);
    holds->changed(domain_uuid, holds->user_data);
    return fds[1];
}

const MigdHold *
migd_holds_find(const MigdHolds *holds, const char *domain_uuid, MigdHoldWhat what)
{
    for (guint i = 0; i < holds->leases->len; i++) {
        const Lease *lease = holds->leases->pdata[i];

        if ((lease->hold.what & (guint)what) != 0 &&
            g_str_equal(lease->hold.domain_uuid, domain_uuid))
            return &lease->hold;
    }
    return NULL;
}

GPtrArray *
migd_holds_of(const MigdHolds *holds, const char *domain_uuid)
{
    GPtrArray *found = g_ptr_array_new();

    for (guint i = 0; i < holds->leases->len; i++) {
        Lease *lease = holds->leases->pdata[i];

        if (g_str_equal(lease->hold.domain_uuid, domain_uuid))
            g_ptr_array_add(found, &lease->hold);
    }
    return found;
}

MigdHolds *
migd_holds_new(MigdHoldsFunc changed, gpointer user_data)
{
    MigdHolds *holds = g_new0(MigdHolds, 1);

    holds->leases = g_ptr_array_new_with_free_func(lease_free);
    holds->changed = changed;
    holds->user_data = user_data;
    return holds;
}

void
migd_holds_free(MigdHolds *holds)
{
    if (holds == NULL)
        return;
    g_ptr_array_unref(holds->leases);
    g_free(holds);
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The order of preference, and why not. Changes nothing.
 */
#include "writeprotect/choose.h"

#include <string.h>

#include "base/error.h"

#define BIT(mechanism) (1u << (mechanism))

void
migd_choice_clear(MigdChoice *choice)
{
    g_free(choice->reason);
    g_free(choice->price);
    *choice = (MigdChoice){0};
}

/* ---- the best one ------------------------------------------------------------------------------
 */

static gboolean
may_be_slowed(const MigdProfile *profile)
{
    return migd_profile_allows(profile, MIGD_ACTION_THROTTLE) ||
           migd_profile_allows(profile, MIGD_ACTION_POSTCOPY) ||
           migd_profile_allows(profile, MIGD_ACTION_PAUSE);
}

static MigdMechanism
best(const MigdWriteProtect *found, const MigdProfile *profile, const char **ret_reason)
{
    guint32 can = found->settable_now | found->settable_next;

    if (found->active == MIGD_MECHANISM_NONE || found->active == MIGD_MECHANISM_UNKNOWN) {
        *ret_reason = found->active == MIGD_MECHANISM_NONE
                          ? "without KVM there is no other"
                          : "it is not known what there is, so nothing is changed";
        return found->active;
    }
    if ((found->settable_now & BIT(MIGD_MECHANISM_ALL)) != 0 && may_be_slowed(profile)) {
        *ret_reason = "it costs the same whatever the memory, and the profile allows to slow the "
                      "guest where that lets it write too much";
        return MIGD_MECHANISM_ALL;
    }
    if (found->next_boot == MIGD_MECHANISM_RING && found->active != MIGD_MECHANISM_RING) {
        *ret_reason = "it is set for the next start of the guest";
        return MIGD_MECHANISM_RING;
    }
    if (found->active == MIGD_MECHANISM_LEGACY && (can & BIT(MIGD_MECHANISM_RING)) != 0) {
        *ret_reason = "now each sync of the dirty log costs by the guest's memory, with it by what "
                      "the guest wrote";
        return MIGD_MECHANISM_RING;
    }
    *ret_reason = found->active == MIGD_MECHANISM_MANUAL_INITIAL
                      ? "it starts at once whatever the memory, and it is in use"
                      : "nothing better can be turned on here";
    return found->active;
}

/* ---- whether it can be had ---------------------------------------------------------------------
 */

static char *
why_not(const MigdWriteProtect *found, MigdMechanism wanted)
{
    if (found->active == MIGD_MECHANISM_NONE)
        return g_strdup("the guest runs without KVM");
    if (found->active == MIGD_MECHANISM_UNKNOWN && found->available == 0)
        return g_strdup("what this host's KVM offers is not known");
    if (wanted == MIGD_MECHANISM_NONE)
        return g_strdup("a guest of KVM has its writes logged by KVM");
    if (wanted == MIGD_MECHANISM_ALL && found->active == MIGD_MECHANISM_RING)
        return g_strdup("a guest with a dirty ring has no bitmap to write-protect for");
    if (wanted == MIGD_MECHANISM_ALL && found->lacks_kernel)
        return g_strdup("this host's KVM does not have it, although its QEMU could use it");
    if (wanted == MIGD_MECHANISM_ALL)
        return g_strdup("its QEMU has no migration capability x-write-protect-all, or none that "
                        "may be set here");
    if ((found->available & BIT(wanted)) == 0)
        return g_strdup("this host's KVM, or this QEMU, does not have it");
    if (wanted == MIGD_MECHANISM_RING)
        return g_strdup("QEMU makes rings at its start alone, and nobody here decides how this one "
                        "is started: give it -accel kvm,dirty-ring-size=4096");
    return g_strdup("what a guest uses without a dirty ring is settled at the start of its QEMU");
}

static gboolean
find_effect(const MigdWriteProtect *found, MigdMechanism wanted, MigdEffect *ret)
{
    gboolean stays = found->next_boot == MIGD_MECHANISM_UNKNOWN || found->next_boot == wanted;

    if (found->active == wanted && (stays || (found->settable_next & BIT(wanted)) == 0))
        *ret = MIGD_EFFECT_NONE;
    else if (found->active != wanted && (found->settable_now & BIT(wanted)) != 0)
        *ret = MIGD_EFFECT_NOW;
    else if ((found->settable_next & BIT(wanted)) != 0)
        *ret = MIGD_EFFECT_NEXT_BOOT;
    else
        return FALSE;
    return TRUE;
}

gboolean
migd_write_protect_choose(const MigdWriteProtect *found, const MigdProfile *profile,
                          const char *wanted, guint64 memory_bytes, MigdChoice *ret, GError **error)
{
    const char *word = wanted != NULL ? wanted : profile->write_protect;
    MigdChoice choice = {0};
    const char *reason = wanted != NULL ? "asked for" : "the profile asks for it";
    gboolean is_best = strcmp(word, "auto") == 0;

    if (is_best) {
        choice.mechanism = best(found, profile, &reason);
    } else if (!migd_mechanism_from_string(word, &choice.mechanism)) {
        g_set_error(error, MIGD_ERROR, MIGD_ERROR_INVALID_ARGUMENT, "\"%s\" is no mechanism", word);
        return FALSE;
    }
    /* What is best and active is left alone, also where somebody has set another for later. */
    if (!(is_best && choice.mechanism == found->active) &&
        !find_effect(found, choice.mechanism, &choice.effect)) {
        g_autofree char *why = why_not(found, choice.mechanism);
        g_set_error(error, MIGD_ERROR, MIGD_ERROR_NOT_SUPPORTED, "%s is not possible: %s",
                    migd_mechanism_to_string(choice.mechanism), why);
        return FALSE;
    }
    choice.reason = g_strdup(reason);
    choice.price = migd_mechanism_price(choice.mechanism, memory_bytes);
    *ret = choice;
    return TRUE;
}

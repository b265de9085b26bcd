/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What a trace shows, in the form in which it is drawn and told: a course of points, the passes,
 * the decisions with what came of them. Times are µs since the start of the trace. Pure; the same
 * picture serves `watch`, `explain` and `replay`.
 */
#pragma once

#include <glib.h>

#include "trace/trace.h"

typedef struct {
    gint64 t_us;
    guint64 left_bytes; /* falls within a pass, jumps up at a sync */
    guint64 sent_bytes; /* on the wire since the start */
    guint64 pause_us;   /* downtime limit in force; 0 = not known */
    guint32 throttle_pct;
    MigdStatus status;
} MigdPicturePoint;

typedef struct {
    guint64 number; /* from 1 */
    gint64 begin_us, end_us;
    guint64 left_bytes; /* right after the sync that ended it */
    guint64 dirty_bps;  /* newly dirtied, over the time of the pass */
    guint64 link_bps;   /* sent over the time of the pass */
    guint32 throttle_pct;
} MigdPicturePass;

typedef enum {
    MIGD_MARK_SAID,    /* nothing was to be done, or mode observe */
    MIGD_MARK_PENDING, /* the command is under way */
    MIGD_MARK_DONE,    /* the hypervisor took it */
    MIGD_MARK_REFUSED, /* it did not; see problem */
} MigdMarkState;

typedef struct {
    gint64 t_us;
    MigdDecision decision;
    MigdMarkState state;
    gint64 done_us; /* when DONE or REFUSED */
    char *problem;  /* clean text; NULL unless REFUSED */
} MigdPictureMark;

typedef struct {
    const MigdTrace *trace; /* borrowed */
    GArray *points;         /* of MigdPicturePoint, in order of time */
    GArray *passes;         /* of MigdPicturePass */
    GArray *marks;          /* of MigdPictureMark */
    MigdStatus status;
    guint64 pass;        /* the one under way, 0 = not known */
    guint64 link_bps;    /* newest measurement; 0 = not known */
    guint64 total_bytes; /* memory of the guest; 0 = not known */
    gint64 end_us;       /* of the last line */
} MigdPicture;

/* `trace` must be started and outlive the picture. */
MigdPicture *migd_picture_new(const MigdTrace *trace);
void migd_picture_free(MigdPicture *picture);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(MigdPicture, migd_picture_free)

/* Bytes left and bytes sent at a time between two points, linear between them; 0 before the first.
 */
double migd_picture_left_at(const MigdPicture *picture, double t_us);
double migd_picture_sent_at(const MigdPicture *picture, double t_us);

/* The last point at or before that time; NULL before the first. Borrowed. */
const MigdPicturePoint *migd_picture_at(const MigdPicture *picture, double t_us);

/* The finished pass that was under way at that time; NULL = none. Borrowed. */
const MigdPicturePass *migd_picture_pass_at(const MigdPicture *picture, double t_us);

/* What fits into the pause allowed: bandwidth x downtime limit at the last point; 0 = not known. */
guint64 migd_picture_fit_bytes(const MigdPicture *picture);

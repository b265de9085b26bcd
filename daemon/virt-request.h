/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What virt-request.c (asking) and virt-act.c (turning) share. Nobody else includes this.
 */
#pragma once

#include "daemon/virt-domain.h"

typedef struct {
    MigdVirtDomain *domain;
    MigdSampleFunc on_sample; /* one of these is set */
    MigdKnobsFunc on_knobs;
    MigdDoneFunc on_done;
    gpointer user_data;
    MigdKnobs turned;  /* done: what it sets, with the values */
    gboolean postcopy; /* done: it was the switch */
    GError *error;     /* later: the answer */
    guint source;      /* later */
} MigdVirtRequest;

/* Of `domain`, which stays until it is answered. */
MigdVirtRequest *migd_virt_request_new(MigdDomain *domain, gpointer user_data);

/* Once, and frees it. What fits it of `sample` and `knobs`, or else `error`. */
void migd_virt_request_answer(MigdVirtRequest *request, const MigdSample *sample,
                              const MigdKnobs *knobs, const GError *error);

/* With the last sample, or with its `error`; 0 = at the next turn. */
void migd_virt_request_answer_in(MigdVirtRequest *request, guint ms);

/* virt-act.c: a sample of the migration out of here. */
void migd_virt_make_room(MigdVirtDomain *domain, const MigdSample *sample);

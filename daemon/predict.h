/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Prediction before the start, and learning from the end: measures dirty curves of idle guests,
 * gathers what is known, and has src/sim play it in a thread. Never during a migration. Knows
 * nothing of the bus.
 */
#pragma once

#include "daemon/history.h"
#include "daemon/learn.h"
#include "daemon/watch.h"

typedef struct MigdPredictor MigdPredictor;

#define MIGD_PREDICT_POINTS 4

typedef struct {
    const char *destination; /* "" = not said */
    const MigdProfile *profile;
    guint64 bandwidth_bps; /* of the link; 0 = not said */
    guint32 seconds;       /* the longest period to measure */
    const char *mode;      /* as of MigdMeasureOptions */
    guint32 max_age_s;     /* a curve measured no longer ago will do */
    gboolean postcopy;
} MigdPredictRequest;

/* Where a number comes from. */
typedef struct {
    const char *source; /* "option", "measured", "learned", "limit", "assumed", "unknown" */
    guint64 age_us;     /* of a measurement, or of the newest migration it was learned from */
    guint n;            /* measurements or migrations */
} MigdProvenance;

typedef struct {
    MigdPredictInput input;
    MigdPrediction prediction;
    const char *missing; /* what it would take to know; NULL = known */
    char *peer;
    MigdCurvePoint points[MIGD_PREDICT_POINTS];
    guint n_points;
    MigdProvenance curve, bandwidth, filled, fixed, setup;
    guint64 resident_bytes;
    MigdWriteProtect write_protect; /* how its writes are tracked, and could be */
    guint64 log_start_us;           /* as published for that; 0 = not known, or nothing */
} MigdForetold;

/* Exactly one of `foretold` and `error` is set; both die when it returns. */
typedef void (*MigdPredictFunc)(const MigdForetold *foretold, const GError *error,
                                gpointer user_data);

/* The domain as the predictor asks for it each time, since it may go at any time. NULL: it has
 * gone. `*ret_busy`: it is being migrated. */
typedef MigdDomain *(*MigdPredictDomainFunc)(const char *uuid, gboolean *ret_busy,
                                             gpointer user_data);

/* What is known of the domain by measuring it has changed. */
typedef void (*MigdPredictMeasuredFunc)(const char *uuid, gpointer user_data);

MigdPredictor *migd_predictor_new(const char *state_directory, MigdPredictDomainFunc find,
                                  MigdPredictMeasuredFunc measured, gpointer user_data);
/* No callback comes after it returns. */
void migd_predictor_free(MigdPredictor *predictor);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(MigdPredictor, migd_predictor_free)

/* Predicts for the domain `uuid`. `callback` comes exactly once, never before this returns, unless
 * migd_predictor_cancel() is called with the id that this returns. */
guint
migd_predictor_ask(MigdPredictor *predictor, const char *uuid, const MigdPredictRequest *request,
                   MigdPredictFunc callback, gpointer user_data);
void migd_predictor_cancel(MigdPredictor *predictor, guint id);

/* What a pause of the guest `uuid` costs on the way to `destination`, as learned; all 0 = not
 * known. */
MigdCosts
migd_predictor_costs(const MigdPredictor *predictor, const char *uuid, const char *destination);

/* A migration begins: what is known by now is predicted, without measuring, and `watch` keeps it
 * for its report. A prediction for it that was just asked for is taken as it is. */
void migd_predictor_expect(MigdPredictor *predictor, MigdWatch *watch, gboolean postcopy);

/* A migration has ended: it teaches. */
void migd_predictor_learn(MigdPredictor *predictor, const MigdWatch *watch);

/* The working set of the guest `uuid` as last measured for a prediction, bytes; 0 = never. */
guint64 migd_predictor_working_set(const MigdPredictor *predictor, const char *uuid);

const MigdHistory *migd_predictor_history(const MigdPredictor *predictor);

/* ---- predict-curve.c: the measuring --------------------------------------------------------- */

/* The dirty curve of one guest at rest. */
typedef struct {
    char *uuid;
    MigdCurvePoint points[MIGD_PREDICT_POINTS];
    guint n;
    guint64 resident_bytes; /* 0 = not known */
    guint64 set_bytes; /* where it saturates, by the fit that explains it best; 0 = not known */
    gint64 taken_us;   /* monotonic, when the last point was taken; 0 = never */
    guint32 seconds;   /* asked for */
    char *mode;
    gboolean busy; /* being measured */
} MigdCurve;

typedef void (*MigdCurveFunc)(MigdCurve *curve, const GError *error, gpointer user_data);

void migd_curve_free(MigdCurve *curve);

/* Measures at up to four periods, the longest of `seconds`; `curve` becomes busy, and must live
 * until `callback` has come. */
void
migd_curve_measure(MigdCurve *curve, guint32 seconds, const char *mode, MigdPredictDomainFunc find,
                   gpointer find_data, MigdCurveFunc callback, gpointer user_data);

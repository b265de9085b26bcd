/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Arithmetic that saturates instead of wrapping: counters come from peers that may lie.
 */
#pragma once

#include <glib.h>

static inline guint64
migd_sat_add(guint64 a, guint64 b)
{
    guint64 sum;
    return __builtin_add_overflow(a, b, &sum) ? G_MAXUINT64 : sum;
}

static inline guint64
migd_sat_sub(guint64 a, guint64 b)
{
    return a > b ? a - b : 0;
}

static inline guint64
migd_sat_mul(guint64 a, guint64 b)
{
    guint64 product;
    return __builtin_mul_overflow(a, b, &product) ? G_MAXUINT64 : product;
}

/* `value` as an integer: negative and NaN are 0, anything too large is G_MAXUINT64. */
static inline guint64
migd_from_double(double value)
{
    if (!(value > 0))
        return 0;
    return value >= 18446744073709549568.0 ? G_MAXUINT64 : (guint64)value;
}

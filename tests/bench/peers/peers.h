/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Every engine that can be named: the policy of this project, QEMU left to itself, and what the
 * field uses, each written from its published algorithm with its defaults. The same code runs in
 * simulation and on real QEMUs.
 */
#pragma once

#include "sim/engine.h"

/* All of them, in the order in which tables list them; NULL-terminated. */
extern const MigdEngine *const migd_engines[];

/* The engine of that name, or NULL. Static. */
const MigdEngine *migd_engine_find(const char *name);

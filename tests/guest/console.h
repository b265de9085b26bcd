/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The debug console (port 0xe9): text is gathered in a line and leaves in one piece.
 */
#pragma once

#include "cpu.h"

void put_text(const char *text);
void put_number(uint32_t number);
void put_hex(uint32_t number);

/* " key=number" */
void put_field(const char *key, uint32_t number);

/* Sends what was put, and a newline. */
void put_line(void);

/* One byte at once, for the heart beat. */
void put_beat(void);

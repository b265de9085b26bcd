/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The entry point of a fuzz target, in libFuzzer's form: takes any bytes, returns 0, and aborts on
 * what must not be. Linked with driver.c, or with libFuzzer (README.md).
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

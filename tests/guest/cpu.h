/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The few instructions that C has no words for, and the integer types (no libc header is used
 * here).
 */
#pragma once

#include <stdint.h>
#include <stdbool.h>

static inline void
outb(uint16_t port, uint8_t value)
{
    __asm__ volatile("outb %0, %1" : : "a"(value), "Nd"(port));
}

static inline uint8_t
inb(uint16_t port)
{
    uint8_t value;
    __asm__ volatile("inb %1, %0" : "=a"(value) : "Nd"(port));
    return value;
}

/* A KVM that emulates instructions enters each store into a dirty ring, and looks only when the
 * vCPU leaves whether it is full; a ring that overflows stops the vCPU for good. */
extern bool cpu_breathes;

static inline void
breathe(void)
{
    if (cpu_breathes)
        outb(0x80, 0); /* nobody listens */
}

/* One string instruction: the hypervisor leaves the guest once per text, not once per byte. */
static inline void
outs(uint16_t port, const char *text, uint32_t length)
{
    __asm__ volatile("rep outsb" : "+S"(text), "+c"(length) : "d"(port) : "memory");
}

/* a * b / c; the quotient must fit in 32 bits. (A 64-bit division would need libgcc.) */
static inline uint32_t
muldiv(uint32_t a, uint32_t b, uint32_t c)
{
    uint32_t quotient, rest;
    __asm__("mull %3\n\tdivl %4" : "=a"(quotient), "=&d"(rest) : "0"(a), "r"(b), "r"(c) : "cc");
    return quotient;
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Formats report lines. Knows digits and the port, nothing of what is reported.
 */
#include "console.h"

#define PORT 0xe9
#define LINE_MAX 200

static char line[LINE_MAX + 1];
static uint32_t used;

static void
put_char(char c)
{
    if (used < LINE_MAX)
        line[used++] = c;
    breathe();
}

void
put_text(const char *text)
{
    while (*text)
        put_char(*text++);
}

static void
put_digits(uint32_t number, uint32_t base)
{
    char digits[10];
    uint32_t n = 0;

    do {
        digits[n++] = "0123456789abcdef"[number % base];
        number /= base;
    } while (number);
    while (n)
        put_char(digits[--n]);
}

void
put_number(uint32_t number)
{
    put_digits(number, 10);
}

void
put_hex(uint32_t number)
{
    put_text("0x");
    put_digits(number, 16);
}

void
put_field(const char *key, uint32_t number)
{
    put_char(' ');
    put_text(key);
    put_char('=');
    put_number(number);
}

void
put_line(void)
{
    line[used++] = '\n';
    outs(PORT, line, used);
    used = 0;
}

void
put_beat(void)
{
    outb(PORT, '.');
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Parses the command line. A word that is not understood is an error: a test must not run with less
 * than it asked for.
 */
#include "options.h"

static bool
starts_with(const char **text, const char *prefix)
{
    const char *t = *text;

    while (*prefix)
        if (*t++ != *prefix++)
            return false;
    *text = t;
    return true;
}

static bool
number(const char **text, uint32_t max, uint32_t *ret)
{
    const char *t = *text;
    uint32_t value = 0;

    if (*t < '0' || *t > '9')
        return false;
    while (*t >= '0' && *t <= '9') {
        value = value * 10 + (uint32_t)(*t++ - '0');
        if (value > max)
            return false;
    }
    *text = t;
    *ret = value;
    return true;
}

static bool
phases(Options *options, const char **text)
{
    options->n_phases = 0;
    do {
        Phase *phase = &options->phases[options->n_phases];
        if (options->n_phases++ == MAX_PHASES || !number(text, 1000000, &phase->seconds) ||
            !starts_with(text, ":") || !number(text, 4000, &phase->rate))
            return false;
    } while (starts_with(text, ","));
    return true;
}

static bool
word(Options *options, const char **text)
{
    if (starts_with(text, "ws="))
        return number(text, 2048, &options->ws_mib) && options->ws_mib > 0;
    if (starts_with(text, "touch="))
        return number(text, 2048, &options->touch_mib);
    if (starts_with(text, "rate="))
        return number(text, 4000, &options->phases[0].rate);
    if (starts_with(text, "reader="))
        return number(text, 1, &options->reader);
    if (starts_with(text, "exits="))
        return number(text, 1, &options->exits);
    if (starts_with(text, "phases="))
        return phases(options, text);
    if (starts_with(text, "pattern=seq"))
        options->pattern = MEMORY_IN_ORDER;
    else if (starts_with(text, "pattern=random"))
        options->pattern = MEMORY_RANDOM;
    else if (starts_with(text, "pattern=spread"))
        options->pattern = MEMORY_SPREAD;
    else
        return false;
    return true;
}

const char *
options_parse(Options *options, const char *command_line)
{
    const char *t = command_line;

    *options = (Options){.ws_mib = 64, .phases = {{0, 100}}, .n_phases = 1};
    while (*t) {
        const char *begin = t, *end = t;
        bool assignment = false;
        for (; *end && *end != ' '; end++)
            assignment |= *end == '=';
        if (assignment && (!word(options, &t) || t != end))
            return begin;
        t = end;
        while (*t == ' ')
            t++;
    }
    return 0;
}

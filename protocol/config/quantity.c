#include "protocol/config/quantity.h"

#include "protocol/base/attr.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

struct unit {
    const char *name;
    uint64_t factor;
};

static const struct unit durations[] = {
    {"ms", 1}, {"s", 1000}, {"m", 60000}, {"h", 3600000}, {"d", 86400000}, {"w", 604800000},
};

static const struct unit periods[] = {
    {"second", 1000},
    {"minute", 60000},
    {"hour", 3600000},
    {"day", 86400000},
};

static const struct unit sizes[] = {
    {"B", 1},
    {"kB", 1000},
    {"MB", 1000000},
    {"GB", 1000000000},
    {"TB", 1000000000000},
    {"KiB", 1024},
    {"MiB", 1024 * 1024},
    {"GiB", 1024 * 1024 * 1024},
    {"TiB", 1024ull * 1024 * 1024 * 1024},
};

enum { NUMBER_DIGITS = 15 }; /* what a double holds exactly */

/* Reads 12 or 1.5 at *p; strtod alone would take " 1", "0x1" and "inf" as well. */
static bool take_number(const char **p, double *ret)
{
    size_t whole = strspn(*p, "0123456789");
    size_t n = whole;
    if (whole == 0)
        return false;
    if ((*p)[n] == '.') {
        size_t fraction = strspn(*p + n + 1, "0123456789");
        if (fraction == 0)
            return false;
        n += 1 + fraction;
    }
    if (n > NUMBER_DIGITS + 1)
        return false;
    char copy[NUMBER_DIGITS + 2];
    memcpy(copy, *p, n);
    copy[n] = '\0';
    *ret = strtod(copy, NULL);
    *p += n;
    return true;
}

static const struct unit *find_unit(const struct unit *units, size_t count, const char *name,
                                    size_t n)
{
    for (size_t i = 0; i < count; i++)
        if (strlen(units[i].name) == n && strncasecmp(units[i].name, name, n) == 0)
            return &units[i];
    return NULL;
}

static size_t letters(const char *p)
{
    size_t n = 0;
    while (isalpha((unsigned char)p[n]))
        n++;
    return n;
}

/* A number of units that fits and is whole in the smallest unit. */
static bool scale(double number, uint64_t factor, uint64_t *ret)
{
    double amount = number * (double)factor;
    if (amount > 9e15)
        return false;
    *ret = (uint64_t)(amount + 0.5);
    return amount - (double)*ret < 1e-6 && (double)*ret - amount < 1e-6;
}

bool duration_parse(const char *text, uint64_t *ret_ms)
{
    uint64_t total = 0, last = UINT64_MAX;
    const char *p = text;
    do {
        double number;
        uint64_t part;
        if (!take_number(&p, &number))
            return false;
        size_t n = isupper((unsigned char)*p) ? 0 : letters(p); /* 1M may mean a month to some */
        const struct unit *u = find_unit(durations, ARRAY_LEN(durations), p, n);
        if (!u || u->factor >= last || !scale(number, u->factor, &part))
            return false;
        last = u->factor;
        total += part;
        p += n;
    } while (*p);
    *ret_ms = total;
    return true;
}

bool period_parse(const char *text, uint64_t *ret_ms)
{
    const struct unit *u = find_unit(durations, ARRAY_LEN(durations), text, strlen(text));
    if (!u)
        u = find_unit(periods, ARRAY_LEN(periods), text, strlen(text));
    if (!u)
        return duration_parse(text, ret_ms);
    *ret_ms = u->factor;
    return true;
}

bool size_parse(const char *text, uint64_t *ret_bytes)
{
    double number;
    const char *p = text;
    if (!take_number(&p, &number))
        return false;
    if (!*p)
        return scale(number, 1, ret_bytes);
    const struct unit *u = find_unit(sizes, ARRAY_LEN(sizes), p, strlen(p));
    return u && scale(number, u->factor, ret_bytes);
}

bool percent_parse(const char *text, double *ret)
{
    double number;
    const char *p = text;
    if (!take_number(&p, &number) || strcmp(p, "%") != 0 || number > 100)
        return false;
    *ret = number;
    return true;
}

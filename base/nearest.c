/* SPDX-License-Identifier: MIT */
#include "base/nearest.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <strings.h>

enum { LETTERS_MAX = 63 };

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* In capitals or not. */
static bool same(char a, char b)
{
    return tolower((unsigned char)a) == tolower((unsigned char)b);
}

size_t nearest_distance(const char *a, const char *b)
{
    size_t rows[3][LETTERS_MAX + 1]; /* two rows ago, the last one, this one */
    size_t *before = rows[0], *last = rows[1], *row = rows[2];
    size_t m = strnlen(a, LETTERS_MAX), n = strnlen(b, LETTERS_MAX);
    for (size_t k = 0; k <= n; k++)
        last[k] = before[k] = k;
    for (size_t i = 1; i <= m; i++) {
        row[0] = i;
        for (size_t k = 1; k <= n; k++) {
            row[k] = least(least(last[k], row[k - 1]) + 1, last[k - 1] + !same(a[i - 1], b[k - 1]));
            if (i > 1 && k > 1 && same(a[i - 1], b[k - 2]) && same(a[i - 2], b[k - 1]))
                row[k] = least(row[k], before[k - 2] + 1);
        }
        size_t *oldest = before;
        before = last;
        last = row;
        row = oldest;
    }
    return last[n];
}

static size_t farness(const char *found, const char *name)
{
    size_t a = strlen(found), b = strlen(name), shorter = least(a, b);
    size_t distance = nearest_distance(found, name);
    if (shorter >= 3 && strncasecmp(found, name, shorter) == 0)
        return distance < 2 ? distance : 1; /* a word that is cut short, or goes on */
    return 3 * distance <= (a > b ? a : b) ? distance : SIZE_MAX;
}

/* Letters that both begin with. */
static size_t common(const char *a, const char *b)
{
    size_t n = 0;
    while (a[n] && same(a[n], b[n]))
        n++;
    return n;
}

/* Of two names as far from what was found: more letters at its beginning, or fewer in all. */
static bool is_nearer(const char *found, const char *name, const char *than)
{
    size_t a = common(found, name), b = common(found, than);
    return a != b ? a > b : strlen(name) < strlen(than);
}

const char *nearest_name(const char *found, const char *(*name)(const void *names, size_t index), const void *names)
{
    const char *nearest = NULL, *candidate;
    size_t least_far = SIZE_MAX;
    for (size_t i = 0; (candidate = name(names, i)); i++) {
        size_t far = farness(found, candidate);
        if (far < least_far || (far != SIZE_MAX && far == least_far && is_nearer(found, candidate, nearest))) {
            least_far = far;
            nearest = candidate;
        }
    }
    return nearest;
}

static const char *in_list(const void *names, size_t index)
{
    return ((const char *const *)names)[index];
}

const char *nearest_in(const char *found, const char *const *names)
{
    return nearest_name(found, in_list, names);
}

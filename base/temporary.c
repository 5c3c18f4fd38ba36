/* SPDX-License-Identifier: MIT */
#define _DEFAULT_SOURCE /* getentropy */
#include "base/temporary.h"

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { PLACES = 16, FREE = 0, BEING_FILLED, TAKEN };

/* A signal's handler is given no argument to find them by. */
static struct {
    atomic_int state;
    char path[TEMPORARY_PATH];
} places[PLACES];

int temporary_note(const char *path)
{
    if (strlen(path) >= TEMPORARY_PATH)
        return -1;
    for (int i = 0; i < PLACES; i++) {
        int expected = FREE;
        if (!atomic_compare_exchange_strong(&places[i].state, &expected, BEING_FILLED))
            continue;
        strcpy(places[i].path, path);
        atomic_store(&places[i].state, TAKEN);
        return i;
    }
    return -1;
}

void temporary_forget(int place)
{
    if (place >= 0)
        atomic_store(&places[place].state, FREE);
}

void temporaries_remove(void)
{
    for (int i = PLACES - 1; i >= 0; i--)
        if (atomic_load(&places[i].state) == TAKEN && unlink(places[i].path))
            rmdir(places[i].path);
}

int temporary_random_name(char *out, size_t size)
{
    unsigned char bytes[16];
    if (getentropy(bytes, sizeof bytes))
        return -1;
    for (size_t i = 0; 2 * i + 2 < size && i < sizeof bytes; i++)
        snprintf(out + 2 * i, 3, "%02x", (unsigned)bytes[i]);
    return 0;
}

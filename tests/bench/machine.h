/* SPDX-License-Identifier: MIT */
/* machine.h — which machine a benchmark's figures are of: figures of two machines are not compared. */
#ifndef TANDEM_TESTS_BENCH_MACHINE_H
#define TANDEM_TESTS_BENCH_MACHINE_H

#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "planner/parallel.h"

/* The processor as Linux names it; "unknown" elsewhere. */
static inline void machine_processor(char *out, size_t size)
{
    char line[300];
    FILE *in = fopen("/proc/cpuinfo", "r");
    snprintf(out, size, "unknown");
    while (in && fgets(line, sizeof line, in)) {
        const char *colon = strchr(line, ':');
        if (strncmp(line, "model name", 10) != 0 || !colon)
            continue;
        snprintf(out, size, "%.*s", (int)strcspn(colon + 2, "\n"), colon + 2);
        break;
    }
    if (in)
        fclose(in);
}

/* Processor, how many there are, and the compiler: figures that differ in one of them are of other things. */
static inline cJSON *machine_describe(void)
{
    char processor[200];
    cJSON *machine = cJSON_CreateObject();
    machine_processor(processor, sizeof processor);
    cJSON_AddStringToObject(machine, "processor", processor);
    cJSON_AddNumberToObject(machine, "processors", parallel_processors());
    cJSON_AddStringToObject(machine, "compiler", __VERSION__);
    return machine;
}

/* Reads a benchmark's file; NULL with a sentence on standard error where it cannot be read, or is of another machine.
 * The caller deletes it. */
static inline cJSON *machine_read_bench(const char *file)
{
    struct json root;
    struct error err = {0};
    if (json_load(file, &root, &err)) {
        fprintf(stderr, "bench: %s\n", err.text);
        return NULL;
    }
    cJSON *before = (cJSON *)(uintptr_t)root.node, *here = machine_describe();
    const cJSON *there = cJSON_GetObjectItem(before, "machine");
    if (!cJSON_Compare(there, here, 1)) {
        char *then = there ? cJSON_PrintUnformatted(there) : NULL, *now = cJSON_PrintUnformatted(here);
        fprintf(stderr,
                "bench: %s: is of another machine, and figures of two are not compared: expected %s, found %s\n", file,
                now, then ? then : "none");
        cJSON_free(then);
        cJSON_free(now);
        cJSON_Delete(before);
        before = NULL;
    }
    cJSON_Delete(here);
    return before;
}

#endif

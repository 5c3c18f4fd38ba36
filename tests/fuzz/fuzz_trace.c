/* SPDX-License-Identifier: MIT */
/* Any bytes as a trace, of every format: read to the end, or an error with a sentence. */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "workloads/trace.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static char file[] = "/tmp/tandem_fuzz_XXXXXX";
    static int fd = -1;
    struct request_source source;
    struct error err = {0};
    struct arrival a;
    sim_time last = 0;
    if (fd < 0 && (fd = mkstemp(file)) < 0)
        abort();
    if (ftruncate(fd, 0) || pwrite(fd, data, size, 0) != (ssize_t)size)
        abort();
    if (trace_open(file, NULL, &source, &err)) {
        if (err.text[0] == 0)
            abort();
        return 0;
    }
    int got;
    while ((got = source.next(source.state, &a, &err)) == 1) {
        if (a.at < last)
            abort();
        last = a.at;
    }
    if (got < 0 && err.text[0] == 0)
        abort();
    request_source_destroy(&source);
    return 0;
}

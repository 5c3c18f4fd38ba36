/* SPDX-License-Identifier: MIT */
/* Any bytes as a trace, of every format: read to the end, or an error with a sentence. */
#include "tests/fuzz/fuzz.h"
#include "workloads/trace.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct request_source source;
    struct error err = {0};
    struct arrival a;
    sim_time last = 0;
    int got;
    if (trace_open(fuzz_file(data, size), NULL, &source, &err)) {
        fuzz_expect_sentence(&err);
        return 0;
    }
    while ((got = source.next(source.state, &a, &err)) == 1) {
        if (a.at < last)
            abort();
        last = a.at;
    }
    if (got < 0)
        fuzz_expect_sentence(&err);
    request_source_destroy(&source);
    return 0;
}

/* SPDX-License-Identifier: MIT */
/* Any bytes as a device, or as a profile of measured tables: refused with a sentence, or a model is served on it for
 * a moment. */
#include "tests/fuzz/fuzz.h"

static const char scenario[] =
    "{\"model\": \"llama-3.2-1b\", \"device\": \"%s\", \"workload\": {\"requests\": 20,"
    "\"arrivals\": {\"name\": \"poisson\", \"rate_per_s\": 4}, \"lengths\": {\"prompt\": {\"name\": \"uniform\","
    "\"min\": 1, \"max\": 3000}, \"output\": {\"name\": \"uniform\", \"min\": 1, \"max\": 40}}}}";

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_run_with_file(scenario, data, size);
    return 0;
}

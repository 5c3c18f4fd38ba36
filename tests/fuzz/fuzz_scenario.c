/* SPDX-License-Identifier: MIT */
/* Any text as a scenario: it compiles, or it fails with a sentence; what compiles runs for a moment. */
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = fuzz_text(data, size);
    fuzz_run(text);
    free(text);
    return 0;
}

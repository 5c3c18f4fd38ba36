/* SPDX-License-Identifier: MIT */
/* Any bytes as YAML: a value is found or it is not, text is cut to fit, and a number is one. */
#include <math.h>

#include "base/yaml.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const paths[] = {"gpu", "gpu.mem_bw", "skew_fit.enabled", "a.b.c.d.e.f.g.h", ""};
    const char *file = fuzz_file(data, size);
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
        char text[16];
        double number = 0;
        struct error err = {0};
        if (yaml_text(file, paths[i], text, sizeof text, &err) == 1 && strlen(text) >= sizeof text)
            abort();
        if (yaml_number(file, paths[i], &number, &err) == 1 && !isfinite(number))
            abort();
    }
    return 0;
}

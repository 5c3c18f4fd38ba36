/* SPDX-License-Identifier: MIT */
/* Any bytes as a CSV table of measurements: rows whose numbers keep what was asked of them, or an error with a
 * sentence. */
#include <stddef.h>

#include "base/csv.h"
#include "tests/fuzz/fuzz.h"

struct row {
    char layer[8];
    double tokens, time_us, power;
};

static const struct csv_column columns[] = {
    {"layer", offsetof(struct row, layer), 8, CSV_OPTIONAL},
    {"tokens", offsetof(struct row, tokens), 0, CSV_REQUIRED},
    {"time_us", offsetof(struct row, time_us), 0, CSV_POSITIVE},
    {"power", offsetof(struct row, power), 0, CSV_OPTIONAL},
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct error err = {0};
    void *items = NULL;
    size_t count = 0;
    if (csv_read(fuzz_file(data, size), columns, sizeof columns / sizeof *columns, sizeof(struct row), &items, &count,
                 &err)) {
        fuzz_expect_sentence(&err);
        if (items)
            abort();
        return 0;
    }
    const struct row *rows = items;
    for (size_t i = 0; i < count; i++)
        if (!(rows[i].tokens >= 0 && rows[i].time_us > 0 && rows[i].power >= 0 && strlen(rows[i].layer) < 8))
            abort();
    free(items);
    return 0;
}

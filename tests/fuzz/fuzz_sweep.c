/* SPDX-License-Identifier: MIT */
/* Any text as a sweep: refused with a sentence, or all its points are made, no two of them alike, and the last one runs
 * for a moment. */
#include "planner/sweep.h"
#include "tests/fuzz/fuzz.h"

enum { MOST_POINTS = 64 };

static size_t combinations(const struct sweep *s)
{
    size_t count = 1;
    for (size_t i = 0; i < s->axis_count && count <= MOST_POINTS; i++)
        count *= (size_t)cJSON_GetArraySize(s->axes[i].values);
    return count;
}

static void make_points(const struct sweep *s)
{
    struct sweep_point *points = NULL;
    struct error err = {0};
    size_t count = 0;
    if (sweep_points_make(s, &points, &count, &err)) {
        fuzz_expect_sentence(&err);
        return;
    }
    for (size_t i = 0; i + 1 < count; i++)
        if (strcmp(points[i].label, points[i + 1].label) == 0)
            abort();
    for (size_t axis = 0; axis < s->axis_count; axis++) {
        char word[80];
        sweep_value_text(&points[0], axis, word, sizeof word);
    }
    fuzz_run(points[count - 1].scenario);
    sweep_points_release(points, count);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = fuzz_text(data, size);
    struct error err = {0};
    struct json root;
    struct sweep s;
    if (json_parse(text, "fuzz", &root, &err) || sweep_read(&s, root, &err)) {
        fuzz_expect_sentence(&err);
    } else {
        if (combinations(&s) <= MOST_POINTS)
            make_points(&s);
        sweep_release(&s);
    }
    free(text);
    return 0;
}

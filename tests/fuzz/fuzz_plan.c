/* SPDX-License-Identifier: MIT */
/* Any text as a plan: refused with a sentence, or every configuration that it may choose from is weighed, and the first
 * one runs for a moment. */
#include "planner/plan.h"
#include "tests/fuzz/fuzz.h"

enum { MOST_FAMILIES = 64 };

static size_t combinations(const struct plan *p)
{
    size_t count = 1;
    for (size_t i = 0; i < p->axis_count && count <= MOST_FAMILIES; i++)
        count *= (size_t)cJSON_GetArraySize(p->axes[i].values.node);
    return count;
}

static void weigh(const struct plan *p)
{
    struct family *families = NULL;
    struct error err = {0};
    size_t count = 0;
    if (families_make(p, &families, &count, &err)) {
        fuzz_expect_sentence(&err);
        return;
    }
    char *text = family_scenario(p, &families[0], 2);
    if (!text)
        abort();
    if (!families[0].refused[0])
        fuzz_run(text);
    free(text);
    families_release(families, count);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = fuzz_text(data, size);
    struct error err = {0};
    struct json root;
    struct plan p;
    if (json_parse(text, "fuzz", &root, &err) || plan_read(&p, root, &err)) {
        fuzz_expect_sentence(&err);
    } else {
        if (combinations(&p) <= MOST_FAMILIES)
            weigh(&p);
        plan_release(&p);
    }
    free(text);
    return 0;
}

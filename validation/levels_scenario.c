/* SPDX-License-Identifier: MIT */
/* The scenario of a measured load level. */
#include <math.h>
#include <stdio.h>

#include "base/output.h"
#include "validation/levels.h"

static void add_length(cJSON *lengths, const char *name, double tokens, bool drawn)
{
    cJSON *length = cJSON_AddObjectToObject(lengths, name);
    cJSON_AddStringToObject(length, "name", drawn ? "uniform" : "fixed");
    if (drawn)
        cJSON_AddNumberToObject(length, "min", fmax(1, floor(0.8 * tokens)));
    cJSON_AddNumberToObject(length, drawn ? "max" : "tokens", round(tokens));
}

static void add_lengths(const struct level *level, const char *trace, cJSON *workload)
{
    cJSON *lengths = cJSON_AddObjectToObject(workload, "lengths");
    if (trace) {
        cJSON_AddStringToObject(lengths, "name", "empirical");
        cJSON_AddStringToObject(lengths, "trace", trace);
        return;
    }
    add_length(lengths, "prompt", level->prompt_tokens, level->drawn);
    add_length(lengths, "output", level->output_tokens, level->drawn);
}

static void add_arrivals(const struct level *level, cJSON *workload)
{
    cJSON *arrivals = cJSON_AddObjectToObject(workload, "arrivals");
    const char *gaps = fabs(level->cv - 1) < 1e-9 ? "poisson" : level->cv < 1e-3 ? "deterministic" : "gamma";
    if (level->load == LOAD_CLOSED) {
        cJSON_AddStringToObject(arrivals, "name", "closed_loop");
        cJSON_AddNumberToObject(arrivals, "concurrency", level->concurrency);
    } else if (level->load == LOAD_AT_ONCE) {
        cJSON_AddStringToObject(arrivals, "name", "at_once");
    } else {
        cJSON_AddStringToObject(arrivals, "name", gaps);
        cJSON_AddNumberToObject(arrivals, "rate_per_s", level->rate_per_s);
        if (gaps[0] == 'g')
            cJSON_AddNumberToObject(arrivals, "cv", level->cv);
    }
}

static cJSON *workload_of(const struct level *level, const char *trace)
{
    cJSON *workload = cJSON_CreateObject();
    if (level->load == LOAD_STAMPED) {
        cJSON_AddStringToObject(workload, "trace", trace ? trace : level->trace);
        return workload;
    }
    add_arrivals(level, workload);
    cJSON_AddNumberToObject(workload, "requests", round(level->requests));
    add_lengths(level, level->sent_count ? trace : NULL, workload);
    return workload;
}

static void replace(cJSON *object, const char *key, cJSON *value)
{
    cJSON_DeleteItemFromObjectCaseSensitive(object, key);
    cJSON_AddItemToObject(object, key, value);
}

int level_scenario(const struct level *level, const cJSON *base, const char *trace, cJSON **out, struct error *err)
{
    cJSON *root = cJSON_Duplicate(base, 1), *output = cJSON_CreateObject();
    *out = root;
    if (!root || !output) {
        cJSON_Delete(output);
        return error_no_memory(err);
    }
    replace(root, "workload", workload_of(level, level->trace[0] ? level->trace : trace));
    replace(root, "name", cJSON_CreateString(level->name));
    cJSON_AddStringToObject(output, "warmup", "none");
    replace(root, "output", output);
    return memory_check(err);
}

int level_write_trace(const struct level *level, const char *file, struct error *err)
{
    struct output out;
    if (output_open(&out, file, err))
        return -1;
    for (size_t i = 0; i < level->sent_count; i++) {
        const struct level_request *r = &level->sent[i];
        fprintf(out.out, "{\"arrival_s\": %.9f, \"prompt_tokens\": %.0f, \"output_tokens\": %.0f}\n", r->arrival_s,
                r->prompt_tokens, r->output_tokens);
    }
    return output_close(&out, false, err);
}

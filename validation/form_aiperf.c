/* SPDX-License-Identifier: MIT */
/* AIPerf's profile_export_aiperf.json and genai-perf's profile_export_genai_perf.json, which have the same metrics. */
#include <string.h>

#include "validation/forms.h"

static bool detect(const struct json *root)
{
    struct json first = json_member(root, "time_to_first_token"), latency = json_member(root, "request_latency");
    return json_member(root, "input_config").node &&
           (json_member(&first, "avg").node || json_member(&latency, "avg").node);
}

static int read_metric(const struct json *root, const char *name, double *out, struct error *err)
{
    static const char *const keys[MEASURED_STATISTICS] = {"avg", "p50", "p90", "p95", "p99"};
    static const struct {
        const char *name;
        double s;
    } units[] = {{"ms", 1e-3}, {"sec", 1}, {"s", 1}, {"us", 1e-6}, {"ns", 1e-9}, {NULL, 0}};
    struct json at = json_member(root, name), unit = json_member(&at, "unit");
    const char *said = "ms";
    if (!at.node || cJSON_IsNull(at.node))
        return 0;
    if (json_read_string(&at, "unit", false, &said, err))
        return -1;
    for (size_t i = 0; units[i].name; i++)
        if (strcmp(units[i].name, said) == 0)
            return form_statistics(&at, keys, units[i].s, out, err);
    return json_complain(&unit, "ms, sec, us or ns", err);
}

static int read_average(const struct json *root, const char *name, double *out, struct error *err)
{
    struct json at = json_member(root, name);
    return form_number(&at, "avg", out, err);
}

/* AIPerf has had its load under loadgen, and then in a list of phases; genai-perf under perf_analyzer.stimulus, or at
 * the top. */
static struct json load_of(const struct json *config)
{
    struct json phases = json_member(config, "phases"), loadgen = json_member(config, "loadgen"),
                analyzer = json_member(config, "perf_analyzer"), stimulus = json_member(&analyzer, "stimulus");
    for (struct json phase = json_first(&phases); phase.node; phase = json_next(&phase)) {
        struct json name = json_member(&phase, "name");
        if (cJSON_IsString(name.node) && strcmp(name.node->valuestring, "profiling") == 0)
            return phase;
    }
    return loadgen.node ? loadgen : stimulus.node ? stimulus : *config;
}

static int read_load(const struct json *root, struct level *level, struct error *err)
{
    struct json config = json_member(root, "input_config"), at = load_of(&config);
    if (form_number(&at, "concurrency", &level->concurrency, err) ||
        form_number(&at, "request_rate", &level->rate_per_s, err))
        return -1;
    if (level->rate_per_s > 0 && level->concurrency > 0)
        return json_complain(&at, "either concurrency or request_rate, not both", err);
    level->load = level->rate_per_s > 0 ? LOAD_RATE : LOAD_CLOSED;
    return 0;
}

static int read(const struct json *root, struct levels *out, struct error *err)
{
    struct level *level = levels_add(out, err);
    struct json config = json_member(root, "input_config");
    if (!level || read_load(root, level, err) || read_average(root, "request_count", &level->requests, err) ||
        read_average(root, "input_sequence_length", &level->prompt_tokens, err) ||
        read_average(root, "output_sequence_length", &level->output_tokens, err) ||
        read_metric(root, "time_to_first_token", level->measured[0], err) ||
        read_metric(root, "inter_token_latency", level->measured[1], err) ||
        read_metric(root, "request_latency", level->measured[2], err))
        return -1;
    return level_finish(level, &config, "loadgen.concurrency or loadgen.request_rate", err);
}

const struct measured_form form_aiperf = {"AIPerf", detect, read};

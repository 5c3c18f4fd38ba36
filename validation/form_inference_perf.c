/* SPDX-License-Identifier: MIT */
/* inference-perf's stage_N_lifecycle_metrics.json: one stage of a load, in seconds. */
#include "validation/forms.h"

static bool detect(const struct json *root)
{
    struct json successes = json_member(root, "successes");
    return json_member(root, "load_summary").node && json_member(&successes, "latency").node;
}

static int read_metric(const struct json *latency, const char *name, double *out, struct error *err)
{
    static const char *const keys[MEASURED_STATISTICS] = {"mean", "median", "p90", "p95", "p99"};
    struct json at = json_member(latency, name);
    return !at.node || cJSON_IsNull(at.node) ? 0 : form_statistics(&at, keys, 1, out, err);
}

static int read_mean(const struct json *successes, const char *name, double *out, struct error *err)
{
    struct json at = json_member(successes, name);
    return form_number(&at, "mean", out, err);
}

/* A stage with a concurrency states a rate, too, that only says how fast its requests are made. */
static int read_load(const struct json *root, struct level *level, struct error *err)
{
    struct json load = json_member(root, "load_summary");
    if (form_number(&load, "concurrency", &level->concurrency, err) ||
        form_number(&load, "requested_rate", &level->rate_per_s, err))
        return -1;
    level->load = level->concurrency > 0 ? LOAD_CLOSED : LOAD_RATE;
    return 0;
}

static int read(const struct json *root, struct levels *out, struct error *err)
{
    struct level *level = levels_add(out, err);
    struct json successes = json_member(root, "successes"), latency = json_member(&successes, "latency"),
                load = json_member(root, "load_summary");
    if (!level || read_load(root, level, err) || form_number(&successes, "count", &level->requests, err) ||
        read_mean(&successes, "prompt_len", &level->prompt_tokens, err) || /* before prompt_tokens */
        read_mean(&successes, "prompt_tokens", &level->prompt_tokens, err) ||
        read_mean(&successes, "output_len", &level->output_tokens, err) ||
        read_metric(&latency, "time_to_first_token", level->measured[0], err) ||
        read_metric(&latency, "time_per_output_token", level->measured[1], err) ||
        read_metric(&latency, "request_latency", level->measured[2], err))
        return -1;
    return level_finish(level, &load,
                        "requested_rate or concurrency, as in stage_N_lifecycle_metrics.json (a summary has neither)",
                        err);
}

const struct measured_form form_inference_perf = {"inference-perf", detect, read};

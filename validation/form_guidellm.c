/* SPDX-License-Identifier: MIT */
/* GuideLLM's benchmarks.json: one benchmark after another, each with its strategy, its distributions by status and,
 * unless they were left out, its requests. */
#include <math.h>
#include <string.h>

#include "validation/forms.h"

static bool detect(const struct json *root)
{
    struct json list = json_member(root, "benchmarks"), first = json_element(&list, 0);
    return first.node && json_member(&first, "metrics").node;
}

/* It stands in the benchmark's config; before 0.4, in its args. */
static struct json strategy_of(const struct json *benchmark)
{
    static const char *const places[] = {"config", "args", "scheduler", NULL};
    struct json strategy = {0};
    for (const char *const *p = places; *p && !strategy.node; p++) {
        struct json at = json_member(benchmark, *p);
        strategy = json_member(&at, "strategy");
    }
    return strategy;
}

static int read_load(const struct json *benchmark, struct level *level, struct error *err)
{
    struct json at = strategy_of(benchmark);
    const char *type = "";
    if (json_read_string(&at, "type_", true, &type, err))
        return -1;
    level->concurrency = strcmp(type, "synchronous") == 0;
    level->load = LOAD_CLOSED;
    if (strcmp(type, "concurrent") == 0)
        return form_number(&at, "streams", &level->concurrency, err);
    if (strcmp(type, "throughput") == 0) {
        if (form_number(&at, "max_concurrency", &level->concurrency, err))
            return -1;
        level->load = level->concurrency > 0 ? LOAD_CLOSED : LOAD_AT_ONCE;
    } else if (strcmp(type, "constant") == 0 || strcmp(type, "poisson") == 0) {
        level->load = LOAD_RATE;
        level->cv = type[0] == 'p';
        return form_number(&at, "rate", &level->rate_per_s, err);
    } else if (level->concurrency == 0) {
        struct json name = json_member(&at, "type_");
        return json_complain(&name, "synchronous, concurrent, throughput, constant or poisson", err);
    }
    return 0;
}

/* Of the requests that succeeded. `keys` leads from the distribution to mean and percentiles. */
static int read_distribution(const struct json *metrics, const char *name, double unit_s, double *out,
                             struct error *err)
{
    static const char *const means[MEASURED_STATISTICS] = {"mean", "median", "", "", ""},
                             *const quantiles[MEASURED_STATISTICS] = {"", "p50", "p90", "p95", "p99"};
    struct json all = json_member(metrics, name), at = json_member(&all, "successful"),
                percentiles = json_member(&at, "percentiles");
    double more[MEASURED_STATISTICS];
    if (form_statistics(&at, means, unit_s, out, err) || form_statistics(&percentiles, quantiles, unit_s, more, err))
        return -1;
    for (int i = 1; i < MEASURED_STATISTICS; i++)
        out[i] = isnan(more[i]) ? out[i] : more[i];
    return 0;
}

static int read_mean(const struct json *metrics, const char *name, double *mean, double *count, struct error *err)
{
    struct json all = json_member(metrics, name), at = json_member(&all, "successful");
    return form_number(&at, "mean", mean, err) || form_number(&at, "count", count, err);
}

static int read_aggregates(const struct json *benchmark, struct level *level, struct error *err)
{
    struct json metrics = json_member(benchmark, "metrics");
    double ignored = 0;
    return read_mean(&metrics, "prompt_token_count", &level->prompt_tokens, &ignored, err) ||
           read_mean(&metrics, "output_token_count", &level->output_tokens, &level->requests, err) ||
           read_distribution(&metrics, "time_to_first_token_ms", 1e-3, level->measured[0], err) ||
           read_distribution(&metrics, "inter_token_latency_ms", 1e-3, level->measured[1], err) ||
           read_distribution(&metrics, "request_latency", 1, level->measured[2], err);
}

/* A request of which something is not known makes all of them useless: those that are sampled are no trace. */
static int read_requests(const struct json *benchmark, struct level *level, struct error *err)
{
    struct json all = json_member(benchmark, "requests"), list = json_member(&all, "successful");
    if (cJSON_GetArraySize(list.node) < level->requests)
        return 0;
    for (struct json at = json_first(&list); at.node; at = json_next(&at)) {
        struct level_request r = {.arrival_s = -1};
        double first_ms = 0;
        if (form_number(&at, "request_start_time", &r.arrival_s, err) ||
            form_number(&at, "prompt_tokens", &r.prompt_tokens, err) ||
            form_number(&at, "output_tokens", &r.output_tokens, err) ||
            form_number(&at, "time_to_first_token_ms", &first_ms, err) ||
            form_number(&at, "request_latency", &r.e2e_s, err))
            return -1;
        r.ttft_s = first_ms * 1e-3;
        if (r.arrival_s < 0 || r.prompt_tokens < 1 || r.output_tokens < 1 || first_ms <= 0) {
            level->sent_count = 0;
            return 0;
        }
        if (level_add_request(level, r, err))
            return -1;
    }
    return 0;
}

/* Percentiles are the file's own, which weighs what it leaves out. */
static int take_requests(struct level *level, struct error *err)
{
    double means[MEASURED_METRICS][MEASURED_STATISTICS];
    if (level->sent_count == 0)
        return 0;
    memcpy(means, level->measured, sizeof means);
    if (level_summarise(level, err))
        return -1;
    for (int m = 0; m < MEASURED_METRICS; m++)
        for (int i = 0; i < MEASURED_STATISTICS; i++)
            level->measured[m][i] = isnan(means[m][i]) ? level->measured[m][i] : means[m][i];
    double start = level->sent[0].arrival_s;
    for (size_t i = 0; i < level->sent_count; i++)
        level->sent[i].arrival_s -= start;
    if (level->load != LOAD_CLOSED)
        level->load = LOAD_STAMPED;
    return 0;
}

static int read(const struct json *root, struct levels *out, struct error *err)
{
    struct json list = json_member(root, "benchmarks");
    for (struct json at = json_first(&list); at.node; at = json_next(&at)) {
        struct level *level = levels_add(out, err);
        if (!level || read_load(&at, level, err) || read_aggregates(&at, level, err) ||
            read_requests(&at, level, err) || take_requests(level, err) ||
            level_finish(level, &at, "a strategy with streams or a rate", err))
            return -1;
    }
    return 0;
}

const struct measured_form form_guidellm = {"GuideLLM", detect, read};

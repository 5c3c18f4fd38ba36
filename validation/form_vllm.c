/* SPDX-License-Identifier: MIT */
/* The result that vLLM's `vllm bench serve --save-result` writes, with every request where --save-detailed is given. */
#include <math.h>
#include <string.h>

#include "validation/forms.h"

static bool detect(const struct json *root)
{
    return json_member(root, "request_throughput").node && json_member(root, "mean_ttft_ms").node &&
           json_member(root, "total_input_tokens").node;
}

/* "inf" is a string there. */
static int read_rate(const struct json *root, double *rate, struct error *err)
{
    struct json at = json_member(root, "request_rate");
    *rate = INFINITY;
    return cJSON_IsString(at.node) && strcmp(at.node->valuestring, "inf") == 0
               ? 0
               : json_read_number(root, "request_rate", true, 1e-9, 1e9, rate, err);
}

/* A limit of clients next to a rate counts where it was reached. */
static int read_load(const struct json *root, struct level *level, struct error *err)
{
    double clients = 0, most = INFINITY, rate, burstiness = 1;
    if (read_rate(root, &rate, err) || form_number(root, "max_concurrency", &clients, err) ||
        form_number(root, "max_concurrent_requests", &most, err) || form_number(root, "burstiness", &burstiness, err))
        return -1;
    if (json_member(root, "ramp_up_strategy").node)
        return error_set(err, ERROR_INPUT, "%s: ramp_up_strategy: expected one load, found a rate that rises",
                         root->file);
    if (isfinite(rate) && clients > 0 && !(most < clients))
        return error_set(
            err, ERROR_INPUT,
            "%s: max_concurrency: expected none next to a request_rate, or one that was not reached; found "
            "%g, with %g requests at once",
            root->file, clients, most);
    level->load = isfinite(rate) ? LOAD_RATE : clients > 0 ? LOAD_CLOSED : LOAD_AT_ONCE;
    level->concurrency = clients;
    level->rate_per_s = isfinite(rate) ? rate : 0;
    level->cv = burstiness > 0 ? 1 / sqrt(burstiness) : 1; /* gaps are Gamma of that shape */
    return 0;
}

static int read_aggregates(const struct json *root, struct level *level, struct error *err)
{
    static const char *const keys[MEASURED_METRICS][MEASURED_STATISTICS] = {
        {"mean_ttft_ms", "median_ttft_ms", "p90_ttft_ms", "p95_ttft_ms", "p99_ttft_ms"},
        {"mean_tpot_ms", "median_tpot_ms", "p90_tpot_ms", "p95_tpot_ms", "p99_tpot_ms"},
        {"mean_e2el_ms", "median_e2el_ms", "p90_e2el_ms", "p95_e2el_ms", "p99_e2el_ms"}};
    double input = 0, output = 0;
    if (form_number(root, "completed", &level->requests, err) || form_number(root, "total_input_tokens", &input, err) ||
        form_number(root, "total_output_tokens", &output, err))
        return -1;
    level->prompt_tokens = level->requests > 0 ? input / level->requests : 0;
    level->output_tokens = level->requests > 0 ? output / level->requests : 0;
    for (int m = 0; m < MEASURED_METRICS; m++)
        if (form_statistics(root, keys[m], 1e-3, level->measured[m], err))
            return -1;
    return 0;
}

/* An element of a list of numbers, or of lists of numbers, whose sum it is then. Goes on to the next. */
static int read_element(struct json *at, double *out, struct error *err)
{
    *out = 0;
    if (cJSON_IsNumber(at->node))
        *out = at->node->valuedouble;
    else if (!cJSON_IsArray(at->node))
        return json_complain(at, "a number, or a list of numbers", err);
    for (const cJSON *n = at->node->child; n; n = n->next)
        *out += cJSON_IsNumber(n) ? n->valuedouble : 0;
    *at = json_next(at);
    return 0;
}

/* A request that failed has no output tokens, and counts nowhere. */
static int read_requests(const struct json *root, struct level *level, struct error *err)
{
    struct json prompts = json_member(root, "input_lens"), outputs = json_member(root, "output_lens"),
                firsts = json_member(root, "ttfts"), gaps = json_member(root, "itls"),
                starts = json_member(root, "start_times");
    const struct json *const lists[] = {&prompts, &outputs, &gaps, &starts};
    int count = cJSON_GetArraySize(firsts.node);
    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++)
        if (lists[i]->node && cJSON_GetArraySize(lists[i]->node) != count)
            return error_set(err, ERROR_INPUT, "%s: %s: expected %d elements, as many as in ttfts, found %d",
                             root->file, lists[i]->path, count, cJSON_GetArraySize(lists[i]->node));
    struct json prompt = json_first(&prompts), output = json_first(&outputs), first = json_first(&firsts),
                gap = json_first(&gaps), start = json_first(&starts);
    for (int i = 0; i < count; i++) {
        struct level_request r = {.arrival_s = i};
        double rest;
        if (read_element(&prompt, &r.prompt_tokens, err) || read_element(&output, &r.output_tokens, err) ||
            read_element(&first, &r.ttft_s, err) || read_element(&gap, &rest, err) ||
            (starts.node && read_element(&start, &r.arrival_s, err)))
            return -1;
        r.e2e_s = r.ttft_s + rest;
        if (r.output_tokens >= 1 && r.ttft_s > 0 && r.prompt_tokens >= 1 && level_add_request(level, r, err))
            return -1;
    }
    for (size_t i = level->sent_count; i-- > 0;)
        level->sent[i].arrival_s -= level->sent[0].arrival_s;
    if (level->load != LOAD_CLOSED && starts.node && level->sent_count)
        level->load = LOAD_STAMPED;
    return level->sent_count ? level_summarise(level, err) : 0;
}

static int read(const struct json *root, struct levels *out, struct error *err)
{
    struct level *level = levels_add(out, err);
    if (!level || read_load(root, level, err) || read_aggregates(root, level, err))
        return -1;
    if (json_member(root, "ttfts").node && json_member(root, "input_lens").node && read_requests(root, level, err))
        return -1;
    return level_finish(level, root, "max_concurrency or request_rate", err);
}

const struct measured_form form_vllm = {"vLLM bench serve", detect, read};

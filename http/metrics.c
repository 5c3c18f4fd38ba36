/* SPDX-License-Identifier: MIT */
#include "http/metrics.h"

#include <stdlib.h>

#include "base/printable.h"
#include "reports/formats/openmetrics.h"

struct exposition {
    FILE *out;
    const char *model;
};

static void sample(const struct exposition *x, const char *name, const char *suffix, const char *label,
                   const char *value_of_label, double value)
{
    fprintf(x->out, "vllm:%s%s{engine=\"0\",model_name=\"", name, suffix);
    for (const char *c = PRINTABLE(x->model); *c; c++)
        fprintf(x->out, *c == '"' || *c == '\\' ? "\\%c" : "%c", *c);
    fputc('"', x->out);
    if (label)
        fprintf(x->out, ",%s=\"%s\"", label, value_of_label);
    fprintf(x->out, "} %.17g\n", value);
}

static void head(const struct exposition *x, const char *name, const char *type, const char *help)
{
    fprintf(x->out, "# HELP vllm:%s %s, simulated.\n# TYPE vllm:%s %s\n", name, help, name, type);
}

static void histogram(const struct exposition *x, const char *name, const char *help, const struct live_counts *c,
                      enum live_histogram h)
{
    const double *bounds = live_bounds(h);
    double below = 0;
    head(x, name, "histogram", help);
    for (size_t i = 0; bounds[i] > 0; i++) {
        char le[32];
        openmetrics_bound(bounds[i], le, sizeof le);
        below += c->histograms[h].counts[i];
        sample(x, name, "_bucket", "le", le, below);
    }
    sample(x, name, "_bucket", "le", "+Inf", c->histograms[h].total);
    sample(x, name, "_sum", NULL, NULL, c->histograms[h].sum);
    sample(x, name, "_count", NULL, NULL, c->histograms[h].total);
}

static void write_histograms(const struct exposition *x, const struct live_counts *c)
{
    static const struct {
        enum live_histogram which;
        const char *name, *help;
    } rows[] = {{LIVE_TTFT, "time_to_first_token_seconds", "Time to first token"},
                {LIVE_GAP, "inter_token_latency_seconds", "Gaps between output tokens"},
                {LIVE_GAP, "time_per_output_token_seconds", "The same under its name before vLLM 0.11"},
                {LIVE_TPOT, "request_time_per_output_token_seconds", "Time per output token of a request"},
                {LIVE_E2E, "e2e_request_latency_seconds", "From arrival to the answer"},
                {LIVE_QUEUE, "request_queue_time_seconds", "From arrival to the first batch"},
                {LIVE_PREFILL, "request_prefill_time_seconds", "From the first batch to the first token"},
                {LIVE_DECODE, "request_decode_time_seconds", "From the first token to the answer"},
                {LIVE_INFERENCE, "request_inference_time_seconds", "From the first batch to the answer"},
                {LIVE_PROMPT, "request_prompt_tokens", "Prompt tokens of a request"},
                {LIVE_OUTPUT, "request_generation_tokens", "Output tokens of a request"},
                {LIVE_OUTPUT, "request_params_max_tokens", "Most output tokens that a request asks for"},
                {LIVE_OUTPUT, "request_max_num_generation_tokens", "Most output tokens of a request's sequences"}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        histogram(x, rows[i].name, rows[i].help, c, rows[i].which);
}

static void write_singles(const struct exposition *x, const struct live_counts *c)
{
    const struct {
        const char *name, *suffix, *type, *help;
        double value;
    } rows[] = {{"prompt_tokens", "_total", "counter", "Prompt tokens of finished requests", (double)c->prompt_tokens},
                {"generation_tokens", "_total", "counter", "Output tokens", (double)c->output_tokens},
                {"num_preemptions", "_total", "counter", "Preemptions", (double)c->preemptions},
                {"prefix_cache_queries", "_total", "counter", "Prompt tokens that were looked up",
                 (double)c->prompt_tokens},
                {"prefix_cache_hits", "_total", "counter", "Prompt tokens that were found", (double)c->cached_tokens},
                {"num_requests_running", "", "gauge", "Requests that have been in a batch", (double)c->running},
                {"num_requests_waiting", "", "gauge", "Requests that wait for their first batch", (double)c->waiting},
                {"kv_cache_usage_perc", "", "gauge", "Share of all KV blocks in use; 1 is all", c->kv_use},
                {"gpu_cache_usage_perc", "", "gauge", "The same under its name before vLLM 0.10", c->kv_use}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        fprintf(x->out, "# HELP vllm:%s%s %s, simulated.\n# TYPE vllm:%s%s %s\n", rows[i].name, rows[i].suffix,
                rows[i].help, rows[i].name, rows[i].suffix, rows[i].type);
        sample(x, rows[i].name, rows[i].suffix, NULL, NULL, rows[i].value);
    }
    head(x, "request_success_total", "counter", "Requests by why they ended");
    sample(x, "request_success", "_total", "finished_reason", "length", (double)c->finished);
    sample(x, "request_success", "_total", "finished_reason", "stop", 0);
    sample(x, "request_success", "_total", "finished_reason", "abort", (double)(c->rejected + c->lost));
}

char *metrics_text(const struct live_counts *counts, const char *model)
{
    char *text = NULL;
    size_t size;
    struct exposition x = {open_memstream(&text, &size), model};
    if (!x.out)
        return NULL;
    write_histograms(&x, counts);
    write_singles(&x, counts);
    bool failed = ferror(x.out);
    if (fclose(x.out) || failed) {
        free(text);
        return NULL;
    }
    return text;
}

/* SPDX-License-Identifier: MIT */
#include "reports/formats/vllm.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "reports/store/kept_value.h"

struct benchmark {
    char model[80], name[160], started[40];
    double arrived, finished, duration_s;
    cJSON *scenario;
    bool found;
};

static int take_run(void *state, int columns, char **values, struct error *err)
{
    struct benchmark *b = state;
    (void)columns, (void)err;
    b->found = true;
    snprintf(b->model, sizeof b->model, "%s", kept_text(values[0]));
    snprintf(b->name, sizeof b->name, "%s", kept_text(values[1]));
    snprintf(b->started, sizeof b->started, "%s", kept_text(values[2]));
    b->arrived = kept_number(values[3]);
    b->finished = kept_number(values[4]);
    b->duration_s = kept_number(values[5]);
    b->scenario = cJSON_Parse(kept_text(values[6]));
    return 0;
}

static int take_number(void *state, int columns, char **values, struct error *err)
{
    (void)columns, (void)err;
    *(double *)state = kept_number(values[0]);
    return 0;
}

/* Of every request that finished, as a client's benchmark has it. */
static double metric_of_all(struct store *store, int64_t run, const char *name, const char *statistic)
{
    double v = NAN;
    store_read_optional(store, take_number, &v,
                        "SELECT value FROM metric WHERE run_id = ? AND name = ? AND scope = 'all' AND statistic = ?",
                        "iss", run, name, statistic);
    return v;
}

static bool add(cJSON *o, const char *key, double v)
{
    return (isfinite(v) ? cJSON_AddNumberToObject(o, key, v) : cJSON_AddNullToObject(o, key)) != NULL;
}

/* A member at one of the scenario's places; NAN where there is none. */
static double said(const cJSON *object, const char *key)
{
    const cJSON *node = cJSON_GetObjectItemCaseSensitive(object, key);
    return cJSON_IsNumber(node) ? node->valuedouble : NAN;
}

/* "20261128-004527", of "2026-11-28T00:45:27Z". */
static bool add_date(cJSON *o, const char *started)
{
    char digits[40];
    size_t used = 0;
    for (; *started && used + 2 < sizeof digits; started++)
        if (*started >= '0' && *started <= '9')
            digits[used++] = *started;
        else if (*started == 'T' || *started == ' ')
            digits[used++] = '-';
    digits[used] = 0;
    return cJSON_AddStringToObject(o, "date", digits) != NULL;
}

/* How requests came: at a rate, all at once, or from so many clients. */
static bool add_traffic(cJSON *o, const struct benchmark *b)
{
    const cJSON *workload = cJSON_GetObjectItemCaseSensitive(b->scenario, "workload"),
                *arrivals = cJSON_GetObjectItemCaseSensitive(workload, "arrivals"),
                *name = cJSON_IsString(arrivals) ? arrivals : cJSON_GetObjectItemCaseSensitive(arrivals, "name");
    double scale = said(workload, "rate_scale"), rate = said(arrivals, "rate_per_s"), cv = said(arrivals, "cv"),
           clients = said(arrivals, "concurrency");
    const char *process = cJSON_IsString(name) ? name->valuestring : "";
    bool endless = strcmp(process, "closed_loop") == 0 || strcmp(process, "at_once") == 0;
    if (!isfinite(rate))
        rate = b->arrived / b->duration_s;
    else if (isfinite(scale))
        rate *= scale;
    return (endless ? cJSON_AddStringToObject(o, "request_rate", "inf") != NULL : add(o, "request_rate", rate)) &&
           add(o, "burstiness", cv > 0 ? 1 / (cv * cv) : 1) && add(o, "max_concurrency", clients);
}

static bool places(const cJSON *cluster)
{
    const cJSON *placement = cJSON_GetObjectItemCaseSensitive(cluster, "placement"),
                *name = cJSON_IsString(placement) ? placement : cJSON_GetObjectItemCaseSensitive(placement, "name");
    return cJSON_IsString(name) && strcmp(name->valuestring, "colocated") != 0;
}

/* Sizes of one deployment; pools, a placement's too, may differ in theirs, so that they have none. */
static bool add_sizes(cJSON *o, const struct benchmark *b)
{
    static const char *const sizes[][2] = {{"tensor_parallel", "tensor_parallel_size"},
                                           {"pipeline_parallel", "pipeline_parallel_size"},
                                           {"data_parallel", "data_parallel_size"}};
    const cJSON *cluster = cJSON_GetObjectItemCaseSensitive(b->scenario, "cluster");
    bool pools = cJSON_GetObjectItemCaseSensitive(cluster, "pools") || places(cluster), whole = true;
    double product = 1, replicas = said(cluster, "replicas");
    for (size_t i = 0; i < 3 && !pools; i++) {
        double size = said(cluster, sizes[i][0]);
        size = isfinite(size) ? size : 1;
        if (i == 2 && isfinite(replicas)) /* copies behind one address are vLLM's data parallel ranks */
            size *= replicas;
        product *= size;
        whole = whole && add(o, sizes[i][1], size);
    }
    return whole && add(o, "num_gpus", pools ? NAN : product);
}

/* Of all that were measured (numpy's std), where the database has that of a sample. */
static double deviation(struct store *store, int64_t run, const char *metric)
{
    double sd = metric_of_all(store, run, metric, "sd"), n = metric_of_all(store, run, metric, "count");
    return n > 1 ? sd * sqrt((n - 1) / n) : sd;
}

static bool add_latencies(cJSON *o, struct store *store, int64_t run)
{
    static const struct {
        const char *metric, *name;
    } latencies[] = {{"ttft_s", "ttft"}, {"tpot_s", "tpot"}, {"itl_s", "itl"}, {"e2e_s", "e2el"}};
    static const struct {
        const char *statistic, *prefix;
    } statistics[] = {{"mean", "mean"}, {"p50", "median"}, {"sd", "std"},  {"p50", "p50"},
                      {"p90", "p90"},   {"p95", "p95"},    {"p99", "p99"}, {"p99.9", "p99.9"}};
    enum { DEVIATION = 2 };
    bool whole = true;
    for (size_t i = 0; i < sizeof latencies / sizeof *latencies; i++)
        for (size_t s = 0; s < sizeof statistics / sizeof *statistics; s++) {
            char key[40];
            snprintf(key, sizeof key, "%s_%s_ms", statistics[s].prefix, latencies[i].name);
            double v = s == DEVIATION ? deviation(store, run, latencies[i].metric)
                                      : metric_of_all(store, run, latencies[i].metric, statistics[s].statistic);
            whole = add(o, key, 1e3 * v) && whole;
        }
    return whole;
}

static bool add_all(cJSON *o, const struct benchmark *b, struct store *store, int64_t run)
{
    double input = metric_of_all(store, run, "prompt_tokens", "sum"),
           output = metric_of_all(store, run, "output_tokens", "sum"), most = NAN;
    store_read_optional(
        store, take_number, &most,
        "SELECT max(n) FROM (SELECT sum(d) OVER (ORDER BY at, d) AS n FROM (SELECT arrival_s AS at, 1 AS "
        "d FROM request WHERE run_id = ? UNION ALL SELECT arrival_s + e2e_s, -1 FROM request WHERE "
        "run_id = ?))",
        "ii", run, run);
    return add_date(o, b->started) && cJSON_AddStringToObject(o, "backend", "tandem") &&
           cJSON_AddStringToObject(o, "endpoint_type", "tandem") && cJSON_AddStringToObject(o, "label", b->name) &&
           cJSON_AddStringToObject(o, "model_id", b->model) && cJSON_AddStringToObject(o, "tokenizer_id", b->model) &&
           add(o, "num_prompts", b->arrived) && add_traffic(o, b) && add_sizes(o, b) &&
           add(o, "duration", b->duration_s) && add(o, "completed", b->finished) &&
           add(o, "failed", b->arrived - b->finished) && add(o, "total_input_tokens", input) &&
           add(o, "total_output_tokens", output) && add(o, "request_throughput", b->finished / b->duration_s) &&
           add(o, "request_goodput", metric_of_all(store, run, "goodput_per_s", "value")) &&
           add(o, "output_throughput", output / b->duration_s) &&
           add(o, "total_token_throughput", (input + output) / b->duration_s) &&
           add(o, "max_concurrent_requests", most) && add_latencies(o, store, run);
}

static const char *const arrays[] = {"input_lens", "output_lens", "ttfts", "start_times", "e2els"};
enum { ARRAYS = sizeof arrays / sizeof *arrays };

struct details {
    cJSON *array[ARRAYS];
    bool whole;
};

static int take_details(void *state, int columns, char **values, struct error *err)
{
    struct details *d = state;
    (void)columns, (void)err;
    for (int i = 0; i < ARRAYS && d->whole; i++) {
        cJSON *number = cJSON_CreateNumber(kept_number(values[i]));
        d->whole = number && cJSON_AddItemToArray(d->array[i], number);
    }
    return d->whole ? 0 : error_no_memory(err);
}

static int add_details(cJSON *o, struct store *store, int64_t run, double finished, struct error *err)
{
    struct details d = {.whole = true};
    for (int i = 0; i < ARRAYS && d.whole; i++)
        d.whole = (d.array[i] = cJSON_AddArrayToObject(o, arrays[i])) != NULL;
    if (!d.whole)
        return error_no_memory(err);
    if (store_read(store, take_details, &d, err,
                   "SELECT prompt_tokens, output_tokens, ttft_s, arrival_s, e2e_s FROM request WHERE run_id = ? ORDER "
                   "BY id",
                   "i", run))
        return -1;
    int kept = cJSON_GetArraySize(d.array[0]);
    return kept == finished ? 0
                            : error_set(err, ERROR_INPUT,
                                        "--format vllm-detailed: run %lld has kept %d of its %.0f finished requests, "
                                        "expected all (output.requests true)",
                                        (long long)run, kept, finished);
}

static int write_benchmark(struct store *store, int64_t run, bool detailed, FILE *out, struct error *err)
{
    struct benchmark b = {.found = false};
    if (store_read(store, take_run, &b, err,
                   "SELECT model, name, started_at, arrived, finished, simulated_s, scenario FROM run WHERE id = ?",
                   "i", run))
        return -1;
    if (!b.found)
        return error_set(err, ERROR_INPUT, "there is no run %lld", (long long)run);
    cJSON *o = cJSON_CreateObject();
    int status = o && add_all(o, &b, store, run) ? 0 : error_no_memory(err);
    if (status == 0 && detailed)
        status = add_details(o, store, run, b.finished, err);
    char *text = status == 0 ? (detailed ? cJSON_PrintUnformatted(o) : cJSON_Print(o)) : NULL;
    if (status == 0 && !text)
        status = error_no_memory(err);
    if (status == 0)
        fprintf(out, "%s\n", text);
    free(text);
    cJSON_Delete(o);
    cJSON_Delete(b.scenario);
    return status ? -1 : store_check(store, err);
}

int vllm_write(struct store *store, int64_t run, FILE *out, struct error *err)
{
    return write_benchmark(store, run, false, out, err);
}

int vllm_write_detailed(struct store *store, int64_t run, FILE *out, struct error *err)
{
    return write_benchmark(store, run, true, out, err);
}

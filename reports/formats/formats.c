/* SPDX-License-Identifier: MIT */
#include "reports/formats/formats.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/printable.h"
#include "reports/formats/openmetrics.h"
#include "reports/formats/perfetto.h"
#include "reports/formats/vllm.h"
#include "reports/stats/metrics.h"
#include "reports/store/kept_value.h"

/* What of a run every format wants: its row, and single statistics by name. */
struct kept {
    char model[80], name[160], started[40];
    double arrived, finished, duration_s;
    bool found;
};

static int take_run(void *state, int columns, char **values, struct error *err)
{
    struct kept *k = state;
    (void)columns, (void)err;
    k->found = true;
    snprintf(k->model, sizeof k->model, "%s", kept_text(values[0]));
    snprintf(k->name, sizeof k->name, "%s", kept_text(values[1]));
    snprintf(k->started, sizeof k->started, "%s", kept_text(values[2]));
    k->arrived = kept_number(values[3]);
    k->finished = kept_number(values[4]);
    k->duration_s = kept_number(values[5]);
    return 0;
}

static int read_kept(struct store *store, int64_t run, struct kept *out, struct error *err)
{
    *out = (struct kept){0};
    if (store_read(store, take_run, out, err,
                   "SELECT model, name, started_at, arrived, finished, simulated_s FROM run WHERE id = ?", "i", run))
        return -1;
    return out->found ? 0 : error_set(err, ERROR_INPUT, "there is no run %lld", (long long)run);
}

static int take_number(void *state, int columns, char **values, struct error *err)
{
    (void)columns, (void)err;
    *(double *)state = kept_number(values[0]);
    return 0;
}

static double scoped_metric(struct store *store, int64_t run, const char *name, const char *scope,
                            const char *statistic)
{
    double v = NAN;
    store_read_optional(store, take_number, &v,
                        "SELECT value FROM metric WHERE run_id = ? AND name = ? AND scope = ? AND statistic = ?",
                        "isss", run, name, scope, statistic);
    return v;
}

/* After the warm-up's cut. */
static double metric_of(struct store *store, int64_t run, const char *name, const char *statistic)
{
    return scoped_metric(store, run, name, "run", statistic);
}

/* Of every request that finished, as a server's own counters and a client's benchmark have it. */
static double metric_of_all(struct store *store, int64_t run, const char *name, const char *statistic)
{
    return scoped_metric(store, run, name, "all", statistic);
}

/* Label values escape backslashes, quotes and line ends. */
static void label_text(FILE *out, const char *text)
{
    for (; *text; text++)
        if (*text == '\n')
            fputs("\\n", out);
        else {
            if (*text == '"' || *text == '\\')
                fputc('\\', out);
            fputc(*text, out);
        }
}

struct exposition {
    FILE *out;
    const char *model, *name;
    const double *bounds; /* ends with 0 */
    const char *reason;   /* why requests ended; NULL: not said */
    double below;         /* counted so far */
    size_t next;
};

static void sample(const struct exposition *x, const char *suffix, const char *le, double v)
{
    fprintf(x->out, "vllm:%s%s{engine=\"0\",model_name=\"", x->name, suffix);
    label_text(x->out, PRINTABLE(x->model));
    fputc('"', x->out);
    if (x->reason)
        fprintf(x->out, ",finished_reason=\"%s\"", x->reason);
    if (le)
        fprintf(x->out, ",le=\"%s\"", le);
    fprintf(x->out, "} %.17g\n", v);
}

static void close_buckets(struct exposition *x, double up_to)
{
    for (; x->bounds[x->next] > 0 && x->bounds[x->next] < up_to; x->next++) {
        char le[32];
        openmetrics_bound(x->bounds[x->next], le, sizeof le);
        sample(x, "_bucket", le, x->below);
    }
}

static int take_bucket(void *state, int columns, char **values, struct error *err)
{
    struct exposition *x = state;
    (void)columns, (void)err;
    double at = kept_number(values[0]), count = kept_number(values[1]);
    if (!isfinite(at) || !(count > 0))
        return 0;
    close_buckets(x, at);
    x->below += count;
    return 0;
}

static int expose_histogram(struct store *store, int64_t run, struct exposition *x, const char *metric,
                            const char *help, struct error *err)
{
    x->below = 0;
    x->next = 0;
    fprintf(x->out, "# HELP vllm:%s %s\n# TYPE vllm:%s histogram\n", x->name, help, x->name);
    if (store_read(
            store, take_bucket, x, err,
            "SELECT value_s, count FROM histogram WHERE run_id = ? AND name = ? AND scope = 'run' ORDER BY value_s",
            "is", run, metric))
        return -1;
    close_buckets(x, INFINITY);
    sample(x, "_bucket", "+Inf", x->below);
    sample(x, "_sum", NULL, x->below > 0 ? metric_of_all(store, run, metric, "sum") : 0);
    sample(x, "_count", NULL, x->below);
    return 0;
}

/* Histograms of which only sum and count are kept: parts of latencies, and tokens. */
static void expose_sums(struct store *store, int64_t run, struct exposition *x, double finished)
{
    double ttft = metric_of_all(store, run, "ttft_s", "sum"), e2e = metric_of_all(store, run, "e2e_s", "sum"),
           queue = metric_of_all(store, run, "queue_s", "sum"),
           output = metric_of_all(store, run, "output_tokens", "sum");
    const struct {
        const char *name, *help;
        double sum;
    } rows[] = {{"request_prefill_time_seconds", "From the first batch to the first token, simulated.", ttft - queue},
                {"request_decode_time_seconds", "From the first token to the answer, simulated.", e2e - ttft},
                {"request_inference_time_seconds", "From the first batch to the answer, simulated.", e2e - queue},
                {"request_prompt_tokens", "Prompt tokens of requests.",
                 metric_of_all(store, run, "prompt_tokens", "sum")},
                {"request_generation_tokens", "Output tokens of requests.", output},
                {"request_max_num_generation_tokens", "Most output tokens of a request's sequences.", output}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        if (!isfinite(rows[i].sum))
            continue;
        x->name = rows[i].name;
        fprintf(x->out, "# HELP vllm:%s %s\n# TYPE vllm:%s histogram\n", x->name, rows[i].help, x->name);
        sample(x, "_bucket", "+Inf", finished);
        sample(x, "_sum", NULL, rows[i].sum);
        sample(x, "_count", NULL, finished);
    }
}

static int write_prometheus(struct store *store, int64_t run, FILE *out, struct error *err)
{
    static const struct {
        const char *name, *metric, *help;
        const double *bounds;
    } histograms[] = {{"time_to_first_token_seconds", "ttft_s", "Time to first token, simulated.",
                       openmetrics_token_times},
                      {"inter_token_latency_seconds", "itl_s", "Gaps between output tokens, simulated.",
                       openmetrics_gaps},
                      {"request_time_per_output_token_seconds", "tpot_s",
                       "Time per output token of a request, simulated.", openmetrics_gaps},
                      {"e2e_request_latency_seconds", "e2e_s", "From arrival to the last token, simulated.",
                       openmetrics_request_times},
                      {"request_queue_time_seconds", "queue_s", "From arrival to the first batch, simulated.",
                       openmetrics_request_times}};
    struct kept k;
    if (read_kept(store, run, &k, err))
        return -1;
    struct exposition x = {.out = out, .model = k.model};
    for (size_t i = 0; i < sizeof histograms / sizeof *histograms; i++) {
        x.name = histograms[i].name;
        x.bounds = histograms[i].bounds;
        if (expose_histogram(store, run, &x, histograms[i].metric, histograms[i].help, err))
            return -1;
    }
    double preemptions = metric_of(store, run, "preemptions", "value"), running = NAN, waiting = NAN;
    store_read_optional(store, take_number, &waiting, "SELECT l FROM station WHERE run_id = ? AND station = 'queue'",
                        "i", run);
    store_read_optional(store, take_number, &running, "SELECT l FROM station WHERE run_id = ? AND station = 'system'",
                        "i", run);
    expose_sums(store, run, &x, k.finished);
    fprintf(out, "# HELP vllm:request_success_total Finished requests.\n# TYPE vllm:request_success_total counter\n");
    x.name = "request_success_total";
    x.reason = "stop";
    sample(&x, "", NULL, k.finished);
    x.reason = "abort";
    sample(&x, "", NULL, k.arrived - k.finished);
    x.reason = NULL;
    const struct {
        const char *name, *type, *help;
        double value;
    } singles[] = {{"prompt_tokens_total", "counter", "Prompt tokens of finished requests.",
                    metric_of_all(store, run, "prompt_tokens", "sum")},
                   {"generation_tokens_total", "counter", "Output tokens of finished requests.",
                    metric_of_all(store, run, "output_tokens", "sum")},
                   {"num_preemptions_total", "counter", "Preemptions.", preemptions},
                   {"num_requests_running", "gauge", "Requests in batches, mean over the run.", running - waiting},
                   {"num_requests_waiting", "gauge", "Requests that wait, mean over the run.", waiting},
                   {"kv_cache_usage_perc", "gauge",
                    "Share of all replicas' KV blocks in use, mean over the whole run; 1 is all.",
                    metric_of(store, run, "kv_use_mean", "value")}};
    for (size_t i = 0; i < sizeof singles / sizeof *singles; i++) {
        if (!isfinite(singles[i].value))
            continue;
        x.name = singles[i].name;
        fprintf(out, "# HELP vllm:%s %s\n# TYPE vllm:%s %s\n", x.name, singles[i].help, x.name, singles[i].type);
        sample(&x, "", NULL, singles[i].value);
    }
    return store_check(store, err);
}

/* Text in Markdown, where nothing of it is markup, HTML or a link. */
static void markdown_text(FILE *out, const char *text)
{
    for (const char *c = PRINTABLE(text); *c; c++) {
        if (*c == '<' || *c == '>' || *c == '&')
            fputs(*c == '<' ? "&lt;" : *c == '>' ? "&gt;" : "&amp;", out);
        else if (*c == ':' && c[1] == '/') /* else a bare address becomes a link */
            fputs("&#58;", out);
        else
            fprintf(out, strchr("\\`*_{}[]()#|~!$", *c) ? "\\%c" : "%c", *c);
    }
}

static int write_markdown(struct store *store, int64_t run, FILE *out, struct error *err)
{
    static const char *const statistics[] = {"mean", "p50", "p90", "p99", "p99.9", "max"};
    static const char *const titles[METRIC_COUNT] = {"queue", "TTFT", "TPOT", "ITL", "E2E", "E2E per token"};
    static const char *const singles[] = {"requests_per_s", "goodput_per_s",  "output_tokens_per_s",
                                          "slo_attainment", "unserved_share", "load",
                                          "busy",           "kv_use_mean",    "mfu"};
    struct kept k;
    if (read_kept(store, run, &k, err))
        return -1;
    fprintf(out, "## %s", metric_of(store, run, "overloaded", "value") > 0 ? "OVERLOADED: " : "");
    markdown_text(out, k.name);
    fputs("\n\n", out);
    markdown_text(out, k.model);
    fprintf(out, ", %.0f of %.0f requests served, %.1f simulated seconds; %.0f cut as warm-up\n\n| seconds |",
            k.finished, k.arrived, k.duration_s, metric_of(store, run, "warmup_requests", "value"));
    for (size_t s = 0; s < sizeof statistics / sizeof *statistics; s++)
        fprintf(out, " %s |", statistics[s]);
    fputs("\n| --- | ---: | ---: | ---: | ---: | ---: | ---: |\n", out);
    for (int m = 0; m < METRIC_COUNT; m++) {
        fprintf(out, "| %s |", titles[m]);
        for (size_t s = 0; s < sizeof statistics / sizeof *statistics; s++) {
            double v = metric_of(store, run, metric_names[m], statistics[s]);
            fprintf(out, isfinite(v) ? " %.4g |" : " – |", v);
        }
        fputc('\n', out);
    }
    fputs("\n| | |\n| --- | ---: |\n", out);
    for (size_t i = 0; i < sizeof singles / sizeof *singles; i++) {
        double v = metric_of(store, run, singles[i], "value");
        if (isfinite(v))
            fprintf(out, "| %s | %.4g |\n", singles[i], v);
    }
    return store_check(store, err);
}

enum { METRIC_COLUMNS = 8, NUMBERS_FROM = 4, NUMBERS_TO = 6 };

static const char *const metric_columns[METRIC_COLUMNS] = {"run_id", "name",   "scope",   "statistic",
                                                           "value",  "ci_low", "ci_high", "unit"};

struct rows {
    FILE *out;
    long count;
};

static bool is_number_column(int column)
{
    return column == 0 || (column >= NUMBERS_FROM && column <= NUMBERS_TO);
}

/* What is in a column of numbers and is none is absent. */
static const char *cell_text(int column, const char *value)
{
    return is_number_column(column) ? kept_json_number(value) : value;
}

static int write_json_row(void *state, int columns, char **values, struct error *err)
{
    struct rows *r = state;
    cJSON *row = cJSON_CreateObject();
    bool whole = row != NULL;
    for (int i = 0; i < columns && whole; i++) {
        const char *text = cell_text(i, values[i]);
        whole = (!text                 ? cJSON_AddNullToObject(row, metric_columns[i])
                 : is_number_column(i) ? cJSON_AddRawToObject(row, metric_columns[i], text)
                                       : cJSON_AddStringToObject(row, metric_columns[i], text)) != NULL;
    }
    char *text = whole ? cJSON_PrintUnformatted(row) : NULL;
    cJSON_Delete(row);
    if (!text)
        return error_no_memory(err);
    fprintf(r->out, "%s\n    %s", r->count++ ? "," : "[", text);
    free(text);
    return 0;
}

static int write_csv_row(void *state, int columns, char **values, struct error *err)
{
    struct rows *r = state;
    (void)err;
    if (r->count++ == 0)
        fputs("run_id,name,scope,statistic,value,ci_low,ci_high,unit\n", r->out);
    for (int i = 0; i < columns; i++) {
        const char *text = kept_text(cell_text(i, values[i]));
        if (is_number_column(i))
            fputs(text, r->out);
        else
            printable_csv(r->out, text);
        fputs(i + 1 < columns ? "," : "\n", r->out);
    }
    return 0;
}

static int write_text_row(void *state, int columns, char **values, struct error *err)
{
    struct rows *r = state;
    (void)columns, (void)err;
    r->count++;
    double value = kept_number(values[4]);
    fprintf(r->out, "%-34s %-16s %-6s ", PRINTABLE(kept_text(values[1])), PRINTABLE(kept_text(values[2])),
            PRINTABLE(kept_text(values[3])));
    if (isfinite(value))
        fprintf(r->out, "%14.6g %s\n", value, PRINTABLE(kept_text(values[7])));
    else
        fprintf(r->out, "%14s\n", "-");
    return 0;
}

static int write_rows(struct store *store, int64_t run, FILE *out,
                      int (*row)(void *state, int columns, char **values, struct error *err), long *count,
                      struct error *err)
{
    struct rows r = {.out = out};
    int status = store_read(store, row, &r, err,
                            "SELECT run_id, name, scope, statistic, value, ci_low, ci_high, unit FROM metric WHERE "
                            "run_id = ?",
                            "i", run);
    *count = r.count;
    return status ? -1 : r.count == 0 ? error_set(err, ERROR_INPUT, "there is no run %lld", (long long)run) : 0;
}

static int write_json(struct store *store, int64_t run, FILE *out, struct error *err)
{
    long count;
    int status = write_rows(store, run, out, write_json_row, &count, err);
    if (count > 0)
        fputs("\n]\n", out);
    return status;
}

static int write_csv(struct store *store, int64_t run, FILE *out, struct error *err)
{
    long count;
    return write_rows(store, run, out, write_csv_row, &count, err);
}

static int write_text(struct store *store, int64_t run, FILE *out, struct error *err)
{
    long count;
    return write_rows(store, run, out, write_text_row, &count, err);
}

run_format run_format_find(const char *name)
{
    static const struct {
        const char *name;
        run_format write;
    } formats[] = {{"text", write_text},
                   {"csv", write_csv},
                   {"json", write_json},
                   {"markdown", write_markdown},
                   {"perfetto", perfetto_write},
                   {"prometheus", write_prometheus},
                   {"openmetrics", openmetrics_write},
                   {"vllm", vllm_write},
                   {"vllm-detailed", vllm_write_detailed}};
    for (size_t i = 0; i < sizeof formats / sizeof *formats; i++)
        if (strcmp(name, formats[i].name) == 0)
            return formats[i].write;
    return NULL;
}

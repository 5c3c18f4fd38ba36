/* SPDX-License-Identifier: MIT */
#include "reports/formats/openmetrics.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/date_time.h"
#include "base/printable.h"
#include "reports/store/kept_value.h"

const double openmetrics_token_times[] = {0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5,  0.75, 1,
                                          2.5,   5,     7.5,  10,   20,   40,   80,   160, 640,  2560, 0};
const double openmetrics_gaps[] = {0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5,
                                   0.75, 1,     2.5,  5,     7.5, 10,   20,  40,  80,  0};
const double openmetrics_request_times[] = {0.3, 0.5, 0.8, 1,  1.5, 2,   2.5, 5,   10,   15,   20,
                                            30,  40,  50,  60, 120, 240, 480, 960, 1920, 7680, 0};
const double openmetrics_tokens[] = {1,    2,    5,     10,    20,    50,     100,    200,    500, 1000,
                                     2000, 5000, 10000, 20000, 50000, 100000, 200000, 500000, 0};

enum { STEP_S = 15, POINTS_LEAST = 240, POINTS_MOST = 4000 };

struct served {
    double arrival, scheduled, first, end; /* instants in seconds */
    double prompt, output, cached;
};

struct recorded {
    FILE *out;
    char model[80];
    double finished, unserved, duration_s, end_s; /* end_s: of the simulated time, seconds since 1970 */
    double preemptions, kv_use;
    bool found;
    struct served *requests;
    size_t count, capacity;
    double step_s;
    size_t points;
};

static int take_run(void *state, int columns, char **values, struct error *err)
{
    struct recorded *r = state;
    struct date_time started;
    (void)columns, (void)err;
    r->found = true;
    snprintf(r->model, sizeof r->model, "%s", kept_text(values[0]));
    if (!date_time_read(kept_text(values[1]), &started))
        r->end_s = (double)started.ns * 1e-9;
    r->finished = kept_number(values[2]);
    r->unserved = kept_number(values[3]) - r->finished;
    r->duration_s = kept_number(values[4]);
    return 0;
}

static int take_request(void *state, int columns, char **values, struct error *err)
{
    struct recorded *r = state;
    double v[7];
    (void)columns;
    for (int i = 0; i < 7; i++)
        if (!isfinite(v[i] = kept_number(values[i])))
            return 0;
    struct served *grown = array_grow(r->requests, &r->capacity, r->count + 1, sizeof *grown);
    if (!grown)
        return error_no_memory(err);
    r->requests = grown;
    r->requests[r->count++] = (struct served){v[0], v[0] + v[1], v[0] + v[2], v[0] + v[3], v[4], v[5], v[6]};
    return 0;
}

static int take_number(void *state, int columns, char **values, struct error *err)
{
    (void)columns, (void)err;
    *(double *)state = kept_number(values[0]);
    return 0;
}

static int read_recorded(struct store *store, int64_t run, struct recorded *r, struct error *err)
{
    static const char metric[] =
        "SELECT value FROM metric WHERE run_id = ? AND name = ? AND scope = 'run' AND statistic = 'value'";
    r->preemptions = r->kv_use = NAN;
    if (store_read(store, take_run, r, err,
                   "SELECT model, started_at, finished, arrived, simulated_s FROM run WHERE id = ?", "i", run))
        return -1;
    if (!r->found)
        return error_set(err, ERROR_INPUT, "there is no run %lld", (long long)run);
    if (store_read(store, take_request, r, err,
                   "SELECT arrival_s, queue_s, ttft_s, e2e_s, prompt_tokens, output_tokens, cached_tokens FROM request "
                   "WHERE run_id = ?",
                   "i", run))
        return -1;
    store_read_optional(store, take_number, &r->preemptions, metric, "is", run, "preemptions");
    store_read_optional(store, take_number, &r->kv_use, metric, "is", run, "kv_use_mean");
    if (!isfinite(r->duration_s) || r->duration_s <= 0 || r->count == 0 || (double)r->count != r->finished)
        return error_set(err, ERROR_INPUT,
                         "--format openmetrics: run %lld has kept %zu of its %.0f finished requests, expected all "
                         "(output.requests true); --format prometheus has its end alone",
                         (long long)run, r->count, r->finished);
    r->points = (size_t)fmin(fmax(ceil(r->duration_s / STEP_S), POINTS_LEAST), POINTS_MOST);
    r->step_s = r->duration_s / (double)r->points;
    return store_check(store, err);
}

void openmetrics_bound(double bound, char *out, size_t size)
{
    snprintf(out, size, bound == floor(bound) ? "%.1f" : "%g", bound);
}

/* One sample at a point of time; `labels` begins with a comma where there are any. */
static void sample(const struct recorded *r, const char *name, const char *suffix, const char *labels, double value,
                   size_t point)
{
    fprintf(r->out, "vllm:%s%s{engine=\"0\",model_name=\"", name, suffix);
    for (const char *c = PRINTABLE(r->model); *c; c++)
        fprintf(r->out, *c == '"' || *c == '\\' ? "\\%c" : "%c", *c);
    fprintf(r->out, "\"%s} %.17g %.3f\n", labels, value, r->end_s - r->duration_s + (double)point * r->step_s);
}

static void head(const struct recorded *r, const char *name, const char *type, const char *help)
{
    fprintf(r->out, "# HELP vllm:%s %s\n# TYPE vllm:%s %s\n", name, help, name, type);
}

enum observed { TTFT, TPOT, E2E, QUEUE, PREFILL, DECODE, INFERENCE, PROMPT, OUTPUT, CACHED };

/* What is observed of a request; NAN: nothing. */
static double value_of(const struct served *q, enum observed what)
{
    switch (what) {
    case TTFT:
        return q->first - q->arrival;
    case TPOT:
        return q->output > 1 ? (q->end - q->first) / (q->output - 1) : NAN;
    case E2E:
        return q->end - q->arrival;
    case QUEUE:
        return q->scheduled - q->arrival;
    case PREFILL:
        return q->first - q->scheduled;
    case DECODE:
        return q->end - q->first;
    case INFERENCE:
        return q->end - q->scheduled;
    case PROMPT:
        return q->prompt;
    case OUTPUT:
        return q->output;
    case CACHED:
        break;
    }
    return q->cached;
}

struct event {
    double at, value;
};

static int by_time(const void *a, const void *b)
{
    double x = ((const struct event *)a)->at, y = ((const struct event *)b)->at;
    return (x > y) - (x < y);
}

/* Observations in order of time: as the first token comes, or as the request ends. */
static struct event *events_of(const struct recorded *r, enum observed what, bool at_first, size_t *count)
{
    struct event *events = malloc((r->count + 1) * sizeof *events);
    *count = 0;
    for (size_t i = 0; events && i < r->count; i++) {
        const struct served *q = &r->requests[i];
        double value = value_of(q, what);
        if (isfinite(value))
            events[(*count)++] = (struct event){at_first ? q->first : q->end, value};
    }
    if (events)
        qsort(events, *count, sizeof *events, by_time);
    return events;
}

/* Whether it has happened by a point of time. The last is a step's rounding short of the end. */
static bool has_come(const struct recorded *r, double at, size_t point)
{
    return point == r->points || at <= (double)point * r->step_s;
}

static void buckets(const struct recorded *r, const char *name, const double *bounds, const double *counts,
                    double total, double sum, size_t point)
{
    char labels[48], le[32];
    double below = 0;
    for (size_t b = 0; bounds[b] > 0; b++) {
        below += counts[b];
        openmetrics_bound(bounds[b], le, sizeof le);
        snprintf(labels, sizeof labels, ",le=\"%s\"", le);
        sample(r, name, "_bucket", labels, below, point);
    }
    sample(r, name, "_bucket", ",le=\"+Inf\"", total, point);
    sample(r, name, "_sum", "", sum, point);
    sample(r, name, "_count", "", total, point);
}

static int histogram(const struct recorded *r, const char *name, const char *help, const double *bounds,
                     enum observed what, bool at_first, struct error *err)
{
    double counts[32] = {0}, sum = 0;
    size_t count, next = 0;
    struct event *events = events_of(r, what, at_first, &count);
    if (!events)
        return error_no_memory(err);
    head(r, name, "histogram", help);
    for (size_t point = 0; point <= r->points; point++) {
        for (; next < count && has_come(r, events[next].at, point); next++) {
            size_t b = 0;
            while (bounds[b] > 0 && events[next].value > bounds[b])
                b++;
            counts[b]++;
            sum += events[next].value;
        }
        buckets(r, name, bounds, counts, (double)next, sum, point);
    }
    free(events);
    return 0;
}

static int counter(const struct recorded *r, const char *name, const char *help, enum observed what, bool at_first,
                   struct error *err)
{
    double sum = 0;
    size_t count, next = 0;
    struct event *events = events_of(r, what, at_first, &count);
    if (!events)
        return error_no_memory(err);
    head(r, name, "counter", help);
    for (size_t point = 0; point <= r->points; point++) {
        for (; next < count && has_come(r, events[next].at, point); next++)
            sum += events[next].value;
        sample(r, name, "_total", "", sum, point);
    }
    free(events);
    return 0;
}

/* The instants of all requests, in order. */
static double *instants(const struct recorded *r, size_t offset)
{
    struct event *events = malloc((r->count + 1) * sizeof *events);
    double *out = malloc((r->count + 1) * sizeof *out);
    for (size_t i = 0; events && i < r->count; i++)
        memcpy(&events[i].at, (const char *)&r->requests[i] + offset, sizeof events[i].at);
    if (events && out) {
        qsort(events, r->count, sizeof *events, by_time);
        for (size_t i = 0; i < r->count; i++)
            out[i] = events[i].at;
    }
    if (!events) {
        free(out);
        out = NULL;
    }
    free(events);
    return out;
}

/* How many requests have passed `from` but not `to`. */
static int gauge(const struct recorded *r, const char *name, const char *help, size_t from, size_t to,
                 struct error *err)
{
    double *in = instants(r, from), *out = instants(r, to);
    size_t came = 0, went = 0;
    if (in && out)
        head(r, name, "gauge", help);
    for (size_t point = 0; in && out && point <= r->points; point++) {
        while (came < r->count && has_come(r, in[came], point))
            came++;
        while (went < r->count && has_come(r, out[went], point))
            went++;
        sample(r, name, "", "", (double)(came - went), point);
    }
    int status = in && out ? 0 : error_no_memory(err);
    free(in);
    free(out);
    return status;
}

/* What only the whole run knows rises with the output tokens of requests that have ended. */
static int scaled(const struct recorded *r, double **share, struct error *err)
{
    size_t count, next = 0;
    double sum = 0, all = 0;
    struct event *events = events_of(r, OUTPUT, false, &count);
    *share = malloc((r->points + 1) * sizeof **share);
    if (!events || !*share) {
        free(events);
        return error_no_memory(err);
    }
    for (size_t i = 0; i < count; i++)
        all += events[i].value;
    for (size_t point = 0; point <= r->points; point++) {
        for (; next < count && has_come(r, events[next].at, point); next++)
            sum += events[next].value;
        (*share)[point] = all > 0 ? sum / all : 0;
    }
    free(events);
    return 0;
}

struct gaps {
    double counts[32], total;
};

static int take_gap(void *state, int columns, char **values, struct error *err)
{
    struct gaps *g = state;
    double at = kept_number(values[0]), count = kept_number(values[1]);
    size_t b = 0;
    (void)columns, (void)err;
    if (!isfinite(at) || !(count > 0))
        return 0;
    while (openmetrics_gaps[b] > 0 && at > openmetrics_gaps[b])
        b++;
    g->counts[b] += count;
    g->total += count;
    return 0;
}

static void write_gaps(const struct recorded *r, const char *name, const struct gaps *gaps, double sum,
                       const double *share)
{
    head(r, name, "histogram", "Gaps between output tokens, simulated: the run's, spread as its output tokens are.");
    for (size_t point = 0; point <= r->points; point++) {
        double counts[32], total = 0;
        for (size_t b = 0; b < 32; b++)
            total += counts[b] = floor(gaps->counts[b] * share[point]);
        buckets(r, name, openmetrics_gaps, counts, total, isfinite(sum) ? sum * share[point] : 0, point);
    }
}

static int write_scaled(struct store *store, int64_t run, const struct recorded *r, struct error *err)
{
    struct gaps gaps = {.total = 0};
    double *share, sum = NAN;
    if (store_read(store, take_gap, &gaps, err,
                   "SELECT value_s, count FROM histogram WHERE run_id = ? AND name = 'itl_s' AND scope = 'run'", "i",
                   run) ||
        scaled(r, &share, err))
        return -1;
    store_read_optional(store, take_number, &sum,
                        "SELECT value FROM metric WHERE run_id = ? AND name = 'itl_s' AND scope = 'all' AND statistic "
                        "= 'sum'",
                        "i", run);
    write_gaps(r, "inter_token_latency_seconds", &gaps, sum, share);
    write_gaps(r, "time_per_output_token_seconds", &gaps, sum, share); /* its name before vLLM 0.11 */
    if (isfinite(r->preemptions)) {
        head(r, "num_preemptions", "counter", "Preemptions: the run's, spread as its output tokens are.");
        for (size_t point = 0; point <= r->points; point++)
            sample(r, "num_preemptions", "_total", "", floor(r->preemptions * share[point]), point);
    }
    free(share);
    return 0;
}

/* Why requests ended: all of those that were served have had all their tokens. */
static int write_reasons(const struct recorded *r, struct error *err)
{
    double *ends = instants(r, offsetof(struct served, end));
    size_t ended = 0;
    if (!ends)
        return error_no_memory(err);
    head(r, "request_success", "counter", "Finished requests.");
    for (size_t point = 0; point <= r->points; point++) {
        while (ended < r->count && has_come(r, ends[ended], point))
            ended++;
        sample(r, "request_success", "_total", ",finished_reason=\"stop\"", (double)ended, point);
        sample(r, "request_success", "_total", ",finished_reason=\"length\"", 0, point);
        sample(r, "request_success", "_total", ",finished_reason=\"abort\"",
               point == r->points && r->unserved > 0 ? r->unserved : 0, point);
    }
    free(ends);
    return 0;
}

static int write_histograms(const struct recorded *r, struct error *err)
{
    static const struct {
        const char *name, *help;
        const double *bounds;
        enum observed what;
        bool at_first;
    } rows[] = {{"time_to_first_token_seconds", "Time to first token, simulated.", openmetrics_token_times, TTFT, true},
                {"request_time_per_output_token_seconds", "Time per output token of a request, simulated.",
                 openmetrics_gaps, TPOT, false},
                {"e2e_request_latency_seconds", "From arrival to the answer, simulated.", openmetrics_request_times,
                 E2E, false},
                {"request_queue_time_seconds", "From arrival to the first batch, simulated.", openmetrics_request_times,
                 QUEUE, false},
                {"request_prefill_time_seconds", "From the first batch to the first token, simulated.",
                 openmetrics_request_times, PREFILL, false},
                {"request_decode_time_seconds", "From the first token to the answer, simulated.",
                 openmetrics_request_times, DECODE, false},
                {"request_inference_time_seconds", "From the first batch to the answer, simulated.",
                 openmetrics_request_times, INFERENCE, false},
                {"request_prompt_tokens", "Prompt tokens of a request.", openmetrics_tokens, PROMPT, false},
                {"request_generation_tokens", "Output tokens of a request.", openmetrics_tokens, OUTPUT, false},
                {"request_max_num_generation_tokens", "Most output tokens of a request's sequences.",
                 openmetrics_tokens, OUTPUT, false}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (histogram(r, rows[i].name, rows[i].help, rows[i].bounds, rows[i].what, rows[i].at_first, err))
            return -1;
    return 0;
}

static int write_all(struct store *store, int64_t run, const struct recorded *r, struct error *err)
{
    static const char *const kv_names[] = {"kv_cache_usage_perc", "gpu_cache_usage_perc"}; /* now, and before 0.10 */
    if (write_histograms(r, err) || write_scaled(store, run, r, err) || write_reasons(r, err) ||
        counter(r, "prompt_tokens", "Prompt tokens of requests that have their first token.", PROMPT, true, err) ||
        counter(r, "generation_tokens", "Output tokens of finished requests.", OUTPUT, false, err) ||
        counter(r, "prefix_cache_queries", "Prompt tokens that were looked up.", PROMPT, true, err) ||
        counter(r, "prefix_cache_hits", "Prompt tokens that were found.", CACHED, true, err) ||
        gauge(r, "num_requests_running", "Requests in batches.", offsetof(struct served, scheduled),
              offsetof(struct served, end), err) ||
        gauge(r, "num_requests_waiting", "Requests that wait.", offsetof(struct served, arrival),
              offsetof(struct served, scheduled), err))
        return -1;
    for (size_t i = 0; isfinite(r->kv_use) && i < sizeof kv_names / sizeof *kv_names; i++) {
        head(r, kv_names[i], "gauge", "Share of all replicas' KV blocks in use, mean over the whole run; 1 is all.");
        for (size_t point = 0; point <= r->points; point++)
            sample(r, kv_names[i], "", "", r->kv_use, point);
    }
    fputs("# EOF\n", r->out);
    return store_check(store, err);
}

int openmetrics_write(struct store *store, int64_t run, FILE *out, struct error *err)
{
    struct recorded r = {.out = out};
    int status = read_recorded(store, run, &r, err) || write_all(store, run, &r, err) ? -1 : 0;
    free(r.requests);
    return status;
}

/* SPDX-License-Identifier: MIT */
#include "reports/formats/perfetto.h"

#include <cjson/cJSON.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "reports/store/kept_run.h"

/* Slices on one track must not overlap: those that do go to further tracks. */
struct lanes {
    int64_t *ends; /* [count] of the last slice on each */
    size_t count, capacity;
};

struct kept_request {
    int64_t id, replica;
    int64_t arrival, queued, scheduled, first, served, last; /* nanoseconds */
    int lane;
};

struct trace {
    FILE *out;
    size_t events;
    struct kept_request *requests; /* [request_count] by id */
    size_t request_count, request_capacity;
    struct lanes lanes;
    int64_t replica;  /* whose lanes those are; −1 before the first */
    int64_t from, to; /* of all iterations */
    size_t iterations;
};

enum { REQUESTS_PROCESS = 1, COUNTERS_PROCESS = 2, FIRST_REPLICA_PROCESS = 10 };

/* The free lane that is lowest; −1 when memory is short. */
static int lane_for(struct lanes *l, int64_t start, int64_t end)
{
    size_t lane = 0;
    while (lane < l->count && l->ends[lane] > start)
        lane++;
    if (lane == l->count) {
        int64_t *grown = array_grow(l->ends, &l->capacity, l->count + 1, sizeof *grown);
        if (!grown)
            return -1;
        l->ends = grown;
        l->count++;
    }
    l->ends[lane] = end;
    return (int)lane;
}

static void microseconds(FILE *out, int64_t ns)
{
    long long size = llabs((long long)ns);
    fprintf(out, "%s%lld.%03lld", ns < 0 ? "-" : "", size / 1000, size % 1000);
}

static void begin(struct trace *t, char phase, int64_t process, int64_t lane, int64_t ns)
{
    fprintf(t->out, "%s{\"ph\":\"%c\",\"pid\":%lld,\"tid\":%lld,\"ts\":", t->events++ ? ",\n" : "\n", phase,
            (long long)process, (long long)lane);
    microseconds(t->out, ns);
}

static void duration(struct trace *t, int64_t ns)
{
    fputs(",\"dur\":", t->out);
    microseconds(t->out, ns);
}

static void name_process(struct trace *t, int64_t process, const char *name, int order)
{
    begin(t, 'M', process, 0, 0);
    fprintf(t->out, ",\"name\":\"process_name\",\"args\":{\"name\":\"%s\"}}", name);
    begin(t, 'M', process, 0, 0);
    fprintf(t->out, ",\"name\":\"process_sort_index\",\"args\":{\"sort_index\":%d}}", order);
}

static int compare_requests(const void *a, const void *b)
{
    int64_t x = ((const struct kept_request *)a)->id, y = ((const struct kept_request *)b)->id;
    return (x > y) - (x < y);
}

static struct kept_request *find_request(const struct trace *t, int64_t id)
{
    struct kept_request key = {.id = id};
    return t->request_count ? bsearch(&key, t->requests, t->request_count, sizeof key, compare_requests) : NULL;
}

/* A step of a request's flow, bound to the slice that is there at that time. */
static void flow(struct trace *t, char phase, int64_t process, int64_t lane, int64_t ns, int64_t request)
{
    begin(t, phase, process, lane, ns);
    fprintf(t->out, ",\"cat\":\"request\",\"name\":\"request\",\"id\":%lld%s}", (long long)request,
            phase == 'f' ? ",\"bp\":\"e\"" : "");
}

static int take_request(void *state, int columns, char **values, struct error *err)
{
    struct trace *t = state;
    (void)columns;
    struct kept_request *grown = array_grow(t->requests, &t->request_capacity, t->request_count + 1, sizeof *grown);
    if (!grown)
        return error_no_memory(err);
    t->requests = grown;
    int64_t arrival = kept_ns(values[2]);
    grown[t->request_count++] =
        (struct kept_request){.id = kept_integer(values[0]),
                              .replica = kept_integer(values[1]),
                              .arrival = arrival,
                              .queued = arrival + kept_integer(values[6]),
                              .scheduled = arrival + kept_integer(values[6]) + kept_ns(values[3]),
                              .first = arrival + kept_ns(values[4]),
                              .served = arrival + kept_ns(values[5]) - kept_integer(values[7]),
                              .last = arrival + kept_ns(values[5])};
    return 0;
}

static void phase_slice(struct trace *t, int lane, const char *name, int64_t from, int64_t to)
{
    if (to <= from)
        return;
    begin(t, 'X', REQUESTS_PROCESS, lane, from);
    duration(t, to - from);
    fprintf(t->out, ",\"cat\":\"phase\",\"name\":\"%s\"}", name);
}

static int write_request(void *state, int columns, char **values, struct error *err)
{
    struct trace *t = state;
    (void)columns;
    struct kept_request *r = find_request(t, kept_integer(values[0]));
    if (!r)
        return 0;
    int lane = lane_for(&t->lanes, r->arrival, r->last);
    if (lane < 0)
        return error_no_memory(err);
    r->lane = lane;
    begin(t, 'X', REQUESTS_PROCESS, lane, r->arrival);
    duration(t, r->last - r->arrival);
    fprintf(t->out,
            ",\"cat\":\"request\",\"name\":\"request %lld\",\"args\":{\"prompt_tokens\":%lld,\"output_tokens\":%lld,"
            "\"replica\":%lld,\"ttft_ms\":%.6g,\"e2e_ms\":%.6g,\"preemptions\":%lld}}",
            (long long)r->id, (long long)kept_integer(values[1]), (long long)kept_integer(values[2]),
            (long long)r->replica, (double)(r->first - r->arrival) * 1e-6, (double)(r->last - r->arrival) * 1e-6,
            (long long)kept_integer(values[3]));
    phase_slice(t, lane, "delay", r->arrival, r->queued);
    phase_slice(t, lane, "queue", r->queued, r->scheduled);
    phase_slice(t, lane, "prefill", r->scheduled, r->first);
    phase_slice(t, lane, "decode", r->first, r->served);
    phase_slice(t, lane, "after", r->served, r->last);
    flow(t, 's', REQUESTS_PROCESS, lane, r->arrival, r->id);
    return 0;
}

/* Whose prompts ran in an iteration: their flows pass through it. */
static void write_prompt_flows(struct trace *t, const cJSON *list, int64_t process, int lane, int64_t start)
{
    const cJSON *p;
    cJSON_ArrayForEach(p, list)
    {
        const cJSON *id = cJSON_GetArrayItem(p, 0);
        double number = cJSON_IsNumber(id) ? id->valuedouble : NAN;
        if (fabs(number) < (double)KEPT_INTEGER_MAX && find_request(t, (int64_t)number))
            flow(t, 't', process, lane, start, (int64_t)number);
    }
}

static int write_iteration(void *state, int columns, char **values, struct error *err)
{
    struct trace *t = state;
    (void)columns;
    int64_t replica = kept_integer(values[0]), start = kept_integer(values[1]), end = kept_integer(values[2]),
            process = FIRST_REPLICA_PROCESS + replica;
    long long decodes = kept_integer(values[3]), prompt_tokens = kept_integer(values[5]);
    if (replica != t->replica) {
        char name[40];
        snprintf(name, sizeof name, "replica %lld", (long long)replica);
        name_process(t, process, name, (int)process);
        t->lanes.count = 0;
        t->replica = replica;
    }
    t->from = t->iterations ? t->from : start;
    t->from = start < t->from ? start : t->from;
    t->to = end > t->to ? end : t->to;
    t->iterations++;
    int lane = lane_for(&t->lanes, start, end);
    if (lane < 0)
        return error_no_memory(err);
    cJSON *prompts = cJSON_ParseWithOpts(kept_text(values[7]), NULL, 1);
    begin(t, 'X', process, lane, start);
    duration(t, end - start);
    fprintf(t->out,
            ",\"cat\":\"iteration\",\"name\":\"%s\",\"args\":{\"decodes\":%lld,\"decode_kv_tokens\":%lld,"
            "\"prompt_tokens\":%lld,\"computed_tokens\":%lld,\"prompts\":%s}}",
            prompt_tokens == 0 ? "decode"
            : decodes == 0     ? "prefill"
                               : "prefill + decode",
            decodes, (long long)kept_integer(values[4]), prompt_tokens, (long long)kept_integer(values[6]),
            cJSON_IsArray(prompts) ? values[7] : "[]");
    write_prompt_flows(t, cJSON_IsArray(prompts) ? prompts : NULL, process, lane, start);
    cJSON_Delete(prompts);
    return 0;
}

/* Where a request's last token came: the flow ends there, in the slice that was under way just before. */
static void end_flows(struct trace *t)
{
    for (size_t i = 0; i < t->request_count; i++) {
        const struct kept_request *r = &t->requests[i];
        if (r->replica >= 0 && t->iterations && r->served > t->from && r->served <= t->to)
            flow(t, 'f', FIRST_REPLICA_PROCESS + r->replica, 0, r->served - 1, r->id);
        else
            flow(t, 'f', REQUESTS_PROCESS, r->lane, r->last - 1, r->id);
    }
}

static int write_counter(void *state, int columns, char **values, struct error *err)
{
    struct trace *t = state;
    cJSON *name = cJSON_CreateString(kept_text(values[0]));
    char *quoted = name ? cJSON_PrintUnformatted(name) : NULL;
    const char *value = kept_json_number(values[2]);
    (void)columns;
    cJSON_Delete(name);
    if (!quoted)
        return error_no_memory(err);
    begin(t, 'C', COUNTERS_PROCESS, 0, kept_ns(values[1]));
    fprintf(t->out, ",\"name\":%s,\"args\":{\"value\":%s}}", quoted, value ? value : "0");
    free(quoted);
    return 0;
}

static int count_rows(void *state, int columns, char **values, struct error *err)
{
    (void)columns, (void)err;
    *(bool *)state = kept_integer(values[0]) != 0;
    return 0;
}

static int write_events(struct trace *t, struct store *store, int64_t run, struct error *err)
{
    name_process(t, COUNTERS_PROCESS, "cluster", 0);
    name_process(t, REQUESTS_PROCESS, "requests", 1);
    if (store_read(store, write_request, t, err,
                   "SELECT id, prompt_tokens, output_tokens, preemptions FROM request WHERE run_id = ? ORDER BY "
                   "arrival_s, id",
                   "i", run) ||
        store_read(store, write_iteration, t, err,
                   "SELECT replica, start_ns, end_ns, decodes, decode_kv_tokens, prompt_tokens, padded_tokens, prompts "
                   "FROM iteration WHERE run_id = ? ORDER BY replica, start_ns, number",
                   "i", run) ||
        store_read(store, write_counter, t, err,
                   "SELECT name, at_s, value FROM timeseries WHERE run_id = ? ORDER BY at_s, name", "i", run))
        return -1;
    end_flows(t);
    return 0;
}

/* What the run is called, and on what it ran. NULL when memory is short. */
static char *describe(const struct kept_run *run)
{
    cJSON *about = cJSON_CreateObject();
    bool whole = cJSON_AddStringToObject(about, "name", run->texts[RUN_NAME]) &&
                 cJSON_AddStringToObject(about, "model", run->texts[RUN_MODEL]) &&
                 cJSON_AddStringToObject(about, "device", run->texts[RUN_DEVICE]) &&
                 cJSON_AddStringToObject(about, "tandem", run->texts[RUN_VERSION]);
    char *text = whole ? cJSON_PrintUnformatted(about) : NULL;
    cJSON_Delete(about);
    return text;
}

/* Nothing is written before it is known that there is something to write. */
static int read_requests(struct trace *t, struct store *store, int64_t run, struct error *err)
{
    bool iterations = false;
    if (store_read(store, take_request, t, err,
                   "SELECT id, replica, arrival_s, queue_s, ttft_s, e2e_s, part_delay_ns, part_after_ns "
                   "FROM request WHERE run_id = ? ORDER BY id",
                   "i", run) ||
        store_read(store, count_rows, &iterations, err, "SELECT EXISTS (SELECT 1 FROM iteration WHERE run_id = ?)", "i",
                   run))
        return -1;
    if (t->request_count)
        qsort(t->requests, t->request_count, sizeof *t->requests, compare_requests);
    return t->request_count || iterations
               ? 0
               : error_set(err, ERROR_INPUT,
                           "run %lld: kept neither requests nor iterations; \"output\": {\"requests\": true, "
                           "\"iterations\": true} in its scenario keeps them",
                           (long long)run);
}

int perfetto_write(struct store *store, int64_t run_id, FILE *out, struct error *err)
{
    struct kept_run run;
    struct trace t = {.out = out, .replica = -1};
    char *about = NULL;
    int status = kept_run_read(&run, store, run_id, err) || read_requests(&t, store, run_id, err) ? -1 : 0;
    if (status == 0 && !(about = describe(&run)))
        status = error_no_memory(err);
    if (status == 0) {
        fprintf(out, "{\"displayTimeUnit\":\"ms\",\"otherData\":%s,\"traceEvents\":[", about);
        status = write_events(&t, store, run_id, err);
        fputs("\n]}\n", out);
    }
    free(about);
    free(t.requests);
    free(t.lanes.ends);
    kept_run_release(&run);
    return status;
}

/* SPDX-License-Identifier: MIT */
#include "validation/engine_cell.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine_ref/stamps.h"

enum { SERVED_POOLS = 2 }; /* one or two, each with an engine of its own */

static int set_number(struct json *root, const char *path, double value, struct error *err)
{
    char text[40];
    snprintf(text, sizeof text, "%.17g", value);
    return json_set_path(root, path, text, err);
}

static int set_device(struct json *root, const char *device, struct error *err)
{
    cJSON *name = cJSON_CreateString(device);
    char *text = name ? cJSON_PrintUnformatted(name) : NULL;
    int status = text ? json_set_path(root, "device", text, err) : error_no_memory(err);
    cJSON_free(text);
    cJSON_Delete(name);
    return status;
}

int cell_open(const struct engine_cell *c, const char *device, struct simulation **out, struct error *err)
{
    struct json root = *c->scenario;
    root.node = cJSON_Duplicate(root.node, 1);
    if (!root.node)
        return error_no_memory(err);
    if (json_set_path(&root, c->policy->path, c->policy->value, err) || (device && set_device(&root, device, err)) ||
        (c->rate_per_s > 0 && set_number(&root, "workload.arrivals.rate_per_s", c->rate_per_s, err)) ||
        (c->requests > 0 && set_number(&root, "workload.requests", (double)c->requests, err))) {
        cJSON_Delete((cJSON *)(uintptr_t)root.node);
        return -1;
    }
    return simulation_open(root, out, err);
}

static void collect(void *state, struct station_id station, const struct request *r)
{
    (void)station;
    latencies_add(state, sim_time_to_s(r->first_token - r->arrival), sim_time_to_s(r->last_token - r->arrival),
                  r->output_tokens);
}

static int run(const struct engine_cell *c, struct simulation *s, const struct observer *others, struct latencies *out,
               struct error *err)
{
    const struct observer observer = {.state = out, .next = others, .finished = collect};
    const struct simulation_options o = {.observers = &observer, .control = {.stop = c->stop}};
    return simulation_run(s, &o, err);
}

/* Every batch that is served, priced by a profile, next to what it took. */
struct pricing {
    const struct scenario *priced_by;
    struct priced *kinds;
};

static enum priced_kind kind_of(const struct batch *b)
{
    bool after_prompts = b->after_prompts;
    bool padded = b->layout != BATCH_RAGGED, rows_decode = padded && b->row_tokens == 1 && b->row_kv > 0;
    bool prompts = padded && !rows_decode;
    for (size_t i = 0; i < b->count && !prompts && !padded; i++)
        prompts = !b->items[i].decode;
    if (!prompts)
        return rows_decode     ? after_prompts ? PRICED_PADDED_DECODES_AFTER_PROMPTS : PRICED_PADDED_DECODES
               : after_prompts ? PRICED_DECODES_AFTER_PROMPTS
                               : PRICED_DECODES;
    bool decodes = b->decodes > 0;
    for (size_t i = 0; i < b->count && !decodes; i++)
        decodes = b->items[i].decode;
    return decodes                     ? PRICED_MIXED
           : b->layout == BATCH_PADDED ? PRICED_PADDED_PROMPTS
           : b->layout == BATCH_PACKED ? PRICED_PACKED_PROMPTS
                                       : PRICED_PROMPTS;
}

static void price(void *state, const struct iteration_record *record)
{
    const struct pricing *p = state;
    const struct cluster_config *c = &p->priced_by->cluster;
    size_t pool = (size_t)(cluster_pool_of(c, record->station) - c->pools);
    struct iteration_cost said;
    cost_model_iteration(&p->priced_by->pools[pool].cost, record->batch, &said);
    enum priced_kind kind = kind_of(record->batch);
    double taken_s = fine_to_ns(record->cost->total) * 1e-9, said_s = fine_to_ns(said.total) * 1e-9,
           error = said_s / taken_s - 1;
    p->kinds[kind].count++;
    p->kinds[kind].taken_s += taken_s;
    p->kinds[kind].said_s += said_s;
    p->kinds[kind].errors += error;
    p->kinds[kind].squares += error * error;
}

/* What a served run leaves behind for the rest. */
struct served {
    struct iteration_log logs[SERVED_POOLS];
    struct stamps stamps;
    struct run_summary summary;
};

static void served_release(struct served *s)
{
    for (size_t i = 0; i < SERVED_POOLS; i++)
        iteration_log_release(&s->logs[i]);
    stamps_release(&s->stamps);
}

/* The reference steps' fastest and slowest seconds since those at `first`. */
static void note_speeds(const struct reference *r, const size_t first[REFERENCE_KINDS], struct served_speed *out)
{
    for (int k = 0; k < REFERENCE_KINDS; k++) {
        const struct reference_step *s = r ? &r->steps[k] : NULL;
        out->fastest[k] = out->slowest[k] = NAN;
        for (size_t i = first[k]; s && i < s->second_count; i++) {
            out->fastest[k] = fmin(out->fastest[k], s->seconds[i].ns / s->standard_ns);
            out->slowest[k] = fmax(out->slowest[k], s->seconds[i].ns / s->standard_ns);
        }
    }
}

static void note_times(const struct server *server, const struct served *s, struct served_speed *out)
{
    out->told_s = out->wall_s = out->cpu_s = 0;
    for (size_t i = 0; i < SERVED_POOLS; i++) {
        out->wall_s += (double)server->executors[i].busy_ns * 1e-9;
        out->cpu_s += (double)server->executors[i].cpu_ns * 1e-9;
        for (size_t k = 0; k < s->logs[i].count; k++)
            out->told_s += fine_to_ns(s->logs[i].items[k].cost.total) * 1e-9;
    }
}

/* The run itself, listened to by those who price it and keep its stamps. */
static int serve_by(const struct engine_cell *c, struct server *server, struct simulation *s, struct simulation *priced,
                    struct served *served, struct finding *f, struct latencies *out, struct error *err)
{
    struct pricing pricing = {.priced_by = &priced->scenario, .kinds = f->priced};
    struct observer stamps = stamps_observer(&served->stamps), engine = server_observer(server);
    const struct observer prices = {.state = &pricing, .next = &stamps, .iterated = price};
    const struct reference *reference = c->server.reference;
    size_t first[REFERENCE_KINDS] = {0};
    for (int k = 0; reference && k < REFERENCE_KINDS; k++)
        first[k] = reference->steps[k].second_count;
    engine.next = &prices;
    if (run(c, s, &engine, out, err) || server_error(server, err))
        return -1;
    served->summary = s->summary;
    note_speeds(reference, first, &f->speed);
    note_times(server, served, &f->speed);
    return 0;
}

static int serve(const struct engine_cell *c, struct served *served, struct finding *f, struct latencies *out,
                 struct error *err)
{
    struct simulation *s = NULL, *priced = NULL;
    struct server server;
    struct server_options o = c->server;
    o.logs = served->logs;
    int status = cell_open(c, NULL, &s, err) || cell_open(c, c->profile, &priced, err) ||
                         server_open(&server, &s->scenario, &o, err)
                     ? -1
                     : 0;
    if (status == 0) {
        status = serve_by(c, &server, s, priced, served, f, out, err);
        server_close(&server);
    }
    simulation_close(priced);
    simulation_close(s);
    return status;
}

/* The simulator, as users run it, with the served iterations in its costs' place. */
static int replay(const struct engine_cell *c, const struct served *served, struct replayed *out, struct error *err)
{
    struct simulation *s = NULL;
    struct stamps stamps = {0};
    struct replay replays[SERVED_POOLS];
    if (cell_open(c, NULL, &s, err))
        return -1;
    for (size_t i = 0; i < SERVED_POOLS; i++)
        replays[i] = (struct replay){.log = &served->logs[i]};
    for (size_t i = 0; i < s->scenario.cluster.pool_count; i++) {
        s->scenario.cluster.pools[i].replica.schedule_ahead = false;
        s->scenario.cluster.pools[i].executor = replay_executor(&replays[i]);
    }
    const struct observer observer = stamps_observer(&stamps);
    const struct simulation_options o = {.observers = &observer, .control = {.stop = c->stop}};
    int status = simulation_run(s, &o, err);
    *out = (struct replayed){.difference_ns = (double)stamps_difference(&served->stamps, &stamps)};
    for (size_t i = 0; i < SERVED_POOLS; i++) {
        out->iterations += (double)replays[i].next;
        out->mismatches += (double)(replays[i].mismatches + (served->logs[i].count - replays[i].next));
    }
    stamps_release(&stamps);
    simulation_close(s);
    return status;
}

static void add_busy(void *state, const struct iteration_record *record)
{
    double *busy_s = state;
    *busy_s += sim_time_to_s(record->end - record->stretch->start);
}

int cell_simulate(const struct engine_cell *c, const struct drift *drift, struct latencies *out,
                  struct run_summary *summary, double *busy_s, struct error *err)
{
    struct simulation *s = NULL;
    struct drifting drifting[SERVED_POOLS];
    const struct observer busy = {.state = busy_s, .iterated = add_busy};
    *busy_s = 0;
    if (cell_open(c, c->profile, &s, err))
        return -1;
    for (size_t i = 0; drift && i < s->scenario.cluster.pool_count; i++) {
        struct pool_config *pool = &s->scenario.cluster.pools[i];
        drifting[i] = (struct drifting){pool->executor, drift};
        pool->executor = drifting_executor(&drifting[i]);
    }
    int status = run(c, s, &busy, out, err);
    *summary = s->summary;
    simulation_close(s);
    return status;
}

static double mean_of(const struct run_summary *r, int m)
{
    return r->metrics[measured_metrics[m]].at[STAT_MEAN].value;
}

static int find_drift(const struct engine_cell *c, const struct served *served, const struct run_summary *steady,
                      struct finding *f, struct error *err)
{
    struct drift drift = {0};
    struct latencies latencies = {0};
    struct run_summary drifting;
    double busy_s;
    int status = drift_read(&drift, served->logs, SERVED_POOLS, err) ||
                         cell_simulate(c, &drift, &latencies, &drifting, &busy_s, err)
                     ? -1
                     : 0;
    for (int m = 0; status == 0 && m < MEASURED_METRICS; m++)
        f->speed.changes[m] = mean_of(&drifting, m) / mean_of(steady, m) - 1;
    latencies_release(&latencies);
    drift_release(&drift);
    return status;
}

/* E2E is the last of the measured metrics. */
static double mean_e2e_s(const struct run_summary *r)
{
    return mean_of(r, MEASURED_METRICS - 1) * 1e-9;
}

int cell_find(const struct engine_cell *c, struct finding *f, struct latencies *measured, struct latencies *simulated,
              struct error *err)
{
    struct served served = {0};
    struct run_summary predicted;
    double busy_s;
    *f = (struct finding){.rate_per_s = c->rate_per_s < CELL_AT_ONCE ? c->rate_per_s : 0};
    int status = serve(c, &served, f, measured, err) || cell_simulate(c, NULL, simulated, &predicted, &busy_s, err) ||
                         replay(c, &served, &f->replayed, err) || find_drift(c, &served, &predicted, f, err)
                     ? -1
                     : 0;
    if (status == 0) {
        latencies_compare(measured, simulated, &f->latencies);
        f->requests = (double)served.stamps.count;
        f->measured_rate = served.summary.requests_per_s;
        f->simulated_rate = predicted.requests_per_s;
        f->throughput_error = f->simulated_rate / f->measured_rate - 1;
        f->measured_e2e_s = mean_e2e_s(&served.summary);
        f->simulated_e2e_s = mean_e2e_s(&predicted);
    }
    served_release(&served);
    return status;
}

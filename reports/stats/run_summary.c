/* SPDX-License-Identifier: MIT */
/* From what was kept during a run to what is reported of it. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "reports/stats/metrics.h"
#include "workloads/generator.h"

static double scv(double sum, double squares, double count)
{
    double mean = sum / count;
    return count > 1 && mean > 0 ? (squares / count - mean * mean) / (mean * mean) : NAN;
}

/* Whether a server has one request at a time, as those of M/M/1 do. */
static bool serves_one_at_a_time(const struct scenario *s)
{
    const struct replica_config *c = &s->cluster.pools[0].replica;
    return batching_policy_limits(c->batching, c->batching_params, c->max_tokens).sequences == 1;
}

/* Requests a second while they came; NAN where all came at once. */
static double rate_while_they_came(const struct run_metrics *m, uint64_t arrivals)
{
    const struct run_sections *s = &m->sections;
    sim_time span = s->count > 0 ? s->last[s->count - 1] - s->first[0] : 0;
    return span > 0 && arrivals > 1 ? (double)(arrivals - 1) / sim_time_to_s(span) : NAN;
}

static struct station_summary station_of(const struct station_sums *s, unsigned servers, double duration_s)
{
    double n = (double)s->departures;
    uint64_t present = s->arrivals - s->departures, end = (uint64_t)llround(duration_s * 1e9);
    wide_sum area = s->departure_times + (wide_sum)present * end - s->arrival_times;
    struct station_summary out = {.servers = servers};
    out.arrival_rate = (double)s->arrivals / duration_s;
    out.number = (double)area * 1e-9 / duration_s;
    out.stay_s = n > 0 ? (double)s->stay * 1e-9 / n : 0;
    out.arrival_scv = scv(s->gap_sum, s->gap_squares, (double)s->arrivals - 1);
    out.service_rate = out.busy = out.utilization = out.queue_number = out.wait_s = out.service_scv = NAN;
    wide_sum off = area > s->stay ? area - s->stay : s->stay - area; /* exact, then rounded once */
    out.little_residual = present ? NAN : s->stay > 0 ? (double)off / (double)s->stay : 0;
    return out;
}

/* A station with servers, whose waiting room is `queue`. */
static struct station_summary served_station(const struct station_sums *s, const struct station_sums *queue,
                                             unsigned servers, double duration_s)
{
    struct station_summary out = station_of(s, servers, duration_s);
    struct station_summary waiting = station_of(queue, 0, duration_s);
    out.busy = (double)s->busy_ns * 1e-9 / (servers * duration_s);
    out.service_rate =
        s->busy_ns > 0 ? (double)s->departures / ((double)s->busy_ns * 1e-9) : NAN; /* of one, while busy */
    out.queue_number = waiting.number;
    out.wait_s = waiting.stay_s;
    out.service_scv = scv((double)s->service, (double)s->service_squares, (double)s->departures);
    return out;
}

/* ρ. Where a server has one request at a time it is λ/(c μ), the share of time that a server is busy. Where servers
 * have batches it is the rate of arrivals over the largest one that the station can serve, its share of what the
 * cluster can (M/G^[b]/1: λ E[S] / b): a batch that is not full keeps a server busy, too. */
static double utilization_of(const struct run_metrics *m, const struct scenario *s, const struct station_summary *t,
                             uint64_t arrivals, double capacity_per_s)
{
    return serves_one_at_a_time(s) ? t->busy : rate_while_they_came(m, arrivals) / capacity_per_s;
}

/* Requests of a shared queue arrive at no replica: of these only how busy they are is known. */
static void leave_busy_alone(struct station_summary *t)
{
    double busy = t->busy;
    unsigned servers = t->servers;
    *t = (struct station_summary){.servers = servers,
                                  .busy = busy,
                                  .arrival_rate = NAN,
                                  .service_rate = NAN,
                                  .utilization = NAN,
                                  .number = NAN,
                                  .queue_number = NAN,
                                  .stay_s = NAN,
                                  .wait_s = NAN,
                                  .arrival_scv = NAN,
                                  .service_scv = NAN,
                                  .little_residual = NAN};
}

struct station_summary run_metrics_station(const struct run_metrics *m, const struct scenario *s,
                                           struct station_id station, bool queue, double duration_s)
{
    const struct replica_metrics *r = &m->replicas[station.index];
    struct station_summary out =
        queue ? station_of(&r->queue, 0, duration_s) : served_station(&r->system, &r->queue, r->servers, duration_s);
    /* No formula tells pools apart. */
    double share = s->cluster.pool_count > 1 ? NAN : 1 / (double)m->replica_count;
    if (!queue)
        out.utilization = utilization_of(m, s, &out, r->system.arrivals, m->serving_per_s * share);
    if (s->cluster.routers[0].policy->central && r->system.arrivals == 0)
        leave_busy_alone(&out);
    snprintf(out.name, sizeof out.name, "replica:%zu%s", station.index, queue ? "/queue" : "");
    return out;
}

struct station_summary run_metrics_delay(const struct run_metrics *m, const struct scenario *s, size_t delay,
                                         bool queue, double duration_s)
{
    const struct delay_metrics *d = &m->delays[delay];
    const struct delay_config *config = &s->cluster.delays[delay];
    unsigned servers = (unsigned)config->servers;
    struct station_summary out =
        queue ? station_of(&d->queue, 0, duration_s) : served_station(&d->system, &d->queue, servers, duration_s);
    if (!queue && servers > 0)
        out.utilization = out.busy;
    else if (!queue)
        out.busy = NAN; /* it has no share */
    out.answers = config->kind->answers != NULL;
    out.answered = d->answered;
    snprintf(out.name, sizeof out.name, "%s:%s%s", config->kind->name, config->name, queue ? "/queue" : "");
    return out;
}

static struct tier_summary tier_of(const struct run_metrics *m, const struct scenario *s, size_t tier,
                                   const struct run_summary *r)
{
    struct tier_summary out = {.reads = station_of(&m->tiers[tier].reads, 0, r->duration_s),
                               .totals = r->totals.tiers[tier]};
    double asked = (double)out.totals.asked_tokens;
    out.hit_rate = asked > 0 ? (double)out.totals.tokens / asked : 0;
    snprintf(out.reads.name, sizeof out.reads.name, "tier:%s", s->cluster.tiers[tier].name);
    return out;
}

/* Clients of a closed loop wait for their answers: its queue cannot grow. */
static bool is_closed_loop(const struct scenario *s)
{
    struct json workload = json_member(&s->root, "workload"), arrivals = json_member(&workload, "arrivals");
    struct json name = json_member(&arrivals, "name");
    const cJSON *text = cJSON_IsString(arrivals.node) ? arrivals.node : name.node;
    for (const struct arrival_process *const *a = arrival_processes; cJSON_IsString(text) && *a; a++)
        if ((*a)->closed && strcmp((*a)->name, text->valuestring) == 0)
            return true;
    return false;
}

/* One station is enough: a hot replica among several that idle is overloaded. */
static void find_overload(const struct run_metrics *m, const struct scenario *s, struct run_summary *out)
{
    size_t queues = m->replica_count + s->cluster.delay_count + 2;
    if (is_closed_loop(s))
        return;
    if (queue_growth_found(&m->queue_growth, queues))
        snprintf(out->overloaded_station, sizeof out->overloaded_station, "queue");
    else if (queue_growth_found(&m->decode_growth, queues))
        snprintf(out->overloaded_station, sizeof out->overloaded_station, "decode pool");
    for (size_t i = 0; i < m->replica_count && !*out->overloaded_station; i++)
        if (queue_growth_found(&m->replicas[i].growth, queues))
            snprintf(out->overloaded_station, sizeof out->overloaded_station, "replica:%zu", i);
    for (size_t i = 0; i < s->cluster.delay_count && !*out->overloaded_station; i++)
        if (queue_growth_found(&m->delays[i].growth, queues))
            snprintf(out->overloaded_station, sizeof out->overloaded_station, "%s:%s", s->cluster.delays[i].kind->name,
                     s->cluster.delays[i].name);
    out->overloaded = *out->overloaded_station != 0;
}

static void stations(const struct run_metrics *m, const struct scenario *s, struct run_summary *out)
{
    out->system = served_station(&m->system, &m->queue, (unsigned)cluster_replicas(&s->cluster), out->duration_s);
    out->queue = station_of(&m->queue, 0, out->duration_s);
    out->system.utilization = utilization_of(m, s, &out->system, out->totals.arrived, m->sustainable_per_s);
    snprintf(out->system.name, sizeof out->system.name, "system");
    snprintf(out->queue.name, sizeof out->queue.name, "queue");
    out->delay_count = s->cluster.delay_count;
    for (size_t i = 0; i < out->delay_count; i++)
        out->delays[i] = run_metrics_delay(m, s, i, false, out->duration_s);
    out->tier_count = s->cluster.tier_count;
    for (size_t i = 0; i < out->tier_count; i++)
        out->tiers[i] = tier_of(m, s, i, out);
    out->sustainable_per_s = m->sustainable_per_s;
    out->load = rate_while_they_came(m, out->totals.arrived) / m->sustainable_per_s;
    find_overload(m, s, out);
}

static int check_invariants(const struct run_metrics *m, const struct run_summary *out, struct error *err)
{
    if (m->parts_error != 0)
        return error_set(err, ERROR_RUN, "internal: time parts differ from e2e by %lld ns in sum; please report it",
                         (long long)m->parts_error);
    if (out->system.little_residual > 1e-9 || out->queue.little_residual > 1e-9)
        return error_set(err, ERROR_RUN, "internal: Little's law is off by %g; please report it",
                         fmax(out->system.little_residual, out->queue.little_residual));
    if (out->totals.kv_allocated != out->totals.kv_freed + out->totals.kv_held)
        return error_set(err, ERROR_RUN, "internal: %llu KV blocks allocated, %llu freed, %llu held; please report it",
                         (unsigned long long)out->totals.kv_allocated, (unsigned long long)out->totals.kv_freed,
                         (unsigned long long)out->totals.kv_held);
    return 0;
}

/* Arithmetic of the tokens that requests asked for, padding left out. */
static double model_flops(const struct run_metrics *m, const struct model *model)
{
    double head = (double)model->hidden * model->vocab;
    double experts = model_expert_parameters(model);
    double asleep = model->moe.experts ? experts * (1 - (double)model->moe.top_k / model->moe.experts) : 0;
    double weights = model_parameters(model) - head * (model->tied_head ? 1 : 2) - asleep;
    double per_score = 4.0 * model->attention_layers * model->heads * model->head_dim;
    return 2 * weights * (double)m->real_tokens + per_score * (double)m->scores / 2 + 2 * head * (double)m->heads;
}

/* Whether it begins later than the request before it came, so that a cut there is an instant. */
static bool begins_later(const struct run_sections *s, size_t section)
{
    return section == 0 || s->first[section] > s->last[section - 1];
}

/* The cut for everything: by MSER-5 over the E2E of requests in order of arrival, rounded up to whole sections, and on
 * to the next one at which it can be an instant. Where too many arrive together for that, so that more than half of the
 * sections would be cut, it goes back to the one before: a verdict is never of a remainder. Of a batch job, all of
 * which is there at the start, nothing is cut. */
static struct warmup_cut find_cut(const struct run_metrics *m, const struct scenario *s)
{
    const struct run_sections *sections = &m->sections;
    if (s->warmup != WARMUP_MSER5)
        return (struct warmup_cut){0};
    uint64_t request = samples_mser5(&m->samples[METRIC_E2E]);
    size_t first = (size_t)((request + sections->width - 1) / sections->width);
    size_t most = (sections->count + 1) / 2;
    while (first <= most && first < sections->count && !begins_later(sections, first))
        first++;
    if (first > most)
        first = most;
    while (first > 0 && (first >= sections->count || !begins_later(sections, first)))
        first--;
    if (first == 0)
        return (struct warmup_cut){0};
    return (struct warmup_cut){.requests = first * sections->width, .sections = first, .at = sections->first[first]};
}

static int summarise_latencies(const struct run_metrics *m, struct run_summary *out, struct error *err)
{
    for (int i = 0; i < METRIC_COUNT; i++) {
        uint64_t cut = i == METRIC_ITL ? (uint64_t)out->warmup.at : out->warmup.requests;
        if (samples_summarise(&m->samples[i], cut, &out->metrics[i], &out->all[i]))
            return error_no_memory(err);
    }
    double mean = out->metrics[METRIC_QUEUE].at[STAT_MEAN].value * 1e-9;
    double half = samples_mean_half_width(&m->samples[METRIC_QUEUE], out->warmup.requests, 0.99) * 1e-9;
    out->wait_99 = (struct estimate){mean, mean - half, mean + half};
    return 0;
}

/* Of the requests that arrived after the cut, over the time from then on. */
static void summarise_requests(const struct run_metrics *m, double rest_s, struct run_summary *out)
{
    struct request_sums sums = {0};
    wide_sum parts_ns[PART_COUNT] = {0};
    double all = 0;
    for (size_t i = 0; i < SECTIONS_MAX; i++) {
        const struct request_sums *s = &m->sums[i];
        out->prompt_tokens += s->prompt_tokens;
        out->output_tokens += s->output_tokens;
        if (i < out->warmup.sections)
            continue;
        sums.finished += s->finished;
        sums.prompt_tokens += s->prompt_tokens;
        sums.output_tokens += s->output_tokens;
        sums.prefix_cached_tokens += s->prefix_cached_tokens;
        sums.early_prompt_tokens += s->early_prompt_tokens;
        bands_add_parts_to(&s->e2e_bands, parts_ns);
    }
    out->requests_per_s = (double)sums.finished / rest_s;
    out->input_tokens_per_s = (double)sums.prompt_tokens / rest_s;
    out->output_tokens_per_s = (double)sums.output_tokens / rest_s;
    double prompts = (double)(sums.prompt_tokens - sums.early_prompt_tokens);
    out->prefix_hit_rate = prompts > 0 ? (double)sums.prefix_cached_tokens / prompts : 0;
    for (int k = 0; k < PART_COUNT; k++)
        all += (double)parts_ns[k];
    for (int k = 0; k < PART_COUNT; k++)
        out->part_share[k] = all > 0 ? (double)parts_ns[k] / all : 0;
}

int run_metrics_bands(const struct run_metrics *m, size_t sections_cut, struct bands *ttft, struct bands *e2e)
{
    *ttft = *e2e = (struct bands){0};
    for (size_t i = sections_cut; i < SECTIONS_MAX; i++)
        if (bands_merge(ttft, &m->sums[i].ttft_bands) || bands_merge(e2e, &m->sums[i].e2e_bands))
            return -1;
    return 0;
}

static struct kv_size kv_size_of(const struct pool_config *pool, double mean_tokens)
{
    const struct replica_config *c = &pool->replica;
    double tokens = (double)c->kv_blocks * c->kv_block_tokens;
    return (struct kv_size){.pool = pool->name,
                            .blocks = c->kv_blocks,
                            .tokens = c->kv_blocks * c->kv_block_tokens,
                            .longest_tokens = c->max_tokens,
                            .at_longest = tokens / c->max_tokens,
                            .at_mean = mean_tokens > 0 ? tokens / mean_tokens : NAN};
}

static void summarise_kv(const struct scenario *s, struct run_summary *out)
{
    const struct cluster_config *c = &s->cluster;
    const struct cluster_totals *t = &out->totals;
    double mean = (double)(out->prompt_tokens + out->output_tokens) / (double)t->finished;
    out->pool_count = c->pool_count;
    for (size_t i = 0; i < c->pool_count; i++)
        out->kv[i] = kv_size_of(&c->pools[i], mean);
    out->mean_kv_use = t->kv_block_ns / (out->duration_s * 1e9 * (double)t->kv_total);
    out->peak_kv_use = (double)t->kv_peak / (double)t->kv_total;
}

/* Of the iterations of the whole run. */
static void summarise_batches(const struct run_metrics *m, const struct scenario *s, struct run_summary *out)
{
    double busy_ns = (double)m->system.busy_ns;
    out->padding_waste = 1 - (double)m->real_tokens / (double)m->padded_tokens;
    out->mean_batch_sequences = (double)m->sequence_ns / busy_ns;
    out->mean_batch_tokens = (double)m->real_tokens / (double)m->iterations;
    for (int i = 0; i < COST_SOURCES; i++)
        out->source_share[i] = fine_to_ns(m->by_source[i]) / busy_ns;
    const struct cost_model *cost = scenario_cost(s);
    if (!m->sources)
        out->source_share[COST_ESTIMATED] = 1;
    double peak = device_peak_flops(&cost->device, cost->model.dtype) * cost->parallel.tensor;
    /* Else its peak is not one number, or its arithmetic is not the model's. */
    bool one_kind = s->cluster.pool_count == 1 && cJSON_GetArraySize(json_member(&s->root, "techniques").node) == 0;
    out->mfu = peak > 0 && one_kind ? model_flops(m, &cost->model) / (busy_ns * 1e-9 * peak) : NAN;
}

int run_metrics_summarise(struct run_metrics *m, const struct scenario *s, const struct cluster_totals *totals,
                          struct run_summary *out, struct error *err)
{
    double duration = sim_time_to_s(totals->end), held_s = cluster_held_s(&s->cluster, totals);
    run_metrics_settle(m);
    *out = (struct run_summary){.totals = *totals, .warmup = find_cut(m, s), .mfu = NAN};
    out->duration_s = duration > 0 ? duration : 1e-9;
    double rest_s = fmax(out->duration_s - sim_time_to_s(out->warmup.at), 1e-9);
    if (m->out_of_memory || summarise_latencies(m, out, err) || session_stats_summarise(&m->sessions, &out->sessions))
        return error_no_memory(err);
    summarise_requests(m, rest_s, out);
    summarise_kv(s, out);
    out->utilization = held_s > 0 ? (double)m->system.busy_ns * 1e-9 / held_s : 0;
    out->replica_hours = cluster_replica_held_s(&s->cluster, totals) / 3600;
    out->preemptions = m->preemptions;
    out->recomputed_tokens = m->recomputed_tokens;
    out->bubble_share = totals->bubbles.active_s > 0 ? totals->bubbles.idle_s / totals->bubbles.active_s : NAN;
    out->prefill_rows = m->row_prefills > 0 ? (double)m->prefill_rows / (double)m->row_prefills : NAN;
    out->prompts_per_row = m->row_prefills > 0 ? (double)m->row_prompts / (double)m->prefill_rows : NAN;
    if (m->iterations > 0)
        summarise_batches(m, s, out);
    stations(m, s, out);
    if (attainment_judge(&m->attainment, m->samples, &out->warmup, rest_s, &out->slo, err))
        return -1;
    out->slo.met = out->slo.met && !out->overloaded; /* a longer run would not meet it */
    out->goodput_per_s = out->slo.goodput.value;
    return check_invariants(m, out, err);
}

/* SPDX-License-Identifier: MIT */
#include "reports/stats/analytic.h"

#include <math.h>
#include <stdlib.h>

#include "base/random.h"
#include "reports/stats/theory.h"

enum { SAMPLE = 4000, BULK_DRAWS = 32 };

/* The first requests of the workload that can be served, and what they are a share of. */
struct sample {
    uint32_t prompts[SAMPLE], outputs[SAMPLE];
    size_t count;
    double rate_per_s, arrival_scv, prompt, output, max_output; /* of those that can be served; means */
    double offered_per_s;                                       /* all requests */
};

/* One pool's replicas: the whole cluster, or those that prefill, or those that decode. */
struct served {
    const struct cost_model *cost; /* of a pipeline's first stage; */
    const struct stages *stages;   /* the others come after it */
    const struct replica_config *config;
    double replicas; /* that share the arrivals */
    bool pooled;     /* arrivals go to whoever has least to do: nearly one queue for all */
    double most_sequences, token_budget;
    double prompt_alone_s; /* mean of an iteration that holds one prompt and nothing else */
};

static double blocks_of(const struct replica_config *c, double tokens)
{
    struct kv_layout layout = replica_kv_layout(c);
    return (double)kv_layout_blocks(&layout, (uint64_t)tokens, 0, layout.step_tokens);
}

/* Whether a request is not refused on arrival for its lengths, by whoever it may be sent to (sim/cluster_requests.c);
 * of several kinds of replicas that it may enter at, the first stands for all, unless they come and go. */
static bool can_be_served(const struct cluster_config *c, const struct arrival *a)
{
    size_t entrances = c->routers[0].pools;
    bool prompt_alone = c->step_count > 1 && !c->mixed.asked && !cluster_decoders_may_fail(c), fits = true;
    double tokens = (double)a->prompt_tokens + a->max_output_tokens;
    for (size_t i = 0; i < c->pool_count; i++) {
        const struct replica_config *r = &c->pools[i].replica;
        bool enters = i < entrances;
        if (i == 0 || !enters || c->fleet_count > 0)
            fits &= blocks_of(r, enters && prompt_alone ? a->prompt_tokens : tokens) <= (double)r->kv_blocks;
    }
    return fits && a->prompt_tokens > 0 && a->output_tokens > 0 && tokens <= c->pools[0].replica.max_tokens;
}

static void set_means(struct sample *w)
{
    double n = (double)w->count, prompts = 0, outputs = 0;
    for (size_t i = 0; i < w->count; i++) {
        prompts += w->prompts[i];
        outputs += w->outputs[i];
    }
    w->prompt = prompts / n;
    w->output = outputs / n;
    w->max_output /= n;
}

static int take_sample(const struct scenario *s, struct sample *out, struct error *err)
{
    struct request_source source;
    struct arrival a;
    double squares = 0;
    size_t offered = 0;
    sim_time first = 0, last = 0, end = 0;
    int got = 0;
    *out = (struct sample){0};
    if (scenario_open_workload(s, &source, err))
        return -1;
    bool waits = source.finished != NULL;
    for (; !waits && offered < SAMPLE && (got = source.next(source.state, &a, err)) == 1; offered++) {
        end = a.at;
        if (!can_be_served(&s->cluster, &a))
            continue;
        double gap = sim_time_to_s(a.at - last);
        first = out->count ? first : a.at;
        squares += out->count ? gap * gap : 0;
        last = a.at;
        out->prompts[out->count] = a.prompt_tokens;
        out->outputs[out->count++] = a.output_tokens;
        out->max_output += a.max_output_tokens;
    }
    request_source_destroy(&source);
    if (got < 0)
        return -1;
    if (waits || got == SOURCE_WAITS || offered < 2 || end == 0)
        return error_set(err, ERROR_INPUT, "workload: expected arrivals at a rate, found a closed loop or a batch job");
    out->offered_per_s = ((double)offered - 1) / sim_time_to_s(end);
    out->rate_per_s = out->offered_per_s * (double)out->count / (double)offered;
    double gaps = (double)out->count - 1, mean = sim_time_to_s(last - first) / gaps;
    out->arrival_scv = gaps >= 1 && mean > 0 ? squares / gaps / (mean * mean) - 1 : 1;
    set_means(out);
    return 0;
}

/* Seconds of an iteration of so many decodes, each over `kv` tokens, and one chunk of a prompt. */
static double iteration_s(const struct served *p, double decodes, double kv, double chunk)
{
    struct request r = {.prompt_tokens = (uint32_t)fmax(1, chunk)};
    struct batch_item item = {.req = &r, .new_tokens = (uint32_t)fmax(1, round(chunk))};
    struct batch b = {.decodes = (uint32_t)round(decodes),
                      .decode_kv = (uint64_t)(round(decodes) * kv),
                      .decode_longest = (uint64_t)kv,
                      .items = &item,
                      .count = chunk >= 0.5};
    if (b.decodes == 0 && b.count == 0)
        return 0;
    double seconds = 0;
    for (size_t stage = 0; stage <= p->stages->count; stage++) {
        struct iteration_cost cost = {0};
        cost_model_iteration(stage ? &p->stages->costs[stage - 1] : p->cost, &b, &cost);
        seconds += fine_to_ns(cost.total) * 1e-9;
    }
    return seconds;
}

/* Between whole numbers of decodes, so that a fixed point can be found. */
static double smooth_s(const struct served *p, double decodes, double kv, double chunk)
{
    double low = floor(decodes), share = decodes - low;
    return (1 - share) * iteration_s(p, low, kv, chunk) + share * iteration_s(p, low + 1, kv, chunk);
}

static struct batch_limits limits_of(const struct replica_config *c)
{
    return batching_policy_limits(c->batching, c->batching_params, c->max_tokens);
}

/* KV tokens that a request holds while it decodes, on average; all that it may need where that is set aside for it. */
static double kv_held(const struct replica_config *config, const struct sample *w)
{
    return w->prompt + (config->admission == ADMIT_RESERVE_MAX ? w->max_output : w->output / 2);
}

static struct served served_by(const struct pool *pool, const struct pool_config *c, const struct sample *w)
{
    const struct replica_config *config = &c->replica;
    struct batch_limits limits = limits_of(config);
    struct kv_layout layout = replica_kv_layout(config);
    double fits = (double)config->kv_blocks * config->kv_block_tokens / (double)c->tied /
                  kv_layout_group_tokens(&layout, kv_held(config, w));
    return (struct served){.cost = &pool->cost,
                           .stages = &pool->stages,
                           .config = config,
                           .replicas = (double)pool_replicas(c),
                           .most_sequences = fmax(1, fmin((double)limits.sequences, fits)),
                           .token_budget = (double)limits.budget};
}

/* Mean seconds between two tokens of B decodes on a replica that gets `rate`, INFINITY where it cannot keep up. With a
 * token budget a share f of the iterations are filled up with prompt tokens, as many as come, and the others hold
 * decodes alone; without one, prompts run alone and decodes stand still meanwhile. */
static double token_s(const struct served *p, double batch, double kv, double rate, double prompt, double t)
{
    double alone = smooth_s(p, batch, kv, 0);
    if (prompt == 0)
        return alone;
    if (p->token_budget == 0) {
        double busy = rate * p->prompt_alone_s;
        return busy < 1 ? alone / (1 - busy) : INFINITY;
    }
    double room = p->token_budget - batch, filled = rate * prompt * t / room;
    return room >= 1 && filled <= 1 ? (1 - filled) * alone + filled * smooth_s(p, batch, kv, room) : INFINITY;
}

/* The decode batch of a replica that gets `rate`: INFINITY where it would grow without end. `prompt` 0: prompts are
 * read elsewhere. */
static double batch_at(const struct served *p, const struct sample *w, double rate, double prompt, double *iteration)
{
    double kv = w->prompt + w->output / 2, t = iteration_s(p, 1, kv, 0);
    for (int i = 0; i < 500; i++) {
        double b = rate * w->output * t, next = token_s(p, b, kv, rate, prompt, t);
        if (b > p->most_sequences || !isfinite(next))
            return INFINITY;
        if (fabs(next - t) < 1e-6 * t)
            break;
        t = next;
    }
    *iteration = t;
    return rate * w->output * t;
}

/* The largest rate of a replica at which the batch stays finite. */
static double capacity_of(const struct served *p, const struct sample *w, double prompt)
{
    double low = 0, high = 1, t;
    while (isfinite(batch_at(p, w, high, prompt, &t)) && high < 1e9)
        high *= 2;
    while (high - low > 1e-3 * high) {
        double middle = (low + high) / 2;
        *(isfinite(batch_at(p, w, middle, prompt, &t)) ? &low : &high) = middle;
    }
    return high;
}

/* Seconds that a prompt takes once it is served, next to a batch of decodes. */
static double prompt_s(const struct served *p, const struct sample *w, double tokens, double batch)
{
    double kv = w->prompt + w->output / 2;
    if (p->token_budget == 0)
        return iteration_s(p, 0, 0, tokens);
    double room = fmax(1, p->token_budget - batch), whole = floor(tokens / room), rest = tokens - whole * room;
    double full = whole > 0 ? smooth_s(p, batch, kv, room) : 0;
    return whole * full + (rest >= 1 ? smooth_s(p, batch, kv, rest) : 0);
}

static int compare_doubles(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Wait and own time of prompts at a replica that gets `rate` and decodes a batch meanwhile. */
static void first_token(const struct served *p, const struct sample *w, double rate, double batch, double iteration,
                        struct analytic_estimate *out)
{
    enum { LOOKED_AT = 400 };
    double service[LOOKED_AT], sum = 0, squares = 0;
    size_t n = w->count < LOOKED_AT ? w->count : LOOKED_AT;
    for (size_t i = 0; i < n; i++) {
        service[i] = prompt_s(p, w, w->prompts[i * w->count / n], batch);
        sum += service[i];
        squares += service[i] * service[i];
    }
    /* cppcheck-suppress uninitvar; a sample has requests */
    qsort(service, n, sizeof *service, compare_doubles);
    double mean = sum / (double)n, busy = rate * mean;
    out->service_s = mean;
    out->service_scv = squares / (double)n / (mean * mean) - 1;
    double queue = p->pooled ? p->replicas : 1; /* servers of one queue */
    out->wait_s = theory_ggc_wait_s(queue * rate, 1 / mean, (unsigned)queue, w->arrival_scv, out->service_scv);
    out->formula = "Allen-Cunneen";
    /* Whoever comes waits for what runs to end, half of it on average; waits that are not 0 are about exponential. */
    out->ttft_s = iteration / 2 + out->wait_s + mean;
    double long_wait = busy > 0.01 && busy < 1 ? out->wait_s / busy * log(100 * busy) : busy < 1 ? 0 : INFINITY;
    out->ttft_p99_s = iteration + fmax(out->wait_s + service[(size_t)(0.99 * (double)(n - 1))], mean + long_wait);
}

/* Batches that are served whole: prompts together, then as many iterations as the longest output has tokens. */
struct bulk {
    const struct served *p;
    const struct sample *w;
    double prefill_s; /* of the batch asked for last */
};

static unsigned bulk_seconds(const void *model, unsigned size, double *seconds, double *probability)
{
    const struct bulk *b = model;
    for (unsigned k = 0; k < BULK_DRAWS; k++) {
        double prompts = 0, longest = 0, kv = 0;
        for (unsigned i = 0; i < size; i++) {
            size_t which = (size_t)(random_mix((uint64_t)k * 1000003 + i) % b->w->count);
            prompts = fmax(prompts, b->w->prompts[which]); /* rows are padded */
            longest = fmax(longest, b->w->outputs[which]);
            kv += b->w->prompts[which] + b->w->outputs[which] / 2.0;
        }
        seconds[k] = iteration_s(b->p, 0, 0, prompts * size) + (longest - 1) * iteration_s(b->p, size, kv / size, 0);
        probability[k] = 1.0 / BULK_DRAWS;
    }
    return BULK_DRAWS;
}

static void whole_batches(const struct served *p, const struct sample *w, double rate, struct analytic_estimate *out)
{
    struct bulk bulk = {.p = p, .w = w};
    double seconds[BULK_DRAWS], probability[BULK_DRAWS], mean = 0;
    unsigned most = (unsigned)fmin(BULK_MOST, p->most_sequences);
    double size = (double)limits_of(p->config).least;
    unsigned least = size > 0 ? (unsigned)fmin(BULK_MOST, size) : 1;
    most = size > 0 ? least : most;
    bulk_seconds(&bulk, most, seconds, probability);
    for (unsigned k = 0; k < BULK_DRAWS; k++)
        mean += seconds[k] / BULK_DRAWS;
    out->capacity_per_s = most / mean;
    out->wait_s = theory_bulk_wait_s(rate, least, most, bulk_seconds, &bulk);
    out->formula = "M/G^(a,b)/1";
    out->batch = fmin(most, fmax(least, rate * mean));
    double own = iteration_s(p, 0, 0, w->prompt * out->batch);
    out->service_s = mean;
    out->service_scv = 0;
    out->tpot_s = iteration_s(p, out->batch, w->prompt + w->output / 2, 0);
    out->ttft_s = out->wait_s + own;
    out->ttft_p99_s = out->ttft_s + log(100) * out->wait_s;
}

static double mean_prompt_s(const struct served *p, const struct sample *w)
{
    enum { LOOKED_AT = 200 };
    double sum = 0;
    size_t n = w->count < LOOKED_AT ? w->count : LOOKED_AT;
    for (size_t i = 0; i < n; i++)
        sum += iteration_s(p, 0, 0, w->prompts[i * w->count / n]);
    return sum / (double)n;
}

static void continuous_batches(const struct served *prefill, const struct served *decode, const struct sample *w,
                               struct analytic_estimate *out)
{
    bool apart = prefill->cost != decode->cost;
    double rate = w->rate_per_s / decode->replicas, prompt = apart ? 0 : w->prompt, iteration = NAN;
    double prefill_rate = w->rate_per_s / prefill->replicas;
    out->capacity_per_s = decode->replicas * capacity_of(decode, w, prompt);
    out->batch = batch_at(decode, w, rate, prompt, &iteration);
    out->tpot_s = isfinite(out->batch) ? iteration : INFINITY;
    out->service_s = out->service_scv = NAN;
    if (apart || isfinite(out->batch))
        first_token(prefill, w, prefill_rate, apart ? 0 : out->batch, apart ? 0 : iteration, out);
    else
        out->wait_s = out->ttft_s = out->ttft_p99_s = INFINITY;
    if (apart)
        out->capacity_per_s = fmin(out->capacity_per_s, prefill->replicas / out->service_s);
    if (out->formula == NULL)
        out->formula = "no steady state";
}

/* Where a router has replicas of several kinds to choose among, only what all of them can serve together is known, if
 * each gets what it can take. */
static void several_kinds(const struct scenario *s, const struct sample *w, struct analytic_estimate *out)
{
    const struct cluster_config *c = &s->cluster;
    double steps[MOST_STEPS] = {0};
    for (size_t i = 0; i < c->pool_count; i++) {
        struct served p = served_by(&s->pools[i], &c->pools[i], w);
        bool second = i >= c->routers[0].pools, apart = c->step_count > 1;
        p.prompt_alone_s = mean_prompt_s(&p, w);
        steps[second] +=
            p.replicas * (apart && !second ? 1 / p.prompt_alone_s : capacity_of(&p, w, apart ? 0 : w->prompt));
    }
    out->capacity_per_s = c->step_count > 1 ? fmin(steps[0], steps[1]) : steps[0];
    out->formula = "several kinds of replicas: what they serve together";
    out->batch = out->tpot_s = out->service_s = out->service_scv = out->wait_s = out->ttft_s = out->ttft_p99_s = NAN;
}

/* Arrivals at a place that a share of the requests comes to, each by chance. */
struct arrivals {
    double rate_per_s, scv;
};

static struct arrivals thinned(struct arrivals all, double share)
{
    return (struct arrivals){all.rate_per_s * share, share * all.scv + 1 - share};
}

/* The share of requests that no station before this one has answered; NAN where the run will tell. */
static double share_at(const struct cluster_config *c, size_t station)
{
    double share = 1;
    for (size_t i = 0; i < station && i < c->delays_before; i++)
        share *= 1 - c->delays[i].answered;
    return share;
}

/* Mean time at a delay station, and the most that it lets through. */
static double stay_s(const struct delay_config *d, struct arrivals a, double *most_per_s)
{
    double mean = duration_mean_s(&d->service);
    *most_per_s = mean > 0 && d->servers > 0 ? (double)d->servers / mean : INFINITY;
    return isfinite(*most_per_s) ? mean + theory_ggc_wait_s(a.rate_per_s, 1 / mean, (unsigned)d->servers, a.scv,
                                                            duration_scv(&d->service))
                                 : mean;
}

/* Time at delay stations before serving comes before that for the first token, time after it after the last one. Until
 * then the estimate is of the requests that reach a replica; `all` arrive. */
static void add_delays(const struct cluster_config *c, struct arrivals all, const struct sample *w,
                       struct analytic_estimate *out)
{
    double before_s = 0, after_s = 0, served = share_at(c, c->delay_count);
    out->serving_per_s = out->capacity_per_s;
    out->capacity_per_s /= served;
    for (size_t i = 0; i < c->delay_count; i++) {
        double most_per_s = 0, share = share_at(c, i), stay = stay_s(&c->delays[i], thinned(all, share), &most_per_s);
        *(i < c->delays_before ? &before_s : &after_s) += share * stay;
        if (!isnan(out->capacity_per_s))
            out->capacity_per_s = fmin(out->capacity_per_s, most_per_s / share);
        if (i < c->delays_before)
            out->ttft_p99_s = NAN;
    }
    out->e2e_s = before_s + served * (out->ttft_s + (w->output - 1) * out->tpot_s) + after_s;
    out->ttft_s = before_s + served * out->ttft_s;
}

/* No formula knows how many requests go where. */
static void no_formula(struct analytic_estimate *out, const char *why)
{
    out->formula = why;
    out->capacity_per_s = out->batch = out->tpot_s = out->service_s = out->service_scv = out->wait_s = out->ttft_s =
        out->ttft_p99_s = NAN;
}

static void nothing_is_served(struct analytic_estimate *out)
{
    out->capacity_per_s = INFINITY;
    out->formula = "nothing is served";
    out->tpot_s = out->service_s = out->service_scv = out->wait_s = out->ttft_s = out->ttft_p99_s = out->e2e_s = NAN;
}

int analytic_of(const struct scenario *s, struct analytic_estimate *out, struct error *err)
{
    struct sample *w = malloc(sizeof *w);
    if (!w)
        return error_no_memory(err);
    *out = (struct analytic_estimate){0};
    if (take_sample(s, w, err)) {
        free(w);
        return -1;
    }
    const struct cluster_config *c = &s->cluster;
    out->rate_per_s = w->offered_per_s;
    out->served_share = w->rate_per_s / w->offered_per_s;
    if (w->count == 0) {
        nothing_is_served(out);
        free(w);
        return 0;
    }
    const struct arrivals all = {w->rate_per_s, w->arrival_scv}, served = thinned(all, share_at(c, c->delay_count));
    w->rate_per_s = served.rate_per_s;
    w->arrival_scv = served.scv;
    const struct pool_config *last = cluster_decode_pool(c);
    struct served prefill = served_by(&s->pools[0], &c->pools[0], w);
    struct served decode = served_by(&s->pools[last - c->pools], last, w);
    prefill.pooled = c->routers[0].policy->central || c->routers[0].policy->rank;
    prefill.prompt_alone_s = mean_prompt_s(&prefill, w);
    decode.prompt_alone_s = prefill.prompt_alone_s;
    if (c->routers[0].choice.by != CHOOSE_ANY || c->routers[1].choice.by != CHOOSE_ANY) {
        no_formula(out, "none for a choice of pools");
    } else if (!(share_at(c, c->delay_count) > 0)) {
        no_formula(out, "none where a cache knows answers by prompt");
    } else if (c->pool_count > c->step_count) {
        several_kinds(s, w, out);
    } else if (c->pools[0].replica.batching->holds_finished_kv) {
        whole_batches(&prefill, w, w->rate_per_s / prefill.replicas, out);
        out->capacity_per_s *= prefill.replicas;
    } else {
        continuous_batches(&prefill, &decode, w, out);
    }
    add_delays(c, all, w, out);
    out->utilization = all.rate_per_s / out->capacity_per_s;
    out->capacity_per_s /= out->served_share; /* requests that are refused take nothing of it */
    out->serving_per_s /= out->served_share;
    free(w);
    return 0;
}

int analytic_capacity_per_s(const struct scenario *s, double *out, double *serving_per_s, struct error *err)
{
    struct analytic_estimate e = {0};
    struct error own = {0};
    bool none = analytic_of(s, &e, &own) || isinf(e.capacity_per_s);
    *serving_per_s = none ? NAN : e.serving_per_s;
    *out = none ? NAN : e.capacity_per_s;
    if (!error_is_of_machine(&own))
        return 0;
    *err = own;
    return -1;
}

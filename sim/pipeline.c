/* SPDX-License-Identifier: MIT */
#include "sim/pipeline.h"

#include <stdlib.h>

int pipeline_init(struct pipeline *p, size_t stages, const struct executor *executors, const struct pipeline_link *link)
{
    *p = (struct pipeline){.stages = stages, .executors = executors, .link = *link};
    p->free_at = calloc(stages, sizeof *p->free_at);
    p->work = calloc(stages * stages, sizeof *p->work);
    return p->free_at && p->work ? 0 : -1;
}

void pipeline_release(struct pipeline *p)
{
    free(p->free_at);
    free(p->work);
    p->free_at = NULL;
    p->work = NULL;
}

static sim_time sending(const struct pipeline *p, const struct batch *batch)
{
    double bytes = p->link.bytes_per_token * (double)batch_padded_tokens(batch);
    return p->link.latency + sim_time_from_s(bytes / p->link.bytes_per_s);
}

static void add_parts(struct iteration_cost *sum, const struct iteration_cost *stage, fine_time *prefill)
{
    *prefill += stage->total - stage->decode_alone;
    for (int i = 0; i < COST_SOURCES; i++)
        sum->by[i] += stage->by[i];
}

/* Time that is neither prefill nor decodes of its own is waiting for stages, which the decodes would do alone, too. */
static void close_sum(struct iteration_cost *out, sim_time total, fine_time prefill)
{
    fine_time left = out->total = (fine_time)total << FINE_BITS; /* rounded down, so the parts may be more */
    for (int i = 0; i < COST_SOURCES; i++) {
        out->by[i] = out->by[i] < left ? out->by[i] : left;
        left -= out->by[i];
    }
    out->decode_alone = out->total > prefill ? out->total - prefill : 0;
    out->steady = 1;
}

static void note_active(struct pipeline *p, sim_time end)
{
    if (p->now >= p->empty_at) {
        p->active += p->empty_at - p->active_from;
        p->active_from = p->now;
    }
    p->empty_at = end > p->empty_at ? end : p->empty_at;
}

static void run(void *state, const struct batch *batch, struct iteration_cost *out)
{
    struct pipeline *p = state;
    sim_time at = p->now;
    fine_time prefill = 0;
    struct stage_work *work = &p->work[p->started++ % p->stages * p->stages];
    *out = (struct iteration_cost){0};
    for (size_t s = 0; s < p->stages; s++) {
        struct iteration_cost cost;
        p->executors[s].run(p->executors[s].state, batch, &cost);
        sim_time start = at > p->free_at[s] ? at : p->free_at[s], lasts = (sim_time)(cost.total >> FINE_BITS);
        p->busy += lasts;
        work[s] = (struct stage_work){start, start + lasts};
        p->free_at[s] = start + lasts;
        at = start + lasts + (s + 1 < p->stages ? sending(p, batch) : 0);
        add_parts(out, &cost, &prefill);
    }
    note_active(p, at);
    close_sum(out, at - p->now, prefill);
}

void pipeline_stop(struct pipeline *p, sim_time now)
{
    for (size_t i = 0; i < p->stages * p->stages; i++) {
        struct stage_work *w = &p->work[i];
        if (w->end > now)
            p->busy -= w->end - (w->start > now ? w->start : now);
        *w = (struct stage_work){0, 0};
    }
    for (size_t s = 0; s < p->stages; s++)
        p->free_at[s] = now;
    p->empty_at = p->empty_at < now ? p->empty_at : now;
}

/* Through empty stages. */
static void predict(void *state, const struct batch *batch, struct iteration_cost *out)
{
    const struct pipeline *p = state;
    sim_time total = 0;
    fine_time prefill = 0;
    *out = (struct iteration_cost){0};
    for (size_t s = 0; s < p->stages; s++) {
        struct iteration_cost cost;
        p->executors[s].predict(p->executors[s].state, batch, &cost);
        total += (sim_time)(cost.total >> FINE_BITS) + (s + 1 < p->stages ? sending(p, batch) : 0);
        add_parts(out, &cost, &prefill);
    }
    close_sum(out, total, prefill);
}

struct executor pipeline_executor(struct pipeline *p)
{
    struct executor e = {.run = run, .predict = predict, .state = p};
    for (size_t s = 0; s < p->stages; s++) {
        e.sees_longest = e.sees_longest || p->executors[s].sees_longest;
        if (!p->executors[s].predict)
            e.predict = NULL;
    }
    return e;
}

struct bubbles pipeline_bubbles(const struct pipeline *p)
{
    double active = sim_time_to_s(p->active + p->empty_at - p->active_from) * (double)p->stages;
    return (struct bubbles){.idle_s = active - sim_time_to_s(p->busy), .active_s = active};
}

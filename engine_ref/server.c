/* SPDX-License-Identifier: MIT */
#include "engine_ref/server.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine_ref/safetensors.h"
#include "engine_ref/workers.h"

enum { USUAL_ROWS = 16384, MOST_SEQUENCES = 1024 };

static int refuse(const struct scenario *s, struct error *err)
{
    const struct cluster_config *c = &s->cluster;
    bool tensor = false, stages = false, ranks = false, swaps = false;
    for (size_t i = 0; i < c->pool_count; i++) {
        tensor |= s->pools[i].cost.parallel.tensor > 1;
        stages |= s->pools[i].stages.count > 0;
        ranks |= c->pools[i].ranks > 1;
        swaps |= c->pools[i].replica.swap.blocks > 0;
    }
    const struct {
        bool asked;
        const char *what;
    } cases[] = {
        {c->delay_count > 0, "a pool of a kind other than \"replica\""},
        {c->pool_count > c->step_count, "several pools in one step of its flow"},
        {cluster_decoders_may_fail(c),
         "failures in a pool that decodes: tokens do not go back to the engine that prefills"},
        {tensor, "tensor_parallel above 1"},
        {stages, "pipeline_parallel above 1"},
        {ranks, "data_parallel above 1"},
        {c->pools[0].replica.prefix_caching, "policy.prefix_caching"},
        {swaps, "swap preemption"},
        {cJSON_GetArraySize(json_member(&s->root, "techniques").node) > 0, "techniques"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        if (cases[i].asked)
            return error_set(err, ERROR_INPUT, "%s: the engine serves no scenario with %s", s->name, cases[i].what);
    return 0;
}

/* Padded rows may be longer than any request, but not than the pool. */
static uint32_t longest_row(const struct scenario *s, const struct replica_config *c)
{
    uint64_t pool = c->kv_blocks * c->kv_block_tokens, most = 2 * (uint64_t)scenario_cost(s)->model.max_tokens;
    return (uint32_t)(pool < most ? pool : most);
}

static struct engine_limits limits_of(const struct scenario *s, const struct replica_config *c, size_t blocks,
                                      const struct server_options *o)
{
    return (struct engine_limits){.block_tokens = c->kv_block_tokens,
                                  .blocks = blocks + (o->reference ? REFERENCE_BLOCKS : 0),
                                  .rows = o->rows ? o->rows : USUAL_ROWS,
                                  .outputs = MOST_SEQUENCES,
                                  .max_tokens = longest_row(s, c),
                                  .threads = o->threads ? o->threads : workers_usual(),
                                  .temperature = o->temperature};
}

void server_limits(const struct scenario *s, const struct server_options *o, struct engine_limits out[2])
{
    const struct cluster_config *c = &s->cluster;
    const struct pool_config *one = &c->pools[0], *two = c->step_count > 1 ? &c->pools[1] : NULL;
    size_t blocks = one->replica.kv_blocks * one->stations, others = two ? two->replica.kv_blocks * two->stations : 0;
    /* The loop gives a prefill replica its blocks back when they have been sent; the engine when the request joins. */
    out[0] = limits_of(s, &one->replica, blocks + others, o);
    out[1] = limits_of(s, two ? &two->replica : &one->replica, others, o);
}

static int open_engine(struct server *server, const struct scenario *s, const struct engine_limits *limits,
                       const struct server_options *o, const struct backend *backend, struct error *err)
{
    size_t i = server->engines_open++;
    struct instance *e = o->engines ? o->engines[i] : &server->engines[i];
    if (!o->engines && instance_create(e, o->weights ? o->weights : &server->weights, backend, limits, s->seed, err))
        return -1;
    server->engine_count += !o->engines;
    server->executors[i] = (struct engine_executor){.port = instance_port(e),
                                                    .instance = e,
                                                    .pace = o->pace,
                                                    .cpu_time = o->cpu_time,
                                                    .reference = o->reference,
                                                    .log = o->logs ? &o->logs[i] : NULL};
    return 0;
}

static int start_peer(struct server *server, const struct scenario *s, const struct engine_limits *limits,
                      const struct server_options *o, const struct backend *backend, struct error *err)
{
    if (peer_start(&server->peer, o->weights ? o->weights : &server->weights, backend, limits, s->seed, o->peer, err))
        return -1;
    server->executors[1] = (struct engine_executor){.port = peer_port(server->peer),
                                                    .pace = o->pace,
                                                    .cpu_time = o->cpu_time,
                                                    .log = o->logs ? &o->logs[1] : NULL};
    return 0;
}

static int open_engines(struct server *server, struct scenario *s, const struct server_options *o,
                        const struct backend *backend, struct error *err)
{
    struct cluster_config *c = &s->cluster;
    struct pool_config *one = &c->pools[0], *two = c->step_count > 1 ? &c->pools[1] : NULL;
    struct engine_limits limits[2];
    server_limits(s, o, limits);
    if (o->peer != PEER_NONE && (!two || c->mixed.asked))
        return error_set(err, ERROR_INPUT,
                         "%s: has no engine that could be in a process of its own: its placement is not "
                         "\"disaggregated\" with pools that do one thing each",
                         s->name);
    if (o->peer != PEER_NONE && start_peer(server, s, &limits[1], o, backend, err))
        return -1;
    if (open_engine(server, s, &limits[0], o, backend, err))
        return -1;
    one->executor = engine_executor(&server->executors[0]);
    if (!two)
        return 0;
    if (o->peer == PEER_NONE && open_engine(server, s, &limits[1], o, backend, err))
        return -1;
    server->executors[0].moves_to = &server->executors[1];
    two->executor = engine_executor(&server->executors[1]);
    return 0;
}

/* What the scenario would have been simulated on has no part in it, nor has its peak. */
static void name_device(struct device *d, const struct backend *backend)
{
    snprintf(d->name, sizeof d->name, "engine (%s)", backend->name);
    snprintf(d->source, sizeof d->source, "the engine's own steps, on the wall clock");
    for (int i = 0; i < DTYPE_COUNT; i++)
        d->peak_flops[i] = 0;
}

static int make_weights(struct server *server, const struct scenario *s, const struct server_options *o,
                        struct error *err)
{
    if (weights_create(&server->weights, &scenario_cost(s)->model, false, err))
        return -1;
    int status = o->weights_file ? safetensors_load(&server->weights, o->weights_file, err)
                                 : weights_fill(&server->weights, s->seed, err);
    if (status)
        server_close(server);
    return status;
}

int server_open(struct server *server, struct scenario *s, const struct server_options *o, struct error *err)
{
    *server = (struct server){0};
    const struct backend *backend = backend_find(o->backend, err);
    if (!backend)
        return -1;
    if (refuse(s, err) || (!o->weights && make_weights(server, s, o, err)))
        return -1;
    s->cluster.step = true;
    for (size_t i = 0; i < s->cluster.pool_count; i++) {
        s->cluster.pools[i].replica.schedule_ahead = false;
        name_device(&s->pools[i].cost.device, backend);
        s->pools[i].cost.estimated = false; /* what an iteration takes is measured */
    }
    if (open_engines(server, s, o, backend, err)) {
        server_close(server);
        return -1;
    }
    return 0;
}

void server_close(struct server *server)
{
    for (size_t i = 0; i < server->engine_count; i++)
        instance_release(&server->engines[i]);
    peer_stop(server->peer);
    weights_release(&server->weights);
    *server = (struct server){0};
}

struct observer server_observer(struct server *server)
{
    return engine_observer(&server->executors[0]);
}

int server_error(const struct server *server, struct error *err)
{
    for (size_t i = 0; i < sizeof server->executors / sizeof *server->executors; i++)
        if (server->executors[i].error.code != ERROR_NONE) {
            *err = server->executors[i].error;
            return -1;
        }
    return 0;
}

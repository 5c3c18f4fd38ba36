/* SPDX-License-Identifier: MIT */
/* harness.h — runs scenarios written as text, and steps one replica by hand. */
#ifndef TANDEM_TESTS_HARNESS_H
#define TANDEM_TESTS_HARNESS_H

/* cmocka wants these first. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sim/replica_parts.h"
#include "simulation/simulation.h"

#define DATA "../shared/data/"

static inline void expect_ok(int status, const struct error *err)
{
    if (status != 0)
        fail_msg("%s", err->text);
}

/* Opens a scenario given as JSON text. Close it with simulation_close. */
static inline struct simulation *open_simulation(const char *text)
{
    struct error err = {0};
    struct json root;
    struct simulation *s = NULL;
    expect_ok(json_parse(text, "test", &root, &err), &err);
    expect_ok(simulation_open(root, &s, &err), &err);
    return s;
}

/* A scenario given as JSON text is refused with these words. */
static inline void expect_scenario_refused(const char *text, const char *words)
{
    struct error err = {0};
    struct json root;
    struct simulation *s = NULL;
    expect_ok(json_parse(text, "test", &root, &err), &err);
    assert_int_equal(simulation_open(root, &s, &err), -1);
    if (!strstr(err.text, words))
        fail_msg("%s: %s", text, err.text);
}

/* Runs a scenario given as JSON text to its end. */
static inline void run_scenario(const char *text, struct run_summary *out)
{
    struct error err = {0};
    struct simulation *s = open_simulation(text);
    expect_ok(simulation_run(s, NULL, &err), &err);
    *out = s->summary;
    simulation_close(s);
}

/* One replica whose iterations take 1 µs each, with an observer that does nothing. */
struct bench_replica {
    struct replica *replica;
    struct param_set params;
    struct request requests[16];
    uint64_t preempted[32], finished[32]; /* ids in order */
    size_t preempted_count, finished_count;
    struct observer observer;
    sim_time now;
    bool predicted;             /* outputs are, of those who arrive from now on */
    bool prefix_caching, ahead; /* these and the next are set before bench_init, which keeps them */
    const char *order;          /* with its defaults; NULL: first come, first served */
    struct param_set order_params;
    struct swap_space swap;
    struct kv_groups kv_groups; /* all 0: no layer has a window */
    uint32_t step_tokens;
};

static inline void one_microsecond(void *state, const struct batch *batch, struct iteration_cost *out)
{
    (void)state, (void)batch;
    *out = (struct iteration_cost){.total = 1000 << FINE_BITS,
                                   .decode_alone = 1000 << FINE_BITS,
                                   .steady = STABLE_FOREVER};
}

static inline void note_arrival(void *state, struct station_id station, const struct request *r)
{
    (void)state, (void)station, (void)r;
}

static inline void note_scheduled(void *state, struct station_id station, const struct request *r)
{
    (void)state, (void)station, (void)r;
}

static inline void note_preempted(void *state, struct station_id station, const struct request *r)
{
    struct bench_replica *b = state;
    (void)station;
    b->preempted[b->preempted_count++ % 32] = r->id;
}

static inline void note_finished(void *state, struct station_id station, const struct request *r)
{
    struct bench_replica *b = state;
    (void)station;
    b->finished[b->finished_count++ % 32] = r->id;
}

static inline void note_iteration(void *state, const struct iteration_record *record)
{
    (void)state, (void)record;
}

static inline void note_gap(void *state, sim_time at, sim_time gap, uint64_t count)
{
    (void)state, (void)at, (void)gap, (void)count;
}

/* `spec` is the policy's JSON; blocks hold 4 tokens. */
static inline void bench_init(struct bench_replica *b, const char *spec, uint64_t kv_blocks)
{
    struct error err = {0};
    static struct json root; /* parameters may point into it */
    cJSON_Delete((cJSON *)(uintptr_t)root.node);
    root.node = NULL;
    *b = (struct bench_replica){.prefix_caching = b->prefix_caching,
                                .ahead = b->ahead,
                                .order = b->order,
                                .swap = b->swap,
                                .kv_groups = b->kv_groups,
                                .step_tokens = b->step_tokens};
    expect_ok(json_parse(spec, "test", &root, &err), &err);
    const char *name = NULL;
    expect_ok(json_read_string(&root, "name", true, &name, &err), &err);
    const struct batching_policy *policy = batching_policy_find(name);
    assert_non_null(policy);
    expect_ok(param_set_read(&b->params, policy->params, &root, &err), &err);
    struct json nothing = {0};
    if (b->order)
        expect_ok(param_set_read(&b->order_params, order_policy_find(b->order)->params, &nothing, &err), &err);
    struct replica_config config = {.batching = policy,
                                    .batching_params = &b->params,
                                    .order = b->order ? order_policy_find(b->order) : NULL,
                                    .order_params = &b->order_params,
                                    .admission = policy->admission,
                                    .kv_block_tokens = 4,
                                    .kv_groups = b->kv_groups,
                                    .step_tokens = b->step_tokens,
                                    .kv_blocks = kv_blocks,
                                    .max_tokens = 1000,
                                    .swap = b->swap,
                                    .prefix_caching = b->prefix_caching,
                                    .schedule_ahead = b->ahead,
                                    .step = true};
    b->observer = (struct observer){.state = b,
                                    .arrived = note_arrival,
                                    .scheduled = note_scheduled,
                                    .preempted = note_preempted,
                                    .iterated = note_iteration,
                                    .gap = note_gap,
                                    .finished = note_finished};
    const struct replica_place place = {0};
    expect_ok(replica_create(&b->replica, &place, &config, (struct executor){.run = one_microsecond}, &b->observer,
                             &err),
              &err);
    cJSON_Delete((cJSON *)(uintptr_t)root.node);
    root.node = NULL;
}

/* Request `id`, from 0 to 15, arrives now. */
static inline void bench_arrive_from(struct bench_replica *b, uint64_t id, uint32_t prompt, uint32_t output,
                                     struct origin origin)
{
    b->requests[id] = (struct request){.id = id,
                                       .arrival = b->now,
                                       .waiting_since = b->now,
                                       .entered = b->now,
                                       .prompt_tokens = prompt,
                                       .output_tokens = output,
                                       .max_output_tokens = output};
    b->requests[id].origin = origin;
    b->requests[id].predicted_tokens = b->predicted ? output : 0;
    assert_int_equal(replica_enqueue(b->replica, &b->requests[id], b->now), 0);
}

/* The same, from nobody in particular. */
static inline void bench_arrive(struct bench_replica *b, uint64_t id, uint32_t prompt, uint32_t output)
{
    bench_arrive_from(b, id, prompt, output, (struct origin){0});
}

static inline void bench_say(char *found, size_t size, const struct request *r, uint32_t tokens)
{
    size_t used = strlen(found);
    snprintf(found + used, size - used, "%s%llu:%u", used ? " " : "", (unsigned long long)r->id, tokens);
}

/* Forms and runs one iteration and compares what it held, as "id:tokens id:tokens …" ("" for none): first the
 * decodes that are taken together, in order of admission, then the others. */
static inline void bench_step(struct bench_replica *b, const char *expected)
{
    char found[512] = "";
    sim_time end = replica_start(b->replica, b->now);
    if (b->replica->busy) {
        const struct batch *batch = &b->replica->batch;
        for (const struct request *r = b->replica->running.head; batch->decodes && r; r = r->next)
            if (r->decode.in)
                bench_say(found, sizeof found, r, 1);
        for (size_t i = 0; i < batch->count; i++)
            bench_say(found, sizeof found, batch->items[i].req, batch->items[i].new_tokens);
        b->now = end;
        replica_finish(b->replica, end);
    }
    assert_string_equal(found, expected);
}

#endif

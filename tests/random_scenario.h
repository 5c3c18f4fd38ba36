/* SPDX-License-Identifier: MIT */
/* random_scenario.h — scenarios that reach the hard cases: every policy, KV pools small enough to preempt, budgets
 * smaller than the number of decodes, shared queues, block sizes that divide nothing, layers with windows. */
#ifndef TANDEM_TESTS_RANDOM_SCENARIO_H
#define TANDEM_TESTS_RANDOM_SCENARIO_H

#include <gsl/gsl_rng.h>
#include <stdio.h>
#include <string.h>

enum { RANDOM_REPLICAS_MAX = 4, RANDOM_STATIONS_MAX = 16 };

static inline unsigned below(gsl_rng *rng, unsigned limit)
{
    return (unsigned)gsl_rng_uniform_int(rng, limit);
}

/* Numbers that are drawn before they are used: in what order arguments are evaluated is the compiler's affair, and all
 * builds are to see the same scenarios. */
static inline void draw(gsl_rng *rng, unsigned *numbers, size_t count)
{
    for (size_t i = 0; i < count; i++)
        numbers[i] = below(rng, 1u << 30);
}

/* A cluster of two or three named pools, in one step of the flow or in two, now and then with delay stations before
 * them, after them, or both; one before them may be a response cache. */
struct random_pools {
    bool ranks, tied, split; /* attention ranks; pipelines; prefill and decode apart */
    bool fleet;              /* replicas come and go */
    bool cached;             /* a cache answers by chance, or by prefix where there are prefixes */
    unsigned devices;        /* the first so many of those below */
    char text[3200];
};

/* What a pool says itself of replicas that come and go; one that serves before another, or alone, may lose patience. */
static inline const char *random_fleet(gsl_rng *rng)
{
    static const char *const fleets[] = {
        "",
        "",
        ", \"failures\": {\"mtbf_s\": 3, \"mttr_s\": 0.4}",
        ", \"failures\": {\"mtbf_s\": 3, \"mttr_s\": 0.4, \"requests\": \"lost\"}",
        ", \"failures\": {\"schedule\": [{\"replica\": 0, \"at_s\": 0.3, \"for_s\": 0.5}]}, \"admission\": "
        "{\"most_waiting\": "
        "15}",
        ", \"autoscaling\": {\"policy\": {\"name\": \"concurrency\", \"target\": 4}, \"interval_s\": 0.1, "
        "\"cold_start_s\": 0.15, \"slow_down_s\": 0.1}",
        ", \"autoscaling\": {\"policy\": \"waiting\", \"interval_s\": 0.07, \"cold_start_s\": 0.05, \"slow_down_s\": "
        "0}, "
        "\"failures\": {\"mtbf_s\": 3, \"mttr_s\": 0.2}, \"admission\": {\"most_outstanding_tokens\": 9000}",
    };
    return fleets[below(rng, 7)];
}

/* What a cluster says of them. */
static inline const char *random_common_fleet(gsl_rng *rng)
{
    static const char *const fleets[] = {
        "",
        "",
        "",
        ", \"failures\": {\"mtbf_s\": 5, \"mttr_s\": 0.4}",
        ", \"failures\": {\"mtbf_s\": 5, \"mttr_s\": 1, \"requests\": \"lost\"}",
        ", \"failures\": {\"mtbf_s\": 5, \"mttr_s\": 0.4}, \"autoscaling\": {\"policy\": \"waiting\", \"interval_s\": "
        "0.07, "
        "\"cold_start_s\": 0.05, \"slow_down_s\": 0}, \"admission\": {\"most_waiting\": 20}",
        ", \"autoscaling\": {\"policy\": {\"name\": \"rate\", \"rate_per_s\": 10}, \"interval_s\": 0.1, "
        "\"cold_start_s\": "
        "0.15, \"slow_down_s\": 0.3}",
    };
    return fleets[below(rng, 7)];
}

/* What a cache says that answers by chance, and as many bytes of one that keeps answers. */
static const char random_hits[] = ", \"hit_ratio\": 0.3                   ";
static const char random_answers[] = ", \"entries\": 2, \"key\": \"prefix_group\"";

/* What is said of KV on its way from one step to the next; the last ones not with central_queue and mixed pools. */
static inline const char *random_wire(unsigned which, bool any)
{
    static const char *const wires[] = {
        "",
        ", \"only_lacking\": true",
        ", \"failing_share\": 0.2",
        ", \"only_lacking\": true, \"failing_share\": 0.2",
        ", \"first_token\": \"decode\"",
        ", \"first_token\": \"decode\", \"only_lacking\": true",
        ", \"first_token\": \"decode\", \"only_lacking\": true, \"local_below_tokens\": 60",
        ", \"local_below_tokens\": 30, \"failing_share\": 0.1"};
    return wires[which % (any ? 8 : 4)];
}

static inline void random_pools(gsl_rng *rng, struct random_pools *p, const char *routing, bool central)
{
    static const char *const devices[] = {"h100-sxm", "a100-80gb", "rtx-4090", "tests/data/tables.json"};
    static const char *const flows[] = {"\"a\", \"b\"", "[\"b\"], [\"a\", \"c\"]", "[\"c\", \"a\"], \"b\""};
    static const char *const steps[][2] = {
        {"[\"a\", \"b\"]", "[\"a\", \"b\", \"c\"]"},
        {"{\"by\": \"size\", \"to\": [\"b\", \"a\"], \"prompt_tokens\": [120]}",
         "{\"by\": \"size\", \"to\": [\"b\", \"a\", \"c\"], \"prompt_tokens\": [80, 200]}"},
        {"{\"by\": \"random\", \"to\": [\"a\", \"b\"], \"shares\": [1, 2]}",
         "{\"by\": \"priority\", \"to\": [\"c\", \"a\", \"b\"]}"}};
    static const char *const services[] = {"0", "0.03", "{\"name\": \"exponential\", \"mean\": 0.02}",
                                           "{\"name\": \"lognormal\", \"median\": 0.01, \"sigma\": 1}"};
    static const char *const servers[] = {"1", "3", "\"unlimited\""};
    unsigned count = 2 + below(rng, 2), flow = p->split ? count == 2 ? 0 : 1 + (central ? 0 : below(rng, 2)) : 0;
    size_t used = (size_t)snprintf(p->text, sizeof p->text, "\"pools\": {");
    for (unsigned i = 0; i < count; i++) {
        char shape[120] = "", blocks[40] = "";
        unsigned d[5];
        draw(rng, d, 5);
        if (p->ranks)
            snprintf(shape, sizeof shape, ", \"data_parallel\": 2, \"expert_parallel\": %u", 1 + below(rng, 2));
        else if (p->tied)
            snprintf(shape, sizeof shape, ", \"pipeline_parallel\": %u", 1 + below(rng, 3));
        if (below(rng, 2)) /* some hold few of the requests */
            snprintf(blocks, sizeof blocks, ", \"kv_blocks\": %u", 300 + d[4] % 1400);
        used +=
            (size_t)snprintf(p->text + used, sizeof p->text - used,
                             "%s\"%c\": {\"device\": \"%s\", \"replicas\": %u%s%s, \"batching\": {\"name\": \"%s\", "
                             "\"max_sequences\": %u}%s}",
                             i ? ", " : "", (int)('a' + i), devices[d[0] % p->devices],
                             1 + d[1] % (RANDOM_REPLICAS_MAX / 2), shape, blocks,
                             d[2] % 2 ? "chunked_prefill" : "unified_budget", 1 + d[3] % 24,
                             p->fleet ? random_fleet(rng) : "");
    }
    unsigned d[8];
    const char *before = "", *after = "";
    draw(rng, d, 8);
    if (d[3] % 3 == 0) {
        unsigned place = d[3] / 3 % 3;
        before = place == 1 ? "" : d[4] % 2 || place == 2 ? "\"y\", " : "\"y\", \"x\", ";
        after = place == 0 || (place == 2 && d[4] % 2) ? ""
                : place == 2                           ? ", \"x\""
                : d[4] % 2                             ? ", \"y\""
                                                       : ", \"y\", \"x\"";
        p->cached = before[0] && d[5] / 3 % 2;
        used += (size_t)snprintf(p->text + used, sizeof p->text - used,
                                 ", \"y\": {\"kind\": \"%s\", \"servers\": %s, \"%s\": %s%s}",
                                 p->cached ? "cache" : "delay", servers[d[5] % 3], p->cached ? "lookup_s" : "service_s",
                                 services[d[6] % 4], p->cached ? random_hits : "");
        if (d[4] % 2 == 0)
            used += (size_t)snprintf(p->text + used, sizeof p->text - used,
                                     ", \"x\": {\"kind\": \"delay\", \"servers\": %s, \"service_s\": %s}",
                                     servers[d[6] % 3], services[d[7] % 4]);
    }
    if (p->split)
        snprintf(p->text + used, sizeof p->text - used,
                 "}, \"flow\": [%s%s%s], \"routing\": [%s, \"%s\"], \"links\": {\"kv\": {\"bytes_per_s\": %u%s}}%s",
                 before, flows[flow], after, routing, d[0] % 2 ? "power_of_two" : "least_outstanding_tokens",
                 d[1] % 2 ? 2000000000 : 200000000, random_wire(d[1] / 2 + d[2] / 3, !central && d[2] % 3 != 0),
                 !central && d[2] % 3 == 0
                     ? ", \"mixed_pool\": {\"prefill_above_tokens\": 300, \"decode_above_tokens\": 500}"
                     : "");
    if (p->split)
        used += strlen(p->text + used);
    else
        used += (size_t)snprintf(p->text + used, sizeof p->text - used, "}, \"flow\": [%s%s%s], \"routing\": %s",
                                 before, steps[d[0] % 3 ? 0 : 1 + d[1] % 2][count - 2], after, routing);
    if (p->fleet)
        snprintf(p->text + used, sizeof p->text - used, "%s", random_common_fleet(rng));
}

/* Tiers below GPU memory, some of them too small or slow; `through`: they may be written with all that is computed. */
static inline void random_tiers(gsl_rng *rng, bool through, char *text, size_t size)
{
    static const char *const sharings[] = {"replica", "node", "cluster"}, *const evictions[] = {"lru", "lru", "fifo"};
    static const unsigned megabytes[] = {0, 20, 80, 5000}, bandwidths[] = {300, 3000, 25000};
    unsigned count = 1 + below(rng, 2), nodes = 1 + below(rng, 3);
    size_t used = (size_t)snprintf(text, size, ", \"nodes\": {\"gpus\": %u}, \"tiers\": {", nodes);
    for (unsigned i = 0; i < count; i++) {
        unsigned d[8];
        draw(rng, d, 8);
        used += (size_t)snprintf(
            text + used, size - used,
            "%s\"%s\": {\"bytes\": %ue6, \"shared_by\": \"%s\", \"read_bytes_per_s\": %ue6, \"latency_ns\": %u, "
            "\"discipline\": \"%s\", \"evict\": \"%s\", \"write\": \"%s\", \"load\": \"%s\"}",
            i ? ", " : "", i ? "store" : "host", megabytes[d[0] % 4], sharings[d[1] % 3], bandwidths[d[2] % 3],
            d[3] % 4 ? 10000 : 4000000, d[4] % 3 ? "shared" : "fifo", evictions[d[5] % 3],
            through && d[6] % 2 ? "through" : "evict", d[7] % 3 ? "always" : "faster");
    }
    snprintf(text + used, size - used, "}");
}

/* Whether an order keeps no account of what is served. */
static inline bool is_keyed(unsigned order)
{
    return order < 7 || order == 8 || order == 11;
}

/* Writes a scenario as JSON. */
static inline void random_scenario(gsl_rng *rng, char *text, size_t size)
{
    static const char *const policies[] = {
        "{\"name\": \"static_padded\", \"max_sequences\": %u, \"batch_wait_s\": 0.05}",
        "{\"name\": \"static_prepacked\", \"max_sequences\": %u, \"attention\": \"varlen\", \"packing\": \"optimal\"}",
        "{\"name\": \"continuous\", \"max_sequences\": %u}",
        "{\"name\": \"prefill_first\", \"max_sequences\": %u}",
        "{\"name\": \"chunked_prefill\", \"token_budget\": 64, \"max_sequences\": %u}",
        "{\"name\": \"chunked_prefill\", \"token_budget\": 4, \"max_sequences\": %u}",
        "{\"name\": \"unified_budget\", \"token_budget\": 128, \"max_sequences\": %u}",
        "{\"name\": \"unified_budget\", \"token_budget\": 96, \"long_prefill_threshold\": 32, \"wait_iterations\": 3, "
        "\"wait_tokens\": 60, \"max_sequences\": %u}",
        "{\"name\": \"unified_budget\", \"token_budget\": 3, \"max_sequences\": %u}",
        "{\"name\": \"dynamic_batch\", \"max_sequences\": %u}",
        "{\"name\": \"fixed_batch\", \"flush_after_s\": 0.5, \"size\": %u}",
        "{\"name\": \"elastic_batch\", \"max_sequences\": %u}",
        "{\"name\": \"decode_priority\", \"max_sequences\": %u, \"batch_wait_s\": 0.03}",
        "{\"name\": \"piggyback\", \"chunk_tokens\": 40, \"max_sequences\": %u}",
        "{\"name\": \"lightllm\", \"max_waiting_iters\": 2, \"max_sequences\": %u}",
        "{\"name\": \"adaptive_chunk\", \"tbt_target_s\": 0.012, \"max_sequences\": %u}",
        "{\"name\": \"chunked_prefill\", \"tbt_target_s\": 0.012, \"max_sequences\": %u}",
        "{\"name\": \"sglang\", \"max_sequences\": %u}",
        "{\"name\": \"sglang\", \"chunked_prefill_size\": 96, \"schedule_conservativeness\": 0.2, \"max_sequences\": "
        "%u}",
        "{\"name\": \"sglang\", \"chunked_prefill_size\": 64, \"mixed_chunk\": true, \"max_sequences\": %u}",
        "{\"name\": \"sglang\", \"chunked_prefill_size\": 0, \"max_prefill_tokens\": 300, \"recv_interval\": 7, "
        "\"max_sequences\": %u}",
        "{\"name\": \"trtllm\", \"token_budget\": 1024, \"wait_iterations\": 6, \"max_sequences\": %u}",
        "{\"name\": \"trtllm\", \"capacity\": \"max_utilization\", \"chunking\": \"first_come_first_served\", "
        "\"token_budget\": 128, \"max_sequences\": %u}",
        "{\"name\": \"trtllm\", \"capacity\": \"max_utilization\", \"chunking\": \"equal_progress\", \"token_budget\": "
        "96, "
        "\"chunk_unit_tokens\": 16, \"max_sequences\": %u}",
        "{\"name\": \"trtllm\", \"capacity\": \"static_batch\", \"token_budget\": 1024, \"max_sequences\": %u}",
    };
    static const char *const routings[] = {"\"round_robin\"",     "\"least_outstanding_tokens\"",   "\"central_queue\"",
                                           "\"power_of_two\"",    "\"least_outstanding_requests\"", "\"random\"",
                                           "\"prefix_affinity\"", "\"session_affinity\"",           "\"slo_aware\"",
                                           "\"predicted_kv\""};
    /* In the place of prefix_affinity. */
    static const char *const scored[] = {
        "\"prefix_affinity\"",
        "\"llm-d\"",
        "\"dynamo\"",
        "{\"name\": \"weighted\", \"refresh_s\": 0.03, \"index_refresh_s\": 0.07, \"session\": 1}",
        "{\"name\": \"weighted\", \"index\": \"approximate\", \"index_blocks\": 200, \"requests\": 1}",
        "{\"name\": \"dynamo\", \"temperature\": 0.3, \"index_refresh_s\": 0.2}"};
    static const char *const admissions[] = {"", "\"admission\": \"on_demand\",", "\"admission\": \"reserve_max\",",
                                             "\"admission\": \"predicted\", \"predictor\": {\"name\": \"noisy\"},"};
    static const char *const orders[] = {"fcfs", "fcfs",          "fcfs",           "sjf",      "srpt",
                                         "edf",  "length_bucket", "decode_ratio",   "priority", "fair",
                                         "fair", "skip_predict",  "resource_aware", "lpm"};
    static const char *const devices[] = {"h100-sxm", "a100-80gb", "rtx-4090", "tests/data/line2.json",
                                          "tests/data/tables.json"};
    static const char *const placements[] = {"disaggregated", "two_level", "mixed_pool"};
    static const unsigned block_tokens[] = {1, 3, 16, 64};
    static const char *const techniques[] = {"[]",
                                             "[]",
                                             "[]",
                                             "[\"speculative\"]",
                                             "[\"swiftkv\", \"kivi-2bit\"]",
                                             ("[{\"name\": \"thin\", \"paper\": \"none\", \"changes\": "
                                              "[{\"name\": \"attention_density\", \"from_tokens\": 50}]}]"),
                                             ("[{\"name\": \"reads\", \"paper\": \"none\", \"changes\": [{\"name\": "
                                              "\"kv_read\", \"share\": 0.5, \"tokens\": 60, \"select_share\": 0.1}, "
                                              "{\"name\": \"shared_prefix_attention\", \"tokens\": 20, \"groups\": 3}, "
                                              "{\"name\": \"overlap\", \"kernels\": 0.5}]}]"),
                                             ("[{\"name\": \"keeps\", \"paper\": \"none\", \"changes\": [{\"name\": "
                                              "\"prompt_keep\", \"full_layers\": 0.3, \"share\": 0.2}]}]"),
                                             ("[{\"name\": \"fills\", \"paper\": \"none\", \"changes\": "
                                              "[{\"name\": \"background\", \"tokens\": 64}]}]"),
                                             ("[{\"name\": \"phases\", \"paper\": \"none\", \"changes\": [{\"name\": "
                                              "\"phase_model\", \"decodes\": \"llama-3.2-1b\"}]}]")};
    enum { ON_EVERY_DEVICE = 6, ON_EVERY_MODEL = 9, TECHNIQUES = 10 };
    static const char *const forecasts[] = {"", "", "\"predictor\": {\"name\": \"two_step\", \"server_s\": 0.003},"};
    static const char *const preemptions[] = {
        "", "\"preemption\": {\"name\": \"swap\", \"host_bytes\": 5e7, \"bytes_per_s\": 2e9},"};
    unsigned kind = below(rng, 25), block = block_tokens[below(rng, 4)], output = 1 + below(rng, 400);
    bool request_level = kind < 2 || kind == 9 || kind == 10;
    char policy[240], cluster[3300], prompts_alone[40] = "";
    unsigned order = below(rng, 14), routing = below(rng, 10);
    if (routing == 2 && order >= 7 && order != 8 && order != 11)
        order = 0;                   /* a shared queue takes orders of keys */
    bool ranks = below(rng, 5) == 0; /* of a mixture of experts, which step together */
    struct random_pools named = {.ranks = ranks, .split = below(rng, 2)};
    named.tied = !ranks && below(rng, 3) == 0;
    bool pooled = !request_level && below(rng, 4) == 0;
    bool split = !pooled && !ranks && !request_level && below(rng, 3) == 0;
    unsigned device = below(rng, ranks ? 2 : 5), placed = below(rng, 3);
    if (routing == 2 && placed == 2)
        placed = 0;
    bool staged = !pooled && !ranks && !split && !request_level && device != 3 && below(rng, 5) == 0;
    bool paired = !pooled && !ranks && !split && !request_level && !staged && routing != 2 && below(rng, 4) == 0;
    bool piped = split && device != 3 && below(rng, 4) == 0; /* pools of pipelines */
    unsigned d[12];
    draw(rng, d, 12);
    unsigned pools[2] = {piped ? 1 + d[0] % 3 : 1, piped ? 1 + d[1] % 3 : 1};
    bool tied = staged || paired || piped || (pooled && named.tied);
    if (tied && order >= 7 && order != 8 && order != 11)
        order = 0;
    const char *router = routing == 6 ? scored[d[10] % 6] : routings[routing];
    if (split && placed < 2 && below(rng, 2)) /* a pool that holds prompts, but not their outputs */
        snprintf(prompts_alone, sizeof prompts_alone, ", \"kv_blocks\": %u", (150 + below(rng, 400)) / block + 1);
    if (pooled) {
        if (routing == 2 && !named.split)
            routing = 0; /* the pools of a step share no queue */
        named.fleet = below(rng, 2);
        named.devices = ranks ? 2 : device == 4 ? 4 : 3; /* tables are of one model */
        random_pools(rng, &named, routing == 6 ? router : routings[routing], routing == 2);
        snprintf(cluster, sizeof cluster, "%s", named.text);
    } else if (staged)
        snprintf(cluster, sizeof cluster, "\"replicas\": %u, \"pipeline_parallel\": %u",
                 1 + d[2] % (RANDOM_REPLICAS_MAX / 2), 2 + d[3] % 3);
    else if (paired)
        snprintf(cluster, sizeof cluster,
                 "\"replicas\": %u, \"placement\": {\"name\": \"redundant_kv\", \"link\": {\"bytes_per_s\": %u}}",
                 d[2] % 2 ? 2 : 4, d[3] % 2 ? 2000000000 : 200000000);
    else if (ranks)
        snprintf(cluster, sizeof cluster, "\"replicas\": %u, \"data_parallel\": 2, \"expert_parallel\": %u",
                 1 + d[2] % (RANDOM_REPLICAS_MAX / 2), 1 + d[3] % 2);
    else if (split)
        snprintf(cluster, sizeof cluster,
                 "\"placement\": {\"name\": \"%s\", \"prefill\": {\"replicas\": %u, \"pipeline_parallel\": %u%s}, "
                 "\"decode\": {\"replicas\": %u, \"pipeline_parallel\": %u, \"batching\": {\"name\": \"%s\", "
                 "\"max_sequences\": %u}%s}, \"link\": "
                 "{\"bytes_per_s\": %u, \"layerwise\": %s, \"discipline\": \"%s\"%s}%s}",
                 placements[placed], 1 + d[2] % (RANDOM_REPLICAS_MAX / 2), pools[0], prompts_alone,
                 1 + d[3] % (RANDOM_REPLICAS_MAX / 2), pools[1], d[4] % 2 ? "chunked_prefill" : "unified_budget",
                 1 + d[5] % 24, random_fleet(rng), d[6] % 2 ? 2000000000 : 200000000, d[7] % 2 ? "true" : "false",
                 d[8] % 3 ? "shared" : "fifo", random_wire(d[8] / 3 + d[7] / 2, placed != 2 && routing != 2),
                 placed == 2 ? ", \"prefill_above_tokens\": 300, \"decode_above_tokens\": 500" : "");
    else {
        static const char *const fleets[] = {
            "",
            ", \"failures\": {\"mtbf_s\": 5, \"mttr_s\": 0.4}",
            ", \"failures\": {\"mtbf_s\": 5, \"mttr_s\": 1, \"requests\": \"lost\"}",
            ", \"failures\": {\"schedule\": [{\"replica\": 0, \"at_s\": 0.3, \"for_s\": 0.5}]}, \"admission\": "
            "{\"give_up_s\": 0.4}",
            ", \"autoscaling\": {\"policy\": {\"name\": \"concurrency\", \"target\": 4}, \"interval_s\": 0.1, "
            "\"cold_start_s\": 0.15, \"slow_down_s\": 0.3}",
            ", \"autoscaling\": {\"policy\": \"waiting\", \"interval_s\": 0.07, \"cold_start_s\": 0.05, "
            "\"slow_down_s\": 0}, \"failures\": {\"mtbf_s\": 5, \"mttr_s\": 0.2}, \"admission\": {\"most_waiting\": "
            "20}",
        };
        snprintf(cluster, sizeof cluster, "\"replicas\": %u%s", 1 + d[2] % RANDOM_REPLICAS_MAX,
                 fleets[d[3] % 2 ? d[4] % 6 : 0]);
    }
    if ((staged || ranks || split) && !pooled && is_keyed(order) && below(rng, 2))
        snprintf(cluster + strlen(cluster), sizeof cluster - strlen(cluster), "%s", random_common_fleet(rng));
    static const char *const populations[] = {"",
                                              "",
                                              "\"prefixes\": {\"groups\": 3, \"tokens\": 50, \"skew\": 1},",
                                              "\"priorities\": [1, 2], \"prefixes\": {\"groups\": 1, \"tokens\": 100},",
                                              "\"clients\": {\"count\": 4, \"skew\": 1},",
                                              "\"prefixes\": {\"groups\": 9, \"tokens\": 200},"};
    char arrivals[160];
    bool closed = below(rng, 4) == 0;
    unsigned population = below(rng, closed ? 4 : 5);
    draw(rng, d, 12);
    if (!closed)
        snprintf(arrivals, sizeof arrivals, "\"name\": \"%s\", \"rate_per_s\": %u", d[0] % 2 ? "gamma" : "poisson",
                 1 + d[1] % 60);
    else
        snprintf(arrivals, sizeof arrivals,
                 "\"name\": \"closed_loop\", \"concurrency\": %u, \"think_s\": %g, \"turns\": %u", 1 + d[0] % 30,
                 d[1] % 2 ? 0 : 0.02, population < 2 ? 1 + d[2] % 3 : 1);
    if (pooled && named.cached && (population == 2 || population == 3))
        memcpy(strstr(cluster, random_hits), random_answers, sizeof random_answers - 1);
    bool costly = routing != 2 && !tied;
    const char *extras =
        request_level || below(rng, 3) == 0 ? forecasts[costly ? below(rng, 3) : 0] : admissions[below(rng, 4)];
    bool windows = !ranks && device != 4 && below(rng, 2) == 0;
    static const char lacking[] = ", \"only_lacking\": true";
    char *not_with_windows = windows ? strstr(cluster, lacking) : NULL;
    if (not_with_windows)
        memset(not_with_windows, ' ', sizeof lacking - 1);
    snprintf(policy, sizeof policy, policies[kind], 1 + below(rng, 24));
    static const char *const engines[] = {
        "{}",
        "{\"graph_tokens\": [1, 2, 8, 16, 64]}",
        "{\"exposed_ns\": 20000, \"exposed_ns_per_sequence\": 3000.7}",
        "{\"schedule_ahead\": true}",
        "{\"schedule_ahead\": true, \"host_ns\": 70000, \"host_ns_per_sequence\": 9000.3}",
        "{\"schedule_ahead\": true, \"exposed_ns\": 20000.9, \"graph_tokens\": [1, 4, 16, 64, 512]}",
        ("{\"schedule_ahead\": true, \"head_for_all\": true, \"exposed_ns_per_sequence\": 700.2, \"eager_layer_ns\": "
         "900}"),
        "{\"schedule_ahead\": false}",
    };
    double interval = 0.001 + 0.5 * gsl_rng_uniform(rng);
    char tiers[600] = "";
    bool anew = pooled || (!request_level && kind != 11 && kind != 12);
    draw(rng, d, 12);
    if (d[6] % 2 && anew && !paired && !windows && below(rng, 3))
        random_tiers(rng, !tied, tiers, sizeof tiers);
    if (*tiers && (!closed || strstr(arrivals, "\"turns\": 1")))
        population = 5; /* many prefixes, so that some are evicted and come back */
    snprintf(text, size,
             "{\"seed\": %u, \"model\": \"%s\", \"techniques\": %s, \"device\": \"%s\", \"engine\": %s,"
             "\"output\": {\"warmup\": \"%s\", \"requests\": true, \"timeseries_s\": %g},"
             "\"slo\": {\"ttft_s\": {\"p99\": 0.5}},"
             "\"cluster\": {%s%s%s%s%s},"
             "\"policy\": {\"order\": \"%s\", %s \"batching\": %s, %s \"prefix_caching\": %s, \"kv_block_tokens\": %u, "
             "\"kv_blocks\": %u},"
             "\"workload\": {%s \"arrivals\": {%s}, \"requests\": %u, %s \"lengths\": {"
             "\"prompt\": {\"name\": \"lognormal\", \"median\": 100, \"sigma\": 1, \"max\": 700},"
             "\"output\": {\"name\": \"uniform\", \"min\": 1, \"max\": %u}}}}",
             d[0] % 100000,
             ranks     ? "qwen3-30b-a3b"
             : windows ? "tests/data/windows.json"
                       : "llama-3.1-8b",
             techniques[ranks || (tied && !paired) ? 0
                        : device == 3              ? d[1] % ON_EVERY_DEVICE
                        : windows                  ? d[1] % ON_EVERY_MODEL
                                                   : d[1] % TECHNIQUES],
             devices[device], engines[d[2] % 8], d[3] % 2 ? "none" : "mser5", d[4] % 2 ? 0 : interval, cluster, tiers,
             pooled ? "" : ", \"routing\": ", pooled ? "" : router, "", orders[order], preemptions[tied ? 0 : d[5] % 2],
             policy, extras, d[6] % 2 ? "true" : "false", block,
             (windows ? 1 + d[7] % 6 : 1) * (((output + 700) >> d[8] % 4) / block + 1 + d[9] % (3000 / block + 1)),
             populations[population], arrivals, 1 + d[10] % 120, d[11] % 3 ? "" : "\"max_output_tokens\": 420,",
             output);
}

#endif

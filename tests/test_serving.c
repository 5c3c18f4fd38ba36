/* SPDX-License-Identifier: MIT */
/* The engine behind the replica loop; traces of a GPU; weights from files; profiles from sweeps. */
#include <math.h>
#include <unistd.h>

#include "engine_ref/activity.h"
#include "engine_ref/safetensors.h"
#include "engine_ref/server.h"
#include "engine_ref/stamps.h"
#include "engine_ref/sweep.h"
#include "profiles/import.h"
#include "tests/harness.h"

/* Launch at 100, kernel 120 to 170: queued 20. A runtime call at 130 with a driver call inside, kernel 170 to 200: 40.
 * One of no range, 160, 190 to 210: 30. A graph launched at 300 with kernels 330 to 340 and 340 to 345: 30 and 40. A
 * kernel whose launch was lost. Busy 120 to 210, 330 to 345, 400 to 410. 160 queued by 5 kernels, the least 20: not
 * twice that. */
static void test_a_trace_by_hand(void **state)
{
    (void)state;
    static const struct activity records[] = {
        {.kind = ACTIVITY_KERNEL, .correlation = 4, .start = 340, .end = 345, .graph_node = 6},
        {.kind = ACTIVITY_LAUNCH, .correlation = 2, .start = 135, .end = 145},
        {.kind = ACTIVITY_LAUNCH, .correlation = 2, .start = 130, .end = 150},
        {.kind = ACTIVITY_KERNEL, .correlation = 1, .start = 120, .end = 170},
        {.kind = ACTIVITY_RANGE, .correlation = 1, .op = OP_QKV_PROJ},
        {.kind = ACTIVITY_LAUNCH, .correlation = 1, .start = 100, .end = 110},
        {.kind = ACTIVITY_KERNEL, .correlation = 2, .start = 170, .end = 200},
        {.kind = ACTIVITY_RANGE, .correlation = 2, .op = OP_DECODE_ATTENTION},
        {.kind = ACTIVITY_LAUNCH, .correlation = 3, .start = 160, .end = 165},
        {.kind = ACTIVITY_KERNEL, .correlation = 3, .start = 190, .end = 210},
        {.kind = ACTIVITY_RANGE, .correlation = 4, .op = OP_SAMPLER},
        {.kind = ACTIVITY_LAUNCH, .correlation = 4, .start = 300, .end = 320},
        {.kind = ACTIVITY_KERNEL, .correlation = 4, .start = 330, .end = 340, .graph_node = 5},
        {.kind = ACTIVITY_KERNEL, .correlation = 9, .start = 400, .end = 410},
        {.kind = ACTIVITY_LAUNCH, .correlation = 8, .start = 1, .end = 2}, /* of no kernel */
    };
    struct activity_log log = {.dropped = 3};
    struct activity_summary s;
    struct profiler p = {.on = true};
    for (size_t i = 0; i < sizeof records / sizeof *records; i++)
        activity_add(&log, records[i]);
    activity_summarise(&log, &s);
    assert_int_equal(s.op_ns[OP_QKV_PROJ], 50);
    assert_int_equal(s.op_ns[OP_DECODE_ATTENTION], 30);
    assert_int_equal(s.op_queue_ns[OP_DECODE_ATTENTION], 40);
    assert_int_equal(s.op_ns[OP_SAMPLER], 15);
    assert_int_equal(s.op_kernels[OP_SAMPLER], 2);
    assert_int_equal(s.other_ns, 30);
    assert_int_equal(s.kernels, 6);
    assert_int_equal(s.graph_kernels, 2);
    assert_int_equal(s.unmatched, 1);
    assert_int_equal(s.queue_ns, 160);
    assert_int_equal(s.least_queue_ns, 20);
    assert_int_equal(s.busy_ns, 90 + 15 + 10);
    assert_int_equal(s.span_ns, 290);
    assert_int_equal(s.bound, BOUND_BY_CPU);
    assert_int_equal(s.dropped, 3);
    const uint64_t ranges[OP_COUNT] = {
        [OP_QKV_PROJ] = 32, [OP_SAMPLER] = 1}; /* a call may be of several kernels, or none */
    activity_to_profiler(&s, ranges, &p);
    assert_true(p.on && p.ns[OP_QKV_PROJ] == 50);
    assert_int_equal(p.ranges[OP_QKV_PROJ], 32);
    assert_int_equal(p.ranges[OP_SAMPLER], 1);
    assert_int_equal(p.ranges[OP_NORM], 0);
    /* Two more that wait for those before them: 160 + 300 by 7 is more than twice 20. */
    for (uint32_t i = 0; i < 2; i++) {
        activity_add(&log, (struct activity){.kind = ACTIVITY_LAUNCH, .correlation = 20 + i, .start = 500, .end = 501});
        activity_add(&log, (struct activity){.kind = ACTIVITY_KERNEL, .correlation = 20 + i, .start = 650, .end = 651});
    }
    activity_summarise(&log, &s);
    assert_int_equal(s.bound, BOUND_BY_GPU);
    activity_log_clear(&log);
    activity_summarise(&log, &s);
    assert_int_equal(s.kernels, 0);
    activity_log_release(&log);
}

/* Records that no tracer should write: of no operation, ending before they start, before time 0. What is left counts,
 * and sums stay at the end of their range. */
static void test_broken_records_of_a_trace_are_dropped(void **state)
{
    (void)state;
    static const struct activity records[] = {
        {.kind = ACTIVITY_RANGE, .correlation = 1, .op = (enum operation_name)OP_COUNT},
        {.kind = ACTIVITY_RANGE, .correlation = 1, .op = (enum operation_name) - 1},
        {.kind = ACTIVITY_KERNEL, .correlation = 1, .start = 20, .end = 19},
        {.kind = ACTIVITY_LAUNCH, .correlation = 1, .start = -1, .end = 5},
        {.kind = ACTIVITY_KERNEL, .correlation = 2, .start = 0, .end = INT64_MAX},
        {.kind = ACTIVITY_KERNEL, .correlation = 3, .start = 1, .end = INT64_MAX},
    };
    struct activity_log log = {0};
    struct activity_summary s;
    for (size_t i = 0; i < sizeof records / sizeof *records; i++)
        activity_add(&log, records[i]);
    activity_summarise(&log, &s);
    assert_int_equal(s.dropped, 4);
    assert_int_equal(s.kernels, 2);
    assert_true(s.other_ns == INT64_MAX && s.busy_ns == INT64_MAX);
    activity_log_release(&log);
}

static void make_tiny(struct weights *w, uint64_t seed)
{
    struct error err = {0};
    struct model m;
    expect_ok(model_load("tests/data/tiny_llama.json", &m, &err), &err);
    expect_ok(weights_create(w, &m, false, &err), &err);
    expect_ok(weights_fill(w, seed, &err), &err);
}

/* A file whose tensors are all in one 16-bit format. */
static void write_halves(const struct weights *w, const char *file, bool bfloat)
{
    struct error err = {0};
    FILE *in, *out;
    uint64_t length;
    static char header[1 << 16];
    expect_ok(safetensors_save(w, file, &err), &err);
    in = fopen(file, "rb");
    assert_int_equal(fread(&length, 8, 1, in), 1);
    assert_true(length < sizeof header);
    assert_int_equal(fread(header, length, 1, in), 1);
    header[length] = 0;
    cJSON *json = cJSON_Parse(header);
    for (cJSON *t = json->child; t; t = t->next) {
        cJSON *span = cJSON_GetObjectItem(t, "data_offsets");
        cJSON_SetValuestring(cJSON_GetObjectItem(t, "dtype"), bfloat ? "F32" : "F16");
        if (bfloat)
            cJSON_ReplaceItemInObject(t, "dtype", cJSON_CreateString("BF16"));
        for (int i = 0; i < 2; i++)
            cJSON_SetNumberValue(cJSON_GetArrayItem(span, i), cJSON_GetArrayItem(span, i)->valuedouble / 2);
    }
    char *text = cJSON_PrintUnformatted(json);
    char other[300];
    snprintf(other, sizeof other, "%s.half", file);
    out = fopen(other, "wb");
    length = strlen(text);
    fwrite(&length, 8, 1, out);
    fwrite(text, length, 1, out);
    float value;
    while (fread(&value, sizeof value, 1, in) == 1) {
        uint32_t bits;
        memcpy(&bits, &value, 4);
        /* Truncated; as a half without subnormals: these weights are between 2^-14 and 2, or 0. */
        uint32_t exponent = (bits >> 23 & 255) < 113 ? 0 : (bits >> 23 & 255) - 112;
        uint16_t half = bfloat
                            ? (uint16_t)(bits >> 16)
                            : (uint16_t)((bits >> 16 & 0x8000) | exponent << 10 | (exponent ? bits >> 13 & 1023 : 0));
        fwrite(&half, 2, 1, out);
    }
    cJSON_free(text);
    cJSON_Delete(json);
    fclose(in);
    fclose(out);
    rename(other, file);
}

static void expect_refused(struct weights *w, const char *file, const char *words)
{
    struct error err = {0};
    assert_int_equal(safetensors_load(w, file, &err), -1);
    if (!strstr(err.text, words))
        fail_msg("%s", err.text);
}

static void test_weights_from_safetensors(void **state)
{
    (void)state;
    struct weights w, read;
    struct error err = {0};
    char file[64];
    snprintf(file, sizeof file, "/tmp/tandem-test-%ld.safetensors", (long)getpid());
    make_tiny(&w, 1);
    make_tiny(&read, 2);
    w.layers[1].mlp_norm[3] = 0.75f;
    expect_ok(safetensors_save(&w, file, &err), &err);
    expect_ok(safetensors_load(&read, file, &err), &err);
    assert_memory_equal(read.memory, w.memory, w.count * sizeof *w.memory);
    for (int bfloat = 0; bfloat < 2; bfloat++) {
        write_halves(&w, file, bfloat);
        expect_ok(safetensors_load(&read, file, &err), &err);
        for (size_t i = 0; i < w.count; i++) /* 10 or 7 bits of fraction; below 2^-14 a half is 0 here */
            assert_true(fabsf(read.memory[i] - w.memory[i]) <=
                        fabsf(w.memory[i]) * (bfloat ? 0x1p-7f : 0x1p-10f) + (bfloat ? 0 : 0x1p-14f));
    }
    /* Shortened, of another model, no header. */
    assert_int_equal(truncate(file, 4000), 0);
    expect_refused(&read, file, "within the file");
    expect_ok(safetensors_save(&w, file, &err), &err);
    read.model.intermediate = 47;
    expect_refused(&read, file, "mlp.gate_proj.weight: expected shape [47, 32]");
    assert_int_equal(truncate(file, 7), 0);
    expect_refused(&read, file, "found no header");
    remove(file);
    expect_refused(&read, file, "cannot be read");
    weights_release(&w);
    weights_release(&read);
}

/* The simulator, as users run it, with what the served iterations took in place of their costs. */
static void expect_replayed(const char *text, const struct iteration_log logs[2], const struct stamps *served)
{
    struct error err = {0};
    struct stamps replayed = {0};
    struct replay replays[2] = {{.log = &logs[0]}, {.log = &logs[1]}};
    struct simulation *s = open_simulation(text);
    for (size_t i = 0; i < s->scenario.cluster.pool_count; i++)
        s->scenario.cluster.pools[i].executor = replay_executor(&replays[i]);
    const struct observer observer = stamps_observer(&replayed);
    expect_ok(simulation_run(s, &(struct simulation_options){.observers = &observer}, &err), &err);
    assert_int_equal(stamps_difference(served, &replayed), 0);
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(replays[i].mismatches, 0);
        assert_int_equal(replays[i].next, logs[i].count);
    }
    simulation_close(s);
    stamps_release(&replayed);
}

static void serve(const char *policy, const char *more, enum peer_link peer, struct cluster_totals *totals,
                  uint64_t *tokens)
{
    struct error err = {0};
    struct server server;
    char text[1200];
    snprintf(text, sizeof text,
             "{\"model\": \"tests/data/tiny_llama.json\", \"device\": \"cpu-xeon-2s\", \"policy\": {\"batching\": %s, "
             "\"kv_block_tokens\": 4, \"kv_blocks\": 60}, %s \"output\": {\"warmup\": \"none\"}, \"workload\": "
             "{\"arrivals\": "
             "{\"name\": \"poisson\", \"rate_per_s\": 2000}, \"requests\": 60, \"lengths\": {\"prompt\": {\"name\": "
             "\"uniform\", \"min\": 1, \"max\": 60}, \"output\": {\"name\": \"uniform\", \"min\": 1, \"max\": 20}}}}",
             policy, more);
    struct iteration_log logs[2] = {{0}};
    struct stamps stamps = {0};
    const struct server_options o = {.threads = 2, .rows = 2048, .peer = peer, .logs = logs};
    struct simulation *s = open_simulation(text);
    expect_ok(server_open(&server, &s->scenario, &o, &err), &err);
    const struct observer stamped = stamps_observer(&stamps);
    struct observer observer = server_observer(&server);
    observer.next = &stamped;
    expect_ok(simulation_run(s, &(struct simulation_options){.observers = &observer}, &err),
              &err); /* which checks time parts and Little's law */
    expect_ok(server_error(&server, &err), &err);
    *totals = s->summary.totals;
    *tokens = s->summary.output_tokens;
    for (size_t i = 0; i < server.engine_count; i++) { /* all have gone, with their blocks */
        assert_int_equal(server.engines[i].sequence_count, 0);
        assert_int_equal(server.engines[i].free_count, server.engines[i].limits.blocks);
    }
    if (server.peer) {
        uint32_t token;
        size_t count = 0, sequences = 0, free_blocks = 0;
        expect_ok(peer_look(server.peer, 0, &token, 1, &count, &sequences, &free_blocks, &err), &err);
        assert_int_equal(sequences, 0);
        assert_int_equal(free_blocks,
                         s->scenario.cluster.pools[1].replica.kv_blocks * s->scenario.cluster.pools[1].stations);
    }
    server_close(&server);
    simulation_close(s);
    expect_replayed(text, logs, &stamps);
    for (size_t i = 0; i < 2; i++)
        iteration_log_release(&logs[i]);
    stamps_release(&stamps);
}

/* Every kind of policy serves for real what it serves in simulation, and the simulator driven by the served iterations
 * reproduces every stamp; small pools preempt. */
static void test_policies_serve_for_real(void **state)
{
    (void)state;
    static const struct {
        const char *policy, *more;
        enum peer_link peer;
    } runs[] = {
        {"{\"name\": \"static_padded\", \"max_sequences\": 4}", "", PEER_NONE},
        {"{\"name\": \"static_prepacked\", \"max_sequences\": 4}", "", PEER_NONE},
        {"{\"name\": \"static_prepacked\", \"max_sequences\": 4, \"attention\": \"varlen\"}", "", PEER_NONE},
        {"{\"name\": \"continuous\", \"max_sequences\": 8}", "", PEER_NONE},
        {"{\"name\": \"prefill_first\", \"max_sequences\": 8}", "", PEER_NONE},
        {"{\"name\": \"chunked_prefill\", \"token_budget\": 24, \"max_sequences\": 8}", "", PEER_NONE},
        {"{\"name\": \"unified_budget\", \"token_budget\": 24, \"max_sequences\": 8}", "", PEER_NONE},
        {"\"unified_budget\"", "\"cluster\": {\"replicas\": 2},", PEER_NONE},
        {"\"unified_budget\"",
         "\"cluster\": {\"placement\": {\"name\": \"disaggregated\", \"decode\": {\"replicas\": 2}}},", PEER_NONE},
        {"\"unified_budget\"",
         "\"cluster\": {\"placement\": {\"name\": \"disaggregated\", \"decode\": {\"replicas\": 2}}},", PEER_SHARED},
        {"\"unified_budget\"",
         "\"cluster\": {\"placement\": {\"name\": \"disaggregated\", \"decode\": {\"replicas\": 2}}},", PEER_SOCKET},
        {"\"unified_budget\"", "\"cluster\": {\"replicas\": 2, \"placement\": \"redundant_kv\"},", PEER_NONE},
        {"\"unified_budget\"",
         "\"cluster\": {\"replicas\": 2, \"failures\": {\"schedule\": [{\"replica\": 0, \"at_s\": 0.004, \"for_s\": "
         "0.01}, "
         "{\"replica\": 1, \"at_s\": 0.012, \"for_s\": 0.02}]}},",
         PEER_NONE},
        {"{\"name\": \"prefill_first\", \"max_sequences\": 8}",
         "\"cluster\": {\"replicas\": 2, \"failures\": {\"mtbf_s\": 0.01, \"mttr_s\": 0.002}},", PEER_NONE},
        {"\"unified_budget\"",
         "\"cluster\": {\"pools\": {\"out\": {}, \"in\": {\"replicas\": 2}}, \"flow\": [\"in\", \"out\"]},", PEER_NONE},
    };
    uint64_t same = 0;
    for (size_t i = 0; i < sizeof runs / sizeof *runs; i++) {
        struct cluster_totals totals;
        uint64_t tokens;
        serve(runs[i].policy, runs[i].more, runs[i].peer, &totals, &tokens);
        assert_int_equal(totals.finished, 60);
        assert_int_equal(totals.kv_allocated, totals.kv_freed);
        same = i == 0 ? tokens : same;
        assert_int_equal(tokens, same);
    }
}

/* A machine four times as slow as when its standard was set: the loop is told a quarter of what iterations take. The
 * references' turns never come, since their standards are longer than the run. */
static void test_times_are_corrected_by_the_reference(void **state)
{
    (void)state;
    struct error err = {0};
    struct server server;
    struct iteration_log logs[2] = {{0}};
    struct reference slow = {.steps = {{.standard_ns = 1e18, .weight = 1, .weighted_ns = 4e18},
                                       {.standard_ns = 1e18, .weight = 1, .weighted_ns = 4e18}}};
    const struct server_options o = {.threads = 1, .rows = 2048, .reference = &slow, .logs = logs};
    struct simulation *s = open_simulation(
        "{\"model\": \"tests/data/tiny_llama.json\", \"device\": \"cpu-xeon-2s\", \"policy\": {\"kv_blocks\": 60}, "
        "\"output\": {\"warmup\": \"none\"}, \"workload\": {\"arrivals\": \"poisson\", \"requests\": 10, "
        "\"lengths\": {\"prompt\": {\"name\": \"uniform\", \"min\": 1, \"max\": 60}, \"output\": {\"name\": "
        "\"uniform\", \"min\": 1, \"max\": 20}}}}");
    expect_ok(server_open(&server, &s->scenario, &o, &err), &err);
    const struct observer observer = server_observer(&server);
    expect_ok(simulation_run(s, &(struct simulation_options){.observers = &observer}, &err), &err);
    expect_ok(server_error(&server, &err), &err);
    assert_true(logs[0].count > 10);
    for (size_t i = 0; i < logs[0].count; i++)
        assert_true(fabs(fine_to_ns(logs[0].items[i].cost.total) - (double)logs[0].items[i].wall_ns / 4) <= 0.5);
    server_close(&server);
    simulation_close(s);
    iteration_log_release(&logs[0]);
    reference_release(&slow);
}

/* The references have their share of the time of the steps that they stand for, and no more; of few rows and of many
 * apart. A step of 100 standards owes 15. */
static void test_references_have_their_share(void **state)
{
    (void)state;
    struct error err = {0};
    struct weights w;
    struct instance e;
    struct reference r;
    make_tiny(&w, 1);
    const struct engine_limits limits = {
        .block_tokens = 4, .blocks = 1 + REFERENCE_BLOCKS, .rows = 200, .outputs = 8, .max_tokens = 200, .threads = 1};
    expect_ok(instance_create(&e, &w, &cpu_backend, &limits, 1, &err), &err);
    expect_ok(reference_create(&r, &e, true, 0.01, &err), &err);
    struct reference_step *few = &r.steps[REFERENCE_FEW_ROWS], *many = &r.steps[REFERENCE_MANY_ROWS];
    assert_true(few->standard_ns > 0 && many->standard_ns > few->standard_ns);
    assert_int_equal(reference_of(REFERENCE_SEQUENCES), REFERENCE_FEW_ROWS);
    assert_int_equal(reference_of(REFERENCE_PROMPT), REFERENCE_MANY_ROWS);
    expect_ok(reference_catch_up(&r, REFERENCE_FEW_ROWS, &e, &err), &err);
    assert_true(few->debt_ns == 0); /* nothing was owed */
    double weight = many->weight;
    reference_owe(&r, REFERENCE_FEW_ROWS, (int64_t)(100 * few->standard_ns));
    assert_true(fabs(few->debt_ns / few->standard_ns - 100 * REFERENCE_SHARE) < 1e-3);
    expect_ok(reference_catch_up(&r, REFERENCE_FEW_ROWS, &e, &err), &err);
    assert_true(few->debt_ns < few->standard_ns && few->second_count >= 1);
    assert_true(many->weight == weight && many->debt_ns == 0);
    assert_true(reference_slowness(&r, REFERENCE_FEW_ROWS) > 0);
    reference_release(&r);
    instance_release(&e);
    weights_release(&w);
}

/* Requests that are lost with their replica, or give up, leave nothing behind. */
static void test_lost_requests_leave_the_engine(void **state)
{
    (void)state;
    struct cluster_totals totals;
    uint64_t tokens;
    serve("\"unified_budget\"",
          "\"cluster\": {\"replicas\": 2, \"failures\": {\"mtbf_s\": 0.005, \"mttr_s\": 0.002, \"requests\": "
          "\"lost\"}, \"admission\": {\"give_up_s\": 0.01}},",
          PEER_NONE, &totals, &tokens);
    assert_int_equal(totals.finished + totals.lost, 60);
    assert_true(totals.lost > 0 && totals.failures > 0);
}

static void test_what_the_engine_does_not_serve(void **state)
{
    (void)state;
    static const char *const wrong[][2] = {
        {"\"cluster\": {\"tensor_parallel\": 2}", "no scenario with tensor_parallel above 1"},
        {"\"policy\": {\"prefix_caching\": true}", "no scenario with policy.prefix_caching"},
        {"\"techniques\": [\"kivi-2bit\"]", "no scenario with techniques"},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        struct error err = {0};
        struct server server;
        const struct server_options o = {0};
        char text[600];
        snprintf(text, sizeof text,
                 "{\"model\": \"tests/data/tiny_llama.json\", \"device\": \"cpu-xeon-2s\", %s, \"workload\": "
                 "{\"arrivals\": \"poisson\", \"lengths\": \"fixed\"}}",
                 wrong[i][0]);
        struct simulation *s = open_simulation(text);
        assert_int_equal(server_open(&server, &s->scenario, &o, &err), -1);
        if (!strstr(err.text, wrong[i][1]))
            fail_msg("%s", err.text);
        simulation_close(s);
    }
}

/* A sweep stopped after some steps goes on from what it has kept, and the profile is one that a scenario takes, with
 * every operation of the model in it. */
static void test_a_sweep_makes_a_profile(void **state)
{
    (void)state;
    struct error err = {0};
    struct weights w;
    struct instance e;
    char points[64], file[64];
    volatile sig_atomic_t stop = 1;
    snprintf(points, sizeof points, "/tmp/tandem-test-%ld.points", (long)getpid());
    snprintf(file, sizeof file, "/tmp/tandem-test-%ld.json", (long)getpid());
    struct sweep_options o = {.name = "tiny",
                              .most_tokens = 64,
                              .most_sequences = 4,
                              .most_kv = 64,
                              .tolerance = 0.5,
                              .point_s = 0.0001,
                              .half_width = 0.5,
                              .points_file = points,
                              .stop = &stop};
    make_tiny(&w, 1);
    const struct engine_limits limits = sweep_limits(&o, 16, 1);
    expect_ok(instance_create(&e, &w, &cpu_backend, &limits, 1, &err), &err);
    assert_null(engine_sweep_run(&e, &o, &err));
    assert_non_null(strstr(err.text, "interrupted"));
    FILE *kept = fopen(points, "a");
    fputs("decode_attention 4 64 123456 123000 120000 130000 9\ndecode_att",
          kept); /* as if measured; and half a line */
    fclose(kept);
    stop = 0;
    cJSON *profile = engine_sweep_run(&e, &o, &err);
    expect_ok(profile ? 0 : -1, &err);
    expect_ok(profile_write(profile, file, &err), &err);
    cJSON_Delete(profile);
    assert_int_equal(remove(points), 0); /* the caller's, after the profile is written */
    struct cost_model cost;
    struct parallel parallel = tensor_parallel(1);
    expect_ok(cost_model_create(&cost, "tests/data/tiny_llama.json", file, &parallel, NULL, NULL, &err), &err);
    enum cost_source source;
    assert_true(fabs(cost_model_decode_attention_ns(&cost, 4, 4 * 64, &source) - 2 * 123456) < 1); /* two layers */
    assert_int_not_equal(source, COST_ESTIMATED);
    struct request r = {.prompt_tokens = 32, .output_tokens = 2, .max_output_tokens = 2};
    struct batch_item item = {.req = &r, .new_tokens = 32};
    struct batch b = {.items = &item, .count = 1, .stable_iterations = 1};
    struct iteration_cost out;
    cost_model_iteration(&cost, &b, &out);
    assert_int_equal(out.by[COST_ESTIMATED], 0); /* nothing is left to the roofline */
    cost_model_release(&cost);
    instance_release(&e);
    weights_release(&w);
    remove(file);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_trace_by_hand),
        cmocka_unit_test(test_broken_records_of_a_trace_are_dropped),
        cmocka_unit_test(test_weights_from_safetensors),
        cmocka_unit_test(test_policies_serve_for_real),
        cmocka_unit_test(test_times_are_corrected_by_the_reference),
        cmocka_unit_test(test_references_have_their_share),
        cmocka_unit_test(test_lost_requests_leave_the_engine),
        cmocka_unit_test(test_what_the_engine_does_not_serve),
        cmocka_unit_test(test_a_sweep_makes_a_profile),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

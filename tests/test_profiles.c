/* SPDX-License-Identifier: MIT */
/* Models, rooflines, tables and the importer, with numbers worked out by hand. */
#include <math.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "profiles/check.h"
#include "profiles/fit_kernels.h"
#include "profiles/import.h"
#include "profiles/roofline.h"
#include "profiles/shipped.h"
#include "profiles/table.h"
#include "tests/harness.h"

static void assert_near(double found, double expected, double relative)
{
    if (!(fabs(found - expected) <= relative * fabs(expected)))
        fail_msg("expected %.12g, found %.12g", expected, found);
}

static int create_cost(struct cost_model *out, const char *model, const char *device, uint32_t tp,
                       const struct engine *engine, struct error *err)
{
    struct parallel parallel = tensor_parallel(tp);
    return cost_model_create(out, model, device, &parallel, engine, NULL, err);
}

static struct iteration_cost cost_of(const struct cost_model *cm, const struct batch *batch)
{
    struct iteration_cost cost;
    cost_model_iteration(cm, batch, &cost);
    return cost;
}

/* Llama-3.1-8B: 32 layers × (4096·128·(2·32 + 2·8) + 3·4096·14336) + 2·4096·128256 = 8.03e9 weights;
 * KV: 2·32·8·128·2 bytes = 131 072 a token (grouped heads counted once). */
static void test_model_sizes(void **state)
{
    (void)state;
    struct model m;
    struct error err = {0};
    expect_ok(model_load("llama-3.1-8b", &m, &err), &err);
    assert_near(model_parameters(&m), 32.0 * (41943040 + 176160768) + 1050673152, 1e-12);
    assert_true(model_kv_bytes_per_token(&m) == 131072);
    expect_ok(model_load("llama-2-13b", &m, &err), &err);
    assert_near(model_parameters(&m), 13.0e9, 0.005);
    expect_ok(model_load("opt-66b", &m, &err), &err);
    assert_near(model_parameters(&m), 66e9, 0.01);
}

/* 90 % of 80 GiB less 2 GB less 16.06 GB of weights, over 131 072 bytes a token. */
static void test_kv_tokens_beside_weights(void **state)
{
    (void)state;
    struct cost_model cm;
    struct error err = {0};
    expect_ok(create_cost(&cm, "llama-3.1-8b", "h100-sxm", 1, NULL, &err), &err);
    double bytes = 0.9 * 80 * 1073741824.0 - 2e9 - 2 * model_parameters(&cm.model);
    assert_int_equal(cost_model_kv_tokens(&cm, 2048, 256), (uint64_t)(bytes / 131072));
    cost_model_release(&cm);
}

/* In a large batch the weights' bytes are read once: decode of 1 is bandwidth-bound and cannot be faster
 * than weights ÷ peak bandwidth; prefill of 8192 cannot be faster than its arithmetic at peak. */
static void test_roofline_stays_below_the_roof(void **state)
{
    (void)state;
    struct cost_model cm;
    struct error err = {0};
    expect_ok(create_cost(&cm, "llama-3.1-8b", "h100-sxm", 1, NULL, &err), &err);
    struct batch decode = {.decodes = 1, .decode_kv = 100};
    double read = 2 * (model_parameters(&cm.model) - 4096.0 * 128256) / 3.35e12 * 1e9;
    double decode_ns = fine_to_ns(cost_of(&cm, &decode).total);
    assert_true(decode_ns > read && decode_ns < 1.6 * read);
    struct request r = {.prompt_tokens = 8192};
    struct batch_item item = {.req = &r, .new_tokens = 8192, .decode = false};
    struct batch prompt = {.items = &item, .count = 1};
    /* 2 × weights × tokens + 4 × layers × heads × 128 × 8192·8193/2 scores + the head once */
    double layers = 32.0 * (41943040 + 176160768);
    double flops = 2 * layers * 8192 + 4.0 * 32 * 32 * 128 * 8192 * 8193 / 2 + 2.0 * 4096 * 128256;
    double prompt_ns = fine_to_ns(cost_of(&cm, &prompt).total);
    assert_true(prompt_ns > flops / 989e12 * 1e9 && prompt_ns < 3 * flops / 989e12 * 1e9);
    cost_model_release(&cm);
}

/* A format that a device has not got runs as the next wider one it has: fp8 on an A100 as bf16. */
static void test_peaks_by_format(void **state)
{
    (void)state;
    struct device d;
    struct error err = {0};
    expect_ok(device_load("h100-sxm", &d, &err), &err);
    assert_true(device_peak_flops(&d, DTYPE_BF16) == 989e12 && device_peak_flops(&d, DTYPE_FP8) == 1979e12);
    device_release(&d);
    expect_ok(device_load("a100-80gb", &d, &err), &err);
    assert_true(device_peak_flops(&d, DTYPE_FP8) == 312e12 && device_peak_flops(&d, DTYPE_FP32) == 19.5e12);
    device_release(&d);
}

/* Tensor parallel 2 halves the weights read but adds all-reduces: between 50 and 100 %. */
static void test_tensor_parallel_shards_and_communicates(void **state)
{
    (void)state;
    struct cost_model one, two;
    struct error err = {0};
    expect_ok(create_cost(&one, "llama-3.1-8b", "h100-sxm", 1, NULL, &err), &err);
    expect_ok(create_cost(&two, "llama-3.1-8b", "h100-sxm", 2, NULL, &err), &err);
    double by[COST_SOURCES] = {0}, a = one.backend.token_ns(one.backend.self, 1024, by),
           b = two.backend.token_ns(two.backend.self, 1024, by);
    assert_true(b > 0.5 * a && b < a);
    /* Without its link: what is left is arithmetic; the difference is 64 all-reduces of 1024 × 4096 bf16,
     * 64 × (10 µs + 2·½·8 388 608 bytes ÷ 450 GB/s) = 64 × 28 641.35 ns. */
    struct cost_model free_link = two;
    free_link.device.link_latency_ns = 0;
    free_link.device.link_bytes_per_s = 1e30;
    expect_ok(kernels_create(&free_link, &free_link.backend, &err), &err);
    double c = free_link.backend.token_ns(free_link.backend.self, 1024, by);
    assert_near(b - c, 64 * (10000 + 8388608 / 450.0), 1e-9);
    free_link.backend.destroy(free_link.backend.self);
    cost_model_release(&one);
    cost_model_release(&two);
}

static struct batch_item items[4];
static struct request requests[4];

/* tests/data/line2.json: base 1000, 10 a prompt token, 100 a decode, 1 a KV token read. Two decodes at KV 20
 * and 30 (new token included) and a chunk of 8 after 4: 1000 + 8·10 + 4 + 2·100 + 50 = 1334; without the
 * chunk 1250, so it made the decodes 84 ns longer. */
static void test_linear_cost_by_hand(void **state)
{
    (void)state;
    struct cost_model cm;
    struct error err = {0};
    expect_ok(create_cost(&cm, "ideal", "tests/data/line2.json", 1, NULL, &err), &err);
    requests[2] = (struct request){.prompt_tokens = 50, .computed = 4};
    struct batch b = {.decodes = 2, .decode_kv = 19 + 29, .items = items, .capacity = 4};
    batch_add(&b, &requests[2], 8);
    struct iteration_cost cost = cost_of(&cm, &b);
    assert_int_equal(cost.total, 1334 << FINE_BITS);
    assert_int_equal(cost.decode_alone, 1250 << FINE_BITS);
    /* One by one instead of together: the same. */
    requests[0] = (struct request){.prompt_tokens = 15, .generated = 5, .computed = 19};
    requests[1] = (struct request){.prompt_tokens = 25, .generated = 5, .computed = 29};
    struct batch singly = {.items = items + 1, .capacity = 3};
    batch_add(&singly, &requests[0], 1);
    batch_add(&singly, &requests[1], 1);
    assert_int_equal(cost_of(&cm, &singly).total, 1250 << FINE_BITS);
    b.decode_kv = 48;
    b.count = 0;
    cost = cost_of(&cm, &b);
    assert_int_equal(cost.total, 1250 << FINE_BITS);
    assert_int_equal(cost.growth, 2 << FINE_BITS); /* two more KV tokens in every next one */
    /* Padded: 4 rows that each read 29 + 1 KV tokens, two of them long finished: 1000 + 4·100 + 120. */
    b.layout = BATCH_PADDED;
    b.rows = 4, b.row_tokens = 1, b.row_kv = 29;
    assert_int_equal(cost_of(&cm, &b).total, 1520 << FINE_BITS);
    cost_model_release(&cm);
}

/* tests/data/line_squared.json: 8 prompt tokens after 4 take 1000 + 8·10 + 2·(12² − 4²) + 4 = 1340, and the whole
 * prompt of 12 in two chunks has 2·12² of squares. Two decodes over 50: 1000 − 100 + 200 + 50 = 1150; of three over 60,
 * of which there are many: 1000 + 50 + 30 + 120 = 1200. */
static void test_a_stated_line_has_squares_and_another_line_for_many_decodes(void **state)
{
    (void)state;
    struct cost_model cm;
    struct error err = {0};
    expect_ok(create_cost(&cm, "ideal", "tests/data/line_squared.json", 1, NULL, &err), &err);
    requests[0] = (struct request){.prompt_tokens = 50, .computed = 4};
    struct batch b = {.items = items, .capacity = 4};
    batch_add(&b, &requests[0], 8);
    assert_int_equal(cost_of(&cm, &b).total, 1340 << FINE_BITS);
    b.count = 0;
    requests[0].computed = 0;
    batch_add(&b, &requests[0], 4);
    assert_int_equal(cost_of(&cm, &b).total, (1000 + 40 + 32) << FINE_BITS);
    struct batch two = {.decodes = 2, .decode_kv = 48, .items = items, .capacity = 4};
    assert_int_equal(cost_of(&cm, &two).total, 1150 << FINE_BITS);
    struct batch three = {.decodes = 3, .decode_kv = 57, .items = items, .capacity = 4};
    assert_int_equal(cost_of(&cm, &three).total, 1200 << FINE_BITS);
    cost_model_release(&cm);
}

static void write_text(const char *path, const char *text)
{
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

/* A profile of one model on top of measured collectives: both are there, its own tables first. One whose base names a
 * model is refused. */
static void test_a_base_may_hold_tables_with_shapes(void **state)
{
    (void)state;
    struct error err = {0};
    struct device d;
    write_text("build/links.json",
               "{\"name\": \"links\", \"kind\": \"tables\", \"base\": \"rtx-4090\", \"tables\": [{\"op\": "
               "\"all_reduce\", \"shape\": {\"gpus\": 2}, \"axes\": [{\"name\": \"bytes\", \"at\": [1, 2]}], \"ns\": "
               "[5, 6]}, {\"op\": \"all_reduce\", \"shape\": {\"gpus\": 4}, \"axes\": [{\"name\": \"bytes\", \"at\": "
               "[1, 2]}], \"ns\": [7, 8]}]}");
    write_text("build/on_links.json",
               "{\"name\": \"own\", \"kind\": \"tables\", \"base\": \"build/links.json\", \"model\": \"llama-3.1-8b\", "
               "\"tables\": [{\"op\": \"norm\", \"axes\": [{\"name\": \"tokens\", \"at\": [1, 2]}], \"ns\": [1, 2]}]}");
    expect_ok(device_load("build/on_links.json", &d, &err), &err);
    assert_int_equal(d.table_count, 3);
    assert_string_equal(d.tables[0].op, "norm");
    assert_true(d.tables[1].shape.gpus == 2 && d.tables[2].shape.gpus == 4 && d.tables[2].ns[1] == 8);
    device_release(&d);
    write_text("build/on_own.json", "{\"name\": \"x\", \"kind\": \"tables\", \"base\": \"build/on_links.json\", "
                                    "\"tables\": []}");
    assert_int_equal(device_load("build/on_own.json", &d, &err), -1);
    assert_non_null(strstr(err.text, "base: expected a roofline device, or a profile whose tables all have shapes"));
}

static void test_a_base_leads_somewhere(void **state)
{
    (void)state;
    struct device d;
    struct error err = {0};
    write_text("build/circle.json",
               "{\"name\": \"x\", \"kind\": \"tables\", \"base\": \"build/circle.json\", \"tables\": []}");
    assert_int_equal(device_load("build/circle.json", &d, &err), -1);
    assert_non_null(strstr(err.text, "base: expected at most 8 bases in a row"));
    err = (struct error){0};
    assert_int_equal(device_load("build/links.json", &d, &err), 0); /* another file is read as before */
    device_release(&d);
}

/* Sizes 1, 2, 4, 8: 3 rows run as 4, 9 as they are; so 3 decodes cost what 4 rows of token-wise work do, with the head,
 * attention and host work of 3. */
static void test_batches_are_padded_to_captured_sizes(void **state)
{
    (void)state;
    struct engine engine;
    struct error err = {0};
    struct json root;
    expect_ok(json_parse("{\"graph_tokens\": [1, 2, 4, 8], \"host_ns\": 0, \"host_ns_per_sequence\": 0}", "engine",
                         &root, &err),
              &err);
    expect_ok(engine_read(&root, &engine, &err), &err);
    cJSON_Delete((cJSON *)(uintptr_t)root.node);
    assert_int_equal(engine_padded_tokens(&engine, 3), 4);
    assert_int_equal(engine_padded_tokens(&engine, 8), 8);
    assert_int_equal(engine_padded_tokens(&engine, 9), 9);
    struct cost_model plain, padded;
    struct engine bare = engine;
    bare.graph_count = 0;
    expect_ok(create_cost(&plain, "llama-3.1-8b", "h100-sxm", 1, &bare, &err), &err);
    expect_ok(create_cost(&padded, "llama-3.1-8b", "h100-sxm", 1, &engine, &err), &err);
    struct batch b = {.decodes = 3, .decode_kv = 300};
    fine_time extra = (fine_time)(plain.tokens[4].total - plain.tokens[3].total);
    assert_int_equal(cost_of(&padded, &b).total, cost_of(&plain, &b).total + extra);
    b.decodes = 9;
    assert_int_equal(cost_of(&padded, &b).total, cost_of(&plain, &b).total);
    cost_model_release(&plain);
    cost_model_release(&padded);
    expect_ok(json_parse("{\"graph_tokens\": [2, 1]}", "engine", &root, &err), &err);
    assert_int_equal(engine_read(&root, &engine, &err), -1);
    assert_non_null(strstr(err.text, "graph_tokens[1]: expected a whole number above the one before it"));
    cJSON_Delete((cJSON *)(uintptr_t)root.node);
}

/* 7 ns for the first iteration of decodes after prompts; the one after it is asked for, so that it does not have them.
 * With prompts in it an iteration has no caches to lose. */
static void test_decodes_right_after_prompts_find_cold_caches(void **state)
{
    (void)state;
    struct cost_model cm;
    struct error err = {0};
    struct batch b = {.decodes = 3, .decode_kv = 300, .items = items, .capacity = 4, .stable_iterations = 100};
    expect_ok(create_cost(&cm, "llama-3.1-8b", "h100-sxm", 1, NULL, &err), &err);
    const struct iteration_cost warm = cost_of(&cm, &b);
    assert_true(warm.steady > 1);
    cm.cold = 7 << FINE_BITS;
    assert_int_equal(cost_of(&cm, &b).total, warm.total);
    b.after_prompts = true;
    const struct iteration_cost cold = cost_of(&cm, &b);
    assert_int_equal(cold.total - warm.total, 7 << FINE_BITS);
    assert_true(cold.steady == 1 && cold.decode_alone == cold.total);
    requests[0] = (struct request){.prompt_tokens = 500};
    batch_add(&b, &requests[0], 100);
    fine_time mixed = cost_of(&cm, &b).total;
    b.after_prompts = false;
    assert_int_equal(cost_of(&cm, &b).total, mixed);
    cost_model_release(&cm);
}

/* 10 us between the kernels of each of 32 layers: 320 us for what is launched kernel by kernel. Sizes up to 8 are
 * graphs, of decodes alone or of every batch; work on the host that hides behind the GPU does not hide this. */
static void test_what_is_no_graph_is_launched_kernel_by_kernel(void **state)
{
    (void)state;
    struct engine graphs = {
        .name = "none", .graph_tokens = {4, 8}, .graph_count = 2, .graph_decodes_only = true, .schedule_ahead = true};
    struct engine eager = graphs;
    struct cost_model without, with, any;
    struct error err = {0};
    eager.eager_layer_ns = 10000;
    expect_ok(create_cost(&without, "llama-3.1-8b", "h100-sxm", 1, &graphs, &err), &err);
    expect_ok(create_cost(&with, "llama-3.1-8b", "h100-sxm", 1, &eager, &err), &err);
    eager.graph_decodes_only = false;
    expect_ok(create_cost(&any, "llama-3.1-8b", "h100-sxm", 1, &eager, &err), &err);
    const struct {
        uint32_t decodes, prompt;
        fine_time more, more_any;
    } cases[] = {{4, 0, 0, 0}, {9, 0, 320000, 320000}, {0, 5, 320000, 0}, {3, 5, 320000, 0}, {4, 100, 320000, 320000}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct batch b = {.decodes = cases[i].decodes,
                          .decode_kv = 100 * cases[i].decodes,
                          .items = items,
                          .capacity = 4};
        requests[0] = (struct request){.prompt_tokens = 500};
        if (cases[i].prompt > 0)
            batch_add(&b, &requests[0], cases[i].prompt);
        assert_int_equal(cost_of(&with, &b).total - cost_of(&without, &b).total, cases[i].more << FINE_BITS);
        graphs.graph_decodes_only = false;
        struct cost_model plain;
        expect_ok(create_cost(&plain, "llama-3.1-8b", "h100-sxm", 1, &graphs, &err), &err);
        assert_int_equal(cost_of(&any, &b).total - cost_of(&plain, &b).total, cases[i].more_any << FINE_BITS);
        cost_model_release(&plain);
    }
    cost_model_release(&without);
    cost_model_release(&with);
    cost_model_release(&any);
}

/* 1 000 ns an iteration and 10 a sequence that nothing hides: of 3 decodes 1 030 more, of 3 and a prompt 1 040, whether
 * or not the engine schedules ahead; and where the host's own 10 ms take longer than the GPU, on top of them. */
static void test_exposed_host_work_comes_on_top(void **state)
{
    (void)state;
    struct error err = {0};
    for (int ahead = 0; ahead < 2; ahead++)
        for (int slow = 0; slow < 2; slow++) {
            struct engine hidden = {.name = "none", .schedule_ahead = ahead, .host_ns = slow ? 1e7 : 0};
            struct engine exposed = hidden;
            struct cost_model without, with;
            exposed.exposed_ns = 1000;
            exposed.exposed_ns_per_sequence = 10;
            expect_ok(create_cost(&without, "llama-3.1-8b", "h100-sxm", 1, &hidden, &err), &err);
            expect_ok(create_cost(&with, "llama-3.1-8b", "h100-sxm", 1, &exposed, &err), &err);
            struct batch b = {.decodes = 3, .decode_kv = 300, .items = items, .capacity = 4};
            assert_int_equal(cost_of(&with, &b).total - cost_of(&without, &b).total, 1030 << FINE_BITS);
            requests[0] = (struct request){.prompt_tokens = 500};
            batch_add(&b, &requests[0], 500);
            assert_int_equal(cost_of(&with, &b).total - cost_of(&without, &b).total, 1040 << FINE_BITS);
            cost_model_release(&without);
            cost_model_release(&with);
        }
}

/* A decode, a prompt's last chunk and a chunk that leaves its prompt unfinished: three rows of the head, or two; a
 * batch of the unfinished chunk alone has one row or none. The presets' engines all run it so. */
static void test_output_head_runs_for_unfinished_prompts_where_the_engine_does_so(void **state)
{
    (void)state;
    struct engine engine = {.name = "none", .schedule_ahead = true};
    struct cost_model yields, all;
    struct error err = {0};
    expect_ok(create_cost(&yields, "llama-3.1-8b", "h100-sxm", 1, &engine, &err), &err);
    engine.head_for_all = true;
    expect_ok(create_cost(&all, "llama-3.1-8b", "h100-sxm", 1, &engine, &err), &err);
    requests[0] = (struct request){.prompt_tokens = 100, .computed = 60};
    requests[1] = (struct request){.prompt_tokens = 500};
    struct batch b = {.decodes = 1, .decode_kv = 300, .items = items, .capacity = 4};
    batch_add(&b, &requests[1], 128);
    fine_time alone = cost_of(&yields, &b).total;
    assert_int_equal(cost_of(&all, &b).total - alone, all.heads[2].total - all.heads[1].total);
    batch_add(&b, &requests[0], 40);
    assert_int_equal(cost_of(&all, &b).total - cost_of(&yields, &b).total, all.heads[3].total - all.heads[2].total);
    b.decodes = 0, b.decode_kv = 0, b.count = 1;
    assert_int_equal(cost_of(&all, &b).total - cost_of(&yields, &b).total, all.heads[1].total);
    assert_true(all.heads[1].total > 100000 * (int64_t)(1 << FINE_BITS)); /* 1.05 GB of weights: some 370 µs */
    cost_model_release(&yields);
    cost_model_release(&all);
    static const char *const presets[] = {"\"vllm-0.19\"", "\"sglang-0.5\"", "\"trtllm-1.2\""};
    for (size_t i = 0; i < sizeof presets / sizeof *presets; i++) {
        struct json preset;
        expect_ok(json_parse(presets[i], "engine", &preset, &err), &err);
        expect_ok(engine_read(&preset, &engine, &err), &err);
        assert_true(engine.head_for_all);
        cJSON_Delete((cJSON *)(uintptr_t)preset.node);
    }
}

/* Packed bins cost what their rows cost: masked 2 rows of 10, varlen the three prompts' own tokens. */
static void test_packed_prefill_costs_rows(void **state)
{
    (void)state;
    struct cost_model cm;
    struct error err = {0};
    expect_ok(create_cost(&cm, "ideal", "tests/data/line2.json", 1, NULL, &err), &err);
    for (int i = 0; i < 3; i++)
        requests[i] = (struct request){.prompt_tokens = (uint32_t[]){10, 4, 3}[i]};
    struct batch b = {.items = items, .capacity = 4, .layout = BATCH_PACKED, .rows = 2, .row_tokens = 10};
    for (int i = 0; i < 3; i++)
        batch_add(&b, &requests[i], requests[i].prompt_tokens);
    assert_int_equal(cost_of(&cm, &b).total, (1000 + 2 * 10 * 10) << FINE_BITS);
    b.packed_attention = PACKED_VARLEN;
    assert_int_equal(cost_of(&cm, &b).total, (1000 + 17 * 10) << FINE_BITS);
    cost_model_release(&cm);
}

static void test_table_interpolation_by_hand(void **state)
{
    (void)state;
    double rows[] = {1, 2, 4}, ns[] = {10, 12, 20};
    struct cost_table t = {.axes = {{rows, 3}}, .axis_count = 1, .ns = ns};
    enum table_where where = TABLE_MEASURED;
    assert_near(table_at(&t, 3, &where), 16, 1e-12);
    assert_near(table_at(&t, 1, &where), 10, 1e-12);
    assert_int_not_equal(where, TABLE_BEYOND);
    assert_near(table_at(&t, 6, &where), 28, 1e-12); /* slope of the last octave: 4 */
    assert_int_equal(where, TABLE_BEYOND);
}

/* Sequences 1 and 2, mean KV 100 and 200: 10 20 / 14 30. At 1.5 and 150: (15 + 22) / 2. */
static void test_decode_table_by_hand(void **state)
{
    (void)state;
    double rows[] = {1, 2}, columns[] = {100, 200}, ns[] = {10, 20, 14, 30};
    struct cost_table t = {.axes = {{rows, 2}, {columns, 2}}, .axis_count = 2, .ns = ns};
    enum table_where where = TABLE_MEASURED;
    assert_near(table_grid_at(&t, 1.5, 150, &where), 18.5, 1e-12);
    assert_int_not_equal(where, TABLE_BEYOND);
    assert_near(table_grid_at(&t, 3, 100, &where), 18, 1e-12);
    assert_int_equal(where, TABLE_BEYOND);
}

/* Chunks 16 and 32 without KV: between them in proportion to c²/2: at 24 the share is
 * (288 − 128) / (512 − 128) = 5/12. At 64, beyond, on the same line: 220 + (2048 − 512) / (512 − 128) · 120 = 700. */
static void test_prefill_table_by_hand(void **state)
{
    (void)state;
    double rows[] = {16, 32}, columns[] = {0, 64}, ns[] = {100, 150, 220, 300};
    struct cost_table t = {.axes = {{rows, 2}, {columns, 2}}, .axis_count = 2, .ns = ns};
    enum table_where where = TABLE_MEASURED;
    assert_near(table_prefill_at(&t, 24, 0, &where), 150, 1e-12);
    assert_int_not_equal(where, TABLE_BEYOND);
    assert_near(table_prefill_at(&t, 64, 0, &where), 700, 1e-12);
    assert_int_equal(where, TABLE_BEYOND);
}

/* Chunks 16 and 32, no KV before, 2 and 4 sequences, mean KV 100: 10 20 / 30 60. In the middle of both axes the mean,
 * 30; at 4 sequences beyond 32, at 48: 20 + 2 · (60 − 20) = 100. */
static void test_mixed_table_by_hand(void **state)
{
    (void)state;
    double rows[] = {16, 32}, columns[] = {0}, sequences[] = {2, 4}, kv[] = {100}, ns[] = {10, 20, 30, 60};
    struct cost_table t = {.axes = {{rows, 2}, {columns, 1}, {sequences, 2}, {kv, 1}}, .axis_count = 4, .ns = ns};
    enum table_where where = TABLE_MEASURED;
    assert_near(table_mixed_at(&t, 24, 0, 3, 100, &where), 30, 1e-12);
    assert_int_not_equal(where, TABLE_BEYOND);
    assert_near(table_mixed_at(&t, 48, 0, 4, 100, &where), 100, 1e-12);
    assert_int_equal(where, TABLE_BEYOND);
}

/* Times 10, 12, 20, 30 at 1, 2, 4, 8 tokens. Without 2: 10 + 10/3, 11.1 % above 12; without 4: 18, 10 % below 20. The
 * median lies halfway, the 90th percentile nine tenths of the way. 8 from the others: 20 + 4 · 4 = 36, 20 % above 30.
 */
static void test_leave_one_out_by_hand(void **state)
{
    (void)state;
    double rows[] = {1, 2, 4, 8}, ns[] = {10, 12, 20, 30};
    struct cost_table t = {.op = "qkv_proj", .axes = {{rows, 4}}, .axis_count = 1, .ns = ns};
    struct axis_check c;
    struct error err = {0};
    expect_ok(table_check_axis(&t, 0, &c, &err), &err);
    assert_int_equal(c.within.points, 2);
    assert_near(c.within.median, (1.0 / 9 + 0.1) / 2, 1e-12);
    assert_near(c.within.p90, 0.1 + 0.9 * (1.0 / 9 - 0.1), 1e-12);
    assert_near(c.within.worst, 1.0 / 9, 1e-12);
    assert_near(c.within.worst_at[0], 2, 0);
    assert_int_equal(c.beyond.points, 1);
    assert_near(c.beyond.worst, 0.2, 1e-12);
}

/* fp8 runs as bf16 where there is no fp8, as fp16 where there is neither; bf16 as fp32 on a device of nothing else. */
static void test_a_format_runs_as_the_next_that_the_device_has(void **state)
{
    (void)state;
    struct device half = {.peak_flops = {[DTYPE_FP16] = 2, [DTYPE_FP32] = 1}},
                  single = {.peak_flops = {[DTYPE_FP32] = 1}};
    assert_int_equal(device_arithmetic(&half, DTYPE_FP8), DTYPE_FP16);
    assert_int_equal(device_arithmetic(&half, DTYPE_INT4), DTYPE_FP16);
    assert_int_equal(device_arithmetic(&half, DTYPE_BF16), DTYPE_FP16);
    assert_int_equal(device_arithmetic(&single, DTYPE_BF16), DTYPE_FP32);
    assert_int_equal(device_arithmetic(&single, DTYPE_FP16), DTYPE_FP32);
    half.peak_flops[DTYPE_BF16] = 3;
    assert_int_equal(device_arithmetic(&half, DTYPE_FP8), DTYPE_BF16);
    assert_true(device_peak_flops(&half, DTYPE_FP8) == 3);
}

/* Sequences 1, 2, 3 by mean KV 100, 200: 10 20 / 14 30 / 20 38, where 30 was not measured but filled in. Without 2
 * sequences: 15 for 14. 3 from the others: 18 for 20 and 40 for 38. Two columns are too few to leave one out. */
static void test_leave_one_out_of_a_grid(void **state)
{
    (void)state;
    double rows[] = {1, 2, 3}, columns[] = {100, 200}, ns[] = {10, 20, 14, 30, 20, 38}, filled[] = {3};
    struct cost_table t = {.op = "decode_attention",
                           .axes = {{rows, 3}, {columns, 2}},
                           .axis_count = 2,
                           .ns = ns,
                           .filled = filled,
                           .filled_count = 1};
    struct axis_check c;
    struct error err = {0};
    expect_ok(table_check_axis(&t, 0, &c, &err), &err);
    assert_int_equal(c.within.points, 1);
    assert_near(c.within.worst, 1.0 / 14, 1e-12);
    assert_near(c.within.worst_at[0], 2, 0);
    assert_near(c.within.worst_at[1], 100, 0);
    assert_int_equal(c.beyond.points, 2);
    assert_near(c.beyond.worst, 0.1, 1e-12);
    assert_near(c.beyond.median, (0.1 + 2.0 / 38) / 2, 1e-12);
    expect_ok(table_check_axis(&t, 1, &c, &err), &err);
    assert_int_equal(c.within.points + c.beyond.points, 0);
}

/* 1 000 TFLOP/s at 0.5 and 1 000 GB/s at 0.8, 2 µs a launch. GEMM of 1024³: arithmetic 2·1024³ / 5e5 per ns = 4 295 ns,
 * bytes 2·3·1024² / 800 = 7 864 ns and the launch: without a corner the longer of the two, with p = 2 the root of
 * 4 295² + 7 864², 8 961 ns, with p = 1 their sum. In fp8 10 737 and 3 932 ns and 5 µs. Decode of 4 sequences over 1
 * 000 tokens, 8 heads over 2 of 128: bytes 2·2·128·2·4 000 / 800 = 5 120 ns and of queries 2·2·8·128·4 / 800 = 20.48,
 * 10 µs a launch. All-reduce of 1 MB over 4 at 100 GB/s: 2·3/4 · 1e6 / 100 = 15 000 ns and 7 µs. */
static void test_single_kernels_by_hand(void **state)
{
    (void)state;
    struct device d = {.peak_flops = {[DTYPE_BF16] = 1e15, [DTYPE_FP8] = 2e15},
                       .bandwidth_bytes_per_s = 1e12,
                       .gemm_efficiency = 0.5,
                       .attention_efficiency = 0.5,
                       .bandwidth_efficiency = 0.8,
                       .link_bytes_per_s = 1e11,
                       .link_latency_ns = 7000,
                       .launch_ns = 2000,
                       .attention_launch_ns = 10000,
                       .gemm_efficiency_8bit = 0.1,
                       .gemm_launch_ns_8bit = 5000};
    const struct attention a = {8, 2, 128, 2};
    assert_near(roofline_gemm_ns(&d, DTYPE_BF16, 1024, 1024, 1024), 6.0 * 1024 * 1024 / 800 + 2000, 1e-12);
    assert_near(roofline_gemm_ns(&d, DTYPE_FP8, 1024, 1024, 1024), 2.0 * 1024 * 1024 * 1024 / 2e5 + 5000, 1e-12);
    d.roofline_corner = 2;
    assert_near(roofline_gemm_ns(&d, DTYPE_BF16, 1024, 1024, 1024), hypot(4294.967296, 7864.32) + 2000, 1e-12);
    d.roofline_corner = 1;
    assert_near(roofline_gemm_ns(&d, DTYPE_BF16, 1024, 1024, 1024), 4294.967296 + 7864.32 + 2000, 1e-12);
    assert_near(roofline_attention_ns(&d, DTYPE_BF16, &a, 4, 1, 999), 5120 + 20.48 + 10000, 1e-12);
    assert_near(roofline_all_reduce_ns(&d, 4, 1e6), 22000, 1e-12);
    d.attention_bandwidth_efficiency = 0.4;
    assert_near(roofline_attention_ns(&d, DTYPE_BF16, &a, 4, 1, 999), 2 * (5120 + 20.48) + 10000, 1e-12);
}

static double weight_ns(const struct device *d, double weight_bytes, double rows)
{
    struct operation op = {.kind = WORK_GEMM, .dtype = DTYPE_BF16, .weight_bytes = weight_bytes, .n = 4096, .k = 4096};
    return roofline_operation_ns(d, &op, rows) - d->launch_ns;
}

/* A100: 312 TFLOP/s · 0.75 = 234 000 a ns, 2 039 GB/s · 0.85 = 1 733 bytes a ns. One row of 4096 × 4096 computes a tile
 * of 16: 2·16·4096² / 234 000 = 2 294 ns; 16, 4 and 2 bits are 19 359, 4 840 and 2 420 ns, with 2·8192 bytes of
 * activations 9 ns more. Marlin (Frantar et al. 2024) measures 3.9 times the speed of 16 bits at one row, still near
 * that at 16, and about 1.5 times at 128, on an A10 of much the same balance. */
static void test_narrow_weights_by_hand(void **state)
{
    (void)state;
    struct device d;
    struct error err = {0};
    expect_ok(device_load("a100-80gb", &d, &err), &err);
    double tile = 2.0 * 16 * 4096 * 4096 / 234000, per_byte = 1 / (2039 * 0.85), row = 2 * 8192 * per_byte;
    for (double bytes = 2; bytes >= 0.25; bytes /= 2)
        assert_near(weight_ns(&d, bytes, 1), hypot(tile, bytes * 4096 * 4096 * per_byte + row), 1e-9);
    assert_near(weight_ns(&d, 0.5, 16), hypot(tile, 0.5 * 4096 * 4096 * per_byte + 16 * row), 1e-9);
    assert_near(weight_ns(&d, 0.5, 17), hypot(2 * tile, 0.5 * 4096 * 4096 * per_byte + 17 * row), 1e-9);
    double gain_1 = weight_ns(&d, 2, 1) / weight_ns(&d, 0.5, 1),
           gain_16 = weight_ns(&d, 2, 16) / weight_ns(&d, 0.5, 16);
    double gain_128 = weight_ns(&d, 2, 128) / weight_ns(&d, 0.5, 128);
    assert_true(gain_1 > 3.5 && gain_1 < 4 && gain_16 > 3.4 && gain_128 > 1.2 && gain_128 < 1.7);
    device_release(&d);
}

/* An engine that says weight_dtype has all weights in it but embedding and output head, which engines keep in 16 bits:
 * Llama-3.1-8B's take a byte each in fp8, these 2 · 128 256 · 4 096 two, and KV gets the rest; FP8 arithmetic computes
 * them, but for the output head. Of a mixture of experts, weights that are narrower already stay as they are: fp8
 * takes half the experts of Qwen3-30B-A3B, but gpt-oss-120b's are 4.25 bits. A format that there is not is a sentence.
 */
static void test_an_engine_may_quantise_a_models_weights(void **state)
{
    (void)state;
    struct cost_model cm;
    struct error err = {0};
    struct engine engine;
    struct json root;
    expect_ok(json_parse("{\"engine\": {\"weight_dtype\": \"fp8\"}}", "test", &root, &err), &err);
    struct json at = json_member(&root, "engine");
    expect_ok(engine_read(&at, &engine, &err), &err);
    cJSON_Delete((cJSON *)(uintptr_t)root.node);
    assert_true(engine.quantised && engine.weight_dtype == DTYPE_FP8);
    expect_ok(create_cost(&cm, "llama-3.1-8b", "h100-sxm", 1, &engine, &err), &err);
    double weights = model_parameters(&cm.model) + 2 * 128256.0 * 4096, memory = 80 * 1073741824.0;
    assert_near(model_weight_bytes(&cm.model), weights, 1e-12);
    assert_int_equal(cm.model.dtype, DTYPE_FP8);
    assert_true(work_find(&cm.work, "lm_head")->weight_bytes == 2 && work_find(&cm.work, "o_proj")->weight_bytes == 1);
    assert_int_equal(work_find(&cm.work, "lm_head")->dtype, DTYPE_BF16);
    assert_int_equal(cost_model_kv_tokens(&cm, 2048, 256), (uint64_t)((0.9 * memory - 2e9 - weights) / 131072));
    cost_model_release(&cm);
    expect_ok(create_cost(&cm, "qwen3-30b-a3b", "h100-sxm", 1, &engine, &err), &err);
    assert_true(cm.model.bytes_per_weight == 1 && cm.model.moe.bytes_per_weight == 1);
    assert_int_equal(cm.model.moe.dtype, DTYPE_FP8);
    cost_model_release(&cm);
    expect_ok(create_cost(&cm, "gpt-oss-120b", "h100-sxm", 2, &engine, &err), &err);
    assert_true(cm.model.bytes_per_weight == 1 && cm.model.moe.bytes_per_weight == 0.53125);
    assert_int_equal(cm.model.moe.dtype, DTYPE_FP4);
    cost_model_release(&cm);
    expect_scenario_refused(
        "{\"model\": \"llama-3.1-8b\", \"device\": \"h100-sxm\", \"engine\": {\"weight_dtype\":"
        "\"fp7\"}, \"workload\": {\"arrivals\": \"poisson\", \"lengths\": \"fixed\", \"requests\": 1}}",
        "engine.weight_dtype: expected");
}

/* KV in 8 bits, whatever the model says: twice as many tokens in the same bytes, less one for the rounding. */
static void test_an_engine_may_say_the_format_of_kv(void **state)
{
    (void)state;
    struct cost_model cm;
    struct error err = {0};
    struct engine engine;
    struct json root;
    expect_ok(json_parse("{\"engine\": {\"kv_dtype\": \"fp8_e4m3\"}}", "test", &root, &err), &err);
    struct json at = json_member(&root, "engine");
    expect_ok(engine_read(&at, &engine, &err), &err);
    cJSON_Delete((cJSON *)(uintptr_t)root.node);
    expect_ok(create_cost(&cm, "llama-3.1-8b", "h100-sxm", 1, &engine, &err), &err);
    double bytes = 0.9 * 80 * 1073741824.0 - 2e9 - 2 * model_parameters(&cm.model);
    assert_int_equal(cost_model_kv_tokens(&cm, 2048, 256), (uint64_t)(bytes / 65536));
    assert_true(cm.work.attention[ATTENTION_FULL].kv_value_bytes == 1);
    cost_model_release(&cm);
}

/* Scores are computed from activations of 16 bits, whatever weights are stored in: between prompts of 4 096 and 8 192
 * tokens lie 32 layers · 4·32·128 operations · (8 192·8 193 − 4 096·4 097) / 2 scores at half the bf16 peak of an H100,
 * 989 TFLOP/s, also with weights in 8 and 4 bits. */
static void test_narrow_weights_do_not_speed_up_scores(void **state)
{
    (void)state;
    struct error err = {0};
    struct engine engine = {.quantised = true};
    double operations = 32 * 4.0 * 32 * 128 * (8192.0 * 8193 - 4096.0 * 4097) / 2;
    static const enum dtype formats[] = {DTYPE_BF16, DTYPE_FP8, DTYPE_FP4};
    for (int i = 0; i < 3; i++) {
        struct cost_model cm;
        engine.weight_dtype = formats[i];
        expect_ok(create_cost(&cm, "llama-3.1-8b", "h100-sxm", 1, &engine, &err), &err);
        struct attention_piece longer = cm.backend.prefill_piece(cm.backend.self, 8192, 0);
        struct attention_piece shorter = cm.backend.prefill_piece(cm.backend.self, 4096, 0);
        assert_near(longer.ns - shorter.ns, operations / (0.5 * 989e12) * 1e9, 1e-9);
        cost_model_release(&cm);
    }
}

/* 1 000 TFLOP/s and 1 000 GB/s, all reached, no launches. Two rows pick 2 of 8 experts each: 8 · (1 − 0.75²) = 3.5
 * awake, 4 picks. A tile of 16 rows each is 56 rows; of 64 rows with 128 picks on 8 experts 128 + 8·7.5 = 188. Bytes:
 * weights of those awake, and 2·hidden + 3·width values a pick. */
static void test_experts_by_hand(void **state)
{
    (void)state;
    const struct device d = {.peak_flops = {[DTYPE_BF16] = 1e15},
                             .bandwidth_bytes_per_s = 1e12,
                             .gemm_efficiency = 1,
                             .bandwidth_efficiency = 1,
                             .gemm_tile_rows = 16};
    const struct operation op = {.kind = WORK_EXPERTS,
                                 .dtype = DTYPE_BF16,
                                 .weight_bytes = 0.5,
                                 .experts = {.hidden = 1000,
                                             .intermediate = 500,
                                             .experts = 8,
                                             .top_k = 2,
                                             .gated = 1,
                                             .tensor = 1,
                                             .expert = 1,
                                             .imbalance = 1}};
    double matrices = 3.0 * 1000 * 500, pick = 2 * (2 * 1000.0 + 3 * 500);
    assert_near(roofline_operation_ns(&d, &op, 2), 2 * 56 * matrices / 1e6 + (3.5 * matrices * 0.5 + 4 * pick) / 1e3,
                1e-12);
    double awake = 8 * (1 - pow(0.75, 64));
    assert_near(roofline_operation_ns(&d, &op, 64),
                2 * (128 + awake * 7.5) * matrices / 1e6 + (awake * matrices * 0.5 + 128 * pick) / 1e3, 1e-12);
}

static void write_gemms(const struct device *d, const char *file)
{
    FILE *out = fopen(file, "w");
    assert_non_null(out);
    fprintf(out, "framework,gemm_dtype,m,n,k,latency\n");
    for (double m = 1; m <= 8192; m *= 2)
        for (double n = 1024; n <= 16384; n *= 2)
            for (int f = 0; f < 2; f++)
                fprintf(out, "X,%s,%g,%g,4096,%.9g\n", f ? "fp8" : "bfloat16", m, n,
                        roofline_gemm_ns(d, f ? DTYPE_FP8 : DTYPE_BF16, m, n, 4096) * 1e-6);
    fclose(out);
}

/* Prompts of 16 to 16 384 tokens (decode false), or contexts of as many. */
static void write_attention(const struct device *d, const char *file, bool decode)
{
    const struct attention a = {32, 8, 128, 2};
    FILE *out = fopen(file, "w");
    assert_non_null(out);
    fprintf(
        out,
        "batch_size,isl,num_heads,num_key_value_heads,head_dim,attn_dtype,kv_cache_dtype,step,window_size,latency\n");
    for (double batch = 1; batch <= 64; batch *= 2)
        for (double length = 64; length <= 16384; length *= 2) {
            double isl = decode ? 1 : length, step = decode ? length - 1 : 0;
            fprintf(out, "%g,%g,32,8,128,bfloat16,bfloat16,%g,0,%.9g\n", batch, isl, step,
                    roofline_attention_ns(d, DTYPE_BF16, &a, batch, isl, step) * 1e-6);
        }
    fclose(out);
}

static void write_all_reduces(const struct device *d, const char *file)
{
    FILE *out = fopen(file, "w");
    assert_non_null(out);
    fprintf(out, "kernel_source,num_gpus,message_size,latency\n");
    for (double gpus = 2; gpus <= 8; gpus *= 2)
        for (double values = 1024; values <= 1 << 26; values *= 4)
            fprintf(out, "X_graph,%g,%.0f,%.9g\nX_eager,%g,%.0f,99\n", gpus, values,
                    roofline_all_reduce_ns(d, gpus, 2 * values) * 1e-6, gpus, values);
    fclose(out);
}

/* Gated experts of two models in four formats, by a power law; balanced, without a gate and shared by whole experts,
 * none of which count, they take a second. */
static void write_experts(const struct device *d, const char *file)
{
    static const struct {
        const char *name;
        enum dtype dtype;
    } formats[] = {{"bfloat16", DTYPE_BF16},
                   {"fp8_block", DTYPE_FP8},
                   {"w4a16_mxfp4", DTYPE_FP4},
                   {"int4_wo", DTYPE_INT4}};
    FILE *out = fopen(file, "w");
    assert_non_null(out);
    fprintf(out, "kernel_source,moe_dtype,num_tokens,hidden_size,inter_size,topk,num_experts,moe_tp_size,moe_ep_size,"
                 "distribution,latency\n");
    for (size_t f = 0; f < 4; f++)
        for (double tokens = 1; tokens <= 16384; tokens *= 2)
            for (double hidden = 2048; hidden <= 4096; hidden *= 2) {
                const struct operation op = {.kind = WORK_EXPERTS,
                                             .dtype = formats[f].dtype,
                                             .weight_bytes = dtype_bytes(formats[f].dtype),
                                             .experts = {hidden, 1536, 64, 8, .gated = 1, .tensor = 2, .expert = 1,
                                                         .imbalance = 1}};
                fprintf(out, "X,%s,%g,%g,1536,8,64,2,1,power_law_1.2,%.9g\n", formats[f].name, tokens, hidden,
                        roofline_operation_ns(d, &op, tokens) * 1e-6);
                fprintf(out, "X,%s,%g,%g,1536,8,64,2,1,balanced,1000\n", formats[f].name, tokens, hidden);
                fprintf(out, "X_nongated,%s,%g,%g,1536,8,64,2,1,power_law_1.2,1000\n", formats[f].name, tokens, hidden);
                fprintf(out, "X,%s,%g,%g,1536,8,64,2,4,power_law_1.2,1000\n", formats[f].name, tokens, hidden);
            }
    fclose(out);
}

static void set_experts(struct device *d)
{
    static const struct {
        enum dtype dtype;
        double efficiency, bandwidth, launch_ns;
    } of[] = {{DTYPE_BF16, 0.4, 0.9, 30000},
              {DTYPE_FP8, 0.25, 0.8, 35000},
              {DTYPE_FP4, 0.2, 0.7, 60000},
              {DTYPE_INT4, 0.15, 0.6, 20000}};
    for (size_t i = 0; i < 4; i++) {
        d->expert_efficiency[of[i].dtype] = of[i].efficiency;
        d->expert_bandwidth_efficiency[of[i].dtype] = of[i].bandwidth;
        d->expert_launch_ns[of[i].dtype] = of[i].launch_ns;
    }
}

/* Kernels that are a roofline give its parameters back. */
static void test_fit_finds_the_parameters_that_made_the_kernels(void **state)
{
    (void)state;
    struct device truth, d;
    struct kernel_fit fit;
    struct error err = {0};
    expect_ok(device_load("h100-sxm", &truth, &err), &err);
    d = truth;
    truth.gemm_efficiency = 0.6;
    truth.bandwidth_efficiency = 0.7;
    truth.roofline_corner = 3;
    truth.gemm_launch_ns = 5000;
    truth.gemm_efficiency_8bit = 0.4;
    truth.gemm_launch_ns_8bit = 9000;
    truth.attention_efficiency = 0.3;
    truth.attention_bandwidth_efficiency = 0.6;
    truth.attention_launch_ns = 12000;
    truth.link_bytes_per_s = 200e9;
    truth.link_latency_ns = 4000;
    mkdir("build/kernels", 0777);
    write_all_reduces(&truth, "build/kernels/custom_allreduce_perf.csv");
    write_gemms(&truth, "build/kernels/gemm_perf.csv");
    write_attention(&truth, "build/kernels/context_attention_perf.csv", false);
    write_attention(&truth, "build/kernels/generation_attention_perf.csv", true);
    set_experts(&truth);
    write_experts(&truth, "build/kernels/moe_perf.csv");
    expect_ok(kernels_fit("build/kernels", &d, &fit, &err), &err);
    assert_near(d.gemm_efficiency, 0.6, 0.01);
    assert_near(d.bandwidth_efficiency, 0.7, 0.01);
    assert_near(d.roofline_corner, 3, 0.02);
    assert_near(d.gemm_launch_ns, 5000, 0.01);
    assert_near(d.gemm_efficiency_8bit, 0.4, 0.01);
    assert_near(d.gemm_launch_ns_8bit, 9000, 0.01);
    assert_near(d.attention_efficiency, 0.3, 0.01);
    assert_near(d.attention_bandwidth_efficiency, 0.6, 0.01);
    assert_near(d.attention_launch_ns, 12000, 0.01);
    assert_near(d.link_bytes_per_s, 200e9, 0.01);
    assert_near(d.link_latency_ns, 4000, 0.01);
    for (int i = 0; i < DTYPE_COUNT; i++) {
        assert_near(d.expert_efficiency[i], truth.expert_efficiency[i], 0.01);
        assert_near(d.expert_bandwidth_efficiency[i], truth.expert_bandwidth_efficiency[i], 0.01);
        assert_near(d.expert_launch_ns[i], truth.expert_launch_ns[i], 0.01);
    }
    assert_int_equal(fit.refused_count, 0);
    for (int kind = 0; kind < KERNEL_KINDS; kind++)
        assert_true(fit.after[kind].p90 < 0.005 && fit.before[kind].median > 0.05);
}

/* 15 us around a GEMM in 8 bits is no launch: the one in 16 bits stands for it, next to the efficiency. Prompts that
 * take a hundredth of their arithmetic at peak are not believed, and attention stays as it was; so do experts in a
 * format that there are no kernels of. */
static void test_fit_refuses_what_no_kernel_can_have(void **state)
{
    (void)state;
    struct device truth, d;
    struct kernel_fit fit;
    struct error err = {0};
    expect_ok(device_load("h100-sxm", &truth, &err), &err);
    d = truth;
    truth.gemm_launch_ns = 5000;
    truth.gemm_efficiency_8bit = 0.4;
    truth.gemm_launch_ns_8bit = 15000;
    mkdir("build/refused", 0777);
    write_gemms(&truth, "build/refused/gemm_perf.csv");
    truth.peak_flops[DTYPE_BF16] *= 100;
    truth.bandwidth_bytes_per_s *= 100;
    truth.attention_launch_ns = 1;
    write_attention(&truth, "build/refused/context_attention_perf.csv", false);
    write_attention(&truth, "build/refused/generation_attention_perf.csv", true);
    assert_int_equal(system("gzip -f build/refused/gemm_perf.csv"), 0);
    expect_ok(kernels_fit("build/refused", &d, &fit, &err), &err);
    assert_int_equal(fit.refused_count, 1);
    assert_string_equal(fit.refused[0].name, "gemm_launch_ns_8bit");
    assert_near(fit.refused[0].fitted, 15000, 0.01);
    assert_near(d.gemm_launch_ns_8bit, 5000, 0.01);
    assert_near(d.gemm_efficiency_8bit, 0.4, 0.01);
    assert_true(fit.impossible[KERNEL_PREFILL] > 0 && fit.after[KERNEL_PREFILL].points == 0);
    assert_true(d.attention_efficiency == 0.5 && d.attention_launch_ns == 0 && d.expert_efficiency[DTYPE_FP8] == 0);
    assert_int_equal(fit.after[KERNEL_EXPERTS_FP8].points, 0);
}

/* 32 query heads share 8 KV heads. Kernels at a fifth of the bandwidth take five times as long as the KV, which is more
 * than the four of reading it for each query head of a group: decodes do not count, and attention stays. At a half they
 * share it. */
static void test_fit_refuses_decodes_that_share_no_kv(void **state)
{
    (void)state;
    struct device truth, d;
    struct kernel_fit fit;
    struct error err = {0};
    expect_ok(device_load("h100-sxm", &truth, &err), &err);
    mkdir("build/unshared", 0777);
    write_gemms(&truth, "build/unshared/gemm_perf.csv");
    truth.attention_efficiency = 0.4;
    write_attention(&truth, "build/unshared/context_attention_perf.csv", false);
    for (int shared = 0; shared < 2; shared++) {
        expect_ok(device_load("h100-sxm", &d, &err), &err);
        truth.attention_bandwidth_efficiency = shared ? 0.5 : 0.2;
        write_attention(&truth, "build/unshared/generation_attention_perf.csv", true);
        expect_ok(kernels_fit("build/unshared", &d, &fit, &err), &err);
        assert_true(fit.kv_read_anew[KERNEL_DECODE] == !shared);
        assert_true((fit.after[KERNEL_DECODE].points > 0) == shared);
        assert_near(d.attention_efficiency, shared ? 0.4 : 0.5, 0.01);
    }
}

/* 64 tokens of 8 picks over 64 experts of 1 536 by 2 048 on two GPUs, all awake (1 − (7/8)^64 is 1 − 2e-4): tiles of 16
 * rows make 512 + 64·7.5 = 992 rows, below 64·16 = 1 024. */
static void test_experts_take_arithmetic_and_bytes_one_after_the_other(void **state)
{
    (void)state;
    struct device d;
    struct error err = {0};
    expect_ok(device_load("h100-sxm", &d, &err), &err);
    set_experts(&d);
    const struct operation op = {.kind = WORK_EXPERTS,
                                 .dtype = DTYPE_FP8,
                                 .weight_bytes = 1,
                                 .experts = {2048, 1536, 64, 8, .gated = 1, .tensor = 2, .expert = 1, .imbalance = 1}};
    double awake = experts_awake(&op.experts, 64), weights = awake * 3 * 2048 * 768;
    double flops = 2 * awake * 16 * 3 * 2048 * 768, moved = 512 * (2 * 2048 + 3 * 768);
    double expected = flops / (1979e3 * 0.25) + (weights + moved) / (3350 * 0.8) + 35000;
    assert_near(roofline_operation_ns(&d, &op, 64), expected, 1e-9);
}

static struct operation *find_op(struct cost_model *cm, const char *name)
{
    return work_find(&cm->work, name);
}

/* Kimi K2.5's first layer is dense: one MLP of 18432, gate and up together, an eighth of it on each GPU. */
static void test_a_single_dense_layer_counts(void **state)
{
    (void)state;
    struct error err = {0};
    struct parallel eight = tensor_parallel(8);
    struct cost_model cm;
    expect_ok(cost_model_create(&cm, "kimi-k2.5", "h200-sxm", &eight, NULL, NULL, &err), &err);
    const struct operation *up = find_op(&cm, "gate_up_proj"), *down = find_op(&cm, "down_proj");
    assert_true(up && up->times == 1 && up->n == 4608 && up->k == 7168);
    assert_true(down && down->times == 1 && down->n == 7168 && down->k == 2304);
    cost_model_release(&cm);
}

/* DeepSeek-R1 has one shared expert as wide as a routed one: fused, a token goes to 9, and there is no GEMM of its own.
 * Experts of which a GPU holds some alone, or in another format, stay apart. Routers have 16 bits whatever the rest
 * has. */
static void test_shared_experts_run_with_routed_ones_where_they_can(void **state)
{
    (void)state;
    struct error err = {0};
    struct engine engine = {.name = "none", .fused_shared_experts = true};
    struct parallel by_width = tensor_parallel(8), by_experts = tensor_parallel(8);
    struct cost_model cm;
    by_experts.expert = 8;
    expect_ok(cost_model_create(&cm, "deepseek-r1", "h200-sxm", &by_width, &engine, NULL, &err), &err);
    assert_true(find_op(&cm, "moe")->experts.always == 1 && !find_op(&cm, "shared_gate_up"));
    assert_true(find_op(&cm, "router")->weight_bytes == 2 && find_op(&cm, "router")->dtype == DTYPE_BF16);
    assert_true(find_op(&cm, "qkv_a_proj")->n == 1536 + 512 + 64 && !find_op(&cm, "kv_a_proj"));
    cost_model_release(&cm);
    expect_ok(cost_model_create(&cm, "deepseek-r1", "h200-sxm", &by_experts, &engine, NULL, &err), &err);
    assert_true(find_op(&cm, "moe")->experts.always == 0 && find_op(&cm, "shared_gate_up"));
    cost_model_release(&cm);
    engine.experts_quantised = true;
    engine.expert_dtype = DTYPE_FP4;
    expect_ok(cost_model_create(&cm, "deepseek-r1", "h200-sxm", &by_width, &engine, NULL, &err), &err);
    assert_true(find_op(&cm, "moe")->experts.always == 0);
    cost_model_release(&cm);
}

/* Of DeepSeek-R1's 61 layers, 58 have experts: 2 and 3 us between their kernels are 61·2 + 58·3 = 296 us. */
static void test_layers_with_experts_are_launched_more_slowly(void **state)
{
    (void)state;
    struct error err = {0};
    struct engine without = {.name = "none", .graph_tokens = {8}, .graph_count = 1}, with = without;
    struct cost_model plain, slow;
    with.eager_layer_ns = 2000;
    with.eager_expert_layer_ns = 3000;
    expect_ok(create_cost(&plain, "deepseek-r1", "h200-sxm", 8, &without, &err), &err);
    expect_ok(create_cost(&slow, "deepseek-r1", "h200-sxm", 8, &with, &err), &err);
    struct batch b = {.decodes = 8, .decode_kv = 800};
    assert_int_equal(cost_of(&slow, &b).total, cost_of(&plain, &b).total);
    b.decodes = 9;
    assert_int_equal(cost_of(&slow, &b).total - cost_of(&plain, &b).total, (fine_time)296000 << FINE_BITS);
    cost_model_release(&plain);
    cost_model_release(&slow);
}

/* Llama-3.1-8B has 9 operations a layer as costs count them (QKV, output, gate and up, down, attention, and 4 that go
 * over rows) and 4 around them, 32 · 9 + 4 = 292: at 0.5 ms each of the host's time 146 ms. A prompt of 10 tokens takes
 * the GPU less, and so takes that; one of 40 000 tokens takes it longer, and decodes run as a graph: both are as
 * before. Scheduling ahead, 3 ms of other work of the same host come on top. */
static void test_prompts_wait_for_their_launches(void **state)
{
    (void)state;
    struct error err = {0};
    struct engine without = {.name = "none"}, with = without;
    struct cost_model plain, slow;
    struct request r = {.prompt_tokens = 40000};
    struct batch_item item = {.req = &r, .new_tokens = 10};
    struct batch prompt = {.items = &item, .count = 1, .capacity = 1}, decodes = {.decodes = 8, .decode_kv = 800};
    for (int ahead = 0; ahead < 2; ahead++) {
        with.schedule_ahead = without.schedule_ahead = ahead;
        with.host_ns = without.host_ns = ahead ? 3e6 : 0;
        with.launch_op_ns = 5e5;
        expect_ok(create_cost(&plain, "llama-3.1-8b", "h200-sxm", 1, &without, &err), &err);
        expect_ok(create_cost(&slow, "llama-3.1-8b", "h200-sxm", 1, &with, &err), &err);
        item.new_tokens = 10;
        assert_true(cost_of(&plain, &prompt).total < (fine_time)30000000 << FINE_BITS);
        assert_int_equal(cost_of(&slow, &prompt).total, (fine_time)(ahead ? 149000000 : 146000000) << FINE_BITS);
        item.new_tokens = 40000;
        assert_true(cost_of(&plain, &prompt).total > (fine_time)100000000 << FINE_BITS);
        assert_int_equal(cost_of(&slow, &prompt).total, cost_of(&plain, &prompt).total);
        assert_int_equal(cost_of(&slow, &decodes).total, cost_of(&plain, &decodes).total);
        cost_model_release(&plain);
        cost_model_release(&slow);
    }
}

/* A model's kernels on a device, priced without compiling them. */
struct priced_model {
    struct cost_model cm;
    const char *device, *model;
};

static bool price(struct priced_model *p, enum dtype dtype, double weight_bytes, uint32_t tensor)
{
    struct error err = {0};
    struct cost_model *cm = &p->cm;
    *cm = (struct cost_model){.parallel = tensor_parallel(tensor)};
    expect_ok(model_load(p->model, &cm->model, &err), &err);
    expect_ok(device_load(p->device, &cm->device, &err), &err);
    cm->model.dtype = cm->model.moe.dtype = dtype;
    cm->model.bytes_per_weight = cm->model.moe.bytes_per_weight = cm->model.bytes_per_embedding = weight_bytes;
    if (work_of_model(&cm->model, &cm->parallel, &cm->work, &err)) {
        device_release(&cm->device);
        return false; /* not so many heads */
    }
    expect_ok(cm->device.kind == DEVICE_LINEAR ? linear_create(cm, &cm->backend, &err)
                                               : kernels_create(cm, &cm->backend, &err),
              &err);
    return true;
}

static void unprice(struct priced_model *p)
{
    p->cm.backend.destroy(p->cm.backend.self);
    device_release(&p->cm.device);
}

static double rows_ns(const struct cost_model *cm, double rows)
{
    double by[COST_SOURCES] = {0};
    return cm->backend.token_ns(cm->backend.self, rows, by) + cm->backend.head_ns(cm->backend.self, rows, by);
}

static double prefill_ns(const struct cost_model *cm, double new_tokens, double kv_before)
{
    struct attention_piece p = cm->backend.prefill_piece(cm->backend.self, new_tokens, kv_before);
    return p.ns + p.slope * kv_before;
}

static double decode_ns(const struct cost_model *cm, double sequences, double kv_tokens)
{
    struct attention_piece p = cm->backend.decode_piece(cm->backend.self, sequences, kv_tokens);
    return p.ns + p.slope * kv_tokens;
}

/* The last bits of a sum in another order may fall; nothing else may. */
static void expect_no_less(double before, double after, const struct priced_model *p, const char *what, double at)
{
    if (!(after >= before * (1 - 1e-12)))
        fail_msg("%s on %s: %s falls from %.17g to %.17g ns at %g", p->model, p->device, what, before, after, at);
}

/* 1, 2, 3, … 32, then in steps of an eighth. */
static double next_size(double n)
{
    return n < 32 ? n + 1 : floor(n * 9 / 8);
}

static void check_rows_and_context(const struct priced_model *p)
{
    const struct cost_model *cm = &p->cm;
    for (double n = 1, before = 0; n < 20000; n = next_size(n)) {
        double now = rows_ns(cm, n);
        expect_no_less(before, now, p, "rows", n);
        before = now;
    }
    for (double n = 1; n < 3000; n *= 4)
        for (double kv = 1, chunk = 0, chunk_grown = 0, steps = 0, joined = 0; kv < 3e5; kv = next_size(kv)) {
            expect_no_less(chunk, prefill_ns(cm, n, kv), p, "KV before a chunk", kv);
            expect_no_less(chunk_grown, prefill_ns(cm, kv, n), p, "a chunk's length", kv);
            expect_no_less(steps, decode_ns(cm, n, n * kv), p, "KV of decodes", kv);
            expect_no_less(joined, decode_ns(cm, kv, 3e5), p, "decodes over the same KV", kv);
            chunk = prefill_ns(cm, n, kv), chunk_grown = prefill_ns(cm, kv, n);
            steps = decode_ns(cm, n, n * kv), joined = decode_ns(cm, kv, 3e5);
        }
}

/* Weights of fewer bits in the same arithmetic never cost more, and at one row, where reading them is most of the work,
 * they cost less. */
static void check_weight_bits(struct priced_model *p, enum dtype dtype)
{
    static const double bytes[] = {0.25, 0.5, 1, 2};
    double before[3] = {0};
    for (size_t i = 0; i < sizeof bytes / sizeof *bytes; i++) {
        if (!price(p, dtype, bytes[i], 1))
            return;
        for (int r = 0; r < 3; r++) {
            double now = rows_ns(&p->cm, (double[]){1, 32, 1024}[r]);
            expect_no_less(before[r], now, p, "bits of weights", bytes[i]);
            if (r == 0 && p->cm.device.kind == DEVICE_ROOFLINE)
                assert_true(now > before[r]);
            before[r] = now;
        }
        unprice(p);
    }
}

/* Every device, model and format as shipped. */
static void test_no_cost_falls_when_its_cause_grows(void **state)
{
    (void)state;
    for (const struct shipped_file *d = shipped_files; d->kind; d++)
        for (const struct shipped_file *m = shipped_files; m->kind && strcmp(d->kind, "device") == 0; m++) {
            struct priced_model p = {.device = d->name, .model = m->name};
            if (strcmp(m->kind, "model") != 0)
                continue;
            for (enum dtype dtype = 0; dtype < DTYPE_COUNT; dtype++) {
                if (price(&p, dtype, dtype_bytes(dtype), dtype % 2 ? 4 : 1)) {
                    check_rows_and_context(&p);
                    unprice(&p);
                }
                check_weight_bits(&p, dtype);
            }
        }
}

/* At the same rows, 4-bit weights are read in half the time of 8-bit ones: no 8-bit arithmetic makes up for that while
 * one row, or eight, wait for the weights. */
static void test_int4_is_no_slower_than_int8_at_few_rows(void **state)
{
    (void)state;
    for (const struct shipped_file *d = shipped_files; d->kind; d++) {
        struct priced_model p = {.device = d->name, .model = "llama-3.1-8b"};
        double int4[2], int8[2];
        if (strcmp(d->kind, "device") != 0)
            continue;
        for (int i = 0; i < 2; i++) {
            price(&p, i ? DTYPE_INT8 : DTYPE_INT4, i ? 1 : 0.5, 1);
            for (int r = 0; r < 2; r++)
                (i ? int8 : int4)[r] = rows_ns(&p.cm, r ? 8 : 1);
            unprice(&p);
        }
        expect_no_less(int4[0], int8[0], &p, "int8 from int4", 1);
        expect_no_less(int4[1], int8[1], &p, "int8 from int4", 8);
    }
}

/* What each policy's own parameters, given here or by default, let one batch hold of requests of 1 000 tokens. */
static void test_policies_state_their_limits(void **state)
{
    (void)state;
    static const struct {
        const char *spec;
        uint64_t tokens, sequences;
    } cases[] = {
        {"{\"name\": \"unified_budget\", \"token_budget\": 512, \"max_sequences\": 64}", 512, 64},
        {"{\"name\": \"chunked_prefill\", \"token_budget\": 512, \"max_sequences\": 64}", 512, 64},
        {"{\"name\": \"chunked_prefill\", \"token_budget\": 32, \"max_sequences\": 64}", 64, 64}, /* all decodes */
        {"{\"name\": \"piggyback\", \"chunk_tokens\": 512, \"max_sequences\": 64}", 512 + 63, 64},
        {"{\"name\": \"adaptive_chunk\", \"largest_chunk\": 512, \"max_sequences\": 64}", 512 + 63, 64},
        {"{\"name\": \"prefill_first\", \"max_batched_tokens\": 512, \"max_sequences\": 64}", 512, 64},
        {"{\"name\": \"prefill_first\", \"max_sequences\": 64}", 1000, 64}, /* 0: the longest sequence */
        {"{\"name\": \"prefill_first\", \"max_batched_tokens\": 512, \"max_sequences\": 640}", 640, 640},
        {"{\"name\": \"lightllm\", \"max_batched_tokens\": 512, \"max_sequences\": 64}", 1000, 64}, /* one alone */
        {"{\"name\": \"continuous\", \"max_sequences\": 64}", 64000, 64},
        {"{\"name\": \"decode_priority\", \"max_sequences\": 64}", 64000, 64},
        {"{\"name\": \"elastic_batch\", \"max_sequences\": 64}", 64000, 64},
        {"{\"name\": \"dynamic_batch\", \"max_sequences\": 64}", 64000, 64},
        {"{\"name\": \"fixed_batch\", \"size\": 64}", 64000, 64},
        {"{\"name\": \"static_padded\", \"max_sequences\": 64}", 64000, 64},
        {"{\"name\": \"static_prepacked\", \"max_sequences\": 64}", 64000, 64}, /* no two share a row */
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct error err = {0};
        struct json root;
        struct param_set params;
        const char *name = NULL;
        expect_ok(json_parse(cases[i].spec, "test", &root, &err), &err);
        expect_ok(json_read_string(&root, "name", true, &name, &err), &err);
        const struct batching_policy *policy = batching_policy_find(name);
        expect_ok(param_set_read(&params, policy->params, &root, &err), &err);
        struct batch_limits limits = batching_policy_limits(policy, &params, 1000);
        if (limits.tokens != cases[i].tokens || limits.sequences != cases[i].sequences)
            fail_msg("%s: %llu tokens, %llu sequences", cases[i].spec, (unsigned long long)limits.tokens,
                     (unsigned long long)limits.sequences);
        cJSON_Delete((cJSON *)(uintptr_t)root.node);
    }
    for (const struct batching_policy *const *policy = batching_policies; *policy; policy++)
        assert_non_null((*policy)->limits);
    struct batch_limits unsaid = batching_policy_limits(&(struct batching_policy){.name = "mine"}, NULL, 1000);
    assert_true(unsaid.tokens == 1000 && unsaid.sequences == 256);
}

/* The KV pool of Llama-3.1-8B on an H100 under vLLM's memory rule and some policy. */
static uint64_t pool_of(const char *batching)
{
    char text[1024];
    snprintf(text, sizeof text,
             "{\"model\": \"llama-3.1-8b\", \"device\": \"h100-sxm\", \"engine\": \"vllm-0.19\", "
             "\"policy\": {\"kv_block_tokens\": 1, \"batching\": %s}, \"workload\": {\"arrivals\": \"at_once\", "
             "\"requests\": 1, \"lengths\": {\"prompt\": {\"name\": \"fixed\", \"tokens\": 8}, "
             "\"output\": {\"name\": \"fixed\", \"tokens\": 8}}}}",
             batching);
    struct simulation *s = open_simulation(text);
    uint64_t blocks = s->scenario.cluster.pools[0].replica.kv_blocks;
    simulation_close(s);
    return blocks;
}

/* A token in a batch needs 2 bytes of each of residual and hidden state, 4 096 values, and of the input and output of
 * gate and up, 4 096 + 2·14 336: 81 920 bytes, 0.625 KV tokens of 131 072. A row of logits needs 6·128 256 bytes, 5.87.
 * The same number of tokens reserves the same, whatever its parameter is called. */
static void test_activations_are_of_the_batch_that_can_be_formed(void **state)
{
    (void)state;
    uint64_t budget = pool_of("{\"name\": \"unified_budget\", \"token_budget\": 287, \"max_sequences\": 32}");
    assert_int_equal(pool_of("{\"name\": \"piggyback\", \"chunk_tokens\": 256, \"max_sequences\": 32}"), budget);
    uint64_t wider = pool_of("{\"name\": \"unified_budget\", \"token_budget\": 16287, \"max_sequences\": 32}");
    assert_int_equal(budget - wider, 16000 * 5 / 8);
    uint64_t heads = pool_of("{\"name\": \"unified_budget\", \"token_budget\": 287, \"max_sequences\": 287}");
    assert_near((double)(budget - heads), 255 * 6 * 128256 / 131072.0, 1e-3);
    /* A request is in a batch with a token at least. */
    assert_int_equal(pool_of("{\"name\": \"unified_budget\", \"token_budget\": 287, \"max_sequences\": 5000}"), heads);
}

/* 32 whole prompts of 131 072 tokens are 344 GB of activations. No batch holds more than the pool does, though: 1 +
 * 0.625 KV tokens for each token of the pool, so the largest pool is what 32 sequences leave over 1.625. */
static void test_whole_prompts_share_memory_with_the_pool_they_fill(void **state)
{
    (void)state;
    uint64_t one = pool_of("{\"name\": \"unified_budget\", \"token_budget\": 1, \"max_sequences\": 1}");
    double left = (double)one + 0.625 - 31 * 6 * 128256 / 131072.0;
    uint64_t whole = pool_of("{\"name\": \"continuous\", \"max_sequences\": 32}");
    assert_true(fabs((double)whole - left / 1.625) <= 1);
    assert_int_equal(pool_of("{\"name\": \"static_padded\", \"max_sequences\": 32}"), whole);
    /* One prompt of the longest length fills no pool of this size. */
    uint64_t single = pool_of("{\"name\": \"continuous\", \"max_sequences\": 1}");
    assert_true(fabs((double)single - ((double)one - 131071 * 0.625)) <= 1);
}

/* Writes the profile of a measured bundle; the test is skipped where that is absent. */
static void import_or_skip(const char *folder, const char *base, const char *file)
{
    if (access(folder, R_OK) != 0)
        skip();
    struct error err = {0};
    struct import_options o = {
        .path = folder, .name = "measured", .model = "llama-3.1-8b", .base_device = base, .tensor_parallel = 1};
    const struct import_format *format;
    cJSON *profile = profile_import(&o, &format, &err);
    assert_non_null(profile);
    expect_ok(profile_write(profile, file, &err), &err);
    cJSON_Delete(profile);
}

/* The second bundle lays a finer grid over parts of the first: prompts' rows have holes that are filled along KV, mixed
 * launches keep the largest full grid. */
static void test_llmservingsim_bundle_of_two_grids(void **state)
{
    (void)state;
    struct error err = {0};
    import_or_skip(DATA "profiles/llmservingsim/rtxpro6000_llama-3.1-8b/tp1", "rtx-pro-6000",
                   "build/test_profile2.json");
    struct device d;
    expect_ok(device_load("build/test_profile2.json", &d, &err), &err);
    const struct cost_table *prefill = device_table(&d, "prefill_attention"),
                            *mixed = device_table(&d, "mixed_attention");
    assert_int_equal(prefill->axes[0].count, 19);
    assert_int_equal(prefill->axes[1].count, 20);
    enum table_where where = TABLE_MEASURED;
    assert_near(table_prefill_at(prefill, 24, 0, &where), prefill->ns[20], 1e-12);
    assert_int_equal(prefill->filled_count, 147);
    assert_true(mixed->unused > 0);
    assert_non_null(strstr(d.source, "NVIDIA RTX PRO 6000 Blackwell Server Edition, vLLM 0.19.0"));
    assert_true(mixed->axes[0].count >= 8 && mixed->axes[1].count >= 11 && mixed->axes[2].count == 8 &&
                mixed->axes[3].count >= 8);
    device_release(&d);
}

/* At a grid point the compiled model returns the sum of what the bundle measured. */
static void test_llmservingsim_bundle_round_trip(void **state)
{
    (void)state;
    struct error err = {0};
    import_or_skip(DATA "profiles/llmservingsim/rtx4090_llama-3.1-8b/tp1", "rtx-4090", "build/test_profile.json");
    struct cost_model cm;
    expect_ok(create_cost(&cm, "llama-3.1-8b", "build/test_profile.json", 1, NULL, &err), &err);
    enum cost_source source;
    /* lm_head 1 + sampler 1, and 32 × decode attention of 1 sequence at KV 16 (9.31067 µs), from the files. */
    assert_near(cost_model_decode_attention_ns(&cm, 1, 16, &source), 32 * 9310.67, 1e-9);
    const struct cost_table *head = device_table(&cm.device, "lm_head");
    assert_near(head->ns[0], 1096930, 1e-9);
    assert_true(cost_model_decode_attention_ns(&cm, 300, 300 * 100, &source) > 0 && source == COST_BEYOND);
    cost_model_release(&cm);
    assert_int_equal(create_cost(&cm, "llama-2-7b", "build/test_profile.json", 1, NULL, &err), -1);
    assert_non_null(strstr(err.text, "was measured on llama-3.1-8b"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_model_sizes),
        cmocka_unit_test(test_decodes_right_after_prompts_find_cold_caches),
        cmocka_unit_test(test_what_is_no_graph_is_launched_kernel_by_kernel),
        cmocka_unit_test(test_kv_tokens_beside_weights),
        cmocka_unit_test(test_roofline_stays_below_the_roof),
        cmocka_unit_test(test_peaks_by_format),
        cmocka_unit_test(test_tensor_parallel_shards_and_communicates),
        cmocka_unit_test(test_linear_cost_by_hand),
        cmocka_unit_test(test_a_base_may_hold_tables_with_shapes),
        cmocka_unit_test(test_a_base_leads_somewhere),
        cmocka_unit_test(test_a_stated_line_has_squares_and_another_line_for_many_decodes),
        cmocka_unit_test(test_batches_are_padded_to_captured_sizes),
        cmocka_unit_test(test_exposed_host_work_comes_on_top),
        cmocka_unit_test(test_output_head_runs_for_unfinished_prompts_where_the_engine_does_so),
        cmocka_unit_test(test_packed_prefill_costs_rows),
        cmocka_unit_test(test_table_interpolation_by_hand),
        cmocka_unit_test(test_decode_table_by_hand),
        cmocka_unit_test(test_prefill_table_by_hand),
        cmocka_unit_test(test_mixed_table_by_hand),
        cmocka_unit_test(test_leave_one_out_by_hand),
        cmocka_unit_test(test_single_kernels_by_hand),
        cmocka_unit_test(test_narrow_weights_do_not_speed_up_scores),
        cmocka_unit_test(test_narrow_weights_by_hand),
        cmocka_unit_test(test_an_engine_may_quantise_a_models_weights),
        cmocka_unit_test(test_an_engine_may_say_the_format_of_kv),
        cmocka_unit_test(test_experts_by_hand),
        cmocka_unit_test(test_policies_state_their_limits),
        cmocka_unit_test(test_activations_are_of_the_batch_that_can_be_formed),
        cmocka_unit_test(test_whole_prompts_share_memory_with_the_pool_they_fill),
        cmocka_unit_test(test_no_cost_falls_when_its_cause_grows),
        cmocka_unit_test(test_int4_is_no_slower_than_int8_at_few_rows),
        cmocka_unit_test(test_fit_finds_the_parameters_that_made_the_kernels),
        cmocka_unit_test(test_fit_refuses_what_no_kernel_can_have),
        cmocka_unit_test(test_fit_refuses_decodes_that_share_no_kv),
        cmocka_unit_test(test_shared_experts_run_with_routed_ones_where_they_can),
        cmocka_unit_test(test_a_single_dense_layer_counts),
        cmocka_unit_test(test_layers_with_experts_are_launched_more_slowly),
        cmocka_unit_test(test_prompts_wait_for_their_launches),
        cmocka_unit_test(test_experts_take_arithmetic_and_bytes_one_after_the_other),
        cmocka_unit_test(test_a_format_runs_as_the_next_that_the_device_has),
        cmocka_unit_test(test_leave_one_out_of_a_grid),
        cmocka_unit_test(test_llmservingsim_bundle_of_two_grids),
        cmocka_unit_test(test_llmservingsim_bundle_round_trip),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

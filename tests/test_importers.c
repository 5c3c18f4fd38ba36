/* SPDX-License-Identifier: MIT */
/* Grids out of measured points, and each importer on files small enough to do by hand. */
#include <math.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/yaml.h"
#include "profiles/cost.h"
#include "profiles/grid.h"
#include "profiles/import.h"
#include "tests/harness.h"

static void assert_near(double found, double expected, double relative)
{
    if (!(fabs(found - expected) <= relative * fabs(expected)))
        fail_msg("expected %.12g, found %.12g", expected, found);
}

static void write_file(const char *file, const char *text)
{
    FILE *out = fopen(file, "w");
    assert_non_null(out);
    fputs(text, out);
    fclose(out);
}

/* Imports, writes and reads back: what is checked has gone through a file. */
static void import_to(const struct import_options *o, const char *format_name, struct device *out)
{
    struct error err = {0};
    const struct import_format *format;
    cJSON *profile = profile_import(o, &format, &err);
    if (!profile)
        fail_msg("%s", err.text);
    assert_string_equal(format->name, format_name);
    expect_ok(profile_write(profile, "build/test_import.json", &err), &err);
    cJSON_Delete(profile);
    expect_ok(device_load("build/test_import.json", out, &err), &err);
}

static const struct cost_table *shaped(const struct device *d, const char *op)
{
    for (size_t i = 0; i < d->table_count; i++)
        if (d->tables[i].shape.any && strcmp(d->tables[i].op, op) == 0)
            return &d->tables[i];
    fail_msg("no table %s", op);
    return NULL;
}

/* A point measured three times counts by its median, 20, with p10 12 and p90 28. (2, 30) was not measured: on the line
 * of the two before it, 40 + 1 · 10; (2, 5) neither: as at 10. */
static void test_grid_of_repeated_and_missing_points(void **state)
{
    (void)state;
    struct grid_points points = {0};
    struct cost_table t;
    struct error err = {0};
    const double all[][3] = {{1, 10, 30}, {1, 10, 10}, {1, 10, 20}, {1, 5, 7},
                             {1, 20, 30}, {1, 30, 50}, {2, 10, 30}, {2, 20, 40}};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        assert_int_equal(grid_add(&points, (double[TABLE_AXES]){all[i][0], all[i][1]}, all[i][2]), 0);
    expect_ok(grid_table("decode_attention", 2, &points, "test", &t, &err), &err);
    assert_int_equal(table_cells(&t), 8);
    const double ns[] = {7, 20, 30, 50, 30, 30, 40, 50};
    for (size_t i = 0; i < 8; i++)
        assert_near(t.ns[i], ns[i], 1e-12);
    assert_true(t.p10[1] == 12 && t.p90[1] == 28 && t.samples[1] == 3);
    assert_true(t.filled_count == 2 && t.filled[0] == 4 && t.filled[1] == 7);
    table_release(&t);
    expect_ok(grid_full_table("decode_attention", 2, &points, &t, &err), &err);
    /* Of row 2 half is there, of no column less: the row is dropped, and its two points are not used. */
    assert_true(t.axes[0].count == 1 && t.axes[1].count == 4);
    for (size_t i = 0; i < 4; i++)
        assert_near(t.ns[i], ns[i], 1e-12);
    assert_int_equal(t.unused, 2);
    table_release(&t);
    grid_release(&points);
}

/* Three rows by 10, 20 and 30, where 20 was measured in the first alone: 20 is dropped from the middle. */
static void test_a_grid_drops_the_value_with_most_holes(void **state)
{
    (void)state;
    struct grid_points points = {0};
    struct cost_table t;
    struct error err = {0};
    const double all[][3] = {{1, 10, 1}, {1, 20, 2}, {1, 30, 3}, {2, 10, 4}, {2, 30, 6}, {3, 10, 7}, {3, 30, 9}};
    const double ns[] = {1, 3, 4, 6, 7, 9};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        assert_int_equal(grid_add(&points, (double[TABLE_AXES]){all[i][0], all[i][1]}, all[i][2]), 0);
    expect_ok(grid_full_table("decode_attention", 2, &points, &t, &err), &err);
    assert_true(t.axes[0].count == 3 && t.axes[1].count == 2);
    assert_true(t.axes[1].at[0] == 10 && t.axes[1].at[1] == 30);
    for (size_t i = 0; i < 6; i++)
        assert_near(t.ns[i], ns[i], 1e-12);
    assert_int_equal(t.unused, 1);
    table_release(&t);
    grid_release(&points);
}

static void test_yaml_values(void **state)
{
    (void)state;
    double number = 0;
    char text[32];
    write_file("build/test.yaml",
               "# a comment\ntop: 1\ngpu:\n  mem_bw: 3350000000000 # bytes\n  name: H100 SXM\n"
               "fit:\n  per_tp:\n    1:\n      alpha: 0.05\n    2:\n      alpha: 0.07\nlast: true\n");
    struct error err = {0};
    assert_int_equal(yaml_number("build/test.yaml", "gpu.mem_bw", &number, &err), 1);
    assert_true(number == 3350000000000);
    assert_int_equal(yaml_number("build/test.yaml", "fit.per_tp.2.alpha", &number, &err), 1);
    assert_true(number == 0.07);
    assert_int_equal(yaml_text("build/test.yaml", "gpu.name", text, sizeof text, &err), 1);
    assert_string_equal(text, "H100 SXM");
    assert_int_equal(yaml_number("build/test.yaml", "gpu.alpha", &number, &err), 0);
    assert_int_equal(yaml_number("build/test.yaml", "last", &number, &err), 0);
    assert_int_equal(yaml_number("build/no.yaml", "top", &number, &err), 0);
}

/* What strtod() reads and no number is, a key below the deepest path, and what follows the first 1 023 bytes of a line.
 */
static void test_yaml_values_that_are_none(void **state)
{
    (void)state;
    static const char *const paths[] = {"infinite", "none", "huge", "a.b.c.d.e.f.g.h", "hidden"};
    char text[2000];
    double number = 7;
    struct error err = {0};
    int length = snprintf(text, sizeof text,
                          "infinite: inf\nnone: nan\nhuge: 1e999\na:\n b:\n  c:\n   d:\n    e:\n     f:\n      g:\n"
                          "       h:\n        i: 5\nlong: %01017dhidden: 3\nlast: 2\n",
                          1);
    assert_true(length > 1023 && length < (int)sizeof text);
    write_file("build/test.yaml", text);
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++)
        assert_int_equal(yaml_number("build/test.yaml", paths[i], &number, &err), 0);
    assert_true(number == 7);
    assert_int_equal(yaml_number("build/test.yaml", "last", &number, &err), 1);
    assert_true(number == 2);
}

/* A read that fails is not "no such number": a folder cannot be read as a file, and a link to itself not be opened. */
static void test_yaml_that_cannot_be_read(void **state)
{
    (void)state;
    double number = 0;
    char text[32] = "as before";
    struct error err = {0};
    mkdir("build/test_folder.yaml", 0777);
    assert_int_equal(yaml_number("build/test_folder.yaml", "top", &number, &err), -1);
    assert_string_equal(err.text, "build/test_folder.yaml: cannot be read: Is a directory");
    unlink("build/test_loop.yaml");
    assert_int_equal(symlink("test_loop.yaml", "build/test_loop.yaml"), 0);
    assert_int_equal(yaml_text("build/test_loop.yaml", "top", text, sizeof text, &err), -1);
    assert_int_equal(err.code, ERROR_INPUT);
    assert_non_null(strstr(err.text, "build/test_loop.yaml: cannot be opened: "));
    assert_string_equal(text, "as before");
}

/* A table that is there and cannot be read is not left out. */
static void test_tables_that_cannot_be_read(void **state)
{
    (void)state;
    struct error err = {0};
    const struct import_format *format;
    struct import_options o = {.path = "build/unread/tp1", .name = "b", .model = "llama-3.1-8b", .tensor_parallel = 1};
    mkdir("build/unread", 0777);
    mkdir("build/unread/tp1", 0777);
    write_file("build/unread/tp1/dense.csv", "layer,tokens,time_us\nqkv_proj,1,5\nlayernorm,1,2\n");
    write_file("build/unread/tp1/per_sequence.csv", "layer,sequences,time_us\nlm_head,1,7\n");
    write_file("build/unread/tp1/attention.csv",
               "prefill_chunk,kv_prefill,n_decode,kv_decode,time_us\n16,0,0,0,3\n0,0,1,16,4\n0,0,8,16,5\n");
    const char *const links[] = {"build/unread/tp1/moe.csv", "build/unread/tp1/skew.csv", "build/unread/meta.yaml"};
    for (size_t i = 0; i < sizeof links / sizeof *links; i++) {
        unlink(links[i]);
        assert_int_equal(symlink(strrchr(links[i], '/') + 1, links[i]), 0);
        assert_null(profile_import(&o, &format, &err));
        assert_non_null(strstr(err.text, strrchr(links[i], '/')));
        assert_non_null(strstr(err.text, "Too many levels of symbolic links"));
        unlink(links[i]);
    }
    cJSON *profile = profile_import(&o, &format, &err);
    expect_ok(profile ? 0 : -1, &err);
    cJSON_Delete(profile);
}

/* Time of a weight at (n, k): 100 / 4 at 2×2 and 800 / 16 at 4×4, between them 400 / 8: at n = k = √8 on the
 * logarithmic middle of both axes the mean of the four, (25 + 50 + 50 + 50) / 4, for 8 weights; beyond 4×4 as there. */
static void test_gemm_between_shapes_by_hand(void **state)
{
    (void)state;
    double m[] = {1, 2}, n[] = {2, 4}, k[] = {2, 4}, ns[] = {100, 400, 400, 800, 200, 800, 800, 1600};
    struct cost_table t = {.op = "gemm", .axes = {{m, 2}, {n, 2}, {k, 2}}, .axis_count = 3, .ns = ns};
    enum table_where where = TABLE_MEASURED;
    assert_near(table_gemm_at(&t, 1, 2, 4, &where), 400, 1e-12);
    assert_int_equal(where, TABLE_MEASURED);
    assert_near(table_gemm_at(&t, 1, sqrt(8), sqrt(8), &where), 43.75 * 8, 1e-12);
    assert_int_equal(where, TABLE_BETWEEN);
    assert_near(table_gemm_at(&t, 1.5, 4, 4, &where), 1200, 1e-12);
    assert_near(table_gemm_at(&t, 2, 8, 8, &where), 100 * 64, 1e-12);
    assert_int_equal(where, TABLE_BEYOND);
}

/* Whole prompts of 16 and 32 tokens take 100 and 220. A chunk of 16 after 16: 220 − 100; between 16 and 32 by the
 * square: 24: 100 + 120 · 5/12 = 150. Never less than its share by length: of 1 after 23, 150/24. */
static void test_chunks_out_of_whole_prompts(void **state)
{
    (void)state;
    double rows[] = {16, 32}, ns[] = {100, 220};
    struct cost_table t = {.op = "prefill_attention", .axes = {{rows, 2}}, .axis_count = 1, .ns = ns};
    enum table_where where = TABLE_MEASURED;
    assert_near(table_prefill_at(&t, 16, 0, &where), 100, 1e-12);
    assert_int_equal(where, TABLE_MEASURED);
    assert_near(table_prefill_at(&t, 16, 16, &where), 120, 1e-12);
    assert_near(table_prefill_at(&t, 24, 0, &where), 150, 1e-12);
    assert_near(table_prefill_at(&t, 4, 12, &where), 25, 1e-12); /* both ends at 100: a quarter of it */
}

static void write_aiconfigurator(void)
{
    mkdir("build/aic", 0777);
    mkdir("build/aic/engine", 0777);
    write_file("build/aic/system.yaml",
               "gpu:\n  mem_bw: 2000000000000\n  mem_capacity: 85899345920\n  bfloat16_tc_flops: 500000000000000\n"
               "node:\n  intra_node_bw: 100000000000\n  p2p_latency: 0.00001\n");
    write_file("build/aic/nccl_perf.csv",
               "op_name,nccl_dtype,num_gpus,message_size,latency\nall_gather,half,2,1024,0.02\n"
               "all_gather,int8,2,1024,9\nall_reduce,half,2,1024,9\n");
    write_file("build/aic/engine/gemm_perf.csv",
               "framework,version,device,gemm_dtype,m,n,k,latency\nX,1,GPU,bfloat16,1,4096,4096,0.01\n"
               "X,1,GPU,bfloat16,64,4096,4096,0.02\nX,1,GPU,fp8,1,4096,4096,0.007\nX,1,GPU,odd,1,1,1,1\n");
    write_file(
        "build/aic/engine/context_attention_perf.csv",
        "batch_size,isl,num_heads,num_key_value_heads,head_dim,attn_dtype,kv_cache_dtype,step,window_size,latency\n"
        "1,64,32,8,128,bfloat16,bfloat16,0,0,0.03\n2,64,32,8,128,bfloat16,bfloat16,0,0,9\n"
        "1,64,32,8,128,bfloat16,bfloat16,0,128,9\n");
    write_file(
        "build/aic/engine/generation_attention_perf.csv",
        "batch_size,isl,num_heads,num_key_value_heads,head_dim,attn_dtype,kv_cache_dtype,step,window_size,latency\n"
        "1,1,32,8,128,bfloat16,bfloat16,99,0,0.04\n1,1,32,8,128,bfloat16,bfloat16,199,0,0.05\n"
        "1,1,32,4,128,bfloat16,bfloat16,199,0,9\n");
    write_file(
        "build/aic/engine/moe_perf.csv",
        "moe_dtype,distribution,num_tokens,hidden_size,inter_size,topk,num_experts,moe_tp_size,moe_ep_size,latency\n"
        "bfloat16,power_law_1.2,1,2048,768,8,128,1,2,0.06\nbfloat16,balanced,1,2048,768,8,128,1,2,9\n");
}

/* Kernels by shape, read for a model that has them: decodes of Llama-3.1-8B take 32 layers of 0.04 ms over 100 tokens;
 * what is not there (norms, other GEMMs' sizes) is interpolated or estimated. */
static void test_aiconfigurator_by_hand(void **state)
{
    (void)state;
    struct device d;
    struct error err = {0};
    write_aiconfigurator();
    import_to(&(struct import_options){.path = "build/aic/engine", .name = "kernels"}, "AIConfigurator tables", &d);
    assert_true(d.bandwidth_bytes_per_s == 2e12 && d.link_bytes_per_s == 1e11 && d.memory_bytes == 85899345920);
    assert_non_null(strstr(d.source, "GPU, X 1"));
    assert_int_equal(d.table_count, 7); /* GEMM in two formats, three of attention, experts, all-gather */
    assert_near(shaped(&d, "all_gather")->axes[0].at[0], 2048, 1e-12);
    assert_near(shaped(&d, "moe")->ns[0], 60000, 1e-12);
    assert_true(shaped(&d, "moe")->shape.expert == 2 && shaped(&d, "moe")->shape.top_k == 8);
    device_release(&d);
    struct cost_model cm;
    struct parallel p = tensor_parallel(1);
    enum cost_source source;
    expect_ok(cost_model_create(&cm, "llama-3.1-8b", "build/test_import.json", &p, NULL, NULL, &err), &err);
    assert_near(cost_model_decode_attention_ns(&cm, 1, 100, &source), 32 * 40000.0, 1e-9);
    assert_int_equal(source, COST_BETWEEN); /* on a line that ends there */
    double by[COST_SOURCES] = {0}, ns = cm.backend.token_ns(cm.backend.self, 1, by);
    assert_true(by[COST_BEYOND] > 0 && by[COST_ESTIMATED] > 0);
    assert_near(by[COST_MEASURED] + by[COST_BETWEEN] + by[COST_BEYOND] + by[COST_ESTIMATED], ns, 1e-9);
    assert_near(by[COST_MEASURED], 32 * 10000.0, 1e-9); /* the output projection, 4096 × 4096 */
    cost_model_release(&cm);
    expect_ok(cost_model_create(&cm, "llama-2-7b", "build/test_import.json", &p, NULL, NULL, &err), &err);
    cost_model_decode_attention_ns(&cm, 1, 100, &source);
    assert_int_equal(source, COST_ESTIMATED); /* 32 KV heads were not measured */
    cost_model_release(&cm);
}

static void test_vidur_by_hand(void **state)
{
    (void)state;
    struct device d;
    struct error err = {0};
    const struct import_format *format;
    mkdir("build/vidur", 0777);
    write_file(
        "build/vidur/mlp.csv",
        "time_stats.emb.median,time_stats.input_layernorm.median,time_stats.attn_pre_proj.median,"
        "time_stats.attn_rope.median,time_stats.attn_post_proj.median,time_stats.post_attention_layernorm.median,"
        "time_stats.mlp_up_proj.median,time_stats.mlp_act.median,time_stats.mlp_down_proj.median,"
        "time_stats.add.median,n_head,n_embd,n_expanded_embd,num_tokens,num_tensor_parallel_workers\n"
        ".1,.2,.3,.4,.5,.6,.7,.8,.9,.4,32,4096,11008,8,1\n9,9,9,9,9,9,9,9,9,9,32,4096,11008,8,2\n");
    write_file("build/vidur/all_reduce.csv",
               "time_stats.all_reduce.median,num_workers,size,devices_per_node\n.05,2,2048,2\n9,2,2048,1\n");
    struct import_options o = {.path = "build/vidur", .name = "v", .model = "llama-2-7b", .tensor_parallel = 1};
    import_to(&o, "Vidur profiling data", &d);
    assert_int_equal(d.table_count, 9);
    assert_near(device_table(&d, "norm")->ns[0], (0.2 + 0.6 + 0.4) / 2 * 1e6, 1e-9);
    assert_near(device_table(&d, "down_proj")->ns[0], 0.9e6, 1e-9);
    assert_near(shaped(&d, "all_reduce")->ns[0], 50000, 1e-9);
    assert_true(shaped(&d, "all_reduce")->shape.gpus == 2);
    device_release(&d);
    o.model = "llama-2-13b";
    assert_null(profile_import(&o, &format, &err));
    assert_non_null(strstr(err.text, "is of a model with 32 heads, width 4096"));
}

/* Whole iterations: a batch of 2 prompts of 512 is 1 024 tokens; a token's time stands for the middle of its outputs.
 */
static void test_splitwise_by_hand(void **state)
{
    (void)state;
    struct device d;
    struct error err = {0};
    const struct import_format *format;
    write_file("build/splitwise.csv",
               "model,hardware,prompt_size,batch_size,token_size,prompt_time,token_time,tensor_parallel\n"
               "llama2-70b,h100,512,1,128,50,30,8\nllama2-70b,h100,512,2,128,80,31,8\n"
               "llama2-70b,a100,512,1,128,99,99,8\nllama2-70b,h100,1024,1,128,90,30.5,8\n");
    struct import_options o = {.path = "build/splitwise.csv",
                               .name = "s",
                               .model = "llama-2-70b",
                               .tensor_parallel = 8};
    assert_null(profile_import(&o, &format, &err));
    assert_non_null(strstr(err.text, "choose one with --hardware"));
    o.hardware = "h100";
    import_to(&o, "Splitwise performance model", &d);
    const struct cost_table *prefill = device_table(&d, "whole_prefill"), *decode = device_table(&d, "whole_decode");
    assert_near(prefill->ns[0], 50e6, 1e-12);
    assert_near(prefill->ns[1], 85e6, 1e-12); /* twice 1 024 tokens: 80 and 90 */
    assert_near(decode->axes[1].at[0], 576, 1e-12);
    device_release(&d);
    struct cost_model cm;
    struct parallel p = tensor_parallel(8);
    const struct engine engine = {.name = "none"};
    expect_ok(cost_model_create(&cm, "llama-2-70b", "build/test_import.json", &p, &engine, NULL, &err), &err);
    struct batch b = {.decodes = 2, .decode_kv = 2 * 575};
    struct iteration_cost cost = {0};
    cost_model_iteration(&cm, &b, &cost);
    assert_near(fine_to_ns(cost.total), 31e6, 1e-9);
    cost_model_release(&cm);
}

/* Experts by tokens and awake experts; uneven decodes by what their launch takes over an even one's: at 8 sequences
 * (12 − 10) of (30 − 10), with prompts (26 − 20) of (40 − 20). */
static void test_llmservingsim_experts_and_spread(void **state)
{
    (void)state;
    struct device d;
    mkdir("build/bundle", 0777);
    mkdir("build/bundle/tp1", 0777);
    write_file("build/bundle/meta.yaml", "gpu: Some GPU\nvllm_version: 0.19.0\nskew_fit:\n  enabled: true\n");
    write_file("build/bundle/tp1/dense.csv", "layer,tokens,time_us\nqkv_proj,1,5\nlayernorm,1,2\nqk_norm,1,1\n");
    write_file("build/bundle/tp1/per_sequence.csv", "layer,sequences,time_us\nlm_head,1,7\n");
    write_file("build/bundle/tp1/attention.csv", "prefill_chunk,kv_prefill,n_decode,kv_decode,time_us\n"
                                                 "16,0,0,0,3\n0,0,1,16,4\n0,0,8,16,5\n");
    write_file("build/bundle/tp1/moe.csv", "tokens,activated_experts,time_us\n1,8,50\n2,8,55\n2,16,130\n");
    write_file("build/bundle/tp1/skew.csv", "n,pc,t_mean_us,t_max_us,t_skew_us\n8,0,10,30,12\n8,16,20,40,26\n");
    struct import_options o = {.path = "build/bundle/tp1", .name = "b", .model = "qwen3-30b-a3b", .tensor_parallel = 1};
    import_to(&o, "LLMServingSim bundle", &d);
    assert_non_null(strstr(d.source, "Some GPU, vLLM 0.19.0"));
    assert_near(device_table(&d, "norm")->ns[0], 2000, 1e-12);
    assert_near(device_table(&d, "moe")->ns[3], 130000, 1e-12);
    assert_int_equal(device_table(&d, "moe")->filled_count, 1);
    assert_near(device_table(&d, "decode_spread")->ns[0], 0.1, 1e-12);
    assert_near(device_table(&d, "mixed_spread")->ns[0], 0.3, 1e-12);
    device_release(&d);
    write_file("build/bundle/meta.yaml", "skew_fit:\n  enabled: false\n"); /* the bundle's own word */
    import_to(&o, "LLMServingSim bundle", &d);
    assert_null(device_table(&d, "decode_spread"));
    device_release(&d);
}

/* Two decodes of 100 and 300 tokens take a tenth of the way from two of 200 to two of 300: with slope 10 ns a token of
 * all, 0.1 · 10 · (600 − 400) = 200 ns more, and as much in the next iteration. */
static void test_uneven_decodes_by_hand(void **state)
{
    (void)state;
    struct error err = {0};
    struct cost_model cm;
    struct parallel p = tensor_parallel(1);
    write_file("build/test_spread.json",
               "{\"name\": \"spread\", \"kind\": \"tables\", \"base\": \"h100-sxm\", \"model\": \"llama-3.1-8b\", "
               "\"tables\": [{\"op\": \"decode_attention\", \"axes\": [{\"name\": \"sequences\", \"at\": [2]}, "
               "{\"name\": \"mean KV\", \"at\": [100, 1100]}], \"ns\": [1000, 1625]}, "
               "{\"op\": \"decode_spread\", \"axes\": [{\"name\": \"sequences\", \"at\": [2]}], \"ns\": [0.1]}]}");
    expect_ok(cost_model_create(&cm, "llama-3.1-8b", "build/test_spread.json", &p, NULL, NULL, &err), &err);
    /* 625 ns for 1 000 tokens of mean, times 32 layers, over 2 sequences: 10 ns a token of the sum. */
    struct batch even = {.decodes = 2, .decode_kv = 398},
                 uneven = {.decodes = 2, .decode_kv = 398, .decode_longest = 299};
    struct iteration_cost a = {0}, b = {0};
    cost_model_iteration(&cm, &even, &a);
    cost_model_iteration(&cm, &uneven, &b);
    assert_near(fine_to_ns(b.total) - fine_to_ns(a.total), 0.1 * 10 * (600 - 400), 1e-6);
    assert_true(a.growth == b.growth);
    uneven.decode_kv += 2, uneven.decode_longest++;
    even.decode_kv += 2;
    cost_model_iteration(&cm, &even, &a);
    cost_model_iteration(&cm, &uneven, &b);
    assert_near(fine_to_ns(b.total) - fine_to_ns(a.total), 200, 1e-6);
    cost_model_release(&cm);
}

static void test_what_cannot_be_imported(void **state)
{
    (void)state;
    struct error err = {0};
    const struct import_format *format;
    struct import_options o = {.path = "tests", .name = "x", .model = "llama-3.1-8b", .tensor_parallel = 1};
    assert_null(profile_import(&o, &format, &err));
    assert_non_null(strstr(err.text, "tests: holds none of the tables that can be imported"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_grid_of_repeated_and_missing_points),
        cmocka_unit_test(test_a_grid_drops_the_value_with_most_holes),
        cmocka_unit_test(test_yaml_values),
        cmocka_unit_test(test_yaml_values_that_are_none),
        cmocka_unit_test(test_yaml_that_cannot_be_read),
        cmocka_unit_test(test_tables_that_cannot_be_read),
        cmocka_unit_test(test_gemm_between_shapes_by_hand),
        cmocka_unit_test(test_chunks_out_of_whole_prompts),
        cmocka_unit_test(test_aiconfigurator_by_hand),
        cmocka_unit_test(test_vidur_by_hand),
        cmocka_unit_test(test_splitwise_by_hand),
        cmocka_unit_test(test_llmservingsim_experts_and_spread),
        cmocka_unit_test(test_uneven_decodes_by_hand),
        cmocka_unit_test(test_what_cannot_be_imported),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

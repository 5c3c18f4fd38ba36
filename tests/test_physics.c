/* SPDX-License-Identifier: MIT */
/* No operation costs less than the device's peak arithmetic and bandwidth allow: random shapes and formats of every
 * shipped model, on every shipped device. */
#include <gsl/gsl_rng.h>
#include <math.h>

#include "profiles/cost.h"
#include "profiles/physics.h"
#include "profiles/roofline.h"
#include "profiles/shipped.h"
#include "tests/harness.h"

enum { ROUNDS = 40 };

/* What was looked at, and what cost less than it may. */
struct tally {
    size_t operations, below;
};

static void judge(struct tally *t, const struct device *d, const struct physics *p, double ns)
{
    t->operations++;
    t->below += ns < physics_least_ns(d, p, true) * (1 - 1e-12);
}

static double log_uniform(gsl_rng *rng, double most)
{
    return floor(exp(gsl_rng_uniform(rng) * log(most + 1)));
}

static double rates_line_ns(struct attention_line line, double kv)
{
    return line.ns + line.slope * kv;
}

/* One layer of attention, in prompts and in decodes. */
static void judge_attention(struct tally *t, const struct device *d, enum dtype dtype, const struct attention_work *w,
                            gsl_rng *rng)
{
    struct attention_rates r = roofline_attention_rates(d, dtype, w);
    double tokens = fmax(1, log_uniform(rng, 16384)), before = log_uniform(rng, 131072);
    double sequences = fmax(1, log_uniform(rng, 512)), kv = sequences * fmax(1, log_uniform(rng, 32768));
    struct physics p = physics_of_prefill(w, dtype, tokens, before);
    judge(t, d, &p, rates_line_ns(roofline_prefill(&r, tokens, before), before));
    p = physics_of_decode(w, dtype, sequences, kv);
    judge(t, d, &p, rates_line_ns(roofline_decode(&r, sequences, kv), kv));
}

static void judge_work(struct tally *t, const struct device *d, enum dtype dtype, const struct work *work, gsl_rng *rng)
{
    for (size_t i = 0; i < work->count; i++) {
        double rows = fmax(1, log_uniform(rng, 65536)) * work->ops[i].rows_scale;
        struct physics p = physics_of_operation(&work->ops[i], rows);
        judge(t, d, &p, roofline_operation_ns(d, &work->ops[i], rows));
    }
    for (int i = 0; i < ATTENTION_KINDS; i++)
        judge_attention(t, d, dtype, &work->attention[i], rng);
}

static void draw_work(const struct model *shipped, gsl_rng *rng, struct tally *t, const struct device *d)
{
    static const double degrees[] = {1, 2, 4, 8};
    struct error err = {0};
    struct model m = *shipped;
    struct work work;
    struct parallel parallel = tensor_parallel((uint32_t)degrees[gsl_rng_uniform_int(rng, 4)]);
    m.dtype = m.moe.dtype = (enum dtype)gsl_rng_uniform_int(rng, DTYPE_COUNT);
    m.bytes_per_weight = m.moe.bytes_per_weight = dtype_bytes(m.dtype);
    if (m.moe.experts && gsl_rng_uniform_int(rng, 2))
        parallel.data = 2, parallel.expert = 2;
    parallel.expert_imbalance = 1 + gsl_rng_uniform(rng);
    if (work_of_model(&m, &parallel, &work, &err) == 0) /* else it cannot be sharded so */
        judge_work(t, d, m.dtype, &work, rng);
}

/* Every model on a device; a linear one states no peaks and is no hardware. */
static struct tally judge_device(const struct device *d, unsigned long seed)
{
    struct tally t = {0};
    gsl_rng *rng = gsl_rng_alloc(gsl_rng_mt19937);
    gsl_rng_set(rng, seed);
    for (const struct shipped_file *f = shipped_files; f->kind; f++) {
        struct error err = {0};
        struct model m;
        if (strcmp(f->kind, "model") != 0)
            continue;
        expect_ok(model_load(f->name, &m, &err), &err);
        for (int i = 0; i < ROUNDS; i++)
            draw_work(&m, rng, &t, d);
    }
    gsl_rng_free(rng);
    return t;
}

static void test_no_operation_is_costed_below_peak_and_bandwidth(void **state)
{
    (void)state;
    size_t devices = 0, operations = 0;
    for (const struct shipped_file *f = shipped_files; f->kind; f++) {
        struct error err = {0};
        struct device d;
        if (strcmp(f->kind, "device") != 0)
            continue;
        expect_ok(device_load(f->name, &d, &err), &err);
        if (d.kind != DEVICE_LINEAR) {
            struct tally t = judge_device(&d, 1 + devices);
            if (t.below > 0)
                fail_msg("%s: %zu of %zu operations cost less than its datasheet allows", f->name, t.below,
                         t.operations);
            devices++;
            operations += t.operations;
        }
        device_release(&d);
    }
    assert_true(devices >= 15 && operations > 100000);
}

/* The property can fail: kernels that reach more than the peak, or more than the bandwidth, are found. */
static void test_impossible_efficiencies_are_found(void **state)
{
    (void)state;
    struct error err = {0};
    struct device d;
    expect_ok(device_load("h100-sxm", &d, &err), &err);
    double *const efficiencies[] = {&d.gemm_efficiency, &d.attention_efficiency, &d.bandwidth_efficiency};
    for (size_t i = 0; i < sizeof efficiencies / sizeof *efficiencies; i++) {
        double possible = *efficiencies[i];
        assert_int_equal(judge_device(&d, 1).below, 0);
        *efficiencies[i] = 2;
        assert_true(judge_device(&d, 1).below > 0);
        *efficiencies[i] = possible;
    }
    device_release(&d);
}

/* 1e12 FLOP/s and 1e9 bytes/s. A GEMM of 100 by 1000 by 2000 in bf16: 4e8 operations take 0.4 ms, and 4e6 bytes of
 * weights 4 ms. A chunk of 3 tokens after 10, of a window of 4: queries see 4 keys each. Twice 2 decodes of 5 KV tokens
 * each, 100 bytes a token: 1 µs. */
static void test_the_least_time_by_hand(void **state)
{
    (void)state;
    struct device d = {.bandwidth_bytes_per_s = 1e9, .link_bytes_per_s = 1e9};
    for (int i = 0; i < DTYPE_COUNT; i++)
        d.peak_flops[i] = 1e12;
    const struct operation op = {.kind = WORK_GEMM, .n = 1000, .k = 2000, .weight_bytes = 2, .dtype = DTYPE_BF16};
    struct physics p = physics_of_operation(&op, 100);
    assert_true(fabs(physics_least_ns(&d, &p, false) - 4e6) < 1e-3);
    p.memory_bytes = 0;
    assert_true(fabs(physics_least_ns(&d, &p, false) - 4e5) < 1e-3);
    const struct attention_work w = {.prefill_flops = 1e9, .decode_flops = 1, .kv_bytes = 100, .window = 4};
    p = physics_of_prefill(&w, DTYPE_BF16, 3, 10);
    assert_true(fabs(physics_least_ns(&d, &p, false) - 12e6) < 1e-3);
    p = physics_of_prefill(&w, DTYPE_BF16, 3, 2); /* they see 3, 4 and 4 */
    assert_true(fabs(physics_least_ns(&d, &p, false) - 11e6) < 1e-3);
    p = physics_of_decode(&w, DTYPE_BF16, 2, 6);
    assert_true(fabs(physics_least_ns(&d, &p, false) - 600) < 1e-9);
    p = physics_of_decode(&w, DTYPE_BF16, 2, 10); /* 8 are within the window */
    assert_true(fabs(physics_least_ns(&d, &p, false) - 800) < 1e-9);
    const struct operation sum = {.kind = WORK_COLLECTIVE, .gpus = 4, .bytes_per_row = 1000};
    p = physics_of_operation(&sum, 2);
    assert_true(fabs(physics_least_ns(&d, &p, false) - 1500) < 1e-9);
}

/* Weights of 2 · 1000 · 1000 bytes take 2 ms: of the two points, the one of 1 ms is below and at half. */
static void test_measured_points_below_the_bound_are_counted(void **state)
{
    (void)state;
    struct device d = {.bandwidth_bytes_per_s = 1e9};
    d.peak_flops[DTYPE_BF16] = 1e15;
    double m[] = {1, 2}, n[] = {1000}, k[] = {1000}, ns[] = {3e6, 1e6};
    struct cost_table t = {.op = "gemm",
                           .shape = {.any = true, .dtype = DTYPE_BF16},
                           .axes = {{m, 2}, {n, 1}, {k, 1}},
                           .axis_count = 3,
                           .ns = ns};
    struct physics_report report = physics_check_table(&d, NULL, DTYPE_BF16, &t);
    assert_int_equal(report.points, 2);
    assert_int_equal(report.below, 1);
    assert_true(fabs(report.lowest - 0.5) < 1e-12 && report.lowest_at[0] == 2);
    double second[] = {1};
    t.filled = second, t.filled_count = 1; /* it was not measured */
    report = physics_check_table(&d, NULL, DTYPE_BF16, &t);
    assert_true(report.points == 1 && report.below == 0 && report.lowest == 1);
    t.shape.any = false;
    assert_int_equal(physics_check_table(&d, NULL, DTYPE_BF16, &t).points, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_no_operation_is_costed_below_peak_and_bandwidth),
        cmocka_unit_test(test_impossible_efficiencies_are_found),
        cmocka_unit_test(test_the_least_time_by_hand),
        cmocka_unit_test(test_measured_points_below_the_bound_are_counted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: MIT */
/* Histograms, batch means, warm-up, the metrics of a run worked out by hand, and the store. */
#include <gsl/gsl_randist.h>
#include <math.h>
#include <sqlite3.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/random.h"
#include "reports/stats/theory.h"
#include "reports/store/store.h"
#include "tests/harness.h"
#include "validation/measured.h"

#define DB "build/test_store.db"

static void test_histogram_is_exact_below_1024_and_within_a_thousandth_above(void **state)
{
    (void)state;
    struct histogram h = {0};
    for (int64_t v = 1; v < INT64_MAX / 3; v = v * 3 / 2 + 1) {
        histogram_add(&h, v, 1);
        int64_t found = histogram_quantile(&h, 1);
        assert_true(llabs(found - v) <= (v < 1024 ? 0 : v / 1000));
    }
    histogram_release(&h);
}

/* 1 … 1000 once each: p50 is 500, p99 990, p99.9 999, and q = 0 the smallest. */
/* Rows that hold counts only in one of two histograms, and rows of both; values below 1024 are exact. */
static void test_histogram_quantiles_in_one_walk(void **state)
{
    static const double shares[] = {0.1, 0.5, 0.9, 1};
    struct histogram low = {0}, high = {0};
    int64_t found[4];
    (void)state;
    for (int64_t v = 1; v <= 10; v++) {
        assert_int_equal(histogram_add(&low, v, 1), 0);       /* 1 … 10 */
        assert_int_equal(histogram_add(&high, 10 * v, 1), 0); /* 10, 20 … 100 */
    }
    assert_int_equal(histogram_merge(&low, &high), 0); /* ranks 1 … 9, two tens, 20 … 100 */
    histogram_quantiles(&low, shares, 4, found);
    assert_int_equal(found[0], 2);   /* rank 2 */
    assert_int_equal(found[1], 10);  /* rank 10 */
    assert_int_equal(found[2], 80);  /* rank 18 */
    assert_int_equal(found[3], 100); /* rank 20 */
    assert_int_equal(histogram_count(&low, 10), 2);
    assert_int_equal(histogram_count(&low, 500), 0);
    histogram_release(&low);
    histogram_release(&high);
}

static void test_histogram_quantiles_by_hand(void **state)
{
    (void)state;
    struct histogram h = {0}, other = {0};
    for (int64_t v = 1000; v >= 501; v--)
        histogram_add(&h, v, 1);
    for (int64_t v = 1; v <= 500; v++)
        histogram_add(&other, v, 1);
    assert_int_equal(histogram_merge(&h, &other), 0);
    assert_int_equal(h.total, 1000);
    assert_int_equal(histogram_quantile(&h, 0.5), 500);
    assert_int_equal(histogram_quantile(&h, 0.99), 990);
    assert_int_equal(histogram_quantile(&h, 0.999), 999);
    assert_int_equal(histogram_quantile(&h, 0), 1);
    histogram_release(&h);
    histogram_release(&other);
}

/* 100 000 values 0 … 99 999: sections merge many times; nothing is lost on the way. */
static void test_samples_keep_moments_through_merges(void **state)
{
    (void)state;
    static struct samples s;
    struct summary sum;
    samples_init(&s, 5);
    for (int64_t v = 0; v < 100000; v++)
        samples_add(&s, (uint64_t)v, v, 1);
    assert_int_equal(samples_summarise(&s, 0, &sum, NULL), 0);
    assert_int_equal(sum.count, 100000);
    assert_true(fabs(sum.at[STAT_MEAN].value - 49999.5) < 1e-6);
    assert_true(fabs(sum.at[STAT_SD].value - 28867.658) < 0.01); /* sqrt(n(n+1)/12) */
    assert_true(sum.at[STAT_MIN].value == 0 && sum.at[STAT_MAX].value == 99999);
    assert_true(fabs(sum.at[STAT_P90].value / 89999 - 1) < 0.001);
    samples_release(&s);
}

/* Seven in ten million: what is rounded in squares of the values is more than how they differ. The rule's own terms are
 * exact here: of 24 means that alternate by 1 ns the whole row has the least Σ (x − mean)² / n². */
static void test_mser5_of_nearly_equal_values(void **state)
{
    (void)state;
    struct samples s;
    samples_init(&s, 5);
    for (uint64_t i = 0; i < 120; i++)
        assert_int_equal(samples_add(&s, i, 70000001 + (int64_t)(i / 5 % 2), 1), 0);
    assert_int_equal(samples_mser5(&s), 0);
    samples_release(&s);
    for (uint64_t i = 0; i < 120; i++)
        assert_int_equal(samples_add(&s, i, 33333333337, 1), 0);
    assert_int_equal(samples_mser5(&s), 0);
    samples_release(&s);
}

/* 400 values of 1000 ± 1 after 100 of 5000: the cut falls at the step, to within two groups. */
static void test_mser5_cuts_a_transient(void **state)
{
    (void)state;
    static struct samples s;
    samples_init(&s, 5);
    for (int i = 0; i < 500; i++)
        samples_add(&s, (uint64_t)i, i < 100 ? 5000 : 999 + 2 * (i % 2), 1);
    uint64_t cut = samples_mser5(&s);
    assert_true(cut >= 100 && cut <= 110);
    struct summary sum;
    assert_int_equal(samples_summarise(&s, cut, &sum, NULL), 0);
    assert_true(sum.cut >= 100 && fabs(sum.at[STAT_MEAN].value - 1000) < 1);
    samples_release(&s);
}

/* 95 % intervals of the mean of 2 000 normal values: of 400, 380 cover on average, standard deviation 4.4;
 * an honest method stays within four of them. The same for the median by sectioning. */
static void test_intervals_cover_as_promised(void **state)
{
    (void)state;
    gsl_rng *rng = random_stream_create(11, "coverage");
    static struct samples s;
    int mean_covers = 0, median_covers = 0;
    for (int run = 0; run < 400; run++) {
        struct summary sum;
        samples_init(&s, 5);
        for (int i = 0; i < 2000; i++)
            samples_add(&s, (uint64_t)i, (int64_t)(1e6 + gsl_ran_gaussian_ziggurat(rng, 1e5)), 1);
        assert_int_equal(samples_summarise(&s, 0, &sum, NULL), 0);
        mean_covers += fabs(sum.at[STAT_MEAN].value - 1e6) < sum.at[STAT_MEAN].high - sum.at[STAT_MEAN].value;
        median_covers += sum.at[STAT_P50].low < 1e6 && sum.at[STAT_P50].high > 1e6;
        samples_release(&s);
    }
    gsl_rng_free(rng);
    if (mean_covers < 362 || mean_covers > 398 || median_covers < 362)
        fail_msg("mean %d, median %d of 400", mean_covers, median_covers);
}

/* Two requests at 0 on line2.json, continuous, prompt 10, outputs 1 and 3:
 * 1: prefill of 20: 1000 + 200 = 1200; both get their first token; 0 is done.
 * 2: decode at KV 11: 1000 + 100 + 11 = 1111.  3: KV 12: 1112. So 1 ends at 3423. */
static void test_a_run_by_hand(void **state)
{
    (void)state;
    FILE *out = fopen("build/test_two.jsonl", "w");
    fputs("{\"arrival_s\": 0, \"prompt_tokens\": 10, \"output_tokens\": 1}\n"
          "{\"arrival_s\": 0, \"prompt_tokens\": 10, \"output_tokens\": 3}\n",
          out);
    fclose(out);
    struct run_summary r;
    run_scenario("{\"model\": \"ideal\", \"device\": \"tests/data/line2.json\","
                 "\"policy\": {\"batching\": \"continuous\"}, \"workload\": {\"trace\": \"build/test_two.jsonl\"},"
                 "\"slo\": {\"ttft_s\": {\"p99\": 0.0000015}, \"e2e_s\": {\"p99\": 0.000002}}}",
                 &r);
    assert_int_equal(r.totals.end, 3423);
    assert_int_equal(r.totals.iterations, 3);
    assert_true(r.metrics[METRIC_TTFT].at[STAT_MEAN].value == 1200);
    assert_int_equal(r.metrics[METRIC_TPOT].count, 1);
    assert_true(r.metrics[METRIC_TPOT].at[STAT_MEAN].value == 1111); /* 2223 / 2, down */
    assert_int_equal(r.metrics[METRIC_ITL].count, 2);
    assert_true(r.metrics[METRIC_E2E].at[STAT_MAX].value == 3423);
    assert_true(fabs(r.slo.attainment[0].value - 0.5) < 1e-12);
    assert_false(r.slo.met);
    /* L = (2·1200 + 2223) / 3423 and no residual. */
    assert_true(fabs(r.system.number - 4623.0 / 3423) < 1e-12);
    assert_true(r.system.little_residual == 0);
    assert_true(fabs(r.utilization - 1) < 1e-12);
}

/* The same run, with a third request of priority 1 that comes at 1 ms and is served alone: 1000 + 100 = 1100 to its
 * only token. Limits on everybody: E2E p99 of 2 µs, which request 1 (3423 ns) breaks; priority 1 has 1 µs of its own,
 * which 1100 ns break, and half of it may. So one of three meets all, and of windows of 1 ms the first holds requests
 * 0 and 1 (one of two kept 2 µs) and the second request 2, which keeps the limit on everybody. */
static void test_slo_of_classes_and_windows(void **state)
{
    (void)state;
    FILE *out = fopen("build/test_three.jsonl", "w");
    fputs("{\"arrival_s\": 0, \"prompt_tokens\": 10, \"output_tokens\": 1}\n"
          "{\"arrival_s\": 0, \"prompt_tokens\": 10, \"output_tokens\": 3}\n"
          "{\"arrival_s\": 0.001, \"prompt_tokens\": 10, \"output_tokens\": 1, \"priority\": 1}\n",
          out);
    fclose(out);
    struct run_summary r;
    run_scenario("{\"model\": \"ideal\", \"device\": \"tests/data/line2.json\","
                 "\"policy\": {\"batching\": \"continuous\"}, \"workload\": {\"trace\": \"build/test_three.jsonl\"},"
                 "\"slo\": {\"e2e_s\": {\"p99\": 0.000002}, \"goodput_per_s\": 1,"
                 "\"windows\": {\"length_s\": 0.001, \"share\": 0.5}, \"classes\": {\"later\": {\"priority\": 1,"
                 "\"e2e_s\": {\"p50\": 0.000001}, \"attainment\": 0.5}}}}",
                 &r);
    assert_true(fabs(r.slo.attainment[0].value - 1.0 / 3) < 1e-12);
    assert_true(r.slo.attainment[1].value == 0);
    assert_true(fabs(r.slo.limits[0].value - 3423e-9) < 3.5e-9 && !r.slo.limits[0].met);
    assert_true(fabs(r.slo.limits[1].value - 1100e-9) < 1.2e-9 && !r.slo.limits[1].met);
    assert_true(fabs(r.slo.limits[1].margin - log(1.0 / 1.1)) < 2e-3);
    assert_int_equal(r.slo.window_count, 2);
    assert_int_equal(r.slo.windows_missed, 1);
    assert_true(r.slo.windows.met && r.slo.goodput.met && !r.slo.met);
    assert_true(r.slo.worst_window_s == 0);
    /* The least margin: of 1 request in the class half may miss, 0.5, and one does: log 0.5; the E2E's log(2 / 3.423)
     * is −0.537, the class's p50 −0.095. */
    assert_true(fabs(r.slo.margin - log(0.5)) < 1e-9);
    assert_string_equal(r.slo.binding, "attainment of class later");
}

/* tests/data/measured: b was queued at once, so the clocks differ by 50.25 − 1000; a waited 0.25 s before. TTFT 0.45
 * and 0.5 s, E2E 0.45 and 1 s, one TPOT of (1 − 0.5) / 2. */
static void test_a_measured_run_is_read(void **state)
{
    (void)state;
    struct error err = {0};
    struct latencies measured = {0}, simulated = {0};
    struct comparison c;
    expect_ok(measured_read("tests/data/measured", &measured, &err), &err);
    assert_int_equal(measured.count[0], 2);
    assert_int_equal(measured.count[1], 1);
    assert_int_equal(latencies_add(&simulated, 0.5, 0.5, 1), 0);
    assert_int_equal(latencies_add(&simulated, 0.5, 1.1, 3), 0);
    latencies_compare(&measured, &simulated, &c);
    assert_true(fabs(c.measured[0][0] - 0.475) < 1e-9 && fabs(c.measured[2][1] - 0.725) < 1e-9);
    assert_true(fabs(c.measured[1][4] - 0.25) < 1e-9);
    assert_true(fabs(c.error[0][0] - (0.5 / 0.475 - 1)) < 1e-9);
    assert_true(fabs(c.error[1][2] - 0.2) < 1e-9); /* TPOT 0.3 instead of 0.25 */
    assert_true(fabs(c.worst_absolute - 0.2) < 1e-9);
    latencies_release(&measured);
    latencies_release(&simulated);
}

static void test_a_measured_run_makes_a_scenario(void **state)
{
    (void)state;
    struct error err = {0};
    struct json root;
    struct simulation *s = NULL;
    expect_ok(measured_scenario("tests/data/measured", "ideal-server", &root, &err), &err);
    expect_ok(simulation_open(root, &s, &err), &err);
    const struct pool *pool = &s->scenario.pools[0];
    const struct replica_config *replica = &s->scenario.cluster.pools[0].replica;
    assert_string_equal(pool->cost.model.name, "ideal");
    assert_int_equal(replica->kv_blocks, 100); /* 101 less the null block */
    assert_false(replica->prefix_caching);
    assert_true(param_number(&pool->batching_params, "max_sequences") == 4);
    assert_true(param_number(&pool->batching_params, "token_budget") == 64);
    simulation_close(s);
}

/* Stamps of a simulated run, by request. */
struct stamp {
    sim_time arrival, first_token, last_token;
    uint32_t prompt_tokens, output_tokens;
};

static struct stamp stamps[400];

static void keep_stamp(void *state, struct station_id station, const struct request *r)
{
    (void)state, (void)station;
    stamps[r->id] = (struct stamp){r->arrival, r->first_token, r->last_token, r->prompt_tokens, r->output_tokens};
}

static void write_measured_run(void)
{
    assert_int_equal(system("mkdir -p build/test_measured"), 0);
    FILE *meta = fopen("build/test_measured/meta.json", "w"), *out = fopen("build/test_measured/requests.jsonl", "w");
    assert_true(meta && out);
    fputs("{\"model\": \"x/Llama-3.1-8B\", \"engine_kwargs\": {\"max_num_seqs\": 32}}\n", meta);
    for (int i = 0; i < 400; i++)
        fprintf(out,
                "{\"input_toks\": %u, \"output_toks\": %u, \"arrival_time\": %.9f, \"queued_ts\": %.9f, "
                "\"first_token_ts\": %.9f, \"last_token_ts\": %.9f}\n",
                stamps[i].prompt_tokens, stamps[i].output_tokens, (double)stamps[i].arrival * 1e-9 + 5000,
                (double)stamps[i].arrival * 1e-9, (double)stamps[i].first_token * 1e-9,
                (double)stamps[i].last_token * 1e-9);
    fclose(meta);
    fclose(out);
}

/* A "server" that is the simulator itself with 2 ms and 20 µs of host work: the fit finds them again, as nearly as the
 * kinks of the error let it: within 5 % and 50 %, from an error of 32 % to one below 0.5 %. Bursts make batches of all
 * sizes, without which work of an iteration and of its sequences could not be told apart. */
static void test_fitted_host_work_is_found_again(void **state)
{
    (void)state;
    static const char text[] =
        "{\"model\": \"llama-3.1-8b\", \"device\": \"h100-sxm\","
        "\"engine\": {\"host_ns\": 2000000, \"host_ns_per_sequence\": 20000},"
        "\"policy\": {\"batching\": {\"name\": \"unified_budget\", \"max_sequences\": 32}, \"prefix_caching\": true},"
        "\"workload\": {\"arrivals\": {\"name\": \"gamma\", \"cv\": 4, \"rate_per_s\": 12}, \"requests\": 400,"
        "\"lengths\": {\"prompt\": {\"name\": \"uniform\", \"min\": 100, \"max\": 900},"
        "\"output\": {\"name\": \"uniform\", \"min\": 20, \"max\": 200}}}}";
    struct error err = {0};
    struct json root;
    struct simulation *s = open_simulation(text);
    const struct observer observer = {.finished = keep_stamp};
    expect_ok(simulation_run(s, &(struct simulation_options){.observers = &observer}, &err), &err);
    assert_int_equal(s->summary.totals.finished, 400);
    simulation_close(s);
    write_measured_run();

    struct host_fit fit;
    expect_ok(measured_scenario("build/test_measured", "h100-sxm", &root, &err), &err);
    expect_ok(measured_fit_host("build/test_measured", &root, &fit, &err), &err);
    cJSON_Delete((cJSON *)(uintptr_t)root.node);
    if (!(fit.before > 0.1 && fit.after < 0.005 && fabs(fit.host_ns - 2e6) < 1e5 &&
          fabs(fit.host_ns_per_sequence - 2e4) < 1e4))
        fail_msg("%g + %g a sequence, error %g → %g", fit.host_ns, fit.host_ns_per_sequence, fit.before, fit.after);
}

static int open_store(struct store **s, struct error *err)
{
    return store_open(DB, s, err);
}

static int query(const char *sql)
{
    sqlite3 *db = NULL;
    sqlite3_stmt *q = NULL;
    assert_int_equal(sqlite3_open(DB, &db), SQLITE_OK);
    assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &q, NULL), SQLITE_OK);
    int value = sqlite3_step(q) == SQLITE_ROW ? sqlite3_column_int(q, 0) : -1;
    sqlite3_finalize(q);
    sqlite3_close(db);
    return value;
}

static void clear_store(void)
{
    unlink(DB);
    unlink(DB "-wal");
    unlink(DB "-shm");
}

#define SCENARIO                                                                                                       \
    "{\"model\": \"llama-3.1-8b\", \"device\": \"h100-sxm\", \"output\": {\"requests\": true, \"timeseries_s\": 1},"   \
    "\"workload\": {\"arrivals\": \"poisson\", \"lengths\": \"fixed\", \"requests\": 50}}"

static int64_t keep_run(struct store *store, const char *text, struct error *err)
{
    struct simulation *s = open_simulation(text);
    expect_ok(simulation_run(s, &(struct simulation_options){.store = store}, err), err);
    int64_t id = simulation_keep(s, store, err);
    simulation_close(s);
    return id;
}

static int64_t run_into_store(struct store *store, struct error *err)
{
    return keep_run(store, SCENARIO, err);
}

static void test_store_keeps_a_whole_run(void **state)
{
    (void)state;
    struct store *s;
    struct error err = {0};
    clear_store();
    expect_ok(open_store(&s, &err), &err);
    assert_int_equal(run_into_store(s, &err), 1);
    store_close(s);
    assert_int_equal(query("SELECT count(*) FROM request WHERE run_id = 1"), 50);
    assert_int_equal(query("SELECT count(*) FROM request r WHERE abs(e2e_s * 1e9 - (SELECT sum(ns) FROM time_parts p "
                           "WHERE p.run_id = r.run_id AND p.request_id = r.id)) > 0.5"),
                     0);
    assert_int_equal(query("SELECT sum(count) FROM histogram WHERE name = 'e2e_s' AND scope = 'run'"), 50);
    assert_int_equal(query("SELECT count(DISTINCT name) FROM timeseries"), 6);
    assert_int_equal(query("SELECT round(sum(value)) FROM timeseries WHERE name = 'requests_per_s'") >= 45, 1);
    assert_int_equal(query("SELECT count(*) FROM station"), 4);
    assert_int_equal(query("SELECT count(*) FROM theory"), 3);
    assert_int_equal(query("SELECT count(*) FROM v_run_summary WHERE ttft_p99_s > 0"), 1);
}

static double query_number(const char *sql)
{
    sqlite3 *db = NULL;
    sqlite3_stmt *q = NULL;
    assert_int_equal(sqlite3_open(DB, &db), SQLITE_OK);
    assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &q, NULL), SQLITE_OK);
    double value =
        sqlite3_step(q) == SQLITE_ROW && sqlite3_column_type(q, 0) != SQLITE_NULL ? sqlite3_column_double(q, 0) : NAN;
    sqlite3_finalize(q);
    sqlite3_close(db);
    return value;
}

/* Servers of 1 ms at a load of 0.6, in one queue: the row of a formula has the run's own λ, μ and number of servers,
 * and of one server ρ is λ/μ. Three servers do not meet what Pollaczek and Khinchine ask, nor do services of one length
 * meet Erlang's C. */
static void test_theory_rows_have_the_run_s_own_servers(void **state)
{
    (void)state;
    static const char text[] =
        "{\"model\": \"ideal\", \"device\": \"ideal-server\", \"cluster\": {\"replicas\": %u, \"routing\": "
        "\"central_queue\"}, \"policy\": {\"batching\": {\"name\": \"continuous\", \"max_sequences\": %u}, "
        "\"kv_blocks\": 1000000000}, \"workload\": {\"arrivals\": {\"name\": \"poisson\", \"rate_per_s\": %u}, "
        "\"requests\": 20000, \"lengths\": {\"prompt\": {\"name\": \"%s\", \"%s\": 100000}, \"output\": {\"name\": "
        "\"fixed\", \"tokens\": 1}}}}";
    static const struct {
        unsigned servers;
        bool exponential;
        unsigned most;
    } cases[] = {{1, true, 1}, {3, true, 1}, {1, false, 1}, {1, true, 8}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct error err = {0};
        struct store *s;
        char with[700];
        unsigned c = cases[i].servers;
        bool exponential = cases[i].exponential;
        clear_store();
        expect_ok(open_store(&s, &err), &err);
        snprintf(with, sizeof with, text, c, cases[i].most, 600 * c, exponential ? "exponential" : "fixed",
                 exponential ? "mean" : "tokens");
        assert_int_equal(keep_run(s, with, &err), 1);
        store_close(s);
        if (cases[i].most > 1) { /* batches are no single services */
            assert_int_equal(query("SELECT max(assumptions_met) FROM theory"), 0);
            continue;
        }
        double lambda = query_number("SELECT lambda_per_s FROM station WHERE station = 'system'");
        double mu = query_number("SELECT mu_per_s FROM station WHERE station = 'system'");
        double rho = query_number("SELECT rho FROM station WHERE station = 'system'");
        double wait = query_number("SELECT wq_s FROM station WHERE station = 'system'");
        assert_true(fabs(lambda / (600 * c) - 1) < 0.03 && fabs(mu / 1000 - 1) < 0.03);
        assert_true(fabs(rho - lambda / (c * mu)) < 1e-9);
        assert_true(query_number("SELECT busy FROM station WHERE station = 'system'") == rho);
        double erlang = query_number("SELECT value FROM theory WHERE formula LIKE 'M/M/c%'");
        assert_true(fabs(erlang / theory_mmc_wait_s(lambda, mu, c) - 1) < 1e-9);
        assert_int_equal(query("SELECT assumptions_met FROM theory WHERE formula LIKE 'M/M/c%'"), exponential);
        assert_int_equal(query("SELECT assumptions_met FROM theory WHERE formula LIKE 'M/G/1%'"), c == 1);
        assert_int_equal(query("SELECT assumptions_met FROM theory WHERE formula LIKE 'G/G/c%'"), 1);
        double pk = query_number("SELECT value FROM theory WHERE formula LIKE 'M/G/1%'");
        double gg = query_number("SELECT value FROM theory WHERE formula LIKE 'G/G/c%'");
        double in = query_number("SELECT arrival_scv FROM station WHERE station = 'system'");
        double out = query_number("SELECT service_scv FROM station WHERE station = 'system'");
        assert_true(fabs(gg / (erlang * (in + out) / 2) - 1) < 1e-9);
        assert_true(fabs(pk / theory_mg1_wait_s(lambda / c, 1 / mu, out) - 1) < 1e-9);
        if (exponential)
            assert_true(fabs(wait / erlang - 1) < 0.15);
        if (c == 1)
            assert_true(fabs(wait / pk - 1) < 0.15);
    }
}

/* What an SLO came to, target by target: met, missed, without a value, and never served. */
static void test_targets_are_kept_as_they_were_judged(void **state)
{
    (void)state;
    struct error err = {0};
    struct store *s;
    FILE *out = fopen("build/test_targets.jsonl", "w");
    fputs("{\"arrival_s\": 0, \"prompt_tokens\": 10, \"output_tokens\": 1}\n"
          "{\"arrival_s\": 1, \"prompt_tokens\": 100000000, \"output_tokens\": 1, \"priority\": 1}\n",
          out);
    fclose(out);
    clear_store();
    expect_ok(open_store(&s, &err), &err);
    assert_int_equal(keep_run(s,
                              "{\"model\": \"ideal\", \"device\": \"tests/data/line2.json\", \"workload\": {\"trace\": "
                              "\"build/test_targets.jsonl\"}, \"slo\": {\"ttft_s\": {\"p50\": 1, \"p99\": 1}, "
                              "\"attainment\": 0.5, \"classes\": {\"calm\": {\"priority\": 0, \"tpot_s\": {\"p50\": "
                              "1}}, \"late\": {\"priority\": 1, \"attainment\": 0.25, \"ttft_s\": {\"p50\": 1}}}}}",
                              &err),
                     1);
    store_close(s);
    assert_int_equal(query(
                         "SELECT arrived = 2 AND finished = 1 AND rejected = 1 AND lost = 0 AND slo_met = 0 FROM run"),
                     1);
    assert_int_equal(query("SELECT count(*) FROM run WHERE unserved_reason LIKE 'longer than the model%'"), 1);
    assert_int_equal(query("SELECT count(*) FROM slo_target"), 6);
    assert_int_equal(query(
                         "SELECT met = 0 AND value = 0 AND asked = 0.25 FROM slo_target WHERE scope = 'class:late' AND "
                         "name = 'slo_attainment'"),
                     1);
    assert_int_equal(query("SELECT met = 1 AND value < 1 FROM slo_target WHERE statistic = 'p50' AND scope = 'run'"),
                     1);
    assert_int_equal(query("SELECT met = 0 AND value IS NULL FROM slo_target WHERE statistic = 'p99'"), 1);
    assert_int_equal(query("SELECT met IS NULL AND value IS NULL FROM slo_target WHERE scope = 'class:calm'"), 1);
    assert_int_equal(
        query("SELECT met = 1 AND value = 0.5 FROM slo_target WHERE name = 'slo_attainment' AND scope = 'run'"), 1);
    assert_true(query_number("SELECT value FROM metric WHERE name = 'unserved_share'") == 0.5);
    assert_int_equal(query("SELECT verdict = 'not met' FROM v_run_summary"), 1);
    /* A metric without values has a count of none, and no statistic. */
    assert_int_equal(query(
                         "SELECT count(*) FROM metric WHERE name = 'tpot_s' AND scope = 'run' AND statistic <> 'sum'"),
                     1);
}

static void test_batches_fall_into_cells_whose_bounds_double(void **state)
{
    (void)state;
    static const struct {
        uint64_t decodes, prompt_tokens, at_most_decodes, at_most_tokens;
    } cases[] = {{0, 0, 0, 0},
                 {1, 1, 1, 16},
                 {2, 16, 2, 16},
                 {3, 17, 4, 32},
                 {4, 32, 4, 32},
                 {5, 33, 8, 64},
                 {256, 512, 256, 512},
                 {257, 513, 512, 1024},
                 {1000000, 10000000, 65536, 1048576}}; /* the last cells hold what is more */
    struct batch_map *map = calloc(1, sizeof *map);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        ptrdiff_t cell = batch_map_at(map, cases[i].decodes, cases[i].prompt_tokens) - &map->cells[0][0];
        assert_int_equal(batch_map_decodes((int)cell / PROMPT_CELLS), cases[i].at_most_decodes);
        assert_int_equal(batch_map_prompt_tokens((int)cell % PROMPT_CELLS), cases[i].at_most_tokens);
    }
    free(map);
}

/* A process killed before its commit leaves the file whole and without the run. */
static void test_a_killed_run_leaves_no_trace(void **state)
{
    (void)state;
    struct error err = {0};
    struct store *s;
    clear_store();
    expect_ok(open_store(&s, &err), &err);
    assert_int_equal(run_into_store(s, &err), 1);
    store_close(s);
    pid_t child = fork();
    if (child == 0) {
        sqlite3 *db = NULL;
        sqlite3_open(DB, &db);
        sqlite3_exec(db,
                     "BEGIN IMMEDIATE; INSERT INTO run SELECT 2, name, scenario, scenario_hash, seed, program_version,"
                     "status, started_at, wall_s, simulated_s, arrived, finished, rejected, unfinished, iterations,"
                     "model, device, cost_source, batching, slo_met, slo_binding, lost, unserved_reason FROM run",
                     NULL, NULL, NULL);
        _exit(sqlite3_changes(db) == 1 ? 9 : 1);
    }
    int status = 0;
    waitpid(child, &status, 0);
    assert_int_equal(WEXITSTATUS(status), 9);
    assert_int_equal(query("SELECT count(*) FROM run"), 1);
    expect_ok(open_store(&s, &err), &err);
    store_close(s);
}

/* A file of version 1: it gets the new column and table, and keeps its rows. */
static void test_an_older_schema_is_brought_up_to_date(void **state)
{
    (void)state;
    struct error err = {0};
    struct store *s;
    clear_store();
    expect_ok(open_store(&s, &err), &err);
    assert_int_equal(run_into_store(s, &err), 1);
    store_close(s);
    assert_int_equal(query("CREATE TABLE parts AS SELECT * FROM time_parts"), -1);
    assert_int_equal(query("DROP VIEW time_parts"), -1);
    assert_int_equal(query("ALTER TABLE parts RENAME TO time_parts"), -1);
    for (int i = 0; i < PART_COUNT; i++) {
        char sql[80];
        snprintf(sql, sizeof sql, "ALTER TABLE request DROP COLUMN part_%s_ns", time_part_names[i]);
        assert_int_equal(query(sql), -1);
    }
    assert_int_equal(query("ALTER TABLE request DROP COLUMN cached_tokens"), -1);
    assert_int_equal(query("DROP TABLE validation"), -1);
    assert_int_equal(query("DROP TABLE iteration"), -1);
    assert_int_equal(query("DROP TABLE batch_cell"), -1);
    assert_int_equal(query("DROP TABLE headroom"), -1);
    assert_int_equal(query("DROP TABLE slo_target"), -1);
    assert_int_equal(query("DROP VIEW v_run_summary"), -1);
    assert_int_equal(query("DROP TABLE run_plugin"), -1);
    static const char *const later[] = {"plan DROP COLUMN name",           "plan DROP COLUMN started_at",
                                        "plan_point DROP COLUMN result",   "sweep DROP COLUMN name",
                                        "sweep DROP COLUMN started_at",    "sweep_point DROP COLUMN result",
                                        "run DROP COLUMN slo_binding",     "run DROP COLUMN lost",
                                        "run DROP COLUMN unserved_reason", "station DROP COLUMN busy"};
    for (size_t i = 0; i < sizeof later / sizeof *later; i++) {
        char sql[80];
        snprintf(sql, sizeof sql, "ALTER TABLE %s", later[i]);
        assert_int_equal(query(sql), -1);
    }
    assert_int_equal(query("PRAGMA user_version = 1"), -1);
    expect_ok(open_store(&s, &err), &err);
    store_close(s);
    assert_int_equal(query("PRAGMA user_version"), 7);
    assert_int_equal(query("SELECT count(*) FROM request r WHERE abs(e2e_s * 1e9 - (SELECT sum(ns) FROM time_parts p "
                           "WHERE p.run_id = r.run_id AND p.request_id = r.id)) < 2"),
                     50);
    assert_int_equal(query("SELECT count(*) FROM request WHERE cached_tokens = 0"), 50);
    assert_int_equal(query("SELECT count(*) FROM validation"), 0);
    assert_int_equal(query("SELECT count(result) FROM sweep_point"), 0);
    assert_int_equal(query("SELECT count(slo_binding) FROM run"), 0);
    assert_int_equal(query("SELECT count(*) FROM iteration, batch_cell, headroom"), 0);
    assert_int_equal(query("SELECT count(*) FROM run_plugin"), 0);
}

/* A file of version 4, by hand: a run with 139 of 400 requests in no column, another without an SLO that "met" it, and
 * a histogram of 1, 2 and 2 s, and a request of two time parts next to one without any. */
static void test_counts_of_older_runs_add_up(void **state)
{
    (void)state;
    struct error err = {0};
    struct store *s;
    clear_store();
    static const char *const sql[] = {
        "CREATE TABLE run (id INTEGER PRIMARY KEY, name, scenario TEXT, seed, started_at, batching, model, device, "
        "arrived INTEGER, finished INTEGER, rejected INTEGER, unfinished INTEGER, simulated_s REAL, slo_met INTEGER)",
        "CREATE TABLE metric (run_id INTEGER, name TEXT, scope TEXT, statistic TEXT, value REAL, ci_low REAL, ci_high "
        "REAL, unit TEXT, PRIMARY KEY (run_id, name, scope, statistic)) WITHOUT ROWID",
        "CREATE TABLE histogram (run_id INTEGER, name TEXT, scope TEXT, value_s REAL, count INTEGER)",
        "CREATE TABLE station (run_id INTEGER, station TEXT, rho REAL)",
        "CREATE TABLE request (run_id INTEGER, id INTEGER, PRIMARY KEY (run_id, id)) WITHOUT ROWID",
        "CREATE TABLE time_parts (run_id INTEGER, request_id INTEGER, part TEXT, ns INTEGER, PRIMARY KEY (run_id, "
        "request_id, part)) WITHOUT ROWID",
        "INSERT INTO request VALUES (1, 7), (1, 8)",
        "INSERT INTO time_parts VALUES (1, 7, 'queue', 5), (1, 7, 'kv_load', 11), (2, 7, 'queue', 13)",
        "CREATE VIEW v_run_summary AS SELECT id, name FROM run",
        "INSERT INTO run VALUES (1, 'a', '{\"slo\":{}}', 1, '', '', '', '', 400, 261, 0, 0, 1, 0)",
        "INSERT INTO run VALUES (2, 'b', '{}', 1, '', '', '', '', 10, 8, 1, 1, 1, 1)",
        "INSERT INTO histogram VALUES (1, 'e2e_s', 'run', 1, 1), (1, 'e2e_s', 'run', 2, 2), (1, 'e2e_s', 'warmup', 1, "
        "1)",
        "INSERT INTO station VALUES (1, 'system', 0.5)",
        "PRAGMA user_version = 4"};
    for (size_t i = 0; i < sizeof sql / sizeof *sql; i++)
        assert_int_equal(query(sql[i]), -1);
    expect_ok(open_store(&s, &err), &err);
    store_close(s);
    assert_int_equal(query("SELECT lost FROM run WHERE id = 1"), 139);
    assert_int_equal(query("SELECT count(*) FROM run WHERE arrived <> finished + rejected + lost + unfinished"), 0);
    assert_int_equal(query("SELECT count(*) FROM run WHERE id = 2 AND slo_met IS NULL"), 1);
    assert_int_equal(query("SELECT slo_met FROM run WHERE id = 1"), 0);
    assert_int_equal(query("SELECT value FROM metric WHERE scope = 'all' AND statistic = 'sum'"), 5);
    assert_int_equal(query("SELECT value FROM metric WHERE scope = 'all' AND statistic = 'count'"), 3);
    assert_int_equal(query("SELECT count(*) FROM station WHERE busy = 0.5"), 1);
    assert_int_equal(query("SELECT count(*) FROM v_run_summary WHERE verdict = 'not met' AND lost = 139"), 1);
    assert_int_equal(query("SELECT count(*) FROM request WHERE id = 7 AND part_queue_ns = 5 AND part_kv_load_ns = 11 "
                           "AND part_decode_own_ns = 0"),
                     1);
    assert_int_equal(query("SELECT sum(ns) FROM time_parts"), 5 + 11);
    assert_int_equal(query("SELECT count(*) FROM time_parts WHERE run_id = 1 AND request_id = 7"), 2);
}

/* A request whose parts last 1, 2, 3, … ns: the view names each as the simulator does. */
static void test_every_time_part_has_a_column_and_a_row_of_the_view(void **state)
{
    (void)state;
    struct error err = {0};
    struct store *s;
    clear_store();
    expect_ok(open_store(&s, &err), &err);
    assert_int_equal(run_into_store(s, &err), 1);
    store_close(s);
    for (int i = 0; i < PART_COUNT; i++) {
        char sql[120];
        snprintf(sql, sizeof sql, "UPDATE request SET part_%s_ns = %d WHERE id = 3", time_part_names[i], i + 1);
        assert_int_equal(query(sql), -1);
        snprintf(sql, sizeof sql, "SELECT ns FROM time_parts WHERE request_id = 3 AND part = '%s'", time_part_names[i]);
        assert_int_equal(query(sql), i + 1);
    }
    assert_int_equal(query("SELECT count(*) FROM time_parts WHERE request_id = 3"), PART_COUNT);
}

static void test_a_newer_schema_is_refused(void **state)
{
    (void)state;
    struct error err = {0};
    struct store *s;
    clear_store();
    assert_int_equal(query("PRAGMA application_id = 0x546e646d"), -1);
    assert_int_equal(query("PRAGMA user_version = 99"), -1);
    assert_int_equal(open_store(&s, &err), -1);
    assert_non_null(strstr(err.text, "has schema version 99, this program knows up to 7"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_histogram_is_exact_below_1024_and_within_a_thousandth_above),
        cmocka_unit_test(test_histogram_quantiles_by_hand),
        cmocka_unit_test(test_histogram_quantiles_in_one_walk),
        cmocka_unit_test(test_samples_keep_moments_through_merges),
        cmocka_unit_test(test_mser5_cuts_a_transient),
        cmocka_unit_test(test_mser5_of_nearly_equal_values),
        cmocka_unit_test(test_intervals_cover_as_promised),
        cmocka_unit_test(test_a_run_by_hand),
        cmocka_unit_test(test_slo_of_classes_and_windows),
        cmocka_unit_test(test_store_keeps_a_whole_run),
        cmocka_unit_test(test_theory_rows_have_the_run_s_own_servers),
        cmocka_unit_test(test_targets_are_kept_as_they_were_judged),
        cmocka_unit_test(test_batches_fall_into_cells_whose_bounds_double),
        cmocka_unit_test(test_a_killed_run_leaves_no_trace),
        cmocka_unit_test(test_an_older_schema_is_brought_up_to_date),
        cmocka_unit_test(test_counts_of_older_runs_add_up),
        cmocka_unit_test(test_every_time_part_has_a_column_and_a_row_of_the_view),
        cmocka_unit_test(test_a_measured_run_is_read),
        cmocka_unit_test(test_a_measured_run_makes_a_scenario),
        cmocka_unit_test(test_fitted_host_work_is_found_again),
        cmocka_unit_test(test_a_newer_schema_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

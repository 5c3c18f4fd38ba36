/* SPDX-License-Identifier: MIT */
/* Traces and generators: values by hand, and a sentence with file, line and column for what is wrong. */
#include <gsl/gsl_cdf.h>
#include <math.h>
#include <unistd.h>
#include <zlib.h>

#include "base/random.h"
#include "sim/predictor.h"
#include "tests/harness.h"
#include "workloads/population.h"
#include "workloads/trace.h"

#define FILE_NAME "build/test_trace"

static void write_file(const char *text)
{
    FILE *out = fopen(FILE_NAME, "w");
    assert_non_null(out);
    fputs(text, out);
    fclose(out);
}

static int read_all(const char *file, struct arrival *out, int most, struct error *err)
{
    struct request_source source = {0};
    if (trace_open(file, NULL, &source, err))
        return -1;
    int count = 0, got = 0;
    while (count < most && (got = source.next(source.state, &out[count], err)) == 1)
        count++;
    request_source_destroy(&source);
    return got < 0 ? -1 : count;
}

static void expect_error(const char *text, const char *sentence)
{
    struct arrival a[8];
    struct error err = {0};
    write_file(text);
    assert_int_equal(read_all(FILE_NAME, a, 8, &err), -1);
    assert_int_equal(err.code, ERROR_INPUT);
    if (!strstr(err.text, sentence))
        fail_msg("expected \"%s\" in \"%s\"", sentence, err.text);
}

/* 18:15:46.6805900 → 18:15:50.9951690 are 4.314579 s; midnight and a leap day are crossed by the third. */
static void test_azure_stamps_with_seven_digits(void **state)
{
    (void)state;
    struct arrival a[4];
    struct error err = {0};
    write_file("TIMESTAMP,ContextTokens,GeneratedTokens\r\n2024-02-28 23:59:59.6805900,374,44\r\n"
               "2024-02-29 00:00:03.9951690,396,109\n2024-03-01 00:00:03.9951690+00:00,1,2");
    assert_int_equal(read_all(FILE_NAME, a, 4, &err), 3);
    assert_int_equal(a[0].at, 0);
    assert_int_equal(a[0].prompt_tokens, 374);
    assert_int_equal(a[0].output_tokens, 44);
    assert_int_equal(a[1].at, 4314579000);
    assert_int_equal(a[2].at, 4314579000 + 86400000000000);
}

/* 6 758 tokens are 14 blocks of 512. */
static void test_mooncake_milliseconds_and_ties(void **state)
{
    (void)state;
    struct arrival a[4];
    struct error err = {0};
    write_file("{\"timestamp\": 3000, \"input_length\": 6758, \"output_length\": 500, "
               "\"hash_ids\": [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13]}\n"
               "{\"timestamp\": 3000, \"input_length\": 1, \"output_length\": 2, \"hash_ids\": []}\n"
               "{\"timestamp\": 4500, \"input_length\": 3, \"output_length\": 4, \"hash_ids\": []}\n");
    assert_int_equal(read_all(FILE_NAME, a, 4, &err), 3);
    assert_int_equal(a[1].at, 0);
    assert_int_equal(a[2].at, 1500000000);
    assert_int_equal(a[0].prompt_tokens, 6758);
}

static void test_our_jsonl_round_trip_through_gzip(void **state)
{
    (void)state;
    const uint64_t hashes[] = {7, 9007199254740992};
    const struct arrival written[] = {
        {.prompt_tokens = 10, .output_tokens = 20, .hashes = hashes, .hash_count = 2, .hash_tokens = 5},
        {.at = 1234567891,
         .prompt_tokens = 3,
         .output_tokens = 1,
         .max_output_tokens = 5,
         .origin = {.priority = 1, .client = 2, .prefix_group = 4, .prefix_tokens = 3, .session = 5}}};
    struct arrival a[4];
    struct error err = {0};
    FILE *out = fopen(FILE_NAME, "w+");
    assert_int_equal(trace_write_line(out, &written[0]), 0);
    assert_int_equal(trace_write_line(out, &written[1]), 0);
    rewind(out);
    gzFile zip = gzopen(FILE_NAME ".gz", "wb");
    char line[256];
    while (fgets(line, sizeof line, out))
        gzputs(zip, line);
    gzclose(zip);
    fclose(out);
    assert_int_equal(read_all(FILE_NAME ".gz", a, 4, &err), 2);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(a[i].at, written[i].at);
        assert_int_equal(a[i].prompt_tokens, written[i].prompt_tokens);
        assert_int_equal(a[i].output_tokens, written[i].output_tokens);
        assert_int_equal(a[i].max_output_tokens, written[i].max_output_tokens);
        assert_int_equal(a[i].hash_count, written[i].hash_count);
        assert_int_equal(a[i].hash_tokens, written[i].hash_tokens);
        assert_memory_equal(&a[i].origin, &written[i].origin, sizeof a[i].origin);
    }
}

/* Two requests, 1.5 s apart, of 100 and 200 prompt and 7 and 8 output tokens, as each form writes them. */
static void test_forms_are_told_by_their_first_line(void **state)
{
    (void)state;
    static const struct {
        const char *format, *text;
        uint32_t block_tokens;
    } forms[] = {
        {"burstgpt",
         "Timestamp,Model,Request tokens,Response tokens,Total tokens,Log Type\n"
         "5,ChatGPT,100,7,107,Conversation log\n6.5,GPT-4,200,8,208,API log\n",
         0},
        {"splitwise",
         "request_id,request_type,application_id,arrival_timestamp,batch_size,prompt_size,token_size\n"
         "0,2,0,0.25,1,100,7\n1,2,0,1.75,1,200,8\n",
         0},
        {"vidur", ",arrived_at,num_prefill_tokens,num_decode_tokens\n0,0.0,100,7\n1,1.5,200.0,8.0\n", 0},
        {"llmservingsim",
         "{\"input_toks\": 100, \"output_toks\": 7, \"arrival_time_ns\": 250000000, \"input_tok_ids\": [1, 2]}\n"
         "{\"input_toks\": 200, \"output_toks\": 8, \"arrival_time_ns\": 1750000000}\n",
         0},
        {"bailian",
         "{\"chat_id\": 159, \"parent_chat_id\": -1, \"timestamp\": 61.114, \"input_length\": 100, \"output_length\": "
         "7, "
         "\"type\": \"text\", \"turn\": 1, \"hash_ids\": [1, 2, 3, 4, 5, 6, 7]}\n"
         "{\"chat_id\": 160, \"parent_chat_id\": 159, \"timestamp\": 62.614, \"input_length\": 200, \"output_length\": "
         "8, \"type\": \"text\", \"turn\": 2, \"hash_ids\": [1, 2, 3, 4, 5, 6, 8, 9, 10, 11, 12, 13, 14]}\n",
         16}};
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
        struct arrival a[4];
        struct error err = {0};
        struct request_source source;
        write_file(forms[i].text);
        expect_ok(trace_open(FILE_NAME, NULL, &source, &err), &err);
        assert_string_equal(trace_reading(&source).format->name, forms[i].format);
        request_source_destroy(&source);
        assert_int_equal(read_all(FILE_NAME, a, 4, &err), 2);
        assert_int_equal(a[0].at, 0);
        assert_int_equal(a[1].at, 1500000000);
        assert_int_equal(a[0].prompt_tokens, 100);
        assert_int_equal(a[1].prompt_tokens, 200);
        assert_int_equal(a[0].output_tokens, 7);
        assert_int_equal(a[1].output_tokens, 8);
        assert_int_equal(a[1].hash_tokens, forms[i].block_tokens);
        assert_int_equal(a[1].hash_count, forms[i].block_tokens ? 13 : 0);
    }
}

static void test_bad_lines_are_named(void **state)
{
    (void)state;
    expect_error("", "is empty, expected a trace");
    expect_error(
        "{\"arrival_s\": 0, \"prompt_tokens\": 4, \"output_tokens\": 1, \"prefix_group\": 1, \"prefix_tokens\": 5}\n",
        ":1:1: expected \"prefix_tokens\", at most \"prompt_tokens\", with a \"prefix_group\" from 1 on");
    expect_error("{\"arrival_s\": 0, \"prompt_tokens\": 4, \"output_tokens\": 1, \"session\": 0}\n",
                 "\"session\", if any, a whole number from 1 to");
    expect_error("{\"timestamp\": 0, \"input_length\": 4, \"output_length\": 1, \"hash_ids\": [0.5]}\n",
                 "\"hash_ids\", if any, as a list of whole numbers");
    expect_error("hello\n", ":1: not a trace format known here (azure, bailian, burstgpt, llmservingsim, mooncake, "
                            "splitwise, stamps, tandem, vidur), found \"hello\"");
    expect_error("arrived_at,num_prefill_tokens,num_decode_tokens\n0,1.5,2\n",
                 ":2:3: expected num_prefill_tokens, a whole number from 0 to 100000000");
    expect_error("arrived_at,num_prefill_tokens,num_decode_tokens\nnan,1,2\n",
                 ":2:1: expected arrived_at, a number from 0 to 9000000000");
    expect_error("arrived_at,num_prefill_tokens,num_decode_tokens\n0,1\n", "has 2 fields, expected the header's 3");
    expect_error("{\"arrival_time_ns\": -1, \"input_toks\": 1, \"output_toks\": 2}\n",
                 "expected \"arrival_time_ns\" in nanoseconds");
    expect_error("TIMESTAMP,ContextTokens,GeneratedTokens\n2023-11-16 18:15:46,12,x\n",
                 ":2:24: expected GeneratedTokens, a whole number up to 100000000");
    expect_error("TIMESTAMP,ContextTokens,GeneratedTokens\n2023-13-16 18:15:46,12,4\n",
                 ":2:1: expected a date that there is");
    expect_error("TIMESTAMP,ContextTokens,GeneratedTokens\n2023-11-16 18:15:46,1,4\n2023-11-16 18:15:45,1,4\n",
                 ":3: arrives 1.000000 s before the line above");
    expect_error("{\"arrival_s\": 0, \"prompt_tokens\": 1.5, \"output_tokens\": 2}\n",
                 ":1:1: expected \"prompt_tokens\"");
    expect_error("{\"arrival_s\": -1, \"prompt_tokens\": 1, \"output_tokens\": 2}\n",
                 "expected \"arrival_s\" in seconds");
    expect_error("{\"timestamp\": 0, \"input_length\": 5, \"output_length\": 5}\n{\"timestamp\": 1, \"input_len\n",
                 ":2:19: expected a JSON object");
}

static void open_workload(const char *text, uint64_t seed, struct request_source *out)
{
    struct json root;
    struct error err = {0};
    expect_ok(json_parse(text, "test", &root, &err), &err);
    expect_ok(workload_create(&root, seed, out, &err), &err);
    cJSON_Delete((cJSON *)(uintptr_t)root.node); /* a source keeps what it needs */
}

static void expect_way_made(const char *workload, const char *path, const char *expected)
{
    char text[300];
    struct json root;
    struct error err = {0};
    snprintf(text, sizeof text, "{\"workload\": %s}", workload);
    expect_ok(json_parse(text, "test", &root, &err), &err);
    workload_make_way(&root, path);
    char *left = cJSON_PrintUnformatted(json_member(&root, "workload").node);
    assert_string_equal(left, expected);
    cJSON_free(left);
    cJSON_Delete((cJSON *)(uintptr_t)root.node);
}

/* What describes generated requests goes with them, also how many: a trace has as many as it has. What holds for any
 * requests stays, and so does all that is there already when a trace is. */
static void test_a_trace_that_is_set_replaces_the_generator(void **state)
{
    (void)state;
    static const char generated[] = "{\"arrivals\":\"poisson\",\"lengths\":\"fixed\",\"requests\":5,\"prefixes\":1,"
                                    "\"clients\":1,\"priorities\":1,\"rate_scale\":2,\"limit\":3}";
    static const char traced[] = "{\"trace\":\"a\",\"format\":\"azure\",\"time_unit\":\"s\",\"block_tokens\":16,"
                                 "\"repeat\":2,\"resample_s\":60,\"requests\":5,\"rate_scale\":2}";
    expect_way_made(generated, "workload.trace", "{\"rate_scale\":2,\"limit\":3}");
    expect_way_made(generated, "workload.arrivals", generated);
    expect_way_made(generated, "workload.requests", generated);
    expect_way_made(traced, "workload.trace", traced);
    expect_way_made(traced, "workload.arrivals", "{\"requests\":5,\"rate_scale\":2}");
    expect_way_made(traced, "workload.lengths", "{\"requests\":5,\"rate_scale\":2}");
    expect_way_made(traced, "cluster.trace", traced);
}

static void test_a_workload_that_contradicts_itself_is_named(void **state)
{
    (void)state;
    struct json root;
    struct error err = {0};
    struct request_source source;
    expect_ok(json_parse("{\"trace\": \"a\", \"arrivals\": \"poisson\"}", "test", &root, &err), &err);
    assert_int_equal(workload_create(&root, 1, &source, &err), -1);
    assert_string_equal(err.text, "test: (top): found \"trace\" and \"arrivals\", expected one: requests come from a "
                                  "trace, or they are generated");
    cJSON_Delete((cJSON *)(uintptr_t)root.node);
}

struct moments {
    double count, gap_mean, gap_cv, prompt_mean, output_mean;
    uint64_t hash;
};

static struct moments moments_of(const char *text, uint64_t seed)
{
    struct request_source source = {0};
    struct moments m = {0};
    struct error err = {0};
    struct arrival a, before = {0};
    double squares = 0;
    open_workload(text, seed, &source);
    while (source.next(source.state, &a, &err) == 1) {
        double gap = sim_time_to_s(a.at - before.at);
        m.gap_mean += gap;
        squares += gap * gap;
        m.prompt_mean += a.prompt_tokens;
        m.output_mean += a.output_tokens;
        m.hash = m.hash * 31 + a.prompt_tokens;
        m.count++;
        before = a;
    }
    request_source_destroy(&source);
    m.gap_mean /= m.count;
    m.gap_cv = sqrt(squares / m.count - m.gap_mean * m.gap_mean) / m.gap_mean;
    m.prompt_mean /= m.count;
    m.output_mean /= m.count;
    return m;
}

/* 200 000 gaps: the mean's standard error is 0.22 % (Poisson) and 0.67 % (CV 3); 5 of them each way. */
static void test_generators_have_the_moments_they_name(void **state)
{
    (void)state;
    struct moments m =
        moments_of("{\"arrivals\": {\"name\": \"poisson\", \"rate_per_s\": 4}, \"requests\": 200000,"
                   "\"lengths\": {\"prompt\": {\"name\": \"lognormal\", \"median\": 100, \"sigma\": 0.5},"
                   "\"output\": {\"name\": \"uniform\", \"min\": 1, \"max\": 9}}}",
                   7);
    assert_true(m.count == 200000);
    assert_true(fabs(m.gap_mean * 4 - 1) < 0.011);
    assert_true(fabs(m.gap_cv - 1) < 0.02);
    assert_true(fabs(m.prompt_mean / (100 * exp(0.125)) - 1) < 0.01);
    assert_true(fabs(m.output_mean - 5) < 0.05);
    m = moments_of("{\"arrivals\": {\"name\": \"gamma\", \"rate_per_s\": 4, \"cv\": 3}, \"requests\": 200000, "
                   "\"lengths\": \"fixed\"}",
                   7);
    assert_true(fabs(m.gap_mean * 4 - 1) < 0.034);
    assert_true(fabs(m.gap_cv - 3) < 0.2);
    m = moments_of(
        "{\"arrivals\": {\"name\": \"deterministic\", \"rate_per_s\": 4}, \"requests\": 9, \"lengths\": \"fixed\"}", 7);
    assert_true(fabs(m.gap_mean * 9 / 8 - 0.25) < 1e-12);
    assert_true(m.prompt_mean == 512);
}

/* 50 a second on average, 80 % more and less every 10 s, the peak at 2.5 s: of 100 000 arrivals in 200 periods, the
 * half period around a peak gets 1/2 + 0.8/π, within five standard errors of 0.14 %; the mean gap is right to five of
 * 0.32 %, and the last arrival is at about 2 000 s. */
static void test_diurnal_arrivals_rise_and_fall_with_the_period(void **state)
{
    (void)state;
    struct request_source source = {0};
    struct error err = {0};
    struct arrival a;
    double around_peaks = 0, count = 0, last = 0;
    open_workload("{\"arrivals\": {\"name\": \"diurnal\", \"rate_per_s\": 50, \"amplitude\": 0.8, \"period_s\": 10,"
                  "\"peak_s\": 2.5}, \"requests\": 100000, \"lengths\": \"fixed\"}",
                  3, &source);
    while (source.next(source.state, &a, &err) == 1) {
        last = sim_time_to_s(a.at);
        around_peaks += fmod(last, 10) < 5;
        count++;
    }
    request_source_destroy(&source);
    assert_true(count == 100000);
    assert_true(fabs(around_peaks / count - (0.5 + 0.8 / 3.14159265)) < 0.007);
    assert_true(fabs(last / 2000 - 1) < 0.016);
}

/* Common random numbers: lengths do not change with the arrival process; they do with the seed. */
static void test_streams_are_independent_and_seeded(void **state)
{
    (void)state;
    static const char poisson[] =
        "{\"arrivals\": {\"name\": \"poisson\"}, \"requests\": 100, \"lengths\": \"lognormal\"}";
    static const char gamma[] = "{\"arrivals\": {\"name\": \"gamma\"}, \"requests\": 100, \"lengths\": \"lognormal\"}";
    uint64_t first = moments_of(poisson, 1).hash;
    assert_true(first == moments_of(gamma, 1).hash);
    assert_true(first == moments_of(poisson, 1).hash);
    assert_true(first != moments_of(poisson, 2).hash);
}

/* Three arrivals at 0, 1, 3 s repeated twice at double rate: the second pass starts one mean gap (3 s / 3
 * arrivals = 1 s) after the last: 4, 5, 7; halved: 0 0.5 1.5 2 2.5 3.5. */
static void test_repeat_and_rate_scale(void **state)
{
    (void)state;
    static const double expected[] = {0, 0.5, 1.5, 2, 2.5, 3.5};
    struct request_source source = {0};
    struct error err = {0};
    struct arrival a;
    write_file("{\"arrival_s\": 5, \"prompt_tokens\": 1, \"output_tokens\": 2}\n"
               "{\"arrival_s\": 6, \"prompt_tokens\": 1, \"output_tokens\": 2}\n"
               "{\"arrival_s\": 8, \"prompt_tokens\": 1, \"output_tokens\": 2}\n");
    open_workload("{\"trace\": \"" FILE_NAME "\", \"repeat\": 2, \"rate_scale\": 2}", 1, &source);
    for (int i = 0; i < 6; i++) {
        assert_int_equal(source.next(source.state, &a, &err), 1);
        assert_int_equal(a.at, sim_time_from_s(expected[i]));
        assert_int_equal(a.max_output_tokens, 2);
    }
    assert_int_equal(source.next(source.state, &a, &err), 0);
    request_source_destroy(&source);
}

/* The figures that the data's own notes give. */
static void test_the_azure_and_mooncake_traces(void **state)
{
    (void)state;
    if (access(DATA "traces/azure_llm_2023_conv.csv", R_OK) != 0)
        skip();
    struct moments m = moments_of("{\"trace\": \"" DATA "traces/azure_llm_2023_conv.csv\"}", 1);
    assert_true(m.count == 19366 && fabs(1 / m.gap_mean - 5.53) < 0.01 && fabs(m.gap_cv - 1.09) < 0.01);
    assert_true(fabs(m.prompt_mean - 1155) < 1 && fabs(m.output_mean - 211) < 1);
    m = moments_of("{\"trace\": \"" DATA "traces/azure_llm_2023_code.csv\"}", 1);
    assert_true(m.count == 8819 && fabs(1 / m.gap_mean - 2.57) < 0.01 && fabs(m.gap_cv - 13) < 0.3);
    m = moments_of("{\"trace\": \"" DATA "traces/mooncake_conversation.jsonl\"}", 1);
    assert_true(m.count == 12031 && fabs(m.prompt_mean - 12035) < 1 && fabs(m.output_mean - 343) < 1);
}

/* 20 000 requests of 500 tokens: the truth; a median of 500 and σ 0.5 of the logarithm; the bucket 401 … 600 in nine of
 * ten, the others alike; never above the longest output. */
static void test_predictors(void **state)
{
    (void)state;
    static const char *const names[] = {"oracle", "noisy", "bucketed", "constant"};
    struct json nothing = {0};
    for (int k = 0; k < 4; k++) {
        struct error err = {0};
        struct param_set params;
        const struct predictor *p = predictor_find(names[k]);
        gsl_rng *rng = random_stream_create(7, "prediction noise");
        expect_ok(param_set_read(&params, p->params, &nothing, &err), &err);
        double below = 0, spread = 0, right = 0;
        for (int i = 0; i < 20000; i++) {
            struct request r = {.output_tokens = 500, .max_output_tokens = 100000};
            predictor_apply(p, &params, &r, rng);
            assert_true(k != 0 || r.predicted_tokens == 500);
            assert_true(k != 3 || r.predicted_tokens == 200);
            below += r.predicted_tokens < 500;
            spread += pow(log(r.predicted_tokens / 500.0), 2) / 20000;
            right += r.predicted_tokens == 600;
        }
        assert_true(k != 1 || (fabs(below / 20000 - 0.5) < 0.02 && fabs(sqrt(spread) - 0.5) < 0.02));
        assert_true(k != 2 || fabs(right / 20000 - 0.9) < 0.01);
        gsl_rng_free(rng);
    }
}

/* A trace of requests at 0, 1, … 9 s with prompts 1 … 10: one mean gap after the last one it is 9.9 s long (9 s and a
 * tenth of that). Stretches of 3.3 s: three drawn, three of them fill it, and every one holds requests of neighbouring
 * numbers as far apart as they were, 9 going over to 0. */
static void test_resampling_keeps_stretches(void **state)
{
    (void)state;
    FILE *out = fopen("build/test_ten.jsonl", "w");
    for (int i = 0; i < 10; i++)
        fprintf(out, "{\"arrival_s\": %d, \"prompt_tokens\": %d, \"output_tokens\": 1}\n", i, i + 1);
    fclose(out);
    double first = -1;
    bool differ = false;
    for (uint64_t seed = 1; seed <= 20; seed++) {
        struct json root;
        struct error err = {0};
        struct request_source source;
        struct arrival a, before = {0};
        expect_ok(json_parse("{\"trace\": \"build/test_ten.jsonl\", \"resample_s\": 3.3}", "test", &root, &err), &err);
        expect_ok(workload_create(&root, seed, &source, &err), &err);
        int count = 0;
        while (source.next(source.state, &a, &err) == 1) {
            assert_true(a.at >= before.at && a.at < sim_time_from_s(9.9));
            bool same_stretch = count > 0 && a.at / sim_time_from_s(3.3) == before.at / sim_time_from_s(3.3);
            if (same_stretch) {
                assert_int_equal(a.prompt_tokens, before.prompt_tokens % 10 + 1);
                assert_int_equal(a.at - before.at, sim_time_from_s(before.prompt_tokens == 10 ? 0.9 : 1));
            }
            before = a;
            count++;
        }
        assert_true(count >= 8 && count <= 12);
        differ = differ || (first >= 0 && (double)before.at != first);
        first = (double)before.at;
        request_source_destroy(&source);
        cJSON_Delete((cJSON *)(uintptr_t)root.node);
    }
    assert_true(differ);
}

/* 10 and 3 tokens, 1.5 and 2.5 times: 15 and 7.5, rounded up. */
static void test_lengths_are_scaled(void **state)
{
    (void)state;
    FILE *out = fopen("build/test_one.jsonl", "w");
    fputs("{\"arrival_s\": 0, \"prompt_tokens\": 10, \"output_tokens\": 3}\n", out);
    fclose(out);
    struct json root;
    struct error err = {0};
    struct request_source source;
    struct arrival a;
    expect_ok(json_parse("{\"trace\": \"build/test_one.jsonl\", \"prompt_scale\": 1.5, \"output_scale\": 2.5}", "test",
                         &root, &err),
              &err);
    expect_ok(workload_create(&root, 1, &source, &err), &err);
    assert_int_equal(source.next(source.state, &a, &err), 1);
    assert_int_equal(a.prompt_tokens, 15);
    assert_int_equal(a.output_tokens, 8);
    assert_int_equal(a.max_output_tokens, 8);
    request_source_destroy(&source);
    cJSON_Delete((cJSON *)(uintptr_t)root.node);
}

/* As often as their weights say, by Pearson's test at one in a million; who has weight 0 never comes. */
static void test_clients_and_priorities_come_by_their_weights(void **state)
{
    (void)state;
    enum { DRAWS = 200000, CLIENTS = 97, PRIORITIES = 7 };
    static const double shares[PRIORITIES] = {3, 0, 1, 0.5, 7, 1, 0};
    double clients[CLIENTS] = {0}, priorities[PRIORITIES] = {0}, all = 0, statistic = 0;
    struct json root;
    struct error err = {0};
    struct population *p;
    struct arrival a = {0};
    expect_ok(json_parse("{\"clients\":{\"count\":97,\"skew\":1.1},\"priorities\":[3,0,1,0.5,7,1,0]}", "test", &root,
                         &err),
              &err);
    expect_ok(population_create(&root, 5, &p, &err), &err);
    for (int i = 0; i < DRAWS; i++) {
        population_apply(p, &a);
        clients[a.origin.client]++;
        priorities[a.origin.priority]++;
    }
    for (size_t i = 0; i < CLIENTS; i++)
        all += pow((double)(i + 1), -1.1);
    for (size_t i = 0; i < CLIENTS; i++) {
        double expected = DRAWS * pow((double)(i + 1), -1.1) / all;
        statistic += (clients[i] - expected) * (clients[i] - expected) / expected;
    }
    assert_true(gsl_cdf_chisq_Q(statistic, CLIENTS - 1) > 1e-6);
    statistic = 0;
    for (size_t i = 0; i < PRIORITIES; i++) {
        double expected = DRAWS * shares[i] / 12.5;
        assert_true(expected > 0 || priorities[i] == 0);
        statistic += expected > 0 ? (priorities[i] - expected) * (priorities[i] - expected) / expected : 0;
    }
    assert_true(gsl_cdf_chisq_Q(statistic, PRIORITIES - 3) > 1e-6);
    population_destroy(p);
    cJSON_Delete((cJSON *)(uintptr_t)root.node);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_resampling_keeps_stretches),
        cmocka_unit_test(test_lengths_are_scaled),
        cmocka_unit_test(test_predictors),
        cmocka_unit_test(test_azure_stamps_with_seven_digits),
        cmocka_unit_test(test_mooncake_milliseconds_and_ties),
        cmocka_unit_test(test_our_jsonl_round_trip_through_gzip),
        cmocka_unit_test(test_bad_lines_are_named),
        cmocka_unit_test(test_forms_are_told_by_their_first_line),
        cmocka_unit_test(test_a_trace_that_is_set_replaces_the_generator),
        cmocka_unit_test(test_a_workload_that_contradicts_itself_is_named),
        cmocka_unit_test(test_generators_have_the_moments_they_name),
        cmocka_unit_test(test_diurnal_arrivals_rise_and_fall_with_the_period),
        cmocka_unit_test(test_streams_are_independent_and_seeded),
        cmocka_unit_test(test_clients_and_priorities_come_by_their_weights),
        cmocka_unit_test(test_repeat_and_rate_scale),
        cmocka_unit_test(test_the_azure_and_mooncake_traces),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

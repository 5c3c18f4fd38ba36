/* SPDX-License-Identifier: MIT */
/* Sessions and agents: requests that wait for others' answers, for tools and delays; and classes of a workload. */
#include "base/random.h"
#include "tests/harness.h"
#include "workloads/content.h"

static const char *write_trace(const char *text)
{
    static const char file[] = "build/test_sessions_trace";
    FILE *out = fopen(file, "w");
    assert_non_null(out);
    fputs(text, out);
    assert_int_equal(fclose(out), 0);
    return file;
}

/* A workload by hand: the test answers its requests itself. */
struct hand {
    struct request_source source;
    struct error err;
};

static void open_workload(struct hand *h, const char *text)
{
    struct json root;
    *h = (struct hand){0};
    expect_ok(json_parse(text, "test", &root, &h->err), &h->err);
    expect_ok(workload_create(&root, 1, &h->source, &h->err), &h->err);
    cJSON_Delete((cJSON *)(uintptr_t)root.node);
}

static void expect_workload_refused(const char *text, const char *words)
{
    struct hand h = {0};
    struct json root;
    struct arrival a;
    expect_ok(json_parse(text, "test", &root, &h.err), &h.err);
    int got = workload_create(&root, 1, &h.source, &h.err);
    if (got == 0) { /* a line further down is at fault */
        while ((got = h.source.next(h.source.state, &a, &h.err)) == 1)
            ;
        request_source_destroy(&h.source);
    }
    assert_int_equal(got, -1);
    if (!strstr(h.err.text, words))
        fail_msg("expected \"%s\" in \"%s\"", words, h.err.text);
    cJSON_Delete((cJSON *)(uintptr_t)root.node);
}

/* The next arrival comes at `at`, with so many prompt tokens. */
static struct arrival expect_next(struct hand *h, sim_time at, uint32_t prompt_tokens)
{
    struct arrival a;
    assert_int_equal(h->source.next(h->source.state, &a, &h->err), 1);
    assert_int_equal(a.prompt_tokens, prompt_tokens);
    assert_int_equal(a.at, at);
    return a;
}

static void expect_wait(struct hand *h)
{
    struct arrival a;
    assert_int_equal(h->source.next(h->source.state, &a, &h->err), SOURCE_WAITS);
}

static void expect_end(struct hand *h)
{
    struct arrival a;
    assert_int_equal(h->source.next(h->source.state, &a, &h->err), 0);
}

static void answer(struct hand *h, const struct arrival *a, sim_time at)
{
    struct request r = {.prompt_tokens = a->prompt_tokens,
                        .output_tokens = a->output_tokens,
                        .generated = a->output_tokens,
                        .origin = a->origin};
    h->source.finished(h->source.state, &r, at);
}

static void refuse(struct hand *h, const struct arrival *a, sim_time at)
{
    struct request r = {.prompt_tokens = a->prompt_tokens, .output_tokens = a->output_tokens, .origin = a->origin};
    h->source.finished(h->source.state, &r, at);
}

#define S(seconds) ((sim_time)((seconds)*1000000000LL))

static const char agent[] = "{\"id\": \"plan\", \"arrival_s\": 1, \"prompt_tokens\": 100, \"output_tokens\": 20}\n"
                            "{\"id\": \"a\", \"after\": \"plan\", \"tool_s\": 3, \"prompt_tokens\": 150, "
                            "\"output_tokens\": 10}\n"
                            "{\"id\": \"b\", \"after\": \"plan\", \"delay_s\": 1, \"tool_s\": 1, \"prompt_tokens\": "
                            "160, \"output_tokens\": 10}\n"
                            "{\"id\": \"join\", \"after\": [\"a\", \"b\"], \"prompt_tokens\": 300, "
                            "\"output_tokens\": 5}\n"
                            "{\"id\": 7, \"arrival_s\": 41, \"prompt_tokens\": 9, \"output_tokens\": 1}\n";

#define TRACE "\"trace\": \"build/test_sessions_trace\""

/* plan comes at 0 and is answered at 2: b comes after a delay of 1 and a tool of 1, at 4, a after a tool of 3, at 5.
 * join comes with the later answer. The other program comes at 41 − 1. */
static void test_requests_wait_for_answers_tools_and_delays(void **state)
{
    (void)state;
    struct hand h;
    write_trace(agent);
    open_workload(&h, "{" TRACE "}");
    struct arrival plan = expect_next(&h, 0, 100);
    struct arrival other = expect_next(&h, S(40), 9);
    answer(&h, &plan, S(2));
    h.source.put_back(h.source.state); /* it has not come yet, and others come before it */
    struct arrival b = expect_next(&h, S(4), 160), a = expect_next(&h, S(5), 150);
    answer(&h, &a, S(6));
    assert_int_equal(expect_next(&h, S(40), 9).origin.session, other.origin.session);
    answer(&h, &b, S(9));
    h.source.put_back(h.source.state);
    struct arrival join = expect_next(&h, S(9), 300);
    other = expect_next(&h, S(40), 9);
    expect_wait(&h);
    answer(&h, &join, S(10));
    answer(&h, &other, S(41));
    expect_end(&h);
    size_t count;
    const struct session_record *records = h.source.sessions(h.source.state, &count);
    assert_int_equal(count, 2);
    assert_int_equal(records[0].turns, 4);
    assert_int_equal(records[0].tools, S(4));
    assert_int_equal(records[0].ended - records[0].began, S(10));
    assert_true(records[0].complete && records[1].complete);
    assert_int_equal(records[1].turns, 1);
    request_source_destroy(&h.source);
}

/* Of a program whose request is refused, what waits for it never comes. */
static void test_a_refused_request_ends_what_waits_for_it(void **state)
{
    (void)state;
    struct hand h;
    size_t count;
    write_trace(agent);
    open_workload(&h, "{" TRACE ", \"lanes\": 1}");
    struct arrival plan = expect_next(&h, 0, 100);
    expect_wait(&h); /* the second program has no lane yet */
    answer(&h, &plan, S(2));
    struct arrival b = expect_next(&h, S(4), 160), a = expect_next(&h, S(5), 150);
    refuse(&h, &b, S(4));
    expect_wait(&h);
    answer(&h, &a, S(8));
    struct arrival other = expect_next(&h, S(8), 9); /* as soon as the lane is free */
    answer(&h, &other, S(9));
    expect_end(&h);
    const struct session_record *records = h.source.sessions(h.source.state, &count);
    assert_false(records[0].complete);
    assert_int_equal(records[0].answered, 2);
    assert_int_equal(records[1].began, S(8));
    request_source_destroy(&h.source);
}

/* Keys of the units of 16 tokens that two arrivals have in common from the first on. */
static uint32_t common_units(const struct arrival *x, uint32_t x_generated, const struct arrival *y)
{
    uint32_t common = 0;
    struct request a = {.prompt_tokens = x->prompt_tokens,
                        .generated = x_generated,
                        .hashes = (uint64_t *)(uintptr_t)x->hashes,
                        .hash_count = x->hash_count,
                        .hash_tokens = x->hash_tokens};
    struct request b = {.prompt_tokens = y->prompt_tokens,
                        .hashes = (uint64_t *)(uintptr_t)y->hashes,
                        .hash_count = y->hash_count,
                        .hash_tokens = y->hash_tokens};
    struct content_unit u, v;
    while (content_unit(&a, common, 16, &u) && content_unit(&b, common, 16, &v) && u.key == v.key)
        common++;
    return common;
}

/* plan was asked 100 tokens and has answered 20: of 120 tokens 7 units of 16 are whole, of its prompt alone 6. a and b
 * go on from plan, and differ from there; join goes on from a, whose prompt and answer of 160 tokens are 10 units. */
static void test_prompts_begin_with_what_their_ancestors_said(void **state)
{
    (void)state;
    struct hand h;
    write_trace(agent);
    open_workload(&h, "{" TRACE "}");
    struct arrival plan = expect_next(&h, 0, 100);
    answer(&h, &plan, S(2));
    struct arrival b = expect_next(&h, S(4), 160), a = expect_next(&h, S(5), 150);
    assert_int_equal(common_units(&plan, 20, &a), 7);
    assert_int_equal(common_units(&plan, 0, &a), 6);
    assert_int_equal(common_units(&plan, 20, &b), 7);
    assert_int_equal(common_units(&a, 10, &b), 7);
    answer(&h, &a, S(6));
    answer(&h, &b, S(6));
    struct arrival join = expect_next(&h, S(6), 300);
    assert_int_equal(common_units(&a, 10, &join), 10);
    assert_int_equal(common_units(&b, 10, &join), 7);
    request_source_destroy(&h.source);
}

/* A chain of two requests and a tool of 2 s between them, in every format that can say so. */
static void test_every_format_says_the_same(void **state)
{
    (void)state;
    static const struct {
        const char *text, *loop;
    } traces[] = {
        {"{\"id\": 1, \"arrival_s\": 5, \"prompt_tokens\": 10, \"output_tokens\": 3}\n"
         "{\"id\": 2, \"after\": 1, \"tool_s\": 2, \"prompt_tokens\": 20, \"output_tokens\": 4}\n",
         ""},
        {"{\"session_id\": \"s\", \"timestamp\": 5000, \"input_length\": 10, \"output_length\": 3}\n"
         "{\"session_id\": \"s\", \"delay\": 2000, \"input_length\": 20, \"output_length\": 4}\n",
         ""},
        {"{\"session_id\": \"s\", \"timestamp\": 5000, \"input_length\": 10, \"output_length\": 3}\n"
         "{\"session_id\": \"s\", \"timestamp\": 7000, \"input_length\": 20, \"output_length\": 4}\n",
         ""},
        {"{\"request_id\": \"a\", \"timestamp\": 5000, \"input_length\": 10, \"output_length\": 3}\n"
         "{\"request_id\": \"b\", \"wait_for\": [\"a\"], \"delay\": 500, \"tool_wait_ms\": 1500, \"input_length\": 20, "
         "\"output_length\": 4}\n",
         ""},
        {"{\"session_id\": \"s\", \"arrival_time_ns\": 5, \"sub_requests\": [{\"input_toks\": 10, \"output_toks\": 3, "
         "\"tool_duration_ns\": 2000000000}, {\"input_toks\": 20, \"output_toks\": 4}]}\n",
         ""},
        {"{\"workflow_id\": \"w\", \"arrival_time_ns\": 5, \"nodes\": [{\"node_id\": \"y\", \"input_toks\": 20, "
         "\"output_toks\": 4}, {\"node_id\": \"x\", \"input_toks\": 10, \"output_toks\": 3}], \"edges\": [{\"src\": "
         "\"x\", \"dst\": \"y\", \"delay_ns\": 2000000000}]}\n",
         ""},
        {"{\"chat_id\": 4, \"parent_chat_id\": -1, \"timestamp\": 5, \"input_length\": 10, \"output_length\": 3}\n"
         "{\"chat_id\": 9, \"parent_chat_id\": 4, \"timestamp\": 7, \"input_length\": 20, \"output_length\": 4}\n",
         ", \"loop\": \"closed\""},
    };
    for (size_t i = 0; i < sizeof traces / sizeof *traces; i++) {
        struct hand h;
        char text[120];
        write_trace(traces[i].text);
        snprintf(text, sizeof text, "{" TRACE "%s}", traces[i].loop);
        open_workload(&h, text);
        struct arrival first = expect_next(&h, 0, 10);
        expect_wait(&h);
        answer(&h, &first, S(4));
        struct arrival second = expect_next(&h, S(6), 20);
        assert_int_equal(second.output_tokens, 4);
        assert_int_equal(second.origin.session, first.origin.session);
        answer(&h, &second, S(7));
        expect_end(&h);
        request_source_destroy(&h.source);
    }
}

/* The node that joins comes 3 s after x, not 1 s after y. */
static void test_edges_of_a_graph_have_delays_of_their_own(void **state)
{
    (void)state;
    struct hand h;
    write_trace("{\"arrival_time_ns\": 0, \"nodes\": [{\"input_toks\": 1, \"output_toks\": 1}, {\"input_toks\": 2, "
                "\"output_toks\": 1}, {\"input_toks\": 3, \"output_toks\": 1}], \"edges\": [{\"src\": 0, \"dst\": 2, "
                "\"delay_ns\": 3000000000}, {\"src\": 1, \"dst\": 2, \"delay_ns\": 1000000000}]}\n");
    open_workload(&h, "{" TRACE "}");
    struct arrival x = expect_next(&h, 0, 1), y = expect_next(&h, 0, 2);
    assert_int_equal(x.origin.session, y.origin.session);
    answer(&h, &x, S(1));
    answer(&h, &y, S(2));
    expect_next(&h, S(4), 3);
    request_source_destroy(&h.source);
}

static void test_what_does_not_go_is_refused(void **state)
{
    (void)state;
    write_trace(agent);
    expect_workload_refused("{" TRACE ", \"loop\": \"open\"}", "expected \"arrival_s\"");
    expect_workload_refused("{" TRACE ", \"output_scale\": 2}", "where requests wait for others");
    expect_workload_refused("{" TRACE ", \"lanes\": 2, \"rate_scale\": 2}", "none with lanes");
    expect_workload_refused("{" TRACE ", \"prefixes\": {\"groups\": 2, \"tokens\": 3}}", "begin with what was said");
    write_trace("{\"id\": 1, \"arrival_s\": 5, \"prompt_tokens\": 10, \"output_tokens\": 3}\n"
                "{\"id\": 2, \"after\": 3, \"prompt_tokens\": 20, \"output_tokens\": 4}\n");
    expect_workload_refused("{" TRACE "}", ":2:1: expected in \"after\" the \"id\" of a line above");
    write_trace("{\"id\": 1, \"arrival_s\": 5, \"prompt_tokens\": 10, \"output_tokens\": 3}\n"
                "{\"id\": 1, \"after\": 1, \"prompt_tokens\": 20, \"output_tokens\": 4}\n");
    expect_workload_refused("{" TRACE "}", "a name that no line above has");
    write_trace("{\"arrival_s\": 5, \"prompt_tokens\": 10, \"output_tokens\": 3}\n"
                "{\"arrival_s\": 6, \"after\": 1, \"prompt_tokens\": 20, \"output_tokens\": 4}\n");
    expect_workload_refused("{" TRACE "}", ":2: waits for other requests; state workload.loop");
    write_trace("{\"arrival_time_ns\": 0, \"nodes\": [{\"input_toks\": 1, \"output_toks\": 1}, {\"input_toks\": 2, "
                "\"output_toks\": 1}], \"edges\": [{\"src\": 0, \"dst\": 1}, {\"src\": 1, \"dst\": 0}]}\n");
    expect_workload_refused("{" TRACE "}", "without a cycle");
    expect_workload_refused("{\"trace\": \"docs/examples/azure_code_1000.csv\", \"loop\": \"closed\"}",
                            "does not say whom requests wait for");
    expect_workload_refused("{\"trace\": \"docs/examples/azure_code_1000.csv\", \"lanes\": 2}", "only with loop");
}

#define FIXED(P)                                                                                                       \
    "\"lengths\": {\"prompt\": {\"name\": \"fixed\", \"tokens\": " #P "}, \"output\": {\"name\": \"fixed\", "          \
    "\"tokens\": 5}}"

/* a: at 0, 2, 4, …; b from 1 on: 1, 4, 7, until before 6. The first class goes first at the same instant. */
static void test_classes_are_merged_in_order_of_time(void **state)
{
    (void)state;
    struct hand h;
    open_workload(&h,
                  "{\"requests\": 6, \"classes\": {"
                  "\"a\": {\"arrivals\": {\"name\": \"deterministic\", \"rate_per_s\": 0.5}, " FIXED(
                      10) "},"
                          "\"b\": {\"arrivals\": {\"name\": \"deterministic\", \"rate_per_s\": 0.33333333333333333}, "
                          "\"priority\": 3, \"from_s\": 1, \"to_s\": 6, " FIXED(20) "}}}");
    struct arrival a = expect_next(&h, 0, 10), b = expect_next(&h, S(1), 20);
    assert_int_equal(a.origin.workload, 1);
    assert_int_equal(a.origin.priority, 0);
    assert_int_equal(b.origin.workload, 2);
    assert_int_equal(b.origin.priority, 3);
    expect_next(&h, S(2), 10);
    expect_next(&h, S(4), 10);
    expect_next(&h, S(4), 20);
    expect_next(&h, S(6), 10);
    expect_end(&h);
    request_source_destroy(&h.source);
}

/* The loop's only client is answered at 3, and comes before the request at 10 that had been given. */
static void test_a_closed_loop_goes_beside_arrivals_at_a_rate(void **state)
{
    (void)state;
    struct hand h;
    open_workload(&h,
                  "{\"requests\": 9, \"classes\": {"
                  "\"open\": {\"arrivals\": {\"name\": \"deterministic\", \"rate_per_s\": 0.1}, " FIXED(
                      10) "},"
                          "\"loop\": {\"arrivals\": {\"name\": \"closed_loop\", \"concurrency\": 1, \"think_s\": 0, "
                          "\"turns\": 2}, \"from_s\": 1, " FIXED(20) "}}}");
    expect_next(&h, 0, 10);
    struct arrival first = expect_next(&h, S(1), 20);
    expect_next(&h, S(10), 10);
    answer(&h, &first, S(3));
    h.source.put_back(h.source.state);
    struct arrival second = expect_next(&h, S(3), 45); /* 20 + 5 that were said, and 20 */
    assert_int_equal(second.origin.session, first.origin.session);
    expect_next(&h, S(10), 10);
    request_source_destroy(&h.source);
}

/* Shares of 3 and 1 of 4000 arrivals: 3000 ± 27 · 3 by a standard deviation of 27. From 500 s on all are the first's.
 */
static void test_classes_share_arrivals(void **state)
{
    (void)state;
    struct hand h;
    struct arrival a;
    int counts[2] = {0}, late[2] = {0};
    open_workload(&h,
                  "{\"requests\": 8000, \"arrivals\": {\"name\": \"deterministic\", \"rate_per_s\": 8}, \"classes\": "
                  "{\"a\": {\"share\": 3, " FIXED(10) "}, \"b\": {\"share\": 1, \"to_s\": 500, " FIXED(20) "}}}");
    for (int i = 0; i < 8000; i++) {
        assert_int_equal(h.source.next(h.source.state, &a, &h.err), 1);
        assert_int_equal(a.at, (sim_time)i * S(1) / 8);
        assert_int_equal(a.prompt_tokens, 10 * a.origin.workload);
        (a.at < S(500) ? counts : late)[a.origin.workload - 1]++;
    }
    expect_end(&h);
    assert_true(abs(counts[0] - 3000) < 82);
    assert_int_equal(counts[0] + counts[1], 4000);
    assert_int_equal(late[0], 4000);
    assert_int_equal(late[1], 0);
    request_source_destroy(&h.source);
}

static void test_classes_that_do_not_go_are_refused(void **state)
{
    (void)state;
    expect_workload_refused("{\"classes\": {\"a\": {\"share\": 1, " FIXED(10) "}}}", "no \"arrivals\" to share");
    expect_workload_refused("{\"classes\": {}}", "1 to 16 classes");
    expect_workload_refused("{\"arrivals\": {\"name\": \"poisson\", \"rate_per_s\": 1}, \"classes\": {\"a\": {"
                            "\"arrivals\": \"at_once\", " FIXED(10) "}}}",
                            "no class has a \"share\"");
    expect_workload_refused("{\"classes\": {\"a\": {\"arrivals\": \"at_once\", \"from_s\": 3, \"to_s\": 2, " FIXED(
                                10) "}}}",
                            "a time after \"from_s\"");
    expect_workload_refused("{\"arrivals\": {\"name\": \"closed_loop\", \"concurrency\": 1}, \"classes\": {\"a\": {"
                            "\"share\": 1, " FIXED(10) "}}}",
                            "a closed loop belongs in a class");
}

/* All that requests were and when they got what, as one number. */
static void note_all(void *state, struct station_id station, const struct request *r)
{
    uint64_t *hash = state;
    const uint64_t told[] = {r->id,
                             (uint64_t)r->arrival,
                             (uint64_t)r->first_token,
                             (uint64_t)r->last_token,
                             r->cached_tokens,
                             station.index,
                             r->origin.session,
                             r->origin.turn};
    for (size_t i = 0; i < sizeof told / sizeof *told; i++)
        *hash = random_mix(*hash + told[i]);
}

static uint64_t hash_of(const char *text, bool step)
{
    uint64_t hash = 0;
    struct error err = {0};
    struct simulation *s = open_simulation(text);
    const struct observer observer = {.state = &hash, .finished = note_all};
    const struct simulation_options o = {.observers = &observer, .step = step};
    expect_ok(simulation_run(s, &o, &err), &err);
    assert_true(s->summary.totals.finished > 100);
    simulation_close(s);
    return hash;
}

/* Random programs of up to eight requests, which fan out and join. */
static void write_programs(unsigned programs)
{
    FILE *out = fopen("build/test_sessions_trace", "w");
    uint64_t luck = 5;
    assert_non_null(out);
    for (unsigned p = 0; p < programs; p++) {
        unsigned steps = 1 + (unsigned)((luck = random_mix(luck)) % 8);
        fprintf(out, "{\"id\": \"%u.0\", \"arrival_s\": %u.5, \"prompt_tokens\": %u, \"output_tokens\": %u}\n", p,
                p / 4, 300 + (unsigned)(luck >> 20) % 900, 5 + (unsigned)(luck >> 40) % 90);
        for (unsigned i = 1; i < steps; i++) {
            luck = random_mix(luck);
            unsigned x = (unsigned)(luck >> 8) % i, y = (unsigned)(luck >> 16) % i;
            fprintf(out, "{\"id\": \"%u.%u\", \"after\": [\"%u.%u\"", p, i, p, x);
            if (y != x)
                fprintf(out, ", \"%u.%u\"", p, y);
            fprintf(out, "], \"tool_s\": 0.%03u, \"prompt_tokens\": %u, \"output_tokens\": %u}\n",
                    (unsigned)(luck >> 24) % 1000, 600 + 300 * i, 5 + (unsigned)(luck >> 40) % 90);
        }
    }
    assert_int_equal(fclose(out), 0);
}

/* Answers release requests in the middle of others' stretches: nothing differs from one iteration at a time. */
static void test_fast_forward_is_exact(void **state)
{
    (void)state;
    static const char *const clusters[] = {
        "{}",
        "{\"replicas\": 3, \"routing\": \"prefix_affinity\"}",
        "{\"replicas\": 2, \"failures\": {\"mtbf_s\": 9, \"mttr_s\": 2, \"requests\": \"lost\"}, \"admission\": "
        "{\"give_up_s\": 0.5}}",
        "{\"pools\": {\"prefill\": {\"replicas\": 1}, \"decode\": {\"replicas\": 1}}, \"flow\": [\"prefill\", "
        "\"decode\"]}",
        "{\"pools\": {\"tools\": {\"kind\": \"delay\", \"service_s\": 0.05, \"servers\": 2}, \"serve\": {\"replicas\": "
        "2}}, "
        "\"flow\": [\"tools\", \"serve\"]}",
    };
    static const char *const workloads[] = {
        TRACE,
        TRACE ", \"lanes\": 7",
        "\"requests\": 600, \"classes\": {\"agents\": {" TRACE ", \"from_s\": 3}, \"loop\": {\"arrivals\": {\"name\": "
        "\"closed_loop\", \"concurrency\": 3, \"turns\": 3, \"think_s\": 0.2}, " FIXED(
            70) "}, \"open\": {\"arrivals\": "
                "{\"name\": \"poisson\", \"rate_per_s\": 5}, " FIXED(333) "}}",
    };
    write_programs(60);
    for (size_t c = 0; c < sizeof clusters / sizeof *clusters; c++)
        for (size_t w = 0; w < sizeof workloads / sizeof *workloads; w++) {
            char text[1600];
            snprintf(text, sizeof text,
                     "{\"model\": \"llama-3.1-8b\", \"device\": \"rtx-4090\", \"workload\": {%s}, \"cluster\": %s, "
                     "\"policy\": {\"batching\": \"unified_budget\"%s}}",
                     workloads[w], clusters[c], c == 3 ? "" : ", \"prefix_caching\": true");
            assert_int_equal(hash_of(text, false), hash_of(text, true));
        }
}

/* One class's limit is missed, and the other's, on the same metric, is met. */
static void test_an_slo_names_a_class_of_the_workload(void **state)
{
    (void)state;
    struct run_summary r;
    run_scenario(
        "{\"model\": \"llama-3.1-8b\", \"device\": \"h100-sxm\", \"workload\": {\"requests\": 40, \"classes\": {"
        "\"short\": {\"arrivals\": {\"name\": \"deterministic\", \"rate_per_s\": 1}, " FIXED(
            10) "}, "
                "\"long\": {\"arrivals\": {\"name\": \"deterministic\", \"rate_per_s\": 1}, \"from_s\": 0.5, " FIXED(
                    9000) "}}}, \"slo\": {\"classes\": {\"short\": {\"ttft_s\": {\"max\": 0.05}}, \"long\": "
                          "{\"ttft_s\": "
                          "{\"max\": 0.05}}}}}",
        &r);
    assert_true(r.slo.limits[0].met);
    assert_false(r.slo.limits[1].met);
    assert_int_equal(r.totals.finished, 40);
    expect_scenario_refused("{\"model\": \"llama-3.1-8b\", \"device\": \"h100-sxm\", \"workload\": {\"arrivals\": "
                            "\"at_once\", " FIXED(
                                10) "}, \"slo\": {\"classes\": {\"other\": {\"ttft_s\": {\"max\": 1}}}}}",
                            "the name of one of the workload's classes");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_requests_wait_for_answers_tools_and_delays),
        cmocka_unit_test(test_a_refused_request_ends_what_waits_for_it),
        cmocka_unit_test(test_prompts_begin_with_what_their_ancestors_said),
        cmocka_unit_test(test_every_format_says_the_same),
        cmocka_unit_test(test_edges_of_a_graph_have_delays_of_their_own),
        cmocka_unit_test(test_what_does_not_go_is_refused),
        cmocka_unit_test(test_classes_are_merged_in_order_of_time),
        cmocka_unit_test(test_a_closed_loop_goes_beside_arrivals_at_a_rate),
        cmocka_unit_test(test_classes_share_arrivals),
        cmocka_unit_test(test_classes_that_do_not_go_are_refused),
        cmocka_unit_test(test_fast_forward_is_exact),
        cmocka_unit_test(test_an_slo_names_a_class_of_the_workload),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: MIT */
/* Papers as data: figures and verdicts by hand, what is read strictly, and rows that theory can check. */
#include <math.h>
#include <sys/stat.h>

#include "tests/harness.h"
#include "validation/paper_run.h"

static const char folder[] = "build/test_papers.one";

static void write_paper(const char *text)
{
    char path[200];
    mkdir(folder, 0755);
    snprintf(path, sizeof path, "%s/paper.json", folder);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

static void assert_near(double found, double expected, double relative)
{
    if (!(fabs(found - expected) <= relative * fabs(expected)))
        fail_msg("expected %.12g, found %.12g", expected, found);
}

/* 6 ± 25 % of the effect of 5: 4.75 to 7.25; the direction from 1 + 0.5 on. A share of 0.4 less: 0.3 to 0.5. At least
 * 2: its effect is 1, so 1.1 has the direction. Seconds have no neutral: 3 ± 25 % is 2.25 to 3.75, and nothing else is
 * right. Where something stands in, the best is the direction. */
static void test_verdicts_by_hand(void **state)
{
    (void)state;
    const struct paper_claim six = {.low = 6, .high = 6, .band = 0.25, .neutral = 1},
                             less = {.low = 0.4, .high = 0.4, .band = 0.25, .neutral = 0},
                             half = {.low = 0.5, .high = 0.5, .band = 0.25, .neutral = 1},
                             two = {.low = 2, .high = INFINITY, .neutral = 1},
                             range = {.low = 1.5, .high = 2, .band = 0.2, .neutral = 1},
                             seconds = {.low = 3, .high = 3, .band = 0.25, .neutral = NAN},
                             most = {.low = -INFINITY, .high = 0.03, .neutral = NAN},
                             stand_in = {.low = 6, .high = 6, .band = 0.25, .neutral = 1, .stand_in = "x"};
    const struct {
        const struct paper_claim *claim;
        double figure;
        enum paper_verdict verdict;
    } cases[] = {{&six, 4.76, PAPER_REPRODUCED},         {&six, 7.24, PAPER_REPRODUCED},
                 {&six, 7.26, PAPER_DIRECTION},          {&six, 4.74, PAPER_DIRECTION},
                 {&six, 1.51, PAPER_DIRECTION},          {&six, 1.49, PAPER_NOT_REPRODUCED},
                 {&six, 0.5, PAPER_NOT_REPRODUCED},      {&six, NAN, PAPER_NOT_REPRODUCED},
                 {&six, INFINITY, PAPER_NOT_REPRODUCED}, {&less, 0.31, PAPER_REPRODUCED},
                 {&less, 0.29, PAPER_DIRECTION},         {&less, -0.1, PAPER_NOT_REPRODUCED},
                 {&half, 0.6, PAPER_REPRODUCED},         {&half, 0.7, PAPER_DIRECTION},
                 {&half, 0.96, PAPER_NOT_REPRODUCED},    {&two, 2, PAPER_REPRODUCED},
                 {&two, 1.2, PAPER_DIRECTION},           {&two, 1.05, PAPER_NOT_REPRODUCED},
                 {&range, 1.41, PAPER_REPRODUCED},       {&range, 2.19, PAPER_REPRODUCED},
                 {&range, 2.21, PAPER_DIRECTION},        {&range, 1.06, PAPER_DIRECTION},
                 {&seconds, 2.3, PAPER_REPRODUCED},      {&seconds, 2.2, PAPER_NOT_REPRODUCED},
                 {&most, 0.03, PAPER_REPRODUCED},        {&most, 0.031, PAPER_NOT_REPRODUCED},
                 {&stand_in, 6, PAPER_DIRECTION},        {&stand_in, 1.2, PAPER_NOT_REPRODUCED}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        if (paper_judge(cases[i].claim, cases[i].figure) != cases[i].verdict)
            fail_msg("case %zu, %g: expected %s, found %s", i, cases[i].figure, paper_verdict_names[cases[i].verdict],
                     paper_verdict_names[paper_judge(cases[i].claim, cases[i].figure)]);
}

static const char scenario[] =
    "\"scenario\": {\"model\": \"ideal\", \"device\": \"ideal-server\", \"policy\": {\"batching\": {\"name\": "
    "\"continuous\", \"max_sequences\": 1}, \"kv_blocks\": 100000}, \"output\": {\"warmup\": \"none\"}, \"workload\": "
    "{\"arrivals\": \"at_once\", \"requests\": 2, \"lengths\": {\"prompt\": {\"name\": \"fixed\", \"tokens\": 100}, "
    "\"output\": {\"name\": \"fixed\", \"tokens\": 1}}}}, \"runs\": {\"short\": {}, \"long\": "
    "{\"workload.lengths.prompt.tokens\": 300}}";

static void run_claims(const char *claims, struct paper *p, struct paper_result *r)
{
    char text[4000];
    struct error err = {0};
    const struct paper_options o = {.threads = 1};
    snprintf(
        text, sizeof text,
        "{\"title\": \"t\", \"source\": \"s\", \"year\": 2024, \"setting\": {\"stated\": [], \"assumed\": []}, %s, "
        "\"claims\": [%s]}",
        scenario, claims);
    write_paper(text);
    expect_ok(paper_load(folder, p, &err), &err);
    expect_ok(paper_run(p, &o, r, &err), &err);
}

/* 10 ns a prompt token: two prompts of 100 take 2 µs, of 300 take 6 µs; the second one waits 1 µs, and has its token
 * after 2. Of 100, 200 and 400 tokens: makespans over the long one's 6 µs are 1/3, 2/3 and 4/3. */
static void test_figures_by_hand(void **state)
{
    (void)state;
    struct paper p;
    struct paper_result r;
    run_claims(
        "{\"says\": \"a\", \"claim\": 3, \"band\": 0.1, \"figure\": {\"ratio\": [{\"value\": \"makespan_s\", "
        "\"of\": \"long\"}, {\"value\": \"makespan_s\", \"of\": \"short\"}]}},"
        "{\"says\": \"b\", \"claim\": 0.5, \"band\": 0.1, \"figure\": {\"less\": [{\"value\": \"makespan_s\", "
        "\"of\": \"short\"}, {\"value\": \"makespan_s\", \"of\": \"long\"}]}},"
        "{\"says\": \"c\", \"claim\": 1e-6, \"band\": 0.1, \"figure\": {\"product\": [{\"value\": \"ttft_s.max\", "
        "\"of\": \"short\"}, 0.5]}},"
        "{\"says\": \"d\", \"claim\": 1, \"band\": 0.1, \"neutral\": 0, \"figure\": {\"ratio\": [{\"value\": "
        "\"makespan_s\", \"of\": \"short\"}, {\"value\": \"makespan_s\", \"of\": \"long\"}]}, \"vary\": "
        "{\"workload.lengths.prompt.tokens\": [100, 200, 400]}, \"take\": \"mean\"},"
        "{\"says\": \"e\", \"claim\": 2e-6, \"band\": 0.1, \"figure\": {\"mean\": [{\"value\": \"makespan_s\", "
        "\"of\": \"short\"}, {\"least\": [{\"value\": \"makespan_s\", \"of\": \"long\"}, 1e-6, {\"sum\": [1, "
        "{\"difference\": [4, 3]}]}]}, {\"most\": [3e-6, 1e-6]}]}}",
        &p, &r);
    assert_near(r.claims[0].figure, 3, 1e-9);
    assert_near(r.claims[1].figure, 1 - 2.0 / 6, 1e-9);
    assert_near(r.claims[2].figure, 1e-6, 1e-9);
    assert_near(r.claims[3].figure, 1, 1e-9); /* the setting is both runs' */
    assert_near(r.claims[3].cells[2], 1, 1e-9);
    assert_near(r.claims[4].figure, (2e-6 + 1e-6 + 3e-6) / 3, 1e-9);
    assert_int_equal(r.claims[0].verdict, PAPER_REPRODUCED);
    assert_int_equal(r.claims[1].verdict, PAPER_DIRECTION);
    assert_int_equal(r.verdict, PAPER_DIRECTION);
    assert_int_equal(r.runs, 4); /* short and long, both of 200 and of 400, of which each is asked for twice */
    paper_release(&p);
}

/* A batch server of one: TTFT of the second of two prompts of 100 is 2 µs. With a limit of 8 µs on the largest one,
 * limits may be 0.25 times as wide. */
static void test_tightest_slo_by_hand(void **state)
{
    (void)state;
    struct paper p;
    struct paper_result r;
    run_claims(
        "{\"says\": \"a\", \"claim\": 0.25, \"band\": 0.02, \"figure\": {\"tightest_slo\": \"short\"}, \"vary\": "
        "{\"slo\": [{\"ttft_s\": {\"max\": 8e-6}}]}}",
        &p, &r);
    assert_true(r.claims[0].figure >= 0.25 && r.claims[0].figure <= 0.25 * 1.01);
    assert_int_equal(r.verdict, PAPER_REPRODUCED);
    paper_release(&p);
}

/* By themselves both prompts of 100 take 1 µs; together the second one takes 2, the mean is 1.5. */
static void test_requests_by_themselves(void **state)
{
    (void)state;
    struct paper p;
    struct paper_result r;
    run_claims(
        "{\"says\": \"a\", \"claim\": 1e-6, \"band\": 0.001, \"figure\": {\"value\": \"ideal_e2e_s\", \"of\": "
        "\"short\"}},"
        "{\"says\": \"b\", \"claim\": 1.5, \"band\": 0.001, \"figure\": {\"ratio\": [{\"value\": \"e2e_s.mean\", "
        "\"of\": \"short\"}, {\"value\": \"ideal_e2e_s\", \"of\": \"short\"}]}}",
        &p, &r);
    assert_near(r.claims[0].figure, 1e-6, 1e-12);
    assert_near(r.claims[1].figure, 1.5, 1e-12);
    paper_release(&p);
}

/* M/M/1 at load 0.8, 1 ms of service: a wait of 4 ms by Pollaczek and Khinchine. */
static void test_theory_of_a_run(void **state)
{
    (void)state;
    struct paper p;
    struct paper_result r;
    run_claims(
        "{\"says\": \"a\", \"claim\": 1, \"band\": 0.05, \"neutral\": 0, \"figure\": {\"ratio\": [{\"value\": "
        "\"wait_s\", \"of\": \"short\"}, {\"value\": \"mg1_wait_s\", \"of\": \"short\"}]}, \"vary\": "
        "{\"workload.arrivals\": [{\"name\": \"poisson\", \"rate_per_s\": 800}], \"workload.requests\": [200000], "
        "\"workload.lengths.prompt\": [{\"name\": \"exponential\", \"mean\": 100000}], \"policy.kv_blocks\": "
        "[1000000]}},"
        "{\"says\": \"b\", \"claim\": 0.004, \"band\": 0.1, \"figure\": {\"value\": \"wait_s\", \"of\": "
        "\"short\"}, \"vary\": {\"workload.arrivals\": [{\"name\": \"poisson\", \"rate_per_s\": 800}], "
        "\"workload.requests\": [200000], \"workload.lengths.prompt\": [{\"name\": \"exponential\", \"mean\": "
        "100000}], \"policy.kv_blocks\": [1000000]}}",
        &p, &r);
    assert_int_equal(r.verdict, PAPER_REPRODUCED);
    assert_int_equal(r.runs, 1);
    paper_release(&p);
}

static const struct {
    const char *paper, *text;
} wrong[] = {
    {"[]", ": expected an object: a paper, found []"},
    {"{\"title\": \"t\"}", "source: is missing, expected a string"},
    {"{\"title\": \"t\", \"source\": \"s\", \"year\": 2024, \"setting\": {}, \"claim\": []}", "unknown key \"claim\""},
    {"{\"title\": \"t\", \"source\": \"s\", \"year\": 2024, \"setting\": {\"stated\": [1]}}",
     "setting.stated[0]: expected a sentence, found 1"},
    {"{\"title\": \"t\", \"source\": \"s\", \"year\": 2024, \"out_of_scope\": \"w\", \"claims\": []}",
     "unknown key \"claims\""},
};

static const struct {
    const char *claim, *text;
} wrong_claims[] = {
    {"{}", "claims[0].says: is missing, expected a string"},
    {"{\"says\": \"a\", \"claim\": 2}", "claims[0].band: is missing, expected a number"},
    {"{\"says\": \"a\", \"claim\": [2, 1], \"band\": 0.1}",
     "claims[0].claim: expected a number, a list of a smaller and a larger one, or {\"at_least\": NUMBER}"},
    {"{\"says\": \"a\", \"claim\": 2, \"band\": 0.1}",
     "claims[0].figure: is missing, expected a figure, or a \"why\" next to it that says why none can be"},
    {"{\"says\": \"a\", \"claim\": 2, \"band\": 0.1, \"figure\": {\"value\": \"makespan\", \"of\": \"short\"}}",
     "claims[0].figure.value: expected a run's value, such as makespan_s or ttft_s.p99 (docs/papers.md), found "
     "\"makespan\""},
    {"{\"says\": \"a\", \"claim\": 2, \"band\": 0.1, \"figure\": {\"largest_rate\": \"shrt\"}}",
     "claims[0].figure.largest_rate: expected the name of one of the paper's runs, found \"shrt\""},
    {"{\"says\": \"a\", \"claim\": 2, \"band\": 0.1, \"figure\": {\"ratio\": [1]}}",
     "claims[0].figure.ratio: expected a list of two figures"},
    {"{\"says\": \"a\", \"claim\": 2, \"band\": 0.1, \"figure\": {\"root\": [1]}}",
     "claims[0].figure: expected a number, {\"value\": NAME, \"of\": RUN}"},
    {"{\"says\": \"a\", \"claim\": 2, \"band\": 0.1, \"figure\": 1, \"vary\": {\"seed\": [1, 2], \"name\": [\"a\"]}}",
     "claims[0].vary.name: expected as many values as the first path has"},
    {"{\"says\": \"a\", \"claim\": 2, \"band\": 0.1, \"figure\": 1, \"take\": \"max\"}",
     "claims[0].take: expected \"most\", \"least\" or \"mean\""},
    {"{\"says\": \"a\", \"claim\": {\"at_least\": 1, \"at_most\": 2}, \"figure\": 1}",
     "claims[0].claim: expected a number"},
};

static void assert_refused(const char *text, const char *sentence)
{
    struct paper p;
    struct error err = {0};
    write_paper(text);
    assert_int_equal(paper_load(folder, &p, &err), -1);
    assert_int_equal(err.code, ERROR_INPUT);
    if (!strstr(err.text, sentence) || !strstr(err.text, "test_papers.one/paper.json: "))
        fail_msg("expected \"%s\", found \"%s\"", sentence, err.text);
}

static void test_what_is_wrong_is_named(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        assert_refused(wrong[i].paper, wrong[i].text);
    for (size_t i = 0; i < sizeof wrong_claims / sizeof *wrong_claims; i++) {
        char text[4000];
        snprintf(
            text, sizeof text,
            "{\"title\": \"t\", \"source\": \"s\", \"year\": 2024, \"setting\": {\"stated\": [], \"assumed\": []}, "
            "%s, \"claims\": [%s]}",
            scenario, wrong_claims[i].claim);
        assert_refused(text, wrong_claims[i].text);
    }
}

/* A run that cannot be says which one it was. */
static void test_runs_that_cannot_be_are_named(void **state)
{
    (void)state;
    struct paper p;
    struct paper_result r;
    struct error err = {0};
    const struct paper_options o = {.threads = 1};
    write_paper("{\"title\": \"t\", \"source\": \"s\", \"year\": 2024, \"setting\": {\"stated\": [], \"assumed\": []}, "
                "\"scenario\": {\"model\": \"ideal\"}, \"runs\": {\"one\": {}}, \"claims\": [{\"says\": \"a\", "
                "\"claim\": 1, \"band\": 0.1, \"figure\": {\"value\": \"makespan_s\", \"of\": \"one\"}}]}");
    expect_ok(paper_load(folder, &p, &err), &err);
    assert_int_equal(paper_run(&p, &o, &r, &err), -1);
    assert_non_null(strstr(err.text, "paper test_papers.one, run one: "));
    paper_release(&p);
}

/* Every shipped row can be read, its scenarios can be made, and the cause is named wherever no figure is. */
static void test_every_shipped_paper_is_whole(void **state)
{
    (void)state;
    size_t count = 0;
    for (; paper_at(count); count++) {
        struct paper p;
        struct error err = {0};
        expect_ok(paper_load(paper_at(count), &p, &err), &err);
        for (const cJSON *run = p.runs.node ? p.runs.node->child : NULL; run; run = run->next) {
            char *text = paper_scenario(&p, run->string, NULL, 0, &err);
            expect_ok(text ? 0 : -1, &err);
            assert_null(strstr(text, "\"./"));
            cJSON_free(text);
        }
        for (size_t i = 0; i < p.claim_count; i++)
            if (isfinite(p.claims[i].low) && isfinite(p.claims[i].high) && p.claims[i].low != 1)
                assert_true(p.claims[i].band == 0.25); /* one band for all, so that none can be fitted */
        paper_release(&p);
    }
    assert_true(count >= 75);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_verdicts_by_hand),
        cmocka_unit_test(test_figures_by_hand),
        cmocka_unit_test(test_tightest_slo_by_hand),
        cmocka_unit_test(test_requests_by_themselves),
        cmocka_unit_test(test_theory_of_a_run),
        cmocka_unit_test(test_what_is_wrong_is_named),
        cmocka_unit_test(test_runs_that_cannot_be_are_named),
        cmocka_unit_test(test_every_shipped_paper_is_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

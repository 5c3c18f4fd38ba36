/* SPDX-License-Identifier: MIT */
/* What points, capacities and plans conclude from trials, with trials whose outcome is written down instead of
 * simulated; and plans against the enumeration of all that could be bought. */
#include <gsl/gsl_rng.h>
#include <math.h>

#include "base/random.h"
#include "planner/answer.h"
#include "planner/rerun.h"
#include "tests/harness.h"

/* Answers a trial at once. */
struct oracle {
    double (*margin)(const struct oracle *o, const struct trial *t, const cJSON *scenario);
    const double *list; /* of margins, by seed; wraps around at `length` */
    size_t length;
    double value;         /* what else a margin is made of */
    double capacity[3];   /* requests/s of a unit of each device */
    double ceiling[3];    /* no margin is above it: more units do not help */
    double steepness;     /* of the margin over the load */
    double spread;        /* of the margins of different seeds, the same for every size */
    double unserved[3];   /* share of requests */
    double held_share[3]; /* of the units, held on average; 0: all, all the time */
    uint64_t most_loaded; /* the largest load at which the trial can be run at all; 0: any */
};

static const struct planner_watch nobody = {0};
static const char *const devices[] = {"ideal-server", "tests/data/ideal2.json", "tests/data/ideal4.json"};

static size_t device_of(const cJSON *scenario)
{
    const char *name = cJSON_GetObjectItemCaseSensitive(scenario, "device")->valuestring;
    size_t i = 0;
    while (strcmp(devices[i], name) != 0)
        i++;
    return i;
}

static double replicas_of(const cJSON *scenario)
{
    return cJSON_GetObjectItemCaseSensitive(cJSON_GetObjectItemCaseSensitive(scenario, "cluster"), "replicas")
        ->valuedouble;
}

static double rate_scale_of(const cJSON *scenario)
{
    return cJSON_GetObjectItemCaseSensitive(cJSON_GetObjectItemCaseSensitive(scenario, "workload"), "rate_scale")
        ->valuedouble;
}

/* Of requests at `rate_scale` a second. */
static void answer(const struct oracle *o, const struct trial *t, struct trial_result *out)
{
    cJSON *scenario = cJSON_Parse(t->scenario);
    *out = (struct trial_result){.arrived = 1000, .finished = 1000, .duration_s = 1};
    if (o->most_loaded && t->scales[SCALE_RATE] > (double)o->most_loaded) {
        *out = (struct trial_result){.failed = true, .code = ERROR_INPUT};
        snprintf(out->message, sizeof out->message, "more than can be read");
        cJSON_Delete(scenario);
        return;
    }
    out->margin = o->margin(o, t, scenario);
    snprintf(out->binding, sizeof out->binding, "ttft_s p99");
    if (o->capacity[0] > 0) {
        size_t device = device_of(scenario);
        double n = replicas_of(scenario), rate = rate_scale_of(scenario) * t->scales[SCALE_RATE];
        out->pool_count = 1;
        out->held[0] =
            (struct held_gpus){.gpus = n, .mean = n * (o->held_share[device] > 0 ? o->held_share[device] : 1)};
        out->metrics[METRIC_TTFT][STAT_P99] = 1 / n;
        out->attainment = 1;
        snprintf(out->held[0].device, sizeof out->held[0].device, "%s", devices[device]);
        out->requests_per_s = fmin(rate, n * o->capacity[device]);
        out->overloaded = rate > 1.05 * n * o->capacity[device];
        out->margin = out->overloaded ? fmin(out->margin, -0.05) : out->margin;
        out->finished = (uint64_t)(1000 * (1 - o->unserved[device]));
        snprintf(out->reason, sizeof out->reason, "%s", o->unserved[device] > 0 ? "too long" : "");
    }
    cJSON_Delete(scenario);
}

static int answer_all(void *self, const struct trial *trials, size_t count, struct trial_result *results,
                      int (*arrived)(void *state, size_t index, struct error *err), void *state, struct error *err)
{
    for (size_t i = 0; i < count; i++) {
        answer(self, &trials[i], &results[i]);
        if (arrived && arrived(state, i, err))
            return -1;
    }
    return 0;
}

static struct trial_pool ask(struct oracle *o)
{
    return (struct trial_pool){.run = answer_all, .self = o, .workers = 1, .watch = &nobody};
}

static double listed(const struct oracle *o, const struct trial *t, const cJSON *scenario)
{
    (void)scenario;
    return o->list[t->seed % o->length];
}

/* A point whose replications have these margins, at most 8 of them. */
static struct point point_of(struct oracle *o, const double *margins, size_t count, struct trial_pool *pool)
{
    struct point p;
    *o = (struct oracle){.margin = listed, .list = margins, .length = count};
    *pool = ask(o);
    point_init(&p, "{}", NULL, 0);
    return p;
}

static const struct effort eight = {.confidence = 0.95, .most = 8};

/* Two looks, at 4 and at 8, spend 5 % · 4/12 and 5 % · 8/12. a − d twice and a + d twice: mean a, standard error
 * d · √(4/3) / 2 = 0.57735 d. t(1 − 0.05/6, 3) = 4.8567 wants a/d > 2.8040 at 4; t(1 − 0.05/3, 7) = 2.6419, with a
 * standard error of d · √(8/7) / √8 = 0.37796 d (Johnson's terms are 0, there is no skewness), a/d > 0.99853 at 8. */
static void test_looks_share_the_error(void **state)
{
    (void)state;
    static const struct {
        double mean;
        size_t replications;
        enum verdict verdict;
    } cases[] = {{0.2805, 4, HOLDS},     {0.2803, 8, HOLDS},      {-0.2805, 4, BREAKS}, {0.0999, 8, HOLDS},
                 {0.0998, 8, UNDECIDED}, {-0.0998, 8, UNDECIDED}, {-0.0999, 8, BREAKS}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        double a = cases[i].mean, d = 0.1;
        const double margins[] = {a - d, a + d, a - d, a + d, a - d, a + d, a - d, a + d};
        struct oracle o;
        struct trial_pool pool;
        struct error err = {0};
        struct point p = point_of(&o, margins, 8, &pool), *list = &p;
        expect_ok(points_decide(&list, 1, &eight, &pool, &err), &err);
        if (p.verdict != cases[i].verdict || p.count != cases[i].replications)
            fail_msg("mean %g: verdict %d after %zu", a, p.verdict, p.count);
        point_release(&p);
    }
}

/* What holds after 4 replications (0.3 and 0.31) has 8 in the end. Where the others miss, the mean margin is
 * (4 · 0.305 − 4 · 0.3) / 8 = 0.0025, give or take 0.27, which is not shown to be above 0. Once confirmed, no later
 * look decides otherwise. */
static void test_what_is_recommended_is_confirmed(void **state)
{
    (void)state;
    const double flat[] = {0.3, 0.31, 0.3, 0.31, -0.3, -0.3, -0.3, -0.3};
    const double good[] = {0.3, 0.31, 0.3, 0.31, 0.2, 0.2, 0.2, 0.2};
    const double *const lists[] = {flat, good};
    for (int i = 0; i < 2; i++) {
        struct oracle o;
        struct trial_pool pool;
        struct error err = {0};
        struct point p = point_of(&o, lists[i], 8, &pool), *list = &p;
        expect_ok(points_decide(&list, 1, &eight, &pool, &err), &err);
        assert_int_equal(p.verdict, HOLDS);
        assert_int_equal(p.count, 4);
        expect_ok(point_confirm(&p, &eight, &pool, &err), &err);
        assert_int_equal(p.count, 8);
        assert_int_equal(p.verdict, i == 0 ? UNDECIDED : HOLDS);
        expect_ok(points_decide(&list, 1, &eight, &pool, &err), &err);
        assert_int_equal(p.verdict, i == 0 ? UNDECIDED : HOLDS);
        point_release(&p);
    }
}

/* Verdicts go by margins within ±1, words by the median and the least as they are: the median of 0.5, −2, 3 and
 * −INFINITY is −0.75, the mean of what is kept of them (0.5 − 1 + 1 − 1) / 4 = −0.125. */
static void test_margins_in_words_are_not_cut(void **state)
{
    (void)state;
    const double margins[] = {0.5, -2, 3, -INFINITY};
    struct oracle o;
    struct trial_pool pool;
    struct error err = {0};
    struct point p = point_of(&o, margins, 4, &pool), *list = &p;
    expect_ok(points_replicate(&list, 1, 4, &pool, &err), &err);
    assert_true(point_typical_margin(&p) == -0.75);
    assert_ptr_equal(point_worst(&p), &p.results[3]);
    assert_true(fabs(point_margin(&p, 0.95).value - -0.125) < 1e-12);
    /* A statistic that is infinite in one replication is so on average; what was not measured is left out. */
    for (int i = 0; i < 4; i++)
        p.results[i].metrics[METRIC_TTFT][STAT_P99] = i < 2 ? 1.0 + i : (double)NAN;
    assert_true(point_mean(&p, "ttft_s.p99", 0.95).value == 1.5);
    p.results[3].metrics[METRIC_TTFT][STAT_P99] = INFINITY;
    assert_true(point_mean(&p, "ttft_s.p99", 0.95).value == INFINITY);
    /* Overloaded in half of them is overloaded; what binds is what binds most often. */
    p.results[0].overloaded = true;
    assert_false(point_overloaded(&p));
    p.results[1].overloaded = true;
    assert_true(point_overloaded(&p));
    snprintf(p.results[0].binding, sizeof p.results[0].binding, "e2e_s p50");
    assert_string_equal(point_binding(&p), "ttft_s p99");
    point_release(&p);
    const double endless[] = {-INFINITY, -INFINITY, -INFINITY, 0.1};
    p = point_of(&o, endless, 4, &pool);
    expect_ok(points_replicate(&list, 1, 4, &pool, &err), &err);
    assert_true(point_typical_margin(&p) == -INFINITY);
    point_release(&p);
}

/* e^0.5 = 1.6487, e^−0.5 = 0.6065, e^1.5 = 4.48, e^4.6052 = 100, e^0.9163 = 2.5. */
static void test_margins_in_words(void **state)
{
    (void)state;
    static const struct {
        const char *binding;
        double margin;
        const char *words;
    } cases[] = {{"ttft_s p99", 0.5, "ttft_s p99 39 % within"},
                 {"ttft_s p99", 4.6052, "ttft_s p99 99 % within"},
                 {"ttft_s p99", -0.5, "ttft_s p99 65 % over"},
                 {"ttft_s p99", -1.5, "ttft_s p99 4.48 times its limit"},
                 {"ttft_s p99", -INFINITY, "ttft_s p99 is missed without end"},
                 {"goodput", -0.5, "goodput 39 % short"},
                 {"attainment", -0.9163, "attainment misses 2.5 times what it may"},
                 {"attainment", -4.60517, "attainment misses 100 times what it may"},
                 {"ttft_s p99 (not served)", -4.60517,
                  "ttft_s p99: 100 times as many requests are not served as it may miss"},
                 {"windows", 0.5, "windows misses 0.61 times what it may"},
                 {"a queue that grows", -0.05, "overloaded"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char words[128];
        margin_text(cases[i].binding, cases[i].margin, words, sizeof words);
        assert_string_equal(words, cases[i].words);
    }
}

/* ---- the pool ---- */

/* Remembers the trials with even seeds, and notes what it is told to keep. */
struct remembering {
    uint64_t kept[8];
    size_t count;
};

static int recall_even(void *state, const struct trial *t, struct trial_result *out, struct error *err)
{
    (void)state, (void)err;
    if (t->seed % 2)
        return 0;
    *out = (struct trial_result){.margin = 100 + (double)t->seed, .arrived = 7};
    return 1;
}

static int keep_seed(void *state, const struct trial *t, const struct trial_result *r, struct error *err)
{
    struct remembering *m = state;
    (void)r, (void)err;
    m->kept[m->count++ % 8] = t->seed;
    return 0;
}

static int note_place(void *state, size_t index, struct error *err)
{
    size_t *seen = state;
    (void)err;
    seen[index]++;
    return 0;
}

static double seed_itself(const struct oracle *o, const struct trial *t, const cJSON *scenario)
{
    (void)o, (void)scenario;
    return (double)t->seed;
}

/* Of seeds 3 to 7, 4 and 6 are recalled, and 3, 5 and 7 are run and kept: 2 · 7 + 3 · 1000 requests. Every result is
 * where it was asked for, and told once. */
static void test_what_is_recalled_is_not_run(void **state)
{
    (void)state;
    struct oracle o = {.margin = seed_itself};
    struct trial_pool pool = ask(&o);
    struct remembering m = {0};
    struct trial_memory memory = {.recall = recall_even, .keep = keep_seed, .state = &m};
    struct trial trials[5];
    static struct trial_result results[5];
    size_t seen[5] = {0};
    struct error err = {0};
    pool.memory = &memory;
    for (size_t i = 0; i < 5; i++)
        trials[i] = (struct trial){.scenario = "{}", .seed = 3 + i, .scales = {1, 1, 1, 1}};
    expect_ok(trial_pool_run(&pool, trials, 5, results, note_place, seen, &err), &err);
    for (size_t i = 0; i < 5; i++) {
        double seed = 3 + (double)i;
        assert_true(results[i].margin == (i % 2 ? 100 + seed : seed));
        assert_int_equal(seen[i], 1);
    }
    assert_int_equal(m.count, 3);
    assert_true(m.kept[0] == 3 && m.kept[1] == 5 && m.kept[2] == 7);
    assert_int_equal(pool.trials, 5);
    assert_int_equal(pool.requests, 3014);
}

/* ---- the largest load that holds ---- */

/* Falls with the load and crosses 0 at `value`. */
static double falls(const struct oracle *o, const struct trial *t, const cJSON *scenario)
{
    (void)scenario;
    return log(o->value / t->scales[SCALE_RATE]) + (t->seed % 2 ? 0.01 : -0.01);
}

static double level(const struct oracle *o, const struct trial *t, const cJSON *scenario)
{
    (void)t, (void)scenario;
    return o->value;
}

/* The same of output lengths, if all else is as it was. */
static double falls_with_outputs(const struct oracle *o, const struct trial *t, const cJSON *scenario)
{
    (void)scenario;
    bool alone = t->scales[SCALE_RATE] == 1 && t->scales[SCALE_PROMPT] == 1 && t->scales[SCALE_TIME] == 1;
    return alone ? log(o->value / t->scales[SCALE_OUTPUT]) + (t->seed % 2 ? 0.01 : -0.01) : -1;
}

static struct capacity largest(struct oracle *o, double start)
{
    struct trial_pool pool = ask(o);
    struct error err = {0};
    struct capacity c;
    struct capacity_question q = {.scenario = "{}", .start = start, .tolerance = 0.02, .effort = {0.95, 16}};
    expect_ok(capacity_find(&q, &pool, &c, &err), &err);
    return c;
}

/* Whatever the start says, the crossing is found; ends are less than 2 % from each other only where ± 1 % of noise can
 * be told from 0: at most 8 % apart. */
static void test_a_crossing_is_found_from_any_start(void **state)
{
    (void)state;
    static const double starts[] = {0.001, 0.3, 1, 7.9, 8.1, 500};
    for (size_t i = 0; i < sizeof starts / sizeof *starts; i++) {
        struct oracle o = {.margin = falls, .value = 8};
        struct capacity c = largest(&o, starts[i]);
        if (c.kind != CAPACITY_FOUND || c.vague || !(c.low < 8 && c.high > 8 && c.high / c.low < 1.08) ||
            fabs(c.value / 8 - 1) > 0.02)
            fail_msg("from %g: kind %d, %g in %g … %g", starts[i], c.kind, c.value, c.low, c.high);
        assert_string_equal(c.binding, "ttft_s p99");
    }
}

static void test_one_scale_is_asked_of(void **state)
{
    (void)state;
    struct oracle o = {.margin = falls_with_outputs, .value = 3};
    struct trial_pool pool = ask(&o);
    struct error err = {0};
    struct capacity c;
    struct capacity_question q = {
        .scenario = "{}", .scale = SCALE_OUTPUT, .start = 1, .tolerance = 0.02, .effort = {0.95, 16}};
    expect_ok(capacity_find(&q, &pool, &c, &err), &err);
    assert_true(c.kind == CAPACITY_FOUND && fabs(c.value / 3 - 1) < 0.02);
}

/* Missed by −0.2 at any load: looked at down to a thousandth of the start and of 1, replicated there, and said. The
 * same for what is met; and for what is missed without end. */
static void test_an_slo_that_no_load_decides(void **state)
{
    (void)state;
    static const double starts[] = {0.1, 1, 20};
    for (size_t i = 0; i < 3; i++) {
        struct oracle o = {.margin = level, .value = -0.2};
        struct capacity c = largest(&o, starts[i]);
        assert_int_equal(c.kind, CAPACITY_NONE);
        assert_true(c.shown && c.value == 0 && c.high <= 0.001 * fmin(1, starts[i]));
        assert_true(c.end.margin == -0.2);
        assert_string_equal(c.end.binding, "ttft_s p99");
        o.value = 0.2;
        c = largest(&o, starts[i]);
        assert_int_equal(c.kind, CAPACITY_UNBOUNDED);
        assert_true(c.shown && c.low >= 1000 * fmax(1, starts[i]) && c.end.margin == 0.2);
    }
    struct oracle o = {.margin = level, .value = -INFINITY};
    struct capacity c = largest(&o, 1);
    assert_int_equal(c.kind, CAPACITY_NONE);
    assert_true(c.shown && c.end.margin == -INFINITY);
}

/* At any load the first two of 16 replications miss by 0.01 and the others meet by 0.2: that is met, and two that say
 * otherwise are chance. Where the 16 cannot tell, neither is shown. */
static void test_two_pilots_do_not_decide_an_end(void **state)
{
    (void)state;
    double mostly[16], even[16];
    for (int i = 0; i < 16; i++) {
        mostly[i] = i < 2 ? -0.01 : 0.2;
        even[i] = i % 2 ? 0.2 : -0.21;
    }
    struct oracle o = {.margin = listed, .list = mostly, .length = 16};
    struct capacity c = largest(&o, 1);
    assert_int_equal(c.kind, CAPACITY_UNBOUNDED);
    assert_true(c.shown);
    o.list = even;
    c = largest(&o, 1);
    assert_int_equal(c.kind, CAPACITY_NONE);
    assert_false(c.shown);
}

/* Loads above 3 cannot be run: that ends what holds. */
static void test_a_load_that_cannot_be_run(void **state)
{
    (void)state;
    struct oracle o = {.margin = level, .value = 0.5, .most_loaded = 3};
    struct capacity c = largest(&o, 1);
    assert_int_equal(c.kind, CAPACITY_FOUND);
    assert_true(c.low <= 3 && c.high > 3 && c.high / c.low < 1.05 && c.failed);
    assert_string_equal(c.message, "more than can be read");
    assert_string_equal(c.binding, "cannot be run");
}

/* ---- plans ---- */

/* Falls with the load of a unit, up to a ceiling; seeds differ. */
static double by_load(const struct oracle *o, const struct trial *t, const cJSON *scenario)
{
    size_t device = device_of(scenario);
    double rate = rate_scale_of(scenario) * t->scales[SCALE_RATE], able = replicas_of(scenario) * o->capacity[device];
    double noise = o->spread * ((double)random_mix(t->seed) / 18446744073709551616.0 - 0.5);
    if (o->unserved[device] > 0.5)
        return -INFINITY;
    return fmin(o->ceiling[device], o->steepness * log(able / rate)) + noise;
}

static void open_plan(const char *text, struct plan *plan)
{
    struct json root;
    struct error err = {0};
    expect_ok(json_parse(text, "plan", &root, &err), &err);
    expect_ok(plan_read(plan, root, &err), &err);
}

/* The workload's rate is 1/s, so that rate_scale is the rate; MORE goes into the plan. */
#define WRITTEN_DOWN                                                                                                   \
    "{\"scenario\": {\"model\": \"ideal\", \"device\": \"ideal-server\", \"policy\": {\"batching\": {\"name\": "       \
    "\"continuous\", \"max_sequences\": 1}}, \"workload\": {\"arrivals\": {\"name\": \"poisson\", \"rate_per_s\": "    \
    "1}, \"requests\": 100, \"lengths\": {\"prompt\": {\"name\": \"fixed\", \"tokens\": %u}, \"output\": {\"name\": "  \
    "\"fixed\", \"tokens\": 1}}}, \"slo\": {\"ttft_s\": {\"p99\": 1}}}, \"replications\": 8, \"sensitivity\": 0, "     \
    "\"search\": {\"device\": [\"ideal-server\", \"tests/data/ideal2.json\", \"tests/data/ideal4.json\"]}, %s}"

/* What holds of everything that may be bought, each size confirmed with all of its replications. */
struct enumeration {
    double best, second; /* least objectives: of all, and of the configurations other than the chosen one */
    bool holds[64][64];  /* [configuration][units] */
    double closest;      /* the largest typical margin of a size that is not overloaded */
    bool monotone, any_not_overloaded;
};

static void enumerate(const struct plan_search *s, struct trial_pool *pool, struct enumeration *e)
{
    struct error err = {0};
    *e = (struct enumeration){.best = INFINITY, .second = INFINITY, .closest = -INFINITY, .monotone = true};
    for (size_t i = 0; i < s->count; i++) {
        const struct contender *c = &s->contenders[i];
        if (c->family->refused[0])
            fail_msg("%s", c->family->refused);
        assert_true(i < 64 && c->most < 64);
        for (size_t units = 1; units <= c->most; units++) {
            struct point p;
            char *scenario = family_scenario(s->plan, c->family, units);
            point_init(&p, scenario, NULL, s->plan->seed);
            expect_ok(point_confirm(&p, &s->plan->effort, pool, &err), &err);
            e->holds[i][units] = p.verdict == HOLDS;
            e->monotone = e->monotone && (e->holds[i][units] || !e->holds[i][units - 1]);
            if (p.verdict == HOLDS) {
                double objective = family_objective(s->plan, c->family, units);
                e->best = fmin(e->best, objective);
                e->second = c == s->chosen ? e->second : fmin(e->second, objective);
            }
            if (!p.failed && !point_overloaded(&p)) {
                e->any_not_overloaded = true;
                e->closest = fmax(e->closest, point_typical_margin(&p));
            }
            point_release(&p);
            free(scenario);
        }
    }
}

static const struct point *looked_at(const struct contender *c, size_t units)
{
    for (size_t i = 0; i < c->count; i++)
        if (c->sizes[i].units == units)
            return &c->sizes[i].point;
    return NULL;
}

static bool same_objective(double a, double b)
{
    return a == b || fabs(a / b - 1) < 1e-9;
}

/* The search says what the enumeration says; how many units it chose (0: none); whether the latter is monotone, as the
 * search takes it to be. */
static bool search_equals_enumeration(const struct plan *plan, struct trial_pool *pool, size_t *units)
{
    struct plan_search s;
    struct error err = {0};
    static struct enumeration e;
    expect_ok(plan_search_run(&s, plan, pool, &err), &err);
    *units = s.chosen ? s.chosen->high : 0;
    enumerate(&s, pool, &e);
    if (s.chosen) {
        size_t index = (size_t)(s.chosen - s.contenders);
        assert_true(e.holds[index][s.chosen->high]);
        assert_false(s.chosen->high > 1 && e.holds[index][s.chosen->high - 1]);
    }
    double found = s.chosen ? contender_objective(plan, s.chosen, s.chosen->high) : INFINITY;
    double next = s.runner_up ? contender_objective(plan, s.runner_up, s.runner_up->high) : INFINITY;
    if (e.monotone && (!same_objective(found, e.best) || !same_objective(next, e.second)))
        fail_msg("chose %g before %g, enumeration has %g before %g", found, next, e.best, e.second);
    if (!s.chosen && s.closest && e.any_not_overloaded) {
        const struct point *p = looked_at(s.closest, s.closest_units);
        assert_false(point_overloaded(p));
        if (e.monotone && point_typical_margin(p) != e.closest)
            fail_msg("closest is %g, enumeration has %g", point_typical_margin(p), e.closest);
    }
    plan_search_release(&s);
    return e.monotone;
}

static double between(gsl_rng *rng, double low, double high)
{
    return low * pow(high / low, gsl_rng_uniform(rng));
}

/* Half of them buy whole nodes of 2 to 5 GPUs, some with spare ones. Prices of few kinds, so that some configurations
 * cost as much; formula and truth are unrelated, so that a search that believed the formula would err. */
static void test_search_equals_enumeration_of_what_is_written_down(void **state)
{
    (void)state;
    gsl_rng *rng = random_stream_create(17, "plans");
    size_t met = 0, tried = 400;
    for (size_t i = 0; i < tried; i++) {
        char text[4000], more[700], nodes[100] = "";
        struct plan plan;
        struct oracle o = {.margin = by_load, .steepness = between(rng, 0.3, 3), .spread = between(rng, 0.01, 1)};
        for (int d = 0; d < 3; d++) {
            o.capacity[d] = between(rng, 0.5, 20);
            o.ceiling[d] = gsl_rng_uniform_int(rng, 4) ? 5 : 0.6 * gsl_rng_uniform(rng) - 0.3;
            o.unserved[d] = gsl_rng_uniform_int(rng, 5) ? 0 : 0.9;
        }
        double prices[3];
        for (int d = 0; d < 3; d++)
            prices[d] = 0.5 * (double)(1 + gsl_rng_uniform_int(rng, 6));
        double rate = between(rng, 0.5, 60);
        unsigned gpus = 4 + (unsigned)gsl_rng_uniform_int(rng, 40);
        bool cost = gsl_rng_uniform_int(rng, 3);
        if (i % 2)
            snprintf(nodes, sizeof nodes, ", \"gpus_per_node\": %u}, \"buy\": {\"spare_nodes\": %u",
                     2 + (unsigned)gsl_rng_uniform_int(rng, 4), (unsigned)gsl_rng_uniform_int(rng, 2));
        snprintf(more, sizeof more,
                 "\"rate_per_s\": %g, \"prices_per_h\": {\"ideal-server\": %g, \"tests/data/ideal2.json\": %g, "
                 "\"tests/data/ideal4.json\": %g}, \"constraints\": {\"gpus\": %u%s}, \"objective\": \"%s\"",
                 rate, prices[0], prices[1], prices[2], gpus, nodes, cost ? "cost" : "gpus");
        /* A unit serves 1e8 / tokens a second by formula: from a thousandth of 1/s to 10⁵/s. */
        snprintf(text, sizeof text, WRITTEN_DOWN, (unsigned)between(rng, 1e3, 9e7), more);
        open_plan(text, &plan);
        struct trial_pool pool = ask(&o);
        size_t units;
        assert_true(search_equals_enumeration(&plan, &pool, &units));
        met += units > 0;
        plan_release(&plan);
    }
    gsl_rng_free(rng);
    assert_true(met > tried / 4 && met < tried); /* both kinds have been tried */
}

/* Simulated plans: KV pools into which a part of the requests does not fit, SLOs that say nothing of them, several
 * devices and routers. Chance may make a size hold and a larger one not; the search takes that not to be, and is only
 * held to its word where it is so in none of the sizes. */
static void test_search_equals_enumeration_of_simulations(void **state)
{
    (void)state;
    gsl_rng *rng = random_stream_create(23, "plans");
    size_t met = 0, several = 0, monotone = 0, tried = 8;
    for (size_t i = 0; i < tried; i++) {
        char text[4000];
        struct plan plan;
        struct trial_pool pool;
        struct error err = {0};
        unsigned kv_blocks = (unsigned)between(rng, 30, 600);
        double mean = between(rng, 0.05, 0.6) * 4096 * kv_blocks;
        snprintf(text, sizeof text,
                 "{\"scenario\": {\"model\": \"ideal\", \"device\": \"ideal-server\", \"policy\": {\"kv_blocks\": %u, "
                 "\"kv_block_tokens\": 4096, "
                 "\"batching\": {\"name\": \"%s\", \"max_sequences\": %u}}, \"workload\": {\"arrivals\": {\"name\": "
                 "\"poisson\", \"rate_per_s\": 100}, \"requests\": 200, \"lengths\": {\"prompt\": {\"name\": "
                 "\"exponential\", \"mean\": %g}, \"output\": {\"name\": \"exponential\", \"mean\": %g}}}, \"slo\": "
                 "{\"ttft_s\": {\"p50\": %g}, \"e2e_s\": {\"p90\": %g}}}, \"rate_per_s\": %g, \"replications\": 8, "
                 "\"search\": {\"device\": [\"ideal-batch-server\", \"ideal-server\", \"tests/data/ideal4.json\"], "
                 "\"cluster.routing\": [\"round_robin\", \"least_outstanding_requests\"]}, \"constraints\": {\"gpus\": "
                 "%u}, \"prices_per_h\": {\"ideal-batch-server\": %g, \"ideal-server\": %g, "
                 "\"tests/data/ideal4.json\": %g}}",
                 kv_blocks, gsl_rng_uniform_int(rng, 2) ? "continuous" : "chunked_prefill",
                 1 + (unsigned)gsl_rng_uniform_int(rng, 16), mean, between(rng, 2, 60), between(rng, 1e-3, 0.02),
                 between(rng, 0.01, 0.2), between(rng, 100, 2000), 3 + (unsigned)gsl_rng_uniform_int(rng, 3),
                 between(rng, 1, 4), between(rng, 1, 4), between(rng, 0.3, 2));
        open_plan(text, &plan);
        expect_ok(thread_pool_create(2, &nobody, &pool, &err), &err);
        size_t units;
        monotone += search_equals_enumeration(&plan, &pool, &units);
        met += units > 0;
        several += units > 1;
        trial_pool_destroy(&pool);
        plan_release(&plan);
    }
    gsl_rng_free(rng);
    if (several == 0 || met == tried || monotone < tried * 3 / 4)
        fail_msg("of %zu plans %zu are met, %zu of them with several units; %zu are monotone", tried, met, several,
                 monotone);
}

/* A unit of ideal-server serves 10/s, so 1 holds 2.9/s and so on; by formula it would be 0.0011/s, and 2 600 units. The
 * search comes down from the 40 that may be bought: 40, 39, 37, 33, 25, 9, then between 1 and 9. Steepness 1 and margin
 * log(10 n / 29): n = 3 holds (0.034), 2 misses (−0.37). */
static void test_a_formula_that_is_too_low_rules_nothing_out(void **state)
{
    (void)state;
    char text[4000];
    struct plan plan;
    struct plan_search s;
    struct error err = {0};
    struct oracle o = {.margin = by_load, .steepness = 1, .capacity = {10, 0.1, 0.1}, .ceiling = {5, 5, 5}};
    snprintf(text, sizeof text, WRITTEN_DOWN, 90000000u,
             "\"rate_per_s\": 29, \"constraints\": {\"gpus\": 40}, \"objective\": \"gpus\"");
    open_plan(text, &plan);
    struct trial_pool pool = ask(&o);
    expect_ok(plan_search_run(&s, &plan, &pool, &err), &err);
    assert_true(s.families[0].capacity_per_s < 1.2);
    assert_ptr_equal(s.chosen, &s.contenders[0]);
    assert_int_equal(s.chosen->high, 3);
    assert_true(s.chosen->count <= 10);
    assert_null(s.runner_up);
    plan_search_release(&s);
    plan_release(&plan);
}

/* Replications of a trace are stretches of a minute drawn from it, unless the scenario says how long they are. */
static void test_a_trace_is_resampled_for_a_plan(void **state)
{
    (void)state;
    static const char *const said[] = {"", ", \"resample_s\": 7"};
    static const double expected[] = {60, 7};
    FILE *out = fopen("build/test_plan.jsonl", "w");
    for (int i = 0; i < 20; i++)
        fprintf(out, "{\"arrival_s\": %d, \"prompt_tokens\": 10, \"output_tokens\": 1}\n", i);
    fclose(out);
    for (size_t i = 0; i < 2; i++) {
        char text[600];
        struct plan plan;
        snprintf(text, sizeof text,
                 "{\"scenario\": {\"model\": \"ideal\", \"device\": \"ideal-server\", \"workload\": {\"trace\": "
                 "\"build/test_plan.jsonl\"%s}, \"slo\": {\"ttft_s\": {\"p99\": 1}}}, \"search\": {\"policy.order\": "
                 "[\"fcfs\"]}, \"objective\": \"gpus\"}",
                 said[i]);
        open_plan(text, &plan);
        struct json workload = json_member(&plan.scenario, "workload"), length = json_member(&workload, "resample_s");
        assert_true(cJSON_IsNumber(length.node) && length.node->valuedouble == expected[i]);
        assert_true(plan.base_rate > 0.5 && plan.base_rate < 2); /* of one resampling of one request a second */
        plan_release(&plan);
    }
}

/* 29/s: 3 units at 10/s each for 3 an hour. A unit of the second device serves 20/s for 2 an hour, so 2 are needed, for
 * 4 as they stand, but no more than half of them is held on average: 2 an hour. That is known when 2 have been
 * simulated, for a runner-up, which then is the answer. */
static void test_what_turns_out_cheaper_is_ranked_again(void **state)
{
    (void)state;
    char text[4000];
    struct plan plan;
    struct plan_search s;
    struct error err = {0};
    struct oracle o = {
        .margin = by_load, .steepness = 1, .capacity = {10, 20, 0.1}, .ceiling = {5, 5, 5}, .held_share = {1, 0.5, 1}};
    snprintf(text, sizeof text, WRITTEN_DOWN, 3500000u,
             "\"rate_per_s\": 29, \"constraints\": {\"gpus\": 8}, \"prices_per_h\": {\"ideal-server\": 1, "
             "\"tests/data/ideal2.json\": 2, \"tests/data/ideal4.json\": 5}");
    open_plan(text, &plan);
    struct trial_pool pool = ask(&o);
    expect_ok(plan_search_run(&s, &plan, &pool, &err), &err);
    assert_ptr_equal(s.chosen, &s.contenders[1]);
    assert_true(s.chosen->high == 2 && contender_objective(&plan, s.chosen, 2) == 2);
    assert_ptr_equal(s.runner_up, &s.contenders[0]);
    plan_search_release(&s);
    plan_release(&plan);
}

/* One unit meets by 0.3 or 0.31 under the first four seeds and misses by 0.3 under the others; two meet by 0.4. */
static double well_at_first(const struct oracle *o, const struct trial *t, const cJSON *scenario)
{
    (void)o;
    if (device_of(scenario) > 0)
        return -1;
    return replicas_of(scenario) > 1 ? 0.4 : t->seed % 1000 < 4 ? 0.3 + 0.01 * (double)(t->seed % 2) : -0.3;
}

/* One unit holds when it is first looked at, and is no answer when it has had all 8 replications: two units are. */
static void test_what_does_not_hold_after_all_is_not_recommended(void **state)
{
    (void)state;
    char text[4000];
    struct plan plan;
    struct plan_search s;
    struct error err = {0};
    struct oracle o = {.margin = well_at_first, .capacity = {100, 100, 100}};
    snprintf(text, sizeof text, WRITTEN_DOWN, 1000u,
             "\"rate_per_s\": 1, \"constraints\": {\"gpus\": 4}, \"objective\": \"gpus\"");
    open_plan(text, &plan);
    struct trial_pool pool = ask(&o);
    expect_ok(plan_search_run(&s, &plan, &pool, &err), &err);
    assert_ptr_equal(s.chosen, &s.contenders[0]);
    assert_int_equal(s.chosen->high, 2);
    assert_int_equal(looked_at(s.chosen, 1)->count, 8);
    assert_int_equal(looked_at(s.chosen, 1)->verdict, UNDECIDED);
    plan_search_release(&s);
    plan_release(&plan);
}

/* Two cost as much. They meet by 1.2 and by 2, both more than the 1 at which verdicts cut margins: the second is wider.
 */
static void test_the_widest_of_equally_cheap_ones_is_chosen(void **state)
{
    (void)state;
    char text[4000];
    struct plan plan;
    struct plan_search s;
    struct error err = {0};
    struct oracle o = {
        .margin = by_load, .steepness = 1, .spread = 0.1, .capacity = {1e3, 1e3, 1e3}, .ceiling = {1.2, 2, -1}};
    snprintf(text, sizeof text, WRITTEN_DOWN, 1000u,
             "\"rate_per_s\": 1, \"constraints\": {\"gpus\": 4}, \"objective\": \"gpus\"");
    open_plan(text, &plan);
    struct trial_pool pool = ask(&o);
    expect_ok(plan_search_run(&s, &plan, &pool, &err), &err);
    assert_int_equal(s.ties, 2);
    assert_ptr_equal(s.chosen, &s.contenders[1]);
    assert_ptr_equal(s.runner_up, &s.contenders[0]);
    assert_true(s.confidence_of_choice == 0.95);
    assert_string_equal(s.contenders[0].why,
                        "as cheap with 1 units, but with a narrower margin: ttft_s p99 70 % within");
    plan_search_release(&s);
    plan_release(&plan);
}

/* Requests miss by 0.4 whatever the number of units: after two sizes that miss alike the next is all there may be, 64,
 * not one more each time. */
static void test_where_more_does_not_help_all_are_tried_at_once(void **state)
{
    (void)state;
    char text[4000];
    struct plan plan;
    struct plan_search s;
    struct error err = {0};
    struct oracle o = {.margin = by_load,
                       .steepness = 0.01,
                       .capacity = {100, 100, 100},
                       .ceiling = {-0.4, -0.4, -0.4}};
    snprintf(text, sizeof text, WRITTEN_DOWN, 1000u,
             "\"rate_per_s\": 10, \"constraints\": {\"gpus\": 64}, \"objective\": \"gpus\"");
    open_plan(text, &plan);
    struct trial_pool pool = ask(&o);
    expect_ok(plan_search_run(&s, &plan, &pool, &err), &err);
    assert_null(s.chosen);
    assert_true(s.no_number_helps);
    const struct contender *c = s.closest;
    assert_int_equal(c->count, 3);
    assert_int_equal(c->sizes[c->count - 1].units, 64);
    plan_search_release(&s);
    plan_release(&plan);
}

/* Nothing may be bought that holds. Of the first device 4 units serve 8 of 10/s: overloaded, by −0.05 only. Of the
 * second they miss by 0.4 whatever their number, of the third by 2.2. The second comes closest, and not for the cut of
 * margins at ±1, which makes the third look as bad as anything. */
static void test_closest_is_the_smallest_violation(void **state)
{
    (void)state;
    char text[4000];
    struct plan plan;
    struct plan_search s;
    struct error err = {0};
    struct oracle o = {.margin = by_load, .steepness = 0.01, .capacity = {2, 100, 100}, .ceiling = {5, -0.4, -2.2}};
    snprintf(text, sizeof text, WRITTEN_DOWN, 1000u,
             "\"rate_per_s\": 10, \"constraints\": {\"gpus\": 4}, \"objective\": \"gpus\"");
    open_plan(text, &plan);
    struct trial_pool pool = ask(&o);
    expect_ok(plan_search_run(&s, &plan, &pool, &err), &err);
    assert_null(s.chosen);
    assert_ptr_equal(s.closest, &s.contenders[1]);
    assert_true(s.no_number_helps && s.alone.margin == -0.4);
    plan_search_release(&s);
    /* Where lone requests are not shown to miss, no such thing is said. */
    o.ceiling[1] = 0.001;
    o.spread = 1;
    pool = ask(&o);
    expect_ok(plan_search_run(&s, &plan, &pool, &err), &err);
    assert_null(s.chosen);
    assert_ptr_equal(s.closest, &s.contenders[1]);
    assert_false(s.no_number_helps);
    plan_search_release(&s);
    o.spread = 0;
    /* Without it the third is closest, though the first is overloaded by −0.05 only. */
    o.ceiling[1] = -INFINITY;
    pool = ask(&o);
    expect_ok(plan_search_run(&s, &plan, &pool, &err), &err);
    assert_ptr_equal(s.closest, &s.contenders[2]);
    assert_true(point_typical_margin(looked_at(s.closest, s.closest_units)) == -2.2);
    plan_search_release(&s);
    plan_release(&plan);
}

/* All miss without end, since requests are not served: 90, 60 and 60 %. The most served and then the cheapest is
 * closest; a lone request is not served either. With a single device that is short of units, a lone request does well.
 */
static void test_closest_where_requests_are_not_served(void **state)
{
    (void)state;
    char text[4000];
    struct plan plan;
    struct plan_search s;
    struct error err = {0};
    struct oracle o = {.margin = by_load,
                       .steepness = 1,
                       .capacity = {100, 100, 100},
                       .ceiling = {5, 5, 5},
                       .unserved = {0.9, 0.6, 0.6}};
    snprintf(text, sizeof text, WRITTEN_DOWN, 1000u,
             "\"rate_per_s\": 10, \"constraints\": {\"gpus\": 4}, \"prices_per_h\": {\"ideal-server\": 1, "
             "\"tests/data/ideal2.json\": 3, \"tests/data/ideal4.json\": 2}");
    open_plan(text, &plan);
    struct trial_pool pool = ask(&o);
    expect_ok(plan_search_run(&s, &plan, &pool, &err), &err);
    assert_null(s.chosen);
    assert_ptr_equal(s.closest, &s.contenders[2]);
    assert_true(s.no_number_helps && s.alone.margin == -INFINITY && fabs(s.alone.unserved - 0.6) < 1e-9);
    assert_string_equal(s.alone.reason, "too long");
    plan_search_release(&s);
    o = (struct oracle){.margin = by_load, .steepness = 1, .capacity = {1, 1, 1}, .ceiling = {5, 5, 5}};
    pool = ask(&o);
    expect_ok(plan_search_run(&s, &plan, &pool, &err), &err);
    assert_null(s.chosen);
    assert_false(s.no_number_helps);
    plan_search_release(&s);
    plan_release(&plan);
}

/* 29 an hour buy 14 units at 2, 4.5 kW 6 … of devices that say their power; 13 GPUs 13 units, and 6 of two GPUs each.
 */
static void test_constraints_bound_the_units(void **state)
{
    (void)state;
    static const struct {
        const char *scenario, *constraints;
        size_t most;
    } cases[] = {{"\"device\": \"h100-sxm\"", "\"cost_per_h\": 29", 14},
                 {"\"device\": \"h100-sxm\"", "\"cost_per_h\": 28", 14},
                 {"\"device\": \"h100-sxm\"", "\"cost_per_h\": 27.9", 13},
                 {"\"device\": \"h100-sxm\"", "\"power_w\": 4500", 6}, /* 700 W each: 6.4 */
                 {"\"device\": \"h100-sxm\"", "\"power_w\": 4200", 6},
                 {"\"device\": \"h100-sxm\"", "\"gpus\": 13", 13},
                 {"\"device\": \"h100-sxm\", \"cluster\": {\"tensor_parallel\": 2}", "\"gpus\": 13", 6},
                 {"\"device\": \"h100-sxm\", \"cluster\": {\"replicas\": 3}", "\"gpus\": 13", 4},
                 {"\"device\": \"h100-sxm\"", "\"gpus\": 13, \"cost_per_h\": 10, \"power_w\": 2800", 4}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[2000];
        struct plan plan;
        struct plan_search s;
        struct error err = {0};
        struct oracle o = {.margin = level, .value = 1};
        snprintf(
            text, sizeof text,
            "{\"scenario\": {\"model\": \"llama-3.1-8b\", %s, \"workload\": {\"arrivals\": {\"name\": \"poisson\", "
            "\"rate_per_s\": 1}, \"requests\": 100, \"lengths\": {\"prompt\": {\"name\": \"fixed\", \"tokens\": "
            "100}, \"output\": {\"name\": \"fixed\", \"tokens\": 10}}}, \"slo\": {\"ttft_s\": {\"p99\": 1}}}, "
            "\"prices_per_h\": {\"h100-sxm\": 2}, \"buy\": {\"by\": \"gpu\"}, \"constraints\": {%s}}",
            cases[i].scenario, cases[i].constraints);
        open_plan(text, &plan);
        struct trial_pool pool = ask(&o);
        expect_ok(plan_search_run(&s, &plan, &pool, &err), &err);
        if (s.contenders[0].most != cases[i].most)
            fail_msg("%s: %zu units", cases[i].constraints, s.contenders[0].most);
        assert_int_equal(s.chosen->high, 1);
        plan_search_release(&s);
        plan_release(&plan);
    }
}

/* 29/s: 3 units at 10/s each for 3 an hour, or 4 at 8/s for 3.60. One lost: 20/s, a margin of log(20 / 29) and
 * overloaded. 10 % less, 26.1/s, are 3 and 4 units, 10 % more, 31.9/s, 4 and 4: then the runner-up is cheaper, 3.60
 * against 4. Other inputs do nothing here. The rate may grow by 30 / 29. TTFT is 1/n s: of what is looked at, each size
 * on the front is faster than all that are cheaper. */
static void test_what_is_asked_around_an_answer(void **state)
{
    (void)state;
    char text[4000];
    struct plan plan;
    struct plan_search s;
    struct plan_answer a;
    struct error err = {0};
    struct oracle o = {.margin = by_load, .steepness = 1, .capacity = {10, 8, 0.1}, .ceiling = {5, 5, 5}};
    snprintf(text, sizeof text, WRITTEN_DOWN, 1000u,
             "\"rate_per_s\": 29, \"constraints\": {\"gpus\": 9}, \"prices_per_h\": {\"ideal-server\": 1, "
             "\"tests/data/ideal2.json\": 0.9, \"tests/data/ideal4.json\": 1}");
    open_plan(text, &plan);
    plan.sensitivity = 0.1;
    struct trial_pool pool = ask(&o);
    expect_ok(plan_search_run(&s, &plan, &pool, &err), &err);
    expect_ok(plan_answer_make(&a, &s, &err), &err);
    assert_ptr_equal(s.chosen, &s.contenders[0]);
    assert_ptr_equal(s.runner_up, &s.contenders[1]);
    assert_true(s.chosen->high == 3 && s.runner_up->high == 4);
    assert_true(a.one_lost.asked && a.one_lost.verdict == BREAKS && fabs(a.one_lost.typical - log(20.0 / 29)) < 1e-9);
    assert_string_equal(s.contenders[1].why, "needs 4 units, 20 % more cost");
    assert_int_equal(a.need_count, 8);
    for (size_t i = 0; i < a.need_count; i++) {
        bool more = a.needs[i].scale == SCALE_RATE && a.needs[i].factor > 1;
        assert_true(fabs(a.needs[i].factor - (i % 2 ? 1.1 : 0.9)) < 1e-12);
        assert_int_equal(a.needs[i].chosen, more ? 4 : 3);
        assert_int_equal(a.needs[i].runner_up, 4);
        assert_int_equal(a.needs[i].runner_up_is_cheaper, more);
    }
    assert_int_equal(a.headroom[SCALE_RATE].kind, CAPACITY_FOUND);
    assert_true(fabs(a.headroom[SCALE_RATE].value / (30.0 / 29) - 1) < 0.01);
    assert_int_equal(a.headroom[SCALE_PROMPT].kind, CAPACITY_UNBOUNDED);
    double fastest = INFINITY;
    size_t front = 0;
    for (size_t i = 0; i < a.buy_count; i++) {
        assert_true(i == 0 || a.buys[i].objective >= a.buys[i - 1].objective);
        assert_true(a.buys[i].on_front == (a.buys[i].ttft_p99_s < fastest));
        fastest = fmin(fastest, a.buys[i].ttft_p99_s);
        front += a.buys[i].on_front;
    }
    assert_true(front >= 3 && front < a.buy_count);
    /* All of it is in the file that --json writes. */
    cJSON *written = plan_answer_json(&s, &a);
    const cJSON *needs = cJSON_GetObjectItemCaseSensitive(written, "sensitivity");
    assert_int_equal(cJSON_GetArraySize(needs), a.need_count);
    for (size_t i = 0; i < a.need_count; i++) {
        const cJSON *n = cJSON_GetArrayItem(needs, (int)i);
        assert_string_equal(cJSON_GetObjectItemCaseSensitive(n, "input")->valuestring, scale_names[a.needs[i].scale]);
        assert_true(cJSON_GetObjectItemCaseSensitive(n, "factor")->valuedouble == a.needs[i].factor);
        assert_true(cJSON_GetObjectItemCaseSensitive(n, "units")->valuedouble == (double)a.needs[i].chosen);
    }
    assert_int_equal(cJSON_GetArraySize(cJSON_GetObjectItemCaseSensitive(written, "pareto")), front);
    assert_int_equal(cJSON_GetArraySize(cJSON_GetObjectItemCaseSensitive(written, "headroom")), SCALE_ASKED);
    cJSON_Delete(written);
    plan_answer_release(&a);
    plan_search_release(&s);
    plan_release(&plan);
}

struct around {
    size_t chosen, runner_up;
    struct plan_answer answer;
};

/* The same with both devices at 1 an hour and inputs that are off by 90 %. */
static struct around ask_around(double rate)
{
    char text[4000], more[300];
    struct plan plan;
    struct plan_search s;
    struct around out;
    struct error err = {0};
    struct oracle o = {.margin = by_load, .steepness = 1, .capacity = {10, 8, 0.1}, .ceiling = {5, 5, 5}};
    snprintf(more, sizeof more,
             "\"rate_per_s\": %g, \"constraints\": {\"gpus\": 9}, \"prices_per_h\": {\"ideal-server\": 1, "
             "\"tests/data/ideal2.json\": 1, \"tests/data/ideal4.json\": 1}",
             rate);
    snprintf(text, sizeof text, WRITTEN_DOWN, 1000u, more);
    open_plan(text, &plan);
    plan.sensitivity = 0.9;
    struct trial_pool pool = ask(&o);
    expect_ok(plan_search_run(&s, &plan, &pool, &err), &err);
    expect_ok(plan_answer_make(&out.answer, &s, &err), &err);
    out.chosen = s.chosen->high;
    out.runner_up = s.runner_up->high;
    plan_answer_release(&out.answer); /* what it has looked at; the rest is its own */
    plan_search_release(&s);
    plan_release(&plan);
    return out;
}

/* 26/s: 3 and 4 units. 2.6/s are 1 and 1, which cost as much: neither is cheaper. 49.4/s are 5, which lies between 4,
 * that miss, and 6, the next tried; and 7. 59/s and 112.1/s: 6 and 8 units, and more than the 9 that may be had. 15/s
 * are 2 units, of which one may be lost; 5/s are one, of which none may. */
static void test_units_needed_when_inputs_are_off(void **state)
{
    (void)state;
    struct around a = ask_around(26);
    assert_true(a.chosen == 3 && a.runner_up == 4);
    assert_true(a.answer.needs[0].chosen == 1 && a.answer.needs[0].runner_up == 1);
    assert_false(a.answer.needs[0].runner_up_is_cheaper);
    assert_true(a.answer.needs[1].chosen == 5 && a.answer.needs[1].runner_up == 7);
    assert_false(a.answer.needs[1].runner_up_is_cheaper);
    a = ask_around(59);
    assert_true(a.chosen == 6 && a.runner_up == 8);
    assert_true(a.answer.needs[1].chosen == 0 && a.answer.needs[1].runner_up == 0);
    a = ask_around(15);
    assert_true(a.chosen == 2 && a.answer.one_lost.asked);
    a = ask_around(5);
    assert_true(a.chosen == 1 && !a.answer.one_lost.asked);
}

/* What a plan names, run by itself, is the plan's trial: the command sets what the search chose, the replicas of so
 * many units, the rate, the resampling of a trace and the first seed. */
static void test_a_size_as_a_command(void **state)
{
    (void)state;
    char text[4000];
    struct plan plan;
    struct family *families;
    size_t count;
    struct error err = {0};
    snprintf(text, sizeof text, WRITTEN_DOWN, 1000u, "\"rate_per_s\": 12.5, \"objective\": \"gpus\", \"seed\": 3");
    open_plan(text, &plan);
    expect_ok(families_make(&plan, &families, &count, &err), &err);
    char *command = rerun_command(&plan, &families[1], 4);
    assert_string_equal(command, "tandem run FILE --set device=tests/data/ideal2.json --set cluster.replicas=4 --set "
                                 "workload.rate_scale=12.5 --set seed=3000");
    free(command);
    families_release(families, count);
    plan_release(&plan);
    open_plan("{\"scenario\": \"default\", \"objective\": \"gpus\", \"cost_model_confidence\": 0, \"search\": "
              "{\"cluster.placement\": [{\"name\": "
              "\"disaggregated\", \"prefill\": "
              "{\"replicas\": 2}, \"decode\": {\"replicas\": 1}}], \"about\": [\"it's\", \"4\"]}}",
              &plan);
    expect_ok(families_make(&plan, &families, &count, &err), &err);
    command = rerun_command(&plan, &families[0], 3);
    assert_string_equal(command, "tandem run default --set "
                                 "'cluster.placement={\"name\":\"disaggregated\",\"prefill\":{\"replicas\":2},"
                                 "\"decode\":{\"replicas\":1}}' --set 'about=it'\\''s' --set cluster.replicas=3 --set "
                                 "cluster.placement.prefill.replicas=6 --set cluster.placement.decode.replicas=3 --set "
                                 "workload.rate_scale=1 --set seed=1000");
    free(command);
    command = rerun_command(&plan, &families[1], 1);
    assert_non_null(strstr(command, " --set 'about=\"4\"' ")); /* a string, not a number */
    free(command);
    families_release(families, count);
    plan_release(&plan);
}

#define TWO_KINDS                                                                                                      \
    "\"scenario\": {\"model\": \"llama-3.1-8b\", \"cluster\": {\"pools\": {\"a\": {\"device\": \"h100-sxm\", "         \
    "\"replicas\": 2}, "                                                                                               \
    "\"b\": {\"device\": \"%s\", \"tensor_parallel\": 2}}}, \"workload\": {\"arrivals\": {\"name\": \"poisson\", "     \
    "\"rate_per_s\": "                                                                                                 \
    "1}, \"requests\": 10, \"lengths\": {\"prompt\": {\"name\": \"fixed\", \"tokens\": 10}, \"output\": {\"name\": "   \
    "\"fixed\", "                                                                                                      \
    "\"tokens\": 2}}}, \"slo\": {\"ttft_s\": {\"p99\": 1}}}"

/* A unit has the replicas of every pool: 2 GPUs at 3 and 2 at 1 an hour, 2 · 700 W and 2 · 350 W. A size multiplies all
 * of them. A price or a power that one pool lacks is missed. */
static void test_units_of_several_pools(void **state)
{
    (void)state;
    static const char *const objectives[] = {"\"cost\", \"prices_per_h\": {\"h100-sxm\": 3, \"l40s\": 1}",
                                             "\"energy\""};
    struct plan plan;
    struct family *families;
    size_t count;
    char text[1500];
    for (int i = 0; i < 2; i++) {
        struct error err = {0};
        snprintf(text, sizeof text, "{" TWO_KINDS ", \"objective\": %s}", "l40s", objectives[i]);
        open_plan(text, &plan);
        expect_ok(families_make(&plan, &families, &count, &err), &err);
        assert_int_equal(count, 1);
        assert_true(families[0].unit_gpus == 4);
        assert_true(families[0].unit_objective == (i ? 2 * 700 + 2 * 350 : 2 * 3 + 2 * 1));
        char *command = rerun_command(&plan, &families[0], 3);
        assert_non_null(strstr(command, " --set cluster.pools.a.replicas=6 --set cluster.pools.b.replicas=3 "));
        free(command);
        families_release(families, count);
        plan_release(&plan);
        /* Of a device that nobody has priced, and whose power nobody knows. */
        snprintf(text, sizeof text, "{" TWO_KINDS ", \"objective\": %s}", "tests/data/line2.json", objectives[i]);
        open_plan(text, &plan);
        assert_int_equal(families_make(&plan, &families, &count, &err), -1);
        if (!strstr(err.text, i ? "needs devices with power_w, which tests/data/line2.json has not"
                                : "has no price for tests/data/line2.json"))
            fail_msg("%s", err.text);
        plan_release(&plan);
    }
}

/* Axes of a pool say whose they are; a configuration names its devices, each once; two are alike when these are the
 * same, whatever pools they are in. Prefill h100, l40s by decode h100, l40s: the first is h100 alone, the second and
 * the third are both. */
static void test_pools_of_different_devices(void **state)
{
    (void)state;
    struct plan plan;
    struct family *families;
    struct error err = {0};
    char names[100];
    size_t count;
    open_plan(
        "{\"scenario\": {\"model\": \"llama-3.1-8b\", \"device\": \"h100-sxm\", \"workload\": {\"arrivals\": "
        "{\"name\": "
        "\"poisson\", \"rate_per_s\": 5}, \"requests\": 20, \"lengths\": {\"prompt\": {\"name\": \"fixed\", "
        "\"tokens\": 100}, \"output\": {\"name\": \"fixed\", \"tokens\": 10}}}, \"cluster\": {\"placement\": "
        "{\"name\": "
        "\"disaggregated\", \"prefill\": {\"tensor_parallel\": 2}}}, \"slo\": {\"ttft_s\": {\"p95\": 1}}}, "
        "\"search\": {\"cluster.placement.prefill.device\": [\"h100-sxm\", \"l40s\"], "
        "\"cluster.placement.decode.device\": [\"h100-sxm\", \"l40s\"], \"cluster.placement.decode.replicas\": [2]}}",
        &plan);
    expect_ok(families_make(&plan, &families, &count, &err), &err);
    assert_int_equal(count, 4);
    assert_string_equal(families[1].label, "prefill l40s · decode h100-sxm · decode replicas 2");
    assert_true(families[1].unit_gpus == 4);
    struct contender all[4] = {{0}};
    for (size_t i = 0; i < 4; i++)
        all[i].family = &families[i];
    family_devices(&families[0], names, sizeof names);
    assert_string_equal(names, "h100-sxm");
    family_devices(&families[1], names, sizeof names);
    assert_string_equal(names, "l40s + h100-sxm");
    assert_true(contender_is_alike(&all[1], &all[2]) && contender_is_alike(&all[2], &all[1]));
    assert_false(contender_is_alike(&all[0], &all[1]) || contender_is_alike(&all[1], &all[3]));
    families_release(families, count);
    plan_release(&plan);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pools_of_different_devices),
        cmocka_unit_test(test_looks_share_the_error),
        cmocka_unit_test(test_what_is_recommended_is_confirmed),
        cmocka_unit_test(test_margins_in_words_are_not_cut),
        cmocka_unit_test(test_margins_in_words),
        cmocka_unit_test(test_a_crossing_is_found_from_any_start),
        cmocka_unit_test(test_one_scale_is_asked_of),
        cmocka_unit_test(test_an_slo_that_no_load_decides),
        cmocka_unit_test(test_two_pilots_do_not_decide_an_end),
        cmocka_unit_test(test_a_load_that_cannot_be_run),
        cmocka_unit_test(test_search_equals_enumeration_of_what_is_written_down),
        cmocka_unit_test(test_search_equals_enumeration_of_simulations),
        cmocka_unit_test(test_a_formula_that_is_too_low_rules_nothing_out),
        cmocka_unit_test(test_what_turns_out_cheaper_is_ranked_again),
        cmocka_unit_test(test_what_does_not_hold_after_all_is_not_recommended),
        cmocka_unit_test(test_the_widest_of_equally_cheap_ones_is_chosen),
        cmocka_unit_test(test_closest_is_the_smallest_violation),
        cmocka_unit_test(test_where_more_does_not_help_all_are_tried_at_once),
        cmocka_unit_test(test_closest_where_requests_are_not_served),
        cmocka_unit_test(test_constraints_bound_the_units),
        cmocka_unit_test(test_a_trace_is_resampled_for_a_plan),
        cmocka_unit_test(test_what_is_asked_around_an_answer),
        cmocka_unit_test(test_units_needed_when_inputs_are_off),
        cmocka_unit_test(test_what_is_recalled_is_not_run),
        cmocka_unit_test(test_a_size_as_a_command),
        cmocka_unit_test(test_units_of_several_pools),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

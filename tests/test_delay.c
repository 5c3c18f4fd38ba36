/* SPDX-License-Identifier: MIT */
/* Delay stations, by hand and by theory. tests/data/line2.json takes 1000 ns an iteration and 10 a prompt token, so a
 * prompt of 10 tokens alone takes 1100 ns, two together 1200. */
#include <math.h>

#include "reports/stats/theory.h"
#include "tests/harness.h"

struct told {
    sim_time arrival[4], queued[4], first_token[4], last_token[4], answered[4], delay[4], after[4], waited[4];
    sim_time begun[4], ended[4]; /* services at the first station */
    sim_time served[4];          /* told while an answer is not finished */
};

static void note_finish(void *state, struct station_id station, const struct request *r)
{
    struct told *t = state;
    (void)station;
    t->arrival[r->id] = r->arrival;
    t->queued[r->id] = r->queued;
    t->first_token[r->id] = r->first_token;
    t->last_token[r->id] = r->last_token;
    t->answered[r->id] = request_answered(r);
    t->delay[r->id] = r->parts[PART_DELAY];
    t->after[r->id] = r->parts[PART_AFTER];
    t->waited[r->id] = r->parts[PART_QUEUE];
}

static void note_delay(void *state, size_t delay, const struct request *r, sim_time at)
{
    struct told *t = state;
    if (delay > 0)
        return;
    t->begun[r->id] = r->admitted;
    t->ended[r->id] = at;
}

static void note_served(void *state, struct station_id station, const struct request *r)
{
    struct told *t = state;
    (void)station;
    t->served[r->id] = r->last_token;
    assert_true(r->kv_blocks == 0 && r->parts[PART_AFTER] == 0);
}

/* Three or four requests of so many output tokens, through what `pools` and `flow` say. */
static void run_flow(const char *pools, const char *flow, const char *arrivals, unsigned output, unsigned requests,
                     struct told *t)
{
    struct error err = {0};
    char text[2000];
    snprintf(
        text, sizeof text,
        "{\"model\": \"ideal\", \"device\": \"tests/data/line2.json\", \"cluster\": {\"pools\": {%s, \"serve\": {}}, "
        "\"flow\": [%s]}, \"policy\": {\"batching\": \"continuous\", \"admission\": \"on_demand\", "
        "\"kv_block_tokens\": 4}, \"workload\": {\"arrivals\": %s, \"requests\": %u, \"lengths\": {"
        "\"prompt\": {\"name\": \"fixed\", \"tokens\": 10}, \"output\": {\"name\": \"fixed\", \"tokens\": %u}}}}",
        pools, flow, arrivals, requests, output);
    *t = (struct told){0};
    const struct observer observer = {.state = t,
                                      .finished = note_finish,
                                      .served = note_served,
                                      .delay_ended = note_delay};
    struct simulation *s = open_simulation(text);
    expect_ok(simulation_run(s, &(struct simulation_options){.observers = &observer}, &err), &err);
    assert_int_equal(s->summary.totals.finished, requests);
    assert_true(s->summary.system.little_residual == 0 && s->summary.queue.little_residual == 0);
    for (size_t i = 0; i < s->scenario.cluster.delay_count; i++)
        assert_true(s->summary.delays[i].little_residual == 0 && s->summary.delays[i].arrival_rate > 0);
    struct station_summary replica =
        run_metrics_station(&s->metrics, &s->scenario, (struct station_id){0}, false, s->summary.duration_s);
    assert_true(replica.little_residual == 0);
    simulation_close(s);
}

/* At once, before the pool that serves. */
static void run_delayed(const char *pools, const char *stations, unsigned requests, struct told *t)
{
    char flow[200];
    snprintf(flow, sizeof flow, "%s, \"serve\"", stations);
    run_flow(pools, flow, "\"at_once\"", 1, requests, t);
}

#define ONE_SERVER "\"door\": {\"kind\": \"delay\", \"service_s\": 1e-6}"
#define AS_LONG_AS_A_PROMPT "\"door\": {\"kind\": \"delay\", \"service_s\": 1.1e-6}"
#define TWO_SERVERS                                                                                                    \
    "\"pair\": {\"kind\": \"delay\", \"servers\": 2, \"service_s\": {\"name\": \"fixed\", \"value\": 3e-6}}"
#define UNLIMITED "\"all\": {\"kind\": \"delay\", \"servers\": \"unlimited\", \"service_s\": 5e-7}"

static void test_one_server_takes_one_request_after_another(void **state)
{
    (void)state;
    struct told t;
    run_delayed(ONE_SERVER, "\"door\"", 4, &t);
    static const sim_time last[] = {2100, 3200, 4300, 5400};
    for (int i = 0; i < 4; i++) {
        assert_int_equal(t.begun[i], 1000 * i);
        assert_int_equal(t.ended[i], 1000 * (i + 1));
        assert_int_equal(t.queued[i], 1000 * (i + 1));
        assert_int_equal(t.delay[i], 1000 * (i + 1)); /* its wait there and its service */
        assert_int_equal(t.waited[i], 100 * i);       /* each iteration begins when the last has ended */
        assert_int_equal(t.last_token[i], last[i]);
    }
}

/* Who leaves at the instant at which an iteration ends is in the next one. */
static void test_a_delay_ends_before_replicas_act(void **state)
{
    (void)state;
    struct told t;
    run_delayed(AS_LONG_AS_A_PROMPT, "\"door\"", 3, &t);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(t.queued[i], 1100 * (i + 1));
        assert_int_equal(t.waited[i], 0);
        assert_int_equal(t.last_token[i], 1100 * (i + 2));
    }
}

static void test_stations_one_after_another(void **state)
{
    (void)state;
    struct told t;
    run_delayed(TWO_SERVERS, "\"pair\"", 4, &t);
    static const sim_time last[] = {4200, 4200, 7200, 7200};
    for (int i = 0; i < 4; i++)
        assert_int_equal(t.last_token[i], last[i]);
    run_delayed(UNLIMITED ", " TWO_SERVERS, "\"all\", \"pair\"", 4, &t);
    for (int i = 0; i < 4; i++) {
        assert_int_equal(t.ended[i], 500);
        assert_int_equal(t.delay[i], i < 2 ? 3500 : 6500);
        assert_int_equal(t.last_token[i], last[i] + 500);
    }
    run_delayed(UNLIMITED ", " TWO_SERVERS, "\"pair\", \"all\"", 4, &t); /* in the flow's order, not the pools' */
    assert_true(t.ended[0] == 3000 && t.ended[3] == 6000 && t.last_token[3] == 7700);
}

/* Four prompts together take 1400 ns, and their second tokens 1004 + … more; one server then takes an answer after
 * another. The last token is what it is without the station: only the answer is later. */
static void test_answers_wait_for_a_station_after_serving(void **state)
{
    (void)state;
    struct told t, without;
    run_flow("\"all\": {\"kind\": \"delay\", \"servers\": \"unlimited\", \"service_s\": 0}", "\"all\", \"serve\"",
             "\"at_once\"", 2, 4, &without);
    run_flow(ONE_SERVER, "\"serve\", \"door\"", "\"at_once\"", 2, 4, &t);
    for (int i = 0; i < 4; i++) {
        assert_int_equal(t.queued[i], 0);
        assert_int_equal(t.first_token[i], 1400);
        assert_int_equal(t.last_token[i], without.last_token[i]);
        assert_int_equal(t.served[i], t.last_token[i]);
        assert_int_equal(t.begun[i], t.last_token[i] + 1000 * i);
        assert_int_equal(t.answered[i], t.last_token[i] + 1000 * (i + 1));
        assert_int_equal(t.after[i], 1000 * (i + 1));
        assert_int_equal(t.delay[i], 0);
        assert_int_equal(without.answered[i], without.last_token[i]);
        assert_int_equal(without.served[i], 0);
    }
}

/* The door lets one in each 1000 ns; an answer takes 500 ns and 3000 ns more, of which two go on at once. The prompts'
 * iterations end at 2100, 3200, 4300 and 5400. */
static void test_stations_before_and_after_serving(void **state)
{
    (void)state;
    struct told t;
    run_flow(ONE_SERVER ", " UNLIMITED ", " TWO_SERVERS, "\"door\", \"serve\", \"all\", \"pair\"", "\"at_once\"", 1, 4,
             &t);
    static const sim_time last[] = {2100, 3200, 4300, 5400}, answered[] = {5600, 6700, 8600, 9700};
    for (int i = 0; i < 4; i++) {
        assert_int_equal(t.delay[i], 1000 * (i + 1));
        assert_int_equal(t.last_token[i], last[i]);
        assert_int_equal(t.answered[i], answered[i]);
        assert_int_equal(t.after[i], answered[i] - last[i]);
    }
}

/* Prefill and decode apart: the KV is given back where the last token came, and the answer is later. */
static void test_a_station_after_decoding_elsewhere(void **state)
{
    (void)state;
    struct told t, without;
    const char *apart = "\"first\": {}, " UNLIMITED;
    run_flow(apart, "\"all\", \"first\", \"serve\"", "\"at_once\"", 3, 3, &without);
    run_flow(apart, "\"first\", \"serve\", \"all\"", "\"at_once\"", 3, 3, &t);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(t.last_token[i], without.last_token[i] - 500);
        assert_int_equal(t.answered[i], t.last_token[i] + 500);
        assert_int_equal(t.after[i], 500);
    }
}

/* One client asks again when the answer has left the last station: 1100 ns of service and 500 ns after it. */
static void test_clients_wait_for_the_last_station(void **state)
{
    (void)state;
    struct told t;
    run_flow(UNLIMITED, "\"serve\", \"all\"", "{\"name\": \"closed_loop\", \"concurrency\": 1}", 1, 4, &t);
    for (int i = 0; i < 4; i++) {
        assert_int_equal(t.arrival[i], 1600 * i);
        assert_int_equal(t.last_token[i], 1600 * i + 1100);
        assert_int_equal(t.answered[i], 1600 * (i + 1));
    }
}

#define QUEUE                                                                                                          \
    "\"model\": \"llama-3.1-8b\", \"device\": \"h100-sxm\", \"workload\": {\"requests\": 60000, \"arrivals\": "        \
    "{\"name\": \"poisson\", \"rate_per_s\": 8}, \"lengths\": {\"prompt\": {\"name\": \"fixed\", \"tokens\": 20}, "    \
    "\"output\": {\"name\": \"fixed\", \"tokens\": 2}}}"

/* Erlang's formula, and Pollaczek and Khinchine's. Waits of 60 000 requests have a standard error of about 2 %. */
static void test_waits_are_those_of_theory(void **state)
{
    (void)state;
    static const struct {
        unsigned servers;
        const char *service;
        double mean, scv;
    } cases[] = {{4, "{\"name\": \"exponential\", \"mean\": 0.375}", 0.375, 1},
                 {1, "{\"name\": \"gamma\", \"mean\": 0.075, \"cv\": 0.5}", 0.075, 0.25},
                 {1, "{\"name\": \"lognormal\", \"median\": 0.06, \"sigma\": 0.6}", 0.0718330418, 0.4333294146},
                 {1, "{\"name\": \"uniform\", \"min\": 0.05, \"max\": 0.1}", 0.075, 1.0 / 27},
                 {2, "{\"name\": \"exponential\", \"mean\": 0.2}", 0.2, 1}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct error err = {0};
        char text[1200];
        snprintf(text, sizeof text,
                 "{" QUEUE
                 ", \"cluster\": {\"pools\": {\"x\": {\"kind\": \"delay\", \"servers\": %u, \"service_s\": %s}, "
                 "\"serve\": {}}, \"flow\": [\"x\", \"serve\"]}}",
                 cases[i].servers, cases[i].service);
        struct simulation *s = open_simulation(text);
        expect_ok(simulation_run(s, NULL, &err), &err);
        struct station_summary t = run_metrics_delay(&s->metrics, &s->scenario, 0, false, s->summary.duration_s);
        double expected = cases[i].servers == 1 ? theory_mg1_wait_s(8, cases[i].mean, cases[i].scv)
                                                : theory_mmc_wait_s(8, 1 / cases[i].mean, cases[i].servers);
        assert_string_equal(t.name, "delay:x");
        assert_true(fabs(t.wait_s / expected - 1) < 0.06);
        assert_true(fabs(t.busy - 8 * cases[i].mean / cases[i].servers) < 0.02 && t.utilization == t.busy);
        assert_true(fabs(t.service_scv - cases[i].scv) < 0.05 * (1 + cases[i].scv));
        assert_true(fabs(1 / t.service_rate - cases[i].mean) < 0.02 * cases[i].mean);
        assert_true(t.little_residual == 0 && !s->summary.overloaded);
        simulation_close(s);
    }
}

/* In whatever order those of an instant finish. */
static void hash_finish(void *state, struct station_id station, const struct request *r)
{
    uint64_t own = ((uint64_t)r->last_token ^ r->id << 40 ^ (uint64_t)station.index << 60) * 0x100000001b3u;
    *(uint64_t *)state += (own ^ (uint64_t)r->parts[PART_QUEUE]) * 0x100000001b3u;
}

static uint64_t hash_of(const char *cluster, const char *arrivals)
{
    struct error err = {0};
    char text[1200];
    uint64_t hash = 1;
    snprintf(text, sizeof text,
             "{\"model\": \"llama-3.1-8b\", \"device\": \"h100-sxm\", \"cluster\": {%s}, \"workload\": {\"requests\": "
             "400, \"arrivals\": %s, \"lengths\": {\"prompt\": {\"name\": \"exponential\", \"mean\": 900}, \"output\": "
             "{\"name\": \"exponential\", \"mean\": 90}}}}",
             cluster, arrivals);
    const struct observer observer = {.state = &hash, .finished = hash_finish};
    struct simulation *s = open_simulation(text);
    expect_ok(simulation_run(s, &(struct simulation_options){.observers = &observer}, &err), &err);
    assert_int_equal(s->summary.totals.finished, 400);
    simulation_close(s);
    return hash;
}

/* Stations that take no time change nothing: not routing, not batches, not what closed loops send. */
static void test_no_delay_is_as_none_there(void **state)
{
    (void)state;
#define NONE                                                                                                           \
    "\"z\": {\"kind\": \"delay\", \"service_s\": 0}, \"y\": {\"kind\": \"delay\", \"servers\": \"unlimited\", "        \
    "\"service_s\": 0}, "
    static const char *const pools[][2] = {
        {"\"pools\": {\"a\": {\"replicas\": 3}}, \"routing\": \"least_outstanding_tokens\"",
         "\"pools\": {" NONE "\"a\": {\"replicas\": 3}}, \"flow\": [\"z\", \"y\", \"a\"], \"routing\": "
         "\"least_outstanding_tokens\""},
        {"\"pools\": {\"a\": {\"replicas\": 3}}, \"routing\": \"central_queue\"",
         "\"pools\": {" NONE "\"a\": {\"replicas\": 3}}, \"flow\": [\"y\", \"z\", \"a\"], \"routing\": "
         "\"central_queue\""},
        {"\"pools\": {\"a\": {\"replicas\": 2}, \"b\": {}}, \"flow\": [\"a\", \"b\"]",
         "\"pools\": {" NONE "\"a\": {\"replicas\": 2}, \"b\": {}}, \"flow\": [\"y\", \"z\", \"a\", \"b\"]"},
        {"\"pools\": {\"a\": {\"replicas\": 2}}, \"failures\": {\"mtbf_s\": 9, \"mttr_s\": 2}",
         "\"pools\": {" NONE
         "\"a\": {\"replicas\": 2}}, \"flow\": [\"y\", \"z\", \"a\"], \"failures\": {\"mtbf_s\": 9, "
         "\"mttr_s\": 2}"},
        {"\"pools\": {\"a\": {\"replicas\": 3}}, \"routing\": \"least_outstanding_tokens\"",
         "\"pools\": {" NONE "\"a\": {\"replicas\": 3}}, \"flow\": [\"a\", \"z\", \"y\"], \"routing\": "
         "\"least_outstanding_tokens\""},
        {"\"pools\": {\"a\": {\"replicas\": 3}}, \"routing\": \"central_queue\"",
         "\"pools\": {" NONE "\"a\": {\"replicas\": 3}}, \"flow\": [\"y\", \"a\", \"z\"], \"routing\": "
         "\"central_queue\""},
        {"\"pools\": {\"a\": {\"replicas\": 2}, \"b\": {}}, \"flow\": [\"a\", \"b\"]",
         "\"pools\": {" NONE "\"a\": {\"replicas\": 2}, \"b\": {}}, \"flow\": [\"a\", \"b\", \"y\", \"z\"]"},
        {"\"pools\": {\"a\": {\"replicas\": 2}}, \"failures\": {\"mtbf_s\": 9, \"mttr_s\": 2}",
         "\"pools\": {" NONE
         "\"a\": {\"replicas\": 2}}, \"flow\": [\"a\", \"y\", \"z\"], \"failures\": {\"mtbf_s\": 9, "
         "\"mttr_s\": 2}"},
    };
    static const char *const arrivals[] = {"{\"name\": \"poisson\", \"rate_per_s\": 25}",
                                           "{\"name\": \"closed_loop\", \"concurrency\": 40}", "\"at_once\""};
    for (size_t i = 0; i < sizeof pools / sizeof *pools; i++)
        for (size_t k = 0; k < sizeof arrivals / sizeof *arrivals; k++)
            assert_true(hash_of(pools[i][0], arrivals[k]) == hash_of(pools[i][1], arrivals[k]));
}

/* The same draws under any policy, and a station that cannot keep up is named. */
static void test_an_overloaded_delay_station_is_named(void **state)
{
    (void)state;
    struct run_summary r;
    run_scenario("{" QUEUE
                 ", \"cluster\": {\"pools\": {\"x\": {\"kind\": \"delay\", \"servers\": 2, \"service_s\": 0.3}, "
                 "\"serve\": {}}, \"flow\": [\"x\", \"serve\"]}, \"slo\": {\"e2e_s\": {\"mean\": 1e9}}}",
                 &r);
    assert_true(r.overloaded && !r.slo.met);
    assert_string_equal(r.overloaded_station, "delay:x");
}

static void test_what_makes_no_sense_is_refused(void **state)
{
    (void)state;
    static const struct {
        const char *cluster, *sentence;
    } cases[] = {
        {"\"pools\": {\"x\": {\"kind\": \"delay\", \"service_s\": 1}, \"a\": {}}",
         "a flow that says when pools of a kind other than"},
        {"\"pools\": {\"x\": {\"kind\": \"delay\", \"service_s\": 1}, \"a\": {}, \"b\": {}}, \"flow\": [\"a\", \"x\", "
         "\"b\"]",
         "between prefill and decode a request's KV would hold memory while nothing is computed"},
        {"\"pools\": {\"x\": {\"kind\": \"delay\", \"service_s\": 1}, \"a\": {}}, \"flow\": [[\"x\"], \"a\"]",
         "a step of its own for a pool of a kind other than"},
        {"\"pools\": {\"x\": {\"kind\": \"delay\", \"service_s\": 1}, \"a\": {}}, \"flow\": [\"x\", \"x\", \"a\"]",
         "stands nowhere else in the flow"},
        {"\"pools\": {\"x\": {\"kind\": \"delay\", \"service_s\": 1}, \"a\": {}}, \"flow\": [\"a\"]", "every pool"},
        {"\"pools\": {\"x\": {\"kind\": \"delay\", \"service_s\": 1}}, \"flow\": [\"x\"]",
         "a pool of kind \"replica\""},
        {"\"pools\": {\"x\": {\"kind\": \"delays\"}, \"a\": {}}", "did you mean \"delay\"?"},
        {"\"pools\": {\"x\": {\"kind\": \"delay\"}, \"a\": {}}, \"flow\": [\"x\", \"a\"]",
         "cluster.pools.x.service_s: is missing, expected a number of seconds"},
        {"\"pools\": {\"x\": {\"kind\": \"delay\", \"service_s\": -1}, \"a\": {}}, \"flow\": [\"x\", \"a\"]",
         "a number of seconds from 0"},
        {"\"pools\": {\"x\": {\"kind\": \"delay\", \"service_s\": {\"name\": \"exponentail\"}}, \"a\": {}}",
         "did you mean \"exponential\"?"},
        {"\"pools\": {\"x\": {\"kind\": \"delay\", \"service_s\": 1, \"replicas\": 2}, \"a\": {}}", "replicas"},
        {"\"pools\": {\"x\": {\"kind\": \"delay\", \"service_s\": 1, \"servers\": 0}, \"a\": {}}", "servers"},
        {"\"pools\": {\"x\": {\"kind\": \"delay\", \"service_s\": 1}, \"a\": {}}, \"flow\": [\"x\", \"a\"], "
         "\"admission\": {\"give_up_s\": 1}",
         "give_up_s"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[1200];
        snprintf(text, sizeof text, "{" QUEUE ", \"cluster\": {%s}}", cases[i].cluster);
        expect_scenario_refused(text, cases[i].sentence);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_server_takes_one_request_after_another),
        cmocka_unit_test(test_a_delay_ends_before_replicas_act),
        cmocka_unit_test(test_stations_one_after_another),
        cmocka_unit_test(test_answers_wait_for_a_station_after_serving),
        cmocka_unit_test(test_stations_before_and_after_serving),
        cmocka_unit_test(test_a_station_after_decoding_elsewhere),
        cmocka_unit_test(test_clients_wait_for_the_last_station),
        cmocka_unit_test(test_waits_are_those_of_theory),
        cmocka_unit_test(test_no_delay_is_as_none_there),
        cmocka_unit_test(test_an_overloaded_delay_station_is_named),
        cmocka_unit_test(test_what_makes_no_sense_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

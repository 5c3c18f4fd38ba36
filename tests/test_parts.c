/* SPDX-License-Identifier: MIT */
/* A run on several threads gives what one thread gives, bit for bit, whatever the replicas do; and what one thread has
 * to see is left to it. */
#include <gsl/gsl_rng.h>

#include "base/random.h"
#include "simulation/arrival_feed.h"
#include "simulation/parts.h"
#include "tests/harness.h"
#include "tests/random_scenario.h"
#include "tests/same_run.h"

enum { SCENARIOS = 50 };

static struct simulation *run_on(const char *text, unsigned threads, size_t *parts)
{
    struct error err = {0};
    const struct simulation_options o = {.threads = threads};
    struct simulation *s = open_simulation(text);
    *parts = parts_of(s, &o);
    expect_ok(simulation_run(s, &o, &err), &err);
    return s;
}

static bool same_station(const struct station_sums *a, const struct station_sums *b)
{
    return a->arrivals == b->arrivals && a->departures == b->departures && a->arrival_times == b->arrival_times &&
           a->departure_times == b->departure_times && a->stay == b->stay && a->last_arrival == b->last_arrival &&
           memcmp(&a->gap_sum, &b->gap_sum, sizeof a->gap_sum) == 0 &&
           memcmp(&a->gap_squares, &b->gap_squares, sizeof a->gap_squares) == 0 && a->service == b->service &&
           a->service_squares == b->service_squares && a->busy_ns == b->busy_ns;
}

static bool same_bands(const struct bands *a, const struct bands *b)
{
    struct band x[BANDS], y[BANDS];
    bands_summarise(a, x);
    bands_summarise(b, y);
    return memcmp(x, y, sizeof x) == 0;
}

/* What the summaries do not show. */
static const char *hidden_difference(const struct run_metrics *a, const struct run_metrics *b)
{
    if (!same_station(&a->system, &b->system) || !same_station(&a->queue, &b->queue))
        return "the whole cluster's sums";
    for (size_t i = 0; i < a->replica_count; i++)
        if (!same_station(&a->replicas[i].system, &b->replicas[i].system) ||
            !same_station(&a->replicas[i].queue, &b->replicas[i].queue) ||
            memcmp(&a->replicas[i].growth.waits, &b->replicas[i].growth.waits, sizeof a->replicas[i].growth.waits) != 0)
            return "a replica's sums";
    if (a->sections.width != b->sections.width || a->sections.count != b->sections.count)
        return "sections";
    for (size_t i = 0; i < SECTIONS_MAX; i++) {
        struct slo_counts x = a->attainment.scopes[0].counts[i], y = b->attainment.scopes[0].counts[i];
        if (i < a->sections.count &&
            (a->sections.first[i] != b->sections.first[i] || a->sections.last[i] != b->sections.last[i]))
            return "when sections began and ended";
        if (a->sums[i].arrived != b->sums[i].arrived || a->sums[i].output_tokens != b->sums[i].output_tokens ||
            !same_bands(&a->sums[i].ttft_bands, &b->sums[i].ttft_bands) ||
            !same_bands(&a->sums[i].e2e_bands, &b->sums[i].e2e_bands))
            return "a section's sums";
        if (x.arrived != y.arrived || x.met != y.met || x.gaps_due != y.gaps_due)
            return "a section's verdicts";
    }
    return memcmp(&a->batches, &b->batches, sizeof a->batches) != 0 ? "batches" : NULL;
}

static void expect_same(const char *text, unsigned threads)
{
    size_t one, several;
    struct simulation *whole = run_on(text, 1, &one), *parts = run_on(text, threads, &several);
    const char *found = first_difference(whole, parts);
    found = found ? found : hidden_difference(&whole->metrics, &parts->metrics);
    if (found)
        fail_msg("on %u threads %s differ(s): %s", threads, found, text);
    simulation_close(whole);
    simulation_close(parts);
}

/* A random scenario whose replicas do not wait for one another; NULL: something else is in it. */
static char *independent(gsl_rng *rng)
{
    char text[7000], *made = NULL;
    unsigned n[2];
    random_scenario(rng, text, sizeof text);
    draw(rng, n, 2);
    cJSON *root = cJSON_Parse(text), *cluster = cJSON_GetObjectItem(root, "cluster");
    if (!cJSON_IsObject(cluster))
        cluster = cJSON_AddObjectToObject(root, "cluster");
    cJSON_DeleteItemFromObject(cluster, "routing");
    cJSON_AddStringToObject(cluster, "routing", n[0] % 2 ? "round_robin" : "random");
    static const char *const shared[] = {"replicas", "failures", "autoscaling", "admission", "tiers", "nodes"};
    for (size_t i = 0; i < sizeof shared / sizeof *shared; i++)
        cJSON_DeleteItemFromObject(cluster, shared[i]);
    if (!cJSON_GetObjectItem(cluster, "pools"))
        cJSON_AddNumberToObject(cluster, "replicas", 2 * (1 + n[1] % 3));
    cJSON_SetNumberValue(cJSON_GetObjectItem(cJSON_GetObjectItem(root, "workload"), "requests"), 1500);
    struct error err;
    struct simulation *s;
    made = cJSON_PrintUnformatted(root);
    if (simulation_open((struct json){.node = root, .file = "random"}, &s, &err)) {
        cJSON_free(made);
        return NULL;
    }
    const struct simulation_options o = {.threads = 2};
    if (parts_of(s, &o) < 2) {
        cJSON_free(made);
        made = NULL;
    }
    simulation_close(s);
    return made;
}

static void test_any_number_of_threads_gives_the_same(void **state)
{
    (void)state;
    gsl_rng *rng = random_stream_create(20261128, "parts");
    size_t compared = 0;
    for (int i = 0; i < SCENARIOS; i++) {
        char *text = independent(rng);
        if (!text)
            continue;
        expect_same(text, 2 + (unsigned)(compared++ % 5));
        cJSON_free(text);
    }
    gsl_rng_free(rng);
    assert_true(compared > SCENARIOS / 4);
}

static void test_one_thread_sees_who_is_refused(void **state)
{
    (void)state;
    static const char text[] =
        "{\"model\": \"llama-3.1-8b\", \"device\": \"h100-sxm\", \"cluster\": {\"replicas\": 4},"
        " \"policy\": {\"batching\": \"unified_budget\", \"kv_blocks\": 3000}, \"workload\": {\"requests\": 3000,"
        " \"arrivals\": {\"name\": \"poisson\", \"rate_per_s\": 40}, \"lengths\": {\"prompt\": "
        "{\"name\": \"lognormal\","
        " \"median\": 20000, \"sigma\": 2, \"max\": 130000}, \"output\": {\"name\": \"fixed\", \"tokens\": 10}}}}";
    size_t parts;
    struct simulation *s = run_on(text, 3, &parts);
    assert_int_equal(parts, 3);
    assert_true(s->summary.totals.rejected > 0);
    simulation_close(s);
    expect_same(text, 3);
}

/* Three replicas that serve a request in well over a second each, a request a millisecond: all are in flight. */
static void test_most_in_flight_by_hand(void **state)
{
    (void)state;
    static const char text[] =
        "{\"model\": \"llama-3.1-8b\", \"device\": \"h100-sxm\", \"cluster\": {\"replicas\": 3},"
        " \"policy\": {\"batching\": \"unified_budget\"}, \"workload\": {\"requests\": %s,"
        " \"arrivals\": {\"name\": \"deterministic\", \"rate_per_s\": 1000}, \"lengths\": {\"prompt\": {\"name\":"
        " \"fixed\", \"tokens\": 10}, \"output\": {\"name\": \"fixed\", \"tokens\": 1000}}}}";
    char own[sizeof text + 16];
    size_t parts;
    snprintf(own, sizeof own, text, "300");
    struct simulation *s = run_on(own, 3, &parts);
    assert_int_equal(parts, 3);
    assert_int_equal(s->summary.totals.peak_in_flight, 300);
    assert_int_equal(s->summary.totals.finished, 300);
    simulation_close(s);
}

static size_t parts_with(const char *cluster, const char *rest, unsigned threads)
{
    char text[1000];
    snprintf(text, sizeof text,
             "{\"model\": \"llama-3.1-8b\", \"device\": \"h100-sxm\", \"cluster\": {%s},"
             " \"policy\": {\"batching\": \"unified_budget\"}, \"workload\": {\"requests\": 10,"
             " \"arrivals\": {\"name\": \"poisson\", \"rate_per_s\": 10}, \"lengths\": {\"prompt\": {\"name\":"
             " \"fixed\", \"tokens\": 10}, \"output\": {\"name\": \"fixed\", \"tokens\": 10}}}%s}",
             cluster, rest);
    struct simulation *s = open_simulation(text);
    const struct simulation_options o = {.threads = threads};
    size_t parts = parts_of(s, &o);
    simulation_close(s);
    return parts;
}

static void test_what_runs_in_parts(void **state)
{
    (void)state;
    assert_int_equal(parts_with("\"replicas\": 8", "", 3), 3);
    assert_int_equal(parts_with("\"replicas\": 8, \"routing\": \"random\"", "", 64), 8);
    assert_int_equal(parts_with("\"replicas\": 8", "", 1), 1);
    assert_int_equal(parts_with("\"replicas\": 1", "", 3), 1);
    assert_int_equal(parts_with("\"replicas\": 8, \"pipeline_parallel\": 2", "", 3), 3);
    assert_int_equal(parts_with("\"replicas\": 8, \"routing\": \"least_outstanding_tokens\"", "", 3), 1);
    assert_int_equal(parts_with("\"replicas\": 8, \"routing\": \"central_queue\"", "", 3), 1);
    assert_int_equal(parts_with("\"replicas\": 8, \"failures\": {\"mtbf_s\": 5, \"mttr_s\": 1}", "", 3), 1);
    assert_int_equal(parts_with("\"replicas\": 8",
                                ", \"slo\": {\"ttft_s\": {\"mean\": 1}, \"windows\": {\"length_s\": 10}}", 3),
                     1);
}

static void test_a_run_in_parts_stops(void **state)
{
    (void)state;
    static const char text[] =
        "{\"model\": \"llama-3.1-8b\", \"device\": \"h100-sxm\", \"cluster\": {\"replicas\": 4},"
        " \"policy\": {\"batching\": \"unified_budget\"}, \"workload\": {\"requests\": 100000000,"
        " \"arrivals\": {\"name\": \"poisson\", \"rate_per_s\": 40}, \"lengths\": {\"prompt\": {\"name\": \"fixed\","
        " \"tokens\": 100}, \"output\": {\"name\": \"fixed\", \"tokens\": 10}}}}";
    static volatile sig_atomic_t stop;
    struct error err = {0};
    struct simulation *s = open_simulation(text);
    stop = 1;
    const struct simulation_options o = {.threads = 3, .control = {.stop = &stop}};
    expect_ok(simulation_run(s, &o, &err), &err);
    assert_true(s->summary.totals.stopped);
    assert_true(s->summary.totals.arrived < 100000);
    simulation_close(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_any_number_of_threads_gives_the_same),
        cmocka_unit_test(test_one_thread_sees_who_is_refused),
        cmocka_unit_test(test_most_in_flight_by_hand),
        cmocka_unit_test(test_what_runs_in_parts),
        cmocka_unit_test(test_a_run_in_parts_stops),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

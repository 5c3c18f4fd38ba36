/* SPDX-License-Identifier: MIT */
#include "reports/validate_theory.h"

#include <stdio.h>
#include <stdlib.h>

#include "reports/metrics.h"
#include "reports/theory.h"

#define EXPONENTIAL "{\"name\": \"exponential\", \"mean\": 100000}"
#define FIXED "{\"name\": \"fixed\", \"tokens\": 100000}"
/* Median 1e5 exp(−1/2) and σ 1: mean 1e5 and SCV e − 1. */
#define LOGNORMAL "{\"name\": \"lognormal\", \"median\": 60653.0659713, \"sigma\": 1}"

static const double services_per_s = 1000;

const struct theory_case theory_cases[] = {
    {"M/M/1", EXPONENTIAL, 1, 1},
    {"M/D/1", FIXED, 0, 1},
    {"M/G/1 log-normal", LOGNORMAL, 1.71828182845904524, 1},
    {"M/M/3", EXPONENTIAL, 1, 3},
    {0},
};

double theory_case_exact_s(const struct theory_case *c, double rho)
{
    double rate = rho * c->servers * services_per_s;
    return c->servers > 1 ? theory_mmc_wait_s(rate, services_per_s, c->servers)
                          : theory_mg1_wait_s(rate, 1 / services_per_s, c->service_scv);
}

static int simulate(struct scenario *s, struct run_metrics *m, struct estimate *out, struct error *err)
{
    struct request_source source = {0};
    struct cluster_totals totals;
    struct run_summary summary;
    if (run_metrics_init(m, s, err) || scenario_open_workload(s, &source, err))
        return -1;
    struct observer observer = run_metrics_observer(m);
    int status = cluster_run(&s->cluster, simulated_executor(&s->cost), &source, &observer, NULL, &totals, err);
    request_source_destroy(&source);
    if (status || run_metrics_summarise(m, s, &totals, &summary, err))
        return -1;
    *out = summary.wait_99;
    return 0;
}

static int simulate_requests(const struct theory_case *c, double rho, unsigned seed, uint64_t requests,
                             struct estimate *out, struct error *err)
{
    char text[1000];
    snprintf(text, sizeof text,
             "{\"seed\": %u, \"model\": \"ideal\", \"device\": \"ideal-server\", \"output\": {\"warmup\": \"mser5\"},"
             "\"cluster\": {\"replicas\": %u, \"routing\": \"%s\"},"
             "\"policy\": {\"batching\": {\"name\": \"continuous\", \"max_sequences\": 1}, \"kv_blocks\": 1000000000},"
             "\"workload\": {\"arrivals\": {\"name\": \"poisson\", \"rate_per_s\": %.9g}, \"requests\": %llu,"
             "\"lengths\": {\"prompt\": %s, \"output\": {\"name\": \"fixed\", \"tokens\": 1}}}}",
             seed, c->servers, c->servers > 1 ? "central_queue" : "round_robin", rho * c->servers * services_per_s,
             (unsigned long long)requests, c->prompt);
    struct json root;
    struct scenario s;
    struct run_metrics *m = calloc(1, sizeof *m);
    if (!m)
        return error_no_memory(err);
    int status = json_parse(text, "theory", &root, err) || scenario_compile(&s, root, err) ? -1 : 0;
    if (status == 0) {
        status = simulate(&s, m, out, err);
        run_metrics_release(m);
        scenario_release(&s);
    }
    free(m);
    return status;
}

/* A half-width falls with the square root of the run's length, so the length needed is known but for the noise of
 * its estimate; a fifth more usually suffices at the first try. */
int theory_case_simulate(const struct theory_case *c, double rho, unsigned seed, uint64_t requests, double precision,
                         struct estimate *out, struct error *err)
{
    for (;;) {
        if (simulate_requests(c, rho, seed, requests, out, err))
            return -1;
        double off = precision > 0 ? (out->high - out->value) / (precision * out->value) : 0;
        if (!(off > 1))
            return 0;
        requests = (uint64_t)((double)requests * 1.2 * off * off) + 1;
    }
}

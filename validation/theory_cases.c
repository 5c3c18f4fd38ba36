/* SPDX-License-Identifier: MIT */
#include "validation/theory_cases.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "planner/parallel.h"
#include "reports/stats/theory.h"
#include "simulation/simulation.h"

#define EXPONENTIAL "{\"name\": \"exponential\", \"mean\": 100000}"
#define FIXED "{\"name\": \"fixed\", \"tokens\": 100000}"
/* Median 1e5 exp(−1/2) and σ 1: mean 1e5 and SCV e − 1. */
#define LOGNORMAL "{\"name\": \"lognormal\", \"median\": 60653.0659713, \"sigma\": 1}"

#define BULK_PROMPT "{\"name\": \"fixed\", \"tokens\": 10000}"
#define ONE_OUTPUT "{\"name\": \"fixed\", \"tokens\": 1}"
#define UP_TO_EIGHT "{\"name\": \"uniform\", \"min\": 1, \"max\": 8}"
#define ONE_AT_A_TIME "{\"name\": \"continuous\", \"max_sequences\": 1}"

static const double services_per_s = 1000;

const struct theory_case theory_cases[] = {
    {.formula = "M/M/1", .prompt = EXPONENTIAL, .service_scv = 1, .servers = 1},
    {.formula = "M/D/1", .prompt = FIXED, .service_scv = 0, .servers = 1},
    {.formula = "M/G/1 log-normal", .prompt = LOGNORMAL, .service_scv = 1.71828182845904524, .servers = 1},
    {.formula = "M/M/3", .prompt = EXPONENTIAL, .service_scv = 1, .servers = 3},
    {.formula = "M/M/1 SJF", .prompt = EXPONENTIAL, .servers = 1, .order = "{\"name\": \"sjf\", \"prompt_weight\": 1}"},
    {"M/G[1,16]/1 dynamic", BULK_PROMPT, 0, 1, NULL, "{\"name\": \"dynamic_batch\", \"max_sequences\": 16}", 1, 16},
    {"M/G[8,8]/1 fixed", BULK_PROMPT, 0, 1, NULL, "{\"name\": \"fixed_batch\", \"size\": 8}", 8, 8},
    {"M/G[1,16]/1 elastic", BULK_PROMPT, 0, 1, NULL, "{\"name\": \"elastic_batch\", \"max_sequences\": 16}", 1, 16},
    {0},
};

enum { MOST_OUTPUTS = 8, MOST_SUM = 16 * MOST_OUTPUTS };

/* Finished rows stay: the batch lasts as long as its longest output. P(longest ≤ l) = (l/8)^b. */
static unsigned padded_batch(const void *model, unsigned size, double *seconds, double *probability)
{
    (void)model;
    for (int l = 1; l <= MOST_OUTPUTS; l++) {
        seconds[l - 1] = 1e-3 * (1 + 0.1 * size + (l - 1) * (1 + 0.02 * size));
        probability[l - 1] = pow((double)l / MOST_OUTPUTS, size) - pow((double)(l - 1) / MOST_OUTPUTS, size);
    }
    return MOST_OUTPUTS;
}

/* P(every output ≤ longest and their sum = s), for all s. */
static void sums_within(unsigned size, int longest, double *sums)
{
    double next[MOST_SUM + 1];
    memset(sums, 0, (MOST_SUM + 1) * sizeof *sums);
    sums[0] = 1;
    for (unsigned i = 0; i < size; i++) {
        memset(next, 0, sizeof next);
        for (int s = 0; s + longest <= MOST_SUM; s++)
            for (int o = 1; sums[s] > 0 && o <= longest; o++)
                next[s + o] += sums[s] / MOST_OUTPUTS;
        memcpy(sums, next, sizeof next);
    }
}

/* Rows leave as they are done: of the batch's outputs both the longest and the sum count. */
static unsigned elastic_batch(const void *model, unsigned size, double *seconds, double *probability)
{
    double within[2][MOST_SUM + 1] = {{0}};
    unsigned count = 0;
    (void)model;
    for (int l = 1; l <= MOST_OUTPUTS; l++) {
        sums_within(size, l, within[l % 2]);
        for (int s = 0; s <= MOST_SUM; s++) {
            double p = within[l % 2][s] - (l > 1 ? within[(l + 1) % 2][s] : 0);
            if (p <= 0)
                continue;
            seconds[count] = 1e-3 * (1 + 0.1 * size + (l - 1) + 0.02 * (s - (int)size));
            probability[count++] = p;
        }
    }
    return count;
}

static bulk_service service_of(const struct theory_case *c)
{
    return strstr(c->batching, "elastic") ? elastic_batch : padded_batch;
}

/* Utilisation 1 is where batches of the largest size just keep up. */
static double arrival_rate(const struct theory_case *c, double rho)
{
    static _Thread_local double seconds[BULK_OUTCOMES], probability[BULK_OUTCOMES];
    double mean = 0;
    if (!c->batching)
        return rho * c->servers * services_per_s;
    unsigned outcomes = service_of(c)(NULL, c->most, seconds, probability);
    for (unsigned i = 0; i < outcomes; i++)
        mean += probability[i] * seconds[i];
    return rho * c->most / mean;
}

double theory_case_exact_s(const struct theory_case *c, double rho)
{
    if (c->batching)
        return theory_bulk_wait_s(arrival_rate(c, rho), c->least, c->most, service_of(c), NULL);
    double rate = rho * c->servers * services_per_s;
    if (c->order)
        return theory_mm1_sjf_wait_s(rate, 1 / services_per_s);
    return c->servers > 1 ? theory_mmc_wait_s(rate, services_per_s, c->servers)
                          : theory_mg1_wait_s(rate, 1 / services_per_s, c->service_scv);
}

static int simulate_requests(const struct theory_case *c, double rho, unsigned seed, uint64_t requests,
                             struct estimate *out, struct error *err)
{
    char text[1000];
    unsigned batch = c->least ? c->least : 1;
    requests += (batch - requests % batch) % batch; /* the last batch is full: nobody waits for more to come */
    snprintf(text, sizeof text,
             "{\"seed\": %u, \"model\": \"ideal\", \"device\": \"%s\", \"output\": {\"warmup\": \"mser5\"},"
             "\"cluster\": {\"replicas\": %u, \"routing\": \"%s\"},"
             "\"policy\": {\"batching\": %s, \"order\": %s, \"kv_blocks\": 1000000000},"
             "\"workload\": {\"arrivals\": {\"name\": \"poisson\", \"rate_per_s\": %.9g}, \"requests\": %llu,"
             "\"lengths\": {\"prompt\": %s, \"output\": %s}}}",
             seed, c->batching ? "ideal-batch-server" : "ideal-server", c->servers,
             c->servers > 1 ? "central_queue" : "round_robin", c->batching ? c->batching : ONE_AT_A_TIME,
             c->order ? c->order : "\"fcfs\"", arrival_rate(c, rho), (unsigned long long)requests, c->prompt,
             c->batching ? UP_TO_EIGHT : ONE_OUTPUT);
    struct json root;
    struct simulation *s = NULL;
    if (json_parse(text, "theory", &root, err) || simulation_open(root, &s, err))
        return -1;
    int status = simulation_run(s, NULL, err);
    *out = s->summary.wait_99;
    simulation_close(s);
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

struct seeds_job {
    const struct theory_case *c;
    const struct theory_runs *runs;
    struct estimate *waits; /* [seeds] */
};

static int simulate_seed(void *job, size_t index, struct error *err)
{
    struct seeds_job *j = job;
    return theory_case_simulate(j->c, j->runs->rho, (unsigned)index + 1, j->runs->requests, j->runs->precision,
                                &j->waits[index], err);
}

static struct theory_row row_of(const struct seeds_job *j)
{
    struct theory_row row = {.exact_s = theory_case_exact_s(j->c, j->runs->rho), .first_s = j->waits[0].value};
    double seeds = (double)j->runs->seeds;
    for (size_t i = 0; i < j->runs->seeds; i++) {
        const struct estimate *e = &j->waits[i];
        row.covers += row.exact_s >= e->low && row.exact_s <= e->high;
        row.mean_s += e->value / seeds;
        row.half_s += (e->high - e->value) / seeds;
    }
    return row;
}

int theory_case_compare(const struct theory_case *c, const struct theory_runs *runs, struct theory_row *out,
                        struct error *err)
{
    struct seeds_job job = {c, runs, calloc(runs->seeds, sizeof *job.waits)};
    if (!job.waits)
        return error_no_memory(err);
    int status = parallel_run(simulate_seed, &job, runs->seeds, runs->threads, err);
    if (status == 0)
        *out = row_of(&job);
    free(job.waits);
    return status;
}

/* SPDX-License-Identifier: MIT */
/* A program of somebody else's that uses libtandem: all of its interface once. It ends as the commands do: a sentence
 * and 2 where the input is wrong, 1 where something failed. */
#include <stdio.h>

#include "include/tandem/tandem.h"

static void count(void *state, const tandem_request *request)
{
    unsigned long *tokens = state;
    *tokens += request->output_tokens;
}

static int keep(tandem_run *run, tandem_error *err)
{
    double low, high;
    tandem_interval(run, "ttft_s", "mean", &low, &high);
    int64_t kept = tandem_keep_in(run, "tandem.db", err) ? -1 : tandem_keep(run, err);
    printf("run %lld: mean TTFT %.9g s in [%.9g, %.9g], %.9g requests/s, SLO %d by %s\n", (long long)kept,
           tandem_metric(run, "ttft_s", "mean"), low, high, tandem_value(run, "requests_per_s"), tandem_slo_met(run),
           tandem_slo_binding(run));
    return kept < 0 ? -1 : 0;
}

static const char scenario[] =
    "{\"model\": \"llama-3.1-8b\", \"device\": \"h100-sxm\", \"workload\": {\"arrivals\": "
    "{\"name\": \"poisson\", \"rate_per_s\": 8}, \"lengths\": \"lognormal\", \"requests\": 60}, "
    "\"slo\": {\"ttft_s\": {\"p99\": 2}}, \"output\": {\"requests\": true}}";

/* Nothing of it is kept. */
static int simulate_shipped(tandem_error *err)
{
    tandem_run *run = tandem_open("default", err);
    int failed = !run || tandem_set(run, "workload.requests", "20", err) || tandem_simulate(run, err);
    if (!failed)
        printf("p90 E2E %.9g s\n", tandem_metric(run, "e2e_s", "p90"));
    tandem_close(run);
    return failed;
}

int main(void)
{
    tandem_error err = {0};
    unsigned long tokens = 0;
    int failed = simulate_shipped(&err);
    tandem_run *run = failed ? NULL : tandem_open_text(scenario, &err);
    if (!failed)
        failed = !run || tandem_set(run, "cluster.replicas", "2", &err) ||
                 tandem_on_finished(run, count, &tokens, sizeof(tandem_request), &err) || tandem_simulate(run, &err) ||
                 keep(run, &err);
    tandem_close(run);
    printf("%lu tokens\n", tokens);
    if (!failed && (fflush(stdout) || ferror(stdout))) {
        err.code = TANDEM_IO;
        snprintf(err.text, sizeof err.text, "standard output cannot be written");
        failed = 1;
    }
    if (failed)
        fprintf(stderr, "tandem library: %s\n", err.text);
    return !failed ? 0 : err.code == TANDEM_BAD_INPUT ? 2 : 1;
}

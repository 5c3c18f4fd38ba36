/* SPDX-License-Identifier: MIT */
#include "cli/validate_distserve.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "validation/distserve.h"

static double points_off(const struct distserve_run *run, enum distserve_costs costs)
{
    return 100 * (run->simulated[costs].both - run->measured.both);
}

static void print_attained(const struct attained *a)
{
    printf(" %6.1f %6.1f %6.1f", 100 * a->ttft, 100 * a->tpot, 100 * a->both);
}

static void print_run(const struct distserve_run *run)
{
    printf("%-28s %8zu %6g ", run->name, run->requests, run->rate_per_s);
    print_attained(&run->measured);
    for (int costs = 0; costs < DISTSERVE_COSTS; costs++) {
        printf(" |");
        print_attained(&run->simulated[costs]);
        printf(" %+6.1f", points_off(run, (enum distserve_costs)costs));
    }
    printf("\n");
    fflush(stdout);
}

static void print_head(void)
{
    printf(
        "SLO attainment in percent: first token within 0.2 s, a token within 0.1 s, and both; simulated less measured "
        "in points\n");
    printf("%-28s %8s %6s  %20s | %27s | %27s\n", "", "", "", "measured", "forward passes alone",
           "with the authors' overhead");
    printf("%-28s %8s %6s ", "run", "requests", "rate/s");
    for (int i = 0; i <= DISTSERVE_COSTS; i++)
        printf("%s %6s %6s %6s%s", i ? " |" : "", "TTFT", "TPOT", "both", i ? "    off" : "");
    printf("\n");
}

/* How far a system's runs are off under one of the costs. */
static void print_worst(const struct distserve_runs *runs, bool disaggregated, enum distserve_costs costs)
{
    size_t count = 0, near = 0;
    double worst = 0;
    for (size_t i = 0; i < runs->count; i++) {
        const struct distserve_run *run = &runs->items[i];
        if (run->refused || run->disaggregated != disaggregated)
            continue;
        double off = points_off(run, costs);
        count++;
        near += fabs(off) <= 5;
        if (fabs(off) > fabs(worst))
            worst = off;
    }
    if (count > 0)
        printf("%s, %s: %zu of %zu runs within 5 points, worst %+.1f\n", disaggregated ? "DistServe" : "vLLM",
               costs == DISTSERVE_FORWARD ? "forward passes alone" : "with the authors' overhead", near, count, worst);
}

static void print_refused(const struct distserve_runs *runs)
{
    for (size_t i = 0; i < runs->count; i++) {
        const char *reason = runs->items[i].refused;
        size_t before = 0, count = 0;
        for (size_t k = 0; reason && k < runs->count; k++)
            if (runs->items[k].refused && strcmp(runs->items[k].refused, reason) == 0)
                count++, before += k < i;
        if (reason && before == 0)
            printf("left out: %zu runs, %s\n", count, reason);
    }
}

static int change(const void *state, struct json *scenario, struct error *err)
{
    return apply_settings(state, scenario, err);
}

int validate_distserve(const struct arguments *args, const char *folder, struct error *err)
{
    struct distserve_runs runs;
    const struct distserve_change settings = {.apply = change, .state = args};
    int status = distserve_read(folder, &runs, err);
    if (status == 0)
        print_head();
    for (size_t i = 0; status == 0 && i < runs.count; i++) {
        if (runs.items[i].refused)
            continue;
        status = distserve_simulate(folder, &runs.items[i], &settings, err);
        if (status == 0)
            print_run(&runs.items[i]);
    }
    for (int i = 0; status == 0 && i < 2 * DISTSERVE_COSTS; i++)
        print_worst(&runs, i / DISTSERVE_COSTS, (enum distserve_costs)(i % DISTSERVE_COSTS));
    if (status == 0)
        print_refused(&runs);
    distserve_release(&runs);
    return status;
}

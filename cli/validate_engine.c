/* SPDX-License-Identifier: MIT */
#include "cli/validate_engine.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "cli/signals.h"
#include "profiles/shipped.h"
#include "validation/engine.h"
#include "validation/engine_errors.h"
#include "validation/plot.h"

static const struct engine_policy *find_policy(const char *name, size_t length)
{
    for (size_t i = 0; i < ENGINE_POLICIES; i++)
        if (strlen(engine_policies[i].name) == length && strncmp(engine_policies[i].name, name, length) == 0)
            return &engine_policies[i];
    return NULL;
}

static int choose(const char *list, const struct engine_policy *chosen[ENGINE_POLICIES], size_t *count,
                  struct error *err)
{
    for (size_t i = 0; !list && i < ENGINE_POLICIES; i++)
        if (engine_policies[i].usual)
            chosen[(*count)++] = &engine_policies[i];
    while (list && *list) {
        size_t length = strcspn(list, ",");
        const struct engine_policy *policy = find_policy(list, length);
        if (!policy || *count == ENGINE_POLICIES)
            return error_set(err, ERROR_INPUT, "--policies: found %.*s, expected up to %d of those in --help",
                             (int)length, list, ENGINE_POLICIES);
        chosen[(*count)++] = policy;
        list += length + (list[length] == ',');
    }
    return *count > 0 ? 0 : error_set(err, ERROR_INPUT, "--policies: expected at least one");
}

static void print_next(void *state, const struct engine_step *step)
{
    const struct engine_wishes *wishes = state;
    char load[ENGINE_LOAD_NAME];
    fprintf(stderr, "repeat %zu of %lu: %s", step->repeat + 1, wishes->repeats,
            step->policy ? step->policy : "profile");
    if (step->policy)
        fprintf(stderr, ", %s", engine_load_name(step->load, load));
    if (step->known)
        fprintf(stderr, ", was there\n");
    else
        fprintf(stderr, ", about %.0f s left\n", step->left_s);
}

/* A value without an interval stands alone; what is not to be had is a dash. */
static void print_error(struct estimate e)
{
    if (!isfinite(e.value))
        printf("  %13s", "–");
    else if (!isfinite(e.high))
        printf("  %+13.2f", 100 * e.value);
    else
        printf("  %+6.2f ± %4.2f", 100 * e.value, 100 * (e.high - e.value));
}

static void print_error_row(const struct engine_validation *v, size_t i, size_t k)
{
    static const int shown[] = {0, 1, 4}; /* mean, p50, p99 */
    char load[ENGINE_LOAD_NAME];
    const struct finding *found = engine_findings(v, i, k);
    struct engine_errors e = engine_errors_of(found, v->repeats);
    printf("%-17s %-11s %8.2f", v->policies[i]->name, engine_load_name(v->loads[k], load), found[0].measured_rate);
    print_error(e.throughput);
    for (int m = 0; m < MEASURED_METRICS; m++)
        for (size_t n = 0; n < sizeof shown / sizeof *shown; n++)
            print_error(e.latencies[m][shown[n]]);
    printf("  %.2f\n", 100 * e.mean_absolute);
}

static void print_errors(const struct engine_validation *v)
{
    static const char *const columns[] = {"requests/s", "TTFT mean", "TTFT p50", "TTFT p99", "TPOT mean",
                                          "TPOT p50",   "TPOT p99",  "E2E mean", "E2E p50",  "E2E p99"};
    const struct finding *first = engine_findings(v, 0, 0);
    printf("%.0f requests a run; loads are shares of the requests/s that all at once are served with\n\n",
           first->requests);
    if (v->repeats > 1)
        printf("error of the simulation in percent: mean over %zu repeats and its 95 %% interval\n\n", v->repeats);
    else
        printf("error of the simulation in percent: 1 repeat, which has no interval\n\n");
    printf("%-17s %-11s %8s", "", "load", "served/s");
    for (size_t c = 0; c < sizeof columns / sizeof *columns; c++)
        printf("  %13s", columns[c]);
    printf("  %s\n", "mean |error| of 15");
    for (size_t i = 0; i < v->policy_count; i++)
        for (size_t k = 0; k < v->load_count; k++)
            print_error_row(v, i, k);
}

static double larger(double a, double b)
{
    return fabs(a) > fabs(b) ? a : b;
}

/* The worst error of a mean at each load: what a validation comes to. */
static void print_worst(const struct engine_validation *v)
{
    static const char *const labels[MEASURED_METRICS] = {"TTFT", "TPOT", "E2E"};
    char load[ENGINE_LOAD_NAME];
    printf("\nmeans, policy by policy: the worst error and the mean absolute error in percent\n");
    for (size_t k = 0; k < v->load_count; k++) {
        printf("%-11s", engine_load_name(v->loads[k], load));
        for (int m = 0; m < MEASURED_METRICS; m++) {
            double worst = 0, sum = 0;
            for (size_t i = 0; i < v->policy_count; i++) {
                double e = engine_errors_of(engine_findings(v, i, k), v->repeats).latencies[m][0].value;
                worst = larger(worst, e);
                sum += fabs(e);
            }
            printf("  %s %+.2f, %.2f", labels[m], 100 * worst, 100 * sum / (double)v->policy_count);
        }
        printf("\n");
    }
}

static void print_priced_row(const char *policy, enum priced_kind kind, const struct priced *all)
{
    struct priced_errors p = engine_priced_sum(all);
    if (p.count > 0)
        printf("%-17s  %-28s %7.0f  %9.3f  %9.3f  %+7.2f  %+7.2f  %7.2f\n", policy, priced_kind_names[kind], p.count,
               1e3 * p.taken_s, 1e3 * p.said_s, 100 * p.error, 100 * p.mean, 100 * p.spread);
}

static void add_policy(const struct engine_validation *v, size_t i, enum priced_kind kind, struct priced *all)
{
    for (size_t k = 0; k < v->load_count; k++)
        engine_priced_add(all, engine_findings(v, i, k), v->repeats, kind);
}

/* Where the error of a run comes from: every served iteration, priced by the profile. */
static void print_priced(const struct engine_validation *v)
{
    printf("\nserved iterations, each priced by the profile: how many; the mean in ms, measured and priced; error of "
           "the sum, mean error and spread of single ones in percent\n%-17s  %-28s %7s  %9s  %9s  %7s  %7s  %7s\n",
           "", "", "n", "measured", "priced", "sum", "mean", "spread");
    for (size_t i = 0; i < v->policy_count; i++)
        for (int k = 0; k < PRICED_KINDS; k++) {
            struct priced all = {0};
            add_policy(v, i, (enum priced_kind)k, &all);
            print_priced_row(v->policies[i]->name, (enum priced_kind)k, &all);
        }
    for (int k = 0; k < PRICED_KINDS && v->policy_count > 1; k++) {
        struct priced all = {0};
        for (size_t i = 0; i < v->policy_count; i++)
            add_policy(v, i, (enum priced_kind)k, &all);
        print_priced_row("all", (enum priced_kind)k, &all);
    }
}

/* All served runs, replayed. */
static void print_replay(const struct engine_validation *v)
{
    struct replayed all = {0};
    double runs = 0, requests = 0;
    for (size_t n = 0; n < v->policy_count * v->load_count * v->repeats; n++) {
        const struct finding *f = &v->found[n];
        runs++;
        requests += f->requests;
        all.iterations += f->replayed.iterations;
        all.mismatches += f->replayed.mismatches;
        all.difference_ns = fmax(all.difference_ns, f->replayed.difference_ns);
    }
    printf("\nreplay: %.0f runs, %.0f requests, %.0f iterations with their own measured times: largest difference of a "
           "stamp %.0f ns, %.0f batches differ\n",
           runs, requests, all.iterations, all.difference_ns, all.mismatches);
}

/* The fastest and slowest second of a reference step in all runs; nothing where it did not run. */
static void print_reference(const struct engine_validation *v, enum reference_kind kind, const char *rows)
{
    double fastest = NAN, slowest = NAN;
    for (size_t n = 0; n < v->policy_count * v->load_count * v->repeats; n++) {
        fastest = fmin(fastest, v->found[n].speed.fastest[kind]);
        slowest = fmax(slowest, v->found[n].speed.slowest[kind]);
    }
    if (isfinite(fastest))
        printf("drift: a reference step of %s rows took %.2f to %.2f times what it took at first, by the second\n",
               rows, fastest, slowest);
}

/* The machine while it served, and what its drift alone would have changed. */
static void print_drift(const struct engine_validation *v)
{
    double wall = 0, cpu = 0, told = 0, worth[MEASURED_METRICS] = {0}, sums[MEASURED_METRICS] = {0};
    size_t runs = v->policy_count * v->load_count * v->repeats;
    for (size_t n = 0; n < runs; n++) {
        const struct served_speed *s = &v->found[n].speed;
        wall += s->wall_s;
        cpu += s->cpu_s;
        told += s->told_s;
        for (int m = 0; m < MEASURED_METRICS; m++) {
            double change = isfinite(s->changes[m]) ? s->changes[m] : 0;
            worth[m] = larger(worth[m], change);
            sums[m] += fabs(change) / (double)runs;
        }
    }
    print_reference(v, REFERENCE_FEW_ROWS, "few");
    print_reference(v, REFERENCE_MANY_ROWS, "many");
    printf("drift: iterations took %.2f s on the wall clock, %.2f s of CPU time, %.2f s corrected (%s counts)\n", wall,
           cpu, told, v->cpu_time ? "CPU time" : "the wall clock");
    printf("drift alone would change mean TTFT, TPOT and E2E by up to %+.1f, %+.1f and %+.1f %%, on average by %.1f, "
           "%.1f and %.1f %%\n",
           100 * worth[0], 100 * worth[1], 100 * worth[2], 100 * sums[0], 100 * sums[1], 100 * sums[2]);
}

static void print_ratios(const struct engine_validation *v)
{
    size_t last = v->policy_count - 1;
    char load[ENGINE_LOAD_NAME];
    printf("\nratio to %s: mean E2E measured, simulated, error of the ratio in percent; requests/s likewise\n",
           v->policies[last]->name);
    for (size_t i = 0; i < last; i++)
        for (size_t k = 0; k < v->load_count; k++) {
            struct engine_ratio ratio =
                engine_ratio_of(engine_findings(v, i, k), engine_findings(v, last, k), v->repeats);
            printf("%-17s %-11s  %7.3f  %7.3f", v->policies[i]->name, engine_load_name(v->loads[k], load),
                   ratio.measured_e2e, ratio.simulated_e2e);
            print_error(ratio.e2e_error);
            printf("   requests/s");
            print_error(ratio.rate_error);
            printf("\n");
        }
}

static int load_scenario(const struct arguments *args, struct json *out, struct error *err)
{
    if (shipped_load("scenario", args->word_count > 1 ? args->words[1] : "engine-demo", out, err))
        return -1;
    if (apply_settings(args, out, err) == 0)
        return 0;
    cJSON_Delete((cJSON *)(uintptr_t)out->node);
    return -1;
}

int validate_engine(const struct arguments *args, const struct engine_wishes *wishes, struct error *err)
{
    const struct engine_policy *chosen[ENGINE_POLICIES];
    struct engine_validation v;
    struct json scenario;
    size_t count = 0;
    if (choose(wishes->policies, chosen, &count, err) || load_scenario(args, &scenario, err))
        return -1;
    const struct engine_validation_options o = {.scenario = &scenario,
                                                .policies = chosen,
                                                .policy_count = count,
                                                .loads = wishes->loads,
                                                .load_count = wishes->load_count,
                                                .repeats = wishes->repeats,
                                                .repeat_s = wishes->repeat_s,
                                                .threads = wishes->threads,
                                                .uncorrected = wishes->uncorrected,
                                                .backend = wishes->backend,
                                                .points = "engine-validation.points",
                                                .stop = stop_on_signal(),
                                                .next = print_next,
                                                .state = (void *)(uintptr_t)wishes};
    int status = engine_validate(&o, &v, err);
    if (status == 0) {
        print_errors(&v);
        print_worst(&v);
        print_priced(&v);
        if (count > 1)
            print_ratios(&v);
        print_replay(&v);
        print_drift(&v);
        status = wishes->plot ? plot_engine(wishes->plot, &v, err) : 0;
    }
    engine_validation_release(&v);
    cJSON_Delete((cJSON *)(uintptr_t)scenario.node);
    return status;
}

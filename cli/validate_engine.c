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
    fprintf(stderr, "repeat %zu of %lu: %s", step->repeat + 1, wishes->repeats, step->policy);
    if (step->known)
        fprintf(stderr, " was there");
    else if (!isnan(step->left_s))
        fprintf(stderr, ", about %.0f s left", step->left_s);
    fprintf(stderr, "\n");
}

static void print_error(struct estimate e)
{
    if (isnan(e.high))
        printf("  %+13.2f", 100 * e.value);
    else
        printf("  %+6.2f ± %4.2f", 100 * e.value, 100 * (e.high - e.value));
}

static void print_errors(const struct engine_validation *v)
{
    static const int shown[] = {0, 1, 4}; /* mean, p50, p99 */
    static const char *const columns[] = {"throughput", "TTFT mean", "TTFT p50", "TTFT p99", "TPOT mean",
                                          "TPOT p50",   "TPOT p99",  "E2E mean", "E2E p50",  "E2E p99"};
    printf(v->repeats > 1 ? "error of the simulation in percent: mean over %zu repeats and its 95 %% interval\n\n%-17s"
                          : "error of the simulation in percent: %zu repeat, which has no interval\n\n%-17s",
           v->repeats, "");
    for (size_t c = 0; c < sizeof columns / sizeof *columns; c++)
        printf("  %13s", columns[c]);
    printf("  %s\n", "mean |error| of 15");
    for (size_t i = 0; i < v->policy_count; i++) {
        struct engine_errors e = engine_errors_of(engine_findings(v, i), v->repeats);
        printf("%-17s", v->policies[i]->name);
        print_error(e.throughput);
        for (int m = 0; m < MEASURED_METRICS; m++)
            for (size_t k = 0; k < sizeof shown / sizeof *shown; k++)
                print_error(e.latencies[m][shown[k]]);
        printf("  %.2f\n", 100 * e.mean_absolute);
    }
}

/* Where the error of a run comes from: every served iteration, priced by the profile measured just before. */
static void print_priced(const struct engine_validation *v)
{
    static const char *const kinds[PRICED_KINDS] = {"decodes", "prompts", "both"};
    printf("\nserved iterations, each priced by the profile: how many, the mean measured and priced in ms, error of "
           "the sum and spread of single ones in percent\n");
    for (size_t i = 0; i < v->policy_count; i++)
        for (int k = 0; k < PRICED_KINDS; k++) {
            struct priced_errors p = engine_priced_errors(engine_findings(v, i), v->repeats, (enum priced_kind)k);
            if (p.count > 0)
                printf("%-17s  %-8s %7.0f  %8.3f  %8.3f  %+6.2f  %6.2f\n", v->policies[i]->name, kinds[k], p.count,
                       1e3 * p.taken_s, 1e3 * p.said_s, 100 * p.error, 100 * p.spread);
        }
}

static void print_ratios(const struct engine_validation *v)
{
    size_t last = v->policy_count - 1;
    printf("\nratio to %s: mean E2E measured, simulated, error of the ratio in percent; requests/s likewise\n",
           v->policies[last]->name);
    for (size_t i = 0; i < last; i++) {
        struct engine_ratio ratio = engine_ratio_of(engine_findings(v, i), engine_findings(v, last), v->repeats);
        printf("%-17s  %7.3f  %7.3f", v->policies[i]->name, ratio.measured_e2e, ratio.simulated_e2e);
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
                                                .repeats = wishes->repeats,
                                                .backend = wishes->backend,
                                                .points = "engine-validation.points",
                                                .stop = stop_on_signal(),
                                                .next = print_next,
                                                .state = (void *)(uintptr_t)wishes};
    int status = engine_validate(&o, &v, err);
    if (status == 0) {
        print_errors(&v);
        print_priced(&v);
        if (count > 1)
            print_ratios(&v);
        status = wishes->plot ? plot_engine(wishes->plot, &v, err) : 0;
    }
    engine_validation_release(&v);
    cJSON_Delete((cJSON *)(uintptr_t)scenario.node);
    return status;
}

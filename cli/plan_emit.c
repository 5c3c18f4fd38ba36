/* SPDX-License-Identifier: MIT */
#include "cli/plan_emit.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/printable.h"

enum { REPLICATIONS = 4 };

int plan_emit_find(const char *name, enum deploy_form *out, struct error *err)
{
    for (int i = 0; i < DEPLOY_FORMS; i++)
        if (strcmp(deploy_form_names[i], name) == 0) {
            *out = (enum deploy_form)i;
            return 0;
        }
    return error_set(err, ERROR_INPUT, "--emit %s: expected vllm, sglang, trtllm, llm-d or dynamo", PRINTABLE(name));
}

/* Means over the replications at the median, the 5 % and the 95 % quantile of the cost model's error. */
static void print_expected(const struct point *points)
{
    static const struct {
        const char *name, *title, *unit;
    } shown[] = {{"ttft_s.p50", "TTFT p50", " s"}, {"ttft_s.p99", "TTFT p99", " s"},
                 {"tpot_s.p50", "TPOT p50", " s"}, {"tpot_s.p99", "TPOT p99", " s"},
                 {"e2e_s.p99", "E2E p99", " s"},   {"tokens_per_s", "tokens/s, prompts' and outputs'", ""}};
    for (size_t i = 0; i < sizeof shown / sizeof *shown; i++) {
        double at[3];
        for (int k = 0; k < 3; k++)
            at[k] = point_mean(&points[k], shown[i].name, 0.95).value;
        printf("#   %s: %.4g%s", shown[i].title, at[0], shown[i].unit);
        if (points[1].scales[SCALE_TIME] != points[2].scales[SCALE_TIME])
            printf(" (90 %% interval %.4g … %.4g)", fmin(at[1], at[2]), fmax(at[1], at[2]));
        printf("\n");
    }
}

static int expect(struct plan_search *s, const struct contender *c, const struct benchmark *b, struct error *err)
{
    static const double levels[] = {0.5, 0.05, 0.95};
    struct point points[3], *list[3];
    char *scenario = benchmark_scenario(b, s->plan, c->family, c->high);
    if (!scenario)
        return error_no_memory(err);
    for (int i = 0; i < 3; i++) {
        double scales[SCALE_COUNT] = {1, 1, 1, model_error_factor(&c->family->error, levels[i]), 1};
        point_init(&points[i], scenario, scales, s->plan->seed);
        list[i] = &points[i];
    }
    int status = points_replicate(list, 3, REPLICATIONS, s->pool, err);
    if (status == 0 && points[0].failed)
        status = error_set(err, ERROR_INPUT, "--emit: the benchmark cannot be run: %s", points[0].results[0].message);
    if (status == 0)
        print_expected(points);
    for (int i = 0; i < 3; i++)
        point_release(&points[i]);
    free(scenario);
    return status;
}

static void print_assumed(const struct plan_search *s, const struct contender *c, const struct deployment *d)
{
    const struct model_error *e = &c->family->error;
    printf("# assumed: engine %s; a router that sends requests as the scenario's cluster.routing does; requests as "
           "the plan's workload",
           PRINTABLE(d->engine));
    for (size_t i = 0; i < c->family->pool_count; i++) {
        const struct offer *offer = offers_find(s->plan->offers, c->family->held[i].device);
        printf(";\n#   %s: %s", PRINTABLE(c->family->held[i].device), offer ? PRINTABLE(offer->provenance) : "?");
    }
    if (e->known)
        printf(";\n#   kernel times × %.3f (5 %% quantile %.3f, 95 %% %.3f), from %u measured points of %s",
               model_error_factor(e, 0.5), model_error_factor(e, 0.05), model_error_factor(e, 0.95), e->points,
               PRINTABLE(e->of));
    printf("\n");
}

static int emit_one(struct plan_search *s, const struct contender *c, const char *title, enum deploy_form form,
                    struct error *err)
{
    struct deployment d;
    struct benchmark b;
    if (deployment_make(&d, s->plan, c->family, c->high, form, err) || benchmark_make(&b, s->plan, c->family, err))
        return -1;
    printf("\n# %s: %zu unit%s of %s\n", title, c->high, c->high == 1 ? "" : "s", PRINTABLE(c->family->label));
    deployment_write(&d, form, stdout);
    printf("# the benchmark that tests it, on all servers behind their router:\n");
    benchmark_write(&b, &d, stdout);
    printf("# to be expected of it:\n");
    if (expect(s, c, &b, err))
        return -1;
    print_assumed(s, c, &d);
    return 0;
}

int plan_emit(struct plan_search *s, enum deploy_form form, struct error *err)
{
    if (s->chosen && emit_one(s, s->chosen, "recommended", form, err))
        return -1;
    return s->runner_up ? emit_one(s, s->runner_up, "runner-up", form, err) : 0;
}

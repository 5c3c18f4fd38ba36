/* SPDX-License-Identifier: MIT */
#include <math.h>
#include <stdio.h>

#include "base/printable.h"
#include "cli/plan_text.h"
#include "cli/progress.h"

static void print_reach(const struct plan *p, const struct most_of_family *o)
{
    const struct capacity *c = &o->capacity;
    double rate = p->rate_per_s;
    if (p->aim != AIM_SLO && c->kind == CAPACITY_FOUND)
        printf("%.4g requests/s within the SLO (holds at %.4g, breaks at %.4g: %s)", c->value * rate, c->low * rate,
               c->high * rate, PRINTABLE(c->binding));
    else if (p->aim != AIM_SLO)
        printf("%.4g requests/s within the SLO, the last rate that was tried", c->low * rate);
    else if (c->kind == CAPACITY_FOUND)
        printf("at %.4g requests/s every latency limit × %.3f (holds × %.3f, breaks × %.3f: %s)", rate, 1 / c->value,
               1 / c->low, 1 / c->high, PRINTABLE(c->binding));
    else
        printf("at %.4g requests/s every latency limit × %.3g, the last that was tried", rate, 1 / c->low);
}

static void print_best(const struct plan_most *m)
{
    const struct most_of_family *o = &m->list[0];
    const struct plan *p = m->plan;
    char currency[16];
    plan_currency(p, &o->bill, currency, sizeof currency);
    printf("\n  recommended  %zu unit%s of %s\n    ", o->units, o->units == 1 ? "" : "s", PRINTABLE(o->family->label));
    print_reach(p, o);
    printf("\n    %.0f GPUs are used", o->bill.gpus);
    if (o->bill.nodes > 0)
        printf(" of %.0f in %.0f node%s", o->bill.bought, o->bill.nodes, o->bill.nodes == 1 ? "" : "s");
    if (o->bill.cost_per_h > 0)
        printf("; %.2f%s%s an hour, %.0f a month", o->bill.cost_per_h, *currency ? " " : "", PRINTABLE(currency),
               o->bill.cost_per_h * p->buying.hours_per_month);
    if (o->bill.cost_per_h > 0 && o->tokens_per_s > 0)
        printf(", %.3f for a million tokens", o->bill.cost_per_h / 3600 / o->tokens_per_s * 1e6);
    printf("\n");
    if (o->family->error.known)
        printf("    with kernels × %.3f as slow: %.0f %% confidence, the cost model's error included\n",
               o->family->error.factor, 100 * p->model_confidence);
}

static void print_others(const struct plan_most *m)
{
    printf("\n  the others\n");
    for (size_t i = plan_most_found(m) ? 1 : 0; i < m->count; i++) {
        const struct most_of_family *o = &m->list[i];
        printf("    %s: ", PRINTABLE(o->family->label));
        if (o->family->refused[0])
            printf("%s\n", PRINTABLE(o->family->refused));
        else if (o->units == 0)
            printf("one unit is more than the constraints allow\n");
        else if (!(o->rank > -INFINITY))
            printf("%zu units miss the SLO however %s\n", o->units,
                   m->plan->aim == AIM_SLO ? "loose its limits are" : "little is asked");
        else {
            printf("%zu units, ", o->units);
            print_reach(m->plan, o);
            if (o->bill.cost_per_h > 0 && o->tokens_per_s > 0)
                printf(", %.3f for a million tokens", o->bill.cost_per_h / 3600 / o->tokens_per_s * 1e6);
            printf("%s\n", o->refined ? "" : " (roughly)");
        }
    }
}

void plan_text_most(const struct plan_most *m, uint64_t trials, double wall_s)
{
    static const char *const looked_for[] = {"", "the most throughput", "the cheapest tokens", "the tightest SLO"};
    char wall[32];
    print_duration(wall, sizeof wall, wall_s);
    printf("%s: %s for what may be bought\n", PRINTABLE(m->plan->name), looked_for[m->plan->aim]);
    if (plan_most_found(m))
        print_best(m);
    else
        printf("\n  NOTHING MEETS THE SLO within the constraints\n");
    print_others(m);
    printf("\n  found with %llu trials in %s\n", (unsigned long long)trials, wall);
}

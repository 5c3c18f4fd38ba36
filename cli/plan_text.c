/* SPDX-License-Identifier: MIT */
#include "cli/plan_text.h"

#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/printable.h"
#include "cli/progress.h"
#include "planner/rerun.h"

static const struct sized *size_of(const struct contender *c, size_t units)
{
    for (size_t i = 0; i < c->count; i++)
        if (c->sizes[i].units == units)
            return &c->sizes[i];
    return NULL;
}

static const char *verdict_words(enum verdict verdict)
{
    return verdict == HOLDS ? "meets the SLO" : verdict == BREAKS ? "misses the SLO" : "not shown to meet the SLO";
}

static void print_price(const struct plan *p, const struct bill_line *line)
{
    struct price_said said;
    plan_price_said(p, line->device, &said);
    printf("        %s: %.2f%s%s a GPU and hour, %s", PRINTABLE(line->device), line->price_per_h,
           *said.currency ? " " : "", PRINTABLE(said.currency), PRINTABLE(said.source));
    printf(*said.date ? ", %s\n" : "\n", PRINTABLE(said.date));
}

/* What is bought of each device: nodes, or GPUs. */
static void print_lines(const struct bill *bill)
{
    for (size_t i = 0; i < bill->count; i++) {
        const struct bill_line *line = &bill->lines[i];
        const char *device = PRINTABLE(line->device);
        printf(i ? " + " : "    ");
        if (line->nodes > 0)
            printf("%.0f node%s of %.0f × %s", line->nodes + line->spare_nodes,
                   line->nodes + line->spare_nodes == 1 ? "" : "s", line->gpus_per_node, device);
        else
            printf("%.0f × %s", line->gpus, device);
        if (line->spare_nodes > 0)
            printf(" (%.0f of them spare)", line->spare_nodes);
    }
}

static void print_power(const struct bill *bill, double boards_w)
{
    if (!(boards_w > 0))
        return;
    printf("    %.1f kW at the limit of the boards that are needed", boards_w / 1000);
    if (bill->nodes > 0)
        printf("; %.1f kW of all nodes", bill->power_w / 1000);
    if (bill->racks > 0)
        printf(", in %.0f rack%s", bill->racks, bill->racks == 1 ? "" : "s");
    printf("\n");
}

/* What a size costs: nodes, money, tokens for the money, power. */
static void print_bill(const struct plan *p, const struct contender *c, size_t units, const struct point *at)
{
    struct bill bill;
    double tokens = point_tokens_per_s(at, p->rate_per_s), cost = 0;
    char currency[16];
    for (size_t i = 0; i < at->count; i++)
        cost += plan_cost_per_h(p, &at->results[i]) / (double)at->count;
    family_bill(p, c->family, units, &bill);
    plan_currency(p, &bill, currency, sizeof currency);
    print_lines(&bill);
    if (bill.nodes > 0) {
        size_t filled = family_filled(p, c->family, units, units + 1000);
        printf(": %.0f GPUs to buy, %.0f needed", bill.bought, bill.gpus);
        if (filled > units)
            printf(" (with room for %zu units%s)", filled, p->buying.spare_nodes > 0 ? " without the spare nodes" : "");
    }
    printf("\n");
    if (cost > 0) {
        printf("    %.2f%s%s an hour, %.0f a month of %g hours", cost, *currency ? " " : "", PRINTABLE(currency),
               cost * p->buying.hours_per_month, p->buying.hours_per_month);
        if (tokens > 0)
            printf(", %.3f for a million tokens", cost / 3600 / tokens * 1e6);
        printf("\n");
        for (size_t i = 0; i < bill.count; i++)
            print_price(p, &bill.lines[i]);
    }
    print_power(&bill, plan_power_w(&at->results[0]));
}

void plan_text_unserved(const char *indent, double share, const char *reason)
{
    if (share > 0)
        printf("%s%.2f %% of requests are not served, one of them because: %s\n", indent, 100 * share,
               *reason ? PRINTABLE(reason) : "?");
}

static void print_latency(const char *title, double seconds)
{
    if (isnan(seconds))
        printf(" %s –;", title);
    else
        printf(" %s %.3g s;", title, seconds);
}

static void print_latencies(const struct point *at)
{
    static const char *const shown[][2] = {{"ttft_s.p99", "TTFT p99"},
                                           {"tpot_s.p99", "TPOT p99"},
                                           {"e2e_s.p99", "E2E p99"}};
    printf(point_mean(at, "unserved", 0.95).value > 0 ? "    of requests served:" : "   ");
    for (size_t i = 0; i < 3; i++) {
        struct estimate e = point_mean(at, shown[i][0], 0.95);
        if (isfinite(e.low))
            printf(" %s %.3g s ± %.1f %%;", shown[i][1], e.value, 100 * inference_relative_half_width(e));
        else
            print_latency(shown[i][1], e.value);
    }
    printf(" %.2f %% of requests meet every limit\n", 100 * point_mean(at, "attainment", 0.95).value);
}

static void print_rerun(const struct plan *p, const struct contender *c, size_t units, size_t replications)
{
    char *command = rerun_command(p, c->family, units);
    if (command)
        printf("    its first trial: %s\n    (%sits %zu trials have seeds from %llu on)\n", command,
               cJSON_IsObject(cJSON_GetObjectItemCaseSensitive(p->root.node, "scenario"))
                   ? "FILE is to hold the plan's \"scenario\"; "
                   : "",
               replications, (unsigned long long)p->seed);
    free(command);
}

static void print_size(const struct plan_search *s, const struct contender *c, size_t units, const char *head)
{
    const struct sized *size = size_of(c, units);
    if (!size)
        return;
    const struct point *at = &size->point;
    const struct trial_result *worst = point_worst(at);
    char typical[128], least[128];
    if (!worst)
        return;
    printf("%s%zu unit%s of %s\n", head, units, units == 1 ? "" : "s", PRINTABLE(c->family->label));
    print_bill(s->plan, c, units, at);
    margin_text(point_binding(at), point_typical_margin(at), typical, sizeof typical);
    margin_text(worst->binding, worst->margin, least, sizeof least);
    printf("    %s", verdict_words(at->verdict));
    if (at->scales[SCALE_TIME] != 1)
        printf(" with kernels × %.3f as slow", at->scales[SCALE_TIME]);
    printf(": %s in the median of %zu trials, %s in the worst\n", typical, at->count, least);
    print_latencies(at);
    plan_text_unserved("    ", point_mean(at, "unserved", 0.95).value, point_outcome(at).reason);
    print_rerun(s->plan, c, units, at->count);
}

static void print_others(const struct plan_search *s, bool all)
{
    size_t shown = 0, most = all ? s->count : 20;
    printf("\n  why not the others\n");
    for (int fate = FATE_FOUND; fate <= FATE_REFUSED; fate++)
        for (size_t i = 0; i < s->count; i++) {
            const struct contender *c = &s->contenders[i];
            if (c == s->chosen || (int)c->fate != fate || shown++ >= most)
                continue;
            printf("    %s: %s\n", PRINTABLE(c->family->label), PRINTABLE(c->why));
        }
    if (shown > most)
        printf("    … and %zu more (--all)\n", shown - most);
}

static void print_headroom(const struct plan_search *s, const struct plan_answer *a)
{
    double spare = s->plan->buying.spare_nodes, slow = s->chosen->family->error.factor;
    printf("\n  how much more it bears");
    if (s->chosen->family->error.known)
        printf(" (kernel times: of the cost model's; the others: with kernels × %.3f as slow)", slow);
    printf("\n");
    for (int i = 0; i < SCALE_ASKED; i++) {
        const struct capacity *c = &a->headroom[i];
        if (c->kind == CAPACITY_FOUND && c->vague)
            printf("    %-15s matters too little for a limit to be told from chance\n", scale_names[i]);
        else if (c->kind == CAPACITY_FOUND)
            printf("    %-15s × %.3f  (holds at %.3f, breaks at %.3f: %s)\n", scale_names[i], c->value, c->low, c->high,
                   PRINTABLE(c->binding));
        else
            printf("    %-15s %s\n", scale_names[i],
                   c->kind == CAPACITY_NONE ? "breaks however little there is" : "a thousand times as much, or more");
    }
    char how[128];
    margin_text(a->one_lost.binding, a->one_lost.typical, how, sizeof how);
    if (a->one_lost.asked)
        printf("    one unit lost   %s: %s\n", verdict_words(a->one_lost.verdict), how);
    if (spare > 0)
        printf("    one node lost   meets the SLO: with %s in service, the others are what is recommended\n",
               spare > 1 ? "the spare nodes" : "the spare node");
}

/* A share that is neither 0 nor 1, though it may round to them. */
static const char *percent(double share, char out[16])
{
    snprintf(out, 16, share > 0.995 ? "over 99 %%" : share < 0.005 ? "below 1 %%" : "%.0f %%", 100 * share);
    return out;
}

static void print_level(const struct needs_by_level *n, int level)
{
    if (n->units[level] == 0)
        printf("more than is allowed");
    else if (n->nodes[level] > 0)
        printf("%.0f GPUs (%.0f node%s)", n->gpus[level], n->nodes[level], n->nodes[level] == 1 ? "" : "s");
    else
        printf("%.0f GPUs", n->gpus[level]);
}

enum { DEVICES_TEXT = 256 };

static void print_needs(const struct needs_by_level *n, const char *title)
{
    enum { LOW = 0, MIDDLE = 3, HIGH = CERTAINTY_LEVELS - 1 };
    const struct model_error *e = &n->contender->family->error;
    char devices[DEVICES_TEXT];
    family_devices(n->contender->family, devices, sizeof devices);
    printf("    %s%s: kernels take × %.2f (%.2f … %.2f) of the cost model's time; needed: ", title, PRINTABLE(devices),
           n->factor[MIDDLE], n->factor[LOW], n->factor[HIGH]);
    print_level(n, MIDDLE);
    printf(", 90 %% interval ");
    print_level(n, LOW);
    printf(" … ");
    print_level(n, HIGH);
    printf("\n        from %u measured points of %s\n", e->points, e->of);
}

static void print_expected(const struct expected *e)
{
    char metric[24];
    size_t name = strcspn(e->name, "_.");
    for (size_t i = 0; i < name; i++)
        metric[i] = (char)toupper((unsigned char)e->name[i]);
    metric[name] = 0;
    printf("    %s %s %.3g s (%.3g … %.3g)", metric, strrchr(e->name, '.') + 1, e->value, e->low, e->high);
    if (isfinite(e->limit))
        printf(", limit %.3g s", e->limit);
    printf("\n");
}

/* What to measure: two loads of a replica, of the device whose error matters most. */
static void print_measurement(const struct plan_search *s, const struct certainty *c)
{
    const struct measurement m = certainty_measurement(c, s);
    const cJSON *model = cJSON_GetObjectItemCaseSensitive(s->plan->scenario.node, "model");
    char text[16];
    if (c->chosen.nodes[0] > 0 && c->chosen.objective[0] == c->chosen.objective[CERTAINTY_LEVELS - 1] &&
        !(c->right < 0.99)) {
        printf("    no measurement would change what to buy\n");
        return;
    }
    printf("    to know more, measure %s on %s at %.3g and %.3g requests/s of a replica, and calibrate",
           cJSON_IsString(model) ? PRINTABLE(model->valuestring) : "it", PRINTABLE(m.contender->family->error.device),
           m.rates_per_s[0], m.rates_per_s[1]);
    if (isfinite(m.right))
        printf(": the choice of device is then right with a probability of %s", percent(m.right, text));
    printf("\n");
}

static void print_certainty(const struct plan_search *s, const struct certainty *c)
{
    char text[16];
    if (!c->asked)
        return;
    printf("\n  how sure, the cost model's error included\n    ");
    if (isfinite(c->confidence))
        printf("the recommended size meets the SLO with %s confidence", percent(c->confidence, text));
    else
        printf("the recommended size meets the SLO with at least %.0f %% confidence", 100 * s->plan->model_confidence);
    printf(" (%.0f %% asked for); to be expected, with its 90 %% interval:\n", 100 * s->plan->model_confidence);
    for (size_t i = 0; i < c->expected_count; i++)
        if (strchr(c->expected[i].name, '.'))
            print_expected(&c->expected[i]);
    const struct expected *met = certainty_expected(c, "attainment");
    if (met)
        printf("    %.2f %% of requests meet every limit (%.2f … %.2f)\n", 100 * met->value, 100 * met->low,
               100 * met->high);
    print_needs(&c->chosen, "");
    if (c->rival.contender) {
        char chosen[DEVICES_TEXT], rival[DEVICES_TEXT];
        family_devices(s->chosen->family, chosen, sizeof chosen);
        family_devices(s->rival->family, rival, sizeof rival);
        print_needs(&c->rival, "against ");
        printf("    %s rather than %s is right with a probability of %s\n", PRINTABLE(chosen), PRINTABLE(rival),
               percent(c->right, text));
    }
    print_measurement(s, c);
}

static void print_units(size_t units)
{
    if (units)
        printf("%zu units", units);
    else
        printf("more than is allowed");
}

static void print_sensitivity(const struct plan_search *s, const struct plan_answer *a)
{
    if (a->need_count)
        printf("\n  what it depends on: units needed, if\n");
    for (size_t i = 0; i < a->need_count; i++) {
        const struct needed *n = &a->needs[i];
        printf("    %-15s are %+.0f %%  ", scale_names[n->scale], 100 * (n->factor - 1));
        print_units(n->chosen);
        if (s->runner_up) {
            printf("; of the runner-up ");
            print_units(n->runner_up);
            printf("%s", n->runner_up_is_cheaper ? ", which is then the better one" : "");
        }
        printf("\n");
    }
}

static void print_front(const struct plan_search *s, const struct plan_answer *a)
{
    bool cost = s->plan->objective == OBJECTIVE_COST;
    printf("\n  what more, or less, money buys (Pareto front of %s and p99 TTFT, of %zu sizes looked at)\n",
           objective_names[s->plan->objective], a->buy_count);
    printf("    %10s %6s %10s %10s %8s  %-9s\n",
           cost                                   ? "an hour"
           : s->plan->objective == OBJECTIVE_GPUS ? "GPUs"
                                                  : "W",
           "GPUs", "TTFT p99", "TPOT p99", "met", "SLO");
    for (size_t i = 0; i < a->buy_count; i++) {
        const struct buy *b = &a->buys[i];
        if (b->on_front)
            printf("    %10.2f %6.0f %8.3f s %8.4f s %6.1f %%  %-9s %zu × %s\n", b->objective, b->gpus, b->ttft_p99_s,
                   b->tpot_p99_s, 100 * b->attainment,
                   b->verdict == HOLDS    ? "holds"
                   : b->verdict == BREAKS ? "breaks"
                                          : "undecided",
                   b->units, PRINTABLE(b->contender->family->label));
    }
}

static void print_ties(const struct plan_search *s)
{
    if (s->ties > 1 && isfinite(s->confidence_of_choice))
        printf("    of %zu that cost as much the one with the widest margin, with a probability of %g %% (to within "
               "%g %%)\n",
               s->ties, 100 * s->confidence_of_choice, 100 * s->plan->indifference);
    else if (s->ties > 1)
        printf("    of %zu that cost as much one of those with the widest margin, which could not be told apart\n",
               s->ties);
}

/* Requests that each have an idle replica to themselves. */
void plan_text_outcome(const struct outcome *o)
{
    char how[128];
    margin_text(o->binding, o->margin, how, sizeof how);
    printf("    %s;%s", how, o->unserved > 0 ? " of requests served:" : "");
    print_latency("TTFT p99", o->ttft_p99_s);
    print_latency("TPOT p99", o->tpot_p99_s);
    print_latency("E2E p99", o->e2e_p99_s);
    printf(" %.2f %% of requests meet every limit\n", 100 * o->attainment);
    plan_text_unserved("    ", o->unserved, o->reason);
}

static void print_alone(const struct plan_search *s)
{
    if (!s->no_number_helps)
        return;
    printf("\n  No number of units helps: requests that each have an idle replica to themselves miss the SLO, too.\n");
    plan_text_outcome(&s->alone);
}

void plan_text_answer(const struct plan_search *s, const struct plan_answer *a, bool all, double wall_s)
{
    char wall[32];
    print_duration(wall, sizeof wall, wall_s);
    printf("%s: %.4g requests/s\n", PRINTABLE(s->plan->name), s->plan->rate_per_s);
    if (s->chosen) {
        print_size(s, s->chosen, s->chosen->high, "\n  recommended  ");
        print_ties(s);
    } else if (s->closest) {
        printf("\n  NOTHING MEETS THE SLO within the constraints. Closest comes:\n");
        print_size(s, s->closest, s->closest_units, "    ");
        print_alone(s);
    }
    if (a)
        print_certainty(s, &a->certainty);
    if (s->runner_up)
        print_size(s, s->runner_up, s->runner_up->high, "\n  runner-up    ");
    if (a) {
        print_headroom(s, a);
        print_sensitivity(s, a);
        print_front(s, a);
    }
    print_others(s, all);
    printf("\n  found with %llu trials of %.3g million requests in %s\n", (unsigned long long)s->pool->trials,
           (double)s->pool->requests * 1e-6, wall);
}

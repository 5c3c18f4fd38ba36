/* SPDX-License-Identifier: MIT */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/output.h"
#include "base/printable.h"
#include "cli/command.h"
#include "cli/session.h"
#include "planner/answer.h"
#include "planner/headroom.h"
#include "planner/rerun.h"
#include "profiles/shipped.h"
#include "reports/stats/analytic.h"

enum {
    OPT_SET,
    OPT_DB,
    OPT_NO_DB,
    OPT_THREADS,
    OPT_REPLICATIONS,
    OPT_CONFIDENCE,
    OPT_TOLERANCE,
    OPT_ANALYTIC,
    OPT_JSON,
    OPT_ALL,
    OPT_QUIET
};

static const struct option_spec options[] = {
    {"--set", "PATH=VALUE", "override a value of the plan or scenario; may be repeated"},
    {"--db", "FILE",
     "database of plans, where an interrupted one goes on (default tandem.db); of a scenario nothing is kept"},
    {"--no-db", NULL, "keep nothing; only print the answer"},
    {"-j", "N", "threads (default: as many as there are processors)"},
    {"--replications", "N", "most of one point, 4, 8, … (default 32)"},
    {"--confidence", "SHARE", "of every verdict and interval (default 0.95)"},
    {"--tolerance", "SHARE", "width of a largest rate's interval, where replications can tell it (default 0.02)"},
    {"--analytic", NULL, "answer by formula at once, and hold it against a simulation"},
    {"--json", "FILE", "write everything that was found out as JSON"},
    {"--all", NULL, "say of every family why it was not chosen, not of the first twenty"},
    {"--quiet", NULL, "no progress"},
    PLUGIN_OPTION,
    {0},
};

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

/* What a size costs: GPUs, money, tokens for the money, power. */
static void print_bill(const struct plan *p, const struct point *at)
{
    const struct held_gpus *held = at->results[0].held;
    double cost = 0, tokens = point_mean(at, "tokens_per_s", 0.95).value;
    for (size_t i = 0; i < at->count; i++)
        cost += plan_cost_per_h(p, &at->results[i]) / (double)at->count;
    size_t pools = at->results[0].pool_count;
    for (size_t i = 0; i < pools; i++) {
        printf("%s%.0f × %s", i ? " + " : "    ", held[i].gpus, PRINTABLE(held[i].device));
        if (pools > 1)
            printf(" to %s", PRINTABLE(held[i].pool));
    }
    if (cost > 0)
        printf(", %.2f an hour", cost);
    if (cost > 0 && tokens > 0)
        printf(", %.3f for a million tokens", cost / 3600 / tokens * 1e6);
    if (plan_power_w(&at->results[0]) > 0)
        printf(", %.1f kW at the boards' limit", plan_power_w(&at->results[0]) / 1000);
    printf("\n");
}

static void print_unserved(const char *indent, double share, const char *reason)
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
    print_bill(s->plan, at);
    margin_text(point_binding(at), point_typical_margin(at), typical, sizeof typical);
    margin_text(worst->binding, worst->margin, least, sizeof least);
    printf("    %s: %s in the median of %zu trials, %s in the worst\n", verdict_words(at->verdict), typical, at->count,
           least);
    print_latencies(at);
    print_unserved("    ", point_mean(at, "unserved", 0.95).value, point_outcome(at).reason);
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

static void print_headroom(const struct plan_answer *a)
{
    printf("\n  how much more it bears\n");
    for (int i = 0; i < SCALE_COUNT; i++) {
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
static void print_outcome(const struct outcome *o)
{
    char how[128];
    margin_text(o->binding, o->margin, how, sizeof how);
    printf("    %s;%s", how, o->unserved > 0 ? " of requests served:" : "");
    print_latency("TTFT p99", o->ttft_p99_s);
    print_latency("TPOT p99", o->tpot_p99_s);
    print_latency("E2E p99", o->e2e_p99_s);
    printf(" %.2f %% of requests meet every limit\n", 100 * o->attainment);
    print_unserved("    ", o->unserved, o->reason);
}

static void print_alone(const struct plan_search *s)
{
    if (!s->no_number_helps)
        return;
    printf("\n  No number of units helps: requests that each have an idle replica to themselves miss the SLO, too.\n");
    print_outcome(&s->alone);
}

static void print_answer(const struct plan_search *s, const struct plan_answer *a, bool all, double wall_s)
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
    if (s->runner_up)
        print_size(s, s->runner_up, s->runner_up->high, "\n  runner-up    ");
    if (a) {
        print_headroom(a);
        print_sensitivity(s, a);
        print_front(s, a);
    }
    print_others(s, all);
    printf("\n  found with %llu trials of %.3g million requests in %s\n", (unsigned long long)s->pool->trials,
           (double)s->pool->requests * 1e-6, wall);
}

static int write_json(const char *file, const char *text, struct error *err)
{
    struct output o;
    if (output_open(&o, file, err))
        return -1;
    fprintf(o.out, "%s\n", text);
    return output_close(&o, false, err);
}

/* Keeps what was found in the plan's row, and in a file if wanted. */
static int keep_answer(const struct arguments *args, const struct plan_search *s, const struct plan_answer *a,
                       struct journal *journal, struct error *err)
{
    cJSON *json = plan_answer_json(s, a);
    char *text = json && !memory_has_failed() ? cJSON_Print(json) : NULL;
    cJSON_Delete(json);
    if (!text)
        return error_no_memory(err);
    int status = journal ? journal_finish(journal, s->chosen ? "done" : "not met", text, err) : 0;
    if (status == 0 && args->values[OPT_JSON])
        status = write_json(args->values[OPT_JSON], text, err);
    free(text);
    return status;
}

/* A configuration that was refused says so; one that was not has failed with every number of units. */
static const char *why_not(const struct contender *c)
{
    return c->family->refused[0] ? c->family->refused : c->why;
}

static int search_and_answer(const struct arguments *args, const struct plan *plan, struct session *session,
                             struct error *err)
{
    struct plan_search search;
    struct plan_answer answer = {0};
    double started = wall_clock_s();
    int status = plan_search_run(&search, plan, &session->pool, err);
    if (status == 0 && search.chosen)
        status = plan_answer_make(&answer, &search, err);
    progress_end(&session->progress);
    if (status == 0 && !search.chosen && !search.closest)
        status = error_set(err, ERROR_INPUT, "none of the configurations can be run: %s: %s", search.families[0].label,
                           why_not(&search.contenders[0]));
    if (status == 0)
        status = keep_answer(args, &search, search.chosen ? &answer : NULL, session_journal(session), err);
    if (status == 0)
        print_answer(&search, search.chosen ? &answer : NULL, args->values[OPT_ALL] != NULL, wall_clock_s() - started);
    int exit = status ? exit_for(err) : search.chosen ? EXIT_DONE : EXIT_SLO_MISSED;
    plan_answer_release(&answer);
    plan_search_release(&search);
    return exit;
}

static int make_plan(const struct arguments *args, struct json root, struct error *err)
{
    struct plan plan;
    struct session session;
    char *specification = session_specification(root.node);
    if (plan_read(&plan, root, err)) {
        free(specification);
        return exit_for(err);
    }
    struct session_wishes wishes = {.threads = args->values[OPT_THREADS],
                                    .quiet = args->values[OPT_QUIET] != NULL,
                                    .db = args->values[OPT_NO_DB] ? NULL
                                          : args->values[OPT_DB]  ? args->values[OPT_DB]
                                                                  : "tandem.db",
                                    .table = "plan",
                                    .name = plan.name,
                                    .specification = specification};
    int status = session_open(&session, &wishes, err) ? exit_for(err) : search_and_answer(args, &plan, &session, err);
    session_close(&session, status == EXIT_FAILED, err);
    plan_release(&plan);
    free(specification);
    return status;
}

/* No rate was found at which the SLO would begin to be missed: it is missed, or met, at all that were tried. */
static void print_end(const struct plan *plan, const struct capacity *c)
{
    double rate = plan->rate_per_s;
    if (c->kind == CAPACITY_NONE)
        printf("%s %s its SLO at any rate: at %.3g requests/s, where hardly any request meets another,\n",
               PRINTABLE(plan->name), c->shown ? "misses" : "is not shown to meet", c->high * rate);
    else
        printf("%s %s its SLO at any rate that was tried: at %.4g requests/s, the last of them,\n",
               PRINTABLE(plan->name), c->shown ? "meets" : "is not shown to miss", c->low * rate);
    print_outcome(&c->end);
}

/* A scenario by itself: the largest rate that it sustains. */
static int print_capacity(const struct plan *plan, struct session *session, struct error *err)
{
    struct headroom h;
    double started = wall_clock_s(), rate = plan->rate_per_s;
    int status = headroom_find(plan, &session->pool, &h, err);
    const struct capacity *c = &h.rate;
    progress_end(&session->progress);
    if (status)
        return exit_for(err);
    if (c->kind == CAPACITY_FOUND && c->vague)
        printf("%s sustains about %.4g requests/s within its SLO; the replications cannot tell %.4g from %.4g\n",
               PRINTABLE(plan->name), c->value * rate, c->low * rate, c->high * rate);
    else if (c->kind == CAPACITY_FOUND)
        printf("%s sustains %.4g requests/s within its SLO: holds at %.4g, breaks at %.4g (%s); %g %% interval\n",
               PRINTABLE(plan->name), c->value * rate, c->low * rate, c->high * rate, c->binding,
               100 * plan->effort.confidence);
    else
        print_end(plan, c);
    if (isfinite(h.capacity_per_s) && c->kind != CAPACITY_NONE)
        printf("  by formula about %.4g requests/s can be served at all\n", h.capacity_per_s);
    printf("  %zu rates looked at, %llu trials of %.3g million requests, %.1f s\n", c->points,
           (unsigned long long)session->pool.trials, (double)session->pool.requests * 1e-6, wall_clock_s() - started);
    return c->kind == CAPACITY_NONE ? EXIT_SLO_MISSED : EXIT_DONE;
}

static int set_effort(const struct arguments *args, struct json *plan, struct error *err)
{
    static const struct {
        int option;
        const char *key;
    } efforts[] = {{OPT_REPLICATIONS, "replications"}, {OPT_CONFIDENCE, "confidence"}, {OPT_TOLERANCE, "tolerance"}};
    for (size_t i = 0; i < sizeof efforts / sizeof *efforts; i++)
        if (args->values[efforts[i].option] &&
            json_set_path(plan, efforts[i].key, args->values[efforts[i].option], err))
            return -1;
    return 0;
}

static int capacity(const struct arguments *args, struct json root, struct error *err)
{
    struct plan plan;
    struct session session;
    cJSON *wrapped = headroom_plan((cJSON *)(uintptr_t)root.node);
    root.node = wrapped ? wrapped : root.node;
    if (!wrapped || set_effort(args, &root, err)) {
        cJSON_Delete((cJSON *)(uintptr_t)root.node);
        return wrapped ? exit_for(err) : (error_no_memory(err), EXIT_FAILED);
    }
    if (plan_read(&plan, root, err))
        return exit_for(err);
    struct session_wishes wishes = {.threads = args->values[OPT_THREADS], .quiet = args->values[OPT_QUIET] != NULL};
    if (args->values[OPT_DB] && !args->values[OPT_QUIET])
        fprintf(stderr, "nothing is kept in %s: a scenario's largest rate is only printed\n",
                PRINTABLE(args->values[OPT_DB]));
    int status = session_open(&session, &wishes, err) ? exit_for(err) : print_capacity(&plan, &session, err);
    session_close(&session, status == EXIT_FAILED, err);
    plan_release(&plan);
    return status;
}

static void print_against(const char *what, const char *unit, double formula, double simulated)
{
    if (isnan(formula))
        printf("  %-22s %12s %10.4g %s", what, "–", simulated, unit); /* the dash has three bytes */
    else
        printf("  %-22s %10.4g %10.4g %s", what, formula, simulated, unit);
    if (isfinite(formula) && simulated > 0)
        printf("  %+7.1f %%", 100 * (formula / simulated - 1));
    printf("\n");
}

/* Formula next to simulation, so that one sees when it is enough. */
static int analytic(struct json root, struct error *err)
{
    struct scenario s;
    struct analytic_estimate e;
    struct trial_result r;
    char *text = cJSON_PrintUnformatted(root.node);
    if (!text || scenario_compile(&s, root, err)) {
        free(text);
        return text ? exit_for(err) : (error_no_memory(err), EXIT_FAILED);
    }
    double started = wall_clock_s();
    int status = analytic_of(&s, &e, err);
    double formula_s = wall_clock_s() - started;
    struct trial t = {.scenario = text, .seed = s.seed, .scales = {1, 1, 1, 1}};
    if (status == 0)
        status = trial_run(&t, NULL, &r, err);
    if (status == 0 && r.failed)
        status = error_set(err, r.code, "%s", r.message);
    if (status == 0) {
        printf("%s at %.4g requests/s: formula (%s) in %.1f ms, simulation in %.0f ms\n\n", PRINTABLE(s.name),
               e.rate_per_s, e.formula, 1e3 * formula_s, 1e3 * r.wall_s);
        printf("  %-22s %10s %10s\n", "", "formula", "simulated");
        print_against("wait, mean", "s", e.wait_s, r.metrics[METRIC_QUEUE][STAT_MEAN]);
        print_against("TTFT, mean", "s", e.ttft_s, r.metrics[METRIC_TTFT][STAT_MEAN]);
        print_against("TTFT, p99", "s", e.ttft_p99_s, r.metrics[METRIC_TTFT][STAT_P99]);
        print_against("TPOT, mean", "s", e.tpot_s, r.metrics[METRIC_TPOT][STAT_MEAN]);
        print_against("E2E, mean", "s", e.e2e_s, r.metrics[METRIC_E2E][STAT_MEAN]);
        printf("\n  about %.4g requests/s can be served: %.0f %% of that is asked for%s\n", e.capacity_per_s,
               100 * e.utilization, r.overloaded ? "; the simulation finds it overloaded" : "");
        print_unserved("  ", 1 - e.served_share, "longer than the model's longest sequence or the KV pool");
        if (isfinite(e.batch) && isfinite(e.service_s))
            printf("  %.1f decodes in an iteration; a prompt's service takes %.4g s with SCV %.2f\n", e.batch,
                   e.service_s, e.service_scv);
        else
            printf("  by formula there is no steady state\n");
    }
    free(text);
    scenario_release(&s);
    return status ? exit_for(err) : EXIT_DONE;
}

struct formula_choice {
    const struct family *family;
    size_t units;
    double objective;
};

static int compare_choices(const void *a, const void *b)
{
    const struct formula_choice *x = a, *y = b;
    return (x->objective > y->objective) - (x->objective < y->objective);
}

/* The fewest units of every family that can bear the rate, the cheapest first. NULL when memory is short. */
static struct formula_choice *choose_by_formula(const struct plan *plan, const struct family *families, size_t count,
                                                size_t *sound)
{
    struct formula_choice *choices = calloc(count + 1, sizeof *choices);
    *sound = 0;
    for (size_t i = 0; choices && i < count; i++) {
        const struct family *f = &families[i];
        double units = f->refused[0] ? INFINITY : ceil(plan->rate_per_s / f->capacity_per_s);
        if (units < 1e6)
            choices[(*sound)++] = (struct formula_choice){f, (size_t)units, units * f->unit_objective};
    }
    if (choices)
        qsort(choices, *sound, sizeof *choices, compare_choices);
    return choices;
}

static int print_by_formula(const struct plan *plan, const struct formula_choice *choices, size_t count, bool all,
                            struct error *err)
{
    printf("%s: %.4g requests/s; fewest units that can bear it, by formula and whatever the SLO\n\n  %10s %6s\n",
           plan->name, plan->rate_per_s, objective_names[plan->objective], "units");
    for (size_t i = 0; i < count && (all || i < 20); i++)
        printf("  %10.2f %6zu  %s\n", choices[i].objective, choices[i].units, PRINTABLE(choices[i].family->label));
    char *scenario = family_scenario(plan, choices[0].family, choices[0].units);
    struct json root;
    if (!scenario)
        return error_no_memory(err), EXIT_FAILED;
    printf("\nThe first of them, ");
    int status = json_parse(scenario, "scenario", &root, err) ? exit_for(err) : analytic(root, err);
    free(scenario);
    return status;
}

/* A plan by formula alone; the cheapest is simulated, too. */
static int analytic_plan(struct json root, bool all, struct error *err)
{
    struct plan plan;
    struct family *families = NULL;
    struct formula_choice *choices = NULL;
    size_t count = 0, sound = 0;
    if (plan_read(&plan, root, err))
        return exit_for(err);
    int status = families_make(&plan, &families, &count, err) ? exit_for(err) : EXIT_DONE;
    if (status == EXIT_DONE && !(choices = choose_by_formula(&plan, families, count, &sound))) {
        error_no_memory(err);
        status = EXIT_FAILED;
    }
    if (status == EXIT_DONE && sound == 0) {
        error_set(err, ERROR_INPUT, "none of the families can be run: %s", families[0].refused);
        status = EXIT_BAD_INPUT;
    } else if (status == EXIT_DONE)
        status = print_by_formula(&plan, choices, sound, all, err);
    free(choices);
    families_release(families, count);
    plan_release(&plan);
    return status;
}

static int run_here(const struct arguments *args, struct error *err)
{
    struct json root;
    if (need_words(args, 1, 1, command_plan.usage, err))
        return exit_for(err);
    const char *word = args->words[0];
    bool is_scenario = false; /* shipped; a file says itself what it is */
    for (const struct shipped_file *f = shipped_files; f->kind; f++)
        is_scenario = is_scenario || (strcmp(f->kind, "scenario") == 0 && strcmp(f->name, word) == 0);
    if (shipped_load(is_scenario ? "scenario" : "plan", word, &root, err))
        return exit_for(err);
    if (apply_settings(args, &root, err)) {
        cJSON_Delete((cJSON *)(uintptr_t)root.node);
        return exit_for(err);
    }
    if (args->values[OPT_ANALYTIC] && args->values[OPT_JSON]) {
        cJSON_Delete((cJSON *)(uintptr_t)root.node);
        error_set(err, ERROR_INPUT, "--json: is of a plan that is simulated, not of --analytic");
        return exit_for(err);
    }
    if (!json_member(&root, "scenario").node && (refuse_option(args, options, OPT_JSON, "a plan", err) ||
                                                 refuse_option(args, options, OPT_ALL, "a plan", err))) {
        cJSON_Delete((cJSON *)(uintptr_t)root.node);
        return exit_for(err);
    }
    if (json_member(&root, "scenario").node && args->values[OPT_ANALYTIC])
        return analytic_plan(root, args->values[OPT_ALL] != NULL, err);
    if (json_member(&root, "scenario").node) {
        if (set_effort(args, &root, err) == 0)
            return make_plan(args, root, err);
        cJSON_Delete((cJSON *)(uintptr_t)root.node);
        return exit_for(err);
    }
    return args->values[OPT_ANALYTIC] ? analytic(root, err) : capacity(args, root, err);
}

static int run(const struct arguments *args, struct error *err)
{
    bool worked;
    if (session_join(args, &worked, err))
        return exit_for(err);
    int status = worked ? EXIT_DONE : run_here(args, err);
    session_leave();
    return status;
}

const struct command command_plan = {
    .name = "plan",
    .usage = "plan PLAN|SCENARIO [--set PATH=VALUE]...",
    .summary = "find the cheapest way to meet an SLO; of a scenario, the largest rate it sustains",
    .options = options,
    .joins = true,
    .run = run,
};

/* SPDX-License-Identifier: MIT */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/printable.h"
#include "cli/command.h"
#include "cli/plan_run.h"
#include "cli/plan_text.h"
#include "cli/prices.h"
#include "cli/session.h"
#include "planner/headroom.h"
#include "profiles/shipped.h"
#include "reports/stats/analytic.h"

enum {
    OPT_SET,
    OPT_DB,
    OPT_NO_DB,
    OPT_THREADS,
    OPT_REPLICATIONS,
    OPT_CONFIDENCE,
    OPT_PRICE,
    OPT_TOLERANCE,
    OPT_ANALYTIC,
    OPT_JSON,
    OPT_MARKDOWN,
    OPT_EMIT,
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
    {"--price", "DEVICE=PRICE,...", "of one GPU an hour, in place of the plan's and the device's"},
    {"--tolerance", "SHARE", "width of a largest rate's interval, where replications can tell it (default 0.02)"},
    {"--analytic", NULL, "answer by formula at once, and hold it against a simulation"},
    {"--json", "FILE", "write everything that was found out as JSON"},
    {"--markdown", "FILE", "write the answer as Markdown"},
    PLAN_EMIT_OPTION,
    {"--all", NULL, "say of every family why it was not chosen, not of the first twenty"},
    {"--quiet", NULL, "no progress"},
    PLUGIN_OPTION,
    {0},
};

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
    plan_text_outcome(&c->end);
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

/* A number that an option has; what is wrong with it is the option's, not the document's. */
static int read_option(const char *name, const char *text, double least, double most, const char *expected, double *out,
                       struct error *err)
{
    char *end;
    *out = strtod(text, &end);
    if (end != text && !*end && *out >= least && *out <= most)
        return 0;
    return error_set(err, ERROR_INPUT, "%s %s: expected %s", name, PRINTABLE(text), expected);
}

static int check_effort(const struct arguments *args, struct error *err)
{
    const char *replications = args->values[OPT_REPLICATIONS], *expected = "a power of two from 4 to 4096: 4, 8, 16, …";
    const char *confidence = args->values[OPT_CONFIDENCE], *tolerance = args->values[OPT_TOLERANCE];
    double value;
    if (replications && read_option("--replications", replications, 4, 4096, expected, &value, err))
        return -1;
    if (replications && (value != floor(value) || ((long)value & ((long)value - 1))))
        return error_set(err, ERROR_INPUT, "--replications %s: expected %s", PRINTABLE(replications), expected);
    if (confidence && read_option("--confidence", confidence, 0.5, 0.9999, "a number from 0.5 to 0.9999", &value, err))
        return -1;
    return tolerance ? read_option("--tolerance", tolerance, 1e-4, 1, "a number from 0.0001 to 1", &value, err) : 0;
}

static int set_effort(const struct arguments *args, struct json *plan, struct error *err)
{
    static const struct {
        int option;
        const char *key;
    } efforts[] = {{OPT_REPLICATIONS, "replications"}, {OPT_CONFIDENCE, "confidence"}, {OPT_TOLERANCE, "tolerance"}};
    if (check_effort(args, err))
        return -1;
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
        status = trial_run(&t, NULL, NULL, &r, err);
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
        plan_text_unserved("  ", 1 - e.served_share, "longer than the model's longest sequence or the KV pool");
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
            choices[(*sound)++] = (struct formula_choice){f, (size_t)units, family_objective(plan, f, (size_t)units)};
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
    bool is_plan = json_member(&root, "scenario").node != NULL;
    if (args->values[OPT_PRICE] &&
        (is_plan ? prices_set(args->values[OPT_PRICE], &root, err)
                 : error_set(err, ERROR_INPUT, "--price: is of a plan; %s is a scenario by itself", PRINTABLE(word)))) {
        cJSON_Delete((cJSON *)(uintptr_t)root.node);
        return exit_for(err);
    }
    const char *kept = args->values[OPT_JSON]       ? "--json"
                       : args->values[OPT_MARKDOWN] ? "--markdown"
                       : args->values[OPT_EMIT]     ? "--emit"
                                                    : NULL;
    if (kept && (args->values[OPT_ANALYTIC] || !is_plan)) {
        cJSON_Delete((cJSON *)(uintptr_t)root.node);
        error_set(err, ERROR_INPUT, "%s: is of a plan that is simulated, not of %s", kept,
                  args->values[OPT_ANALYTIC] ? "--analytic" : "a scenario by itself");
        return exit_for(err);
    }
    if (!is_plan && refuse_option(args, options, OPT_ALL, "a plan", err)) {
        cJSON_Delete((cJSON *)(uintptr_t)root.node);
        return exit_for(err);
    }
    if (is_plan && args->values[OPT_ANALYTIC])
        return analytic_plan(root, args->values[OPT_ALL] != NULL, err);
    const struct plan_wishes wishes = {.threads = args->values[OPT_THREADS],
                                       .quiet = args->values[OPT_QUIET] != NULL,
                                       .all = args->values[OPT_ALL] != NULL,
                                       .db = plan_database(args->values[OPT_DB], args->values[OPT_NO_DB]),
                                       .json = args->values[OPT_JSON],
                                       .markdown = args->values[OPT_MARKDOWN],
                                       .emit = args->values[OPT_EMIT]};
    if (is_plan) {
        if (set_effort(args, &root, err) == 0)
            return plan_run(&wishes, root, err);
        cJSON_Delete((cJSON *)(uintptr_t)root.node);
        return exit_for(err);
    }
    return args->values[OPT_ANALYTIC] ? analytic(root, err) : capacity(args, root, err);
}

static int run(const struct arguments *args, struct error *err)
{
    return session_run(args, run_here, err);
}

const struct command command_plan = {
    .name = "plan",
    .usage = "plan PLAN|SCENARIO [--set PATH=VALUE]...",
    .summary = "find the cheapest way to meet an SLO; of a scenario, the largest rate it sustains",
    .options = options,
    .joins = true,
    .run = run,
};

/* SPDX-License-Identifier: MIT */
/* `list` and `describe`: everything a scenario may name, from the tables that check it. */
#include <stdio.h>
#include <string.h>

#include "cli/command.h"
#include "profiles/shipped.h"
#include "profiles/technique.h"
#include "sim/choices.h"
#include "workloads/generator.h"
#include "workloads/trace.h"

static const struct option_spec options[] = {PLUGIN_OPTION, {0}};

/* What is told of a policy of any axis. */
struct policy_words {
    const char *name, *summary, *source;
    const struct param_spec *params;
};

static struct policy_words words_of(enum policy_axis axis, const void *policy)
{
    const struct batching_policy *batching = policy;
    const struct order_policy *order = policy;
    const struct routing_policy *routing = policy;
    const struct predictor *predictor = policy;
    const struct scaling_policy *scaling = policy;
    switch (axis) {
    case AXIS_BATCHING:
        return (struct policy_words){batching->name, batching->summary, batching->source, batching->params};
    case AXIS_ORDER:
        return (struct policy_words){order->name, order->summary, order->source, order->params};
    case AXIS_ROUTING:
        return (struct policy_words){routing->name, routing->summary, NULL, routing->params};
    case AXIS_PREDICTOR:
        return (struct policy_words){predictor->name, predictor->summary, predictor->source, predictor->params};
    default:
        return (struct policy_words){scaling->name, scaling->summary, scaling->source, scaling->params};
    }
}

static void list_axis(enum policy_axis axis, const char *title)
{
    const void *policy;
    printf("%s\n", title);
    for (size_t i = 0; (policy = policy_at(axis, i)); i++) {
        struct policy_words w = words_of(axis, policy);
        const struct plugin *from = plugin_of(axis, policy);
        printf("  %-26s %s%s%s%s\n", w.name, w.summary, from ? " (plug-in " : "", from ? plugin_file(from) : "",
               from ? ")" : "");
    }
}

static void list_policies(void)
{
    list_axis(AXIS_BATCHING, "batching");
    list_axis(AXIS_ROUTING, "routing");
    list_axis(AXIS_AUTOSCALING, "autoscaling");
    list_axis(AXIS_ORDER, "order");
    list_axis(AXIS_PREDICTOR, "predictors");
    for (const struct choice_table *t = choice_tables; t->title; t++) {
        printf("%s\n", t->title);
        for (const struct choice *c = t->choices; c->name; c++)
            printf("  %-26s %s\n", c->name, c->summary);
    }
}

static void list_workloads(void)
{
    printf("arrivals\n");
    for (const struct arrival_process *const *a = arrival_processes; *a; a++)
        printf("  %-26s %s\n", (*a)->name, (*a)->summary);
    printf("lengths\n");
    for (const struct length_distribution *const *d = length_distributions; *d; d++)
        printf("  %-26s %s\n", (*d)->name, (*d)->summary);
    printf("trace formats\n");
    for (const struct trace_format *const *f = trace_formats; *f; f++)
        printf("  %-26s %s\n", (*f)->name, (*f)->summary);
}

static void list_changes(void)
{
    printf("changes that techniques may make\n");
    for (const struct change_kind *const *c = change_kinds; *c; c++)
        printf("  %-26s %s\n", (*c)->name, (*c)->summary);
}

static void list_shipped(const char *kind)
{
    printf("%ss\n", kind);
    for (const struct shipped_file *f = shipped_files; f->kind; f++)
        if (strcmp(f->kind, kind) == 0)
            printf("  %s\n", f->name);
}

static int run_list(const struct arguments *args, struct error *err)
{
    if (need_words(args, 0, 1, command_list.usage, err))
        return EXIT_BAD_INPUT;
    const char *what = args->word_count ? args->words[0] : "all";
    bool all = strcmp(what, "all") == 0, known = all;
    static const char *const kinds[] = {"model", "device", "engine", "technique", "scenario", "plan"};
    if (all || strcmp(what, "policies") == 0)
        known = true, list_policies();
    if (all || strcmp(what, "workloads") == 0)
        known = true, list_workloads();
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (all || (strncmp(what, kinds[i], strlen(kinds[i])) == 0 && strcmp(what + strlen(kinds[i]), "s") == 0))
            known = true, list_shipped(kinds[i]);
    if (all || strcmp(what, "techniques") == 0)
        list_changes();
    if (known)
        return EXIT_DONE;
    error_set(
        err, ERROR_INPUT,
        "\"%s\" cannot be listed; allowed: policies, workloads, models, devices, engines, techniques, scenarios, plans",
        what);
    return EXIT_BAD_INPUT;
}

static void describe_params(const struct param_spec *specs)
{
    if (!specs->name)
        printf("  no parameters\n");
    for (const struct param_spec *p = specs; p->name; p++) {
        printf("  %-24s ", p->name);
        if (p->type == PARAM_TEXT)
            printf("%s, default %s", p->choices ? p->choices : "text", p->preset_text ? p->preset_text : "none");
        else
            printf("%g … %g %s, default %g", p->min, p->max, p->unit, p->preset);
        printf("\n  %-24s   %s\n", "", p->help);
    }
}

static void describe_policy(enum policy_axis axis, const void *policy)
{
    static const char *const titles[POLICY_AXES] = {"batching policy", "order", "routing policy", "predictor",
                                                    "autoscaling policy"};
    struct policy_words w = words_of(axis, policy);
    const struct plugin *from = plugin_of(axis, policy);
    const struct batching_policy *batching = policy;
    printf("%s %s: %s\n", titles[axis], w.name, w.summary);
    if (axis != AXIS_ROUTING)
        printf("source: %s\n", w.source ? w.source : "none");
    if (from)
        printf("plug-in: %s, SHA-256 %s\n", from->path, from->sha256);
    if (axis == AXIS_BATCHING)
        printf("admission: %s\n", batching->admission == ADMIT_RESERVE_MAX ? "reserve_max" : "on_demand");
    describe_params(w.params);
}

static bool describe(const char *name)
{
    static const enum policy_axis axes[] = {AXIS_BATCHING, AXIS_ORDER, AXIS_PREDICTOR, AXIS_ROUTING, AXIS_AUTOSCALING};
    bool known = false;
    for (size_t i = 0; i < sizeof axes / sizeof *axes; i++) {
        const void *policy = policy_find(axes[i], name);
        if (policy)
            describe_policy(axes[i], policy);
        known |= policy != NULL;
    }
    for (const struct choice_table *t = choice_tables; t->title; t++)
        for (const struct choice *c = t->choices; c->name; c++)
            if (strcmp(c->name, name) == 0) {
                printf("%s, %s: %s\nsource: %s\n", name, t->of, c->summary, c->source ? c->source : "none");
                known = true;
            }
    for (const struct arrival_process *const *a = arrival_processes; *a; a++)
        if (strcmp((*a)->name, name) == 0) {
            printf("arrival process %s: %s\n", name, (*a)->summary);
            describe_params((*a)->params);
            known = true;
        }
    for (const struct length_distribution *const *d = length_distributions; *d; d++)
        if (strcmp((*d)->name, name) == 0) {
            printf("length distribution %s: %s\n", name, (*d)->summary);
            describe_params((*d)->params);
            known = true;
        }
    for (const struct change_kind *const *c = change_kinds; *c; c++)
        if (strcmp((*c)->name, name) == 0) {
            printf("change that a technique may make, %s: %s\n", name, (*c)->summary);
            describe_params((*c)->params);
            known = true;
        }
    for (const struct shipped_file *f = shipped_files; f->kind; f++)
        if (strcmp(f->name, name) == 0) {
            printf("%s", f->text); /* as it is, so that it can be saved and changed */
            known = true;
        }
    return known;
}

static int run_describe(const struct arguments *args, struct error *err)
{
    if (need_words(args, 1, 1, command_describe.usage, err))
        return EXIT_BAD_INPUT;
    if (describe(args->words[0]))
        return EXIT_DONE;
    error_set(err, ERROR_INPUT, "nothing is called \"%s\"; see tandem list", args->words[0]);
    return EXIT_BAD_INPUT;
}

const struct command command_list = {
    .name = "list",
    .usage = "list [policies|workloads|models|devices|engines|techniques|scenarios|plans]",
    .summary = "what a scenario may name",
    .options = options,
    .run = run_list,
};

const struct command command_describe = {
    .name = "describe",
    .usage = "describe NAME",
    .summary = "a policy's or generator's parameters; a model's, device's, scenario's or plan's JSON",
    .options = options,
    .run = run_describe,
};

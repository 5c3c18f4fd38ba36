/* SPDX-License-Identifier: MIT */
/* `list` and `describe`: everything a scenario may name, from the tables that check it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/field_paths.h"
#include "base/field_schema.h"
#include "base/nearest.h"
#include "base/printable.h"
#include "cli/command.h"
#include "policies/plugins.h"
#include "policies/registry.h"
#include "profiles/model.h"
#include "profiles/model_name.h"
#include "profiles/shipped.h"
#include "profiles/technique.h"
#include "sim/choices.h"
#include "sim/names.h"
#include "sim/scenario.h"
#include "workloads/durations.h"
#include "workloads/generator.h"
#include "workloads/trace.h"

static const struct option_spec list_options[] = {PLUGIN_OPTION, {0}};

static bool change_kind_at(size_t index, struct named *out)
{
    const struct change_kind *c = change_kinds[index];
    if (c)
        *out = (struct named){c->name, c->summary, NULL, c->params, NULL};
    return c != NULL;
}

enum { NO_AXIS = POLICY_AXES };

/* What has a name, by what all of its kind are called where they are listed, and one of them where it is described; and
 * the axis of a policy. */
static const struct kind {
    const char *heading, *of;
    bool (*at)(size_t index, struct named *out);
    int axis;
} policies[] = {{"batching", "batching policy", batching_policy_at, AXIS_BATCHING},
                {"routing", "routing policy", routing_policy_at, AXIS_ROUTING},
                {"autoscaling", "autoscaling policy", scaling_policy_at, AXIS_AUTOSCALING},
                {"order", "order", order_policy_at, AXIS_ORDER},
                {"predictors", "predictor", predictor_at, AXIS_PREDICTOR},
                {0}},
  workloads[] = {{"arrivals", "arrival process", arrival_process_at, NO_AXIS},
                 {"lengths", "length distribution", length_distribution_at, NO_AXIS},
                 {"durations", "distribution of durations", duration_distribution_at, NO_AXIS},
                 {"trace formats", "trace format", trace_format_at, NO_AXIS},
                 {0}},
  changes[] = {{"changes that techniques may make", "change that a technique may make,", change_kind_at, NO_AXIS}, {0}};

static const struct kind *const kinds[] = {policies, workloads, changes, NULL};

/* The plug-in that brings it; NULL: none does. */
static const struct plugin *plugin_that_brings(const struct kind *kind, size_t index)
{
    return kind->axis == NO_AXIS
               ? NULL
               : plugin_of((enum policy_axis)kind->axis, policy_at((enum policy_axis)kind->axis, index));
}

static void list_kinds(const struct kind *kind)
{
    struct named n;
    for (; kind->heading; kind++) {
        printf("%s\n", kind->heading);
        for (size_t i = 0; kind->at(i, &n); i++) {
            const struct plugin *from = plugin_that_brings(kind, i);
            printf("  %-26s %s%s%s%s\n", n.name, n.summary, from ? " (plug-in " : "", from ? plugin_file(from) : "",
                   from ? ")" : "");
        }
    }
}

static void list_choices(void)
{
    for (const struct choice_table *t = choice_tables; t->title; t++) {
        printf("%s\n", t->title);
        for (const struct choice *c = t->choices; c->name; c++)
            printf("  %-26s %s\n", c->name, c->summary);
    }
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
    static const char *const shipped[] = {"model", "device", "engine", "technique", "scenario", "plan"};
    if (all || strcmp(what, "policies") == 0)
        known = true, list_kinds(policies), list_choices();
    if (all || strcmp(what, "workloads") == 0)
        known = true, list_kinds(workloads);
    for (size_t i = 0; i < sizeof shipped / sizeof *shipped; i++)
        if (all || (strncmp(what, shipped[i], strlen(shipped[i])) == 0 && strcmp(what + strlen(shipped[i]), "s") == 0))
            known = true, list_shipped(shipped[i]);
    if (all || strcmp(what, "techniques") == 0)
        list_kinds(changes);
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

static bool describe_kinds(const struct kind *kind, const char *name)
{
    struct named n;
    bool known = false;
    for (; kind->heading; kind++)
        for (size_t i = 0; kind->at(i, &n); i++) {
            if (strcmp(n.name, name) != 0)
                continue;
            printf("%s %s: %s\n", kind->of, name, n.summary);
            if (n.source)
                printf("source: %s\n", n.source);
            const struct plugin *from = plugin_that_brings(kind, i);
            if (from)
                printf("plug-in: %s, SHA-256 %s\n", from->path, from->sha256);
            if (kind->axis == AXIS_BATCHING) {
                const struct batching_policy *p = policy_at(AXIS_BATCHING, i);
                printf("admission: %s\n", p->admission == ADMIT_RESERVE_MAX ? "reserve_max" : "on_demand");
            }
            if (n.params)
                describe_params(n.params);
            known = true;
        }
    return known;
}

static bool describe(const char *name)
{
    bool known = false;
    for (const struct kind *const *k = kinds; *k; k++)
        known |= describe_kinds(*k, name);
    for (const struct choice_table *t = choice_tables; t->title; t++)
        for (const struct choice *c = t->choices; c->name; c++)
            if (strcmp(c->name, name) == 0) {
                printf("%s, %s: %s\nsource: %s\n", name, t->of, c->summary, c->source ? c->source : "none");
                known = true;
            }
    for (const struct shipped_file *f = shipped_files; f->kind; f++)
        if (strcmp(f->name, name) == 0) {
            printf("%s", f->text); /* as it is, so that it can be saved and changed */
            known = true;
        }
    return known;
}

static bool is_choice(const char *choices, const char *name)
{
    size_t length = strlen(name);
    for (const char *at = choices; at && *at; at += strspn(at, "|")) {
        size_t own = strcspn(at, "|");
        if (own == length && strncmp(at, name, own) == 0)
            return true;
        at += own;
    }
    return false;
}

/* A word that a parameter may have, of a policy or generator. */
static bool describe_values(const char *name)
{
    struct named n;
    bool known = false;
    for (const struct kind *const *group = kinds; *group; group++)
        for (const struct kind *kind = *group; kind->heading; kind++)
            for (size_t i = 0; kind->at(i, &n); i++)
                for (const struct param_spec *p = n.params; p && p->name; p++)
                    if (p->type == PARAM_TEXT && is_choice(p->choices, name)) {
                        printf("%s, a value of %s of %s %s: %s\n", name, p->name, kind->of, n.name, p->help);
                        known = true;
                    }
    return known;
}

struct value_search {
    const char *name;
    bool known;
};

/* A word that a field of a scenario may have. */
static void take_value(const struct field_row *row, void *context)
{
    struct value_search *s = context;
    const struct field *f = row->field;
    bool own = is_choice(f->is.choices, s->name) || (f->other_names && strcmp(f->other_names, s->name) == 0);
    for (const struct choice *c = f->kind == FIELD_CHOICE ? f->choices : NULL; c && c->name; c++)
        own |= strcmp(c->name, s->name) == 0;
    for (const struct field *m = f->kind == FIELD_FORMS ? f->members : NULL; m && m->is.name; m++)
        own |= is_choice(m->is.choices, s->name);
    if (own) {
        printf("%s, a value of %s: %s\n", s->name, row->path, row->field->is.help);
        s->known = true;
    }
}

static bool describe_value(const char *name)
{
    struct value_search s = {name, false};
    field_paths(&scenario_field, "", take_value, &s);
    return describe_values(name) || s.known;
}

/* What a plug-in brings, once --plugin has loaded it: nothing else may load one. Returns 1 when the name is none's. */
static int describe_plugin(const char *name, struct error *err)
{
    struct named n;
    size_t length = strlen(name), index = 0;
    const struct plugin *p;
    while ((p = plugin_at(index)) && strcmp(plugin_file(p), name) != 0 && strcmp(p->path, name) != 0)
        index++;
    if (!p && length > 3 && strcmp(name + length - 3, ".so") == 0)
        return error_set(err, ERROR_INPUT,
                         "%s: expected --plugin %s, too: a plug-in is code, and only that option loads it",
                         PRINTABLE(name), PRINTABLE(name));
    for (const struct kind *kind = policies; p && kind->heading; kind++)
        for (size_t i = 0; kind->at(i, &n); i++)
            if (plugin_that_brings(kind, i) == p)
                describe(n.name);
    return p ? 0 : 1;
}

/* A model that is not called as it is shipped: a repository's name, a config.json, its folder. */
static int describe_model(const char *name, struct error *err)
{
    struct model m;
    if (model_load(name, &m, err))
        return -1;
    cJSON *object = model_json(&m, name);
    char *text = object ? cJSON_Print(object) : NULL;
    cJSON_Delete(object);
    if (!text)
        return error_no_memory(err);
    printf("%s\n", text);
    free(text);
    return 0;
}

/* Every name that can be described, from 0 on; NULL after the last. */
static const char *name_at(const void *names, size_t index)
{
    struct named n;
    (void)names;
    for (const struct kind *const *group = kinds; *group; group++)
        for (const struct kind *kind = *group; kind->heading; kind++)
            for (size_t i = 0; kind->at(i, &n); i++)
                if (index-- == 0)
                    return n.name;
    for (const struct choice_table *t = choice_tables; t->title; t++)
        for (const struct choice *c = t->choices; c->name; c++)
            if (index-- == 0)
                return c->name;
    for (const struct shipped_file *f = shipped_files; f->kind; f++)
        if (index-- == 0)
            return f->name;
    return index == 0 ? scenario_field.is.name : NULL;
}

static void print_row(const struct field_row *row, void *context)
{
    const struct field *f = row->field;
    char type[FIELD_TEXT], range[FIELD_TEXT], otherwise[FIELD_TEXT];
    bool unit = f->is.unit && f->is.unit[0];
    (void)context;
    field_type_text(f, type);
    field_range_text(f, range);
    field_default_text(f, otherwise);
    printf("  %-40s %s%s%s%s%s%s%s%s%s\n", row->path, type, range[0] ? ", " : "", range, unit ? " " : "",
           unit ? f->is.unit : "", f->required ? ", " : ", default ", otherwise, row->when[0] ? "; " : "", row->when);
    printf("  %-40s   %s%s%s\n", "", f->is.help, row->like ? "; its keys are those of " : "",
           row->like ? row->like : "");
}

/* A cell of a Markdown table: a bar in it would end it. */
static void print_cell(const char *text)
{
    for (; *text; text++)
        printf("%s%c", *text == '|' ? "\\" : "", *text);
    printf(" | ");
}

/* Files of the documentation become links from its folder. */
static void print_help(const char *help)
{
    static const char folder[] = "docs/";
    for (const char *file; (file = strstr(help, folder));) {
        const char *name = file + sizeof folder - 1;
        int length = (int)strcspn(name, ") ,;");
        printf("%.*s[%.*s](%.*s)", (int)(file - help), help, length, name, length, name);
        help = name + length;
    }
    printf("%s", help);
}

static void print_markdown_row(const struct field_row *row, void *context)
{
    const struct field *f = row->field;
    char cell[FIELD_TEXT];
    (void)context;
    printf("| `%s` | ", row->path);
    field_type_text(f, cell);
    print_cell(cell);
    print_cell(f->is.unit ? f->is.unit : "");
    field_default_text(f, cell);
    print_cell(cell);
    field_range_text(f, cell);
    print_cell(cell);
    print_help(f->is.help);
    printf("%s%s%s%s |\n", row->when[0] ? "; " : "", row->when, row->like ? "; its keys are those of " : "",
           row->like ? row->like : "");
}

static void print_names(const struct field *f)
{
    struct named n;
    for (size_t i = 0; f->kind == FIELD_NAMED && f->names(i, &n); i++)
        printf("  %-40s   %s\n", n.name, n.summary);
    for (const struct choice *c = f->kind == FIELD_CHOICE ? f->choices : NULL; c && c->name; c++)
        printf("  %-40s   %s\n", c->name, c->summary);
}

static int print_schema(const struct field *f, struct error *err)
{
    cJSON *schema = field_schema(f);
    char *text = schema && !memory_has_failed() ? cJSON_Print(schema) : NULL;
    cJSON_Delete(schema);
    if (!text) {
        error_no_memory(err);
        return EXIT_FAILED;
    }
    printf("%s\n", text);
    free(text);
    return EXIT_DONE;
}

enum { AS_SCHEMA, AS_MARKDOWN };

static const struct option_spec describe_options[] = {
    [AS_SCHEMA] = {"--schema", NULL, "of a scenario, or a part: a JSON Schema (draft 2020-12), for editors"},
    [AS_MARKDOWN] = {"--markdown", NULL, "of a scenario, or a part: the table as it stands in docs/scenario.md"},
    PLUGIN_OPTION,
    {0}};

/* All that a scenario may hold, or what stands at a path of it. */
static int describe_scenario(const struct arguments *args, const char *path, struct error *err)
{
    struct field f;
    if (field_at_path(&scenario_field, scenario_field.is.name, path, &f, err))
        return exit_for(err);
    if (args->values[AS_SCHEMA])
        return print_schema(&f, err);
    if (args->values[AS_MARKDOWN])
        printf("| path | type | unit | default | range | meaning |\n| --- | --- | --- | --- | --- | --- |\n");
    field_paths(&f, path, args->values[AS_MARKDOWN] ? print_markdown_row : print_row, NULL);
    if (!args->values[AS_MARKDOWN])
        print_names(&f);
    return EXIT_DONE;
}

/* Whether it is a scenario, or a path of one: "scenario.cluster". */
static bool is_scenario(const char *name)
{
    size_t length = strlen(scenario_field.is.name);
    return strncmp(name, scenario_field.is.name, length) == 0 && (name[length] == 0 || name[length] == '.');
}

static int run_describe(const struct arguments *args, struct error *err)
{
    if (need_words(args, 1, 1, command_describe.usage, err))
        return EXIT_BAD_INPUT;
    const char *name = args->words[0];
    if (is_scenario(name))
        return describe_scenario(args, name + strcspn(name, ".") + (strchr(name, '.') != NULL), err);
    if (args->values[AS_SCHEMA] || args->values[AS_MARKDOWN]) {
        error_set(err, ERROR_INPUT, "%s: expected a scenario or a part of it, such as scenario.cluster, found \"%s\"",
                  args->values[AS_SCHEMA] ? "--schema" : "--markdown", name);
        return EXIT_BAD_INPUT;
    }
    if (describe(name) || describe_value(name))
        return EXIT_DONE;
    int plugin = describe_plugin(name, err);
    if (plugin <= 0)
        return plugin ? exit_for(err) : EXIT_DONE;
    struct model_meant model;
    if (strchr(name, '/') || model_meant_by(name, &model))
        return describe_model(name, err) ? exit_for(err) : EXIT_DONE;
    const char *meant = nearest_name(name, name_at, NULL);
    error_set(err, ERROR_INPUT, "nothing is called \"%s\"; %s%s%ssee tandem list", name, meant ? "did you mean \"" : "",
              meant ? meant : "", meant ? "\"? " : "");
    return EXIT_BAD_INPUT;
}

const struct command command_list = {
    .name = "list",
    .usage = "list [policies|workloads|models|devices|engines|techniques|scenarios|plans]",
    .summary = "what a scenario may name",
    .options = list_options,
    .run = run_list,
};

const struct command command_describe = {
    .name = "describe",
    .usage = "describe NAME|scenario[.PATH] [--schema]",
    .summary = "a policy's, generator's or plug-in's parameters; a model's, device's, scenario's or plan's JSON; all "
               "keys of a "
               "scenario",
    .options = describe_options,
    .run = run_describe,
};

/* SPDX-License-Identifier: MIT */
/* `profile import`, `profile show`, `profile check` and `profile fit`. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/command.h"
#include "profiles/check.h"
#include "profiles/cost.h"
#include "profiles/fit_kernels.h"
#include "profiles/import.h"
#include "profiles/physics.h"
#include "profiles/shipped.h"
#include "validation/measured.h"

enum { OPT_MODEL, OPT_BASE, OPT_NAME, OPT_TP, OPT_HARDWARE, OPT_HOST, OPT_KERNELS, OPT_SET, OPT_OUT };

static const struct option_spec options[] = {
    {"--model", "NAME", "import: the model that was measured; show: the model to cost (default llama-3.1-8b)"},
    {"--base", "DEVICE",
     "import: the device whose memory and links hold, and whose roofline costs what the tables do not (default: "
     "rtx-4090 for LLMServingSim, system.yaml or h100-sxm for AIConfigurator, a100-80gb for Vidur and Splitwise)"},
    {"--name", "NAME", "import, fit --kernels: the new profile's name (default: measured, fitted)"},
    {"--tensor-parallel", "N", "import: the degree that was measured; show: the degree to cost (default 1)"},
    {"--hardware", "NAME", "import: the machine to take from a file of several (Splitwise's)"},
    {"--host", "FOLDER", "fit: the measured server run to fit host work to (requests.jsonl and meta.json)"},
    {"--kernels", "FOLDER",
     "fit: AIConfigurator's tables of one system and engine (gemm_perf.csv, context_attention_perf.csv, "
     "generation_attention_perf.csv, custom_allreduce_perf.csv, moe_perf.csv; or .csv.gz) to fit a roofline's "
     "efficiencies to"},
    {"--set", "PATH=VALUE",
     "fit: override a value of the run's scenario, e.g. engine.preset=vllm-0.19; may be repeated"},
    {"--out", "FILE",
     "import: the profile to write (default profile.json); fit --host: the engine (default engine.json); fit "
     "--kernels: "
     "the device (default device.json)"},
    {0},
};

static const char *value_or(const struct arguments *args, int option, const char *otherwise)
{
    return args->values[option] ? args->values[option] : otherwise;
}

/* What is going to be written is read as it will be, before an older file gives way to it. */
static int read_back(const cJSON *profile, const char *file, struct device *out, struct error *err)
{
    struct json root;
    if (!strchr(file, '/') && !strstr(file, ".json"))
        return error_set(err, ERROR_INPUT,
                         "--out %s: expected a name with .json or / in it; others are shipped devices", file);
    char *text = cJSON_PrintUnformatted(profile);
    if (!text)
        return error_no_memory(err);
    int status = json_parse(text, file, &root, err);
    cJSON_free(text);
    if (status)
        return -1;
    status = device_take(&root, file, out, err);
    cJSON_Delete((cJSON *)(uintptr_t)root.node);
    return status;
}

/* The model that a profile's tables without a shape were measured on. Returns 1; 0 where there is none, or none that is
 * known; -1 where memory is short or its file cannot be read. */
static int own_work(const struct device *d, struct model *m, struct work *work, struct error *err)
{
    struct error own = {0};
    struct parallel parallel = tensor_parallel(d->tensor_parallel);
    if (!d->model[0])
        return 0;
    if (model_load(d->model, m, &own) == 0 && work_of_model(m, &parallel, work, &own) == 0)
        return 1;
    *err = own;
    return error_is_of_machine(&own) ? -1 : 0;
}

/* How many of a new profile's points are faster than the datasheet allows. */
static int count_below(const struct device *d, size_t *points, size_t *below, struct error *err)
{
    struct model m = {0};
    struct work work;
    int own = own_work(d, &m, &work, err);
    *points = *below = 0;
    for (size_t i = 0; own >= 0 && i < d->table_count; i++) {
        struct physics_report r = physics_check_table(d, own ? &work : NULL, m.dtype, &d->tables[i]);
        *points += r.points;
        *below += r.below;
    }
    return own < 0 ? -1 : 0;
}

static int import(const struct arguments *args, uint32_t tp, struct error *err)
{
    struct import_options o = {.path = args->words[1],
                               .model = value_or(args, OPT_MODEL, "llama-3.1-8b"),
                               .base_device = args->values[OPT_BASE],
                               .name = value_or(args, OPT_NAME, "measured"),
                               .hardware = args->values[OPT_HARDWARE],
                               .tensor_parallel = tp};
    const char *file = value_or(args, OPT_OUT, "profile.json");
    const struct import_format *format;
    struct device d;
    cJSON *profile = profile_import(&o, &format, err);
    if (!profile)
        return -1;
    size_t points = 0, below = 0;
    int status = read_back(profile, file, &d, err);
    if (status == 0 && (count_below(&d, &points, &below, err) || profile_write(profile, file, err)))
        status = (device_release(&d), -1);
    cJSON_Delete(profile);
    if (status)
        return -1;
    char of[128] = "of kernels by shape, for every model";
    if (format->by_model)
        snprintf(of, sizeof of, "of %s, tensor parallel %u", o.model, tp);
    printf("wrote %s from %s: %zu tables %s; `tandem profile check %s` shows their errors\n", file, format->name,
           d.table_count, of, file);
    if (below > 0)
        printf("%zu of %zu points take less than peak arithmetic and bandwidth of the datasheet allow; `tandem profile "
               "check %s` says which\n",
               below, points, file);
    device_release(&d);
    return 0;
}

/* "heads 8/1 of 128, kv bf16": what a table's kernels were measured on. */
static void shape_text(const struct cost_table *t, char *out, size_t size)
{
    const struct table_shape *s = &t->shape;
    *out = 0;
    if (!s->any)
        return;
    if (s->heads > 0)
        snprintf(out, size, "%g/%g heads of %g, KV %s", s->heads, s->kv_heads, s->head_dim, dtype_names[s->kv_dtype]);
    else if (s->experts > 0)
        snprintf(out, size, "%g of %g experts %g×%g, %s, TP %g, EP %g", s->top_k, s->experts, s->hidden,
                 s->intermediate, dtype_names[s->dtype], s->tensor, s->expert);
    else if (s->gpus > 0)
        snprintf(out, size, "%g GPUs", s->gpus);
    else
        snprintf(out, size, "%s", dtype_names[s->dtype]);
}

static void show_tables(const struct device *d)
{
    for (size_t i = 0; i < d->table_count; i++) {
        const struct cost_table *t = &d->tables[i];
        const struct table_kind *kind = table_kind_find(t->op);
        char shape[160];
        shape_text(t, shape, sizeof shape);
        printf("  %-18s %s%s%zu points:", t->op, shape, *shape ? ", " : "", table_cells(t));
        for (size_t a = 0; a < t->axis_count; a++)
            printf("%s %s %g … %g", a ? "," : "", kind->axes[a], t->axes[a].at[0], t->axes[a].at[t->axes[a].count - 1]);
        printf("\n");
    }
}

static struct iteration_cost cost_of(const struct cost_model *cm, const struct batch *batch)
{
    struct iteration_cost cost;
    cost_model_iteration(cm, batch, &cost);
    return cost;
}

/* Blocks of 16 tokens and requests of the longest length at once, as vLLM's log says when it starts. */
static void show_groups(const struct cost_model *cm)
{
    const struct kv_layout layout = {.block_tokens = 16, .step_tokens = 8192, .groups = cm->work.kv_groups};
    const struct kv_groups *g = &layout.groups;
    uint64_t blocks = cost_model_kv_tokens(cm, layout.step_tokens, 256) / layout.block_tokens;
    uint32_t longest = cm->model.max_tokens;
    double requests = (double)blocks / (double)kv_layout_blocks(&layout, longest, 0, layout.step_tokens);
    printf("  in %llu blocks of %u tokens and one of %u groups of layers, %u of which keep the last %u tokens: %.2f "
           "requests of %u tokens\n",
           (unsigned long long)blocks, layout.block_tokens, g->full + g->windowed, g->windowed, g->window, requests,
           longest);
}

static int show(const struct arguments *args, uint32_t tp, struct error *err)
{
    static const uint32_t lengths[] = {128, 512, 2048, 8192};
    static const uint32_t sequences[] = {1, 8, 32, 128};
    struct cost_model cm;
    struct parallel parallel = tensor_parallel(tp);
    if (cost_model_create(&cm, value_or(args, OPT_MODEL, "llama-3.1-8b"), args->words[1], &parallel, NULL, NULL, err))
        return -1;
    printf("%s, costing %s with tensor parallel %u\n  %s\n  KV cache: %llu tokens\n", cm.device.name, cm.model.name, tp,
           cm.device.source,
           (unsigned long long)(cost_model_kv_tokens(&cm, 8192, 256) /
                                (cm.work.kv_groups.full + cm.work.kv_groups.windowed)));
    if (cm.work.kv_groups.windowed > 0)
        show_groups(&cm);
    show_tables(&cm.device);
    for (size_t i = 0; i < 4; i++) {
        struct request r = {.prompt_tokens = lengths[i]};
        struct batch_item item = {.req = &r, .new_tokens = lengths[i]};
        struct batch prompt = {.items = &item, .count = 1};
        printf("  prefill of %5u tokens       %9.3f ms\n", lengths[i], fine_to_ns(cost_of(&cm, &prompt).total) * 1e-6);
    }
    for (size_t i = 0; i < 4; i++) {
        struct batch decodes = {.decodes = sequences[i], .decode_kv = (uint64_t)sequences[i] * 1023};
        printf("  decode of %3u × 1024 KV      %9.3f ms\n", sequences[i],
               fine_to_ns(cost_of(&cm, &decodes).total) * 1e-6);
    }
    cost_model_release(&cm);
    return 0;
}

static void show_errors(const struct check_errors *e)
{
    if (e->points)
        printf(" %7zu %8.2f %8.2f %8.2f", e->points, 100 * e->median, 100 * e->p90, 100 * e->worst);
    else
        printf(" %7s %8s %8s %8s", "-", "-", "-", "-");
}

static int check_table(const struct cost_table *t, struct error *err)
{
    const struct table_kind *kind = table_kind_find(t->op);
    char shape[160];
    shape_text(t, shape, sizeof shape);
    if (*shape)
        printf("%s, %s\n", t->op, shape);
    for (size_t a = 0; a < t->axis_count; a++) {
        const struct table_axis *axis = &t->axes[a];
        struct axis_check c;
        if (table_check_axis(t, a, &c, err))
            return -1;
        char range[32];
        snprintf(range, sizeof range, "%g … %g", axis->at[0], axis->at[axis->count - 1]);
        /* "…" is three bytes and one column */
        printf("%-18s %-13s %6zu %-18s", a == 0 && !*shape ? t->op : "", kind->axes[a], axis->count, range);
        show_errors(&c.within);
        printf(" ");
        show_errors(&c.beyond);
        for (size_t i = 0; c.within.points && i < t->axis_count; i++)
            printf("%s%g", i ? ", " : "  at ", c.within.worst_at[i]);
        printf("\n");
    }
    if (t->filled_count)
        printf("  %zu of its %zu points were not measured but filled in between or beyond others, and are not judged\n",
               t->filled_count, table_cells(t));
    if (t->unused)
        printf("  %zu measured points did not fit the grid and are not used\n", t->unused);
    return 0;
}

/* Points that are faster than the datasheet allows, table by table. */
static int print_physics(const struct device *d, struct error *err)
{
    struct model m = {0};
    struct work work;
    int own = own_work(d, &m, &work, err);
    if (own < 0)
        return -1;
    for (size_t i = 0; i < d->table_count; i++) {
        const struct cost_table *t = &d->tables[i];
        struct physics_report r = physics_check_table(d, own ? &work : NULL, m.dtype, t);
        char shape[160];
        shape_text(t, shape, sizeof shape);
        if (r.below == 0)
            continue;
        printf("below the datasheet: %s%s%s: %zu of %zu points take less than peak arithmetic and bandwidth allow, the "
               "lowest %.0f %% of it at ",
               t->op, *shape ? ", " : "", shape, r.below, r.points, 100 * r.lowest);
        for (size_t a = 0; a < t->axis_count; a++)
            printf("%s%g", a ? ", " : "", r.lowest_at[a]);
        printf("\n");
    }
    return 0;
}

/* Leave-one-out errors of every table, one line an axis. */
static int check(const struct arguments *args, struct error *err)
{
    struct device d;
    if (device_load(args->words[1], &d, err))
        return -1;
    int status = d.table_count ? 0
                               : error_set(err, ERROR_INPUT,
                                           "%s: has no measured tables, its costs are stated parameters; "
                                           "give a profile that `profile import` wrote",
                                           args->words[1]);
    if (status == 0)
        printf(
            "%s: %s\n"
            "errors in percent of every line of a grid, computed from the others: between two of them, and the last\n"
            "from those before it (one step of extrapolation)\n\n"
            "table              axis           lines range             points   median      p90    worst   beyond   "
            "median      p90    worst  worst within\n",
            d.name, d.source);
    for (size_t i = 0; status == 0 && i < d.table_count; i++)
        status = check_table(&d.tables[i], err);
    if (status == 0)
        status = print_physics(&d, err);
    device_release(&d);
    return status;
}

static void replace_string(cJSON *object, const char *name, const char *value)
{
    cJSON_DeleteItemFromObjectCaseSensitive(object, name);
    cJSON_AddStringToObject(object, name, value);
}

static void replace_number(cJSON *object, const char *name, double value)
{
    char digits[32];
    snprintf(digits, sizeof digits, "%.4g", value); /* a fit is no better known */
    cJSON_DeleteItemFromObjectCaseSensitive(object, name);
    cJSON_AddNumberToObject(object, name, strtod(digits, NULL));
}

/* The engine file: what the run was simulated with, whole, and the fitted host work. */
static int write_engine(const struct json *root, const struct host_fit *fit, const char *folder, const char *file,
                        struct error *err)
{
    char source[700];
    snprintf(source, sizeof source, "host work fitted to %s: mean absolute error %.2f %% without it, %.2f %% with it",
             folder, 100 * fit->before, 100 * fit->after);
    cJSON *engine = NULL;
    struct json at = json_member(root, "engine");
    int status = engine_whole(&at, &engine, err);
    if (status == 0) {
        replace_string(engine, "source", source);
        cJSON_DeleteItemFromObjectCaseSensitive(engine, "host_ns");
        cJSON_DeleteItemFromObjectCaseSensitive(engine, "host_ns_per_sequence");
        cJSON_AddNumberToObject(engine, "host_ns", fit->host_ns);
        cJSON_AddNumberToObject(engine, "host_ns_per_sequence", fit->host_ns_per_sequence);
        status = profile_write(engine, file, err);
    }
    cJSON_Delete(engine);
    return status;
}

/* The errors of the kinds of kernels that there were. */
static void describe_fit(const char *device, const struct kernel_fit *fit, char *out, size_t size)
{
    snprintf(out, size, "datasheet of %s, fitted to AIConfigurator's measured kernels; median error", device);
    for (int i = 0; i < KERNEL_KINDS; i++) {
        size_t used = strlen(out);
        if (fit->after[i].points > 0)
            snprintf(out + used, size - used, " %s %.1f,", kernel_kind_names[i], 100 * fit->after[i].median);
    }
    out[strlen(out) - 1] = 0;
    snprintf(out + strlen(out), size - strlen(out), " %%");
}

static void replace_by_format(cJSON *object, const char *name, const double *values)
{
    cJSON_DeleteItemFromObjectCaseSensitive(object, name);
    cJSON *formats = NULL;
    for (int i = 0; i < DTYPE_COUNT; i++)
        if (values[i] > 0) {
            formats = formats ? formats : cJSON_AddObjectToObject(object, name);
            replace_number(formats, dtype_names[i], values[i]);
        }
}

/* The device's own file with the fitted values in it and where they come from. */
static int write_device(const struct arguments *args, const struct device *d, const struct kernel_fit *fit,
                        const char *file, struct error *err)
{
    char source[256];
    struct json root;
    if (shipped_load("device", args->words[1], &root, err))
        return -1;
    cJSON *device = (cJSON *)(uintptr_t)root.node;
    describe_fit(args->words[1], fit, source, sizeof source);
    replace_string(device, "name", value_or(args, OPT_NAME, "fitted"));
    replace_string(device, "system", d->system);
    replace_string(device, "source", source);
    replace_number(device, "gemm_efficiency", d->gemm_efficiency);
    replace_number(device, "bandwidth_efficiency", d->bandwidth_efficiency);
    replace_number(device, "roofline_corner", d->roofline_corner);
    replace_number(device, "gemm_launch_ns", d->gemm_launch_ns);
    if (fit->after[KERNEL_GEMM_FP8].points > 0) {
        replace_number(device, "gemm_efficiency_8bit", d->gemm_efficiency_8bit);
        replace_number(device, "gemm_launch_ns_8bit", d->gemm_launch_ns_8bit);
    }
    replace_number(device, "attention_efficiency", d->attention_efficiency);
    if (fit->after[KERNEL_PREFILL].points > 0 && fit->after[KERNEL_DECODE].points > 0) {
        replace_number(device, "attention_bandwidth_efficiency", d->attention_bandwidth_efficiency);
        replace_number(device, "attention_launch_ns", d->attention_launch_ns);
    }
    replace_number(device, "link_bytes_per_s", d->link_bytes_per_s);
    replace_number(device, "link_latency_ns", d->link_latency_ns);
    replace_by_format(device, "expert_efficiency", d->expert_efficiency);
    replace_by_format(device, "expert_bandwidth_efficiency", d->expert_bandwidth_efficiency);
    replace_by_format(device, "expert_launch_ns", d->expert_launch_ns);
    int status = profile_write(device, file, err);
    cJSON_Delete(device);
    return status;
}

static void print_kernel_fit(const struct kernel_fit *fit)
{
    printf("error of the roofline against measured kernels, in percent (%u evaluations)\n\n"
           "%-18s %8s %9s %8s %9s %8s\n",
           fit->evaluations, "kernels", "points", "before", "p90", "fitted", "p90");
    for (int i = 0; i < KERNEL_KINDS; i++) {
        const struct kernel_errors *before = &fit->before[i], *after = &fit->after[i];
        if (fit->impossible[i] > 0)
            printf("%-18s %8zu take less than their arithmetic at peak, and do not count\n", kernel_kind_names[i],
                   fit->impossible[i]);
        if (fit->kv_read_anew[i])
            printf("%-18s read KV anew for each query head, as no server does, and do not count\n",
                   kernel_kind_names[i]);
        if (after->points == 0)
            printf("%-18s %8s\n", kernel_kind_names[i], "none");
        else
            printf("%-18s %8zu %9.1f %8.1f %9.1f %8.1f\n", kernel_kind_names[i], after->points, 100 * before->median,
                   100 * before->p90, 100 * after->median, 100 * after->p90);
    }
    for (size_t i = 0; i < fit->refused_count; i++) {
        const struct refused_constant *r = &fit->refused[i];
        printf("refused: %s = %.0f, since such kernels launch within %.0f ns: the rest is the benchmark's; %.0f stands "
               "instead\n",
               r->name, r->fitted, r->most, r->used);
    }
}

static int fit_kernels(const struct arguments *args, struct error *err)
{
    const char *file = value_or(args, OPT_OUT, "device.json");
    struct device d;
    struct kernel_fit fit;
    if (device_load(args->words[1], &d, err))
        return -1;
    int status = kernels_fit(args->values[OPT_KERNELS], &d, &fit, err) || write_device(args, &d, &fit, file, err);
    device_release(&d);
    if (status)
        return -1;
    print_kernel_fit(&fit);
    printf("wrote %s; use it with --set device=%s\n", file, file);
    return 0;
}

static int fit(const struct arguments *args, struct error *err)
{
    if (args->values[OPT_KERNELS])
        return refuse_option(args, options, OPT_SET, "fit --host", err) ||
                       refuse_option(args, options, OPT_HOST, "a fit without --kernels", err)
                   ? -1
                   : fit_kernels(args, err);
    if (refuse_option(args, options, OPT_NAME, "import and fit --kernels", err))
        return -1;
    const char *folder = args->values[OPT_HOST], *file = value_or(args, OPT_OUT, "engine.json");
    struct json root;
    struct host_fit fitted;
    if (!folder)
        return error_set(
            err, ERROR_INPUT,
            "profile fit: needs --host FOLDER, a measured server run, or --kernels FOLDER, measured kernels");
    if (measured_scenario(folder, args->words[1], &root, err))
        return -1;
    int status = apply_settings(args, &root, err) || measured_fit_host(folder, &root, &fitted, err) ||
                 write_engine(&root, &fitted, folder, file, err);
    cJSON_Delete((cJSON *)(uintptr_t)root.node);
    if (status)
        return -1;
    if (!fitted.shown) {
        printf("%s shows no host work: whatever there is hides behind the GPU, or the kernels take longer already\n"
               "wrote %s with none\n",
               folder, file);
        return 0;
    }
    printf(
        "host work %.1f µs an iteration + %.2f µs a sequence: mean absolute error %.2f %% → %.2f %% on %s (%u runs)\n"
        "wrote %s; use it with --set engine=%s\n",
        fitted.host_ns * 1e-3, fitted.host_ns_per_sequence * 1e-3, 100 * fitted.before, 100 * fitted.after, folder,
        fitted.runs, file, file);
    return 0;
}

static int run(const struct arguments *args, struct error *err)
{
    if (need_words(args, 2, 2, command_profile.usage, err))
        return EXIT_BAD_INPUT;
    char *end = NULL;
    long tp = strtol(value_or(args, OPT_TP, "1"), &end, 10);
    if (*end || tp < 1 || tp > 64) {
        error_set(err, ERROR_INPUT, "--tensor-parallel: expected a whole number from 1 to 64, found %s",
                  args->values[OPT_TP]);
        return EXIT_BAD_INPUT;
    }
    if (strcmp(args->words[0], "import") == 0)
        return import(args, (uint32_t)tp, err) ? exit_for(err) : EXIT_DONE;
    if (strcmp(args->words[0], "show") == 0)
        return show(args, (uint32_t)tp, err) ? exit_for(err) : EXIT_DONE;
    if (strcmp(args->words[0], "check") == 0)
        return check(args, err) ? exit_for(err) : EXIT_DONE;
    if (strcmp(args->words[0], "fit") == 0)
        return fit(args, err) ? exit_for(err) : EXIT_DONE;
    error_set(err, ERROR_INPUT, "profile %s: unknown action; allowed: import, show, check, fit", args->words[0]);
    return EXIT_BAD_INPUT;
}

static const struct action actions[] = {{"import", "--model --base --name --tensor-parallel --hardware --out"},
                                        {"show", "--model --tensor-parallel"},
                                        {"check", ""},
                                        {"fit", "--name --host --kernels --set --out"},
                                        {0}};

const struct command command_profile = {
    .name = "profile",
    .usage = "profile import FOLDER, profile show|check|fit DEVICE",
    .summary = "turn measured tables into a profile; see what a device costs; judge its tables; fit host work "
               "or a roofline",
    .options = options,
    .actions = actions,
    .run = run,
};

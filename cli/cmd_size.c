/* SPDX-License-Identifier: MIT */
/* One line to a plan: what is not said has a default, and every default that is used is printed. */
#include <math.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/output.h"
#include "base/printable.h"
#include "cli/plan_run.h"
#include "cli/prices.h"
#include "cli/session.h"
#include "profiles/engine.h"
#include "profiles/shipped.h"

enum {
    OPT_RATE,
    OPT_IN,
    OPT_OUT_TOKENS,
    OPT_LENGTHS,
    OPT_TTFT,
    OPT_TPOT,
    OPT_GPU,
    OPT_TP,
    OPT_ENGINE,
    OPT_WEIGHTS,
    OPT_PRICE,
    OPT_BUY,
    OPT_SPARE,
    OPT_CONFIDENCE,
    OPT_SAVE,
    OPT_SET,
    OPT_DB,
    OPT_NO_DB,
    OPT_JSON,
    OPT_MARKDOWN,
    OPT_EMIT,
    OPT_THREADS,
    OPT_QUIET
};

static const struct option_spec options[] = {
    {"--rate", "R", "requests/s that are to be served (required)"},
    {"--in", "N", "tokens of a prompt, on average (default 1000)"},
    {"--out", "N", "tokens of an output, on average (default 200)"},
    {"--lengths", "lognormal|fixed", "how lengths are spread around these (default lognormal, sigma 0.8 and 0.8)"},
    {"--ttft", "p95=1s", "limit on the time to the first token, at a percentile (default p95=2s)"},
    {"--tpot", "p95=50ms", "limit on the time of each further token (default p95=50ms)"},
    {"--gpu", "NAME,...", "devices that may be bought (default h100-sxm)"},
    {"--tp", "N,...", "tensor parallelism to try (default 1,2,4,8)"},
    {"--engine", "NAME", "vllm, sglang, trtllm, or a preset (default vllm, its newest)"},
    {"--weights", "FORMAT", "fp8, int4, fp4 … (default: the model's own)"},
    {"--price", "GPU=PRICE,...", "of one GPU an hour (default: the device files' list prices)"},
    {"--by", "node|gpu", "what is bought (default node)"},
    {"--spare", "N", "spare nodes of each device (default 0)"},
    {"--confidence", "SHARE", "that the SLO is met, the cost model's error included (default 0.9)"},
    {"--save-plan", "FILE", "write the plan that this is, for tandem plan"},
    {"--set", "PATH=VALUE", "override a value of that plan; may be repeated"},
    {"--db", "FILE", "database of plans (default tandem.db)"},
    {"--no-db", NULL, "keep nothing; only print the answer"},
    {"--json", "FILE", "write everything that was found out as JSON"},
    {"--markdown", "FILE", "write the answer as Markdown"},
    PLAN_EMIT_OPTION,
    {"-j", "N", "threads (default: as many as there are processors)"},
    {"--quiet", NULL, "no progress"},
    PLUGIN_OPTION,
    {0},
};

/* What is asked for, and what nobody has said. */
struct sizing {
    const struct arguments *args;
    double rate, in, out;
    char defaults[12][120];
    size_t default_count;
    char model[128], engine[64];
};

__attribute__((format(printf, 2, 3))) static void use_default(struct sizing *s, const char *format, ...)
{
    va_list arguments;
    if (s->default_count == sizeof s->defaults / sizeof *s->defaults)
        return;
    va_start(arguments, format);
    vsnprintf(s->defaults[s->default_count++], sizeof *s->defaults, format, arguments);
    va_end(arguments);
}

static int read_number(const char *option, const char *text, double least, double *out, struct error *err)
{
    char *end;
    *out = strtod(text, &end);
    if (end != text && !*end && *out >= least && *out <= 1e9)
        return 0;
    return error_set(err, ERROR_INPUT, "%s %s: expected a number from %g", option, PRINTABLE(text), least);
}

/* A mean number of tokens. */
static int read_tokens(struct sizing *s, int option, const char *what, double otherwise, double *out, struct error *err)
{
    const char *text = s->args->values[option], *name = options[option].name;
    *out = otherwise;
    if (text)
        return read_number(name, text, 1, out, err);
    use_default(s, "%s of %g tokens on average (%s)", what, otherwise, name);
    return 0;
}

/* "p95=1s", "p99=50ms", "mean=0.2": adds {"p95": 1} to the SLO. */
static int add_limit(struct sizing *s, int option, const char *metric, const char *otherwise, cJSON *slo,
                     struct error *err)
{
    static const char *const statistics[] = {"p50=", "p90=", "p95=", "p99=", "mean="};
    const char *text = s->args->values[option];
    if (!text) {
        use_default(s, "%s %s (%s)", metric[1] == 't' ? "TTFT" : "TPOT", otherwise, options[option].name);
        text = otherwise;
    }
    for (size_t i = 0; i < sizeof statistics / sizeof *statistics; i++) {
        size_t length = strlen(statistics[i]);
        char *end, name[8];
        double value = strncmp(text, statistics[i], length) == 0 ? strtod(text + length, &end) : NAN;
        if (isnan(value) || end == text + length)
            continue;
        value *= strcmp(end, "ms") == 0 ? 1e-3 : 1;
        if (!(value > 0) || (*end && strcmp(end, "ms") != 0 && strcmp(end, "s") != 0))
            break;
        snprintf(name, sizeof name, "%.*s", (int)length - 1, statistics[i]);
        cJSON *limit = cJSON_AddObjectToObject(slo, metric);
        return limit && cJSON_AddNumberToObject(limit, name, value) ? 0 : error_no_memory(err);
    }
    return error_set(err, ERROR_INPUT, "%s %s: expected a limit like p95=1s or p99=50ms (p50, p90, p95, p99 or mean)",
                     options[option].name, PRINTABLE(text));
}

static bool is_shipped(const char *kind, const char *name)
{
    for (const struct shipped_file *f = shipped_files; f->kind; f++)
        if (strcmp(f->kind, kind) == 0 && strcmp(f->name, name) == 0)
            return true;
    return false;
}

/* "vllm" is its newest preset; a preset is itself. */
static int read_engine(struct sizing *s, struct error *err)
{
    const char *named = s->args->values[OPT_ENGINE], *engine = named ? named : "vllm";
    if (!engine_preset(engine, "newest", s->engine, sizeof s->engine))
        snprintf(s->engine, sizeof s->engine, "%s", engine);
    if (!is_shipped("engine", s->engine))
        return error_set(err, ERROR_INPUT, "--engine %s: expected vllm, sglang, trtllm, or one of tandem list engines",
                         PRINTABLE(engine));
    if (!named)
        use_default(s, "engine %s (--engine)", s->engine);
    return 0;
}

static void read_model(struct sizing *s)
{
    const char *named = s->args->words[0];
    if (is_shipped("model", named) || strstr(named, ".json") ||
        !shipped_resolve("model", named, s->model, sizeof s->model))
        snprintf(s->model, sizeof s->model, "%s", named); /* where there is none, its scenario says so */
}

/* Lengths of such a mean: log-normal with sigma 0.8 has a median of mean · exp(−0.32). */
static int add_lengths(struct sizing *s, cJSON *lengths, const char *which, double mean, struct error *err)
{
    const char *kind = s->args->values[OPT_LENGTHS] ? s->args->values[OPT_LENGTHS] : "lognormal";
    cJSON *o = cJSON_AddObjectToObject(lengths, which);
    cJSON_AddStringToObject(o, "name", kind);
    if (strcmp(kind, "fixed") == 0)
        cJSON_AddNumberToObject(o, "tokens", round(mean));
    else if (strcmp(kind, "lognormal") == 0) {
        cJSON_AddNumberToObject(o, "median", fmax(1, mean * exp(-0.32)));
        cJSON_AddNumberToObject(o, "sigma", 0.8);
        cJSON_AddNumberToObject(o, "max", ceil(16 * mean));
    } else
        return error_set(err, ERROR_INPUT, "--lengths %s: expected lognormal or fixed", PRINTABLE(kind));
    return 0;
}

static int add_workload(struct sizing *s, cJSON *scenario, struct error *err)
{
    cJSON *workload = cJSON_AddObjectToObject(scenario, "workload"),
          *arrivals = cJSON_AddObjectToObject(workload, "arrivals"),
          *lengths = cJSON_AddObjectToObject(workload, "lengths");
    cJSON_AddStringToObject(arrivals, "name", "poisson");
    cJSON_AddNumberToObject(arrivals, "rate_per_s", s->rate);
    cJSON_AddNumberToObject(workload, "requests", 3000);
    use_default(s, "Poisson arrivals, 3000 requests a trial (--set scenario.workload…)");
    if (!s->args->values[OPT_LENGTHS])
        use_default(s, "lengths log-normal, sigma 0.8, at most 16 times the mean (--lengths)");
    return add_lengths(s, lengths, "prompt", s->in, err) || add_lengths(s, lengths, "output", s->out, err) ? -1 : 0;
}

/* The device that is fitted to the engine, where one is shipped: h100-sxm-vllm-0.19. */
static void device_for(const struct sizing *s, const char *gpu, char *out, size_t size)
{
    snprintf(out, size, "%s-%s", gpu, s->engine);
    if (is_shipped("device", gpu) && is_shipped("device", out))
        return;
    snprintf(out, size, "%s", gpu);
}

static int add_devices(struct sizing *s, cJSON *search, cJSON *scenario, struct error *err)
{
    const char *text = s->args->values[OPT_GPU] ? s->args->values[OPT_GPU] : "h100-sxm";
    cJSON *list = cJSON_AddArrayToObject(search, "device");
    if (!s->args->values[OPT_GPU])
        use_default(s, "GPU h100-sxm (--gpu)");
    for (const char *rest = text; *rest;) {
        size_t length = strcspn(rest, ",");
        char gpu[100], device[200];
        if (length == 0 || length >= sizeof gpu)
            return error_set(err, ERROR_INPUT, "--gpu %s: expected names parted by commas", PRINTABLE(text));
        snprintf(gpu, sizeof gpu, "%.*s", (int)length, rest);
        if (!is_shipped("device", gpu) && !strchr(gpu, '/') && !strstr(gpu, ".json"))
            return error_set(err, ERROR_INPUT, "--gpu %s: expected one of tandem list devices, or a path",
                             PRINTABLE(gpu));
        device_for(s, gpu, device, sizeof device);
        if (rest == text)
            cJSON_AddStringToObject(scenario, "device", device);
        cJSON_AddItemToArray(list, cJSON_CreateString(device));
        rest += length + (rest[length] == ',');
    }
    return 0;
}

static int add_degrees(struct sizing *s, cJSON *search, struct error *err)
{
    const char *text = s->args->values[OPT_TP] ? s->args->values[OPT_TP] : "1,2,4,8";
    cJSON *list = cJSON_AddArrayToObject(search, "cluster.tensor_parallel");
    if (!s->args->values[OPT_TP])
        use_default(s, "tensor parallelism 1, 2, 4 and 8, colocated (--tp)");
    for (const char *rest = text; *rest;) {
        char *end;
        long degree = strtol(rest, &end, 10);
        if (end == rest || degree < 1 || degree > 1024 || (*end && *end != ','))
            return error_set(err, ERROR_INPUT, "--tp %s: expected whole numbers parted by commas", PRINTABLE(text));
        cJSON_AddItemToArray(list, cJSON_CreateNumber((double)degree));
        rest = end + (*end == ',');
    }
    return 0;
}

static int add_buying(struct sizing *s, cJSON *plan, struct error *err)
{
    const char *const *v = s->args->values;
    double spare = 0, confidence = 0.9;
    cJSON *buy = cJSON_AddObjectToObject(plan, "buy");
    if ((v[OPT_SPARE] && read_number("--spare", v[OPT_SPARE], 0, &spare, err)) ||
        (v[OPT_CONFIDENCE] && read_number("--confidence", v[OPT_CONFIDENCE], 0, &confidence, err)))
        return -1;
    cJSON_AddStringToObject(buy, "by", v[OPT_BUY] ? v[OPT_BUY] : "node");
    cJSON_AddNumberToObject(buy, "spare_nodes", spare);
    cJSON_AddNumberToObject(plan, "cost_model_confidence", confidence);
    cJSON_AddNumberToObject(plan, "replications", 8);
    cJSON_AddNumberToObject(plan, "sensitivity", 0);
    if (!v[OPT_BUY])
        use_default(s, "whole nodes%s (--by, --spare)", v[OPT_SPARE] ? "" : ", none spare");
    if (!v[OPT_PRICE])
        use_default(s, "list prices on demand (--price)");
    if (!v[OPT_CONFIDENCE])
        use_default(s, "90 %% confidence, the cost model's error included (--confidence)");
    return 0;
}

static void add_serving(struct sizing *s, cJSON *scenario)
{
    cJSON *cluster = cJSON_AddObjectToObject(scenario, "cluster"),
          *engine = cJSON_AddObjectToObject(scenario, "engine");
    cJSON_AddStringToObject(scenario, "model", s->model);
    cJSON_AddStringToObject(engine, "preset", s->engine);
    if (s->args->values[OPT_WEIGHTS])
        cJSON_AddStringToObject(engine, "weight_dtype", s->args->values[OPT_WEIGHTS]);
    else
        use_default(s, "weights as the model has them (--weights)");
    cJSON_AddStringToObject(cluster, "routing", "least_outstanding_requests");
}

static int fill_plan(struct sizing *s, struct json *root, struct error *err)
{
    cJSON *plan = (cJSON *)(uintptr_t)root->node;
    char name[200];
    snprintf(name, sizeof name, "%s", s->model);
    cJSON_AddStringToObject(plan, "name", name);
    cJSON *scenario = cJSON_AddObjectToObject(plan, "scenario"), *search = cJSON_AddObjectToObject(plan, "search");
    cJSON_AddStringToObject(scenario, "name", name);
    add_serving(s, scenario);
    if (add_workload(s, scenario, err))
        return -1;
    cJSON *slo = cJSON_AddObjectToObject(scenario, "slo");
    if (add_limit(s, OPT_TTFT, "ttft_s", "p95=2s", slo, err) ||
        add_limit(s, OPT_TPOT, "tpot_s", "p95=50ms", slo, err) || add_devices(s, search, scenario, err) ||
        add_degrees(s, search, err) || add_buying(s, plan, err))
        return -1;
    if (s->args->values[OPT_PRICE] && prices_set(s->args->values[OPT_PRICE], root, err))
        return -1;
    return apply_settings(s->args, root, err) || memory_check(err) ? -1 : 0;
}

static int read_sizing(struct sizing *s, struct error *err)
{
    if (!s->args->values[OPT_RATE])
        return error_set(err, ERROR_INPUT, "needs --rate R, the requests/s that are to be served");
    read_model(s);
    return read_number("--rate", s->args->values[OPT_RATE], 1e-9, &s->rate, err) ||
                   read_tokens(s, OPT_IN, "prompts", 1000, &s->in, err) ||
                   read_tokens(s, OPT_OUT_TOKENS, "outputs", 200, &s->out, err) || read_engine(s, err)
               ? -1
               : 0;
}

static int save(const char *file, const cJSON *plan, struct error *err)
{
    char *text = cJSON_Print(plan);
    int status = text ? output_write(file, text, err) : error_no_memory(err);
    cJSON_free(text);
    return status;
}

static void print_defaults(const struct sizing *s)
{
    for (size_t i = 0; i < s->default_count; i++)
        printf("%s%s\n", i ? "           " : "by default ", s->defaults[i]);
    printf("\n");
}

static int run_here(const struct arguments *args, struct error *err)
{
    struct sizing s = {.args = args};
    const struct plan_wishes wishes = {.threads = args->values[OPT_THREADS],
                                       .quiet = args->values[OPT_QUIET] != NULL,
                                       .db = plan_database(args->values[OPT_DB], args->values[OPT_NO_DB]),
                                       .json = args->values[OPT_JSON],
                                       .markdown = args->values[OPT_MARKDOWN],
                                       .emit = args->values[OPT_EMIT]};
    struct json root = {.node = NULL, .file = "size"};
    if (need_words(args, 1, 1, command_size.usage, err) || read_sizing(&s, err))
        return exit_for(err);
    root.node = cJSON_CreateObject();
    if (!root.node)
        return error_no_memory(err), EXIT_FAILED;
    if (fill_plan(&s, &root, err) || (args->values[OPT_SAVE] && save(args->values[OPT_SAVE], root.node, err))) {
        cJSON_Delete((cJSON *)(uintptr_t)root.node);
        return exit_for(err);
    }
    print_defaults(&s);
    return plan_run(&wishes, root, err);
}

static int run(const struct arguments *args, struct error *err)
{
    return session_run(args, run_here, err);
}

const struct command command_size = {
    .name = "size",
    .usage = "size MODEL --rate R [--in N] [--out N] [--ttft p95=1s] [--tpot p95=50ms] [--gpu NAME,...]",
    .summary = "one line to an answer: what to buy to serve a model at a rate within limits",
    .options = options,
    .joins = true,
    .run = run,
};

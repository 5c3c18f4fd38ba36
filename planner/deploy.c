/* SPDX-License-Identifier: MIT */
#include "planner/deploy.h"

#include <ctype.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "planner/deploy_flags.h"
#include "profiles/shipped.h"
#include "sim/scenario.h"
#include "workloads/source.h"

const char *const deploy_form_names[] = {"vllm", "sglang", "trtllm", "llm-d", "dynamo", NULL};

/* How an engine's server is started: by itself, and as a worker of Dynamo. */
static const struct engine_program {
    const char *engine, *batching, *server, *worker, *model_flag, *worker_model_flag;
} programs[] = {
    {"vllm", "unified_budget", "vllm serve", "python3 -m dynamo.vllm", "", "--model"},
    {"sglang", "sglang", "python3 -m sglang.launch_server", "python3 -m dynamo.sglang", "--model-path", "--model-path"},
    {"trtllm", "trtllm", "trtllm-serve", "python3 -m dynamo.trtllm", "", "--model-path"},
};

enum { PROGRAMS = 3 }; /* in order of enum deploy_dialect */

static const struct engine_program *program_of(const struct engine *engine)
{
    for (size_t i = 0; i < PROGRAMS; i++)
        if (strncmp(engine->name, programs[i].engine, strlen(programs[i].engine)) == 0)
            return &programs[i];
    return NULL;
}

static bool form_takes(enum deploy_form form, const struct engine_program *program)
{
    return form == DEPLOY_DYNAMO || program == &programs[form == DEPLOY_SGLANG   ? SPEAKS_SGLANG
                                                         : form == DEPLOY_TRTLLM ? SPEAKS_TRTLLM
                                                                                 : SPEAKS_VLLM];
}

/* A repository in the model file's source ("meta-llama/Llama-3.1-70B config.json") that stands for the same model. */
static void name_model(const char *model, char *out, size_t size)
{
    struct json root;
    struct error ignored = {0};
    const char *source = "";
    char resolved[160];
    const char *config = strrchr(model, '/'); /* servers take the folder that it lies in */
    bool in_folder = config && config > model && strcmp(config, "/config.json") == 0;
    snprintf(out, size, "%.*s", (int)(in_folder ? (size_t)(config - model) : strlen(model)), model);
    if (shipped_load("model", model, &root, &ignored))
        return;
    if (json_read_string(&root, "source", false, &source, &ignored) == 0) {
        size_t length = strcspn(source, " ,;:");
        char repository[160];
        snprintf(repository, sizeof repository, "%.*s", (int)(length < 159 ? length : 159), source);
        if (strchr(repository, '/') && shipped_resolve("model", repository, resolved, sizeof resolved) &&
            strcmp(resolved, model) == 0)
            snprintf(out, size, "%s", repository);
    }
    cJSON_Delete((cJSON *)(uintptr_t)root.node);
}

/* Of a Kubernetes resource: small letters, digits and dashes. */
static void name_resource(const char *model, char *out, size_t size)
{
    size_t used = 0;
    for (const char *c = strrchr(model, '/') ? strrchr(model, '/') + 1 : model; *c && used + 1 < size; c++)
        out[used++] = isalnum((unsigned char)*c) ? (char)tolower((unsigned char)*c) : '-';
    out[used] = 0;
}

static int take_pool(struct deployment *d, const struct scenario *s, size_t i, enum deploy_form form, struct error *err)
{
    const struct pool *pool = &s->pools[i];
    const struct pool_config *config = &s->cluster.pools[i];
    const struct engine_program *program = program_of(&pool->cost.engine);
    struct deployed *part = &d->parts[d->count++];
    struct held_gpus held;
    if (!program || !form_takes(form, program))
        return error_set(err, ERROR_INPUT,
                         "--emit %s: expected a plan whose scenario names an engine of it, like --set "
                         "scenario.engine=%s, found %s",
                         deploy_form_names[form],
                         form == DEPLOY_SGLANG   ? "sglang-0.5"
                         : form == DEPLOY_TRTLLM ? "trtllm-1.2"
                                                 : "vllm-0.19",
                         program ? pool->cost.engine.name : "none");
    if (strcmp(config->replica.batching->name, program->batching) != 0)
        return error_set(err, ERROR_INPUT, "--emit %s: expected its own scheduler (policy.batching %s), found %s",
                         deploy_form_names[form], program->batching, config->replica.batching->name);
    trial_take_held(s, i, &held);
    *part = (struct deployed){.gpus = held.together, .servers = held.gpus / held.together};
    snprintf(part->role, sizeof part->role, "%s",
             s->cluster.step_count < 2         ? "serve"
             : i < s->cluster.routers[0].pools ? "prefill"
                                               : "decode");
    snprintf(part->device, sizeof part->device, "%s", held.device);
    snprintf(part->program, sizeof part->program, "%s", form == DEPLOY_DYNAMO ? program->worker : program->server);
    snprintf(d->engine, sizeof d->engine, "%s", pool->cost.engine.name);
    name_model(pool->model, d->model, sizeof d->model);
    name_resource(d->model, d->name, sizeof d->name);
    const char *flag = form == DEPLOY_DYNAMO ? program->worker_model_flag : program->model_flag;
    deploy_add(part, *flag ? "%s %s" : "%s%s", flag, d->model);
    return deploy_flags_add(part, s, i, (enum deploy_dialect)(program - programs), form, err);
}

int deployment_make(struct deployment *d, const struct plan *p, const struct family *f, size_t units,
                    enum deploy_form form, struct error *err)
{
    struct json root;
    struct scenario s;
    char *text = family_scenario(p, f, units);
    *d = (struct deployment){.count = 0};
    if (!text)
        return error_no_memory(err);
    int status = json_parse(text, "scenario", &root, err) || scenario_compile(&s, root, err) ? -1 : 0;
    if (status == 0) {
        for (size_t i = 0; status == 0 && i < s.cluster.pool_count; i++)
            status = take_pool(d, &s, i, form, err);
        scenario_release(&s);
    }
    free(text);
    return status;
}

int deployment_check(const struct plan *p, enum deploy_form form, struct error *err)
{
    struct family *families;
    struct deployment d;
    struct error first = {0}, own;
    size_t count, sound = 0;
    if (families_make(p, &families, &count, err))
        return -1;
    for (size_t i = 0; i < count; i++) {
        own = (struct error){0};
        if (families[i].refused[0])
            continue;
        if (deployment_make(&d, p, &families[i], 1, form, &own) == 0)
            sound++;
        else if (first.code == ERROR_NONE)
            first = own;
    }
    families_release(families, count);
    if (sound > 0 || first.code == ERROR_NONE)
        return memory_check(err);
    *err = first;
    return -1;
}

int benchmark_make(struct benchmark *b, const struct plan *p, const struct family *f, struct error *err)
{
    struct json scenario = {.node = f->scenario, .file = "scenario"}, workload = json_member(&scenario, "workload");
    struct request_source source;
    struct arrival a;
    double prompts = 0, outputs = 0, count = 0;
    int got = 0;
    if (workload_create(&workload, 1, &source, err))
        return -1;
    while (count < 20000 && (got = source.next(source.state, &a, err)) == 1) {
        prompts += a.prompt_tokens;
        outputs += a.output_tokens;
        count++;
    }
    request_source_destroy(&source);
    if (got < 0)
        return -1;
    *b = (struct benchmark){.rate_per_s = p->rate_per_s,
                            .prompt_tokens = fmax(1, round(prompts / fmax(count, 1))),
                            .output_tokens = fmax(1, round(outputs / fmax(count, 1))),
                            .requests = (size_t)fmin(5000, fmax(500, ceil(120 * p->rate_per_s)))};
    return 0;
}

char *benchmark_scenario(const struct benchmark *b, const struct plan *p, const struct family *f, size_t units)
{
    static const char *const lengths_of[] = {"prompt", "output"};
    const double tokens[] = {b->prompt_tokens, b->output_tokens};
    char *text = family_scenario(p, f, units);
    cJSON *root = text ? cJSON_Parse(text) : NULL;
    free(text);
    cJSON_DeleteItemFromObjectCaseSensitive(root, "workload");
    cJSON *workload = cJSON_AddObjectToObject(root, "workload"),
          *arrivals = cJSON_AddObjectToObject(workload, "arrivals"),
          *lengths = cJSON_AddObjectToObject(workload, "lengths");
    cJSON_AddStringToObject(arrivals, "name", "poisson");
    cJSON_AddNumberToObject(arrivals, "rate_per_s", b->rate_per_s);
    cJSON_AddNumberToObject(workload, "requests", (double)b->requests);
    for (int i = 0; i < 2; i++) {
        cJSON *o = cJSON_AddObjectToObject(lengths, lengths_of[i]);
        cJSON_AddStringToObject(o, "name", "fixed");
        cJSON_AddNumberToObject(o, "tokens", tokens[i]);
    }
    text = root && !memory_has_failed() ? cJSON_PrintUnformatted(root) : NULL;
    cJSON_Delete(root);
    return text;
}

static void write_commands(const struct deployment *d, FILE *out)
{
    for (size_t i = 0; i < d->count; i++) {
        const struct deployed *part = &d->parts[i];
        const char *role = strcmp(part->role, "serve") == 0 ? "" : part->role;
        fprintf(out, "# %.0f server%s%s%s of %.0f %s GPU%s each\n", part->servers, part->servers == 1 ? "" : "s",
                *role ? " that " : "", role, part->gpus, part->device, part->gpus == 1 ? "" : "s");
        if (*part->file)
            fprintf(out, "echo '{%s}' > trtllm%s%s.yaml\n", part->file, *role ? "-" : "", role);
        fprintf(out, "%s %s\n", part->program, part->arguments);
    }
}

/* The words of a command line as a YAML list; quotes stay with the word that they hold together. */
static void write_words(const char *arguments, size_t from, const char *indent, FILE *out)
{
    size_t word = 0;
    for (const char *at = arguments; *at; word++) {
        size_t length = *at == '\'' ? strcspn(at + 1, "'") + 2 : strcspn(at, " ");
        if (word >= from && *at == '\'')
            fprintf(out, "%s- %.*s\n", indent, (int)length, at);
        else if (word >= from)
            fprintf(out, "%s- \"%.*s\"\n", indent, (int)length, at);
        at += length + (at[length] == ' ');
    }
}

static const struct deployed *part_of(const struct deployment *d, const char *role)
{
    for (size_t i = 0; i < d->count; i++)
        if (strcmp(d->parts[i].role, role) == 0 || (strcmp(role, "decode") == 0 && d->count == 1))
            return &d->parts[i];
    return NULL;
}

/* Values of the chart llm-d-modelservice, which gives vLLM the model itself. What it does not find among the requests
 * it sets to one GPU, and Kubernetes takes no other limit than that. */
static void write_llm_d(const struct deployment *d, FILE *out)
{
    static const char *const roles[] = {"decode", "prefill"};
    fprintf(out,
            "# helm install %s llm-d-modelservice/llm-d-modelservice -f values.yaml\nmodelArtifacts:\n  uri: "
            "\"hf://%s\"\n  name: \"%s\"\n",
            d->name, d->model, d->model);
    for (int i = 0; i < 2; i++) {
        const struct deployed *part = part_of(d, roles[i]);
        fprintf(out, "%s:\n  create: %s\n", roles[i], part ? "true" : "false");
        if (!part)
            continue;
        fprintf(out,
                "  replicas: %.0f # of %.0f %s GPUs each\n  containers:\n    - name: vllm\n      image: IMAGE # yours\n"
                "      modelCommand: vllmServe\n      args:\n",
                part->servers, part->gpus, part->device);
        write_words(part->arguments, 1, "        ", out);
        fprintf(out,
                "      resources:\n        limits:\n          nvidia.com/gpu: \"%.0f\"\n        requests:\n          "
                "nvidia.com/gpu: \"%.0f\"\n",
                part->gpus, part->gpus);
    }
}

static void write_dynamo(const struct deployment *d, FILE *out)
{
    fprintf(out,
            "apiVersion: nvidia.com/v1alpha1\nkind: DynamoGraphDeployment\nmetadata:\n  name: %s\nspec:\n  services:\n"
            "    Frontend:\n      componentType: frontend\n      replicas: 1\n",
            d->name);
    for (size_t i = 0; i < d->count; i++) {
        const struct deployed *part = &d->parts[i];
        bool serve = strcmp(part->role, "serve") == 0;
        fprintf(out, "    %s: # on %s\n      componentType: worker\n",
                serve                                ? "Worker"
                : strcmp(part->role, "prefill") == 0 ? "PrefillWorker"
                                                     : "DecodeWorker",
                part->device);
        if (!serve)
            fprintf(out, "      subComponentType: %s\n", part->role);
        fprintf(
            out,
            "      replicas: %.0f\n      resources:\n        limits:\n          gpu: \"%.0f\"\n      extraPodSpec:\n"
            "        mainContainer:\n          command:\n",
            part->servers, part->gpus);
        write_words(part->program, 0, "            ", out);
        fprintf(out, "          args:\n");
        write_words(part->arguments, 0, "            ", out);
    }
}

void deployment_write(const struct deployment *d, enum deploy_form form, FILE *out)
{
    for (size_t i = 0; i < d->count; i++)
        if (d->parts[i].needs_checkpoint) {
            fprintf(out,
                    "# %s stands for a checkpoint with weights in this format: servers read it, they do not make it\n",
                    d->model);
            break;
        }
    (form == DEPLOY_LLM_D ? write_llm_d : form == DEPLOY_DYNAMO ? write_dynamo : write_commands)(d, out);
}

void benchmark_write(const struct benchmark *b, const struct deployment *d, FILE *out)
{
    fprintf(out,
            "vllm bench serve --backend openai --base-url http://ROUTER:8000 --model %s --dataset-name random "
            "--random-input-len %.0f --random-output-len %.0f --ignore-eos --request-rate %g --num-prompts %zu "
            "--percentile-metrics ttft,tpot,e2el --metric-percentiles 50,95,99 --save-result\n",
            d->model, b->prompt_tokens, b->output_tokens, b->rate_per_s, b->requests);
}

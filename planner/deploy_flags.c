/* SPDX-License-Identifier: MIT */
#include "planner/deploy_flags.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "profiles/server_command.h"
#include "profiles/technique.h"

void deploy_add(struct deployed *d, const char *format, ...)
{
    va_list arguments;
    size_t used = strlen(d->arguments);
    if (used && used + 1 < sizeof d->arguments)
        d->arguments[used++] = ' ';
    va_start(arguments, format);
    vsnprintf(d->arguments + used, sizeof d->arguments - used, format, arguments);
    va_end(arguments);
}

/* What the functions below have in common. */
struct said {
    struct deployed *d;
    const struct pool *pool;
    const struct replica_config *r;
    const struct engine *e;
    const struct parallel *p;
    const char *form, *order;
    bool dynamo, narrow_kv; /* a worker of Dynamo; KV in 8 bits */
    uint64_t kv_blocks;     /* stated; 0: as memory leaves */
};

static double number_of(const struct said *s, const char *name)
{
    return param_number(s->r->batching_params, name);
}

static void add_switch(const struct said *s, bool on, const char *if_on, const char *if_off)
{
    if (*(on ? if_on : if_off))
        deploy_add(s->d, "%s", on ? if_on : if_off);
}

static int cannot_say(const struct said *s, const char *what, const char *found, struct error *err)
{
    return error_set(err, ERROR_INPUT, "--emit %s: expected a scenario that the server's command can say, found %s%s%s",
                     s->form, what, *found ? " " : "", found);
}

/* What an engine calls a format of weights; NULL where its flags have no word for it. */
static const char *quantization(enum dtype dtype, bool has_int8)
{
    return dtype == DTYPE_FP8                ? "fp8"
           : dtype == DTYPE_INT4             ? "awq"
           : dtype == DTYPE_FP4              ? "modelopt_fp4"
           : dtype == DTYPE_INT8 && has_int8 ? "w8a8_int8"
                                             : NULL;
}

static int check_weights(const struct said *s, enum deploy_dialect dialect, struct error *err)
{
    if (s->e->experts_quantised)
        return cannot_say(s, "engine.expert_dtype", dtype_names[s->e->expert_dtype], err);
    if (!s->e->quantised || (dialect != SPEAKS_TRTLLM && quantization(s->e->weight_dtype, dialect == SPEAKS_SGLANG)))
        return 0;
    return error_set(err, ERROR_INPUT,
                     "--emit %s: expected weights in a format that a flag of the server says, found %s, which its "
                     "checkpoint says",
                     s->form, dtype_names[s->e->weight_dtype]);
}

/* Only 8-bit floats are made of 16-bit weights while a server loads them. */
static void add_weights(const struct said *s, bool has_int8)
{
    if (s->e->quantised)
        deploy_add(s->d, "--quantization %s", quantization(s->e->weight_dtype, has_int8));
    s->d->needs_checkpoint = s->e->quantised && s->e->weight_dtype != DTYPE_FP8;
}

/* Of the changes that techniques make a server's flags say one: KV in 8 bits. "time" is a question to the cost model.
 */
static int read_techniques(struct said *s, const struct json *root, struct error *err)
{
    struct json at = json_member(root, "techniques");
    struct techniques t;
    int status = techniques_read(&at, &t, err);
    for (size_t i = 0; status == 0 && i < t.count; i++) {
        const struct param_set *p = &t.changes[i].params;
        const char *name = t.changes[i].kind->name;
        bool kv = strcmp(name, "kv_cache") == 0 && param_number(p, "bytes_per_value") == 1 &&
                  param_number(p, "layers_share") == 1 && param_number(p, "tokens_share") == 1;
        s->narrow_kv |= kv;
        if (!kv && strcmp(name, "time") != 0)
            status = cannot_say(s, "the technique", name, err);
    }
    techniques_release(&t);
    return status;
}

/* Parameters that are not among `flags` (with blanks around each) are as a server has them. */
static int check_batching(const struct said *s, const char *flags, struct error *err)
{
    const struct param_set *p = s->r->batching_params;
    for (size_t i = 0; p->specs[i].name; i++) {
        char word[64], found[80];
        snprintf(word, sizeof word, " %s ", p->specs[i].name);
        if (strstr(flags, word) || p->specs[i].type == PARAM_TEXT || p->number[i] == p->specs[i].preset)
            continue;
        snprintf(found, sizeof found, "%s %g", p->specs[i].name, p->number[i]);
        return cannot_say(s, "policy.batching", found, err);
    }
    if (s->r->admission != s->r->batching->admission)
        return cannot_say(s, "policy.admission", "", err);
    return s->r->swap.blocks > 0 ? cannot_say(s, "policy.preemption", "swap", err) : 0;
}

static int add_order(const struct said *s, const char *named, const char *flag, struct error *err)
{
    if (strcmp(s->order, "fcfs") == 0)
        return 0;
    if (strcmp(s->order, named) != 0)
        return cannot_say(s, "policy.order", s->order, err);
    deploy_add(s->d, "%s %s", flag, named);
    return 0;
}

/* As a worker of Dynamo, which part it is is a flag of its own. */
static void add_role(const struct said *s)
{
    if (strcmp(s->d->role, "serve") != 0)
        deploy_add(s->d, "--disaggregation-mode %s", s->d->role);
}

static int add_vllm(const struct said *s, struct error *err)
{
    struct deployed *d = s->d;
    const struct parallel *p = s->p;
    if (p->expert > 1 && p->expert != p->tensor * p->data)
        return cannot_say(s, "cluster.expert_parallel", "that is not all GPUs of a server", err);
    if (check_batching(s, " max_sequences token_budget long_prefill_threshold ", err))
        return -1;
    deploy_add(d, "--tensor-parallel-size %u", p->tensor);
    if (p->stages > 1)
        deploy_add(d, "--pipeline-parallel-size %u", p->stages);
    if (p->data > 1)
        deploy_add(d, "--data-parallel-size %u", p->data);
    add_switch(s, p->expert > 1, "--enable-expert-parallel", "");
    deploy_add(d, "--max-num-seqs %.0f", number_of(s, "max_sequences"));
    deploy_add(d, "--max-num-batched-tokens %.0f", number_of(s, "token_budget"));
    if (number_of(s, "long_prefill_threshold") > 0)
        deploy_add(d, "--long-prefill-token-threshold %.0f", number_of(s, "long_prefill_threshold"));
    deploy_add(d, "--gpu-memory-utilization %g", s->e->memory.utilization);
    deploy_add(d, "--block-size %u", s->r->kv_block_tokens);
    if (s->kv_blocks > 0)
        deploy_add(d, "--num-gpu-blocks-override %llu", (unsigned long long)s->kv_blocks);
    add_switch(s, s->r->prefix_caching, "--enable-prefix-caching", "--no-enable-prefix-caching");
    add_switch(s, s->r->schedule_ahead, "--async-scheduling", "--no-async-scheduling");
    add_switch(s, s->e->graph_count == 0, "--enforce-eager", "");
    add_switch(s, s->narrow_kv, "--kv-cache-dtype fp8", "");
    add_weights(s, false);
    if (s->dynamo)
        add_role(s);
    if (strcmp(d->role, "serve") != 0)
        deploy_add(d, "--kv-transfer-config '{\"kv_connector\":\"NixlConnector\",\"kv_role\":\"kv_both\"}'");
    return add_order(s, "priority", "--scheduling-policy", err);
}

/* With attention ranks SGLang divides limits by them, and is less conservative (server_args.py,
 * _handle_data_parallelism: chunked_prefill_size // dp_size, schedule_conservativeness * 0.3; model_runner.py:
 * max_running_requests // dp_size). */
static int add_sglang(const struct said *s, struct error *err)
{
    struct deployed *d = s->d;
    const struct parallel *p = s->p;
    double chunk = number_of(s, "chunked_prefill_size"), careful = number_of(s, "schedule_conservativeness");
    double usual = p->data > 1 ? SGLANG_RANKS_CONSERVATIVENESS : 1;
    if (check_batching(s,
                       " max_sequences chunked_prefill_size max_prefill_tokens mixed_chunk schedule_conservativeness "
                       "recv_interval ",
                       err))
        return -1;
    deploy_add(d, "--tp-size %u", p->tensor * p->data);
    if (p->stages > 1)
        deploy_add(d, "--pp-size %u", p->stages);
    if (p->data > 1)
        deploy_add(d, "--dp-size %u --enable-dp-attention", p->data);
    if (p->expert > 1)
        deploy_add(d, "--ep-size %u", p->expert);
    deploy_add(d, "--max-running-requests %.0f", number_of(s, "max_sequences") * p->data);
    deploy_add(d, "--chunked-prefill-size %.0f", chunk > 0 ? chunk * p->data : -1);
    deploy_add(d, "--max-prefill-tokens %.0f", number_of(s, "max_prefill_tokens"));
    add_switch(s, number_of(s, "mixed_chunk") > 0, "--enable-mixed-chunk", "");
    if (careful != usual)
        deploy_add(d, "--schedule-conservativeness %.17g", careful / usual);
    if (number_of(s, "recv_interval") > 1)
        deploy_add(d, "--scheduler-recv-interval %.0f", number_of(s, "recv_interval"));
    deploy_add(d, "--mem-fraction-static %g", s->e->memory.utilization);
    deploy_add(d, "--page-size %u", s->r->kv_block_tokens);
    if (s->kv_blocks > 0)
        deploy_add(d, "--max-total-tokens %llu", (unsigned long long)s->kv_blocks * s->r->kv_block_tokens);
    add_switch(s, s->r->prefix_caching, "", "--disable-radix-cache");
    add_switch(s, s->r->schedule_ahead, "", "--disable-overlap-schedule");
    add_switch(s, s->e->graph_count == 0, "--disable-cuda-graph", "");
    add_switch(s, s->narrow_kv, "--kv-cache-dtype fp8_e4m3", "");
    add_weights(s, true);
    add_role(s);
    return add_order(s, "lpm", "--schedule-policy", err);
}

/* Of TensorRT-LLM's file (TorchLlmArgs): JSON, which YAML holds. */
__attribute__((format(printf, 3, 4))) static void add_word(struct deployed *d, const char *group, const char *format,
                                                           ...)
{
    va_list arguments;
    size_t used = strlen(d->file);
    bool same = *group && used > 1 && strstr(d->file, group);
    if (same)
        used -= 1; /* the last group goes on */
    used += (size_t)snprintf(d->file + used, sizeof d->file - used, "%s", used > 0 ? ", " : "");
    if (*group && !same)
        used += (size_t)snprintf(d->file + used, sizeof d->file - used, "\"%s\": {", group);
    va_start(arguments, format);
    used += (size_t)vsnprintf(d->file + used, sizeof d->file - used, format, arguments);
    va_end(arguments);
    if (*group && used + 1 < sizeof d->file)
        snprintf(d->file + used, sizeof d->file - used, "}");
}

/* What no flag says. */
static void add_file(const struct said *s)
{
    struct deployed *d = s->d;
    const char *capacity = param_text(s->r->batching_params, "capacity");
    const char *chunking = param_text(s->r->batching_params, "chunking");
    if (!s->dynamo && s->p->data > 1)
        add_word(d, "", "\"enable_attention_dp\": true");
    if (s->dynamo && strcmp(chunking, "none") != 0)
        add_word(d, "", "\"enable_chunked_prefill\": true");
    if (!s->r->schedule_ahead)
        add_word(d, "", "\"disable_overlap_scheduler\": true");
    if (number_of(s, "wait_iterations") > 0)
        add_word(d, "", "\"batch_wait_timeout_iters\": %.0f", number_of(s, "wait_iterations"));
    if (number_of(s, "wait_tokens") > 0)
        add_word(d, "", "\"batch_wait_max_tokens_ratio\": %.6g",
                 number_of(s, "wait_tokens") / number_of(s, "token_budget"));
    if (!s->r->prefix_caching)
        add_word(d, "kv_cache_config", "\"enable_block_reuse\": false");
    if (!s->dynamo && s->r->kv_block_tokens != 32)
        add_word(d, "kv_cache_config", "\"tokens_per_block\": %u", s->r->kv_block_tokens);
    if (s->kv_blocks > 0)
        add_word(d, "kv_cache_config", "\"max_tokens\": %llu",
                 (unsigned long long)s->kv_blocks * s->r->kv_block_tokens);
    if (s->narrow_kv)
        add_word(d, "kv_cache_config", "\"dtype\": \"fp8\"");
    if (strcmp(capacity, "guaranteed_no_evict") != 0)
        add_word(d, "scheduler_config", "\"capacity_scheduler_policy\": \"%s\"",
                 strcmp(capacity, "static_batch") == 0 ? "STATIC_BATCH" : "MAX_UTILIZATION");
    if (strcmp(chunking, "equal_progress") == 0)
        add_word(d, "scheduler_config", "\"context_chunking_policy\": \"EQUAL_PROGRESS\"");
    if (!s->dynamo && strcmp(d->role, "serve") != 0)
        add_word(d, "cache_transceiver_config", "\"backend\": \"DEFAULT\"");
}

/* trtllm-serve writes its flags with underscores (commands/serve.py), Dynamo's worker with dashes
 * (components/src/dynamo/trtllm/backend_args.py). */
static int add_trtllm(const struct said *s, struct error *err)
{
    struct deployed *d = s->d;
    const struct parallel *p = s->p;
    bool chunks = strcmp(param_text(s->r->batching_params, "chunking"), "none") != 0;
    if (p->data > 1 && p->tensor > 1)
        return cannot_say(s, "cluster.data_parallel", "with tensor_parallel above 1: every GPU is an attention rank",
                          err);
    if (strcmp(s->order, "fcfs") != 0)
        return cannot_say(s, "policy.order", s->order, err);
    if (check_batching(s, " max_sequences token_budget capacity chunking wait_iterations wait_tokens ", err))
        return -1;
    deploy_add(d, "%s %u", s->dynamo ? "--tensor-parallel-size" : "--tp_size", p->tensor * p->data);
    if (p->stages > 1)
        deploy_add(d, "%s %u", s->dynamo ? "--pipeline-parallel-size" : "--pp_size", p->stages);
    if (p->expert > 1)
        deploy_add(d, "%s %u", s->dynamo ? "--expert-parallel-size" : "--ep_size", p->expert);
    add_switch(s, s->dynamo && p->data > 1, "--enable-attention-dp", "");
    deploy_add(d, "%s %.0f", s->dynamo ? "--max-batch-size" : "--max_batch_size", number_of(s, "max_sequences"));
    deploy_add(d, "%s %.0f", s->dynamo ? "--max-num-tokens" : "--max_num_tokens", number_of(s, "token_budget"));
    add_switch(s, chunks && !s->dynamo, "--enable_chunked_prefill", "");
    deploy_add(d, "%s %g", s->dynamo ? "--free-gpu-memory-fraction" : "--kv_cache_free_gpu_memory_fraction",
               s->e->memory.utilization);
    if (s->dynamo && s->r->kv_block_tokens != 32)
        deploy_add(d, "--kv-block-size %u", s->r->kv_block_tokens);
    if (s->dynamo)
        add_role(s);
    add_file(s);
    if (*d->file && s->dynamo)
        deploy_add(d, "--override-engine-args '{%s}'", d->file);
    else if (*d->file)
        deploy_add(d, "--extra_llm_api_options trtllm%s%s.yaml", strcmp(d->role, "serve") == 0 ? "" : "-",
                   strcmp(d->role, "serve") == 0 ? "" : d->role);
    return 0;
}

int deploy_flags_add(struct deployed *d, const struct scenario *sc, size_t pool, enum deploy_dialect dialect,
                     enum deploy_form form, struct error *err)
{
    static int (*const adders[])(const struct said *s, struct error *err) = {add_vllm, add_sglang, add_trtllm};
    const struct pool *p = &sc->pools[pool];
    const struct replica_config *r = &sc->cluster.pools[pool].replica;
    struct json policy = json_member(&sc->root, "policy");
    bool stated = p->kv_blocks > 0 || json_member(&policy, "kv_blocks").node;
    struct said s = {.d = d,
                     .pool = p,
                     .r = r,
                     .e = &p->cost.engine,
                     .p = &p->cost.parallel,
                     .form = deploy_form_names[form],
                     .order = r->order ? r->order->name : "fcfs",
                     .dynamo = form == DEPLOY_DYNAMO,
                     .narrow_kv = p->cost.engine.kv_quantised && p->cost.engine.kv_dtype == DTYPE_FP8,
                     .kv_blocks = stated ? r->kv_blocks : 0};
    bool other_kv = s.e->kv_quantised && s.e->kv_dtype != DTYPE_FP8 && dtype_bytes(s.e->kv_dtype) != 2;
    if (other_kv)
        return cannot_say(&s, "engine.kv_dtype", dtype_names[s.e->kv_dtype], err);
    return check_weights(&s, dialect, err) || read_techniques(&s, &sc->root, err) ? -1 : adders[dialect](&s, err);
}

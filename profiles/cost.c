/* SPDX-License-Identifier: MIT */
#include "profiles/cost_parts.h"

#include <stdlib.h>
#include <string.h>

static int create(struct cost_model *out, const char *model, const char *device, const struct parallel *parallel,
                  const struct engine *engine, const struct techniques *techniques, const struct cost_model *drafts_for,
                  struct error *err);

/* GEMMs, experts, attention, collectives and what goes over rows in a pass through the model: what kernels are launched
 * for. */
static double operations(const struct cost_model *cm)
{
    double count = 0;
    for (size_t i = 0; i < cm->work.count; i++)
        count += cm->work.ops[i].times;
    for (int i = 0; i < ATTENTION_KINDS; i++)
        count += cm->work.attention[i].prefill_layers;
    return count;
}

/* Everything that a run asks for again and again, once. */
static int compile(struct cost_model *cm, struct error *err)
{
    cm->host = cost_fine(cost_waited_ns(cm));
    cm->launch = cost_fine(cm->backend.launch_ns);
    cm->cold = cost_fine(cm->device.cold_decode_ns);
    double sparse = cm->model.mlp_layers - (double)cm->model.moe.dense_layers;
    double experts = cm->model.moe.experts ? sparse / cm->model.layers : 0;
    cm->eager = cost_fine((cm->device.eager_layer_ns + cm->engine.eager_expert_layer_ns * experts) * cm->work.layers);
    cm->launches = cost_fine(cm->engine.launch_op_ns * operations(cm));
    return cost_compile_rows(cm, err) || cost_compile_lines(cm, err) ? -1 : 0;
}

/* Another model on the same GPUs, whose weights lie next to the model's. */
static int create_helper(struct cost_model *cm, const char *model, struct cost_model **out, struct error *err)
{
    const struct engine no_host_work = {.name = "none"};
    struct parallel parallel = tensor_parallel(cm->parallel.tensor);
    if (cm->parallel.data > 1)
        return error_set(err, ERROR_INPUT, "techniques: a second model together with data_parallel is not costed");
    *out = calloc(1, sizeof **out);
    if (!*out)
        return error_no_memory(err);
    if (create(*out, model, cm->device_name, &parallel, &no_host_work, NULL, cm, err)) {
        free(*out);
        *out = NULL;
        return -1;
    }
    return 0;
}

/* Checking a draft's tokens takes the model that many more queries a sequence. */
static int create_draft(struct cost_model *cm, struct error *err)
{
    const struct speculation *s = &cm->work.speculation;
    if (cm->parallel.data > 1)
        return error_set(err, ERROR_INPUT, "techniques: speculation together with data_parallel is not costed");
    if (strcmp(s->draft_model, "none") != 0) {
        if (create_helper(cm, s->draft_model, &cm->draft, err))
            return -1;
        cm->work.weight_bytes += cm->draft->work.weight_bytes;
        cost_add_draft_kv(&cm->work, &cm->draft->work);
    }
    for (int i = 0; i < ATTENTION_KINDS; i++)
        cm->work.attention[i].decode_queries = (double)cost_checked_rows(cm, 1);
    return 0;
}

/* What decodes read is their model's KV: the pool holds that. */
static int create_phases(struct cost_model *cm, struct error *err)
{
    const struct phase_models *p = &cm->work.phases;
    const char *const names[COST_PHASES] = {p->prompts, p->decodes};
    for (int i = 0; i < COST_PHASES; i++) {
        if (!*names[i])
            continue;
        if (create_helper(cm, names[i], &cm->phases[i], err))
            return -1;
        if (!p->part)
            cm->work.weight_bytes += cm->phases[i]->work.weight_bytes;
    }
    if (cm->work.gpu_replicas > 0)
        cm->device.memory_bytes /= cm->work.gpu_replicas;
    if (cm->phases[PHASE_DECODES] && !p->part)
        cm->work.kv_bytes_per_token = cm->phases[PHASE_DECODES]->work.kv_bytes_per_token;
    return 0;
}

/* A model for a phase is as it is: changes of the model's own work in that phase would be lost. NULL: there are none.
 */
static const char *lost_in_phase(const struct work *w)
{
    const struct attention_work *full = &w->attention[ATTENTION_FULL], *window = &w->attention[ATTENTION_WINDOW];
    bool of_decodes = *w->phases.decodes;
    if (of_decodes && (full->changed || window->changed))
        return "a change of the KV that decodes read";
    if (!of_decodes && full->density_from > 0)
        return "attention_density";
    if (!of_decodes && full->prefill_layers < full->decode_layers)
        return "prefill_layers";
    return w->overlap.communication > 0 || w->overlap.kernels > 0 ? "overlap"
           : w->source.any                                        ? "weights_source"
           : of_decodes && w->adapters.count > 0                  ? "adapters"
           : of_decodes && w->filled_tokens > 0                   ? "background"
                                                                  : NULL;
}

/* Changes that each choose what the same tokens run through. */
static int check_changes(const struct cost_model *cm, struct error *err)
{
    const struct work *w = &cm->work;
    bool phases = *w->phases.prompts || *w->phases.decodes, keeps = cost_keeps(cm);
    if (phases && w->speculation.draft_tokens > 0)
        return error_set(err, ERROR_INPUT,
                         "techniques: phase_model and speculation both choose what decodes run through");
    if (phases && !w->phases.part && w->kv_groups.windowed > 0)
        return error_set(err, ERROR_INPUT,
                         "techniques: phase_model on a model whose layers have windows is not costed");
    if (phases && lost_in_phase(w))
        return error_set(err, ERROR_INPUT, "techniques: phase_model together with %s is not costed", lost_in_phase(w));
    if (w->speculation.draft_tokens > 0 && (w->filled_tokens > 0 || w->overlap.kernels > 0))
        return error_set(err, ERROR_INPUT, "techniques: speculation together with %s is not costed",
                         w->filled_tokens > 0 ? "background" : "overlapped kernels");
    if (w->gpu_replicas > 0 && (cost_is_apart(cm) || cm->parallel.data > 1))
        return error_set(
            err, ERROR_INPUT,
            "techniques: shared_gpu together with speculation, phase_model or data_parallel is not costed");
    if (*w->phases.prompts && keeps)
        return error_set(err, ERROR_INPUT,
                         "techniques: phase_model and prompt_keep both choose what prompts run through");
    if (keeps && w->speculation.draft_tokens > 0)
        return error_set(err, ERROR_INPUT, "techniques: speculation together with prompt_keep is not costed");
    if (w->reuse.loaded_share > 0 && (w->keep.any || w->attention[ATTENTION_FULL].ranks > 1))
        return error_set(err, ERROR_INPUT,
                         "techniques: kv_reuse together with prompt_keep or sequence_ranks is not costed");
    if (w->reuse.loaded_share > 0 && w->kv_groups.windowed > 0)
        return error_set(err, ERROR_INPUT, "techniques: kv_reuse on a model whose layers have windows is not costed");
    if (keeps && cm->parallel.data > 1)
        return error_set(err, ERROR_INPUT, "techniques: prompt_keep together with data_parallel is not costed");
    const struct attention_work *a = &w->attention[ATTENTION_FULL];
    bool reads = a->read_share > 0 || a->shared_tokens > 0;
    if ((keeps || reads || w->overlap.kernels > 0 || w->source.any || w->adapters.count > 0 || w->gpu_replicas > 0 ||
         w->filled_tokens > 0) &&
        cm->device.kind == DEVICE_LINEAR)
        return error_set(err, ERROR_INPUT, "techniques: %s is a stated line, whose parts cannot be told apart",
                         cm->device.name);
    return 0;
}

static int create_helpers(struct cost_model *cm, struct error *err)
{
    if (check_changes(cm, err) || (cm->work.speculation.draft_tokens > 0 && create_draft(cm, err)))
        return -1;
    if (*cm->work.keep.scorer) {
        if (create_helper(cm, cm->work.keep.scorer, &cm->scorer, err))
            return -1;
        cm->work.weight_bytes += cm->scorer->work.weight_bytes;
    }
    return create_phases(cm, err);
}

static int create_backend(struct cost_model *cm, const struct techniques *techniques,
                          const struct cost_model *drafts_for, struct error *err)
{
    if (work_of_model(&cm->model, &cm->parallel, &cm->work, err) || techniques_apply(techniques, &cm->work, err))
        return -1;
    if (drafts_for) {
        cm->work.time_scale = drafts_for->work.time_scale;
        cm->kernel_factor = drafts_for->kernel_factor;
    }
    bool apart = cm->parallel.stages > 1 && cost_is_apart(cm);
    if (apart || (cm->parallel.stages > 1 && cm->device.kind == DEVICE_LINEAR))
        return error_set(err, ERROR_INPUT, "pipeline_parallel %u: %s has no stages that could be told apart",
                         cm->parallel.stages, apart ? "speculative decoding, or a second model," : cm->device.name);
    if (cm->parallel.stages > 1)
        work_cut(&cm->work, &cm->model, cm->parallel.stages, cm->parallel.stage);
    cm->estimated = cm->device.table_count == 0 || cost_is_apart(cm) || cost_reshapes(cm);
    if (create_helpers(cm, err))
        return -1;
    if ((cm->device.kind == DEVICE_LINEAR ? linear_create : kernels_create)(cm, &cm->backend, err))
        return -1;
    double factor = cm->work.time_scale * cm->kernel_factor;
    return factor == 1 ? 0 : scaled_create(&cm->backend, factor, err);
}

/* The backend may take host work away (a stated line has none); an engine's own comes on top of it. */
static void set_engine(struct cost_model *cm, const struct engine *engine)
{
    if (!engine)
        return;
    cm->engine = *engine;
    if (engine->host_ns >= 0)
        cm->device.host_ns = engine->host_ns;
    if (engine->host_ns_per_sequence >= 0)
        cm->device.host_ns_per_sequence = engine->host_ns_per_sequence;
    if (engine->eager_layer_ns >= 0)
        cm->device.eager_layer_ns = engine->eager_layer_ns;
}

static void scale_host_work(struct cost_model *cm, double factor)
{
    cm->device.host_ns *= factor;
    cm->device.host_ns_per_sequence *= factor;
    cm->device.eager_layer_ns *= factor;
    cm->engine.eager_expert_layer_ns *= factor;
    cm->engine.launch_op_ns *= factor;
    cm->engine.exposed_ns *= factor;
    cm->engine.exposed_ns_per_sequence *= factor;
}

struct parallel tensor_parallel(uint32_t degree)
{
    return (struct parallel){.stages = 1,
                             .tensor = degree,
                             .data = 1,
                             .expert = 1,
                             .expert_imbalance = 1,
                             .link_bytes_per_s = -1,
                             .link_latency_ns = -1};
}

static int complain_of_size(const struct cost_model *cm, struct error *err)
{
    return error_set(err, ERROR_INPUT,
                     "%s does not fit on %u × %s: its weights take %.1f GB; raise "
                     "cluster.tensor_parallel or choose a larger device",
                     cm->model.name, cm->parallel.tensor * cm->parallel.data * cm->parallel.stages, cm->device.name,
                     model_weight_bytes(&cm->model) * 1e-9);
}

static int create(struct cost_model *out, const char *model, const char *device, const struct parallel *parallel,
                  const struct engine *engine, const struct techniques *techniques, const struct cost_model *drafts_for,
                  struct error *err)
{
    *out = (struct cost_model){.parallel = *parallel, .device_name = device, .is_draft = drafts_for != NULL};
    out->kernel_factor = engine && engine->kernel_factor > 0 ? engine->kernel_factor : 1;
    if (model_load(model, &out->model, err) || device_load(device, &out->device, err))
        return -1;
    if (parallel->link_bytes_per_s > 0)
        out->device.link_bytes_per_s = parallel->link_bytes_per_s;
    if (parallel->link_latency_ns >= 0)
        out->device.link_latency_ns = parallel->link_latency_ns;
    if (engine && engine->quantised)
        model_quantise(&out->model, engine->weight_dtype);
    if (engine && engine->kv_quantised)
        out->model.bytes_per_kv = dtype_bytes(engine->kv_dtype);
    out->model.uniform_kv = engine && engine->uniform_kv;
    out->model.fused_shared_experts = engine && engine->fused_shared_experts;
    int status =
        engine && engine->experts_quantised ? model_quantise_experts(&out->model, engine->expert_dtype, err) : 0;
    if (status == 0)
        status = create_backend(out, techniques, drafts_for, err);
    set_engine(out, engine);
    scale_host_work(out, out->work.time_scale);
    if (parallel->stage > 0) { /* the first one's covers the whole pass */
        out->device.host_ns = out->device.host_ns_per_sequence = 0;
        out->engine.exposed_ns = out->engine.exposed_ns_per_sequence = 0;
    }
    if (status == 0 && cost_model_kv_tokens(out, 1, 1) == 0)
        status = complain_of_size(out, err);
    if (status == 0)
        status = compile(out, err);
    if (status)
        cost_model_release(out);
    return status;
}

int cost_model_create(struct cost_model *out, const char *model, const char *device, const struct parallel *parallel,
                      const struct engine *engine, const struct techniques *techniques, struct error *err)
{
    return create(out, model, device, parallel, engine, techniques, NULL, err);
}

static void release_helper(struct cost_model **helper)
{
    if (*helper)
        cost_model_release(*helper);
    free(*helper);
    *helper = NULL;
}

void cost_model_release(struct cost_model *cm)
{
    if (cm->loan) {
        cost_loan_end(cm->loan);
        *cm = (struct cost_model){0};
        return;
    }
    if (cm->backend.destroy)
        cm->backend.destroy(cm->backend.self);
    cm->backend.destroy = NULL;
    free(cm->tokens);
    free(cm->heads);
    free(cm->lines);
    free(cm->lines_at);
    free(cm->shared);
    release_helper(&cm->draft);
    release_helper(&cm->scorer);
    for (int i = 0; i < COST_PHASES; i++)
        release_helper(&cm->phases[i]);
    cm->shared = NULL;
    cm->tokens = cm->heads = NULL;
    cm->lines = NULL;
    cm->lines_at = NULL;
    device_release(&cm->device);
}

/* SPDX-License-Identifier: MIT */
#include "profiles/cost_parts.h"

#include <stdlib.h>

static int create(struct cost_model *out, const char *model, const char *device, const struct parallel *parallel,
                  const struct engine *engine, const struct techniques *techniques, const struct cost_model *drafts_for,
                  struct error *err);

/* Everything that a run asks for again and again, once. */
static int compile(struct cost_model *cm, struct error *err)
{
    cm->host = cost_fine(cost_waited_ns(cm));
    cm->launch = cost_fine(cm->backend.launch_ns);
    cm->cold = cost_fine(cm->device.cold_decode_ns);
    double sparse = cm->model.mlp_layers - (double)cm->model.moe.dense_layers;
    double experts = cm->model.moe.experts ? sparse / cm->model.layers : 0;
    cm->eager = cost_fine((cm->device.eager_layer_ns + cm->engine.eager_expert_layer_ns * experts) * cm->work.layers);
    return cost_compile_rows(cm, err) || cost_compile_lines(cm, err) ? -1 : 0;
}

/* The draft model runs on the same GPUs, and its weights and KV lie next to the model's. Checking its tokens takes the
 * model that many more queries a sequence. */
static int create_draft(struct cost_model *cm, struct error *err)
{
    const struct speculation *s = &cm->work.speculation;
    const struct engine no_host_work = {.name = "none"};
    struct parallel parallel = tensor_parallel(cm->parallel.tensor);
    if (cm->parallel.data > 1)
        return error_set(err, ERROR_INPUT, "techniques: speculation together with data_parallel is not costed");
    cm->draft = calloc(1, sizeof *cm->draft);
    if (!cm->draft)
        return error_no_memory(err);
    if (create(cm->draft, s->draft_model, cm->device_name, &parallel, &no_host_work, NULL, cm, err)) {
        free(cm->draft);
        cm->draft = NULL;
        return -1;
    }
    cm->pass_tokens = speculation_tokens(s);
    cm->work.weight_bytes += cm->draft->work.weight_bytes;
    cost_add_draft_kv(&cm->work, &cm->draft->work);
    for (int i = 0; i < ATTENTION_KINDS; i++)
        cm->work.attention[i].decode_queries = s->draft_tokens + 1;
    return 0;
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
    if (cm->parallel.stages > 1 && (cm->work.speculation.draft_tokens > 0 || cm->device.kind == DEVICE_LINEAR))
        return error_set(err, ERROR_INPUT, "pipeline_parallel %u: %s has no stages that could be told apart",
                         cm->parallel.stages,
                         cm->device.kind == DEVICE_LINEAR ? cm->device.name : "speculative decoding");
    if (cm->parallel.stages > 1)
        work_cut(&cm->work, &cm->model, cm->parallel.stages, cm->parallel.stage);
    cm->estimated = cm->device.table_count == 0 || cm->work.speculation.draft_tokens > 0;
    if (cm->work.speculation.draft_tokens > 0 && create_draft(cm, err))
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

void cost_model_release(struct cost_model *cm)
{
    if (cm->backend.destroy)
        cm->backend.destroy(cm->backend.self);
    cm->backend.destroy = NULL;
    free(cm->tokens);
    free(cm->heads);
    free(cm->lines);
    free(cm->lines_at);
    free(cm->shared);
    if (cm->draft)
        cost_model_release(cm->draft);
    free(cm->draft);
    cm->draft = NULL;
    cm->shared = NULL;
    cm->tokens = cm->heads = NULL;
    cm->lines = NULL;
    cm->lines_at = NULL;
    device_release(&cm->device);
}

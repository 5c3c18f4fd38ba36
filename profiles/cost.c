/* SPDX-License-Identifier: MIT */
#include "profiles/cost.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"

const char *const cost_source_names[COST_SOURCES] = {"measured", "interpolated", "extrapolated", "estimated"};

static struct decode_line compute_line(const struct cost_model *cm, uint64_t sequences, uint64_t kv);
static int create(struct cost_model *out, const char *model, const char *device, const struct parallel *parallel,
                  const struct engine *engine, const struct techniques *techniques, const struct cost_model *drafts_for,
                  struct error *err);

/* What kernels see of a batch that holds more than decodes. */
struct shapes {
    uint64_t tokens, heads;                /* rows of token-wise operations; rows of the output head */
    uint64_t decode_sequences, decode_kv;  /* kv summed over sequences, the new token included */
    uint64_t prefill_tokens, prefill_keys; /* new tokens of all prompt chunks; Σ new tokens · KV before */
    uint64_t decode_longest;               /* of the decodes: the most KV tokens of one, or 0 when that is not known */
    int64_t prefill, prefill_by[COST_SOURCES]; /* fine time */
    unsigned launches;
    /* Of a single prompt chunk among decodes taken together: its next chunks of the same length. */
    int64_t growth;
    enum cost_source source;
    uint64_t steady;
};

#define ONE_NS ((fine_time)1 << FINE_BITS)

/* KV tokens that lines are drawn for; no pool holds more. */
static const double most_kv_tokens = 1e13;

/* Nanoseconds as fine time. Seven such parts (5 hours each, at most) add up within 63 bits. */
static int64_t fine(double ns)
{
    double most = (double)((int64_t)1 << 60), value = ns * (double)ONE_NS;
    if (!(value < most && value > -most))
        return value > 0 ? (int64_t)1 << 60 : -((int64_t)1 << 60);
    return (int64_t)(value + (value < 0 ? -0.5 : 0.5));
}

static struct dense_cost as_fine(const struct cost_model *cm, double ns, const double *by)
{
    struct dense_cost cost = {.total = fine(ns)};
    for (int i = 0; !cm->estimated && i < COST_SOURCES; i++)
        cost.by[i] = fine(by[i]);
    return cost;
}

static struct dense_cost cost_of_rows(const struct cost_model *cm, uint64_t rows)
{
    double by[COST_SOURCES] = {0}, ns = cm->backend.token_ns(cm->backend.self, (double)rows, by);
    return as_fine(cm, ns, by);
}

/* Of batches that may hold prompts; those of decodes alone are always padded to a captured size. */
static struct dense_cost compute_token_cost(const struct cost_model *cm, uint64_t tokens)
{
    return cost_of_rows(cm, cm->engine.graph_decodes_only ? tokens : engine_padded_tokens(&cm->engine, tokens));
}

/* Host work for every sequence that the head runs for is counted with the output head, unless it hides behind the GPU.
 */
static struct dense_cost compute_head_cost(const struct cost_model *cm, uint64_t sequences)
{
    double by[COST_SOURCES] = {0}, ns = 0;
    if (sequences > 0)
        ns = cm->backend.head_ns(cm->backend.self, (double)sequences, by);
    if (!cm->engine.schedule_ahead)
        ns += cm->device.host_ns_per_sequence * (double)sequences;
    return as_fine(cm, ns, by);
}

/* In the compiled array, or computed into *scratch beyond it. */
static const struct dense_cost *token_cost(const struct cost_model *cm, uint64_t tokens, struct dense_cost *scratch)
{
    if (tokens <= DENSE_TOKENS)
        return &cm->tokens[tokens];
    *scratch = compute_token_cost(cm, tokens);
    return scratch;
}

static const struct dense_cost *head_cost(const struct cost_model *cm, uint64_t sequences, struct dense_cost *scratch)
{
    if (sequences <= DENSE_SEQUENCES)
        return &cm->heads[sequences];
    *scratch = compute_head_cost(cm, sequences);
    return scratch;
}

/* Time between kernels that are launched one by one: the GPU's own, which no work on the host hides. */
static int64_t eager_cost(const struct cost_model *cm, uint64_t tokens, bool prompts)
{
    return cm->eager > 0 && engine_is_eager(&cm->engine, tokens, prompts) ? cm->eager : 0;
}

/* The line of a piece of decode attention, with everything else that an iteration of these decodes does. */
static struct decode_line line_of(const struct cost_model *cm, uint64_t sequences, const struct attention_piece *p)
{
    struct dense_cost tokens = cost_of_rows(cm, engine_padded_tokens(&cm->engine, sequences));
    struct dense_cost heads = compute_head_cost(cm, sequences);
    struct decode_line line = {.until = p->until < most_kv_tokens ? (uint64_t)p->until : (uint64_t)most_kv_tokens,
                               .attention = fine(p->ns),
                               .attention_slope = fine(p->slope),
                               .attention_source = p->source};
    line.base = cm->host + eager_cost(cm, sequences, false) + tokens.total + heads.total + line.attention;
    line.slope = line.attention_slope;
    if (cm->backend.decode_spread) {
        double slope = fmax(p->slope, 0), n = (double)sequences;
        line.spread = fine(slope * cm->backend.decode_spread(cm->backend.self, n, false));
        line.mixed_spread = fine(slope * cm->backend.decode_spread(cm->backend.self, n, true));
    }
    for (int i = 0; i < COST_SOURCES; i++)
        line.by[i] = tokens.by[i] + heads.by[i];
    return line;
}

/* Rows that checking `sequences` decodes' proposed tokens takes. */
static uint64_t checked_rows(const struct cost_model *cm, uint64_t sequences)
{
    return sequences * (uint64_t)(cm->work.speculation.draft_tokens + 1);
}

/* A pass of speculative decoding, spread over the tokens that it yields on average: drafting one by one, then checking
 * all at once. */
static struct decode_line speculative_line(const struct cost_model *cm, uint64_t sequences, uint64_t kv,
                                           const struct attention_piece *p)
{
    uint64_t rows = checked_rows(cm, sequences);
    double by[COST_SOURCES] = {0}, drafts = cm->work.speculation.draft_tokens, each = 1 / cm->pass_tokens;
    struct decode_line draft = compute_line(cm->draft, sequences, kv);
    double ns = cm->backend.token_ns(cm->backend.self, (double)engine_padded_tokens(&cm->engine, rows), by) +
                cm->backend.head_ns(cm->backend.self, (double)rows, by) + p->ns;
    if (!cm->engine.schedule_ahead)
        ns += cm->device.host_ns + cm->device.host_ns_per_sequence * (double)sequences;
    ns += (double)eager_cost(cm, rows, false) / (double)ONE_NS;
    double until = fmin(p->until, most_kv_tokens);
    return (struct decode_line){.until = (uint64_t)until < draft.until ? (uint64_t)until : draft.until,
                                .base = fine(each * ns) + (int64_t)(each * drafts * (double)draft.base),
                                .slope = fine(each * p->slope) + (int64_t)(each * drafts * (double)draft.slope)};
}

static struct decode_line compute_line(const struct cost_model *cm, uint64_t sequences, uint64_t kv)
{
    struct attention_piece p = cm->backend.decode_piece(cm->backend.self, (double)sequences, (double)kv);
    struct decode_line line = cm->draft ? speculative_line(cm, sequences, kv, &p) : line_of(cm, sequences, &p);
    if (line.slope >= 0 && line.base >= (int64_t)ONE_NS && cm->estimated) {
        double most = ((double)FINE_LONGEST / 2 - (double)line.base) / fmax((double)line.slope, 1);
        line.plain_until = most < 0 ? 0 : most < (double)line.until ? (uint64_t)most : line.until;
    }
    return line;
}

/* In the compiled lines, or computed into *scratch beyond them. */
static const struct decode_line *find_line(const struct cost_model *cm, uint64_t sequences, uint64_t kv,
                                           struct decode_line *scratch)
{
    if (sequences > DENSE_SEQUENCES || kv > (uint64_t)most_kv_tokens) {
        *scratch = compute_line(cm, sequences, kv);
        return scratch;
    }
    const struct decode_line *line = &cm->lines[cm->lines_at[sequences]];
    while (kv > line->until)
        line++;
    return line;
}

static int64_t compute_shared(const struct cost_model *cm, uint64_t tokens)
{
    return fine(cm->backend.shared_ns(cm->backend.self, (double)engine_padded_tokens(&cm->engine, tokens)));
}

static int64_t shared_cost(const struct cost_model *cm, uint64_t tokens)
{
    return tokens <= DENSE_TOKENS ? cm->shared[tokens] : compute_shared(cm, tokens);
}

static int compile_shared(struct cost_model *cm, struct error *err)
{
    if (!cm->backend.shared_ns)
        return 0;
    cm->shared = calloc(DENSE_TOKENS + 1, sizeof *cm->shared);
    if (!cm->shared)
        return error_no_memory(err);
    for (size_t i = 1; i <= DENSE_TOKENS; i++)
        cm->shared[i] = compute_shared(cm, i);
    return 0;
}

static int compile_lines(struct cost_model *cm, struct error *err)
{
    size_t count = 0, capacity = 0;
    for (uint32_t n = 1; n <= DENSE_SEQUENCES; n++) {
        cm->lines_at[n] = (uint32_t)count;
        for (double kv = 0; kv < most_kv_tokens;) {
            struct decode_line *grown = array_grow(cm->lines, &capacity, count + 1, sizeof *grown);
            if (!grown)
                return error_no_memory(err);
            cm->lines = grown;
            cm->lines[count] = compute_line(cm, n, (uint64_t)kv);
            kv = (double)cm->lines[count++].until + 1;
        }
    }
    return 0;
}

/* Everything that a run asks for again and again, once. */
static int compile(struct cost_model *cm, struct error *err)
{
    cm->host = cm->engine.schedule_ahead ? 0 : fine(cm->device.host_ns);
    cm->launch = fine(cm->backend.launch_ns);
    cm->eager = fine(cm->device.eager_layer_ns * cm->work.layers);
    struct dense_cost *tokens = calloc(DENSE_TOKENS + 1, sizeof *tokens);
    struct dense_cost *heads = calloc(DENSE_SEQUENCES + 1, sizeof *heads);
    cm->lines_at = calloc(DENSE_SEQUENCES + 2, sizeof *cm->lines_at);
    if (!tokens || !heads || !cm->lines_at) {
        free(tokens);
        free(heads);
        return error_no_memory(err);
    }
    for (size_t i = 1; i <= DENSE_TOKENS; i++)
        tokens[i] = compute_token_cost(cm, i);
    for (size_t i = 0; i <= DENSE_SEQUENCES; i++)
        heads[i] = compute_head_cost(cm, i);
    cm->tokens = tokens;
    cm->heads = heads;
    return compile_shared(cm, err) || compile_lines(cm, err) ? -1 : 0;
}

/* The draft model keeps every token. Its KV makes the blocks larger, or, where the model's layers have windows, fills
 * further groups of blocks as large as the model's. */
static void add_draft_kv(struct work *work, const struct work *draft)
{
    double bytes = draft->kv_bytes_per_token * (draft->kv_layers[ATTENTION_FULL] + draft->kv_layers[ATTENTION_WINDOW]);
    if (work->kv_groups.windowed == 0) {
        work->kv_bytes_per_token += bytes;
        return;
    }
    work->kv_groups.full += (uint32_t)ceil(bytes / work->kv_bytes_per_token);
    work->kv_layers[ATTENTION_FULL] += bytes / work->kv_bytes_per_token;
}

/* The draft model runs on the same GPUs, and its weights and KV lie beside the model's. Checking its tokens takes the
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
    add_draft_kv(&cm->work, &cm->draft->work);
    for (int i = 0; i < ATTENTION_KINDS; i++)
        cm->work.attention[i].decode_queries = s->draft_tokens + 1;
    return 0;
}

static int create_backend(struct cost_model *cm, const struct techniques *techniques,
                          const struct cost_model *drafts_for, struct error *err)
{
    if (work_of_model(&cm->model, &cm->parallel, &cm->work, err) || techniques_apply(techniques, &cm->work, err))
        return -1;
    if (drafts_for)
        cm->work.time_scale = drafts_for->work.time_scale;
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
    return cm->work.time_scale == 1 ? 0 : scaled_create(&cm->backend, cm->work.time_scale, err);
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

static void scale_host_work(struct device *d, double factor)
{
    d->host_ns *= factor;
    d->host_ns_per_sequence *= factor;
    d->eager_layer_ns *= factor;
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

/* Weights that are narrower already stay as they are. */
static void quantise(struct model *m, enum dtype dtype)
{
    double bytes = dtype_bytes(dtype);
    if (bytes < m->bytes_per_weight || !m->moe.experts) {
        m->dtype = dtype;
        m->bytes_per_weight = bytes;
    }
    if (bytes < m->moe.bytes_per_weight) {
        m->moe.dtype = dtype;
        m->moe.bytes_per_weight = bytes;
    }
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
    if (model_load(model, &out->model, err) || device_load(device, &out->device, err))
        return -1;
    if (parallel->link_bytes_per_s > 0)
        out->device.link_bytes_per_s = parallel->link_bytes_per_s;
    if (parallel->link_latency_ns >= 0)
        out->device.link_latency_ns = parallel->link_latency_ns;
    if (engine && engine->quantised)
        quantise(&out->model, engine->weight_dtype);
    out->model.uniform_kv = engine && engine->uniform_kv;
    int status = create_backend(out, techniques, drafts_for, err);
    set_engine(out, engine);
    scale_host_work(&out->device, out->work.time_scale);
    if (parallel->stage > 0)
        out->device.host_ns = out->device.host_ns_per_sequence = 0; /* the first one's covers the whole pass */
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

/* Bytes of one GPU that KV may take. */
static double kv_bytes(const struct cost_model *cm, double batch_tokens, double sequences)
{
    const struct device *d = &cm->device;
    const struct engine_memory *m = &cm->engine.memory;
    double weights = cm->work.weight_bytes, total = d->memory_bytes;
    double beside = m->context_bytes + m->graph_bytes + work_activation_bytes(&cm->work, batch_tokens, sequences);
    if (d->kind == DEVICE_LINEAR)
        return total;
    switch (m->rule) {
    case MEMORY_DEVICE:
        break;
    case MEMORY_TOTAL:
        return total * m->utilization - weights - beside;
    case MEMORY_FREE:
        return (total - weights - beside) * m->utilization;
    case MEMORY_STATIC:
        return total * m->utilization - weights;
    }
    return total * d->memory_utilization - d->reserved_bytes - weights;
}

uint64_t cost_model_kv_tokens(const struct cost_model *cm, double batch_tokens, double sequences)
{
    double tokens = kv_bytes(cm, batch_tokens, sequences) / cm->work.kv_bytes_per_token;
    return tokens > 0 ? (uint64_t)tokens : 0;
}

double cost_model_decode_attention_ns(const struct cost_model *cm, double sequences, double kv_tokens,
                                      enum cost_source *source)
{
    struct attention_piece p = cm->backend.decode_piece(cm->backend.self, sequences, kv_tokens);
    *source = p.source;
    return p.ns + p.slope * kv_tokens;
}

static void add_prefill(const struct cost_model *cm, struct shapes *s, unsigned times, uint32_t new_tokens,
                        uint32_t kv_before)
{
    struct attention_piece p = cm->backend.prefill_piece(cm->backend.self, new_tokens, kv_before);
    int64_t slope = fine(p.slope), most = (int64_t)1 << 60;
    double near = (double)times * ((double)fine(p.ns) + (double)slope * kv_before) + (double)s->prefill;
    int64_t ns = near < (double)most ? times * (fine(p.ns) + slope * (int64_t)kv_before) : most - s->prefill;
    s->prefill_tokens += (uint64_t)times * new_tokens;
    s->prefill_keys += (uint64_t)times * new_tokens * kv_before;
    s->prefill += ns;
    s->prefill_by[p.source] += ns;
    if (cm->draft) { /* which reads the prompt, too */
        p = cm->draft->backend.prefill_piece(cm->draft->backend.self, new_tokens, kv_before);
        s->prefill += times * fine(p.ns + p.slope * kv_before);
    }
    s->launches += times;
    s->growth = slope * new_tokens;
    s->source = p.source;
    double room = (p.until - kv_before) / new_tokens;
    s->steady = s->launches > 1 || slope < 0 || near >= (double)most ? 1 : room < 1e6 ? (uint64_t)room + 1 : 1000000;
}

static void ragged_shapes(const struct cost_model *cm, const struct batch *b, struct shapes *s)
{
    s->tokens = s->heads = s->decode_sequences = b->decodes;
    s->decode_kv = b->decode_kv + b->decodes;
    s->decode_longest = b->decode_longest + (b->decode_longest > 0);
    for (size_t i = 0; i < b->count; i++) {
        const struct batch_item *item = &b->items[i];
        s->tokens += item->new_tokens;
        if (item->decode) {
            s->decode_sequences++;
            s->decode_kv += item->req->computed + 1;
            if (s->decode_longest < item->req->computed + 1)
                s->decode_longest = item->req->computed + 1;
        } else {
            add_prefill(cm, s, 1, item->new_tokens, item->req->computed);
        }
        s->heads += cm->engine.head_for_all || item->new_tokens == request_uncomputed(item->req);
    }
    if (b->count > 1)
        s->steady = 1;
}

static void row_shapes(const struct cost_model *cm, const struct batch *b, struct shapes *s)
{
    s->tokens = (uint64_t)b->rows * b->row_tokens;
    s->heads = b->layout == BATCH_PACKED ? b->count : b->rows;
    if (b->row_tokens == 1 && b->row_kv > 0) {
        s->decode_sequences = b->rows;
        s->decode_kv = (uint64_t)b->rows * (b->row_kv + 1);
    } else if (b->layout == BATCH_PACKED && b->packed_attention == PACKED_VARLEN) {
        for (size_t i = 0; i < b->count; i++)
            add_prefill(cm, s, 1, b->items[i].new_tokens, 0);
    } else {
        add_prefill(cm, s, b->rows, b->row_tokens, b->row_kv);
    }
    s->steady = 1;
}

/* A value on a line, at least 0 and at most FINE_LONGEST. */
static fine_time on_line(int64_t base, int64_t slope, uint64_t kv)
{
    double near = (double)base + (double)slope * (double)kv;
    if (near >= (double)FINE_LONGEST)
        return FINE_LONGEST;
    return near <= 0 ? 0 : (fine_time)(base + slope * (int64_t)kv);
}

static uint64_t steps_on_line(const struct decode_line *line, uint64_t sequences, uint64_t kv)
{
    uint64_t room = line->until - kv;
    return room > sequences << 20 ? 1 << 20 : room / sequences + 1; /* a million is as good as forever */
}

/* What decodes of uneven length take more than as many of mean length; the same while all of them step. */
static fine_time spread_cost(int64_t spread, uint64_t sequences, uint64_t kv, uint64_t longest)
{
    uint64_t most = sequences * longest;
    return spread > 0 && most > kv ? on_line(0, spread, most - kv) : 0;
}

static void decode_sources(const struct decode_line *line, fine_time attention, struct iteration_cost *out)
{
    for (int i = 0; i < COST_SOURCES; i++) {
        out->by[i] = (fine_time)line->by[i];
        out->by_growth[i] = 0;
    }
    out->by[line->attention_source] += attention;
}

/* Decodes alone: a point on a line, and how many steps along it stay on it. */
static void decode_cost(const struct cost_model *cm, const struct decode_line *line, uint64_t sequences, uint64_t kv,
                        uint64_t longest, struct iteration_cost *out)
{
    out->growth = 0;
    out->steady = 1;
    if (kv <= line->plain_until) {
        out->total = (fine_time)line->base + (fine_time)line->slope * kv;
        out->growth = (fine_time)line->slope * sequences;
        out->steady = steps_on_line(line, sequences, kv);
        return;
    }
    fine_time spread = spread_cost(line->spread, sequences, kv, longest);
    out->total = on_line(line->base, line->slope, kv) + spread;
    if (!cm->estimated)
        decode_sources(line, on_line(line->attention, line->attention_slope, kv) + spread, out);
    if (line->slope < 0 || out->total < ONE_NS || out->total >= FINE_LONGEST)
        return;
    out->growth = (fine_time)line->slope * sequences;
    if (!cm->estimated)
        out->by_growth[line->attention_source] = out->growth;
    out->steady = steps_on_line(line, sequences, kv);
}

/* What decodes add to a launch with prompt chunks, as measured. */
static int64_t joined_attention(const struct cost_model *cm, const struct shapes *s, enum cost_source *source)
{
    double tokens = (double)s->prefill_tokens;
    return fine(cm->backend.joined_decode_ns(cm->backend.self, tokens, (double)s->prefill_keys / tokens,
                                             (double)s->decode_sequences, (double)s->decode_kv, source));
}

/* Everything but decodes' attention, and launches that are shared. */
static void start_sources(const struct dense_cost *tokens, const struct dense_cost *heads, const struct shapes *s,
                          struct iteration_cost *out)
{
    for (int i = 0; i < COST_SOURCES; i++) {
        out->by[i] = (fine_time)(tokens->by[i] + heads->by[i] + s->prefill_by[i]);
        out->by_growth[i] = 0;
    }
    out->by_growth[s->source] = (fine_time)s->growth;
}

/* An iteration with prompts in it, all attention in one launch. */
static void mixed_cost(const struct cost_model *cm, const struct shapes *s, struct iteration_cost *out)
{
    struct dense_cost more_tokens, more_heads;
    const struct dense_cost *tokens = token_cost(cm, s->tokens, &more_tokens);
    const struct dense_cost *heads = head_cost(cm, s->heads, &more_heads);
    int64_t total = cm->host + eager_cost(cm, s->tokens, true) + tokens->total + heads->total + s->prefill;
    unsigned launches = s->launches;
    out->growth = (fine_time)s->growth;
    out->steady = s->steady;
    out->decode_alone = out->alone_growth = 0;
    if (!cm->estimated)
        start_sources(tokens, heads, s, out);
    if (s->decode_sequences > 0) {
        struct decode_line scratch;
        const struct decode_line *line = find_line(cm, s->decode_sequences, s->decode_kv, &scratch);
        enum cost_source source = line->attention_source;
        struct iteration_cost alone;
        decode_cost(cm, line, s->decode_sequences, s->decode_kv, s->decode_longest, &alone);
        int64_t attention = (int64_t)alone.total - line->base + line->attention; /* what is on the line and not fixed */
        bool joined = cm->backend.joined_decode_ns && s->launches > 0;
        if (joined)
            attention = joined_attention(cm, s, &source) +
                        (int64_t)spread_cost(line->mixed_spread, s->decode_sequences, s->decode_kv, s->decode_longest);
        total += attention;
        launches += !joined;
        out->decode_alone = alone.total;
        out->alone_growth = alone.growth;
        out->growth += alone.growth;
        if (!cm->estimated) {
            out->by[source] += attention > 0 ? (fine_time)attention : 0;
            out->by_growth[source] += alone.growth;
        }
        out->steady = joined ? 1 : out->steady < alone.steady ? out->steady : alone.steady;
    }
    if (launches > 1) {
        fine_time saved = (launches - 1) * (fine_time)cm->launch, *prefill = &out->by[s->source];
        total -= (int64_t)saved;
        if (!cm->estimated)
            *prefill = *prefill > saved ? *prefill - saved : 0;
    }
    if (total < (int64_t)ONE_NS || total > (int64_t)FINE_LONGEST)
        out->steady = 1;
    out->total = total < 0 ? 0 : total > (int64_t)FINE_LONGEST ? FINE_LONGEST : (fine_time)total;
}

/* Ranks that step together compute experts on the tokens of all, not on as many as this one has from each. While all
 * batches run as captured graphs, every rank is padded to the one that has most. */
static void share_experts(const struct cost_model *cm, uint64_t own, const struct batch *batch,
                          struct iteration_cost *out)
{
    uint64_t ranks = cm->parallel.data, mean = (batch->group_tokens + ranks - 1) / ranks;
    size_t sizes = cm->engine.graph_count;
    struct dense_cost scratch[2];
    int64_t more = shared_cost(cm, mean) - shared_cost(cm, own);
    if (sizes > 0 && batch->group_most <= cm->engine.graph_tokens[sizes - 1])
        more = token_cost(cm, batch->group_most, &scratch[0])->total - token_cost(cm, own, &scratch[1])->total;
    int64_t total = (int64_t)out->total + more;
    out->total = total < 0 ? 0 : (fine_time)total;
    out->growth = 0;
    out->steady = 1;
}

/* A prompt's part of an iteration comes on top of what the decodes in it take for a token each: its rows, its
 * attention, and its way through the draft model. */
static void speculative_mixed_cost(const struct cost_model *cm, const struct shapes *s, struct iteration_cost *out)
{
    struct dense_cost scratch[5];
    struct decode_line more;
    uint64_t n = s->decode_sequences, checked = checked_rows(cm, n), prompts = s->tokens - n;
    const struct decode_line *line = n > 0 ? find_line(cm, n, s->decode_kv, &more) : NULL;
    int64_t total = s->prefill + token_cost(cm, prompts + checked, &scratch[0])->total +
                    head_cost(cm, s->heads - n + checked, &scratch[1])->total +
                    token_cost(cm->draft, prompts, &scratch[2])->total;
    *out = (struct iteration_cost){.steady = 1};
    if (line) {
        decode_cost(cm, line, n, s->decode_kv, 0, out);
        total -= token_cost(cm, checked, &scratch[3])->total + head_cost(cm, checked, &scratch[4])->total;
        total -= eager_cost(cm, checked, false); /* the whole iteration is launched in one way */
    } else {
        total += cm->host;
    }
    total += eager_cost(cm, prompts + checked, true) + (int64_t)out->total;
    out->decode_alone = line ? out->total : 0;
    out->total = total < 0 ? 0 : total > (int64_t)FINE_LONGEST ? FINE_LONGEST : (fine_time)total;
    out->growth = out->alone_growth = 0;
    out->steady = 1;
}

/* Where tables fall, or launches are shared, the parts may add up to more than the whole. */
static void cap_sources(struct iteration_cost *out)
{
    fine_time left = out->total;
    for (int i = 0; i < COST_SOURCES; i++) {
        if (out->by[i] > left) {
            out->by[i] = left;
            out->steady = 1;
        }
        left -= out->by[i];
    }
}

/* Scheduling ahead, an iteration takes as long as the host's work for the next one, if that is longer. */
static void wait_for_host(const struct cost_model *cm, const struct batch *batch, struct iteration_cost *out)
{
    int64_t host = fine(cm->device.host_ns + cm->device.host_ns_per_sequence * (double)(batch->count + batch->decodes));
    if ((int64_t)out->total >= host)
        return;
    out->total = (fine_time)host;
    out->growth = 0;
    out->steady = 1;
}

void cost_model_iteration(const struct cost_model *cm, const struct batch *batch, struct iteration_cost *out)
{
    struct shapes s = {0};
    if (batch->layout == BATCH_RAGGED && batch->count == 0) {
        s.decode_sequences = batch->decodes;
        s.decode_kv = batch->decode_kv + batch->decodes;
        s.decode_longest = batch->decode_longest + (batch->decode_longest > 0);
    } else if (batch->layout == BATCH_RAGGED) {
        ragged_shapes(cm, batch, &s);
    } else {
        row_shapes(cm, batch, &s);
    }
    bool decodes_alone = s.launches == 0 && s.decode_sequences > 0;
    if (decodes_alone) {
        struct decode_line scratch;
        decode_cost(cm, find_line(cm, s.decode_sequences, s.decode_kv, &scratch), s.decode_sequences, s.decode_kv,
                    s.decode_longest, out);
    } else if (cm->draft) {
        speculative_mixed_cost(cm, &s, out);
    } else {
        mixed_cost(cm, &s, out);
    }
    if (batch->group_tokens > 0 && cm->shared)
        share_experts(cm, batch_padded_tokens(batch), batch, out);
    if (!cm->estimated)
        cap_sources(out);
    if (cm->engine.schedule_ahead)
        wait_for_host(cm, batch, out);
    if (out->total < ONE_NS) { /* time moves on, so that no run can stand still */
        out->total = ONE_NS;
        out->steady = 1;
    }
    if (decodes_alone || out->decode_alone > out->total) {
        out->decode_alone = out->total;
        out->alone_growth = out->growth;
        out->steady = decodes_alone ? out->steady : 1;
    }
}

/* SPDX-License-Identifier: MIT */
#include "engine_ref/selfcheck.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/random.h"
#include "policies/packing.h"

enum { PROMPTS = 6, DECODES = 3, VOCAB = 256, CHUNK = 37, BLOCK_TOKENS = 16, LONGEST = 1300, LONG = 1100 };

const char *const selfcheck_layouts[CHECK_LAYOUTS] = {"ragged",         "padded",           "packed, masked",
                                                      "packed, blocks", "chunked, sampled", "chunked, long"};

static const struct model models[] = {
    {.name = "gated, grouped heads",
     .layers = 2,
     .hidden = 128,
     .intermediate = 192,
     .heads = 4,
     .kv_heads = 2,
     .head_dim = 64,
     .vocab = VOCAB,
     .max_tokens = LONGEST,
     .gated_mlp = true,
     .tied_head = true},
    {.name = "wide heads, normalised",
     .layers = 2,
     .hidden = 128,
     .intermediate = 192,
     .heads = 2,
     .kv_heads = 2,
     .head_dim = 128,
     .vocab = VOCAB,
     .max_tokens = LONGEST,
     .gated_mlp = true,
     .qk_norm = true},
};

/* An engine with its requests, and the logits of every step. */
struct trial {
    struct instance engine;
    struct request requests[PROMPTS];
    uint32_t lengths[PROMPTS], longest;
    size_t wrong_tokens; /* that are not what the logits say */
    float logits[DECODES + 1][PROMPTS][VOCAB];
};

static int run_batch(struct trial *t, struct batch *b, int step, struct error *err)
{
    static float raw[PROMPTS * VOCAB];
    struct instance *e = &t->engine;
    if (instance_run(e, b, err) || e->backend->logits(e->state, raw, err))
        return -1;
    for (size_t i = 0; i < e->step.output_count; i++) {
        memcpy(t->logits[step][e->output_ids[i]], raw + i * VOCAB, VOCAB * sizeof *raw);
        t->wrong_tokens +=
            e->next_tokens[i] != sample_token(raw + i * VOCAB, VOCAB, e->limits.temperature, e->step.outputs[i].draw);
    }
    for (size_t i = 0; i < b->count; i++) {
        struct request *r = b->items[i].req;
        r->computed += b->items[i].new_tokens;
        r->generated += r->computed == r->prompt_tokens + r->generated;
    }
    for (uint32_t i = 0; i < b->decodes; i++) {
        b->decoders[i]->computed++;
        b->decoders[i]->generated++;
    }
    return 0;
}

static int prefill_chunks(struct trial *t, struct error *err)
{
    for (size_t i = 0; i < PROMPTS; i++)
        for (struct request *r = &t->requests[i]; r->computed < r->prompt_tokens;) {
            uint32_t left = r->prompt_tokens - r->computed;
            struct batch_item item = {.req = r, .new_tokens = left < CHUNK ? left : CHUNK};
            struct batch b = {.items = &item, .count = 1};
            if (run_batch(t, &b, 0, err))
                return -1;
        }
    return 0;
}

static int prefill(struct trial *t, enum selfcheck_layout layout, struct error *err)
{
    struct batch_item items[PROMPTS];
    struct batch b = {.items = items, .count = PROMPTS, .layout = BATCH_RAGGED, .row_tokens = t->longest};
    uint32_t bins[PROMPTS], room[PROMPTS], order[PROMPTS];
    if (layout >= CHECK_CHUNKED)
        return prefill_chunks(t, err);
    uint32_t rows = pack(PACK_FIRST_FIT, t->lengths, PROMPTS, t->longest, bins, room, order);
    for (size_t i = 0; i < PROMPTS; i++)
        items[i] = (struct batch_item){.req = &t->requests[i], .new_tokens = t->lengths[i], .row = bins[i]};
    if (layout != CHECK_RAGGED)
        b.layout = layout == CHECK_PADDED ? BATCH_PADDED : BATCH_PACKED;
    b.rows = layout == CHECK_PADDED ? PROMPTS : rows;
    b.packed_attention = layout == CHECK_PACKED_BLOCKS ? PACKED_VARLEN : PACKED_MASKED;
    return run_batch(t, &b, 0, err);
}

/* Tokens are the reference's, so that one that nearly tied does not part them. */
static int decode(struct trial *t, const struct trial *reference, enum selfcheck_layout layout, int step,
                  struct error *err)
{
    struct request *who[PROMPTS];
    uint32_t longest = 0;
    for (size_t i = 0; i < PROMPTS; i++) {
        who[i] = &t->requests[i];
        longest = who[i]->computed > longest ? who[i]->computed : longest;
        if (reference)
            instance_set_token(&t->engine, i, (uint32_t)step - 1,
                               instance_sequence(&reference->engine, i)->generated[step - 1]);
    }
    struct batch b = {.decoders = who, .decodes = PROMPTS, .layout = BATCH_RAGGED};
    if (layout == CHECK_PADDED) {
        b.layout = BATCH_PADDED;
        b.rows = PROMPTS + 2; /* two have finished */
        b.row_tokens = 1;
        b.row_kv = longest;
    }
    return run_batch(t, &b, step, err);
}

/* From 1 to 160 tokens; long and short ones, so that rows are padded and shared. One may be so long that its keys are
 * gone through in many pieces. */
static void draw_lengths(struct trial *t, uint64_t seed, bool long_one)
{
    for (size_t i = 0; i < PROMPTS; i++) {
        t->lengths[i] = 1 + (uint32_t)(random_mix(seed * PROMPTS + i + 1) % (i % 3 ? 60 : 160));
        if (long_one && i == 1)
            t->lengths[i] += LONG;
        t->longest = t->lengths[i] > t->longest ? t->lengths[i] : t->longest;
    }
}

static int run_trial(struct trial *t, const struct weights *w, const struct backend *backend,
                     const struct trial *reference, enum selfcheck_layout layout, uint64_t seed, struct error *err)
{
    const struct engine_limits limits = {
        .block_tokens = BLOCK_TOKENS,
        .blocks = 200,
        .rows = 1024,
        .outputs = 64,
        .max_tokens = LONGEST,
        .threads = 2,
        .temperature = layout == CHECK_CHUNKED ? 0.8f : 0,
    };
    memset(t, 0, sizeof *t);
    draw_lengths(t, seed, layout == CHECK_LONG);
    if (instance_create(&t->engine, w, backend, &limits, 3, err))
        return -1;
    for (size_t i = 0; i < PROMPTS; i++)
        request_init(&t->requests[i], i, 0, t->lengths[i], DECODES + 2, DECODES + 2);
    if (prefill(t, layout, err))
        return -1;
    for (int step = 1; step <= DECODES; step++)
        if (decode(t, reference, layout, step, err))
            return -1;
    return 0;
}

static double difference(const float *a, const float *b, size_t n)
{
    double most = 0, scale = 0;
    for (size_t i = 0; i < n; i++) {
        most = fmax(most, fabs((double)a[i] - (double)b[i]));
        scale = fmax(scale, fabs((double)b[i]));
    }
    return isfinite(most) && scale > 0 ? most / scale : INFINITY;
}

/* Of all full blocks of all requests. */
static int cache_difference(struct trial *t, struct trial *reference, double *most, struct error *err)
{
    size_t floats = block_floats(&t->engine.weights->model, t->engine.limits.block_tokens);
    float *a = malloc(2 * floats * sizeof *a), *b = a ? a + floats : NULL;
    *most = 0;
    if (!a)
        return error_no_memory(err);
    int status = 0;
    for (size_t i = 0; status == 0 && i < PROMPTS; i++)
        for (size_t k = 0; status == 0 && k < t->requests[i].computed / BLOCK_TOKENS; k++) {
            struct instance *e = &t->engine, *r = &reference->engine;
            status = e->backend->read_block(e->state, instance_sequence(e, i)->blocks[k], a, err) ||
                             r->backend->read_block(r->state, instance_sequence(r, i)->blocks[k], b, err)
                         ? -1
                         : 0;
            *most = fmax(*most, difference(a, b, floats));
        }
    free(a);
    return status;
}

static int check_model(const struct model *m, const struct backend *backend, uint64_t seed, double tolerance,
                       struct trial *t, struct trial *reference, FILE *out, struct error *err)
{
    struct weights w;
    int wrong = 0, status = weights_create(&w, m, false, err);
    if (status)
        return -1;
    status = weights_fill(&w, 17, err);
    weights_round(&w);
    for (int layout = 0; status == 0 && layout < CHECK_LAYOUTS; layout++) {
        double cache = 0, logits = 0;
        if (layout == CHECK_RAGGED || layout == CHECK_LONG) { /* the others have the same requests as the first */
            instance_release(&reference->engine);
            status = run_trial(reference, &w, &cpu_reference_backend, NULL, (enum selfcheck_layout)layout, seed, err);
        }
        if (status)
            break;
        status = run_trial(t, &w, backend, reference, (enum selfcheck_layout)layout, seed, err) ||
                         cache_difference(t, reference, &cache, err)
                     ? -1
                     : 0;
        for (int step = 0; step <= DECODES; step++)
            logits = fmax(logits, difference(t->logits[step][0], reference->logits[step][0], PROMPTS * VOCAB));
        bool good = logits <= tolerance && cache <= tolerance && t->wrong_tokens == 0;
        if (status == 0)
            fprintf(out, "%-24s %-16s %12.2e %12.2e  %s\n", m->name, selfcheck_layouts[layout], logits, cache,
                    good                   ? "ok"
                    : t->wrong_tokens == 0 ? "WRONG"
                                           : "WRONG, and so are tokens");
        wrong += !good;
        instance_release(&t->engine);
    }
    instance_release(&reference->engine);
    weights_release(&w);
    return status ? -1 : wrong;
}

int selfcheck(const struct backend *backend, uint64_t seed, double tolerance, FILE *out, struct error *err)
{
    struct trial *trials = calloc(2, sizeof *trials);
    int wrong = 0;
    if (!trials)
        return error_no_memory(err);
    fprintf(out, "%-24s %-16s %12s %12s  largest difference from cpu-reference, relative; at most %g\n", "model",
            "layout", "logits", "KV", tolerance);
    for (size_t i = 0; wrong >= 0 && i < sizeof models / sizeof *models; i++) {
        int more = check_model(&models[i], backend, seed, tolerance, &trials[0], &trials[1], out, err);
        wrong = more < 0 ? -1 : wrong + more;
    }
    free(trials);
    return wrong;
}

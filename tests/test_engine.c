/* SPDX-License-Identifier: MIT */
/* The engine: against the equations in 64-bit floats written again here, and against itself in other layouts. */
#include <math.h>
#include <stdlib.h>

#include "base/random.h"
#include "engine_ref/instance.h"
#include "engine_ref/peer.h"
#include "engine_ref/selfcheck.h"
#include "tests/harness.h"

enum { VOCAB = 97, BLOCK = 4, BLOCKS = 400, LONGEST = 160 };

static struct model small_model(bool gated, bool qk_norm, bool tied)
{
    struct model m = {.name = "small",
                      .layers = 3,
                      .hidden = 40,
                      .intermediate = 56,
                      .heads = 6,
                      .kv_heads = 2,
                      .head_dim = 12,
                      .vocab = VOCAB,
                      .max_tokens = LONGEST,
                      .gated_mlp = gated,
                      .tied_head = tied,
                      .qk_norm = qk_norm};
    return m;
}

/* One sequence from its first token to its last, in doubles; logits after the last token. No cache, no blocks: every
 * position is computed anew from the equations of the papers that transformer.h names. */
static void equations(const struct weights *w, const uint32_t *tokens, size_t n, double *logits)
{
    const struct model *m = &w->model;
    size_t H = m->hidden, D = m->head_dim, Q = m->heads, K = m->kv_heads, F = m->intermediate;
    double *x = calloc(n * H, sizeof *x), *h = calloc(n * H, sizeof *h), *q = calloc(n * Q * D, sizeof *q),
           *k = calloc(n * K * D, sizeof *k), *v = calloc(n * K * D, sizeof *v), *a = calloc(n * Q * D, sizeof *a),
           *f = calloc(F, sizeof *f), *p = calloc(n, sizeof *p);
    for (size_t t = 0; t < n; t++)
        for (size_t i = 0; i < H; i++)
            x[t * H + i] = w->embedding[tokens[t] * H + i];
    for (size_t l = 0; l <= m->layers; l++) {
        const struct layer_weights *L = l < m->layers ? &w->layers[l] : NULL;
        for (int half = 0; half < 2; half++) {
            const float *gain = !L ? w->final_norm : half ? L->mlp_norm : L->attention_norm;
            for (size_t t = 0; t < n; t++) {
                double squares = 0;
                for (size_t i = 0; i < H; i++)
                    squares += x[t * H + i] * x[t * H + i];
                for (size_t i = 0; i < H; i++)
                    h[t * H + i] = x[t * H + i] / sqrt(squares / (double)H + (double)NORM_EPSILON) * (double)gain[i];
            }
            if (!L)
                break;
            for (size_t t = 0; half && t < n; t++) {
                for (size_t j = 0; j < F; j++) {
                    double gate = 0, up = 0;
                    for (size_t i = 0; i < H; i++) {
                        gate += (double)L->gate_up[j * H + i] * h[t * H + i];
                        up += m->gated_mlp ? (double)L->gate_up[(F + j) * H + i] * h[t * H + i] : 0;
                    }
                    f[j] = m->gated_mlp ? gate / (1 + exp(-gate)) * up : fmax(gate, 0);
                }
                for (size_t i = 0; i < H; i++)
                    for (size_t j = 0; j < F; j++)
                        x[t * H + i] += (double)L->down[i * F + j] * f[j];
            }
            if (half)
                continue;
            for (size_t t = 0; t < n; t++)
                for (size_t head = 0; head < Q + 2 * K; head++) {
                    double *to = head < Q       ? &q[(t * Q + head) * D]
                                 : head < Q + K ? &k[(t * K + head - Q) * D]
                                                : &v[(t * K + head - Q - K) * D];
                    double squares = 0, raw[64];
                    for (size_t d = 0; d < D; d++) {
                        raw[d] = 0;
                        for (size_t i = 0; i < H; i++)
                            raw[d] += (double)L->qkv[(head * D + d) * H + i] * h[t * H + i];
                        squares += raw[d] * raw[d];
                    }
                    const float *gains = head < Q ? L->query_norm : head < Q + K ? L->key_norm : NULL;
                    for (size_t d = 0; gains && d < D; d++)
                        raw[d] *= (double)gains[d] / sqrt(squares / (double)D + (double)NORM_EPSILON);
                    for (size_t d = 0; d < D; d++) {
                        size_t pair = d < D / 2 ? d + D / 2 : d - D / 2;
                        double angle = (double)t * pow((double)ROTARY_BASE, -2.0 * (double)(d % (D / 2)) / (double)D);
                        to[d] = head >= Q + K ? raw[d]
                                              : raw[d] * cos(angle) + (d < D / 2 ? -raw[pair] : raw[pair]) * sin(angle);
                    }
                }
            for (size_t t = 0; t < n; t++)
                for (size_t head = 0; head < Q; head++) {
                    double sum = 0;
                    for (size_t j = 0; j <= t; j++) {
                        p[j] = 0;
                        for (size_t d = 0; d < D; d++)
                            p[j] += q[(t * Q + head) * D + d] * k[(j * K + head / (Q / K)) * D + d];
                        sum += p[j] = exp(p[j] / sqrt((double)D));
                    }
                    for (size_t d = 0; d < D; d++) {
                        a[(t * Q + head) * D + d] = 0;
                        for (size_t j = 0; j <= t; j++)
                            a[(t * Q + head) * D + d] += p[j] / sum * v[(j * K + head / (Q / K)) * D + d];
                    }
                }
            for (size_t t = 0; t < n; t++)
                for (size_t i = 0; i < H; i++)
                    for (size_t j = 0; j < Q * D; j++)
                        x[t * H + i] += (double)L->o[i * Q * D + j] * a[t * Q * D + j];
        }
    }
    for (size_t o = 0; o < m->vocab; o++) {
        logits[o] = 0;
        for (size_t i = 0; i < H; i++)
            logits[o] += (double)w->head[o * H + i] * h[(n - 1) * H + i];
    }
    double *all[] = {x, h, q, k, v, a, f, p};
    for (size_t i = 0; i < 8; i++)
        free(all[i]);
}

static const struct engine_limits limits = {
    .block_tokens = BLOCK, .blocks = BLOCKS, .rows = 600, .outputs = 16, .max_tokens = LONGEST, .threads = 2};

static void open_instance(struct instance *e, const struct weights *w, const char *backend)
{
    struct error err = {0};
    const struct backend *b = backend_find(backend, &err);
    expect_ok(b ? 0 : -1, &err);
    expect_ok(instance_create(e, w, b, &limits, 7, &err), &err);
}

static void run_batch(struct instance *e, struct batch *b, float *logits)
{
    struct error err = {0};
    expect_ok(instance_run(e, b, &err), &err);
    expect_ok(e->backend->logits(e->state, logits, &err), &err);
    for (size_t i = 0; i < b->count; i++) {
        struct request *r = b->items[i].req;
        r->computed += b->items[i].new_tokens;
        if (r->computed == r->prompt_tokens + r->generated)
            r->generated++;
    }
    for (uint32_t i = 0; i < b->decodes; i++) {
        b->decoders[i]->computed++;
        b->decoders[i]->generated++;
    }
}

static double worst(const float *a, const float *b, size_t n)
{
    double most = 0, scale = 0;
    for (size_t i = 0; i < n; i++) {
        most = fmax(most, fabs((double)a[i] - (double)b[i]));
        scale = fmax(scale, fabs((double)b[i]));
    }
    return most / scale;
}

/* Two prompts and three decodes of each, by either backend, against the equations; all kinds of models. */
static void test_engines_compute_what_the_equations_say(void **state)
{
    (void)state;
    static const char *const names[] = {"cpu-reference", "cpu"};
    for (int kind = 0; kind < 8; kind++)
        for (size_t n = 0; n < 2; n++) {
            struct model m = small_model(kind & 1, kind & 2, kind & 4);
            struct weights w;
            struct instance e;
            struct error err = {0};
            expect_ok(weights_create(&w, &m, false, &err), &err);
            expect_ok(weights_fill(&w, 3, &err), &err);
            for (uint32_t i = 0; m.qk_norm && i < m.head_dim; i++) /* gains that do something */
                w.layers[1].query_norm[i] = 1 + 0.05f * (float)i;
            open_instance(&e, &w, names[n]);
            struct request r[2];
            request_init(&r[0], 5, 0, 21, 4, 4);
            request_init(&r[1], 9, 0, 7, 4, 4);
            struct request *both[] = {&r[0], &r[1]};
            struct batch_item items[2] = {{.req = &r[0], .new_tokens = 21}, {.req = &r[1], .new_tokens = 7}};
            static float got[2 * VOCAB], wanted[2 * VOCAB];
            struct batch prompts = {.items = items, .count = 2}, decodes = {.decoders = both, .decodes = 2};
            for (int step = 0; step < 4; step++) {
                run_batch(&e, step == 0 ? &prompts : &decodes, got);
                for (int i = 0; i < 2; i++) {
                    uint32_t tokens[LONGEST];
                    double exact[VOCAB];
                    for (uint32_t t = 0; t < r[i].computed; t++)
                        tokens[t] = instance_token(&e, &r[i], t);
                    equations(&w, tokens, r[i].computed, exact);
                    for (size_t o = 0; o < VOCAB; o++)
                        wanted[i * VOCAB + (int)o] = (float)exact[o];
                    /* Greedy: the token that was taken is the one of the largest logit. */
                    uint32_t last = instance_sequence(&e, r[i].id)->generated[r[i].generated - 1];
                    for (size_t o = 0; o < VOCAB; o++)
                        assert_true(got[i * VOCAB + (int)last] >= got[i * VOCAB + (int)o]);
                }
                if (!(worst(got, wanted, 2 * VOCAB) < 2e-5))
                    fail_msg("%s, kind %d, step %d: %g", names[n], kind, step, worst(got, wanted, 2 * VOCAB));
            }
            instance_release(&e);
            weights_release(&w);
        }
}

/* How many rows of selfcheck's table say that both differences are at most so large. */
static int rows_within(FILE *table, double most)
{
    char line[200];
    int rows = 0;
    rewind(table);
    while (fgets(line, sizeof line, table)) {
        double logits, cache;
        /* NOLINTNEXTLINE(cert-err34-c): a head, which has no numbers there, is no row */
        if (strlen(line) > 41 && sscanf(line + 41, "%lf %lf", &logits, &cache) == 2)
            rows += logits <= most && cache <= most && !strstr(line, "tokens");
    }
    return rows;
}

/* Padded = packed = ragged = chunked: the same logits and the same keys and values, within rounding, for random
 * prompts. That a wrong one is found is seen with a tolerance that rounding alone exceeds. */
static void test_layouts_are_equal(void **state)
{
    (void)state;
    struct error err = {0};
    FILE *table = tmpfile();
    assert_non_null(table);
    assert_int_equal(selfcheck(&cpu_reference_backend, 2, 1e-4, table, &err), 0);
    rewind(table);
    assert_int_equal(selfcheck(&cpu_backend, 1, 1e-9, table, &err), 2 * CHECK_LAYOUTS);
    assert_int_equal(rows_within(table, 1e-4), 2 * CHECK_LAYOUTS);
    fclose(table);
}

static void prefill(struct instance *e, struct request *r, float *logits)
{
    struct batch_item item = {.req = r, .new_tokens = r->prompt_tokens};
    struct batch b = {.items = &item, .count = 1};
    run_batch(e, &b, logits);
}

static void decode(struct instance *e, struct request *r, float *logits)
{
    struct batch b = {.decoders = &r, .decodes = 1};
    run_batch(e, &b, logits);
}

/* Prefilled by one engine, decoded by another that its keys and values were moved to. */
static void test_a_sequence_moves_with_its_cache(void **state)
{
    (void)state;
    struct model m = small_model(true, false, false);
    struct weights w;
    struct instance one, here, there;
    struct error err = {0};
    struct request r, moved;
    expect_ok(weights_create(&w, &m, false, &err), &err);
    expect_ok(weights_fill(&w, 8, &err), &err);
    open_instance(&one, &w, "cpu");
    open_instance(&here, &w, "cpu");
    open_instance(&there, &w, "cpu-reference");
    request_init(&r, 77, 0, 30, 4, 4);
    moved = r;
    float kept[VOCAB], got[VOCAB];
    prefill(&one, &r, kept);
    decode(&one, &r, kept);
    prefill(&here, &moved, got);
    expect_ok(instance_move(&here, &there, 77, &err), &err);
    decode(&there, &moved, got);
    assert_true(worst(got, kept, VOCAB) < 1e-4);
    assert_int_equal(here.free_count, BLOCKS);
    assert_null(instance_sequence(&here, 77));
    instance_release(&one);
    instance_release(&here);
    instance_release(&there);
    weights_release(&w);
}

/* The same, but the other engine is a process of its own: nine blocks go through four slots, or through a socket. It
 * says the same tokens as one engine by itself, and is empty in the end. */
static void test_a_sequence_moves_to_another_process(void **state)
{
    (void)state;
    static const enum peer_link links[] = {PEER_SHARED, PEER_SOCKET};
    struct model m = small_model(true, false, false);
    struct weights w;
    struct error err = {0};
    expect_ok(weights_create(&w, &m, false, &err), &err);
    expect_ok(weights_fill(&w, 8, &err), &err);
    for (size_t k = 0; k < sizeof links / sizeof *links; k++) {
        const struct engine_limits room = {
            .block_tokens = 4, .blocks = BLOCKS, .rows = 2000, .outputs = 64, .max_tokens = 2000, .threads = 1};
        struct instance one, here;
        struct peer *there = NULL;
        struct request r, moved;
        float logits[VOCAB];
        expect_ok(peer_start(&there, &w, &cpu_backend, &room, 1, links[k], &err), &err);
        expect_ok(instance_create(&one, &w, &cpu_backend, &room, 1, &err), &err);
        expect_ok(instance_create(&here, &w, &cpu_backend, &room, 1, &err), &err);
        struct engine_port port = peer_port(there);
        request_init(&r, 77, 0, 33, 6, 6);
        moved = r;
        prefill(&one, &r, logits);
        prefill(&here, &moved, logits);
        expect_ok(port.receive(port.self, &here, 77, &err), &err);
        assert_null(instance_sequence(&here, 77));
        assert_int_equal(here.free_count, BLOCKS);
        struct step_time took = {0};
        for (int i = 0; i < 5; i++) {
            struct request *decoder = &moved;
            struct batch b = {.decoders = &decoder, .decodes = 1};
            decode(&one, &r, logits);
            expect_ok(port.run(port.self, &b, &took, &err), &err);
            assert_true(took.wall_ns > 0);
            moved.computed++, moved.generated++;
        }
        uint32_t tokens[8];
        size_t count = 0, sequences = 0, free_blocks = 0;
        expect_ok(peer_look(there, 77, tokens, 8, &count, &sequences, &free_blocks, &err), &err);
        assert_int_equal(count, 6);
        assert_memory_equal(tokens, instance_sequence(&one, 77)->generated, sizeof tokens[0] * 6);
        assert_int_equal(free_blocks, BLOCKS - 10); /* 33 + 5 tokens have KV */
        expect_ok(port.forget(port.self, 77, &err), &err);
        expect_ok(peer_look(there, 77, tokens, 8, &count, &sequences, &free_blocks, &err), &err);
        assert_true(count == 0 && sequences == 0 && free_blocks == BLOCKS);

        /* It refuses what it has no room for, and then everything; a process that is gone is noticed. */
        struct request long_one;
        request_init(&long_one, 5, 0, 4 * BLOCKS + 1, 1, 1);
        struct batch_item item = {.req = &long_one, .new_tokens = 4 * BLOCKS + 1};
        struct batch b = {.items = &item, .count = 1};
        assert_int_equal(port.run(port.self, &b, &took, &err), -1);
        assert_non_null(strstr(err.text, "no free block for request 5"));
        assert_int_equal(port.forget(port.self, 5, &err), -1);
        peer_stop(there);

        /* What cannot be a batch of its own ends it, with a sentence: tokens that nobody has generated. */
        expect_ok(peer_start(&there, &w, &cpu_backend, &room, 1, links[k], &err), &err);
        port = peer_port(there);
        item.new_tokens = 9;
        request_init(&long_one, 5, 0, 8, 1, 1);
        assert_int_equal(port.run(port.self, &b, &took, &err), -1);
        assert_non_null(strstr(err.text, "was told to run a batch that it has no room for, or whose tokens"));
        peer_stop(there);
        instance_release(&one);
        instance_release(&here);
    }
    weights_release(&w);
}

/* With a temperature tokens come as often as their probability says; T → 0 is greedy. */
static void test_sampling(void **state)
{
    (void)state;
    const float logits[3] = {0, logf(2), logf(5)};
    int got[3] = {0};
    for (uint64_t i = 0; i < 80000; i++)
        got[sample_token(logits, 3, 1, random_mix(i))]++;
    for (int i = 0; i < 3; i++) /* expected 10 000, 20 000, 50 000: five standard deviations */
        assert_true(abs(got[i] - (i == 0 ? 10000 : i == 1 ? 20000 : 50000)) < 710);
    assert_int_equal(sample_token(logits, 3, 0, 1), 2);
}

/* Sequences come and go; ids that share a chain are found after others have left. */
static void test_sequences_are_found_again(void **state)
{
    (void)state;
    struct model m = small_model(true, false, true);
    struct weights w;
    struct instance e;
    struct error err = {0};
    float logits[VOCAB];
    expect_ok(weights_create(&w, &m, false, &err), &err);
    expect_ok(weights_fill(&w, 1, &err), &err);
    open_instance(&e, &w, "cpu");
    for (uint64_t id = 0; id < 300; id++) {
        struct request r;
        request_init(&r, id, 0, 2, 2, 2);
        prefill(&e, &r, logits);
        if (id >= 40)
            instance_forget(&e, id * 7919 % (id - 20)); /* perhaps one that is gone already */
        assert_non_null(instance_sequence(&e, id));
    }
    size_t held = 0;
    for (uint64_t id = 0; id < 300; id++)
        held += instance_sequence(&e, id) != NULL;
    assert_int_equal(held, e.sequence_count);
    assert_int_equal(e.free_count + held, BLOCKS);
    instance_release(&e);
    weights_release(&w);
}

static void test_what_the_engine_has_not(void **state)
{
    (void)state;
    struct model m;
    struct weights w;
    struct error err = {0};
    expect_ok(model_load("qwen3-30b-a3b", &m, &err), &err);
    assert_int_equal(weights_create(&w, &m, false, &err), -1);
    assert_non_null(strstr(err.text, "the engine runs dense models with full attention"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_engines_compute_what_the_equations_say),
        cmocka_unit_test(test_layouts_are_equal),
        cmocka_unit_test(test_a_sequence_moves_with_its_cache),
        cmocka_unit_test(test_a_sequence_moves_to_another_process),
        cmocka_unit_test(test_sampling),
        cmocka_unit_test(test_sequences_are_found_again),
        cmocka_unit_test(test_what_the_engine_has_not),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

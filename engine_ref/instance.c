/* SPDX-License-Identifier: MIT */
#include "engine_ref/instance.h"

#include <stdlib.h>

#include "base/array.h"
#include "base/random.h"

int instance_create(struct instance *e, const struct weights *weights, const struct backend *backend,
                    const struct engine_limits *limits, uint64_t seed, struct error *err)
{
    *e = (struct instance){.weights = weights, .backend = backend, .limits = *limits, .seed = seed};
    e->free_blocks = calloc(limits->blocks, sizeof *e->free_blocks);
    e->sequence_capacity = 64;
    e->sequences = calloc(e->sequence_capacity, sizeof *e->sequences);
    e->output_ids = calloc(limits->outputs, sizeof *e->output_ids);
    e->next_tokens = calloc(limits->outputs, sizeof *e->next_tokens);
    if (!e->free_blocks || !e->sequences || !e->output_ids || !e->next_tokens) {
        instance_release(e);
        return error_no_memory(err);
    }
    for (size_t i = 0; i < limits->blocks; i++)
        e->free_blocks[e->free_count++] = (uint32_t)(limits->blocks - 1 - i);
    if (backend->create(&e->state, weights, limits, &e->profiler, err)) {
        instance_release(e);
        return -1;
    }
    return 0;
}

void instance_release(struct instance *e)
{
    if (e->state)
        e->backend->destroy(e->state);
    for (size_t i = 0; e->sequences && i < e->sequence_capacity; i++) {
        free(e->sequences[i].blocks);
        free(e->sequences[i].generated);
    }
    free(e->sequences);
    free(e->free_blocks);
    free(e->output_ids);
    free(e->next_tokens);
    free(e->block);
    step_release(&e->step);
    *e = (struct instance){0};
}

static struct sequence *place_of(const struct instance *e, uint64_t id)
{
    size_t mask = e->sequence_capacity - 1, i = (size_t)random_mix(id) & mask;
    while (e->sequences[i].used && e->sequences[i].id != id)
        i = (i + 1) & mask;
    return &e->sequences[i];
}

const struct sequence *instance_sequence(const struct instance *e, uint64_t id)
{
    const struct sequence *s = place_of(e, id);
    return s->used ? s : NULL;
}

void instance_set_token(struct instance *e, uint64_t id, uint32_t index, uint32_t token)
{
    struct sequence *s = place_of(e, id);
    if (s->used && index < s->generated_count)
        s->generated[index] = token;
}

static int grow_sequences(struct instance *e, struct error *err)
{
    struct sequence *old = e->sequences;
    size_t capacity = e->sequence_capacity;
    struct sequence *grown = calloc(2 * capacity, sizeof *grown);
    if (!grown)
        return error_no_memory(err);
    e->sequences = grown;
    e->sequence_capacity = 2 * capacity;
    for (size_t i = 0; i < capacity; i++)
        if (old[i].used)
            *place_of(e, old[i].id) = old[i];
    free(old);
    return 0;
}

static struct sequence *know(struct instance *e, uint64_t id, struct error *err)
{
    struct sequence *s = place_of(e, id);
    if (s->used)
        return s;
    if (2 * (e->sequence_count + 1) > e->sequence_capacity) {
        if (grow_sequences(e, err))
            return NULL;
        s = place_of(e, id);
    }
    *s = (struct sequence){.id = id, .used = true};
    e->sequence_count++;
    return s;
}

void instance_drop_blocks(struct instance *e, uint64_t id)
{
    struct sequence *s = place_of(e, id);
    while (s->block_count > 0)
        e->free_blocks[e->free_count++] = s->blocks[--s->block_count];
}

/* Those that stand behind it in its chain move up. */
void instance_forget(struct instance *e, uint64_t id)
{
    struct sequence *s = place_of(e, id);
    if (!s->used)
        return;
    instance_drop_blocks(e, id);
    free(s->blocks);
    free(s->generated);
    *s = (struct sequence){0};
    e->sequence_count--;
    size_t mask = e->sequence_capacity - 1;
    for (size_t i = ((size_t)(s - e->sequences) + 1) & mask; e->sequences[i].used; i = (i + 1) & mask) {
        struct sequence moved = e->sequences[i];
        e->sequences[i] = (struct sequence){0};
        *place_of(e, moved.id) = moved;
    }
}

static int cover(struct instance *e, struct sequence *s, uint32_t tokens, struct error *err)
{
    size_t needed = ((size_t)tokens + e->limits.block_tokens - 1) / e->limits.block_tokens;
    uint32_t *grown = array_grow(s->blocks, &s->block_capacity, needed, sizeof *grown);
    if (!grown)
        return error_no_memory(err);
    s->blocks = grown;
    while (s->block_count < needed) {
        if (e->free_count == 0)
            return error_set(err, ERROR_RUN, "the engine has no free block for request %llu",
                             (unsigned long long)s->id);
        s->blocks[s->block_count++] = e->free_blocks[--e->free_count];
    }
    return 0;
}

uint32_t instance_token(const struct instance *e, const struct request *r, uint32_t position)
{
    if (position < r->prompt_tokens)
        return (uint32_t)(random_mix(random_mix(e->seed ^ r->id) + position) % e->weights->model.vocab);
    return instance_sequence(e, r->id)->generated[position - r->prompt_tokens];
}

static uint32_t slot_of(const struct instance *e, const struct sequence *s, uint32_t position)
{
    uint32_t bt = e->limits.block_tokens;
    return s->blocks[position / bt] * bt + position % bt;
}

/* Rows of a request's next `count` tokens, each put where its key and value belong. */
static int add_tokens(struct instance *e, const struct request *r, const struct sequence *s, uint32_t from,
                      uint32_t count, uint32_t prompt)
{
    for (uint32_t p = from; p < from + count; p++)
        if (step_add_row(&e->step, (struct step_row){.token = instance_token(e, r, p),
                                                     .position = p,
                                                     .slot = slot_of(e, s, p),
                                                     .prompt = prompt}))
            return -1;
    return 0;
}

static int add_padding(struct instance *e, size_t rows)
{
    for (size_t i = 0; i < rows; i++)
        if (step_add_row(&e->step, (struct step_row){.slot = NO_SLOT}))
            return -1;
    return 0;
}

/* The row that ends a request's tokens yields its next one, unless there are more to compute. */
static int add_output(struct instance *e, const struct request *r, uint32_t after)
{
    if (after < r->prompt_tokens + r->generated)
        return 0;
    e->output_ids[e->step.output_count] = r->id;
    return step_add_output(&e->step, (struct step_output){.row = (uint32_t)e->step.row_count - 1,
                                                          .draw = random_mix(e->seed + r->id) ^ random_mix(after)});
}

static int add_item(struct instance *e, struct request *r, uint32_t count, bool decode, uint32_t kv_read,
                    struct error *err)
{
    struct sequence *s = know(e, r->id, err);
    uint32_t first = (uint32_t)e->step.row_count, before = r->computed;
    if (!s || cover(e, s, before + count, err))
        return -1;
    kv_read = kv_read > before + count ? kv_read : before + count;
    struct paged_span span = {first, count, before, kv_read, s->blocks, decode};
    return add_tokens(e, r, s, before, count, 0) || add_output(e, r, before + count) || step_add_span(&e->step, span)
               ? error_no_memory(err)
               : 0;
}

/* Block tables must stay where they are while the step is made: all sequences are there, and large enough, first. */
static int prepare_sequences(struct instance *e, const struct batch *b, struct error *err)
{
    for (uint32_t i = 0; i < b->decodes; i++) {
        struct sequence *s = know(e, b->decoders[i]->id, err);
        if (!s || cover(e, s, b->decoders[i]->computed + 1, err))
            return -1;
    }
    for (size_t i = 0; i < b->count; i++) {
        struct sequence *s = know(e, b->items[i].req->id, err);
        if (!s || cover(e, s, b->items[i].req->computed + b->items[i].new_tokens, err))
            return -1;
    }
    return 0;
}

static int add_decodes(struct instance *e, const struct batch *b, uint32_t kv_read, struct error *err)
{
    for (uint32_t i = 0; i < b->decodes; i++)
        if (add_item(e, b->decoders[i], 1, true, kv_read, err))
            return -1;
    for (size_t i = 0; i < b->count; i++)
        if (b->items[i].decode && add_item(e, b->items[i].req, 1, true, kv_read, err))
            return -1;
    return 0;
}

static int add_ragged(struct instance *e, const struct batch *b, struct error *err)
{
    if (add_decodes(e, b, 0, err))
        return -1;
    for (size_t i = 0; i < b->count; i++)
        if (!b->items[i].decode && add_item(e, b->items[i].req, b->items[i].new_tokens, false, 0, err))
            return -1;
    return 0;
}

/* Rows of those who have finished go on as copies of the first one, whose results nobody looks at. */
static int add_padded_decodes(struct instance *e, const struct batch *b, struct error *err)
{
    if (add_decodes(e, b, b->row_kv + 1, err))
        return -1;
    struct paged_span copied = e->step.spans[0];
    while (e->step.row_count < b->rows) {
        copied.first = (uint32_t)e->step.row_count;
        struct step_row row = e->step.rows[0];
        row.slot = NO_SLOT;
        if (step_add_row(&e->step, row) || step_add_span(&e->step, copied))
            return error_no_memory(err);
    }
    return 0;
}

/* Prompts of one row, then padding to its end. */
static int add_square(struct instance *e, const struct batch *b, uint32_t row, struct error *err)
{
    uint32_t first = (uint32_t)e->step.row_count;
    for (size_t i = 0; i < b->count; i++) {
        struct request *r = b->items[i].req;
        if ((b->layout == BATCH_PACKED ? b->items[i].row : i) != row)
            continue;
        if (add_tokens(e, r, instance_sequence(e, r->id), 0, b->items[i].new_tokens, (uint32_t)i + 1) ||
            add_output(e, r, b->items[i].new_tokens))
            return error_no_memory(err);
    }
    return add_padding(e, first + b->row_tokens - e->step.row_count) ||
                   step_add_square(&e->step, (struct square_span){first, b->row_tokens})
               ? error_no_memory(err)
               : 0;
}

/* As squares, but each prompt attends by itself; padding attends to nothing. */
static int add_blocks(struct instance *e, const struct batch *b, struct error *err)
{
    size_t rows = (size_t)b->rows * b->row_tokens;
    for (size_t i = 0; i < b->count; i++)
        if (add_item(e, b->items[i].req, b->items[i].new_tokens, false, 0, err))
            return -1;
    return add_padding(e, rows - e->step.row_count) ? error_no_memory(err) : 0;
}

static int make_step(struct instance *e, const struct batch *b, struct error *err)
{
    step_clear(&e->step);
    if (prepare_sequences(e, b, err))
        return -1;
    if (b->layout == BATCH_RAGGED)
        return add_ragged(e, b, err);
    if (b->count == 0)
        return add_padded_decodes(e, b, err);
    if (b->layout == BATCH_PACKED && b->packed_attention == PACKED_VARLEN)
        return add_blocks(e, b, err);
    for (uint32_t row = 0; row < b->rows; row++)
        if (add_square(e, b, row, err))
            return -1;
    return 0;
}

static int keep_tokens(struct instance *e, struct error *err)
{
    for (size_t i = 0; i < e->step.output_count; i++) {
        struct sequence *s = place_of(e, e->output_ids[i]);
        uint32_t *grown = array_grow(s->generated, &s->generated_capacity, s->generated_count + 1, sizeof *grown);
        if (!grown)
            return error_no_memory(err);
        s->generated = grown;
        s->generated[s->generated_count++] = e->next_tokens[i];
    }
    return 0;
}

int instance_run(struct instance *e, const struct batch *batch, struct error *err)
{
    int64_t start = clock_ns(), cpu_start = clock_cpu_ns();
    if (batch_sequences(batch) > e->limits.outputs)
        return error_set(err, ERROR_RUN, "a batch of %llu sequences, the engine has room for %zu",
                         (unsigned long long)batch_sequences(batch), e->limits.outputs);
    if (make_step(e, batch, err) || e->backend->run(e->state, &e->step, e->next_tokens, err) || keep_tokens(e, err))
        return -1;
    e->took = (struct step_time){clock_ns() - start, clock_cpu_ns() - cpu_start};
    return 0;
}

size_t block_floats(const struct model *m, uint32_t block_tokens)
{
    return 2 * (size_t)m->layers * kv_width(m) * block_tokens;
}

int instance_adopt(struct instance *e, uint64_t id, const uint32_t *generated, size_t generated_count,
                   size_t block_count, uint32_t *blocks, struct error *err)
{
    struct sequence *s = know(e, id, err);
    if (!s || cover(e, s, (uint32_t)block_count * e->limits.block_tokens, err))
        return -1;
    uint32_t *grown = array_grow(s->generated, &s->generated_capacity, generated_count, sizeof *grown);
    if (!grown && generated_count > 0)
        return error_no_memory(err);
    s->generated = grown;
    s->generated_count = generated_count;
    for (size_t i = 0; i < generated_count; i++)
        grown[i] = generated[i];
    for (size_t i = 0; i < block_count; i++)
        blocks[i] = s->blocks[i];
    return 0;
}

static int copy_blocks(struct instance *from, struct instance *to, const uint32_t *source, const uint32_t *target,
                       size_t count, struct error *err)
{
    if (!from->block)
        from->block = malloc(block_floats(&from->weights->model, from->limits.block_tokens) * sizeof *from->block);
    if (!from->block)
        return error_no_memory(err);
    for (size_t i = 0; i < count; i++)
        if (from->backend->read_block(from->state, source[i], from->block, err) ||
            to->backend->write_block(to->state, target[i], from->block, err))
            return -1;
    return 0;
}

int instance_move(struct instance *from, struct instance *to, uint64_t id, struct error *err)
{
    const struct sequence *s = instance_sequence(from, id);
    if (!s)
        return error_set(err, ERROR_RUN, "request %llu is not known to the engine", (unsigned long long)id);
    uint32_t *blocks = malloc((s->block_count + 1) * sizeof *blocks);
    if (!blocks)
        return error_no_memory(err);
    int status = instance_adopt(to, id, s->generated, s->generated_count, s->block_count, blocks, err) ||
                         copy_blocks(from, to, s->blocks, blocks, s->block_count, err)
                     ? -1
                     : 0;
    free(blocks);
    if (status == 0)
        instance_forget(from, id);
    return status;
}

static int run_here(void *self, const struct batch *batch, struct step_time *took, struct error *err)
{
    struct instance *e = self;
    int status = instance_run(e, batch, err);
    *took = e->took;
    return status;
}

static int drop_here(void *self, uint64_t id, struct error *err)
{
    (void)err;
    instance_drop_blocks(self, id);
    return 0;
}

static int forget_here(void *self, uint64_t id, struct error *err)
{
    (void)err;
    instance_forget(self, id);
    return 0;
}

static int receive_here(void *self, struct instance *from, uint64_t id, struct error *err)
{
    return instance_move(from, self, id, err);
}

struct engine_port instance_port(struct instance *e)
{
    return (struct engine_port){
        .run = run_here, .drop_blocks = drop_here, .forget = forget_here, .receive = receive_here, .self = e};
}

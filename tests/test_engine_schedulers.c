/* SPDX-License-Identifier: MIT */
/* The schedulers of SGLang and TensorRT-LLM: batches worked out by hand, and the engines' own rules written down a
 * second time, as their sources have them, from their data structures on. Random requests get the same batches from
 * both, iteration by iteration. An iteration takes a microsecond, so that only scheduling matters. */
#include <gsl/gsl_rng.h>
#include <math.h>

#include "base/random.h"
#include "tests/harness.h"

enum { REQUESTS = 40, SCENARIOS = 400 };

/* A request as an engine's scheduler sees it. */
struct served {
    sim_time arrival;
    unsigned prompt, ends_after, most_new;
    unsigned outputs; /* tokens it has generated */
    unsigned stored;  /* tokens whose KV is in the pool */
    unsigned pages;   /* that it has */
    bool finished;
};

struct row {
    unsigned id, tokens;
};

/* What an engine would run next. */
struct rows {
    struct row row[REQUESTS];
    unsigned count;
};

struct list {
    unsigned id[REQUESTS];
    unsigned count;
};

static void append(struct list *l, unsigned id)
{
    l->id[l->count++] = id;
}

static void take_out_at(struct list *l, unsigned at)
{
    for (l->count--; at < l->count; at++)
        l->id[at] = l->id[at + 1];
}

enum { NOBODY = REQUESTS };

/* SGLang, one scheduler process without overlap: scheduler.py (get_next_batch_to_run, get_new_batch_prefill,
 * update_running_batch), schedule_policy.py (PrefillAdder), schedule_batch.py (check_decode_mem, retract_decode). */
struct sgl {
    struct served *all;
    unsigned page, pages, chunked_prefill_size, max_prefill_tokens, max_running;
    unsigned recv_interval, recv_count; /* of the loop's passes, a pass after prompts counts 1000 */
    bool received[REQUESTS];            /* others of the waiting are in the socket still */
    bool mixed, idle;
    double first_ratio, least_ratio, decay, ratio;
    struct list waiting, running, last;
    bool last_extends, batch_is_full;
    unsigned chunked_req;      /* or NOBODY */
    unsigned last_chunked_req; /* of the last batch */
};

static unsigned sgl_free_pages(const struct sgl *s)
{
    unsigned used = 0;
    for (unsigned i = 0; i < REQUESTS; i++)
        used += s->all[i].pages;
    return s->pages - used;
}

static unsigned ceil_to(unsigned tokens, unsigned page)
{
    return (tokens + page - 1) / page * page;
}

static unsigned clipped(unsigned tokens)
{
    return tokens < 4096 ? tokens : 4096;
}

/* Drops the finished, and one more; says whether anybody went. */
static bool sgl_filter(const struct sgl *s, struct list *batch, unsigned excluded, unsigned excluded_too)
{
    unsigned before = batch->count, kept = 0;
    for (unsigned i = 0; i < before; i++)
        if (!s->all[batch->id[i]].finished && batch->id[i] != excluded && batch->id[i] != excluded_too)
            batch->id[kept++] = batch->id[i];
    batch->count = kept;
    return kept < before;
}

/* The state of one pass over the queue. */
struct adder {
    double total_offset;
    long input, chunk;
    struct rows *can_run;
};

static double rem_total(const struct sgl *s, const struct adder *a)
{
    return (double)(sgl_free_pages(s) * s->page) - a->total_offset;
}

/* Pages are taken at once here, where the source counts tokens first and takes them when all are chosen. */
static void sgl_take(struct sgl *s, struct adder *a, unsigned id, unsigned tokens, unsigned new_tokens)
{
    struct served *r = &s->all[id];
    unsigned whole = ceil_to(tokens, s->page);
    r->pages = ceil_to(r->stored + tokens, s->page) / s->page;
    a->total_offset += new_tokens;
    a->input -= whole;
    a->chunk -= s->chunked_prefill_size ? whole : 0;
    a->can_run->row[a->can_run->count++] = (struct row){id, tokens};
}

static unsigned sgl_uncomputed(const struct served *r)
{
    return r->prompt + r->outputs - r->stored;
}

/* False when nobody else is to be added. */
static bool sgl_add_one(struct sgl *s, struct adder *a, unsigned id, unsigned *new_chunked)
{
    const struct served *r = &s->all[id];
    unsigned extend = sgl_uncomputed(r);
    long input = ceil_to(extend, s->page);
    if ((double)(extend + clipped(r->most_new - r->outputs)) >= rem_total(s, a)) {
        s->batch_is_full = true;
        return false;
    }
    if (input >= a->input && a->can_run->count > 0)
        return false;
    if (!s->chunked_prefill_size || input <= a->chunk) {
        sgl_take(s, a, id, extend, clipped(r->most_new));
    } else {
        long cut = a->chunk / s->page * s->page;
        if (cut <= 0)
            return false;
        *new_chunked = id;
        sgl_take(s, a, id, (unsigned)cut, 0);
    }
    if (rem_total(s, a) <= 0 || sgl_free_pages(s) == 0) {
        s->batch_is_full = true;
        return false;
    }
    return a->input > 0 && (!s->chunked_prefill_size || a->chunk > 0);
}

static unsigned sgl_decode_pages(const struct sgl *s, const struct list *batch)
{
    unsigned pages = 0;
    for (unsigned i = 0; i < batch->count; i++)
        pages += !s->all[batch->id[i]].finished && s->all[batch->id[i]].stored % s->page == 0;
    return pages;
}

static void sgl_take_decodes(struct sgl *s, struct rows *out)
{
    for (unsigned i = 0; i < s->running.count; i++) {
        struct served *r = &s->all[s->running.id[i]];
        r->pages = r->stored / s->page + 1;
        out->row[out->count++] = (struct row){s->running.id[i], 1};
    }
}

static unsigned sgl_received(const struct sgl *s)
{
    unsigned count = 0;
    for (unsigned i = 0; i < s->waiting.count; i++)
        count += s->received[s->waiting.id[i]];
    return count;
}

static bool sgl_new_prefill(struct sgl *s, struct rows *out)
{
    if ((s->batch_is_full || sgl_received(s) == 0) && s->chunked_req == NOBODY)
        return false;
    if (s->running.count >= s->max_running && s->chunked_req == NOBODY) {
        s->batch_is_full = true;
        return false;
    }
    /* The source would stop for lack of memory here. */
    if (s->mixed && sgl_decode_pages(s, &s->running) > sgl_free_pages(s))
        return false;
    unsigned mixed = s->mixed ? s->running.count : 0, new_chunked = NOBODY;
    struct adder a = {.total_offset = mixed,
                      .input = (long)s->max_prefill_tokens - mixed,
                      .chunk = (long)s->chunked_prefill_size - mixed,
                      .can_run = out};
    for (unsigned i = 0; i < s->running.count; i++) {
        const struct served *r = &s->all[s->running.id[i]];
        a.total_offset += clipped(r->most_new - r->outputs) * s->ratio * !r->finished;
    }
    if (s->chunked_req != NOBODY) {
        unsigned left = sgl_uncomputed(&s->all[s->chunked_req]);
        double room = rem_total(s, &a);
        long most = a.chunk < (long)room ? a.chunk : (long)room;
        most = most <= 0 ? a.chunk : most;
        bool cut = (long)left > most;
        sgl_take(s, &a, s->chunked_req, cut ? (unsigned)most : left,
                 cut ? 0 : clipped(s->all[s->chunked_req].most_new));
        s->chunked_req = cut ? s->chunked_req : NOBODY;
    }
    for (unsigned i = 0; i < s->waiting.count; i++) {
        if (!s->received[s->waiting.id[i]])
            continue;
        if (out->count >= s->max_running - s->running.count)
            s->batch_is_full = true;
        if (s->batch_is_full || !sgl_add_one(s, &a, s->waiting.id[i], &new_chunked))
            break;
    }
    if (out->count == 0)
        return false;
    for (unsigned i = 0; i < out->count; i++)
        for (unsigned k = 0; k < s->waiting.count; k++)
            if (s->waiting.id[k] == out->row[i].id)
                take_out_at(&s->waiting, k);
    if (new_chunked != NOBODY)
        s->chunked_req = new_chunked;
    s->last = (struct list){0};
    for (unsigned i = 0; i < out->count; i++)
        append(&s->last, out->row[i].id);
    if (s->mixed && s->running.count > 0) {
        sgl_filter(s, &s->running, NOBODY, NOBODY);
        sgl_take_decodes(s, out);
        for (unsigned i = 0; i < s->running.count; i++)
            append(&s->last, s->running.id[i]);
        s->running.count = 0;
    }
    return true;
}

/* Most outputs first, of equals the shortest prompt, as a stable sort has it. */
static void sgl_sort(const struct sgl *s, struct list *l)
{
    for (unsigned i = 1; i < l->count; i++)
        for (unsigned k = i; k > 0; k--) {
            const struct served *a = &s->all[l->id[k - 1]], *b = &s->all[l->id[k]];
            if (a->outputs > b->outputs || (a->outputs == b->outputs && a->prompt <= b->prompt))
                break;
            unsigned id = l->id[k];
            l->id[k] = l->id[k - 1];
            l->id[k - 1] = id;
        }
}

static void sgl_retract(struct sgl *s)
{
    double generated = 0, most = 0;
    sgl_sort(s, &s->running);
    do {
        unsigned id = s->running.id[--s->running.count];
        s->all[id].pages = s->all[id].stored = 0;
        append(&s->waiting, id);
    } while (sgl_decode_pages(s, &s->running) > sgl_free_pages(s));
    for (unsigned i = 0; i < s->running.count; i++) {
        generated += s->all[s->running.id[i]].outputs + 20;
        most += s->all[s->running.id[i]].most_new;
    }
    s->ratio = fmin(1, generated / (most + 1));
}

static void sgl_update_running(struct sgl *s, struct rows *out)
{
    unsigned before = s->running.count;
    sgl_filter(s, &s->running, NOBODY, NOBODY);
    if (s->running.count == 0) {
        s->batch_is_full = false;
        return;
    }
    if (sgl_decode_pages(s, &s->running) > sgl_free_pages(s))
        sgl_retract(s);
    else
        s->ratio = fmax(s->ratio - s->decay, s->least_ratio);
    if (s->running.count < before)
        s->batch_is_full = false;
    sgl_take_decodes(s, out);
}

/* Tandem's one difference: a request that is computed again and lacks its newest token alone decodes with the others,
 * where SGLang has one more batch for a chunk of one token. */
static void sgl_let_decode(struct sgl *s)
{
    const struct served *r = s->chunked_req == NOBODY ? NULL : &s->all[s->chunked_req];
    if (!r || r->outputs == 0 || sgl_uncomputed(r) > 1)
        return;
    s->chunked_req = s->last_chunked_req = NOBODY;
    s->batch_is_full = false;
}

static void sgl_next_batch(struct sgl *s, struct rows *out)
{
    sgl_let_decode(s);
    if (s->last_extends) {
        if (sgl_filter(s, &s->last, s->chunked_req, s->last_chunked_req))
            s->batch_is_full = false;
        if (s->last.count > 0 && s->running.count == 0)
            s->batch_is_full = false; /* the running batch is the last batch now */
        for (unsigned i = 0; i < s->last.count; i++)
            append(&s->running, s->last.id[i]);
    }
    s->last_extends = sgl_new_prefill(s, out);
    s->last_chunked_req = s->chunked_req;
    if (!s->last_extends && s->running.count > 0)
        sgl_update_running(s, out);
}

/* scheduler_recv_skipper.py. Without a batch the loop goes round so fast that somebody is received at once. */
static void sgl_receive(struct sgl *s)
{
    s->recv_count += s->idle ? s->recv_interval : s->last_extends ? 1000 : 1;
    if (s->recv_count < s->recv_interval)
        return;
    s->recv_count = 0;
    for (unsigned i = 0; i < s->waiting.count; i++)
        s->received[s->waiting.id[i]] = true;
}

/* Tandem's other difference: a retracted request stands behind those that are in the socket, and not before them.
 *
 * The loop: without a batch the server is idle, and the ratio is the first one again. */
static void sgl_form(void *state, struct rows *out)
{
    struct sgl *s = state;
    sgl_receive(s);
    sgl_next_batch(s, out);
    s->idle = false;
    if (out->count > 0)
        return;
    s->ratio = s->first_ratio;
    s->idle = true;
    sgl_receive(s);
    sgl_next_batch(s, out);
    s->idle = false;
}

static void sgl_idle(void *state)
{
    struct sgl *s = state;
    struct rows none = {0};
    if (s->waiting.count == 0) { /* a pass of the loop that finds nothing to do */
        s->idle = true;
        sgl_next_batch(s, &none);
        assert_int_equal(none.count, 0);
        s->ratio = s->first_ratio;
    }
}

static void sgl_arrive(void *state, unsigned id)
{
    append(&((struct sgl *)state)->waiting, id);
}

/* The iteration has ended. */
static void apply_rows(struct served *all, const struct rows *batch)
{
    for (unsigned i = 0; i < batch->count; i++) {
        struct served *r = &all[batch->row[i].id];
        r->stored += batch->row[i].tokens;
        if (r->stored < r->prompt + r->outputs)
            continue;
        r->outputs++;
        if (r->outputs == r->ends_after) {
            r->finished = true;
            r->pages = 0;
        }
    }
}

/* An engine, as the comparison sees it. */
struct engine_rules {
    void *state;
    void (*arrive)(void *state, unsigned id);
    void (*form)(void *state, struct rows *out);
    void (*idle)(void *state); /* nothing runs; may be NULL */
};

struct ours {
    struct replica *replica;
    struct param_set params;
    struct request requests[REQUESTS];
    struct observer observer;
    uint64_t preempted;
};

static void count_preempted(void *state, struct station_id station, const struct request *r)
{
    (void)station, (void)r;
    ((struct ours *)state)->preempted++;
}

static void note_end(void *state, struct station_id station, const struct request *r)
{
    (void)state, (void)station, (void)r;
}

static void ours_create(struct ours *o, const char *spec, uint64_t blocks, unsigned block_tokens)
{
    struct error err = {0};
    struct json root;
    const char *name = NULL;
    memset(o, 0, sizeof *o);
    expect_ok(json_parse(spec, "test", &root, &err), &err);
    expect_ok(json_read_string(&root, "name", true, &name, &err), &err);
    const struct batching_policy *policy = batching_policy_find(name);
    expect_ok(param_set_read(&o->params, policy->params, &root, &err), &err);
    struct replica_config config = {.batching = policy,
                                    .batching_params = &o->params,
                                    .admission = policy->admission,
                                    .kv_block_tokens = block_tokens,
                                    .kv_blocks = blocks,
                                    .max_tokens = 10000,
                                    .step = true};
    o->observer = (struct observer){.state = o,
                                    .arrived = note_arrival,
                                    .scheduled = note_scheduled,
                                    .preempted = count_preempted,
                                    .iterated = note_iteration,
                                    .gap = note_gap,
                                    .finished = note_end};
    const struct replica_place place = {0};
    expect_ok(replica_create(&o->replica, &place, &config, (struct executor){.run = one_microsecond}, &o->observer,
                             &err),
              &err);
    cJSON_Delete((cJSON *)(uintptr_t)root.node);
}

static int by_id(const void *a, const void *b)
{
    const struct row *x = a, *y = b;
    return (x->id > y->id) - (x->id < y->id);
}

static void our_rows(const struct ours *o, struct rows *out)
{
    const struct batch *batch = &o->replica->batch;
    out->count = 0;
    for (const struct request *r = o->replica->running.head; batch->decodes && r; r = r->next)
        if (r->decode.in)
            out->row[out->count++] = (struct row){(unsigned)r->id, 1};
    for (size_t i = 0; i < batch->count; i++)
        out->row[out->count++] = (struct row){(unsigned)batch->items[i].req->id, batch->items[i].new_tokens};
}

/* Both serve the same requests, and each batch is compared. Returns how many there were. */
static unsigned serve_both(struct ours *o, struct engine_rules *e, struct served *all, const char *what)
{
    sim_time now = 0;
    unsigned next = 0, iterations = 0;
    for (;;) {
        for (; next < REQUESTS && all[next].arrival <= now; next++) {
            request_init(&o->requests[next], next, all[next].arrival, all[next].prompt, all[next].ends_after,
                         all[next].most_new);
            assert_int_equal(replica_enqueue(o->replica, &o->requests[next], now), 0);
            e->arrive(e->state, next);
        }
        struct rows mine = {0}, theirs = {0};
        sim_time end = replica_start(o->replica, now);
        if (!o->replica->busy) {
            if (e->idle)
                e->idle(e->state);
            assert_int_equal(replica_waiting(o->replica), 0);
            if (next == REQUESTS)
                return iterations;
            now = all[next].arrival;
            continue;
        }
        our_rows(o, &mine);
        e->form(e->state, &theirs);
        qsort(mine.row, mine.count, sizeof *mine.row, by_id);
        qsort(theirs.row, theirs.count, sizeof *theirs.row, by_id);
        bool same = mine.count == theirs.count;
        for (unsigned i = 0; same && i < mine.count; i++)
            same = mine.row[i].id == theirs.row[i].id && mine.row[i].tokens == theirs.row[i].tokens;
        if (!same) {
            for (unsigned i = 0; i < mine.count; i++)
                fprintf(stderr, " %u:%u", mine.row[i].id, mine.row[i].tokens);
            fprintf(stderr, "  but the engine's rules give ");
            for (unsigned i = 0; i < theirs.count; i++)
                fprintf(stderr, " %u:%u", theirs.row[i].id, theirs.row[i].tokens);
            fail_msg("iteration %u of %s", iterations, what);
        }
        apply_rows(all, &theirs);
        now = end;
        replica_finish(o->replica, now);
        iterations++;
    }
}

/* Requests that come now and then, or in bursts; never when an iteration ends, since what is first then is chance. */
static void random_requests(gsl_rng *rng, struct served *all, unsigned prompts, unsigned outputs)
{
    sim_time at = 0;
    memset(all, 0, REQUESTS * sizeof *all);
    for (unsigned i = 0; i < REQUESTS; i++) {
        unsigned kind = (unsigned)gsl_rng_uniform_int(rng, 8);
        if (kind < 4)
            at = (at / 1000 + 1 + (sim_time)gsl_rng_uniform_int(rng, kind == 0 ? 300 : 4)) * 1000 + 13 * i;
        all[i].arrival = at;
        all[i].prompt = 1 + (unsigned)gsl_rng_uniform_int(rng, prompts);
        all[i].ends_after = 1 + (unsigned)gsl_rng_uniform_int(rng, outputs);
        all[i].most_new =
            all[i].ends_after + (gsl_rng_uniform_int(rng, 2) ? (unsigned)gsl_rng_uniform_int(rng, 40) : 0);
    }
}

static unsigned choose(gsl_rng *rng, const unsigned *from, unsigned count)
{
    return from[gsl_rng_uniform_int(rng, count)];
}

static void test_sglang_batches_are_those_of_its_rules(void **state)
{
    (void)state;
    static const unsigned chunks[] = {0, 32, 64, 8192}, inputs[] = {50, 200, 16384}, most[] = {3, 9, 2048},
                          pages[] = {1, 1, 4}, intervals[] = {1, 1, 3, 30};
    static const double conservative[] = {0.01, 0.05, 0.3, 1.3};
    gsl_rng *rng = random_stream_create(20261127, "sglang");
    uint64_t preempted = 0, iterations = 0;
    for (int i = 0; i < SCENARIOS; i++) {
        struct served all[REQUESTS];
        struct ours o;
        char spec[300];
        double c = conservative[gsl_rng_uniform_int(rng, 4)];
        unsigned pool = 260 + (unsigned)gsl_rng_uniform_int(rng, 900);
        struct sgl s = {.all = all, .chunked_req = NOBODY, .last_chunked_req = NOBODY};
        s.page = choose(rng, pages, 3);
        s.pages = pool / s.page;
        s.chunked_prefill_size = choose(rng, chunks, 4);
        s.max_prefill_tokens = choose(rng, inputs, 3);
        s.max_running = choose(rng, most, 3);
        s.mixed = s.page == 1 && s.chunked_prefill_size > 0 && s.max_running < s.chunked_prefill_size &&
                  gsl_rng_uniform_int(rng, 2);
        s.recv_interval = choose(rng, intervals, 4);
        s.first_ratio = s.ratio = fmin(0.7 * c, 1);
        s.least_ratio = 0.14 * s.first_ratio;
        s.decay = (s.first_ratio - s.least_ratio) / 600;
        random_requests(rng, all, 120, 90);
        snprintf(spec, sizeof spec,
                 "{\"name\": \"sglang\", \"chunked_prefill_size\": %u, \"max_prefill_tokens\": %u, \"max_sequences\": "
                 "%u, \"mixed_chunk\": %s, \"schedule_conservativeness\": %g, \"recv_interval\": %u}",
                 s.chunked_prefill_size, s.max_prefill_tokens, s.max_running, s.mixed ? "true" : "false", c,
                 s.recv_interval);
        ours_create(&o, spec, s.pages, s.page);
        struct engine_rules rules = {&s, sgl_arrive, sgl_form, sgl_idle};
        char what[400];
        snprintf(what, sizeof what, "scenario %d, %u pages of %u: %s", i, s.pages, s.page, spec);
        iterations += serve_both(&o, &rules, all, what);
        preempted += o.preempted;
        replica_destroy(o.replica);
    }
    gsl_rng_free(rng);
    assert_true(preempted > 150 && iterations > 200000);
}

/* TensorRT-LLM: capacityScheduler.cpp says who may run, microBatchScheduler.cpp with how many tokens. Requests stand in
 * one list from arrival to end; a paused one is a prompt again, with what it has generated. */
struct trt {
    struct served *all;
    unsigned page, pages, max_num_tokens, max_batch_size, chunk_unit;
    unsigned wait_iterations, wait_tokens, waited;
    const char *capacity, *chunking;
    struct list active;
};

static unsigned trt_free(const struct trt *t)
{
    unsigned used = 0;
    for (unsigned i = 0; i < REQUESTS; i++)
        used += t->all[i].pages;
    return t->pages - used;
}

static unsigned trt_left(const struct served *r)
{
    return r->prompt + r->outputs - r->stored;
}

static bool trt_generates(const struct served *r)
{
    return r->outputs > 0 && trt_left(r) == 1;
}

static unsigned trt_to_completion(const struct trt *t, const struct served *r)
{
    return ceil_to(r->prompt + r->most_new, t->page) / t->page - r->pages;
}

static unsigned trt_one_step(const struct trt *t, const struct served *r)
{
    if (trt_generates(r))
        return r->stored / t->page + 1 > r->pages;
    return r->pages > 0 ? 0 : ceil_to(trt_left(r), t->page) / t->page;
}

static void trt_no_evict(const struct trt *t, bool drains, struct list *fitting)
{
    long available = trt_free(t);
    struct list pending = {0};
    for (unsigned i = 0; i < t->active.count && fitting->count < t->max_batch_size; i++) {
        unsigned id = t->active.id[i];
        append(trt_generates(&t->all[id]) ? fitting : &pending, id);
        if (trt_generates(&t->all[id]))
            available -= trt_to_completion(t, &t->all[id]);
    }
    if (drains && fitting->count > 0)
        return;
    for (unsigned i = 0; i < pending.count && fitting->count < t->max_batch_size; i++) {
        long needed = trt_to_completion(t, &t->all[pending.id[i]]);
        if (needed > available)
            return;
        available -= needed;
        append(fitting, pending.id[i]);
    }
}

static void trt_max_utilization(struct trt *t, struct list *fitting)
{
    unsigned free_pages = trt_free(t), scheduled = 0, end = t->active.count;
    for (unsigned i = 0; i < end;) {
        unsigned needed = trt_one_step(t, &t->all[t->active.id[i]]);
        if (fitting->count < t->max_batch_size && scheduled + needed <= free_pages) {
            scheduled += needed;
            append(fitting, t->active.id[i++]);
            continue;
        }
        unsigned last = end;
        while (last > i && t->all[t->active.id[last - 1]].pages == 0)
            last--;
        if (last == i)
            return; /* nobody from here on has begun */
        struct served *paused = &t->all[t->active.id[last - 1]];
        free_pages += paused->pages;
        paused->pages = paused->stored = 0;
        end = last - 1;
    }
}

static void trt_chunk(const struct trt *t, const struct list *contexts, unsigned budget, unsigned *chunks)
{
    bool equal = strcmp(t->chunking, "equal_progress") == 0;
    unsigned wanted = 0;
    for (unsigned i = 0; i < contexts->count; i++)
        wanted += chunks[i] = trt_left(&t->all[contexts->id[i]]);
    if (wanted <= budget)
        return;
    for (unsigned i = 0; i < contexts->count; i++) {
        unsigned all = chunks[i];
        chunks[i] = equal ? 0 : all < budget ? all : budget;
        if (!equal && chunks[i] < all)
            chunks[i] = chunks[i] / t->chunk_unit * t->chunk_unit;
        budget -= chunks[i];
    }
    for (bool given = equal; given;) {
        given = false;
        for (unsigned i = 0; i < contexts->count; i++) {
            unsigned all = trt_left(&t->all[contexts->id[i]]), more = all - chunks[i];
            more = more < t->chunk_unit ? more : t->chunk_unit;
            if (more == 0 || more > budget)
                continue;
            chunks[i] += more;
            budget -= more;
            given = true;
        }
    }
}

/* py_executor.py, _waiting_requests: prompts wait while others generate, so long or until they are so many. */
static bool trt_waits(struct trt *t, const struct rows *out)
{
    unsigned generating = 0, tokens = 0;
    for (unsigned i = 0; i < out->count; i++) {
        generating += trt_generates(&t->all[out->row[i].id]);
        tokens += out->row[i].tokens;
    }
    if (t->wait_iterations == 0 || generating == 0 || generating == out->count)
        return false;
    bool wait = t->waited < t->wait_iterations && tokens < t->wait_tokens;
    t->waited = wait ? t->waited + 1 : 0;
    return wait;
}

static void trt_add(struct trt *t, unsigned id, unsigned tokens, struct rows *out)
{
    struct served *r = &t->all[id];
    if (trt_generates(r))
        r->pages = r->stored / t->page + 1;
    else if (r->pages == 0)
        r->pages = ceil_to(trt_left(r), t->page) / t->page;
    out->row[out->count++] = (struct row){id, tokens};
}

static void trt_choose(struct trt *t, struct rows *out)
{
    struct list fitting = {0}, contexts = {0};
    unsigned chunks[REQUESTS], tokens = 0, kept = 0;
    bool whole = strcmp(t->chunking, "none") == 0;
    for (unsigned i = 0; i < t->active.count; i++)
        if (!t->all[t->active.id[i]].finished)
            t->active.id[kept++] = t->active.id[i];
    t->active.count = kept;
    if (strcmp(t->capacity, "max_utilization") == 0)
        trt_max_utilization(t, &fitting);
    else
        trt_no_evict(t, strcmp(t->capacity, "static_batch") == 0, &fitting);
    for (unsigned i = 0; i < fitting.count && i < t->max_batch_size; i++) {
        const struct served *r = &t->all[fitting.id[i]];
        unsigned needed = trt_generates(r) ? 1 : trt_left(r);
        if (!trt_generates(r) && !whole) {
            append(&contexts, fitting.id[i]);
            continue;
        }
        /* A paused request may have grown past the limit, which TensorRT-LLM takes as an error; here it runs alone. */
        if (tokens + needed > t->max_num_tokens && tokens > 0)
            break;
        tokens += needed;
        trt_add(t, fitting.id[i], needed, out);
    }
    trt_chunk(t, &contexts, t->max_num_tokens - tokens, chunks);
    /* TensorRT-LLM goes on behind one who gets nothing; Tandem lets nobody overtake. */
    for (unsigned i = 0; i < contexts.count && chunks[i] > 0; i++)
        trt_add(t, contexts.id[i], chunks[i], out);
}

static void trt_form(void *state, struct rows *out)
{
    struct trt *t = state;
    trt_choose(t, out);
    if (!trt_waits(t, out))
        return;
    unsigned kept = 0;
    for (unsigned i = 0; i < out->count; i++) {
        struct served *r = &t->all[out->row[i].id];
        if (trt_generates(r))
            out->row[kept++] = out->row[i];
        else if (r->stored == 0)
            r->pages = 0; /* taken by nobody yet */
    }
    out->count = kept;
}

static void trt_arrive(void *state, unsigned id)
{
    append(&((struct trt *)state)->active, id);
}

static void test_tensorrt_llm_batches_are_those_of_its_rules(void **state)
{
    (void)state;
    static const char *const capacities[] = {"guaranteed_no_evict", "max_utilization", "max_utilization",
                                             "static_batch"};
    static const char *const chunkings[] = {"none", "first_come_first_served", "equal_progress"};
    static const unsigned budgets[] = {130, 260, 8192}, cut[] = {17, 40, 100, 300}, most[] = {3, 9, 16},
                          pages[] = {1, 4, 16}, units[] = {1, 2, 5};
    gsl_rng *rng = random_stream_create(20261127, "tensorrt-llm");
    uint64_t preempted = 0, iterations = 0;
    for (int i = 0; i < SCENARIOS; i++) {
        struct served all[REQUESTS];
        struct ours o;
        char spec[300];
        unsigned pool = 270 + (unsigned)gsl_rng_uniform_int(rng, 900);
        struct trt t = {.all = all,
                        .capacity = capacities[gsl_rng_uniform_int(rng, 4)],
                        .chunking = chunkings[gsl_rng_uniform_int(rng, 3)]};
        bool whole = strcmp(t.chunking, "none") == 0;
        t.page = choose(rng, pages, 3);
        t.pages = pool / t.page;
        t.max_num_tokens = whole ? choose(rng, budgets, 3) : choose(rng, cut, 4);
        t.max_batch_size = choose(rng, most, 3);
        t.chunk_unit = t.page * choose(rng, units, 3);
        if (t.chunk_unit > t.max_num_tokens - t.max_batch_size)
            t.chunk_unit = 1;
        t.wait_iterations = gsl_rng_uniform_int(rng, 2) ? (unsigned)gsl_rng_uniform_int(rng, 20) : 0;
        t.wait_tokens = 1 + (unsigned)gsl_rng_uniform_int(rng, 2 * t.max_num_tokens);
        random_requests(rng, all, 120, 90);
        snprintf(spec, sizeof spec,
                 "{\"name\": \"trtllm\", \"capacity\": \"%s\", \"chunking\": \"%s\", \"token_budget\": %u, "
                 "\"max_sequences\": %u, \"chunk_unit_tokens\": %u, \"wait_iterations\": %u, \"wait_tokens\": %u}",
                 t.capacity, t.chunking, t.max_num_tokens, t.max_batch_size, t.chunk_unit, t.wait_iterations,
                 t.wait_tokens);
        ours_create(&o, spec, t.pages, t.page);
        struct engine_rules rules = {&t, trt_arrive, trt_form, NULL};
        char what[400];
        snprintf(what, sizeof what, "scenario %d, %u pages of %u: %s", i, t.pages, t.page, spec);
        iterations += serve_both(&o, &rules, all, what);
        preempted += o.preempted;
        replica_destroy(o.replica);
    }
    gsl_rng_free(rng);
    assert_true(preempted > 1000 && iterations > 200000);
}

/* Blocks hold 4 tokens from here on. A batch takes 8 tokens of prompts: the first prompt is cut, and what it leaves of
 * the next batch goes to the second one. Decodes wait for both. */
static void test_sglang_runs_prompts_first_in_chunks(void **state)
{
    (void)state;
    struct bench_replica b = {0};
    bench_init(&b, "{\"name\": \"sglang\", \"chunked_prefill_size\": 8}", 100);
    bench_arrive(&b, 0, 4, 9);
    bench_step(&b, "0:4");
    bench_arrive(&b, 1, 12, 9);
    bench_arrive(&b, 2, 4, 9);
    bench_step(&b, "1:8");
    bench_step(&b, "1:4 2:4");
    bench_step(&b, "0:1 1:1 2:1");
    replica_destroy(b.replica);
}

/* The same where they mix: the decode takes a token of the chunk, and the rest is cut to a whole block. */
static void test_sglang_mixes_decodes_with_chunks(void **state)
{
    (void)state;
    struct bench_replica b = {0};
    bench_init(&b, "{\"name\": \"sglang\", \"chunked_prefill_size\": 8, \"mixed_chunk\": true}", 100);
    bench_arrive(&b, 0, 4, 9);
    bench_step(&b, "0:4");
    bench_arrive(&b, 1, 12, 9);
    bench_step(&b, "0:1 1:4");
    bench_step(&b, "0:1 1:7");
    bench_step(&b, "0:1 1:1");
    bench_step(&b, "0:1 1:1");
    replica_destroy(b.replica);
}

/* A pool of 64 tokens. Request 0 has 8 of them and 39 outputs to come, of which 0.7 are reckoned with: 56 − 27.3 = 28.7
 * are left. 8 + 20 are fewer, 8 + 21 are not; then nobody is looked at before a request has left, not even one that
 * would fit. */
static void test_sglang_admits_by_the_share_of_outputs_to_come(void **state)
{
    (void)state;
    for (uint32_t output = 20; output <= 21; output++) {
        struct bench_replica b = {0};
        bench_init(&b, "{\"name\": \"sglang\"}", 16);
        bench_arrive(&b, 0, 8, 40);
        bench_step(&b, "0:8");
        bench_arrive(&b, 1, 8, output);
        bench_step(&b, output == 20 ? "1:8" : "0:1");
        bench_arrive(&b, 2, 1, 1);
        bench_step(&b, output == 20 ? "2:1" : "0:1");
        replica_destroy(b.replica);
    }
}

/* A pool of 24 tokens, and no output reckoned with. Request 0 comes first, since 8 + 12 are taken of the 24 while it is
 * in the same batch; then 7 + 7 < 16. At their fifth decode request 0 needs a fourth block, and there is none: of equal
 * outputs it has the longest prompt, so it goes itself, and stands behind request 2, which has waited since the fourth.
 * Then (5 + 20) / (7 + 1) > 1 of the outputs to come are reckoned with: 12 − 1 tokens are left, 4 + 1 fit, 13 + 7 do
 * not. When nobody runs, it is computed again: all 13 tokens, or all but the first block of its prompt where that is
 * found: of its three free blocks requests 2 and 1 have taken the last two. */
static void test_sglang_retracts_fewest_outputs_and_longest_prompt(void **state)
{
    (void)state;
    for (int caching = 0; caching < 2; caching++) {
        struct bench_replica b = {.prefix_caching = caching};
        bench_init(&b, "{\"name\": \"sglang\", \"schedule_conservativeness\": 0}", 6);
        bench_arrive(&b, 0, 8, 12);
        bench_arrive(&b, 1, 7, 7);
        bench_step(&b, "0:8");
        bench_step(&b, "1:7");
        bench_step(&b, "0:1 1:1");
        bench_step(&b, "0:1 1:1");
        bench_arrive(&b, 2, 4, 1);
        bench_step(&b, "0:1 1:1");
        bench_step(&b, "0:1 1:1");
        bench_step(&b, "1:1");
        assert_int_equal(b.preempted_count, 1);
        assert_int_equal(b.preempted[0], 0);
        bench_step(&b, "2:4");
        bench_step(&b, "1:1");
        bench_step(&b, caching ? "0:9" : "0:13");
        replica_destroy(b.replica);
    }
}

/* Overlap: the batch after a request's last token is formed before that has come, limit or not, and has a row of it,
 * in which nothing is generated. */
static void test_sglang_wastes_a_row_after_each_last_token(void **state)
{
    (void)state;
    static const struct {
        const char *spec, *still_decodes;
        uint64_t iterations;
    } cases[] = {{"{\"name\": \"sglang\"}", "0:1", 3}, {"{\"name\": \"unified_budget\"}", "", 2}};
    for (size_t i = 0; i < 2; i++) {
        struct bench_replica b = {.ahead = true};
        bench_init(&b, cases[i].spec, 100);
        bench_arrive(&b, 0, 4, 2);
        bench_step(&b, "0:4");
        bench_step(&b, cases[i].still_decodes); /* as the scheduler sees it while its last token is computed */
        assert_int_equal(b.finished_count, 1);
        bench_step(&b, "");
        assert_int_equal(replica_sum_up(b.replica, b.now).iterations, cases[i].iterations);
        assert_int_equal(replica_free_blocks(b.replica), 100);
        replica_destroy(b.replica);
    }
}

/* Arrivals are looked for after three decode batches, or after prompts: request 1 comes during the first decode and is
 * seen after the third; request 2 comes with its prompt and is seen right after it. */
static void test_sglang_looks_for_arrivals_now_and_then(void **state)
{
    (void)state;
    struct bench_replica b = {0};
    bench_init(&b, "{\"name\": \"sglang\", \"recv_interval\": 3}", 100);
    bench_arrive(&b, 0, 4, 9);
    bench_step(&b, "0:4");
    bench_step(&b, "0:1");
    bench_arrive(&b, 1, 4, 9);
    bench_step(&b, "0:1");
    bench_step(&b, "0:1");
    bench_step(&b, "1:4");
    bench_arrive(&b, 2, 4, 9);
    bench_step(&b, "2:4");
    bench_step(&b, "0:1 1:1 2:1");
    replica_destroy(b.replica);
}

/* Prompts wait for two iterations at most while request 0 decodes, or until the batch has 14 tokens: request 1 comes in
 * at the third; requests 2 and 3 wait once, since 2 + 10 < 14, and come in with request 4, since 2 + 15 > 14. */
static void test_tensorrt_llm_prompts_wait_for_others(void **state)
{
    (void)state;
    struct bench_replica b = {0};
    bench_init(&b, "{\"name\": \"trtllm\", \"wait_iterations\": 2, \"wait_tokens\": 14}", 100);
    bench_arrive(&b, 0, 4, 20);
    bench_step(&b, "0:4");
    bench_arrive(&b, 1, 4, 20);
    bench_step(&b, "0:1");
    bench_step(&b, "0:1");
    bench_step(&b, "0:1 1:4");
    bench_arrive(&b, 2, 5, 20);
    bench_arrive(&b, 3, 5, 20);
    bench_step(&b, "0:1 1:1");
    bench_arrive(&b, 4, 5, 20);
    bench_step(&b, "0:1 1:1 2:5 3:5 4:5");
    replica_destroy(b.replica);
}

/* A pool of 8 blocks. Request 0 may need 5 in all and request 1 needs 4, so it waits, and so does request 2 behind it,
 * which would fit. */
static void test_tensorrt_llm_never_evicts_whom_it_admits(void **state)
{
    (void)state;
    struct bench_replica b = {0};
    bench_init(&b, "{\"name\": \"trtllm\"}", 8);
    bench_arrive(&b, 0, 8, 12);
    bench_arrive(&b, 1, 8, 8);
    bench_arrive(&b, 2, 1, 1);
    bench_step(&b, "0:8");
    for (int i = 0; i < 11; i++)
        bench_step(&b, "0:1");
    bench_step(&b, "1:8 2:1");
    assert_int_equal(b.preempted_count, 0);
    replica_destroy(b.replica);
}

/* A pool of 5 blocks: both prompts fit, and then only one of the two blocks that their first decodes need. The last one
 * pauses, and comes back with its two blocks and one token more when the first one has left. */
static void test_tensorrt_llm_pauses_the_last_for_utilization(void **state)
{
    (void)state;
    struct bench_replica b = {0};
    bench_init(&b, "{\"name\": \"trtllm\", \"capacity\": \"max_utilization\"}", 5);
    bench_arrive(&b, 0, 8, 5);
    bench_arrive(&b, 1, 8, 8);
    bench_step(&b, "0:8 1:8");
    bench_step(&b, "0:1");
    assert_int_equal(b.preempted_count, 1);
    assert_int_equal(b.preempted[0], 1);
    for (int i = 0; i < 3; i++)
        bench_step(&b, "0:1");
    bench_step(&b, "1:9");
    replica_destroy(b.replica);
}

/* Prompts of 20 and 12 tokens, 16 a batch, in chunks of blocks. In order the first one is cut to 16; else each gets a
 * block in turn. What is left fits whole. */
static void test_tensorrt_llm_chunks_in_order_or_equally(void **state)
{
    (void)state;
    static const char *const cases[][3] = {{"first_come_first_served", "0:16", "0:4 1:12"},
                                           {"equal_progress", "0:8 1:8", "0:12 1:4"}};
    for (size_t i = 0; i < 2; i++) {
        struct bench_replica b = {0};
        char spec[200];
        snprintf(spec, sizeof spec,
                 "{\"name\": \"trtllm\", \"chunking\": \"%s\", \"token_budget\": 16, \"max_sequences\": 8}",
                 cases[i][0]);
        bench_init(&b, spec, 100);
        bench_arrive(&b, 0, 20, 3);
        bench_arrive(&b, 1, 12, 3);
        bench_step(&b, cases[i][1]);
        bench_step(&b, cases[i][2]);
        bench_step(&b, "0:1 1:1");
        replica_destroy(b.replica);
    }
}

/* Uncut prompts share the budget: 10 + 5 of 16 tokens, and the third one, which needs 2, waits. A prompt that exceeds
 * it is refused. */
static void test_tensorrt_llm_takes_whole_prompts_within_the_budget(void **state)
{
    (void)state;
    struct bench_replica b = {0};
    bench_init(&b, "{\"name\": \"trtllm\", \"token_budget\": 16, \"max_sequences\": 8}", 100);
    struct request long_prompt;
    request_init(&long_prompt, 9, 0, 17, 1, 1);
    assert_string_equal(replica_refuses(b.replica, &long_prompt), "prompt longer than token_budget");
    bench_arrive(&b, 0, 10, 3);
    bench_arrive(&b, 1, 5, 3);
    bench_arrive(&b, 2, 2, 3);
    bench_step(&b, "0:10 1:5");
    bench_step(&b, "0:1 1:1 2:2");
    replica_destroy(b.replica);
}

static void test_tensorrt_llm_static_batches_drain(void **state)
{
    (void)state;
    struct bench_replica b = {0};
    bench_init(&b, "{\"name\": \"trtllm\", \"capacity\": \"static_batch\"}", 100);
    bench_arrive(&b, 0, 4, 3);
    bench_arrive(&b, 1, 4, 2);
    bench_step(&b, "0:4 1:4");
    bench_arrive(&b, 2, 4, 2);
    bench_step(&b, "0:1 1:1");
    bench_step(&b, "0:1");
    bench_step(&b, "2:4");
    replica_destroy(b.replica);
}

/* Requests 0 and 1 begin with the same 8 tokens. The second is passed over while the first computes them, and then
 * computes its own 2 tokens alone; request 2 behind it does not wait. */
static void test_tensorrt_llm_passes_over_whom_a_prefix_is_computed_for(void **state)
{
    (void)state;
    struct bench_replica b = {.prefix_caching = true};
    const struct origin one = {.prefix_group = 1, .prefix_tokens = 8}, other = {.prefix_group = 2, .prefix_tokens = 8};
    bench_init(&b, "{\"name\": \"trtllm\"}", 100);
    bench_arrive_from(&b, 0, 10, 3, one);
    bench_arrive_from(&b, 1, 10, 3, one);
    bench_arrive_from(&b, 2, 10, 3, other);
    bench_step(&b, "0:10 2:10");
    bench_step(&b, "0:1 2:1 1:2");
    replica_destroy(b.replica);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sglang_runs_prompts_first_in_chunks),
        cmocka_unit_test(test_sglang_mixes_decodes_with_chunks),
        cmocka_unit_test(test_sglang_admits_by_the_share_of_outputs_to_come),
        cmocka_unit_test(test_sglang_retracts_fewest_outputs_and_longest_prompt),
        cmocka_unit_test(test_sglang_wastes_a_row_after_each_last_token),
        cmocka_unit_test(test_sglang_looks_for_arrivals_now_and_then),
        cmocka_unit_test(test_tensorrt_llm_prompts_wait_for_others),
        cmocka_unit_test(test_tensorrt_llm_never_evicts_whom_it_admits),
        cmocka_unit_test(test_tensorrt_llm_pauses_the_last_for_utilization),
        cmocka_unit_test(test_tensorrt_llm_chunks_in_order_or_equally),
        cmocka_unit_test(test_tensorrt_llm_takes_whole_prompts_within_the_budget),
        cmocka_unit_test(test_tensorrt_llm_static_batches_drain),
        cmocka_unit_test(test_tensorrt_llm_passes_over_whom_a_prefix_is_computed_for),
        cmocka_unit_test(test_sglang_batches_are_those_of_its_rules),
        cmocka_unit_test(test_tensorrt_llm_batches_are_those_of_its_rules),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: MIT */
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "policies/batching.h"

enum capacity { NO_EVICT, MAX_UTILIZATION, STATIC_BATCH };
enum chunking { WHOLE, FIRST_COME, EQUAL_PROGRESS };

/* A prompt that could be in the batch. */
struct candidate {
    struct request *r;
    uint32_t left, tokens; /* of its prompt; those that the batch takes */
};

struct trtllm {
    uint32_t token_budget, max_sequences, unit; /* unit 0: a KV block */
    enum capacity capacity;
    enum chunking chunking;
    struct candidate *candidates; /* [count], in the order they are served */
    size_t count, room;
    uint64_t *keys; /* [key_count] first units that candidates will compute; those that wait for one are passed over */
    size_t key_count, key_room;
    uint32_t wait_iterations, waited;
    uint64_t wait_tokens;
    bool waiting;     /* prompts that could be in this batch are left out of it */
    bool passed_over; /* somebody was */
    bool blocked;     /* whoever stands behind the last candidate waits */
};

static const struct param_spec params[] = {
    {"token_budget", PARAM_INTEGER, "tokens", 8192, 1, 1e6, "tokens of an iteration (max_num_tokens)", NULL, NULL},
    {"max_sequences", PARAM_INTEGER, "sequences", 2048, 1, 65536, "most running requests (max_batch_size)", NULL, NULL},
    {"capacity", PARAM_TEXT, "", 0, 0, 0,
     "who runs: those whose longest output fits, as many as fit now, or nobody new before the batch has drained",
     "guaranteed_no_evict", "guaranteed_no_evict|max_utilization|static_batch"},
    {"chunking", PARAM_TEXT, "", 0, 0, 0,
     "prompts that exceed the budget: never cut, cut in order, or moved on by a unit each in turn", "none",
     "none|first_come_first_served|equal_progress"},
    {"chunk_unit_tokens", PARAM_INTEGER, "tokens", 0, 0, 1e6, "chunks are multiples of it; 0: of a KV block", NULL,
     NULL},
    {"wait_iterations", PARAM_INTEGER, "iterations", 0, 0, 1e6,
     "while requests decode, prompts wait at most so long for others (batch_wait_timeout_iters)", NULL, NULL},
    {"wait_tokens", PARAM_INTEGER, "tokens", 0, 0, 1e9,
     "tokens of a batch at which its prompts wait no longer (batch_wait_max_tokens_ratio times token_budget); 0: "
     "token_budget",
     NULL, NULL},
    {0},
};

static int create(void **state, const struct param_set *set, struct error *err)
{
    struct trtllm *t = calloc(1, sizeof *t);
    const char *capacity = param_text(set, "capacity"), *chunking = param_text(set, "chunking");
    *state = t;
    if (!t)
        return error_no_memory(err);
    t->token_budget = (uint32_t)param_number(set, "token_budget");
    t->max_sequences = (uint32_t)param_number(set, "max_sequences");
    t->wait_iterations = (uint32_t)param_number(set, "wait_iterations");
    t->wait_tokens = (uint64_t)param_number(set, "wait_tokens");
    t->wait_tokens = t->wait_tokens ? t->wait_tokens : t->token_budget;
    if (t->max_sequences > t->token_budget)
        t->max_sequences = t->token_budget;
    t->unit = (uint32_t)param_number(set, "chunk_unit_tokens");
    t->capacity = strcmp(capacity, "max_utilization") == 0 ? MAX_UTILIZATION
                  : strcmp(capacity, "static_batch") == 0  ? STATIC_BATCH
                                                           : NO_EVICT;
    t->chunking = strcmp(chunking, "equal_progress") == 0            ? EQUAL_PROGRESS
                  : strcmp(chunking, "first_come_first_served") == 0 ? FIRST_COME
                                                                     : WHOLE;
    return 0;
}

static void destroy(void *state)
{
    struct trtllm *t = state;
    if (t) {
        free(t->candidates);
        free(t->keys);
    }
    free(t);
}

/* A chunk is whole units. */
static const char *unfit(const struct param_set *set, uint32_t block_tokens)
{
    uint32_t unit = (uint32_t)param_number(set, "chunk_unit_tokens");
    bool cuts = strcmp(param_text(set, "chunking"), "none") != 0;
    return cuts && (unit > 0 ? unit : block_tokens) > (uint32_t)param_number(set, "token_budget")
               ? "a token_budget of a chunk's unit (chunk_unit_tokens, or a KV block's tokens) at least"
               : NULL;
}

/* Every request that runs gets its token, so no more run than the budget has tokens. */
static struct batch_limits limits(const struct param_set *set, uint64_t longest)
{
    uint64_t budget = (uint64_t)param_number(set, "token_budget");
    uint64_t sequences = (uint64_t)param_number(set, "max_sequences");
    (void)longest;
    return (
        struct batch_limits){.tokens = budget, .sequences = sequences < budget ? sequences : budget, .budget = budget};
}

static const char *refuses(const void *state, const struct replica_view *view, const struct request *r)
{
    const struct trtllm *t = state;
    (void)view;
    return t->chunking == WHOLE && r->prompt_tokens > t->token_budget ? "prompt longer than token_budget" : NULL;
}

/* Blocks that a request has when it is done here. */
static uint64_t blocks_when_done(const struct replica_view *view, const struct request *r)
{
    return view_blocks(view,
                       (uint64_t)r->prompt_tokens + (view->decodes_elsewhere ? r->generated : r->max_output_tokens));
}

/* Free blocks that no running request will need. */
static uint64_t uncommitted(struct replica_view *view)
{
    const struct kv_groups *g = &view->kv.groups;
    uint64_t needed = 0;
    view_settle(view);
    for (const struct request *r = view->running->head; r; r = r->next) {
        uint64_t all = blocks_when_done(view, r);
        uint64_t held =
            g->windowed == 0 ? r->kv_blocks : (uint64_t)g->full * r->kv_blocks + (uint64_t)g->windowed * r->kv_window;
        needed += all > held ? all - held : 0;
    }
    return view->kv_free_blocks > needed ? view->kv_free_blocks - needed : 0;
}

/* The key of the request's first unit of KV that is computed yet by nobody; 0: what it computes is its own. */
static uint64_t first_new_unit(const struct replica_view *view, const struct request *r)
{
    uint32_t found = r->prefilling ? r->unit_blocks * view->kv.block_tokens : view_cached_tokens(view, r);
    struct content_unit unit;
    for (uint32_t i = 0; content_unit(r, i, view->kv.block_tokens, &unit); i++)
        if ((uint64_t)(unit.first_block + unit.blocks) * view->kv.block_tokens > found)
            return unit.key;
    return 0;
}

/* Whether the request would compute the same KV as a candidate before it; else it is noted. */
static bool is_worth_passing_over(struct trtllm *t, const struct replica_view *view, const struct request *r)
{
    bool looks = t->capacity != STATIC_BATCH && view->finds_prefixes && view->kv.groups.windowed == 0;
    uint64_t key = looks && content_is_shared(r) ? first_new_unit(view, r) : 0;
    for (size_t i = 0; key && i < t->key_count; i++)
        if (t->keys[i] == key)
            return true;
    uint64_t *grown = key ? array_grow(t->keys, &t->key_room, t->key_count + 1, sizeof *grown) : NULL;
    if (grown) {
        t->keys = grown;
        grown[t->key_count++] = key;
    }
    return false;
}

/* False when memory is short. */
static bool add_candidate(struct trtllm *t, struct request *r)
{
    struct candidate *grown = array_grow(t->candidates, &t->room, t->count + 1, sizeof *grown);
    if (!grown)
        return false;
    t->candidates = grown;
    grown[t->count++] = (struct candidate){.r = r, .left = request_uncomputed(r)};
    return true;
}

/* Of an order with a state only the first one is known. */
static bool knows_the_first_alone(const struct replica_view *view)
{
    return view->ordered && !view->waiting->places;
}

/* Whatever the scenario has reserved at admission is needed in any case. */
static uint64_t blocks_to_admit(const struct trtllm *t, const struct replica_view *view, const struct request *r)
{
    uint64_t now = view_blocks(view, view_admission_tokens(view, r, request_uncomputed(r)));
    uint64_t in_all = t->capacity == MAX_UTILIZATION ? 0 : blocks_when_done(view, r);
    return now > in_all ? now : in_all;
}

/* Those that wait and fit into `blocks`, in order, the first that does not ends the list. What they would find in the
 * pool is not looked at. */
static void add_waiting(struct trtllm *t, struct replica_view *view, uint64_t blocks)
{
    size_t begun = t->count;
    t->blocked = true;
    for (struct request *r = view->waiting->head; r; r = r->next) {
        if (view->running->count + t->count - begun >= t->max_sequences)
            return;
        if (is_worth_passing_over(t, view, r)) {
            t->passed_over = true;
        } else {
            uint64_t needed = blocks_to_admit(t, view, r);
            if (needed > blocks || !add_candidate(t, r))
                return;
            blocks -= needed;
        }
        if (knows_the_first_alone(view))
            break;
    }
    t->blocked = false;
}

/* As many as the budget has tokens for, none of them cut; a request that has grown past it runs by itself. */
static void share_whole(struct trtllm *t, uint32_t budget, bool alone)
{
    for (size_t i = 0; i < t->count; i++) {
        struct candidate *c = &t->candidates[i];
        if (c->left > budget && !(alone && i == 0))
            return;
        c->tokens = c->left;
        budget -= c->left < budget ? c->left : budget;
    }
}

static void share_in_order(struct trtllm *t, uint32_t budget, uint32_t unit)
{
    for (size_t i = 0; i < t->count; i++) {
        struct candidate *c = &t->candidates[i];
        c->tokens = c->left <= budget ? c->left : budget / unit * unit;
        budget -= c->tokens;
    }
}

/* Each gets a unit in turn, or what is left of its prompt, until no turn gives anything. */
static void share_equally(struct trtllm *t, uint32_t budget, uint32_t unit)
{
    for (uint32_t given = 1; given > 0;) {
        given = 0;
        for (size_t i = 0; i < t->count; i++) {
            struct candidate *c = &t->candidates[i];
            uint32_t more = c->left - c->tokens < unit ? c->left - c->tokens : unit;
            if (more > budget)
                continue;
            c->tokens += more;
            budget -= more;
            given += more;
        }
    }
}

static uint32_t unit_of(const struct trtllm *t, const struct replica_view *view)
{
    return t->unit > 0 ? t->unit : view->kv.block_tokens;
}

/* Nobody overtakes one who gets nothing. */
static void share(struct trtllm *t, const struct replica_view *view, const struct batch *out, uint32_t budget)
{
    if (t->chunking == WHOLE)
        share_whole(t, budget, batch_is_empty(out));
    else if (t->chunking == FIRST_COME)
        share_in_order(t, budget, unit_of(t, view));
    else
        share_equally(t, budget, unit_of(t, view));
    for (size_t i = 0; i < t->count; i++)
        if (t->candidates[i].tokens == 0) {
            t->count = i;
            t->blocked = true;
        }
}

/* What it finds goes off its chunk's end, not off the chunk. False when it must wait. */
static bool admit(struct trtllm *t, struct replica_view *view, struct batch *out, const struct candidate *c)
{
    uint32_t reserved = view_admission_tokens(view, c->r, c->left);
    if (view_blocks_to_admit(view, c->r, reserved) > view->kv_free_blocks)
        return false;
    if (view_load(view, c->r, reserved)) {
        t->passed_over = true;
        return true;
    }
    view_reuse(view, c->r);
    view_reserve(view, c->r, reserved);
    view_admit(view, c->r);
    uint32_t left = request_uncomputed(c->r);
    view_schedule(view, out, c->r, c->tokens < left ? c->tokens : left);
    return true;
}

/* Prompts that have a place wait for more of them while others decode (py_executor.py, _waiting_requests). */
static bool prompts_wait(struct trtllm *t, const struct batch *out)
{
    if (t->wait_iterations == 0 || t->count == 0 || batch_is_empty(out))
        return false;
    uint64_t tokens = batch_real_tokens(out);
    for (size_t i = 0; i < t->count; i++)
        tokens += t->candidates[i].tokens;
    bool wait = t->waited < t->wait_iterations && tokens < t->wait_tokens;
    t->waited = wait ? t->waited + 1 : 0;
    return wait;
}

/* Prompts that were begun, and then those that wait. In an iteration with a pause nobody new comes in. */
static void prefill(struct trtllm *t, struct replica_view *view, struct batch *out, uint64_t blocks)
{
    uint32_t budget = t->token_budget > out->decodes ? t->token_budget - out->decodes : 0;
    t->count = t->key_count = 0;
    for (size_t i = 0; i < view->prefilling_count; i++) {
        (void)is_worth_passing_over(t, view, view->prefilling[i]);
        if (!add_candidate(t, view->prefilling[i]))
            return;
    }
    size_t begun = t->count;
    if (view->evicted == 0 && budget > 0)
        add_waiting(t, view, blocks);
    share(t, view, out, budget);
    t->waiting = prompts_wait(t, out);
    if (t->waiting)
        return;
    for (size_t i = 0; i < t->count; i++) {
        const struct candidate *c = &t->candidates[i];
        if (i < begun)
            view_schedule(view, out, c->r, c->tokens);
        else if (!admit(t, view, out, c))
            return;
    }
}

/* A chunk is the same as long as its prompt does not fit whole. */
static void hold(const struct trtllm *t, const struct replica_view *view, struct batch *out, bool full)
{
    if (t->passed_over || t->waiting || (out->count > 0 && out->items[0].decode))
        return;
    view_hold(view, out, full);
    if (!full && !t->blocked)
        out->arrivals_wait = false; /* a short prompt may fit where a longer one did not */
    if (out->count == 0 || out->stable_iterations == 1)
        return;
    uint32_t left = request_uncomputed(out->items[0].req), chunk = out->items[0].new_tokens;
    uint32_t budget = t->token_budget - out->decodes;
    uint64_t same = left > budget ? (left - budget + chunk - 1) / chunk : 1;
    if (out->stable_iterations > same)
        out->stable_iterations = same;
}

/* The last of the list, in which requests stand as they came, whoever was admitted first. */
static struct request *next_paused(struct replica_view *view)
{
    if (view->victims_by)
        return view_victim(view);
    struct request *last = NULL;
    for (struct request *r = view->running->head; r; r = r->next)
        if (!request_stands_by(r) &&
            (!last || r->entered > last->entered || (r->entered == last->entered && r->id > last->id)))
            last = r;
    return last;
}

static void decode(struct replica_view *view, struct batch *out)
{
    while (view->decoding > 0 && !view->verbs->take_decodes(view, out))
        view_preempt(view, next_paused(view));
}

static void form_batch(void *state, struct replica_view *view, struct batch *out)
{
    struct trtllm *t = state;
    bool reserves = t->capacity != MAX_UTILIZATION && view->waiting->count > 0;
    uint64_t blocks = reserves ? uncommitted(view) : 0;
    t->passed_over = t->blocked = t->waiting = false;
    decode(view, out);
    bool drains = t->capacity == STATIC_BATCH && view->decoding > 0;
    if (!drains)
        prefill(t, view, out, reserves ? blocks : view->kv_free_blocks);
    bool spent = batch_real_tokens(out) >= t->token_budget && (t->chunking != EQUAL_PROGRESS || out->count == 0);
    hold(t, view, out, drains || spent || view->running->count >= t->max_sequences);
}

const struct batching_policy policy_trtllm = {
    .name = "trtllm",
    .summary = "decodes, then prompts whose KV fits by a capacity rule, whole or in chunks, within a token budget",
    .source = "TensorRT-LLM (batch_manager/capacityScheduler.cpp, microBatchScheduler.cpp)",
    .params = params,
    .chunks_follow = true,
    .loads = true,
    .create = create,
    .limits = limits,
    .unfit = unfit,
    .form_batch = form_batch,
    .refuses = refuses,
    .destroy = destroy,
};

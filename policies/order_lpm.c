/* SPDX-License-Identifier: MIT */
#include <math.h>
#include <stdlib.h>

#include "policies/view.h"

enum {
    RANKED_MOST = 128, /* more that wait are served as they came */
    CHECKED = 32,      /* who finds more tokens than these need not wait for others of its prefix */
    DEFERRED = 32      /* who has at least so many tokens in common with one before it stands last */
};

struct rank {
    struct request *r;
    double key; /* −tokens found; INFINITY: stands last */
};

struct lpm {
    struct ordered *waiting; /* by arrival */
    bool ranked;
    struct rank ranks[RANKED_MOST]; /* [count] of those that waited when the batch was begun, the first one first */
    uint64_t prefixes[RANKED_MOST]; /* of those that find too little: which first DEFERRED tokens theirs are */
    size_t count, next;             /* ranks before `next` have been admitted */
};

static const struct param_spec params[] = {{0}};

static int create(void **state, const struct param_set *set, struct error *err)
{
    (void)set;
    *state = calloc(1, sizeof(struct lpm));
    return *state ? 0 : error_no_memory(err);
}

static int joins(void *state, struct request *r)
{
    struct lpm *l = state;
    r->place = (struct ordered){.time = r->entered, .number = r->id};
    ordered_insert(&l->waiting, &r->place);
    return 0;
}

static void admitted(void *state, struct request *r)
{
    struct lpm *l = state;
    ordered_remove(&l->waiting, &r->place);
    for (size_t i = l->next; i < l->count; i++)
        if (l->ranks[i].r == r)
            l->ranks[i].r = NULL;
    while (l->next < l->count && !l->ranks[l->next].r)
        l->next++;
}

/* What the first DEFERRED tokens are, in whole units of content; 0: the prompt has not so many in common with anybody.
 */
static uint64_t prefix_of(const struct replica_view *view, const struct request *r)
{
    struct content_unit unit;
    for (uint32_t i = 0; content_is_shared(r) && content_unit(r, i, view->kv.block_tokens, &unit); i++)
        if ((uint64_t)(unit.first_block + unit.blocks) * view->kv.block_tokens >= DEFERRED)
            return unit.key;
    return 0;
}

/* Longest prefix first; of those who find none, the first one of each prefix, and the others behind everybody. */
static double key_of(struct lpm *l, const struct replica_view *view, const struct request *r, size_t *prefixes)
{
    uint32_t found = view_cached_tokens(view, r);
    uint64_t prefix = found > CHECKED ? 0 : prefix_of(view, r);
    if (prefix == 0)
        return -(double)found;
    for (size_t i = 0; i < *prefixes; i++)
        if (l->prefixes[i] == prefix)
            return INFINITY;
    l->prefixes[(*prefixes)++] = prefix;
    return -(double)found;
}

static int by_key(const void *a, const void *b)
{
    const struct rank *x = a, *y = b;
    if (x->key != y->key)
        return x->key < y->key ? -1 : 1;
    return ordered_before(&x->r->place, &y->r->place) ? -1 : 1;
}

static void begins(void *state, struct replica_view *view)
{
    struct lpm *l = state;
    size_t prefixes = 0;
    l->count = l->next = 0;
    if (!view->finds_prefixes || view->waiting->count > RANKED_MOST)
        return;
    for (struct ordered *o = ordered_first(l->waiting); o; o = ordered_next(o), l->count++) {
        struct request *r = request_at(o);
        l->ranks[l->count] = (struct rank){r, key_of(l, view, r, &prefixes)};
    }
    qsort(l->ranks, l->count, sizeof *l->ranks, by_key);
}

/* Who was preempted since the batch was begun waits for the next one. */
static void arrange(void *state, struct request_list *waiting)
{
    const struct lpm *l = state;
    order_bring_to_head(waiting, l->next < l->count ? l->ranks[l->next].r : request_at(ordered_first(l->waiting)));
}

const struct order_policy order_lpm = {
    .name = "lpm",
    .summary = "longest prefix found first; of those that wait for the same prefix, all but one stand last",
    .source = "SGLang (schedule_policy.py: lpm, in-batch prefix caching)",
    .params = params,
    .create = create,
    .destroy = free,
    .joins = joins,
    .admitted = admitted,
    .withdrawn = admitted,
    .begins = begins,
    .arrange = arrange};

/* SPDX-License-Identifier: MIT */
/* Which event list? The hold model (Jones 1986): take the earliest of N events out, put it back an exponential time
 * later, again and again. Ours (sim/min_index.h) next to a binary heap, a 4-ary heap, a pairing heap and a calendar
 * queue, all with a slot per station that can be moved. Nanoseconds a hold. */
#include <gsl/gsl_randist.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/random.h"
#include "sim/min_index.h"

enum { HOLDS = 4000000, GAPS = 1 << 16 };

static uint32_t gaps[GAPS];
static volatile uint64_t sink; /* keeps the loops from being left out */

static double now_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static void hold_winner_tree(size_t n)
{
    struct min_index index;
    if (min_index_init(&index, n))
        return;
    for (size_t i = 0; i < n; i++)
        min_index_set(&index, i, gaps[i]);
    for (size_t i = 0; i < HOLDS; i++) {
        struct min_index_node first = min_index_first(&index);
        min_index_set(&index, first.slot, first.key + gaps[i % GAPS]);
    }
    sink = min_index_first(&index).key;
    min_index_release(&index);
}

/* Heaps of `arity` children; `place` would let any station be moved. */
struct heap {
    struct min_index_node *at;
    uint32_t *place;
    size_t count;
};

static inline void heap_put(struct heap *h, size_t i, struct min_index_node node)
{
    h->at[i] = node;
    h->place[node.slot] = (uint32_t)i;
}

static inline void heap_down(struct heap *h, size_t i, struct min_index_node node, size_t arity)
{
    for (size_t child; (child = arity * i + 1) < h->count; i = child) {
        size_t last = child + arity < h->count ? child + arity : h->count;
        for (size_t k = child + 1; k < last; k++)
            if (h->at[k].key < h->at[child].key)
                child = k;
        if (node.key <= h->at[child].key)
            break;
        heap_put(h, i, h->at[child]);
    }
    heap_put(h, i, node);
}

static inline void hold_heap(size_t n, size_t arity)
{
    struct heap h = {calloc(n, sizeof *h.at), calloc(n, sizeof *h.place), n};
    for (size_t i = n; h.at && h.place && i-- > 0;) {
        h.at[i] = (struct min_index_node){gaps[i], i};
        heap_down(&h, i, h.at[i], arity);
    }
    for (size_t i = 0; h.at && h.place && i < HOLDS; i++) {
        struct min_index_node first = h.at[0];
        first.key += gaps[i % GAPS];
        heap_down(&h, 0, first, arity);
    }
    sink = h.at ? h.at[0].key : 0;
    free(h.at);
    free(h.place);
}

static void hold_binary_heap(size_t n)
{
    hold_heap(n, 2);
}

static void hold_4_ary_heap(size_t n)
{
    hold_heap(n, 4);
}

/* Fredman, Sedgewick, Sleator, Tarjan 1986, merged in two passes. */
struct pair_node {
    uint64_t key;
    struct pair_node *child, *sibling;
};

static struct pair_node *meld(struct pair_node *a, struct pair_node *b)
{
    if (!a || !b)
        return a ? a : b;
    if (b->key < a->key) {
        struct pair_node *other = a;
        a = b;
        b = other;
    }
    b->sibling = a->child;
    a->child = b;
    return a;
}

static struct pair_node *merge_pairs(struct pair_node *first)
{
    struct pair_node *pairs = NULL, *root = NULL;
    while (first) {
        struct pair_node *a = first, *b = a->sibling;
        first = b ? b->sibling : NULL;
        a->sibling = NULL;
        if (b)
            b->sibling = NULL;
        a = meld(a, b);
        a->sibling = pairs;
        pairs = a;
    }
    while (pairs) {
        struct pair_node *next = pairs->sibling;
        pairs->sibling = NULL;
        root = meld(root, pairs);
        pairs = next;
    }
    return root;
}

static void hold_pairing_heap(size_t n)
{
    struct pair_node *nodes = calloc(n, sizeof *nodes), *root = NULL;
    for (size_t i = 0; nodes && i < n; i++) {
        nodes[i].key = gaps[i];
        root = meld(root, &nodes[i]);
    }
    for (size_t i = 0; root && i < HOLDS; i++) {
        struct pair_node *first = root;
        root = merge_pairs(first->child);
        first->key += gaps[i % GAPS];
        first->child = NULL;
        root = meld(root, first);
    }
    sink = root ? root->key : 0;
    free(nodes);
}

/* Brown 1988, with as many days as events and days as long as a few gaps between events; the distribution does not
 * change, so neither needs to be adapted. */
static void hold_calendar_queue(size_t n)
{
    size_t days = 1;
    while (days < n)
        days *= 2;
    struct pair_node *nodes = calloc(n, sizeof *nodes), **day = calloc(days, sizeof(*day));
    uint64_t width = 3 * 1000000 / n + 1, top = 0;
    for (size_t i = 0; nodes && day && i < n; i++) {
        nodes[i].key = gaps[i];
        struct pair_node **at = &day[nodes[i].key / width % days];
        while (*at && (*at)->key < nodes[i].key)
            at = &(*at)->sibling;
        nodes[i].sibling = *at;
        *at = &nodes[i];
    }
    for (size_t i = 0, today = 0; nodes && day && i < HOLDS;) {
        struct pair_node *first = day[today];
        if (!first || first->key >= top + width) {
            today = (today + 1) % days;
            top += width;
            continue;
        }
        day[today] = first->sibling;
        first->key += gaps[i++ % GAPS];
        struct pair_node **at = &day[first->key / width % days];
        while (*at && (*at)->key < first->key)
            at = &(*at)->sibling;
        first->sibling = *at;
        *at = first;
    }
    sink = top;
    free(nodes);
    free(day);
}

int main(void)
{
    static const struct {
        const char *name;
        void (*hold)(size_t n);
    } lists[] = {{"winner tree (ours)", hold_winner_tree},
                 {"binary heap", hold_binary_heap},
                 {"4-ary heap", hold_4_ary_heap},
                 {"pairing heap", hold_pairing_heap},
                 {"calendar queue", hold_calendar_queue}};
    static const size_t sizes[] = {1, 8, 64, 1000, 10000};
    gsl_rng *rng = random_stream_create(1, "gaps");
    for (size_t i = 0; i < GAPS; i++)
        gaps[i] = (uint32_t)gsl_ran_exponential(rng, 1e6);
    gsl_rng_free(rng);
    printf("event lists, ns a hold      N = 1       8      64    1000   10000\n");
    for (size_t l = 0; l < sizeof lists / sizeof *lists; l++) {
        printf("  %-22s", lists[l].name);
        for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
            double best = 1e9;
            for (int repeat = 0; repeat < 3; repeat++) {
                double start = now_s();
                lists[l].hold(sizes[i]);
                double ns = (now_s() - start) * 1e9 / HOLDS;
                best = ns < best ? ns : best;
            }
            printf(" %7.1f", best);
        }
        printf("\n");
    }
    printf("\n");
    return 0;
}

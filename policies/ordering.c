/* SPDX-License-Identifier: MIT */
#include "policies/ordering.h"

void order_insert(const struct order_policy *order, const struct param_set *params, struct request_list *queue,
                  struct request *r)
{
    struct request *before = NULL;
    if (order && order->key) {
        r->order_key = order->key(params, r);
        for (struct request *last = queue->tail; last && last->order_key > r->order_key; last = last->prev)
            before = last;
    }
    request_list_insert(queue, r, before);
}

/* Two sorted chains, linked by `next`, as one; the first one's stand first of equals. */
static struct request *merge(struct request *a, struct request *b,
                             bool (*before)(const struct request *a, const struct request *b))
{
    struct request *head = NULL, **end = &head;
    for (; a && b; end = &(*end)->next) {
        struct request **from = before(b, a) ? &b : &a;
        *end = *from;
        *from = (*from)->next;
    }
    *end = a ? a : b;
    return head;
}

/* Merge sort from the bottom up: runs[i] is NULL or a sorted chain of 2^i (Knuth, TAOCP 3, 5.2.4). */
void order_sort(struct request_list *queue, bool (*before)(const struct request *a, const struct request *b))
{
    struct request *runs[64] = {NULL}, *sorted = NULL, *next;
    for (struct request *r = queue->head; r; r = next) {
        int i = 0;
        next = r->next;
        r->next = NULL;
        for (; runs[i]; i++) {
            r = merge(runs[i], r, before);
            runs[i] = NULL;
        }
        runs[i] = r;
    }
    for (int i = 0; i < 64; i++)
        if (runs[i])
            sorted = merge(runs[i], sorted, before);
    queue->head = sorted;
    queue->tail = NULL;
    for (struct request *r = sorted; r; queue->tail = r, r = r->next)
        r->prev = queue->tail;
}

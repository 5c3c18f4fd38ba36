/* SPDX-License-Identifier: MIT */
#include "policies/ordering.h"

#include <math.h>

/* Among those that wait, by how long: it has nearly always waited least. A queue in order of arrival has no list by
 * age, since only preempted requests stand before its oldest one. */
static void join_by_age(struct request_list *queue, struct request *r)
{
    struct request *older = queue->newest;
    while (older && older->waiting_since > r->waiting_since)
        older = older->older;
    r->older = older;
    r->newer = older ? older->newer : queue->oldest;
    *(r->older ? &r->older->newer : &queue->oldest) = r;
    *(r->newer ? &r->newer->older : &queue->newest) = r;
}

static void leave_by_age(struct request_list *queue, struct request *r)
{
    *(r->older ? &r->older->newer : &queue->oldest) = r->newer;
    *(r->newer ? &r->newer->older : &queue->newest) = r->older;
}

/* Which request stands behind one in order of arrival. It goes last when it arrives, among the first when it was
 * preempted. */
static struct request *behind_by_arrival(const struct request_list *queue, const struct request *r)
{
    if (!queue->tail || ordered_before(&queue->tail->place, &r->place))
        return NULL;
    struct request *at = queue->head;
    while (ordered_before(&at->place, &r->place))
        at = at->next;
    return at;
}

/* An order with a state has places of its own, and says by itself who is next. */
static void insert(const struct order_policy *order, double key, struct request_list *queue, struct request *r)
{
    struct request *behind = NULL;
    if (!order || !order->arrange) {
        r->place.key = key;
        r->place.time = r->entered;
        r->place.number = r->id;
        behind =
            order && order->key ? request_at(ordered_insert(&queue->places, &r->place)) : behind_by_arrival(queue, r);
    }
    request_list_insert(queue, r, behind);
    if (order && (order->key || order->arrange))
        join_by_age(queue, r);
}

static double key_of(const struct order_policy *order, const struct param_set *params, const struct request *r)
{
    return order && order->key ? order->key(params, r) : 0;
}

void order_insert(const struct order_policy *order, const struct param_set *params, struct request_list *queue,
                  struct request *r)
{
    insert(order, key_of(order, params, r), queue, r);
}

void order_insert_preempted(const struct order_policy *order, const struct param_set *params,
                            struct request_list *queue, struct request *r)
{
    bool first = order && order->key && !order->ranks_preempted;
    insert(order, first ? -INFINITY : key_of(order, params, r), queue, r);
}

void order_insert_again(const struct order_policy *order, const struct param_set *params, struct request_list *queue,
                        struct request *r, sim_time now)
{
    struct request *behind = NULL;
    if (!order || !order->arrange) {
        r->place = (struct ordered){.key = key_of(order, params, r), .time = now, .number = r->id};
        behind = order && order->key ? request_at(ordered_insert(&queue->places, &r->place)) : NULL;
    }
    request_list_insert(queue, r, behind);
    if (order && (order->key || order->arrange))
        join_by_age(queue, r);
}

void order_remove(struct request_list *queue, struct request *r)
{
    if (queue->places)
        ordered_remove(&queue->places, &r->place);
    request_list_remove(queue, r);
    if (queue->oldest)
        leave_by_age(queue, r);
}

const struct request *order_oldest(const struct request_list *queue)
{
    if (queue->oldest)
        return queue->oldest;
    const struct request *oldest = queue->head;
    for (const struct request *r = oldest; r && r->preemptions > 0; r = r->next)
        if (r->next && r->next->waiting_since < oldest->waiting_since)
            oldest = r->next;
    return oldest;
}

void order_bring_to_head(struct request_list *queue, struct request *r)
{
    if (queue->head == r)
        return;
    request_list_remove(queue, r);
    request_list_insert(queue, r, queue->head);
}

struct request *order_last(const struct order_policy *order, const struct param_set *params,
                           const struct request_list *running)
{
    struct request *last = NULL;
    for (struct request *r = running->head; r; r = r->next) {
        if (request_stands_by(r))
            continue;
        r->place = (struct ordered){.key = key_of(order, params, r), .time = r->entered, .number = r->id};
        if (!last || ordered_before(&last->place, &r->place))
            last = r;
    }
    return last;
}

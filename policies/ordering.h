/* SPDX-License-Identifier: MIT */
/* ordering.h — decides which waiting request comes next.
 *
 * Most orders are a key: requests stand by rising key, in order of arrival where keys are equal. A preempted request
 * keeps its arrival. It goes before all that were not preempted, unless the order says that it is ranked anew. An order
 * whose ranks change while requests are served has a state instead, is told what happens, and arranges the queue. */
#ifndef TANDEM_POLICIES_ORDERING_H
#define TANDEM_POLICIES_ORDERING_H

#include "base/param.h"
#include "workloads/request.h"

struct replica_view;

struct order_policy {
    const char *name, *summary, *source;
    const struct param_spec *params;
    /* NULL: first come, first served, or arranged. Sees predicted, never true output lengths. */
    double (*key)(const struct param_set *params, const struct request *r);
    /* Requests that have run are ranked like the others: a preempted one waits at the place of its key, and the running
     * request that would stand last is preempted first. */
    bool ranks_preempted;

    /* Orders with a state; all but `arrange` and what makes and ends it may be NULL. */
    int (*create)(void **state, const struct param_set *params, struct error *err);
    void (*destroy)(void *state);
    /* It has arrived, or was preempted, and is about to wait. Returns -1 when memory is short, never for a request that
     * has waited here before. */
    int (*joins)(void *state, struct request *r);
    void (*admitted)(void *state, struct request *r);
    void (*withdrawn)(void *state, struct request *r); /* it waits no longer, and has not been admitted: it gave up */
    /* Before the queue is looked at, for all that run: output tokens so far. */
    void (*served)(void *state, struct request *r, uint32_t generated);
    void (*leaves)(void *state, struct request *r); /* finished or preempted */
    /* A batch is about to be formed, and the queue is not empty: whom the order looks up in the view. */
    void (*begins)(void *state, struct replica_view *view);
    /* Brings who is next to the head; the queue is not empty. Asked before a batch is formed and after each admission.
     */
    void (*arrange)(void *state, struct request_list *waiting);
};

extern const struct order_policy *const order_policies[]; /* NULL-ended; those that are built in */
const struct order_policy *order_policy_find(const char *name);

/* Puts a request that arrives, or was preempted, in its place, in O(log n) of the queue's length. */
void order_insert(const struct order_policy *order, const struct param_set *params, struct request_list *queue,
                  struct request *r);
void order_insert_preempted(const struct order_policy *order, const struct param_set *params,
                            struct request_list *queue, struct request *r);

/* Puts a request that was preempted `now` behind those that wait; where the order has keys, behind its equals. */
void order_insert_again(const struct order_policy *order, const struct param_set *params, struct request_list *queue,
                        struct request *r, sim_time now);

/* Takes a request out of the queue. */
void order_remove(struct request_list *queue, struct request *r);

/* The request that has waited longest; NULL when none waits. */
const struct request *order_oldest(const struct request_list *queue);

/* Makes a waiting request the head; the others keep their order. */
void order_bring_to_head(struct request_list *queue, struct request *r);

/* The running request that stands last by the order's keys: their counters must be up to date. NULL when all leave. */
struct request *order_last(const struct order_policy *order, const struct param_set *params,
                           const struct request_list *running);

/* The request whose place it is. */
static inline struct request *request_at(struct ordered *place)
{
    return place ? (struct request *)((char *)place - offsetof(struct request, place)) : NULL;
}

#endif

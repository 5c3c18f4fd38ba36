/* SPDX-License-Identifier: MIT */
/* ordering.h — decides who stands where in the waiting queue.
 *
 * Most orders are a key: requests stand by rising key, in order of arrival where keys are equal; who is preempted goes
 * to the front, unless the order says that it is ranked anew. An order whose ranks change while requests are served
 * has a state instead, is told what happens, and arranges the queue. */
#ifndef TANDEM_POLICIES_ORDERING_H
#define TANDEM_POLICIES_ORDERING_H

#include "base/param.h"
#include "workloads/request.h"

struct order_policy {
    const char *name, *summary, *source;
    const struct param_spec *params;
    /* NULL: first come, first served, or arranged. Sees predicted, never true output lengths. */
    double (*key)(const struct param_set *params, const struct request *r);
    bool ranks_preempted;

    /* Orders with a state; all but `arrange` and what makes and ends it may be NULL. request.order_key is theirs. */
    int (*create)(void **state, const struct param_set *params, struct error *err);
    void (*destroy)(void *state);
    /* It has arrived, or was preempted, and is about to stand last, or first. Returns -1 when memory is short. */
    int (*joins)(void *state, struct request *r);
    void (*admitted)(void *state, struct request *r);
    /* Before the queue is looked at, for all that run: output tokens so far. */
    void (*served)(void *state, struct request *r, uint32_t generated);
    void (*leaves)(void *state, struct request *r); /* finished or preempted */
    /* Brings who is next to the head; the queue is not empty. Asked before a batch is formed and after each admission.
     */
    void (*arrange)(void *state, struct request_list *waiting);
};

extern const struct order_policy *const order_policies[]; /* NULL-ended */
const struct order_policy *order_policy_find(const char *name);

/* Puts a request in its place, looking from the end of the queue. */
void order_insert(const struct order_policy *order, const struct param_set *params, struct request_list *queue,
                  struct request *r);

/* Sorts a queue; equals keep their order. */
void order_sort(struct request_list *queue, bool (*before)(const struct request *a, const struct request *b));

#endif

/* SPDX-License-Identifier: MIT */
/* ordering.h — decides who stands where in the waiting queue. Requests stand by rising key, in order of arrival where
 * keys are equal; who is preempted goes to the front, unless the order says that it is ranked anew. */
#ifndef TANDEM_POLICIES_ORDERING_H
#define TANDEM_POLICIES_ORDERING_H

#include "base/param.h"
#include "workloads/request.h"

struct order_policy {
    const char *name, *summary, *source;
    const struct param_spec *params;
    /* NULL: first come, first served. Sees predicted, never true output lengths. */
    double (*key)(const struct param_set *params, const struct request *r);
    bool ranks_preempted;
};

extern const struct order_policy *const order_policies[]; /* NULL-ended */
const struct order_policy *order_policy_find(const char *name);

/* Puts a request in its place, looking from the end of the queue. */
void order_insert(const struct order_policy *order, const struct param_set *params, struct request_list *queue,
                  struct request *r);

#endif

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

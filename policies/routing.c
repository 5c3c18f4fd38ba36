/* SPDX-License-Identifier: MIT */
#include "policies/routing.h"

size_t routing_least_loaded(size_t count, const struct routing_view *view)
{
    size_t least = 0;
    for (size_t i = 1; i < count; i++)
        if (routing_load(view, i)->outstanding_requests < routing_load(view, least)->outstanding_requests)
            least = i;
    return least;
}

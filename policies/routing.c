/* SPDX-License-Identifier: MIT */
#include "policies/routing.h"

#include <math.h>
#include <string.h>

size_t routing_least_loaded(size_t count, const struct routing_view *view)
{
    size_t least = 0;
    for (size_t i = 1; i < count; i++)
        if (routing_load(view, i)->outstanding_requests < routing_load(view, least)->outstanding_requests)
            least = i;
    return least;
}

void routing_read_signals(const struct param_set *params, struct routing_signals *out)
{
    *out = (struct routing_signals){.refresh_s = param_number(params, "refresh_s"),
                                    .index_refresh_s = param_number(params, "index_refresh_s"),
                                    .approximate = strcmp(param_text(params, "index"), "approximate") == 0,
                                    .index_blocks = (uint64_t)param_number(params, "index_blocks"),
                                    .match_blocks = (uint32_t)param_number(params, "match_blocks")};
}

/* Of those that have the highest value, the one whose turn the request draws. */
static size_t pick_highest(const double *values, size_t count, const struct request *r)
{
    double highest = values[0];
    size_t equals = 0;
    for (size_t i = 1; i < count; i++)
        highest = fmax(highest, values[i]);
    for (size_t i = 0; i < count; i++)
        equals += values[i] >= highest;
    size_t turn = (size_t)(routing_luck(r) * (double)equals), i = 0;
    while (values[i] < highest || turn-- > 0)
        i++;
    return i;
}

size_t routing_pick(double *values, size_t count, double temperature, const struct request *r)
{
    double highest = values[0], sum = 0, luck = routing_luck(r);
    size_t i = 0;
    if (temperature <= 0)
        return pick_highest(values, count, r);
    for (size_t k = 1; k < count; k++)
        highest = fmax(highest, values[k]);
    for (size_t k = 0; k < count; k++)
        sum += values[k] = exp((values[k] - highest) / temperature);
    for (luck *= sum; i + 1 < count && luck >= values[i]; i++)
        luck -= values[i];
    return i;
}

/* SPDX-License-Identifier: MIT */
#include "policies/prefix_groups.h"

#include <math.h>

struct group_work group_work_of(const struct request *r)
{
    double p = r->prompt_tokens, d = r->predicted_tokens;
    return (struct group_work){.prompt_tokens = p, .output_tokens = d, .kv_reads = p * d + d * d / 2};
}

static bool group_before(const struct request *a, const struct request *b)
{
    return a->origin.prefix_group < b->origin.prefix_group;
}

static bool rank_before(const struct request *a, const struct request *b)
{
    if (a->order_key != b->order_key)
        return a->order_key < b->order_key;
    return a->origin.prefix_group != b->origin.prefix_group ? group_before(a, b) : a->id < b->id;
}

/* Ranks the requests of one group, which stand in a row from `first` on; returns who stands after them. */
static struct request *rank_group(struct request *first, double (*rank)(const struct group_work *group))
{
    struct group_work sum = group_work_of(first);
    struct request *end = first->next;
    if (first->origin.prefix_group > 0)
        for (; end && end->origin.prefix_group == first->origin.prefix_group; end = end->next) {
            struct group_work w = group_work_of(end);
            sum.prompt_tokens += w.prompt_tokens - end->origin.prefix_tokens;
            sum.output_tokens += w.output_tokens;
            sum.kv_reads += w.kv_reads;
        }
    double key = rank(&sum);
    for (struct request *r = first; r != end; r = r->next)
        r->order_key = r->preemptions > 0 ? -INFINITY : key;
    return end;
}

void prefix_groups_arrange(struct request_list *waiting, double (*rank)(const struct group_work *group))
{
    order_sort(waiting, group_before);
    for (struct request *r = waiting->head; r;)
        r = rank_group(r, rank);
    order_sort(waiting, rank_before);
}

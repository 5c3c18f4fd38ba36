/* SPDX-License-Identifier: MIT */
#include <stdlib.h>

#include "policies/prefix_groups.h"

/* Sums over requests: tokens to compute, and KV tokens to read. Their ratio is BlendServe's compute density up to a
 * constant of model and device, which cancels where densities are compared. */
struct demand {
    double compute, memory;
};

struct resource_aware {
    bool changed;
    struct demand all, running; /* all: that have ever come */
    struct request *fetched;    /* taken from the end of the queue to its head, to run next */
};

static const struct param_spec params[] = {{0}};

static int create(void **state, const struct param_set *set, struct error *err)
{
    (void)set;
    *state = calloc(1, sizeof(struct resource_aware));
    return *state ? 0 : error_no_memory(err);
}

static void add(struct demand *sum, const struct request *r, double sign)
{
    struct group_work w = group_work_of(r);
    sum->compute += sign * (w.prompt_tokens + w.output_tokens);
    sum->memory += sign * w.kv_reads;
}

static int joins(void *state, struct request *r)
{
    struct resource_aware *a = state;
    a->changed = true;
    if (r->preemptions == 0)
        add(&a->all, r, 1);
    return 0;
}

static void admitted(void *state, struct request *r)
{
    struct resource_aware *a = state;
    add(&a->running, r, 1);
    a->fetched = NULL;
}

static void leaves(void *state, struct request *r)
{
    add(&((struct resource_aware *)state)->running, r, -1);
}

/* Most tokens computed for each KV token read first. */
static double rank(const struct group_work *group)
{
    return -(group->prompt_tokens + group->output_tokens) / group->kv_reads;
}

static void to_head(struct request_list *waiting, struct request *r)
{
    request_list_remove(waiting, r);
    request_list_insert(waiting, r, waiting->head);
}

/* Two ends of one sorted queue: the head is heavy on compute, the tail on memory. Whichever those who run have less of,
 * by the mean of all, comes next. Who was preempted goes before both. */
static void arrange(void *state, struct request_list *waiting)
{
    struct resource_aware *a = state;
    if (a->fetched) {
        request_list_remove(waiting, a->fetched);
        request_list_insert(waiting, a->fetched, NULL);
        a->fetched = NULL;
    }
    if (a->changed)
        prefix_groups_arrange(waiting, rank);
    a->changed = false;
    if (waiting->head->preemptions > 0 || a->running.compute * a->all.memory <= a->all.compute * a->running.memory)
        return;
    a->fetched = waiting->tail;
    to_head(waiting, a->fetched);
}

const struct order_policy order_resource_aware = {
    .name = "resource_aware",
    .summary = "sorted by compute over memory traffic, prefix groups together, taken from either end so that what runs "
               "has the mean mix",
    .source = "BlendServe (Zhao et al. 2024, arXiv 2411.16102, sections 4.2 and 4.3)",
    .params = params,
    .create = create,
    .destroy = free,
    .joins = joins,
    .admitted = admitted,
    .leaves = leaves,
    .arrange = arrange};

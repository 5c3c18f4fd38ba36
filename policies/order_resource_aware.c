/* SPDX-License-Identifier: MIT */
#include <stdlib.h>

#include "policies/prefix_groups.h"

/* Sums over requests: tokens to compute, and KV tokens to read. Their ratio is BlendServe's compute density up to a
 * constant of model and device, which cancels where densities are compared. */
struct demand {
    double compute, memory;
};

struct resource_aware {
    struct prefix_groups groups; /* those that wait */
    struct demand all, running;  /* all: that have ever come */
};

static const struct param_spec params[] = {{0}};

/* Most tokens computed for each KV token read first. */
static double rank(const struct group_work *group)
{
    return -(group->prompt_tokens + group->output_tokens) / group->kv_reads;
}

static int create(void **state, const struct param_set *set, struct error *err)
{
    (void)set;
    struct resource_aware *a = *state = calloc(1, sizeof *a);
    if (!a)
        return error_no_memory(err);
    a->groups.rank = rank;
    return 0;
}

static void destroy(void *state)
{
    prefix_groups_release(&((struct resource_aware *)state)->groups);
    free(state);
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
    if (r->preemptions == 0)
        add(&a->all, r, 1);
    return prefix_groups_join(&a->groups, r);
}

static void admitted(void *state, struct request *r)
{
    struct resource_aware *a = state;
    add(&a->running, r, 1);
    prefix_groups_leave(&a->groups, r);
}

static void withdrawn(void *state, struct request *r)
{
    prefix_groups_leave(&((struct resource_aware *)state)->groups, r);
}

static void leaves(void *state, struct request *r)
{
    add(&((struct resource_aware *)state)->running, r, -1);
}

/* Two ends of one order: the first group is heavy on compute, the last one on memory. The end that the running requests
 * have less of, by the mean of all requests, comes next. Preempted requests go before both. */
static void arrange(void *state, struct request_list *waiting)
{
    const struct resource_aware *a = state;
    struct request *first = request_at(ordered_first(a->groups.leaders));
    bool light_on_compute = a->running.compute * a->all.memory <= a->all.compute * a->running.memory;
    bool takes_first = first->preemptions > 0 || light_on_compute;
    order_bring_to_head(waiting, takes_first ? first : request_at(ordered_last(a->groups.leaders)));
}

const struct order_policy order_resource_aware = {
    .name = "resource_aware",
    .summary = "sorted by compute over memory traffic, prefix groups together, taken from either end so that what runs "
               "has the mean mix",
    .source = "BlendServe (Zhao et al. 2024, arXiv 2411.16102, sections 4.2 and 4.3)",
    .params = params,
    .create = create,
    .destroy = destroy,
    .joins = joins,
    .admitted = admitted,
    .withdrawn = withdrawn,
    .leaves = leaves,
    .arrange = arrange};

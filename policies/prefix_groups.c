/* SPDX-License-Identifier: MIT */
#include "policies/prefix_groups.h"

#include <math.h>
#include <stdlib.h>

/* Requests of one prefix group that wait, in order of arrival. */
struct prefix_group {
    struct ordered by_number;
    struct ordered place; /* its leader's: rank, and the arrival of its first request of all */
    struct group_work work;
    struct request *first, *last;
};

struct group_work group_work_of(const struct request *r)
{
    double p = r->prompt_tokens, d = r->predicted_tokens;
    return (struct group_work){.prompt_tokens = p, .output_tokens = d, .kv_reads = p * d + d * d / 2};
}

static bool is_alone(const struct request *r)
{
    return r->origin.prefix_group == 0 || r->preemptions > 0;
}

static struct prefix_group *group_of(const struct prefix_groups *groups, const struct request *r)
{
    const struct ordered wanted = {.number = r->origin.prefix_group};
    struct ordered *found = ordered_find(groups->by_number, &wanted);
    return found ? (struct prefix_group *)((char *)found - offsetof(struct prefix_group, by_number)) : NULL;
}

static struct prefix_group *new_group(struct prefix_groups *groups, const struct request *first)
{
    struct prefix_group *g = calloc(1, sizeof *g);
    if (!g)
        return NULL;
    g->by_number.number = first->origin.prefix_group;
    g->place = (struct ordered){.time = first->entered, .number = first->id};
    ordered_insert(&groups->by_number, &g->by_number);
    return g;
}

static void lead(struct prefix_groups *groups, struct request *r, const struct ordered *place)
{
    r->place = *place;
    ordered_insert(&groups->leaders, &r->place);
}

/* The prefix of the first request is every other one's, too. */
static void add_work(struct prefix_group *g, const struct request *r)
{
    struct group_work w = group_work_of(r);
    g->work.prompt_tokens += w.prompt_tokens - (g->work.prompt_tokens > 0 ? r->origin.prefix_tokens : 0);
    g->work.output_tokens += w.output_tokens;
    g->work.kv_reads += w.kv_reads;
}

int prefix_groups_join(struct prefix_groups *groups, struct request *r)
{
    struct group_work work = group_work_of(r);
    struct ordered alone = {.time = r->entered, .number = r->id};
    if (is_alone(r)) {
        alone.key = r->preemptions > 0 ? -INFINITY : groups->rank(&work);
        lead(groups, r, &alone);
        return 0;
    }
    struct prefix_group *g = group_of(groups, r);
    if (!g && !(g = new_group(groups, r)))
        return -1;
    if (g->first)
        ordered_remove(&groups->leaders, &g->first->place);
    add_work(g, r);
    g->place.key = groups->rank(&g->work);
    *(g->first ? &g->last->next_of_group : &g->first) = r;
    g->last = r;
    r->next_of_group = NULL;
    lead(groups, g->first, &g->place);
    return 0;
}

/* Takes a request out of its group's list, of which it is nearly always the first. */
static void unlink_request(struct prefix_group *g, struct request *r)
{
    struct request *before = NULL;
    for (struct request *q = g->first; q != r; q = q->next_of_group)
        before = q;
    *(before ? &before->next_of_group : &g->first) = r->next_of_group;
    if (g->last == r)
        g->last = before;
}

void prefix_groups_leave(struct prefix_groups *groups, struct request *r)
{
    if (is_alone(r)) {
        ordered_remove(&groups->leaders, &r->place);
        return;
    }
    struct prefix_group *g = group_of(groups, r);
    ordered_remove(&groups->leaders, &g->first->place);
    unlink_request(g, r);
    if (g->first) {
        lead(groups, g->first, &g->place);
        return;
    }
    ordered_remove(&groups->by_number, &g->by_number);
    free(g);
}

void prefix_groups_release(struct prefix_groups *groups)
{
    while (groups->by_number) {
        struct ordered *any = groups->by_number;
        ordered_remove(&groups->by_number, any);
        free((char *)any - offsetof(struct prefix_group, by_number));
    }
}

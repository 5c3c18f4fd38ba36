/* SPDX-License-Identifier: MIT */
#include <stdlib.h>

#include "base/array.h"
#include "policies/ordering.h"

enum { UNITS = 1000 }; /* weights in thousandths, so that counters are whole numbers and sums exact */

/* What a client has been served of: a virtual token counter. */
struct client {
    uint64_t counter;
    struct request *first, *last; /* of its requests that wait, in order of arrival, preempted ones first */
    bool moved;                   /* its counter has changed, but not yet the place of its first request */
};

struct fair {
    uint64_t prompt_weight, output_weight;
    struct client *clients; /* [capacity] by number */
    uint32_t *moved;        /* [moved_count] clients, at most all */
    size_t capacity, moved_capacity, moved_count;
    struct ordered *leaders; /* the first waiting request of each client, by the client's counter and number */
    uint64_t floor;          /* the counter of the last client that left the queue empty */
};

static const struct param_spec params[] = {
    {"prompt_weight", PARAM_NUMBER, "", 1, 0, 1000, "what a prompt token counts", NULL, NULL},
    {"output_weight", PARAM_NUMBER, "", 2, 0, 1000, "what an output token counts", NULL, NULL},
    {0},
};

static int create(void **state, const struct param_set *set, struct error *err)
{
    struct fair *f = *state = calloc(1, sizeof *f);
    if (!f)
        return error_no_memory(err);
    f->prompt_weight = (uint64_t)(param_number(set, "prompt_weight") * UNITS + 0.5);
    f->output_weight = (uint64_t)(param_number(set, "output_weight") * UNITS + 0.5);
    return 0;
}

static void destroy(void *state)
{
    struct fair *f = state;
    free(f->clients);
    free(f->moved);
    free(f);
}

static void lead(struct fair *f, uint32_t number)
{
    struct client *c = &f->clients[number];
    c->first->place = (struct ordered){.key = (double)c->counter, .number = number};
    ordered_insert(&f->leaders, &c->first->place);
}

/* Brings the places of first requests in line with their clients' counters. */
static void settle(struct fair *f)
{
    for (size_t i = 0; i < f->moved_count; i++) {
        struct client *c = &f->clients[f->moved[i]];
        c->moved = false;
        if (!c->first)
            continue;
        ordered_remove(&f->leaders, &c->first->place);
        lead(f, f->moved[i]);
    }
    f->moved_count = 0;
}

static void charge(struct fair *f, uint32_t number, uint64_t units)
{
    struct client *c = &f->clients[number];
    c->counter += units;
    if (c->moved || !c->first)
        return;
    c->moved = true;
    f->moved[f->moved_count++] = number;
}

static int make_room(struct fair *f, size_t clients)
{
    struct client *grown = array_grow(f->clients, &f->capacity, clients, sizeof *grown);
    if (!grown)
        return -1;
    f->clients = grown;
    uint32_t *moved = array_grow(f->moved, &f->moved_capacity, clients, sizeof *moved);
    if (!moved)
        return -1;
    f->moved = moved;
    return 0;
}

static void stand_in_line(struct client *c, struct request *r)
{
    bool first = !c->first || r->preemptions > 0;
    r->next_of_group = first ? c->first : NULL;
    *(first ? &c->first : &c->last->next_of_group) = r;
    if (!r->next_of_group)
        c->last = r;
}

/* A client that has not been waiting cannot have saved up: its counter is lifted to the least of those that wait (VTC,
 * algorithm 2, lines 6 to 12). */
static int joins(void *state, struct request *r)
{
    struct fair *f = state;
    uint32_t number = r->origin.client;
    if (make_room(f, (size_t)number + 1))
        return -1;
    struct client *c = &f->clients[number];
    settle(f);
    if (c->first) {
        ordered_remove(&f->leaders, &c->first->place);
    } else {
        const struct ordered *least = ordered_first(f->leaders);
        uint64_t lifted = least ? f->clients[least->number].counter : f->floor;
        c->counter = c->counter > lifted ? c->counter : lifted;
    }
    stand_in_line(c, r);
    lead(f, number);
    return 0;
}

static void take_out(struct client *c, struct request *r)
{
    struct request *before = NULL;
    for (struct request *q = c->first; q != r; q = q->next_of_group)
        before = q;
    *(before ? &before->next_of_group : &c->first) = r->next_of_group;
    if (c->last == r)
        c->last = before;
}

static void waits_no_longer(struct fair *f, struct request *r, uint64_t units)
{
    uint32_t number = r->origin.client;
    struct client *c = &f->clients[number];
    ordered_remove(&f->leaders, &c->first->place);
    take_out(c, r);
    c->counter += units;
    if (c->first)
        lead(f, number);
    else if (!f->leaders)
        f->floor = c->counter;
}

/* A prompt counts when it is first admitted. */
static void admitted(void *state, struct request *r)
{
    struct fair *f = state;
    uint64_t prompt = r->counted == 0 ? f->prompt_weight * r->prompt_tokens : 0;
    r->counted = r->counted == 0 ? 1 : r->counted;
    waits_no_longer(f, r, prompt);
}

static void withdrawn(void *state, struct request *r)
{
    struct fair *f = state;
    settle(f);
    waits_no_longer(f, r, 0);
}

static void served(void *state, struct request *r, uint32_t generated)
{
    struct fair *f = state;
    uint32_t more = generated - (r->counted - 1);
    if (more == 0)
        return;
    charge(f, r->origin.client, f->output_weight * more);
    r->counted = generated + 1;
}

static void leaves(void *state, struct request *r)
{
    served(state, r, r->generated);
}

static void arrange(void *state, struct request_list *waiting)
{
    struct fair *f = state;
    settle(f);
    order_bring_to_head(waiting, request_at(ordered_first(f->leaders)));
}

const struct order_policy order_fair = {
    .name = "fair",
    .summary = "the client that has been served least first, by virtual token counters",
    .source = "VTC (Sheng et al., OSDI 2024, algorithm 2)",
    .params = params,
    .create = create,
    .destroy = destroy,
    .joins = joins,
    .admitted = admitted,
    .withdrawn = withdrawn,
    .served = served,
    .leaves = leaves,
    .arrange = arrange,
};

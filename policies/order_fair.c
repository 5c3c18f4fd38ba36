/* SPDX-License-Identifier: MIT */
#include <stdlib.h>

#include "base/array.h"
#include "policies/ordering.h"

enum { UNITS = 1000 }; /* weights in thousandths, so that counters are whole numbers and sums exact */

/* What a client has been served of: a virtual token counter. */
struct client {
    uint64_t counter;
    uint32_t waiting; /* requests */
    uint32_t place;   /* among those who wait */
};

struct fair {
    uint64_t prompt_weight, output_weight;
    struct client *clients; /* [capacity] by number */
    uint32_t *waiting;      /* [waiting_count] clients with a request in the queue */
    size_t capacity, waiting_capacity, waiting_count;
    uint64_t floor; /* the counter of the last one who left the queue empty */
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
    free(f->waiting);
    free(f);
}

static uint64_t least_counter(const struct fair *f, uint32_t *who)
{
    uint64_t least = UINT64_MAX;
    for (size_t i = 0; i < f->waiting_count; i++) {
        uint32_t client = f->waiting[i];
        uint64_t counter = f->clients[client].counter;
        if (counter < least || (counter == least && client < *who)) {
            least = counter;
            *who = client;
        }
    }
    return least;
}

/* Who has not been waiting cannot have saved up: its counter is lifted to the least of those who wait (VTC, algorithm
 * 2, lines 6 to 12). */
static int joins(void *state, struct request *r)
{
    struct fair *f = state;
    uint32_t number = r->origin.client, who = 0;
    struct client *grown = array_grow(f->clients, &f->capacity, (size_t)number + 1, sizeof *grown);
    if (!grown)
        return -1;
    f->clients = grown;
    struct client *c = &grown[number];
    if (c->waiting++ > 0)
        return 0;
    uint32_t *list = array_grow(f->waiting, &f->waiting_capacity, f->waiting_count + 1, sizeof *list);
    if (!list)
        return -1;
    f->waiting = list;
    uint64_t least = f->waiting_count > 0 ? least_counter(f, &who) : f->floor;
    c->counter = c->counter > least ? c->counter : least;
    c->place = (uint32_t)f->waiting_count;
    list[f->waiting_count++] = number;
    return 0;
}

/* A prompt counts when it is first admitted; order_key is how many output tokens have been counted, and one. */
static void admitted(void *state, struct request *r)
{
    struct fair *f = state;
    struct client *c = &f->clients[r->origin.client];
    if (r->order_key == 0) {
        r->order_key = 1;
        c->counter += f->prompt_weight * r->prompt_tokens;
    }
    if (--c->waiting > 0)
        return;
    uint32_t last = f->waiting[--f->waiting_count];
    f->waiting[c->place] = last;
    f->clients[last].place = c->place;
    if (f->waiting_count == 0)
        f->floor = c->counter;
}

static void served(void *state, struct request *r, uint32_t generated)
{
    struct fair *f = state;
    uint32_t counted = (uint32_t)r->order_key - 1;
    f->clients[r->origin.client].counter += f->output_weight * (generated - counted);
    r->order_key = generated + 1.0;
}

static void leaves(void *state, struct request *r)
{
    served(state, r, r->generated);
}

static void arrange(void *state, struct request_list *waiting)
{
    struct fair *f = state;
    uint32_t who = UINT32_MAX;
    least_counter(f, &who);
    struct request *r = waiting->head;
    while (r->origin.client != who)
        r = r->next;
    if (r == waiting->head)
        return;
    request_list_remove(waiting, r);
    request_list_insert(waiting, r, waiting->head);
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
    .served = served,
    .leaves = leaves,
    .arrange = arrange,
};

/* SPDX-License-Identifier: MIT */
#include "engine_ref/stamps.h"

#include <stdlib.h>
#include <string.h>

#include "base/array.h"

void stamps_release(struct stamps *s)
{
    free(s->items);
    *s = (struct stamps){0};
}

static void finished(void *state, struct station_id station, const struct request *r)
{
    struct stamps *s = state;
    (void)station;
    struct request_stamps *grown = array_grow(s->items, &s->capacity, s->count + 1, sizeof *grown);
    if (!grown) {
        s->out_of_memory = true;
        return;
    }
    s->items = grown;
    struct request_stamps *own = &grown[s->count++];
    *own = (struct request_stamps){.id = r->id,
                                   .arrival = r->arrival,
                                   .first_scheduled = r->first_scheduled,
                                   .first_token = r->first_token,
                                   .last_token = r->last_token,
                                   .taken_over = r->taken_over,
                                   .output_tokens = r->output_tokens,
                                   .preemptions = r->preemptions};
    memcpy(own->parts, r->parts, sizeof own->parts);
}

struct observer stamps_observer(struct stamps *s)
{
    return (struct observer){.state = s, .finished = finished};
}

static sim_time apart(sim_time most, sim_time a, sim_time b)
{
    sim_time d = a > b ? a - b : b - a;
    return d > most ? d : most;
}

static sim_time request_difference(const struct request_stamps *a, const struct request_stamps *b)
{
    if (a->id != b->id || a->output_tokens != b->output_tokens || a->preemptions != b->preemptions)
        return SIM_TIME_NEVER;
    sim_time most = apart(0, a->arrival, b->arrival);
    most = apart(most, a->first_scheduled, b->first_scheduled);
    most = apart(most, a->first_token, b->first_token);
    most = apart(most, a->last_token, b->last_token);
    most = apart(most, a->taken_over, b->taken_over);
    for (int p = 0; p < PART_COUNT; p++)
        most = apart(most, a->parts[p], b->parts[p]);
    return most;
}

sim_time stamps_difference(const struct stamps *a, const struct stamps *b)
{
    if (a->count != b->count || a->out_of_memory || b->out_of_memory)
        return SIM_TIME_NEVER;
    sim_time most = 0;
    for (size_t i = 0; i < a->count; i++) {
        sim_time d = request_difference(&a->items[i], &b->items[i]);
        most = d > most ? d : most;
    }
    return most;
}

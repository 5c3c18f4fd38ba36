/* SPDX-License-Identifier: MIT */
#include "engine_ref/reference.h"

#include <math.h>
#include <stdlib.h>

#include "base/array.h"

enum { WARM_UP = 3, MOST_AT_ONCE = 50 };

/* Every sequence's last token of the one block, so that all read the same keys and values. */
static int make_step(struct reference *r, const struct instance *e, struct error *err)
{
    uint32_t last = e->limits.block_tokens - 1;
    r->block = (uint32_t)e->limits.blocks - 1;
    step_clear(&r->step);
    for (uint32_t i = 0; i < REFERENCE_SEQUENCES; i++) {
        const struct step_row row = {.position = last, .slot = r->block * e->limits.block_tokens + last};
        const struct paged_span span = {i, 1, last, last + 1, &r->block, true};
        if (step_add_row(&r->step, row) || step_add_span(&r->step, span) ||
            step_add_output(&r->step, (struct step_output){.row = i}))
            return error_no_memory(err);
    }
    return 0;
}

static int note_second(struct reference *r, double ns, double wall_ns, int64_t now, struct error *err)
{
    uint32_t at_s = (uint32_t)((now - r->began_ns) / 1000000000);
    if (r->second_count == 0 || r->seconds[r->second_count - 1].at_s != at_s) {
        struct reference_second *grown =
            array_grow(r->seconds, &r->second_capacity, r->second_count + 1, sizeof *grown);
        if (!grown)
            return error_no_memory(err);
        r->seconds = grown;
        grown[r->second_count++] = (struct reference_second){.at_s = at_s};
    }
    struct reference_second *s = &r->seconds[r->second_count - 1];
    s->count++;
    s->ns += (ns - s->ns) / s->count;
    s->wall_ns += (wall_ns - s->wall_ns) / s->count;
    return 0;
}

/* Once. */
static int measure(struct reference *r, struct instance *e, double *ns, struct error *err)
{
    int64_t wall = clock_ns(), cpu = clock_cpu_ns();
    if (e->backend->run(e->state, &r->step, e->next_tokens, err))
        return -1;
    int64_t now = clock_ns();
    *ns = (double)(r->cpu_time ? clock_cpu_ns() - cpu : now - wall);
    double kept = exp2(-(double)(now - r->last_ns) * 1e-9 / REFERENCE_HALF_LIFE_S);
    r->weight = r->weight * kept + 1;
    r->weighted_ns = r->weighted_ns * kept + *ns;
    r->last_ns = now;
    return note_second(r, *ns, (double)(now - wall), now, err);
}

int reference_create(struct reference *r, struct instance *e, bool cpu_time, double most_s, struct error *err)
{
    *r = (struct reference){.cpu_time = cpu_time, .began_ns = clock_ns(), .last_ns = clock_ns()};
    if (make_step(r, e, err))
        return -1;
    double sum = 0, ns;
    int64_t begin = clock_ns();
    for (int n = -WARM_UP; n <= 0 || (double)(clock_ns() - begin) * 1e-9 < most_s; n++) {
        if (measure(r, e, &ns, err))
            return -1;
        sum = n < 0 ? 0 : sum + ns;
        r->standard_ns = n < 0 ? ns : sum / (n + 1);
    }
    return 0;
}

void reference_release(struct reference *r)
{
    step_release(&r->step);
    free(r->seconds);
    *r = (struct reference){0};
}

int reference_catch_up(struct reference *r, struct instance *e, int64_t ns, struct error *err)
{
    r->debt_ns += REFERENCE_SHARE * (double)ns;
    if (r->debt_ns < r->standard_ns)
        return 0;
    if (make_step(r, e, err))
        return -1;
    for (int i = 0; i < MOST_AT_ONCE && r->debt_ns >= r->standard_ns; i++) {
        double own;
        if (measure(r, e, &own, err))
            return -1;
        r->debt_ns -= own;
    }
    return 0;
}

double reference_slowness(const struct reference *r)
{
    return r->weight > 0 ? r->weighted_ns / r->weight / r->standard_ns : 1;
}

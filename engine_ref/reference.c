/* SPDX-License-Identifier: MIT */
#include "engine_ref/reference.h"

#include <math.h>
#include <stdlib.h>

#include "base/array.h"

enum { WARM_UP = 2, MOST_AT_ONCE = 40, MANY_ROWS = 32 };

/* Every sequence's last token of the one block, so that all read the same keys and values. */
static int make_decodes(struct reference *r, struct step *s, const struct instance *e, struct error *err)
{
    uint32_t last = e->limits.block_tokens - 1;
    for (uint32_t i = 0; i < REFERENCE_SEQUENCES; i++) {
        const struct step_row row = {.position = last, .slot = r->block * e->limits.block_tokens + last};
        const struct paged_span span = {i, 1, last, last + 1, &r->block, true};
        if (step_add_row(s, row) || step_add_span(s, span) || step_add_output(s, (struct step_output){.row = i}))
            return error_no_memory(err);
    }
    return 0;
}

static int make_prompt(struct step *s, const struct instance *e, struct error *err)
{
    uint32_t rows = e->limits.rows < REFERENCE_PROMPT ? (uint32_t)e->limits.rows : REFERENCE_PROMPT;
    for (uint32_t i = 0; i < rows; i++)
        if (step_add_row(s, (struct step_row){.position = i, .slot = NO_SLOT, .prompt = 1}))
            return error_no_memory(err);
    return step_add_square(s, (struct square_span){0, rows}) ||
                   step_add_output(s, (struct step_output){.row = rows - 1})
               ? error_no_memory(err)
               : 0;
}

static int make_step(struct reference *r, enum reference_kind kind, const struct instance *e, struct error *err)
{
    struct step *s = &r->steps[kind].step;
    step_clear(s);
    r->block = (uint32_t)e->limits.blocks - 1;
    return kind == REFERENCE_FEW_ROWS ? make_decodes(r, s, e, err) : make_prompt(s, e, err);
}

static int note_second(struct reference_step *s, uint32_t at_s, double ns, double wall_ns, struct error *err)
{
    if (s->second_count == 0 || s->seconds[s->second_count - 1].at_s != at_s) {
        struct reference_second *grown =
            array_grow(s->seconds, &s->second_capacity, s->second_count + 1, sizeof *grown);
        if (!grown)
            return error_no_memory(err);
        s->seconds = grown;
        grown[s->second_count++] = (struct reference_second){.at_s = at_s};
    }
    struct reference_second *last = &s->seconds[s->second_count - 1];
    last->count++;
    last->ns += (ns - last->ns) / last->count;
    last->wall_ns += (wall_ns - last->wall_ns) / last->count;
    return 0;
}

/* Once; what it took. */
static int measure(struct reference *r, enum reference_kind kind, struct instance *e, bool counts, double *ns,
                   struct error *err)
{
    struct reference_step *s = &r->steps[kind];
    int64_t cpu = clock_cpu_ns(), wall = clock_ns();
    if (e->backend->run(e->state, &s->step, e->next_tokens, err))
        return -1;
    int64_t now = clock_ns();
    *ns = (double)(r->cpu_time ? clock_cpu_ns() - cpu : now - wall);
    if (!counts)
        return 0;
    double kept = exp2(-(double)(now - s->last_ns) * 1e-9 / REFERENCE_HALF_LIFE_S);
    s->weight = s->weight * kept + 1;
    s->weighted_ns = s->weighted_ns * kept + *ns;
    s->last_ns = now;
    return note_second(s, (uint32_t)((now - r->began_ns) / 1000000000), *ns, (double)(now - wall), err);
}

static int set_standard(struct reference *r, enum reference_kind kind, struct instance *e, double most_s,
                        struct error *err)
{
    struct reference_step *s = &r->steps[kind];
    if (make_step(r, kind, e, err))
        return -1;
    double sum = 0, ns;
    int64_t begin = s->last_ns = clock_ns();
    for (int n = -WARM_UP; n <= 0 || (double)(clock_ns() - begin) * 1e-9 < most_s; n++) {
        if (measure(r, kind, e, n >= 0, &ns, err))
            return -1;
        sum += n >= 0 ? ns : 0;
        s->standard_ns = n >= 0 ? sum / (n + 1) : ns;
    }
    return 0;
}

int reference_create(struct reference *r, struct instance *e, bool cpu_time, double each_s, struct error *err)
{
    *r = (struct reference){.cpu_time = cpu_time, .began_ns = clock_ns()};
    return set_standard(r, REFERENCE_FEW_ROWS, e, each_s, err) || set_standard(r, REFERENCE_MANY_ROWS, e, each_s, err)
               ? -1
               : 0;
}

void reference_release(struct reference *r)
{
    for (int k = 0; k < REFERENCE_KINDS; k++) {
        step_release(&r->steps[k].step);
        free(r->steps[k].seconds);
    }
    *r = (struct reference){0};
}

enum reference_kind reference_of(uint64_t rows)
{
    return rows > MANY_ROWS ? REFERENCE_MANY_ROWS : REFERENCE_FEW_ROWS;
}

void reference_owe(struct reference *r, enum reference_kind kind, int64_t ns)
{
    r->steps[kind].debt_ns += REFERENCE_SHARE * (double)ns;
}

int reference_catch_up(struct reference *r, enum reference_kind kind, struct instance *e, struct error *err)
{
    struct reference_step *s = &r->steps[kind];
    if (s->debt_ns < s->standard_ns)
        return 0;
    if (make_step(r, kind, e, err))
        return -1;
    for (int i = 0; i < MOST_AT_ONCE && s->debt_ns >= s->standard_ns; i++) {
        double ns;
        if (measure(r, kind, e, true, &ns, err))
            return -1;
        s->debt_ns -= ns;
    }
    return 0;
}

double reference_slowness(const struct reference *r, enum reference_kind kind)
{
    const struct reference_step *s = &r->steps[kind];
    return s->weight > 0 ? s->weighted_ns / s->weight / s->standard_ns : 1;
}

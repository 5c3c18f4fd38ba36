/* SPDX-License-Identifier: MIT */
#include "workloads/program_source.h"

#include <stdlib.h>

#include "base/array.h"
#include "base/ordered.h"
#include "base/random.h"

enum { PIECE_TOKENS = 16 }; /* of hashes that are made up here */

/* A step of a program under way. */
struct live_step {
    struct ordered place; /* among those that are ready, by time */
    struct live *live;
    sim_time ready; /* so far: the latest answer that it waits for, and what it waits after that */
    uint32_t waits; /* for so many answers yet */
    uint32_t unit_count;
    uint64_t *units; /* [unit_count] what its prompt and its answer hold, each with all before it; made when it is
                        ready */
};

struct live {
    const struct program *program;
    uint64_t session;
    uint32_t out; /* steps that are ready, or have come, and are not answered */
    uint32_t answered;
    bool failed;              /* a step was refused, or lost: those that wait for it never come */
    struct live_step steps[]; /* [program->count] */
};

struct program_source {
    struct programs programs;
    struct program_play play;
    sim_time pass_length; /* to one mean gap after the last program, unscaled */
    uint64_t begun, total;
    uint64_t under_way;
    sim_time lane_free; /* when a lane was left last */
    struct live **live; /* [begun] by session; NULL: it has ended */
    size_t live_capacity;
    struct session_record *records; /* [begun] */
    size_t record_capacity;
    struct ordered *ready;
    struct live_step *given; /* the last one that came out */
    uint64_t numbers;
};

static const struct program_step *spec_of(const struct program_source *s, const struct live_step *step)
{
    return &s->programs.steps[step->live->program->first + (size_t)(step - step->live->steps)];
}

static void live_destroy(struct live *live)
{
    for (uint32_t i = 0; live && i < live->program->count; i++)
        free(live->steps[i].units);
    free(live);
}

static void source_destroy(void *state)
{
    struct program_source *s = state;
    for (uint64_t i = 0; s->live && i < s->begun; i++)
        live_destroy(s->live[i]);
    free(s->live);
    free(s->records);
    programs_release(&s->programs);
    free(s);
}

static void make_ready(struct program_source *s, struct live_step *step, sim_time at)
{
    step->live->out++;
    step->place = (struct ordered){.time = at, .number = s->numbers++};
    ordered_insert(&s->ready, &step->place);
}

/* When a program is to begin by the trace, and without lanes does. */
static sim_time time_of(const struct program_source *s, uint64_t number)
{
    uint64_t pass = number / s->programs.count;
    sim_time at = s->programs.items[number % s->programs.count].at + (sim_time)pass * s->pass_length;
    return s->play.rate_scale == 1 ? at : (sim_time)((double)at / s->play.rate_scale + 0.5);
}

static int begin(struct program_source *s, sim_time at, struct error *err)
{
    const struct program *p = &s->programs.items[s->begun % s->programs.count];
    struct live **grown = array_grow(s->live, &s->live_capacity, s->begun + 1, sizeof *grown);
    if (!grown)
        return error_no_memory(err);
    s->live = grown;
    struct session_record *records = array_grow(s->records, &s->record_capacity, s->begun + 1, sizeof *records);
    if (!records)
        return error_no_memory(err);
    s->records = records;
    struct live *live = calloc(1, sizeof *live + p->count * sizeof *live->steps);
    if (!live)
        return error_no_memory(err);
    live->program = p;
    records[s->begun] = (struct session_record){.began = at, .ended = at};
    grown[s->begun++] = live;
    live->session = s->begun;
    s->under_way++;
    for (uint32_t i = 0; i < p->count; i++) {
        const struct program_step *spec = &s->programs.steps[p->first + i];
        live->steps[i] = (struct live_step){.live = live, .waits = spec->after_count};
        if (spec->after_count == 0)
            make_ready(s, &live->steps[i], at + spec->at);
    }
    return 0;
}

/* Programs that begin before whatever is ready, or as many as there are lanes. */
static int begin_due(struct program_source *s, struct error *err)
{
    while (s->begun < s->total) {
        const struct ordered *first = ordered_first(s->ready);
        bool due = s->play.lanes > 0 ? s->under_way < s->play.lanes : !first || time_of(s, s->begun) <= first->time;
        if (!due)
            return 0;
        if (begin(s, s->play.lanes > 0 ? s->lane_free : time_of(s, s->begun), err))
            return -1;
    }
    return 0;
}

/* What a step's prompt and answer hold: what it has from the step that it waits for first, or from its prefix group,
 * then its own. One hash more than the prompt has pieces, so that they cover the answer (content.h). */
static int make_units(struct program_source *s, struct live_step *step, struct error *err)
{
    const struct program_step *spec = spec_of(s, step);
    uint64_t tokens = (uint64_t)spec->prompt_tokens + spec->output_tokens;
    uint64_t whole = tokens / PIECE_TOKENS, prompt = (spec->prompt_tokens + PIECE_TOKENS - 1) / PIECE_TOKENS;
    const struct live_step *before = NULL;
    if (step->units || spec->hash_count > 0)
        return 0;
    step->unit_count = (uint32_t)(whole > prompt ? whole : prompt) + 1;
    step->units = malloc(step->unit_count * sizeof *step->units);
    if (!step->units)
        return error_no_memory(err);
    if (spec->after_count > 0)
        before = &step->live->steps[s->programs.links[spec->first_after].step];
    uint64_t own = random_mix(random_mix(step->live->session) + (uint64_t)(step - step->live->steps));
    uint64_t group = random_mix(~(uint64_t)spec->origin.prefix_group);
    for (uint32_t i = 0; i < step->unit_count; i++) {
        uint64_t end = ((uint64_t)i + 1) * PIECE_TOKENS;
        bool inherited = before && before->units && i < before->unit_count && end <= spec->context_tokens;
        step->units[i] = inherited                           ? before->units[i]
                         : end <= spec->origin.prefix_tokens ? random_mix(group + i)
                                                             : random_mix(own + i);
    }
    return 0;
}

static int give(struct program_source *s, struct live_step *step, struct arrival *out, struct error *err)
{
    const struct program_step *spec = spec_of(s, step);
    if (make_units(s, step, err))
        return -1;
    *out = (struct arrival){.at = step->place.time,
                            .prompt_tokens = spec->prompt_tokens,
                            .output_tokens = spec->output_tokens,
                            .max_output_tokens = spec->max_output_tokens,
                            .origin = spec->origin,
                            .hashes = spec->hash_count ? &s->programs.hashes[spec->first_hash] : step->units,
                            .hash_count = spec->hash_count ? spec->hash_count : step->unit_count,
                            .hash_tokens = spec->hash_count ? spec->hash_tokens : PIECE_TOKENS};
    out->origin.session = step->live->session;
    out->origin.turn = (uint32_t)(step - step->live->steps) + 1;
    return 1;
}

static int source_next(void *state, struct arrival *out, struct error *err)
{
    struct program_source *s = state;
    if (begin_due(s, err))
        return -1;
    struct ordered *first = ordered_first(s->ready);
    if (!first)
        return s->under_way > 0 ? SOURCE_WAITS : 0;
    ordered_remove(&s->ready, first);
    s->given = (struct live_step *)first;
    struct session_record *record = &s->records[s->given->live->session - 1];
    record->turns++;
    record->tools += spec_of(s, s->given)->tool;
    return give(s, s->given, out, err);
}

static void source_put_back(void *state)
{
    struct program_source *s = state;
    struct session_record *record = &s->records[s->given->live->session - 1];
    record->turns--;
    record->tools -= spec_of(s, s->given)->tool;
    ordered_insert(&s->ready, &s->given->place);
    s->given = NULL;
}

static void release_next(struct program_source *s, const struct program_step *spec, struct live *live, sim_time at)
{
    for (uint32_t i = 0; i < spec->next_count; i++) {
        const struct program_link *link = &s->programs.links[spec->first_next + i];
        struct live_step *next = &live->steps[link->step];
        if (at + link->delay > next->ready)
            next->ready = at + link->delay;
        const struct program_step *it = spec_of(s, next);
        if (--next->waits == 0)
            make_ready(s, next, next->ready + it->delay + it->tool);
    }
}

static void source_finished(void *state, const struct request *r, sim_time at)
{
    struct program_source *s = state;
    struct live *live = s->live[r->origin.session - 1];
    struct session_record *record = &s->records[live->session - 1];
    const struct live_step *step = &live->steps[r->origin.turn - 1];
    live->out--;
    record->ended = at;
    if (r->generated < r->output_tokens) {
        live->failed = true;
    } else {
        live->answered++;
        record->answered++;
    }
    if (!live->failed)
        release_next(s, spec_of(s, step), live, at);
    record->complete = live->answered == live->program->count;
    if (live->out > 0)
        return;
    s->live[live->session - 1] = NULL;
    live_destroy(live);
    s->under_way--;
    s->lane_free = at;
}

static const struct session_record *source_sessions(void *state, size_t *count)
{
    const struct program_source *s = state;
    *count = s->begun;
    return s->records;
}

int program_source_create(struct programs *programs, const struct program_play *play, struct request_source *out,
                          struct error *err)
{
    struct program_source *s = calloc(1, sizeof *s);
    if (!s) {
        programs_release(programs);
        return error_no_memory(err);
    }
    s->programs = *programs;
    *programs = (struct programs){0};
    s->play = *play;
    s->total = s->programs.count * play->times;
    sim_time last = s->programs.items[s->programs.count - 1].at;
    s->pass_length = last + last / (sim_time)s->programs.count;
    *out = (struct request_source){.next = source_next,
                                   .finished = source_finished,
                                   .put_back = source_put_back,
                                   .sessions = source_sessions,
                                   .destroy = source_destroy,
                                   .state = s};
    return 0;
}

/* SPDX-License-Identifier: MIT */
/* Programs as lines of our JSONL. */
#include "workloads/trace.h"

static int write_time(FILE *out, const char *key, sim_time at)
{
    return fprintf(out, "\"%s\": %lld.%09lld", key, (long long)(at / 1000000000), (long long)(at % 1000000000));
}

/* Requests are named by their program and their place there. */
static int write_waits(FILE *out, const struct programs *p, size_t program, const struct program_step *step)
{
    int written = fprintf(out, ", \"after\": [");
    for (uint32_t i = 0; written >= 0 && i < step->after_count; i++) {
        const struct program_link *link = &p->links[step->first_after + i];
        written = fprintf(out, "%s{\"id\": \"%zu.%u\", ", i ? ", " : "", program, link->step);
        if (written >= 0)
            written = write_time(out, "delay_s", link->delay);
        if (written >= 0)
            written = fputs("}", out);
    }
    return written < 0 ? -1 : fprintf(out, "], \"context_tokens\": %u", step->context_tokens);
}

static int write_step(FILE *out, const struct programs *p, size_t program, uint32_t place)
{
    const struct program_step *step = &p->steps[p->items[program].first + place];
    struct arrival a = {.at = p->items[program].at + step->at,
                        .prompt_tokens = step->prompt_tokens,
                        .output_tokens = step->output_tokens,
                        .max_output_tokens = step->max_output_tokens,
                        .origin = step->origin,
                        .hashes = &p->hashes[step->first_hash],
                        .hash_count = step->hash_count,
                        .hash_tokens = step->hash_tokens};
    a.origin.session = program + 1;
    int written = fprintf(out, "{\"id\": \"%zu.%u\", ", program, place);
    if (written >= 0 && step->after_count == 0)
        written = write_time(out, "arrival_s", a.at) < 0 ? -1 : fprintf(out, ", ");
    if (written >= 0 && trace_write_members(out, &a))
        written = -1;
    if (written >= 0 && step->after_count > 0)
        written = write_waits(out, p, program, step);
    const struct {
        const char *key;
        sim_time value;
    } waits[] = {{"delay_s", step->delay}, {"tool_s", step->tool}};
    for (int i = 0; i < 2; i++)
        if (written >= 0 && waits[i].value > 0)
            written = fputs(", ", out) < 0 ? -1 : write_time(out, waits[i].key, waits[i].value);
    return written >= 0 && fputs("}\n", out) >= 0 ? 0 : -1;
}

int programs_write(FILE *out, const struct programs *p)
{
    for (size_t i = 0; i < p->count; i++)
        for (uint32_t k = 0; k < p->items[i].count; k++)
            if (write_step(out, p, i, k))
                return -1;
    return 0;
}

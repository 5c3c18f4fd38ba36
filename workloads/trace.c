/* SPDX-License-Identifier: MIT */
#include "workloads/trace.h"

#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "workloads/trace_blocks.h"
#include "workloads/trace_row.h"

/* How far the block size is looked for before the first request is given out. */
enum { AHEAD_REQUESTS = 4096, AHEAD_HASHES = 1 << 18 };

/* Requests that were read to learn the block size. */
struct ahead {
    struct arrival *items; /* [count]; their hashes stand in `hashes` */
    size_t next, count, capacity;
    uint64_t *hashes;
    size_t hash_count, hash_capacity;
};

struct trace {
    struct lines *lines;
    char *file;
    struct trace_row row;
    bool pending; /* the row's line is not yet read as a request */
    sim_time first, last;
    struct trace_blocks blocks;
    struct ahead ahead;
};

const struct trace_format *const trace_formats[] = {&trace_format_azure,    &trace_format_bailian,
                                                    &trace_format_burstgpt, &trace_format_llmservingsim,
                                                    &trace_format_mooncake, &trace_format_splitwise,
                                                    &trace_format_stamps,   &trace_format_tandem,
                                                    &trace_format_vidur,    NULL};

const char *const time_unit_names[TIME_UNITS] = {"s", "ms", "us", "ns"};

bool trace_format_at(size_t index, struct named *out)
{
    const struct trace_format *f = trace_formats[index];
    if (f)
        *out = (struct named){.name = f->name, .summary = f->summary};
    return f != NULL;
}

bool time_unit_at(size_t index, struct named *out)
{
    if (index == TIME_UNITS)
        return false;
    *out = (struct named){.name = time_unit_names[index]};
    return true;
}

int trace_write_members(FILE *out, const struct arrival *a)
{
    int written = fprintf(out, "\"prompt_tokens\": %u, \"output_tokens\": %u", a->prompt_tokens, a->output_tokens);
    const struct origin *o = &a->origin;
    if (written >= 0 && a->max_output_tokens)
        written = fprintf(out, ", \"max_output_tokens\": %u", a->max_output_tokens);
    if (written >= 0 && o->priority)
        written = fprintf(out, ", \"priority\": %u", o->priority);
    if (written >= 0 && o->client)
        written = fprintf(out, ", \"client\": %u", o->client);
    if (written >= 0 && o->session)
        written = fprintf(out, ", \"session\": %llu", (unsigned long long)o->session);
    if (written >= 0 && o->prefix_group)
        written = fprintf(out, ", \"prefix_group\": %u, \"prefix_tokens\": %u", o->prefix_group, o->prefix_tokens);
    for (uint32_t i = 0; written >= 0 && i < a->hash_count; i++)
        written = fprintf(out, "%s%llu", i ? ", " : ", \"hash_ids\": [", (unsigned long long)a->hashes[i]);
    if (written >= 0 && a->hash_count)
        written = fprintf(out, "], \"hash_tokens\": %u", a->hash_tokens);
    return written >= 0 ? 0 : -1;
}

int trace_write_line(FILE *out, const struct arrival *a)
{
    int written =
        fprintf(out, "{\"arrival_s\": %lld.%09lld, ", (long long)(a->at / 1000000000), (long long)(a->at % 1000000000));
    return written >= 0 && trace_write_members(out, a) == 0 && fputs("}\n", out) >= 0 ? 0 : -1;
}

int trace_complain(const struct trace_row *row, size_t column, const char *expected, const char *found,
                   struct error *err)
{
    char shown[48];
    snprintf(shown, sizeof shown, "%.40s", found);
    for (char *c = shown; *c; c++)
        *c = *c >= ' ' && *c <= '~' ? *c : '?';
    return error_set(err, ERROR_INPUT, "%s:%ld:%zu: expected %s in a trace of format %s, found \"%s\"", row->file,
                     row->line.number, column, expected, row->format->name, shown);
}

/* The next line as a request, in order. 1, 0 at the end, -1 on error. */
static int read_request(struct trace *t, struct arrival *out, struct error *err)
{
    struct trace_row *row = &t->row;
    if (!t->pending) {
        int got = (row->format->read_header ? lines_next_record : lines_next)(t->lines, &row->line, err);
        if (got != 1)
            return got;
    }
    t->pending = false;
    *out = (struct arrival){0};
    if (row->format->read(row, out, err))
        return -1;
    if (row->is_first)
        t->first = t->last = out->at;
    row->is_first = false;
    if (out->at < t->last)
        return error_set(err, ERROR_INPUT, "%s:%ld: arrives %.6f s before the line above; a trace is in arrival order",
                         t->file, row->line.number, sim_time_to_s(t->last - out->at));
    t->last = out->at;
    out->at -= t->first;
    return 1;
}

static int add_to_blocks(struct trace *t, const struct arrival *a, struct error *err)
{
    struct block_count count = {.line = t->row.line.number, .ids = a->hash_count, .tokens = a->prompt_tokens};
    return a->hash_count ? trace_blocks_add(&t->blocks, t->file, &count, err) : 0;
}

static int keep(struct ahead *ahead, const struct arrival *a, struct error *err)
{
    struct arrival *items = array_grow(ahead->items, &ahead->capacity, ahead->count + 1, sizeof *items);
    if (!items)
        return error_no_memory(err);
    ahead->items = items;
    size_t hashes_needed = ahead->hash_count + a->hash_count;
    uint64_t *hashes = array_grow(ahead->hashes, &ahead->hash_capacity, hashes_needed, sizeof *hashes);
    if (!hashes)
        return error_no_memory(err);
    ahead->hashes = hashes;
    items[ahead->count++] = *a;
    for (uint32_t i = 0; i < a->hash_count; i++)
        hashes[ahead->hash_count++] = a->hashes[i];
    return 0;
}

/* Reads on from the first request that has hash ids until they show the block size, or for so long that it has to be
 * the format's. */
static int look_ahead(struct trace *t, const struct arrival *first, struct error *err)
{
    struct ahead *ahead = &t->ahead;
    struct arrival a = *first;
    int got = 1;
    for (bool shown = false; got == 1 && !shown;) {
        if (add_to_blocks(t, &a, err) || keep(ahead, &a, err))
            return -1;
        struct block_range left = trace_blocks_left(&t->blocks);
        shown = left.least == left.most || ahead->count == AHEAD_REQUESTS || ahead->hash_count >= AHEAD_HASHES;
        if (!shown)
            got = read_request(t, &a, err);
    }
    if (got < 0 || trace_blocks_settle(&t->blocks, t->file, err))
        return -1;
    const uint64_t *hashes = ahead->hashes;
    for (size_t i = 0; i < ahead->count; i++) {
        ahead->items[i].hashes = hashes;
        ahead->items[i].hash_tokens = t->blocks.tokens;
        hashes += ahead->items[i].hash_count;
    }
    return 0;
}

static int trace_next(void *state, struct arrival *out, struct error *err)
{
    struct trace *t = state;
    if (t->ahead.next < t->ahead.count) {
        *out = t->ahead.items[t->ahead.next++];
        return 1;
    }
    int got = read_request(t, out, err);
    if (got != 1 || out->hash_count == 0 || t->row.format->block_tokens == 0)
        return got;
    if (t->blocks.tokens == 0) {
        if (look_ahead(t, out, err))
            return -1;
        *out = t->ahead.items[t->ahead.next++];
        return 1;
    }
    out->hash_tokens = t->blocks.tokens;
    return add_to_blocks(t, out, err) ? -1 : 1;
}

static void trace_destroy(void *state)
{
    struct trace *t = state;
    if (t->lines)
        lines_close(t->lines);
    csv_fields_release(&t->row.fields);
    free(t->row.hashes.ids);
    free(t->row.hashes.rest);
    free(t->ahead.items);
    free(t->ahead.hashes);
    free(t->file);
    free(t);
}

static int find_format(struct trace *t, const char *name, struct error *err)
{
    const struct trace_format *found = NULL;
    for (const struct trace_format *const *f = trace_formats; *f; f++) {
        if (name ? strcmp((*f)->name, name) != 0 : !(*f)->detect(t->row.line.text))
            continue;
        if (found)
            return error_set(err, ERROR_INPUT,
                             "%s:%ld: has the keys of a %s and of a %s trace; state its format (workload.format, trace "
                             "--format)",
                             t->file, t->row.line.number, found->name, (*f)->name);
        found = *f;
    }
    t->row.format = found;
    if (found)
        return 0;
    if (name)
        return error_set(err, ERROR_INPUT,
                         "%s: unknown trace format \"%s\"; allowed: azure, bailian, burstgpt, "
                         "llmservingsim, mooncake, splitwise, stamps, tandem, vidur",
                         t->file, name);
    return error_set(
        err, ERROR_INPUT,
        "%s:%ld: not a trace format known here (azure, bailian, burstgpt, llmservingsim, mooncake, splitwise, "
        "stamps, tandem, vidur), found \"%.40s\"",
        t->file, t->row.line.number, t->row.line.text);
}

static int state_unit(struct trace *t, const char *name, struct error *err)
{
    const struct trace_format *format = t->row.format;
    if (format->unit_in_key || format->unit == TIME_DATES)
        return error_set(err, ERROR_INPUT,
                         "%s: time_unit: expected only where neither keys nor stamps say it (bailian, burstgpt, "
                         "mooncake, splitwise, stamps, vidur), found "
                         "\"%s\" with a trace of format %s",
                         t->file, name, format->name);
    for (int u = 0; u < TIME_UNITS; u++)
        if (strcmp(time_unit_names[u], name) == 0) {
            t->row.unit = (enum time_unit)u;
            t->row.unit_stated = true;
            return 0;
        }
    return error_set(err, ERROR_INPUT, "%s: unknown time unit \"%s\"; allowed: s, ms, us, ns", t->file, name);
}

static int apply_options(struct trace *t, const struct trace_options *o, struct error *err)
{
    const struct trace_format *format = t->row.format;
    t->row.unit = format->unit;
    if (o->time_unit && state_unit(t, o->time_unit, err))
        return -1;
    if (o->block_tokens && !format->block_tokens)
        return error_set(
            err, ERROR_INPUT,
            "%s: block_tokens: expected only with a mooncake or bailian trace, found %lld with a trace of format %s",
            t->file, o->block_tokens, format->name);
    trace_blocks_init(&t->blocks, format->block_tokens, (uint32_t)o->block_tokens);
    return 0;
}

/* Reads up to the first request, so that a trace without any is found out at once. */
static int begin(struct trace *t, const struct trace_options *o, struct error *err)
{
    int got = lines_next(t->lines, &t->row.line, err);
    if (got == 0)
        return error_set(err, ERROR_INPUT, "%s: is empty, expected a trace", t->file);
    if (got < 0 || find_format(t, o->format, err) || apply_options(t, o, err))
        return -1;
    if (t->row.format->read_header) {
        if (t->row.format->read_header(&t->row, err))
            return -1;
        got = lines_next_record(t->lines, &t->row.line, err);
    }
    t->pending = t->row.is_first = true;
    return got == 0 ? error_set(err, ERROR_INPUT, "%s: has a header and no requests", t->file) : got < 0 ? -1 : 0;
}

int trace_open(const char *file, const struct trace_options *options, struct request_source *out, struct error *err)
{
    static const struct trace_options none = {0};
    struct trace *t = calloc(1, sizeof *t);
    if (!t)
        return error_no_memory(err);
    t->row.file = t->file = strdup(file);
    if (!t->file)
        error_no_memory(err);
    else
        t->lines = lines_open(file, err);
    t->row.open = options && options->open;
    if (!t->lines || begin(t, options ? options : &none, err)) {
        trace_destroy(t);
        return -1;
    }
    *out = (struct request_source){.next = trace_next, .destroy = trace_destroy, .state = t};
    return 0;
}

bool trace_is_closed(const struct request_source *trace)
{
    const struct trace *t = trace->state;
    return t->row.format->is_closed && t->row.format->is_closed(t->row.line.text);
}

/* All lines, in any order; each adds its requests to the row's programs. */
static int read_rows(struct trace *t, struct error *err)
{
    struct trace_row *row = &t->row;
    bool any_hashes = false;
    int got = 1;
    while (got == 1) {
        struct arrival a = {0};
        if (row->format->read(row, &a, err) || (row->format->block_tokens && add_to_blocks(t, &a, err)))
            return -1;
        any_hashes |= a.hash_count > 0;
        row->is_first = false;
        got = lines_next(t->lines, &row->line, err);
    }
    bool unsettled = any_hashes && row->format->block_tokens && t->blocks.tokens == 0;
    return got < 0 || (unsettled && trace_blocks_settle(&t->blocks, t->file, err)) ? -1 : 0;
}

int trace_read_programs(struct request_source *trace, struct programs *out, struct error *err)
{
    struct trace *t = trace->state;
    if (!t->row.format->is_closed)
        return error_set(err, ERROR_INPUT,
                         "%s: is a trace of format %s, which does not say whom requests wait for; expected bailian, "
                         "llmservingsim, mooncake or tandem with workload.loop \"closed\"",
                         t->file, t->row.format->name);
    struct program_rows *rows = t->row.programs = program_rows_create(err);
    if (!rows)
        return -1;
    int status = read_rows(t, err) || program_rows_build(rows, t->blocks.tokens, out, err) ? -1 : 0;
    t->row.programs = NULL;
    program_rows_destroy(rows);
    return status;
}

struct trace_reading trace_reading(const struct request_source *trace)
{
    const struct trace *t = trace->state;
    struct block_range left = trace_blocks_left(&t->blocks);
    return (struct trace_reading){.format = t->row.format,
                                  .unit = t->row.unit,
                                  .unit_stated = t->row.unit_stated,
                                  .block_tokens = t->blocks.tokens,
                                  .blocks = t->blocks.evidence,
                                  .least_fitting = left.least,
                                  .most_fitting = left.most};
}

/* SPDX-License-Identifier: MIT */
#include "workloads/trace.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

enum { LINE_MAX_BYTES = 1 << 20 };

struct trace {
    gzFile in;
    char *file;
    char *line; /* [LINE_MAX_BYTES] */
    const struct trace_format *format;
    long line_number;
    bool started;
    bool pending; /* the line buffer holds a line not yet parsed */
    sim_time first, last;
    struct hash_buffer hashes;
};

const struct trace_format *const trace_formats[] = {&trace_format_azure, &trace_format_mooncake, &trace_format_stamps,
                                                    &trace_format_tandem, NULL};

int trace_write_line(FILE *out, const struct arrival *a)
{
    int written =
        fprintf(out, "{\"arrival_s\": %lld.%09lld, \"prompt_tokens\": %u, \"output_tokens\": %u",
                (long long)(a->at / 1000000000), (long long)(a->at % 1000000000), a->prompt_tokens, a->output_tokens);
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
    return written >= 0 && fputs("}\n", out) >= 0 ? 0 : -1;
}

/* Reads the next line that is not blank. 1, 0 at the end, -1 on error. */
static int read_line(struct trace *t, struct error *err)
{
    for (;;) {
        if (!gzgets(t->in, t->line, LINE_MAX_BYTES)) {
            int code = 0;
            const char *why = gzerror(t->in, &code);
            if (code != Z_OK && code != Z_STREAM_END)
                return error_set(err, ERROR_IO, "%s: cannot be read after line %ld: %s", t->file, t->line_number, why);
            return 0;
        }
        t->line_number++;
        size_t length = strlen(t->line);
        if (length == LINE_MAX_BYTES - 1)
            return error_set(err, ERROR_INPUT, "%s:%ld: line is longer than %d bytes", t->file, t->line_number,
                             LINE_MAX_BYTES);
        while (length && strchr("\r\n \t", t->line[length - 1]))
            t->line[--length] = 0;
        if (length)
            return 1;
    }
}

static int trace_next(void *state, struct arrival *out, struct error *err)
{
    struct trace *t = state;
    if (!t->pending) {
        int got = read_line(t, err);
        if (got != 1)
            return got;
    }
    t->pending = false;
    *out = (struct arrival){0};
    const char *wrong = "a valid line";
    int column = 1;
    char shown[48];
    snprintf(shown, sizeof shown, "%.40s", t->line);
    if (t->format->parse(t->line, out, &t->hashes, &wrong, &column))
        return error_set(err, ERROR_INPUT, "%s:%ld:%d: expected %s in a %s trace, found \"%s\"", t->file,
                         t->line_number, column, wrong, t->format->name, shown);
    if (!t->started) {
        t->started = true;
        t->first = t->last = out->at;
    }
    if (out->at < t->last)
        return error_set(err, ERROR_INPUT, "%s:%ld: arrives %.6f s before the line above; a trace is in arrival order",
                         t->file, t->line_number, sim_time_to_s(t->last - out->at));
    t->last = out->at;
    out->at -= t->first;
    return 1;
}

static void trace_destroy(void *state)
{
    struct trace *t = state;
    if (t->in)
        gzclose(t->in);
    free(t->hashes.ids);
    free(t->line);
    free(t->file);
    free(t);
}

static int choose_format(struct trace *t, const char *name, struct error *err)
{
    int got = read_line(t, err);
    if (got < 0)
        return -1;
    if (got == 0)
        return error_set(err, ERROR_INPUT, "%s: is empty, expected a trace", t->file);
    for (const struct trace_format *const *f = trace_formats; *f && !t->format; f++)
        if (name ? strcmp((*f)->name, name) == 0 : (*f)->detect(t->line))
            t->format = *f;
    if (!t->format && name)
        return error_set(err, ERROR_INPUT, "%s: unknown trace format \"%s\"; allowed: azure, mooncake, stamps, tandem",
                         t->file, name);
    if (!t->format)
        return error_set(err, ERROR_INPUT,
                         "%s:1: not a trace format known here (azure, mooncake, stamps, tandem), found \"%.40s\"",
                         t->file, t->line);
    t->pending = !t->format->has_header;
    return 0;
}

int trace_open(const char *file, const char *format, struct request_source *out, struct error *err)
{
    struct trace *t = calloc(1, sizeof *t);
    if (!t)
        return error_no_memory(err);
    t->file = strdup(file);
    t->line = malloc(LINE_MAX_BYTES);
    t->in = gzopen(file, "rb");
    int status = 0;
    if (!t->file || !t->line)
        status = error_no_memory(err);
    else if (!t->in)
        status = error_set(err, ERROR_INPUT, "%s: cannot be opened: %s", file, strerror(errno));
    else {
        gzbuffer(t->in, 1 << 17);
        status = choose_format(t, format, err);
    }
    if (status) {
        trace_destroy(t);
        return -1;
    }
    *out = (struct request_source){.next = trace_next, .destroy = trace_destroy, .state = t};
    return 0;
}

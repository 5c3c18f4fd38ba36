/* SPDX-License-Identifier: MIT */
/* trace.h — readers and the writer of request traces.
 *
 * Formats: azure (Azure LLM 2023/2024 CSV), mooncake (JSONL), stamps (JSONL of a measured server) and tandem (our
 * JSONL: arrival_s, prompt_tokens, output_tokens; if wanted max_output_tokens, priority, client, session, prefix_group
 * with prefix_tokens, hash_ids with hash_tokens). Gzip is read as is. A bad line is an
 * error that names file, line, what was found and what is allowed. */
#ifndef TANDEM_WORKLOADS_TRACE_H
#define TANDEM_WORKLOADS_TRACE_H

#include <stdio.h>

#include "workloads/source.h"

/* Where a line's hashes are put; the trace's own. */
struct hash_buffer {
    uint64_t *ids;
    size_t capacity;
};

/* One parser per format. A new format is one such struct and a line in trace.c's table. */
struct trace_format {
    const char *name;
    const char *summary;
    bool has_header;
    /* Whether the file's first line is of this format. */
    bool (*detect)(const char *first_line);
    /* Parses a line; `at` is absolute in the trace's own clock. On failure sets *wrong to what was
     * expected and *column to where (1-based), and returns -1. */
    int (*parse)(char *line, struct arrival *out, struct hash_buffer *hashes, const char **wrong, int *column);
};

extern const struct trace_format trace_format_azure, trace_format_mooncake, trace_format_stamps, trace_format_tandem;

/* NULL-ended. */
extern const struct trace_format *const trace_formats[];

/* Opens a trace; `format` may be NULL to detect it. Times are made relative to the first request. */
int trace_open(const char *file, const char *format, struct request_source *out, struct error *err);

/* Writes one arrival as a line of our JSONL. Returns 0, or -1 with errno set. */
int trace_write_line(FILE *out, const struct arrival *arrival);

#endif

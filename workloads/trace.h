/* SPDX-License-Identifier: MIT */
/* trace.h — readers and the writer of request traces.
 *
 * Formats: azure (Azure LLM 2023/2024 CSV), burstgpt, splitwise and vidur (CSV), bailian, llmservingsim and mooncake
 * (JSONL), stamps (JSONL of a measured server) and tandem (our JSONL: arrival_s, prompt_tokens, output_tokens; if
 * wanted max_output_tokens, priority, client, session, prefix_group with prefix_tokens, hash_ids with hash_tokens). A
 * file is read once forward, gzip as it is. A bad line is an error that names file, line, what was found and what is
 * allowed; so is a trace without requests. */
#ifndef TANDEM_WORKLOADS_TRACE_H
#define TANDEM_WORKLOADS_TRACE_H

#include <stdio.h>

#include "workloads/program.h"
#include "workloads/source.h"

enum { TRACE_TOKENS_MAX = 100000000 }; /* of a prompt, an output or a block */

enum time_unit { TIME_S, TIME_MS, TIME_US, TIME_NS, TIME_UNITS, TIME_DATES = TIME_UNITS };

/* "s", "ms", "us", "ns". */
extern const char *const time_unit_names[TIME_UNITS];

/* How to read a trace where its file leaves it open. Zero: as the format is defined. */
struct trace_options {
    const char *format;     /* NULL: detected */
    const char *time_unit;  /* of its time stamps; NULL: the format's */
    long long block_tokens; /* that a hash id of a mooncake trace stands for; 0: told from the file */
    bool open;              /* requests come at their times although the trace says whom they wait for */
};

struct trace_row;

/* One parser per format. A new format is one such struct and a line in trace.c's table. */
struct trace_format {
    const char *name;
    const char *summary;
    enum time_unit unit;   /* of its time stamps, unless another is stated; or TIME_DATES */
    bool unit_in_key;      /* the key names the unit, and no other can be stated */
    uint32_t block_tokens; /* that a hash id stands for where the file does not show another; 0: lines say so, or have
                              no ids */
    /* Whether the file's first line is of this format. */
    bool (*detect)(const char *first_line);
    /* Reads the first line where that is a header; NULL: it is a request. */
    int (*read_header)(struct trace_row *row, struct error *err);
    /* Reads a line; `at` is absolute in the trace's own clock. Where the row has programs, it is put there. */
    int (*read)(struct trace_row *row, struct arrival *out, struct error *err);
    /* Whether the file's first line says that requests wait for others; NULL: no line can say so. */
    bool (*is_closed)(const char *first_line);
};

extern const struct trace_format trace_format_azure, trace_format_bailian, trace_format_burstgpt,
    trace_format_llmservingsim, trace_format_mooncake, trace_format_splitwise, trace_format_stamps, trace_format_tandem,
    trace_format_vidur;

/* NULL-ended. */
extern const struct trace_format *const trace_formats[];

/* The format, and the unit of time stamps, at an index; false after the last. */
bool trace_format_at(size_t index, struct named *out);
bool time_unit_at(size_t index, struct named *out);

/* Opens a trace; `options` may be NULL. Times are made relative to the first request. */
int trace_open(const char *file, const struct trace_options *options, struct request_source *out, struct error *err);

/* Whether the first line of a trace that trace_open() opened says that requests wait for others. */
bool trace_is_closed(const struct request_source *trace);

/* Reads all of a trace that trace_open() opened, and of which nothing is read yet, as programs. Returns 0, or -1: also
 * where its format does not say who waits for whom. */
int trace_read_programs(struct request_source *trace, struct programs *out, struct error *err);

enum block_evidence { BLOCKS_NONE, BLOCKS_STATED, BLOCKS_SHOWN, BLOCKS_ASSUMED };

/* How a trace is read; complete once its first request with hash ids has been. */
struct trace_reading {
    const struct trace_format *format;
    enum time_unit unit;
    bool unit_stated;
    uint32_t block_tokens;                /* of a mooncake trace; 0: no ids yet */
    enum block_evidence blocks;           /* how that is known */
    uint32_t least_fitting, most_fitting; /* block sizes that fit every line so far */
};

/* Of a source that trace_open() opened. */
struct trace_reading trace_reading(const struct request_source *trace);

/* Writes one arrival as a line of our JSONL. Returns 0, or -1 with errno set. */
int trace_write_line(FILE *out, const struct arrival *arrival);

/* The same of a line's members but its time, without braces. */
int trace_write_members(FILE *out, const struct arrival *arrival);

/* Writes programs as lines of our JSONL, which say whom requests wait for. */
int programs_write(FILE *out, const struct programs *programs);

#endif

/* SPDX-License-Identifier: MIT */
/* CSV traces whose instants are seconds since they began: BurstGPT (arXiv 2401.17644), those of Splitwise's
 * simulator (SplitwiseSim), and Vidur's processed traces. Columns may stand in any order, with others next to them. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "workloads/trace_row.h"

enum { INSTANT, PROMPT, OUTPUT };

static const char *const burstgpt[TRACE_COLUMNS] = {"Timestamp", "Request tokens", "Response tokens"},
                         *const splitwise[TRACE_COLUMNS] = {"arrival_timestamp", "prompt_size", "token_size"},
                         *const vidur[TRACE_COLUMNS] = {"arrived_at", "num_prefill_tokens", "num_decode_tokens"};

static bool has_columns(const char *line, const char *const *columns)
{
    return line[0] != '{' && strstr(line, columns[INSTANT]) && strstr(line, columns[PROMPT]) &&
           strstr(line, columns[OUTPUT]);
}

static int read_header(struct trace_row *row, const char *const *columns, struct error *err)
{
    if (csv_split(row->line.text, row->file, row->line.number, &row->fields, err))
        return -1;
    row->field_count = row->fields.count;
    for (int c = 0; c < TRACE_COLUMNS; c++) {
        if (csv_find_column(&row->fields, columns[c], row->file, row->line.number, &row->places[c], err))
            return -1;
        if (row->places[c] == SIZE_MAX)
            return error_set(err, ERROR_INPUT, "%s:%ld: has no column \"%s\"", row->file, row->line.number, columns[c]);
    }
    return 0;
}

/* A field as a number from 0 to `most`; whole where it is a count. "1024.0" is one, as pandas writes it. */
static int read_number(const struct trace_row *row, int column, const char *name, double most, bool whole, double *out,
                       struct error *err)
{
    const char *field = row->fields.at[row->places[column]];
    char *end, expected[100];
    *out = strtod(field, &end);
    bool plain = *field && strspn(field, "0123456789.eE+-") == strlen(field);
    if (plain && end != field && !*end && *out >= 0 && *out <= most && (!whole || *out == floor(*out)))
        return 0;
    snprintf(expected, sizeof expected, "%s, a %snumber from 0 to %.0f,", name, whole ? "whole " : "", most);
    return trace_complain(row, (size_t)(field - row->line.text) + 1, expected, field, err);
}

static int read_record(struct trace_row *row, const char *const *columns, struct arrival *out, struct error *err)
{
    static const double unit_ns[TIME_UNITS] = {[TIME_S] = 1e9, [TIME_MS] = 1e6, [TIME_US] = 1e3, [TIME_NS] = 1};
    double instant, prompt, output, ns = unit_ns[row->unit];
    if (csv_split(row->line.text, row->file, row->line.number, &row->fields, err))
        return -1;
    if (row->fields.count != row->field_count)
        return error_set(err, ERROR_INPUT, "%s:%ld: has %zu fields, expected the header's %zu", row->file,
                         row->line.number, row->fields.count, row->field_count);
    if (read_number(row, INSTANT, columns[INSTANT], 9e18 / ns, false, &instant, err) ||
        read_number(row, PROMPT, columns[PROMPT], TRACE_TOKENS_MAX, true, &prompt, err) ||
        read_number(row, OUTPUT, columns[OUTPUT], TRACE_TOKENS_MAX, true, &output, err))
        return -1;
    double seconds = floor(instant);
    out->at = (sim_time)seconds * (sim_time)ns + (sim_time)((instant - seconds) * ns + 0.5);
    out->prompt_tokens = (uint32_t)prompt;
    out->output_tokens = (uint32_t)output;
    return 0;
}

#define CSV_FORMAT(NAME, ABOUT)                                                                                        \
    static bool NAME##_detect(const char *line)                                                                        \
    {                                                                                                                  \
        return has_columns(line, NAME);                                                                                \
    }                                                                                                                  \
    static int NAME##_header(struct trace_row *row, struct error *err)                                                 \
    {                                                                                                                  \
        return read_header(row, NAME, err);                                                                            \
    }                                                                                                                  \
    static int NAME##_read(struct trace_row *row, struct arrival *out, struct error *err)                              \
    {                                                                                                                  \
        return read_record(row, NAME, out, err);                                                                       \
    }                                                                                                                  \
    const struct trace_format trace_format_##NAME = {.name = #NAME,                                                    \
                                                     .summary = ABOUT,                                                 \
                                                     .unit = TIME_S,                                                   \
                                                     .detect = NAME##_detect,                                          \
                                                     .read_header = NAME##_header,                                     \
                                                     .read = NAME##_read}

CSV_FORMAT(burstgpt, "BurstGPT CSV: Timestamp in s, Request tokens, Response tokens");
CSV_FORMAT(splitwise, "Splitwise CSV: arrival_timestamp in s, prompt_size, token_size");
CSV_FORMAT(vidur, "Vidur CSV: arrived_at in s, num_prefill_tokens, num_decode_tokens");

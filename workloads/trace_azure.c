/* SPDX-License-Identifier: MIT */
/* Azure LLM inference traces 2023 and 2024 (Azure/AzurePublicDataset, CC-BY 4.0): CSV with the columns TIMESTAMP,
 * ContextTokens and GeneratedTokens, in any order and with others next to them. Stamps have up to 9 fractional digits
 * and, in 2024, a zone. */
#include <string.h>

#include "base/date_time.h"
#include "workloads/trace_row.h"

enum { STAMP, CONTEXT, GENERATED };

static const char *const columns[TRACE_COLUMNS] = {"TIMESTAMP", "ContextTokens", "GeneratedTokens"};

static bool azure_detect(const char *line)
{
    return line[0] != '{' && strstr(line, columns[STAMP]) &&
           (strstr(line, columns[CONTEXT]) || strstr(line, columns[GENERATED]));
}

static int azure_read_header(struct trace_row *row, struct error *err)
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

static int complain(const struct trace_row *row, int column, const char *expected, struct error *err)
{
    const char *field = row->fields.at[row->places[column]];
    return trace_complain(row, (size_t)(field - row->line.text) + 1, expected, field, err);
}

/* Stamps without a zone are UTC. Next to those of another zone they would be anybody's guess. */
static int read_stamp(struct trace_row *row, sim_time *out, struct error *err)
{
    struct date_time stamp;
    const char *wrong = date_time_read(row->fields.at[row->places[STAMP]], &stamp);
    if (wrong)
        return complain(row, STAMP, wrong, err);
    row->without_zone = row->without_zone || !stamp.has_zone;
    row->with_zone = row->with_zone || stamp.offset_min != 0;
    if (row->without_zone && row->with_zone)
        return complain(row, STAMP, "a zone on every line, once one is not UTC,", err);
    *out = stamp.ns;
    return 0;
}

static int read_tokens(const struct trace_row *row, int column, const char *expected, uint32_t *out, struct error *err)
{
    const char *c = row->fields.at[row->places[column]];
    uint32_t value = 0;
    bool valid = *c != 0;
    for (; *c >= '0' && *c <= '9' && value <= TRACE_TOKENS_MAX; c++)
        value = value * 10 + (uint32_t)(*c - '0');
    if (!valid || *c || value > TRACE_TOKENS_MAX)
        return complain(row, column, expected, err);
    *out = value;
    return 0;
}

static int azure_read(struct trace_row *row, struct arrival *out, struct error *err)
{
    if (csv_split(row->line.text, row->file, row->line.number, &row->fields, err))
        return -1;
    if (row->fields.count != row->field_count)
        return error_set(err, ERROR_INPUT, "%s:%ld: has %zu fields, expected the header's %zu", row->file,
                         row->line.number, row->fields.count, row->field_count);
    return read_stamp(row, &out->at, err) ||
                   read_tokens(row, CONTEXT, "ContextTokens, a whole number up to 100000000,", &out->prompt_tokens,
                               err) ||
                   read_tokens(row, GENERATED, "GeneratedTokens, a whole number up to 100000000,", &out->output_tokens,
                               err)
               ? -1
               : 0;
}

const struct trace_format trace_format_azure = {
    .name = "azure",
    .summary = "Azure LLM 2023/2024 CSV: TIMESTAMP,ContextTokens,GeneratedTokens",
    .unit = TIME_DATES,
    .detect = azure_detect,
    .read_header = azure_read_header,
    .read = azure_read,
};

/* SPDX-License-Identifier: MIT */
#include "base/csv.h"

#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/lines.h"

#define NUMBER_MAX 1e12

enum { COLUMNS_MAX = 128 };

struct csv {
    const char *file;
    const struct csv_column *columns;
    size_t column_count;
    size_t places[COLUMNS_MAX]; /* of each column in a record; SIZE_MAX where it has none */
    size_t field_count;         /* of the header */
    struct csv_fields fields;
    char *rows;
    size_t row_bytes, count, capacity;
};

/* Takes a field's quotes off in place: a doubled quote becomes one. Returns where the field ends, before a comma or
 * the record's end; NULL where something else follows, or the closing quote is missing. */
static char *unquote(char *field)
{
    char *from = field + 1, *to = field;
    for (; *from; from++) {
        if (*from == '"' && *++from != '"') {
            *to = 0;
            return *from == ',' || *from == 0 ? from : NULL;
        }
        *to++ = *from;
    }
    return NULL;
}

int csv_split(char *record, const char *file, long line, struct csv_fields *out, struct error *err)
{
    out->count = 0;
    for (char *at = record; at;) {
        if (out->count == out->capacity) {
            char **grown = array_grow(out->at, &out->capacity, out->count + 1, sizeof *grown);
            if (!grown)
                return error_no_memory(err);
            out->at = grown;
        }
        out->at[out->count++] = at;
        bool quoted = *at == '"';
        char *end = quoted ? unquote(at) : at + strcspn(at, ",\"");
        if (!end || *end == '"')
            return error_set(err, ERROR_INPUT,
                             "%s:%ld: field %zu: expected quotes around a whole field, and quotes within it doubled",
                             file, line, out->count);
        at = *end ? end + 1 : NULL;
        if (!quoted)
            *end = 0;
    }
    return 0;
}

void csv_fields_release(struct csv_fields *fields)
{
    free(fields->at);
    *fields = (struct csv_fields){0};
}

int csv_find_column(const struct csv_fields *header, const char *name, const char *file, long line, size_t *place,
                    struct error *err)
{
    *place = SIZE_MAX;
    for (size_t i = 0; i < header->count; i++) {
        if (strcmp(header->at[i], name) != 0)
            continue;
        if (*place != SIZE_MAX)
            return error_set(err, ERROR_INPUT, "%s:%ld: has two columns \"%s\", fields %zu and %zu", file, line, name,
                             *place + 1, i + 1);
        *place = i;
    }
    return 0;
}

static int read_header(struct csv *csv, const struct line *line, struct error *err)
{
    if (csv_split(line->text, csv->file, line->number, &csv->fields, err))
        return -1;
    csv->field_count = csv->fields.count;
    for (size_t c = 0; c < csv->column_count; c++) {
        const struct csv_column *column = &csv->columns[c];
        if (csv_find_column(&csv->fields, column->name, csv->file, line->number, &csv->places[c], err))
            return -1;
        if (csv->places[c] == SIZE_MAX && column->need != CSV_MAY_LACK)
            return error_set(err, ERROR_INPUT, "%s:%ld: has no column \"%s\"", csv->file, line->number, column->name);
    }
    return 0;
}

/* A decimal number with or without blanks around it; NAN where it is none. Hexadecimal, inf and nan are none. */
static double read_number(const char *text)
{
    static const char blanks[] = " \t";
    char *end = NULL;
    text += strspn(text, blanks);
    if (!*text || text[strspn(text, "0123456789.eE+- \t")])
        return NAN;
    double value = strtod(text, &end);
    return end == text || end[strspn(end, blanks)] ? NAN : value;
}

/* What a column allows, where `text` is not that; NULL where it is. Nothing is 0 unless it is needed. */
static const char *read_field(const char *text, enum csv_need need, double *out)
{
    static const char *const allowed[] = {[CSV_OPTIONAL] = "of at least 0, or nothing",
                                          [CSV_REQUIRED] = "of at least 0",
                                          [CSV_POSITIVE] = "above 0",
                                          [CSV_MAY_LACK] = "of at least 0, or nothing"};
    bool needed = need == CSV_REQUIRED || need == CSV_POSITIVE;
    *out = *text || needed ? read_number(text) : 0;
    if (*out >= NUMBER_MAX)
        return "below 1e12";
    return *out > 0 || (*out == 0 && need != CSV_POSITIVE) ? NULL : allowed[need];
}

static int read_row(struct csv *csv, const struct line *line, char *row, struct error *err)
{
    if (csv_split(line->text, csv->file, line->number, &csv->fields, err))
        return -1;
    if (csv->fields.count != csv->field_count)
        return error_set(err, ERROR_INPUT, "%s:%ld: has %zu fields, expected the header's %zu", csv->file, line->number,
                         csv->fields.count, csv->field_count);
    for (size_t c = 0; c < csv->column_count; c++) {
        const struct csv_column *column = &csv->columns[c];
        const char *text = csv->places[c] == SIZE_MAX ? "" : csv->fields.at[csv->places[c]];
        double value;
        if (column->size) {
            snprintf(row + column->offset, column->size, "%s", text);
            continue;
        }
        const char *allowed = read_field(text, column->need, &value);
        if (allowed)
            return error_set(err, ERROR_INPUT, "%s:%ld: %s: expected a number %s, found \"%.40s\"", csv->file,
                             line->number, column->name, allowed, text);
        memcpy(row + column->offset, &value, sizeof value);
    }
    return 0;
}

static int read_records(struct csv *csv, struct lines *lines, struct error *err)
{
    struct line line;
    int got = lines_next_record(lines, &line, err);
    if (got == 0)
        return error_set(err, ERROR_INPUT, "%s: is empty, expected a header and records", csv->file);
    if (got < 0 || read_header(csv, &line, err))
        return -1;
    while ((got = lines_next_record(lines, &line, err)) == 1) {
        char *grown = array_grow(csv->rows, &csv->capacity, csv->count + 1, csv->row_bytes);
        if (!grown)
            return error_no_memory(err);
        csv->rows = grown;
        if (read_row(csv, &line, csv->rows + csv->count * csv->row_bytes, err))
            return -1;
        csv->count++;
    }
    if (got == 0 && csv->count == 0)
        return error_set(err, ERROR_INPUT, "%s: has a header and no records", csv->file);
    return got;
}

int csv_read(const char *file, const struct csv_column *columns, size_t column_count, size_t row_bytes, void **out,
             size_t *count, struct error *err)
{
    struct csv csv = {.file = file, .columns = columns, .column_count = column_count, .row_bytes = row_bytes};
    *out = NULL;
    *count = 0;
    struct lines *lines = lines_open(file, err);
    if (!lines)
        return -1;
    int status = read_records(&csv, lines, err);
    lines_close(lines);
    csv_fields_release(&csv.fields);
    if (status) {
        free(csv.rows);
        return -1;
    }
    *out = csv.rows;
    *count = csv.count;
    return 0;
}

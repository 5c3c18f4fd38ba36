/* SPDX-License-Identifier: MIT */
#include "base/csv.h"

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"

enum { FIELDS_MAX = 128, LINE_BYTES = 8192 };

struct csv {
    const char *file;
    const struct csv_column *columns;
    size_t column_count;
    size_t places[FIELDS_MAX]; /* of each column in a line */
};

/* Cuts a line at its commas, in place. Returns how many fields there are; more than FIELDS_MAX are left out. */
static size_t split(char *line, char **fields)
{
    size_t count = 0;
    line[strcspn(line, "\r\n")] = 0;
    for (char *at = line; at && count < FIELDS_MAX;) {
        fields[count++] = at;
        at = strchr(at, ',');
        if (at)
            *at++ = 0;
    }
    return count;
}

static int read_header(struct csv *csv, char *line, struct error *err)
{
    char *fields[FIELDS_MAX];
    size_t count = split(line, fields);
    for (size_t c = 0; c < csv->column_count; c++) {
        csv->places[c] = SIZE_MAX;
        for (size_t i = 0; i < count; i++)
            if (strcmp(fields[i], csv->columns[c].name) == 0)
                csv->places[c] = i;
        if (csv->places[c] == SIZE_MAX && csv->columns[c].need != CSV_MAY_LACK)
            return error_set(err, ERROR_INPUT, "%s:1: has no column \"%s\"", csv->file, csv->columns[c].name);
    }
    return 0;
}

static int read_row(const struct csv *csv, char *line, long number, char *row, struct error *err)
{
    static const char *const allowed[] = {[CSV_OPTIONAL] = "or nothing",
                                          [CSV_REQUIRED] = "of at least 0",
                                          [CSV_POSITIVE] = "above 0",
                                          [CSV_MAY_LACK] = "or nothing"};
    char *fields[FIELDS_MAX];
    size_t count = split(line, fields);
    for (size_t c = 0; c < csv->column_count; c++) {
        const struct csv_column *column = &csv->columns[c];
        const char *text = csv->places[c] < count ? fields[csv->places[c]] : "";
        char *end = NULL;
        if (column->size) {
            snprintf(row + column->offset, column->size, "%s", text);
            continue;
        }
        double value = strtod(text, &end);
        bool needed = column->need == CSV_REQUIRED || column->need == CSV_POSITIVE;
        bool missing = end == text && needed, zero = value == 0 && column->need == CSV_POSITIVE;
        if (*end || !(value >= 0 && value < 1e12) || missing || zero)
            return error_set(err, ERROR_INPUT, "%s:%ld: %s: expected a number %s, found \"%.40s\"", csv->file, number,
                             column->name, allowed[column->need], text);
        memcpy(row + column->offset, &value, sizeof value);
    }
    return 0;
}

static int read_lines(struct csv *csv, FILE *in, size_t row_bytes, char **rows, size_t *count, struct error *err)
{
    char line[LINE_BYTES];
    size_t capacity = 0;
    for (long number = 1; fgets(line, sizeof line, in); number++) {
        if (number == 1) {
            if (read_header(csv, line, err))
                return -1;
            continue;
        }
        char *grown = array_grow(*rows, &capacity, *count + 1, row_bytes);
        if (!grown)
            return error_no_memory(err);
        *rows = grown;
        if (read_row(csv, line, number, *rows + *count * row_bytes, err))
            return -1;
        ++*count;
    }
    return *count ? 0 : error_set(err, ERROR_INPUT, "%s: holds no points", csv->file);
}

int csv_read(const char *file, const struct csv_column *columns, size_t column_count, size_t row_bytes, void **out,
             size_t *count, struct error *err)
{
    struct csv csv = {.file = file, .columns = columns, .column_count = column_count};
    char *rows = NULL;
    *out = NULL;
    *count = 0;
    FILE *in = fopen(file, "r");
    if (!in)
        return error_set(err, ERROR_INPUT, "%s: cannot be opened: %s", file, strerror(errno));
    int status = read_lines(&csv, in, row_bytes, &rows, count, err);
    fclose(in);
    if (status)
        free(rows);
    else
        *out = rows;
    return status;
}

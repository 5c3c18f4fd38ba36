/* SPDX-License-Identifier: MIT */
/* A CSV file with a line a load level: concurrency or rate_per_s, requests, prompt_tokens, output_tokens, and any of
 * ttft_mean_ms, ttft_p50_ms, …, tpot_mean_ms, …, e2e_p99_ms; `stage` may name the line. */
#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/csv.h"
#include "base/lines.h"
#include "validation/forms.h"

struct row {
    char stage[LEVEL_NAME];
    double concurrency, rate_per_s, requests, prompt_tokens, output_tokens;
    double ms[MEASURED_METRICS][MEASURED_STATISTICS];
};

#define MS(name, m, i)                                                                                                 \
    {                                                                                                                  \
        name "_ms", offsetof(struct row, ms[m][i]), 0, CSV_MAY_LACK                                                    \
    }
#define METRIC(name, m)                                                                                                \
    MS(name "_mean", m, 0), MS(name "_p50", m, 1), MS(name "_p90", m, 2), MS(name "_p95", m, 3), MS(name "_p99", m, 4)

static const struct csv_column columns[] = {
    {"stage", offsetof(struct row, stage), LEVEL_NAME, CSV_MAY_LACK},
    {"concurrency", offsetof(struct row, concurrency), 0, CSV_MAY_LACK},
    {"rate_per_s", offsetof(struct row, rate_per_s), 0, CSV_MAY_LACK},
    {"requests", offsetof(struct row, requests), 0, CSV_POSITIVE},
    {"prompt_tokens", offsetof(struct row, prompt_tokens), 0, CSV_POSITIVE},
    {"output_tokens", offsetof(struct row, output_tokens), 0, CSV_POSITIVE},
    METRIC("ttft", 0),
    METRIC("tpot", 1),
    METRIC("e2e", 2),
};

/* Whether a file's first line names a column; what cannot be a line of text names none. */
static int has_column(const char *file, const char *name, struct error *err)
{
    struct error own = {0};
    struct line line;
    struct lines *in = lines_open(file, &own);
    bool has = in && lines_next(in, &line, &own) == 1 && line.text[0] != '{' && strstr(line.text, name);
    if (in)
        lines_close(in);
    if (own.code == ERROR_NONE || own.code == ERROR_INPUT)
        return has;
    *err = own;
    return -1;
}

int form_csv_detect(const char *file, struct error *err)
{
    const char *dot = strrchr(file, '.');
    return dot && strcmp(dot, ".csv") == 0 ? 1 : has_column(file, "prompt_tokens,", err);
}

int form_points_detect(const char *file, struct error *err)
{
    return has_column(file, "silicon_tpot_ms", err);
}

static int add_row(const char *file, const struct row *row, size_t number, struct levels *out, struct error *err)
{
    struct level *level = levels_add(out, err);
    struct json place = {.file = file};
    if (!level)
        return -1;
    snprintf(place.path, sizeof place.path, "record %zu", number);
    if ((row->concurrency > 0) == (row->rate_per_s > 0))
        return error_set(err, ERROR_INPUT, "%s: %s: expected either concurrency or rate_per_s, found %s", file,
                         place.path, row->concurrency > 0 ? "both" : "neither");
    level->load = row->rate_per_s > 0 ? LOAD_RATE : LOAD_CLOSED;
    level->concurrency = row->concurrency;
    level->rate_per_s = row->rate_per_s;
    level->requests = row->requests;
    level->prompt_tokens = row->prompt_tokens;
    level->output_tokens = row->output_tokens;
    memcpy(level->name, row->stage, sizeof level->name);
    for (int m = 0; m < MEASURED_METRICS; m++)
        for (int i = 0; i < MEASURED_STATISTICS; i++)
            level->measured[m][i] = row->ms[m][i] > 0 ? row->ms[m][i] * 1e-3 : NAN;
    return level_finish(level, &place, "concurrency or rate_per_s", err);
}

int form_csv_read(const char *file, struct levels *out, struct error *err)
{
    void *rows = NULL;
    size_t count = 0;
    int status = csv_read(file, columns, sizeof columns / sizeof *columns, sizeof(struct row), &rows, &count, err);
    for (size_t i = 0; i < count && status == 0; i++)
        status = add_row(file, (const struct row *)rows + i, i + 1, out, err);
    free(rows);
    return status;
}

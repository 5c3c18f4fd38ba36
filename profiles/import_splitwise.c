/* SPDX-License-Identifier: MIT */
/* Splitwise's perf_model.csv (Mutinifni/splitwise-sim, MIT): times of whole iterations in ms, by model, machine and
 * tensor-parallel degree. A prompt's time is by the tokens of all prompts in it; a token's is the mean over its
 * outputs, so it stands for a context in the middle of them. */
#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/csv.h"
#include "profiles/grid.h"
#include "profiles/import.h"

enum { NAME_TEXT = 40 };

struct row {
    char model[NAME_TEXT], hardware[NAME_TEXT];
    double prompt, batch, outputs, degree, prompt_ms, token_ms;
};

static const struct csv_column columns[] = {
    {"model", offsetof(struct row, model), NAME_TEXT, CSV_OPTIONAL},
    {"hardware", offsetof(struct row, hardware), NAME_TEXT, CSV_OPTIONAL},
    {"prompt_size", offsetof(struct row, prompt), 0, CSV_POSITIVE},
    {"batch_size", offsetof(struct row, batch), 0, CSV_POSITIVE},
    {"token_size", offsetof(struct row, outputs), 0, CSV_POSITIVE},
    {"tensor_parallel", offsetof(struct row, degree), 0, CSV_POSITIVE},
    {"prompt_time", offsetof(struct row, prompt_ms), 0, CSV_POSITIVE},
    {"token_time", offsetof(struct row, token_ms), 0, CSV_POSITIVE},
};

/* "llama2-70b" and "llama-2-70b" are one. */
static bool same_model(const char *theirs, const char *ours)
{
    for (;; theirs++, ours++) {
        while (*theirs == '-')
            theirs++;
        while (*ours == '-')
            ours++;
        if (*theirs != *ours)
            return false;
        if (!*theirs)
            return true;
    }
}

static bool wanted(const struct row *r, const struct import_options *o)
{
    return same_model(r->model, o->model) && r->degree == o->tensor_parallel &&
           (!o->hardware || strcmp(r->hardware, o->hardware) == 0);
}

/* Rows of two machines must not be mixed up. */
static int check_hardware(const struct row *rows, size_t count, const struct import_options *o, struct error *err)
{
    const struct row *first = NULL;
    for (size_t i = 0; i < count; i++) {
        if (!wanted(&rows[i], o))
            continue;
        if (first && strcmp(first->hardware, rows[i].hardware) != 0)
            return error_set(err, ERROR_INPUT, "%s: holds %s on %s and on %s; choose one with --hardware", o->path,
                             o->model, first->hardware, rows[i].hardware);
        first = first ? first : &rows[i];
    }
    return first ? 0
                 : error_set(err, ERROR_INPUT, "%s: holds no rows of %s with tensor_parallel %u%s%s", o->path, o->model,
                             o->tensor_parallel, o->hardware ? " on " : "", o->hardware ? o->hardware : "");
}

static int add(const char *op, size_t axes, struct grid_points *points, const struct import_options *o, cJSON *tables,
               struct error *err)
{
    struct cost_table table;
    if (grid_table(op, axes, points, o->path, &table, err))
        return -1;
    import_add(tables, &table);
    return 0;
}

static int import(const struct import_options *o, cJSON *profile, cJSON *tables, struct error *err)
{
    void *items = NULL;
    size_t count = 0;
    struct grid_points prefill = {0}, decode = {0};
    cJSON_AddStringToObject(profile, "source", "imported from Splitwise's perf_model.csv: whole iterations");
    int status = csv_read(o->path, columns, sizeof columns / sizeof *columns, sizeof(struct row), &items, &count, err);
    const struct row *rows = items;
    if (status == 0)
        status = check_hardware(rows, count, o, err);
    for (size_t i = 0; i < count && status == 0; i++) {
        const struct row *r = &rows[i];
        if (wanted(r, o) &&
            (grid_add(&prefill, (double[TABLE_AXES]){r->prompt * r->batch}, r->prompt_ms * 1e6) ||
             grid_add(&decode, (double[TABLE_AXES]){r->batch, r->prompt + r->outputs / 2}, r->token_ms * 1e6)))
            status = error_no_memory(err);
    }
    if (status == 0)
        status = add("whole_prefill", 1, &prefill, o, tables, err) || add("whole_decode", 2, &decode, o, tables, err);
    grid_release(&prefill);
    grid_release(&decode);
    free(items);
    return status ? -1 : 0;
}

static int matches(const char *path, struct error *err)
{
    char line[512] = "";
    FILE *in = fopen(path, "r");
    if (!in)
        return errno == ENOENT || errno == ENOTDIR ? 0 : error_not_opened(err, path);
    const char *first = fgets(line, sizeof line, in);
    int reason = !first && ferror(in) ? errno : 0;
    fclose(in);
    if (reason && reason != EISDIR)
        return error_set(err, ERROR_IO, "%s: cannot be read: %s", path, strerror(reason));
    return first && strstr(line, "prompt_time") && strstr(line, "token_time");
}

const struct import_format import_splitwise = {.name = "Splitwise performance model",
                                               .usual_base = "a100-80gb",
                                               .by_model = true,
                                               .matches = matches,
                                               .import = import};

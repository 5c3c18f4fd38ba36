/* SPDX-License-Identifier: MIT */
#include "validation/levels.h"

#include <dirent.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/array.h"
#include "base/lines.h"
#include "base/present.h"
#include "validation/forms.h"

enum { FOLDER_STAGES = 1000 };

static const struct measured_form *const forms[] = {&form_vllm, &form_guidellm, &form_aiperf, &form_inference_perf,
                                                    NULL};

void levels_release(struct levels *levels)
{
    for (size_t i = 0; i < levels->count; i++)
        free(levels->items[i].sent);
    free(levels->items);
    cJSON_Delete(levels->scenario);
    *levels = (struct levels){0};
}

struct level *levels_add(struct levels *levels, struct error *err)
{
    struct level *grown = array_grow(levels->items, &levels->capacity, levels->count + 1, sizeof *grown);
    if (!grown) {
        error_no_memory(err);
        return NULL;
    }
    levels->items = grown;
    struct level *level = &grown[levels->count++];
    *level = (struct level){.cv = 1};
    for (int m = 0; m < MEASURED_METRICS; m++)
        for (int i = 0; i < MEASURED_STATISTICS; i++)
            level->measured[m][i] = NAN;
    return level;
}

int level_add_request(struct level *level, struct level_request request, struct error *err)
{
    struct level_request *grown = array_grow(level->sent, &level->sent_capacity, level->sent_count + 1, sizeof *grown);
    if (!grown)
        return error_no_memory(err);
    level->sent = grown;
    request.tpot_s = request.output_tokens > 1 ? (request.e2e_s - request.ttft_s) / (request.output_tokens - 1) : NAN;
    level->sent[level->sent_count++] = request;
    return 0;
}

int level_statistics(const struct level_request *requests, size_t first, size_t count,
                     double out[MEASURED_METRICS][MEASURED_STATISTICS], struct error *err)
{
    struct latencies all = {0}, same = {0};
    struct comparison c;
    int status = 0;
    for (size_t i = first; i < first + count && status == 0; i++)
        status = latencies_add(&all, requests[i].ttft_s, requests[i].e2e_s, (uint32_t)requests[i].output_tokens);
    if (status == 0) {
        latencies_compare(&all, &same, &c);
        memcpy(out, c.measured, sizeof c.measured);
    }
    latencies_release(&all);
    return status ? error_no_memory(err) : 0;
}

static int compare_arrivals(const void *a, const void *b)
{
    const struct level_request *x = a, *y = b;
    return (x->arrival_s > y->arrival_s) - (x->arrival_s < y->arrival_s);
}

int level_summarise(struct level *level, struct error *err)
{
    size_t n = level->sent_count;
    qsort(level->sent, n, sizeof *level->sent, compare_arrivals);
    level->requests = (double)n;
    level->prompt_tokens = level->output_tokens = 0;
    for (size_t i = 0; i < n; i++) {
        level->prompt_tokens += level->sent[i].prompt_tokens / (double)n;
        level->output_tokens += level->sent[i].output_tokens / (double)n;
    }
    return level_statistics(level->sent, 0, n, level->measured, err);
}

static void name_level(struct level *level)
{
    if (level->load == LOAD_CLOSED)
        snprintf(level->name, sizeof level->name, "%g clients", level->concurrency);
    else if (level->load == LOAD_RATE)
        snprintf(level->name, sizeof level->name, "%g requests/s", level->rate_per_s);
    else
        snprintf(level->name, sizeof level->name, "%g requests%s", level->requests,
                 level->load == LOAD_AT_ONCE ? " at once" : "");
}

int level_finish(struct level *level, const struct json *place, const char *expected, struct error *err)
{
    bool known =
        level->load == LOAD_CLOSED ? level->concurrency >= 1 : level->load != LOAD_RATE || level->rate_per_s > 0;
    if (!known)
        return json_complain(place, expected, err);
    if (level->requests < 1 || level->prompt_tokens < 1 || level->output_tokens < 1)
        return error_set(err, ERROR_INPUT,
                         "%s: %s: expected at least one finished request, and a prompt and an output token of each, "
                         "found %g requests, %g and %g tokens",
                         place->file, *place->path ? place->path : "the file", level->requests, level->prompt_tokens,
                         level->output_tokens);
    if (!level->name[0])
        name_level(level);
    return 0;
}

int form_number(const struct json *object, const char *key, double *out, struct error *err)
{
    struct json at = json_member(object, key);
    return !at.node || cJSON_IsNull(at.node) ? 0 : json_read_number(object, key, true, 0, 1e15, out, err);
}

int form_statistics(const struct json *object, const char *const keys[MEASURED_STATISTICS], double unit_s, double *out,
                    struct error *err)
{
    for (int i = 0; i < MEASURED_STATISTICS; i++) {
        double value = NAN;
        if (form_number(object, keys[i], &value, err))
            return -1;
        out[i] = value > 0 ? value * unit_s : NAN;
    }
    return 0;
}

/* *known says whether any form has this document. */
static int read_document(const struct json *root, struct levels *out, bool *known, struct error *err)
{
    for (const struct measured_form *const *f = forms; *f; f++)
        if ((*known = (*f)->detect(root)))
            return (*f)->read(root, out, err);
    return error_set(err, ERROR_INPUT,
                     "%s: expected a result of vLLM's bench serve, GuideLLM, AIPerf, genai-perf or an inference-perf "
                     "stage, a CSV file with a line a load level, or a folder with requests.jsonl and meta.json",
                     root->file);
}

/* vLLM appends one result after another to a file. */
static int read_lines(const char *file, struct levels *out, bool *known, struct error *err)
{
    struct lines *in = lines_open(file, err);
    struct line line;
    int got = in ? 1 : -1;
    while (got == 1 && (got = lines_next(in, &line, err)) == 1) {
        struct json root;
        char place[LEVEL_TRACE];
        snprintf(place, sizeof place, "%s:%ld", file, line.number);
        if (json_parse(line.text, place, &root, err)) {
            got = -1;
            continue;
        }
        if (read_document(&root, out, known, err))
            got = -1;
        cJSON_Delete((cJSON *)(uintptr_t)root.node);
    }
    if (in)
        lines_close(in);
    return got;
}

static int read_json(const char *file, struct levels *out, struct error *err)
{
    struct json root;
    struct error of_line = {0};
    bool known = false;
    if (json_load(file, &root, err)) {
        struct levels none = {0};
        int status = err->code == ERROR_INPUT ? read_lines(file, &none, &known, &of_line) : -1;
        levels_release(&none);
        if (status == 0)
            return read_lines(file, out, &known, err);
        if (known || error_is_of_machine(&of_line))
            *err = of_line;
        return -1;
    }
    int status = read_document(&root, out, &known, err);
    cJSON_Delete((cJSON *)(uintptr_t)root.node);
    return status;
}

/* inference-perf writes stage_0_lifecycle_metrics.json and so on into one folder. */
static int read_stages(const char *folder, struct levels *out, struct error *err)
{
    char file[LEVEL_TRACE];
    size_t before = out->count;
    for (int i = 0; i < FOLDER_STAGES; i++) {
        snprintf(file, sizeof file, "%s/stage_%d_lifecycle_metrics.json", folder, i);
        int found = file_present(file, err);
        if (found < 0 || (found == 1 && read_json(file, out, err)))
            return -1;
    }
    return out->count > before ? 0
                               : error_set(err, ERROR_INPUT,
                                           "%s: expected requests.jsonl and meta.json in it, or "
                                           "stage_0_lifecycle_metrics.json and so on; found none of them",
                                           folder);
}

static int read_folder(const char *folder, const char *device, struct levels *out, struct error *err)
{
    char file[LEVEL_TRACE];
    snprintf(file, sizeof file, "%s/meta.json", folder);
    int found = file_present(file, err);
    if (found < 0)
        return -1;
    return found ? form_stamps_read(folder, device, out, err) : read_stages(folder, out, err);
}

int levels_read(const char *path, const char *device, struct levels *out, struct error *err)
{
    struct stat is;
    if (stat(path, &is))
        return error_not_opened(err, path);
    if (S_ISDIR(is.st_mode))
        return read_folder(path, device, out, err);
    int points = form_points_detect(path, err), csv = points ? 0 : form_csv_detect(path, err);
    if (points < 0 || csv < 0)
        return -1;
    if (points)
        return form_points_read(path, device, out, err);
    size_t before = out->count;
    if (csv ? form_csv_read(path, out, err) : read_json(path, out, err))
        return -1;
    return out->count > before ? 0 : error_set(err, ERROR_INPUT, "%s: holds no load level", path);
}

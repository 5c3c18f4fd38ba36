/* SPDX-License-Identifier: MIT */
#include "validation/level_run.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/array.h"
#include "base/temporary.h"
#include "simulation/simulation.h"

static int make_folder(struct level_runs *runs, struct error *err)
{
    const char *within = getenv("TMPDIR");
    char random[33] = "", folder[LEVEL_TRACE];
    if (temporary_random_name(random, sizeof random))
        return error_set(err, ERROR_IO, "no name for a folder can be drawn: %s", strerror(errno));
    int length = snprintf(folder, sizeof folder, "%s/tandem-%s", within && *within ? within : "/tmp", random);
    bool fits = length > 0 && (size_t)length < sizeof folder;
    runs->places[0] = fits ? temporary_note(folder) : -1;
    if (!fits || mkdir(folder, 0700)) {
        temporary_forget(runs->places[0]);
        return error_set(err, ERROR_IO, "%.200s: no folder can be made there: %s", folder, strerror(errno));
    }
    memcpy(runs->folder, folder, sizeof folder);
    return 0;
}

const char *level_runs_trace(const struct level_runs *runs, size_t level, char out[LEVEL_TRACE + 32])
{
    const struct level *l = &runs->levels->items[level];
    if (l->sent_count == 0 || l->trace[0])
        return l->trace[0] ? l->trace : NULL;
    snprintf(out, LEVEL_TRACE + 32, "%s/%zu.jsonl", runs->folder, level);
    return out;
}

int level_runs_open(struct level_runs *runs, const struct levels *levels, struct error *err)
{
    char file[LEVEL_TRACE + 32];
    *runs = (struct level_runs){.levels = levels, .places = malloc((levels->count + 1) * sizeof(int))};
    if (!runs->places)
        return error_no_memory(err);
    for (size_t i = 0; i <= levels->count; i++)
        runs->places[i] = -1;
    if (make_folder(runs, err))
        return -1;
    for (size_t i = 0; i < levels->count; i++) {
        const struct level *l = &levels->items[i];
        if (l->sent_count == 0 || l->trace[0])
            continue;
        level_runs_trace(runs, i, file);
        runs->places[i + 1] = temporary_note(file);
        if (level_write_trace(l, file, err))
            return -1;
    }
    return 0;
}

void level_runs_close(struct level_runs *runs)
{
    char file[LEVEL_TRACE + 32];
    for (size_t i = 0; runs->folder[0] && i < runs->levels->count; i++) {
        if (runs->places[i + 1] >= 0)
            remove(level_runs_trace(runs, i, file));
        temporary_forget(runs->places[i + 1]);
    }
    if (runs->folder[0]) {
        remove(runs->folder);
        temporary_forget(runs->places[0]);
    }
    free(runs->places);
    *runs = (struct level_runs){0};
}

struct served {
    uint64_t id;
    struct level_request times;
};

struct collector {
    struct served *items;
    size_t count, capacity;
    bool out_of_memory;
};

static void collect(void *state, struct station_id station, const struct request *r)
{
    struct collector *c = state;
    (void)station;
    struct served *grown = array_grow(c->items, &c->capacity, c->count + 1, sizeof *grown);
    if (!grown) {
        c->out_of_memory = true;
        return;
    }
    c->items = grown;
    double ttft = sim_time_to_s(r->first_token - r->arrival), e2e = sim_time_to_s(r->last_token - r->arrival);
    double tpot = r->output_tokens > 1 ? (e2e - ttft) / (r->output_tokens - 1) : NAN;
    grown[c->count++] =
        (struct served){r->id, {sim_time_to_s(r->arrival), r->prompt_tokens, r->output_tokens, ttft, tpot, e2e}};
}

static int compare_ids(const void *a, const void *b)
{
    const struct served *x = a, *y = b;
    return (x->id > y->id) - (x->id < y->id);
}

static int run(struct simulation *s, const char *name, struct collector *c, struct error *err)
{
    const struct observer observer = {.state = c, .finished = collect};
    const struct simulation_options o = {.observers = &observer};
    s->scenario.keep_requests = 1;
    if (simulation_run(s, &o, err))
        return -1;
    if (c->out_of_memory)
        return error_no_memory(err);
    if (s->summary.totals.finished < s->summary.totals.arrived)
        return error_set(err, ERROR_RUN, "%s: %llu of %llu requests were not served%s%s; the server took them", name,
                         (unsigned long long)(s->summary.totals.arrived - s->summary.totals.finished),
                         (unsigned long long)s->summary.totals.arrived, s->metrics.reject_reason ? ", because: " : "",
                         s->metrics.reject_reason ? s->metrics.reject_reason : "");
    return 0;
}

/* Chance is not the same at all loads, or it would look like a parameter. */
int level_add_seed(cJSON *root, size_t level, uint64_t later, struct error *err)
{
    const cJSON *at = cJSON_GetObjectItemCaseSensitive(root, "seed");
    double seed = (cJSON_IsNumber(at) ? at->valuedouble : 1) + 10000 * (double)level;
    cJSON_DeleteItemFromObjectCaseSensitive(root, "seed");
    return cJSON_AddNumberToObject(root, "seed", seed + (double)later) ? 0 : error_no_memory(err);
}

int level_simulate(cJSON *scenario, const char *name, struct level_request **out, size_t *count, struct error *err)
{
    struct simulation *s = NULL;
    struct collector c = {0};
    *out = NULL;
    *count = 0;
    if (simulation_open((struct json){.node = scenario, .file = name}, &s, err))
        return -1;
    int status = run(s, name, &c, err);
    simulation_close(s);
    if (status == 0) {
        qsort(c.items, c.count, sizeof *c.items, compare_ids);
        *out = malloc((c.count + 1) * sizeof **out);
        *count = *out ? c.count : 0;
        status = *out ? 0 : error_no_memory(err);
    }
    for (size_t i = 0; i < *count; i++)
        (*out)[i] = c.items[i].times;
    free(c.items);
    return status;
}

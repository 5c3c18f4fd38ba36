/* SPDX-License-Identifier: MIT */
#include "reports/store/compare.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "reports/stats/inference.h"
#include "reports/store/kept_value.h"

enum { BATCHES = 32, PAIRED = 3 };

static const struct {
    const char *name, *statistic, *title;
    bool more_is_better;
    int pair; /* column of the paired differences; −1: none */
} asked[] = {
    {"ttft_s", "mean", "TTFT mean", false, 0},
    {"ttft_s", "p50", "TTFT p50", false, -1},
    {"ttft_s", "p99", "TTFT p99", false, -1},
    {"tpot_s", "mean", "TPOT mean", false, 1},
    {"tpot_s", "p50", "TPOT p50", false, -1},
    {"tpot_s", "p99", "TPOT p99", false, -1},
    {"itl_s", "p99", "ITL p99", false, -1},
    {"e2e_s", "mean", "E2E mean", false, 2},
    {"e2e_s", "p50", "E2E p50", false, -1},
    {"e2e_s", "p99", "E2E p99", false, -1},
    {"goodput_per_s", "value", "goodput/s", true, -1},
    {"output_tokens_per_s", "value", "output tokens/s", true, -1},
    {"slo_attainment", "value", "requests within the SLO", true, -1},
};

struct value {
    double at, half;
};

static int take_value(void *state, int columns, char **values, struct error *err)
{
    struct value *v = state;
    (void)columns, (void)err;
    v->at = kept_number(values[0]);
    v->half = (kept_number(values[2]) - kept_number(values[1])) / 2;
    return 0;
}

static int read_value(struct store *store, int64_t run, size_t row, struct value *out, struct error *err)
{
    *out = (struct value){NAN, NAN};
    return store_read(store, take_value, out, err,
                      "SELECT value, ci_low, ci_high FROM metric WHERE run_id = ? AND name = ? AND scope = 'run' AND "
                      "statistic = ?",
                      "iss", run, asked[row].name, asked[row].statistic);
}

struct pairs {
    double *differences[PAIRED]; /* [count] each, NAN where there is none */
    size_t count, capacity[PAIRED];
};

static int take_pair(void *state, int columns, char **values, struct error *err)
{
    struct pairs *p = state;
    (void)columns;
    for (int i = 0; i < PAIRED; i++) {
        double *grown = array_grow(p->differences[i], &p->capacity[i], p->count + 1, sizeof *grown);
        if (!grown)
            return error_no_memory(err);
        p->differences[i] = grown;
        grown[p->count] = kept_number(values[i]);
    }
    p->count++;
    return 0;
}

/* Neighbours wait in the same queues: their differences are batched before they are taken for independent. */
static struct estimate batch_mean(const double *differences, size_t count)
{
    double means[BATCHES];
    size_t used = 0;
    for (size_t b = 0; b < BATCHES; b++) {
        double sum = 0, n = 0;
        for (size_t i = b * count / BATCHES; i < (b + 1) * count / BATCHES; i++)
            if (isfinite(differences[i])) {
                sum += differences[i];
                n++;
            }
        if (n > 0)
            means[used++] = sum / n;
    }
    return inference_mean(means, used, 0.95);
}

static struct estimate relative_to(double base, struct estimate e)
{
    return (struct estimate){e.value / base, e.low / base, e.high / base};
}

static void fill(struct compared *c, size_t row, struct value a, struct value b, const struct pairs *pairs)
{
    double difference = b.at - a.at, half = hypot(a.half, b.half);
    *c = (struct compared){.name = asked[row].name,
                           .statistic = asked[row].statistic,
                           .title = asked[row].title,
                           .more_is_better = asked[row].more_is_better,
                           .a = a.at,
                           .b = b.at};
    struct estimate e = {difference, difference - half, difference + half};
    if (asked[row].pair >= 0 && pairs->count >= 2 * BATCHES) {
        e = batch_mean(pairs->differences[asked[row].pair], pairs->count);
        c->pairs = pairs->count;
    }
    c->relative = a.at != 0 ? relative_to(a.at, e) : (struct estimate){NAN, NAN, NAN};
}

void compare_json(const cJSON *a, const cJSON *b, const char *path, compare_change change, void *state)
{
    const cJSON *member;
    if ((!a && !b) || cJSON_Compare(a, b, 1))
        return;
    if (cJSON_IsObject(a) && cJSON_IsObject(b)) {
        char below[300];
        cJSON_ArrayForEach(member, a)
        {
            snprintf(below, sizeof below, "%s%s%s", path, *path ? "." : "", member->string);
            compare_json(member, cJSON_GetObjectItemCaseSensitive(b, member->string), below, change, state);
        }
        cJSON_ArrayForEach(member, b)
        {
            snprintf(below, sizeof below, "%s%s%s", path, *path ? "." : "", member->string);
            if (!cJSON_GetObjectItemCaseSensitive(a, member->string))
                compare_json(NULL, member, below, change, state);
        }
        return;
    }
    char *from = a ? cJSON_PrintUnformatted(a) : NULL, *to = b ? cJSON_PrintUnformatted(b) : NULL;
    change(state, path, from ? from : "(default)", to ? to : "(default)");
    free(from);
    free(to);
}

/* A sentence's part of what differs. */
struct change_text {
    char *text;
    size_t size;
};

static void add_change(void *state, const char *path, const char *from, const char *to)
{
    const struct change_text *c = state;
    size_t used = strlen(c->text);
    snprintf(c->text + used, c->size - used, "%s%s %.60s → %.60s", used ? "; " : "", path, from, to);
}

static void add_changes(const cJSON *a, const cJSON *b, const char *key, char *text, size_t size)
{
    compare_json(cJSON_GetObjectItemCaseSensitive(a, key), cJSON_GetObjectItemCaseSensitive(b, key), key, add_change,
                 &(struct change_text){text, size});
}

struct asked_run {
    cJSON *scenario;
    char seed[24];
};

static int take_asked(void *state, int columns, char **values, struct error *err)
{
    struct asked_run *r = state;
    (void)columns;
    r->scenario = cJSON_Parse(kept_text(values[0]));
    snprintf(r->seed, sizeof r->seed, "%s", kept_text(values[1]));
    return r->scenario ? 0 : error_set(err, ERROR_INPUT, "the kept scenario of a run is not JSON");
}

static int take_single(void *state, int columns, char **values, struct error *err)
{
    (void)columns, (void)err;
    *(double *)state = kept_number(values[0]);
    return 0;
}

static int read_single(struct store *store, int64_t run, const char *name, double *out, struct error *err)
{
    *out = NAN;
    return store_read(
        store, take_single, out, err,
        "SELECT value FROM metric WHERE run_id = ? AND name = ? AND scope = 'run' AND statistic = 'value'", "is", run,
        name);
}

int compare_conditions(struct store *store, int64_t a, int64_t b, struct comparability *out, struct error *err)
{
    struct asked_run asked_of[2] = {{0}};
    const int64_t runs[2] = {a, b};
    int status = 0;
    *out = (struct comparability){0};
    for (int i = 0; i < 2 && status == 0; i++) {
        double overloaded = NAN;
        status = store_read(store, take_asked, &asked_of[i], err, "SELECT scenario, seed FROM run WHERE id = ?", "i",
                            runs[i]) ||
                         read_single(store, runs[i], "overloaded", &overloaded, err) ||
                         read_single(store, runs[i], "unserved_share", &out->unserved[i], err)
                     ? -1
                     : 0;
        out->overloaded[i] = overloaded > 0;
    }
    if (status == 0) {
        static const char *const serving[] = {"model", "device", "engine", "techniques", "cluster", "policy"};
        add_changes(asked_of[0].scenario, asked_of[1].scenario, "workload", out->workload, sizeof out->workload);
        for (size_t i = 0; i < sizeof serving / sizeof *serving; i++)
            add_changes(asked_of[0].scenario, asked_of[1].scenario, serving[i], out->configuration,
                        sizeof out->configuration);
        if (strcmp(asked_of[0].seed, asked_of[1].seed) != 0)
            snprintf(out->seeds, sizeof out->seeds, "%s → %s", asked_of[0].seed, asked_of[1].seed);
    }
    cJSON_Delete(asked_of[0].scenario);
    cJSON_Delete(asked_of[1].scenario);
    return status;
}

/* Latencies are of the requests that were served, and of an overloaded run they say how long it was. */
static const char *why_not_compared(const struct comparability *c, const struct compared *row)
{
    if (*c->workload)
        return "different workloads";
    if (row->more_is_better)
        return NULL;
    if (c->overloaded[0] || c->overloaded[1])
        return c->overloaded[0] && c->overloaded[1] ? "both are overloaded"
               : c->overloaded[0]                   ? "A is overloaded"
                                                    : "B is overloaded";
    bool all_served = !(c->unserved[0] > 0) && !(c->unserved[1] > 0);
    return all_served ? NULL : "of those served, not all were";
}

int compare_runs(struct store *store, int64_t a, int64_t b, struct compared rows[COMPARED], size_t *count,
                 struct error *err)
{
    struct pairs pairs = {0};
    struct comparability conditions;
    *count = 0;
    if (compare_conditions(store, a, b, &conditions, err))
        return -1;
    int status = store_read(store, take_pair, &pairs, err,
                            "SELECT y.ttft_s - x.ttft_s, y.tpot_s - x.tpot_s, y.e2e_s - x.e2e_s FROM request x JOIN "
                            "request y ON y.id = x.id AND y.prompt_tokens = x.prompt_tokens AND y.output_tokens = "
                            "x.output_tokens WHERE x.run_id = ? AND y.run_id = ? ORDER BY x.id",
                            "ii", a, b);
    for (size_t i = 0; status == 0 && i < sizeof asked / sizeof *asked; i++) {
        struct value x, y;
        status = read_value(store, a, i, &x, err) || read_value(store, b, i, &y, err) ? -1 : 0;
        if (status != 0 || !isfinite(x.at) || !isfinite(y.at))
            continue;
        fill(&rows[*count], i, x, y, &pairs);
        rows[*count].not_compared = why_not_compared(&conditions, &rows[*count]);
        ++*count;
    }
    for (int i = 0; i < PAIRED; i++)
        free(pairs.differences[i]);
    if (status == 0 && *count == 0)
        status =
            error_set(err, ERROR_INPUT, "runs %lld and %lld: found no metrics that both have; are there such runs?",
                      (long long)a, (long long)b);
    return status;
}

int compare_verdict(const struct compared *c)
{
    int sign = c->not_compared ? 0 : c->relative.low > 0 ? 1 : c->relative.high < 0 ? -1 : 0;
    return c->more_is_better ? sign : -sign;
}

bool compared_is_far(const struct compared *c)
{
    return fabs(c->a) > 10 * fabs(c->b) || fabs(c->b) > 10 * fabs(c->a);
}

void compared_change(const struct compared *c, char *out, size_t size)
{
    double relative = c->relative.value;
    if (!isfinite(relative))
        snprintf(out, size, "–");
    else if (compared_is_far(c))
        snprintf(out, size, relative > 0 ? "over × 10" : "under × 0.1");
    else
        snprintf(out, size, "%+.1f %%", fabs(relative) < 5e-4 ? 0.0 : 100 * relative);
}

bool compared_is_time(const struct compared *c)
{
    size_t length = strlen(c->name);
    return length > 2 && strcmp(c->name + length - 2, "_s") == 0 && strstr(c->name, "per_s") == NULL;
}

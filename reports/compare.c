/* SPDX-License-Identifier: MIT */
#include "reports/compare.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "reports/inference.h"

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
    v->at = values[0] ? strtod(values[0], NULL) : NAN;
    v->half = values[1] && values[2] ? (strtod(values[2], NULL) - strtod(values[1], NULL)) / 2 : NAN;
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
        grown[p->count] = values[i] ? strtod(values[i], NULL) : NAN;
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

int compare_runs(struct store *store, int64_t a, int64_t b, struct compared rows[COMPARED], size_t *count,
                 struct error *err)
{
    struct pairs pairs = {0};
    *count = 0;
    int status = store_read(store, take_pair, &pairs, err,
                            "SELECT y.ttft_s - x.ttft_s, y.tpot_s - x.tpot_s, y.e2e_s - x.e2e_s FROM request x JOIN "
                            "request y ON y.id = x.id AND y.prompt_tokens = x.prompt_tokens AND y.output_tokens = "
                            "x.output_tokens WHERE x.run_id = ? AND y.run_id = ? ORDER BY x.id",
                            "ii", a, b);
    for (size_t i = 0; status == 0 && i < sizeof asked / sizeof *asked; i++) {
        struct value x, y;
        status = read_value(store, a, i, &x, err) || read_value(store, b, i, &y, err) ? -1 : 0;
        if (status == 0 && isfinite(x.at) && isfinite(y.at))
            fill(&rows[(*count)++], i, x, y, &pairs);
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
    int sign = c->relative.low > 0 ? 1 : c->relative.high < 0 ? -1 : 0;
    return c->more_is_better ? sign : -sign;
}

bool compared_is_time(const struct compared *c)
{
    size_t length = strlen(c->name);
    return length > 2 && strcmp(c->name + length - 2, "_s") == 0 && strstr(c->name, "per_s") == NULL;
}

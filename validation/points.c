/* SPDX-License-Identifier: MIT */
#include "validation/points.h"

#include <gsl/gsl_sort.h>
#include <gsl/gsl_statistics_double.h>
#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/csv.h"
#include "base/sha256.h"
#include "profiles/model.h"
#include "profiles/shipped.h"
#include "validation/measured.h"

#define POOL_COLUMNS(prefix, pool)                                                                                     \
    {prefix "batch_size", offsetof(struct point, pool.batch), 0, CSV_MAY_LACK},                                        \
        {prefix "num_workers", offsetof(struct point, pool.workers), 0, CSV_MAY_LACK},                                 \
        {prefix "tp_size", offsetof(struct point, pool.tp), 0, CSV_MAY_LACK},                                          \
        {prefix "pp_size", offsetof(struct point, pool.pp), 0, CSV_MAY_LACK},                                          \
        {prefix "attention_dp_size", offsetof(struct point, pool.attention_dp), 0, CSV_MAY_LACK},                      \
        {prefix "moe_tp_size", offsetof(struct point, pool.moe_tp), 0, CSV_MAY_LACK},                                  \
    {                                                                                                                  \
        prefix "moe_ep_size", offsetof(struct point, pool.moe_ep), 0, CSV_MAY_LACK                                     \
    }

static const struct csv_column columns[] = {
    {"id", offsetof(struct point, id), POINT_TEXT, CSV_OPTIONAL},
    {"silicon_data_source", offsetof(struct point, data_source), POINT_SOURCE, CSV_MAY_LACK},
    {"backend", offsetof(struct point, backend), 24, CSV_OPTIONAL},
    {"backend_version", offsetof(struct point, version), 64, CSV_MAY_LACK},
    {"model_path", offsetof(struct point, model_path), POINT_TEXT, CSV_OPTIONAL},
    {"system", offsetof(struct point, system), POINT_SYSTEM, CSV_OPTIONAL},
    {"mode", offsetof(struct point, mode), 16, CSV_OPTIONAL},
    {"gemm_quant_mode", offsetof(struct point, quantisation), 24, CSV_OPTIONAL},
    {"isl", offsetof(struct point, isl), 0, CSV_POSITIVE},
    {"osl", offsetof(struct point, osl), 0, CSV_POSITIVE},
    {"tp_size", offsetof(struct point, serve.tp), 0, CSV_OPTIONAL},
    {"batch_size", offsetof(struct point, serve.batch), 0, CSV_MAY_LACK},
    {"pp_size", offsetof(struct point, serve.pp), 0, CSV_MAY_LACK},
    {"attention_dp_size", offsetof(struct point, serve.attention_dp), 0, CSV_MAY_LACK},
    {"moe_tp_size", offsetof(struct point, serve.moe_tp), 0, CSV_MAY_LACK},
    {"moe_ep_size", offsetof(struct point, serve.moe_ep), 0, CSV_MAY_LACK},
    POOL_COLUMNS("prefill_", prefill),
    POOL_COLUMNS("decode_", decode),
    {"silicon_ttft_ms", offsetof(struct point, ttft_ms), 0, CSV_POSITIVE},
    {"silicon_tpot_ms", offsetof(struct point, tpot_ms), 0, CSV_POSITIVE},
};

/* The batch of a point is that of one attention rank. */
static void find_concurrency(struct point *p)
{
    const char *stated = strstr(p->data_source, "silicon_concurrency=");
    const struct point_pool *decodes = p->decode.tp > 0 ? &p->decode : &p->serve;
    p->ranks = fmax(decodes->attention_dp, 1) * fmax(decodes->workers, 1);
    p->concurrency = stated ? strtod(stated + strlen("silicon_concurrency="), NULL) : decodes->batch * p->ranks;
}

/* A GPU has whole heads: a degree that does not divide them counts the GPUs of several servers. */
static bool cuts_heads(const struct point *p)
{
    char name[POINT_TEXT];
    struct model m;
    struct error ignored = {0};
    if (!shipped_resolve("model", p->model_path, name, sizeof name) || model_load(name, &m, &ignored))
        return false;
    const double degrees[] = {p->serve.tp, p->prefill.tp, p->decode.tp};
    bool cuts = false;
    for (int i = 0; i < 3; i++)
        cuts = cuts || (degrees[i] >= 1 && fmod(m.heads, degrees[i]) != 0);
    return cuts;
}

static bool same_pool(const struct point_pool *a, const struct point_pool *b)
{
    return a->workers == b->workers && a->tp == b->tp && a->pp == b->pp && a->attention_dp == b->attention_dp &&
           a->moe_tp == b->moe_tp && a->moe_ep == b->moe_ep;
}

bool point_same_parallel(const struct point *a, const struct point *b)
{
    return same_pool(&a->serve, &b->serve) && same_pool(&a->prefill, &b->prefill) && same_pool(&a->decode, &b->decode);
}

/* Times in hundredths of a millisecond, as some lines hold those of others. */
static bool same_when_rounded(const struct point *a, const struct point *b)
{
    return a->concurrency == b->concurrency && fabs(a->ttft_ms - b->ttft_ms) < 0.00501 &&
           fabs(a->tpot_ms - b->tpot_ms) < 0.00501;
}

/* Two lines of one measurement: nobody measures the same two times twice, to all their digits. */
static bool same_measurement(const struct point *a, const struct point *b)
{
    bool same_times = (a->ttft_ms == b->ttft_ms && a->tpot_ms == b->tpot_ms) || same_when_rounded(a, b);
    return same_times && a->isl == b->isl && a->osl == b->osl && strcmp(a->system, b->system) == 0 &&
           strcmp(a->backend, b->backend) == 0;
}

static bool judged(const struct point *p)
{
    char text[1024], hex[65];
    const struct point_pool *s = &p->serve, *f = &p->prefill, *d = &p->decode;
    snprintf(text, sizeof text, "%s|%s|%s|%s|%s|%s|%g|%g|%g,%g,%g,%g,%g|%g,%g,%g,%g,%g,%g|%g,%g,%g,%g,%g,%g", p->system,
             p->backend, p->version, p->model_path, p->quantisation, p->mode, p->isl, p->osl, s->tp, s->pp,
             s->attention_dp, s->moe_tp, s->moe_ep, f->workers, f->tp, f->pp, f->attention_dp, f->moe_tp, f->moe_ep,
             d->workers, d->tp, d->pp, d->attention_dp, d->moe_tp, d->moe_ep);
    sha256_of_text(text, hex);
    return strchr("13579bdf", hex[63]) != NULL;
}

void points_release(struct points *points)
{
    free(points->items);
    *points = (struct points){0};
}

/* h100_sxm is h100-sxm, also as fitted to an engine's kernels (h100-sxm-vllm-0.19). */
static bool same_system(const struct point *p, const char *device)
{
    char system[POINT_SYSTEM];
    snprintf(system, sizeof system, "%s", p->system);
    for (char *c = system; *c; c++)
        *c = *c == '_' ? '-' : *c;
    size_t length = strlen(system);
    return strncmp(system, device, length) == 0 && (!device[length] || device[length] == '-');
}

static const char *refused_pool(const struct point_pool *p, bool large_domain)
{
    double gpus = p->tp * fmax(p->attention_dp, 1), expert_gpus = fmax(p->moe_tp, 1) * fmax(p->moe_ep, 1);
    if (p->tp < 1)
        return "no tensor parallel degree given";
    if (p->pp > 1)
        return "pipeline parallel";
    if (p->tp > (large_domain ? 64 : 8))
        return large_domain ? "tensor parallel beyond 64 GPUs" : "tensor parallel beyond a node of 8 GPUs";
    if (expert_gpus > 1 && gpus != expert_gpus)
        return "experts and attention on different numbers of GPUs";
    return NULL;
}

static bool known_weights(const struct point *p)
{
    static const char *const known[] = {"", "bfloat16", "float16", "fp8", "fp8_block", "nvfp4", "int4_wo", NULL};
    for (const char *const *k = known; *k; k++)
        if (strcmp(p->quantisation, *k) == 0)
            return true;
    return false;
}

bool point_is_disaggregated(const struct point *p)
{
    return strcmp(p->mode, "disagg") == 0;
}

static const char *refused_degrees(const struct point *p)
{
    bool rack = strncmp(p->system, "gb", 2) == 0; /* NVL72: 72 GPUs behind one NVLink switch */
    if (!point_is_disaggregated(p))
        return refused_pool(&p->serve, rack);
    if (p->prefill.workers < 1 || p->decode.workers < 1)
        return "disaggregated, and the number of workers is not given";
    const char *reason = refused_pool(&p->prefill, rack);
    return reason ? reason : refused_pool(&p->decode, rack);
}

/* Why nobody could simulate it, or NULL. */
static const char *cannot_be(const struct point *p)
{
    char model[POINT_TEXT];
    if (strcmp(p->mode, "agg") != 0 && !point_is_disaggregated(p))
        return "served in a way that is not modelled";
    if (!shipped_resolve("model", p->model_path, model, sizeof model))
        return "a model that is not shipped";
    if (!known_weights(p))
        return "weights in a format that is not modelled";
    if (p->concurrency < 1 || p->concurrency > 1e6)
        return "no concurrency given";
    if (p->speculates || point_speculates(p))
        return "speculative decoding, and how much is accepted is not given";
    const char *reason = refused_degrees(p);
    if (!reason && p->cuts_heads)
        return "attention heads that the tensor parallel degree does not divide";
    return reason;
}

const char *point_refused(const struct point *p, const char *system)
{
    if (*system && !same_system(p, system))
        return "measured on another system";
    if (p->repeat == POINT_AMBIGUOUS)
        return "one measurement under several parallel degrees";
    if (p->repeat == POINT_AGAIN)
        return "a measurement that another line holds, too";
    if (p->beats_gpus)
        return "faster than its GPUs at the peaks of their datasheet";
    return cannot_be(p);
}

/* A line that does not say whose script started its server is of the same server as the one that does. */
static void find_speculation(struct points *points)
{
    for (size_t i = 0; i < points->count; i++)
        for (size_t k = 0; !point_has_script(&points->items[i]) && k < points->count; k++)
            points->items[i].speculates |=
                point_speculates(&points->items[k]) && same_measurement(&points->items[i], &points->items[k]);
}

/* Of lines that agree the first one counts that says whose script started its server, or the first; where they don't,
 * nobody knows which one was measured. */
static void find_repeats(struct points *points)
{
    for (size_t i = 0; i < points->count; i++)
        for (size_t k = 0; k < i; k++) {
            struct point *p = &points->items[i], *q = &points->items[k];
            if (!same_measurement(p, q) || cannot_be(p) || cannot_be(q))
                continue;
            struct point *again = q->repeat == POINT_ONCE && point_has_script(p) && !point_has_script(q) ? q : p;
            if (!point_same_parallel(p, q))
                p->repeat = q->repeat = POINT_AMBIGUOUS;
            else if (again->repeat == POINT_ONCE)
                again->repeat = POINT_AGAIN;
        }
}

int points_read(const char *file, struct points *out, struct error *err)
{
    void *items = NULL;
    int status =
        csv_read(file, columns, sizeof columns / sizeof *columns, sizeof *out->items, &items, &out->count, err);
    out->items = items;
    for (size_t i = 0; status == 0 && i < out->count; i++) {
        struct point *p = &out->items[i];
        p->judged = judged(p); /* by the degrees that the file holds */
        find_concurrency(p);
        point_mend_degrees(p);
        find_concurrency(p); /* of as many ranks as there are */
        p->cuts_heads = cuts_heads(p);
    }
    if (status == 0) {
        find_speculation(out);
        find_repeats(out);
    }
    return status;
}

int point_simulate(struct point *p, struct json root, struct store *store, struct error *err)
{
    struct simulation *s = NULL;
    struct latencies simulated = {0};
    if (simulation_open(root, &s, err))
        return -1;
    int status = measured_simulate(s, NULL, &simulated, err);
    if (status == 0) {
        p->simulated_ttft_ms = s->summary.metrics[METRIC_TTFT].at[STAT_MEAN].value * 1e-6;
        p->simulated_tpot_ms = s->summary.metrics[METRIC_TPOT].at[STAT_MEAN].value * 1e-6;
        if (store && simulation_keep(s, store, err) < 0)
            status = -1;
    }
    latencies_release(&simulated);
    simulation_close(s);
    return status;
}

static double quantile_of(double *values, size_t count, double q)
{
    gsl_sort(values, 1, count);
    return gsl_stats_quantile_from_sorted_data(values, 1, count, q);
}

/* Of errors, which are sorted and made absolute. */
static struct error_spread spread_of(double *errors, size_t n)
{
    struct error_spread s = {.signed_median = quantile_of(errors, n, 0.5)};
    for (size_t i = 0; i < n; i++)
        errors[i] = fabs(errors[i]);
    s.median = quantile_of(errors, n, 0.5);
    s.p90 = quantile_of(errors, n, 0.9);
    s.mean = gsl_stats_mean(errors, 1, n);
    s.worst = errors[n - 1];
    return s;
}

static bool chosen(const struct point *p, const struct point_choice *c)
{
    return p->simulated_tpot_ms > 0 && (!c->backend || strcmp(p->backend, c->backend) == 0) &&
           (!c->model_path || strcmp(p->model_path, c->model_path) == 0) && (!c->judged_only || p->judged);
}

int points_compare(const struct points *points, const struct point_choice *choice, struct point_errors *out,
                   struct error *err)
{
    *out = (struct point_errors){0};
    size_t n = 0, most = points->count;
    double *values = calloc(6 * most + 1, sizeof *values), *work = values + 4 * most;
    if (!values)
        return error_no_memory(err);
    double *measured[2] = {values, values + most}, *simulated[2] = {values + 2 * most, values + 3 * most};
    for (size_t i = 0; i < most; i++) {
        const struct point *p = &points->items[i];
        if (!chosen(p, choice))
            continue;
        measured[0][n] = p->ttft_ms;
        measured[1][n] = p->tpot_ms;
        simulated[0][n] = p->simulated_ttft_ms;
        simulated[1][n++] = p->simulated_tpot_ms;
    }
    out->count = n;
    for (int k = 0; k < 2 && n > 0; k++) {
        double rank = n > 2 ? gsl_stats_spearman(measured[k], 1, simulated[k], 1, n, work) : NAN;
        for (size_t i = 0; i < n; i++)
            work[i] = simulated[k][i] / measured[k][i] - 1;
        struct error_spread *spread = k == 0 ? &out->ttft : &out->tpot;
        *spread = spread_of(work, n);
        spread->rank = rank;
    }
    free(values);
    return 0;
}

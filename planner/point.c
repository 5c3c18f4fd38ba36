/* SPDX-License-Identifier: MIT */
#include "planner/point.h"

#include <gsl/gsl_cdf.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"

enum { FIRST_LOOK = 4 };

void point_init(struct point *p, const char *scenario, const double *scales, uint64_t seed)
{
    *p = (struct point){.scenario = scenario, .seed = seed};
    for (int i = 0; i < SCALE_COUNT; i++)
        p->scales[i] = scales ? scales[i] : 1;
}

void point_release(struct point *p)
{
    free(p->results);
    p->results = NULL;
    p->count = 0;
}

static int make_room(struct point *p, size_t count, struct error *err)
{
    struct trial_result *grown = array_grow(p->results, &p->capacity, count, sizeof *grown);
    if (!grown)
        return error_no_memory(err);
    p->results = grown;
    return 0;
}

static void take(struct point *p, const struct trial_result *r)
{
    p->failed = p->failed || r->failed;
    p->results[p->count++] = *r;
}

/* The caller's to free. */
static char *seed_label(const char *label, uint64_t seed)
{
    size_t size = strlen(label) + 32;
    char *text = malloc(size);
    if (text)
        snprintf(text, size, "%s, seed=%llu", label, (unsigned long long)seed);
    return text;
}

int points_replicate(struct point *const *points, size_t n, size_t count, struct trial_pool *pool, struct error *err)
{
    size_t total = 0, next = 0;
    for (size_t i = 0; i < n; i++) {
        if (make_room(points[i], count, err))
            return -1;
        total += !points[i]->failed && points[i]->count < count ? count - points[i]->count : 0;
    }
    struct trial *trials = calloc(total + 1, sizeof *trials);
    struct trial_result *results = calloc(total + 1, sizeof *results);
    int status = trials && results ? 0 : error_no_memory(err);
    for (size_t i = 0; status == 0 && i < n; i++)
        for (size_t r = points[i]->count; !points[i]->failed && r < count; r++) {
            struct trial *t = &trials[next++];
            *t = (struct trial){.scenario = points[i]->scenario,
                                .seed = points[i]->seed + r,
                                .keep_rows = points[i]->label && pool->memory};
            memcpy(t->scales, points[i]->scales, sizeof t->scales);
            if (points[i]->label && !(t->label = seed_label(points[i]->label, t->seed)))
                status = error_no_memory(err);
        }
    if (status == 0)
        status = trial_pool_run(pool, trials, total, results, NULL, NULL, err);
    next = 0;
    for (size_t i = 0; status == 0 && i < n; i++)
        for (size_t left = points[i]->failed || points[i]->count >= count ? 0 : count - points[i]->count; left > 0;
             left--)
            take(points[i], &results[next++]);
    for (size_t i = 0; trials && i < total; i++)
        free((char *)(uintptr_t)trials[i].label);
    free(trials);
    free(results);
    return status;
}

/* The error that the look at `count` replications may spend, of looks at 4, 8, … most: in proportion to them, so that
 * early looks, which know little of the margins' distribution, decide what is plain. */
static double error_of_look(const struct effort *effort, size_t count)
{
    double all = 0;
    for (size_t n = FIRST_LOOK; n <= effort->most; n *= 2)
        all += (double)n;
    return (1 - effort->confidence) * fmin((double)count, (double)effort->most) / all;
}

/* A run that misses by more than e times is as bad as can be, one that meets it by more as good: without this a mean
 * would depend on the few runs in which everything broke down. */
static double clipped(double margin)
{
    return fmax(-1, fmin(1, margin));
}

/* One number of every result. Without memory it is NULL, and so noted: a verdict has no way to say it. */
static double *values_of(const struct point *p)
{
    double *values = malloc((p->count + 1) * sizeof *values);
    if (!values)
        memory_note_failure();
    return values;
}

static void look(struct point *p, const struct effort *effort)
{
    if (p->failed) {
        p->verdict = BREAKS;
        return;
    }
    double *margins = values_of(p);
    for (size_t i = 0; margins && i < p->count; i++)
        margins[i] = clipped(p->results[i].margin);
    int sign = margins ? inference_sign(margins, p->count, 1 - error_of_look(effort, p->count)) : 0;
    p->verdict = sign > 0 ? HOLDS : sign < 0 ? BREAKS : UNDECIDED;
    free(margins);
}

/* Whether the rest of its replications would hardly decide the point, if they go on as those so far: the conditional
 * power of the last look (Lan, Simon and Halperin 1982). Giving up early decides nothing, so that it spends no error.
 */
static bool is_hopeless(const struct point *p, const struct effort *effort)
{
    struct estimate margin = point_margin(p, 0.95);
    double done = (double)p->count / (double)effort->most, degrees = (double)effort->most - 1;
    double standard_error = (margin.high - margin.low) / 2 / gsl_cdf_tdist_Pinv(0.975, (double)p->count - 1);
    double critical = gsl_cdf_tdist_Pinv(1 - error_of_look(effort, effort->most) / 2, degrees);
    if (p->failed || effort->least_chance == 0 || done >= 1 || !(standard_error > 0))
        return false;
    double expected = fabs(margin.value) / standard_error / sqrt(done);
    return gsl_cdf_ugaussian_P((expected - critical) / sqrt(1 - done)) < effort->least_chance;
}

int points_decide(struct point *const *points, size_t n, const struct effort *effort, struct trial_pool *pool,
                  struct error *err)
{
    struct point **open = malloc((n + 1) * sizeof *open);
    if (!open)
        return error_no_memory(err);
    size_t left = 0;
    for (size_t i = 0; i < n; i++)
        if (points[i]->verdict == UNDECIDED && !points[i]->confirmed)
            open[left++] = points[i];
    int status = 0;
    for (size_t count = FIRST_LOOK; status == 0 && left > 0 && count <= effort->most; count *= 2) {
        size_t still = 0;
        status = points_replicate(open, left, count, pool, err);
        for (size_t i = 0; status == 0 && i < left; i++) {
            look(open[i], effort);
            if (open[i]->verdict == UNDECIDED && !is_hopeless(open[i], effort))
                open[still++] = open[i];
        }
        left = still;
    }
    free(open);
    return status;
}

int point_confirm(struct point *p, const struct effort *effort, struct trial_pool *pool, struct error *err)
{
    if (points_decide(&p, 1, effort, pool, err))
        return -1;
    if (p->verdict != HOLDS || p->confirmed)
        return 0;
    if (points_replicate(&p, 1, effort->most, pool, err))
        return -1;
    struct estimate margin = point_margin(p, effort->confidence);
    p->verdict = p->failed || margin.high < 0 ? BREAKS : margin.low > 0 ? HOLDS : UNDECIDED;
    p->confirmed = true;
    return 0;
}

struct estimate point_mean(const struct point *p, const char *name, double confidence)
{
    double *values = values_of(p);
    if (!values)
        return (struct estimate){NAN, NAN, NAN};
    size_t n = 0;
    double endless = 0;
    for (size_t i = 0; i < p->count; i++)
        if (!p->results[i].failed && trial_value(&p->results[i], name, &values[n]) && !isnan(values[n])) {
            endless = isinf(values[n]) ? values[n] : endless;
            n++;
        }
    struct estimate e = endless != 0 ? (struct estimate){endless, NAN, NAN} : inference_mean(values, n, confidence);
    free(values);
    return e;
}

double point_tokens_per_s(const struct point *p, double rate_per_s)
{
    double tokens = point_mean(p, "tokens_per_s", 0.95).value, requests = point_mean(p, "requests_per_s", 0.95).value;
    double served = (1 - point_mean(p, "unserved", 0.95).value) * rate_per_s * p->scales[SCALE_RATE];
    for (size_t i = 0; i < p->count; i++)
        if (p->results[i].failed || p->results[i].overloaded)
            return tokens;
    return requests > 0 && isfinite(served) ? tokens / requests * served : tokens;
}

struct estimate point_margin(const struct point *p, double confidence)
{
    double *values = values_of(p);
    size_t n = 0;
    for (size_t i = 0; values && i < p->count; i++)
        if (!p->results[i].failed)
            values[n++] = clipped(p->results[i].margin);
    struct estimate e = inference_mean(values, values ? n : 0, confidence);
    free(values);
    return e;
}

static int compare_doubles(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

double point_typical_margin(const struct point *p)
{
    double *values = values_of(p), median = NAN;
    size_t n = 0;
    for (size_t i = 0; values && i < p->count; i++)
        if (!p->results[i].failed)
            values[n++] = p->results[i].margin;
    if (n > 0) {
        qsort(values, n, sizeof *values, compare_doubles);
        double below = values[(n - 1) / 2], above = values[n / 2];
        median = below == above ? below : (below + above) / 2; /* infinite ones have no sum */
    }
    free(values);
    return median;
}

const struct trial_result *point_worst(const struct point *p)
{
    const struct trial_result *worst = NULL;
    for (size_t i = 0; i < p->count; i++)
        if (!p->results[i].failed && (!worst || p->results[i].margin < worst->margin))
            worst = &p->results[i];
    return worst;
}

const char *point_binding(const struct point *p)
{
    size_t best = 0, most = 0;
    for (size_t i = 0; i < p->count; i++) {
        size_t same = 0;
        for (size_t k = 0; k < p->count; k++)
            same += strcmp(p->results[i].binding, p->results[k].binding) == 0;
        if (same > most) {
            most = same;
            best = i;
        }
    }
    return p->count ? p->results[best].binding : "";
}

void margin_text(const char *binding, double margin, char *out, size_t size)
{
    bool share = strncmp(binding, "attainment", 10) == 0 || strncmp(binding, "windows", 7) == 0;
    bool rate = strncmp(binding, "goodput", 7) == 0;
    const char *unserved = strstr(binding, BINDING_UNSERVED);
    double times = exp(-margin);
    if (strstr(binding, "queue"))
        snprintf(out, size, "overloaded");
    else if (!isfinite(margin))
        snprintf(out, size, margin > 0 ? "%s has nothing to miss" : "%s is missed without end", binding);
    else if (unserved)
        snprintf(out, size, "%.*s: %.3g times as many requests are not served as it may miss",
                 (int)(unserved - binding), binding, times);
    else if (share)
        snprintf(out, size, times < 10 ? "%s misses %.2g times what it may" : "%s misses %.0f times what it may",
                 binding, times);
    else if (margin >= 0)
        snprintf(out, size, "%s %.0f %% within", binding, 100 * (1 - times));
    else if (rate)
        snprintf(out, size, "%s %.0f %% short", binding, 100 * (1 - 1 / times));
    else
        snprintf(out, size, times < 2 ? "%s %.0f %% over" : "%s %.3g times its limit", binding,
                 times < 2 ? 100 * (times - 1) : times);
}

struct outcome point_outcome(const struct point *p)
{
    struct outcome o = {.margin = point_typical_margin(p),
                        .unserved = point_mean(p, "unserved", 0.95).value,
                        .attainment = point_mean(p, "attainment", 0.95).value,
                        .ttft_p99_s = point_mean(p, "ttft_s.p99", 0.95).value,
                        .tpot_p99_s = point_mean(p, "tpot_s.p99", 0.95).value,
                        .e2e_p99_s = point_mean(p, "e2e_s.p99", 0.95).value};
    const char *reason = "";
    for (size_t i = p->count; i-- > 0;)
        reason = p->results[i].reason[0] ? p->results[i].reason : reason;
    snprintf(o.binding, sizeof o.binding, "%s", point_binding(p));
    snprintf(o.reason, sizeof o.reason, "%s", reason);
    return o;
}

bool point_overloaded(const struct point *p)
{
    size_t overloaded = 0;
    for (size_t i = 0; i < p->count; i++)
        overloaded += p->results[i].overloaded;
    return p->count > 0 && 2 * overloaded >= p->count;
}

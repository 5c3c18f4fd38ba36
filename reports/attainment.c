/* SPDX-License-Identifier: MIT */
#include "reports/attainment.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"

/* Of a metric's several percentiles the loosest; a class has everybody's where it has none of its own. */
static void set_request_limits(struct attainment *a, size_t scope)
{
    const struct slo *slo = a->slo;
    for (enum metric m = 0; m < METRIC_COUNT; m++) {
        sim_time most = -1;
        for (size_t i = 0; m != METRIC_ITL && i < slo->count; i++)
            if (slo->limits[i].scope == scope && a->limit_metrics[i] == m &&
                sim_time_from_s(slo->limits[i].limit_s) > most)
                most = sim_time_from_s(slo->limits[i].limit_s);
        a->scopes[scope].most[m] = most >= 0 ? most : scope > 0 ? a->scopes[0].most[m] : SIM_TIME_NEVER;
    }
}

void attainment_init(struct attainment *a, const struct slo *slo)
{
    *a = (struct attainment){.slo = slo};
    for (size_t i = 0; i < slo->count; i++)
        a->limit_metrics[i] = metric_find(slo->limits[i].metric);
    for (size_t scope = 0; scope <= slo->class_count; scope++)
        set_request_limits(a, scope);
}

void attainment_release(struct attainment *a)
{
    for (size_t scope = 0; scope < SLO_SCOPES_MAX; scope++)
        for (int m = 0; m < METRIC_COUNT; m++)
            histogram_release(&a->scopes[scope].metrics[m]);
    free(a->windows);
    a->windows = NULL;
}

/* NULL when memory is short, or none are asked for. */
static struct slo_window *window_of(struct attainment *a, const struct request *r)
{
    if (a->slo->window == 0)
        return NULL;
    size_t index = (size_t)(r->arrival / a->slo->window);
    struct slo_window *grown = array_grow(a->windows, &a->window_capacity, index + 1, sizeof *grown);
    if (!grown) {
        a->out_of_memory = true;
        return NULL;
    }
    a->windows = grown;
    for (; a->window_count <= index; a->window_count++)
        grown[a->window_count] = (struct slo_window){0};
    return &grown[index];
}

static bool keeps(const struct slo_scope *scope, const struct request_metrics *q)
{
    for (int m = 0; m < METRIC_COUNT; m++)
        if (q->at[m] > scope->most[m])
            return false;
    return true;
}

static void count_in_window(struct attainment *a, const struct request *r, const struct request_metrics *q, bool met)
{
    struct slo_window *w = window_of(a, r);
    if (!w)
        return;
    w->finished++;
    w->met += met;
    for (size_t i = 0; i < a->slo->count; i++) {
        const struct slo_limit *limit = &a->slo->limits[i];
        int64_t value = q->at[a->limit_metrics[i]];
        if (limit->scope > 0 || value < 0)
            continue;
        w->counted[i]++;
        w->within[i] += value <= sim_time_from_s(limit->limit_s);
        w->sums[i] += (double)value;
    }
}

static void count_in_class(struct attainment *a, struct slo_scope *s, const struct request_metrics *q, bool met)
{
    s->finished++;
    s->met += met;
    for (int m = 0; m < METRIC_COUNT; m++)
        if (q->at[m] >= 0) {
            s->sums[m] += (double)q->at[m];
            if (histogram_add(&s->metrics[m], q->at[m], 1))
                a->out_of_memory = true;
        }
}

void attainment_finished(struct attainment *a, const struct request *r, const struct request_metrics *q)
{
    bool met = true, classed = false;
    for (size_t i = 1; i <= a->slo->class_count; i++)
        if (slo_class_holds(&a->slo->classes[i], r)) {
            bool kept = keeps(&a->scopes[i], q);
            count_in_class(a, &a->scopes[i], q, kept);
            met = met && kept;
            classed = true;
        }
    met = classed ? met : keeps(&a->scopes[0], q);
    a->scopes[0].finished++;
    a->scopes[0].met += met;
    count_in_window(a, r, q, met);
}

void attainment_refused(struct attainment *a, const struct request *r)
{
    a->scopes[0].refused++;
    for (size_t i = 1; i <= a->slo->class_count; i++)
        a->scopes[i].refused += slo_class_holds(&a->slo->classes[i], r);
    struct slo_window *w = window_of(a, r);
    if (w)
        w->refused++;
}

/* A share of `total` that may miss against those that did; half a request stands for none. */
static double miss_margin(double allowed_share, double missed, double total)
{
    return log(fmax(allowed_share * total, 0.5) / fmax(missed, 0.5));
}

static struct slo_result limit_result(const struct slo_limit *limit, double value_s)
{
    bool known = isfinite(value_s);
    return (struct slo_result){.value = value_s,
                               .margin = known ? log(limit->limit_s / fmax(value_s, 1e-9)) : INFINITY,
                               .met = !(value_s > limit->limit_s)};
}

static double value_of(const struct attainment *a, size_t limit, const struct summary *metrics)
{
    const struct slo_limit *l = &a->slo->limits[limit];
    enum metric m = a->limit_metrics[limit];
    const struct slo_scope *scope = &a->scopes[l->scope];
    if (l->scope > 0) {
        const struct histogram *h = &scope->metrics[m];
        if (h->total == 0)
            return NAN;
        return 1e-9 *
               (l->quantile < 0 ? scope->sums[m] / (double)h->total : (double)histogram_quantile(h, l->quantile));
    }
    for (int k = 0; metrics[m].count > 0 && k < STAT_COUNT; k++)
        if (strcmp(statistic_names[k], l->statistic) == 0)
            return metrics[m].at[k].value * 1e-9;
    return NAN;
}

static struct slo_result share_result(const struct slo_scope *s, double asked)
{
    double total = (double)(s->finished + s->refused), missed = total - (double)s->met;
    struct slo_result r = {.value = total > 0 ? (double)s->met / total : NAN, .margin = INFINITY, .met = true};
    if (asked == 0 || total == 0)
        return r;
    r.met = r.value >= asked;
    r.margin = miss_margin(1 - asked, missed, total);
    if (r.met != (r.margin >= 0)) /* half a request stood for a miss, or for one that is allowed */
        r.margin = r.met ? 0 : -1e-9;
    return r;
}

static double window_margin(const struct attainment *a, const struct slo_window *w)
{
    double least = INFINITY, all = (double)w->finished + w->refused;
    if (a->slo->attainment[0] > 0 && all > 0)
        least = all - w->met > 0 || a->slo->attainment[0] < 1
                    ? miss_margin(1 - a->slo->attainment[0], all - w->met, all)
                    : INFINITY;
    for (size_t i = 0; i < a->slo->count; i++) {
        const struct slo_limit *l = &a->slo->limits[i];
        if (w->counted[i] == 0)
            continue;
        double n = w->counted[i];
        double margin = l->quantile < 0 ? log(l->limit_s / (w->sums[i] / n * 1e-9))
                        : w->within[i] >= l->quantile * n
                            ? fmax(0, miss_margin(1 - l->quantile, n - w->within[i], n))
                            : fmin(-1e-9, miss_margin(1 - l->quantile, n - w->within[i], n));
        least = fmin(least, margin);
    }
    return least;
}

static int compare_doubles(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* The margin that as many windows keep as must. */
static int judge_windows(const struct attainment *a, struct slo_verdict *out, struct error *err)
{
    double *margins = malloc((a->window_count + 1) * sizeof *margins), worst = INFINITY;
    if (!margins)
        return error_no_memory(err);
    for (size_t i = 0; i < a->window_count; i++) {
        const struct slo_window *w = &a->windows[i];
        if (w->finished + w->refused == 0)
            continue;
        double margin = window_margin(a, w);
        margins[out->window_count++] = margin;
        out->windows_missed += margin < 0;
        if (margin < worst || out->window_count == 1) {
            worst = margin;
            out->worst_window_s = (double)i * sim_time_to_s(a->slo->window);
        }
    }
    double n = (double)out->window_count;
    qsort(margins, out->window_count, sizeof *margins, compare_doubles);
    size_t may_miss = (size_t)floor((1 - a->slo->window_share) * n + 1e-9);
    out->windows = (struct slo_result){.value = n > 0 ? 1 - (double)out->windows_missed / n : NAN,
                                       .margin = may_miss < out->window_count ? margins[may_miss] : INFINITY,
                                       .met = out->windows_missed <= may_miss};
    free(margins);
    return 0;
}

static void weigh(struct slo_verdict *out, const struct slo_result *r, const char *what, const char *of,
                  const char *class_name)
{
    out->met = out->met && r->met;
    if (!(r->margin < out->margin))
        return;
    out->margin = r->margin;
    snprintf(out->binding, sizeof out->binding, "%s%s%s%s%s", what, *of ? " " : "", of, class_name ? " of class " : "",
             class_name ? class_name : "");
}

int attainment_judge(const struct attainment *a, const struct summary *metrics, double duration_s,
                     struct slo_verdict *out, struct error *err)
{
    const struct slo *slo = a->slo;
    *out = (struct slo_verdict){.met = true, .margin = INFINITY, .worst_window_s = NAN};
    out->goodput = out->windows = (struct slo_result){.value = NAN, .margin = INFINITY, .met = true};
    if (a->out_of_memory)
        return error_no_memory(err);
    out->asked = slo->count > 0 || slo->goodput_per_s > 0;
    for (size_t i = 0; i < slo->count; i++) {
        const struct slo_limit *l = &slo->limits[i];
        out->limits[i] = limit_result(l, value_of(a, i, metrics));
        weigh(out, &out->limits[i], l->metric, l->statistic, l->scope ? slo->classes[l->scope].name : NULL);
    }
    for (size_t i = 0; i <= slo->class_count; i++) {
        out->attainment[i] = share_result(&a->scopes[i], slo->attainment[i]);
        weigh(out, &out->attainment[i], "attainment", "", i ? slo->classes[i].name : NULL);
    }
    double good = (double)a->scopes[0].met / duration_s;
    out->goodput.value = good;
    if (slo->goodput_per_s > 0) {
        out->goodput.met = good >= slo->goodput_per_s;
        out->goodput.margin = good > 0 ? log(good / slo->goodput_per_s) : -100;
        weigh(out, &out->goodput, "goodput", "", NULL);
    }
    if (slo->window > 0) {
        if (judge_windows(a, out, err))
            return -1;
        weigh(out, &out->windows, "windows", "", NULL);
    }
    out->met = out->met && a->scopes[0].finished > 0;
    return 0;
}

/* SPDX-License-Identifier: MIT */
#include "reports/stats/attainment.h"

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

int attainment_init(struct attainment *a, const struct slo *slo, struct error *err)
{
    *a = (struct attainment){.slo = slo};
    for (size_t i = 0; i < slo->count; i++)
        a->limit_metrics[i] = metric_find(slo->limits[i].metric);
    for (size_t scope = 0; scope <= slo->class_count; scope++)
        set_request_limits(a, scope);
    for (size_t scope = 1; scope <= slo->class_count; scope++) {
        struct samples *metrics = calloc(METRIC_COUNT, sizeof *metrics);
        if (!metrics)
            return error_no_memory(err);
        for (int m = 0; m < METRIC_COUNT; m++)
            samples_init(&metrics[m], 5);
        a->scopes[scope].metrics = metrics;
    }
    return 0;
}

void attainment_release(struct attainment *a)
{
    for (size_t scope = 0; scope < SLO_SCOPES_MAX; scope++) {
        struct samples *metrics = a->scopes[scope].metrics;
        for (int m = 0; metrics && m < METRIC_COUNT; m++)
            samples_release(&metrics[m]);
        free(metrics);
    }
    free(a->windows);
    *a = (struct attainment){0};
}

static void add_counts(struct slo_counts *into, const struct slo_counts *from)
{
    into->arrived += from->arrived;
    into->finished += from->finished;
    into->met += from->met;
    into->gaps_due += from->gaps_due;
}

void attainment_merge_sections(struct attainment *a)
{
    for (size_t i = 0; i < SECTIONS_MAX; i++) {
        bool holds = i < SECTIONS_MAX / 2;
        for (size_t scope = 0; scope <= a->slo->class_count; scope++) {
            struct slo_counts *counts = a->scopes[scope].counts, both = {0};
            if (holds) {
                add_counts(&both, &counts[2 * i]);
                add_counts(&both, &counts[2 * i + 1]);
            }
            counts[i] = both;
        }
        a->reasons[i] = !holds ? NULL : a->reasons[2 * i] ? a->reasons[2 * i] : a->reasons[2 * i + 1];
    }
}

void attainment_absorb(struct attainment *into, struct attainment *part)
{
    for (size_t scope = 0; scope <= into->slo->class_count; scope++) {
        struct slo_scope *to = &into->scopes[scope], *from = &part->scopes[scope];
        for (size_t i = 0; i < SECTIONS_MAX; i++)
            add_counts(&to->counts[i], &from->counts[i]);
        for (int m = 0; from->metrics && m < METRIC_COUNT; m++)
            samples_absorb(&to->metrics[m], &from->metrics[m]);
    }
    into->out_of_memory |= part->out_of_memory;
}

void attainment_begin_section(struct attainment *a)
{
    a->section_begins = true;
}

/* The window of a request that arrives, or a new one of its own. NULL when memory is short, or none are asked for. */
static struct slo_window *open_window(struct attainment *a, const struct request *r)
{
    if (a->slo->window == 0)
        return NULL;
    uint64_t index = (uint64_t)(r->arrival / a->slo->window);
    if (a->window_count > 0 && a->windows[a->window_count - 1].index == index && !a->section_begins)
        return &a->windows[a->window_count - 1];
    struct slo_window *grown = array_grow(a->windows, &a->window_capacity, a->window_count + 1, sizeof *grown);
    if (!grown) {
        a->out_of_memory = true;
        return NULL;
    }
    a->windows = grown;
    grown[a->window_count] = (struct slo_window){.first = r->id, .index = index};
    return &grown[a->window_count++];
}

/* The window that a request arrived in: the last one that began before it. */
static struct slo_window *find_window(struct attainment *a, const struct request *r)
{
    size_t low = 0, high = a->window_count;
    while (high - low > 1) {
        size_t middle = low + (high - low) / 2;
        *(a->windows[middle].first <= r->id ? &low : &high) = middle;
    }
    return a->window_count > 0 ? &a->windows[low] : NULL;
}

static uint64_t gaps_of(const struct request *r)
{
    return r->output_tokens > 1 ? r->output_tokens - 1 : 1;
}

void attainment_arrived(struct attainment *a, size_t section, const struct request *r)
{
    for (size_t i = 0; i <= a->slo->class_count; i++) {
        if (i > 0 && !slo_class_holds(&a->slo->classes[i], r))
            continue;
        a->scopes[i].counts[section].arrived++;
        a->scopes[i].counts[section].gaps_due += gaps_of(r);
    }
    struct slo_window *w = open_window(a, r);
    if (w)
        w->arrived++;
    a->section_begins = false;
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
    struct slo_window *w = find_window(a, r);
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

static void count_finished(struct slo_counts *c, const struct request *r, bool met)
{
    c->finished++;
    c->met += met;
    c->gaps_due -= gaps_of(r);
}

static void keep_in_class(struct attainment *a, size_t scope, const struct request *r, const struct request_metrics *q)
{
    for (int m = 0; m < METRIC_COUNT; m++)
        if (q->at[m] >= 0 && samples_add(&a->scopes[scope].metrics[m], r->id, q->at[m], 1))
            a->out_of_memory = true;
}

void attainment_finished(struct attainment *a, size_t section, const struct request *r, const struct request_metrics *q)
{
    bool met = true, classed = false;
    for (size_t i = 1; i <= a->slo->class_count; i++)
        if (slo_class_holds(&a->slo->classes[i], r)) {
            bool kept = keeps(&a->scopes[i], q);
            count_finished(&a->scopes[i].counts[section], r, kept);
            keep_in_class(a, i, r, q);
            met = met && kept;
            classed = true;
        }
    met = classed ? met : keeps(&a->scopes[0], q);
    count_finished(&a->scopes[0].counts[section], r, met);
    count_in_window(a, r, q, met);
}

void attainment_refused(struct attainment *a, size_t section, const char *reason)
{
    if (!a->reasons[section])
        a->reasons[section] = reason;
}

struct slo_counts attainment_counts(const struct attainment *a, size_t scope, size_t sections_cut)
{
    struct slo_counts sum = {0};
    for (size_t i = sections_cut; i < SECTIONS_MAX; i++)
        add_counts(&sum, &a->scopes[scope].counts[i]);
    return sum;
}

bool attainment_next_window(const struct attainment *a, const struct warmup_cut *cut, size_t *next,
                            struct slo_window *out)
{
    while (*next < a->window_count && a->windows[*next].first < cut->requests)
        ++*next;
    if (*next == a->window_count)
        return false;
    *out = a->windows[(*next)++];
    for (; *next < a->window_count && a->windows[*next].index == out->index; ++*next) {
        const struct slo_window *piece = &a->windows[*next];
        out->arrived += piece->arrived;
        out->finished += piece->finished;
        out->met += piece->met;
        for (size_t i = 0; i < a->slo->count; i++) {
            out->counted[i] += piece->counted[i];
            out->within[i] += piece->within[i];
            out->sums[i] += piece->sums[i];
        }
    }
    return true;
}

/* A share of `total` that may miss against those that did; half a request stands for none. */
static double miss_margin(double allowed_share, double missed, double total)
{
    return log(fmax(allowed_share * total, 0.5) / fmax(missed, 0.5));
}

/* The share of values that may be beyond a limit: none for a mean, which one infinite value makes infinite. */
static double allowed_share(const struct slo_limit *limit)
{
    return limit->quantile < 0 ? 0 : 1 - limit->quantile;
}

/* `served` values are there, and `unserved` more are infinite. */
static struct slo_result limit_result(const struct slo_limit *limit, double value_s, double served, double unserved)
{
    struct slo_result r = {.value = value_s, .margin = INFINITY, .judged = served + unserved > 0};
    if (!r.judged)
        return r;
    r.met = value_s <= limit->limit_s;
    r.margin = isfinite(value_s) ? log(limit->limit_s / fmax(value_s, 1e-9))
                                 : fmin(miss_margin(allowed_share(limit), unserved, served + unserved), -1e-9);
    return r;
}

/* Of the values, whose mean is given, and `unserved` infinite ones; in seconds. */
static double statistic_of(const struct slo_limit *limit, double mean_ns, const struct histogram *values,
                           uint64_t unserved)
{
    uint64_t count = values->total + unserved;
    if (count == 0)
        return NAN;
    if (limit->quantile < 0)
        return unserved > 0 ? INFINITY : mean_ns * 1e-9;
    uint64_t rank = quantile_rank(limit->quantile, count);
    return rank > values->total ? INFINITY : (double)histogram_at_rank(values, rank) * 1e-9;
}

static int judge_limit(const struct attainment *a, size_t limit, const struct samples *samples,
                       const struct warmup_cut *cut, struct slo_result *out, struct error *err)
{
    const struct slo_limit *l = &a->slo->limits[limit];
    enum metric m = a->limit_metrics[limit];
    const struct samples *of = l->scope > 0 ? &a->scopes[l->scope].metrics[m] : &samples[m];
    struct slo_counts counts = attainment_counts(a, l->scope, cut->sections);
    uint64_t unserved = m == METRIC_ITL ? counts.gaps_due : counts.arrived - counts.finished;
    uint64_t at = m == METRIC_ITL ? (uint64_t)cut->at : cut->requests;
    struct histogram values;
    if (samples_histogram(of, at, &values))
        return error_no_memory(err);
    double value = statistic_of(l, samples_mean(of, at), &values, unserved);
    *out = limit_result(l, value, (double)values.total, (double)unserved);
    histogram_release(&values);
    return 0;
}

static struct slo_result share_result(const struct slo_counts *s, double asked)
{
    double total = (double)s->arrived, missed = total - (double)s->met;
    struct slo_result r = {.value = total > 0 ? (double)s->met / total : NAN,
                           .margin = INFINITY,
                           .judged = total > 0 || asked == 0,
                           .met = asked == 0};
    if (asked == 0 || total == 0)
        return r;
    r.met = r.value >= asked;
    r.margin = miss_margin(1 - asked, missed, total);
    if (r.met != (r.margin >= 0)) /* half a request stood for a miss, or for one that is allowed */
        r.margin = r.met ? 0 : -1e-9;
    return r;
}

/* Of a limit in one window, where INFINITY says that there is nothing to judge by. */
static double window_limit_margin(const struct slo_limit *l, const struct slo_window *w, size_t limit)
{
    double unserved = (double)w->arrived - w->finished, served = w->counted[limit], n = served + unserved;
    if (n == 0)
        return INFINITY;
    if (l->quantile < 0)
        return unserved > 0 ? miss_margin(0, unserved, n) : log(l->limit_s / (w->sums[limit] / n * 1e-9));
    double margin = miss_margin(1 - l->quantile, n - w->within[limit], n);
    return w->within[limit] >= quantile_rank(l->quantile, (uint64_t)n) ? fmax(0, margin) : fmin(-1e-9, margin);
}

/* Returns false where no target has a value in the window. */
static bool window_margin(const struct attainment *a, const struct slo_window *w, double *least)
{
    double asked = a->slo->attainment[0];
    bool judged = asked > 0;
    *least = INFINITY;
    if (asked > 0) {
        struct slo_counts counts = {.arrived = w->arrived, .met = w->met};
        struct slo_result share = share_result(&counts, asked);
        *least = asked == 1 && share.met ? INFINITY : share.margin;
    }
    for (size_t i = 0; i < a->slo->count; i++) {
        const struct slo_limit *l = &a->slo->limits[i];
        if (l->scope > 0 || a->limit_metrics[i] == METRIC_ITL)
            continue;
        double margin = window_limit_margin(l, w, i);
        judged = judged || isfinite(margin);
        *least = fmin(*least, margin);
    }
    return judged;
}

static int compare_doubles(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* The margin that as many windows keep as must. */
static int judge_windows(const struct attainment *a, const struct warmup_cut *cut, struct slo_verdict *out,
                         struct error *err)
{
    double *margins = malloc((a->window_count + 1) * sizeof *margins), worst = INFINITY, margin;
    struct slo_window w;
    if (!margins)
        return error_no_memory(err);
    for (size_t next = 0; attainment_next_window(a, cut, &next, &w);) {
        if (!window_margin(a, &w, &margin))
            continue;
        margins[out->window_count++] = margin;
        out->windows_missed += margin < 0;
        if (margin < worst || out->window_count == 1) {
            worst = margin;
            out->worst_window_s = (double)w.index * sim_time_to_s(a->slo->window);
        }
    }
    double n = (double)out->window_count;
    qsort(margins, out->window_count, sizeof *margins, compare_doubles);
    size_t may_miss = (size_t)floor((1 - a->slo->window_share) * n + 1e-9);
    out->windows = (struct slo_result){.value = n > 0 ? 1 - (double)out->windows_missed / n : NAN,
                                       .margin = may_miss < out->window_count ? margins[may_miss] : INFINITY,
                                       .judged = n > 0,
                                       .met = n > 0 && out->windows_missed <= may_miss};
    free(margins);
    return 0;
}

static void weigh(struct slo_verdict *out, const struct slo_result *r, const char *what, const char *of,
                  const char *class_name)
{
    char name[80];
    snprintf(name, sizeof name, "%s%s%s%s%s", what, *of ? " " : "", of, class_name ? " of class " : "",
             class_name ? class_name : "");
    if (!r->judged && out->unjudged++ == 0)
        snprintf(out->unjudged_first, sizeof out->unjudged_first, "%s", name);
    out->missed += r->judged && !r->met;
    if (!(r->margin < out->margin))
        return;
    out->margin = r->margin;
    snprintf(out->binding, sizeof out->binding, "%s", name);
}

static void judge_goodput(const struct slo *slo, uint64_t met, double rest_s, struct slo_verdict *out)
{
    double good = (double)met / rest_s;
    out->goodput = (struct slo_result){.value = good, .margin = INFINITY, .judged = true, .met = true};
    if (slo->goodput_per_s == 0)
        return;
    out->goodput.met = good >= slo->goodput_per_s;
    out->goodput.margin = good > 0 ? log(good / slo->goodput_per_s) : -100;
    weigh(out, &out->goodput, "goodput", "", NULL);
}

/* Why the first request was not served that arrived after the cut. */
static void count_unserved(const struct attainment *a, const struct warmup_cut *cut, struct slo_verdict *out)
{
    struct slo_counts all = attainment_counts(a, 0, cut->sections);
    out->arrived = all.arrived;
    out->unserved = all.arrived - all.finished;
    for (size_t i = cut->sections; i < SECTIONS_MAX && !out->reason; i++)
        out->reason = a->reasons[i];
}

static bool asks(const struct slo *slo)
{
    bool asked = slo->count > 0 || slo->goodput_per_s > 0;
    for (size_t i = 0; i <= slo->class_count; i++)
        asked = asked || slo->attainment[i] > 0;
    return asked;
}

int attainment_judge(const struct attainment *a, const struct samples *samples, const struct warmup_cut *cut,
                     double rest_s, struct slo_verdict *out, struct error *err)
{
    const struct slo *slo = a->slo;
    *out = (struct slo_verdict){.asked = asks(slo), .margin = INFINITY, .worst_window_s = NAN};
    out->windows = (struct slo_result){.value = NAN, .margin = INFINITY, .judged = true, .met = true};
    if (a->out_of_memory)
        return error_no_memory(err);
    count_unserved(a, cut, out);
    for (size_t i = 0; i < slo->count; i++) {
        const struct slo_limit *l = &slo->limits[i];
        if (judge_limit(a, i, samples, cut, &out->limits[i], err))
            return -1;
        weigh(out, &out->limits[i], l->metric, l->statistic, l->scope ? slo->classes[l->scope].name : NULL);
    }
    for (size_t i = 0; i <= slo->class_count; i++) {
        struct slo_counts counts = attainment_counts(a, i, cut->sections);
        out->attainment[i] = share_result(&counts, slo->attainment[i]);
        weigh(out, &out->attainment[i], "attainment", "", i ? slo->classes[i].name : NULL);
    }
    judge_goodput(slo, attainment_counts(a, 0, cut->sections).met, rest_s, out);
    if (slo->window > 0) {
        if (judge_windows(a, cut, out, err))
            return -1;
        weigh(out, &out->windows, "windows", "", NULL);
    }
    out->met = out->missed == 0 && out->unjudged == 0 && out->unserved < out->arrived;
    return 0;
}

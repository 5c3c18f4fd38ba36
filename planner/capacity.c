/* SPDX-License-Identifier: MIT */
#include "planner/capacity.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { POINTS_MAX = 80, PILOTS = 2 };

struct search {
    const struct capacity_question *q;
    struct trial_pool *pool;
    struct point points[POINTS_MAX]; /* in the order they were looked at */
    double at[POINTS_MAX];
    size_t count, pilots;
};

/* The point at a load, looked at before or new. NULL when there are too many. */
static struct point *point_at(struct search *s, double load)
{
    for (size_t i = 0; i < s->count; i++)
        if (fabs(s->at[i] / load - 1) < 1e-9)
            return &s->points[i];
    if (s->count == POINTS_MAX)
        return NULL;
    double scales[SCALE_COUNT] = {1, 1, 1, 1, 1};
    for (int i = 0; s->q->base && i < SCALE_COUNT; i++)
        scales[i] = s->q->base[i];
    scales[s->q->scale] = load;
    s->at[s->count] = load;
    point_init(&s->points[s->count], s->q->scenario, scales, s->q->seed);
    return &s->points[s->count++];
}

static int too_many(struct error *err)
{
    return error_set(err, ERROR_RUN,
                     "capacity: not found within %d loads; the SLO's margin does not fall with the load", POINTS_MAX);
}

/* The mean margin of a few replications; steep ends are cut so that they do not mislead a line through them. */
static int pilot(struct search *s, double load, double *margin, struct error *err)
{
    struct point *p = point_at(s, load);
    if (!p)
        return too_many(err);
    if (points_replicate(&p, 1, s->pilots, s->pool, err))
        return -1;
    double mean = p->failed ? -1 : point_margin(p, 0.95).value;
    *margin = isnan(mean) ? 1 : fmax(-1, fmin(1, mean));
    return 0;
}

struct bracket {
    double low, high, at_low, at_high; /* loads with margins above and below 0 */
};

/* From the start outwards, to a thousand times less and more than it and than the scenario's own load. */
static int enclose(struct search *s, struct bracket *b, enum capacity_kind *kind, struct error *err)
{
    double load = s->q->start, step = 1.25, margin;
    double least = 0.001 * fmin(load, 1), most = 1000 * fmax(load, 1);
    *b = (struct bracket){.low = 0, .high = INFINITY};
    for (;;) {
        if (pilot(s, load, &margin, err))
            return -1;
        if (margin > 0)
            b->low = load, b->at_low = margin;
        else
            b->high = load, b->at_high = margin;
        *kind = b->low >= most ? CAPACITY_UNBOUNDED : b->high <= least ? CAPACITY_NONE : CAPACITY_FOUND;
        if ((b->low > 0 && isfinite(b->high)) || *kind != CAPACITY_FOUND)
            return 0;
        load = b->low > 0 ? load * step : load / step;
        step = fmin(step * step, 4);
    }
}

/* Pilots missed everywhere, or met the SLO everywhere: the last load looked at, which is the outermost, is replicated
 * until it is decided. */
static int ask_end(struct search *s, const struct bracket *b, struct capacity *out, struct error *err)
{
    bool none = out->kind == CAPACITY_NONE;
    struct point *p = point_at(s, none ? b->high : b->low);
    if (points_decide(&p, 1, &s->q->effort, s->pool, err))
        return -1;
    out->end = point_outcome(p);
    out->value = out->low = none ? 0 : b->low;
    out->high = none ? b->high : INFINITY;
    out->shown = p->verdict == (none ? BREAKS : HOLDS);
    return 0;
}

/* Brackets the largest load that holds, or finds that there is none. Where the last load contradicts the pilots, what
 * they said was chance, and more are asked for. */
static int enclose_surely(struct search *s, struct bracket *b, struct capacity *out, struct error *err)
{
    for (s->pilots = PILOTS;; s->pilots *= 4) {
        if (enclose(s, b, &out->kind, err))
            return -1;
        if (out->kind == CAPACITY_FOUND)
            return 0;
        if (ask_end(s, b, out, err))
            return -1;
        if (out->shown || s->pilots * 4 > s->q->effort.most)
            return 0;
    }
}

/* Closes in until the bracket is as narrow as the tolerance. The middle, where the line through both ends has not
 * halved it. */
static int close_in(struct search *s, struct bracket *b, struct error *err)
{
    int side = 0;
    while (b->high / b->low > 1 + s->q->tolerance) {
        double a = log(b->low), z = log(b->high), share = b->at_low / (b->at_low - b->at_high), margin;
        double load = exp(a + (z - a) * fmax(0.1, fmin(0.9, share)));
        if (pilot(s, load, &margin, err))
            return -1;
        if (margin > 0) {
            b->low = load, b->at_low = margin;
            if (side > 0)
                b->at_high /= 2;
            side = 1;
        } else {
            b->high = load, b->at_high = margin;
            if (side < 0)
                b->at_low /= 2;
            side = -1;
        }
    }
    return 0;
}

/* Steps outwards from `load`, each twice as long as the one before, to the first that is decided as wanted; not past
 * the start, which somebody may know already. */
static int step_to(struct search *s, double load, enum verdict wanted, double *out, bool *vague, struct error *err)
{
    double step = s->q->tolerance / 2, first = load, start = s->q->start;
    for (;;) {
        struct point *p = point_at(s, load);
        if (!p)
            return too_many(err);
        if (points_decide(&p, 1, &s->q->effort, s->pool, err))
            return -1;
        *out = load;
        if (p->verdict == wanted)
            return 0;
        double next = load * (wanted == HOLDS ? 1 / (1 + step) : 1 + step);
        load = (load > start && next < start) || (load < start && next > start) ? start : next;
        step *= 2;
        *vague = *vague || load < first / 3 || load > first * 3;
        if (*vague)
            return 0;
    }
}

/* The narrowest that the points looked at so far tell: the largest load below all that break that holds, and so on. */
static void tighten(const struct search *s, struct capacity *out)
{
    for (size_t i = 0; i < s->count; i++)
        if (s->points[i].verdict == BREAKS && s->at[i] < out->high && s->at[i] > out->low)
            out->high = s->at[i];
    for (size_t i = 0; i < s->count; i++)
        if (s->points[i].verdict == HOLDS && s->at[i] > out->low && s->at[i] < out->high)
            out->low = s->at[i];
}

/* Looks between the two until that decides nothing. */
static int narrow(struct search *s, struct capacity *out, struct error *err)
{
    tighten(s, out);
    while (out->high / out->low > 1 + s->q->tolerance) {
        struct point *p = point_at(s, sqrt(out->low * out->high));
        if (!p || s->count + 4 > POINTS_MAX)
            return 0;
        if (points_decide(&p, 1, &s->q->effort, s->pool, err))
            return -1;
        if (p->verdict == UNDECIDED)
            return 0;
        tighten(s, out);
    }
    return 0;
}

/* Where the mean margins of the points from low to high, those with most replications first, cross zero. */
static double crossing(const struct search *s, double low, double high)
{
    double a = low, at_a = NAN, z = high, at_z = NAN;
    for (size_t i = 0; i < s->count; i++) {
        const struct point *p = &s->points[i];
        double load = s->at[i], margin = p->failed ? -1 : point_margin(p, 0.95).value;
        if (load < low * (1 - 1e-9) || load > high * (1 + 1e-9) || p->count <= PILOTS)
            continue;
        if (margin >= 0 && (isnan(at_a) || load >= a))
            a = load, at_a = margin;
        if (margin < 0 && (isnan(at_z) || load <= z))
            z = load, at_z = margin;
    }
    if (isnan(at_a) || isnan(at_z) || a >= z)
        return sqrt(low * high);
    return a * pow(z / a, fmin(at_a, 1) / (fmin(at_a, 1) - fmax(at_z, -1)));
}

static int find(struct search *s, struct capacity *out, struct error *err)
{
    struct bracket b;
    if (enclose_surely(s, &b, out, err))
        return -1;
    if (out->kind != CAPACITY_FOUND)
        return 0;
    if (close_in(s, &b, err) || step_to(s, b.low, HOLDS, &out->low, &out->vague, err) ||
        step_to(s, b.high, BREAKS, &out->high, &out->vague, err))
        return -1;
    if (!out->vague && narrow(s, out, err))
        return -1;
    out->value = crossing(s, out->low, out->high);
    return 0;
}

static int compare_loads(const void *a, const void *b)
{
    const struct load_seen *x = a, *y = b;
    return (x->load > y->load) - (x->load < y->load);
}

/* Of the loads that were looked at, what was asked for. */
static void take_curve(const struct search *s, struct capacity *out)
{
    for (size_t i = 0; i < s->count && s->q->curve_count > 0 && out->curve_count < CURVE_MAX; i++) {
        const struct point *p = &s->points[i];
        struct load_seen *seen = &out->curve[out->curve_count];
        if (p->count <= PILOTS || p->failed) /* pilots know little */
            continue;
        *seen = (struct load_seen){.load = s->at[i]};
        for (size_t k = 0; k < s->q->curve_count && k < CURVE_VALUES; k++)
            seen->values[k] = point_mean(p, s->q->curve[k], 0.95).value;
        out->curve_count++;
    }
    qsort(out->curve, out->curve_count, sizeof *out->curve, compare_loads);
}

int capacity_find(const struct capacity_question *question, struct trial_pool *pool, struct capacity *out,
                  struct error *err)
{
    *out = (struct capacity){0};
    struct search *s = calloc(1, sizeof *s);
    if (!s)
        return error_no_memory(err);
    s->q = question;
    s->pool = pool;
    int status = find(s, out, err);
    out->points = s->count;
    take_curve(s, out);
    for (size_t i = 0; i < s->count; i++) {
        const struct point *p = &s->points[i];
        if (p->failed && !out->failed) {
            out->failed = true;
            snprintf(out->message, sizeof out->message, "%s", p->results[p->count - 1].message);
        }
        if (fabs(s->at[i] / out->high - 1) < 1e-9)
            snprintf(out->binding, sizeof out->binding, "%s", p->failed ? "cannot be run" : point_binding(p));
        point_release(&s->points[i]);
    }
    free(s);
    return status;
}

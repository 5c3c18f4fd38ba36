/* SPDX-License-Identifier: MIT */
#include "planner/search.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "planner/closest.h"
#include "planner/first.h"
#include "planner/search_parts.h"

enum { TOGETHER_MAX = 64, FIRST_OF_TIES = 8 };

/* How much more than a formula's capacity may turn out to be served: a first look is better below the answer, since
 * what misses there rules out all smaller sizes. */
static const double first_look_slack = 1.1;

static const double same = 1 + 1e-9;

struct sized *contender_size(const struct plan *plan, struct contender *c, size_t units)
{
    for (size_t i = 0; i < c->count; i++)
        if (c->sizes[i].units == units)
            return &c->sizes[i];
    struct sized *grown = array_grow(c->sizes, &c->capacity, c->count + 1, sizeof *grown);
    if (!grown)
        return NULL;
    c->sizes = grown;
    char *scenario = family_scenario(plan, c->family, units);
    if (!scenario)
        return NULL;
    struct sized *s = &grown[c->count++];
    *s = (struct sized){.units = units, .scenario = scenario};
    double scales[SCALE_COUNT];
    family_scales(c->family, scales);
    point_init(&s->point, scenario, scales, plan->seed);
    return s;
}

static const struct sized *looked_at(const struct contender *c, size_t units)
{
    for (size_t i = 0; i < c->count; i++)
        if (c->sizes[i].units == units && c->sizes[i].point.count > 0)
            return &c->sizes[i];
    return NULL;
}

/* What a run held on average where one was made, else what the units hold all the time, or at least. */
double contender_objective(const struct plan *plan, const struct contender *c, size_t units)
{
    const struct sized *s = looked_at(c, units);
    double sum = 0;
    for (size_t i = 0; s && !s->point.failed && i < s->point.count; i++)
        sum += plan_objective(plan, &s->point.results[i]);
    if (s && !s->point.failed)
        return sum / (double)s->point.count;
    return c->family->scaled ? c->family->least_objective : family_objective(plan, c->family, units);
}

/* What sizes are ranked by: the objective, and of the same nodes the fewest GPUs needed, which leave the most room. */
static double rank_of(const struct plan *plan, const struct contender *c, size_t units)
{
    double objective = contender_objective(plan, c, units);
    struct bill bill;
    if (plan->objective != OBJECTIVE_COST || !plan->buying.whole_nodes)
        return objective;
    family_bill(plan, c->family, units, &bill);
    return bill.bought > 0 ? objective * (1 + 1e-5 * bill.gpus / bill.bought) : objective;
}

/* Where to look first: an estimate, for which nothing is ruled out. */
static size_t first_units(const struct plan *plan, const struct family *f)
{
    double units = plan->rate_per_s * f->error.factor / (f->capacity_per_s * first_look_slack);
    return units > 1e6 ? 1000000 : units > 1 ? (size_t)ceil(units) : 1; /* 1 also where there is no formula */
}

struct asked {
    const struct plan *plan;
    const struct contender *contender;
    double best;
};

static bool is_no_dearer(const void *state, size_t units)
{
    const struct asked *a = state;
    return rank_of(a->plan, a->contender, units) <= a->best * same;
}

/* What the fewest units cost that may still turn out to hold. */
static double hoped_objective(const struct plan *plan, const struct contender *c)
{
    return rank_of(plan, c, c->low + 1);
}

/* What they cost if the formula is right. */
static double expected_objective(const struct plan *plan, const struct contender *c)
{
    size_t first = first_units(plan, c->family), units = c->low + 1 > first ? c->low + 1 : first;
    return rank_of(plan, c, c->high && units > c->high ? c->high : units);
}

/* Whether more units have not helped: the largest two that broke did so alike. */
static bool more_is_no_help(const struct contender *c)
{
    const struct sized *last = looked_at(c, c->low), *before = NULL;
    for (size_t i = 0; i < c->count; i++)
        if (c->sizes[i].units < c->low && c->sizes[i].point.count > 0 && (!before || c->sizes[i].units > before->units))
            before = &c->sizes[i];
    return last && before && !last->point.failed && !before->point.failed && !point_overloaded(&last->point) &&
           !(point_typical_margin(&last->point) > point_typical_margin(&before->point) + 0.01);
}

/* After `units` have broken: what their throughput says, or a little more; all there may be where more does not help.
 */
static size_t more_than(const struct plan *plan, const struct contender *c, size_t units)
{
    const struct sized *s = looked_at(c, units);
    if (more_is_no_help(c))
        return c->most;
    double n = (double)units, wanted = n + 1;
    if (s && !s->point.failed) {
        double served = point_mean(&s->point, "requests_per_s", 0.95).value;
        double margin = point_typical_margin(&s->point);
        if (point_overloaded(&s->point) && served > 0)
            wanted = ceil(0.97 * n * plan->rate_per_s / served);
        else
            wanted = n + floor(n * fmin(0.6, -0.25 * margin));
    }
    return wanted > n + 1 ? (size_t)wanted : units + 1;
}

/* Upwards as far as the misses say, downwards twice as far each time, then halving. */
static size_t next_units(const struct plan *plan, const struct contender *c)
{
    if (c->high == 0)
        return c->low == 0 ? first_units(plan, c->family) : more_than(plan, c, c->low);
    if (c->low > 0)
        return (c->low + c->high) / 2;
    size_t first = c->sizes[0].units, down = first > c->high ? 2 * (first - c->high) + 1 : 1;
    return first > down ? first - down : 1;
}

static void set_fate(struct contender *c, enum fate fate, const char *why)
{
    c->fate = fate;
    snprintf(c->why, sizeof c->why, "%.*s", (int)sizeof c->why - 1, why);
}

static void note_break(const struct contender *c, char *out, size_t size)
{
    const struct sized *s = looked_at(c, c->low);
    if (!s || s->point.failed) {
        snprintf(out, size, "%.*s", (int)size - 1, s ? s->point.results[0].message : "");
        return;
    }
    char how[128];
    margin_text(point_binding(&s->point), point_typical_margin(&s->point), how, sizeof how);
    snprintf(out, size, "%zu units %s: %s", c->low,
             s->point.verdict == BREAKS ? "break it" : "are not shown to keep it", how);
}

/* Whether there is still something to find out that matters, given the cheapest that holds; else says why not. */
static bool matters(const struct plan *plan, struct contender *c, double best)
{
    char broke[200];
    if (c->fate != FATE_OPEN)
        return false;
    if (c->high > 0 && c->high == c->low + 1) {
        c->fate = FATE_FOUND;
        return false;
    }
    note_break(c, broke, sizeof broke);
    if (c->low >= c->most) {
        char why[320];
        if (c->low == 0)
            snprintf(why, sizeof why, "one unit is more than the constraints allow");
        else
            snprintf(why, sizeof why, "%s, and the constraints allow no more", broke);
        set_fate(c, FATE_LIMITED, why);
        return false;
    }
    if (hoped_objective(plan, c) > best * same) {
        char why[320];
        if (c->low > 0)
            snprintf(why, sizeof why, "%s; more would cost more than the best", broke);
        else
            snprintf(why, sizeof why, "one unit costs more than the best");
        set_fate(c, FATE_DEARER, why);
        return false;
    }
    return true;
}

static double best_objective(const struct plan_search *s)
{
    double best = INFINITY;
    for (size_t i = 0; i < s->count; i++)
        if (!s->contenders[i].apart && s->contenders[i].high > 0)
            best = fmin(best, rank_of(s->plan, &s->contenders[i], s->contenders[i].high));
    return best;
}

struct hope {
    struct contender *contender;
    double objective;
};

static int compare_hopes(const void *a, const void *b)
{
    const struct hope *x = a, *y = b;
    if (x->objective != y->objective)
        return x->objective > y->objective ? 1 : -1;
    return (x->contender > y->contender) - (x->contender < y->contender);
}

/* The contenders to look at next: those that are expected to cost least, as many more as keep all workers busy. */
static size_t choose(struct plan_search *s, struct hope *hopes)
{
    double best = best_objective(s);
    size_t n = 0, together = s->pool->workers / 4;
    for (size_t i = 0; i < s->count; i++) {
        struct contender *c = &s->contenders[i];
        if (!c->apart && matters(s->plan, c, best))
            hopes[n++] = (struct hope){c, expected_objective(s->plan, c)};
    }
    qsort(hopes, n, sizeof *hopes, compare_hopes);
    size_t least = 0;
    while (least < n && hopes[least].objective <= hopes[0].objective * same)
        least++;
    together = together > least ? together : least;
    together = together > TOGETHER_MAX ? TOGETHER_MAX : together;
    return n < together ? n : together;
}

/* How many units of it to look at: no more than could be best. */
static size_t units_to_look_at(const struct plan_search *s, const struct contender *c, double best)
{
    size_t units = next_units(s->plan, c);
    const struct asked asked = {.plan = s->plan, .contender = c, .best = best};
    size_t most = isfinite(best) && !c->family->scaled ? units_that(is_no_dearer, &asked) : units;
    if (units > most)
        units = most;
    if (units > c->most)
        units = c->most;
    return units > c->low ? units : c->low + 1;
}

static void learn(struct contender *c, const struct sized *size)
{
    if (size->point.verdict == HOLDS && (c->high == 0 || size->units < c->high))
        c->high = size->units;
    else if (size->point.verdict != HOLDS && size->units > c->low)
        c->low = size->units;
}

static int look(struct plan_search *s, const struct hope *hopes, size_t n, double best, struct error *err)
{
    struct sized *sizes[TOGETHER_MAX];
    struct point *points[TOGETHER_MAX] = {0};
    for (size_t i = 0; i < n; i++) {
        struct contender *c = hopes[i].contender;
        sizes[i] = contender_size(s->plan, c, units_to_look_at(s, c, best));
        if (!sizes[i])
            return error_no_memory(err);
        points[i] = &sizes[i]->point;
    }
    if (points_decide(points, n, &s->plan->effort, s->pool, err))
        return -1;
    for (size_t i = 0; i < n; i++)
        learn(hopes[i].contender, sizes[i]);
    return 0;
}

int search_settle(struct plan_search *s, uint64_t most_trials, struct error *err)
{
    struct hope *hopes = malloc((s->count + 1) * sizeof *hopes);
    if (!hopes)
        return error_no_memory(err);
    int status = 0;
    size_t n;
    for (double rounds = 0; status == 0 && (n = choose(s, hopes)) > 0; rounds++) {
        const struct planner_watch *watch = s->pool->watch;
        if (most_trials > 0 && s->pool->trials >= most_trials)
            break;
        if (watch->progress)
            watch->progress(watch->state, hopes[0].contender->family->label, rounds, 0);
        status = look(s, hopes, n, best_objective(s), err);
    }
    free(hopes);
    return status;
}

static struct sized *held_by(struct contender *c)
{
    for (size_t i = 0; i < c->count; i++)
        if (c->sizes[i].units == c->high)
            return &c->sizes[i];
    return NULL;
}

/* Margins that have a mean and a variance; beyond e¹⁰ times within a limit they are alike. */
static double finite_margin(const struct trial_result *r)
{
    return fmax(-1, fmin(10, r->margin));
}

/* Of equally cheap families the one with the widest margin. */
static int select_widest(struct plan_search *s, struct contender **ties, size_t n, struct error *err)
{
    size_t most = s->plan->effort.most, first = most < FIRST_OF_TIES ? most : FIRST_OF_TIES;
    struct selection *selection = selection_create(n, first, s->plan->indifference, s->plan->effort.confidence);
    struct point **points = malloc(n * sizeof *points);
    double *margins = malloc(n * sizeof *margins);
    int status = selection && points && margins ? 0 : error_no_memory(err);
    for (size_t r = 0; status == 0 && r < most && selection_left(selection) > 1; r++) {
        size_t left = 0;
        for (size_t i = 0; i < n; i++)
            if (selection_holds(selection, i))
                points[left++] = &held_by(ties[i])->point;
        status = points_replicate(points, left, r < first ? first : r + 1, s->pool, err);
        for (size_t i = 0; status == 0 && i < n; i++)
            margins[i] = selection_holds(selection, i) ? finite_margin(&held_by(ties[i])->point.results[r]) : 0;
        if (status == 0)
            selection_add(selection, margins);
    }
    double widest = -INFINITY;
    for (size_t i = 0; status == 0 && i < n; i++) {
        double margin = point_typical_margin(&held_by(ties[i])->point);
        if (selection_holds(selection, i) && margin > widest) {
            widest = margin;
            s->chosen = ties[i];
        }
    }
    if (status == 0)
        s->confidence_of_choice = selection_left(selection) == 1 ? s->plan->effort.confidence : NAN;
    selection_destroy(selection);
    free(points);
    free(margins);
    return status;
}

/* The cheapest of those that hold, and of several the one with the widest margin. */
static int choose_best(struct plan_search *s, struct error *err)
{
    struct contender **ties = malloc((s->count + 1) * sizeof *ties);
    if (!ties)
        return error_no_memory(err);
    double best = best_objective(s);
    size_t n = 0;
    for (size_t i = 0; i < s->count; i++) {
        struct contender *c = &s->contenders[i];
        c->best = c->fate == FATE_FOUND && rank_of(s->plan, c, c->high) <= best * same;
        if (c->best)
            ties[n++] = c;
    }
    s->ties = n;
    s->runner_up = NULL;
    s->confidence_of_choice = 1;
    s->chosen = n ? ties[0] : NULL;
    int status = n > 1 ? select_widest(s, ties, n, err) : 0;
    double widest = -INFINITY;
    for (size_t i = 0; status == 0 && i < n; i++) {
        double margin = point_typical_margin(&held_by(ties[i])->point);
        if (ties[i] != s->chosen && margin > widest) {
            widest = margin;
            s->runner_up = ties[i];
        }
    }
    free(ties);
    return status;
}

struct contender *search_cheapest(struct plan_search *s)
{
    struct contender *cheapest = NULL;
    double best = INFINITY;
    for (size_t i = 0; i < s->count; i++) {
        struct contender *c = &s->contenders[i];
        double objective = c->high ? rank_of(s->plan, c, c->high) : INFINITY;
        if (objective < best) {
            best = objective;
            cheapest = c;
        }
    }
    return cheapest;
}

/* The cheapest that holds of those that are not set apart; what was given up as more expensive may be it. */
static int find_next(struct plan_search *s, struct contender **next, struct error *err)
{
    for (size_t i = 0; i < s->count; i++)
        if (s->contenders[i].fate == FATE_DEARER)
            s->contenders[i].fate = FATE_OPEN;
    if (search_settle(s, 0, err))
        return -1;
    double best = INFINITY;
    *next = NULL;
    for (size_t i = 0; i < s->count; i++) {
        struct contender *c = &s->contenders[i];
        double objective = c->high ? rank_of(s->plan, c, c->high) : INFINITY;
        if (!c->apart && c->fate == FATE_FOUND && objective < best) {
            best = objective;
            *next = c;
        }
    }
    return 0;
}

/* The next cheapest, where none was as cheap. */
static int choose_next(struct plan_search *s, struct error *err)
{
    s->chosen->apart = true;
    int status = find_next(s, &s->runner_up, err);
    s->chosen->apart = false;
    return status;
}

static bool is_on(const struct family *f, const char *device)
{
    for (size_t i = 0; i < f->pool_count; i++)
        if (strcmp(f->held[i].device, device) == 0)
            return true;
    return false;
}

static bool is_within(const struct family *f, const struct family *g)
{
    for (size_t i = 0; i < f->pool_count; i++)
        if (!is_on(g, f->held[i].device))
            return false;
    return true;
}

bool contender_is_alike(const struct contender *a, const struct contender *b)
{
    return is_within(a->family, b->family) && is_within(b->family, a->family);
}

/* The cheapest on other devices than those chosen. */
static int find_rival(struct plan_search *s, struct error *err)
{
    bool others = false;
    for (size_t i = 0; i < s->count; i++) {
        s->contenders[i].apart = contender_is_alike(s->chosen, &s->contenders[i]);
        others = others || (!s->contenders[i].apart && s->contenders[i].fate != FATE_REFUSED);
    }
    if (s->runner_up && !s->runner_up->apart)
        s->rival = s->runner_up;
    int status = others && !s->rival ? find_next(s, &s->rival, err) : 0;
    for (size_t i = 0; i < s->count; i++)
        s->contenders[i].apart = false;
    return status;
}

/* What is recommended has had all replications that one point may have. What does not hold after all is open again, and
 * so is what was given up as more expensive. */
static bool confirmed(struct plan_search *s, struct contender *c, int *status, struct error *err)
{
    struct point *p = &held_by(c)->point;
    *status = point_confirm(p, &s->plan->effort, s->pool, err);
    if (*status || p->verdict == HOLDS)
        return true;
    c->low = c->high;
    c->high = 0;
    c->best = false;
    s->runner_up = c == s->runner_up ? NULL : s->runner_up;
    for (size_t i = 0; i < s->count; i++)
        if (s->contenders[i].fate == FATE_DEARER || &s->contenders[i] == c)
            s->contenders[i].fate = FATE_OPEN;
    return false;
}

static int find_chosen(struct plan_search *s, struct error *err)
{
    int status = 0;
    do
        if (search_settle(s, 0, err) || choose_best(s, err))
            return -1;
    while (s->chosen && !confirmed(s, s->chosen, &status, err));
    return status;
}

static int find_runner_up(struct plan_search *s, struct error *err)
{
    int status = 0;
    do
        if (s->chosen && !s->runner_up && choose_next(s, err))
            return -1;
    while (s->runner_up && !confirmed(s, s->runner_up, &status, err));
    return status;
}

/* Whether what was found last, and holds, costs less than what was chosen before it. */
static bool runner_up_is_cheaper(const struct plan_search *s)
{
    return s->chosen && s->runner_up &&
           rank_of(s->plan, s->runner_up, s->runner_up->high) * same < rank_of(s->plan, s->chosen, s->chosen->high);
}

static void explain(struct plan_search *s)
{
    if (!s->chosen)
        return;
    double best = contender_objective(s->plan, s->chosen, s->chosen->high);
    for (size_t i = 0; i < s->count; i++) {
        struct contender *c = &s->contenders[i];
        if (c == s->chosen || c->fate != FATE_FOUND)
            continue;
        double objective = contender_objective(s->plan, c, c->high);
        char its[128];
        const struct point *p = &held_by(c)->point;
        margin_text(point_binding(p), point_typical_margin(p), its, sizeof its);
        struct bill its_bill, bill;
        family_bill(s->plan, c->family, c->high, &its_bill);
        family_bill(s->plan, s->chosen->family, s->chosen->high, &bill);
        if (c->best)
            snprintf(c->why, sizeof c->why, "as cheap with %zu units, but with a narrower margin: %s", c->high, its);
        else if (objective <= best * same)
            snprintf(c->why, sizeof c->why, "as cheap with %zu units, but needs %g GPUs of its nodes, not %g", c->high,
                     its_bill.gpus, bill.gpus);
        else
            snprintf(c->why, sizeof c->why, "needs %zu units, %.0f %% more %s", c->high, 100 * (objective / best - 1),
                     objective_names[s->plan->objective]);
    }
}

int search_make_contenders(struct plan_search *s, struct error *err)
{
    s->contenders = calloc(s->count + 1, sizeof *s->contenders);
    if (!s->contenders)
        return error_no_memory(err);
    for (size_t i = 0; i < s->count; i++) {
        struct contender *c = &s->contenders[i];
        c->family = &s->families[i];
        c->most = family_most(s->plan, c->family);
        if (c->family->refused[0])
            set_fate(c, FATE_REFUSED, c->family->refused);
    }
    return 0;
}

int plan_search_run(struct plan_search *s, const struct plan *plan, struct trial_pool *pool, struct error *err)
{
    *s = (struct plan_search){.plan = plan, .pool = pool};
    if (families_make(plan, &s->families, &s->count, err))
        return -1;
    if (search_make_contenders(s, err) || first_answer_tell(s, err))
        return -1;
    do {
        if (find_chosen(s, err))
            return -1;
        first_choice_tell(s);
        if (find_runner_up(s, err))
            return -1;
    } while (runner_up_is_cheaper(s));
    if (!s->chosen)
        closest_find(s);
    if (s->closest && closest_ask_alone(s, err))
        return -1;
    if (s->chosen && s->chosen->family->error.known && find_rival(s, err))
        return -1;
    explain(s);
    return 0;
}

void search_release_contenders(struct plan_search *s)
{
    for (size_t i = 0; s->contenders && i < s->count; i++) {
        for (size_t k = 0; k < s->contenders[i].count; k++) {
            point_release(&s->contenders[i].sizes[k].point);
            free(s->contenders[i].sizes[k].scenario);
        }
        free(s->contenders[i].sizes);
    }
    free(s->contenders);
    s->contenders = NULL;
}

void plan_search_release(struct plan_search *s)
{
    search_release_contenders(s);
    families_release(s->families, s->families ? s->count : 0);
    *s = (struct plan_search){0};
}

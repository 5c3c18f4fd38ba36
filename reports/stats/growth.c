/* SPDX-License-Identifier: MIT */
#include "reports/stats/growth.h"

#include <gsl/gsl_cdf.h>
#include <math.h>

static const double least_growth = 0.02;
static const uint64_t least_looks = 4; /* the first arrival, and those after three batches */

static void add(struct growth_series *s, uint64_t place, uint64_t value, uint64_t time)
{
    if (s->width == 0)
        s->width = 1;
    while (place / s->width >= GROWTH_BLOCKS) {
        for (size_t i = 0; i < GROWTH_BLOCKS / 2; i++) {
            const struct growth_block *left = &s->blocks[2 * i], *right = left + 1;
            s->blocks[i] = (struct growth_block){left->count + right->count, left->values + right->values,
                                                 left->times + right->times};
        }
        for (size_t i = GROWTH_BLOCKS / 2; i < GROWTH_BLOCKS; i++)
            s->blocks[i] = (struct growth_block){0};
        s->width *= 2;
    }
    struct growth_block *block = &s->blocks[place / s->width];
    block->count++;
    block->values += value;
    block->times += time;
}

void queue_growth_arrive(struct queue_growth *g, uint64_t waiting)
{
    if (g->served || g->arrivals == 0)
        add(&g->queued, g->looks++, waiting, g->arrivals);
    g->served = false;
    g->arrivals++;
}

void queue_growth_serve(struct queue_growth *g, uint64_t request, sim_time arrival, sim_time wait)
{
    g->served = true;
    add(&g->waits, request, (uint64_t)wait, (uint64_t)arrival);
}

/* Steps between the means of `count` blocks. Values are whole numbers, so the spread of steps is taken for 1 at least:
 * a few that happen to be equal are not taken for certain. */
static bool climbs(const double *means, const double *times, size_t count, double chance)
{
    if (count < 3)
        return false;
    double steps = (double)count - 1, rise = means[count - 1] - means[0], mean = rise / steps, squares = 0;
    double passed = times[count - 1] - times[0]; /* 0: all of it is there at the start */
    for (size_t i = 0; i + 1 < count; i++) {
        double off = means[i + 1] - means[i] - mean;
        squares += off * off;
    }
    double spread = fmax(sqrt(squares / (steps - 1)), 1);
    return passed > 0 && rise >= least_growth * passed &&
           mean * sqrt(steps) / spread > gsl_cdf_tdist_Qinv(chance, steps - 1);
}

static bool grows(const struct growth_series *s, double chance)
{
    double means[GROWTH_BLOCKS], times[GROWTH_BLOCKS];
    size_t count = 0;
    for (size_t i = 0; i < GROWTH_BLOCKS; i++) {
        const struct growth_block *b = &s->blocks[i];
        if (b->count == 0)
            continue;
        means[count] = (double)b->values / (double)b->count;
        times[count++] = (double)b->times / (double)b->count;
    }
    size_t half = count / 2;
    return climbs(means, times, count, chance / 2) || climbs(means + half, times + half, count - half, chance / 2);
}

bool queue_growth_found(const struct queue_growth *g, size_t queues)
{
    double chance = GROWTH_CHANCE / (2 * (double)queues);
    if (g->looks < least_looks)
        return false;
    return grows(&g->waits, chance) || grows(&g->queued, chance);
}

/* SPDX-License-Identifier: MIT */
#include "validation/drift.h"

#include <math.h>
#include <stdlib.h>

#include "base/array.h"

static const sim_time second = 1000000000;

void drift_release(struct drift *d)
{
    free(d->factors);
    *d = (struct drift){0};
}

/* Wall time and told time of iterations that start in one second. */
static double factor_in(const struct iteration_log *logs, size_t log_count, size_t at_s, double before)
{
    double wall = 0, told = 0;
    for (size_t l = 0; l < log_count; l++)
        for (size_t i = 0; i < logs[l].count; i++) {
            const struct logged_iteration *k = &logs[l].items[i];
            if (k->start / second != (sim_time)at_s)
                continue;
            wall += (double)k->wall_ns;
            told += fine_to_ns(k->cost.total);
        }
    return told > 0 ? wall / told : before;
}

int drift_read(struct drift *d, const struct iteration_log *logs, size_t log_count, struct error *err)
{
    size_t seconds = 0;
    for (size_t l = 0; l < log_count; l++)
        if (logs[l].count > 0) {
            size_t last = (size_t)(logs[l].items[logs[l].count - 1].start / second) + 1;
            seconds = last > seconds ? last : seconds;
        }
    double *grown = array_grow(d->factors, &d->capacity, seconds + 1, sizeof *grown);
    if (!grown)
        return error_no_memory(err);
    d->factors = grown;
    d->count = seconds;
    for (size_t i = 0; i < seconds; i++)
        grown[i] = factor_in(logs, log_count, i, i > 0 ? grown[i - 1] : 1);
    return 0;
}

static fine_time longer(fine_time t, double factor)
{
    return (fine_time)((double)t * factor + 0.5);
}

static void run(void *state, const struct batch *batch, struct iteration_cost *out)
{
    struct drifting *d = state;
    d->inner.run(d->inner.state, batch, out);
    if (d->drift->count == 0)
        return;
    size_t at_s = (size_t)(batch->start / second);
    double factor = d->drift->factors[at_s < d->drift->count ? at_s : d->drift->count - 1];
    out->total = longer(out->total, factor);
    out->decode_alone = longer(out->decode_alone, factor);
    for (int i = 0; i < COST_SOURCES; i++)
        out->by[i] = longer(out->by[i], factor);
    out->growth = out->alone_growth = 0;
    out->steady = 1;
}

struct executor drifting_executor(struct drifting *d)
{
    struct executor e = d->inner;
    e.run = run;
    e.predict = NULL;
    e.state = d;
    return e;
}

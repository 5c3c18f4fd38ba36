/* SPDX-License-Identifier: MIT */
/* Operating points of one server as load levels: what points.h assumes of them holds here, too. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "profiles/device.h"
#include "validation/forms.h"
#include "validation/points.h"

static bool same_server(const struct point *a, const struct point *b)
{
    return strcmp(a->system, b->system) == 0 && strcmp(a->backend, b->backend) == 0 &&
           strcmp(a->version, b->version) == 0 && strcmp(a->model_path, b->model_path) == 0 &&
           strcmp(a->quantisation, b->quantisation) == 0 && strcmp(a->mode, b->mode) == 0 && point_same_parallel(a, b);
}

static int add_point(const struct point *p, struct levels *out, struct error *err)
{
    struct level *level = levels_add(out, err);
    if (!level)
        return -1;
    level->load = LOAD_CLOSED;
    level->concurrency = p->concurrency;
    level->requests = 10 * p->concurrency;
    level->prompt_tokens = p->isl;
    level->output_tokens = p->osl;
    level->drawn = point_draws_lengths(p);
    level->measured[0][0] = p->ttft_ms * 1e-3;
    level->measured[1][0] = p->tpot_ms * 1e-3;
    snprintf(level->name, sizeof level->name, "%g clients, %g + %g tokens", p->concurrency, p->isl, p->osl);
    return 0;
}

/* The scenario is that of the point with most clients, whose batches are the largest. */
static int add_points(const char *file, const struct points *points, const char *system, const char *device,
                      struct levels *out, struct error *err)
{
    const struct point *most = NULL;
    for (size_t i = 0; i < points->count; i++) {
        const struct point *p = &points->items[i];
        const char *refused = point_refused(p, system);
        if (refused)
            return error_set(err, ERROR_INPUT, "%s: %s: expected points that can be simulated, found %s", file, p->id,
                             refused);
        if (most && !same_server(p, most))
            return error_set(err, ERROR_INPUT, "%s: %s: expected points of one server, found another than that of %s",
                             file, p->id, most->id);
        if (add_point(p, out, err))
            return -1;
        most = !most || p->concurrency > most->concurrency ? p : most;
    }
    return point_scenario(most, device, &out->scenario, err);
}

int form_points_read(const char *file, const char *device, struct levels *out, struct error *err)
{
    struct points points = {0};
    struct device d;
    if (out->scenario)
        return error_set(err, ERROR_INPUT, "%s: expected one file of operating points, found a second one", file);
    if (!device)
        return error_set(err, ERROR_INPUT, "%s: operating points need --profile DEVICE, what costs come from", file);
    if (device_load(device, &d, err))
        return -1;
    int status = points_read(file, &points, err) || points_bound(&points, &d, err) ||
                         add_points(file, &points, d.system, device, out, err)
                     ? -1
                     : 0;
    points_release(&points);
    device_release(&d);
    return status;
}

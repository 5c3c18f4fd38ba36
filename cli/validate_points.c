/* SPDX-License-Identifier: MIT */
#include "cli/validate_points.h"

#include <stdio.h>
#include <string.h>

#include "base/output.h"
#include "base/printable.h"
#include "profiles/shipped.h"
#include "validation/plot.h"
#include "validation/points.h"

static const char other_half[] = "of the half that was not asked for";

/* Why a point is left out before it is simulated, or NULL. */
static const char *left_out(const struct point *p, const struct point_wishes *w, const char *system)
{
    const char *reason = point_refused(p, system);
    bool other = w->half && p->judged != (strcmp(w->half, "judge") == 0);
    return reason ? reason : other ? other_half : NULL;
}

static int simulate_point(struct point *p, const char *device, const struct arguments *args, struct store *store,
                          struct error *err)
{
    cJSON *scenario = NULL;
    if (point_scenario(p, device, &scenario, err))
        return -1;
    struct json root = {.node = scenario, .file = p->id};
    if (apply_settings(args, &root, err) == 0)
        return point_simulate(p, root, store, err);
    cJSON_Delete((cJSON *)(uintptr_t)root.node);
    return -1;
}

/* A point that cannot be simulated is left out, with its reason; a lack of memory or a database that fails ends all. */
static int simulate_points(struct points *points, const struct arguments *args, const struct point_wishes *w,
                           const char *system, struct store *store, struct error *err)
{
    for (size_t i = 0; i < points->count; i++) {
        struct point *p = &points->items[i];
        struct error refused = {0};
        if (left_out(p, w, system) || simulate_point(p, w->device, args, store, &refused) == 0)
            continue;
        if (refused.code != ERROR_INPUT && refused.code != ERROR_RUN) {
            *err = refused;
            return -1;
        }
        snprintf(p->impossible, sizeof p->impossible, "%.*s", POINT_REASON - 1, refused.text);
        printf("left out: %s: %s\n", p->id, refused.text);
    }
    return 0;
}

static int print_points(const struct points *points, const char *backend, const char *model, struct error *err)
{
    struct point_errors e;
    const struct point_choice choice = {.backend = backend, .model_path = model};
    if (points_compare(points, &choice, &e, err))
        return -1;
    if (e.count > 0)
        printf("%-8s %-34s %5zu %+7.1f %% %7.1f %% %7.1f %% %7.3f %+9.1f %% %7.1f %% %7.1f %% %7.3f\n",
               backend ? backend : "all", model ? model : "", e.count, 100 * e.tpot.signed_median, 100 * e.tpot.median,
               100 * e.tpot.p90, e.tpot.rank, 100 * e.ttft.signed_median, 100 * e.ttft.median, 100 * e.ttft.p90,
               e.ttft.rank);
    return 0;
}

static bool first_of_its_kind(const struct points *points, size_t i)
{
    const struct point *p = &points->items[i];
    bool first = p->simulated_tpot_ms > 0;
    for (size_t k = 0; k < i && first; k++) {
        const struct point *q = &points->items[k];
        first = q->simulated_tpot_ms <= 0 || strcmp(q->backend, p->backend) != 0 ||
                strcmp(q->model_path, p->model_path) != 0;
    }
    return first;
}

/* Each reason once, with how many points it left out. */
static void print_left_out(const struct points *points, const struct point_wishes *w, const char *system)
{
    size_t impossible = 0;
    for (size_t i = 0; i < points->count; i++) {
        const char *reason = left_out(&points->items[i], w, system);
        size_t before = 0, count = 0;
        for (size_t k = 0; reason && k < points->count; k++)
            if (left_out(&points->items[k], w, system) == reason)
                count++, before += k < i;
        if (reason && before == 0)
            printf("left out: %zu points, %s\n", count, reason);
        impossible += points->items[i].impossible[0] != 0;
    }
    if (impossible > 0)
        printf("left out: %zu points, which cannot be simulated as named above\n", impossible);
}

/* A line for each engine and model, one for all, and what was left out and why. */
static int report_points(const struct points *points, const struct point_wishes *w, const char *system,
                         struct error *err)
{
    struct point_errors all;
    const struct point_choice every = {0};
    printf("%-8s %-34s %5s %9s %9s %9s %7s %11s %9s %9s %7s\n", "engine", "model", "n", "TPOT +/-", "p50", "p90",
           "rank", "TTFT +/-", "p50", "p90", "rank");
    for (size_t i = 0; i < points->count; i++)
        if (first_of_its_kind(points, i) &&
            print_points(points, points->items[i].backend, points->items[i].model_path, err))
            return -1;
    if (print_points(points, NULL, NULL, err) || points_compare(points, &every, &all, err))
        return -1;
    print_left_out(points, w, system);
    if (all.count == 0)
        return error_set(err, ERROR_INPUT, "no point can be simulated on %s", w->device);
    printf("mean absolute error %.2f %%, worst %.2f %%\n", 100 * all.tpot.mean, 100 * all.tpot.worst);
    return 0;
}

/* What profiles/accuracy.h files a point under; nothing where its model is not shipped. */
static void find_kind(const struct point *p, const char **models, const char **weights)
{
    char name[POINT_TEXT];
    struct model m;
    struct error none;
    if (!shipped_resolve("model", p->model_path, name, sizeof name) || point_model(p, &m, &none))
        return;
    *models = m.moe.experts ? "experts" : "dense";
    *weights = dtype_names[m.moe.experts ? m.moe.dtype : m.dtype];
}

static int write_csv(const struct points *points, const struct point_wishes *w, const char *system, struct error *err)
{
    struct output out;
    if (output_open(&out, w->csv, err))
        return -1;
    fputs("id,system,engine,version,model,precision,mode,preset,models,weights,half,concurrency,ranks,tpot_ms,"
          "simulated_tpot_ms,ttft_ms,"
          "simulated_ttft_ms,left_out\n",
          out.out);
    for (size_t i = 0; i < points->count; i++) {
        const struct point *p = &points->items[i];
        const char *reason = left_out(p, w, system);
        char preset[64] = "";
        const char *models = "", *weights = "";
        point_preset(p, preset, sizeof preset);
        find_kind(p, &models, &weights);
        const char *const texts[] = {p->id,           p->system, p->backend, p->version, p->model_path,
                                     p->quantisation, p->mode,   preset,     models,     weights};
        for (size_t k = 0; k < sizeof texts / sizeof *texts; k++) {
            printable_csv(out.out, texts[k]);
            fputc(',', out.out);
        }
        fprintf(out.out, "%s,%g,%g,%g,%g,%g,%g,", p->judged ? "judge" : "fit", p->concurrency, p->ranks, p->tpot_ms,
                p->simulated_tpot_ms, p->ttft_ms, p->simulated_ttft_ms);
        printable_csv(out.out, reason ? reason : p->impossible);
        fputc('\n', out.out);
    }
    return output_close(&out, false, err);
}

static int check_half(const char *half, struct error *err)
{
    if (!half || strcmp(half, "fit") == 0 || strcmp(half, "judge") == 0)
        return 0;
    return error_set(err, ERROR_INPUT, "--half %s: expected fit or judge", half);
}

int validate_points(const struct arguments *args, const struct point_wishes *w, struct store *store, struct error *err)
{
    struct points points = {0};
    struct device d;
    if (check_half(w->half, err) || device_load(w->device, &d, err))
        return -1;
    int status = points_read(args->words[1], &points, err) || points_bound(&points, &d, err) ? -1 : 0;
    if (status == 0)
        status = simulate_points(&points, args, w, d.system, store, err);
    if (status == 0 && w->csv)
        status = write_csv(&points, w, d.system, err);
    if (status == 0)
        status = report_points(&points, w, d.system, err);
    if (status == 0 && w->plot)
        status = plot_points(w->plot, args->words[1], &points, err);
    points_release(&points);
    device_release(&d);
    return status;
}

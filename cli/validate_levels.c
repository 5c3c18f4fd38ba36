/* SPDX-License-Identifier: MIT */
#include "cli/validate_levels.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/present.h"
#include "base/printable.h"
#include "validation/calibrate.h"
#include "validation/forms.h"
#include "validation/level_run.h"

struct totals {
    double signed_sum, absolute, worst;
    size_t count;
};

int result_has_levels(const char *path, struct error *err)
{
    char stage[1024];
    struct stat is;
    snprintf(stage, sizeof stage, "%s/stage_0_lifecycle_metrics.json", path);
    if (stat(path, &is))
        return 0;
    if (S_ISDIR(is.st_mode))
        return file_present(stage, err);
    int points = form_points_detect(path, err);
    return points < 0 ? -1 : !points;
}

static void print_level(const struct level *level, double simulated[MEASURED_METRICS][MEASURED_STATISTICS],
                        struct totals *all)
{
    static const char *const labels[MEASURED_METRICS] = {"TTFT", "TPOT", "E2E"};
    printf("%s\n%-12s %12s %12s %9s\n", PRINTABLE(level->name), "", "measured ms", "simulated ms", "error");
    for (int m = 0; m < MEASURED_METRICS; m++)
        for (int i = 0; i < MEASURED_STATISTICS; i++) {
            double error = simulated[m][i] / level->measured[m][i] - 1;
            if (!isfinite(error))
                continue;
            printf("%-5s %-6s %12.2f %12.2f %+8.2f %%\n", labels[m], measured_statistics[i],
                   level->measured[m][i] * 1e3, simulated[m][i] * 1e3, 100 * error);
            all->signed_sum += error;
            all->absolute += fabs(error);
            all->worst = fmax(all->worst, fabs(error));
            all->count++;
        }
}

static int run_level(const struct level_runs *runs, size_t index, const cJSON *base, struct totals *all,
                     struct error *err)
{
    char file[LEVEL_TRACE + 32];
    const struct level *level = &runs->levels->items[index];
    struct level_request *requests = NULL;
    double simulated[MEASURED_METRICS][MEASURED_STATISTICS];
    size_t count;
    cJSON *scenario = NULL;
    if (level_scenario(level, base, level_runs_trace(runs, index, file), &scenario, err) ||
        level_add_seed(scenario, index, 0, err)) {
        cJSON_Delete(scenario);
        return -1;
    }
    if (level_simulate(scenario, level->name, &requests, &count, err))
        return -1;
    int status = level_statistics(requests, 0, count, simulated, err);
    free(requests);
    if (status == 0)
        print_level(level, simulated, all);
    return status;
}

static int run_levels(const struct levels *levels, const cJSON *base, struct error *err)
{
    struct level_runs runs;
    struct totals all = {0};
    int status = level_runs_open(&runs, levels, err);
    for (size_t i = 0; i < levels->count && status == 0; i++)
        status = run_level(&runs, i, base, &all, err);
    level_runs_close(&runs);
    if (status == 0)
        printf("signed mean error %+.2f %%\nmean absolute error %.2f %%, worst %.2f %%\n",
               100 * all.signed_sum / (double)all.count, 100 * all.absolute / (double)all.count, 100 * all.worst);
    return status;
}

int validate_levels(const struct arguments *args, const struct server_wishes *wishes, struct error *err)
{
    static const bool nothing[CALIBRATED] = {false};
    double before[CALIBRATED];
    struct levels levels = {0};
    struct json root = {0};
    cJSON *base = NULL;
    int status = server_levels(args, 1, wishes, &levels, err) || server_scenario(args, wishes, &levels, &root, err);
    if (status == 0) {
        status = calibration_base(&levels, root.node, nothing, &base, before, err) || run_levels(&levels, base, err);
        cJSON_Delete((cJSON *)(uintptr_t)root.node);
    }
    cJSON_Delete(base);
    levels_release(&levels);
    return status ? -1 : 0;
}

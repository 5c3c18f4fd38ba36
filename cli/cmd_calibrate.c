/* SPDX-License-Identifier: MIT */
/* `calibrate`: fits a few parameters of a server to a part of what was measured of it, and judges them by the rest. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "base/output.h"
#include "base/printable.h"
#include "base/sha256.h"
#include "cli/command.h"
#include "cli/server_scenario.h"
#include "planner/parallel.h"
#include "profiles/import.h"
#include "validation/calibrate.h"
#include "validation/level_run.h"

enum {
    OPT_SCENARIO,
    OPT_PROFILE,
    OPT_FIT,
    OPT_PARAMETERS,
    OPT_SEEDS,
    OPT_SET,
    OPT_THREADS,
    OPT_OUT,
    OPT_SCENARIO_OUT,
    OPT_CSV
};

static const struct option_spec options[] = {
    {"--scenario", "SCENARIO", "what was measured: model, device, engine and cluster; its workload does not matter"},
    {"--profile", "DEVICE",
     "the device or profile that costs come from; all that operating points and our own "
     "folders need, which say the rest themselves"},
    {"--fit", "N",
     "load levels (of one run: of 8 stretches of its requests) to fit, spread over the loads; the rest "
     "judges (default: half of them)"},
    {"--parameters", "LIST", "of kernel_factor, exposed_ns, exposed_ns_per_sequence, front_end_s (default: all four)"},
    {"--seeds", "N", "runs of each level, of which means are taken (default 2)"},
    {"--set", "PATH=VALUE", "override a value of the scenario; may be repeated"},
    {"-j", "N", "threads (default: as many as there are processors)"},
    {"--out", "FILE", "the engine file to write (default engine.json)"},
    {"--scenario-out", "FILE",
     "write the scenario of the most loaded level with what was found, to run and to plan with"},
    {"--csv", "FILE", "write every level, whether it was fitted, and what was measured and simulated"},
    PLUGIN_OPTION,
    {0},
};

static int read_parameters(const char *text, bool fitted[CALIBRATED], struct error *err)
{
    for (int i = 0; i < CALIBRATED; i++)
        fitted[i] = text == NULL;
    while (text) {
        size_t length = strcspn(text, ",");
        int found = -1;
        for (int i = 0; i < CALIBRATED; i++)
            if (strlen(calibrated_names[i]) == length && strncmp(text, calibrated_names[i], length) == 0)
                found = i;
        if (found < 0)
            return error_set(err, ERROR_INPUT,
                             "--parameters: expected some of kernel_factor, exposed_ns, exposed_ns_per_sequence and "
                             "front_end_s with commas between, found \"%.*s\"",
                             (int)length, text);
        fitted[found] = true;
        text = text[length] ? text + length + 1 : NULL;
    }
    return 0;
}

static int read_wishes(const struct arguments *args, struct calibration_wishes *w, struct error *err)
{
    *w = (struct calibration_wishes){.share = 0.95};
    if (read_count("--fit", args->values[OPT_FIT], 0, 100000, &w->fit, err) ||
        read_count("--seeds", args->values[OPT_SEEDS], 2, 1000, &w->seeds, err) ||
        read_threads(args->values[OPT_THREADS], &w->threads, err) ||
        read_parameters(args->values[OPT_PARAMETERS], w->fitted, err))
        return -1;
    return 0;
}

static void print_parameters(const struct calibration *c)
{
    printf("%-26s %12s %12s   %s\n", "parameter", "before", "found", "95 % interval");
    for (int i = 0; i < CALIBRATED; i++) {
        const struct calibrated *p = &c->parameters[i];
        if (p->fitted)
            printf("%-26s %12.5g %12.5g   %.5g … %.5g\n", calibrated_names[i], p->before, p->value, p->low, p->high);
    }
}

static void print_times(const struct calibration_part *part, int m)
{
    int i = isfinite(part->measured[m][0]) ? 0 : 1;
    if (isfinite(part->measured[m][i]))
        printf(" %10.2f %10.2f %+7.1f %% %+7.1f %%", 1e3 * part->measured[m][i], 1e3 * part->after[m][i],
               100 * (part->before[m][i] / part->measured[m][i] - 1),
               100 * (part->after[m][i] / part->measured[m][i] - 1));
    else
        printf(" %10s %10s %9s %9s", "-", "-", "-", "-");
}

static void print_parts(const struct calibration *c)
{
    printf("%-36s %-6s %10s %10s %9s %9s %10s %10s %9s %9s\n", "load (means, ms)", "", "TTFT", "simulated", "before",
           "after", "TPOT", "simulated", "before", "after");
    for (size_t i = 0; i < c->count; i++) {
        const struct calibration_part *part = &c->parts[i];
        printf("%-36s %-6s", PRINTABLE(part->name), part->fitted ? "fitted" : "judged");
        print_times(part, 0);
        print_times(part, 1);
        printf("\n");
    }
}

static void print_errors(const char *of, const struct engine_accuracy *before, const struct engine_accuracy *after)
{
    if (after->points < 1)
        return;
    printf("error of the %g %s, median (signed; p90): TTFT %.1f %% (%+.1f; %.1f), before %.1f %% (%+.1f; %.1f); TPOT "
           "%.1f %% (%+.1f; %.1f), before %.1f %% (%+.1f; %.1f)\n",
           after->points, of, 100 * after->ttft.median, 100 * after->ttft.signed_median, 100 * after->ttft.p90,
           100 * before->ttft.median, 100 * before->ttft.signed_median, 100 * before->ttft.p90,
           100 * after->tpot.median, 100 * after->tpot.signed_median, 100 * after->tpot.p90, 100 * before->tpot.median,
           100 * before->tpot.signed_median, 100 * before->tpot.p90);
}

/* "results.json (sha256 …)"; of a folder its requests. */
static int describe_file(const char *path, char *out, size_t size, struct error *err)
{
    char file[1024], hex[65];
    struct stat is;
    bool folder = stat(path, &is) == 0 && S_ISDIR(is.st_mode);
    snprintf(file, sizeof file, "%s%s", path, folder ? "/requests.jsonl" : "");
    if (folder && stat(file, &is)) {
        snprintf(out, size, "%s", path);
        return 0;
    }
    if (sha256_of_file(file, hex, err))
        return -1;
    snprintf(out, size, "%s (sha256 %s)", file, hex);
    return 0;
}

static int describe(const struct arguments *args, const struct calibration *c, char *out, size_t size,
                    struct error *err)
{
    char file[1200], date[16] = "";
    time_t now = time(NULL);
    struct tm day;
    if (gmtime_r(&now, &day))
        strftime(date, sizeof date, "%Y-%m-%d", &day);
    snprintf(out, size, "calibrated on %s to %zu of %zu loads of", date, c->fitted, c->count);
    for (int i = 0; i < args->word_count; i++) {
        size_t used = strlen(out);
        if (describe_file(args->words[i], file, sizeof file, err))
            return -1;
        snprintf(out + used, size - used, "%s %s", i ? "," : "", file);
    }
    size_t used = strlen(out);
    if (c->after.points > 0)
        snprintf(out + used, size - used,
                 "; median error on the other %g: TTFT %.1f %% (%.1f %% before), TPOT %.1f %% (%.1f %% before)",
                 c->after.points, 100 * c->after.ttft.median, 100 * c->before.ttft.median, 100 * c->after.tpot.median,
                 100 * c->before.tpot.median);
    return 0;
}

static int write_engine(const struct arguments *args, const struct calibration *c, const char *file, struct error *err)
{
    char source[8192];
    cJSON *engine = NULL;
    struct engine back;
    int status = describe(args, c, source, sizeof source, err) || calibration_engine(c, source, &engine, err);
    const struct json at = {.node = engine, .file = file};
    if (status == 0)
        status = engine_read(&at, &back, err) || profile_write(engine, file, err);
    cJSON_Delete(engine);
    return status ? -1 : 0;
}

static const struct level *most_loaded(const struct levels *levels)
{
    const struct level *most = &levels->items[0];
    for (size_t i = 1; i < levels->count; i++)
        if (fmax(levels->items[i].concurrency, levels->items[i].rate_per_s) > fmax(most->concurrency, most->rate_per_s))
            most = &levels->items[i];
    return most;
}

/* Requests that are known one by one become a trace next to it. */
static int write_scenario(const struct levels *levels, const struct calibration *c, const char *engine,
                          const char *file, struct error *err)
{
    const struct level *level = most_loaded(levels);
    char trace[1024];
    cJSON *root = NULL;
    snprintf(trace, sizeof trace, "%s.requests.jsonl", file);
    bool own = level->sent_count && !level->trace[0];
    if ((own && level_write_trace(level, trace, err)) || level_scenario(level, c->scenario, trace, &root, err) ||
        level_add_seed(root, (size_t)(level - levels->items), 0, err)) {
        cJSON_Delete(root);
        return -1;
    }
    cJSON_DeleteItemFromObjectCaseSensitive(root, "engine");
    cJSON_AddStringToObject(root, "engine", engine);
    int status = profile_write(root, file, err);
    cJSON_Delete(root);
    return status;
}

static int write_csv(const struct calibration *c, const char *file, struct error *err)
{
    static const char *const metrics[MEASURED_METRICS] = {"ttft", "tpot", "e2e"};
    struct output out;
    if (output_open(&out, file, err))
        return -1;
    fputs("load,part,metric,statistic,measured_ms,before_ms,after_ms\n", out.out);
    for (size_t p = 0; p < c->count; p++)
        for (int m = 0; m < MEASURED_METRICS; m++)
            for (int i = 0; i < MEASURED_STATISTICS; i++) {
                const struct calibration_part *part = &c->parts[p];
                if (!isfinite(part->measured[m][i]))
                    continue;
                printable_csv(out.out, part->name);
                fprintf(out.out, ",%s,%s,%s,%.9g,%.9g,%.9g\n", part->fitted ? "fitted" : "judged", metrics[m],
                        measured_statistics[i], 1e3 * part->measured[m][i], 1e3 * part->before[m][i],
                        1e3 * part->after[m][i]);
            }
    return output_close(&out, false, err);
}

/* Where the latency goes, which no engine file can say. */
static void print_front_end(const struct calibration *c)
{
    const cJSON *cluster = cJSON_GetObjectItemCaseSensitive(c->scenario, "cluster");
    char *text = c->parameters[FRONT_END_S].fitted ? cJSON_PrintUnformatted(cluster) : NULL;
    if (text)
        printf("the front end is a pool of the scenario: --set cluster='%s'\n", text);
    cJSON_free(text);
}

static int conclude(const struct arguments *args, const struct levels *levels, const struct calibration *c,
                    struct error *err)
{
    const char *file = args->values[OPT_OUT] ? args->values[OPT_OUT] : "engine.json";
    const char *scenario = args->values[OPT_SCENARIO_OUT];
    print_parts(c);
    print_parameters(c);
    print_errors("fitted", &c->fit_before, &c->fit_after);
    print_errors("judged", &c->before, &c->after);
    if (c->after.points > 0 && c->after.ttft.median >= c->before.ttft.median &&
        c->after.tpot.median >= c->before.tpot.median)
        printf("the judged loads are no closer than before: keep the scenario as it was\n");
    if (write_engine(args, c, file, err) || (scenario && write_scenario(levels, c, file, scenario, err)) ||
        (args->values[OPT_CSV] && write_csv(c, args->values[OPT_CSV], err)))
        return -1;
    print_front_end(c);
    printf("%zu simulations; wrote %s; use it with --set engine=%s\n", c->runs, file, file);
    return 0;
}

static int calibrate_server(const struct arguments *args, const struct calibration_wishes *wishes,
                            struct levels *levels, struct error *err)
{
    struct json root;
    struct calibration c = {0};
    const struct server_wishes server = {args->values[OPT_SCENARIO], args->values[OPT_PROFILE]};
    if (server_levels(args, 0, &server, levels, err) || server_scenario(args, &server, levels, &root, err))
        return -1;
    int status = calibrate(levels, root.node, wishes, &c, err) || conclude(args, levels, &c, err);
    cJSON_Delete((cJSON *)(uintptr_t)root.node);
    calibration_release(&c);
    return status ? -1 : 0;
}

static int run(const struct arguments *args, struct error *err)
{
    struct calibration_wishes wishes;
    struct levels levels = {0};
    if (need_words(args, 1, WORDS_MAX, command_calibrate.usage, err) || read_wishes(args, &wishes, err))
        return EXIT_BAD_INPUT;
    int status = calibrate_server(args, &wishes, &levels, err);
    levels_release(&levels);
    return status ? exit_for(err) : EXIT_DONE;
}

const struct command command_calibrate = {
    .name = "calibrate",
    .usage = "calibrate RESULT… --scenario SCENARIO | --profile DEVICE",
    .summary = "fit host work, front end and kernel times to your server's benchmark",
    .options = options,
    .run = run,
};

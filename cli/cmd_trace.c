/* SPDX-License-Identifier: MIT */
/* `trace stat`, `trace convert` and `trace generate`. */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "cli/command.h"
#include "profiles/shipped.h"
#include "reports/samples.h"
#include "workloads/generator.h"
#include "workloads/trace.h"

enum { OPT_FORMAT, OPT_OUT };

static const struct option_spec options[] = {
    {"--format", "NAME", "the trace's format: azure, mooncake, stamps or tandem (default: detected)"},
    {"--out", "FILE", "where convert and generate write our JSONL (default: standard output)"},
    {0},
};

static void print_tokens(const char *name, const struct samples *s)
{
    struct summary sum;
    if (samples_summarise(s, 0, &sum) || sum.count == 0)
        return;
    printf("%-14s mean %10.1f  sd %10.1f  min %8.0f  p50 %8.0f  p90 %8.0f  p99 %8.0f  max %8.0f\n", name,
           sum.at[STAT_MEAN].value, sum.at[STAT_SD].value, sum.at[STAT_MIN].value, sum.at[STAT_P50].value,
           sum.at[STAT_P90].value, sum.at[STAT_P99].value, sum.at[STAT_MAX].value);
}

static int stat_source(struct request_source *source, struct error *err)
{
    static struct samples prompt, output; /* large, and this command runs once */
    samples_init(&prompt, 5);
    samples_init(&output, 5);
    struct arrival a;
    double gaps = 0, squares = 0, count = 0;
    sim_time last = 0;
    int got;
    while ((got = source->next(source->state, &a, err)) == 1) {
        double gap = count > 0 ? sim_time_to_s(a.at - last) : 0;
        gaps += gap;
        squares += gap * gap;
        last = a.at;
        count++;
        if (samples_add(&prompt, (uint64_t)count, a.prompt_tokens, 1) ||
            samples_add(&output, (uint64_t)count, a.output_tokens, 1)) {
            got = error_no_memory(err);
            break;
        }
    }
    if (got == 0) {
        double n = count - 1, mean = n > 0 ? gaps / n : 0;
        printf("requests       %.0f in %.3f s\n", count, sim_time_to_s(last));
        if (n > 1 && mean > 0)
            printf("arrivals       %.3f requests/s, inter-arrival CV %.2f\n", 1 / mean,
                   sqrt(fmax(0, squares / n - mean * mean)) / mean);
        print_tokens("prompt tokens", &prompt);
        print_tokens("output tokens", &output);
    }
    samples_release(&prompt);
    samples_release(&output);
    return got;
}

static int write_source(struct request_source *source, const char *file, struct error *err)
{
    FILE *out = file ? fopen(file, "w") : stdout;
    if (!out)
        return error_set(err, ERROR_INPUT, "%s: cannot be written: %s", file, strerror(errno));
    struct arrival a;
    int got = 0;
    bool ok = true;
    while (ok && (got = source->next(source->state, &a, err)) == 1)
        ok = trace_write_line(out, &a) == 0;
    ok = (file ? fclose(out) : fflush(out)) == 0 && ok;
    return ok ? got
              : error_set(err, ERROR_IO, "%s: cannot be written: %s", file ? file : "standard output", strerror(errno));
}

/* The workload of a scenario file, with the scenario's seed. */
static int open_generated(const char *scenario, struct json *root, struct request_source *source, struct error *err)
{
    long long seed = 1;
    if (shipped_load("scenario", scenario, root, err))
        return -1;
    struct json workload = json_member(root, "workload");
    int status = json_read_integer(root, "seed", false, 0, 9007199254740992, &seed, err);
    if (status == 0 && !cJSON_IsObject(workload.node))
        status = json_complain(&workload, "an object", err);
    if (status == 0)
        status = workload_create(&workload, (uint64_t)seed, source, err);
    if (status == 0 && source->finished) {
        struct json arrivals = json_member(&workload, "arrivals");
        status = json_complain(&arrivals, "arrivals with times of their own, which closed_loop has not got", err);
        request_source_destroy(source);
    }
    if (status)
        cJSON_Delete((cJSON *)(uintptr_t)root->node);
    return status;
}

static int run(const struct arguments *args, struct error *err)
{
    if (need_words(args, 2, 2, command_trace.usage, err))
        return EXIT_BAD_INPUT;
    const char *action = args->words[0], *file = args->words[1];
    bool generate = strcmp(action, "generate") == 0, stat = strcmp(action, "stat") == 0;
    if (!generate && !stat && strcmp(action, "convert") != 0) {
        error_set(err, ERROR_INPUT, "trace %s: unknown action; allowed: stat, convert, generate", action);
        return EXIT_BAD_INPUT;
    }
    struct request_source source;
    struct json root = {0};
    if (generate ? open_generated(file, &root, &source, err) : trace_open(file, args->values[OPT_FORMAT], &source, err))
        return exit_for(err);
    int status = stat ? stat_source(&source, err) : write_source(&source, args->values[OPT_OUT], err);
    request_source_destroy(&source);
    cJSON_Delete((cJSON *)(uintptr_t)root.node);
    return status ? exit_for(err) : EXIT_DONE;
}

const struct command command_trace = {
    .name = "trace",
    .usage = "trace stat|convert TRACE, trace generate SCENARIO",
    .summary = "look at a trace, convert one to our JSONL, or write a scenario's workload as one",
    .options = options,
    .run = run,
};

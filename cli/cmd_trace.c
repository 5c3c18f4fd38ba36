/* SPDX-License-Identifier: MIT */
/* `trace stat`, `trace convert` and `trace generate`. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/output.h"
#include "cli/command.h"
#include "profiles/shipped.h"
#include "reports/stats/samples.h"
#include "workloads/generator.h"
#include "workloads/trace.h"

enum { OPT_FORMAT, OPT_TIME_UNIT, OPT_BLOCK_TOKENS, OPT_OUT };

static const struct option_spec options[] = {
    {"--format", "NAME", "the trace's format, one of those that tandem list workloads names (default: detected)"},
    {"--time-unit", "UNIT",
     "of time stamps, where neither keys nor dates say it: s, ms, us or ns (default: the format's, ms and s)"},
    {"--block-tokens", "N",
     "tokens of a hash id of a mooncake or bailian trace (default: told from how many ids prompts have)"},
    {"--out", "FILE", "where convert and generate write our JSONL (default: standard output)"},
    {0},
};

static int print_tokens(const char *name, const struct samples *s, struct error *err)
{
    struct summary sum;
    if (samples_summarise(s, 0, &sum, NULL))
        return error_no_memory(err);
    if (sum.count == 0)
        return 0;
    printf("%-14s mean %10.1f  sd %10.1f  min %8.0f  p50 %8.0f  p90 %8.0f  p99 %8.0f  max %8.0f\n", name,
           sum.at[STAT_MEAN].value, sum.at[STAT_SD].value, sum.at[STAT_MIN].value, sum.at[STAT_P50].value,
           sum.at[STAT_P90].value, sum.at[STAT_P99].value, sum.at[STAT_MAX].value);
    return 0;
}

struct totals {
    struct samples prompt, output;
    double gaps_s, squares, count;
    sim_time last;
    uint32_t least_block, most_block; /* tokens of the hash ids; most is 0 where no request has any */
    double beyond;                    /* requests with more ids than their prompts have blocks */
};

static int add(struct totals *t, const struct arrival *a, struct error *err)
{
    double gap = t->count > 0 ? sim_time_to_s(a->at - t->last) : 0;
    t->gaps_s += gap;
    t->squares += gap * gap;
    t->last = a->at;
    t->count++;
    if (a->hash_count > 0) {
        t->least_block = t->most_block && t->least_block < a->hash_tokens ? t->least_block : a->hash_tokens;
        t->most_block = a->hash_tokens > t->most_block ? a->hash_tokens : t->most_block;
        t->beyond += (uint64_t)(a->hash_count - 1) * a->hash_tokens >= a->prompt_tokens;
    }
    return samples_add(&t->prompt, (uint64_t)t->count, a->prompt_tokens, 1) ||
                   samples_add(&t->output, (uint64_t)t->count, a->output_tokens, 1)
               ? error_no_memory(err)
               : 0;
}

static void print_blocks(const struct trace_reading *r, const struct totals *t)
{
    if (t->most_block == 0)
        return;
    if (t->least_block < t->most_block)
        printf("hash blocks    %u to %u tokens", t->least_block, t->most_block);
    else
        printf("hash blocks    %u tokens", t->most_block);
    if (r->blocks == BLOCKS_ASSUMED)
        printf(" (assumed, as the format has them; %u to %u fit; --block-tokens states another size)", r->least_fitting,
               r->most_fitting);
    else
        printf(" (%s)", r->blocks == BLOCKS_SHOWN    ? "the only size that every line fits"
                        : r->blocks == BLOCKS_STATED ? "as stated"
                                                     : "as the lines say");
    if (t->beyond > 0)
        printf("; %.0f requests have ids beyond their prompt, which are of their answers", t->beyond);
    printf("\n");
}

/* What was read, and what it was taken for where the file does not say. */
static void print_reading(const struct trace_reading *r, const struct totals *t)
{
    printf("trace          %s, times ", r->format->name);
    if (r->unit == TIME_DATES)
        printf("are dates, UTC where no zone is said\n");
    else
        printf("in %s (%s)\n", time_unit_names[r->unit],
               r->unit_stated           ? "as stated"
               : r->format->unit_in_key ? "as their key says"
                                        : "assumed, as the format has them; --time-unit states another");
    print_blocks(r, t);
}

static int print_totals(const struct totals *t, struct error *err)
{
    double n = t->count - 1, mean = n > 0 ? t->gaps_s / n : 0;
    printf("requests       %.0f in %.3f s\n", t->count, sim_time_to_s(t->last));
    if (n > 1 && mean > 0)
        printf("arrivals       %.3f requests/s, inter-arrival CV %.2f\n", 1 / mean,
               sqrt(fmax(0, t->squares / n - mean * mean)) / mean);
    return print_tokens("prompt tokens", &t->prompt, err) || print_tokens("output tokens", &t->output, err) ? -1 : 0;
}

static int stat_source(struct request_source *source, struct error *err)
{
    static struct totals totals; /* large, and this command runs once */
    samples_init(&totals.prompt, 5);
    samples_init(&totals.output, 5);
    struct arrival a;
    int got;
    while ((got = source->next(source->state, &a, err)) == 1)
        if (add(&totals, &a, err)) {
            got = -1;
            break;
        }
    if (got == 0) {
        struct trace_reading reading = trace_reading(source);
        print_reading(&reading, &totals);
        got = print_totals(&totals, err);
    }
    samples_release(&totals.prompt);
    samples_release(&totals.output);
    return got;
}

/* Of a trace whose requests wait for others: when programs begin, and what lies between their requests. */
static int add_programs(const struct programs *p, struct totals *t, struct error *err)
{
    for (size_t i = 0; i < p->count; i++) {
        double gap = i > 0 ? sim_time_to_s(p->items[i].at - p->items[i - 1].at) : 0;
        t->gaps_s += gap;
        t->squares += gap * gap;
    }
    t->count = (double)p->count;
    t->last = p->items[p->count - 1].at;
    for (size_t i = 0; i < p->step_count; i++)
        if (samples_add(&t->prompt, i, p->steps[i].prompt_tokens, 1) ||
            samples_add(&t->output, i, p->steps[i].output_tokens, 1))
            return error_no_memory(err);
    return 0;
}

static void print_waits(const struct programs *p)
{
    size_t waiting = 0, joins = 0, tools = 0;
    double tool_s = 0, delay_s = 0;
    for (size_t i = 0; i < p->step_count; i++) {
        waiting += p->steps[i].after_count > 0;
        joins += p->steps[i].after_count > 1;
        tools += p->steps[i].tool > 0;
        tool_s += sim_time_to_s(p->steps[i].tool);
        delay_s += sim_time_to_s(p->steps[i].delay);
    }
    printf("requests       %zu in %zu sessions or agents, %.2f each; %zu wait for others' answers, %zu for several\n",
           p->step_count, p->count, (double)p->step_count / (double)p->count, waiting, joins);
    printf("waits          %zu for tools, %.3f s on average; other delays %.3f s in all\n", tools,
           tools ? tool_s / (double)tools : 0, delay_s);
}

static int stat_programs(struct request_source *source, struct error *err)
{
    static struct totals totals; /* large, and this command runs once */
    struct programs programs = {0};
    samples_init(&totals.prompt, 5);
    samples_init(&totals.output, 5);
    int status = trace_read_programs(source, &programs, err) || add_programs(&programs, &totals, err) ? -1 : 0;
    if (status == 0) {
        struct trace_reading reading = trace_reading(source);
        double n = totals.count - 1, mean = n > 0 ? totals.gaps_s / n : 0;
        print_reading(&reading, &totals);
        print_waits(&programs);
        if (n > 1 && mean > 0)
            printf("they begin     %.3f a second, inter-arrival CV %.2f\n", 1 / mean,
                   sqrt(fmax(0, totals.squares / n - mean * mean)) / mean);
        status =
            print_tokens("prompt tokens", &totals.prompt, err) || print_tokens("output tokens", &totals.output, err)
                ? -1
                : 0;
    }
    programs_release(&programs);
    samples_release(&totals.prompt);
    samples_release(&totals.output);
    return status;
}

static int write_programs(struct request_source *source, FILE *out, struct error *err)
{
    struct programs programs = {0};
    if (trace_read_programs(source, &programs, err))
        return -1;
    int written = programs_write(out, &programs); /* whoever closes it says why not */
    (void)written;
    programs_release(&programs);
    return 0;
}

/* Stops where nothing can be written; whoever closes `out` says why. */
static int write_lines(struct request_source *source, bool is_trace, FILE *out, struct error *err)
{
    struct arrival a;
    int got;
    if (is_trace && trace_is_closed(source))
        return write_programs(source, out, err);
    while ((got = source->next(source->state, &a, err)) == 1)
        if (trace_write_line(out, &a))
            return 0;
    return got;
}

static int write_source(struct request_source *source, bool is_trace, const char *file, struct error *err)
{
    struct output o;
    if (!file)
        return write_lines(source, is_trace, stdout, err);
    if (output_open(&o, file, err))
        return -1;
    return output_close(&o, write_lines(source, is_trace, o.out, err) != 0, err);
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
        status = json_complain(arrivals.node ? &arrivals : &workload,
                               "arrivals with times of their own, which closed loops have not got", err);
        request_source_destroy(source);
    }
    if (status)
        cJSON_Delete((cJSON *)(uintptr_t)root->node);
    return status;
}

/* How to read the trace; a scenario says so itself. */
static int read_options(const struct arguments *args, struct trace_options *out, struct error *err)
{
    const char *text = args->values[OPT_BLOCK_TOKENS];
    char *end = NULL;
    *out = (struct trace_options){.format = args->values[OPT_FORMAT], .time_unit = args->values[OPT_TIME_UNIT]};
    if (!text)
        return 0;
    out->block_tokens = strtoll(text, &end, 10);
    return end != text && !*end && out->block_tokens >= 1 && out->block_tokens <= 100000000
               ? 0
               : error_set(err, ERROR_INPUT, "--block-tokens %s: expected a whole number from 1 to 100000000", text);
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
    struct trace_options o;
    struct json root = {0};
    if (read_options(args, &o, err) ||
        (generate ? open_generated(file, &root, &source, err) : trace_open(file, &o, &source, err)))
        return exit_for(err);
    int status = stat ? (trace_is_closed(&source) ? stat_programs : stat_source)(&source, err)
                      : write_source(&source, !generate, args->values[OPT_OUT], err);
    request_source_destroy(&source);
    cJSON_Delete((cJSON *)(uintptr_t)root.node);
    return status ? exit_for(err) : EXIT_DONE;
}

static const struct action actions[] = {{"stat", "--format --time-unit --block-tokens"},
                                        {"convert", "--format --time-unit --block-tokens --out"},
                                        {"generate", "--out"},
                                        {0}};

const struct command command_trace = {
    .name = "trace",
    .usage = "trace stat|convert TRACE, trace generate SCENARIO",
    .summary = "look at a trace, convert one to our JSONL, or write a scenario's workload as one",
    .options = options,
    .actions = actions,
    .run = run,
};

/* SPDX-License-Identifier: MIT */
/* A scenario's workload: a trace or a generator, then rate scaling, repetition and limits. A trace that is repeated is
 * read again each time, unless it is so short that its requests can be kept. */
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/fields.h"
#include "workloads/classes.h"
#include "workloads/generator.h"
#include "workloads/population.h"
#include "workloads/program_source.h"
#include "workloads/resample.h"
#include "workloads/trace.h"

enum { KEPT_MAX = 1 << 16 };

struct workload {
    struct request_source inner;
    struct arrival *kept; /* [KEPT_MAX] the first pass of a repeated trace; NULL when it is too long or not repeated */
    size_t kept_count, kept_next;
    bool replaying;
    struct population *population; /* NULL: as the source says */
    uint32_t passes;               /* of a trace, before this one */
    uint64_t *hashes;
    size_t hash_capacity;
    cJSON *spec;      /* our own copy of the workload's object */
    const char *file; /* of a trace: this and the texts of the next lie in the copy */
    struct trace_options trace_options;
    double rate_scale, prompt_scale, output_scale;
    uint64_t limit; /* 0: none */
    uint64_t count;
    uint32_t repeats_left;
    uint32_t max_output_tokens; /* 0: the request's own output */
    sim_time offset, last, gap; /* of the current repetition, unscaled */
};

static void workload_destroy(void *state)
{
    struct workload *w = state;
    request_source_destroy(&w->inner);
    population_destroy(w->population);
    free(w->kept);
    free(w->hashes);
    cJSON_Delete(w->spec);
    free(w);
}

/* The next repetition starts one mean gap after the last arrival, so that the rate stays as it was. */
static int start_again(struct workload *w, struct error *err)
{
    w->repeats_left--;
    w->passes++;
    w->offset = w->last + w->gap;
    w->kept_next = 0;
    w->replaying = w->kept != NULL;
    if (w->replaying)
        return 0;
    request_source_destroy(&w->inner);
    return trace_open(w->file, &w->trace_options, &w->inner, err);
}

static int next_of_pass(struct workload *w, struct arrival *out, struct error *err)
{
    if (w->replaying) {
        if (w->kept_next == w->kept_count)
            return 0;
        *out = w->kept[w->kept_next++];
        return 1;
    }
    int got = w->inner.next(w->inner.state, out, err);
    if (got == 1 && w->kept && (w->kept_count == KEPT_MAX || out->hash_count > 0)) {
        free(w->kept);
        w->kept = NULL;
    }
    if (got == 1 && w->kept)
        w->kept[w->kept_count++] = *out;
    return got;
}

/* Repetitions are other requests of the same kind: what they say is as much like one another's as in the trace, and
 * not like the repetition's before. */
static int tell_apart(struct workload *w, struct arrival *a, struct error *err)
{
    if (w->passes == 0)
        return 0;
    if (a->origin.session > 0)
        a->origin.session += (uint64_t)w->passes << 54;
    if (a->hash_count == 0)
        return 0;
    uint64_t *grown = array_grow(w->hashes, &w->hash_capacity, a->hash_count, sizeof *grown);
    if (!grown)
        return error_no_memory(err);
    w->hashes = grown;
    for (uint32_t i = 0; i < a->hash_count; i++)
        grown[i] = a->hashes[i] + ((uint64_t)w->passes << 54);
    a->hashes = grown;
    return 0;
}

static uint32_t scaled(uint32_t tokens, double scale)
{
    double out = tokens * scale + 0.5;
    return out < 1 ? 1 : out < 1e8 ? (uint32_t)out : 100000000;
}

/* Longer or shorter than the source says; what a prompt has in common with others stays as it was. */
static void scale_lengths(const struct workload *w, struct arrival *a)
{
    if (w->prompt_scale != 1)
        a->prompt_tokens = scaled(a->prompt_tokens, w->prompt_scale);
    if (a->origin.prefix_tokens > a->prompt_tokens)
        a->origin.prefix_tokens = a->prompt_tokens;
    if (w->output_scale == 1)
        return;
    a->output_tokens = scaled(a->output_tokens, w->output_scale);
    if (a->max_output_tokens)
        a->max_output_tokens = scaled(a->max_output_tokens, w->output_scale);
}

static int workload_next(void *state, struct arrival *out, struct error *err)
{
    struct workload *w = state;
    for (;;) {
        if (w->limit && w->count == w->limit)
            return 0;
        int got = next_of_pass(w, out, err);
        if (got < 0 || got == SOURCE_WAITS)
            return got;
        if (got == 0) {
            if (w->repeats_left == 0 || w->count == 0)
                return 0;
            if (w->gap == 0)
                w->gap = w->last / (sim_time)w->count;
            if (start_again(w, err))
                return -1;
            continue;
        }
        if (tell_apart(w, out, err))
            return -1;
        w->count++;
        w->last = out->at + w->offset;
        out->at = w->rate_scale == 1 ? w->last : (sim_time)((double)w->last / w->rate_scale + 0.5);
        scale_lengths(w, out);
        if (!out->max_output_tokens)
            out->max_output_tokens = w->max_output_tokens ? w->max_output_tokens : out->output_tokens;
        if (out->max_output_tokens < out->output_tokens)
            out->output_tokens = out->max_output_tokens;
        if (w->population)
            population_apply(w->population, out);
        return 1;
    }
}

static void workload_put_back(void *state)
{
    struct workload *w = state;
    w->count--;
    w->inner.put_back(w->inner.state);
}

static const struct session_record *workload_sessions(void *state, size_t *count)
{
    const struct workload *w = state;
    return w->inner.sessions(w->inner.state, count);
}

static void workload_finished(void *state, const struct request *r, sim_time at)
{
    struct workload *w = state;
    w->inner.finished(w->inner.state, r, at);
}

/* Another trace takes the place of this one and its repetitions. */
static int resample(struct workload *w, sim_time block, uint64_t seed, struct error *err)
{
    struct request_source trace = w->inner;
    w->inner = (struct request_source){0};
    int status = resample_create(&trace, block, w->repeats_left + 1, seed, &w->inner, err);
    w->repeats_left = 0;
    request_source_destroy(&trace);
    return status;
}

/* What a workload says of its source, whatever that is. */
struct workload_said {
    struct class_said of_class; /* first, for class_only */
    double rate_scale, prompt_scale, output_scale;
    long long requests, limit, max_output_tokens;
    const char *trace; /* this and the next ones of a trace alone */
    struct trace_options options;
    int loop;
    long long repeat, lanes;
    double resample_s;
};

/* Whether requests come when the trace says, or once those are answered that they wait for. */
enum loop { LOOP_TOLD /* by the trace's first line */, LOOP_OPEN, LOOP_CLOSED };

static const struct choice loops[] = {
    {"open", LOOP_OPEN, "each request comes when the trace says", NULL},
    {"closed", LOOP_CLOSED, "a request comes once those are answered that it waits for, and tools and delays are over",
     NULL},
    {NULL, 0, NULL, NULL}};

static const struct field common_fields[] = {
    {.is = {"requests", PARAM_INTEGER, "requests", 0, 1, 1e12, "how many to generate, or to take of a trace", NULL,
            NULL},
     .otherwise = "10000; all of a trace",
     .into = FIELD_INTO(struct workload_said, requests)},
    {.is = {"limit", PARAM_INTEGER, "requests", 0, 1, 1e12, "the workload ends after so many", NULL, NULL},
     .otherwise = "none",
     .into = FIELD_INTO(struct workload_said, limit)},
    {.is = {"rate_scale", PARAM_NUMBER, "", 1, 1e-6, 1e6, "divides every arrival time; not with closed_loop", NULL,
            NULL},
     .into = FIELD_INTO(struct workload_said, rate_scale)},
    {.is = {"prompt_scale", PARAM_NUMBER, "", 1, 1e-3, 1e3, "every prompt is so many times as long", NULL, NULL},
     .into = FIELD_INTO(struct workload_said, prompt_scale)},
    {.is = {"output_scale", PARAM_NUMBER, "", 1, 1e-3, 1e3, "every output is so many times as long", NULL, NULL},
     .into = FIELD_INTO(struct workload_said, output_scale)},
    {.is = {"max_output_tokens", PARAM_INTEGER, "tokens", 0, 1, 1e8,
            "the limit that policies may have to reserve for, and outputs are cut to", NULL, NULL},
     .otherwise = "the request's own, else its output",
     .into = FIELD_INTO(struct workload_said, max_output_tokens)},
    FIELDS_OF(population_fields),
    {.is.name = NULL}};

/* What describes a trace, and what describes generated requests. Where a setting brings one in, the other goes; what
 * is in neither table goes with both. */
static const struct field trace_only[] = {
    {.is = {"trace", PARAM_TEXT, "", 0, 0, 0, "a trace file, in place of generated requests", NULL, NULL},
     .otherwise = "requests are generated",
     .into = FIELD_INTO(struct workload_said, trace)},
    {.is = {"format", PARAM_TEXT, "", 0, 0, 0, "format of the trace file", NULL, NULL},
     .otherwise = "detected",
     .names = trace_format_at,
     .into = FIELD_INTO(struct workload_said, options.format)},
    {.is = {"time_unit", PARAM_TEXT, "", 0, 0, 0, "unit of its time stamps, where neither keys nor dates say it", NULL,
            NULL},
     .otherwise = "the format's: ms, s",
     .names = time_unit_at,
     .into = FIELD_INTO(struct workload_said, options.time_unit)},
    {.is = {"block_tokens", PARAM_INTEGER, "tokens", 0, 1, TRACE_TOKENS_MAX,
            "tokens that a hash id of a mooncake or bailian trace stands for", NULL, NULL},
     .otherwise = "told from the file",
     .into = FIELD_INTO(struct workload_said, options.block_tokens)},
    {.is = {.name = "loop", .help = "when requests come that wait for others' answers (sessions and agents)"},
     .kind = FIELD_CHOICE,
     .otherwise = "told from the file's first line",
     .choices = loops,
     .into = FIELD_INTO(struct workload_said, loop)},
    {.is = {"lanes", PARAM_INTEGER, "programs", 0, 1, 1e6,
            "so many sessions or agents at once, each begun as one before it has ended; in a closed loop", NULL, NULL},
     .otherwise = "each at its time",
     .into = FIELD_INTO(struct workload_said, lanes)},
    {.is = {"repeat", PARAM_INTEGER, "times", 1, 1, 1e9, "times that the trace is played, one mean gap apart", NULL,
            NULL},
     .into = FIELD_INTO(struct workload_said, repeat)},
    {.is = {"resample_s", PARAM_NUMBER, "s", 0, 1e-3, 1e9,
            "another trace like it for every seed: stretches so long are drawn from it at random until they are as "
            "long as it was (circular block bootstrap)",
            NULL, NULL},
     .otherwise = "the trace itself",
     .into = FIELD_INTO(struct workload_said, resample_s)},
    {.is.name = NULL}};

static const struct field generator_only[] = {{.is = {.name = "arrivals", .help = "when requests come"},
                                               .kind = FIELD_NAMED,
                                               .required = true,
                                               .names = arrival_process_at,
                                               .title = "arrival_process"},
                                              {.is = {.name = "lengths",
                                                      .help = "lengths of prompts and outputs, in tokens"},
                                               .kind = FIELD_FORMS,
                                               .required = true,
                                               .members = length_forms},
                                              {.is.name = NULL}};

static const struct field trace_fields[] = {FIELDS_OF(trace_only), FIELDS_OF(common_fields), {.is.name = NULL}};
static const struct field generator_fields[] = {FIELDS_OF(generator_only), FIELDS_OF(common_fields), {.is.name = NULL}};

/* Of a class: it may have arrivals of its own, or a share of the workload's. */
static const struct field class_generator_only[] = {{.is = {.name = "arrivals", .help = "when its requests come"},
                                                     .kind = FIELD_NAMED,
                                                     .otherwise = "its share of the workload's",
                                                     .names = arrival_process_at,
                                                     .title = "arrival_process"},
                                                    {.is = {.name = "lengths",
                                                            .help = "lengths of prompts and outputs, in tokens"},
                                                     .kind = FIELD_FORMS,
                                                     .required = true,
                                                     .members = length_forms},
                                                    {.is.name = NULL}};

static const struct field class_trace_fields[] = {FIELDS_OF(class_only),
                                                  FIELDS_OF(trace_only),
                                                  FIELDS_OF(common_fields),
                                                  {.is.name = NULL}};
static const struct field class_generator_fields[] = {FIELDS_OF(class_only),
                                                      FIELDS_OF(class_generator_only),
                                                      FIELDS_OF(common_fields),
                                                      {.is.name = NULL}};

static const struct field class_forms[] = {{.is = {.name = "TRACE", .help = "requests of a trace"},
                                            .kind = FIELD_OBJECT,
                                            .when = "trace",
                                            .members = class_trace_fields},
                                           {.is = {.name = "GENERATED", .help = "generated requests"},
                                            .kind = FIELD_OBJECT,
                                            .members = class_generator_fields},
                                           {.is.name = NULL}};

static const struct field one_class[] = {{.is = {.name = "NAME",
                                                 .help = "a class: a workload of its own, and what sets it apart"},
                                          .kind = FIELD_FORMS,
                                          .members = class_forms},
                                         {.is.name = NULL}};

static const struct field classes_fields[] = {
    {.is = {.name = "classes",
            .max = WORKLOAD_CLASSES_MAX,
            .help = "classes of requests, at most 16; slo.classes.NAME asks something of one"},
     .kind = FIELD_MAP,
     .required = true,
     .members = one_class},
    {.is = {.name = "arrivals", .help = "when requests come of the classes that have a share of them"},
     .kind = FIELD_NAMED,
     .otherwise = "each class has its own",
     .names = arrival_process_at,
     .title = "arrival_process"},
    {.is = {"requests", PARAM_INTEGER, "requests", 0, 1, 1e12, "how many of all classes", NULL, NULL},
     .otherwise = "10000; all where each class ends by itself",
     .into = FIELD_INTO(struct classes_said, requests)},
    {.is = {"limit", PARAM_INTEGER, "requests", 0, 1, 1e12, "the workload ends after so many", NULL, NULL},
     .otherwise = "none",
     .into = FIELD_INTO(struct classes_said, limit)},
    {.is = {"rate_scale", PARAM_NUMBER, "", 1, 1e-6, 1e6,
            "divides every arrival time of all classes; not with closed_loop", NULL, NULL},
     .into = FIELD_INTO(struct classes_said, rate_scale)},
    {.is.name = NULL}};

const struct field workload_forms[] = {{.is = {.name = "TRACE", .help = "requests of a trace"},
                                        .kind = FIELD_OBJECT,
                                        .when = "trace",
                                        .members = trace_fields},
                                       {.is = {.name = "CLASSES", .help = "several workloads at once"},
                                        .kind = FIELD_OBJECT,
                                        .when = "classes",
                                        .members = classes_fields},
                                       {.is = {.name = "GENERATED", .help = "generated requests"},
                                        .kind = FIELD_OBJECT,
                                        .members = generator_fields},
                                       {.is.name = NULL}};

static int refuse_both(const struct json *workload, struct error *err)
{
    for (const struct field *f = generator_only; f->is.name; f++)
        if (json_member(workload, f->is.name).node)
            return error_set(err, ERROR_INPUT,
                             "%s: %s: found \"trace\" and \"%s\", expected one: requests come from a trace, or they "
                             "are generated",
                             workload->file, workload->path[0] ? workload->path : "(top)", f->is.name);
    return 0;
}

/* Requests wait for others: repetitions and times between programs are the source's. */
static int open_programs(struct workload *w, const struct workload_said *said, struct error *err)
{
    struct programs programs = {0};
    const struct program_play play = {.times = w->repeats_left + 1,
                                      .rate_scale = w->rate_scale,
                                      .lanes = (uint64_t)said->lanes};
    if (said->resample_s > 0 || w->prompt_scale != 1 || w->output_scale != 1)
        return error_set(err, ERROR_INPUT,
                         "workload: expected none of resample_s, prompt_scale and output_scale where "
                         "requests wait for others' answers (loop \"closed\")");
    if (said->lanes > 0 && w->rate_scale != 1)
        return error_set(err, ERROR_INPUT,
                         "workload.rate_scale: expected none with lanes, whose times follow from "
                         "the service");
    if (trace_read_programs(&w->inner, &programs, err))
        return -1;
    request_source_destroy(&w->inner);
    w->repeats_left = 0;
    w->rate_scale = 1;
    return program_source_create(&programs, &play, &w->inner, err);
}

/* The texts live in our own copy. */
static int open_trace(struct workload *w, const struct workload_said *said, uint64_t seed, struct error *err)
{
    w->file = said->trace;
    w->trace_options = said->options;
    w->trace_options.open = said->loop == LOOP_OPEN;
    if (said->requests > 0)
        w->limit = (uint64_t)said->requests;
    if (trace_open(w->file, &w->trace_options, &w->inner, err))
        return -1;
    if (said->loop == LOOP_CLOSED || (said->loop == LOOP_TOLD && trace_is_closed(&w->inner)))
        return open_programs(w, said, err);
    if (said->lanes > 0)
        return error_set(err, ERROR_INPUT,
                         "workload.lanes: expected only with loop \"closed\", found it with a trace "
                         "whose requests come at their times");
    if (said->resample_s > 0)
        return resample(w, sim_time_from_s(said->resample_s), seed, err);
    w->kept = w->repeats_left > 0 ? malloc(KEPT_MAX * sizeof *w->kept) : NULL; /* without it the file is read again */
    return 0;
}

static int open_inner(struct workload *w, const struct json *workload, const struct field *table, uint64_t seed,
                      struct class_said *of_class, struct error *err)
{
    bool is_trace = json_member(workload, "trace").node != NULL;
    struct workload_said said = {.of_class = *of_class, .repeat = 1};
    struct json copy = *workload;
    copy.node = w->spec = cJSON_Duplicate(workload->node, 1);
    if (!w->spec)
        return error_no_memory(err);
    if ((is_trace && refuse_both(workload, err)) || fields_read(&copy, table, &said, err) ||
        population_create(workload, seed, &w->population, err))
        return -1;
    *of_class = said.of_class;
    w->rate_scale = said.rate_scale;
    w->prompt_scale = said.prompt_scale;
    w->output_scale = said.output_scale;
    w->repeats_left = (uint32_t)said.repeat - 1;
    w->limit = (uint64_t)said.limit;
    w->max_output_tokens = (uint32_t)said.max_output_tokens;
    uint64_t requests = said.requests > 0 ? (uint64_t)said.requests : 10000;
    return is_trace ? open_trace(w, &said, seed, err) : generator_create(&copy, requests, seed, &w->inner, err);
}

/* A trace or a generator, as the table of its form says. */
static int open_one(const struct json *workload, const struct field *table, uint64_t seed, struct class_said *of_class,
                    struct request_source *out, struct error *err)
{
    struct workload *w = calloc(1, sizeof *w);
    if (!w)
        return error_no_memory(err);
    if (open_inner(w, workload, table, seed, of_class, err)) {
        workload_destroy(w);
        return -1;
    }
    *out = (struct request_source){.next = workload_next,
                                   .finished = w->inner.finished ? workload_finished : NULL,
                                   .put_back = w->inner.put_back ? workload_put_back : NULL,
                                   .sessions = w->inner.sessions ? workload_sessions : NULL,
                                   .destroy = workload_destroy,
                                   .state = w};
    struct json at = json_member(workload, "clients"), scale = json_member(workload, "rate_scale");
    struct json arrivals = json_member(workload, "arrivals"), turns = json_member(&arrivals, "turns"),
                prefixes = json_member(workload, "prefixes");
    struct json longer = json_member(workload, "prompt_scale");
    int status = 0;
    if (w->prompt_scale != 1 && cJSON_IsNumber(turns.node) && turns.node->valuedouble > 1)
        status = json_complain(&longer, "1 with turns above 1, whose prompts hold what was said before", err);
    else if (prefixes.node && cJSON_IsNumber(turns.node) && turns.node->valuedouble > 1)
        status =
            json_complain(&prefixes, "none with turns above 1, whose prompts begin with what was said before", err);
    else if (out->finished && at.node && arrivals.node)
        status = json_complain(&at, "none with closed_loop arrivals, whose clients are the loop's", err);
    else if (out->put_back && prefixes.node)
        status = json_complain(&prefixes,
                               "none where requests wait for others, whose prompts begin with what was said "
                               "before (loop \"closed\")",
                               err);
    else if (out->finished && w->rate_scale != 1)
        status = json_complain(&scale, "none with closed_loop arrivals, whose times follow from the service", err);
    if (status)
        workload_destroy(w);
    return status;
}

static int open_of_class(const struct json *class, uint64_t seed, struct class_said *said, struct request_source *out,
                         struct error *err)
{
    bool is_trace = json_member(class, "trace").node != NULL;
    return open_one(class, is_trace ? class_trace_fields : class_generator_fields, seed, said, out, err);
}

int workload_create(const struct json *workload, uint64_t seed, struct request_source *out, struct error *err)
{
    struct classes_said said = {0};
    if (!json_member(workload, "classes").node) {
        bool is_trace = json_member(workload, "trace").node != NULL;
        return open_one(workload, is_trace ? trace_fields : generator_fields, seed, &(struct class_said){0}, out, err);
    }
    return fields_read(workload, classes_fields, &said, err)
               ? -1
               : classes_create(workload, &said, seed, open_of_class, out, err);
}

static bool has_any(const cJSON *object, const struct field *table)
{
    for (; table->is.name; table++)
        if (cJSON_GetObjectItemCaseSensitive(object, table->is.name))
            return true;
    return false;
}

static void remove_all(cJSON *object, const struct field *table)
{
    for (; table->is.name; table++)
        cJSON_DeleteItemFromObjectCaseSensitive(object, table->is.name);
}

void workload_make_way(const struct json *scenario, const char *path)
{
    static const char parent[] = "workload.";
    struct json at = json_member(scenario, "workload");
    cJSON *workload = (cJSON *)(uintptr_t)at.node;
    if (!cJSON_IsObject(workload) || strncmp(path, parent, sizeof parent - 1) != 0)
        return;
    const char *key = path + sizeof parent - 1;
    if (strcmp(key, "trace") == 0 && has_any(workload, generator_only)) {
        remove_all(workload, generator_only);
        remove_all(workload, population_fields);
        cJSON_DeleteItemFromObjectCaseSensitive(workload, "requests");
    }
    if ((strcmp(key, "arrivals") == 0 || strcmp(key, "lengths") == 0) && has_any(workload, trace_only))
        remove_all(workload, trace_only);
}

/* SPDX-License-Identifier: MIT */
#include "workloads/generator.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/random.h"
#include "workloads/trace.h"

struct length_source {
    const struct length_distribution *kind;
    struct param_set params;
    gsl_rng *rng;
};

/* Of a closed loop. In a conversation of several turns each prompt begins with all that was said before. */
struct client {
    sim_time ready; /* when it sends its next request */
    uint64_t session;
    uint32_t turns_left, said; /* of its conversation; tokens */
};

struct generator {
    cJSON *spec; /* our own copy: parameter texts live in it */
    const struct arrival_process *arrivals;
    struct param_set arrival_params;
    gsl_rng *arrival_rng;
    struct length_source prompt, output;
    struct arrival *pairs; /* of empirical lengths */
    size_t pair_count, pair_capacity;
    uint64_t left;
    double now_s;
    struct client *clients; /* [client_count] of a closed loop; NULL: open loop */
    uint32_t *ready;        /* [client_count] ring: those that have no request out */
    size_t client_count, first_ready, ready_count;
    uint64_t sessions;              /* begun so far */
    struct session_record *records; /* [sessions] where conversations have several turns */
    size_t record_capacity;
    uint32_t turns; /* of a conversation */
    sim_time think;
};

/* A draw as whole tokens, from 1 to 10^8; halves are rounded up. */
static uint32_t draw_tokens(const struct length_source *lengths)
{
    double drawn = lengths->kind->draw(&lengths->params, lengths->rng);
    if (!(drawn >= 1))
        return 1;
    return drawn < 1e8 ? (uint32_t)(drawn + 0.5) : 100000000;
}

static void draw_lengths(struct generator *g, struct arrival *out)
{
    if (g->pairs) {
        const struct arrival *pair = &g->pairs[gsl_rng_uniform_int(g->prompt.rng, g->pair_count)];
        out->prompt_tokens = pair->prompt_tokens;
        out->output_tokens = pair->output_tokens;
        return;
    }
    out->prompt_tokens = draw_tokens(&g->prompt);
    out->output_tokens = draw_tokens(&g->output);
}

static int closed_next(struct generator *g, struct arrival *out)
{
    if (g->ready_count == 0)
        return SOURCE_WAITS;
    uint32_t index = g->ready[g->first_ready];
    *out = (struct arrival){.at = g->clients[index].ready, .origin = {.client = index}};
    g->first_ready = (g->first_ready + 1) % g->client_count;
    g->ready_count--;
    return 1;
}

static int begin_conversation(struct generator *g, struct client *c, struct error *err)
{
    struct session_record *grown = array_grow(g->records, &g->record_capacity, g->sessions + 1, sizeof *grown);
    if (!grown)
        return error_no_memory(err);
    g->records = grown;
    grown[g->sessions] = (struct session_record){.began = c->ready, .ended = c->ready};
    *c = (struct client){.ready = c->ready, .session = ++g->sessions, .turns_left = g->turns};
    return 0;
}

/* Lengths are of what is said anew. */
static int converse(struct generator *g, struct arrival *out, struct error *err)
{
    struct client *c = &g->clients[out->origin.client];
    if (c->turns_left == 0 && begin_conversation(g, c, err))
        return -1;
    c->turns_left--;
    out->prompt_tokens += c->said;
    out->origin.session = c->session;
    out->origin.turn = ++g->records[c->session - 1].turns;
    return 0;
}

static void record_answer(struct generator *g, const struct request *r, sim_time at)
{
    struct session_record *record = &g->records[r->origin.session - 1];
    record->ended = at;
    record->answered += r->generated == r->output_tokens;
    record->complete = record->answered == g->turns;
}

static const struct session_record *generator_sessions(void *state, size_t *count)
{
    const struct generator *g = state;
    *count = g->sessions;
    return g->records;
}

/* Every client thinks as long, so they are ready in the order they were served. One that was refused begins anew. */
static void closed_finished(void *state, const struct request *r, sim_time at)
{
    struct generator *g = state;
    struct client *c = &g->clients[r->origin.client];
    if (r->origin.session > 0)
        record_answer(g, r, at);
    c->ready = at + g->think;
    c->said = r->prompt_tokens + r->generated;
    if (r->generated == 0)
        c->turns_left = 0;
    g->ready[(g->first_ready + g->ready_count) % g->client_count] = r->origin.client;
    g->ready_count++;
}

static int generator_next(void *state, struct arrival *out, struct error *err)
{
    struct generator *g = state;
    if (g->left == 0)
        return 0;
    if (g->ready) {
        int got = closed_next(g, out);
        if (got != 1)
            return got;
    } else {
        *out = (struct arrival){.at = sim_time_from_s(g->now_s)};
        g->now_s += g->arrivals->gap_s(&g->arrival_params, g->now_s, g->arrival_rng);
        if (!(g->now_s < 9e9))
            return error_set(err, ERROR_INPUT,
                             "generated arrivals go beyond 9e9 s; lower \"requests\" or raise the rate");
    }
    g->left--;
    draw_lengths(g, out);
    return g->turns > 1 && converse(g, out, err) ? -1 : 1;
}

static void generator_destroy(void *state)
{
    struct generator *g = state;
    if (g->arrival_rng)
        gsl_rng_free(g->arrival_rng);
    if (g->prompt.rng)
        gsl_rng_free(g->prompt.rng);
    if (g->output.rng)
        gsl_rng_free(g->output.rng);
    free(g->records);
    free(g->pairs);
    free(g->clients);
    free(g->ready);
    cJSON_Delete(g->spec);
    free(g);
}

bool arrival_process_at(size_t index, struct named *out)
{
    const struct arrival_process *a = arrival_processes[index];
    if (a)
        *out = (struct named){a->name, a->summary, NULL, a->params, NULL};
    return a != NULL;
}

bool length_distribution_at(size_t index, struct named *out)
{
    const struct length_distribution *d = length_distributions[index];
    if (d)
        *out = (struct named){d->name, d->summary, NULL, d->params, NULL};
    return d != NULL;
}

/* "empirical" draws both lengths of a request together. */
static bool single_length_at(size_t index, struct named *out)
{
    size_t found = 0;
    while (length_distribution_at(found, out))
        if (length_distributions[found++]->draw && index-- == 0)
            return true;
    return false;
}

static const struct field split_fields[] = {{.is = {.name = "prompt", .help = "prompt lengths"},
                                             .kind = FIELD_NAMED,
                                             .required = true,
                                             .names = single_length_at,
                                             .title = "length_distribution"},
                                            {.is = {.name = "output", .help = "output lengths"},
                                             .kind = FIELD_NAMED,
                                             .required = true,
                                             .names = single_length_at,
                                             .title = "length_distribution"},
                                            {.is.name = NULL}};

const struct field length_forms[] = {{.is = {.name = "BOTH", .help = "one for prompts, and one for outputs"},
                                      .kind = FIELD_OBJECT,
                                      .when = "prompt",
                                      .members = split_fields},
                                     {.is = {.name = "ONE", .help = "one for both"},
                                      .kind = FIELD_NAMED,
                                      .names = length_distribution_at,
                                      .title = "lengths_of_both"},
                                     {.is.name = NULL}};

static const char *arrival_name(const void *names, size_t index)
{
    (void)names;
    return arrival_processes[index] ? arrival_processes[index]->name : NULL;
}

static const char *length_name(const void *names, size_t index)
{
    (void)names;
    return length_distributions[index] ? length_distributions[index]->name : NULL;
}

static int read_name(const struct json *object, const char **name, struct error *err)
{
    if (cJSON_IsString(object->node)) {
        *name = object->node->valuestring;
        return 0;
    }
    if (!cJSON_IsObject(object->node))
        return json_complain(object, "a name, or an object with \"name\" and parameters", err);
    return json_read_string(object, "name", true, name, err);
}

static int read_lengths(struct length_source *lengths, const struct json *object, struct error *err)
{
    const char *name = NULL;
    if (read_name(object, &name, err))
        return -1;
    assert(name);
    for (const struct length_distribution *const *d = length_distributions; *d; d++)
        if (strcmp((*d)->name, name) == 0)
            lengths->kind = *d;
    if (!lengths->kind)
        return json_complain_of_name(object, "a length distribution (tandem list workloads)", name, length_name, NULL,
                                     err);
    if (param_set_read(&lengths->params, lengths->kind->params, object, err))
        return -1;
    return lengths->kind->ordered && !lengths->kind->ordered(&lengths->params)
               ? json_complain(object, "a \"min\" that is not above \"max\", which is 1024 where it is not stated", err)
               : 0;
}

static int load_pairs(struct generator *g, const struct json *lengths, struct error *err)
{
    const char *file = param_text(&g->prompt.params, "trace");
    struct json at = json_member(lengths, "trace");
    if (!file)
        return json_complain(&at, "a trace file", err);
    struct request_source trace;
    struct trace_options options = {.format = param_text(&g->prompt.params, "format"),
                                    .time_unit = param_text(&g->prompt.params, "time_unit"),
                                    .block_tokens = (long long)param_number(&g->prompt.params, "block_tokens")};
    if (trace_open(file, &options, &trace, err))
        return -1;
    struct arrival a;
    int got;
    while ((got = trace.next(trace.state, &a, err)) == 1) {
        struct arrival *grown = array_grow(g->pairs, &g->pair_capacity, g->pair_count + 1, sizeof *grown);
        if (!grown) {
            got = error_no_memory(err);
            break;
        }
        g->pairs = grown;
        g->pairs[g->pair_count++] =
            (struct arrival){.prompt_tokens = a.prompt_tokens, .output_tokens = a.output_tokens};
    }
    request_source_destroy(&trace);
    return got;
}

static int read_generator(struct generator *g, const struct json *workload, uint64_t seed, struct error *err)
{
    const char *name = NULL;
    struct json arrivals = json_member(workload, "arrivals"), lengths = json_member(workload, "lengths");
    if (read_name(&arrivals, &name, err))
        return -1;
    assert(name);
    for (const struct arrival_process *const *a = arrival_processes; *a; a++)
        if (strcmp((*a)->name, name) == 0)
            g->arrivals = *a;
    if (!g->arrivals)
        return json_complain_of_name(
            &arrivals, "an arrival process: poisson, gamma, deterministic, diurnal, at_once or closed_loop", name,
            arrival_name, NULL, err);
    if (param_set_read(&g->arrival_params, g->arrivals->params, &arrivals, err))
        return -1;
    if (g->arrivals->closed) {
        g->client_count = g->ready_count = (size_t)param_number(&g->arrival_params, "concurrency");
        g->think = sim_time_from_s(param_number(&g->arrival_params, "think_s"));
        g->turns = (uint32_t)param_number(&g->arrival_params, "turns");
        g->clients = calloc(g->client_count, sizeof *g->clients); /* all start at 0 */
        g->ready = calloc(g->client_count, sizeof *g->ready);
        if (!g->clients || !g->ready)
            return error_no_memory(err);
        for (uint32_t i = 0; i < g->client_count; i++)
            g->ready[i] = i;
    }
    struct json prompt = json_member(&lengths, "prompt"), output = json_member(&lengths, "output");
    bool split = prompt.node || output.node;
    if (split && fields_read(&lengths, split_fields, NULL, err))
        return -1;
    if (read_lengths(&g->prompt, split ? &prompt : &lengths, err) ||
        read_lengths(&g->output, split ? &output : &lengths, err))
        return -1;
    if (split && (!g->prompt.kind->draw || !g->output.kind->draw))
        return json_complain(&lengths, "\"empirical\" for both lengths together, not for one", err);
    g->arrival_rng = random_stream_create(seed, "arrivals");
    g->prompt.rng = random_stream_create(seed, "prompt lengths");
    g->output.rng = random_stream_create(seed, "output lengths");
    if (!g->arrival_rng || !g->prompt.rng || !g->output.rng)
        return error_no_memory(err);
    return g->prompt.kind->draw ? 0 : load_pairs(g, &lengths, err);
}

int generator_create(const struct json *workload, uint64_t requests, uint64_t seed, struct request_source *out,
                     struct error *err)
{
    struct generator *g = calloc(1, sizeof *g);
    if (!g)
        return error_no_memory(err);
    g->left = requests;
    g->spec = cJSON_Duplicate(workload->node, 1);
    struct json copy = *workload;
    copy.node = g->spec;
    if (!g->spec || read_generator(g, &copy, seed, err)) {
        if (!g->spec)
            error_no_memory(err);
        generator_destroy(g);
        return -1;
    }
    *out = (struct request_source){.next = generator_next,
                                   .finished = g->ready ? closed_finished : NULL,
                                   .sessions = g->turns > 1 ? generator_sessions : NULL,
                                   .destroy = generator_destroy,
                                   .state = g};
    return 0;
}

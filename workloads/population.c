/* SPDX-License-Identifier: MIT */
#include "workloads/population.h"

#include <assert.h>
#include <gsl/gsl_rng.h>
#include <math.h>
#include <stdlib.h>

#include "base/fields.h"
#include "base/random.h"

enum { DRAWN_MAX = 1000000 };

/* One of several, drawn with unequal chances. */
struct lottery {
    double *until; /* [count] sums of the chances, the last is 1; NULL: not asked for */
    size_t count;
    gsl_rng *rng;
};

struct population {
    struct lottery priorities, clients, groups;
    uint32_t prefix_tokens;
};

static int lottery_create(struct lottery *l, const double *weights, size_t count, uint64_t seed, const char *purpose,
                          struct error *err)
{
    double sum = 0;
    assert(count > 0);
    l->count = count;
    l->until = malloc(count * sizeof *l->until);
    l->rng = random_stream_create(seed, purpose);
    if (!l->until || !l->rng)
        return error_no_memory(err);
    for (size_t i = 0; i < count; i++)
        l->until[i] = sum += weights[i];
    for (size_t i = 0; i < count; i++)
        l->until[i] /= sum;
    return 0;
}

static void lottery_release(struct lottery *l)
{
    free(l->until);
    if (l->rng)
        gsl_rng_free(l->rng);
}

/* The first whose sum is above a number drawn from 0 to 1, by halving: one of weight 0 never is. */
static uint32_t draw(struct lottery *l)
{
    double luck = gsl_rng_uniform(l->rng);
    size_t first = 0, last = l->count - 1;
    while (first < last) {
        size_t middle = first + (last - first) / 2;
        if (l->until[middle] > luck)
            last = middle;
        else
            first = middle + 1;
    }
    return (uint32_t)first;
}

/* One of `count`, the i-th (from 1) with a chance as i^−skew (Zipf). */
static int zipf_create(struct lottery *c, size_t count, double skew, uint64_t seed, const char *purpose,
                       struct error *err)
{
    double *weights = malloc(count * sizeof *weights);
    if (!weights)
        return error_no_memory(err);
    for (size_t i = 0; i < count; i++)
        weights[i] = pow((double)(i + 1), -skew);
    int status = lottery_create(c, weights, count, seed, purpose, err);
    free(weights);
    return status;
}

static const struct field priority_share[] = {
    {.is = {"SHARE", PARAM_NUMBER, "", 0, 0, 1e9, "of the next priority", NULL, NULL}, .required = true},
    {.is.name = NULL}};

struct drawn_said {
    long long count, tokens;
    double skew;
};

#define SKEW                                                                                                           \
    {                                                                                                                  \
        .is = {"skew", PARAM_NUMBER, "", 0, 0, 10, "how uneven the chances are: the i-th has one as i^-skew (Zipf)",   \
               NULL,   NULL},                                                                                          \
        .into = FIELD_INTO(struct drawn_said, skew)                                                                    \
    }

static const struct field clients_fields[] = {{.is = {"count", PARAM_INTEGER, "", 0, 1, DRAWN_MAX, "number of clients",
                                                      NULL, NULL},
                                               .required = true,
                                               .into = FIELD_INTO(struct drawn_said, count)},
                                              SKEW,
                                              {.is.name = NULL}};

static const struct field prefixes_fields[] = {
    {.is = {"groups", PARAM_INTEGER, "groups", 0, 1, DRAWN_MAX, "groups of requests, each with a prefix of its own",
            NULL, NULL},
     .required = true,
     .into = FIELD_INTO(struct drawn_said, count)},
    {.is = {"tokens", PARAM_INTEGER, "tokens", 0, 1, 1e7,
            "length of the prefix that is put before each prompt, the same in all of its group", NULL, NULL},
     .required = true,
     .into = FIELD_INTO(struct drawn_said, tokens)},
    SKEW,
    {.is.name = NULL}};

const struct field population_fields[] = {
    {.is = {.name = "priorities", .min = 1, .max = 64, .help = "shares of the priorities 0, 1, ..., not all 0"},
     .kind = FIELD_LIST,
     .otherwise = "all 0, or the trace's",
     .members = priority_share},
    {.is = {.name = "clients", .help = "who sends the requests"},
     .kind = FIELD_OBJECT,
     .otherwise = "all 0, or the trace's",
     .members = clients_fields,
     .title = "clients"},
    {.is = {.name = "prefixes",
            .help = "what prompts have in common: each prompt is so much longer; not with turns above 1"},
     .kind = FIELD_OBJECT,
     .otherwise = "none, or the trace's",
     .members = prefixes_fields,
     .title = "prefixes"},
    {.is.name = NULL}};

static int read_priorities(struct population *p, const struct json *at, uint64_t seed, struct error *err)
{
    static const char *const expected = "a list of shares, one for each priority from 0 on, not all 0";
    const struct param_spec *each = &priority_share[0].is;
    double weights[64], sum = 0;
    size_t count = 0;
    if (!cJSON_IsArray(at->node))
        return json_complain(at, expected, err);
    for (const cJSON *share = at->node->child; share; share = share->next) {
        if (!cJSON_IsNumber(share) || !(share->valuedouble >= each->min && share->valuedouble <= each->max) ||
            count == 64)
            return json_complain(at, expected, err);
        sum += weights[count++] = share->valuedouble;
    }
    return sum > 0 ? lottery_create(&p->priorities, weights, count, seed, "priorities", err)
                   : json_complain(at, expected, err);
}

static int read_clients(struct population *p, const struct json *at, uint64_t seed, struct error *err)
{
    struct drawn_said said = {0};
    if (fields_read(at, clients_fields, &said, err))
        return -1;
    return zipf_create(&p->clients, (size_t)said.count, said.skew, seed, "clients", err);
}

static int read_prefixes(struct population *p, const struct json *at, uint64_t seed, struct error *err)
{
    struct drawn_said said = {0};
    if (fields_read(at, prefixes_fields, &said, err))
        return -1;
    p->prefix_tokens = (uint32_t)said.tokens;
    return zipf_create(&p->groups, (size_t)said.count, said.skew, seed, "prefix groups", err);
}

int population_create(const struct json *workload, uint64_t seed, struct population **out, struct error *err)
{
    struct json priorities = json_member(workload, "priorities"), clients = json_member(workload, "clients"),
                prefixes = json_member(workload, "prefixes");
    *out = NULL;
    if (!priorities.node && !clients.node && !prefixes.node)
        return 0;
    struct population *p = *out = calloc(1, sizeof *p);
    if (!p)
        return error_no_memory(err);
    return (priorities.node && read_priorities(p, &priorities, seed, err)) ||
                   (clients.node && read_clients(p, &clients, seed, err)) ||
                   (prefixes.node && read_prefixes(p, &prefixes, seed, err))
               ? -1
               : 0;
}

void population_destroy(struct population *p)
{
    if (!p)
        return;
    lottery_release(&p->priorities);
    lottery_release(&p->clients);
    lottery_release(&p->groups);
    free(p);
}

void population_apply(struct population *p, struct arrival *a)
{
    if (p->priorities.until)
        a->origin.priority = draw(&p->priorities);
    if (p->clients.until)
        a->origin.client = draw(&p->clients);
    if (p->groups.until) {
        a->origin.prefix_group = draw(&p->groups) + 1;
        a->origin.prefix_tokens = p->prefix_tokens;
        a->prompt_tokens += p->prefix_tokens;
    }
}

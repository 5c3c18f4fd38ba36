/* SPDX-License-Identifier: MIT */
#include "workloads/population.h"

#include <gsl/gsl_randist.h>
#include <math.h>
#include <stdlib.h>

#include "base/random.h"

enum { CHOICES_MAX = 1000000 };

/* One of several, drawn with unequal chances. */
struct choice {
    gsl_ran_discrete_t *chances; /* NULL: not asked for */
    gsl_rng *rng;
};

struct population {
    struct choice priorities, clients, groups;
    uint32_t prefix_tokens;
};

static int choice_create(struct choice *c, const double *weights, size_t count, uint64_t seed, const char *purpose,
                         struct error *err)
{
    c->chances = gsl_ran_discrete_preproc(count, weights);
    c->rng = random_stream_create(seed, purpose);
    return c->chances && c->rng ? 0 : error_no_memory(err);
}

static void choice_release(struct choice *c)
{
    if (c->chances)
        gsl_ran_discrete_free(c->chances);
    if (c->rng)
        gsl_rng_free(c->rng);
}

static uint32_t draw(struct choice *c)
{
    return (uint32_t)gsl_ran_discrete(c->rng, c->chances);
}

/* `count` choices, the i-th (from 1) with a chance as i^−skew (Zipf). */
static int zipf_create(struct choice *c, size_t count, double skew, uint64_t seed, const char *purpose,
                       struct error *err)
{
    double *weights = malloc(count * sizeof *weights);
    if (!weights)
        return error_no_memory(err);
    for (size_t i = 0; i < count; i++)
        weights[i] = pow((double)(i + 1), -skew);
    int status = choice_create(c, weights, count, seed, purpose, err);
    free(weights);
    return status;
}

static int read_priorities(struct population *p, const struct json *at, uint64_t seed, struct error *err)
{
    static const char *const expected = "a list of shares, one for each priority from 0 on, not all 0";
    double weights[64], sum = 0;
    size_t count = 0;
    if (!cJSON_IsArray(at->node))
        return json_complain(at, expected, err);
    for (const cJSON *share = at->node->child; share; share = share->next) {
        if (!cJSON_IsNumber(share) || !(share->valuedouble >= 0 && share->valuedouble <= 1e9) || count == 64)
            return json_complain(at, expected, err);
        sum += weights[count++] = share->valuedouble;
    }
    return sum > 0 ? choice_create(&p->priorities, weights, count, seed, "priorities", err)
                   : json_complain(at, expected, err);
}

static int read_clients(struct population *p, const struct json *at, uint64_t seed, struct error *err)
{
    static const char *const keys[] = {"count", "skew", NULL};
    long long count = 0;
    double skew = 0;
    if (json_check_keys(at, keys, err) || json_read_integer(at, "count", true, 1, CHOICES_MAX, &count, err) ||
        json_read_number(at, "skew", false, 0, 10, &skew, err))
        return -1;
    return zipf_create(&p->clients, (size_t)count, skew, seed, "clients", err);
}

static int read_prefixes(struct population *p, const struct json *at, uint64_t seed, struct error *err)
{
    static const char *const keys[] = {"groups", "tokens", "skew", NULL};
    long long groups = 0, tokens = 0;
    double skew = 0;
    if (json_check_keys(at, keys, err) || json_read_integer(at, "groups", true, 1, CHOICES_MAX, &groups, err) ||
        json_read_integer(at, "tokens", true, 1, 10000000, &tokens, err) ||
        json_read_number(at, "skew", false, 0, 10, &skew, err))
        return -1;
    p->prefix_tokens = (uint32_t)tokens;
    return zipf_create(&p->groups, (size_t)groups, skew, seed, "prefix groups", err);
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
    choice_release(&p->priorities);
    choice_release(&p->clients);
    choice_release(&p->groups);
    free(p);
}

void population_apply(struct population *p, struct arrival *a)
{
    if (p->priorities.chances)
        a->origin.priority = draw(&p->priorities);
    if (p->clients.chances)
        a->origin.client = draw(&p->clients);
    if (p->groups.chances) {
        a->origin.prefix_group = draw(&p->groups) + 1;
        a->origin.prefix_tokens = p->prefix_tokens;
        a->prompt_tokens += p->prefix_tokens;
    }
}

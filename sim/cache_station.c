/* SPDX-License-Identifier: MIT */
#include "sim/cache_station.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/random.h"
#include "sim/delay_read.h"

/* What two requests have in common that get the same answer. */
enum cache_key { KEY_PROMPT, KEY_PREFIX_GROUP };

static const struct choice keys[] = {{"prompt", KEY_PROMPT,
                                      "the whole prompt, as hashes of a trace or prefixes without more tell it", NULL},
                                     {"prefix_group", KEY_PREFIX_GROUP,
                                      "the prompt's prefix, as a cache of similar prompts takes it", NULL},
                                     {0}};

static const struct choice its_kind[] = {CACHE_KIND, {0}};

struct cache_said {
    long long entries;
    double hit_ratio;
    int key;
};

const struct field cache_fields[] = {
    {.is = {.name = "kind", .help = "what it is"},
     .kind = FIELD_CHOICE,
     .required = true,
     .choices = its_kind,
     .of_all_forms = pool_kinds},
    DELAY_SERVERS("unlimited"),
    {.is = {.name = "lookup_s", .help = "seconds that a request is looked up"},
     .kind = FIELD_FORMS,
     .required = true,
     .members = duration_forms},
    {.is = {"hit_ratio", PARAM_NUMBER, "", 0, 0, 1, "share of requests that are answered, each by chance", NULL, NULL},
     .otherwise = "as entries tell",
     .into = FIELD_INTO(struct cache_said, hit_ratio)},
    {.is = {"entries", PARAM_INTEGER, "answers", 0, 1, 1e9, "answers that are kept, those that were last asked for",
            NULL, NULL},
     .otherwise = "none, with hit_ratio",
     .into = FIELD_INTO(struct cache_said, entries)},
    {.is = {.name = "key", .preset_text = "prompt", .help = "what requests with one answer have in common"},
     .kind = FIELD_CHOICE,
     .choices = keys,
     .into = FIELD_INTO(struct cache_said, key)},
    {.is.name = NULL}};

static int read_said(const struct json *pool, struct cache_said *said, struct error *err)
{
    *said = (struct cache_said){0};
    return fields_read(pool, cache_fields, said, err);
}

/* A cache that could never know a request again is refused. */
static int check_workload(const struct json *root, const struct json *entries, enum cache_key key, struct error *err)
{
    struct json workload = json_member(root, "workload"), trace = json_member(&workload, "trace"),
                prefixes = json_member(&workload, "prefixes");
    if (trace.node || (prefixes.node && key == KEY_PREFIX_GROUP))
        return 0;
    return json_complain(entries,
                         prefixes.node ? "\"key\": \"prefix_group\" with it: behind its prefix each prompt of this "
                                         "workload has tokens of its own"
                                       : "\"hit_ratio\" instead: no two prompts of this workload are the same",
                         err);
}

static int read(const struct json *root, const struct json *pool, struct delay_config *out, struct error *err)
{
    struct json lookup = json_member(pool, "lookup_s"), ratio = json_member(pool, "hit_ratio"),
                entries = json_member(pool, "entries"), key = json_member(pool, "key");
    struct cache_said said;
    if (read_said(pool, &said, err) || delay_read_servers(pool, 0, &out->servers, err) ||
        duration_read(&lookup, &out->service, err))
        return -1;
    if (!ratio.node == !entries.node)
        return json_complain(pool, "a \"hit_ratio\", or \"entries\" for answers by prompt, and not both", err);
    if (ratio.node && key.node)
        return json_complain(&key, "nothing here: with \"hit_ratio\" no answer is kept", err);
    out->answered = ratio.node ? said.hit_ratio : NAN;
    return entries.node ? check_workload(root, &entries, (enum cache_key)said.key, err) : 0;
}

/* The answer to one prompt. */
struct answer {
    struct ordered place;         /* by its key */
    struct answer *newer, *older; /* asked for after it, and before it */
};

struct cache {
    struct cache_said said;
    uint64_t chance; /* with a request's number it decides, under every policy alike */
    struct ordered *answers;
    struct answer *newest, *oldest;
    long long count;
};

static void *open_cache(const struct delay_config *config, uint64_t seed)
{
    char purpose[96];
    struct error none = {0};
    struct cache *c = calloc(1, sizeof *c);
    snprintf(purpose, sizeof purpose, "cache %s", config->name);
    gsl_rng *rng = c ? random_stream_create(seed, purpose) : NULL;
    if (!rng || read_said(&config->at, &c->said, &none)) { /* it has been read before: memory is short */
        free(c);
        return NULL;
    }
    c->chance = gsl_rng_get(rng);
    gsl_rng_free(rng);
    return c;
}

static void close_cache(void *station)
{
    struct cache *c = station;
    for (struct answer *a = c->newest, *next; a; a = next) {
        next = a->older;
        free(a);
    }
    free(c);
}

static struct answer *answer_of(struct ordered *place)
{
    return (struct answer *)(void *)place; /* its first member */
}

static uint64_t mix(uint64_t what, uint64_t a, uint64_t b)
{
    return random_mix(random_mix(random_mix(what) + a) + b);
}

/* Requests with one key have one answer. Where nothing says what a prompt holds, it is like no other. */
static uint64_t key_of(const struct cache *c, const struct request *r)
{
    enum { BY_GROUP = 1, BY_HASH, BY_PREFIX, BY_NUMBER };
    const struct origin *o = &r->origin;
    if (c->said.key == KEY_PREFIX_GROUP && o->prefix_group > 0)
        return mix(BY_GROUP, o->prefix_group, 0);
    if (c->said.key == KEY_PROMPT && r->hash_count > 0 && (uint64_t)r->hash_count * r->hash_tokens >= r->prompt_tokens)
        return mix(BY_HASH, r->hashes[r->hash_count - 1], r->prompt_tokens);
    if (c->said.key == KEY_PROMPT && o->prefix_group > 0 && o->prefix_tokens >= r->prompt_tokens)
        return mix(BY_PREFIX, o->prefix_group, r->prompt_tokens);
    return mix(BY_NUMBER, r->id, 0);
}

static struct answer *find(const struct cache *c, const struct request *r)
{
    const struct ordered wanted = {.number = key_of(c, r)};
    struct ordered *found = ordered_find(c->answers, &wanted);
    return found ? answer_of(found) : NULL;
}

static void take_out(struct cache *c, struct answer *a)
{
    *(a->newer ? &a->newer->older : &c->newest) = a->older;
    *(a->older ? &a->older->newer : &c->oldest) = a->newer;
}

static void put_first(struct cache *c, struct answer *a)
{
    a->newer = NULL;
    a->older = c->newest;
    *(a->older ? &a->older->newer : &c->oldest) = a;
    c->newest = a;
}

static bool answers(void *station, const struct request *r)
{
    struct cache *c = station;
    if (c->said.entries == 0)
        return (double)(mix(c->chance, r->id, 0) >> 11) * 0x1p-53 < c->said.hit_ratio;
    struct answer *a = find(c, r);
    if (a) {
        take_out(c, a);
        put_first(c, a);
    }
    return a != NULL;
}

/* The one that was last asked for longest ago makes room. */
static struct answer *room(struct cache *c)
{
    if (c->count < c->said.entries) {
        c->count++;
        return malloc(sizeof *c->oldest);
    }
    struct answer *a = c->oldest;
    take_out(c, a);
    ordered_remove(&c->answers, &a->place);
    return a;
}

/* What was asked for twice before its answer was there is kept once. */
static int learn(void *station, const struct request *r)
{
    struct cache *c = station;
    if (c->said.entries == 0)
        return 0;
    struct answer *a = find(c, r);
    if (a) {
        take_out(c, a);
        put_first(c, a);
        return 0;
    }
    if (!(a = room(c)))
        return -1;
    *a = (struct answer){.place = {.number = key_of(c, r)}};
    ordered_insert(&c->answers, &a->place);
    put_first(c, a);
    return 0;
}

const struct delay_kind cache_station = {.name = "cache",
                                         .fields = cache_fields,
                                         .read = read,
                                         .reads_prompts = true,
                                         .open = open_cache,
                                         .close = close_cache,
                                         .answers = answers,
                                         .learn = learn};

/* SPDX-License-Identifier: MIT */
#include "workloads/classes.h"

#include <gsl/gsl_rng.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/random.h"
#include "workloads/generator.h"

#define WINDOW_END_S 9e9

/* What is known of a class's next arrival. */
enum known {
    KNOWN_NOT,   /* the class has to be asked */
    KNOWN_NEXT,  /* it stands in `next` */
    KNOWN_GIVEN, /* it stands there, and is the last one that came out */
    KNOWN_WAITS, /* nobody comes before a request has finished */
    KNOWN_END
};

struct class
{
    struct request_source source;
    enum known known;
    struct arrival next;
    sim_time from, to; /* it lives in between; its own clock begins at `from`, unless it has a share */
    double share;      /* of the workload's own arrivals; 0: it has its own */
    bool ranked;       /* it states a priority: */
    uint32_t priority;
    uint64_t salt; /* tells its sessions and hashes from those of other classes */
    uint64_t *hashes;
    size_t hash_capacity;
};

struct classes {
    struct class items[WORKLOAD_CLASSES_MAX + 1]; /* [count], and the workload's own arrivals at the end */
    size_t count;
    double rate_scale; /* of the workload's own arrivals */
    gsl_rng *rng;      /* whose share an arrival belongs to */
    uint64_t limit, given;
    size_t last;                    /* the class that came out last */
    struct session_record *records; /* of all classes, made when somebody asks */
};

const struct field class_only[] = {
    {.is = {"share", PARAM_NUMBER, "", 0, 1e-9, 1e9,
            "weight of the class among those that share the workload's arrivals", NULL, NULL},
     .otherwise = "it has arrivals of its own",
     .into = FIELD_INTO(struct class_said, share)},
    {.is = {"priority", PARAM_INTEGER, "", 0, 0, UINT32_MAX, "of all its requests", NULL, NULL},
     .otherwise = "what else its workload says",
     .into = FIELD_INTO(struct class_said, priority)},
    {.is = {"from_s", PARAM_NUMBER, "s", 0, 0, WINDOW_END_S, "when it begins: its own times count from then", NULL,
            NULL},
     .into = FIELD_INTO(struct class_said, from_s)},
    {.is = {"to_s", PARAM_NUMBER, "s", WINDOW_END_S, 1e-9, WINDOW_END_S, "when its arrivals end", NULL, NULL},
     .otherwise = "never",
     .into = FIELD_INTO(struct class_said, to_s)},
    {.is.name = NULL}};

static struct class *shared_arrivals(struct classes *c)
{
    return &c->items[c->count];
}

static void classes_destroy(void *state)
{
    struct classes *c = state;
    for (size_t i = 0; i <= c->count; i++) {
        request_source_destroy(&c->items[i].source);
        free(c->items[i].hashes);
    }
    if (c->rng)
        gsl_rng_free(c->rng);
    free(c->records);
    free(c);
}

/* Groups of prefixes have numbers of their class, as far as those go. */
static uint32_t group_in_class(uint32_t group, size_t class)
{
    return group ? group + ((uint32_t) class << 27) : 0;
}

/* What a class calls a session, or a hash, another may, too. */
static int mark(struct class *k, size_t index, struct arrival *a, struct error *err)
{
    a->origin.workload = (uint32_t)index + 1;
    a->origin.prefix_group = group_in_class(a->origin.prefix_group, index);
    if (k->ranked)
        a->origin.priority = k->priority;
    if (a->origin.session > 0)
        a->origin.session ^= k->salt;
    if (a->hash_count == 0)
        return 0;
    uint64_t *grown = array_grow(k->hashes, &k->hash_capacity, a->hash_count, sizeof *grown);
    if (!grown)
        return error_no_memory(err);
    k->hashes = grown;
    for (uint32_t i = 0; i < a->hash_count; i++)
        grown[i] = a->hashes[i] ^ k->salt;
    a->hashes = grown;
    return 0;
}

static int ask(struct class *k, size_t index, struct error *err)
{
    int got = k->source.next(k->source.state, &k->next, err);
    if (got < 0)
        return -1;
    k->known = got == 1 ? KNOWN_NEXT : got == SOURCE_WAITS ? KNOWN_WAITS : KNOWN_END;
    if (got != 1)
        return 0;
    k->next.at += k->from;
    if (k->next.at >= k->to)
        k->known = KNOWN_END;
    return mark(k, index, &k->next, err);
}

/* The class of one of the workload's own arrivals, by the shares of those that live then; NULL: none does. */
static struct class *draw(struct classes *c, sim_time at)
{
    double sum = 0, luck = gsl_rng_uniform(c->rng);
    struct class *last = NULL;
    for (size_t i = 0; i < c->count; i++)
        if (at >= c->items[i].from && at < c->items[i].to && c->items[i].known != KNOWN_END)
            sum += c->items[i].share;
    for (size_t i = 0; i < c->count; i++) {
        struct class *k = &c->items[i];
        if (k->share == 0 || at < k->from || at >= k->to || k->known == KNOWN_END)
            continue;
        last = k;
        luck -= k->share / sum;
        if (luck < 0)
            break;
    }
    return last;
}

/* Nothing more comes of the workload's own arrivals once nobody takes them. */
static bool somebody_shares(const struct classes *c, sim_time from)
{
    for (size_t i = 0; i < c->count; i++)
        if (c->items[i].share > 0 && c->items[i].known != KNOWN_END && c->items[i].to > from)
            return true;
    return false;
}

/* The next of the workload's own arrivals that some class takes. */
static int ask_shared(struct classes *c, struct error *err)
{
    struct class *own = shared_arrivals(c);
    for (;;) {
        struct arrival a = {0};
        int got = own->source.next(own->source.state, &a, err);
        sim_time at = c->rate_scale == 1 ? a.at : (sim_time)((double)a.at / c->rate_scale + 0.5);
        own->known = got == 1 && somebody_shares(c, at) ? KNOWN_NEXT : KNOWN_END;
        if (own->known == KNOWN_END)
            return got < 0 ? -1 : 0;
        struct class *k = draw(c, at);
        if (!k)
            continue;
        got = k->source.next(k->source.state, &own->next, err);
        if (got < 0)
            return -1;
        if (got == 0) {
            k->known = KNOWN_END;
            continue;
        }
        own->next.at = at;
        return mark(k, (size_t)(k - c->items), &own->next, err);
    }
}

static int learn(struct classes *c, struct error *err)
{
    for (size_t i = 0; i <= c->count; i++) {
        struct class *k = &c->items[i];
        if (k->share > 0 || (k->known != KNOWN_NOT && k->known != KNOWN_GIVEN))
            continue;
        if (!k->source.next)
            k->known = KNOWN_END;
        else if (i == c->count ? ask_shared(c, err) < 0 : ask(k, i, err))
            return -1;
    }
    return 0;
}

static int classes_next(void *state, struct arrival *out, struct error *err)
{
    struct classes *c = state;
    bool waits = false;
    struct class *first = NULL;
    if (c->limit && c->given == c->limit)
        return 0;
    if (learn(c, err))
        return -1;
    for (size_t i = 0; i <= c->count; i++) {
        struct class *k = &c->items[i];
        waits |= k->share == 0 && k->known == KNOWN_WAITS;
        if (k->share == 0 && k->known == KNOWN_NEXT && (!first || k->next.at < first->next.at))
            first = k;
    }
    if (!first)
        return waits ? SOURCE_WAITS : 0;
    first->known = KNOWN_GIVEN;
    c->last = (size_t)(first - c->items);
    c->given++;
    *out = first->next;
    return 1;
}

static void classes_put_back(void *state)
{
    struct classes *c = state;
    struct class *k = &c->items[c->last];
    c->given--;
    k->known = KNOWN_NEXT;
    if (!k->source.put_back)
        return;
    k->source.put_back(k->source.state);
    k->known = KNOWN_NOT;
}

static void classes_finished(void *state, const struct request *r, sim_time at)
{
    struct classes *c = state;
    struct class *k = &c->items[r->origin.workload - 1];
    if (!k->source.finished)
        return;
    struct request as_it_knows = *r;
    if (as_it_knows.origin.session > 0)
        as_it_knows.origin.session ^= k->salt;
    k->source.finished(k->source.state, &as_it_knows, at - k->from);
    if (k->known == KNOWN_WAITS)
        k->known = KNOWN_NOT;
    if (k->known != KNOWN_NEXT || !k->source.put_back)
        return;
    k->source.put_back(k->source.state);
    k->known = KNOWN_NOT;
}

static const struct session_record *classes_sessions(void *state, size_t *count)
{
    struct classes *c = state;
    size_t capacity = 0;
    *count = 0;
    free(c->records);
    c->records = NULL;
    for (size_t i = 0; i < c->count; i++) {
        const struct request_source *source = &c->items[i].source;
        size_t more = 0;
        const struct session_record *records = source->sessions ? source->sessions(source->state, &more) : NULL;
        struct session_record *grown = array_grow(c->records, &capacity, *count + more + 1, sizeof *grown);
        if (!grown)
            return c->records; /* the run ends with what memory failed for (error.h) */
        c->records = grown;
        for (size_t k = 0; k < more; k++)
            grown[(*count)++] = records[k];
    }
    return c->records;
}

static uint64_t seed_of(const char *name, uint64_t seed)
{
    uint64_t hash = random_mix(seed);
    for (const char *c = name; *c; c++)
        hash = random_mix(hash ^ (unsigned char)*c);
    return hash;
}

/* A class's workload as it would stand by itself: one that shares arrivals has all of its requests at once, and each
 * goes when it is drawn; generated requests do not end before those of the workload. */
static cJSON *alone(const struct json *class, bool shares, double rate_scale)
{
    cJSON *copy = cJSON_Duplicate(class->node, 1);
    bool generated = !cJSON_GetObjectItemCaseSensitive(copy, "trace");
    const cJSON *own = cJSON_GetObjectItemCaseSensitive(copy, "rate_scale");
    double scale = (cJSON_IsNumber(own) ? own->valuedouble : 1) * rate_scale;
    bool whole = copy != NULL;
    if (whole && shares && generated)
        whole = cJSON_AddStringToObject(copy, "arrivals", "at_once") != NULL;
    if (whole && generated && !cJSON_GetObjectItemCaseSensitive(copy, "requests"))
        whole = cJSON_AddNumberToObject(copy, "requests", 1e12) != NULL;
    if (whole && !shares && rate_scale != 1) {
        cJSON_DeleteItemFromObjectCaseSensitive(copy, "rate_scale");
        whole = cJSON_AddNumberToObject(copy, "rate_scale", scale) != NULL;
    }
    if (!whole)
        cJSON_Delete(copy);
    return whole ? copy : NULL;
}

static int check_share(const struct json *class, const struct json *share, bool has_arrivals, struct error *err)
{
    struct json arrivals = json_member(class, "arrivals");
    if (share->node && !has_arrivals)
        return json_complain(share, "none where the workload has no \"arrivals\" to share", err);
    if (share->node && arrivals.node)
        return json_complain(&arrivals, "none in a class with a \"share\" of the workload's", err);
    return 0;
}

static int open_class(struct classes *c, const struct json *classes, const cJSON *node, const struct classes_said *said,
                      bool has_arrivals, uint64_t seed, class_open *open, struct error *err)
{
    struct json at = json_member(classes, node->string), share = json_member(&at, "share"),
                priority = json_member(&at, "priority"), to = json_member(&at, "to_s"),
                scale = json_member(&at, "rate_scale");
    struct class *k = &c->items[c->count];
    if (!cJSON_IsObject(at.node))
        return json_complain(&at, "an object: a workload, and what a class says besides", err);
    if (check_share(&at, &share, has_arrivals, err))
        return -1;
    cJSON *spec = alone(&at, share.node != NULL, said->rate_scale);
    struct json copy = at;
    copy.node = spec;
    if (!spec)
        return error_no_memory(err);
    struct class_said own = {.to_s = WINDOW_END_S};
    int status = open(&copy, seed_of(node->string, seed), &own, &k->source, err);
    cJSON_Delete(spec);
    if (status)
        return -1;
    c->count++;
    k->share = own.share;
    k->from = sim_time_from_s(own.from_s);
    k->to = sim_time_from_s(own.to_s);
    k->ranked = priority.node != NULL;
    k->priority = (uint32_t)own.priority;
    k->salt = c->count > 1 ? random_mix(c->count) : 0;
    if (k->share > 0 && scale.node)
        return json_complain(&scale, "none in a class with a \"share\" of the workload's arrivals", err);
    if (own.to_s <= own.from_s)
        return json_complain(&to, "a time after \"from_s\"", err);
    if (k->share > 0 && k->source.finished)
        return json_complain(&share, "none in a class whose requests wait for others' answers", err);
    return 0;
}

/* The workload's own arrivals, of which nothing but the times count. */
static int open_shared(struct classes *c, const struct json *workload, uint64_t seed, struct error *err)
{
    struct json arrivals = json_member(workload, "arrivals"), copy = *workload;
    cJSON *spec = cJSON_CreateObject(), *lengths = cJSON_AddObjectToObject(spec, "lengths");
    bool whole = cJSON_AddItemToObject(spec, "arrivals", cJSON_Duplicate(arrivals.node, 1)) &&
                 cJSON_AddStringToObject(lengths, "name", "fixed");
    copy.node = spec;
    int status =
        whole ? generator_create(&copy, (uint64_t)1e12, seed, &shared_arrivals(c)->source, err) : error_no_memory(err);
    cJSON_Delete(spec);
    c->rng = status ? NULL : random_stream_create(seed, "classes");
    if (status == 0 && !c->rng)
        status = error_no_memory(err);
    if (status == 0 && shared_arrivals(c)->source.finished)
        status = json_complain(&arrivals, "arrivals at a rate: a closed loop belongs in a class", err);
    return status;
}

static bool any_without_end(const struct classes *c, const struct json *classes)
{
    size_t i = 0;
    for (const cJSON *n = classes->node->child; n && i < c->count; n = n->next, i++)
        if (!cJSON_GetObjectItemCaseSensitive(n, "trace") && !cJSON_GetObjectItemCaseSensitive(n, "requests") &&
            !cJSON_GetObjectItemCaseSensitive(n, "to_s"))
            return true;
    return false;
}

static int open_all(struct classes *c, const struct json *workload, const struct classes_said *said, uint64_t seed,
                    class_open *open, struct error *err)
{
    struct json classes = json_member(workload, "classes"), arrivals = json_member(workload, "arrivals");
    int number = cJSON_GetArraySize(classes.node);
    bool shared = false;
    if (!cJSON_IsObject(classes.node) || number < 1 || number > WORKLOAD_CLASSES_MAX)
        return json_complain(&classes, "an object of 1 to 16 classes by name", err);
    for (const cJSON *n = classes.node->child; n; n = n->next) {
        if (open_class(c, &classes, n, said, arrivals.node != NULL, seed, open, err))
            return -1;
        shared |= c->items[c->count - 1].share > 0;
    }
    if (arrivals.node && !shared)
        return json_complain(&arrivals, "none where no class has a \"share\" of them", err);
    if (arrivals.node && open_shared(c, workload, seed, err))
        return -1;
    shared_arrivals(c)->to = SIM_TIME_NEVER;
    c->rate_scale = said->rate_scale;
    c->limit = said->requests > 0 ? (uint64_t)said->requests : any_without_end(c, &classes) ? 10000 : 0;
    if (said->limit > 0 && (c->limit == 0 || (uint64_t)said->limit < c->limit))
        c->limit = (uint64_t)said->limit;
    return 0;
}

int classes_create(const struct json *workload, const struct classes_said *said, uint64_t seed, class_open *open,
                   struct request_source *out, struct error *err)
{
    struct classes *c = calloc(1, sizeof *c);
    if (!c)
        return error_no_memory(err);
    if (open_all(c, workload, said, seed, open, err)) {
        classes_destroy(c);
        return -1;
    }
    bool waits = false, sessions = false;
    for (size_t i = 0; i < c->count; i++) {
        waits |= c->items[i].source.finished != NULL;
        sessions |= c->items[i].source.sessions != NULL;
    }
    *out = (struct request_source){.next = classes_next,
                                   .finished = waits ? classes_finished : NULL,
                                   .put_back = waits ? classes_put_back : NULL,
                                   .sessions = sessions ? classes_sessions : NULL,
                                   .destroy = classes_destroy,
                                   .state = c};
    return 0;
}

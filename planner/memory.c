/* SPDX-License-Identifier: MIT */
#include "planner/memory.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/version.h"
#include "reports/store/kept_value.h"

static uint64_t hash_bytes(uint64_t hash, const void *bytes, size_t size)
{
    for (size_t i = 0; i < size; i++) /* FNV-1a */
        hash = (hash ^ ((const unsigned char *)bytes)[i]) * 0x100000001b3u;
    return hash;
}

void trial_key(const struct trial *t, char key[33])
{
    uint64_t halves[2];
    for (int i = 0; i < 2; i++) {
        uint64_t h = i ? 0x9ae16a3b2f90404fu : 0xcbf29ce484222325u;
        h = hash_bytes(h, t->scenario, strlen(t->scenario) + 1);
        h = hash_bytes(h, TANDEM_VERSION, sizeof TANDEM_VERSION);
        h = hash_bytes(h, &t->seed, sizeof t->seed);
        halves[i] = hash_bytes(h, t->scales, sizeof t->scales);
    }
    snprintf(key, 33, "%016llx%016llx", (unsigned long long)halves[0], (unsigned long long)halves[1]);
}

/* The numbers of a result, in a fixed order. */
static size_t numbers_of(struct trial_result *r, double **at)
{
    size_t n = 0;
    for (int m = 0; m < METRIC_COUNT; m++)
        for (int k = 0; k < STAT_COUNT; k++)
            at[n++] = &r->metrics[m][k];
    double *const others[] = {&r->margin,       &r->attainment,  &r->goodput_per_s, &r->requests_per_s,
                              &r->tokens_per_s, &r->utilization, &r->duration_s,    &r->wall_s};
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        at[n++] = others[i];
    return n;
}

enum { NUMBERS_MAX = 128 };

static cJSON *print_held(const struct held_gpus *held)
{
    cJSON *o = cJSON_CreateObject();
    cJSON_AddStringToObject(o, "pool", held->pool);
    cJSON_AddStringToObject(o, "device", held->device);
    cJSON_AddNumberToObject(o, "gpus", held->gpus);
    cJSON_AddNumberToObject(o, "mean", held->mean);
    cJSON_AddNumberToObject(o, "together", held->together);
    cJSON_AddNumberToObject(o, "price_per_h", held->price_per_h);
    cJSON_AddNumberToObject(o, "power_w", held->power_w);
    return o;
}

char *trial_result_print(const struct trial_result *r)
{
    struct trial_result copy = *r;
    double *at[NUMBERS_MAX];
    size_t n = numbers_of(&copy, at);
    cJSON *o = cJSON_CreateObject(), *list = cJSON_AddArrayToObject(o, "numbers");
    for (size_t i = 0; list && i < n; i++) {
        char text[40];
        snprintf(text, sizeof text, "%.17g", *at[i]); /* cJSON has no way to write what is not finite */
        cJSON_AddItemToArray(list, isfinite(*at[i]) ? cJSON_CreateRaw(text) : cJSON_CreateString(text));
    }
    cJSON_AddNumberToObject(o, "failed", r->failed);
    cJSON_AddNumberToObject(o, "code", r->code);
    cJSON_AddStringToObject(o, "message", r->message);
    cJSON_AddStringToObject(o, "binding", r->binding);
    cJSON_AddStringToObject(o, "reason", r->reason);
    cJSON *pools = cJSON_AddArrayToObject(o, "pools");
    for (size_t i = 0; pools && i < r->pool_count; i++)
        cJSON_AddItemToArray(pools, print_held(&r->held[i]));
    cJSON_AddNumberToObject(o, "arrived", (double)r->arrived);
    cJSON_AddNumberToObject(o, "finished", (double)r->finished);
    cJSON_AddNumberToObject(o, "rejected", (double)r->rejected);
    cJSON_AddNumberToObject(o, "slo_met", r->slo_met);
    cJSON_AddNumberToObject(o, "overloaded", r->overloaded);
    char *text = o && !memory_has_failed() ? cJSON_PrintUnformatted(o) : NULL;
    cJSON_Delete(o);
    return text;
}

static double number_at(const cJSON *o, const char *key)
{
    const cJSON *n = cJSON_GetObjectItemCaseSensitive(o, key);
    double value = cJSON_IsNumber(n) ? n->valuedouble : 0;
    return value > -9e15 && value < 9e15 ? value : 0;
}

static void text_at(const cJSON *o, const char *key, char *out, size_t size)
{
    const cJSON *n = cJSON_GetObjectItemCaseSensitive(o, key);
    snprintf(out, size, "%s", cJSON_IsString(n) ? n->valuestring : "");
}

static void parse_held(const cJSON *o, struct held_gpus *out)
{
    text_at(o, "pool", out->pool, sizeof out->pool);
    text_at(o, "device", out->device, sizeof out->device);
    out->gpus = number_at(o, "gpus");
    out->mean = number_at(o, "mean");
    out->together = number_at(o, "together");
    out->price_per_h = number_at(o, "price_per_h");
    out->power_w = number_at(o, "power_w");
}

int trial_result_parse(const char *text, struct trial_result *out, struct error *err)
{
    *out = (struct trial_result){0};
    double *at[NUMBERS_MAX];
    size_t n = numbers_of(out, at), i = 0;
    cJSON *o = cJSON_Parse(text);
    const cJSON *list = cJSON_GetObjectItemCaseSensitive(o, "numbers"), *item;
    cJSON_ArrayForEach(item, list)
    {
        if (i < n)
            *at[i] = cJSON_IsNumber(item) ? item->valuedouble
                     : item->valuestring  ? strtod(item->valuestring, NULL)
                                          : NAN;
        i++;
    }
    if (i != n) {
        cJSON_Delete(o);
        return error_set(err, ERROR_INPUT, "a kept trial has %zu numbers, expected %zu", i, n);
    }
    out->failed = number_at(o, "failed") > 0;
    double code = number_at(o, "code");
    out->code = code >= ERROR_NONE && code <= ERROR_RUN ? (enum error_code)code : ERROR_RUN;
    out->arrived = (uint64_t)fmax(number_at(o, "arrived"), 0);
    out->finished = (uint64_t)fmax(number_at(o, "finished"), 0);
    out->rejected = (uint64_t)fmax(number_at(o, "rejected"), 0);
    out->slo_met = number_at(o, "slo_met") > 0;
    out->overloaded = number_at(o, "overloaded") > 0;
    text_at(o, "message", out->message, sizeof out->message);
    text_at(o, "binding", out->binding, sizeof out->binding);
    text_at(o, "reason", out->reason, sizeof out->reason);
    cJSON_ArrayForEach(item, cJSON_GetObjectItemCaseSensitive(o, "pools"))
    {
        if (out->pool_count < MOST_POOLS)
            parse_held(item, &out->held[out->pool_count++]);
    }
    cJSON_Delete(o);
    return memory_check(err);
}

static int take_id(void *state, int columns, char **values, struct error *err)
{
    (void)columns, (void)err;
    *(int64_t *)state = kept_integer(values[0]);
    return 0;
}

/* In one statement, so that the same plan started twice at once is one. */
int journal_open(struct journal *j, struct store *store, const char *table, const char *name, const char *specification,
                 bool *resumed, struct error *err)
{
    char sql[300], started[32];
    time_t now = time(NULL);
    struct tm utc;
    int64_t begun = 0;
    *j = (struct journal){.store = store, .table = table};
    if (!specification)
        return error_no_memory(err);
    strftime(started, sizeof started, "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&now, &utc));
    snprintf(sql, sizeof sql,
             "INSERT INTO %s (spec, status, name, started_at) SELECT ?1, 'unfinished', ?2, ?3 WHERE NOT EXISTS (SELECT "
             "1 FROM %s WHERE spec = ?1 AND status = 'unfinished')",
             table, table);
    if (store_write(store, err, sql, "sss", specification, name, started) ||
        store_read(store, take_id, &begun, err, "SELECT changes()", ""))
        return -1;
    *resumed = begun == 0;
    j->id = store_last_id(store);
    snprintf(sql, sizeof sql, "SELECT id FROM %s WHERE spec = ? AND status = 'unfinished' ORDER BY id DESC LIMIT 1",
             table);
    return *resumed ? store_read(store, take_id, &j->id, err, sql, "s", specification) : 0;
}

struct recalled {
    struct trial_result *out;
    bool found;
};

static int take_result(void *state, int columns, char **values, struct error *err)
{
    struct recalled *r = state;
    (void)columns;
    r->found = values[0] != NULL;
    return r->found ? trial_result_parse(values[0], r->out, err) : 0;
}

/* What a trial is called in the table. */
static const char *point_of(const struct trial *t, char key[33])
{
    if (t->label)
        return t->label;
    trial_key(t, key);
    return key;
}

static int recall(void *state, const struct trial *t, struct trial_result *out, struct error *err)
{
    struct journal *j = state;
    struct recalled r = {.out = out};
    char key[33], sql[160];
    snprintf(sql, sizeof sql, "SELECT result FROM %s_point WHERE %s_id = ? AND point = ?", j->table, j->table);
    if (store_read(j->store, take_result, &r, err, sql, "is", j->id, point_of(t, key)))
        return -1;
    return r.found;
}

struct kept {
    struct journal *journal;
    const char *point, *result;
};

/* Who keeps a point first has kept it: when another process was faster, this run of the same trial is dropped. */
static int write_point(void *state, struct store *store, int64_t run_id, struct error *err)
{
    struct kept *k = state;
    const char *table = k->journal->table;
    char sql[400];
    int64_t written = 0;
    snprintf(sql, sizeof sql,
             "INSERT INTO %s_point (%s_id, point, run_id, status, result) VALUES (?, ?, nullif(?, 0), 'done', ?) ON "
             "CONFLICT DO UPDATE SET run_id = excluded.run_id, status = 'done', result = excluded.result WHERE result "
             "IS NULL",
             table, table);
    if (store_write(store, err, sql, "isis", k->journal->id, k->point, run_id, k->result) ||
        store_read(store, take_id, &written, err, "SELECT changes()", ""))
        return -1;
    return written > 0 || run_id == 0 ? 0 : store_write(store, err, "DELETE FROM run WHERE id = ?", "i", run_id);
}

static int keep(void *state, const struct trial *t, const struct trial_result *r, struct error *err)
{
    struct journal *j = state;
    char key[33], *text = trial_result_print(r);
    if (!text)
        return error_no_memory(err);
    struct kept k = {.journal = j, .point = point_of(t, key), .result = text};
    int status = r->rows ? store_absorb(j->store, r->rows, r->row_bytes, write_point, &k, err) < 0
                         : write_point(&k, j->store, 0, err);
    free(text);
    return status ? -1 : 0;
}

struct trial_memory journal_memory(struct journal *j)
{
    return (struct trial_memory){.recall = recall, .keep = keep, .state = j};
}

int journal_finish(struct journal *j, const char *status, const char *result, struct error *err)
{
    char sql[120];
    snprintf(sql, sizeof sql, "UPDATE %s SET status = ?%s WHERE id = ?", j->table, result ? ", result = ?" : "");
    return result ? store_write(j->store, err, sql, "ssi", status, result, j->id)
                  : store_write(j->store, err, sql, "si", status, j->id);
}

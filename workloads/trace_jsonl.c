/* SPDX-License-Identifier: MIT */
/* The JSONL formats: Mooncake's (kvcache-ai/Mooncake, FAST'25 traces), a server's stamps as LLMServingSim's benchmark
 * of vLLM writes them, and our own. */
#include <math.h>
#include <string.h>

#include "base/array.h"
#include "base/json.h"
#include "workloads/trace.h"

static bool has_keys(const char *line, const char *first, const char *second)
{
    return line[0] == '{' && strstr(line, first) && strstr(line, second);
}

static bool mooncake_detect(const char *line)
{
    return has_keys(line, "\"timestamp\"", "\"input_length\"");
}

static bool stamps_detect(const char *line)
{
    return has_keys(line, "\"arrival_time\"", "\"input_toks\"");
}

static bool tandem_detect(const char *line)
{
    return has_keys(line, "\"arrival_s\"", "\"prompt_tokens\"");
}

/* A member that is a number from 0 to max; NAN when it is missing or is not. */
static double number_of(const cJSON *object, const char *key, double max)
{
    const cJSON *node = cJSON_GetObjectItemCaseSensitive(object, key);
    return cJSON_IsNumber(node) && node->valuedouble >= 0 && node->valuedouble <= max ? node->valuedouble : NAN;
}

static int tokens_of(const cJSON *object, const char *key, uint32_t *out)
{
    double value = number_of(object, key, 1e8);
    if (!(value == floor(value)))
        return -1;
    *out = (uint32_t)value;
    return 0;
}

enum { MOONCAKE_HASH_TOKENS = 512 };

/* Hashes of the prompt's pieces, if there are any. */
static int hashes_of(const cJSON *object, uint32_t piece, struct arrival *out, struct hash_buffer *hashes)
{
    const cJSON *list = cJSON_GetObjectItemCaseSensitive(object, "hash_ids");
    uint32_t count = 0;
    if (list && !cJSON_IsArray(list))
        return -1;
    for (const cJSON *id = list ? list->child : NULL; id; id = id->next) {
        double value = id->valuedouble;
        if (!cJSON_IsNumber(id) || !(value >= 0 && value <= 9007199254740992.0 && value == floor(value)))
            return -1;
        uint64_t *grown = array_grow(hashes->ids, &hashes->capacity, count + 1, sizeof *grown);
        if (!grown)
            return -1;
        hashes->ids = grown;
        hashes->ids[count++] = (uint64_t)value;
    }
    out->hashes = hashes->ids;
    out->hash_count = count;
    out->hash_tokens = piece;
    return 0;
}

static int mooncake_read(const cJSON *object, struct arrival *out, struct hash_buffer *hashes, const char **wrong)
{
    double ms = number_of(object, "timestamp", 9e12);
    *wrong = "\"timestamp\" in milliseconds, at least 0";
    if (isnan(ms))
        return -1;
    out->at = (sim_time)(ms * 1e6 + 0.5);
    *wrong = "\"input_length\" and \"output_length\", whole numbers up to 100000000";
    if (tokens_of(object, "input_length", &out->prompt_tokens) ||
        tokens_of(object, "output_length", &out->output_tokens))
        return -1;
    *wrong = "\"hash_ids\", if any, as a list of whole numbers";
    return hashes_of(object, MOONCAKE_HASH_TOKENS, out, hashes);
}

/* Who asks: every member may be left out. */
static int origin_of(const cJSON *object, struct arrival *out, const char **wrong)
{
    struct origin *o = &out->origin;
    const struct {
        const char *key;
        uint32_t *value;
    } members[] = {{"priority", &o->priority},
                   {"client", &o->client},
                   {"prefix_group", &o->prefix_group},
                   {"prefix_tokens", &o->prefix_tokens}};
    *wrong =
        "\"priority\", \"client\", \"prefix_group\" and \"prefix_tokens\", if any, as whole numbers up to 100000000";
    for (size_t i = 0; i < sizeof members / sizeof *members; i++)
        if (cJSON_HasObjectItem(object, members[i].key) && tokens_of(object, members[i].key, members[i].value))
            return -1;
    *wrong = "\"client\", if any, as a whole number up to 1000000";
    if (o->client > 1000000)
        return -1;
    *wrong = "\"prefix_tokens\", at most \"prompt_tokens\", with a \"prefix_group\" from 1 on";
    if (o->prefix_tokens > out->prompt_tokens || (o->prefix_tokens > 0) != (o->prefix_group > 0))
        return -1;
    if (!cJSON_HasObjectItem(object, "session"))
        return 0;
    double session = number_of(object, "session", 9007199254740992.0);
    *wrong = "\"session\", if any, as a whole number from 1 on";
    if (!(session >= 1 && session == floor(session)))
        return -1;
    o->session = (uint64_t)session;
    return 0;
}

static int tandem_read(const cJSON *object, struct arrival *out, struct hash_buffer *hashes, const char **wrong)
{
    double seconds = number_of(object, "arrival_s", 9e9);
    *wrong = "\"arrival_s\" in seconds, at least 0";
    if (isnan(seconds))
        return -1;
    out->at = sim_time_from_s(seconds);
    *wrong = "\"prompt_tokens\", \"output_tokens\" and any \"max_output_tokens\" as whole numbers up to 100000000";
    if (tokens_of(object, "prompt_tokens", &out->prompt_tokens) ||
        tokens_of(object, "output_tokens", &out->output_tokens))
        return -1;
    if (cJSON_HasObjectItem(object, "max_output_tokens") &&
        tokens_of(object, "max_output_tokens", &out->max_output_tokens))
        return -1;
    if (origin_of(object, out, wrong))
        return -1;
    uint32_t piece = 0;
    *wrong = "\"hash_ids\", a list of whole numbers, with \"hash_tokens\", how many tokens each stands for";
    if (!cJSON_HasObjectItem(object, "hash_ids"))
        return 0;
    return tokens_of(object, "hash_tokens", &piece) || piece == 0 ? -1 : hashes_of(object, piece, out, hashes);
}

static int stamps_read(const cJSON *object, struct arrival *out, struct hash_buffer *hashes, const char **wrong)
{
    (void)hashes;
    double seconds = number_of(object, "arrival_time", 9e9);
    *wrong = "\"arrival_time\" in seconds, at least 0";
    if (isnan(seconds))
        return -1;
    out->at = sim_time_from_s(seconds);
    *wrong = "\"input_toks\" and \"output_toks\", whole numbers up to 100000000";
    return tokens_of(object, "input_toks", &out->prompt_tokens) ||
           tokens_of(object, "output_toks", &out->output_tokens);
}

typedef int (*object_reader)(const cJSON *object, struct arrival *out, struct hash_buffer *hashes, const char **wrong);

static int parse_object(const char *line, object_reader read, struct arrival *out, struct hash_buffer *hashes,
                        const char **wrong, int *column)
{
    const char *end = NULL;
    cJSON *object = cJSON_ParseWithOpts(line, &end, 1);
    *wrong = "a JSON object";
    if (!object && end)
        *column = (int)(end - line) + 1;
    int status = cJSON_IsObject(object) && read(object, out, hashes, wrong) == 0 ? 0 : -1;
    cJSON_Delete(object);
    return status;
}

static int mooncake_parse(char *line, struct arrival *out, struct hash_buffer *hashes, const char **wrong, int *column)
{
    return parse_object(line, mooncake_read, out, hashes, wrong, column);
}

static int stamps_parse(char *line, struct arrival *out, struct hash_buffer *hashes, const char **wrong, int *column)
{
    return parse_object(line, stamps_read, out, hashes, wrong, column);
}

static int tandem_parse(char *line, struct arrival *out, struct hash_buffer *hashes, const char **wrong, int *column)
{
    return parse_object(line, tandem_read, out, hashes, wrong, column);
}

const struct trace_format trace_format_mooncake = {
    .name = "mooncake",
    .summary = "Mooncake JSONL: timestamp in ms, input_length, output_length, hash_ids",
    .detect = mooncake_detect,
    .parse = mooncake_parse,
};

const struct trace_format trace_format_stamps = {
    .name = "stamps",
    .summary = "a measured server's JSONL: arrival_time, input_toks, output_toks and stamps",
    .detect = stamps_detect,
    .parse = stamps_parse,
};

const struct trace_format trace_format_tandem = {
    .name = "tandem",
    .summary = "Tandem JSONL: arrival_s, prompt_tokens, output_tokens, and what else is known of a request",
    .detect = tandem_detect,
    .parse = tandem_parse,
};

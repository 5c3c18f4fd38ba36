/* SPDX-License-Identifier: MIT */
/* The JSONL formats: Qwen-Bailian's, LLMServingSim's workloads, Mooncake's (kvcache-ai/Mooncake, FAST'25 traces), a
 * server's stamps as LLMServingSim's benchmark of vLLM writes them, and our own. */
#include <math.h>
#include <string.h>
#include <time.h>

#include "base/array.h"
#include "workloads/trace_row.h"

#define WHOLE_MAX 9007199254740992.0 /* beyond it JSON's numbers leave some out */

/* Seconds since 1970: what lies between them is a date of 2001 to 2096, not the time since a trace began. */
#define DATES_FROM_S 1e9
#define DATES_TO_S 4e9

static const double unit_ns[TIME_UNITS] = {[TIME_S] = 1e9, [TIME_MS] = 1e6, [TIME_US] = 1e3, [TIME_NS] = 1};
static const char *const unit_words[TIME_UNITS] = {"seconds", "milliseconds", "microseconds", "nanoseconds"};

static bool has_keys(const char *line, const char *first, const char *second)
{
    return line[0] == '{' && strstr(line, first) && strstr(line, second);
}

static bool mooncake_detect(const char *line)
{
    return has_keys(line, "\"timestamp\"", "\"input_length\"") && !strstr(line, "\"chat_id\"");
}

/* Qwen-Bailian's usage traces (Alibaba, ATC'25, arXiv 2506.02634) say whose turn of a chat a request is. */
static bool bailian_detect(const char *line)
{
    return has_keys(line, "\"timestamp\"", "\"input_length\"") && strstr(line, "\"chat_id\"");
}

static bool llmservingsim_detect(const char *line)
{
    return has_keys(line, "\"arrival_time_ns\"", "\"input_toks\"");
}

static bool stamps_detect(const char *line)
{
    return has_keys(line, "\"arrival_time\"", "\"input_toks\"");
}

static bool tandem_detect(const char *line)
{
    return has_keys(line, "\"arrival_s\"", "\"prompt_tokens\"");
}

/* A line's object, and where complaints about it go. */
struct object {
    struct trace_row *row;
    const cJSON *node;
    struct error *err;
};

/* `found` is NULL where it is the line that lacks something. */
static int complain(const struct object *o, const cJSON *found, const char *expected)
{
    char *text = found ? cJSON_PrintUnformatted(found) : NULL;
    trace_complain(o->row, 1, expected, text ? text : o->row->line.text, o->err);
    cJSON_free(text);
    return -1;
}

/* The member `key`; NULL where there is none. A key that is there twice leaves open which is meant. */
static int find(const struct object *o, const char *key, const cJSON **out)
{
    *out = NULL;
    for (const cJSON *child = o->node->child; child; child = child->next) {
        if (strcmp(child->string, key) != 0)
            continue;
        if (*out)
            return error_set(o->err, ERROR_INPUT, "%s:%ld: has the key \"%s\" twice", o->row->file, o->row->line.number,
                             key);
        *out = child;
    }
    return 0;
}

static bool is_whole(const cJSON *node, double least, double most)
{
    return cJSON_IsNumber(node) && node->valuedouble >= least && node->valuedouble <= most &&
           node->valuedouble == floor(node->valuedouble);
}

enum need { NEEDED, OPTIONAL };

/* A member that is a whole number; an optional one that is missing leaves *out as it is. */
static int read_whole(const struct object *o, const char *key, enum need need, double least, double most, double *out)
{
    const cJSON *node;
    if (find(o, key, &node))
        return -1;
    if (!node && need == OPTIONAL)
        return 0;
    if (!is_whole(node, least, most)) {
        char expected[120];
        snprintf(expected, sizeof expected, "\"%s\",%s a whole number from %.0f to %.0f,", key,
                 need == OPTIONAL ? " if any," : "", least, most);
        return complain(o, node, expected);
    }
    *out = node->valuedouble;
    return 0;
}

static int read_count(const struct object *o, const char *key, enum need need, double least, double most, uint32_t *out)
{
    double value = *out;
    if (read_whole(o, key, need, least, most, &value))
        return -1;
    *out = (uint32_t)value;
    return 0;
}

/* The unit other than `unit` in which a number is a date of our time; TIME_UNITS where there is none. */
static enum time_unit unit_of_date(double value, enum time_unit unit)
{
    for (int u = 0; u < TIME_UNITS; u++)
        if (u != (int)unit && value * unit_ns[u] >= DATES_FROM_S * 1e9 && value * unit_ns[u] < DATES_TO_S * 1e9)
            return (enum time_unit)u;
    return TIME_UNITS;
}

static int complain_of_date(const struct object *o, const char *key, double value, enum time_unit is)
{
    enum time_unit assumed = o->row->unit;
    time_t seconds = (time_t)(value * unit_ns[is] / 1e9);
    struct tm date;
    char day[16] = "";
    if (gmtime_r(&seconds, &date))
        strftime(day, sizeof day, "%Y-%m-%d", &date);
    return error_set(o->err, ERROR_INPUT,
                     "%s:%ld: \"%s\" %.15g is %s in %s, but %.1f days in %s, which a %s trace has; state its unit, "
                     "s, ms, us or ns, by workload.time_unit or trace --time-unit",
                     o->row->file, o->row->line.number, key, value, day, unit_words[is],
                     value * unit_ns[assumed] / 86400e9, unit_words[assumed], o->row->format->name);
}

/* In nanoseconds; whole units are exact however long ago they count from. */
static sim_time time_of(double value, double ns)
{
    double whole = floor(value);
    return (sim_time)whole * (sim_time)ns + (sim_time)((value - whole) * ns + 0.5);
}

/* A time stamp in the trace's unit. Where nobody has stated that, numbers that cannot be in it are errors: a fraction
 * of a format of whole numbers, or a date in another unit where the trace begins. */
static int read_time(const struct object *o, const char *key, sim_time *out)
{
    const struct trace_row *row = o->row;
    const cJSON *node;
    char expected[160];
    if (find(o, key, &node))
        return -1;
    double value = cJSON_IsNumber(node) ? node->valuedouble : NAN, most = 9e18 / unit_ns[row->unit];
    bool open = !row->unit_stated && !row->format->unit_in_key, in_range = value >= 0 && value <= most;
    enum time_unit date = open && (row->is_first || !in_range) ? unit_of_date(value, row->unit) : TIME_UNITS;
    if (date != TIME_UNITS)
        return complain_of_date(o, key, value, date);
    if (!in_range) {
        snprintf(expected, sizeof expected, "\"%s\" in %s, from 0 to %g,", key, unit_words[row->unit], most);
        return complain(o, node, expected);
    }
    if (open && row->unit != TIME_S && value != floor(value)) {
        snprintf(expected, sizeof expected,
                 "\"%s\" in whole %s, or its unit stated (workload.time_unit, trace --time-unit: s, ms, us or ns)", key,
                 unit_words[row->unit]);
        return complain(o, node, expected);
    }
    *out = time_of(value, unit_ns[row->unit]);
    return 0;
}

/* Hashes of the prompt's pieces, if there are any. */
static int read_hashes(const struct object *o, uint32_t piece, struct arrival *out)
{
    static const char *const expected = "\"hash_ids\", if any, as a list of whole numbers from 0 to 9007199254740992,";
    struct hash_buffer *hashes = &o->row->hashes;
    const cJSON *list;
    uint32_t count = 0;
    if (find(o, "hash_ids", &list))
        return -1;
    if (list && !cJSON_IsArray(list))
        return complain(o, list, expected);
    count = list ? hashes->listed : 0;
    for (const cJSON *id = list ? list->child : NULL; id; id = id->next) {
        if (!is_whole(id, 0, WHOLE_MAX))
            return complain(o, id, expected);
        uint64_t *grown = array_grow(hashes->ids, &hashes->capacity, count + 1, sizeof *grown);
        if (!grown)
            return error_no_memory(o->err);
        hashes->ids = grown;
        hashes->ids[count++] = (uint64_t)id->valuedouble;
    }
    out->hashes = hashes->ids;
    out->hash_count = count;
    out->hash_tokens = piece;
    return 0;
}

static int mooncake_object(const struct object *o, struct arrival *out)
{
    return read_time(o, "timestamp", &out->at) ||
           read_count(o, "input_length", NEEDED, 0, TRACE_TOKENS_MAX, &out->prompt_tokens) ||
           read_count(o, "output_length", NEEDED, 0, TRACE_TOKENS_MAX, &out->output_tokens) || read_hashes(o, 0, out);
}

static int llmservingsim_object(const struct object *o, struct arrival *out)
{
    return read_time(o, "arrival_time_ns", &out->at) ||
           read_count(o, "input_toks", NEEDED, 0, TRACE_TOKENS_MAX, &out->prompt_tokens) ||
           read_count(o, "output_toks", NEEDED, 0, TRACE_TOKENS_MAX, &out->output_tokens);
}

static int stamps_object(const struct object *o, struct arrival *out)
{
    return read_time(o, "arrival_time", &out->at) ||
           read_count(o, "input_toks", NEEDED, 0, TRACE_TOKENS_MAX, &out->prompt_tokens) ||
           read_count(o, "output_toks", NEEDED, 0, TRACE_TOKENS_MAX, &out->output_tokens);
}

/* Who asks: every member may be left out. */
static int read_origin(const struct object *o, struct arrival *out)
{
    struct origin *origin = &out->origin;
    double session = 0;
    if (read_count(o, "priority", OPTIONAL, 0, TRACE_TOKENS_MAX, &origin->priority) ||
        read_count(o, "client", OPTIONAL, 0, 1000000, &origin->client) ||
        read_count(o, "prefix_group", OPTIONAL, 0, TRACE_TOKENS_MAX, &origin->prefix_group) ||
        read_count(o, "prefix_tokens", OPTIONAL, 0, TRACE_TOKENS_MAX, &origin->prefix_tokens) ||
        read_whole(o, "session", OPTIONAL, 1, WHOLE_MAX, &session))
        return -1;
    origin->session = (uint64_t)session;
    return origin->prefix_tokens <= out->prompt_tokens && (origin->prefix_tokens > 0) == (origin->prefix_group > 0)
               ? 0
               : complain(o, NULL, "\"prefix_tokens\", at most \"prompt_tokens\", with a \"prefix_group\" from 1 on,");
}

static int tandem_object(const struct object *o, struct arrival *out)
{
    const cJSON *hashes;
    uint32_t piece = 0;
    if (read_time(o, "arrival_s", &out->at) ||
        read_count(o, "prompt_tokens", NEEDED, 0, TRACE_TOKENS_MAX, &out->prompt_tokens) ||
        read_count(o, "output_tokens", NEEDED, 0, TRACE_TOKENS_MAX, &out->output_tokens) ||
        read_count(o, "max_output_tokens", OPTIONAL, 0, TRACE_TOKENS_MAX, &out->max_output_tokens) ||
        read_origin(o, out) || find(o, "hash_ids", &hashes))
        return -1;
    if (!hashes)
        return 0;
    return read_count(o, "hash_tokens", NEEDED, 1, TRACE_TOKENS_MAX, &piece) || read_hashes(o, piece, out);
}

/* Where the list of a line's member "hash_ids" begins: after its bracket. NULL where there is none, or the line before
 * it is not as plain as lines with long lists are: members of the object itself, no escapes. */
static const char *find_list(const char *text)
{
    static const char key[] = "hash_ids\"";
    for (const char *c = text; *c;) {
        if (*c == '\\' || *c == '[' || (*c == '{' && c != text))
            return NULL;
        if (*c++ != '"')
            continue;
        const char *name = c;
        while (*c && *c != '"' && *c != '\\')
            c++;
        if (*c != '"')
            return NULL;
        c++;
        if (strncmp(name, key, sizeof key - 1) != 0)
            continue;
        c += strspn(c, " ");
        if (*c++ != ':')
            return NULL;
        c += strspn(c, " ");
        return *c == '[' ? c + 1 : NULL;
    }
    return NULL;
}

enum { EXACT_DIGITS = 15 }; /* below 2^53 */

/* Reads ids up to the list's closing bracket, and returns where that stands. NULL where something else than whole
 * numbers stands there, *no_memory where that is why. */
static const char *read_list(const char *c, struct hash_buffer *hashes, bool *no_memory)
{
    uint32_t count = 0;
    for (;; c++) {
        uint64_t id = 0;
        c += *c == ' ' ? strspn(c, " ") : 0;
        const char *digits = c;
        for (; *c >= '0' && *c <= '9'; c++)
            id = 10 * id + (uint64_t)(*c - '0');
        if (c == digits || c - digits > EXACT_DIGITS || (*digits == '0' && c - digits > 1))
            return NULL;
        if (count == hashes->capacity) {
            uint64_t *grown = array_grow(hashes->ids, &hashes->capacity, (size_t)count + 1, sizeof *grown);
            *no_memory = !grown;
            if (!grown)
                return NULL;
            hashes->ids = grown;
        }
        hashes->ids[count++] = id;
        c += *c == ' ' ? strspn(c, " ") : 0;
        if (*c != ',')
            break;
    }
    hashes->listed = count;
    return *c == ']' ? c : NULL;
}

/* A line's JSON, whose list of hash ids, most of its text, is read here where it is plain: the object has an empty
 * one. NULL, as after a mistake, leaves the line to be parsed as a whole, so that complaints are of that. */
static cJSON *parse_without_list(struct trace_row *row, bool *no_memory)
{
    struct hash_buffer *hashes = &row->hashes;
    const char *text = row->line.text, *list = find_list(text), *end = list ? read_list(list, hashes, no_memory) : NULL;
    if (!end)
        return NULL;
    size_t before = (size_t)(list - text), after = strlen(end) + 1;
    char *rest = array_grow(hashes->rest, &hashes->rest_capacity, before + after, 1);
    *no_memory = !rest;
    if (!rest)
        return NULL;
    hashes->rest = rest;
    memcpy(rest, text, before);
    memcpy(rest + before, end, after);
    return cJSON_ParseWithOpts(rest, NULL, 1);
}

static int read_line(struct trace_row *row, int (*read)(const struct object *, struct arrival *), struct arrival *out,
                     struct error *err)
{
    const char *text = row->line.text, *end = NULL;
    bool no_memory = false;
    row->hashes.listed = 0;
    cJSON *node = parse_without_list(row, &no_memory);
    if (no_memory)
        return error_no_memory(err);
    if (!node) {
        row->hashes.listed = 0;
        node = cJSON_ParseWithOpts(text, &end, 1);
    }
    struct object object = {.row = row, .node = node, .err = err};
    int status;
    if (cJSON_IsObject(node))
        status = read(&object, out) ? -1 : 0;
    else
        status = trace_complain(row, node || !end ? 1 : (size_t)(end - text) + 1, "a JSON object", text, err);
    cJSON_Delete(node);
    return status;
}

static int mooncake_read(struct trace_row *row, struct arrival *out, struct error *err)
{
    return read_line(row, mooncake_object, out, err);
}

static int llmservingsim_read(struct trace_row *row, struct arrival *out, struct error *err)
{
    return read_line(row, llmservingsim_object, out, err);
}

static int stamps_read(struct trace_row *row, struct arrival *out, struct error *err)
{
    return read_line(row, stamps_object, out, err);
}

static int tandem_read(struct trace_row *row, struct arrival *out, struct error *err)
{
    return read_line(row, tandem_object, out, err);
}

const struct trace_format trace_format_mooncake = {
    .name = "mooncake",
    .summary = "Mooncake JSONL: timestamp in ms, input_length, output_length, hash_ids",
    .unit = TIME_MS,
    .block_tokens = 512,
    .detect = mooncake_detect,
    .read = mooncake_read,
};

const struct trace_format trace_format_bailian = {
    .name = "bailian",
    .summary = "Qwen-Bailian JSONL: chat_id, timestamp in s, input_length, output_length, hash_ids",
    .unit = TIME_S,
    .block_tokens = 16,
    .detect = bailian_detect,
    .read = mooncake_read,
};

const struct trace_format trace_format_llmservingsim = {
    .name = "llmservingsim",
    .summary = "LLMServingSim JSONL: arrival_time_ns, input_toks, output_toks",
    .unit = TIME_NS,
    .unit_in_key = true,
    .detect = llmservingsim_detect,
    .read = llmservingsim_read,
};

const struct trace_format trace_format_stamps = {
    .name = "stamps",
    .summary = "a measured server's JSONL: arrival_time, input_toks, output_toks and stamps",
    .unit = TIME_S,
    .detect = stamps_detect,
    .read = stamps_read,
};

const struct trace_format trace_format_tandem = {
    .name = "tandem",
    .summary = "Tandem JSONL: arrival_s, prompt_tokens, output_tokens, and what else is known of a request",
    .unit = TIME_S,
    .unit_in_key = true,
    .detect = tandem_detect,
    .read = tandem_read,
};

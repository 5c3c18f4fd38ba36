/* SPDX-License-Identifier: MIT */
/* The JSONL formats: Qwen-Bailian's, LLMServingSim's workloads, Mooncake's (kvcache-ai/Mooncake, FAST'25 traces), a
 * server's stamps as LLMServingSim's benchmark of vLLM writes them, and our own. */
#include <string.h>

#include "base/array.h"
#include "workloads/trace_agents.h"
#include "workloads/trace_follow.h"

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

static bool mooncake_is_closed(const char *line)
{
    return strstr(line, "\"wait_for\"") || strstr(line, "\"request_id\"") || strstr(line, "\"session_id\"");
}

static bool tandem_is_closed(const char *line)
{
    return strstr(line, "\"id\"") != NULL;
}

static bool llmservingsim_is_closed(const char *line)
{
    return strstr(line, "\"sub_requests\"") || strstr(line, "\"nodes\"");
}

/* All requests have times: it is for the scenario to say that they wait. */
static bool open_unless_asked(const char *line)
{
    (void)line;
    return false;
}

static int mooncake_lengths(const struct object *o, struct arrival *out)
{
    return object_count(o, "input_length", NEEDED, 0, TRACE_TOKENS_MAX, &out->prompt_tokens) ||
           object_count(o, "output_length", NEEDED, 0, TRACE_TOKENS_MAX, &out->output_tokens) ||
           object_hashes(o, 0, out);
}

/* Dynamo's and AIPerf's: sessions of turns with delays, and agents whose requests name those that they wait for. */
static int mooncake_object(const struct object *o, struct arrival *out)
{
    static const struct follow_keys keys = {.lengths = mooncake_lengths,
                                            .times = {"timestamp", "created_time"},
                                            .request = "request_id",
                                            .session = "session_id",
                                            .after = "wait_for",
                                            .delays = {"delay", "delay_ms"},
                                            .tool = "tool_wait_ms",
                                            .ns = 1e6,
                                            .chained = true};
    return follow_read(o, &keys, out);
}

static int bailian_object(const struct object *o, struct arrival *out)
{
    static const struct follow_keys keys = {.lengths = mooncake_lengths,
                                            .times = {"timestamp"},
                                            .request = "chat_id",
                                            .after = "parent_chat_id",
                                            .recorded = true};
    return follow_read(o, &keys, out);
}

static int llmservingsim_lengths(const struct object *o, struct arrival *out)
{
    return object_time(o, "arrival_time_ns", &out->at) ||
           object_count(o, "input_toks", NEEDED, 0, TRACE_TOKENS_MAX, &out->prompt_tokens) ||
           object_count(o, "output_toks", NEEDED, 0, TRACE_TOKENS_MAX, &out->output_tokens);
}

/* A request, a chain of "sub_requests" with tools between them, or a graph of "nodes" and "edges". */
static int llmservingsim_object(const struct object *o, struct arrival *out)
{
    if (agents_has(o))
        return agents_read(o, out);
    static const struct row_said alone = {0};
    if (llmservingsim_lengths(o, out))
        return -1;
    return o->row->programs ? program_rows_add(o->row->programs, out, &alone, o->err) : 0;
}

static int stamps_object(const struct object *o, struct arrival *out)
{
    return object_time(o, "arrival_time", &out->at) ||
           object_count(o, "input_toks", NEEDED, 0, TRACE_TOKENS_MAX, &out->prompt_tokens) ||
           object_count(o, "output_toks", NEEDED, 0, TRACE_TOKENS_MAX, &out->output_tokens);
}

/* Who asks: every member may be left out. */
static int read_origin(const struct object *o, struct arrival *out)
{
    struct origin *origin = &out->origin;
    double session = 0;
    if (object_count(o, "priority", OPTIONAL, 0, TRACE_TOKENS_MAX, &origin->priority) ||
        object_count(o, "client", OPTIONAL, 0, 1000000, &origin->client) ||
        object_count(o, "prefix_group", OPTIONAL, 0, TRACE_TOKENS_MAX, &origin->prefix_group) ||
        object_count(o, "prefix_tokens", OPTIONAL, 0, TRACE_TOKENS_MAX, &origin->prefix_tokens) ||
        object_whole(o, "session", OPTIONAL, 1, WHOLE_MAX, &session))
        return -1;
    origin->session = (uint64_t)session;
    return origin->prefix_tokens <= out->prompt_tokens && (origin->prefix_tokens > 0) == (origin->prefix_group > 0)
               ? 0
               : object_complain(o, NULL,
                                 "\"prefix_tokens\", at most \"prompt_tokens\", with a \"prefix_group\" from 1 on,");
}

static int tandem_lengths(const struct object *o, struct arrival *out)
{
    const cJSON *hashes;
    uint32_t piece = 0;
    if (object_count(o, "prompt_tokens", NEEDED, 0, TRACE_TOKENS_MAX, &out->prompt_tokens) ||
        object_count(o, "output_tokens", NEEDED, 0, TRACE_TOKENS_MAX, &out->output_tokens) ||
        object_count(o, "max_output_tokens", OPTIONAL, 0, TRACE_TOKENS_MAX, &out->max_output_tokens) ||
        read_origin(o, out) || object_find(o, "hash_ids", &hashes))
        return -1;
    if (!hashes)
        return 0;
    return object_count(o, "hash_tokens", NEEDED, 1, TRACE_TOKENS_MAX, &piece) || object_hashes(o, piece, out);
}

static int tandem_object(const struct object *o, struct arrival *out)
{
    static const struct follow_keys keys = {.lengths = tandem_lengths,
                                            .times = {"arrival_s"},
                                            .request = "id",
                                            .session = "session",
                                            .after = "after",
                                            .delays = {"delay_s"},
                                            .tool = "tool_s",
                                            .context = "context_tokens",
                                            .ns = 1e9};
    return follow_read(o, &keys, out);
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

static int bailian_read(struct trace_row *row, struct arrival *out, struct error *err)
{
    return read_line(row, bailian_object, out, err);
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
    .is_closed = mooncake_is_closed,
};

const struct trace_format trace_format_bailian = {
    .name = "bailian",
    .summary = "Qwen-Bailian JSONL: chat_id, timestamp in s, input_length, output_length, hash_ids",
    .unit = TIME_S,
    .block_tokens = 16,
    .detect = bailian_detect,
    .read = bailian_read,
    .is_closed = open_unless_asked,
};

const struct trace_format trace_format_llmservingsim = {
    .name = "llmservingsim",
    .summary = "LLMServingSim JSONL: arrival_time_ns, input_toks, output_toks",
    .unit = TIME_NS,
    .unit_in_key = true,
    .detect = llmservingsim_detect,
    .read = llmservingsim_read,
    .is_closed = llmservingsim_is_closed,
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
    .is_closed = tandem_is_closed,
};

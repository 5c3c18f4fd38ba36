/* SPDX-License-Identifier: MIT */
#include "http/openai.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/json.h"
#include "http/metrics.h"

enum { HASH_TOKENS = 16, USUAL_COMPLETION = 16, USUAL_CHAT = 256 };

static const char word[] = " token";

/* What a client asks for. */
struct wish {
    struct live_wish live;
    uint64_t *hashes; /* owned */
    bool chat, stream, usage;
};

static void refuse(struct http_answer *out, int status, const char *type, const char *sentence)
{
    cJSON *root = cJSON_CreateObject(), *e = cJSON_AddObjectToObject(root, "error");
    out->status = status;
    if (e && cJSON_AddStringToObject(e, "message", sentence) && cJSON_AddStringToObject(e, "type", type) &&
        cJSON_AddNullToObject(e, "param") && cJSON_AddNumberToObject(e, "code", status))
        out->text = cJSON_PrintUnformatted(root);
    cJSON_Delete(root);
}

/* ---- what a prompt is ---- */

/* FNV-1a, over everything so far; 53 bits of it, which JSON can hold. */
struct content {
    uint64_t hash, pending; /* bytes since the last piece */
    uint64_t piece;         /* bytes of a piece */
    uint64_t *hashes;
    size_t count, capacity;
};

static int end_piece(struct content *c)
{
    if (c->count == c->capacity) {
        size_t capacity = c->capacity ? 2 * c->capacity : 64;
        uint64_t *grown = realloc(c->hashes, capacity * sizeof *grown);
        if (!grown)
            return -1;
        c->hashes = grown;
        c->capacity = capacity;
    }
    c->hashes[c->count++] = c->hash >> 11;
    c->pending = 0;
    return 0;
}

static int add_bytes(struct content *c, const unsigned char *bytes, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        c->hash = (c->hash ^ bytes[i]) * 1099511628211u;
        if (++c->pending == c->piece && end_piece(c))
            return -1;
    }
    return 0;
}

/* Adds a text's bytes; or the parts of a message's content, which are texts. */
static int add_text(struct content *c, const struct json *at, uint64_t *bytes, struct error *err)
{
    if (!cJSON_IsString(at->node))
        return json_complain(at, "a text", err);
    size_t size = strlen(at->node->valuestring);
    *bytes += size;
    return add_bytes(c, (const unsigned char *)at->node->valuestring, size) ? error_no_memory(err) : 0;
}

static int add_message(struct content *c, const struct json *message, uint64_t *bytes, struct error *err)
{
    if (!cJSON_IsObject(message->node))
        return json_complain(message, "an object with \"role\" and \"content\"", err);
    struct json content = json_member(message, "content");
    if (!cJSON_IsArray(content.node))
        return add_text(c, &content, bytes, err);
    for (struct json part = json_first(&content); part.node; part = json_next(&part)) {
        struct json text = json_member(&part, "text");
        if (!cJSON_IsObject(part.node) || !text.node)
            return json_complain(&part, "a part with a \"text\": nothing else is modelled", err);
        if (add_text(c, &text, bytes, err))
            return -1;
    }
    return 0;
}

static int read_chat(const struct json *root, struct content *c, uint64_t *bytes, struct error *err)
{
    struct json messages = json_member(root, "messages");
    if (!cJSON_IsArray(messages.node) || !messages.node->child)
        return json_complain(&messages, "a list of messages", err);
    for (struct json m = json_first(&messages); m.node; m = json_next(&m))
        if (add_message(c, &m, bytes, err))
            return -1;
    return 0;
}

/* A prompt of numbers is tokens. */
static int read_tokens(const struct json *prompt, struct content *c, uint64_t *tokens, struct error *err)
{
    for (struct json t = json_first(prompt); t.node; t = json_next(&t)) {
        if (!cJSON_IsNumber(t.node) || t.node->valuedouble < 0 || t.node->valuedouble > 4294967295.0)
            return json_complain(&t, "a token, a whole number from 0 to 4294967295", err);
        uint32_t token = (uint32_t)t.node->valuedouble;
        const unsigned char bytes[] = {(unsigned char)token, (unsigned char)(token >> 8), (unsigned char)(token >> 16),
                                       (unsigned char)(token >> 24)};
        if (add_bytes(c, bytes, sizeof bytes))
            return error_no_memory(err);
        *tokens += 1;
    }
    return 0;
}

static int read_prompt(const struct openai *o, const struct json *root, struct content *c, uint64_t *tokens,
                       struct error *err)
{
    struct json prompt = json_member(root, "prompt"), first = json_first(&prompt);
    uint64_t bytes = 0;
    bool listed = cJSON_IsArray(prompt.node);
    if (listed && !cJSON_IsNumber(first.node)) {
        if (!first.node || json_next(&first).node)
            return json_complain(&prompt, "one prompt", err);
        prompt = first;
        listed = cJSON_IsArray(prompt.node);
    }
    if (listed) {
        c->piece = 4 * HASH_TOKENS;
        return read_tokens(&prompt, c, tokens, err);
    }
    if (add_text(c, &prompt, &bytes, err))
        return -1;
    *tokens = (bytes + o->bytes_per_token - 1) / o->bytes_per_token;
    return 0;
}

/* ---- what is asked for ---- */

static int read_limits(const struct openai *o, const struct json *root, bool chat, uint64_t prompt, struct wish *w,
                       struct error *err)
{
    long long most = chat ? USUAL_CHAT : USUAL_COMPLETION, n = 1;
    struct json options = json_member(root, "stream_options");
    const char *const keys[] = {"max_tokens", "max_completion_tokens"};
    for (size_t i = 0; i < 2; i++)
        if (!cJSON_IsNull(json_member(root, keys[i]).node) &&
            json_read_integer(root, keys[i], false, 1, 1 << 30, &most, err))
            return -1;
    if (!cJSON_IsNull(json_member(root, "n").node) && json_read_integer(root, "n", false, 1, 1, &n, err))
        return -1;
    if (json_read_bool(root, "stream", &w->stream, err))
        return -1;
    if (cJSON_IsObject(options.node) && json_read_bool(&options, "include_usage", &w->usage, err))
        return -1;
    if (prompt < 1)
        return error_set(err, ERROR_INPUT, "request body: the prompt has no token");
    if (prompt + (uint64_t)most > o->most_tokens)
        return error_set(err, ERROR_INPUT,
                         "request body: a prompt of %llu tokens and %lld of output are more than the model's %u",
                         (unsigned long long)prompt, most, o->most_tokens);
    w->live.prompt_tokens = (uint32_t)prompt;
    w->live.output_tokens = (uint32_t)most;
    return 0;
}

static int read_wish(const struct openai *o, const struct json *root, bool chat, struct wish *w, struct error *err)
{
    struct content c = {.hash = 14695981039346656037u, .piece = (uint64_t)o->bytes_per_token * HASH_TOKENS};
    uint64_t tokens = 0, bytes = 0;
    int status = chat ? read_chat(root, &c, &bytes, err) : read_prompt(o, root, &c, &tokens, err);
    if (chat)
        tokens = (bytes + o->bytes_per_token - 1) / o->bytes_per_token;
    if (status == 0 && c.pending > 0 && end_piece(&c))
        status = error_no_memory(err);
    if (status == 0)
        status = read_limits(o, root, chat, tokens, w, err);
    if (status || !o->hashes) {
        free(c.hashes);
        return status;
    }
    w->hashes = c.hashes;
    w->live.hashes = c.hashes;
    w->live.hash_count = (uint32_t)c.count;
    w->live.hash_tokens = HASH_TOKENS;
    return 0;
}

/* ---- what is answered ---- */

/* An answer under way. */
struct reply {
    const struct openai *openai;
    struct live_request *request;
    bool chat, usage;
    uint32_t prompt_tokens, sent;
    long long created;
    char *model; /* as JSON */
    int stage;   /* of a stream: tokens, usage, end, nothing */
    char *text;  /* [length], of which `at` bytes have been sent */
    size_t length, at;
};

static void reply_done(void *state)
{
    struct reply *r = state;
    live_release(r->request);
    cJSON_free(r->model);
    free(r->text);
    free(r);
}

/* Members in common, up to the choices. */
static char *reply_head(const struct reply *r, const struct live_state *now, bool streams)
{
    return http_text("{\"id\":\"%s-%llu\",\"object\":\"%s\",\"created\":%lld,\"model\":%s",
                     r->chat ? "chatcmpl" : "cmpl", (unsigned long long)now->id,
                     !r->chat  ? "text_completion"
                     : streams ? "chat.completion.chunk"
                               : "chat.completion",
                     r->created, r->model);
}

static char *usage_text(const struct reply *r, const struct live_state *now)
{
    return http_text("\"usage\":{\"prompt_tokens\":%u,\"completion_tokens\":%u,\"total_tokens\":%u},"
                     "\"tandem\":{\"request\":%llu,\"ttft_s\":%lld.%09lld,\"e2e_s\":%lld.%09lld}",
                     r->prompt_tokens, now->tokens, r->prompt_tokens + now->tokens, (unsigned long long)now->id,
                     (long long)(now->first_token / 1000000000), (long long)(now->first_token % 1000000000),
                     (long long)(now->answered / 1000000000), (long long)(now->answered % 1000000000));
}

static char *words(uint32_t count)
{
    size_t each = sizeof word - 1;
    char *text = malloc(count * each + 1);
    for (uint32_t i = 0; text && i < count; i++)
        memcpy(text + i * each, word, each);
    if (text)
        text[count * each] = 0;
    return text;
}

/* The next event of a stream: new tokens, the usage, the end. NULL when memory is short, or when it breaks off. */
static char *next_event(struct reply *r)
{
    struct live_state now = live_await(r->request, r->stage == 0 ? r->sent : UINT32_MAX);
    char *head = reply_head(r, &now, true), *more = NULL, *event = NULL;
    if (!head || now.end > LIVE_FINISHED) {
        free(head);
        return NULL;
    }
    if (r->stage == 0) {
        bool last = now.end == LIVE_FINISHED;
        more = words(now.tokens - r->sent);
        const char *reason = last ? "\"length\"" : "null", *first = r->sent == 0 ? "\"role\":\"assistant\"," : "";
        if (more && r->chat)
            event = http_text("data: %s,\"choices\":[{\"index\":0,\"delta\":{%s\"content\":\"%s\"},\"logprobs\":null,"
                              "\"finish_reason\":%s}]}\n\n",
                              head, first, more, reason);
        else if (more)
            event =
                http_text("data: %s,\"choices\":[{\"index\":0,\"text\":\"%s\",\"logprobs\":null,\"finish_reason\":%s}]"
                          "}\n\n",
                          head, more, reason);
        r->sent = now.tokens;
        r->stage += last ? r->usage ? 1 : 2 : 0;
    } else {
        more = usage_text(r, &now);
        event = more ? http_text("data: %s,\"choices\":[],%s}\n\n", head, more) : NULL;
        r->stage++;
    }
    free(more);
    free(head);
    return event;
}

static ssize_t read_reply(void *state, char *out, size_t room)
{
    struct reply *r = state;
    if (r->at == r->length) {
        if (r->stage > 2)
            return 0;
        free(r->text);
        r->text = r->stage == 2 ? http_text("data: [DONE]\n\n") : next_event(r);
        r->stage += r->text && strncmp(r->text, "data: [", 7) == 0;
        r->at = 0;
        r->length = r->text ? strlen(r->text) : 0;
        if (!r->text)
            return -1;
    }
    size_t size = r->length - r->at < room ? r->length - r->at : room;
    memcpy(out, r->text + r->at, size);
    r->at += size;
    return (ssize_t)size;
}

static char *whole_reply(const struct reply *r, const struct live_state *now)
{
    char *head = reply_head(r, now, false), *text = words(now->tokens), *usage = usage_text(r, now), *out = NULL;
    if (head && text && usage)
        out = r->chat
                  ? http_text("%s,\"choices\":[{\"index\":0,\"message\":{\"role\":\"assistant\",\"content\":\"%s\"},"
                              "\"logprobs\":null,\"finish_reason\":\"length\"}],%s}\n",
                              head, text, usage)
                  : http_text("%s,\"choices\":[{\"index\":0,\"text\":\"%s\",\"logprobs\":null,\"finish_reason\":"
                              "\"length\"}],%s}\n",
                              head, text, usage);
    free(head);
    free(text);
    free(usage);
    return out;
}

static struct reply *reply_create(const struct openai *o, const struct wish *w, bool *ended)
{
    struct reply *r = calloc(1, sizeof *r);
    cJSON *name = cJSON_CreateString(o->model);
    *ended = false;
    if (r)
        *r = (struct reply){.openai = o,
                            .chat = w->chat,
                            .usage = w->usage,
                            .prompt_tokens = w->live.prompt_tokens,
                            .created = (long long)time(NULL),
                            .model = name ? cJSON_PrintUnformatted(name) : NULL};
    cJSON_Delete(name);
    if (r && r->model && (r->request = live_submit(o->live, &w->live, ended)))
        return r;
    if (r)
        cJSON_free(r->model);
    free(r);
    return NULL;
}

/* The head of an answer says whether the request is served, so it waits for the first token. */
static void answer(const struct openai *o, const struct wish *w, struct http_answer *out)
{
    bool ended;
    struct reply *r = reply_create(o, w, &ended);
    if (!r) {
        refuse(out, 503, "service_unavailable", ended ? "the run has ended" : "memory is short");
        return;
    }
    struct live_state now = live_await(r->request, w->stream ? 0 : UINT32_MAX);
    if (now.end > LIVE_FINISHED) {
        refuse(out, now.end == LIVE_REJECTED ? 400 : 503,
               now.end == LIVE_REJECTED ? "invalid_request_error" : "service_unavailable", now.reason);
        reply_done(r);
    } else if (w->stream) {
        *out = (struct http_answer){.type = "text/event-stream", .read = read_reply, .done = reply_done, .state = r};
    } else {
        out->text = whole_reply(r, &now);
        out->status = out->text ? 200 : 503;
        reply_done(r);
    }
}

static int check_model(const struct openai *o, const struct json *root, struct http_answer *out, struct error *err)
{
    const char *model = NULL;
    char sentence[400];
    if (json_read_string(root, "model", false, &model, err))
        return -1;
    if (!model || strcmp(model, o->model) == 0)
        return 0;
    snprintf(sentence, sizeof sentence, "the model \"%.100s\" does not exist; this server's is \"%.100s\"", model,
             o->model);
    refuse(out, 404, "NotFoundError", sentence);
    return 1;
}

static void complete(const struct openai *o, const struct http_request *request, bool chat, struct http_answer *out)
{
    struct json root = {0};
    struct error err = {0};
    struct wish w = {.chat = chat};
    if (json_parse(request->body, "request body", &root, &err)) {
        refuse(out, 400, "invalid_request_error", err.text);
        return;
    }
    int status = cJSON_IsObject(root.node) ? check_model(o, &root, out, &err) : json_complain(&root, "an object", &err);
    if (status == 0)
        status = read_wish(o, &root, chat, &w, &err);
    cJSON_Delete((cJSON *)(uintptr_t)root.node);
    if (status == 0)
        answer(o, &w, out);
    else if (status < 0)
        refuse(out, error_is_of_machine(&err) ? 503 : 400, "invalid_request_error", err.text);
    free(w.hashes);
}

static void list_models(const struct openai *o, struct http_answer *out)
{
    cJSON *root = cJSON_CreateObject(), *data = NULL, *m = NULL;
    if (cJSON_AddStringToObject(root, "object", "list") && (data = cJSON_AddArrayToObject(root, "data")) &&
        (m = cJSON_CreateObject())) {
        cJSON_AddItemToArray(data, m);
        cJSON_AddStringToObject(m, "id", o->model);
        cJSON_AddStringToObject(m, "object", "model");
        cJSON_AddNumberToObject(m, "created", (double)time(NULL));
        cJSON_AddStringToObject(m, "owned_by", "tandem");
        cJSON_AddNumberToObject(m, "max_model_len", o->most_tokens);
        out->text = cJSON_PrintUnformatted(root);
    }
    out->status = out->text ? 200 : 503;
    cJSON_Delete(root);
}

static void expose(const struct openai *o, struct http_answer *out)
{
    struct live_counts counts;
    live_count(o->live, &counts);
    out->text = metrics_text(&counts, o->model);
    out->status = out->text ? 200 : 503;
    out->type = "text/plain; version=0.0.4; charset=utf-8";
}

void openai_handle(void *state, const struct http_request *request, struct http_answer *out)
{
    const struct openai *o = state;
    bool chat = strcmp(request->path, "/v1/chat/completions") == 0,
         completion = strcmp(request->path, "/v1/completions") == 0;
    bool reads = strcmp(request->method, "GET") == 0 || strcmp(request->method, "HEAD") == 0;
    bool models = strcmp(request->path, "/v1/models") == 0, health = strcmp(request->path, "/health") == 0,
         metrics = strcmp(request->path, "/metrics") == 0;
    if (!(chat || completion || models || health || metrics))
        refuse(out, 404, "NotFoundError",
               "expected /v1/completions, /v1/chat/completions, /v1/models, /health or /metrics");
    else if ((chat || completion) ? strcmp(request->method, "POST") != 0 : !reads)
        refuse(out, 405, "invalid_request_error", chat || completion ? "expected POST" : "expected GET");
    else if (chat || completion)
        complete(o, request, chat, out);
    else if (models)
        list_models(o, out);
    else if (metrics)
        expose(o, out);
}

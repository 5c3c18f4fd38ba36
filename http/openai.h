/* SPDX-License-Identifier: MIT */
/* openai.h — the OpenAI protocol over a live simulation: /v1/completions and /v1/chat/completions, streamed or whole,
 * /v1/models, /health, and /metrics with vLLM's names. Answers hold as many tokens as the client allows, each of them
 * the word "token". */
#ifndef TANDEM_HTTP_OPENAI_H
#define TANDEM_HTTP_OPENAI_H

#include "http/http.h"
#include "http/live.h"

struct openai {
    struct live *live;
    const char *model;        /* as clients call it */
    uint32_t bytes_per_token; /* of a prompt that is text */
    uint32_t most_tokens;     /* of a prompt and its answer */
    bool hashes;              /* prompts that begin alike share KV */
};

/* An http_handler whose state is a struct openai. */
void openai_handle(void *state, const struct http_request *request, struct http_answer *out);

#endif

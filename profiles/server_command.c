/* SPDX-License-Identifier: MIT */
#include "profiles/server_command.h"

#include <ctype.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/nearest.h"
#include "base/printable.h"
#include "profiles/engine.h"
#include "profiles/model.h"
#include "profiles/model_name.h"
#include "profiles/server_flags.h"
#include "profiles/shipped.h"

enum { ARGUMENTS_MAX = 256, FLAG_NAMES_MAX = 256 };

/* The command line in pieces, in one buffer. */
struct pieces {
    char *text;
    const char *argument[ARGUMENTS_MAX];
    size_t count;
};

/* What is put together when all flags have been read. */
struct shape {
    char model[200];
    long long tp, pp, dp, ep, kv_tokens; /* kv_tokens 0: as memory leaves */
    bool experts, attention_dp;
};

/* Takes one piece at *from to *to: blanks end it, but in quotes; a backslash keeps the character behind it, and joins
 * lines. Returns false where a quote has no end. */
static bool take_piece(const char **from, char **to)
{
    char quote = 0;
    const char *at = *from;
    for (; *at && (quote || !isspace((unsigned char)*at)); at++) {
        if (quote ? *at == quote : *at == '"' || *at == '\'') {
            quote = quote ? 0 : *at;
            continue;
        }
        if (*at == '\\' && at[1] && quote != '\'' && *++at == '\n')
            continue;
        *(*to)++ = *at;
    }
    *(*to)++ = 0;
    *from = at;
    return !quote;
}

static bool at_blank(const char *text)
{
    return isspace((unsigned char)*text) || (text[0] == '\\' && text[1] == '\n');
}

static int split(const char *text, struct pieces *out, struct error *err)
{
    *out = (struct pieces){.text = malloc(2 * strlen(text) + 2)};
    char *to = out->text;
    if (!to)
        return error_no_memory(err);
    for (;;) {
        while (at_blank(text))
            text += *text == '\\' ? 2 : 1;
        if (!*text)
            return 0;
        if (out->count == ARGUMENTS_MAX)
            return error_set(err, ERROR_INPUT, "--like: expected at most %d arguments", ARGUMENTS_MAX);
        out->argument[out->count++] = to;
        if (!take_piece(&text, &to))
            return error_set(err, ERROR_INPUT, "--like: a quote has no end");
    }
}

/* "NAME=VALUE" before the program's name sets a variable of its environment. */
static bool sets_variable(const char *argument)
{
    const char *equals = strchr(argument, '=');
    return equals && equals > argument && argument[0] != '-' && !memchr(argument, '/', (size_t)(equals - argument));
}

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

/* Whether the pieces from *at on begin with a program's words; *at is behind them then. */
static bool starts(const struct server_program *p, const struct pieces *pieces, size_t *at)
{
    size_t i = *at;
    for (const char *word = p->words; *word; i++) {
        size_t length = strcspn(word, " ");
        const char *found = i < pieces->count ? base_name(pieces->argument[i]) : "";
        bool python = length == 6 && strncmp(word, "python", 6) == 0 && strncmp(found, "python", 6) == 0;
        if (!python && (strlen(found) != length || strncmp(found, word, length) != 0))
            return false;
        word += length + (word[length] == ' ');
    }
    *at = i;
    return true;
}

static int find_program(const struct pieces *pieces, size_t *at, const struct server_program **out, struct error *err)
{
    while (*at < pieces->count && sets_variable(pieces->argument[*at]))
        ++*at;
    for (*out = server_programs; (*out)->words; ++*out)
        if (starts(*out, pieces, at))
            return 0;
    return error_set(err, ERROR_INPUT,
                     "--like: expected a command line that begins with vllm serve, sglang serve, python -m "
                     "sglang.launch_server, python -m vllm.entrypoints.openai.api_server or trtllm-serve, found \"%s\"",
                     PRINTABLE(*at < pieces->count ? pieces->argument[*at] : ""));
}

static bool is_named(const char *names, const char *flag, size_t length)
{
    for (const char *at = names; *at;) {
        size_t own = strcspn(at, " "), i = 0;
        while (i < own && i < length && (at[i] == flag[i] || (at[i] == '-' && flag[i] == '_')))
            i++;
        if (i == own && i == length)
            return true;
        at += own + (at[own] == ' ');
    }
    return false;
}

static const struct server_flag *find_flag(const struct server_flag *flags, const char *flag, size_t length)
{
    for (; flags->names; flags++)
        if (is_named(flags->names, flag, length))
            return flags;
    return NULL;
}

static void note(struct server_command *c, const char *format, ...)
{
    va_list arguments;
    if (c->note_count == SERVER_NOTES_MAX)
        return;
    va_start(arguments, format);
    vsnprintf(c->notes[c->note_count++], sizeof c->notes[0], format, arguments);
    va_end(arguments);
}

/* A later word of the same path takes the place of the earlier. */
static int add_word(struct server_command *c, const char *path, const char *value, struct error *err)
{
    size_t i = 0;
    while (i < c->word_count && strcmp(c->words[i].path, path) != 0)
        i++;
    if (i == SERVER_WORDS_MAX || strlen(value) >= sizeof c->words[0].value)
        return error_set(err, ERROR_INPUT, "--like: expected fewer and shorter values, found \"%s\"", PRINTABLE(value));
    snprintf(c->words[i].path, sizeof c->words[i].path, "%s", path);
    snprintf(c->words[i].value, sizeof c->words[i].value, "%s", value);
    c->word_count += i == c->word_count;
    return 0;
}

static const char *find_word(const struct server_command *c, const char *path)
{
    for (size_t i = 0; i < c->word_count; i++)
        if (strcmp(c->words[i].path, path) == 0)
            return c->words[i].value;
    return NULL;
}

static bool has_word(const struct server_command *c, const char *path)
{
    return find_word(c, path) != NULL;
}

static int add_count(struct server_command *c, const char *path, long long value, struct error *err)
{
    char text[32];
    snprintf(text, sizeof text, "%lld", value);
    return add_word(c, path, text, err);
}

/* The value that stands behind a name in "NAME=VALUE|…"; false where it does not stand there. */
static bool find_value(const char *values, const char *name, char *out, size_t size)
{
    size_t length = strlen(name);
    while (*values) {
        size_t all = strcspn(values, "|");
        if (all > length && strncmp(values, name, length) == 0 && values[length] == '=') {
            snprintf(out, size, "%.*s", (int)(all - length - 1), values + length + 1);
            return true;
        }
        values += all + (values[all] == '|');
    }
    return false;
}

static int complain(const char *flag, const char *expected, const char *value, struct error *err)
{
    return error_set(err, ERROR_INPUT, "--like: %s: expected %s, found \"%s\"", PRINTABLE(flag), expected,
                     PRINTABLE(value));
}

static int read_count(const char *flag, const char *value, long long *out, struct error *err)
{
    char *end;
    *out = strtoll(value, &end, 10);
    return end == value || *end || *out < 1 || *out > 1000000000 ? complain(flag, "a whole number from 1", value, err)
                                                                 : 0;
}

/* The parts of the shape; 1 where the word is none of them. */
static int set_shape(struct shape *s, const char *word, const char *flag, const char *value, struct error *err)
{
    struct {
        const char *word;
        long long *count;
    } counts[] = {{"tp", &s->tp}, {"pp", &s->pp}, {"dp", &s->dp}, {"ep", &s->ep}, {"kv_tokens", &s->kv_tokens}};
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++)
        if (strcmp(word, counts[i].word) == 0)
            return read_count(flag, value, counts[i].count, err);
    s->experts |= strcmp(word, "experts") == 0;
    s->attention_dp |= strcmp(word, "attention_dp") == 0;
    if (strcmp(word, "model") == 0 && *s->model)
        return error_set(err, ERROR_INPUT, "--like: expected one model, found \"%s\" too", PRINTABLE(value));
    if (strcmp(word, "model") == 0)
        snprintf(s->model, sizeof s->model, "%s", value);
    return strcmp(word, "model") != 0 && strcmp(word, "experts") != 0 && strcmp(word, "attention_dp") != 0;
}

static int take_number(struct server_command *c, const struct server_flag *f, const char *flag, const char *value,
                       struct error *err)
{
    char *end, text[40];
    double number = strtod(value, &end);
    bool chunk = strstr(f->word, "chunked_prefill_size");
    if (end == value || *end || !isfinite(number) || (number < 0 && !chunk))
        return complain(flag, "a number", value, err);
    snprintf(text, sizeof text, "%.17g", chunk && number < 0 ? 0 : number);
    if (strtod(value, NULL) == number && strlen(value) < sizeof text && number >= 0)
        snprintf(text, sizeof text, "%s", value);
    return add_word(c, f->word, text, err);
}

static int take_text(struct server_command *c, const struct server_flag *f, const char *flag, const char *value,
                     struct error *err)
{
    char text[200];
    if (!find_value(f->values, value, text, sizeof text)) {
        note(c, "%s %s: %s", flag, PRINTABLE(value), f->says);
        return 0;
    }
    return *text ? add_word(c, f->word, text, err) : 0;
}

static int take_flag(struct server_command *c, struct shape *s, const struct server_flag *f, const char *flag,
                     const char *value, struct error *err)
{
    long long count = 0;
    if (!f->word) {
        if (f->says)
            note(c, "%s: %s", flag, f->says);
        return 0;
    }
    int shaped = set_shape(s, f->word, flag, value, err);
    if (shaped <= 0)
        return shaped;
    if (f->takes == FLAG_NOTHING)
        return add_word(c, f->word, f->values, err);
    if (f->takes == FLAG_COUNT)
        return read_count(flag, value, &count, err) ? -1 : add_count(c, f->word, count, err);
    return (f->takes == FLAG_NUMBER ? take_number : take_text)(c, f, flag, value, err);
}

/* Names of a table, one by one. */
struct flag_names {
    char name[FLAG_NAMES_MAX][48];
    size_t count;
};

static const char *flag_name_at(const void *names, size_t index)
{
    const struct flag_names *n = names;
    return index < n->count ? n->name[index] : NULL;
}

static void note_unknown(struct server_command *c, const struct server_flag *flags, const char *flag)
{
    struct flag_names names = {.count = 0};
    for (; flags->names; flags++)
        for (const char *at = flags->names; *at && names.count < FLAG_NAMES_MAX; at += strspn(at, " ")) {
            size_t length = strcspn(at, " ");
            if (strncmp(at, "--", 2) == 0)
                snprintf(names.name[names.count++], sizeof *names.name, "%.*s", (int)length, at);
            at += length;
        }
    const char *meant = nearest_name(flag, flag_name_at, &names);
    note(c, "%s: Tandem does not know it%s%s%s", flag, meant ? "; did you mean " : "", meant ? meant : "",
         meant ? "?" : "");
}

/* A flag that no table has takes what stands behind it, unless that is a flag itself. */
static int read_flags(const struct server_program *p, const struct pieces *pieces, size_t at, struct server_command *c,
                      struct shape *s, struct error *err)
{
    for (; at < pieces->count; at++) {
        const char *argument = pieces->argument[at], *equals = strchr(argument, '=');
        size_t length = equals ? (size_t)(equals - argument) : strlen(argument);
        char flag[64];
        if (argument[0] != '-') {
            if (*s->model)
                return error_set(err, ERROR_INPUT, "--like: expected one model, found \"%s\" too", PRINTABLE(argument));
            snprintf(s->model, sizeof s->model, "%s", argument);
            continue;
        }
        snprintf(flag, sizeof flag, "%.*s", (int)(length < 60 ? length : 60), argument);
        printable_in_place(flag, sizeof flag);
        const struct server_flag *f = find_flag(p->flags, argument, length);
        bool next = at + 1 < pieces->count && strncmp(pieces->argument[at + 1], "--", 2) != 0;
        if (!f) {
            note_unknown(c, p->flags, flag);
            at += !equals && next && pieces->argument[at + 1][0] != '-';
            continue;
        }
        const char *value = equals ? equals + 1 : "";
        if (f->takes == FLAG_NOTHING && equals)
            return error_set(err, ERROR_INPUT, "--like: %s: expected no value, found \"%s\"", flag, PRINTABLE(value));
        if (f->takes != FLAG_NOTHING && !equals) {
            if (!next)
                return error_set(err, ERROR_INPUT, "--like: %s: expected a value after it", flag);
            value = pieces->argument[++at];
        }
        if (take_flag(c, s, f, flag, value, err))
            return -1;
    }
    return 0;
}

/* A repository's name stands for a shipped model; a path or a shipped name for itself. */
static int find_model(struct server_command *c, struct shape *s, struct model *out, struct error *err)
{
    struct model_meant meant;
    struct error ignored = {0};
    if (!*s->model)
        return error_set(err, ERROR_INPUT, "--like: expected a model in the command line");
    if (!model_meant_by(s->model, &meant) || model_is_path(s->model)) {
        if (model_load(s->model, out, &ignored) == 0)
            return 0;
        return error_set(err, ERROR_INPUT,
                         "--like: expected a model that is shipped (tandem list models) or a path to one, found "
                         "\"%s\"%s%s%s%s%s",
                         PRINTABLE(s->model), *meant.name ? ": " : "", meant.name, *meant.name ? ", but for \"" : "",
                         PRINTABLE(meant.unknown), *meant.name ? "\"" : "");
    }
    if (meant.quantised && !has_word(c, "engine.weight_dtype") &&
        add_word(c, "engine.weight_dtype", dtype_names[meant.format], err))
        return -1;
    snprintf(s->model, sizeof s->model, "%s", meant.name);
    return model_load(s->model, out, err);
}

/* SGLang's limits are those of all attention ranks together, and it is less conservative with them (server_args.py,
 * _handle_data_parallelism). */
static int divide_limits(struct server_command *c, long long ranks, struct error *err)
{
    static const struct {
        const char *path, *flag;
    } limits[] = {{"policy.batching.chunked_prefill_size", "--chunked-prefill-size"},
                  {"policy.batching.max_sequences", "--max-running-requests"}};
    const char *careful = find_word(c, "policy.batching.schedule_conservativeness");
    char text[40];
    snprintf(text, sizeof text, "%.15g", (careful ? strtod(careful, NULL) : 1) * SGLANG_RANKS_CONSERVATIVENESS);
    if (add_word(c, "policy.batching.schedule_conservativeness", text, err))
        return -1;
    for (size_t i = 0; i < 2; i++) {
        const char *said = find_word(c, limits[i].path);
        long long all = said ? strtoll(said, NULL, 10) : 0;
        if (!said)
            note(c, "attention ranks: SGLang divides %s by them; say it, for what it starts with is not divided here",
                 limits[i].flag);
        else if (all > 0 && add_count(c, limits[i].path, all < ranks ? 1 : all / ranks, err))
            return -1;
    }
    return 0;
}

/* Ranks of experts step together; without experts, and without attention apart, each rank is a replica. */
static int add_shape(struct server_command *c, const struct server_program *p, struct shape *s, const struct model *m,
                     struct error *err)
{
    bool mixture = m->moe.experts > 0, vllm = strcmp(p->engine, "vllm") == 0;
    bool together = mixture && (vllm ? s->dp > 1 : s->attention_dp);
    long long gpus = vllm ? s->tp * s->dp : s->tp, ranks = vllm || s->dp > 1 ? s->dp : s->tp;
    long long tensor = vllm || !together ? s->tp : s->tp / ranks;
    long long experts = s->experts ? gpus : s->ep;
    if (together && tensor * ranks != gpus)
        return error_set(err, ERROR_INPUT, "--like: expected data parallel ranks that divide %lld GPUs, found %lld",
                         gpus, ranks);
    if (s->attention_dp && !mixture)
        note(c, "attention ranks: only a mixture of experts has them here; each rank is a replica");
    if (s->attention_dp && together && strcmp(p->engine, "sglang") == 0 && divide_limits(c, ranks, err))
        return -1;
    if (experts > 1 && !mixture)
        note(c, "expert parallelism: the model has no experts");
    if (add_count(c, "cluster.tensor_parallel", tensor, err) ||
        (s->pp > 1 && add_count(c, "cluster.pipeline_parallel", s->pp, err)) ||
        (together && ranks > 1 && add_count(c, "cluster.data_parallel", ranks, err)) ||
        (!together && s->dp > 1 && add_count(c, "cluster.replicas", s->dp, err)))
        return -1;
    return mixture && experts > 1 ? add_count(c, "cluster.expert_parallel", experts, err) : 0;
}

/* SGLang's page is one token unless it is said. */
static int add_kv(struct server_command *c, const struct shape *s, struct error *err)
{
    const char *page = find_word(c, "policy.kv_block_tokens");
    long long blocks = s->kv_tokens / (page ? strtoll(page, NULL, 10) : 1);
    if (s->kv_tokens == 0)
        return 0;
    return blocks > 0 ? add_count(c, "policy.kv_blocks", blocks, err)
                      : error_set(err, ERROR_INPUT,
                                  "--like: --max-total-tokens: expected a page's tokens at least, "
                                  "found \"%lld\"",
                                  s->kv_tokens);
}

static int read_pieces(const struct pieces *pieces, struct server_command *out, struct error *err)
{
    const struct server_program *program;
    struct shape shape = {.tp = 1, .pp = 1, .dp = 1, .ep = 1};
    struct model model;
    char preset[64];
    size_t at = 0;
    if (find_program(pieces, &at, &program, err) || add_word(out, "model", "", err))
        return -1;
    engine_preset(program->engine, "newest", preset, sizeof preset);
    if (add_word(out, "engine.preset", preset, err) || read_flags(program, pieces, at, out, &shape, err) ||
        find_model(out, &shape, &model, err) || add_word(out, "model", shape.model, err))
        return -1;
    return add_kv(out, &shape, err) ? -1 : add_shape(out, program, &shape, &model, err);
}

int server_command_read(const char *text, struct server_command *out, struct error *err)
{
    struct pieces pieces;
    *out = (struct server_command){0};
    int status = split(text, &pieces, err) ? -1 : read_pieces(&pieces, out, err);
    free(pieces.text);
    return status;
}

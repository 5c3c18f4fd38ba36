/* SPDX-License-Identifier: MIT */
/* server_command.h — the command line that starts an engine's server ("vllm serve MODEL --tensor-parallel-size 4"), as
 * words of a scenario. */
#ifndef TANDEM_PROFILES_SERVER_COMMAND_H
#define TANDEM_PROFILES_SERVER_COMMAND_H

#include "base/json.h"

enum { SERVER_WORDS_MAX = 32, SERVER_NOTES_MAX = 48 };

/* What SGLang multiplies schedule_conservativeness by under attention data parallelism. */
#define SGLANG_RANKS_CONSERVATIVENESS 0.3

/* A word of a scenario and its value, as json_set_path takes them. */
struct server_word {
    char path[64], value[200];
};

struct server_command {
    struct server_word words[SERVER_WORDS_MAX]; /* the model first, then the engine's preset */
    size_t word_count;
    char notes[SERVER_NOTES_MAX][200]; /* a sentence for each flag that cannot be honoured */
    size_t note_count;
};

/* Reads a command line, quotes and all. Fails on one that starts no server that is known, that names no model, or a
 * value that no flag of this kind takes. */
int server_command_read(const char *text, struct server_command *out, struct error *err);

/* Makes a scenario's model, engine and policy those of the server: what the scenario says of these goes. Its device
 * says what the server starts with; its workload, SLO and the rest of its cluster stay. */
int server_command_apply(const struct server_command *c, struct json *scenario, struct error *err);

#endif

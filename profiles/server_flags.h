/* SPDX-License-Identifier: MIT */
/* server_flags.h — what the flags of an engine's server are in a scenario: one table for each engine. */
#ifndef TANDEM_PROFILES_SERVER_FLAGS_H
#define TANDEM_PROFILES_SERVER_FLAGS_H

enum flag_takes { FLAG_NOTHING, FLAG_COUNT, FLAG_NUMBER, FLAG_TEXT };

/* A row of a table that ends with a row whose names are NULL. `-` and `_` are the same in a name. */
struct server_flag {
    const char *names; /* with blanks between: "--tensor-parallel-size -tp" */
    enum flag_takes takes;
    /* The scenario's word, or one of model, tp, pp, dp, ep, kv_tokens, experts and attention_dp, which are put together
     * when all flags have been read. NULL: it cannot be honoured, as `says` says, or changes nothing where that is
     * NULL. */
    const char *word;
    const char *values; /* FLAG_NOTHING: the word's value. FLAG_TEXT: "NAME=VALUE|NAME=|…", what nothing stands behind
                           changes nothing; NULL: the text itself */
    const char *says;
};

/* How a server is started, and of which engine (engine_preset) it is. */
struct server_program {
    const char *words, *engine; /* "vllm serve", "vllm" */
    const struct server_flag *flags;
};

extern const struct server_program server_programs[]; /* ends with NULL words */

#endif

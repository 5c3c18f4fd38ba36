/* SPDX-License-Identifier: MIT */
/* command.h — one row per command; its options table both parses and prints --help. */
#ifndef TANDEM_CLI_COMMAND_H
#define TANDEM_CLI_COMMAND_H

#include <stdbool.h>

#include "base/json.h"
#include "policies/plugins.h"

enum { OPTIONS_MAX = 32, SETS_MAX = 64, WORDS_MAX = 8 };

enum exit_status { EXIT_DONE = 0, EXIT_FAILED = 1, EXIT_BAD_INPUT = 2, EXIT_SLO_MISSED = 3 };

struct option_spec {
    const char *name;  /* "--db"; NULL ends the table */
    const char *value; /* "FILE", or NULL for a switch */
    const char *help;
};

/* What may stand first behind some commands' names, and the options that it takes, apart by blanks. An option that no
 * action lists is all actions'. */
struct action {
    const char *name, *options;
};

struct arguments {
    const char *words[WORDS_MAX]; /* what is not an option */
    int word_count;
    const char *values[OPTIONS_MAX]; /* by place in the options table; a switch has "" */
    const char *sets[SETS_MAX];      /* every --set PATH=VALUE, in order */
    int set_count;
    const char *varied[SETS_MAX]; /* every --vary PATH=VALUES, in order */
    int vary_count;
    const char *plugins[PLUGINS_MAX]; /* every --plugin PATH, in order */
    int plugin_count;
    const char *max_memory; /* what --max-memory says, or NULL */
};

/* A row of the options of every command that compiles scenarios, or lists policies. */
#define PLUGIN_OPTION                                                                                                  \
    {                                                                                                                  \
        "--plugin", "PATH",                                                                                            \
            "load policies from a shared object, whose code is trusted from then on (docs/plugins.md); may be "        \
            "repeated"                                                                                                 \
    }

struct command {
    const char *name, *usage, *summary;
    const struct option_spec *options;
    const struct action *actions; /* ends with a NULL name; NULL: it has none */
    bool joins; /* it may be one of the processes of a job, and loads plug-ins when it has joined (session.h) */
    /* Returns an exit status; on EXIT_FAILED or EXIT_BAD_INPUT the error is filled and printed by main. */
    int (*run)(const struct arguments *args, struct error *err);
};

extern const struct command command_run, command_list, command_describe, command_trace, command_profile, command_report,
    command_validate, command_engine, command_plan, command_size, command_sweep, command_compare, command_calibrate,
    command_model, command_papers, command_serve, command_explore;

/* Fails where an option is given that is only of something else than what is asked for. */
int refuse_option(const struct arguments *args, const struct option_spec *options, int option, const char *is_of,
                  struct error *err);

/* EXIT_BAD_INPUT or EXIT_FAILED, by the error's code. */
int exit_for(const struct error *err);

/* Loads every --plugin PATH. */
int load_plugins(const struct arguments *args, struct error *err);

/* Applies every --set PATH=VALUE to a document. */
int apply_settings(const struct arguments *args, struct json *root, struct error *err);

/* Parses "--set" values, trace names and so on into the workload's JSON. Fills err and returns -1 when a word is
 * missing. */
int need_words(const struct arguments *args, int least, int most, const char *usage, struct error *err);

/* An option's whole number from 1 to `most`; `otherwise` where it is not there. */
int read_count(const char *option, const char *text, size_t otherwise, size_t most, size_t *out, struct error *err);

/* The same of -j: as many threads as there are processors where it is not there. */
int read_threads(const char *text, unsigned *out, struct error *err);

#endif

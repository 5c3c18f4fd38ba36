/* SPDX-License-Identifier: MIT */
/* plan_run.h — a plan searched, answered, printed and kept: what plan and size have in common. */
#ifndef TANDEM_CLI_PLAN_RUN_H
#define TANDEM_CLI_PLAN_RUN_H

#include "cli/command.h"

struct plan_wishes {
    const char *threads; /* what -j says, or NULL */
    bool quiet, all;
    const char *db;              /* NULL: nothing is kept */
    const char *json, *markdown; /* files to write, or NULL */
    const char *emit;            /* a deployment to print, or NULL */
};

/* The database that --db and --no-db name; NULL: none. */
const char *plan_database(const char *named, const char *none);

/* Takes the plan's document over. Returns an exit status. */
int plan_run(const struct plan_wishes *wanted, struct json root, struct error *err);

/* A row of the options of both. */
#define PLAN_EMIT_OPTION                                                                                               \
    {                                                                                                                  \
        "--emit", "vllm|sglang|trtllm|llm-d|dynamo",                                                                   \
            "print how the recommendation and the runner-up are deployed, the benchmark that tests it and what to "    \
            "expect from it"                                                                                           \
    }

#endif

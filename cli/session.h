/* SPDX-License-Identifier: MIT */
/* session.h — what a command that runs many trials needs around them: progress, who runs them (threads, or the ranks of
 * the MPI job that this process is one of), and where they are kept, so that an interrupted one goes on. */
#ifndef TANDEM_CLI_SESSION_H
#define TANDEM_CLI_SESSION_H

#include "cli/command.h"
#include "cli/progress.h"
#include "planner/memory.h"

/* Runs a command that joins the job, where a launcher has started this process as one of several, and loads plug-ins: a
 * rank that cannot is told of by rank 0, once. `here` is what rank 0, or a process by itself, does; other ranks run the
 * trials that it asks for. Returns an exit status. */
int session_run(const struct arguments *args, int (*here)(const struct arguments *args, struct error *err),
                struct error *err);

/* A plan or sweep as it is kept: its JSON with "plugins", the files that are loaded, so that one that was interrupted
 * goes on only with the same ones. The caller's to free; NULL when memory is short. */
char *session_specification(const cJSON *root);

struct session_wishes {
    const char *threads; /* what -j says, or NULL for all processors; ranks run one trial each */
    bool quiet;
    const char *db; /* NULL: nothing is kept, and the rest is not looked at */
    const char *table, *name, *specification;
};

struct session {
    struct progress progress;
    struct planner_watch watch;
    struct trial_pool pool;
    struct store *store;
    struct journal journal;
    struct trial_memory memory;
};

/* The session must not be moved while it is open. Close it also after a failure. */
int session_open(struct session *s, const struct session_wishes *wishes, struct error *err);

/* NULL where nothing is kept. */
struct journal *session_journal(struct session *s);

/* Says so when what failed was interrupted. From then on a signal ends the command where it is. */
void session_close(struct session *s, bool failed, struct error *err);

#endif

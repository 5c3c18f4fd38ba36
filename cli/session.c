/* SPDX-License-Identifier: MIT */
#include "cli/session.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/beside.h"
#include "base/printable.h"
#include "cli/signals.h"
#include "planner/parallel.h"
#include "planner/ranks.h"

/* The job that this process is one of; no command has more than one. */
static struct transport job;
static bool joined, pooled;
static void (*leave_job)(struct transport *t, bool together);

/* MPI waits for all of its processes when it starts and when it ends, and for ever for one that died meanwhile or
 * stands still. */
enum { START_LIMIT_S = 300, LEAVE_LIMIT_S = 120 };

static void leave_in_time(struct transport *t, bool together)
{
    fflush(stdout); /* which remembers a failure, for the end of the command */
    signals_limit(LEAVE_LIMIT_S,
                  "MPI: another process of the job died or stands still while all leave; what was finished is kept");
    leave_job(t, together);
    signals_no_limit();
}

static int start(transport_open open, struct error *err)
{
    signals_limit(START_LIMIT_S, "MPI: the job's other processes do not start");
    int status = open(&job);
    signals_no_limit();
    leave_job = job.leave;
    job.leave = leave_in_time;
    return status ? error_set(err, ERROR_RUN, "MPI: cannot be started") : 0;
}

/* What the launchers of MPICH, Open MPI and Slurm say to the processes that they start. */
static bool is_launched(void)
{
    static const char *const names[] = {"PMI_SIZE", "OMPI_COMM_WORLD_SIZE", "PMIX_RANK", NULL};
    for (const char *const *name = names; *name; name++)
        if (getenv(*name))
            return true;
    return false;
}

static void leave(void)
{
    if (joined && !pooled)
        ranks_dismiss(&job);
    joined = false;
}

/* Rank 0 goes on if it has its plug-ins, the others work for it. */
static int start_work(const struct arguments *args, bool *worked, struct error *err)
{
    struct error unfit = {0};
    bool fit = load_plugins(args, &unfit) == 0;
    if (job.rank > 0) {
        signal(SIGINT, SIG_IGN); /* rank 0 says when to end */
        signal(SIGTERM, SIG_DFL);
        signal(SIGHUP, SIG_DFL);
        *worked = true;
        return ranks_work(&job, fit ? NULL : unfit.text, err);
    }
    joined = true;
    if (fit)
        return 0;
    leave();
    *err = unfit;
    return -1;
}

/* *worked is true when it was not rank 0 and has done its work. After a failure nobody has joined. */
static int join(const struct arguments *args, bool *worked, struct error *err)
{
    *worked = false;
    if (!is_launched())
        return load_plugins(args, err);
    union {
        void *object;
        transport_open open;
    } found = {.object = beside_open("tandem-mpi.so", TRANSPORT_OPEN, true, "MPI", "mpicc", err)};
    if (!found.object)
        return -1;
    if (start(found.open, err))
        return -1;
    signal(SIGUSR1, SIG_IGN); /* MPICH's launcher tells so of a rank that died */
    return start_work(args, worked, err);
}

int session_run(const struct arguments *args, int (*here)(const struct arguments *args, struct error *err),
                struct error *err)
{
    bool worked;
    if (join(args, &worked, err))
        return exit_for(err);
    int status = worked ? EXIT_DONE : here(args, err);
    leave();
    return status;
}

static bool add_plugins(cJSON *to)
{
    const struct plugin *p;
    for (size_t i = 0; (p = plugin_at(i)); i++) {
        cJSON *one = cJSON_CreateObject();
        if (!one || !cJSON_AddItemToArray(to, one) || !cJSON_AddStringToObject(one, "file", plugin_file(p)) ||
            !cJSON_AddStringToObject(one, "sha256", p->sha256))
            return false;
    }
    return true;
}

char *session_specification(const cJSON *root)
{
    if (!plugin_at(0))
        return cJSON_PrintUnformatted(root);
    cJSON *copy = cJSON_Duplicate(root, 1), *plugins = cJSON_AddArrayToObject(copy, "plugins");
    char *text = plugins && add_plugins(plugins) ? cJSON_PrintUnformatted(copy) : NULL;
    cJSON_Delete(copy);
    return text;
}

static int open_pool(const char *threads, const struct planner_watch *watch, struct trial_pool *out, struct error *err)
{
    unsigned n;
    if (read_threads(threads, &n, err))
        return -1;
    if (!joined || job.size == 1)
        return thread_pool_create(n, watch, out, err);
    pooled = true;
    return ranks_pool_create(&job, watch, out, err);
}

int session_open(struct session *s, const struct session_wishes *w, struct error *err)
{
    bool resumed = false;
    *s = (struct session){0};
    progress_start(&s->progress, w->quiet, &s->watch);
    if (open_pool(w->threads, &s->watch, &s->pool, err))
        return -1;
    if (!w->db)
        return 0;
    if (store_open(w->db, &s->store, err) ||
        journal_open(&s->journal, s->store, w->table, w->name, w->specification, &resumed, err))
        return -1;
    s->memory = journal_memory(&s->journal);
    s->pool.memory = &s->memory;
    signals_say("; the same command goes on where it stopped");
    if (resumed && !w->quiet)
        fprintf(stderr, "goes on where %s %lld in %s stopped\n", w->table, (long long)s->journal.id, PRINTABLE(w->db));
    return 0;
}

struct journal *session_journal(struct session *s)
{
    return s->store ? &s->journal : NULL;
}

void session_close(struct session *s, bool failed, struct error *err)
{
    progress_end(&s->progress);
    if (failed && signal_came() && s->store)
        error_set(err, ERROR_RUN, "interrupted; the same command goes on where it stopped");
    trial_pool_destroy(&s->pool);
    store_close(s->store);
    end_on_signal();
}

/* SPDX-License-Identifier: MIT */
/* `papers`: published systems, each with its claim, its setting, and the figure that comes out here. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/choice.h"
#include "cli/command.h"
#include "cli/papers_print.h"
#include "cli/progress.h"
#include "planner/parallel.h"

enum { OPT_ALL, OPT_FORMAT, OPT_THREADS, OPT_STEP, OPT_QUIET };

static const struct option_spec options[] = {
    {"--all", NULL, "run every paper"},
    {"--format", "FORMAT", "text, json, markdown or html (default text)"},
    {"-j", "N", "papers that run at once (default: all processors); figures do not depend on it"},
    {"--step", NULL, "simulate every iteration one by one: the same figures, more slowly"},
    {"--quiet", NULL, "no progress on standard error"},
    {0},
};

enum format { FORMAT_TEXT, FORMAT_JSON, FORMAT_MARKDOWN, FORMAT_HTML };

struct paper_job {
    struct paper *papers;
    struct paper_result *results;
    size_t count, done;
    struct paper_options options;
    struct planner_watch watch;
    pthread_mutex_t lock;
};

static int list(const struct arguments *args, struct error *err)
{
    if (need_words(args, 1, 1, "papers list", err))
        return -1;
    for (size_t i = 0; paper_at(i); i++) {
        struct paper p;
        if (paper_load(paper_at(i), &p, err))
            return -1;
        printf("%-24s %lld  %s%s\n", p.id, p.year, p.title, p.out_of_scope ? " (out of scope)" : "");
        paper_release(&p);
    }
    return 0;
}

/* A run's scenario is such that `tandem run` takes it. */
static int show(const struct arguments *args, struct error *err)
{
    struct paper p;
    if (need_words(args, 2, 3, "papers show ID [RUN]", err) || paper_load(args->words[1], &p, err))
        return -1;
    int status = 0;
    if (args->word_count == 2) {
        papers_print_text(stdout, &p, NULL);
        for (const cJSON *run = p.runs.node ? p.runs.node->child : NULL; run; run = run->next)
            printf("  run        %s\n", run->string);
    } else {
        char *text = paper_scenario(&p, args->words[2], NULL, 0, err);
        status = text ? 0 : -1;
        if (text)
            puts(text);
        cJSON_free(text);
    }
    paper_release(&p);
    return status;
}

static int run_one(void *state, size_t index, struct error *err)
{
    struct paper_job *w = state;
    if (paper_run(&w->papers[index], &w->options, &w->results[index], err))
        return -1;
    pthread_mutex_lock(&w->lock);
    w->watch.progress(w->watch.state, "papers", (double)++w->done, (double)w->count);
    pthread_mutex_unlock(&w->lock);
    return 0;
}

static int read_options(const struct arguments *args, enum format *format, unsigned *threads, struct error *err)
{
    static const char *const names[] = {"text", "json", "markdown", "html"};
    const char *wanted = args->values[OPT_FORMAT] ? args->values[OPT_FORMAT] : "text", *n = args->values[OPT_THREADS];
    char *end = NULL;
    unsigned long count = n ? strtoul(n, &end, 10) : parallel_processors();
    if (count == 0 || count > 4096 || (n && (*end || !*n)))
        return error_set(err, ERROR_INPUT, "-j %s: expected a number of threads from 1 to 4096", n);
    *threads = (unsigned)count;
    for (int i = 0; i < 4; i++)
        if (strcmp(names[i], wanted) == 0) {
            *format = (enum format)i;
            return 0;
        }
    return error_set(err, ERROR_INPUT, "--format %s: expected text, json, markdown or html", wanted);
}

static int print_all(const struct paper_job *w, enum format format, struct error *err)
{
    if (format == FORMAT_JSON)
        return papers_print_json(stdout, w->papers, w->results, w->count, err);
    if (format == FORMAT_MARKDOWN || format == FORMAT_HTML) {
        (format == FORMAT_HTML ? papers_print_html : papers_print_markdown)(stdout, w->papers, w->results, w->count);
        return 0;
    }
    for (size_t i = 0; i < w->count; i++)
        papers_print_text(stdout, &w->papers[i], &w->results[i]);
    if (w->count > 1)
        papers_print_counts(stdout, w->papers, w->results, w->count);
    return 0;
}

static int load_all(const struct arguments *args, struct paper_job *w, struct error *err)
{
    bool all = args->values[OPT_ALL] != NULL;
    size_t count = (size_t)args->word_count - 1;
    if (all && count > 0)
        return error_set(err, ERROR_INPUT, "expected either --all or ids of papers");
    if (!all && count == 0)
        return error_set(err, ERROR_INPUT, "expected ids of papers, or --all; see tandem papers list");
    for (count = all ? 0 : count; all && paper_at(count);)
        count++;
    w->papers = calloc(count + 1, sizeof *w->papers);
    w->results = calloc(count + 1, sizeof *w->results);
    if (!w->papers || !w->results)
        return error_no_memory(err);
    for (; w->count < count; w->count++)
        if (paper_load(all ? paper_at(w->count) : args->words[1 + w->count], &w->papers[w->count], err))
            return -1;
    return 0;
}

static int run_papers(const struct arguments *args, struct error *err)
{
    struct paper_job w = {.lock = PTHREAD_MUTEX_INITIALIZER};
    struct progress progress;
    enum format format = FORMAT_TEXT;
    unsigned threads = 1;
    if (read_options(args, &format, &threads, err))
        return -1;
    int status = load_all(args, &w, err);
    if (status == 0) {
        progress_start(&progress, args->values[OPT_QUIET] != NULL, &w.watch);
        w.options = (struct paper_options){.stop = w.watch.stop,
                                           .threads = w.count == 1 ? threads : 1,
                                           .step = args->values[OPT_STEP] != NULL};
        status = parallel_run(run_one, &w, w.count, threads, err);
        progress_end(&progress);
    }
    if (status == 0)
        status = print_all(&w, format, err);
    for (size_t i = 0; i < w.count; i++)
        paper_release(&w.papers[i]);
    free(w.papers);
    free(w.results);
    return status;
}

static int run(const struct arguments *args, struct error *err)
{
    const char *what = args->word_count > 0 ? args->words[0] : "";
    int status = -1;
    if (strcmp(what, "list") == 0)
        status = list(args, err);
    else if (strcmp(what, "show") == 0)
        status = show(args, err);
    else if (strcmp(what, "run") == 0)
        status = run_papers(args, err);
    else
        error_set(err, ERROR_INPUT, "expected list, show or run, found \"%s\"", what);
    return status ? exit_for(err) : EXIT_DONE;
}

const struct command command_papers = {
    .name = "papers",
    .usage = "papers list | show ID [RUN] | run ID... | run --all",
    .summary = "published systems: what each claims, and the figure that comes out here (docs/papers.md)",
    .options = options,
    .run = run,
};

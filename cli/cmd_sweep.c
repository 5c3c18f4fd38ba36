/* SPDX-License-Identifier: MIT */
#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/output.h"
#include "base/printable.h"
#include "cli/command.h"
#include "cli/session.h"
#include "planner/sweep.h"
#include "profiles/shipped.h"

enum {
    OPT_SET,
    OPT_VARY,
    OPT_REPLICATIONS,
    OPT_PRECISION,
    OPT_METRIC,
    OPT_BEST,
    OPT_DB,
    OPT_NO_DB,
    OPT_THREADS,
    OPT_CSV,
    OPT_QUIET
};

static const struct option_spec options[] = {
    {"--set", "PATH=VALUE", "override a value of the sweep or scenario; may be repeated"},
    {"--vary", "PATH=VALUES",
     "a list (1,2,4), whole numbers one after another (1..4), so many equal steps (0.5..2:lin:4) or equal ratios "
     "(1..64:log:7); may be repeated"},
    {"--replications", "N", "runs of every point, each with a seed of its own (default 1)"},
    {"--precision", "SHARE", "replicate until the half-width of the metric's 95 % interval is below that share of it"},
    {"--metric", "NAME", "that --precision and --best are about (default ttft_s.p99)"},
    {"--best", "least|most", "find the best point with 95 % probability: ranking and selection, paired differences"},
    {"--db", "FILE", "results database, where an interrupted sweep goes on (default tandem.db)"},
    {"--no-db", NULL, "keep nothing; only print the table"},
    {"-j", "N", "threads (default: as many as there are processors)"},
    {"--csv", "FILE", "write the table as CSV, every metric with its interval"},
    {"--quiet", NULL, "no progress"},
    PLUGIN_OPTION,
    {0},
};

static bool starts_number(const char *text)
{
    text += *text == '-' || *text == '+';
    text += *text == '.';
    return isdigit((unsigned char)*text);
}

/* A number at the start of a range's text, which ends at `end`; *rest is what follows it. */
static bool take_number(const char *text, const char **rest, double *out)
{
    char *end = NULL;
    const char *dots = strstr(text, "..");
    char *word = strndup(text, dots ? (size_t)(dots - text) : strlen(text)); /* strtod would read "1." of "1..4" */
    bool starts = word && starts_number(word);
    *out = starts ? strtod(word, &end) : NAN;
    *rest = starts ? text + (end - word) : text;
    free(word);
    return starts && isfinite(*out);
}

/* Of "1..64:log:7" what follows the ends: ":log:7", ":lin:7", ":7", or nothing where whole numbers follow each other.
 */
static bool take_steps(const char *text, double from, double to, bool *logarithmic, double *steps)
{
    *logarithmic = strncmp(text, ":log:", 5) == 0;
    bool spaced = *logarithmic || strncmp(text, ":lin:", 5) == 0;
    *steps = to - from + 1;
    if (!*text)
        return from == floor(from) && to == floor(to);
    const char *count = text + (spaced ? 5 : 1), *rest = count;
    return *text == ':' && isdigit((unsigned char)*count) && take_number(count, &rest, steps) && !*rest;
}

static cJSON *parse_range(const char *text)
{
    double from, to, steps;
    bool logarithmic;
    const char *rest;
    if (!take_number(text, &rest, &from) || strncmp(rest, "..", 2) != 0 || !take_number(rest + 2, &rest, &to) ||
        !take_steps(rest, from, to, &logarithmic, &steps))
        return NULL;
    cJSON *range = cJSON_CreateObject();
    cJSON_AddNumberToObject(range, "from", from);
    cJSON_AddNumberToObject(range, "to", to);
    cJSON_AddNumberToObject(range, "steps", steps);
    cJSON_AddBoolToObject(range, "log", logarithmic);
    return range;
}

/* One value of a list: JSON, or a word. What begins as a number, a string, a list or an object must be one. */
static cJSON *parse_value(const char *word)
{
    cJSON *value = cJSON_ParseWithOpts(word, NULL, 1);
    if (value || !*word || strchr("\"[{", *word) || starts_number(word))
        return value;
    return cJSON_CreateString(word);
}

/* The end of a value: a comma outside brackets and quotes, or the end of the text. */
static const char *value_end(const char *text)
{
    int depth = 0;
    for (bool quoted = false; *text && (quoted || depth > 0 || *text != ','); text++) {
        if (quoted && *text == '\\' && text[1])
            text++;
        else if (*text == '"')
            quoted = !quoted;
        else if (!quoted)
            depth += (*text == '{' || *text == '[') - (*text == '}' || *text == ']');
    }
    return text;
}

static cJSON *parse_list(const char *path, const char *text, struct error *err)
{
    cJSON *list = cJSON_CreateArray();
    for (const char *start = text;; start++) {
        const char *end = value_end(start);
        char *word = strndup(start, (size_t)(end - start));
        cJSON *value = word ? parse_value(word) : NULL;
        if (!word)
            memory_note_failure();
        if (!value) {
            error_set(err, ERROR_INPUT,
                      "--vary %s: found \"%s\", expected values parted by commas (numbers, words, JSON; a word that "
                      "begins with a digit in double quotes), or a range by itself: 1..4, 0.5..2:lin:4, 1..64:log:7",
                      path, word ? word : "");
            cJSON_Delete(list);
            free(word);
            return NULL;
        }
        cJSON_AddItemToArray(list, value);
        free(word);
        if (!*end)
            return list;
        start = end;
    }
}

static int add_varied(cJSON *vary, const char *option, struct error *err)
{
    const char *equals = strchr(option, '=');
    if (!equals || equals == option || !equals[1])
        return error_set(err, ERROR_INPUT, "--vary %s: expected PATH=VALUES, like cluster.replicas=1,2,4", option);
    char *path = strndup(option, (size_t)(equals - option));
    if (!path)
        return error_no_memory(err);
    cJSON *values = parse_range(equals + 1);
    if (!values)
        values = parse_list(path, equals + 1, err);
    int status = values && cJSON_AddItemToObject(vary, path, values) ? 0 : -1;
    if (status && err->code == ERROR_NONE)
        error_no_memory(err);
    free(path);
    return status;
}

static int set_number(cJSON *sweep, const char *key, const char *text, struct error *err)
{
    cJSON *number = cJSON_ParseWithOpts(text, NULL, 1);
    if (cJSON_IsNumber(number) && cJSON_AddItemToObject(sweep, key, number))
        return 0;
    cJSON_Delete(number);
    return error_set(err, ERROR_INPUT, "--%s %s: expected a number", key, text);
}

/* A scenario and options in the place of a sweep file. */
static int wrap_scenario(const struct arguments *args, struct json *root, struct error *err)
{
    static const struct {
        int option;
        const char *key;
        bool number;
    } others[] = {{OPT_REPLICATIONS, "replications", true},
                  {OPT_PRECISION, "precision", true},
                  {OPT_METRIC, "metric", false},
                  {OPT_BEST, "best", false}};
    cJSON *node = (cJSON *)(uintptr_t)root->node;
    if (!json_member(root, "scenario").node) {
        cJSON *wrapped = cJSON_CreateObject();
        if (!wrapped)
            return error_no_memory(err);
        cJSON_AddItemToObject(wrapped, "scenario", node);
        root->node = node = wrapped;
    }
    cJSON *vary = cJSON_GetObjectItemCaseSensitive(node, "vary");
    if (!vary)
        vary = cJSON_AddObjectToObject(node, "vary");
    for (int i = 0; i < args->vary_count; i++)
        if (add_varied(vary, args->varied[i], err))
            return -1;
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        const char *text = args->values[others[i].option];
        if (!text)
            continue;
        cJSON_DeleteItemFromObjectCaseSensitive(node, others[i].key);
        if (others[i].number && set_number(node, others[i].key, text, err))
            return -1;
        if (!others[i].number)
            cJSON_AddStringToObject(node, others[i].key, text);
    }
    return 0;
}

static const char *const columns[] = {"ttft_s.p50", "ttft_s.p99",  "tpot_s.p50",     "tpot_s.p99",    "itl_s.p99",
                                      "e2e_s.p50",  "e2e_s.p99",   "requests_per_s", "goodput_per_s", "tokens_per_s",
                                      "attainment", "utilization", "margin",         "gpus",          "makespan_s"};
enum { COLUMNS = sizeof columns / sizeof *columns };

static const char *last_of(const char *path)
{
    const char *dot = strrchr(path, '.');
    return dot ? dot + 1 : path;
}

static void print_estimate(struct estimate e, bool interval)
{
    if (!isfinite(e.value))
        printf(" %16s", "–");
    else if (interval && isfinite(e.low))
        printf(" %9.4g ±%5.1f%%", e.value, 100 * inference_relative_half_width(e));
    else
        printf(" %16.4g", e.value);
}

/* How far others are behind the best one, request streams being the same. */
static void print_difference(const struct sweep *s, const struct sweep_point *p, const struct sweep_point *best)
{
    double mine[4096], its[4096];
    size_t n = p->point.count < best->point.count ? p->point.count : best->point.count;
    n = n > 4096 ? 4096 : n;
    for (size_t i = 0; i < n; i++) {
        trial_value(&p->point.results[i], s->metric, &mine[i]);
        trial_value(&best->point.results[i], s->metric, &its[i]);
    }
    struct estimate e = inference_paired(mine, its, n, 0.95);
    double mean = fabs(point_mean(&best->point, s->metric, 0.95).value);
    printf("  %s %+.2f %% ± %.2f (%zu pairs)", s->metric, 100 * e.value / mean, 50 * (e.high - e.low) / mean, n);
}

static const struct sweep_point *best_of(const struct sweep *s, const struct sweep_point *points, size_t count)
{
    const struct sweep_point *best = NULL;
    double most = -INFINITY;
    for (size_t i = 0; s->best != 0 && i < count; i++) {
        double value = s->best * point_mean(&points[i].point, s->metric, 0.95).value;
        if (!points[i].left_out && value > most) {
            most = value;
            best = &points[i];
        }
    }
    return best;
}

static const char *slo_word(const struct point *p)
{
    size_t met = 0;
    for (size_t r = 0; r < p->count; r++)
        met += p->results[r].slo_met;
    return point_overloaded(p) ? "overloaded" : met == p->count ? "met" : met == 0 ? "missed" : "at times";
}

static void print_table(const struct sweep *s, const struct sweep_point *points, size_t count)
{
    static const char *const shown[] = {"ttft_s.p50", "ttft_s.p99", "tpot_s.p99", "goodput_per_s", "attainment"};
    const struct sweep_point *best = best_of(s, points, count);
    bool interval = s->replications > 1 || s->precision > 0 || s->best != 0;
    size_t widths[SWEEP_AXES_MAX], alone = 0;
    for (size_t a = 0; a < s->axis_count; a++) {
        widths[a] = strlen(last_of(s->axes[a].path));
        for (size_t i = 0; i < count; i++) {
            char text[128];
            sweep_value_text(&points[i], a, text, sizeof text);
            printable_in_place(text, sizeof text);
            widths[a] = strlen(text) > widths[a] ? strlen(text) : widths[a];
        }
        printf("%-*s  ", (int)widths[a], last_of(s->axes[a].path));
    }
    printf("%-10s", "SLO");
    for (size_t k = 0; k < sizeof shown / sizeof *shown; k++)
        printf(" %16s", shown[k]);
    printf("\n");
    for (size_t i = 0; i < count; i++) {
        const struct point *p = &points[i].point;
        for (size_t a = 0; a < s->axis_count; a++) {
            char text[128];
            sweep_value_text(&points[i], a, text, sizeof text);
            printable_in_place(text, sizeof text);
            printf("%-*s  ", (int)widths[a], text);
        }
        if (p->failed) {
            printf(" %s\n", PRINTABLE(p->results[p->count - 1].message));
            continue;
        }
        printf("%-10s", slo_word(p));
        for (size_t k = 0; k < sizeof shown / sizeof *shown; k++)
            print_estimate(point_mean(p, shown[k], 0.95), interval);
        if (&points[i] == best)
            printf("  ← best");
        else if (best)
            print_difference(s, &points[i], best);
        printf("\n");
        alone += best && !points[i].left_out;
    }
    if (best && alone == 1)
        printf("\nbest by %s with a probability of %g %%, differences below %g %% left aside\n", s->metric,
               100 * s->confidence, 100 * s->indifference);
    else if (best)
        printf("\n%zu points could not be told apart by %s within %zu replications\n", alone, s->metric,
               s->replications);
}

static int write_csv(const char *file, const struct sweep *s, const struct sweep_point *points, size_t count,
                     struct error *err)
{
    struct output o;
    if (output_open(&o, file, err))
        return -1;
    FILE *out = o.out;
    for (size_t a = 0; a < s->axis_count; a++) {
        printable_csv(out, s->axes[a].path);
        fputc(',', out);
    }
    fprintf(out, "replications");
    for (size_t k = 0; k < COLUMNS; k++)
        fprintf(out, ",%s,%s.low,%s.high", columns[k], columns[k], columns[k]);
    fprintf(out, "\n");
    for (size_t i = 0; i < count; i++) {
        for (size_t a = 0; a < s->axis_count; a++) {
            char text[512];
            sweep_value_text(&points[i], a, text, sizeof text);
            if (cJSON_IsNumber(points[i].value[a]))
                fputs(text, out);
            else
                printable_csv(out, text);
            fputc(',', out);
        }
        fprintf(out, "%zu", points[i].point.count);
        for (size_t k = 0; k < COLUMNS; k++) {
            struct estimate e = point_mean(&points[i].point, columns[k], 0.95);
            const double values[] = {e.value, e.low, e.high};
            for (int v = 0; v < 3; v++)
                fprintf(out, isfinite(values[v]) ? ",%.9g" : ",", values[v]);
        }
        fprintf(out, "\n");
    }
    return output_close(&o, false, err);
}

static int sweep_and_print(const struct arguments *args, const struct sweep *s, struct session *session,
                           struct error *err)
{
    struct trial_pool *pool = &session->pool;
    struct journal *journal = session_journal(session);
    struct sweep_point *points = NULL;
    size_t count = 0, failed = 0;
    double started = wall_clock_s();
    int status = sweep_points_make(s, &points, &count, err) || sweep_run(s, points, count, pool, err) ? -1 : 0;
    progress_end(&session->progress);
    if (status == 0)
        status = memory_check(err);
    if (status == 0 && journal)
        status = journal_finish(journal, "done", NULL, err);
    for (size_t i = 0; status == 0 && i < count; i++)
        failed += points[i].point.failed;
    if (status == 0) {
        char wall[32];
        print_duration(wall, sizeof wall, wall_clock_s() - started);
        print_table(s, points, count);
        printf("\n%zu points, ", count);
        if (failed > 0)
            printf("%zu of which cannot be run, ", failed);
        printf("%llu runs of %.3g million requests in %s\n", (unsigned long long)pool->trials,
               (double)pool->requests * 1e-6, wall);
    }
    if (status == 0 && args->values[OPT_CSV])
        status = write_csv(args->values[OPT_CSV], s, points, count, err);
    if (status == 0 && failed == count)
        status = error_set(err, ERROR_INPUT, "none of the points can be run: %s",
                           points[0].point.results[points[0].point.count - 1].message);
    int exit = status ? exit_for(err) : EXIT_DONE;
    sweep_points_release(points, count);
    return exit;
}

static int make_sweep(const struct arguments *args, struct json root, struct error *err)
{
    struct sweep s;
    struct session session;
    char *specification = session_specification(root.node);
    if (sweep_read(&s, root, err)) {
        free(specification);
        return exit_for(err);
    }
    struct session_wishes wishes = {.threads = args->values[OPT_THREADS],
                                    .quiet = args->values[OPT_QUIET] != NULL,
                                    .db = args->values[OPT_NO_DB] ? NULL
                                          : args->values[OPT_DB]  ? args->values[OPT_DB]
                                                                  : "tandem.db",
                                    .table = "sweep",
                                    .name = s.name,
                                    .specification = specification};
    int status = session_open(&session, &wishes, err) ? exit_for(err) : sweep_and_print(args, &s, &session, err);
    session_close(&session, status == EXIT_FAILED, err);
    sweep_release(&s);
    free(specification);
    return status;
}

static int run_here(const struct arguments *args, struct error *err)
{
    struct json root;
    if (need_words(args, 1, 1, command_sweep.usage, err) || shipped_load("scenario", args->words[0], &root, err))
        return exit_for(err);
    bool is_sweep = json_member(&root, "scenario").node != NULL;
    int status = apply_settings(args, &root, err);
    if (status == 0 && !is_sweep && json_member(&root, "scenario").node)
        status = error_set(err, ERROR_INPUT, "--set scenario.…: %s is a scenario itself; leave out \"scenario.\"",
                           args->words[0]);
    if (status || wrap_scenario(args, &root, err)) {
        cJSON_Delete((cJSON *)(uintptr_t)root.node);
        return exit_for(err);
    }
    return make_sweep(args, root, err);
}

static int run(const struct arguments *args, struct error *err)
{
    return session_run(args, run_here, err);
}

const struct command command_sweep = {
    .name = "sweep",
    .usage = "sweep GRID|SCENARIO [--vary PATH=VALUES]...",
    .summary = "run every combination of scenario values, on threads or MPI ranks; resumable",
    .options = options,
    .joins = true,
    .run = run,
};

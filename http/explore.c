/* SPDX-License-Identifier: MIT */
#include "http/explore.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "http/explore_curve.h"
#include "policies/registry.h"
#include "profiles/device.h"
#include "profiles/shipped.h"
#include "reports/store/store.h"
#include "workloads/trace.h"

extern const char explore_html[], explore_css[], explore_js[], page_css[];

enum { RUNS_SHOWN = 50 };

int explorer_open(struct explorer *e, const char *name, const struct json *scenario, const char *database,
                  const volatile sig_atomic_t *stop, struct error *err)
{
    *e = (struct explorer){.scenario = name,
                           .text = cJSON_PrintUnformatted(scenario->node),
                           .database = database,
                           .stop = stop,
                           .costs = shared_costs_create(),
                           .trace = -1};
    pthread_mutex_init(&e->turn, NULL);
    if (e->text && e->costs)
        return 0;
    explorer_close(e);
    return error_no_memory(err);
}

void explorer_close(struct explorer *e)
{
    if (e->trace >= 0)
        close(e->trace);
    shared_costs_destroy(e->costs);
    cJSON_free(e->text);
    pthread_mutex_destroy(&e->turn);
}

void explorer_refuse(struct http_answer *out, int status, const char *sentence)
{
    cJSON *root = cJSON_CreateObject();
    out->status = status;
    out->text = cJSON_AddStringToObject(root, "error", sentence) ? cJSON_PrintUnformatted(root) : NULL;
    cJSON_Delete(root);
}

static void answer_json(cJSON *root, struct http_answer *out)
{
    out->text = cJSON_PrintUnformatted(root);
    out->status = out->text ? 200 : 503;
    cJSON_Delete(root);
}

/* ---- what there is to choose from ---- */

static void add_shipped(cJSON *root, const char *kind, const char *key)
{
    cJSON *list = cJSON_AddArrayToObject(root, key);
    for (const struct shipped_file *f = shipped_files; list && f->kind; f++)
        if (strcmp(f->kind, kind) == 0)
            cJSON_AddItemToArray(list, cJSON_CreateString(f->name));
}

/* Devices with their listed price; one that cannot be read is left out. */
static void add_devices(cJSON *root)
{
    cJSON *prices = cJSON_AddObjectToObject(root, "devices");
    for (const struct shipped_file *f = shipped_files; prices && f->kind; f++) {
        struct device *d = strcmp(f->kind, "device") == 0 ? malloc(sizeof *d) : NULL;
        struct error ignored = {0};
        if (d && device_load(f->name, d, &ignored) == 0) {
            cJSON_AddNumberToObject(prices, f->name, d->price_per_hour);
            device_release(d);
        }
        free(d);
    }
}

static void add_policies(cJSON *root, enum policy_axis axis)
{
    cJSON *list = cJSON_AddArrayToObject(root, policy_axis_names[axis]);
    const void *p;
    for (size_t i = 0; list && (p = policy_at(axis, i)); i++)
        cJSON_AddItemToArray(list, cJSON_CreateString(policy_name(p)));
}

static void answer_start(const struct explorer *e, struct http_answer *out)
{
    cJSON *root = cJSON_CreateObject();
    cJSON_AddStringToObject(root, "name", e->scenario);
    cJSON_AddItemToObject(root, "scenario", cJSON_Parse(e->text));
    add_shipped(root, "model", "models");
    add_shipped(root, "engine", "engines");
    add_devices(root);
    add_policies(root, AXIS_BATCHING);
    add_policies(root, AXIS_ROUTING);
    answer_json(root, out);
}

/* ---- a trace that was dropped on the page ---- */

static int count_trace(const char *path, double *requests, double *duration_s, struct error *err)
{
    struct request_source source;
    struct arrival a;
    int got;
    *requests = *duration_s = 0;
    if (trace_open(path, &(struct trace_options){0}, &source, err))
        return -1;
    while ((got = source.next(source.state, &a, err)) == 1) {
        *requests += 1;
        *duration_s = sim_time_to_s(a.at);
    }
    request_source_destroy(&source);
    return got;
}

static void take_trace(struct explorer *e, const struct http_request *request, struct http_answer *out)
{
    struct error err = {0};
    double requests, duration_s;
    char path[64];
    FILE *file = tmpfile();
    int fd = file ? dup(fileno(file)) : -1;
    bool whole = file && fwrite(request->body, 1, request->body_size, file) == request->body_size && !fflush(file);
    if (file)
        whole = fclose(file) == 0 && whole;
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    if (!whole || fd < 0) {
        explorer_refuse(out, 503, "the trace could not be written to a temporary file");
    } else if (count_trace(path, &requests, &duration_s, &err)) {
        const char *said = strncmp(err.text, path, strlen(path)) == 0 ? err.text + strlen(path) : NULL;
        char sentence[1100];
        snprintf(sentence, sizeof sentence, "%s%s", said ? "the trace" : "", said ? said : err.text);
        explorer_refuse(out, 400, sentence);
    } else if (requests < 2 || !(duration_s > 0)) {
        explorer_refuse(out, 400, "the trace: expected two requests at least, at different instants");
    } else {
        pthread_mutex_lock(&e->turn);
        int before = e->trace;
        e->trace = fd;
        e->trace_per_s = (requests - 1) / duration_s;
        pthread_mutex_unlock(&e->turn);
        fd = before;
        cJSON *root = cJSON_CreateObject();
        cJSON_AddNumberToObject(root, "requests", requests);
        cJSON_AddNumberToObject(root, "duration_s", duration_s);
        cJSON_AddNumberToObject(root, "rate_per_s", (requests - 1) / duration_s);
        answer_json(root, out);
    }
    if (fd >= 0)
        close(fd);
}

/* ---- kept runs ---- */

static int take_run(void *state, int columns, char **values, struct error *err)
{
    static const char *const keys[] = {"id", "name", "started", "met"};
    cJSON *run = cJSON_CreateObject();
    (void)err;
    for (int i = 0; i < columns; i++)
        cJSON_AddStringToObject(run, keys[i], values[i] ? values[i] : "");
    cJSON_AddItemToArray(state, run);
    return 0;
}

static void list_runs(const struct explorer *e, struct http_answer *out)
{
    struct store *store = NULL;
    struct error err = {0};
    cJSON *list = cJSON_CreateArray();
    if (access(e->database, F_OK) == 0 &&
        (store_open_kept(e->database, &store, &err) ||
         store_read(store, take_run, list, &err,
                    "SELECT id, name, started_at, slo_met FROM run ORDER BY id DESC LIMIT ?", "i",
                    (int64_t)RUNS_SHOWN))) {
        explorer_refuse(out, 503, err.text);
        cJSON_Delete(list);
    } else {
        answer_json(list, out);
    }
    store_close(store);
}

static void answer_page(struct http_answer *out)
{
    out->text =
        http_text("%s<style>%s%s</style>%s<script>%s</script></body></html>\n",
                  "<!DOCTYPE html><html lang=\"en\"><head><meta charset=\"utf-8\"><title>Tandem explorer</title>"
                  "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">"
                  "<link rel=\"icon\" href=\"data:,\">",
                  page_css, explore_css, explore_html, explore_js);
    out->status = out->text ? 200 : 503;
    out->type = "text/html; charset=utf-8";
}

void explorer_handle(void *state, const struct http_request *request, struct http_answer *out)
{
    struct explorer *e = state;
    bool gets = strcmp(request->method, "GET") == 0, posts = strcmp(request->method, "POST") == 0;
    if (gets && strcmp(request->path, "/") == 0)
        answer_page(out);
    else if (gets && strcmp(request->path, "/start") == 0)
        answer_start(e, out);
    else if (gets && strcmp(request->path, "/runs") == 0)
        list_runs(e, out);
    else if (posts && strcmp(request->path, "/trace") == 0)
        take_trace(e, request, out);
    else if (posts && strcmp(request->path, "/curve") == 0)
        curve_begin(e, request, out);
    else
        explorer_refuse(out, 404, "expected GET /, /start or /runs, or POST /trace or /curve");
}

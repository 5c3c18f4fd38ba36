/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/output.h"
#include "base/printable.h"
#include "cli/command.h"
#include "cli/signals.h"
#include "http/openai.h"
#include "profiles/shipped.h"
#include "reports/formats/text.h"

enum {
    OPT_SET,
    OPT_PORT,
    OPT_ADDRESS,
    OPT_KEY,
    OPT_MODEL_NAME,
    OPT_SPEED,
    OPT_REQUESTS,
    OPT_BYTES,
    OPT_CONNECTIONS,
    OPT_WAIT,
    OPT_ARRIVALS,
    OPT_DB,
    OPT_NO_DB,
    OPT_QUIET
};

static const struct option_spec options[] = {
    {"--set", "PATH=VALUE", "override a scenario value, e.g. --set cluster.replicas=2; may be repeated"},
    {"--port", "N", "listen there (default 8000; 0: any that is free, which is printed)"},
    {"--address", "IPV4", "listen on another address than 127.0.0.1: whoever reaches it may use it"},
    {"--api-key", "KEY", "answer only requests with the header \"Authorization: Bearer KEY\""},
    {"--served-model-name", "NAME", "what clients call the model (default: the scenario's model)"},
    {"--speed", "X", "seconds of simulated time in one on the wall clock, 0.001 to 1000 (default 1)"},
    {"--requests", "N", "end when so many requests have been served (default: at Ctrl-C)"},
    {"--bytes-per-token", "N", "of a prompt that is text (default 4); a prompt of token numbers is counted"},
    {"--connections", "N", "at most so many at once (default 1024)"},
    {"--client-wait", "SECONDS", "for a client to send its whole request, or to take what it is sent (default 30)"},
    {"--arrivals", "FILE", "write what arrived as a trace, of which tandem run makes the same latencies"},
    {"--db", "FILE", "results database (default tandem.db)"},
    {"--no-db", NULL, "keep nothing; only print the summary"},
    {"--quiet", NULL, "print nothing but errors"},
    PLUGIN_OPTION,
    {0},
};

enum { MOST_BODY = 8 << 20 };

/* What the options say. */
struct served {
    size_t port, requests, bytes, connections, wait_s;
    double speed;
    struct output arrivals;
    bool writes;
};

static int read_port(const char *text, size_t *out, struct error *err)
{
    if (text && strcmp(text, "0") == 0) {
        *out = 0;
        return 0;
    }
    return read_count("--port", text, 8000, 65535, out, err);
}

static int read_options(const struct arguments *args, struct served *out, struct error *err)
{
    const char *speed = args->values[OPT_SPEED], *key = args->values[OPT_KEY];
    char *end = NULL;
    out->speed = speed ? strtod(speed, &end) : 1;
    if (speed && (end == speed || *end || !(out->speed >= 0.001 && out->speed <= 1000)))
        return error_set(err, ERROR_INPUT, "--speed %s: expected a number from 0.001 to 1000", speed);
    if (key && !*key)
        return error_set(err, ERROR_INPUT, "--api-key: expected a key, found none");
    if (args->values[OPT_MODEL_NAME] && !*args->values[OPT_MODEL_NAME])
        return error_set(err, ERROR_INPUT, "--served-model-name: expected a name, found none");
    return read_port(args->values[OPT_PORT], &out->port, err) ||
                   read_count("--requests", args->values[OPT_REQUESTS], 0, 1000000000, &out->requests, err) ||
                   read_count("--bytes-per-token", args->values[OPT_BYTES], 4, 1024, &out->bytes, err) ||
                   read_count("--connections", args->values[OPT_CONNECTIONS], 1024, 16384, &out->connections, err) ||
                   read_count("--client-wait", args->values[OPT_WAIT], 30, 3600, &out->wait_s, err)
               ? -1
               : 0;
}

/* Nothing is cut as a warm-up unless the scenario asks for it, as in a run of a trace. */
static int open_scenario(const struct arguments *args, struct simulation **out, struct error *err)
{
    struct json root;
    if (shipped_load("scenario", args->words[0], &root, err))
        return -1;
    if (apply_settings(args, &root, err)) {
        cJSON_Delete((cJSON *)(uintptr_t)root.node);
        return -1;
    }
    if (simulation_open(root, out, err))
        return -1;
    struct scenario *s = &(*out)->scenario;
    struct json output = json_member(&s->root, "output");
    if (!json_member(&output, "warmup").node)
        s->warmup = WARMUP_NONE;
    return 0;
}

/* The run that is kept is of what arrived: of the trace, where there is one. Else its name says that its workload is
 * not what was served. */
static int name_arrivals(struct scenario *s, const char *trace, struct error *err)
{
    const char *how = trace ? " (served live)" : " (served live, arrivals not kept)";
    char name[sizeof s->name];
    snprintf(name, sizeof name, "%.*s%s", (int)(sizeof name - strlen(how) - 1), s->name, how);
    snprintf(s->name, sizeof s->name, "%s", name);
    cJSON *file = trace ? cJSON_CreateString(trace) : NULL;
    char *text = file ? cJSON_PrintUnformatted(file) : NULL;
    int status = 0;
    if (text) {
        cJSON_DeleteItemFromObjectCaseSensitive((cJSON *)(uintptr_t)s->root.node, "workload");
        status = json_set_path(&s->root, "workload.trace", text, err);
    } else if (trace) {
        status = error_no_memory(err);
    }
    cJSON_Delete(file);
    cJSON_free(text);
    return status;
}

static void say_where(const struct http_server *server, const struct simulation *s, const struct openai *o,
                      double speed)
{
    printf("serving %s as \"%s\" at http://%s:%u/v1", PRINTABLE(s->scenario.name), PRINTABLE(o->model),
           http_address(server), http_port(server));
    if (speed != 1)
        printf(", %g simulated seconds a second", speed);
    printf("; Ctrl-C ends it\n");
    fflush(stdout);
}

static int serve(const struct arguments *args, const struct served *said, struct simulation *s, struct store *store,
                 struct error *err)
{
    const struct model *model = &scenario_cost(&s->scenario)->model;
    const struct live_options live_options = {said->speed, said->requests, said->writes ? said->arrivals.out : NULL,
                                              stop_on_signal()};
    struct openai o = {.live = live_create(&live_options),
                       .model = args->values[OPT_MODEL_NAME] ? args->values[OPT_MODEL_NAME] : model->name,
                       .bytes_per_token = (uint32_t)said->bytes,
                       .most_tokens = model->max_tokens,
                       .hashes = true};
    const struct http_options http = {.address = args->values[OPT_ADDRESS],
                                      .port = (unsigned)said->port,
                                      .token = args->values[OPT_KEY],
                                      .most_body = MOST_BODY,
                                      .most_connections = (unsigned)said->connections,
                                      .most_wait_s = (unsigned)said->wait_s};
    struct http_server *server = NULL;
    int status = o.live ? http_start(&server, &http, openai_handle, &o, err) : error_no_memory(err);
    if (status == 0) {
        if (!args->values[OPT_QUIET])
            say_where(server, s, &o, said->speed);
        status = live_run(o.live, s, store, err);
        if (signal_came())
            signals_wait_for_keeping();
        http_stop(server, signal_came() ? 0.5 : 5);
    }
    live_destroy(o.live);
    return status;
}

static int serve_and_keep(const struct arguments *args, const struct served *said, struct simulation *s,
                          struct store *store, struct error *err)
{
    if (serve(args, said, s, store, err) || name_arrivals(&s->scenario, args->values[OPT_ARRIVALS], err))
        return exit_for(err);
    bool nobody = s->summary.totals.arrived == 0;
    int64_t id = store && !nobody ? simulation_keep(s, store, err) : 0;
    if (id < 0)
        return exit_for(err);
    if (args->values[OPT_QUIET])
        return EXIT_DONE;
    if (nobody) {
        printf("nobody came\n");
        return EXIT_DONE;
    }
    text_print_summary(stdout, &s->scenario, &s->summary, &s->metrics, s->wall_s);
    if (store)
        printf("  kept       run %lld in %s\n", (long long)id,
               PRINTABLE(args->values[OPT_DB] ? args->values[OPT_DB] : "tandem.db"));
    return EXIT_DONE;
}

static int run(const struct arguments *args, struct error *err)
{
    struct simulation *s = NULL;
    struct store *store = NULL;
    struct served said = {0};
    if (need_words(args, 1, 1, command_serve.usage, err) || read_options(args, &said, err) ||
        open_scenario(args, &s, err))
        return exit_for(err);
    int status = EXIT_DONE;
    said.writes = args->values[OPT_ARRIVALS] != NULL;
    if (said.writes && output_open(&said.arrivals, args->values[OPT_ARRIVALS], err)) {
        simulation_close(s);
        return exit_for(err);
    }
    if (!args->values[OPT_NO_DB] && store_open(args->values[OPT_DB] ? args->values[OPT_DB] : "tandem.db", &store, err))
        status = exit_for(err);
    else
        status = serve_and_keep(args, &said, s, store, err);
    if (said.writes && output_close(&said.arrivals, status != EXIT_DONE, err) && status == EXIT_DONE)
        status = exit_for(err);
    store_close(store);
    simulation_close(s);
    return status;
}

const struct command command_serve = {
    .name = "serve",
    .usage = "serve SCENARIO [--port N]",
    .summary = "serve OpenAI's protocol on 127.0.0.1 as the scenario would, in real time: a mock that clients measure",
    .options = options,
    .run = run,
};

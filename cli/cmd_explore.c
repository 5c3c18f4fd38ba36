/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "base/printable.h"
#include "cli/command.h"
#include "cli/signals.h"
#include "http/explore.h"
#include "profiles/shipped.h"
#include "simulation/simulation.h"

enum { OPT_SET, OPT_PORT, OPT_ADDRESS, OPT_DB };

static const struct option_spec options[] = {
    {"--set", "PATH=VALUE", "override a scenario value that the page starts with; may be repeated"},
    {"--port", "N", "listen there (default 0: any that is free)"},
    {"--address", "IPV4", "listen on another address than 127.0.0.1: whoever has the page's address may use it"},
    {"--db", "FILE", "results database, where the page keeps runs (default tandem.db)"},
    PLUGIN_OPTION,
    {0},
};

enum { TOKEN_BYTES = 16, MOST_BODY = 16 << 20, MOST_CONNECTIONS = 32, MOST_WAIT_S = 30 };

/* Nobody who has not seen the address can guess it. */
static int make_token(char out[2 * TOKEN_BYTES + 1], struct error *err)
{
    unsigned char bytes[TOKEN_BYTES];
    if (getrandom(bytes, sizeof bytes, 0) != (ssize_t)sizeof bytes)
        return error_set(err, ERROR_RUN, "the system gives no random numbers: %s", strerror(errno));
    for (size_t i = 0; i < sizeof bytes; i++)
        snprintf(out + 2 * i, 3, "%02x", bytes[i]);
    return 0;
}

static int serve(const struct arguments *args, struct explorer *e, struct error *err)
{
    char token[2 * TOKEN_BYTES + 1];
    size_t port = 0;
    struct http_server *server = NULL;
    const char *asked = args->values[OPT_PORT];
    if (make_token(token, err) ||
        (asked && strcmp(asked, "0") != 0 && read_count("--port", asked, 0, 65535, &port, err)))
        return -1;
    const struct http_options o = {.address = args->values[OPT_ADDRESS],
                                   .port = (unsigned)port,
                                   .token = token,
                                   .most_body = MOST_BODY,
                                   .most_connections = MOST_CONNECTIONS,
                                   .most_wait_s = MOST_WAIT_S};
    if (http_start(&server, &o, explorer_handle, e, err))
        return -1;
    printf("open http://%s:%u/?token=%s in a browser; Ctrl-C ends it\n", http_address(server), http_port(server),
           token);
    fflush(stdout);
    while (!*e->stop)
        nanosleep(&(struct timespec){.tv_nsec = 50000000}, NULL);
    http_stop(server, 0.2);
    return 0;
}

/* What the page begins with can be run. */
static int open_scenario(const struct arguments *args, const char *name, struct explorer *e, struct error *err)
{
    struct json root;
    struct simulation *s = NULL;
    if (shipped_load("scenario", name, &root, err))
        return -1;
    if (apply_settings(args, &root, err)) {
        cJSON_Delete((cJSON *)(uintptr_t)root.node);
        return -1;
    }
    if (simulation_open(root, &s, err))
        return -1;
    int status = explorer_open(e, name, &s->scenario.root, args->values[OPT_DB] ? args->values[OPT_DB] : "tandem.db",
                               stop_on_signal(), err);
    simulation_close(s);
    return status;
}

static int run(const struct arguments *args, struct error *err)
{
    struct explorer e;
    if (need_words(args, 0, 1, command_explore.usage, err) ||
        open_scenario(args, args->word_count > 0 ? args->words[0] : "default", &e, err))
        return exit_for(err);
    int status = serve(args, &e, err) ? exit_for(err) : EXIT_DONE;
    explorer_close(&e);
    return status;
}

const struct command command_explore = {
    .name = "explore",
    .usage = "explore [SCENARIO]",
    .summary = "serve a page on 127.0.0.1 where sliders move a scenario, and its verdict and curve follow",
    .options = options,
    .run = run,
};

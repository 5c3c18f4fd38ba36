/* SPDX-License-Identifier: MIT */
/* Any text as a scenario: it compiles, or it fails with a sentence; what compiles runs for a moment. */
#include <stdlib.h>
#include <string.h>

#include "simulation/simulation.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { MOST_REQUESTS = 50 };

/* At most MOST_REQUESTS of the scenario's workload, none of them long, so that a run takes no time. */
struct short_source {
    struct request_source inner;
    int left;
};

static int next(void *state, struct arrival *out, struct error *err)
{
    struct short_source *s = state;
    if (s->left-- <= 0)
        return 0;
    int got = s->inner.next(s->inner.state, out, err);
    out->output_tokens %= 64;
    out->prompt_tokens %= 100000;
    return got;
}

static void run(struct simulation *s)
{
    struct short_source source = {.left = MOST_REQUESTS};
    struct error err = {0};
    const struct cluster_config *c = &s->scenario.cluster;
    if (cluster_replicas(c) > 100 || c->pools[0].replica.kv_blocks < 1)
        return;
    if (scenario_open_workload(&s->scenario, &source.inner, &err))
        return;
    struct request_source outer = {.next = next, .state = &source};
    if (simulation_run(s, &(struct simulation_options){.source = &outer}, &err) &&
        strncmp(err.text, "internal", 8) == 0)
        abort(); /* an invariant is broken */
    request_source_destroy(&source.inner);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct error err = {0};
    struct json root;
    struct simulation *s = NULL;
    char *text = malloc(size + 1);
    if (!text)
        return 0;
    memcpy(text, data, size);
    text[size] = 0;
    if (json_parse(text, "fuzz", &root, &err) == 0 && simulation_open(root, &s, &err) == 0) {
        run(s);
        simulation_close(s);
    } else if (err.code == ERROR_NONE || err.text[0] == 0) {
        abort();
    }
    free(text);
    return 0;
}

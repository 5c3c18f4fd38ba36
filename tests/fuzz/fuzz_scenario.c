/* SPDX-License-Identifier: MIT */
/* Any text as a scenario: it compiles, or it fails with a sentence; what compiles runs for a moment. */
#include <stdlib.h>
#include <string.h>

#include "reports/metrics.h"

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

static void run(struct scenario *s)
{
    static struct run_metrics m;
    struct short_source source = {.left = MOST_REQUESTS};
    struct run_summary summary;
    struct cluster_totals totals;
    struct error err = {0};
    if (cluster_replicas(&s->cluster) > 100 || s->cluster.pools[0].replica.kv_blocks < 1)
        return;
    if (scenario_open_workload(s, &source.inner, &err))
        return;
    struct request_source outer = {.next = next, .state = &source};
    if (run_metrics_init(&m, s, &err) == 0) {
        struct observer observer = run_metrics_observer(&m);
        if (cluster_run(&s->cluster, &outer, &observer, NULL, &totals, &err) == 0 &&
            run_metrics_summarise(&m, s, &totals, &summary, &err) && err.code == ERROR_RUN)
            abort(); /* an invariant is broken */
    }
    run_metrics_release(&m);
    request_source_destroy(&source.inner);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct error err = {0};
    struct json root;
    struct scenario s;
    char *text = malloc(size + 1);
    if (!text)
        return 0;
    memcpy(text, data, size);
    text[size] = 0;
    if (json_parse(text, "fuzz", &root, &err) == 0 && scenario_compile(&s, root, &err) == 0) {
        run(&s);
        scenario_release(&s);
    } else if (err.code == ERROR_NONE || err.text[0] == 0) {
        abort();
    }
    free(text);
    return 0;
}

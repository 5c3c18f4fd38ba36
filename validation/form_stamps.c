/* SPDX-License-Identifier: MIT */
/* A folder with requests.jsonl and meta.json (measured.h) as one load level, which states its own scenario. */
#include <stdio.h>
#include <string.h>

#include "base/units.h"
#include "validation/forms.h"
#include "validation/measured.h"
#include "workloads/trace.h"

static int add_requests(const char *trace, const struct latencies *measured, struct level *level, struct error *err)
{
    struct request_source source;
    struct arrival a;
    int got = trace_open(trace, NULL, &source, err) ? -1 : 1;
    bool open = got == 1;
    for (size_t i = 0; got == 1 && (got = source.next(source.state, &a, err)) == 1; i++) {
        struct level_request r = {.arrival_s = sim_time_to_s(a.at),
                                  .prompt_tokens = a.prompt_tokens,
                                  .output_tokens = a.output_tokens,
                                  .ttft_s = measured->at[0][i],
                                  .e2e_s = measured->at[2][i]};
        if (level_add_request(level, r, err))
            got = -1;
    }
    if (open)
        request_source_destroy(&source);
    return got;
}

/* With prefixes, where the folder says which prompts share them. */
static int take_scenario(const char *folder, const char *device, struct level *level, struct levels *out,
                         struct error *err)
{
    struct json root;
    bool hashes = false;
    if (measured_scenario(folder, device, &root, err))
        return -1;
    out->scenario = (cJSON *)(uintptr_t)root.node;
    if (measured_share_prefixes(folder, &root, &hashes, err))
        return -1;
    snprintf(level->trace, sizeof level->trace, "%s/%s", folder, hashes ? "prefix_hashes.jsonl" : "requests.jsonl");
    return 0;
}

int form_stamps_read(const char *folder, const char *device, struct levels *out, struct error *err)
{
    char requests[LEVEL_TRACE];
    struct latencies measured = {0};
    struct level *level = levels_add(out, err);
    if (!level)
        return -1;
    if (out->scenario)
        return error_set(err, ERROR_INPUT, "%s: expected one folder of a measured run, found a second one", folder);
    if (!device)
        return error_set(err, ERROR_INPUT, "%s: a measured run needs --profile DEVICE, what costs come from", folder);
    level->load = LOAD_STAMPED;
    snprintf(requests, sizeof requests, "%s/requests.jsonl", folder);
    int status = take_scenario(folder, device, level, out, err) || measured_read(folder, &measured, err) ||
                         add_requests(requests, &measured, level, err) || level_summarise(level, err)
                     ? -1
                     : 0;
    latencies_release(&measured);
    const struct json place = {.file = folder};
    return status ? -1 : level_finish(level, &place, "requests", err);
}

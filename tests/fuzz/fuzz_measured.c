/* SPDX-License-Identifier: MIT */
/* Any bytes as what was measured of a server: vLLM's requests and settings, DistServe's runs, or operating points. It
 * is refused with a sentence, or the scenario of it runs for a moment. */
#include "tests/fuzz/folder.h"
#include "validation/distserve.h"
#include "validation/measured.h"
#include "validation/points.h"

static const char *const names[] = {"requests.jsonl",
                                    "meta.json",
                                    "config.json",
                                    "prefix_hashes.jsonl",
                                    "points.csv",
                                    "vllm-100-1.jsonl",
                                    "distserve-100-1.jsonl",
                                    "profiler.vllm.json",
                                    "profiler.distserve.json",
                                    NULL};

static void run_scenario_of(cJSON *scenario)
{
    char *text = cJSON_PrintUnformatted(scenario);
    cJSON_Delete(scenario);
    if (!text)
        abort();
    fuzz_run(text);
    free(text);
}

static void read_server(void)
{
    struct latencies measured = {0};
    struct json scenario;
    struct error err = {0};
    bool shared = false;
    if (measured_read(fuzz_folder, &measured, &err))
        fuzz_expect_sentence(&err);
    latencies_release(&measured);
    err = (struct error){0};
    if (measured_scenario(fuzz_folder, "rtx-4090", &scenario, &err)) {
        fuzz_expect_sentence(&err);
        return;
    }
    if (measured_share_prefixes(fuzz_folder, &scenario, &shared, &err))
        fuzz_expect_sentence(&err);
    run_scenario_of((cJSON *)(uintptr_t)scenario.node);
}

static void run_point(const struct point *p)
{
    struct error err = {0};
    cJSON *scenario = NULL;
    if (point_scenario(p, "h100-sxm", &scenario, &err))
        fuzz_expect_sentence(&err);
    else
        run_scenario_of(scenario);
}

static void read_points(void)
{
    char path[FUZZ_PATH];
    struct points points = {0};
    struct error err = {0};
    fuzz_path("points.csv", path);
    if (points_read(path, &points, &err))
        fuzz_expect_sentence(&err);
    else if (points.count > 0 && !point_refused(&points.items[0], ""))
        run_point(&points.items[0]);
    points_release(&points);
}

static void read_distserve(void)
{
    struct distserve_runs runs = {0};
    struct error err = {0};
    if (distserve_read(fuzz_folder, &runs, &err))
        fuzz_expect_sentence(&err);
    distserve_release(&runs);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_write_folder(names, data, size);
    read_server();
    read_points();
    read_distserve();
    return 0;
}

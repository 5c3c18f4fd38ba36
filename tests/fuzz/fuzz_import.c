/* SPDX-License-Identifier: MIT */
/* Any bytes as another tool's folder of tables: it is refused with a sentence, or becomes a profile that our own reader
 * takes or refuses. "@model=NAME" says which model was measured. */
#include "profiles/device.h"
#include "profiles/import.h"
#include "tests/fuzz/folder.h"

static const char *const names[] = {"dense.csv",
                                    "attention.csv",
                                    "per_sequence.csv",
                                    "moe.csv",
                                    "skew.csv",
                                    "meta.yaml",
                                    "gemm_perf.csv",
                                    "context_attention_perf.csv",
                                    "generation_attention_perf.csv",
                                    "custom_allreduce_perf.csv",
                                    "nccl_perf.csv",
                                    "moe_perf.csv",
                                    "system.yaml",
                                    "mlp.csv",
                                    "all_reduce.csv",
                                    "send_recv.csv",
                                    "perf_model.csv",
                                    NULL};

static void import(const struct import_options *options)
{
    const struct import_format *format = NULL;
    struct error err = {0};
    cJSON *profile = profile_import(options, &format, &err);
    if (!profile) {
        fuzz_expect_sentence(&err);
        return;
    }
    struct json root = {.node = profile, .file = "imported"};
    struct device d;
    if (device_take(&root, "imported", &d, &err) == 0)
        device_release(&d);
    else
        fuzz_expect_sentence(&err);
    cJSON_Delete(profile);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char path[FUZZ_PATH];
    fuzz_write_folder(names, data, size);
    struct import_options options = {.path = fuzz_folder,
                                     .name = "fuzzed",
                                     .model = fuzz_word[0] ? fuzz_word : "llama-3.1-8b",
                                     .tensor_parallel = 1};
    import(&options);
    fuzz_path("perf_model.csv", path);
    options.path = path;
    if (access(path, R_OK) == 0)
        import(&options);
    return 0;
}

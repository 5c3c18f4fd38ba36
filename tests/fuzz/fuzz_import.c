/* SPDX-License-Identifier: MIT */
/* Any bytes as another tool's folder of tables: a line "@NAME" begins the file of that name, one of those that
 * importers look for. It is refused with a sentence, or becomes a profile that our own reader takes. "@model=NAME" says
 * which model was measured. YAML lies one folder up, as with LLMServingSim's bundles. */
#include <sys/stat.h>

#include "profiles/device.h"
#include "profiles/import.h"
#include "tests/fuzz/fuzz.h"

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
                                    "perf_model.csv"};

enum { NAMES = sizeof names / sizeof *names };

static char above[40], folder[60], model[40];

static void path_of(size_t name, char *out, size_t size)
{
    snprintf(out, size, "%s/%s", strstr(names[name], ".yaml") ? above : folder, names[name]);
}

static void remove_folder(void)
{
    char path[80];
    for (size_t i = 0; i < NAMES; i++) {
        path_of(i, path, sizeof path);
        unlink(path);
    }
    rmdir(folder);
    rmdir(above);
}

static void make_folder(void)
{
    snprintf(above, sizeof above, "/tmp/tandem_fuzz_XXXXXX");
    if (!mkdtemp(above) || atexit(remove_folder))
        abort();
    snprintf(folder, sizeof folder, "%s/tp1", above);
    if (mkdir(folder, 0700))
        abort();
}

static void write_file(const char *name, const char *from, size_t size)
{
    char path[80];
    if (strncmp(name, "model=", 6) == 0)
        snprintf(model, sizeof model, "%s", name + 6);
    for (size_t i = 0; i < NAMES; i++)
        if (strcmp(names[i], name) == 0) {
            path_of(i, path, sizeof path);
            FILE *out = fopen(path, "wb");
            if (!out || fwrite(from, 1, size, out) != size || fclose(out))
                abort();
        }
}

/* Cuts the text at the lines that begin with "@". */
static void write_files(char *text, size_t size)
{
    char *end = text + size;
    char *at = size > 0 && text[0] == '@' ? text : NULL;
    while (at) {
        char *line_end = memchr(at, '\n', (size_t)(end - at));
        if (!line_end)
            return;
        *line_end = 0;
        char *from = line_end + 1, *next = from;
        while (next < end && !(*next == '@' && next[-1] == '\n') && !(*next == '@' && next == from))
            next++;
        write_file(at + 1, from, (size_t)(next - from));
        at = next < end ? next : NULL;
    }
}

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
    char path[80];
    struct import_options options = {.path = folder, .name = "fuzzed", .model = model, .tensor_parallel = 1};
    if (!folder[0])
        make_folder();
    for (size_t i = 0; i < NAMES; i++) {
        path_of(i, path, sizeof path);
        unlink(path);
    }
    snprintf(model, sizeof model, "llama-3.1-8b");
    char *text = fuzz_text(data, size);
    write_files(text, size);
    import(&options);
    snprintf(path, sizeof path, "%s/perf_model.csv", folder);
    options.path = path;
    if (access(path, R_OK) == 0)
        import(&options);
    free(text);
    return 0;
}

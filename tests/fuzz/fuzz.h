/* SPDX-License-Identifier: MIT */
/* fuzz.h — what fuzz targets share: bytes as a file that has no name, and failures that must have a sentence. A broken
 * rule aborts, which the fuzzer reports with the input. */
#ifndef TANDEM_TESTS_FUZZ_H
#define TANDEM_TESTS_FUZZ_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/printable.h"
#include "simulation/simulation.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A way that failed has said why, in printable text, and it is not an internal error. */
static inline void fuzz_expect_sentence(const struct error *err)
{
    if (err->code == ERROR_NONE || !err->text[0] || utf8_check(err->text) != strlen(err->text) ||
        strncmp(err->text, "internal", 8) == 0) {
        fprintf(stderr, "no sentence: code %d, \"%s\"\n", (int)err->code, err->text);
        abort();
    }
}

/* The path of a file with these bytes. There is one, whose bytes are those of the last call; it goes with the
 * process. */
static inline const char *fuzz_file(const uint8_t *data, size_t size)
{
    static char path[40];
    static int fd = -1;
    if (fd < 0) {
        char name[40];
        snprintf(name, sizeof name, "%s/tandem_fuzz_XXXXXX", access("/dev/shm", W_OK) ? "/tmp" : "/dev/shm");
        if ((fd = mkstemp(name)) < 0 || unlink(name))
            abort();
        snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    }
    if (ftruncate(fd, 0) || pwrite(fd, data, size, 0) != (ssize_t)size)
        abort();
    return path;
}

/* The bytes as text, the caller's to free. */
static inline char *fuzz_text(const uint8_t *data, size_t size)
{
    char *text = malloc(size + 1);
    if (!text)
        abort();
    memcpy(text, data, size);
    text[size] = 0;
    return text;
}

enum { FUZZ_REQUESTS = 50 };

/* At most FUZZ_REQUESTS of the scenario's workload, none of them long, so that a run takes no time. */
struct fuzz_source {
    struct request_source inner;
    int left;
};

static inline int fuzz_next(void *state, struct arrival *out, struct error *err)
{
    struct fuzz_source *s = state;
    if (s->left-- <= 0)
        return 0;
    int got = s->inner.next(s->inner.state, out, err);
    out->output_tokens %= 64;
    out->prompt_tokens %= 100000;
    return got;
}

static inline void fuzz_run_opened(struct simulation *s)
{
    struct fuzz_source source = {.left = FUZZ_REQUESTS};
    struct error err = {0};
    const struct cluster_config *c = &s->scenario.cluster;
    if (cluster_replicas(c) > 100 || c->pools[0].replica.kv_blocks < 1)
        return;
    if (scenario_open_workload(&s->scenario, &source.inner, &err)) {
        fuzz_expect_sentence(&err);
        return;
    }
    struct request_source outer = {.next = fuzz_next, .state = &source};
    if (simulation_run(s, &(struct simulation_options){.source = &outer, .sustainable = true}, &err))
        fuzz_expect_sentence(&err);
    request_source_destroy(&source.inner);
}

/* A scenario's text: it is refused with a sentence, or what it describes runs for a moment. */
static inline void fuzz_run(const char *text)
{
    struct error err = {0};
    struct json root;
    struct simulation *s = NULL;
    if (json_parse(text, "fuzz", &root, &err) || simulation_open(root, &s, &err)) {
        fuzz_expect_sentence(&err);
        return;
    }
    fuzz_run_opened(s);
    simulation_close(s);
}

/* Runs a scenario that names the bytes' file, by its path where the format has %s. */
static inline void fuzz_run_with_file(const char *format, const uint8_t *data, size_t size)
{
    char text[1200];
    const char *at = strstr(format, "%s");
    snprintf(text, sizeof text, "%.*s%s%s", (int)(at - format), format, fuzz_file(data, size), at + 2);
    fuzz_run(text);
}

#endif

/* SPDX-License-Identifier: MIT */
/* Any bytes as weights of a small model: refused with a sentence, or every weight is set. The first eight bytes, the
 * header's length, are the file's own where the first byte is not '{'; else they are put before it, since a header of a
 * wrong length ends all at once. */
#include "engine_ref/safetensors.h"
#include "tests/fuzz/fuzz.h"

static const struct model small = {.name = "small",
                                   .layers = 1,
                                   .hidden = 4,
                                   .intermediate = 4,
                                   .heads = 1,
                                   .kv_heads = 1,
                                   .head_dim = 4,
                                   .vocab = 4,
                                   .max_tokens = 64,
                                   .gated_mlp = true,
                                   .tied_head = true};

static void load(const uint8_t *data, size_t size)
{
    struct weights w;
    struct error err = {0};
    if (weights_create(&w, &small, false, &err))
        abort();
    if (safetensors_load(&w, fuzz_file(data, size), &err))
        fuzz_expect_sentence(&err);
    weights_release(&w);
}

/* With the length of the JSON before it, as far as the last '}'. */
static void load_with_length(const uint8_t *data, size_t size)
{
    uint8_t *whole = malloc(size + 8);
    uint64_t length = size;
    if (!whole)
        abort();
    while (length > 0 && data[length - 1] != '}')
        length--;
    memcpy(whole, &length, 8);
    memcpy(whole + 8, data, size);
    load(whole, size + 8);
    free(whole);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size > 0 && data[0] == '{')
        load_with_length(data, size);
    else
        load(data, size);
    return 0;
}

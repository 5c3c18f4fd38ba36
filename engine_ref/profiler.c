/* SPDX-License-Identifier: MIT */
#include "engine_ref/profiler.h"

#include <time.h>

const char *const operation_names[OP_COUNT] = {"embedding",        "norm",       "qkv_proj",
                                               "qk_norm",          "rotary_emb", "prefill_attention",
                                               "decode_attention", "o_proj",     "gate_up_proj",
                                               "act_fn",           "down_proj",  "final_norm",
                                               "lm_head",          "sampler"};

static int64_t read_clock(clockid_t clock)
{
    struct timespec t;
    clock_gettime(clock, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

int64_t clock_ns(void)
{
    return read_clock(CLOCK_MONOTONIC);
}

int64_t clock_cpu_ns(void)
{
    return read_clock(CLOCK_THREAD_CPUTIME_ID);
}

void profiler_clear(struct profiler *p)
{
    *p = (struct profiler){.on = p->on, .dropped = p->dropped};
}

/* SPDX-License-Identifier: MIT */
/* port.h — how the loop reaches an engine, which runs batches and keeps sequences with their KV: an instance in this
 * process (instance.h), or one in a process of its own (peer.h). */
#ifndef TANDEM_ENGINE_REF_PORT_H
#define TANDEM_ENGINE_REF_PORT_H

#include <stdint.h>

#include "base/error.h"

struct batch;
struct instance;

/* What a step took: on the wall clock, and of CPU time of the thread that ran it. */
struct step_time {
    int64_t wall_ns, cpu_ns;
};

struct engine_port {
    /* Runs one iteration as a policy formed it; *took is what it took there. */
    int (*run)(void *self, const struct batch *batch, struct step_time *took, struct error *err);
    /* As instance_drop_blocks and instance_forget. */
    int (*drop_blocks)(void *self, uint64_t id, struct error *err);
    int (*forget)(void *self, uint64_t id, struct error *err);
    /* Takes a sequence over from an instance of this process, with its keys and values; returns when they are there. */
    int (*receive)(void *self, struct instance *from, uint64_t id, struct error *err);
    void *self;
};

#endif
